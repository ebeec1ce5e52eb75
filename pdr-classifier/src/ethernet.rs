//! Ethernet packet filters: TS 29.244 Table 7.5.2.2-3.

use std::ops::RangeInclusive;

use crate::error::ExpandError;
use crate::expand::{Alternatives, any_of};
use crate::key::{FRAME_ETHERNET, Lane};
use crate::ranges::range_regions;
use crate::region::{Masked, Region};
use crate::sdf::{Filters, Prefix, Sdf};

/// The bits of the last four octets, which have a lane of their own.
const LOW_BITS: u32 = 32;

/// The last of the 48-bit numbers.
const MAC_MAX: u64 = 0xFFFF_FFFF_FFFF;

/// A MAC Address IE: one address or a range for each side (TS 29.244 §8.2.93), as 48-bit numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MacAddresses {
    /// The frame's source.
    pub source: Option<RangeInclusive<u64>>,
    /// The frame's destination.
    pub destination: Option<RangeInclusive<u64>>,
}

/// A VLAN tag, of which a filter may give any part: C-TAG and S-TAG, TS 29.244 §8.2.94 and §8.2.95.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tag {
    /// Priority code point, 3 bits.
    pub priority: Option<u8>,
    /// Drop eligible indicator.
    pub drop_eligible: Option<bool>,
    /// VLAN identifier, 12 bits.
    pub vlan: Option<u16>,
}

impl Tag {
    /// The parts as one masked value.
    pub fn masked(self) -> Masked {
        let part = |value: Option<u32>, shift: u32, bits: u32| match value {
            Some(value) => ((value & bits) << shift, bits << shift),
            None => (0, 0),
        };
        let (priority, priority_mask) = part(self.priority.map(u32::from), 13, 0x7);
        let (eligible, eligible_mask) = part(self.drop_eligible.map(u32::from), 12, 0x1);
        let (vlan, vlan_mask) = part(self.vlan.map(u32::from), 0, 0xFFF);
        Masked::new(priority | eligible | vlan, priority_mask | eligible_mask | vlan_mask)
    }
}

/// What an Ethernet frame must have; in each list one is enough, and an empty list asks nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EthernetFilter {
    /// Addresses.
    pub addresses: Vec<MacAddresses>,
    /// The Ethertype behind the tags.
    pub ethertype: Option<u16>,
    /// The customer's tag.
    pub c_tag: Option<Tag>,
    /// The service's tag.
    pub s_tag: Option<Tag>,
    /// Flows of the IP packets in the frames.
    pub sdf_filters: Vec<Sdf>,
}

impl EthernetFilter {
    /// The filter's other direction, if it is bidirectional (TS 29.244 §8.2.99). SDF filters that are
    /// references stay what they are.
    #[must_use]
    pub fn reversed(&self) -> Self {
        let mut reversed = self.clone();
        for addresses in &mut reversed.addresses {
            std::mem::swap(&mut addresses.source, &mut addresses.destination);
        }
        for sdf in &mut reversed.sdf_filters {
            if let Sdf::Filter(filter) = sdf {
                *filter = filter.reversed();
            }
        }
        reversed
    }

    pub(crate) fn regions(
        &self,
        filters: &Filters,
        assigned: &[Prefix],
    ) -> Result<Alternatives, ExpandError> {
        let mut only = Region::ALL.exactly(Lane::Frame, FRAME_ETHERNET);
        if let Some(ethertype) = self.ethertype {
            only = only.exactly(Lane::Ethertype, u32::from(ethertype));
        }
        if let Some(tag) = self.c_tag {
            only = only.masked(Lane::CTag, tag.masked());
        }
        if let Some(tag) = self.s_tag {
            only = only.masked(Lane::STag, tag.masked());
        }
        let mut regions = Alternatives::from(only);
        regions.and(&any_of(&self.addresses, |addresses| {
            let mut regions = Alternatives::from(Region::ALL);
            regions.and(&mac_regions(addresses.source.as_ref(), Lane::SourceMacHigh))?;
            regions.and(&mac_regions(addresses.destination.as_ref(), Lane::DestinationMacHigh))?;
            Ok(regions)
        })?)?;
        regions.and(&filters.regions(&self.sdf_filters, assigned)?)?;
        Ok(regions)
    }
}

fn mac_regions(range: Option<&RangeInclusive<u64>>, high: Lane) -> Vec<Region> {
    let Some(range) = range else { return vec![Region::ALL] };
    let parts = |mac: u64| [(mac >> LOW_BITS) as u32, mac as u32];
    range_regions(high, parts(*range.start()), parts((*range.end()).min(MAC_MAX)))
}
