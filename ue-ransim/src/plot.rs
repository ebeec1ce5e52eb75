//! Pictures of a report, as SVG within a page.

use std::fmt::Write as _;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 300.0;
/// Room left of, below and right of the curves: for labels, and for names.
const LEFT: f64 = 64.0;
const BELOW: f64 = 44.0;
const RIGHT: f64 = 210.0;
const ABOVE: f64 = 12.0;
/// Lines across, at most.
const LINES_MAX: f64 = 6.0;

/// Colours of curves, in turn.
const COLOURS: [&str; 10] = [
    "#1b6ca8", "#d1495b", "#3a7d44", "#e09f3e", "#6a4c93", "#00868b", "#8d5524", "#b5179e", "#5f6c7b",
    "#93a806",
];

/// The colour of the curve of this number.
pub(crate) fn colour(number: usize) -> &'static str {
    COLOURS[number % COLOURS.len()]
}

/// Text that may stand in a page, whatever it says.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // No page may hold the other ones.
            character if character.is_control() => escaped.push('\u{fffd}'),
            character => escaped.push(character),
        }
    }
    escaped
}

/// A curve.
pub(crate) struct Curve<'a> {
    pub(crate) name: &'a str,
    pub(crate) points: Vec<(f64, f64)>,
}

/// How an axis is divided.
#[derive(Clone, Copy)]
pub(crate) enum Axis {
    /// From nothing.
    Linear,
    /// By powers of ten.
    Logarithmic,
}

/// An axis with its ends.
struct Scale {
    axis: Axis,
    from: f64,
    to: f64,
}

impl Scale {
    fn of(axis: Axis, values: impl Iterator<Item = f64> + Clone) -> Self {
        let most = values.clone().fold(0.0, f64::max);
        match axis {
            Axis::Linear => Self { axis, from: 0.0, to: if most > 0.0 { most } else { 1.0 } },
            Axis::Logarithmic => {
                let least = values.filter(|&value| value > 0.0).fold(f64::INFINITY, f64::min);
                let least = if least.is_finite() { least } else { 1.0 };
                let from = 10_f64.powf(least.log10().floor());
                Self { axis, from, to: 10_f64.powf(most.max(least).log10().ceil()).max(from * 10.0) }
            }
        }
    }

    /// Where a value is, from 0 to 1.
    fn share(&self, value: f64) -> f64 {
        match self.axis {
            Axis::Linear => (value / self.to).clamp(0.0, 1.0),
            Axis::Logarithmic => {
                ((value.max(self.from) / self.from).ln() / (self.to / self.from).ln()).clamp(0.0, 1.0)
            }
        }
    }

    fn marks(&self) -> Vec<f64> {
        match self.axis {
            Axis::Linear => {
                let rough = self.to / LINES_MAX;
                let ten = 10_f64.powf(rough.log10().floor());
                let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * ten);
                let step = step.into_iter().find(|&step| step >= rough).unwrap_or(rough);
                (0..)
                    .map(|mark| f64::from(mark) * step)
                    .take_while(|&mark| mark <= self.to * 1.0001)
                    .collect()
            }
            Axis::Logarithmic => {
                let decades = (self.to / self.from).log10().round() as i32;
                (0..=decades).map(|decade| self.from * 10_f64.powi(decade)).collect()
            }
        }
    }
}

/// Curves over one another. What the axes show stands beside them.
pub(crate) fn chart((x_axis, x_name): (Axis, &str), y_name: &str, curves: &[Curve<'_>]) -> String {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let x = Scale::of(x_axis, points().map(|point| point.0));
    let y = Scale::of(Axis::Linear, points().map(|point| point.1));
    let at_x = |value: f64| LEFT + x.share(value) * (WIDTH - LEFT - RIGHT);
    let at_y = |value: f64| HEIGHT - BELOW - y.share(value) * (HEIGHT - BELOW - ABOVE);
    let mut svg =
        format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n", escape(y_name));
    for mark in x.marks() {
        line(&mut svg, "#ddd", &[(at_x(mark), ABOVE), (at_x(mark), HEIGHT - BELOW)]);
        text(&mut svg, (at_x(mark), HEIGHT - BELOW + 16.0), "middle", "#444", &number(mark));
    }
    for mark in y.marks() {
        line(&mut svg, "#ddd", &[(LEFT, at_y(mark)), (WIDTH - RIGHT, at_y(mark))]);
        text(&mut svg, (LEFT - 8.0, at_y(mark) + 4.0), "end", "#444", &number(mark));
    }
    text(&mut svg, ((LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 8.0), "middle", "#444", x_name);
    for (index, curve) in curves.iter().enumerate() {
        let points: Vec<_> = curve.points.iter().map(|&(x, y)| (at_x(x), at_y(y))).collect();
        line(&mut svg, colour(index), &points);
        let beside = (WIDTH - RIGHT + 12.0, ABOVE + 14.0 + 18.0 * index as f64);
        text(&mut svg, beside, "start", colour(index), curve.name);
    }
    svg.push_str("</svg>\n");
    svg
}

fn line(svg: &mut String, colour: &str, points: &[(f64, f64)]) {
    let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let _ = writeln!(
        svg,
        "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" points=\"{}\"/>",
        points.join(" ")
    );
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, colour: &str, words: &str) {
    let words = escape(words);
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{words}</text>"
    );
}

/// Without digits that say nothing.
fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_stay_within_the_picture_whatever_they_are() {
        let points = vec![(0.0, 0.0), (1e-3, 5.0), (3600.0, 1e9), (f64::from(u32::MAX), 0.0)];
        for axis in [Axis::Linear, Axis::Logarithmic] {
            for points in [points.clone(), vec![(0.0, 0.0)], Vec::new()] {
                let svg = chart((axis, "s"), "n", &[Curve { name: "a", points }]);
                for pair in svg.split("points=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
                    for point in pair.split_whitespace() {
                        let (x, y) = point.split_once(',').unwrap();
                        let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
                        assert!((LEFT..=WIDTH).contains(&x) && (0.0..=HEIGHT).contains(&y), "{point}");
                    }
                }
                assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            }
        }
    }

    #[test]
    fn marks_are_round_numbers() {
        let marks = |to: f64| Scale::of(Axis::Linear, [to].into_iter()).marks();
        assert_eq!(marks(100.0), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        assert_eq!(marks(7.0), [0.0, 2.0, 4.0, 6.0]);
        assert_eq!(
            Scale::of(Axis::Logarithmic, [3.0, 250.0].into_iter()).marks(),
            [1.0, 10.0, 100.0, 1000.0]
        );
    }

    #[test]
    fn nothing_that_is_said_becomes_markup() {
        assert_eq!(
            escape("<a href=\"x\">&'\0</a>"),
            "&lt;a href=&quot;x&quot;&gt;&amp;&#39;\u{fffd}&lt;/a&gt;"
        );
        let svg =
            chart((Axis::Linear, "<x>"), "\"y\"", &[Curve { name: "<script>", points: vec![(1.0, 1.0)] }]);
        assert!(!svg.contains("<script>") && !svg.contains("<x>") && !svg.contains("\"\"y"), "{svg}");
    }
}
