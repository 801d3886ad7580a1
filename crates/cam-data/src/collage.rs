//! Collages: several images of different classes in one, so that it is known where the evidence for each class is.
//!
//! The grid pointing game (Rao et al. 2022, <https://arxiv.org/abs/2205.10435>) explains each cell's class on the whole
//! collage, and asks for the share of the map in that cell. A collage is as large as the network's input, and a cell is
//! preprocessed like an image, at the cell's size; with a preprocessing of `side` times the size, cells have the size that
//! images have elsewhere.

use std::{collections::VecDeque, path::PathBuf};

use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Deserializer, Serialize, de::Error};

use crate::{Item, Layout, Photo};

/// How collages are made of images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grid {
    /// Cells along each side of a collage, 2 to 64.
    #[serde(deserialize_with = "cells")]
    pub side: u32,
    /// How the images lie in their folder.
    pub of: Layout,
    /// Draws which images come together.
    #[serde(default)]
    pub seed: u64,
}

/// The most cells along a side.
const MAX_CELLS: u32 = 64;

fn cells<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    match u32::deserialize(deserializer)? {
        side @ 2..=MAX_CELLS => Ok(side),
        side => {
            Err(D::Error::custom(format!("`side: {side}` where 2 to {MAX_CELLS} cells are needed")))
        }
    }
}

/// What a collage is put together of, and which cell is to find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collage {
    /// The files, `side · side` of them, row by row.
    pub paths: Vec<PathBuf>,
    /// Cells along each side.
    pub side: u32,
    /// The place of the cell to find among `paths`.
    pub cell: usize,
}

impl Collage {
    /// Left, top, right and bottom of a cell of a collage of `crop` pixels, the last two outside of it.
    pub(crate) fn cell_bounds(&self, cell: usize, crop: u32) -> [u32; 4] {
        let edge = |place: u32| (u64::from(place) * u64::from(crop) / u64::from(self.side)) as u32;
        let (row, column) = (cell as u32 / self.side, cell as u32 % self.side);
        [edge(column), edge(row), edge(column + 1), edge(row + 1)]
    }

    /// The photographs of all cells as one. A cell's photograph may be larger than the cell by rounding.
    pub(crate) fn assemble(&self, cells: &[Photo], crop: u32) -> Photo {
        let mut rgb = vec![0; 3 * crop as usize * crop as usize];
        for (place, photo) in cells.iter().enumerate() {
            let [left, top, right, bottom] = self.cell_bounds(place, crop);
            for row in top..bottom {
                let start = 3 * (row * crop + left) as usize;
                let from = 3 * ((row - top) * photo.width) as usize;
                let length = 3 * (right - left) as usize;
                rgb[start..start + length].copy_from_slice(&photo.rgb[from..from + length]);
            }
        }
        Photo { width: crop, height: crop, rgb }
    }
}

/// Every cell of every collage, as an item of its own. Images are drawn without replacement, and the last ones, which do not
/// make a collage of different classes any more, are left over.
pub(crate) fn collages(grid: Grid, mut items: Vec<Item>) -> Result<Vec<Item>, String> {
    if let Some(item) = items.iter().find(|item| item.label.is_none()) {
        return Err(format!("`layout: grid` needs labels, and {} has none", item.image));
    }
    items.shuffle(&mut ChaCha8Rng::seed_from_u64(grid.seed));
    let n_cells = (grid.side * grid.side) as usize;
    let mut rest = VecDeque::from(items);
    let mut made = vec![];
    loop {
        let (mut chosen, mut passed): (Vec<Item>, VecDeque<Item>) = Default::default();
        while chosen.len() < n_cells {
            let Some(item) = rest.pop_front() else { break };
            if chosen.iter().any(|other| other.label == item.label) {
                passed.push_back(item);
            } else {
                chosen.push(item);
            }
        }
        if chosen.len() < n_cells {
            break;
        }
        passed.append(&mut rest);
        rest = passed;
        let paths: Vec<PathBuf> = chosen.iter().map(|item| item.path.clone()).collect();
        let number = made.len() / n_cells;
        made.extend(chosen.into_iter().enumerate().map(|(cell, item)| Item {
            image: format!("{number:05}-{cell}"),
            path: item.path,
            label: item.label,
            sha256: None,
            boxes: vec![],
            collage: Some(Collage { paths: paths.clone(), side: grid.side, cell }),
        }));
    }
    if made.is_empty() {
        return Err(format!(
            "a collage needs {n_cells} images of different classes, and there are fewer"
        ));
    }
    Ok(made)
}
