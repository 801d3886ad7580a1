//! `cambench check`.

use anyhow::Result;
use cam_results::{counted, network_of};
use cam_runner::{SweepEstimate, config::Bytes};
use serde_json::json;

use crate::{args::CheckArgs, exit::Exit, planning::plan, progress::Progress, table};

pub(crate) fn check(args: &CheckArgs) -> Result<Exit> {
    let mut progress = Progress::new();
    let plan = plan(&args.sweep, &args.how, None, 1, &mut progress)?;
    let estimate = cam_runner::check(&plan, &mut |event| progress.on(&event))?;
    progress.finish();
    if args.json {
        println!("{}", serde_json::to_string_pretty(&estimate)?);
    } else {
        print(&estimate);
    }
    let is_failed = estimate.cells.iter().any(|cell| cell.is_failed);
    let is_fine = estimate.unreadable.is_empty() && !estimate.cells.is_empty() && !is_failed;
    Ok(if is_fine { Exit::Done } else { Exit::Config })
}

fn print(estimate: &SweepEstimate) {
    let rows = estimate.cells.iter().map(|cell| {
        json!({
            "model": network_of(&cell.model, &cell.layer),
            "layer": cell.layer,
            "method": cell.method,
            "forwards/image": cell.forwards_per_image,
            "head passes/image": cell.head_forwards_per_image,
            "secs/image": format!("{:.2}", cell.secs_per_image),
        })
    });
    table::print(&rows.collect::<Vec<_>>());
    for cell in &estimate.cells {
        if let Some(problem) = &cell.problem {
            println!("{} · {}: {problem}", cell.model, cell.method);
        }
    }
    let memory =
        estimate.memory_bytes.map_or("unknown".to_string(), |bytes| Bytes(bytes).to_string());
    println!(
        "\n{}, {}: {} forwards by definition, about {} on this machine, {} of disk, {memory} of memory",
        counted(estimate.n_images, "image"),
        counted(estimate.n_rows, "row"),
        estimate.forwards,
        duration(estimate.hours),
        Bytes(estimate.disk_bytes.max(1)),
    );
    for problem in &estimate.unreadable {
        println!("unreadable: {problem}");
    }
}

fn duration(hours: f64) -> String {
    // No 0 is negative.
    let hours = hours.abs();
    if hours < 1.0 { format!("{:.1} minutes", hours * 60.0) } else { format!("{hours:.1} hours") }
}
