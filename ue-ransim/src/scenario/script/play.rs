//! Plays the steps of a file.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use tern_types::PduSessionId;
use tokio::task::JoinSet;

use super::Script;
use super::arguments::{Establish, Fails, Handover, Packets, Page, Plain, Way};
use super::step::{Action, Step};
use crate::config::SessionConfig;
use crate::error::SimError;
use crate::gnb::{Forwarding, Gnb};
use crate::icmp::Echo;
use crate::run::request;
use crate::scenario::{Stage, Work};
use crate::ue::{RegistrationKind, Session, SessionRequest, Trick, Ue};

/// For the UPF to know that a UE is idle.
const SETTLE: Duration = Duration::from_millis(500);
/// How long a page may take.
const PAGE_TIME: Duration = Duration::from_secs(10);
/// Octets behind the header of an echo request.
const PAYLOAD: usize = 56;

/// The UEs that have been named so far, by their numbers.
#[derive(Default)]
struct Cast(BTreeMap<u32, Actor>);

struct Actor {
    ue: Ue,
    sessions: BTreeMap<u8, Session>,
}

/// All steps, until one does not end as it should.
pub(in crate::scenario) async fn play(script: &Script, stage: &mut Stage) -> Result<(), SimError> {
    all(&script.steps, stage, &mut Cast::default()).await
}

fn all<'a>(steps: &'a [Step], stage: &'a mut Stage, cast: &'a mut Cast) -> Work<'a> {
    Box::pin(async move {
        for Step(action) in steps {
            one(action, stage, cast).await?;
        }
        Ok(())
    })
}

async fn one(action: &Action, stage: &mut Stage, cast: &mut Cast) -> Result<(), SimError> {
    match action {
        Action::Repeat(repeat) => {
            for _ in 0..repeat.times.0 {
                all(&repeat.steps, stage, cast).await?;
            }
            return Ok(());
        }
        Action::Wait(wait) => return stage.step("wait", cast.live(wait.s.0)).await,
        Action::Page(page) => return called(page, stage, cast).await,
        _ => {}
    }
    let number = action.ue();
    let target = (stage.config.ping_target, stage.config.ping_target_ipv6);
    let gnbs = stage.rig.gnbs.clone();
    let actor = cast.actor(stage, number)?;
    let Actor { ue, sessions } = actor;
    let named = |what: &str| Named { number, what: what.to_owned() };
    match action {
        Action::Register(of) => {
            sessions.clear();
            judged(stage, named("registration"), of, ue.register()).await
        }
        Action::PeriodicUpdate(of) => {
            let kind = RegistrationKind::Periodic;
            judged(stage, named("periodic registration update"), of, ue.register_as(kind)).await
        }
        Action::MobilityUpdate(of) => {
            let kind = RegistrationKind::Mobility;
            judged(stage, named("mobility registration update"), of, ue.register_as(kind)).await
        }
        Action::Establish(of) => {
            let work = async {
                let session = ue.establish_session(wanted(of)).await?;
                sessions.insert(session.psi, session);
                Ok(())
            };
            judged(stage, named("PDU session establishment"), &of.fails, work).await
        }
        Action::Release(of) => {
            let work = async {
                let psi = session_of(sessions, of.session)?.psi;
                ue.release_session(psi).await?;
                sessions.remove(&psi);
                Ok(())
            };
            judged(stage, named("PDU session release"), &of.fails, work).await
        }
        Action::Ping(of) => {
            let work = async { ping(session_of(sessions, of.session)?, of, target).await };
            judged(stage, named("ping"), &of.fails, work).await
        }
        Action::Send(of) => {
            let work = async { send(session_of(sessions, of.session)?, of, target).await };
            judged(stage, named("packets"), &of.fails, work).await
        }
        Action::Idle(of) => judged(stage, named("AN release"), of, ue.go_idle()).await,
        Action::Wake(of) => {
            let work = async { ue.wake(session_of(sessions, of.session)?).await };
            judged(stage, named("service request for uplink data"), &of.fails, work).await
        }
        Action::ServiceRequest(of) => {
            judged(stage, named("service request"), of, ue.service_request(&[])).await
        }
        Action::Handover(of) => {
            let work = async { hand_over(ue, of, &gnbs).await };
            judged(stage, named(&format!("handover to gNB {}", of.to.0)), &of.fails, work).await
        }
        Action::Move(of) => {
            let moved = gnb(&gnbs, of.to.0).map(|gnb| ue.move_to(gnb));
            stage.step(named(&format!("in the cell of gNB {}", of.to.0)), async { moved }).await
        }
        Action::LoseRadio(of) => {
            ue.lose_radio();
            judged(stage, named("radio lost"), of, async { Ok(()) }).await
        }
        Action::Replay(of) => judged(stage, named("the last message again"), of, ue.replay()).await,
        Action::Misbehave(of) => {
            ue.misbehave(Trick { at: of.at, what: of.what });
            Ok(())
        }
        Action::Deregister(of) => {
            sessions.clear();
            judged(stage, named("de-registration"), &of.fails, ue.deregister(of.switch_off)).await
        }
        Action::Repeat(_) | Action::Wait(_) | Action::Page(_) => Ok(()),
    }
}

/// What a step is called in a report.
struct Named {
    number: u32,
    what: String,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UE {}: {}", self.number, self.what)
    }
}

impl From<Named> for String {
    fn from(named: Named) -> Self {
        named.to_string()
    }
}

/// How a step is to fail, if it is.
trait MayFail {
    fn fails(&self) -> Option<&Fails>;
}

impl MayFail for Plain {
    fn fails(&self) -> Option<&Fails> {
        self.fails.as_ref()
    }
}

impl MayFail for Option<Fails> {
    fn fails(&self) -> Option<&Fails> {
        self.as_ref()
    }
}

/// Does a step, which must succeed, or fail as it is to.
async fn judged<T>(
    stage: &mut Stage,
    name: Named,
    of: &impl MayFail,
    work: impl Future<Output = Result<T, SimError>>,
) -> Result<(), SimError> {
    let Some(fails) = of.fails() else { return stage.step(name, work).await.map(|_| ()) };
    let failed = async {
        match work.await {
            Ok(_) => Err(SimError::State(format!("it succeeded, and was to fail {fails}"))),
            Err(error) if fails.is(&error) => Ok(()),
            Err(error) => Err(error),
        }
    };
    stage.step(format!("{name}, to fail {fails}"), failed).await
}

impl Cast {
    /// The UE of this number, switched on if it has not been.
    fn actor(&mut self, stage: &mut Stage, number: u32) -> Result<&mut Actor, SimError> {
        let actor = match self.0.remove(&number) {
            Some(actor) => actor,
            None => Actor { ue: stage.ue(number - 1)?, sessions: BTreeMap::new() },
        };
        Ok(self.0.entry(number).or_insert(actor))
    }

    /// All of them answer what comes for a while.
    async fn live(&mut self, time: Duration) -> Result<(), SimError> {
        let mut lives = JoinSet::new();
        for (number, mut actor) in std::mem::take(&mut self.0) {
            lives.spawn(async move {
                let lived = actor.live(time).await;
                (number, actor, lived)
            });
        }
        if lives.is_empty() {
            tokio::time::sleep(time).await;
        }
        let mut result = Ok(());
        while let Some(ended) = lives.join_next().await {
            let (number, actor, lived) = ended.map_err(|error| SimError::State(error.to_string()))?;
            self.0.insert(number, actor);
            result = result.and(lived);
        }
        result
    }
}

impl Actor {
    async fn live(&mut self, time: Duration) -> Result<(), SimError> {
        self.ue.idle(time).await?;
        for session in self.sessions.values_mut() {
            // It was paged, and the network has brought the session back.
            if self.ue.has_resources(session.psi) {
                self.ue.resume(session).await?;
            }
        }
        Ok(())
    }
}

/// A packet of another UE comes for one that is idle.
async fn called(page: &Page, stage: &mut Stage, cast: &mut Cast) -> Result<(), SimError> {
    if page.ue == page.from {
        return Err(SimError::State("page: a UE that is idle cannot call itself".into()));
    }
    cast.actor(stage, page.from.0)?;
    cast.actor(stage, page.ue.0)?;
    // Each is there: both are needed at the same time.
    let Some(mut caller) = cast.0.remove(&page.from.0) else { return Ok(()) };
    let Some(sleeper) = cast.0.get_mut(&page.ue.0) else { return Ok(()) };
    let named = Named { number: page.ue.0, what: format!("page for a packet of UE {}", page.from.0) };
    let work = async {
        sleeper.ue.idle(SETTLE).await?;
        let from = session_of(&mut caller.sessions, None)?;
        let session = session_of(&mut sleeper.sessions, None)?;
        let (source, destination) = (from.address, session.address);
        let packet = Echo { source, destination, identifier: 0, sequence: 0 }.request(PAYLOAD);
        let (paged, sent) = tokio::join!(sleeper.ue.await_page(PAGE_TIME), from.send(&packet));
        sent.and(paged)?;
        sleeper.ue.resume(session).await
    };
    let answered = judged(stage, named, &page.fails, work).await;
    cast.0.insert(page.from.0, caller);
    answered
}

fn wanted(of: &Establish) -> SessionRequest {
    let config = SessionConfig { dnn: of.dnn.clone(), slice: of.slice, kind: of.kind };
    SessionRequest { psi: of.session, ..request(&config) }
}

/// The session of this identity, or the one of the lowest.
fn session_of(
    sessions: &mut BTreeMap<u8, Session>,
    psi: Option<PduSessionId>,
) -> Result<&mut Session, SimError> {
    match psi {
        Some(psi) => sessions
            .get_mut(&psi.get())
            .ok_or_else(|| SimError::State(format!("the UE has no PDU session {}", psi.get()))),
        None => {
            let first = sessions.values_mut().next();
            first.ok_or_else(|| SimError::State("the UE has no PDU session".into()))
        }
    }
}

/// Whom the configuration has sessions ping, over IPv4 and over IPv6.
type Targets = (Option<Ipv4Addr>, Option<Ipv6Addr>);

fn target_of(of: &Packets, session: &Session, (ipv4, ipv6): Targets) -> Result<IpAddr, SimError> {
    let target = match session.address {
        IpAddr::V4(_) => ipv4.map(IpAddr::V4),
        IpAddr::V6(_) => ipv6.map(IpAddr::V6),
    };
    of.to.or(target).ok_or_else(|| {
        SimError::State("whom to: `to` of the step, or ping_target of the configuration (--ping)".into())
    })
}

async fn ping(session: &mut Session, of: &Packets, targets: Targets) -> Result<(), SimError> {
    let target = target_of(of, session, targets)?;
    let stats = session.ping(target, of.count.0, of.every_s.0).await?;
    match stats.sent as usize - stats.rtt.len() {
        0 => Ok(()),
        lost => Err(SimError::State(format!("{lost} of {} echo requests lost", stats.sent))),
    }
}

async fn send(session: &Session, of: &Packets, targets: Targets) -> Result<(), SimError> {
    let destination = target_of(of, session, targets)?;
    let source = session.source(destination);
    let source =
        source.ok_or_else(|| SimError::State(format!("no address to send to {destination} from")))?;
    for number in 0..of.count.0 {
        let echo = Echo { source, destination, identifier: 0, sequence: number as u16 };
        session.send(&echo.request(PAYLOAD)).await?;
        tokio::time::sleep(of.every_s.0).await;
    }
    Ok(())
}

fn gnb(gnbs: &[Gnb], number: u32) -> Result<&Gnb, SimError> {
    let gnb = gnbs.get(number as usize - 1);
    gnb.ok_or_else(|| SimError::State(format!("there is no gNB {number}")))
}

async fn hand_over(ue: &mut Ue, of: &Handover, gnbs: &[Gnb]) -> Result<(), SimError> {
    let target = gnb(gnbs, of.to.0)?;
    let moved = match of.by {
        Way::Xn => ue.handover_xn(target).await?,
        Way::N2 => ue.handover_n2(target, Forwarding::Direct).await?,
        Way::N2Indirect => ue.handover_n2(target, Forwarding::Indirect).await?,
    };
    match &moved.released[..] {
        [] => Ok(()),
        released => Err(SimError::Handover(format!("PDU sessions {released:?} are released"))),
    }
}
