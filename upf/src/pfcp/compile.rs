//! From the rules of N4 to what the data path looks packets up in.

use std::sync::Arc;

use smallvec::SmallVec;
use tern_pfcp::*;

use super::actions::compile_far;
use super::detection::{Detection, Ends, Part, References};
use super::intern::{Shared, Use};
use super::known::{Known, Predefined};
use super::rules::{Refusal, RuleSet};
use super::urr::{Urr, Urrs, is_metered};
use crate::config::{ClassifierKind, N3Config, N6Config, N9Config, PredefinedAction};
use crate::path::{
    Account, Action, Besides, Guarantee, Measured, Metered, More, Places, Qer, REFERENCES_MAX, Redirect,
    Redirections, Session, SessionState,
};

/// What compiling needs to know besides the rules.
pub(crate) struct Surroundings<'a> {
    pub(crate) seid: u64,
    pub(crate) generation: u32,
    /// The data network of the session's DNN.
    pub(crate) network: Option<u16>,
    pub(crate) networks: &'a [N6Config],
    pub(crate) n3: &'a N3Config,
    pub(crate) n9: Option<&'a N9Config>,
    pub(crate) known: &'a Known,
    pub(crate) classifier: ClassifierKind,
    pub(crate) state: &'a Arc<SessionState>,
    /// Whether there is an inactivity timer.
    pub(crate) is_watched: bool,
    /// Whether the rules before had packets wait.
    pub(crate) has_buffered: bool,
    /// The QERs before, whose meters go on if their rates stay; by ID.
    pub(crate) old_qers: &'a [Qer],
    /// Of the session before.
    pub(crate) redirections: Option<&'a Arc<Redirections>>,
    pub(crate) urrs: &'a Urrs,
}

/// Compiles all rules, or names the one that cannot be. URRs that are new count from now on. The rules that are
/// shared have one more user then.
pub(crate) fn compile(
    rules: &RuleSet,
    around: &Surroundings<'_>,
    shared: &mut Shared,
) -> Result<(Session, Use), Refusal> {
    let old_qer = |id: u32| {
        let at = around.old_qers.binary_search_by_key(&id, |qer| qer.id).ok()?;
        around.old_qers.get(at)
    };
    // All are in the order of their IDs, and are found by these.
    let predefined = around.known.predefined_of(rules);
    let predefined = predefined.iter().filter_map(|rule| rule.qer.as_ref());
    // Those of predefined rules have the highest IDs.
    let qers = rules.qers.iter().chain(predefined);
    let qers: Vec<Qer> = qers.map(|rule| compile_qer(rule, old_qer(rule.qer_id.0), around.n3)).collect();
    // What is new of both kinds is kept together, the first with the first, since packets mostly need both.
    let new = qers.iter().filter(|qer| old_qer(qer.id).is_none()).filter_map(|qer| qer.meters.as_ref());
    let mut new = new.cloned();
    let usages = rules.urrs.iter().map(|rule| Measured {
        urr_id: rule.urr_id.0,
        usage: match around.urrs.get(rule.urr_id) {
            Some(urr) => urr.usage.clone(),
            None => new.next().unwrap_or_default(),
        },
    });
    let usages: Vec<Measured> = usages.collect();
    let actions = vec![Action::Nowhere; rules.fars.len()];
    let mores = Vec::new();
    let mut parts = Parts { qers, usages, fars: rules.fars.len(), actions, mores };
    let ends = Ends::of(rules)?;
    let detection = Detection::new(rules, &ends, |pdr| {
        let found = parts.find(pdr, rules, around)?;
        Ok((pdr.pdi.network_instance.as_ref().and_then(|name| network_named(name, around.networks)), found))
    })?;
    // The last that can fail, so that nobody has to give it back.
    let compiled = || detection.compile(around.classifier);
    let (shared_use, shared_rules) = shared.rules.take(&detection.octets(), compiled)?;
    parts.actions.iter_mut().filter_map(Action::tunnel_mut).for_each(|tunnel| shared.remotes.share(tunnel));
    let mut rare = ends.rare;
    if let Some(besides) = parts.besides(around.redirections, metered(rules, around.urrs)) {
        rare.get_or_insert_default().besides = Some(besides);
    }
    let is_unusual = around.is_watched
        || around.has_buffered
        || rare.as_ref().is_some_and(|rare| rare.besides.is_some())
        || parts.qers.iter().any(|qer| !(qer.uplink_open && qer.downlink_open));
    let session = Session {
        rules: shared_rules,
        rare,
        qers: parts.qers.into(),
        usages: parts.usages.into(),
        actions: parts.actions.into(),
        ue_address: ends.ue_addresses.first().copied(),
        is_unusual,
        is_watched: around.is_watched,
        has_buffered: around.has_buffered,
        state: around.state.clone(),
        seid: around.seid,
        ue_addresses: ends.ue_addresses,
        teids: ends.teids,
        generation: around.generation,
    };
    Ok((session, shared_use))
}

/// What URRs measure besides volume, by their places. What one has measured goes on.
fn metered(rules: &RuleSet, urrs: &Urrs) -> Box<[(u8, Arc<Metered>)]> {
    let all = (0..=u8::MAX).zip(rules.urrs.iter()).filter_map(|(place, rule)| {
        let known = urrs.get(rule.urr_id).and_then(Urr::metered);
        is_metered(rule).then(|| (place, known.cloned().unwrap_or_default()))
    });
    all.collect()
}

/// What PDRs refer to.
struct Parts {
    /// By ID.
    qers: Vec<Qer>,
    /// By ID.
    usages: Vec<Measured>,
    fars: usize,
    /// In the order of the FARs' IDs, then those that are no FAR's. Of one that no PDR refers to nothing is asked.
    actions: Vec<Action>,
    /// What they do besides, if one of them does; in the same order.
    mores: Vec<More>,
}

impl Parts {
    /// What the PDR itself detects, and what its predefined rules do. Of an application whose packets nobody can
    /// tell there is nothing.
    fn find<'a>(
        &mut self,
        pdr: &'a CreatePdr,
        rules: &RuleSet,
        around: &Surroundings<'a>,
    ) -> Result<SmallVec<[Part<'a>; 1]>, Refusal> {
        let failed = FailedRuleId::Pdr(pdr.pdr_id);
        check_supported(pdr, failed)?;
        let mut parts = SmallVec::new();
        let names = &pdr.activate_predefined_rules;
        let detects = !pdr.pdi.sdf_filters.is_empty() || pdr.pdi.application_id.is_some();
        let mut add = |application: Option<&ApplicationId>, flows, predefined| {
            let flows = application.map_or(flows, |id| around.known.flows(id));
            let refers = self.refer(pdr, predefined, rules, around)?;
            if application.is_none() || !flows.is_empty() {
                parts.push(Part { flows, refers });
            }
            Ok(())
        };
        if detects || names.is_empty() {
            add(pdr.pdi.application_id.as_ref(), &pdr.pdi.sdf_filters[..], None)?;
        }
        for name in names {
            let unknown = || Refusal {
                cause: Cause::UNKNOWN_PRE_DEFINED_RULE,
                ..Refusal::rule(failed, ACTIVATE_PREDEFINED_RULES, "no predefined rule has this name")
            };
            let predefined = around.known.predefined(name).ok_or_else(unknown)?;
            add(predefined.application.as_ref(), &predefined.flows[..], Some(predefined))?;
        }
        Ok(parts)
    }

    fn refer(
        &mut self,
        pdr: &CreatePdr,
        predefined: Option<&Predefined>,
        rules: &RuleSet,
        around: &Surroundings<'_>,
    ) -> Result<References, Refusal> {
        let failed = FailedRuleId::Pdr(pdr.pdr_id);
        let uplink = pdr.pdi.source_interface == Interface::Access;
        let missing = || Refusal::rule(failed, 108, "the PDR's FAR does not exist");
        let place = match (pdr.far_id, predefined.and_then(|rule| rule.action)) {
            (Some(far_id), _) => {
                let (place, far) = rules.fars.find(far_id).ok_or_else(missing)?;
                let (action, more) = compile_far(far, around)?;
                if more.redirect.is_some() && !uplink {
                    return Err(Refusal::rule(failed, 108, "only packets of the UE are redirected"));
                }
                self.actions[place] = action;
                self.set_more(place, more);
                place
            }
            (None, Some(PredefinedAction::Drop)) => self.one_more(Action::Drop),
            (None, Some(PredefinedAction::Forward)) if uplink => {
                self.one_more(Action::ToNetwork(network(None, around)))
            }
            (None, _) => {
                let cause = Cause::CONDITIONAL_IE_MISSING;
                return Err(Refusal { cause, ..Refusal::rule(failed, 108, "the PDR has no FAR ID") });
            }
        };
        let action = u8::try_from(place).map_err(|_| Refusal {
            cause: Cause::NO_RESOURCES_AVAILABLE,
            ..Refusal::rule(failed, 108, "too many actions in one session")
        })?;
        let qers = self.qers(pdr, predefined)?;
        let meters = qers.only(&self.qers, |qer| qer.meters.is_some());
        let flow = qers.of(&self.qers).find_map(Qer::flow);
        Ok(References { action, qers, meters, usages: self.usages(pdr)?, flow })
    }

    /// The place of an action that is no FAR's.
    fn one_more(&mut self, action: Action) -> usize {
        let known = self.actions.iter().skip(self.fars).position(|known| *known == action);
        let place = known.map_or(self.actions.len(), |at| self.fars + at);
        if known.is_none() {
            self.actions.push(action);
        }
        place
    }

    fn set_more(&mut self, place: usize, more: More) {
        if more != More::default() {
            self.mores.resize(self.mores.len().max(place + 1), More::default());
            self.mores[place] = more;
        }
    }

    /// What few sessions have.
    fn besides(
        &mut self,
        before: Option<&Arc<Redirections>>,
        metered: Box<[(u8, Arc<Metered>)]>,
    ) -> Option<Besides> {
        let mores = std::mem::take(&mut self.mores);
        let is_address = |more: &More| matches!(more.redirect, Some(Redirect::Address(_)));
        let redirections = mores.iter().any(is_address).then(|| before.cloned().unwrap_or_default());
        let any = !mores.is_empty() || !metered.is_empty();
        any.then(|| Besides { mores: mores.into(), redirections, metered })
    }

    /// Those of a predefined rule come first, so that it is its QFI that counts.
    fn qers(&self, pdr: &CreatePdr, predefined: Option<&Predefined>) -> Result<Places, Refusal> {
        let place = |id: &QerId| self.qers.binary_search_by_key(&id.0, |qer| qer.id).ok();
        let of_predefined = predefined.and_then(|rule| rule.qer.as_ref()).map(|qer| &qer.qer_id);
        let all = of_predefined.into_iter().chain(&pdr.qer_ids);
        places(all.map(place), pdr.pdr_id, 109, "the PDR's QER does not exist")
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

/// Predefined rules of one PDR.
const PREDEFINED_MAX: usize = 16;

const ACTIVATE_PREDEFINED_RULES: u16 = 106;
const TRAFFIC_ENDPOINT_ID: u16 = 131;
const ETHERNET_PACKET_FILTER: u16 = 132;

/// What would change what the rule means, and is not understood here, is refused.
fn check_supported(pdr: &CreatePdr, failed: FailedRuleId) -> Result<(), Refusal> {
    if pdr.activate_predefined_rules.len() > PREDEFINED_MAX {
        let cause = Cause::NO_RESOURCES_AVAILABLE;
        let refusal =
            Refusal::rule(failed, ACTIVATE_PREDEFINED_RULES, "too many predefined rules of one PDR");
        return Err(Refusal { cause, ..refusal });
    }
    if pdr.pdi.application_id.is_some() && !pdr.pdi.sdf_filters.is_empty() {
        return Err(Refusal::rule(failed, 24, "a PDR detects by SDF filters or an application, not by both"));
    }
    for ie in &pdr.pdi.unknown {
        if matches!(ie.ie_type, TRAFFIC_ENDPOINT_ID | ETHERNET_PACKET_FILTER) {
            return Err(Refusal::rule(failed, ie.ie_type, "not supported"));
        }
    }
    let removable = [
        OuterHeaderRemoval::GTPU_UDP_IPV4,
        OuterHeaderRemoval::GTPU_UDP_IPV6,
        OuterHeaderRemoval::GTPU_UDP_IP,
    ];
    if let Some(removal) = pdr.outer_header_removal
        && !removable.contains(&removal.description)
    {
        return Err(Refusal::rule(failed, 95, "only GTP-U headers can be removed"));
    }
    let chosen = |ue: &UeIpAddress| ue.choose_ipv4 || ue.choose_ipv6;
    if pdr.pdi.ue_ip_addresses.iter().any(chosen) {
        return Err(Refusal::rule(failed, 93, "UE addresses are allocated by the SMF"));
    }
    Ok(())
}

/// The data network that the FAR's network instance names, else the session's DNN, else the first.
pub(super) fn network(instance: Option<&Name>, around: &Surroundings<'_>) -> u16 {
    instance.and_then(|name| network_named(name, around.networks)).or(around.network).unwrap_or(0)
}

/// The data network of this name. An SMF may have names that are none of ours: they restrict nothing.
pub(crate) fn network_named(name: &Name, networks: &[N6Config]) -> Option<u16> {
    let is_it = |network: &N6Config| network.dnn.as_str().eq_ignore_ascii_case(&name.0);
    networks.iter().position(is_it).and_then(|at| u16::try_from(at).ok())
}

fn guarantee(gbr: Option<BitRate>, old: Option<&Arc<Guarantee>>) -> Option<Arc<Guarantee>> {
    // Zero in both directions guarantees nothing.
    let BitRate { uplink_kbps, downlink_kbps } = gbr.filter(|gbr| *gbr != BitRate::default())?;
    Some(match old {
        Some(old) if old.kbps() == (uplink_kbps, downlink_kbps) => old.clone(),
        Some(old) => Arc::new(old.at(uplink_kbps, downlink_kbps)),
        None => Arc::new(Guarantee::new(uplink_kbps, downlink_kbps)),
    })
}

fn compile_qer(rule: &CreateQer, old: Option<&Qer>, n3: &N3Config) -> Qer {
    let meters = |rates: Option<BitRate>, old: Option<&Arc<Account>>| {
        rates.map(|BitRate { uplink_kbps, downlink_kbps }| match old {
            Some(old) if old.kbps() == (uplink_kbps, downlink_kbps) => old.clone(),
            Some(old) => Arc::new(old.metering_on(uplink_kbps, downlink_kbps)),
            None => Arc::new(Account::metering(uplink_kbps, downlink_kbps)),
        })
    };
    Qer {
        id: rule.qer_id.0,
        uplink_open: !rule.gate_status.uplink_closed,
        downlink_open: !rule.gate_status.downlink_closed,
        qfi: rule.qfi.map(|qfi| qfi.0),
        rqi: rule.rqi.is_some_and(|rqi| rqi.0),
        ppi: rule.paging_policy_indicator.map(|ppi| ppi.0),
        dscp: rule.qfi.and_then(|qfi| n3.dscp.get(&qfi.0)).copied(),
        meters: meters(rule.mbr, old.and_then(|qer| qer.meters.as_ref())),
        guaranteed: guarantee(rule.gbr, old.and_then(|qer| qer.guaranteed.as_ref())),
    }
}
