//! Quality against cost: ADCC over the passes that an explanation needs.

use std::ops::RangeInclusive;

use plotters::{coord::Shift, prelude::*};

use super::{
    Drawing, Drawn, FAINT, INK, Plot, colors,
    curves::{draw_legend, legend_width},
    plot, text,
};
use crate::{
    Estimate, MethodEntry, RunManifest, Summary, format,
    pareto::{Price, Worth, worth},
    summary,
};

/// ADCC of every method with its interval over the passes through the network that its definition needs (forwards, head
/// forwards and backwards), which grow by factors, and a line through those that are cost-effective; `None` without
/// ADCC.
pub fn cost_plot(manifest: &RunManifest, summary: &Summary) -> Option<Plot> {
    let points = points(manifest, summary);
    let fronts: Vec<Vec<usize>> = (0..manifest.models.len())
        .map(|model| front_of(&points, manifest, summary, model))
        .collect();
    let colors = colors(manifest);
    let scale = scale(&points);
    let entry = |method: &MethodEntry| {
        let of_method = points.iter().filter(|point| point.method == method.name);
        let (drawn, off): (Vec<&Point>, Vec<&Point>) =
            of_method.partition(|point| scale.contains(&point.adcc.mean));
        let off = match (drawn.len(), off.len()) {
            (_, 0) => "",
            (0, _) => " (off the scale)",
            _ => " (partly off the scale)",
        };
        (format!("{}{off}", format::label(method)), colors[&*method.name])
    };
    let mut legend: Vec<(String, RGBColor)> = manifest.methods.iter().map(entry).collect();
    if fronts.iter().any(|front| front.len() > 1) {
        legend.push(("cost-effective".to_owned(), LINE));
    }
    let models = manifest.models.iter().map(|model| model.name.clone()).collect();
    (!points.is_empty()).then(|| plot(&Cost { points, scale, fronts, legend, models }))
}

/// What the axis of ADCC shows: the methods' intervals. Controls may lie far off, and would press them together.
fn scale(points: &[Point]) -> RangeInclusive<f64> {
    let has_methods = points.iter().any(|point| !point.is_control);
    let meant = || points.iter().filter(|point| !has_methods || !point.is_control);
    let lowest = meant().map(|point| point.adcc.ends().0).fold(1.0, f64::min);
    let highest = meant().map(|point| point.adcc.ends().1).fold(0.0, f64::max);
    (lowest - 0.02).max(0.0)..=(highest + 0.02).min(1.0)
}

/// The cheapest first, so that what is free stands before what costs the one pass at which both are drawn.
fn points(manifest: &RunManifest, summary: &Summary) -> Vec<Point> {
    let colors = colors(manifest);
    let mut points = vec![];
    for (m, model) in manifest.models.iter().enumerate() {
        for (method, cell) in summary::cells_of(manifest, summary, &model.name) {
            if let (Some(adcc), Some(cost)) = (cell.adcc, cell.cost) {
                points.push(Point {
                    model: m,
                    method: method.name.clone(),
                    is_control: method.is_control(),
                    color: colors[&*method.name],
                    cost: Price::Passes.of(&cost),
                    passes: Price::Passes.drawn(&cost),
                    adcc,
                });
            }
        }
    }
    points.sort_by(|a, b| a.cost.total_cmp(&b.cost));
    points
}

/// The places of those of a model's cost-effective points, the cheapest first.
fn front_of(
    points: &[Point],
    manifest: &RunManifest,
    summary: &Summary,
    model: usize,
) -> Vec<usize> {
    let Some(adcc) = summary.methods_by(&manifest.models[model].name, "adcc") else {
        return vec![];
    };
    let place = |worth: Worth| {
        let is_it =
            |point: &Point| point.model == model && worth.methods.first() == Some(&point.method);
        points.iter().position(is_it)
    };
    worth(summary, adcc, Price::Passes).into_iter().filter_map(place).collect()
}

struct Cost {
    points: Vec<Point>,
    /// Of ADCC; what lies outside is not drawn.
    scale: RangeInclusive<f64>,
    /// Each model's cost-effective points, the cheapest first.
    fronts: Vec<Vec<usize>>,
    legend: Vec<(String, RGBColor)>,
    models: Vec<String>,
}

struct Point {
    /// Its number among the models.
    model: usize,
    method: String,
    is_control: bool,
    color: RGBColor,
    /// In passes.
    cost: f64,
    /// The same as they are drawn.
    passes: f64,
    adcc: Estimate,
}

/// The line through what is cost-effective.
const LINE: RGBColor = RGBColor(0xaa, 0xaa, 0xaa);

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
        let (lowest, highest) = (*self.scale.start(), *self.scale.end());
        let mut chart = ChartBuilder::on(&chart_area)
            .margin(14)
            .x_label_area_size(44)
            .y_label_area_size(60)
            .build_cartesian_2d((0.8..most * 1.4).log_scale(), lowest..highest)?;
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
        let places: Vec<(f64, f64)> =
            (0..self.points.len()).map(|i| (self.x(i), self.points[i].adcc.mean)).collect();
        for front in self.fronts.iter().filter(|front| front.len() > 1) {
            let line: Vec<(f64, f64)> = front.iter().map(|i| places[*i]).collect();
            plotting.draw(&PathElement::new(line, LINE.stroke_width(2)))?;
        }
        let drawn = self.points.iter().zip(places);
        for (Point { model, color, adcc, .. }, at) in
            drawn.filter(|(point, _)| self.scale.contains(&point.adcc.mean))
        {
            let (lo, hi) = adcc.ends();
            let interval = [(at.0, lo.max(lowest)), (at.0, hi.min(highest))];
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

impl Cost {
    /// Where a point is drawn. Those of one cost stand side by side: each a twentieth, a few pixels, right of the last, and
    /// many closer, so that none is drawn at another cost.
    fn x(&self, i: usize) -> f64 {
        let passes = self.points[i].passes;
        let is_beside = |other: &Point| {
            Price::Passes.is_same(other.passes, passes) && self.scale.contains(&other.adcc.mean)
        };
        let n_before = self.points[..i].iter().filter(|other| is_beside(other)).count();
        let n = self.points.iter().filter(|other| is_beside(other)).count().max(1);
        passes * 1.05_f64.min(1.3_f64.powf(1.0 / n as f64)).powi(n_before as i32)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        MeanCost, Record, summarize,
        testing::{manifest, many_images, rows},
    };

    fn summary(manifest: &RunManifest) -> Summary {
        let records: Vec<Record> = rows(manifest).into_iter().map(|row| row.record).collect();
        summarize(manifest, &records)
    }

    #[test]
    fn what_is_free_stands_first_at_one_pass() {
        let (manifest, records) = many_images(40);
        let mut summary = summarize(&manifest, &records);
        for (cell, (forwards, mean)) in
            summary.cells.iter_mut().zip([(1.0, 0.5), (500.0, 0.9), (0.0, 0.7)])
        {
            cell.adcc = Some(Estimate { mean, lo: mean - 0.1, hi: mean + 0.1 });
            cell.cost = Some(MeanCost {
                explain_secs: 0.1,
                forwards,
                head_forwards: 0.0,
                backwards: 0.0,
                executed_forwards: forwards,
            });
        }
        let points = points(&manifest, &summary);
        let passes: Vec<f64> = points.iter().map(|point| point.passes).collect();
        assert_eq!(passes, [1.0, 1.0, 500.0]);
        let front = front_of(&points, &manifest, &summary, 0);
        assert_eq!(
            points[front[0]].method, manifest.methods[2].name,
            "free is cheaper than one pass"
        );
    }

    #[test]
    fn a_control_far_below_all_methods_is_off_the_scale_and_said_to_be() {
        let mut manifest = manifest();
        manifest.methods[2].method = "all_ones".into();
        let mut summary = summary(&manifest);
        for (cell, mean) in summary.cells.iter_mut().zip([0.8, 0.7, 0.1]) {
            cell.adcc = Some(Estimate { mean, lo: mean - 0.05, hi: mean + 0.05 });
        }
        let points = points(&manifest, &summary);
        let scale = scale(&points);
        assert!((scale.start() - 0.63).abs() < 1e-9 && (scale.end() - 0.87).abs() < 1e-9);
        let plot = cost_plot(&manifest, &summary).unwrap();
        assert_eq!(plot.svg().matches("(off the scale)").count(), 1);
    }

    #[test]
    fn without_adcc_there_is_no_plot_of_cost() {
        let manifest = manifest();
        let mut summary = summary(&manifest);
        assert!(cost_plot(&manifest, &summary).is_some());
        summary.cells.iter_mut().for_each(|cell| cell.adcc = None);
        assert!(cost_plot(&manifest, &summary).is_none());
    }
}
