//! What the AMF reads of a REGISTRATION REQUEST: TS 24.501 §8.2.6.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tern_nas::nas_5gs::{Nas5gmmMessage, NasRegistrationRequest, RegistrationType};
use tern_nas::security::NasSecurityContext;
use tern_nas::{MobileIdentity, NgKsi, registration};
use tern_types::{Guti5g, Snssai};

use crate::error::Refusal;
use crate::gmm::RECEIVED;

/// 5GS registration type, as far as it is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RegistrationKind {
    /// Initial registration.
    Initial,
    /// Mobility registration updating.
    Mobility,
    /// Periodic registration updating.
    Periodic,
}

impl RegistrationKind {
    /// What a message says; `None` for emergency, onboarding and disaster roaming, which are not served.
    pub(crate) fn of(message: &NasRegistrationRequest) -> Option<Self> {
        match message.fgs_registration_type.registration_type() {
            Some(RegistrationType::MobilityRegistrationUpdating) => Some(Self::Mobility),
            Some(RegistrationType::PeriodicRegistrationUpdating) => Some(Self::Periodic),
            // TS 24.501 §9.11.3.7: reserved values are read as initial registration.
            Some(RegistrationType::InitialRegistration) | None => Some(Self::Initial),
            Some(_) => None,
        }
    }
}

/// Who the UE says it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClaimedIdentity {
    /// SUCI, as the SBI writes it.
    Suci(String),
    /// 5G-GUTI.
    Guti(Guti5g),
    /// Another kind, or none.
    Other,
}

/// A REGISTRATION REQUEST.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationRequest {
    /// Why it came.
    pub kind: RegistrationKind,
    /// Follow-on request pending.
    pub follow_on: bool,
    /// The key set that the UE has, if any.
    pub ksi: Option<NgKsi>,
    /// 5GS mobile identity.
    pub identity: ClaimedIdentity,
    /// UE security capability, octet for octet.
    pub capability: Bytes,
    /// Requested NSSAI.
    pub requested: Option<Vec<Snssai>>,
    /// Sessions with uplink data pending.
    pub uplink_data: Option<Vec<u8>>,
    /// Sessions that are active at the UE.
    pub pdu_sessions: Option<Vec<u8>>,
    /// Requested DRX parameters: its cycle in radio frames.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paging_drx: Option<u16>,
    /// The plain message: two requests differ if their octets do (TS 24.501 §5.5.1.2.8).
    pub octets: Bytes,
}

impl RegistrationRequest {
    /// Reads the message.
    pub(crate) fn of(message: &NasRegistrationRequest, octets: Bytes) -> Result<Self, Refusal> {
        let kind = RegistrationKind::of(message).ok_or(Refusal::ProtocolError)?;
        let identity = match MobileIdentity::of(&message.fgs_mobile_identity) {
            Ok(MobileIdentity::Suci(suci)) => ClaimedIdentity::Suci(suci.to_string()),
            Ok(MobileIdentity::Guti(guti)) => ClaimedIdentity::Guti(guti),
            Ok(_) => ClaimedIdentity::Other,
            Err(_) => return Err(Refusal::InvalidMandatoryInformation),
        };
        let capability = message.ue_security_capability.as_ref();
        Ok(Self {
            kind,
            follow_on: message.fgs_registration_type.follow_on_request(),
            ksi: registration::ngksi_of(&message.ngksi),
            identity,
            capability: capability.map_or_else(Bytes::new, |ie| Bytes::copy_from_slice(&ie.value)),
            requested: message.requested_nssai.as_ref().map(registration::nssai_of),
            uplink_data: message.uplink_data_status.as_ref().map(|ie| ie.sessions_with_data()),
            pdu_sessions: message.pdu_session_status.as_ref().map(|ie| ie.active_sessions()),
            paging_drx: message.requested_drx_parameters.as_ref().and_then(registration::drx_of),
            octets,
        })
    }

    /// Reads an initial message whose integrity is verified: the request in its ciphered NAS
    /// message container, if it has one, replaces it (TS 24.501 §4.4.6). `None` if the container
    /// cannot be read: the whole message is to be asked for again.
    pub(crate) fn of_initial(
        message: &NasRegistrationRequest,
        octets: Bytes,
        context: &NasSecurityContext,
        count: u32,
    ) -> Option<Result<Self, Refusal>> {
        let Some(container) = &message.nas_message_container else {
            return Some(Self::of(message, octets));
        };
        let plain = Bytes::from(context.decipher_container(count, &container.value));
        Self::of_container(plain)
    }

    /// Reads the request in a SECURITY MODE COMPLETE's NAS message container, which replaces the
    /// first one (TS 24.501 §5.4.2.4). `None` if it is no REGISTRATION REQUEST.
    pub(crate) fn of_container(plain: Bytes) -> Option<Result<Self, Refusal>> {
        match tern_nas::decode_gmm(&plain, RECEIVED) {
            Ok(Nas5gmmMessage::RegistrationRequest(message)) => Some(Self::of(&message, plain)),
            _ => None,
        }
    }
}
