//! What gNBs report, and what AMF and gNBs say of themselves while UEs are there: TS 38.413 §8.3.5, §8.5.1,
//! §8.7.6, §8.12.

use std::time::Duration;

use tern_sbi::namf_loc::{ProvideLocInfo, ProvideLocationInfo, RequestLocInfo};
use tern_sbi::{Call, Operation};
use tern_sbi_transport::Transport as _;
use ue_ransim::SimError;
use ue_ransim::scenario;

use crate::simulation::{Downlink, Nf, Setup, Simulation, simulate, supi};

#[test]
fn when_the_amf_wants_to_hear_of_cells_and_rrc_states_then_it_does() {
    let mut setup = Setup::new(1, 1);
    setup.amf.location_reporting.change_of_cell = true;
    simulate(setup, async |sim| {
        let names = ["rrc-inactive", "location-report"].map(String::from);
        let reports = sim.play(&scenario::named(&names).expect("names")).await;
        for report in &reports {
            assert!(report.ok, "{report:#?}");
        }
        let steps: Vec<_> = reports.iter().flat_map(|report| &report.steps).collect();
        for name in ["each change is reported", "each cell is reported"] {
            assert!(steps.iter().any(|step| step.name == name), "{name}: {steps:#?}");
        }
        assert_eq!(sim.counted(Nf::Amf, "amf.ngap.rrc_inactive"), 2);
        assert_eq!(sim.counted(Nf::Amf, "amf.ngap.rrc_connected"), 2);
        assert_eq!(sim.counted(Nf::Amf, "amf.ngap.location_report"), 2);
        sim.assert_nothing_held().await;
    });
}

/// The gNB goes on with what it has to report of a UE that comes by N2 (TS 38.413 §8.4.2.2).
#[test]
fn when_a_ue_is_handed_over_by_n2_then_its_cells_are_reported_on() {
    let mut setup = Setup::new(1, 1).gnbs(2);
    setup.amf.location_reporting.change_of_cell = true;
    simulate(setup, async |sim| {
        let mut ue = sim.ue(0);
        ue.register().await.expect("registered");
        let _session = ue.establish_session(Default::default()).await.expect("a session");
        let target = sim.rig.gnbs[1].clone();
        ue.handover_n2(&target, ue_ransim::gnb::Forwarding::Direct).await.expect("handed over");
        sim.settle().await;
        assert_eq!(sim.counted(Nf::Amf, "amf.ngap.location_report"), 1);
        ue.change_cell(2).await.expect("connected");
        sim.settle().await;
        assert_eq!(sim.counted(Nf::Amf, "amf.ngap.location_report"), 2);
        ue.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// What Namf_Location says of the UE.
pub async fn locate(sim: &Simulation, current: bool) -> ProvideLocInfo {
    let data = RequestLocInfo { req_current_loc: Some(current), ..RequestLocInfo::default() };
    let ue_context_id = supi(0).to_string();
    let operation = ProvideLocationInfo { ue_context_id, data };
    let amf = sim.setup.amf.sbi.api_root();
    // One of those that may ask.
    let reply = sim.network.sbi.of(Nf::Udm.name()).send(&amf, &Call::default(), operation.to_request()).await;
    ProvideLocationInfo::from_reply(reply.expect("the AMF answers")).expect("a location").body
}

fn cell(info: &ProvideLocInfo) -> u64 {
    let location = info.location.as_ref().and_then(|location| location.nr_location.as_ref());
    location.expect("a location").ncgi.nr_cell_id.get()
}

/// TS 29.518 §5.5.2, TS 38.413 §8.12: what is known, what the gNB says, and where an idle UE shows itself.
#[test]
fn when_somebody_asks_where_a_ue_is_then_its_gnb_or_a_page_tells() {
    simulate(Setup::new(1, 1), async |sim| {
        let mut ue = sim.ue(0);
        ue.register().await.expect("registered");
        sim.settle().await;
        let first = sim.rig.gnbs[0].config().location().nr_cell_id;
        ue.change_cell(3).await.expect("connected");
        let known = locate(sim, false).await;
        assert_eq!((cell(&known), known.current_loc), (first, Some(false)));
        let current = locate(sim, true).await;
        assert_eq!((cell(&current), current.current_loc), (first + 3, Some(true)));
        sim.rig.gnbs[0].refuse_location_reports(true);
        ue.change_cell(4).await.expect("connected");
        let known = locate(sim, true).await;
        assert_eq!((cell(&known), known.current_loc), (first + 3, Some(false)));
        ue.go_idle().await.expect("idle");
        sim.settle().await;
        let (paged, info) = tokio::join!(ue.await_page(Duration::from_secs(2)), locate(sim, true));
        paged.expect("paged");
        assert_eq!((cell(&info), info.current_loc), (first, Some(true)));
        ue.idle(Duration::from_secs(1)).await.expect("connected");
        ue.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// TS 38.413 §8.5.1.2: the cell that the UE was in last comes with the page.
#[test]
fn when_a_ue_goes_idle_then_it_is_paged_with_the_cells_that_its_gnb_recommends() {
    simulate(Setup::new(1, 1).gnbs(2), async |sim| {
        let mut n4 = Downlink::watch(sim).await;
        let mut ue = sim.ue(0);
        ue.register().await.expect("registered");
        let mut session = ue.establish_session(Default::default()).await.expect("a session");
        ue.go_idle().await.expect("idle");
        sim.settle().await;
        n4.packet_waits(0).await;
        ue.await_page(Duration::from_secs(1)).await.expect("paged");
        ue.resume(&mut session).await.expect("resources");
        // Of the two gNBs that page it, one has the cell.
        assert_eq!(sim.rig.journal.counted("gnb.paging"), 2);
        assert_eq!(sim.rig.journal.counted("gnb.paging_recommended"), 1);
        ue.idle(Duration::from_secs(1)).await.expect("connected");
        ue.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// TS 38.413 §8.7.6, TS 23.501 §5.21.2.2: UEs that are connected stay as long as the AMF does; others are not
/// let in, until there is an AMF again.
#[test]
fn when_the_amf_is_asked_to_stop_then_gnbs_hear_of_it_and_keep_the_ues_that_they_have() {
    let mut setup = Setup::new(1, 2);
    setup.amf.drain_s = 10;
    simulate(setup, async |sim| {
        let (mut ue, mut late) = (sim.ue(0), sim.ue(1));
        ue.register().await.expect("registered");
        sim.ask_to_stop(Nf::Amf);
        sim.settle().await;
        assert!(sim.rig.gnbs[0].is_amf_leaving());
        assert_eq!(sim.rig.gnbs[0].connected(), 1);
        ue.establish_session(Default::default()).await.expect("a session while the AMF is there");
        let refused = late.register().await;
        assert!(matches!(refused, Err(SimError::Released { .. })), "{refused:?}");
        sim.pass(Duration::from_secs(12)).await;
        assert!(!sim.rig.gnbs[0].is_up());
        sim.come_again(Nf::Amf).await;
        let gnb = sim.new_gnb(0).await;
        assert!(!gnb.is_amf_leaving());
        for ue in [&mut ue, &mut late] {
            ue.move_to(&gnb);
            ue.register().await.expect("registered");
            ue.deregister(false).await.expect("deregistered");
        }
        sim.pass(Duration::from_secs(20)).await;
        sim.assert_conforming();
    });
}
