//! `cambench hook`.

use std::path::Path;

use anyhow::Result;
use cam_core::SALIENCY_MAP;
use cam_onnx::OnnxFile;
use cam_results::write_bytes;

use crate::{
    args::{HookArgs, Scale},
    exit::{Exit, Unusable, Usage},
};

/// Where a file is wanted, the name of a network of the zoo is none.
pub(crate) fn no_network_of_the_zoo(path: &Path) -> Result<()> {
    let is_name = path.to_str().is_some_and(|name| cam_models::by_name(name).is_ok());
    if is_name && !path.exists() {
        return Err(Usage(format!(
            "{} is a network of `cambench list models`, and a file is wanted; export it to ONNX, or leave out what asks \
             for a file",
            path.display()
        ))
        .into());
    }
    Ok(())
}

pub(crate) fn hook(args: &HookArgs) -> Result<Exit> {
    no_network_of_the_zoo(&args.model)?;
    if let Some(message) = cam_runner::config::no_graph(&args.model) {
        return Err(Usage(message).into());
    }
    let unusable = |error: &dyn std::fmt::Display| Unusable(error.to_string());
    let full = |path: &Path| path.canonicalize().ok();
    let parent = |path: &Path| {
        let parent = path.parent().unwrap_or(path);
        full(if parent.as_os_str().is_empty() { ".".as_ref() } else { parent })
    };
    let is_external =
        !OnnxFile::read(&args.model).map_err(|error| unusable(&error))?.weights.is_empty();
    if is_external && parent(&args.model) != parent(&args.out) {
        return Err(Usage(format!(
            "{} keeps weights in a file beside it; write {} into the same folder",
            args.model.display(),
            args.out.display()
        ))
        .into());
    }
    if full(&args.out).is_some_and(|out| full(&args.model) == Some(out)) {
        let out = args.out.display();
        return Err(
            Usage(format!("{out} is the model itself, which is kept; name another file")).into()
        );
    }
    let hook = cam_onnx::Hook {
        layer: args.layer.clone(),
        gaussian: args.gaussian,
        scale: match args.scale {
            Scale::U8 => cam_onnx::Scale::U8,
            Scale::F32 => cam_onnx::Scale::F32,
            Scale::None => cam_onnx::Scale::None,
        },
        class: args.class,
        input_side: args.side.map(i64::from),
        logits: args.logits.clone(),
    };
    let hooked = cam_onnx::hook(&args.model, &hook).map_err(|error| unusable(&error))?;
    let asks = args.layer.is_some()
        || args.gaussian
        || args.class.is_some()
        || args.logits.is_some()
        || args.scale != Scale::U8;
    if hooked.layer.is_none() && asks {
        return Err(Usage(format!(
            "{} has its `{SALIENCY_MAP}` already, which stays as it was made; hook the file that it was made from",
            args.model.display()
        ))
        .into());
    }
    write_bytes(&args.out, &hooked.bytes)?;
    let out = args.out.display();
    match &hooked.layer {
        Some(layer) => println!(
            "{out}: `{SALIENCY_MAP}` {:?} of `{layer}`, for the classes of `{}`",
            hooked.shape, hooked.output
        ),
        None => println!("{out}: has its `{SALIENCY_MAP}` already"),
    }
    Ok(Exit::Done)
}
