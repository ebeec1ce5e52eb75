//! Services produced, and the UDR's consumed.

mod am_policy_control;
mod policy_data;
mod sm_policy_control;
mod subscriber;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tern_nf::{Consumer, Env, Routes};
use tern_sbi::npcf_am::{PolicyAssociation, PolicyAssociationRequest};
use tern_sbi::npcf_sm::{RuleReport, SmPolicyContextData, SmPolicyDecision};
use tokio::sync::Semaphore;

use crate::associations::Associations;
use crate::failures::Failed;
use crate::{Config, failures, session};

pub(crate) use policy_data::stay_subscribed;

/// What the handlers share.
pub(crate) struct Context {
    pub(crate) config: Config,
    pub(crate) env: Env,
    pub(crate) consumer: Consumer,
    pub(crate) api_root: String,
    pub(crate) access: Associations<Access>,
    pub(crate) sessions: Associations<Session>,
    /// Decisions that are being pushed.
    pub(crate) pushes: Arc<Semaphore>,
}

/// A stored AM policy association.
#[derive(Serialize, Deserialize)]
pub(crate) struct Access {
    request: PolicyAssociationRequest,
    categories: Vec<String>,
    decision: PolicyAssociation,
}

/// A stored SM policy association.
#[derive(Serialize, Deserialize)]
pub(crate) struct Session {
    context: SmPolicyContextData,
    categories: Vec<String>,
    /// What is in force.
    decision: SmPolicyDecision,
    /// What was before the last change of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<Box<SmPolicyDecision>>,
    /// What the SMF cannot enforce, of each rule: it is not asked for again.
    #[serde(default, skip_serializing_if = "Failed::is_empty")]
    failed: Failed,
}

/// All operations.
pub(crate) fn routes(context: &Arc<Context>) -> Routes {
    let routes = am_policy_control::add(Routes::new(), context);
    policy_data::add(sm_policy_control::add(routes, context), context)
}

impl Session {
    /// What is decided of it now.
    fn decide(&self, config: &Config) -> SmPolicyDecision {
        session::decide(config, &self.context, &self.categories)
    }

    /// Takes over what the SMF reports of rules that it does not enforce; says of how many.
    fn note(&mut self, decided: &SmPolicyDecision, reports: &[RuleReport]) -> usize {
        failures::note(&mut self.failed, &mut self.decision, self.before.as_deref(), decided, reports)
    }
}
