//! An entry of a list of methods or metrics: a name, what every entry may have, and the options of what the registries know.

use std::fmt;

use cam_core::with_suggestion;
use cam_methods::AnyMethod;
use cam_metrics::AnyMetric;
use cam_results::IMPORTED;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, Visitor},
    ser::SerializeMap,
};
use serde_yaml::{Mapping, Value};

use super::protocol_of;
use crate::{protocol::Protocol, suggest::hint};

/// The parts of an entry that every list has: its name, its alias, and what is left for its options.
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) alias: Option<String>,
    protocol: Option<String>,
    pub(super) options: Mapping,
}

impl Entry {
    pub(super) fn take(&mut self, key: &str) -> Option<Value> {
        self.options.remove(key)
    }

    /// The protocol that it names itself.
    pub(super) fn own_protocol(&self) -> Result<Option<&'static Protocol>, String> {
        self.protocol.as_deref().map(protocol_of).transpose()
    }
}

/// Options, and those of a protocol that they leave out.
pub(super) fn over(options: Mapping, mut protocol: Mapping) -> Mapping {
    protocol.extend(options);
    protocol
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntryVisitor;

        impl<'de> Visitor<'de> for EntryVisitor {
            type Value = Entry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name, or a map with a `name`")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Entry, E> {
                Ok(Entry {
                    name: name.to_string(),
                    alias: None,
                    protocol: None,
                    options: Mapping::new(),
                })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry, A::Error> {
                let (mut name, mut alias, mut protocol) = (None, None, None);
                let mut options = Mapping::new();
                while let Some(key) = map.next_key::<String>()? {
                    let is_new = match key.as_str() {
                        "name" => name.replace(map.next_value()?).is_none(),
                        "as" => alias.replace(map.next_value()?).is_none(),
                        "protocol" => protocol.replace(map.next_value()?).is_none(),
                        _ => options.insert(key.clone().into(), map.next_value()?).is_none(),
                    };
                    if !is_new {
                        return Err(de::Error::custom(format!("`{key}` is given twice")));
                    }
                }
                let name = name.ok_or_else(|| de::Error::missing_field("name"))?;
                Ok(Entry { name, alias, protocol, options })
            }
        }

        deserializer.deserialize_any(EntryVisitor)
    }
}

/// What [`cam_core::registry!`] makes, as far as an entry needs it.
pub(crate) trait Registry: Sized + Serialize {
    const KIND: &'static str;
    fn names() -> Vec<&'static str>;
    fn defaults(name: &str) -> Option<Self>;
    fn configured(name: &str, options: Value) -> Option<Result<Self, serde_yaml::Error>>;
}

macro_rules! impl_registry {
    ($any:ident, $kind:literal $(, $more:expr)?) => {
        impl Registry for $any {
            const KIND: &'static str = $kind;

            fn names() -> Vec<&'static str> {
                #[allow(unused_mut, reason = "only one of the two registries has a name more")]
                let mut names = $any::NAMES.to_vec();
                $(names.push($more);)?
                names
            }

            fn defaults(name: &str) -> Option<Self> {
                $any::by_name(name)
            }

            fn configured(name: &str, options: Value) -> Option<Result<Self, serde_yaml::Error>> {
                $any::configure(name, options)
            }
        }
    };
}

impl_registry!(AnyMethod, "method", IMPORTED);
impl_registry!(AnyMetric, "metric");

/// An entry of a registry from its name and options, with messages that say what would have been right.
pub(crate) fn configure<T: Registry>(name: &str, options: Mapping) -> Result<T, String> {
    let Some(defaults) = T::defaults(name) else {
        let names = T::names();
        if name == "adcc" {
            return Err("`adcc` is not listed as a metric: it is derived where drop, coherency and complexity are".into());
        }
        return Err(format!("unknown {} `{name}`{}", T::KIND, hint(name, &names)));
    };
    let known = serde_yaml::to_value(&defaults).map_err(|error| error.to_string())?;
    let known: Vec<&str> =
        known.as_mapping().into_iter().flat_map(Mapping::keys).filter_map(Value::as_str).collect();
    for key in options.keys() {
        let key = key.as_str().unwrap_or_default();
        if !known.contains(&key) {
            return Err(if known.is_empty() {
                format!("unknown option `{key}`: {name} has no options")
            } else {
                format!("unknown option `{key}` of {name}{}", hint(key, &known))
            });
        }
    }
    T::configured(name, Value::Mapping(options))
        .expect("the name is known")
        .map_err(|error| format!("{name}: {}", with_suggestion(&error.to_string())))
}

/// One method from its name and options, e.g. of a command line; options that are left out are the protocol's.
///
/// # Errors
/// A message for people where the name or an option is unknown, or a value does not fit.
pub fn method(name: &str, options: Mapping, protocol: &Protocol) -> Result<AnyMethod, String> {
    configure(name, over(options, protocol.method_options(name)))
}

/// `name`, `as`, the protocol that it names, and every option with its value.
pub(super) fn serialize_entry<S: Serializer>(
    serializer: S,
    name: &str,
    label: &str,
    protocol: Option<&Protocol>,
    except: &[String],
    options: &Value,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    map.serialize_entry("name", name)?;
    map.serialize_entry("as", label)?;
    if let Some(protocol) = protocol {
        map.serialize_entry("protocol", protocol)?;
    }
    if !except.is_empty() {
        map.serialize_entry("except", except)?;
    }
    for (key, value) in options.as_mapping().into_iter().flatten() {
        map.serialize_entry(key, value)?;
    }
    map.end()
}
