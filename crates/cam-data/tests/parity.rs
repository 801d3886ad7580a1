//! Pixels against Pillow's and torchvision's: see `vectors/make.py`.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use cam_core::{Interpolation, Preprocessing, Resize, cache_folder};
use cam_data::{Orientation, Photo};
use serde::{Deserialize, de::DeserializeOwned};

/// How far 8-bit pixels may be off, in the mean and at most. Resizing rounds alike but for rare halves.
const LOSSLESS: (f64, f64) = (0.05, 1.0);
/// JPEG decoders may differ in the last bit, and in how they enlarge subsampled color.
const JPEG: (f64, f64) = (0.5, 4.0);

#[test]
fn pixels_agree_with_torchvision_for_every_kind_of_file() {
    #[derive(Deserialize)]
    struct Case {
        image: String,
        exif: Orientation,
        expected: String,
        preprocessing: Preprocessing,
    }
    let cases: Vec<Case> = read("pixels.yaml");
    for Case { image, exif, expected, preprocessing } in cases {
        let photo =
            Photo::open(&vectors().join("images").join(image), &preprocessing, exif).unwrap();
        let wanted = image::open(vectors().join("expected").join(&expected)).unwrap().into_rgb8();
        assert_eq!((photo.width, photo.height), wanted.dimensions(), "{expected}");
        let differences: Vec<f64> = photo
            .rgb
            .iter()
            .zip(wanted.as_raw())
            .map(|(&found, &wanted)| f64::from(found.abs_diff(wanted)))
            .collect();
        let mean = mean(&differences);
        let largest = differences.iter().copied().fold(0.0, f64::max);
        println!("{expected}: mean {mean:.3}, largest {largest}");
        let tolerance = if expected.starts_with("png") { LOSSLESS } else { JPEG };
        assert!(mean < tolerance.0, "{expected}: {mean} off in the mean");
        assert!(largest <= tolerance.1, "{expected}: {largest} off");
    }
}

#[test]
fn photographs_agree_with_torchvision() {
    #[derive(Deserialize)]
    struct Case {
        image: String,
        interpolation: Interpolation,
        tenths: Vec<f64>,
    }
    let cases: Vec<Case> = read("photographs.yaml");
    let folders = [Some(cache_folder().join("photographs")), samples()];
    for Case { image, interpolation, tenths } in cases {
        let found =
            folders.iter().flatten().map(|folder| folder.join(&image)).find(|path| path.is_file());
        let Some(path) = found else {
            println!("skipped {image}: it is neither in the cache nor in IMAGENET_SAMPLES");
            continue;
        };
        let preprocessing = of_size(256, 224, interpolation);
        let photo = Photo::open(&path, &preprocessing, Orientation::Ignore).unwrap();
        let differences: Vec<f64> = block_means(&photo)
            .iter()
            .zip(&tenths)
            .map(|(found, tenths)| (found - tenths / 10.0).abs())
            .collect();
        let (mean, largest) = (mean(&differences), differences.iter().copied().fold(0.0, f64::max));
        println!(
            "{image}, {interpolation:?}: block means off by {mean:.3} in the mean, {largest:.2} at most"
        );
        assert!(mean < 0.5, "{image}, {interpolation:?}: {mean} off in the mean");
        assert!(largest < 1.0, "{image}, {interpolation:?}: {largest} off");
    }
}

#[test]
fn every_sample_of_imagenet_is_decoded() {
    let Some(folder) = samples() else {
        println!("skipped: IMAGENET_SAMPLES is not set");
        return;
    };
    let preprocessing = of_size(256, 224, Interpolation::Bilinear);
    let mut n_images = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "JPEG") {
            let photo = Photo::open(&path, &preprocessing, Orientation::Ignore);
            assert!(photo.is_ok(), "{}", photo.err().unwrap());
            n_images += 1;
        }
    }
    println!("{n_images} images decoded");
    assert!(n_images > 0, "no .JPEG file in {}", folder.display());
}

/// Means of 16 × 16 blocks, `[row, column, channel]`.
fn block_means(photo: &Photo) -> Vec<f64> {
    const BLOCKS: usize = 16;
    let side = photo.width as usize / BLOCKS;
    let mut means = vec![0.0; BLOCKS * BLOCKS * 3];
    for (index, &value) in photo.rgb.iter().enumerate() {
        let (pixel, channel) = (index / 3, index % 3);
        let (row, column) =
            (pixel / photo.width as usize / side, pixel % photo.width as usize / side);
        means[(row * BLOCKS + column) * 3 + channel] += f64::from(value) / (side * side) as f64;
    }
    means
}

fn of_size(resize: u32, crop: u32, interpolation: Interpolation) -> Preprocessing {
    let resize = Resize::Shorter(resize);
    Preprocessing { resize, crop, interpolation, mean: [0.0; 3], std: [1.0; 3] }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn samples() -> Option<PathBuf> {
    env::var_os("IMAGENET_SAMPLES").map(PathBuf::from)
}

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

fn read<T: DeserializeOwned>(file: &str) -> T {
    serde_yaml::from_str(&fs::read_to_string(vectors().join(file)).unwrap()).unwrap()
}
