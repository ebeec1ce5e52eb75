//! Times of the procedures from a capture of N2.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use tern_tests::capture::read_fields;

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
    pub registration_ms: Vec<f64>,
    pub session_ms: Vec<f64>,
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

/// Reads a capture. A frame may bundle several NGAP messages; their fields come as lists, one
/// element a message.
pub fn read(file: &Path) -> Result<Times> {
    let fields = [
        "frame.time_epoch",
        "ngap.procedureCode",
        "ngap.RAN_UE_NGAP_ID",
        "nas_5gs.mm.message_type",
        "nas_5gs.sm.message_type",
    ];
    let mut ues: BTreeMap<String, Passed> = BTreeMap::new();
    for line in read_fields(file, "ngap.RAN_UE_NGAP_ID", &fields)? {
        let columns: Vec<&str> = line.split('\t').collect();
        let at: f64 = columns[0].parse().with_context(|| format!("no time in {line:?}"))?;
        let list = |index: usize| columns.get(index).map_or(vec![], |c| c.split(',').collect::<Vec<_>>());
        let (procedures, ids, mm, sm) = (list(1), list(2), list(3), list(4));
        for (procedure, id) in procedures.iter().zip(&ids) {
            let passed = ues.entry((*id).to_owned()).or_default();
            match *procedure {
                procedure::INITIAL_UE_MESSAGE => passed.initial.get_or_insert(at),
                procedure::UPLINK_NAS_TRANSPORT
                    if sm.contains(&message::PDU_SESSION_ESTABLISHMENT_REQUEST) =>
                {
                    passed.session_request.get_or_insert(at)
                }
                procedure::UPLINK_NAS_TRANSPORT if mm.contains(&message::REGISTRATION_COMPLETE) => {
                    passed.complete.get_or_insert(at)
                }
                procedure::PDU_SESSION_RESOURCE_SETUP => passed.session_setup.get_or_insert(at),
                _ => continue,
            };
        }
    }
    Ok(durations(ues.into_values()))
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
