//! A comparison as JUnit XML, which every CI system shows.
//!
//! It is valid by the schemas of both Ant and Jenkins (`xtask/checks/junit.xsd`). Nothing is timed: the time of a suite is
//! that of the new run.

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
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for (id, model) in models.into_iter().enumerate() {
        let changes: Vec<&Change> =
            comparison.changes.iter().filter(|change| change.model == model).collect();
        let count = |of: &dyn Fn(&&Change) -> bool| changes.iter().filter(|c| of(c)).count();
        let _ = writeln!(
            xml,
            "  <testsuite id=\"{id}\" package=\"cambench\" name=\"{}\" timestamp=\"{}\" hostname=\"localhost\" \
             tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\" time=\"0\">",
            escape(model),
            second(&comparison.measured),
            changes.len(),
            count(&is_failure),
            count(&is_skipped)
        );
        xml.push_str("    <properties>\n");
        for (name, value) in [("baseline", &comparison.base), ("new run", &comparison.new)] {
            let value = escape(value);
            let _ = writeln!(xml, "      <property name=\"{name}\" value=\"{value}\"/>");
        }
        xml.push_str("    </properties>\n");
        for change in changes {
            let _ = write!(
                xml,
                "    <testcase classname=\"{}.{}\" name=\"{}\" time=\"0\"",
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
        xml.push_str(
            "    <system-out></system-out>\n    <system-err></system-err>\n  </testsuite>\n",
        );
    }
    xml.push_str("</testsuites>\n");
    xml
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
