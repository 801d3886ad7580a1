//! Protocols: named settings of a whole evaluation, and what is said of a row that departs from them.
//!
//! A protocol is a row of [`PROTOCOLS`]. A sweep that names it gets its class, its preprocessing, its upsampling, and its
//! options of every method and metric; whatever the sweep says itself wins. What is not in a row is as cambench defines it.
//!
//! Every number names its protocol: the name alone where every setting is the protocol's, else the name and each setting
//! that is another one, as in `byun-2022+target=predicted+n_masks=500`. [`MethodChoice::protocol_in`] and
//! [`MetricChoice::protocol_in`] make these names; nothing else does.

use cam_core::{Interpolation, Preprocessing, Resize, Upsampling};
use cam_methods::Randomized;
use serde::{Serialize, Serializer};
use serde_json::Value;
use serde_yaml::Mapping;

use crate::config::{
    MapSource, MethodChoice, MetricChoice, ModelChoice, NETWORK, Sweep, TargetRule, configure,
    randomized_network,
};

/// Named settings of a whole evaluation.
#[derive(Debug)]
pub struct Protocol {
    /// Its name in sweeps, rows and tables.
    pub name: &'static str,
    /// Counts up when one of its numbers moves.
    pub version: u32,
    /// What it is, in one line.
    pub summary: &'static str,
    /// Where it is from.
    pub source: &'static str,
    /// Which class is explained.
    pub target: TargetRule,
    /// How photographs are cut; as the weights were published where `None`.
    pub framing: Option<Framing>,
    /// How maps are brought to the image's size.
    pub upsampling: Upsampling,
    /// Options of methods that are not the default, as a sweep file has them.
    methods: &'static [Options],
    /// Options of metrics that are not the default.
    metrics: &'static [Options],
}

/// How a photograph is cut, for a network of any input size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framing {
    /// Side after resizing for an input of 224 pixels; other inputs in proportion.
    side: u32,
    /// Whether both sides are made as long, or the shorter one.
    is_squashed: bool,
}

/// The default.
pub const CORRECTED: &str = "corrected";

/// Every protocol, the default first.
pub static PROTOCOLS: [Protocol; 5] = [
    Protocol {
        name: CORRECTED,
        version: 1,
        summary: "the papers' formulas made numerically safe: predicted class, logit explained, softmax probability \
                  measured, maps min-max normalized at their own size then upsampled, stable order of equal pixels, \
                  trapezoid over both end points",
        source: "METHODOLOGY.md",
        target: TargetRule::Predicted,
        framing: None,
        upsampling: Upsampling::Bilinear,
        methods: &[],
        metrics: &[],
    },
    Protocol {
        name: "poppi-2021",
        version: 1,
        summary: "the ADCC paper's code: predicted class, shorter side resized to 224, drop from the largest \
                  probability, methods as torch-cam 57474d6 runs them; deletion and insertion, which it lacks, as RISE",
        source: "Poppi et al. 2021, arXiv 2104.10252; aimagelab/ADCC e52dadf, torch-cam 57474d6",
        target: TargetRule::Predicted,
        framing: Some(Framing { side: 224, is_squashed: false }),
        upsampling: Upsampling::Bilinear,
        methods: &[("cam", "{ relu: false }"), TORCH_CAM_PP, TORCH_CAM_SMOOTH, TORCH_CAM_SCORE],
        metrics: &[("drop", "{ reference: largest }")],
    },
    Protocol {
        name: "byun-2022",
        version: 2,
        summary: "the Recipro-CAM authors' evaluation: labeled class, squashed to 256 x 256, maps upsampled bicubically \
                  without clamping, coherency and complexity on the layer's grid, their own deletion and insertion",
        source: "Byun and Lee 2022, arXiv 2209.14074; sybyun/ReciproCAM 460aec6",
        target: TargetRule::Label,
        framing: Some(Framing { side: 256, is_squashed: true }),
        upsampling: Upsampling::Bicubic,
        methods: &BYUN,
        metrics: &BYUN_METRICS,
    },
    Protocol {
        name: "byun-2022-gaussian",
        version: 2,
        summary: "byun-2022 with Recipro-CAM's Gaussian mask, as the committed evaluation script calls it",
        source: "Byun and Lee 2022, arXiv 2209.14074; sybyun/ReciproCAM 460aec6",
        target: TargetRule::Label,
        framing: Some(Framing { side: 256, is_squashed: true }),
        upsampling: Upsampling::Bicubic,
        methods: &BYUN_GAUSSIAN,
        metrics: &BYUN_METRICS,
    },
    Protocol {
        name: "rise-2018",
        version: 1,
        summary: "RISE's evaluation notebook: predicted class, squashed to 224 x 224, 5000 masks of 10 x 10 cells of which \
                  a tenth is kept, deletion to 0 and insertion from its blur, 224 pixels at a time",
        source: "Petsiuk et al. 2018, arXiv 1806.07421; eclique/RISE d91ea00",
        target: TargetRule::Predicted,
        framing: Some(Framing { side: 224, is_squashed: true }),
        upsampling: Upsampling::Bilinear,
        methods: &[("rise", "{ n_masks: 5000, cells: 10, p: 0.1 }")],
        metrics: &[],
    },
];

type Options = (&'static str, &'static str);

// As torch-cam runs them at the version that the ADCC paper's code asks for.
const TORCH_CAM_PP: Options = ("grad_cam_pp", "{ weights: torch_cam }");
const TORCH_CAM_SMOOTH: Options = ("smooth_grad_cam_pp", "{ weights: torch_cam }");
const TORCH_CAM_SCORE: Options = ("score_cam", "{ masks: normalize_first, channels: normalized }");

// Recipro-CAM's authors compare with torch-cam, and the other rows of their table were made with it.
const BYUN: [Options; 4] =
    [TORCH_CAM_PP, TORCH_CAM_SMOOTH, TORCH_CAM_SCORE, ("recipro_cam", "{ score: softmax }")];

const BYUN_GAUSSIAN: [Options; 4] = [
    TORCH_CAM_PP,
    TORCH_CAM_SMOOTH,
    TORCH_CAM_SCORE,
    ("recipro_cam", "{ score: softmax, gaussian: true }"),
];

const BYUN_METRICS: [Options; 4] = [
    ("deletion", "{ unit: overlapping_cells, area: points }"),
    ("insertion", "{ unit: overlapping_cells, area: points, start: mean }"),
    ("coherency", "{ at: layer }"),
    ("complexity", "{ at: layer }"),
];

impl Protocol {
    /// Its row by its name.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        PROTOCOLS.iter().find(|protocol| protocol.name == name)
    }

    /// A method's options that are not cambench's default, by its name in the registry.
    pub(crate) fn method_options(&self, name: &str) -> Mapping {
        options(self.methods, name)
    }

    /// A metric's options that are not cambench's default, by its name in the registry.
    pub(crate) fn metric_options(&self, name: &str) -> Mapping {
        options(self.metrics, name)
    }

    /// All that it sets, as one line for people: `grad_cam_pp { weights: torch_cam }; drop { reference: largest }`.
    pub fn settings(&self) -> String {
        let entries = self.methods.iter().chain(self.metrics);
        entries.map(|(name, options)| format!("{name} {options}")).collect::<Vec<_>>().join("; ")
    }

    /// The preprocessing of weights that were published with `published`.
    pub fn preprocessing(&self, published: &Preprocessing) -> Preprocessing {
        let Some(Framing { side, is_squashed }) = self.framing else {
            return published.clone();
        };
        let side = (f64::from(published.crop) * f64::from(side) / 224.0).round() as u32;
        Preprocessing {
            resize: if is_squashed { Resize::Exact([side; 2]) } else { Resize::Shorter(side) },
            interpolation: Interpolation::Bilinear,
            ..published.clone()
        }
    }
}

impl Serialize for Protocol {
    /// Its name.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name)
    }
}

impl PartialEq for Protocol {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

fn options(entries: &[Options], name: &str) -> Mapping {
    let text = entries.iter().find(|(entry, _)| *entry == name).map(|(_, options)| *options);
    text.map_or_else(Mapping::new, |text| {
        serde_yaml::from_str(text).expect("the table's options are maps")
    })
}

impl Sweep {
    /// What an entry of a kind is said to follow before its own options: the name of the sweep's protocol, the settings of the
    /// whole sweep that are others, `target=label`, and the entry's own protocol where it is another one, `method=poppi-2021`.
    fn words(&self, kind: &str, own: &Protocol) -> Vec<String> {
        let protocol = self.protocol;
        let mut words = vec![protocol.name.to_string()];
        if self.target != protocol.target {
            words.push(format!("target={}", self.target));
        }
        if self.upsampling != protocol.upsampling {
            words.push(format!("upsampling={}", word(&self.upsampling)));
        }
        let is_reframed = |model: &ModelChoice| {
            model.preprocessing.as_ref().is_some_and(|own| {
                // That of weights which nobody published is what comes with them.
                let published = model
                    .published_preprocessing()
                    .cloned()
                    .unwrap_or_else(|| own.over(&Preprocessing::imagenet(own.crop.unwrap_or(224))));
                let meant = protocol.preprocessing(&published);
                own.over(&meant) != meant
            })
        };
        if self.models.iter().any(is_reframed) {
            words.push("preprocessing=own".to_string());
        }
        if own != protocol {
            words.push(format!("{kind}={}", own.name));
        }
        words
    }
}

impl MethodChoice {
    /// The protocol that this method's rows are said to follow in a sweep.
    pub fn protocol_in(&self, sweep: &Sweep) -> String {
        let own = self.protocol.unwrap_or(sweep.protocol);
        let mut words = sweep.words("method", own);
        if let MapSource::Randomized(randomized) = &self.source {
            words.push(format!("{NETWORK}={}", randomized_network(randomized)));
        }
        if let MapSource::Method(method) | MapSource::Randomized(Randomized { method, .. }) =
            &self.source
        {
            let planned: cam_methods::AnyMethod =
                configure(method.name(), own.method_options(method.name()))
                    .expect("the table's options are those of its methods");
            words.extend(departures(&json(&planned), &json(method)));
        }
        words.join("+")
    }
}

impl MetricChoice {
    /// The protocol that this metric's column is said to follow in a sweep.
    pub fn protocol_in(&self, sweep: &Sweep) -> String {
        let own = self.protocol.unwrap_or(sweep.protocol);
        let planned: cam_metrics::AnyMetric =
            configure(self.metric.name(), own.metric_options(self.metric.name()))
                .expect("the table's options are those of its metrics");
        let mut words = sweep.words("metric", own);
        words.extend(departures(&json(&planned), &json(&self.metric)));
        words.join("+")
    }
}

/// Options that are not as planned: `n_masks=500`.
fn departures(planned: &Value, is: &Value) -> impl Iterator<Item = String> {
    differences(planned, is).into_iter().map(|(key, value, _)| format!("{key}={value}"))
}

/// The options of `is` that are others in `was`: the option, its value, and the other value.
pub(crate) fn differences(was: &Value, is: &Value) -> Vec<(String, String, String)> {
    let pairs = is.as_object().into_iter().flatten();
    pairs
        .map(|(key, value)| (key, value, was.get(key.as_str()).unwrap_or(&Value::Null)))
        .filter(|(_, value, other)| value != other)
        .map(|(key, value, other)| (key.clone(), text(value), text(other)))
        .collect()
}

pub(crate) fn json(options: &impl Serialize) -> Value {
    serde_json::to_value(options).expect("options are plain data")
}

pub(crate) fn word(value: &impl Serialize) -> String {
    text(&json(value))
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_string)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use cam_methods::AnyMethod;
    use cam_metrics::AnyMetric;

    use super::*;

    fn sweep(rest: &str) -> Sweep {
        let text = format!(
            "name: t\ndataset: {{ manifest: d.yaml }}\nmodels:\n  - {{ name: resnet18 }}\n{rest}"
        );
        Sweep::parse(&text, Path::new("t.yaml")).unwrap()
    }

    /// What every method, then every metric, is said to follow.
    fn names(sweep: &Sweep) -> Vec<String> {
        let methods = sweep.methods.iter().map(|method| method.protocol_in(sweep));
        methods.chain(sweep.metrics.iter().map(|metric| metric.protocol_in(sweep))).collect()
    }

    #[test]
    fn every_option_of_every_protocol_is_one_and_is_not_the_default() {
        for protocol in &PROTOCOLS {
            for (name, _) in protocol.methods {
                let options = protocol.method_options(name);
                let method: AnyMethod = configure(name, options.clone()).unwrap();
                let default = AnyMethod::by_name(name).unwrap();
                assert_eq!(differences(&json(&default), &json(&method)).len(), options.len());
            }
            for (name, _) in protocol.metrics {
                let options = protocol.metric_options(name);
                let metric: AnyMetric = configure(name, options.clone()).unwrap();
                let default = AnyMetric::by_name(name).unwrap();
                assert_eq!(differences(&json(&default), &json(&metric)).len(), options.len());
            }
        }
        assert_eq!(PROTOCOLS[0].name, CORRECTED);
    }

    #[test]
    fn a_protocol_fills_in_what_the_sweep_leaves_out() {
        let byun = sweep(
            "protocol: byun-2022-gaussian\nmethods: [recipro_cam, grad_cam]\n\
             metrics: [insertion, complexity, drop]\n",
        );
        assert_eq!((byun.target, byun.upsampling), (TargetRule::Label, Upsampling::Bicubic));
        let MapSource::Method(recipro) = &byun.methods[0].source else { panic!("no method") };
        assert_eq!(json(recipro), serde_json::json!({ "score": "softmax", "gaussian": true }));
        let insertion = json(&byun.metrics[0].metric);
        assert_eq!(insertion["unit"], "overlapping_cells");
        assert_eq!((&insertion["start"], &insertion["area"]), (&"mean".into(), &"points".into()));
        assert_eq!(names(&byun), ["byun-2022-gaussian"; 5]);
        let corrected = sweep("methods: [recipro_cam]\nmetrics: [drop]\n");
        assert_eq!(names(&corrected), [CORRECTED; 2]);
    }

    #[test]
    fn an_option_of_the_sweeps_own_wins_and_shows_in_the_name() {
        let changed = sweep(
            "protocol: poppi-2021\ntarget: label\nmethods:\n  - { name: rise, n_masks: 500 }\n  \
             - { name: grad_cam_pp, weights: torch_cam }\n  - { name: grad_cam_pp, as: b, weights: paper }\n  \
             - { name: grad_cam_pp, as: c, protocol: corrected }\n  - { name: imported, maps: m }\n  \
             - { name: layer_cam, network: randomized }\n\
             metrics: [{ name: deletion, steps: 28 }, { name: drop, as: e, protocol: corrected }, drop]\n",
        );
        assert_eq!(
            names(&changed),
            [
                "poppi-2021+target=label+n_masks=500",
                "poppi-2021+target=label",
                "poppi-2021+target=label+weights=paper",
                "poppi-2021+target=label+method=corrected",
                "poppi-2021+target=label",
                "poppi-2021+target=label+network=randomized",
                "poppi-2021+target=label+steps=28",
                "poppi-2021+target=label+metric=corrected",
                "poppi-2021+target=label",
            ]
        );
        let same = sweep("protocol: byun-2022\ntarget: label\nmethods: [cam]\nmetrics: [drop]\n");
        assert_eq!(names(&same), ["byun-2022"; 2], "said again is not changed");
        let byun = sweep(
            "methods: [cam]\nmetrics: [drop, { name: drop, as: drop_byun, protocol: byun-2022 }]\n",
        );
        assert_eq!(names(&byun), ["corrected", "corrected", "corrected+metric=byun-2022"]);
    }

    #[test]
    fn photographs_that_are_cut_otherwise_than_for_published_weights_show_in_the_name() {
        let name = |protocol: &str, model: &str, resize: &str| {
            let text = format!(
                "name: t\ndataset: {{ manifest: d.yaml }}\nprotocol: {protocol}\nmodels:\n  \
                 - {{ {model}, preprocessing: {{ resize: {resize}, crop: 224 }} }}\nmethods: [cam]\nmetrics: [drop]\n"
            );
            let names = names(&Sweep::parse(&text, Path::new("t.yaml")).unwrap());
            assert_eq!(names[0], names[1]);
            names[0].clone()
        };
        let v2 = "name: resnet50, weights: IMAGENET1K_V2";
        for (protocol, model, resize, expected) in [
            ("corrected", "name: resnet50", "256", "corrected"),
            ("corrected", "name: resnet50", "232", "corrected+preprocessing=own"),
            ("corrected", v2, "232", "corrected"),
            ("corrected", v2, "256", "corrected+preprocessing=own"),
            // Of weights of one's own there is no other.
            ("corrected", "name: resnet50, weights: mine.pth", "232", "corrected"),
            ("corrected", "onnx: mine.onnx", "232", "corrected"),
            ("byun-2022", "name: resnet50", "256", "byun-2022+preprocessing=own"),
            ("byun-2022", "name: resnet50", "[256, 256]", "byun-2022"),
            ("byun-2022", "onnx: mine.onnx", "256", "byun-2022+preprocessing=own"),
        ] {
            assert_eq!(name(protocol, model, resize), expected, "{model}, {resize}");
        }
    }

    #[test]
    fn a_resolved_sweep_is_read_back_as_it_was() {
        let first = sweep(
            "protocol: byun-2022\nupsampling: bilinear\nreference: r.csv\nmethods:\n  \
             - { name: score_cam, protocol: rise-2018, except: [resnet18] }\n  - recipro_cam\n\
             metrics: [deletion, { name: drop, as: d, protocol: poppi-2021 }]\n",
        );
        let text = serde_yaml::to_string(&first).unwrap();
        let again = Sweep::parse(&text, Path::new("t.yaml")).unwrap();
        assert_eq!(names(&again), names(&first));
        assert_eq!(serde_yaml::to_string(&again).unwrap(), text);
    }

    #[test]
    fn photographs_are_cut_for_the_networks_input() {
        let of = |protocol: &str, model: &str| {
            let published = cam_models::by_name(model).unwrap().preprocessing();
            let cut = Protocol::by_name(protocol).unwrap().preprocessing(&published);
            assert_eq!(
                (cut.crop, cut.mean, cut.std),
                (published.crop, published.mean, published.std)
            );
            (cut.resize, cut.interpolation)
        };
        let bilinear = Interpolation::Bilinear;
        assert_eq!(of("byun-2022", "resnet50"), (Resize::Exact([256; 2]), bilinear));
        assert_eq!(of("rise-2018", "resnet50"), (Resize::Exact([224; 2]), bilinear));
        assert_eq!(of("poppi-2021", "resnet50"), (Resize::Shorter(224), bilinear));
        assert_eq!(of("byun-2022", "tf_efficientnet_lite1"), (Resize::Exact([274; 2]), bilinear));
        let lite0 = (Resize::Shorter(256), Interpolation::Bicubic);
        assert_eq!(of("corrected", "tf_efficientnet_lite0"), lite0);
    }
}
