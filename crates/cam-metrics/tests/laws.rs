//! Laws that every metric obeys, over the whole registry, and identities between metrics.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use cam_core::{
    About, Better, Classifier, Cost, Explained, FeatureShape, Map, Method, Metric, Subject, Target,
    toy::Toy,
};
use cam_metrics::{AnyMetric, Coherency, Complexity, Deletion, Drop, Fill, Increase, Insertion};
use proptest::prelude::*;
use tch::{Kind, Tensor};

/// A method that says the same of the image itself and of every other image something else.
struct Fixed {
    image: Tensor,
    first: Tensor,
    then: Tensor,
}

impl Method for Fixed {
    fn explain(&self, subject: &Subject<'_>) -> Tensor {
        if *subject.image() == self.image {
            self.first.shallow_clone()
        } else {
            self.then.shallow_clone()
        }
    }

    fn cost(&self, _: FeatureShape) -> Cost {
        Cost::default()
    }

    fn about(&self) -> About {
        About { title: "", summary: "", source: "" }
    }
}

/// Scores of a fixed map on network A, class 0, the second map being `then`.
fn score_with(metric: &dyn Metric, image: &Tensor, first: &Tensor, then: &Tensor) -> f64 {
    let toy = Toy::network_a();
    let subject = Subject::new(&toy, image.shallow_clone(), Target::Class(0), 0);
    let method = Fixed {
        image: image.shallow_clone(),
        first: first.shallow_clone(),
        then: then.shallow_clone(),
    };
    let map = Map::new(first, subject.size()).unwrap();
    metric.score(&Explained::new(&subject, &map, Some(&method))).unwrap().value
}

fn score(metric: &dyn Metric, image: &Tensor, map: &Tensor) -> f64 {
    score_with(metric, image, map, map)
}

fn map_of(values: &[f64]) -> Tensor {
    Tensor::from_slice(values).view([4, 4])
}

proptest! {
    #[test]
    fn every_score_lies_between_zero_and_one(values in prop::collection::vec(0.0_f64..1.0, 16)) {
        let map = map_of(&values);
        prop_assume!(Map::new(&map, [4, 4]).is_ok());
        for metric in AnyMetric::all() {
            let score = score(&*metric, &Toy::waves(4, 4), &map);
            prop_assert!((0.0..=1.0).contains(&score), "{} is {score}", metric.name());
        }
    }

    #[test]
    fn no_score_changes_with_a_positive_affine_change_of_the_map(
        values in prop::collection::vec(0.0_f64..1.0, 16), scale in 0.5_f64..4.0, shift in -3.0_f64..3.0,
    ) {
        let map = map_of(&values);
        prop_assume!(Map::new(&map, [4, 4]).is_ok());
        // Ties that rounding makes or breaks would change an order of pixels.
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        prop_assume!(sorted.windows(2).all(|pair| pair[1] - pair[0] > 1e-6));
        for metric in AnyMetric::all().iter().filter(|metric| metric.name() != "increase") {
            let plain = score(&**metric, &Toy::waves(4, 4), &map);
            let changed = score(&**metric, &Toy::waves(4, 4), &(&map * scale + shift));
            prop_assert!((plain - changed).abs() < 1e-6, "{}: {plain} and {changed}", metric.name());
        }
    }

    #[test]
    fn a_deletion_curve_is_the_insertion_curve_of_the_inverse_map_read_backwards(
        values in prop::collection::vec(0.0_f64..1.0, 16),
    ) {
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        prop_assume!(sorted.windows(2).all(|pair| pair[1] - pair[0] > 1e-6));
        let map = map_of(&values);
        let inverse = map.neg();
        for fill in [Fill::Zero, Fill::Blur] {
            let deletion = score(&Deletion { steps: 8, fill, ..Deletion::default() }, &Toy::waves(4, 4), &map);
            let insertion = score(&Insertion { steps: 8, start: fill, ..Insertion::default() }, &Toy::waves(4, 4), &inverse);
            prop_assert!((deletion - insertion).abs() < 1e-12);
        }
    }
}

#[test]
fn the_end_points_of_both_curves_are_the_image_and_the_fill() {
    let toy = Toy::network_a();
    let subject = Subject::new(&toy, Toy::waves(4, 4), Target::Class(0), 0);
    let map = Map::new(&Toy::waves(4, 4).view([4, 4]), [4, 4]).unwrap();
    let explained = Explained::new(&subject, &map, None);
    let empty = subject.probability(&toy.logits(&subject.image().zeros_like())).double_value(&[0]);
    for steps in [1, 2, 5, 16] {
        let deletion =
            Deletion { steps, ..Deletion::default() }.score(&explained).unwrap().curve.unwrap();
        let insertion = Insertion { steps, start: Fill::Zero, ..Insertion::default() }
            .score(&explained)
            .unwrap()
            .curve
            .unwrap();
        assert_eq!(deletion.len(), steps as usize + 1);
        for (start, end) in
            [(deletion[0], deletion[steps as usize]), (insertion[steps as usize], insertion[0])]
        {
            assert!((start - subject.confidence()).abs() < 1e-12 && (end - empty).abs() < 1e-12);
        }
    }
}

#[test]
fn the_batch_size_changes_no_score() {
    let map = Map::new(&Toy::waves(4, 4).view([4, 4]).cos(), [4, 4]).unwrap();
    for metric in AnyMetric::all() {
        let score = |batch| {
            let toy = Toy::network_a().with_batch(batch);
            let subject = Subject::new(&toy, Toy::waves(4, 4), Target::Class(0), 0);
            let method = Fixed {
                image: subject.image().shallow_clone(),
                first: map.raw().shallow_clone(),
                then: map.raw().exp(),
            };
            metric.score(&Explained::new(&subject, &map, Some(&method))).unwrap()
        };
        assert_eq!(score(1), score(7), "{}", metric.name());
        assert_eq!(score(1), score(64), "{}", metric.name());
    }
}

#[test]
fn coherency_is_one_with_itself_zero_with_its_inverse_and_a_half_with_a_constant() {
    let image = Toy::waves(4, 4);
    let map = image.view([4, 4]);
    let coherency = |then: &Tensor| score_with(&Coherency::default(), &image, &map, then);
    assert!((coherency(&map) - 1.0).abs() < 1e-12);
    assert!((coherency(&(&map * 3.0 + 1.0)) - 1.0).abs() < 1e-12);
    assert!(coherency(&map.neg()).abs() < 1e-12);
    assert!((coherency(&map.zeros_like()) - 0.5).abs() < 1e-12);
    assert!(coherency(&(map.zeros_like() * f64::NAN)).is_nan(), "what broke is no number");
}

#[test]
fn the_masked_image_is_explained_with_the_same_seed() {
    let toy = Toy::network_a();
    let subject = Subject::new(&toy, Toy::waves(4, 4), Target::Class(0), 77);
    let map = Map::new(&Toy::waves(4, 4).view([4, 4]), subject.size()).unwrap();
    assert_eq!(Explained::new(&subject, &map, None).masked().seed(), 77);
}

#[test]
fn a_map_of_all_but_one_pixel_drops_nothing_and_is_complex() {
    // The degenerate explanation that shows why one metric is not enough.
    let image = Toy::waves(4, 4);
    let ones = Tensor::ones([4, 4], (Kind::Double, tch::Device::Cpu));
    // A pixel whose activations are all zero, so hiding it changes nothing.
    let quiet = image.view(-1).abs().argmin(None, false).int64_value(&[]);
    let _ = ones.view(-1).get(quiet).fill_(0.0);
    assert!(score(&Drop::default(), &image, &ones) < 0.05);
    assert!((score(&Complexity::default(), &image, &ones) - 15.0 / 16.0).abs() < 1e-12);
}

#[test]
fn on_a_linear_network_the_true_order_minimizes_deletion_and_maximizes_insertion() {
    // Positive pixels through network A: class 0 gets 2 x + ReLU(x - 1) more from a larger pixel. All 24 orders of four
    // pixels, with the map's values as ranks: the order of the CAM is the best for both.
    let image = Tensor::from_slice(&[1.5_f64, 3.0, 0.5, 2.0]).view([1, 1, 2, 2]);
    let toy = Toy::network_a();
    let subject = Subject::new(&toy, image.shallow_clone(), Target::Class(0), 0);
    let areas = |ranks: [f64; 4]| {
        let map = Map::new(&Tensor::from_slice(&ranks).view([2, 2]), [2, 2]).unwrap();
        let explained = Explained::new(&subject, &map, None);
        let deletion =
            Deletion { steps: 4, ..Deletion::default() }.score(&explained).unwrap().value;
        let insertion = Insertion { steps: 4, start: Fill::Zero, ..Insertion::default() }
            .score(&explained)
            .unwrap()
            .value;
        (deletion, insertion)
    };
    let (best_deletion, best_insertion) = areas([1.0, 3.0, 0.0, 2.0]);
    for a in 0..4_u8 {
        for b in (0..4).filter(|&b| b != a) {
            for c in (0..4).filter(|&c| c != a && c != b) {
                let ranks = [a, b, c, 6 - a - b - c].map(f64::from);
                let (deletion, insertion) = areas(ranks);
                assert!(deletion >= best_deletion - 1e-12, "{ranks:?}");
                assert!(insertion <= best_insertion + 1e-12, "{ranks:?}");
            }
        }
    }
}

#[test]
fn equal_confidence_is_no_increase() {
    // Network A sees nothing of a pixel at 0: masking it leaves the confidence as it is.
    let image = Tensor::from_slice(&[2.0_f64, 0.0, 2.0, 2.0]).view([1, 1, 2, 2]);
    let map = Tensor::from_slice(&[1.0_f64, 0.0, 1.0, 1.0]).view([2, 2]);
    assert!(score(&Increase::default(), &image, &map).abs() < 1e-12);
    assert!(score(&Drop::default(), &image, &map).abs() < 1e-12);
}

#[test]
fn metrics_say_which_direction_is_good() {
    let lower: Vec<_> = AnyMetric::all()
        .iter()
        .filter(|metric| metric.better() == Better::Lower)
        .map(AnyMetric::name)
        .collect();
    assert_eq!(lower, ["drop", "deletion", "complexity"]);
}
