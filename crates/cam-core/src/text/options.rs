//! Ranges of options, checked where a sweep file is read: for `#[serde(deserialize_with = "...")]`.

use std::fmt::Display;

use serde::{Deserialize, Deserializer, de::Error};

/// A number that counts something and is not 0.
///
/// # Errors
/// On 0, and on what is no whole number.
pub fn at_least_one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    within(u32::deserialize(deserializer)?, |value| *value > 0, "at least 1")
}

/// A number of parts of which there are at least 4: a square cut into fewer may stay whole.
///
/// # Errors
/// Below 4, and on what is no whole number.
pub fn at_least_four<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    within(u32::deserialize(deserializer)?, |value| *value >= 4, "at least 4")
}

/// A number that may be 0 and is not below.
///
/// # Errors
/// On negative numbers, and on what is no finite number.
pub fn not_negative<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let value = f64::deserialize(deserializer)?;
    within(value, |value| *value >= 0.0 && value.is_finite(), "0 or more")
}

/// A number above 0.
///
/// # Errors
/// On 0, on negative numbers, and on what is no finite number.
pub fn positive<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let value = f64::deserialize(deserializer)?;
    within(value, |value| *value > 0.0 && value.is_finite(), "more than 0")
}

/// A probability that leaves both outcomes possible.
///
/// # Errors
/// Outside of `(0, 1)`, and on what is no number.
pub fn open_share<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let value = f64::deserialize(deserializer)?;
    within(value, |value| *value > 0.0 && *value < 1.0, "more than 0 and less than 1")
}

/// At least one number, each more than 0 and less than 1.
///
/// # Errors
/// On an empty list, and where [`open_share`] fails.
pub fn open_shares<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
    let values = Vec::<f64>::deserialize(deserializer)?;
    if values.is_empty() {
        return Err(D::Error::custom("expected at least one number, got an empty list"));
    }
    for value in &values {
        within(*value, |value| *value > 0.0 && *value < 1.0, "more than 0 and less than 1")?;
    }
    Ok(values)
}

fn within<T: Display, E: Error>(
    value: T,
    is_fine: impl Fn(&T) -> bool,
    range: &str,
) -> Result<T, E> {
    if is_fine(&value) {
        Ok(value)
    } else {
        Err(E::custom(format!("expected {range}, got `{value}`")))
    }
}
