//! A report as one page that needs nothing else.

use std::fmt::Write as _;

use super::report::LoadReport;
use crate::page::{self, end_table, latencies};
use crate::plot::{Axis, Curve, escape};
use crate::statistics::FailedProcedure;

/// Lines of a table of errors.
const ERRORS_MAX: usize = 100;

impl LoadReport {
    /// The report as an HTML page with its pictures in it.
    pub fn html(&self) -> String {
        let mut page = page::begin(&format!("tern sim load: {} UEs", self.ues));
        self.head(&mut page);
        page::procedures(&mut page, &self.procedures);
        self.failures(&mut page);
        self.pictures(&mut page);
        page::end(page)
    }

    fn head(&self, page: &mut String) {
        let (class, word) = if self.ok { ("ok", "nothing failed") } else { ("bad", "not all went well") };
        let rate = self.rate.map_or_else(|| "all at once".to_owned(), |rate| format!("{rate} a second"));
        let _ = write!(
            page,
            "<h1>{} UEs, {} gNBs: <span class=\"{class}\">{word}</span></h1>\n\
             <p class=\"quiet\">UEs came {rate}, each lived {} s; {} of them without a failure; {:.1} s in all; \
             seed {}</p>\n",
            self.ues,
            self.gnbs,
            self.life_s,
            self.ues_ok,
            self.duration_us as f64 / 1e6,
            self.seed
        );
    }

    fn failures(&self, page: &mut String) {
        if !self.failed.is_empty() {
            page.push_str(
                "<h2>Failures by cause</h2>\n<table>\n<tr><th>procedure</th><th class=\"text\">cause</th>\
                 <th>times</th><th class=\"text\">first</th><th>at, s</th></tr>\n",
            );
        }
        for FailedProcedure { procedure, cause, times, who, at_us, .. } in &self.failed {
            let _ = writeln!(
                page,
                "<tr><td>{}</td><td class=\"text\">{}</td><td>{times}</td><td class=\"text\">{}</td><td>{:.1}</td></tr>",
                escape(procedure),
                escape(cause),
                escape(who),
                *at_us as f64 / 1e6
            );
        }
        end_table(page, !self.failed.is_empty());
        page::deviations(page, &self.deviations);
        if !self.errors.is_empty() {
            page.push_str("<h2>Errors</h2>\n<ul>\n");
        }
        for error in self.errors.iter().take(ERRORS_MAX) {
            let _ = writeln!(page, "<li>{}</li>", escape(error));
        }
        if !self.errors.is_empty() {
            page.push_str("</ul>\n");
        }
    }

    fn pictures(&self, page: &mut String) {
        latencies(page, &self.procedures);
        let seconds = self.duration_us.div_ceil(1_000_000);
        let over_time = |name, each: &[(u64, u64)]| Curve { name, points: filled(each, seconds) };
        let curves: Vec<_> = self
            .procedures
            .iter()
            .map(|procedure| over_time(&procedure.name, &procedure.per_second))
            .collect();
        page::picture(page, "Procedures a second", (Axis::Linear, "s"), &curves);
        let curves: Vec<_> =
            self.failed.iter().map(|failed| over_time(&failed.cause, &failed.per_second)).collect();
        page::picture(page, "Failures a second", (Axis::Linear, "s"), &curves);
        let points = self.registered.iter().map(|&(second, ues)| (second as f64, f64::from(ues))).collect();
        page::picture(page, "UEs registered", (Axis::Linear, "s"), &[Curve { name: "UEs", points }]);
        let curve = |memory: &super::Memory| {
            memory.samples.iter().map(|&(second, kib)| (second as f64, kib as f64 / 1024.0)).collect()
        };
        let curves: Vec<_> =
            self.memory.iter().map(|memory| Curve { name: &memory.process, points: curve(memory) }).collect();
        page::picture(page, "Resident memory, MiB", (Axis::Linear, "s"), &curves);
    }
}

/// A point for each second, also where nothing happened; for long runs for as many of them as can be seen.
fn filled(per_second: &[(u64, u64)], seconds: u64) -> Vec<(f64, f64)> {
    const POINTS_MAX: u64 = 600;
    let width = seconds.div_ceil(POINTS_MAX).max(1);
    let mut sums = vec![0_u64; usize::try_from(seconds.div_ceil(width)).unwrap_or_default() + 1];
    for &(second, times) in per_second {
        let at = usize::try_from(second / width).unwrap_or(usize::MAX);
        if let Some(sum) = sums.get_mut(at) {
            *sum += times;
        }
    }
    let point = |(at, sum): (usize, u64)| (at as f64 * width as f64, sum as f64 / width as f64);
    sums.into_iter().enumerate().map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::sample;
    use super::*;
    use crate::page::tests::{MARKUP, assert_has_no_markup_of_peers, assert_needs_nothing};

    #[tokio::test(start_paused = true)]
    async fn a_page_has_tables_and_pictures_and_needs_nothing_else() {
        let page = sample("imsi-7").await.html();
        for part in ["<td>registration</td><td>10</td><td>0</td>", "no PAGING (page)", "TS 38.413 §8.5.1.2"]
        {
            assert!(page.contains(part), "{part}:\n{page}");
        }
        assert_needs_nothing(&page, 6);
    }

    #[tokio::test(start_paused = true)]
    async fn what_peers_said_is_no_markup() {
        assert_has_no_markup_of_peers(&sample(MARKUP).await.html());
    }

    #[test]
    fn a_second_without_anything_is_a_point_as_well() {
        assert_eq!(filled(&[(0, 2), (2, 4)], 3), [(0.0, 2.0), (1.0, 0.0), (2.0, 4.0), (3.0, 0.0)]);
        let long = filled(&[(0, 60), (86_399, 144)], 86_400);
        assert!(long.len() <= 601 && long[0] == (0.0, 60.0 / 144.0), "{:?}", long[0]);
    }
}
