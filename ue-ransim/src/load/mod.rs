//! Load: UEs in numbers that arrive at a rate and live, each for the same time; gNBs and UEs in numbers
//! that a core must survive, and messages that it must.

mod flood;
mod html;
mod life;
mod report;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tern_types::Random;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::config::Config;
use crate::env::SimEnv;
use crate::error::SimError;
use crate::gnb::Gnb;
use crate::report::Journal;
use crate::run::{Rig, request};
use crate::ue::{Session, SessionRequest, Ue};

pub use flood::{garbage, open_associations, registration_flood};
pub use report::{LoadReport, Memory};

use life::Life;

/// Between two looks at how far a run is.
const TICK: Duration = Duration::from_millis(250);
/// What the registered UEs are counted by.
const SECOND_US: u64 = 1_000_000;

/// What a UE does beside registering, having a session and deregistering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// Goes idle (TS 23.502 §4.2.6), perhaps to another gNB's cell, and wakes by a service request.
    Idle,
    /// Goes to another gNB's cell by Xn handover.
    Xn,
    /// Goes to another gNB's cell by N2 handover.
    N2,
    /// Registers periodically while it is idle, as if T3512 had expired.
    Update,
    /// Is paged while it is idle, for a packet of the last UE, and answers.
    Page,
}

impl Activity {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Idle, Self::Xn, Self::N2, Self::Update, Self::Page];
    /// Those that need no user plane.
    pub const DEFAULT: [Self; 4] = [Self::Idle, Self::Xn, Self::N2, Self::Update];

    /// What it is called by.
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Xn => "xn",
            Self::N2 => "n2",
            Self::Update => "update",
            Self::Page => "page",
        }
    }
}

impl std::str::FromStr for Activity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|activity| activity.name() == text);
        named.ok_or_else(|| format!("expected {}, got {text:?}", Self::ALL.map(Self::name).join(", ")))
    }
}

/// How UEs live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadConfig {
    /// All that the simulator chooses follows from it.
    pub seed: u64,
    /// From a UE's arrival until it deregisters.
    pub duration: Duration,
    /// The mean time between two activities of a UE; they are as far apart as independent events.
    pub pause: Duration,
    /// What they do.
    pub activities: Vec<Activity>,
}

impl Default for LoadConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            duration: Duration::from_secs(60),
            pause: Duration::from_secs(10),
            activities: Activity::DEFAULT.to_vec(),
        }
    }
}

impl LoadConfig {
    /// Whether UEs do this.
    pub fn does(&self, activity: Activity) -> bool {
        self.activities.contains(&activity)
    }

    /// What of it cannot be.
    pub fn check(&self, config: &Config) -> Result<(), String> {
        let ues: u32 = config.ues.iter().map(|group| group.count).sum();
        let needs_idle = [Activity::Update, Activity::Page].into_iter().find(|&activity| self.does(activity));
        if let Some(activity) = needs_idle
            && !self.does(Activity::Idle)
        {
            return Err(format!("a UE that never goes idle cannot do {}", activity.name()));
        }
        if config.gnbs < 2 && (self.does(Activity::Xn) || self.does(Activity::N2)) {
            return Err("xn and n2 need another gNB to go to: at least 2 gNBs".into());
        }
        if self.does(Activity::Page) && ues < 2 {
            return Err("page needs a UE that calls the others: at least 2 UEs".into());
        }
        if self.does(Activity::Page) && config.inactivity_s.is_some() {
            return Err("page needs a UE that stays connected to call the others: no inactivity_s".into());
        }
        if self.pause.is_zero() {
            return Err("the time between two activities: expected more than nothing".into());
        }
        Ok(())
    }
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoadProgress {
    /// Since its start.
    pub elapsed: Duration,
    /// Until the last UE leaves, if all goes well.
    pub whole: Duration,
    /// UEs that are to come in all.
    pub ues: u32,
    /// UEs that are registered.
    pub registered: u32,
    /// UEs that have left.
    pub left: u32,
    /// Procedures that succeeded.
    pub done: u64,
    /// Procedures that did not, and what the core did wrong.
    pub failed: u64,
}

/// What all UEs of a run share.
struct Crowd {
    load: LoadConfig,
    gnbs: Vec<Gnb>,
    journal: Journal,
    request: SessionRequest,
    /// Whose packets have the others paged.
    caller: Option<Session>,
    registered: AtomicU32,
    left: AtomicU32,
    stop: tokio::sync::watch::Receiver<bool>,
}

impl Crowd {
    fn progress(&self, elapsed: Duration, whole: Duration, ues: u32) -> LoadProgress {
        let (done, failed) = self.journal.procedure_counts();
        LoadProgress {
            elapsed,
            whole,
            ues,
            registered: self.registered.load(Ordering::Relaxed),
            left: self.left.load(Ordering::Relaxed),
            done,
            failed: failed + self.journal.failures().len() as u64,
        }
    }
}

/// Has UEs arrive at the configuration's rate and live; the report of it. `tell` is told four times a
/// second how far it is.
pub async fn run(
    config: Config,
    load: LoadConfig,
    mut env: SimEnv,
    mut tell: impl FnMut(&LoadProgress),
) -> Result<LoadReport, SimError> {
    load.check(&config).map_err(SimError::State)?;
    let mut random = seeded(load.seed);
    env.random = random.fork();
    let stop = env.stop.clone();
    let mut rig = Rig::connect(config.clone(), env).await?;
    let subscribers: u32 = config.ues.iter().map(|group| group.count).sum();
    let calls = load.does(Activity::Page);
    let ues = subscribers - u32::from(calls);
    let (gnbs, journal) = (rig.gnbs.len(), rig.journal.clone());
    let mut report = LoadReport::new(&load, &config, gnbs, ues);
    if gnbs < config.gnbs as usize {
        report.end(&journal, 0);
        return Ok(report);
    }
    let request = session_request(&config);
    let mut caller = if calls { Some(rig.ue(ues)?) } else { None };
    let session = match &mut caller {
        Some(ue) => Some(called_by(ue, &request).await?),
        None => None,
    };
    let crowd = Arc::new(Crowd {
        load: load.clone(),
        gnbs: rig.gnbs.clone(),
        journal: journal.clone(),
        request,
        caller: session,
        registered: AtomicU32::new(0),
        left: AtomicU32::new(0),
        stop,
    });
    let began = Instant::now();
    let arrival = |index: u32| {
        config.rate.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(f64::from(index) / rate))
    };
    let mut lives = JoinSet::new();
    for index in 0..ues {
        let life = Life::new(rig.ue(index)?, random.fork(), Arc::clone(&crowd));
        lives.spawn(life.live(began + arrival(index)));
    }
    let whole = arrival(ues.saturating_sub(1)) + load.duration;
    let ues_ok = {
        let mut calling = std::pin::pin!(stay(&mut caller));
        let (mut next, mut ues_ok) = (began + TICK, 0);
        loop {
            tokio::select! {
                biased;
                ended = lives.join_next() => match ended {
                    Some(ended) => ues_ok += u32::from(ended.unwrap_or(false)),
                    None => break ues_ok,
                },
                error = &mut calling => return Err(error),
                () = tokio::time::sleep_until(next) => {
                    next += TICK;
                    let progress = crowd.progress(began.elapsed(), whole, ues);
                    report.registered(journal.elapsed_us() / SECOND_US, progress.registered);
                    tell(&progress);
                }
            }
        }
    };
    let progress = crowd.progress(began.elapsed(), whole, ues);
    report.registered(journal.elapsed_us() / SECOND_US, progress.registered);
    tell(&progress);
    if let Some(mut ue) = caller {
        ue.deregister(false).await?;
    }
    rig.stop().await;
    report.end(&journal, ues_ok);
    Ok(report)
}

fn seeded(seed: u64) -> Random {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    Random::from_seed(bytes)
}

fn session_request(config: &Config) -> SessionRequest {
    let wanted = config.ues.first().and_then(|group| group.sessions.first());
    wanted.map(request).unwrap_or_default()
}

/// The UE that calls the others registers, and has a session to send by.
async fn called_by(ue: &mut Ue, request: &SessionRequest) -> Result<Session, SimError> {
    ue.register().await?;
    ue.establish_session(request.clone()).await
}

/// Has it answer what comes, until it cannot.
async fn stay(caller: &mut Option<Ue>) -> SimError {
    let Some(ue) = caller else { return std::future::pending().await };
    loop {
        if let Err(error) = ue.idle(Duration::from_secs(3600)).await {
            return error;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::UeGroup;

    fn config(gnbs: u32, ues: u32) -> Config {
        let supi = "imsi-001010000000001".parse().unwrap();
        Config { gnbs, ues: vec![UeGroup { count: ues, ..UeGroup::new(supi, "", "") }], ..Config::default() }
    }

    #[test]
    fn what_cannot_be_is_said() {
        let with =
            |activities: &[Activity]| LoadConfig { activities: activities.to_vec(), ..LoadConfig::default() };
        assert_eq!(LoadConfig::default().check(&config(2, 1)), Ok(()));
        for (load, config, why) in [
            (LoadConfig::default(), config(1, 1), "another gNB"),
            (with(&[Activity::Update]), config(2, 1), "never goes idle"),
            (with(&[Activity::Idle, Activity::Page]), config(2, 1), "2 UEs"),
            (
                LoadConfig { pause: Duration::ZERO, ..LoadConfig::default() },
                config(2, 1),
                "more than nothing",
            ),
        ] {
            let said = load.check(&config).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
    }

    #[test]
    fn activities_are_read_by_their_names() {
        for activity in Activity::ALL {
            assert_eq!(activity.name().parse(), Ok(activity));
        }
        assert!("sleep".parse::<Activity>().unwrap_err().contains("expected idle, xn, n2, update, page"));
    }
}
