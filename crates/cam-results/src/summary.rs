//! From records to the numbers of a table: means, their intervals, ADCC, accuracy.

use std::{collections::BTreeSet, io::Cursor, path::Path};

use polars::prelude::*;

use crate::{
    Accuracy, Better, Error, MethodEntry, MetricEntry, OverSeeds, Record, Result, RunManifest,
    Status,
    accuracy::AccuracyTally,
    stats::{self, Contrast, Difference, Pair, Scores, Statistic, Values, quantile},
    tables::write_csv,
    worst::{Worst, WorstTally},
};

/// The file's name in a run's folder.
pub(crate) const FILE: &str = "summary.csv";

/// The name of the file of comparisons.
const COMPARISONS: &str = "comparisons.csv";

/// The columns of `summary.csv` that are not metrics; no metric may be called like one of them.
pub(crate) const COLUMNS: [&str; 10] = [
    "n",
    "n_degenerate",
    "n_failed",
    "adcc",
    "adcc_lo",
    "adcc_hi",
    "adcc_per_image_lo",
    "adcc_per_image_hi",
    "adcc_worst",
    "adcc_per_image_worst",
];

/// Below so many scored images, or classes where classes are drawn, a bootstrap is known to give intervals that are too
/// short.
pub const FEW_IMAGES: usize = 30;

/// 0.975 quantile of the normal distribution.
pub(crate) const Z: f64 = 1.959_963_984_540_054;

/// The harmonic mean of coherency, 1 - complexity and 1 - drop, all fractions; 0 where a term is 0.
///
/// Of an image's own values it is the *per-image ADCC*; of a method's mean values it is the ADCC that papers print,
/// which is never smaller than the mean of the former (Poppi et al., 2021).
///
/// ```
/// use cam_results::adcc;
///
/// assert_eq!(adcc(0.5, 0.5, 0.5), 0.5);
/// // An explanation that keeps everything is perfectly coherent, drops nothing, and explains nothing.
/// assert_eq!(adcc(1.0, 1.0, 0.0), 0.0);
/// ```
pub fn adcc(coherency: f64, complexity: f64, drop: f64) -> f64 {
    let terms = [coherency, 1.0 - complexity, 1.0 - drop];
    if terms.iter().any(|&term| term <= 0.0) {
        0.0
    } else {
        3.0 / terms.iter().map(|term| 1.0 / term).sum::<f64>()
    }
}

/// What a run's records say: one cell per (model, layer, method, protocol), and every network's accuracy.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The metrics, in the order of [`Cell::metrics`].
    pub metrics: Vec<String>,
    /// Models, then methods, in the order of the manifest.
    pub cells: Vec<Cell>,
    /// One per model of the manifest.
    pub accuracies: Vec<Accuracy>,
    /// The methods of every model compared with each other, by every metric and by ADCC; models first.
    pub methods: Vec<Contrast>,
    /// The models under every method compared with each other, by every metric and by ADCC; methods first.
    pub models: Vec<Contrast>,
    /// Whether intervals are by bootstrap over classes, and not over images: where there are many classes, and several
    /// images of one.
    pub by_class: bool,
    /// How means move with the seed, where runs of several seeds were joined.
    pub over_seeds: Option<OverSeeds>,
}

/// One method in one model, over all images.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// The model's name in the sweep.
    pub model: String,
    /// The layer under explanation.
    pub layer: String,
    /// The method's name in the sweep.
    pub method: String,
    /// The rules that turn raw maps into scores.
    pub protocol: String,
    /// How many images were scored.
    pub n: usize,
    /// How many maps say nothing.
    pub n_degenerate: usize,
    /// How many images failed.
    pub n_failed: usize,
    /// Mean of each metric over the images that have a value; `None` where none has.
    pub metrics: Vec<Option<Estimate>>,
    /// How many images have a value of each metric.
    pub metrics_n: Vec<usize>,
    /// How many independent units these are: as many, or their classes where classes are resampled.
    pub metrics_units: Vec<usize>,
    /// [`adcc`] of the means; `None` where a part is not measured.
    pub adcc: Option<Estimate>,
    /// Mean of the images' own [`adcc`].
    pub adcc_per_image: Option<Estimate>,
    /// The means under the other policy: every degenerate map with the worst score.
    pub worst: Worst,
    /// What an explanation took, over all images that did not fail.
    pub cost: Option<MeanCost>,
}

impl Cell {
    /// How many rows there are, failures included.
    pub(crate) fn n_rows(&self) -> usize {
        self.n + self.n_degenerate + self.n_failed
    }
}

/// A statistic with its 95 % interval, by percentile-t bootstrap over images, or over classes ([`Summary::by_class`]); a
/// share of images with Wilson's.
///
/// All statistics of a run are made from the same resamples, whose seed is a hash of the images' names: who has the
/// same images gets the same interval, whatever else was measured on them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Of all images.
    pub mean: f64,
    /// The interval's lower end; NaN where there is one image, or one class where classes are drawn, which tells nothing of
    /// others.
    pub lo: f64,
    /// The interval's upper end, or NaN.
    pub hi: f64,
}

impl Estimate {
    /// The interval; `None` where there is none.
    pub fn interval(&self) -> Option<(f64, f64)> {
        (self.lo.is_finite() && self.hi.is_finite()).then_some((self.lo, self.hi))
    }

    /// What a plot draws: the interval, or the mean alone.
    pub(crate) fn ends(&self) -> (f64, f64) {
        self.interval().unwrap_or((self.mean, self.mean))
    }

    /// Half of the interval's width.
    pub(crate) fn half_width(&self) -> Option<f64> {
        self.interval().map(|(lo, hi)| (hi - lo) / 2.0)
    }
}

/// What an explanation took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeanCost {
    /// Median wall-clock seconds.
    pub explain_secs: f64,
    /// Mean passes through the whole network, by the definition.
    pub forwards: f64,
    /// Mean passes through the head alone, by the definition.
    pub head_forwards: f64,
    /// Mean back-propagations, by the definition.
    pub backwards: f64,
    /// Mean passes that were really run.
    pub executed_forwards: f64,
}

impl MeanCost {
    /// All passes that the definition needs, forwards and backwards, network and head.
    pub fn passes(&self) -> f64 {
        self.forwards + self.head_forwards + self.backwards
    }
}

/// Sums up the records of a run, complete or not.
pub fn summarize(manifest: &RunManifest, records: &[Record]) -> Summary {
    let mut tally = Tally::of(manifest);
    for record in records {
        tally.add(record);
    }
    tally.summary()
}

/// The records of a run as they come, as far as its summary needs them: a large run's records are not held at once.
#[derive(Debug)]
pub(crate) struct Tally<'a> {
    manifest: &'a RunManifest,
    values: Values<'a>,
    /// Models, then methods, in the order of the manifest.
    cells: Vec<CellTally>,
    accuracies: AccuracyTally<'a>,
}

/// The records of a cell, as far as its summary needs them.
#[derive(Clone, Debug, Default)]
struct CellTally {
    n: usize,
    n_degenerate: usize,
    n_failed: usize,
    worst: WorstTally,
    explain_secs: Vec<f64>,
    /// Sums of the four counts of passes, in the order of [`MeanCost`].
    passes: [f64; 4],
}

impl CellTally {
    fn add(&mut self, manifest: &RunManifest, record: &Record) {
        match record.status {
            Status::Ok => self.n += 1,
            Status::Degenerate => self.n_degenerate += 1,
            Status::Failed => self.n_failed += 1,
        }
        self.worst.add(manifest, record);
        if record.status != Status::Failed {
            self.explain_secs.push(record.explain_secs);
            let Record { forwards, head_forwards, backwards, executed_forwards, .. } = record;
            let passes = [forwards, head_forwards, backwards, executed_forwards];
            for (sum, n) in self.passes.iter_mut().zip(passes) {
                *sum += *n as f64;
            }
        }
    }

    fn cost(&self) -> Option<MeanCost> {
        let mut secs = self.explain_secs.clone();
        secs.sort_by(f64::total_cmp);
        let n = secs.len() as f64;
        let [forwards, head_forwards, backwards, executed_forwards] =
            self.passes.map(|sum| sum / n);
        (!secs.is_empty()).then(|| MeanCost {
            explain_secs: quantile(&secs, 0.5),
            forwards,
            head_forwards,
            backwards,
            executed_forwards,
        })
    }
}

impl<'a> Tally<'a> {
    pub(crate) fn of(manifest: &'a RunManifest) -> Self {
        Self {
            manifest,
            values: Values::of(manifest),
            cells: vec![CellTally::default(); manifest.models.len() * manifest.methods.len()],
            accuracies: AccuracyTally::of(manifest),
        }
    }

    pub(crate) fn add(&mut self, record: &Record) {
        if let Some(cell) = self.values.add(record) {
            self.cells[cell].add(self.manifest, record);
        }
        self.accuracies.add(record);
    }

    /// All that they say.
    pub(crate) fn summary(self) -> Summary {
        let manifest = self.manifest;
        let (summary, scores) = self.cells();
        Summary {
            methods: stats::between_methods(manifest, &scores, &summary.cells),
            models: stats::between_models(manifest, &scores, &summary.cells),
            ..summary
        }
    }

    /// What they say of each cell alone, and what comparisons are made of: there are hundreds for each cell.
    pub(crate) fn cells(self) -> (Summary, Scores) {
        let Self { manifest, values, cells: tallies, accuracies } = self;
        let scores = values.scores();
        // The column after the metrics is the per-image ADCC.
        let n_metrics = manifest.metrics.len();
        let mut statistics: Vec<Statistic> = (0..=n_metrics).map(Statistic::Mean).collect();
        statistics.extend(adcc_parts(manifest).map(Statistic::Adcc));
        let estimates = scores.estimates(&statistics);
        let entries = manifest
            .models
            .iter()
            .flat_map(|model| manifest.methods.iter().map(move |method| (model, method)));
        let cells = entries.zip(&tallies).zip(estimates).enumerate().map(|(i, entry)| {
            let (((model, method), tally), estimates) = entry;
            let n_of = |metric| scores.n(i, Statistic::Mean(metric));
            let n_units_of = |metric| scores.n_units(i, Statistic::Mean(metric));
            Cell {
                model: model.name.clone(),
                layer: model.layer.clone(),
                method: method.name.clone(),
                protocol: method.protocol.clone(),
                n: tally.n,
                n_degenerate: tally.n_degenerate,
                n_failed: tally.n_failed,
                metrics: estimates[..n_metrics].to_vec(),
                metrics_n: (0..n_metrics).map(n_of).collect(),
                metrics_units: (0..n_metrics).map(n_units_of).collect(),
                adcc: estimates.get(n_metrics + 1).copied().flatten(),
                adcc_per_image: estimates[n_metrics],
                worst: tally
                    .worst
                    .means(manifest, |column, image| scores.is_defined(column, image)),
                // Imported maps have been made elsewhere, at a cost that nobody here knows.
                cost: if method.is_imported() { None } else { tally.cost() },
            }
        });
        let summary = Summary {
            metrics: manifest.metrics.iter().map(|metric| metric.name.clone()).collect(),
            cells: cells.collect(),
            accuracies: accuracies.accuracies(),
            methods: vec![],
            models: vec![],
            by_class: scores.are_classes(),
            over_seeds: None,
        };
        (summary, scores)
    }
}

/// The ADCC that a row's own scores make; `None` where the run has none, or the row lacks a score of its parts.
pub fn adcc_of(manifest: &RunManifest, row: &Record) -> Option<f64> {
    let [coherency, complexity, drop] = adcc_parts(manifest)?.map(|part| row.metrics[part]);
    Some(adcc(coherency?, complexity?, drop?))
}

/// Where coherency, complexity and drop stand among the metrics of a run. Of several entries of one kind the first counts
/// that follows the sweep's protocol, so that no ADCC mixes two.
pub(crate) fn adcc_parts(manifest: &RunManifest) -> Option<[usize; 3]> {
    let first = |kind: &str| {
        let is_it =
            |metric: &MetricEntry| metric.metric == kind && follows_protocol(manifest, metric);
        manifest.metrics.iter().position(is_it)
    };
    Some([first("coherency")?, first("complexity")?, first("drop")?])
}

/// Whether a metric is computed by the rules of the sweep's protocol, whatever departs from them.
pub(crate) fn follows_protocol(manifest: &RunManifest, metric: &MetricEntry) -> bool {
    let mut words = metric.protocol.split('+');
    words.next() == Some(manifest.protocol.name.as_str())
        && words.all(|word| !word.starts_with("metric="))
}

impl Summary {
    /// How many networks there are: models that differ in their layer alone are one.
    pub(crate) fn n_networks(&self) -> usize {
        let networks: BTreeSet<&str> = self.accuracies.iter().map(Accuracy::network).collect();
        networks.len()
    }

    /// What is drawn, and so counted where there are too few: `images`, or `classes`.
    pub(crate) fn units(&self) -> &'static str {
        if self.by_class { "classes" } else { "images" }
    }

    /// So many [`units`](Self::units), in words.
    pub(crate) fn counted_units(&self, n: usize) -> String {
        let one = if self.by_class { "class" } else { "image" };
        if n == 1 { format!("1 {one}") } else { format!("{n} {}", self.units()) }
    }

    /// The methods of a model compared by a metric, or by `adcc`.
    pub(crate) fn methods_by(&self, model: &str, metric: &str) -> Option<&Contrast> {
        self.methods.iter().find(|contrast| contrast.within == model && contrast.metric == metric)
    }

    /// Writes `summary.csv` into a run's folder.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        write_csv(&folder.join(FILE), &mut self.frame())
    }

    /// Writes `comparisons.csv` into a run's folder: every pair of methods and of models by every metric, in fractions.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write_comparisons(&self, folder: &Path) -> Result<()> {
        write_csv(&folder.join(COMPARISONS), &mut self.comparisons())
    }

    fn comparisons(&self) -> DataFrame {
        let methods = self.methods.iter().map(|contrast| ("methods", contrast));
        let models = self.models.iter().map(|contrast| ("models", contrast));
        let contrasts = methods.chain(models);
        let compared: Vec<&str> = contrasts
            .clone()
            .flat_map(|(compared, contrast)| contrast.pairs.iter().map(move |_| compared))
            .collect();
        let pairs: Vec<(&Contrast, &Pair)> = contrasts
            .flat_map(|(_, contrast)| contrast.pairs.iter().map(move |pair| (contrast, pair)))
            .collect();
        let text = |name: &str, of: &dyn Fn(&Contrast, &Pair) -> String| {
            let column: Vec<String> =
                pairs.iter().map(|(contrast, pair)| of(contrast, pair)).collect();
            Column::new(name.into(), column)
        };
        let number = |name: &str, of: fn(&Difference) -> f64| {
            let column = pairs.iter().map(|(_, pair)| of(&pair.difference));
            let column: Vec<Option<f64>> =
                column.map(|number| number.is_finite().then_some(number)).collect();
            Column::new(name.into(), column)
        };
        let n: Vec<u64> = pairs.iter().map(|(_, pair)| pair.difference.n as u64).collect();
        let columns = vec![
            Column::new("compared".into(), compared),
            text("within", &|contrast, _| contrast.within.clone()),
            text("metric", &|contrast, _| contrast.metric.clone()),
            text("better", &|contrast, _| match contrast.better {
                Better::Higher => "higher".into(),
                Better::Lower => "lower".into(),
            }),
            text("first", &|contrast, pair| contrast.items[pair.a].name.clone()),
            text("second", &|contrast, pair| contrast.items[pair.b].name.clone()),
            Column::new("n".into(), n),
            number("difference", |difference| difference.mean),
            number("difference_lo", |difference| difference.lo),
            number("difference_hi", |difference| difference.hi),
            number("p", |difference| difference.p),
            number("p_holm", |difference| difference.p_holm),
            number("detectable", |difference| difference.detectable),
        ];
        DataFrame::new(pairs.len(), columns).expect("columns of distinct names and one length")
    }

    /// Holds `summary.csv` of a folder against this summary.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn check(&self, folder: &Path) -> Result<TableCheck> {
        check(&folder.join(FILE), &mut self.frame(), |column| {
            column.ends_with("_lo") || column.ends_with("_hi")
        })
    }

    /// Holds `comparisons.csv` of a folder against this summary; none is as good as the right one.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn check_comparisons(&self, folder: &Path) -> Result<TableCheck> {
        let path = folder.join(COMPARISONS);
        if !path.exists() {
            return Ok(TableCheck::Same);
        }
        check(&path, &mut self.comparisons(), |column| {
            ["difference_lo", "difference_hi", "p", "p_holm", "detectable"].contains(&column)
        })
    }

    /// One row per cell: the table of `summary.csv`. Costs are means, `explain_secs` is the median.
    pub fn frame(&self) -> DataFrame {
        let cells = &self.cells;
        let text = |name: &str, of: fn(&Cell) -> &str| {
            Column::new(name.into(), cells.iter().map(of).collect::<Vec<_>>())
        };
        let count = |name: &str, of: fn(&Cell) -> usize| {
            Column::new(name.into(), cells.iter().map(|cell| of(cell) as u64).collect::<Vec<_>>())
        };
        let number = |name: &str, of: &dyn Fn(&Cell) -> Option<f64>| {
            Column::new(name.into(), cells.iter().map(of).collect::<Vec<_>>())
        };
        let estimate = |name: &str, of: &dyn Fn(&Cell) -> Option<Estimate>| {
            [
                number(name, &|cell| of(cell).map(|e| e.mean)),
                number(&format!("{name}_lo"), &|cell| of(cell)?.interval().map(|(lo, _)| lo)),
                number(&format!("{name}_hi"), &|cell| of(cell)?.interval().map(|(_, hi)| hi)),
            ]
        };
        let cost =
            |name: &str, of: fn(&MeanCost) -> f64| number(name, &|cell| cell.cost.as_ref().map(of));
        let mut columns = vec![
            text("model", |cell| &cell.model),
            text("layer", |cell| &cell.layer),
            text("method", |cell| &cell.method),
            text("protocol", |cell| &cell.protocol),
            count("n", |cell| cell.n),
            count("n_degenerate", |cell| cell.n_degenerate),
            count("n_failed", |cell| cell.n_failed),
        ];
        for (i, metric) in self.metrics.iter().enumerate() {
            columns.extend(estimate(metric, &|cell| cell.metrics[i]));
            columns.push(number(&format!("{metric}_worst"), &|cell| cell.worst.metrics[i]));
        }
        columns.extend(estimate("adcc", &|cell| cell.adcc));
        columns.push(number("adcc_worst", &|cell| cell.worst.adcc));
        columns.extend(estimate("adcc_per_image", &|cell| cell.adcc_per_image));
        columns.push(number("adcc_per_image_worst", &|cell| cell.worst.adcc_per_image));
        columns.extend([
            cost("explain_secs", |cost| cost.explain_secs),
            cost("forwards", |cost| cost.forwards),
            cost("head_forwards", |cost| cost.head_forwards),
            cost("backwards", |cost| cost.backwards),
            cost("executed_forwards", |cost| cost.executed_forwards),
        ]);
        DataFrame::new(cells.len(), columns).expect("columns of distinct names and one length")
    }
}

/// The cells of a model that the plan has, with their methods, in the manifest's order.
pub(crate) fn cells_of<'m, 's>(
    manifest: &'m RunManifest,
    summary: &'s Summary,
    model: &'m str,
) -> impl Iterator<Item = (&'m MethodEntry, &'s Cell)> {
    let cells = summary.cells.iter().filter(move |cell| cell.model == model);
    cells.filter_map(move |cell| {
        let is_its = |method: &&MethodEntry| {
            method.name == cell.method && method.protocol == cell.protocol && method.runs_on(model)
        };
        Some((manifest.methods.iter().find(is_its)?, cell))
    })
}

/// How a table in a run's folder stands to the run's records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableCheck {
    /// It is what they make, byte for byte.
    Same,
    /// Its counts and means are theirs, its intervals, p-values or columns are not: another build may compute these
    /// otherwise, and write others.
    OtherStatistics,
    /// It has other counts or means.
    OtherMeans,
}

fn check(
    path: &Path,
    frame: &mut DataFrame,
    is_statistic: impl Fn(&str) -> bool,
) -> Result<TableCheck> {
    let expected = written(path, frame)?;
    let found = std::fs::read(path).map_err(|source| Error::read(path, source))?;
    if found == expected {
        return Ok(TableCheck::Same);
    }
    let [found, expected] = [fields(path, &found)?, fields(path, &expected)?];
    let is_held = |column: &Column| match found.column(column.name()) {
        Ok(found) => is_statistic(column.name()) || found.equals_missing(column),
        // An earlier build had fewer.
        Err(_absent) => true,
    };
    let are_held = found.height() == expected.height() && expected.columns().iter().all(is_held);
    Ok(if are_held { TableCheck::OtherStatistics } else { TableCheck::OtherMeans })
}

/// What a file holds once a frame is written to it.
fn written(path: &Path, frame: &mut DataFrame) -> Result<Vec<u8>> {
    let mut bytes = vec![];
    CsvWriter::new(&mut bytes).finish(frame).map_err(|error| damaged(path, &error))?;
    Ok(bytes)
}

/// The fields of a table as they are written.
fn fields(path: &Path, table: &[u8]) -> Result<DataFrame> {
    CsvReadOptions::default()
        .with_infer_schema_length(Some(0))
        .into_reader_with_file_handle(Cursor::new(table))
        .finish()
        .map_err(|error| damaged(path, &error))
}

fn damaged(path: &Path, error: &PolarsError) -> Error {
    Error::Damaged { path: path.to_path_buf(), message: error.to_string() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        ImageEntry,
        testing::{manifest, rows},
    };

    fn close(got: f64, want: f64, tolerance: f64) {
        assert!((got - want).abs() <= tolerance, "{got} is not {want}");
    }

    #[test]
    fn adcc_of_the_toy_network_by_hand() {
        close(adcc(0.975_790_936_5, 0.468_75, 0.004_825_259_8), 0.766_868_954_5, 1e-10);
    }

    #[test]
    fn adcc_is_the_common_value_of_equal_terms_and_0_where_one_is_0() {
        close(adcc(0.4, 0.6, 0.6), 0.4, 1e-15);
        for zero in [adcc(0.0, 0.5, 0.5), adcc(0.5, 1.0, 0.5), adcc(0.5, 0.5, 1.0)] {
            assert_eq!(zero.to_bits(), 0.0_f64.to_bits());
        }
        // A map of ones with one hole scores almost nothing, though it looks perfect on two of three terms.
        close(adcc(1.0, 1.0 - 1.0 / 50176.0, 0.0), 3.0 / 50178.0, 1e-15);
    }

    proptest! {
        #[test]
        fn the_mean_of_the_images_adcc_is_never_above_the_adcc_of_the_means(
            images in prop::collection::vec((0.0..=1.0, 0.0..=1.0, 0.0..=1.0), 1..30),
        ) {
            let mean = |of: &dyn Fn(&(f64, f64, f64)) -> f64| images.iter().map(of).sum::<f64>() / images.len() as f64;
            let per_image = mean(&|&(a, b, c)| adcc(a, b, c));
            let of_means = adcc(mean(&|image| image.0), mean(&|image| image.1), mean(&|image| image.2));
            prop_assert!(per_image <= of_means + 1e-12, "{per_image} > {of_means}");
        }
    }

    #[test]
    fn cells_count_failures_apart_and_average_the_rest() {
        let manifest = manifest();
        let records: Vec<Record> = rows(&manifest).into_iter().map(|row| row.record).collect();
        let summary = summarize(&manifest, &records);
        assert_eq!(summary.cells.len(), 3);
        let counts: Vec<_> = summary
            .cells
            .iter()
            .map(|cell| (&*cell.method, cell.n, cell.n_degenerate, cell.n_failed))
            .collect();
        assert_eq!(counts, [("cam", 3, 0, 0), ("rise", 1, 1, 1), ("recipro_cam", 3, 0, 0)]);

        let cam: Vec<&Record> = records.iter().filter(|record| record.method == "cam").collect();
        let mean =
            |i: usize| cam.iter().map(|record| record.metrics[i].unwrap()).sum::<f64>() / 3.0;
        let cell = &summary.cells[0];
        close(cell.metrics[0].unwrap().mean, mean(0), 1e-15);
        close(cell.adcc.unwrap().mean, adcc(mean(2), mean(3), mean(0)), 1e-15);
        assert!(cell.adcc_per_image.unwrap().mean < cell.adcc.unwrap().mean);
        let cost = cell.cost.unwrap();
        close(cost.explain_secs, 0.004, 1e-12);
        close(cost.executed_forwards, 3.0, 1e-12);
        // A degenerate map was paid for, a failed one was not: rows 1 and 4, not 7.
        close(summary.cells[1].cost.unwrap().explain_secs, (0.002 + 0.005) / 2.0, 1e-12);
        // Images a (predicted 0), b (1) and c (0) have label 1; one row of each lacks it, which does not matter.
        assert_eq!((summary.accuracies[0].n_right, summary.accuracies[0].n), (1, 3));
    }

    #[test]
    fn a_metric_without_values_is_empty_and_so_is_adcc_without_its_parts() {
        let mut manifest = manifest();
        let mut records: Vec<Record> = rows(&manifest).into_iter().map(|row| row.record).collect();
        for record in &mut records {
            record.metrics[2] = None;
        }
        let cell = &summarize(&manifest, &records).cells[0];
        assert_eq!((cell.metrics[2], cell.adcc), (None, None));
        assert!(cell.adcc_per_image.is_some());

        // The name in the sweep does not matter, the kind of metric does.
        manifest.metrics[0].name = "fall".into();
        manifest.metrics[2].metric = "coherency_of_another_kind".into();
        let records: Vec<Record> = rows(&manifest).into_iter().map(|row| row.record).collect();
        assert_eq!(summarize(&manifest, &records).cells[0].adcc, None);
        manifest.metrics[2].metric = "coherency".into();
        assert!(summarize(&manifest, &records).cells[0].adcc.is_some());
    }

    #[test]
    fn adcc_is_made_of_metrics_of_the_sweeps_own_protocol() {
        let mut manifest = manifest();
        manifest.metrics[0].protocol = "corrected+target=label".into();
        assert_eq!(adcc_parts(&manifest), Some([2, 3, 0]));
        manifest.metrics[0].protocol = "corrected+target=label+metric=byun-2022".into();
        assert_eq!(adcc_parts(&manifest), None);
        manifest.metrics[0].protocol = "byun-2022".into();
        assert_eq!(adcc_parts(&manifest), None);
        let own = MetricEntry {
            name: "fall".into(),
            protocol: "corrected".into(),
            ..manifest.metrics[0].clone()
        };
        manifest.metrics.push(own);
        assert_eq!(adcc_parts(&manifest), Some([2, 3, 4]));
    }

    #[test]
    fn the_summary_table_stays_as_it_is() {
        let manifest = manifest();
        let records: Vec<Record> = rows(&manifest).into_iter().map(|row| row.record).collect();
        let mut csv = vec![];
        CsvWriter::new(&mut csv).finish(&mut summarize(&manifest, &records).frame()).unwrap();
        insta::assert_snapshot!(String::from_utf8(csv).unwrap());
    }

    #[test]
    fn comparisons_are_those_of_the_summary_or_not_there() {
        let manifest = manifest();
        let mut records: Vec<Record> = rows(&manifest).into_iter().map(|row| row.record).collect();
        let summary = summarize(&manifest, &records);
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(summary.check_comparisons(folder.path()).unwrap(), TableCheck::Same);
        summary.write_comparisons(folder.path()).unwrap();
        assert_eq!(summary.check_comparisons(folder.path()).unwrap(), TableCheck::Same);
        let check_with = |column: &str| {
            let mut frame = summary.comparisons();
            let column = frame.column(column).unwrap().f64().unwrap();
            let moved = column.apply_values(|value| value / 2.0).into_column();
            frame.with_column(moved).unwrap();
            write_csv(&folder.path().join(COMPARISONS), &mut frame).unwrap();
            summary.check_comparisons(folder.path()).unwrap()
        };
        assert_eq!(check_with("p_holm"), TableCheck::OtherStatistics);
        assert_eq!(check_with("difference"), TableCheck::OtherMeans);
        summary.write_comparisons(folder.path()).unwrap();
        records[0].metrics[0] = Some(0.123);
        let other = summarize(&manifest, &records);
        assert_eq!(other.check_comparisons(folder.path()).unwrap(), TableCheck::OtherMeans);
    }

    #[test]
    fn other_intervals_leave_the_means_what_they_are() {
        let manifest = manifest();
        let records: Vec<Record> = rows(&manifest).into_iter().map(|row| row.record).collect();
        let summary = summarize(&manifest, &records);
        let folder = tempfile::tempdir().unwrap();
        let check_with = |column: &str| {
            let mut frame = summary.frame();
            let column = frame.column(column).unwrap().f64().unwrap();
            let moved = column.apply_values(|value| value + 0.125).into_column();
            frame.with_column(moved).unwrap();
            let table = written(Path::new(FILE), &mut frame).unwrap();
            std::fs::write(folder.path().join(FILE), table).unwrap();
            summary.check(folder.path()).unwrap()
        };
        assert_eq!(check_with("adcc_lo"), TableCheck::OtherStatistics);
        for mean in ["adcc", "adcc_worst", "explain_secs"] {
            assert_eq!(check_with(mean), TableCheck::OtherMeans, "{mean}");
        }
        let path = folder.path().join(FILE);
        let table = written(&path, &mut summary.frame().head(Some(2))).unwrap();
        std::fs::write(&path, table).unwrap();
        assert_eq!(summary.check(folder.path()).unwrap(), TableCheck::OtherMeans);
        std::fs::write(&path, "").unwrap();
        assert!(summary.check(folder.path()).is_err());
    }

    #[test]
    fn a_run_without_rows_has_empty_cells() {
        let mut manifest = manifest();
        manifest.images =
            vec![ImageEntry { image: "a.jpg".into(), sha256: None, label: None, boxes: vec![] }];
        let summary = summarize(&manifest, &[]);
        assert!(
            summary
                .cells
                .iter()
                .all(|cell| cell.n == 0 && cell.cost.is_none() && cell.adcc.is_none())
        );
        assert_eq!(summary.accuracies[0].share, None);
    }
}
