//! Superpixels: an image cut into connected patches of similar color, for the methods that hide patches.
//!
//! SLIC (Achanta et al. 2012, <https://doi.org/10.1109/TPAMI.2012.120>): k-means over color and place, each center looking no
//! further than its neighborhood, then patches made connected. Ours: colors are those of the normalized image, for a
//! method does not know the original ones; centers start on a grid and are not moved to where the gradient is small.

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

/// What stands in place of a hidden superpixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hide {
    /// 0 of the normalized image: the ImageNet mean for torchvision's networks, neutral gray for EfficientNet-Lite.
    Zero,
    /// The superpixel's own mean color.
    Mean,
}

/// An image cut into superpixels.
pub(crate) struct Superpixels {
    image: Tensor,
    /// `[H·W]`, each in `0..len`.
    labels: Tensor,
    len: usize,
}

/// Weight of a distance of one cell of the grid against a distance of one standard deviation of color.
const COMPACTNESS: f64 = 1.0;

/// Rounds of k-means.
const ROUNDS: usize = 10;

impl Superpixels {
    /// At most about `n` superpixels of an image `[1, 3, H, W]`.
    pub(crate) fn of(image: &Tensor, n: u32) -> Self {
        let (_, n_colors, height, width) = image.size4().expect("images have four dimensions");
        let colors: Vec<f64> = Vec::try_from(
            image
                .squeeze_dim(0)
                .permute([1, 2, 0])
                .contiguous()
                .view([-1])
                .to_kind(Kind::Double)
                .to_device(Device::Cpu),
        )
        .expect("a vector of numbers");
        let pixels = Pixels {
            colors,
            n_colors: n_colors as usize,
            size: [height, width].map(|side| side as usize),
        };
        let labels = pixels.connected(&pixels.clustered(n as usize));
        let len = labels.iter().max().map_or(0, |largest| *largest as usize + 1);
        let labels = Tensor::from_slice(&labels).to_device(image.device());
        Self { image: image.shallow_clone(), labels, len }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The image with some superpixels hidden: rows `[n, len]` of 1 (shown) and 0 (hidden) to images `[n, 3, H, W]`.
    pub(crate) fn show(&self, rows: &[Vec<bool>], hide: Hide) -> Tensor {
        let shown = matrix(rows).to_kind(self.image.kind()).to_device(self.image.device());
        let size = self.image.size();
        let masks = shown.index_select(1, &self.labels).view([-1, 1, size[2], size[3]]);
        match hide {
            Hide::Zero => &self.image * masks,
            Hide::Mean => &self.image * &masks + self.means() * (1.0 - masks),
        }
    }

    /// Every pixel in its superpixel's mean color: `[1, 3, H, W]`.
    fn means(&self) -> Tensor {
        let size = self.image.size();
        let pixels = self.image.reshape([size[1], -1]);
        let sums = Tensor::zeros([size[1], self.len as i64], (pixels.kind(), pixels.device()))
            .index_add(1, &self.labels, &pixels);
        let counts = Tensor::zeros([self.len as i64], (pixels.kind(), pixels.device())).index_add(
            0,
            &self.labels,
            &pixels.select(0, 0).ones_like(),
        );
        (sums / counts).index_select(1, &self.labels).view(&size[..])
    }

    /// One value a superpixel as a map `[H, W]`.
    pub(crate) fn paint(&self, values: &Tensor) -> Tensor {
        let size = self.image.size();
        values
            .to_device(self.image.device())
            .to_kind(self.image.kind())
            .index_select(0, &self.labels)
            .view([size[2], size[3]])
    }
}

/// Rows of shown and hidden as a matrix of 1 and 0, `[n, d]`, in double precision.
pub(crate) fn matrix(rows: &[Vec<bool>]) -> Tensor {
    let flat: Vec<f64> = rows.iter().flatten().map(|shown| f64::from(u8::from(*shown))).collect();
    Tensor::from_slice(&flat).view([rows.len() as i64, -1])
}

/// Colors `[H·W, n_colors]`, row by row.
struct Pixels {
    colors: Vec<f64>,
    n_colors: usize,
    size: [usize; 2],
}

/// A center of k-means: colors, then row and column.
struct Center {
    color: Vec<f64>,
    place: [f64; 2],
}

impl Pixels {
    fn color(&self, pixel: usize) -> &[f64] {
        &self.colors[pixel * self.n_colors..][..self.n_colors]
    }

    /// The nearest center of each pixel after k-means from a grid of at most about `n` centers.
    fn clustered(&self, n: usize) -> Vec<usize> {
        let [height, width] = self.size;
        let step = ((height * width) as f64 / n as f64).sqrt().max(1.0);
        let [rows, columns] =
            self.size.map(|side| ((side as f64 / step).round() as usize).clamp(1, side));
        let mut centers: Vec<Center> = (0..rows * columns)
            .map(|cell| {
                let middle = |i: usize, n: usize, side: usize| {
                    (i as f64 + 0.5) * side as f64 / n as f64 - 0.5
                };
                let place =
                    [middle(cell / columns, rows, height), middle(cell % columns, columns, width)];
                let pixel = place[0].round() as usize * width + place[1].round() as usize;
                Center { color: self.color(pixel).to_vec(), place }
            })
            .collect();
        let mut labels = vec![0; height * width];
        for _ in 0..ROUNDS {
            labels = self.nearest(&centers, step);
            self.move_to_means(&mut centers, &labels);
        }
        labels
    }

    /// The nearest of the centers that are no more than two steps away along either axis.
    fn nearest(&self, centers: &[Center], step: f64) -> Vec<usize> {
        let [height, width] = self.size;
        let mut labels = vec![0; height * width];
        let mut distances = vec![f64::INFINITY; height * width];
        let spatial = (COMPACTNESS / step).powi(2);
        for (label, center) in centers.iter().enumerate() {
            let [rows, columns] = [0, 1].map(|axis| {
                let place = center.place[axis];
                let end = (place + 2.0 * step).ceil() as usize + 1;
                (place - 2.0 * step).floor().max(0.0) as usize..end.min(self.size[axis])
            });
            for row in rows {
                for pixel in columns.clone().map(|column| row * width + column) {
                    let color: f64 = self
                        .color(pixel)
                        .iter()
                        .zip(&center.color)
                        .map(|(a, b)| (a - b).powi(2))
                        .sum();
                    let [y, x] = [row as f64, (pixel % width) as f64];
                    let place = (y - center.place[0]).powi(2) + (x - center.place[1]).powi(2);
                    let distance = color + spatial * place;
                    if distance < distances[pixel] {
                        (labels[pixel], distances[pixel]) = (label, distance);
                    }
                }
            }
        }
        labels
    }

    /// Puts every center in the middle of its pixels; one without pixels stays.
    fn move_to_means(&self, centers: &mut [Center], labels: &[usize]) {
        let width = self.size[1];
        let mut counts = vec![0.0; centers.len()];
        let mut sums: Vec<Center> = centers
            .iter()
            .map(|_| Center { color: vec![0.0; self.n_colors], place: [0.0; 2] })
            .collect();
        for (pixel, label) in labels.iter().enumerate() {
            let sum = &mut sums[*label];
            counts[*label] += 1.0;
            sum.color.iter_mut().zip(self.color(pixel)).for_each(|(sum, value)| *sum += value);
            sum.place[0] += (pixel / width) as f64;
            sum.place[1] += (pixel % width) as f64;
        }
        for ((center, sum), count) in centers.iter_mut().zip(sums).zip(counts) {
            if count > 0.0 {
                center.color = sum.color.iter().map(|value| value / count).collect();
                center.place = sum.place.map(|value| value / count);
            }
        }
    }

    /// Connected patches numbered from 0 in reading order; one smaller than a quarter of the mean joins the one before it.
    fn connected(&self, labels: &[usize]) -> Vec<i64> {
        let [height, width] = self.size;
        let n_labels = labels.iter().collect::<std::collections::BTreeSet<_>>().len();
        let smallest = labels.len() / n_labels.max(1) / 4;
        let neighbors = |pixel: usize| {
            let (row, column) = (pixel / width, pixel % width);
            [
                (row > 0).then(|| pixel - width),
                (column > 0).then(|| pixel - 1),
                (column + 1 < width).then_some(pixel + 1),
                (row + 1 < height).then_some(pixel + width),
            ]
            .into_iter()
            .flatten()
        };
        let mut patches = vec![-1_i64; labels.len()];
        let mut next = 0;
        for start in 0..labels.len() {
            if patches[start] >= 0 {
                continue;
            }
            let before = neighbors(start).map(|pixel| patches[pixel]).find(|patch| *patch >= 0);
            let mut patch = vec![start];
            patches[start] = next;
            let mut looked_at = 0;
            while let Some(pixel) = patch.get(looked_at).copied() {
                looked_at += 1;
                for neighbor in neighbors(pixel) {
                    if patches[neighbor] < 0 && labels[neighbor] == labels[start] {
                        patches[neighbor] = next;
                        patch.push(neighbor);
                    }
                }
            }
            match before {
                Some(before) if patch.len() < smallest => {
                    for pixel in patch {
                        patches[pixel] = before;
                    }
                }
                _ => next += 1,
            }
        }
        patches
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(superpixels: &Superpixels) -> Vec<i64> {
        Vec::try_from(&superpixels.labels).unwrap()
    }

    #[test]
    fn a_flat_image_is_cut_into_the_cells_of_a_grid() {
        let image = Tensor::zeros([1, 3, 4, 6], (Kind::Float, Device::Cpu));
        let superpixels = Superpixels::of(&image, 6);
        let row = |a: i64| [a, a, a + 1, a + 1, a + 2, a + 2];
        assert_eq!(labels(&superpixels), [row(0), row(0), row(3), row(3)].concat());
        assert_eq!(superpixels.len(), 6);
    }

    #[test]
    fn as_many_superpixels_as_pixels_are_the_pixels() {
        let image = Tensor::arange(12, (Kind::Float, Device::Cpu)).sin().view([1, 1, 3, 4]);
        assert_eq!(labels(&Superpixels::of(&image, 12)), (0..12).collect::<Vec<i64>>());
        assert_eq!(labels(&Superpixels::of(&image, 500)), (0..12).collect::<Vec<i64>>());
    }

    #[test]
    fn a_border_follows_an_edge_of_the_image() {
        // The left five of twelve columns are dark: the border between two superpixels is there, not in the middle.
        let image = Tensor::zeros([1, 3, 6, 12], (Kind::Float, Device::Cpu));
        let _ = image.narrow(3, 5, 7).fill_(3.0);
        let superpixels = Superpixels::of(&image, 2);
        let row: Vec<i64> = (0..12).map(|column| i64::from(column >= 5)).collect();
        assert_eq!(labels(&superpixels), row.repeat(6));
    }

    #[test]
    fn every_superpixel_is_connected_and_has_a_number_below_their_count() {
        let noise = Tensor::arange(3 * 40 * 30, (Kind::Float, Device::Cpu)) * 12.9898;
        let image = (noise.sin() * 43758.5453).frac().view([1, 3, 40, 30]);
        let superpixels = Superpixels::of(&image, 20);
        let labels = labels(&superpixels);
        for label in 0..superpixels.len() as i64 {
            let members: Vec<usize> = (0..labels.len()).filter(|i| labels[*i] == label).collect();
            let mut reached = vec![members[0]];
            let mut at = 0;
            while at < reached.len() {
                let pixel = reached[at];
                at += 1;
                for other in &members {
                    let apart =
                        (pixel / 30).abs_diff(other / 30) + (pixel % 30).abs_diff(other % 30);
                    if apart == 1 && !reached.contains(other) {
                        reached.push(*other);
                    }
                }
            }
            assert_eq!(reached.len(), members.len(), "superpixel {label}");
        }
    }

    #[test]
    fn hidden_superpixels_are_zero_or_their_mean() {
        // Two equal lines of four pixels: their halves have the means 2 and 19.
        let line = [1.0_f32, 3.0, 18.0, 20.0];
        let image = Tensor::from_slice(&[line, line].concat()).view([1, 1, 2, 4]);
        let superpixels = Superpixels::of(&image, 2);
        assert_eq!(labels(&superpixels), [0, 0, 1, 1, 0, 0, 1, 1]);
        let rows = [vec![true, false], vec![false, true]];
        let lines = |hide| {
            let images = superpixels.show(&rows, hide).select(2, 1).flatten(0, -1);
            Vec::<f32>::try_from(images).unwrap()
        };
        assert_eq!(lines(Hide::Zero), [1.0, 3.0, 0.0, 0.0, 0.0, 0.0, 18.0, 20.0]);
        assert_eq!(lines(Hide::Mean), [1.0, 3.0, 19.0, 19.0, 2.0, 2.0, 18.0, 20.0]);
        let painted = superpixels.paint(&Tensor::from_slice(&[7.0_f64, 8.0])).get(0);
        assert_eq!(Vec::<f32>::try_from(painted).unwrap(), [7.0, 7.0, 8.0, 8.0]);
    }
}
