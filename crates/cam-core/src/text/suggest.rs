//! "Did you mean": the nearest of the words that would have been right; and messages that quote too much, cut short.

/// The nearest of some words, where one is near enough to be meant: no more than half of its letters are other ones.
///
/// ```
/// assert_eq!(cam_core::nearest("gard_cam", ["cam", "grad_cam", "rise"]), Some("grad_cam"));
/// assert_eq!(cam_core::nearest("quaternion", ["cam", "grad_cam", "rise"]), None);
/// ```
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let length = word.chars().count();
    // As many letters are other ones as one word is longer, and to compare a word of a megabyte would take hours.
    let may_be_near = |known: &&str| {
        let other = known.chars().count();
        2 * length.abs_diff(other) <= length.max(other)
    };
    known
        .into_iter()
        .filter(may_be_near)
        .map(|known| (strsim::damerau_levenshtein(&word, &known.to_lowercase()), known))
        .filter(|(distance, known)| 2 * distance <= known.chars().count().max(word.chars().count()))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// How a message ends that has a nearest word to offer: `; did you mean ...?`, else nothing.
///
/// ```
/// assert_eq!(cam_core::did_you_mean(Some("rise")), "; did you mean `rise`?");
/// assert_eq!(cam_core::did_you_mean(None), "");
/// ```
pub fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |word| format!("; did you mean `{word}`?"))
}

/// As [`did_you_mean`], for a message that goes on: ` (did you mean ...?)`, or nothing.
pub fn did_you_mean_aside(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |word| format!(" (did you mean `{word}`?)"))
}

/// Whether a word is another one but for a slip: a letter too many, too few, wrong or swapped with the next, or in the other
/// case.
///
/// ```
/// assert!(cam_core::is_slip_of("lable", "label") && cam_core::is_slip_of("Label", "label"));
/// assert!(!cam_core::is_slip_of("table", "label"));
/// ```
pub fn is_slip_of(word: &str, known: &str) -> bool {
    word != known
        && word.chars().count().abs_diff(known.chars().count()) <= 1
        && strsim::damerau_levenshtein(&word.to_lowercase(), &known.to_lowercase()) <= 1
}

/// Serde's message about an unknown word, with the nearest of the words that it lists; any other message as it is, but for
/// types of Rust, which it names in words.
pub fn with_suggestion(message: &str) -> String {
    let nearest = || {
        let (said, expected) = message.split_once(", expected ")?;
        let word = quoted(said).next().filter(|_| said.contains("unknown "))?;
        nearest(word, quoted(expected))
    };
    match nearest() {
        Some(known) => format!("{message}{}", did_you_mean(Some(known))),
        None => NUMBERS.iter().fold(message.to_owned(), |message, (of_rust, in_words)| {
            message.replace(&format!("expected {of_rust}"), &format!("expected {in_words}"))
        }),
    }
}

/// Types of numbers, for those who write no Rust.
const NUMBERS: [(&str, &str); 6] = [
    ("usize", "a whole number from 0 to 18446744073709551615"),
    ("u64", "a whole number from 0 to 18446744073709551615"),
    ("u32", "a whole number from 0 to 4294967295"),
    ("i64", "a whole number"),
    ("f64", "a number"),
    ("f32", "a number"),
];

/// A message, cut short where it quotes more than anybody would read.
pub fn shortened(message: impl Into<String>) -> String {
    const MAX_LETTERS: usize = 2000;
    let mut message = message.into();
    if let Some((end, _)) = message.char_indices().nth(MAX_LETTERS) {
        message.truncate(end);
        message.push('…');
    }
    message
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_in_serdes_message_is_corrected_and_nonsense_is_not() {
        let of = |word| {
            with_suggestion(&format!("unknown field `{word}`, expected one of `limit`, `layout`"))
        };
        assert!(of("limt").ends_with("; did you mean `limit`?"));
        assert!(of("Layuot").ends_with("; did you mean `layout`?"));
        assert!(of("quaternion").ends_with("`layout`"));
        assert_eq!(with_suggestion("missing field `limit`"), "missing field `limit`");
        let number = "limit: invalid type: string \"a\", expected usize";
        let in_words = "limit: invalid type: string \"a\", expected a whole number from 0 to 18446744073709551615";
        assert_eq!(with_suggestion(number), in_words);
    }

    #[test]
    fn a_word_of_a_megabyte_is_near_none_and_not_quoted_whole() {
        let word = "x".repeat(1 << 20);
        assert_eq!(nearest(&word, ["limit"]), None);
        let message = shortened(format!("`{word}` is no word"));
        assert_eq!((message.chars().count(), message.ends_with('…')), (2001, true));
        assert_eq!(shortened("short"), "short");
    }
}
