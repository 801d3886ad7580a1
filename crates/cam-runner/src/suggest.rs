//! Messages about unknown words.

/// `; did you mean `x`?`, or the whole list where nothing is near.
pub(crate) fn hint(word: &str, known: &[&str]) -> String {
    if let Some(nearest) = cam_core::nearest(word, known.iter().copied()) {
        return format!("; did you mean `{nearest}`?");
    }
    let known: Vec<_> = known.iter().map(|word| format!("`{word}`")).collect();
    format!("; known are {}", known.join(", "))
}
