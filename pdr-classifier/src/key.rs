//! What a packet shows to the rules.

use std::net::IpAddr;
use std::num::NonZeroU32;

/// The number of lanes of a [`Key`].
pub const LANES: usize = 32;

/// The value of a lane whose field the packet does not have. No field is this wide but those that
/// another lane says are there: the addresses, the TEID and the SPI.
pub const ABSENT: u32 = u32::MAX;

/// Whose frame the packet is.
pub(crate) const FRAME_ETHERNET: u32 = 1;

/// One 32-bit value of a packet.
///
/// An IPv4 address is in the first lane of its four. What is a name in PFCP (network instance,
/// application, local address of a tunnel, MBS session) is a number here, which the user gives it; 0
/// stands for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Lane {
    SourceInterface,
    SourceInterfaceType,
    TunnelAddress,
    Teid,
    NetworkInstance,
    TrafficEndpoint,
    Application,
    Qfi,
    MbsSession,
    /// 1 for Ethernet, 0 for a packet without a frame.
    Frame,
    /// 4, 6, or 0 if the packet is not IP.
    IpVersion,
    Source0,
    Source1,
    Source2,
    Source3,
    Destination0,
    Destination1,
    Destination2,
    Destination3,
    Protocol,
    /// IPv4 type of service or IPv6 traffic class.
    Tos,
    SourcePort,
    DestinationPort,
    Spi,
    FlowLabel,
    /// The first two octets.
    SourceMacHigh,
    /// The last four octets.
    SourceMacLow,
    DestinationMacHigh,
    DestinationMacLow,
    Ethertype,
    /// Priority, drop eligibility and VLAN identifier, as in the tag's last two octets.
    CTag,
    STag,
}

impl Lane {
    /// The bits that the widest value of the lane has.
    pub(crate) const fn width(lane: usize) -> u32 {
        const NARROW: [(Lane, u32); 14] = [
            (Lane::SourceInterface, 4),
            (Lane::SourceInterfaceType, 6),
            (Lane::TrafficEndpoint, 8),
            (Lane::Qfi, 6),
            (Lane::Frame, 1),
            (Lane::IpVersion, 3),
            (Lane::Protocol, 8),
            (Lane::Tos, 8),
            (Lane::SourcePort, 16),
            (Lane::DestinationPort, 16),
            (Lane::FlowLabel, 20),
            (Lane::Ethertype, 16),
            (Lane::CTag, 16),
            (Lane::STag, 16),
        ];
        let mut at = 0;
        while at < NARROW.len() {
            if NARROW[at].0 as usize == lane {
                return NARROW[at].1;
            }
            at += 1;
        }
        32
    }
}

/// Where an address's four lanes begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The packet's source address.
    Source,
    /// The packet's destination address.
    Destination,
}

impl Side {
    pub(crate) const fn first_lane(self) -> usize {
        match self {
            Self::Source => Lane::Source0 as usize,
            Self::Destination => Lane::Destination0 as usize,
        }
    }
}

/// A packet's values, two cache lines.
///
/// ```
/// use pdr_classifier::{Key, Lane, Side};
/// let key = Key::new()
///     .with_address(Side::Source, "10.45.0.2".parse()?)
///     .with_address(Side::Destination, "203.0.113.7".parse()?)
///     .with(Lane::Protocol, 17)
///     .with(Lane::DestinationPort, 53);
/// assert_eq!(key.get(Lane::IpVersion), 4);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(align(64))]
pub struct Key {
    pub(crate) lanes: [u32; LANES],
}

impl Key {
    /// A packet of the access side of which nothing is known.
    #[inline]
    pub const fn new() -> Self {
        const OPTIONAL: [Lane; 11] = [
            Lane::SourceInterfaceType,
            Lane::TrafficEndpoint,
            Lane::Qfi,
            Lane::Protocol,
            Lane::Tos,
            Lane::SourcePort,
            Lane::DestinationPort,
            Lane::FlowLabel,
            Lane::Ethertype,
            Lane::CTag,
            Lane::STag,
        ];
        let mut lanes = [0; LANES];
        let mut at = 0;
        while at < OPTIONAL.len() {
            lanes[OPTIONAL[at] as usize] = ABSENT;
            at += 1;
        }
        Self { lanes }
    }

    /// The lane's value.
    #[inline]
    pub const fn get(&self, lane: Lane) -> u32 {
        self.lanes[lane as usize]
    }

    /// Sets a lane.
    #[inline]
    pub const fn set(&mut self, lane: Lane, value: u32) {
        self.lanes[lane as usize] = value;
    }

    /// The key with this lane set.
    #[inline]
    #[must_use]
    pub const fn with(mut self, lane: Lane, value: u32) -> Self {
        self.set(lane, value);
        self
    }

    /// The key with an address, and the IP version that it is of.
    #[inline]
    #[must_use]
    pub fn with_address(mut self, side: Side, address: IpAddr) -> Self {
        self.set_address(side, address);
        self
    }

    /// Sets an address, and the IP version that it is of.
    #[inline]
    pub fn set_address(&mut self, side: Side, address: IpAddr) {
        let first = side.first_lane();
        self.lanes[first..first + 4].copy_from_slice(&address_lanes(address));
        self.set(Lane::IpVersion, if address.is_ipv4() { 4 } else { 6 });
    }

    /// The key of a packet that came through this tunnel.
    #[inline]
    #[must_use]
    pub const fn with_tunnel(self, address: NonZeroU32, teid: u32) -> Self {
        self.with(Lane::TunnelAddress, address.get()).with(Lane::Teid, teid)
    }

    /// The key of a packet in an Ethernet frame.
    #[must_use]
    pub fn with_macs(self, source: [u8; 6], destination: [u8; 6]) -> Self {
        let ([source_high, source_low], [high, low]) = (mac_lanes(source), mac_lanes(destination));
        self.with(Lane::Frame, FRAME_ETHERNET)
            .with(Lane::SourceMacHigh, source_high)
            .with(Lane::SourceMacLow, source_low)
            .with(Lane::DestinationMacHigh, high)
            .with(Lane::DestinationMacLow, low)
    }
}

impl Default for Key {
    fn default() -> Self {
        Self::new()
    }
}

/// The lanes of an address.
#[inline]
pub(crate) fn address_lanes(address: IpAddr) -> [u32; 4] {
    match address {
        IpAddr::V4(address) => [address.to_bits(), 0, 0, 0],
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            [(bits >> 96) as u32, (bits >> 64) as u32, (bits >> 32) as u32, bits as u32]
        }
    }
}

fn mac_lanes(mac: [u8; 6]) -> [u32; 2] {
    let [a, b, c, d, e, f] = mac;
    [u32::from(u16::from_be_bytes([a, b])), u32::from_be_bytes([c, d, e, f])]
}
