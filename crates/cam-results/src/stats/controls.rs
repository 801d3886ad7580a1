//! Methods beside the controls, which know nothing of the network, or nothing of what it learned.

use super::{Contrast, Difference, words::listed};

/// How many names a cell of a table takes.
const FEW: usize = 3;

/// A method that is not significantly better than a control.
#[derive(Clone, Debug, PartialEq)]
pub struct BelowControl {
    /// The model, by its name in the sweep.
    pub model: String,
    /// The metric as it heads a column.
    pub heading: String,
    /// The method as it is printed.
    pub method: String,
    /// The control as it is printed.
    pub control: String,
    /// Whether the control is even better, and the two can be told apart.
    pub is_worse: bool,
    /// The method minus the control.
    pub difference: Difference,
}

/// Every method that a metric does not put above a control, by contrasts of methods.
pub fn below_controls(methods: &[Contrast]) -> Vec<BelowControl> {
    let mut below = vec![];
    for contrast in methods {
        for method in places(contrast, false) {
            for control in
                places(contrast, true).filter(|control| !contrast.is_better(method, *control))
            {
                let Some(difference) = contrast.difference(method, control) else { continue };
                below.push(BelowControl {
                    model: contrast.within.clone(),
                    heading: contrast.heading.clone(),
                    method: contrast.items[method].label.clone(),
                    control: contrast.items[control].label.clone(),
                    is_worse: contrast.is_better(control, method),
                    difference,
                });
            }
        }
    }
    below
}

fn places(contrast: &Contrast, is_control: bool) -> impl Iterator<Item = usize> + '_ {
    (0..contrast.items.len()).filter(move |i| contrast.items[*i].is_control == is_control)
}

/// The controls that a method is not significantly better than.
pub(crate) fn unbeaten(contrast: &Contrast, method: usize) -> Vec<&str> {
    places(contrast, true)
        .filter(|control| contrast.difference(method, *control).is_some())
        .filter(|control| !contrast.is_better(method, *control))
        .map(|control| contrast.items[control].label.as_str())
        .collect()
}

/// How a method stands beside the controls of a contrast: which are better, and which are not significantly different, as far as
/// they are compared in what is left of it with enough images. `None` without controls.
pub(crate) fn beside_controls(
    whole: &Contrast,
    contrast: &Contrast,
    method: usize,
) -> Option<String> {
    let compared: Vec<usize> = places(contrast, true)
        .filter(|control| contrast.difference(method, *control).is_some())
        .collect();
    let named = |is_meant: &dyn Fn(usize) -> bool| -> Vec<&str> {
        let meant = compared.iter().filter(|control| is_meant(**control));
        meant.map(|control| contrast.items[*control].label.as_str()).collect()
    };
    let better = named(&|control| contrast.is_better(control, method));
    let alike = named(&|control| {
        !contrast.is_better(control, method) && !contrast.is_better(method, control)
    });
    let mut parts = vec![];
    if !better.is_empty() {
        let verb = if better.len() == 1 { "is" } else { "are" };
        parts.push(format!("{} {verb} better", listed(&better)));
    }
    if !alike.is_empty() {
        let verb = if alike.len() == 1 { "is" } else { "are" };
        parts.push(format!("{} {verb} not significantly different", listed(&alike)));
    }
    let has_all = compared.len() == places(whole, true).count();
    match (compared.len(), parts.is_empty()) {
        (0, _) => None,
        (2.., true) if has_all => Some("Better than every control.".to_owned()),
        (n, true) => {
            let controls = if n == 1 { "control" } else { "controls" };
            Some(format!("Better than the {controls} {}.", listed(&named(&|_any| true))))
        }
        _ => Some(format!("Of the controls, {}.", parts.join(", and "))),
    }
}

/// How many methods are significantly better than a control, by one metric, in all models together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Beaten {
    /// The metric as it heads a column.
    pub(crate) heading: String,
    /// The control as it is printed.
    pub(crate) control: String,
    /// The methods that are significantly better; with their model where there are several.
    pub(crate) by: Vec<String>,
    /// The other ones.
    pub(crate) not_by: Vec<String>,
}

impl Beaten {
    /// `none of 11`, `all 11`, `9 of 11`.
    pub(crate) fn count(&self) -> String {
        let n = self.by.len() + self.not_by.len();
        match (self.by.len(), self.not_by.len()) {
            (0, _) => format!("none of {n}"),
            (_, 0) => format!("all {n}"),
            (by, _) => format!("{by} of {n}"),
        }
    }

    /// The side that is short enough to be named: `only CAM`, `not CAM and RISE`.
    pub(crate) fn names(&self) -> Option<String> {
        let listed =
            |names: &[String]| listed(&names.iter().map(String::as_str).collect::<Vec<_>>());
        match (self.by.len(), self.not_by.len()) {
            (0, _) | (_, 0) => None,
            (_, 1..=FEW) => Some(format!("not {}", listed(&self.not_by))),
            (1..=FEW, _) => Some(format!("only {}", listed(&self.by))),
            _ => None,
        }
    }
}

/// By every metric and control, in the order in which they come, how many methods are better; of those with enough
/// images.
pub(crate) fn beaten(methods: &[Contrast], with_model: bool) -> Vec<Beaten> {
    let mut all: Vec<Beaten> = vec![];
    for contrast in methods.iter().map(Contrast::with_enough_images) {
        for control in places(&contrast, true) {
            let label = &contrast.items[control].label;
            let (by, not_by): (Vec<usize>, Vec<usize>) = places(&contrast, false)
                .filter(|method| contrast.difference(*method, control).is_some())
                .partition(|method| contrast.is_better(*method, control));
            let named = |places: Vec<usize>| {
                let name = |i: usize| match &contrast.items[i].label {
                    label if with_model => format!("{label} of {}", contrast.within),
                    label => label.clone(),
                };
                places.into_iter().map(name).collect::<Vec<_>>()
            };
            let (by, not_by) = (named(by), named(not_by));
            let is_it = |known: &&mut Beaten| {
                (&known.heading, &known.control) == (&contrast.heading, label)
            };
            if let Some(known) = all.iter_mut().find(is_it) {
                known.by.extend(by);
                known.not_by.extend(not_by);
            } else if !by.is_empty() || !not_by.is_empty() {
                let (heading, control) = (contrast.heading.clone(), label.clone());
                all.push(Beaten { heading, control, by, not_by });
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        summarize,
        testing::{beside_a_control, many_images, model, rows},
    };

    fn beside(cam: f64, rise: f64, control: f64) -> [String; 2] {
        let drop = &beside_a_control(cam, rise, control).methods[0];
        ["CAM", "RISE"].map(|label| {
            let place = drop.items.iter().position(|item| item.label == label).unwrap();
            beside_controls(drop, drop, place).unwrap()
        })
    }

    #[test]
    fn how_a_method_stands_beside_a_control_is_said_in_a_sentence() {
        let control = "Recipro-CAM (recipro_cam)";
        assert_eq!(
            beside(0.2, 0.6, 0.4),
            [
                format!("Better than the control {control}."),
                format!("Of the controls, {control} is better.")
            ]
        );
        let alike = format!("Of the controls, {control} is not significantly different.");
        assert_eq!(beside(0.4, 0.4, 0.4), [alike.clone(), alike]);
    }

    #[test]
    fn without_a_control_there_is_nothing_to_say() {
        let (manifest, records) = many_images(60);
        let methods = summarize(&manifest, &records).methods;
        assert_eq!(beside_controls(&methods[0], &methods[0], 0), None);
        assert_eq!(beaten(&methods, false), []);
    }

    #[test]
    fn methods_that_beat_a_control_are_counted_and_the_shorter_side_is_named() {
        let of = |cam, rise, control| {
            let all = beaten(&beside_a_control(cam, rise, control).methods, false);
            let drop = all.iter().find(|beaten| beaten.heading == "Drop ↓").unwrap();
            (drop.count(), drop.names())
        };
        assert_eq!(of(0.2, 0.6, 0.4), ("1 of 2".into(), Some("not RISE".into())));
        assert_eq!(of(0.2, 0.3, 0.4), ("all 2".into(), None));
        assert_eq!(of(0.5, 0.6, 0.4), ("none of 2".into(), None));
        let only = Beaten {
            by: vec!["CAM".into()],
            not_by: (0..4).map(|i| format!("m{i}")).collect(),
            ..Beaten::default()
        };
        assert_eq!(only.names().unwrap(), "only CAM");
    }

    #[test]
    fn models_are_counted_together_and_their_methods_told_apart() {
        let (mut manifest, _) = many_images(40);
        manifest.methods[2].method = "random".into();
        manifest.models = vec![model("one"), model("two")];
        let mut records: Vec<_> = rows(&manifest).into_iter().map(|row| row.record).collect();
        for record in &mut records {
            let is_better = record.method == "cam" && &*record.model == "one";
            record.status = crate::Status::Ok;
            record.metrics = vec![Some(if is_better { 0.2 } else { 0.4 }); 4];
        }
        let all = beaten(&summarize(&manifest, &records).methods, true);
        let drop = all.iter().find(|beaten| beaten.heading == "Drop ↓").unwrap();
        assert_eq!((drop.count(), drop.by.join(", ")), ("1 of 4".into(), "CAM of one".into()));
    }
}
