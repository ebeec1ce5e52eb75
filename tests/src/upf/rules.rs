//! Sessions and their flows, as the PFCP rules of an SMF.

use std::net::Ipv4Addr;

use tern_pfcp::*;

use crate::topology::N3_GNB;

/// The FAR of all uplink PDRs of a session.
pub const FAR_UPLINK: FarId = FarId(1);
/// The FAR of all downlink PDRs.
pub const FAR_DOWNLINK: FarId = FarId(2);
/// The QER of the Session-AMBR.
const QER_AMBR: QerId = QerId(1);
/// The first flow's QER; those of the others follow.
const QER_FLOWS: u32 = 10;

/// A flow: UDP and TCP of one port of the data network, or all the rest.
#[derive(Debug, Clone, Default)]
pub struct FlowRules {
    /// The port of the host in the data network; `None` takes what is left.
    pub port: Option<u16>,
    /// The IP protocol of the port's traffic, if not all.
    pub protocol: Option<u8>,
    /// QoS flow identifier.
    pub qfi: u8,
    /// Maximum bit rate, both directions.
    pub mbr_kbps: Option<u64>,
    /// Guaranteed bit rate, both directions.
    pub gbr_kbps: Option<u64>,
    /// Whether the Session-AMBR is for it.
    pub in_ambr: bool,
    /// Whether its gates are closed.
    pub closed: bool,
    /// What counts it.
    pub urr: Option<CreateUrr>,
}

/// A session.
#[derive(Debug, Clone, Default)]
pub struct SessionRules {
    /// Session-AMBR, both directions.
    pub ambr_kbps: Option<u64>,
    /// The first of them that fits takes a packet.
    pub flows: Vec<FlowRules>,
}

impl FlowRules {
    /// All that no other flow takes, without limits.
    pub fn rest() -> Self {
        Self { qfi: 9, ..Self::default() }
    }

    /// Traffic of a port.
    pub fn of(port: u16, qfi: u8) -> Self {
        Self { port: Some(port), qfi, ..Self::default() }
    }

    fn qer(&self, at: usize) -> CreateQer {
        let rate = |kbps| BitRate { uplink_kbps: kbps, downlink_kbps: kbps };
        CreateQer {
            qer_id: qer_id(at),
            gate_status: GateStatus { uplink_closed: self.closed, downlink_closed: self.closed },
            qfi: Some(Qfi(self.qfi)),
            mbr: self.mbr_kbps.map(rate),
            gbr: self.gbr_kbps.map(rate),
            ..Default::default()
        }
    }

    fn pdr(&self, at: usize, ue: Ipv4Addr, uplink: bool) -> CreatePdr {
        let protocol = self.protocol.map_or("ip".to_owned(), |protocol| protocol.to_string());
        let filter = |port| SdfFilter::flow(&format!("permit out {protocol} from any {port} to assigned"));
        let direction = if uplink {
            Pdi {
                source_interface: Interface::Access,
                f_teid: Some(FTeid::Choose { ipv4: true, ipv6: false, choose_id: Some(1) }),
                ue_ip_addresses: vec![UeIpAddress::source_v4(ue)],
                ..Default::default()
            }
        } else {
            Pdi {
                source_interface: Interface::Core,
                ue_ip_addresses: vec![UeIpAddress::destination_v4(ue)],
                ..Default::default()
            }
        };
        let number = u16::try_from(at * 2 + usize::from(!uplink) + 1).unwrap_or(u16::MAX);
        let removal = OuterHeaderRemoval::new(OuterHeaderRemoval::GTPU_UDP_IPV4);
        CreatePdr {
            pdr_id: PdrId(number),
            precedence: Precedence(100 + u32::from(number)),
            pdi: Pdi { sdf_filters: self.port.map(filter).into_iter().collect(), ..direction },
            outer_header_removal: uplink.then_some(removal),
            far_id: Some(if uplink { FAR_UPLINK } else { FAR_DOWNLINK }),
            urr_ids: self.urr.iter().map(|urr| urr.urr_id).collect(),
            qer_ids: std::iter::once(qer_id(at)).chain(self.in_ambr.then_some(QER_AMBR)).collect(),
            ..Default::default()
        }
    }
}

/// The QER of the flow at this place.
pub fn qer_id(at: usize) -> QerId {
    QerId(QER_FLOWS + u32::try_from(at).unwrap_or(u32::MAX))
}

impl SessionRules {
    /// The request that establishes the session.
    pub fn establishment(
        &self,
        seid: u64,
        smf: Ipv4Addr,
        ue: Ipv4Addr,
        gnb_teid: u32,
    ) -> SessionEstablishmentRequest {
        let flows = self.flows.iter().enumerate();
        let pdrs = flows.clone().flat_map(|(at, flow)| [flow.pdr(at, ue, true), flow.pdr(at, ue, false)]);
        let ambr = self.ambr_kbps.map(|kbps| CreateQer {
            qer_id: QER_AMBR,
            mbr: Some(BitRate { uplink_kbps: kbps, downlink_kbps: kbps }),
            ..Default::default()
        });
        SessionEstablishmentRequest {
            node_id: NodeId::Address(smf.into()),
            cp_f_seid: FSeid::new(seid, smf.into()),
            create_pdr: pdrs.collect(),
            create_far: fars(gnb_teid),
            create_qer: ambr.into_iter().chain(flows.map(|(at, flow)| flow.qer(at))).collect(),
            create_urr: self.flows.iter().filter_map(|flow| flow.urr.clone()).collect(),
            pdn_type: Some(PdnType::Ipv4),
            apn_dnn: Some(Name::from("internet")),
            ..Default::default()
        }
    }
}

fn fars(gnb_teid: u32) -> Vec<CreateFar> {
    let far = |far_id, to| CreateFar {
        far_id,
        apply_action: ApplyAction::FORW,
        forwarding_parameters: Some(to),
        ..Default::default()
    };
    let to_n6 = ForwardingParameters { destination_interface: Interface::Core, ..Default::default() };
    let to_gnb = ForwardingParameters {
        destination_interface: Interface::Access,
        outer_header_creation: Some(OuterHeaderCreation::gtpu_v4(gnb_teid, N3_GNB)),
        ..Default::default()
    };
    vec![far(FAR_UPLINK, to_n6), far(FAR_DOWNLINK, to_gnb)]
}

/// Counts octets, and packets too.
pub fn volume_urr(id: u32) -> CreateUrr {
    CreateUrr {
        urr_id: UrrId(id),
        measurement_method: MeasurementMethod::VOLUM,
        measurement_information: Some(MeasurementInformation::MNOP),
        ..Default::default()
    }
}

/// The same up to a quota of octets in all.
pub fn quota_urr(id: u32, total: u64) -> CreateUrr {
    CreateUrr {
        reporting_triggers: ReportingTriggers::VOLQU,
        volume_quota: Some(quota(total)),
        ..volume_urr(id)
    }
}

/// Octets in all.
pub fn quota(total: u64) -> Volume {
    Volume { total: Some(total), ..Default::default() }
}

/// What the downlink FAR is to do.
pub fn downlink_action(action: ApplyAction) -> SessionModificationRequest {
    let update = UpdateFar { far_id: FAR_DOWNLINK, apply_action: Some(action), ..Default::default() };
    SessionModificationRequest { update_far: vec![update], ..Default::default() }
}
