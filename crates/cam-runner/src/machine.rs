//! What this machine is called, for the records of who made which row.

use std::{collections::BTreeSet, fs};

use tch::Device;

/// What a device is called, as far as the system tells: `NVIDIA H100 80GB HBM3`, `AMD EPYC 9354`. Rows of devices that are
/// called alike are taken to be equal.
pub(crate) fn device_title(device: Device) -> String {
    let title = if device.is_cuda() { cards() } else { processor() };
    title.unwrap_or_else(|| if device.is_cuda() { "cuda" } else { "cpu" }.into())
}

fn processor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// All models of cards in the host: which of them is `cuda:0` of a process, the driver's files do not say.
fn cards() -> Option<String> {
    let models: BTreeSet<String> = fs::read_dir("/proc/driver/nvidia/gpus")
        .ok()?
        .filter_map(|card| {
            let text = fs::read_to_string(card.ok()?.path().join("information")).ok()?;
            let line = text.lines().find(|line| line.starts_with("Model:"))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        })
        .collect();
    (!models.is_empty()).then(|| models.into_iter().collect::<Vec<_>>().join(" or "))
}
