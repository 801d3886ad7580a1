//! The project's automation: `cargo xtask setup | bench | test | ci | docs | browse | slurm | fuzz | gate | calibrate |
//! growth | scaling | reports | peers | parity | onnx-backend | onnx-zoo | onnx-hooks | onnx-deployed`.
//!
//! It depends on nothing of the workspace, so that it is built in seconds and works before libtorch is there.

#![expect(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a command line tool speaks through its output"
)]

mod browse;
mod calibrate;
mod checkout;
mod ci;
mod deployed;
mod docs;
mod download;
mod fuzz;
mod gate;
mod growth;
mod hooks;
mod libtorch;
mod onnx;
mod parity;
mod peers;
mod pip;
mod reports;
mod run;
mod scaling;
mod setup;
mod slurm;
#[cfg(test)]
mod tidy;
mod unpack;
mod wheels;

use std::env;
use std::process::ExitCode;

use anyhow::Result;

const HELP: &str = "\
cargo xtask bench [SWEEP.yaml] [options of `cambench run`]
    set up what is missing, build, run the sweep (configs/demo.yaml without one);
    with --baseline NAME compare it with that baseline, too
cargo xtask test [arguments of `cargo test`]
    set up what is missing, run every test
cargo xtask setup [--cuda] [--onnxruntime] [--openvino] [MODEL...]
    only set up: libtorch, the demo's weights and photographs; with --cuda libtorch's CUDA part as well; with the next two
    these runtimes, in which deployed networks are measured; and the weights of further models (tf_efficientnet_lite1, tf_efficientnet_lite2)
cargo xtask ci
    formatting, tests, clippy, documentation: what continuous integration runs
cargo xtask docs [--check]
    write the generated tables into the Markdown files, or only say whether they would change
cargo xtask browse [REPORT.html [FOLDER]]
    look at a report in a headless Chromium (one of 10,000 synthetic images and 20 methods unless given), and leave
    pictures of it in FOLDER. Needs Chromium (CHROMIUM, or on the PATH), skips without; sets up Playwright in the cache
cargo xtask slurm
    run cambench on a real Slurm cluster of hosts in namespaces of this machine; skips where that cannot be
cargo xtask fuzz [TARGET...] [--minutes N | --seconds N] [--seed N]
    damage files of every kind at random, ten minutes for each loader (or so many), into results/fuzz/log.md; with names (or
    beginnings of names) only those
cargo xtask gate
    the regression gate as CI would use it, on weights made worse step by step, into results/gate
cargo xtask calibrate
    how often intervals cover the truth, and comparisons claim what is not there, on real scores, into
    results/calibration; needs IMAGENET_SAMPLES
cargo xtask growth [--images A,B,...]
    measure whether forwards, time and memory grow as images, steps and masks do, into results/speed (about half an hour;
    with fewer images, minutes)
cargo xtask scaling [--images N]
    measure plan, status and merge of 6,000 shards (10 GB on the disk), and simulate up to 10,000 nodes, into
    results/scaling
cargo xtask reports
    measure the reports of 10,000 synthetic images and 20 methods, and a comparison, into results/scaling/reports.md
cargo xtask peers [--device cpu|cuda] [--models A,B] [--jobs A,B] [--rounds N] [--minutes M] [--threads N] [--out DIR]
    measure cambench beside torch, torch-cam, pytorch-grad-cam, OpenVINO-XAI and authors' code, into results/speed;
    with --jobs methods further methods and metrics beside those, captum, lime, shap and Quantus, into methods.md there.
    What is measured already is kept. Needs Python 3.11 or 3.12 with venv, and 6 GB on the disk
cargo xtask peers --poster [--device cpu|cuda] [--threads N] [--out DIR]
    measure the speed claims of the Recipro-CAM poster on our engine alone; with --tables only write the table of what is
    measured
cargo xtask peers --worker BINARY [--python PYTHON] [...]
    the same where nothing can be built or installed: with our worker (`cargo build --release --example peer`), whose
    commit CAMBENCH_COMMIT says, and with a Python that has the peers already, those that it lacks left out
cargo xtask parity [METHOD...]
    ask torch-cam, pytorch-grad-cam, captum, lime, shap, Quantus, OpenVINO-XAI and the papers' formulas about the demo's
    photographs and images of IMAGENET_SAMPLES, and measure how far ours is from them, into results/parity; with names of
    methods or metrics, about those alone. Needs what `peers` needs
cargo xtask onnx-backend
    run the ONNX project's own test cases of every operator, into results/onnx/backend.md; needs what `peers` needs
cargo xtask onnx-zoo [NAME...]
    export networks from torchvision and timm (3 GB in the cache), compare logits with ONNX Runtime's and gradients with
    PyTorch's, into results/onnx/zoo.md; with names (or beginnings of names) only those, and only printed
cargo xtask onnx-hooks [NAME...]
    hook such exports, run them in ONNX Runtime and OpenVINO beside the graphs before and OpenVINO-XAI's, into
    results/onnx/hooks.md; with names (or beginnings of names) only those, and only printed
cargo xtask onnx-deployed
    run a hooked network, and its int8 form, in ONNX Runtime and OpenVINO, and compare their explanations under the gate,
    into results/onnx/deployed.md; needs IMAGENET_SAMPLES, and what `onnx-zoo` exports

Environment:
    IMAGENET_SAMPLES                 a folder of images for `gate`, `growth` and some tests (else the demo's photographs)
    LIBTORCH, LIBTORCH_USE_PYTORCH   use this libtorch 2.11.0, download none
    CAMBENCH_CACHE                   where downloads are kept (else ~/.cache/cambench)
    PIP_INDEX_URL, PIP_PROXY, ...    files are found through pip, so pip's configuration holds
";

/// Exit code of a wrong command line, as in `cambench`.
const USAGE: u8 = 2;
/// Exit code of everything else that fails here, as in `cambench`: files or tools are missing, the code is not at fault.
const ENVIRONMENT: u8 = 3;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let (command, rest) =
        args.split_first().map_or(("help", &[][..]), |(first, rest)| (first.as_str(), rest));
    dispatch(command, rest).unwrap_or_else(|error| {
        if let Some(Failed(code)) = error.downcast_ref() {
            return *code;
        }
        eprintln!("error: {error:#}");
        ExitCode::from(if error.is::<Usage>() { USAGE } else { ENVIRONMENT })
    })
}

fn dispatch(command: &str, args: &[String]) -> Result<ExitCode> {
    match (command, args) {
        ("setup", _) => setup::command(args),
        ("bench", _) => run::bench(args),
        ("test", _) => run::test(args),
        ("ci", []) => ci::command(),
        ("docs", []) => docs::command(false),
        ("docs", [flag]) if flag == "--check" => docs::command(true),
        ("browse", _) => browse::command(args),
        ("fuzz", _) => fuzz::command(args),
        ("gate", []) => gate::command(),
        ("calibrate", []) => calibrate::command(),
        ("growth", _) => growth::command(args),
        ("scaling", _) => scaling::command(args),
        ("reports", []) => reports::command(),
        ("peers", _) => peers::command(args),
        ("slurm", []) => slurm::command(),
        ("onnx-backend", []) => onnx::backend(),
        ("onnx-zoo", _) => onnx::zoo(args),
        ("onnx-hooks", _) => hooks::command(args),
        ("onnx-deployed", []) => deployed::command(),
        ("parity", only) => parity::command(only),
        ("help" | "--help" | "-h", _) => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        _ => Err(Usage(format!("no such command: {command} {}", args.join(" "))).into()),
    }
}

/// A wrong command line.
#[derive(Debug)]
struct Usage(String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\n\n{HELP}", self.0.trim_end())
    }
}

impl std::error::Error for Usage {}

/// A program that was started has failed and has said why; its exit code becomes ours.
#[derive(Debug)]
struct Failed(ExitCode);

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a program that was started has failed")
    }
}

impl std::error::Error for Failed {}
