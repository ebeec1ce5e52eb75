//! From the rules of N4 to what the data path looks packets up in.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use pdr_classifier::{
    ExpandError, Filters, InsertError, PdrId as RuleId, Prefix, QfiSet, Rule, Sdf, Side, SourceInterface,
};
use smallvec::SmallVec;
use tern_pfcp::*;

use super::addresses::UeAddresses;
use super::rules::{Refusal, RuleSet};
use super::urr::Urrs;
use crate::config::{ClassifierKind, N6Config};
use crate::path::{
    Action, FilterError, Measured, Meter, Meters, N3, Origin, Pdr, Places, Qer, REFERENCES_MAX, Rare, Rules,
    Session, SessionState, Tunnel, network_instance, sdf_filters,
};

const TOO_MANY_ALTERNATIVES: &str = "the session's rules have too many alternatives";

/// The alternatives of all rules of one session: a few megabytes.
const ALTERNATIVES_MAX: usize = 16_384;

/// What compiling needs to know besides the rules.
pub(crate) struct Surroundings<'a> {
    pub(crate) seid: u64,
    pub(crate) generation: u64,
    pub(crate) dnn: Option<&'a Name>,
    pub(crate) networks: &'a [N6Config],
    pub(crate) classifier: ClassifierKind,
    pub(crate) state: &'a Arc<SessionState>,
    /// Whether there is an inactivity timer.
    pub(crate) is_watched: bool,
    /// The QERs before, whose meters go on if their rates stay; by ID.
    pub(crate) old_qers: &'a [Qer],
    pub(crate) urrs: &'a Urrs,
}

/// Compiles all rules, or names the one that cannot be. URRs that are new count from now on.
pub(crate) fn compile(rules: &RuleSet, around: &Surroundings<'_>) -> Result<Session, Refusal> {
    let old_qer = |id: u32| {
        let at = around.old_qers.binary_search_by_key(&id, |qer| qer.id).ok()?;
        around.old_qers.get(at)
    };
    // Both are in the order of their IDs, and are found by these.
    let qers = rules.qers.values().map(|rule| compile_qer(rule, old_qer(rule.qer_id.0))).collect();
    let usages = rules.urrs.keys().map(|id| Measured {
        urr_id: id.0,
        usage: around.urrs.get(*id).map(|urr| urr.usage.clone()).unwrap_or_default(),
    });
    let parts = Parts { qers, usages: usages.collect() };
    let filters_by_id: BTreeMap<u32, &SdfFilter> = rules
        .pdrs
        .values()
        .flat_map(|pdr| &pdr.pdi.sdf_filters)
        .filter(|filter| filter.flow_description.is_some())
        .filter_map(|filter| Some((filter.filter_id?, filter)))
        .collect();
    let ue = UeAddresses::of_session(rules)?;
    let (mut uplink, mut downlink) = (Vec::new(), Vec::new());
    let mut alternatives = 0;
    for pdr in rules.pdrs.values() {
        let compiled = compile_pdr(pdr, rules, around, &parts, &filters_by_id, &ue.prefixes())?;
        alternatives += compiled.1.boxes();
        if alternatives > ALTERNATIVES_MAX {
            return Err(Refusal {
                cause: Cause::NO_RESOURCES_AVAILABLE,
                ..Refusal::rule(FailedRuleId::Pdr(pdr.pdr_id), 1, TOO_MANY_ALTERNATIVES)
            });
        }
        match pdr.pdi.source_interface {
            Interface::Access => uplink.push(compiled),
            _ => downlink.push(compiled),
        }
    }
    let mut ue_addresses: SmallVec<[Ipv4Addr; 2]> = ue.v4.iter().copied().collect();
    let prefixes = ue.not_single();
    let origins = origins(rules)?;
    let is_rare = !prefixes.is_empty() || !origins.is_empty();
    let rare = is_rare.then(|| Box::new(Rare { prefixes, origins }));
    let mut teids: SmallVec<[u32; 2]> = rules.teids().collect();
    teids.sort_unstable();
    teids.dedup();
    // A session of many rules is one of thousands; what grew on the way is given back.
    ue_addresses.shrink_to_fit();
    teids.shrink_to_fit();
    Ok(Session {
        seid: around.seid,
        generation: around.generation,
        ue_addresses,
        rare,
        teids,
        uplink: Rules::new(around.classifier, uplink).map_err(too_many)?,
        downlink: Rules::new(around.classifier, downlink).map_err(too_many)?,
        qers: parts.qers,
        usages: parts.usages,
        state: around.state.clone(),
        is_watched: around.is_watched,
    })
}

/// What PDRs refer to.
struct Parts {
    /// By ID.
    qers: SmallVec<[Qer; 1]>,
    /// By ID.
    usages: SmallVec<[Measured; 1]>,
}

impl Parts {
    fn qers(&self, pdr: &CreatePdr) -> Result<Places, Refusal> {
        let place = |id: &QerId| self.qers.binary_search_by_key(&id.0, |qer| qer.id).ok();
        places(pdr.qer_ids.iter().map(place), pdr.pdr_id, 109, "the PDR's QER does not exist")
    }

    fn usages(&self, pdr: &CreatePdr) -> Result<Places, Refusal> {
        let place = |id: &UrrId| self.usages.binary_search_by_key(&id.0, |measured| measured.urr_id).ok();
        places(pdr.urr_ids.iter().map(place), pdr.pdr_id, 81, "the PDR's URR does not exist")
    }
}

fn places(
    found: impl Iterator<Item = Option<usize>>,
    pdr: PdrId,
    ie: u16,
    missing: &'static str,
) -> Result<Places, Refusal> {
    let failed = FailedRuleId::Pdr(pdr);
    let mut places: SmallVec<[u8; REFERENCES_MAX]> = SmallVec::new();
    for place in found {
        let place = place.and_then(|place| u8::try_from(place).ok());
        places.push(place.ok_or(Refusal::rule(failed, ie, missing))?);
    }
    Places::new(&places).ok_or(Refusal {
        cause: Cause::NO_RESOURCES_AVAILABLE,
        ..Refusal::rule(failed, ie, "the PDR refers to too many rules of one kind")
    })
}

fn too_many(_: InsertError) -> Refusal {
    Refusal::new(Cause::NO_RESOURCES_AVAILABLE, TOO_MANY_ALTERNATIVES)
}

fn compile_pdr(
    pdr: &CreatePdr,
    rules: &RuleSet,
    around: &Surroundings<'_>,
    parts: &Parts,
    filters_by_id: &BTreeMap<u32, &SdfFilter>,
    of_session: &[Prefix],
) -> Result<(Pdr, Rule), Refusal> {
    let failed = FailedRuleId::Pdr(pdr.pdr_id);
    let refuse = |ie, why| Refusal::rule(failed, ie, why);
    check_supported(pdr, failed)?;
    let far_id = pdr.far_id.ok_or_else(|| Refusal {
        cause: Cause::CONDITIONAL_IE_MISSING,
        ..refuse(108, "the PDR has no FAR ID")
    })?;
    let far = rules.fars.get(&far_id).ok_or_else(|| refuse(108, "the PDR's FAR does not exist"))?;
    let (pdr_qers, pdr_usages) = (parts.qers(pdr)?, parts.usages(pdr)?);
    let uplink = pdr.pdi.source_interface == Interface::Access;
    let ue = UeAddresses::of_pdi(&pdr.pdi).map_err(|(ie, why)| refuse(ie, why))?;
    let own = ue.prefixes();
    let assigned = if own.is_empty() { of_session } else { &own };
    let mut filters = Vec::new();
    for filter in &pdr.pdi.sdf_filters {
        let defined = match (&filter.flow_description, filter.filter_id) {
            (None, Some(id)) => filters_by_id.get(&id).copied().unwrap_or(filter),
            _ => filter,
        };
        let alternatives = sdf_filters(defined, uplink, assigned).map_err(|error| match error {
            FilterError::Empty if defined.filter_id.is_some() => {
                refuse(23, "the SDF filter refers to an ID that is not defined")
            }
            FilterError::Empty => refuse(23, "the SDF filter is empty"),
            FilterError::Expected(_) => refuse(23, "the flow description cannot be understood"),
        })?;
        filters.extend(alternatives.into_iter().map(Sdf::Filter));
    }
    let action = compile_far(far, around)?;
    let teid = match pdr.pdi.f_teid {
        Some(FTeid::Assigned { teid, .. }) => Some(teid),
        _ => None,
    };
    if uplink && teid.is_none() {
        return Err(refuse(21, "a PDR of the access side needs an F-TEID"));
    }
    if teid.is_none() && own.is_empty() && ue.framed.is_empty() {
        return Err(refuse(93, "a PDR of the core side needs a UE IP address or an F-TEID"));
    }
    let qfis: Vec<u8> = pdr.pdi.qfis.iter().map(|qfi| qfi.0).collect();
    let pdi = pdr_classifier::Pdi {
        source_interface: source_interface(pdr.pdi.source_interface, teid.is_some()),
        f_teids: teid.map(|teid| pdr_classifier::FTeid { address: N3, teid }).into_iter().collect(),
        ue_ip: ue.ue_ip(if uplink { Side::Source } else { Side::Destination }),
        framed_routes: ue.others(),
        sdf_filters: filters,
        // There is one N3, and N9 is on it, by whatever name.
        network_instance: teid
            .is_none()
            .then(|| pdr.pdi.network_instance.as_ref().and_then(|name| named(name, around)))
            .flatten()
            .map(network_instance),
        qfis: QfiSet::new(&qfis).map_err(|_| refuse(124, "a QFI has 6 bits"))?,
        ..pdr_classifier::Pdi::default()
    };
    let rule = pdr_classifier::Pdr { id: RuleId(pdr.pdr_id.0.into()), precedence: pdr.precedence.0, pdi };
    let rule = rule.compile(&Filters::new()).map_err(|error| match error {
        ExpandError::TooManyBoxes => Refusal {
            cause: Cause::NO_RESOURCES_AVAILABLE,
            ..refuse(23, "the port lists of the PDR's filters have too many combinations")
        },
        _ => refuse(17, "the PDI cannot be understood"),
    })?;
    Ok((Pdr { id: pdr.pdr_id.0, action, qers: pdr_qers, usages: pdr_usages }, rule))
}

/// The core is N9 where there is a tunnel. N6 is one interface here, by either name.
fn source_interface(interface: Interface, tunnelled: bool) -> SourceInterface {
    match (interface, tunnelled) {
        (_, true) => origin(interface).interface(),
        (Interface::Access, _) => SourceInterface::Access,
        (Interface::Core | Interface::N6Lan, _) => SourceInterface::SgiLanN6Lan,
        (Interface::CpFunction, _) => SourceInterface::CpFunction,
        (Interface::Four | Interface::Five, _) => SourceInterface::FiveGVnInternal,
    }
}

/// Where the packets of a tunnel come from.
fn origin(interface: Interface) -> Origin {
    match interface {
        Interface::Access => Origin::Access,
        Interface::CpFunction => Origin::Control,
        Interface::Core | Interface::N6Lan | Interface::Four | Interface::Five => Origin::Core,
    }
}

/// TEIDs of other sides than the access, in their order. A tunnel has one side, which decides by which rules its
/// packets go.
fn origins(rules: &RuleSet) -> Result<Box<[(u32, Origin)]>, Refusal> {
    let mut all = BTreeMap::new();
    for pdr in rules.pdrs.values() {
        let Some(FTeid::Assigned { teid, .. }) = pdr.pdi.f_teid else { continue };
        let origin = origin(pdr.pdi.source_interface);
        if *all.entry(teid).or_insert(origin) != origin {
            let failed = FailedRuleId::Pdr(pdr.pdr_id);
            return Err(Refusal::rule(failed, 21, "an F-TEID has one source interface"));
        }
    }
    Ok(all.into_iter().filter(|(_, origin)| *origin != Origin::Access).collect())
}

const ACTIVATE_PREDEFINED_RULES: u16 = 106;
const TRAFFIC_ENDPOINT_ID: u16 = 131;
const ETHERNET_PACKET_FILTER: u16 = 132;

/// What would change what the rule means, and is not understood here, is refused.
fn check_supported(pdr: &CreatePdr, failed: FailedRuleId) -> Result<(), Refusal> {
    if pdr.unknown.iter().any(|ie| ie.ie_type == ACTIVATE_PREDEFINED_RULES) {
        let refusal = Refusal::rule(failed, ACTIVATE_PREDEFINED_RULES, "there are no predefined rules");
        return Err(Refusal { cause: Cause::UNKNOWN_PRE_DEFINED_RULE, ..refusal });
    }
    if pdr.pdi.application_id.is_some() {
        let refusal = Refusal::rule(failed, 24, "no application is known");
        return Err(Refusal { cause: Cause::UNKNOWN_APPLICATION_ID, ..refusal });
    }
    for ie in &pdr.pdi.unknown {
        if matches!(ie.ie_type, TRAFFIC_ENDPOINT_ID | ETHERNET_PACKET_FILTER) {
            return Err(Refusal::rule(failed, ie.ie_type, "not supported"));
        }
    }
    let only_gtpu_v4 = [OuterHeaderRemoval::GTPU_UDP_IPV4, OuterHeaderRemoval::GTPU_UDP_IP];
    if let Some(removal) = pdr.outer_header_removal
        && !only_gtpu_v4.contains(&removal.description)
    {
        return Err(Refusal::rule(failed, 95, "only GTP-U/UDP/IPv4 headers can be removed"));
    }
    let chosen = |ue: &UeIpAddress| ue.choose_ipv4 || ue.choose_ipv6;
    if pdr.pdi.ue_ip_addresses.iter().any(chosen) {
        return Err(Refusal::rule(failed, 93, "UE addresses are allocated by the SMF"));
    }
    Ok(())
}

fn compile_far(far: &CreateFar, around: &Surroundings<'_>) -> Result<Action, Refusal> {
    let failed = FailedRuleId::Far(far.far_id);
    let action = far.apply_action;
    if action.contains(ApplyAction::DROP) {
        return Ok(Action::Drop);
    }
    if action.contains(ApplyAction::BUFF) {
        return Ok(Action::Buffer { notify: action.contains(ApplyAction::NOCP) });
    }
    if !action.contains(ApplyAction::FORW) {
        return Err(Refusal::rule(failed, 44, "the apply action is none that can be done"));
    }
    let Some(to) = &far.forwarding_parameters else { return Ok(Action::Nowhere) };
    match (to.destination_interface, to.outer_header_creation) {
        (interface, Some(header)) => {
            let (Some(teid), Some(address)) = (header.teid, header.ipv4) else {
                return Err(Refusal::rule(failed, 84, "only GTP-U/UDP/IPv4 headers can be created"));
            };
            let peer = SocketAddrV4::new(address, tern_gtpu::PORT);
            let tunnel = Tunnel { teid, peer };
            Ok(match interface {
                Interface::Access => Action::ToAccess(tunnel),
                Interface::CpFunction => Action::ToControl(tunnel),
                _ => Action::ToCore(tunnel),
            })
        }
        (Interface::Core | Interface::N6Lan, None) => {
            Ok(Action::ToNetwork(network(to.network_instance.as_ref(), around)))
        }
        (_, None) => Ok(Action::Nowhere),
    }
}

/// The data network that the FAR's network instance names, else the session's DNN, else the first.
fn network(instance: Option<&Name>, around: &Surroundings<'_>) -> u16 {
    [instance, around.dnn].into_iter().flatten().find_map(|name| named(name, around)).unwrap_or(0)
}

/// The data network of this name. An SMF may have names that are none of ours: they restrict nothing.
fn named(name: &Name, around: &Surroundings<'_>) -> Option<u16> {
    let is_it = |network: &N6Config| network.dnn.to_string().eq_ignore_ascii_case(&name.0);
    around.networks.iter().position(is_it).and_then(|at| u16::try_from(at).ok())
}

fn compile_qer(rule: &CreateQer, old: Option<&Qer>) -> Qer {
    let old = old.and_then(|qer| qer.meters.as_ref());
    let meters = rule.mbr.map(|mbr| match old {
        Some(old) if old.kbps() == (mbr.uplink_kbps, mbr.downlink_kbps) => old.clone(),
        Some(old) => Arc::new(old.at(mbr.uplink_kbps, mbr.downlink_kbps)),
        None => {
            Arc::new(Meters { uplink: Meter::new(mbr.uplink_kbps), downlink: Meter::new(mbr.downlink_kbps) })
        }
    });
    Qer {
        id: rule.qer_id.0,
        uplink_open: !rule.gate_status.uplink_closed,
        downlink_open: !rule.gate_status.downlink_closed,
        qfi: rule.qfi.map(|qfi| qfi.0),
        rqi: rule.rqi.is_some_and(|rqi| rqi.0),
        ppi: rule.paging_policy_indicator.map(|ppi| ppi.0),
        meters,
    }
}
