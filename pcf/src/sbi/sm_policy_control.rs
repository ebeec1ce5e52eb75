//! Npcf_SMPolicyControl: TS 29.512 §4.2.

use std::sync::Arc;

use tern_nf::Routes;
use tern_sbi::npcf_sm::{
    CreateSmPolicy, DeleteSmPolicy, GetSmPolicy, SmPolicyControl, SmPolicyDecision, UpdateSmPolicy,
};
use tern_sbi::{Operation as _, OperationError, PathParams, ProblemDetails, Response};

use super::{Context, Session, subscriber};
use crate::session;

type Answer<T> = Result<Response<T>, OperationError>;

pub(super) fn add(routes: Routes, context: &Arc<Context>) -> Routes {
    let [a, b, c, d] = std::array::from_fn(|_| context.clone());
    routes
        .on(move |_, op: CreateSmPolicy| create(a.clone(), op))
        .on(move |_, op: GetSmPolicy| get(b.clone(), op))
        .on(move |_, op: UpdateSmPolicy| update(c.clone(), op))
        .on(move |_, op: DeleteSmPolicy| delete(d.clone(), op))
}

async fn create(context: Arc<Context>, op: CreateSmPolicy) -> Answer<SmPolicyDecision> {
    let data = op.context;
    let (supi, session_id) = (data.supi.clone(), data.pdu_session_id);
    let categories = if context.config.sessions_need_categories() {
        subscriber::session_categories(&context, &supi, data.slice_info, &data.dnn).await
    } else {
        Vec::new()
    };
    let decision = session::decide(&context.config, &data, &categories);
    let owner = format!("{}-{session_id}", supi.imsi());
    let nonce = context.env.entropy.random().u32();
    let association = Session { context: data, categories, decision: decision.clone() };
    let id = match context.sessions.create(&owner, nonce, association).await {
        Ok(id) => id,
        Err(error) => {
            tracing::warn!(%supi, %session_id, %error, "SM policy association refused");
            context.env.counters.add("pcf.sm.refused", 1);
            return Err(ProblemDetails::from(error).into());
        }
    };
    context.env.counters.add("pcf.sm.created", 1);
    tracing::debug!(%supi, %session_id, rules = decision.pcc_rules.len(), "SM policy association created");
    let path = PathParams::fill(GetSmPolicy::PATH, &[&id]);
    Ok(Response::created(format!("{}{path}", context.api_root), decision))
}

async fn get(context: Arc<Context>, op: GetSmPolicy) -> Answer<SmPolicyControl> {
    let found = context.sessions.get(&op.sm_policy_id).await.map_err(ProblemDetails::from)?;
    Ok(Response::ok(SmPolicyControl::new(found.context, found.decision)))
}

async fn update(context: Arc<Context>, op: UpdateSmPolicy) -> Answer<SmPolicyDecision> {
    let change = |association: &mut Session| {
        session::apply(&mut association.context, op.update.clone());
        let decision = session::decide(&context.config, &association.context, &association.categories);
        let changes = session::changes(&association.decision, &decision);
        association.decision = decision;
        changes
    };
    let changed = context.sessions.change(&op.sm_policy_id, change).await;
    Ok(Response::ok(changed.map_err(ProblemDetails::from)?))
}

async fn delete(context: Arc<Context>, op: DeleteSmPolicy) -> Answer<()> {
    let association = context.sessions.remove(&op.sm_policy_id).await.map_err(ProblemDetails::from)?;
    let session_id = association.context.pdu_session_id;
    tracing::debug!(supi = %association.context.supi, %session_id, "SM policy association ended");
    Ok(Response::no_content())
}
