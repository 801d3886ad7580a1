//! Runs that were changed, against themselves.

use std::ops::Range;

use serde_json::json;

use super::*;
use crate::{
    manifest::name_at,
    testing::{manifest, many_images, model},
};

/// A run of 60 images whose scores were moved.
struct Made {
    manifest: RunManifest,
    records: Vec<Record>,
}

impl Made {
    fn new() -> Self {
        let (manifest, records) = many_images(60);
        Self { manifest, records }
    }

    /// Adds to a metric of a method, by their places, more on every other image.
    fn with(mut self, method: &str, metric: usize, shift: f64) -> Self {
        let of_method = self.records.iter_mut().filter(|record| record.method == method);
        for (i, record) in of_method.enumerate() {
            if let Some(value) = &mut record.metrics[metric] {
                *value += shift * (0.5 + (i % 2) as f64);
            }
        }
        self
    }

    /// Takes the scores of some of a method's images, by their places.
    fn without_scores(mut self, method: &str, images: Range<usize>, status: Status) -> Self {
        let of_method = self.records.iter_mut().filter(|record| record.method == method);
        for record in of_method.skip(images.start).take(images.len()) {
            record.status = status;
            record.metrics.fill(None);
        }
        self
    }

    fn side<'a>(&'a self, name: &'a str) -> Side<'a> {
        Side { name, manifest: &self.manifest, records: &self.records }
    }
}

fn gate(new: &Made) -> Comparison {
    gate_with(new, &Limits::default())
}

fn gate_with(new: &Made, limits: &Limits) -> Comparison {
    let base = Made::new();
    compare(base.side("base"), new.side("new"), limits).unwrap()
}

fn change<'a>(comparison: &'a Comparison, method: &str, metric: &str) -> &'a Change {
    let is_it = |change: &&Change| change.method == method && change.metric == metric;
    comparison.changes.iter().find(is_it).unwrap()
}

fn verdict(comparison: &Comparison, method: &str, metric: &str) -> Verdict {
    change(comparison, method, metric).verdict
}

#[test]
fn a_run_is_unchanged_against_itself() {
    let comparison = gate(&Made::new());
    // Three methods, four metrics and ADCC.
    assert_eq!(comparison.count(Verdict::Unchanged), 15);
    assert!(comparison.changes.iter().all(|c| c.difference.unwrap().p_holm >= 1.0));
    assert!(comparison.differences.is_empty() && comparison.losses.is_empty());
}

#[test]
fn what_got_worse_has_regressed_in_either_direction_of_a_metric() {
    // More drop is worse; more coherency is better.
    let worse = gate(&Made::new().with("cam", 0, 0.05).with("rise", 2, -0.05));
    assert_eq!(verdict(&worse, "cam", "drop"), Verdict::Regressed);
    assert_eq!(verdict(&worse, "cam", "adcc"), Verdict::Regressed);
    assert_eq!(verdict(&worse, "rise", "coherency"), Verdict::Regressed);
    assert_eq!(verdict(&worse, "recipro_cam", "drop"), Verdict::Unchanged);
    let better = gate(&Made::new().with("cam", 0, -0.05).with("rise", 2, 0.05));
    assert_eq!(verdict(&better, "cam", "drop"), Verdict::Improved);
    assert_eq!(verdict(&better, "rise", "coherency"), Verdict::Improved);
    assert_eq!(better.count(Verdict::Regressed), 0);
}

#[test]
fn a_change_counts_only_beyond_the_limit_of_its_direction() {
    // Clear, and one per cent of a mean around a half.
    let worse = Made::new().with("cam", 0, 0.005);
    assert_eq!(verdict(&gate(&worse), "cam", "drop"), Verdict::WithinNoise);
    let limits = |metric: &str, size: &str| Limits {
        max_drop: [(metric.to_owned(), size.parse().unwrap())].into(),
        ..Limits::default()
    };
    let strict = gate_with(&worse, &limits("drop", "0.001"));
    assert_eq!(verdict(&strict, "cam", "drop"), Verdict::Regressed);
    // A limit to the worse does not make an improvement count.
    let better = gate_with(&Made::new().with("cam", 0, -0.005), &limits("drop", "0.001"));
    assert_eq!(verdict(&better, "cam", "drop"), Verdict::WithinNoise);
    let lenient = gate_with(&Made::new().with("cam", 0, 0.05), &limits("drop", "50%"));
    assert_eq!(verdict(&lenient, "cam", "drop"), Verdict::WithinNoise);
}

#[test]
fn what_might_not_be_seen_does_not_depend_on_the_direction_of_a_change_that_is_none() {
    // A change of one image in two by five points, to the better or the worse by a tenth of one on average.
    let blind_spot = |shift: f64, max_drop: &str| {
        let mut new = Made::new();
        for (i, record) in new.records.iter_mut().enumerate() {
            let sign = if i / 3 % 2 == 0 { 0.05 } else { -0.05 };
            if let Some(deletion) = &mut record.metrics[1] {
                *deletion += sign + shift;
            }
        }
        let limits = Limits {
            max_drop: [("deletion".to_owned(), max_drop.parse().unwrap())].into(),
            ..Limits::default()
        };
        let comparison = gate_with(&new, &limits);
        assert_eq!(verdict(&comparison, "cam", "deletion"), Verdict::Unchanged);
        comparison.blind_spot()
    };
    for shift in [-0.001, 0.001] {
        assert_eq!(blind_spot(shift, "0.05"), None);
        let sentence = blind_spot(shift, "0.02").unwrap();
        assert!(sentence.contains("(80 % power): deletion 2."), "{sentence}");
        assert!(sentence.ends_with(" points (2.00 are allowed)."), "{sentence}");
    }
}

#[test]
fn what_no_number_of_these_images_could_show_might_not_be_seen() {
    let without_most = |made: Made| made.without_scores("rise", 3..60, Status::Degenerate);
    let (base, new) = (without_most(Made::new()), without_most(Made::new()));
    // However much is allowed.
    let allowed = ["drop", "deletion", "coherency", "complexity", "adcc"];
    let allowed = allowed.map(|metric| (metric.to_owned(), Threshold::Absolute(1e300)));
    let limits = Limits { max_drop: allowed.into(), ..Limits::default() };
    let comparison = compare(base.side("base"), new.side("new"), &limits).unwrap();
    let sentence = comparison.blind_spot().unwrap();
    assert!(sentence.contains("No change of adcc under rise, drop under rise,"), "{sentence}");
}

#[test]
fn a_control_that_moved_is_no_fault_and_is_said() {
    let with_control = |mut made: Made| {
        let method = made.manifest.methods.iter_mut().find(|method| method.name == "rise").unwrap();
        method.method = "random".into();
        made
    };
    let base = with_control(Made::new());
    let of = |new: Made| compare(base.side("base"), new.side("new"), &Limits::default()).unwrap();
    let moved = of(with_control(Made::new().with("rise", 2, -0.05)));
    assert_eq!(verdict(&moved, "rise", "coherency"), Verdict::Regressed);
    assert!(!moved.has(Fault::Regressed) && moved.count(Verdict::Regressed) == 0);
    assert!(moved.moved_controls().iter().any(|change| change.metric == "coherency"));
    let md = markdown(&moved);
    assert!(md.contains("### Explanations did not get worse"), "{md}");
    assert!(md.contains(OF_CONTROLS) && md.contains("correction for 10 comparisons"), "{md}");
    assert!(!junit(&moved, &[Fault::Regressed]).contains("<failure"));
    // A control that is gone is missing nevertheless.
    let mut gone = with_control(Made::new());
    gone.records.retain(|record| record.method != "rise");
    let gone = of(gone);
    // What fails is counted: four metrics and ADCC.
    assert!(gone.has(Fault::Missing));
    assert_eq!(gone.count(Verdict::Missing), 5);
    assert!(markdown(&gone).contains("images: 5 missing, 10 unchanged."));
    let alone = |made: Made| {
        let mut made = with_control(made);
        made.manifest.methods.retain(|method| method.name == "rise");
        made.records.retain(|record| record.method == "rise");
        made
    };
    let (base, new) = (alone(Made::new()), alone(Made::new()));
    let said = compare(base.side("base"), new.side("new"), &Limits::default()).unwrap_err();
    assert!(said.to_string().contains("no score at all, controls aside"), "{said}");
}

#[test]
fn noise_that_favors_nobody_is_no_change() {
    let mut noisy = Made::new();
    for (i, record) in noisy.records.iter_mut().enumerate() {
        let sign = if i / 3 % 2 == 0 { 0.05 } else { -0.05 };
        record.metrics.iter_mut().flatten().for_each(|value| *value += sign);
    }
    assert_eq!(gate(&noisy).count(Verdict::Unchanged), 15);
}

#[test]
fn what_the_new_run_does_not_have_is_missing() {
    let mut without_method = Made::new();
    without_method.manifest.methods.remove(1);
    without_method.records.retain(|record| record.method != "rise");
    let comparison = gate(&without_method);
    assert_eq!(comparison.count(Verdict::Missing), 5);
    assert_eq!(verdict(&comparison, "rise", "adcc"), Verdict::Missing);

    let mut without_metric = Made::new();
    without_metric.manifest.metrics.remove(2);
    for record in &mut without_metric.records {
        record.metrics.remove(2);
    }
    let comparison = gate(&without_metric);
    assert_eq!(verdict(&comparison, "cam", "coherency"), Verdict::Missing);
    // Without coherency there is no ADCC.
    assert_eq!(verdict(&comparison, "cam", "adcc"), Verdict::Missing);
    assert_eq!(verdict(&comparison, "cam", "complexity"), Verdict::Unchanged);
}

#[test]
fn a_row_that_is_missing_is_a_fault_beside_what_became_of_the_others() {
    let mut new = Made::new().with("cam", 0, 0.05);
    let first = new.records.iter().position(|record| record.method == "cam").unwrap();
    new.records.remove(first);
    let comparison = gate(&new);
    let of_cam = change(&comparison, "cam", "drop");
    assert_eq!((of_cam.verdict, of_cam.difference.unwrap().n), (Verdict::Regressed, 59));
    let [loss] = &comparison.losses[..] else { panic!("{:?}", comparison.losses) };
    assert_eq!((&*loss.method, loss.missing, loss.faults()), ("cam", 1, vec![Fault::Missing]));
    assert!(loss.to_string().ends_with("0 failed rows, now 0; 1 row missing"), "{loss}");
    assert!(comparison.has(Fault::Regressed) && comparison.has(Fault::Missing));
    let md = markdown(&comparison);
    assert!(md.contains("| cam | 0 → 0 | 0 → 0 | **1** |"), "{md}");
    assert!(md.contains("; some scores lost in 1 cell.\n"), "{md}");
}

/// A run of networks cut at these layers, each under its network's name alone where that has one layer.
fn of_layers(layers: &[(&str, &str)]) -> Made {
    let mut made = Made::new();
    let (model, rows) = (made.manifest.models[0].clone(), std::mem::take(&mut made.records));
    made.manifest.models.clear();
    for (network, layer) in layers {
        let n = layers.iter().filter(|(other, _)| other == network).count();
        let name = if n > 1 { name_at(network, layer) } else { (*network).to_owned() };
        let architecture = "ONNX, opset 17".to_owned();
        let layer = (*layer).to_owned();
        made.records.extend(rows.iter().cloned().map(|row| Record {
            model: (&*name).into(),
            layer: (&*layer).into(),
            ..row
        }));
        made.manifest.models.push(ModelEntry { name, architecture, layer, ..model.clone() });
    }
    made
}

fn renamed(base: &Made, new: &Made, names: &[(&str, &str)]) -> Result<Comparison, NotComparable> {
    let owned = |(old, new): &(&str, &str)| ((*old).to_owned(), (*new).to_owned());
    let renamed = names.iter().map(owned).collect();
    let limits = Limits { renamed, ..Limits::default() };
    compare(base.side("base"), new.side("new"), &limits)
}

#[test]
fn a_network_exported_again_is_compared_once_its_new_names_are_told() {
    let base = of_layers(&[("net", "layer4")]);
    let again = of_layers(&[("again", "getitem_53")]);
    let lost = renamed(&base, &again, &[]).unwrap();
    assert_eq!(lost.count(Verdict::Missing), 15);
    let hint = &lost.differences[0];
    assert!(hint.contains("`as: net`") && hint.contains("`--renamed net=again`"), "{hint}");
    let error = renamed(&base, &again, &[("net", "again")]).unwrap_err().to_string();
    assert!(error.contains("the layer of net was layer4, is getitem_53"), "{error}");
    assert!(error.contains("`--renamed net@layer4=again@getitem_53`"), "{error}");
    let told = renamed(&base, &again, &[("net@layer4", "again@getitem_53")]).unwrap();
    assert_eq!(told.count(Verdict::Unchanged), 15);
    let expected = ["network: net, now again", "layer of net: layer4, now getitem_53"];
    assert_eq!(told.differences, expected);
}

#[test]
fn a_renamed_network_keeps_its_layers_and_another_network_its_own() {
    let base = of_layers(&[("net", "a"), ("net", "b"), ("other", "a")]);
    let again = of_layers(&[("again", "a"), ("again", "b"), ("other", "a")]);
    let told = renamed(&base, &again, &[("net", "again")]).unwrap();
    assert_eq!(told.count(Verdict::Unchanged), 45);
    let again = of_layers(&[("net", "q"), ("net", "b"), ("other", "a")]);
    let told = renamed(&base, &again, &[("net@a", "net@q")]).unwrap();
    assert_eq!(told.count(Verdict::Unchanged), 45);
    let lost = renamed(&base, &again, &[]).unwrap();
    assert_eq!((lost.count(Verdict::Missing), lost.differences.len()), (15, 1));
    assert_eq!(lost.differences[0], "net@a is not in the new run");
}

#[test]
fn two_networks_cannot_become_one_and_names_must_be_there() {
    let base = of_layers(&[("a", "x"), ("b", "x")]);
    let new = of_layers(&[("b", "x")]);
    let error = |names: &[(&str, &str)]| renamed(&base, &new, names).unwrap_err().to_string();
    let both = error(&[("a", "b")]);
    assert!(both.contains("a and b of the baseline would both be compared with b"), "{both}");
    let unknown = error(&[("c", "b")]);
    assert!(unknown.contains("the baseline has no network or layer \"c\""), "{unknown}");
    let unknown = error(&[("a", "b@y")]);
    assert!(unknown.contains("it has b, b@x"), "{unknown}");
    let mixed = error(&[("a@x", "b")]);
    assert!(mixed.contains("a network is renamed, or a layer"), "{mixed}");
}

#[test]
fn a_network_that_knows_less_is_told_whatever_its_explanations_score() {
    let mut new = Made::new();
    let labeled = |made: &mut Made, is_right: &dyn Fn(usize) -> bool| {
        made.manifest.images.iter_mut().for_each(|image| image.label = Some(3));
        for (i, record) in made.records.iter_mut().enumerate() {
            record.predicted = Some(if is_right(i / 3) { 3 } else { 4 });
        }
    };
    let mut base = Made::new();
    labeled(&mut base, &|image| image < 45);
    labeled(&mut new, &|image| image < 12);
    let comparison = renamed(&base, &new, &[]).unwrap();
    let network = base.manifest.models[0].name.clone();
    let classified = Classified { network, n_right: [45, 12], n: 60 };
    assert_eq!(comparison.classified, std::slice::from_ref(&classified));
    let sentence = classified.to_string();
    assert!(sentence.ends_with("classifies 12 of 60 images as labeled, and did 45 before"));
    assert!(markdown(&comparison).contains("12 of 60 images as labeled"));
    assert!(gate(&Made::new()).classified.is_empty());
}

#[test]
fn labels_are_compared_by_the_names_of_classes_where_there_are_some() {
    let with = |classes: &[&str], label: i64| {
        let mut made = Made::new();
        made.manifest.target = "label".into();
        let classes = classes.iter().map(|class| (*class).to_owned()).collect();
        made.manifest.models[0].classes = classes;
        made.manifest.images.iter_mut().for_each(|image| image.label = Some(label));
        made
    };
    let base = with(&["ant", "bee"], 1);
    let moved = renamed(&base, &with(&["ape", "ant", "bee"], 2), &[]).unwrap();
    let name = &base.manifest.models[0].name;
    assert_eq!(moved.differences, [format!("class 0 of {name}: ant, now ape")]);
    let error = renamed(&base, &with(&["ant", "bee"], 0), &[]).unwrap_err().to_string();
    assert!(error.contains("was 1 (bee), is 0 (ant)"), "{error}");
    // Another case of letters is no other class, and of two classes of one name each is its own.
    let same = renamed(&base, &with(&["Ant", "Bee"], 1), &[]).unwrap();
    assert_eq!(same.differences.len(), 1);
    let cranes = ["crane", "ant", "crane"];
    let error = renamed(&with(&cranes, 0), &with(&cranes, 2), &[]).unwrap_err().to_string();
    assert!(error.contains("was 0, is 2"), "{error}");
    let error = renamed(&base, &with(&[], 0), &[]).unwrap_err().to_string();
    assert!(error.contains("was 1 (bee), is 0"), "{error}");
}

#[test]
fn scores_of_another_output_are_not_compared() {
    let mut base = Made::new();
    base.manifest.models[0].output = Some("main".into());
    let mut new = Made::new();
    new.manifest.models[0].output = Some("aux".into());
    let error = renamed(&base, &new, &[]).unwrap_err().to_string();
    assert!(error.contains("that logits are read from was main, is aux"), "{error}");
    // A baseline of a file with one output says no name.
    base.manifest.models[0].output = None;
    let said = renamed(&base, &new, &[]).unwrap().differences;
    assert_eq!(
        said,
        [format!(
            "output of {}: the only one, or not recorded, now aux",
            base.manifest.models[0].name
        )]
    );
}

#[test]
fn more_degenerate_maps_are_counted_and_the_rest_is_compared() {
    let comparison = gate(&Made::new().without_scores("rise", 0..5, Status::Degenerate));
    assert!(comparison.has(Fault::Degenerate) && !comparison.has(Fault::Missing));
    assert_eq!(comparison.losses[0].degenerate, [0, 5]);
    let of_rise = change(&comparison, "rise", "drop");
    assert_eq!((of_rise.verdict, of_rise.difference.unwrap().n), (Verdict::Unchanged, 55));
    assert!(markdown(&comparison).starts_with("### More maps are degenerate\n"));

    // Not more than before, but for 2 % of 60 images.
    let old = Made::new().without_scores("rise", 0..5, Status::Degenerate);
    for n in [0, 4, 5, 6] {
        let new = Made::new().without_scores("rise", 0..n, Status::Degenerate);
        let comparison = compare(old.side("base"), new.side("new"), &Limits::default()).unwrap();
        assert_eq!(comparison.losses[0].degenerate, [5, n]);
        assert!(comparison.losses[0].faults().is_empty());
        assert!(markdown(&comparison).starts_with("### Explanations did not get worse\n"));
    }
}

#[test]
fn more_failed_rows_are_missing_scores() {
    let comparison = gate(&Made::new().without_scores("rise", 0..5, Status::Failed));
    assert_eq!(comparison.losses[0].failed, [0, 5]);
    assert!(comparison.has(Fault::Missing) && !comparison.has(Fault::Degenerate));
    assert_eq!(comparison.count(Verdict::Missing), 0);
    assert!(markdown(&comparison).starts_with("### Explanations are missing\n"));

    // As many as before, and other ones.
    let old = Made::new().without_scores("rise", 0..5, Status::Failed);
    let new = Made::new().without_scores("rise", 3..8, Status::Failed);
    let comparison = compare(old.side("base"), new.side("new"), &Limits::default()).unwrap();
    let loss = &comparison.losses[0];
    assert_eq!((loss.failed, loss.newly_failed), ([5, 5], 3));
    assert_eq!(loss.faults(), [Fault::Missing]);
    assert!(loss.to_string().ends_with("5 failed rows, now 5, 3 of them not failed before"));
    let comparison = compare(old.side("base"), old.side("again"), &Limits::default()).unwrap();
    assert!(comparison.losses[0].faults().is_empty());

    // All of them: the cell is missing, and not some of its scores.
    let comparison = gate(&Made::new().without_scores("rise", 0..60, Status::Failed));
    assert!(comparison.count(Verdict::Missing) > 0);
    assert_eq!(comparison.n_cells_with_losses(), 0);
}

#[test]
fn means_are_over_the_images_that_their_difference_is_of() {
    // The easy five stay, with a drop of 0.2; the others had 0.8, and a mean of 0.75 over all.
    let mut base = Made::new();
    for (i, record) in base.records.iter_mut().filter(|r| r.method == "rise").enumerate() {
        record.metrics[0] = Some(if i < 5 { 0.2 } else { 0.8 });
    }
    let new = Made { manifest: base.manifest.clone(), records: base.records.clone() }
        .without_scores("rise", 5..60, Status::Degenerate);
    let comparison = compare(base.side("base"), new.side("new"), &Limits::default()).unwrap();
    let of_rise = change(&comparison, "rise", "drop");
    assert!((of_rise.base.unwrap() - 0.2).abs() < 1e-12);
    assert_eq!((of_rise.base, of_rise.difference.unwrap().n), (of_rise.new, 5));
    assert!((of_rise.noise - 0.02 * 0.2).abs() < 1e-12);
    let md = markdown(&comparison);
    assert!(md.contains("| rise | drop ↓ | 20.00 | 20.00 | +0.00 ["), "{md}");
    assert!(md.contains("| rise | **0 → 55** | 0 → 0 |"), "{md}");

    // What got worse on the images that are left: means and change say the same.
    let worse = Made::new().with("cam", 0, 0.05).without_scores("cam", 0..10, Status::Degenerate);
    let comparison = gate(&worse);
    for metric in ["drop", "adcc"] {
        let Change { base, new, difference, .. } = change(&comparison, "cam", metric);
        let mean = difference.unwrap().mean;
        assert!((new.unwrap() - base.unwrap() - mean).abs() < 1e-12, "{metric}");
    }
    // By hand: 0.025 and 0.075 in turn.
    let difference = change(&comparison, "cam", "drop").difference.unwrap();
    assert!(difference.n == 50 && (difference.mean - 0.05).abs() < 1e-12);
}

#[test]
fn scores_that_fine_maps_lost_are_a_fault_and_hide_no_regression() {
    // Two images of RISE have no coherency any more, and the others less of it.
    let mut new = Made::new().with("rise", 2, -0.05);
    for record in new.records.iter_mut().filter(|record| record.method == "rise").take(2) {
        record.metrics[2] = None;
    }
    let comparison = gate(&new);
    // Coherency is a part of ADCC.
    for metric in ["coherency", "adcc"] {
        let of_rise = change(&comparison, "rise", metric);
        assert_eq!((of_rise.verdict, of_rise.difference.unwrap().n), (Verdict::Regressed, 58));
    }
    let [unscored] = &comparison.unscored[..] else { panic!("{:?}", comparison.unscored) };
    let sentence = "coherency of rise of resnet18 has no score any more for 2 of 60 images";
    assert_eq!(unscored.to_string(), sentence);
    assert!(comparison.has(Fault::Regressed) && comparison.has(Fault::Missing));
    assert_eq!((comparison.count(Verdict::Missing), comparison.n_cells_with_losses()), (0, 1));
    let md = markdown(&comparison);
    assert!(md.starts_with("### Explanations got worse\n"), "{md}");
    assert!(md.contains("2 regressed, 13 unchanged; some scores lost in 1 cell."), "{md}");
    assert!(md.contains("| resnet18 | rise | coherency | **2 of 60** |"), "{md}");

    let case = |inner: &str| {
        format!("name=\"coherency: images without a score\" time=\"0\">{inner}</testcase>")
    };
    let xml = junit(&comparison, &[Fault::Regressed, Fault::Missing]);
    let failure = format!("<failure type=\"missing\" message=\"{sentence}\"></failure>");
    assert!(xml.contains("tests=\"16\" failures=\"3\"") && xml.contains(&case(&failure)), "{xml}");
    let xml = junit(&comparison, &[Fault::Regressed]);
    let skipped = format!("<skipped message=\"{sentence}\"></skipped>");
    assert!(xml.contains("failures=\"2\" errors=\"0\" skipped=\"1\""), "{xml}");
    assert!(xml.contains(&case(&skipped)), "{xml}");

    // Where the baseline did not have them either, nothing is lost.
    let comparison = compare(new.side("base"), new.side("new"), &Limits::default()).unwrap();
    assert!(comparison.unscored.is_empty() && !comparison.has(Fault::Missing));
    // Where no score is left, the metric is missing, and that is said once.
    new.records.iter_mut().for_each(|record| record.metrics[2] = None);
    let comparison = gate(&new);
    assert!(comparison.unscored.is_empty());
    assert_eq!(verdict(&comparison, "rise", "coherency"), Verdict::Missing);
    let xml = junit(&comparison, &[Fault::Missing]);
    assert!(xml.contains("\"coherency ↑: no image has a score in both runs\""), "{xml}");
}

#[test]
fn images_of_which_another_class_is_explained_are_counted() {
    let mut new = Made::new();
    // Three methods explain each image: seven images.
    for record in new.records.iter_mut().take(21) {
        record.target = record.target.map(|class| class + 5);
    }
    let base = Made::new();
    let comparison = renamed(&base, &new, &[]).unwrap();
    let [retargeted] = &comparison.retargeted[..] else { panic!("{:?}", comparison.retargeted) };
    assert_eq!((retargeted.n_changed, retargeted.n), (7, 60));
    let sentence = "the explained class of resnet18 is another one on 7 of 60 images";
    assert!(markdown(&comparison).contains(&format!("Caution: {sentence}.\n")));
    assert!(renamed(&base, &base, &[]).unwrap().retargeted.is_empty());
}

#[test]
fn a_method_that_says_nothing_any_more_is_missing() {
    let comparison = gate(&Made::new().without_scores("rise", 0..60, Status::Degenerate));
    assert_eq!(comparison.count(Verdict::Missing), 5);
    let of_rise = change(&comparison, "rise", "drop");
    assert!(of_rise.base.is_some() && of_rise.new.is_none());
    // Nothing in common is no change either: one has the first half of the images, one the second.
    let old = Made::new().without_scores("rise", 0..30, Status::Failed);
    let new = Made::new().without_scores("rise", 30..60, Status::Failed);
    let comparison = compare(old.side("base"), new.side("new"), &Limits::default()).unwrap();
    assert_eq!(comparison.count(Verdict::Missing), 5);
    assert_eq!(change(&comparison, "rise", "drop").new, None);
}

#[test]
fn a_baseline_without_all_rows_or_without_a_score_is_refused() {
    let new = Made::new();
    let error = |base: &Made| {
        let compared = compare(base.side("base"), new.side("new"), &Limits::default());
        compared.unwrap_err().to_string()
    };
    let mut unfinished = Made::new();
    unfinished.records.remove(100);
    let said = error(&unfinished);
    assert!(said.contains("the baseline lacks 1 of its 180 rows"), "{said}");
    unfinished.records.clear();
    let said = error(&unfinished);
    assert!(said.contains("the baseline lacks 180 of its 180 rows"), "{said}");

    let silent = ["cam", "rise", "recipro_cam"]
        .into_iter()
        .fold(Made::new(), |made, method| made.without_scores(method, 0..60, Status::Failed));
    let said = error(&silent);
    assert!(said.contains("the baseline has no score at all"), "{said}");
    assert!(said.contains("save a new baseline"), "{said}");
}

#[test]
fn runs_about_other_things_are_refused_by_name() {
    type Change = fn(&mut RunManifest);
    let changes: [(Change, &str); 9] = [
        (|m| m.target = "label".into(), "the class that is explained was predicted, is label"),
        (|m| m.models[0].layer = "layer3".into(), "the layer of resnet18 was layer4, is layer3"),
        (|m| m.methods[1].options = json!({ "n_masks": 9 }), "the options of rise"),
        (|m| m.methods[1].protocol = "raw".into(), "the protocol of rise was corrected, is raw"),
        (|m| m.metrics[1].options = json!({ "steps": 9 }), "the options of deletion"),
        (|m| m.metrics[0].protocol = "raw".into(), "the protocol of drop was corrected, is raw"),
        (|m| drop(m.images.pop()), "the baseline has 60 images, the new run 59"),
        (|m| m.images[7].sha256 = Some("0".into()), "is another file than it was"),
        (|m| m.images[7].sha256 = None, "the new run could not read the image 00007.jpg"),
    ];
    let base = Made::new();
    for (change, message) in changes {
        let mut new = Made::new();
        change(&mut new.manifest);
        let error = compare(base.side("base"), new.side("new"), &Limits::default()).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
    }
    let limits = Limits {
        max_drop: [("adc".to_owned(), Threshold::Absolute(0.1))].into(),
        ..Limits::default()
    };
    let error = compare(base.side("base"), base.side("base"), &limits).unwrap_err();
    assert!(error.to_string().contains("complexity, adcc"), "{error}");
}

#[test]
fn runs_whose_photographs_are_cut_otherwise_are_compared() {
    let mut new = Made::new();
    let own = "corrected+preprocessing=own";
    new.manifest.methods.iter_mut().for_each(|method| method.protocol = own.into());
    new.manifest.metrics.iter_mut().for_each(|metric| metric.protocol = own.into());
    new.records.iter_mut().for_each(|record| record.protocol = own.into());
    assert_eq!(gate(&new).count(Verdict::Unchanged), 15);
}

#[test]
fn an_image_that_neither_run_could_read_is_no_difference() {
    let mut unread = Made::new();
    unread.manifest.images[7].sha256 = None;
    let new = Made::new();
    let limits = Limits::default();
    let error = compare(unread.side("base"), new.side("new"), &limits).unwrap_err();
    let message = "the run of the baseline could not read the image 00007.jpg";
    assert!(error.to_string().contains(message), "{error}");
    assert!(compare(unread.side("base"), unread.side("new"), &limits).is_ok());
}

#[test]
fn labels_are_compared_where_they_are_what_is_explained() {
    let labeled = |target: &str, shift: i64| {
        let mut made = Made::new();
        made.manifest.target = target.into();
        for image in &mut made.manifest.images {
            image.label = image.label.map(|label| label + shift);
        }
        made
    };
    let compared = |target: &str, shift: i64| {
        let (old, new) = (labeled(target, 0), labeled(target, shift));
        compare(old.side("base"), new.side("new"), &Limits::default())
    };
    assert!(compared("label", 0).is_ok());
    let error = compared("label", 1).unwrap_err().to_string();
    assert!(error.contains("the label of 00000.jpg was 0, is 1"), "{error}");
    // The predicted class is explained whatever the label says.
    assert!(compared("predicted", 1).is_ok());
}

#[test]
fn boxes_are_compared_where_a_metric_asks_for_them() {
    let compared = |metric: &str, new_box: [f64; 4]| {
        let [old, new] = [[1.0, 2.0, 30.0, 40.0], new_box].map(|bounds| {
            let mut made = Made::new();
            made.manifest.metrics[1].metric = metric.into();
            made.manifest.images[3].boxes = vec![bounds];
            made
        });
        compare(old.side("base"), new.side("new"), &Limits::default())
    };
    let moved = [1.0, 2.0, 30.5, 40.0];
    assert!(compared("pointing_game", [1.0, 2.0, 30.0, 40.0]).is_ok());
    for metric in ["pointing_game", "energy_pointing_game", "relevance_rank"] {
        let error = compared(metric, moved).unwrap_err().to_string();
        let message =
            "the boxes of 00003.jpg were [[1.0, 2.0, 30.0, 40.0]], are [[1.0, 2.0, 30.5, 40.0]]";
        assert!(error.contains(message), "{error}");
    }
    assert!(compared("deletion", moved).is_ok());
}

#[test]
fn a_layer_is_compared_with_the_same_layer_whether_or_not_the_other_run_has_more() {
    let two_layers = |made: &mut Made| {
        let renamed: crate::Name = "resnet18@layer4".into();
        made.manifest.models[0].name = renamed.to_string();
        let inner = ModelEntry {
            name: "resnet18@layer3".into(),
            layer: "layer3".into(),
            ..made.manifest.models[0].clone()
        };
        made.manifest.models.insert(0, inner);
        made.records.iter_mut().for_each(|record| record.model = renamed.clone());
        let inner = made.records.iter().map(|record| Record {
            model: "resnet18@layer3".into(),
            layer: "layer3".into(),
            metrics: record.metrics.iter().map(|value| value.map(|v| v / 2.0)).collect(),
            ..record.clone()
        });
        made.records.extend(inner.collect::<Vec<_>>());
    };
    let one = Made::new();
    let mut two = Made::new();
    two_layers(&mut two);
    let limits = Limits::default();
    let both = compare(two.side("base"), two.side("new"), &limits).unwrap();
    assert_eq!((both.changes.len(), both.count(Verdict::Unchanged)), (30, 30));
    let more = compare(one.side("base"), two.side("new"), &limits).unwrap();
    assert_eq!((more.changes.len(), more.count(Verdict::Unchanged)), (15, 15));
    let fewer = compare(two.side("base"), one.side("new"), &limits).unwrap();
    let missing = fewer.changes.iter().filter(|change| change.verdict == Verdict::Missing);
    assert!(missing.clone().all(|change| change.model == "resnet18@layer3"));
    assert_eq!((missing.count(), fewer.count(Verdict::Unchanged)), (15, 15));
    let mut other = Made::new();
    two_layers(&mut other);
    other = other.with("cam", 0, 0.1);
    let worse = compare(one.side("base"), other.side("new"), &limits).unwrap();
    assert_eq!(verdict(&worse, "cam", "drop"), Verdict::Regressed);
}

#[test]
fn weights_and_versions_may_differ_and_are_named() {
    let mut new = Made::new();
    new.manifest.models[0].weights.sha256 = Some("0123456789abcdef".into());
    new.manifest.models[0].precision = "bf16".into();
    new.manifest.seed = 7;
    new.manifest.models.push(model("another"));
    let comparison = gate(&new);
    assert_eq!(
        comparison.differences,
        [
            "weights of resnet18: f37072fd47e8, now 0123456789ab",
            "precision of resnet18: f32, now bf16",
            "seed: 0, now 7"
        ]
    );
}

#[test]
fn what_the_seed_alone_moves_is_told_where_only_seeds_differ() {
    let mut new = Made::new();
    for (i, record) in new.records.iter_mut().enumerate() {
        // By ±0.06 on every image: one seed's share is 0.06 / √2, and of a mean of 60, 0.06 / √120.
        let sign = if i / 3 % 2 == 0 { 0.06 } else { -0.06 };
        record.metrics[0] = record.metrics[0].map(|value| value + sign);
    }
    assert_eq!(gate(&new).changes[0].seed_deviation, None);
    new.manifest.seed = 1;
    let comparison = gate(&new);
    let deviation = comparison.changes[0].seed_deviation.unwrap();
    assert!((deviation - 0.06 / 120.0_f64.sqrt()).abs() < 1e-12, "{deviation}");
    assert_eq!(comparison.changes[1].seed_deviation, Some(0.0));
    assert!(markdown(&comparison).contains("| Seed |"));
}

#[test]
fn the_comment_on_a_pull_request_stays_as_it_is() {
    let mut new = Made::new().with("cam", 0, 0.05);
    new.manifest.methods.remove(1);
    new.records.retain(|record| record.method != "rise");
    insta::assert_snapshot!(markdown(&gate(&new)));
}

#[test]
fn the_junit_file_stays_as_it_is() {
    let mut new = Made::new().with("cam", 0, 0.05);
    new.manifest.methods.remove(1);
    new.records.retain(|record| record.method != "rise");
    insta::assert_snapshot!(junit(&gate(&new), &[Fault::Regressed]));
}

#[test]
fn a_loss_is_a_test_case_that_fails_where_the_gate_does() {
    let case = "name=\"rows without a score\" time=\"0\"";
    let counted = |n_failures: usize| format!("tests=\"16\" failures=\"{n_failures}\"");
    let failure = |fault: &str, text: &str| {
        format!("{case}><failure type=\"{fault}\" message=\"{text}\"></failure></testcase>")
    };
    let degenerate = gate(&Made::new().without_scores("rise", 5..60, Status::Degenerate));
    let xml = junit(&degenerate, &[Fault::Regressed, Fault::Missing, Fault::Degenerate]);
    let text = "0 degenerate maps, now 55; 0 failed rows, now 0";
    assert!(xml.contains(&counted(1)) && xml.contains(&failure("degenerate", text)), "{xml}");
    let xml = junit(&degenerate, &[Fault::Regressed, Fault::Missing]);
    assert!(xml.contains(&counted(0)) && xml.contains(&format!("{case}/>")), "{xml}");

    let failed = gate(&Made::new().without_scores("rise", 5..60, Status::Failed));
    let xml = junit(&failed, &[Fault::Missing]);
    let text = "0 degenerate maps, now 0; 0 failed rows, now 55";
    assert!(xml.contains(&counted(1)) && xml.contains(&failure("missing", text)), "{xml}");
}

#[test]
fn a_comment_is_never_longer_than_github_takes() {
    let mut comparison = gate(&Made::new().with("cam", 0, 0.05));
    let regressed = change(&comparison, "cam", "drop").clone();
    let unchanged = change(&comparison, "rise", "drop").clone();
    let many = |one: &Change| -> Vec<Change> {
        let numbered = (0..1000).map(|i| {
            let mut change = Change { model: format!("a_longer_name_{i}"), ..one.clone() };
            if let Some(difference) = &mut change.difference {
                difference.mean *= f64::from(i);
            }
            change
        });
        numbered.collect()
    };
    comparison.changes = [many(&regressed), many(&unchanged)].concat();
    comparison.losses = (0..1000)
        .map(|i| Loss {
            model: format!("a_longer_name_{i}"),
            method: "cam".into(),
            degenerate: [0, i],
            failed: [0, 0],
            newly_failed: 0,
            missing: 0,
            tolerated: 0,
        })
        .collect();
    let unscored = (0..1000).map(|n| Unscored {
        model: format!("a_longer_name_{n}"),
        method: "cam".into(),
        metric: "coherency".into(),
        n,
        n_images: 1000,
    });
    comparison.unscored = unscored.collect();
    comparison.differences = vec!["precision of a_longer_name: f32, now bf16".into(); 1000];
    let md = markdown(&comparison);
    assert!(md.chars().count() < 65_536, "{}", md.len());
    // The worst of each come first, and what is left out is counted.
    let listed = |has: &str| md.lines().filter(|line| line.contains(has)).count();
    for (has, worst) in [
        ("| **regressed** |", "| --- |\n| **regressed** | a_longer_name_999 | cam |"),
        (" of 1000** |", "| --- |\n| a_longer_name_999 | cam | coherency | **999 of 1000** |"),
        (" | cam | **0 → ", "| --- |\n| a_longer_name_999 | cam | **0 → 999** |"),
        ("| unchanged |", "| --- |\n| unchanged | a_longer_name_0 | rise |"),
    ] {
        assert!(md.contains(worst), "{worst}: {md}");
        let left_out = format!("\n{} more are left out", 1000 - listed(has));
        assert!(listed(has) > 50 && md.contains(&left_out), "{left_out}: {md}");
    }
    assert!(md.contains("; and 9"), "{md}");
    // A small one has all.
    assert!(!markdown(&gate(&Made::new())).contains("left out"));
}

#[test]
fn markup_in_names_stays_text() {
    let name = "<b>\"x\"&|`";
    let mut base = Made::new();
    base.manifest.methods[0].name = name.into();
    base.records.iter_mut().filter(|r| r.method == "cam").for_each(|r| r.method = name.into());
    let comparison = compare(base.side(name), base.side("new"), &Limits::default()).unwrap();
    let xml = junit(&comparison, &[Fault::Regressed]);
    assert!(xml.contains("&lt;b&gt;&quot;x&quot;&amp;|`") && !xml.contains("<b>"), "{xml}");
    assert!(!markdown(&comparison).contains("<b>"));
    let uncompared = Uncompared { base: name, new: "new", reason: "<b> & *more*" };
    let md = uncompared.markdown();
    assert!(md.starts_with("### Explanations could not be compared\n"), "{md}");
    assert!(md.ends_with("\n\n> &lt;b&gt; &amp; \\*more\\*\n"), "{md}");
    let xml = uncompared.junit();
    assert!(xml.contains("message=\"&lt;b&gt; &amp; *more*\"></error>"), "{xml}");
}

#[test]
fn the_baseline_may_be_without_adcc() {
    let mut base = Made::new();
    base.manifest.metrics[2].metric = "another".into();
    let comparison = compare(base.side("base"), base.side("new"), &Limits::default()).unwrap();
    assert!(comparison.changes.iter().all(|change| change.metric != "adcc"));
    assert_eq!(manifest().metrics.len(), base.manifest.metrics.len());
}
