//! What was done to the disk below a folder, in its order.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// A change, or what makes changes last. A file is known by its number and not by its name, of which it may have several.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A file was made, or opened to be written on, under this name.
    Open(u64, PathBuf),
    Write(u64, Vec<u8>),
    /// A file has no more than so many bytes.
    Cut(u64, u64),
    Sync(u64),
    /// From a name to another one.
    Rename(PathBuf, PathBuf),
    /// From a name to a second one.
    Link(PathBuf, PathBuf),
    Remove(PathBuf),
    MakeFolder(PathBuf),
    SyncFolder(PathBuf),
    /// So many rows were promised to be safe.
    Promise(usize),
}

static TRACES: Mutex<Vec<(PathBuf, Vec<Step>)>> = Mutex::new(vec![]);

fn traces() -> MutexGuard<'static, Vec<(PathBuf, Vec<Step>)>> {
    TRACES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Listens to a folder, until its trace is taken.
pub(super) fn start(root: &Path) {
    traces().push((root.to_owned(), vec![]));
}

/// What was done below a folder since [`start`].
pub(super) fn take(root: &Path) -> Vec<Step> {
    let mut traces = traces();
    let at = traces.iter().position(|(of, _)| of == root).expect("a trace that was started");
    traces.swap_remove(at).1
}

pub(super) fn note(path: &Path, step: impl FnOnce() -> Step) {
    if let Some((_, steps)) = traces().iter_mut().find(|(root, _)| path.starts_with(root)) {
        steps.push(step());
    }
}

pub(super) fn id(path: &Path) -> u64 {
    number(&fs::metadata(path).unwrap())
}

pub(super) fn id_of(file: &File) -> u64 {
    number(&file.metadata().unwrap())
}

#[cfg(unix)]
fn number(of: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(of)
}

#[cfg(not(unix))]
fn number(_: &fs::Metadata) -> u64 {
    0
}

/// The files in a folder.
pub(super) fn within(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}
