//! `tern sim list` and `tern sim run`: named scenarios.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Result, anyhow, ensure};
use ue_ransim::env::SimEnv;
use ue_ransim::scenario::{self, Playable, ScenarioReport, Script, StepReport};

use super::{Flags, configured, write};

/// Every scenario with what happens in it.
pub fn list() -> String {
    let width = scenario::ALL.iter().map(|scenario| scenario.name.len()).max().unwrap_or_default();
    let line = |scenario: &scenario::Scenario| format!("{:width$}  {}\n", scenario.name, scenario.about);
    scenario::ALL.iter().map(line).collect()
}

/// Plays scenarios; success only if all of them passed.
pub fn run(names: &[String], json: Option<&Path>, html: Option<&Path>, flags: &Flags) -> ExitCode {
    tern_nf::log_to_stderr();
    crate::tool(async {
        let scenarios = playable(names)?;
        let mut config = configured(flags)?;
        let ues = scenarios.iter().map(Playable::ues).max().unwrap_or(1);
        if let [group] = &mut config.ues[..] {
            group.count = group.count.max(ues);
        }
        let sctp = tern_sctp::choose(flags.sctp)?.backend;
        // Kept: without its sender nobody could be told to stop.
        let (_stop, stopped) = tokio::sync::watch::channel(false);
        let env = SimEnv::real(sctp, tern_nf::Entropy::real()?.random(), stopped);
        let report = scenario::play_all(config, env, &scenarios).await?;
        crate::print(&table(&report.scenarios))?;
        if let Some(path) = json {
            write(path, &serde_json::to_vec_pretty(&report)?)?;
        }
        if let Some(path) = html {
            write(path, report.html().as_bytes())?;
        }
        let failed = report.scenarios.iter().filter(|scenario| !scenario.ok);
        ensure!(report.ok, "failed: {}", failed.map(cause).collect::<Vec<_>>().join(", "));
        Ok(())
    })
}

/// What these names stand for, in their order: files, and scenarios.
fn playable(names: &[String]) -> Result<Vec<Playable>> {
    let mut all = Vec::new();
    for name in names {
        if is_file(name) {
            let script = Script::load(Path::new(name)).map_err(|wrong| anyhow!(wrong))?;
            all.push(Playable::Script(Arc::new(script)));
        } else {
            let unknown = |name| {
                anyhow!("{name}: no such scenario; `tern sim list` shows them, and a file ends with .yaml")
            };
            let named = scenario::named(std::slice::from_ref(name)).map_err(unknown)?;
            all.extend(named.into_iter().map(Playable::Named));
        }
    }
    Ok(all)
}

fn is_file(name: &str) -> bool {
    let extension = Path::new(name).extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("yaml" | "yml"))
}

/// A line for each step, and what the core did wrong.
fn table(reports: &[ScenarioReport]) -> String {
    let steps = reports.iter().flat_map(|report| &report.steps);
    let width = steps.map(|step| step.name.len()).chain(reports.iter().map(|r| r.name.len())).max();
    let width = width.unwrap_or_default() + 2;
    let mut text = String::new();
    for report in reports {
        line(&mut text, width, &report.name, report.ok, report.duration_us());
        for StepReport { name, ok, duration_us, error } in &report.steps {
            line(&mut text, width, &format!("  {name}"), *ok, *duration_us);
            if let Some(error) = error {
                let _ = writeln!(text, "    {error}");
            }
        }
        for failure in &report.failures {
            let _ = writeln!(
                text,
                "    {}: {} ({}), {} times",
                failure.who, failure.what, failure.clause, failure.times
            );
        }
    }
    text
}

/// The scenario that failed, with the step that it failed in.
fn cause(report: &ScenarioReport) -> String {
    let step = report.steps.iter().find(|step| !step.ok);
    let error = step.and_then(|step| Some(format!(" ({}: {})", step.name, step.error.as_ref()?)));
    format!("{}{}", report.name, error.unwrap_or_default())
}

fn line(text: &mut String, width: usize, name: &str, ok: bool, duration_us: u64) {
    let result = if ok { "passed" } else { "FAILED" };
    let _ = writeln!(text, "{name:width$}  {result}  {:>10.2} ms", duration_us as f64 / 1e3);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_that_fails_shows_its_step_and_why() {
        let step = |name: &str, error: Option<&str>| StepReport {
            name: name.into(),
            ok: error.is_none(),
            duration_us: 1500,
            error: error.map(Into::into),
        };
        let steps =
            vec![step("registration", None), step("page and service request", Some("no PAGING in time"))];
        let report = ScenarioReport { name: "paging".into(), ok: false, steps, failures: Vec::new() };
        assert_eq!(cause(&report), "paging (page and service request: no PAGING in time)");
        let text = table(&[report]);
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[0].starts_with("paging ") && lines[0].contains("FAILED") && lines[0].ends_with("3.00 ms")
        );
        assert!(lines[1].contains("registration") && lines[1].contains("passed"));
        assert_eq!(lines[3], "    no PAGING in time");
    }

    #[test]
    fn the_list_has_every_scenario() {
        let text = list();
        assert_eq!(text.lines().count(), scenario::ALL.len());
        assert!(text.lines().any(|line| line.starts_with("idle-wake ")));
    }
}
