//! An SMF that dies, and the next one, which goes on with what it has stored.

use std::process::Command;

use tern_nas::nas_5gs::{NasPduSessionReleaseComplete, NasPduSessionReleaseRequest};
use tern_sbi::namf_comm::N1N2MessageTransfer;
use tern_sbi::npcf_sm::SmPolicyDecision;
use tern_smf::record::{self, RecordError};
use tern_smf::{Config, Input};
use tern_types::Duration;

use crate::bench::*;

/// Tests of this binary that are about one process: what it asks UPFs for again, and its random numbers.
const OF_ONE_PROCESS: [&str; 3] = ["mortal::", "restoration::", "survives_serialisation"];

/// An SMF that keeps its contexts.
fn keeping() -> Bench {
    let mut bench = Bench::new();
    bench.smf.resume(bench.now, Vec::new());
    bench
}

/// A session whose establishment waits for the PCF: the context's reference.
fn waits_for_the_pcf(bench: &mut Bench) -> String {
    let token = bench.create(1);
    bench.subscribe(sm_data(subscription()));
    bench.context_ref(token)
}

/// All tests of sessions once more, with an SMF that dies behind each input.
#[test]
fn when_the_smf_dies_behind_each_input_then_all_that_these_tests_show_holds_as_well() {
    let mut again = Command::new(std::env::current_exe().unwrap());
    for name in OF_ONE_PROCESS {
        again.args(["--skip", name]);
    }
    let output = again.env(MORTAL, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    let passed = text.lines().find_map(|line| line.strip_prefix("test result: ok. ")?.split(' ').next());
    assert!(passed.and_then(|count| count.parse::<u32>().ok()) > Some(100), "{text}");
}

/// What one SMF stores is what the next one has, to the letter.
#[test]
fn when_a_context_is_stored_and_read_then_it_is_the_same() {
    let mut bench = keeping();
    waits_for_the_pcf(&mut bench);
    let changes = bench.smf.changes();
    assert_eq!(changes.len(), 1);
    assert!(bench.smf.changes().is_empty(), "told once");
    let record = changes[0].record.as_ref().unwrap();
    let restored = record::read(record).unwrap();
    assert!(!restored.awaited.is_empty(), "the PCF is asked");
    let context = bench.smf.contexts().next().unwrap();
    let json = |context| serde_json::to_value(context).unwrap();
    assert_eq!(json(&restored.context), json(context));
}

#[test]
fn when_the_smf_dies_then_its_addresses_are_not_given_twice_and_all_is_given_back_at_last() {
    let mut bench = keeping();
    let address = |bench: &Bench, id: u8| {
        let mut contexts = bench.smf.contexts().filter(|context| context.session.id == session_id(id));
        contexts.next().unwrap().session.granted.as_ref().unwrap().ipv4.unwrap()
    };
    let first = bench.establish(1);
    bench.die();
    let second = bench.establish(2);
    assert_ne!(address(&bench, 1), address(&bench, 2));
    assert_eq!(bench.smf.addresses_used(), [2]);
    for (id, reference) in [(1, first), (2, second)] {
        bench.die();
        let answer = bench.send_n1(&reference, n1(NasPduSessionReleaseRequest::new(), id, 20));
        assert!(bench.updated(answer).unwrap().body.n1_sm_msg.is_some());
        bench.deleted();
        crate::release::access_released(&mut bench, &reference);
        let answer = bench.send_n1(&reference, n1(NasPduSessionReleaseComplete::new(), id, 20));
        assert_eq!(bench.updated(answer).unwrap().status, 204);
        bench.concluded();
    }
    bench.die();
    bench.empty();
}

/// In the middle of an establishment: the PCF is asked again, and its answer goes on from there.
#[test]
fn when_the_smf_dies_while_it_waits_then_it_asks_again_under_the_same_token() {
    let mut bench = keeping();
    let reference = waits_for_the_pcf(&mut bench);
    bench.die();
    bench.police(SmPolicyDecision::default());
    bench.die();
    bench.install();
    bench.transfer();
    bench.register();
    bench.die();
    let answer = bench.setup_response(&reference);
    bench.die();
    bench.modified();
    // The core answers under the token of the question; the edge of the next process has nobody to tell.
    assert_eq!(bench.updated(answer).unwrap().status, 200);
    bench.nothing();
}

#[test]
fn when_a_record_is_of_another_form_then_it_is_refused() {
    let error = record::read(br#"{"context":{"schema":99,"session":null}}"#).unwrap_err();
    assert!(matches!(error, RecordError::Schema { found: 99 }), "{error}");
    assert!(matches!(record::read(b"{}"), Err(RecordError::Form(_))));
}

/// TS 23.527 §4.3.3: also where it is another SMF that waits for the UPF.
#[test]
fn when_the_smf_dies_while_a_upf_is_away_then_its_sessions_wait_for_the_upf_and_are_released_at_last() {
    let mut bench = keeping();
    bench.establish(1);
    bench.input(Input::UpfDown(upf()));
    bench.die();
    bench.nothing();
    bench.pass(Duration::from_secs(Config::default().timers.upf_return_s));
    let (_, operation) = bench.expect::<N1N2MessageTransfer>();
    assert!(operation.n1_sm_msg.is_some(), "the UE is told");
}
