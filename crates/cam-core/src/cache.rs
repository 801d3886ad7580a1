//! Where cambench keeps what it has downloaded.

use std::{env, path::PathBuf};

/// `$CAMBENCH_CACHE`, else `$XDG_CACHE_HOME/cambench`, else `~/.cache/cambench`; the working folder's `.cache/cambench`
/// where there is no home.
pub fn cache_folder() -> PathBuf {
    let folder = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    folder("CAMBENCH_CACHE")
        .or_else(|| folder("XDG_CACHE_HOME").map(|cache| cache.join("cambench")))
        .unwrap_or_else(|| folder("HOME").unwrap_or_default().join(".cache/cambench"))
}
