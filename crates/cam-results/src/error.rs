//! What can go wrong with files.

use std::{io, path::PathBuf};

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// A run's folder, or a file in it, that cannot be used. Every message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no space for a file.
    #[error(
        "no space left to write {} ({source}); make some and give the same command again: it continues where this one \
         stopped",
        path.display()
    )]
    DiskFull {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file does not hold what its name promises.
    #[error("{} is damaged: {message}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A file was written by a newer cambench.
    #[error("{} was written by schema {found}, this cambench reads up to {supported}; update cambench", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: u64,
        /// The newest one that can be read.
        supported: u32,
    },
    /// The folder holds the results of something else.
    #[error(
        "{} holds another plan's results ({difference}); give the new plan a folder of its own with --out, or remove \
         this one",
        folder.display()
    )]
    OtherPlan {
        /// The run's folder.
        folder: PathBuf,
        /// The first field that differs, with both values.
        difference: String,
    },
    /// The folder holds a journal, and no manifest that says what of.
    #[error("{} has a journal and no manifest.json; remove the folder, or choose another one with --out", folder.display())]
    NoManifest {
        /// The run's folder.
        folder: PathBuf,
    },
    /// The folder holds other things, and no run.
    #[error("{} holds `{file}` and no run; give a new or empty folder with --out", folder.display())]
    OtherFiles {
        /// The folder.
        folder: PathBuf,
        /// One of the files.
        file: String,
    },
    /// Another process is at work.
    #[error("another process is writing the run in {}; wait for it, or stop it", folder.display())]
    Locked {
        /// The run's folder.
        folder: PathBuf,
    },
    /// The file system cannot lock.
    #[error(
        "{} lies where files cannot be locked ({source}), so that two processes might write one run; choose another folder \
         with --out, or have it mounted with locks (on Lustre the option `flock`)",
        folder.display()
    )]
    NoLock {
        /// The run's folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The run is not cut into shards.
    #[error("the run in {} is not cut into shards; `cambench plan SWEEP --out {}` does it", folder.display(), folder.display())]
    NotCut {
        /// The run's folder.
        folder: PathBuf,
    },
    /// A shard that the plan does not have.
    #[error("there is no shard {index}; they are 0 to {}", n_shards.saturating_sub(1))]
    NoSuchShard {
        /// As asked for.
        index: usize,
        /// How many there are.
        n_shards: usize,
    },
    /// A finished run is never changed.
    #[error("the run in {} is finished and is never changed; choose another folder with --out", folder.display())]
    Finished {
        /// The run's folder.
        folder: PathBuf,
    },
    /// A row that the plan does not ask for.
    #[error("the run in {} has no row for {row} in its plan", folder.display())]
    NotPlanned {
        /// The run's folder.
        folder: PathBuf,
        /// The row.
        row: String,
    },
    /// Some rows are missing.
    #[error(
        "{missing} of {planned} rows are missing from the run in {}; give the same command again to compute them",
        folder.display()
    )]
    Incomplete {
        /// The run's folder.
        folder: PathBuf,
        /// How many rows are missing.
        missing: usize,
        /// How many there should be.
        planned: usize,
    },
    /// Two columns of a table would have one name.
    #[error(
        "the name {name:?} is taken by another column of the results; give the metric another one with `as`"
    )]
    NameTaken {
        /// The name.
        name: String,
    },
    /// Two rows of the plan would have one key.
    #[error("the plan has two rows for {row}; give models, methods and images distinct names")]
    RowTwice {
        /// The row.
        row: String,
    },
    /// A name that no baseline can have.
    #[error("a baseline cannot be called {name:?}; use letters, digits, `-`, `_` and `.`")]
    BaselineName {
        /// The name.
        name: String,
    },
    /// There is a baseline of that name.
    #[error("there is a baseline {} already; give --replace to replace it", path.display())]
    BaselineTaken {
        /// Its folder.
        path: PathBuf,
    },
    /// A picture could not be drawn.
    #[error("cannot draw {}: {message}", path.display())]
    Draw {
        /// The picture.
        path: PathBuf,
        /// Why.
        message: String,
    },
}

impl Error {
    /// A failed write; a full disk gets its own name, because it can be made good.
    pub(crate) fn write(path: impl Into<PathBuf>, source: io::Error) -> Self {
        let path = path.into();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::DiskFull { path, source }
            }
            _ => Self::Write { path, source },
        }
    }

    /// A failed read.
    pub(crate) fn read(path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Read { path: path.into(), source }
    }
}
