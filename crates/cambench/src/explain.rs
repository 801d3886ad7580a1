//! `cambench explain`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use cam_core::{Map, Method, Subject, Target};
use cam_data::{Orientation, Photo};
use cam_methods::AnyMethod;
use cam_results::{Picture, write_bytes};
use cam_runner::{
    ModelSpec, Resources,
    config::{IMPORTED, ModelChoice, protocol_of},
    default_memory, image_seed,
    protocol::Protocol,
};
use tch::{Kind, Tensor};

use crate::{
    args::ExplainArgs,
    exit::{Exit, Unusable, Usage},
    hook::no_network_of_the_zoo,
    progress::Progress,
};

/// An explained image, as it is printed.
#[derive(serde::Serialize)]
struct Explanation {
    image: PathBuf,
    class: i64,
    class_name: Option<String>,
    confidence: f64,
    overlay: PathBuf,
    map: PathBuf,
    /// Over `--seeds` of them: the root of a pixel's mean variance.
    #[serde(skip_serializing_if = "Option::is_none")]
    deviation_over_seeds: Option<f64>,
}

pub(crate) fn explain(args: &ExplainArgs) -> Result<Exit> {
    check_names(&args.images)?;
    let device = cam_models::device(args.device, cam_models::Multiply::Exactly)?;
    if let Some(threads) = args.threads {
        cam_models::set_threads(usize::from(threads));
    }
    let protocol = protocol_of(&args.protocol)
        .map_err(|message| Unusable(format!("--protocol: {message}")))?;
    let method = method(args, protocol)?;
    let spec = ModelSpec::new(&model(args)?, args.layer.as_deref(), Path::to_path_buf)?;
    let mut progress = Progress::new();
    let loaded = spec.load(
        &args.model,
        Resources { device, memory: default_memory(device, 1) },
        &mut |event| progress.on(&event),
    )?;
    progress.finish();
    let layer = match &spec.layer {
        Some(layer) => layer.clone(),
        None => loaded.layer()?.to_owned(),
    };
    let cut = loaded.cut(&layer, None)?;
    let needs = method.requirement();
    if !needs.met_by(&*cut) {
        return Err(Unusable(format!(
            "{} needs {}, and {} has none behind layer `{layer}`; {}",
            args.method,
            needs.needed(),
            args.model,
            needs.remedy(&*cut)
        ))
        .into());
    }
    let n_classes = loaded.n_classes();
    let target = match &args.class {
        None => Target::Predicted,
        Some(class) => {
            let index = spec.class(class, n_classes);
            Target::Class(index.map_err(|message| Usage(format!("--class {class}: {message}")))?)
        }
    };
    for caution in loaded.cautions() {
        eprintln!("caution: {}: {caution}", args.model);
    }
    if loaded.is_seeded() {
        eprintln!("{} has random weights; its maps mean nothing", args.model);
    }
    fs::create_dir_all(&args.out)
        .with_context(|| format!("cannot create the folder {}", args.out.display()))?;
    let preprocessing = spec.preprocessing.over(&protocol.preprocessing(loaded.preprocessing()));
    preprocessing.check().map_err(|message| Usage(format!("--preprocessing: {message}")))?;
    let orientation = if args.exif { Orientation::Apply } else { Orientation::Ignore };

    // One file that cannot be read costs nothing but itself.
    let mut n_failed = 0;
    for path in &args.images {
        let photo = match Photo::open(path, &preprocessing, orientation) {
            Ok(photo) => photo,
            Err(error) => {
                eprintln!("error: {error}");
                n_failed += 1;
                continue;
            }
        };
        let image = photo.tensor(&preprocessing).to_device(device);
        // As in a sweep over a folder of files.
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let seeds = (0..args.seeds).map(|i| args.seed.wrapping_add(i.into()));
        let subject =
            |seed| Subject::new(&*cut, image.shallow_clone(), target, image_seed(seed, &file));
        let subjects: Vec<Subject<'_>> = seeds.map(subject).collect();
        let name = |class| spec.class_name(class, n_classes);
        match explained(&subjects, &*method, protocol, photo, path, &name, args)? {
            Ok(explanation) => print(&explanation, args)?,
            Err(degenerate) => {
                eprintln!("error: {}: {degenerate}", path.display());
                n_failed += 1;
            }
        }
    }
    Ok(if n_failed > 0 { Exit::Config } else { Exit::Done })
}

/// Writes the overlay and the map of an image's first subject; the others are the same image with other seeds.
fn explained(
    subjects: &[Subject<'_>],
    method: &dyn Method,
    protocol: &Protocol,
    photo: Photo,
    path: &Path,
    class_name: &dyn Fn(i64) -> Option<String>,
    args: &ExplainArgs,
) -> Result<std::result::Result<Explanation, cam_core::Degenerate>> {
    let map = |subject: &Subject<'_>| {
        let map = Map::made_by(method, &method.explain(subject), subject.size());
        map.map(|map| map.upsampled(protocol.upsampling).unit().shallow_clone())
    };
    let maps: Vec<Tensor> = match subjects.iter().map(map).collect() {
        Ok(maps) => maps,
        Err(degenerate) => return Ok(Err(degenerate)),
    };
    let subject = &subjects[0];
    let [height, width] = subject.size();
    let unit: Vec<f32> = Vec::try_from(maps[0].to_kind(Kind::Float).contiguous().view([-1]))?;
    let file = |extension: &str| {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        args.out.join(format!("{stem}.{}.{extension}", args.method))
    };
    let (overlay, npy) = (file("png"), file("npy"));
    // Bicubic upsampling may leave the range of colors.
    let colors: Vec<f32> = unit.iter().map(|value| value.clamp(0.0, 1.0)).collect();
    let picture = Picture::new(photo.width, photo.height, photo.rgb).overlay(&colors);
    write_bytes(&overlay, &picture.png())?;
    write_bytes(&npy, &npy_bytes([height, width], &unit))?;
    Ok(Ok(Explanation {
        image: path.to_path_buf(),
        class: subject.class(),
        class_name: class_name(subject.class()),
        confidence: subject.confidence(),
        overlay,
        map: npy,
        deviation_over_seeds: (maps.len() > 1).then(|| deviation_over(&maps)),
    }))
}

/// The root of the mean over all pixels of the variance over some maps of one shape.
fn deviation_over(maps: &[Tensor]) -> f64 {
    let maps = Tensor::stack(maps, 0).to_kind(Kind::Double);
    maps.var_dim(0_i64, true, false).mean(Kind::Double).sqrt().double_value(&[])
}

fn print(explanation: &Explanation, args: &ExplainArgs) -> Result<()> {
    if args.json {
        println!("{}", serde_json::to_string(explanation)?);
        return Ok(());
    }
    let Explanation { image, class, class_name, confidence, overlay, map, .. } = explanation;
    let name = class_name.as_deref().unwrap_or("");
    println!("{}: {class} {name} {:.1} %", image.display(), 100.0 * confidence);
    println!("  {}\n  {}", overlay.display(), map.display());
    if let Some(deviation) = explanation.deviation_over_seeds {
        println!("  a pixel's standard deviation over {} seeds: {deviation:.4}", args.seeds);
    }
    Ok(())
}

/// Two images of one stem would overwrite each other's files.
fn check_names(images: &[PathBuf]) -> Result<()> {
    let mut stems: Vec<_> = images.iter().map(|path| path.file_stem()).collect();
    stems.sort_unstable();
    match stems.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Usage(format!(
            "two images are called {}; their maps would overwrite each other, so explain them apart",
            pair[0].unwrap_or_default().to_string_lossy()
        ))
        .into()),
        None => Ok(()),
    }
}

/// A network of the zoo, or a file by its extension.
fn model(args: &ExplainArgs) -> Result<ModelChoice> {
    let preprocessing = args
        .preprocessing
        .as_deref()
        .map(serde_yaml::from_str)
        .transpose()
        .map_err(|error| Usage(format!("--preprocessing: {error}")))?;
    let is_onnx = Path::new(&args.model).extension().is_some_and(|extension| extension == "onnx");
    let is_file = is_onnx || args.runtime.is_some();
    if args.runtime.is_some() {
        no_network_of_the_zoo(Path::new(&args.model))?;
    }
    if !is_file && args.logits.is_some() {
        return Err(Usage("--logits names an output of an ONNX file".into()).into());
    }
    Ok(ModelChoice {
        name: if is_file { String::new() } else { args.model.clone() },
        onnx: is_file.then(|| PathBuf::from(&args.model)),
        runtime: args.runtime,
        logits: args.logits.clone(),
        weights: args.weights.clone(),
        classes: args.classes.clone(),
        preprocessing,
        ..ModelChoice::default()
    })
}

/// The method with its options, which are the words of a sweep file.
fn method(args: &ExplainArgs, protocol: &Protocol) -> Result<AnyMethod> {
    if args.method == IMPORTED {
        return Err(Usage(format!(
            "`{IMPORTED}` makes no maps; a sweep scores those of other tools"
        ))
        .into());
    }
    let mut options = serde_yaml::Mapping::new();
    for option in &args.options {
        let (key, value) = option
            .split_once('=')
            .ok_or_else(|| Usage(format!("--option {option}: it has the form KEY=VALUE")))?;
        let value: serde_yaml::Value = serde_yaml::from_str(value)
            .map_err(|error| Usage(format!("--option {option}: {error}")))?;
        options.insert(key.into(), value);
    }
    cam_runner::config::method(&args.method, options, protocol)
        .map_err(|message| Unusable(message).into())
}

/// The bytes of a `.npy` file (format 1.0) of 32-bit floats.
fn npy_bytes([height, width]: [i64; 2], values: &[f32]) -> Vec<u8> {
    const MAGIC: &[u8] = b"\x93NUMPY\x01\x00";
    let mut header =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({height}, {width}), }}");
    // Magic, the header's length in two bytes, header and newline together fill up blocks of 64.
    let unpadded = MAGIC.len() + 2 + header.len() + 1;
    header.push_str(&" ".repeat(unpadded.next_multiple_of(64) - unpadded));
    header.push('\n');
    let mut bytes = MAGIC.to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deviation_over_seeds_is_the_root_of_the_mean_variance() {
        // Variances with n - 1 = 1 below: 2 and 0, whose mean is 1.
        let maps = [[0.0_f32, 5.0], [2.0, 5.0]].map(|map| Tensor::from_slice(&map));
        assert!((deviation_over(&maps) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_written_map_is_read_back_as_it_was() {
        let values: Vec<f32> = (0..6).map(|i| i as f32 / 5.0).collect();
        let bytes = npy_bytes([2, 3], &values);
        assert_eq!((bytes.len() - 24) % 64, 0, "the data is aligned");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("map.npy");
        fs::write(&path, bytes).unwrap();
        let read = Tensor::read_npy(&path).unwrap();
        assert_eq!(read.size(), [2, 3]);
        assert_eq!(Vec::<f32>::try_from(read.view([-1])).unwrap(), values);
    }
}
