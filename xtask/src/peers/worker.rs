//! Long-lived processes that do jobs: one JSON object a line to each, one back.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// A running worker. It ends when its standard input closes, and is killed when it is dropped.
pub(super) struct Worker {
    name: String,
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts a program that speaks the protocol.
    pub(super) fn start(name: &str, command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting the worker {name}"))?;
        let requests = child.stdin.take().context("a worker without standard input")?;
        let answers = child.stdout.take().context("a worker without standard output")?;
        Ok(Self { name: name.to_owned(), child, requests, answers: BufReader::new(answers) })
    }

    /// Asks, and waits for the answer.
    pub(super) fn ask(&mut self, request: &Value) -> Result<Value> {
        match self.try_ask(request)? {
            Ok(answer) => Ok(answer),
            Err(error) => bail!("the worker {} could not answer {request}:\n{error}", self.name),
        }
    }

    /// As `ask`, with the worker's own error apart from its death.
    pub(super) fn try_ask(&mut self, request: &Value) -> Result<Result<Value, String>> {
        let Self { name, requests, answers, .. } = self;
        let mut line = String::new();
        writeln!(requests, "{request}")
            .and_then(|()| requests.flush())
            .and_then(|()| answers.read_line(&mut line))
            .with_context(|| format!("the worker {name} ended before it answered {request}"))?;
        if line.is_empty() {
            bail!("the worker {name} ended instead of answering {request}");
        }
        let answer: Value = serde_json::from_str(&line)
            .with_context(|| format!("the worker {name} answered {request} with `{line}`"))?;
        Ok(match answer["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer),
        })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a Python process inherits to keep its memory, as our own does: glibc's settings, which only work together.
pub(super) fn keep_memory(command: &mut Command) -> &mut Command {
    command
        .env("MALLOC_MMAP_THRESHOLD_", (1_u64 << 30).to_string())
        .env("MALLOC_TRIM_THRESHOLD_", i32::MAX.to_string())
        .env("MALLOC_TOP_PAD_", (256_u64 << 20).to_string())
        .env("MALLOC_ARENA_MAX", "1")
}

/// Our own worker.
pub(super) fn ours(
    binary: &Path,
    folder: &Path,
    device: &str,
    threads: usize,
    precision: &str,
) -> Command {
    let mut command = Command::new(binary);
    command.arg("--folder").arg(folder).args(["--device", device, "--precision", precision]);
    command.args(["--threads", &threads.to_string()]);
    command
}

/// A worker of the peers.
pub(super) fn python(
    python: &Path,
    folder: &Path,
    device: &str,
    threads: usize,
    variant: &str,
) -> Command {
    let mut command = Command::new(python);
    command.arg(super::environment::scripts().join("worker.py")).arg("--folder").arg(folder);
    command.args(["--device", device, "--variant", variant, "--threads", &threads.to_string()]);
    // What else multiplies or converts keeps to the same number of threads.
    for variable in ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"] {
        command.env(variable, threads.to_string());
    }
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    if variant == "tuned" {
        keep_memory(&mut command);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Worker {
        Worker::start("shell", Command::new("sh").args(["-c", script])).unwrap()
    }

    #[test]
    fn an_answer_belongs_to_its_request() {
        let mut worker = shell(r#"while read -r line; do echo "{\"got\": $line}"; done"#);
        for number in [1, 2] {
            let request = serde_json::json!({ "job": number });
            assert_eq!(worker.ask(&request).unwrap()["got"], request);
        }
    }

    #[test]
    fn a_workers_error_and_its_death_are_told_with_the_request() {
        let request = serde_json::json!({ "job": "x" });
        let ask = |script| format!("{:#}", shell(script).ask(&request).unwrap_err());
        let error = ask(r#"read -r line; echo '{"error": "no such job"}'"#);
        assert!(error.contains("no such job") && error.contains(r#""job":"x""#), "{error}");
        assert!(ask("read -r line").contains("ended instead of answering"));
        assert!(ask("read -r line; echo hello").contains("hello"));
    }

    #[test]
    fn a_dropped_worker_is_gone() {
        let worker = shell("sleep 60");
        let process = format!("/proc/{}", worker.child.id());
        assert!(Path::new(&process).exists());
        drop(worker);
        assert!(!Path::new(&process).exists());
    }
}
