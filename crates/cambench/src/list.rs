//! `cambench list`.

use anyhow::Result;
use cam_core::{About, Better, Requirement};
use cam_methods::AnyMethod;
use cam_metrics::AnyMetric;
use cam_models::ZOO;
use cam_runner::protocol::PROTOCOLS;
use serde_json::{Value, json};

use crate::{
    args::{ListArgs, What},
    exit::Exit,
    table,
};

pub(crate) fn list(args: &ListArgs) -> Result<Exit> {
    let rows = match args.what {
        What::Models => models(),
        What::Methods => methods()?,
        What::Metrics => metrics()?,
        What::Protocols => protocols(),
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        table::print(&rows);
    }
    Ok(Exit::Done)
}

fn models() -> Vec<Value> {
    let rows = ZOO.iter().map(|row| {
        let preprocessing = row.preprocessing();
        let versions: Vec<&str> = row.weights.iter().map(|weights| weights.version).collect();
        json!({
            "name": row.name,
            "title": row.title,
            "layer": row.layer(),
            "input": preprocessing.crop,
            "parameters": format!("{:.1} M", row.n_params as f64 / 1e6),
            "top-1 (published)": row.weights.first().map_or("–".to_string(), |weights| format!("{:.1} %", weights.top1)),
            "weights": if versions.is_empty() { "your own".to_string() } else { versions.join(", ") },
        })
    });
    rows.collect()
}

fn methods() -> Result<Vec<Value>> {
    let imported = json!({
        "name": cam_runner::config::IMPORTED,
        "title": "(any other tool)",
        "summary": "maps that another tool made, one .npy per image",
        "source": "",
        "options": "maps: a folder",
    });
    let rows = AnyMethod::all().into_iter().map(|method| {
        let About { title, summary, source } = method.about();
        let needs = match method.requirement() {
            Requirement::Any => "",
            Requirement::PooledLinearHead => " (pooled linear heads only)",
            Requirement::Gradients => " (gradients)",
            Requirement::Hook => " (hooked graphs in a runtime only)",
        };
        Ok(json!({
            "name": method.name(),
            "title": title,
            "summary": format!("{summary}{needs}"),
            "source": source,
            "options": options(&serde_json::to_value(&method)?),
        }))
    });
    rows.chain([Ok(imported)]).collect()
}

fn metrics() -> Result<Vec<Value>> {
    let adcc = json!({
        "name": "adcc",
        "title": "ADCC",
        "better": "higher",
        "summary": "harmonic mean of mean coherency, 1 - mean complexity and 1 - mean drop; derived where all three are listed",
        "source": "Poppi et al. 2021, arXiv 2104.10252",
        "options": "",
    });
    let rows = AnyMetric::all().into_iter().map(|metric| {
        let About { title, summary, source } = metric.about();
        Ok(json!({
            "name": metric.name(),
            "title": title,
            "better": if metric.better() == Better::Higher { "higher" } else { "lower" },
            "summary": summary,
            "source": source,
            "options": options(&serde_json::to_value(&metric)?),
        }))
    });
    rows.chain([Ok(adcc)]).collect()
}

fn protocols() -> Vec<Value> {
    let rows = PROTOCOLS.iter().map(|protocol| {
        json!({
            "name": protocol.name,
            "version": protocol.version,
            "summary": protocol.summary,
            "settings": protocol.settings(),
            "source": protocol.source,
        })
    });
    rows.collect()
}

/// `n_masks: 4000, p: 0.5`.
fn options(options: &Value) -> String {
    let pairs = options.as_object().into_iter().flatten();
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_string);
    pairs.map(|(key, value)| format!("{key}: {}", word(value))).collect::<Vec<_>>().join(", ")
}
