//! Packet detection rules: TS 29.244 Table 7.5.2.2-1 and, for the PDI, Table 7.5.2.2-2.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;

use crate::error::ExpandError;
use crate::ethernet::EthernetFilter;
use crate::key::Side;
use crate::multicast::MulticastFlows;
use crate::sdf::{Prefix, Sdf};

/// A rule's name. PDR ID has 16 bits on the wire (TS 29.244 §8.2.36); a compiled set that many
/// sessions share may have more rules than that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PdrId(pub u32);

/// Which of two matching rules holds: the lower, by precedence (TS 29.244 §8.2.11), then by ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rank {
    /// The lower value comes first.
    pub precedence: u32,
    /// Decides between equal precedences.
    pub id: PdrId,
}

/// TS 29.244 §8.2.2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum SourceInterface {
    #[default]
    Access = 0,
    Core = 1,
    SgiLanN6Lan = 2,
    CpFunction = 3,
    FiveGVnInternal = 4,
}

/// A tunnel's local end: TS 29.244 §8.2.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FTeid {
    /// The number that the user gave the local address.
    pub address: NonZeroU32,
    /// The tunnel endpoint identifier.
    pub teid: u32,
}

/// A Local Ingress Tunnel: where an MBS session's packets come in by UDP.
///
/// The port is in the lane of the TEID, which such a packet does not have. An address that takes GTP-U
/// packets too has two numbers, one for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IngressTunnel {
    /// The number that the user gave the local address.
    pub address: NonZeroU32,
    /// The UDP port.
    pub port: u16,
}

/// Redundant Transmission Detection Parameters: where the second copy of each packet comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedundantTransmission {
    /// Local F-TEID for redundant transmission.
    pub f_teid: FTeid,
    /// Network instance for redundant transmission; the PDI's own, if there is none.
    pub network_instance: Option<NonZeroU32>,
}

/// The UE's addresses and the side of the packet that they are on: TS 29.244 §8.2.62.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UeIp {
    /// From the S/D flag.
    pub side: Side,
    /// An IPv4 address.
    pub v4: Option<Ipv4Addr>,
    /// An IPv6 prefix, as long as the UE's.
    pub v6: Option<Prefix>,
}

/// A set of QoS flow identifiers (TS 29.244 §8.2.89); an empty one asks nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QfiSet(pub(crate) u64);

impl QfiSet {
    /// The set of these. A QFI has 6 bits.
    pub fn new(qfis: &[u8]) -> Result<Self, ExpandError> {
        qfis.iter().try_fold(Self::default(), |set, &qfi| match qfi {
            0..64 => Ok(Self(set.0 | 1 << qfi)),
            _ => Err(ExpandError::Qfi(qfi)),
        })
    }

    /// Whether the QFI is in it.
    pub const fn contains(self, qfi: u8) -> bool {
        qfi < 64 && self.0 >> qfi & 1 == 1
    }
}

/// Packet detection information. What is `None` or empty asks nothing; of a list, one is enough; a
/// packet must satisfy each of the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pdi {
    /// Where the packet comes from.
    pub source_interface: SourceInterface,
    /// 3GPP Interface Type (TS 29.244 §8.2.118), as its number.
    pub source_interface_type: Option<u8>,
    /// Local F-TEIDs. These, ingress tunnels and redundant transmission are one list: a packet comes in
    /// by one of them.
    pub f_teids: Vec<FTeid>,
    /// Local ingress tunnels.
    pub ingress_tunnels: Vec<IngressTunnel>,
    /// Where copies of the packets come in.
    pub redundant_transmission: Option<RedundantTransmission>,
    /// Network instance, as the number that the user gave it.
    pub network_instance: Option<NonZeroU32>,
    /// The UE's addresses; framed routes are others of the UE.
    pub ue_ip: Option<UeIp>,
    /// Traffic Endpoint IDs (TS 29.244 §8.2.92).
    pub traffic_endpoints: Vec<u8>,
    /// IP flows.
    pub sdf_filters: Vec<Sdf>,
    /// The application detected (TS 29.244 §8.2.6), as the number that the user gave it.
    pub application: Option<NonZeroU32>,
    /// Ethernet PDU Session Information (TS 29.244 §8.2.102): the rule is for frames.
    pub ethernet_pdu_session: bool,
    /// Ethernet frames.
    pub ethernet_filters: Vec<EthernetFilter>,
    /// QoS flows.
    pub qfis: QfiSet,
    /// Networks behind the UE, on the side of its address: IPv4 and IPv6.
    pub framed_routes: Vec<Prefix>,
    /// IP multicast flows.
    pub multicast: Vec<MulticastFlows>,
    /// MBS Session Identifier and Area Session ID, as the number that the user gave the pair.
    pub mbs_session: Option<NonZeroU32>,
}

impl Pdi {
    /// The side of the packet where the UE is: as the UE IP address says; without it, uplink packets
    /// come from the UE and all others go to it.
    pub fn ue_side(&self) -> Side {
        match (self.ue_ip, self.source_interface) {
            (Some(ue_ip), _) => ue_ip.side,
            (None, SourceInterface::Access) => Side::Source,
            (None, _) => Side::Destination,
        }
    }

    /// The UE's own addresses.
    pub fn assigned(&self) -> Vec<Prefix> {
        let Some(ue_ip) = self.ue_ip else { return Vec::new() };
        ue_ip.v4.map(|v4| Prefix::host(IpAddr::V4(v4))).into_iter().chain(ue_ip.v6).collect()
    }
}

/// A packet detection rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pdr {
    /// Its name in the session.
    pub id: PdrId,
    /// The lower value comes first (TS 29.244 §8.2.11).
    pub precedence: u32,
    /// What it detects.
    pub pdi: Pdi,
}
