//! A network cut in two, and the same with random weights in its last stages.

use std::ops::Range;
use std::rc::Rc;

use cam_core::{Classifier, INPUT, PooledLinear, usual_batch};
use tch::{Kind, Tensor};

use super::{
    Network,
    step::{logits_and_biases, run},
};
use crate::plan::UnknownLayer;

/// A network cut in two: a classifier whose activations at one layer can be read, changed and differentiated.
///
/// Images and activations may have any strides and any size that the network can take; they must be `f32` on the
/// network's device.
#[derive(Clone, Copy, Debug)]
pub struct Cut<'a> {
    network: &'a Network,
    stage: usize,
    batch: i64,
    head_batch: i64,
}

impl Network {
    /// The network cut at a layer; see [`Plan::resolve`](crate::Plan::resolve) for its names.
    ///
    /// # Errors
    ///
    /// No layer of that name.
    pub fn cut(&self, layer: &str) -> Result<Cut<'_>, UnknownLayer> {
        let stage = self.plan.resolve(layer)?;
        let extents = self.plan.extents(self.input_side, self.input_side);
        // A backward pass keeps every activation, the first included, and makes a gradient for each.
        let fitting = |start: usize, cap: i64| {
            let first = start
                .checked_sub(1)
                .map_or([3, self.input_side, self.input_side], |before| extents[before].output);
            let n_numbers = first.iter().product::<i64>()
                + extents[start..].iter().map(|extent| extent.total).sum::<i64>();
            usual_batch(self.memory_bytes / (2 * n_numbers * self.element_bytes), cap, self.device)
        };
        let (cap, head_cap) = if self.device.is_cuda() { (128, 1024) } else { (16, 256) };
        Ok(Cut {
            network: self,
            stage,
            batch: fitting(0, cap),
            head_batch: fitting(stage, if stage == 0 { cap } else { head_cap }),
        })
    }

    /// A cut, and before it at most `n - 1` of the last cuts at each finer resolution, the finest first; see
    /// [`Classifier::logits_and_levels`].
    fn levels(&self, stage: usize, n: usize, image: &Tensor) -> Vec<usize> {
        let size = image.size();
        let extents = self.plan.extents(size[2], size[3]);
        let rows = |stage: usize| extents[stage - 1].output[1];
        let mut levels = vec![stage];
        for finer in (1..stage).rev() {
            if levels.len() < n && 2 * rows(finer) >= 3 * rows(levels[levels.len() - 1]) {
                levels.push(finer);
            }
        }
        levels.reverse();
        levels
    }
}

impl Cut<'_> {
    /// The stage that ends at the cut, or `input`: what a module's name was resolved to.
    pub fn layer(&self) -> &str {
        self.stage.checked_sub(1).map_or(INPUT, |stage| &self.network.plan.stages[stage].name)
    }

    /// With other batch sizes than those planned from the memory.
    #[must_use]
    pub fn with_batch(self, batch: i64, head_batch: i64) -> Self {
        Self { batch: batch.max(1), head_batch: head_batch.max(1), ..self }
    }
}

impl Classifier for Cut<'_> {
    fn features(&self, images: &Tensor) -> Tensor {
        self.network.run_stages(0..self.stage, images).to_kind(Kind::Float)
    }

    fn head(&self, features: &Tensor) -> Tensor {
        let last = self.network.run_stages(self.stage..self.network.stages.len(), features);
        run(&self.network.head, &last, None).to_kind(Kind::Float)
    }

    fn logits_and_biases(&self, image: &Tensor) -> (Tensor, Vec<Tensor>) {
        let network = self.network;
        logits_and_biases(network.stages.iter().flatten().chain(&network.head), image)
    }

    fn logits_and_levels(&self, image: &Tensor, n: usize) -> (Tensor, Vec<Tensor>) {
        let network = self.network;
        let levels = network.levels(self.stage, n, image);
        logits_and_levels(&levels, image, |stages, x| network.run_stages(stages, x), network)
    }

    fn batch(&self) -> i64 {
        self.batch
    }

    fn head_batch(&self) -> i64 {
        self.head_batch
    }

    fn pooled_linear_head(&self) -> Option<&PooledLinear> {
        self.network.pooled.as_ref().filter(|_| self.stage == self.network.stages.len())
    }

    fn randomized(&self, share: f64, seed: u64) -> Option<Box<dyn Classifier + '_>> {
        let n_stages = self.network.stages.len();
        // The head counts as one stage more, and is always among them.
        let n_random = (share * (n_stages + 1) as f64).ceil() as usize;
        Some(Box::new(Randomized {
            cut: *self,
            random: self.network.randomized(seed),
            n_trained: (n_stages + 1).saturating_sub(n_random.max(1)),
        }))
    }
}

/// A cut network whose last stages and head are another one's, with random weights.
struct Randomized<'a> {
    cut: Cut<'a>,
    random: Rc<Network>,
    /// How many stages are the network's own.
    n_trained: usize,
}

impl Randomized<'_> {
    fn run_stages(&self, stages: Range<usize>, input: &Tensor) -> Tensor {
        let border = self.n_trained.clamp(stages.start, stages.end);
        let trained = self.cut.network.run_stages(stages.start..border, input);
        self.random.run_stages(border..stages.end, &trained)
    }
}

impl Classifier for Randomized<'_> {
    fn features(&self, images: &Tensor) -> Tensor {
        self.run_stages(0..self.cut.stage, images).to_kind(Kind::Float)
    }

    fn head(&self, features: &Tensor) -> Tensor {
        let last = self.run_stages(self.cut.stage..self.random.stages.len(), features);
        run(&self.random.head, &last, None).to_kind(Kind::Float)
    }

    fn logits_and_biases(&self, image: &Tensor) -> (Tensor, Vec<Tensor>) {
        let trained = self.cut.network.stages.iter().take(self.n_trained);
        let random = self.random.stages.iter().skip(self.n_trained);
        logits_and_biases(trained.chain(random).flatten().chain(&self.random.head), image)
    }

    fn logits_and_levels(&self, image: &Tensor, n: usize) -> (Tensor, Vec<Tensor>) {
        let levels = self.random.levels(self.cut.stage, n, image);
        logits_and_levels(&levels, image, |stages, x| self.run_stages(stages, x), &self.random)
    }

    fn batch(&self) -> i64 {
        self.cut.batch
    }

    fn head_batch(&self) -> i64 {
        self.cut.head_batch
    }

    fn pooled_linear_head(&self) -> Option<&PooledLinear> {
        self.random.pooled.as_ref().filter(|_| self.cut.stage == self.random.stages.len())
    }

    fn randomized(&self, share: f64, seed: u64) -> Option<Box<dyn Classifier + '_>> {
        self.cut.randomized(share, seed)
    }
}

/// See [`Classifier::logits_and_levels`]; the levels are stages, the finest first, and `end` has the head.
fn logits_and_levels(
    levels: &[usize],
    image: &Tensor,
    run_stages: impl Fn(Range<usize>, &Tensor) -> Tensor,
    end: &Network,
) -> (Tensor, Vec<Tensor>) {
    let (mut stage, mut x) = (0, image.detach());
    let mut activations = vec![];
    for &level in levels {
        x = run_stages(stage..level, &x).to_kind(Kind::Float);
        if activations.is_empty() {
            // Nothing is differentiated in what comes before.
            x = x.detach().set_requires_grad(true);
        }
        activations.push(x.shallow_clone());
        stage = level;
    }
    let last = run_stages(stage..end.stages.len(), &x);
    activations.reverse();
    (run(&end.head, &last, None).to_kind(Kind::Float), activations)
}
