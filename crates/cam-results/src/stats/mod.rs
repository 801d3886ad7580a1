//! What the numbers of a run allow to conclude: intervals, paired comparisons, groups, ranks.
//!
//! Everything is computed from per-image values, and everything is *paired*: methods, models and runs are compared on
//! the images that both have a score for. The pieces:
//!
//! - [`Summary::methods`](crate::Summary::methods) and [`Summary::models`](crate::Summary::models) have one [`Contrast`]
//!   per metric: what is compared, every [`Pair`] with its [`Difference`], the letters of groups that cannot be told
//!   apart, and average [`Ranks`].
//! - [`Contrast::first`] and [`Contrast::second`] say what may be printed bold and underlined.
//! - [`below_controls`] lists the methods that are not significantly better than a control.
//! - [`conclusions`] says in plain sentences what follows and what does not, a [`Topic`] at a time.
//!
//! ```no_run
//! use cam_results::{Run, stats::Difference, summarize};
//!
//! let run = Run::read("results/demo/published".as_ref())?;
//! for contrast in summarize(run.manifest(), run.records()).methods {
//!     for pair in &contrast.pairs {
//!         let Difference { mean, lo, hi, p_holm, .. } = pair.difference;
//!         let [a, b] = [pair.a, pair.b].map(|i| &contrast.items[i].label);
//!         println!("{}: {a} - {b}: {mean} [{lo}, {hi}], p = {p_holm}", contrast.heading);
//!     }
//! }
//! # Ok::<(), cam_results::Error>(())
//! ```

mod contrast;
mod controls;
mod letters;
mod markdown;
mod proportion;
mod ranks;
mod resample;
mod scores;
mod sign_flip;
mod words;

pub use contrast::{Contrast, Item, Pair};
pub(crate) use contrast::{between_methods, between_models};
pub(crate) use controls::{Beaten, beaten, beside_controls};
pub use controls::{BelowControl, below_controls};
pub(crate) use markdown::{conclusions_md, differences_md};
pub(crate) use proportion::share;
pub use ranks::Ranks;
pub(crate) use resample::Units;
pub(crate) use scores::{ROUNDING, Scores, Statistic, Values};
pub use sign_flip::Difference;
pub(crate) use sign_flip::{Paired, corrected};
pub(crate) use words::{
    Best, best, between_networks, equal, listed, no_method_above, nothing, too_few, worth,
};
pub use words::{Topic, conclusions};

/// How often an interval is to hold the truth.
pub(crate) const CONFIDENCE: f64 = 0.95;

/// How often a difference may be claimed where there is none, over the whole table.
pub const ALPHA: f64 = 0.05;

/// How often a real difference of the size that is called detectable would be found.
pub const POWER: f64 = 0.8;

/// How many bootstrap resamples an interval is made of.
pub(crate) const N_RESAMPLES: usize = 2000;

/// The names of methods that know nothing of the network. A method that a metric does not put above a control
/// ([`MethodEntry::is_control`](crate::MethodEntry::is_control)) has not been shown to explain anything.
pub const CONTROLS: [&str; 4] = ["random", "center_gaussian", "sobel", "all_ones"];

/// Metrics, by their kind, that say yes or no of an image: their mean is a share.
pub const YES_OR_NO: [&str; 2] = ["increase", "pointing_game"];

/// The quantile of sorted values, interpolated linearly between neighbors.
pub(crate) fn quantile(sorted: &[f64], q: f64) -> f64 {
    let at = q * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    below + (above - below) * at.fract()
}
