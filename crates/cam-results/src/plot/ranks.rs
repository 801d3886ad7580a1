//! Critical-difference diagrams (Demšar, 2006): average ranks on an axis, and a bar over those that cannot be told apart.

use plotters::{
    coord::Shift,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use super::{Drawing, Drawn, INK, Plot, bold, label_width, plot, text};
use crate::stats::{Contrast, Ranks};

/// A diagram for every contrast that has ranks, of what is ranked; `None` where none has. `with_names` says in what each
/// was made.
pub fn ranks_plot(contrasts: &[Contrast], with_names: bool) -> Option<Plot> {
    let panels: Vec<Panel> = contrasts
        .iter()
        .filter_map(|contrast| {
            let within =
                if with_names { format!(" · {}", contrast.within) } else { String::new() };
            let ranks = contrast.ranks.clone()?;
            let labels = ranks.items.iter().map(|item| contrast.items[*item].label.clone());
            Some(Panel {
                title: format!("{}{within}", contrast.heading),
                labels: labels.collect(),
                ranks,
            })
        })
        .collect();
    (!panels.is_empty()).then(|| plot(&Diagrams { panels }))
}

struct Diagrams {
    panels: Vec<Panel>,
}

struct Panel {
    title: String,
    labels: Vec<String>,
    ranks: Ranks,
}

const AXIS_WIDTH: i32 = 420;
const MARGIN: i32 = 14;
/// From a panel's top to its axis: title, critical difference, numbers.
const HEAD: i32 = 78;
const BAR: i32 = 9;
const LINE: i32 = 20;

impl Panel {
    fn height(&self) -> i32 {
        let lines = self.labels.len().div_ceil(2) as i32;
        HEAD + 14 + self.ranks.cliques().len() as i32 * BAR + lines * LINE + 20
    }
}

impl Diagrams {
    fn labels_width(&self) -> i32 {
        let labels = self.panels.iter().flat_map(|panel| &panel.labels);
        label_width(labels.map(String::as_str)) as i32 + 56
    }
}

impl Drawing for Diagrams {
    fn size(&self) -> (u32, u32) {
        let height: i32 = self.panels.iter().map(Panel::height).sum();
        ((AXIS_WIDTH + 2 * (self.labels_width() + MARGIN)) as u32, (height + 2 * MARGIN) as u32)
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Drawn<B> {
        let left = MARGIN + self.labels_width();
        let mut top = MARGIN;
        for panel in &self.panels {
            panel.draw(area, left, top)?;
            top += panel.height();
        }
        Ok(())
    }
}

impl Panel {
    fn draw<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
        left: i32,
        top: i32,
    ) -> Drawn<B> {
        let last = self.labels.len() as f64;
        let x = |rank: f64| left + ((rank - 1.0) / (last - 1.0) * f64::from(AXIS_WIDTH)) as i32;
        let line = |from: (i32, i32), to: (i32, i32), width: u32| {
            area.draw(&PathElement::new([from, to], INK.stroke_width(width)))
        };
        let at = |h, v| text(12).pos(Pos::new(h, v));
        area.draw_text(&self.title, &bold(14), (MARGIN, top))?;

        // How far apart is far enough, beside the axis' beginning.
        let critical = self.ranks.critical_difference;
        let y = top + 40;
        let end = x(1.0 + critical.min(last - 1.0));
        line((left, y), (end, y), 2)?;
        line((left, y - 4), (left, y + 4), 2)?;
        line((end, y - 4), (end, y + 4), 2)?;
        let units = if self.ranks.by_class { "classes" } else { "images" };
        let caption = format!("critical difference {critical:.2}, {} {units}", self.ranks.n);
        area.draw_text(&caption, &at(HPos::Left, VPos::Bottom), (left, y - 6))?;

        let axis = top + HEAD;
        line((left, axis), (left + AXIS_WIDTH, axis), 1)?;
        for rank in 1..=self.labels.len() {
            let x = x(rank as f64);
            line((x, axis - 5), (x, axis), 1)?;
            area.draw_text(&rank.to_string(), &at(HPos::Center, VPos::Bottom), (x, axis - 7))?;
        }
        let mut y = axis + 10;
        for clique in self.ranks.cliques() {
            if let (Some(first), Some(last)) = (clique.first(), clique.last()) {
                let (from, to) = (x(self.ranks.mean[*first]) - 3, x(self.ranks.mean[*last]) + 3);
                line((from, y), (to, y), 4)?;
            }
            y += BAR;
        }
        // The better half is named on the left, the best one highest; the other half on the right, likewise.
        let order = self.ranks.order();
        let (better, worse) = order.split_at(order.len().div_ceil(2));
        let rows = better.iter().enumerate().map(|(i, item)| (i, *item, true));
        let rows = rows.chain(worse.iter().rev().enumerate().map(|(i, item)| (i, *item, false)));
        for (i, item, is_left) in rows {
            let rank = self.ranks.mean[item];
            let row = y + 8 + i as i32 * LINE;
            let side = if is_left { left - 8 } else { left + AXIS_WIDTH + 8 };
            line((x(rank), axis), (x(rank), row), 1)?;
            line((x(rank), row), (side, row), 1)?;
            let label = format!("{} {rank:.2}", self.labels[item]);
            let h = if is_left { HPos::Right } else { HPos::Left };
            let near = if is_left { side - 4 } else { side + 4 };
            area.draw_text(&label, &text(13).pos(Pos::new(h, VPos::Center)), (near, row))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Record, summarize,
        testing::{manifest, rows},
    };

    #[test]
    fn every_metric_has_its_diagram_and_every_method_its_name() {
        let manifest = manifest();
        let records: Vec<Record> = rows(&manifest).into_iter().map(|row| row.record).collect();
        let mut summary = summarize(&manifest, &records);
        summary.methods.iter_mut().for_each(|contrast| {
            contrast.ranks = Some(Ranks {
                items: vec![0, 2],
                mean: vec![1.2, 2.9],
                n: 30,
                by_class: true,
                friedman_p: 0.01,
                critical_difference: 0.8,
            });
        });
        let plot = ranks_plot(&summary.methods, true).unwrap();
        for words in
            ["Drop ↓ · resnet18", "CAM 1.20", "Recipro-CAM 2.90", "difference 0.80, 30 classes"]
        {
            assert!(plot.svg().contains(words), "{words} is not in the plot");
        }
        assert!(!plot.svg().contains("RISE"), "what is not ranked is not drawn");
        summary.methods.iter_mut().for_each(|contrast| contrast.ranks = None);
        assert!(ranks_plot(&summary.methods, false).is_none());
    }
}
