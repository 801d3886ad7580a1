//! What the crate of results knows of methods and metrics by name, since it knows none of them, is what the registries hold.

use std::collections::BTreeSet;

use cam_core::{About, Cost, Explained, FeatureShape, Map, Method, Subject, Target, toy::Toy};
use cam_methods::AnyMethod;
use cam_metrics::AnyMetric;
use cam_results::stats::{CONTROLS, YES_OR_NO};
use tch::{Device, Kind, Tensor};

#[test]
fn controls_are_the_methods_that_never_ask_the_network() {
    let features = FeatureShape { channels: 64, height: 7, width: 7 };
    let is_free = |method: &AnyMethod| method.cost(features) == Cost::default();
    let free: BTreeSet<&str> =
        AnyMethod::all().iter().filter(|method| is_free(method)).map(AnyMethod::name).collect();
    assert_eq!(free, BTreeSet::from(CONTROLS));
}

/// A method whose map changes with the image and with the network.
struct Waves(Tensor);

impl Method for Waves {
    fn explain(&self, subject: &Subject<'_>) -> Tensor {
        let logit = subject.logits().double_value(&[0, 0]);
        let colors = subject.image().mean_dim(&[0_i64, 1][..], false, None::<Kind>);
        (&self.0 * (1.0 + logit)).sin() + colors
    }

    fn cost(&self, _: FeatureShape) -> Cost {
        Cost::default()
    }

    fn about(&self) -> About {
        About { title: "", summary: "", source: "" }
    }
}

#[test]
fn metrics_that_say_yes_or_no_are_those_that_are_never_anything_between() {
    let toy = Toy::network_a();
    let region = Tensor::zeros([4, 4], (Kind::Bool, Device::Cpu));
    let _ = region.narrow(1, 0, 2).fill_(1);
    let mut between = BTreeSet::new();
    for seed in 0..20_u32 {
        let line = Tensor::arange(16, (Kind::Float, Device::Cpu));
        let method = Waves((line * (0.37 * f64::from(seed + 1))).view([4, 4]));
        let image = Toy::waves(4, 4) * (0.2 * f64::from(seed + 1));
        // Of the one kind of images a masked copy is less of its class, of the other more.
        let image = if seed % 2 == 0 { image.abs() } else { image };
        let subject = Subject::new(&toy, image, Target::Predicted, seed.into());
        let subject = subject.with_region(region.shallow_clone());
        let map = Map::new(&method.explain(&subject), [4, 4]).unwrap();
        for metric in AnyMetric::all() {
            let score = metric.score(&Explained::new(&subject, &map, Some(&method))).unwrap();
            assert!(score.value.is_finite(), "{}", metric.name());
            if ![0.0, 1.0].contains(&score.value) {
                between.insert(metric.name());
            }
        }
    }
    let never: BTreeSet<&str> =
        AnyMetric::NAMES.iter().copied().filter(|name| !between.contains(name)).collect();
    assert_eq!(never, BTreeSet::from(YES_OR_NO));
}
