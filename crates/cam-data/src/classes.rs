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

/// The index of the class that has a name, whatever the case of its letters.
///
/// # Errors
/// No class has the name, or several have: a sentence.
pub fn class_named(word: &str, names: &[impl AsRef<str>]) -> Result<i64, String> {
    let names = || names.iter().map(AsRef::as_ref);
    let found = |is_it: &dyn Fn(&str) -> bool| -> Vec<i64> {
        (0..).zip(names()).filter(|(_, name)| is_it(name)).map(|(index, _)| index).collect()
    };
    let exactly = found(&|name| name == word);
    let lower = word.to_lowercase();
    let found =
        if exactly.is_empty() { found(&|name| name.to_lowercase() == lower) } else { exactly };
    match &found[..] {
        [class] => Ok(*class),
        [] => {
            let meant = nearest(word, names()).map(|name| format!("; did you mean `{name}`?"));
            Err(format!("no class is called `{word}`{}", meant.unwrap_or_default()))
        }
        several => Err(format!("the classes {several:?} are all called `{word}`")),
    }
}

/// As [`class_named`], or by the index itself where no class has such a name.
///
/// # Errors
/// There is no such class: a sentence.
pub fn class_of(word: &str, names: &[impl AsRef<str>]) -> Result<i64, String> {
    class_named(word, names).or_else(|message| {
        let n = names.len() as i64;
        match word.parse() {
            Ok(index) if (0..n).contains(&index) => Ok(index),
            Ok(index) => Err(format!("there is no class {index}; there are 0 to {}", n - 1)),
            Err(_) => Err(message),
        }
    })
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
    }
}
