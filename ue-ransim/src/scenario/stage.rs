//! Where scenarios play: gNBs, UEs, and the steps so far.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::config::Config;
use crate::error::SimError;
use crate::run::Rig;
use crate::ue::{Session, Ue};

/// A step of a scenario.
#[derive(Debug, Clone, Serialize)]
pub struct StepReport {
    /// What was done.
    pub name: String,
    /// Whether it succeeded.
    pub ok: bool,
    /// µs.
    pub duration_us: u64,
    /// Why it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// gNBs and UEs of a scenario.
#[derive(Debug)]
pub struct Stage {
    pub(crate) rig: Rig,
    pub(crate) config: Config,
    steps: Vec<StepReport>,
}

impl Stage {
    pub(super) fn new(rig: Rig, config: Config) -> Self {
        Self { rig, config, steps: Vec::new() }
    }

    /// The UE of this number, switched on anew.
    pub fn ue(&mut self, number: u32) -> Result<Ue, SimError> {
        self.rig.ue(number)
    }

    /// Does one step and keeps what became of it.
    pub async fn step<T>(
        &mut self,
        name: impl Into<String>,
        work: impl Future<Output = Result<T, SimError>>,
    ) -> Result<T, SimError> {
        let began = Instant::now();
        let done = work.await;
        let error = done.as_ref().err().map(ToString::to_string);
        self.keep(name.into(), began.elapsed(), error);
        done
    }

    /// Keeps whether something holds; it ends the scenario if not.
    pub fn check(&mut self, name: &str, holds: bool, found: impl fmt::Display) -> Result<(), SimError> {
        let error = (!holds).then(|| found.to_string());
        self.keep(name.to_owned(), Duration::ZERO, error.clone());
        error.map_or(Ok(()), |error| Err(SimError::State(error)))
    }

    /// Pings the configured target through a session; no step without one.
    pub async fn ping(&mut self, session: &mut Session) -> Result<(), SimError> {
        let Some(target) = self.config.ping_target_of(session.address) else { return Ok(()) };
        self.ping_to(session, target).await
    }

    /// The same over IPv6, of a session that may have both.
    pub async fn ping_ipv6(&mut self, session: &mut Session) -> Result<(), SimError> {
        let Some(target) = self.config.ping_target_ipv6 else { return Ok(()) };
        self.ping_to(session, target.into()).await
    }

    async fn ping_to(&mut self, session: &mut Session, target: IpAddr) -> Result<(), SimError> {
        let (count, interval) = (self.config.ping.max(1), self.config.ping_interval());
        let pings = async {
            let stats = session.ping(target, count, interval).await?;
            let lost = stats.sent as usize - stats.rtt.len();
            if lost > 0 {
                return Err(SimError::State(format!("{lost} of {} echo requests lost", stats.sent)));
            }
            Ok(())
        };
        let name = if target.is_ipv4() { "ping" } else { "ping over IPv6" };
        self.step(name, pings).await
    }

    /// Has the UE go idle: by the gNB's inactivity timer if it has one.
    pub async fn go_idle(&mut self, ue: &mut Ue) -> Result<(), SimError> {
        let inactivity = self.config.inactivity_s.map(Duration::from_secs);
        let idle = async {
            match inactivity {
                Some(inactivity) => ue.await_inactivity(inactivity).await,
                None => ue.go_idle().await,
            }
        };
        self.step("AN release", idle).await
    }

    pub(super) fn take_steps(&mut self, played: Result<(), SimError>) -> Vec<StepReport> {
        let mut steps = std::mem::take(&mut self.steps);
        // What fails between two steps is a step of its own.
        if let Err(error) = played
            && steps.iter().all(|step| step.ok)
        {
            steps.push(StepReport {
                name: "scenario".into(),
                ok: false,
                duration_us: 0,
                error: Some(error.to_string()),
            });
        }
        steps
    }

    fn keep(&mut self, name: String, duration: Duration, error: Option<String>) {
        let duration_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.steps.push(StepReport { name, ok: error.is_none(), duration_us, error });
    }
}
