//! Npcf_AMPolicyControl: TS 29.507 §4.2.

use std::sync::Arc;

use tern_nf::Routes;
use tern_sbi::npcf_am::{
    CreateAmPolicy, DeleteAmPolicy, PolicyAssociation, PolicyUpdate, ReadAmPolicy, UpdateAmPolicy,
};
use tern_sbi::{Operation as _, OperationError, PathParams, ProblemDetails, Response};

use super::{Access, Context, subscriber};
use crate::access;

type Answer<T> = Result<Response<T>, OperationError>;

pub(super) fn add(routes: Routes, context: &Arc<Context>) -> Routes {
    let [a, b, c, d] = std::array::from_fn(|_| context.clone());
    routes
        .on(move |_, op: CreateAmPolicy| create(a.clone(), op))
        .on(move |_, op: ReadAmPolicy| read(b.clone(), op))
        .on(move |_, op: UpdateAmPolicy| update(c.clone(), op))
        .on(move |_, op: DeleteAmPolicy| delete(d.clone(), op))
}

async fn create(context: Arc<Context>, op: CreateAmPolicy) -> Answer<PolicyAssociation> {
    let request = op.request;
    let supi = request.supi.clone();
    let categories = if context.config.access_needs_categories() {
        subscriber::access_categories(&context, &supi).await
    } else {
        Vec::new()
    };
    let decision = access::decide(&context.config, &request, &categories);
    let nonce = context.env.entropy.random().u32();
    let association = Access { request, categories, decision: decision.clone() };
    let id = match context.access.create(supi.imsi(), nonce, association).await {
        Ok(id) => id,
        Err(error) => {
            tracing::warn!(%supi, %error, "AM policy association refused");
            context.env.counters.add("pcf.am.refused", 1);
            return Err(ProblemDetails::from(error).into());
        }
    };
    context.env.counters.add("pcf.am.created", 1);
    tracing::debug!(%supi, rfsp = ?decision.rfsp, "AM policy association created");
    Ok(Response::created(uri(&context, &id), decision))
}

async fn read(context: Arc<Context>, op: ReadAmPolicy) -> Answer<PolicyAssociation> {
    let found = context.access.get(&op.pol_asso_id).await.map_err(ProblemDetails::from)?;
    Ok(Response::ok(PolicyAssociation { request: Some(found.request), ..found.decision }))
}

async fn update(context: Arc<Context>, op: UpdateAmPolicy) -> Answer<PolicyUpdate> {
    let uri = uri(&context, &op.pol_asso_id);
    let change = |association: &mut Access| {
        access::apply(&mut association.request, op.request.clone());
        let decision = access::decide(&context.config, &association.request, &association.categories);
        let update = access::update(uri.clone(), &association.decision, &decision);
        association.decision = decision;
        update
    };
    let changed = context.access.change(&op.pol_asso_id, change).await;
    Ok(Response::ok(changed.map_err(ProblemDetails::from)?))
}

async fn delete(context: Arc<Context>, op: DeleteAmPolicy) -> Answer<()> {
    let association = context.access.remove(&op.pol_asso_id).await.map_err(ProblemDetails::from)?;
    tracing::debug!(supi = %association.request.supi, "AM policy association ended");
    Ok(Response::no_content())
}

fn uri(context: &Context, id: &str) -> String {
    format!("{}{}", context.api_root, PathParams::fill(ReadAmPolicy::PATH, &[id]))
}
