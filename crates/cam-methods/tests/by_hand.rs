//! Every method on toy network A against numbers computed by hand from the formulas.
//!
//! The image is `[[1, 2], [-1, 3]]`; the activations are F1 = [1, 2, 0, 3], F2 = [0, 0, 1, 0], F3 = [0, 1, 0, 2]; the map
//! has the image's size, so nothing is interpolated.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use cam_core::{Classifier, Method, Subject, Target, min_max, toy::Toy};
use cam_methods::{
    AblationCam, AllOnes, Cam, CenterGaussian, ChannelMasks, Channels, Colors, Denominator,
    EigenCam, EigenGradCam, FullGrad, GradCam, GradCamElementwise, GradCamPp, HiResCam, Hooked,
    InputXGradient, IntegratedGradients, IsCam, KernelShap, LayerCam, LayerMaps, Lime, Occlusion,
    Output, PartitionShap, PpWeights, Random, ReciproCam, RefineCam, Rescale, Saliency, ScoreCam,
    SmoothGrad, SmoothGradCamPp, SmoothWeights, Sobel, SsCam, VitReciproCam, Weighting, XGradCam,
};
use tch::{Kind, Tensor};

fn values(map: &Tensor) -> Vec<f64> {
    Vec::try_from(map.flatten(0, -1)).unwrap()
}

/// Raw maps for class 0 and class 1, by the shortcut and by the general path.
fn check(method: &dyn Method, expected: [[f64; 4]; 2], normalize: bool) {
    for toy in [Toy::network_a(), Toy::network_a().without_shortcut()] {
        for (class, expected) in expected.iter().enumerate() {
            let subject = Subject::new(&toy, Toy::image(), Target::Class(class as i64), 0);
            let raw = method.explain(&subject);
            assert_eq!(raw.size(), [2, 2]);
            let got = values(&if normalize { min_max(&raw).unwrap() } else { raw });
            for (got, want) in got.iter().zip(expected) {
                assert!((got - want).abs() < 1e-9, "class {class}: {got} is not {want}");
            }
        }
    }
}

/// Raw maps for class 0 and class 1 on the network with a squeezing head, whose gradients vary with the position.
///
/// Its class maps before the ReLU are [2.5, 5.5, -.5, 8.5] and [-1.25, -1.75, .75, -2.25]: the gradient is a quarter of
/// V = [[2, -1, 1], [-1, 1, .5]] where they are positive, and 0 elsewhere.
fn check_squeeze(method: &dyn Method, expected: [[f64; 4]; 2]) {
    let toy = Toy::squeeze();
    for (class, expected) in expected.iter().enumerate() {
        let raw = method.explain(&Subject::new(&toy, Toy::image(), Target::Class(class as i64), 0));
        for (got, want) in values(&raw).iter().zip(expected) {
            assert!((got - want).abs() < 1e-12, "class {class}: {got} is not {want}");
        }
    }
}

/// CAM has no general path: it reads the linear layer.
fn check_cam(method: &Cam, expected: [[f64; 4]; 2], normalize: bool) {
    let toy = Toy::network_a();
    for (class, expected) in expected.iter().enumerate() {
        let raw = method.explain(&Subject::new(&toy, Toy::image(), Target::Class(class as i64), 0));
        let got = values(&if normalize { min_max(&raw).unwrap() } else { raw });
        for (got, want) in got.iter().zip(expected) {
            assert!((got - want).abs() < 1e-9, "class {class}: {got} is not {want}");
        }
    }
}

#[test]
fn cam_is_the_sum_of_the_weighted_channels() {
    check_cam(&Cam { relu: false }, [[2.0, 5.0, -1.0, 8.0], [-1.0, -1.5, 1.0, -2.0]], false);
    let third = 1.0 / 3.0;
    check_cam(
        &Cam { relu: false },
        [[third, 2.0 * third, 0.0, 1.0], [third, third / 2.0, 1.0, 0.0]],
        true,
    );
    check_cam(&Cam::default(), [[0.25, 0.625, 0.0, 1.0], [0.0, 0.0, 1.0, 0.0]], true);
}

#[test]
fn grad_cam_is_a_quarter_of_cam() {
    check(&GradCam { relu: false }, [[0.5, 1.25, -0.25, 2.0], [-0.25, -0.375, 0.25, -0.5]], false);
    check(&GradCam::default(), [[0.25, 0.625, 0.0, 1.0], [0.0, 0.0, 1.0, 0.0]], true);
}

#[test]
fn grad_cam_pp_weighs_channels_by_its_papers_formula() {
    // Weights (.4, 0, 4/11) and (0, 4/9, 4/19).
    let class_0 = [0.4, 0.8 + 4.0 / 11.0, 0.0, 1.2 + 8.0 / 11.0];
    let class_1 = [0.0, 4.0 / 19.0, 4.0 / 9.0, 8.0 / 19.0];
    check(&GradCamPp::default(), [class_0, class_1], false);
    check(
        &GradCamPp::default(),
        [
            [0.207_547_169_8, 0.603_773_584_9, 0.0, 1.0],
            [0.0, 0.473_684_210_5, 1.0, 0.947_368_421_1],
        ],
        true,
    );
}

#[test]
fn grad_cam_pp_of_three_code_bases_is_three_other_maps() {
    for (weights, expected) in [
        (
            PpWeights::TorchCam,
            [[0.307_692_307_7, 0.653_846_153_8, 0.0, 1.0], [0.0, 0.125, 1.0, 0.25]],
        ),
        (PpWeights::TensorFlow, [[0.25, 0.625, 0.0, 1.0], [0.0, 0.5, 1.0, 1.0]]),
        (
            PpWeights::Xplique,
            [
                [0.234_899_328_9, 0.617_449_664_4, 0.0, 1.0],
                [0.0, 0.492_537_313_4, 1.0, 0.985_074_626_9],
            ],
        ),
    ] {
        check(&GradCamPp { weights }, expected, true);
    }
}

#[test]
fn smooth_grad_cam_pp_as_published_has_the_mean_gradient_for_numerator() {
    // Gradients (.5, -.25, .25) and (-.25, .25, .125), activations sum to (6, 1, 3). Where g is positive, a position adds
    // g² / (2 g² + g³ ΣF) = 1 / (2 + g ΣF), and there are four.
    let published =
        SmoothGradCamPp { weights: SmoothWeights::Published, ..SmoothGradCamPp::default() };
    let [a, b] = [4.0 / 5.0, 4.0 / 2.75];
    let [c, d] = [4.0 / 2.25, 4.0 / 2.375];
    check(&published, [[a, 2.0 * a + b, 0.0, 3.0 * a + 2.0 * b], [0.0, d, c, 2.0 * d]], false);
}

#[test]
fn the_hooked_map_is_the_networks_own_of_the_class() {
    // Activations (1, 2, 0, 3), (0, 0, 1, 0), (0, 1, 0, 2) with the weights (2, -1, 1) and (-1, 1, .5).
    let toy = Toy::network_a().deployed();
    for (class, expected) in [(0, [2.0, 5.0, -1.0, 8.0]), (1, [-1.0, -1.5, 1.0, -2.0])] {
        let map = Hooked {}.explain(&Subject::new(&toy, Toy::image(), Target::Class(class), 0));
        assert_eq!(
            Vec::<f64>::try_from(map.flatten(0, -1).to_kind(Kind::Double)).unwrap(),
            expected
        );
    }
}

/// A network whose gradient is its pixel: logit Σ F²/2, F = x.
struct Square;
impl Classifier for Square {
    fn features(&self, images: &Tensor) -> Tensor {
        images.shallow_clone()
    }
    fn head(&self, features: &Tensor) -> Tensor {
        features.square().sum_dim_intlist(&[-2_i64, -1][..], false, None::<Kind>) / 2.0
    }
    fn batch(&self) -> i64 {
        1
    }
}
/// What the network is asked about.
struct Watched(std::cell::RefCell<Vec<Tensor>>);
impl Classifier for Watched {
    fn features(&self, images: &Tensor) -> Tensor {
        self.0.borrow_mut().push(images.copy());
        Square.features(images)
    }
    fn head(&self, features: &Tensor) -> Tensor {
        Square.head(features)
    }
    fn batch(&self) -> i64 {
        1
    }
}

#[test]
fn smooth_grad_cam_pp_of_torch_cam_takes_the_last_noisy_copy() {
    let torch_cam = SmoothGradCamPp { n: 3, sigma: 0.0, weights: SmoothWeights::TorchCam };
    // Without noise every copy is the image, and what is left is the paper's formula.
    let class_0 = [0.4, 0.8 + 4.0 / 11.0, 0.0, 1.2 + 8.0 / 11.0];
    check(&torch_cam, [class_0, [0.0, 4.0 / 19.0, 4.0 / 9.0, 8.0 / 19.0]], false);

    // With noise: two copies, written out.
    let watched = Watched(std::cell::RefCell::default());
    let image = Tensor::from_slice(&[1.0_f64, 2.0]).view([1, 1, 1, 2]);
    let subject = Subject::new(&watched, image, Target::Class(0), 7);
    let method = |weights| SmoothGradCamPp { n: 2, sigma: 0.1, weights };
    let map = values(&method(SmoothWeights::TorchCam).explain(&subject));
    let seen: Vec<Vec<f64>> = watched.0.borrow().iter().map(values).collect();
    let [clean, first, last] = &seen[..] else { panic!("{} images", seen.len()) };
    assert!(first != clean && last != clean && first != last);
    let mean = |p: i32, i: usize| f64::midpoint(first[i].powi(p), last[i].powi(p));
    let spread: f64 = (0..2).map(|i| mean(3, i) * clean[i]).sum();
    let with_epsilon = values(&method(SmoothWeights::TorchCam04).explain(&subject));
    for (map, epsilon) in [(map, 0.0), (with_epsilon, 1e-8)] {
        let alpha = |i| mean(2, i) / (2.0 * mean(2, i) + spread + epsilon);
        let weight: f64 = (0..2).map(|i| alpha(i) * last[i].max(0.0)).sum();
        for (got, pixel) in map.iter().zip(last) {
            let want = (weight * pixel).max(0.0);
            assert!((got - want).abs() < 1e-12, "{got} is not {want}");
        }
    }
}

#[test]
fn smooth_grad_cam_pp_is_grad_cam_pp_where_gradients_are_constant() {
    // The gradient of a pooled linear head does not depend on the noise, and the sum takes the clean activations.
    check(
        &SmoothGradCamPp::default(),
        [
            [0.207_547_169_8, 0.603_773_584_9, 0.0, 1.0],
            [0.0, 0.473_684_210_5, 1.0, 0.947_368_421_1],
        ],
        true,
    );
}

#[test]
fn layer_cam_weighs_each_position_by_its_positive_gradient() {
    // Gradients (.5, -.25, .25) and (-.25, .25, .125) everywhere.
    check(&LayerCam {}, [[0.5, 1.25, 0.0, 2.0], [0.0, 0.125, 0.25, 0.25]], false);
    check_squeeze(&LayerCam {}, [[0.5, 1.25, 0.0, 2.0], [0.0, 0.0, 0.25, 0.0]]);
}

#[test]
fn x_grad_cam_weighs_channels_by_their_gradient_where_they_are_active() {
    // Constant gradients: the average does not depend on the weights. CAM/4.
    check(&XGradCam { relu: false }, [[0.5, 1.25, -0.25, 2.0], [-0.25, -0.375, 0.25, -0.5]], false);
    // Channel 2 is active only where the gradient for class 0 is zero: weights (.5, 0, .25) and (0, .25, 0).
    check_squeeze(&XGradCam::default(), [[0.5, 1.25, 0.0, 2.0], [0.0, 0.0, 0.25, 0.0]]);
}

#[test]
fn hi_res_cam_is_the_sum_of_activations_times_gradients() {
    check(&HiResCam { relu: false }, [[0.5, 1.25, -0.25, 2.0], [-0.25, -0.375, 0.25, -0.5]], false);
    check(&HiResCam::default(), [[0.25, 0.625, 0.0, 1.0], [0.0, 0.0, 1.0, 0.0]], true);
    check_squeeze(&HiResCam { relu: false }, [[0.5, 1.25, 0.0, 2.0], [0.0, 0.0, 0.25, 0.0]]);
}

#[test]
fn element_wise_grad_cam_drops_negative_products_before_the_sum() {
    // Class 1 at pixel 2: products (-.5, 0, .125), so .125 is left of -.375.
    check(&GradCamElementwise {}, [[0.5, 1.25, 0.0, 2.0], [0.0, 0.125, 0.25, 0.25]], false);
    check_squeeze(&GradCamElementwise {}, [[0.5, 1.25, 0.0, 2.0], [0.0, 0.0, 0.25, 0.0]]);
}

#[test]
fn eigen_cam_projects_onto_the_first_singular_vector() {
    // X'X = [[14, 0, 8], [0, 1, 0], [8, 0, 5]]: the largest eigenvalue is (19 + √337)/2, its vector (8, 0, λ - 14).
    let lambda = f64::midpoint(19.0, 337.0_f64.sqrt());
    let norm = 8.0_f64.hypot(lambda - 14.0);
    let (v1, v3) = (8.0 / norm, (lambda - 14.0) / norm);
    let expected = [v1, 2.0 * v1 + v3, 0.0, 3.0 * v1 + 2.0 * v3];
    check(&EigenCam::default(), [expected; 2], false);
}

#[test]
fn eigen_grad_cam_projects_products_and_speaks_for_the_class() {
    // Products (.5 F1, -.25 F2, .25 F3): in channels 1 and 3 the matrix is [[3.5, 1], [1, .3125]].
    let lambda = f64::midpoint(3.8125, 3.1875_f64.hypot(2.0));
    let norm = 1.0_f64.hypot(lambda - 3.5);
    let (v1, v3) = (1.0 / norm, (lambda - 3.5) / norm);
    let class_0 = [0.5 * v1, v1 + 0.25 * v3, 0.0, 1.5 * v1 + 0.5 * v3];
    // Products (-.25 F1, .25 F2, .125 F3): [[.875, -.25], [-.25, .078125]]; where F1 is large, they speak against it.
    let lambda = f64::midpoint(0.953_125, 0.796_875_f64.hypot(0.5));
    let norm = 0.25_f64.hypot(lambda - 0.875);
    let (v1, v3) = (0.25 / norm, (0.875 - lambda) / norm);
    let class_1 = [-0.25 * v1, -0.5 * v1 + 0.125 * v3, 0.0, -0.75 * v1 + 0.25 * v3];
    check(&EigenGradCam { center: false }, [class_0, class_1], false);
}

#[test]
fn a_centered_component_is_the_one_that_power_iteration_finds() {
    fn component(mut rows: [[f64; 3]; 4]) -> [f64; 4] {
        for channel in 0..3 {
            let mean = rows.iter().map(|row| row[channel]).sum::<f64>() / 4.0;
            for row in &mut rows {
                row[channel] -= mean;
            }
        }
        let dot = |a: &[f64; 3], b: &[f64; 3]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let mut v = [1.0, 0.1, 0.2];
        for _ in 0..2000 {
            let mut next = [0.0; 3];
            for row in &rows {
                let along = dot(row, &v);
                next.iter_mut().zip(row).for_each(|(sum, value)| *sum += along * value);
            }
            let norm = dot(&next, &next).sqrt();
            v = next.map(|value| value / norm);
        }
        let projected = rows.map(|row| dot(&row, &v));
        let agreement: f64 =
            projected.iter().zip(&rows).map(|(p, row)| p * row.iter().sum::<f64>()).sum();
        projected.map(|value| value * agreement.signum())
    }
    let rows = [[1.0, 0.0, 0.0], [2.0, 0.0, 1.0], [0.0, 1.0, 0.0], [3.0, 0.0, 2.0]];
    let products = |[a, b, c]: [f64; 3]| component(rows.map(|[x, y, z]| [a * x, b * y, c * z]));
    check(&EigenCam { center: true }, [component(rows); 2], false);
    let by_class = [products([0.5, -0.25, 0.25]), products([-0.25, 0.25, 0.125])];
    check(&EigenGradCam::default(), by_class, false);
}

#[test]
fn ablation_cam_weighs_channels_by_the_share_of_the_logit_lost_without_them() {
    // Weights w_k mean(F_k) / |y|: (3, -.25, .75)/4 and (-1.5, .25, .375)/1.375.
    let class_0 = [0.75, 1.6875, 0.0, 2.625];
    check(&AblationCam::default(), [class_0, [0.0, 0.0, 0.25 / 1.375, 0.0]], false);
    // The paper divides by y = -1.375, and the map shows what speaks against the class.
    let signed = AblationCam { denominator: Denominator::Signed };
    check(&signed, [class_0, [1.5 / 1.375, 2.625 / 1.375, 0.0, 3.75 / 1.375]], false);
    // Behind a ReLU: logit 4.125, and 1.125, 4.25, 3.375 without each channel; .1875, and .4375, 0, .1875.
    check_squeeze(
        &AblationCam::default(),
        [[3.0, 6.75, 0.0, 10.5].map(|value| value / 4.125), [0.0, 0.0, 1.0, 0.0]],
    );
}

#[test]
fn ss_cam_without_noise_is_score_cam_with_a_softmax_over_channels() {
    check(
        &SsCam { sigma: 0.0, n: 3 },
        [[0.223_989_845_3, 0.611_994_922_7, 0.0, 1.0], [0.0, 0.5, 0.487_593_080_1, 1.0]],
        true,
    );
}

/// The map of channels weighted by the softmax of their scores.
fn softmax_map(scores: [f64; 3]) -> [f64; 4] {
    let total: f64 = scores.iter().map(|score| score.exp()).sum();
    let [a, b, c] = scores.map(|score| score.exp() / total);
    [a, 2.0 * a + c, b, 3.0 * a + 2.0 * c]
}

#[test]
fn is_cam_averages_scores_while_the_masked_image_fades_in() {
    // Masked images [1/3, 4/3, 0, 3], [0, 0, -1, 0], [0, 1, 0, 3]. Their logits at 1/2: 43/24, 3/8, 13/8 and
    // -49/48, -3/8, -15/16; at 1: 41/12, 1/4, 3 and -11/8, -1/4, -5/4; at 3/2: 41/8, 1/8, 9/2 and -27/16, -1/8, -3/2.
    let mean = |a: [f64; 3], b: [f64; 3]| softmax_map([0, 1, 2].map(|k| f64::midpoint(a[k], b[k])));
    let half = [[43.0 / 24.0, 0.375, 1.625], [-49.0 / 48.0, -0.375, -0.9375]];
    let whole = [[41.0 / 12.0, 0.25, 3.0], [-1.375, -0.25, -1.25]];
    let more = [[5.125, 0.125, 4.5], [-1.6875, -0.125, -1.5]];
    let at = |end: [[f64; 3]; 2]| [mean(half[0], end[0]), mean(half[1], end[1])];
    check(&IsCam { n: 2, accumulate: false }, at(whole), false);
    check(&IsCam { n: 2, accumulate: true }, at(more), false);
    check(&IsCam { n: 1, ..IsCam::default() }, whole.map(softmax_map), false);
}

#[test]
fn occlusion_by_single_pixels_is_what_each_adds_to_the_logit() {
    // Pixels of network A do not see each other, and a pixel of 0 adds nothing: CAM/4.
    let pixels = Occlusion { window: 1, n: 2, score: Output::Logit };
    let cam = [[0.5, 1.25, -0.25, 2.0], [-0.25, -0.375, 0.25, -0.5]];
    check(&pixels, cam, false);
    let probability = |difference: f64| 1.0 / (1.0 + (-difference).exp());
    let falls: Vec<f64> =
        (0..4).map(|i| probability(5.375) - probability(5.375 - cam[0][i] + cam[1][i])).collect();
    let falls: [f64; 4] = falls.try_into().unwrap();
    check(&Occlusion { score: Output::Softmax, ..pixels }, [falls, falls.map(|fall| -fall)], false);
    // Squares larger than the image are the image: one fall, everywhere.
    check(
        &Occlusion { n: 1, score: Output::Logit, ..Occlusion::default() },
        [[3.5; 4], [-0.875; 4]],
        false,
    );
}

#[test]
fn pixels_under_two_squares_of_occlusion_have_the_mean_of_both() {
    // A row of three pixels under squares of two: pixels 1, 2 fall together, and 2, 3.
    let toy = Toy::network_a();
    let image = Tensor::from_slice(&[1.0_f64, 2.0, 3.0]).view([1, 1, 1, 3]);
    let subject = Subject::new(&toy, image, Target::Class(0), 0);
    let map = Occlusion { window: 2, n: 2, score: Output::Logit }.explain(&subject);
    // Each adds (2 F1 + F3)/3 = 2/3, 5/3, 8/3.
    let [a, b] = [7.0 / 3.0, 13.0 / 3.0];
    for (got, want) in values(&map).iter().zip([a, f64::midpoint(a, b), b]) {
        assert!((got - want).abs() < 1e-12, "{got} is not {want}");
    }
}

/// The logits' gradients in the pixels: channel 1 and 3 where x is positive (3 only above 1), channel 2 where it is not.
const PIXEL_GRADIENTS: [[f64; 4]; 2] = [[0.5, 0.75, 0.25, 0.75], [-0.25, -0.125, -0.25, -0.125]];

#[test]
fn saliency_is_the_size_of_the_pixel_gradient() {
    let sizes = PIXEL_GRADIENTS.map(|class| class.map(f64::abs));
    check(&Saliency::default(), sizes, false);
    check(&SmoothGrad { noise: 0.0, ..SmoothGrad::default() }, sizes, false);
    let squares = PIXEL_GRADIENTS.map(|class| class.map(|g| g * g));
    check(&SmoothGrad { noise: 0.0, squared: true, ..SmoothGrad::default() }, squares, false);
}

#[test]
fn the_gradient_of_a_probability_is_that_of_the_difference_of_logits_by_p_times_one_minus_p() {
    let p = 1.0 / (1.0 + (-5.375_f64).exp());
    let [a, b] = PIXEL_GRADIENTS;
    let sizes = [0, 1, 2, 3].map(|i| ((a[i] - b[i]) * p * (1.0 - p)).abs());
    check(&Saliency { score: Output::Softmax, ..Saliency::default() }, [sizes; 2], false);
}

#[test]
fn input_times_gradient_has_the_sign_of_both() {
    check(
        &InputXGradient::default(),
        [[0.5, 1.5, -0.25, 2.25], [-0.25, -0.25, 0.25, -0.375]],
        false,
    );
}

#[test]
fn integrated_gradients_are_what_each_pixel_adds_to_the_logit() {
    // Six steps of the middle rule meet the kinks of channel 3, at 1/2 of pixel 2 and 1/3 of pixel 4, between two steps.
    check(
        &IntegratedGradients { n: 6, ..IntegratedGradients::default() },
        [[0.5, 1.25, -0.25, 2.0], [-0.25, -0.375, 0.25, -0.5]],
        false,
    );
}

#[test]
fn three_colors_become_one_number_in_three_ways() {
    // One pixel; logit = 1 r - 2 g + 0.5 b.
    struct Linear;
    impl Classifier for Linear {
        fn features(&self, images: &Tensor) -> Tensor {
            images.shallow_clone()
        }
        fn head(&self, features: &Tensor) -> Tensor {
            let weights = Tensor::from_slice(&[1.0_f64, -2.0, 0.5]).view([1, 3]);
            features.flatten(1, -1).linear(&weights, None::<Tensor>)
        }
        fn batch(&self) -> i64 {
            1
        }
    }
    let image = Tensor::from_slice(&[3.0_f64, 1.0, -2.0]).view([1, 3, 1, 1]);
    let subject = Subject::new(&Linear, image, Target::Class(0), 0);
    for (colors, want) in [(Colors::Sum, 0.0), (Colors::SumAbs, 6.0), (Colors::MaxAbs, 3.0)] {
        let method = InputXGradient { colors, ..InputXGradient::default() };
        assert_eq!(values(&method.explain(&subject)), [want], "{colors:?}");
    }
}

#[test]
fn lime_and_kernel_shap_find_what_each_pixel_adds() {
    // Pixels of network A add up: the game of the logit is additive, and a ridge near 0 leaves its coefficients alone.
    let adds = [[0.5, 1.25, -0.25, 2.0], [-0.25, -0.375, 0.25, -0.5]];
    let lime = Lime { superpixels: 4, ridge: 1e-12, score: Output::Logit, ..Lime::default() };
    check(&lime, adds, false);
    let shap = KernelShap { superpixels: 4, ..KernelShap::default() };
    check(&shap, adds, false);
    let phi = [0.055_281_261_6, 0.107_231_412_2, -0.041_346_888_8, 0.143_166_064_3];
    check(&KernelShap { score: Output::Softmax, ..shap }, [phi, phi.map(|value| -value)], false);
}

#[test]
fn partition_shap_divides_what_adds_most_and_spreads_the_rest() {
    let shap = |max_evals| PartitionShap { max_evals, at_once: 1, ..PartitionShap::default() };
    // Pixels of network A add up, so that every order gives a pixel what it adds. The whole adds 3.5 and -0.875, its upper
    // half 1.75 and -0.625, its lower one 1.75 and -0.25, each half of it while the other half is hidden.
    check(&shap(3), [[0.875; 4], [-0.218_75; 4]], false);
    check(&shap(4), [[0.875; 4], [-0.3125, -0.3125, -0.125, -0.125]], false);
    // Then the upper half with the lower one hidden: a half of 0.5 and 1.25, of -0.25 and -0.375.
    let upper = [[0.6875, 1.0625, 0.875, 0.875], [-0.281_25, -0.343_75, -0.125, -0.125]];
    check(&shap(6), upper, false);
    // All of it takes 2 evaluations, 2 for the halves, and 8 for the pixels.
    check(&shap(12), [[0.5, 1.25, -0.25, 2.0], [-0.25, -0.375, 0.25, -0.5]], false);
    // A probability is σ(1 + Σ d), d = [.75, 1.625, -.5, 2.5], and does not add up. Pixel 0 comes before pixel 1 or after it,
    // and both before the lower half or after it: the mean of σ(1.75) - σ(1), σ(3.375) - σ(2.625), σ(3.75) - σ(3) and
    // σ(5.375) - σ(4.625).
    let softmax = PartitionShap { score: Output::Softmax, ..shap(12) };
    let owen = [0.046_225_585_9, 0.093_110_286_1, -0.037_209_721_6, 0.162_205_698_8];
    check(&softmax, [owen, owen.map(|value| -value)], false);
}

#[test]
fn controls_do_not_look_at_the_network() {
    check(&AllOnes {}, [[1.0; 4]; 2], false);
    // Half a pixel from the middle along both axes, the standard deviation being half a pixel: exp(-(1/4 + 1/4) / (2/4)).
    check(&CenterGaussian { sigma: 0.25 }, [[(-1.0_f64).exp(); 4]; 2], false);
    // With the border repeated, G_x is 3 (2 - 1) + (3 + 1) above and (2 - 1) + 3 (3 + 1) below; G_y is
    // 3 (-1 - 1) + (3 - 2) at the left and (-1 - 1) + 3 (3 - 2) at the right.
    let [above, below, left, right] = [7.0_f64, 13.0, -5.0, 1.0];
    let edges = [above.hypot(left), above.hypot(right), below.hypot(left), below.hypot(right)];
    check(&Sobel {}, [edges; 2], false);
    let toy = Toy::network_a();
    let noise = Random {}.explain(&Subject::new(&toy, Toy::waves(60, 50), Target::Predicted, 4));
    let mean = noise.mean(Kind::Double).double_value(&[]);
    let variance = noise.to_kind(Kind::Double).var(true).double_value(&[]);
    assert!((mean - 0.5).abs() < 0.02 && (variance - 1.0 / 12.0).abs() < 0.005);
    assert!(noise.min().double_value(&[]) >= 0.0 && noise.max().double_value(&[]) < 1.0);
}

#[test]
fn recipro_cam_is_the_heads_answer_to_each_position() {
    check(&ReciproCam::default(), [[1.0, 1.75, 0.25, 2.5], [-0.75, -0.875, -0.25, -1.0]], false);
    let softmax = ReciproCam { score: Output::Softmax, ..ReciproCam::default() };
    let class_0 = [0.851_952_802_0, 0.932_453_308_9, 0.622_459_331_2, 0.970_687_769_2];
    check(&softmax, [class_0, class_0.map(|p| 1.0 - p)], false);
    check(
        &softmax,
        [
            [0.659_031_387_7, 0.890_202_935_2, 0.0, 1.0],
            [0.340_968_612_3, 0.109_797_064_8, 1.0, 0.0],
        ],
        true,
    );
}

#[test]
fn score_cam_weighs_channels_by_probability_as_its_authors_do() {
    let [w1, w2, w3] = [0.991_769_685_4, 0.622_459_331_2, 0.985_936_373_0];
    let [v1, v2, v3] = [0.008_230_314_6, 0.377_540_668_8, 0.014_063_627_0];
    check(
        &ScoreCam::default(),
        [
            [w1, 2.0 * w1 + w3, w2, 3.0 * w1 + 2.0 * w3],
            [v1, 2.0 * v1 + v3, v2, 3.0 * v1 + 2.0 * v3],
        ],
        false,
    );
    check(
        &ScoreCam::default(),
        [
            [0.085_395_157_0, 0.542_697_578_5, 0.0, 1.0],
            [0.0, 0.060_366_413_8, 1.0, 0.120_732_827_6],
        ],
        true,
    );
}

#[test]
fn score_cam_with_a_softmax_over_channels_gives_another_map() {
    check(
        &ScoreCam { weighting: Weighting::ChannelSoftmax, ..ScoreCam::default() },
        [[0.223_989_845_3, 0.611_994_922_7, 0.0, 1.0], [0.0, 0.5, 0.487_593_080_1, 1.0]],
        true,
    );
}

#[test]
fn score_cam_of_older_torch_cam_sums_normalized_channels() {
    let older = ScoreCam {
        weighting: Weighting::Probability,
        masks: ChannelMasks::NormalizeFirst,
        channels: Channels::Normalized,
    };
    check(
        &older,
        [[0.0, 0.5, 0.177_200_274_4, 1.0], [0.0, 0.026_081_440_7, 1.0, 0.052_162_881_3]],
        true,
    );
}

#[test]
fn score_cams_masks_differ_in_how_they_reach_the_images_size() {
    /// One channel, the mean of each pair of pixels; the logits are the sum of its cells, and 0.
    struct Pairs;
    impl Classifier for Pairs {
        fn features(&self, images: &Tensor) -> Tensor {
            images.avg_pool2d([1, 2], [1, 2], [0, 0], false, true, None)
        }
        fn head(&self, features: &Tensor) -> Tensor {
            let sum = features.sum_dim_intlist(&[2_i64, 3][..], false, None::<Kind>);
            Tensor::cat(&[&sum, &sum.zeros_like()], 1)
        }
        fn batch(&self) -> i64 {
            4
        }
    }
    // The channel [0, 1, 0]; at half-pixel centers [0, 1/4, 3/4, 3/4, 1/4, 0], at aligned corners
    // [0, .4, .8, .8, .4, 0]. The masked image is -2 times the second mask, plus the third.
    let image = Tensor::from_slice(&[2.0_f64, -2.0, 1.0, 1.0, -2.0, 2.0]).view([1, 1, 1, 6]);
    let subject = Subject::new(&Pairs, image, Target::Class(0), 0);
    for (masks, logit) in [
        (ChannelMasks::UpsampleFirst, 1.0 - 2.0 / 3.0),
        (ChannelMasks::NormalizeFirst, 0.75 - 0.5),
        (ChannelMasks::AlignedCorners, 0.0),
    ] {
        let map = ScoreCam { masks, ..ScoreCam::default() }.explain(&subject);
        let probability = 1.0 / (1.0 + f64::exp(-logit));
        for (got, cell) in values(&map).iter().zip([0.0, 0.25, 0.75, 0.75, 0.25, 0.0]) {
            let want = probability * cell;
            assert!((got - want).abs() < 1e-12, "{masks:?}: {got} is not {want}");
        }
    }
}

#[test]
fn gaussian_recipro_cam_weighs_cam_by_the_mass_inside_the_border() {
    // A 3×3 map: mass 9/16 in corners, 3/4 on edges, 1 in the center.
    for toy in [Toy::network_a(), Toy::network_a().without_shortcut()] {
        let subject = Subject::new(&toy, Toy::waves(3, 3), Target::Class(0), 0);
        let gaussian = ReciproCam { gaussian: true, ..ReciproCam::default() }.explain(&subject);
        let one_hot = ReciproCam::default().explain(&subject);
        let bias = 0.5;
        let mass = [0.5625, 0.75, 0.5625, 0.75, 1.0, 0.75, 0.5625, 0.75, 0.5625];
        for ((got, one_hot), mass) in values(&gaussian).iter().zip(values(&one_hot)).zip(mass) {
            let want = mass * (one_hot - bias) + bias;
            assert!((got - want).abs() < 1e-12, "{got} is not {want}");
        }
    }
}

#[test]
fn recipro_cam_on_a_squeezing_head_is_the_rectified_class_map() {
    // [ReLU(V_c·F(i,j) + d_c) + (N - 1) ReLU(d_c)] / N with V = [[2,-1,1],[-1,1,.5]], d = [.5,-.25].
    let toy = Toy::squeeze();
    let table = [(0, [2.0, 5.0, -1.0, 8.0], 0.5_f64), (1, [-1.0, -1.5, 1.0, -2.0], -0.25)];
    for (class, cam, d) in table {
        let subject = Subject::new(&toy, Toy::image(), Target::Class(class), 0);
        let map = ReciproCam::default().explain(&subject);
        for (got, cam) in values(&map).iter().zip(cam) {
            let want = ((cam + d).max(0.0) + 3.0 * d.max(0.0)) / 4.0;
            assert!((got - want).abs() < 1e-12, "class {class}: {got} is not {want}");
        }
    }
}

#[test]
fn vit_recipro_cam_on_a_pooled_linear_head_is_blurred_cam_over_n_plus_the_bias() {
    // CAM is [2, 5, -1, 8] and [-1, -1.5, 1, -2]; a quarter of a pixel, an eighth of those beside it, a sixteenth of the
    // one across.
    let class_0 = [1.5, 2.4375, 1.3125, 2.625].map(|blurred| blurred / 4.0 + 0.5);
    let class_1 = [-0.4375, -0.6875, -0.218_75, -0.625].map(|blurred| blurred / 4.0 - 0.5);
    check(&VitReciproCam::default(), [class_0, class_1], false);
    let alone = VitReciproCam { gaussian: false, ..VitReciproCam::default() };
    let class_0 = [2.0, 5.0, -1.0, 8.0].map(|cam| cam / 4.0 + 0.5);
    let class_1 = [-1.0, -1.5, 1.0, -2.0].map(|cam| cam / 4.0 - 0.5);
    check(&alone, [class_0, class_1], false);
}

/// A network with a token: F = x, t the image's largest pixel; logits ((1 + t) Σ F, Σ F²).
struct Crowned;

impl Classifier for Crowned {
    fn features(&self, images: &Tensor) -> Tensor {
        self.features_and_tokens(images).0
    }

    fn head(&self, features: &Tensor) -> Tensor {
        self.head_with(features, None)
    }

    fn features_and_tokens(&self, images: &Tensor) -> (Tensor, Option<Tensor>) {
        let largest = images.amax(&[2_i64, 3][..], false).unsqueeze(1);
        (images.shallow_clone(), Some(largest))
    }

    fn head_with(&self, features: &Tensor, tokens: Option<&Tensor>) -> Tensor {
        let token = tokens.expect("the network has a token").view([-1]);
        let sum = |x: Tensor| x.sum_dim_intlist(&[1_i64, 2, 3][..], false, None::<Kind>);
        let first = sum(features.shallow_clone()) * (token + 1.0);
        Tensor::stack(&[first, sum(features.square())], 1)
    }

    fn batch(&self) -> i64 {
        3
    }
}

#[test]
fn the_class_token_is_kept_in_masked_copies_or_is_zero_there() {
    let subject = |class| Subject::new(&Crowned, Toy::image(), Target::Class(class), 0);
    assert_eq!(values(subject(0).logits()), [20.0, 15.0]);
    let alone = VitReciproCam { gaussian: false, ..VitReciproCam::default() };
    let kept = values(&alone.explain(&subject(0)));
    assert_eq!(kept, [4.0, 8.0, -4.0, 12.0]);
    let zero = VitReciproCam { class_token: false, ..alone };
    assert_eq!(values(&zero.explain(&subject(0))), [1.0, 2.0, -1.0, 3.0]);
    assert_eq!(values(&zero.explain(&subject(1))), [1.0, 4.0, 1.0, 9.0]);
    // [1, 2, -1, 3] blurred, every pixel with its own value.
    let blurred = values(&VitReciproCam::default().explain(&subject(0)));
    assert_eq!(blurred, [0.5625, 0.9375, 0.375, 0.9375].map(|sum| 4.0 * sum));
    // Its squares are (1/4, 1/2, -1/8, 3/16), (1/8, 1/2, -1/16, 3/8) and so on, squared and added.
    let squares = values(&VitReciproCam::default().explain(&subject(1)));
    let row = |weights: [f64; 4]| {
        let pixels = [1.0, 2.0, -1.0, 3.0];
        weights.iter().zip(pixels).map(|(weight, pixel)| (weight * pixel / 16.0).powi(2)).sum()
    };
    let expected: [f64; 4] = [
        row([4.0, 2.0, 2.0, 1.0]),
        row([2.0, 4.0, 1.0, 2.0]),
        row([2.0, 1.0, 4.0, 2.0]),
        row([1.0, 2.0, 2.0, 4.0]),
    ];
    assert_eq!(squares, expected);
}

#[test]
fn methods_at_the_cut_leave_an_images_tokens_as_they_are() {
    let subject = Subject::new(&Crowned, Toy::image(), Target::Class(0), 0);
    assert_eq!(values(&ReciproCam::default().explain(&subject)), [4.0, 8.0, -4.0, 12.0]);
    // The gradient of the first logit is 1 + t = 4 at every pixel.
    assert_eq!(values(&GradCam::default().explain(&subject)), [4.0, 8.0, 0.0, 12.0]);
    // Without its only channel nothing is left of the logit, 20: the weight is 1.
    assert_eq!(values(&AblationCam::default().explain(&subject)), [1.0, 2.0, 0.0, 3.0]);
    // Noisy copies have other largest pixels, so the gradient is not 4, but it is still one number.
    let noisy = SmoothGradCamPp { n: 3, sigma: 0.3, ..SmoothGradCamPp::default() };
    let map = values(&noisy.explain(&subject));
    assert!((map[1] / map[0] - 2.0).abs() < 1e-9 && map[2] == 0.0, "{map:?}");
}

/// Channels of 3×3 from an image of 6×6: its pooled pixels, and 2 minus them; logits (2 mean F1, mean F2).
struct Pooling;

impl Classifier for Pooling {
    fn features(&self, images: &Tensor) -> Tensor {
        let pooled = images.avg_pool2d([2, 2], [2, 2], [0, 0], false, true, None::<i64>);
        Tensor::cat(&[&pooled, &(&pooled * -1.0 + 2.0)], 1)
    }

    fn head(&self, features: &Tensor) -> Tensor {
        let mean = features.mean_dim(&[2_i64, 3][..], false, None::<Kind>);
        mean * Tensor::from_slice(&[2.0_f64, 1.0])
    }

    fn batch(&self) -> i64 {
        1
    }
}

#[test]
fn score_cam_upsamples_its_channels_before_it_normalizes_and_sums_them() {
    // A peak in the middle: upsampled it is 9/16 as high, so the order of the two steps shows.
    let cells = [0.0_f64, 0.5, 0.0, 0.0, 4.0, 0.0, 0.0, 0.0, -1.0];
    let pixel = |y: usize, x: usize| cells[y / 2 * 3 + x / 2];
    let channels = [cells, cells.map(|cell| 2.0 - cell)];

    // Half-pixel bilinear interpolation by a factor of 2, as a matrix.
    let rows = [
        [1.0, 0.0, 0.0],
        [0.75, 0.25, 0.0],
        [0.25, 0.75, 0.0],
        [0.0, 0.75, 0.25],
        [0.0, 0.25, 0.75],
        [0.0, 0.0, 1.0],
    ];
    let up = |cells: [f64; 9]| {
        let mut large = [[0.0; 6]; 6];
        for (y, line) in large.iter_mut().enumerate() {
            for (x, value) in line.iter_mut().enumerate() {
                *value = (0..9).map(|i| rows[y][i / 3] * cells[i] * rows[x][i % 3]).sum();
            }
        }
        large
    };
    let mut expected = [0.0; 36];
    for channel in channels {
        let large = up(channel);
        let all = || large.iter().flatten().copied();
        let (low, high) = (all().fold(f64::MAX, f64::min), all().fold(f64::MIN, f64::max));
        let masked: f64 = (0..36)
            .map(|i| pixel(i / 6, i % 6) * (large[i / 6][i % 6] - low) / (high - low))
            .sum::<f64>()
            / 36.0;
        let weight = 1.0 / (1.0 + ((2.0 - masked) - 2.0 * masked).exp());
        for (sum, value) in expected.iter_mut().zip(all()) {
            *sum += weight * value;
        }
    }

    let image: Vec<f64> = (0..36).map(|i| pixel(i / 6, i % 6)).collect();
    let image = Tensor::from_slice(&image).view([1, 1, 6, 6]);
    let map = ScoreCam::default().explain(&Subject::new(&Pooling, image, Target::Class(0), 0));
    assert_eq!(map.size(), [6, 6]);
    for (got, want) in values(&map).iter().zip(expected) {
        assert!((got - want.max(0.0)).abs() < 1e-12, "{got} is not {}", want.max(0.0));
    }
}

#[test]
fn full_grad_adds_up_what_each_bias_and_each_pixel_contribute() {
    // Gradients in the pixels 1, 2, -1 and 3: .5, .75, .25, .75; in the third channel, whose bias is -1: 0, .25, 0, .25.
    // Absolute products (.5, 1.5, .25, 2.25) and (0, .25, 0, .25), each normalized; the other biases are 0. For class 1:
    // -.25, -.125, -.25, -.125 and .125 where the third channel is active; products (.25, .25, .25, .375).
    let expected = [[0.125, 1.625, 0.0, 2.0], [0.0, 1.0, 0.0, 2.0]];
    check(&FullGrad::default(), expected, false);
    // In the authors' code a layer's channels share their range, which changes nothing where only one has a bias.
    check(&FullGrad { rescale: Rescale::Layer, ..FullGrad::default() }, expected, false);
}

/// Two resolutions: an image of 4×4 as it is, and its means over 2×2, whose mean is the logit.
struct Halved;

impl Halved {
    fn halved(features: &Tensor) -> Tensor {
        features.avg_pool2d([2, 2], [2, 2], [0, 0], false, true, None::<i64>)
    }
}

impl Classifier for Halved {
    fn features(&self, images: &Tensor) -> Tensor {
        Self::halved(images)
    }

    fn head(&self, features: &Tensor) -> Tensor {
        features.mean_dim(&[2_i64, 3][..], false, None::<Kind>)
    }

    fn batch(&self) -> i64 {
        1
    }

    fn logits_and_levels(&self, image: &Tensor, n: usize) -> (Tensor, Vec<Tensor>) {
        let fine = image.detach().set_requires_grad(true);
        let coarse = Self::halved(&fine);
        (self.head(&coarse), [coarse, fine].into_iter().take(n).collect())
    }
}

#[test]
fn refine_cam_is_the_product_of_upsampled_and_normalized_maps() {
    // One channel with one gradient everywhere: a map is the activations times a number, which normalization takes out.
    // Means (0, 4, 8, 4) are (0, .5, 1, .5); upsampled, a row is 1, .75, .25 and 0 of the upper one.
    let image =
        [0.0_f64, 0.0, 4.0, 4.0, 0.0, 0.0, 4.0, 4.0, 8.0, 8.0, 4.0, 4.0, 8.0, 8.0, 4.0, 4.0];
    let image = Tensor::from_slice(&image).view([1, 1, 4, 4]);
    let subject = Subject::new(&Halved, image, Target::Class(0), 0);
    let map = RefineCam::default().explain(&subject);
    assert_eq!(map.size(), [4, 4]);
    let (upper, lower) = ([0.0, 0.125, 0.375, 0.5], [1.0, 0.875, 0.625, 0.5]);
    let fine = [0.0, 0.0, 0.5, 0.5, 0.0, 0.0, 0.5, 0.5, 1.0, 1.0, 0.5, 0.5, 1.0, 1.0, 0.5, 0.5];
    let share = [1.0, 0.75, 0.25, 0.0];
    let expected: Vec<f64> = (0..16)
        .map(|i| {
            let (row, column) = (i / 4, i % 4);
            fine[i] * (share[row] * upper[column] + (1.0 - share[row]) * lower[column])
        })
        .collect();
    for (value, expected) in values(&map).into_iter().zip(expected) {
        assert!((value - expected).abs() < 1e-12, "{value} and {expected}");
    }
    // At the cut alone it is that map, upsampled and normalized; one channel makes the three kinds of maps one.
    for maps in [LayerMaps::GradCamPp, LayerMaps::LayerCam, LayerMaps::GradCam] {
        let one = values(&RefineCam { resolutions: 1, maps }.explain(&subject));
        assert!((one[0] - upper[0]).abs() < 1e-12 && (one[13] - lower[1]).abs() < 1e-12, "{one:?}");
        let all = values(&RefineCam { maps, ..RefineCam::default() }.explain(&subject));
        assert!((all[13] - lower[1]).abs() < 1e-12, "{all:?}");
    }
}
