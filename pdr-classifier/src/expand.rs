//! From a rule of alternatives to boxes.

use std::num::NonZeroU32;

use crate::error::ExpandError;
use crate::key::{FRAME_ETHERNET, Lane};
use crate::multicast::MulticastFlows;
use crate::pdi::{Pdi, Pdr, PdrId, Rank, RedundantTransmission};
use crate::region::Region;
use crate::sdf::Filters;

/// The most boxes of one rule.
pub const BOXES_MAX: usize = 1024;

/// A rule as classifiers take it: the boxes that its alternatives multiply into, which share its ID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub(crate) rank: Rank,
    pub(crate) regions: Vec<Region>,
}

impl Rule {
    /// The rule's name.
    pub const fn id(&self) -> PdrId {
        self.rank.id
    }

    /// The rule under another name.
    #[must_use]
    pub fn named(mut self, id: PdrId) -> Self {
        self.rank.id = id;
        self
    }

    /// The rule as it is for packets that have this value in this lane: what it asks of the lane is left out, and
    /// boxes where the value is not are too.
    #[must_use]
    pub fn given(mut self, lane: Lane, value: u32) -> Self {
        self.regions = self.regions.iter().filter_map(|region| region.given(lane, value)).collect();
        self
    }

    /// Its place among others.
    pub const fn rank(&self) -> Rank {
        self.rank
    }

    /// How many boxes it has. None, if its conditions contradict each other: no packet matches.
    pub const fn boxes(&self) -> usize {
        self.regions.len()
    }

    /// How many lanes its boxes restrict, in sum.
    pub(crate) fn lanes(&self) -> usize {
        self.regions.iter().map(|region| region.used.count_ones() as usize).sum()
    }
}

impl Pdr {
    /// Expands the rule; `filters` are the session's, for references.
    pub fn compile(&self, filters: &Filters) -> Result<Rule, ExpandError> {
        let pdi = &self.pdi;
        let mut regions = Alternatives::from(scalars(pdi));
        regions.and(&arrivals(pdi))?;
        regions.and(&any_of(&pdi.traffic_endpoints, |&endpoint| {
            Ok(Region::ALL.exactly(Lane::TrafficEndpoint, u32::from(endpoint)).into())
        })?)?;
        let assigned = pdi.assigned();
        let of_ue = [assigned.as_slice(), pdi.framed_routes.as_slice()].concat();
        regions.and(&any_of(&of_ue, |prefix| Ok(prefix.region(pdi.ue_side()).into()))?)?;
        regions.and(&any_of(&pdi.multicast, MulticastFlows::regions)?)?;
        regions.and(&any_of(&pdi.ethernet_filters, |filter| filter.regions(filters, &assigned))?)?;
        regions.and(&filters.regions(&pdi.sdf_filters, &assigned)?)?;
        Ok(Rule { rank: Rank { precedence: self.precedence, id: self.id }, regions: regions.0 })
    }
}

/// The conditions that have no alternative.
fn scalars(pdi: &Pdi) -> Region {
    let mut region = Region::ALL.exactly(Lane::SourceInterface, pdi.source_interface as u32).qfis(pdi.qfis.0);
    let numbers = [
        (Lane::SourceInterfaceType, pdi.source_interface_type.map(u32::from)),
        (Lane::Application, pdi.application.map(u32::from)),
        (Lane::MbsSession, pdi.mbs_session.map(u32::from)),
        (Lane::Frame, pdi.ethernet_pdu_session.then_some(FRAME_ETHERNET)),
    ];
    for (lane, value) in numbers {
        if let Some(value) = value {
            region = region.exactly(lane, value);
        }
    }
    region
}

/// The ways in: tunnels, each in its network instance.
fn arrivals(pdi: &Pdi) -> Vec<Region> {
    let of_instance = |instance: Option<NonZeroU32>| match instance {
        Some(instance) => Region::ALL.exactly(Lane::NetworkInstance, instance.get()),
        None => Region::ALL,
    };
    let tunnel = |region: Region, address: NonZeroU32, end: u32| {
        region.exactly(Lane::TunnelAddress, address.get()).exactly(Lane::Teid, end)
    };
    let here = of_instance(pdi.network_instance);
    let mut ways: Vec<Region> =
        pdi.f_teids.iter().map(|f_teid| tunnel(here.clone(), f_teid.address, f_teid.teid)).collect();
    let ingress = pdi.ingress_tunnels.iter();
    ways.extend(ingress.map(|ingress| tunnel(here.clone(), ingress.address, ingress.port.into())));
    // Whatever comes in by no particular tunnel is no less detected for its copies.
    if ways.is_empty() {
        ways.push(here);
    }
    if let Some(RedundantTransmission { f_teid, network_instance }) = pdi.redundant_transmission {
        let there = of_instance(network_instance.or(pdi.network_instance));
        ways.push(tunnel(there, f_teid.address, f_teid.teid));
    }
    ways
}

/// Boxes of which a packet must be in one; never more than [`BOXES_MAX`].
#[derive(Debug)]
pub(crate) struct Alternatives(Vec<Region>);

impl From<Region> for Alternatives {
    fn from(region: Region) -> Self {
        Self(vec![region])
    }
}

impl Alternatives {
    /// Restricts each to each of the others; what contradicts is dropped.
    pub(crate) fn and(&mut self, others: &[Region]) -> Result<(), ExpandError> {
        let mut product = Vec::new();
        for region in &self.0 {
            for both in others.iter().filter_map(|other| region.and(other)) {
                if product.len() == BOXES_MAX {
                    return Err(ExpandError::TooManyBoxes);
                }
                product.push(both);
            }
        }
        self.0 = product;
        Ok(())
    }
}

/// The boxes of all items; all there is, if there is no item.
pub(crate) fn any_of<T>(
    items: &[T],
    regions: impl Fn(&T) -> Result<Alternatives, ExpandError>,
) -> Result<Vec<Region>, ExpandError> {
    if items.is_empty() {
        return Ok(vec![Region::ALL]);
    }
    let mut any = Vec::new();
    for item in items {
        any.extend(regions(item)?.0);
        if any.len() > BOXES_MAX {
            return Err(ExpandError::TooManyBoxes);
        }
    }
    Ok(any)
}
