//! Weights in files of every format, whole, broken and of other networks.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::thread;

use cam_core::{Classifier, Interpolation};
use cam_models::{
    Caches, DownloadError, Loaded, ModelError, Options, Parameters, Plan, WeightsChoice,
    WeightsFile, by_name, load_from, seeded, set_threads, sha256,
};
use safetensors::{Dtype, tensor::TensorView};
use tch::{Device, Kind, Tensor};

fn vector(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(file)
}

/// Caches with nothing in them and no server behind them.
fn empty_caches(folder: &Path) -> Caches {
    Caches {
        torch_hub: folder.join("hub"),
        weights: folder.join("weights"),
        base_url: "http://127.0.0.1:9".to_owned(),
    }
}

fn load(name: &str, choice: &WeightsChoice) -> Result<Loaded, ModelError> {
    set_threads(1);
    let folder = tempfile::tempdir().expect("a folder for this test");
    load_from(&empty_caches(folder.path()), name, choice, &Options::default(), &mut |_| {})
}

fn load_path(name: &str, path: &Path) -> Result<Loaded, ModelError> {
    load(name, &WeightsChoice::Path(path.to_owned()))
}

/// Writes parameters as `.safetensors` under other names.
fn save(path: &Path, parameters: &Parameters, kind: Kind, rename: impl Fn(&str) -> String) {
    let dtype = match kind {
        Kind::Float => Dtype::F32,
        Kind::Half => Dtype::F16,
        Kind::BFloat16 => Dtype::BF16,
        Kind::Double => Dtype::F64,
        _ => panic!("no such format in this test"),
    };
    let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = parameters
        .iter()
        .map(|(name, tensor)| {
            let tensor = tensor.to_kind(kind).contiguous();
            let shape = tensor.size().iter().map(|&n| n as usize).collect();
            let mut bytes = vec![0; tensor.numel() * kind.elt_size_in_bytes()];
            tensor.copy_data_u8(&mut bytes, tensor.numel());
            (rename(name), shape, bytes)
        })
        .collect();
    let views: HashMap<&str, TensorView<'_>> = bytes
        .iter()
        .map(|(name, shape, bytes)| {
            (
                name.as_str(),
                TensorView::new(dtype, shape.clone(), bytes).expect("bytes of that shape"),
            )
        })
        .collect();
    safetensors::serialize_to_file(views, None, path).expect("a file in the test's folder");
}

fn logits(model: &Loaded) -> Tensor {
    let _no_grad = tch::no_grad_guard();
    let x = (Tensor::arange(3 * 64 * 64, (Kind::Float, Device::Cpu)) * 0.037)
        .sin()
        .view([1, 3, 64, 64]);
    model.network.cut(model.backbone.layer()).expect("its own layer").logits(&x)
}

fn lite0(classes: i64) -> (Plan, Parameters) {
    let plan = by_name("tf_efficientnet_lite0").expect("a row of the zoo").plan(classes);
    let parameters = seeded(&plan, 3);
    (plan, parameters)
}

#[test]
fn every_format_gives_the_same_tensors() {
    for (file, prefix) in [
        ("tiny-zip.pth", ""),
        ("tiny-legacy.pth", ""),
        ("tiny-nested.pth", "state_dict.module."),
        ("tiny.safetensors", ""),
    ] {
        let file = WeightsFile::open(&vector(file)).unwrap();
        let quarters = |n: i64| Tensor::arange(n, (Kind::Float, Device::Cpu)) / 4.0;
        let read = |name: &str| file.read(&format!("{prefix}{name}")).unwrap();
        assert_eq!(read("a.weight"), quarters(24).view([2, 3, 4]));
        assert_eq!(read("a.half"), quarters(5));
        assert_eq!(read("b.wide"), quarters(6).view([2, 3]).tr());
        assert_eq!(file.shapes()[&format!("{prefix}b.wide")], [3, 2]);
        let error = file.read(&format!("{prefix}b.num_batches_tracked")).unwrap_err().to_string();
        assert!(error.contains("holds I64"), "{error}");
        assert!(file.read("absent").is_err());
    }
}

#[test]
fn truncated_files_of_every_length_are_errors_and_never_panics() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["tiny-zip.pth", "tiny-legacy.pth", "tiny-nested.pth", "tiny.safetensors"] {
        let whole = fs::read(vector(name)).unwrap();
        let path = folder.path().join(name);
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let everything = WeightsFile::open(&path).and_then(|file| {
                file.shapes()
                    .keys()
                    .filter(|name| !name.contains("num_batches"))
                    .try_for_each(|name| file.read(name).map(drop))
            });
            match everything {
                Err(ModelError::Unreadable { path: named, .. }) => assert_eq!(named, path),
                other => panic!("{name} cut to {length} of {}: {other:?}", whole.len()),
            }
        }
    }
}

#[test]
fn code_in_a_pickle_is_never_executed() {
    for file in ["hostile-zip.pth", "hostile-legacy.pth"] {
        let opened = WeightsFile::open(&vector(file));
        let folder = Path::new("executed-by-a-pickle");
        assert!(!folder.exists(), "{file} has been executed");
        match opened {
            Ok(file) => assert_eq!(file.shapes().into_keys().collect::<Vec<_>>(), ["a.weight"]),
            Err(error) => assert!(matches!(error, ModelError::Unreadable { .. }), "{error}"),
        }
    }
}

#[test]
fn files_with_any_byte_changed_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["tiny-zip.pth", "tiny-legacy.pth", "tiny.safetensors"] {
        let whole = fs::read(vector(name)).unwrap();
        let path = folder.path().join(name);
        let mut n_refused = 0;
        for at in 0..whole.len() {
            for change in [0x01, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= change;
                fs::write(&path, &bytes).unwrap();
                let opened = WeightsFile::open(&path);
                let read = opened.and_then(|file| {
                    file.shapes().keys().try_for_each(|name| file.read(name).map(drop))
                });
                n_refused += u32::from(read.is_err());
            }
        }
        assert!(n_refused > 0);
    }
}

#[test]
fn sizes_that_no_file_can_hold_are_refused_before_memory_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("huge.safetensors");
    let header =
        r#"{"fc.weight":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,16]}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend([0; 16]);
    fs::write(&path, &bytes).unwrap();
    assert!(matches!(WeightsFile::open(&path), Err(ModelError::Unreadable { .. })));
    fs::write(&path, u64::MAX.to_le_bytes()).unwrap();
    assert!(matches!(WeightsFile::open(&path), Err(ModelError::Unreadable { .. })));
}

#[test]
fn missing_files_folders_and_text_are_named_in_the_error() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("absent.pth");
    let error = load_path("resnet18", &absent).unwrap_err();
    assert!(matches!(&error, ModelError::Io { path, .. } if *path == absent), "{error}");
    assert!(load_path("resnet18", folder.path()).is_err());
    let text = folder.path().join("text.pth");
    fs::write(&text, "<html>not weights</html>").unwrap();
    let error = load_path("resnet18", &text).unwrap_err().to_string();
    assert!(error.contains("text.pth cannot be read as weights"), "{error}");
}

#[test]
fn own_weights_decide_the_number_of_classes_and_come_under_any_wrapper() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ours.safetensors");
    let (_, parameters) = lite0(3);
    save(&path, &parameters, Kind::Float, str::to_owned);
    let plain = load_path("tf_efficientnet_lite0", &path).unwrap();
    assert_eq!(plain.network.n_classes(), 3);
    assert_eq!(plain.sha256, sha256(&path).unwrap());
    assert_eq!((plain.version, plain.is_seeded), (None, false));
    let expected = logits(&plain);
    assert_eq!(expected.size(), [1, 3]);

    for wrapper in ["module.", "state_dict.", "model.module."] {
        save(&path, &parameters, Kind::Float, |name| format!("{wrapper}{name}"));
        assert_eq!(
            logits(&load_path("tf_efficientnet_lite0", &path).unwrap()),
            expected,
            "{wrapper}"
        );
    }
    save(&path, &parameters, Kind::Double, str::to_owned);
    assert_eq!(logits(&load_path("tf_efficientnet_lite0", &path).unwrap()), expected);
    for kind in [Kind::Half, Kind::BFloat16] {
        save(&path, &parameters, kind, str::to_owned);
        let difference = logits(&load_path("tf_efficientnet_lite0", &path).unwrap()) - &expected;
        let difference =
            difference.abs().max().double_value(&[]) / expected.abs().max().double_value(&[]);
        assert!((1e-6..0.05).contains(&difference), "{kind:?}: {difference}");
    }

    let options = Options { classes: Some(4), ..Options::default() };
    let caches = empty_caches(folder.path());
    let choice = WeightsChoice::Path(path.clone());
    let error =
        load_from(&caches, "tf_efficientnet_lite0", &choice, &options, &mut |_| {}).unwrap_err();
    assert!(matches!(error, ModelError::Classes { expected: 4, found: 3, .. }), "{error}");
}

#[test]
fn timms_names_hold_the_same_network() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("timm.safetensors");
    let (plan, parameters) = lite0(5);
    save(&path, &parameters, Kind::Float, str::to_owned);
    let expected = logits(&load_path("tf_efficientnet_lite0", &path).unwrap());
    let timm = &by_name("tf_efficientnet_lite0").unwrap().plans(5)[1];
    let names: HashMap<String, String> = plan
        .parameters()
        .into_iter()
        .zip(timm.parameters())
        .map(|(package, timm)| (package.name, timm.name))
        .collect();
    save(&path, &parameters, Kind::Float, |name| names[name].clone());
    assert!(WeightsFile::open(&path).unwrap().shapes().contains_key("blocks.1.0.conv_pwl.weight"));
    assert_eq!(logits(&load_path("tf_efficientnet_lite0", &path).unwrap()), expected);
}

#[test]
fn another_network_is_told_by_its_parameters_and_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wrong.safetensors");
    let plan = by_name("resnet34").unwrap().plan(7);
    save(&path, &seeded(&plan, 0), Kind::BFloat16, |name| format!("module.{name}"));
    let ModelError::Mismatch(mismatch) = load_path("resnet50", &path).unwrap_err() else {
        panic!()
    };
    assert_eq!(mismatch.looks_like, Some("resnet34"));
    assert_eq!(mismatch.missing[0], "layer1.0.conv3.weight");
    assert_eq!(mismatch.reshaped[0].0, "layer1.0.conv1.weight");
    let message = mismatch.to_string();
    assert!(message.contains("does not hold resnet50's parameters"), "{message}");
    assert!(message.ends_with("this looks like resnet34"), "{message}");

    // One parameter renamed, one lost: the file is nothing that the zoo knows.
    let (_, mut parameters) = lite0(3);
    parameters.remove("_conv_head.weight");
    save(&path, &parameters, Kind::Float, |name| name.replace("_fc.bias", "_fc.offset"));
    let ModelError::Mismatch(mismatch) = load_path("tf_efficientnet_lite0", &path).unwrap_err()
    else {
        panic!()
    };
    assert_eq!(mismatch.missing, ["_conv_head.weight", "_fc.bias"]);
    assert_eq!(mismatch.unexpected, ["_fc.offset"]);
    assert_eq!(mismatch.looks_like, None);

    let ModelError::Mismatch(mismatch) = load_path("vgg16", &vector("tiny-zip.pth")).unwrap_err()
    else {
        panic!()
    };
    assert_eq!(mismatch.missing.len(), 32);
    assert_eq!(mismatch.unexpected, ["a.half", "a.weight", "b.wide"]);
}

#[test]
fn two_networks_in_one_checkpoint_are_not_guessed_between() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("both.safetensors");
    let (_, parameters) = lite0(3);
    let both: Parameters = parameters
        .iter()
        .flat_map(|(name, tensor)| {
            ["model.", "model_ema."].map(|set| (format!("{set}{name}"), tensor.shallow_clone()))
        })
        .collect();
    save(&path, &both, Kind::Half, str::to_owned);
    let error = load_path("tf_efficientnet_lite0", &path).unwrap_err();
    assert!(error.to_string().contains("several sets of weights (model, model_ema)"), "{error}");
}

#[test]
fn values_that_are_not_finite_are_refused() {
    let error = WeightsFile::open(&vector("tiny-nan.pth")).unwrap().read("a.weight").unwrap_err();
    assert!(
        matches!(&error, ModelError::NotFinite { parameter, .. } if parameter == "a.weight"),
        "{error}"
    );
}

#[test]
fn seeded_weights_are_the_same_every_time_and_differ_by_seed() {
    let model = |seed| load("tf_efficientnet_lite0", &WeightsChoice::Seeded(seed)).unwrap();
    let (first, again, other) = (model(1), model(1), model(2));
    assert_eq!(first.sha256, again.sha256);
    assert_eq!(logits(&first), logits(&again));
    assert_ne!(first.sha256, other.sha256);
    assert_ne!(logits(&first), logits(&other));
    assert_eq!(
        (first.is_seeded, first.source.as_str(), first.network.n_classes()),
        (true, "seed 1", 1000)
    );
}

#[test]
fn weights_that_are_not_there_say_how_to_get_them() {
    let folder = tempfile::tempdir().unwrap();
    let error = load("tf_efficientnet_lite1", &WeightsChoice::Default).unwrap_err().to_string();
    assert!(error.contains("cargo xtask setup tf_efficientnet_lite1"), "{error}");
    assert!(error.contains("efficientnet_lite1.pth"), "{error}");
    let error = load("tf_efficientnet_lite4", &WeightsChoice::Default).unwrap_err();
    assert!(matches!(error, ModelError::NotPublished("tf_efficientnet_lite4")), "{error}");
    let error = load("resnet50", &WeightsChoice::Version("V3".into())).unwrap_err().to_string();
    assert_eq!(error, "resnet50 has no weights `V3`; there are IMAGENET1K_V1, IMAGENET1K_V2");
    // Nobody listens at this port.
    let caches = empty_caches(folder.path());
    let error =
        load_from(&caches, "resnet18", &WeightsChoice::Default, &Options::default(), &mut |_| {})
            .unwrap_err();
    assert!(matches!(error, ModelError::Download(DownloadError::Network { .. })), "{error}");
    let wanted = caches.torch_hub.join("resnet18-f37072fd.pth");
    assert!(error.to_string().contains(wanted.to_str().unwrap()), "{error}");
    assert!(!wanted.exists());
}

#[test]
fn cached_weights_are_found_and_a_damaged_file_is_named_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let caches = empty_caches(folder.path());
    for (name, cached, digits) in [
        ("resnet18", caches.torch_hub.join("resnet18-f37072fd.pth"), "f37072fd"),
        ("resnet34", caches.weights.join("resnet34-b627a593.pth"), "b627a593"),
        (
            "tf_efficientnet_lite0",
            caches.weights.join("efficientnet_lite0.pth"),
            "579344248a93e230",
        ),
    ] {
        fs::create_dir_all(cached.parent().unwrap()).unwrap();
        fs::write(&cached, "half of it").unwrap();
        let error =
            load_from(&caches, name, &WeightsChoice::Default, &Options::default(), &mut |_| {})
                .unwrap_err();
        let message = error.to_string();
        assert!(message.contains("is damaged") && message.contains("delete it"), "{message}");
        let ModelError::Damaged { path, expected, .. } = error else { panic!("{message}") };
        assert!(path == cached && expected.starts_with(digits), "{message}");
        assert_eq!(fs::read(&cached).unwrap(), b"half of it");
    }
}

#[test]
fn published_weights_come_from_the_mirror_and_are_verified() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let caches = Caches {
        base_url: format!("http://{}/models/", listener.local_addr().unwrap()),
        ..empty_caches(folder.path())
    };
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(&stream).lines().map(Result::unwrap);
        let request = lines.next().unwrap();
        lines.find(String::is_empty).unwrap();
        (&stream)
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nother")
            .unwrap();
        request
    });
    let mut told = Vec::new();
    let error = load_from(
        &caches,
        "resnet50",
        &WeightsChoice::Version("IMAGENET1K_V2".to_owned()),
        &Options::default(),
        &mut |progress| told.push(progress.done),
    )
    .unwrap_err();
    assert_eq!(server.join().unwrap(), "GET /models/resnet50-11ad3fa6.pth HTTP/1.1");
    assert_eq!(told, [0, 5]);
    let ModelError::Download(DownloadError::Hash { expected, path, .. }) = error else {
        panic!("{error}")
    };
    assert_eq!(expected, "11ad3fa6");
    assert_eq!(path, caches.torch_hub.join("resnet50-11ad3fa6.pth"));
    assert!(!path.exists());
}

#[test]
fn real_lite_weights_load_where_the_set_up_has_laid_them() {
    for name in ["tf_efficientnet_lite0", "tf_efficientnet_lite1", "tf_efficientnet_lite2"] {
        let caches = Caches::from_env();
        let model = match load_from(
            &caches,
            name,
            &WeightsChoice::Default,
            &Options::default(),
            &mut |_| {},
        ) {
            Ok(model) => model,
            Err(error @ ModelError::NotSetUp { .. }) => {
                println!("skipped {name}: {error}");
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        assert_eq!((model.version, model.network.n_classes()), (Some("IMAGENET1K"), 1000));
        assert_eq!(model.preprocessing.interpolation, Interpolation::Bicubic);
        let classifier = model.network.plan().classifier();
        assert_eq!((classifier.name.as_str(), classifier.inputs), ("_fc", 1280));
        // The same file under a path of one's own is still known.
        let again = load_path(name, Path::new(&model.source)).unwrap();
        assert_eq!((again.version, &again.sha256), (model.version, &model.sha256));
    }
}
