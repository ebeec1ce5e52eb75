//! Service data flow filters: TS 29.244 §8.2.5.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use crate::error::ExpandError;
use crate::expand::{Alternatives, any_of};
use crate::key::{Lane, Side, address_lanes};
use crate::region::{Masked, Region};

/// The most bidirectional filters that [`Filters`] holds.
pub const FILTERS_MAX: usize = 65_536;

/// IP protocols with a Security Parameters Index: ESP and AH.
const PROTOCOLS_WITH_SPI: (u32, u32) = (50, 51);

/// The bits of a flow label.
const FLOW_LABEL_BITS: u32 = 0xF_FFFF;

/// Addresses with the same leading bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

impl Prefix {
    /// The prefix of this many bits; the address's other bits are ignored.
    pub fn new(address: IpAddr, length: u8) -> Result<Self, ExpandError> {
        let longest = if address.is_ipv4() { 32 } else { 128 };
        if length > longest {
            return Err(ExpandError::PrefixLength { length, longest });
        }
        Ok(Self { address, length })
    }

    /// One address alone.
    pub const fn host(address: IpAddr) -> Self {
        Self { address, length: if address.is_ipv4() { 32 } else { 128 } }
    }

    /// The address that it was made of.
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// How many leading bits are the same.
    pub const fn length(&self) -> u8 {
        self.length
    }

    /// Whether its addresses are of IPv4.
    pub const fn is_v4(&self) -> bool {
        self.address.is_ipv4()
    }

    /// Whether the address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(mine), IpAddr::V4(other)) => {
                let differing = mine.to_bits() ^ other.to_bits();
                differing.leading_zeros() >= u32::from(self.length)
            }
            (IpAddr::V6(mine), IpAddr::V6(other)) => {
                let differing = mine.to_bits() ^ other.to_bits();
                differing.leading_zeros() >= u32::from(self.length)
            }
            _ => false,
        }
    }

    /// The packets whose address on this side is in the prefix. At most one of the lanes is an
    /// interval: those before it are exact, those behind it free.
    pub(crate) fn region(&self, side: Side) -> Region {
        let version = if self.address.is_ipv4() { 4 } else { 6 };
        let mut region = Region::ALL.exactly(Lane::IpVersion, version);
        let mut bits = u32::from(self.length);
        for (place, value) in address_lanes(self.address).into_iter().enumerate() {
            let here = bits.min(32);
            bits -= here;
            let free = u32::MAX.checked_shr(here).unwrap_or(0);
            region = region.between(side.first_lane() + place, value & !free, value | free);
        }
        region
    }
}

impl From<IpAddr> for Prefix {
    fn from(address: IpAddr) -> Self {
        Self::host(address)
    }
}

/// An end of a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Address {
    /// Any address.
    #[default]
    Any,
    /// The UE's, as the PDI's UE IP address has it: `assigned` in a flow description.
    Assigned,
    /// The addresses of a prefix.
    Prefix(Prefix),
}

/// One IP flow, in the direction of the packets that it describes.
///
/// A flow description is written as the network's side sends; the filter of an uplink rule is its
/// [reverse](SdfFilter::reversed).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SdfFilter {
    /// The packet's source address.
    pub source: Address,
    /// The packet's destination address.
    pub destination: Address,
    /// Source ports; none for any, or for a packet without ports.
    pub source_ports: Vec<RangeInclusive<u16>>,
    /// Destination ports; none for any, or for a packet without ports.
    pub destination_ports: Vec<RangeInclusive<u16>>,
    /// The IP protocol.
    pub protocol: Option<u8>,
    /// Type of service or traffic class, with its mask.
    pub tos: Option<Masked>,
    /// The Security Parameters Index of an ESP or AH packet.
    pub spi: Option<u32>,
    /// The IPv6 flow label; bits beyond its 20 are ignored.
    pub flow_label: Option<u32>,
}

impl SdfFilter {
    /// The same flow's other direction.
    #[must_use]
    pub fn reversed(&self) -> Self {
        Self {
            source: self.destination,
            destination: self.source,
            source_ports: self.destination_ports.clone(),
            destination_ports: self.source_ports.clone(),
            ..self.clone()
        }
    }

    pub(crate) fn regions(&self, assigned: &[Prefix]) -> Result<Alternatives, ExpandError> {
        // A service data flow is of IP packets, whatever else the filter leaves open.
        let mut only = Region::ALL.between(Lane::IpVersion as usize, 4, 6);
        if let Some(protocol) = self.protocol {
            only = only.exactly(Lane::Protocol, u32::from(protocol));
        }
        if let Some(tos) = self.tos {
            only = only.masked(Lane::Tos, tos);
        }
        if let Some(label) = self.flow_label {
            only = only.exactly(Lane::FlowLabel, label & FLOW_LABEL_BITS);
        }
        let mut regions = Alternatives::from(only);
        if let Some(spi) = self.spi {
            let (low, high) = PROTOCOLS_WITH_SPI;
            let with_spi = Region::ALL.between(Lane::Protocol as usize, low, high).exactly(Lane::Spi, spi);
            regions.and(&[with_spi])?;
        }
        regions.and(&address_regions(self.source, Side::Source, assigned)?)?;
        regions.and(&address_regions(self.destination, Side::Destination, assigned)?)?;
        regions.and(&port_regions(&self.source_ports, Lane::SourcePort))?;
        regions.and(&port_regions(&self.destination_ports, Lane::DestinationPort))?;
        Ok(regions)
    }
}

fn address_regions(address: Address, side: Side, assigned: &[Prefix]) -> Result<Vec<Region>, ExpandError> {
    match address {
        Address::Any => Ok(vec![Region::ALL]),
        Address::Prefix(prefix) => Ok(vec![prefix.region(side)]),
        Address::Assigned if assigned.is_empty() => Err(ExpandError::NothingAssigned),
        Address::Assigned => Ok(assigned.iter().map(|prefix| prefix.region(side)).collect()),
    }
}

/// The fewest intervals for a list of ranges, which may overlap or touch. A range that ends before it
/// begins has no port.
fn port_regions(ranges: &[RangeInclusive<u16>], lane: Lane) -> Vec<Region> {
    if ranges.is_empty() {
        return vec![Region::ALL];
    }
    let mut sorted: Vec<_> = ranges.iter().filter(|range| !range.is_empty()).collect();
    sorted.sort_by_key(|range| *range.start());
    let mut merged: Vec<(u32, u32)> = Vec::new();
    for range in sorted {
        let (low, high) = (u32::from(*range.start()), u32::from(*range.end()));
        match merged.last_mut() {
            Some(last) if low <= last.1 + 1 => last.1 = last.1.max(high),
            _ => merged.push((low, high)),
        }
    }
    merged.into_iter().map(|(low, high)| Region::ALL.between(lane as usize, low, high)).collect()
}

/// A PDI's filter, given or referred to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sdf {
    /// The filter itself.
    Filter(SdfFilter),
    /// The other direction of the session's bidirectional filter with this SDF Filter ID.
    Reference(u32),
}

/// A session's bidirectional SDF filters, by SDF Filter ID.
#[derive(Clone, Debug, Default)]
pub struct Filters {
    filters: BTreeMap<u32, SdfFilter>,
}

impl Filters {
    /// No filter.
    pub const fn new() -> Self {
        Self { filters: BTreeMap::new() }
    }

    /// Provides a filter to refer to, in place of an earlier one with its ID.
    pub fn define(&mut self, id: u32, filter: SdfFilter) -> Result<(), ExpandError> {
        if self.filters.len() >= FILTERS_MAX && !self.filters.contains_key(&id) {
            return Err(ExpandError::TooManyFilters);
        }
        self.filters.insert(id, filter);
        Ok(())
    }

    pub(crate) fn regions(&self, sdfs: &[Sdf], assigned: &[Prefix]) -> Result<Vec<Region>, ExpandError> {
        any_of(sdfs, |sdf| match sdf {
            Sdf::Filter(filter) => filter.regions(assigned),
            Sdf::Reference(id) => {
                let filter = self.filters.get(id).ok_or(ExpandError::UnknownFilter(*id))?;
                filter.reversed().regions(assigned)
            }
        })
    }
}
