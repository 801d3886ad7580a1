//! Laws that every method obeys, over the whole registry: a new method is tested by being listed.

use std::cell::RefCell;

use cam_core::{
    Classifier, Counted, FeatureShape, Fill, Method, Subject, Target, min_max, toy::Toy,
};
use cam_methods::{
    AnyMethod, Cam, ExtremalPerturbation, GradCam, GradCamElementwise, GradCamPp, HiResCam,
    InputXGradient, IntegratedGradients, IsCam, KernelShap, LayerCam, Lime, Occlusion, Output,
    PartitionShap, Randomized, ReciproCam, RefineCam, Rise, Saliency, ScoreCam, SmoothGrad,
    SmoothGradCamPp, SsCam, VitReciproCam, Weighting, XGradCam,
};
use tch::{Kind, Tensor};

fn max_difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    (a - b).abs().max().double_value(&[])
}

/// Every method that can explain the network, small enough for a test.
fn methods_for(classifier: &dyn Classifier) -> Vec<AnyMethod> {
    AnyMethod::all()
        .into_iter()
        .filter(|method| method.requirement().met_by(classifier))
        .map(|method| match method {
            AnyMethod::Rise(rise) => AnyMethod::Rise(Rise { n_masks: 50, ..rise }),
            AnyMethod::SsCam(ss_cam) => AnyMethod::SsCam(SsCam { n: 3, ..ss_cam }),
            AnyMethod::IsCam(is_cam) => AnyMethod::IsCam(IsCam { n: 3, ..is_cam }),
            AnyMethod::Occlusion(occlusion) => {
                AnyMethod::Occlusion(Occlusion { window: 2, n: 2, ..occlusion })
            }
            AnyMethod::Lime(lime) => {
                AnyMethod::Lime(Lime { n_samples: 60, superpixels: 24, ..lime })
            }
            AnyMethod::KernelShap(shap) => {
                AnyMethod::KernelShap(KernelShap { n_samples: 60, superpixels: 24, ..shap })
            }
            AnyMethod::PartitionShap(shap) => {
                AnyMethod::PartitionShap(PartitionShap { max_evals: 60, ..shap })
            }
            AnyMethod::ExtremalPerturbation(extremal) => {
                AnyMethod::ExtremalPerturbation(ExtremalPerturbation {
                    areas: vec![0.1, 0.3],
                    iterations: 6,
                    ..extremal
                })
            }
            other => other,
        })
        .collect()
}

/// Networks with and without a pooled linear head, of which the second says nothing of its head.
fn networks() -> [Toy; 3] {
    [Toy::network_a(), Toy::network_a().without_shortcut(), Toy::squeeze()]
}

/// And one in a runtime.
fn all_networks() -> Vec<Toy> {
    networks().into_iter().chain([Toy::network_a().deployed()]).collect()
}

#[test]
fn every_method_can_explain_one_of_the_networks() {
    for method in AnyMethod::all() {
        let is_met = all_networks().iter().any(|toy| method.requirement().met_by(toy));
        assert!(is_met, "{}", method.name());
    }
}

#[test]
fn every_map_is_finite_and_has_two_dimensions() {
    for toy in all_networks() {
        for method in methods_for(&toy) {
            let subject = Subject::new(&toy, Toy::waves(6, 4), Target::Predicted, 3);
            let map = method.explain(&subject);
            assert_eq!(map.size(), [6, 4], "{}", method.name());
            assert!(map.isfinite().all().int64_value(&[]) == 1, "{}", method.name());
            assert!(!map.requires_grad(), "{} leaves a gradient on its map", method.name());
        }
    }
}

#[test]
fn a_map_that_is_not_to_be_normalized_lies_between_zero_and_one() {
    let toy = Toy::network_a();
    let subject = Subject::new(&toy, Toy::waves(6, 4), Target::Predicted, 3);
    let declared: Vec<&str> = AnyMethod::all()
        .iter()
        .filter(|method| method.is_unit())
        .map(|method| {
            let map = method.explain(&subject);
            let bounds = [map.min().double_value(&[]), map.max().double_value(&[])];
            assert!(bounds[0] >= 0.0 && bounds[1] <= 1.0, "{}", method.name());
            method.name()
        })
        .collect();
    assert_eq!(declared, ["all_ones"], "only controls are not normalized");
}

#[test]
fn equal_seeds_give_equal_maps_bit_for_bit() {
    for toy in all_networks() {
        for method in methods_for(&toy) {
            let explain =
                || method.explain(&Subject::new(&toy, Toy::waves(6, 4), Target::Class(1), 11));
            assert_eq!(explain(), explain(), "{}", method.name());
        }
    }
}

#[test]
fn the_batch_size_changes_no_map() {
    for toy in [Toy::network_a, Toy::squeeze, || Toy::network_a().without_shortcut()] {
        for method in methods_for(&toy()) {
            let map = |batch| {
                let toy = toy().with_batch(batch);
                method.explain(&Subject::new(&toy, Toy::waves(6, 4), Target::Class(0), 5))
            };
            let one = map(1);
            for batch in [7, 64] {
                assert!(
                    max_difference(&one, &map(batch)) < 1e-5,
                    "{} at batch {batch}",
                    method.name()
                );
            }
        }
    }
}

#[test]
fn the_shortcut_of_a_pooled_linear_head_equals_the_general_path() {
    let (short, long) = (Toy::network_a(), Toy::network_a().without_shortcut());
    for method in methods_for(&long) {
        for class in [0, 1] {
            let map = |toy: &Toy| {
                method.explain(&Subject::new(toy, Toy::waves(6, 4), Target::Class(class), 5))
            };
            assert!(
                max_difference(&map(&short), &map(&long)) < 1e-6,
                "{} for class {class}",
                method.name()
            );
        }
    }
}

#[test]
fn the_stated_cost_is_what_the_general_path_runs() {
    for toy in [Toy::network_a().without_shortcut(), Toy::squeeze(), Toy::network_a().deployed()] {
        for method in methods_for(&toy) {
            // A subject that shares nothing: the clean pass is counted where the method looks at it, and only there.
            let counted = Counted::new(&toy);
            let image = Toy::waves(6, 4);
            let first = Subject::new(&counted, image.shallow_clone(), Target::Class(0), 5);
            let before = [counted.forwards(), counted.head_forwards()];
            let subject = first.with_image(image);
            let _ = method.explain(&subject);
            let [forwards, head_forwards] =
                [counted.forwards() - before[0], counted.head_forwards() - before[1]];
            let cost = method.cost(FeatureShape::of(first.features()));
            assert_eq!(forwards, cost.forwards, "{}", method.name());
            let FeatureShape { channels, height, width } = FeatureShape::of(first.features());
            let [k, positions] = [channels, height * width].map(|count| count as u64);
            let stated = [cost.forwards, cost.head_forwards, cost.backwards];
            let expected = match method.name() {
                "cam" | "eigen_cam" => [1, 0, 0],
                "grad_cam"
                | "grad_cam_pp"
                | "layer_cam"
                | "x_grad_cam"
                | "hi_res_cam"
                | "grad_cam_elementwise"
                | "eigen_grad_cam"
                | "saliency"
                | "refine_cam"
                | "full_grad"
                | "input_x_gradient" => [1, 0, 1],
                "ablation_cam" => [1, k, 0],
                "ss_cam" | "is_cam" => [1 + 3 * k, 0, 0],
                "occlusion" => [5, 0, 0],
                "integrated_gradients" | "smooth_grad" => [50, 0, 50],
                "lime" | "partition_shap" => [60, 0, 0],
                "kernel_shap" => [62, 0, 0],
                "extremal_perturbation" => [12, 0, 12],
                "random" | "center_gaussian" | "sobel" | "all_ones" => [0, 0, 0],
                "smooth_grad_cam_pp" => [5, 0, 4],
                "score_cam" => [1 + k, 0, 0],
                "rise" => [stated[0], 0, 0],
                "recipro_cam" | "vit_recipro_cam" => [1, positions, 0],
                _ => stated,
            };
            assert_eq!(stated, expected, "{}", method.name());
            // An image may stop at the cut, and a gradient starts with one more pass through the head.
            let needed = cost.forwards + cost.head_forwards;
            assert!(
                head_forwards + cost.forwards >= needed && head_forwards <= needed + cost.backwards,
                "{}: {head_forwards} through the head for {needed} that are needed",
                method.name()
            );
        }
    }
}

#[test]
fn no_method_runs_more_than_its_definition() {
    for toy in all_networks() {
        for method in methods_for(&toy) {
            let subject = Subject::new(&toy, Toy::waves(6, 4), Target::Class(1), 5);
            let counted = Counted::new(&toy);
            let _ = method.explain(&subject.through(&counted));
            assert!(
                counted.forwards() <= method.cost(FeatureShape::of(subject.features())).forwards
            );
        }
    }
}

#[test]
fn what_a_method_runs_does_not_depend_on_what_was_scored_before() {
    let softmax = ScoreCam { weighting: Weighting::ChannelSoftmax, ..ScoreCam::default() };
    for toy in all_networks() {
        for method in methods_for(&toy).into_iter().chain([AnyMethod::ScoreCam(softmax.clone())]) {
            let runs = |fills: &[Fill]| {
                let subject = Subject::new(&toy, Toy::waves(6, 4), Target::Class(1), 5);
                for fill in fills {
                    subject.filled(*fill);
                }
                let counted = Counted::new(&toy);
                let _ = method.explain(&subject.through(&counted));
                [counted.forwards(), counted.head_forwards()]
            };
            let fills = [Fill::Zero, Fill::Blur, Fill::Minimum, Fill::Mean];
            assert_eq!(runs(&fills), runs(&[]), "{}", method.name());
        }
    }
}

#[test]
fn kernel_shap_runs_the_coalitions_of_the_superpixels_there_are_and_no_more_than_it_states() {
    // Seven superpixels of a flat image of 6×6 are a grid of 3×3, of which there are 2⁹ - 2 coalitions.
    let toy = Toy::network_a();
    let image = Tensor::ones([1, 1, 6, 6], (Kind::Double, tch::Device::Cpu));
    let subject = Subject::new(&toy, image, Target::Class(0), 0);
    for (n_samples, n_coalitions) in [(2048, 510), (100, 100)] {
        let shap = KernelShap { n_samples, superpixels: 7, ..KernelShap::default() };
        let counted = Counted::new(&toy);
        let _ = shap.explain(&subject.through(&counted));
        assert_eq!(counted.forwards(), n_coalitions + 1, "and the empty one");
        let stated = shap.cost(FeatureShape::of(subject.features()));
        assert!(counted.forwards() < stated.forwards, "the whole image is another one");
    }
}

#[test]
fn dead_channels_do_not_break_any_method() {
    // All activations zero: every channel is constant, every gradient method sees zeros. A map may be constant, never NaN.
    let image = Tensor::zeros([1, 1, 4, 4], (Kind::Double, tch::Device::Cpu));
    for toy in all_networks() {
        for method in methods_for(&toy) {
            let map =
                method.explain(&Subject::new(&toy, image.shallow_clone(), Target::Predicted, 0));
            assert!(map.isfinite().all().int64_value(&[]) == 1, "{}", method.name());
        }
    }
}

#[test]
fn gradients_are_on_after_any_method() {
    let toy = Toy::squeeze();
    for method in methods_for(&toy) {
        let _ = method.explain(&Subject::new(&toy, Toy::image(), Target::Predicted, 0));
        let x = Tensor::from(1.0).set_requires_grad(true);
        assert!((&x * 2.0).requires_grad(), "{} leaves gradients off", method.name());
    }
}

#[test]
fn options_round_trip_and_unknown_options_are_refused() {
    for method in AnyMethod::all() {
        let options = serde_json::to_value(&method).unwrap();
        assert!(options.is_object(), "{}", method.name());
        let again = AnyMethod::configure(method.name(), options).unwrap().unwrap();
        assert_eq!(method, again);
        assert_eq!(
            AnyMethod::configure(method.name(), serde_json::json!({})).unwrap().unwrap(),
            method
        );
        let error = AnyMethod::configure(method.name(), serde_json::json!({"no_such_option": 1}))
            .unwrap()
            .unwrap_err();
        assert!(error.to_string().contains("no_such_option"), "{error}");
    }
    assert!(AnyMethod::configure("no_such_method", serde_json::json!({})).is_none());
}

#[test]
fn names_are_distinct_and_everybody_has_a_title_and_a_source() {
    let mut names = AnyMethod::NAMES.to_vec();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), AnyMethod::all().len());
    for method in AnyMethod::all() {
        let about = method.about();
        assert!(!about.title.is_empty() && !about.summary.is_empty() && !about.source.is_empty());
    }
}

// Identities between methods on a pooled linear head with N positions.

fn subject(toy: &Toy, class: i64) -> Subject<'_> {
    Subject::new(toy, Toy::waves(5, 3), Target::Class(class), 9)
}

#[test]
fn refine_cam_at_one_resolution_is_grad_cam_pp_normalized() {
    for toy in networks() {
        let subject = subject(&toy, 0);
        let plain = min_max(&GradCamPp::default().explain(&subject)).unwrap();
        assert!(max_difference(&RefineCam::default().explain(&subject), &plain) < 1e-12);
    }
}

#[test]
fn pixels_and_biases_times_their_gradients_add_up_to_the_logit() {
    for toy in networks() {
        for class in [0, 1] {
            let subject = subject(&toy, class);
            let image = subject.image().detach().set_requires_grad(true);
            let (logits, biases) = toy.logits_and_biases(&image);
            let logit = subject.logit(&logits);
            let inputs: Vec<&Tensor> = [&image].into_iter().chain(&biases).collect();
            let gradients = Tensor::run_backward(&[&logit], &inputs, false, false);
            let products = inputs.iter().zip(gradients).map(|(input, gradient)| *input * gradient);
            let total: f64 = products.map(|part| part.sum(Kind::Double).double_value(&[])).sum();
            assert!((total - logit.double_value(&[0])).abs() < 1e-12);
        }
    }
}

#[test]
fn recipro_cam_is_cam_over_n_plus_the_bias() {
    let toy = Toy::network_a();
    for (class, bias) in [(0, 0.5), (1, -0.5)] {
        let recipro = ReciproCam::default().explain(&subject(&toy, class));
        let cam = Cam { relu: false }.explain(&subject(&toy, class));
        assert!(max_difference(&recipro, &(&cam / 15.0 + bias)) < 1e-12);
        assert!(max_difference(&min_max(&recipro).unwrap(), &min_max(&cam).unwrap()) < 1e-12);
    }
}

#[test]
fn vit_recipro_cam_without_its_gaussian_is_recipro_cam() {
    for toy in networks() {
        for class in [0, 1] {
            let alone = VitReciproCam { gaussian: false, ..VitReciproCam::default() };
            let recipro = ReciproCam::default().explain(&subject(&toy, class));
            assert!(max_difference(&alone.explain(&subject(&toy, class)), &recipro) < 1e-12);
        }
    }
}

#[test]
fn recipro_cam_minus_the_bias_sums_to_the_logit_minus_the_bias() {
    let toy = Toy::network_a();
    for (class, bias) in [(0, 0.5), (1, -0.5)] {
        let subject = subject(&toy, class);
        let map = ReciproCam::default().explain(&subject);
        let total = (map - bias).sum(Kind::Double).double_value(&[]);
        assert!(
            (total - (subject.logit(subject.logits()).double_value(&[0]) - bias)).abs() < 1e-12
        );
    }
}

#[test]
fn grad_cam_is_rectified_cam_over_n() {
    let toy = Toy::network_a();
    for class in [0, 1] {
        let grad_cam = GradCam::default().explain(&subject(&toy, class));
        let cam = Cam::default().explain(&subject(&toy, class));
        assert!(max_difference(&grad_cam, &(cam / 15.0)) < 1e-12);
    }
}

#[test]
fn constant_gradients_make_grad_cam_hi_res_cam_and_x_grad_cam_one() {
    let toy = Toy::network_a();
    for class in [0, 1] {
        let subject = subject(&toy, class);
        let grad_cam = GradCam { relu: false }.explain(&subject);
        for map in
            [HiResCam { relu: false }.explain(&subject), XGradCam { relu: false }.explain(&subject)]
        {
            assert!(max_difference(&grad_cam, &map) < 1e-12);
        }
    }
}

#[test]
fn layer_cam_is_element_wise_grad_cam_where_activations_are_not_negative() {
    for toy in networks() {
        for class in [0, 1] {
            let subject = subject(&toy, class);
            let element_wise = GradCamElementwise {}.explain(&subject);
            assert!(max_difference(&LayerCam {}.explain(&subject), &element_wise) < 1e-12);
        }
    }
}

#[test]
fn hi_res_cam_adds_up_to_the_logit_less_the_bias() {
    let toy = Toy::network_a();
    for (class, bias) in [(0, 0.5), (1, -0.5)] {
        let subject = subject(&toy, class);
        let total = HiResCam { relu: false }.explain(&subject).sum(Kind::Double).double_value(&[]);
        let logit = subject.logit(subject.logits()).double_value(&[0]);
        assert!((total - (logit - bias)).abs() < 1e-12);
    }
}

#[test]
fn grad_cam_pp_weights_are_closed_form_and_smoothing_changes_nothing() {
    let toy = Toy::network_a();
    for class in [0, 1] {
        let subject = subject(&toy, class);
        let w = toy.pooled_linear_head().unwrap().weight.get(class);
        let mean = subject.features().mean_dim(&[0_i64, 2, 3][..], false, None::<Kind>);
        let weights = w.relu() / (&w * mean + 2.0);
        let expected = (subject.features().squeeze_dim(0) * weights.view([-1, 1, 1]))
            .sum_dim_intlist(0_i64, false, None::<Kind>)
            .relu();
        let plain = GradCamPp::default().explain(&subject);
        assert!(max_difference(&plain, &expected) < 1e-12);
        assert!(max_difference(&SmoothGradCamPp::default().explain(&subject), &plain) < 1e-12);
    }
}

#[test]
fn smoothing_without_noise_is_grad_cam_pp_and_noise_matters_where_gradients_vary() {
    // Behind a head with a ReLU the gradient depends on the position, so noise changes which positions pass.
    let toy = Toy::squeeze();
    let image = Toy::waves(6, 4);
    let smooth = |sigma| {
        let method = SmoothGradCamPp { sigma, ..SmoothGradCamPp::default() };
        method.explain(&Subject::new(&toy, image.shallow_clone(), Target::Class(0), 5))
    };
    let plain = GradCamPp::default().explain(&Subject::new(
        &toy,
        image.shallow_clone(),
        Target::Class(0),
        5,
    ));
    assert!(max_difference(&smooth(0.0), &plain) < 1e-12);
    assert!(max_difference(&smooth(1.0), &plain) > 1e-3);
}

#[test]
fn a_softmax_recipro_cam_of_two_classes_orders_positions_as_the_difference_of_cams() {
    let toy = Toy::network_a();
    let softmax = ReciproCam { score: cam_methods::Output::Softmax, ..ReciproCam::default() };
    let map = softmax.explain(&subject(&toy, 0));
    let cam = |class| Cam { relu: false }.explain(&subject(&toy, class));
    let expected = ((cam(0) - cam(1)) / 15.0 + 1.0).sigmoid();
    assert!(max_difference(&map, &expected) < 1e-12);
}

/// Whether a method draws anything: its map moves with the seed.
fn is_random(method: &AnyMethod) -> bool {
    let toy = Toy::network_a();
    let map = |seed| method.explain(&Subject::new(&toy, Toy::waves(5, 3), Target::Class(0), seed));
    map(1) != map(2)
}

#[test]
fn mirrored_activations_give_mirrored_maps() {
    // A pooled head does not know left from right: mirrored activations give mirrored maps. The grid on which extremal
    // perturbation draws its masks begins at the left, and of an odd side partition SHAP makes the left half smaller.
    let toy = Toy::network_a();
    let image = Toy::waves(5, 3);
    for method in methods_for(&toy)
        .into_iter()
        .filter(|method| !is_random(method))
        .filter(|method| !["extremal_perturbation", "partition_shap"].contains(&method.name()))
    {
        let map = |image: Tensor| method.explain(&Subject::new(&toy, image, Target::Class(0), 1));
        let flipped = map(image.flip([3]));
        assert!(
            max_difference(&flipped, &map(image.shallow_clone()).flip([1])) < 1e-9,
            "{}",
            method.name()
        );
    }
}

#[test]
fn the_gradient_at_the_image_equals_central_differences() {
    let toy = Toy::squeeze();
    let subject = subject(&toy, 0);
    let map = InputXGradient::default().explain(&subject);
    let step = 1e-6;
    for (y, x) in (0..5).flat_map(|y| (0..3).map(move |x| (y, x))) {
        let moved = |by: f64| {
            let copy = subject.image().copy();
            let _ = copy.get(0).get(0).get(y).get(x).g_add_scalar_(by);
            toy.logits(&copy).double_value(&[0, 0])
        };
        let gradient = (moved(step) - moved(-step)) / (2.0 * step);
        let expected = gradient * subject.image().double_value(&[0, 0, y, x]);
        assert!((map.double_value(&[y, x]) - expected).abs() < 1e-6);
    }
}

#[test]
fn integrated_gradients_sum_to_what_the_image_adds_to_the_logit() {
    for toy in networks() {
        for class in [0, 1] {
            let subject = subject(&toy, class);
            let empty = subject.with_image(subject.image().zeros_like());
            let logit = |subject: &Subject<'_>| subject.logit(subject.logits()).double_value(&[0]);
            let method = IntegratedGradients { n: 4000, ..IntegratedGradients::default() };
            let total = method.explain(&subject).sum(Kind::Double).double_value(&[]);
            let expected = logit(&subject) - logit(&empty);
            assert!((total - expected).abs() < 1e-3, "{total} is not {expected}");
        }
    }
}

#[test]
fn enumerated_kernel_shap_is_the_shapley_value_and_complete() {
    let toy = Toy::squeeze();
    let subject = Subject::new(&toy, Toy::waves(2, 4), Target::Class(0), 0);
    for score in [Output::Logit, Output::Softmax] {
        let value = |shown: usize| {
            let mask: Vec<f64> =
                (0..8).map(|player| f64::from(shown >> player as u8 & 1 == 1)).collect();
            let image = subject.image() * Tensor::from_slice(&mask).view([1, 1, 2, 4]);
            let logits = toy.logits(&image);
            match score {
                Output::Logit => subject.logit(&logits),
                Output::Softmax => subject.probability(&logits),
            }
            .double_value(&[0])
        };
        let values: Vec<f64> = (0..256).map(value).collect();
        let factorial = |n: u32| (1..=n).map(f64::from).product::<f64>();
        let expected: Vec<f64> = (0..8)
            .map(|player| {
                (0..256_usize)
                    .filter(|without| without >> player & 1 == 0)
                    .map(|without| {
                        let s = without.count_ones();
                        let share = factorial(s) * factorial(7 - s) / factorial(8);
                        share * (values[without | 1 << player] - values[without])
                    })
                    .sum()
            })
            .collect();
        let shap = KernelShap { superpixels: 8, score, ..KernelShap::default() };
        let map = shap.explain(&subject).flatten(0, -1);
        assert!(max_difference(&map, &Tensor::from_slice(&expected)) < 1e-9);
        let total = map.sum(Kind::Double).double_value(&[]);
        assert!((total - (values[255] - values[0])).abs() < 1e-9);
        // Fewer coalitions than there are: no longer exact where pixels interact, and still complete.
        let drawn = KernelShap { n_samples: 100, ..shap }.explain(&subject);
        let off = max_difference(&drawn.flatten(0, -1), &map);
        assert_eq!(off > 1e-6, score == Output::Softmax, "{off}");
        assert!((drawn.sum(Kind::Double).double_value(&[]) - total).abs() < 1e-9);
    }
}

#[test]
fn partition_shap_is_the_owen_value_and_complete_however_few_evaluations() {
    let toy = Toy::squeeze();
    // Of four rows and two columns the halves are rows, then columns: in reading order, halves of what is left.
    let subject = Subject::new(&toy, Toy::waves(4, 2), Target::Class(0), 0);
    for score in [Output::Logit, Output::Softmax] {
        let value = |shown: &[usize]| {
            let mask: Vec<f64> = (0..8).map(|pixel| f64::from(shown.contains(&pixel))).collect();
            let image = subject.image() * Tensor::from_slice(&mask).view([1, 1, 4, 2]);
            score.of(&subject, &toy.logits(&image)).double_value(&[0])
        };
        // Every order that keeps halves together: seven pairs, each in one of two orders.
        let mut expected = [0.0; 8];
        for swaps in 0..128_usize {
            let mut pair = 0;
            let mut order = vec![];
            arrange(&[0, 1, 2, 3, 4, 5, 6, 7], swaps, &mut pair, &mut order);
            for (i, pixel) in order.iter().enumerate() {
                expected[*pixel] += (value(&order[..=i]) - value(&order[..i])) / 128.0;
            }
        }
        let shap = PartitionShap { score, ..PartitionShap::default() };
        let map = shap.explain(&subject).flatten(0, -1);
        assert!(max_difference(&map, &Tensor::from_slice(&expected)) < 1e-12);
        let total = value(&[0, 1, 2, 3, 4, 5, 6, 7]) - value(&[]);
        for max_evals in [1, 2, 4, 9, 20, 43] {
            let few = PartitionShap { max_evals, ..shap.clone() }.explain(&subject);
            assert!((few.sum(Kind::Double).double_value(&[]) - total).abs() < 1e-12);
            assert!(max_difference(&few.flatten(0, -1), &map) > 1e-3, "{max_evals} are too few");
        }
    }
}

/// Pixels in an order that keeps halves together, of which the bits of `swaps` say which are swapped.
fn arrange(pixels: &[usize], swaps: usize, pair: &mut u32, order: &mut Vec<usize>) {
    let [pixel] = pixels else {
        let (a, b) = pixels.split_at(pixels.len() / 2);
        let is_swapped = swaps >> *pair & 1 == 1;
        *pair += 1;
        for half in if is_swapped { [b, a] } else { [a, b] } {
            arrange(half, swaps, pair, order);
        }
        return;
    };
    order.push(*pixel);
}

#[test]
fn noise_changes_smooth_grad_and_ss_cam_where_the_network_is_not_linear() {
    let toy = Toy::squeeze();
    let subject = subject(&toy, 0);
    let smooth = |noise| SmoothGrad { noise, ..SmoothGrad::default() }.explain(&subject);
    assert!(max_difference(&smooth(0.0), &Saliency::default().explain(&subject)) < 1e-12);
    assert!(max_difference(&smooth(0.3), &smooth(0.0)) > 1e-3);
    let ss_cam = |sigma| SsCam { n: 3, sigma }.explain(&subject);
    assert!(max_difference(&ss_cam(2.0), &ss_cam(0.0)) > 1e-3);
}

/// Toy network A, which keeps all images that it is shown.
struct Recorder {
    toy: Toy,
    seen: RefCell<Vec<Tensor>>,
}

impl Classifier for Recorder {
    fn features(&self, images: &Tensor) -> Tensor {
        self.seen.borrow_mut().push(images.detach());
        self.toy.features(images)
    }

    fn head(&self, features: &Tensor) -> Tensor {
        self.toy.head(features)
    }

    fn batch(&self) -> i64 {
        self.toy.batch()
    }
}

#[test]
fn rise_shows_two_images_behind_the_same_masks_and_smoothing_adds_the_same_noise_to_both() {
    let shown = |method: &dyn Method, image: &Tensor| {
        let recorder = Recorder { toy: Toy::network_a(), seen: RefCell::default() };
        let subject = Subject::new(&recorder.toy, image.shallow_clone(), Target::Class(0), 3);
        let _ = method.explain(&subject.through(&recorder));
        Tensor::cat(&recorder.seen.into_inner(), 0)
    };
    let images = [Toy::waves(6, 4), Toy::waves(6, 4).cos() * 3.0];
    let rise = Rise { n_masks: 50, ..Rise::default() };
    let [a, b] = images.each_ref().map(|image| shown(&rise, image) / image);
    assert!(max_difference(&a, &b) < 1e-12);
    let [a, b] = images.each_ref().map(|image| shown(&SmoothGradCamPp::default(), image) - image);
    assert!(max_difference(&a, &b) < 1e-12);
    // Its noise is as large as the image's range.
    let [a, b] = images
        .each_ref()
        .map(|image| (shown(&SmoothGrad::default(), image) - image) / (image.max() - image.min()));
    assert!(max_difference(&a, &b) < 1e-12);
}

#[test]
fn the_gradient_at_the_cut_equals_central_differences() {
    let toy = Toy::squeeze();
    let subject = subject(&toy, 0);
    let map = GradCam { relu: false }.explain(&subject);
    let features = subject.features();
    let step = 1e-6;
    let mut weights = vec![];
    for channel in 0..3 {
        let mut total = 0.0;
        for (y, x) in (0..5).flat_map(|y| (0..3).map(move |x| (y, x))) {
            let moved = |by: f64| {
                let copy = features.copy();
                let _ = copy.get(0).get(channel).get(y).get(x).g_add_scalar_(by);
                toy.head(&copy).double_value(&[0, 0])
            };
            total += (moved(step) - moved(-step)) / (2.0 * step);
        }
        weights.push(total / 15.0);
    }
    let expected = (features.squeeze_dim(0) * Tensor::from_slice(&weights).view([-1, 1, 1]))
        .sum_dim_intlist(0_i64, false, None::<Kind>);
    assert!(max_difference(&map, &expected) < 1e-6);
}

#[test]
fn a_method_on_a_randomized_network_explains_that_network_and_counts_as_on_the_trained_one() {
    for toy in networks() {
        let counted = Counted::new(&toy);
        let subject = Subject::new(&counted, Toy::waves(6, 4), Target::Class(1), 11);
        let copy = toy.randomized(1.0, 5).unwrap();
        let plain = Subject::new(&*copy, Toy::waves(6, 4), Target::Class(1), 11);
        let shape = FeatureShape::of(subject.features());
        for method in methods_for(&toy) {
            let randomized = Randomized { method: method.clone(), seed: 5 };
            assert_eq!(randomized.explain(&subject), method.explain(&plain), "{}", method.name());
            assert_eq!(randomized.cost(shape), method.cost(shape));
            assert_eq!(randomized.requirement(), method.requirement());
            assert_eq!(randomized.is_unit(), method.is_unit());
        }
        let before = counted.forwards();
        let rise = Rise { n_masks: 50, ..Rise::default() };
        let _ = Randomized { method: AnyMethod::Rise(rise), seed: 5 }.explain(&subject);
        assert_eq!(counted.forwards() - before, 50, "its masks; RISE asks for no clean pass");
    }
}
