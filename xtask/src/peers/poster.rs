//! The speed claims of the Recipro-CAM poster, measured on one engine: seconds and passes a map, for every method and
//! backbone of its table.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::jobs::Device;
use super::rows::median;
use super::tables::{line, seconds};
use super::worker::{self, Worker};
use super::{Options, machine, shared, write};

/// The backbones of the poster's table.
const MODELS: [&str; 6] =
    ["vgg16", "resnet18", "resnet50", "resnet101", "resnext50_32x4d", "resnext101_32x8d"];
/// So many that all backbones together take minutes; the time is linear in it.
const N_MASKS: u32 = 500;
/// Turns of a method whose one map takes less than `AT_MOST` seconds.
const TURNS: usize = 5;
const AT_MOST: f64 = 2.0;
const HEADER: &str = "model,method,secs,turns,forwards,head_forwards,backwards,executed_forwards";

/// What the poster claims: how many times as slow as another method a method is.
const CLAIMS: [(&str, &str, f64); 3] = [
    ("grad_cam", "recipro_cam", 1.2),
    ("score_cam", "recipro_cam", 147.8),
    ("score_cam", "cam", 127.0),
];

/// Name of the line, method, and its options.
fn methods() -> [(&'static str, &'static str, Value); 8] {
    let none = || json!({});
    [
        ("cam", "cam", none()),
        ("grad_cam", "grad_cam", none()),
        ("grad_cam_pp", "grad_cam_pp", none()),
        ("smooth_grad_cam_pp", "smooth_grad_cam_pp", none()),
        ("score_cam", "score_cam", none()),
        ("rise", "rise", json!({ "n_masks": N_MASKS })),
        ("recipro_cam", "recipro_cam", none()),
        ("recipro_cam_softmax", "recipro_cam", json!({ "score": "softmax" })),
    ]
}

/// One method on one backbone.
#[derive(Clone, Debug, PartialEq)]
struct Cell {
    secs: f64,
    turns: usize,
    /// Forwards, head forwards and backwards that the definition needs, and forwards that were run.
    passes: [u64; 4],
}

type Cells = BTreeMap<(String, String), Cell>;

/// Measures what is missing, and writes the table.
pub(super) fn run(options: &Options, binary: &Path) -> Result<()> {
    let path = options.out.join("poster.csv");
    let table = options.out.join("poster.md");
    let device = options.device;
    let mut cells = read(&path)?;
    if options.tables {
        let about = machine::kept(&options.out.join("poster.json"))?;
        return write(&table, &report(&cells, &about));
    }
    let folder = shared()?;
    let about = machine::describe(options, &json!({}));
    let about = machine::keep(&options.out.join("poster.json"), &about)?;
    let mut command = worker::ours(binary, &folder, options.device.name(), options.threads, "f32");
    let mut worker = Worker::start("f32", &mut command)?;
    for model in MODELS {
        let is_missing = |name: &str| !cells.contains_key(&(model.to_owned(), name.to_owned()));
        let suits = |name: &str| name != "cam" || !model.starts_with("vgg");
        let missing: Vec<_> =
            methods().into_iter().filter(|(name, ..)| suits(name) && is_missing(name)).collect();
        if !missing.is_empty() {
            worker.ask(&json!({ "job": "export", "model": model }))?;
        }
        for (name, method, options) in missing {
            let cell = measure(&mut worker, device, model, method, &options)?;
            eprintln!("{model} {name} {:.3} s", cell.secs);
            cells.insert((model.to_owned(), name.to_owned()), cell);
            write(&path, &csv(&cells))?;
            write(&table, &report(&cells, &about))?;
        }
    }
    eprintln!("written: {}", table.display());
    Ok(())
}

fn measure(
    worker: &mut Worker,
    device: Device,
    model: &str,
    method: &str,
    options: &Value,
) -> Result<Cell> {
    let mut ask = || -> Result<(f64, Value)> {
        let answer = worker.ask(&json!({
            "job": "poster", "model": model, "method": method, "options": options, "at_least": 0.0,
        }))?;
        let secs = answer["secs"].as_f64().context("an answer without a time")?;
        Ok((secs, answer["passes"].clone()))
    };
    let (first, passes) = ask()?;
    let mut secs = vec![first];
    if first < AT_MOST || device == Device::Cuda {
        secs.clear(); // it has warmed up
        for _ in 0..TURNS {
            secs.push(ask()?.0);
        }
    }
    let count = |key: &str| passes[key].as_u64().with_context(|| format!("no `{key}` of {method}"));
    Ok(Cell {
        turns: secs.len(),
        secs: median(secs).unwrap_or_default(),
        passes: [
            count("forwards")?,
            count("head_forwards")?,
            count("backwards")?,
            count("executed_forwards")?,
        ],
    })
}

fn read(path: &Path) -> Result<Cells> {
    if !path.exists() {
        return Ok(Cells::new());
    }
    let context = || format!("reading {}", path.display());
    let text = std::fs::read_to_string(path).with_context(context)?;
    let mut lines = text.lines().zip(1..);
    ensure!(
        lines.next().is_some_and(|(line, _)| line == HEADER),
        "{} does not begin with {HEADER}",
        path.display()
    );
    lines
        .map(|(line, number)| {
            parse(line).with_context(|| format!("{}:{number}: `{line}`", path.display()))
        })
        .collect()
}

fn parse(line: &str) -> Option<((String, String), Cell)> {
    let fields: Vec<&str> = line.split(',').collect();
    let [model, method, secs, turns, passes @ ..] = &fields[..] else { return None };
    let passes: Vec<u64> =
        passes.iter().map(|number| number.parse().ok()).collect::<Option<_>>()?;
    let cell = Cell {
        secs: secs.parse().ok()?,
        turns: turns.parse().ok()?,
        passes: passes.try_into().ok()?,
    };
    Some((((*model).to_owned(), (*method).to_owned()), cell))
}

fn csv(cells: &Cells) -> String {
    let mut text = format!("{HEADER}\n");
    for ((model, method), Cell { secs, turns, passes }) in cells {
        let passes = passes.map(|number| number.to_string()).join(",");
        let _ = writeln!(text, "{model},{method},{secs:.7},{turns},{passes}");
    }
    text
}

fn report(cells: &Cells, about: &Value) -> String {
    let cell = |model: &str, name: &str| cells.get(&(model.to_owned(), name.to_owned()));
    let dash = || "–".to_owned();
    let mut text = format!(
        "# The poster's speed claims on one engine\n\n`cargo xtask peers --poster`: one photograph, seeded random weights, \
         single precision, the whole map from the clean forward on; the median of {TURNS} where a map takes less than \
         {AT_MOST} s, else once. RISE with {N_MASKS} masks. {}\n\n",
        machine::sentence(about)
    );
    text += "## Time of a map\n\n";
    text += &line(["Method"].iter().chain(&MODELS));
    text += &line(["---"; 1 + MODELS.len()]);
    for (name, ..) in methods() {
        let times =
            MODELS.map(|model| cell(model, name).map_or_else(dash, |cell| seconds(cell.secs)));
        text += &line([name.to_owned()].into_iter().chain(times));
    }
    text += "\n## Passes of a map\n\n";
    text += &line(["Method"].iter().chain(&MODELS));
    text += &line(["---"; 1 + MODELS.len()]);
    for (name, ..) in methods() {
        let passes =
            MODELS.map(|model| cell(model, name).map_or_else(dash, |cell| passes(cell.passes)));
        text += &line([name.to_owned()].into_iter().chain(passes));
    }
    text += "\nForwards, + backwards (b) and passes through the head alone (h) that the definition needs; in parentheses \
             the forwards that were run after the clean one, which all methods share.\n\n## The claims\n\n";
    text += &line(["Ratio", "Claimed"].iter().chain(&MODELS));
    text += &line(["---"; 2 + MODELS.len()]);
    for (slow, fast, claimed) in CLAIMS {
        let ratios = MODELS.map(|model| match (cell(model, slow), cell(model, fast)) {
            (Some(slow), Some(fast)) => format!("{:.1}×", slow.secs / fast.secs),
            _ => dash(),
        });
        let claim = [format!("{slow} to {fast}"), format!("{claimed}×")];
        text += &line(claim.into_iter().chain(ratios));
    }
    text += "\nThe claims compared the authors' Recipro-CAM with methods of torch-cam at batch 1 with the loading of the \
             images included, in a script whose committed state runs Recipro-CAM and Grad-CAM on ResNet-101 and the others \
             on ResNet-50, and CAM, whose work is a part of Recipro-CAM's, would by them be the slower of the two.\n";
    text
}

/// `1 + 1b`, `2049 (1290)`, `1 + 49h`.
fn passes([forwards, head_forwards, backwards, executed]: [u64; 4]) -> String {
    let mut text = forwards.to_string();
    if backwards > 0 {
        let _ = write!(text, " + {backwards}b");
    }
    if head_forwards > 0 {
        let _ = write!(text, " + {head_forwards}h");
    }
    if executed > 0 {
        let _ = write!(text, " ({executed})");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells() -> Cells {
        let cell = |model: &str, method: &str, secs, passes| {
            ((model.to_owned(), method.to_owned()), Cell { secs, turns: 5, passes })
        };
        Cells::from([
            cell("resnet50", "cam", 0.5, [1, 0, 0, 0]),
            cell("resnet50", "recipro_cam", 0.5, [1, 49, 0, 0]),
            cell("resnet50", "score_cam", 50.0, [2049, 0, 0, 1291]),
            cell("resnet50", "grad_cam", 0.6, [1, 0, 1, 0]),
        ])
    }

    #[test]
    fn a_table_that_was_cut_off_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("poster.csv");
        assert!(read(&path).unwrap().is_empty());
        write(&path, &csv(&cells())).unwrap();
        assert_eq!(read(&path).unwrap(), cells());
        std::fs::write(&path, format!("{HEADER}\nresnet50,cam,1\n")).unwrap();
        assert!(format!("{:#}", read(&path).unwrap_err()).contains("poster.csv:2"));
    }

    #[test]
    fn ratios_and_passes_stand_beside_the_claims() {
        let text = report(&cells(), &json!({}));
        for expected in [
            "| cam | – | – | 500 ms | – | – | – |",
            "| score_cam | – | – | 2049 (1291) | – | – | – |",
            "| recipro_cam | – | – | 1 + 49h | – | – | – |",
            "| grad_cam | – | – | 1 + 1b | – | – | – |",
            "| grad_cam to recipro_cam | 1.2× | – | – | 1.2× | – | – | – |",
            "| score_cam to recipro_cam | 147.8× | – | – | 100.0× | – | – | – |",
            "| score_cam to cam | 127× | – | – | 100.0× | – | – | – |",
        ] {
            assert!(text.contains(expected), "{expected}\n{text}");
        }
    }
}
