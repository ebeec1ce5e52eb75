//! A run: gNBs and UEs as a configuration says, and their report.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tern_nas::nas_5gs::PduSessionTypeValue;
use tern_types::{GnbId, Random, Supi};
use tokio::sync::Barrier;
use tokio::time::Instant;

use crate::config::{Config, SessionConfig, SessionType};
use crate::env::SimEnv;
use crate::error::SimError;
use crate::gnb::{Gnb, GnbConfig, N3};
use crate::report::{Journal, Progress, Report};
use crate::ue::{Session, SessionRequest, SessionTun, Subscriber, Ue};

/// How long the gNBs' associations may take to end.
const STOP_TIME: Duration = Duration::from_secs(2);
/// Between two lines about a run's progress.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);
/// Longest output kept of a program, in octets.
const OUTPUT_MAX: usize = 64 * 1024;

/// The gNBs of a configuration, connected, and the UEs they can have: what a test drives by hand.
#[derive(Debug)]
pub struct Rig {
    /// The gNBs that were set up.
    pub gnbs: Vec<Gnb>,
    /// What happened so far.
    pub journal: Journal,
    config: Config,
    env: SimEnv,
    random: Random,
}

impl Rig {
    /// Connects every gNB. One that cannot be set up is told in the journal and left out.
    pub async fn connect(config: Config, env: SimEnv) -> Result<Self, SimError> {
        config.check().map_err(SimError::State)?;
        for group in &config.ues {
            // What is wrong with a subscriber is said before anything is connected.
            Subscriber::new(group, group.count.saturating_sub(1), config.plmn)?;
        }
        let journal = Journal::start();
        let mut random = env.random.clone();
        let (mut n3s, mut gnbs): (Vec<N3>, _) = (Vec::new(), Vec::new());
        for &address in &config.n3 {
            if !n3s.iter().any(|n3| n3.address() == address) {
                let at = SocketAddr::new(address, config.n3_port);
                n3s.push(N3::bind(&*env.n3, at, journal.clone()).await?);
            }
        }
        for index in 0..config.gnbs {
            let address = config.n3[index as usize % config.n3.len()];
            let Some(n3) = n3s.iter().find(|n3| n3.address() == address) else { continue };
            let gnb = gnb_config(&config, index)?;
            let name = gnb.name.clone();
            match Gnb::connect(gnb, &env, n3.clone(), journal.clone()).await {
                Ok(gnb) => gnbs.push(gnb),
                Err(error) => journal.error(&name, error),
            }
        }
        let random = random.fork();
        Ok(Self { gnbs, journal, config, env, random })
    }

    /// The `index`-th UE of all groups, in the cell of the gNB whose turn it is.
    pub fn ue(&mut self, index: u32) -> Result<Ue, SimError> {
        let mut rest = index;
        for group in &self.config.ues {
            if rest < group.count {
                let subscriber = Subscriber::new(group, rest, self.config.plmn)?;
                return self.ue_of(subscriber, index);
            }
            rest -= group.count;
        }
        Err(SimError::State(format!("there is no UE {index}")))
    }

    /// A UE of one's own making, in the cell of the gNB whose turn it is.
    pub fn ue_of(&mut self, subscriber: Subscriber, turn: u32) -> Result<Ue, SimError> {
        let count = self.gnbs.len().max(1);
        let gnb = self.gnbs.get(turn as usize % count);
        let gnb = gnb.ok_or_else(|| SimError::State("no gNB was set up".into()))?;
        Ok(Ue::new(subscriber, gnb, self.random.fork(), self.journal.clone()))
    }

    /// A further gNB, of one's own making, on the N3 address of the first.
    pub async fn add_gnb(&mut self, config: GnbConfig) -> Result<Gnb, SimError> {
        let n3 = self.gnbs.first().map(|gnb| gnb.n3().clone());
        let n3 = n3.ok_or_else(|| SimError::State("no gNB was set up".into()))?;
        let gnb = Gnb::connect(config, &self.env, n3, self.journal.clone()).await?;
        self.gnbs.push(gnb.clone());
        Ok(gnb)
    }

    /// Ends the gNBs' associations in order.
    pub async fn stop(&self) {
        self.gnbs.iter().for_each(Gnb::stop);
        let until = Instant::now() + STOP_TIME;
        while self.gnbs.iter().any(Gnb::is_up) && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// The `index`-th gNB of a configuration.
pub fn gnb_config(config: &Config, index: u32) -> Result<GnbConfig, SimError> {
    let id = config.gnb_id.wrapping_add(index);
    let id = GnbId::new(id, config.gnb_id_bits).map_err(|error| SimError::State(error.to_string()))?;
    let n2 = if config.gnbs == 1 || config.n2.is_empty() {
        config.n2.clone()
    } else {
        vec![config.n2[index as usize % config.n2.len()]]
    };
    Ok(GnbConfig {
        name: format!("gnb-{}", index + 1),
        plmn: config.plmn,
        id,
        tac: config.tac,
        slices: config.slices.clone(),
        amf: config.amf.clone(),
        n2,
        udp_port: config.udp_port,
        inactivity: config.inactivity_s.map(Duration::from_secs),
    })
}

/// What the UEs of a run share.
struct Shared {
    config: Config,
    env: SimEnv,
    journal: Journal,
    /// All sessions are up, or will not be; then all have been used.
    up: Barrier,
    used: Barrier,
    tun_number: AtomicU32,
}

/// Does what the configuration says: connects, registers, establishes, uses, deregisters. Whatever
/// goes wrong is in the report.
pub async fn run(config: Config, env: SimEnv) -> Result<Report, SimError> {
    let mut rig = Rig::connect(config.clone(), env.clone()).await?;
    let count: u32 = config.ues.iter().map(|group| group.count).sum();
    let (gnbs, journal) = (rig.gnbs.len(), rig.journal.clone());
    if gnbs == 0 {
        return Ok(journal.report(0, count as usize, 0));
    }
    let shared = Arc::new(Shared {
        up: Barrier::new(count as usize),
        used: Barrier::new(count as usize),
        tun_number: AtomicU32::new(0),
        journal: journal.clone(),
        config,
        env,
    });
    let began = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for index in 0..count {
        let ue = rig.ue(index)?;
        let shared = Arc::clone(&shared);
        let start =
            shared.config.rate.map_or(began, |rate| began + Duration::from_secs_f64(f64::from(index) / rate));
        tasks.spawn(async move {
            tokio::time::sleep_until(start).await;
            live(ue, index == 0, &shared).await
        });
    }
    let mut ues_ok = 0;
    let (mut next, mut told) = (began + PROGRESS_INTERVAL, Progress::default());
    loop {
        tokio::select! {
            biased;
            done = tasks.join_next() => match done {
                Some(done) => ues_ok += usize::from(done.unwrap_or(false)),
                None => break,
            },
            () = tokio::time::sleep_until(next) => {
                next += PROGRESS_INTERVAL;
                tell(&journal, count, &mut told);
            }
        }
    }
    rig.stop().await;
    Ok(journal.report(gnbs, count as usize, ues_ok))
}

/// One line about how far the run is, if it is further than when it was told last.
fn tell(journal: &Journal, ues: u32, told: &mut Progress) {
    let now = journal.progress();
    if now != *told {
        let Progress { registrations, sessions, errors } = now;
        tracing::info!(ues, registrations, sessions, errors, "progress");
        *told = now;
    }
}

/// One UE's life; whether every step of it succeeded.
async fn live(mut ue: Ue, first: bool, shared: &Shared) -> bool {
    let journal = &shared.journal;
    let mut open = Vec::new();
    let begun = begin(&mut ue, &mut open, shared).await;
    if let Err(error) = &begun {
        journal.error(&ue, error);
    }
    let begun = begun.is_ok();
    let supi = ue.supi().clone();
    let used = while_idle(&mut ue, async {
        shared.up.wait().await;
        if first && begun {
            exec(&supi, open.first(), shared).await;
        }
        if begun {
            stay(shared).await;
        }
        shared.used.wait().await;
    });
    let used = used.await.inspect_err(|error| journal.error(&supi, error));
    let mut fine = begun && used.is_ok();
    if ue.is_registered() && shared.config.deregister {
        let gone = ue.deregister(false).await;
        fine &= gone.inspect_err(|error| journal.error(&ue, error)).is_ok();
    }
    fine
}

/// A session that stays open as long as its UE lives.
enum Open {
    /// Programs use it.
    Tun(SessionTun),
    /// Nothing reads what comes.
    Kept(Session),
}

/// Does something while the UE answers what comes, even after its connection is gone.
async fn while_idle(ue: &mut Ue, work: impl Future<Output = ()>) -> Result<(), SimError> {
    let mut work = std::pin::pin!(work);
    let pumped = tokio::select! {
        biased;
        () = &mut work => return Ok(()),
        ended = async {
            loop {
                ue.idle(Duration::from_secs(3600)).await?;
            }
        } => ended,
    };
    work.await;
    pumped
}

async fn begin(ue: &mut Ue, open: &mut Vec<Open>, shared: &Shared) -> Result<(), SimError> {
    let config = &shared.config;
    ue.register_persistently(config.attempts).await?;
    let group = config.ues.iter().scan(0, |seen, group| {
        *seen += group.count;
        Some(group)
    });
    // A group's UEs share their sessions; the SUPI says which group it is.
    let sessions = group
        .filter(|group| belongs(group, ue))
        .map(|group| group.sessions.clone())
        .next()
        .unwrap_or_default();
    for wanted in &sessions {
        let asked = ue.establish_session_persistently(request(wanted), config.session_attempts);
        let mut session = asked.await?;
        if config.tun && session.ipv6.is_some() {
            session.solicit_router().await?;
        }
        if config.tun {
            let devices = shared.env.tun.as_ref();
            let devices = devices.ok_or_else(|| SimError::State("there are no TUN devices here".into()))?;
            let number = shared.tun_number.fetch_add(1, Ordering::Relaxed);
            let tun = session.into_tun(devices, &format!("{}{number}", config.tun_name))?;
            tracing::info!(ue = %ue.supi(), device = %tun.name, address = %tun.address, "session up");
            open.push(Open::Tun(tun));
        } else if let (Some(target), 1..) = (config.ping_target_of(session.address), config.ping) {
            let stats = session.ping(target, config.ping, config.ping_interval()).await?;
            if stats.rtt.len() < stats.sent as usize {
                let lost = stats.sent as usize - stats.rtt.len();
                return Err(SimError::State(format!(
                    "{lost} of {} echo requests to {target} had no reply",
                    stats.sent
                )));
            }
            open.push(Open::Kept(session));
        } else {
            open.push(Open::Kept(session));
        }
    }
    Ok(())
}

fn belongs(group: &crate::config::UeGroup, ue: &Ue) -> bool {
    let (first, own) = (group.supi.imsi().parse::<u64>(), ue.supi().imsi().parse::<u64>());
    match (first, own) {
        (Ok(first), Ok(own)) => own >= first && own - first < u64::from(group.count),
        _ => false,
    }
}

/// What a UE asks for, to have such a session.
pub(crate) fn request(wanted: &SessionConfig) -> SessionRequest {
    SessionRequest {
        dnn: wanted.dnn.clone(),
        slice: wanted.slice,
        kind: match wanted.kind {
            SessionType::Ipv4 => PduSessionTypeValue::Ipv4,
            SessionType::Ipv6 => PduSessionTypeValue::Ipv6,
            SessionType::Ipv4v6 => PduSessionTypeValue::Ipv4v6,
        },
        ..SessionRequest::default()
    }
}

async fn stay(shared: &Shared) {
    let mut stop = shared.env.stop.clone();
    let hold = Duration::from_secs(shared.config.hold_s);
    let stopped = async {
        while !*stop.borrow_and_update() {
            // A sender that is gone never stops a run.
            if stop.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        biased;
        () = stopped => {}
        () = async {
            tokio::time::sleep(hold).await;
            if shared.config.hold {
                std::future::pending::<()>().await;
            }
        } => {}
    }
}

async fn exec(supi: &Supi, session: Option<&Open>, shared: &Shared) {
    let (name, address) = match session {
        Some(Open::Tun(tun)) => (tun.name.clone(), tun.address.to_string()),
        Some(Open::Kept(session)) => (String::new(), session.address.to_string()),
        None => (String::new(), String::new()),
    };
    for template in &shared.config.exec {
        let command = template
            .replace("{tun}", &name)
            .replace("{address}", &address)
            .replace("{supi}", &supi.to_string());
        let began = Instant::now();
        tracing::info!(%command, "runs");
        let output =
            tokio::process::Command::new("sh").args(["-c", &command]).kill_on_drop(true).output().await;
        let (status, text) = match output {
            Ok(output) => {
                let octets = [output.stdout, output.stderr].concat();
                let octets = octets.get(..OUTPUT_MAX.min(octets.len())).unwrap_or_default();
                (output.status.code(), String::from_utf8_lossy(octets).into_owned())
            }
            Err(error) => (None, error.to_string()),
        };
        if status != Some(0) {
            shared.journal.error(supi, format_args!("{command}: {status:?}: {text}"));
        }
        shared.journal.exec(command, status, text, began);
    }
}
