//! Pixels made of their neighbors: the noisy linear imputation of ROAD (Rong et al. 2022,
//! <https://arxiv.org/abs/2202.00449>).
//!
//! A pixel that is gone is the weighted mean of its eight neighbors, 1/6 for those at its sides and 1/12 at its corners, and
//! of those that there are at the border. All pixels that are gone together are the solution of one sparse linear system
//! for each channel. Normal noise of deviation 0.01 is added to them. The authors hand the system to a sparse direct
//! solver. Multiplied by the sum of a pixel's weights it is symmetric, and positive definite where at least one pixel is
//! left, so conjugate gradients solve it without storing a matrix.

use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use tch::{Kind, Tensor};

use crate::metric_rng;

/// Standard deviation of the noise, in normalized units.
const NOISE: f64 = 0.01;

/// Of `image` `[1, C, H, W]`, one for each boolean mask of `kept` `[N, 1, H, W]`: those pixels are left, the others imputed.
///
/// At least one pixel of each is left.
pub(crate) fn images(image: &Tensor, kept: &Tensor, seed: u64) -> Tensor {
    let size = image.size();
    let (n, channels) = (kept.size()[0], size[1]);
    let (height, width) = (size[2] as usize, size[3] as usize);
    let n_pixels = height * width;
    let kept = Vec::<bool>::try_from(kept.flatten(0, -1)).expect("booleans");
    let pixels = Vec::<f64>::try_from(image.to_kind(Kind::Double).contiguous().view([-1]));
    let pixels = pixels.expect("numbers");
    // The same noise at a pixel whichever others are gone with it.
    let mut random = metric_rng(seed);
    let noise: Vec<f64> = (0..pixels.len())
        .map(|_| NOISE * Distribution::<f64>::sample(&StandardNormal, &mut random))
        .collect();
    let holes: Vec<Holes> =
        kept.par_chunks(n_pixels).map(|kept| Holes::new(height, width, kept)).collect();
    // Each channel of each image is a piece of work of its own: a large hole takes many times as long as a small one.
    let systems = holes.iter().flat_map(|holes| {
        let channels = pixels.chunks(n_pixels).zip(noise.chunks(n_pixels));
        channels.map(move |(pixels, noise)| (holes, pixels, noise))
    });
    let systems: Vec<_> = systems.collect();
    let imputed: Vec<Vec<f64>> = systems
        .into_par_iter()
        .with_max_len(1)
        .map(|(holes, pixels, noise)| holes.fill(pixels, noise))
        .collect();
    Tensor::from_slice(&imputed.concat())
        .view([n, channels, height as i64, width as i64])
        .to_kind(image.kind())
        .to_device(image.device())
}

/// Pixels that are gone, on a grid with a border of zeros around the image, so that every pixel has eight neighbors.
struct Holes {
    width: usize,
    /// Cells of the grid.
    n_cells: usize,
    /// The image's pixels, by their cells.
    cells: Vec<usize>,
    /// Of those, the ones that are gone, with the sums of their neighbors' weights.
    gone: Vec<(usize, f64)>,
}

/// Successive over-relaxation of the preconditioner. Any value in (0, 2) gives the same solution; this one takes the fewest
/// steps where a large part of an image is gone.
const RELAXATION: f64 = 1.9;

/// The residual, relative to the right-hand side, at which a solution is good enough: off by about 1e-4, a hundredth of
/// the noise.
const TOLERANCE: f64 = 1e-5;

impl Holes {
    fn new(height: usize, width: usize, kept: &[bool]) -> Self {
        let width = width + 2;
        let n_cells = (height + 2) * width;
        let cells: Vec<usize> =
            (1..=height).flat_map(|row| row * width + 1..(row + 1) * width - 1).collect();
        let mut is_inside = vec![0.0; n_cells];
        for &cell in &cells {
            is_inside[cell] = 1.0;
        }
        let gone = cells.iter().zip(kept).filter(|(_, kept)| !**kept);
        let weights = |cell| before(&is_inside, cell, width) + after(&is_inside, cell, width);
        let gone = gone.map(|(&cell, _)| (cell, weights(cell))).collect();
        Self { width, n_cells, cells, gone }
    }

    /// One channel with its holes filled, and noise in them.
    fn fill(&self, pixels: &[f64], noise: &[f64]) -> Vec<f64> {
        let mut left = self.grid();
        for (&cell, &pixel) in self.cells.iter().zip(pixels) {
            left[cell] = pixel;
        }
        for &(cell, _) in &self.gone {
            left[cell] = 0.0;
        }
        let solution = self.solve(&left);
        let mut noisy = self.grid();
        for (&cell, noise) in self.cells.iter().zip(noise) {
            noisy[cell] = *noise;
        }
        for &(cell, _) in &self.gone {
            left[cell] = solution[cell] + noisy[cell];
        }
        self.cells.iter().map(|&cell| left[cell]).collect()
    }

    fn grid(&self) -> Vec<f64> {
        vec![0.0; self.n_cells]
    }

    /// What is gone, from what is left; by conjugate gradients, preconditioned by symmetric successive over-relaxation
    /// (Saad, *Iterative Methods for Sparse Linear Systems*, 2003, algorithms 9.1 and 10.2).
    fn solve(&self, left: &[f64]) -> Vec<f64> {
        let (mut x, mut residual) = (self.grid(), self.grid());
        for &(cell, _) in &self.gone {
            residual[cell] = before(left, cell, self.width) + after(left, cell, self.width);
        }
        let goal = TOLERANCE.powi(2) * self.dot(&residual, &residual);
        let (mut direction, mut image, mut z) = (self.grid(), self.grid(), self.grid());
        let mut energy = 0.0;
        // In exact arithmetic there are never more steps than unknowns.
        for step in 0..=self.gone.len() {
            if self.dot(&residual, &residual) <= goal {
                break;
            }
            self.precondition(&residual, &mut z);
            let last = std::mem::replace(&mut energy, self.dot(&residual, &z));
            let momentum = if step == 0 { 0.0 } else { energy / last };
            for &(cell, _) in &self.gone {
                direction[cell] = z[cell] + momentum * direction[cell];
            }
            for &(cell, weights) in &self.gone {
                image[cell] = weights * direction[cell]
                    - before(&direction, cell, self.width)
                    - after(&direction, cell, self.width);
            }
            let length = energy / self.dot(&direction, &image);
            for &(cell, _) in &self.gone {
                x[cell] += length * direction[cell];
                residual[cell] -= length * image[cell];
            }
        }
        x
    }

    /// One sweep down and one sweep up.
    fn precondition(&self, residual: &[f64], z: &mut [f64]) {
        for &(cell, weights) in &self.gone {
            z[cell] = (residual[cell] + before(z, cell, self.width)) * RELAXATION / weights;
        }
        // What lies after a cell is already done in this sweep; `z` itself still holds the first one.
        for &(cell, weights) in self.gone.iter().rev() {
            z[cell] =
                z[cell] * (2.0 - RELAXATION) + after(z, cell, self.width) * RELAXATION / weights;
        }
    }

    fn dot(&self, a: &[f64], b: &[f64]) -> f64 {
        self.gone.iter().map(|&(cell, _)| a[cell] * b[cell]).sum()
    }
}

/// The weighted sum of a cell's neighbors that come before it in row-major order: 2 at its sides, 1 at its corners.
fn before(grid: &[f64], cell: usize, width: usize) -> f64 {
    let above = cell - width;
    grid[above - 1] + grid[above + 1] + 2.0 * (grid[above] + grid[cell - 1])
}

/// As [`before`], of those that come after it.
fn after(grid: &[f64], cell: usize, width: usize) -> f64 {
    let below = cell + width;
    grid[below - 1] + grid[below + 1] + 2.0 * (grid[below] + grid[cell + 1])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tch::Device;

    use super::*;

    /// The same system as a matrix, solved by elimination.
    fn dense(height: i64, width: i64, pixels: &[f64], kept: &[bool]) -> Vec<f64> {
        let n = height * width;
        let matrix = Tensor::eye(n, (Kind::Double, Device::Cpu));
        let right: Vec<f64> =
            pixels.iter().zip(kept).map(|(pixel, kept)| if *kept { *pixel } else { 0.0 }).collect();
        for i in (0..n).filter(|&i| !kept[i as usize]) {
            let mut neighbors = vec![];
            for (dy, dx) in (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| (dy, dx))) {
                let (y, x) = (i / width + dy, i % width + dx);
                if (dy, dx) != (0, 0) && (0..height).contains(&y) && (0..width).contains(&x) {
                    let weight = if dy == 0 || dx == 0 { 1.0 / 6.0 } else { 1.0 / 12.0 };
                    neighbors.push((y * width + x, weight));
                }
            }
            let total: f64 = neighbors.iter().map(|(_, weight)| weight).sum();
            for (j, weight) in neighbors {
                let _ = matrix.get(i).get(j).fill_(-weight / total);
            }
        }
        let right = Tensor::from_slice(&right).view([n, 1]);
        Vec::try_from(Tensor::linalg_solve(&matrix, &right, true).view(-1)).unwrap()
    }

    fn fill(height: usize, width: usize, pixels: &[f64], kept: &[bool]) -> Vec<f64> {
        Holes::new(height, width, kept).fill(pixels, &vec![0.0; pixels.len()])
    }

    #[test]
    fn a_hole_in_a_row_is_the_mean_of_its_two_sides_and_two_holes_share_the_way() {
        assert!((fill(1, 3, &[1.0, 9.0, 2.0], &[true, false, true])[1] - 1.5).abs() < 1e-9);
        let two = fill(1, 4, &[0.0, 9.0, 9.0, 3.0], &[true, false, false, true]);
        assert!((two[1] - 1.0).abs() < 1e-9 && (two[2] - 2.0).abs() < 1e-9, "{two:?}");
    }

    #[test]
    fn a_corner_weighs_half_of_a_side() {
        // Of [[?, 1], [2, 4]]: (2·1 + 2·2 + 4) / 5.
        let filled = fill(2, 2, &[9.0, 1.0, 2.0, 4.0], &[false, true, true, true]);
        assert!((filled[0] - 2.0).abs() < 1e-9, "{filled:?}");
    }

    #[test]
    fn from_one_pixel_comes_an_image_of_its_color() {
        let mut kept = vec![false; 40 * 30];
        kept[617] = true;
        let filled = fill(40, 30, &vec![0.7; 40 * 30], &kept);
        assert!(filled.iter().all(|value| (value - 0.7).abs() < 1e-3));
    }

    #[test]
    fn noise_is_of_the_stated_size_where_pixels_are_gone_and_nowhere_else() {
        let image = Tensor::full([1, 3, 64, 64], 0.5, (Kind::Float, Device::Cpu));
        let kept = Tensor::arange(64 * 64, (Kind::Int64, Device::Cpu)).view([1, 1, 64, 64]);
        let kept = kept.remainder(2).eq(0);
        let made = images(&image, &kept, 3);
        assert_eq!(made, images(&image, &kept, 3));
        let change = &made - &image;
        assert!((&change * kept.to_kind(Kind::Float)).abs().max().double_value(&[]) == 0.0);
        let deviation = change.masked_select(&kept.logical_not()).std(true).double_value(&[]);
        assert!((deviation - 0.01).abs() < 3e-4, "{deviation}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn holes_are_filled_as_elimination_fills_them(
            height in 1_usize..9, width in 1_usize..9, seed in any::<u64>(), share in 0.1_f64..0.95,
        ) {
            use rand::RngExt;
            let mut random = metric_rng(seed);
            let pixels: Vec<f64> = (0..height * width).map(|_| random.random_range(-2.0..2.0)).collect();
            let mut kept: Vec<bool> = pixels.iter().map(|_| random.random::<f64>() > share).collect();
            kept[0] = true;
            let expected = dense(height as i64, width as i64, &pixels, &kept);
            for (got, want) in fill(height, width, &pixels, &kept).iter().zip(&expected) {
                prop_assert!((got - want).abs() < 1e-3, "{got} is not {want}");
            }
        }
    }
}
