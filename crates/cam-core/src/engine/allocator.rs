//! glibc's malloc, told to keep big blocks.

/// Keeps freed memory in the process instead of handing every tensor back to the kernel; effective once.
///
/// By default glibc maps each tensor anew and unmaps it when it is dropped, and half of a small network's time goes
/// into the page faults. The settings belong to the whole process, and its memory stays at its peak. They can be left
/// alone with `CAMBENCH_STOCK_MALLOC=1`. Does nothing where malloc is not glibc's.
pub fn keep_memory() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        if std::env::var_os("CAMBENCH_STOCK_MALLOC").is_none_or(|value| value != "1") {
            set();
        }
    });
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(
    unsafe_code,
    reason = "mallopt has no safe wrapper; it only stores numbers under malloc's own lock"
)]
fn set() {
    // Threshold and trim belong together: setting either one alone fixes the other at its small default, which is twice
    // as slow as not touching them.
    let settings = [
        (libc::M_MMAP_THRESHOLD, 1 << 30),
        (libc::M_TRIM_THRESHOLD, i32::MAX),
        (libc::M_TOP_PAD, 256 << 20),
        (libc::M_ARENA_MAX, 1),
    ];
    for (parameter, value) in settings {
        // SAFETY: mallopt takes two integers, touches no memory of ours, and rejects what it does not know.
        unsafe { libc::mallopt(parameter, value) };
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn set() {}
