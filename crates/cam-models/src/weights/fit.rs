//! A file's tensors matched to a plan's parameters.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use super::{ModelError, WeightsFile};
use crate::network::Parameters;
use crate::plan::Plan;
use crate::zoo::{Backbone, ZOO};

/// A file that holds another network than the one it was named for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The file.
    pub path: PathBuf,
    /// The row of the zoo.
    pub backbone: &'static str,
    /// Parameters that the file lacks, in the network's order.
    pub missing: Vec<String>,
    /// Tensors that the network has no place for.
    pub unexpected: Vec<String>,
    /// Name, shape in the file, shape in the network.
    pub reshaped: Vec<(String, Vec<i64>, Vec<i64>)>,
    /// The row of the zoo that the file fits exactly.
    pub looks_like: Option<&'static str>,
}

impl std::error::Error for Mismatch {}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reshaped: Vec<String> = self
            .reshaped
            .iter()
            .map(|(name, found, expected)| format!("{name} {found:?} instead of {expected:?}"))
            .collect();
        let lists = [
            ("missing", &self.missing),
            ("unexpected", &self.unexpected),
            ("of another shape", &reshaped),
        ];
        let parts: Vec<String> = lists
            .into_iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(what, names)| {
                let more = if names.len() > 2 { ", ..." } else { "" };
                format!("{} {what} ({}{more})", names.len(), names[..names.len().min(2)].join(", "))
            })
            .collect();
        let (path, backbone) = (self.path.display(), self.backbone);
        write!(f, "{path} does not hold {backbone}'s parameters: {}; ", parts.join(", "))?;
        match self.looks_like {
            Some(name) => write!(f, "this looks like {name}"),
            None => write!(f, "save the model's state dict with its original parameter names"),
        }
    }
}

/// More classes than any classifier has: a file that claims more is damaged.
const MAX_CLASSES: i64 = 100_000;

type Shapes = BTreeMap<String, Vec<i64>>;

/// The plan that a file's tensors fit, with the file's number of classes, and the tensors under the plan's names.
pub(super) fn fit(
    file: &WeightsFile,
    backbone: &'static Backbone,
    classes: Option<i64>,
) -> Result<(Plan, Parameters), ModelError> {
    let shapes = file.shapes();
    let Matched { plan, prefix, rivals, differences } = matched(backbone, &shapes);
    if !rivals.is_empty() {
        let sets = rivals.iter().map(|prefix| prefix.trim_end_matches('.').to_owned()).collect();
        return Err(ModelError::Ambiguous { path: file.path().to_owned(), sets });
    }
    if !differences.is_none() {
        let fits = |row: &&Backbone| matched(row, &shapes).differences.is_none();
        let Differences { missing, unexpected, reshaped } = differences;
        let looks_like = ZOO.iter().find(fits).map(|row| row.name);
        let (path, backbone) = (file.path().to_owned(), backbone.name);
        let mismatch = Mismatch { path, backbone, missing, unexpected, reshaped, looks_like };
        return Err(Box::new(mismatch).into());
    }
    let found = plan.classifier().outputs;
    if let Some(expected) = classes.filter(|&expected| expected != found) {
        return Err(ModelError::Classes { path: file.path().to_owned(), expected, found });
    }
    let parameters = plan
        .parameters()
        .into_iter()
        .map(|parameter| {
            let tensor = file.read(&format!("{prefix}{}", parameter.name))?;
            Ok((parameter.name, tensor))
        })
        .collect::<Result<_, ModelError>>()?;
    Ok((plan, parameters))
}

/// The naming and the wrapper under which a file fits a row best.
struct Matched {
    plan: Plan,
    /// What stands before every name: `module.`, `state_dict.`, ...
    prefix: String,
    /// Prefixes that fit just as well, this one among them; empty if there is no other.
    rivals: Vec<String>,
    differences: Differences,
}

#[derive(Default)]
struct Differences {
    missing: Vec<String>,
    unexpected: Vec<String>,
    reshaped: Vec<(String, Vec<i64>, Vec<i64>)>,
}

impl Differences {
    fn is_none(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.reshaped.is_empty()
    }
}

fn matched(backbone: &Backbone, shapes: &Shapes) -> Matched {
    let candidates = backbone.plans(1000).into_iter().enumerate().flat_map(|(index, plan)| {
        let names: Vec<String> =
            plan.parameters().into_iter().map(|parameter| parameter.name).collect();
        prefixes(shapes, &names[0])
            .into_iter()
            .map(|prefix| {
                let n = names
                    .iter()
                    .filter(|name| shapes.contains_key(&format!("{prefix}{name}")))
                    .count();
                (n, index, prefix)
            })
            .collect::<Vec<_>>()
    });
    let candidates: Vec<(usize, usize, String)> = candidates.collect();
    let most = candidates.iter().map(|(n, ..)| *n).max().unwrap_or(0);
    let best: Vec<&(usize, usize, String)> =
        candidates.iter().filter(|(n, ..)| *n == most).collect();
    // Without a wrapper is meant before any wrapper, and the first naming where nothing fits at all.
    let (_, index, prefix) = best.iter().find(|(.., prefix)| prefix.is_empty()).unwrap_or(&best[0]);
    let is_ambiguous = most > 0 && !prefix.is_empty() && best.len() > 1;
    let rivals = if is_ambiguous {
        best.iter().map(|(.., prefix)| prefix.clone()).collect()
    } else {
        vec![]
    };

    let named = |classes: i64| backbone.plans(classes).swap_remove(*index);
    let last = format!("{prefix}{}.weight", named(1000).classifier().name);
    let classes = match shapes.get(&last).map(Vec::as_slice) {
        Some(&[classes @ 1..=MAX_CLASSES, _]) => classes,
        _ => 1000,
    };
    let plan = named(classes);
    Matched {
        differences: differences(&plan, prefix, shapes),
        prefix: prefix.clone(),
        plan,
        rivals,
    }
}

/// What may stand before the names, given the name of the first parameter.
fn prefixes(shapes: &Shapes, first: &str) -> Vec<String> {
    let wrapped = shapes
        .keys()
        .filter_map(|name| name.strip_suffix(first))
        .filter(|prefix| prefix.ends_with('.'))
        .map(str::to_owned);
    std::iter::once(String::new()).chain(wrapped).collect()
}

fn differences(plan: &Plan, prefix: &str, shapes: &Shapes) -> Differences {
    let mut differences = Differences::default();
    let mut rest: BTreeMap<&str, &Vec<i64>> = shapes
        .iter()
        .filter_map(|(name, shape)| Some((name.strip_prefix(prefix)?, shape)))
        .filter(|(name, _)| !name.ends_with(".num_batches_tracked"))
        .collect();
    for parameter in plan.parameters() {
        match rest.remove(parameter.name.as_str()) {
            None => differences.missing.push(parameter.name),
            Some(found) if *found != parameter.shape => {
                differences.reshaped.push((parameter.name, found.clone(), parameter.shape));
            }
            Some(_) => {}
        }
    }
    differences.unexpected = rest.into_keys().map(str::to_owned).collect();
    differences
}
