//! A comparison as JUnit XML, which every CI system shows.
//!
//! It is valid by the schemas of both Ant and Jenkins (`xtask/checks/junit.xsd`). Nothing is timed: the time of a suite is
//! that of the new run.

use std::fmt::Write as _;

use super::{Change, Comparison, Fault, Loss, Unscored, comparison::heading};
use crate::format::p_value;

/// One test case per change and one per loss of scores or rows, in a suite per model. A case fails with a fault that
/// `fails` names; one that is missing otherwise is skipped.
pub fn junit(comparison: &Comparison, fails: &[Fault]) -> String {
    let Comparison { changes, unscored, losses, .. } = comparison;
    let mut models: Vec<&str> = vec![];
    let of_changes = changes.iter().map(|change| &*change.model);
    for model in of_changes.chain(losses.iter().map(|loss| &*loss.model)) {
        if !models.contains(&model) {
            models.push(model);
        }
    }
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for (id, model) in models.into_iter().enumerate() {
        let changes = changes.iter().filter(|change| change.model == model);
        let unscored = unscored.iter().filter(|unscored| unscored.model == model);
        let losses = losses.iter().filter(|loss| loss.model == model);
        let cases: Vec<Case<'_>> = changes
            .map(|change| Case::of_change(change, fails))
            .chain(unscored.map(|unscored| Case::of_unscored(unscored, fails)))
            .chain(losses.map(|loss| Case::of_loss(loss, fails)))
            .collect();
        let count =
            |is: fn(&Outcome) -> bool| cases.iter().filter(|case| is(&case.outcome)).count();
        let counts = format!(
            "tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\"",
            cases.len(),
            count(|outcome| matches!(outcome, Outcome::Failed(..))),
            count(|outcome| matches!(outcome, Outcome::Skipped(_)))
        );
        let runs = [&*comparison.base, &*comparison.new];
        open_suite(&mut xml, (id, model), &comparison.measured, &counts, runs);
        for Case { method, name, outcome } in &cases {
            let _ = write!(
                xml,
                "    <testcase classname=\"{}.{}\" name=\"{}\" time=\"0\"",
                escape(model),
                escape(method),
                escape(name)
            );
            let inner = match outcome {
                Outcome::Failed(fault, text) => {
                    let (fault, text) = (fault.as_str(), escape(text));
                    format!("<failure type=\"{fault}\" message=\"{text}\"></failure>")
                }
                Outcome::Skipped(text) => {
                    format!("<skipped message=\"{}\"></skipped>", escape(text))
                }
                Outcome::Passed => {
                    xml.push_str("/>\n");
                    continue;
                }
            };
            let _ = writeln!(xml, ">{inner}</testcase>");
        }
        // What might not have been seen is about all of them, and read where a suite is.
        let _ = writeln!(
            xml,
            "    <system-out>{}</system-out>\n    <system-err></system-err>\n  </testsuite>",
            escape(&comparison.blind_spot().unwrap_or_default())
        );
    }
    xml.push_str("</testsuites>\n");
    xml
}

/// Writes where a suite begins: its number and name, the time of the new run, its counts, and both runs.
pub(super) fn open_suite(
    xml: &mut String,
    (id, name): (usize, &str),
    measured: &str,
    counts: &str,
    [base, new]: [&str; 2],
) {
    let _ = writeln!(
        xml,
        "  <testsuite id=\"{id}\" package=\"cambench\" name=\"{}\" timestamp=\"{}\" hostname=\"localhost\" \
         {counts} time=\"0\">\n    <properties>",
        escape(name),
        second(measured),
    );
    for (name, value) in [("baseline", base), ("new run", new)] {
        let _ = writeln!(xml, "      <property name=\"{name}\" value=\"{}\"/>", escape(value));
    }
    xml.push_str("    </properties>\n");
}

/// A test case of a suite.
struct Case<'a> {
    method: &'a str,
    name: String,
    outcome: Outcome,
}

/// How a test case ended.
enum Outcome {
    Passed,
    /// Why.
    Skipped(String),
    /// On what, and what there is to say.
    Failed(Fault, String),
}

impl<'a> Case<'a> {
    fn of_change(change: &'a Change, fails: &[Fault]) -> Self {
        let outcome = match change.fault() {
            Some(fault) if fails.contains(&fault) => Outcome::Failed(fault, described(change)),
            Some(Fault::Missing) => Outcome::Skipped(described(change)),
            _ => Outcome::Passed,
        };
        Self { method: &change.method, name: change.metric.clone(), outcome }
    }

    fn of_unscored(unscored: &'a Unscored, fails: &[Fault]) -> Self {
        let text = unscored.to_string();
        let outcome = if fails.contains(&Fault::Missing) {
            Outcome::Failed(Fault::Missing, text)
        } else {
            Outcome::Skipped(text)
        };
        let name = format!("{}: images without a score", unscored.metric);
        Self { method: &unscored.method, name, outcome }
    }

    fn of_loss(loss: &'a Loss, fails: &[Fault]) -> Self {
        let fault = loss.faults().into_iter().find(|fault| fails.contains(fault));
        let outcome = match fault {
            Some(fault) => Outcome::Failed(fault, loss.to_string()),
            None if loss.faults().contains(&Fault::Missing) => Outcome::Skipped(loss.to_string()),
            None => Outcome::Passed,
        };
        Self { method: &loss.method, name: "rows without a score".to_owned(), outcome }
    }
}

/// A time to the second, without its zone; an hour that is none is the first one.
fn second(time: &str) -> &str {
    let is_time = |text: &&str| {
        text.bytes().zip(b"0000-00-00T00:00:00").all(|(byte, form)| match form {
            b'0' => byte.is_ascii_digit(),
            _ => byte == *form,
        })
    };
    time.get(..19).filter(is_time).unwrap_or("1970-01-01T00:00:00")
}

/// `deletion ↓ went from 20.46 to 25.10, by +4.64 [+3.10, +6.12] points, p = 0.0004`.
fn described(change: &Change) -> String {
    match (change.base, change.new, change.difference) {
        (Some(base), Some(new), Some(difference)) => format!(
            "{} went from {:.2} to {:.2}, by {} points, p {}",
            heading(change),
            100.0 * base,
            100.0 * new,
            difference.points(),
            p_equals(difference.p_holm)
        ),
        _ => format!("{}: no image has a score in both runs", heading(change)),
    }
}

/// `= 0.012`, or `< 0.0001`.
fn p_equals(p: f64) -> String {
    let text = p_value(p);
    if text.starts_with('<') { text } else { format!("= {text}") }
}

/// Text inside an attribute. What XML 1.0 has no way to write becomes a space.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => escaped.push(' '),
            _ if c.is_control() => escaped.push(' '),
            _ => escaped.push(c),
        }
    }
    escaped
}
