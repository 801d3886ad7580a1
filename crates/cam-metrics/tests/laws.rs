//! Laws that every metric obeys, over the whole registry, and identities between metrics.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use cam_core::{
    About, Better, Classifier, Cost, Explained, FeatureShape, Map, Method, Metric, Score, Subject,
    Target, Upsampling, toy::Toy,
};
use cam_metrics::{
    AnyMetric, AverageGain, Coherency, Complexity, Deletion, Drop, EffectiveComplexity,
    EnergyPointingGame, Entropy, Fill, Increase, Infidelity, Insertion, MaxSensitivity,
    ModelRandomization, Order, PixelFlipping, PointingGame, RelevanceRank, Road, Sparseness,
    Sufficiency,
};
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

/// An image under network A, class 0, its object in the left half.
fn subject<'a>(toy: &'a Toy, image: &Tensor) -> Subject<'a> {
    let size = image.size();
    let region = Tensor::zeros([size[2], size[3]], (Kind::Bool, tch::Device::Cpu));
    let _ = region.narrow(1, 0, size[3] / 2).fill_(1);
    Subject::new(toy, image.shallow_clone(), Target::Class(0), 0).with_region(region)
}

/// Scores of a fixed map on network A, class 0, the second map being `then`.
fn score_with(metric: &dyn Metric, image: &Tensor, first: &Tensor, then: &Tensor) -> f64 {
    score_upsampled(metric, image, [first, then], Upsampling::Bilinear)
}

/// The same of maps that are brought to the image's size in one way or the other.
fn score_upsampled(
    metric: &dyn Metric,
    image: &Tensor,
    [first, then]: [&Tensor; 2],
    upsampling: Upsampling,
) -> f64 {
    let toy = Toy::network_a();
    let subject = subject(&toy, image);
    let method = Fixed {
        image: image.shallow_clone(),
        first: first.shallow_clone(),
        then: then.shallow_clone(),
    };
    let map = Map::new(first, subject.size()).unwrap().upsampled(upsampling);
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
    fn every_score_lies_in_its_range(values in prop::collection::vec(0.0_f64..1.0, 16)) {
        let map = map_of(&values);
        let coarse = map.narrow(0, 0, 2).narrow(1, 0, 2);
        prop_assume!([&map, &coarse].iter().all(|map| Map::new(map, [4, 4]).is_ok()));
        for metric in AnyMetric::all() {
            // A coarse map leaves [0, 1] where it is upsampled bicubically.
            for (map, upsampling) in [(&map, Upsampling::Bilinear), (&coarse, Upsampling::Bicubic)] {
                let maps = [map, &map.square()];
                let score = score_upsampled(&*metric, &Toy::waves(4, 4), maps, upsampling);
                prop_assert!(metric.range().contains(&score), "{} is {score}", metric.name());
            }
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
            let subject = subject(&toy, &Toy::waves(4, 4));
            let method = Fixed {
                image: subject.image().shallow_clone(),
                first: map.raw().shallow_clone(),
                then: map.raw().exp(),
            };
            metric.score(&Explained::new(&subject, &map, Some(&method))).unwrap()
        };
        let values = |score: Score| [vec![score.value], score.curve.unwrap_or_default()].concat();
        let one_by_one = values(score(1));
        for batch in [7, 64] {
            let together = values(score(batch));
            assert_eq!(one_by_one.len(), together.len(), "{}", metric.name());
            // A processor may add up the products of a larger batch in another order.
            let mut pairs = one_by_one.iter().zip(&together);
            assert!(pairs.all(|(a, b)| (a - b).abs() < 1e-12), "{}", metric.name());
        }
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
fn a_map_that_stays_what_it_was_is_unchanged_however_it_is_upsampled() {
    let raw = Tensor::from_slice(&[3.0_f64, 5.0, 4.0, 1.0]).view([2, 2]);
    let unchanged: [(&dyn Metric, f64); 3] = [
        (&MaxSensitivity::default(), 0.0),
        (&ModelRandomization::default(), 1.0),
        (&Coherency::default(), 1.0),
    ];
    for upsampling in [Upsampling::Bilinear, Upsampling::Bicubic] {
        for (metric, want) in unchanged {
            let got = score_upsampled(metric, &Toy::waves(4, 4), [&raw, &raw], upsampling);
            let title = metric.about().title;
            assert!((got - want).abs() < 1e-12, "{title}, {upsampling:?}: {got} is not {want}");
        }
    }
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
fn a_metric_that_needs_to_know_where_the_object_is_has_no_score_without() {
    let (toy, image) = (Toy::network_a(), Toy::waves(4, 6));
    let with = subject(&toy, &image);
    let without = Subject::new(&toy, image.shallow_clone(), Target::Class(0), 0);
    let map = map_of(&[0.1, 0.9, 0.4, 0.2].repeat(4));
    let method = Fixed { image: image.shallow_clone(), first: map.shallow_clone(), then: map };
    for metric in AnyMetric::all() {
        let has_score = |subject: &Subject<'_>| {
            let map = Map::made_by(&method, &method.first, subject.size()).unwrap();
            metric.score(&Explained::new(subject, &map, Some(&method))).is_some()
        };
        assert!(has_score(&with), "{}", metric.name());
        assert_eq!(has_score(&without), !metric.needs_region(), "{}", metric.name());
    }
}

#[test]
fn metrics_say_which_direction_is_good() {
    let lower: Vec<_> = AnyMetric::all()
        .iter()
        .filter(|metric| metric.better() == Better::Lower)
        .map(AnyMetric::name)
        .collect();
    assert_eq!(
        lower,
        [
            "drop",
            "deletion",
            "complexity",
            "pixel_flipping",
            "sufficiency",
            "infidelity",
            "max_sensitivity",
            "model_randomization",
            "entropy",
            "effective_complexity",
        ]
    );
    // Where the least salient pixels go first, a good map keeps the confidence, or gives it back late.
    let order = Order::LeastSalient;
    let controls: [&dyn Metric; 3] = [
        &Deletion { order, ..Deletion::default() },
        &PixelFlipping { order, ..PixelFlipping::default() },
        &Insertion { order, ..Insertion::default() },
    ];
    assert_eq!(
        controls.map(|metric| (metric.better(), metric.worst())),
        [(Better::Higher, Some(0.0)), (Better::Higher, Some(0.0)), (Better::Lower, Some(1.0))]
    );
}

/// A control whose map is in `[0, 1]` already.
struct Unit(Tensor);

impl Method for Unit {
    fn explain(&self, _: &Subject<'_>) -> Tensor {
        self.0.shallow_clone()
    }

    fn cost(&self, _: FeatureShape) -> Cost {
        Cost::default()
    }

    fn about(&self) -> About {
        About { title: "", summary: "", source: "" }
    }

    fn is_unit(&self) -> bool {
        true
    }
}

fn score_unit(metric: &dyn Metric, map: Tensor) -> f64 {
    let toy = Toy::network_a();
    let subject = subject(&toy, &Toy::waves(4, 6));
    let method = Unit(map);
    let map = Map::made_by(&method, &method.0, subject.size()).unwrap();
    metric.score(&Explained::new(&subject, &map, Some(&method))).unwrap().value
}

#[test]
fn a_map_of_ones_points_everywhere_and_a_single_pixel_at_one_place() {
    let ones = || Tensor::ones([4, 6], (Kind::Double, tch::Device::Cpu));
    let close = |got: f64, want: f64| assert!((got - want).abs() < 1e-12, "{got} is not {want}");
    // The region is half of the image.
    close(score_unit(&EnergyPointingGame {}, ones()), 0.5);
    close(score_unit(&PointingGame { tolerance: 0 }, ones()), 0.5);
    close(score_unit(&RelevanceRank {}, ones()), 0.5);
    close(score_unit(&Sparseness {}, ones()), 0.0);
    close(score_unit(&Entropy {}, ones()), 1.0);
    close(score_unit(&EffectiveComplexity::default(), ones()), 1.0);
    // What never changes explains no network.
    close(score_unit(&ModelRandomization::default(), ones()), 1.0);
    close(score_unit(&MaxSensitivity::default(), ones()), 0.0);

    let one = || {
        let map = ones().zeros_like();
        let _ = map.get(2).get(1).fill_(1.0);
        map
    };
    close(score_unit(&EnergyPointingGame {}, one()), 1.0);
    close(score_unit(&PointingGame { tolerance: 0 }, one()), 1.0);
    close(score_unit(&Sparseness {}, one()), 23.0 / 24.0);
    close(score_unit(&Entropy {}, one()), 0.0);
    close(score_unit(&EffectiveComplexity::default(), one()), 1.0 / 24.0);
}

#[test]
fn a_map_of_ones_on_a_grid_of_cells_has_the_share_of_one_cell() {
    for n in [2, 3] {
        let toy = Toy::network_a();
        let region = Tensor::zeros([6, 6], (Kind::Bool, tch::Device::Cpu));
        let _ = region.narrow(0, 0, 6 / n).narrow(1, 6 - 6 / n, 6 / n).fill_(1);
        let subject = Subject::new(&toy, Toy::waves(6, 6), Target::Class(0), 0).with_region(region);
        let method = Unit(Tensor::ones([6, 6], (Kind::Double, tch::Device::Cpu)));
        let map = Map::made_by(&method, &method.0, [6, 6]).unwrap();
        let score = EnergyPointingGame {}.score(&Explained::new(&subject, &map, None)).unwrap();
        assert!((score.value - 1.0 / (n * n) as f64).abs() < 1e-12);
    }
}

proptest! {
    #[test]
    fn road_changes_its_sign_with_the_order_of_the_pixels(values in prop::collection::vec(0.0_f64..1.0, 16)) {
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        prop_assume!(sorted.windows(2).all(|pair| pair[1] - pair[0] > 1e-6));
        let map = map_of(&values);
        let road = |map: &Tensor| score(&Road::default(), &Toy::waves(4, 4), map);
        prop_assert!((road(&map) + road(&map.neg())).abs() < 1e-12);
    }

    #[test]
    fn infidelity_is_never_above_that_of_a_map_of_nothing_and_0_for_what_squares_take(
        values in prop::collection::vec(0.0_f64..1.0, 16),
    ) {
        let map = map_of(&values);
        prop_assume!(Map::new(&map, [4, 4]).is_ok());
        let image = Toy::waves(4, 4);
        let infidelity = Infidelity { window: 1, n: 4 };
        let toy = Toy::network_a();
        let subject = subject(&toy, &image);
        let squares = cam_core::Squares { window: 1, n: 4 };
        let falls: Vec<f64> = subject.covered(squares).iter().map(|answer| subject.confidence() - answer.probability).collect();
        let nothing = falls.iter().map(|fall| fall * fall).sum::<f64>() / 16.0;
        prop_assert!(score(&infidelity, &image, &map) <= nothing + 1e-15);
        // A map that is what each pixel takes, but for the scale, which is free, and for the smallest, which is 0.
        let (min, max) = falls.iter().fold((f64::MAX, f64::MIN), |(a, b), &v| (a.min(v), b.max(v)));
        let unit: Vec<f64> = falls.iter().map(|fall| ((fall - min) / (max - min)).max(0.0)).collect();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let factor = dot(&unit, &falls) / dot(&unit, &unit);
        let plain = unit.iter().zip(&falls).map(|(u, f)| (factor * u - f).powi(2)).sum::<f64>() / 16.0;
        prop_assert!((score(&infidelity, &image, &map_of(&falls)) - plain).abs() < 1e-12);
    }
}

#[test]
fn squares_over_an_image_are_asked_once_for_all_maps() {
    let toy = Toy::network_a();
    let counted = cam_core::Counted::new(&toy);
    let subject = Subject::new(&counted, Toy::waves(4, 4), Target::Class(0), 0);
    let infidelity = Infidelity { window: 2, n: 3 };
    for map in [Toy::waves(4, 4).cos(), Toy::waves(4, 4).exp()] {
        let map = Map::new(&map.view([4, 4]), [4, 4]).unwrap();
        infidelity.score(&Explained::new(&subject, &map, None)).unwrap();
    }
    let features = FeatureShape::of(subject.features());
    assert_eq!(counted.forwards(), 1 + infidelity.forwards(0, features));
}

#[test]
fn a_curve_over_cells_runs_as_many_images_as_the_layer_has_cells() {
    let toy = Toy::network_a().with_batch(64);
    let counted = cam_core::Counted::new(&toy);
    let subject = Subject::new(&counted, Toy::waves(14, 14), Target::Class(0), 0);
    let map = Map::new(&Toy::waves(14, 14).cos().view([14, 14]), [14, 14]).unwrap();
    let features = FeatureShape::of(subject.features());
    let deletion = Deletion { unit: cam_metrics::Unit::Cells, ..Deletion::default() };
    assert_eq!(deletion.forwards(0, features), 196);
    deletion.score(&Explained::new(&subject, &map, None)).unwrap();
    assert_eq!(counted.forwards(), 1 + 196);
    let coarse = Deletion { steps: 28, ..deletion };
    assert_eq!(coarse.forwards(0, features), 28);
}

#[test]
fn sufficiency_of_all_pixels_in_the_best_order_is_never_above_that_of_the_worst() {
    // On positive pixels, keeping the largest keeps most of class 0.
    let image = Tensor::from_slice(&[1.5_f64, 3.0, 0.5, 2.0]).view([1, 1, 2, 2]);
    let of = |map: Tensor| score(&Sufficiency::default(), &image, &map);
    assert!(of(image.view([2, 2])) < of(image.neg().view([2, 2])));
}

#[test]
fn a_map_of_ones_asks_the_network_nothing_new_so_it_neither_drops_nor_gains() {
    let toy = Toy::network_a();
    let counted = cam_core::Counted::new(&toy);
    let subject = Subject::new(&counted, Toy::waves(4, 6), Target::Class(0), 0);
    let method = Unit(Tensor::ones([4, 6], (Kind::Double, tch::Device::Cpu)));
    let map = Map::made_by(&method, &method.0, [4, 6]).unwrap();
    let metrics: [&dyn Metric; 3] = [&Drop::default(), &Increase::default(), &AverageGain {}];
    let explained = Explained::new(&subject, &map, None);
    explained.prepare(metrics);
    for metric in metrics {
        assert_eq!(metric.score(&explained).unwrap().value.to_bits(), 0.0_f64.to_bits());
    }
    assert_eq!(counted.forwards(), 1);
}

#[test]
fn of_a_probability_of_zero_no_share_can_drop() {
    let toy = Toy::network_a();
    // Class 1 is so far behind that its probability is 0 in any float.
    let image = Toy::waves(4, 4).abs() * 1e6;
    let subject = Subject::new(&toy, image, Target::Class(1), 0);
    assert!(subject.confidence() <= 0.0);
    let map = Map::new(&Toy::waves(4, 4).view([4, 4]), [4, 4]).unwrap();
    assert!(Drop::default().score(&Explained::new(&subject, &map, None)).is_none());
}
