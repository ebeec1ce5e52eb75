//! Npcf_SMPolicyControl: TS 29.512 §4.2.

use std::sync::Arc;

use tern_nf::Routes;
use tern_sbi::npcf_sm::{
    CreateSmPolicy, DeleteSmPolicy, GetSmPolicy, RuleReport, SmPolicyControl, SmPolicyDecision,
    UpdateSmPolicy,
};
use tern_sbi::{Operation as _, OperationError, PathParams, ProblemDetails, Response};
use tern_types::{PduSessionId, Supi};

use super::{Context, Session, subscriber};
use crate::failures::{Failed, hold_back};
use crate::session;

/// Reports that one line of the log shows; all are counted.
const REPORTS_LOGGED_MAX: usize = 8;

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
    let association = Session {
        context: data,
        categories,
        decision: decision.clone(),
        before: None,
        failed: Failed::new(),
    };
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
    let reports = &op.update.rule_reports;
    let change = |association: &mut Session| {
        session::apply(&mut association.context, op.update.clone());
        let mut decision = association.decide(&context.config);
        let noted = association.note(&decision, reports);
        hold_back(&mut decision, &mut association.failed, &association.decision);
        let changes = session::changes(&association.decision, &decision);
        if changes != SmPolicyDecision::default() {
            association.before = Some(Box::new(std::mem::replace(&mut association.decision, decision)));
        }
        (changes, noted, association.context.supi.clone(), association.context.pdu_session_id)
    };
    let changed = context.sessions.change(&op.sm_policy_id, change).await;
    let (changes, noted, supi, session_id) = changed.map_err(ProblemDetails::from)?;
    tell_failures(&context, &supi, session_id, reports, noted);
    Ok(Response::ok(changes))
}

/// The operator hears of rules that are not enforced.
pub(super) fn tell_failures(
    context: &Context,
    supi: &Supi,
    session_id: PduSessionId,
    reports: &[RuleReport],
    noted: usize,
) {
    if noted == 0 {
        return;
    }
    context.env.counters.add("pcf.sm.rules_failed", noted as u64);
    let one = |report: &RuleReport| {
        let why = report.failure_code.as_ref().map_or("", |code| code.as_str());
        format!("{} {} {why}", report.pcc_rule_ids.join(","), report.rule_status)
    };
    let rules = reports.iter().take(REPORTS_LOGGED_MAX).map(one).collect::<Vec<_>>().join("; ");
    tracing::warn!(%supi, %session_id, count = noted, rules, "PCC rules that the SMF does not enforce");
}

async fn delete(context: Arc<Context>, op: DeleteSmPolicy) -> Answer<()> {
    let association = context.sessions.remove(&op.sm_policy_id).await.map_err(ProblemDetails::from)?;
    let session_id = association.context.pdu_session_id;
    tracing::debug!(supi = %association.context.supi, %session_id, "SM policy association ended");
    Ok(Response::no_content())
}
