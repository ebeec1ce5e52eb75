//! The rules of a session on N4 (TS 29.244 §5.2): what a session is as PDRs, FARs, QERs and a URR.
//!
//! Rule 0 is the default rule, which matches everything; rule *n* the service rule of number *n*. Rule
//! *n* has PDR 2n+1 for uplink, PDR 2n+2 for downlink and QER n+2. All uplink PDRs share one
//! F-TEID, which the UPF allocates. The last PDR there can be and FAR 3 are for packets that the UPF forwards from one
//! gNB to another; those of an IPv6 link and FAR 4 are in [`crate::router`].

use std::net::IpAddr;

use tern_ngap::transfer::GtpTunnel;
use tern_pfcp::{
    ApplyAction, BitRate, CreateFar, CreatePdr, CreateQer, CreateUrr, CreatedPdr, FSeid, FTeid, FarId,
    ForwardingParameters, GateStatus, Interface, MeasurementMethod, Message, Name, NodeId,
    OuterHeaderCreation, OuterHeaderRemoval, Pdi, PdnType, PdrId, PfcpSeReqFlags, PfcpSmReqFlags, Precedence,
    QerId, RemoveFar, RemovePdr, RemoveQer, ReportingTriggers, SdfFilter, Seconds,
    SessionEstablishmentRequest, SessionEstablishmentResponse, SessionModificationRequest, UeIpAddress,
    UpdateFar, UpdateForwardingParameters, UpdateQer, UrrId, UserId, Volume,
};
use tern_types::{Ambr, Qfi};

use crate::binding::FlowChanges;
use crate::config::Timers;
use crate::context::{Granted, PduSession, SessionType, UpCnxState, UserPlane};
use crate::qos::ServiceRule;
use crate::router;

const UPLINK_FAR: FarId = FarId(1);
/// All that goes to the UE.
pub const DOWNLINK_FAR: FarId = FarId(2);
/// From the source gNB of a handover to the target.
const FORWARDING_FAR: FarId = FarId(3);
const FORWARDING_PDR: PdrId = PdrId(u16::MAX);
const SESSION_QER: QerId = QerId(1);
/// Of the default QoS flow.
pub const DEFAULT_RULE_QER: QerId = QerId(2);
const USAGE_URR: UrrId = UrrId(1);
/// The F-TEID that all uplink PDRs share (TS 29.244 §5.5.3).
const CHOOSE_ID: u8 = 1;
/// The default rule is looked at last.
const DEFAULT_PRECEDENCE: u32 = 65_535;

/// The request that installs a session.
pub fn establishment(
    session: &PduSession,
    granted: &Granted,
    node: IpAddr,
    timers: &Timers,
) -> SessionEstablishmentRequest {
    // The access network may have either version of IP: the UPF gives what it has.
    let f_teid = FTeid::Choose { ipv4: true, ipv6: true, choose_id: Some(CHOOSE_ID) };
    request(session, granted, node, timers, f_teid)
}

/// The request that installs a session again which the UPF has lost: with the tunnel that the access
/// network sends to, so that it goes on (TS 29.244 §5.5.1, TS 23.527 §4.3.2). `None` if there was none.
pub fn restoration(
    session: &PduSession,
    granted: &Granted,
    node: IpAddr,
    timers: &Timers,
) -> Option<SessionEstablishmentRequest> {
    let user_plane = session.user_plane.as_ref()?;
    let GtpTunnel { teid, ipv4, ipv6 } = user_plane.uplink?;
    let mut request = request(session, granted, node, timers, FTeid::Assigned { teid, ipv4, ipv6 });
    request.flags = Some(PfcpSeReqFlags::RESTI);
    if let Some(far) = request.create_far.iter_mut().find(|far| far.far_id == DOWNLINK_FAR) {
        restore_downlink(far, user_plane);
    }
    Some(request)
}

/// The downlink FAR as the connection's state has it.
fn restore_downlink(far: &mut CreateFar, user_plane: &UserPlane) {
    let header = user_plane.downlink.and_then(|downlink| header(&downlink, user_plane.uplink));
    match (user_plane.connection, header) {
        (UpCnxState::Activated, Some(header)) => {
            far.apply_action = ApplyAction::FORW;
            far.forwarding_parameters = Some(ForwardingParameters {
                destination_interface: Interface::Access,
                outer_header_creation: Some(header),
                ..Default::default()
            });
        }
        (UpCnxState::Activating, _) => {}
        (UpCnxState::Activated | UpCnxState::Deactivated, _) => {
            far.apply_action = ApplyAction::BUFF | ApplyAction::NOCP;
        }
    }
}

fn request(
    session: &PduSession,
    granted: &Granted,
    node: IpAddr,
    timers: &Timers,
    f_teid: FTeid,
) -> SessionEstablishmentRequest {
    let services = granted.flows.iter().flat_map(|flow| flow.rules.iter().map(move |rule| (flow.qfi, rule)));
    let rules =
        std::iter::once((granted.default_qfi(), None)).chain(services.map(|(qfi, rule)| (qfi, Some(rule))));
    let mut request = SessionEstablishmentRequest {
        node_id: node_id(node),
        cp_f_seid: FSeid::new(session.reference.seid(), node),
        create_far: vec![uplink_far(session), downlink_far()],
        create_qer: vec![session_qer(granted.ambr)],
        create_urr: vec![usage_urr(timers)],
        pdn_type: Some(match granted.session_type() {
            SessionType::Ipv6 => PdnType::Ipv6,
            SessionType::Ipv4v6 => PdnType::Ipv4v6,
            _ => PdnType::Ipv4,
        }),
        user_id: Some(UserId::from_imsi(session.supi.imsi())),
        apn_dnn: Some(Name(session.dnn.as_str().to_owned())),
        ..Default::default()
    };
    for (qfi, rule) in rules {
        request.create_pdr.push(uplink_pdr(session, granted, rule, f_teid));
        request.create_pdr.push(downlink_pdr(session, granted, rule));
        request.create_qer.push(rule_qer(qfi, rule));
    }
    request
}

/// The F-TEID that the UPF allocated for uplink packets, with its address of IPv4, of IPv6, or both.
pub fn allocated(response: &SessionEstablishmentResponse) -> Option<GtpTunnel> {
    created(response.created_pdr.iter().filter(|created| !router::is_ours(created)))
}

/// The F-TEID that it allocated for what the SMF sends to the UE.
pub fn allocated_for_router(response: &SessionEstablishmentResponse) -> Option<GtpTunnel> {
    created(response.created_pdr.iter().filter(|created| router::is_ours(created)))
}

fn created<'a>(all: impl IntoIterator<Item = &'a CreatedPdr>) -> Option<GtpTunnel> {
    all.into_iter().find_map(|created| match created.f_teid {
        Some(FTeid::Assigned { teid, ipv4, ipv6 }) => Some(GtpTunnel { teid, ipv4, ipv6 }),
        _ => None,
    })
}

/// The header around packets to the access network's end of the tunnel, with those of its addresses whose version of
/// IP the UPF has at its own end (TS 29.244 §8.2.56); `None` if that is none.
fn header(downlink: &GtpTunnel, uplink: Option<GtpTunnel>) -> Option<OuterHeaderCreation> {
    let uplink = uplink?;
    let ipv4 = downlink.ipv4.filter(|_| uplink.ipv4.is_some());
    let ipv6 = downlink.ipv6.filter(|_| uplink.ipv6.is_some());
    (ipv4.is_some() || ipv6.is_some()).then(|| OuterHeaderCreation::gtpu(downlink.teid, ipv4, ipv6))
}

/// The change that sends downlink packets to the access network's end of the tunnel; `None` if it has no address of a
/// version of IP that the UPF has.
pub fn activation(downlink: &GtpTunnel, uplink: Option<GtpTunnel>) -> Option<SessionModificationRequest> {
    let outer = header(downlink, uplink)?;
    let parameters = UpdateForwardingParameters {
        destination_interface: Some(Interface::Access),
        outer_header_creation: Some(outer),
        ..Default::default()
    };
    Some(far_change(ApplyAction::FORW, Some(parameters)))
}

/// The same for a UE that has moved: the UPF ends the tunnel to where it was with End Markers
/// (TS 23.502 §4.9.1.2.2).
pub fn path_switch(downlink: &GtpTunnel, uplink: Option<GtpTunnel>) -> Option<SessionModificationRequest> {
    let mut request = activation(downlink, uplink)?;
    let parameters =
        request.update_far.iter_mut().filter_map(|far| far.update_forwarding_parameters.as_mut());
    parameters.for_each(|parameters| parameters.flags = Some(PfcpSmReqFlags::SNDEM));
    Some(request)
}

/// The change that has the UPF forward packets of the source gNB to the target (TS 23.502 §4.9.1.3.2): a tunnel
/// with the access on both sides (TS 29.244 §8.2.2); `None` if the target has no address of a version of IP that
/// the UPF has.
pub fn forwarding(target: &GtpTunnel, uplink: Option<GtpTunnel>) -> Option<SessionModificationRequest> {
    let parameters = ForwardingParameters {
        destination_interface: Interface::Access,
        outer_header_creation: Some(header(target, uplink)?),
        ..Default::default()
    };
    let far = CreateFar {
        far_id: FORWARDING_FAR,
        apply_action: ApplyAction::FORW,
        forwarding_parameters: Some(parameters),
        ..Default::default()
    };
    let pdi = Pdi {
        source_interface: Interface::Access,
        f_teid: Some(FTeid::Choose { ipv4: true, ipv6: true, choose_id: None }),
        ..Default::default()
    };
    let pdr = CreatePdr {
        pdr_id: FORWARDING_PDR,
        precedence: Precedence(DEFAULT_PRECEDENCE),
        pdi,
        outer_header_removal: Some(OuterHeaderRemoval::new(OuterHeaderRemoval::GTPU_UDP_IP)),
        far_id: Some(FORWARDING_FAR),
        ..Default::default()
    };
    Some(SessionModificationRequest { create_pdr: vec![pdr], create_far: vec![far], ..Default::default() })
}

/// The UPF's end of the tunnel that [`forwarding`] asks for.
pub fn forwarding_tunnel(answer: &Message) -> Option<GtpTunnel> {
    let Message::SessionModificationResponse(response) = answer else { return None };
    created(&response.created_pdr)
}

/// The end of that.
pub fn forwarding_end() -> SessionModificationRequest {
    SessionModificationRequest {
        remove_pdr: vec![RemovePdr { pdr_id: FORWARDING_PDR, ..Default::default() }],
        remove_far: vec![RemoveFar { far_id: FORWARDING_FAR, ..Default::default() }],
        ..Default::default()
    }
}

/// The change that has downlink packets buffered, and the first one told (TS 23.502 §4.2.6).
pub fn deactivation() -> SessionModificationRequest {
    far_change(ApplyAction::BUFF | ApplyAction::NOCP, None)
}

/// The change that drops downlink packets, and those that wait (TS 23.502 §4.2.3.3 step 3c, TS 29.244 §7.5.4.1).
pub fn discarding() -> SessionModificationRequest {
    SessionModificationRequest { flags: Some(PfcpSmReqFlags::DROBU), ..far_change(ApplyAction::DROP, None) }
}

/// The change of the Session-AMBR, and of service rules; `None` if the UPF has nothing to do. `granted` is what
/// holds from now on.
pub fn modification(
    session: &PduSession,
    granted: &Granted,
    ambr: Option<Ambr>,
    changes: &FlowChanges,
) -> Option<SessionModificationRequest> {
    let mut request = SessionModificationRequest::default();
    if let Some(ambr) = ambr {
        let qer = UpdateQer { qer_id: SESSION_QER, mbr: Some(mbr(ambr)), ..Default::default() };
        request.update_qer.push(qer);
    }
    for &number in &changes.gone_rules {
        remove(&mut request, number);
    }
    for (before, after) in &changes.changed_rules {
        if same_packets(&before.1, &after.1) && !loses_a_rate(&before.1, &after.1) {
            let CreateQer { qer_id, gate_status, mbr, gbr, qfi, .. } = rule_qer(after.0, Some(&after.1));
            let gate_status = Some(gate_status);
            request.update_qer.push(UpdateQer { qer_id, gate_status, mbr, gbr, qfi, ..Default::default() });
        } else {
            remove(&mut request, after.1.number);
            create(&mut request, session, granted, after)?;
        }
    }
    for rule in &changes.new_rules {
        create(&mut request, session, granted, rule)?;
    }
    (request != SessionModificationRequest::default()).then_some(request)
}

/// Whether the same packets are treated by the same QERs.
fn same_packets(before: &ServiceRule, after: &ServiceRule) -> bool {
    before.filters == after.filters
        && before.precedence == after.precedence
        && before.gbr.is_some() == after.gbr.is_some()
}

/// An update of a QER cannot take a bit rate away.
fn loses_a_rate(before: &ServiceRule, after: &ServiceRule) -> bool {
    before.mbr.is_some() && after.mbr.is_none() || before.gbr.is_some() && after.gbr.is_none()
}

fn remove(request: &mut SessionModificationRequest, number: u8) {
    let pdrs = [uplink_id(number.into()), downlink_id(number.into())];
    request.remove_pdr.extend(pdrs.map(|pdr_id| RemovePdr { pdr_id, ..Default::default() }));
    request.remove_qer.push(RemoveQer { qer_id: qer_id(number.into()), ..Default::default() });
}

fn create(
    request: &mut SessionModificationRequest,
    session: &PduSession,
    granted: &Granted,
    (qfi, rule): &(Qfi, ServiceRule),
) -> Option<()> {
    // The tunnel that the other rules have.
    let GtpTunnel { teid, ipv4, ipv6 } = session.user_plane.as_ref()?.uplink?;
    let f_teid = FTeid::Assigned { teid, ipv4, ipv6 };
    request.create_pdr.push(uplink_pdr(session, granted, Some(rule), f_teid));
    request.create_pdr.push(downlink_pdr(session, granted, Some(rule)));
    request.create_qer.push(rule_qer(*qfi, Some(rule)));
    Some(())
}

fn number_of(rule: Option<&ServiceRule>) -> u16 {
    rule.map_or(0, |rule| rule.number.into())
}

fn uplink_id(number: u16) -> PdrId {
    PdrId(2 * number + 1)
}

fn downlink_id(number: u16) -> PdrId {
    PdrId(2 * number + 2)
}

fn qer_id(number: u16) -> QerId {
    QerId(u32::from(number) + 2)
}

fn far_change(
    action: ApplyAction,
    parameters: Option<UpdateForwardingParameters>,
) -> SessionModificationRequest {
    let far = UpdateFar {
        far_id: DOWNLINK_FAR,
        apply_action: Some(action),
        update_forwarding_parameters: parameters,
        ..Default::default()
    };
    SessionModificationRequest { update_far: vec![far], ..Default::default() }
}

/// Our node ID.
pub fn node_id(node: IpAddr) -> NodeId {
    NodeId::Address(node)
}

fn uplink_pdr(
    session: &PduSession,
    granted: &Granted,
    rule: Option<&ServiceRule>,
    f_teid: FTeid,
) -> CreatePdr {
    let pdi = Pdi {
        source_interface: Interface::Access,
        f_teid: Some(f_teid),
        ue_ip_addresses: vec![ue(granted, false)],
        ..pdi(session, rule)
    };
    CreatePdr {
        pdr_id: uplink_id(number_of(rule)),
        outer_header_removal: Some(OuterHeaderRemoval::new(OuterHeaderRemoval::GTPU_UDP_IP)),
        far_id: Some(UPLINK_FAR),
        ..pdr(pdi, rule)
    }
}

fn downlink_pdr(session: &PduSession, granted: &Granted, rule: Option<&ServiceRule>) -> CreatePdr {
    let pdi = Pdi {
        source_interface: Interface::Core,
        ue_ip_addresses: vec![ue(granted, true)],
        ..pdi(session, rule)
    };
    CreatePdr { pdr_id: downlink_id(number_of(rule)), far_id: Some(DOWNLINK_FAR), ..pdr(pdi, rule) }
}

/// The UE's addresses as the destination of packets, or as their source (TS 29.244 §8.2.62): a prefix is of 64 bits
/// where it says nothing.
fn ue(granted: &Granted, destination: bool) -> UeIpAddress {
    let ipv6 = granted.ipv6.map(|link| link.prefix);
    UeIpAddress { ipv4: granted.ipv4, ipv6, destination, ..Default::default() }
}

fn pdi(session: &PduSession, rule: Option<&ServiceRule>) -> Pdi {
    let filters = rule.map_or(&[][..], |rule| &rule.filters);
    Pdi {
        network_instance: Some(Name(session.dnn.as_str().to_owned())),
        sdf_filters: filters.iter().map(|filter| SdfFilter::flow(&filter.text)).collect(),
        ..Default::default()
    }
}

fn pdr(pdi: Pdi, rule: Option<&ServiceRule>) -> CreatePdr {
    // A service rule precedes the default one, whatever its precedence is.
    let precedence = rule.map_or(DEFAULT_PRECEDENCE, |rule| rule.precedence.min(DEFAULT_PRECEDENCE - 1));
    // The Session-AMBR is not of flows with a guaranteed bit rate (TS 23.501 §5.7.2.6).
    let guaranteed = rule.is_some_and(|rule| rule.gbr.is_some());
    let session_qer = (!guaranteed).then_some(SESSION_QER);
    let qer_ids = session_qer.into_iter().chain([qer_id(number_of(rule))]).collect();
    CreatePdr {
        precedence: Precedence(precedence),
        pdi,
        urr_ids: vec![USAGE_URR],
        qer_ids,
        ..Default::default()
    }
}

fn uplink_far(session: &PduSession) -> CreateFar {
    let parameters = ForwardingParameters {
        destination_interface: Interface::Core,
        network_instance: Some(Name(session.dnn.as_str().to_owned())),
        ..Default::default()
    };
    CreateFar {
        far_id: UPLINK_FAR,
        apply_action: ApplyAction::FORW,
        forwarding_parameters: Some(parameters),
        ..Default::default()
    }
}

/// Nothing is sent before the access network's end of the tunnel is known. What arrives meanwhile
/// is kept: a UE may use its session as soon as the access network has set it up, which is before
/// we know of it.
fn downlink_far() -> CreateFar {
    CreateFar { far_id: DOWNLINK_FAR, apply_action: ApplyAction::BUFF, ..Default::default() }
}

fn session_qer(ambr: Ambr) -> CreateQer {
    CreateQer { qer_id: SESSION_QER, mbr: Some(mbr(ambr)), ..Default::default() }
}

fn rule_qer(qfi: Qfi, rule: Option<&ServiceRule>) -> CreateQer {
    let gate = rule.map_or_else(GateStatus::default, |rule| GateStatus {
        uplink_closed: !rule.uplink_open,
        downlink_closed: !rule.downlink_open,
    });
    CreateQer {
        qer_id: qer_id(number_of(rule)),
        gate_status: gate,
        mbr: rule.and_then(|rule| rule.mbr).map(mbr),
        gbr: rule.and_then(|rule| rule.gbr).map(mbr),
        qfi: Some(tern_pfcp::Qfi(qfi.get())),
        ..Default::default()
    }
}

fn mbr(ambr: Ambr) -> BitRate {
    BitRate { uplink_kbps: ambr.uplink.kbps(), downlink_kbps: ambr.downlink.kbps() }
}

/// Volume is counted; it is reported at the session's end, and every `usage_report_s` if asked.
fn usage_urr(timers: &Timers) -> CreateUrr {
    /// Octets after which a report is made in any case.
    const THRESHOLD: u64 = 1 << 40;
    let period = (timers.usage_report_s > 0).then_some(Seconds(timers.usage_report_s));
    let mut triggers = ReportingTriggers::VOLTH;
    if period.is_some() {
        triggers |= ReportingTriggers::PERIO;
    }
    CreateUrr {
        urr_id: USAGE_URR,
        measurement_method: MeasurementMethod::VOLUM,
        reporting_triggers: triggers,
        measurement_period: period,
        volume_threshold: Some(Volume { total: Some(THRESHOLD), ..Default::default() }),
        ..Default::default()
    }
}
