//! Why a deployed network cannot be used.

use std::path::PathBuf;

use crate::Runtime;

/// Why a deployed network cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The runtime's library.
    #[error(
        "{} cannot be loaded: {message}; `cargo xtask setup --{runtime}` fetches it, or {variable} names its library or \
         the folder of it",
        runtime.title()
    )]
    Library {
        /// Which.
        runtime: Runtime,
        /// The environment variable that names it.
        variable: &'static str,
        /// Why not.
        message: String,
    },
    /// The network's file.
    #[error("{}: {problem}", path.display())]
    Network {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: Problem,
    },
}

/// What is wrong with the file of a deployed network.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The runtime does not take it.
    #[error("{} cannot open it: {message}", runtime.title())]
    Refused {
        /// Which.
        runtime: Runtime,
        /// In its words.
        message: String,
    },
    /// The runtime took it, and cannot run it.
    #[error("{} cannot run it: {message}", runtime.title())]
    Failed {
        /// Which.
        runtime: Runtime,
        /// In its words.
        message: String,
    },
    /// It is no classifier of images.
    #[error("{0}")]
    Interface(String),
}
