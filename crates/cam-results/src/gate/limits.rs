//! What a gate lets pass.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Serialize, Serializer};

/// What counts as a change, and what as the same.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Limits {
    /// A significant change up to this is within noise.
    pub noise: Threshold,
    /// For some metrics, by their names in the sweep or `adcc`: a significant change for the worse up to this is within
    /// noise.
    pub max_drop: BTreeMap<String, Threshold>,
    /// Networks, and layers (`network@layer`), of the baseline that the new run calls otherwise, as another exporter does: its
    /// names by the old ones.
    pub renamed: BTreeMap<String, String>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            noise: Threshold::Relative(0.02),
            max_drop: BTreeMap::new(),
            renamed: BTreeMap::new(),
        }
    }
}

impl Limits {
    /// Up to which size a change of a metric is within noise.
    pub(super) fn of(&self, metric: &str, is_worse: bool) -> Threshold {
        let own = self.max_drop.get(metric).filter(|_| is_worse);
        *own.unwrap_or(&self.noise)
    }
}

/// How large a change may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Threshold {
    /// A share of the baseline's mean: `2%`.
    Relative(f64),
    /// In the metric's own unit, a fraction: `0.01` is one point.
    Absolute(f64),
}

impl Threshold {
    /// In the metric's own unit, for this mean of the baseline.
    pub(super) fn of(self, base: f64) -> f64 {
        match self {
            Self::Relative(share) => share * base.abs(),
            Self::Absolute(size) => size,
        }
    }
}

impl FromStr for Threshold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| match text.trim().parse::<f64>() {
            Ok(number) if number >= 0.0 && number.is_finite() => Ok(number),
            _ => Err(format!(
                "`{text}` is neither a share of the baseline's mean (1%) nor a size (0.01 is one point)"
            )),
        };
        match text.strip_suffix('%') {
            Some(percent) => Ok(Self::Relative(number(percent)? / 100.0)),
            None => Ok(Self::Absolute(number(text)?)),
        }
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Rounded, so that 0.07 is not 7.000000000000001 %.
            Self::Relative(share) => write!(f, "{}%", (share * 1e8).round() / 1e6),
            Self::Absolute(size) => write!(f, "{size}"),
        }
    }
}

impl Serialize for Threshold {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_read_and_written() {
        let parse = |text: &str| text.parse::<Threshold>();
        assert_eq!(parse("2%"), Ok(Threshold::Relative(0.02)));
        assert_eq!(parse("0.01"), Ok(Threshold::Absolute(0.01)));
        for text in ["2%", "0.01", "0%", "0.5%", "7%"] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
        for wrong in ["", "%", "-1%", "much", "NaN", "inf"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
