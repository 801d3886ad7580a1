//! "Did you mean": the nearest valid word in a message.

/// `; did you mean `x`?`, and the whole list where nothing is near.
pub(crate) fn nearest(word: &str, known: &[&str]) -> String {
    let best = known.iter().max_by(|a, b| {
        let similarity = |other: &str| strsim::jaro_winkler(word, other);
        similarity(a).total_cmp(&similarity(b))
    });
    match best {
        Some(best) if strsim::jaro_winkler(word, best) > 0.75 => {
            format!("; did you mean `{best}`?")
        }
        _ => format!(
            "; known are {}",
            known.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
        ),
    }
}

/// Serde's message about an unknown word, with the nearest of the words that it lists.
pub(crate) fn with_suggestion(message: &str) -> String {
    let Some((said, expected)) = message.split_once("expected") else { return message.to_string() };
    if !said.contains("unknown") {
        return message.to_string();
    }
    let Some(word) = said.split('`').nth(1) else { return message.to_string() };
    let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    let hint = nearest(word, &known);
    if hint.contains("did you mean") { format!("{message}{hint}") } else { message.to_string() }
}
