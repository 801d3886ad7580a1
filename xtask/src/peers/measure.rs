//! The rounds: everyone does the same job in turn, and each turn is a row.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Error, Result, ensure};
use serde_json::{Value, json};

use super::jobs::{Contender, OURS};
use super::rows::{Failure, Row, Rows};
use super::worker::{self, Worker};
use super::{Cell, Options, machine, shared, tables, write};

/// Seconds that a turn of a short job fills.
const AT_LEAST: f64 = 0.3;
/// A round that takes longer is long: fewer rounds will do, and what no goal is about takes part in the first alone.
const LONG_ROUND: f64 = 60.0;
const MOST_ROUNDS: u32 = 15;

/// Measures what is missing, and writes the tables.
pub(super) fn run(options: &Options, binary: &Path, python: &Path) -> Result<()> {
    let folder = shared()?;
    let mut workers =
        Workers { options, binary, python, folder: &folder, running: BTreeMap::new() };
    let versions = workers.of(STOCK)?.ask(&json!({ "job": "versions" }))?["versions"].clone();
    let about = machine::keep(&options.file("json"), &machine::describe(options, &versions))?;
    let mut rows = Rows::open(&options.file("csv"))?;
    let mut failures = Vec::new();
    let mut models: tables::Models = Vec::new();
    let cells = options.cells();
    for (i, cell) in cells.iter().enumerate() {
        if models.iter().all(|(model, _)| *model != cell.model) {
            let request = json!({ "job": "export", "model": cell.model });
            models.push((cell.model.clone(), workers.of("f32")?.ask(&request)?));
        }
        eprintln!("[{}/{}] {}, {}", i + 1, cells.len(), cell.job.title, cell.model);
        measure(options, cell, &mut workers, &mut rows, &mut failures)
            .with_context(|| format!("{} of {}", cell.job.name, cell.model))?;
        let report = tables::report(options, &models, &about, rows.all(), &failures);
        write(&options.file("md"), &report)?;
    }
    eprintln!("written: {}", options.file("md").display());
    let wrong = tables::disagreements(options, rows.all());
    ensure!(wrong.is_empty(), "not everyone computed the same:\n{}", wrong.join("\n"));
    Ok(())
}

/// The missing turns of one cell.
fn measure(
    options: &Options,
    cell: &Cell,
    workers: &mut Workers<'_>,
    rows: &mut Rows,
    failures: &mut Vec<Failure>,
) -> Result<()> {
    let mut contenders = cell.job.contenders(options.device);
    let mut reference: Option<Vec<f64>> = None;
    let mut round = 1;
    while round <= n_rounds(options, cell, rows.all()) {
        let is_long = round > 1 && cost(options, cell, rows.all()) > LONG_ROUND;
        for contender in turns(&contenders, round) {
            if is_long && contender.variant == "tuned"
                || is_there(cell, contender, round, rows.all())
            {
                continue;
            }
            let is_reference = contender == contenders[0];
            if reference.is_none() && !is_reference {
                // An earlier run did our turn, and only its time is known.
                reference = Some(workers.turn(cell, contenders[0])?.map_err(Error::msg)?.1);
            }
            let (secs, check) = match workers.turn(cell, contender)? {
                Ok(turn) => turn,
                Err(error) if contender.is_ours() => return Err(Error::msg(error)),
                Err(error) => {
                    eprintln!("  {} {} fails:\n{error}", contender.peer, contender.variant);
                    failures.push(Failure {
                        job: cell.job.name,
                        model: cell.model.clone(),
                        contender,
                        // The last line of a traceback says what it was.
                        reason: error.trim_end().lines().last().unwrap_or_default().to_owned(),
                    });
                    contenders.retain(|other| *other != contender);
                    continue;
                }
            };
            let difference = (contender.peer == OURS || !contender.is_ours())
                .then(|| difference(reference.as_ref().unwrap_or(&check), &check))
                .filter(|_| !is_reference);
            if is_reference {
                reference = Some(check);
            }
            eprintln!("  {round} {} {} {secs:.4} s", contender.peer, contender.variant);
            rows.append(Row {
                job: cell.job.name.to_owned(),
                model: cell.model.clone(),
                peer: contender.peer.to_owned(),
                variant: contender.variant.to_owned(),
                round,
                secs,
                difference,
            })?;
        }
        round += 1;
    }
    Ok(())
}

/// The order of a round: every contender once, another one first each time.
fn turns(contenders: &[Contender], round: u32) -> Vec<Contender> {
    let first = (round as usize - 1) % contenders.len();
    contenders[first..].iter().chain(&contenders[..first]).copied().collect()
}

/// As many rounds as fill the cell's time, judged by the first; that one always comes.
fn n_rounds(options: &Options, cell: &Cell, rows: &[Row]) -> u32 {
    let cost = cost(options, cell, rows);
    if let Some(rounds) = options.rounds {
        return rounds;
    }
    if cost == 0.0 {
        return 1;
    }
    let least = if cost > LONG_ROUND { 2 } else { 3 };
    ((options.time_of_a_cell().as_secs_f64() / cost) as u32).clamp(least, MOST_ROUNDS)
}

/// Seconds that the first round took, as far as it is there.
fn cost(options: &Options, cell: &Cell, rows: &[Row]) -> f64 {
    let first = rows.iter().filter(|row| cell.is_of(row) && row.round == 1);
    let runs_once = cell.job.runs_once(options.device);
    // A turn of a short job warms up, and fills its time.
    first.map(|row| if runs_once { row.secs } else { row.secs + row.secs.max(AT_LEAST) }).sum()
}

fn is_there(cell: &Cell, contender: Contender, round: u32, rows: &[Row]) -> bool {
    rows.iter().any(|row| {
        cell.is_of(row)
            && row.round == round
            && (row.peer.as_str(), row.variant.as_str()) == (contender.peer, contender.variant)
    })
}

/// The largest difference of two lists of numbers; infinite where they are of different lengths or not numbers.
fn difference(ours: &[f64], theirs: &[f64]) -> f64 {
    if ours.len() != theirs.len() {
        return f64::INFINITY;
    }
    let largest = |most: f64, (a, b): (&f64, &f64)| {
        let difference = (a - b).abs();
        if difference.is_nan() { f64::INFINITY } else { most.max(difference) }
    };
    ours.iter().zip(theirs).fold(0.0, largest)
}

/// The processes, started when they are first needed.
struct Workers<'a> {
    options: &'a Options,
    binary: &'a Path,
    python: &'a Path,
    folder: &'a Path,
    running: BTreeMap<&'static str, Worker>,
}

/// Seconds, and the numbers to compare.
type Turn = (f64, Vec<f64>);

const STOCK: &str = "stock";
/// The process of `openvino-xai`, whose threads are not to meet torch's.
const OPENVINO: &str = "openvino";

impl Workers<'_> {
    fn of(&mut self, name: &'static str) -> Result<&mut Worker> {
        if !self.running.contains_key(name) {
            let (device, threads) = (self.options.device.name(), self.options.threads);
            let mut command: Command = match name {
                "f32" | "tf32" | "bf16" => {
                    worker::ours(self.binary, self.folder, device, threads, name)
                }
                OPENVINO => worker::python(self.python, self.folder, device, threads, STOCK),
                _ => worker::python(self.python, self.folder, device, threads, name),
            };
            self.running.insert(name, Worker::start(name, &mut command)?);
        }
        Ok(self.running.get_mut(name).expect("just started"))
    }

    /// One turn: seconds, and the numbers to compare; or what the worker says went wrong.
    fn turn(&mut self, cell: &Cell, contender: Contender) -> Result<Result<Turn, String>> {
        let worker = if contender.peer == "openvino-xai" { OPENVINO } else { contender.variant };
        let runs_once = cell.job.runs_once(self.options.device);
        let answer = self.of(worker)?.try_ask(&json!({
            "job": cell.job.name,
            "model": cell.model,
            "peer": contender.peer,
            "at_least": if runs_once { 0.0 } else { AT_LEAST },
        }))?;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Ok(Err(error)),
        };
        let numbers = answer["check"].as_array().map(Vec::as_slice).unwrap_or_default();
        let secs = answer["secs"].as_f64().filter(|secs| *secs > 0.0);
        ensure!(secs.is_some(), "the worker {worker} answered without a time: {answer}");
        Ok(Ok((secs.unwrap_or_default(), numbers.iter().map(number).collect())))
    }
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::super::jobs::{self, Device};
    use super::*;

    fn cell() -> Cell {
        Cell { job: jobs::by_name("rise").unwrap().1, model: "resnet50".to_owned() }
    }

    fn rows(secs: f64) -> Vec<Row> {
        let row = |contender: Contender| Row {
            job: "rise".to_owned(),
            model: "resnet50".to_owned(),
            peer: contender.peer.to_owned(),
            variant: contender.variant.to_owned(),
            round: 1,
            secs,
            difference: None,
        };
        cell().job.contenders(Device::Cpu).into_iter().map(row).collect()
    }

    fn options(args: &[&str]) -> Options {
        Options::parse(&args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn every_round_begins_with_another_one_and_leaves_out_none() {
        let contenders = cell().job.contenders(Device::Cpu);
        let firsts: Vec<Contender> =
            (1..=contenders.len() as u32).map(|round| turns(&contenders, round)[0]).collect();
        assert_eq!(firsts, contenders);
        for round in 1..9 {
            let mut turns = turns(&contenders, round);
            turns.sort();
            let mut all = contenders.clone();
            all.sort();
            assert_eq!(turns, all);
        }
    }

    #[test]
    fn rounds_fill_the_time_and_are_never_too_few_or_too_many() {
        let one = options(&["--minutes", "2", "--jobs", "rise", "--models", "resnet50"]);
        assert_eq!(n_rounds(&one, &cell(), &[]), 1);
        // Four contenders: rounds of 10, 30, 400 and 0.04 seconds in a minute.
        for (secs, expected) in [(2.5, 6), (7.5, 3), (100.0, 2), (0.01, 15)] {
            assert_eq!(n_rounds(&one, &cell(), &rows(secs)), expected, "{secs}");
        }
        assert_eq!(n_rounds(&options(&["--rounds", "4"]), &cell(), &rows(100.0)), 4);
    }

    #[test]
    fn a_turn_that_was_measured_is_not_measured_again() {
        let rows = rows(1.0);
        let contender = Contender { peer: "authors", variant: "stock" };
        assert!(is_there(&cell(), contender, 1, &rows));
        assert!(!is_there(&cell(), contender, 2, &rows));
        let other = Cell { model: "resnet18".to_owned(), ..cell() };
        assert!(!is_there(&other, contender, 1, &rows));
    }

    #[test]
    fn numbers_that_are_none_or_missing_differ_from_everything() {
        assert!((difference(&[1.0, 2.0], &[1.5, 2.0]) - 0.5).abs() < 1e-12);
        assert!(difference(&[1.0], &[f64::NAN]).is_infinite());
        assert!(difference(&[1.0], &[]).is_infinite());
    }
}
