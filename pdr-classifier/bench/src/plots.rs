//! Curves over the number of rules, ours solid and published ones dashed.

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use crate::experiments::{published, warm};
use crate::goals::{PUBLISHED, PUBLISHED_GBIT_S};
use crate::subjects::{ALL, SORT, TUPLES};
use crate::turns::Series;

const SIZE: (u32, u32) = (960, 520);
/// Width for the curves' names.
const NAMES: u32 = 240;
/// Part of a decade that is free above and below the curves.
const ROOM: f64 = 1.4;
/// Of what has no colour of its own.
const WORST_COLOUR: (u8, u8, u8) = (214, 39, 40);

/// First and last number of rules of the published curves, with room behind.
const PUBLISHED_RULES: (f64, f64) = (2.0, 110.0);

struct Curve {
    name: String,
    colour: (u8, u8, u8),
    published: bool,
    points: Vec<(f64, f64)>,
}

struct Axes<'a> {
    title: &'a str,
    machine: &'a str,
    rules: (f64, f64),
    unit: &'a str,
}

/// File names and their pictures; none of what was not measured.
pub fn all(series: &[Series], machine: &str) -> Result<Vec<(&'static str, String)>> {
    let mut plots = Vec::new();
    if series.iter().any(|one| one.set == published::SET) {
        let us = |one: &Series| one.ns.p50 / 1e3;
        let mut curves = ours(series, published::SET, us);
        let colours = [ALL[0].colour, colour(TUPLES), colour(SORT)];
        curves.extend(PUBLISHED.iter().zip(colours).map(|(curve, colour)| Curve {
            name: format!("published: {}", curve.name),
            colour,
            published: true,
            points: curve.us.iter().map(|&(rules, us)| (rules as f64, us)).collect(),
        }));
        let axes = Axes { title: "Lookup latency, 20 IEs", machine, rules: PUBLISHED_RULES, unit: "µs" };
        plots.push(("classifier-latency.svg", draw(&axes, &curves)?));
        let mut curves = ours(series, published::SET, |one| published::PACKET_BITS / one.ns.p50);
        let colours = [ALL[0].colour, colour(TUPLES), WORST_COLOUR, colour(SORT)];
        curves.extend(PUBLISHED_GBIT_S.iter().zip(colours).map(|((name, gbit_s), colour)| Curve {
            name: format!("published UPF: {name}"),
            colour,
            published: true,
            points: vec![(90.0, *gbit_s), (PUBLISHED_RULES.1, *gbit_s)],
        }));
        let title = "Throughput of classification alone, 68-octet packets, 20 IEs";
        let axes = Axes { title, machine, rules: PUBLISHED_RULES, unit: "Gbit/s" };
        plots.push(("classifier-throughput.svg", draw(&axes, &curves)?));
    }
    if series.iter().any(|one| one.set == warm::SET) {
        let curves = ours(series, warm::SET, |one| one.ns.p50 / 1e3);
        let axes = Axes { title: "Warm lookup, 20 fields", machine, rules: (2.0, 10_000.0), unit: "µs" };
        plots.push(("classifier-warm.svg", draw(&axes, &curves)?));
    }
    Ok(plots)
}

fn colour(name: &str) -> (u8, u8, u8) {
    ALL.iter().find(|one| one.name == name).map_or(WORST_COLOUR, |one| one.colour)
}

fn ours(series: &[Series], set: &str, value: impl Fn(&Series) -> f64) -> Vec<Curve> {
    let mut curves: Vec<Curve> = Vec::new();
    for one in series.iter().filter(|one| one.set == set) {
        let point = (one.rules as f64, value(one));
        match curves.iter_mut().find(|curve| curve.name == one.arm) {
            Some(curve) => curve.points.push(point),
            None => curves.push(Curve {
                name: one.arm.clone(),
                colour: colour(&one.arm),
                published: false,
                points: vec![point],
            }),
        }
    }
    curves
}

/// Lowest and highest value, with room around them.
fn range(curves: &[Curve]) -> std::ops::Range<f64> {
    let values = || curves.iter().flat_map(|curve| &curve.points).map(|point| point.1);
    let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::MIN_POSITIVE, f64::max));
    low / ROOM..high * ROOM
}

/// Both axes logarithmic, names beside the curves.
fn draw(axes: &Axes<'_>, curves: &[Curve]) -> Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        area.fill(&WHITE).map_err(failed)?;
        let area = area.titled(axes.machine, ("sans-serif", 12)).map_err(failed)?;
        let (left, names) = area.split_horizontally(SIZE.0 - NAMES);
        let rules = (axes.rules.0..axes.rules.1).log_scale();
        let mut chart = ChartBuilder::on(&left)
            .caption(axes.title, ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(64)
            .build_cartesian_2d(rules, range(curves).log_scale())
            .map_err(failed)?;
        chart
            .configure_mesh()
            .max_light_lines(1)
            .x_labels(8)
            .x_label_formatter(&|rules| format!("{rules:.0}"))
            .x_desc("rules")
            .y_desc(axes.unit)
            .draw()
            .map_err(failed)?;
        for (number, curve) in (0..).zip(curves) {
            let (red, green, blue) = curve.colour;
            let style = RGBColor(red, green, blue).stroke_width(2);
            let points = curve.points.iter().copied();
            if curve.published {
                chart.draw_series(DashedLineSeries::new(points, 4, 4, style)).map_err(failed)?;
            } else {
                chart.draw_series(LineSeries::new(points, style)).map_err(failed)?;
            }
            let y = 60 + 18 * number;
            let dashes = if curve.published { vec![(0, 6), (12, 18)] } else { vec![(0, 18)] };
            for (from, to) in dashes {
                names.draw(&PathElement::new([(from, y), (to, y)], style)).map_err(failed)?;
            }
            let name = Text::new(curve.name.as_str(), (24, y - 6), ("sans-serif", 12));
            names.draw(&name).map_err(failed)?;
        }
        area.present().map_err(failed)?;
    }
    Ok(svg)
}

fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("a plot: {error}")
}
