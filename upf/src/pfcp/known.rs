//! What rules refer to by name: predefined rules (TS 29.244 §5.19), which the configuration has, and applications,
//! which it or PFD management has (§6.2.5).

use std::collections::{BTreeMap, BTreeSet};

use tern_pfcp::*;

use super::rules::{Refusal, RuleSet};
use crate::config::{Config, PfdConfig, PredefinedAction, PredefinedRule};
use crate::path::sdf_filters;

const APPLICATION_IDS_PFDS: u16 = 58;
const PFD_CONTENTS: u16 = 61;
const APPLICATION_ID: u16 = 24;

/// The longest name of an application, and the longest description.
const TEXT_MAX: usize = 1_024;

/// The highest bit of a rule's ID says that the rule is predefined (TS 29.244 §8.2.75).
pub(crate) const PREDEFINED_BIT: u32 = 1 << 31;

/// A predefined rule, ready to be compiled into sessions.
#[derive(Debug)]
pub(crate) struct Predefined {
    name: String,
    /// One of them must match; none if the rest of the PDI says enough.
    pub(crate) flows: Vec<SdfFilter>,
    pub(crate) application: Option<ApplicationId>,
    /// With an ID that no SMF can give.
    pub(crate) qer: Option<CreateQer>,
    pub(crate) action: Option<PredefinedAction>,
}

/// What is known of an application's traffic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Application {
    flows: Vec<SdfFilter>,
    /// Descriptions that are not looked for in packets: URLs, domain names, what operators make up. They are kept
    /// to be counted.
    others: usize,
}

/// Everything that has a name.
#[derive(Debug)]
pub(crate) struct Known {
    /// By name.
    predefined: Vec<Predefined>,
    configured: BTreeMap<ApplicationId, Application>,
    /// By PFD management; it comes before what is configured.
    provisioned: BTreeMap<ApplicationId, Application>,
    limits: PfdConfig,
}

fn filters(flows: &[String]) -> Vec<SdfFilter> {
    flows.iter().map(|flow| SdfFilter::flow(flow)).collect()
}

/// A name that is text.
fn named(name: &str) -> ApplicationId {
    ApplicationId(name.as_bytes().to_vec())
}

impl Predefined {
    fn new(rule: &PredefinedRule, number: u32) -> Self {
        let enforces = rule.closed || rule.qfi.is_some() || rule.mbr_kbps.is_some();
        let qer = enforces.then(|| CreateQer {
            qer_id: QerId(PREDEFINED_BIT | number),
            gate_status: GateStatus { uplink_closed: rule.closed, downlink_closed: rule.closed },
            mbr: rule.mbr_kbps.map(|mbr| BitRate { uplink_kbps: mbr.uplink, downlink_kbps: mbr.downlink }),
            qfi: rule.qfi.map(Qfi),
            ..Default::default()
        });
        Self {
            name: rule.name.clone(),
            flows: filters(&rule.flows),
            application: rule.application.as_deref().map(named),
            qer,
            action: rule.action,
        }
    }
}

impl Known {
    pub(crate) fn new(config: &Config) -> Self {
        let mut rules: Vec<&PredefinedRule> = config.predefined_rules.iter().collect();
        rules.sort_by(|a, b| a.name.cmp(&b.name));
        let predefined = (0..).zip(rules).map(|(number, rule)| Predefined::new(rule, number));
        let application = |flows: &[String]| Application { flows: filters(flows), others: 0 };
        Self {
            predefined: predefined.collect(),
            configured: config
                .applications
                .iter()
                .map(|it| (named(&it.id), application(&it.flows)))
                .collect(),
            provisioned: BTreeMap::new(),
            limits: config.pfd,
        }
    }

    /// The predefined rule of this name.
    pub(crate) fn predefined(&self, name: &PredefinedRulesName) -> Option<&Predefined> {
        let at = self.predefined.binary_search_by(|rule| rule.name.as_bytes().cmp(&name.0)).ok()?;
        self.predefined.get(at)
    }

    /// The predefined rules that a session's PDRs name, each once, in the order of their QERs' IDs.
    pub(crate) fn predefined_of(&self, rules: &RuleSet) -> Vec<&Predefined> {
        let names: BTreeSet<&[u8]> = rules
            .pdrs
            .iter()
            .flat_map(|pdr| &pdr.activate_predefined_rules)
            .map(|name| name.0.as_slice())
            .collect();
        if names.is_empty() {
            return Vec::new();
        }
        self.predefined.iter().filter(|rule| names.contains(rule.name.as_bytes())).collect()
    }

    fn find(&self, id: &ApplicationId) -> Option<&Application> {
        self.provisioned.get(id).or_else(|| self.configured.get(id))
    }

    /// What an application's packets look like: one of these, or nothing if it is not known (any more) or known by
    /// what is not looked for in packets.
    pub(crate) fn flows(&self, id: &ApplicationId) -> &[SdfFilter] {
        self.find(id).map_or(&[], |application| &application.flows)
    }

    /// New rules may name only applications that are known.
    pub(crate) fn check<'a>(&self, mut pdis: impl Iterator<Item = (PdrId, &'a Pdi)>) -> Result<(), Refusal> {
        let unknown =
            pdis.find(|(_, pdi)| pdi.application_id.as_ref().is_some_and(|id| self.find(id).is_none()));
        match unknown {
            None => Ok(()),
            Some((pdr_id, _)) => {
                let refusal =
                    Refusal::rule(FailedRuleId::Pdr(pdr_id), APPLICATION_ID, "the application is not known");
                Err(Refusal { cause: Cause::UNKNOWN_APPLICATION_ID, ..refusal })
            }
        }
    }

    /// The applications that a session's rules look for.
    pub(crate) fn applications_of(&self, rules: &RuleSet) -> Box<[ApplicationId]> {
        let of_rules = self.predefined_of(rules).into_iter().filter_map(|rule| rule.application.as_ref());
        let of_pdrs = rules.pdrs.iter().filter_map(|pdr| pdr.pdi.application_id.as_ref());
        let all: BTreeSet<&ApplicationId> = of_pdrs.chain(of_rules).collect();
        all.into_iter().cloned().collect()
    }

    /// The number of applications by PFD management, and of their descriptions that are not looked for.
    pub(crate) fn provisioned(&self) -> (usize, usize) {
        (self.provisioned.len(), self.provisioned.values().map(|application| application.others).sum())
    }

    /// Takes what PFD management says (TS 29.244 §7.4.3.1): all of it, or nothing. Returns the applications whose
    /// traffic looks otherwise from now on.
    pub(crate) fn provision(
        &mut self,
        request: &PfdManagementRequest,
    ) -> Result<Vec<ApplicationId>, Refusal> {
        let mut next =
            if request.application_ids_pfds.is_empty() { BTreeMap::new() } else { self.provisioned.clone() };
        for pfds in &request.application_ids_pfds {
            if pfds.pfd_contexts.is_empty() {
                next.remove(&pfds.application_id);
            } else {
                next.insert(pfds.application_id.clone(), self.read(pfds)?);
            }
        }
        if next.len() > self.limits.applications_max {
            return Err(refusal(
                Cause::NO_RESOURCES_AVAILABLE,
                APPLICATION_IDS_PFDS,
                "too many applications",
            ));
        }
        let before = std::mem::replace(&mut self.provisioned, next);
        let names: BTreeSet<&ApplicationId> = before.keys().chain(self.provisioned.keys()).collect();
        let differs = |id: &&&ApplicationId| before.get(id) != self.provisioned.get(id);
        Ok(names.iter().filter(differs).map(|id| (*id).clone()).collect())
    }

    fn read(&self, pfds: &ApplicationIdsPfds) -> Result<Application, Refusal> {
        if pfds.application_id.0.is_empty() || pfds.application_id.0.len() > TEXT_MAX {
            return Err(refusal(
                Cause::MANDATORY_IE_INCORRECT,
                APPLICATION_ID,
                "not a name of an application",
            ));
        }
        let mut application = Application::default();
        for contents in pfds.pfd_contexts.iter().flat_map(|context| &context.pfd_contents) {
            let flows_alone = contents.urls.is_empty()
                && contents.domain_name.is_none()
                && contents.custom.is_none()
                && contents.additional_domain_names.is_none();
            for flow in &contents.flow_descriptions {
                let filter = SdfFilter::flow(flow);
                if flow.len() > TEXT_MAX || sdf_filters(&filter, false, &[]).is_err() {
                    let why = "the flow description cannot be understood";
                    return Err(refusal(Cause::MANDATORY_IE_INCORRECT, PFD_CONTENTS, why));
                }
                if flows_alone {
                    application.flows.push(filter);
                }
            }
            application.others += usize::from(!flows_alone);
            if application.flows.len() + application.others > self.limits.descriptions_max {
                let why = "too many descriptions of one application";
                return Err(refusal(Cause::NO_RESOURCES_AVAILABLE, PFD_CONTENTS, why));
            }
        }
        Ok(application)
    }
}

fn refusal(cause: Cause, ie: u16, why: &'static str) -> Refusal {
    Refusal { offending_ie: Some(ie), ..Refusal::new(cause, why) }
}
