//! What the pages of all reports have: one file each, that needs nothing else.

use std::fmt::Write as _;

use crate::plot::{Axis, Curve, chart, escape};
use crate::report::Failure;
use crate::statistics::Procedure;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;color:#222;max-width:62rem;margin:2rem auto;padding:0 1rem}\
    h1{font-size:1.5rem;margin-bottom:0}h2{font-size:1.1rem;margin-top:2.2rem}\
    table{border-collapse:collapse;width:100%}th,td{padding:.25rem .6rem;text-align:right;border-bottom:1px solid #ddd}\
    th:first-child,td:first-child,td.text,th.text{text-align:left}tr.part td:first-child{padding-left:2rem}\
    svg{width:100%;font:11px system-ui,sans-serif}.ok{color:#3a7d44}.bad{color:#b3261e}.quiet{color:#666}";

/// A page up to where its content begins.
pub(crate) fn begin(title: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n",
        escape(title)
    )
}

/// The whole page.
pub(crate) fn end(mut page: String) -> String {
    page.push_str("</body>\n</html>\n");
    page
}

/// A table of procedures: how often, and how long.
pub(crate) fn procedures(page: &mut String, procedures: &[Procedure]) {
    page.push_str("<h2>Procedures</h2>\n<table>\n<tr>");
    for name in ["", "done", "failed", "mean, ms", "p50", "p99", "p99.9", "max"] {
        let _ = write!(page, "<th>{name}</th>");
    }
    page.push_str("</tr>\n");
    for procedure in procedures {
        let Procedure { name, succeeded, failed, mean_us, p50_us, p99_us, p999_us, max_us, .. } = procedure;
        let _ = write!(page, "<tr><td>{}</td><td>{succeeded}</td><td>{failed}</td>", escape(name));
        for micros in [mean_us, p50_us, p99_us, p999_us, max_us] {
            let _ = write!(page, "<td>{:.2}</td>", *micros as f64 / 1e3);
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table>\n");
}

/// What the core did that it must not, if anything.
pub(crate) fn deviations<'a>(page: &mut String, deviations: impl IntoIterator<Item = &'a Failure>) {
    let mut any = false;
    for Failure { who, clause, what, times, .. } in deviations {
        if !std::mem::replace(&mut any, true) {
            page.push_str(
                "<h2>Against the specifications</h2>\n<table>\n<tr><th>who</th><th class=\"text\">what</th>\
                 <th class=\"text\">clause</th><th>times</th></tr>\n",
            );
        }
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td class=\"text\">{}</td><td class=\"text\">{}</td><td>{times}</td></tr>",
            escape(who),
            escape(what),
            escape(clause)
        );
    }
    end_table(page, any);
}

pub(crate) fn end_table(page: &mut String, was_begun: bool) {
    if was_begun {
        page.push_str("</table>\n");
    }
}

/// How long procedures took.
pub(crate) fn latencies(page: &mut String, procedures: &[Procedure]) {
    let curves: Vec<_> = procedures.iter().map(share).collect();
    picture(page, "How many were as fast, %", (Axis::Logarithmic, "ms"), &curves);
    let curves: Vec<_> = procedures.iter().map(classes).collect();
    picture(page, "Latency: how many took so long", (Axis::Logarithmic, "ms"), &curves);
}

/// A picture, if there is anything in it.
pub(crate) fn picture(page: &mut String, title: &str, x: (Axis, &str), curves: &[Curve<'_>]) {
    let curves_with_points = curves.iter().any(|curve| !curve.points.is_empty());
    if curves_with_points {
        let _ = write!(page, "<h2>{}</h2>\n{}", escape(title), chart(x, title, curves));
    }
}

/// Per cent that took no longer.
fn share(procedure: &Procedure) -> Curve<'_> {
    let count = procedure.succeeded.max(1) as f64;
    let mut seen = 0;
    let points = procedure.histogram.iter().map(|&(longest_us, times)| {
        seen += times;
        (longest_us as f64 / 1e3, 100.0 * seen as f64 / count)
    });
    Curve { name: &procedure.name, points: points.collect() }
}

/// How many took about so long.
fn classes(procedure: &Procedure) -> Curve<'_> {
    let points =
        procedure.histogram.iter().map(|&(longest_us, times)| (longest_us as f64 / 1e3, times as f64));
    Curve { name: &procedure.name, points: points.collect() }
}

#[cfg(test)]
pub(crate) mod tests {
    /// What a peer might say, for [`assert_has_no_markup_of_peers`].
    pub(crate) const MARKUP: &str = "<img src=x onerror=alert(1)>";

    /// It has so many pictures, its tables end, and no browser asks anybody for more.
    pub(crate) fn assert_needs_nothing(page: &str, pictures: usize) {
        assert_eq!(page.matches("<svg").count(), pictures);
        assert_eq!(page.matches("<table>").count(), page.matches("</table>").count());
        for part in ["src=", "href=", "<script", "http"] {
            assert!(!page.contains(part), "{part}");
        }
    }

    /// Of a page that quotes [`MARKUP`], and a cell that is `<b>wrong</b>`.
    pub(crate) fn assert_has_no_markup_of_peers(page: &str) {
        assert!(page.contains("a &lt;b&gt;wrong&lt;/b&gt; cell") && page.contains("&lt;img src=x"), "{page}");
        assert!(!page.contains("<b>") && !page.contains("<img"), "{page}");
    }
}
