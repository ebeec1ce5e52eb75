//! Where: F-SEID, F-TEID, UE IP address, outer headers, interfaces.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::error::{DecodeError, Fault};
use crate::ie::identity::{read_v4, read_v6};
use crate::wire::{Cursor, Value};

/// F-SEID (TS 29.244 §8.2.37): a session endpoint and where its node is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FSeid {
    /// Session endpoint identifier.
    pub seid: u64,
    /// IPv4 address.
    pub ipv4: Option<Ipv4Addr>,
    /// IPv6 address.
    pub ipv6: Option<Ipv6Addr>,
}

impl FSeid {
    /// With the address of one family.
    pub fn new(seid: u64, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self { seid, ipv4: Some(address), ipv6: None },
            IpAddr::V6(address) => Self { seid, ipv4: None, ipv6: Some(address) },
        }
    }
}

impl Value for FSeid {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        let flags = cursor.u8()?;
        let seid = cursor.u64()?;
        let ipv4 = (flags & 2 != 0).then(|| read_v4(cursor)).transpose()?;
        let ipv6 = (flags & 1 != 0).then(|| read_v6(cursor)).transpose()?;
        if ipv4.is_none() && ipv6.is_none() {
            return Err(cursor.error(Fault::Value));
        }
        Ok(Self { seid, ipv4, ipv6 })
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.ipv6.is_some()) | u8::from(self.ipv4.is_some()) << 1);
        out.extend_from_slice(&self.seid.to_be_bytes());
        put_addresses(self.ipv4, self.ipv6, out);
    }
}

/// F-TEID (TS 29.244 §8.2.3): a GTP-U tunnel endpoint, or the wish that the UPF choose one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FTeid {
    /// An allocated endpoint.
    Assigned {
        /// Tunnel endpoint identifier.
        teid: u32,
        /// IPv4 address.
        ipv4: Option<Ipv4Addr>,
        /// IPv6 address.
        ipv6: Option<Ipv6Addr>,
    },
    /// CH: the UP function chooses TEID and addresses (TS 29.244 §5.5.3).
    Choose {
        /// An IPv4 address is asked for.
        ipv4: bool,
        /// An IPv6 address is asked for.
        ipv6: bool,
        /// CHOOSE ID: the PDRs of one request with the same value share one F-TEID.
        choose_id: Option<u8>,
    },
}

impl FTeid {
    /// An allocated endpoint with one address.
    pub fn assigned(teid: u32, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::assigned_v4(teid, address),
            IpAddr::V6(address) => Self::Assigned { teid, ipv4: None, ipv6: Some(address) },
        }
    }

    /// An allocated IPv4 endpoint.
    pub fn assigned_v4(teid: u32, address: Ipv4Addr) -> Self {
        Self::Assigned { teid, ipv4: Some(address), ipv6: None }
    }
}

impl Default for FTeid {
    /// The UP function chooses, IPv4.
    fn default() -> Self {
        Self::Choose { ipv4: true, ipv6: false, choose_id: None }
    }
}

impl Value for FTeid {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        let flags = cursor.u8()?;
        let (v4, v6) = (flags & 1 != 0, flags & 2 != 0);
        if !v4 && !v6 {
            return Err(cursor.error(Fault::Value));
        }
        if flags & 4 != 0 {
            let choose_id = (flags & 8 != 0).then(|| cursor.u8()).transpose()?;
            return Ok(Self::Choose { ipv4: v4, ipv6: v6, choose_id });
        }
        let teid = cursor.u32()?;
        let ipv4 = v4.then(|| read_v4(cursor)).transpose()?;
        let ipv6 = v6.then(|| read_v6(cursor)).transpose()?;
        Ok(Self::Assigned { teid, ipv4, ipv6 })
    }

    fn write(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Assigned { teid, ipv4, ipv6 } => {
                out.push(u8::from(ipv4.is_some()) | u8::from(ipv6.is_some()) << 1);
                out.extend_from_slice(&teid.to_be_bytes());
                put_addresses(ipv4, ipv6, out);
            }
            Self::Choose { ipv4, ipv6, choose_id } => {
                let chid = u8::from(choose_id.is_some());
                out.push(u8::from(ipv4) | u8::from(ipv6) << 1 | 4 | chid << 3);
                out.extend(choose_id);
            }
        }
    }
}

/// UE IP Address (TS 29.244 §8.2.62).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UeIpAddress {
    /// IPv4 address.
    pub ipv4: Option<Ipv4Addr>,
    /// IPv6 address.
    pub ipv6: Option<Ipv6Addr>,
    /// S/D: the address is the destination of the packets, else their source.
    pub destination: bool,
    /// IPv6 prefix delegation bits.
    pub ipv6_delegation_bits: Option<u8>,
    /// Length of the IPv6 prefix, if it is not 64.
    pub ipv6_prefix_length: Option<u8>,
    /// CHV4: the UP function chooses an IPv4 address.
    pub choose_ipv4: bool,
    /// CHV6: the UP function chooses an IPv6 address.
    pub choose_ipv6: bool,
}

impl UeIpAddress {
    /// Packets to this UE.
    pub fn destination_v4(address: Ipv4Addr) -> Self {
        Self { ipv4: Some(address), destination: true, ..Self::default() }
    }

    /// Packets from this UE.
    pub fn source_v4(address: Ipv4Addr) -> Self {
        Self { ipv4: Some(address), ..Self::default() }
    }
}

impl Value for UeIpAddress {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        let flags = cursor.u8()?;
        let (choose_ipv4, choose_ipv6) = (flags & 0x10 != 0, flags & 0x20 != 0);
        Ok(Self {
            destination: flags & 4 != 0,
            choose_ipv4,
            choose_ipv6,
            ipv4: (flags & 2 != 0 && !choose_ipv4).then(|| read_v4(cursor)).transpose()?,
            ipv6: (flags & 1 != 0 && !choose_ipv6).then(|| read_v6(cursor)).transpose()?,
            ipv6_delegation_bits: (flags & 8 != 0).then(|| cursor.u8()).transpose()?,
            ipv6_prefix_length: (flags & 0x40 != 0).then(|| cursor.u8()).transpose()?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(
            u8::from(self.ipv6.is_some())
                | u8::from(self.ipv4.is_some()) << 1
                | u8::from(self.destination) << 2
                | u8::from(self.ipv6_delegation_bits.is_some()) << 3
                | u8::from(self.choose_ipv4) << 4
                | u8::from(self.choose_ipv6) << 5
                | u8::from(self.ipv6_prefix_length.is_some()) << 6,
        );
        put_addresses(self.ipv4, self.ipv6, out);
        out.extend(self.ipv6_delegation_bits);
        out.extend(self.ipv6_prefix_length);
    }
}

/// Framed-Route or Framed-IPv6-Route: the text of RFC 2865 §5.22 and RFC 3162 §2.5, a prefix, a gateway and
/// metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FramedRoute(pub String);

impl Value for FramedRoute {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        let text = std::str::from_utf8(cursor.rest()).map(str::to_owned);
        text.map(Self).map_err(|_| cursor.error(Fault::Value))
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.as_bytes());
    }
}

/// Framed-Routing: the number of RFC 2865 §5.10.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FramedRouting(pub u32);

impl Value for FramedRouting {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        cursor.u32().map(Self)
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_be_bytes());
    }
}

/// Outer Header Creation (TS 29.244 §8.2.56).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OuterHeaderCreation {
    /// What is created: bit *n* of octet 5 is `1 << (n + 7)`, of octet 6 `1 << (n - 1)`.
    pub description: u16,
    /// TEID, for GTP-U.
    pub teid: Option<u32>,
    /// IPv4 address.
    pub ipv4: Option<Ipv4Addr>,
    /// IPv6 address.
    pub ipv6: Option<Ipv6Addr>,
    /// UDP port, for UDP without GTP-U.
    pub port: Option<u16>,
    /// C-TAG.
    pub c_tag: Option<[u8; 3]>,
    /// S-TAG.
    pub s_tag: Option<[u8; 3]>,
}

impl OuterHeaderCreation {
    /// GTP-U/UDP/IPv4.
    pub const GTPU_UDP_IPV4: u16 = 0x0100;
    /// GTP-U/UDP/IPv6.
    pub const GTPU_UDP_IPV6: u16 = 0x0200;
    /// UDP/IPv4.
    pub const UDP_IPV4: u16 = 0x0400;
    /// UDP/IPv6.
    pub const UDP_IPV6: u16 = 0x0800;
    /// IPv4.
    pub const IPV4: u16 = 0x1000;
    /// IPv6.
    pub const IPV6: u16 = 0x2000;
    /// C-TAG.
    pub const C_TAG: u16 = 0x4000;
    /// S-TAG.
    pub const S_TAG: u16 = 0x8000;

    const WITH_TEID: u16 = Self::GTPU_UDP_IPV4 | Self::GTPU_UDP_IPV6;
    const WITH_V4: u16 = Self::GTPU_UDP_IPV4 | Self::UDP_IPV4 | Self::IPV4;
    const WITH_V6: u16 = Self::GTPU_UDP_IPV6 | Self::UDP_IPV6 | Self::IPV6;
    const WITH_PORT: u16 = Self::UDP_IPV4 | Self::UDP_IPV6;

    /// A GTP-U tunnel to an end with one address or one of each version; of two the UP function takes either.
    pub fn gtpu(teid: u32, ipv4: Option<Ipv4Addr>, ipv6: Option<Ipv6Addr>) -> Self {
        let mut description = 0;
        if ipv4.is_some() {
            description |= Self::GTPU_UDP_IPV4;
        }
        if ipv6.is_some() {
            description |= Self::GTPU_UDP_IPV6;
        }
        Self { description, teid: Some(teid), ipv4, ipv6, ..Self::default() }
    }

    /// A GTP-U tunnel over IPv4.
    pub fn gtpu_v4(teid: u32, address: Ipv4Addr) -> Self {
        Self::gtpu(teid, Some(address), None)
    }
}

impl Value for OuterHeaderCreation {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        let description = cursor.u16()?;
        let has = |mask: u16| description & mask != 0;
        Ok(Self {
            description,
            teid: has(Self::WITH_TEID).then(|| cursor.u32()).transpose()?,
            ipv4: has(Self::WITH_V4).then(|| read_v4(cursor)).transpose()?,
            ipv6: has(Self::WITH_V6).then(|| read_v6(cursor)).transpose()?,
            port: has(Self::WITH_PORT).then(|| cursor.u16()).transpose()?,
            c_tag: has(Self::C_TAG).then(|| cursor.array()).transpose()?,
            s_tag: has(Self::S_TAG).then(|| cursor.array()).transpose()?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.description.to_be_bytes());
        if let Some(teid) = self.teid {
            out.extend_from_slice(&teid.to_be_bytes());
        }
        put_addresses(self.ipv4, self.ipv6, out);
        if let Some(port) = self.port {
            out.extend_from_slice(&port.to_be_bytes());
        }
        for tag in [self.c_tag, self.s_tag].into_iter().flatten() {
            out.extend_from_slice(&tag);
        }
    }
}

/// Outer Header Removal (TS 29.244 §8.2.64).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OuterHeaderRemoval {
    /// One of the constants below.
    pub description: u8,
    /// GTP-U extension headers to delete; bit 1 is the PDU Session Container.
    pub extension_header_deletion: Option<u8>,
}

impl OuterHeaderRemoval {
    /// GTP-U/UDP/IPv4.
    pub const GTPU_UDP_IPV4: u8 = 0;
    /// GTP-U/UDP/IPv6.
    pub const GTPU_UDP_IPV6: u8 = 1;
    /// UDP/IPv4.
    pub const UDP_IPV4: u8 = 2;
    /// UDP/IPv6.
    pub const UDP_IPV6: u8 = 3;
    /// IPv4.
    pub const IPV4: u8 = 4;
    /// IPv6.
    pub const IPV6: u8 = 5;
    /// GTP-U/UDP/IP, whichever family.
    pub const GTPU_UDP_IP: u8 = 6;

    /// Without extension header deletion.
    pub fn new(description: u8) -> Self {
        Self { description, extension_header_deletion: None }
    }
}

impl Value for OuterHeaderRemoval {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        let description = cursor.u8()?;
        let extension_header_deletion = (!cursor.is_empty()).then(|| cursor.u8()).transpose()?;
        Ok(Self { description, extension_header_deletion })
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(self.description);
        out.extend(self.extension_header_deletion);
    }
}

/// Source Interface (TS 29.244 §8.2.2) or Destination Interface (§8.2.24).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Interface {
    /// The access side: N3.
    #[default]
    Access,
    /// The core side: N9, and N6 where it is not told apart.
    Core,
    /// N6.
    N6Lan,
    /// The control plane function.
    CpFunction,
    /// Value 4: the LI function as a destination, 5G VN internal as a source.
    Four,
    /// Value 5: 5G VN internal as a destination.
    Five,
}

impl Value for Interface {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        Ok(match cursor.u8()? & 0x0F {
            0 => Self::Access,
            1 => Self::Core,
            2 => Self::N6Lan,
            3 => Self::CpFunction,
            4 => Self::Four,
            5 => Self::Five,
            _ => return Err(cursor.error(Fault::Value)),
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(match self {
            Self::Access => 0,
            Self::Core => 1,
            Self::N6Lan => 2,
            Self::CpFunction => 3,
            Self::Four => 4,
            Self::Five => 5,
        });
    }
}

/// Remote GTP-U Peer (TS 29.244 §8.2.70), without the optional interface and instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RemoteGtpuPeer {
    /// IPv4 address.
    pub ipv4: Option<Ipv4Addr>,
    /// IPv6 address.
    pub ipv6: Option<Ipv6Addr>,
}

impl Value for RemoteGtpuPeer {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        let flags = cursor.u8()?;
        Ok(Self {
            ipv4: (flags & 2 != 0).then(|| read_v4(cursor)).transpose()?,
            ipv6: (flags & 1 != 0).then(|| read_v6(cursor)).transpose()?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.ipv6.is_some()) | u8::from(self.ipv4.is_some()) << 1);
        put_addresses(self.ipv4, self.ipv6, out);
    }
}

/// An address alone: Source IP Address (TS 29.244 §8.2.138) in a heartbeat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceIpAddress {
    /// IPv4 address.
    pub ipv4: Option<Ipv4Addr>,
    /// IPv6 address.
    pub ipv6: Option<Ipv6Addr>,
    /// Mask or prefix length.
    pub prefix_length: Option<u8>,
}

impl Value for SourceIpAddress {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        let flags = cursor.u8()?;
        Ok(Self {
            ipv4: (flags & 2 != 0).then(|| read_v4(cursor)).transpose()?,
            ipv6: (flags & 1 != 0).then(|| read_v6(cursor)).transpose()?,
            prefix_length: (flags & 4 != 0).then(|| cursor.u8()).transpose()?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(
            u8::from(self.ipv6.is_some())
                | u8::from(self.ipv4.is_some()) << 1
                | u8::from(self.prefix_length.is_some()) << 2,
        );
        put_addresses(self.ipv4, self.ipv6, out);
        out.extend(self.prefix_length);
    }
}

fn put_addresses(ipv4: Option<Ipv4Addr>, ipv6: Option<Ipv6Addr>, out: &mut Vec<u8>) {
    if let Some(address) = ipv4 {
        out.extend_from_slice(&address.octets());
    }
    if let Some(address) = ipv6 {
        out.extend_from_slice(&address.octets());
    }
}
