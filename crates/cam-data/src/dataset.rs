//! Which images there are: a manifest, its images in a fixed order, and a subset of them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use cam_core::{read_yaml_file, with_suggestion};
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::{
    Bounds, Collage, DataError, Grid, Orientation, collage, expand_variables,
    layout::{self, LeftOut, Listed},
    read_classes,
};

/// The form of a data set's manifest, a YAML file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "`key: value` lines, with a space behind the colon")]
pub struct DatasetManifest {
    /// Its name in results; the file's name where left out.
    #[serde(default)]
    pub name: Option<String>,
    /// The folder of images, relative to the manifest; `${NAME}` is an environment variable.
    pub root: String,
    /// How images lie in the folder.
    pub layout: Layout,
    /// The list of images, for `layout: csv`; relative to the manifest.
    #[serde(default)]
    pub csv: Option<String>,
    /// A text file of class names, one a line in the order of the logits: what folders or labels of the list are called.
    /// Relative to the manifest.
    #[serde(default)]
    pub classes: Option<String>,
    /// How collages are made, for `layout: grid`.
    #[serde(default)]
    pub grid: Option<Grid>,
    /// At most this many images: the first ones, or a sample where there is a `seed`.
    #[serde(default)]
    pub limit: Option<usize>,
    /// At most this many images of each class.
    #[serde(default)]
    pub per_class: Option<usize>,
    /// Draws `limit` and `per_class` instead of taking the first ones.
    #[serde(default)]
    pub seed: Option<u64>,
    /// Whether photographs are turned upright by their EXIF tag; torchvision ignores it, and so does the default.
    #[serde(default)]
    pub exif: Orientation,
}

/// How images lie in a folder, and where labels come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// One folder per class, called as the manifest's `classes` are. Without these, folders named by `WordNet` ids are ImageNet's
    /// classes, and others counted in the order of the folders' names, as torchvision's `ImageFolder` does.
    Folders,
    /// All in one folder; the label is the `WordNet` id at the start of the name, or none.
    Files,
    /// Listed in a file with the column `path` and optionally `label` (one of `classes` where these are named, else a
    /// `WordNet` id; or an index), `sha256` and a box's `xmin,ymin,xmax,ymax`, or in Kaggle's
    /// `LOC_val_solution.csv`, boxes included.
    Csv,
    /// Collages of images of different classes that lie in one of the other ways; see [`Grid`].
    Grid,
}

/// How much of a data set; what is `None` is up to the manifest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// At most this many images.
    pub limit: Option<usize>,
    /// At most this many images of each class.
    pub per_class: Option<usize>,
    /// Draw them instead of taking the first ones.
    pub seed: Option<u64>,
}

/// The images of a data set, in an order that depends on their names alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// Its name in results.
    pub name: String,
    /// The folder of images.
    pub root: PathBuf,
    /// The same in the manifest's words, which hold on every machine.
    pub root_as_given: String,
    /// The images, ordered by their paths.
    pub items: Vec<Item>,
    /// Whether photographs are turned upright.
    pub exif: Orientation,
    /// How the images lie in the folder.
    pub layout: Layout,
    /// What classes are called, by their indices, where labels are told by names.
    pub classes: Option<Vec<String>>,
    /// What lies in the folder, and is none of the images.
    pub left_out: LeftOut,
}

/// An image of a data set.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Its path relative to the root, with `/`: what identifies it in results.
    pub image: String,
    /// The file; of a collage, the one in the cell to find.
    pub path: PathBuf,
    /// The index of its class, where it is labeled.
    pub label: Option<i64>,
    /// Its SHA-256, where a list gives it.
    pub sha256: Option<String>,
    /// Where the class's objects are, where a list says so.
    pub boxes: Vec<Bounds>,
    /// What it is put together of, where it is a collage.
    pub collage: Option<Collage>,
}

impl DatasetManifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// [`DataError`] where it cannot be read or says what cannot be meant.
    pub fn read(path: &Path) -> Result<Self, DataError> {
        let text = read_yaml_file(path).map_err(DataError::read(path))?;
        Self::parse(&text).map_err(|(line, message)| DataError::invalid(path, line, message))
    }

    /// The folder of images of the manifest at `path`.
    ///
    /// # Errors
    /// [`DataError`] where an environment variable is not set.
    pub fn root(&self, path: &Path) -> Result<PathBuf, DataError> {
        resolve(&self.root, path)
    }

    /// Reads a manifest's text; an error is a line and what is wrong there.
    fn parse(text: &str) -> Result<Self, (Option<u64>, String)> {
        serde_yaml::from_str(text).map_err(|error| {
            let line = error.location().map(|location| location.line() as u64);
            let message = error.to_string();
            let message = message.rsplit_once(" at line ").map_or(&*message, |(before, _)| before);
            (line, with_suggestion(message))
        })
    }
}

impl Dataset {
    /// Lists the images of a manifest.
    ///
    /// # Errors
    /// [`DataError`] where the manifest, its folder or its list cannot be read, or there is no image.
    pub fn load(manifest: &Path, limits: &Limits) -> Result<Self, DataError> {
        let form = DatasetManifest::read(manifest)?;
        let root = form.root(manifest)?;
        let list = form.csv.as_deref().map(|list| resolve(list, manifest)).transpose()?;
        let invalid = |message: &str| Err(DataError::invalid(manifest, None, message));
        let of = match (form.layout, &form.grid) {
            (Layout::Grid, None) => {
                return invalid("`layout: grid` needs `grid`, how collages are made");
            }
            (Layout::Grid, Some(grid)) => grid.of,
            (_, Some(_)) => return invalid("`grid` goes with `layout: grid` only"),
            (layout, None) => layout,
        };
        let classes = form.classes.as_deref().map(|file| read_classes(&resolve(file, manifest)?));
        let named = |source| DataError::Named {
            manifest: manifest.to_path_buf(),
            source: Box::new(source),
        };
        let names = classes.transpose().map_err(named)?;
        let classes = names.as_deref();
        let listed = match (of, list) {
            (Layout::Files, _) if classes.is_some() => {
                return invalid(
                    "`classes` says what folders or labels of a list are called, and files have neither",
                );
            }
            (Layout::Folders, None) => layout::folders(&root, classes),
            (Layout::Files, None) => layout::files(&root),
            (Layout::Csv, Some(list)) => layout::csv(&root, &list, classes),
            (Layout::Csv, None) => return invalid("`layout: csv` needs `csv`, the list of images"),
            (Layout::Grid, _) => return invalid("a grid is `of` folders, files or csv"),
            (_, Some(_)) => return invalid("`csv` goes with `layout: csv` only"),
        };
        let Listed { mut items, left_out } = listed.map_err(named)?;
        items.sort_by(|a, b| a.image.cmp(&b.image));
        if let Some(grid) = form.grid {
            items = collage::collages(grid, items)
                .map_err(|message| DataError::invalid(manifest, None, message))?;
        }
        let limits = Limits {
            limit: limits.limit.or(form.limit),
            per_class: limits.per_class.or(form.per_class),
            seed: limits.seed.or(form.seed),
        };
        let items =
            limits.apply(&items).map_err(|message| DataError::invalid(manifest, None, message))?;
        let stem = manifest.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self {
            name: form.name.unwrap_or(stem),
            root,
            root_as_given: form.root,
            items,
            exif: form.exif,
            layout: of,
            classes: names,
            left_out,
        })
    }

    /// Whether what is made at a path would be taken for a class the next time.
    pub fn would_list(&self, path: &Path) -> bool {
        let full = |path: &Path| std::path::absolute(path).ok();
        let (Some(path), Some(root)) = (full(path), full(&self.root)) else { return false };
        // What is there already may be reached by a link.
        let there = path.ancestors().find_map(|ancestor| ancestor.canonicalize().ok());
        let is_below = path.starts_with(&root)
            || there
                .zip(root.canonicalize().ok())
                .is_some_and(|(there, root)| there.starts_with(root));
        self.layout == Layout::Folders && is_below
    }
}

/// A path that a manifest names, relative to it, with its environment variables.
fn resolve(text: &str, manifest: &Path) -> Result<PathBuf, DataError> {
    let text = expand_variables(text)
        .map_err(|source| DataError::Variable { path: manifest.to_path_buf(), source })?;
    Ok(manifest.parent().unwrap_or(Path::new("")).join(text))
}

impl Limits {
    /// The subset, in the order of `items`.
    fn apply(&self, items: &[Item]) -> Result<Vec<Item>, String> {
        if self.limit == Some(0) || self.per_class == Some(0) {
            return Err("`limit` and `per_class` are at least 1".into());
        }
        if let (Some(_), Some(item)) =
            (self.per_class, items.iter().find(|item| item.label.is_none()))
        {
            return Err(format!("`per_class` needs labels, and {} has none", item.image));
        }
        let mut order: Vec<usize> = (0..items.len()).collect();
        if let Some(seed) = self.seed {
            order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        }
        if let Some(per_class) = self.per_class {
            let mut taken = BTreeMap::new();
            order.retain(|&index| {
                let taken = taken.entry(items[index].label).or_insert(0);
                *taken += 1;
                *taken <= per_class
            });
        }
        order.truncate(self.limit.unwrap_or(usize::MAX));
        order.sort_unstable();
        Ok(order.into_iter().map(|index| items[index].clone()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(n: usize) -> Vec<Item> {
        (0..n)
            .map(|index| Item {
                image: format!("{index:03}.png"),
                path: PathBuf::new(),
                label: Some(index as i64 % 3),
                sha256: None,
                boxes: vec![],
                collage: None,
            })
            .collect()
    }

    fn names(limits: Limits) -> Vec<String> {
        limits.apply(&items(12)).unwrap().into_iter().map(|item| item.image).collect()
    }

    #[test]
    fn a_limit_takes_the_first_images_and_a_seed_draws_them() {
        let first = Limits { limit: Some(2), ..Limits::default() };
        assert_eq!(names(first), ["000.png", "001.png"]);
        let drawn = |seed| names(Limits { seed: Some(seed), limit: Some(4), per_class: None });
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
        assert!(drawn(1).is_sorted());
    }

    #[test]
    fn per_class_keeps_that_many_of_every_class() {
        let two =
            Limits { per_class: Some(2), seed: Some(5), limit: None }.apply(&items(12)).unwrap();
        for class in 0..3 {
            assert_eq!(two.iter().filter(|item| item.label == Some(class)).count(), 2);
        }
    }
}
