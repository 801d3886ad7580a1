//! Every metric on toy network A against numbers computed by hand from the formulas.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use cam_core::{Explained, Map, Method, Metric, Subject, Target, toy::Toy};
use cam_metrics::{Coherency, Complexity, Deletion, Drop, Fill, Increase, Insertion};
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
        close(Drop {}.score(explained).unwrap().value, 0.004_825_259_8);
        close(Increase {}.score(explained).unwrap().value, 0.0);
        close(Complexity {}.score(explained).unwrap().value, 0.468_75);
        close(Coherency {}.score(explained).unwrap().value, 0.975_790_936_5);
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
fn coherency_of_an_imported_map_is_not_defined() {
    let toy = Toy::network_a();
    let subject = Subject::new(&toy, Toy::image(), Target::Class(0), 0);
    let map = Map::new(&CamByHand.explain(&subject), subject.size()).unwrap();
    assert_eq!(Coherency {}.score(&Explained::new(&subject, &map, None)), None);
}
