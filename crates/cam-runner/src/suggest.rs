//! Messages about unknown words.

/// `; did you mean `x`?`, or the whole list where nothing is near.
pub(crate) fn hint(word: &str, known: &[&str]) -> String {
    match cam_core::nearest(word, known.iter().copied()) {
        Some(nearest) => format!("; did you mean `{nearest}`?"),
        None => {
            let known: Vec<_> = known.iter().map(|word| format!("`{word}`")).collect();
            format!("; known are {}", known.join(", "))
        }
    }
}
