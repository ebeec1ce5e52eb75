//! Services produced, and the UDR's consumed.

mod am_policy_control;
mod policy_data;
mod sm_policy_control;
mod subscriber;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tern_nf::{Consumer, Env, Routes};
use tern_sbi::npcf_am::{PolicyAssociation, PolicyAssociationRequest};
use tern_sbi::npcf_sm::{SmPolicyContextData, SmPolicyDecision};
use tokio::sync::Semaphore;

use crate::Config;
use crate::associations::Associations;

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
    decision: SmPolicyDecision,
}

/// All operations.
pub(crate) fn routes(context: &Arc<Context>) -> Routes {
    let routes = am_policy_control::add(Routes::new(), context);
    policy_data::add(sm_policy_control::add(routes, context), context)
}
