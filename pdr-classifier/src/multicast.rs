//! IP multicast flows: TS 29.244 §5.25, Table 7.5.2.2-4 and §8.2.137.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use crate::error::ExpandError;
use crate::expand::{Alternatives, any_of};
use crate::key::{Lane, Side, address_lanes};
use crate::ranges::range_regions;
use crate::region::Region;
use crate::sdf::Prefix;

/// The multicast addresses of IPv4: RFC 5771.
const GROUPS_V4: RangeInclusive<Ipv4Addr> = Ipv4Addr::new(224, 0, 0, 0)..=Ipv4Addr::new(239, 255, 255, 255);

/// Those of IPv6: RFC 4291 §2.7.
const GROUPS_V6: RangeInclusive<Ipv6Addr> =
    Ipv6Addr::new(0xFF00, 0, 0, 0, 0, 0, 0, 0)..=Ipv6Addr::from_bits(u128::MAX);

/// Groups that packets go to. One address is a range of one; of a range that ends before it begins there
/// is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MulticastGroups {
    /// Any group of either IP version.
    Any,
    /// Addresses of IPv4.
    V4(RangeInclusive<Ipv4Addr>),
    /// Addresses of IPv6.
    V6(RangeInclusive<Ipv6Addr>),
}

/// An IP Multicast Addressing Info IE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MulticastFlows {
    /// The packet's destination.
    pub groups: MulticastGroups,
    /// The packet's source: one is enough, and an empty list asks nothing.
    pub sources: Vec<Prefix>,
}

impl MulticastFlows {
    pub(crate) fn regions(&self) -> Result<Alternatives, ExpandError> {
        let mut regions = Alternatives::from(Region::ALL);
        regions.and(&match &self.groups {
            MulticastGroups::Any => [group_regions_v4(&GROUPS_V4), group_regions_v6(&GROUPS_V6)].concat(),
            MulticastGroups::V4(range) => group_regions_v4(range),
            MulticastGroups::V6(range) => group_regions_v6(range),
        })?;
        regions.and(&any_of(&self.sources, |prefix| Ok(prefix.region(Side::Source).into()))?)?;
        Ok(regions)
    }
}

fn group_regions_v4(range: &RangeInclusive<Ipv4Addr>) -> Vec<Region> {
    of_version(4, range_regions(Lane::Destination0, [range.start().to_bits()], [range.end().to_bits()]))
}

fn group_regions_v6(range: &RangeInclusive<Ipv6Addr>) -> Vec<Region> {
    let lanes = |address: &Ipv6Addr| address_lanes(IpAddr::V6(*address));
    of_version(6, range_regions(Lane::Destination0, lanes(range.start()), lanes(range.end())))
}

fn of_version(version: u32, regions: Vec<Region>) -> Vec<Region> {
    regions.into_iter().map(|region| region.exactly(Lane::IpVersion, version)).collect()
}
