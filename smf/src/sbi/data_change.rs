//! Changes of the subscriber's session management data (Nudm_SDM, TS 29.503 §5.2.2.3, §5.2.2.5): fetched
//! again, told to the PCF (TS 29.512 §4.2.4), and put into force (TS 23.502 §4.3.3.2).

use serde::{Deserialize, Serialize};
use tern_nf::Target;
use tern_sbi::common::{ServiceName, SubscribedDefaultQos};
use tern_sbi::npcf_sm::{
    PolicyControlRequestTrigger, SmPolicyDecision, SmPolicyUpdateContextData, UpdateSmPolicy,
};
use tern_sbi::nudm_sdm::{
    DataChangeNotify, DnnConfiguration, GetSmData, SdmSubscription, Subscribe, Unsubscribe,
};
use tern_sbi::{Location, Operation as _, OperationError, Reply, TransportError};

use crate::binding::bind;
use crate::cause::{GsmCause, Refusal};
use crate::context::{Connection, Next, PduSession, State};
use crate::core::Core;
use crate::gsm::{by_policy, modify_to, release};
use crate::io::{Awaited, Token};
use crate::qos::{DEFAULT_AMBR, DEFAULT_QOS};
use crate::sbi::subscription;

/// The subscription to changes of one session's data.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Subscription {
    /// The UDM has not answered yet.
    Asked(Awaited<Subscribe>),
    /// Where it is.
    Made(Location),
    /// The UDM's answer is lost: it may be there, under the identity that was asked for.
    Unknown,
}

/// Data that have changed, on their way into the session.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Refresh {
    /// They are fetched once the session is active.
    Wanted,
    /// The UDM is asked for them.
    Fetching(Awaited<GetSmData>),
    /// The PCF is asked what follows.
    Policing(Awaited<UpdateSmPolicy>),
    /// What it has decided waits for the session.
    Decided(Box<SmPolicyDecision>),
}

/// Subscribes. Nothing waits for the reply: a session without a subscription works.
pub fn subscribe(core: &mut Core<'_>, session: &mut PduSession) {
    let path = DataChangeNotify::callback_path(&session.reference.to_string());
    let resource = format!("/nudm-sdm/v2/{}/sm-data", session.supi);
    let subscription = SdmSubscription {
        single_nssai: Some(session.snssai),
        dnn: Some(session.dnn.clone()),
        plmn_id: Some(session.serving_network),
        // One that an SMF of before had of the session is replaced.
        subscription_id: Some(identity(core, session)),
        ..SdmSubscription::new(
            core.identity.instance,
            format!("{}{path}", core.identity.api_root),
            vec![resource],
        )
    };
    let operation = Subscribe { ue_id: session.supi.clone(), subscription };
    let target = subscription::udm(session, ServiceName::NudmSdm);
    session.data_subscription =
        Some(Subscription::Asked(core.out.request(session.reference, target, &operation)));
}

/// The subscription's identity, if the UDM leaves the choice to us: the same for each that has the session.
fn identity(core: &Core<'_>, session: &PduSession) -> String {
    format!("{}-{}", core.identity.instance, session.id)
}

/// What another session has of it that takes the place of this one.
pub fn inherited(session: &PduSession) -> Option<Subscription> {
    session.data_subscription.as_ref().map(|_| Subscription::Unknown)
}

/// Whether the UDM has yet to say where the subscription is; it cannot be ended before.
pub fn is_subscribing(session: &PduSession) -> bool {
    matches!(session.data_subscription, Some(Subscription::Asked(_)))
}

/// Ends the subscription, if there is one.
pub fn unsubscribe(core: &mut Core<'_>, session: &mut PduSession) {
    let (target, subscription_id) = match session.data_subscription.take() {
        Some(Subscription::Made(location)) => {
            let Some(id) = location.last_segment() else { return };
            (Target::ApiRoot(location.api_root), id)
        }
        Some(Subscription::Unknown) => {
            (subscription::udm(session, ServiceName::NudmSdm), identity(core, session))
        }
        Some(Subscription::Asked(_)) | None => return,
    };
    let operation = Unsubscribe { ue_id: session.supi.clone(), subscription_id };
    // Whatever the reply is, the session is gone.
    let _ = core.out.insist(session.reference, target, &operation);
}

/// The UDM says that data have changed.
pub fn changed(session: &mut PduSession) {
    session.refresh = Some(Refresh::Wanted);
}

/// Whether a reply is of this.
pub fn awaits(session: &PduSession, token: Token) -> bool {
    let subscribing =
        matches!(&session.data_subscription, Some(Subscription::Asked(awaited)) if awaited.is(token));
    subscribing
        || match &session.refresh {
            Some(Refresh::Fetching(awaited)) => awaited.is(token),
            Some(Refresh::Policing(awaited)) => awaited.is(token),
            _ => false,
        }
}

/// The reply.
pub fn on_reply(
    core: &mut Core<'_>,
    session: &mut PduSession,
    state: State,
    token: Token,
    reply: Result<Reply, TransportError>,
) -> Next {
    if matches!(&session.data_subscription, Some(Subscription::Asked(awaited)) if awaited.is(token)) {
        session.data_subscription = match reply.map_err(OperationError::from).and_then(Subscribe::from_reply)
        {
            Ok(response) => {
                let location = response.location.as_deref().and_then(Location::parse);
                Some(location.map_or(Subscription::Unknown, Subscription::Made))
            }
            Err(error) => {
                core.out.count("smf.subscription.failed");
                error.status().is_none().then_some(Subscription::Unknown)
            }
        };
        return match state {
            State::InactivePending(release) => release.go_on(core, session),
            state => Next::State(state),
        };
    }
    match session.refresh.take() {
        Some(Refresh::Fetching(_)) => on_data(core, session, state, reply),
        Some(Refresh::Policing(_)) => {
            match reply.map_err(OperationError::from).and_then(UpdateSmPolicy::from_reply) {
                Ok(response) => session.refresh = Some(Refresh::Decided(Box::new(response.body))),
                Err(error) => {
                    tracing::warn!(supi = %session.supi, session = %session.id, %error, "no new policy");
                }
            }
            Next::State(state)
        }
        other => {
            session.refresh = other;
            Next::State(state)
        }
    }
}

fn on_data(
    core: &mut Core<'_>,
    session: &mut PduSession,
    state: State,
    reply: Result<Reply, TransportError>,
) -> Next {
    let data = match subscription::read(reply) {
        Ok(data) => data,
        Err(Refusal::Subscriber | Refusal::DnnDenied) => return withdrawn(core, session, state),
        Err(_) => return Next::State(state),
    };
    let slice = data.individual().iter().find(|item| item.single_nssai == session.snssai);
    let Some(subscribed) = slice.and_then(|slice| slice.dnn(&session.dnn)) else {
        return withdrawn(core, session, state);
    };
    core.out.count("smf.subscription.changed");
    if let Some(policing) = report(core, session, subscribed) {
        session.refresh = Some(Refresh::Policing(policing));
        return Next::State(state);
    }
    match state {
        State::Active(connection) => to_subscribed(core, session, connection, subscribed),
        state => {
            session.refresh = Some(Refresh::Wanted);
            Next::State(state)
        }
    }
}

/// The slice or the data network is subscribed no longer (TS 23.502 §4.3.4.2 step 1).
fn withdrawn(core: &mut Core<'_>, session: &mut PduSession, state: State) -> Next {
    match state {
        State::Active(connection) | State::ModificationPending(_, connection) => {
            tracing::info!(supi = %session.supi, session = %session.id, "no longer subscribed: released");
            core.out.count("smf.subscription.withdrawn");
            connection.abandon(core);
            release::by_network(core, session, GsmCause::RegularDeactivation)
        }
        state => Next::State(state),
    }
}

/// Tells the PCF what is subscribed now; `None` where there is no policy association.
fn report(
    core: &mut Core<'_>,
    session: &PduSession,
    subscribed: &DnnConfiguration,
) -> Option<Awaited<UpdateSmPolicy>> {
    let location = session.policy.as_ref()?;
    let qos = subscribed.qos_profile.as_ref().map_or(DEFAULT_QOS, |qos| (qos.five_qi, qos.arp));
    let update = SmPolicyUpdateContextData {
        subs_sess_ambr: Some(subscribed.session_ambr.unwrap_or(DEFAULT_AMBR)),
        subs_def_qos: Some(SubscribedDefaultQos::new(qos.0, qos.1)),
        rep_policy_ctrl_req_triggers: vec![
            PolicyControlRequestTrigger::SeAmbrCh,
            PolicyControlRequestTrigger::DefQosCh,
        ],
        ..SmPolicyUpdateContextData::default()
    };
    let operation = UpdateSmPolicy { sm_policy_id: location.last_segment()?, update };
    Some(core.out.request(session.reference, Target::ApiRoot(location.api_root.clone()), &operation))
}

/// Without a PCF the subscription alone holds.
fn to_subscribed(
    core: &mut Core<'_>,
    session: &mut PduSession,
    connection: Connection,
    subscribed: &DnnConfiguration,
) -> Next {
    let Some(mut after) = session.granted.clone() else { return Next::State(State::Active(connection)) };
    after.ambr = subscribed.session_ambr.unwrap_or(DEFAULT_AMBR);
    (after.five_qi, after.arp) =
        subscribed.qos_profile.as_ref().map_or(DEFAULT_QOS, |qos| (qos.five_qi, qos.arp));
    after.flows = bind((after.five_qi, after.arp), Vec::new(), &after.flows);
    modify_to(core, session, connection, after)
}

/// Goes on once the session is active and nothing else is under way.
pub fn proceed(core: &mut Core<'_>, session: &mut PduSession, next: Next) -> Next {
    let Next::State(State::Active(connection)) = next else { return next };
    match session.refresh.take() {
        Some(Refresh::Wanted) => {
            session.refresh = Some(Refresh::Fetching(subscription::get(core, session)));
            Next::State(State::Active(connection))
        }
        Some(Refresh::Decided(decision)) => by_policy(core, session, connection, &decision),
        other => {
            session.refresh = other;
            Next::State(State::Active(connection))
        }
    }
}
