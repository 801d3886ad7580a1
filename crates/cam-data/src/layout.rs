//! The three ways in which images lie on disk.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::{
    DataError, Item,
    imagenet::{class_index, wordnet_id},
};

/// What a folder holds.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) items: Vec<Item>,
    /// Files that are no images by their names.
    n_others: usize,
    /// Links that lead out of the data set.
    n_outside: usize,
}

impl Found {
    /// What was seen instead of images.
    pub(crate) fn hint(&self) -> String {
        match (self.n_others, self.n_outside) {
            (0, 0) => String::new(),
            (others, 0) => format!("; {others} other files are there"),
            (others, outside) => {
                format!("; {others} other files and {outside} links that lead out of the folder are there")
            }
        }
    }
}

/// One folder a class.
pub(crate) fn folders(root: &Path) -> Result<Found, DataError> {
    let mut classes: Vec<String> = vec![];
    for (name, path) in entries(root)? {
        if path.is_dir() {
            classes.push(name);
        }
    }
    classes.sort();
    let mut found = Found::default();
    let are_wordnet = classes.iter().all(|class| class_index(class).is_some());
    for (class, number) in classes.iter().zip(0..) {
        let label = if are_wordnet { class_index(class) } else { Some(number) };
        list(root, &root.join(class), &format!("{class}/"), &mut found, |_| label)?;
    }
    Ok(found)
}

/// All in one folder.
pub(crate) fn files(root: &Path) -> Result<Found, DataError> {
    let mut found = Found::default();
    list(root, root, "", &mut found, |name| class_index(wordnet_id(name)?))?;
    Ok(found)
}

/// The images of one folder, `prefix` being what stands before their names in results.
fn list(
    root: &Path,
    folder: &Path,
    prefix: &str,
    found: &mut Found,
    label: impl Fn(&str) -> Option<i64>,
) -> Result<(), DataError> {
    let real_root = root.canonicalize().map_err(DataError::read(root))?;
    for (name, path) in entries(folder)? {
        if path.is_dir() {
            continue;
        }
        if !is_image(&name) {
            found.n_others += 1;
        } else if path.canonicalize().is_ok_and(|real| !real.starts_with(&real_root)) && is_link_out(folder, &path) {
            found.n_outside += 1;
        } else {
            let label = label(&name);
            found.items.push(Item { image: format!("{prefix}{name}"), path, label, sha256: None });
        }
    }
    Ok(())
}

/// Whether an image is reached through a link of its own, rather than the whole folder being one.
fn is_link_out(folder: &Path, path: &Path) -> bool {
    let inside = folder.canonicalize().ok();
    path.canonicalize().ok().and_then(|real| real.parent().map(Path::to_path_buf)) != inside
}

/// Names and paths of a folder's entries, without hidden ones, in no order.
fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>, DataError> {
    let mut entries = vec![];
    for entry in fs::read_dir(folder).map_err(DataError::read(folder))? {
        let path = entry.map_err(DataError::read(folder))?.path();
        let name = path.file_name().unwrap_or_default();
        let Some(name) = name.to_str().map(str::to_string) else {
            return Err(DataError::Invalid {
                path: folder.to_path_buf(),
                line: None,
                message: format!("the name {} is not UTF-8; rename the file", name.display()),
            });
        };
        if !name.starts_with('.') {
            entries.push((name, path));
        }
    }
    Ok(entries)
}

fn is_image(name: &str) -> bool {
    let extension = Path::new(name).extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| ["jpg", "jpeg", "png"].contains(&extension.to_ascii_lowercase().as_str()))
}

/// Listed in a file.
pub(crate) fn csv(root: &Path, list: &Path) -> Result<Found, DataError> {
    let invalid = |line: Option<u64>, message: String| DataError::Invalid { path: list.to_path_buf(), line, message };
    let text = fs::read_to_string(list).map_err(DataError::read(list))?;
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let headers = reader.headers().map_err(|error| invalid(Some(1), error.to_string()))?.clone();
    let column = |name: &str| headers.iter().position(|header| header == name);
    let columns = match (column("path"), column("label"), column("ImageId"), column("PredictionString")) {
        (Some(path), label, ..) => Columns { path, label, sha256: column("sha256"), is_kaggle: false },
        (_, _, Some(path), Some(label)) => Columns { path, label: Some(label), sha256: None, is_kaggle: true },
        _ => return Err(invalid(Some(1), "the first line names no column `path` (or `ImageId,PredictionString`)".into())),
    };
    let mut found = Found::default();
    let mut seen = BTreeSet::new();
    for record in reader.records() {
        let record = record.map_err(|error| invalid(error.position().map(csv::Position::line), error.to_string()))?;
        let line = record.position().map(csv::Position::line);
        let field = |at: Option<usize>| at.and_then(|at| record.get(at)).filter(|field| !field.is_empty());
        let name = field(Some(columns.path)).ok_or_else(|| invalid(line, "no path".into()))?;
        let image = if columns.is_kaggle { format!("{name}.JPEG") } else { name.replace('\\', "/") };
        let is_inside = !image.starts_with('/') && !image.split('/').any(|part| part == "..");
        if !is_inside {
            return Err(invalid(line, format!("`{image}` leads out of the data set")));
        }
        if !seen.insert(image.clone()) {
            return Err(invalid(line, format!("`{image}` is listed twice")));
        }
        let label = field(columns.label).map(|text| label(text, columns.is_kaggle)).transpose();
        let label = label.map_err(|message| invalid(line, message))?;
        let sha256 = field(columns.sha256).map(str::to_ascii_lowercase);
        let path = root.join(&image);
        if !path.is_file() {
            return Err(invalid(line, format!("there is no file {}", path.display())));
        }
        found.items.push(Item { image, path, label, sha256 });
    }
    Ok(found)
}

struct Columns {
    path: usize,
    label: Option<usize>,
    sha256: Option<usize>,
    is_kaggle: bool,
}

/// A class's index from its index or WordNet id; Kaggle's string goes on with a box.
fn label(text: &str, is_kaggle: bool) -> Result<i64, String> {
    let word = if is_kaggle { text.split_whitespace().next().unwrap_or_default() } else { text };
    class_index(word)
        .or_else(|| word.parse().ok().filter(|&index: &i64| index >= 0))
        .ok_or_else(|| format!("the label `{word}` is neither a class's index nor a WordNet id of ImageNet"))
}
