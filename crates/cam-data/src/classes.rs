//! Names of a classifier's classes, and which class a word means.

use std::path::Path;

use cam_core::{MAX_TEXT, did_you_mean, nearest, read_text_file};

use crate::DataError;

/// Class names in the order of the logits, from a text file with one a line.
///
/// # Errors
/// [`DataError`] where the file cannot be read.
pub fn read_classes(path: &Path) -> Result<Vec<String>, DataError> {
    let text = read_text_file(path, MAX_TEXT).map_err(DataError::read(path))?;
    let lines = text.trim_start_matches('\u{feff}').lines();
    Ok(lines.map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

/// Whether a class has a name, whatever the case of letters.
pub fn is_called(class: &str, name: &str) -> bool {
    // Most names are plain, and a data set asks a million times.
    if class.is_ascii() && name.is_ascii() {
        class.eq_ignore_ascii_case(name)
    } else {
        class.to_lowercase() == name.to_lowercase()
    }
}

/// A word that does not name one class.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClassError {
    /// No class has the name.
    #[error("no class is called `{word}`{}", did_you_mean(.nearest.as_deref()))]
    Unknown {
        /// The name.
        word: String,
        /// The most similar name.
        nearest: Option<String>,
    },
    /// Several classes have the name.
    #[error("the classes {classes:?} are all called `{word}`")]
    Several {
        /// The name.
        word: String,
        /// Their indices.
        classes: Vec<i64>,
    },
    /// There are fewer classes.
    #[error("there is no class {index}; there are 0 to {}", n_classes - 1)]
    OutOfRange {
        /// The index that was meant.
        index: i64,
        /// How many there are.
        n_classes: i64,
    },
}

impl ClassError {
    /// Finding the nearest name takes long.
    fn unknown(word: &str, names: &[impl AsRef<str>]) -> Self {
        let nearest = nearest(word, names.iter().map(AsRef::as_ref)).map(str::to_owned);
        Self::Unknown { word: word.to_owned(), nearest }
    }
}

/// The index of the class that has a name, whatever the case of its letters.
///
/// # Errors
/// No class has the name, or several have.
pub(crate) fn class_named(word: &str, names: &[impl AsRef<str>]) -> Result<i64, ClassError> {
    only(word, names)?.ok_or_else(|| ClassError::unknown(word, names))
}

/// The index of the class that has a name, whatever the case of its letters; or the word as an index, where no class has
/// such a name.
///
/// # Errors
/// There is no such class, or several have the name.
pub fn class_of(word: &str, names: &[impl AsRef<str>]) -> Result<i64, ClassError> {
    if let Some(class) = only(word, names)? {
        return Ok(class);
    }
    let n_classes = names.len() as i64;
    match word.parse() {
        Ok(index) if (0..n_classes).contains(&index) => Ok(index),
        Ok(index) => Err(ClassError::OutOfRange { index, n_classes }),
        Err(_) => Err(ClassError::unknown(word, names)),
    }
}

/// The class of a name, if there is one; an error where there are several. One in just this case goes before others.
fn only(word: &str, names: &[impl AsRef<str>]) -> Result<Option<i64>, ClassError> {
    let found = |is_it: &dyn Fn(&str) -> bool| -> Vec<i64> {
        let names = (0..).zip(names.iter().map(AsRef::as_ref));
        names.filter(|(_, name)| is_it(name)).map(|(index, _)| index).collect()
    };
    let exactly = found(&|name| name == word);
    let found = if exactly.is_empty() { found(&|name| is_called(name, word)) } else { exactly };
    match found[..] {
        [] => Ok(None),
        [class] => Ok(Some(class)),
        _ => Err(ClassError::Several { word: word.to_owned(), classes: found }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_meant_by_its_name_before_its_index() {
        let names = ["1", "Cat", "dog", "crane", "crane"];
        assert_eq!(class_of("1", &names), Ok(0));
        assert_eq!(class_of("2", &names), Ok(2));
        assert_eq!(class_of("cat", &names), Ok(1));
        let error = class_of("5", &names).unwrap_err().to_string();
        assert_eq!(error, "there is no class 5; there are 0 to 4");
        let error = class_of("dgo", &names).unwrap_err().to_string();
        assert_eq!(error, "no class is called `dgo`; did you mean `dog`?");
        let error = class_named("crane", &names).unwrap_err().to_string();
        assert_eq!(error, "the classes [3, 4] are all called `crane`");
        assert!(class_named("2", &names).is_err());
        // An index is meant only where no class has the name.
        let error = class_of("1", &["1", "x", "1"]).unwrap_err().to_string();
        assert_eq!(error, "the classes [0, 2] are all called `1`");
    }

    #[test]
    fn a_class_is_called_by_its_name_whatever_the_case_of_letters() {
        assert!(is_called("Cat", "cAT") && is_called("Äffin", "äFFIN"));
        assert!(!is_called("cat", "cats") && !is_called("Äffin", "Affin"));
    }
}
