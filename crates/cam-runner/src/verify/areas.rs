//! Scores that are areas, held against their curves.

use std::collections::{BTreeMap, BTreeSet};

use cam_core::Preprocessing;
use cam_metrics::{AnyMetric, Deletion, Unit};
use cam_results::{Curve, Key, MetricEntry, ModelEntry, Record, RunManifest};

use super::Mismatch;

/// By how much a score may differ from the area under its curve, which is a sum of the same numbers; of large scores, times
/// the score.
const AREA_TOLERANCE: f64 = 1e-9;

/// A metric whose score is the area under its curve.
struct AreaMetric<'a> {
    name: &'a str,
    /// Among the metrics of a record.
    place: usize,
    metric: AnyMetric,
}

impl<'a> AreaMetric<'a> {
    /// `None` for a metric of another kind.
    fn of(place: usize, entry: &'a MetricEntry) -> Option<Self> {
        let metric = match AnyMetric::configure(&entry.metric, &entry.options)?.ok()? {
            metric @ (AnyMetric::Deletion(_) | AnyMetric::Insertion(_)) => metric,
            // Its area is deletion's.
            AnyMetric::PixelFlipping(flipping) => {
                AnyMetric::Deletion(Deletion { steps: flipping.steps, ..Deletion::default() })
            }
            _ => return None,
        };
        Some(Self { name: &entry.name, place, metric })
    }

    /// `None` where its options make curves of another length.
    fn area_under(&self, curve: &[f64], [n_pixels, n_cells]: [i64; 2]) -> Option<f64> {
        let n_units = |unit| if unit == Unit::Pixels { n_pixels } else { n_cells };
        match &self.metric {
            AnyMetric::Deletion(deletion) => deletion.area_under(curve, n_units(deletion.unit)),
            AnyMetric::Insertion(insertion) => insertion.area_under(curve, n_units(insertion.unit)),
            _ => None,
        }
    }
}

/// Holds the scores of all rows that are areas against their curves, which come in the order of the rows.
pub(super) struct Areas<'a> {
    metrics: Vec<AreaMetric<'a>>,
    /// How many pixels an image of each model has, and how many cells its layer.
    sizes: BTreeMap<&'a str, [i64; 2]>,
    /// The row whose curves come, and all after it.
    rows: &'a [Record],
    /// Which of the metrics the first of these has had a curve of.
    seen: BTreeSet<&'a str>,
    /// Whether a curve has come out of this order. No later one tells then which rows have none.
    is_lost: bool,
    mismatches: Vec<Mismatch>,
}

impl<'a> Areas<'a> {
    pub(super) fn of(manifest: &'a RunManifest, rows: &'a [Record]) -> Self {
        let size = |model: &'a ModelEntry| {
            let preprocessing: Preprocessing =
                serde_json::from_value(model.preprocessing.clone()).ok()?;
            let [_, height, width] = model.feature_shape;
            let n_cells = height.checked_mul(width).filter(|n| *n > 0)?;
            Some((&*model.name, [i64::from(preprocessing.crop).pow(2), n_cells]))
        };
        let metrics = manifest.metrics.iter().enumerate();
        Self {
            metrics: metrics.filter_map(|(place, entry)| AreaMetric::of(place, entry)).collect(),
            sizes: manifest.models.iter().filter_map(size).collect(),
            rows,
            seen: BTreeSet::new(),
            is_lost: false,
            mismatches: vec![],
        }
    }

    pub(super) fn visit(&mut self, key: &Key, curve: &Curve) {
        if self.is_lost {
            return;
        }
        let Some(n_passed) = self.rows.iter().position(|row| is_of(row, key)) else {
            self.is_lost = true;
            let what = format!(
                "its curve of {} is not where its row is; those after it were not held against their scores",
                curve.metric
            );
            self.mismatches.push(Mismatch { place: key.to_string(), what });
            return;
        };
        for _ in 0..n_passed {
            self.pass();
        }
        let metric = self.metrics.iter().find(|metric| metric.name == curve.metric);
        let Some(metric) = metric else { return };
        let name = metric.name;
        self.seen.insert(name);
        let Some(size) = self.sizes.get(&*key.model) else { return };
        let area = metric.area_under(&curve.values, *size);
        let what = match (self.rows[0].metrics[metric.place], area) {
            (None, _) => format!("it has a curve of {name}, and no score"),
            (_, None) => format!("its curve of {name} is not as long as the metric makes it"),
            (Some(score), Some(area)) => {
                if (area - score).abs() <= AREA_TOLERANCE * score.abs().max(1.0) {
                    return;
                }
                format!("its {name} is {score}, and the area under its curve {area}")
            }
        };
        self.mismatches.push(Mismatch { place: key.to_string(), what });
    }

    /// Goes on to the next row.
    fn pass(&mut self) {
        let Some((row, rest)) = self.rows.split_first() else { return };
        for AreaMetric { name, place, .. } in &self.metrics {
            if row.metrics[*place].is_some() && !self.seen.contains(name) {
                let what = format!("its curve of {name} is not there");
                self.mismatches.push(Mismatch { place: row.key().to_string(), what });
            }
        }
        self.seen.clear();
        self.rows = rest;
    }

    /// When all curves have come.
    pub(super) fn finish(mut self) -> Vec<Mismatch> {
        while !self.is_lost && !self.rows.is_empty() {
            self.pass();
        }
        self.mismatches
    }
}

fn is_of(record: &Record, key: &Key) -> bool {
    let Key { model, layer, method, protocol, image } = key;
    // The parts in which neighbors differ come first.
    record.image == *image
        && record.method == *method
        && record.model == *model
        && record.layer == *layer
        && record.protocol == *protocol
}

#[cfg(test)]
mod tests {
    use cam_results::Row;

    use super::*;

    /// A run whose deletion and insertion, the third and the fourth metric, are areas under curves of 28 equal steps.
    fn run_of_areas() -> (RunManifest, Vec<Row>) {
        let (mut manifest, rows) = cam_results::synthetic(3, 2);
        for metric in &mut manifest.metrics[2..4] {
            metric.options = serde_json::json!({ "steps": 28 });
        }
        let rows = rows.map(|mut row| {
            for (place, curve) in (2..).zip(&row.curves) {
                let ends = (curve.values[0] + curve.values[28]) / 2.0;
                let inner: f64 = curve.values[1..28].iter().sum();
                row.record.metrics[place] = Some((inner + ends) / 28.0);
            }
            row
        });
        (manifest, rows.collect())
    }

    /// What is found where the curves of these rows come in this order.
    fn found(manifest: &RunManifest, records: &[Record], rows: &[Row]) -> Vec<String> {
        let mut areas = Areas::of(manifest, records);
        for row in rows {
            let key = row.record.key();
            row.curves.iter().for_each(|curve| areas.visit(&key, curve));
        }
        areas.finish().iter().map(Mismatch::to_string).collect()
    }

    #[test]
    fn a_score_of_any_row_is_the_area_under_its_curve() {
        let (manifest, rows) = run_of_areas();
        let records: Vec<Record> = rows.iter().map(|row| row.record.clone()).collect();
        assert_eq!(found(&manifest, &records, &rows), [""; 0]);
        let is = |change: &dyn Fn(&mut Row), what: &str| {
            let mut rows = rows.clone();
            change(&mut rows[4]);
            let records: Vec<Record> = rows.iter().map(|row| row.record.clone()).collect();
            let found = found(&manifest, &records, &rows);
            let place = rows[4].record.key().to_string();
            assert!(found.len() == 1, "{found:?}");
            assert!(found[0].starts_with(&place) && found[0].contains(what), "{found:?}");
        };
        let more = |row: &mut Row| row.record.metrics[3] = row.record.metrics[3].map(|v| v + 1e-6);
        is(&more, "its insertion is ");
        is(&|row| row.curves[0].values[7] = f64::NAN, "and the area under its curve NaN");
        is(&|row| row.curves[0].values.push(0.0), "its curve of deletion is not as long as");
        is(&|row| drop(row.curves.pop()), "its curve of insertion is not there");
        is(&|row| row.record.metrics[2] = None, "it has a curve of deletion, and no score");
    }

    #[test]
    fn curves_in_another_order_than_their_rows_are_one_mismatch() {
        let (manifest, mut rows) = run_of_areas();
        let records: Vec<Record> = rows.iter().map(|row| row.record.clone()).collect();
        rows.swap(1, 2);
        let found = found(&manifest, &records, &rows);
        // The row that was passed over has lost its curves, as far as it is known then.
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[2].contains("its curve of deletion is not where its row is"), "{found:?}");
    }

    #[test]
    fn an_area_is_computed_by_the_options_of_its_metric() {
        let (mut manifest, mut rows) = run_of_areas();
        for metric in &mut manifest.metrics[2..4] {
            metric.options = serde_json::json!({ "steps": 28, "area": "points", "unit": "cells" });
        }
        for row in &mut rows {
            let [deleted, inserted] = [&row.curves[0].values, &row.curves[1].values];
            let deletion =
                deleted[0] / 2.0 + deleted[1..28].iter().sum::<f64>() + deleted[28] / 2.0;
            // Without its start and with its end twice.
            let insertion =
                inserted[1] / 2.0 + inserted[2..].iter().sum::<f64>() + inserted[28] / 2.0;
            row.record.metrics[2] = Some(deletion / 29.0);
            row.record.metrics[3] = Some(insertion / 29.0);
        }
        let records: Vec<Record> = rows.iter().map(|row| row.record.clone()).collect();
        assert_eq!(found(&manifest, &records, &rows), [""; 0]);
        // There are 49 cells, and a step is one at least.
        manifest.metrics[2].options = serde_json::json!({ "steps": 100, "unit": "cells" });
        let found = found(&manifest, &records, &rows);
        assert_eq!(found.len(), rows.len(), "{found:?}");
        assert!(found[0].contains("its curve of deletion is not as long as"), "{found:?}");
    }
}
