//! `cambench inspect`.

use std::path::Path;

use anyhow::Result;
use cam_onnx::{CutPoint, DefaultLayer, Form, Network, Options};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    args::InspectArgs,
    exit::{Exit, Unusable, Usage},
    table,
};

/// All that there is to say of a network, as `--json` prints it.
#[derive(Serialize)]
struct Inspected {
    /// `None` where one has to be named.
    default_layer: Option<String>,
    why: &'static str,
    height: i64,
    width: i64,
    /// Images a forward, where the file insists on a number.
    batch: Option<i64>,
    /// The tensor.
    logits: String,
    /// The file's output that they are read from.
    output: Option<String>,
    other_outputs: Vec<String>,
    /// `None` where the weights say it.
    n_classes: Option<i64>,
    /// The node that was cut away behind the logits.
    softmax: Option<String>,
    /// The node that the output comes from.
    sigmoid: Option<String>,
    opset: Option<i64>,
    layers: Vec<Layer>,
}

/// A place at which a network can be cut.
#[derive(Serialize)]
struct Layer {
    name: String,
    /// For one image.
    shape: Vec<i64>,
    operator: Option<String>,
    /// How activations `[K, h, w]` lie in it.
    form: String,
    is_default: bool,
}

pub(crate) fn inspect(args: &InspectArgs) -> Result<Exit> {
    let path = Path::new(&args.model);
    let is_file = path.extension().is_some_and(|extension| extension == "onnx");
    let inspected = if is_file {
        let input_side = args.side.map(i64::from);
        let options = Options { input_side, logits: args.logits.clone(), ..Options::default() };
        let network = Network::open(path, &options).map_err(|error| Unusable(error.to_string()))?;
        of_file(&network)
    } else {
        of_zoo(args)?
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&inspected)?);
    } else {
        print(&inspected);
    }
    Ok(Exit::Done)
}

fn of_file(network: &Network) -> Inspected {
    let default = network.default();
    let why = match default {
        Some(DefaultLayer { is_last_blocks_input: true, .. }) => {
            "the last activations before the last attention: behind it, the places of the image have met"
        }
        Some(_) => {
            "the last tensor [K, h, w] with 1 < h, w < K that every path to the logits goes through"
        }
        None => {
            "no tensor [K, h, w] with 1 < h, w < K is passed by every path to the logits; name one, or `input` for the \
             pixels"
        }
    };
    let [height, width] = network.input_size();
    let layer = |point: &CutPoint| Layer {
        name: point.name.clone(),
        shape: point.shape.clone(),
        operator: Some(point.operator.clone()),
        form: form(point),
        is_default: default.is_some_and(|default| default.layer == point.name),
    };
    Inspected {
        default_layer: default.map(|default| default.layer.clone()),
        why,
        height,
        width,
        batch: network.fixed_batch(),
        logits: network.logits_name().to_owned(),
        output: Some(network.output().name.clone()),
        other_outputs: network.output().others.clone(),
        n_classes: Some(network.n_classes()),
        softmax: network.softmax().map(str::to_owned),
        sigmoid: network.sigmoid().map(str::to_owned),
        opset: Some(network.opset()),
        layers: network.points().iter().map(layer).collect(),
    }
}

fn form(point: &CutPoint) -> String {
    match point.form {
        None => "no activations [K, h, w]".to_owned(),
        Some(Form::Map) => "map".to_owned(),
        Some(Form::ChannelsLast) => "channels last".to_owned(),
        Some(Form::Tokens { prefix: 0, height, width }) => format!("tokens of {height} × {width}"),
        Some(Form::Tokens { prefix, height, width }) => {
            format!("{prefix} + tokens of {height} × {width}")
        }
    }
}

fn of_zoo(args: &InspectArgs) -> Result<Inspected> {
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
    let layers = plan.layers().into_iter().zip(shapes).enumerate().map(|(index, (name, shape))| {
        let (name, shape) = (name.clone(), shape.to_vec());
        Layer { name, shape, operator: None, form: "map".to_owned(), is_default: index == default }
    });
    Ok(Inspected {
        default_layer: Some(backbone.layer().to_owned()),
        why: "the last activations before the head",
        height: side,
        width: side,
        batch: None,
        logits: plan.classifier().name.clone(),
        output: None,
        other_outputs: vec![],
        n_classes: None,
        softmax: None,
        sigmoid: None,
        opset: None,
        layers: layers.collect(),
    })
}

fn print(inspected: &Inspected) {
    let Inspected { default_layer, why, height, width, batch, other_outputs, .. } = inspected;
    let row = |layer: &Layer| -> Value {
        let mut row = json!({ "layer": layer.name, "shape": format!("{:?}", layer.shape) });
        if let Some(operator) = &layer.operator {
            row["made by"] = operator.as_str().into();
        }
        row["default"] = if layer.is_default { "<-" } else { "" }.into();
        row["form"] = layer.form.as_str().into();
        row
    };
    table::print(&inspected.layers.iter().map(row).collect::<Vec<_>>());
    println!();
    println!("default layer: {} ({why})", default_layer.as_deref().unwrap_or("none"));
    let batch = batch.map_or_else(
        || "any number of images".to_owned(),
        |n| format!("{n} at a time, as the file insists; others are run one after another"),
    );
    println!("images: 3 × {height} × {width}, {batch}");
    let classes = inspected.n_classes.map_or_else(
        || "as many classes as the weights have".to_owned(),
        |n| format!("{n} classes"),
    );
    let of_output = match (&inspected.output, &other_outputs[..]) {
        (Some(output), [_, ..]) => format!(
            " of the output {output}; `logits` takes another output ({})",
            other_outputs.join(", ")
        ),
        _ => String::new(),
    };
    println!("logits: {} ({classes}){of_output}", inspected.logits);
    println!("softmax: {}", softmax(inspected));
    if let Some(opset) = inspected.opset {
        println!("operators: opset {opset}");
    }
}

fn softmax(inspected: &Inspected) -> String {
    match (&inspected.softmax, &inspected.sigmoid) {
        (Some(node), _) => format!("{node} (cut away: scores are its input)"),
        (None, Some(node)) => format!(
            "none; the output is that of the sigmoid {node} and is taken for logits, which it is not: export the network \
             without it"
        ),
        (None, None) if inspected.output.is_some() => {
            "none; the output is taken for logits".to_owned()
        }
        (None, None) => "none; the last layer makes logits".to_owned(),
    }
}
