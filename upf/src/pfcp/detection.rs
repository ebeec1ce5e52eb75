//! What a session's PDRs detect, without what is the session's own, so that sessions with equal rules share them.
//!
//! A packet finds its session by the TEID or by the UE's address, and an uplink packet of another source is
//! dropped. So where a session has one TEID and one address, a rule that names them asks nothing more, and what
//! is compiled does not: equal rules of two sessions then are the same octets, and are compiled once.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use pdr_classifier::{
    ExpandError, Filters, Lane, PdrId as RuleId, Prefix, QfiSet, Rule, Sdf, Side, SourceInterface,
};
use smallvec::SmallVec;
use tern_gtpu::PduSessionContainer;
use tern_pfcp::*;

use super::addresses::UeAddresses;
use super::rules::{Refusal, RuleSet};
use crate::config::ClassifierKind;
use crate::path::{
    FilterError, N3, Origin, Pdr, Places, QosFlow, Rare, Rules, SharedRules, network_instance, sdf_filters,
};

const TOO_MANY_ALTERNATIVES: &str = "the session's rules have too many alternatives";

/// The alternatives of all rules of one session: a few megabytes.
const ALTERNATIVES_MAX: usize = 16_384;

/// By what packets find a session.
#[derive(Debug)]
pub(crate) struct Ends {
    pub(crate) teids: SmallVec<[u32; 2]>,
    pub(crate) ue_addresses: SmallVec<[Ipv4Addr; 2]>,
    /// What leads to the session besides, and the sides of its tunnels.
    pub(crate) rare: Option<Box<Rare>>,
    /// What "assigned" stands for.
    assigned: Vec<Prefix>,
}

impl Ends {
    /// Of these rules, or which of them cannot be.
    pub(crate) fn of(rules: &RuleSet) -> Result<Self, Refusal> {
        let assigned = UeAddresses::assigned(rules);
        let ue = UeAddresses::of_session(rules)?;
        let (prefixes, origins) = (ue.not_single(), origins(rules)?);
        let is_rare = !prefixes.is_empty() || !origins.is_empty();
        let rare = is_rare.then(|| Box::new(Rare { prefixes, origins, besides: None }));
        let mut ue_addresses: SmallVec<[Ipv4Addr; 2]> = ue.v4.into_iter().collect();
        let mut teids: SmallVec<[u32; 2]> = rules.teids().collect();
        teids.sort_unstable();
        teids.dedup();
        // A session of many rules is one of thousands; what grew on the way is given back.
        ue_addresses.shrink_to_fit();
        teids.shrink_to_fit();
        Ok(Self { teids, ue_addresses, rare, assigned })
    }

    /// Whether every packet that gets to rules of the access side came by this TEID.
    fn is_only_teid(&self, teid: u32) -> bool {
        self.teids[..] == [teid]
    }

    /// Whether every packet that gets to a rule is of this address.
    fn is_only_address(&self, address: Ipv4Addr) -> bool {
        self.rare.is_none() && self.ue_addresses[..] == [address]
    }
}

/// What a PDR refers to, by places.
#[derive(Clone, Copy, Debug)]
pub(crate) struct References {
    pub(crate) action: u8,
    pub(crate) qers: Places,
    pub(crate) meters: Places,
    pub(crate) usages: Places,
    pub(crate) flow: Option<QosFlow>,
}

/// Some of what a PDR detects.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    /// One of them must match; none if the rest of the PDI says enough.
    pub(crate) flows: &'a [SdfFilter],
    pub(crate) refers: References,
}

/// One PDR, or a part of it. All that becomes of it is made from what is here.
struct Detected<'a> {
    id: u16,
    precedence: u32,
    uplink: bool,
    from: SourceInterface,
    /// If it has to be looked at.
    teid: Option<u32>,
    /// Whether packets of other sides than N6 are asked about as well; not of uplink.
    mixed: bool,
    /// The UE's addresses, if they have to be looked at.
    ue: UeAddresses,
    /// What "assigned" stands for, if that is not the address at the UE's end of the session's every packet.
    assigned: Vec<Prefix>,
    network: Option<u16>,
    qfis: &'a [Qfi],
    filters: SmallVec<[&'a SdfFilter; 1]>,
    refers: References,
}

/// All PDRs of a session.
pub(crate) struct Detection<'a>(Vec<Detected<'a>>);

impl<'a> Detection<'a> {
    /// What these rules detect, each with the data network that it names and its parts.
    pub(crate) fn new(
        rules: &'a RuleSet,
        ends: &Ends,
        mut look_up: impl FnMut(&'a CreatePdr) -> Result<(Option<u16>, SmallVec<[Part<'a>; 1]>), Refusal>,
    ) -> Result<Self, Refusal> {
        let defined: BTreeMap<u32, &SdfFilter> = rules
            .pdrs
            .iter()
            .flat_map(|pdr| &pdr.pdi.sdf_filters)
            .filter(|filter| filter.flow_description.is_some())
            .filter_map(|filter| Some((filter.filter_id?, filter)))
            .collect();
        let mut all = Vec::with_capacity(rules.pdrs.len());
        for pdr in rules.pdrs.iter() {
            let (network, parts) = look_up(pdr)?;
            for part in parts {
                all.push(Detected::new((pdr, origin(pdr, rules)), ends, &defined, network, &part)?);
            }
        }
        Ok(Self(all))
    }

    /// Octets that are equal if, and only if, all of it is.
    pub(crate) fn octets(&self) -> Vec<u8> {
        let mut octets = Vec::with_capacity(512);
        for pdr in &self.0 {
            pdr.write(&mut octets);
        }
        octets
    }

    /// Compiles it.
    pub(crate) fn compile(&self, kind: ClassifierKind) -> Result<SharedRules, Refusal> {
        let (mut uplink, mut downlink) = (Vec::new(), Vec::new());
        let mut alternatives = 0;
        for pdr in &self.0 {
            let rule = pdr.compile()?;
            alternatives += rule.boxes();
            if alternatives > ALTERNATIVES_MAX {
                return Err(Refusal {
                    cause: Cause::NO_RESOURCES_AVAILABLE,
                    ..Refusal::rule(FailedRuleId::Pdr(PdrId(pdr.id)), 1, TOO_MANY_ALTERNATIVES)
                });
            }
            let References { action, qers, meters, usages, flow } = pdr.refers;
            let side = if pdr.uplink { &mut uplink } else { &mut downlink };
            side.push((Pdr { id: pdr.id, action, qers, meters, usages, flow }, rule));
        }
        let too_many = |_| Refusal::new(Cause::NO_RESOURCES_AVAILABLE, TOO_MANY_ALTERNATIVES);
        Ok(SharedRules {
            uplink: Rules::new(kind, uplink).map_err(too_many)?,
            downlink: Rules::new(kind, downlink).map_err(too_many)?,
        })
    }
}

impl<'a> Detected<'a> {
    fn new(
        (pdr, origin): (&'a CreatePdr, Origin),
        ends: &Ends,
        defined: &BTreeMap<u32, &'a SdfFilter>,
        network: Option<u16>,
        part: &Part<'a>,
    ) -> Result<Self, Refusal> {
        let refuse = |ie, why| Refusal::rule(FailedRuleId::Pdr(pdr.pdr_id), ie, why);
        let uplink = origin == Origin::Access;
        let teid = match pdr.pdi.f_teid {
            Some(FTeid::Assigned { teid, .. }) => Some(teid),
            _ => None,
        };
        if uplink && teid.is_none() {
            return Err(refuse(21, "a PDR of the access side needs an F-TEID"));
        }
        let ue = UeAddresses::of_pdi(&pdr.pdi).map_err(|(ie, why)| refuse(ie, why))?;
        if teid.is_none() && ue.is_empty() {
            return Err(refuse(93, "a PDR of the core side needs a UE IP address or an F-TEID"));
        }
        let filters: SmallVec<[&SdfFilter; 1]> = part
            .flows
            .iter()
            .map(|filter| match (&filter.flow_description, filter.filter_id) {
                (None, Some(id)) => defined.get(&id).copied().unwrap_or(filter),
                _ => filter,
            })
            .collect();
        let is_at_ue = |filter: &&SdfFilter| filter.flow_description.as_deref().is_none_or(assigned_is_at_ue);
        let only = match ends.ue_addresses[..] {
            [address] if ends.is_only_address(address) => Some(address),
            _ => None,
        };
        let is_implied = only.is_some_and(|ue| ends.assigned == [Prefix::host(IpAddr::V4(ue))]);
        let needs_assigned = !is_implied || !filters.iter().all(is_at_ue);
        Ok(Self {
            id: pdr.pdr_id.0,
            precedence: pdr.precedence.0,
            uplink,
            from: if teid.is_some() {
                origin.interface()
            } else {
                source_interface(pdr.pdi.source_interface)
            },
            mixed: !uplink && ends.rare.as_ref().is_some_and(|rare| !rare.origins.is_empty()),
            teid: teid.filter(|teid| !uplink || !ends.is_only_teid(*teid)),
            ue: if only.is_some_and(|only| ue.is_only(only)) { UeAddresses::default() } else { ue },
            assigned: if needs_assigned { ends.assigned.clone() } else { Vec::new() },
            // There is one N3, and N9 is on it, by whatever name.
            network: network.filter(|_| teid.is_none()),
            qfis: &pdr.pdi.qfis,
            filters,
            refers: part.refers,
        })
    }

    /// Everything that it is, each part of a length that is known or said.
    fn write(&self, octets: &mut Vec<u8>) {
        // As an exhaustive pattern, so that no field is forgotten.
        let Self { id, precedence, uplink, from, teid, mixed, ue, assigned, network, qfis, filters, refers } =
            self;
        octets.extend(id.to_be_bytes());
        octets.extend(precedence.to_be_bytes());
        octets.extend([u8::from(*uplink), *from as u8, u8::from(*mixed)]);
        put(octets, teid.map(u32::to_be_bytes));
        let UeAddresses { v4, v6, framed } = ue;
        octets.extend((v4.len() as u32).to_be_bytes());
        v4.iter().for_each(|address| octets.extend(address.octets()));
        for prefixes in [v6, framed, assigned] {
            octets.extend((prefixes.len() as u32).to_be_bytes());
            prefixes.iter().for_each(|prefix| put_prefix(octets, prefix));
        }
        put(octets, network.map(u16::to_be_bytes));
        octets.extend((qfis.len() as u32).to_be_bytes());
        octets.extend(qfis.iter().map(|qfi| qfi.0));
        octets.extend((filters.len() as u32).to_be_bytes());
        for filter in filters {
            let SdfFilter {
                flow_description,
                tos_traffic_class,
                security_parameter_index,
                flow_label,
                filter_id,
            } = filter;
            let text = flow_description.as_deref();
            put(octets, text.map(|text| (text.len() as u32).to_be_bytes()));
            octets.extend(text.unwrap_or_default().as_bytes());
            put(octets, *tos_traffic_class);
            put(octets, security_parameter_index.map(u32::to_be_bytes));
            put(octets, flow_label.map(u32::to_be_bytes));
            put(octets, filter_id.map(u32::to_be_bytes));
        }
        let References { action, qers, meters, usages, flow } = refers;
        octets.push(*action);
        for places in [qers, meters, usages] {
            octets.push(places.as_slice().len() as u8);
            octets.extend(places.as_slice());
        }
        let marked = flow.map(|QosFlow { container, dscp }| {
            let PduSessionContainer { uplink, qfi, rqi, ppi } = container;
            let or_none = |value: Option<u8>| value.unwrap_or(u8::MAX);
            [u8::from(uplink), qfi, u8::from(rqi), or_none(ppi), or_none(dscp)]
        });
        put(octets, marked);
    }

    fn compile(&self) -> Result<Rule, Refusal> {
        let refuse = |ie, why| Refusal::rule(FailedRuleId::Pdr(PdrId(self.id)), ie, why);
        let mut filters = Vec::with_capacity(self.filters.len());
        for filter in &self.filters {
            let alternatives =
                sdf_filters(filter, self.uplink, &self.assigned).map_err(|error| match error {
                    FilterError::Empty if filter.filter_id.is_some() => {
                        refuse(23, "the SDF filter refers to an ID that is not defined")
                    }
                    FilterError::Empty => refuse(23, "the SDF filter is empty"),
                    FilterError::Expected(_) => refuse(23, "the flow description cannot be understood"),
                })?;
            filters.extend(alternatives.into_iter().map(Sdf::Filter));
        }
        let qfis: SmallVec<[u8; 8]> = self.qfis.iter().map(|qfi| qfi.0).collect();
        let pdi = pdr_classifier::Pdi {
            source_interface: self.from,
            f_teids: self.teid.map(|teid| pdr_classifier::FTeid { address: N3, teid }).into_iter().collect(),
            ue_ip: self.ue.ue_ip(if self.uplink { Side::Source } else { Side::Destination }),
            framed_routes: self.ue.others(),
            sdf_filters: filters,
            network_instance: self.network.map(network_instance),
            qfis: QfiSet::new(&qfis).map_err(|_| refuse(124, "a QFI has 6 bits"))?,
            ..pdr_classifier::Pdi::default()
        };
        let rule = pdr_classifier::Pdr { id: RuleId(self.id.into()), precedence: self.precedence, pdi };
        let rule = rule.compile(&Filters::new()).map_err(|error| match error {
            ExpandError::TooManyBoxes => Refusal {
                cause: Cause::NO_RESOURCES_AVAILABLE,
                ..refuse(23, "the port lists of the PDR's filters have too many combinations")
            },
            _ => refuse(17, "the PDI cannot be understood"),
        })?;
        // The rules of a direction are asked about packets of that direction only.
        let from = if self.uplink { SourceInterface::Access } else { SourceInterface::SgiLanN6Lan };
        Ok(if self.mixed { rule } else { rule.given(Lane::SourceInterface, from as u32) })
    }
}

fn put<const N: usize>(octets: &mut Vec<u8>, value: Option<[u8; N]>) {
    octets.push(u8::from(value.is_some()));
    octets.extend(value.into_iter().flatten());
}

fn put_prefix(octets: &mut Vec<u8>, prefix: &Prefix) {
    octets.push(prefix.length());
    match prefix.address() {
        IpAddr::V4(address) => put(octets, Some(address.octets())),
        IpAddr::V6(address) => {
            octets.push(2);
            octets.extend(address.octets());
        }
    }
}

/// Whether "assigned" stands, if at all, where the flow description names the UE: behind "to".
fn assigned_is_at_ue(description: &str) -> bool {
    let mut words = description.split_ascii_whitespace();
    words.find(|word| matches!(*word, "assigned" | "to")) != Some("assigned")
}

/// Without a tunnel. N6 is one interface here, by either name; with one, the core is N9.
fn source_interface(interface: Interface) -> SourceInterface {
    match interface {
        Interface::Access => SourceInterface::Access,
        Interface::Core | Interface::N6Lan => SourceInterface::SgiLanN6Lan,
        Interface::CpFunction => SourceInterface::CpFunction,
        Interface::Four | Interface::Five => SourceInterface::FiveGVnInternal,
    }
}

/// Where the packets of a tunnel come from.
fn origin(pdr: &CreatePdr, rules: &RuleSet) -> Origin {
    match pdr.pdi.source_interface {
        Interface::Access if is_forwarded(pdr, rules) => Origin::Forwarded,
        Interface::Access => Origin::Access,
        Interface::CpFunction => Origin::Control,
        Interface::Core | Interface::N6Lan | Interface::Four | Interface::Five => Origin::Core,
    }
}

/// Whether what comes from the access goes there: indirect data forwarding (TS 29.244 §8.2.2).
fn is_forwarded(pdr: &CreatePdr, rules: &RuleSet) -> bool {
    let far = pdr.far_id.and_then(|id| rules.fars.find(id)).map(|(_, far)| far);
    let to = far.and_then(|far| far.forwarding_parameters.as_ref());
    let to_access = to.is_some_and(|to| {
        to.destination_interface == Interface::Access && to.outer_header_creation.is_some()
    });
    to_access && pdr.pdi.f_teid.is_some()
}

/// TEIDs of other sides than the access, in their order. A tunnel has one side, which decides by which rules its
/// packets go.
fn origins(rules: &RuleSet) -> Result<Box<[(u32, Origin)]>, Refusal> {
    let mut all: SmallVec<[(u32, Origin, PdrId); 4]> = SmallVec::new();
    for pdr in rules.pdrs.iter() {
        let Some(FTeid::Assigned { teid, .. }) = pdr.pdi.f_teid else { continue };
        all.push((teid, origin(pdr, rules), pdr.pdr_id));
    }
    all.sort_by_key(|(teid, ..)| *teid);
    let differ = all.windows(2).find(|pair| pair[0].0 == pair[1].0 && pair[0].1 != pair[1].1);
    if let Some([_, (.., pdr_id)]) = differ {
        let failed = FailedRuleId::Pdr(*pdr_id);
        return Err(Refusal::rule(failed, 21, "an F-TEID has one source interface"));
    }
    all.dedup_by_key(|(teid, ..)| *teid);
    let others = all.into_iter().filter(|(_, origin, _)| *origin != Origin::Access);
    Ok(others.map(|(teid, origin, _)| (teid, origin)).collect())
}
