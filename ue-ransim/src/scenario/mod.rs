//! Named scenarios: what `tern sim list` shows and `tern sim run` does.
//!
//! A scenario is one file and one line of [`ALL`]. It reads as a script of steps; each step is timed, and
//! the first that fails ends it. What the core did that a specification does not allow fails it as well.

mod deregister;
mod handover_n2;
mod handover_n2_cancel;
mod handover_n2_failure;
mod handover_xn;
mod hostile;
mod idle_wake;
mod location_report;
mod paging;
mod pdu_session_ipv6;
mod periodic_update;
mod register;
mod register_eap_aka_prime;
mod report;
mod rrc_inactive;
mod script;
mod stage;

use std::pin::Pin;
use std::sync::Arc;

use crate::config::Config;
use crate::env::SimEnv;
use crate::error::SimError;
use crate::report::Failure;
use crate::run::Rig;

pub use report::{ScenarioReport, ScenariosReport};
pub use script::Script;
pub use stage::{Stage, StepReport};

/// A scenario's work.
type Work<'a> = Pin<Box<dyn Future<Output = Result<(), SimError>> + Send + 'a>>;

/// A scenario.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// What it is called by.
    pub name: &'static str,
    /// What happens in it, in one line.
    pub about: &'static str,
    /// UEs that it needs.
    pub ues: u32,
    /// gNBs that it needs.
    pub gnbs: u32,
    play: for<'a> fn(&'a mut Stage) -> Work<'a>,
}

/// All of them, in the order in which `all` plays them.
pub const ALL: &[Scenario] = &[
    register::SCENARIO,
    register_eap_aka_prime::SCENARIO,
    idle_wake::SCENARIO,
    pdu_session_ipv6::IPV6,
    pdu_session_ipv6::IPV4V6,
    paging::SCENARIO,
    periodic_update::SCENARIO,
    rrc_inactive::SCENARIO,
    location_report::SCENARIO,
    handover_xn::SCENARIO,
    handover_n2::DIRECT,
    handover_n2::INDIRECT,
    handover_n2_failure::SCENARIO,
    handover_n2_cancel::SCENARIO,
    deregister::SCENARIO,
    hostile::REPLAYED,
    hostile::WRONG_MAC,
    hostile::BIDDING_DOWN,
    hostile::OUT_OF_ORDER,
    hostile::DUPLICATED,
    hostile::UNKNOWN_IDS,
    hostile::GNB_VANISHES,
    hostile::NO_ANSWERS,
];

/// What can be played.
#[derive(Clone)]
pub enum Playable {
    /// One of [`ALL`].
    Named(Scenario),
    /// Out of a file.
    Script(Arc<Script>),
}

impl Playable {
    /// What it is called by.
    pub fn name(&self) -> &str {
        match self {
            Self::Named(scenario) => scenario.name,
            Self::Script(script) => &script.name,
        }
    }

    /// UEs that it needs.
    pub fn ues(&self) -> u32 {
        match self {
            Self::Named(scenario) => scenario.ues,
            Self::Script(script) => script.ues(),
        }
    }

    /// gNBs that it needs.
    pub fn gnbs(&self) -> u32 {
        match self {
            Self::Named(scenario) => scenario.gnbs,
            Self::Script(script) => script.gnbs(),
        }
    }

    async fn play(&self, stage: &mut Stage) -> Result<(), SimError> {
        match self {
            Self::Named(scenario) => (scenario.play)(stage).await,
            Self::Script(script) => script::play::play(script, stage).await,
        }
    }
}

/// The scenarios of these names; `all` stands for all.
///
/// # Errors
/// The first name that is none.
pub fn named(names: &[String]) -> Result<Vec<Scenario>, String> {
    if names.iter().any(|name| name == "all") {
        return Ok(ALL.to_vec());
    }
    let one = |name: &String| ALL.iter().find(|scenario| scenario.name == name).copied().ok_or(name.clone());
    names.iter().map(one).collect()
}

/// Plays named scenarios, one after the other, with the same gNBs.
pub async fn play(
    config: Config,
    env: SimEnv,
    scenarios: &[Scenario],
) -> Result<Vec<ScenarioReport>, SimError> {
    let scenarios: Vec<Playable> = scenarios.iter().copied().map(Playable::Named).collect();
    Ok(play_all(config, env, &scenarios).await?.scenarios)
}

/// Plays scenarios of any kind in the same way.
pub async fn play_all(
    mut config: Config,
    env: SimEnv,
    scenarios: &[Playable],
) -> Result<ScenariosReport, SimError> {
    let gnbs = scenarios.iter().map(Playable::gnbs).max().unwrap_or(1);
    config.gnbs = config.gnbs.max(gnbs);
    let subscribers: u32 = config.ues.iter().map(|group| group.count).sum();
    if let Some(scenario) = scenarios.iter().find(|scenario| scenario.ues() > subscribers) {
        let (name, ues) = (scenario.name(), scenario.ues());
        return Err(SimError::State(format!("{name} needs {ues} subscribers, and there are {subscribers}")));
    }
    let wanted = config.gnbs as usize;
    let rig = Rig::connect(config.clone(), env).await?;
    if rig.gnbs.len() < wanted {
        return Err(SimError::State(format!("only {} of {wanted} gNBs were set up", rig.gnbs.len())));
    }
    let mut stage = Stage::new(rig, config);
    let mut reports = Vec::new();
    for scenario in scenarios {
        let seen = stage.rig.journal.failures().len();
        // The step that failed says why.
        let played = scenario.play(&mut stage).await;
        let failures: Vec<Failure> = stage.rig.journal.failures().into_iter().skip(seen).collect();
        let ok = played.is_ok() && failures.is_empty();
        let name = scenario.name().to_owned();
        reports.push(ScenarioReport { name, ok, steps: stage.take_steps(played), failures });
    }
    let procedures = stage.rig.journal.procedures();
    stage.rig.stop().await;
    Ok(ScenariosReport::new(reports, procedures))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        let names: std::collections::BTreeSet<_> = ALL.iter().map(|scenario| scenario.name).collect();
        assert_eq!(names.len(), ALL.len());
        assert!(!names.contains("all"));
        assert_eq!(named(&["all".into()]).unwrap().len(), ALL.len());
        assert_eq!(named(&["paging".into(), "register".into()]).unwrap()[1].name, "register");
        assert_eq!(named(&["paging".into(), "pagign".into()]).err(), Some("pagign".into()));
    }
}
