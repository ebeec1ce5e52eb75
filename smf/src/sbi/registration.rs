//! Nudm_UECM, consumed: this SMF serves the session (TS 29.503 §5.3.2.2.4, §5.3.2.4).

use tern_sbi::common::ServiceName;
use tern_sbi::nudm_uecm::{DeregisterSmf, DeregistrationNotify, RegisterSmf, SmfRegistration};

use crate::context::PduSession;
use crate::core::Core;
use crate::io::Awaited;
use crate::sbi::subscription::udm;

/// Registers. The establishment does not wait for the reply: a session without registration works.
pub fn register(core: &mut Core<'_>, session: &mut PduSession) {
    let path = DeregistrationNotify::callback_path(&session.reference.to_string());
    let registration = SmfRegistration {
        dnn: Some(session.dnn.clone()),
        dereg_callback_uri: Some(format!("{}{path}", core.identity.api_root)),
        ..SmfRegistration::new(core.identity.instance, session.id, session.snssai, session.serving_network)
    };
    let operation = RegisterSmf { ue_id: session.supi.clone(), pdu_session_id: session.id, registration };
    let _ = core.out.request(session.reference, udm(session, ServiceName::NudmUecm), &operation);
    session.registered = true;
}

/// Ends the registration, if there is one.
pub fn deregister(core: &mut Core<'_>, session: &mut PduSession) -> Option<Awaited<DeregisterSmf>> {
    if !std::mem::take(&mut session.registered) {
        return None;
    }
    let operation = DeregisterSmf {
        ue_id: session.supi.clone(),
        pdu_session_id: session.id,
        smf_set_id: None,
        smf_instance_id: None,
    };
    Some(core.out.insist(session.reference, udm(session, ServiceName::NudmUecm), &operation))
}
