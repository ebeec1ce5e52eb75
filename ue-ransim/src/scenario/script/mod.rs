//! Scenario files: steps of a user's own, in YAML. `docs/simulator.md` lists them.

mod arguments;
pub(super) mod play;
mod step;

use std::path::Path;

use serde::Deserialize;
use tern_config::ConfigError;

use step::Step;

/// Steps that a file may make, repetitions counted.
const STEPS_MAX: u64 = 100_000;
/// Repetitions within one another.
const DEPTH_MAX: u32 = 8;

/// A scenario out of a file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// What it is called by; none takes the file's name.
    #[serde(default)]
    pub name: String,
    /// What happens in it, in one line.
    #[serde(default)]
    pub about: String,
    /// What happens, in order.
    steps: Vec<Step>,
}

impl Script {
    /// Reads a file. Its error says where in it what was expected.
    pub fn load(path: &Path) -> Result<Self, String> {
        let mut script: Self = tern_config::load(path).map_err(|error: ConfigError| error.to_string())?;
        if script.name.is_empty() {
            script.name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        }
        script.check().map_err(|wrong| format!("{}: {wrong}", path.display()))?;
        Ok(script)
    }

    /// Reads text; `file` names it in errors.
    pub fn parse(file: &str, text: &str) -> Result<Self, String> {
        let script: Self = tern_config::parse(file, text).map_err(|error| error.to_string())?;
        script.check().map_err(|wrong| format!("{file}: {wrong}"))?;
        Ok(script)
    }

    /// Subscribers that it needs.
    pub fn ues(&self) -> u32 {
        self.steps.iter().map(Step::ues).max().unwrap_or(1)
    }

    /// gNBs that it needs.
    pub fn gnbs(&self) -> u32 {
        self.steps.iter().map(Step::gnbs).max().unwrap_or(1)
    }

    fn check(&self) -> Result<(), String> {
        if self.steps.is_empty() {
            return Err("steps: expected at least one".into());
        }
        if self.steps.iter().any(|step| step.depth() > DEPTH_MAX) {
            return Err(format!("steps: repetitions within one another, more than {DEPTH_MAX} deep"));
        }
        let steps = self.steps.iter().map(Step::count).fold(0, u64::saturating_add);
        if steps > STEPS_MAX {
            return Err(format!("steps: {steps} with all repetitions, at most {STEPS_MAX} are possible"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::arguments::Way;
    use super::step::Action;
    use super::*;

    fn error(text: &str) -> String {
        Script::parse("day.yaml", text).unwrap_err()
    }

    #[test]
    fn steps_are_words_or_have_arguments() {
        let text = "name: day\nsteps:\n  - register\n  - register: { ue: 2 }\n  - handover: { to: 3, by: n2 }\n  \
                    - repeat:\n      times: 10\n      steps:\n        - idle\n        - wait: { s: 0.5 }\n";
        let script = Script::parse("day.yaml", text).unwrap();
        assert_eq!((script.name.as_str(), script.ues(), script.gnbs()), ("day", 2, 3));
        assert_eq!(script.steps.iter().map(Step::count).sum::<u64>(), 23);
        assert!(matches!(&script.steps[2].0, Action::Handover(handover) if handover.by == Way::N2));
    }

    #[test]
    fn what_is_wrong_is_said_with_file_line_field_and_what_was_expected() {
        for (text, parts) in [
            ("steps:\n  - regster\n", ["day.yaml:2:", "regster", "register"]),
            ("steps:\n  - register\n  - handover: { by: xn }\n", ["day.yaml:3:", "handover", "`to`"]),
            ("steps:\n  - handover: { by: sky, to: 2 }\n", ["day.yaml:2:", "steps[0].handover.by", "xn"]),
            ("steps:\n  - register: { ue: 0 }\n", ["day.yaml:2:", "steps[0].register.ue", "1 to"]),
            ("steps:\n  - register:\n      uee: 1\n", ["day.yaml:3:", "uee", "ue"]),
            ("steps:\n  - wait: { s: soon }\n", ["day.yaml:2:", "steps[0].wait.s", "soon"]),
            ("steps:\n  - register: { ue: 1 }\n    fails: 3\n", ["day.yaml:", "steps[0]", "one step"]),
            ("steps:\n  - establish\n  - [idle]\n", ["day.yaml:3:", "steps[1]", "a step"]),
            ("steps:\n  - handover\n", ["day.yaml:2:", "steps[0]", "`to`"]),
        ] {
            let said = error(text);
            for part in parts {
                assert!(said.contains(part), "{part}: {said}");
            }
        }
    }

    #[test]
    fn a_file_is_not_too_much() {
        let deep = |depth: usize| {
            let mut text = "steps:\n".to_owned();
            for level in 0..depth {
                let indent = " ".repeat(2 + 4 * level);
                text += &format!("{indent}- repeat:\n{indent}    times: 100\n{indent}    steps:\n");
            }
            text + &" ".repeat(2 + 4 * depth) + "- idle\n"
        };
        Script::parse("day.yaml", &deep(2)).unwrap();
        assert!(error(&deep(3)).contains("at most 100000"), "{}", error(&deep(3)));
        assert!(error(&deep(9)).contains("more than 8 deep"), "{}", error(&deep(9)));
        assert!(error("steps: []\n").contains("at least one"));
    }
}
