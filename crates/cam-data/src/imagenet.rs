//! The thousand classes of ImageNet: index, `WordNet` id, name.

use std::{collections::BTreeMap, sync::LazyLock};

/// How many classes there are.
pub const N_CLASSES: i64 = 1000;

const TABLE: &str = include_str!("imagenet_classes.tsv");

static CLASSES: LazyLock<Vec<(&str, &str)>> = LazyLock::new(|| {
    TABLE
        .lines()
        .map(|line| {
            let mut fields = line.split('\t').skip(1);
            let mut field = || fields.next().expect("a line of the table has three fields");
            (field(), field())
        })
        .collect()
});

static INDICES: LazyLock<BTreeMap<&str, i64>> =
    LazyLock::new(|| CLASSES.iter().zip(0..).map(|((id, _), index)| (*id, index)).collect());

/// The index of a class by its `WordNet` id, e.g. 0 for `n01440764`.
pub fn class_index(wordnet_id: &str) -> Option<i64> {
    INDICES.get(wordnet_id).copied()
}

/// The index of the class whose `WordNet` id a name begins with, e.g. 0 for `n01440764_tench.JPEG`.
pub fn class_of(name: &str) -> Option<i64> {
    class_index(wordnet_id(name)?)
}

/// A class's name by its index, e.g. `tench` for 0.
pub fn class_name(index: i64) -> Option<&'static str> {
    CLASSES.get(usize::try_from(index).ok()?).map(|(_, name)| *name)
}

/// The `WordNet` id at the start of a name, e.g. of `n01440764_tench.JPEG`.
pub(crate) fn wordnet_id(name: &str) -> Option<&str> {
    let id = name.get(..9)?;
    (id.starts_with('n') && id[1..].bytes().all(|byte| byte.is_ascii_digit())).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_thousand_classes_in_the_order_of_their_ids() {
        assert_eq!(CLASSES.len(), 1000);
        assert!(CLASSES.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!(class_index("n01440764"), Some(0));
        assert_eq!(class_name(999), Some("toilet tissue"));
        assert_eq!(class_name(-1), None);
        assert_eq!(class_name(1000), None);
    }

    #[test]
    fn ids_are_read_off_names() {
        assert_eq!(wordnet_id("n01440764_tench.JPEG"), Some("n01440764"));
        assert_eq!(wordnet_id("cat.png"), None);
        assert_eq!(wordnet_id("n0144076x_tench.JPEG"), None);
        assert_eq!(wordnet_id("ñandú.png"), None);
    }
}
