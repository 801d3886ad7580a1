//! The networks of a sweep: which ones, from where, and where they are cut.

use std::{
    ffi::OsStr,
    fmt,
    path::{Path, PathBuf},
};

use cam_core::{Preprocessing, PreprocessingChoice};
use cam_models::Precision;
use cam_runtimes::Runtime;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, SeqAccess, Visitor},
};

/// A network with its weights and the layers under explanation: one of the zoo, or one from an ONNX file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "`{ name: NETWORK }` or `{ onnx: FILE }`")]
pub struct ModelChoice {
    /// Its name in the zoo, e.g. `resnet50`; empty where it comes from a file.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The ONNX file that it comes from, weights and all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub onnx: Option<PathBuf>,
    /// What runs the file, as where it is deployed; cambench itself, on libtorch, where left out. OpenVINO takes its own `.xml`
    /// in the place of an ONNX file, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<Runtime>,
    /// Its name in results; the zoo's, or the file's without its extension, where left out.
    #[serde(default, rename = "as", skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// A weights file, a published version (`IMAGENET1K_V2`), or `seeded` for random weights; the default version where
    /// left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
    /// The layers under explanation; the network's default where there is none.
    #[serde(default, skip_serializing_if = "Layers::is_empty")]
    pub layer: Layers,
    /// The output of the file that logits are read from; the one of this name, or the first, where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logits: Option<String>,
    /// A text file of class names, one a line in the order of the logits; ImageNet's where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<PathBuf>,
    /// How images become inputs; what is left out is that of the weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preprocessing: Option<PreprocessingChoice>,
    /// The number format of the network; those of a sweep in single precision are all `f32` or all
    /// `tf32`, which needs a CUDA device.
    #[serde(default)]
    pub precision: Precision,
}

/// Layers under explanation: none for the network's default, a name, or a list of names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layers(pub Vec<String>);

impl Layers {
    /// Whether the network's default layer is meant.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Layers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0[..] {
            [one] => one.serialize(serializer),
            several => several.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Layers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LayersVisitor;

        impl<'de> Visitor<'de> for LayersVisitor {
            type Value = Layers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a layer, or a list of names")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Layers, E> {
                Ok(Layers(vec![name.to_owned()]))
            }

            fn visit_unit<E: de::Error>(self) -> Result<Layers, E> {
                Ok(Layers::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Layers, A::Error> {
                let mut names: Vec<String> = vec![];
                while let Some(name) = seq.next_element()? {
                    if names.contains(&name) {
                        return Err(de::Error::custom(format!("layer `{name}` is listed twice")));
                    }
                    names.push(name);
                }
                if names.is_empty() {
                    return Err(de::Error::custom(
                        "`layer` is an empty list; leave it out for the network's default layer",
                    ));
                }
                Ok(Layers(names))
            }
        }

        deserializer.deserialize_any(LayersVisitor)
    }
}

impl ModelChoice {
    /// Its name in the sweep.
    pub fn label(&self) -> &str {
        let stem = || self.onnx.as_deref().and_then(Path::file_stem).and_then(OsStr::to_str);
        self.alias.as_deref().or_else(stem).unwrap_or(&self.name)
    }

    /// Where it is cut: its name in results, which says the layer where there are several, and the layer that is asked
    /// for.
    pub fn cuts(&self) -> Vec<(String, Option<&str>)> {
        match &self.layer.0[..] {
            [] => vec![(self.label().to_owned(), None)],
            [one] => vec![(self.label().to_owned(), Some(one))],
            several => {
                let name = |layer: &str| cam_results::name_at(self.label(), layer);
                several.iter().map(|layer| (name(layer), Some(&**layer))).collect()
            }
        }
    }

    /// How photographs were cut for its weights, where these are published ones.
    pub(crate) fn published_preprocessing(&self) -> Option<&'static Preprocessing> {
        let published = cam_models::by_name(&self.name).ok()?.weights;
        let weights = match &self.weights {
            None => published.first(),
            Some(version) => published.iter().find(|weights| weights.version == version),
        };
        Some(&weights?.preprocessing)
    }

    pub(super) fn validate(&self) -> Result<(), String> {
        let Some(onnx) = &self.onnx else {
            if let Some(runtime) = self.runtime {
                return Err(format!("`runtime: {runtime}` runs a file; name it with `onnx`"));
            }
            if self.logits.is_some() {
                return Err("`logits` names an output of a file; name the file with `onnx`".into());
            }
            if self.name.is_empty() {
                return Err("an entry needs a `name`, which is a network of the zoo, or `onnx`, which is a file".into());
            }
            return cam_models::by_name(&self.name).map(drop).map_err(|error| error.to_string());
        };
        let file = onnx.display();
        if !self.name.is_empty() {
            return Err(format!(
                "`{}` has a `name` and an `onnx` file ({file}); use `as` to name it in results",
                self.name
            ));
        }
        if let Some(message) = no_graph(onnx) {
            return Err(message);
        }
        if self.weights.is_some() {
            return Err(format!("{file} brings its own weights; leave out `weights`"));
        }
        if let Some(runtime) = self.runtime {
            let is_known = self.precision == Precision::F32
                || (self.precision == Precision::Bf16 && runtime == Runtime::OpenVino);
            if !is_known {
                return Err(format!(
                    "{file}: `{runtime}` does not compute in `{}`",
                    self.precision
                ));
            }
            if self.layer.0.iter().any(|layer| layer != cam_runtimes::INPUT) {
                return Err(format!(
                    "{file}: `{runtime}` shows no layer of a network; leave out `layer`"
                ));
            }
            return Ok(());
        }
        if self.precision == Precision::Bf16 {
            return Err(format!("{file}: `bf16` is for networks of the zoo; use `f32` or `tf32`"));
        }
        Ok(())
    }
}

/// Why a file is no ONNX file by its name, a sentence: PyTorch's are given most often.
pub fn no_graph(path: &Path) -> Option<String> {
    let extension = path.extension().and_then(OsStr::to_str)?;
    ["pth", "pt", "safetensors", "ckpt"].contains(&extension).then(|| {
        format!(
            "{} is no ONNX file by its name; export the network to ONNX, or give weights as `weights` of a network of the zoo \
             (`name`)",
            path.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use crate::Sweep;
    use std::path::Path;

    #[test]
    fn a_list_of_layers_is_a_model_for_each_of_them() {
        let sweep = |layer: &str, rest: &str| {
            let text = format!(
                "name: t\ndataset: {{ manifest: d.yaml }}\nmodels:\n  - name: resnet18\n    layer: {layer}\n{rest}metrics: [drop]\n"
            );
            Sweep::parse(&text, Path::new("t.yaml")).map_err(|error| error.to_string())
        };
        let cuts = |layer: &str| {
            let model = sweep(layer, "methods: [cam]\n").unwrap().models.remove(0);
            model.cuts().into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            cuts("[layer2, layer3, layer4]"),
            "resnet18@layer2 resnet18@layer3 resnet18@layer4"
        );
        assert_eq!([cuts("[layer3]"), cuts("layer3"), cuts("~")], ["resnet18"; 3]);

        let read =
            sweep("[layer3, layer4]", "methods: [{ name: cam, except: ['resnet18@layer3'] }]\n")
                .unwrap();
        let runs_on = |model: &str| read.methods[0].runs_on(model);
        assert_eq!(["resnet18@layer3", "resnet18@layer4"].map(runs_on), [false, true]);
        let resolved = serde_yaml::to_string(&read).unwrap();
        assert_eq!(Sweep::parse(&resolved, Path::new("t.yaml")).unwrap().models, read.models);
        let read =
            sweep("[layer3, layer4]", "methods: [{ name: cam, except: [resnet18] }]\n").unwrap();
        assert!(
            !read.methods[0].runs_on("resnet18@layer4") && read.methods[0].runs_on("resnet18b")
        );

        let rest = "methods: [cam]\n";
        for (layer, rest, expected) in [
            (
                "[layer3, layer4, layer3]",
                rest,
                "t.yaml:5: models[0].layer: layer `layer3` is listed twice",
            ),
            ("[]", rest, "t.yaml:5: models[0].layer: `layer` is an empty list; leave it out"),
            ("{ a: b }", rest, "expected the name of a layer, or a list of names"),
            (
                "[layer3, layer4]",
                "methods: [{ name: cam, except: [resnet18@layer2] }]\n",
                "t.yaml:6: methods: except: unknown model `resnet18@layer2`; did you mean `resnet18@layer3`?",
            ),
        ] {
            let error = sweep(layer, rest).unwrap_err();
            assert!(error.contains(expected), "{layer} gives {error}\n want {expected}");
        }
    }
}
