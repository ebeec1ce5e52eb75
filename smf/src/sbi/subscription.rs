//! Nudm_SDM, consumed: the subscriber's session management data, and what a session gets of it
//! (TS 29.503 §5.2.2.2.5, TS 23.502 §4.3.2.2.1 steps 4 and 5).

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tern_nf::{Selection, Target};
use tern_sbi::common::{NfType, PduSessionType, ServiceName, SscMode, UpSecurityPolicy};
use tern_sbi::nudm_sdm::{DnnConfiguration, GetSmData, SmSubsData};
use tern_sbi::{Operation as _, OperationError, Reply, TransportError};
use tern_types::Ipv6Prefix;

use crate::binding::bind;
use crate::cause::{GsmCause, Refusal};
use crate::config::DataNetwork;
use crate::context::{Granted, Ipv6Link, PduSession, SessionType, UeRequest};
use crate::core::Core;
use crate::io::Awaited;
use crate::ndp;
use crate::pool::PoolError;
use crate::qos::{DEFAULT_AMBR, DEFAULT_QOS};

/// The interface identifier of UEs without a static address: on its link there is nobody but the router.
const INTERFACE: u64 = 2;
/// Bits of a session's prefix.
const PREFIX_LENGTH: u8 = 64;

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
    let network = core.network(session).ok_or(Refusal::DnnNotSupported)?;
    let (kind, type_cause) = session_type(&session.request, subscribed, network)?;
    let always_on = network.always_on;
    ssc_mode(&session.request, subscribed)?;
    integrity(&session.request, subscribed)?;
    let upf = core.upfs.select(core.now, &session.dnn, session.snssai).ok_or(Refusal::NoUpf)?;
    let (ipv4, ipv6) = addresses(core, session, kind, subscribed)?;
    let (five_qi, arp) = subscribed.qos_profile.as_ref().map_or(DEFAULT_QOS, |qos| (qos.five_qi, qos.arp));
    let granted = Granted {
        ipv4,
        ipv6,
        type_cause,
        ambr: subscribed.session_ambr.unwrap_or(DEFAULT_AMBR),
        five_qi,
        arp,
        flows: bind((five_qi, arp), Vec::new(), &[]),
        always_on,
    };
    Ok((granted, upf))
}

/// The session's addresses: of each version that it has the static one, or one of the pool.
fn addresses(
    core: &mut Core<'_>,
    session: &PduSession,
    kind: SessionType,
    subscribed: &DnnConfiguration,
) -> Result<(Option<Ipv4Addr>, Option<Ipv6Link>), Refusal> {
    let refuse = |error: PoolError| {
        tracing::warn!(supi = %session.supi, dnn = %session.dnn, %error, "no address");
        Refusal::Address
    };
    let ipv4 = match kind {
        SessionType::Ipv6 => None,
        _ => Some(ipv4(core, session, subscribed).map_err(refuse)?),
    };
    let ipv6 = match kind {
        SessionType::Ipv6 | SessionType::Ipv4v6 => ipv6(core, session, subscribed).map(Some),
        _ => Ok(None),
    };
    match ipv6 {
        Ok(ipv6) => Ok((ipv4, ipv6)),
        Err(error) => {
            if let (Some(address), Some(pool)) = (ipv4, core.pool(session)) {
                pool.release(address);
            }
            Err(refuse(error))
        }
    }
}

fn ipv4(
    core: &mut Core<'_>,
    session: &PduSession,
    subscribed: &DnnConfiguration,
) -> Result<Ipv4Addr, PoolError> {
    let fixed = subscribed.static_ip_address.iter().find_map(|address| address.ipv4_addr);
    let pool = core.pool(session).ok_or(PoolError::Exhausted)?;
    match fixed {
        Some(address) => pool.claim(address).map(|()| address),
        None => pool.allocate(),
    }
}

fn ipv6(
    core: &mut Core<'_>,
    session: &PduSession,
    subscribed: &DnnConfiguration,
) -> Result<Ipv6Link, PoolError> {
    let fixed = &subscribed.static_ip_address;
    let address = fixed.iter().find_map(|fixed| fixed.ipv6_addr);
    let prefix = fixed.iter().find_map(|fixed| fixed.ipv6_prefix.as_deref());
    let pool = core.prefixes(session).ok_or(PoolError::Exhausted)?;
    if let Some(address) = address {
        let interface = address.to_bits() as u64;
        // Its link-local address would be nobody's, or the router's.
        if [0, ndp::ROUTER.to_bits() as u64].contains(&interface) {
            return Err(PoolError::Outside(address.into()));
        }
        return pool.claim(address).map(|prefix| Ipv6Link { prefix, interface });
    }
    let prefix = match prefix {
        Some(text) => pool.claim(link_prefix(text)?)?,
        None => pool.allocate()?,
    };
    Ok(Ipv6Link { prefix, interface: INTERFACE })
}

/// A prefix as TS 29.571 `Ipv6Prefix` has it, which must be one of a link.
fn link_prefix(text: &str) -> Result<Ipv6Addr, PoolError> {
    let outside = |prefix: Ipv6Prefix| PoolError::Outside(prefix.address.into());
    let prefix: Ipv6Prefix = text.parse().map_err(|_| PoolError::Outside(Ipv6Addr::UNSPECIFIED.into()))?;
    let is_link = prefix.length == PREFIX_LENGTH && prefix.address.to_bits() as u64 == 0;
    if is_link { Ok(prefix.address) } else { Err(outside(prefix)) }
}

/// The session's type by what the UE asks for, what is subscribed and what the data network has (TS 24.501 §6.2.4.2,
/// §6.4.1.3, §6.4.1.4), and what the UE is told with it: #50 or #51 if one version is all that there is.
fn session_type(
    request: &UeRequest,
    subscribed: &DnnConfiguration,
    network: &DataNetwork,
) -> Result<(SessionType, Option<GsmCause>), Refusal> {
    let types = &subscribed.pdu_session_types;
    let none = types.default_session_type.is_none() && types.allowed_session_types.is_empty();
    let allowed = |one: PduSessionType| {
        let is_default = types.default_session_type.as_ref() == Some(&one);
        none || is_default || types.allowed_session_types.contains(&one)
    };
    let (has_v4, has_v6) = (network.pool.is_some(), network.ipv6.is_some());
    // Of a subscription to both, a data network of one version leaves that one.
    let of_both = allowed(PduSessionType::Ipv4v6);
    let v4 = has_v4 && (allowed(PduSessionType::Ipv4) || of_both && !has_v6);
    let v6 = has_v6 && (allowed(PduSessionType::Ipv6) || of_both && !has_v4);
    let both = has_v4 && has_v6 && of_both;
    match request.session_type {
        Some(SessionType::Unstructured | SessionType::Ethernet) => Err(Refusal::PduSessionType),
        Some(SessionType::Ipv4) if v4 => Ok((SessionType::Ipv4, None)),
        Some(SessionType::Ipv6) if v6 => Ok((SessionType::Ipv6, None)),
        Some(SessionType::Ipv4v6) if both => Ok((SessionType::Ipv4v6, None)),
        // Each alone is allowed: the UE may ask for a second session.
        Some(SessionType::Ipv4v6) if v4 && v6 => Ok((SessionType::Ipv4, None)),
        Some(SessionType::Ipv4v6) if v4 => Ok((SessionType::Ipv4, Some(GsmCause::Ipv4OnlyAllowed))),
        Some(SessionType::Ipv4v6) if v6 => Ok((SessionType::Ipv6, Some(GsmCause::Ipv6OnlyAllowed))),
        None if v4 || v6 || both => {
            let default = types.default_session_type.as_ref();
            let is_default = |one: PduSessionType| default == Some(&one);
            Ok((
                match () {
                    () if both && is_default(PduSessionType::Ipv4v6) => SessionType::Ipv4v6,
                    () if v6 && (is_default(PduSessionType::Ipv6) || !v4) => SessionType::Ipv6,
                    () if v4 => SessionType::Ipv4,
                    () => SessionType::Ipv4v6,
                },
                None,
            ))
        }
        _ if v4 => Err(Refusal::Ipv4Only),
        _ if v6 => Err(Refusal::Ipv6Only),
        _ if both => Err(Refusal::Ipv4v6Only),
        // What is subscribed is not to be had here.
        _ if allowed(PduSessionType::Ipv6) => Err(Refusal::Ipv6Only),
        _ if allowed(PduSessionType::Ipv4) => Err(Refusal::Ipv4Only),
        _ => Err(Refusal::PduSessionType),
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
