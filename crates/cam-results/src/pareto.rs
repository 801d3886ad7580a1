//! Which methods are worth their price, for the words, the page and the plot.

use crate::{MeanCost, Summary, stats::Contrast};

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

    /// Whether two are one price: seconds are measured, and passes are counted.
    pub(crate) fn is_same(self, a: f64, b: f64) -> bool {
        match self {
            Self::Secs => a.max(b) <= 1.1 * a.min(b),
            Self::Passes | Self::Executed => (a - b).abs() < 0.5,
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

/// What is worth its price, of all that cost the same.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Worth {
    /// In passes or in seconds.
    pub(crate) cost: f64,
    /// The best method's name, and those of others that are not significantly different from it.
    pub(crate) methods: Vec<String>,
}

/// The methods that are worth their price by a metric, the cheapest first: the best of the cheapest, and the best of those
/// that are significantly better than everything that is cheaper and worth its price. Controls aside, and what has too few
/// images, no mean or no price.
pub(crate) fn worth(summary: &Summary, contrast: &Contrast, price: Price) -> Vec<Worth> {
    let contrast = &contrast.with_enough_images();
    let mut priced = priced(summary, contrast, price);
    priced.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut worth: Vec<Worth> = vec![];
    let mut bests: Vec<usize> = vec![];
    for group in priced.chunk_by(|a, b| price.is_same(a.1, b.1)) {
        let is_better = |method: usize| bests.iter().all(|best| contrast.is_better(method, *best));
        let order =
            contrast.order_of(|i| group.iter().any(|(method, _)| *method == i) && is_better(i));
        let Some(&best) = order.first() else { continue };
        let is_alike = |other: &usize| {
            *other == best
                || contrast.difference(best, *other).is_some() && !contrast.is_better(best, *other)
        };
        let alike = order.into_iter().filter(is_alike);
        worth.push(Worth {
            cost: group[0].1,
            methods: alike.map(|method| contrast.items[method].name.clone()).collect(),
        });
        bests.push(best);
    }
    worth
}

/// The methods that have a mean and a price, with what they cost.
pub(crate) fn priced(summary: &Summary, contrast: &Contrast, price: Price) -> Vec<(usize, f64)> {
    let cost = |method: usize| {
        let name = &contrast.items[method].name;
        let mut cells = summary.cells.iter();
        let cell = cells.find(|cell| (&cell.model, &cell.method) == (&contrast.within, name))?;
        Some((method, price.of(cell.cost.as_ref()?)))
    };
    contrast.methods_in_order().into_iter().filter_map(cost).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Record, summarize,
        testing::{many_images, rows},
    };

    fn cost(passes: f64) -> MeanCost {
        MeanCost {
            explain_secs: 0.02 * passes,
            forwards: passes,
            head_forwards: 0.0,
            backwards: 0.0,
            executed_forwards: 0.0,
        }
    }

    /// The methods worth their price, of CAM, RISE and Recipro-CAM with these passes and drops.
    fn worth_of(offers: [(f64, f64); 3], change: impl Fn(&mut crate::RunManifest)) -> Vec<String> {
        let (mut manifest, _) = many_images(40);
        change(&mut manifest);
        let mut records: Vec<Record> = rows(&manifest).into_iter().map(|row| row.record).collect();
        for (i, record) in records.iter_mut().enumerate() {
            let method = manifest.methods.iter().position(|m| m.name == record.method).unwrap();
            record.status = crate::Status::Ok;
            record.metrics[0] = Some(offers[method].1 + (i as f64 * 1.7).sin() / 50.0);
        }
        let mut summary = summarize(&manifest, &records);
        for (cell, (passes, _)) in summary.cells.iter_mut().zip(offers) {
            cell.cost = Some(cost(passes));
        }
        let worth = worth(&summary, &summary.methods[0], Price::Passes).into_iter();
        worth.map(|worth| worth.methods.join(" or ")).collect()
    }

    #[test]
    fn the_cheapest_is_worth_its_price_and_what_is_better_than_all_that_costs_no_more() {
        let worth = |offers| worth_of(offers, |_| {});
        assert_eq!(worth([(1.0, 0.4), (500.0, 0.1), (50.0, 0.2)]), ["cam", "recipro_cam", "rise"]);
        assert_eq!(worth([(1.0, 0.4), (500.0, 0.2), (50.0, 0.1)]), ["cam", "recipro_cam"]);
        assert_eq!(worth([(1.0, 0.1), (500.0, 0.2), (50.0, 0.3)]), ["cam"]);
        assert_eq!(worth([(1.0, 0.4), (1.0, 0.2), (1.0, 0.3)]), ["rise"], "the best at one price");
        assert_eq!(worth([(1.0, 0.4), (1.0, 0.2), (1.0, 0.2)]), ["rise or recipro_cam"], "alike");
        // At one price the better mean is first, whatever an expensive method says of either.
        assert_eq!(worth([(1.0, 0.4), (9.0, 0.1), (9.0, 0.3)]), ["cam", "rise"]);
    }

    #[test]
    fn what_is_better_by_chance_alone_is_not_worth_more() {
        assert_eq!(worth_of([(1.0, 0.4), (500.0, 0.399), (50.0, 0.4)], |_| {}), ["cam"]);
    }

    #[test]
    fn a_method_of_few_images_is_aside_and_keeps_no_other_off() {
        let (manifest, mut records) = many_images(40);
        for record in &mut records {
            let place: usize = record.image[..5].parse().unwrap();
            let drop = if record.method == "rise" { 0.2 } else { 0.4 };
            record.metrics[0] = Some(drop + (place as f64).sin() / 50.0);
            if record.method == "cam" && place >= 12 {
                record.status = crate::Status::Failed;
            }
        }
        let mut summary = summarize(&manifest, &records);
        for (cell, passes) in summary.cells.iter_mut().zip([1.0, 500.0, 50.0]) {
            cell.cost = Some(cost(passes));
        }
        let worth = worth(&summary, &summary.methods[0], Price::Passes);
        let first: Vec<&str> = worth.iter().map(|worth| worth.methods[0].as_str()).collect();
        assert_eq!(first, ["recipro_cam", "rise"]);
    }

    #[test]
    fn seconds_within_a_tenth_are_one_price_and_passes_are_counted() {
        assert!(Price::Secs.is_same(1.0, 1.09) && !Price::Secs.is_same(1.0, 1.2));
        assert!(Price::Passes.is_same(50.0, 50.0) && !Price::Passes.is_same(50.0, 51.0));
    }

    #[test]
    fn controls_are_aside_however_cheap_and_good() {
        let random =
            |manifest: &mut crate::RunManifest| manifest.methods[0].method = "random".into();
        let offers = [(0.0, 0.1), (500.0, 0.2), (50.0, 0.3)];
        assert_eq!(worth_of(offers, random), ["recipro_cam", "rise"]);
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
