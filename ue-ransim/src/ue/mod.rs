//! A UE: 5GMM and 5GSM as TS 24.501 has them, with real NAS security. Procedures are linear async
//! code: a scenario reads as a script.

mod authentication;
mod cells;
mod checks;
mod congestion;
mod deregistration;
mod eap;
mod handover;
mod identification;
mod idle;
mod qos;
mod radio;
mod registration;
mod security_mode;
mod service;
mod session;
mod slaac;
mod subscriber;
mod transport;
mod trick;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use tern_crypto::{KAmf, ResStar};
use tern_nas::nas_5gs::{Nas5gmmMessage, Nas5gsmHeader, Nas5gsmMessage};
use tern_nas::security::NasSecurityContext;
use tern_nas::{HeaderType, NgKsi};
use tern_ngap::ngap::RRCEstablishmentCause;
use tern_types::{Dnn, Guti5g, Random, ServiceArea, Snssai, Supi, Tai};
use tokio::time::Instant;

use crate::error::SimError;
use crate::gnb::{FromGnb, Gnb, Link, SessionResources};
use crate::report::{AN_RELEASE, Journal};

pub use qos::SessionQos;
pub use radio::{Fate, Way};
pub use registration::RegistrationKind;
pub use session::{PingStats, Session, SessionRequest, SessionTun};
pub use slaac::Ipv6Link;
pub use subscriber::Subscriber;
pub use trick::{Misdeed, Moment, Trick};

/// Registration (TS 24.501 Table 10.2.1).
pub const T3510: Duration = Duration::from_secs(15);
/// Between two attempts to register (TS 24.501 Table 10.2.1).
pub const T3511: Duration = Duration::from_secs(10);
/// Service request (TS 24.501 Table 10.2.1).
pub const T3517: Duration = Duration::from_secs(15);
/// After AUTHENTICATION FAILURE (TS 24.501 Table 10.2.1).
pub const T3520: Duration = Duration::from_secs(15);
/// Deregistration; the fifth expiry ends it (TS 24.501 Table 10.2.1).
pub const T3521: Duration = Duration::from_secs(15);
/// PDU session establishment; the fifth expiry ends it (TS 24.501 Table 10.3.1).
pub const T3580: Duration = Duration::from_secs(16);
/// PDU session release; the fifth expiry ends it (TS 24.501 Table 10.3.1).
pub const T3582: Duration = Duration::from_secs(16);
/// Expiries after which a procedure that retransmits gives up.
pub const EXPIRIES_MAX: u32 = 5;
/// How long the core may take to release a connection that nothing needs any more.
const RELEASE_TIME: Duration = Duration::from_secs(10);
/// Things heard that may wait for whom they concern.
const HEARD_MAX: usize = 64;

/// A UE.
pub struct Ue {
    subscriber: Subscriber,
    gnb: Gnb,
    random: Random,
    journal: Journal,
    link: Option<Link>,
    heard: VecDeque<Heard>,
    /// The current security context, and what a later connection starts from.
    context: Option<NasSecurityContext>,
    /// The key of an authentication that no SECURITY MODE COMMAND has taken into use yet.
    fresh: Option<(NgKsi, KAmf)>,
    /// Secure exchange of NAS messages is established on this connection (TS 24.501 §4.4.2.5).
    secure: bool,
    /// The last challenge and its answer (TS 24.501 §5.4.1.3.3).
    answered: Option<([u8; 16], ResStar)>,
    /// The EAP session of this connection, if there was one.
    eap: Option<eap::Exchange>,
    /// Until when the network must prove itself again (T3520).
    prove_until: Option<Instant>,
    refusals: u8,
    /// ngKSI of the initial message.
    sent_ksi: Option<NgKsi>,
    /// The complete initial message of this connection.
    initial: Vec<u8>,
    /// What came to the gNB was not what the UE sent.
    initial_changed: bool,
    /// It went without, or with only part of it in clear (TS 24.501 §4.4.6).
    initial_incomplete: bool,
    /// The uplink COUNT that K_gNB is derived from (TS 33.501 §6.8.1.1.2).
    k_gnb_count: Option<u32>,
    context_set_up: Option<Vec<Snssai>>,
    as_keys: Option<handover::AsKeys>,
    radio_capability_known: bool,
    guti: Option<Guti5g>,
    tais: Vec<Tai>,
    /// Where there is service, if not everywhere.
    service_area: Option<ServiceArea>,
    /// The same as the gNB was told, until the UE is.
    area_of_gnb: Option<Option<ServiceArea>>,
    allowed_nssai: Vec<Snssai>,
    registered: bool,
    /// REGISTRATION ACCEPT is awaited.
    registering: bool,
    /// The network has asked for a registration.
    must_register: bool,
    sessions: BTreeMap<u8, SessionState>,
    pti: u8,
    /// When T3396 expires, by the DNN of the request that was turned away (TS 24.501 §6.2.7).
    t3396: BTreeMap<Option<Dnn>, Instant>,
    /// When T3346 expires, if it runs.
    t3346: Option<Instant>,
    /// Why it wants a connection to register.
    why: RRCEstablishmentCause,
    last_sent: Option<Bytes>,
    /// T3512 as the network gave it; none if it is deactivated.
    t3512: Option<Duration>,
    /// When T3512 expires; it runs in CM-IDLE (TS 24.501 §5.3.7).
    t3512_at: Option<Instant>,
    /// Sessions that the network brought back, and nobody has taken.
    resumed: BTreeMap<u8, SessionResources>,
    radio: radio::Radio,
}

/// A session that the UE has.
#[derive(Debug, Clone)]
struct SessionState {
    /// PTI of the request that made it.
    pti: u8,
    /// What the network grants it.
    qos: SessionQos,
}

/// What a procedure of the UE may wait for.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A 5GMM message that no common procedure took.
    Gmm(Nas5gmmMessage),
    /// A 5GSM message.
    Gsm(Nas5gsmHeader, Nas5gsmMessage),
    /// A 5GSM message of ours came back with a 5GMM cause.
    NotForwarded { psi: Option<u8>, cause: u8, back_off: Option<Duration> },
    /// The gNB has the UE's context.
    ContextSetUp,
    /// The gNB has a session's resources.
    SessionSetUp(Box<SessionResources>),
    /// The gNB has a session's resources no longer.
    SessionReleased { psi: u8 },
    /// The network has deregistered the UE.
    Deregistered,
}

impl Ue {
    /// A UE in the cell of a gNB, switched on, not registered.
    pub fn new(subscriber: Subscriber, gnb: &Gnb, random: Random, journal: Journal) -> Self {
        Self {
            subscriber,
            gnb: gnb.clone(),
            random,
            journal,
            link: None,
            heard: VecDeque::new(),
            context: None,
            fresh: None,
            secure: false,
            answered: None,
            eap: None,
            prove_until: None,
            refusals: 0,
            sent_ksi: None,
            initial: Vec::new(),
            initial_changed: false,
            initial_incomplete: false,
            k_gnb_count: None,
            context_set_up: None,
            as_keys: None,
            radio_capability_known: false,
            guti: None,
            tais: Vec::new(),
            service_area: None,
            area_of_gnb: None,
            allowed_nssai: Vec::new(),
            registered: false,
            registering: false,
            must_register: false,
            sessions: BTreeMap::new(),
            pti: 0,
            t3396: BTreeMap::new(),
            t3346: None,
            why: RRCEstablishmentCause::mo_Signalling,
            last_sent: None,
            t3512: None,
            t3512_at: None,
            resumed: BTreeMap::new(),
            radio: radio::Radio::default(),
        }
    }

    /// Its SUPI.
    pub fn supi(&self) -> &Supi {
        &self.subscriber.supi
    }

    /// Its 5G-GUTI, if it has one.
    pub fn guti(&self) -> Option<Guti5g> {
        self.guti
    }

    /// Sets its 5G-GUTI, for tests: a forgotten or a foreign one.
    pub fn set_guti(&mut self, guti: Option<Guti5g>) {
        self.guti = guti;
    }

    /// Its security context, if it has one.
    pub fn security_context(&self) -> Option<&NasSecurityContext> {
        self.context.as_ref()
    }

    /// From now on it does these things wrong.
    pub fn set_tricks(&mut self, tricks: Vec<Trick>) {
        self.subscriber.tricks = tricks;
    }

    /// From now on it says to the gNB that it registers for this: access with priority, for example.
    pub fn set_establishment_cause(&mut self, why: RRCEstablishmentCause) {
        self.why = why;
    }

    /// Loses its security context, as a UE whose battery was taken out.
    pub fn forget_security_context(&mut self) {
        self.context = None;
    }

    /// Whether it is registered.
    pub fn is_registered(&self) -> bool {
        self.registered
    }

    /// Whether it has an N1 signalling connection.
    pub fn is_connected(&self) -> bool {
        self.link.is_some()
    }

    /// Slices that it may use.
    pub fn allowed_nssai(&self) -> &[Snssai] {
        &self.allowed_nssai
    }

    /// Tracking areas of its registration area.
    pub fn registration_area(&self) -> &[Tai] {
        &self.tais
    }

    /// Where it has service, if not everywhere (TS 24.501 §5.3.5.2).
    pub fn service_area(&self) -> Option<&ServiceArea> {
        self.service_area.as_ref()
    }

    /// Its connection, for what only a gNB can say.
    pub fn link(&self) -> Option<&Link> {
        self.link.as_ref()
    }

    /// Moves to another gNB's cell; a connection is lost silently.
    pub fn move_to(&mut self, gnb: &Gnb) {
        self.gnb = gnb.clone();
        self.disconnected();
    }

    /// From now on, `radio` says what becomes of each NAS message of this UE.
    pub fn set_radio(&mut self, radio: impl FnMut(Way, &[u8]) -> Fate + Send + 'static) {
        self.radio.set(Box::new(radio));
    }

    /// Does something wrong from now on.
    pub fn misbehave(&mut self, trick: Trick) {
        self.subscriber.tricks.push(trick);
    }

    /// Loses its radio connection without telling the core: the next message is an initial one.
    pub fn lose_radio(&mut self) {
        self.disconnected();
    }

    /// Has the gNB release the connection for inactivity, and awaits it.
    pub async fn go_idle(&mut self) -> Result<(), SimError> {
        let Some(link) = &self.link else { return Ok(()) };
        let began = Instant::now();
        link.request_release(tern_ngap::ngap::CauseRadioNetwork::user_inactivity).await?;
        self.await_release("TS 38.413 §8.3.2").await?;
        self.journal.step(&*self, AN_RELEASE, began, began.elapsed());
        Ok(())
    }

    /// Waits until the core has released the connection, which is a failure if it does not.
    async fn await_release(&mut self, clause: &'static str) -> Result<(), SimError> {
        let until = Instant::now() + RELEASE_TIME;
        loop {
            match self.next(until, "UE CONTEXT RELEASE COMMAND", "10 s").await {
                Err(SimError::Released { .. }) => return Ok(()),
                Err(error @ SimError::Timeout { .. }) => {
                    self.failure(clause, "the core does not release the connection");
                    self.disconnected();
                    return Err(error);
                }
                Err(error) => return Err(error),
                Ok(_) => {}
            }
        }
    }

    fn disconnected(&mut self) {
        self.link = None;
        self.secure = false;
        self.fresh = None;
        self.eap = None;
        self.prove_until = None;
        self.refusals = 0;
        self.context_set_up = None;
        self.area_of_gnb = None;
        self.as_keys = None;
        self.k_gnb_count = None;
        self.registering = false;
        self.heard.clear();
        self.resumed.clear();
        if self.t3512_at.is_none() {
            self.t3512_at = self.t3512.map(|t3512| Instant::now() + t3512);
        }
    }

    /// The next thing that is not taken by a common procedure. `Released` once the connection is gone.
    async fn next(
        &mut self,
        until: Instant,
        waiting_for: &'static str,
        timer: &'static str,
    ) -> Result<Heard, SimError> {
        loop {
            if let Some(heard) = self.heard.pop_front() {
                return Ok(heard);
            }
            let proof = self.prove_until.unwrap_or(until).min(until);
            let Some(link) = &mut self.link else {
                return Err(SimError::Released { cause: "no connection".into(), waiting_for });
            };
            let event = match tokio::time::timeout_at(proof, link.recv()).await {
                Ok(event) => event,
                Err(_) if proof < until => return Err(SimError::NotAuthentic),
                Err(_) => return Err(SimError::Timeout { waiting_for, timer }),
            };
            let Some(event) = event else {
                self.disconnected();
                return Err(SimError::Released { cause: "no connection".into(), waiting_for });
            };
            if let Some(heard) = self.take_event(event, waiting_for).await? {
                self.hear(heard);
            }
        }
    }

    /// Does what the gNB says; what is left for a procedure to hear.
    async fn take_event(
        &mut self,
        event: FromGnb,
        waiting_for: &'static str,
    ) -> Result<Option<Heard>, SimError> {
        match event {
            FromGnb::Nas(octets) => {
                for octets in self.radio.carry(Way::Down, octets) {
                    self.on_nas(&octets).await?;
                }
            }
            FromGnb::ContextSetUp(setup) => self.on_context_set_up(&setup).await?,
            FromGnb::ContextUpdated { allowed_nssai, service_area } => {
                self.context_set_up = Some(allowed_nssai);
                self.area_of_gnb = Some(service_area);
            }
            FromGnb::Rekeyed(key) => self.on_rekeyed(&key),
            FromGnb::SessionSetUp(resources) => return Ok(Some(Heard::SessionSetUp(resources))),
            FromGnb::SessionReleased { psi } => return Ok(Some(Heard::SessionReleased { psi })),
            FromGnb::Released { cause } => {
                self.disconnected();
                return Err(SimError::Released { cause, waiting_for });
            }
            FromGnb::Lost(why) => {
                self.disconnected();
                return Err(SimError::GnbLost(why));
            }
        }
        Ok(None)
    }

    fn hear(&mut self, heard: Heard) {
        if self.heard.len() < HEARD_MAX {
            self.heard.push_back(heard);
        }
    }

    fn unexpected(&self, heard: &Heard, when: &str) {
        let what = match heard {
            Heard::Gmm(message) => format!("{:?}", message.message_type()),
            // It was answered when it came: the network may release a session at any time.
            Heard::Gsm(_, Nas5gsmMessage::PduSessionReleaseCommand(_)) => return,
            Heard::Gsm(header, _) => format!("{:?}", header.message_type),
            Heard::NotForwarded { cause, .. } => format!("DL NAS TRANSPORT with cause #{cause}"),
            // The gNB's side, and what the network may do at any time.
            _ => return,
        };
        self.failure("TS 24.501 §7.4", format_args!("{what} {when}"));
    }

    fn does(&self, at: Moment, what: Misdeed) -> bool {
        self.subscriber.tricks.contains(&Trick { at, what })
    }

    fn failure(&self, clause: &'static str, what: impl fmt::Display) {
        self.journal.failure(self, clause, what);
    }

    /// Sends a message, ciphered once secure exchange is established, with the tricks of its moment.
    async fn answer(&mut self, moment: Moment, message: impl Into<Nas5gmmMessage>) -> Result<(), SimError> {
        self.send_message(Some(moment), message.into(), HeaderType::Ciphered).await
    }

    async fn send(&mut self, message: impl Into<Nas5gmmMessage>) -> Result<(), SimError> {
        self.send_message(None, message.into(), HeaderType::Ciphered).await
    }
}

impl fmt::Display for Ue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.subscriber.supi.fmt(f)
    }
}

impl fmt::Debug for Ue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ue")
            .field("supi", &self.subscriber.supi)
            .field("registered", &self.registered)
            .finish()
    }
}
