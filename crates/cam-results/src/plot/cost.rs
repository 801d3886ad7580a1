//! Quality against cost: ADCC over the passes that an explanation needs.

use plotters::{coord::Shift, prelude::*};

use super::{
    Drawing, Drawn, FAINT, INK, Plot, colors,
    curves::{draw_legend, legend_width},
    plot, text,
};
use crate::{Estimate, RunManifest, Summary, report};

/// ADCC of every method with its interval over the passes through the network that its definition needs (forwards, head
/// forwards and backwards), which grow by factors; `None` without ADCC.
pub fn cost_plot(manifest: &RunManifest, summary: &Summary) -> Option<Plot> {
    let colors = colors(manifest);
    let mut points = vec![];
    for (m, model) in manifest.models.iter().enumerate() {
        for (method, cell) in report::cells_of(manifest, summary, &model.name) {
            if let (Some(adcc), Some(cost)) = (cell.adcc, cell.cost) {
                points.push(Point {
                    model: m,
                    color: colors[&*method.name],
                    passes: cost.passes().max(1.0),
                    adcc,
                });
            }
        }
    }
    let legend = manifest
        .methods
        .iter()
        .map(|method| (report::label(method), colors[&*method.name]))
        .collect();
    let models = manifest.models.iter().map(|model| model.name.clone()).collect();
    (!points.is_empty()).then(|| plot(&Cost { points, legend, models }))
}

struct Cost {
    points: Vec<Point>,
    legend: Vec<(String, RGBColor)>,
    models: Vec<String>,
}

struct Point {
    /// Its number among the models.
    model: usize,
    color: RGBColor,
    passes: f64,
    adcc: Estimate,
}

const CHART_WIDTH: u32 = 690;
const HEIGHT: u32 = 460;

impl Drawing for Cost {
    fn size(&self) -> (u32, u32) {
        let names =
            self.legend.iter().map(|(name, _)| name).chain(&self.models).map(String::as_str);
        let entries = self.legend.len() + self.models.len() + 1;
        (CHART_WIDTH + legend_width(names), HEIGHT.max(entries as u32 * 22 + 60))
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Drawn<B> {
        let (chart_area, _) = area.split_horizontally(CHART_WIDTH);
        let (chart_area, _) = chart_area.split_vertically(HEIGHT);
        let most = self.points.iter().map(|point| point.passes).fold(10.0, f64::max);
        let lowest = self.points.iter().map(|point| point.adcc.lo).fold(1.0, f64::min);
        let highest = self.points.iter().map(|point| point.adcc.hi).fold(0.0, f64::max);
        let mut chart = ChartBuilder::on(&chart_area)
            .margin(14)
            .x_label_area_size(44)
            .y_label_area_size(60)
            .build_cartesian_2d(
                (0.8..most * 1.4).log_scale(),
                (lowest - 0.02).max(0.0)..(highest + 0.02).min(1.0),
            )?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(FAINT)
            .axis_style(INK)
            .label_style(text(12))
            .axis_desc_style(text(13))
            .y_labels(6)
            .x_label_formatter(&|x| format!("{x:.0}"))
            .y_label_formatter(&|y| format!("{:.0} %", 100.0 * y))
            .x_desc("passes through the network for one explanation")
            .y_desc("ADCC ↑")
            .draw()?;
        let plotting = chart.plotting_area();
        for (i, Point { model, color, passes, adcc }) in self.points.iter().enumerate() {
            // Those of one cost stand side by side: a twentieth to the right of each other, a few pixels.
            let before = &self.points[..i];
            let n_same = before.iter().filter(|other| (other.passes - passes).abs() < 0.5).count();
            let x = passes * 1.05_f64.powi(n_same as i32);
            let at = (x, adcc.mean);
            let interval = [(x, adcc.lo), (x, adcc.hi)];
            plotting.draw(&PathElement::new(interval, color.stroke_width(2)))?;
            plotting.draw(&mark(*model, at, *color))?;
        }
        let x = CHART_WIDTH as i32 + 12;
        draw_legend(area, (x, 40), &self.legend)?;
        if self.models.len() > 1 {
            let top = 40 + 22 * (self.legend.len() as i32 + 1);
            for ((model, name), y) in self.models.iter().enumerate().zip((top..).step_by(22)) {
                area.draw(&mark(model, (x + 10, y), INK))?;
                area.draw_text(name, &text(14), (x + 28, y - 8))?;
            }
        }
        Ok(())
    }
}

/// A model's mark; after the sixth model they begin again.
fn mark<'b, B: DrawingBackend + 'b, C: Clone + 'static>(
    model: usize,
    at: C,
    color: RGBColor,
) -> DynElement<'b, B, C> {
    let square = [(-5, -5), (5, 5)];
    match model % 6 {
        0 => Circle::new(at, 5, color.filled()).into_dyn(),
        1 => TriangleMarker::new(at, 7, color.filled()).into_dyn(),
        2 => Cross::new(at, 5, color.stroke_width(2)).into_dyn(),
        3 => Circle::new(at, 5, color.stroke_width(2)).into_dyn(),
        4 => (EmptyElement::at(at) + Rectangle::new(square, color.filled())).into_dyn(),
        _ => (EmptyElement::at(at) + Rectangle::new(square, color.stroke_width(2))).into_dyn(),
    }
}
