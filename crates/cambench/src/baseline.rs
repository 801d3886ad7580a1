//! `cambench baseline`.

use anyhow::Result;
use cam_results::{FEW_IMAGES, RunManifest, gate::Baselines};
use serde_json::{Value, json};

use crate::{args::BaselineCommand, exit::Exit, table};

pub(crate) fn baseline(command: &BaselineCommand) -> Result<Exit> {
    match command {
        BaselineCommand::Save { name, run, replace, baselines } => {
            let path = Baselines::of(baselines).save(name, run, *replace)?;
            println!("{}", path.display());
            let n_images = RunManifest::read(&path)?.images.len();
            if n_images < FEW_IMAGES {
                eprintln!(
                    "caution: a gate on {n_images} images sees only large changes; {FEW_IMAGES} are the least that \
                     conclusions are drawn from"
                );
            }
        }
        BaselineCommand::List { json, baselines } => {
            let baselines = Baselines::of(baselines);
            let rows = baselines
                .names()?
                .iter()
                .map(|name| Ok(row(name, &baselines.manifest(name)?)))
                .collect::<Result<Vec<Value>>>()?;
            if *json {
                println!("{}", serde_json::to_string_pretty(&rows)?);
            } else if rows.is_empty() {
                println!("there are none; `cambench baseline save NAME RUN` makes one");
            } else {
                table::print(&rows);
            }
        }
    }
    Ok(Exit::Done)
}

fn row(name: &str, manifest: &RunManifest) -> Value {
    json!({
        "name": name,
        "sweep": manifest.sweep,
        "models": manifest.models.len(),
        "methods": manifest.methods.len(),
        "images": manifest.images.len(),
        "finished": manifest.finished,
        "cambench": manifest.cambench,
    })
}
