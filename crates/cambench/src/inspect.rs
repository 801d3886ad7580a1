//! `cambench inspect`.

use std::path::Path;

use anyhow::Result;
use cam_core::LogitsOutput;
use cam_onnx::{CutPoint, DefaultLayer, Form, Network, Options};
use serde_json::{Value, json};

use crate::{
    args::InspectArgs,
    exit::{Exit, Unusable, Usage},
    table,
};

pub(crate) fn inspect(args: &InspectArgs) -> Result<Exit> {
    let path = Path::new(&args.model);
    let is_file = path.extension().is_some_and(|extension| extension == "onnx");
    let (facts, rows) = if is_file {
        let input_side = args.side.map(i64::from);
        let options = Options { input_side, logits: args.logits.clone(), ..Options::default() };
        let network = Network::open(path, &options).map_err(|error| Unusable(error.to_string()))?;
        of_file(&network)
    } else {
        of_zoo(args)?
    };
    if args.json {
        let mut all = facts;
        all["layers"] = Value::Array(rows);
        println!("{}", serde_json::to_string_pretty(&all)?);
        return Ok(Exit::Done);
    }
    table::print(&rows);
    println!();
    for (key, value) in facts.as_object().into_iter().flatten() {
        println!("{key}: {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
    Ok(Exit::Done)
}

fn of_file(network: &Network) -> (Value, Vec<Value>) {
    let default = network.default_layer();
    let why = match network.default() {
        Some(DefaultLayer { layer, is_last_blocks_input: true }) => format!(
            "{layer} (the last activations before the last attention: behind it, the places of the image have met)"
        ),
        Some(DefaultLayer { layer, .. }) => format!(
            "{layer} (the last tensor [K, h, w] with 1 < h, w < K that every path to the logits goes through)"
        ),
        None => "none (no tensor [K, h, w] with 1 < h, w < K is passed by every path to the logits); name one, or \
                 `input` for the pixels"
            .to_owned(),
    };
    let softmax = match (network.softmax(), network.sigmoid()) {
        (Some(node), _) => format!("{node} (cut away: scores are its input)"),
        (None, Some(node)) => format!(
            "none; the output is that of the sigmoid {node} and is taken for logits, which it is not: export the network \
             without it"
        ),
        (None, None) => "none; the output is taken for logits".to_owned(),
    };
    let batch = network.fixed_batch().map_or_else(
        || "any number of images".to_owned(),
        |n| format!("{n} at a time, as the file insists; others are run one after another"),
    );
    let [height, width] = network.input_size();
    let LogitsOutput { name, others, .. } = network.output();
    let others = match &others[..] {
        [] => String::new(),
        others => {
            format!(" of the output {name}; `logits` takes another output ({})", others.join(", "))
        }
    };
    let logits = format!("{} ({} classes){others}", network.logits_name(), network.n_classes());
    let row = |point: &CutPoint| {
        json!({
            "layer": point.name,
            "shape": format!("{:?}", point.shape),
            "made by": point.operator,
            "default": if default == Some(point.name.as_str()) { "<-" } else { "" },
            "": note(point),
        })
    };
    let facts = json!({
        "default layer": why,
        "images": format!("3 × {height} × {width}, {batch}"),
        "logits": logits,
        "softmax": softmax,
        "operators": format!("opset {}", network.opset()),
    });
    (facts, network.points().iter().map(row).collect())
}

/// How activations [K, h, w] lie in a tensor that is not of this shape itself.
fn note(point: &CutPoint) -> String {
    match point.form {
        None => "no activations [K, h, w]".to_owned(),
        Some(Form::Map) => String::new(),
        Some(Form::ChannelsLast) => "channels last".to_owned(),
        Some(Form::Tokens { prefix: 0, height, width }) => format!("tokens of {height} × {width}"),
        Some(Form::Tokens { prefix, height, width }) => {
            format!("{prefix} + tokens of {height} × {width}")
        }
    }
}

fn of_zoo(args: &InspectArgs) -> Result<(Value, Vec<Value>)> {
    if args.logits.is_some() {
        return Err(Usage("--logits names an output of an ONNX file".into()).into());
    }
    let backbone = cam_models::by_name(&args.model)
        .map_err(|error| Unusable(format!("{error}; a file of your own ends in `.onnx`")))?;
    let side = args.side.map_or_else(|| i64::from(backbone.preprocessing().crop), i64::from);
    let plan = backbone.plan(1000);
    let default = plan.resolve(backbone.layer())?;
    let shapes = std::iter::once([3, side, side])
        .chain(plan.extents(side, side).into_iter().map(|extent| extent.output));
    let rows = plan.layers().into_iter().zip(shapes).enumerate().map(|(index, (layer, shape))| {
        json!({
            "layer": layer,
            "shape": format!("{shape:?}"),
            "default": if index == default { "<-" } else { "" },
        })
    });
    let facts = json!({
        "default layer": format!("{} (the last activations before the head)", backbone.layer()),
        "images": format!("3 × {side} × {side}, any number of images"),
        "logits": format!("{} (as many classes as the weights have)", plan.classifier().name),
        "softmax": "none; the last layer makes logits",
    });
    Ok((facts, rows.collect()))
}
