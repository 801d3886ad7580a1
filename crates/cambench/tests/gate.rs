//! The regression gate as a script in CI uses it: a baseline is saved, runs are compared with it, exit codes decide.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use cam_results::{Curve, Key, Picture, Record, Row, Run, RunManifest, RunStatus, Status, Store};
use tempfile::TempDir;

const N_IMAGES: usize = 24;

/// A folder with a real run, and made-up ones beside it.
struct Workshop(TempDir);

impl Workshop {
    /// With a finished run of a small sweep in `base`.
    fn with_run(n_images: usize) -> Self {
        Self::with_run_of(n_images, "[drop, coherency, complexity]")
    }

    fn with_run_of(n_images: usize, metrics: &str) -> Self {
        let workshop = Self(tempfile::tempdir().unwrap());
        fs::create_dir(workshop.path("photos")).unwrap();
        for i in 0..n_images {
            fs::write(workshop.path(&format!("photos/{i:02}.png")), photograph(i as u32)).unwrap();
        }
        fs::write(workshop.path("data.yaml"), "root: photos\nlayout: files\n").unwrap();
        let sweep = format!(
            "name: small\ndataset: {{ manifest: data.yaml }}\nmodels:\n  \
             - {{ name: tf_efficientnet_lite0, weights: seeded }}\nmethods: [grad_cam, recipro_cam]\n\
             metrics: {metrics}\n"
        );
        fs::write(workshop.path("sweep.yaml"), sweep).unwrap();
        workshop.is(0, &["run", "sweep.yaml", "--out", "base"]);
        workshop
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs cambench; asserts the exit code, and returns what was printed on both streams.
    #[track_caller]
    fn is(&self, code: i32, args: &[&str]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_cambench"))
            .current_dir(self.0.path())
            .args(args)
            .stdin(Stdio::null())
            .env("OMP_WAIT_POLICY", "passive")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(!said.contains("panicked at"), "{said}");
        said
    }

    /// The base run again, otherwise: its plan and records changed.
    fn make(&self, name: &str, plan: impl Fn(&mut RunManifest), record: impl Fn(&mut Record)) {
        self.make_of_rows(name, plan, |row| record(&mut row.record));
    }

    /// The same, curves and maps changed, too.
    fn make_of_rows(&self, name: &str, plan: impl Fn(&mut RunManifest), change: impl Fn(&mut Row)) {
        let base = Run::read(&self.path("base")).unwrap();
        let mut curves: BTreeMap<Key, Vec<Curve>> = BTreeMap::new();
        base.visit_curves(|key, curve| {
            curves.entry(key.clone()).or_default().push(curve.clone());
        })
        .unwrap();
        let mut maps = BTreeMap::new();
        base.visit_maps(|key, map| drop(maps.insert(key.clone(), map.clone()))).unwrap();
        let mut manifest = base.manifest().clone();
        manifest.status = RunStatus::Running;
        manifest.finished = None;
        plan(&mut manifest);
        let mut store = Store::create_or_continue(&self.path(name), manifest.clone()).unwrap();
        let planned =
            |record: &&Record| manifest.methods.iter().any(|method| method.name == record.method);
        let rows: Vec<Row> = base
            .records()
            .iter()
            .filter(planned)
            .map(|record| {
                let key = record.key();
                let curves = curves.get(&key).cloned().unwrap_or_default();
                let map = maps.get(&key).cloned();
                let mut row = Row { record: record.clone(), curves, map };
                change(&mut row);
                row
            })
            .collect();
        store.append_all(&rows).unwrap();
        store.finish("2026-01-02T04:00:00Z").unwrap();
    }

    /// The base run again, with no row yet.
    fn begin(&self, name: &str) {
        let mut manifest = Run::read(&self.path("base")).unwrap().manifest().clone();
        manifest.status = RunStatus::Running;
        manifest.finished = None;
        Store::create_or_continue(&self.path(name), manifest).unwrap();
    }

    /// A comparison with the baseline, as JSON.
    #[track_caller]
    fn compared(&self, code: i32, new: &str) -> serde_json::Value {
        serde_json::from_str(&self.is(code, &["compare", "main", new, "--json"])).unwrap()
    }
}

/// A row without a score.
fn silence(record: &mut Record, status: Status) {
    record.status = status;
    record.metrics.fill(None);
    record.adcc_per_image = None;
    record.error = Some("made up".into());
}

/// Takes the scores of Recipro-CAM on all images but two.
fn silence_most(record: &mut Record, status: Status) {
    if record.method == "recipro_cam" && &*record.image > "01.png" {
        silence(record, status);
    }
}

/// The bytes of a PNG file, another one for every number.
fn photograph(number: u32) -> Vec<u8> {
    let side = 232;
    let rgb = (0..side * side * 3)
        .map(|i| ((i / 3 % side) ^ (i / 3 / side) ^ (number * 37)) as u8 ^ (i % 3) as u8);
    Picture::new(side, side, rgb.collect()).png()
}

/// Other weights, which keep less.
fn worse(record: &mut Record) {
    let shift = 0.4 + 0.001 * f64::from(record.image.as_bytes()[1]);
    record.metrics[0] = record.metrics[0].map(|drop| drop + shift);
}

#[test]
fn the_gate_from_baseline_to_exit_code() {
    let workshop = Workshop::with_run(N_IMAGES);
    assert!(workshop.is(0, &["baseline", "list"]).starts_with("there are none"));
    workshop.is(0, &["baseline", "save", "main", "base"]);
    assert!(workshop.is(0, &["baseline", "list"]).contains("main"));
    workshop.is(3, &["baseline", "save", "main", "base"]);
    // A hundred points are not one percent.
    workshop.is(2, &["compare", "main", "base", "--max-drop", "adcc=1"]);
    workshop.is(2, &["compare", "main", "base", "--noise", "2"]);
    workshop.is(0, &["baseline", "save", "main", "base", "--replace"]);
    let mut files: Vec<_> = fs::read_dir(workshop.path("results/baselines/main"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, ["manifest.json", "records.parquet"]);

    // Nothing changed: the same command, run and compared in one.
    let said = workshop.is(0, &["run", "sweep.yaml", "--out", "base", "--baseline", "main"]);
    assert!(
        said.contains("0 regressed, 0 missing, 0 improved, 0 within noise, 8 unchanged"),
        "{said}"
    );

    // Other weights, and they are worse.
    workshop.make("worse", |plan| plan.models[0].weights.sha256 = Some("0".repeat(64)), worse);
    let said =
        workshop.is(10, &["compare", "main", "worse", "--markdown", "a.md", "--junit", "a.xml"]);
    assert!(
        said.contains("regressed") && said.contains("weights of tf_efficientnet_lite0"),
        "{said}"
    );
    let markdown = fs::read_to_string(workshop.path("a.md")).unwrap();
    assert!(markdown.starts_with("### Explanations got worse"), "{markdown}");
    let json = workshop.compared(10, "worse");
    assert_eq!(json["exit_code"], 10);
    assert_eq!(json["changes"].as_array().unwrap().len(), 8);
    well_formed(&workshop.path("a.xml"), n_cases(&json), 4);
    workshop.is(0, &["compare", "main", "worse", "--max-drop", "drop=0.5,adcc=0.9"]);
    workshop.is(0, &["compare", "main", "worse", "--fail-on", "missing"]);

    // A method is gone.
    workshop.make("fewer", |plan| drop(plan.methods.pop()), |_| {});
    workshop.is(5, &["compare", "main", "fewer"]);
    workshop.is(0, &["compare", "main", "fewer", "--fail-on", "regressed"]);

    // Most maps of a method say nothing any more, and those that are left are as they were.
    workshop.make("degenerate", |_| {}, |record| silence_most(record, Status::Degenerate));
    let args = ["compare", "main", "degenerate", "--markdown", "b.md", "--junit", "b.xml"];
    let said = workshop.is(11, &args);
    assert!(said.contains("0 regressed, 0 missing") && said.contains("now 22;"), "{said}");
    let markdown = fs::read_to_string(workshop.path("b.md")).unwrap();
    assert!(markdown.starts_with("### More maps are degenerate"), "{markdown}");
    let json = workshop.compared(11, "degenerate");
    well_formed(&workshop.path("b.xml"), n_cases(&json), 1);
    workshop.is(0, &["compare", "main", "degenerate", "--fail-on", "regressed,missing"]);
    // Rows that fail are scores that are missing.
    workshop.make("failed", |_| {}, |record| silence_most(record, Status::Failed));
    workshop.is(5, &["compare", "main", "failed"]);
    workshop.is(0, &["compare", "main", "failed", "--fail-on", "regressed,degenerate"]);

    // Nothing to compare with is no pass, whatever the gate is to fail on.
    workshop.begin("begun");
    let said = workshop.is(5, &["compare", "begun", "base", "--fail-on", "regressed"]);
    assert!(said.contains("`begun` cannot be a baseline before its run is finished"), "{said}");
    assert!(said.contains("48 of 48 rows are missing"), "{said}");
    workshop.is(5, &["baseline", "save", "begun", "begun"]);
    workshop.make("silent", |_| {}, |record| silence(record, Status::Failed));
    let said = workshop.is(6, &["compare", "silent", "base", "--fail-on", "regressed"]);
    assert!(said.contains("the baseline has no score at all"), "{said}");

    // Another protocol means other numbers.
    workshop.make("other", |plan| plan.metrics[0].protocol = "raw".into(), |_| {});
    let said = workshop.is(6, &["compare", "main", "other"]);
    assert!(said.contains("the protocol of drop was corrected, is raw"), "{said}");

    // What cannot be meant or is not there.
    workshop.is(2, &["compare", "main", "worse", "--noise", "much"]);
    workshop.is(2, &["compare", "main", "worse", "--max-drop", "adc=1%"]);
    let said = workshop.is(3, &["compare", "nobody", "worse"]);
    assert!(said.contains("baselines are main"), "{said}");
    workshop.is(3, &["baseline", "save", "../up", "base"]);
}

#[test]
fn files_of_an_earlier_comparison_are_not_taken_for_one_that_could_not_be_made() {
    let workshop = Workshop::with_run(3);
    workshop.is(0, &["baseline", "save", "main", "base"]);
    workshop.make("other", |plan| plan.metrics[0].protocol = "raw".into(), |_| {});
    workshop.begin("begun");
    fs::create_dir(workshop.path("broken")).unwrap();
    fs::write(workshop.path("broken/manifest.json"), "{").unwrap();
    let with_files = |args: &[&'static str]| {
        [args, &["--markdown", "gate.md", "--junit", "gate.xml"][..]].concat()
    };
    let text = |name: &str| fs::read_to_string(workshop.path(name)).unwrap();
    let n_cases = n_cases(&workshop.compared(0, "base"));
    let compared = |code: i32, base: &'static str, new: &'static str, why: &str| {
        workshop.is(0, &with_files(&["compare", "main", "base"]));
        assert!(text("gate.md").starts_with("### Explanations did not get worse"));
        well_formed(&workshop.path("gate.xml"), n_cases, 0);
        workshop.is(code, &with_files(&["compare", base, new]));
        let md = text("gate.md");
        assert!(md.starts_with("### Explanations could not be compared\n"), "{md}");
        assert!(md.contains(why) && text("gate.xml").contains(why), "{md}");
        well_formed_with(&workshop.path("gate.xml"), [1, 0, 1]);
    };
    compared(6, "main", "other", "the protocol of drop was corrected, is raw");
    compared(5, "begun", "base", "6 of 6 rows are missing");
    compared(3, "nobody", "base", "baselines are main");
    compared(3, "main", "broken", "manifest.json");

    // A run that is not even begun says it, too, and one that cannot be planned.
    let sweep = text("sweep.yaml");
    let gaussian = sweep.replace("recipro_cam", "{ name: recipro_cam, gaussian: true }");
    fs::write(workshop.path("gaussian.yaml"), gaussian).unwrap();
    fs::write(workshop.path("wrong.yaml"), "name: [").unwrap();
    for (code, sweep, why) in [
        (6, "gaussian.yaml", "the runs cannot be compared"),
        (3, "wrong.yaml", "the run ended before the comparison"),
    ] {
        workshop.is(0, &with_files(&["compare", "main", "base"]));
        let args = ["run", sweep, "--out", "new", "--baseline", "main"];
        workshop.is(code, &with_files(&args));
        assert!(text("gate.md").contains(why), "{}", text("gate.md"));
        well_formed_with(&workshop.path("gate.xml"), [1, 0, 1]);
    }

    // A file may lie in the folder of the run that is to be made.
    let own =
        ["run", "sweep.yaml", "--out", "own", "--baseline", "main", "--markdown", "own/gate.md"];
    workshop.is(0, &own);
    assert!(text("own/gate.md").starts_with("### Explanations did not get worse"));

    // On the standard output, too; and that a file cannot be written does not change the code.
    let said = workshop.is(6, &["compare", "main", "other", "--markdown", "-"]);
    assert!(said.contains("### Explanations could not be compared\n"), "{said}");
    let said = workshop.is(6, &["compare", "main", "other", "--junit", "nowhere/gate.xml"]);
    assert!(said.contains("nowhere") && said.contains("is raw"), "{said}");
}

#[test]
fn a_tampered_run_is_found() {
    let metrics = "[drop, coherency, complexity, { name: deletion, steps: 4 }]";
    let workshop = Workshop::with_run_of(3, metrics);
    let said = workshop.is(0, &["verify", "base", "--sample", "100%"]);
    assert!(
        said.contains("6 rows checked, 6 of them computed again and compared bit for bit"),
        "{said}"
    );
    assert!(!said.contains("checked only"), "all of them were computed again: {said}");

    // A baseline is held against what it has.
    workshop.is(0, &["baseline", "save", "kept", "base"]);
    let said = workshop.is(0, &["verify", "results/baselines/kept", "--sample", "100%"]);
    assert!(said.contains("bit for bit: 0 differences"), "{said}");
    assert!(said.contains("curves and maps, which a baseline does not keep"), "{said}");
    workshop.is(0, &["report", "results/baselines/kept", "--out", "of-kept"]);
    assert!(workshop.path("of-kept/report.html").is_file());

    // A better score in one row; ADCC and the table of means do not follow from it any more.
    workshop.make(
        "tampered",
        |_| {},
        |record| {
            if record.image == "01.png" {
                record.metrics[0] = Some(0.0);
            }
        },
    );
    let said = workshop.is(7, &["verify", "tampered", "--sample", "1"]);
    assert!(said.contains("its adcc_per_image is"), "{said}");

    // One that ADCC is not made of, on both rows of an image, of which at most one is computed again: the curves are as they
    // were.
    let better = |record: &mut Record| {
        if record.image == "01.png" {
            record.metrics[3] = record.metrics[3].map(|deletion| deletion - 0.01);
        }
    };
    workshop.make("moved", |_| {}, better);
    let said = workshop.is(7, &["verify", "moved", "--sample", "1"]);
    assert_eq!(said.matches("and the area under its curve").count(), 2, "{said}");
    assert!(said.contains("5 rows were checked only for what follows"), "{said}");

    // A difference of methods that was written otherwise.
    let comparisons = workshop.path("base/comparisons.csv");
    let text = fs::read_to_string(&comparisons).unwrap();
    fs::write(&comparisons, format!("{text}grad_cam\n")).unwrap();
    let said = workshop.is(7, &["verify", "base", "--sample", "1"]);
    assert!(said.contains("comparisons.csv: does not follow from the records"), "{said}");
    assert!(said.contains("bit for bit: 1 difference"), "{said}");
    fs::write(&comparisons, text).unwrap();

    // One that is consistent with itself is found where it is computed again.
    workshop.make(
        "careful",
        |_| {},
        |record| {
            record.confidence = record.confidence.map(|confidence| confidence * 1.000_001);
        },
    );
    let said = workshop.is(7, &["verify", "careful", "--sample", "50%"]);
    assert!(said.contains("confidence is"), "{said}");
    let predicted = |record: &mut Record| record.predicted = Some(1000);
    workshop.make("mistaken", |_| {}, predicted);
    let said = workshop.is(7, &["verify", "mistaken", "--sample", "1"]);
    assert!(said.contains("predicted class is Some(1000)"), "{said}");

    // Curves and maps under scores that are right.
    let is = |name: &str, change: &dyn Fn(&mut Row), n: usize, what: &str| {
        workshop.make_of_rows(name, |_| {}, change);
        let said = workshop.is(7, &["verify", name, "--sample", "100%"]);
        let n = format!("bit for bit: {n} differences");
        assert!(said.contains(what) && said.contains(&n), "{said}");
    };
    let another = "its curve of deletion comes out as another";
    // Less than shows in the area.
    is("bent", &|row| row.curves[0].values[1] += 1e-12, 6, another);
    // These show in every row, computed again or not.
    is("crooked", &|row| row.curves[0].values[1] += 0.01, 12, another);
    let short = "its curve of deletion is not as long as the metric makes it";
    is("short", &|row| row.curves[0].values.truncate(2), 12, short);
    is("bare", &|row| row.curves.clear(), 6, "its curve of deletion is not there");
    is("blind", &|row| row.map = None, 6, "its map is not there");
    let curves = workshop.path("bent/curves.parquet");
    let bytes = fs::read(&curves).unwrap();
    fs::write(&curves, &bytes[..bytes.len() / 2]).unwrap();
    let said = workshop.is(7, &["verify", "bent", "--sample", "1"]);
    assert!(said.contains("curves.parquet: ") && said.contains(" is damaged: "), "{said}");

    // Another photograph under the same name.
    fs::write(workshop.path("photos/02.png"), photograph(99)).unwrap();
    let said = workshop.is(7, &["verify", "base", "--sample", "1"]);
    assert!(said.contains("02.png: is another file than the run names"), "{said}");

    // A file that is cut off.
    let records = workshop.path("base/records.parquet");
    let bytes = fs::read(&records).unwrap();
    fs::write(&records, &bytes[..bytes.len() / 2]).unwrap();
    workshop.is(3, &["verify", "base"]);
    workshop.is(3, &["compare", "base", "base"]);
    workshop.is(3, &["report", "base"]);
}

#[test]
fn another_build_may_compute_intervals_otherwise_but_not_means() {
    let workshop = Workshop::with_run_of(3, "[drop]");
    let with_table = |name: &str, change: &dyn Fn(&str) -> String| {
        workshop.make(name, |manifest| manifest.commit = Some("1a2b3c4d".into()), |_| {});
        let path = workshop.path(&format!("{name}/summary.csv"));
        fs::write(&path, change(&fs::read_to_string(&path).unwrap())).unwrap();
    };
    let other = |column: &'static str| {
        move |table: &str| {
            let mut rows: Vec<Vec<&str>> =
                table.lines().map(|line| line.split(',').collect()).collect();
            let place = rows[0].iter().position(|name| *name == column).unwrap();
            rows[1][place] = "0.125";
            rows.iter().map(|row| row.join(",") + "\n").collect()
        }
    };
    with_table("older", &other("drop_lo"));
    let said = workshop.is(0, &["verify", "older", "--sample", "1"]);
    assert!(
        said.contains(
            "summary.csv, whose intervals, p-values or columns this program makes otherwise"
        ),
        "{said}"
    );
    assert!(said.contains("commit 1a2b3c4d, now "), "{said}");
    with_table("false", &other("drop"));
    let said = workshop.is(7, &["verify", "false", "--sample", "1"]);
    assert!(said.contains("summary.csv: does not follow from the records"), "{said}");
}

/// How many test cases the JUnit file of a comparison has: one for each change and each loss.
fn n_cases(comparison: &serde_json::Value) -> usize {
    ["changes", "unscored", "losses"]
        .map(|name| comparison[name].as_array().unwrap().len())
        .iter()
        .sum()
}

/// That a JUnit file is what its schema asks for: suites with cases, and counts that count them. `cargo xtask gate` asks
/// the schema itself.
fn well_formed(path: &Path, n_cases: usize, n_failures: usize) {
    well_formed_with(path, [n_cases, n_failures, 0]);
}

/// That one of so many test cases, failures and errors is.
fn well_formed_with(path: &Path, [n_cases, n_failures, n_errors]: [usize; 3]) {
    let text = fs::read_to_string(path).unwrap();
    let document = roxmltree::Document::parse(&text).unwrap();
    let root = document.root_element();
    assert_eq!(root.tag_name().name(), "testsuites");
    let count = |node: roxmltree::Node<'_, '_>, name: &str| {
        node.descendants().filter(|node| node.tag_name().name() == name).count()
    };
    let number = |node: roxmltree::Node<'_, '_>, name: &str| {
        node.attribute(name).unwrap().parse::<usize>().unwrap()
    };
    let n_of = ["testcase", "failure", "error"].map(|name| count(root, name));
    assert_eq!(n_of, [n_cases, n_failures, n_errors]);
    assert_eq!(root.attributes().len(), 0);
    for (id, node) in root.children().filter(roxmltree::Node::is_element).enumerate() {
        for (name, inner) in [("tests", "testcase"), ("failures", "failure"), ("errors", "error")] {
            assert_eq!(number(node, name), count(node, inner), "{name}");
        }
        assert_eq!(number(node, "id"), id);
        for name in ["package", "name", "timestamp", "hostname", "time"] {
            assert!(node.has_attribute(name), "{name}");
        }
        assert_eq!(node.attribute("timestamp").map(str::len), Some("2026-01-02T03:04:05".len()));
        let mut inner: Vec<&str> = node
            .children()
            .filter(roxmltree::Node::is_element)
            .map(|node| node.tag_name().name())
            .collect();
        inner.dedup();
        assert_eq!(inner, ["properties", "testcase", "system-out", "system-err"]);
    }
    for case in root.descendants().filter(|node| node.tag_name().name() == "testcase") {
        assert!(["name", "classname", "time"].into_iter().all(|name| case.has_attribute(name)));
        for inner in case.children().filter(roxmltree::Node::is_element) {
            assert!(["failure", "skipped", "error"].contains(&inner.tag_name().name()));
            assert!(inner.attribute("message").is_some());
        }
    }
}

#[test]
fn the_workflow_to_copy_is_one_and_gives_options_that_there_are() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/github-actions.yaml");
    let text = fs::read_to_string(path).unwrap();
    let workflow: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
    assert!(workflow["on"]["pull_request"].is_mapping());
    let job = &workflow["jobs"]["gate"];
    assert!(job["runs-on"].is_string());
    let steps = job["steps"].as_sequence().unwrap();
    for step in steps {
        assert!(step["uses"].is_string() != step["run"].is_string(), "{step:?}");
        let uses = step["uses"].as_str().unwrap_or("a/b@v1");
        assert!(uses.contains('/') && uses.contains("@v"), "{uses} is not pinned");
    }
    let runs: Vec<&str> = steps.iter().filter_map(|step| step["run"].as_str()).collect();
    let gates: Vec<&str> =
        runs.iter().copied().filter(|run| run.starts_with("cambench ")).collect();
    let [gate] = gates[..] else { panic!("{gates:?}") };
    assert!(gate.contains("--fail-on regressed,missing,degenerate"), "{gate}");
    // Where nothing is, whoever understands the line misses the baseline, and who does not ends with code 2.
    let folder = tempfile::tempdir().unwrap();
    let said = |line: &str| {
        let words = line.split_whitespace().skip(1);
        let mut command = Command::new(env!("CARGO_BIN_EXE_cambench"));
        let output = command.args(words).current_dir(folder.path()).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{line}: {error}");
        error
    };
    assert!(said(gate).contains("`main` is neither a run's folder nor a baseline"));
    // So do the commands of its comments.
    let quoted = text.lines().filter(|line| line.starts_with('#')).flat_map(|line| {
        line.split('`').skip(1).step_by(2).filter(|code| code.starts_with("cambench "))
    });
    let quoted: Vec<&str> = quoted.collect();
    assert!(quoted.iter().any(|line| line.ends_with("--replace")), "{quoted:?}");
    for line in quoted {
        assert!(said(line).contains("RUN"), "{line}");
    }
    // The comment that it changes is its own: the one that begins as the file that it posts.
    let comments: Vec<&str> = runs.iter().copied().filter(|run| run.contains("gh api")).collect();
    let [comment] = comments[..] else { panic!("{comments:?}") };
    assert!(comment.starts_with("marker='<!-- cambench gate -->'\n"), "{comment}");
    assert!(comment.contains("{ echo \"$marker\"; cat gate.md; } > comment.md"), "{comment}");
    assert!(comment.contains("(.body | startswith(\\\"$marker\\\"))"), "{comment}");
    assert_eq!(comment.matches("--field body=@comment.md").count(), 2, "{comment}");
    assert!(!text.contains("--edit-last"));
    // It builds this crate.
    let install = "cargo install --locked --path crates/cambench";
    assert!(runs.iter().any(|run| run.ends_with(install)), "{runs:?}");
    assert!(Path::new(env!("CARGO_MANIFEST_DIR")).ends_with("crates/cambench"));
    // Whatever failed, what is read is there, and the comment of an earlier push does not stay.
    let reads = steps.iter().filter(|step| {
        step["run"].as_str().is_some_and(|run| run.contains("cat gate.md") && run != gate)
    });
    let reads: Vec<&serde_yaml::Value> = reads.collect();
    assert_eq!(reads.len(), 2);
    assert!(reads.iter().all(|step| step["if"].as_str().unwrap().starts_with("always()")));
    assert!(reads[0]["run"].as_str().unwrap().starts_with("test -f gate.md || echo "));
}
