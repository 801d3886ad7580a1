//! What a comparison found, and what it says.

use std::{collections::BTreeSet, fmt};

use serde::Serialize;

use super::Limits;
use crate::{Better, counted, format, stats::Difference};

/// What became of one metric of one cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Worse: significant, and larger than allowed.
    Regressed,
    /// No image has a score in both runs.
    Missing,
    /// Better: significant, and larger than noise.
    Improved,
    /// Significant, and too small to matter.
    WithinNoise,
    /// No change is shown.
    Unchanged,
}

impl Verdict {
    /// All of them, the worst first.
    pub const ALL: [Self; 5] =
        [Self::Regressed, Self::Missing, Self::Improved, Self::WithinNoise, Self::Unchanged];

    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Regressed => "regressed",
            Self::Missing => "missing",
            Self::Improved => "improved",
            Self::WithinNoise => "within noise",
            Self::Unchanged => "unchanged",
        }
    }
}

/// What is wrong with the new run, and a gate may fail on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A metric got worse.
    Regressed,
    /// Scores or rows are missing, or more rows failed than before.
    Missing,
    /// More maps are degenerate than before, by more than noise.
    Degenerate,
}

impl Fault {
    /// In a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Regressed => "regressed",
            Self::Missing => "missing",
            Self::Degenerate => "degenerate",
        }
    }
}

/// Two runs, compared cell by cell.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// What the baseline is called.
    pub base: String,
    /// What the new run is called.
    pub new: String,
    /// When the new run was finished, or started where it is not: an RFC 3339 time.
    pub measured: String,
    /// How many images both are about.
    pub n_images: usize,
    /// What counts as a change.
    pub limits: Limits,
    /// What differs: weights, number formats, versions, seeds, which may; and what the new run lacks. One sentence each.
    pub differences: Vec<String>,
    /// Networks that classify more or fewer of the labeled images as labeled than before.
    pub classified: Vec<Classified>,
    /// Networks of which another class is explained than before, for some images.
    pub retargeted: Vec<Retargeted>,
    /// Every metric of every cell of the baseline, in its order.
    pub changes: Vec<Change>,
    /// Metrics that lost the scores of some maps that are fine. Where none is left, the change itself is missing.
    pub unscored: Vec<Unscored>,
    /// Rows without a score, of every cell that has some.
    pub losses: Vec<Loss>,
}

/// A metric of a (model, method) that lost scores of maps that are fine: a drop from a probability of 0, a box that is
/// gone. It is a [`Fault::Missing`], whatever became of the images that are left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unscored {
    /// The model's name in the sweep.
    pub model: String,
    /// The method's name in the sweep.
    pub method: String,
    /// The metric's name in the sweep.
    pub metric: String,
    /// Of how many images.
    pub n: usize,
    /// Out of how many.
    pub n_images: usize,
}

impl fmt::Display for Unscored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { model, method, metric, n, n_images } = self;
        write!(
            f,
            "{metric} of {method} of {model} has no score any more for {n} of {n_images} images"
        )
    }
}

/// How many images a network classifies as they are labeled: explanations of a network that knows less may score better.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Classified {
    /// The network's name in the baseline.
    pub network: String,
    /// Right images of the baseline and of the new run.
    pub n_right: [usize; 2],
    /// Images that both label with the same class.
    pub n: usize,
}

impl fmt::Display for Classified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { network, n_right: [before, now], n } = self;
        write!(f, "{network} classifies {now} of {n} images as labeled, and did {before} before")
    }
}

/// How many images have another explained class than before, as where the predicted class is explained and changed:
/// their two maps do not explain the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Retargeted {
    /// The network's name in the baseline.
    pub network: String,
    /// Images with another explained class.
    pub n_changed: usize,
    /// Images with an explained class in both runs.
    pub n: usize,
}

impl fmt::Display for Retargeted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { network, n_changed, n } = self;
        write!(f, "the explained class of {network} is another one on {n_changed} of {n} images")
    }
}

/// One metric of one (model, method).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The model's name in the sweep.
    pub model: String,
    /// The method's name in the sweep.
    pub method: String,
    /// Whether the method is a control.
    pub is_control: bool,
    /// The metric's name in the sweep, or `adcc`.
    pub metric: String,
    /// Which direction is good.
    pub better: Better,
    /// What became of it.
    pub verdict: Verdict,
    /// The baseline's mean, a fraction, over the images that both scored; over all that it scored where there are none.
    pub base: Option<f64>,
    /// The new mean over the same images; `None` where there are none that both scored.
    pub new: Option<f64>,
    /// New minus baseline, over the images that both scored, with interval and p-values.
    pub difference: Option<Difference>,
    /// Up to which size a change in this direction is noise, in the metric's own unit.
    pub noise: f64,
    /// How far the mean moves with the seed alone, as a standard deviation: where two runs differ in nothing but their
    /// seeds, an image's difference has twice the variance that one seed gives.
    pub seed_deviation: Option<f64>,
}

impl Change {
    /// The baseline's mean, which shares are of.
    pub(super) fn base_mean(&self) -> f64 {
        self.base.unwrap_or(0.0)
    }

    /// Whether it is of a control, to the better or the worse.
    pub(super) fn is_moved_control(&self) -> bool {
        self.is_control && matches!(self.verdict, Verdict::Regressed | Verdict::Improved)
    }

    /// What is wrong with it. A control explains nothing, so it cannot explain worse.
    pub fn fault(&self) -> Option<Fault> {
        match self.verdict {
            Verdict::Regressed => (!self.is_control).then_some(Fault::Regressed),
            Verdict::Missing => Some(Fault::Missing),
            Verdict::Improved | Verdict::WithinNoise | Verdict::Unchanged => None,
        }
    }
}

/// Rows of a (model, method) without a score.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// The model's name in the sweep.
    pub model: String,
    /// The method's name in the sweep.
    pub method: String,
    /// Degenerate maps of the baseline and of the new run.
    pub degenerate: [usize; 2],
    /// Failed rows of the baseline and of the new run.
    pub failed: [usize; 2],
    /// Images that failed in the new run, and not in the baseline: others may have recovered.
    pub newly_failed: usize,
    /// Rows that the new run does not have, where it has others of the cell.
    pub missing: usize,
    /// How many more degenerate maps are within noise: the limit of noise as a share of the images.
    pub tolerated: usize,
}

impl Loss {
    /// What there is more of than before, the worst first: missing and failed rows, and degenerate maps beyond noise.
    pub fn faults(&self) -> Vec<Fault> {
        let missing = (self.missing + self.newly_failed > 0).then_some(Fault::Missing);
        let degenerate = (grown(self.degenerate) > self.tolerated).then_some(Fault::Degenerate);
        missing.into_iter().chain(degenerate).collect()
    }

    /// By how many rows it grew.
    pub(super) fn growth(&self) -> usize {
        grown(self.degenerate) + self.newly_failed + self.missing
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ([old, new], [old_failed, new_failed]) = (self.degenerate, self.failed);
        let (maps, rows) = (counted(old, "degenerate map"), counted(old_failed, "failed row"));
        write!(f, "{maps}, now {new}; {rows}, now {new_failed}")?;
        if self.newly_failed > grown(self.failed) {
            write!(f, ", {} of them not failed before", self.newly_failed)?;
        }
        if self.missing > 0 {
            write!(f, "; {} missing", counted(self.missing, "row"))?;
        }
        Ok(())
    }
}

/// How many there are more than before.
pub(super) fn grown([old, new]: [usize; 2]) -> usize {
    new.saturating_sub(old)
}

impl Comparison {
    /// How many changes have a verdict. Controls are counted where they are missing, the only fault that they can have.
    pub fn count(&self, verdict: Verdict) -> usize {
        let is_counted = |change: &Change| !change.is_control || verdict == Verdict::Missing;
        let counted = self.changes.iter().filter(|change| is_counted(change));
        counted.filter(|change| change.verdict == verdict).count()
    }

    /// How many (model, method) lost scores or rows of some images, and not of all.
    pub(super) fn n_cells_with_losses(&self) -> usize {
        let is_left = |change: &&Change| change.verdict != Verdict::Missing;
        let left: BTreeSet<_> =
            self.changes.iter().filter(is_left).map(|c| (&c.model, &c.method)).collect();
        let of_metrics = self.unscored.iter().map(|unscored| (&unscored.model, &unscored.method));
        let losses = self.losses.iter().filter(|loss| loss.faults().contains(&Fault::Missing));
        let of_rows = losses.map(|loss| (&loss.model, &loss.method));
        of_metrics.chain(of_rows).filter(|cell| left.contains(cell)).collect::<BTreeSet<_>>().len()
    }

    /// How the counts of verdicts go on where scores were lost: `; some scores lost in 2 cells`, else nothing.
    pub fn losses_in_words(&self) -> String {
        match self.n_cells_with_losses() {
            0 => String::new(),
            n => format!("; some scores lost in {}", counted(n, "cell")),
        }
    }

    /// Whether some change, or some loss, is this fault.
    pub fn has(&self, fault: Fault) -> bool {
        self.changes.iter().any(|change| change.fault() == Some(fault))
            || (fault == Fault::Missing && !self.unscored.is_empty())
            || self.losses.iter().any(|loss| loss.faults().contains(&fault))
    }

    /// In a sentence, which changes for the worse might not have been seen: for each metric, ADCC first, the smallest change that
    /// is seen with a power of 80 % under every method without a change, controls aside, where that is more than is
    /// allowed. `None` where every one would have been seen.
    pub fn blind_spot(&self) -> Option<String> {
        let mut all = self.changes.iter().filter_map(|change| change.difference);
        let is_quiet = |change: &&Change| {
            !change.is_control
                && matches!(change.verdict, Verdict::Unchanged | Verdict::WithinNoise)
        };
        // What is allowed must not depend on the direction of a change that is not even significant.
        let allowed = |change: &Change| self.limits.of(&change.metric, true).of(change.base_mean());
        let blind = self.changes.iter().filter(is_quiet).filter_map(|change| {
            let (seen_from, allowed) = (change.difference?.detectable, allowed(change));
            (seen_from > allowed).then_some(Blind { change, seen_from, allowed })
        });
        let mut worst: Vec<Blind<'_>> = vec![];
        for blind in blind {
            match worst.iter_mut().find(|other| other.change.metric == blind.change.metric) {
                Some(other) if blind.blindness() > other.blindness() => *other = blind,
                Some(_) => {}
                None => worst.push(blind),
            }
        }
        worst.sort_by_key(|blind| blind.change.metric != "adcc");
        if worst.is_empty() {
            return None;
        }
        if all.all(|difference| difference.detectable.is_infinite()) {
            return Some(
                "With so few images no change of any size can be seen: take more of them."
                    .to_owned(),
            );
        }
        let (seen, never): (Vec<&Blind<'_>>, Vec<&Blind<'_>>) =
            worst.iter().partition(|blind| blind.seen_from.is_finite());
        let seen: Vec<String> = seen
            .into_iter()
            .map(|Blind { change, seen_from, allowed }| {
                let [from, allowed] = [seen_from, allowed].map(|size| 100.0 * size);
                format!("{} {from:.2} points ({allowed:.2} are allowed)", change.metric)
            })
            .collect();
        let never: Vec<String> = never
            .into_iter()
            .map(|Blind { change, .. }| format!("{} under {}", change.metric, change.method))
            .collect();
        let seen = if seen.is_empty() {
            String::new()
        } else {
            format!(" Smallest detectable changes (80 % power): {}.", seen.join(", "))
        };
        let never = if never.is_empty() {
            String::new()
        } else {
            format!(" No change of {} can be seen at all.", never.join(", "))
        };
        Some(format!("So few images may hide something.{seen}{never}"))
    }

    /// Scores of controls that moved, to the better or the worse.
    pub fn moved_controls(&self) -> Vec<&Change> {
        self.changes.iter().filter(|change| change.is_moved_control()).collect()
    }
}

/// A change that might not have been seen.
struct Blind<'a> {
    change: &'a Change,
    seen_from: f64,
    allowed: f64,
}

impl Blind<'_> {
    /// How much larger a change must be than what is allowed.
    fn blindness(&self) -> f64 {
        self.seen_from / self.allowed
    }
}

/// What moved controls say.
pub const OF_CONTROLS: &str = "Controls moved, which does not fail a gate. They know nothing of what the network \
    learned: the network itself answers otherwise, so that scores of methods moved with it.";

/// A metric as it heads a column, by its name.
pub(super) fn heading(change: &Change) -> String {
    let arrow = format::arrow(change.better);
    format!("{} {arrow}", change.metric)
}
