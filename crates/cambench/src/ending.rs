//! What commands say at the end of a run: its means, and how it ended.

use cam_results::{Accuracy, Better, Estimate, Run, Summary, cautions, of_networks};
use cam_runner::Outcome;
use serde_json::{Map, Value};

use crate::{args::ShareOrRows, exit::Exit, table};

/// The means in percent, and what weakens them; their intervals are in the report.
pub(crate) fn print_means(run: &Run, summary: &Summary) {
    let manifest = run.manifest();
    let percent = |estimate: Option<Estimate>| {
        estimate.map_or("–".to_owned(), |estimate| format!("{:.1}", 100.0 * estimate.mean))
    };
    let has_adcc = summary.cells.iter().any(|cell| cell.adcc.is_some());
    let rows = summary.cells.iter().map(|cell| {
        let mut row = Map::new();
        if manifest.models.len() > 1 {
            row.insert("model".into(), cell.model.clone().into());
        }
        row.insert("method".into(), cell.method.clone().into());
        for (metric, estimate) in manifest.metrics.iter().zip(&cell.metrics) {
            let arrow = if metric.better == Better::Higher { '↑' } else { '↓' };
            row.insert(format!("{} {arrow}", metric.name), percent(*estimate).into());
        }
        if has_adcc {
            row.insert("adcc ↑".into(), percent(cell.adcc).into());
        }
        row.insert("n".into(), cell.n.into());
        row.insert("protocol".into(), cell.protocol.clone().into());
        Value::Object(row)
    });
    table::print(&rows.collect::<Vec<_>>());
    println!();
    for sentence in of_networks(&summary.accuracies).filter_map(Accuracy::sentence) {
        println!("{sentence}");
    }
    for caution in cautions(run, summary) {
        eprintln!("caution: {caution}");
    }
}

/// Says how it ended.
pub(crate) fn conclude(max_failed: ShareOrRows, json: bool, outcome: &Outcome) -> Exit {
    let Outcome { folder, n_rows, n_done, n_failed, n_degenerate, .. } = outcome;
    if !outcome.is_finished {
        eprintln!(
            "stopped with {n_done} of {n_rows} rows in {}; the same command continues",
            folder.display()
        );
        return Exit::Interrupted;
    }
    if !json {
        println!(
            "{n_rows} rows, {n_degenerate} degenerate, {n_failed} failed: {}",
            folder.join("report.md").display()
        );
    }
    let exit = exit_of(max_failed, outcome);
    if exit == Exit::Failed {
        eprintln!(
            "error: {n_failed} of {n_rows} rows failed, more than --max-failed allows; the report lists them. A row is made once: to try them again, give another --out"
        );
    }
    exit
}

/// How a run ends, before any comparison.
pub(crate) fn exit_of(max_failed: ShareOrRows, outcome: &Outcome) -> Exit {
    match outcome {
        Outcome { is_finished: false, .. } => Exit::Interrupted,
        Outcome { n_failed, n_rows, .. } if max_failed.tolerates(*n_failed, *n_rows) => Exit::Done,
        Outcome { .. } => Exit::Failed,
    }
}
