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
}

impl Probe {
    /// How many pixels are left, where whole pixels are.
    pub(crate) fn pixels(self) -> Option<i64> {
        match self {
            Self::Masked => None,
            Self::Kept { pixels, .. } | Self::Imputed { pixels, .. } => Some(pixels),
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

#[cfg(test)]
mod tests {
    use super::*;

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
