//! The law of the cut, at every stage of every row: `logits(x) == head(features(x))`, differentiable, in any batch.

use cam_core::Classifier;
use cam_models::{Network, Options, Precision, ZOO, by_name, seeded, set_threads};
use tch::{Device, Kind, Tensor};

fn network(name: &str, options: &Options) -> Network {
    // Tests run side by side, one thread each.
    set_threads(1);
    let plan = by_name(name).expect("a row of the zoo").plan(10);
    let parameters = seeded(&plan, 1);
    Network::build(plan, &parameters, options)
}

/// Smooth images of both signs, all different.
fn images(n: i64, height: i64, width: i64) -> Tensor {
    let line = Tensor::arange(n * 3 * height * width, (Kind::Float, Device::Cpu));
    ((&line * 0.037).sin() + (line * 0.0011).cos()).view([n, 3, height, width])
}

fn largest(tensor: &Tensor) -> f64 {
    tensor.abs().max().double_value(&[])
}

fn assert_close(found: &Tensor, expected: &Tensor, tolerance: f64, what: &str) {
    assert_eq!(found.size(), expected.size(), "{what}");
    let difference = largest(&(found - expected)) / largest(expected);
    assert!(difference <= tolerance, "{what}: {difference:.2e} > {tolerance:.0e}");
}

#[test]
fn head_of_features_is_logits_at_every_stage_of_every_row() {
    for row in ZOO {
        let _no_grad = tch::no_grad_guard();
        let network = network(row.name, &Options::default());
        let x = images(2, 32, 32);
        let expected = network.cut("input").unwrap().logits(&x);
        assert_eq!(expected.size(), [2, 10]);
        assert!(expected.isfinite().all().int64_value(&[]) == 1, "{} is not finite", row.name);
        let spread = largest(&(expected.get(0) - expected.get(1)));
        assert!(spread > 1e-3 * largest(&expected), "{} does not look at its image", row.name);
        let extents = network.plan().extents(32, 32);
        for (stage, layer) in network.plan().layers().iter().enumerate() {
            let cut = network.cut(layer).unwrap();
            let features = cut.features(&x);
            let what = format!("{} at {layer}", row.name);
            let shape = if stage == 0 { [3, 32, 32] } else { extents[stage - 1].output };
            assert_eq!(features.size(), [2, shape[0], shape[1], shape[2]], "{what}");
            let before = features.copy();
            assert_close(&cut.head(&features), &expected, 1e-5, &what);
            assert_eq!(features, before, "{what}: the head wrote into its input");
        }
    }
}

#[test]
fn asking_for_a_gradient_changes_nothing_but_rounding() {
    // Without one, convolutions are fused with what follows them.
    for row in ZOO {
        let network = network(row.name, &Options::default());
        let cut = network.cut("input").unwrap();
        let x = images(2, 64, 64);
        let fused = cut.logits(&x);
        let plain = cut.logits(&x.set_requires_grad(true));
        assert!(plain.requires_grad() && !fused.requires_grad());
        assert_close(&fused, &plain.detach(), 1e-5, row.name);
    }
}

#[test]
fn an_image_has_the_same_answer_the_first_time_again_and_after_another_size() {
    for name in ["tf_efficientnet_lite0", "resnet18"] {
        for precision in [Precision::F32, Precision::Bf16] {
            let _no_grad = tch::no_grad_guard();
            let network = network(name, &Options { precision, ..Options::default() });
            let cut = network.cut("input").unwrap();
            let (x, other) = (images(1, 64, 64), images(1, 97, 65));
            let (first, again) = (cut.logits(&x), cut.logits(&x));
            let fresh = self::network(name, &Options { precision, ..Options::default() });
            let expected = fresh.cut("input").unwrap().logits(&other);
            assert_eq!(first, again, "{name}");
            assert_eq!(cut.logits(&other), expected, "{name}");
            assert_eq!(cut.logits(&x), first, "{name}");
        }
    }
}

#[test]
fn micro_batches_and_batch_size_change_nothing_but_rounding() {
    for name in ["tf_efficientnet_lite0", "resnet18", "vgg11"] {
        let _no_grad = tch::no_grad_guard();
        let network = network(name, &Options::default());
        // Nine images are more than the cache holds in the first stages, so these run in five micro-batches.
        let x = images(9, 224, 224);
        let largest_stage = network.plan().extents(224, 224).iter().map(|e| e.peak).max().unwrap();
        assert!(9 * 4 * largest_stage > 32 << 20, "{name} would not be split");
        for layer in ["input", by_name(name).unwrap().layer()] {
            let cut = network.cut(layer).unwrap();
            let all = cut.logits(&x);
            let singles: Vec<Tensor> = (0..9).map(|i| cut.logits(&x.narrow(0, i, 1))).collect();
            assert_close(&all, &Tensor::cat(&singles, 0), 1e-5, name);
        }
    }
}

#[test]
fn pictures_of_any_layout_and_odd_size_give_the_same() {
    for name in ["tf_efficientnet_lite0", "resnet18"] {
        let _no_grad = tch::no_grad_guard();
        let network = network(name, &Options::default());
        let cut = network.cut(by_name(name).unwrap().layer()).unwrap();
        for (height, width) in [(65, 97), (64, 97), (97, 64), (99, 101)] {
            let x = images(1, height, width);
            let turned = x.permute([3, 2, 1, 0]).contiguous().permute([3, 2, 1, 0]);
            assert_ne!(turned.stride(), x.stride());
            assert_close(&cut.logits(&turned), &cut.logits(&x), 1e-6, name);
            for layer in network.plan().layers() {
                let cut = network.cut(&layer).unwrap();
                let features = cut.features(&x);
                let turned = features.permute([3, 2, 1, 0]).contiguous().permute([3, 2, 1, 0]);
                assert_close(&cut.head(&turned), &cut.head(&features), 1e-5, &layer);
            }
            // One image seen several times through a stride of zero.
            let repeated = x.expand([3, -1, -1, -1], false);
            assert_close(&cut.logits(&repeated).narrow(0, 2, 1), &cut.logits(&x), 1e-5, name);
        }
    }
}

#[test]
fn gradients_at_a_cut_are_finite_differences() {
    // ReLU's kinks disturb differences, so steps are small and the direction is the gradient's own.
    for (name, layer) in [
        ("resnet18", "layer4.0"),
        ("resnet18", "maxpool"),
        ("tf_efficientnet_lite0", "blocks.12"),
        ("tf_efficientnet_lite0", "input"),
        ("vgg11", "features"),
    ] {
        let network = network(name, &Options::default());
        let cut = network.cut(layer).unwrap();
        let clean = tch::no_grad(|| cut.features(&images(2, 96, 96)));
        let features = clean.detach().copy().set_requires_grad(true);
        let classes = Tensor::from_slice(&[3_i64, 8]).view([2, 1]);
        let score = |logits: &Tensor| logits.gather(1, &classes, false).sum(Kind::Double);
        let [gradient] =
            &Tensor::run_backward(&[score(&cut.head(&features))], &[&features], false, false)[..]
        else {
            panic!("one gradient")
        };
        assert_eq!(gradient.size(), features.size());
        assert_eq!(features.detach(), clean, "{name} at {layer} wrote into its input");
        let slope = gradient.square().sum(Kind::Double).sqrt().double_value(&[]);
        let direction = gradient / slope;
        let step = 1e-4 * clean.square().sum(Kind::Double).sqrt().double_value(&[]);
        let _no_grad = tch::no_grad_guard();
        let at = |t: f64| score(&cut.head(&(&clean + &direction * t))).double_value(&[]);
        let difference = (at(step) - at(-step)) / (2.0 * step);
        println!("{name} at {layer}: slope {slope:.6}, by differences {difference:.6}");
        assert!((difference / slope - 1.0).abs() < 0.02, "{name} at {layer}: {slope} {difference}");
    }
}

#[test]
fn a_pooled_linear_head_says_its_parameters_in_both_precisions() {
    for precision in [Precision::F32, Precision::Bf16] {
        let _no_grad = tch::no_grad_guard();
        let network = network("resnet18", &Options { precision, ..Options::default() });
        let cut = network.cut("layer4").unwrap();
        let head = cut.pooled_linear_head().expect("pooling and a linear layer");
        // Not activations that bf16 can hold.
        let features = images(2, 64, 64).repeat([1, 171, 1, 1]).narrow(1, 0, 512) * 1.001;
        let pooled = features.mean_dim(&[2_i64, 3][..], false, Kind::Float);
        assert_close(
            &cut.head(&features),
            &pooled.linear(&head.weight, Some(&head.bias)),
            1e-6,
            "head",
        );
        assert!(network.cut("layer3").unwrap().pooled_linear_head().is_none());
    }
    assert!(
        network("vgg11", &Options::default())
            .cut("features")
            .unwrap()
            .pooled_linear_head()
            .is_none()
    );
}

#[test]
fn bf16_is_cut_without_loss() {
    let _no_grad = tch::no_grad_guard();
    let network = network(
        "tf_efficientnet_lite0",
        &Options { precision: Precision::Bf16, ..Options::default() },
    );
    let x = images(2, 96, 96);
    let expected = network.cut("conv_head").unwrap().logits(&x);
    for layer in ["input", "conv_stem", "blocks.1", "blocks.2", "blocks.15"] {
        let cut = network.cut(layer).unwrap();
        assert_close(&cut.head(&cut.features(&x)), &expected, 1e-5, layer);
    }
}

#[test]
fn batches_follow_from_the_memory_and_the_layer() {
    let sizes = |name: &str, memory_bytes: u64, layer: &str| {
        let network = network(name, &Options { memory_bytes, ..Options::default() });
        let cut = network.cut(layer).unwrap();
        (cut.batch(), cut.head_batch())
    };
    assert_eq!(sizes("tf_efficientnet_lite0", 2 << 30, "conv_head"), (16, 256));
    assert_eq!(sizes("resnet50", 2 << 30, "layer4"), (16, 256));
    assert_eq!(sizes("resnet50", 2 << 30, "input"), (16, 16));
    assert_eq!(sizes("resnet50", 1, "layer4"), (1, 1));
    let (batch, head_batch) = sizes("resnet18", 200 << 20, "layer2");
    assert!(batch < 16 && batch < head_batch && head_batch < 256, "{batch} {head_batch}");
    let network = network("resnet18", &Options::default());
    let cut = network.cut("layer4").unwrap().with_batch(3, 5);
    assert_eq!((cut.batch(), cut.head_batch(), cut.layer()), (3, 5, "layer4.1"));
}

#[test]
fn an_unknown_layer_is_an_error_with_the_list() {
    let network = network("resnet18", &Options::default());
    let error = network.cut("layer4.7").unwrap_err().to_string();
    assert!(
        error
            .starts_with("no layer `layer4.7` (did you mean `layer4.0`?); layers are input, conv1"),
        "{error}"
    );
}

#[test]
fn a_randomized_copy_shares_the_first_stages_and_obeys_the_law_of_the_cut() {
    let _no_grad = tch::no_grad_guard();
    for name in ["tf_efficientnet_lite0", "resnet18"] {
        let network = network(name, &Options::default());
        let layers = network.plan().layers();
        let n_stages = layers.len() - 1;
        let x = images(2, 32, 32);
        let trained = network.cut("input").unwrap().logits(&x);
        let logits = |share: f64, layer: &str| {
            network.cut(layer).unwrap().randomized(share, 0).unwrap().logits(&x)
        };
        for share in [1e-9, 0.3, 0.7, 1.0] {
            let random = logits(share, "input");
            assert!(random.isfinite().all().int64_value(&[]) == 1, "{name} at {share}");
            assert!(largest(&(&random - &trained)) > 1e-3 * largest(&trained), "{name} at {share}");
            for layer in &layers {
                let cut = network.cut(layer).unwrap();
                let copy = cut.randomized(share, 0).unwrap();
                let what = format!("{name} at {layer}, {share} random");
                assert_close(&copy.logits(&x), &random, 1e-5, &what);
                let (first, expected) = (x.narrow(0, 0, 1), random.narrow(0, 0, 1));
                assert_close(&copy.logits_and_biases(&first).0, &expected, 1e-5, &what);
                assert_close(&copy.logits_and_levels(&first, 4).0, &expected, 1e-5, &what);
                assert_eq!((copy.batch(), copy.head_batch()), (cut.batch(), cut.head_batch()));
                assert_eq!(
                    copy.pooled_linear_head().is_some(),
                    cut.pooled_linear_head().is_some(),
                    "{what}"
                );
                // The first stages are the trained ones, and no later ones.
                let n_trained = n_stages + 1 - ((share * (n_stages + 1) as f64).ceil() as usize);
                let stage = layers.iter().position(|other| other == layer).unwrap();
                let is_same = copy.features(&x) == cut.features(&x);
                assert_eq!(is_same, stage <= n_trained, "{what}");
            }
        }
        assert_eq!(logits(1.0, "input"), logits(1.0, "input"));
        let other = network.cut("input").unwrap().randomized(1.0, 1).unwrap().logits(&x);
        assert!(largest(&(other - logits(1.0, "input"))) > 1e-3);
        // A network whose own weights are random ones of that seed is randomized all the same.
        let plan = by_name(name).unwrap().plan(10);
        let seeded_0 = Network::build(plan.clone(), &seeded(&plan, 0), &Options::default());
        let cut = seeded_0.cut("input").unwrap();
        assert!(largest(&(cut.logits(&x) - cut.randomized(1.0, 0).unwrap().logits(&x))) > 1e-3);
    }
}

fn n_convolutions(network: &Network) -> usize {
    let shapes = network.plan().parameters();
    shapes.iter().filter(|parameter| parameter.shape.len() == 4).count()
}

#[test]
fn pixels_and_biases_times_their_gradients_add_up_to_the_logit_in_networks_of_relus() {
    for row in ZOO {
        let network = network(row.name, &Options::default());
        let cut = network.cut("input").unwrap();
        let image = images(1, 32, 32).set_requires_grad(true);
        let (logits, biases) = cut.logits_and_biases(&image);
        let plain = tch::no_grad(|| cut.logits(&image));
        assert_close(&logits.detach(), &plain, 1e-5, row.name);
        let inputs: Vec<&Tensor> = [&image].into_iter().chain(&biases).collect();
        let gradients =
            Tensor::run_backward(&[logits.select(1, 3).sum(Kind::Float)], &inputs, false, false);
        let products = inputs.iter().zip(&gradients).map(|(input, gradient)| *input * gradient);
        let total: f64 = products.map(|part| part.sum(Kind::Double).double_value(&[])).sum();
        // A unit that has reached the 6 of a ReLU6 adds what no gradient shows.
        if !row.name.starts_with("tf_efficientnet_lite") {
            let logit = plain.double_value(&[0, 3]);
            assert!(
                (total - logit).abs() < 1e-3 * largest(&plain),
                "{}: {total}, {logit}",
                row.name
            );
        }
        // Every convolution has one, and of a normalization behind it another; so has every linear layer.
        let n_maps = biases.iter().filter(|bias| bias.dim() == 4).count();
        let is_normalized_too = row.name.starts_with("vgg") && row.name.ends_with("_bn");
        let n_convolutions = n_convolutions(&network);
        let n_expected = if is_normalized_too { 2 * n_convolutions } else { n_convolutions };
        assert_eq!(n_maps, n_expected, "{}", row.name);
        assert_eq!(
            biases.len() - n_maps,
            if row.name.starts_with("vgg") { 3 } else { 1 },
            "{}",
            row.name
        );
        let cuts = ["input", row.layer()].map(|layer| network.cut(layer).unwrap());
        let counts = cuts.map(|cut| cut.logits_and_biases(&image).1.len());
        assert_eq!(counts[0], counts[1], "{}: the cut does not matter", row.name);
    }
}

#[test]
fn levels_are_the_cut_and_the_last_layer_of_each_finer_resolution_before_it() {
    for row in ZOO {
        let network = network(row.name, &Options::default());
        let image = images(1, 64, 64);
        let layers = network.plan().layers();
        let cut = network.cut(row.layer()).unwrap();
        let stage = layers.iter().position(|layer| layer == cut.layer()).unwrap();
        let extents = network.plan().extents(64, 64);
        for n in [1, 3, 9] {
            let (logits, levels) = cut.logits_and_levels(&image, n);
            assert_close(&logits.detach(), &tch::no_grad(|| cut.logits(&image)), 1e-5, row.name);
            let rows: Vec<i64> = levels.iter().map(|level| level.size()[2]).collect();
            assert!(levels.len() <= n && rows.is_sorted_by(|a, b| a < b), "{}: {rows:?}", row.name);
            assert!(n < 9 || levels.len() >= 4, "{}: {rows:?}", row.name);
            assert!(rows.windows(2).all(|pair| 2 * pair[1] >= 3 * pair[0]), "{rows:?}");
            let gradients = Tensor::run_backward(&[logits.sum(Kind::Float)], &levels, false, false);
            for (level, gradient) in levels.iter().zip(gradients) {
                let stage =
                    (1..=stage).rfind(|stage| extents[stage - 1].output[..] == level.size()[1..]);
                let layer = &layers[stage.expect("one of the stages")];
                let there = network.cut(layer).unwrap();
                let what = format!("{} at {layer}", row.name);
                assert_close(
                    &level.detach(),
                    &tch::no_grad(|| there.features(&image)),
                    1e-5,
                    &what,
                );
                let features = level.detach().set_requires_grad(true);
                let total = there.head(&features).sum(Kind::Float);
                let expected = Tensor::run_backward(&[total], &[features], false, false).remove(0);
                assert_close(&gradient, &expected, 1e-4, &what);
            }
        }
    }
}
