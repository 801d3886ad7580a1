//! The sweeps and data sets that come with cambench are ones that it reads.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{fs, path::PathBuf};

use cam_core::Requirement;
use cam_data::DatasetManifest;
use cam_methods::AnyMethod;
use cam_metrics::AnyMetric;
use cam_runner::{
    Sweep,
    config::{MapSource, MethodChoice},
};

fn yaml_files(folder: &str) -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder);
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    assert!(!files.is_empty());
    files
}

#[test]
fn every_sweep_that_comes_along_is_read_and_names_a_data_set_that_comes_along() {
    let datasets = yaml_files("datasets");
    for path in yaml_files("configs") {
        let (sweep, _) = Sweep::read(&path).unwrap();
        let named = sweep.dataset.manifest.file_name();
        assert!(datasets.iter().any(|dataset| dataset.file_name() == named), "{}", path.display());
        assert_eq!(Some(sweep.name.as_ref()), path.file_stem().map(|stem| stem.to_str().unwrap()));
    }
}

#[test]
fn every_data_set_that_comes_along_is_read() {
    for path in yaml_files("datasets") {
        DatasetManifest::read(&path).unwrap();
    }
}

#[test]
fn every_yaml_file_that_the_readme_and_the_guides_show_is_read() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut documents = vec![root.join("README.md")];
    for entry in fs::read_dir(root.join("docs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") {
            documents.push(path);
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shown.yaml");
    let (mut n_sweeps, mut n_datasets, mut n_parts) = (0, 0, 0);
    for document in documents {
        for block in yaml_blocks(&fs::read_to_string(&document).unwrap()) {
            let shown = || format!("{}:\n{block}", document.display());
            let has = |key: &str| block.lines().any(|line| line.starts_with(key));
            let first = block.lines().find(|line| !line.starts_with('#')).unwrap_or_default();
            if first.starts_with("name:") && !has("models:") {
                fs::write(&file, &block).unwrap();
                DatasetManifest::read(&file).unwrap_or_else(|error| panic!("{error}: {}", shown()));
                n_datasets += 1;
                continue;
            }
            let sweep = if first.starts_with("name:") {
                n_sweeps += 1;
                block.clone()
            } else {
                // A part of a sweep, which is read with what it leaves out.
                n_parts += 1;
                let models = if first.starts_with("  - ") { "models:\n" } else { "" };
                let methods = if has("methods:") { "" } else { "methods: [grad_cam]\n" };
                format!(
                    "name: part\ndataset: {{ manifest: mine.yaml }}\nmetrics: [drop]\n{methods}{models}{block}"
                )
            };
            Sweep::parse(&sweep, &file).unwrap_or_else(|error| panic!("{error}: {}", shown()));
        }
    }
    assert!(n_sweeps >= 2 && n_datasets >= 2 && n_parts >= 3, "{n_sweeps} {n_datasets} {n_parts}");
}

/// The blocks of a Markdown file that say they are YAML.
fn yaml_blocks(text: &str) -> Vec<String> {
    let mut blocks = vec![];
    let mut lines = text.lines();
    while lines.any(|line| line == "```yaml") {
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        blocks.push(block.join("\n"));
    }
    blocks
}

#[test]
fn every_method_every_metric_and_a_randomized_network_are_in_the_sweep_of_all_methods() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../configs");
    let path = folder.join("all-methods.yaml");
    let (sweep, _) = Sweep::read(&path).unwrap();
    // What only a deployed network has is in the sweep of one.
    let (deployed, _) = Sweep::read(&folder.join("deployed.yaml")).unwrap();
    let names = |sweep: &Sweep| -> Vec<&str> {
        sweep.methods.iter().map(|method| method.source.name()).collect()
    };
    let metrics: Vec<&str> = sweep.metrics.iter().map(|metric| metric.metric.name()).collect();
    for method in AnyMethod::all() {
        let sweep = if method.requirement() == Requirement::Hook { &deployed } else { &sweep };
        assert!(names(sweep).contains(&method.name()), "{} is not in it", method.name());
    }
    for metric in AnyMetric::NAMES {
        assert!(metrics.contains(metric), "{metric} is not in {}", path.display());
    }
    let is_randomized = |method: &MethodChoice| matches!(method.source, MapSource::Randomized(_));
    assert!(sweep.methods.iter().any(is_randomized));
}

#[test]
fn every_metric_belongs_to_a_family_of_the_report() {
    for name in cam_metrics::AnyMetric::NAMES {
        assert!(cam_results::family(name).is_some(), "{name}: name it in preset.rs of cam-results");
    }
}
