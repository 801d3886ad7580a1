//! Rows that no network made: to try summaries, comparisons and reports at any size.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use serde_json::json;

use crate::{
    Better, Curve, DatasetEntry, ImageEntry, MethodEntry, MetricEntry, ModelEntry, ProtocolEntry,
    RawMap, Record, Row, RunManifest, RunStatus, SCHEMA, Status, WeightsEntry, adcc,
};

/// A run of so many images and methods, with values that look like a real one's: images are easy or hard for all
/// methods, the first method is clearly the best, the others are equal but for noise, and one row in 500 is degenerate
/// or failed. Names and errors hold markup, which no report may obey. The same numbers every time.
pub fn synthetic(n_images: usize, n_methods: usize) -> (RunManifest, impl Iterator<Item = Row>) {
    let manifest = manifest(n_images, n_methods);
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut ease = 0.0;
    let plan: Vec<_> = manifest.plan().collect();
    let rows = plan.into_iter().enumerate().map(move |(i, key)| {
        let mut uniform = || f64::from(random.next_u32()) / 2.0_f64.powi(32);
        let method = i % n_methods;
        if method == 0 {
            ease = uniform();
        }
        let gain = if method == 0 { 0.06 } else { 0.0 };
        let goodness = (0.2 + 0.5 * ease + gain + 0.15 * (uniform() - 0.5)).clamp(0.0, 1.0);
        let [drop, coherency, complexity] =
            [0.6 * (1.0 - goodness), 0.7 + 0.3 * goodness, 0.5 - 0.3 * goodness];
        let increase = f64::from(u8::from(uniform() < 0.3 * goodness));
        let (deletion, insertion) = (0.3 * (1.0 - goodness), 0.2 + 0.6 * goodness);
        let status = match i % 1000 {
            333 => Status::Degenerate,
            777 => Status::Failed,
            _ => Status::Ok,
        };
        let ok = status == Status::Ok;
        let values = [drop, increase, deletion, insertion, coherency, complexity];
        let fall = |at: f64, area: f64| (1.0 - at).powf(1.0 / area - 1.0);
        let steps = (0..=28).map(|step| f64::from(step) / 28.0);
        Row {
            record: Record {
                model: key.model.into(),
                layer: key.layer.into(),
                method: key.method.into(),
                protocol: key.protocol.into(),
                image: key.image.into(),
                label: Some((i / n_methods % 10) as i64),
                target: Some((i / n_methods % 10) as i64),
                predicted: Some((i / n_methods % 10) as i64),
                confidence: Some(0.5 + 0.5 * ease),
                metrics: values.iter().map(|value| ok.then_some(*value)).collect(),
                adcc_per_image: ok.then(|| adcc(coherency, complexity, drop)),
                explain_secs: 0.01 * (1 + method) as f64,
                forwards: 1 << (method % 12),
                head_forwards: 0,
                backwards: (method % 2) as u64,
                executed_forwards: 1 << (method % 12),
                status,
                error: match status {
                    Status::Ok => None,
                    Status::Degenerate => Some("the map is constant".into()),
                    Status::Failed => {
                        Some("<img src=x onerror=alert(1)> & \"out of range\"".into())
                    }
                },
            },
            curves: if ok {
                let deleted = steps.clone().map(|at| fall(at, deletion.max(0.02))).collect();
                let inserted =
                    steps.map(|at| 1.0 - fall(at, (1.0 - insertion).max(0.02))).collect();
                vec![
                    Curve { metric: "deletion".into(), values: deleted },
                    Curve { metric: "insertion".into(), values: inserted },
                ]
            } else {
                vec![]
            },
            map: (status != Status::Failed).then(|| RawMap {
                height: 7,
                width: 7,
                values: (0..49).map(|p| if ok { bump(p, i) } else { 0.0 }).collect(),
            }),
        }
    });
    (manifest, rows)
}

/// A hill somewhere.
fn bump(place: usize, i: usize) -> f32 {
    let (y, x) = ((place / 7) as f32, (place % 7) as f32);
    let (cy, cx) = ((i * 5 % 7) as f32, (i * 3 % 7) as f32);
    (-((y - cy).powi(2) + (x - cx).powi(2)) / 4.0).exp()
}

fn manifest(n_images: usize, n_methods: usize) -> RunManifest {
    let metric = |name: &str, title: &str, better| MetricEntry {
        name: name.into(),
        metric: name.into(),
        title: title.into(),
        better,
        worst: Some(if better == Better::Higher { 0.0 } else { 1.0 }),
        protocol: "corrected".into(),
        options: json!({}),
    };
    let image = |i: usize| {
        let name = if i == 3 { "</script><b>3".to_owned() } else { format!("image{i:05}") };
        ImageEntry {
            image: format!("{name}.jpg"),
            sha256: None,
            label: Some((i % 10) as i64),
            boxes: vec![],
        }
    };
    RunManifest {
        schema: SCHEMA,
        cambench: env!("CARGO_PKG_VERSION").into(),
        status: RunStatus::Running,
        sweep: "synthetic <i>run</i>".into(),
        started: "2026-01-02T03:04:05Z".into(),
        finished: None,
        command: Some("cambench run synthetic.yaml".into()),
        commit: None,
        dirty: false,
        versions: [("libtorch".to_owned(), "none".to_owned())].into(),
        device: "none".into(),
        threads: 1,
        target: "predicted".into(),
        seed: 7,
        protocol: ProtocolEntry::default(),
        reference: None,
        dataset: DatasetEntry {
            name: "synthetic".into(),
            root: "nowhere".into(),
            n_images,
            cautions: vec![],
        },
        models: vec![ModelEntry {
            name: "net".into(),
            architecture: "net".into(),
            layer: "last".into(),
            output: None,
            cautions: vec![],
            weights: WeightsEntry {
                source: "nowhere".into(),
                path: None,
                sha256: None,
                seeded: false,
            },
            precision: "f32".into(),
            rounding: None,
            batch: 1,
            head_batch: 1,
            n_classes: 10,
            classes: vec![],
            preprocessing: json!({ "resize": 256, "crop": 224 }),
            feature_shape: [8, 7, 7],
            published_top1: None,
        }],
        methods: (0..n_methods)
            .map(|i| MethodEntry {
                name: format!("method_{i}"),
                method: format!("method_{i}"),
                title: if i == 1 { "Method <1>".into() } else { format!("Method {i}") },
                protocol: "corrected".into(),
                options: json!({ "i": i }),
                except: vec![],
            })
            .collect(),
        metrics: vec![
            metric("drop", "Drop", Better::Lower),
            metric("increase", "Increase", Better::Higher),
            metric("deletion", "Deletion", Better::Lower),
            metric("insertion", "Insertion", Better::Higher),
            metric("coherency", "Coherency", Better::Higher),
            metric("complexity", "Complexity", Better::Lower),
        ],
        config_given: "name: synthetic # <script>alert(1)</script>\n".into(),
        config_resolved: json!({ "name": "synthetic" }),
        images: (0..n_images).map(image).collect(),
        made_on: vec![],
        tables: std::collections::BTreeMap::new(),
        joined: crate::JoinedRuns::default(),
    }
}
