//! Which libtorch is linked: the user's own, or the one in the cache behind the checkout's `.libtorch`.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use crate::checkout;

/// The libtorch that tch's version is made for.
pub(crate) const VERSION: &str = "2.11.0";

/// Folder of the downloaded libtorch, in the cache.
pub(crate) const FOLDER: &str = "libtorch-2.11.0";

/// Whether the user's environment names a libtorch.
pub(crate) fn is_users() -> bool {
    env::var_os("LIBTORCH_USE_PYTORCH").is_some()
        || env::var_os("LIBTORCH").is_some_and(|path| !is_link(Path::new(&path), &checkout::root()))
}

/// Whether this `LIBTORCH` is the one that `.cargo/config.toml` sets.
fn is_link(libtorch: &Path, root: &Path) -> bool {
    libtorch.file_name() == Some(OsStr::new(".libtorch"))
        && match (libtorch.parent().map(Path::canonicalize), root.canonicalize()) {
            (Some(Ok(parent)), Ok(root)) => parent == root,
            _ => false,
        }
}

/// Refuses a `LIBTORCH` that cannot work, before the compiler does so at length.
pub(crate) fn check_users() -> Result<()> {
    if env::var_os("LIBTORCH_USE_PYTORCH").is_some()
        || env::var_os("LIBTORCH_BYPASS_VERSION_CHECK").is_some()
    {
        return Ok(());
    }
    let folder = PathBuf::from(env::var_os("LIBTORCH").unwrap_or_default());
    check_folder(&folder).with_context(|| format!("LIBTORCH={}", folder.display()))
}

fn check_folder(folder: &Path) -> Result<()> {
    ensure!(
        folder.join("lib").is_dir(),
        "there is no folder `lib` in it; unset LIBTORCH to have libtorch downloaded"
    );
    if let Ok(version) = fs::read_to_string(folder.join("build-version")) {
        let version = version.trim();
        let release = version.split('+').next().unwrap_or_default();
        ensure!(
            release == VERSION,
            "it is version {version}, and {VERSION} is needed; unset LIBTORCH to have that one downloaded"
        );
    }
    Ok(())
}

/// Refuses a platform for which there is no libtorch to download.
pub(crate) fn check_platform() -> Result<()> {
    if cfg!(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")) {
        return Ok(());
    }
    bail!(
        "libtorch is downloaded for x86_64 Linux with glibc only, and this is {} on {}.\n\
         Set LIBTORCH to the folder of a libtorch {VERSION} (the one with `lib` and `include`), or install torch {VERSION}\n\
         with pip and set LIBTORCH_USE_PYTORCH=1; then run the same command again",
        env::consts::OS,
        env::consts::ARCH,
    )
}

/// Makes the checkout's `.libtorch` a link to the cache's libtorch.
pub(crate) fn link(root: &Path, cache: &Path) -> Result<()> {
    let (link, target) = (root.join(".libtorch"), cache.join(FOLDER));
    if fs::read_link(&link).is_ok_and(|present| present == target) {
        return Ok(());
    }
    ensure!(
        link.is_symlink() || !link.exists(),
        "{} is a folder of its own; move it away, and set LIBTORCH to it if it is to be used",
        link.display()
    );
    // Made aside and renamed: a build at the same time sees the old link or the new one.
    let aside = root.join(".libtorch.new");
    let _absent = fs::remove_file(&aside);
    symlink(&target, &aside).with_context(|| format!("making the link {}", aside.display()))?;
    fs::rename(&aside, &link).with_context(|| format!("making the link {}", link.display()))
}

#[cfg(unix)]
fn symlink(target: &Path, link: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(not(unix))]
fn symlink(_target: &Path, _link: &Path) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_in_the_checkout_is_not_the_users_libtorch() {
        let root = tempfile::tempdir().unwrap();
        assert!(is_link(&root.path().join(".libtorch"), root.path()));
        assert!(is_link(&root.path().join("./.libtorch"), root.path()));
        assert!(!is_link(Path::new("/opt/libtorch"), root.path()));
        assert!(!is_link(Path::new("/.libtorch"), root.path()));
        assert!(!is_link(Path::new(""), root.path()));
    }

    #[test]
    fn a_users_libtorch_of_another_version_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let check = |version: &str| {
            fs::write(folder.path().join("build-version"), version).unwrap();
            check_folder(folder.path()).map_err(|error| error.to_string())
        };
        assert!(check("2.11.0\n").unwrap_err().contains("`lib`"));
        fs::create_dir(folder.path().join("lib")).unwrap();
        check("2.11.0\n").unwrap();
        check("2.11.0+cpu").unwrap();
        assert!(
            check("2.10.0\n")
                .unwrap_err()
                .starts_with("it is version 2.10.0, and 2.11.0 is needed")
        );
        assert!(check("2.11.01").is_err());
        fs::remove_file(folder.path().join("build-version")).unwrap();
        check_folder(folder.path()).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn the_link_is_made_moved_and_never_put_over_a_folder() {
        let (root, one, two) = (
            tempfile::tempdir().unwrap(),
            tempfile::tempdir().unwrap(),
            tempfile::tempdir().unwrap(),
        );
        for cache in [&one, &two, &two] {
            link(root.path(), cache.path()).unwrap();
            assert_eq!(
                fs::read_link(root.path().join(".libtorch")).unwrap(),
                cache.path().join(FOLDER)
            );
            assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
        }
        fs::remove_file(root.path().join(".libtorch")).unwrap();
        fs::create_dir(root.path().join(".libtorch")).unwrap();
        assert!(
            link(root.path(), one.path()).unwrap_err().to_string().contains("folder of its own")
        );
    }
}
