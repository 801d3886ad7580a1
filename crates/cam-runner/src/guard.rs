//! Panics of one row kept from ending the run.

use std::{
    any::Any,
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
};

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside a row, where a panic becomes a failed row: a panic hook need not print it.
pub fn is_guarded() -> bool {
    GUARDED.get()
}

/// Runs `f`; a panic becomes its message. Methods and metrics hold no state, so nothing is left half-changed.
pub(crate) fn guard<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    GUARDED.set(true);
    let result = catch_unwind(AssertUnwindSafe(f));
    GUARDED.set(false);
    result.map_err(|payload| message(&*payload))
}

/// The first line of a panic's message; libtorch's go on with a stack trace.
fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a message");
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or(text).trim();
    let end = line.char_indices().nth(300).map_or(line.len(), |(at, _)| at);
    format!("panicked: {}", &line[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_its_first_line_and_leaves_the_guard() {
        assert_eq!(guard(|| 3), Ok(3));
        let error = guard(|| -> () { panic!("bad shape {}\nframe 0", 7) }).unwrap_err();
        assert_eq!(error, "panicked: bad shape 7");
        assert!(!is_guarded());
    }
}
