//! Markdown: what becomes text in it, and its tables.

use std::fmt::Write as _;

/// A line, or a paragraph and the line behind it.
pub(crate) fn line(md: &mut String, text: &str) {
    md.push_str(text);
    md.push('\n');
}

/// A table and the empty line behind it; the cells are Markdown.
pub(crate) fn table(md: &mut String, head: &[String], rows: impl IntoIterator<Item = Vec<String>>) {
    let mut write = |cells: &[String]| {
        let _ = writeln!(md, "| {} |", cells.join(" | "));
    };
    write(head);
    // Names to the left, numbers to the right would need a type for each column; left serves all.
    write(&vec!["---".to_owned(); head.len()]);
    for row in rows {
        write(&row);
    }
    md.push('\n');
}

/// Text that stands for itself in Markdown and in the HTML that is made of it, on one line.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut before = ' ';
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\\' | '`' | '*' | '[' | ']' | '|' | '~' | '$' => escaped.extend(['\\', c]),
            // Inside a word it is no emphasis, and names of files stay readable.
            '_' if !(before.is_alphanumeric()
                && rest.peek().is_some_and(|after| after.is_alphanumeric())) =>
            {
                escaped.push_str("\\_");
            }
            _ if c.is_control() => escaped.push(' '),
            _ => escaped.push(c),
        }
        before = c;
    }
    escaped
}

/// Text in a code span in a table's cell.
pub(crate) fn code(text: &str) -> String {
    if text.contains(['`', '|', '\\']) || text.chars().any(char::is_control) {
        escape(text)
    } else {
        format!("`{text}`")
    }
}

/// A block of code that its text cannot close.
pub(crate) fn fenced(md: &mut String, text: &str) {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let _ = writeln!(md, "{fence}yaml\n{text}\n{fence}");
}
