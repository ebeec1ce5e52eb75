//! Initial Context Setup: TS 38.413 §8.3.1.

use bytes::Bytes;
use tern_crypto::NextHopChain;
use tern_ngap::capability::SecurityCapability;
use tern_ngap::ngap::*;
use tern_ngap::{CodecError, Message as _, build_ngap_ie, convert, extract_ngap_ies};
use tern_types::PduSessionId;
use tracing::{error, warn};

use super::{Handled, handover, location_reporting, rrc_inactive, ue_context_modification};
use crate::Amf;
use crate::gmm::{self, registration, service_area};
use crate::session::{self, N2FromGnb, Work};
use crate::ue::{Connection, ContextSetup, UeContext};

/// A session whose resources are set up together with the context.
pub(crate) struct SessionResources {
    pub id: PduSessionId,
    /// PDU Session Resource Setup Request Transfer.
    pub transfer: Bytes,
}

/// Gives the gNB the UE's context, with a NAS message for the UE and the sessions to set up.
/// The UE-AMBR goes with the first session, never without one (TS 38.413 §8.3.1.2).
pub(crate) fn request(ue: &mut UeContext, amf: &mut Amf, nas: Bytes, sessions: Vec<SessionResources>) {
    let Some(mut n2) = ue.n2.take() else { return };
    let keys = ue.security.as_ref().map(|context| (context.k_amf(), context.k_gnb(n2.k_gnb_count)));
    match keys {
        Some((k_amf, key)) => {
            n2.next_hop = Some(NextHopChain::new(k_amf, &key));
            let pdu = build(ue, amf, &n2, *key.as_bytes(), &nas, &sessions);
            amf.send_on(&n2, pdu);
            n2.context = ContextSetup::Requested;
        }
        None => {
            amf.count("amf.ngap.no_key");
            error!(ue = ue.name(), "no K_gNB: INITIAL CONTEXT SETUP REQUEST not sent");
        }
    }
    ue.n2 = Some(n2);
    rrc_inactive::told(ue);
}

fn build(
    ue: &UeContext,
    amf: &Amf,
    n2: &Connection,
    key: [u8; 32],
    nas: &Bytes,
    sessions: &[SessionResources],
) -> Result<NGAP_PDU, CodecError> {
    macro_rules! ie {
        ($($ie:tt)*) => { build_ngap_ie!(InitialContextSetupRequest, $($ie)*)? };
    }
    let serving = amf.serving_plmn(ue);
    let restrictions = service_area::mobility_restrictions(ue, serving);
    let capability = SecurityCapability::from_nas(&ue.capability);
    let mut ies = vec![ie!(AMF_UE_NGAP_ID(n2.amf_ue_ngap_id)), ie!(RAN_UE_NGAP_ID(n2.ran_ue_ngap_id))];
    let ambr = ue.ambr();
    if let Some(ambr) = ambr.filter(|_| !sessions.is_empty()) {
        ies.push(ie!(UEAggregateMaximumBitRate(convert::ue_ambr(ambr))));
    }
    if let Some(assistance) = rrc_inactive::assistance(ue, amf) {
        ies.push(ie!(CoreNetworkAssistanceInformationForInactive(assistance)));
    }
    ies.push(ie!(GUAMI(convert::guami(amf.config.guami()))));
    if let Some(list) = session_list(ue, sessions) {
        ies.push(ie!(PDUSessionResourceSetupListCxtReq(list)));
    }
    ies.push(ie!(AllowedNSSAI(convert::allowed_nssai(&ue.allowed))));
    ies.push(ie!(UESecurityCapabilities(capability.to_ngap())));
    ies.push(ie!(SecurityKey(key)));
    ies.push(ie!(MobilityRestrictionList(restrictions)));
    if let Some(radio) = &ue.radio_capability {
        ies.push(ie!(UERadioCapability(&radio[..])));
    }
    if let Some(rfsp) = ue.rfsp() {
        ies.push(ie!(IndexToRFSP(IndexToRFSP(rfsp.into()))));
    }
    ies.push(ie!(NAS_PDU(&nas[..])));
    if let Some(reports) = rrc_inactive::report_request(amf) {
        ies.push(ie!(RRCInactiveTransitionReportRequest(reports)));
    }
    let message = InitialContextSetupRequest::new(ProtocolIEContainer(ies));
    NGAP_PDU::of_message(&message, InitialContextSetupRequest::CRITICALITY)
}

fn session_list<'a>(
    ue: &UeContext,
    sessions: &'a [SessionResources],
) -> Option<PDUSessionResourceSetupListCxtReq<'a>> {
    let item = |resources: &'a SessionResources| {
        let session = ue.sessions.get(&resources.id)?;
        Some(PDUSessionResourceSetupItemCxtReq::new(
            PDUSessionID(resources.id.get()),
            None,
            convert::snssai(session.snssai),
            (&resources.transfer[..]).into(),
            None,
        ))
    };
    let items: Vec<_> = sessions.iter().filter_map(item).collect();
    (!items.is_empty()).then_some(PDUSessionResourceSetupListCxtReq(items))
}

/// The gNB has the context: what waited for it goes out.
pub(crate) fn on_response(ue: &mut UeContext, amf: &mut Amf, pdu: &NGAP_PDU) -> Handled {
    extract_ngap_ies!(pdu, InitialContextSetupResponse,
        lax set_up: Vec<(u8, Bytes)> = PDUSessionResourceSetupListCxtRes(list) => list.0.iter().map(|item| (
            item.pdu_session_id.0,
            Bytes::copy_from_slice(&item.pdu_session_resource_setup_response_transfer),
        )).collect(),
        lax failed: Vec<(u8, Bytes)> = PDUSessionResourceFailedToSetupListCxtRes(list) => list.0.iter().map(|item| (
            item.pdu_session_id.0,
            Bytes::copy_from_slice(&item.pdu_session_resource_setup_unsuccessful_transfer),
        )).collect(),
    );
    let requested = ue.n2.as_mut().filter(|n2| n2.context == ContextSetup::Requested);
    let Some(n2) = requested else {
        amf.count("amf.ngap.unexpected_response");
        return Ok(());
    };
    n2.context = ContextSetup::Done;
    for (id, transfer) in set_up.unwrap_or_default() {
        if let Some(id) = PduSessionId::new(id) {
            session::set_resources(ue, id, true);
            session::push(ue, amf, id, Work::N2(N2FromGnb::SetupResponse, transfer));
        }
    }
    for (id, transfer) in failed.unwrap_or_default() {
        if let Some(id) = PduSessionId::new(id) {
            session::set_resources(ue, id, false);
            session::push(ue, amf, id, Work::N2(N2FromGnb::SetupUnsuccessful, transfer));
        }
    }
    session::release_held(ue, amf);
    location_reporting::start(ue, amf);
    gmm::keys_given(ue, amf);
    ue_context_modification::proceed_values(ue, amf);
    rrc_inactive::inform(ue, amf);
    // A path switch may have been quicker.
    handover::proceed(ue, amf);
    Ok(())
}

/// The gNB could not take the context.
pub(crate) fn on_failure(ue: &mut UeContext, amf: &mut Amf, pdu: &NGAP_PDU) -> Handled {
    extract_ngap_ies!(pdu, InitialContextSetupFailure,
        lax failed: Vec<(u8, Bytes)> = PDUSessionResourceFailedToSetupListCxtFail(list) => list.0.iter().map(|item| (
            item.pdu_session_id.0,
            Bytes::copy_from_slice(&item.pdu_session_resource_setup_unsuccessful_transfer),
        )).collect(),
        lax why: Cause = Cause(cause) => cause,
    );
    let text = why.as_ref().map(tern_ngap::cause::describe);
    warn!(ue = ue.name(), cause = text, "INITIAL CONTEXT SETUP FAILURE");
    if ue.n2.as_ref().is_some_and(|n2| n2.context == ContextSetup::Requested) {
        // The SMFs hear of it from the gNB itself, before the connection goes.
        for (id, transfer) in failed.unwrap_or_default() {
            if let Some(id) = PduSessionId::new(id) {
                session::set_resources(ue, id, false);
                session::push(ue, amf, id, Work::N2(N2FromGnb::SetupUnsuccessful, transfer));
            }
        }
        registration::context_setup_failed(ue, amf);
    }
    Ok(())
}
