//! One explained image: what was measured, and what it was measured on.

use std::{borrow::Borrow, collections::HashSet, fmt, ops::Deref, sync::Arc};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Visitor},
};

/// The version of everything that a run's folder holds. A newer one is refused by name, an older one is read.
pub const SCHEMA: u32 = 1;

/// The columns of a record that are not metrics; no metric may be called like one of them.
pub const COLUMNS: [&str; 17] = [
    "model",
    "layer",
    "method",
    "protocol",
    "image",
    "label",
    "target",
    "predicted",
    "confidence",
    "adcc_per_image",
    "explain_secs",
    "forwards",
    "head_forwards",
    "backwards",
    "executed_forwards",
    "status",
    "error",
];

/// Identifies a row within a run.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The model's name in the sweep.
    pub model: String,
    /// The layer under explanation.
    pub layer: String,
    /// The method's name in the sweep.
    pub method: String,
    /// The rules that turn raw maps into scores.
    pub protocol: String,
    /// The image's path relative to the data set's root.
    pub image: String,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} at {} ({}) on {}",
            self.method, self.model, self.layer, self.protocol, self.image
        )
    }
}

/// A name that many records have, kept once for all of them: most of a large run's records would be names.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<str>);

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        self
    }
}

impl From<&str> for Name {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl From<String> for Name {
    fn from(name: String) -> Self {
        Self(name.into())
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        **self == *other
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        **self == **other
    }
}

impl PartialEq<String> for Name {
    fn eq(&self, other: &String) -> bool {
        **self == **other
    }
}

impl PartialEq<Name> for String {
    fn eq(&self, other: &Name) -> bool {
        **self == **other
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

/// The names of many records, each once.
#[derive(Debug, Default)]
pub(crate) struct Names(HashSet<Name>);

impl Names {
    pub(crate) fn get(&mut self, name: &str) -> Name {
        if let Some(name) = self.0.get(name) {
            return name.clone();
        }
        let name = Name::from(name);
        self.0.insert(name.clone());
        name
    }

    /// Lets a record share its names.
    pub(crate) fn share(&mut self, record: &mut Record) {
        let Record { model, layer, method, protocol, image, .. } = record;
        for name in [model, layer, method, protocol, image] {
            *name = self.get(name);
        }
    }
}

/// What became of one image under one method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The map was scored.
    Ok,
    /// The map is constant or not finite and says nothing: its metrics are null.
    Degenerate,
    /// No map was made, or scoring it failed: its metrics are null.
    Failed,
}

impl Status {
    /// As it stands in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degenerate => "degenerate",
            Self::Failed => "failed",
        }
    }

    /// The inverse of [`Status::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Ok, Self::Degenerate, Self::Failed]
            .into_iter()
            .find(|status| status.as_str() == text)
    }
}

/// One row of `records.parquet`: one image under one method in one model, failures included.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The model's name in the sweep.
    pub model: Name,
    /// The layer under explanation.
    pub layer: Name,
    /// The method's name in the sweep.
    pub method: Name,
    /// The rules that turn raw maps into scores.
    pub protocol: Name,
    /// The image's path relative to the data set's root.
    pub image: Name,
    /// The class that the image is labeled with, where it is.
    pub label: Option<i64>,
    /// The class explained; `None` where the image could not be read.
    pub target: Option<i64>,
    /// The class with the largest logit; `None` where the image could not be read.
    pub predicted: Option<i64>,
    /// Softmax probability of `target`, in `[0, 1]`.
    pub confidence: Option<f64>,
    /// One value per metric of the manifest and in its order, as fractions; not finite is null.
    pub metrics: Vec<Option<f64>>,
    /// [`adcc`](crate::adcc) of this image alone.
    pub adcc_per_image: Option<f64>,
    /// Wall-clock seconds of making the map, without the metrics.
    #[serde(deserialize_with = "null_as_nan")]
    pub explain_secs: f64,
    /// Passes through the whole network that the method's definition needs.
    pub forwards: u64,
    /// Passes through the head alone that the method's definition needs.
    pub head_forwards: u64,
    /// Back-propagations that the method's definition needs.
    pub backwards: u64,
    /// Passes of an image through the network or its head that were really run.
    pub executed_forwards: u64,
    /// Whether there is something to count.
    pub status: Status,
    /// Why there is not.
    pub error: Option<String>,
}

impl Record {
    /// What identifies this record within its run.
    pub fn key(&self) -> Key {
        Key {
            model: self.model.to_string(),
            layer: self.layer.to_string(),
            method: self.method.to_string(),
            protocol: self.protocol.to_string(),
            image: self.image.to_string(),
        }
    }
}

/// A record with what it was computed from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The numbers.
    pub record: Record,
    /// The curves behind those metrics that are areas.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub curves: Vec<Curve>,
    /// The map as the method made it; `None` where it made none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map: Option<RawMap>,
}

/// The curve that a metric is the area of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// The metric's name in the sweep.
    pub metric: String,
    /// Confidence after 0, 1, .., n steps.
    #[serde(serialize_with = "f64s_to_base64", deserialize_with = "f64s_from_base64")]
    pub values: Vec<f64>,
}

/// A map as the method made it: any scale, any resolution, possibly not finite.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "MapForm")]
pub struct RawMap {
    /// Rows.
    pub height: u32,
    /// Columns.
    pub width: u32,
    /// Row-major, `height * width`.
    #[serde(serialize_with = "f32s_to_base64")]
    pub values: Vec<f32>,
}

/// A map as a file has it, before a look at whether its shape is that of its values.
#[derive(Deserialize)]
struct MapForm {
    height: u32,
    width: u32,
    #[serde(deserialize_with = "f32s_from_base64")]
    values: Vec<f32>,
}

impl TryFrom<MapForm> for RawMap {
    type Error = String;

    fn try_from(form: MapForm) -> Result<Self, String> {
        let MapForm { height, width, values } = form;
        if values.len() as u64 == u64::from(height) * u64::from(width) {
            Ok(Self { height, width, values })
        } else {
            Err(format!("a map of {height} x {width} has {} numbers", values.len()))
        }
    }
}

// Base64 of the little-endian bytes keeps every bit, those of NaN included, which JSON has no word for.

fn f32s_to_base64<S: Serializer>(values: &[f32], serializer: S) -> Result<S::Ok, S::Error> {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
}

fn f64s_to_base64<S: Serializer>(values: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
}

fn f32s_from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f32>, D::Error> {
    deserializer.deserialize_str(Words(f32::from_le_bytes))
}

fn f64s_from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
    deserializer.deserialize_str(Words(f64::from_le_bytes))
}

/// Base64 text as numbers of `N` bytes, decoded where it stands: most of a journal is such text.
struct Words<T, const N: usize>(fn([u8; N]) -> T);

impl<T, const N: usize> Visitor<'_> for Words<T, N> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "base64 of numbers of {N} bytes")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<T>, E> {
        let bytes = BASE64_STANDARD.decode(text).map_err(E::custom)?;
        let (words, rest) = bytes.as_chunks::<N>();
        if !rest.is_empty() {
            return Err(E::custom(format_args!(
                "{} bytes are no whole number of {N}",
                bytes.len()
            )));
        }
        Ok(words.iter().map(|word| self.0(*word)).collect())
    }
}

fn null_as_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn maps_and_curves_survive_json_bit_by_bit(
            map in prop::collection::vec(any::<u32>(), 0..20), curve in prop::collection::vec(any::<u64>(), 0..20),
        ) {
            let map = RawMap {
                height: 1,
                width: map.len() as u32,
                values: map.into_iter().map(f32::from_bits).collect(),
            };
            let back: RawMap = serde_json::from_str(&serde_json::to_string(&map).unwrap()).unwrap();
            prop_assert_eq!(
                back.values.iter().map(|v| v.to_bits()).collect::<Vec<_>>(),
                map.values.iter().map(|v| v.to_bits()).collect::<Vec<_>>()
            );
            let curve = Curve {
                metric: "deletion".into(),
                values: curve.into_iter().map(f64::from_bits).collect(),
            };
            let back: Curve = serde_json::from_str(&serde_json::to_string(&curve).unwrap()).unwrap();
            prop_assert_eq!(
                back.values.iter().map(|v| v.to_bits()).collect::<Vec<_>>(),
                curve.values.iter().map(|v| v.to_bits()).collect::<Vec<_>>()
            );
        }

        #[test]
        fn finite_numbers_survive_json_bit_by_bit(value in any::<f64>().prop_filter("finite", |v| v.is_finite())) {
            let back: f64 = serde_json::from_str(&serde_json::to_string(&value).unwrap()).unwrap();
            prop_assert_eq!(back.to_bits(), value.to_bits());
        }
    }

    #[test]
    fn a_torn_map_is_refused() {
        let text = r#"{"height":1,"width":1,"values":"AAAA"}"#;
        let error = serde_json::from_str::<RawMap>(text).unwrap_err().to_string();
        assert!(error.starts_with("3 bytes are no whole number of 4"), "{error}");
    }
}
