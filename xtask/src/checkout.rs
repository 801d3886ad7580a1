//! Where things are: the checkout, the cache, cargo.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::libtorch;

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

/// The cargo that runs this, at the checkout's root.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    if !libtorch::is_users() {
        // `.cargo/config.toml` set it for this process. The inner cargo sets it again, as plain `cargo build` does, so
        // that both see the same environment and share what they build.
        command.env_remove("LIBTORCH");
    }
    command
}
