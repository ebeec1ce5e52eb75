//! The node: datagrams and time in, outputs out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};

use tern_pfcp::*;
use tern_types::Instant;

use crate::association::Peer;
use crate::config::{NodeConfig, PEERS_MAX, REQUESTS_MAX};
use crate::refusal::refusal;
use crate::transaction::{Outstanding, Purpose, Responses, Seen};

/// A request of the caller that awaits its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Token(pub u64);

/// A received request that awaits the caller's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Who asks.
    pub from: SocketAddr,
    /// Its sequence number.
    pub sequence: u32,
    /// The SEID of its header: ours, or 0.
    pub seid: Option<u64>,
    /// Its type.
    pub kind: MessageType,
}

/// A peer with which a PFCP association exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Association {
    /// Where requests go.
    pub address: SocketAddr,
    /// Its node ID.
    pub node_id: NodeId,
    /// When it started.
    pub recovery_time_stamp: RecoveryTimeStamp,
    /// What it supports as a UP function.
    pub up_function_features: UpFunctionFeatures,
    /// What it supports as a CP function.
    pub cp_function_features: CpFunctionFeatures,
}

/// Why an association ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DownReason {
    /// It was released, by either side.
    Released,
    /// The peer does not answer.
    Unreachable,
    /// The peer started again.
    Restarted,
}

/// What a [`Node`] wants done, or tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this datagram.
    Transmit {
        /// To whom.
        to: SocketAddr,
        /// The datagram.
        bytes: Vec<u8>,
    },
    /// A request about a session; answer it with [`Node::respond`].
    Request {
        /// For the answer.
        request: Request,
        /// What it says.
        message: Message,
    },
    /// A request about a session that could not be understood; answer it with a [`refusal`]
    /// to the peer's SEID of the session.
    Malformed {
        /// For the answer.
        request: Request,
        /// What is wrong; it knows its cause.
        error: DecodeError,
        /// The peer's session endpoint, if it could be found in the request.
        f_seid: Option<FSeid>,
    },
    /// The answer to a request of the caller.
    Response {
        /// Which request.
        token: Token,
        /// Who answered.
        from: SocketAddr,
        /// SEID of the header.
        seid: Option<u64>,
        /// What it says.
        message: Message,
    },
    /// A request of the caller got no answer, or none that could be understood.
    TimedOut {
        /// Which request.
        token: Token,
        /// Who did not answer.
        peer: SocketAddr,
    },
    /// A peer asks, by an association update, to be released.
    ReleaseRequested {
        /// Which.
        address: SocketAddr,
    },
    /// An association was set up.
    PeerUp {
        /// With whom.
        association: Association,
    },
    /// An association ended.
    PeerDown {
        /// With whom.
        association: Association,
        /// Why.
        reason: DownReason,
    },
    /// A peer has lost its sessions, or asks to forget them.
    PeerRestarted {
        /// Which.
        address: SocketAddr,
    },
}

/// Why a request was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// [`REQUESTS_MAX`] requests await their answers.
    #[error("too many requests await their answers")]
    TooManyRequests,
    /// The message is too long.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// What a deadline is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Due {
    Request(u32),
    Peer(IpAddr),
    /// Associations may be granted.
    Grants,
}

/// One end of N4.
#[derive(Debug)]
pub struct Node {
    pub(crate) config: NodeConfig,
    pub(crate) peers: BTreeMap<IpAddr, Peer>,
    pub(crate) responses: Responses,
    pub(crate) outputs: VecDeque<Output>,
    pub(crate) deadlines: BTreeSet<(Instant, Due)>,
    /// Associations that were asked for too early.
    pub(crate) early: Vec<(Request, AssociationSetupRequest)>,
    requests: BTreeMap<u32, Outstanding>,
    next_sequence: u32,
    next_token: u64,
    discarded: u64,
}

/// Sequence numbers that the node gives itself; the others up to 24 bits are for [`Node::send_request_as`].
const SEQUENCES: u32 = 1 << 23;

impl Node {
    /// A node that has just started. It begins to associate with the nodes of its configuration.
    pub fn new(config: NodeConfig, now: Instant) -> Self {
        let associate = config.associate.clone();
        let stamp = config.recovery_time_stamp.0;
        let grants = config.grants_from.filter(|at| *at > now).map(|at| (at, Due::Grants));
        let mut node = Self {
            config,
            peers: BTreeMap::new(),
            responses: Responses::default(),
            outputs: VecDeque::new(),
            deadlines: grants.into_iter().collect(),
            early: Vec::new(),
            requests: BTreeMap::new(),
            // Not where the process before this one began.
            next_sequence: stamp.wrapping_mul(40_503) % SEQUENCES,
            next_token: 0,
            discarded: 0,
        };
        for address in associate {
            node.associate(now, address);
        }
        node
    }

    /// Its configuration.
    pub fn config(&self) -> &NodeConfig {
        &self.config
    }

    /// What to do next, in order.
    pub fn next_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`Node::handle_deadline`], if nothing happens before.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Messages dropped so far: undecodable, answers to nothing, unknown types.
    pub fn discarded(&self) -> u64 {
        self.discarded
    }

    /// How many answers are kept for duplicates.
    pub fn responses_kept(&self) -> usize {
        self.responses.len()
    }

    /// Sends a request to a peer; `seid` is the peer's endpoint, for session related requests.
    pub fn send_request(
        &mut self,
        now: Instant,
        to: SocketAddr,
        seid: Option<u64>,
        message: Message,
    ) -> Result<Token, SendError> {
        let sequence = self.free_sequence();
        self.send(now, to, seid, message, sequence)
    }

    /// The same with a sequence number that comes of `number`: a request that a process sent and its successor repeats
    /// is done once if both give the same one, as long as the peer keeps the answer.
    pub fn send_request_as(
        &mut self,
        now: Instant,
        to: SocketAddr,
        seid: Option<u64>,
        message: Message,
        number: u64,
    ) -> Result<Token, SendError> {
        let sequence = SEQUENCES + (number % u64::from(SEQUENCES)) as u32;
        let taken = self.requests.contains_key(&sequence);
        let sequence = if taken { self.free_sequence() } else { sequence };
        self.send(now, to, seid, message, sequence)
    }

    fn send(
        &mut self,
        now: Instant,
        to: SocketAddr,
        seid: Option<u64>,
        message: Message,
        sequence: u32,
    ) -> Result<Token, SendError> {
        if self.requests.len() >= REQUESTS_MAX {
            return Err(SendError::TooManyRequests);
        }
        let token = Token(self.next_token);
        self.transmit_request(now, to, seid, message, (Purpose::Caller(token), sequence))?;
        self.next_token += 1;
        Ok(token)
    }

    /// Answers a request; `seid` is the peer's endpoint, for session related requests.
    pub fn respond(&mut self, now: Instant, request: &Request, seid: Option<u64>, message: Message) {
        self.responses.expire(now);
        let frame = Frame { seid, sequence: request.sequence, message };
        let bytes = match frame.encode() {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::warn!(peer = %request.from, %error, "PFCP answer not sent");
                return;
            }
        };
        self.responses.answered(request.from, request.sequence, request.kind, &bytes);
        self.outputs.push_back(Output::Transmit { to: request.from, bytes });
    }

    /// Answers a request with a refusal.
    pub fn refuse(
        &mut self,
        now: Instant,
        request: &Request,
        seid: u64,
        cause: Cause,
        offending: Option<u16>,
    ) {
        tracing::warn!(peer = %request.from, kind = ?request.kind, %cause, ?offending, "PFCP request refused");
        if let Some(message) = refusal(request.kind, cause, offending, &self.config) {
            self.respond(now, request, Some(seid), message);
        }
    }

    /// Takes a datagram.
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) {
        self.responses.expire(now);
        let header = match Header::decode(bytes) {
            Ok(header) => header,
            Err(error) => return self.on_bad_header(from, bytes, &error),
        };
        let Some(kind) = MessageType::from_number(header.message_type) else {
            // An unknown message is discarded (TS 29.244 §7.6.4).
            self.discard(from, "unknown message type");
            return;
        };
        if !kind.is_request() {
            return self.on_response(now, from, &header, bytes);
        }
        let end = now + self.config.t1 * (u32::from(self.config.n1) + 2);
        match self.responses.see((from, header.sequence, kind as u8), bytes, end) {
            Seen::New => {}
            Seen::InProgress => return,
            Seen::Answered(bytes) => {
                let bytes = bytes.to_vec();
                self.outputs.push_back(Output::Transmit { to: from, bytes });
                return;
            }
        }
        let request = Request { from, sequence: header.sequence, seid: header.seid, kind };
        match Frame::decode(bytes) {
            Ok(frame) => self.on_request(now, request, frame.message, bytes),
            Err(error) => self.on_malformed(now, request, error, bytes),
        }
    }

    /// Does what is due at `now`.
    pub fn handle_deadline(&mut self, now: Instant) {
        self.responses.expire(now);
        while let Some((at, due)) = self.deadlines.first().copied()
            && at <= now
        {
            self.deadlines.remove(&(at, due));
            match due {
                Due::Request(sequence) => self.on_t1(now, sequence),
                Due::Grants => {
                    for (request, setup) in std::mem::take(&mut self.early) {
                        self.on_association_setup_request(now, &request, setup);
                    }
                }
                Due::Peer(ip) => {
                    let Some(peer) = self.peers.get_mut(&ip) else { continue };
                    peer.deadline = None;
                    let address = peer.address;
                    if peer.association.is_some() {
                        self.start_heartbeat(now, address);
                    } else if peer.wanted {
                        self.start_association(now, address);
                    }
                }
            }
        }
    }

    /// A request of the node's own.
    pub(crate) fn start(
        &mut self,
        now: Instant,
        to: SocketAddr,
        seid: Option<u64>,
        message: Message,
        purpose: Purpose,
    ) {
        let sequence = self.free_sequence();
        if let Err(error) = self.transmit_request(now, to, seid, message, (purpose, sequence)) {
            tracing::warn!(peer = %to, %error, "PFCP request not sent");
        }
    }

    fn transmit_request(
        &mut self,
        now: Instant,
        to: SocketAddr,
        seid: Option<u64>,
        message: Message,
        (purpose, sequence): (Purpose, u32),
    ) -> Result<(), SendError> {
        let bytes = Frame { seid, sequence, message }.encode()?;
        let deadline = now + self.config.t1;
        self.deadlines.insert((deadline, Due::Request(sequence)));
        self.outputs.push_back(Output::Transmit { to, bytes: bytes.clone() });
        let retransmissions_left = self.config.n1;
        self.requests.insert(sequence, Outstanding { to, purpose, bytes, retransmissions_left, deadline });
        Ok(())
    }

    /// A sequence number that no request of ours is using: there are more than [`REQUESTS_MAX`].
    fn free_sequence(&mut self) -> u32 {
        loop {
            let sequence = self.next_sequence;
            self.next_sequence = (sequence + 1) % SEQUENCES;
            if !self.requests.contains_key(&sequence) {
                return sequence;
            }
        }
    }

    fn on_t1(&mut self, now: Instant, sequence: u32) {
        let Some(request) = self.requests.get_mut(&sequence) else { return };
        if request.retransmissions_left > 0 {
            request.retransmissions_left -= 1;
            request.deadline = now + self.config.t1;
            self.deadlines.insert((request.deadline, Due::Request(sequence)));
            let (to, bytes) = (request.to, request.bytes.clone());
            self.outputs.push_back(Output::Transmit { to, bytes });
            return;
        }
        let Some(request) = self.requests.remove(&sequence) else { return };
        self.unanswered(now, request.to, request.purpose);
    }

    fn unanswered(&mut self, now: Instant, peer: SocketAddr, purpose: Purpose) {
        match purpose {
            Purpose::Caller(token) => self.outputs.push_back(Output::TimedOut { token, peer }),
            Purpose::Heartbeat => self.peer_down(now, peer, DownReason::Unreachable),
            Purpose::Associate => {
                tracing::debug!(%peer, "no answer to the PFCP association setup");
                self.set_peer_deadline(peer, Some(now + self.config.association_retry));
            }
            Purpose::Release => self.peer_down(now, peer, DownReason::Released),
        }
    }

    fn on_response(&mut self, now: Instant, from: SocketAddr, header: &Header, bytes: &[u8]) {
        let matches = self.requests.get(&header.sequence).is_some_and(|request| request.to.ip() == from.ip());
        let answers = |request: u8, response: u8| request.checked_add(1) == Some(response);
        let fits = self.requests.get(&header.sequence).is_some_and(|request| {
            let asked = request.bytes.get(1).copied().unwrap_or(0);
            answers(asked, header.message_type)
                || header.message_type == MessageType::VersionNotSupportedResponse as u8
        });
        if !matches || !fits {
            self.discard(from, "answer to nothing we asked");
            return;
        }
        let Some(request) = self.requests.remove(&header.sequence) else { return };
        self.deadlines.remove(&(request.deadline, Due::Request(header.sequence)));
        self.heard_of(now, from);
        let frame = match Frame::decode(bytes) {
            Ok(frame) => frame,
            Err(error) => {
                tracing::warn!(peer = %from, %error, "PFCP answer not understood");
                self.discarded += 1;
                return self.unanswered(now, request.to, request.purpose);
            }
        };
        match (request.purpose, frame.message) {
            (Purpose::Caller(token), message) => {
                let forgotten = message.cause() == Some(Cause::NO_ESTABLISHED_PFCP_ASSOCIATION);
                self.outputs.push_back(Output::Response { token, from, seid: frame.seid, message });
                if forgotten {
                    self.forgotten(now, from);
                }
            }
            (Purpose::Heartbeat, Message::HeartbeatResponse(response)) => {
                self.set_peer_deadline(from, Some(now + self.config.heartbeat_interval));
                self.check_recovery(now, from, response.recovery_time_stamp);
            }
            (Purpose::Associate, Message::AssociationSetupResponse(response)) => {
                self.on_association_setup_response(now, request.to, response);
            }
            (Purpose::Release, _) => self.peer_down(now, request.to, DownReason::Released),
            (purpose, _) => self.unanswered(now, request.to, purpose),
        }
    }

    fn on_request(&mut self, now: Instant, request: Request, message: Message, bytes: &[u8]) {
        self.heard_of(now, request.from);
        match message {
            Message::HeartbeatRequest(heartbeat) => {
                let recovery_time_stamp = self.config.recovery_time_stamp;
                let response = HeartbeatResponse { recovery_time_stamp, ..Default::default() };
                self.respond(now, &request, None, response.into());
                self.check_recovery(now, request.from, heartbeat.recovery_time_stamp);
            }
            Message::AssociationSetupRequest(setup) => {
                if self.config.grants_from.is_none_or(|at| at <= now) {
                    self.on_association_setup_request(now, &request, setup);
                } else if self.early.len() < PEERS_MAX {
                    self.early.push((request, setup));
                }
            }
            Message::AssociationUpdateRequest(update) => self.on_association_update(now, &request, update),
            Message::AssociationReleaseRequest(_) => self.on_association_release(now, &request),
            _ if self.association(request.from.ip()).is_none() => {
                let seid = Frame::find_f_seid(bytes).map_or(0, |f_seid| f_seid.seid);
                self.refuse(now, &request, seid, Cause::NO_ESTABLISHED_PFCP_ASSOCIATION, None);
            }
            message => self.outputs.push_back(Output::Request { request, message }),
        }
    }

    fn on_malformed(&mut self, now: Instant, request: Request, error: DecodeError, bytes: &[u8]) {
        self.discarded += 1;
        tracing::warn!(peer = %request.from, kind = ?request.kind, %error, "PFCP request not understood");
        if error.fault == Fault::SeidFlag {
            return;
        }
        if request.kind.is_session() && self.association(request.from.ip()).is_some() {
            let f_seid = Frame::find_f_seid(bytes);
            self.outputs.push_back(Output::Malformed { request, error, f_seid });
        } else if let Some(message) = refusal(request.kind, error.cause(), Some(error.ie_type), &self.config)
        {
            self.respond(now, &request, Some(0), message);
        }
    }

    /// Another version is answered with ours (TS 29.244 §7.6.3), unless it is such an answer.
    fn on_bad_header(&mut self, from: SocketAddr, bytes: &[u8], error: &DecodeError) {
        let is_answer = bytes.get(1) == Some(&(MessageType::VersionNotSupportedResponse as u8));
        if let (Fault::Version(_), false, [_, _, _, _, ..]) = (error.fault, is_answer, bytes) {
            // Where the sequence number is, in a header with or without SEID.
            let at = if bytes[0] & 1 != 0 { 12 } else { 4 };
            let sequence = match bytes.get(at..at + 3) {
                Some(&[a, b, c]) => u32::from_be_bytes([0, a, b, c]),
                _ => 0,
            };
            let response = VersionNotSupportedResponse::default();
            if let Ok(bytes) = Frame::node(sequence, response.into()).encode() {
                self.outputs.push_back(Output::Transmit { to: from, bytes });
            }
        }
        self.discard(from, "header not understood");
    }

    fn discard(&mut self, from: SocketAddr, why: &str) {
        self.discarded += 1;
        tracing::debug!(peer = %from, why, "PFCP message discarded");
    }

    /// The requests to this peer will get no answer.
    pub(crate) fn abandon(&mut self, peer: IpAddr) {
        let sequences: Vec<u32> = self
            .requests
            .iter()
            .filter(|(_, request)| request.to.ip() == peer && request.purpose != Purpose::Associate)
            .map(|(sequence, _)| *sequence)
            .collect();
        for sequence in sequences {
            let Some(request) = self.requests.remove(&sequence) else { continue };
            self.deadlines.remove(&(request.deadline, Due::Request(sequence)));
            if let Purpose::Caller(token) = request.purpose {
                self.outputs.push_back(Output::TimedOut { token, peer: request.to });
            }
        }
    }

    pub(crate) fn set_peer_deadline(&mut self, address: SocketAddr, deadline: Option<Instant>) {
        let ip = address.ip();
        let Some(peer) = self.peers.get_mut(&ip) else { return };
        if let Some(before) = peer.deadline {
            self.deadlines.remove(&(before, Due::Peer(ip)));
        }
        peer.deadline = deadline;
        if let Some(at) = deadline {
            self.deadlines.insert((at, Due::Peer(ip)));
        }
    }
}
