//! One UE's life under load.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tern_types::Random;
use tokio::time::Instant;

use super::{Activity, Crowd};
use crate::error::SimError;
use crate::gnb::{Forwarding, Gnb, SessionsMoved};
use crate::icmp::Echo;
use crate::report::{
    AN_RELEASE, DEREGISTRATION, HANDOVER_N2, HANDOVER_XN, PAGE, PERIODIC_UPDATE, REGISTRATION, SERVICE,
    SESSION,
};
use crate::ue::{RegistrationKind, Session, T3511, Ue};

/// What fails while a UE does nothing of its own.
const REST: &str = "rest";
/// A UE at rest looks so often whether it is to leave.
const LOOK: Duration = Duration::from_secs(1);
/// For the UPF to know that a UE is idle: what is on its way before is lost (TS 23.502 §4.2.6).
const SETTLE: Duration = Duration::from_millis(500);
/// How long a page may take.
const PAGE_TIME: Duration = Duration::from_secs(10);
/// No pause is more than so many times its mean.
const PAUSES_MAX: f64 = 5.0;

/// A UE and what it has.
pub(super) struct Life {
    ue: Ue,
    session: Option<Session>,
    random: Random,
    crowd: Arc<Crowd>,
    until: Instant,
    /// The network has told it to stay away for so long.
    back_off: Option<Duration>,
    /// It is counted among those that are registered.
    counted: bool,
    fine: bool,
}

impl Life {
    pub(super) fn new(ue: Ue, random: Random, crowd: Arc<Crowd>) -> Self {
        let until = Instant::now();
        Self { ue, session: None, random, crowd, until, back_off: None, counted: false, fine: true }
    }

    /// All of it; whether nothing failed.
    pub(super) async fn live(mut self, arrival: Instant) -> bool {
        tokio::time::sleep_until(arrival).await;
        self.until = arrival + self.crowd.load.duration;
        while self.goes_on() {
            let active = if self.session.is_none() { self.arrive().await } else { self.act().await };
            let pause = match active {
                Some(()) => self.pause(),
                None => self.back_off.take().unwrap_or(T3511),
            };
            self.count();
            self.rest(pause).await;
        }
        if self.ue.is_registered() {
            let left = self.ue.deregister(false).await;
            self.told(DEREGISTRATION, left);
        }
        self.count();
        self.crowd.left.fetch_add(1, Ordering::Relaxed);
        self.fine
    }

    fn goes_on(&self) -> bool {
        Instant::now() < self.until && !*self.crowd.stop.borrow()
    }

    async fn arrive(&mut self) -> Option<()> {
        let registered = self.ue.register().await;
        self.told(REGISTRATION, registered)?;
        self.count();
        let session = self.ue.establish_session(self.crowd.request.clone()).await;
        self.session = Some(self.told(SESSION, session)?);
        Some(())
    }

    /// One activity, of those that are possible now.
    async fn act(&mut self) -> Option<()> {
        let connected = self.ue.is_connected();
        let possible: &[Activity] = match connected {
            true => &[Activity::Xn, Activity::N2, Activity::Idle],
            false => &[Activity::Idle, Activity::Update, Activity::Page],
        };
        let possible: Vec<Activity> =
            possible.iter().copied().filter(|&activity| self.crowd.load.does(activity)).collect();
        match (self.one_of(&possible).copied(), connected) {
            (Some(activity @ (Activity::Xn | Activity::N2)), _) => self.move_by(activity).await,
            (Some(Activity::Update), _) => self.update().await,
            (Some(Activity::Page), _) => self.be_called().await,
            (Some(Activity::Idle), true) => self.sleep().await,
            (None, true) => Some(()),
            // The gNB may have released it although it never wanted to sleep.
            (Some(Activity::Idle) | None, false) => self.wake().await,
        }
    }

    async fn sleep(&mut self) -> Option<()> {
        let released = self.ue.go_idle().await;
        self.told(AN_RELEASE, released)?;
        // It may be in another cell when it wakes.
        let gnb = self.one_of(&self.crowd.gnbs.clone())?.clone();
        self.ue.move_to(&gnb);
        Some(())
    }

    async fn wake(&mut self) -> Option<()> {
        let session = self.session.as_mut()?;
        let woken = self.ue.wake(session).await;
        self.told(SERVICE, woken)
    }

    async fn move_by(&mut self, way: Activity) -> Option<()> {
        let here = self.ue.link()?.gnb().to_string();
        let others: Vec<Gnb> =
            self.crowd.gnbs.iter().filter(|gnb| gnb.to_string() != here).cloned().collect();
        let target = self.one_of(&others)?.clone();
        let (name, moved) = match way {
            Activity::Xn => (HANDOVER_XN, self.ue.handover_xn(&target).await),
            _ => (HANDOVER_N2, self.ue.handover_n2(&target, Forwarding::Direct).await),
        };
        let moved = moved.and_then(|SessionsMoved { released, .. }| match &released[..] {
            [] => Ok(()),
            _ => Err(SimError::Handover("the target gNB or the AMF has released a session".into())),
        });
        self.told(name, moved)
    }

    async fn update(&mut self) -> Option<()> {
        let updated = self.ue.register_as(RegistrationKind::Periodic).await;
        self.told(PERIODIC_UPDATE, updated)?;
        self.sleep().await
    }

    async fn be_called(&mut self) -> Option<()> {
        let settled = self.ue.idle(SETTLE).await;
        self.told(REST, settled)?;
        let crowd = Arc::clone(&self.crowd);
        let (caller, session) = (crowd.caller.as_ref()?, self.session.as_mut()?);
        let echo = Echo { source: caller.address, destination: session.address, identifier: 0, sequence: 0 }
            .request(0);
        // The UE listens before it is called.
        let (paged, sent) = tokio::join!(self.ue.await_page(PAGE_TIME), caller.send(&echo));
        let answered = match sent.and(paged) {
            Ok(_) => self.ue.resume(session).await,
            Err(error) => Err(error),
        };
        self.told(PAGE, answered)
    }

    /// Answers what comes for this long, and not beyond the end of its life.
    async fn rest(&mut self, pause: Duration) {
        let end = (Instant::now() + pause).min(self.until);
        while Instant::now() < end && self.goes_on() {
            let (was_connected, was_registered) = (self.ue.is_connected(), self.ue.is_registered());
            let look = (end - Instant::now()).min(LOOK);
            let rested = self.ue.idle(look).await;
            if self.told(REST, rested).is_none() {
                return;
            }
            if was_registered && !self.ue.is_registered() {
                let error = SimError::State("the network has deregistered the UE".into());
                self.told::<()>(REST, Err(error));
                return;
            }
            if !was_connected && self.ue.is_connected() {
                self.woken().await;
            }
        }
    }

    /// The network has called it, or T3512 has expired.
    async fn woken(&mut self) {
        let Some(session) = &mut self.session else { return };
        if self.ue.has_resources(session.psi) {
            let resumed = self.ue.resume(session).await;
            self.told(PAGE, resumed);
        } else {
            self.sleep().await;
        }
    }

    /// Tells what failed. A UE with which something failed loses its connection, and begins anew.
    fn told<T>(&mut self, procedure: &'static str, done: Result<T, SimError>) -> Option<T> {
        match done {
            Ok(done) => Some(done),
            Err(error) => {
                self.crowd.journal.failed(&self.ue, procedure, &error);
                self.back_off = match error {
                    SimError::Rejected { back_off, .. } => back_off,
                    _ => None,
                };
                self.fine = false;
                self.session = None;
                self.ue.lose_radio();
                None
            }
        }
    }

    fn count(&mut self) {
        let registered = self.ue.is_registered();
        match (self.counted, registered) {
            (false, true) => _ = self.crowd.registered.fetch_add(1, Ordering::Relaxed),
            (true, false) => _ = self.crowd.registered.fetch_sub(1, Ordering::Relaxed),
            _ => {}
        }
        self.counted = registered;
    }

    /// Exponentially distributed.
    fn pause(&mut self) -> Duration {
        let uniform = (f64::from(self.random.u32()) + 1.0) / (f64::from(u32::MAX) + 1.0);
        self.crowd.load.pause.mul_f64((-uniform.ln()).min(PAUSES_MAX))
    }

    fn one_of<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        let count = u32::try_from(of.len()).ok().filter(|&count| count > 0)?;
        of.get((self.random.u32() % count) as usize)
    }
}
