//! The tables: medians, ratios, and whether they are what was promised.

use std::fmt::Write as _;

use serde_json::Value;

use super::jobs::{CONVOLUTIONS, Contender, Device, GROUPS, Job, OURS, PEAK, SHARES, Target};
use super::rows::{Failure, Row, median};
use super::{Options, machine};

/// The models in the order of the tables, each with what was exported of it.
pub(super) type Models = Vec<(String, Value)>;

/// The whole report. What is not measured yet is a dash.
pub(super) fn report(
    options: &Options,
    models: &Models,
    about: &Value,
    rows: &[Row],
    failures: &[Failure],
) -> String {
    let (times, group) = (Times { rows }, options.group);
    let mut text = format!("# {}\n\n", group.title);
    let jobs = if *group == GROUPS[0] { String::new() } else { format!(" --jobs {}", group.name) };
    let _ = writeln!(
        text,
        "`cargo xtask peers{jobs} --device {}`: everyone has the same weights, image, class and number of threads, \
         and works while the others wait. {}\n",
        options.device.name(),
        machine::sentence(about)
    );
    let seeded: Vec<&str> = models
        .iter()
        .filter(|(_, model)| model["is_seeded"] == true)
        .map(|(name, model)| title(name, model))
        .collect();
    if !seeded.is_empty() {
        let _ = writeln!(text, "Weights of {} are seeded random numbers.\n", seeded.join(" and "));
    }
    let asked: Vec<_> =
        models.iter().filter(|(name, _)| options.models.contains(name)).cloned().collect();
    text += &goals(options, &asked, &times);
    if group.jobs.iter().any(|job| job.name == PEAK) {
        text += &shares(options, models, &times);
    }
    for (name, model) in &asked {
        text += &details(options, name, title(name, model), &times, failures);
    }
    text += &notes(group.jobs);
    text
}

/// Who computed something else than we did, beyond what is allowed.
pub(super) fn disagreements(options: &Options, rows: &[Row]) -> Vec<String> {
    let is_wrong = |row: &&Row| {
        let Some((contender, job)) = identify(row) else { return false };
        let allowed = job.tolerance(contender, options.device);
        allowed.is_some_and(|allowed| row.difference.is_some_and(|found| found > allowed))
    };
    let line = |row: &Row| {
        format!(
            "{} of {}, {} {}, round {}: off by {:.1e}",
            row.job,
            row.model,
            row.peer,
            row.variant,
            row.round,
            row.difference.unwrap_or_default()
        )
    };
    rows.iter().filter(is_wrong).map(line).collect()
}

/// The main table: a line a goal.
fn goals(options: &Options, models: &Models, times: &Times<'_>) -> String {
    let mut text = String::from("## Times as fast\n\n");
    let titles: Vec<&str> = models.iter().map(|(name, model)| title(name, model)).collect();
    text += &line(["What", "Against"].iter().chain(&titles));
    text += &line(std::iter::repeat_n("---", 2 + titles.len()));
    for target in options.group.targets {
        let job = super::jobs::by_name(target.job).map_or("", |(_, job)| job.title);
        let what = if target.ours == "bf16" { format!("{job}, in bf16") } else { job.to_owned() };
        let cells = models.iter().map(|(model, _)| goal(options.device, target, model, times));
        text += &line([what, target.against.to_owned()].into_iter().chain(cells));
    }
    let tuned = match options.device {
        Device::Cpu => "channels-last with a malloc that keeps its memory",
        Device::Cuda => {
            "channels-last and in bf16. In single precision torch's convolutions multiply in TF32, as it comes, and ours do not"
        }
    };
    let _ = writeln!(
        text,
        "\nRatios of median times: theirs, as their documentation has it, to ours in single precision. *Tuned* are the \
         same peers {tuned}.\n"
    );
    text
}

/// `6.3× (goal 6×: met); tuned 3.1×`; the goals are for a processor.
fn goal(device: Device, target: &Target, model: &str, times: &Times<'_>) -> String {
    let ours = times.median(target.job, model, OURS, target.ours);
    let fastest = |variant: Option<&str>| {
        let peers = target.peers.iter();
        peers
            .filter_map(|(peer, own)| times.median(target.job, model, peer, variant.unwrap_or(own)))
            .min_by(f64::total_cmp)
    };
    let (Some(ours), Some(theirs)) = (ours, fastest(None)) else { return "–".to_owned() };
    let ratio = theirs / ours;
    let mut text = format!("**{ratio:.1}×**");
    let goal = target.factors.iter().find(|(name, _)| *name == model);
    if let Some((_, goal)) = goal.filter(|_| device == Device::Cpu) {
        let verdict = if ratio >= *goal { "met" } else { "missed" };
        let _ = write!(text, " (goal {goal}×: {verdict})");
    }
    let is_tuned = target.peers.iter().all(|(_, variant)| *variant == "tuned");
    if let Some(tuned) = fastest(Some("tuned")).filter(|_| !is_tuned) {
        let _ = write!(text, "; tuned {:.1}×", tuned / ours);
    }
    if let Some(ours) = times.median(target.job, model, OURS, "tf32") {
        let _ = write!(text, "; ours in TF32 {:.1}×", theirs / ours);
    }
    text
}

/// How much of the peak a forward reaches.
fn shares(options: &Options, models: &Models, times: &Times<'_>) -> String {
    let mut text = String::from("## Share of the peak\n\n");
    let head = ["Model", "GFLOP/s", "of the peak", "GFLOP/s in bf16", "of the peak", "goal"];
    text += &line(head.into_iter().chain(["all of it, against eager", "against the best tuned"]));
    text += &line(["---"; 8]);
    for (name, model) in models {
        let gmacs = model["gmacs"].as_f64().unwrap_or_default();
        let share = |variant: &str| {
            let forward = times.median(PEAK, name, OURS, variant)?;
            let peak = times.median(PEAK, name, CONVOLUTIONS, variant)?;
            Some((2.0 * 16.0 * gmacs / forward, 16.0 * gmacs * peak / forward))
        };
        let cells = |variant| {
            share(variant).map_or(["–".to_owned(), "–".to_owned()], |(speed, share)| {
                [format!("{speed:.0}"), format!("{:.0} %", 100.0 * share)]
            })
        };
        let goal = SHARES.iter().find(|(model, _)| model == name);
        let goal = goal.filter(|_| options.device == Device::Cpu);
        let goal = goal.map_or(String::new(), |(_, goal)| {
            let verdict = match share("f32") {
                None => "",
                Some((_, share)) if share >= *goal => ": met",
                Some(_) => ": missed",
            };
            format!("{:.0} %{verdict}", 100.0 * goal)
        });
        // How many times as fast a forward would be that ran at the peak.
        let at_most = |peer: &str, variant: &str| {
            let peak = times.median(PEAK, name, CONVOLUTIONS, "f32")?;
            Some(times.median("forward_16", name, peer, variant)? / (16.0 * gmacs * peak))
        };
        let tuned = ["torch", "torch-frozen"].map(|peer| at_most(peer, "tuned"));
        let tuned = tuned.into_iter().flatten().min_by(f64::total_cmp);
        let limits = [at_most("torch", "stock"), tuned]
            .map(|ratio| ratio.map_or("–".to_owned(), |ratio| format!("{ratio:.1}×")));
        let model = [title(name, model).to_owned()];
        let cells = cells("f32").into_iter().chain(cells("bf16")).chain([goal]).chain(limits);
        text += &line(model.into_iter().chain(cells));
    }
    text += "\nA forward at batch 16 beside the fastest of seven bare convolutions of ResNets, measured in the same \
             rounds; two operations a multiply-accumulate. The last columns say how many times as fast as torch a forward in \
             single precision would be that ran at the peak: no goal beyond them can be met on this machine.\n\n";
    text
}

/// Every contender of every job with one model, as far as it was measured.
fn details(
    options: &Options,
    model: &str,
    title: &str,
    times: &Times<'_>,
    failures: &[Failure],
) -> String {
    let mut text = format!("## {title}\n\n");
    let head =
        ["Job", "Who", "Variant", "Median", "Spread", "Rounds", "cambench", "in bf16", "Off by"];
    text += &line(head);
    text += &line(["---"; 9]);
    let jobs = options.group.jobs.iter().filter(|job| job.name != PEAK && job.suits(model));
    for job in jobs {
        for contender in job.contenders(options.device) {
            let failure = failures.iter().find(|failure| {
                (failure.job, failure.model.as_str(), failure.contender)
                    == (job.name, model, contender)
            });
            if let Some(cells) = detail(job, model, contender, times) {
                text += &line(cells);
            } else if let Some(Failure { reason, .. }) = failure {
                let Contender { peer, variant } = contender;
                let reason = format!("fails: {}", reason.replace('|', "\\|"));
                text += &line([job.title, peer, variant, &reason, "", "", "", "", ""]);
            }
        }
    }
    text += "\n*cambench*: how many times as fast we are, in single precision and in bf16. *Spread*: between the fastest \
             and the slowest round, of the median. *Off by*: the largest difference from our numbers in single precision, \
             of logits, of maps in [0, 1] or of scores; in parentheses where the formulas differ.\n\n";
    text
}

fn detail(job: &Job, model: &str, contender: Contender, times: &Times<'_>) -> Option<[String; 9]> {
    let Contender { peer, variant } = contender;
    let secs = times.of(job.name, model, peer, variant);
    let middle = median(secs.clone())?;
    let (least, most) =
        secs.iter().fold((f64::MAX, 0.0_f64), |(a, b), &secs| (a.min(secs), b.max(secs)));
    let ratio = |ours: &str| match times.median(job.name, model, OURS, ours) {
        Some(ours) if peer != OURS => format!("{:.2}×", middle / ours),
        _ => String::new(),
    };
    let off = times.difference(job.name, model, contender).map_or(String::new(), |off| {
        if job.tolerance(contender, Device::Cpu).is_some() {
            format!("{off:.0e}")
        } else {
            format!("({off:.0e})")
        }
    });
    Some([
        job.title.to_owned(),
        peer.to_owned(),
        variant.to_owned(),
        seconds(middle),
        format!("{:.0} %", 100.0 * (most - least) / middle),
        secs.len().to_string(),
        ratio("f32"),
        ratio("bf16"),
        off,
    ])
}

fn notes(jobs: &[Job]) -> String {
    let mut text = String::from("## Notes\n\n");
    for job in jobs.iter().filter(|job| !job.note.is_empty()) {
        let _ = writeln!(text, "- {}: {}.", job.title, job.note);
    }
    text
}

fn title<'a>(name: &'a str, model: &'a Value) -> &'a str {
    model["title"].as_str().unwrap_or(name)
}

/// Three digits, in the unit that suits.
pub(super) fn seconds(secs: f64) -> String {
    match secs {
        100.0.. => format!("{secs:.0} s"),
        10.0.. => format!("{secs:.1} s"),
        1.0.. => format!("{secs:.2} s"),
        0.1.. => format!("{:.0} ms", 1e3 * secs),
        0.01.. => format!("{:.1} ms", 1e3 * secs),
        _ => format!("{:.2} ms", 1e3 * secs),
    }
}

/// A line of a table.
pub(super) fn line(cells: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let cells = cells.into_iter().map(|cell| format!(" {} |", cell.as_ref()));
    format!("|{}\n", cells.collect::<String>())
}

fn identify(row: &Row) -> Option<(Contender, &'static Job)> {
    let (_, job) = super::jobs::by_name(&row.job)?;
    let contender = job
        .contenders(Device::Cpu)
        .into_iter()
        .find(|contender| row.peer == contender.peer && row.variant == contender.variant)?;
    Some((contender, job))
}

/// The rows, asked by what they are of.
struct Times<'a> {
    rows: &'a [Row],
}

impl Times<'_> {
    fn rows(
        &self,
        job: &str,
        model: &str,
        peer: &str,
        variant: &str,
    ) -> impl Iterator<Item = &Row> {
        let is_of = move |row: &&Row| {
            (row.job.as_str(), row.model.as_str()) == (job, model)
                && (row.peer.as_str(), row.variant.as_str()) == (peer, variant)
        };
        self.rows.iter().filter(is_of)
    }

    fn of(&self, job: &str, model: &str, peer: &str, variant: &str) -> Vec<f64> {
        self.rows(job, model, peer, variant).map(|row| row.secs).collect()
    }

    fn median(&self, job: &str, model: &str, peer: &str, variant: &str) -> Option<f64> {
        median(self.of(job, model, peer, variant))
    }

    fn difference(&self, job: &str, model: &str, contender: Contender) -> Option<f64> {
        let Contender { peer, variant } = contender;
        let rows = self.rows(job, model, peer, variant);
        rows.filter_map(|row| row.difference).max_by(f64::total_cmp)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(job: &str, peer: &str, variant: &str, secs: f64) -> Row {
        let [job, model, peer, variant] = [job, "resnet50", peer, variant].map(str::to_owned);
        Row { job, model, peer, variant, round: 1, secs, difference: None }
    }

    fn grad_cam() -> Vec<Row> {
        vec![
            row("grad_cam", OURS, "f32", 0.02),
            row("grad_cam", OURS, "f32", 0.04),
            row("grad_cam", OURS, "f32", 0.03),
            row("grad_cam", "torch-cam", "stock", 0.09),
            row("grad_cam", "grad-cam", "stock", 0.06),
            row("grad_cam", "torch-cam", "tuned", 0.045),
        ]
    }

    fn target(job: &str) -> &'static Target {
        GROUPS[0].targets.iter().find(|target| target.job == job).unwrap()
    }

    #[test]
    fn a_goal_is_the_fastest_peers_median_over_ours_with_the_tuned_one_beside_it() {
        let rows = grad_cam();
        let times = Times { rows: &rows };
        let goal =
            |job, model: &str, times: &Times<'_>| goal(Device::Cpu, target(job), model, times);
        let text = goal("grad_cam", "resnet50", &times);
        assert_eq!(text, "**2.0×** (goal 1.2×: met); tuned 1.5×");
        assert_eq!(goal("grad_cam", "resnet18", &times), "–");
        assert_eq!(goal("rise", "resnet50", &times), "–");
        let slow = [row("cam", OURS, "f32", 1.0), row("cam", "torch-cam", "stock", 1.1)];
        let text = goal("cam", "resnet50", &Times { rows: &slow });
        assert_eq!(text, "**1.1×** (goal 1.2×: missed)");
    }

    #[test]
    fn the_share_of_the_peak_is_multiplications_over_time_over_the_peak() {
        // 16 images of 4 GMAC in 0.4 s are 320 GFLOP/s; the peak is 1 GMAC in 0.0051 s, 392 GFLOP/s.
        let rows = [
            row(PEAK, OURS, "f32", 0.4),
            row(PEAK, CONVOLUTIONS, "f32", 0.0051),
            row("forward_16", "torch", "stock", 0.6528),
        ];
        let models = vec![("resnet50".to_owned(), json!({ "title": "R", "gmacs": 4.0 }))];
        let options = Options::parse(&[]).unwrap();
        let text = shares(&options, &models, &Times { rows: &rows });
        assert!(text.contains("| R | 320 | 82 % | – | – | 80 %: met | 2.0× | – |"), "{text}");
    }

    #[test]
    fn a_report_names_machine_weights_and_what_is_missing() {
        let models = vec![(
            "resnet50".to_owned(),
            json!({ "title": "ResNet-50", "gmacs": 4.1, "is_seeded": true }),
        )];
        let about = json!({ "cpu": "A processor", "cores": 2, "versions": { "torch": "2.11.0" } });
        let options = Options::parse(&[]).unwrap();
        let text = report(&options, &models, &about, &grad_cam(), &[]);
        for expected in [
            "A processor, 2 cores",
            "torch 2.11.0",
            "Weights of ResNet-50 are seeded",
            "| Grad-CAM | the faster package | **2.0×** (goal 1.2×: met); tuned 1.5× |",
            "| RISE, 256 masks | its authors' code | – |",
            "| Grad-CAM | cambench | f32 | 30.0 ms | 67 % | 3 |  |  |  |",
            "| Grad-CAM | torch-cam | stock | 90.0 ms | 0 % | 1 | 3.00× |  |  |",
        ] {
            assert!(text.contains(expected), "{expected}\n{text}");
        }
    }

    #[test]
    fn a_peer_that_fails_stands_in_the_table_with_its_reason() {
        let options = Options::parse(&["--jobs".to_owned(), "methods".to_owned()]).unwrap();
        let models = vec![("resnet50".to_owned(), json!({ "title": "ResNet-50" }))];
        let failure = Failure {
            job: "road",
            model: "resnet50".to_owned(),
            contender: Contender { peer: "quantus", variant: "stock" },
            reason: "IndexError: 3 | 2".to_owned(),
        };
        let rows = [row("road", OURS, "f32", 1.0)];
        let text = report(&options, &models, &json!({}), &rows, &[failure]);
        for expected in [
            "# Further methods and metrics",
            "`cargo xtask peers --jobs methods --device cpu`",
            "| ROAD, 9 shares | cambench | f32 | 1.00 s |",
            "| ROAD, 9 shares | quantus | stock | fails: IndexError: 3 \\| 2 |  |",
        ] {
            assert!(text.contains(expected), "{expected}\n{text}");
        }
        assert!(!text.contains("Share of the peak"), "{text}");
    }

    #[test]
    fn numbers_that_differ_beyond_the_tolerance_are_told_and_other_formulas_are_not() {
        let options = Options::parse(&[]).unwrap();
        let differing = |job, peer, difference| Row {
            difference: Some(difference),
            ..row(job, peer, "stock", 1.0)
        };
        let rows = [
            differing("grad_cam", "torch-cam", 1e-6),
            differing("grad_cam", "grad-cam", 0.2),
            differing("grad_cam_pp", "torch-cam", 0.2),
        ];
        assert_eq!(
            disagreements(&options, &rows),
            ["grad_cam of resnet50, grad-cam stock, round 1: off by 2.0e-1"]
        );
    }

    #[test]
    fn times_have_three_digits() {
        let texts = [123.4, 12.34, 1.234, 0.1234, 0.012_34, 0.001_234].map(seconds);
        assert_eq!(texts, ["123 s", "12.3 s", "1.23 s", "123 ms", "12.3 ms", "1.23 ms"]);
    }
}
