//! Data sets on disk: the three layouts, their subsets, and what is said about mistakes.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use cam_core::{Interpolation, Preprocessing, Resize};
use cam_data::{Bounds, DataError, Dataset, Limits, Orientation, prefetch};
use tempfile::TempDir;

/// A folder with a manifest `set.yaml` and images under `images/`.
struct Folder(TempDir);

impl Folder {
    fn new(manifest: &str, images: &[&str]) -> Self {
        let folder = Self(TempDir::new().unwrap());
        folder.write("set.yaml", manifest);
        fs::create_dir(folder.path("images")).unwrap();
        for image in images {
            folder.write(&format!("images/{image}"), "");
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn load(&self) -> Result<Dataset, DataError> {
        self.load_some(&Limits::default())
    }

    fn load_some(&self, limits: &Limits) -> Result<Dataset, DataError> {
        Dataset::load(&self.path("set.yaml"), limits)
    }

    /// Images with their labels.
    fn labeled(&self) -> Vec<(String, Option<i64>)> {
        self.load().unwrap().items.into_iter().map(|item| (item.image, item.label)).collect()
    }

    fn names(&self, limits: &Limits) -> Vec<String> {
        self.load_some(limits).unwrap().items.into_iter().map(|item| item.image).collect()
    }

    /// The error, with `set` for this folder.
    fn error(&self) -> String {
        let error = self.load().unwrap_err().to_string();
        error.replace(self.0.path().to_str().unwrap(), "set")
    }
}

fn labeled(expected: &[(&str, Option<i64>)]) -> Vec<(String, Option<i64>)> {
    expected.iter().map(|(image, label)| ((*image).to_string(), *label)).collect()
}

const FOLDERS: &str = "root: images\nlayout: folders\n";
const FILES: &str = "root: images\nlayout: files\n";
const CSV: &str = "root: images\nlayout: csv\ncsv: list.csv\n";

#[test]
fn what_lies_in_the_folder_and_is_no_image_of_the_data_set_is_known() {
    let images = ["ant/a.png", "ant/b.webp", "loose.jpg", "list.txt", "bee/c.heic"];
    let folder = Folder::new(FOLDERS, &images);
    let left_out = folder.load().unwrap().left_out;
    assert_eq!(left_out.other_kinds, ["ant/b.webp", "bee/c.heic"]);
    assert_eq!((left_out.beside, left_out.empty), (vec!["loose.jpg".into()], vec!["bee".into()]));
}

#[test]
fn a_list_of_classes_says_what_folders_and_labels_are_called() {
    let images = ["zebra/a.png", "ant/b.png"];
    let folder = Folder::new(&format!("{FOLDERS}classes: classes.txt\n"), &images);
    folder.write("classes.txt", "zebra\nlion\nant\n");
    let expected = [("ant/b.png", Some(2)), ("zebra/a.png", Some(0))];
    assert_eq!(folder.labeled(), labeled(&expected));
    folder.write("images/lino/c.png", "");
    assert_eq!(
        folder.error(),
        "set/images: no class is called `lino`; did you mean `lion`? (of the data set set/set.yaml)"
    );

    let listed = Folder::new(&format!("{CSV}classes: classes.txt\n"), &images);
    listed.write("classes.txt", "zebra\nlion\nant\n");
    listed.write("list.csv", "path,label\nzebra/a.png,Zebra\nant/b.png,2\n");
    assert_eq!(listed.labeled(), labeled(&expected));
    listed.write("list.csv", "path,label\nzebra/a.png,3\n");
    assert_eq!(
        listed.error(),
        "set/list.csv:2: there is no class 3; there are 0 to 2 (of the data set set/set.yaml)"
    );

    let files = Folder::new(&format!("{FILES}classes: classes.txt\n"), &["a.png"]);
    files.write("classes.txt", "zebra\n");
    assert!(files.error().contains("files have neither"), "{}", files.error());
}

#[test]
fn folders_of_wordnet_ids_are_classes_of_imagenet() {
    let folder = Folder::new(FOLDERS, &["n01443537/b.JPEG", "n01443537/a.jpg", "n01440764/c.PNG"]);
    let expected =
        [("n01440764/c.PNG", Some(0)), ("n01443537/a.jpg", Some(1)), ("n01443537/b.JPEG", Some(1))];
    assert_eq!(folder.labeled(), labeled(&expected));
    let item = &folder.load().unwrap().items[0];
    assert_eq!(item.path, folder.path("images/n01440764/c.PNG"));
}

#[test]
fn other_folders_are_counted_in_the_order_of_their_names() {
    let folder = Folder::new(FOLDERS, &["zebra/1.png", "ant/1.png", "dog house/ñandú 1.jpg"]);
    let expected =
        [("ant/1.png", Some(0)), ("dog house/ñandú 1.jpg", Some(1)), ("zebra/1.png", Some(2))];
    assert_eq!(folder.labeled(), labeled(&expected));
}

#[test]
fn a_folder_without_images_keeps_its_number_as_in_image_folder() {
    let folder = Folder::new(FOLDERS, &["a/notes.txt", "b/1.png"]);
    assert_eq!(folder.labeled(), labeled(&[("b/1.png", Some(1))]));
}

#[test]
fn folders_with_and_without_wordnet_ids_are_refused() {
    let folder = Folder::new(FOLDERS, &["n01440764/a.png", "thumbnails/a.png"]);
    assert_eq!(
        folder.error(),
        "set/images: the folder `n01440764` is a class of ImageNet and `thumbnails` is none, so labels cannot be \
         told; name all folders by WordNet ids or none (of the data set set/set.yaml)"
    );
}

#[test]
fn files_are_labeled_by_the_wordnet_id_that_their_name_begins_with() {
    let images = [
        "n01443537_goldfish.JPEG",
        "cat.png",
        "n99999999_unknown.jpg",
        "ILSVRC2012_val_00000001.JPEG",
    ];
    let folder = Folder::new(FILES, &images);
    let expected = [
        ("ILSVRC2012_val_00000001.JPEG", None),
        ("cat.png", None),
        ("n01443537_goldfish.JPEG", Some(1)),
        ("n99999999_unknown.jpg", None),
    ];
    assert_eq!(folder.labeled(), labeled(&expected));
}

#[test]
fn hidden_files_other_files_and_folders_are_passed_over() {
    let others =
        [".DS_Store", "._a.jpg", "labels.txt", "a.jpg.part", "jpg", "b.jpg/inside.jpg", "c.webp"];
    let folder = Folder::new(FILES, &[&others[..], &["a.jpg"]].concat());
    assert_eq!(folder.labeled(), labeled(&[("a.jpg", None)]));
}

#[cfg(unix)]
#[test]
fn a_link_to_an_image_elsewhere_is_an_image() {
    let folder = Folder::new(FILES, &[]);
    folder.write("elsewhere/a.jpg", "");
    std::os::unix::fs::symlink(folder.path("elsewhere/a.jpg"), folder.path("images/link.jpg"))
        .unwrap();
    assert_eq!(folder.labeled(), labeled(&[("link.jpg", None)]));
}

#[test]
fn a_list_gives_paths_labels_and_hashes() {
    let folder = Folder::new(CSV, &["b c.png", "sub/ä.jpg", "d.png", "e.png"]);
    let list = "\u{feff}label,path,note,sha256\r\n\
                7, b c.png ,3,ABCDEF\r\n\
                n01443537,./sub\\ä.jpg,,\r\n\
                ,\"d.png\",,\r\n";
    folder.write("list.csv", list);
    let expected = [("b c.png", Some(7)), ("d.png", None), ("sub/ä.jpg", Some(1))];
    assert_eq!(folder.labeled(), labeled(&expected));
    let items = folder.load().unwrap().items;
    assert_eq!(items[0].sha256.as_deref(), Some("abcdef"));
    assert_eq!(items[1].sha256, None);
    assert_eq!(items[2].path, folder.path("images/sub/ä.jpg"));
}

#[test]
fn a_column_called_nearly_as_one_that_is_missing_is_named() {
    let folder = Folder::new(CSV, &["a.png"]);
    folder.write("list.csv", "path,lable,table,year\na.png,3,x,1\n");
    let left_out = folder.load().unwrap().left_out;
    assert_eq!(left_out.columns, [("lable".to_owned(), "label".to_owned())]);
    folder.write("list.csv", "path,label,labels\na.png,3,x\n");
    assert!(folder.load().unwrap().left_out.columns.is_empty());
}

#[test]
fn a_list_needs_no_labels() {
    let folder = Folder::new(CSV, &["a.png"]);
    folder.write("list.csv", "path\na.png\n");
    assert_eq!(folder.labeled(), labeled(&[("a.png", None)]));
}

#[test]
fn kaggles_list_is_read_as_it_is() {
    let images = ["ILSVRC2012_val_00000003.JPEG", "ILSVRC2012_val_00048981.JPEG"];
    let folder = Folder::new(CSV, &images);
    let list = "ImageId,PredictionString\n\
                ILSVRC2012_val_00048981,n03995372 85 1 499 272 \n\
                ILSVRC2012_val_00000003,n02105855 131 0 499 254 n02105855 1 2 3 4 \n";
    folder.write("list.csv", list);
    assert_eq!(folder.labeled(), labeled(&[(images[0], Some(230)), (images[1], Some(740))]));
}

#[test]
fn mistakes_in_a_list_are_named_with_their_line() {
    let cases = [
        (
            "path,label\na.png,0\nnope.png,1\n",
            "set/list.csv:3: there is no file set/images/nope.png",
        ),
        ("path,label\na.png,0\na.png,1\n", "set/list.csv:3: `a.png` is listed twice"),
        (
            "path,label\r\na.png,0\r\nfolder.png/b.png,1\r\n./a.png,1\r\n",
            "set/list.csv:4: `a.png` is listed twice",
        ),
        ("path,label\na.png,0\n\n./a.png,1\n", "set/list.csv:4: `a.png` is listed twice"),
        ("path\n../set.yaml\n", "set/list.csv:2: `../set.yaml` leads out of the data set"),
        ("path\n/etc/hosts\n", "set/list.csv:2: `/etc/hosts` leads out of the data set"),
        ("path\nfolder.png\n", "set/list.csv:2: there is no file set/images/folder.png"),
        ("path,label\n,3\n", "set/list.csv:2: no path"),
        (
            "path,label\na.png,-1\n",
            "set/list.csv:2: the label `-1` is neither a class's index nor a WordNet id",
        ),
        (
            "path,label\na.png,99999999999999999999\n",
            "set/list.csv:2: the label `99999999999999999999` is neither",
        ),
        ("path,label\na.png,n00000000\n", "set/list.csv:2: the label `n00000000` is neither"),
        ("path,label\na.png,0.5\n", "set/list.csv:2: the label `0.5` is neither"),
        ("path,label\na.png,0,1\n", "set/list.csv:2: "),
        (
            "path;label\na.png;0\n",
            "set/list.csv:1: the first line names the columns `path;label`; needed are `path`",
        ),
        (
            "a.png,0\n",
            "set/list.csv:1: the first line names the columns `a.png`, `0`; needed are `path`",
        ),
        (
            "ImageId\nILSVRC2012_val_00000001\n",
            "set/list.csv:1: the first line names the columns `ImageId`",
        ),
        ("ImageId,PredictionString\n../a,n03995372 1 1 1 1\n", "set/list.csv:2: `../a` leads out"),
        ("path,label\n", "no image in set/images: the list set/list.csv has no line but its first"),
    ];
    for (list, expected) in cases {
        let folder = Folder::new(CSV, &["a.png", "folder.png/b.png"]);
        folder.write("list.csv", list);
        let error = folder.error();
        assert!(error.starts_with(expected), "{list:?}\n gives {error}\n want  {expected}");
    }
    let folder = Folder::new(CSV, &["a.png"]);
    assert!(folder.error().starts_with("cannot read set/list.csv: "), "{}", folder.error());
}

#[test]
fn mistakes_in_a_manifest_are_named_with_their_line_and_the_nearest_word() {
    let cases = [
        ("root: images\nlayout: files\nlimt: 3\n", "set/set.yaml:3: unknown field `limt`"),
        ("root: images\nlayout: files\nlimt: 3\n", "; did you mean `limit`?"),
        ("# photographs\nroot: images\nlayuot: files\n", "set/set.yaml:3: unknown field `layuot`"),
        ("root: images\nlayout: flies\n", "set/set.yaml:2: layout: unknown variant `flies`"),
        ("root: images\nlayout: flies\n", "; did you mean `files`?"),
        ("root: images\nlayout: files\nexif: aply\n", "; did you mean `apply`?"),
        (
            "root: images\nlayout: files\nlimit: many\n",
            "set/set.yaml:3: limit: invalid type: string \"many\"",
        ),
        ("root: images\nlayout: files\nlimit: -1\n", "set/set.yaml:3: limit: "),
        ("root: images\n", "missing field `layout`"),
        (
            "root: images\nlayout: csv\n",
            "set/set.yaml: `layout: csv` needs `csv`, the list of images",
        ),
        (
            "root: images\nlayout: files\ncsv: a.csv\n",
            "set/set.yaml: `csv` goes with `layout: csv` only",
        ),
        (
            "root: images\nlayout: files\nlimit: 0\n",
            "set/set.yaml: `limit` and `per_class` are at least 1",
        ),
        (
            "root: images\nlayout: files\nper_class: 1\n",
            "set/set.yaml: `per_class` needs labels, and a.png has none",
        ),
        ("root: nowhere\nlayout: files\n", "cannot read set/nowhere: "),
        ("root: nowhere\nlayout: files\n", " (of the data set set/set.yaml)"),
        ("root: set.yaml\nlayout: folders\n", "cannot read set/set.yaml: "),
        ("root: /gone-images\nlayout: files\n", " (of the data set set/set.yaml)"),
        (
            "root: ${CAMBENCH_TEST_UNSET}/val\nlayout: files\n",
            "set/set.yaml: the environment variable CAMBENCH_TEST_UNSET is not set",
        ),
    ];
    for (manifest, expected) in cases {
        let error = Folder::new(manifest, &["a.png"]).error();
        assert!(error.contains(expected), "{manifest:?}\n gives {error}\n want  {expected}");
        assert!(!error.contains(" column "), "the line is named once: {error}");
    }
}

#[test]
fn a_data_set_without_images_says_what_is_there_instead() {
    let named = " (of the data set set/set.yaml)";
    let empty = Folder::new(FILES, &[]);
    let files = "no image in set/images: `layout: files` takes .jpg, .jpeg and .png files in the folder itself; there are ";
    assert_eq!(empty.error(), format!("{files}0 other files and 0 folders{named}"));
    let in_folders = Folder::new(FILES, &["cat/1.png", "dog/1.png", "notes.txt"]);
    assert_eq!(in_folders.error(), format!("{files}1 other files and 2 folders{named}"));

    let folders = "no image in set/images: `layout: folders` takes .jpg, .jpeg and .png files in its folders; there are ";
    let flat = Folder::new(FOLDERS, &["1.png", "2.png"]);
    let beside = "; 2 images lie in the folder itself, which is `layout: files`";
    assert_eq!(flat.error(), format!("{folders}0 folders with 0 files{beside}{named}"));
    let other_kind = Folder::new(FOLDERS, &["cat/1.webp", "dog/2.webp"]);
    assert_eq!(other_kind.error(), format!("{folders}2 folders with 2 files{named}"));
}

#[test]
fn a_root_may_be_named_by_a_variable() {
    let folder =
        Folder::new("root: ${CARGO_MANIFEST_DIR}/tests/vectors/images\nlayout: files\n", &[]);
    let dataset = folder.load().unwrap();
    assert_eq!(dataset.root, Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/images"));
    assert!(dataset.items.iter().any(|item| item.image == "png-rgb.png"));
}

#[test]
fn a_data_set_is_named_by_its_manifest_or_its_file() {
    assert_eq!(Folder::new(FILES, &["a.png"]).load().unwrap().name, "set");
    let named = Folder::new("name: mine\nroot: images\nlayout: files\nexif: apply\n", &["a.png"]);
    let dataset = named.load().unwrap();
    assert_eq!((dataset.name.as_str(), dataset.exif), ("mine", Orientation::Apply));
}

/// Thirty images of three classes, written in the order of `numbers`.
fn thirty(manifest: &str, numbers: impl Iterator<Item = usize>) -> Folder {
    let images: Vec<String> =
        numbers.map(|number| format!("class-{}/{number:02}.png", number % 3)).collect();
    Folder::new(manifest, &images.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn a_subset_depends_on_names_and_seed_alone() {
    let (forward, backward) = (thirty(FOLDERS, 0..30), thirty(FOLDERS, (0..30).rev()));
    let seeded = |seed, limit, per_class| Limits { limit, per_class, seed: Some(seed) };
    for limits in [
        Limits::default(),
        Limits { limit: Some(4), ..Limits::default() },
        Limits { per_class: Some(2), ..Limits::default() },
        seeded(1, Some(4), None),
        seeded(1, Some(5), Some(2)),
    ] {
        assert_eq!(forward.names(&limits), backward.names(&limits), "{limits:?}");
    }
    assert_ne!(forward.names(&seeded(1, Some(4), None)), forward.names(&seeded(2, Some(4), None)));
    // Stored once: a published subset stays the same, whatever becomes of the library that draws it.
    let drawn = ["class-0/06.png", "class-0/24.png", "class-2/17.png", "class-2/23.png"];
    assert_eq!(forward.names(&seeded(1, Some(4), None)), drawn);
}

#[test]
fn limits_take_the_first_images_and_so_many_of_each_class() {
    let folder = thirty(FOLDERS, 0..30);
    let first = Limits { limit: Some(2), ..Limits::default() };
    assert_eq!(folder.names(&first), ["class-0/00.png", "class-0/03.png"]);
    let each = Limits { per_class: Some(1), ..Limits::default() };
    assert_eq!(folder.names(&each), ["class-0/00.png", "class-1/01.png", "class-2/02.png"]);
    let more_than_there_are = Limits { limit: Some(99), per_class: Some(99), seed: Some(3) };
    assert_eq!(folder.names(&more_than_there_are).len(), 30);
}

#[test]
fn limits_of_the_caller_win_over_those_of_the_manifest() {
    let folder = thirty("root: images\nlayout: folders\nlimit: 5\nseed: 4\n", 0..30);
    assert_eq!(folder.names(&Limits::default()).len(), 5);
    let three = Limits { limit: Some(3), ..Limits::default() };
    assert_eq!(folder.names(&three).len(), 3);
    let other_seed = Limits { seed: Some(5), ..Limits::default() };
    assert_ne!(folder.names(&other_seed), folder.names(&Limits::default()));
}

#[test]
fn images_come_in_order_with_their_hashes_and_failures_in_their_places() {
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/images");
    let folder = Folder::new(CSV, &["02.png"]);
    let numbers: Vec<usize> = (0..20).collect();
    for number in numbers.iter().filter(|number| **number != 2) {
        fs::copy(images.join("png-small.png"), folder.path(&format!("images/{number:02}.png")))
            .unwrap();
    }
    let lines: Vec<String> = numbers.iter().map(|number| format!("{number:02}.png,")).collect();
    // The list promises another content for the image 05.
    folder.write(
        "list.csv",
        &format!("path,sha256\n{}\n", lines.join("\n")).replace("05.png,", "05.png,00ff"),
    );
    let preprocessing = Preprocessing {
        resize: Resize::Shorter(8),
        crop: 8,
        interpolation: Interpolation::Bilinear,
        mean: [0.0; 3],
        std: [1.0; 3],
    };
    let items = folder.load().unwrap().items;
    let mut loaded = prefetch(items.clone(), &preprocessing, Orientation::Ignore);
    for (expected, item) in items.iter().enumerate() {
        let (index, result) = loaded.next().unwrap();
        assert_eq!(index, expected);
        match (result, index) {
            (Err(DataError::EmptyFile { path }), 2) => assert_eq!(path, item.path),
            (Err(DataError::Hash { path, expected, .. }), 5) => {
                assert_eq!((path, expected.as_str()), (item.path.clone(), "00ff"));
            }
            (Ok(loaded), _) => {
                assert_eq!(loaded.photo.rgb.len(), 8 * 8 * 3);
                assert_eq!(loaded.sha256, SMALL_SHA256);
            }
            (Err(error), _) => panic!("{error}"),
        }
    }
    assert!(loaded.next().is_none());
}

/// Of `vectors/images/png-small.png`, by sha256sum.
const SMALL_SHA256: &str = "58f58be425c3433cc1ea207698687a1ecf5c3f189c498b9b94a51563c7d0d3e4";

#[test]
fn boxes_stand_in_four_columns_or_in_kaggles_string() {
    let folder = Folder::new(CSV, &["a.png", "b.png", "c.png"]);
    folder.write(
        "list.csv",
        "path,label,xmin,ymin,xmax,ymax\na.png,0,10,20,30.5,40\nb.png,1,,,,\nc.png,2,0,0,1,1\n",
    );
    let boxes = |folder: &Folder| {
        let items = folder.load().unwrap().items;
        let numbers = |b: &Bounds| [b.xmin, b.ymin, b.xmax, b.ymax];
        items.iter().map(|item| item.boxes.iter().map(numbers).collect()).collect::<Vec<Vec<_>>>()
    };
    let expected = [vec![[10.0, 20.0, 30.5, 40.0]], vec![], vec![[0.0, 0.0, 1.0, 1.0]]];
    assert_eq!(boxes(&folder), expected);

    let kaggle = Folder::new(CSV, &["v1.JPEG", "v2.JPEG"]);
    kaggle.write(
        "list.csv",
        "ImageId,PredictionString\nv1,n01440764 1 2 3 4 n01440764 5 6 7 8 \nv2,n01443537\n",
    );
    assert_eq!(boxes(&kaggle), [vec![[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]], vec![]]);
}

#[test]
fn boxes_that_are_none_are_refused_with_their_line() {
    let folder = Folder::new(CSV, &["a.png", "b.JPEG"]);
    let cases = [
        ("path,label,xmin\na.png,0,1\n", "set/list.csv:1: a box needs all of the columns"),
        ("path,xmin,ymin,xmax,ymax\na.png,3,0,3,9\n", "set/list.csv:2: `3 0 3 9` is no box"),
        ("path,xmin,ymin,xmax,ymax\na.png,1,2,,4\n", "set/list.csv:2: `1 2  4` is no box"),
        ("path,xmin,ymin,xmax,ymax\na.png,1,2,nan,4\n", "is no box"),
        ("ImageId,PredictionString\nb,n01440764 1 2 3\n", "`1 2 3` is no box"),
    ];
    for (list, expected) in cases {
        folder.write("list.csv", list);
        let error = folder.error();
        assert!(error.contains(expected), "{list:?} gives {error}");
    }
}

const GRID: &str = "root: images\nlayout: grid\ngrid: { side: 2, of: folders, seed: 3 }\n";

/// Photographs of one color a class, `n` of each of `classes`.
fn colored(manifest: &str, classes: usize, n: usize) -> Folder {
    let images: Vec<String> = (0..classes)
        .flat_map(|class| (0..n).map(move |i| format!("class{class}/{i}.png")))
        .collect();
    let folder = Folder::new(manifest, &images.iter().map(String::as_str).collect::<Vec<_>>());
    for image in &images {
        let class: u8 = image["class".len()..=("class".len())].parse().unwrap();
        image::RgbImage::from_pixel(30, 20, image::Rgb([20 * class + 10; 3]))
            .save(folder.path(&format!("images/{image}")))
            .unwrap();
    }
    folder
}

#[test]
fn collages_are_of_images_of_different_classes_each_cell_once_as_the_one_to_find() {
    let folder = colored(GRID, 5, 3);
    let items = folder.load().unwrap().items;
    assert_eq!(items, folder.load().unwrap().items, "the same ones every time");
    assert!(items.len() >= 8 && items.len() <= 12, "{} of 15 images", items.len());
    let mut paths: Vec<_> = items.iter().map(|item| item.path.clone()).collect();
    paths.sort();
    paths.dedup();
    assert_eq!(paths.len(), items.len(), "no image twice");
    for (number, four) in items.chunks(4).enumerate() {
        let mut labels: Vec<_> = four.iter().map(|item| item.label).collect();
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), 4);
        for (cell, item) in four.iter().enumerate() {
            assert_eq!(item.image, format!("{number:05}-{cell}"));
            let collage = item.collage.as_ref().unwrap();
            assert_eq!((collage.cell, &collage.paths[cell]), (cell, &item.path));
        }
    }
}

#[test]
fn a_collage_has_its_images_in_its_cells_and_the_region_of_one() {
    for crop in [16, 17] {
        let folder = colored(GRID, 4, 1);
        let items = folder.load().unwrap().items;
        let preprocessing = Preprocessing {
            resize: Resize::Shorter(crop + 4),
            crop,
            interpolation: Interpolation::Bilinear,
            mean: [0.0; 3],
            std: [1.0; 3],
        };
        for (index, loaded) in prefetch(items.clone(), &preprocessing, Orientation::Ignore) {
            let (loaded, item) = (loaded.unwrap(), &items[index]);
            assert_eq!(loaded.sha256, item.file_facts().unwrap().sha256);
            assert_eq!((loaded.photo.width, loaded.photo.height), (crop, crop));
            let region = Vec::<bool>::try_from(loaded.region().unwrap().view(-1)).unwrap();
            let half = crop / 2;
            for (pixel, inside) in (0..).zip(&region) {
                let (row, column) = (pixel / crop, pixel % crop);
                let cell = 2 * usize::from(row >= half) + usize::from(column >= half);
                assert_eq!(*inside, cell == item.collage.as_ref().unwrap().cell);
                let color = loaded.photo.rgb[3 * pixel as usize];
                let label = items[index / 4 * 4 + cell].label.unwrap();
                assert_eq!(i64::from(color), 20 * label + 10, "{row}, {column} of {crop}");
            }
        }
    }
}

#[test]
fn grids_that_cannot_be_made_are_refused() {
    let cases = [
        ("root: images\nlayout: grid\n", "`layout: grid` needs `grid`"),
        (
            "root: images\nlayout: folders\ngrid: { side: 2, of: files }\n",
            "goes with `layout: grid` only",
        ),
        (
            "root: images\nlayout: grid\ngrid: { side: 2, of: grid }\n",
            "is `of` folders, files or csv",
        ),
        ("root: images\nlayout: grid\ngrid: { side: 1, of: files }\n", "2 to 64 cells are needed"),
        (
            "root: images\nlayout: grid\ngrid: { side: 3, of: folders }\n",
            "needs 9 images of different classes",
        ),
    ];
    for (manifest, expected) in cases {
        let error = colored(manifest, 4, 1).error();
        assert!(error.contains(expected), "{manifest:?} gives {error}");
    }
    let unlabeled =
        Folder::new("root: images\nlayout: grid\ngrid: { side: 2, of: files }\n", &["a.png"]);
    assert!(unlabeled.error().contains("needs labels, and a.png has none"));
}
