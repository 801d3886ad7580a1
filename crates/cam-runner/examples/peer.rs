//! Our side of `cargo xtask peers`: a long-lived worker that takes one JSON object a line and answers with one.
//!
//! `peer --folder FOLDER --device cpu|cuda --threads N --precision f32|tf32|bf16`
//!
//! `{"job": "export", "model": ...}` writes into the folder what is to be equal for everyone: weights, inputs, masks.
//! Every other job is done once untimed and then until `at_least` seconds are full (once in all where that is 0), and
//! answered with `{"secs": ..., "check": [...]}`: the mean of a run, and numbers that the others must have too.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    env,
    error::Error,
    fs,
    io::{self, BufRead as _, Write as _},
    path::{Path, PathBuf},
    process,
    sync::{atomic::AtomicBool, mpsc::channel},
    thread,
    time::Instant,
};

use cam_core::{Classifier, Counted, Explained, FeatureShape, Map, Subject, Target};
use cam_data::{Orientation, Photo};
use cam_methods::AnyMethod;
use cam_metrics::AnyMetric;
use cam_models::{
    Cut, DeviceChoice, Loaded, Multiply, Options, Precision, Source, WeightsChoice, WeightsFile,
    default_memory, device, load, set_threads,
};
use cam_results::adcc;
use cam_runner::{Event, Overrides, Plan, Provenance, Sweep, run};
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Of every image and every random method; the exported masks are drawn with it too.
const SEED: u64 = 0;
/// The photograph that is explained; a batch takes the others as well.
const PHOTOGRAPH: &str = "chelsea.png";
const BATCH: i64 = 16;
const N_MASKS: u32 = 256;
/// The methods whose peers get the superpixels and samples of ours.
const OF_SUPERPIXELS: [&str; 2] = ["lime", "kernel_shap"];
/// The methods and metrics whose peers read their sizes from what is exported.
const SIZED: [&str; 8] = [
    "ss_cam",
    "is_cam",
    "lime",
    "kernel_shap",
    "occlusion",
    "integrated_gradients",
    "smooth_grad",
    "pixel_flipping",
];

fn main() -> Result<()> {
    let mut worker = Worker::new()?;
    let mut answers = io::stdout().lock();
    let (sender, requests) = channel();
    // Ends the process with the one that asks, even in the middle of a job.
    thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(std::result::Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
        process::exit(0);
    });
    for line in requests {
        let request: Value = serde_json::from_str(&line)?;
        let answer =
            worker.answer(&request).unwrap_or_else(|error| json!({ "error": error.to_string() }));
        writeln!(answers, "{answer}")?;
        answers.flush()?;
    }
    Ok(())
}

struct Worker {
    folder: PathBuf,
    device_name: String,
    device: Device,
    threads: usize,
    precision: Precision,
    model: Option<Model>,
}

/// The network of the last request, with what was exported for it.
struct Model {
    name: String,
    loaded: Loaded,
    about: Value,
    /// `[16, 3, H, W]`.
    images: Tensor,
    /// `[H, W]`: a map for the metrics that judge one.
    map: Tensor,
}

impl Worker {
    fn new() -> Result<Self> {
        let arguments: Vec<String> = env::args().skip(1).collect();
        let option = |name: &str| {
            let at = arguments.iter().position(|argument| argument == name);
            at.and_then(|at| arguments.get(at + 1)).ok_or_else(|| format!("{name} is missing"))
        };
        let device_name = option("--device")?.clone();
        let threads = option("--threads")?.parse()?;
        let precision = match option("--precision")?.as_str() {
            "f32" => Precision::F32,
            "tf32" => Precision::Tf32,
            "bf16" => Precision::Bf16,
            other => return Err(format!("no precision `{other}`: use f32, tf32 or bf16").into()),
        };
        let multiply = match precision {
            Precision::Tf32 => Multiply::InTf32,
            Precision::F32 | Precision::Bf16 => Multiply::Exactly,
        };
        let device = device(device_name.parse::<DeviceChoice>()?, multiply)?;
        set_threads(threads);
        let folder = option("--folder")?.into();
        Ok(Self { folder, device_name, device, threads, precision, model: None })
    }

    fn answer(&mut self, request: &Value) -> Result<Value> {
        let text = |key: &str| request[key].as_str().ok_or_else(|| format!("no `{key}`"));
        let (job, name) = (text("job")?, text("model")?);
        if job == "export" {
            return export(name, &self.folder, self.device);
        }
        if self.model.as_ref().is_none_or(|model| model.name != name) {
            self.model = None; // frees the old one before the new one comes
            self.model = Some(self.load(name)?);
        }
        let model = self.model.as_ref().expect("just loaded");
        let early = early_layer(name).filter(|_| ["ss_cam", "is_cam"].contains(&job));
        let cut = model.loaded.network.cut(early.unwrap_or(model.loaded.backbone.layer()))?;
        let at_least = request["at_least"].as_f64().unwrap_or_default();
        let timed = |task: &dyn Fn() -> Result<Vec<f64>>| timed(task, at_least, self.device);
        match (job, request["peer"].as_str()) {
            ("peak", Some("convolutions")) => peak(self.precision, self.device),
            ("forward_1", _) => timed(&|| Ok(forward(&cut, &model.images.narrow(0, 0, 1)))),
            ("forward_16" | "peak", _) => timed(&|| Ok(forward(&cut, &model.images))),
            ("deletion_insertion", _) => timed(&|| model.judge(&cut, &["deletion", "insertion"])),
            ("pixel_flipping" | "road", _) => timed(&|| model.judge(&cut, &[job])),
            ("adcc", _) => timed(&|| model.adcc(&cut)),
            ("sweep", _) => timed(&|| self.sweep(model)),
            ("poster", _) => {
                let method = configured(text("method")?, &request["options"])?;
                let mut answer = timed(&|| model.explain(&cut, &method))?;
                answer["passes"] = model.passes(&cut, &method);
                Ok(answer)
            }
            _ => {
                let method = configured(job, &options_of(job))?;
                timed(&|| model.explain(&cut, &method))
            }
        }
    }

    fn load(&self, name: &str) -> Result<Model> {
        let options = Options {
            device: self.device,
            precision: self.precision,
            memory_bytes: default_memory(self.device),
            ..Options::default()
        };
        let weights = WeightsChoice::Path(self.folder.join(format!("{name}.safetensors")));
        let about = fs::read_to_string(self.folder.join(format!("{name}.json")))?;
        let inputs =
            Tensor::read_safetensors(self.folder.join(format!("{name}.inputs.safetensors")))?;
        let input = |wanted: &str| {
            let found = inputs.iter().find(|(name, _)| name == wanted);
            let (_, tensor) = found.ok_or_else(|| format!("no `{wanted}` among the inputs"))?;
            Ok::<_, Box<dyn Error>>(tensor.to_device(self.device))
        };
        let model = Model {
            name: name.to_owned(),
            loaded: load(name, &weights, &options)?,
            about: serde_json::from_str(&about)?,
            images: input("images")?,
            map: input("map")?,
        };
        // Warms up, as the other workers do.
        let _ = forward(&model.loaded.network.cut(model.loaded.backbone.layer())?, &model.images);
        Ok(model)
    }

    /// The whole sweep from files to tables: `[drop, ..., complexity, adcc]` of the methods that are checked.
    fn sweep(&self, model: &Model) -> Result<Vec<f64>> {
        const CHECKED: [&str; 2] = ["grad_cam", "recipro_cam"];
        let weights = self.folder.join(format!("{}.safetensors", model.name));
        let sweep = json!({
            "name": "peers",
            "dataset": { "manifest": self.folder.join(format!("{}.photograph.yaml", model.name)) },
            "target": "label",
            "models": [{ "name": model.name, "weights": weights, "precision": self.precision }],
            "methods": [
                { "name": "cam", "relu": false },
                "grad_cam",
                "grad_cam_pp",
                "smooth_grad_cam_pp",
                { "name": "score_cam", "weighting": "channel_softmax" },
                { "name": "rise", "n_masks": 128 },
                "recipro_cam",
            ],
            "metrics": [
                "drop",
                "increase",
                { "name": "deletion", "steps": 28 },
                { "name": "insertion", "steps": 28 },
                "coherency",
                "complexity",
            ],
        })
        .to_string(); // every JSON document is a YAML document
        let path = self.folder.join("sweep.yaml");
        let overrides = Overrides {
            device: self.device_name.parse()?,
            threads: Some(self.threads),
            ..Overrides::default()
        };
        let parsed = Sweep::parse(&sweep, &path)?;
        let plan =
            Plan::new(parsed, &sweep, &path, &overrides, &Provenance::default(), &mut |_| {})?;
        let folder = tempfile::tempdir()?;
        let mut rows = Vec::new();
        let outcome =
            run(&plan, &folder.path().join("run"), &AtomicBool::new(false), &mut |event| {
                if let Event::RowFinished { record } = event {
                    rows.push(record.clone());
                }
            })?;
        if !outcome.is_finished || outcome.n_failed > 0 {
            return Err(format!("{} rows of the sweep failed", outcome.n_failed).into());
        }
        let checked = CHECKED.iter().filter_map(|name| rows.iter().find(|row| row.method == *name));
        checked
            .flat_map(|row| row.metrics.iter().chain([&row.adcc_per_image]))
            .map(|value| value.ok_or_else(|| "a map of the sweep is degenerate".into()))
            .collect()
    }
}

impl Model {
    fn subject<'a>(&self, classifier: &'a dyn Classifier) -> Subject<'a> {
        let class = self.about["class"].as_i64().unwrap_or_default();
        Subject::new(classifier, self.images.narrow(0, 0, 1), Target::Class(class), SEED)
    }

    /// The image's map at its size, from the clean forward on.
    fn explain(&self, cut: &Cut<'_>, method: &AnyMethod) -> Result<Vec<f64>> {
        let subject = self.subject(cut);
        Ok(check(Map::new(&method.explain(&subject), subject.size())?.unit()))
    }

    /// What a method's definition needs, and what was run.
    fn passes(&self, cut: &Cut<'_>, method: &AnyMethod) -> Value {
        let counted = Counted::new(cut);
        let subject = self.subject(&counted);
        let cost = method.cost(FeatureShape::of(subject.features()));
        let _ = method.explain(&subject);
        json!({
            "forwards": cost.forwards,
            "head_forwards": cost.head_forwards,
            "backwards": cost.backwards,
            "executed_forwards": counted.forwards(),
        })
    }

    /// What metrics say of the map that is there.
    fn judge(&self, cut: &Cut<'_>, metrics: &[&str]) -> Result<Vec<f64>> {
        let subject = self.subject(cut);
        let map = Map::new(&self.map, subject.size())?;
        scores(metrics, &Explained::new(&subject, &map, None))
    }

    fn adcc(&self, cut: &Cut<'_>) -> Result<Vec<f64>> {
        let method = configured("grad_cam", &json!({}))?;
        let subject = self.subject(cut);
        let map = Map::new(&method.explain(&subject), subject.size())?;
        let explained = Explained::new(&subject, &map, Some(&*method));
        let mut scores = scores(&["drop", "coherency", "complexity"], &explained)?;
        scores.push(adcc(scores[1], scores[2], scores[0]));
        Ok(scores)
    }
}

/// The options of a method or metric at its job: as those peers define it that have it, and as large as minutes allow.
fn options_of(job: &str) -> Value {
    match job {
        "cam" => json!({ "relu": false }),
        "score_cam" => json!({ "weighting": "channel_softmax" }),
        "rise" => json!({ "n_masks": N_MASKS }),
        "eigen_cam" => json!({ "center": true }),
        "ss_cam" => json!({ "n": 2 }),
        "is_cam" => json!({ "n": 2, "accumulate": true }),
        "lime" | "kernel_shap" => json!({ "n_samples": 128 }),
        "occlusion" => json!({ "window": 32, "n": 13 }),
        "integrated_gradients" => json!({ "n": 16 }),
        "smooth_grad" => json!({ "n": 16, "noise": 0.15 }),
        "pixel_flipping" => json!({ "steps": 96 }),
        _ => json!({}),
    }
}

/// A layer of few channels, for the methods that run the network several times a channel.
fn early_layer(model: &str) -> Option<&'static str> {
    match model {
        "tf_efficientnet_lite0" => Some("blocks.7"),
        "resnet50" => Some("conv1"),
        _ => None,
    }
}

fn configured(name: &str, options: &Value) -> Result<AnyMethod> {
    Ok(AnyMethod::configure(name, options).ok_or_else(|| format!("no method `{name}`"))??)
}

fn scores(names: &[&str], explained: &Explained<'_>) -> Result<Vec<f64>> {
    let metric = |name: &&str| {
        let metric = AnyMetric::configure(name, &options_of(name));
        Ok(metric.ok_or_else(|| format!("no metric `{name}`"))??)
    };
    let metrics: Vec<AnyMetric> = names.iter().map(metric).collect::<Result<_>>()?;
    explained.prepare(metrics.iter().map(|metric| &**metric));
    let score = |metric: &AnyMetric| {
        let score = metric.score(explained);
        Ok(score.ok_or_else(|| format!("{} is not defined", metric.name()))?.value)
    };
    metrics.iter().map(score).collect()
}

/// The first logits of the first image of a batch.
fn forward(cut: &Cut<'_>, images: &Tensor) -> Vec<f64> {
    let _no_grad = tch::no_grad_guard();
    numbers(&cut.logits(images).get(0).narrow(0, 0, 8))
}

/// A map `[H, W]` as 7 × 7 numbers: normalized at the image's size and read in the middle of every cell.
fn check(map: &Tensor) -> Vec<f64> {
    let map = (map - map.min()) / (map.max() - map.min());
    let middles = |side: i64| {
        let middles: Vec<i64> = (0..7).map(|cell| (2 * cell + 1) * side / 14).collect();
        Tensor::from_slice(&middles).to_device(map.device())
    };
    let size = map.size();
    numbers(&map.index_select(0, &middles(size[0])).index_select(1, &middles(size[1])))
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    let flat = tensor.to_kind(Kind::Double).to_device(Device::Cpu).flatten(0, -1);
    Vec::try_from(flat).expect("a vector of numbers")
}

/// Mean seconds of a run. A short job is run once before, untimed; a long one needs no warming up.
fn timed(task: &dyn Fn() -> Result<Vec<f64>>, at_least: f64, device: Device) -> Result<Value> {
    let synchronize = || {
        if let Device::Cuda(number) = device {
            tch::Cuda::synchronize(number as i64);
        }
    };
    if at_least > 0.0 {
        let _ = task()?;
    }
    synchronize();
    let start = Instant::now();
    let mut runs = 0;
    loop {
        let check = task()?;
        synchronize();
        runs += 1;
        let secs = start.elapsed().as_secs_f64();
        if secs >= at_least {
            return Ok(json!({ "secs": secs / f64::from(runs), "runs": runs, "check": check }));
        }
    }
}

/// Seconds that 10⁹ multiply-accumulates take in the fastest of a few bare convolutions: the processor's peak.
fn peak(precision: Precision, device: Device) -> Result<Value> {
    // Channels in and out, side of the image, side of the kernel: those that ResNets are made of.
    const SHAPES: [(i64, i64, i64, i64); 7] = [
        (64, 64, 56, 3),
        (128, 128, 28, 3),
        (256, 256, 14, 3),
        (512, 512, 7, 3),
        (64, 256, 56, 1),
        (256, 1024, 14, 1),
        (512, 2048, 7, 1),
    ];
    let _no_grad = tch::no_grad_guard();
    let kind = match precision {
        Precision::F32 | Precision::Tf32 => Kind::Float,
        Precision::Bf16 => Kind::BFloat16,
    };
    let channels_last = |shape: [i64; 4]| {
        let tensor = Tensor::randn(shape, (Kind::Float, device)).to_kind(kind);
        tensor.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2])
    };
    let mut best = f64::INFINITY;
    for (inputs, outputs, side, kernel) in SHAPES {
        let x = channels_last([BATCH, inputs, side, side]);
        let weight = channels_last([outputs, inputs, kernel, kernel]);
        let convolve = || {
            let y = x.conv2d(&weight, None::<Tensor>, 1, kernel / 2, 1, 1);
            // One number read back waits for the device.
            if device.is_cuda() {
                let _ = y.get(0).get(0).get(0).double_value(&[0]);
            }
            Ok(vec![])
        };
        let gmacs = (BATCH * inputs * outputs * side * side * kernel * kernel) as f64 / 1e9;
        for _ in 0..3 {
            let secs = timed(&convolve, 0.05, device)?["secs"].as_f64().unwrap_or(f64::INFINITY);
            best = best.min(secs / gmacs);
        }
    }
    Ok(json!({ "secs": best, "check": [] }))
}

/// Writes what everyone is to have alike; answers with the class that is explained and the cost of a forward.
fn export(name: &str, folder: &Path, device: Device) -> Result<Value> {
    let options = Options { device, ..Options::default() };
    let backbone = cam_models::by_name(name)?;
    let is_packaged = matches!(
        backbone.weights.first().map(|weights| weights.source),
        Some(Source::Package { .. })
    );
    let choice = if is_packaged { WeightsChoice::Default } else { WeightsChoice::Seeded(0) };
    let loaded = load(name, &choice, &options)?;
    let plan = loaded.network.plan();
    let parameters = if loaded.is_seeded {
        cam_models::seeded(plan, 0).into_iter().collect::<Vec<_>>()
    } else {
        let file = WeightsFile::open(Path::new(&loaded.source))?;
        let read = |name: String| Ok((name.clone(), file.read(&name)?));
        let names = plan.parameters().into_iter().map(|parameter| parameter.name);
        names.map(read).collect::<Result<_>>()?
    };
    Tensor::write_safetensors(&parameters, folder.join(format!("{name}.safetensors")))?;

    let preprocessing = &loaded.preprocessing;
    let photographs = cam_core::cache_folder().join("photographs");
    let mut files: Vec<PathBuf> =
        fs::read_dir(&photographs)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    // The one that is explained comes first.
    files.sort_by_key(|path| (!path.ends_with(PHOTOGRAPH), path.clone()));
    let images = files
        .iter()
        .cycle()
        .take(BATCH as usize)
        .map(
            |path| Ok(Photo::open(path, preprocessing, Orientation::Ignore)?.tensor(preprocessing)),
        )
        .collect::<Result<Vec<_>>>()?;
    // Channels first, as everyone expects them.
    let images = Tensor::cat(&images, 0).contiguous().to_device(device);

    let cut = loaded.network.cut(backbone.layer())?;
    let subject = Subject::new(&cut, images.narrow(0, 0, 1), Target::Predicted, SEED);
    let rise = configured("rise", &options_of("rise"))?;
    let map = Map::new(&rise.explain(&subject), subject.size())?;
    let masks = shown_by(&rise, &subject.image().ones_like()).narrow(1, 0, 1);
    let mut inputs =
        vec![("images", images), ("masks", masks), ("map", map.unit().shallow_clone())];
    // So that 0 is what is hidden and nothing else.
    let image = subject.image() + subject.image().eq(0.0) * 1e-6;
    for job in OF_SUPERPIXELS {
        let images = shown_by(&configured(job, &options_of(job))?, &image);
        inputs.push((job, images.ne(0.0).any_dim(1, false).to_kind(Kind::Uint8)));
    }
    let inputs: Vec<(&str, Tensor)> = inputs
        .into_iter()
        .map(|(name, tensor)| (name, tensor.contiguous().to_device(Device::Cpu)))
        .collect();
    Tensor::write_safetensors(&inputs, folder.join(format!("{name}.inputs.safetensors")))?;

    let list = folder.join(format!("{name}.photograph.csv"));
    fs::write(list, format!("path,label\n{PHOTOGRAPH},{}\n", subject.class()))?;
    let manifest = json!({
        "name": "photograph",
        "root": photographs,
        "layout": "csv",
        "csv": format!("{name}.photograph.csv"),
    });
    fs::write(folder.join(format!("{name}.photograph.yaml")), manifest.to_string())?;
    let [height, width] = subject.size();
    let macs: i64 = plan.extents(height, width).iter().map(|extent| extent.macs).sum();
    let about = json!({
        "title": backbone.title,
        "is_seeded": loaded.is_seeded,
        "class": subject.class(),
        "gmacs": macs as f64 / 1e9,
        "photograph": photographs.join(PHOTOGRAPH),
        "preprocessing": preprocessing,
        "early_layer": early_layer(name),
        "options": SIZED.map(|job| (job, options_of(job))).into_iter().collect::<BTreeMap<_, _>>(),
    });
    fs::write(folder.join(format!("{name}.json")), about.to_string())?;
    Ok(about)
}

/// The images that a method makes of one, `[N, 3, H, W]`: seen by a classifier that they are shown to.
fn shown_by(method: &AnyMethod, image: &Tensor) -> Tensor {
    struct Recorder(RefCell<Vec<Tensor>>);
    impl Classifier for Recorder {
        fn features(&self, images: &Tensor) -> Tensor {
            self.0.borrow_mut().push(images.copy());
            images.shallow_clone()
        }

        fn head(&self, features: &Tensor) -> Tensor {
            Tensor::zeros([features.size()[0], 1], (Kind::Float, features.device()))
        }

        fn batch(&self) -> i64 {
            BATCH
        }
    }
    let recorder = Recorder(RefCell::default());
    let subject = Subject::new(&recorder, image.shallow_clone(), Target::Class(0), SEED);
    recorder.0.borrow_mut().clear(); // the clean image
    let _ = method.explain(&subject);
    Tensor::cat(&recorder.0.take(), 0)
}
