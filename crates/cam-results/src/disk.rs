//! What this crate changes on a disk: every write, every sync and every name. It all goes through here, so that a test can
//! tell in which order it happens, and what a power cut after each step would leave (`disk/power_cuts.rs`).

#[cfg(test)]
mod power_cuts;
#[cfg(test)]
mod trace;

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

#[cfg(test)]
use trace::Step;

/// A file that is being written at its end.
#[derive(Debug)]
pub(crate) struct DiskFile {
    file: File,
    path: PathBuf,
}

impl DiskFile {
    /// An empty file; one of that name loses what it holds.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        Self::open(path, OpenOptions::new().write(true).create(true).truncate(true))
    }

    /// An empty file where there must be none of that name.
    pub(crate) fn create_new(path: &Path) -> io::Result<Self> {
        Self::open(path, OpenOptions::new().append(true).create_new(true))
    }

    /// A file to read, and to write at its end; an empty one where there is none.
    pub(crate) fn append(path: &Path) -> io::Result<Self> {
        Self::open(path, OpenOptions::new().read(true).append(true).create(true))
    }

    fn open(path: &Path, options: &OpenOptions) -> io::Result<Self> {
        let file = Self { file: options.open(path)?, path: path.to_owned() };
        #[cfg(test)]
        trace::note(path, || Step::Open(trace::id(path), path.to_owned()));
        Ok(file)
    }

    /// The file, to be read.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Its path when it was opened.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Cuts it off.
    pub(crate) fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)?;
        #[cfg(test)]
        trace::note(&self.path, || Step::Cut(trace::id_of(&self.file), len));
        Ok(())
    }

    /// Brings what it holds to the disk, and its length.
    pub(crate) fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()?;
        #[cfg(test)]
        trace::note(&self.path, || Step::Sync(trace::id_of(&self.file)));
        Ok(())
    }

    /// Brings all of it to the disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()?;
        #[cfg(test)]
        trace::note(&self.path, || Step::Sync(trace::id_of(&self.file)));
        Ok(())
    }
}

impl Write for DiskFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        #[cfg(test)]
        trace::note(&self.path, || Step::Write(trace::id_of(&self.file), bytes[..n].to_vec()));
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Gives a file another name, in the place of the file that has it.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    #[cfg(test)]
    trace::note(from, || Step::Rename(from.to_owned(), to.to_owned()));
    Ok(())
}

/// Gives a file a second name, where no file has it.
pub(crate) fn hard_link(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to)?;
    #[cfg(test)]
    trace::note(from, || Step::Link(from.to_owned(), to.to_owned()));
    Ok(())
}

/// Takes a name away.
pub(crate) fn remove_file(path: &Path) -> io::Result<()> {
    fs::remove_file(path)?;
    #[cfg(test)]
    trace::note(path, || Step::Remove(path.to_owned()));
    Ok(())
}

/// Removes a folder with all that is in it.
pub(crate) fn remove_dir_all(path: &Path) -> io::Result<()> {
    #[cfg(test)]
    let within = trace::within(path);
    fs::remove_dir_all(path)?;
    #[cfg(test)]
    for path in within {
        trace::note(&path, || Step::Remove(path.clone()));
    }
    Ok(())
}

/// Makes a folder, and those that it lies in.
pub(crate) fn create_dir_all(path: &Path) -> io::Result<()> {
    #[cfg(test)]
    let missing: Vec<PathBuf> =
        path.ancestors().take_while(|path| !path.exists()).map(Path::to_owned).collect();
    fs::create_dir_all(path)?;
    #[cfg(test)]
    for path in missing.into_iter().rev() {
        trace::note(&path, || Step::MakeFolder(path.clone()));
    }
    Ok(())
}

/// Makes what names a folder has survive a power cut.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    // Only Unix can open a folder and sync it; elsewhere the rename itself is all there is.
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    #[cfg(test)]
    trace::note(folder, || Step::SyncFolder(folder.to_owned()));
    Ok(())
}
