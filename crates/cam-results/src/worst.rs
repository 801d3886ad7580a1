//! The other policy for degenerate maps: each has the worst score that there is.
//!
//! A map that says nothing has no score, and the means of tables leave it out. Whoever does not want a method to gain by
//! saying nothing on hard images reads these instead. A failed row is no map of the method's, and is in neither.

use crate::{Name, Record, RunManifest, Status, adcc, summary::adcc_parts};

/// Means over the scored images and the degenerate ones, the latter with the worst score of each metric.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Worst {
    /// In the order of the manifest's metrics; `None` where there is no value or no worst one.
    pub metrics: Vec<Option<f64>>,
    /// [`adcc`] of these means.
    pub adcc: Option<f64>,
    /// Mean of the images' own [`adcc`], which is 0 for a degenerate map.
    pub adcc_per_image: Option<f64>,
}

/// The records of one cell as they come, as far as [`Worst`] needs them.
#[derive(Clone, Debug, Default)]
pub(crate) struct WorstTally {
    /// Of each metric, then of the per-image ADCC: the scored images' sum, and how many have a value.
    columns: Vec<(f64, u32)>,
    has_scored: bool,
    /// The images with degenerate maps.
    degenerate: Vec<Name>,
}

impl WorstTally {
    pub(crate) fn add(&mut self, manifest: &RunManifest, record: &Record) {
        self.columns.resize(manifest.metrics.len() + 1, (0.0, 0));
        match record.status {
            Status::Ok => {
                self.has_scored = true;
                let values = record.metrics.iter().chain([&record.adcc_per_image]);
                for ((sum, n), value) in self.columns.iter_mut().zip(values) {
                    *sum += value.unwrap_or(0.0);
                    *n += u32::from(value.is_some());
                }
            }
            Status::Degenerate => self.degenerate.push(record.image.clone()),
            Status::Failed => {}
        }
    }

    /// The means. `is_defined` says of a column and an image whether there can be a score.
    pub(crate) fn means(
        &self,
        manifest: &RunManifest,
        is_defined: impl Fn(usize, &str) -> bool,
    ) -> Worst {
        let mean = |column: usize, worst: Option<f64>| {
            let (sum, n_scored) = *self.columns.get(column)?;
            // What is not defined for this method (coherency of imported maps) does not become so by its worst maps.
            let is_measured = n_scored > 0 || !self.has_scored;
            let n_worst = self.degenerate.iter().filter(|image| is_defined(column, image)).count();
            let n = f64::from(n_scored) + n_worst as f64;
            let worst = worst.filter(|_| is_measured && n > 0.0)?;
            Some((sum + worst * n_worst as f64) / n)
        };
        let metrics: Vec<Option<f64>> =
            manifest.metrics.iter().enumerate().map(|(i, metric)| mean(i, metric.worst)).collect();
        let parts = adcc_parts(manifest);
        let of_means = parts.and_then(|[coherency, complexity, drop]| {
            Some(adcc(metrics[coherency]?, metrics[complexity]?, metrics[drop]?))
        });
        let adcc_per_image = parts.and_then(|_| mean(metrics.len(), Some(0.0)));
        Worst { metrics, adcc: of_means, adcc_per_image }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        summarize,
        testing::{manifest, rows},
    };

    fn close(got: Option<f64>, want: f64) {
        assert!((got.unwrap() - want).abs() < 1e-15, "{got:?} is not {want}");
    }

    #[test]
    fn a_degenerate_map_has_the_worst_score_and_a_failed_row_none() {
        let mut manifest = manifest();
        let mut records: Vec<Record> = rows(&manifest).into_iter().map(|row| row.record).collect();
        let cells = summarize(&manifest, &records).cells;
        // RISE: one scored, one degenerate, one failed. Metrics: drop, deletion, coherency, complexity.
        let rise = &cells[1];
        assert_eq!((rise.n, rise.n_degenerate, rise.n_failed), (1, 1, 1));
        let scored = |i: usize| rise.metrics[i].unwrap().mean;
        for (i, worst) in [1.0, 1.0, 0.0, 1.0].into_iter().enumerate() {
            close(rise.worst.metrics[i], f64::midpoint(scored(i), worst));
        }
        let [drop, coherency, complexity] = [0, 2, 3].map(|i| rise.worst.metrics[i].unwrap());
        close(rise.worst.adcc, adcc(coherency, complexity, drop));
        close(rise.worst.adcc_per_image, rise.adcc_per_image.unwrap().mean / 2.0);
        // Where nothing is degenerate, both policies agree.
        for (i, metric) in cells[0].metrics.iter().enumerate() {
            close(cells[0].worst.metrics[i], metric.unwrap().mean);
        }

        manifest.metrics[1].worst = None;
        for record in &mut records {
            record.metrics[2] = None;
        }
        let rise = &summarize(&manifest, &records).cells[1];
        assert_eq!(rise.worst.metrics[1], None, "scores without an end have no worst one");
        assert_eq!(rise.worst.metrics[2], None, "what is not measured is not measured");
        assert_eq!(rise.worst.adcc, None);
    }

    #[test]
    fn a_degenerate_map_counts_only_where_an_image_can_have_a_score() {
        let manifest = manifest();
        let mut records: Vec<Record> = rows(&manifest).into_iter().map(|row| row.record).collect();
        // RISE says nothing on one image, on which the other methods' third metric is not defined either.
        let rise =
            |record: &&Record| record.method == "rise" && record.status == Status::Degenerate;
        let image = records.iter().find(rise).unwrap().image.clone();
        for record in records.iter_mut().filter(|record| record.image == image) {
            record.metrics[2] = None;
        }
        let cell = &summarize(&manifest, &records).cells[1];
        close(cell.worst.metrics[2], cell.metrics[2].unwrap().mean);
        close(cell.worst.metrics[1], f64::midpoint(cell.metrics[1].unwrap().mean, 1.0));
    }

    #[test]
    fn a_method_of_which_every_map_is_degenerate_has_the_worst_score_and_no_mean() {
        let manifest = manifest();
        let records: Vec<Record> = rows(&manifest)
            .into_iter()
            .map(|row| Record {
                status: Status::Degenerate,
                metrics: vec![None; 4],
                adcc_per_image: None,
                ..row.record
            })
            .collect();
        let cell = &summarize(&manifest, &records).cells[0];
        assert_eq!(cell.metrics, [None; 4]);
        assert_eq!(cell.worst.metrics, [Some(1.0), Some(1.0), Some(0.0), Some(1.0)]);
        assert_eq!((cell.worst.adcc, cell.worst.adcc_per_image), (Some(0.0), Some(0.0)));
    }
}
