//! Nudm_SDM, consumed: the subscriber's session management data, and what a session gets of it
//! (TS 29.503 §5.2.2.2.5, TS 23.502 §4.3.2.2.1 steps 4 and 5).

use std::net::SocketAddr;

use tern_nf::{Selection, Target};
use tern_sbi::common::{NfType, PduSessionType, ServiceName, SscMode, UpSecurityPolicy};
use tern_sbi::nudm_sdm::{DnnConfiguration, GetSmData, SmSubsData};
use tern_sbi::{Operation as _, OperationError, Reply, TransportError};

use crate::binding::bind;
use crate::cause::{GsmCause, Refusal};
use crate::context::{Granted, PduSession, SessionType, UeRequest};
use crate::core::Core;
use crate::io::Awaited;
use crate::qos::{DEFAULT_AMBR, DEFAULT_QOS};

/// Asks for the data of the session's DNN and slice.
pub fn get(core: &mut Core<'_>, session: &PduSession) -> Awaited<GetSmData> {
    let operation = GetSmData {
        supi: session.supi.clone(),
        single_nssai: Some(session.snssai),
        dnn: Some(session.dnn.clone()),
        plmn_id: Some(session.serving_network),
        supported_features: None,
    };
    core.out.request(session.reference, udm(session, ServiceName::NudmSdm), &operation)
}

/// A UDM of the subscriber.
pub fn udm(session: &PduSession, service: ServiceName) -> Target {
    let selection = Selection { supi: Some(session.supi.clone()), ..Selection::default() };
    Target::selected(NfType::Udm, service, selection)
}

/// Reads the reply.
pub fn read(reply: Result<Reply, TransportError>) -> Result<SmSubsData, Refusal> {
    let reply = reply.map_err(OperationError::from).and_then(GetSmData::from_reply);
    match reply {
        Ok(response) => Ok(response.body),
        Err(OperationError::Refused { status: 404, body } | OperationError::Problem(body))
            if body.status.is_none_or(|status| status == 404) =>
        {
            Err(if body.cause.as_deref() == Some("USER_NOT_FOUND") {
                Refusal::Subscriber
            } else {
                Refusal::DnnDenied
            })
        }
        Err(error) => {
            tracing::warn!(%error, "no session management data");
            Err(Refusal::SubscriptionUnavailable)
        }
    }
}

/// What the session gets, and the UPF that serves it; or why not.
pub fn grant(
    core: &mut Core<'_>,
    session: &PduSession,
    data: &SmSubsData,
) -> Result<(Granted, SocketAddr), Refusal> {
    let slice = data.individual().iter().find(|item| item.single_nssai == session.snssai);
    let slice = slice.ok_or(Refusal::SnssaiDenied)?;
    let subscribed = slice.dnn(&session.dnn).ok_or(Refusal::DnnDenied)?;
    let type_cause = session_type(&session.request, subscribed)?;
    ssc_mode(&session.request, subscribed)?;
    integrity(&session.request, subscribed)?;
    let upf = core.upfs.select(core.now, &session.dnn, session.snssai).ok_or(Refusal::NoUpf)?;
    let always_on = core.network(session).is_some_and(|network| network.always_on);
    let fixed = subscribed.static_ip_address.iter().find_map(|address| address.ipv4_addr);
    let pool = core.pool(session).ok_or(Refusal::DnnNotSupported)?;
    let address = match fixed {
        Some(address) => pool.claim(address).map(|()| address),
        None => pool.allocate(),
    };
    let address = address.map_err(|error| {
        tracing::warn!(supi = %session.supi, dnn = %session.dnn, %error, "no address");
        Refusal::Address
    })?;
    let (five_qi, arp) = subscribed.qos_profile.as_ref().map_or(DEFAULT_QOS, |qos| (qos.five_qi, qos.arp));
    let granted = Granted {
        address,
        type_cause,
        ambr: subscribed.session_ambr.unwrap_or(DEFAULT_AMBR),
        five_qi,
        arp,
        flows: bind((five_qi, arp), Vec::new(), &[]),
        always_on,
    };
    Ok((granted, upf))
}

/// PDU session type: IPv4, with #50 after a request for IPv4v6 (TS 24.501 §6.4.1.3, §6.4.1.4).
fn session_type(request: &UeRequest, subscribed: &DnnConfiguration) -> Result<Option<GsmCause>, Refusal> {
    let types = &subscribed.pdu_session_types;
    let allowed = |one: &PduSessionType| {
        types.default_session_type.as_ref() == Some(one) || types.allowed_session_types.contains(one)
    };
    let none = types.default_session_type.is_none() && types.allowed_session_types.is_empty();
    let ipv4 = none || allowed(&PduSessionType::Ipv4) || allowed(&PduSessionType::Ipv4v6);
    match request.session_type {
        Some(SessionType::Unstructured | SessionType::Ethernet) => Err(Refusal::PduSessionType),
        _ if !ipv4 && allowed(&PduSessionType::Ipv6) => Err(Refusal::Ipv6Only),
        _ if !ipv4 => Err(Refusal::PduSessionType),
        Some(SessionType::Ipv6) => Err(Refusal::Ipv4Only),
        Some(SessionType::Ipv4v6) => Ok(Some(GsmCause::Ipv4OnlyAllowed)),
        Some(SessionType::Ipv4) | None => Ok(None),
    }
}

/// SSC mode 1 alone is served.
fn ssc_mode(request: &UeRequest, subscribed: &DnnConfiguration) -> Result<(), Refusal> {
    let modes = &subscribed.ssc_modes;
    let allowed =
        modes.default_ssc_mode == SscMode::Mode1 || modes.allowed_ssc_modes.contains(&SscMode::Mode1);
    if allowed && request.ssc_mode.is_none_or(|mode| mode == 1) { Ok(()) } else { Err(Refusal::SscMode) }
}

/// User-plane integrity protection that the subscription requires needs the full rate.
fn integrity(request: &UeRequest, subscribed: &DnnConfiguration) -> Result<(), Refusal> {
    let required = subscribed.up_security.as_ref().is_some_and(|s| s.up_integr == UpSecurityPolicy::Required);
    if required && !request.full_integrity_rate { Err(Refusal::IntegrityProtectionRate) } else { Ok(()) }
}
