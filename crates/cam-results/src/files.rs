//! Files that appear whole or not at all.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Read as _, Write},
    path::{Path, PathBuf},
    sync::LazyLock,
};

use sha2::{Digest, Sha256};

use crate::{
    Error, Result,
    disk::{self, DiskFile, sync_folder},
};

/// A file that appears when it is whole, or not at all: it is written under a hidden name beside its own.
#[derive(Debug)]
pub(crate) struct NewFile {
    path: PathBuf,
    temporary: PathBuf,
    file: BufWriter<DiskFile>,
    is_whole: bool,
}

impl NewFile {
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let temporary = temporary(path);
        let file = BufWriter::new(DiskFile::create(&temporary)?);
        Ok(Self { path: path.to_owned(), temporary, file, is_whole: false })
    }

    /// Gives it its name, for good when this returns.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().sync()?;
        disk::rename(&self.temporary, &self.path)?;
        self.is_whole = true;
        sync_folder(self.path.parent().unwrap_or(Path::new("")))
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.is_whole {
            // Whoever drops half a file has an error to report already.
            let _ = disk::remove_file(&self.temporary);
        }
    }
}

/// Writes a file that appears whole or not at all: into a hidden file beside it, then sync, rename, sync the folder. Where
/// a link leads to a file, that one is replaced, and not the link; a device or a pipe is written to as it is.
///
/// # Errors
/// Whatever `write` returns, and [`Error::Write`] or [`Error::DiskFull`] with the path; the hidden file is removed, and
/// what lay at `path` before is still there.
pub fn write_atomically(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    let there = fs::metadata(path).ok();
    let written = if there.is_some_and(|there| !there.is_file() && !there.is_dir()) {
        File::options().write(true).open(path).and_then(|mut file| {
            write(&mut file)?;
            file.flush()
        })
    } else {
        let target = if path.is_symlink() { fs::canonicalize(path) } else { Ok(path.to_owned()) };
        target.and_then(|target| NewFile::create(&target)).and_then(|mut file| {
            write(&mut file)?;
            file.finish()
        })
    };
    written.map_err(|source| Error::write(path, source))
}

/// Opens a file for reading. A pipe would let the reader wait for ever, and a device may have no end.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    if fs::metadata(path)?.is_file() {
        File::open(path)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a folder, a pipe or a device"))
    }
}

/// The text of a file, `limit` bytes at most.
pub(crate) fn read_text(path: &Path, limit: u64) -> Result<String> {
    let read = || {
        let file = open(path)?;
        let mut text = String::new();
        if file.metadata()?.len() > limit
            || file.take(limit + 1).read_to_string(&mut text)? as u64 > limit
        {
            let message = format!("it has more bytes than the limit of {limit}");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
        }
        Ok(text)
    };
    read().map_err(|source| Error::read(path, source))
}

/// SHA-256 of a file, in hexadecimal digits.
pub(crate) fn digest(path: &Path) -> Result<String> {
    let read = || {
        let mut hash = Sha256::new();
        let mut file = open(path)?;
        let mut block = vec![0; 1 << 20];
        loop {
            match file.read(&mut block)? {
                0 => return Ok(hash.finalize()),
                n => hash.update(&block[..n]),
            }
        }
    };
    let digest = read().map_err(|source| Error::read(path, source))?;
    Ok(hex(&digest))
}

/// Bytes in hexadecimal, two small digits each.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
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
        let mut file = DiskFile::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync()?;
        link_new(&temporary, path)
    })();
    // A second name of what is there now, or half a file.
    let _ = disk::remove_file(&temporary);
    let is_new = result.map_err(failed)?;
    sync_folder(path.parent().unwrap_or(Path::new(""))).map_err(failed)?;
    Ok(is_new)
}

/// Gives a whole file its name if there is no file of that name; of two processes that try one succeeds.
pub(crate) fn link_new(file: &Path, path: &Path) -> io::Result<bool> {
    match disk::hard_link(file, path) {
        Ok(()) => Ok(true),
        // The answer of a server may be lost and asked for again: then the file in the way is this one.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(is_same(file, path)),
        // Some file systems have no links. Two processes may both succeed there, each with a whole file.
        Err(error) if error.kind() != io::ErrorKind::NotFound && !path.exists() => {
            disk::rename(file, path).map(|()| true).map_err(|_renaming| error)
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

/// Removes what a killed [`write_atomically`] may have left in a folder, and nothing of a process that is there: a report
/// may be being written.
pub(crate) fn remove_temporaries(folder: &Path) -> Result<()> {
    for path in temporaries(folder)? {
        disk::remove_file(&path).map_err(|source| Error::write(&path, source))?;
    }
    Ok(())
}

/// What a killed [`write_atomically`] has left in a folder.
pub(crate) fn temporaries(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |source| Error::read(folder, source);
    let entries = fs::read_dir(folder).map_err(failed)?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()).map_err(failed));
    let is_meant = |path: &Result<PathBuf>| path.as_ref().map_or(true, |path| is_left_over(path));
    paths.filter(is_meant).collect()
}

const SUFFIX: &str = ".cambench-tmp";

/// `.report.md.host.4711.cambench-tmp`: a folder may be many hosts', each of which has a process of that number.
fn temporary(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.{}{SUFFIX}", *HOST, std::process::id()))
}

/// Whether a file is a temporary one of a process that ran on this host and is gone. Of another host nobody can tell.
fn is_left_over(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let words = name.strip_prefix('.').and_then(|name| name.strip_suffix(SUFFIX));
    let mut words = words.into_iter().flat_map(|words| words.rsplit('.'));
    let (pid, host) = (words.next(), words.next());
    host == Some(&**HOST) && pid.is_some_and(|pid| is_running(pid) != Some(true))
}

/// This host's name in those of files.
static HOST: LazyLock<String> = LazyLock::new(|| plain(&host()));

/// This host's name.
pub fn host() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "unknown".into())
}

/// A host's name without what has a meaning in ours.
pub(crate) fn plain(host: &str) -> String {
    host.replace(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-', "_")
}

/// Whether a process of this host is running; `None` where the system does not say.
pub(crate) fn is_running(pid: &str) -> Option<bool> {
    let processes = Path::new("/proc");
    processes.join("self").exists().then(|| processes.join(pid).exists())
}

/// The temporary name of a file on this host, by a process that is not there.
#[cfg(test)]
pub(crate) fn temporary_of_nobody(name: &str) -> String {
    format!(".{name}.{}.99999999{SUFFIX}", *HOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn a_link_stays_a_link_and_a_device_a_device() {
        use std::os::unix::fs::FileTypeExt as _;
        let folder = tempfile::tempdir().unwrap();
        let [file, link] = ["file.md", "link.md"].map(|name| folder.path().join(name));
        fs::write(&file, "before").unwrap();
        std::os::unix::fs::symlink("file.md", &link).unwrap();
        write_bytes(&link, b"after").unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "after");
        // Whoever may write to devices must not lose them by it.
        let device = folder.path().join("null");
        std::os::unix::fs::symlink("/dev/null", &device).unwrap();
        write_bytes(&device, b"nothing").unwrap();
        assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
        if Path::new("/dev/full").exists() {
            let full = folder.path().join("full");
            std::os::unix::fs::symlink("/dev/full", &full).unwrap();
            assert!(write_bytes(&full, b"too much").is_err());
        }
    }

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
        let gone = temporary_of_nobody("a.parquet");
        let own = temporary(Path::new("b.parquet")).to_string_lossy().into_owned();
        let elsewhere = ".a.parquet.another-host.99999999.cambench-tmp";
        for name in [&gone, &own, elsewhere, ".hidden", "a.cambench-tmp"] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        remove_temporaries(folder.path()).unwrap();
        let mut left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [elsewhere, own.as_str(), ".hidden", "a.cambench-tmp"]);
    }
}
