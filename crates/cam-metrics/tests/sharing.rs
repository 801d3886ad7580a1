//! What several metrics, or several maps, ask the network about is asked once.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use cam_core::{Counted, Explained, FeatureShape, Map, Probe, Subject, Target, toy::Toy};
use cam_metrics::{AnyMetric, Deletion, Fill, Insertion, Metric, Order, Sampling};
use tch::Tensor;

const SIZE: [i64; 2] = [4, 4];

fn map(of: impl Fn(&Tensor) -> Tensor) -> Map {
    Map::new(&of(&Toy::waves(4, 4).view(SIZE)), SIZE).unwrap()
}

/// Scores as a sweep does: what all metrics are sure to need first.
fn score_all(explained: &Explained<'_>, metrics: &[&dyn Metric]) -> Vec<f64> {
    explained.prepare(metrics.iter().copied());
    metrics.iter().filter_map(|metric| Some(metric.score(explained)?.value)).collect()
}

#[test]
fn all_metrics_together_run_every_image_once() {
    let toy = Toy::network_a().with_batch(5);
    let counted = Counted::new(&toy);
    let subject = Subject::new(&counted, Toy::waves(4, 4), Target::Class(0), 0);
    let all = [
        AnyMetric::by_name("drop").unwrap(),
        AnyMetric::by_name("increase").unwrap(),
        AnyMetric::Deletion(Deletion { steps: 8, ..Deletion::default() }),
        AnyMetric::Insertion(Insertion { steps: 8, ..Insertion::default() }),
        AnyMetric::by_name("coherency").unwrap(),
        AnyMetric::by_name("complexity").unwrap(),
    ];
    let metrics: Vec<&dyn Metric> = all.iter().map(|metric| &**metric).collect();
    let first = map(Tensor::cos);
    let together = score_all(&Explained::new(&subject, &first, None), &metrics);
    // The clean image, the explanation image, seven inner points of each curve, two fills.
    assert_eq!(counted.forwards(), 1 + 1 + 7 + 7 + 2);

    let alone: Vec<f64> = metrics
        .iter()
        .filter_map(|metric| Some(metric.score(&Explained::new(&subject, &first, None))?.value))
        .collect();
    assert_eq!(together, alone, "sharing changes no score");

    let before = counted.forwards();
    let second = map(Tensor::exp);
    score_all(&Explained::new(&subject, &second, None), &metrics);
    assert_eq!(counted.forwards() - before, 1 + 7 + 7, "the fills belong to the image");
}

#[test]
fn a_curve_that_is_another_one_read_backwards_is_not_run_again() {
    let toy = Toy::network_a();
    let counted = Counted::new(&toy);
    let subject = Subject::new(&counted, Toy::waves(4, 4), Target::Class(0), 0);
    let map = map(Tensor::cos);
    let explained = Explained::new(&subject, &map, None);
    let insertion = Insertion { steps: 8, start: Fill::Zero, ..Insertion::default() };
    let deletion = Deletion { steps: 8, order: Order::LeastSalient, ..Deletion::default() };
    let inserted = insertion.score(&explained).unwrap();
    let before = counted.forwards();
    let mut deleted = deletion.score(&explained).unwrap();
    assert_eq!(counted.forwards(), before);
    deleted.curve.as_mut().unwrap().reverse();
    assert_eq!(deleted.curve, inserted.curve);
}

#[test]
fn the_explanation_image_keeps_what_the_network_saw_of_it() {
    let toy = Toy::network_a().with_batch(3);
    let subject = Subject::new(&toy, Toy::waves(4, 4), Target::Class(0), 0);
    let map = map(Tensor::cos);
    let shared = Explained::new(&subject, &map, None);
    let mut probes = Deletion { steps: 4, ..Deletion::default() }.probes(SIZE);
    probes.push(Probe::Masked);
    let answer = *shared.answers(&probes).last().unwrap();
    let alone = Explained::new(&subject, &map, None);
    assert_eq!(shared.masked().image(), alone.masked().image());
    assert_eq!(shared.masked().features(), alone.masked().features());
    assert_eq!(answer, alone.masked().answer());
}

#[test]
fn an_adaptive_curve_beside_the_whole_one_is_free_and_near_it() {
    let toy = Toy::network_a().with_batch(32);
    let counted = Counted::new(&toy);
    let subject = Subject::new(&counted, Toy::waves(16, 16), Target::Class(0), 0);
    let map = Map::new(&Toy::waves(16, 16).view([16, 16]), [16, 16]).unwrap();
    let explained = Explained::new(&subject, &map, None);
    let adaptive = Deletion { steps: 200, sampling: Sampling::Adaptive, ..Deletion::default() };
    let alone = adaptive.score(&explained).unwrap();
    assert!(counted.forwards() - 1 <= 200 / 5 + 1, "{} images", counted.forwards());
    assert_eq!(counted.forwards() - 1, adaptive.forwards(0, FeatureShape::of(subject.features())));

    let whole = Deletion { steps: 200, ..Deletion::default() }.score(&explained).unwrap();
    let before = counted.forwards();
    assert_eq!(adaptive.score(&explained).unwrap(), alone);
    assert_eq!(counted.forwards(), before);
    let (sparse, dense) = (alone.curve.unwrap(), whole.curve.unwrap());
    assert_eq!(sparse.len(), dense.len());
    let n_equal = sparse.iter().zip(&dense).filter(|(a, b)| (*a - *b).abs() < 1e-15).count();
    assert!(n_equal >= 40, "{n_equal} points are those of the whole curve");
    assert!((alone.value - whole.value).abs() < 2e-3, "{} and {}", alone.value, whole.value);
}
