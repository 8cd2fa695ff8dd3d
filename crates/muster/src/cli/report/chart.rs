//! Bars, drawn.

use anyhow::{Result, anyhow};
use plotters::{
    element::{EmptyElement, Rectangle, Text},
    prelude::{
        BLACK, ChartBuilder, Color, DrawingAreaErrorKind, IntoDrawingArea, IntoFont, IntoTextStyle, RGBColor,
        SVGBackend, WHITE,
    },
    style::text_anchor::{HPos, Pos, VPos},
};

use super::{super::print, table::Chart};

const WIDTH: u32 = 460;
const BAR: u32 = 22;
const AROUND: u32 = 46;
/// Room for the bars' names, and behind the longest bar for its value.
const NAMES: u32 = 140;
const VALUES: u32 = 60;
const NAME_CHARS: usize = 19;
/// Bars of one chart; the rest is one more.
const BARS: usize = 10;
const COLOUR: RGBColor = RGBColor(0x2b, 0x6c, 0xb0);

/// The chart as SVG.
pub(super) fn svg(chart: &Chart) -> Result<String> {
    let bars = few(&chart.bars);
    let height = AROUND + BAR * u32::try_from(bars.len())?;
    let mut svg = String::new();
    draw(&chart.title, &bars, &mut svg, height).map_err(|error| anyhow!("a chart: {error}"))?;
    Ok(svg)
}

type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

fn draw(title: &str, bars: &[(String, f64)], svg: &mut String, height: u32) -> Drawn {
    let area = SVGBackend::with_string(svg, (WIDTH, height)).into_drawing_area();
    area.fill(&WHITE)?;
    let most = bars.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    let mut chart = ChartBuilder::on(&area)
        .caption(print::clean(title), ("sans-serif", 18))
        .margin(6)
        .margin_right(VALUES)
        .y_label_area_size(NAMES)
        // The first bar is at the top.
        .build_cartesian_2d(0.0..most.max(f64::MIN_POSITIVE), bars.len() as f64..0.0)?;
    let style = |side| {
        ("sans-serif", 13)
            .into_font()
            .color(&BLACK)
            .pos(Pos::new(side, VPos::Center))
    };
    let names = style(HPos::Right).into_text_style(&area);
    let values = style(HPos::Left).into_text_style(&area);
    let place = |n: usize| n as f64 + 0.5;
    chart.draw_series(bars.iter().enumerate().map(|(n, (_, value))| {
        let corners = [(0.0, place(n) - 0.36), (*value, place(n) + 0.36)];
        Rectangle::new(corners, COLOUR.filled())
    }))?;
    chart.draw_series(bars.iter().enumerate().map(|(n, (name, _))| {
        EmptyElement::at((0.0, place(n))) + Text::new(short(name), (-6, 0), names.clone())
    }))?;
    chart.draw_series(bars.iter().enumerate().map(|(n, (_, value))| {
        EmptyElement::at((*value, place(n))) + Text::new(short_number(*value), (5, 0), values.clone())
    }))?;
    area.present()
}

fn short(name: &str) -> String {
    let name = print::clean(name);
    if name.chars().count() <= NAME_CHARS {
        return name;
    }
    let head: String = name.chars().take(NAME_CHARS - 1).collect();
    format!("{head}…")
}

fn short_number(value: f64) -> String {
    match value {
        ..10_000.0 => format!("{value:.0}"),
        ..10_000_000.0 => format!("{:.0}k", value / 1e3),
        _ => format!("{:.0}M", value / 1e6),
    }
}

fn few(bars: &[(String, f64)]) -> Vec<(String, f64)> {
    // One that is left over has a name of its own.
    if bars.len() <= BARS + 1 {
        return bars.to_vec();
    }
    let mut few: Vec<_> = bars.iter().take(BARS).cloned().collect();
    let others: f64 = bars.iter().skip(BARS).map(|(_, value)| value).sum();
    few.push(("(others)".into(), others));
    few
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_stand_beside_their_bars() {
        let bars = |n: usize| {
            (0..n)
                .map(|n| (format!("site-{n:02}"), 100.0 - n as f64))
                .collect()
        };
        for n in [1, 2, 10, 11, 12, 40] {
            let chart = Chart {
                title: "Devices by site".into(),
                bars: bars(n),
            };
            let svg = svg(&chart).unwrap();
            let named = (0..n).filter(|n| svg.contains(&format!("site-{n:02}"))).count();
            let whole = n <= BARS + 1;
            assert_eq!(named, if whole { n } else { BARS }, "{n}: {svg}");
            assert_eq!(svg.contains("(others)"), !whole);
        }
    }
}
