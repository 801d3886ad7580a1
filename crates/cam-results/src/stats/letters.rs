//! Letters for groups that cannot be told apart: two share a letter exactly if they do not differ significantly.

/// The letters of `n` things, of which `differs` says who can be told apart from whom (insert and absorb; Piepho, 2004).
pub(crate) fn letters(n: usize, differs: impl Fn(usize, usize) -> bool) -> Vec<String> {
    let mut groups: Vec<Vec<usize>> = vec![(0..n).collect()];
    for a in 0..n {
        for b in a + 1..n {
            if !differs(a, b) {
                continue;
            }
            let (with_both, mut kept): (Vec<_>, Vec<_>) =
                groups.into_iter().partition(|group| group.contains(&a) && group.contains(&b));
            for group in with_both {
                for without in [a, b] {
                    let half: Vec<usize> =
                        group.iter().copied().filter(|item| *item != without).collect();
                    if !kept.iter().any(|other| is_subset(&half, other)) {
                        kept.retain(|other| !is_subset(other, &half));
                        kept.push(half);
                    }
                }
            }
            groups = kept;
        }
    }
    groups.sort();
    let mut letters = vec![String::new(); n];
    for (i, group) in groups.iter().enumerate() {
        for item in group {
            letters[*item].push_str(&letter(i));
        }
    }
    letters
}

fn is_subset(small: &[usize], large: &[usize]) -> bool {
    small.iter().all(|item| large.contains(item))
}

/// `a` to `z`, then `a1`, `b1`, ...
fn letter(i: usize) -> String {
    let letter = char::from(b'a' + (i % 26) as u8);
    if i < 26 { letter.to_string() } else { format!("{letter}{}", i / 26) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn overlapping_groups_by_hand() {
        // 0 and 3 differ; 1 and 2 cannot be told from either.
        assert_eq!(letters(4, |a, b| (a, b) == (0, 3)), ["a", "ab", "ab", "b"]);
        assert_eq!(letters(3, |_, _| true), ["a", "b", "c"]);
        assert_eq!(letters(2, |_, _| false), ["a", "a"]);
        assert!(letters(0, |_, _| true).is_empty());
    }

    proptest! {
        #[test]
        fn two_share_a_letter_exactly_if_they_do_not_differ(pairs in prop::collection::vec(any::<bool>(), 28)) {
            let n = 8;
            let at = |a: usize, b: usize| pairs[a * (2 * n - a - 1) / 2 + b - a - 1];
            let letters = letters(n, at);
            for a in 0..n {
                for b in a + 1..n {
                    let share = letters[a].chars().any(|letter| letters[b].contains(letter));
                    prop_assert_eq!(share, !at(a, b), "{:?}", &letters);
                }
            }
        }
    }
}
