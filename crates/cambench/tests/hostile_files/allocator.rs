//! Counts the bytes that Rust code holds, and limits what the process may ask the system for.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    fs,
    sync::{
        Once,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// The system's allocator, counted.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn add(n: usize) {
    PEAK.fetch_max(NOW.fetch_add(n, Relaxed) + n, Relaxed);
}

fn remove(n: usize) {
    // What was allocated before a count began may be freed in it.
    let _ = NOW.fetch_update(Relaxed, Relaxed, |now| Some(now.saturating_sub(n)));
}

#[expect(unsafe_code, reason = "an allocator is unsafe; this one adds up and hands on")]
// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: the caller's promises are those of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        remove(layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        add(size);
        remove(layout.size());
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// How much more was held at once, in bytes, while `work` ran, than before.
pub(crate) fn peak_during<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = NOW.load(Relaxed);
    PEAK.store(before, Relaxed);
    let result = work();
    (result, PEAK.load(Relaxed).saturating_sub(before))
}

/// Lets the process take so many bytes of address space more than it has now, once: an allocation beyond that fails, which
/// libtorch says, and which ends Rust code.
pub(crate) fn limit_address_space(more: u64) {
    static LIMITED: Once = Once::new();
    LIMITED.call_once(|| {
        let limit = status("VmSize:") + more;
        let limit = libc::rlimit { rlim_cur: limit, rlim_max: libc::RLIM_INFINITY };
        // SAFETY: the pointer is to a value that outlives the call.
        #[expect(unsafe_code, reason = "a system call")]
        let set = unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) };
        assert_eq!(set, 0, "the address space cannot be limited");
    });
}

/// A number of bytes of `/proc/self/status`.
pub(crate) fn status(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    1024 * line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
}
