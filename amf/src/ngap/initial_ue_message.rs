//! Initial UE Message: TS 38.413 §8.6.1.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tern_nas::MobileIdentity;
use tern_nas::nas_5gs::{
    GmmCause, Nas5gmmMessage, Nas5gsMessage, NasFGmmCause, NasRegistrationReject, NasServiceReject,
};
use tern_nas::security::payload_unverified;
use tern_ngap::convert::{self, NrLocation};
use tern_ngap::ngap::*;
use tern_ngap::{build_ngap, cause, extract_ngap_ies};
use tern_types::STmsi5g;
use tracing::{debug, warn};

use super::rrc_inactive::RrcState;
use super::{Handled, error_indication, ue_context_release};
use crate::gmm::deregistration::{self, Reason};
use crate::gmm::security::{self, NotReceived};
use crate::gmm::{self, RECEIVED, REGISTRATION_REQUEST, SERVICE_REQUEST, registration_reject};
use crate::n2::message::GnbId;
use crate::ue::{Connection, ContextSetup, UeContext, UeId};
use crate::{Amf, arrivals};

/// UEs among which one is sought that gives its room to another one.
const ROOM_SEARCH_MAX: usize = 1024;

/// A UE speaks on a new connection.
pub(crate) fn on_message(amf: &mut Amf, gnb: GnbId, stream: u16, pdu: &NGAP_PDU) -> Handled {
    extract_ngap_ies!(pdu, InitialUEMessage,
        req ran_id: u32 = RAN_UE_NGAP_ID(id),
        req nas: Bytes = NAS_PDU(nas) => Bytes::copy_from_slice(&nas.0),
        req location: Result<NrLocation, tern_ngap::DecodeError> =
            UserLocationInformation(ie) => convert::user_location_of(&ie),
        lax s_tmsi: STmsi5g = FiveG_S_TMSI(ie) => convert::s_tmsi_of(&ie),
        lax why: RRCEstablishmentCause = RRCEstablishmentCause(cause) => cause,
    );
    let priority = why.is_some_and(has_priority);
    let origin = Origin { gnb, stream, ran_ue_ngap_id: ran_id, location: location?, priority };
    amf.count("amf.ngap.initial_ue_message");
    amf.arrivals.forget(gnb, ran_id);
    if let Some(&old) = amf.by_ran_id.get(&(gnb, ran_id)) {
        // The gNB uses the identity again: the connection that had it is gone.
        amf.with_ue(old, |ue, amf| {
            amf.disconnect(ue);
            gmm::connection_lost(ue, amf);
        });
    }
    if s_tmsi.is_none() && message_type(&nas) == Some(SERVICE_REQUEST) {
        // A UE that asks for service has told its 5G-S-TMSI to the gNB: the procedure has failed
        // (TS 38.413 §8.6.1.3).
        amf.count("amf.ngap.no_s_tmsi");
        warn!(?gnb, ran_id, "SERVICE REQUEST in INITIAL UE MESSAGE without 5G-S-TMSI");
        let why = cause::protocol(CauseProtocol::semantic_error);
        error_indication::send(amf, gnb, stream, None, Some(ran_id), why);
        return Ok(());
    }
    let claimed = claimed_tmsi(amf, &nas, s_tmsi);
    if let Some(id) = claimed.and_then(|tmsi| amf.by_tmsi.get(&tmsi)).copied()
        && proves_itself(amf, id, &nas)
    {
        amf.with_ue(id, |ue, amf| take_connection(ue, amf, origin, &nas));
        return Ok(());
    }
    arrivals::come(amf, origin, nas);
    Ok(())
}

/// Takes in a UE that is not known.
pub(crate) fn begin(amf: &mut Amf, origin: Origin, nas: &Bytes) {
    let mut ue = amf.new_ue();
    take_connection(&mut ue, amf, origin, nas);
    amf.settle(ue);
}

/// Where a UE speaks from.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Origin {
    pub(crate) gnb: GnbId,
    pub(crate) stream: u16,
    pub(crate) ran_ue_ngap_id: u32,
    location: NrLocation,
    /// Whether it comes before others (TS 24.501 §5.3.9).
    pub(crate) priority: bool,
}

/// Whether the connection is for what comes first (TS 24.501 Table 4.5.6.1: emergency, and access
/// identities 1, 2 and 11 to 15).
fn has_priority(why: RRCEstablishmentCause) -> bool {
    use RRCEstablishmentCause as Why;
    matches!(
        why,
        Why::emergency | Why::highPriorityAccess | Why::mps_PriorityAccess | Why::mcs_PriorityAccess
    )
}

/// The 5G-TMSI that the UE claims, if it is one of this AMF.
fn claimed_tmsi(amf: &Amf, nas: &Bytes, s_tmsi: Option<STmsi5g>) -> Option<u32> {
    let ours = amf.config.guami();
    let mine = |id: STmsi5g| id.amf_set == ours.amf_id.set() && id.amf_pointer == ours.amf_id.pointer();
    let message = payload_unverified(nas).and_then(|plain| tern_nas::decode_gmm(plain, RECEIVED).ok());
    let identity = match &message {
        Some(Nas5gmmMessage::RegistrationRequest(m)) => MobileIdentity::of(&m.fgs_mobile_identity),
        Some(Nas5gmmMessage::DeregistrationRequestUeOriginating(m)) => {
            MobileIdentity::of(&m.fgs_mobile_identity)
        }
        Some(Nas5gmmMessage::ServiceRequest(m)) => MobileIdentity::of(&m.fg_s_tmsi),
        _ => return s_tmsi.filter(|&id| mine(id)).map(|id| id.tmsi),
    };
    match identity {
        Ok(MobileIdentity::Guti(guti)) if guti.guami == ours => Some(guti.tmsi),
        Ok(MobileIdentity::STmsi(id)) if mine(id) => Some(id.tmsi),
        _ => None,
    }
}

/// Whether the message's integrity is verified with the security context of that UE. Who cannot
/// prove who it is gets a context of its own and changes nothing of the other.
fn proves_itself(amf: &Amf, id: UeId, nas: &Bytes) -> bool {
    let context = amf.ues.get(&id).and_then(|ue| ue.security.clone());
    context.is_some_and(|mut context| context.unprotect(nas).is_ok())
}

fn take_connection(ue: &mut UeContext, amf: &mut Amf, origin: Origin, nas: &Bytes) {
    if ue.n2.is_some() {
        // The UE has come back while the network thought it connected (TS 38.413 §8.6.1).
        debug!(ue = ue.name(), "older connection is released");
        let why = cause::nas(CauseNas::normal_release);
        ue_context_release::command(ue, amf, why);
        gmm::connection_lost(ue, amf);
    }
    let amf_ue_ngap_id = amf.new_amf_ue_ngap_id();
    let Origin { gnb, stream, ran_ue_ngap_id, location, priority } = origin;
    let connection = Connection {
        gnb,
        stream,
        ran_ue_ngap_id,
        amf_ue_ngap_id,
        secured: false,
        priority,
        k_gnb_count: 0,
        context: ContextSetup::None,
        indications: Vec::new(),
        held: Vec::new(),
        next_hop: None,
        rekeying: None,
        outdated: false,
        ambr_outdated: false,
        rfsp_outdated: false,
        modifying: None,
        rrc: RrcState::Connected,
        identity_index: None,
        undelivered: Vec::new(),
    };
    amf.connect(ue, connection);
    super::located(ue, amf, location);
    on_initial_nas(ue, amf, nas);
    if ue.procedure.is_none() && !ue.registered && ue.n2.is_some() {
        // The message began nothing.
        gmm::release(ue, amf, cause::nas(CauseNas::unspecified));
    }
}

/// Only these begin a NAS signalling connection (TS 24.501 §4.4.4.3, §5.3.1.1).
fn on_initial_nas(ue: &mut UeContext, amf: &mut Amf, nas: &Bytes) {
    match security::receive(ue, amf, nas) {
        Ok(uplink) => {
            if uplink.verified
                && let (Some(n2), Some(count)) = (&mut ue.n2, uplink.count)
            {
                n2.secured = true;
                n2.k_gnb_count = count;
            }
            let begins = matches!(
                uplink.message,
                Nas5gmmMessage::RegistrationRequest(_)
                    | Nas5gmmMessage::ServiceRequest(_)
                    | Nas5gmmMessage::DeregistrationRequestUeOriginating(_)
            );
            if begins {
                gmm::dispatch(ue, amf, uplink);
            } else {
                gmm::status(ue, amf, GmmCause::MessageNotCompatibleWithTheProtocolState);
            }
        }
        Err(NotReceived::Discarded(why)) => {
            amf.count("amf.nas.discarded");
            debug!(why, "initial NAS message discarded");
        }
        Err(NotReceived::Answer { answer, kind, .. }) => {
            amf.count("amf.nas.decode_error");
            if !gmm::refuse_undecodable(ue, amf, kind)
                && let Some(answer) = answer
            {
                gmm::send(ue, amf, &answer, crate::supervised::Protection::Current);
            }
        }
    }
}

fn message_type(nas: &Bytes) -> Option<u8> {
    payload_unverified(nas).and_then(|plain| plain.get(2)).copied()
}

/// Whether as many UEs register, or wait for it, as may. Who comes with priority has as much room again
/// (TS 24.501 §5.3.9).
pub(crate) fn too_many_register(amf: &Amf, priority: bool) -> bool {
    let registrations = amf.config.limits.registrations.saturating_mul(if priority { 2 } else { 1 });
    amf.registering.len() + amf.arrivals.waiting() >= registrations
}

/// Whether there is no room for another context: a registered UE gives it up for one with priority if it may be
/// asked to.
pub(crate) fn has_no_room(amf: &mut Amf, priority: bool) -> bool {
    let waiting = amf.arrivals.waiting();
    if amf.ues.len() + waiting >= amf.config.limits.ues {
        amf.forget_one_deregistered();
    }
    let may_make_room = priority && amf.config.overload.room_for_priority;
    amf.ues.len() + waiting >= amf.config.limits.ues && !(may_make_room && make_room(amf))
}

/// Deregisters a UE for one with priority (TS 24.501 §5.5.2.3.1): one that can be told at once rather than one
/// that has to be paged, and one without sessions rather than one with them. Until it has gone the table is
/// over its limit, at most by as many as may register at the same time.
fn make_room(amf: &mut Amf) -> bool {
    let limits = &amf.config.limits;
    if amf.ues.len() >= limits.ues.saturating_add(limits.registrations) {
        return false;
    }
    // From anywhere, so that no UE is the one to go each time.
    let from = amf.random_ue();
    let all = amf.ues.range(from..).chain(amf.ues.range(..from)).map(|(_, ue)| ue);
    let may_go = all.take(ROOM_SEARCH_MAX).filter(|ue| may_go(ue));
    let Some(ue) = may_go.min_by_key(|ue| (ue.n2.is_none(), ue.sessions.len())).map(|ue| ue.id) else {
        return false;
    };
    amf.count("amf.gmm.congestion_room_made");
    amf.with_ue(ue, |ue, amf| deregistration::start(ue, amf, Reason::Congestion));
    true
}

/// Whether a UE may be deregistered for another one.
fn may_go(ue: &UeContext) -> bool {
    let can_be_told = ue.n2.as_ref().is_none_or(|n2| n2.secured && !n2.priority);
    let busy = ue.procedure.is_some() || ue.handover.is_some() || ue.paging.is_some();
    ue.registered && can_be_told && !busy && !ue.leaving && ue.deregistering.is_none()
}

/// Says no before any work: cause #22 with T3346 (TS 24.501 §5.5.1.2.5, §5.6.1.5).
pub(crate) fn turn_away(amf: &mut Amf, origin: &Origin, nas: &Bytes) {
    let &Origin { gnb, stream, ran_ue_ngap_id: ran_id, .. } = origin;
    amf.count("amf.gmm.congestion");
    let congestion = NasFGmmCause::from_cause(GmmCause::Congestion);
    let timer = registration_reject::back_off(amf);
    let message = if message_type(nas) == Some(REGISTRATION_REQUEST) {
        let mut reject = NasRegistrationReject::new(congestion);
        reject.t3346_value = timer;
        Nas5gsMessage::new_5gmm(reject)
    } else {
        let mut reject = NasServiceReject::new(congestion);
        reject.t3346_value = timer;
        Nas5gsMessage::new_5gmm(reject)
    };
    let amf_id = amf.new_amf_ue_ngap_id();
    if let Ok(octets) = tern_nas::encode(&message) {
        let pdu = build_ngap!(
            InitiatingMessage,
            DownlinkNASTransport,
            DownlinkNASTransport,
            AMF_UE_NGAP_ID(amf_id),
            RAN_UE_NGAP_ID(ran_id),
            NAS_PDU(&octets[..]),
        );
        amf.send_ngap(gnb, stream, pdu);
    }
    let why = cause::misc(CauseMisc::control_processing_overload);
    ue_context_release::command_connection(amf, gnb, stream, (amf_id, Some(ran_id)), why);
}
