//! Times of the procedures from a capture of N2.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;

use crate::capture::read_tree;

/// NGAP procedure codes (TS 38.413 §9.4.7).
mod procedure {
    pub const INITIAL_UE_MESSAGE: &str = "15";
    pub const PDU_SESSION_RESOURCE_SETUP: &str = "29";
    pub const UPLINK_NAS_TRANSPORT: &str = "46";
}

/// 5GMM and 5GSM message types (TS 24.501 §9.7).
mod message {
    pub const REGISTRATION_COMPLETE: &str = "0x43";
    pub const PDU_SESSION_ESTABLISHMENT_REQUEST: &str = "0xc1";
}

/// Durations in milliseconds, one a UE.
#[derive(Debug, Default)]
pub struct Times {
    /// INITIAL UE MESSAGE to REGISTRATION COMPLETE.
    pub registration_ms: Vec<f64>,
    /// Establishment request to PDU SESSION RESOURCE SETUP REQUEST.
    pub session_ms: Vec<f64>,
    /// First INITIAL UE MESSAGE to the last PDU SESSION RESOURCE SETUP REQUEST.
    pub last_done_ms: f64,
}

/// When one UE's messages passed, in seconds since the epoch.
#[derive(Debug, Default, Clone, Copy)]
struct Passed {
    initial: Option<f64>,
    complete: Option<f64>,
    session_request: Option<f64>,
    session_setup: Option<f64>,
}

/// One NGAP message, as far as it matters here.
#[derive(Debug, Default, PartialEq)]
struct Message {
    procedure: String,
    ran_ue_ngap_id: String,
    mm: Vec<String>,
    sm: Vec<String>,
}

/// Reads a capture of one run.
pub fn read(file: &Path) -> Result<Times> {
    let mut ues = BTreeMap::new();
    for packet in read_tree(file, "ngap.RAN_UE_NGAP_ID", &["frame", "ngap", "nas-5gs"])?.split("<packet>") {
        let Some((at, messages)) = parse(packet) else { continue };
        for message in messages {
            note(&mut ues, at, &message);
        }
    }
    Ok(durations(ues.into_values()))
}

/// The time of one packet and its NGAP messages: a packet may bundle several, of several UEs, so
/// their fields are told apart by the message that they stand in.
fn parse(packet: &str) -> Option<(f64, Vec<Message>)> {
    let mut at = None;
    let mut messages: Vec<Message> = Vec::new();
    for line in packet.lines() {
        let attribute = |name: &str| line.split_once(name)?.1.split_once('"').map(|(value, _)| value);
        if line.contains("<proto name=\"ngap\"") {
            messages.push(Message::default());
        }
        let (Some(name), Some(value)) = (attribute(" name=\""), attribute(" show=\"")) else { continue };
        if name == "frame.time_epoch" {
            at = value.parse().ok();
        }
        let Some(message) = messages.last_mut() else { continue };
        match name {
            "ngap.procedureCode" => value.clone_into(&mut message.procedure),
            "ngap.RAN_UE_NGAP_ID" => value.clone_into(&mut message.ran_ue_ngap_id),
            "nas_5gs.mm.message_type" => message.mm.push(value.to_owned()),
            "nas_5gs.sm.message_type" => message.sm.push(value.to_owned()),
            _ => {}
        }
    }
    Some((at?, messages))
}

fn note(ues: &mut BTreeMap<String, Passed>, at: f64, message: &Message) {
    let has = |types: &[String], wanted: &str| types.iter().any(|found| found == wanted);
    let passed = ues.entry(message.ran_ue_ngap_id.clone()).or_default();
    let time = match message.procedure.as_str() {
        procedure::INITIAL_UE_MESSAGE => &mut passed.initial,
        procedure::UPLINK_NAS_TRANSPORT if has(&message.sm, message::PDU_SESSION_ESTABLISHMENT_REQUEST) => {
            &mut passed.session_request
        }
        procedure::UPLINK_NAS_TRANSPORT if has(&message.mm, message::REGISTRATION_COMPLETE) => {
            &mut passed.complete
        }
        // The request goes first: its time stays.
        procedure::PDU_SESSION_RESOURCE_SETUP => &mut passed.session_setup,
        _ => return,
    };
    time.get_or_insert(at);
}

fn durations(ues: impl Iterator<Item = Passed>) -> Times {
    let mut times = Times::default();
    let (mut first, mut last) = (f64::INFINITY, f64::NEG_INFINITY);
    for ue in ues {
        if let (Some(from), Some(to)) = (ue.initial, ue.complete) {
            times.registration_ms.push((to - from) * 1e3);
            first = first.min(from);
        }
        if let (Some(from), Some(to)) = (ue.session_request, ue.session_setup) {
            times.session_ms.push((to - from) * 1e3);
            last = last.max(to);
        }
    }
    times.last_done_ms = (last - first) * 1e3;
    times
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUNDLE: &str = r#"
      <proto name="geninfo" pos="0">
      <proto name="frame" showname="Frame 1">
        <field name="frame.time_epoch" showname="Epoch Time: 12.5 seconds" show="12.5"/>
      <proto name="ngap" showname="NG Application Protocol">
        <field name="ngap.procedureCode" showname="procedureCode" size="1" pos="1" show="46" value="2e"/>
        <field name="ngap.RAN_UE_NGAP_ID" showname="RAN-UE-NGAP-ID: 1" show="1" value="01"/>
        <field name="nas_5gs.mm.message_type" showname="Message type" show="0x43" value="43"/>
      <proto name="ngap" showname="NG Application Protocol">
        <field name="ngap.procedureCode" showname="procedureCode" size="1" pos="1" show="46" value="2e"/>
        <field name="ngap.RAN_UE_NGAP_ID" showname="RAN-UE-NGAP-ID: 2" show="2" value="02"/>
        <field name="nas_5gs.mm.message_type" showname="Message type" show="0x67" value="67"/>
        <field name="nas_5gs.sm.message_type" showname="Message type" show="0xc1" value="c1"/>
    "#;

    #[test]
    fn when_one_packet_bundles_two_ues_then_each_gets_its_own_message() {
        let (at, messages) = parse(BUNDLE).unwrap();
        let mut ues = BTreeMap::new();
        for message in &messages {
            note(&mut ues, at, message);
        }
        assert_eq!((ues["1"].complete, ues["1"].session_request), (Some(12.5), None));
        assert_eq!((ues["2"].complete, ues["2"].session_request), (None, Some(12.5)));
    }
}
