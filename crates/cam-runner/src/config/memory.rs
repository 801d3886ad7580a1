//! Amounts of memory.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_yaml::Value;

/// A number of bytes, written as `512MiB`, `1.5GiB` or a plain number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl Bytes {
    /// So many, as far as signed numbers go, in which sizes are counted further on.
    fn of(bytes: u64) -> Self {
        Self(bytes.min(i64::MAX as u64))
    }
}

impl std::str::FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
        let scale = match text[digits..].trim() {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1_u64 << 30,
            "TiB" => 1_u64 << 40,
            _ => {
                return Err(format!(
                    "`{text}` is no amount of memory, e.g. 1.5GiB; units are KiB, MiB, GiB and TiB"
                ));
            }
        };
        let number: f64 = text[..digits]
            .parse()
            .map_err(|_error| format!("`{text}` is no amount of memory, e.g. 1.5GiB"))?;
        let bytes = number * scale as f64;
        if bytes >= 1.0 {
            Ok(Self::of(bytes as u64))
        } else {
            Err(format!("`{text}` is too little memory"))
        }
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(1_u64 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        match units.into_iter().find(|(scale, _)| self.0 >= *scale) {
            Some((scale, unit)) => {
                let amount = format!("{:.1}", self.0 as f64 / scale as f64);
                write!(f, "{}{unit}", amount.strip_suffix(".0").unwrap_or(&amount))
            }
            None => write!(f, "{}B", self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => text.parse().map_err(de::Error::custom),
            Value::Number(number) => number
                .as_u64()
                .filter(|&n| n > 0)
                .map(Self::of)
                .ok_or_else(|| de::Error::custom("`memory` is a positive number of bytes")),
            _ => Err(de::Error::custom("`memory` is an amount such as 1GiB")),
        }
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_of_memory_are_read_and_printed() {
        for (text, bytes) in [("1GiB", 1 << 30), ("1.5 MiB", 3 << 19), ("17", 17), ("2KiB", 2048)] {
            assert_eq!(text.parse::<Bytes>().unwrap(), Bytes(bytes), "{text}");
        }
        assert_eq!(Bytes(3 << 29).to_string(), "1.5GiB");
        assert!("many".parse::<Bytes>().is_err() && "0".parse::<Bytes>().is_err());
        // As text or as a number, no more than signed numbers hold.
        let most = Bytes(i64::MAX as u64);
        for text in ["18446744073709551615", "\"18446744073709551615\"", "17000000TiB"] {
            assert_eq!(serde_yaml::from_str::<Bytes>(text).unwrap(), most, "{text}");
        }
    }
}
