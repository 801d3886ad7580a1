//! Tables that readers of the field know: which columns, in which order, with how many digits.

use crate::{
    Better, Cell, Estimate, MethodEntry, RunManifest, Summary, format::heading, stats::Contrast,
    summary::follows_protocol,
};

/// A table of known shape. Columns that a run did not measure stay empty; a metric is found by what it is, whatever it
/// is called in the sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// Everything that the run measured, in its order, with intervals.
    All,
    /// Drop, increase, deletion, insertion, coherency, complexity, ADCC: the Recipro-CAM poster's and paper's table 1.
    Poster,
    /// Drop, increase, coherency, complexity, ADCC: as in the paper that proposed ADCC (Poppi et al., 2021).
    Adcc,
    /// Average drop and increase in confidence, as fractions: torch-cam's README.
    TorchCam,
}

/// A column of a table.
pub(crate) struct Column {
    pub(crate) heading: String,
    pub(crate) better: Better,
    /// In the manifest's metrics; one past their end is ADCC; `None` where the run did not measure it.
    place: Option<usize>,
    /// As [`Contrast::metric`] has it.
    metric: String,
    /// The metric's name in the registry, or `adcc`.
    kind: String,
}

/// What a metric asks of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Whether the network follows it.
    Faithfulness,
    /// Whether it stays as it is, or goes, with what it explains.
    Robustness,
    /// How much it shows.
    Complexity,
    /// Whether it is where the object is: the metrics that ask for boxes.
    Localization,
    /// Several of these in one number.
    Combined,
}

impl Family {
    /// All, in the order of tables.
    pub const ALL: [Self; 5] = [
        Self::Faithfulness,
        Self::Robustness,
        Self::Complexity,
        Self::Localization,
        Self::Combined,
    ];

    /// In the field's words.
    pub fn heading(self) -> &'static str {
        match self {
            Self::Faithfulness => "Faithfulness",
            Self::Robustness => "Robustness and randomization",
            Self::Complexity => "Complexity",
            Self::Localization => "Localization",
            Self::Combined => "Combined",
        }
    }

    /// Its metrics, by their names in the registry.
    fn metrics(self) -> &'static [&'static str] {
        match self {
            Self::Faithfulness => &[
                "drop",
                "increase",
                "average_gain",
                "deletion",
                "insertion",
                "pixel_flipping",
                "road",
                "sufficiency",
                "infidelity",
            ],
            Self::Robustness => &["coherency", "max_sensitivity", "model_randomization"],
            Self::Complexity => &["complexity", "sparseness", "entropy", "effective_complexity"],
            Self::Localization => &["pointing_game", "energy_pointing_game", "relevance_rank"],
            Self::Combined => &["adcc", "arcc"],
        }
    }
}

/// What a metric asks of a map, by its name in the registry.
pub fn family(kind: &str) -> Option<Family> {
    Family::ALL.into_iter().find(|family| family.metrics().contains(&kind))
}

/// More columns than this do not fit a page, and are shown family by family.
const MAX_COLUMNS: usize = 10;

/// Columns that are shown in one table, with what they have in common where they are not all.
pub(crate) struct Group {
    pub(crate) title: Option<&'static str>,
    pub(crate) columns: Vec<Column>,
}

impl Group {
    /// The heading that a report gives the group's table of one model among some: `resnet18: Complexity`.
    pub(crate) fn heading(&self, model: Option<&str>) -> Option<String> {
        match (model, self.title) {
            (Some(model), Some(title)) => Some(format!("{model}: {title}")),
            (model, title) => model.or(title).map(str::to_owned),
        }
    }
}

/// All in one table, or one for each family where they are too many.
pub(crate) fn grouped(columns: Vec<Column>) -> Vec<Group> {
    if columns.len() <= MAX_COLUMNS {
        return vec![Group { title: None, columns }];
    }
    let titles = Family::ALL.map(|family| Some(family.heading())).into_iter().chain([None]);
    let mut groups: Vec<Group> = titles.map(|title| Group { title, columns: vec![] }).collect();
    for column in columns {
        let title = family(&column.kind).map(Family::heading);
        if let Some(group) = groups.iter_mut().find(|group| group.title == title) {
            group.columns.push(column);
        }
    }
    groups.retain(|group| !group.columns.is_empty());
    for group in &mut groups {
        group.title = group.title.or(Some("Other"));
    }
    groups
}

impl Column {
    pub(crate) fn estimate(&self, cell: &Cell) -> Option<Estimate> {
        cell.metrics.get(self.place?).map_or(cell.adcc, |estimate| *estimate)
    }

    /// The mean with every degenerate map at its worst.
    pub(crate) fn worst(&self, cell: &Cell) -> Option<f64> {
        cell.worst.metrics.get(self.place?).map_or(cell.worst.adcc, |mean| *mean)
    }

    /// Where it stands among the metrics; one past their end is ADCC.
    pub(crate) fn place(&self) -> Option<usize> {
        self.place
    }

    /// The comparison of a model's methods by this column.
    pub(crate) fn contrast<'a>(&self, summary: &'a Summary, model: &str) -> Option<&'a Contrast> {
        summary.methods.iter().find(|c| c.within == model && c.metric == self.metric)
    }
}

impl Preset {
    /// The columns, with or without values in this run.
    pub(crate) fn columns(self, manifest: &RunManifest, summary: &Summary) -> Vec<Column> {
        let adcc = || Column {
            heading: "ADCC ↑".into(),
            better: Better::Higher,
            place: summary
                .cells
                .iter()
                .any(|cell| cell.adcc.is_some())
                .then_some(manifest.metrics.len()),
            metric: "adcc".into(),
            kind: "adcc".into(),
        };
        let measured = |place: usize| {
            let metric = &manifest.metrics[place];
            Column {
                heading: heading(metric),
                better: metric.better,
                place: Some(place),
                metric: metric.name.clone(),
                kind: metric.metric.clone(),
            }
        };
        if self == Self::All {
            let all = (0..manifest.metrics.len()).map(measured);
            return all.chain(Some(adcc()).filter(|column| column.place.is_some())).collect();
        }
        let kinds: &[(&str, &str, Better)] = match self {
            Self::All => &[],
            Self::Poster => &[DROP, INCREASE, DELETION, INSERTION, COHERENCY, COMPLEXITY],
            Self::Adcc => &[DROP, INCREASE, COHERENCY, COMPLEXITY],
            Self::TorchCam => &[DROP, INCREASE],
        };
        let columns = kinds.iter().map(|(kind, heading, better)| {
            // Of several entries of one kind the one that ADCC is made of.
            let places = || {
                let metrics = manifest.metrics.iter().enumerate();
                metrics.filter(|(_, metric)| metric.metric == *kind)
            };
            let place = places()
                .find(|(_, metric)| follows_protocol(manifest, metric))
                .or_else(|| places().next())
                .map(|(place, _)| place);
            place.map_or_else(
                || Column {
                    heading: (*heading).into(),
                    better: *better,
                    place: None,
                    metric: String::new(),
                    kind: (*kind).into(),
                },
                measured,
            )
        });
        columns.chain((self != Self::TorchCam).then(adcc)).collect()
    }

    /// The columns of a table of some cells: where all is printed that was measured, those that nobody has are left out,
    /// as in joined runs.
    pub(crate) fn columns_of(
        self,
        manifest: &RunManifest,
        summary: &Summary,
        rows: &[(&MethodEntry, &Cell)],
    ) -> Vec<Column> {
        let mut columns = self.columns(manifest, summary);
        let has = |column: &Column| rows.iter().any(|(_, cell)| column.estimate(cell).is_some());
        if self == Self::All && columns.iter().any(has) {
            columns.retain(has);
        }
        columns
    }

    /// A mean as the table prints it.
    pub(crate) fn number(self, mean: f64) -> String {
        match self {
            Self::All => format!("{:.1}", 100.0 * mean),
            Self::Poster | Self::Adcc => format!("{:.2}", 100.0 * mean),
            Self::TorchCam => format!("{mean:.4}"),
        }
    }

    /// Half of an interval's width, where the table prints intervals.
    pub(crate) fn half(self, estimate: &Estimate) -> Option<String> {
        estimate.half_width().filter(|_| self == Self::All).map(|half| self.number(half))
    }

    /// How far an interval reaches below and above its mean, where the table prints intervals.
    pub(crate) fn sides(self, estimate: &Estimate) -> Option<[String; 2]> {
        self.lengths(estimate).map(|sides| sides.map(|side| self.number(side)))
    }

    /// Whether one number would misstate both sides of an interval: as printed, they differ by more than a tenth of the
    /// longer one, and by more than one in the last digit.
    pub(crate) fn is_skewed(self, estimate: &Estimate) -> bool {
        self.lengths(estimate).is_some_and(|sides| {
            // Tenths of a percent are the last digit of those tables that print intervals.
            let [below, above] = sides.map(|side| (1000.0 * side).round());
            let apart = (above - below).abs();
            apart > 1.0 && 10.0 * apart > below.max(above)
        })
    }

    /// An interval as text has it behind its mean, where the table prints intervals: `± 7.0`, or where that would misstate
    /// it `[0.7, 15.1]`.
    pub(crate) fn interval(self, estimate: &Estimate) -> Option<String> {
        let (lo, hi) = estimate.interval()?;
        if self.is_skewed(estimate) {
            Some(format!("[{}, {}]", self.number(lo), self.number(hi)))
        } else {
            self.half(estimate).map(|half| format!("± {half}"))
        }
    }

    /// The lengths of an interval's sides. It holds its mean, but for rounding.
    fn lengths(self, estimate: &Estimate) -> Option<[f64; 2]> {
        let (lo, hi) = estimate.interval().filter(|_| self == Self::All)?;
        Some([estimate.mean - lo, hi - estimate.mean].map(|side| side.max(0.0)))
    }

    /// What the numbers are, in a sentence that says how `intervals` are printed; they are by bootstrap over `units`.
    pub(crate) fn unit(self, units: &str, intervals: &str) -> String {
        match self {
            Self::All => format!(
                "Percent; {intervals} (bootstrap over {units}; Wilson's where images say yes or no)."
            ),
            Self::Poster | Self::Adcc => "Percent.".into(),
            Self::TorchCam => "Fractions.".into(),
        }
    }
}

const DROP: (&str, &str, Better) = ("drop", "Drop ↓", Better::Lower);
const INCREASE: (&str, &str, Better) = ("increase", "Increase ↑", Better::Higher);
const DELETION: (&str, &str, Better) = ("deletion", "Deletion ↓", Better::Lower);
const INSERTION: (&str, &str, Better) = ("insertion", "Insertion ↑", Better::Higher);
const COHERENCY: (&str, &str, Better) = ("coherency", "Coherency ↑", Better::Higher);
const COMPLEXITY: (&str, &str, Better) = ("complexity", "Complexity ↓", Better::Lower);

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(kinds: &[&str]) -> Vec<Column> {
        let column = |kind: &&str| Column {
            heading: (*kind).to_owned(),
            better: Better::Lower,
            place: Some(0),
            metric: (*kind).to_owned(),
            kind: (*kind).to_owned(),
        };
        kinds.iter().map(column).collect()
    }

    #[test]
    fn columns_that_do_not_fit_a_page_are_shown_by_family_in_their_order() {
        let ten = ["drop"; 10];
        assert_eq!(grouped(columns(&ten)).len(), 1);
        let many = [
            "drop",
            "entropy",
            "deletion",
            "arcc",
            "road",
            "new",
            "coherency",
            "insertion",
            "complexity",
            "relevance_rank",
            "adcc",
        ];
        let groups = grouped(columns(&many));
        let shown: Vec<(&str, Vec<&str>)> = groups
            .iter()
            .map(|group| {
                let headings = group.columns.iter().map(|column| &*column.heading).collect();
                (group.title.unwrap(), headings)
            })
            .collect();
        assert_eq!(
            shown,
            [
                ("Faithfulness", vec!["drop", "deletion", "road", "insertion"]),
                ("Robustness and randomization", vec!["coherency"]),
                ("Complexity", vec!["entropy", "complexity"]),
                ("Localization", vec!["relevance_rank"]),
                ("Combined", vec!["arcc", "adcc"]),
                ("Other", vec!["new"]),
            ]
        );
    }
}
