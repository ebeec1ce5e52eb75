//! What the specifications call messages.

use bytes::Bytes;
use tern_nas::nas_5gs::{Direction, Nas5gmmMessage, Nas5gsMessage};
use tern_ngap::ngap::*;
use tern_ngap::{DecodeError, extract_ngap_ies};
use tern_sbi::Request;

/// Behind the names of most procedures with an answer (TS 38.413 §8.1).
const ANSWERED: [&str; 6] = [
    "InitialContextSetup",
    "NGSetup",
    "PDUSessionResourceModify",
    "PDUSessionResourceSetup",
    "UEContextModification",
    "UERadioCapabilityCheck",
];
/// Messages that are called otherwise.
const NAMED_APART: [((&str, &str), &str); 9] = [
    (("HandoverNotification", INITIATING), "HANDOVER NOTIFY"),
    (("HandoverPreparation", INITIATING), "HANDOVER REQUIRED"),
    (("HandoverPreparation", SUCCESSFUL), "HANDOVER COMMAND"),
    (("HandoverResourceAllocation", INITIATING), "HANDOVER REQUEST"),
    (("HandoverResourceAllocation", SUCCESSFUL), "HANDOVER REQUEST ACKNOWLEDGE"),
    (("HandoverResourceAllocation", UNSUCCESSFUL), "HANDOVER FAILURE"),
    (("PDUSessionResourceRelease", SUCCESSFUL), "PDU SESSION RESOURCE RELEASE RESPONSE"),
    (("PDUSessionResourceModifyIndication", SUCCESSFUL), "PDU SESSION RESOURCE MODIFY CONFIRM"),
    (("UEContextRelease", SUCCESSFUL), "UE CONTEXT RELEASE COMPLETE"),
];
/// Procedures that begin with a command.
const COMMANDED: [&str; 2] = ["PDUSessionResourceRelease", "UEContextRelease"];
const INITIATING: &str = "InitiatingMessage";
const SUCCESSFUL: &str = "SuccessfulOutcome";
const UNSUCCESSFUL: &str = "UnsuccessfulOutcome";

/// An NGAP message and the NAS messages in it; none if it is no NGAP.
pub fn ngap(octets: &[u8]) -> Option<String> {
    let pdu = tern_ngap::decode(octets).ok()?;
    let name = message(pdu.procedure_name(), pdu.direction());
    let nas = carried(&pdu, &name);
    let lines = std::iter::once(name).chain(nas.iter().map(|(nas, way)| self::nas(nas, *way)));
    Some(lines.collect::<Vec<_>>().join("<br/>"))
}

fn message(procedure: &str, direction: &str) -> String {
    let apart = NAMED_APART.iter().find(|(message, _)| *message == (procedure, direction));
    if let Some((_, name)) = apart {
        return (*name).to_owned();
    }
    let (name, is_answered) = (in_words(procedure), ANSWERED.contains(&procedure));
    match direction {
        INITIATING if is_answered => format!("{name} REQUEST"),
        INITIATING if COMMANDED.contains(&procedure) => format!("{name} COMMAND"),
        SUCCESSFUL if is_answered => format!("{name} RESPONSE"),
        SUCCESSFUL => format!("{name} ACKNOWLEDGE"),
        UNSUCCESSFUL => format!("{name} FAILURE"),
        _ => name,
    }
}

/// NAS messages of an NGAP message, and their direction.
fn carried(pdu: &NGAP_PDU, message: &str) -> Vec<(Bytes, Direction)> {
    use Direction::{Downlink, Uplink};
    let (all, way) = match message {
        "INITIAL UE MESSAGE" => (initial(pdu), Uplink),
        "UPLINK NAS TRANSPORT" => (uplink(pdu), Uplink),
        "DOWNLINK NAS TRANSPORT" => (downlink(pdu), Downlink),
        "INITIAL CONTEXT SETUP REQUEST" => (context_setup(pdu), Downlink),
        "PDU SESSION RESOURCE SETUP REQUEST" => (session_setup(pdu), Downlink),
        "PDU SESSION RESOURCE RELEASE COMMAND" => (session_release(pdu), Downlink),
        _ => return Vec::new(),
    };
    all.unwrap_or_default().into_iter().map(|nas| (nas, way)).collect()
}

fn initial(pdu: &NGAP_PDU) -> Result<Vec<Bytes>, DecodeError> {
    extract_ngap_ies!(pdu, InitialUEMessage, req nas: Bytes = NAS_PDU(nas) => Bytes::copy_from_slice(&nas.0));
    Ok(vec![nas])
}

fn uplink(pdu: &NGAP_PDU) -> Result<Vec<Bytes>, DecodeError> {
    extract_ngap_ies!(pdu, UplinkNASTransport, req nas: Bytes = NAS_PDU(nas) => Bytes::copy_from_slice(&nas.0));
    Ok(vec![nas])
}

fn downlink(pdu: &NGAP_PDU) -> Result<Vec<Bytes>, DecodeError> {
    extract_ngap_ies!(pdu, DownlinkNASTransport, req nas: Bytes = NAS_PDU(nas) => Bytes::copy_from_slice(&nas.0));
    Ok(vec![nas])
}

fn context_setup(pdu: &NGAP_PDU) -> Result<Vec<Bytes>, DecodeError> {
    extract_ngap_ies!(pdu, InitialContextSetupRequest,
        opt nas: Bytes = NAS_PDU(nas) => Bytes::copy_from_slice(&nas.0),
    );
    Ok(nas.into_iter().collect())
}

fn session_setup(pdu: &NGAP_PDU) -> Result<Vec<Bytes>, DecodeError> {
    extract_ngap_ies!(pdu, PDUSessionResourceSetupRequest,
        req all: Vec<Bytes> = PDUSessionResourceSetupListSUReq(list) => list.0.iter()
            .filter_map(|item| Some(Bytes::copy_from_slice(&item.pdu_session_nas_pdu.as_ref()?.0)))
            .collect(),
    );
    Ok(all)
}

fn session_release(pdu: &NGAP_PDU) -> Result<Vec<Bytes>, DecodeError> {
    extract_ngap_ies!(pdu, PDUSessionResourceReleaseCommand,
        opt nas: Bytes = NAS_PDU(nas) => Bytes::copy_from_slice(&nas.0),
    );
    Ok(nas.into_iter().collect())
}

/// A NAS message, with the 5GSM message that it transports; NEA0 leaves all readable.
fn nas(octets: &[u8], way: Direction) -> String {
    match tern_nas::decode(octets, way) {
        Ok(Nas5gsMessage::SecurityProtected(_, inner)) => match *inner {
            Nas5gsMessage::Opaque(octets) => nas(&octets, way),
            other => plain(&other, way),
        },
        Ok(other) => plain(&other, way),
        Err(_) => "NAS".to_owned(),
    }
}

fn plain(message: &Nas5gsMessage, way: Direction) -> String {
    match message {
        Nas5gsMessage::Gmm(_, message) => {
            let name = spoken(message);
            let inner = match message {
                Nas5gmmMessage::UlNasTransport(transport) => &transport.payload_container.value,
                Nas5gmmMessage::DlNasTransport(transport) => &transport.payload_container.value,
                _ => return name,
            };
            format!("{name} ({})", nas(inner, way))
        }
        Nas5gsMessage::Gsm(_, message) => spoken(message),
        _ => "NAS".to_owned(),
    }
}

/// The name of the message, from the codec's.
fn spoken(message: &impl std::fmt::Debug) -> String {
    let text = format!("{message:?}");
    let name = text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    let name = name.trim_end_matches("UeOriginating").trim_end_matches("UeTerminated");
    in_words(name)
}

/// `PDUSessionResourceSetup` as the specifications write it.
pub fn in_words(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut words = String::new();
    for (at, &letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).map(|at| letters[at]);
        let begins = letter.is_uppercase()
            && before.is_some_and(|before| {
                before.is_lowercase() || letters.get(at + 1).is_some_and(|next| next.is_lowercase())
            });
        if begins {
            words.push(' ');
        }
        words.push(letter.to_ascii_uppercase());
    }
    words
}

/// Method and path, with what is different in each run by its kind.
pub fn operation(request: &Request) -> String {
    let method = format!("{:?}", request.method).to_uppercase();
    let parts: Vec<&str> = request.path.split('/').map(general).collect();
    format!("{method} {}", parts.join("/"))
}

fn general(part: &str) -> &str {
    let is_number =
        part.chars().all(|c| c.is_ascii_hexdigit() || c == '-') && part.chars().any(|c| c.is_ascii_digit());
    match part {
        _ if part.starts_with("imsi-") => "{supi}",
        _ if part.starts_with("suci-") => "{suci}",
        _ if part.len() == 5 && is_number => "{plmn}",
        _ if is_number => "{id}",
        _ => part,
    }
}

#[test]
fn names_are_those_of_the_specifications() {
    assert_eq!(in_words("PDUSessionResourceSetup"), "PDU SESSION RESOURCE SETUP");
    assert_eq!(in_words("InitialUEMessage"), "INITIAL UE MESSAGE");
    assert_eq!(in_words("DlNasTransport"), "DL NAS TRANSPORT");
    assert_eq!(message("PathSwitchRequest", SUCCESSFUL), "PATH SWITCH REQUEST ACKNOWLEDGE");
    assert_eq!(message("HandoverPreparation", UNSUCCESSFUL), "HANDOVER PREPARATION FAILURE");
    assert_eq!(message("UEContextRelease", INITIATING), "UE CONTEXT RELEASE COMMAND");
    assert_eq!(message("UEContextReleaseRequest", INITIATING), "UE CONTEXT RELEASE REQUEST");
    assert_eq!(general("imsi-001010000000001"), "{supi}");
    assert_eq!(general("nudm-ueau"), "nudm-ueau");
    assert_eq!(general("n1-n2-messages"), "n1-n2-messages");
    assert_eq!(general("2eec4957-b045-4b24-b0ca-3b52022a1314"), "{id}");
}
