//! SM contexts: what this SMF knows of one PDU session, as plain serialisable values.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tern_ngap::transfer::GtpTunnel;
use tern_sbi::Location;
use tern_types::{
    Ambr, Arp, Dnn, Duration, Guami, Imei, Instant, PduSessionId, PlmnId, Qfi, Snssai, Supi, Timer,
};

use crate::gsm::{Establishment, Handover, Modification, Release, Unanswered, Unfinished};
use crate::io::Token;
use crate::policy_rules::PolicyRules;
use crate::qos::QosFlow;
use crate::router::Router;
use crate::sbi::data_change::{Refresh, Subscription};
use crate::sbi::rule_report::RuleReports;

/// Version of the serialised form of [`SmContext`]; grows with each change of it.
pub const SCHEMA: u32 = 1;

/// Identity of an SM context: the last segment of its URI and, as a number, its CP F-SEID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SmContextRef(u64);

impl SmContextRef {
    /// `None` for 0, which no SEID is.
    pub fn new(id: u64) -> Option<Self> {
        (id != 0).then_some(Self(id))
    }

    /// The CP F-SEID's SEID.
    pub fn seid(self) -> u64 {
        self.0
    }

    /// The TEID of what a UPF takes to the SMF of the session: the upper half, which no other context's is.
    pub fn teid(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The first and the last one of a TEID.
    pub(crate) fn of_teid(teid: u32) -> std::ops::RangeInclusive<Self> {
        let first = u64::from(teid) << 32;
        Self(first)..=Self(first | u64::from(u32::MAX))
    }
}

impl std::fmt::Display for SmContextRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for SmContextRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let valid = text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let id = valid.then(|| u64::from_str_radix(text, 16).ok()).flatten();
        id.and_then(Self::new).ok_or_else(|| format!("{text}: no SM context reference"))
    }
}

impl TryFrom<String> for SmContextRef {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<SmContextRef> for String {
    fn from(reference: SmContextRef) -> Self {
        reference.to_string()
    }
}

/// An SM context: the session and where its procedures stand.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SmContext {
    /// [`SCHEMA`] of the code that wrote it.
    pub schema: u32,
    /// What is known of the session.
    pub session: PduSession,
    /// Where its procedures stand.
    pub state: State,
}

/// 5GSM state on the network side (TS 24.501 §6.1.3.3).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum State {
    /// PDU SESSION INACTIVE: it is being established.
    Inactive(Establishment),
    /// PDU SESSION ACTIVE.
    Active(Connection),
    /// PDU SESSION MODIFICATION PENDING.
    ModificationPending(Modification, Connection),
    /// PDU SESSION INACTIVE PENDING: it is being released.
    InactivePending(Release),
}

impl State {
    /// In words, for `tern status`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Inactive(_) => "establishing",
            Self::Active(_) => "active",
            Self::ModificationPending(..) => "modification pending",
            Self::InactivePending(_) => "releasing",
        }
    }
}

/// What a transition leaves: the next state, or nothing of the context.
#[derive(Debug)]
#[must_use]
#[allow(clippy::large_enum_variant, reason = "moved once, from a transition to its context")]
pub enum Next {
    /// The context goes on.
    State(State),
    /// The context is no more.
    Gone,
}

/// User-plane connection (TS 23.501 §5.6.8) and the change of it that is under way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// The UPF has been told of a change and has not answered yet.
    pub changing: Option<Change>,
    /// Data notification to the AMF that has no answer yet (TS 23.502 §4.2.3.3 step 3a).
    pub notifying: Option<Token>,
    /// Downlink packets wait at the UPF for the UE.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub data_waits: bool,
    /// What is to be done about a UE that was not reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub later: Option<Later>,
    /// A handover by N2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handover: Option<Handover>,
    /// A modification that the UE has completed, and others have not answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unanswered: Option<Box<Unanswered>>,
}

/// What is done later about a UE that was not reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Later {
    /// Packets are dropped until then; from then on they wait again, and the first one has the UE paged.
    Buffer(Instant),
    /// The AMF is asked again, for packets that wait already.
    Notify(Instant),
}

impl Later {
    /// When.
    pub fn at(self) -> Instant {
        let (Self::Buffer(at) | Self::Notify(at)) = self;
        at
    }
}

/// A change of the user plane that waits for the UPF.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The N4 modification; `None` while the UPF has lost the session.
    pub n4: Option<Token>,
    /// The AMF's request that waits with it, if one does.
    pub answer: Option<Token>,
    /// What the connection then is.
    pub to: UpCnxState,
    /// What the access network is then told, besides.
    pub confirm: Option<Confirm>,
}

/// What the access network is told once the UPF has taken a change of its end of the tunnel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Confirm {
    /// PDU Session Resource Modify Confirm Transfer.
    Modified(Bytes),
    /// Path Switch Request Acknowledge Transfer.
    Switched(Bytes),
    /// Nothing: the handover that it has notified is completed.
    HandedOver,
}

/// UpCnxState of TS 29.502.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum UpCnxState {
    /// No N3 tunnel.
    Deactivated,
    /// The access network was asked for its end of the tunnel.
    Activating,
    /// Both ends of the tunnel are known.
    Activated,
}

/// What is known of a PDU session.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PduSession {
    /// Identity of its context.
    pub reference: SmContextRef,
    /// Whose it is.
    pub supi: Supi,
    /// PEI, if the AMF told it.
    pub pei: Option<Imei>,
    /// The UE's identity of it.
    pub id: PduSessionId,
    /// The data network.
    pub dnn: Dnn,
    /// The slice.
    pub snssai: Snssai,
    /// The network that serves the UE.
    pub serving_network: PlmnId,
    /// The AMF's identity, if it told one.
    pub guami: Option<Guami>,
    /// NF instance of the AMF.
    pub amf: uuid::Uuid,
    /// Where the AMF wants to hear of the context's end.
    pub status: Location,
    /// What the UE asked for.
    pub request: UeRequest,
    /// What it got; `None` until its subscription is known.
    pub granted: Option<Granted>,
    /// Its UPF and tunnels; `None` until one is selected.
    pub user_plane: Option<UserPlane>,
    /// The SM policy association.
    pub policy: Option<Location>,
    /// What the PCF has decided, where it is more than the default rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_rules: Option<Box<PolicyRules>>,
    /// Failures of rules on their way to the PCF.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule_reports: Option<Box<RuleReports>>,
    /// Flows that the access network has refused, or has released, and that are to be taken back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Qfi>,
    /// Whether the AMF has said nothing of it yet: it may not know that the context exists.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unused: bool,
    /// Whether the UDM was asked to register this SMF for the session.
    pub registered: bool,
    /// The subscription to changes of its data at the UDM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_subscription: Option<Subscription>,
    /// Data that have changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh: Option<Refresh>,
    /// Octets that the UPF has reported.
    pub usage: Usage,
    /// Its IPv6 link, if it has one.
    #[serde(default, skip_serializing_if = "Router::is_idle")]
    pub router: Router,
    /// What an abandoned establishment has still to hear of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfinished: Option<Unfinished>,
}

impl PduSession {
    /// Whether the access network has its end of the tunnel, or is about to.
    pub fn is_connected(&self) -> bool {
        self.user_plane.as_ref().is_some_and(|u| u.connection != UpCnxState::Deactivated)
    }

    /// Whether the request of another session is that of this one once more: of an AMF that has never said anything
    /// of this one, since the answer was lost, or with it the process that had asked.
    pub fn is_asked_for_again(&self, other: &Self) -> bool {
        let asked = |s: &Self| (s.amf, s.status.clone(), s.dnn.clone(), s.snssai, s.request.clone());
        self.unused && asked(self) == asked(other)
    }
}

/// The UE's PDU SESSION ESTABLISHMENT REQUEST (TS 24.501 §8.3.1), as far as it is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UeRequest {
    /// Procedure transaction identity: 1 to 254.
    pub pti: u8,
    /// PDU session type; `None` if the UE leaves it to the network.
    pub session_type: Option<SessionType>,
    /// SSC mode 1 to 3; `None` if the UE leaves it to the network.
    pub ssc_mode: Option<u8>,
    /// Always-on was asked for.
    pub always_on: bool,
    /// Uplink and downlink integrity protection at the full rate; else 64 kbps or none.
    pub full_integrity_rate: bool,
    /// What the extended protocol configuration options ask for.
    pub options: RequestedOptions,
}

/// PDU session types (TS 24.501 §9.11.4.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SessionType {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
    /// Both.
    Ipv4v6,
    /// Unstructured.
    Unstructured,
    /// Ethernet.
    Ethernet,
}

/// Extended protocol configuration options that a UE asks for (TS 24.008 §10.5.6.3).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestedOptions {
    /// 000DH: DNS server IPv4 address.
    pub dns: bool,
    /// 0003H: DNS server IPv6 address.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dns_ipv6: bool,
    /// 0010H: IPv4 link MTU.
    pub mtu: bool,
    /// 000CH: P-CSCF IPv4 address.
    pub p_cscf: bool,
    /// 0001H: P-CSCF IPv6 address.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub p_cscf_ipv6: bool,
    /// 8021H: an IPCP Configure-Request (RFC 1332), at most [`IPCP_LEN_MAX`] octets.
    pub ipcp: Option<Bytes>,
}

/// Longest IPCP packet that is answered.
pub const IPCP_LEN_MAX: usize = 64;

/// What a session was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    /// The UE's IPv4 address, unless it is of type IPv6.
    #[serde(default, rename = "address", skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<Ipv4Addr>,
    /// Its IPv6 link, if it is of type IPv6 or IPv4v6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<Ipv6Link>,
    /// Told to the UE with the accept: #50 or #51 after a request for IPv4v6.
    pub type_cause: Option<crate::cause::GsmCause>,
    /// Session-AMBR.
    pub ambr: Ambr,
    /// 5QI of the default QoS flow.
    pub five_qi: u8,
    /// ARP of the default QoS flow.
    pub arp: Arp,
    /// The default QoS flow first.
    pub flows: Vec<QosFlow>,
    /// Whether always-on is granted.
    pub always_on: bool,
}

impl Granted {
    /// IPv4, IPv6 or both.
    pub fn session_type(&self) -> SessionType {
        match (self.ipv4, self.ipv6) {
            (Some(_), Some(_)) => SessionType::Ipv4v6,
            (None, Some(_)) => SessionType::Ipv6,
            (_, None) => SessionType::Ipv4,
        }
    }

    /// The default QoS flow's identity.
    pub fn default_qfi(&self) -> Qfi {
        self.flows.first().map_or(crate::qos::DEFAULT_QFI, |flow| flow.qfi)
    }
}

/// A link of one UE: its prefix, and what the UE makes its link-local address of (TS 23.501 §5.8.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ipv6Link {
    /// The prefix of 64 bits; the others are zero.
    pub prefix: Ipv6Addr,
    /// The interface identifier that the UE is given.
    pub interface: u64,
}

impl Ipv6Link {
    /// As TS 29.571 `Ipv6Prefix` has it.
    pub fn prefix_text(&self) -> String {
        format!("{}/64", self.prefix)
    }
}

/// The UPF and the tunnels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserPlane {
    /// N4 endpoint of the UPF.
    pub upf: SocketAddr,
    /// The UPF's SEID; `None` until it has answered, and again when it has lost the session.
    pub up_seid: Option<u64>,
    /// The request that restores the session at the UPF.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restoring: Option<Token>,
    /// Where the gNB sends uplink packets; allocated by the UPF.
    pub uplink: Option<GtpTunnel>,
    /// Where the UPF sends downlink packets; told by the gNB.
    pub downlink: Option<GtpTunnel>,
    /// The connection's state.
    pub connection: UpCnxState,
}

impl UserPlane {
    /// The UPF had the session, and has it no longer.
    pub fn is_lost(&self) -> bool {
        self.up_seid.is_none() && self.uplink.is_some()
    }
}

/// Octets of user data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// From the UE.
    pub uplink: u64,
    /// To the UE.
    pub downlink: u64,
}

/// A message to the UE that awaits its answer. Leaving the step drops it, so no expiry is stale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supervised {
    timer: Timer,
    /// The 5GSM message, as it is repeated.
    pub message: Bytes,
    /// When the timer expires next.
    pub deadline: Instant,
    expiries: u8,
}

impl Supervised {
    /// Starts the timer; the message has just been sent.
    pub fn start(now: Instant, timer: Timer, message: Bytes) -> Self {
        Self { timer, message, deadline: now + timer.duration, expiries: 0 }
    }

    /// One expiry more: the message to repeat, or `None` if that was the last one.
    pub fn expire(&mut self, now: Instant) -> Option<Bytes> {
        self.expiries = self.expiries.saturating_add(1);
        self.deadline = now + self.timer.duration;
        (self.expiries < self.timer.expiries_max).then(|| self.message.clone())
    }
}

/// T3591: PDU SESSION MODIFICATION COMMAND (TS 24.501 Table 10.3.2); the fifth expiry aborts.
pub const T3591: Timer = Timer { duration: Duration::from_secs(16), expiries_max: 5 };

/// T3592: PDU SESSION RELEASE COMMAND (TS 24.501 Table 10.3.2); the fifth expiry aborts.
pub const T3592: Timer = Timer { duration: Duration::from_secs(16), expiries_max: 5 };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_sixteen_digits() {
        let reference = SmContextRef::new(0xabc).unwrap();
        assert_eq!(reference.to_string(), "0000000000000abc");
        assert_eq!(reference.to_string().parse(), Ok(reference));
        for text in ["", "abc", "0000000000000000", "0000000000000ABC", "+00000000000000a"] {
            assert!(text.parse::<SmContextRef>().is_err(), "{text}");
        }
    }

    #[test]
    fn when_a_supervised_message_is_never_answered_then_the_fifth_expiry_aborts() {
        let mut now = Instant::from_micros(0);
        let mut supervised = Supervised::start(now, T3592, Bytes::from_static(b"x"));
        for _ in 0..4 {
            now = supervised.deadline;
            assert!(supervised.expire(now).is_some());
        }
        assert_eq!(now.as_micros(), 64_000_000);
        assert_eq!(supervised.expire(now), None);
    }
}
