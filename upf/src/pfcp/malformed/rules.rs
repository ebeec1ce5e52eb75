//! Rules that cannot be, and changes of rules that there are not.

use super::*;

#[test]
fn when_an_outer_header_cannot_be_created_then_the_far_is_named() {
    let mut scene = Scene::new();
    let header = |header| {
        let mut request = other();
        let to = request.create_far[1].forwarding_parameters.as_mut().expect("it forwards");
        to.outer_header_creation = header;
        request
    };
    let gtpu = OuterHeaderCreation::gtpu_v4(1, GNB_ADDRESS);
    for unfit in [
        OuterHeaderCreation { teid: None, port: Some(9), description: 0x0400, ..gtpu },
        OuterHeaderCreation { ipv4: None, ipv6: Some([0; 16].into()), description: 0x0200, ..gtpu },
        OuterHeaderCreation { teid: None, ipv4: None, description: 0, ..gtpu },
    ] {
        // Again and again: nothing of those that were refused is left.
        for _ in 0..3 {
            let rule = Some(FailedRuleId::Far(FarId(2)));
            scene.refused(ESTABLISHMENT, &ies(header(Some(unfit))), Refused(FAILURE, Some(84), rule));
        }
    }
    scene.serves();
}

/// An SMF may not know the gNB's end yet.
#[test]
fn when_a_far_forwards_to_the_gnb_without_an_outer_header_then_its_packets_are_dropped() {
    let mut bench = Bench::new();
    let mut request = establishment();
    request.create_far[1].forwarding_parameters.as_mut().expect("it forwards").outer_header_creation = None;
    let (seid, teid) = bench.session_of(request);
    assert_eq!(bench.downlink(&udp(SERVER, UE, (2, 1), 60)).0, Verdict::Drop(DropReason::NoWay));
    assert_eq!(bench.uplink(&gtpu(teid, Some(9), &udp(UE, SERVER, (1, 2), 60))).0, TO_N6);
    assert_eq!(bench.delete(seid).usage_report[0].volume.and_then(|volume| volume.downlink), Some(0));
}

#[test]
fn when_an_f_teid_is_to_be_chosen_that_we_cannot_have_then_the_pdr_is_named() {
    let mut scene = Scene::new();
    let mut request = other();
    request.create_pdr[0].pdi.f_teid = Some(FTeid::Choose { ipv4: false, ipv6: true, choose_id: Some(9) });
    let rule = Some(FailedRuleId::Pdr(PdrId(1)));
    scene.refused(ESTABLISHMENT, &ies(request), Refused(FAILURE, Some(21), rule));
    for teid in [0, u32::MAX] {
        let mut request = other();
        request.create_pdr[0].pdi.f_teid = Some(FTeid::assigned_v4(teid, [127, 0, 0, 18].into()));
        let refused = Refused(Cause::INVALID_F_TEID_ALLOCATION_OPTION, Some(21), rule);
        scene.refused(ESTABLISHMENT, &ies(request), refused);
    }
    scene.serves();
}

#[test]
fn when_a_change_is_about_a_rule_that_there_is_not_then_the_rule_is_named() {
    let mut scene = Scene::new();
    let (pdr_id, far_id, qer_id, urr_id, bar_id) = (PdrId(99), FarId(99), QerId(99), UrrId(99), BarId(99));
    let request = SessionModificationRequest::default;
    let [pdr, far] = [FailedRuleId::Pdr(pdr_id), FailedRuleId::Far(far_id)];
    let [qer, urr, bar] = [FailedRuleId::Qer(qer_id), FailedRuleId::Urr(urr_id), FailedRuleId::Bar(bar_id)];
    macro_rules! with {
        ($field:ident: $group:ident { $id:ident }) => {
            SessionModificationRequest {
                $field: vec![$group { $id, ..Default::default() }],
                // What is right besides it is not done either.
                ..SessionModificationRequest { flags: Some(PfcpSmReqFlags::QAURR), ..request() }
            }
        };
    }
    for (request, offending, rule) in [
        (with!(update_pdr: UpdatePdr { pdr_id }), 9, pdr),
        (with!(update_far: UpdateFar { far_id }), 10, far),
        (with!(update_qer: UpdateQer { qer_id }), 14, qer),
        (with!(update_urr: UpdateUrr { urr_id }), 13, urr),
        (with!(update_bar: UpdateBar { bar_id }), 86, bar),
        (with!(remove_pdr: RemovePdr { pdr_id }), 15, pdr),
        (with!(remove_far: RemoveFar { far_id }), 16, far),
        (with!(remove_qer: RemoveQer { qer_id }), 18, qer),
        (with!(remove_urr: RemoveUrr { urr_id }), 17, urr),
        (with!(remove_bar: RemoveBar { bar_id }), 87, bar),
    ] {
        scene.refused(MODIFICATION, &ies(request), Refused(FAILURE, Some(offending), Some(rule)));
    }
    // A query of nothing is answered with nothing.
    let query = with!(query_urr: QueryUrr { urr_id });
    let answer =
        scene.answer(MODIFICATION, scene.seid, &ies(SessionModificationRequest { flags: None, ..query }));
    let Message::SessionModificationResponse(answer) = answer else { panic!("{answer:?}") };
    assert_eq!((answer.cause, answer.usage_report.len()), (Cause::REQUEST_ACCEPTED, 0));
    scene.serves();
}

#[test]
fn when_a_rule_is_created_twice_then_it_is_named() {
    type Change = fn(&mut SessionEstablishmentRequest);
    let mut scene = Scene::new();
    let [pdr, far] = [FailedRuleId::Pdr(PdrId(1)), FailedRuleId::Far(FarId(1))];
    let [qer, urr, bar] =
        [FailedRuleId::Qer(QerId(1)), FailedRuleId::Urr(UrrId(1)), FailedRuleId::Bar(BarId(1))];
    let twice: [(Change, u16, FailedRuleId); 5] = [
        (|r| r.create_pdr.push(r.create_pdr[0].clone()), 1, pdr),
        (|r| r.create_far.push(r.create_far[0].clone()), 3, far),
        (|r| r.create_qer.push(r.create_qer[0].clone()), 7, qer),
        (|r| r.create_urr.push(r.create_urr[0].clone()), 6, urr),
        (|r| r.create_bar = vec![CreateBar { bar_id: BarId(1), ..Default::default() }; 2], 85, bar),
    ];
    for (repeat, offending, rule) in twice {
        let mut request = other();
        repeat(&mut request);
        scene.refused(ESTABLISHMENT, &ies(request), Refused(FAILURE, Some(offending), Some(rule)));
    }
    let all = establishment();
    let again = SessionModificationRequest { create_urr: all.create_urr, ..Default::default() };
    scene.refused(MODIFICATION, &ies(again), Refused(FAILURE, Some(6), Some(urr)));
    let again = SessionModificationRequest { create_far: all.create_far, ..Default::default() };
    scene.refused(MODIFICATION, &ies(again), Refused(FAILURE, Some(3), Some(far)));
    // Removed twice, it is not there the second time.
    let remove_urr = vec![RemoveUrr { urr_id: UrrId(1), ..Default::default() }; 2];
    let request = SessionModificationRequest { remove_urr, ..Default::default() };
    scene.refused(MODIFICATION, &ies(request), Refused(FAILURE, Some(17), Some(urr)));
    scene.serves();
}

#[test]
fn when_there_are_more_rules_than_may_be_then_the_request_is_refused() {
    let mut scene = Scene::new();
    let many = |count: u32| SessionEstablishmentRequest {
        create_urr: (1..=count).map(volume_urr).collect(),
        ..other()
    };
    let refused = |ie, rule| Refused(Cause::NO_RESOURCES_AVAILABLE, Some(ie), rule);
    let urr = Some(FailedRuleId::Urr(UrrId(257)));
    scene.refused(ESTABLISHMENT, &ies(many(257)), refused(6, urr));
    scene.refused(ESTABLISHMENT, &ies(many(600)), refused(6, None));
    let qer = |id| CreateQer { qer_id: QerId(id), ..Default::default() };
    let create_qer = (2..=258).map(qer).collect();
    let request = SessionModificationRequest { create_qer, ..Default::default() };
    scene.refused(MODIFICATION, &ies(request), refused(7, Some(FailedRuleId::Qer(QerId(257)))));
    scene.serves();
}

#[test]
fn when_rules_have_the_lowest_and_highest_ids_then_they_work() {
    let mut bench = Bench::new();
    let mut request = establishment();
    for (pdr, id) in request.create_pdr.iter_mut().zip([0, u16::MAX]) {
        (pdr.pdr_id, pdr.urr_ids, pdr.qer_ids) = (PdrId(id), vec![UrrId(u32::MAX)], vec![QerId(0)]);
    }
    (request.create_urr[0].urr_id, request.create_qer[0].qer_id) = (UrrId(u32::MAX), QerId(0));
    let (seid, _) = bench.session_of(request);
    assert_eq!(bench.downlink(&udp(SERVER, UE, (2, 1), 60)).0, TO_GNB);
    assert_eq!(bench.delete(seid).usage_report[0].urr_id, UrrId(u32::MAX));
}

/// A refusal must not take the session whose endpoint it names.
#[test]
fn when_a_refused_establishment_names_the_endpoint_of_a_session_then_that_one_stays() {
    let mut scene = Scene::new();
    let mut request = establishment();
    request.create_pdr[1].far_id = Some(FarId(9));
    let refused = Refused(FAILURE, Some(108), Some(FailedRuleId::Pdr(PdrId(2))));
    scene.refused(ESTABLISHMENT, &ies(request), refused);
    scene.serves();
}

#[test]
fn when_two_sessions_have_one_tunnel_then_the_second_keeps_it_when_the_first_goes() {
    let mut scene = Scene::new();
    let answer = scene.answer(ESTABLISHMENT, 0, &ies(other()));
    assert_eq!(answer.cause(), Some(Cause::REQUEST_ACCEPTED));
    scene.bench.delete(scene.seid);
    let mut bytes = [0; 40];
    let length = tern_gtpu::error_indication(GNB_TEID, GNB_ADDRESS.into(), None, &mut bytes);
    scene.bench.uplink(&bytes[..length]);
    assert_eq!(scene.bench.reports.len(), 1);
}

/// A modification may leave no TEID and no address as it was.
#[test]
fn when_all_that_leads_to_a_session_changes_then_nothing_leads_to_its_old_rules() {
    let mut bench = Bench::new();
    let (seid, teid) = bench.session();
    let moved: std::net::Ipv4Addr = [10, 45, 0, 77].into();
    let (mut up, mut down) = (uplink_pdr(3, 100, 1), downlink_pdr(4, 100, 2));
    up.pdi.ue_ip_addresses = vec![UeIpAddress::source_v4(moved)];
    down.pdi.ue_ip_addresses = vec![UeIpAddress::destination_v4(moved)];
    let remove = |id| RemovePdr { pdr_id: PdrId(id), ..Default::default() };
    let request = SessionModificationRequest {
        remove_pdr: vec![remove(1), remove(2)],
        create_pdr: vec![up, down],
        ..Default::default()
    };
    assert_eq!(bench.modify(seid, request).cause, Cause::REQUEST_ACCEPTED);
    let unknown = Verdict::Drop(DropReason::UnknownUe);
    assert_eq!(bench.downlink(&udp(SERVER, UE, (2, 1), 60)).0, unknown);
    assert_eq!(bench.downlink(&udp(SERVER, moved, (2, 1), 60)).0, TO_GNB);
    assert_eq!(
        bench.uplink(&gtpu(teid, Some(9), &udp(UE, SERVER, (1, 2), 60))).0,
        TO_GNB,
        "an error indication"
    );
    bench.delete(seid);
    assert_eq!(bench.tables.len(), 0);
}
