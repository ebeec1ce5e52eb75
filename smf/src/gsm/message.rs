//! 5GSM messages (TS 24.501 §8.3): read into plain values, and built from them.

use bytes::Bytes;
use tern_nas::nas_5gs::{
    Direction, MaxDataRate, Nas5gsMessage, Nas5gsmMessage, NasAllowedSscMode,
    NasAlwaysOnPduSessionIndication, NasDnn, NasFGsmCause, NasFGsmStatus, NasPduAddress,
    NasPduSessionEstablishmentAccept, NasPduSessionEstablishmentReject, NasPduSessionEstablishmentRequest,
    NasPduSessionModificationCommand, NasPduSessionModificationReject, NasPduSessionReleaseCommand,
    NasPduSessionReleaseReject, NasPduSessionType, NasSNssai, NasSessionAmbr, NasSscMode,
    PduSessionTypeValue, SscModeValue,
};
use tern_nas::{DecodeError, EncodeError};
use tern_types::{Ambr, PduSessionId};

use crate::binding::FlowChanges;
use crate::cause::{GsmCause, Refusal};
use crate::config::DataNetwork;
use crate::context::{Granted, PduSession, SessionType, UeRequest};
use crate::gsm::{options, qos};

/// An uplink 5GSM message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uplink {
    /// PDU session identity as the UE wrote it: 0 to 15.
    pub id: u8,
    /// Procedure transaction identity; 0 for none.
    pub pti: u8,
    /// What it says.
    pub content: Content,
}

/// What an uplink 5GSM message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// PDU SESSION ESTABLISHMENT REQUEST.
    EstablishmentRequest(UeRequest),
    /// PDU SESSION MODIFICATION REQUEST.
    ModificationRequest(ModificationRequest),
    /// PDU SESSION MODIFICATION COMPLETE.
    ModificationComplete,
    /// PDU SESSION MODIFICATION COMMAND REJECT and its 5GSM cause.
    ModificationCommandReject(u8),
    /// PDU SESSION RELEASE REQUEST.
    ReleaseRequest,
    /// PDU SESSION RELEASE COMPLETE.
    ReleaseComplete,
    /// 5GSM STATUS and its 5GSM cause.
    Status(u8),
    /// A message that this SMF has no procedure for.
    Other,
}

/// What a PDU SESSION MODIFICATION REQUEST asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModificationRequest {
    /// QoS rules or QoS flows are asked for.
    pub qos: bool,
    /// Always-on is asked for.
    pub always_on: bool,
    /// Options that are asked for.
    pub options: crate::context::RequestedOptions,
}

/// Reads an uplink message. The error carries what TS 24.501 §7 has the network answer.
pub fn read(octets: &[u8]) -> Result<Uplink, DecodeError> {
    let (header, message) = tern_nas::decode_gsm(octets, Direction::Uplink)?;
    let (id, pti) = (header.pdu_session_identity, header.procedure_transaction_identity);
    let content = match message {
        Nas5gsmMessage::PduSessionEstablishmentRequest(request) => {
            Content::EstablishmentRequest(establishment_request(pti, &request))
        }
        Nas5gsmMessage::PduSessionModificationRequest(request) => {
            Content::ModificationRequest(ModificationRequest {
                qos: request.requested_qos_rules.is_some()
                    || request.requested_qos_flow_descriptions.is_some(),
                always_on: request.always_on_pdu_session_requested.as_ref().is_some_and(|a| a.apsr()),
                options: options::requested(request.extended_protocol_configuration_options.as_ref()),
            })
        }
        Nas5gsmMessage::PduSessionModificationComplete(_) => Content::ModificationComplete,
        Nas5gsmMessage::PduSessionModificationCommandReject(reject) => {
            Content::ModificationCommandReject(reject.fgsm_cause.cause_raw())
        }
        Nas5gsmMessage::PduSessionReleaseRequest(_) => Content::ReleaseRequest,
        Nas5gsmMessage::PduSessionReleaseComplete(_) => Content::ReleaseComplete,
        Nas5gsmMessage::FiveGsmStatus(status) => Content::Status(status.fgsm_cause.cause_raw()),
        _ => Content::Other,
    };
    Ok(Uplink { id, pti, content })
}

fn establishment_request(pti: u8, request: &NasPduSessionEstablishmentRequest) -> UeRequest {
    let rate = &request.integrity_protection_maximum_data_rate;
    UeRequest {
        pti,
        session_type: request.pdu_session_type.as_ref().map(|t| match t.session_type() {
            Some(PduSessionTypeValue::Ipv6) => SessionType::Ipv6,
            Some(PduSessionTypeValue::Ipv4v6) => SessionType::Ipv4v6,
            Some(PduSessionTypeValue::Unstructured) => SessionType::Unstructured,
            Some(PduSessionTypeValue::Ethernet) => SessionType::Ethernet,
            // Any other value is interpreted as IPv4v6 (TS 24.501 Table 9.11.4.11.1).
            Some(PduSessionTypeValue::Ipv4) => SessionType::Ipv4,
            _ => SessionType::Ipv4v6,
        }),
        ssc_mode: request.ssc_mode.as_ref().map(|mode| match mode.mode() {
            Some(SscModeValue::Ssc2) => 2,
            Some(SscModeValue::Ssc3) => 3,
            Some(_) => 1,
            // 4 to 6 are interpreted as mode 1 to 3 (TS 24.501 Table 9.11.4.16.1).
            None => match mode.mode_raw() & 7 {
                raw @ 4..=6 => raw - 3,
                _ => 1,
            },
        }),
        always_on: request.always_on_pdu_session_requested.as_ref().is_some_and(|a| a.apsr()),
        full_integrity_rate: rate.ul() == Some(MaxDataRate::FullRate)
            && rate.dl() == Some(MaxDataRate::FullRate),
        options: options::requested(request.extended_protocol_configuration_options.as_ref()),
    }
}

/// PDU SESSION ESTABLISHMENT ACCEPT (TS 24.501 §8.3.2, §6.4.1.3).
pub fn establishment_accept(
    session: &PduSession,
    granted: &Granted,
    network: &DataNetwork,
) -> Result<Bytes, EncodeError> {
    let mut accept = NasPduSessionEstablishmentAccept::new(
        NasPduSessionType::from_session_type(match granted.session_type() {
            SessionType::Ipv6 => PduSessionTypeValue::Ipv6,
            SessionType::Ipv4v6 => PduSessionTypeValue::Ipv4v6,
            _ => PduSessionTypeValue::Ipv4,
        }),
        NasSscMode::from_mode(SscModeValue::Ssc1),
        qos::rules(&granted.flows)?,
        session_ambr(granted.ambr)?,
    )
    .with_s_nssai(NasSNssai::from_sst_sd(session.snssai.sst(), session.snssai.sd_octets()))
    .with_authorized_qos_flow_descriptions(qos::descriptions(&granted.flows)?)
    .with_dnn(NasDnn::new(session.dnn.to_octets()));
    if let Some(address) = pdu_address(granted) {
        accept = accept.with_pdu_address(address);
    }
    if let Some(cause) = granted.type_cause {
        accept = accept.with_fgsm_cause(cause_ie(cause));
    }
    // Answered whenever it was asked for (TS 24.501 §6.4.1.3).
    if session.request.always_on {
        let indication = NasAlwaysOnPduSessionIndication::from_apsi(granted.always_on);
        accept = accept.with_always_on_pdu_session_indication(indication);
    }
    if let Some(options) = options::answer(&session.request.options, network, granted) {
        accept = accept.with_extended_protocol_configuration_options(options);
    }
    encode(Nas5gsMessage::new_5gsm(accept, session.id.get(), session.request.pti))
}

/// PDU address (TS 24.501 §9.11.4.10): of IPv6 the interface identifier alone; the prefix is advertised.
fn pdu_address(granted: &Granted) -> Option<NasPduAddress> {
    let interface = granted.ipv6.map(|link| link.interface.to_be_bytes());
    match (granted.ipv4.map(|address| address.octets()), interface) {
        (Some(ipv4), None) => Some(NasPduAddress::from_ipv4(ipv4)),
        (None, Some(interface)) => Some(NasPduAddress::from_ipv6_iid(interface)),
        (Some(ipv4), Some(interface)) => Some(NasPduAddress::from_ipv4v6(interface, ipv4)),
        (None, None) => None,
    }
}

/// PDU SESSION ESTABLISHMENT REJECT (TS 24.501 §8.3.3, §6.4.1.4).
pub fn establishment_reject(id: u8, pti: u8, refusal: Refusal) -> Result<Bytes, EncodeError> {
    let mut reject = NasPduSessionEstablishmentReject::new(cause_ie(refusal.cause()));
    if refusal == Refusal::SscMode {
        reject = reject.with_allowed_ssc_mode(NasAllowedSscMode::from_modes(true, false, false));
    }
    encode(Nas5gsMessage::new_5gsm(reject, id, pti))
}

/// PDU SESSION MODIFICATION COMMAND (TS 24.501 §8.3.9) with new session parameters.
pub fn modification_command(
    session: &PduSession,
    pti: u8,
    change: &Modified,
    network: &DataNetwork,
) -> Result<Bytes, EncodeError> {
    let mut command = NasPduSessionModificationCommand::new();
    if let Some(ambr) = change.ambr {
        command = command.with_session_ambr(session_ambr(ambr)?);
    }
    if let Some(always_on) = change.always_on {
        let indication = NasAlwaysOnPduSessionIndication::from_apsi(always_on);
        command = command.with_always_on_pdu_session_indication(indication);
    }
    if let Some(rules) = qos::changed_rules(&change.flows)? {
        command = command.with_authorized_qos_rules(rules);
    }
    if let Some(descriptions) = qos::changed_descriptions(&change.flows)? {
        command = command.with_authorized_qos_flow_descriptions(descriptions);
    }
    let granted = session.granted.as_ref();
    if let Some(options) = granted.and_then(|granted| options::answer(&change.options, network, granted)) {
        command = command.with_extended_protocol_configuration_options(options);
    }
    encode(Nas5gsMessage::new_5gsm(command, session.id.get(), pti))
}

/// What a PDU SESSION MODIFICATION COMMAND changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Modified {
    /// New Session-AMBR.
    pub ambr: Option<Ambr>,
    /// Answer to an always-on request.
    pub always_on: Option<bool>,
    /// QoS flows and rules.
    pub flows: FlowChanges,
    /// Options that were asked for.
    pub options: crate::context::RequestedOptions,
}

/// PDU SESSION MODIFICATION REJECT (TS 24.501 §8.3.8).
pub fn modification_reject(id: u8, pti: u8, cause: GsmCause) -> Result<Bytes, EncodeError> {
    encode(Nas5gsMessage::new_5gsm(NasPduSessionModificationReject::new(cause_ie(cause)), id, pti))
}

/// PDU SESSION RELEASE COMMAND (TS 24.501 §8.3.14); PTI 0 if the network begins.
pub fn release_command(id: PduSessionId, pti: u8, cause: GsmCause) -> Result<Bytes, EncodeError> {
    encode(Nas5gsMessage::new_5gsm(NasPduSessionReleaseCommand::new(cause_ie(cause)), id.get(), pti))
}

/// PDU SESSION RELEASE REJECT (TS 24.501 §8.3.13).
pub fn release_reject(id: u8, pti: u8, cause: GsmCause) -> Result<Bytes, EncodeError> {
    encode(Nas5gsMessage::new_5gsm(NasPduSessionReleaseReject::new(cause_ie(cause)), id, pti))
}

/// What a request of the UE about a session that is not there is answered with: #43 (TS 24.501 §6.4.2.6 b,
/// §6.4.3.6 a). `None` if it is no such request.
pub fn reject_of_unknown(octets: &[u8]) -> Option<Bytes> {
    const CAUSE: GsmCause = GsmCause::InvalidPduSessionIdentity;
    let Uplink { id, pti, content } = read(octets).ok()?;
    match content {
        Content::ModificationRequest(_) => modification_reject(id, pti, CAUSE).ok(),
        Content::ReleaseRequest => release_reject(id, pti, CAUSE).ok(),
        _ => None,
    }
}

/// 5GSM STATUS (TS 24.501 §8.3.16).
pub fn status(id: u8, pti: u8, cause: GsmCause) -> Result<Bytes, EncodeError> {
    encode(Nas5gsMessage::new_5gsm(NasFGsmStatus::new(cause_ie(cause)), id, pti))
}

fn encode(message: Nas5gsMessage) -> Result<Bytes, EncodeError> {
    tern_nas::encode(&message)
}

fn cause_ie(cause: GsmCause) -> NasFGsmCause {
    NasFGsmCause::new(cause.value())
}

/// Session-AMBR (TS 24.501 §9.11.4.14), rounded up to what its units can say.
fn session_ambr(ambr: Ambr) -> Result<NasSessionAmbr, EncodeError> {
    use qos::representable_kbps as kbps;
    Ok(NasSessionAmbr::from_kbps(kbps(ambr.downlink), kbps(ambr.uplink))?)
}

#[cfg(test)]
mod tests {
    use tern_types::BitRate;

    use super::*;
    use crate::gsm::qos::representable_kbps;

    #[test]
    fn bit_rates_are_rounded_up_to_what_nas_can_say() {
        for (bps, kbps) in
            [(0, 0), (1, 1), (100_000_000, 100_000), (65_536_000, 65_536), (1_000_001_000, 1_000_016)]
        {
            assert_eq!(representable_kbps(BitRate::from_bps(bps)), kbps, "{bps}");
        }
        for bps in [1, 999, 70_001_000, 123_456_789_000, u64::MAX / 2] {
            let ambr = Ambr { uplink: BitRate::from_bps(bps), downlink: BitRate::from_bps(bps) };
            let coded = session_ambr(ambr).unwrap().downlink_kbps().unwrap();
            assert!(coded >= BitRate::from_bps(bps).kbps(), "{bps}");
        }
    }
}
