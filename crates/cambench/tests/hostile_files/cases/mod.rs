//! The cases, a file for each kind of loader.

mod data;
mod models;
mod runs;
mod text;

use std::{fs, os::unix::fs::symlink, path::Path, path::PathBuf, process::Command};

use crate::table::{Case, Section, file, refused};

/// Every section of the table.
pub(crate) fn all() -> Vec<Section> {
    [models::sections(), data::sections(), text::sections(), runs::sections()]
        .into_iter()
        .flatten()
        .collect()
}

/// What is no file of that name, for any loader of single files: nothing, a folder, a pipe, a device, a link to itself, an
/// empty file and text.
fn no_files(name: &'static str) -> Vec<Case> {
    vec![
        refused("nothing at all", move |folder| folder.join(name)),
        refused("a folder", move |folder| made(folder.join(name), |path| fs::create_dir(path))),
        refused("a pipe that nobody writes into", move |folder| pipe(&folder.join(name))),
        refused("a link to `/dev/zero`, which has no end", move |folder| {
            made(folder.join(name), |path| symlink("/dev/zero", path))
        }),
        refused("a link to itself", move |folder| {
            made(folder.join(name), |path| symlink(name, path))
        }),
        refused("an empty file", file(name, Vec::new)),
        refused("a web page", file(name, || b"<html>404 Not Found</html>\n".to_vec())),
        refused("a terabyte of nothing, on a disk that stores none of it", move |folder| {
            made(folder.join(name), |path| fs::File::create(path)?.set_len(1 << 40))
        }),
    ]
}

/// A path, after something was made there.
fn made(path: PathBuf, make: impl FnOnce(&Path) -> std::io::Result<()>) -> PathBuf {
    make(&path).unwrap();
    path
}

/// A named pipe.
fn pipe(path: &Path) -> PathBuf {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    path.to_owned()
}
