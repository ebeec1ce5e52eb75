//! From the rules of N4 to what the data path looks packets up in.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use pdr_classifier::{
    ExpandError, Filters, InsertError, PdrId as RuleId, QfiSet, Rule, Sdf, Side, SourceInterface, UeIp,
};
use tern_pfcp::*;

use super::rules::{Refusal, RuleSet};
use super::urr::Urr;
use crate::config::{ClassifierKind, N6Config};
use crate::path::{
    Action, FilterError, Meter, N3, Pdr, Qer, Rules, Session, SessionState, Tunnel, Usage, sdf_filter,
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
    /// Meters that go on, if their rates stay.
    pub(crate) old_qers: &'a BTreeMap<QerId, Arc<Qer>>,
    pub(crate) urrs: &'a BTreeMap<UrrId, Urr>,
}

/// The result.
pub(crate) struct Compiled {
    pub(crate) session: Arc<Session>,
    pub(crate) qers: BTreeMap<QerId, Arc<Qer>>,
    /// URRs that are new; they count from now on.
    pub(crate) usages: BTreeMap<UrrId, Arc<Usage>>,
}

/// Compiles all rules, or names the one that cannot be.
pub(crate) fn compile(rules: &RuleSet, around: &Surroundings<'_>) -> Result<Compiled, Refusal> {
    let qers: BTreeMap<QerId, Arc<Qer>> = rules
        .qers
        .iter()
        .map(|(id, rule)| (*id, Arc::new(compile_qer(rule, around.old_qers.get(id).map(Arc::as_ref)))))
        .collect();
    let usages: BTreeMap<UrrId, Arc<Usage>> = rules
        .urrs
        .keys()
        .map(|id| (*id, around.urrs.get(id).map(|urr| urr.usage.clone()).unwrap_or_default()))
        .collect();
    let filters_by_id: BTreeMap<u32, &SdfFilter> = rules
        .pdrs
        .values()
        .flat_map(|pdr| &pdr.pdi.sdf_filters)
        .filter(|filter| filter.flow_description.is_some())
        .filter_map(|filter| Some((filter.filter_id?, filter)))
        .collect();
    let ue = rules.pdrs.values().flat_map(|pdr| &pdr.pdi.ue_ip_addresses).find_map(|ue| ue.ipv4);
    let (mut uplink, mut downlink) = (Vec::new(), Vec::new());
    let mut alternatives = 0;
    for pdr in rules.pdrs.values() {
        let compiled = compile_pdr(pdr, rules, around, &qers, &usages, &filters_by_id, ue)?;
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
    let mut addresses: Vec<Ipv4Addr> =
        rules.pdrs.values().flat_map(|pdr| &pdr.pdi.ue_ip_addresses).filter_map(|ue| ue.ipv4).collect();
    addresses.sort_unstable();
    addresses.dedup();
    let mut teids: Vec<u32> = rules.teids().collect();
    teids.sort_unstable();
    teids.dedup();
    let session = Arc::new(Session {
        seid: around.seid,
        generation: around.generation,
        ue_addresses: addresses,
        teids,
        uplink: Rules::new(around.classifier, uplink).map_err(too_many)?,
        downlink: Rules::new(around.classifier, downlink).map_err(too_many)?,
        state: around.state.clone(),
    });
    Ok(Compiled { session, qers, usages })
}

fn too_many(_: InsertError) -> Refusal {
    Refusal::new(Cause::NO_RESOURCES_AVAILABLE, TOO_MANY_ALTERNATIVES)
}

#[allow(clippy::too_many_arguments)]
fn compile_pdr(
    pdr: &CreatePdr,
    rules: &RuleSet,
    around: &Surroundings<'_>,
    qers: &BTreeMap<QerId, Arc<Qer>>,
    usages: &BTreeMap<UrrId, Arc<Usage>>,
    filters_by_id: &BTreeMap<u32, &SdfFilter>,
    ue: Option<Ipv4Addr>,
) -> Result<(Pdr, Rule), Refusal> {
    let failed = FailedRuleId::Pdr(pdr.pdr_id);
    let refuse = |ie, why| Refusal::rule(failed, ie, why);
    check_supported(pdr, failed)?;
    let far_id = pdr.far_id.ok_or_else(|| Refusal {
        cause: Cause::CONDITIONAL_IE_MISSING,
        ..refuse(108, "the PDR has no FAR ID")
    })?;
    let far = rules.fars.get(&far_id).ok_or_else(|| refuse(108, "the PDR's FAR does not exist"))?;
    let find = |id: &QerId| qers.get(id).cloned().ok_or_else(|| refuse(109, "the PDR's QER does not exist"));
    let pdr_qers = pdr.qer_ids.iter().map(find).collect::<Result<Vec<_>, _>>()?;
    let find = |id: &UrrId| {
        let usage = usages.get(id).cloned().ok_or_else(|| refuse(81, "the PDR's URR does not exist"))?;
        Ok((id.0, usage))
    };
    let pdr_usages = pdr.urr_ids.iter().map(find).collect::<Result<Vec<_>, Refusal>>()?;
    let uplink = pdr.pdi.source_interface == Interface::Access;
    let mut filters = Vec::new();
    for filter in &pdr.pdi.sdf_filters {
        let defined = match (&filter.flow_description, filter.filter_id) {
            (None, Some(id)) => filters_by_id.get(&id).copied().unwrap_or(filter),
            _ => filter,
        };
        let filter = sdf_filter(defined, uplink, ue).map_err(|error| match error {
            FilterError::Empty if defined.filter_id.is_some() => {
                refuse(23, "the SDF filter refers to an ID that is not defined")
            }
            FilterError::Empty => refuse(23, "the SDF filter is empty"),
            FilterError::Expected(_) => refuse(23, "the flow description cannot be understood"),
        })?;
        filters.push(Sdf::Filter(filter));
    }
    let action = compile_far(far, around)?;
    let teid = match pdr.pdi.f_teid {
        Some(FTeid::Assigned { teid, .. }) => Some(teid),
        _ => None,
    };
    if uplink && teid.is_none() {
        return Err(refuse(21, "a PDR of the access side needs an F-TEID"));
    }
    let ue_address = pdr.pdi.ue_ip_addresses.iter().find_map(|ue| ue.ipv4);
    if !uplink && ue_address.is_none() {
        return Err(refuse(93, "a PDR of the core side needs a UE IPv4 address"));
    }
    let qfis: Vec<u8> = pdr.pdi.qfis.iter().map(|qfi| qfi.0).collect();
    let pdi = pdr_classifier::Pdi {
        source_interface: source_interface(pdr.pdi.source_interface),
        f_teids: teid.map(|teid| pdr_classifier::FTeid { address: N3, teid }).into_iter().collect(),
        ue_ip: ue_address.map(|v4| UeIp {
            side: if uplink { Side::Source } else { Side::Destination },
            v4: Some(v4),
            v6: None,
        }),
        sdf_filters: filters,
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

/// N6 is one interface here, by either name.
fn source_interface(interface: Interface) -> SourceInterface {
    match interface {
        Interface::Access => SourceInterface::Access,
        Interface::Core | Interface::N6Lan => SourceInterface::Core,
        Interface::CpFunction => SourceInterface::CpFunction,
        Interface::Four | Interface::Five => SourceInterface::FiveGVnInternal,
    }
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
        (_, Some(header)) => {
            let (Some(teid), Some(address)) = (header.teid, header.ipv4) else {
                return Err(Refusal::rule(failed, 84, "only GTP-U/UDP/IPv4 headers can be created"));
            };
            let peer = SocketAddrV4::new(address, tern_gtpu::PORT);
            Ok(Action::ToAccess(Tunnel { teid, peer }))
        }
        (Interface::Core | Interface::N6Lan, None) => {
            Ok(Action::ToNetwork(network(to.network_instance.as_ref(), around)))
        }
        (_, None) => Ok(Action::Nowhere),
    }
}

/// The data network that the FAR's network instance names, else the session's DNN, else the first.
fn network(instance: Option<&Name>, around: &Surroundings<'_>) -> usize {
    [instance, around.dnn]
        .into_iter()
        .flatten()
        .find_map(|name| {
            around.networks.iter().position(|network| network.dnn.to_string().eq_ignore_ascii_case(&name.0))
        })
        .unwrap_or(0)
}

fn compile_qer(rule: &CreateQer, old: Option<&Qer>) -> Qer {
    let meter = |kbps: Option<u64>, old: Option<&Arc<Meter>>| {
        let kbps = kbps?;
        let same = old.filter(|old| old.kbps() == kbps).cloned();
        Some(same.unwrap_or_else(|| Arc::new(Meter::new(kbps))))
    };
    Qer {
        uplink_open: !rule.gate_status.uplink_closed,
        downlink_open: !rule.gate_status.downlink_closed,
        uplink: meter(rule.mbr.map(|mbr| mbr.uplink_kbps), old.and_then(|old| old.uplink.as_ref())),
        downlink: meter(rule.mbr.map(|mbr| mbr.downlink_kbps), old.and_then(|old| old.downlink.as_ref())),
        qfi: rule.qfi.map(|qfi| qfi.0),
        rqi: rule.rqi.is_some_and(|rqi| rqi.0),
        ppi: rule.paging_policy_indicator.map(|ppi| ppi.0),
    }
}
