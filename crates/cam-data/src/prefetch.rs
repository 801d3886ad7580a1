//! Images decoded ahead of the network, on rayon's threads.

use std::{
    collections::VecDeque,
    panic::catch_unwind,
    path::PathBuf,
    sync::mpsc::{Receiver, sync_channel},
};

use cam_core::{Preprocessing, Resize, hex};
use sha2::{Digest, Sha256};
use tch::Tensor;
use tracing::info_span;

use crate::{
    Collage, DataError, Item, Orientation, Photo, PixelBox,
    bounds::region,
    photo::{Header, header, read},
};

/// A decoded image, and what its file is.
pub struct Loaded {
    /// The pixels.
    pub photo: Photo,
    /// SHA-256 of the file, or over those of a collage's files, in hexadecimal.
    pub sha256: String,
    /// Where the class's objects are, as far as they are not cut off.
    pub boxes: Vec<PixelBox>,
}

impl Loaded {
    /// The pixels in any of the boxes, a boolean mask `[H, W]` on the processor; `None` without boxes.
    pub fn region(&self) -> Option<Tensor> {
        region(&self.boxes, [self.photo.height, self.photo.width])
    }
}

/// What is known of an image from its file's bytes, or from those of all files of a collage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFacts {
    /// The SHA-256 that [`Loaded::sha256`] will have.
    pub sha256: String,
    /// Whether a viewer would turn or mirror a photograph by its EXIF tag.
    pub is_turned: bool,
    /// Width and height in pixels as they lie in the file; `None` of a collage, and where the file is no image.
    pub size: Option<[u32; 2]>,
}

impl Item {
    /// What its file is, or its files are.
    ///
    /// # Errors
    /// [`DataError`] where a file cannot be read.
    pub fn file_facts(&self) -> Result<FileFacts, DataError> {
        let of = |path: &PathBuf| {
            let bytes = read(path)?;
            let Header { is_turned, size } = header(&bytes, path).unwrap_or_default();
            Ok(FileFacts { sha256: digest(&bytes), is_turned, size })
        };
        match &self.collage {
            None => of(&self.path),
            Some(collage) => {
                let facts: Vec<FileFacts> =
                    collage.paths.iter().map(of).collect::<Result<_, DataError>>()?;
                Ok(FileFacts {
                    is_turned: facts.iter().any(|facts| facts.is_turned),
                    sha256: digest_of_all(facts.into_iter().map(|facts| facts.sha256)),
                    size: None,
                })
            }
        }
    }

    /// Whether what was read is what the list says.
    fn verify(&self, found: &str) -> Result<(), DataError> {
        match &self.sha256 {
            Some(expected) if expected != found => Err(DataError::Hash {
                path: self.path.clone(),
                expected: expected.clone(),
                found: found.to_string(),
            }),
            _ => Ok(()),
        }
    }
}

fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn digest_of_all(digests: impl Iterator<Item = String>) -> String {
    digest(digests.collect::<String>().as_bytes())
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
    if let Some(collage) = &item.collage {
        return load_collage(item, collage, preprocessing, orientation);
    }
    let bytes = read(&item.path)?;
    let sha256 = digest(&bytes);
    item.verify(&sha256)?;
    let (photo, frame) = Photo::framed(&bytes, &item.path, preprocessing, orientation)?;
    let boxes = item.boxes.iter().filter_map(|bounds| frame.place(bounds)).collect();
    Ok(Loaded { photo, sha256, boxes })
}

fn load_collage(
    item: &Item,
    collage: &Collage,
    preprocessing: &Preprocessing,
    orientation: Orientation,
) -> Result<Loaded, DataError> {
    let Preprocessing { resize, crop, .. } = *preprocessing;
    // The largest cell, and the image around it in the proportion that it has elsewhere.
    let cell = crop.div_ceil(collage.side);
    let around = |side: u32| (u64::from(side) * u64::from(cell) / u64::from(crop.max(1))) as u32;
    let resize = match resize {
        Resize::Shorter(side) => Resize::Shorter(around(side)),
        Resize::Exact(sides) => Resize::Exact(sides.map(around)),
    };
    let preprocessing = Preprocessing { resize, crop: cell, ..preprocessing.clone() };
    let files: Vec<Vec<u8>> =
        collage.paths.iter().map(|path| read(path)).collect::<Result<_, _>>()?;
    let sha256 = digest_of_all(files.iter().map(|bytes| digest(bytes)));
    item.verify(&sha256)?;
    let open = |(path, bytes): (&PathBuf, &Vec<u8>)| {
        Photo::from_bytes(bytes, path, &preprocessing, orientation)
    };
    let cells: Vec<Photo> = collage.paths.iter().zip(&files).map(open).collect::<Result<_, _>>()?;
    let [left, top, right, bottom] = collage.cell_bounds(collage.cell, crop);
    Ok(Loaded {
        photo: collage.assemble(&cells, crop),
        sha256,
        boxes: vec![PixelBox { left, top, right, bottom }],
    })
}
