//! An AMF that dies, and the next one, which goes on with what it has stored.

use std::process::Command;

use tern_nas::nas_5gs::{NasRegistrationComplete, RegistrationType};
use tern_nf::Change;
use tern_types::Random;

use super::rig::*;
use crate::n2::message::{GnbInfo, N2Event, Place};
use crate::record::{self, ARRIVALS, DEPARTING, Left, OWN, RecordError, UES};
use crate::{Amf, Config, Input, Output};

/// Tests that are about one process: the N2 termination's, what is random, what is never stored, how many UEs came of
/// late, and one that moves a context by hand.
const OF_ONE_PROCESS: [&str; 7] = [
    "n2::",
    "mortal::",
    "serialised",
    "is_about_to_stop",
    "when_more_come_for_long",
    "when_ues_are_turned_away_then_gnbs_are_asked",
    "when_the_ue_is_elsewhere_or_idle_before",
];

/// All that an AMF finds in its store.
fn left(rig: &Rig) -> Left {
    let mut left = Left::default();
    for (key, octets) in rig.records.iter().flatten() {
        if let Some(key) = key.strip_prefix(UES) {
            left.ues.push(record::read_ue(key, octets).unwrap());
        } else if let Some(key) = key.strip_prefix(DEPARTING) {
            left.departing.push(record::read_departing(key, octets).unwrap());
        } else if let Some(key) = key.strip_prefix(ARRIVALS) {
            left.arrivals.push(record::read_arrival(key, octets).unwrap());
        } else {
            assert_eq!(key, OWN);
            left.own = Some(record::read_own(octets).unwrap());
        }
    }
    left
}

/// All that a successor must have of an AMF: its contexts, what leads to them, and what it awaits.
fn state(amf: &Amf) -> impl PartialEq + std::fmt::Debug + use<> {
    let contexts: Vec<_> = amf.ues.values().map(|ue| serde_json::to_string(ue).unwrap()).collect();
    let indexes = (amf.by_supi.clone(), amf.by_tmsi.clone(), amf.by_amf_id.clone(), amf.by_ran_id.clone());
    let sets = (amf.incoming.clone(), amf.untold.clone(), amf.registering.clone(), amf.serving.clone());
    let sessions = (amf.admission.establishing(), amf.admission.waiting());
    let arrivals = (amf.at_work.clone(), amf.arrivals.waiting(), amf.arrivals.deadline());
    let times = (amf.departing.clone(), amf.deadlines.clone());
    (contexts, indexes, sets, sessions, arrivals, times, amf.tokens.clone(), amf.overload)
}

/// An AMF, with random numbers of its own.
pub(super) fn amf(config: Config, seed: u64) -> Amf {
    let id = tern_sbi::common::NfInstanceId::from_u128(1);
    let random = Random::from_seed([(1 + seed % 255) as u8; 32]);
    Amf::new(config, "http://127.0.0.16:8080".into(), id, random)
}

/// N2 is there with these gNBs.
pub(super) fn attached(gnbs: Vec<GnbInfo>) -> N2Event {
    N2Event::Attached { gnbs, heard: Place { life: 1, number: 0 }, turn: 0 }
}

impl Rig {
    /// The context of the UE.
    pub(super) fn id(&self) -> crate::UeId {
        self.amf.by_supi[&supi()]
    }

    pub(super) fn count(&mut self, name: &str) -> u64 {
        self.take_counts();
        std::mem::take(&mut self.counts).remove(name).unwrap_or(0)
    }

    pub(super) fn forget_counts(&mut self) {
        self.take_counts();
        self.counts.clear();
    }

    pub(super) fn take_counts(&mut self) {
        for (name, n) in self.amf.take_counts() {
            *self.counts.entry(name).or_default() += n;
        }
    }

    /// From now on what the AMF tells to store is stored.
    pub(super) fn keep(&mut self) {
        self.records = Some(Default::default());
        self.amf.resume(self.now, Left::default());
    }

    pub(super) fn store(&mut self) {
        let records = self.records.get_or_insert_default();
        for Change { key, record } in self.amf.changes() {
            match record {
                Some(record) => records.insert(key, record),
                None => records.remove(&key),
            };
        }
    }

    /// Records of a kind.
    fn stored(&self, kind: &str) -> usize {
        self.records.iter().flatten().filter(|(key, _)| key.starts_with(kind)).count()
    }

    /// Another AMF takes the place of this one, and goes on with what is stored: what it says first.
    fn succeed(&mut self) -> Vec<Output> {
        self.deaths += 1;
        self.amf = amf(self.amf.config.clone(), self.deaths);
        self.amf.resume(self.now, left(self))
    }

    /// The AMF is killed and another one goes on. What it asks again has been asked: the answers to come are to both.
    pub(super) fn die(&mut self) {
        self.store();
        self.take_counts();
        let before = state(&self.amf);
        let gnbs = self.amf.gnbs.values().cloned().collect();
        let numbers = (self.amf.next_token, self.amf.next_ue, self.amf.next_indication);
        let again = self.succeed();
        let asked = again.iter().filter(|output| matches!(output, Output::Request { .. })).count();
        assert_eq!(asked, self.amf.awaited());
        self.carry(again.into_iter().filter(|output| matches!(output, Output::Deadline(_))).collect());
        let outputs = self.amf.handle(self.now, Input::N2(attached(gnbs)));
        let said = |output: &Output| matches!(output, Output::Request { .. } | Output::Answer(..));
        assert!(!outputs.iter().any(said), "{outputs:?}");
        self.carry(outputs);
        assert_eq!(state(&self.amf), before);
        let next = (self.amf.next_token, self.amf.next_ue, self.amf.next_indication);
        assert!(next.0 >= numbers.0 && next.1 >= numbers.1 && next.2 >= numbers.2);
    }
}

/// All tests of UEs once more, with an AMF that dies behind each input.
#[test]
fn when_the_amf_dies_behind_each_input_then_all_that_these_tests_show_holds_as_well() {
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.arg("tests::");
    for name in OF_ONE_PROCESS {
        again.args(["--skip", name]);
    }
    let output = again.env(MORTAL, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    let passed = text.lines().find_map(|line| line.strip_prefix("test result: ok. ")?.split(' ').next());
    assert!(passed.and_then(|count| count.parse::<u32>().ok()) > Some(200), "{text}");
}

/// In the middle of a registration: the home network is asked again under the same token, NAS goes on.
#[test]
fn when_the_amf_dies_while_it_waits_then_it_asks_again_under_the_same_token() {
    let (mut rig, mut ue) = (Rig::new(), Ue::new(1));
    rig.keep();
    let request = ue.registration_request(RegistrationType::InitialRegistration);
    ue.initial(&mut rig, &request);
    rig.store();
    let asked: Vec<_> = rig.requests.drain(..).collect();
    assert_eq!(asked.len(), 1, "the AUSF");
    let gnbs: Vec<_> = rig.amf.gnbs.values().cloned().collect();
    let again = rig.succeed();
    rig.carry(again);
    assert_eq!(rig.requests.len(), 1);
    let ((token, target, request), (again, target_again, request_again)) = (&asked[0], &rig.requests[0]);
    assert_eq!((token, target, &request.path), (again, target_again, &request_again.path));
    rig.input(Input::N2(attached(gnbs)));
    assert!(rig.downlink.is_empty(), "the gNB is not reset");
    rig.serve();
    let whole = ue.registration_request(RegistrationType::InitialRegistration);
    ue.prove(&mut rig, &whole);
    rig.die();
    rig.serve();
    ue.accepted(&mut rig);
    rig.die();
    ue.context_is_set_up(&mut rig);
    ue.say(&mut rig, NasRegistrationComplete::new());
    assert!(rig.amf.ue(&supi()).unwrap().registered);
}

/// TS 24.501 §4.4.3.1: a NAS COUNT is never used twice, whenever the AMF dies.
#[test]
fn when_the_amf_dies_then_its_nas_count_goes_on_and_its_temporary_identities_are_taken() {
    let (mut rig, mut ue) = (Rig::new(), Ue::new(1));
    rig.keep();
    ue.register(&mut rig);
    rig.downlink.clear();
    let count = |rig: &Rig| rig.amf.ue(&supi()).unwrap().security.as_ref().unwrap().next_count();
    let (before, guti) = (count(&rig), rig.amf.ue(&supi()).unwrap().guti.unwrap());
    rig.die();
    assert_eq!(count(&rig), before);
    assert_eq!(rig.amf.by_tmsi.keys().copied().collect::<Vec<_>>(), [guti.tmsi]);
}

/// The N2 termination died as well, or a gNB went while no AMF was there: UEs of it are idle, and stay registered.
#[test]
fn when_a_gnb_has_gone_with_the_amf_then_its_ues_are_idle() {
    let (mut rig, mut ue) = (Rig::new(), Ue::new(1));
    rig.keep();
    ue.register(&mut rig);
    rig.store();
    rig.succeed();
    rig.input(Input::N2(attached(Vec::new())));
    let context = rig.amf.ue(&supi()).unwrap();
    assert!(context.registered && context.n2.is_none() && context.reachability.is_some());
    assert!(rig.amf.by_ran_id.is_empty() && rig.amf.by_amf_id.is_empty());
}

/// A UE that has left for good: what is asked on its behalf is asked on.
#[test]
fn when_only_requests_of_a_ue_are_left_then_they_are_asked_again_until_they_are_answered() {
    let (mut rig, ue) = (Rig::new(), Ue::new(1));
    rig.keep();
    let request = ue.registration_request(RegistrationType::InitialRegistration);
    ue.initial(&mut rig, &request);
    // Its connection goes before anybody knows who it is.
    let gnbs: Vec<_> = rig.amf.gnbs.values().cloned().collect();
    rig.input(Input::N2(attached(Vec::new())));
    rig.input(Input::N2(attached(gnbs)));
    assert_eq!((rig.amf.ue_count(), rig.amf.awaited()), (0, 1));
    rig.die();
    assert_eq!(rig.amf.awaited(), 1);
    rig.serve();
    rig.store();
    assert!(rig.records.iter().flatten().all(|(key, _)| key == OWN), "nothing is left of it");
}

/// UEs that wait for their turn to register have theirs, unless their gNB has gone.
#[test]
fn when_the_amf_dies_while_ues_wait_then_their_turn_comes_all_the_same() {
    let mut config = Config::default();
    config.limits.registrations_at_work = 1;
    let mut rig = Rig::with(config);
    rig.keep();
    let mut ues: Vec<Ue> = (1..=3).map(Ue::new).collect();
    for ue in &mut ues {
        let request = ue.registration_request(RegistrationType::InitialRegistration);
        ue.initial(&mut rig, &request);
    }
    rig.die();
    assert_eq!((rig.amf.arrivals.waiting(), rig.requests.len()), (2, 1));
    rig.serve();
    assert_eq!((rig.amf.arrivals.waiting(), rig.amf.registering.len()), (0, 3));
    rig.store();
    assert_eq!(rig.stored(ARRIVALS), 0);

    for ue in &mut ues {
        ue.ran_id += 10;
        let request = ue.registration_request(RegistrationType::InitialRegistration);
        ue.initial(&mut rig, &request);
    }
    rig.store();
    assert_eq!(rig.stored(ARRIVALS), 2);
    rig.succeed();
    rig.input(Input::N2(attached(Vec::new())));
    rig.store();
    assert_eq!((rig.amf.arrivals.waiting(), rig.stored(ARRIVALS)), (0, 0));
}

#[test]
fn when_a_record_is_of_another_form_then_it_is_refused() {
    let error = record::read_ue("1", br#"{"schema":99,"context":{}}"#).unwrap_err();
    assert!(matches!(error, RecordError::Schema { found: 99 }), "{error}");
    assert!(matches!(record::read_ue("1", b"{}"), Err(RecordError::Form(_))));
    assert!(matches!(record::read_ue("one", b"{}"), Err(RecordError::Key)));
    assert!(matches!(record::read_own(b"[]"), Err(RecordError::Form(_))));
}

/// TS 38.413 §8.3.3: what is stored of a connection that departs outlives it no longer than its release is awaited.
#[test]
fn when_the_amf_dies_while_a_connection_departs_then_its_release_is_awaited_on() {
    let (mut rig, mut ue) = (Rig::new(), Ue::new(1));
    rig.keep();
    ue.register(&mut rig);
    rig.downlink.clear();
    let cause = ue.ask_to_go_idle(&mut rig);
    rig.die();
    assert_eq!((rig.stored(DEPARTING), rig.amf.departing.len()), (1, 1));
    assert_eq!(rig.released(), cause);
    rig.die();
    assert_eq!((rig.stored(DEPARTING), rig.amf.departing.len()), (0, 0));
    assert_eq!(rig.count("amf.ngap.release_unexpected"), 0);
}
