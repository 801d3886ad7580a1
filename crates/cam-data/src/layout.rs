//! The ways in which images lie on disk: in a folder for each class, all in one folder, or as a list says.

use std::{
    collections::{BTreeSet, HashMap},
    ffi::OsStr,
    fs,
    path::{Component, Path, PathBuf},
};

use cam_core::{is_slip_of, read_text_file};
use csv::{Position, StringRecord};

use crate::{
    Bounds, DataError, Item,
    classes::{class_named, class_of},
    imagenet::{class_index, wordnet_id},
};

/// The images of a folder.
pub(crate) struct Listed {
    pub(crate) items: Vec<Item>,
    pub(crate) left_out: LeftOut,
}

/// What lies in a data set's folder, and is none of its images, or stands in its list, and is not read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Photographs by their names, of kinds that are not read.
    pub other_kinds: Vec<String>,
    /// Images beside the folders of classes.
    pub beside: Vec<String>,
    /// Folders of classes without an image.
    pub empty: Vec<String>,
    /// Columns of the list that are called as one that it lacks but for a slip, and that one's name.
    pub columns: Vec<(String, String)>,
}

/// One folder a class.
pub(crate) fn folders(root: &Path, classes: Option<&[String]>) -> Result<Listed, DataError> {
    let Entries { folders, files } = entries(root)?;
    let labels = class_labels(&folders, classes)
        .map_err(|message| DataError::invalid(root, None, message))?;
    let (mut items, mut left_out, mut n_files) = (vec![], LeftOut::default(), 0);
    let beside = files.iter().filter(|file| file.is_image());
    left_out.beside = beside.map(|file| file.name.clone()).collect();
    for (class, label) in folders.iter().zip(labels) {
        let images = entries(&class.path)?.files;
        n_files += images.len();
        if !images.iter().any(Entry::is_image) {
            left_out.empty.push(class.name.clone());
        }
        let others = images.iter().filter(|file| file.is_of_another_kind());
        left_out.other_kinds.extend(others.map(|file| format!("{}/{}", class.name, file.name)));
        items.extend(images.into_iter().filter(Entry::is_image).map(|Entry { name, path }| Item {
            image: format!("{}/{name}", class.name),
            path,
            label: Some(label),
            sha256: None,
            boxes: vec![],
            collage: None,
        }));
    }
    let hint = || {
        let beside = match files.iter().filter(|file| file.is_image()).count() {
            0 => String::new(),
            n => format!("; {n} images lie in the folder itself, which is `layout: files`"),
        };
        let n_folders = folders.len();
        format!(
            "`layout: folders` takes {IMAGES} in its folders; there are {n_folders} folders with {n_files} files{beside}"
        )
    };
    non_empty(Listed { items, left_out }, root, hint)
}

/// The classes of folders: by the names of a list, or ImageNet's by `WordNet` ids, else counted.
fn class_labels(folders: &[Entry], classes: Option<&[String]>) -> Result<Vec<i64>, String> {
    if let Some(classes) = classes {
        let of =
            |folder: &Entry| class_named(&folder.name, classes).map_err(|error| error.to_string());
        return folders.iter().map(of).collect();
    }
    let indices = || folders.iter().map(|folder| (&folder.name, class_index(&folder.name)));
    let named = indices().find(|(_, index)| index.is_some());
    let unnamed = indices().find(|(_, index)| index.is_none());
    match (named, unnamed) {
        (Some((named, _)), Some((unnamed, _))) => Err(format!(
            "the folder `{named}` is a class of ImageNet and `{unnamed}` is none, so labels cannot be told; \
             name all folders by WordNet ids or none"
        )),
        (None, _) => Ok((0..).take(folders.len()).collect()),
        (_, None) => Ok(indices().filter_map(|(_, index)| index).collect()),
    }
}

/// All in one folder.
pub(crate) fn files(root: &Path) -> Result<Listed, DataError> {
    let Entries { folders, files } = entries(root)?;
    let n_files = files.len();
    let others = files.iter().filter(|file| file.is_of_another_kind());
    let other_kinds = others.map(|file| file.name.clone()).collect();
    let left_out = LeftOut { other_kinds, ..LeftOut::default() };
    let items = files.into_iter().filter(Entry::is_image).map(|Entry { name, path }| Item {
        label: wordnet_id(&name).and_then(class_index),
        image: name,
        path,
        sha256: None,
        boxes: vec![],
        collage: None,
    });
    let hint = || {
        let n_folders = folders.len();
        format!(
            "`layout: files` takes {IMAGES} in the folder itself; there are {n_files} other files and {n_folders} folders"
        )
    };
    non_empty(Listed { items: items.collect(), left_out }, root, hint)
}

const IMAGES: &str = ".jpg, .jpeg and .png files";

fn non_empty(
    listed: Listed,
    root: &Path,
    hint: impl FnOnce() -> String,
) -> Result<Listed, DataError> {
    if listed.items.is_empty() {
        return Err(DataError::Empty { root: root.to_path_buf(), hint: hint() });
    }
    Ok(listed)
}

/// What a folder holds, without hidden entries, ordered by name.
struct Entries {
    folders: Vec<Entry>,
    files: Vec<Entry>,
}

struct Entry {
    name: String,
    path: PathBuf,
}

fn entries(folder: &Path) -> Result<Entries, DataError> {
    let mut entries = vec![];
    for entry in fs::read_dir(folder).map_err(DataError::read(folder))? {
        let entry = entry.map_err(DataError::read(folder))?;
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.into_string().map_err(|name| {
            let message = format!("the name {} is not UTF-8; rename the file", name.display());
            DataError::invalid(folder, None, message)
        })?;
        if !name.starts_with('.') {
            entries.push(Entry { name, path });
        }
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let (folders, files) = entries.into_iter().partition(|entry| entry.path.is_dir());
    Ok(Entries { folders, files })
}

impl Entry {
    /// Whether it is one by its name.
    fn is_image(&self) -> bool {
        self.has_extension(&["jpg", "jpeg", "png"])
    }

    /// Whether it is a photograph by its name, and none that is read.
    fn is_of_another_kind(&self) -> bool {
        self.has_extension(&[
            "avif", "bmp", "gif", "heic", "heif", "jp2", "ppm", "tif", "tiff", "webp",
        ])
    }

    fn has_extension(&self, known: &[&str]) -> bool {
        let extension = self.path.extension().map(OsStr::to_ascii_lowercase);
        extension.is_some_and(|extension| known.iter().any(|known| extension == *known))
    }
}

/// The largest list that is read, in bytes: all of ImageNet's training images take a tenth of it.
const MAX_LIST: u64 = 1 << 30;

/// Listed in a file.
pub(crate) fn csv(
    root: &Path,
    list: &Path,
    classes: Option<&[String]>,
) -> Result<Listed, DataError> {
    let text = read_text_file(list, MAX_LIST).map_err(DataError::read(list))?;
    let text = text.trim_start_matches('\u{feff}');
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let invalid = |position: Option<&Position>, message: String| {
        DataError::invalid(list, position.map(|position| line(text, position)), message)
    };
    let headers = reader.headers().map_err(|error| invalid(error.position(), error.to_string()))?;
    let columns = Columns::of(headers).map_err(|message| invalid(headers.position(), message))?;
    let left_out = LeftOut { columns: slips(headers), ..LeftOut::default() };
    let mut labels = Labels { is_kaggle: columns.is_kaggle, classes, known: HashMap::new() };
    let mut items = vec![];
    let mut seen = BTreeSet::new();
    for record in reader.records() {
        let record = record.map_err(|error| invalid(error.position(), error.to_string()))?;
        let item = columns.item(&record, root, &mut labels).and_then(|item| {
            let is_new = seen.insert(item.image.clone());
            if is_new { Ok(item) } else { Err(format!("`{}` is listed twice", item.image)) }
        });
        items.push(item.map_err(|message| invalid(record.position(), message))?);
    }
    non_empty(Listed { items, left_out }, root, || {
        format!("the list {} has no line but its first", list.display())
    })
}

/// The columns that are not read, and are called as one that is missing but for a slip.
fn slips(headers: &StringRecord) -> Vec<(String, String)> {
    let is_missing = |name: &&str| headers.iter().all(|header| header != *name);
    let slip = |header: &str| {
        let meant = NAMES.into_iter().filter(is_missing).find(|name| is_slip_of(header, name))?;
        Some((header.to_owned(), meant.to_owned()))
    };
    headers.iter().filter(|header| !NAMES.contains(header)).filter_map(slip).collect()
}

/// The line of a record, counted from 1. The reader's own count stands before the line ends that it has yet to skip.
fn line(text: &str, position: &Position) -> u64 {
    let (before, rest) = text.as_bytes().split_at(position.byte() as usize);
    let skipped = rest.iter().take_while(|byte| byte.is_ascii_whitespace());
    1 + before.iter().chain(skipped).filter(|byte| **byte == b'\n').count() as u64
}

/// Where the fields of a line stand.
struct Columns {
    path: usize,
    label: Option<usize>,
    sha256: Option<usize>,
    /// `xmin`, `ymin`, `xmax` and `ymax`.
    bounds: Option<[usize; 4]>,
    is_kaggle: bool,
}

const BOUNDS: [&str; 4] = ["xmin", "ymin", "xmax", "ymax"];

/// The columns that are read.
const NAMES: [&str; 7] = ["path", "label", "sha256", "xmin", "ymin", "xmax", "ymax"];

impl Columns {
    fn of(headers: &StringRecord) -> Result<Self, String> {
        let column = |name: &str| headers.iter().position(|header| header == name);
        if let Some(path) = column("path") {
            let bounds = match BOUNDS.map(column) {
                [Some(a), Some(b), Some(c), Some(d)] => Some([a, b, c, d]),
                [None, None, None, None] => None,
                _ => {
                    return Err(format!(
                        "a box needs all of the columns `{}`",
                        BOUNDS.join("`, `")
                    ));
                }
            };
            return Ok(Self {
                path,
                label: column("label"),
                sha256: column("sha256"),
                bounds,
                is_kaggle: false,
            });
        }
        if let (Some(path), label @ Some(_)) = (column("ImageId"), column("PredictionString")) {
            return Ok(Self { path, label, sha256: None, bounds: None, is_kaggle: true });
        }
        let found = headers.iter().collect::<Vec<_>>().join("`, `");
        Err(format!(
            "the first line names the columns `{found}`; needed are `path` and, for labels, `label`, or `ImageId` and \
             `PredictionString`, separated by commas"
        ))
    }

    fn item(
        &self,
        record: &StringRecord,
        root: &Path,
        labels: &mut Labels<'_>,
    ) -> Result<Item, String> {
        let field = |at: usize| record.get(at).filter(|field| !field.is_empty());
        let name = field(self.path).ok_or("no path")?;
        let image = inside(name)? + if self.is_kaggle { ".JPEG" } else { "" };
        let label = self.label.and_then(field).map(|text| labels.class(text)).transpose()?;
        let sha256 = self.sha256.and_then(field).map(str::to_ascii_lowercase);
        let path = root.join(&image);
        if !path.is_file() {
            return Err(format!("there is no file {}", path.display()));
        }
        let boxes = self.boxes(record)?;
        Ok(Item { image, path, label, sha256, boxes, collage: None })
    }

    /// One box of four columns, where they are filled; any number in Kaggle's string, each behind its class.
    fn boxes(&self, record: &StringRecord) -> Result<Vec<Bounds>, String> {
        if self.is_kaggle {
            let text = self.label.and_then(|at| record.get(at)).unwrap_or_default();
            let words: Vec<&str> = text.split_whitespace().collect();
            return words
                .chunks(5)
                .filter(|words| words.len() > 1)
                .map(|words| Bounds::parse(&words[1..]))
                .collect();
        }
        let Some(columns) = self.bounds else { return Ok(vec![]) };
        let fields = columns.map(|at| record.get(at).unwrap_or_default());
        if fields.iter().all(|field| field.is_empty()) {
            return Ok(vec![]);
        }
        Ok(vec![Bounds::parse(&fields)?])
    }
}

/// What the words of a list's column of labels mean.
struct Labels<'a> {
    is_kaggle: bool,
    classes: Option<&'a [String]>,
    /// Those that were looked up: a list has a million lines, and a thousand words.
    known: HashMap<String, i64>,
}

impl Labels<'_> {
    /// Kaggle's string goes on with a box.
    fn class(&mut self, text: &str) -> Result<i64, String> {
        let word =
            if self.is_kaggle { text.split_whitespace().next().unwrap_or_default() } else { text };
        if let Some(class) = self.known.get(word) {
            return Ok(*class);
        }
        let class = self.look_up(word)?;
        self.known.insert(word.to_owned(), class);
        Ok(class)
    }

    /// A class's index from its name in a list, its index or `WordNet` id.
    fn look_up(&self, word: &str) -> Result<i64, String> {
        if let Some(classes) = self.classes {
            return class_of(word, classes).map_err(|error| error.to_string());
        }
        let index = || word.parse().ok().filter(|&index: &i64| index >= 0);
        class_index(word).or_else(index).ok_or_else(|| {
            format!(
                "the label `{word}` is neither a class's index nor a WordNet id of ImageNet; names of other classes are \
                 looked up in a list, `classes: FILE` of the data set"
            )
        })
    }
}

/// A listed path in the one form in which it identifies its image.
fn inside(name: &str) -> Result<String, String> {
    // No system has longer ones.
    const MAX_BYTES: usize = 4096;
    if name.len() > MAX_BYTES {
        return Err(format!("a path of {} bytes, and {MAX_BYTES} are the most", name.len()));
    }
    let name = name.replace('\\', "/");
    let mut parts = vec![];
    for part in Path::new(&name).components() {
        match part {
            Component::Normal(part) => parts.push(part.to_string_lossy()),
            Component::CurDir => {}
            _ => return Err(format!("`{name}` leads out of the data set")),
        }
    }
    Ok(parts.join("/"))
}
