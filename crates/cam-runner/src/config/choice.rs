//! The methods and metrics of a sweep, each with its options under a name of its own.

use std::{fmt, path::PathBuf, sync::Arc};

use cam_core::Method;
use cam_methods::{AnyMethod, Randomized};
use cam_metrics::AnyMetric;
use cam_results::IMPORTED;
use serde::{Serialize, Serializer, ser};
use serde_yaml::{Mapping, Value};

use super::entry::{Entry, configure, over, serialize_entry};
use crate::{protocol::Protocol, suggest::hint};

/// A method with its options, under a name of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct MethodChoice {
    /// Its name in results; the method's where left out.
    pub alias: Option<String>,
    /// Where options come from that the entry leaves out; the sweep's protocol where left out.
    pub protocol: Option<&'static Protocol>,
    /// Models that it leaves out, such as have no head that it needs: by their names in results, or without the layer.
    pub except: Vec<String>,
    /// What makes the maps.
    pub source: MapSource,
}

/// What makes the maps of a method.
#[derive(Clone, Debug, PartialEq)]
pub enum MapSource {
    /// A method of the registry.
    Method(AnyMethod),
    /// A method of the registry on a randomized copy of the network: a control.
    Randomized(Randomized),
    /// A folder of maps that another tool made: `<image without its extension>.npy`, two dimensions, any scale.
    Imported(PathBuf),
    /// A method of whoever uses this crate as a library; a sweep file cannot name it.
    Custom(CustomMethod),
}

/// A method that is not in the registry.
#[derive(Clone)]
pub struct CustomMethod {
    /// Its name in results. A run continues under an equal name, whatever the method has become meanwhile.
    pub name: &'static str,
    /// The method.
    pub method: Arc<dyn Method + Send + Sync>,
}

impl fmt::Debug for CustomMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CustomMethod").field(&self.name).finish()
    }
}

impl PartialEq for CustomMethod {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.method, &other.method)
    }
}

/// Whether a name that a user writes means a model, by the model's name in results: that name itself, or the network's,
/// which means all of its layers.
pub fn names(written: &str, model: &str) -> bool {
    let rest = model.strip_prefix(written);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(cam_results::AT))
}

impl MethodChoice {
    /// Whether it explains a model, by the model's name in results.
    pub fn runs_on(&self, model: &str) -> bool {
        !self.except.iter().any(|name| names(name, model))
    }

    /// Its name in results.
    pub fn label(&self) -> &str {
        self.alias.as_deref().unwrap_or_else(|| self.source.name())
    }
}

impl MapSource {
    /// The method's name in the registry, or `imported`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Method(method) | Self::Randomized(Randomized { method, .. }) => method.name(),
            Self::Imported(_) => IMPORTED,
            Self::Custom(custom) => custom.name,
        }
    }

    /// What can be asked for a map; imported maps are there already.
    pub fn method(&self) -> Option<&dyn Method> {
        match self {
            Self::Method(method) => Some(&**method),
            Self::Randomized(randomized) => Some(randomized),
            Self::Custom(custom) => Some(&*custom.method),
            Self::Imported(_) => None,
        }
    }
}

/// The key, beside a method's options, that says which network it runs on.
pub(crate) const NETWORK: &str = "network";

/// `randomized`, or `randomized:7` for another seed than 0.
pub(crate) fn randomized_network(randomized: &Randomized) -> String {
    match randomized.seed {
        0 => RANDOMIZED.to_string(),
        seed => format!("{RANDOMIZED}:{seed}"),
    }
}

const RANDOMIZED: &str = "randomized";

/// The seed of a randomized network; `None` where the text says something else.
fn randomized_seed(text: &str) -> Option<u64> {
    match text.strip_prefix(RANDOMIZED)? {
        "" => Some(0),
        seed => seed.strip_prefix(':')?.parse().ok(),
    }
}

/// A metric with its options, under a name of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricChoice {
    /// Its name in results; the metric's where left out.
    pub alias: Option<String>,
    /// Where options come from that the entry leaves out; the sweep's protocol where left out.
    pub protocol: Option<&'static Protocol>,
    /// The metric.
    pub metric: AnyMetric,
}

impl MetricChoice {
    /// Its name in results.
    pub fn label(&self) -> &str {
        self.alias.as_deref().unwrap_or_else(|| self.metric.name())
    }
}

impl MethodChoice {
    pub(super) fn new(mut entry: Entry, sweeps: &'static Protocol) -> Result<Self, String> {
        let protocol = entry.own_protocol()?;
        let except = entry.take("except").map_or(Ok(vec![]), serde_yaml::from_value);
        let except = except.map_err(|error| format!("{}: except: {error}", entry.name))?;
        let network = if entry.name == IMPORTED { None } else { entry.take(NETWORK) };
        let source = if entry.name == IMPORTED {
            let maps =
                entry.take("maps").ok_or("`imported` needs `maps`, a folder of .npy files")?;
            if let Some(key) = entry.options.keys().next().and_then(Value::as_str) {
                return Err(format!("unknown option `{key}` of imported{}", hint(key, &["maps"])));
            }
            let maps =
                serde_yaml::from_value(maps).map_err(|error| format!("imported: {error}"))?;
            MapSource::Imported(maps)
        } else {
            let preset = protocol.unwrap_or(sweeps).method_options(&entry.name);
            let method = configure(&entry.name, over(entry.options, preset))?;
            match network {
                None => MapSource::Method(method),
                Some(network) => {
                    let seed = network.as_str().and_then(randomized_seed).ok_or_else(|| {
                        format!(
                            "{NETWORK} is `{RANDOMIZED}`, or `{RANDOMIZED}:` and a seed; leave it out for the trained network"
                        )
                    })?;
                    let own_name = || format!("{}_{RANDOMIZED}", entry.name);
                    entry.alias = Some(entry.alias.unwrap_or_else(own_name));
                    MapSource::Randomized(Randomized { method, seed })
                }
            }
        };
        Ok(Self { alias: entry.alias, protocol, except, source })
    }
}

impl MetricChoice {
    pub(super) fn new(entry: Entry, sweeps: &'static Protocol) -> Result<Self, String> {
        let protocol = entry.own_protocol()?;
        let preset = protocol.unwrap_or(sweeps).metric_options(&entry.name);
        let metric = configure(&entry.name, over(entry.options, preset))?;
        Ok(Self { alias: entry.alias, protocol, metric })
    }
}

impl Serialize for MethodChoice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let options = match &self.source {
            MapSource::Method(method) => serde_yaml::to_value(method),
            MapSource::Randomized(randomized) => {
                serde_yaml::to_value(&randomized.method).map(|mut options| {
                    options[NETWORK] = randomized_network(randomized).into();
                    options
                })
            }
            MapSource::Imported(maps) => {
                let maps = maps.to_string_lossy().into_owned();
                Ok(Mapping::from_iter([("maps".into(), maps.into())]).into())
            }
            MapSource::Custom(_) => Ok(Mapping::new().into()),
        };
        let options: Value = options.map_err(ser::Error::custom)?;
        let (name, label) = (self.source.name(), self.label());
        serialize_entry(serializer, name, label, self.protocol, &self.except, &options)
    }
}

impl Serialize for MetricChoice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let options = serde_yaml::to_value(&self.metric).map_err(ser::Error::custom)?;
        let (name, label) = (self.metric.name(), self.label());
        serialize_entry(serializer, name, label, self.protocol, &[], &options)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{Sweep, config::tests::parse};

    #[test]
    fn a_method_on_a_randomized_network_has_a_name_of_its_own_and_reads_as_it_was_written() {
        let text = "methods: [cam, { name: cam, network: randomized }, { name: cam, as: other, network: 'randomized:7' }]\n\
                    metrics: [drop]\n";
        let sweep = parse(text).unwrap();
        let labels: Vec<&str> = sweep.methods.iter().map(MethodChoice::label).collect();
        assert_eq!(labels, ["cam", "cam_randomized", "other"]);
        let resolved = serde_yaml::to_string(&sweep).unwrap();
        let again = Sweep::parse(&resolved, Path::new("t.yaml")).unwrap();
        assert_eq!(again.methods[1..], sweep.methods[1..]);
    }
}
