//! Images decoded ahead of the network, on rayon's threads.

use std::{
    collections::VecDeque,
    fs,
    panic::catch_unwind,
    sync::mpsc::{Receiver, sync_channel},
};

use cam_core::{Preprocessing, hex};
use sha2::{Digest, Sha256};
use tracing::info_span;

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
pub fn prefetch(
    items: Vec<Item>,
    preprocessing: &Preprocessing,
    orientation: Orientation,
) -> Prefetch {
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
            // A panic on one of rayon's threads would end the program.
            let loaded =
                catch_unwind(|| load(&item, &preprocessing, orientation)).unwrap_or_else(|_| {
                    let message = "the decoder crashed on it".to_string();
                    Err(DataError::Decode { path: item.path.clone(), message })
                });
            // Nobody listens any more when the iterator was dropped.
            let _ = sender.send(loaded);
        });
        self.ahead.push_back((index, receiver));
    }
}

impl Iterator for Prefetch {
    type Item = (usize, Result<Loaded, DataError>);

    fn next(&mut self) -> Option<Self::Item> {
        let (index, receiver) = self.ahead.pop_front()?;
        self.start_one();
        Some((index, receiver.recv().expect("every job sends its result")))
    }
}

fn load(
    item: &Item,
    preprocessing: &Preprocessing,
    orientation: Orientation,
) -> Result<Loaded, DataError> {
    let _span = info_span!("decode", image = item.image).entered();
    let bytes = fs::read(&item.path).map_err(DataError::read(&item.path))?;
    let sha256 = hex(&Sha256::digest(&bytes));
    if let Some(expected) = item.sha256.as_ref().filter(|expected| **expected != sha256) {
        return Err(DataError::Hash {
            path: item.path.clone(),
            expected: expected.clone(),
            found: sha256,
        });
    }
    let photo = Photo::from_bytes(&bytes, &item.path, preprocessing, orientation)?;
    Ok(Loaded { photo, sha256 })
}
