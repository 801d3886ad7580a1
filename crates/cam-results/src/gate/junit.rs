//! A comparison as JUnit XML, which every CI system shows.

use std::fmt::Write as _;

use super::{Change, Comparison, Verdict, heading};
use crate::report::p_value;

/// One test case per change, in a suite per model. A case fails with a verdict that `fails` names; one that is missing
/// otherwise is skipped.
pub fn junit(comparison: &Comparison, fails: &[Verdict]) -> String {
    let mut models: Vec<&str> = comparison.changes.iter().map(|change| &*change.model).collect();
    models.dedup();
    let is_failure = |change: &&Change| fails.contains(&change.verdict);
    let is_skipped =
        |change: &&Change| change.verdict == Verdict::Missing && !fails.contains(&Verdict::Missing);
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let n_failures = comparison.changes.iter().filter(is_failure).count();
    let _ = writeln!(
        xml,
        "<testsuites name=\"cambench compare\" tests=\"{}\" failures=\"{n_failures}\" errors=\"0\">",
        comparison.changes.len()
    );
    for model in models {
        let changes: Vec<&Change> =
            comparison.changes.iter().filter(|change| change.model == model).collect();
        let count = |of: &dyn Fn(&&Change) -> bool| changes.iter().filter(|c| of(c)).count();
        let _ = writeln!(
            xml,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\">",
            escape(model),
            changes.len(),
            count(&is_failure),
            count(&is_skipped)
        );
        for change in changes {
            let _ = write!(
                xml,
                "    <testcase classname=\"{}.{}\" name=\"{}\"",
                escape(model),
                escape(&change.method),
                escape(&change.metric)
            );
            let inner = if is_failure(&change) {
                let verdict = change.verdict.as_str();
                let text = escape(&described(change));
                format!("<failure type=\"{verdict}\" message=\"{text}\"></failure>")
            } else if is_skipped(&change) {
                "<skipped message=\"missing from the new run\"></skipped>".to_owned()
            } else {
                xml.push_str("/>\n");
                continue;
            };
            let _ = writeln!(xml, ">{inner}</testcase>");
        }
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

/// `deletion ↓ went from 20.46 to 25.10, by +4.64 [+3.10, +6.12] points, p = 0.0004`.
fn described(change: &Change) -> String {
    match (change.base, change.new, change.difference) {
        (Some(base), Some(new), Some(difference)) => format!(
            "{} went from {:.2} to {:.2}, by {:+.2} [{:+.2}, {:+.2}] points, p {}",
            heading(change),
            100.0 * base,
            100.0 * new,
            100.0 * difference.mean,
            100.0 * difference.lo,
            100.0 * difference.hi,
            p_equals(difference.p_holm)
        ),
        _ => format!("{} is missing from the new run", heading(change)),
    }
}

/// `= 0.012`, or `< 0.0001`.
fn p_equals(p: f64) -> String {
    let text = p_value(p);
    if text.starts_with('<') { text } else { format!("= {text}") }
}

/// Text inside an attribute. What XML 1.0 has no way to write becomes a space.
fn escape(text: &str) -> String {
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
