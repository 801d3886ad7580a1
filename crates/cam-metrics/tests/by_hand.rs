//! Every metric on toy network A against numbers computed by hand from the formulas.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use cam_core::{
    Better, Classifier, Explained, Map, Method, Metric, Subject, Target, Upsampling, toy::Toy,
    upsample,
};
use cam_metrics::{
    Arcc, Area, AverageGain, Coherency, Complexity, Deletion, Drop, EffectiveComplexity,
    EnergyPointingGame, Entropy, Fill, Increase, Infidelity, Insertion, MaxSensitivity,
    ModelRandomization, Order, Output, PixelFlipping, PointingGame, Reference, RelevanceRank,
    Resolution, Road, Sparseness, Sufficiency, Unit,
};
use tch::{Kind, Tensor};

/// The method whose map on the toy image is [.25, .625, 0, 1]: CAM with ReLU, written out.
struct CamByHand;

impl Method for CamByHand {
    fn explain(&self, subject: &Subject<'_>) -> Tensor {
        let weights = Tensor::from_slice(&[2.0_f64, -1.0, 1.0]).view([3, 1, 1]);
        (subject.features().squeeze_dim(0) * weights)
            .sum_dim_intlist(0_i64, false, None::<Kind>)
            .relu()
    }

    fn cost(&self, _: cam_core::FeatureShape) -> cam_core::Cost {
        cam_core::Cost::default()
    }

    fn about(&self) -> cam_core::About {
        cam_core::About { title: "", summary: "", source: "" }
    }
}

fn on_toy<T>(check: impl FnOnce(&Explained<'_>) -> T) -> T {
    let toy = Toy::network_a();
    let subject = Subject::new(&toy, Toy::image(), Target::Class(0), 0);
    let map = Map::new(&CamByHand.explain(&subject), subject.size()).unwrap();
    check(&Explained::new(&subject, &map, Some(&CamByHand)))
}

fn close(got: f64, want: f64) {
    assert!((got - want).abs() < 1e-9, "{got} is not {want}");
}

#[test]
fn drop_increase_complexity_and_coherency_have_the_values_computed_by_hand() {
    on_toy(|explained| {
        close(explained.masked().confidence(), 0.990_587_410_4);
        close(Drop::default().score(explained).unwrap().value, 0.004_825_259_8);
        close(Increase::default().score(explained).unwrap().value, 0.0);
        close(Complexity::default().score(explained).unwrap().value, 0.468_75);
        close(Coherency::default().score(explained).unwrap().value, 0.975_790_936_5);
    });
}

#[test]
fn deletion_replaces_one_pixel_after_the_other() {
    on_toy(|explained| {
        let score = Deletion { steps: 4, ..Deletion::default() }.score(explained).unwrap();
        let curve = [0.995_390_4, 0.946_596_7, 0.777_299_9, 0.622_459_3, 0.731_058_6];
        for (got, want) in score.curve.unwrap().iter().zip(curve) {
            assert!((got - want).abs() < 5e-8, "{got} is not {want}");
        }
        close(score.value, 0.802_395_091_5);
    });
}

#[test]
fn insertion_restores_one_pixel_after_the_other() {
    on_toy(|explained| {
        let score = Insertion { steps: 4, start: Fill::Zero, ..Insertion::default() }
            .score(explained)
            .unwrap();
        let curve = [0.731_058_6, 0.970_687_8, 0.994_088_9, 0.997_199_1, 0.995_390_4];
        for (got, want) in score.curve.unwrap().iter().zip(curve) {
            assert!((got - want).abs() < 5e-8, "{got} is not {want}");
        }
        close(score.value, 0.956_300_069_2);
    });
}

#[test]
fn where_the_least_salient_pixels_go_first_a_good_map_keeps_the_confidence() {
    on_toy(|explained| {
        // The insertion's curve read backwards; of the inverse map, the deletion's.
        let order = Order::LeastSalient;
        let deletion = Deletion { steps: 4, order, ..Deletion::default() };
        close(deletion.score(explained).unwrap().value, 0.956_300_069_2);
        let subject = explained.subject();
        let inverse = Map::new(&explained.map().raw().neg(), subject.size()).unwrap();
        let inverse = Explained::new(subject, &inverse, None);
        close(deletion.score(&inverse).unwrap().value, 0.802_395_091_5);
        assert_eq!(deletion.better(), Better::Higher);
    });
}

#[test]
fn more_steps_than_pixels_are_as_many_as_there_are_pixels() {
    on_toy(|explained| {
        let score = Deletion::default().score(explained).unwrap();
        assert_eq!(score.curve.unwrap().len(), 5);
        close(score.value, 0.802_395_091_5);
    });
}

#[test]
fn uneven_steps_are_weighed_by_their_share_of_pixels() {
    // Three intervals of 1, 1 and 2 pixels.
    on_toy(|explained| {
        let c = [0.995_390_427_8, 0.946_596_7, 0.777_299_9, 0.731_058_6];
        let want = ((c[0] + c[1]) / 2.0 + (c[1] + c[2]) / 2.0 + (c[2] + c[3])) / 4.0;
        let got = Deletion { steps: 3, ..Deletion::default() }.score(explained).unwrap();
        assert!((got.value - want).abs() < 1e-6, "{} is not {want}", got.value);
    });
}

#[test]
fn areas_of_recipro_cams_authors_are_divided_by_the_number_of_points() {
    on_toy(|explained| {
        let deletion = Deletion { steps: 4, area: Area::Points, ..Deletion::default() };
        close(deletion.score(explained).unwrap().value, 0.641_916_073_2);
        let insertion =
            Insertion { steps: 4, start: Fill::Zero, area: Area::Points, ..Insertion::default() };
        close(insertion.score(explained).unwrap().value, 0.793_943_506_2);
        // The map has the image's size, so that pixels are cells, and there are four of them.
        let cells = Deletion { unit: Unit::Cells, area: Area::Points, ..Deletion::default() };
        close(cells.score(explained).unwrap().value, 0.641_916_073_2);
        let cells = Insertion {
            unit: Unit::Cells,
            start: Fill::Zero,
            area: Area::Points,
            ..Insertion::default()
        };
        close(cells.score(explained).unwrap().value, 0.793_943_506_2);
    });
}

#[test]
fn logits_are_measured_where_they_are_asked_for() {
    on_toy(|explained| {
        // Logits after 0 to 4 pixels: 4, then without 8, 5, 2 and -1 quarters.
        let deletion = Deletion { steps: 4, score: Output::Logit, ..Deletion::default() };
        let score = deletion.score(explained).unwrap();
        assert_eq!(score.curve.unwrap(), [4.0, 2.0, 0.75, 0.25, 0.5]);
        close(score.value, (2.0 + 2.0 + 0.75 + 0.25 + 0.25) / 4.0);
        // The explanation image has the activations [.25, 1.25, 0, 3], [0; 4] and [0, .25, 0, 2].
        let logit = (2.0 * 4.5 + 2.25) / 4.0 + 0.5;
        close(explained.masked().answer().logit, logit);
        close(Increase { score: Output::Logit }.score(explained).unwrap().value, 0.0);
    });
}

#[test]
fn drop_may_start_from_the_largest_probability_whatever_class_is_explained() {
    let toy = Toy::network_a();
    let subject = Subject::new(&toy, Toy::image(), Target::Class(1), 0);
    let map = Map::new(&CamByHand.explain(&subject), subject.size()).unwrap();
    let explained = Explained::new(&subject, &map, None);
    // Class 1 has a probability of .0046, and of .0094 on the explanation image; the largest one is .9954.
    close(Drop::default().score(&explained).unwrap().value, 0.0);
    let largest = Drop { reference: Reference::Largest };
    let [y, o] = [0.995_390_427_8, 1.0 - 0.990_587_410_4];
    close(largest.score(&explained).unwrap().value, (y - o) / y);
}

/// A layer with a cell for two pixels of a line; the logits are the activations.
struct Halves;

impl Classifier for Halves {
    fn features(&self, images: &Tensor) -> Tensor {
        images.avg_pool2d([1, 2], [1, 2], [0, 0], false, true, None)
    }

    fn head(&self, features: &Tensor) -> Tensor {
        features.flatten(1, -1)
    }

    fn batch(&self) -> i64 {
        3
    }
}

#[test]
fn cells_go_in_the_order_of_the_layers_grid_and_may_overlap() {
    let image = Tensor::from_slice(&[8.0_f64, 4.0, 2.0, 6.0]).view([1, 1, 1, 4]);
    let subject = Subject::new(&Halves, image, Target::Class(1), 0);
    let raw = Tensor::from_slice(&[5.0_f64, 1.0]).view([1, 2]);
    let map = Map::new(&raw, subject.size()).unwrap();
    let explained = Explained::new(&subject, &map, None);
    let curve = |unit, fill| {
        let deletion = Deletion { unit, fill, score: Output::Logit, ..Deletion::default() };
        deletion.score(&explained).unwrap().curve.unwrap()
    };
    assert_eq!(curve(Unit::Cells, Fill::Zero), [4.0, 4.0, 0.0]);
    // The first cell is three pixels wide, so its deletion takes a pixel of the second.
    assert_eq!(curve(Unit::OverlappingCells, Fill::Zero), [4.0, 3.0, 0.0]);
    assert_eq!(curve(Unit::OverlappingCells, Fill::Mean), [4.0, 5.5, 5.0]);
    let insertion = Insertion {
        unit: Unit::OverlappingCells,
        start: Fill::Mean,
        score: Output::Logit,
        ..Insertion::default()
    };
    // (5 + 5) / 2, (2 + 5) / 2, (2 + 6) / 2.
    let score = insertion.score(&explained).unwrap();
    assert_eq!(score.curve.unwrap(), [5.0, 3.5, 4.0]);
    close(score.value, (4.25 + 3.75) / 2.0);
}

/// Says three things of three cells, then their middle alone.
struct Twice;
impl Method for Twice {
    fn explain(&self, subject: &Subject<'_>) -> Tensor {
        // The image has 8 in its first pixel; the explanation image has not.
        let first = subject.image().double_value(&[0, 0, 0, 0]) > 7.9;
        let cells = if first { [0.0, 0.0, 1.0] } else { [0.0, 1.0, 1.0] };
        Tensor::from_slice(&cells).view([1, 3])
    }
    fn cost(&self, _: cam_core::FeatureShape) -> cam_core::Cost {
        cam_core::Cost::default()
    }
    fn about(&self) -> cam_core::About {
        cam_core::About { title: "", summary: "", source: "" }
    }
}

#[test]
fn complexity_and_coherency_at_the_layer_look_at_the_small_maps() {
    let image = Tensor::from_slice(&[8.0_f64, 4.0, 2.0, 6.0]).view([1, 1, 1, 4]);
    let subject = Subject::new(&Halves, image, Target::Class(1), 0);
    let raw = Tensor::from_slice(&[5.0_f64, 1.0]).view([1, 2]);
    let small = Map::new(&raw, subject.size()).unwrap();
    let complexity = |map: &Map, at| {
        Complexity { at }.score(&Explained::new(&subject, map, None)).unwrap().value
    };
    close(complexity(&small, Resolution::Layer), 0.5);
    close(complexity(&small, Resolution::Image), 0.5);
    // Bicubic upsampling of two cells leaves [0, 1] on both sides alike, and keeps the mean.
    close(complexity(&small.upsampled(Upsampling::Bicubic), Resolution::Image), 0.5);
    // A map that is larger than the layer is averaged: [(0 + 1)/2, (1/4 + 0)/2].
    let large = Tensor::from_slice(&[0.0_f64, 4.0, 1.0, 0.0]).view([1, 4]);
    let large = Map::new(&large, subject.size()).unwrap();
    close(complexity(&large, Resolution::Layer), f64::midpoint(0.5, 0.125));

    let image = Tensor::from_slice(&[8.0_f64, 4.0, 2.0, 6.0, 1.0, 1.0]).view([1, 1, 1, 6]);
    let subject = Subject::new(&Halves, image, Target::Class(1), 0);
    let map = Map::new(&Twice.explain(&subject), subject.size()).unwrap();
    let explained = Explained::new(&subject, &map, Some(&Twice));
    let coherency = |at| Coherency { at }.score(&explained).unwrap().value;
    // Pearson of (0, 0, 1) and (0, 1, 1) is 1/2.
    close(coherency(Resolution::Layer), 0.75);
    let at_image = |cells: [f64; 3]| -> Vec<f64> {
        let up = upsample(&Tensor::from_slice(&cells).view([1, 3]), [1, 6]);
        Vec::try_from(up.view(-1)).unwrap()
    };
    close(coherency(Resolution::Image), {
        let (a, b) = (at_image([0.0, 0.0, 1.0]), at_image([0.0, 1.0, 1.0]));
        let mean = |v: &[f64]| v.iter().sum::<f64>() / 6.0;
        let (ma, mb) = (mean(&a), mean(&b));
        let dot = |x: &[f64], mx: f64, y: &[f64], my: f64| -> f64 {
            x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum()
        };
        let r = dot(&a, ma, &b, mb) / (dot(&a, ma, &a, ma) * dot(&b, mb, &b, mb)).sqrt();
        f64::midpoint(1.0, r)
    });
}

#[test]
fn coherency_of_an_imported_map_is_not_defined() {
    let toy = Toy::network_a();
    let subject = Subject::new(&toy, Toy::image(), Target::Class(0), 0);
    let map = Map::new(&CamByHand.explain(&subject), subject.size()).unwrap();
    assert_eq!(Coherency::default().score(&Explained::new(&subject, &map, None)), None);
}

/// The pixels `[[0, 1], [2, 3]]` that are in a region.
fn region(pixels: [bool; 4]) -> Tensor {
    Tensor::from_slice(&pixels).view([2, 2])
}

/// A score on the toy image, whose object is at some of its pixels.
fn at(pixels: [bool; 4], metric: &dyn Metric) -> f64 {
    let toy = Toy::network_a();
    let subject = Subject::new(&toy, Toy::image(), Target::Class(0), 0).with_region(region(pixels));
    let map = Map::new(&CamByHand.explain(&subject), subject.size()).unwrap();
    metric.score(&Explained::new(&subject, &map, Some(&CamByHand))).unwrap().value
}

#[test]
fn average_gain_is_the_drop_of_the_other_of_two_classes() {
    // The confidence rises from .0046095722 to .0094125896.
    let toy = Toy::network_a();
    let subject = Subject::new(&toy, Toy::image(), Target::Class(1), 0);
    let map = Map::new(&CamByHand.explain(&subject), subject.size()).unwrap();
    let gain = |explained: &Explained<'_>| AverageGain {}.score(explained).unwrap().value;
    close(gain(&Explained::new(&subject, &map, None)), 0.004_825_259_8);
    on_toy(|explained| close(gain(explained), 0.0));
}

#[test]
fn pixel_flipping_turns_pixels_into_the_smallest_one() {
    // The logits' differences are 5.375, 2.375, .25, -1, -1.
    on_toy(|explained| {
        let score =
            PixelFlipping { steps: 4, ..PixelFlipping::default() }.score(explained).unwrap();
        let curve = [0.995_390_427_8, 0.914_900_955, 0.562_176_500_9, 0.268_941_421_4];
        for (got, want) in score.curve.unwrap().into_iter().zip(curve) {
            close(got, want);
        }
        close(score.value, 0.594_546_200_5);
    });
}

#[test]
fn sufficiency_is_what_is_lost_where_one_or_two_of_four_pixels_are_left() {
    // Four of the five shares round to one pixel (probability .9706877692), the last to two (.9940889).
    on_toy(|explained| {
        let score = Sufficiency::default().score(explained).unwrap().value;
        close(score, 0.020_022_426_2);
    });
}

#[test]
fn road_takes_the_most_and_the_least_salient_pixel_away() {
    // Imputed: 3 by (2·2 - 2·1 + 1) / 5 = .6, then -1 by (2·1 + 2·3 + 2) / 5 = 2. The logits' differences are 3.325 and
    // 7.5. Noise of .01 moves the first probability by less than 3e-4 for each deviation.
    on_toy(|explained| {
        let road = Road { removed: vec![0.25] }.score(explained).unwrap().value;
        assert!((road - 0.017_085_325_4).abs() < 6e-4, "{road}");
        let arcc = Arcc { removed: vec![0.25] }.score(explained).unwrap().value;
        let terms = [0.975_790_936_5, 1.0 - 0.468_75, 2.0 * road];
        close(arcc, 3.0 / terms.map(f64::recip).iter().sum::<f64>());
    });
}

#[test]
fn infidelity_compares_every_pixel_with_what_it_takes() {
    // Falls .0050989043, .0183677977, -.0018086452, .0487937576; the best factor is .0423558588.
    on_toy(|explained| {
        let score = Infidelity { window: 1, n: 2 }.score(explained).unwrap().value;
        assert!((score - 3.513_581_76e-5).abs() < 1e-12, "{score}");
    });
}

#[test]
fn sparseness_entropy_and_effective_complexity_have_the_values_computed_by_hand() {
    on_toy(|explained| {
        let value = |metric: &dyn Metric| metric.score(explained).unwrap().value;
        // (-3·0 - .25 + .625 + 3·1) / (4 · 1.875).
        close(value(&Sparseness {}), 0.45);
        // Shares 2/15, 1/3, 0, 8/15.
        close(value(&Entropy {}), 0.699_790_615_3);
        close(value(&EffectiveComplexity::default()), 0.75);
        close(value(&EffectiveComplexity { threshold: 0.5 }), 0.5);
    });
}

#[test]
fn what_bicubic_upsampling_puts_beyond_the_range_is_cut_off_where_a_map_is_shares() {
    // [3, 5] becomes [-.0882, 29/140, 111/140, 1.0882] and so [0, 29/140, 111/140, 1], which is 2 together.
    let image = Tensor::from_slice(&[8.0_f64, 4.0, 2.0, 6.0]).view([1, 1, 1, 4]);
    let region = Tensor::from_slice(&[false, false, true, true]).view([1, 4]);
    let subject = Subject::new(&Halves, image, Target::Class(1), 0).with_region(region);
    let raw = Tensor::from_slice(&[3.0_f64, 5.0]).view([1, 2]);
    let map = Map::new(&raw, subject.size()).unwrap().upsampled(Upsampling::Bicubic);
    let explained = Explained::new(&subject, &map, None);
    let value = |metric: &dyn Metric| metric.score(&explained).unwrap().value;
    close(value(&EnergyPointingGame {}), (111.0 / 140.0 + 1.0) / 2.0);
    close(value(&Sparseness {}), (-29.0 / 140.0 + 111.0 / 140.0 + 3.0) / (4.0 * 2.0));
    // Shares 0, 29/280, 111/280, 1/2.
    close(value(&Entropy {}), 0.683_996_450_6);
}

#[test]
fn the_pointing_game_is_won_inside_of_the_region_and_nearer_than_the_tolerance() {
    let hit = |pixels, tolerance| at(pixels, &PointingGame { tolerance });
    close(hit([false, false, false, true], 0), 1.0);
    close(hit([false, true, true, false], 0), 0.0);
    // From the last pixel to the first it is √2.
    close(hit([true, false, false, false], 1), 0.0);
    close(hit([true, false, false, false], 2), 1.0);
}

#[test]
fn energy_and_rank_in_a_region_have_the_values_computed_by_hand() {
    close(at([false, true, false, true], &EnergyPointingGame {}), 1.625 / 1.875);
    close(at([true, false, true, false], &EnergyPointingGame {}), 0.25 / 1.875);
    // The two largest values are at the last and the second pixel.
    close(at([true, false, false, true], &RelevanceRank {}), 0.5);
    close(at([false, true, false, true], &RelevanceRank {}), 1.0);
}

#[test]
fn images_without_a_region_have_no_pointing_games() {
    on_toy(|explained| {
        assert_eq!(PointingGame::default().score(explained), None);
        assert_eq!(EnergyPointingGame {}.score(explained), None);
        assert_eq!(RelevanceRank {}.score(explained), None);
    });
}

#[test]
fn model_randomization_is_the_mean_of_rank_correlations() {
    // The map does not look behind the cut, so a random head changes nothing: 1. Random waves with the seed 2 in the
    // convolution make it [0, 0, .776, .386], of ranks 1.5, 1.5, 4, 3 where they were 2, 3, 1, 4: -1.5 / √22.5.
    on_toy(|explained| {
        let score = ModelRandomization { n: 2, seed: 2 }.score(explained).unwrap().value;
        close(score, (1.0 - 1.5 / 22.5_f64.sqrt()) / 2.0);
    });
}

/// A method that has one map for the toy image and another one for every other image.
struct Moved([f64; 4]);

impl Method for Moved {
    fn explain(&self, subject: &Subject<'_>) -> Tensor {
        let is_first = *subject.image() == Toy::image();
        Tensor::from_slice(if is_first { &[0.0, 1.0, 0.0, 0.0] } else { &self.0 }).view([2, 2])
    }

    fn cost(&self, _: cam_core::FeatureShape) -> cam_core::Cost {
        cam_core::Cost::default()
    }

    fn about(&self) -> cam_core::About {
        cam_core::About { title: "", summary: "", source: "" }
    }
}

#[test]
fn max_sensitivity_is_the_length_of_the_change_relative_to_the_maps() {
    let toy = Toy::network_a();
    let subject = Subject::new(&toy, Toy::image(), Target::Class(0), 0);
    let score = |method: &dyn Method| {
        let map = Map::new(&method.explain(&subject), subject.size()).unwrap();
        let explained = Explained::new(&subject, &map, Some(method));
        MaxSensitivity::default().score(&explained).unwrap().value
    };
    close(score(&Moved([0.0, 1.0, 0.0, 0.0])), 0.0);
    // One pixel more, of two; and, as a constant map counts as zeros, one pixel less.
    close(score(&Moved([0.0, 2.0, 2.0, 0.0])), 1.0);
    close(score(&Moved([3.0, 3.0, 3.0, 3.0])), 1.0);
    close(score(&Moved([1.0, 0.0, 0.0, 0.0])), 2.0_f64.sqrt());
    assert!(score(&Moved([f64::NAN, 0.0, 0.0, 0.0])).is_nan(), "what broke is no number");
}

#[test]
fn what_asks_the_method_again_is_not_defined_for_imported_maps() {
    let toy = Toy::network_a();
    let subject = Subject::new(&toy, Toy::image(), Target::Class(0), 0);
    let map = Map::new(&CamByHand.explain(&subject), subject.size()).unwrap();
    let imported = Explained::new(&subject, &map, None);
    let again: [&dyn Metric; 3] =
        [&Arcc::default(), &MaxSensitivity::default(), &ModelRandomization::default()];
    assert!(again.iter().all(|metric| metric.score(&imported).is_none()));
}
