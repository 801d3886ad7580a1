//! `report.html`: one file that needs no network, where people look at a run.
//!
//! The words and the tables are made here, by a template that escapes whatever it is given; the page reads without its
//! script. Charts are drawn by `templates/report.js` from the data that lies in the page. Styles, script and data are in
//! the file, and its content security policy keeps it from asking for anything else, or running any other script.

mod agreement;
mod choice;
mod data;

use base64::{Engine, prelude::BASE64_STANDARD};
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;
use sha2::{Digest, Sha256};

pub use choice::{Choice, chosen_images};

use crate::{
    Accuracy, Better, Cell, Error, Estimate, MethodEntry, Picture, Preset, Record, Result, Run,
    Status, Summary,
    format::{self, label},
    of_networks,
    preset::{Group, grouped},
    report, sections,
    stats::{self, Beaten, Best, Contrast},
    summary::cells_of,
};

/// How many degenerate and failed rows the page lists.
const N_LISTED: usize = 1000;

/// A chosen image with its pictures, as far as they are at hand.
pub struct Shown {
    /// The model's name in the sweep.
    pub model: String,
    /// The image's path relative to the data set's root.
    pub image: String,
    /// As the network sees it, before normalization; `None` where the file is not at hand.
    pub photo: Option<Picture>,
    /// What the explained class is called.
    pub class: Option<String>,
    /// Height and width of the maps.
    pub size: [u32; 2],
    /// `[height, width]` in `[0, 1]`, one per method of the manifest; `None` where there is none or it says nothing.
    pub maps: Vec<Option<Vec<f32>>>,
}

impl Shown {
    /// A method's map: over the photograph, or alone where that is not at hand.
    fn map(&self, method: usize) -> Option<Picture> {
        let map = self.maps.get(method)?.as_ref()?;
        Some(match &self.photo {
            Some(photo) => photo.overlay(map),
            None => Picture::of_map(self.size, map),
        })
    }
}

/// The page of a run, complete or not. `shown` has the pictures of [`chosen_images`]; `left_out` says in a sentence each
/// what could not be had.
///
/// # Errors
/// Where the run's curves cannot be read.
pub fn report_html(
    run: &Run,
    summary: &Summary,
    shown: &[Shown],
    left_out: &[String],
) -> Result<String> {
    let manifest = run.manifest();
    let script = SCRIPT.trim_end();
    let page = Page {
        title: &manifest.sweep,
        facts: facts(run),
        cautions: report::cautions(run, summary),
        nothing: stats::nothing(summary),
        too_few: stats::too_few(summary),
        worth: stats::worth(summary),
        verdicts: verdicts(&summary.methods, str::to_owned),
        between_models: verdicts(&stats::between_networks(summary), |name| {
            let method = manifest.methods.iter().find(|method| method.name == name);
            method.map_or_else(|| name.to_owned(), label)
        }),
        same: stats::equal(&summary.methods),
        accuracies: of_networks(&summary.accuracies).filter_map(Accuracy::sentence).collect(),
        models: models(run, summary),
        sections: sections::of_run(manifest, summary),
        units: summary.units(),
        has_letters: summary.methods.iter().any(|contrast| !contrast.pairs.is_empty()),
        no_method_above: stats::no_method_above(&summary.methods),
        controls: ControlTable::of(&stats::beaten(&summary.methods, manifest.models.len() > 1)),
        pictures: left_out,
        lead: choice::lead(run).map_or("", |(_, title, _)| title),
        n_bad: bad(run).count(),
        bad: bad(run).take(N_LISTED).collect(),
        definitions: definitions(run),
        provenance: provenance(run),
        config: manifest.config_given.trim_end(),
        command: manifest.command.as_deref(),
        cambench: &manifest.cambench,
        style: include_str!("../../templates/report.css"),
        script,
        script_hash: BASE64_STANDARD.encode(Sha256::digest(script)),
        data: data::data(run, summary, shown)?,
    };
    let mut engine = Environment::new();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    // The name's ending switches escaping on.
    engine
        .render_named_str(
            "report.html",
            include_str!("../../templates/report.html"),
            minijinja::value::Serde(&page),
        )
        .map_err(|error| Error::Draw {
            path: run.folder().join("report.html"),
            message: error.to_string(),
        })
}

const SCRIPT: &str = include_str!("../../templates/report.js");

#[derive(Serialize)]
struct Page<'a> {
    title: &'a str,
    facts: Vec<(&'static str, String)>,
    cautions: Vec<String>,
    nothing: Option<String>,
    too_few: Option<String>,
    /// Each model with what is worth its price there.
    worth: Vec<(String, String)>,
    verdicts: Vec<Verdicts>,
    between_models: Vec<Verdicts>,
    same: Vec<String>,
    accuracies: Vec<String>,
    models: Vec<Model<'a>>,
    sections: Vec<sections::Section>,
    units: &'static str,
    has_letters: bool,
    no_method_above: Option<String>,
    controls: Option<ControlTable>,
    pictures: &'a [String],
    lead: &'a str,
    n_bad: usize,
    bad: Vec<&'a Record>,
    definitions: Vec<[String; 4]>,
    provenance: Vec<[String; 7]>,
    config: &'a str,
    command: Option<&'a str>,
    cambench: &'a str,
    style: &'static str,
    script: &'a str,
    script_hash: String,
    data: String,
}

/// Who is best by every metric, within one model or under one method.
#[derive(Serialize)]
struct Verdicts {
    within: String,
    /// The metric as it heads a column; who is best; and how that stands beside the controls.
    sentences: Vec<(String, String, Option<String>)>,
}

/// By how many methods a metric puts above the controls.
#[derive(Serialize)]
struct ControlTable {
    controls: Vec<String>,
    rows: Vec<ControlRow>,
}

/// A metric as it heads a column, with a cell per control.
type ControlRow = (String, Vec<Option<ControlCell>>);

/// How many methods are better, and the names of the few.
type ControlCell = (String, Option<String>);

impl ControlTable {
    fn of(beaten: &[Beaten]) -> Option<Self> {
        let each_once = |name: fn(&Beaten) -> &String| {
            let mut names: Vec<String> = vec![];
            for name in beaten.iter().map(name) {
                if !names.contains(name) {
                    names.push(name.clone());
                }
            }
            names
        };
        let controls = each_once(|beaten| &beaten.control);
        let cell = |heading: &String, control: &String| {
            let found = beaten
                .iter()
                .find(|beaten| (&beaten.heading, &beaten.control) == (heading, control));
            found.map(|beaten| (beaten.count(), beaten.names()))
        };
        let rows = each_once(|beaten| &beaten.heading).into_iter().map(|heading| {
            let cells = controls.iter().map(|control| cell(&heading, control)).collect();
            (heading, cells)
        });
        let rows = rows.collect();
        (!beaten.is_empty()).then_some(Self { controls, rows })
    }
}

/// The tables of one model.
#[derive(Serialize)]
struct Model<'a> {
    name: &'a str,
    layer: &'a str,
    tables: Vec<Scores>,
    costs: Vec<Cost>,
}

/// A table of scores.
#[derive(Serialize)]
struct Scores {
    title: Option<String>,
    columns: Vec<Column>,
    rows: Vec<Line>,
}

#[derive(Serialize)]
struct Column {
    heading: String,
    /// Whether sorting begins with the largest.
    down: bool,
}

#[derive(Serialize)]
struct Line {
    label: String,
    is_control: bool,
    cells: Vec<Value>,
    n: usize,
    lost: String,
}

/// A cell of the table of scores.
#[derive(Serialize)]
struct Value {
    /// Percent; empty where there is none.
    mean: String,
    interval: String,
    sort: String,
    letters: String,
    /// `first`, `second` or nothing.
    mark: &'static str,
    /// Ends and middle of the interval on the column's scale, in percent of its width.
    at: [String; 3],
}

#[derive(Serialize)]
struct Cost {
    label: String,
    cells: Vec<String>,
}

fn facts(run: &Run) -> Vec<(&'static str, String)> {
    let manifest = run.manifest();
    let threads = manifest.threads;
    let commit = manifest.commit.as_deref().map_or(String::new(), |commit| {
        let short = commit.get(..12).unwrap_or(commit);
        format!(" ({short}{})", if manifest.dirty { ", with changes" } else { "" })
    });
    vec![
        ("Data", format!("{}, {}", manifest.dataset.name, format::counted_images(manifest))),
        ("Explained class", manifest.target.clone()),
        ("Protocol", format::protocol_names(manifest).join(", ")),
        ("Seed", manifest.seeds()),
        ("Device", format!("{}, {}", manifest.device, format::counted(threads, "thread"))),
        ("Made by", format!("cambench {}{commit}", manifest.cambench)),
        ("Finished", manifest.finished.clone().unwrap_or_else(|| "not finished".into())),
    ]
}

fn verdicts(contrasts: &[Contrast], title: impl Fn(&str) -> String) -> Vec<Verdicts> {
    contrasts
        .chunk_by(Contrast::is_beside)
        .map(|group| Verdicts {
            within: title(&group[0].within),
            sentences: group
                .iter()
                .filter_map(|contrast| {
                    let Best { sentence, beside } = stats::best(contrast)?;
                    Some((contrast.heading.clone(), sentence, beside))
                })
                .collect(),
        })
        .filter(|verdicts| !verdicts.sentences.is_empty())
        .collect()
}

fn models<'a>(run: &'a Run, summary: &Summary) -> Vec<Model<'a>> {
    let manifest = run.manifest();
    let of_model = |model: &'a crate::ModelEntry| {
        let cells: Vec<(&MethodEntry, &Cell)> = cells_of(manifest, summary, &model.name).collect();
        let groups = grouped(Preset::All.columns_of(manifest, summary, &cells));
        let name = (manifest.models.len() > 1).then_some(model.network());
        let tables = groups.iter().map(|group| scores(summary, model, &cells, name, group));
        let costs = cells.iter().map(|(method, cell)| Cost {
            label: label(method),
            cells: cell.cost.as_ref().map_or_else(
                || vec![String::new(); 5],
                |cost| {
                    vec![
                        format::number(cost.forwards),
                        format::number(cost.head_forwards),
                        format::number(cost.backwards),
                        format::number(cost.executed_forwards),
                        format!("{:.4}", cost.explain_secs),
                    ]
                },
            ),
        });
        Model {
            name: model.network(),
            layer: &model.layer,
            tables: tables.collect(),
            costs: costs.collect(),
        }
    };
    manifest.models.iter().map(of_model).collect()
}

/// The table of some columns of a model.
fn scores(
    summary: &Summary,
    model: &crate::ModelEntry,
    cells: &[(&MethodEntry, &Cell)],
    name: Option<&str>,
    group: &Group,
) -> Scores {
    let scales: Vec<(f64, f64)> = group
        .columns
        .iter()
        .map(|column| scale(cells.iter().filter_map(|(_, cell)| column.estimate(cell))))
        .collect();
    let rows = cells.iter().map(|(method, cell)| {
        let values = group.columns.iter().zip(&scales).map(|(column, scale)| {
            value(column.estimate(cell), column.contrast(summary, &model.name), method, *scale)
        });
        let lost = format::lost(cell);
        Line {
            label: label(method),
            is_control: method.is_control(),
            cells: values.collect(),
            n: cell.n,
            lost: lost.join(", "),
        }
    });
    Scores {
        title: group.heading(name),
        columns: group
            .columns
            .iter()
            .map(|column| Column {
                heading: column.heading.clone(),
                down: column.better == Better::Higher,
            })
            .collect(),
        rows: rows.collect(),
    }
}

/// From the smallest to the largest end of an interval.
fn scale(estimates: impl Iterator<Item = Estimate>) -> (f64, f64) {
    estimates.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), e| {
        let (least, most) = e.ends();
        (lo.min(least), hi.max(most))
    })
}

fn value(
    estimate: Option<Estimate>,
    contrast: Option<&Contrast>,
    method: &MethodEntry,
    (least, most): (f64, f64),
) -> Value {
    let Some(estimate @ Estimate { mean, .. }) = estimate else {
        return Value {
            mean: String::new(),
            interval: String::new(),
            sort: String::new(),
            letters: String::new(),
            mark: "",
            at: <[String; 3]>::default(),
        };
    };
    let at = |x: f64| {
        let share = if most > least { (x - least) / (most - least) } else { 0.5 };
        format!("{:.1}", 100.0 * share)
    };
    let item = contrast
        .and_then(|contrast| contrast.items.iter().position(|item| item.name == method.name));
    let mark = match contrast {
        Some(contrast) if item.is_some() && contrast.first() == item => "first",
        Some(contrast) if item.is_some() && contrast.second() == item => "second",
        _ => "",
    };
    Value {
        mean: format!("{:.1}", 100.0 * mean),
        interval: estimate
            .interval()
            .map_or(String::new(), |(lo, hi)| format!("{:.1}, {:.1}", 100.0 * lo, 100.0 * hi)),
        sort: format!("{mean:.6}"),
        letters: contrast
            .zip(item)
            .map_or(String::new(), |(contrast, item)| contrast.items[item].letters.clone()),
        mark,
        at: [at(estimate.ends().0), at(mean), at(estimate.ends().1)],
    }
}

fn bad(run: &Run) -> impl Iterator<Item = &Record> {
    run.records().iter().filter(|record| record.status != Status::Ok)
}

fn definitions(run: &Run) -> Vec<[String; 4]> {
    let manifest = run.manifest();
    let row = |name: &str, title: &str, protocol: &str, options: &serde_json::Value| {
        [name.to_owned(), title.to_owned(), protocol.to_owned(), options.to_string()]
    };
    let methods = manifest.methods.iter().map(|m| row(&m.name, &m.title, &m.protocol, &m.options));
    let metrics = manifest.metrics.iter().map(|m| row(&m.name, &m.title, &m.protocol, &m.options));
    methods.chain(metrics).collect()
}

fn provenance(run: &Run) -> Vec<[String; 7]> {
    let of = |model: &crate::ModelEntry| {
        let [channels, height, width] = model.feature_shape;
        [
            model.name.clone(),
            model.architecture.clone(),
            model.layer.clone(),
            format!("{channels} × {height} × {width}"),
            model.precision.clone(),
            model.weights.source.clone(),
            model.weights.sha256.clone().unwrap_or_default(),
        ]
    };
    run.manifest().models.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        Row, RunManifest, Store, synthetic,
        testing::{manifest, many_images, model, rows, with_all_sections},
    };

    /// A synthetic run, whose names hold markup.
    fn run(n_images: usize, n_methods: usize) -> (tempfile::TempDir, Run) {
        let (manifest, rows) = synthetic(n_images, n_methods);
        run_of(manifest, &rows.collect::<Vec<_>>())
    }

    fn run_of(manifest: RunManifest, rows: &[Row]) -> (tempfile::TempDir, Run) {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::create_or_continue(folder.path(), manifest).unwrap();
        store.append_all(rows).unwrap();
        (folder, store.finish("2026-01-02T04:00:00Z").unwrap())
    }

    fn page(run: &Run, shown: &[Shown]) -> String {
        report_html(run, &run.summarize(), shown, &["no <b>file</b>".into()]).unwrap()
    }

    /// What the script reads.
    fn data(page: &str) -> serde_json::Value {
        let start = page.find("id=\"data\">").unwrap() + "id=\"data\">".len();
        let end = start + page[start..].find("</script>").unwrap();
        serde_json::from_str(&page[start..end]).unwrap()
    }

    #[test]
    fn no_name_becomes_markup() {
        let (_folder, run) = run(400, 3);
        let page = page(&run, &[]);
        assert_eq!(page.matches("<script").count(), 2, "the data and the script, and no other");
        assert_eq!(page.matches("</script>").count(), 2);
        for markup in ["<img", "<i>run", "Method <1>", "<b>file", "alert(1)</script>"] {
            assert!(!page.contains(markup), "{markup}");
        }
        for text in [
            "synthetic &lt;i&gt;run&lt;",
            "Method &lt;1&gt;",
            "&lt;img src=x onerror=alert(1)&gt; &amp; ",
        ] {
            assert!(page.contains(text), "{text}");
        }
        let data = data(&page);
        assert_eq!(data["images"][3], "</script><b>3.jpg");
        assert_eq!(data["methods"][1]["label"], "Method <1>");
    }

    #[test]
    fn nothing_but_its_own_script_may_run_and_nothing_is_asked_for() {
        let (_folder, run) = run(5, 2);
        let page = page(&run, &[]);
        let start = page.rfind("<script>").unwrap() + "<script>".len();
        let script = &page[start..start + page[start..].find("</script>").unwrap()];
        let hash = BASE64_STANDARD.encode(Sha256::digest(script));
        assert!(page.contains(&format!(
            "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{hash}'"
        )));
        for address in ["src=\"http", "href=\"http", "url(", "@import", "fetch(", "XMLHttpRequest"]
        {
            assert!(!page.contains(address), "{address}");
        }
        assert!(!script.contains("innerHTML"), "text becomes text nodes");
    }

    #[test]
    fn of_many_images_the_page_holds_a_sample_and_the_means_of_all() {
        let (_folder, run) = run(2400, 5);
        let page = page(&run, &[]);
        let data = data(&page);
        assert_eq!(data["n_images"], 2400);
        let images = data["images"].as_array().unwrap();
        assert_eq!(images.len(), 10_000 / 5);
        assert_eq!(data["values"][4][6].as_array().unwrap().len(), images.len());
        let pair = &data["contrasts"]["methods"][0]["pairs"][0];
        assert!(pair[2].as_u64().unwrap() > 2300, "tests are over all");
        assert_eq!(data, self::data(&self::page(&run, &[])), "the same sample every time");
    }

    #[test]
    fn methods_and_models_are_compared_by_p_alone_and_p_corrected() {
        let (mut manifest, records) = many_images(40);
        manifest.models = vec![model("old"), model("new")];
        let mut rows = vec![];
        for (name, less) in [("old", 0.0), ("new", 0.1)] {
            for mut record in records.clone() {
                record.model = name.into();
                record.metrics[0] = record.metrics[0].map(|drop| drop - less);
                rows.push(Row { record, curves: vec![], map: None });
            }
        }
        let (_folder, run) = run_of(manifest, &rows);
        let data = data(&page(&run, &[]));
        let contrasts = &data["contrasts"];
        let n_pairs = |family: &str| -> usize {
            let contrasts = contrasts[family].as_array().unwrap().iter();
            contrasts.map(|contrast| contrast["pairs"].as_array().unwrap().len()).sum()
        };
        assert_eq!(n_pairs("methods"), 2 * 5 * 3, "models, metrics with ADCC, pairs of methods");
        assert_eq!(n_pairs("models"), 3 * 5, "methods, metrics with ADCC");

        let under_cam = &contrasts["models"][0];
        assert_eq!((&under_cam["within"], &under_cam["items"]), (&json!(0), &json!([0, 1])));
        let pair = &under_cam["pairs"][0];
        assert_eq!(pair[3], 1000.0, "old minus new, in units of 0.01 %");
        let (alone, p) = (pair[6].as_f64().unwrap(), pair[7].as_f64().unwrap());
        assert!(alone < p && p < 0.05, "{pair}");
        assert_eq!(pair[9], true);
    }

    #[test]
    fn the_page_knows_which_two_have_the_same_scores() {
        let (manifest, mut records) = many_images(40);
        for record in &mut records {
            let more = if record.method == "rise" { 0.1 } else { 0.0 };
            record.metrics[0] = Some(0.3 + more);
        }
        let rows = records.into_iter().map(|record| Row { record, curves: vec![], map: None });
        let rows: Vec<Row> = rows.collect();
        let (_folder, run) = run_of(manifest, &rows);
        let data = data(&page(&run, &[]));
        let by_drop = &data["contrasts"]["methods"][0]["pairs"];
        let of = |a: usize, b: usize| {
            let mut pairs = by_drop.as_array().unwrap().iter();
            pairs.find(|pair| pair[0] == a && pair[1] == b).unwrap()[10].clone()
        };
        assert_eq!([of(0, 1), of(0, 2), of(1, 2)], [false, true, false]);
    }

    #[test]
    fn the_page_says_in_words_what_follows() {
        let (_folder, run) = run(200, 4);
        let page = page(&run, &[]);
        assert!(
            page.contains("<dt>ADCC ↑</dt><dd>Method 0 is best with"),
            "{}",
            &page[..20_000.min(page.len())]
        );
        let (_folder, few) = self::run(8, 2);
        assert!(self::page(&few, &[]).contains("Nothing: no mean is over more than"));
        assert!(page.contains("class=\"mean first\""));
        assert!(page.contains("no &lt;b&gt;file"), "what is missing is said");
    }

    #[test]
    fn the_page_shows_what_stands_beside_the_scores() {
        let (manifest, _) = with_all_sections();
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::create_or_continue(folder.path(), manifest.clone()).unwrap();
        store.append_all(&rows(&manifest)).unwrap();
        let run = store.finish("2026-01-02T04:00:00Z").unwrap();
        let page = report_html(&run, &with_all_sections().1, &[], &[]).unwrap();
        for text in [
            "<details id=\"seeds\">",
            "<td>1.00 (± ",
            "<details id=\"worst\">",
            "<td>61.4</td>",
            "<details id=\"printed\">",
            " 75.00 (",
            "table 1 &amp; &lt;elsewhere&gt;. Set otherwise here: images 3, printed: 50000; target",
        ] {
            assert!(page.contains(text), "{text}");
        }
        let (_folder, plain) = self::run(40, 2);
        let page = self::page(&plain, &[]);
        assert!(
            !["seeds", "worst", "printed"]
                .iter()
                .any(|id| page.contains(&format!("<details id=\"{id}\"")))
        );
    }

    #[test]
    fn what_is_free_is_on_the_front_and_drawn_at_one_pass() {
        let (manifest, mut records) = many_images(40);
        for record in records.iter_mut().filter(|record| &*record.method == "cam") {
            (record.forwards, record.head_forwards) = (0, 0);
        }
        let rows = records.into_iter().map(|record| Row { record, curves: vec![], map: None });
        let rows: Vec<Row> = rows.collect();
        let (_folder, run) = run_of(manifest, &rows);
        let data = data(&page(&run, &[]));
        assert_eq!(data["cost"][0]["passes"], json!({ "cost": 0.0, "at": 1.0 }));
        for metric in 0..5_usize {
            assert_eq!(data["fronts"][0][metric]["passes"][0][0], 0, "metric {metric}");
        }
    }

    #[test]
    fn a_model_whose_rows_all_failed_has_no_cost_and_an_empty_front() {
        let mut manifest = manifest();
        manifest.models = vec![model("failed"), model("other")];
        let mut rows = rows(&manifest);
        for row in rows.iter_mut().filter(|row| &*row.record.model == "failed") {
            row.record.status = Status::Failed;
            row.record.error = Some("no memory".into());
            row.record.metrics.fill(None);
            row.record.adcc_per_image = None;
            (row.curves, row.map) = (vec![], None);
        }
        let (_folder, run) = run_of(manifest, &rows);
        let data = data(&page(&run, &[]));
        assert!(data["cost"][0].is_null() && data["means"][0][4].is_null());
        let nothing = json!({ "passes": [], "executed": [], "secs": [] });
        assert_eq!(data["fronts"][0][4], nothing);
        assert!(data["cost"][3].is_object());
        let shown = data["shown"].as_array().unwrap();
        assert!(!shown.is_empty() && shown.iter().all(|image| image["model"] == 1));
    }

    #[test]
    fn an_image_is_shown_with_its_photograph_or_with_maps_alone() {
        let (_folder, run) = run(30, 2);
        let choice = chosen_images(&run).remove(0);
        let shown = |photo: Option<Picture>| Shown {
            model: choice.model.clone(),
            image: choice.image.clone(),
            photo,
            class: Some("cat & <dog>".into()),
            size: [4, 4],
            maps: vec![Some(vec![0.5; 16]), None],
        };
        let of = |photo| data(&page(&run, &[shown(photo)]))["shown"][0].clone();
        let with = of(Some(Picture::new(4, 4, vec![99; 48])));
        assert_eq!(with["image"], choice.image.as_str());
        assert_eq!(with["class"], "cat & <dog>");
        for picture in [&with["photo"], &with["methods"][0]["map"], &of(None)["methods"][0]["map"]]
        {
            assert!(picture.as_str().unwrap().starts_with("data:image/jpeg;base64,"), "{picture}");
        }
        assert!(with["methods"][1]["map"].is_null() && of(None)["photo"].is_null());
        assert_eq!(with["methods"][0]["curves"].as_array().unwrap().len(), 2);
    }
}
