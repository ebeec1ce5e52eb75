//! UEs and gNBs, in a process of their own: what they do, and how long it takes.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use tern_sctp::SctpMode;
use tern_tests::core::{K, OPC, SUPI};
use tern_tests::topology::{N2_CORE, N2_GNB, N3_GNB};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::Instant;
use ue_ransim::config::UeGroup;
use ue_ransim::gnb::{Forwarding, Gnb};
use ue_ransim::icmp::Echo;
use ue_ransim::ue::{Session, Ue};
use ue_ransim::{Config, Rig, SimEnv};

use crate::RESULT;

/// How long one UE may wait for what all do.
const ALL_TIME: Duration = Duration::from_secs(60);
/// For the core to end what it has begun before the next procedure.
const SETTLE: Duration = Duration::from_millis(300);
/// How long a page may take.
const PAGE_TIME: Duration = Duration::from_secs(20);
/// UEs come so fast before the time that is measured.
pub const WARM_UP_S: u64 = 2;
/// What a process says whose UEs are all registered.
pub const REGISTERED: &str = "all are registered";

/// What they do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Role {
    /// All do the same at the same time: [`Times`].
    AtOnce {
        /// UEs.
        ues: u32,
    },
    /// They come at a rate: [`Arrivals`].
    Arrive {
        /// UEs a second.
        rate: f64,
        /// How long.
        seconds: u64,
    },
    /// They come, and stay until the process is told to end.
    Stay {
        /// UEs.
        ues: u32,
        /// UEs a second.
        rate: f64,
    },
}

/// Milliseconds of each UE.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Times {
    /// REGISTRATION REQUEST to REGISTRATION COMPLETE.
    pub registration: Vec<f64>,
    /// Its request until the session can be used.
    pub session: Vec<f64>,
    /// A packet of another UE, for an idle one, until the session can be used again.
    pub paging: Vec<f64>,
    /// N2 handover, from HANDOVER REQUIRED until the source gNB is released.
    pub handover: Vec<f64>,
}

/// What came of UEs that arrived at a rate.
#[derive(Debug, Serialize, Deserialize)]
pub struct Arrivals {
    /// Milliseconds from the moment at which each was to come, those of the warm-up left out.
    pub registration: Vec<f64>,
    /// UEs that are registered a second, while others come.
    pub goodput_per_s: f64,
    /// UEs that could not register.
    pub failed: u32,
}

/// Does it.
pub fn main(role: &str) -> Result<()> {
    let role: Role = serde_json::from_str(role)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match role {
            Role::AtOnce { ues } => say(&tokio::time::timeout(ALL_TIME, at_once(ues)).await??),
            Role::Arrive { rate, seconds } => say(&arrive(rate, seconds).await?),
            Role::Stay { ues, rate } => stay(ues, rate).await,
        }
    })
}

fn say(result: &impl Serialize) -> Result<()> {
    println!("{RESULT}{}", serde_json::to_string(result)?);
    Ok(())
}

async fn connect(ues: u32, gnbs: u32) -> Result<Rig> {
    let group = UeGroup { count: ues, ..UeGroup::new(SUPI.parse()?, K, OPC) };
    let config = Config {
        amf: vec![SocketAddr::new(N2_CORE.into(), tern_ngap::PORT)],
        n2: vec![IpAddr::from(N2_GNB)],
        n3: vec![IpAddr::from(N3_GNB)],
        gnbs,
        ues: vec![group],
        ..Config::default()
    };
    let (_never, stop) = tokio::sync::watch::channel(false);
    let sctp = tern_sctp::choose(SctpMode::Auto)?.backend;
    let env = SimEnv::real(sctp, tern_nf::Entropy::real()?.random(), stop);
    let rig = Rig::connect(config, env).await?;
    ensure!(rig.gnbs.len() == gnbs as usize, "{:?}", rig.journal.report(0, 0, 0).errors);
    Ok(rig)
}

async fn at_once(ues: u32) -> Result<Times> {
    // The last one calls the others.
    let mut rig = connect(ues + 1, 2).await?;
    let mut caller = rig.ue(ues)?;
    caller.register().await?;
    let calling = Arc::new(caller.establish_session(Default::default()).await?);
    let together = Arc::new(Barrier::new(ues as usize));
    let mut lives = JoinSet::new();
    for index in 0..ues {
        let ue = rig.ue(index)?;
        let target = rig.gnbs[(index as usize + 1) % 2].clone();
        lives.spawn(live(ue, target, calling.clone(), together.clone()));
    }
    let mut times = Times::default();
    while let Some(lived) = lives.join_next().await {
        let [registration, session, paging, handover] = lived??;
        times.registration.push(registration);
        times.session.push(session);
        times.paging.push(paging);
        times.handover.push(handover);
    }
    // Its gNB may have said something meanwhile.
    caller.idle(Duration::ZERO).await?;
    caller.deregister(false).await?;
    rig.stop().await;
    let failures = rig.journal.failures();
    ensure!(failures.is_empty(), "{failures:?}");
    Ok(times)
}

/// Milliseconds of each procedure, which all begin at the same time.
async fn live(mut ue: Ue, target: Gnb, calling: Arc<Session>, together: Arc<Barrier>) -> Result<[f64; 4]> {
    together.wait().await;
    let began = Instant::now();
    ue.register().await?;
    let registration = millis(began);
    together.wait().await;
    let began = Instant::now();
    let mut session = ue.establish_session(Default::default()).await?;
    let established = millis(began);
    together.wait().await;
    ue.go_idle().await?;
    tokio::time::sleep(SETTLE).await;
    together.wait().await;
    let began = Instant::now();
    let call = Echo { source: calling.address, destination: session.address, identifier: 1, sequence: 0 }
        .request(16);
    let (paged, sent) = tokio::join!(ue.await_page(PAGE_TIME), calling.send(&call));
    sent.and(paged)?;
    ue.resume(&mut session).await?;
    let paging = millis(began);
    // CONFIGURATION UPDATE COMMAND follows, with a new 5G-GUTI.
    ue.idle(SETTLE).await?;
    together.wait().await;
    let began = Instant::now();
    ue.handover_n2(&target, Forwarding::Direct).await?;
    let handover = millis(began);
    together.wait().await;
    ue.deregister(false).await?;
    Ok([registration, established, paging, handover])
}

fn millis(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1e3
}

async fn arrive(rate: f64, seconds: u64) -> Result<Arrivals> {
    let warm_up = (rate * WARM_UP_S as f64) as u32;
    let ues = warm_up + (rate * seconds as f64) as u32;
    let mut rig = connect(ues, 1).await?;
    let mut registrations = registrations(&mut rig, ues, rate)?;
    let mut arrivals = Arrivals { registration: Vec::new(), goodput_per_s: 0.0, failed: 0 };
    let measured_s = WARM_UP_S as f64..(WARM_UP_S + seconds) as f64;
    let mut registered = 0;
    while let Some(done) = registrations.join_next().await {
        let Ok((number, ms)) = done?.1 else {
            arrivals.failed += 1;
            continue;
        };
        registered += u32::from(measured_s.contains(&(f64::from(number) / rate + ms / 1e3)));
        if number >= warm_up {
            arrivals.registration.push(ms);
        }
    }
    arrivals.goodput_per_s = f64::from(registered) / seconds as f64;
    rig.gnbs.iter().for_each(Gnb::abort);
    Ok(arrivals)
}

async fn stay(ues: u32, rate: f64) -> Result<()> {
    let mut rig = connect(ues, 1).await?;
    let mut registrations = registrations(&mut rig, ues, rate)?;
    let mut all = Vec::with_capacity(ues as usize);
    while let Some(done) = registrations.join_next().await {
        let (ue, done) = done?;
        done.with_context(|| format!("{ue}"))?;
        all.push(ue);
    }
    println!("{REGISTERED}");
    std::future::pending().await
}

type Registered = (Ue, Result<(u32, f64), ue_ransim::SimError>);

/// UEs that come, each at its time whatever the core does: its number, and the milliseconds since then.
fn registrations(rig: &mut Rig, ues: u32, rate: f64) -> Result<JoinSet<Registered>> {
    let mut registrations = JoinSet::new();
    let began = Instant::now();
    for number in 0..ues {
        let mut ue = rig.ue(number)?;
        let due = began + Duration::from_secs_f64(f64::from(number) / rate);
        registrations.spawn(async move {
            tokio::time::sleep_until(due).await;
            let done = ue.register().await.map(|_| (number, millis(due)));
            (ue, done)
        });
    }
    Ok(registrations)
}
