//! A network in a runtime, seen as a classifier that is cut at its input.

use std::{cell::RefCell, fmt, path::Path};

use cam_core::{Classifier, ImageInput, LogitsOutput, Port, SALIENCY_MAP};
use tch::{Device, Kind, Tensor};

use crate::{Problem, Runtime, RuntimeError, onnxruntime::OnnxRuntime, openvino::OpenVino};

/// How a network is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Threads that the runtime may use.
    pub threads: usize,
    /// Images a forward, where the file leaves that open.
    pub batch: i64,
    /// Side of the images, in pixels; `None`: the file's, or 224 where any size is possible.
    pub input_side: Option<i64>,
    /// The output that logits are read from; `None`: by [`LogitsOutput::new`].
    pub logits: Option<String>,
    /// The output that a hook's maps are of, where that is known.
    pub hooked: Option<String>,
    /// Whether floats are multiplied as bf16; OpenVINO alone has a choice.
    pub is_bf16: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { threads: 1, batch: 16, input_side: None, logits: None, hooked: None, is_bf16: false }
    }
}

/// The result of a forward.
pub(crate) struct Output {
    pub(crate) shape: Vec<i64>,
    pub(crate) values: Vec<f32>,
}

/// The images that a network takes, and how many at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Batches {
    pub(crate) images: ImageInput,
    /// Images a forward, where the file does not insist on a number.
    usual: i64,
}

/// A runtime's side of a network: one file a runtime.
pub(crate) trait Runner {
    /// Of the runtime.
    fn version(&self) -> &str;

    fn inputs(&self) -> Result<Vec<Port>, String>;

    fn outputs(&self) -> Result<Vec<Port>, String>;

    /// Makes ready for batches of these sizes.
    fn prepare(&mut self, batches: &Batches) -> Result<(), String>;

    /// One output, by its place, for images of one of these batches.
    fn run(&mut self, shape: &[i64], values: &[f32], output: usize) -> Result<Output, String>;
}

impl Batches {
    /// How many images a forward may have.
    pub(crate) fn sizes(&self) -> Vec<i64> {
        match self.images.batch {
            Some(batch) => vec![batch],
            None if self.usual == 1 => vec![1],
            None => vec![self.usual, 1],
        }
    }

    /// How `n` images are parted: the sizes of forwards, and how many images of each count; the rest of it is filled up.
    fn parts(&self, n: i64) -> Vec<(i64, i64)> {
        let largest = self.sizes()[0];
        let mut parts = vec![(largest, largest); (n / largest) as usize];
        let rest = n % largest;
        // Filling up costs as much as a whole batch does, and single images somewhat more than their share.
        if self.images.batch.is_none() && rest <= largest / 4 {
            parts.extend(vec![(1, 1); rest as usize]);
        } else if rest > 0 {
            parts.push((largest, rest));
        }
        parts
    }
}

/// A network in a runtime.
///
/// Where its logits are a softmax over the classes, which shows on an image of zeros and one of noise, its logarithm is
/// taken: a softmax of that gives the probabilities again, so that logits are logits for every method and metric, up to a
/// constant. Of a softmax over anything else its results are the scores, as in `cam-onnx`.
pub struct Deployed {
    runner: RefCell<Box<dyn Runner>>,
    runtime: Runtime,
    version: String,
    batches: Batches,
    n_classes: i64,
    is_softmax: bool,
    output: LogitsOutput,
    maps: Option<usize>,
}

impl fmt::Debug for Deployed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deployed")
            .field("runtime", &self.runtime)
            .field("version", &self.version)
            .field("batches", &self.batches)
            .field("n_classes", &self.n_classes)
            .finish_non_exhaustive()
    }
}

impl Deployed {
    /// Opens a network's file in a runtime, and runs it once.
    ///
    /// # Errors
    ///
    /// The runtime cannot be loaded, does not take the file, or the network is no classifier of images.
    pub fn open(path: &Path, runtime: Runtime, options: &Options) -> Result<Self, RuntimeError> {
        let runner: Box<dyn Runner> = match runtime {
            Runtime::OnnxRuntime => Box::new(OnnxRuntime::open(path, options)?),
            Runtime::OpenVino => Box::new(OpenVino::open(path, options)?),
        };
        Self::new(runner, runtime, options)
            .map_err(|problem| RuntimeError::Network { path: path.to_path_buf(), problem })
    }

    fn new(
        mut runner: Box<dyn Runner>,
        runtime: Runtime,
        options: &Options,
    ) -> Result<Self, Problem> {
        let failed = |message| Problem::Failed { runtime, message };
        let inputs = runner.inputs().map_err(failed)?;
        let images = ImageInput::new(&inputs, options.input_side).map_err(Problem::Interface)?;
        let batches = Batches { images, usual: options.batch };
        let outputs = runner.outputs().map_err(failed)?;
        let names: Vec<&str> = outputs.iter().map(|output| &*output.name).collect();
        let hooked = options.hooked.as_deref();
        let output = LogitsOutput::new(&names, options.logits.as_deref(), hooked);
        let output = output.map_err(Problem::Interface)?;
        // Of another output the maps would be another network's.
        let is_other = |hooked: &str| names.contains(&hooked) && hooked != output.name;
        let maps = names
            .iter()
            .position(|name| *name == SALIENCY_MAP)
            .filter(|_| !hooked.is_some_and(is_other));
        runner.prepare(&batches).map_err(failed)?;
        let version = runner.version().to_owned();
        let mut deployed = Self {
            runner: RefCell::new(runner),
            runtime,
            version,
            n_classes: 0,
            is_softmax: false,
            output,
            maps,
            batches,
        };
        let [height, width] = deployed.batches.images.size;
        let line = Tensor::arange(3 * height * width, (Kind::Float, Device::Cpu));
        let noise = (line * 12.9898).sin().view([1, 3, height, width]) * 2.0;
        let images = Tensor::cat(&[noise.zeros_like(), noise], 0);
        let scores = deployed.run(&images, deployed.output.place).map_err(failed)?;
        // One axis of classes, and others of one entry.
        let n_long = scores.size()[1..].iter().filter(|&&side| side != 1).count();
        let n_classes = scores.numel() as i64 / 2;
        if n_long > 1 || n_classes < 2 {
            let shape = scores.size();
            return Err(Problem::Interface(deployed.output.wrong_shape(&shape)));
        }
        deployed.n_classes = n_classes;
        let scores = scores.view([2, n_classes]);
        let sums = scores.sum_dim_intlist(1, false, None::<Kind>);
        // In int8, probabilities are multiples of a step, and a thousand of them do not quite add up.
        deployed.is_softmax = scores.min().double_value(&[]) >= 0.0
            && scores.max().double_value(&[]) < 1.01
            && (sums - 1.0).abs().max().double_value(&[]) < 0.1;
        if let Some(maps) = deployed.maps {
            let maps = deployed.run(&images, maps).map_err(failed)?.size();
            if maps.len() != 4 || maps[1] != n_classes {
                return Err(Problem::Interface(format!(
                    "its `{SALIENCY_MAP}` has the shape {maps:?} for two images; a hook for all classes has [N, {n_classes}, h, w]"
                )));
            }
        }
        Ok(deployed)
    }

    /// The runtime and its version, for people.
    pub fn runtime(&self) -> String {
        format!("{} {}", self.runtime.title(), self.version)
    }

    /// The output that logits are read from.
    pub fn output(&self) -> &LogitsOutput {
        &self.output
    }

    /// `[H, W]` of its images.
    pub fn input_size(&self) -> [i64; 2] {
        self.batches.images.size
    }

    /// Number of classes.
    pub fn n_classes(&self) -> i64 {
        self.n_classes
    }

    /// Whether the network ends in a softmax.
    pub fn is_softmax(&self) -> bool {
        self.is_softmax
    }

    /// One output `[N, ...]` for images `[N, 3, H, W]`.
    fn run(&self, images: &Tensor, output: usize) -> Result<Tensor, String> {
        let mut runner = self.runner.borrow_mut();
        let mut start = 0;
        let parts = self.batches.parts(images.size()[0]).into_iter().map(|(batch, counted)| {
            let part = images.narrow(0, start, counted);
            start += counted;
            let part = if batch == counted {
                part
            } else {
                let filling = part.narrow(0, 0, 1).repeat([batch - counted, 1, 1, 1]);
                Tensor::cat(&[part, filling], 0)
            };
            let part = if self.batches.images.is_channels_last {
                part.permute([0, 2, 3, 1])
            } else {
                part
            };
            let part = part.to_device(Device::Cpu).to_kind(Kind::Float).contiguous();
            let part = part.flatten(0, -1);
            let values = Vec::<f32>::try_from(&part).map_err(|error| error.to_string())?;
            let Output { shape, values } =
                runner.run(&self.batches.images.shape(batch), &values, output)?;
            if shape.first() != Some(&batch) {
                return Err(format!("for {batch} images it gave an output of the shape {shape:?}"));
            }
            Ok(Tensor::from_slice(&values).view(&shape[..]).narrow(0, 0, counted))
        });
        let parts = parts.collect::<Result<Vec<_>, String>>()?;
        Ok(Tensor::cat(&parts, 0).to_device(images.device()))
    }

    /// As [`Deployed::run`], of a network that ran before: panics where it fails now, as every classifier does.
    fn ask(&self, images: &Tensor, output: usize) -> Tensor {
        self.run(images, output)
            .unwrap_or_else(|message| panic!("{} cannot run it: {message}", self.runtime.title()))
    }
}

/// Cut at its input, the only place where it can be.
impl Classifier for &Deployed {
    fn features(&self, images: &Tensor) -> Tensor {
        images.shallow_clone()
    }

    fn head(&self, features: &Tensor) -> Tensor {
        let scores = self.ask(features, self.output.place).view([-1, self.n_classes]);
        if self.is_softmax { scores.clamp_min(f64::from(f32::MIN_POSITIVE)).log() } else { scores }
    }

    fn batch(&self) -> i64 {
        self.batches.sizes()[0]
    }

    fn has_gradients(&self) -> bool {
        false
    }

    fn is_hooked(&self) -> bool {
        self.maps.is_some()
    }

    fn hooked_map(&self, image: &Tensor, class: i64) -> Option<Tensor> {
        Some(self.ask(image, self.maps?).squeeze_dim(0).get(class))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(shape: &[Option<i64>]) -> Port {
        Port { name: "x".into(), shape: Some(shape.to_vec()), is_float: true }
    }

    fn batches(batch: Option<i64>) -> Batches {
        let images = ImageInput::new(&[port(&[batch, Some(3), None, None])], None).unwrap();
        Batches { images, usual: 16 }
    }

    #[test]
    fn images_are_parted_into_whole_batches_single_ones_and_one_that_is_filled_up() {
        let open = batches(None);
        assert_eq!(open.sizes(), [16, 1]);
        assert_eq!(open.parts(34), [(16, 16), (16, 16), (1, 1), (1, 1)]);
        assert_eq!(open.parts(21), [(16, 16), (16, 5)]);
        let fixed = batches(Some(4));
        assert_eq!(fixed.sizes(), [4]);
        assert_eq!(fixed.parts(5), [(4, 4), (4, 1)]);
    }

    /// Two classes: the sum of an image and its negative, through a softmax; and maps, as many of the image's colors.
    struct Sums {
        is_softmax: bool,
        /// Scores are rounded to multiples of it.
        step: f64,
        maps: i64,
        /// Whether there is one score a class, and not two.
        is_flat: bool,
    }

    impl Runner for Sums {
        fn version(&self) -> &'static str {
            "1"
        }

        fn inputs(&self) -> Result<Vec<Port>, String> {
            Ok(vec![port(&[Some(2), Some(3), Some(2), Some(2)])])
        }

        fn outputs(&self) -> Result<Vec<Port>, String> {
            let named = |name: &str| Port { name: name.into(), ..port(&[None, None]) };
            Ok(vec![named(SALIENCY_MAP), named("logits")])
        }

        fn prepare(&mut self, _: &Batches) -> Result<(), String> {
            Ok(())
        }

        fn run(&mut self, shape: &[i64], values: &[f32], output: usize) -> Result<Output, String> {
            let images = Tensor::from_slice(values).view(shape);
            let sums = images.sum_dim_intlist(&[1_i64, 2, 3][..], false, None::<Kind>) / 10.0;
            let scores = Tensor::stack(&[sums.shallow_clone(), -sums], 1);
            let scores = if self.is_softmax { scores.softmax(1, None::<Kind>) } else { scores };
            let scores =
                if self.step > 0.0 { (scores / self.step).round() * self.step } else { scores };
            let scores = if self.is_flat { scores } else { scores.unsqueeze(-1).repeat([1, 1, 2]) };
            let tensor = [images.narrow(1, 0, self.maps), scores][output].contiguous();
            let values = Vec::<f32>::try_from(tensor.flatten(0, -1)).unwrap();
            Ok(Output { shape: tensor.size(), values })
        }
    }

    #[test]
    fn a_softmax_at_the_end_changes_no_probability_and_maps_are_found_by_their_name() {
        let open = |is_softmax| {
            let runner = Box::new(Sums { is_softmax, step: 0.0, maps: 2, is_flat: true });
            Deployed::new(runner, Runtime::OpenVino, &Options::default()).unwrap()
        };
        let [plain, softmax] = [open(false), open(true)];
        assert!(softmax.is_softmax() && !plain.is_softmax());
        // Three images in a network that insists on two: the last one is filled up.
        let images = Tensor::arange(36, (Kind::Float, Device::Cpu)).view([3, 3, 2, 2]) / 36.0;
        let [a, b] = [&plain, &softmax].map(|network| (&network).logits(&images));
        assert_eq!(a.size(), [3, 2]);
        let probability = |logits: &Tensor| logits.softmax(1, None::<Kind>);
        assert!((probability(&a) - probability(&b)).abs().max().double_value(&[]) < 1e-6);
        let plain = &plain;
        assert!((&plain).is_hooked());
        let green = (&plain).hooked_map(&images.narrow(0, 2, 1), 1).unwrap();
        assert_eq!(green, images.get(2).get(1));
    }

    #[test]
    fn a_softmax_in_int8_is_one_too_and_a_hook_for_one_class_is_refused() {
        let open = |step, maps| {
            let runner = Box::new(Sums { is_softmax: true, step, maps, is_flat: true });
            Deployed::new(runner, Runtime::OnnxRuntime, &Options::default())
        };
        assert!(open(1.0 / 256.0, 2).unwrap().is_softmax());
        let error = open(0.0, 1).unwrap_err().to_string();
        assert!(error.contains("a hook for all classes has [N, 2, h, w]"), "{error}");
    }

    #[test]
    fn scores_along_two_axes_are_no_logits() {
        let runner = Box::new(Sums { is_softmax: false, step: 0.0, maps: 2, is_flat: false });
        let error = Deployed::new(runner, Runtime::OpenVino, &Options::default()).unwrap_err();
        assert!(
            error.to_string().contains("has the shape [2, 2, 2]; a classifier's is"),
            "{error}"
        );
    }
}
