//! Photographs by methods, every map on one color scale.

use std::fmt::Write as _;

use base64::{Engine, prelude::BASE64_STANDARD};
use plotters::{
    coord::Shift,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use super::{Drawing, Drawn, INK, Plot, bold, plot, text};
use crate::{Picture, color};

/// A photograph with its maps.
pub struct GridRow {
    /// As the network sees it, before normalization.
    pub photo: Picture,
    /// Below the photograph: what it is.
    pub caption: String,
    /// One per method.
    pub maps: Vec<GridMap>,
}

/// A map in a grid.
pub struct GridMap {
    /// `[height, width]` of the photograph, in `[0, 1]`; `None` where there is none or it says nothing.
    pub unit: Option<Vec<f32>>,
    /// Below the map: its score, or why there is none.
    pub caption: String,
}

/// Photographs from top to bottom, methods from left to right, and the color scale of all maps.
pub fn grid_plot(methods: &[String], rows: &[GridRow]) -> Plot {
    let mut tiles = vec![];
    let mut captions = vec![];
    for (row, y) in rows.iter().zip((HEAD..).step_by(ROW as usize)) {
        let mut put = |column: usize, picture: Option<Picture>, caption: &str| {
            let at = ((MARGIN + column as u32 * COLUMN) as i32, y as i32);
            captions.push((at, caption.to_owned()));
            tiles.extend(picture.map(|picture| (at, picture.thumbnail(TILE))));
        };
        put(0, Some(row.photo.clone()), &row.caption);
        for (column, map) in row.maps.iter().enumerate() {
            let overlay = map.unit.as_ref().map(|unit| row.photo.overlay(unit));
            put(column + 1, overlay, &map.caption);
        }
    }
    let size = (
        (2 * MARGIN + (methods.len() as u32 + 1) * COLUMN).max(SCALE_WIDTH + 240),
        HEAD + rows.len() as u32 * ROW + SCALE_HEIGHT,
    );
    let grid = Grid { methods, captions, size };
    let mut plot = plot(&grid);
    for ((x, y), tile) in &tiles {
        lay(&mut plot.picture, tile, *x as usize, *y as usize);
    }
    // plotters writes no pictures into an SVG; as JPEG they are a tenth of what they would be as PNG.
    let end = plot.svg.rfind("</svg>").expect("an SVG ends");
    let mut svg = plot.svg[..end].to_owned();
    for ((x, y), tile) in &tiles {
        let data = BASE64_STANDARD.encode(tile.jpeg());
        let _ = writeln!(
            svg,
            r#"<image x="{x}" y="{y}" width="{TILE}" height="{TILE}" href="data:image/jpeg;base64,{data}"/>"#
        );
    }
    svg.push_str("</svg>\n");
    plot.svg = svg;
    plot
}

/// In pixels, as all that follow: the side of a photograph.
const TILE: u32 = 120;
const COLUMN: u32 = TILE + 8;
const ROW: u32 = TILE + 24;
const HEAD: u32 = 40;
const MARGIN: u32 = 12;
const SCALE_HEIGHT: u32 = 44;
const SCALE_WIDTH: u32 = 256;

struct Grid<'a> {
    methods: &'a [String],
    captions: Vec<((i32, i32), String)>,
    size: (u32, u32),
}

impl Drawing for Grid<'_> {
    fn size(&self) -> (u32, u32) {
        self.size
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Drawn<B> {
        let middle = Pos::new(HPos::Center, VPos::Center);
        let center = |column: usize| (MARGIN + column as u32 * COLUMN + TILE / 2) as i32;
        let titles = std::iter::once("Photograph").chain(self.methods.iter().map(String::as_str));
        for (column, title) in titles.enumerate() {
            let at = (center(column), HEAD as i32 - 16);
            area.draw_text(&shortened(title), &bold(14).pos(middle), at)?;
        }
        for ((x, y), caption) in &self.captions {
            let at = (x + TILE as i32 / 2, y + TILE as i32 + 9);
            area.draw_text(&shortened(caption), &text(12).pos(middle), at)?;
        }
        self.draw_scale(area)
    }
}

impl Grid<'_> {
    /// The colors of a map's values, from its least to its largest.
    fn draw_scale<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Drawn<B> {
        const WIDTH: i32 = SCALE_WIDTH as i32;
        let (left, top) = ((self.size.0 as i32 - WIDTH) / 2, self.size.1 as i32 - 32);
        for i in 0..WIDTH {
            let [r, g, b] = color(i as f32 / (WIDTH - 1) as f32);
            let x = left + i;
            let column = Rectangle::new([(x, top), (x + 1, top + 14)], RGBColor(r, g, b).filled());
            area.draw(&column)?;
        }
        area.draw(&Rectangle::new([(left, top), (left + WIDTH, top + 14)], INK))?;
        let pos = |h| Pos::new(h, VPos::Center);
        area.draw_text("least", &text(12).pos(pos(HPos::Right)), (left - 8, top + 7))?;
        area.draw_text(
            "most important",
            &text(12).pos(pos(HPos::Left)),
            (left + WIDTH + 8, top + 7),
        )
    }
}

/// As much of a text as fits below a tile: its beginning and its end, where names of images and variants differ.
fn shortened(text: &str) -> String {
    const FITS: usize = 19;
    let n = text.chars().count();
    if n <= FITS {
        return text.to_owned();
    }
    let half = FITS / 2;
    text.chars().take(half).chain(['…']).chain(text.chars().skip(n - half)).collect()
}

/// Copies a picture into another one.
fn lay(onto: &mut Picture, tile: &Picture, x: usize, y: usize) {
    let (row, width) = (onto.width as usize * 3, tile.width as usize * 3);
    for (i, samples) in tile.rgb.chunks_exact(width).enumerate() {
        let start = (y + i) * row + x * 3;
        onto.rgb[start..start + width].copy_from_slice(samples);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_captions_are_cut_at_a_character() {
        assert_eq!(shortened("Smooth Grad-CAM++"), "Smooth Grad-CAM++");
        assert_eq!(shortened("ñandú in the long grass"), "ñandú in …ong grass");
    }

    #[test]
    fn photographs_lie_where_their_captions_are() {
        let photo = Picture::new(4, 4, vec![200; 48]);
        let row = |unit: Option<Vec<f32>>| GridRow {
            photo: photo.clone(),
            caption: "gray".into(),
            maps: vec![GridMap { unit, caption: "50 %".into() }],
        };
        let plot = grid_plot(&["CAM".into()], &[row(Some(vec![1.0; 16])), row(None)]);
        let at = |x: u32, y: u32| {
            let start = (y * plot.picture.width + x) as usize * 3;
            &plot.picture.rgb[start..start + 3]
        };
        assert_eq!(at(MARGIN + 1, HEAD + 1), [200; 3]);
        assert_eq!(at(MARGIN + COLUMN + 1, HEAD + 1), &photo.overlay(&[1.0; 16]).rgb[..3]);
        assert_eq!(at(MARGIN + COLUMN + 1, HEAD + ROW + 1), [255; 3], "no map, no picture");
        assert_eq!(plot.svg.matches("<image ").count(), 3);
    }
}
