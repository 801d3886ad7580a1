//! The rpath to libtorch, and the commit that the binary is built from.

#[path = "../../build/rpath.rs"]
mod rpath;

use std::process::Command;

fn main() {
    rpath::main();
    let git = |args: &[&str]| {
        let output = Command::new("git")
            .args(args)
            .output()
            .ok()
            .filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_string())
    };
    // Where there is no git, or no checkout, the manifest of a run says so.
    let commit = git(&["rev-parse", "HEAD"]).unwrap_or_default();
    let changed = git(&[
        "status",
        "--porcelain",
        "--untracked-files=no",
        "--",
        "../../crates",
        "../../Cargo.lock",
    ]);
    println!("cargo:rustc-env=CAMBENCH_COMMIT={commit}");
    println!("cargo:rustc-env=CAMBENCH_DIRTY={}", changed.is_some_and(|files| !files.is_empty()));
    if let Some(folder) = git(&["rev-parse", "--absolute-git-dir"]) {
        println!("cargo:rerun-if-changed={folder}/logs/HEAD");
    }
    println!("cargo:rerun-if-changed=../../crates");
}
