//! What scenarios came to: as data, and as a page.

use std::fmt::Write as _;

use serde::Serialize;

use super::StepReport;
use crate::page;
use crate::plot::escape;
use crate::report::Failure;
use crate::statistics::Procedure;

/// What a scenario came to.
#[derive(Debug, Clone, Serialize)]
pub struct ScenarioReport {
    /// Its name.
    pub name: String,
    /// Whether every step succeeded, and the core did nothing wrong.
    pub ok: bool,
    /// Its steps, in their order.
    pub steps: Vec<StepReport>,
    /// What the core did that it must not.
    pub failures: Vec<Failure>,
}

impl ScenarioReport {
    /// µs that its steps took together.
    pub fn duration_us(&self) -> u64 {
        self.steps.iter().map(|step| step.duration_us).sum()
    }
}

/// Scenarios that were played one after the other.
#[derive(Debug, Clone, Serialize)]
pub struct ScenariosReport {
    /// Whether each of them passed.
    pub ok: bool,
    /// They, in their order.
    pub scenarios: Vec<ScenarioReport>,
    /// The procedures in all of them, in the order of their names.
    pub procedures: Vec<Procedure>,
}

impl ScenariosReport {
    pub(super) fn new(scenarios: Vec<ScenarioReport>, procedures: Vec<Procedure>) -> Self {
        Self { ok: scenarios.iter().all(|scenario| scenario.ok), scenarios, procedures }
    }

    /// The report as an HTML page: the table of steps, latencies by procedure, and what failed.
    pub fn html(&self) -> String {
        let mut page = page::begin("tern sim run");
        let failed = self.scenarios.iter().filter(|scenario| !scenario.ok).count();
        let (class, word) = match failed {
            0 => ("ok", "all passed".to_owned()),
            failed => ("bad", format!("{failed} failed")),
        };
        let count = self.scenarios.len();
        let _ = writeln!(page, "<h1>{count} scenarios: <span class=\"{class}\">{word}</span></h1>");
        self.steps(&mut page);
        if !self.procedures.is_empty() {
            page::procedures(&mut page, &self.procedures);
        }
        page::deviations(&mut page, self.scenarios.iter().flat_map(|scenario| &scenario.failures));
        page::latencies(&mut page, &self.procedures);
        page::end(page)
    }

    fn steps(&self, page: &mut String) {
        page.push_str(
            "<h2>Scenarios</h2>\n<table>\n<tr><th></th><th class=\"text\">result</th><th>ms</th></tr>\n",
        );
        for scenario in &self.scenarios {
            row(page, "", &scenario.name, scenario.ok, scenario.duration_us(), None);
            for StepReport { name, ok, duration_us, error } in &scenario.steps {
                row(page, " class=\"part\"", name, *ok, *duration_us, error.as_deref());
            }
        }
        page.push_str("</table>\n");
    }
}

fn row(page: &mut String, class: &str, name: &str, ok: bool, duration_us: u64, error: Option<&str>) {
    let (colour, word) = if ok { ("ok", "passed") } else { ("bad", "FAILED") };
    let why = error.map(|error| format!(": {}", escape(error))).unwrap_or_default();
    let _ = writeln!(
        page,
        "<tr{class}><td>{}</td><td class=\"text {colour}\">{word}{why}</td><td>{:.2}</td></tr>",
        escape(name),
        duration_us as f64 / 1e3
    );
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;
    use crate::page::tests::{MARKUP, assert_has_no_markup_of_peers, assert_needs_nothing};
    use crate::report::Journal;

    async fn sample(error: &str) -> ScenariosReport {
        let journal = Journal::start();
        for ms in 1..=3 {
            journal.step("ue", "registration", Instant::now(), Duration::from_millis(ms));
        }
        journal.failure("gnb-1", "TS 38.413 §8.5.1.2", "a <b>wrong</b> cell");
        let step = |name: &str, error: Option<&str>| StepReport {
            name: name.into(),
            ok: error.is_none(),
            duration_us: 1500,
            error: error.map(Into::into),
        };
        let scenario = |name: &str, steps: Vec<StepReport>, failures: Vec<Failure>| ScenarioReport {
            name: name.into(),
            ok: failures.is_empty() && steps.iter().all(|step| step.ok),
            steps,
            failures,
        };
        let paging = vec![step("registration", None), step("page", Some(error))];
        let scenarios = vec![
            scenario("register", vec![step("registration", None)], Vec::new()),
            scenario("paging", paging, journal.failures()),
        ];
        ScenariosReport::new(scenarios, journal.procedures())
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_has_steps_latencies_and_what_failed_and_needs_nothing_else() {
        let report = sample("no PAGING in time").await;
        assert!(!report.ok);
        let page = report.html();
        for part in [
            "<h1>2 scenarios: <span class=\"bad\">1 failed</span></h1>",
            "<tr><td>paging</td><td class=\"text bad\">FAILED</td><td>3.00</td></tr>",
            "<tr class=\"part\"><td>page</td><td class=\"text bad\">FAILED: no PAGING in time</td><td>1.50</td></tr>",
            "<td>registration</td><td>3</td><td>0</td><td>2.00</td>",
            "TS 38.413 §8.5.1.2",
        ] {
            assert!(page.contains(part), "{part}:\n{page}");
        }
        assert_needs_nothing(&page, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_peers_said_is_no_markup() {
        assert_has_no_markup_of_peers(&sample(MARKUP).await.html());
    }

    #[test]
    fn scenarios_that_pass_are_fine() {
        let page = ScenariosReport::new(Vec::new(), Vec::new()).html();
        assert!(page.contains("all passed") && !page.contains("<h2>Procedures"), "{page}");
    }
}
