//! Mean deletion and insertion curves with bands: one panel a metric and model.

use std::collections::BTreeMap;

use plotters::{
    coord::Shift,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use super::{Drawing, Drawn, FAINT, INK, Plot, bold, colors, label_width, plot, text};
use crate::{Result, Run, format, stats::Units, summary::Z};

/// The mean curve of every method over all images, in a panel for every model and metric that has curves; `None` where
/// none has. The band is 1.96 standard errors of the mean to either side, of classes where classes are drawn.
///
/// # Errors
/// Where the run's curves cannot be read.
pub fn curves_plot(run: &Run) -> Result<Option<Plot>> {
    let curves = Curves::read(run)?;
    Ok((!curves.panels.is_empty()).then(|| plot(&curves)))
}

struct Curves {
    legend: Vec<(String, RGBColor)>,
    panels: Vec<Panel>,
    per_line: usize,
}

struct Panel {
    title: String,
    /// In the order of the legend; a method without curves has none.
    means: Vec<Option<MeanCurve>>,
}

/// The mean of curves of one length, with a band.
pub(crate) struct MeanCurve {
    /// Over how many images.
    pub(crate) n: usize,
    /// At every step.
    pub(crate) mean: Vec<f64>,
    /// Half the band's height at every step; 0 for a single curve, or curves of a single class.
    pub(crate) half_band: Vec<f64>,
}

/// Running means and squared deviations (Welford, 1962) of curves of one length.
#[derive(Default)]
struct Tally {
    n: f64,
    mean: Vec<f64>,
    squares: Vec<f64>,
    /// Of every class with an image, where classes are drawn.
    classes: BTreeMap<usize, Sum>,
}

/// A sum of curves.
#[derive(Clone, Default)]
struct Sum {
    n: f64,
    values: Vec<f64>,
}

/// The mean curve of every (model, metric, method).
pub(crate) fn mean_curves(run: &Run) -> Result<BTreeMap<(String, String, String), MeanCurve>> {
    let mut tallies: BTreeMap<(String, String, String), Tally> = BTreeMap::new();
    let units = Units::of(&run.manifest().images);
    run.visit_curves(|key, curve| {
        let name = (key.model.clone(), curve.metric.clone(), key.method.clone());
        let class = units.unit(&key.image).filter(|_| units.are_classes());
        tallies.entry(name).or_default().add(&curve.values, class);
    })?;
    Ok(tallies.into_iter().map(|(name, tally)| (name, tally.into_mean())).collect())
}

impl Tally {
    fn add(&mut self, values: &[f64], class: Option<usize>) {
        if let Some(class) = class {
            let sum = self.classes.entry(class).or_default();
            sum.n += 1.0;
            sum.values.resize(values.len(), 0.0);
            sum.values.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        }
        self.mean.resize(values.len(), 0.0);
        self.squares.resize(values.len(), 0.0);
        self.n += 1.0;
        for ((value, mean), squares) in values.iter().zip(&mut self.mean).zip(&mut self.squares) {
            let off = value - *mean;
            *mean += off / self.n;
            *squares += off * (value - *mean);
        }
    }

    fn into_mean(self) -> MeanCurve {
        MeanCurve { n: self.n as usize, half_band: self.half_band(), mean: self.mean }
    }

    fn half_band(&self) -> Vec<f64> {
        let n_classes = self.classes.len() as f64;
        let variance = |(i, (mean, squares)): (usize, (&f64, &f64))| {
            if self.classes.is_empty() {
                return squares / (self.n - 1.0).max(1.0) / self.n;
            }
            // As of a ratio: the sum over classes, by the number of their images.
            let off = |sum: &Sum| (sum.values[i] - mean * sum.n).powi(2);
            let squares: f64 = self.classes.values().map(off).sum();
            squares * n_classes / (n_classes - 1.0).max(1.0) / self.n.powi(2)
        };
        let points = self.mean.iter().zip(&self.squares).enumerate();
        points.map(|point| Z * variance(point).sqrt()).collect()
    }
}

impl Curves {
    fn read(run: &Run) -> Result<Self> {
        let manifest = run.manifest();
        let mut means = mean_curves(run)?;
        let colors = colors(manifest);
        let mut panels = vec![];
        let mut per_line = 0;
        for model in &manifest.models {
            let before = panels.len();
            for metric in &manifest.metrics {
                let mut of = |method: &str| {
                    let name = (model.name.clone(), metric.name.clone(), method.to_owned());
                    means.remove(&name)
                };
                let means: Vec<_> =
                    manifest.methods.iter().map(|method| of(&method.name)).collect();
                if means.iter().any(Option::is_some) {
                    let model = match manifest.models.len() {
                        1 => String::new(),
                        _ => format!("{}: ", model.name),
                    };
                    panels.push(Panel { title: model + &format::heading(metric), means });
                }
            }
            per_line = per_line.max(panels.len() - before);
        }
        let legend = manifest
            .methods
            .iter()
            .map(|method| (format::label(method), colors[&*method.name]))
            .collect();
        Ok(Self { legend, panels, per_line })
    }
}

const PANEL_WIDTH: u32 = 460;
const PANEL_HEIGHT: u32 = 360;

impl Drawing for Curves {
    fn size(&self) -> (u32, u32) {
        let lines = self.panels.len().div_ceil(self.per_line) as u32;
        let legend = self.legend.len() as u32 * 22 + 60;
        (
            self.per_line as u32 * PANEL_WIDTH
                + legend_width(self.legend.iter().map(|(name, _)| &**name)),
            (lines * PANEL_HEIGHT + 12).max(legend),
        )
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Drawn<B> {
        let mut below = area.clone();
        for panels in self.panels.chunks(self.per_line) {
            let (line, rest) = below.split_vertically(PANEL_HEIGHT);
            let mut line = line;
            for panel in panels {
                let (here, right) = line.split_horizontally(PANEL_WIDTH);
                self.draw_panel(panel, &here)?;
                line = right;
            }
            below = rest;
        }
        let x = (self.per_line as u32 * PANEL_WIDTH) as i32 + 12;
        draw_legend(area, (x, 44), &self.legend)
    }
}

/// Room for a legend of these names.
pub(super) fn legend_width<'a>(names: impl Iterator<Item = &'a str>) -> u32 {
    label_width(names) + 56
}

/// A colored line and a name below each other.
pub(super) fn draw_legend<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    (x, top): (i32, i32),
    entries: &[(String, RGBColor)],
) -> Drawn<B> {
    let style = text(14).pos(Pos::new(HPos::Left, VPos::Center));
    for ((name, color), y) in entries.iter().zip((top..).step_by(22)) {
        area.draw(&PathElement::new([(x, y), (x + 20, y)], color.stroke_width(3)))?;
        area.draw_text(name, &style, (x + 28, y))?;
    }
    Ok(())
}

impl Curves {
    fn draw_panel<B: DrawingBackend>(
        &self,
        panel: &Panel,
        area: &DrawingArea<B, Shift>,
    ) -> Drawn<B> {
        let highest = panel
            .means
            .iter()
            .flatten()
            .flat_map(|curve| {
                curve.mean.iter().zip(&curve.half_band).map(|(mean, half)| mean + half)
            })
            .fold(0.0, f64::max);
        // Probabilities share the axis from 0 to 1; what exceeds it (logits) gets its own.
        let top = if highest <= 1.0 { 1.0 } else { highest * 1.05 };
        let mut chart = ChartBuilder::on(area)
            .margin(10)
            .caption(&panel.title, bold(16))
            .x_label_area_size(44)
            .y_label_area_size(56)
            .build_cartesian_2d(0.0..1.0, 0.0..top)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(FAINT)
            .axis_style(INK)
            .label_style(text(12))
            .axis_desc_style(text(13))
            .x_labels(6)
            .y_labels(6)
            .x_label_formatter(&|x| format!("{:.0} %", 100.0 * x))
            .y_label_formatter(&|y| format!("{y:.1}"))
            .x_desc("pixels changed")
            .y_desc("confidence in the explained class")
            .draw()?;
        for ((_, color), curve) in self.legend.iter().zip(&panel.means) {
            let Some(curve) = curve else { continue };
            let last = (curve.mean.len() - 1).max(1) as f64;
            let x = |i: usize| i as f64 / last;
            let points = || curve.mean.iter().enumerate().map(|(i, &y)| (x(i), y));
            let edge = |sign: f64| {
                points()
                    .zip(&curve.half_band)
                    .map(move |((x, y), half)| (x, (y + sign * half).clamp(0.0, top)))
            };
            let mut band: Vec<_> = edge(1.0).collect();
            band.extend(edge(-1.0).collect::<Vec<_>>().into_iter().rev());
            chart.plotting_area().draw(&Polygon::new(band, color.mix(0.08).filled()))?;
            let line: Vec<_> = points().collect();
            chart.plotting_area().draw(&PathElement::new(line, color.stroke_width(2)))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_and_the_band_of_three_curves_by_hand() {
        let mut curve = Tally::default();
        for values in [[1.0, 0.0], [2.0, 0.0], [6.0, 0.0]] {
            curve.add(&values, None);
        }
        assert_eq!(curve.mean, [3.0, 0.0]);
        // Variance (4 + 1 + 9) / 2 = 7, standard error sqrt(7 / 3).
        let half = curve.half_band();
        assert!((half[0] - 1.959_963_984_540_054 * (7.0_f64 / 3.0).sqrt()).abs() < 1e-12);
        assert_eq!(half[1].to_bits(), 0.0_f64.to_bits());
    }

    #[test]
    fn the_band_of_two_classes_by_hand() {
        let mut curve = Tally::default();
        for (value, class) in [(1.0, 7), (3.0, 7), (5.0, 9)] {
            curve.add(&[value], Some(class));
        }
        // Sums 4 of two images and 5 of one, off by 4 - 6 = -2 and 5 - 3 = 2: variance (4 + 4) · 2 / 1 / 9.
        let expected = 1.959_963_984_540_054 * 4.0 / 3.0;
        assert!((curve.half_band()[0] - expected).abs() < 1e-12);
        let mut of_one = Tally::default();
        of_one.add(&[1.0], Some(0));
        of_one.add(&[3.0], Some(0));
        assert_eq!(of_one.half_band()[0].to_bits(), 0.0_f64.to_bits());
    }
}
