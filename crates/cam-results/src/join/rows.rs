//! Rows that two runs have: whether they are the same.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Cell, Part};
use crate::{Key, MetricEntry, Record, stats::ROUNDING};

/// What the rows of a (model, method) in one run are to those in runs before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Agreement {
    /// There are none of the same image.
    Disjoint,
    /// The same rows: of one class, and with the same scores by all metrics that both have.
    Same,
    /// Other rows.
    Other,
    /// Nothing shows that they are others, and no score of both that they are the same.
    Unknown,
}

/// What was seen of a (model, method).
#[derive(Default)]
struct Seen {
    is_met: bool,
    has_common_score: bool,
    is_other: bool,
}

impl Seen {
    fn agreement(&self) -> Agreement {
        match self {
            Self { is_met: false, .. } => Agreement::Disjoint,
            Self { is_other: true, .. } => Agreement::Other,
            Self { has_common_score: true, .. } => Agreement::Same,
            _ => Agreement::Unknown,
        }
    }
}

/// What the rows of each of these cells, which runs before have as well, are to theirs.
pub(super) fn agreements(
    before: &[Part],
    part: &Part,
    common: &HashSet<Cell>,
) -> BTreeMap<Cell, Agreement> {
    let mut seen: HashMap<&Cell, Seen> =
        common.iter().map(|cell| (cell, Seen::default())).collect();
    if common.is_empty() {
        return BTreeMap::new();
    }
    let own = part.run.records().iter().filter(|row| common.contains(&part.cell(row)));
    let own: HashMap<Key, &Record> = own.map(|row| (part.key(&row.key()), row)).collect();
    let metrics = part.run.manifest().metrics.iter();
    let metrics = metrics.map(|m| MetricEntry { name: part.metric(&m.name), ..m.clone() });
    let metrics: Vec<MetricEntry> = metrics.collect();
    for other in before {
        let columns = other.columns(&metrics);
        for record in other.run.records() {
            let Some(seen) = seen.get_mut(&other.cell(record)) else { continue };
            let Some(row) = own.get(&other.key(&record.key())) else { continue };
            seen.is_met = true;
            let facts = |row: &Record| (row.target, row.predicted, row.status);
            seen.is_other |= facts(record) != facts(row);
            for (column, score) in columns.iter().zip(&row.metrics) {
                let Some(column) = column else { continue };
                match (record.metrics[*column], score) {
                    (Some(a), Some(b)) => {
                        seen.has_common_score = true;
                        seen.is_other |= (a - b).abs() > ROUNDING;
                    }
                    (None, None) => {}
                    _ => seen.is_other = true,
                }
            }
        }
    }
    seen.into_iter().map(|(cell, seen)| (cell.clone(), seen.agreement())).collect()
}
