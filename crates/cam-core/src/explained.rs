//! All that a metric may look at: a subject with its map, and the network's answers about them.

use std::{
    cell::{OnceCell, RefCell},
    collections::{BTreeMap, BTreeSet},
};

use tch::Tensor;

use crate::{
    Answer, Fill, Map, Method, Metric, Order, Probe, Subject,
    perturb::{impute, ranks, ranks_of_pixels},
};

/// A subject with its map: all that a metric may look at.
pub struct Explained<'a> {
    subject: &'a Subject<'a>,
    map: &'a Map,
    method: Option<&'a dyn Method>,
    masked: OnceCell<Subject<'a>>,
    again: OnceCell<Option<Tensor>>,
    ranks: OnceCell<Tensor>,
    answers: RefCell<BTreeMap<Probe, Answer>>,
}

impl<'a> Explained<'a> {
    /// `method` is what made the map, where it can be asked again.
    pub fn new(subject: &'a Subject<'a>, map: &'a Map, method: Option<&'a dyn Method>) -> Self {
        Self {
            subject,
            map,
            method,
            masked: OnceCell::new(),
            again: OnceCell::new(),
            ranks: OnceCell::new(),
            answers: RefCell::default(),
        }
    }

    /// The image and the class.
    pub fn subject(&self) -> &Subject<'a> {
        self.subject
    }

    /// The map under test.
    pub fn map(&self) -> &Map {
        self.map
    }

    /// The explanation image `x ⊙ M`, in normalized space, as a subject of its own; made once for all metrics.
    pub fn masked(&self) -> &Subject<'a> {
        self.masked.get_or_init(|| {
            if self.shows_all() {
                // In another batch, rounding would make a rise or fall of what is the same image.
                self.subject.through(self.subject.classifier())
            } else {
                self.subject.with_image(self.masked_image())
            }
        })
    }

    /// Whether the map is 1 everywhere, as that of a control may be, and the explanation image is the image.
    fn shows_all(&self) -> bool {
        self.map.unit().min().double_value(&[]) >= 1.0
    }

    /// What made the map, where it can be asked again; imported maps were made elsewhere.
    pub fn method(&self) -> Option<&'a dyn Method> {
        self.method
    }

    /// The same method on the explanation image: a raw map `[h, w]`, or `None` where the map was imported; asked once for
    /// all metrics.
    pub fn explain_masked(&self) -> Option<&Tensor> {
        let again = || self.method.map(|method| method.explain(self.masked()));
        self.again.get_or_init(again).as_ref()
    }

    /// A map at the size of the layer under explanation, `[h, w]`: as it is where it has that size, as of most methods that
    /// work at the layer, else averaged.
    pub fn at_layer(&self, map: &Map) -> Tensor {
        let grid = &self.subject.features().size()[2..];
        if map.small().size() == grid {
            map.small().shallow_clone()
        } else {
            map.small().unsqueeze(0).adaptive_avg_pool2d(grid).squeeze_dim(0)
        }
    }

    /// How many cells the layer's grid has.
    pub fn n_cells(&self) -> i64 {
        self.subject.features().size()[2..].iter().product()
    }

    /// The network's answers to probes, in their order. Each is asked once, however many metrics ask for it, and what is
    /// not known yet goes through the network together, [`Classifier::batch`](crate::Classifier::batch) at a time.
    pub fn answers(&self, probes: &[Probe]) -> Vec<Answer> {
        let mut seen = BTreeSet::new();
        let is_new = |probe: &&Probe| self.known(**probe).is_none() && seen.insert(**probe);
        let new: Vec<Probe> = probes.iter().filter(is_new).copied().collect();
        if !new.is_empty() {
            self.ask(&new);
        }
        probes.iter().map(|probe| self.known(*probe).expect("it was asked")).collect()
    }

    /// Runs what several metrics are sure to need in common batches, so that scoring by them finds it known.
    pub fn prepare<'m>(&self, metrics: impl IntoIterator<Item = &'m dyn Metric>) {
        let size = self.subject.size();
        let probes: Vec<Probe> =
            metrics.into_iter().flat_map(|metric| metric.probes(size)).collect();
        self.answers(&probes);
    }

    fn known(&self, probe: Probe) -> Option<Answer> {
        let [height, width] = self.subject.size();
        match probe {
            Probe::Masked if self.shows_all() => Some(self.subject.answer()),
            Probe::Masked => self.masked.get().map(Subject::answer),
            Probe::Kept { pixels: 0, fill, .. } => Some(self.subject.filled(fill)),
            Probe::Kept { pixels, .. } | Probe::Imputed { pixels, .. }
                if pixels == height * width =>
            {
                Some(self.subject.answer())
            }
            Probe::Cells { cells, hidden, fill, .. } if cells == 0 || cells == self.n_cells() => {
                let is_whole = (cells == 0) == hidden;
                Some(if is_whole { self.subject.answer() } else { self.subject.filled(fill) })
            }
            Probe::Kept { .. } | Probe::Imputed { .. } | Probe::Cells { .. } => {
                self.answers.borrow().get(&probe).copied()
            }
        }
    }

    fn ask(&self, probes: &[Probe]) {
        let _no_grad = tch::no_grad_guard();
        let classifier = self.subject.classifier();
        let logits: Vec<Tensor> = probes
            .chunks(classifier.batch() as usize)
            .map(|chunk| {
                let images = self.images(chunk);
                let (features, tokens) = classifier.features_and_tokens(&images);
                let logits = classifier.head_with(&features, tokens.as_ref());
                if let Some(at) = chunk.iter().position(|probe| *probe == Probe::Masked) {
                    // A copy, so that the rest of the batch is not kept.
                    let of = |batch: &Tensor| batch.narrow(0, at as i64, 1).copy();
                    let seen = (of(&features), tokens.as_ref().map(of));
                    let masked = self.subject.with_seen(of(&images), seen, of(&logits));
                    let _ = self.masked.get_or_init(|| masked);
                }
                logits
            })
            .collect();
        let answers = self.subject.answers(&Tensor::cat(&logits, 0));
        self.answers.borrow_mut().extend(probes.iter().copied().zip(answers));
    }

    /// The images of probes, `[N, 3, H, W]`.
    fn images(&self, probes: &[Probe]) -> Tensor {
        let image = self.subject.image();
        let parts: Vec<Tensor> = probes
            .chunk_by(|a, b| Form::of(a) == Form::of(b))
            .map(|alike| match Form::of(&alike[0]) {
                Form::Masked => self.masked_image(),
                Form::Kept(order, fill) => {
                    image.where_self(&self.kept(order, alike), &self.subject.fill(fill))
                }
                Form::Imputed(order) => {
                    impute::images(image, &self.kept(order, alike), self.subject.seed())
                }
                Form::Cells { order, hidden, fill, overlapping } => {
                    let ranks = self.cell_ranks(order, overlapping);
                    let first = ranks.less_tensor(&counts(alike, &ranks));
                    let kept = if hidden { first.logical_not() } else { first };
                    image.where_self(&kept, &self.subject.fill(fill))
                }
            })
            .collect();
        if parts.len() == 1 { parts[0].shallow_clone() } else { Tensor::cat(&parts, 0) }
    }

    fn masked_image(&self) -> Tensor {
        self.subject.image() * self.map.unit()
    }

    /// Which pixels are left, a boolean mask `[N, 1, H, W]`.
    fn kept(&self, order: Order, probes: &[Probe]) -> Tensor {
        let ranks = self.ranks();
        let pixels = counts(probes, ranks);
        match order {
            Order::MostSalient => ranks.less_tensor(&pixels),
            Order::LeastSalient => ranks.greater_equal_tensor(&(ranks.numel() as i64 - pixels)),
        }
    }

    /// The first place of a cell that covers each pixel, in an order of the layer's cells: `[1, 1, H, W]`.
    fn cell_ranks(&self, order: Order, overlapping: bool) -> Tensor {
        let most = ranks(&self.at_layer(self.map));
        let ranks = match order {
            Order::MostSalient => most,
            Order::LeastSalient => self.n_cells() - 1 - most,
        };
        ranks_of_pixels(&ranks, self.subject.size(), overlapping).unsqueeze(0).unsqueeze(0)
    }

    /// The place of every pixel in decreasing order of salience, equal values in row-major order: `[1, 1, H, W]`.
    pub fn ranks(&self) -> &Tensor {
        self.ranks.get_or_init(|| ranks(self.map.unit()).unsqueeze(0).unsqueeze(0))
    }
}

/// What probes have in common that are made together.
#[derive(PartialEq)]
enum Form {
    Masked,
    Kept(Order, Fill),
    Imputed(Order),
    Cells { order: Order, hidden: bool, fill: Fill, overlapping: bool },
}

impl Form {
    fn of(probe: &Probe) -> Self {
        match *probe {
            Probe::Masked => Self::Masked,
            Probe::Kept { order, fill, .. } => Self::Kept(order, fill),
            Probe::Imputed { order, .. } => Self::Imputed(order),
            Probe::Cells { order, hidden, fill, overlapping, .. } => {
                Self::Cells { order, hidden, fill, overlapping }
            }
        }
    }
}

/// How many pixels or cells each probe is about, `[N, 1, 1, 1]`, beside ranks.
fn counts(probes: &[Probe], ranks: &Tensor) -> Tensor {
    let counts: Vec<i64> = probes.iter().filter_map(|probe| probe.count()).collect();
    Tensor::from_slice(&counts).to_device(ranks.device()).view([-1, 1, 1, 1])
}
