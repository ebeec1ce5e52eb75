//! Figures as pictures: milliseconds over UEs at once, both axes logarithmic; and bars.

use std::fmt::Write as _;

/// A curve: its name, colour, and milliseconds at each number of UEs.
pub struct Curve {
    /// Beside its end.
    pub name: &'static str,
    /// As SVG has it.
    pub colour: &'static str,
    /// UEs at once, and milliseconds.
    pub points: Vec<(u32, f64)>,
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 400.0;
/// Room for the axes' labels.
const MARGIN: f64 = 56.0;
/// Room for the curves' names.
const LEGEND: f64 = 150.0;
/// Lowest and highest latency shown.
const RANGE_MS: (f64, f64) = (1.0, 1000.0);
const UES_MAX: f64 = 64.0;

fn x(ues: f64) -> f64 {
    MARGIN + ues.ln() / UES_MAX.ln() * (WIDTH - MARGIN - LEGEND)
}

fn y(ms: f64) -> f64 {
    let share = (ms.clamp(RANGE_MS.0, RANGE_MS.1) / RANGE_MS.0).ln() / (RANGE_MS.1 / RANGE_MS.0).ln();
    HEIGHT - MARGIN - share * (HEIGHT - 2.0 * MARGIN)
}

/// An SVG file.
pub fn svg(title: &str, machine: &str, curves: &[Curve]) -> String {
    let mut out = head((WIDTH, HEIGHT), title, machine);
    let right = WIDTH - LEGEND;
    for ms in [1.0, 10.0, 100.0, 1000.0] {
        let at = y(ms);
        line(&mut out, "#ddd", &[(MARGIN, at), (right, at)]);
        text(&mut out, (MARGIN - 8.0, at + 4.0), "end", &format!("{ms} ms"));
    }
    for ues in [1.0, 4.0, 16.0, 64.0] {
        line(&mut out, "#ddd", &[(x(ues), y(RANGE_MS.1)), (x(ues), y(RANGE_MS.0))]);
        text(&mut out, (x(ues), HEIGHT - MARGIN + 18.0), "middle", &format!("{ues}"));
    }
    text(&mut out, ((MARGIN + right) / 2.0, HEIGHT - 14.0), "middle", "UEs at once");
    for curve in curves {
        let points: Vec<_> = curve.points.iter().map(|&(ues, ms)| (x(f64::from(ues)), y(ms))).collect();
        line(&mut out, curve.colour, &points);
        if let Some(&(_, last)) = points.last() {
            text(&mut out, (right + 6.0, last + 4.0), "start", curve.name);
        }
    }
    out.push_str("</svg>\n");
    out
}

fn line(out: &mut String, colour: &str, points: &[(f64, f64)]) {
    let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let _ = writeln!(
        out,
        "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/>",
        points.join(" ")
    );
}

fn text(out: &mut String, (x, y): (f64, f64), anchor: &str, words: &str) {
    let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>");
}

/// Height of one bar with its gap.
const BAR: f64 = 16.0;
/// Room for the bars' names and for their figures.
const NAMES: f64 = 460.0;
const FIGURES: f64 = 80.0;

/// An SVG file with a bar for each value above 0, their lengths logarithmic.
pub fn bars(title: &str, machine: &str, unit: &str, values: &[(String, f64)]) -> String {
    let (width, top) = (NAMES + WIDTH, MARGIN);
    let height = top + BAR * values.len() as f64 + 12.0;
    let mut out = head((width, height), title, machine);
    let positive = || values.iter().map(|(_, value)| *value).filter(|value| *value > 0.0);
    // The shortest bar is a tenth of the scale's first decade.
    let least = positive().fold(f64::INFINITY, f64::min) / 1.26;
    let most = positive().fold(f64::NEG_INFINITY, f64::max);
    let scale = (width - NAMES - FIGURES) / (most / least).ln().max(f64::MIN_POSITIVE);
    for (number, (name, value)) in values.iter().enumerate() {
        let y = top + BAR * number as f64;
        let length = if *value > 0.0 { (value / least).ln() * scale } else { 0.0 };
        text(&mut out, (NAMES - 8.0, y + 11.0), "end", name);
        let _ = writeln!(
            out,
            "<rect x=\"{NAMES}\" y=\"{y:.1}\" width=\"{length:.1}\" height=\"12\" fill=\"#1b6ca8\"/>"
        );
        text(&mut out, (NAMES + length + 6.0, y + 11.0), "start", &format!("{value:.1} {unit}"));
    }
    out.push_str("</svg>\n");
    out
}

fn head((width, height): (f64, f64), title: &str, machine: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{MARGIN}\" y=\"24\" font-size=\"15\">{title}</text>\n\
         <text x=\"{MARGIN}\" y=\"42\" fill=\"#666\" font-size=\"10\">{machine}</text>\n"
    )
}
