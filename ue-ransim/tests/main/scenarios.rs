//! The script works against a right core, and each wrong is named with its clause.

use std::net::Ipv4Addr;
use std::time::Duration;

use tern_datagrams::MemoryDatagrams;
use tern_ngap::ngap::{Cause, CauseProtocol};
use tern_sctp::mem::MemNetwork;
use tern_types::Random;
use ue_ransim::config::UeGroup;
use ue_ransim::report::Failure;

use ue_ransim::ue::{Misdeed, Moment, Trick, Ue};
use ue_ransim::{Config, Rig, SimEnv, SimError, load, run};

use crate::script::{self, CORE, K, OPC, Wrong, slice};

const GNB: std::net::IpAddr = std::net::IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
const DN: Ipv4Addr = Ipv4Addr::new(10, 99, 6, 2);

fn config() -> Config {
    let group = UeGroup::new("imsi-001010000000001".parse().unwrap(), K, OPC);
    Config {
        amf: vec![(CORE, 38412).into()],
        n2: vec![GNB],
        n3: vec![GNB],
        ues: vec![UeGroup { requested_nssai: vec![slice()], ..group }],
        ping_target: Some(DN),
        ping_interval_ms: 100,
        ..Config::default()
    }
}

fn env(wrong: Option<Wrong>) -> SimEnv {
    let (network, n3) = (MemNetwork::new(7), MemoryDatagrams::new());
    script::start(&network, &n3, wrong);
    SimEnv::new(network.endpoint(vec![GNB]), std::sync::Arc::new(n3), Random::from_seed([3; 32]))
}

async fn rig(wrong: Option<Wrong>) -> (Rig, Ue) {
    let mut rig = Rig::connect(config(), env(wrong)).await.unwrap();
    let ue = rig.ue(0).unwrap();
    (rig, ue)
}

async fn whole(ue: &mut Ue) -> Result<(), SimError> {
    ue.register().await?;
    let mut session = ue.establish_session(Default::default()).await?;
    let stats = session.ping(DN, 3, Duration::from_millis(10)).await?;
    assert_eq!((stats.sent, stats.rtt.len()), (3, 3));
    ue.release_session(session.psi).await?;
    ue.deregister(false).await
}

#[tokio::test(start_paused = true)]
async fn when_the_core_is_right_then_nothing_fails() {
    let (rig, mut ue) = rig(None).await;
    whole(&mut ue).await.unwrap();
    assert_eq!(rig.journal.failures(), []);
    let report = rig.journal.report(1, 1, 1);
    assert_eq!((report.registration.count, report.session.count, report.ping.received), (1, 1, 3));
    assert!(report.ok, "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn a_whole_run_reports_what_it_did() {
    let report = run(config(), env(None)).await.unwrap();
    assert!(report.ok, "{report:?}");
    assert_eq!((report.gnbs, report.ues, report.ues_ok, report.ping.sent), (1, 1, 1, 4));
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["steps"][1]["name"], "registration");
    assert!(json["ping"]["p50_us"].is_u64());
}

#[tokio::test(start_paused = true)]
async fn a_registered_ue_comes_back_with_its_guti_and_by_service_request() {
    let (rig, mut ue) = rig(None).await;
    ue.register().await.unwrap();
    let first = ue.guti().unwrap();
    ue.go_idle().await.unwrap();
    assert!(!ue.is_connected());
    ue.service_request(&[]).await.unwrap();
    ue.deregister(false).await.unwrap();
    ue.register().await.unwrap();
    assert_ne!(ue.guti().unwrap(), first);
    assert_eq!(rig.journal.failures(), []);
    assert_eq!(rig.journal.counted("ue.synch_failure"), 0);
}

/// TS 24.501 §5.6.1.5: cause #9 makes the UE forget who it was.
#[tokio::test(start_paused = true)]
async fn when_service_is_rejected_with_cause_9_then_the_ue_starts_again() {
    let (rig, mut ue) = rig(None).await;
    ue.register().await.unwrap();
    let mut guti = ue.guti().unwrap();
    guti.tmsi ^= 1;
    ue.set_guti(Some(guti));
    ue.lose_radio();
    let error = ue.service_request(&[]).await.unwrap_err();
    assert!(matches!(error, SimError::Rejected { cause: 9, .. }), "{error}");
    assert_eq!(ue.guti(), None);
    ue.register().await.unwrap();
    assert_eq!(rig.journal.failures(), []);
}

#[tokio::test(start_paused = true)]
async fn when_the_sequence_number_is_stale_then_the_ue_resynchronises() {
    let mut config = config();
    config.ues[0].sqn = Some("0000000f0000".into());
    let mut rig = Rig::connect(config, env(Some(Wrong::StaleSqn))).await.unwrap();
    let mut ue = rig.ue(0).unwrap();
    ue.register().await.unwrap();
    assert_eq!(rig.journal.counted("ue.synch_failure"), 1);
    assert_eq!(rig.journal.failures(), []);
}

#[tokio::test(start_paused = true)]
async fn ng_reset_of_the_gnb_is_acknowledged() {
    let (rig, mut ue) = rig(None).await;
    ue.register().await.unwrap();
    rig.gnbs[0].reset(None).await.unwrap();
    assert_eq!(rig.gnbs[0].connected(), 0);
    assert!(matches!(ue.idle(Duration::from_secs(1)).await, Ok(())));
    assert!(!ue.is_connected());
}

#[tokio::test(start_paused = true)]
async fn a_gnb_that_dies_is_noticed_by_its_ues() {
    let (rig, mut ue) = rig(None).await;
    ue.register().await.unwrap();
    rig.gnbs[0].abort();
    let error = ue.establish_session(Default::default()).await.unwrap_err();
    assert!(matches!(error, SimError::GnbLost(_)), "{error}");
}

/// The scripted core takes each message apart and compares it with TS 38.413.
#[tokio::test(start_paused = true)]
async fn what_a_gnb_says_of_its_own_is_well_formed() {
    let (rig, mut ue) = rig(None).await;
    ue.register().await.unwrap();
    let session = ue.establish_session(Default::default()).await.unwrap();
    let link = ue.link().unwrap();
    link.notify_released(session.psi).await.unwrap();
    link.report_non_delivery(bytes::Bytes::from_static(&[0x7e, 0, 0x54])).await.unwrap();
    link.indicate_error(Cause::protocol(CauseProtocol::semantic_error)).await.unwrap();
    rig.gnbs[0].update_slices(vec![slice()]).await.unwrap();
    ue.deregister(false).await.unwrap();
    assert_eq!(rig.journal.failures(), []);
}

#[tokio::test(start_paused = true)]
async fn loads_run() {
    let env = env(None);
    let rig = Rig::connect(config(), env.clone()).await.unwrap();
    let mut random = Random::from_seed([9; 32]);
    let links = load::registration_flood(&rig.gnbs[0], 20, Duration::ZERO, &mut random).await.unwrap();
    assert_eq!((links.len(), rig.gnbs[0].connected()), (20, 20));
    let gnb = ue_ransim::gnb_config(&config(), 1).unwrap();
    assert_eq!(load::open_associations(&gnb, &env, 5).await.unwrap().len(), 5);
}

/// Every wrong of the core, and the clause that the report names.
const WRONGS: [(Wrong, &str); 23] = [
    (Wrong::KGnb, "TS 33.501 §6.8.1.1.2"),
    (Wrong::ReplayedCapability, "TS 24.501 §5.4.2.2"),
    (Wrong::NgapCapability, "TS 38.413 §9.3.1.86"),
    (Wrong::Nia0, "TS 33.501 §6.7.2"),
    (Wrong::NoT3512, "TS 24.501 §8.2.7.16"),
    (Wrong::OtherTai, "TS 24.501 §5.5.1.2.4"),
    (Wrong::UnaskedSlice, "TS 23.501 §5.15.4.1.1"),
    (Wrong::NssaiDiffers, "TS 23.501 §5.15.5.2.1"),
    (Wrong::PlainAccept, "TS 24.501 §4.4.4.2"),
    (Wrong::ReplayedNas, "TS 24.501 §4.4.3.3"),
    (Wrong::NoContextSetup, "TS 38.413 §8.6.1.2"),
    (Wrong::AmbrInContextSetup, "TS 38.413 §9.2.2.1"),
    (Wrong::StreamChanges, "TS 38.412 §7"),
    (Wrong::BadAutn, "TS 33.501 §6.1.3.2.0"),
    (Wrong::Abba, "TS 33.501 §A.7.1"),
    (Wrong::TwoDefaultRules, "TS 24.501 §6.4.1.3"),
    (Wrong::NoFlowDescription, "TS 24.501 §6.4.1.3"),
    (Wrong::OtherQfi, "TS 23.501 §5.7.1.5"),
    (Wrong::NoPco, "TS 24.501 §6.2.4.2"),
    (Wrong::NoDnn, "TS 24.501 §6.4.1.3"),
    (Wrong::NoUeAmbr, "TS 23.501 §5.7.2.6"),
    (Wrong::NeverReleases, "TS 23.502 §4.2.2.3.2"),
    (Wrong::OwnKsi, "TS 24.501 §5.4.1.3.2"),
];

#[tokio::test(start_paused = true)]
async fn each_wrong_of_the_core_is_named_with_its_clause() {
    for (wrong, clause) in WRONGS {
        let (rig, mut ue) = rig(Some(wrong)).await;
        let _ = whole(&mut ue).await;
        if wrong == Wrong::OwnKsi {
            // The UE has a key to name from its first registration on.
            let _ = ue.register().await;
        }
        let failures: Vec<Failure> = rig.journal.failures();
        assert!(failures.iter().any(|failure| failure.clause == clause), "{wrong:?}: {failures:#?}");
    }
}

/// TS 24.501 Table 10.3.1: T3580 expires five times, each but the last sends the request again.
#[tokio::test(start_paused = true)]
async fn when_a_session_is_never_answered_then_the_request_is_sent_five_times() {
    let (rig, mut ue) = rig(Some(Wrong::NeverAnswersSession)).await;
    ue.register().await.unwrap();
    let began = tokio::time::Instant::now();
    let error = ue.establish_session(Default::default()).await.unwrap_err();
    assert!(matches!(error, SimError::Timeout { timer: "T3580", .. }), "{error}");
    assert_eq!(began.elapsed().as_secs(), 80);
    assert_eq!(rig.journal.counted("ue.retransmission"), 4);
}

/// Each trick leaves a right core's registration unfinished, or finished all the same.
#[tokio::test(start_paused = true)]
async fn tricks_are_played() {
    let tricks = [
        (Moment::AuthenticationResponse, Misdeed::Silence, false),
        (Moment::AuthenticationResponse, Misdeed::WrongRes, false),
        (Moment::AuthenticationResponse, Misdeed::MacFailure, true),
        (Moment::AuthenticationResponse, Misdeed::Garbage, false),
        (Moment::SecurityModeComplete, Misdeed::Silence, false),
        (Moment::SecurityModeComplete, Misdeed::WrongMac, false),
        (Moment::SecurityModeComplete, Misdeed::Reject, false),
        (Moment::RegistrationComplete, Misdeed::Replay, true),
        (Moment::RegistrationComplete, Misdeed::Silence, true),
    ];
    for (at, what, registers) in tricks {
        let mut config = config();
        config.ues[0].tricks = vec![Trick { at, what }];
        let mut rig = Rig::connect(config, env(None)).await.unwrap();
        let mut ue = rig.ue(0).unwrap();
        assert_eq!(ue.register().await.is_ok(), registers, "{at:?} {what:?}");
    }
}
