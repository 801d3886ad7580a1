//! Where cambench keeps what it has downloaded.

use std::{
    env,
    path::{PathBuf, absolute},
};

/// `$CAMBENCH_CACHE`, else `$XDG_CACHE_HOME/cambench`, else `~/.cache/cambench`; the working folder's `.cache/cambench`
/// where there is no home. An absolute path, so that it is the same one from wherever it is looked at.
pub fn cache_folder() -> PathBuf {
    let folder = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let path = folder("CAMBENCH_CACHE")
        .or_else(|| folder("XDG_CACHE_HOME").map(|cache| cache.join("cambench")))
        .unwrap_or_else(|| folder("HOME").unwrap_or_default().join(".cache/cambench"));
    absolute(&path).unwrap_or(path)
}
