//! The time of day, for manifests and folder names only: no result depends on it.

use std::time::SystemTime;

/// Now, in UTC: `2026-11-23T08:14:26Z`.
pub(crate) fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}
