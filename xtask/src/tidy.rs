//! The workspace's own rules, as tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::wheels::{WEIGHTS, WHEELS};
use crate::{checkout, libtorch, run};

/// The crates between the vocabulary and the runner.
const MIDDLE: [&str; 7] = [
    "cam-models",
    "cam-onnx",
    "cam-runtimes",
    "cam-methods",
    "cam-metrics",
    "cam-data",
    "cam-results",
];

#[test]
fn the_middle_crates_never_depend_on_each_other() {
    let packages = packages();
    for name in MIDDLE {
        let allowed = if name == "cam-results" { &[][..] } else { &["cam-core"][..] };
        for dependency in built_with(&packages[name]) {
            assert!(allowed.contains(&dependency.as_str()), "{name} depends on {dependency}");
        }
    }
    assert_eq!(ours(&packages["cam-core"]), BTreeSet::new());
}

#[test]
fn only_the_binary_is_above_the_runner_and_xtask_stands_alone() {
    let packages = packages();
    assert_eq!(ours(&packages["xtask"]), BTreeSet::new());
    for (name, package) in packages {
        let above = ours(&package);
        assert!(!above.contains("cambench"), "{name} depends on the binary");
        assert!(
            name == "cambench" || !above.contains("cam-runner"),
            "{name} depends on the runner"
        );
    }
}

#[test]
fn cam_results_does_not_link_libtorch() {
    let reached = reached_from("cam-results");
    assert!(reached.contains("polars"), "the walk went nowhere: {reached:?}");
    for name in ["tch", "torch-sys"] {
        assert!(!reached.contains(name), "cam-results depends on {name}");
        assert!(
            reached_from("cam-runner").contains(name),
            "the walk from cam-runner misses {name}"
        );
    }
}

#[test]
fn every_source_file_begins_with_what_it_is() {
    let root = checkout::root();
    let mut sources = Vec::new();
    for folder in ["crates", "xtask", "build"] {
        rust_files(&root.join(folder), &mut sources);
    }
    assert!(sources.len() > 20, "found only {} files below {}", sources.len(), root.display());
    for path in sources {
        assert!(
            fs::read_to_string(&path).unwrap().starts_with("//! "),
            "{} has no `//!` at its top",
            path.display()
        );
    }
}

#[test]
fn no_committed_file_holds_a_home_folders_path() {
    let listed =
        Command::new("git").args(["ls-files", "-z"]).current_dir(checkout::root()).output();
    let Some(listed) = listed.ok().filter(|output| output.status.success()) else {
        println!("skipped: this is no git checkout");
        return;
    };
    let files = String::from_utf8(listed.stdout).unwrap();
    for file in files.split_terminator('\0') {
        let Ok(text) = fs::read_to_string(checkout::root().join(file)) else { continue }; // an image, or just deleted
        assert_eq!(home_path(&text), None, "{file} holds a path of one machine");
    }
}

#[test]
fn home_paths_are_recognized() {
    for home in [["/home", "/someone/x"], ["/Users", "/someone"], ["/root", "/.cache"]] {
        assert_eq!(home_path(&format!("see {}", home.concat())), Some(home.concat().as_str()));
    }
    for innocent in [
        "/home page",
        "~/.cache",
        "$HOME/x",
        "/home/",
        "a/rooted/tree",
        "checkout::root()",
        "src/root/x",
    ] {
        assert_eq!(home_path(innocent), None, "{innocent}");
    }
}

#[test]
fn every_relative_link_and_anchor_in_the_markdown_files_resolves() {
    let root = checkout::root();
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(&root)
        .output();
    let Some(listed) = listed.ok().filter(|output| output.status.success()) else {
        println!("skipped: this is no git checkout");
        return;
    };
    let listed = String::from_utf8(listed.stdout).unwrap();
    let files: BTreeSet<&str> =
        listed.split_terminator('\0').filter(|file| root.join(file).is_file()).collect();
    let is_there = |path: &str| {
        files.contains(path) || files.iter().any(|file| file.starts_with(&format!("{path}/")))
    };
    let (mut n_links, mut broken) = (0, vec![]);
    for file in files.iter().filter(|file| is_markdown(file)) {
        let text = fs::read_to_string(root.join(file)).unwrap();
        for link in links(&text).iter().filter(|link| !link.contains("://")) {
            n_links += 1;
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { (*file).to_owned() } else { path_from(file, path) };
            let has_anchor = || {
                let text = fs::read_to_string(root.join(&target)).unwrap();
                anchors(&text).contains(anchor)
            };
            if !is_there(&target) || is_markdown(&target) && !anchor.is_empty() && !has_anchor() {
                broken.push(format!("{file}: {link}"));
            }
        }
    }
    assert!(n_links > 50, "found only {n_links} links");
    assert!(broken.is_empty(), "links that lead nowhere:\n{}", broken.join("\n"));
}

#[test]
fn links_are_those_outside_of_code_and_anchors_are_githubs() {
    let text = "# A `code` title, with signs!\n\nSee [one](a.md#b) and ![two](p.png)\nand [a\nb](#x).\n\n\
                Not `[x](no.md)`.\n\n    [y](no.md)\n\n```text\n# no heading\n[z](no.md)\n```\n\n\
                ## It's [linked](b.md), yes\n## Twice\n## Twice\n#none\n";
    assert_eq!(links(text), ["a.md#b", "p.png", "#x", "b.md"]);
    let expected = ["a-code-title-with-signs", "its-linked-yes", "twice", "twice-1"];
    assert_eq!(anchors(text), expected.map(str::to_owned).into());
    assert_eq!(path_from("docs/a.md", "../README.md"), "README.md");
    assert_eq!(path_from("docs/a.md", "b/c.md"), "docs/b/c.md");
    assert_eq!(path_from("a.md", "./b/"), "b");
}

#[test]
fn the_weights_set_up_here_are_those_that_the_zoo_expects() {
    let zoo = fs::read_to_string(checkout::root().join("crates/cam-models/src/zoo.rs")).unwrap();
    for (model, file, sha256) in WEIGHTS {
        let row =
            zoo.find(&format!("\"{model}\",")).unwrap_or_else(|| panic!("the zoo has no {model}"));
        let row: String = zoo[row..].lines().take(12).collect();
        let file = file.strip_prefix("weights/").unwrap();
        assert!(row.contains(&format!("\"{file}\"")), "the zoo looks for another file than {file}");
        assert!(row.contains(sha256), "the zoo expects another SHA-256 of {file}");
    }
}

#[test]
fn manifests_name_the_libtorch_and_the_tch_that_are_linked() {
    let read = |file: &str| fs::read_to_string(checkout::root().join(file)).unwrap();
    let lock = read("Cargo.lock");
    let (_, tch) = lock.split_once("name = \"tch\"\nversion = \"").unwrap();
    let tch = tch.split('"').next().unwrap();
    let torch = WHEELS.iter().find_map(|wheel| wheel.requirement.strip_prefix("torch=="));
    assert_eq!(torch, Some(libtorch::VERSION));
    let named = format!(r#"[("libtorch", "{}"), ("tch", "{tch}")]"#, libtorch::VERSION);
    let plan = read("crates/cam-runner/src/plan/mod.rs");
    assert!(plan.contains(&named), "a run's manifest is to name {named}");
}

fn is_markdown(file: &str) -> bool {
    Path::new(file).extension().is_some_and(|extension| extension == "md")
}

/// The lines of a Markdown file that are no code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence && !line.starts_with("    ")
    })
}

/// Where the links and images of a Markdown file lead.
fn links(text: &str) -> Vec<String> {
    // Of code in a line, every second part between backticks.
    let without_code = |line: &str| line.split('`').step_by(2).collect::<String>();
    let prose: Vec<String> = prose(text).map(without_code).collect();
    let prose = prose.join("\n");
    let ends = prose.match_indices("](").map(|(at, mark)| &prose[at + mark.len()..]);
    ends.filter_map(|rest| Some(rest[..rest.find(')')?].to_owned())).collect()
}

/// The names that GitHub gives the headings of a Markdown file: small letters, digits, `-` and `_`, and a number where a name
/// comes again.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut times = BTreeMap::new();
    let mut anchors = BTreeSet::new();
    for line in prose(text) {
        let title = line.trim_start_matches('#');
        let level = line.len() - title.len();
        let Some(title) = title.strip_prefix(' ').filter(|_| (1..=6).contains(&level)) else {
            continue;
        };
        let is_kept = |letter: &char| letter.is_alphanumeric() || "-_ ".contains(*letter);
        let name: String = without_targets(title).to_lowercase().chars().filter(is_kept).collect();
        let name = name.trim().replace(' ', "-");
        let before: &mut usize = times.entry(name.clone()).or_default();
        anchors.insert(if *before == 0 { name } else { format!("{name}-{before}") });
        *before += 1;
    }
    anchors
}

/// A title without where its links lead.
fn without_targets(title: &str) -> String {
    let mut parts = title.split("](");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once(')').map_or(part, |(_, rest)| rest))
}

/// Where a relative link of a file leads, from the checkout's root.
fn path_from(file: &str, link: &str) -> String {
    let mut path: Vec<&str> = file.split('/').collect();
    path.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(path.pop()),
            name => path.push(name),
        }
    }
    path.join("/")
}

/// The first path in the text that lies in somebody's home folder.
fn home_path(text: &str) -> Option<&str> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    [concat!("/ho", "me/"), concat!("/Us", "ers/"), concat!("/ro", "ot/")].into_iter().find_map(
        |home| {
            text.match_indices(home).find_map(|(start, _)| {
                let inside = &text[start + home.len()..];
                let is_path = inside.starts_with(is_part) && !text[..start].ends_with(is_part);
                let end =
                    inside.find(|letter| letter != '/' && !is_part(letter)).unwrap_or(inside.len());
                is_path.then(|| &text[start..start + home.len() + end])
            })
        },
    )
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The workspace's packages by name.
fn packages() -> BTreeMap<String, Value> {
    let metadata = metadata(&["--no-deps"]);
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|package| (package["name"].as_str().unwrap().to_owned(), package.clone()))
        .collect()
}

/// The workspace's packages that a package depends on directly, for its tests too.
fn ours(package: &Value) -> BTreeSet<String> {
    let dependencies = package["dependencies"].as_array().unwrap();
    let names =
        dependencies.iter().map(|dependency| dependency["name"].as_str().unwrap().to_owned());
    names.filter(|name| name.starts_with("cam-") || name == "cambench" || name == "xtask").collect()
}

/// Those of them that it is built with, without what its tests take besides.
fn built_with(package: &Value) -> BTreeSet<String> {
    let mut package = package.clone();
    if let Some(dependencies) = package["dependencies"].as_array_mut() {
        dependencies.retain(|dependency| dependency["kind"] != "dev");
    }
    ours(&package)
}

/// The names of all packages that a workspace's package is built with, its own tests' included.
fn reached_from(name: &str) -> BTreeSet<String> {
    let host = Command::new("rustc").arg("-vV").output().unwrap();
    let host = String::from_utf8(host.stdout).unwrap();
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let metadata = metadata(&["--filter-platform", host]);

    let mut names = BTreeMap::new();
    for package in metadata["packages"].as_array().unwrap() {
        names.insert(package["id"].as_str().unwrap(), package["name"].as_str().unwrap());
    }
    let nodes: BTreeMap<&str, &Value> = metadata["resolve"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| (node["id"].as_str().unwrap(), node))
        .collect();

    let start = names.iter().find(|(_, other)| **other == name).unwrap().0;
    let (mut reached, mut ahead) = (BTreeSet::from([*start]), vec![*start]);
    while let Some(id) = ahead.pop() {
        for edge in nodes[id]["deps"].as_array().unwrap() {
            let is_for_tests =
                edge["dep_kinds"].as_array().unwrap().iter().all(|kind| kind["kind"] == "dev");
            let to = edge["pkg"].as_str().unwrap();
            if (!is_for_tests || id == *start) && reached.insert(to) {
                ahead.push(to);
            }
        }
    }
    reached.into_iter().map(|id| names[id].to_owned()).collect()
}

fn metadata(args: &[&str]) -> Value {
    let output = run::cargo()
        .args(["metadata", "--format-version=1"])
        .args(args)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "cargo metadata failed");
    serde_json::from_slice(&output.stdout).unwrap()
}
