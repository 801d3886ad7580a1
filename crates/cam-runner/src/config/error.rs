//! What is wrong with a sweep file, and in which line.

use std::path::PathBuf;

/// A sweep file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the sweep file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file says something that cannot be meant.
    #[error("{}{}: {message}", path.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1, where it is known.
        line: Option<usize>,
        /// What is wrong, and the nearest valid word.
        message: String,
    },
}

/// An entry of a list of the sweep file.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) list: &'static str,
    pub(super) number: usize,
}

impl Place {
    /// The line that the entry begins in, as far as it can be told without a parser: in block style, the line of its dash.
    pub(super) fn line(self, text: &str) -> usize {
        let is_list = |line: &str| line.strip_prefix(self.list).is_some_and(|l| l.starts_with(':'));
        let start = text.lines().position(is_list).unwrap_or(0);
        let entries = text.lines().enumerate().skip(start + 1);
        let mut dashes = entries
            .take_while(|(_, line)| line.is_empty() || line.starts_with([' ', '-', '#']))
            .filter(|(_, line)| line.trim_start().starts_with("- "));
        // An entry's own lists are indented deeper than the first dash.
        let Some((first, dash)) = dashes.next() else { return start + 1 };
        let indent = |line: &str| line.len() - line.trim_start().len();
        let of_list = dashes.filter(|(_, line)| indent(line) == indent(dash)).map(|(i, _)| i);
        std::iter::once(first).chain(of_list).nth(self.number).map_or(start + 1, |line| line + 1)
    }
}

/// The line of the first word, or words, in backticks of a message, searched from where an entry starts.
pub(crate) fn line_of_word(text: &str, start: usize, message: &str) -> Option<usize> {
    let wanted = message.split('`').nth(1)?;
    let are_words = wanted.contains(' ');
    let lines = text.lines().zip(1..).skip(start.saturating_sub(1));
    lines
        .filter(|(line, _)| !line.trim_start().starts_with('#'))
        .find(|(line, _)| {
            let mut words = line.split(|c: char| !(c.is_alphanumeric() || "-_.@/".contains(c)));
            words.any(|word| word == wanted) || are_words && line.contains(wanted)
        })
        .map(|(_, number)| number)
}
