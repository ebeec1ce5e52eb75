//! What simulations say, through another decoder: captures of scenarios decode clean in tshark.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use tern_tests::capture;
use ue_ransim::scenario::{self, Scenario};

use crate::simulation::{Recording, Setup, simulate};

/// Its packets need a user plane that carries them.
const NEEDS_USER_PLANE: [&str; 1] = ["paging"];

/// Messages of handovers that a capture of all scenarios has, by procedure code (TS 38.413 §9.4.7): Handover
/// Cancel, Notification, Preparation and Resource Allocation, Path Switch Request, both RAN Status Transfers,
/// RRC Inactive Transition Report, and Location Reporting Control and Report.
const EXPECTED: [u8; 10] = [10, 11, 12, 13, 25, 49, 7, 37, 16, 18];

fn scenarios() -> Vec<Scenario> {
    scenario::ALL.iter().filter(|scenario| !NEEDS_USER_PLANE.contains(&scenario.name)).copied().collect()
}

#[test]
fn when_scenarios_are_recorded_then_their_captures_decode_clean() {
    if Command::new("tshark").arg("-v").output().is_err() {
        println!(
            "SKIPPED tern-tests captures::when_scenarios_are_recorded_then_their_captures_decode_clean: \
             tshark is not installed"
        );
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let all = scenarios();
    let mut seen = Vec::new();
    for scenario in &all {
        let file = record(directory.path(), *scenario);
        let faults = capture::faults(&file).expect("tshark reads it");
        assert!(faults.is_empty(), "{}: {faults:#?}", scenario.name);
        let codes = capture::read_fields(&file, "ngap", &["ngap.procedureCode"]).expect("tshark reads it");
        assert!(!codes.is_empty(), "{}", scenario.name);
        seen.extend(
            codes.iter().flat_map(|codes| codes.split(',')).filter_map(|code| code.parse::<u8>().ok()),
        );
    }
    for code in EXPECTED {
        assert!(seen.contains(&code), "no scenario has a message of procedure {code}");
    }
}

/// A run of one scenario, with NAS that others can read.
fn record(directory: &Path, scenario: Scenario) -> std::path::PathBuf {
    let mut setup = Setup::new(1, 3).ipv6();
    setup.subscribers[2].authentication.method = tern_udr::Method::EapAkaPrime;
    setup.amf.location_reporting.change_of_cell = true;
    setup.amf.timers.t3512_s = 60;
    setup.group().nea = vec![0];
    let file = directory.join(format!("{}.pcap", scenario.name));
    let recording = Arc::new(Recording::create(&file).expect("a writable directory"));
    setup.witness = Some(recording.clone());
    simulate(setup, async |sim| {
        let reports = sim.play(&[scenario]).await;
        assert!(reports.iter().all(|report| report.ok), "{reports:#?}");
    });
    recording.finish().expect("a capture");
    file
}
