//! Every metric of every method with its interval: one panel a metric, one row a method.

use plotters::{
    coord::Shift,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use super::{Drawing, Drawn, FAINT, INK, Plot, bold, colors, label_width, plot, text};
use crate::{Cell, Estimate, RunManifest, Summary, format, summary};

/// A dot with an interval for every method, in a panel for every metric and for ADCC.
pub fn metrics_plot(manifest: &RunManifest, summary: &Summary) -> Plot {
    plot(&Metrics::new(manifest, summary))
}

struct Metrics<'a> {
    rows: Vec<Row>,
    panels: Vec<Panel<'a>>,
}

/// A line of every panel: a method, or the model that the methods below belong to.
struct Row {
    label: String,
    /// Of a method, its color.
    color: Option<RGBColor>,
}

struct Panel<'a> {
    title: String,
    /// One per row.
    estimates: Vec<Option<&'a Estimate>>,
}

/// Panels beside each other.
const PER_LINE: usize = 4;
const PANEL_WIDTH: u32 = 250;
const ROW_HEIGHT: u32 = 22;
const TITLE_HEIGHT: u32 = 34;
const AXIS_HEIGHT: u32 = 30;
const MARGIN: u32 = 12;

impl<'a> Metrics<'a> {
    fn new(manifest: &RunManifest, summary: &'a Summary) -> Self {
        let colors = colors(manifest);
        let mut rows = vec![];
        let mut cells: Vec<Option<&Cell>> = vec![];
        for model in &manifest.models {
            if manifest.models.len() > 1 {
                rows.push(Row { label: model.name.clone(), color: None });
                cells.push(None);
            }
            for (method, cell) in summary::cells_of(manifest, summary, &model.name) {
                let color = Some(colors[&*method.name]);
                rows.push(Row { label: format::label(method), color });
                cells.push(Some(cell));
            }
        }
        let panel = |title: String, of: &dyn Fn(&'a Cell) -> Option<&'a Estimate>| Panel {
            title,
            estimates: cells.iter().map(|cell| cell.and_then(of)).collect(),
        };
        let mut panels: Vec<Panel<'a>> = manifest
            .metrics
            .iter()
            .enumerate()
            .map(|(i, metric)| panel(format::heading(metric), &|cell| cell.metrics[i].as_ref()))
            .collect();
        panels.push(panel("ADCC ↑".into(), &|cell| cell.adcc.as_ref()));
        panels.retain(|panel| panel.estimates.iter().any(Option::is_some));
        Self { rows, panels }
    }

    fn labels_width(&self) -> u32 {
        label_width(self.rows.iter().map(|row| &*row.label)) + 20
    }

    fn line_height(&self) -> u32 {
        TITLE_HEIGHT + self.rows.len() as u32 * ROW_HEIGHT + AXIS_HEIGHT
    }
}

impl Drawing for Metrics<'_> {
    fn size(&self) -> (u32, u32) {
        let columns = self.panels.len().clamp(1, PER_LINE) as u32;
        let lines = self.panels.len().div_ceil(PER_LINE) as u32;
        (
            self.labels_width() + columns * PANEL_WIDTH + 2 * MARGIN,
            lines.max(1) * self.line_height() + 2 * MARGIN,
        )
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Drawn<B> {
        let area = area.margin(MARGIN, MARGIN, MARGIN, MARGIN);
        for (i, panels) in self.panels.chunks(PER_LINE).enumerate() {
            let top = i as u32 * self.line_height();
            let (_, line) = area.split_vertically(top);
            let (labels, mut rest) = line.split_horizontally(self.labels_width());
            self.draw_labels(&labels)?;
            for panel in panels {
                let (here, right) = rest.split_horizontally(PANEL_WIDTH);
                self.draw_panel(panel, &here)?;
                rest = right;
            }
        }
        Ok(())
    }
}

impl Metrics<'_> {
    fn draw_labels<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Drawn<B> {
        for (row, y) in self.rows.iter().zip(row_centers()) {
            let style = if row.color.is_some() { text(14) } else { bold(14) };
            let style = style.pos(Pos::new(HPos::Right, VPos::Center));
            area.draw_text(&row.label, &style, (self.labels_width() as i32 - 10, y))?;
        }
        Ok(())
    }

    fn draw_panel<B: DrawingBackend>(
        &self,
        panel: &Panel<'_>,
        area: &DrawingArea<B, Shift>,
    ) -> Drawn<B> {
        let centered = |style: TextStyle<'static>| style.pos(Pos::new(HPos::Center, VPos::Center));
        let (left, right) = (14, PANEL_WIDTH as i32 - 18);
        let bottom = (TITLE_HEIGHT + self.rows.len() as u32 * ROW_HEIGHT) as i32;
        let top = TITLE_HEIGHT as i32;
        area.draw_text(&panel.title, &centered(bold(15)), ((left + right) / 2, 14))?;

        let axis = Axis::around(panel.estimates.iter().copied().flatten());
        let x = |value: f64| left + (axis.share(value) * f64::from(right - left)).round() as i32;
        for tick in axis.ticks() {
            let at = x(tick);
            area.draw(&PathElement::new([(at, top), (at, bottom)], FAINT))?;
            area.draw_text(&axis.label(tick), &centered(text(12)), (at, bottom + 12))?;
        }
        for ((row, estimate), y) in self.rows.iter().zip(&panel.estimates).zip(row_centers()) {
            let (Some(color), Some(estimate)) = (row.color, estimate) else {
                continue;
            };
            let (lo, hi) = estimate.ends();
            area.draw(&PathElement::new([(x(lo), y), (x(hi), y)], color.stroke_width(2)))?;
            area.draw(&Circle::new((x(estimate.mean), y), 4, color.filled()))?;
        }
        area.draw(&PathElement::new([(left, bottom), (right, bottom)], INK))
    }
}

/// Where each row's middle is, from the top of a panel.
fn row_centers() -> impl Iterator<Item = i32> {
    (0..).map(|row| (TITLE_HEIGHT + row * ROW_HEIGHT + ROW_HEIGHT / 2) as i32)
}

/// A linear axis in percent that begins and ends at ticks.
struct Axis {
    step: f64,
    /// In steps.
    first: i32,
    last: i32,
}

impl Axis {
    /// The narrowest one with round ticks, two to six of them, that holds all intervals.
    fn around<'a>(estimates: impl Iterator<Item = &'a Estimate>) -> Self {
        let (lo, hi) = estimates
            .map(Estimate::ends)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), e| (lo.min(e.0), hi.max(e.1)));
        let (lo, hi) = if lo <= hi { (lo, hi) } else { (0.0, 1.0) };
        let steps = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5];
        let axis = |step: f64| {
            let first = (lo / step).floor() as i32;
            Self { step, first, last: ((hi / step).ceil() as i32).max(first + 1) }
        };
        steps
            .into_iter()
            .map(axis)
            .find(|axis| axis.last - axis.first <= 5)
            .unwrap_or_else(|| axis(1.0))
    }

    /// Where on the axis a value is, in `[0, 1]`.
    fn share(&self, value: f64) -> f64 {
        (value / self.step - f64::from(self.first)) / f64::from(self.last - self.first)
    }

    fn ticks(&self) -> impl Iterator<Item = f64> + '_ {
        (self.first..=self.last).map(|tick| f64::from(tick) * self.step)
    }

    /// In percent, with the decimals that the step needs.
    fn label(&self, tick: f64) -> String {
        let decimals = usize::from(self.step < 0.0099);
        format!("{:.decimals$} %", 100.0 * tick)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(lo: f64, hi: f64) -> Vec<String> {
        let estimate = Estimate { mean: lo, lo, hi };
        let axis = Axis::around([&estimate].into_iter());
        assert!(axis.share(lo) >= -1e-9 && axis.share(hi) <= 1.0 + 1e-9);
        axis.ticks().map(|tick| axis.label(tick)).collect()
    }

    #[test]
    fn an_axis_has_round_ticks_around_all_intervals() {
        assert_eq!(ticks(0.0, 1.0), ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"]);
        assert_eq!(ticks(0.13, 0.29), ["10 %", "15 %", "20 %", "25 %", "30 %"]);
        assert_eq!(ticks(0.981, 0.984), ["98.1 %", "98.2 %", "98.3 %", "98.4 %"]);
        assert_eq!(ticks(0.5, 0.5), ["50.0 %", "50.1 %"]);
        assert_eq!(ticks(-0.3, 4.0), ["-100 %", "0 %", "100 %", "200 %", "300 %", "400 %"]);
    }
}
