//! `docs/procedures`: a ladder diagram of each procedure, from a run of the whole core. A diagram that is
//! not what happens fails; `TERN_GOLDEN=write` writes them.

mod ladder;
mod names;

use std::fmt::Write as _;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tern_sbi::Method;
use ue_ransim::gnb::Forwarding;
use ue_ransim::ue::{RegistrationKind, Session, Ue};

use crate::reports::locate;
use crate::simulation::{Downlink, Nf, Setup, Simulation, simulate};
use ladder::Ladder;

type Run<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// A procedure and a run of it: the ladder begins and ends within.
struct Procedure {
    file: &'static str,
    title: &'static str,
    clauses: &'static str,
    /// What is other than usual.
    prepare: fn(&mut Setup),
    run: for<'a> fn(&'a mut Simulation, &'a Ladder) -> Run<'a>,
}

/// From the UE's whole life, in its order.
const PROCEDURES: &[Procedure] = &[
    Procedure {
        file: "registration",
        title: "Initial registration, with 5G AKA",
        clauses: "TS 23.502 §4.2.2.2.2, TS 24.501 §5.5.1.2, TS 33.501 §6.1.3.2",
        prepare: |_| {},
        run: |sim, ladder| Box::pin(registration(sim, ladder)),
    },
    Procedure {
        file: "session-establishment",
        title: "PDU session establishment",
        clauses: "TS 23.502 §4.3.2.2.1, TS 24.501 §6.4.1",
        prepare: |_| {},
        run: |sim, ladder| Box::pin(establishment(sim, ladder)),
    },
    Procedure {
        file: "an-release",
        title: "AN release",
        clauses: "TS 23.502 §4.2.6",
        prepare: |_| {},
        run: |sim, ladder| Box::pin(an_release(sim, ladder)),
    },
    Procedure {
        file: "service-request",
        title: "Service request of the UE, for a session's user plane",
        clauses: "TS 23.502 §4.2.3.2, TS 24.501 §5.6.1",
        prepare: |_| {},
        run: |sim, ladder| Box::pin(service_request(sim, ladder)),
    },
    Procedure {
        file: "paging",
        title: "Paging, and the service request that answers it",
        clauses: "TS 23.502 §4.2.3.3, TS 24.501 §5.6.2",
        prepare: |_| {},
        run: |sim, ladder| Box::pin(paging(sim, ladder)),
    },
    Procedure {
        file: "periodic-registration-update",
        title: "Periodic registration update",
        clauses: "TS 24.501 §5.5.1.3",
        prepare: |_| {},
        run: |sim, ladder| Box::pin(periodic_update(sim, ladder)),
    },
    Procedure {
        file: "rrc-inactive",
        title: "RRC_INACTIVE, reported to the AMF",
        clauses: "TS 38.413 §8.3.5, TS 23.501 §5.4.6",
        prepare: |_| {},
        run: |sim, ladder| Box::pin(rrc_inactive(sim, ladder)),
    },
    Procedure {
        file: "location-report",
        title: "The current location of a UE, asked for by Namf_Location",
        clauses: "TS 29.518 §5.5.2, TS 38.413 §8.12",
        prepare: |_| {},
        run: |sim, ladder| Box::pin(location_report(sim, ladder)),
    },
    Procedure {
        file: "handover-xn",
        title: "Xn handover",
        clauses: "TS 23.502 §4.9.1.2.2",
        prepare: |_| {},
        run: |sim, ladder| Box::pin(handover_xn(sim, ladder)),
    },
    Procedure {
        file: "handover-n2",
        title: "N2 handover within one AMF, with direct forwarding",
        clauses: "TS 23.502 §4.9.1.3",
        prepare: |_| {},
        run: |sim, ladder| Box::pin(handover_n2(sim, ladder, Forwarding::Direct)),
    },
    Procedure {
        file: "handover-n2-indirect",
        title: "N2 handover within one AMF, with forwarding by the UPF",
        clauses: "TS 23.502 §4.9.1.3",
        prepare: |_| {},
        run: |sim, ladder| Box::pin(handover_n2(sim, ladder, Forwarding::Indirect)),
    },
    Procedure {
        file: "handover-n2-failure",
        title: "N2 handover that the target gNB refuses",
        clauses: "TS 38.413 §8.4.1.3, §8.4.2.3",
        prepare: |_| {},
        run: |sim, ladder| Box::pin(handover_refused(sim, ladder)),
    },
    Procedure {
        file: "handover-n2-cancel",
        title: "N2 handover that the source gNB cancels",
        clauses: "TS 38.413 §8.4.5",
        prepare: |_| {},
        run: |sim, ladder| Box::pin(handover_cancelled(sim, ladder)),
    },
    Procedure {
        file: "session-release",
        title: "PDU session release by the UE",
        clauses: "TS 23.502 §4.3.4.2, TS 24.501 §6.4.3",
        prepare: |_| {},
        run: |sim, ladder| Box::pin(release(sim, ladder)),
    },
    Procedure {
        file: "upf-restart",
        title: "The UPF starts again, and the SMF restores its sessions",
        clauses: "TS 23.527 §4.3",
        prepare: |_| {},
        run: |sim, ladder| Box::pin(upf_restart(sim, ladder)),
    },
    Procedure {
        file: "amf-stop",
        title: "The AMF is asked to stop, and tells gNBs",
        clauses: "TS 38.413 §8.7.6, TS 23.501 §5.21.2.2",
        prepare: |_| {},
        run: |sim, ladder| Box::pin(amf_stop(sim, ladder)),
    },
    Procedure {
        file: "deregistration",
        title: "De-registration of the UE",
        clauses: "TS 23.502 §4.2.2.3.2, TS 24.501 §5.5.2.2",
        prepare: |_| {},
        run: |sim, ladder| Box::pin(deregistration(sim, ladder)),
    },
    Procedure {
        file: "subscription-withdrawn",
        title: "De-registration by the network: the subscriber is removed",
        clauses: "TS 23.502 §4.2.2.3.3, TS 24.501 §5.5.2.3",
        prepare: |_| {},
        run: |sim, ladder| Box::pin(subscription_withdrawn(sim, ladder)),
    },
    Procedure {
        file: "policy-pushed",
        title: "PDU session modification: PCC rules pushed by the PCF",
        clauses: "TS 23.502 §4.3.3.2, TS 29.512 §4.2.3, TS 24.501 §6.3.2",
        prepare: |setup| setup.pcf = tern_config::parse("pcf.yaml", POLICIES).expect("policies"),
        run: |sim, ladder| Box::pin(policy_pushed(sim, ladder)),
    },
    Procedure {
        file: "subscription-changed",
        title: "The subscribed UE-AMBR and slices change",
        clauses: "TS 23.502 §4.5.1, §4.2.4.2, TS 24.501 §5.4.4, TS 38.413 §8.3.4",
        prepare: |_| {},
        run: |sim, ladder| Box::pin(subscription_changed(sim, ladder)),
    },
];

/// Who is gold has a video flow of a guaranteed rate.
const POLICIES: &str = "\
sessions:
  - when: { categories: [gold] }
    rules:
      - name: video
        precedence: 10
        flows: [permit out 17 from 192.0.2.0/24 to assigned]
        five_qi: 2
        maximum: { uplink: 4 Mbps, downlink: 8 Mbps }
        guaranteed: { uplink: 1 Mbps, downlink: 2 Mbps }
";

/// How long a page may take to be heard.
const PAGE: Duration = Duration::from_secs(1);
/// For the SMF to find that the UPF has started again.
const RESTORED: Duration = Duration::from_secs(5);

#[test]
fn when_a_procedure_runs_then_its_diagram_in_the_documentation_is_what_happens() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/procedures");
    let mut index = String::from(
        "# Procedures\n\nLadder diagrams of what gNBs and network functions say to one another, each from a run of the whole \
         core. `make test` fails where one is not what happens; `TERN_GOLDEN=write` writes them anew.\n\n\
         | procedure | clauses |\n|---|---|\n",
    );
    let mut pages = Vec::new();
    for procedure in PROCEDURES {
        let Procedure { file, title, clauses, .. } = procedure;
        let _ = writeln!(index, "| [{title}]({file}.md) | {clauses} |");
        let diagram = diagram(procedure);
        let page = format!(
            "# {title}\n\n{clauses}. NAS messages stand below the NGAP message that carries them.\n\n```mermaid\n{diagram}```\n"
        );
        pages.push((directory.join(format!("{file}.md")), page));
    }
    pages.push((directory.join("README.md"), index));
    if std::env::var("TERN_GOLDEN").is_ok_and(|what| what == "write") {
        pages.iter().for_each(|(file, page)| std::fs::write(file, page).expect("a writable file"));
    }
    let differs =
        |(file, page): &(PathBuf, String)| std::fs::read_to_string(file).ok().as_ref() != Some(page);
    let wrong: Vec<_> = pages.iter().filter(|page| differs(page)).map(|(file, _)| file).collect();
    assert!(wrong.is_empty(), "{wrong:#?}: TERN_GOLDEN=write makes them what happens");
}

fn diagram(procedure: &Procedure) -> String {
    let mut setup = Setup::new(1, 2).gnbs(2);
    // So that the NAS messages can be named.
    setup.group().nea = vec![0];
    (procedure.prepare)(&mut setup);
    let ladder = Arc::new(Ladder::new(&setup));
    setup.witness = Some(ladder.clone());
    simulate(setup, async |sim| {
        (procedure.run)(sim, &ladder).await;
        sim.settle().await;
        sim.assert_conforming();
        ladder.end()
    })
    .value
}

async fn registered(sim: &mut Simulation) -> Ue {
    let mut ue = sim.ue(0);
    ue.register().await.expect("registered");
    sim.settle().await;
    ue
}

async fn with_session(sim: &mut Simulation) -> (Ue, Session) {
    let mut ue = registered(sim).await;
    let session = ue.establish_session(Default::default()).await.expect("a session");
    sim.settle().await;
    (ue, session)
}

async fn asleep(sim: &mut Simulation) -> (Ue, Session) {
    let (mut ue, session) = with_session(sim).await;
    ue.go_idle().await.expect("idle");
    sim.settle().await;
    (ue, session)
}

async fn registration(sim: &mut Simulation, ladder: &Ladder) {
    let mut ue = sim.ue(0);
    ladder.begin();
    ue.register().await.expect("registered");
    sim.settle().await;
}

async fn establishment(sim: &mut Simulation, ladder: &Ladder) {
    let mut ue = registered(sim).await;
    ladder.begin();
    ue.establish_session(Default::default()).await.expect("a session");
    sim.settle().await;
}

async fn an_release(sim: &mut Simulation, ladder: &Ladder) {
    let (mut ue, _session) = with_session(sim).await;
    ladder.begin();
    ue.go_idle().await.expect("idle");
    sim.settle().await;
}

async fn service_request(sim: &mut Simulation, ladder: &Ladder) {
    let (mut ue, mut session) = asleep(sim).await;
    ladder.begin();
    ue.wake(&mut session).await.expect("awake");
    sim.settle().await;
}

async fn paging(sim: &mut Simulation, ladder: &Ladder) {
    let mut n4 = Downlink::watch(sim).await;
    let (mut ue, mut session) = asleep(sim).await;
    ladder.begin();
    n4.packet_waits(0).await;
    ue.await_page(PAGE).await.expect("paged");
    ue.resume(&mut session).await.expect("resources");
    ue.idle(PAGE).await.expect("connected");
}

async fn periodic_update(sim: &mut Simulation, ladder: &Ladder) {
    let (mut ue, _session) = asleep(sim).await;
    ladder.begin();
    ue.register_as(RegistrationKind::Periodic).await.expect("registered");
    sim.settle().await;
}

async fn rrc_inactive(sim: &mut Simulation, ladder: &Ladder) {
    let (mut ue, _session) = with_session(sim).await;
    ladder.begin();
    ue.enter_rrc_inactive().await.expect("connected");
    sim.settle().await;
    ue.resume_rrc().await.expect("connected");
    sim.settle().await;
}

async fn location_report(sim: &mut Simulation, ladder: &Ladder) {
    let _ue = registered(sim).await;
    ladder.begin();
    locate(sim, true).await;
    sim.settle().await;
}

async fn amf_stop(sim: &mut Simulation, ladder: &Ladder) {
    let _ue = registered(sim).await;
    ladder.begin();
    sim.ask_to_stop(Nf::Amf);
    sim.settle().await;
    sim.come_again(Nf::Amf).await;
}

async fn handover_xn(sim: &mut Simulation, ladder: &Ladder) {
    let (mut ue, _session) = with_session(sim).await;
    let target = sim.rig.gnbs[1].clone();
    ladder.begin();
    ue.handover_xn(&target).await.expect("handed over");
    sim.settle().await;
}

async fn handover_n2(sim: &mut Simulation, ladder: &Ladder, forwarding: Forwarding) {
    let (mut ue, _session) = with_session(sim).await;
    let target = sim.rig.gnbs[1].clone();
    ladder.begin();
    ue.handover_n2(&target, forwarding).await.expect("handed over");
    sim.settle().await;
}

async fn handover_refused(sim: &mut Simulation, ladder: &Ladder) {
    let (mut ue, session) = with_session(sim).await;
    let target = sim.rig.gnbs[1].clone();
    target.refuse_sessions(&[session.psi]);
    ladder.begin();
    ue.handover_n2(&target, Forwarding::Direct).await.expect_err("refused");
    sim.settle().await;
}

async fn handover_cancelled(sim: &mut Simulation, ladder: &Ladder) {
    let (mut ue, _session) = with_session(sim).await;
    let target = sim.rig.gnbs[1].clone();
    ladder.begin();
    let prepared = ue.prepare_handover_n2(&target, Forwarding::Indirect).await.expect("prepared");
    ue.cancel_handover_n2(Some(prepared)).await.expect("cancelled");
    sim.settle().await;
}

async fn release(sim: &mut Simulation, ladder: &Ladder) {
    let (mut ue, session) = with_session(sim).await;
    ladder.begin();
    ue.release_session(session.psi).await.expect("released");
    sim.settle().await;
}

async fn upf_restart(sim: &mut Simulation, ladder: &Ladder) {
    let (_ue, _session) = with_session(sim).await;
    ladder.begin();
    sim.restart(Nf::Upf).await;
    sim.pass(RESTORED).await;
}

async fn deregistration(sim: &mut Simulation, ladder: &Ladder) {
    let (mut ue, _session) = with_session(sim).await;
    ladder.begin();
    ue.deregister(false).await.expect("deregistered");
    sim.settle().await;
}

async fn subscription_withdrawn(sim: &mut Simulation, ladder: &Ladder) {
    let (mut ue, _session) = with_session(sim).await;
    ladder.begin();
    assert_eq!(sim.administer(Method::Delete, 0, None).await, 204);
    ue.idle(Duration::from_secs(2)).await.expect("deregistered");
}

async fn policy_pushed(sim: &mut Simulation, ladder: &Ladder) {
    let (mut ue, _session) = with_session(sim).await;
    ladder.begin();
    let patch = json!([{ "op": "replace", "path": "/categories", "value": ["gold"] }]);
    assert_eq!(sim.administer(Method::Patch, 0, Some(patch)).await, 204);
    ue.idle(Duration::from_secs(2)).await.expect("connected");
}

async fn subscription_changed(sim: &mut Simulation, ladder: &Ladder) {
    let (mut ue, _session) = with_session(sim).await;
    ladder.begin();
    let ambr = json!({ "uplink": "3 Mbps", "downlink": "4 Mbps" });
    let slice = json!({ "snssai": "2", "default": false });
    let patch = json!([
        { "op": "replace", "path": "/ue_ambr", "value": ambr },
        { "op": "add", "path": "/slices/-", "value": slice },
    ]);
    assert_eq!(sim.administer(Method::Patch, 0, Some(patch)).await, 204);
    ue.idle(Duration::from_secs(2)).await.expect("connected");
}
