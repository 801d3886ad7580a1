//! Images made of a subject's image and its map, which metrics ask the network about.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::Fill;

/// An image made of the subject's image and its map.
///
/// Two metrics that ask about the same image say the same here, so it goes through the network once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Probe {
    /// The explanation image `x ⊙ M`.
    Masked,
    /// The image where only so many pixels are left and everything else is filled.
    Kept {
        /// How many pixels are left, from 0 to `H·W`.
        pixels: i64,
        /// Which pixels are left: the first ones in this order.
        order: Order,
        /// What stands everywhere else.
        fill: Fill,
    },
    /// The image where only so many pixels are left and the others are made of their neighbors: ROAD's noisy linear
    /// imputation, with noise from the image's seed.
    Imputed {
        /// How many pixels are left, from 1 to `H·W`.
        pixels: i64,
        /// Which pixels are left: the first ones in this order.
        order: Order,
    },
    /// The image in which some cells of the layer's grid are shown alone, or hidden.
    Cells {
        /// How many cells, from 0 to `h·w`.
        cells: i64,
        /// Which cells: the first ones in this order.
        order: Order,
        /// Whether they are hidden and everything else is left, or the other way round.
        hidden: bool,
        /// What stands where the image is hidden.
        fill: Fill,
        /// Whether a cell takes the first line of pixels of its neighbors below and to the right as well.
        overlapping: bool,
    },
}

impl Probe {
    /// How many pixels or cells it is about, where it counts them.
    pub(crate) fn count(self) -> Option<i64> {
        match self {
            Self::Masked => None,
            Self::Kept { pixels: count, .. }
            | Self::Imputed { pixels: count, .. }
            | Self::Cells { cells: count, .. } => Some(count),
        }
    }
}

/// An order of pixels by their value in a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// The largest value first, equal values in row-major order ("most relevant first", MoRF).
    MostSalient,
    /// Exactly the other way round ("least relevant first", LeRF).
    LeastSalient,
}

impl Order {
    /// The other one.
    #[must_use]
    pub fn reversed(self) -> Self {
        match self {
            Self::MostSalient => Self::LeastSalient,
            Self::LeastSalient => Self::MostSalient,
        }
    }
}

/// The place of every pixel of a map in [`Order::MostSalient`], from 0; in the map's shape.
pub(crate) fn ranks(map: &Tensor) -> Tensor {
    let order = map.flatten(0, -1).argsort_stable(true, 0, true);
    let places = Tensor::arange(order.numel() as i64, (Kind::Int64, order.device()));
    order.empty_like().scatter_(0, &order, &places).view_as(map)
}

/// The first rank among the cells that cover each pixel, `[H, W]`, of ranks `[h, w]` of cells.
///
/// Cell `i` begins at line `i·H/h`, rounded down, and ends before the next one, or with its first line if `overlapping`.
pub(crate) fn ranks_of_pixels(ranks: &Tensor, size: [i64; 2], overlapping: bool) -> Tensor {
    let (height, width) = ranks.size2().expect("cells have two dimensions");
    let [rows, columns] = [(size[0], height), (size[1], width)].map(|(pixels, cells)| {
        let start = |cell: i64| cell * pixels / cells;
        let mut own = vec![0; pixels as usize];
        let mut before = vec![0; pixels as usize];
        for cell in 0..cells {
            for pixel in start(cell)..start(cell + 1) {
                own[pixel as usize] = cell;
                let is_shared = overlapping && pixel == start(cell) && cell > 0;
                before[pixel as usize] = if is_shared { cell - 1 } else { cell };
            }
        }
        [own, before].map(|cells| Tensor::from_slice(&cells).to_device(ranks.device()))
    });
    let [first, rest @ ..] = [(0, 0), (0, 1), (1, 0), (1, 1)]
        .map(|(row, column)| ranks.index_select(0, &rows[row]).index_select(1, &columns[column]));
    rest.iter().fold(first, |least, ranks| least.minimum(ranks))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pixel_has_the_first_rank_of_the_cells_that_cover_it() {
        let ranks = Tensor::from_slice(&[3_i64, 0, 1, 2]).view([2, 2]);
        let of = |size, overlapping| {
            let ranks = ranks_of_pixels(&ranks, size, overlapping);
            Vec::<i64>::try_from(ranks.contiguous().view(-1)).unwrap()
        };
        assert_eq!(of([2, 2], false), [3, 0, 1, 2]);
        #[rustfmt::skip]
        assert_eq!(of([4, 4], false), [
            3, 3, 0, 0,
            3, 3, 0, 0,
            1, 1, 2, 2,
            1, 1, 2, 2,
        ]);
        // Cells of 3 x 3 pixels where there is a neighbor: the third line belongs to both.
        #[rustfmt::skip]
        assert_eq!(of([4, 4], true), [
            3, 3, 0, 0,
            3, 3, 0, 0,
            1, 1, 0, 0,
            1, 1, 1, 2,
        ]);
        // Uneven cells of 2 and 3 lines.
        assert_eq!(of([5, 1], false), [0, 0, 2, 2, 2]);
    }

    #[test]
    fn ties_are_broken_in_row_major_order() {
        let of = |values: &[f64]| {
            Vec::<i64>::try_from(ranks(&Tensor::from_slice(values).view([2, -1])).view(-1)).unwrap()
        };
        assert_eq!(of(&[0.5, 1.0, 0.5, 0.0, 1.0, 0.5]), [2, 0, 3, 5, 1, 4]);
        assert_eq!(of(&[-0.0, 0.0, -0.0, 1.0]), [1, 2, 3, 0]);
    }

    #[test]
    fn a_large_map_of_few_values_keeps_row_major_order_among_equals() {
        let map = Tensor::arange(224 * 224, (Kind::Int64, tch::Device::Cpu)).remainder(7);
        let map = map.to_kind(Kind::Float).view([224, 224]);
        let values: Vec<f32> = Vec::try_from(map.view(-1)).unwrap();
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
        let got: Vec<i64> = Vec::try_from(ranks(&map).view(-1)).unwrap();
        assert!(order.iter().enumerate().all(|(rank, &pixel)| got[pixel] == rank as i64));
    }
}
