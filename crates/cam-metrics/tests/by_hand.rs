//! Every metric on toy network A against numbers computed by hand from the formulas.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use cam_core::{
    Classifier, Explained, Map, Method, Metric, Subject, Target, Upsampling, toy::Toy, upsample,
};
use cam_metrics::{
    Area, Coherency, Complexity, Deletion, Drop, Fill, Increase, Insertion, Output, Reference,
    Resolution, Unit,
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
