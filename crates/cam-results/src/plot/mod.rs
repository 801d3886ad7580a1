//! Plots: the same drawing as SVG and as PNG, with an embedded font.

mod cost;
mod curves;
mod grid;
mod metrics;
mod ranks;

use std::{collections::BTreeMap, path::Path, sync::Once};

use plotters::{
    coord::Shift,
    prelude::*,
    style::{FontStyle, register_font},
};

use crate::{Picture, Result, RunManifest, write_bytes};

pub use cost::cost_plot;
pub use curves::curves_plot;
pub(crate) use curves::mean_curves;
pub use grid::{GridMap, GridRow, grid_plot};
pub use metrics::metrics_plot;
pub use ranks::ranks_plot;

/// A drawing, as SVG and as pixels.
pub struct Plot {
    svg: String,
    picture: Picture,
}

impl Plot {
    /// Writes `<name>.svg` and `<name>.png` into a folder.
    ///
    /// # Errors
    /// Where a file cannot be written.
    pub fn write(&self, folder: &Path, name: &str) -> Result<()> {
        write_bytes(&folder.join(format!("{name}.svg")), self.svg.as_bytes())?;
        write_bytes(&folder.join(format!("{name}.png")), &self.picture.png())
    }

    /// As SVG.
    pub fn svg(&self) -> &str {
        &self.svg
    }

    /// As pixels.
    pub fn picture(&self) -> &Picture {
        &self.picture
    }
}

/// Something that can be drawn on any backend.
trait Drawing {
    /// Width and height in pixels.
    fn size(&self) -> (u32, u32);

    /// Draws on an area of that size.
    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Drawn<B>;
}

type Drawn<B> = std::result::Result<(), DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>>;

/// Draws twice. Both drawings are made in memory, where nothing can go wrong but the drawing's own arithmetic.
fn plot(drawing: &impl Drawing) -> Plot {
    use_embedded_font();
    let (width, height) = drawing.size();
    let mut svg = String::new();
    on(&SVGBackend::with_string(&mut svg, (width, height)).into_drawing_area(), drawing);
    let mut rgb = vec![0; width as usize * height as usize * 3];
    on(&BitMapBackend::with_buffer(&mut rgb, (width, height)).into_drawing_area(), drawing);
    Plot { svg, picture: Picture::new(width, height, rgb) }
}

fn on<B: DrawingBackend>(area: &DrawingArea<B, Shift>, drawing: &impl Drawing) {
    area.fill(&WHITE)
        .and_then(|()| drawing.draw(area))
        .and_then(|()| area.present())
        .expect("a drawing in memory");
}

/// The name under which the embedded font is known; in an SVG it is the viewer's own.
const FONT: &str = "sans-serif";

fn use_embedded_font() {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        for (style, bytes) in
            [(FontStyle::Normal, notosans::REGULAR_TTF), (FontStyle::Bold, notosans::BOLD_TTF)]
        {
            assert!(register_font(FONT, style, bytes).is_ok(), "the embedded font is a font");
        }
    });
}

/// Dark text of a size in pixels.
fn text(size: u32) -> TextStyle<'static> {
    (FONT, size).into_font().color(&INK)
}

/// Bold dark text of a size in pixels.
fn bold(size: u32) -> TextStyle<'static> {
    (FONT, size).into_font().style(FontStyle::Bold).color(&INK)
}

/// Room for the longest of some labels at 14 pixels, measured generously.
fn label_width<'a>(labels: impl Iterator<Item = &'a str>) -> u32 {
    labels.map(|label| label.chars().count() as u32 * 8).max().unwrap_or(0)
}

/// Text and axes.
const INK: RGBColor = RGBColor(0x33, 0x33, 0x33);
/// Lines that only guide the eye.
const FAINT: RGBColor = RGBColor(0xdd, 0xdd, 0xdd);

/// Colors that color-blind people can tell apart (Okabe and Ito, 2008; their yellow is too light for lines on white),
/// then some more for those who compare many methods.
const COLORS: [RGBColor; 11] = [
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0x56, 0xb4, 0xe9),
    RGBColor(0x7f, 0x00, 0x00),
    RGBColor(0x00, 0x00, 0x00),
    RGBColor(0x99, 0x99, 0x33),
    RGBColor(0x44, 0xaa, 0x99),
    RGBColor(0x33, 0x22, 0x88),
];

/// Every method's color, by its name in the sweep: the same in all plots of a run. Where there are more methods than colors,
/// these begin again, lighter each time.
fn colors(manifest: &RunManifest) -> BTreeMap<&str, RGBColor> {
    let lighter = |RGBColor(red, green, blue): RGBColor, times: usize| {
        let white = times as f64 / (times as f64 + 1.2);
        let mixed = |part: u8| (f64::from(part) + white * f64::from(255 - part)) as u8;
        RGBColor(mixed(red), mixed(green), mixed(blue))
    };
    let color = |i: usize| lighter(COLORS[i % COLORS.len()], i / COLORS.len());
    manifest.methods.iter().enumerate().map(|(i, method)| (&*method.name, color(i))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic;

    #[test]
    fn twice_as_many_methods_as_colors_still_differ() {
        let (manifest, _rows) = synthetic(1, 2 * COLORS.len());
        let colors: Vec<RGBColor> = colors(&manifest).into_values().collect();
        let apart = |a: RGBColor, b: RGBColor| {
            let square = |a: u8, b: u8| (f64::from(a) - f64::from(b)).powi(2);
            (square(a.0, b.0) + square(a.1, b.1) + square(a.2, b.2)).sqrt()
        };
        for (i, a) in colors.iter().enumerate() {
            assert!(colors[..i].iter().all(|b| apart(*a, *b) > 30.0), "{a:?}");
        }
        assert_eq!(colors.len(), 2 * COLORS.len());
    }
}
