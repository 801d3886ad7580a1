//! Panics of one row kept from ending the run.

use std::{
    any::Any,
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
};

use crate::config::Bytes;

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside a row, where a panic becomes a failed row: a panic hook need not print it.
pub fn is_guarded() -> bool {
    GUARDED.get()
}

/// Why something of a row did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// What this row cannot be made of.
    Row(String),
    /// What broke the device: every later row would fail too.
    Device(String),
}

/// Runs `f`; a panic becomes a failure. Methods and metrics hold no state, so nothing is left half-changed.
pub(crate) fn guard<T>(f: impl FnOnce() -> T) -> Result<T, Failure> {
    GUARDED.set(true);
    let result = catch_unwind(AssertUnwindSafe(f));
    GUARDED.set(false);
    result.map_err(|payload| failure(&*payload))
}

/// What a panic's message says, its first line: that memory ran out, that the device broke down, or what else.
pub(crate) fn failure(payload: &(dyn Any + Send)) -> Failure {
    let text = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a message");
    // tch unwraps libtorch's error, whose lines, a stack trace among them, are one here.
    let text = text.split_once("value: Torch(\"").map_or(text, |(_unwrapped, error)| error);
    let text = text.split("\\n").next().unwrap_or(text);
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or(text).trim();
    if let Some(asked) = out_of_memory(line) {
        return Failure::Row(format!(
            "out of memory: {asked}; smaller batches take less (`--memory`)"
        ));
    }
    let end = line.char_indices().nth(300).map_or(line.len(), |(at, _)| at);
    let beginning = &line[..end];
    if is_of_a_broken_device(line) {
        Failure::Device(beginning.to_owned())
    } else {
        Failure::Row(format!("panicked: {beginning}"))
    }
}

/// After these CUDA answers nothing more in this process.
fn is_of_a_broken_device(line: &str) -> bool {
    ["CUDA error: ", "CUDNN_STATUS_EXECUTION_FAILED", "CUBLAS_STATUS_EXECUTION_FAILED"]
        .iter()
        .any(|words| line.contains(words))
}

/// How much was asked for, where libtorch says that it could not have memory: on the processor in bytes, on CUDA in larger
/// units. oneDNN and C++ do not say.
fn out_of_memory(line: &str) -> Option<String> {
    let is_one = [
        "can't allocate memory",
        "out of memory",
        "std::bad_alloc",
        "bad allocation",
        // What CUDA's libraries make of it.
        "STATUS_ALLOC_FAILED",
        "unable to find an engine to execute this computation",
    ];
    if !is_one.iter().any(|words| line.contains(words)) {
        return None;
    }
    let asked = line.split_once("ried to allocate ").map(|(_, rest)| rest);
    let amount = |rest: &str| {
        let words: Vec<&str> = rest.split_whitespace().take(2).collect();
        match words[..] {
            [number, "bytes." | "bytes"] => {
                number.parse().ok().map(|bytes| Bytes(bytes).to_string())
            }
            [number, unit] => Some(format!("{number}{}", unit.trim_end_matches('.'))),
            _ => None,
        }
    };
    let asked = asked.and_then(amount);
    Some(asked.map_or("an allocation failed".into(), |amount| format!("{amount} were asked for")))
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, Tensor};

    use super::*;

    /// What is said of a row that failed.
    fn of_row<T>(result: Result<T, Failure>) -> String {
        match result {
            Err(Failure::Row(text)) => text,
            Err(Failure::Device(text)) => panic!("of the device: {text}"),
            Ok(_) => panic!("no failure"),
        }
    }

    #[test]
    fn a_panic_becomes_its_first_line_and_leaves_the_guard() {
        assert_eq!(guard(|| 3), Ok(3));
        let failure = guard(|| -> () { panic!("bad shape {}\nframe 0", 7) }).unwrap_err();
        assert_eq!(failure, Failure::Row("panicked: bad shape 7".into()));
        assert!(!is_guarded());
    }

    #[test]
    fn memory_that_is_not_there_is_a_reason_of_its_own() {
        let said = |f: &dyn Fn()| of_row(guard(f));
        assert_eq!(
            said(&|| drop(Tensor::zeros([1 << 50], (Kind::Float, Device::Cpu)))),
            "out of memory: 4096TiB were asked for; smaller batches take less (`--memory`)"
        );
        let cuda = "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 79.11 GiB of which \
                    1.5 GiB is free.";
        let error = said(&|| panic!("{cuda}"));
        assert!(error.starts_with("out of memory: 20.00GiB were asked for; "), "{error}");
        let error = said(&|| panic!("std::bad_alloc"));
        assert!(error.starts_with("out of memory: an allocation failed; "), "{error}");
    }

    #[test]
    fn what_libtorch_says_is_one_line() {
        let two = Tensor::zeros([2], (Kind::Float, Device::Cpu));
        let error = guard(|| &two + Tensor::zeros([3], (Kind::Float, Device::Cpu)));
        let error = of_row(error);
        assert!(error.starts_with("panicked: The size of tensor a (2) must match"), "{error}");
        assert!(!error.contains("frame #"), "{error}");
    }

    #[test]
    fn a_broken_device_is_told_from_a_panic_and_from_memory_that_ran_out() {
        let of = |message: &str| guard(|| -> () { panic!("{message}") }).unwrap_err();
        let access = "CUDA error: an illegal memory access was encountered";
        assert_eq!(of(access), Failure::Device(access.into()));
        for other in ["bad shape", "CUDA error: out of memory", "CUDNN_STATUS_ALLOC_FAILED"] {
            assert!(matches!(of(other), Failure::Row(_)), "{other}");
        }
        let engine =
            of_row::<()>(Err(of("GET was unable to find an engine to execute this computation")));
        assert!(engine.starts_with("out of memory: "), "{engine}");
    }
}
