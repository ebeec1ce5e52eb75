//! The SMF as the router of a session's IPv6 link (TS 23.501 §5.8.2.2): the rules by which the UPF takes router
//! solicitations to it and advertisements to the UE, and what it says when.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use serde::{Deserialize, Serialize};
use tern_gtpu::{GpduHeader, Packet, message_type};
use tern_ngap::transfer::GtpTunnel;
use tern_pfcp::{
    ApplyAction, CreateFar, CreatePdr, CreatedPdr, FTeid, FarId, ForwardingParameters, Interface,
    OuterHeaderCreation, OuterHeaderRemoval, Pdi, PdrId, Precedence, SdfFilter, SessionEstablishmentRequest,
};
use tern_types::{Duration, Instant};

use crate::config::Config;
use crate::context::PduSession;
use crate::core::Core;
use crate::io::{Output, Outputs};
use crate::n4;
use crate::ndp::{self, ALL_NODES, Advertisement};

/// From the UE to the SMF.
const SOLICITATION_PDR: PdrId = PdrId(u16::MAX - 1);
/// From the SMF to the UE.
const ADVERTISEMENT_PDR: PdrId = PdrId(u16::MAX - 2);
const SOLICITATION_FAR: FarId = FarId(4);
/// The F-TEID of the SMF's packets is none of the access network's (TS 29.244 §5.5.3).
const CHOOSE_ID: u8 = 2;
/// ICMPv6 to all routers of the link, before any rule of a service.
const SOLICITATIONS: &str = "permit out 58 from ff02::2/128 to any";
const FIRST: Precedence = Precedence(0);
const LAST: Precedence = Precedence(65_535);

/// Between two advertisements that nobody has asked for. Each reaches an idle UE by a page, so there are few.
const ADVERTISEMENT_INTERVAL: Duration = Duration::from_secs(21_600);
/// How long a UE takes the SMF for its router: as three intervals (RFC 4861 §6.2.1; RFC 8319 allows so much).
const ROUTER_LIFETIME_S: u16 = 64_800;
/// Solicitations of one session that are answered in a row.
pub const SOLICITATIONS_MAX: u32 = 8;
/// Until one more is: as often as hosts ask (RFC 4861 §10, RTR_SOLICITATION_INTERVAL).
pub const SOLICITATION_INTERVAL: Duration = Duration::from_secs(4);

/// What the SMF knows as the router of a session's link.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Router {
    /// Where the UPF takes packets for the UE.
    pub tunnel: Option<GtpTunnel>,
    /// Until when the solicitations so far would last, had they come one an interval.
    pub answered_until: Option<Instant>,
    /// When the next advertisement is due.
    pub next: Option<Instant>,
}

impl Router {
    /// Whether the session has no such link.
    pub fn is_idle(&self) -> bool {
        *self == Self::default()
    }

    /// Whether one more solicitation is answered now.
    fn admits(&mut self, now: Instant) -> bool {
        let until = self.answered_until.map_or(now, |until| until.max(now));
        let is_free = until.since(now) <= SOLICITATION_INTERVAL * (SOLICITATIONS_MAX - 1);
        if is_free {
            self.answered_until = Some(until + SOLICITATION_INTERVAL);
        }
        is_free
    }
}

/// Adds the rules of the link to those of a session with one (TS 29.244 §5.2.1). All that comes to the UE goes by the
/// downlink FAR, so an advertisement waits for an idle UE as any packet does.
pub fn add_rules(request: &mut SessionEstablishmentRequest, session: &PduSession, config: &Config) {
    let has_link = session.granted.as_ref().is_some_and(|granted| granted.ipv6.is_some());
    let uplink = request.create_pdr.first().and_then(|pdr| pdr.pdi.f_teid);
    let Some(uplink) = uplink.filter(|_| has_link) else { return };
    let ours = config.n4.gtpu_address();
    let header = match ours {
        IpAddr::V4(ipv4) => OuterHeaderCreation::gtpu(session.reference.teid(), Some(ipv4), None),
        IpAddr::V6(ipv6) => OuterHeaderCreation::gtpu(session.reference.teid(), None, Some(ipv6)),
    };
    request.create_far.push(CreateFar {
        far_id: SOLICITATION_FAR,
        apply_action: ApplyAction::FORW,
        forwarding_parameters: Some(ForwardingParameters {
            destination_interface: Interface::CpFunction,
            outer_header_creation: Some(header),
            ..Default::default()
        }),
        ..Default::default()
    });
    let removal = Some(OuterHeaderRemoval::new(OuterHeaderRemoval::GTPU_UDP_IP));
    request.create_pdr.push(CreatePdr {
        pdr_id: SOLICITATION_PDR,
        precedence: FIRST,
        pdi: Pdi {
            source_interface: Interface::Access,
            f_teid: Some(uplink),
            sdf_filters: vec![SdfFilter::flow(SOLICITATIONS)],
            ..Default::default()
        },
        outer_header_removal: removal,
        far_id: Some(SOLICITATION_FAR),
        ..Default::default()
    });
    let f_teid = match session.router.tunnel {
        Some(GtpTunnel { teid, ipv4, ipv6 }) => FTeid::Assigned { teid, ipv4, ipv6 },
        None => FTeid::Choose { ipv4: ours.is_ipv4(), ipv6: ours.is_ipv6(), choose_id: Some(CHOOSE_ID) },
    };
    request.create_pdr.push(CreatePdr {
        pdr_id: ADVERTISEMENT_PDR,
        precedence: LAST,
        pdi: Pdi { source_interface: Interface::CpFunction, f_teid: Some(f_teid), ..Default::default() },
        outer_header_removal: removal,
        far_id: Some(n4::DOWNLINK_FAR),
        qer_ids: vec![n4::DEFAULT_RULE_QER],
        ..Default::default()
    });
}

/// Whether an F-TEID that the UPF has allocated is for the SMF's own packets.
pub fn is_ours(created: &CreatedPdr) -> bool {
    created.pdr_id == ADVERTISEMENT_PDR
}

/// Reads what came to the SMF's end of tunnels: the TEID and packet of a user packet. What else asks for an answer has
/// it at once.
pub fn receive<'a>(out: &mut Outputs, from: SocketAddr, datagram: &'a [u8]) -> Option<(u32, &'a [u8])> {
    let packet = match Packet::parse(datagram) {
        Ok(packet) => packet,
        Err(error) => {
            tracing::debug!(%from, %error, "GTP-U");
            out.count("smf.gtpu.decode_error");
            return None;
        }
    };
    match packet.message_type {
        message_type::G_PDU => return Some((packet.teid, packet.payload)),
        // TS 29.281 §7.2.1.
        message_type::ECHO_REQUEST => {
            let mut answer = [0; 14];
            let length = tern_gtpu::echo_response(packet.sequence.unwrap_or(0), &mut answer);
            out.count("smf.gtpu.echo");
            out.push(Output::Gtpu { to: from, datagram: answer[..length].to_vec() });
        }
        _ => out.count("smf.gtpu.other"),
    }
    None
}

/// A packet of the UE that the UPF has taken here.
pub fn on_packet(core: &mut Core<'_>, session: &mut PduSession, from: SocketAddr, packet: &[u8]) {
    let uplink = session.user_plane.as_ref().and_then(|user_plane| user_plane.uplink);
    let is_upf = uplink.is_some_and(|upf| match from.ip() {
        IpAddr::V4(from) => upf.ipv4 == Some(from),
        IpAddr::V6(from) => upf.ipv6 == Some(from),
    });
    if !is_upf {
        return core.out.count("smf.gtpu.not_of_upf");
    }
    match ndp::solicitation(packet) {
        Ok(to) if session.router.admits(core.now) => advertise(core, session, to),
        Ok(_) => core.out.count("smf.router.solicitations_too_many"),
        Err(error) => {
            tracing::debug!(supi = %session.supi, session = %session.id, %error, "packet for the router");
            core.out.count("smf.router.invalid");
        }
    }
}

/// The session is up: the UE hears of its prefix without asking.
pub fn start(core: &mut Core<'_>, session: &mut PduSession) {
    advertise(core, session, ALL_NODES);
}

/// Advertises again, if that is due.
pub fn expire(core: &mut Core<'_>, session: &mut PduSession) {
    if session.router.next.is_some_and(|at| at <= core.now) {
        advertise(core, session, ALL_NODES);
    }
}

fn advertise(core: &mut Core<'_>, session: &mut PduSession, to: Ipv6Addr) {
    let link = session.granted.as_ref().and_then(|granted| granted.ipv6);
    session.router.next = link.map(|_| core.now + ADVERTISEMENT_INTERVAL);
    let (Some(link), Some(network)) = (link, core.network(session)) else { return };
    let mtu = network.mtu;
    let Some((tunnel, upf)) = session.router.tunnel.and_then(|tunnel| {
        let upf = match core.config.n4.gtpu_address() {
            IpAddr::V4(_) => tunnel.ipv4.map(IpAddr::V4),
            IpAddr::V6(_) => tunnel.ipv6.map(IpAddr::V6),
        };
        Some((tunnel, upf?))
    }) else {
        return core.out.count("smf.router.no_tunnel");
    };
    let packet = Advertisement { prefix: link.prefix, lifetime_s: ROUTER_LIFETIME_S, mtu }.packet(to);
    let header = GpduHeader { teid: tunnel.teid, container: None };
    let mut datagram = vec![0; header.length()];
    header.write(&mut datagram, packet.len());
    datagram.extend(packet);
    core.out.count("smf.router.advertised");
    core.out.push(Output::Gtpu { to: SocketAddr::new(upf, tern_gtpu::PORT), datagram });
}
