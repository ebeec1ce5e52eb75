//! From the rules of N4 to what the data path looks packets up in.

use std::net::SocketAddrV4;
use std::sync::Arc;

use smallvec::{SmallVec, smallvec};
use tern_pfcp::*;

use super::detection::{Detection, Ends, References};
use super::intern::{Interner, Use};
use super::rules::{Refusal, RuleSet};
use super::urr::Urrs;
use crate::config::{ClassifierKind, N6Config};
use crate::path::{
    Action, Measured, Meter, Meters, Places, Qer, REFERENCES_MAX, Session, SessionState, SharedRules, Tunnel,
};

/// What compiling needs to know besides the rules.
pub(crate) struct Surroundings<'a> {
    pub(crate) seid: u64,
    pub(crate) generation: u32,
    /// The data network of the session's DNN.
    pub(crate) network: Option<u16>,
    pub(crate) networks: &'a [N6Config],
    pub(crate) classifier: ClassifierKind,
    pub(crate) state: &'a Arc<SessionState>,
    /// Whether there is an inactivity timer.
    pub(crate) is_watched: bool,
    /// Whether the rules before had packets wait.
    pub(crate) has_buffered: bool,
    /// The QERs before, whose meters go on if their rates stay; by ID.
    pub(crate) old_qers: &'a [Qer],
    pub(crate) urrs: &'a Urrs,
}

/// Compiles all rules, or names the one that cannot be. URRs that are new count from now on. The rules that are
/// shared have one more user then.
pub(crate) fn compile(
    rules: &RuleSet,
    around: &Surroundings<'_>,
    shared: &mut Interner<SharedRules>,
) -> Result<(Session, Use), Refusal> {
    let old_qer = |id: u32| {
        let at = around.old_qers.binary_search_by_key(&id, |qer| qer.id).ok()?;
        around.old_qers.get(at)
    };
    // All are in the order of their IDs, and are found by these.
    let qers = rules.qers.values().map(|rule| compile_qer(rule, old_qer(rule.qer_id.0))).collect();
    let usages = rules.urrs.keys().map(|id| Measured {
        urr_id: id.0,
        usage: around.urrs.get(*id).map(|urr| urr.usage.clone()).unwrap_or_default(),
    });
    let fars = rules.fars.keys().copied().collect();
    let actions = smallvec![Action::Nowhere; rules.fars.len()];
    let mut parts = Parts { qers, usages: usages.collect(), fars, actions };
    let ends = Ends::of(rules);
    let detection = Detection::new(rules, &ends, |pdr| {
        let refers = parts.refer(pdr, rules, around)?;
        Ok((pdr.pdi.network_instance.as_ref().and_then(|name| network_named(name, around.networks)), refers))
    })?;
    // The last that can fail, so that nobody has to give it back.
    let (shared_use, shared) = shared.take(&detection.octets(), || detection.compile(around.classifier))?;
    let session = Session {
        rules: shared,
        qers: parts.qers,
        usages: parts.usages,
        actions: parts.actions,
        ue_addresses: ends.ue_addresses,
        state: around.state.clone(),
        seid: around.seid,
        teids: ends.teids,
        generation: around.generation,
        is_watched: around.is_watched,
        has_buffered: around.has_buffered,
    };
    Ok((session, shared_use))
}

/// What PDRs refer to.
struct Parts {
    /// By ID.
    qers: SmallVec<[Qer; 1]>,
    /// By ID.
    usages: SmallVec<[Measured; 1]>,
    fars: SmallVec<[FarId; 2]>,
    /// In the order of `fars`. Of one that no PDR refers to nothing is asked.
    actions: SmallVec<[Action; 2]>,
}

impl Parts {
    fn refer(
        &mut self,
        pdr: &CreatePdr,
        rules: &RuleSet,
        around: &Surroundings<'_>,
    ) -> Result<References, Refusal> {
        let failed = FailedRuleId::Pdr(pdr.pdr_id);
        check_supported(pdr, failed)?;
        let far_id = pdr.far_id.ok_or_else(|| Refusal {
            cause: Cause::CONDITIONAL_IE_MISSING,
            ..Refusal::rule(failed, 108, "the PDR has no FAR ID")
        })?;
        let missing = || Refusal::rule(failed, 108, "the PDR's FAR does not exist");
        let far = rules.fars.get(&far_id).ok_or_else(missing)?;
        let place = self.fars.binary_search(&far_id).map_err(|_| missing())?;
        self.actions[place] = compile_far(far, around)?;
        let action = u8::try_from(place).map_err(|_| missing())?;
        Ok(References { action, qers: self.qers(pdr)?, usages: self.usages(pdr)? })
    }

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

const ACTIVATE_PREDEFINED_RULES: u16 = 106;
const TRAFFIC_ENDPOINT_ID: u16 = 131;
const ETHERNET_PACKET_FILTER: u16 = 132;

/// What would change what the rule means, and is not understood here, is refused.
fn check_supported(pdr: &CreatePdr, failed: FailedRuleId) -> Result<(), Refusal> {
    if !pdr.activate_predefined_rules.is_empty() {
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
fn network(instance: Option<&Name>, around: &Surroundings<'_>) -> u16 {
    instance.and_then(|name| network_named(name, around.networks)).or(around.network).unwrap_or(0)
}

/// The data network of this name. An SMF may have names that are none of ours: they restrict nothing.
pub(crate) fn network_named(name: &Name, networks: &[N6Config]) -> Option<u16> {
    let is_it = |network: &N6Config| network.dnn.as_str().eq_ignore_ascii_case(&name.0);
    networks.iter().position(is_it).and_then(|at| u16::try_from(at).ok())
}

fn compile_qer(rule: &CreateQer, old: Option<&Qer>) -> Qer {
    let meters = |rates: Option<BitRate>, old: Option<&Arc<Meters>>| {
        rates.map(|BitRate { uplink_kbps, downlink_kbps }| match old {
            Some(old) if old.kbps() == (uplink_kbps, downlink_kbps) => old.clone(),
            Some(old) => Arc::new(old.at(uplink_kbps, downlink_kbps)),
            None => Arc::new(Meters { uplink: Meter::new(uplink_kbps), downlink: Meter::new(downlink_kbps) }),
        })
    };
    Qer {
        id: rule.qer_id.0,
        uplink_open: !rule.gate_status.uplink_closed,
        downlink_open: !rule.gate_status.downlink_closed,
        qfi: rule.qfi.map(|qfi| qfi.0),
        rqi: rule.rqi.is_some_and(|rqi| rqi.0),
        ppi: rule.paging_policy_indicator.map(|ppi| ppi.0),
        meters: meters(rule.mbr, old.and_then(|qer| qer.meters.as_ref())),
        guaranteed: meters(rule.gbr, old.and_then(|qer| qer.guaranteed.as_ref())),
    }
}
