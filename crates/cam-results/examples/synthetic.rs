//! Writes a run that no network made into a folder: `synthetic DIR [IMAGES [METHODS]]`, 10,000 images and 20 methods
//! unless given. For trying reports at a size that would take days to compute.

use std::{env, path::PathBuf};

use cam_results::{Store, synthetic};

/// How many rows are appended at once.
const CHUNK: usize = 2000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = env::args().skip(1);
    let folder = PathBuf::from(args.next().ok_or("give a folder")?);
    let n_images = args.next().map_or(Ok(10_000), |n| n.parse())?;
    let n_methods = args.next().map_or(Ok(20), |n| n.parse())?;
    let (manifest, mut rows) = synthetic(n_images, n_methods);
    let mut store = Store::create_or_continue(&folder, manifest)?;
    loop {
        let some: Vec<_> = rows.by_ref().take(CHUNK).collect();
        if some.is_empty() {
            break;
        }
        store.append_all(&some)?;
    }
    store.finish("2026-01-02T04:00:00Z")?;
    Ok(())
}
