//! Files that appear whole or not at all.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use crate::{Error, Result};

/// Writes a file that appears whole or not at all: into a hidden file beside it, then sync, rename, sync the folder.
///
/// # Errors
/// Whatever `write` returns, and [`Error::Write`] or [`Error::DiskFull`] with the path; the hidden file is removed, and
/// what lay at `path` before is still there.
pub fn write_atomically(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<()> {
    let failed = |source| Error::write(path, source);
    let temporary = temporary(path);
    let result = (|| {
        let mut file = BufWriter::new(File::create(&temporary)?);
        write(&mut file)?;
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&temporary, path)
    })();
    if let Err(error) = result {
        // The first error is the one to report; the file may not even exist.
        let _ = fs::remove_file(&temporary);
        return Err(failed(error));
    }
    sync_folder(path.parent().unwrap_or(Path::new(""))).map_err(failed)
}

/// [`write_atomically`] of bytes that are at hand.
///
/// # Errors
/// As [`write_atomically`].
pub fn write_bytes(path: &Path, bytes: &[u8]) -> Result<()> {
    write_atomically(path, |file| file.write_all(bytes))
}

/// [`write_bytes`] where there is no such file; `false`, and nothing is written, where there is one.
///
/// # Errors
/// As [`write_atomically`].
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<bool> {
    let failed = |source| Error::write(path, source);
    let temporary = temporary(path);
    let result = (|| {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        link_new(&temporary, path)
    })();
    // A second name of what is there now, or half a file.
    let _ = fs::remove_file(&temporary);
    let is_new = result.map_err(failed)?;
    sync_folder(path.parent().unwrap_or(Path::new(""))).map_err(failed)?;
    Ok(is_new)
}

/// Gives a whole file its name if there is no file of that name; of two processes that try one succeeds.
pub(crate) fn link_new(file: &Path, path: &Path) -> io::Result<bool> {
    match fs::hard_link(file, path) {
        Ok(()) => Ok(true),
        // The answer of a server may be lost and asked for again: then the file in the way is this one.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(is_same(file, path)),
        // Some file systems have no links. Two processes may both succeed there, each with a whole file.
        Err(error) if error.kind() != io::ErrorKind::NotFound && !path.exists() => {
            fs::rename(file, path).map(|()| true).map_err(|_renaming| error)
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether two names are of one file.
#[cfg(unix)]
fn is_same(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;

    let inode = |path: &Path| fs::metadata(path).map(|of| (of.dev(), of.ino())).ok();
    inode(a).is_some_and(|a| inode(b) == Some(a))
}

#[cfg(not(unix))]
fn is_same(_: &Path, _: &Path) -> bool {
    false
}

/// Removes what a killed [`write_atomically`] may have left in a folder.
pub(crate) fn remove_temporaries(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(|source| Error::read(folder, source))? {
        let path = entry.map_err(|source| Error::read(folder, source))?.path();
        if is_temporary(&path) {
            fs::remove_file(&path).map_err(|source| Error::write(&path, source))?;
        }
    }
    Ok(())
}

/// Makes a renamed or created entry of a folder survive a power cut.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    // Only Unix can open a folder and sync it; elsewhere the rename itself is all there is.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

const SUFFIX: &str = ".cambench-tmp";

fn temporary(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}{SUFFIX}", std::process::id()))
}

fn is_temporary(path: &Path) -> bool {
    path.file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| name.starts_with('.') && name.ends_with(SUFFIX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        write_bytes(&path, b"old").unwrap();
        let error = write_atomically(&path, |file| {
            file.write_all(b"half")?;
            Err(io::Error::new(io::ErrorKind::StorageFull, "full"))
        })
        .unwrap_err();
        assert!(matches!(&error, Error::DiskFull { path: named, .. } if *named == path), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_killed_write_left_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        for name in [".a.parquet.77.cambench-tmp", ".hidden", "a.cambench-tmp"] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        remove_temporaries(folder.path()).unwrap();
        let mut left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [".hidden", "a.cambench-tmp"]);
    }
}
