//! Whole sweeps on a small scale: what is in the rows, what becomes of failures, and what never changes a number.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use cam_core::{About, Cost, FeatureShape, Method, Subject};
use cam_results::{Record, Status};
use cam_runner::{
    Event, Format, Overrides, Plan, Provenance,
    config::{Bytes, CustomMethod, MapSource},
};
use support::{Workshop, contents, files, timeless};
use tch::{Device, Kind, Tensor};

const SOME: &str = "[cam, grad_cam, { name: rise, n_masks: 20 }, recipro_cam]";

/// The map is the first channel of the image; panics on images that are bright enough.
struct Touchy;

impl Method for Touchy {
    fn explain(&self, subject: &Subject<'_>) -> Tensor {
        // A panic amidst a backward pass is the worst place for one.
        let image = subject.image().copy().set_requires_grad(true);
        let mean = image.mean(Kind::Float);
        assert!(!subject.seed().is_multiple_of(3), "cannot stand the seed {}", subject.seed());
        tch::Tensor::run_backward(&[mean], &[&image], false, false)[0].abs().sum_dim_intlist(
            [0, 1].as_slice(),
            false,
            Kind::Float,
        ) + subject.image().select(1, 0).squeeze_dim(0)
    }

    fn cost(&self, _: FeatureShape) -> Cost {
        Cost::default()
    }

    fn about(&self) -> About {
        About { title: "Touchy", summary: "fails now and then", source: "this test" }
    }
}

#[test]
fn a_method_that_panics_on_some_images_fails_there_and_harms_nothing_else() {
    let workshop = Workshop::with_photographs(6);
    let calm = workshop.run(&workshop.plan(SOME), "calm");

    let mut plan = workshop.plan(
        "[{ name: cam, as: touchy }, cam, grad_cam, { name: rise, n_masks: 20 }, recipro_cam]",
    );
    plan.sweep.methods[0].source =
        MapSource::Custom(CustomMethod { name: "touchy", method: Arc::new(Touchy) });
    let run = workshop.run(&plan, "touchy");
    let (touchy, others): (Vec<_>, Vec<_>) =
        timeless(&run).into_iter().partition(|record| record.method == "touchy");
    let failed: Vec<&Record> =
        touchy.iter().filter(|record| record.status == Status::Failed).collect();
    assert!((1..6).contains(&failed.len()), "{} of 6 images have such a seed", failed.len());
    for record in failed {
        let error = record.error.as_deref().unwrap();
        assert!(error.starts_with("panicked: cannot stand the seed "), "{error}");
        assert!(record.metrics.iter().all(Option::is_none));
    }
    assert_eq!(others, timeless(&calm), "the other methods do not notice");
}

/// A map for which there is no memory, on images of some seeds.
struct Greedy;

impl Method for Greedy {
    fn explain(&self, subject: &Subject<'_>) -> Tensor {
        if subject.seed().is_multiple_of(2) {
            let _ = Tensor::zeros([1 << 50], (Kind::Float, Device::Cpu));
        }
        subject.image().select(1, 0).squeeze_dim(0)
    }

    fn cost(&self, _: FeatureShape) -> Cost {
        Cost::default()
    }

    fn about(&self) -> About {
        About { title: "Greedy", summary: "asks for too much", source: "this test" }
    }
}

#[test]
fn an_allocation_that_fails_is_a_failed_row_with_its_reason_and_the_next_row_is_computed() {
    let workshop = Workshop::with_photographs(6);
    let mut plan = workshop.plan("[{ name: cam, as: greedy }, cam]");
    plan.sweep.methods[0].source =
        MapSource::Custom(CustomMethod { name: "greedy", method: Arc::new(Greedy) });
    let run = workshop.run(&plan, "run");
    let (greedy, others): (Vec<_>, Vec<_>) =
        run.records().iter().partition(|record| record.method == "greedy");
    let failed: Vec<_> = greedy.iter().filter(|record| record.status == Status::Failed).collect();
    assert!((1..6).contains(&failed.len()), "{} of 6 images have such a seed", failed.len());
    for record in failed {
        let error = record.error.as_deref().unwrap();
        assert!(error.starts_with("out of memory: 4096TiB were asked for; "), "{error}");
    }
    assert!(others.iter().all(|record| record.status == Status::Ok));
}

/// What a method meets on a card that breaks down.
struct Breaking;

impl Method for Breaking {
    fn explain(&self, _: &Subject<'_>) -> Tensor {
        panic!("CUDA error: unspecified launch failure")
    }

    fn cost(&self, _: FeatureShape) -> Cost {
        Cost::default()
    }

    fn about(&self) -> About {
        About { title: "Breaking", summary: "breaks the device", source: "this test" }
    }
}

#[test]
fn a_device_that_breaks_down_ends_a_run_and_a_check_and_makes_no_failed_row() {
    let workshop = Workshop::with_photographs(2);
    let mut plan = workshop.plan("[cam, { name: cam, as: breaking }, grad_cam]");
    plan.sweep.methods[1].source =
        MapSource::Custom(CustomMethod { name: "breaking", method: Arc::new(Breaking) });
    let folder = workshop.path("run");
    let never = AtomicBool::new(false);
    let error = cam_runner::run(&plan, &folder, &never, &mut |_| {}).unwrap_err();
    assert!(error.is_broken_device(), "{error}");
    let said = error.to_string();
    assert!(said.contains("the device broke down: CUDA error: unspecified launch"), "{said}");
    // What was computed until then is kept, and nothing else is there.
    let run = cam_results::Run::read(&folder).unwrap();
    let there: Vec<_> =
        run.records().iter().map(|record| (&*record.method, record.status)).collect();
    assert_eq!(there, [("cam", Status::Ok)]);
    assert!(cam_runner::check(&plan, &mut |_| {}).unwrap_err().is_broken_device());
}

#[test]
fn an_image_that_cannot_be_read_fails_for_every_method_and_no_other_image() {
    let workshop = Workshop::with_photographs(3);
    let whole = timeless(&workshop.run(&workshop.plan(SOME), "whole"));
    fs::write(workshop.photo(1), "this is no picture").unwrap();
    let run = workshop.run(&workshop.plan(SOME), "broken");
    for (was, is) in whole.iter().zip(timeless(&run)) {
        if is.image == "1.png" {
            assert_eq!(is.status, Status::Failed);
            assert!(is.error.as_deref().unwrap().contains("1.png"), "{:?}", is.error);
            assert_eq!((is.target, is.predicted, is.confidence), (None, None, None));
        } else {
            assert_eq!(*was, is);
        }
    }
}

#[test]
fn an_image_that_changes_after_planning_fails() {
    let workshop = Workshop::with_photographs(2);
    let plan = workshop.plan("[cam]");
    fs::write(workshop.photo(1), support::photograph(7).png()).unwrap();
    let run = workshop.run(&plan, "run");
    assert_eq!(run.records()[0].status, Status::Ok);
    assert_eq!(run.records()[1].status, Status::Failed);
    assert!(
        run.records()[1].error.as_deref().unwrap().contains("changed since the run was planned")
    );
}

#[test]
fn a_run_stopped_after_every_row_ends_like_one_that_was_not() {
    let workshop = Workshop::with_photographs(3);
    let plan = workshop.plan(SOME);
    let whole = workshop.run(&plan, "whole");
    for done in 1..plan.n_rows() {
        let outcome = workshop.run_until(&plan, "pieces", 1);
        assert_eq!((outcome.n_done, outcome.is_finished), (done, false));
    }
    assert_eq!(contents(&workshop.run(&plan, "pieces")), contents(&whole));
}

#[test]
fn a_row_is_reported_in_its_turn_and_when_it_is_on_the_disk() {
    let workshop = Workshop::with_photographs(3);
    let plan = workshop.plan(SOME);
    let (folder, stop) = (workshop.path("run"), AtomicBool::new(false));
    let (mut begun, mut reported) = (vec![], vec![]);
    let mut on_event = |event: Event<'_>| match event {
        Event::RowStarted { model, method, image } => {
            begun.push([model, method, image].map(str::to_owned));
            stop.store(begun.len() == 7, Ordering::Relaxed);
        }
        Event::RowFinished { record } => {
            let Record { model, method, image, .. } = record;
            let journal = fs::read_to_string(folder.join("journal.jsonl")).unwrap();
            let line = journal.lines().nth(reported.len()).unwrap();
            for word in [model, method, image] {
                assert!(line.contains(&format!("\"{word}\"")), "{word} is not in {line}");
            }
            reported.push([model, method, image].map(ToString::to_string));
        }
        _ => {}
    };
    let outcome = cam_runner::run(&plan, &folder, &stop, &mut on_event).unwrap();
    assert_eq!((begun.len(), outcome.n_done), (7, 7), "the row in hand is finished, and no other");
    assert_eq!(reported, begun, "all that was begun is on the disk when the run returns");
}

#[test]
fn a_network_in_bf16_says_how_far_it_is_from_single_precision() {
    let workshop = Workshop::with_photographs(3);
    let sweep = Workshop::sweep(SOME).replace("seeded", "seeded, precision: bf16");
    let plan = workshop.try_plan(&sweep, &Overrides::default()).unwrap();
    let rounding = plan.manifest().models[0].rounding.clone().unwrap();
    assert_eq!(rounding.n_images, 3);
    assert!(rounding.max_confidence_difference > 0.0, "{rounding:?}");
    assert!(rounding.max_confidence_difference < 0.05, "{rounding:?}");
    assert!(workshop.plan(SOME).manifest().models[0].rounding.is_none());
    let run = workshop.run(&plan, "short");
    let report =
        cam_results::report_md(&run, &cam_results::summarize(run.manifest(), run.records()), &[]);
    assert!(report.contains("runs in `bf16`. On the run's first 3 images"), "{report}");
}

#[test]
fn a_run_says_how_much_its_networks_did() {
    let workshop = Workshop::with_photographs(2);
    let plan = workshop.plan("[{ name: rise, n_masks: 20 }]");
    let outcome = workshop.run_until(&plan, "run", 1);
    // The image itself, and 20 masks. Then drop and increase share the explanation image, deletion and insertion have
    // 8 points each, and coherency has 20 masks more.
    assert!(outcome.executed_forwards >= 21 + 1 + 20, "{outcome:?}");
    assert!(outcome.network_busy.is_some_and(|busy| busy > 0.0 && busy <= 1.0), "{outcome:?}");
    let rest = workshop.run_until(&plan, "run", usize::MAX);
    assert_eq!(rest.executed_forwards, outcome.executed_forwards, "one image each");
    let nothing = workshop.run_until(&plan, "run", usize::MAX);
    assert_eq!((nothing.executed_forwards, nothing.network_busy), (0, None));
}

#[test]
fn a_finished_run_is_never_changed() {
    let workshop = Workshop::with_photographs(2);
    let plan = workshop.plan("[cam, recipro_cam]");
    workshop.run(&plan, "run");
    let before = files(&workshop.path("run"));
    assert!(workshop.run_until(&plan, "run", 1).is_finished);
    assert_eq!(files(&workshop.path("run")), before);
}

#[test]
fn another_plan_does_not_continue_a_run() {
    let workshop = Workshop::with_photographs(1);
    workshop.run(&workshop.plan("[cam, { name: rise, n_masks: 20 }]"), "run");
    let other = workshop.plan("[cam, { name: rise, n_masks: 30 }]");
    let stop = false.into();
    let error = cam_runner::run(&other, &workshop.path("run"), &stop, &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("n_masks was 20, is 30"), "{error}");
}

#[test]
fn a_manifest_without_the_memory_of_its_plan_is_not_planned_again() {
    let workshop = Workshop::with_photographs(1);
    let mut manifest = workshop.plan("[cam]").manifest().clone();
    manifest.config_resolved.as_object_mut().unwrap().remove("memory").unwrap();
    let error = Plan::again(manifest, &Provenance::default()).map(drop).unwrap_err();
    assert!(error.to_string().contains("`config_resolved` has no `memory`"), "{error}");
}

#[test]
fn rows_do_not_depend_on_the_other_images_and_methods_of_the_run() {
    let workshop = Workshop::with_photographs(3);
    let all = timeless(&workshop.run(&workshop.plan(SOME), "all"));
    let limit = Overrides { limit: Some(2), ..Overrides::default() };
    let few = Workshop::sweep("[recipro_cam, { name: rise, n_masks: 20 }]");
    let few = timeless(&workshop.run(&workshop.try_plan(&few, &limit).unwrap(), "few"));
    assert_eq!(few.len(), 4);
    for record in few {
        assert!(all.contains(&record), "{record:?}");
    }
}

#[test]
fn the_batch_size_changes_scores_by_rounding_only() {
    let workshop = Workshop::with_photographs(2);
    let memory = |bytes| Overrides { memory: Some(Bytes(bytes)), ..Overrides::default() };
    let runs: Vec<_> = [(8 << 20, "small"), (2 << 30, "large")]
        .into_iter()
        .map(|(bytes, name)| {
            let plan = workshop.try_plan(&Workshop::sweep(SOME), &memory(bytes)).unwrap();
            (plan.models[0].batch, workshop.run(&plan, name))
        })
        .collect();
    assert!(runs[0].0 < runs[1].0, "{} and {} images at once", runs[0].0, runs[1].0);
    for (a, b) in runs[0].1.records().iter().zip(runs[1].1.records()) {
        assert_eq!((a.key(), a.status, a.target), (b.key(), b.status, b.target));
        for (x, y) in a.metrics.iter().zip(&b.metrics) {
            assert!((x.unwrap() - y.unwrap()).abs() < 1e-5, "{:?}: {x:?} and {y:?}", a.key());
        }
    }
}

#[test]
fn imported_maps_score_like_the_method_that_made_them() {
    let workshop = Workshop::with_photographs(2);
    let made = workshop.run(&workshop.plan("[cam]"), "made");
    fs::create_dir(workshop.path("maps")).unwrap();
    made.visit_maps(|key, map| {
        let tensor =
            Tensor::from_slice(&map.values).view([i64::from(map.height), i64::from(map.width)]);
        tensor.write_npy(workshop.path("maps").join(&key.image).with_extension("npy")).unwrap();
    })
    .unwrap();
    let run = workshop
        .run(&workshop.plan("[{ name: imported, as: cam_of_others, maps: maps }]"), "imported");
    for (theirs, ours) in run.records().iter().zip(made.records()) {
        assert_eq!(theirs.method, "cam_of_others");
        assert_eq!(theirs.metrics[..4], ours.metrics[..4]);
        assert_eq!(theirs.metrics[5], ours.metrics[5]);
        // Nobody can ask the other tool for the map of the masked image.
        assert_eq!((theirs.metrics[4], theirs.adcc_per_image), (None, None));
        assert_eq!((theirs.forwards, theirs.executed_forwards), (0, 0));
    }
}

#[test]
fn a_missing_or_shapeless_imported_map_is_a_failed_row_that_names_the_file() {
    let workshop = Workshop::with_photographs(3);
    let maps = workshop.path("maps");
    fs::create_dir(&maps).unwrap();
    let write = |name: &str, shape: &[i64]| {
        Tensor::rand(shape, (Kind::Float, Device::Cpu)).write_npy(maps.join(name)).unwrap();
    };
    write("0.npy", &[7, 7]);
    write("1.npy", &[3, 7, 7]);
    let plan = workshop.plan("[{ name: imported, maps: maps }]");
    let run = workshop.run(&plan, "run");
    let said: Vec<_> = run
        .records()
        .iter()
        .map(|record| (record.status, record.error.clone().unwrap_or_default()))
        .collect();
    assert_eq!(said[0], (Status::Ok, String::new()));
    assert!(said[1].1.contains("1.npy has the shape [3, 7, 7]"), "{said:?}");
    assert!(said[2].1.contains("cannot read the map") && said[2].1.contains("2.npy"), "{said:?}");

    // With the map it is another run, which does not take the failed row for its own.
    write("2.npy", &[7, 7]);
    let other = workshop.plan("[{ name: imported, maps: maps }]");
    assert_ne!(plan.manifest().plan_id(), other.manifest().plan_id());
}

#[test]
fn preprocessing_that_is_not_said_is_that_of_the_weights() {
    let workshop = Workshop::with_photographs(1);
    let sweep = |preprocessing: &str| {
        let sweep = format!(
            "name: own\ndataset: {{ manifest: made.yaml }}\nmodels:\n  - {{ name: tf_efficientnet_lite0, weights: seeded, \
             preprocessing: {{ {preprocessing} }} }}\nmethods: [grad_cam]\nmetrics: [drop]\n"
        );
        workshop.try_plan(&sweep, &Overrides::default())
    };
    let plan = sweep("resize: 512, crop: 448").unwrap();
    let made = &plan.manifest().models[0].preprocessing;
    assert_eq!((&made["resize"], &made["crop"]), (&512.into(), &448.into()));
    assert_eq!(made["interpolation"], "bicubic");
    assert_eq!(made["mean"][0], 127.0 / 255.0);
    let error = sweep("crop: 448").map(drop).unwrap_err().to_string();
    assert!(error.contains("`resize` is at least `crop`"), "{error}");
    let error = sweep("mean: [123.7, 116.3, 103.5]").map(drop).unwrap_err().to_string();
    assert!(error.contains("divide by 255"), "{error}");
}

#[test]
fn a_sweep_that_leaves_no_method_for_any_model_is_an_error() {
    let workshop = Workshop::with_photographs(1);
    let sweep = "name: none\ndataset: { manifest: made.yaml }\nmodels:\n  - { name: resnet18, weights: seeded }\n\
                 methods: [{ name: grad_cam, except: [resnet18] }]\nmetrics: [drop]\n";
    let error = workshop.try_plan(sweep, &Overrides::default()).map(drop).unwrap_err().to_string();
    assert!(error.contains("no method is left for any model"), "{error}");
}

#[test]
fn a_model_of_ones_own_has_its_classes_and_its_preprocessing() {
    let workshop = Workshop::with_photographs(1);
    fs::write(workshop.path("classes.txt"), "cat\ndog\nbird\n").unwrap();
    let sweep = "name: own\ndataset: { manifest: made.yaml }\nmodels:\n  \
        - { name: resnet18, as: mine, weights: seeded, layer: layer3, classes: classes.txt, \
            preprocessing: { resize: 72, crop: 64, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] } }\n\
        methods: [grad_cam, recipro_cam]\nmetrics: [drop]\n";
    let plan = workshop.try_plan(sweep, &Overrides::default()).unwrap();
    let run = workshop.run(&plan, "run");
    let model = &run.manifest().models[0];
    assert_eq!((model.name.as_str(), model.n_classes, model.layer.as_str()), ("mine", 3, "layer3"));
    assert_eq!(model.feature_shape, [256, 4, 4]);
    assert!(model.weights.seeded && model.published_top1.is_none());
    for record in run.records() {
        assert!((0..3).contains(&record.target.unwrap()));
        assert_ne!(record.status, Status::Failed, "{:?}", record.error);
    }
    // The page calls the class by its own name, wherever the file with the names has gone.
    assert_eq!(model.classes, ["cat", "dog", "bird"]);
    fs::remove_file(workshop.path("classes.txt")).unwrap();
    cam_runner::publish(&run, &run.summarize(), run.folder(), &[Format::Html], true).unwrap();
    let page = fs::read_to_string(run.folder().join("report.html")).unwrap();
    let target = usize::try_from(run.records()[0].target.unwrap()).unwrap();
    let class = format!("\"class\":\"{}\"", model.classes[target]);
    assert!(page.contains(&class), "{class}");
}

#[test]
fn a_report_without_photographs_shows_none_and_names_the_files_that_may() {
    let workshop = Workshop::with_photographs(1);
    let run = workshop.run(&workshop.plan("[cam]"), "run");
    let published = |formats: &[Format], photographs| {
        let summary = run.summarize();
        let notes = cam_runner::publish(&run, &summary, run.folder(), formats, photographs);
        (notes.unwrap(), fs::read_to_string(run.folder().join("report.md")).unwrap())
    };
    let (notes, report) = published(&Format::ALL, false);
    assert_eq!(notes, [""; 0]);
    assert!(report.contains("metrics.svg") && !report.contains("grid.png"), "{report}");
    let (notes, report) = published(&Format::ALL, true);
    assert_eq!(notes, [""; 0]);
    assert!(report.contains("grid.png"), "{report}");
    let (notes, report) = published(&[Format::Md], false);
    assert!(report.contains("metrics.svg") && !report.contains("grid.png"), "{report}");
    let named =
        ["photographs: grid.png, grid.svg, report.html;", "photographs: grid.png, grid.svg;"];
    assert!(notes.len() == 1 && notes[0].contains(named[0]), "{notes:?}");
    let (notes, _) = published(&Format::ALL, false);
    assert!(notes.len() == 1 && notes[0].contains(named[1]), "{notes:?}");
}

/// The sweep of these methods and metrics on a data set's manifest, with more of the sweep file in `more`.
fn sweep_of(manifest: &str, methods: &str, metrics: &str, more: &str) -> String {
    format!(
        "name: small\ndataset: {{ manifest: {manifest} }}\nmodels:\n  \
         - {{ name: tf_efficientnet_lite0, weights: seeded }}\nmethods: {methods}\nmetrics: {metrics}\n{more}"
    )
}

#[test]
fn pointing_games_are_scored_where_an_image_has_a_box_and_null_elsewhere() {
    let workshop = Workshop::with_photographs(2);
    let manifest = "root: photos\nlayout: csv\ncsv: list.csv\n";
    fs::write(workshop.path("boxes.yaml"), manifest).unwrap();
    // The left half of the second one, which is 248 × 256.
    let list = "path,xmin,ymin,xmax,ymax\n0.png,,,,\n1.png,0,0,124,256\n";
    fs::write(workshop.path("list.csv"), list).unwrap();
    let metrics = "[{ name: pointing_game, tolerance: 0 }, energy_pointing_game, relevance_rank]";
    let sweep = sweep_of("boxes.yaml", "[all_ones, cam]", metrics, "");
    let plan = workshop.try_plan(&sweep, &Overrides::default()).unwrap();
    let run = workshop.run(&plan, "run");
    for record in run.records() {
        assert_eq!(record.status, Status::Ok);
        let is_there = |value: &Option<f64>| value.is_some() == (record.image == "1.png");
        assert!(record.metrics.iter().all(is_there), "{record:?}");
    }
    let ones = run.records().iter().find(|r| r.image == "1.png" && r.method == "all_ones").unwrap();
    assert_eq!(ones.metrics, [Some(0.5), Some(0.5), Some(0.5)], "half of the area");
    // Another box is another run.
    fs::write(workshop.path("list.csv"), list.replace("124", "125")).unwrap();
    let other = workshop.try_plan(&sweep, &Overrides::default()).unwrap();
    assert_ne!(plan.manifest().plan_id(), other.manifest().plan_id());
}

#[test]
fn a_method_on_a_randomized_network_is_a_row_of_its_own_for_the_same_class() {
    let workshop = Workshop::with_photographs(2);
    let methods = "[layer_cam, { name: layer_cam, network: randomized }, recipro_cam, { name: recipro_cam, as: other, network: 'randomized:1' }]";
    let run = workshop.run(&workshop.plan(methods), "run");
    let by = |method: &str| -> Vec<&Record> {
        run.records().iter().filter(|record| record.method == method).collect()
    };
    for (trained, random) in [("layer_cam", "layer_cam_randomized"), ("recipro_cam", "other")] {
        for (trained, random) in by(trained).into_iter().zip(by(random)) {
            assert_eq!((trained.status, random.status), (Status::Ok, Status::Ok));
            assert_eq!(trained.target, random.target);
            assert_eq!(trained.confidence, random.confidence, "scored by the trained network");
            assert_ne!(trained.metrics, random.metrics);
        }
    }
    let entry = &run.manifest().methods[1];
    assert_eq!((&*entry.name, &*entry.method), ("layer_cam_randomized", "layer_cam"));
    assert_eq!(entry.options["network"], "randomized");
}

#[test]
fn the_grid_pointing_game_explains_the_class_of_each_cell_of_a_collage() {
    let workshop = Workshop::with_photographs(4);
    for i in 0..4 {
        let folder = workshop.path("photos").join(format!("class{i}"));
        fs::create_dir(&folder).unwrap();
        fs::rename(workshop.photo(i), folder.join("a.png")).unwrap();
    }
    let manifest = "root: photos\nlayout: grid\ngrid: { side: 2, of: folders }\n";
    fs::write(workshop.path("grid.yaml"), manifest).unwrap();
    let sweep =
        |more| sweep_of("grid.yaml", "[all_ones, grad_cam]", "[energy_pointing_game]", more);
    let refused = workshop.try_plan(&sweep(""), &Overrides::default()).err().unwrap();
    assert!(refused.to_string().contains("need `target: label`"), "{refused}");
    let plan = workshop.try_plan(&sweep("target: label\n"), &Overrides::default()).unwrap();
    let run = workshop.run(&plan, "run");
    assert_eq!(run.records().len(), 8);
    for record in run.records() {
        assert_eq!((record.status, record.target), (Status::Ok, record.label));
        if record.method == "all_ones" {
            assert_eq!(record.metrics, [Some(0.25)]);
        }
    }
    // The report shows collages, too.
    let plots = [Format::Plots];
    let left_out = cam_runner::publish(&run, &run.summarize(), run.folder(), &plots, true).unwrap();
    assert!(left_out.is_empty(), "{left_out:?}");
}

#[test]
fn constant_zero_and_nan_maps_are_counted_and_both_policies_are_told() {
    let workshop = Workshop::with_photographs(4);
    let maps = workshop.path("maps");
    fs::create_dir(&maps).unwrap();
    let ones = Tensor::ones([7, 7], (Kind::Float, Device::Cpu));
    let broken = ones.copy();
    let _ = broken.get(3).get(2).fill_(f64::NAN);
    let good = Tensor::arange(49, (Kind::Float, Device::Cpu)).view([7, 7]);
    for (i, map) in [&ones * 3.0, ones.zeros_like(), broken, good].iter().enumerate() {
        map.write_npy(maps.join(format!("{i}.npy"))).unwrap();
    }
    let run = workshop.run(&workshop.plan("[{ name: imported, maps: maps }]"), "run");
    let said: Vec<_> =
        run.records().iter().map(|record| (record.status, record.error.as_deref())).collect();
    let degenerate = |why| (Status::Degenerate, Some(why));
    assert_eq!(
        said,
        [
            degenerate("the map is constant"),
            degenerate("the map is constant"),
            degenerate("the map holds values that are not finite"),
            (Status::Ok, None),
        ]
    );
    assert!(run.records()[..3].iter().all(|record| record.metrics == [None; 6]));
    let summary = cam_results::summarize(run.manifest(), run.records());
    let cell = &summary.cells[0];
    assert_eq!((cell.n, cell.n_degenerate, cell.n_failed), (1, 3, 0));
    let drop = cell.metrics[0].unwrap().mean;
    assert_eq!(Some(drop), run.records()[3].metrics[0], "left out");
    assert!((cell.worst.metrics[0].unwrap() - (drop + 3.0) / 4.0).abs() < 1e-12, "at their worst");
    let increase = cell.metrics[1].unwrap().mean;
    assert!((cell.worst.metrics[1].unwrap() - increase / 4.0).abs() < 1e-12);
    // Coherency of imported maps is not defined, however many of them are degenerate.
    assert_eq!((cell.worst.metrics[4], cell.worst.adcc), (None, None));
    let report = cam_results::report_md(&run, &summary, &[]);
    assert!(report.contains("## Scores with degenerate maps at their worst"), "{report}");
}

#[test]
fn a_protocol_reaches_photographs_maps_metrics_and_names() {
    let workshop = Workshop::with_photographs(2);
    let with = |protocol: &str| {
        format!("{}protocol: {protocol}\ntarget: predicted\n", Workshop::sweep("[recipro_cam]"))
    };
    let plan = workshop.try_plan(&with("byun-2022"), &Overrides::default()).unwrap();
    let resize = &plan.manifest().models[0].preprocessing["resize"];
    assert_eq!(*resize, serde_json::json!([256, 256]));
    let run = workshop.run(&plan, "byun");
    for record in run.records() {
        assert_eq!(record.protocol, "byun-2022+target=predicted");
        assert_eq!(record.status, Status::Ok, "{:?}", record.error);
    }
    assert_eq!(run.manifest().metrics[2].protocol, "byun-2022+target=predicted+steps=7");
    // Complexity is the mean of the small map, normalized.
    run.visit_maps(|key, map| {
        let record = run.records().iter().find(|record| record.key() == *key).unwrap();
        let values: Vec<f64> = map.values.iter().map(|value| f64::from(*value)).collect();
        let (min, max) = values
            .iter()
            .fold((f64::MAX, f64::MIN), |(min, max), value| (min.min(*value), max.max(*value)));
        let mean = values.iter().map(|value| (value - min) / (max - min)).sum::<f64>() / 49.0;
        assert!((record.metrics[5].unwrap() - mean).abs() < 1e-6, "{mean}");
    })
    .unwrap();

    let poppi = workshop.try_plan(&with("poppi-2021"), &Overrides::default()).unwrap();
    assert_eq!(poppi.manifest().methods[0].protocol, "poppi-2021");
    assert_ne!(poppi.manifest().plan_id(), plan.manifest().plan_id());
}

#[test]
fn printed_values_stand_beside_ours_with_every_setting_that_differs() {
    let workshop = Workshop::with_photographs(1);
    let list = "model,method,protocol,n_images,source,drop,adcc\n\
        tf_efficientnet_lite0,recipro_cam,byun-2022,50000,a table,21.51,\n\
        resnet18,recipro_cam,byun-2022,50000,a table,20.68,79.08\n";
    fs::write(workshop.path("printed.csv"), list).unwrap();
    let sweep = format!("{}reference: printed.csv\n", Workshop::sweep("[cam, recipro_cam]"));
    let plan = workshop.try_plan(&sweep, &Overrides::default()).unwrap();
    let reference = plan.manifest().reference.as_ref().unwrap();
    assert_eq!(reference.rows.len(), 1, "one of our methods, in one of our networks");
    let row = &reference.rows[0];
    assert_eq!(row.method, "recipro_cam");
    assert_eq!(
        row.values.iter().map(|(k, v)| (k.as_str(), *v)).collect::<Vec<_>>(),
        [("drop", 0.2151)]
    );
    for setting in [
        "weights random, printed: trained",
        "target predicted, printed: label",
        "upsampling bilinear, printed: bicubic",
        "resize 256, printed: [256,256]",
        "recipro_cam score logit, printed: softmax",
        "deletion steps 7, printed: 224",
        "coherency at image, printed: layer",
        "images 1, printed: 50000",
    ] {
        assert!(row.differs.iter().any(|differs| differs == setting), "{setting}: {row:?}");
    }
    fs::write(workshop.path("printed.csv"), list.replace("byun-2022", "byun-2020")).unwrap();
    let error = workshop.try_plan(&sweep, &Overrides::default()).err().unwrap().to_string();
    assert!(
        error.contains("printed.csv: line 2: unknown protocol `byun-2020`; did you mean"),
        "{error}"
    );
}

#[test]
fn a_method_leaves_out_the_models_that_it_is_told_to() {
    let workshop = Workshop::with_photographs(2);
    let sweep = "name: two\ndataset: { manifest: made.yaml }\nmodels:\n  \
        - { name: tf_efficientnet_lite0, weights: seeded }\n  \
        - { name: resnet18, weights: seeded, layer: layer3 }\n\
        methods: [{ name: cam, except: [resnet18] }, recipro_cam]\nmetrics: [drop]\n";
    let plan = workshop.try_plan(sweep, &Overrides::default()).unwrap();
    assert_eq!(plan.n_rows(), 2 * 3);
    let half = workshop.run_until(&plan, "run", 3);
    assert!(!half.is_finished);
    let run = workshop.run(&plan, "run");
    let with_cam = run.records().iter().filter(|record| record.method == "cam");
    assert!(with_cam.clone().all(|record| record.model == "tf_efficientnet_lite0"));
    assert_eq!((run.records().len(), with_cam.count(), run.n_missing()), (6, 2, 0));
    let report =
        cam_results::report_md(&run, &cam_results::summarize(run.manifest(), run.records()), &[]);
    assert!(!report.contains("only 0 images"), "{report}");

    let everywhere = sweep.replace(", except: [resnet18]", "");
    let error = workshop.try_plan(&everywhere, &Overrides::default()).err().unwrap().to_string();
    assert!(error.contains("(`except: [resnet18]`)"), "{error}");
}

const LAYERS: &str = "name: layers\ndataset: { manifest: made.yaml }\nmodels:\n  \
    - { name: tf_efficientnet_lite0, weights: seeded, layer: [blocks.10, conv_head] }\n\
    methods: [{ name: cam, except: ['tf_efficientnet_lite0@blocks.10'] }, grad_cam, { name: rise, n_masks: 20 }]\n\
    metrics: [drop, complexity]\n";

#[test]
fn a_sweep_over_layers_has_a_model_for_each_and_loads_the_network_once() {
    let workshop = Workshop::with_photographs(2);
    let plan = workshop.try_plan(LAYERS, &Overrides::default()).unwrap();
    let cuts: Vec<_> = plan.models.iter().map(|model| (&*model.name, &*model.layer)).collect();
    let [inner, last] = ["tf_efficientnet_lite0@blocks.10", "tf_efficientnet_lite0@conv_head"];
    assert_eq!(cuts, [(inner, "blocks.10"), (last, "conv_head")]);
    assert_eq!(plan.models.iter().map(|model| model.shape.height).collect::<Vec<_>>(), [14, 7]);
    assert_eq!(plan.n_rows(), 2 * (2 + 3));

    let mut n_loaded = 0;
    let stop = AtomicBool::new(false);
    let mut on_event = |event: Event<'_>| {
        n_loaded += usize::from(matches!(event, Event::Loading { .. }));
    };
    cam_runner::run(&plan, &workshop.path("whole"), &stop, &mut on_event).unwrap();
    assert_eq!(n_loaded, 1);
    let whole = cam_results::Run::read(&workshop.path("whole")).unwrap();

    // Within the first layer, between the two, and within the second.
    for cut_off in [2, 5, 7] {
        let name = format!("cut off at {cut_off}");
        assert!(!workshop.run_until(&plan, &name, cut_off).is_finished);
        assert_eq!(contents(&workshop.run(&plan, &name)), contents(&whole));
    }

    // A row at a layer is the one of a sweep of that layer alone.
    let alone = LAYERS
        .replace("[blocks.10, conv_head]", "conv_head")
        .replace("'tf_efficientnet_lite0@blocks.10'", "");
    let alone = workshop.run(&workshop.try_plan(&alone, &Overrides::default()).unwrap(), "alone");
    let of_last = timeless(&whole).into_iter().filter(|record| record.model == last);
    let of_last: Vec<Record> =
        of_last.map(|record| Record { model: "tf_efficientnet_lite0".into(), ..record }).collect();
    assert_eq!(of_last, timeless(&alone));

    let twice = LAYERS
        .replace("tf_efficientnet_lite0", "resnet18")
        .replace("conv_head", "layer4, layer4.1");
    let twice =
        twice.replace("blocks.10", "layer3").replace("name: cam,", "name: cam, relu: true,");
    let error = workshop.try_plan(&twice, &Overrides::default()).err().unwrap().to_string();
    assert!(
        error
            .contains("small.yaml:4: model `resnet18`: `layer4` and `layer4.1` are the same layer"),
        "{error}"
    );

    let error = LAYERS.replace("blocks.10, conv_head", "conv_head, blocks.99");
    let error =
        workshop.try_plan(&error.replace("@blocks.10", "@blocks.99"), &Overrides::default());
    let error = error.err().unwrap().to_string();
    assert!(
        error.contains("small.yaml:4: model `tf_efficientnet_lite0`: ")
            && error.contains("blocks.99"),
        "{error}"
    );
}
