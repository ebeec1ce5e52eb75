//! UEs in numbers, and scenarios out of files, by the simulator's own `load` and `scenario`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tern_sbi_transport::Fault;
use ue_ransim::SimEnv;
use ue_ransim::load::{self, Activity, LoadConfig, LoadProgress, LoadReport};
use ue_ransim::scenario::{self, Playable, Script};

use crate::simulation::{Nf, RAN_ADDRESS, Setup, Simulation, simulate};

fn setup(seed: u64, ues: u32) -> Setup {
    let mut setup = Setup::new(seed, ues).gnbs(4);
    setup.ran.rate = Some(5.0);
    setup
}

/// A load with gNBs of its own beside those of the simulation.
async fn run(sim: &mut Simulation, load: LoadConfig) -> (LoadReport, LoadProgress) {
    let mut config = sim.setup.ran.clone();
    config.gnb_id += sim.rig.gnbs.len() as u32;
    config.n3_port += 1;
    let n3 = Arc::new(sim.network.datagrams.clone());
    let env = SimEnv::new(sim.network.sctp.endpoint(vec![RAN_ADDRESS]), n3, sim.random.fork());
    let mut last = None;
    let report = load::run(config, load, env, |progress| last = Some(*progress)).await.expect("a run");
    (report, last.expect("it was told how far it is"))
}

fn minutes(minutes: u64) -> LoadConfig {
    LoadConfig { seed: 7, duration: Duration::from_secs(60 * minutes), ..LoadConfig::default() }
}

fn done(report: &LoadReport, name: &str) -> u64 {
    report.procedures.iter().find(|procedure| procedure.name == name).map_or(0, |found| found.succeeded)
}

#[test]
fn when_ues_live_for_ten_minutes_then_none_fails_and_nothing_is_left() {
    simulate(setup(1, 40), async |sim| {
        let (report, last) = run(sim, minutes(10)).await;
        assert!(report.ok, "{report}");
        assert_eq!((report.ues_ok, report.gnbs), (40, 4));
        for name in ["registration", "PDU session establishment", "deregistration"] {
            assert_eq!(done(&report, name), 40, "{name}: {report}");
        }
        // 40 UEs, an activity every 10 s for 600 s, of which each kind is a good part.
        for name in
            ["Xn handover", "N2 handover", "AN release", "service request", "periodic registration update"]
        {
            assert!(done(&report, name) > 100, "{name}: {report}");
        }
        assert_eq!((last.left, last.registered, last.failed), (40, 0, 0));
        assert_eq!(report.registered.iter().map(|(_, ues)| *ues).max(), Some(40));
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

#[test]
fn when_a_seed_is_run_twice_then_the_ues_do_the_same() {
    let counts = |seed| {
        simulate(setup(2, 10), async |sim| {
            let (report, _) = run(sim, LoadConfig { seed, ..minutes(5) }).await;
            assert!(report.ok, "{report}");
            report.procedures
        })
        .value
    };
    assert_eq!(counts(1), counts(1));
    assert_ne!(counts(1), counts(2));
}

#[test]
fn when_the_network_refuses_sessions_then_the_report_says_which_cause_and_the_ues_go_on() {
    simulate(setup(3, 5), async |sim| {
        let mut left = 3;
        sim.on_sbi(move |request| {
            let refused = left > 0 && request.path == "/nsmf-pdusession/v1/sm-contexts";
            left -= i32::from(refused);
            refused.then_some(Fault::Answer(500))
        });
        let (report, last) = run(sim, minutes(2)).await;
        assert!(!report.ok && report.ues_ok < 5, "{report}");
        let refused: u64 = report.failed.iter().map(|failed| failed.times).sum();
        assert_eq!((refused, last.failed), (3, 3), "{:#?}", report.failed);
        assert!(
            report.failed.iter().all(|failed| {
                failed.procedure == "PDU session establishment" && failed.cause.contains('#')
            })
        );
        // All of them came again, and had sessions at last.
        assert_eq!(done(&report, "PDU session establishment"), 5, "{report}");
        assert_eq!(done(&report, "registration"), 8, "{report}");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

#[test]
fn when_ues_are_never_idle_then_they_are_only_handed_over() {
    simulate(setup(4, 4), async |sim| {
        let load = LoadConfig { activities: vec![Activity::Xn], ..minutes(3) };
        let (report, _) = run(sim, load).await;
        assert!(report.ok, "{report}");
        assert!(done(&report, "Xn handover") > 20, "{report}");
        assert_eq!(done(&report, "AN release") + done(&report, "N2 handover"), 0, "{report}");
    });
}

/// Plays what is in a file of `ue-ransim/scenarios`, or in this text.
async fn play(sim: &mut Simulation, script: Script) -> Vec<scenario::ScenarioReport> {
    let mut config = sim.setup.ran.clone();
    config.gnb_id += sim.rig.gnbs.len() as u32;
    config.n3_port += 1;
    let n3 = Arc::new(sim.network.datagrams.clone());
    let env = SimEnv::new(sim.network.sctp.endpoint(vec![RAN_ADDRESS]), n3, sim.random.fork());
    let played = scenario::play_all(config, env, &[Playable::Script(Arc::new(script))]).await;
    played.expect("gNBs and subscribers").scenarios
}

fn file(name: &str) -> Script {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ue-ransim/scenarios").join(name);
    Script::load(&path).expect("a scenario")
}

#[test]
fn when_the_example_files_are_played_then_they_pass() {
    for name in ["commute.yaml", "refused.yaml"] {
        simulate(Setup::new(1, 2), async |sim| {
            let script = file(name);
            assert!(script.name == name.trim_end_matches(".yaml") && !script.about.is_empty());
            let reports = play(sim, script).await;
            assert!(reports[0].ok, "{reports:#?}");
            sim.assert_nothing_held().await;
        });
    }
    // It needs a user plane: `cli/tests` plays it.
    assert_eq!((file("call.yaml").ues(), file("call.yaml").gnbs()), (2, 2));
}

#[test]
fn when_a_step_does_not_fail_as_it_is_to_then_the_scenario_fails_there() {
    for (step, why) in [
        ("register: { fails: 3 }", "it succeeded, and was to fail with cause #3"),
        ("establish: { fails: timeout }", "not connected"),
        ("handover: { to: 2 }", "not connected"),
    ] {
        simulate(Setup::new(1, 1), async |sim| {
            let script = Script::parse("x.yaml", &format!("steps:\n  - {step}\n  - deregister\n"));
            let reports = play(sim, script.expect("a scenario")).await;
            let steps = &reports[0].steps;
            assert!(!reports[0].ok && steps.len() == 1, "{reports:#?}");
            let said = steps[0].error.as_deref().unwrap_or_default();
            assert!(!steps[0].ok && (said.contains(why) || why == "not connected"), "{steps:#?}");
        });
    }
}

#[test]
fn when_two_ues_wait_then_both_answer_what_comes() {
    simulate(Setup::new(1, 2), async |sim| {
        let text = "steps:\n  - register\n  - register: { ue: 2 }\n  - idle\n  - wait: { s: 130 }\n  \
                    - deregister\n  - deregister: { ue: 2 }\n";
        let reports = play(sim, Script::parse("x.yaml", text).expect("a scenario")).await;
        assert!(reports[0].ok, "{reports:#?}");
        sim.assert_nothing_held().await;
        assert_eq!(sim.counted(Nf::Amf, "amf.gmm.deregistered"), 2);
    });
}

/// Each says what the network must withstand, and that the UE is served afterwards.
#[test]
fn when_ues_and_gnbs_mean_no_good_then_the_network_answers_as_specified_and_serves_on() {
    let names = [
        "replayed-nas",
        "wrong-mac",
        "bidding-down",
        "out-of-order",
        "duplicated",
        "unknown-ids",
        "gnb-vanishes",
        "no-answers",
    ];
    for name in names {
        simulate(Setup::new(1, 1), async |sim| {
            let scenarios = scenario::named(&[name.to_owned()]).expect("a name");
            let reports = sim.play(&scenarios).await;
            assert!(reports[0].ok, "{reports:#?}");
            sim.assert_nothing_held().await;
        });
    }
}
