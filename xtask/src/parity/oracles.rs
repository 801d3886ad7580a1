//! Which tests vouch for a method or a metric: those whose text names its type.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

/// The sentences that are the names of the tests of a method or metric: of its own file, then by hand, then of laws.
pub(super) fn of(root: &Path, name: &str) -> Result<Vec<String>> {
    let read =
        |path: &str| fs::read_to_string(root.join(path)).with_context(|| format!("reading {path}"));
    if name == "adcc" {
        // No metric of one image, and so without a type.
        let summary = read("crates/cam-results/src/summary.rs")?;
        let names = tests(&summary).map(|(name, _)| name).filter(|name| name.contains("adcc"));
        return Ok(names.map(sentence).collect());
    }
    let mut found = Vec::new();
    for library in ["crates/cam-methods", "crates/cam-metrics"] {
        let own = format!("{library}/src/{name}.rs");
        if !root.join(&own).exists() {
            continue;
        }
        let text = read(&own)?;
        found.extend(tests(&text).map(|(name, _)| sentence(name)));
        for file in ["by_hand", "laws"] {
            let text = read(&format!("{library}/tests/{file}.rs"))?;
            let about = tests(&text).filter(|(_, body)| names(body, &type_of(name)));
            found.extend(about.map(|(name, _)| sentence(name)));
        }
    }
    Ok(found)
}

/// Name and text of every test of a file.
fn tests(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split("#[test]").skip(1).filter_map(|rest| {
        let rest = &rest[rest.find("fn ")? + 3..];
        let (name, body) = rest.split_once('(')?;
        // As deep as the function stands.
        let end = ["\n}\n", "\n    }\n"].iter().filter_map(|end| body.find(end)).min();
        Some((name, &body[..end.unwrap_or(body.len())]))
    })
}

/// `grad_cam_pp` is `GradCamPp`.
fn type_of(name: &str) -> String {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    name.split('_').map(capital).collect()
}

/// Whether a word stands in a text, and not as a part of a longer one.
fn names(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !is_part(text[..at].chars().next_back()) && !is_part(text[at + word.len()..].chars().next())
    })
}

fn sentence(name: &str) -> String {
    name.replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkout;

    #[test]
    fn a_test_is_found_with_its_text_and_a_name_is_no_part_of_a_longer_one() {
        let text =
            "#[test]\nfn cams_agree() {\n    Cam {}.explain();\n}\n\nfn helper() { GradCam {} }\n";
        let found: Vec<(&str, &str)> = tests(text).collect();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, "cams_agree");
        assert!(names(found[0].1, "Cam") && !names(found[0].1, "GradCam"));
        assert!(!names("GradCam {}", "Cam") && !names("Cams", "Cam"));
        assert_eq!(type_of("grad_cam_pp"), "GradCamPp");
    }

    #[test]
    fn every_method_and_every_metric_is_named_by_a_test() {
        let root = checkout::root();
        for library in ["cam-methods", "cam-metrics"] {
            let list =
                fs::read_to_string(root.join(format!("crates/{library}/src/lib.rs"))).unwrap();
            let listed: Vec<&str> = list
                .lines()
                .filter_map(|line| line.trim().strip_prefix('"')?.split_once("\" => "))
                .map(|(name, _)| name)
                .collect();
            assert!(listed.len() > 5, "{listed:?}");
            for name in listed.iter().chain(&["adcc"]) {
                assert!(!of(&root, name).unwrap().is_empty(), "no test of {library} names {name}");
            }
        }
    }
}
