//! Hashes as text.

use std::fmt::Write as _;

/// Bytes in hexadecimal, two small digits each.
///
/// ```
/// assert_eq!(cam_core::hex(&[0, 171, 16]), "00ab10");
/// ```
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}
