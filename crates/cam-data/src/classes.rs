//! Names of a classifier's classes, and which class a word means.

use std::path::Path;

use cam_core::{MAX_TEXT, nearest, read_text_file};

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

/// The index of the class that has a name, whatever the case of its letters.
///
/// # Errors
/// No class has the name, or several have: a sentence.
pub fn class_named(word: &str, names: &[impl AsRef<str>]) -> Result<i64, String> {
    only(word, names)?.ok_or_else(|| unknown(word, names))
}

/// As [`class_named`], or by the index itself where no class has such a name.
///
/// # Errors
/// There is no such class, or several have the name: a sentence.
pub fn class_of(word: &str, names: &[impl AsRef<str>]) -> Result<i64, String> {
    if let Some(class) = only(word, names)? {
        return Ok(class);
    }
    let n = names.len() as i64;
    match word.parse() {
        Ok(index) if (0..n).contains(&index) => Ok(index),
        Ok(index) => Err(format!("there is no class {index}; there are 0 to {}", n - 1)),
        Err(_) => Err(unknown(word, names)),
    }
}

/// The class of a name, if there is one; an error where there are several. One in just this case goes before others.
fn only(word: &str, names: &[impl AsRef<str>]) -> Result<Option<i64>, String> {
    let found = |is_it: &dyn Fn(&str) -> bool| -> Vec<i64> {
        let names = (0..).zip(names.iter().map(AsRef::as_ref));
        names.filter(|(_, name)| is_it(name)).map(|(index, _)| index).collect()
    };
    let exactly = found(&|name| name == word);
    let found = if exactly.is_empty() { found(&|name| is_called(name, word)) } else { exactly };
    match &found[..] {
        [] => Ok(None),
        [class] => Ok(Some(*class)),
        several => Err(format!("the classes {several:?} are all called `{word}`")),
    }
}

/// That no class has a name, with the nearest one, which takes long to find.
fn unknown(word: &str, names: &[impl AsRef<str>]) -> String {
    let meant = nearest(word, names.iter().map(AsRef::as_ref));
    let meant = meant.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
    format!("no class is called `{word}`{meant}")
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
        assert_eq!(class_of("5", &names), Err("there is no class 5; there are 0 to 4".into()));
        let error = class_of("dgo", &names).unwrap_err();
        assert_eq!(error, "no class is called `dgo`; did you mean `dog`?");
        let error = class_named("crane", &names).unwrap_err();
        assert_eq!(error, "the classes [3, 4] are all called `crane`");
        assert!(class_named("2", &names).is_err());
        // An index is meant only where no class has the name.
        let error = class_of("1", &["1", "x", "1"]).unwrap_err();
        assert_eq!(error, "the classes [0, 2] are all called `1`");
    }

    #[test]
    fn a_class_is_called_by_its_name_whatever_the_case_of_letters() {
        assert!(is_called("Cat", "cAT") && is_called("Äffin", "äFFIN"));
        assert!(!is_called("cat", "cats") && !is_called("Äffin", "Affin"));
    }
}
