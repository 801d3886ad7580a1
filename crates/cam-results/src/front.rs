//! Which methods are worth their price: the front of quality and cost, for the page and for the plot.

use crate::{Better, Estimate, MeanCost, stats::ROUNDING};

/// What is counted as the cost of an explanation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Price {
    /// Passes that the definition needs.
    Passes,
    /// Passes that were really run.
    Executed,
    /// Seconds.
    Secs,
}

impl Price {
    /// All of them, by their names in the page's data.
    pub(crate) const ALL: [(&'static str, Self); 3] =
        [("passes", Self::Passes), ("executed", Self::Executed), ("secs", Self::Secs)];

    /// In passes or in seconds; 0 for what is free.
    pub(crate) fn of(self, cost: &MeanCost) -> f64 {
        match self {
            Self::Passes => cost.passes(),
            Self::Executed => cost.executed_forwards,
            Self::Secs => cost.explain_secs,
        }
    }

    /// The same as it is drawn: prices differ by factors, and an axis of factors has no 0.
    pub(crate) fn drawn(self, cost: &MeanCost) -> f64 {
        let least = match self {
            Self::Passes | Self::Executed => 1.0,
            Self::Secs => 1e-6,
        };
        self.of(cost).max(least)
    }
}

/// What a method costs, and how good it is for that.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Offer {
    /// By one [`Price`], not as it is drawn: what is free is cheaper than one pass.
    pub(crate) cost: f64,
    /// A mean score, turned so that more is better.
    pub(crate) quality: f64,
}

impl Offer {
    /// A method's cost and its mean by a metric.
    pub(crate) fn new(price: Price, cost: &MeanCost, score: Estimate, better: Better) -> Self {
        let sign = if better == Better::Higher { 1.0 } else { -1.0 };
        Self { cost: price.of(cost), quality: sign * score.mean }
    }

    /// Whether nobody would take the other: this is better for no more, or as good for less.
    fn beats(self, other: Self) -> bool {
        let gain = self.quality - other.quality;
        (self.cost <= other.cost && gain > ROUNDING)
            || (self.cost < other.cost && gain >= -ROUNDING)
    }
}

/// The places of those that no other beats, the cheapest first; those of one price in their order.
pub(crate) fn front(offers: &[Offer]) -> Vec<usize> {
    let is_beaten = |offer: Offer| offers.iter().any(|other| other.beats(offer));
    let mut front: Vec<usize> = (0..offers.len()).filter(|i| !is_beaten(offers[*i])).collect();
    front.sort_by(|a, b| offers[*a].cost.total_cmp(&offers[*b].cost));
    front
}

#[cfg(test)]
mod tests {
    use super::*;

    fn front_of(offers: &[(f64, f64)]) -> Vec<usize> {
        let offers: Vec<Offer> =
            offers.iter().map(|(cost, quality)| Offer { cost: *cost, quality: *quality }).collect();
        front(&offers)
    }

    fn cost(passes: f64) -> MeanCost {
        MeanCost {
            explain_secs: 0.02 * passes,
            forwards: passes,
            head_forwards: 0.0,
            backwards: 0.0,
            executed_forwards: 0.0,
        }
    }

    #[test]
    fn what_is_free_is_on_the_front_and_keeps_what_is_worse_for_a_pass_off_it() {
        assert_eq!(front_of(&[(1.0, 0.75), (100.0, 0.85), (0.0, 0.83)]), [2, 1]);
        assert_eq!(front_of(&[(0.0, 0.5), (1.0, 0.6)]), [0, 1], "free is cheaper than one pass");
        assert_eq!(front_of(&[(0.0, 0.5), (0.0, 0.6)]), [1]);
    }

    #[test]
    fn better_for_no_more_or_as_good_for_less_is_what_keeps_off_the_front() {
        assert_eq!(front_of(&[(500.0, 0.9), (1.0, 0.5), (49.0, 0.7), (50.0, 0.6)]), [1, 2, 0]);
        assert_eq!(front_of(&[(1.0, 0.5), (2.0, 0.5)]), [0], "the same for more");
        assert_eq!(front_of(&[(2.0, 0.5), (2.0, 0.5)]), [0, 1], "the same for the same");
        assert_eq!(front_of(&[(1.0, 0.5), (2.0, 0.500_001)]), [0], "better by rounding alone");
        assert!(front_of(&[]).is_empty());
    }

    #[test]
    fn a_metric_of_which_less_is_better_is_turned() {
        let score = Estimate { mean: 0.25, lo: 0.2, hi: 0.3 };
        let of = |better| Offer::new(Price::Passes, &cost(3.0), score, better);
        assert_eq!(of(Better::Higher), Offer { cost: 3.0, quality: 0.25 });
        assert_eq!(of(Better::Lower), Offer { cost: 3.0, quality: -0.25 });
    }

    #[test]
    fn what_is_free_is_drawn_at_one_pass_and_at_a_microsecond() {
        let drawn = |passes| -> Vec<f64> {
            Price::ALL.iter().map(|(_, price)| price.drawn(&cost(passes))).collect()
        };
        assert_eq!(drawn(0.0), [1.0, 1.0, 1e-6]);
        assert_eq!(drawn(50.0), [50.0, 1.0, 1.0]);
        assert!(Price::ALL.iter().all(|(_, price)| price.of(&cost(0.0)) <= 0.0));
    }
}
