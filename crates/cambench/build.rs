//! The rpath to libtorch, and the commit that the binary is built from.

#[path = "../../build/rpath.rs"]
mod rpath;

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    process::Command,
};

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
    let is_dirty = changed.is_some_and(|files| !files.is_empty());
    // Two builds with different changes on top of one commit are two programs, and their runs two runs.
    let changes = if is_dirty {
        git(&["diff", "HEAD", "--", "../../crates", "../../Cargo.lock"]).map(|diff| {
            let mut hasher = DefaultHasher::new();
            diff.hash(&mut hasher);
            format!("+{:016x}", hasher.finish())
        })
    } else {
        None
    };
    println!("cargo:rustc-env=CAMBENCH_COMMIT={commit}{}", changes.unwrap_or_default());
    println!("cargo:rustc-env=CAMBENCH_DIRTY={is_dirty}");
    if let Some(folder) = git(&["rev-parse", "--absolute-git-dir"]) {
        println!("cargo:rerun-if-changed={folder}/logs/HEAD");
    }
    println!("cargo:rerun-if-changed=../../crates");
}
