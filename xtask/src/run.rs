//! `cargo xtask bench` and `cargo xtask test`: set up, then hand over to the binary or to `cargo test`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::wheels::{Part, WEIGHTS};
use crate::{Failed, HELP, checkout, libtorch, setup};

/// Sets up, builds, and becomes `cambench run`.
pub(crate) fn bench(args: &[String]) -> Result<ExitCode> {
    if args.iter().any(|arg| arg == "--help" || arg == "-h") {
        print!("{HELP}");
        return Ok(ExitCode::SUCCESS);
    }
    let (sweep, options) = sweep_of(args);
    // Before anything is downloaded or built for nothing.
    let path = checkout::root().join(&sweep);
    let text = fs::read_to_string(&path)
        .with_context(|| format!("cannot read the sweep file {}", path.display()))?;
    setup::set_up(&parts_in(&text))?;
    let mut command = Command::new(build()?);
    command.current_dir(checkout::root()).arg("run").arg(sweep);
    match elsewhere() {
        Some(here) => command.args(counted_from(&here, &options)),
        None => command.args(options),
    };
    become_command(command)
}

/// Sets up, and becomes `cargo test`.
pub(crate) fn test(args: &[String]) -> Result<ExitCode> {
    become_command(test_command(args)?)
}

/// Sets up what the tests need; then the command that runs them.
pub(crate) fn test_command(args: &[String]) -> Result<Command> {
    setup::set_up(&[Part::OnnxRuntime, Part::OpenVino])?;
    let mut command = cargo();
    command.args(["test", "--release", "--workspace"]).args(args);
    Ok(command)
}

/// Builds `cambench`: the binary's path.
pub(crate) fn build() -> Result<PathBuf> {
    build_target("--bin", "cambench")
}

/// Builds an example of one of the crates: the binary's path.
pub(crate) fn build_example(name: &str) -> Result<PathBuf> {
    build_target("--example", name)
}

/// Builds a test of one of the crates: the binary's path.
pub(crate) fn build_test(name: &str) -> Result<PathBuf> {
    build_target("--test", name)
}

/// With the features of the whole workspace, as every other command, so that nothing is built twice.
fn build_target(kind: &str, name: &str) -> Result<PathBuf> {
    let output = cargo()
        .args(["build", "--release", "--message-format=json-render-diagnostics", "--workspace"])
        .args([kind, name])
        .stderr(Stdio::inherit())
        .output()
        .context("starting cargo")?;
    if !output.status.success() {
        return Err(Failed(exit_code(output.status)).into());
    }
    let mut messages = output.stdout.split(|byte| *byte == b'\n');
    let binary = messages.find_map(|message| binary_in(message, name));
    binary.with_context(|| format!("cargo built no binary named {name}"))
}

/// Whether cargo sets a variable for the package that it runs, and not for itself.
fn is_about_a_package(name: &str) -> bool {
    let prefixes = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"];
    prefixes.iter().any(|prefix| name.starts_with(prefix)) || name == "CARGO_PRIMARY_PACKAGE"
}

/// The cargo that runs this, at the checkout's root.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(checkout::root());
    // `cargo run` described this package to its process. Build scripts of others that watch these variables would run again
    // whenever plain `cargo build` and `cargo xtask` take turns.
    for (name, _) in env::vars_os() {
        if is_about_a_package(&name.to_string_lossy()) {
            command.env_remove(name);
        }
    }
    if !libtorch::is_users() {
        // `.cargo/config.toml` set it for this process. The inner cargo sets it again, as plain `cargo build` does, so
        // that both see the same environment and share what they build.
        command.env_remove("LIBTORCH");
    }
    command
}

/// The sweep file, wherever it stands, and the other arguments. A path counts from where the command was given.
fn sweep_of(args: &[String]) -> (PathBuf, Vec<&String>) {
    let is_sweep = |(i, arg): (usize, &String)| {
        let is_yaml = Path::new(arg).extension().is_some_and(|end| end == "yaml" || end == "yml");
        is_yaml || i == 0 && !arg.starts_with('-')
    };
    match args.iter().enumerate().position(is_sweep) {
        Some(at) => {
            let rest = args[..at].iter().chain(&args[at + 1..]).collect();
            (from_root(Path::new(&args[at])), rest)
        }
        None => ("configs/demo.yaml".into(), args.iter().collect()),
    }
}

/// The options, with those paths that count from where the command was given. A baseline is one where it is a folder.
fn counted_from(here: &Path, options: &[&String]) -> Vec<String> {
    let path = |value: &str| here.join(value).to_string_lossy().into_owned();
    let is_path = |name: &str, value: &str| match name {
        // A file `-` is the terminal.
        "--out" | "--trace" | "--markdown" | "--junit" | "--baselines" => value != "-",
        "--baseline" => here.join(value).is_dir(),
        _ => false,
    };
    let mut before = "";
    let mut counted = vec![];
    for option in options {
        counted.push(match option.split_once('=') {
            Some((name, value)) if is_path(name, value) => format!("{name}={}", path(value)),
            None if is_path(before, option) => path(option),
            _ => (*option).clone(),
        });
        before = option;
    }
    counted
}

fn from_root(path: &Path) -> PathBuf {
    elsewhere().map_or_else(|| path.to_owned(), |here| here.join(path))
}

/// Where the command was given, unless at the checkout's root.
fn elsewhere() -> Option<PathBuf> {
    env::current_dir().ok().filter(|here| *here != checkout::root())
}

/// What a sweep will want, as far as wheels hold it: the weights of the models, and the runtimes, that its text names.
fn parts_in(sweep: &str) -> Vec<Part> {
    let weights = WEIGHTS.iter().map(|(model, ..)| (*model, Part::Weights(model)));
    let runtimes =
        [("runtime: onnxruntime", Part::OnnxRuntime), ("runtime: openvino", Part::OpenVino)];
    weights.chain(runtimes).filter(|(name, _)| sweep.contains(name)).map(|(_, part)| part).collect()
}

/// The path in one of cargo's messages, if it tells of the binary of that name.
fn binary_in(message: &[u8], name: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_slice(message).ok()?;
    (message["target"]["name"] == name)
        .then(|| message["executable"].as_str().map(PathBuf::from))
        .flatten()
}

/// Replaces this process, so that signals and exit codes are the command's own.
#[cfg(unix)]
fn become_command(mut command: Command) -> Result<ExitCode> {
    use std::os::unix::process::CommandExt as _;

    let error = command.exec();
    Err(error).with_context(|| format!("starting {}", command.get_program().display()))
}

#[cfg(not(unix))]
fn become_command(mut command: Command) -> Result<ExitCode> {
    command
        .status()
        .map(exit_code)
        .with_context(|| format!("starting {}", command.get_program().display()))
}

/// A finished command's exit code; 1 if a signal ended it.
pub(crate) fn exit_code(status: std::process::ExitStatus) -> ExitCode {
    ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(args: &[&str]) -> Vec<String> {
        args.iter().map(|arg| (*arg).to_owned()).collect()
    }

    #[test]
    fn the_inner_cargo_is_told_of_no_package_and_of_all_settings() {
        let removed: Vec<_> = cargo()
            .get_envs()
            .filter(|(_, value)| value.is_none())
            .map(|(name, _)| name.to_owned())
            .collect();
        // `cargo test` has set these for this process.
        for name in ["CARGO_PKG_NAME", "CARGO_MANIFEST_DIR"] {
            assert!(removed.contains(&name.into()), "{name} would be handed on");
        }
        assert!(!removed.contains(&"CARGO_HOME".into()) && !is_about_a_package("CARGO_TARGET_DIR"));
    }

    #[test]
    fn bench_runs_the_demo_unless_a_sweep_is_named() {
        let args = strings(&["--limit", "3"]);
        assert_eq!(sweep_of(&args), ("configs/demo.yaml".into(), args.iter().collect()));
        let args = strings(&["/data/mine.yaml", "--limit", "3"]);
        assert_eq!(sweep_of(&args), ("/data/mine.yaml".into(), args[1..].iter().collect()));
        let args = strings(&["--limit", "3", "/data/mine.yaml"]);
        assert_eq!(sweep_of(&args), ("/data/mine.yaml".into(), args[..2].iter().collect()));
        assert_eq!(sweep_of(&[]), ("configs/demo.yaml".into(), vec![]));
    }

    #[test]
    fn paths_of_bench_count_from_where_it_was_given() {
        let here = tempfile::tempdir().unwrap();
        fs::create_dir(here.path().join("old")).unwrap();
        let args = strings(&[
            "--out",
            "mine",
            "--limit",
            "3",
            "--trace=t.json",
            "--baseline",
            "old",
            "--baseline=v1",
            "--baselines=kept",
            "--junit",
            "gate.xml",
            "--markdown=-",
        ]);
        let counted = counted_from(here.path(), &args.iter().collect::<Vec<_>>());
        let path = |name: &str| here.path().join(name).display().to_string();
        assert_eq!(
            counted,
            [
                "--out",
                &path("mine"),
                "--limit",
                "3",
                &format!("--trace={}", path("t.json")),
                "--baseline",
                &path("old"),
                "--baseline=v1",
                &format!("--baselines={}", path("kept")),
                "--junit",
                &path("gate.xml"),
                "--markdown=-",
            ]
        );
        let absolute = strings(&["--out=/data/mine"]);
        let options: Vec<&String> = absolute.iter().collect();
        assert_eq!(counted_from(here.path(), &options), absolute);
    }

    #[test]
    fn a_sweep_brings_the_weights_and_runtimes_that_it_names() {
        let sweep = "models:\n  - { name: tf_efficientnet_lite2 }\n  - { name: resnet50 }\n\
                       - { onnx: a.onnx, runtime: openvino }\n";
        assert_eq!(parts_in(sweep), [Part::Weights("tf_efficientnet_lite2"), Part::OpenVino]);
    }

    #[test]
    fn the_binary_is_found_in_cargos_messages() {
        let message = br#"{"reason":"compiler-artifact","target":{"name":"cambench"},"executable":"/t/release/cambench"}"#;
        assert_eq!(binary_in(message, "cambench").unwrap(), Path::new("/t/release/cambench"));
        let library = br#"{"target":{"name":"cam_core"},"executable":null}"#;
        assert_eq!(binary_in(library, "cam_core"), None);
        assert_eq!(binary_in(message, "other"), None);
        assert_eq!(binary_in(b"", "cambench"), None);
    }
}
