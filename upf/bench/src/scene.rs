//! Sessions and their rules.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use tern_pfcp::*;
use tern_types::{Instant, Random};
use tern_upf::{ClassifierKind, Config, UserPlane};

use crate::smf::Smf;

/// What all UEs talk to.
pub const SERVER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 9);
/// The server's port in the rule that all packets match which match no other.
pub const DEFAULT_PORT: u16 = 9;
/// In the other rules: this and the rule's number.
pub const FIRST_PORT: u16 = 1_000;
/// The first UE's address is the next one.
const UE_BASE: u32 = u32::from_be_bytes([10, 0, 0, 0]);
/// Addresses of UEs.
pub const SESSIONS_MAX: usize = (1 << 24) - 2;
/// The gNB.
pub const GNB: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
/// Far more than the bench sends, so that the meters are asked and never refuse.
const RATE_KBPS: u64 = 1_000_000_000;
/// Rules of one request: a datagram holds no more.
const RULES_A_REQUEST: usize = 200;
const STARTED: Instant = Instant::from_micros(1_700_000_000_000_000);

/// What the sessions of a scene are like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// How many.
    pub sessions: usize,
    /// Rules of one session, half of them for each direction; an even number.
    pub pdrs: usize,
    /// Whether each rule has a QER with a maximum bit rate.
    pub qer: bool,
    /// Whether each rule has a URR that measures volume.
    pub urr: bool,
    /// What finds the rule.
    pub classifier: ClassifierKind,
}

impl Shape {
    /// With QER and URR.
    pub fn new(sessions: usize, pdrs: usize) -> Self {
        Self { sessions, pdrs, qer: true, urr: true, classifier: ClassifierKind::Hybrid }
    }

    /// The user plane's configuration for it.
    pub fn config(&self) -> Config {
        Config {
            workers: 1,
            sessions_max: self.sessions.max(1),
            classifier: self.classifier,
            ..Config::default()
        }
    }

    /// The request that establishes the session of this number, with as many rules as a request holds.
    pub fn establishment(&self, number: usize) -> SessionEstablishmentRequest {
        let ue = ue_address(number);
        let rules = 0..self.pdrs.min(RULES_A_REQUEST);
        SessionEstablishmentRequest {
            node_id: NodeId::Address(Ipv4Addr::LOCALHOST.into()),
            cp_f_seid: Smf::f_seid(number as u64 + 1),
            create_pdr: rules.map(|rule| self.pdr(ue, rule)).collect(),
            create_far: vec![
                far(1, Interface::Core, None),
                far(2, Interface::Access, Some(OuterHeaderCreation::gtpu_v4(gnb_teid(number), GNB))),
            ],
            create_qer: self.qer.then(qer).into_iter().collect(),
            create_urr: self.urr.then(urr).into_iter().collect(),
            pdn_type: Some(PdnType::Ipv4),
            ..Default::default()
        }
    }

    /// The requests that add the rules which do not fit in the first one.
    fn additions(&self, number: usize) -> impl Iterator<Item = SessionModificationRequest> {
        let ue = ue_address(number);
        (RULES_A_REQUEST..self.pdrs).step_by(RULES_A_REQUEST).map(move |first| SessionModificationRequest {
            create_pdr: (first..self.pdrs.min(first + RULES_A_REQUEST)).map(|at| self.pdr(ue, at)).collect(),
            ..Default::default()
        })
    }

    /// Even rules are for uplink packets, odd ones for downlink packets. The first of each takes all that no
    /// other takes.
    fn pdr(&self, ue: Ipv4Addr, rule: usize) -> CreatePdr {
        let uplink = rule.is_multiple_of(2);
        let flow = rule / 2;
        let filter = format!("permit out 17 from {SERVER} {} to assigned", usize::from(FIRST_PORT) + flow);
        CreatePdr {
            pdr_id: PdrId(rule as u16 + 1),
            precedence: Precedence(if flow == 0 { u32::MAX } else { flow as u32 }),
            pdi: Pdi {
                source_interface: if uplink { Interface::Access } else { Interface::Core },
                f_teid: uplink.then_some(FTeid::Choose { ipv4: true, ipv6: false, choose_id: Some(1) }),
                ue_ip_addresses: vec![match uplink {
                    true => UeIpAddress::source_v4(ue),
                    false => UeIpAddress::destination_v4(ue),
                }],
                sdf_filters: (flow > 0).then(|| SdfFilter::flow(&filter)).into_iter().collect(),
                ..Default::default()
            },
            outer_header_removal: uplink.then(|| OuterHeaderRemoval::new(OuterHeaderRemoval::GTPU_UDP_IPV4)),
            far_id: Some(FarId(if uplink { 1 } else { 2 })),
            qer_ids: self.qer.then_some(QerId(1)).into_iter().collect(),
            urr_ids: self.urr.then_some(UrrId(1)).into_iter().collect(),
            ..Default::default()
        }
    }
}

fn far(id: u32, to: Interface, header: Option<OuterHeaderCreation>) -> CreateFar {
    CreateFar {
        far_id: FarId(id),
        apply_action: ApplyAction::FORW,
        forwarding_parameters: Some(ForwardingParameters {
            destination_interface: to,
            outer_header_creation: header,
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn qer() -> CreateQer {
    CreateQer {
        qer_id: QerId(1),
        qfi: Some(Qfi(9)),
        mbr: Some(BitRate { uplink_kbps: RATE_KBPS, downlink_kbps: RATE_KBPS }),
        ..Default::default()
    }
}

fn urr() -> CreateUrr {
    CreateUrr { urr_id: UrrId(1), measurement_method: MeasurementMethod::VOLUM, ..Default::default() }
}

/// The address of this session's UE.
pub fn ue_address(number: usize) -> Ipv4Addr {
    Ipv4Addr::from(UE_BASE + number as u32 + 1)
}

fn gnb_teid(number: usize) -> u32 {
    number as u32 + 1
}

/// A session as its packets name it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct End {
    /// Of uplink packets.
    pub teid: u32,
    /// The UE.
    pub ue: Ipv4Addr,
    /// The user plane's end of its PFCP session.
    pub seid: u64,
}

/// An associated SMF and a user plane.
pub struct Scene {
    /// The user plane; workers that are to know the sessions are made before these.
    pub plane: UserPlane,
    /// The SMF.
    pub smf: Smf,
    /// By number.
    pub ends: Vec<End>,
}

impl Scene {
    /// Without sessions.
    pub fn new(shape: &Shape) -> Result<Self> {
        Self::with(&shape.config())
    }

    /// Without sessions, with this configuration.
    pub fn with(config: &Config) -> Result<Self> {
        let mut plane = UserPlane::new(config, STARTED, Random::from_seed([5; 32]));
        let smf = Smf::associate(&mut plane, STARTED + UserPlane::STARTS_IN)?;
        Ok(Self { plane, smf, ends: Vec::new() })
    }

    /// Establishes all sessions of this shape.
    pub fn establish(&mut self, shape: &Shape) -> Result<()> {
        self.establish_some(shape, 0..shape.sessions)
    }

    /// Establishes some of them.
    pub fn establish_some(&mut self, shape: &Shape, numbers: std::ops::Range<usize>) -> Result<()> {
        for number in numbers {
            let answer = self.smf.ask_about(&mut self.plane, 0, shape.establishment(number))?;
            let Message::SessionEstablishmentResponse(answer) = answer else { bail!("{answer:?}") };
            let seid = answer.up_f_seid.with_context(|| format!("refused with {}", answer.cause))?.seid;
            let f_teid = answer.created_pdr.first().and_then(|created| created.f_teid);
            let Some(FTeid::Assigned { teid, .. }) = f_teid else { bail!("no F-TEID") };
            self.ends.push(End { teid, ue: ue_address(number), seid });
            for addition in shape.additions(number) {
                let answer = self.smf.ask_about(&mut self.plane, seid, addition)?;
                let Message::SessionModificationResponse(answer) = answer else { bail!("{answer:?}") };
                anyhow::ensure!(answer.cause == Cause::REQUEST_ACCEPTED, "refused with {}", answer.cause);
            }
        }
        Ok(())
    }
}
