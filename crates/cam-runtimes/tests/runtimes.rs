//! Small networks in the runtimes themselves: the same logits as on libtorch. Where a runtime is not set up (`cargo xtask
//! test` does), its tests say so and are skipped.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test may panic, and says what it skips"
)]

#[path = "../../cam-onnx/tests/support/model.rs"]
#[allow(dead_code, reason = "not every test uses all of it")]
mod model;

use std::path::{Path, PathBuf};

use cam_core::{Classifier, Method, Subject, Target};
use cam_methods::{Hooked, ReciproCam};
use cam_onnx::{Hook, Network, Scale};
use cam_runtimes::{Deployed, Options, Runtime, RuntimeError};
use model::{FLOAT, HALF, INT64, Model, Value::Int, whole};
use tch::{Device, Kind, Tensor};

const RUNTIMES: [Runtime; 2] = [Runtime::OnnxRuntime, Runtime::OpenVino];

/// A network of a few kilobytes, for images of 16 pixels and 4 classes.
fn small(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("../cam-onnx/tests/vectors/networks/{name}.onnx"))
}

fn options() -> Options {
    Options { batch: 4, input_side: Some(16), ..Options::default() }
}

fn is_not_set_up(error: &RuntimeError) -> bool {
    matches!(error, RuntimeError::Library { message, .. } if message.starts_with("there is no "))
}

/// The network in a runtime; `None` where that is not set up.
fn deployed(path: &Path, runtime: Runtime) -> Option<Deployed> {
    match Deployed::open(path, runtime, &options()) {
        Err(error) if is_not_set_up(&error) => {
            println!("skipped: {} is not set up", runtime.title());
            None
        }
        opened => Some(opened.unwrap()),
    }
}

fn on_libtorch(path: &Path) -> Network {
    let options = cam_onnx::Options { input_side: Some(16), ..cam_onnx::Options::default() };
    Network::open(path, &options).unwrap()
}

fn waves(n: i64) -> Tensor {
    let line = Tensor::arange(n * 3 * 256, (Kind::Float, Device::Cpu));
    (line * 0.37).sin().view([n, 3, 16, 16]) * 2.0
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    (a - b).abs().max().double_value(&[])
}

#[test]
fn a_runtime_gives_the_logits_that_libtorch_gives_for_any_number_of_images() {
    for runtime in RUNTIMES {
        for name in ["residual", "excited", "excited_one", "tokens", "windows", "residual_softmax"]
        {
            let Some(network) = deployed(&small(name), runtime) else { continue };
            assert_eq!(network.n_classes(), 4, "{name}");
            assert_eq!(network.is_softmax(), name == "residual_softmax", "{name}");
            let exact = on_libtorch(&small(name));
            let exact = exact.cut(cam_onnx::INPUT).unwrap();
            for n in [1, 3, 4, 9] {
                let images = waves(n);
                // The logarithm of probabilities is logits up to a constant.
                let [ours, theirs] = [(&network).logits(&images), exact.logits(&images)]
                    .map(|logits| logits.log_softmax(1, None::<Kind>));
                let off = largest_difference(&ours, &theirs);
                assert!(off < 2e-5, "{name}, {n} images in {}: {off:e}", network.runtime());
            }
        }
    }
}

#[test]
fn of_several_outputs_the_one_that_is_named_holds_the_logits() {
    let outputs = ["main", "aux", "logits"].map(|name| (name, FLOAT)).to_vec();
    let model = Model { outputs, ..Model::default() }
        .stem("images")
        .head("GlobalAveragePool", "r", "main")
        .node("Neg", "main", "logits", &[])
        .node("Abs", "main", "aux", &[]);
    let folder = tempfile::tempdir().unwrap();
    let path = model.write(folder.path(), "heads");
    for runtime in RUNTIMES {
        let Some(by_name) = deployed(&path, runtime) else { continue };
        let output = by_name.output();
        assert_eq!((&*output.name, output.others.join(" ")), ("logits", "main aux".into()));
        let asked = |name: &str| {
            Deployed::open(&path, runtime, &Options { logits: Some(name.to_owned()), ..options() })
        };
        let main = asked("main").unwrap();
        let [ours, theirs] = [&by_name, &main].map(|network| network.logits(&waves(2)));
        assert_eq!(ours, -theirs);
        let error = asked("mian").unwrap_err().to_string();
        assert!(error.contains("did you mean `main`?"), "{error}");

        // The hook's own output is read, and beside another one its maps are none.
        let hook = Hook { logits: Some("aux".into()), input_side: Some(16), ..Hook::default() };
        let hooked = folder.path().join("hooked.onnx");
        std::fs::write(&hooked, cam_onnx::hook(&path, &hook).unwrap().bytes).unwrap();
        let of = |logits: Option<&str>| {
            let hooked_of = Some("aux".to_owned());
            let logits = logits.map(str::to_owned);
            Deployed::open(&hooked, runtime, &Options { logits, hooked: hooked_of, ..options() })
                .unwrap()
        };
        let (own, other) = (of(None), of(Some("main")));
        assert_eq!((&*own.output().name, (&own).is_hooked()), ("aux", true));
        assert_eq!((&*other.output().name, (&other).is_hooked()), ("main", false));
    }
}

#[test]
fn the_map_of_a_hooked_graph_is_recipro_cams() {
    let folder = tempfile::tempdir().unwrap();
    for runtime in RUNTIMES {
        for name in ["residual", "excited", "tokens"] {
            let hook = Hook { scale: Scale::None, input_side: Some(16), ..Hook::default() };
            let hooked = cam_onnx::hook(&small(name), &hook).unwrap();
            let path = folder.path().join(format!("{name}.onnx"));
            std::fs::write(&path, hooked.bytes).unwrap();
            let Some(network) = deployed(&path, runtime) else { continue };
            let network = &network;
            let exact = on_libtorch(&small(name));
            let exact = exact.cut(exact.default_layer().unwrap()).unwrap();
            for class in 0..4 {
                let subject =
                    |classifier| Subject::new(classifier, waves(1), Target::Class(class), 0);
                let found = Hooked {}.explain(&subject(&network));
                let expected = ReciproCam::default().explain(&subject(&exact));
                let range = (expected.max() - expected.min()).double_value(&[]);
                let off = largest_difference(&found, &expected) / range;
                assert!(off < 1e-4, "{name}, class {class} in {}: {off:e}", network.runtime());
            }
        }
    }
}

#[test]
fn hooked_graphs_run_whose_nodes_have_no_names_that_are_old_or_in_half_precision() {
    let peaks = |model: Model| model.stem("images").head("GlobalMaxPool", "r", "scores");
    let half = |pooling| {
        Model { is_half: true, ..Model::default() }
            .node("Cast", "images", "x", &[("to", Int(HALF))])
            .stem("x")
            .head(pooling, "r", "half")
            .node("Cast", "half", "scores", &[("to", Int(FLOAT))])
    };
    let models = [
        ("unnamed", peaks(Model::default())),
        ("old", peaks(Model { opset: 9, ir: 3, ..Model::default() })),
        ("half_repeated", half("GlobalMaxPool")),
        ("half_pooled", half("GlobalAveragePool")),
    ];
    // From 0 to 1, whatever the scale.
    let unit = |map: &Tensor| (map - map.min()) / (map.max() - map.min());
    let folder = tempfile::tempdir().unwrap();
    for runtime in RUNTIMES {
        for (name, model) in &models {
            let path = model.write(folder.path(), name);
            let exact = on_libtorch(&path);
            let exact = exact.cut(exact.default_layer().unwrap()).unwrap();
            for scale in [Scale::None, Scale::U8] {
                let hook = Hook { scale, input_side: Some(16), ..Hook::default() };
                let hooked = folder.path().join("hooked.onnx");
                std::fs::write(&hooked, cam_onnx::hook(&path, &hook).unwrap().bytes).unwrap();
                let Some(network) = deployed(&hooked, runtime) else { continue };
                let network = &network;
                for class in 0..6 {
                    let subject =
                        |classifier| Subject::new(classifier, waves(1), Target::Class(class), 0);
                    let found = unit(&Hooked {}.explain(&subject(&network)));
                    let expected = unit(&ReciproCam::default().explain(&subject(&exact)));
                    let off = largest_difference(&found, &expected);
                    assert!(off < 0.03, "{name}, class {class} in {}: {off:e}", network.runtime());
                }
            }
        }
    }
}

#[test]
fn scores_are_those_of_libtorch_beside_other_outputs_and_behind_a_softmax_over_groups() {
    let labelled = Model {
        outputs: vec![("scores", FLOAT), ("label", INT64)],
        ..Model::default().stem("images").head("GlobalMaxPool", "r", "scores")
    };
    let labelled = labelled.node("ArgMax", "scores", "label", &[("axis", Int(1))]);
    let grouped = Model::default()
        .stem("images")
        .head("GlobalMaxPool", "r", "logits")
        .weight("three", &whole(&[-1, 2, 3]))
        .weight("six", &whole(&[-1, 6]))
        .node("Reshape", "logits three", "groups", &[])
        .node("Softmax", "groups", "p", &[("axis", Int(2))])
        .node("Reshape", "p six", "scores", &[]);
    let folder = tempfile::tempdir().unwrap();
    for runtime in RUNTIMES {
        for (name, model) in [("labelled", &labelled), ("grouped", &grouped)] {
            let path = model.write(folder.path(), name);
            let Some(network) = deployed(&path, runtime) else { continue };
            assert!(!network.is_softmax(), "{name}");
            let exact = on_libtorch(&path);
            let exact = exact.cut(cam_onnx::INPUT).unwrap();
            let off = largest_difference(&(&network).logits(&waves(3)), &exact.logits(&waves(3)));
            assert!(off < 2e-5, "{name} in {}: {off:e}", network.runtime());
        }
    }
}

#[test]
fn a_file_that_is_no_network_is_an_error_in_the_runtimes_words() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broken.onnx");
    std::fs::write(&path, b"no network").unwrap();
    for runtime in RUNTIMES {
        let error = Deployed::open(&path, runtime, &options()).unwrap_err();
        if is_not_set_up(&error) {
            println!("skipped: {} is not set up", runtime.title());
            continue;
        }
        let text = error.to_string();
        assert!(
            text.contains("broken.onnx: ") && text.contains(" cannot open it: "),
            "{runtime}: {text}"
        );
    }
}
