//! `cambench compare`: the regression gate.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use cam_results::{
    Error, Run, RunManifest,
    gate::{
        self, Baselines, Change, Comparison, Fault, Limits, Side, Threshold, Uncompared, Verdict,
    },
    write_bytes,
};
use serde_json::{Map, Value, json};

use crate::{
    args::{CompareArgs, FailOn, GateArgs, Renamed},
    described,
    exit::{Exit, Unusable, Usage},
    table,
};

/// What a run is called that is not there yet.
const NEW: &str = "the new run";

pub(crate) fn compare(args: &CompareArgs) -> Result<Exit> {
    let compared = gate(&args.base, &args.new, &args.gate)?;
    compared.print(args.json)?;
    Ok(compared.exit)
}

/// A comparison whose files are written, and that is still to be printed.
pub(crate) struct Compared {
    comparison: Comparison,
    pub(crate) exit: Exit,
    prints_markdown: bool,
}

impl Compared {
    /// Says how it ends. Whoever reads that may stop reading, which ends the program: so it comes last.
    pub(crate) fn print(&self, as_json: bool) -> Result<()> {
        if self.prints_markdown {
            print!("{}", gate::markdown(&self.comparison));
        }
        if as_json {
            let mut value = serde_json::to_value(&self.comparison)?;
            value["exit_code"] = json!(self.exit as u8);
            println!("{}", serde_json::to_string_pretty(&value)?);
        } else if !self.prints_markdown {
            print(&self.comparison);
        }
        Ok(())
    }
}

/// Before a run is computed for nothing: that its baseline is there. However the run ends, files of an earlier comparison
/// say from now on that nothing was compared.
pub(crate) fn begin(base: &str, args: &GateArgs) -> Result<()> {
    told(find(base, args.baselines()).map(drop), [base, NEW], args)?;
    let reason = "the run ended before the comparison; its log says why";
    let uncompared = Uncompared { base, new: NEW, reason };
    // Neither a pipe, which would keep what is written, nor a new file, which may be meant to lie in the run's folder.
    let old = files(args).map(|path| path.filter(|path| path.is_file()));
    write(old, &uncompared.markdown(), &uncompared.junit())
}

/// Compares, and writes the files that were asked for: where that is not possible, they say so.
pub(crate) fn gate(base: &str, new: &str, args: &GateArgs) -> Result<Compared> {
    let comparison = told(compared(base, new, args), [base, new], args)?;
    let fails = faults(&args.fail_on);
    write(files(args), &gate::markdown(&comparison), &gate::junit(&comparison, &fails))?;
    let exit = exit(&comparison, &fails);
    Ok(Compared { comparison, exit, prints_markdown: prints_markdown(args) })
}

fn compared(base: &str, new: &str, args: &GateArgs) -> Result<Comparison> {
    let runs = [find(base, args.baselines())?, find(new, args.baselines())?];
    let [old_run, new_run] = [Run::read(&runs[0])?, Run::read(&runs[1])?];
    finished(&old_run).with_context(|| {
        format!(
            "`{base}` cannot be a baseline before its run is finished; finish it, or give another one"
        )
    })?;
    let limits = limits(args)?;
    check_sizes(&limits, &old_run)?;
    Ok(gate::compare(Side::of(base, &old_run), Side::of(new, &new_run), &limits)?)
}

/// An error as it is, once the files that were asked for say it: those of an earlier comparison must not be taken for
/// this one.
fn told<T>(result: Result<T>, [base, new]: [&str; 2], args: &GateArgs) -> Result<T> {
    result.inspect_err(|error| {
        let reason = described(error);
        let uncompared = Uncompared { base, new, reason: &reason };
        let markdown = uncompared.markdown();
        if let Err(unwritten) = write(files(args), &markdown, &uncompared.junit()) {
            eprintln!("error: {}", described(&unwritten));
        }
        if prints_markdown(args) {
            print!("{markdown}");
        }
    })
}

/// The files that were asked for: Markdown and JUnit.
fn files(args: &GateArgs) -> [Option<&PathBuf>; 2] {
    [args.markdown.as_ref().filter(|_| !prints_markdown(args)), args.junit.as_ref()]
}

/// Writes Markdown and JUnit: both, also where one of them cannot be written.
fn write(files: [Option<&PathBuf>; 2], markdown: &str, junit: &str) -> Result<()> {
    let write = |path: Option<&PathBuf>, text: &str| {
        path.map_or(Ok(()), |path| write_bytes(path, text.as_bytes()))
    };
    let written = [write(files[0], markdown), write(files[1], junit)];
    Ok(written.into_iter().collect::<Result<(), Error>>()?)
}

/// Whether the Markdown goes to the standard output.
fn prints_markdown(args: &GateArgs) -> bool {
    args.markdown.as_deref() == Some(Path::new("-"))
}

/// That a run of this plan could be compared, before it is computed for nothing.
pub(crate) fn check(base: &str, new: &RunManifest, args: &GateArgs) -> Result<()> {
    let checked = || {
        let run = Run::read(&find(base, args.baselines())?)?;
        let limits = limits(args)?;
        check_sizes(&limits, &run)?;
        Ok(gate::check(run.manifest(), new, &limits)?)
    };
    told(checked(), [base, NEW], args)
}

fn limits(args: &GateArgs) -> Result<Limits> {
    let max_drop = args.max_drop.iter().map(|drop| (drop.metric.clone(), drop.size));
    let mut renamed = BTreeMap::new();
    for Renamed { old, new } in &args.renamed {
        if renamed.insert(old.clone(), new.clone()).is_some_and(|other| other != *new) {
            return Err(Usage(format!("--renamed gives {old} two names")).into());
        }
    }
    Ok(Limits {
        noise: args.noise.unwrap_or(Limits::default().noise),
        max_drop: max_drop.collect(),
        renamed,
    })
}

/// That no limit allows whatever scores in [0, 1] can do: `1` is a hundred points, and `1%` was meant. Nor that a score may
/// halve or double unnoticed.
fn check_sizes(limits: &Limits, base: &Run) -> Result<()> {
    let sizes = limits.max_drop.iter().map(|(metric, size)| (format!("--max-drop {metric}"), size));
    let mut sizes = sizes.chain([("--noise".to_owned(), &limits.noise)]);
    if let Some((option, size)) =
        sizes.find(|(_, size)| matches!(size, Threshold::Relative(share) if *share >= 1.0))
    {
        return Err(Usage(format!(
            "{option}: {size} of the baseline's mean allows a score to vanish; give less than 100%"
        ))
        .into());
    }
    let metrics = &base.manifest().metrics;
    let is_share = |i: usize| {
        let mut values =
            base.records().iter().filter_map(|record| record.metrics.get(i).copied()?);
        values.all(|value| (0.0..=1.0).contains(&value))
    };
    let allows_all = |size: &Threshold| matches!(size, Threshold::Absolute(size) if *size >= 1.0);
    let too_large = limits.max_drop.iter().find(|(metric, size)| {
        let place = metrics.iter().position(|entry| entry.name == **metric);
        allows_all(size) && (*metric == "adcc" || place.is_some_and(is_share))
    });
    let of_all = allows_all(&limits.noise) && (0..metrics.len()).all(is_share);
    let (option, size) = match too_large {
        Some((metric, size)) => (format!("--max-drop {metric}"), size),
        None if of_all => ("--noise".to_owned(), &limits.noise),
        None => return Ok(()),
    };
    let Threshold::Absolute(size) = size else { return Ok(()) };
    Err(Usage(format!(
        "{option}: {size} is {} points, and no score in [0, 1] can change by more; {size}% is a share of the baseline's \
         mean, and {} so many points",
        100.0 * size,
        size / 100.0
    ))
    .into())
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
        format!("baselines are {}", names.join(", "))
    };
    Err(Unusable(format!("`{name}` is neither a run's folder nor a baseline; {known}")).into())
}

/// That a run has all its rows.
fn finished(run: &Run) -> Result<(), Error> {
    match run.n_missing() {
        0 => Ok(()),
        missing => Err(Error::Incomplete {
            folder: run.folder().to_owned(),
            missing,
            planned: run.manifest().n_rows(),
        }),
    }
}

/// All of them where none is named.
fn faults(fail_on: &[FailOn]) -> Vec<Fault> {
    let fault = |fail_on: &FailOn| match fail_on {
        FailOn::Regressed => Fault::Regressed,
        FailOn::Missing => Fault::Missing,
        FailOn::Degenerate => Fault::Degenerate,
    };
    let all = [FailOn::Regressed, FailOn::Missing, FailOn::Degenerate];
    let asked = if fail_on.is_empty() { &all[..] } else { fail_on };
    asked.iter().map(fault).collect()
}

/// The worst thing that was asked for comes first.
fn exit(comparison: &Comparison, fails: &[Fault]) -> Exit {
    let exits = [
        (Fault::Regressed, Exit::Regression),
        (Fault::Missing, Exit::Incomplete),
        (Fault::Degenerate, Exit::Degenerate),
    ];
    let is_found = |(fault, _): &(Fault, Exit)| fails.contains(fault) && comparison.has(*fault);
    exits.into_iter().find(is_found).map_or(Exit::Done, |(_, exit)| exit)
}

fn print(comparison: &Comparison) {
    let percent =
        |mean: Option<f64>| mean.map_or("–".to_owned(), |mean| format!("{:.2}", 100.0 * mean));
    let row = |change: &Change| {
        let mut row = Map::new();
        let mut cell = |name: &str, text: String| row.insert(name.to_owned(), text.into());
        cell("verdict", change.verdict.as_str().to_owned());
        cell("model", change.model.clone());
        let control = if change.is_control { " (control)" } else { "" };
        cell("method", format!("{}{control}", change.method));
        cell("metric", change.metric.clone());
        cell("baseline", percent(change.base));
        cell("now", percent(change.new));
        let difference = change.difference;
        cell("change", difference.map_or("–".to_owned(), |difference| difference.points()));
        cell("p", difference.map_or("–".to_owned(), |d| cam_results::p_value(d.p_holm)));
        cell("n", difference.map_or("–".to_owned(), |d| d.n.to_string()));
        Value::Object(row)
    };
    let mut changes: Vec<&Change> = comparison.changes.iter().collect();
    changes.sort_by_key(|change| change.verdict);
    table::print(&changes.into_iter().map(row).collect::<Vec<_>>());
    for loss in &comparison.losses {
        println!("{} of {}: {loss}", loss.method, loss.model);
    }
    for unscored in &comparison.unscored {
        println!("{unscored}");
    }
    for classified in &comparison.classified {
        println!("{classified}");
    }
    for retargeted in &comparison.retargeted {
        println!("caution: {retargeted}");
    }
    for difference in &comparison.differences {
        println!("different: {difference}");
    }
    let counts: Vec<String> = Verdict::ALL
        .into_iter()
        .map(|verdict| format!("{} {}", comparison.count(verdict), verdict.as_str()))
        .collect();
    println!("{}{}", counts.join(", "), comparison.losses_in_words());
    if !comparison.moved_controls().is_empty() {
        println!("{}", gate::OF_CONTROLS);
    }
    if let Some(sentence) = comparison.blind_spot() {
        println!("{sentence}");
    }
}
