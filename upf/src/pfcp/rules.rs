//! A session's rules as N4 gives them, and how requests change them.

use smallvec::SmallVec;
use tern_pfcp::*;

use super::actions::interface_of;
use super::known::PREDEFINED_BIT;
use super::ordered::{Ordered, Rule, Unfit};
use super::teid::Teids;
use super::urr;
use crate::config::{Addresses, Config, N9Config, TunnelEnds};

/// PDRs in one session.
pub(crate) const PDRS_MAX: usize = 1_024;
/// Rules of any other kind in one session: the data path counts them with eight bits.
const OTHERS_MAX: usize = 1 << u8::BITS;

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) cause: Cause,
    pub(crate) rule: Option<FailedRuleId>,
    pub(crate) offending_ie: Option<u16>,
    pub(crate) why: &'static str,
}

impl Refusal {
    pub(crate) fn new(cause: Cause, why: &'static str) -> Self {
        Self { cause, rule: None, offending_ie: None, why }
    }

    /// A rule that cannot be created or changed (cause 73).
    pub(crate) fn rule(rule: FailedRuleId, offending_ie: u16, why: &'static str) -> Self {
        Self {
            cause: Cause::RULE_CREATION_MODIFICATION_FAILURE,
            rule: Some(rule),
            offending_ie: Some(offending_ie),
            why,
        }
    }
}

/// All rules of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RuleSet {
    pub(crate) pdrs: Ordered<CreatePdr>,
    pub(crate) fars: Ordered<CreateFar>,
    pub(crate) qers: Ordered<CreateQer>,
    pub(crate) urrs: Ordered<CreateUrr>,
    pub(crate) bars: Ordered<CreateBar>,
}

/// What a request brought about besides the rules.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// F-TEIDs that were allocated.
    pub(crate) created: Vec<CreatedPdr>,
    /// Ways whose old tunnels get an End Marker.
    pub(crate) end_markers: Vec<ForwardingParameters>,
}

fn add<R: Rule>(
    rules: &mut Ordered<R>,
    new: Vec<R>,
    max: usize,
    failed: impl Fn(R::Id) -> FailedRuleId,
    ie: u16,
) -> Result<(), Refusal> {
    rules.add(new, max).map_err(|unfit| match unfit {
        Unfit::TooMany(id) => {
            let refusal = Refusal::rule(failed(id), ie, "too many rules in one session");
            Refusal { cause: Cause::NO_RESOURCES_AVAILABLE, ..refusal }
        }
        Unfit::Exists(id) => Refusal::rule(failed(id), ie, "the rule exists already"),
    })
}

fn remove<R: Rule>(
    rules: &mut Ordered<R>,
    ids: impl Iterator<Item = R::Id>,
    failed: impl Fn(R::Id) -> FailedRuleId,
    ie: u16,
) -> Result<(), Refusal> {
    let no_such = |id| Refusal::rule(failed(id), ie, "the rule to remove does not exist");
    rules.remove(ids).map_err(no_such)
}

const NO_SUCH_RULE: &str = "the rule to change does not exist";

impl RuleSet {
    /// The rules that an establishment asks for, which are taken out of it.
    pub(crate) fn establish(request: &mut SessionEstablishmentRequest) -> Result<Self, Refusal> {
        let mut rules = Self::default();
        rules.create(
            std::mem::take(&mut request.create_pdr),
            std::mem::take(&mut request.create_far),
            std::mem::take(&mut request.create_qer),
            std::mem::take(&mut request.create_urr),
            std::mem::take(&mut request.create_bar),
        )?;
        Ok(rules)
    }

    /// Changes the rules: removals, creations, for which the rules are taken out of the request, updates. On an
    /// error they are half changed: work on a copy.
    pub(crate) fn modify(&mut self, request: &mut SessionModificationRequest) -> Result<Effects, Refusal> {
        let gone = request.remove_pdr.iter().map(|rule| rule.pdr_id);
        remove(&mut self.pdrs, gone, FailedRuleId::Pdr, 15)?;
        let gone = request.remove_far.iter().map(|rule| rule.far_id);
        remove(&mut self.fars, gone, FailedRuleId::Far, 16)?;
        let gone = request.remove_urr.iter().map(|rule| rule.urr_id);
        remove(&mut self.urrs, gone, FailedRuleId::Urr, 17)?;
        let gone = request.remove_qer.iter().map(|rule| rule.qer_id);
        remove(&mut self.qers, gone, FailedRuleId::Qer, 18)?;
        let gone = request.remove_bar.iter().map(|rule| rule.bar_id);
        remove(&mut self.bars, gone, FailedRuleId::Bar, 87)?;
        self.create(
            std::mem::take(&mut request.create_pdr),
            std::mem::take(&mut request.create_far),
            std::mem::take(&mut request.create_qer),
            std::mem::take(&mut request.create_urr),
            std::mem::take(&mut request.create_bar),
        )?;
        let mut effects = Effects::default();
        for update in &request.update_pdr {
            self.update_pdr(update)?;
        }
        for update in &request.update_far {
            effects.end_markers.extend(self.update_far(update)?);
        }
        for update in &request.update_qer {
            self.update_qer(update)?;
        }
        for update in &request.update_urr {
            self.update_urr(update)?;
        }
        for update in &request.update_bar {
            let failed = FailedRuleId::Bar(update.bar_id);
            let bar = self.bars.get_mut(update.bar_id).ok_or(Refusal::rule(failed, 86, NO_SUCH_RULE))?;
            replace(&mut bar.downlink_data_notification_delay, &update.downlink_data_notification_delay);
            replace(&mut bar.suggested_buffering_packets_count, &update.suggested_buffering_packets_count);
        }
        Ok(effects)
    }

    fn create(
        &mut self,
        pdrs: Vec<CreatePdr>,
        fars: Vec<CreateFar>,
        qers: Vec<CreateQer>,
        urrs: Vec<CreateUrr>,
        bars: Vec<CreateBar>,
    ) -> Result<(), Refusal> {
        add(&mut self.pdrs, pdrs, PDRS_MAX, FailedRuleId::Pdr, 1)?;
        add(&mut self.fars, fars, OTHERS_MAX, FailedRuleId::Far, 3)?;
        if let Some(rule) = qers.iter().find(|rule| rule.qer_id.0 & PREDEFINED_BIT != 0) {
            let failed = FailedRuleId::Qer(rule.qer_id);
            return Err(Refusal::rule(failed, 109, "the ID is one of a predefined rule"));
        }
        qers.iter().try_for_each(check_qer)?;
        add(&mut self.qers, qers, OTHERS_MAX, FailedRuleId::Qer, 7)?;
        urrs.iter().try_for_each(urr::check)?;
        add(&mut self.urrs, urrs, OTHERS_MAX, FailedRuleId::Urr, 6)?;
        add(&mut self.bars, bars, OTHERS_MAX, FailedRuleId::Bar, 85)
    }

    fn update_pdr(&mut self, update: &UpdatePdr) -> Result<(), Refusal> {
        let failed = FailedRuleId::Pdr(update.pdr_id);
        let pdr = self.pdrs.get_mut(update.pdr_id).ok_or(Refusal::rule(failed, 9, NO_SUCH_RULE))?;
        replace(&mut pdr.outer_header_removal, &update.outer_header_removal);
        replace(&mut pdr.far_id, &update.far_id);
        if let Some(precedence) = update.precedence {
            pdr.precedence = precedence;
        }
        if let Some(pdi) = &update.pdi {
            let keeps = pdr.pdi.f_teid;
            pdr.pdi = pdi.clone();
            // CHOOSE in an update of a rule that has its F-TEID asks for no other one.
            if let (Some(FTeid::Choose { .. }), Some(FTeid::Assigned { .. })) = (pdr.pdi.f_teid, keeps) {
                pdr.pdi.f_teid = keeps;
            }
        }
        update_predefined(pdr, update)?;
        if !update.urr_ids.is_empty() {
            pdr.urr_ids.clone_from(&update.urr_ids);
        }
        if !update.qer_ids.is_empty() {
            pdr.qer_ids.clone_from(&update.qer_ids);
        }
        Ok(())
    }

    /// The old way, if its tunnel gets an End Marker.
    fn update_far(&mut self, update: &UpdateFar) -> Result<Option<ForwardingParameters>, Refusal> {
        let failed = FailedRuleId::Far(update.far_id);
        let far = self.fars.get_mut(update.far_id).ok_or(Refusal::rule(failed, 10, NO_SUCH_RULE))?;
        if let Some(action) = update.apply_action {
            far.apply_action = action;
        }
        replace(&mut far.bar_id, &update.bar_id);
        update_copies(far, &update.update_duplicating_parameters)?;
        let Some(parameters) = &update.update_forwarding_parameters else { return Ok(None) };
        let marked = parameters.flags.is_some_and(|flags| flags.contains(PfcpSmReqFlags::SNDEM));
        let old = far.forwarding_parameters.clone().filter(|old| marked && tunnel_of(old).is_some());
        let to = far.forwarding_parameters.get_or_insert_default();
        if let Some(interface) = parameters.destination_interface {
            to.destination_interface = interface;
        }
        replace(&mut to.network_instance, &parameters.network_instance);
        replace(&mut to.outer_header_creation, &parameters.outer_header_creation);
        replace(&mut to.transport_level_marking, &parameters.transport_level_marking);
        replace(&mut to.redirect_information, &parameters.redirect_information);
        replace(&mut to.forwarding_policy, &parameters.forwarding_policy);
        let new = tunnel_of(to);
        Ok(old.filter(|old| tunnel_of(old) != new))
    }

    fn update_qer(&mut self, update: &UpdateQer) -> Result<(), Refusal> {
        let failed = FailedRuleId::Qer(update.qer_id);
        let qer = self.qers.get_mut(update.qer_id).ok_or(Refusal::rule(failed, 14, NO_SUCH_RULE))?;
        if let Some(gates) = update.gate_status {
            qer.gate_status = gates;
        }
        replace(&mut qer.mbr, &update.mbr);
        replace(&mut qer.gbr, &update.gbr);
        replace(&mut qer.qfi, &update.qfi);
        replace(&mut qer.rqi, &update.rqi);
        replace(&mut qer.paging_policy_indicator, &update.paging_policy_indicator);
        replace(&mut qer.averaging_window, &update.averaging_window);
        replace(&mut qer.dl_flow_level_marking, &update.dl_flow_level_marking);
        check_qer(qer)
    }

    fn update_urr(&mut self, update: &UpdateUrr) -> Result<(), Refusal> {
        let failed = FailedRuleId::Urr(update.urr_id);
        let urr = self.urrs.get_mut(update.urr_id).ok_or(Refusal::rule(failed, 13, NO_SUCH_RULE))?;
        if let Some(method) = update.measurement_method {
            urr.measurement_method = method;
        }
        if let Some(triggers) = update.reporting_triggers {
            urr.reporting_triggers = triggers;
        }
        replace(&mut urr.measurement_period, &update.measurement_period);
        replace(&mut urr.volume_threshold, &update.volume_threshold);
        replace(&mut urr.volume_quota, &update.volume_quota);
        replace(&mut urr.time_threshold, &update.time_threshold);
        replace(&mut urr.time_quota, &update.time_quota);
        replace(&mut urr.quota_holding_time, &update.quota_holding_time);
        replace(&mut urr.dropped_dl_traffic_threshold, &update.dropped_dl_traffic_threshold);
        replace(&mut urr.quota_validity_time, &update.quota_validity_time);
        replace(&mut urr.monitoring_time, &update.monitoring_time);
        replace(&mut urr.subsequent_volume_threshold, &update.subsequent_volume_threshold);
        replace(&mut urr.subsequent_time_threshold, &update.subsequent_time_threshold);
        replace(&mut urr.subsequent_volume_quota, &update.subsequent_volume_quota);
        replace(&mut urr.subsequent_time_quota, &update.subsequent_time_quota);
        replace(&mut urr.inactivity_detection_time, &update.inactivity_detection_time);
        replace(&mut urr.measurement_information, &update.measurement_information);
        if !update.linked_urr_ids.is_empty() {
            urr.linked_urr_ids.clone_from(&update.linked_urr_ids);
        }
        urr.unknown.extend(update.unknown.iter().cloned());
        urr::check(urr)
    }

    /// Gives each PDR that asks for it an F-TEID with those of our addresses that it asks for; those of one
    /// CHOOSE ID share it.
    pub(crate) fn allocate(
        &mut self,
        named: Named<'_>,
        ours: Ours<'_>,
        teids: &mut Teids,
    ) -> Result<Vec<CreatedPdr>, Refusal> {
        let mut created = Vec::new();
        let mut taken = Taken::default();
        let result = self.pdrs.iter_mut().try_for_each(|pdr| {
            let f_teid = choose(pdr, named, ours, &mut taken, teids)?;
            if f_teid.is_some() {
                pdr.pdi.f_teid = f_teid;
                created.push(CreatedPdr { pdr_id: pdr.pdr_id, f_teid, ..Default::default() });
            }
            Ok(())
        });
        match result {
            Ok(()) => Ok(created),
            Err(refusal) => {
                teids.free_created(&created);
                Err(refusal)
            }
        }
    }

    /// Local TEIDs in use, some of them more than once.
    pub(crate) fn teids(&self) -> impl Iterator<Item = u32> {
        self.pdrs.iter().filter_map(|pdr| match pdr.pdi.f_teid {
            Some(FTeid::Assigned { teid, .. }) => Some(teid),
            _ => None,
        })
    }
}

/// Which F-TEIDs a request may name by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Named<'a> {
    /// Those that the session has.
    Of(&'a [u32]),
    /// Those that the session had before we were started again (TS 29.244 §5.5.1, TS 23.527 §4.3.2): such as are
    /// free, and those of the session in whose place it comes.
    Restored(&'a [u32]),
}

/// The addresses that F-TEIDs have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ours<'a> {
    ends: TunnelEnds,
    n9: Option<&'a N9Config>,
}

impl<'a> Ours<'a> {
    pub(crate) fn of(config: &'a Config) -> Self {
        Self { ends: config.tunnel_ends(), n9: config.n9.as_ref() }
    }

    /// Those of the interface by which packets come that a PDI detects.
    fn at(self, pdi: &Pdi) -> Addresses {
        self.ends.of(interface_of((pdi.source_interface, pdi.network_instance.as_ref()), self.n9))
    }
}

/// F-TEIDs that one request has got.
#[derive(Debug, Default)]
struct Taken {
    by_choose_id: SmallVec<[(u8, FTeid); 2]>,
    restored: Vec<u32>,
}

/// The F-TEID for a PDR that asks for one, or that is restored with one.
fn choose(
    pdr: &CreatePdr,
    named: Named<'_>,
    ours: Ours<'_>,
    taken: &mut Taken,
    teids: &mut Teids,
) -> Result<Option<FTeid>, Refusal> {
    let failed = FailedRuleId::Pdr(pdr.pdr_id);
    let ours = ours.at(&pdr.pdi);
    match (pdr.pdi.f_teid, named) {
        (None, _) => Ok(None),
        (Some(FTeid::Choose { ipv4, ipv6, choose_id }), _) => {
            let known = taken.by_choose_id.iter().find(|(id, _)| Some(*id) == choose_id);
            if let Some((_, f_teid)) = known {
                return Ok(Some(*f_teid));
            }
            // Of both, if both are asked for, what there is (TS 29.244 §8.2.3).
            let (ipv4, ipv6) = (ours.ipv4.filter(|_| ipv4), ours.ipv6.filter(|_| ipv6));
            if ipv4.is_none() && ipv6.is_none() {
                return Err(Refusal::rule(failed, 21, "we have no address of the version that is asked for"));
            }
            let exhausted = Refusal::new(Cause::NO_RESOURCES_AVAILABLE, "no free TEID");
            let f_teid = FTeid::Assigned { teid: teids.allocate().ok_or(exhausted)?, ipv4, ipv6 };
            if let Some(id) = choose_id {
                taken.by_choose_id.push((id, f_teid));
            }
            Ok(Some(f_teid))
        }
        (Some(FTeid::Assigned { teid, .. }), Named::Of(before)) if before.contains(&teid) => Ok(None),
        (Some(f_teid @ FTeid::Assigned { teid, ipv4, ipv6 }), Named::Restored(its))
            if ours.holds(Addresses { ipv4, ipv6 }) =>
        {
            if !taken.restored.contains(&teid) {
                if !its.contains(&teid) && !teids.claim(teid) {
                    return Err(not_allocated(failed, "the F-TEID is another session's now"));
                }
                taken.restored.push(teid);
            }
            Ok(Some(f_teid))
        }
        // Any other is not ours.
        (Some(FTeid::Assigned { .. }), _) => {
            Err(not_allocated(failed, "F-TEIDs are allocated by the UPF alone"))
        }
    }
}

fn not_allocated(failed: FailedRuleId, why: &'static str) -> Refusal {
    Refusal { cause: Cause::INVALID_F_TEID_ALLOCATION_OPTION, ..Refusal::rule(failed, 21, why) }
}

fn replace<T: Clone>(old: &mut Option<T>, new: &Option<T>) {
    if new.is_some() {
        old.clone_from(new);
    }
}

/// Downlink packets are marked for a PGW alone: for it a TDF sets the ToS of an application's packets, and a Service
/// Class Indicator is for GERAN (TS 29.244 §8.2.66, TS 29.281 §5.2.2.3). Neither is of a 5G core.
fn check_qer(rule: &CreateQer) -> Result<(), Refusal> {
    match rule.dl_flow_level_marking {
        None => Ok(()),
        Some(_) => Err(Refusal::rule(
            FailedRuleId::Qer(rule.qer_id),
            97,
            "a 5G core marks no packets inside tunnels",
        )),
    }
}

/// Predefined rules that the PDR has no longer, and those that it has from now on.
fn update_predefined(pdr: &mut CreatePdr, update: &UpdatePdr) -> Result<(), Refusal> {
    let active = &mut pdr.activate_predefined_rules;
    for name in &update.deactivate_predefined_rules {
        let at = active.iter().position(|active| active == name).ok_or(Refusal {
            cause: Cause::UNKNOWN_PRE_DEFINED_RULE,
            ..Refusal::rule(FailedRuleId::Pdr(update.pdr_id), 107, "the predefined rule is not active")
        })?;
        active.remove(at);
    }
    for name in &update.activate_predefined_rules {
        if !active.contains(name) {
            active.push(name.clone());
        }
    }
    Ok(())
}

/// Each change is about the place at which it stands; those behind the last one are new.
fn update_copies(far: &mut CreateFar, updates: &[UpdateDuplicatingParameters]) -> Result<(), Refusal> {
    for (at, update) in updates.iter().enumerate() {
        if at == far.duplicating_parameters.len() {
            let destination_interface = update.destination_interface.ok_or(Refusal {
                cause: Cause::CONDITIONAL_IE_MISSING,
                ..Refusal::rule(FailedRuleId::Far(far.far_id), 42, "a new copy needs a destination")
            })?;
            let new = DuplicatingParameters { destination_interface, ..Default::default() };
            far.duplicating_parameters.push(new);
        }
        let copy = &mut far.duplicating_parameters[at];
        if let Some(interface) = update.destination_interface {
            copy.destination_interface = interface;
        }
        replace(&mut copy.outer_header_creation, &update.outer_header_creation);
        replace(&mut copy.transport_level_marking, &update.transport_level_marking);
        replace(&mut copy.forwarding_policy, &update.forwarding_policy);
    }
    Ok(())
}

fn tunnel_of(to: &ForwardingParameters) -> Option<OuterHeaderCreation> {
    to.outer_header_creation.filter(|header| header.teid.is_some())
}
