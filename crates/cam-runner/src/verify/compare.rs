//! Stored rows compared with the same ones computed again.

use std::collections::{BTreeMap, BTreeSet};

use cam_results::{Curve, Key, MetricEntry, RawMap, Record, Row, Run};

use super::{Mismatch, areas::Areas};

/// By how much a number may differ where rounding may: on a card, or at another version, device or number of threads. A
/// binary metric may flip, so one that only takes 0 and 1 is left out then.
const TOLERANCE: f64 = 1e-3;

/// What is stored of the sample beside its records; `None` for a file that cannot be read.
pub(super) struct Stored {
    maps: Option<BTreeMap<Key, RawMap>>,
    curves: Option<BTreeMap<Key, Vec<Curve>>>,
}

impl Stored {
    /// A file that cannot be read is a mismatch, as is a score of any row that is not the area under its curve.
    pub(super) fn of(run: &Run, sample: &[&Record], mismatches: &mut Vec<Mismatch>) -> Self {
        let wanted: BTreeSet<Key> = sample.iter().map(|record| record.key()).collect();
        let mut say = |file: &str, error: &cam_results::Error| {
            mismatches.push(Mismatch { place: file.into(), what: error.to_string() });
        };
        if run.is_baseline() {
            return Self { maps: None, curves: None };
        }
        let mut maps = BTreeMap::new();
        let visited = run.visit_maps(|key, map| {
            if wanted.contains(key) {
                maps.insert(key.clone(), map.clone());
            }
        });
        let maps = visited.inspect_err(|error| say("maps.parquet", error)).ok().map(|()| maps);
        let mut areas = Areas::of(run.manifest(), run.records());
        let mut curves: BTreeMap<Key, Vec<Curve>> = BTreeMap::new();
        let visited = run.visit_curves(|key, curve| {
            areas.visit(key, curve);
            if wanted.contains(key) {
                curves.entry(key.clone()).or_default().push(curve.clone());
            }
        });
        let curves =
            visited.inspect_err(|error| say("curves.parquet", error)).ok().map(|()| curves);
        if curves.is_some() {
            mismatches.extend(areas.finish());
        }
        Self { maps, curves }
    }

    /// What differs from the map and the curves of a row that was computed again.
    pub(super) fn compared(&self, key: &Key, again: &Row, is_exact: bool) -> Vec<String> {
        let mut wrong = vec![];
        if let Some(maps) = &self.maps {
            match (maps.get(key), &again.map) {
                (Some(old), Some(new)) if is_exact && !is_same_map(old, new) => {
                    wrong.push("its map comes out as another one".into());
                }
                (Some(_), Some(_)) | (None, None) => {}
                (None, Some(_)) => wrong.push("its map is not there".into()),
                (Some(_), None) => wrong.push("it has a map, and comes out without one".into()),
            }
        }
        if let Some(curves) = &self.curves {
            // Where one is missing, all rows have been asked for theirs.
            for curve in curves.get(key).map_or(&[][..], Vec::as_slice) {
                let new = again.curves.iter().find(|new| new.metric == curve.metric);
                if new.is_none_or(|new| !is_same_curve(curve, new, is_exact)) {
                    wrong.push(format!("its curve of {} comes out as another one", curve.metric));
                }
            }
        }
        wrong
    }
}

fn is_same_map(a: &RawMap, b: &RawMap) -> bool {
    let bits = |map: &RawMap| map.values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    (a.height, a.width, bits(a)) == (b.height, b.width, bits(b))
}

/// Bit for bit, or to within rounding on average: where pixels are nearly equal, rounding may turn their order around, and
/// with it single steps.
fn is_same_curve(a: &Curve, b: &Curve, is_exact: bool) -> bool {
    let pairs = || a.values.iter().zip(&b.values);
    let apart = || pairs().map(|(a, b)| (a - b).abs()).sum::<f64>() / a.values.len() as f64;
    a.values.len() == b.values.len()
        && if is_exact { pairs().all(|(a, b)| is_same(*a, *b, true)) } else { apart() <= TOLERANCE }
}

/// Whether a number is the one that comes out: bit for bit, or to within rounding.
fn is_same(old: f64, new: f64, is_exact: bool) -> bool {
    if is_exact { old.to_bits() == new.to_bits() } else { (old - new).abs() <= TOLERANCE }
}

/// What differs between a stored record and the same one computed again.
pub(super) fn compared(
    stored: &Record,
    again: &Row,
    metrics: &[MetricEntry],
    is_exact: bool,
) -> Vec<String> {
    let mut wrong = vec![];
    let new = &again.record;
    let mut say = |what: &str, old: String, new: String| {
        wrong.push(format!("{what} is {old}, and comes out as {new}"));
    };
    if stored.status != new.status {
        say("status", stored.status.as_str().into(), new.status.as_str().into());
        return wrong;
    }
    if (stored.label, stored.target) != (new.label, new.target) {
        say("class", format!("{:?}", stored.target), format!("{:?}", new.target));
    }
    if stored.predicted != new.predicted {
        let [old, new] = [stored, new].map(|record| format!("{:?}", record.predicted));
        say("predicted class", old, new);
    }
    let is_same = |old: Option<f64>, new: Option<f64>| match (old, new) {
        (Some(old), Some(new)) => is_same(old, new, is_exact),
        (old, new) => old.is_none() && new.is_none(),
    };
    if !is_same(stored.confidence, new.confidence) {
        say("confidence", written(stored.confidence), written(new.confidence));
    }
    for (i, metric) in metrics.iter().enumerate() {
        let (old, new) = (stored.metrics[i], new.metrics[i]);
        let is_binary = |value: Option<f64>| value.is_some_and(|value| value.fract() == 0.0);
        let may_flip = !is_exact && is_binary(old) && is_binary(new);
        if !may_flip && !is_same(old, new) {
            say(&metric.name, written(old), written(new));
        }
    }
    let counts = |record: &Record| {
        (record.forwards, record.head_forwards, record.backwards, record.executed_forwards)
    };
    if is_exact && counts(stored) != counts(new) {
        say("cost", format!("{:?}", counts(stored)), format!("{:?}", counts(new)));
    }
    wrong
}

pub(super) fn written(value: Option<f64>) -> String {
    value.map_or("null".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(values: &[f64]) -> Curve {
        Curve { metric: "deletion".into(), values: values.to_vec() }
    }

    #[test]
    fn a_step_that_rounding_reordered_is_no_other_curve_where_rounding_may_differ() {
        let steps: Vec<f64> = (0..29).map(|i| 1.0 - f64::from(i) / 28.0).collect();
        let mut moved = steps.clone();
        moved[9] += 0.007;
        assert!(is_same_curve(&curve(&steps), &curve(&moved), false));
        assert!(!is_same_curve(&curve(&steps), &curve(&moved), true));
        // All of it is another one, and so is a shorter one.
        let lower: Vec<f64> = steps.iter().map(|value| value - 0.002).collect();
        assert!(!is_same_curve(&curve(&steps), &curve(&lower), false));
        assert!(!is_same_curve(&curve(&steps), &curve(&steps[..28]), false));
    }
}
