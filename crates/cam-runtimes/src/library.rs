//! Where a runtime's library lies.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use crate::{Runtime, RuntimeError};

/// A runtime's library, as it is looked for.
struct Library {
    /// The environment variable that names it.
    variable: &'static str,
    /// Its folder in the cache, filled by the set-up.
    folder: &'static str,
    /// How its file's name begins; a version may follow.
    file: &'static str,
}

impl Runtime {
    fn library(self) -> Library {
        match self {
            Self::OnnxRuntime => Library {
                variable: "CAMBENCH_ONNXRUNTIME",
                folder: "onnxruntime",
                file: "libonnxruntime.so",
            },
            Self::OpenVino => Library {
                variable: "CAMBENCH_OPENVINO",
                folder: "openvino",
                file: "libopenvino_c.so",
            },
        }
    }

    /// The error of a library that cannot be loaded.
    pub(crate) fn unloadable(self, message: String) -> RuntimeError {
        let variable = self.library().variable;
        RuntimeError::Library { runtime: self, variable, message }
    }
}

/// The library's path: what the environment names, a file or a folder with it, else what the set-up has put into the cache.
pub(crate) fn find(runtime: Runtime) -> Result<PathBuf, RuntimeError> {
    let Library { variable, folder, file } = runtime.library();
    let named = env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let place = named.unwrap_or_else(|| cam_core::cache_folder().join(folder));
    if place.is_file() {
        let is_it = place.file_name().is_some_and(|name| name.to_string_lossy().starts_with(file));
        let other = || runtime.unloadable(format!("{} is not {file}", place.display()));
        return is_it.then_some(place.clone()).ok_or_else(other);
    }
    newest(&place, file)
        .ok_or_else(|| runtime.unloadable(format!("there is no {file} in {}", place.display())))
}

/// The last by name of a folder's files that begin so.
fn newest(folder: &Path, beginning: &str) -> Option<PathBuf> {
    let files = fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let is_it = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(beginning))
    };
    files.filter(is_it).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_with_a_version_behind_its_name_is_found_in_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(newest(folder.path(), "libx.so"), None);
        for file in ["libx.so.1.2", "libx_providers.so", "liby.so"] {
            fs::write(folder.path().join(file), "").unwrap();
        }
        assert_eq!(newest(folder.path(), "libx.so"), Some(folder.path().join("libx.so.1.2")));
        assert_eq!(newest(&folder.path().join("absent"), "libx.so"), None);
    }
}
