//! What the page's script draws from: means and differences of all images, values of a sample, curves, pictures.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::{
    Shown,
    agreement::agreement,
    choice::{chosen_images, shuffled},
};
use crate::{
    Better, Picture, Record, Result, Run, RunManifest, Status, Summary,
    format::{heading, label},
    pareto::{Price, worth},
    plot::mean_curves,
    stats::Contrast,
    summary::FEW_IMAGES,
};

/// How many rows the page holds at most; of more, those of a seeded sample of the images.
const MAX_ROWS: usize = 10_000;

/// How many points of a mean curve are drawn at most.
const MAX_POINTS: usize = 120;

/// The same of a single image's curve.
const MAX_IMAGE_POINTS: usize = 57;

/// The side of a photograph in the page, in pixels.
const TILE: u32 = 168;

/// Everything, as JSON that may stand inside of a script element.
pub(super) fn data(run: &Run, summary: &Summary, shown: &[Shown]) -> Result<String> {
    let manifest = run.manifest();
    let places = Places::of(manifest);
    let sample = sample(manifest);
    let (values, status) = values(run, &places, &sample);
    let data = json!({
        "methods": manifest.methods.iter().map(|method| json!({
            "name": method.name,
            "label": label(method),
            "control": method.is_control(),
        })).collect::<Vec<_>>(),
        "metrics": metrics(manifest),
        "models": manifest.models.iter().map(|model| json!({ "name": model.name, "layer": model.layer })).collect::<Vec<_>>(),
        "contrasts": {
            "methods": contrasts(&summary.methods, &places.models, &places.methods),
            "models": contrasts(&summary.models, &places.methods, &places.models),
        },
        "means": means(manifest, summary, &places),
        "cost": costs(manifest, summary, &places),
        "fronts": fronts(manifest, summary, &places),
        "n_images": manifest.images.len(),
        "few": FEW_IMAGES,
        "images": sample.iter().map(|(image, _)| image).collect::<Vec<_>>(),
        "values": values,
        "status": status,
        "curves": curves(run, &places)?,
        "agreement": manifest.models.iter().map(|model| of_model(run, &model.name)).collect::<Vec<_>>(),
        "shown": shown_images(run, &places, shown)?,
    });
    // The only way out of a script element is its end tag.
    Ok(data.to_string().replace('<', "\\u003c"))
}

/// Where names stand in the manifest.
struct Places<'a> {
    models: HashMap<&'a str, usize>,
    methods: HashMap<&'a str, usize>,
    metrics: HashMap<&'a str, usize>,
}

impl<'a> Places<'a> {
    fn of(manifest: &'a RunManifest) -> Self {
        Self {
            models: manifest.models.iter().map(|model| &*model.name).zip(0..).collect(),
            methods: manifest.methods.iter().map(|method| &*method.name).zip(0..).collect(),
            metrics: manifest.metrics.iter().map(|metric| &*metric.name).zip(0..).collect(),
        }
    }

    fn n_cells(&self) -> usize {
        self.models.len() * self.methods.len()
    }

    /// Models, then methods.
    fn cell(&self, model: &str, method: &str) -> Option<usize> {
        Some(self.models.get(model)? * self.methods.len() + self.methods.get(method)?)
    }
}

/// The metrics, and ADCC as the last one.
fn metrics(manifest: &RunManifest) -> Vec<Value> {
    let mut metrics: Vec<Value> = manifest
        .metrics
        .iter()
        .map(|metric| {
            let sign = if metric.better == Better::Higher { 1 } else { -1 };
            json!({ "name": metric.name, "heading": heading(metric), "better": sign })
        })
        .collect();
    metrics.push(json!({ "name": "adcc", "heading": "ADCC ↑", "better": 1 }));
    metrics
}

/// A mean in the units of [`fraction`], to six digits, so that it is rounded once: where it is shown.
fn aggregate(value: Option<f64>) -> Value {
    match value {
        Some(value) if value.is_finite() => json!((value * 1e6).round() / 1e2),
        _ => Value::Null,
    }
}

/// An image's value in ten thousandths: more than anyone can see.
fn fraction(value: Option<f64>) -> Value {
    match value {
        Some(value) if value.is_finite() => json!((value * 1e4).round() as i64),
        _ => Value::Null,
    }
}

/// A p-value to three digits that count.
fn p_value(p: f64) -> Value {
    format!("{p:.2e}").parse::<f64>().map_or(Value::Null, |p| json!(p))
}

/// The contrasts of one family, whose p-values are corrected for each other. What is compared, and within what, are
/// places.
fn contrasts(
    family: &[Contrast],
    within: &HashMap<&str, usize>,
    items: &HashMap<&str, usize>,
) -> Vec<Value> {
    let of = |contrast: &Contrast| contrast_json(contrast, within, items);
    family.iter().map(of).collect()
}

fn contrast_json(
    contrast: &Contrast,
    within: &HashMap<&str, usize>,
    items: &HashMap<&str, usize>,
) -> Value {
    let pairs = contrast.pairs.iter().map(|pair| {
        let d = &pair.difference;
        json!([
            pair.a,
            pair.b,
            d.n,
            aggregate(Some(d.mean)),
            aggregate(Some(d.lo)),
            aggregate(Some(d.hi)),
            p_value(d.p),
            p_value(d.p_holm),
            aggregate(Some(d.detectable)),
            d.is_significant(),
            contrast.are_same(pair),
        ])
    });
    let ranks = contrast.ranks.as_ref().map(|ranks| {
        json!({
            "items": ranks.items, "mean": ranks.mean, "n": ranks.n, "p": p_value(ranks.friedman_p),
            "units": if ranks.by_class { "classes" } else { "images" }, "differ": ranks.differ(),
            "critical": ranks.critical_difference, "cliques": ranks.cliques(),
        })
    });
    json!({
        "within": within.get(&*contrast.within),
        "metric": contrast.metric,
        "items": contrast.items.iter().map(|item| items.get(&*item.name)).collect::<Vec<_>>(),
        "pairs": pairs.collect::<Vec<_>>(),
        "ranks": ranks,
    })
}

/// `[cell][metric]`, ADCC last.
fn means(manifest: &RunManifest, summary: &Summary, places: &Places<'_>) -> Value {
    let mut means = vec![vec![Value::Null; manifest.metrics.len() + 1]; places.n_cells()];
    for cell in &summary.cells {
        let Some(place) = places.cell(&cell.model, &cell.method) else { continue };
        let all = cell.metrics.iter().copied().chain([cell.adcc]);
        for (mean, estimate) in means[place].iter_mut().zip(all) {
            *mean = aggregate(estimate.map(|estimate| estimate.mean));
        }
    }
    json!(means)
}

/// `[cell]`: by every price what the cell costs, and where that is drawn.
fn costs(manifest: &RunManifest, summary: &Summary, places: &Places<'_>) -> Value {
    let mut costs = vec![Value::Null; manifest.models.len() * manifest.methods.len()];
    for cell in &summary.cells {
        if let Some(place) = places.cell(&cell.model, &cell.method)
            && let Some(cost) = &cell.cost
        {
            let prices = Price::ALL.map(|(name, price)| {
                (name, json!({ "cost": price.of(cost), "at": price.drawn(cost) }))
            });
            costs[place] = json!(BTreeMap::from(prices));
        }
    }
    json!(costs)
}

/// `[model][metric]`, ADCC last: by every price the methods that are worth it, the cheapest first; those of one price and
/// alike together, the best first.
fn fronts(manifest: &RunManifest, summary: &Summary, places: &Places<'_>) -> Value {
    let metrics = manifest.metrics.iter().map(|metric| &*metric.name).chain(["adcc"]);
    let of = |model: &str, metric: &str, price: Price| -> Vec<Vec<usize>> {
        let Some(contrast) = summary.methods_by(model, metric) else { return vec![] };
        let places = |methods: Vec<String>| {
            methods.iter().filter_map(|name| places.methods.get(&**name).copied()).collect()
        };
        worth(summary, contrast, price).into_iter().map(|worth| places(worth.methods)).collect()
    };
    let of_model = |model: &str| -> Vec<BTreeMap<&'static str, Vec<Vec<usize>>>> {
        let by_price = |metric| Price::ALL.map(|(name, price)| (name, of(model, metric, price)));
        metrics.clone().map(|metric| BTreeMap::from(by_price(metric))).collect()
    };
    json!(manifest.models.iter().map(|model| of_model(&model.name)).collect::<Vec<_>>())
}

/// As many images as the page has room for, in the order of the run, with their places.
fn sample(manifest: &RunManifest) -> Vec<(&str, usize)> {
    let names: Vec<&str> = manifest.images.iter().map(|image| &*image.image).collect();
    let n_cells = manifest.models.len() * manifest.methods.len();
    let n = (MAX_ROWS / n_cells.max(1)).max(1);
    let kept: BTreeSet<&str> = if names.len() <= n {
        names.iter().copied().collect()
    } else {
        shuffled(&names).into_iter().take(n).collect()
    };
    names.into_iter().filter(|name| kept.contains(name)).zip(0..).collect()
}

/// `[model][method][metric][image]` of the sample, ADCC last; and of each row a letter: ok, degenerate, failed or missing.
fn values(run: &Run, places: &Places<'_>, sample: &[(&str, usize)]) -> (Value, Value) {
    let manifest = run.manifest();
    let images: HashMap<&str, usize> = sample.iter().copied().collect();
    let n_metrics = manifest.metrics.len() + 1;
    let n_cells = manifest.models.len() * manifest.methods.len();
    let mut values = vec![vec![vec![Value::Null; sample.len()]; n_metrics]; n_cells];
    let mut status = vec![vec![b'm'; sample.len()]; n_cells];
    for record in run.records() {
        let (Some(model), Some(method), Some(image)) = (
            places.models.get(&*record.model),
            places.methods.get(&*record.method),
            images.get(&*record.image),
        ) else {
            continue;
        };
        let cell = model * manifest.methods.len() + method;
        status[cell][*image] = match record.status {
            Status::Ok => b'o',
            Status::Degenerate => b'd',
            Status::Failed => b'f',
        };
        let all = record.metrics.iter().copied().chain([record.adcc_per_image]);
        for (values, value) in values[cell].iter_mut().zip(all) {
            values[*image] = fraction(value);
        }
    }
    let status: Vec<String> =
        status.into_iter().map(|letters| letters.into_iter().map(char::from).collect()).collect();
    (json!(values), json!(status))
}

fn curves(run: &Run, places: &Places<'_>) -> Result<Vec<Value>> {
    let curves = mean_curves(run)?;
    let curves = curves.iter().filter_map(|((model, metric, method), curve)| {
        Some(json!({
            "model": places.models.get(&**model)?,
            "metric": places.metrics.get(&**metric)?,
            "method": places.methods.get(&**method)?,
            "n": curve.n,
            "mean": thinned(&curve.mean, MAX_POINTS),
            "half": thinned(&curve.half_band, MAX_POINTS),
        }))
    });
    Ok(curves.collect())
}

/// So many points at most, evenly, both ends among them.
fn thinned(values: &[f64], n: usize) -> Vec<Value> {
    let last = values.len().saturating_sub(1);
    if last < n {
        return values.iter().map(|value| fraction(Some(*value))).collect();
    }
    (0..n).map(|i| fraction(Some(values[i * last / (n - 1)]))).collect()
}

fn of_model(run: &Run, model: &str) -> Value {
    let manifest = run.manifest();
    let places = Places::of(manifest);
    let signs: Vec<f64> = manifest
        .metrics
        .iter()
        .map(|metric| if metric.better == Better::Higher { 1.0 } else { -1.0 })
        .chain([1.0])
        .collect();
    let mut images: BTreeMap<&str, Vec<Vec<Option<f64>>>> = BTreeMap::new();
    for record in run.records().iter().filter(|record| record.model == model) {
        let Some(method) = places.methods.get(&*record.method) else { continue };
        let image = images
            .entry(&record.image)
            .or_insert_with(|| vec![vec![None; manifest.methods.len()]; signs.len()]);
        let all = record.metrics.iter().copied().chain([record.adcc_per_image]);
        for (m, value) in all.enumerate() {
            image[m][*method] = value.map(|value| signs[m] * value);
        }
    }
    let matrix = agreement(signs.len(), images.into_values());
    json!(
        matrix
            .iter()
            .map(|row| row
                .iter()
                .map(|a| a.map(|a| json!([(a.mean * 1e3).round() / 1e3, a.n])))
                .collect::<Vec<_>>())
            .collect::<Vec<_>>()
    )
}

/// The chosen images with all that is known of them.
fn shown_images(run: &Run, places: &Places<'_>, shown: &[Shown]) -> Result<Vec<Value>> {
    let n_methods = run.manifest().methods.len();
    let choices = chosen_images(run);
    let place: HashMap<(&str, &str), usize> =
        choices.iter().map(|choice| (&*choice.model, &*choice.image)).zip(0..).collect();

    let mut records: Vec<Vec<Option<&Record>>> = vec![vec![None; n_methods]; choices.len()];
    for record in run.records() {
        if let Some(choice) = place.get(&(&*record.model, &*record.image))
            && let Some(method) = places.methods.get(&*record.method)
        {
            records[*choice][*method] = Some(record);
        }
    }
    let mut curves: Vec<Vec<Vec<Value>>> = vec![vec![vec![]; n_methods]; choices.len()];
    run.visit_curves(|key, curve| {
        if let Some(choice) = place.get(&(&*key.model, &*key.image))
            && let (Some(method), Some(metric)) =
                (places.methods.get(&*key.method), places.metrics.get(&*curve.metric))
        {
            let values = thinned(&curve.values, MAX_IMAGE_POINTS);
            curves[*choice][*method].push(json!({ "metric": metric, "values": values }));
        }
    })?;

    let pictures: HashMap<(&str, &str), &Shown> =
        shown.iter().map(|shown| ((&*shown.model, &*shown.image), shown)).collect();
    let images = choices.iter().zip(records).zip(curves).map(|((choice, records), curves)| {
        let shown = pictures.get(&(&*choice.model, &*choice.image)).copied();
        let first = records.iter().flatten().next();
        let methods = records.iter().zip(curves).enumerate().map(|(method, (record, curves))| {
            json!({
                "map": shown.and_then(|shown| shown.map(method)).map(|picture| data_uri(&picture)),
                "status": record.map_or("missing", |record| record.status.as_str()),
                "error": record.and_then(|record| record.error.as_deref()),
                "values": record.map(|record| {
                    record.metrics.iter().copied().chain([record.adcc_per_image]).map(fraction).collect::<Vec<_>>()
                }),
                "curves": curves,
            })
        });
        json!({
            "model": places.models.get(&*choice.model),
            "image": choice.image,
            "rules": choice.rules,
            "photo": shown.and_then(|shown| shown.photo.as_ref()).map(data_uri),
            "target": first.and_then(|record| record.target),
            "class": shown.and_then(|shown| shown.class.as_deref()),
            "label": first.and_then(|record| record.label),
            "confidence": fraction(first.and_then(|record| record.confidence)),
            "methods": methods.collect::<Vec<_>>(),
        })
    });
    Ok(images.collect())
}

fn data_uri(picture: &Picture) -> String {
    let small = picture.thumbnail(TILE);
    format!("data:image/jpeg;base64,{}", BASE64_STANDARD.encode(small.jpeg()))
}
