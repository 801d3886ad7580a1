//! How large a tensor may become.
//!
//! A graph of a few bytes can ask for more memory than any machine has. While a graph is looked through, which takes up
//! to three images at a time, far smaller tensors are allowed than in a run over a planned batch.

use std::cell::Cell;

thread_local! {
    static LARGEST: Cell<i64> = const { Cell::new(crate::tensors::MAX_ELEMENTS) };
}

/// Numbers that a tensor may have while a graph is looked through: half a gigabyte of `f32`.
const CAREFUL: i64 = 1 << 27;

/// Numbers that a tensor may have now.
pub(crate) fn largest() -> i64 {
    LARGEST.get()
}

/// Numbers that all tensors may have that are needed at a time: two of the largest, and their sum.
pub(crate) fn together() -> i64 {
    3 * largest()
}

/// Until it is dropped, only small tensors are made on this thread.
pub(crate) struct Careful(i64);

impl Careful {
    pub(crate) fn new() -> Self {
        Self(LARGEST.replace(CAREFUL))
    }
}

impl Drop for Careful {
    fn drop(&mut self) {
        LARGEST.set(self.0);
    }
}
