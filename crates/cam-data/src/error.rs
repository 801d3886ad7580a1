//! What can be wrong with files of images.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::UnsetVariable;

/// A data set or an image that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file or folder cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A manifest or list says something that cannot be meant.
    #[error("{}{}: {message}", path.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1, where it is known.
        line: Option<u64>,
        /// What is wrong.
        message: String,
    },
    /// A manifest names an environment variable that is not set.
    #[error("{}: {source}", path.display())]
    Variable {
        /// The manifest.
        path: PathBuf,
        /// Which one.
        source: UnsetVariable,
    },
    /// What a manifest names cannot be used.
    #[error("{source} (of the data set {})", manifest.display())]
    Named {
        /// The manifest.
        manifest: PathBuf,
        /// What is wrong with it.
        source: Box<Self>,
    },
    /// A data set without images.
    #[error("no image in {}: {hint}", root.display())]
    Empty {
        /// Its folder.
        root: PathBuf,
        /// What was looked for, and what was seen instead.
        hint: String,
    },
    /// A file is empty.
    #[error("{} is empty (0 bytes)", path.display())]
    EmptyFile {
        /// The file.
        path: PathBuf,
    },
    /// A file is no image of a kind that is read.
    #[error("{} is neither a JPEG nor a PNG image, whatever its name says", path.display())]
    NotAnImage {
        /// The file.
        path: PathBuf,
    },
    /// An image is cut off or damaged.
    #[error("{} cannot be decoded: {message}", path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// What the decoder says.
        message: String,
    },
    /// An image is larger than any photograph.
    #[error("{} has {width}x{height} pixels, more than the limit of {} million", path.display(), limit / 1_000_000)]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its width in pixels.
        width: u32,
        /// Its height in pixels.
        height: u32,
        /// The largest number of pixels that is decoded.
        limit: u64,
    },
    /// An image is longer than any photograph.
    #[error("{} has {width}x{height} pixels, and a side may have {} million", path.display(), limit / 1_000_000)]
    LongSide {
        /// The file.
        path: PathBuf,
        /// Its width in pixels.
        width: u32,
        /// Its height in pixels.
        height: u32,
        /// The longest side that is decoded, in pixels.
        limit: u32,
    },
    /// An image would be larger than any photograph, most often because it is long and narrow.
    #[error("{} has {width}x{height} pixels: resizing it makes {}x{} of them, more than the limit of {} million", path.display(), largest.0, largest.1, limit / 1_000_000)]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Its width in pixels.
        width: u32,
        /// Its height in pixels.
        height: u32,
        /// Width and height of the largest image on the way, whose width is resized and whose height may not be yet, in
        /// pixels.
        largest: (u64, u64),
        /// The largest number of pixels that is made.
        limit: u64,
    },
    /// A file is not the one that a list describes.
    #[error("{} has the SHA-256 {found}, not {expected}", path.display())]
    Hash {
        /// The file.
        path: PathBuf,
        /// As listed.
        expected: String,
        /// As found.
        found: String,
    },
}

impl DataError {
    pub(crate) fn invalid(path: &Path, line: Option<u64>, message: impl Into<String>) -> Self {
        Self::Invalid { path: path.to_path_buf(), line, message: cam_core::shortened(message) }
    }

    pub(crate) fn read(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Read { path, source }
    }
}
