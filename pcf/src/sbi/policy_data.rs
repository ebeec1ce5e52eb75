//! Changes of policy data: heard of at the UDR (TS 29.519 §5.2.8), decided anew, and pushed to the AMF
//! (TS 29.507 §4.2.4) and to the SMFs (TS 29.512 §4.2.3).

use std::convert::Infallible;
use std::sync::Arc;

use tern_nf::{Routes, Target};
use tern_sbi::common::{NfType, ServiceName};
use tern_sbi::npcf_am::{AmPolicyUpdateNotify, ReadAmPolicy};
use tern_sbi::npcf_sm::{
    GetSmPolicy, RuleReport, SmPolicyDecision, SmPolicyNotification, SmPolicyUpdateNotify,
    SmPolicyUpdateReport,
};
use tern_sbi::nudr_dr::{
    PolicyDataChange, PolicyDataChangeNotification, PolicyDataSubscription, ReadAmPolicyData,
    ReadSmPolicyData, SubscribeToPolicyData,
};
use tern_sbi::{Call, Location, Operation, OperationError, PathParams, ProblemDetails, Response};
use tern_types::{Duration, Supi};

use super::{Context, Session, sm_policy_control, subscriber};
use crate::associations::AssociationError;
use crate::failures::{hold_back, put_in_force};
use crate::{access, session};

/// In the URI of a monitored resource in place of a UE's identity: every UE's.
const EVERY_UE: &str = "{ueId}";
/// Changes in one notification; the others are refused.
const NOTIFICATIONS_MAX: usize = 64;
/// SM policy associations of one UE: its PDU session identities.
const SESSIONS_MAX: usize = 16;
/// Pauses before a decision is pushed again: the consumer is busy, or starting anew.
const PAUSES: [Duration; 6] = [
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(20),
];

pub(super) fn add(routes: Routes, context: &Arc<Context>) -> Routes {
    let context = context.clone();
    routes.on(move |_, op: PolicyDataChange| changed(context.clone(), op))
}

/// Subscribes at the UDR to the changes of every UE's policy data.
pub(crate) async fn stay_subscribed(context: &Context) -> Infallible {
    let path = PolicyDataChange::callback_path("pcf");
    let documents = [<ReadAmPolicyData as Operation>::PATH, <ReadSmPolicyData as Operation>::PATH];
    let monitored = documents.map(|path| PathParams::fill(path, &[EVERY_UE])).to_vec();
    let subscription = PolicyDataSubscription::new(format!("{}{path}", context.api_root), monitored);
    let udr = Target::service(NfType::Udr, ServiceName::NudrDr);
    tern_nf::stay_subscribed(&context.env, &context.consumer, &udr, &SubscribeToPolicyData { subscription })
        .await
}

/// Keeps what changed, and pushes what follows from it behind the answer.
async fn changed(context: Arc<Context>, op: PolicyDataChange) -> Result<Response<()>, OperationError> {
    if op.notifications.len() > NOTIFICATIONS_MAX {
        return Err(ProblemDetails::new(413, "MANDATORY_IE_INCORRECT").into());
    }
    for notification in op.notifications {
        let Some(supi) = notification.ue_id.clone() else {
            return Err(ProblemDetails::invalid("MANDATORY_IE_MISSING", "ueId", "whose data?").into());
        };
        keep(&context, &supi, &notification).await.map_err(ProblemDetails::from)?;
    }
    Ok(Response::no_content())
}

async fn keep(
    context: &Arc<Context>,
    supi: &Supi,
    notification: &PolicyDataChangeNotification,
) -> Result<(), AssociationError> {
    if let Some(data) = &notification.am_policy_data {
        for id in context.access.ids(supi.imsi(), 1).await? {
            let categories = data.subsc_cats.clone();
            ignore_unknown(
                context.access.change(&id, |association| association.categories = categories.clone()).await,
            )?;
            push(context, supi, id, Kind::Access);
        }
    }
    if let Some(data) = &notification.sm_policy_data {
        for id in context.sessions.ids(&format!("{}-", supi.imsi()), SESSIONS_MAX).await? {
            let kept = context.sessions.change(&id, |association| {
                let of = &association.context;
                association.categories = subscriber::categories_of(data, of.slice_info, &of.dnn);
            });
            ignore_unknown(kept.await)?;
            push(context, supi, id, Kind::Session);
        }
    }
    Ok(())
}

/// An association may end at any time.
fn ignore_unknown(result: Result<(), AssociationError>) -> Result<(), AssociationError> {
    match result {
        Err(AssociationError::NotFound) => Ok(()),
        result => result,
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Access,
    Session,
}

/// Has the consumer hear of what is decided now, trying again while it cannot.
fn push(context: &Arc<Context>, supi: &Supi, id: String, kind: Kind) {
    let Ok(permit) = context.pushes.clone().try_acquire_owned() else {
        context.env.counters.add("pcf.pushes_dropped", 1);
        return;
    };
    let (context, supi) = (context.clone(), supi.clone());
    tokio::spawn(async move {
        let mut pauses = PAUSES.iter();
        loop {
            let outcome = match kind {
                Kind::Access => push_access(&context, &id).await,
                Kind::Session => push_session(&context, &id).await,
            };
            match outcome {
                Ok(told) => {
                    context.env.counters.add("pcf.pushed", u64::from(told));
                    break;
                }
                Err(Unpushed::Over) => break,
                Err(Unpushed::Later(why)) => {
                    let Some(&pause) = pauses.next() else {
                        context.env.counters.add("pcf.push_failed", 1);
                        tracing::warn!(%supi, why, "the policy that is decided now is not in force");
                        break;
                    };
                    context.env.clock.sleep(pause).await;
                }
            }
        }
        drop(permit);
    });
}

/// Why a decision is not in force.
enum Unpushed {
    /// The association has ended.
    Over,
    /// The consumer may take it later.
    Later(String),
}

impl From<AssociationError> for Unpushed {
    fn from(error: AssociationError) -> Self {
        match error {
            AssociationError::NotFound => Self::Over,
            error => Self::Later(error.to_string()),
        }
    }
}

/// Npcf_AMPolicyControl_UpdateNotify; says whether there was something to tell.
async fn push_access(context: &Context, id: &str) -> Result<bool, Unpushed> {
    let association = context.access.get(id).await?;
    let decision = access::decide(&context.config, &association.request, &association.categories);
    let uri = format!("{}{}", context.api_root, PathParams::fill(ReadAmPolicy::PATH, &[id]));
    let Some(update) = access::changes(uri, &association.decision, &decision) else {
        return Ok(false);
    };
    let callback = callback(&association.request.notification_uri)?;
    let operation = AmPolicyUpdateNotify { path: callback.path, update };
    tell(context, callback.api_root, &operation).await?;
    context.access.change(id, |association| association.decision = decision.clone()).await?;
    Ok(true)
}

/// Npcf_SMPolicyControl_UpdateNotify; says whether there was something to tell.
async fn push_session(context: &Context, id: &str) -> Result<bool, Unpushed> {
    let association = context.sessions.get(id).await?;
    let mut decision = association.decide(&context.config);
    let mut failed = association.failed.clone();
    hold_back(&mut decision, &mut failed, &association.decision);
    let changes = session::changes(&association.decision, &decision);
    let decided_anew: Vec<&String> =
        association.failed.keys().filter(|name| !failed.contains_key(*name)).collect();
    if changes == SmPolicyDecision::default() {
        if !decided_anew.is_empty() {
            let change = |it: &mut Session| it.failed.retain(|name, _| !decided_anew.contains(&name));
            context.sessions.change(id, change).await?;
        }
        return Ok(false);
    }
    let notification = SmPolicyNotification {
        resource_uri: Some(format!("{}{}", context.api_root, PathParams::fill(GetSmPolicy::PATH, &[id]))),
        sm_policy_decision: Some(changes),
    };
    let callback = callback(&association.context.notification_uri)?;
    let operation = SmPolicyUpdateNotify { path: callback.path, notification };
    let reports = tell_smf(context, callback.api_root, &operation).await?;
    let told = context.sessions.change(id, |association| {
        association.failed.retain(|name, _| !decided_anew.contains(&name));
        let mut told = decision.clone();
        // The SMF may have reported failures before its answer came.
        put_in_force(&mut told, &association.failed, &association.decision);
        association.before = Some(Box::new(std::mem::replace(&mut association.decision, told)));
        association.note(&association.decide(&context.config), &reports)
    });
    let noted = told.await?;
    let of = &association.context;
    sm_policy_control::tell_failures(context, &of.supi, of.pdu_session_id, &reports, noted);
    Ok(true)
}

/// Tells the SMF; what of it the SMF says that it does not enforce.
async fn tell_smf(
    context: &Context,
    api_root: String,
    operation: &SmPolicyUpdateNotify,
) -> Result<Vec<RuleReport>, Unpushed> {
    match context.consumer.call(&Target::ApiRoot(api_root), &Call::default(), operation).await {
        Ok(response) => Ok(response.body.map(SmPolicyUpdateReport::rule_reports).unwrap_or_default()),
        Err(OperationError::Refused { body, .. }) if !body.rule_reports.is_empty() => Ok(body.rule_reports),
        Err(error) if error.status() == Some(404) => Err(Unpushed::Over),
        Err(error) => Err(Unpushed::Later(error.to_string())),
    }
}

/// Where `update` is told under a `notificationUri`.
fn callback(notification_uri: &str) -> Result<Location, Unpushed> {
    Location::parse(&format!("{notification_uri}/update")).ok_or(Unpushed::Over)
}

async fn tell<O: Operation<Failure = ProblemDetails>>(
    context: &Context,
    api_root: String,
    operation: &O,
) -> Result<(), Unpushed> {
    match context.consumer.call(&Target::ApiRoot(api_root), &Call::default(), operation).await {
        Ok(_) => Ok(()),
        Err(error) if error.status() == Some(404) => Err(Unpushed::Over),
        Err(error) => Err(Unpushed::Later(error.to_string())),
    }
}
