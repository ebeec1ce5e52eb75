//! The UPF's end of N4, without I/O: datagrams, events of the data path and time in; datagrams
//! and commands for the data path out.

mod actions;
mod addresses;
mod compile;
mod deletion;
mod detection;
mod establishment;
mod intern;
mod known;
mod load;
#[cfg(test)]
mod malformed;
mod modification;
#[cfg(test)]
mod n3_ipv6;
mod ordered;
mod packed;
mod pfd_management;
mod reports;
mod rules;
mod sessions;
#[cfg(test)]
mod sharing;
#[cfg(test)]
mod supported;
mod teid;
#[cfg(test)]
mod tests;
mod urr;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;

use tern_n4::{Accept, DownReason, Node, NodeConfig, Output as N4Output, Request, Token};
use tern_pfcp::*;
use tern_types::{Duration, Instant, Random};

use crate::config::Config;
use crate::path::{Buffers, Command, Event, Session};
use intern::{Interner, Shared, Use};
use known::Known;
pub(crate) use load::Figures;
use load::Load;
use packed::{PackedRules, Template};
use rules::Refusal;
use sessions::{CpEnd, Sessions};
use teid::Teids;
use urr::Urrs;

/// What we do of what is optional.
const FEATURES: UpFunctionFeatures = UpFunctionFeatures(
    UpFunctionFeatures::FTUP.0
        | UpFunctionFeatures::EMPU.0
        | UpFunctionFeatures::MNOP.0
        | UpFunctionFeatures::FRRT.0
        | UpFunctionFeatures::PFDM.0
        | UpFunctionFeatures::ADPDP.0
        | UpFunctionFeatures::TREU.0
        | UpFunctionFeatures::VTIME.0,
);

/// Seconds between the epochs of NTP (1900) and Unix (1970).
const NTP_OFFSET_S: u64 = 2_208_988_800;

/// What the core wants done, in order.
#[derive(Debug)]
pub(crate) enum Output {
    /// Send a datagram by N4.
    Transmit { to: SocketAddr, bytes: Vec<u8> },
    /// Tell the data path.
    Path(Command),
}

/// What the core counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) established: u64,
    /// Those of them that were lost in a restart.
    pub(crate) restored: u64,
    pub(crate) refused: u64,
    pub(crate) deleted: u64,
    pub(crate) reports: u64,
    pub(crate) reports_lost: u64,
}

/// What the data path has reached of a URR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reached {
    Threshold,
    Quota,
    /// The threshold of dropped traffic.
    Dropped,
}

impl Reached {
    const ALL: [Self; 3] = [Self::Threshold, Self::Quota, Self::Dropped];
}

/// A deadline of a session or of an SMF.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    /// A URR's period or time threshold.
    Urr(u64, UrrId),
    /// A session's inactivity.
    Inactivity(u64),
    /// The sessions of a lost SMF.
    Retention(IpAddr),
}

/// One PFCP session. There are millions: what is rarely there is elsewhere.
#[derive(Debug)]
struct SessionContext {
    /// The SMF's endpoint.
    cp_seid: u64,
    /// The SMF whose association it belongs to, and where its endpoint is.
    cp: Arc<CpEnd>,
    /// The data network of the session's DNN, if it is one of ours.
    network: Option<u16>,
    /// An error indication was reported and is not yet answered: until then there is no other report of one.
    error_reported: bool,
    /// The seconds of the inactivity timer, if there is one.
    inactivity: Option<NonZeroU32>,
    rules: PackedRules,
    /// Of [`Core::shared`].
    shared: Use,
    urrs: Urrs,
    published: Arc<Session>,
    rare: Option<Box<Rare>>,
}

/// What few sessions have.
#[derive(Debug, Default)]
struct Rare {
    /// That the session's rules look for.
    applications: Box<[ApplicationId]>,
    inactivity_deadline: Option<Instant>,
}

impl SessionContext {
    /// Our endpoint.
    fn seid(&self) -> u64 {
        self.published.seid
    }

    /// The applications that the session's rules look for.
    fn applications(&self) -> &[ApplicationId] {
        self.rare.as_ref().map_or(&[], |rare| &rare.applications)
    }

    /// Sets them; those before.
    fn replace_applications(&mut self, applications: Box<[ApplicationId]>) -> Box<[ApplicationId]> {
        if applications.is_empty() && self.rare.is_none() {
            return applications;
        }
        std::mem::replace(&mut self.rare.get_or_insert_default().applications, applications)
    }

    fn inactivity_deadline(&self) -> Option<Instant> {
        self.rare.as_ref().and_then(|rare| rare.inactivity_deadline)
    }

    fn set_inactivity_deadline(&mut self, deadline: Option<Instant>) {
        if deadline.is_some() || self.rare.is_some() {
            self.rare.get_or_insert_default().inactivity_deadline = deadline;
        }
    }
}

/// A session report that waits for its answer.
#[derive(Clone, Copy, Debug)]
struct Reported {
    seid: u64,
    is_error: bool,
}

/// The control side of the UPF.
pub(crate) struct Core {
    config: Config,
    node: Node,
    sessions: Sessions,
    /// What the data path finds rules by.
    shared: Shared,
    /// What N4 gave.
    templates: Interner<Template>,
    teids: Teids,
    /// Room for packets that wait.
    buffers: Arc<Buffers>,
    load: Load,
    known: Known,
    /// Sessions by the applications that their rules look for.
    by_application: BTreeSet<(ApplicationId, u64)>,
    /// Sessions whose rules are older than the PFDs of their applications.
    outdated: BTreeSet<u64>,
    random: Random,
    reports: BTreeMap<Token, Reported>,
    /// URRs that have something to report when there is room for a report.
    unreported: BTreeSet<(u64, UrrId, Reached)>,
    deadlines: BTreeSet<(Instant, Due)>,
    outputs: VecDeque<Output>,
    counts: Counts,
    /// Origin of the data path's clock.
    path_origin: Instant,
}

impl Core {
    /// A UPF that has just started.
    pub(crate) fn new(config: &Config, now: Instant, mut random: Random) -> Self {
        let stamp = ntp_seconds(now);
        let mut node = NodeConfig::new(NodeId::Address(config.n4.address), RecoveryTimeStamp(stamp.0));
        node.up_function_features = Some(FEATURES);
        node.accept = match config.n4.smfs.as_slice() {
            [] => Accept::Any,
            smfs => Accept::Only(smfs.to_vec()),
        };
        node.peer_port = config.n4.port;
        node.grants_from = Some(behind_second(now));
        node.heartbeat_interval = Duration::from_secs(u64::from(config.n4.heartbeat_interval_s.max(1)));
        Self {
            config: config.clone(),
            node: Node::new(node, now),
            sessions: Sessions::default(),
            shared: Shared::default(),
            templates: Interner::default(),
            teids: Teids::new(random.fork()),
            buffers: Arc::new(config.buffers()),
            load: Load::new(config.overload, stamp),
            known: Known::new(config),
            by_application: BTreeSet::new(),
            outdated: BTreeSet::new(),
            random,
            reports: BTreeMap::new(),
            unreported: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            outputs: VecDeque::new(),
            counts: Counts::default(),
            path_origin: now,
        }
    }

    /// What to do next, in order.
    pub(crate) fn next_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`Core::handle_deadline`].
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let own = self.deadlines.first().map(|(at, _)| *at);
        // What is outdated is due at once.
        let own = if self.outdated.is_empty() { own } else { Some(Instant::from_micros(0)) };
        own.into_iter().chain(self.node.next_deadline()).min()
    }

    pub(crate) fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// Entries that sessions have in indexes, what they share, their deadlines, and their reports that wait for
    /// answers.
    pub(crate) fn kept(&self) -> usize {
        let deadlines = self.deadlines.iter().filter(|(_, due)| !matches!(due, Due::Retention(_))).count();
        let shared = self.shared.rules.len() + self.templates.len() + self.by_application.len();
        let reports = self.reports.len() + self.unreported.len();
        self.sessions.indexed() + shared + self.teids.len() + deadlines + reports
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// SMFs with an association, by node ID.
    pub(crate) fn smfs(&self) -> Vec<String> {
        self.node.associations().map(|association| association.node_id.to_string()).collect()
    }

    /// Takes a datagram of N4.
    pub(crate) fn handle_datagram(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) {
        self.node.handle_datagram(now, from, bytes);
        self.drain_node(now);
    }

    /// Takes an event of the data path.
    pub(crate) fn handle_event(&mut self, now: Instant, event: Event) {
        match event {
            Event::Buffered { seid, pdr_id, qfi } => self.on_buffered(now, seid, PdrId(pdr_id), qfi),
            Event::UsageReached { seid, urr_id, quota } => {
                let reached = if quota { Reached::Quota } else { Reached::Threshold };
                self.on_usage_reached(now, seid, UrrId(urr_id), reached);
            }
            Event::TrafficDropped { seid, urr_id } => {
                self.on_usage_reached(now, seid, UrrId(urr_id), Reached::Dropped);
            }
            Event::TrafficStarted { seid, urr_id } => self.on_traffic_started(now, seid, UrrId(urr_id)),
            Event::ErrorIndication { peer, teid } => self.on_error_indication(now, peer, teid),
        }
        self.drain_node(now);
    }

    /// Does what is due.
    pub(crate) fn handle_deadline(&mut self, now: Instant) {
        self.node.handle_deadline(now);
        self.drain_node(now);
        self.renew_outdated(now);
        while let Some((at, due)) = self.deadlines.first().copied()
            && at <= now
        {
            self.deadlines.remove(&(at, due));
            match due {
                Due::Urr(seid, urr_id) => self.on_urr_deadline(now, at, seid, urr_id),
                Due::Inactivity(seid) => self.on_inactivity_deadline(now, at, seid),
                Due::Retention(smf) => {
                    if self.node.association(smf).is_none() {
                        self.remove_sessions_of(smf, "the SMF did not come back");
                    }
                }
            }
        }
        self.drain_node(now);
    }

    fn drain_node(&mut self, now: Instant) {
        self.take_from_node(now);
        while self.report_next(now) {
            self.take_from_node(now);
        }
    }

    fn take_from_node(&mut self, now: Instant) {
        while let Some(output) = self.node.next_output() {
            match output {
                N4Output::Transmit { to, bytes } => self.outputs.push_back(Output::Transmit { to, bytes }),
                N4Output::Request { request, message } => self.on_request(now, &request, message),
                N4Output::Malformed { request, error, f_seid } => {
                    let seid = self.cp_seid(&request).or(f_seid.map(|f_seid| f_seid.seid)).unwrap_or(0);
                    self.counts.refused += 1;
                    self.node.refuse(now, &request, seid, error.cause(), Some(error.ie_type));
                }
                N4Output::Response { token, message, .. } => self.on_report_response(token, message),
                N4Output::TimedOut { token, peer } => {
                    if let Some(seid) = self.report_ended(token) {
                        self.counts.reports_lost += 1;
                        tracing::warn!(seid, %peer, "session report was not answered");
                    }
                }
                N4Output::PeerUp { .. } | N4Output::ReleaseRequested { .. } => {}
                N4Output::PeerDown { association, reason } => {
                    let smf = association.address.ip();
                    if reason == DownReason::Unreachable {
                        let end = now + Duration::from_secs(u64::from(self.config.n4.retention_s));
                        self.deadlines.insert((end, Due::Retention(smf)));
                    } else {
                        self.remove_sessions_of(smf, "the association ended");
                    }
                }
                N4Output::PeerRestarted { address } => {
                    self.remove_sessions_of(address.ip(), "the SMF started again");
                }
            }
        }
    }

    fn on_request(&mut self, now: Instant, request: &Request, message: Message) {
        match message {
            Message::SessionEstablishmentRequest(body) => self.on_establishment(now, request, body),
            Message::SessionModificationRequest(body) => self.on_modification(now, request, body),
            Message::SessionDeletionRequest(_) => self.on_deletion(now, request),
            Message::PfdManagementRequest(body) => self.on_pfd_management(now, request, &body),
            // Node and session reports are sent by UPFs, not to them.
            _ => {
                self.node.refuse(now, request, 0, Cause::SERVICE_NOT_SUPPORTED, None);
            }
        }
    }

    /// The SMF's endpoint of the session that a request is about.
    fn cp_seid(&self, request: &Request) -> Option<u64> {
        self.session_of(request).map(|session| session.cp_seid)
    }

    /// The session of a request, if it belongs to the SMF that asks.
    fn session_of(&self, request: &Request) -> Option<&SessionContext> {
        let session = self.sessions.get(request.seid?)?;
        (session.cp.smf == request.from.ip()).then_some(session)
    }

    fn path(&mut self, command: Command) {
        self.outputs.push_back(Output::Path(command));
    }

    /// Forgets a session and what is indexed by it. The use of its shared rules goes with it.
    fn remove_session(&mut self, seid: u64) -> Option<SessionContext> {
        let mut session = self.sessions.remove(seid)?;
        for teid in &session.published.teids {
            self.teids.free(*teid);
        }
        for urr in session.urrs.iter() {
            for reached in Reached::ALL {
                self.unreported.remove(&(seid, urr.rule.urr_id, reached));
            }
            if let Some(at) = urr.deadline() {
                self.deadlines.remove(&(at, Due::Urr(seid, urr.rule.urr_id)));
            }
        }
        if let Some(at) = session.inactivity_deadline() {
            self.deadlines.remove(&(at, Due::Inactivity(seid)));
        }
        self.shared.rules.give_back(std::mem::take(&mut session.shared));
        std::mem::take(&mut session.rules).give_back(&mut self.templates);
        for id in session.applications() {
            self.by_application.remove(&(id.clone(), seid));
        }
        self.counts.deleted += 1;
        self.path(Command::Remove(session.published.clone()));
        Some(session)
    }

    fn remove_sessions_of(&mut self, smf: IpAddr, why: &str) {
        let seids: Vec<u64> = self
            .sessions
            .values()
            .filter(|session| session.cp.smf == smf)
            .map(SessionContext::seid)
            .collect();
        if !seids.is_empty() {
            tracing::warn!(%smf, sessions = seids.len(), why, "PFCP sessions removed");
        }
        for seid in seids {
            self.remove_session(seid);
        }
    }

    fn refuse(&mut self, now: Instant, request: &Request, seid: u64, refusal: &Refusal) {
        self.counts.refused += 1;
        tracing::warn!(
            peer = %request.from,
            kind = ?request.kind,
            cause = %refusal.cause,
            rule = ?refusal.rule,
            offending_ie = ?refusal.offending_ie,
            why = refusal.why,
            "PFCP request refused"
        );
        let offending_ie = refusal.offending_ie.map(OffendingIe);
        let message = match request.kind {
            MessageType::SessionEstablishmentRequest => Message::from(SessionEstablishmentResponse {
                node_id: NodeId::Address(self.config.n4.address),
                cause: refusal.cause,
                offending_ie,
                failed_rule_id: refusal.rule,
                ..Default::default()
            }),
            MessageType::SessionModificationRequest => Message::from(SessionModificationResponse {
                cause: refusal.cause,
                offending_ie,
                failed_rule_id: refusal.rule,
                ..Default::default()
            }),
            MessageType::PfdManagementRequest => PfdManagementResponse {
                cause: refusal.cause,
                offending_ie,
                node_id: Some(NodeId::Address(self.config.n4.address)),
                ..Default::default()
            }
            .into(),
            _ => SessionDeletionResponse { cause: refusal.cause, offending_ie, ..Default::default() }.into(),
        };
        let message = self.with_load(now, request.from.ip(), message);
        self.node.respond(now, request, Some(seid), message);
    }

    fn set_inactivity(&mut self, seid: u64, deadline: Option<Instant>) {
        let Some(session) = self.sessions.get_mut(seid) else { return };
        if let Some(before) = session.inactivity_deadline() {
            self.deadlines.remove(&(before, Due::Inactivity(seid)));
        }
        session.set_inactivity_deadline(deadline);
        if let Some(at) = deadline {
            self.deadlines.insert((at, Due::Inactivity(seid)));
        }
    }

    fn set_urr_deadline(&mut self, now: Instant, seid: u64, urr_id: UrrId) {
        let Some(urr) = self.sessions.get_mut(seid).and_then(|session| session.urrs.get_mut(urr_id)) else {
            return;
        };
        if let Some(before) = urr.deadline() {
            self.deadlines.remove(&(before, Due::Urr(seid, urr_id)));
        }
        urr.set_deadline(urr.next_deadline(now));
        if let Some(at) = urr.deadline() {
            self.deadlines.insert((at, Due::Urr(seid, urr_id)));
        }
    }
}

/// When the second of this moment is over.
fn behind_second(at: Instant) -> Instant {
    const SECOND_US: u64 = 1_000_000;
    Instant::from_micros((at.as_micros() / SECOND_US + 1) * SECOND_US)
}

/// Seconds since 1900, modulo 2³².
fn ntp_seconds(at: Instant) -> NtpSeconds {
    NtpSeconds((at.as_micros() / 1_000_000 + NTP_OFFSET_S) as u32)
}
