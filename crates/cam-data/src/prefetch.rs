//! Images decoded ahead of the network, on rayon's threads.

use std::{
    collections::VecDeque,
    fmt::Write,
    fs,
    sync::mpsc::{Receiver, sync_channel},
};

use cam_core::Preprocessing;
use sha2::{Digest, Sha256};

use crate::{DataError, Item, Orientation, Photo};

/// A decoded image, and what its file is.
pub struct Loaded {
    /// The pixels.
    pub photo: Photo,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
}

/// Images in the order of their items, each with its index; a few are decoded ahead.
pub struct Prefetch {
    items: std::iter::Enumerate<std::vec::IntoIter<Item>>,
    preprocessing: Preprocessing,
    orientation: Orientation,
    ahead: VecDeque<(usize, Receiver<Result<Loaded, DataError>>)>,
}

/// Decodes `items` in their order, a few images ahead of whoever takes them.
///
/// Memory is bounded: no more than eight images wait. Dropping the iterator lets those in work finish and go.
pub fn prefetch(items: Vec<Item>, preprocessing: &Preprocessing, orientation: Orientation) -> Prefetch {
    let mut prefetch = Prefetch {
        items: items.into_iter().enumerate(),
        preprocessing: preprocessing.clone(),
        orientation,
        ahead: VecDeque::new(),
    };
    for _ in 0..AHEAD {
        prefetch.start_one();
    }
    prefetch
}

/// How many images are decoded ahead.
const AHEAD: usize = 8;

impl Prefetch {
    fn start_one(&mut self) {
        let Some((index, item)) = self.items.next() else { return };
        let (preprocessing, orientation) = (self.preprocessing.clone(), self.orientation);
        let (sender, receiver) = sync_channel(1);
        rayon::spawn(move || {
            // Nobody listens any more when the iterator was dropped.
            let _ = sender.send(load(&item, &preprocessing, orientation));
        });
        self.ahead.push_back((index, receiver));
    }
}

impl Iterator for Prefetch {
    type Item = (usize, Result<Loaded, DataError>);

    fn next(&mut self) -> Option<Self::Item> {
        let (index, receiver) = self.ahead.pop_front()?;
        self.start_one();
        let loaded = receiver.recv().unwrap_or_else(|_| {
            let message = "the decoder crashed on it".to_string();
            Err(DataError::Decode { path: format!("image {index}").into(), message })
        });
        Some((index, loaded))
    }
}

fn load(item: &Item, preprocessing: &Preprocessing, orientation: Orientation) -> Result<Loaded, DataError> {
    let bytes = fs::read(&item.path).map_err(DataError::read(&item.path))?;
    let sha256 = Sha256::digest(&bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    if let Some(expected) = item.sha256.as_ref().filter(|expected| **expected != sha256) {
        return Err(DataError::Hash { path: item.path.clone(), expected: expected.clone(), found: sha256 });
    }
    let decode = || Photo::from_bytes(&bytes, &item.path, preprocessing, orientation);
    let photo = std::panic::catch_unwind(decode).unwrap_or_else(|_| {
        Err(DataError::Decode { path: item.path.clone(), message: "the decoder crashed on it".to_string() })
    })?;
    Ok(Loaded { photo, sha256 })
}
