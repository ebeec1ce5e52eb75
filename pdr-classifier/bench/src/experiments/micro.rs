//! One lookup in warm caches by Criterion: median and its 95 % interval. Arms follow each other here, so
//! the goals go by the experiments that run in turn.

use std::time::Duration;

use anyhow::Result;
use criterion::Criterion;
use pdr_classifier::generate::{Hits, Shape};
use tern_figures::{Row, criterion::estimate};

use crate::Bench;
use crate::report::Report;
use crate::scene::Scene;

const WARM_UP: Duration = Duration::from_millis(150);
const MEASURED: Duration = Duration::from_millis(600);
const SAMPLES: usize = 20;
/// Rules of the sets.
const RULES: [usize; 3] = [2, 16, 100];
/// Lookups of one iteration; what is reported is one of them.
const LOOKUPS: usize = 64;

pub fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let directory = bench.output.join("criterion");
    let mut criterion = Criterion::default()
        .without_plots()
        .output_directory(&directory)
        .warm_up_time(WARM_UP)
        .measurement_time(MEASURED)
        .sample_size(SAMPLES);
    for count in RULES {
        let scene = Scene::generated(Shape::OneTuple, count, Hits::LastHalf)?;
        for mut arm in scene.arms() {
            // A comma would be no name of a directory.
            let name = format!("lookup {} {count}", arm.name.replace(',', ""));
            let mut first = 0;
            criterion.bench_function(&name, |bencher| {
                bencher.iter(|| {
                    (arm.work)(first..first + LOOKUPS);
                    first = (first + LOOKUPS) % arm.items;
                });
            });
            let mut figure = estimate(&directory, &name)?;
            for value in [&mut figure.p50, &mut figure.p99, &mut figure.min, &mut figure.max] {
                *value /= LOOKUPS as f64;
            }
            report.row(Row::new(
                format!("Criterion: warm lookup, 20 fields, {count} rules: {}", arm.name),
                figure,
                "ns",
                "median and its 95 % interval",
            ));
        }
    }
    Ok(())
}
