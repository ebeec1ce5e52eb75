//! Sessions and associations that there are not, messages that nobody asked for, and too many of all.

use std::net::SocketAddr;

use tern_n4::PEERS_MAX;

use super::*;

#[test]
fn when_the_seid_is_zero_or_nobodys_then_cause_65() {
    let mut scene = Scene::new();
    let deletion = MessageType::SessionDeletionRequest;
    for seid in [0, 1, scene.seid ^ 1, CP_SEID, u64::MAX] {
        for (kind, ies) in [(MODIFICATION, ies(forward_update(ApplyAction::DROP))), (deletion, Vec::new())] {
            let before = scene.state();
            let answer = scene.answer(kind, seid, &ies);
            assert_eq!(Refused::of(&answer), Refused(Cause::SESSION_CONTEXT_NOT_FOUND, None, None));
            assert_eq!(scene.state(), before);
        }
    }
    scene.serves();
}

#[test]
fn when_there_is_no_association_then_sessions_are_refused_with_cause_72() {
    let mut scene = Scene::new();
    let stranger = SocketAddr::from(([10, 45, 0, 2], 8805));
    let before = scene.state();
    for (kind, seid, ies) in [
        (ESTABLISHMENT, 0, ies(other())),
        (MODIFICATION, scene.seid, ies(forward_update(ApplyAction::DROP))),
        (MessageType::SessionDeletionRequest, scene.seid, Vec::new()),
    ] {
        let datagram = scene.datagram(kind, Some(seid), &ies);
        let answers = scene.bench.give(stranger, &datagram);
        assert_eq!(answers[0].message.cause(), Some(Cause::NO_ESTABLISHED_PFCP_ASSOCIATION));
        assert_eq!((answers.len(), &scene.state()), (1, &before));
    }
    scene.serves();
}

#[test]
fn when_an_association_setup_is_incomplete_then_it_is_refused_and_the_one_of_before_stays() {
    let mut scene = Scene::new();
    let (node, stamp) = (ie(60, &[0, 127, 0, 0, 17]), ie(96, &[0, 0, 0, 1]));
    for (ies, cause) in [
        (&node[..], Cause::MANDATORY_IE_MISSING),
        (&stamp, Cause::MANDATORY_IE_MISSING),
        (&[&node[..], &ie(96, &[])].concat(), Cause::INVALID_LENGTH),
        (&[&ie(60, &[0, 127])[..], &stamp].concat(), Cause::INVALID_LENGTH),
    ] {
        let before = scene.state();
        let answers = scene.give(MessageType::AssociationSetupRequest, None, ies);
        assert_eq!(answers[0].message.cause(), Some(cause));
        assert_eq!((answers.len(), scene.state()), (1, before));
    }
    scene.serves();
}

/// TS 23.527 §4.2.
#[test]
fn when_a_heartbeat_brings_another_recovery_time_stamp_then_the_sessions_of_that_smf_alone_go() {
    let mut scene = Scene::new();
    let heartbeat = |stamp: u32| ie(96, &stamp.to_be_bytes());
    let kind = MessageType::HeartbeatRequest;
    // The same one, one that is cut, and one of somebody else change nothing.
    assert_eq!(scene.give(kind, None, &heartbeat(1)).len(), 1);
    assert_eq!(scene.give(kind, None, &ie(96, &[])), []);
    let datagram = scene.datagram(kind, None, &heartbeat(2));
    scene.bench.give(SocketAddr::from(([127, 0, 0, 200], 8805)), &datagram);
    scene.pass();
    assert_eq!(scene.give(kind, None, &heartbeat(2)).len(), 1);
    assert_eq!((scene.bench.core.session_count(), scene.bench.core.kept()), (0, 0));
    assert_eq!(scene.bench.tables.len(), 0);
}

#[test]
fn when_an_answer_comes_that_nobody_asked_for_then_it_is_ignored() {
    let mut scene = Scene::new();
    let before = scene.state();
    let cause = ie(19, &[65]);
    for kind in [2, 6, 8, 10, 11, 13, 51, 53, 55, 57] {
        let kind = MessageType::from_number(kind).expect("a response");
        let seid = kind.is_session().then_some(scene.seid);
        assert_eq!(scene.give(kind, seid, &cause), [], "{kind:?}");
    }
    assert_eq!(scene.state(), before);
    scene.serves();
}

#[test]
fn when_a_request_is_one_that_only_upfs_send_then_it_is_refused() {
    let mut scene = Scene::new();
    let report = ies(SessionReportRequest { report_type: ReportType::UPIR, ..Default::default() });
    let answer = scene.answer(MessageType::SessionReportRequest, scene.seid, &report);
    assert_eq!(answer.cause(), Some(Cause::SERVICE_NOT_SUPPORTED));
    scene.serves();
}

#[test]
fn when_the_seid_flag_or_the_type_does_not_fit_then_there_is_no_answer() {
    let mut scene = Scene::new();
    let before = scene.state();
    assert_eq!(scene.give(MessageType::SessionDeletionRequest, None, &[]), []);
    assert_eq!(scene.give(MessageType::HeartbeatRequest, Some(scene.seid), &ie(96, &[0, 0, 0, 9])), []);
    let mut datagram = scene.datagram(ESTABLISHMENT, Some(0), &full());
    for kind in [0, 3, 4, 14, 15, 49, 58, 255] {
        datagram[1] = kind;
        assert_eq!(scene.bench.give(scene.bench.smf_address, &datagram), [], "{kind}");
    }
    assert_eq!(scene.state(), before);
    scene.serves();
}

#[test]
fn when_4097_sessions_come_then_all_are_served_and_beyond_the_limit_cause_75_until_one_goes() {
    let limit = 4_097;
    let mut bench = Bench::with(|config| config.sessions_max = limit);
    let establish = |bench: &mut Bench, number: usize| {
        let f_seid = FSeid::new(number as u64 + 1, [127, 0, 0, 17].into());
        let ue = std::net::Ipv4Addr::from(0x0A2D_0000 + number as u32);
        let mut request = SessionEstablishmentRequest { cp_f_seid: f_seid, ..establishment() };
        request.create_pdr[0].pdi.ue_ip_addresses = vec![UeIpAddress::source_v4(ue)];
        request.create_pdr[1].pdi.ue_ip_addresses = vec![UeIpAddress::destination_v4(ue)];
        let (_, message) = bench.ask(0, request);
        let Message::SessionEstablishmentResponse(response) = message else { panic!("{message:?}") };
        assert_eq!(bench.downlink(&udp(SERVER, ue, (2, 1), 60)).0 == TO_GNB, response.up_f_seid.is_some());
        response.up_f_seid.map(|f_seid| f_seid.seid).ok_or(response.cause)
    };
    let seids: Vec<_> = (0..limit).map(|number| establish(&mut bench, number).expect("it fits")).collect();
    let (kept, reachable) = (bench.core.kept(), bench.tables.len());
    assert_eq!(establish(&mut bench, limit), Err(Cause::NO_RESOURCES_AVAILABLE));
    assert_eq!((bench.core.session_count(), bench.core.kept(), bench.tables.len()), (limit, kept, reachable));
    bench.delete(seids[0]);
    establish(&mut bench, limit).expect("there is room again");
}

#[test]
fn when_more_smfs_come_than_may_then_those_of_before_are_served() {
    let mut scene = Scene::new();
    let associate = |scene: &mut Scene, number: usize| {
        let address = std::net::Ipv4Addr::from(0x0A00_0001 + number as u32);
        let setup = AssociationSetupRequest {
            node_id: NodeId::Address(address.into()),
            recovery_time_stamp: RecoveryTimeStamp(1),
            ..Default::default()
        };
        let datagram = scene.datagram(MessageType::AssociationSetupRequest, None, &ies(setup));
        let answers = scene.bench.give(SocketAddr::from((address, 8805)), &datagram);
        answers[0].message.cause().expect("an answer")
    };
    // The bench's SMF has one of the places.
    for number in 1..PEERS_MAX {
        assert_eq!(associate(&mut scene, number), Cause::REQUEST_ACCEPTED);
    }
    for number in PEERS_MAX..PEERS_MAX + 10 {
        assert_eq!(associate(&mut scene, number), Cause::NO_RESOURCES_AVAILABLE);
    }
    scene.serves();
}
