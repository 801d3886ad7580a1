//! The peers' Python: a virtual environment in the cache, made of pinned packages; one over it for ONNX; and a small one
//! of its own for `gate` and `browse`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use sha2::{Digest as _, Sha256};

use crate::{checkout, pip, setup};

/// The pinned packages.
pub(super) const REQUIREMENTS: &str = include_str!("../../peers/requirements.txt");

/// What ONNX needs beside them.
const ONNX_REQUIREMENTS: &str = include_str!("../../onnx/requirements.txt");

/// What `gate` and `browse` need.
const CHECKS_REQUIREMENTS: &str = include_str!("../../checks/requirements.txt");

/// Written last: without it an environment is not whole.
const COMPLETE: &str = "complete";

/// The folder of the peers' scripts.
pub(super) fn scripts() -> PathBuf {
    checkout::root().join("xtask/peers")
}

/// The first digits of the SHA-256 of what is installed.
pub(super) fn version() -> String {
    version_of(REQUIREMENTS)
}

fn version_of(requirements: &str) -> String {
    let digest = Sha256::digest(requirements);
    let first = [digest[0], digest[1], digest[2], digest[3]];
    format!("{:08x}", u32::from_be_bytes(first))
}

/// The environment's Python, which is made where it is not there.
pub(crate) fn python() -> Result<PathBuf> {
    let folder = checkout::cache()?.join(format!("peers-{}", version()));
    let announcement = "the peers (torch, torch-cam, pytorch-grad-cam, captum, OpenVINO-XAI and others; 2.8 GB to download, 6 GB on the disk)";
    check_version()?;
    made(&folder, announcement, &scripts().join("requirements.txt"), None)
}

/// The Python with Playwright and xmlschema.
pub(crate) fn checks_python() -> Result<PathBuf> {
    let folder = checkout::cache()?.join(format!("checks-{}", version_of(CHECKS_REQUIREMENTS)));
    let requirements = checkout::root().join("xtask/checks/requirements.txt");
    made(&folder, "Playwright and xmlschema (50 MB to download)", &requirements, None)
}

/// The Python with ONNX, ONNX Runtime and timm, which finds everything else in the peers' environment.
pub(crate) fn onnx_python() -> Result<PathBuf> {
    let below = python()?;
    let find = "import sysconfig; print(sysconfig.get_path('purelib'))";
    let output = Command::new(&below).args(["-c", find]).output();
    let packages = String::from_utf8(output.context("starting Python")?.stdout)?;
    let version = version_of(&[REQUIREMENTS, ONNX_REQUIREMENTS].concat());
    let folder = checkout::cache()?.join(format!("onnx-{version}"));
    let requirements = checkout::root().join("xtask/onnx/requirements.txt");
    made(&folder, "ONNX, ONNX Runtime and timm", &requirements, Some(packages.trim()))
}

/// The Python of a folder, which is made where it is not there; it also finds the packages of another environment.
fn made(
    folder: &Path,
    announcement: &str,
    requirements: &Path,
    packages: Option<&str>,
) -> Result<PathBuf> {
    let cache = checkout::cache()?;
    fs::create_dir_all(&cache).with_context(|| format!("making {}", cache.display()))?;
    let _lock = setup::lock(&cache.join("lock"))?;
    let python = folder.join("bin/python");
    if !folder.join(COMPLETE).exists() {
        make(folder, &python, announcement, requirements)?;
        if let Some(packages) = packages {
            let find = "import sysconfig; print(sysconfig.get_path('purelib'))";
            let output = Command::new(&python).args(["-c", find]).output();
            let own = String::from_utf8(output.context("starting Python")?.stdout)?;
            let link = Path::new(own.trim()).join("peers.pth");
            fs::write(&link, packages).with_context(|| format!("writing {}", link.display()))?;
        }
        fs::write(folder.join(COMPLETE), "")
            .with_context(|| format!("writing {}", folder.display()))?;
    }
    Ok(python)
}

fn make(folder: &Path, python: &Path, announcement: &str, requirements: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("removing the unfinished {}", folder.display()))?;
    }
    eprintln!("installing {announcement} into {}", folder.display());
    let run = |command: &mut Command, advice: &str| {
        let status = command
            .stdin(Stdio::null())
            .stdout(io::stderr())
            .status()
            .with_context(|| format!("starting {}", command.get_program().display()))?;
        ensure!(status.success(), "{advice}");
        anyhow::Ok(())
    };
    run(
        Command::new(pip::PYTHON).args(["-m", "venv"]).arg(folder),
        "python3 cannot make a virtual environment; install its part for that (Debian, Ubuntu: `apt install python3-venv`)",
    )?;
    run(
        Command::new(python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"])
            .arg("--requirement")
            .arg(requirements),
        "pip could not install them (its reasons are above)",
    )
}

/// The pinned NumPy has wheels up to Python 3.12, the pinned torch-cam from 3.11 on.
fn check_version() -> Result<()> {
    let script = "import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))";
    let status = Command::new(pip::PYTHON).args(["-c", script]).stdin(Stdio::null()).status();
    ensure!(
        status.is_ok_and(|status| status.success()),
        "the peers need Python 3.11 or 3.12 as `{}`",
        pip::PYTHON
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_is_pinned_once() {
        let lines: Vec<&str> = REQUIREMENTS
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .collect();
        let names: Vec<&str> = lines
            .iter()
            .map(|line| line.split_once("==").unwrap_or_else(|| panic!("{line} is not pinned")).0)
            .collect();
        for (i, name) in names.iter().enumerate() {
            assert!(!names[..i].contains(name), "{name} is pinned twice");
        }
        for name in [
            "torch",
            "torchvision",
            "torchcam",
            "grad-cam",
            "captum",
            "lime",
            "shap",
            "quantus",
            "openvino-xai",
        ] {
            assert!(names.contains(&name), "{name} is missing");
        }
    }
}
