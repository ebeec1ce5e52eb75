//! The straight way against the way of all others.

use proptest::prelude::*;
use tern_pfcp::*;
use tern_types::Duration;

use super::{DropReason, Side, Straight, Verdict};
use crate::testing::*;

/// What the rules of a session are like, besides two of each direction.
#[derive(Clone, Copy, Debug)]
struct Sketch {
    mbr_kbps: Option<u64>,
    /// A QER of the session besides the one of the flow, as an SMF has it for the Session-AMBR.
    is_of_session: bool,
    qfi: Option<u8>,
    quota: Option<u64>,
    is_measured: bool,
}

fn sketches() -> impl Strategy<Value = Sketch> {
    let mbr = prop::option::of(prop::sample::select(vec![0, 8, 100, 1_000_000]));
    let quota = prop::option::of(200..2_000u64);
    let all = (mbr, any::<bool>(), prop::option::of(1..64u8), quota, any::<bool>());
    all.prop_map(|(mbr_kbps, is_of_session, qfi, quota, is_measured)| Sketch {
        mbr_kbps,
        is_of_session,
        qfi,
        quota,
        is_measured,
    })
}

fn request(sketch: &Sketch) -> SessionEstablishmentRequest {
    let mut request = establishment();
    let mbr = sketch.mbr_kbps.map(|kbps| BitRate { uplink_kbps: kbps, downlink_kbps: 2 * kbps });
    let flow = CreateQer { qer_id: QerId(1), qfi: sketch.qfi.map(Qfi), ..Default::default() };
    request.create_qer = match sketch.is_of_session {
        true => vec![flow, CreateQer { qer_id: QerId(2), mbr, ..Default::default() }],
        false => vec![CreateQer { mbr, ..flow }],
    };
    request.create_urr[0].volume_quota =
        sketch.quota.map(|total| Volume { total: Some(total), ..Default::default() });
    request.create_urr[0].reporting_triggers = ReportingTriggers::VOLQU;
    // Of one service, and not of all packets: others have no rule.
    for (pdr, port) in (3..).zip([53, 54]) {
        let filter = SdfFilter::flow(&format!("permit out 17 from {SERVER} {port} to assigned"));
        for mut of_service in [uplink_pdr(2 * pdr, 50, 1), downlink_pdr(2 * pdr + 1, 50, 2)] {
            of_service.pdi.sdf_filters = vec![filter.clone()];
            request.create_pdr.push(of_service);
        }
    }
    request.create_pdr.drain(..2);
    for (at, pdr) in request.create_pdr.iter_mut().enumerate() {
        pdr.qer_ids = if sketch.is_of_session { vec![QerId(2), QerId(1)] } else { vec![QerId(1)] };
        // Not all packets of a session need be metered and counted.
        if !sketch.is_measured && at > 1 {
            (pdr.qer_ids, pdr.urr_ids) = (Vec::new(), Vec::new());
        }
    }
    request
}

/// A session of the sketch, on the straight way or, since its inactivity is watched, not; and its TEID.
fn bench(sketch: &Sketch, is_straight: bool, workers: usize) -> (Bench, u32) {
    let mut bench = Bench::with(|config| {
        config.workers = workers;
        config.n3.dscp.insert(7, 46);
    });
    let mut request = request(sketch);
    request.user_plane_inactivity_timer = (!is_straight).then_some(UserPlaneInactivityTimer(3_600));
    let (_, teid) = bench.session_of(request);
    let session = bench.published.last().expect("published");
    assert_eq!(Straight::of(session).is_some(), is_straight, "{sketch:?}");
    (bench, teid)
}

proptest! {
    #[test]
    fn the_straight_way_does_what_the_way_of_all_others_does(
        sketch in sketches(),
        workers in 1..=2usize,
        packets in prop::collection::vec(
            (any::<bool>(), 28..200usize, prop::sample::select(vec![53u16, 54, 55]), 0..20u8, 0..40_000u64),
            1..40,
        ),
    ) {
        let (mut straight, teid) = bench(&sketch, true, workers);
        let (mut other, other_teid) = bench(&sketch, false, workers);
        prop_assert_eq!(teid, other_teid);
        for (uplink, octets, port, odd, wait_us) in packets {
            // One of twenty is not from the UE.
            let ue = if odd == 0 { [10, 45, 0, 99].into() } else { UE };
            let (side, bytes) = if uplink {
                (Side::Access, gtpu(teid, Some(9), &udp(ue, SERVER, (4000, port), octets)))
            } else {
                (Side::Network(0), udp(SERVER, UE, (port, 4000), octets))
            };
            let mut seen = Vec::new();
            for bench in [&mut straight, &mut other] {
                bench.pass(Duration::from_micros(wait_us));
                let (verdict, sent) = bench.packet(side, &bytes);
                let is_dropped = matches!(verdict, Verdict::Drop(_));
                seen.push((verdict, (!is_dropped).then_some(sent), bench.tos, bench.reports.clone()));
            }
            prop_assert_eq!(&seen[0], &seen[1]);
        }
        let counted = |bench: &Bench| {
            let session = bench.published.last().expect("published");
            session.usages.iter().map(|measured| measured.usage.counts()).collect::<Vec<_>>()
        };
        prop_assert_eq!(counted(&straight), counted(&other));
    }
}

/// What a session must not have to be on the straight way.
#[test]
fn when_a_session_asks_for_more_then_it_is_not_on_the_straight_way() {
    type Change = fn(&mut SessionEstablishmentRequest);
    let changes: [(&str, Change); 7] = [
        ("a closed gate", |r| r.create_qer[0].gate_status.downlink_closed = true),
        ("a FAR that buffers", |r| r.create_far[1].apply_action = ApplyAction::BUFF),
        ("a FAR that drops", |r| r.create_far[0].apply_action = ApplyAction::DROP),
        ("two ways of one direction", |r| {
            r.create_far.push(CreateFar { far_id: FarId(3), ..far_to_gnb(3) });
            r.create_pdr.push(downlink_pdr(3, 50, 3));
        }),
        ("two meters", |r| {
            let mbr = Some(BitRate { uplink_kbps: 1, downlink_kbps: 1 });
            r.create_qer[0].mbr = mbr;
            r.create_qer.push(CreateQer { qer_id: QerId(2), mbr, ..Default::default() });
            r.create_pdr[0].qer_ids.push(QerId(2));
        }),
        ("two URRs", |r| {
            r.create_urr.push(volume_urr(2));
            r.create_pdr[1].urr_ids.push(UrrId(2));
        }),
        ("no rule of the downlink", |r| r.create_pdr.truncate(1)),
    ];
    for (what, change) in changes {
        let mut request = establishment();
        change(&mut request);
        let mut bench = Bench::new();
        bench.session_of(request);
        assert!(Straight::of(bench.published.last().expect("published")).is_none(), "{what}");
    }
}

#[test]
fn when_rules_change_then_the_newest_way_holds() {
    let mut bench = Bench::new();
    let (seid, _) = bench.session();
    let packet = udp(SERVER, UE, (53, 4000), 60);
    assert_eq!(bench.downlink(&packet).0, Verdict::ToAccess(GNB));
    bench.modify(seid, forward_update(ApplyAction::DROP));
    assert_eq!(bench.downlink(&packet).0, Verdict::Drop(DropReason::FarDrop));
    bench.modify(seid, forward_update(ApplyAction::FORW));
    assert_eq!(bench.downlink(&packet).0, Verdict::ToAccess(GNB));
    bench.delete(seid);
    assert_eq!(bench.downlink(&packet).0, Verdict::Drop(DropReason::UnknownUe));
}

/// A packet needs both, and finds them in one line of memory.
#[test]
fn when_a_qer_and_a_urr_are_new_then_they_are_kept_together() {
    let mut bench = Bench::new();
    let mut request = establishment();
    request.create_qer[0].mbr = Some(BitRate { uplink_kbps: 1_000, downlink_kbps: 1_000 });
    bench.session_of(request);
    let session = bench.published.last().expect("published");
    let meters = session.qers[0].meters.as_ref().expect("a rate");
    assert!(std::sync::Arc::ptr_eq(meters, &session.usages[0].usage));
}
