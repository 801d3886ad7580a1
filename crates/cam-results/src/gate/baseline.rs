//! Baselines: runs to compare with, small enough for git.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    Error, Result, Run, RunManifest, RunStatus, disk::sync_folder, manifest::MANIFEST,
    store::RECORDS,
};

/// A folder of baselines, one folder each.
///
/// A baseline is a run's folder without everything that a comparison does not need: `manifest.json` and
/// `records.parquet`, byte for byte as the run has them. [`Run::read`] reads it. Two hundred images under ten methods are
/// a few hundred kilobytes.
#[derive(Clone, Debug)]
pub struct Baselines {
    folder: PathBuf,
}

impl Baselines {
    /// Those below a folder; `results/baselines` by custom.
    pub fn of(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Where the baseline of that name is, or would be.
    pub fn path(&self, name: &str) -> PathBuf {
        restored(self.folder.join(name))
    }

    /// The names of all baselines, sorted.
    ///
    /// # Errors
    /// Where the folder is there and cannot be read.
    pub fn names(&self) -> Result<Vec<String>> {
        if !self.folder.is_dir() {
            return Ok(vec![]);
        }
        let failed = |source| Error::read(&self.folder, source);
        let mut names = vec![];
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if is_run(&entry.path()) && is_name(&name) {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// What a baseline was made from.
    ///
    /// # Errors
    /// As [`RunManifest::read`].
    pub fn manifest(&self, name: &str) -> Result<RunManifest> {
        RunManifest::read(&self.path(name))
    }

    /// Saves a finished run under a name. Returns the baseline's folder.
    ///
    /// # Errors
    /// Where the name cannot be one of a folder, or is taken and `replace` is false; where the run is not finished, or
    /// cannot be read; where the baseline cannot be written.
    pub fn save(&self, name: &str, run: &Path, replace: bool) -> Result<PathBuf> {
        if !is_name(name) {
            return Err(Error::BaselineName { name: name.to_owned() });
        }
        let read = Run::read(run)?;
        if read.manifest().status != RunStatus::Finished {
            return Err(Error::Incomplete {
                folder: run.to_owned(),
                missing: read.n_missing(),
                planned: read.manifest().n_rows(),
            });
        }
        let path = self.path(name);
        if path.exists() && !replace {
            return Err(Error::BaselineTaken { path });
        }
        // A folder that appears whole: filled beside its place, then renamed.
        let temporary = self.folder.join(format!(".{name}.{}", std::process::id()));
        let written = fill(&temporary, run).and_then(|()| {
            put_in_place(&temporary, &path)
                .and_then(|()| sync_folder(&self.folder))
                .map_err(|source| Error::write(&path, source))
        });
        if written.is_err() {
            // The first error is the one to report.
            let _ = fs::remove_dir_all(&temporary);
        }
        written.map(|()| path)
    }
}

/// Gives a folder its name. What has it already goes aside first, and is removed when the new one is there. Where that is
/// cut off in between, the old one gets its name back by [`restored`].
fn put_in_place(new: &Path, path: &Path) -> io::Result<()> {
    if !path.exists() {
        return fs::rename(new, path);
    }
    let old = aside(path);
    if old.exists() {
        // Of one that was cut off, and replaced since.
        fs::remove_dir_all(&old)?;
    }
    fs::rename(path, &old)?;
    if let Err(error) = fs::rename(new, path) {
        let _ = fs::rename(&old, path);
        return Err(error);
    }
    // The new one is there; what cannot be removed now is, the next time.
    let _ = fs::remove_dir_all(&old);
    Ok(())
}

/// A baseline's folder, with its name given back where it stands aside of one that never came.
fn restored(path: PathBuf) -> PathBuf {
    let old = aside(&path);
    if !path.exists() && is_run(&old) {
        // Where that fails there is no baseline of this name, which is said.
        let _ = fs::rename(&old, &path);
    }
    path
}

/// Where the baseline of that name stands aside while it is replaced.
fn aside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.old"))
}

fn fill(folder: &Path, run: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|source| Error::write(folder, source))?;
    for name in [MANIFEST, RECORDS] {
        let bytes =
            fs::read(run.join(name)).map_err(|source| Error::read(run.join(name), source))?;
        crate::write_bytes(&folder.join(name), &bytes)?;
    }
    Ok(())
}

/// Whether a folder is a run's, or a baseline's.
pub fn is_run(folder: &Path) -> bool {
    folder.join(MANIFEST).is_file()
}

/// Whether this can be a folder's name everywhere, and is no path.
fn is_name(name: &str) -> bool {
    !name.starts_with('.')
        && !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_takes_the_place_of_another_and_what_a_killed_one_left_is_no_obstacle() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let make = |name: &str, text: &str| {
            fs::create_dir(at(name)).unwrap();
            fs::write(at(name).join("file"), text).unwrap();
        };
        make("base", "old");
        make(".base.7", "new");
        make(".base.old", "older");
        put_in_place(&at(".base.7"), &at("base")).unwrap();
        assert_eq!(fs::read_to_string(at("base/file")).unwrap(), "new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        // Of one that was cut off between its two renames.
        fs::rename(at("base"), at(".base.old")).unwrap();
        fs::write(at(".base.old").join(MANIFEST), "").unwrap();
        fs::write(at(".base.old").join(RECORDS), "").unwrap();
        assert_eq!(Baselines::of(folder.path()).path("base"), at("base"));
        assert_eq!(fs::read_to_string(at("base/file")).unwrap(), "new");
        // The old one is back where the new one cannot come.
        assert!(put_in_place(&at(".base.8"), &at("base")).is_err());
        assert_eq!(fs::read_to_string(at("base/file")).unwrap(), "new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
