//! Where things are: the checkout and the cache.

use std::env;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

/// The checkout's root. Asked of cargo at run time: a shared target folder may hold an xtask built in another checkout.
pub(crate) fn root() -> PathBuf {
    let xtask = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    xtask.parent().map_or_else(|| xtask.clone(), PathBuf::from)
}

/// The folder of everything downloaded: `CAMBENCH_CACHE`, else `cambench` in `XDG_CACHE_HOME`, else in `~/.cache`.
pub(crate) fn cache() -> Result<PathBuf> {
    let folder = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let path = folder("CAMBENCH_CACHE")
        .or_else(|| Some(folder("XDG_CACHE_HOME")?.join("cambench")))
        .or_else(|| Some(env::home_dir()?.join(".cache/cambench")))
        .context("no home folder is known; set CAMBENCH_CACHE to a folder for the downloads")?;
    Ok(std::path::absolute(path)?)
}
