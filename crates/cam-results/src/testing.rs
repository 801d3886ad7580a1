//! A small run to test with.

use serde_json::json;

use crate::{
    Better, Curve, DatasetEntry, ImageEntry, MethodEntry, MetricEntry, ModelEntry, OverSeeds,
    Printed, ProtocolEntry, RawMap, Record, Reference, Row, RunManifest, RunStatus, SCHEMA, Status,
    Summary, WeightsEntry, adcc, summarize,
};

/// One model, three images, three methods, four metrics.
pub(crate) fn manifest() -> RunManifest {
    RunManifest {
        schema: SCHEMA,
        cambench: "0.1.0".into(),
        status: RunStatus::Running,
        sweep: "table1".into(),
        started: "2026-01-02T03:04:05Z".into(),
        finished: None,
        command: Some("cambench run table1.yaml".into()),
        commit: Some("0123456789abcdef0123456789abcdef01234567".into()),
        dirty: false,
        versions: [("libtorch".to_owned(), "2.11.0".to_owned())].into(),
        device: "cpu".into(),
        threads: 2,
        protocol: ProtocolEntry::default(),
        reference: None,
        target: "predicted".into(),
        seed: 0,
        dataset: DatasetEntry {
            name: "photos".into(),
            root: "photos".into(),
            n_images: 3,
            cautions: vec![],
        },
        models: vec![model("resnet18")],
        methods: vec![
            method("cam", "CAM", json!({ "relu": true })),
            method("rise", "RISE", json!({ "n_masks": 500 })),
            method("recipro_cam", "Recipro-CAM", json!({})),
        ],
        metrics: vec![
            metric("drop", Better::Lower),
            metric("deletion", Better::Lower),
            metric("coherency", Better::Higher),
            metric("complexity", Better::Lower),
        ],
        config_given: "name: table1\n".into(),
        config_resolved: json!({ "name": "table1", "seed": 0 }),
        images: ["a.jpg", "b.jpg", "sub/c.png"]
            .iter()
            .zip(["a", "b", "c"])
            .map(|(image, digit)| ImageEntry {
                image: (*image).into(),
                sha256: Some(digit.repeat(64)),
                label: Some(1),
                boxes: vec![],
            })
            .collect(),
        made_on: vec![],
        tables: std::collections::BTreeMap::new(),
        joined: crate::JoinedRuns::default(),
    }
}

pub(crate) fn model(name: &str) -> ModelEntry {
    ModelEntry {
        name: name.into(),
        architecture: "resnet18".into(),
        layer: "layer4".into(),
        output: None,
        cautions: vec![],
        weights: WeightsEntry {
            source: "torchvision IMAGENET1K_V1".into(),
            path: Some("resnet18-f37072fd.pth".into()),
            sha256: Some("f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec".into()),
            seeded: false,
        },
        precision: "f32".into(),
        rounding: None,
        batch: 16,
        head_batch: 64,
        n_classes: 1000,
        classes: vec![],
        preprocessing: json!({ "resize": 256, "crop": 224 }),
        feature_shape: [512, 7, 7],
        published_top1: Some(0.69758),
    }
}

pub(crate) fn method(name: &str, title: &str, options: serde_json::Value) -> MethodEntry {
    MethodEntry {
        name: name.into(),
        method: name.into(),
        title: title.into(),
        protocol: "corrected".into(),
        options,
        except: vec![],
    }
}

pub(crate) fn metric(name: &str, better: Better) -> MetricEntry {
    let mut title = name.to_owned();
    title[..1].make_ascii_uppercase();
    MetricEntry {
        name: name.into(),
        metric: name.into(),
        title,
        better,
        worst: Some(if better == Better::Higher { 0.0 } else { 1.0 }),
        protocol: "corrected".into(),
        options: json!({}),
    }
}

/// One row for every key of the plan, with numbers that depend on the key alone; the fifth is degenerate and the eighth
/// failed.
pub(crate) fn rows(manifest: &RunManifest) -> Vec<Row> {
    manifest
        .plan()
        .enumerate()
        .map(|(i, key)| {
            let wave = |k: usize| ((i * 7 + k * 3) as f64 * 0.61).sin().mul_add(0.3, 0.5);
            let status = match i {
                4 => Status::Degenerate,
                7 => Status::Failed,
                _ => Status::Ok,
            };
            let ok = status == Status::Ok;
            let metrics: Vec<_> =
                (0..manifest.metrics.len()).map(|k| ok.then(|| wave(k))).collect();
            Row {
                record: Record {
                    model: key.model.into(),
                    layer: key.layer.into(),
                    method: key.method.into(),
                    protocol: key.protocol.into(),
                    image: key.image.into(),
                    label: (i % 4 != 3).then_some(1),
                    target: Some(i as i64 % 2),
                    predicted: Some(i as i64 / 3 % 2),
                    confidence: Some(wave(9)),
                    adcc_per_image: ok.then(|| adcc(wave(2), wave(3), wave(0))),
                    metrics,
                    explain_secs: 0.001 * (i + 1) as f64,
                    forwards: if i % 3 == 1 { 500 } else { 1 },
                    head_forwards: if i % 3 == 2 { 49 } else { 0 },
                    backwards: 0,
                    executed_forwards: i as u64,
                    status,
                    error: match status {
                        Status::Ok => None,
                        Status::Degenerate => Some("the map is constant".into()),
                        Status::Failed => Some("index 7 | out of `range`\nof <3>".into()),
                    },
                },
                curves: if ok {
                    vec![Curve {
                        metric: "deletion".into(),
                        values: (0..5).map(|k| wave(k) * f64::from(5 - k as u32) / 5.0).collect(),
                    }]
                } else {
                    vec![]
                },
                map: (status != Status::Failed).then(|| RawMap {
                    height: 2,
                    width: 2,
                    values: if ok {
                        (0..4).map(|k| wave(k) as f32).collect()
                    } else {
                        vec![f32::NAN; 4]
                    },
                }),
            }
        })
        .collect()
}

/// A run with something to say in every section beside its scores: printed values, degenerate maps, and several seeds.
pub(crate) fn with_all_sections() -> (RunManifest, Summary) {
    let mut manifest = manifest();
    manifest.reference = Some(Reference {
        name: "50 % of t_1.csv".into(),
        sha256: String::new(),
        rows: vec![Printed {
            model: "resnet18".into(),
            method: "cam".into(),
            protocol: "byun-2022".into(),
            source: "table 1 & <elsewhere>".into(),
            values: [("drop".to_owned(), 0.2), ("adcc".to_owned(), 0.75)].into(),
            differs: vec![
                "images 3, printed: 50000".into(),
                "target predicted, printed: label".into(),
            ],
        }],
    });
    let records: Vec<Record> = rows(&manifest).into_iter().map(|row| row.record).collect();
    let mut summary = summarize(&manifest, &records);
    let mut deviations = vec![vec![None; 5]; 3];
    deviations[1] = vec![Some(0.01), None, Some(0.002), None, Some(0.005)];
    summary.over_seeds = Some(OverSeeds { seeds: vec![0, 1, 2], deviations });
    (manifest, summary)
}

/// The same for `n` images of a class each, all scored.
pub(crate) fn many_images(n: usize) -> (RunManifest, Vec<Record>) {
    let mut manifest = manifest();
    manifest.images = (0..n)
        .map(|i| ImageEntry {
            image: format!("{i:05}.jpg"),
            sha256: Some(format!("{i:064x}")),
            label: Some(i as i64),
            boxes: vec![],
        })
        .collect();
    manifest.dataset.n_images = n;
    let mut records: Vec<Record> = rows(&manifest).into_iter().map(|row| row.record).collect();
    for (i, record) in records.iter_mut().enumerate() {
        let wave = |k: usize| ((i * 7 + k * 3) as f64 * 0.61).sin().mul_add(0.3, 0.5);
        record.status = Status::Ok;
        record.error = None;
        record.metrics = (0..manifest.metrics.len()).map(|k| Some(wave(k))).collect();
        record.adcc_per_image = Some(adcc(wave(2), wave(3), wave(0)));
    }
    (manifest, records)
}

/// CAM and RISE beside a control that is printed as Recipro-CAM, on 60 images: so much drop each, but for what belongs to
/// the image.
pub(crate) fn beside_a_control(cam: f64, rise: f64, control: f64) -> Summary {
    let (mut manifest, mut records) = many_images(60);
    manifest.methods[2].method = "random".into();
    for record in &mut records {
        let of_image = f64::from(record.image.as_bytes()[4]) / 1000.0;
        let drop = match &*record.method {
            "cam" => cam,
            "rise" => rise,
            _ => control,
        };
        record.metrics[0] = Some(drop + of_image);
    }
    summarize(&manifest, &records)
}
