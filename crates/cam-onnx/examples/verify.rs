//! What `cargo xtask onnx-backend` and `cargo xtask onnx-zoo` run: a folder of test cases, or of exported networks, each
//! compared with what is stored beside it. One line of JSON for each.

#![expect(clippy::print_stdout, reason = "its lines are read by xtask")]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use cam_core::Classifier;
use cam_onnx::{Evaluator, INPUT, Network, OnnxError, Options, operators, read_tensor};
use serde_json::{Value, json};
use tch::{Kind, Tensor};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [what, folder] if what == "backend" => backend(Path::new(folder)),
        [what, folder, names @ ..] if what == "zoo" => zoo(Path::new(folder), names),
        _ => Err("verify backend FOLDER | verify zoo FOLDER [NAME...]".into()),
    }
}

fn backend(folder: &Path) -> Result<(), Box<dyn Error>> {
    let cases: Vec<Value> = serde_json::from_slice(&fs::read(folder.join("cases.json"))?)?;
    for case in cases {
        let names = case["operators"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let unknown: Vec<&str> =
            names.filter(|name| *name != "Constant" && !operators().contains(name)).collect();
        let name = case["name"].as_str().unwrap_or_default();
        let (status, reason) = if !unknown.is_empty() {
            ("other operators", unknown.join(", "))
        } else if case["tensors_only"] == false {
            ("not tensors", "sequences and optional values".into())
        } else {
            let bound = |key: &str| case[key].as_f64().unwrap_or(1e-7);
            match compare_case(&folder.join(name), bound("rtol"), bound("atol")) {
                Ok(()) => ("passed", String::new()),
                Err(_) if is_short(name) => {
                    ("unsupported", "short floats are computed in f32".into())
                }
                Err(error) if is_unsupported(&*error) => ("unsupported", error.to_string()),
                Err(error) => ("failed", error.to_string()),
            }
        };
        println!(
            "{}",
            json!({ "name": name, "operators": case["operators"], "status": status, "reason": reason })
        );
    }
    Ok(())
}

/// Whether a case is about rounding to short floats.
fn is_short(name: &str) -> bool {
    let name = name.to_lowercase();
    ["bf16", "float16", "fp16", "bfloat16"].iter().any(|word| name.contains(word))
}

/// Whether a file was refused when it was read, or an error says that something is not supported. Anything else that a node
/// cannot do when it is run is a failure.
fn is_unsupported(error: &(dyn Error + 'static)) -> bool {
    error.is::<OnnxError>() || error.to_string().contains("support")
}

fn compare_case(folder: &Path, rtol: f64, atol: f64) -> Result<(), Box<dyn Error>> {
    let evaluator = Evaluator::open(&folder.join("model.onnx"))?;
    for run in 0.. {
        let data = folder.join(format!("data_{run}"));
        if !data.exists() {
            break;
        }
        let read = |kind: &str| -> Result<Vec<Tensor>, Box<dyn Error>> {
            let files = (0..).map(|index| data.join(format!("{kind}_{index}.pb")));
            files.take_while(|file| file.exists()).map(|file| Ok(read_tensor(&file)?)).collect()
        };
        let found = evaluator.run(&read("input")?)?;
        let expected = read("output")?;
        if found.len() != expected.len() {
            return Err(format!("{} outputs, not {}", found.len(), expected.len()).into());
        }
        for (found, expected) in found.iter().zip(&expected) {
            if found.size() != expected.size() {
                return Err(format!("shape {:?}, not {:?}", found.size(), expected.size()).into());
            }
            if found.kind() != expected.kind() {
                return Err(format!("type {:?}, not {:?}", found.kind(), expected.kind()).into());
            }
            let (found, expected) = (found.to_kind(Kind::Double), expected.to_kind(Kind::Double));
            // Short floats are computed longer than the reference computes them.
            let is_close = found.isclose(&expected, rtol.max(1e-3), atol.max(1e-5), true);
            if !bool::try_from(is_close.all())? {
                let difference = (found - expected).abs().max().double_value(&[]);
                return Err(format!("off by up to {difference}").into());
            }
        }
    }
    Ok(())
}

fn zoo(folder: &Path, names: &[String]) -> Result<(), Box<dyn Error>> {
    let mut notes: Vec<PathBuf> = fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    notes.sort();
    for note in notes {
        let name = note.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if !names.is_empty() && !names.iter().any(|word| name.starts_with(word)) {
            continue;
        }
        let mut row: Value = serde_json::from_slice(&fs::read(&note)?)?;
        row["name"] = json!(name);
        if row["reason"].is_null() {
            match compare_network(folder, &name) {
                Ok(found) => {
                    for (key, value) in found.as_object().into_iter().flatten() {
                        row[key] = value.clone();
                    }
                }
                Err(error) => row["error"] = json!(error.to_string()),
            }
        }
        println!("{row}");
    }
    Ok(())
}

/// The largest difference, relative to the largest number.
fn off(found: &Tensor, expected: &Tensor) -> f64 {
    let difference = (found - expected).abs().max().double_value(&[]);
    difference / expected.abs().max().double_value(&[])
}

fn compare_network(folder: &Path, name: &str) -> Result<Value, Box<dyn Error>> {
    let file = |what: &str| folder.join(format!("{name}.{what}"));
    let images = Tensor::read_npy(file("images.npy"))?;
    let expected = Tensor::read_npy(file("logits.npy"))?;
    let network = Network::open(&file("onnx"), &Options::default())?;
    let whole = network.cut(INPUT)?;
    let logits = tch::no_grad(|| whole.logits(&images));
    let mut row = json!({
        "logits": off(&logits, &expected),
        "classes": network.n_classes(),
        "fixed_batch": network.fixed_batch(),
        "cuts": network.points().len(),
        "layer": network.default_layer(),
    });
    if let Some(layer) = network.default_layer() {
        let cut = network.cut(layer)?;
        let _no_grad = tch::no_grad_guard();
        let (features, tokens) = cut.features_and_tokens(&images);
        row["shape"] = json!(features.size()[1..]);
        row["tokens"] = json!(tokens.as_ref().map_or(0, |tokens| tokens.size()[1]));
        row["cut_logits"] = json!(off(&cut.head_with(&features, tokens.as_ref()), &expected));
        row["pooled_linear"] = json!(cut.pooled_linear_head().is_some());
        // Five at a time, which is no number that the file knows.
        let many = Tensor::cat(&[&images, &images, &images], 0).narrow(0, 0, 5);
        let third = cut.logits(&many).narrow(0, 2, 2);
        row["batch_logits"] = json!(off(&third, &expected));
    }
    if file("gradient.npy").exists() {
        let gradient = Tensor::read_npy(file("gradient.npy"))?;
        let images = images.set_requires_grad(true);
        let score = whole.head(&images).select(1, 3).sum(Kind::Float);
        let found = Tensor::run_backward(&[score], &[&images], false, false);
        row["gradient"] = json!(off(&found[0], &gradient));
    }
    Ok(row)
}
