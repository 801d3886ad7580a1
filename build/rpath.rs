//! Shared build script of every crate that links libtorch: its binaries, tests and examples find the library
//! where it was at build time, without `LD_LIBRARY_PATH`. Needs `torch-sys` as a direct dependency, since only
//! direct dependents see `DEP_TCH_LIBTORCH_LIB`.

#![allow(clippy::print_stdout, reason = "a build script speaks to cargo through its output")]

pub(crate) fn main() {
    println!("cargo:rerun-if-changed=../../build/rpath.rs");
    println!("cargo:rerun-if-env-changed=DEP_TCH_LIBTORCH_LIB");
    if let Some(folder) = std::env::var_os("DEP_TCH_LIBTORCH_LIB") {
        let folder = std::path::PathBuf::from(folder);
        let folder = folder.canonicalize().unwrap_or(folder);
        // DT_RPATH, not DT_RUNPATH: libtorch's own libraries must be found through it as well.
        println!("cargo:rustc-link-arg=-Wl,--disable-new-dtags,-rpath,{}", folder.display());
    }
}
