//! "Did you mean": the nearest of the words that serde would have taken.

/// `; did you mean `x`?` for serde's message about an unknown word; nothing for others, or where no word is near.
pub(crate) fn did_you_mean(message: &str) -> String {
    let mut words = message.split('`').skip(1).step_by(2);
    let Some(word) = words.next().filter(|_| message.contains("unknown ")) else {
        return String::new();
    };
    words
        .map(|known| (distance(word, known), known))
        .filter(|(distance, known)| 2 * distance <= known.len().max(word.len()))
        .min_by_key(|(distance, _)| *distance)
        .map_or_else(String::new, |(_, known)| format!("; did you mean `{known}`?"))
}

/// How many letters are to be inserted, deleted or replaced.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    // Distances from the letters of `a` so far to every beginning of `b`.
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, other) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_letters() {
        for (a, b, expected) in [
            ("limt", "limit", 1),
            ("layuot", "layout", 2),
            ("", "csv", 3),
            ("sitting", "kitten", 3),
        ] {
            assert_eq!((distance(a, b), distance(b, a)), (expected, expected), "{a} {b}");
        }
    }

    #[test]
    fn a_slip_is_corrected_and_nonsense_is_not() {
        let of = |word| {
            did_you_mean(&format!("unknown field `{word}`, expected one of `limit`, `layout`"))
        };
        assert_eq!(of("limt"), "; did you mean `limit`?");
        assert_eq!(of("quaternion"), "");
        assert_eq!(did_you_mean("missing field `limit`"), "");
    }
}
