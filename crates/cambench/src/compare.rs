//! `cambench compare`: the regression gate.

use std::path::{Path, PathBuf};

use anyhow::Result;
use cam_results::{
    Run,
    gate::{self, Baselines, Change, Comparison, Limits, Side, Verdict},
    write_bytes,
};
use serde_json::{Map, Value, json};

use crate::{
    args::{CompareArgs, FailOn, GateArgs},
    exit::{Exit, Unusable},
    table,
};

pub(crate) fn compare(args: &CompareArgs) -> Result<Exit> {
    gate(&args.base, &args.new, &args.gate, args.json)
}

/// Compares, writes what was asked for, and says how it ends.
pub(crate) fn gate(base: &str, new: &str, args: &GateArgs, as_json: bool) -> Result<Exit> {
    let runs = [find(base, &args.baselines)?, find(new, &args.baselines)?];
    let [old_run, new_run] = [Run::read(&runs[0])?, Run::read(&runs[1])?];
    let limits = Limits {
        noise: args.noise,
        max_drop: args.max_drop.iter().map(|drop| (drop.metric.clone(), drop.size)).collect(),
    };
    let comparison = gate::compare(Side::of(base, &old_run), Side::of(new, &new_run), &limits)?;
    let exit = exit(&comparison, &args.fail_on);
    let to_stdout = args.markdown.as_deref() == Some(Path::new("-"));
    if let Some(path) = &args.markdown {
        let markdown = gate::markdown(&comparison);
        if to_stdout { print!("{markdown}") } else { write_bytes(path, markdown.as_bytes())? }
    }
    if let Some(path) = &args.junit {
        write_bytes(path, gate::junit(&comparison, &verdicts(&args.fail_on)).as_bytes())?;
    }
    if as_json {
        let mut value = serde_json::to_value(&comparison)?;
        value["exit_code"] = json!(exit as u8);
        println!("{}", serde_json::to_string_pretty(&value)?);
    } else if !to_stdout {
        print(&comparison);
    }
    Ok(exit)
}

/// The folder of a run, or of the baseline of that name.
pub(crate) fn find(name: &str, baselines: &Path) -> Result<PathBuf> {
    let folder = PathBuf::from(name);
    if gate::is_run(&folder) {
        return Ok(folder);
    }
    let baselines = Baselines::of(baselines);
    if gate::is_run(&baselines.path(name)) {
        return Ok(baselines.path(name));
    }
    let names = baselines.names()?;
    let known = if names.is_empty() {
        "there are none; `cambench baseline save NAME RUN` makes one".to_owned()
    } else {
        format!("there are {}", names.join(", "))
    };
    Err(Unusable(format!("`{name}` is neither a run's folder nor a baseline; {known}")).into())
}

fn verdicts(fail_on: &[FailOn]) -> Vec<Verdict> {
    let verdict = |fail_on: &FailOn| match fail_on {
        FailOn::Regressed => Some(Verdict::Regressed),
        FailOn::Missing => Some(Verdict::Missing),
        FailOn::Degenerate => None,
    };
    fail_on.iter().filter_map(verdict).collect()
}

/// The worst thing that was asked for comes first.
fn exit(comparison: &Comparison, fail_on: &[FailOn]) -> Exit {
    let asked = |what| fail_on.contains(&what);
    if asked(FailOn::Regressed) && comparison.count(Verdict::Regressed) > 0 {
        Exit::Regression
    } else if asked(FailOn::Missing) && comparison.count(Verdict::Missing) > 0 {
        Exit::Incomplete
    } else if asked(FailOn::Degenerate) && comparison.has_more_degenerate() {
        Exit::Degenerate
    } else {
        Exit::Done
    }
}

fn print(comparison: &Comparison) {
    let percent =
        |mean: Option<f64>| mean.map_or("–".to_owned(), |mean| format!("{:.2}", 100.0 * mean));
    let row = |change: &Change| {
        let mut row = Map::new();
        let mut cell = |name: &str, text: String| row.insert(name.to_owned(), text.into());
        cell("verdict", change.verdict.as_str().to_owned());
        cell("model", change.model.clone());
        cell("method", change.method.clone());
        cell("metric", change.metric.clone());
        cell("baseline", percent(change.base));
        cell("now", percent(change.new));
        let difference = change.difference;
        let size = difference.map_or("–".to_owned(), |difference| {
            let [mean, lo, hi] = [difference.mean, difference.lo, difference.hi].map(|x| 100.0 * x);
            format!("{mean:+.2} [{lo:+.2}, {hi:+.2}]")
        });
        cell("change", size);
        cell("p", difference.map_or("–".to_owned(), |d| format!("{:.4}", d.p_holm)));
        Value::Object(row)
    };
    let mut changes: Vec<&Change> = comparison.changes.iter().collect();
    changes.sort_by_key(|change| change.verdict);
    table::print(&changes.into_iter().map(row).collect::<Vec<_>>());
    for loss in &comparison.losses {
        let [old, new] = loss.degenerate;
        let [old_failed, new_failed] = loss.failed;
        println!(
            "{} of {}: {old} degenerate maps, now {new}; {old_failed} failed rows, now {new_failed}",
            loss.method, loss.model
        );
    }
    for difference in &comparison.differences {
        println!("different: {difference}");
    }
    let counts: Vec<String> = Verdict::ALL
        .into_iter()
        .map(|verdict| format!("{} {}", comparison.count(verdict), verdict.as_str()))
        .collect();
    println!("{}", counts.join(", "));
}
