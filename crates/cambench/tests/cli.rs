//! The binary as its users meet it: exit codes, messages, files, and runs that are killed.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test may panic and says what it skips"
)]

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use cam_results::{Picture, Run, Status};
use tempfile::TempDir;

const FAST: &str = "[cam, grad_cam, recipro_cam, { name: rise, n_masks: 24 }]";
const METRICS: &str = "[drop, increase, { name: deletion, steps: 7 }, { name: insertion, steps: 7 }, coherency, complexity]";

/// A folder with photographs and a sweep on EfficientNet-Lite0 with random weights.
struct Workshop(TempDir);

impl Workshop {
    fn with_photographs(n: usize) -> Self {
        let workshop = Self(tempfile::tempdir().unwrap());
        fs::create_dir(workshop.path("photos")).unwrap();
        for i in 0..n {
            fs::write(workshop.path(&format!("photos/{i}.png")), photograph(i as u32)).unwrap();
        }
        fs::write(workshop.path("data.yaml"), "root: photos\nlayout: files\n").unwrap();
        workshop.write_sweep(FAST);
        workshop
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write_sweep(&self, methods: &str) {
        let sweep = format!(
            "name: small\ndataset: {{ manifest: data.yaml }}\nmodels:\n  \
             - {{ name: tf_efficientnet_lite0, weights: seeded }}\nmethods: {methods}\nmetrics: {METRICS}\n"
        );
        fs::write(self.path("sweep.yaml"), sweep).unwrap();
    }

    fn cambench(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cambench"));
        command.current_dir(self.0.path()).args(args).stdin(Stdio::null());
        // Tests run side by side, and threads that wait for work by spinning would keep the cores from each other.
        command.env("OMP_WAIT_POLICY", "passive");
        command
    }

    fn output(&self, args: &[&str]) -> Ended {
        Ended::of(self.cambench(args).output().unwrap())
    }
}

/// How a command ended.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ended {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Asserts the exit code, all of `words` in what was said, and that nobody was shown a panic.
    #[track_caller]
    fn is(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:#?}");
        for word in words {
            assert!(self.stderr.contains(word), "`{word}` is not said: {self:#?}");
        }
        assert!(!self.stderr.contains("panicked at"), "{self:#?}");
        let os_errors = self.stderr.lines().find(|line| line.matches("(os error").count() > 1);
        assert_eq!(os_errors, None, "says the same twice");
    }
}

/// The bytes of a PNG file, another one for every number.
fn photograph(number: u32) -> Vec<u8> {
    let side = 232;
    let rgb = (0..side * side * 3)
        .map(|i| ((i / 3 % side) ^ (i / 3 / side) ^ (number * 37)) as u8 ^ (i % 3) as u8);
    Picture::new(side, side, rgb.collect()).png()
}

/// Everything of a run that must not depend on when and how often it was started, bit for bit.
fn contents(run: &Run) -> String {
    let mut text = vec![];
    for record in run.records() {
        let mut record = record.clone();
        record.explain_secs = 0.0;
        text.push(format!("{record:?}"));
    }
    run.visit_curves(|key, curve| text.push(format!("{key} {curve:?}"))).unwrap();
    run.visit_maps(|key, map| text.push(format!("{key} {map:?}"))).unwrap();
    text.join("\n")
}

#[test]
fn a_run_killed_ten_times_ends_like_one_that_was_not() {
    let workshop = Workshop::with_photographs(16);
    workshop.output(&["run", "sweep.yaml", "--out", "whole"]).is(0, &[]);
    let whole = Run::read(&workshop.path("whole")).unwrap();
    assert_eq!(whole.records().len(), 64);

    let n_rows = || {
        fs::read(workshop.path("killed/journal.jsonl"))
            .map_or(0, |journal| journal.iter().filter(|b| **b == b'\n').count())
    };
    let mut kept = vec![];
    for kill in 0_u64..10 {
        let before = n_rows();
        let mut run = workshop
            .cambench(&["run", "sweep.yaml", "--out", "killed"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let start = Instant::now();
        while n_rows() < before + 1 && start.elapsed() < Duration::from_mins(2) {
            sleep(Duration::from_millis(1));
        }
        // Anywhere in the rows that follow; the middle of a write included.
        sleep(Duration::from_micros(kill * 7919 % 397 * 1000 + kill * 131));
        run.kill().unwrap();
        run.wait().unwrap();
        kept.push(n_rows());
    }
    println!("rows after each kill: {kept:?}");
    assert!(kept.windows(2).all(|pair| pair[0] <= pair[1]), "a kill loses no row: {kept:?}");
    assert!(kept[9] < 64, "the last kill came too late: {kept:?}");

    workshop.output(&["run", "sweep.yaml", "--out", "killed"]).is(0, &[]);
    let killed = Run::read(&workshop.path("killed")).unwrap();
    assert_eq!(contents(&killed), contents(&whole));
}

#[cfg(unix)]
#[test]
fn ctrl_c_finishes_the_row_in_hand_and_the_same_command_continues() {
    let workshop = Workshop::with_photographs(8);
    let run = workshop
        .cambench(&["run", "sweep.yaml", "--out", "run"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while fs::metadata(workshop.path("run/journal.jsonl")).map_or(0, |file| file.len()) < 3000
        && start.elapsed() < Duration::from_mins(2)
    {
        sleep(Duration::from_millis(5));
    }
    let interrupted = Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    Ended::of(run.wait_with_output().unwrap())
        .is(130, &["finishing the row in hand", "the same command continues"]);
    let rows = Run::read(&workshop.path("run")).unwrap().records().len();
    assert!((1..32).contains(&rows), "{rows}");
    workshop.output(&["report", "run", "--format", "md"]).is(5, &["rows are missing"]);
    workshop
        .output(&["run", "sweep.yaml", "--out", "run"])
        .is(0, &[&format!("{rows} of 32 rows are there")]);
}

#[test]
fn a_finished_run_has_every_file_and_a_second_run_changes_none() {
    let workshop = Workshop::with_photographs(2);
    let first = workshop.output(&["run", "sweep.yaml", "--out", "run"]);
    first.is(0, &[]);
    for said in ["method", "adcc ↑", "recipro_cam", "8 rows, 0 degenerate, 0 failed"] {
        assert!(first.stdout.contains(said), "{said} is not in {first:?}");
    }
    let files = || {
        let mut files: Vec<_> = fs::read_dir(workshop.path("run"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| {
                (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap())
            })
            .collect();
        files.sort();
        files
    };
    let before = files();
    let names: Vec<&str> = before.iter().map(|(name, _)| name.as_str()).collect();
    for name in [
        "manifest.json",
        "records.parquet",
        "curves.parquet",
        "maps.parquet",
        "summary.csv",
        "report.md",
        "report.html",
        "report.tex",
        "metrics.svg",
        "metrics.png",
        "curves.svg",
        "cost.svg",
        "grid.svg",
        "grid.png",
    ] {
        assert!(names.contains(&name), "{name} is not among {names:?}");
    }
    let report = fs::read_to_string(workshop.path("run/report.md")).unwrap();
    assert!(report.contains("random weights"), "seeded weights are marked: {report}");
    let page = fs::read_to_string(workshop.path("run/report.html")).unwrap();
    // Two photographs and their eight maps.
    assert_eq!(page.matches("data:image/jpeg").count(), 2 + 8);

    workshop.output(&["run", "sweep.yaml", "--out", "run"]).is(0, &["8 of 8 rows are there"]);
    assert!(files() == before, "some file changed");

    fs::remove_file(workshop.path("run/metrics.png")).unwrap();
    fs::remove_file(workshop.path("run/report.md")).unwrap();
    workshop.output(&["report", "run"]).is(0, &[]);
    assert!(files() == before, "the report is made of the records alone");

    // Pictures need their files, all else does not.
    fs::remove_dir_all(workshop.path("photos")).unwrap();
    workshop.output(&["report", "run", "--out", "again"]).is(0, &["no grid of photographs"]);
    let page = fs::read_to_string(workshop.path("again/report.html")).unwrap();
    assert!(page.contains("The photographs of tf_efficientnet_lite0 are not shown"), "{page}");
    assert_eq!(page.matches("data:image/jpeg").count(), 8, "maps need no photograph");
    assert!(files() == before);
}

#[test]
fn runs_are_joined_and_tables_spliced() {
    let workshop = Workshop::with_photographs(2);
    for (methods, run) in [("[cam, grad_cam]", "one"), ("[recipro_cam]", "two")] {
        workshop.write_sweep(methods);
        workshop.output(&["run", "sweep.yaml", "--out", run]).is(0, &[]);
    }
    workshop.output(&["report", "one", "two", "--format", "md,tex,html,csv"]).is(0, &[]);
    let md = fs::read_to_string(workshop.path("report/report.md")).unwrap();
    for method in ["CAM", "Grad-CAM", "Recipro-CAM"] {
        assert!(md.contains(&format!("\n| {method} |")), "{method}: {md}");
    }
    assert!(!md.contains("missing"), "{md}");
    let csv = fs::read_to_string(workshop.path("report/summary.csv")).unwrap();
    assert_eq!(csv.lines().count(), 4, "{csv}");

    let table = workshop.output(&["report", "one", "two", "--table", "poster"]);
    table.is(0, &[]);
    assert!(table.stdout.contains("| Method | Drop ↓ | Increase ↑ | Deletion ↓ | Insertion ↑ | Coherency ↑ | Complexity ↓ | ADCC ↑ | n |"), "{table:?}");
    let tex = workshop.output(&["report", "one", "--table", "adcc", "--format", "tex"]);
    assert!(tex.stdout.contains("\\toprule"), "{tex:?}");

    let readme = "# Us\n\n<!-- begin cambench report one two --table poster -->\nold\n<!-- end cambench report -->\n\nend\n";
    fs::write(workshop.path("README.md"), readme).unwrap();
    workshop.output(&["report", "--splice", "README.md"]).is(0, &["1 table written"]);
    let spliced = fs::read_to_string(workshop.path("README.md")).unwrap();
    assert!(
        spliced.contains("| Recipro-CAM |")
            && !spliced.contains("\nold\n")
            && spliced.ends_with("\n\nend\n"),
        "{spliced}"
    );
    workshop.output(&["report", "--splice", "README.md"]).is(0, &["1 table unchanged"]);
    // Runs lie where the command is given, or beside the file.
    fs::create_dir(workshop.path("docs")).unwrap();
    fs::rename(workshop.path("two"), workshop.path("docs/two")).unwrap();
    fs::write(workshop.path("docs/a.md"), readme).unwrap();
    workshop.output(&["report", "--splice", "docs/a.md"]).is(0, &["1 table written"]);
    fs::write(workshop.path("docs/a.md"), readme.replace("one two", "one three")).unwrap();
    workshop
        .output(&["report", "--splice", "docs/a.md"])
        .is(3, &["docs/a.md: `<!-- begin cambench report one three", "three/manifest.json"]);
    assert_eq!(fs::read_to_string(workshop.path("README.md")).unwrap(), spliced);
    fs::write(workshop.path("README.md"), "no marker\n").unwrap();
    workshop.output(&["report", "--splice", "README.md"]).is(2, &["begin cambench report"]);
    workshop.output(&["report", "one", "nowhere"]).is(3, &["nowhere"]);
    workshop.output(&["report"]).is(2, &[]);
}

#[test]
fn joined_runs_of_two_data_sets_show_the_photographs_of_both() {
    let workshop = Workshop::with_photographs(2);
    workshop.write_sweep("[cam]");
    workshop.output(&["run", "sweep.yaml", "--out", "one"]).is(0, &[]);
    fs::create_dir(workshop.path("others")).unwrap();
    // One name is in both, and names another photograph.
    for (name, number) in [("1", 7), ("9", 9)] {
        fs::write(workshop.path(&format!("others/{name}.png")), photograph(number)).unwrap();
    }
    fs::write(workshop.path("data.yaml"), "root: others\nlayout: files\n").unwrap();
    let sweep = fs::read_to_string(workshop.path("sweep.yaml")).unwrap();
    fs::write(workshop.path("other.yaml"), sweep.replace("data.yaml", "others.yaml")).unwrap();
    fs::rename(workshop.path("data.yaml"), workshop.path("others.yaml")).unwrap();
    fs::write(workshop.path("data.yaml"), "root: photos\nlayout: files\n").unwrap();
    workshop.output(&["run", "other.yaml", "--out", "two"]).is(0, &[]);
    let joined = workshop.output(&["report", "one", "two", "--format", "html,plots"]);
    joined.is(0, &["are not comparable (2 and 2 images, 0 of them the same)"]);
    assert!(!joined.stderr.contains("photographs"), "{joined:?}");
    let page = fs::read_to_string(workshop.path("report/report.html")).unwrap();
    assert!(!page.contains("are not shown"), "a photograph is missing");
    let grids = fs::read_dir(workshop.path("report")).unwrap();
    let names = grids.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| name.starts_with("grid-") && name.ends_with("png")).count(), 2);
}

#[test]
fn what_is_most_likely_not_meant_is_said_before_anything_is_computed() {
    let workshop = Workshop::with_photographs(1);
    let turned = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cam-data/tests/vectors/images");
    fs::copy(turned.join("jpeg-turned.jpg"), workshop.path("photos/turned.jpg")).unwrap();
    fs::write(workshop.path("photos/a.WEBP"), "").unwrap();
    fs::write(workshop.path("photos/LICENSE.txt"), "").unwrap();
    workshop.write_sweep("[cam]");
    let sweep = fs::read_to_string(workshop.path("sweep.yaml")).unwrap();
    fs::write(workshop.path("sweep.yaml"), sweep.replace(METRICS, "[drop, pointing_game]"))
        .unwrap();
    workshop.output(&["check", "sweep.yaml"]).is(
        0,
        &[
            "caution: 1 image of photos left out, as only JPEG and PNG files are read (a.WEBP)",
            "caution: pointing_game will have no score: no image of data comes with a box",
            "caution: 1 of 2 images of data is to be turned by EXIF",
        ],
    );
    fs::write(workshop.path("data.yaml"), "root: photos\nlayout: files\nexif: apply\n").unwrap();
    assert!(!workshop.output(&["check", "sweep.yaml"]).stderr.contains("EXIF"));

    fs::create_dir(workshop.path("photos/n01440764")).unwrap();
    fs::rename(workshop.path("photos/0.png"), workshop.path("photos/n01440764/0.png")).unwrap();
    fs::write(workshop.path("data.yaml"), "root: photos\nlayout: folders\n").unwrap();
    for command in ["run", "plan"] {
        let ended = workshop.output(&[command, "sweep.yaml", "--out", "photos/../photos/try"]);
        ended.is(2, &["would be a class of its own"]);
    }
    assert!(!workshop.path("photos/try").exists());
    fs::write(workshop.path("classes.txt"), "cat\nDog\n").unwrap();
    let own = sweep.replace("weights: seeded", "weights: seeded, classes: classes.txt");
    fs::write(workshop.path("own.yaml"), own.clone() + "target: label\n").unwrap();
    workshop
        .output(&["check", "own.yaml"])
        .is(3, &["n01440764/0.png is labeled 0 by its WordNet id", "has 2 classes of its own"]);
    fs::rename(workshop.path("photos/n01440764"), workshop.path("photos/dog")).unwrap();
    fs::write(workshop.path("own.yaml"), own).unwrap();
    workshop.output(&["check", "own.yaml"]).is(3, &["so that `dog` would be labeled `cat`"]);
    fs::write(workshop.path("data.yaml"), "root: photos\nlayout: folders\nclasses: names.txt\n")
        .unwrap();
    fs::write(workshop.path("names.txt"), "dog\ncat\n").unwrap();
    workshop
        .output(&["check", "own.yaml"])
        .is(3, &["the label 0 is `dog` by the data set's `classes`, and the model calls it `cat`"]);
    fs::write(workshop.path("names.txt"), "cat\ndog\n").unwrap();
    workshop.output(&["check", "own.yaml"]).is(0, &[]);
    let labels = fs::read_to_string(workshop.path("sweep.yaml")).unwrap() + "target: label\n";
    fs::write(workshop.path("labels.yaml"), labels).unwrap();
    workshop
        .output(&["check", "labels.yaml"])
        .is(3, &["has 1000 classes, and the data set's `classes` names 2"]);
    fs::write(workshop.path("data.yaml"), "root: photos\nlayout: folders\n").unwrap();
    let counted = workshop.output(&["check", "labels.yaml"]);
    counted.is(0, &["caution: labels are counted in the order of the folders' names"]);
    let predicted = workshop.output(&["check", "sweep.yaml"]);
    predicted.is(0, &["the accuracy in reports means nothing, and all else is as it should be"]);
    fs::create_dir(workshop.path("photos/cat")).unwrap();
    workshop.output(&["check", "own.yaml"]).is(0, &[]);

    let list = "root: photos\nlayout: csv\ncsv: list.csv\n";
    fs::write(workshop.path("data.yaml"), list).unwrap();
    let row = "path,lable,xmin,ymin,xmax,ymax\ndog/0.png,3,1,1,5000,9\n";
    fs::write(workshop.path("list.csv"), row).unwrap();
    let ended = workshop.output(&["run", "sweep.yaml", "--out", "run"]);
    let cautions = [
        "the column `lable` of the list is not read; did you mean `label`?",
        "boxes of 1 image reach beyond the photograph (dog/0.png has ",
    ];
    ended.is(0, &cautions);
    let report = fs::read_to_string(workshop.path("run/report.md")).unwrap();
    assert!(cautions.iter().all(|said| report.replace('\\', "").contains(said)), "{report}");
    fs::write(workshop.path("list.csv"), "path,label\ndog/0.png,3000\n").unwrap();
    workshop
        .output(&["check", "sweep.yaml"])
        .is(0, &["caution: dog/0.png is labeled 3000, and tf_efficientnet_lite0 has 1000 classes"]);

    fs::remove_file(workshop.path("data.yaml")).unwrap();
    workshop
        .output(&["check", "sweep.yaml"])
        .is(3, &["sweep.yaml:2: there is no `data.yaml`: it is looked for in"]);
    workshop.output(&["hook", "resnet18", "-o", "x.onnx"]).is(2, &["resnet18 is a network of"]);
    workshop.output(&["run", "sweep.yaml", "--limit", "0"]).is(2, &["--limit"]);
    // A line of CI that lost its `--baseline` must not pass.
    for option in [["--noise", "1%"], ["--fail-on", "regressed"], ["--baselines", "nowhere"]] {
        let [option, value] = option;
        let ended = workshop.output(&["run", "sweep.yaml", option, value]);
        ended.is(2, &[option, "give --baseline"]);
    }
}

#[test]
fn a_run_tells_a_program_how_it_ended() {
    let workshop = Workshop::with_photographs(2);
    let ended = workshop.output(&["run", "sweep.yaml", "--out", "run", "--json"]);
    ended.is(0, &[]);
    let said: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(
        (&said["n_rows"], &said["n_done"], &said["n_failed"]),
        (&8.into(), &8.into(), &0.into())
    );
    assert_eq!(said["folder"], "run");
    assert!(said["executed_forwards"].as_u64().unwrap() > 2 * 24, "{said}");
    let busy = said["network_busy"].as_f64().unwrap();
    assert!(busy > 0.0 && busy <= 1.0, "{said}");
}

#[test]
fn a_trace_shows_what_every_thread_did_and_when() {
    let workshop = Workshop::with_photographs(3);
    let traced = ["run", "sweep.yaml", "--out", "run", "--trace"];
    workshop.output(&traced).is(0, &[]);
    let read = |name: &str| {
        let text = fs::read_to_string(workshop.path(name)).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()
    };
    let trace = read("run/trace.json");
    let events = trace["traceEvents"].as_array().unwrap();

    let threads: Vec<&str> = events
        .iter()
        .filter(|event| event["ph"] == "M")
        .map(|event| event["args"]["name"].as_str().unwrap())
        .collect();
    let thread = |event: &serde_json::Value| threads[event["tid"].as_u64().unwrap() as usize];
    let spans: Vec<_> = events.iter().filter(|event| event["ph"] == "X").collect();
    for (name, on, n) in [
        ("plan", "main", 1),
        ("hash images", "main", 1),
        ("load tf_efficientnet_lite0", "main", 2),
        ("wait for photo", "main", 4),
        ("subject", "main", 3),
        ("explain rise", "main", 3),
        ("explain cam", "main", 3),
        ("row", "main", 12),
        ("hand over", "main", 12),
        ("tables", "main", 1),
        ("publish Plots", "main", 1),
        ("publish Md", "main", 1),
    ] {
        let found = spans.iter().filter(|span| span["name"] == name && thread(span) == on).count();
        assert_eq!(found, n, "{name} on {on}");
    }
    let decoded = spans.iter().filter(|span| span["name"] == "decode");
    assert!(decoded.clone().count() >= 3 && decoded.clone().all(|span| thread(span) != "main"));
    let written = spans.iter().filter(|span| span["name"] == "write" && thread(span) == "writer");
    assert_eq!(written.map(|span| span["args"]["n_rows"].as_u64().unwrap()).sum::<u64>(), 12);

    // What a thread does lies side by side, or one within another.
    let times = |span: &serde_json::Value| {
        let [at, long] = ["ts", "dur"].map(|field| span[field].as_f64().unwrap());
        (at, at + long)
    };
    for a in &spans {
        for b in spans.iter().filter(|b| b["tid"] == a["tid"]) {
            let ((a0, a1), (b0, b1)) = (times(a), times(b));
            assert!(
                a1 <= b0 || b1 <= a0 || a0 <= b0 && b1 <= a1 || b0 <= a0 && a1 <= b1,
                "{a} {b}"
            );
        }
    }

    let before = fs::read(workshop.path("run/trace.json")).unwrap();
    workshop.output(&traced).is(0, &["no trace: the run was finished before"]);
    assert!(fs::read(workshop.path("run/trace.json")).unwrap() == before);
    workshop.output(&["run", "sweep.yaml", "--out", "run", "--trace=mine.json"]).is(0, &[]);
    assert!(read("mine.json")["traceEvents"].as_array().unwrap().len() > 1);
}

#[test]
fn a_run_without_out_lands_below_results_and_is_found_again() {
    let workshop = Workshop::with_photographs(1);
    workshop.write_sweep("[cam]");
    workshop.output(&["run", "sweep.yaml"]).is(0, &[]);
    workshop.output(&["run", "sweep.yaml"]).is(0, &["1 of 1 rows are there"]);
    assert_eq!(fs::read_dir(workshop.path("results/small")).unwrap().count(), 1);
}

#[test]
fn what_a_sweep_says_wrong_is_named_with_its_line_and_code_3() {
    let workshop = Workshop::with_photographs(1);
    let sweep = fs::read_to_string(workshop.path("sweep.yaml")).unwrap();
    for (from, to, words) in [
        ("name: small", "nmae: small", &["bad.yaml:1", "nmae", "did you mean `name`?"][..]),
        ("[cam,", "[gard_cam,", &["bad.yaml:5", "gard_cam", "did you mean `grad_cam`?"]),
        ("n_masks", "nmasks", &["bad.yaml:5", "nmasks", "did you mean `n_masks`?"]),
        ("[drop,", "[dorp,", &["bad.yaml:6", "dorp", "did you mean `drop`?"]),
        (
            "tf_efficientnet_lite0",
            "tf_efficientnet_light0",
            &["tf_efficientnet_light0", "did you mean `tf_efficientnet_lite0`?"],
        ),
        ("weights: seeded", "weights: seeded, layer: conv_haed", &["conv_haed", "conv_head"]),
        ("[cam,", "[cam, cam,", &["two entries are called `cam`", "`as`"]),
        ("data.yaml", "nowhere.yaml", &["bad.yaml:2: there is no `nowhere.yaml`"]),
        (
            "weights: seeded",
            "weights: missing.pth",
            &["bad.yaml:4", "cannot read missing.pth", "name a weights file"],
        ),
        ("name: small", "name: [", &["bad.yaml"]),
        ("[cam,", "[{ name: imported, maps: nomaps },", &["nomaps"]),
        ("weights: seeded", "weights: seeded, layer: blocks.3", &["cam", "blocks.3", "linear"]),
    ] {
        fs::write(workshop.path("bad.yaml"), sweep.replacen(from, to, 1)).unwrap();
        println!("{to}");
        let ended = workshop.output(&["run", "bad.yaml", "--out", "run"]);
        println!("{}", ended.stderr);
        ended.is(3, words);
        assert!(!workshop.path("run").exists(), "a run that cannot start leaves nothing");
    }
}

#[test]
fn files_that_are_no_pictures_become_failed_rows_and_code_4() {
    let workshop = Workshop::with_photographs(3);
    workshop.write_sweep("[cam]");
    let photo =
        |name: &str, bytes: &[u8]| fs::write(workshop.path("photos").join(name), bytes).unwrap();
    photo("text.jpg", b"Dear Sir or Madam");
    photo("empty.jpg", b"");
    let whole = photograph(1);
    photo("cut.png", &whole[..whole.len() / 2]);
    photo("huge.png", &png_header(20_000, 20_000));
    let ended = workshop.output(&["run", "sweep.yaml", "--out", "run"]);
    ended.is(4, &["4 of 7 rows failed", "--max-failed"]);
    let run = Run::read(&workshop.path("run")).unwrap();
    for record in run.records() {
        let is_bad = !record.image.starts_with(|c: char| c.is_ascii_digit());
        assert_eq!(record.status == Status::Failed, is_bad, "{record:?}");
        if let Some(error) = &record.error {
            println!("{error}");
            assert!(error.contains(&*record.image), "{error}");
        }
    }
    let report = fs::read_to_string(workshop.path("run/report.md")).unwrap();
    assert!(report.contains("| text.jpg | failed |"), "{report}");
    workshop.output(&["run", "sweep.yaml", "--out", "run", "--max-failed", "100%"]).is(0, &[]);
}

/// The start of a PNG file of that size, with a right checksum and no pixels.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut chunk = b"IHDR".to_vec();
    chunk.extend(width.to_be_bytes());
    chunk.extend(height.to_be_bytes());
    chunk.extend([8, 2, 0, 0, 0]);
    let mut crc = u32::MAX;
    for byte in &chunk {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
    png.extend(chunk);
    png.extend((!crc).to_be_bytes());
    png
}

#[test]
fn a_data_set_without_images_and_truncated_weights_are_named_with_code_3() {
    let workshop = Workshop::with_photographs(0);
    workshop.output(&["run", "sweep.yaml"]).is(3, &["photos", "no image"]);

    let workshop = Workshop::with_photographs(1);
    let weights = cam_core::cache_folder().join("weights/efficientnet_lite0.pth");
    let Ok(bytes) = fs::read(&weights) else {
        println!("skipped the truncated weights: {} is not set up", weights.display());
        return;
    };
    fs::write(workshop.path("cut.pth"), &bytes[..bytes.len() / 2]).unwrap();
    let sweep = fs::read_to_string(workshop.path("sweep.yaml")).unwrap();
    fs::write(workshop.path("sweep.yaml"), sweep.replace("seeded", "cut.pth")).unwrap();
    workshop.output(&["run", "sweep.yaml"]).is(3, &["cut.pth"]);
}

/// Runs the binary in a mount namespace of its own, between two commands of the shell; `None` where the system does not
/// let us.
#[cfg(target_os = "linux")]
fn mounted(workshop: &Workshop, mount: &str, args: &[&str], after: &str) -> Option<Ended> {
    let script =
        format!("{mount} && echo mounted >&2 || exit 1; \"$@\"; code=$?; {after}; exit $code");
    let output = Command::new("unshare")
        .args(["--mount", "--map-root-user", "sh", "-c", &script, "sh"])
        .env("OMP_WAIT_POLICY", "passive")
        .arg(env!("CARGO_BIN_EXE_cambench"))
        .args(args)
        .current_dir(workshop.0.path())
        .output();
    let ended = output.ok().map(Ended::of).filter(|ended| ended.stderr.contains("mounted"));
    if ended.is_none() {
        println!("skipped: no mount namespaces here");
    }
    ended
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_named_and_what_was_done_until_then_is_not_lost() {
    let workshop = Workshop::with_photographs(6);
    fs::create_dir(workshop.path("small")).unwrap();
    let mount = "mount -t tmpfs -o size=48k none small";
    let run = ["run", "sweep.yaml", "--out", "small/run"];
    let Some(ended) = mounted(&workshop, mount, &run, "cp -r small/run kept") else { return };
    ended.is(3, &["no space left to write small/run/", "continues where this one stopped"]);

    // On a larger disk.
    let n_kept = Run::read(&workshop.path("kept")).unwrap().records().len();
    assert!((1..24).contains(&n_kept), "{n_kept}");
    let there = format!("{n_kept} of 24 rows are there");
    workshop.output(&["run", "sweep.yaml", "--out", "kept"]).is(0, &[&there]);
    assert_eq!(Run::read(&workshop.path("kept")).unwrap().records().len(), 24);
}

#[cfg(target_os = "linux")]
#[test]
fn an_output_folder_that_cannot_be_written_is_named() {
    let workshop = Workshop::with_photographs(1);
    fs::create_dir(workshop.path("fixed")).unwrap();
    let mount = "mount -t tmpfs -o ro none fixed";
    let run = ["run", "sweep.yaml", "--out", "fixed/run"];
    let explain =
        "explain photos/0.png --weights seeded --model resnet18 --method cam --out fixed/maps";
    if let Some(ended) = mounted(&workshop, mount, &run, "true") {
        ended.is(3, &["fixed/run", "Read-only file system"]);
    }
    let explain: Vec<&str> = explain.split(' ').collect();
    if let Some(ended) = mounted(&workshop, mount, &explain, "true") {
        ended.is(3, &["fixed/maps", "Read-only file system"]);
    }
}

#[cfg(unix)]
#[test]
fn an_unreadable_folder_is_named() {
    use std::os::unix::fs::PermissionsExt as _;

    let workshop = Workshop::with_photographs(1);
    let photos = workshop.path("photos");
    fs::set_permissions(&photos, fs::Permissions::from_mode(0o000)).unwrap();
    let is_root = fs::read_dir(&photos).is_ok();
    let ended = if is_root {
        // Root may read everything, unless it gives up that privilege.
        let output = Command::new("setpriv")
            .arg("--bounding-set=-dac_override,-dac_read_search")
            .arg(env!("CARGO_BIN_EXE_cambench"))
            .args(["run", "sweep.yaml", "--out", "run"])
            .current_dir(workshop.0.path())
            .output();
        output.ok().map(Ended::of).filter(|ended| ended.code == Some(3))
    } else {
        Some(workshop.output(&["run", "sweep.yaml", "--out", "run"]))
    };
    fs::set_permissions(&photos, fs::Permissions::from_mode(0o755)).unwrap();
    match ended {
        Some(ended) => ended.is(3, &["photos", "Permission denied"]),
        None => println!("skipped: root cannot give up its privileges here"),
    }
}

#[test]
fn explain_writes_an_overlay_and_a_map_and_says_the_class() {
    let workshop = Workshop::with_photographs(2);
    let args = [
        "explain",
        "photos/0.png",
        "photos/1.png",
        "--model",
        "resnet18",
        "--weights",
        "seeded",
        "--method",
        "rise",
        "--option",
        "n_masks=16",
        "--class",
        "7",
        "--seeds",
        "3",
        "--out",
        "maps",
        "--json",
    ];
    let ended = workshop.output(&args);
    ended.is(0, &["random weights"]);
    for (i, line) in ended.stdout.lines().enumerate() {
        let said: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(said["class"], 7);
        assert_eq!(said["class_name"], "cock");
        assert!((0.0..=1.0).contains(&said["confidence"].as_f64().unwrap()));
        // Sixteen masks are few.
        assert!((0.05..0.5).contains(&said["deviation_over_seeds"].as_f64().unwrap()));
        let overlay = fs::read(workshop.path(said["overlay"].as_str().unwrap())).unwrap();
        assert!(overlay.starts_with(b"\x89PNG"));
        let map = tch::Tensor::read_npy(workshop.path(&format!("maps/{i}.rise.npy"))).unwrap();
        assert_eq!((map.size(), map.kind()), (vec![224, 224], tch::Kind::Float));
        assert!(map.min().double_value(&[]) >= 0.0 && map.max().double_value(&[]) <= 1.0);
    }
    assert_eq!(ended.stdout.lines().count(), 2);

    let map = |protocol: &str| {
        let args = "explain photos/0.png --model resnet18 --weights seeded --method recipro_cam --protocol";
        let args: Vec<&str> = args.split(' ').chain([protocol]).collect();
        workshop.output(&args).is(0, &[]);
        tch::Tensor::read_npy(workshop.path("0.recipro_cam.npy")).unwrap()
    };
    let (ours, theirs) = (map("corrected"), map("byun-2022"));
    assert_ne!(ours, theirs);
    let beyond = |map: &tch::Tensor| map.clamp(0.0, 1.0).ne_tensor(map).any().int64_value(&[]) == 1;
    assert!(!beyond(&ours) && beyond(&theirs), "upsampled bicubically, and not clamped");

    // Behind the largest seed comes the smallest.
    let most = u64::MAX.to_string();
    let seeds = ["--seed", &most, "--seeds", "2", "--method", "rise", "--option", "n_masks=4"];
    let args = ["explain", "photos/0.png", "--model", "resnet18", "--weights", "seeded"];
    workshop.output(&[&args[..], &seeds].concat()).is(0, &[]);
}

#[test]
fn explain_draws_what_a_sweep_draws_for_the_same_image_and_seed() {
    let workshop = Workshop::with_photographs(2);
    workshop.write_sweep("[{ name: rise, n_masks: 24 }]");
    workshop.output(&["run", "sweep.yaml", "--out", "run"]).is(0, &[]);
    let args = "explain photos/0.png photos/1.png --model tf_efficientnet_lite0 --weights seeded --method rise --option n_masks=24";
    workshop.output(&args.split(' ').collect::<Vec<_>>()).is(0, &[]);
    let run = Run::read(&workshop.path("run")).unwrap();
    run.visit_maps(|key, map| {
        let raw = tch::Tensor::from_slice(&map.values).view([224, 224]);
        let swept = cam_core::Map::new(&raw, [224, 224]).unwrap();
        let file = workshop.path(&key.image.replace(".png", ".rise.npy"));
        let explained = tch::Tensor::read_npy(file).unwrap();
        let off = (explained - swept.unit()).abs().max().double_value(&[]);
        assert!(off < 1e-5, "{}: {off}", key.image);
    })
    .unwrap();
}

#[test]
fn explain_says_what_it_cannot_do() {
    let workshop = Workshop::with_photographs(1);
    fs::write(workshop.path("letter.jpg"), "Dear Sir or Madam").unwrap();
    let explain = |more: &[&str]| {
        let mut args = vec!["explain", "--weights", "seeded", "--out", "maps"];
        args.extend(more);
        workshop.output(&args)
    };
    let of = |model, method| ["photos/0.png", "--model", model, "--method", method];
    explain(&of("resnet81", "cam")).is(3, &["resnet81", "did you mean"]);
    explain(&of("resnet18", "gradcam")).is(3, &["gradcam", "did you mean `grad_cam`?"]);
    explain(&of("vgg16", "cam")).is(3, &["vgg16", "linear layer"]);
    explain(&of("resnet18", "imported")).is(2, &["imported"]);
    let protocol = [&of("resnet18", "cam")[..], &["--protocol", "byun-2023"]].concat();
    explain(&protocol).is(3, &["--protocol", "did you mean `byun-2022`?"]);
    explain(&["letter.jpg", "--model", "resnet18", "--method", "cam"]).is(3, &["letter.jpg"]);
    let class = ["photos/0.png", "--model", "resnet18", "--method", "cam", "--class", "1000"];
    explain(&class).is(2, &["--class 1000", "0 to 999"]);
    let class = ["photos/0.png", "--model", "resnet18", "--method", "cam", "--class", "tnech"];
    explain(&class).is(2, &["did you mean `tench`?"]);
    explain(&["photos/0.png", "data/0.png", "--model", "resnet18", "--method", "cam"])
        .is(2, &["two images are called 0"]);
    explain(&["photos/0.png", "--model", "resnet18", "--method", "rise", "--option", "n_masks"])
        .is(2, &["KEY=VALUE"]);
}

#[test]
fn check_says_what_a_sweep_will_take() {
    let workshop = Workshop::with_photographs(3);
    let ended = workshop.output(&["check", "sweep.yaml", "--json"]);
    ended.is(0, &[]);
    let said: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&said["n_images"], &said["n_rows"]), (&3.into(), &12.into()));
    assert_eq!(said["cells"].as_array().unwrap().len(), 4);
    assert!(said["hours"].as_f64().unwrap() > 0.0 && said["disk_bytes"].as_u64().unwrap() > 0);
    fs::write(workshop.path("photos/bad.jpg"), "text").unwrap();
    let ended = workshop.output(&["check", "sweep.yaml"]);
    ended.is(3, &[]);
    assert!(ended.stdout.contains("bad.jpg is neither a JPEG nor a PNG"), "{ended:?}");
}

#[test]
fn a_check_fails_where_the_run_would() {
    let workshop = Workshop::with_photographs(1);
    fs::create_dir(workshop.path("maps")).unwrap();
    workshop.write_sweep("[cam, { name: imported, maps: maps }]");
    let ended = workshop.output(&["check", "sweep.yaml"]);
    ended.is(3, &[]);
    assert!(ended.stdout.contains("0.npy"), "{ended:?}");
}

#[test]
fn a_reader_who_has_seen_enough_is_neither_a_bug_nor_success() {
    let workshop = Workshop::with_photographs(0);
    let mut list = workshop
        .cambench(&["list", "models"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(list.stdout.take());
    let ended = Ended::of(list.wait_with_output().unwrap());
    ended.is(141, &[]);
    assert_eq!(ended.stderr, "");
}

/// A device that is always full.
#[cfg(target_os = "linux")]
fn full() -> fs::File {
    fs::File::options().write(true).open("/dev/full").unwrap()
}

#[test]
#[cfg(target_os = "linux")]
fn what_cannot_be_printed_for_a_full_disk_is_an_error() {
    let workshop = Workshop::with_photographs(0);
    for args in [&["list", "models"][..], &["list", "methods", "--json"], &["--help"]] {
        let ended = Ended::of(workshop.cambench(args).stdout(full()).output().unwrap());
        ended.is(3, &["error: cannot write to the standard output: No space left on device"]);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_run_whose_log_has_no_room_left_is_computed_all_the_same() {
    let workshop = Workshop::with_photographs(1);
    let mut run = workshop.cambench(&["run", "sweep.yaml", "--out", "run"]);
    assert_eq!(run.stdout(Stdio::null()).stderr(full()).status().unwrap().code(), Some(0));
    assert_eq!(Run::read(&workshop.path("run")).unwrap().n_missing(), 0);
    // Nor does it hide why a command failed.
    let mut none = workshop.cambench(&["report", "nowhere"]);
    assert_eq!(none.stderr(full()).status().unwrap().code(), Some(3));
}

#[test]
fn a_wrong_command_line_is_code_2() {
    let workshop = Workshop::with_photographs(0);
    for args in [
        &["rnu"][..],
        &["run", "sweep.yaml", "--threads", "0"],
        &["run", "sweep.yaml", "--max-failed", "most"],
        &["run", "sweep.yaml", "--device", "gpu"],
        &["list", "colors"],
        &["explain"],
        &[],
    ] {
        let ended = workshop.output(args);
        assert_eq!(ended.code, Some(2), "{args:?}: {ended:?}");
    }
}

#[test]
fn the_help_and_the_lists_stay_as_they_are() {
    let workshop = Workshop::with_photographs(0);
    let mut said = vec![];
    for args in [
        &["--help"][..],
        &["run", "--help"],
        &["check", "--help"],
        &["explain", "--help"],
        &["report", "--help"],
        &["inspect", "--help"],
        &["hook", "--help"],
        &["compare", "--help"],
        &["baseline", "save", "--help"],
        &["verify", "--help"],
        &["list", "methods"],
        &["list", "metrics"],
        &["list", "protocols"],
        &["list", "models"],
    ] {
        let ended = workshop.output(args);
        ended.is(0, &[]);
        said.push(format!("$ cambench {}\n{}", args.join(" "), ended.stdout));
    }
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn a_folder_that_is_no_run_is_named() {
    let workshop = Workshop::with_photographs(0);
    workshop.output(&["report", "photos"]).is(3, &["photos", "manifest.json"]);
    fs::write(workshop.path("photos/manifest.json"), "{ \"schema\": 99 }").unwrap();
    workshop.output(&["report", "photos"]).is(3, &["schema 99", "update cambench"]);
    let mut file = fs::File::create(workshop.path("photos/manifest.json")).unwrap();
    file.write_all(b"{").unwrap();
    workshop.output(&["report", "photos"]).is(3, &["manifest.json"]);
    assert!(Path::new(&workshop.path("photos")).is_dir());
}
