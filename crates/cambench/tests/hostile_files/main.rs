//! Files made to do harm, for every loader: what each gets stands in `results/hostile/cases.md`, which is written from the
//! cases here; and damage at random (`fuzz`), for as long as `CAMBENCH_FUZZ_SECONDS` says.
//!
//! The law of both: a loader answers, or says what is wrong and where. It does not panic, and does not take more memory or
//! time than is stated.

#![cfg(target_os = "linux")]
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test may panic, and says what it did"
)]

mod allocator;
mod cases;
mod files;
mod fuzz;
mod loaders;
mod mutate;
mod table;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// How much address space all tests of this file may take beyond what they begin with: what Rust code allocates is counted
/// for each case, and this stops what libtorch might.
const ADDRESS_SPACE: u64 = 3 << 30;

/// Held by every test of this file: memory is counted for the whole process.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    let guard = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    tch::set_num_threads(1);
    allocator::limit_address_space(ADDRESS_SPACE);
    guard
}

#[test]
fn every_hostile_file_gets_what_the_table_says() {
    let _alone = alone();
    table::check(&cases::all());
}
