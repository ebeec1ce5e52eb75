//! TS 24.501 §6.4.1, TS 23.502 §4.3.2.2.1.

use std::net::Ipv4Addr;

use tern_nas::nas_5gs::{
    Nas5gsmMessage, NasAlwaysOnPduSessionRequested, NasPduSessionType, PcoDirection, PduSessionTypeValue,
    QosFlowParameter, QosPacketFilter, QosPacketFilterComponent,
};
use tern_ngap::transfer::{SetupRequest, SetupResponse};
use tern_pfcp::{ApplyAction, FTeid, OuterHeaderCreation, OuterHeaderRemoval};
use tern_sbi::common::{IpAddr, SubscribedDefaultQos};
use tern_sbi::namf_comm::{N1N2MessageTransfer, N1N2MessageTransferCause, N1N2MessageTransferRspData};
use tern_sbi::npcf_sm::{
    AuthorizedDefaultQos, CreateSmPolicy, FlowInformation, PccRule, QosData, SessionRule, SmPolicyDecision,
};
use tern_sbi::nsmf_pdusession::{N2SmInfoType, RequestType, SmContextStatusNotify, UpCnxState};
use tern_sbi::nudm_sdm::GetSmData;
use tern_sbi::nudm_uecm::RegisterSmf;
use tern_sbi::{Response, TransportError};
use tern_types::{Ambr, Duration, Qfi};

use crate::bench::*;

#[test]
fn when_all_answer_then_the_session_is_active_and_each_was_told_the_same() {
    let mut bench = Bench::new();
    let request = with_options(establishment_request(), &[0x000d, 0x0010]);
    let token = bench.create_with(create_data(5), n1(request, 5, 9));
    bench.subscribe(sm_data(subscription()));
    let reference = bench.context_ref(token);
    bench.police(SmPolicyDecision::default());
    let installed = bench.install();
    let transfer = bench.transfer();
    bench.register();
    let answer = bench.setup_response(&reference);
    let activated = bench.modified();
    let updated = bench.updated(answer).unwrap();
    assert_eq!(updated.body.data.up_cnx_state, Some(UpCnxState::Activated));
    bench.nothing();

    // N1
    let (id, pti, message) = read_n1(&transfer.n1_sm_msg.unwrap());
    let Nas5gsmMessage::PduSessionEstablishmentAccept(accept) = message else { panic!("{message:?}") };
    assert_eq!((id, pti), (5, 9));
    assert_eq!(accept.pdu_address.unwrap().ipv4(), Some([10, 45, 0, 2]));
    assert_eq!(accept.session_ambr.parse().unwrap().dl_kbps, 200_000);
    assert_eq!(accept.dnn.unwrap().value, dnn("internet").to_octets());
    assert!(accept.s_nssai.is_some() && accept.fgsm_cause.is_none());
    assert!(accept.always_on_pdu_session_indication.is_none());
    let rules = accept.authorized_qos_rules.rules();
    assert_eq!((rules.len(), rules[0].dqr, rules[0].qfi, rules[0].precedence), (1, true, Some(1), Some(255)));
    let [QosPacketFilter::Match { components, .. }] = &rules[0].packet_filters[..] else { panic!() };
    assert_eq!(components[..], [QosPacketFilterComponent::MatchAll]);
    let flows = accept.authorized_qos_flow_descriptions.unwrap().descriptions();
    assert_eq!((flows[0].qfi, &flows[0].params[..]), (1, &[QosFlowParameter::FiveQi(9)][..]));
    let options =
        accept.extended_protocol_configuration_options.unwrap().pco(PcoDirection::Downlink).unwrap();
    let told: Vec<_> = options.entries.iter().map(|e| (e.identifier, e.contents.clone())).collect();
    let expected = [(0x000d, vec![1, 1, 1, 1]), (0x000d, vec![8, 8, 8, 8]), (0x0010, vec![0x05, 0x78])];
    assert_eq!(told, expected);

    // N2
    let n2 = SetupRequest::decode(&transfer.n2_sm_info.unwrap()).unwrap();
    assert_eq!(
        (n2.uplink, n2.flows.len(), n2.flows[0].qfi, n2.flows[0].five_qi),
        (UPLINK, 1, Qfi::new(1).unwrap(), Some(9))
    );
    assert_eq!(n2.ambr, Some(Ambr { uplink: mbps(100), downlink: mbps(200) }));
    assert_eq!(transfer.data.pdu_session_id, Some(session_id(5)));
    assert_eq!(transfer.ue_context_id, supi().to_string());

    // N4
    assert_eq!(
        (installed.create_pdr.len(), installed.create_far.len(), installed.create_qer.len()),
        (2, 2, 2)
    );
    let uplink = &installed.create_pdr[0];
    assert!(matches!(uplink.pdi.f_teid, Some(FTeid::Choose { ipv4: true, ipv6: true, .. })));
    let removal = uplink.outer_header_removal.map(|removal| removal.description);
    assert_eq!(removal, Some(OuterHeaderRemoval::GTPU_UDP_IP));
    assert_eq!(installed.create_pdr[1].pdi.ue_ip_addresses[0].ipv4, Some(Ipv4Addr::new(10, 45, 0, 2)));
    assert!(installed.create_pdr[1].pdi.ue_ip_addresses[0].destination);
    assert_eq!(installed.create_qer[0].mbr.unwrap().uplink_kbps, 100_000);
    assert_eq!(installed.create_qer[1].qfi, Some(tern_pfcp::Qfi(1)));
    assert_eq!(installed.create_far[1].apply_action, ApplyAction::BUFF);
    let far = &activated.update_far[0];
    assert_eq!(far.apply_action, Some(ApplyAction::FORW));
    let outer = far.update_forwarding_parameters.as_ref().unwrap().outer_header_creation.unwrap();
    assert_eq!(outer, OuterHeaderCreation::gtpu_v4(DOWNLINK.teid, DOWNLINK.ipv4.unwrap()));
}

#[test]
fn when_nothing_is_asked_for_then_the_accept_has_no_options() {
    let mut bench = Bench::new();
    let token = bench.create(1);
    bench.subscribe(sm_data(subscription()));
    bench.context_ref(token);
    bench.police(SmPolicyDecision::default());
    bench.install();
    let (_, _, message) = read_n1(&bench.transfer().n1_sm_msg.unwrap());
    let Nas5gsmMessage::PduSessionEstablishmentAccept(accept) = message else { panic!("{message:?}") };
    assert!(accept.extended_protocol_configuration_options.is_none());
}

#[test]
fn when_ue_asks_for_ipv4v6_then_it_gets_ipv4_and_cause_50() {
    let mut bench = Bench::new();
    let request = establishment_request()
        .with_pdu_session_type(NasPduSessionType::from_session_type(PduSessionTypeValue::Ipv4v6))
        .with_always_on_pdu_session_requested(NasAlwaysOnPduSessionRequested::from_apsr(true));
    let token = bench.create_with(create_data(1), n1(request, 1, 1));
    bench.subscribe(sm_data(subscription()));
    bench.context_ref(token);
    bench.police(SmPolicyDecision::default());
    bench.install();
    let (_, _, message) = read_n1(&bench.transfer().n1_sm_msg.unwrap());
    let Nas5gsmMessage::PduSessionEstablishmentAccept(accept) = message else { panic!("{message:?}") };
    assert_eq!(accept.fgsm_cause.unwrap().cause_raw(), 50);
    assert_eq!(accept.selected_pdu_session_type.session_type(), Some(PduSessionTypeValue::Ipv4));
    // Asked for, and not granted.
    assert_eq!(accept.always_on_pdu_session_indication.map(|a| a.apsi()), Some(false));
}

#[test]
fn when_policy_decides_then_its_ambr_qos_and_rules_are_enforced_everywhere() {
    let mut bench = Bench::new();
    let token = bench.create(1);
    bench.subscribe(sm_data(subscription()));
    bench.context_ref(token);
    let session_rule = SessionRule {
        auth_sess_ambr: Some(Ambr { uplink: mbps(10), downlink: mbps(20) }),
        auth_def_qos: Some(AuthorizedDefaultQos { five_qi: Some(7), ..Default::default() }),
        ..SessionRule::new("s".to_owned())
    };
    let flow = |text: &str| FlowInformation { flow_description: Some(text.to_owned()), ..Default::default() };
    let rule = |id: &str, precedence, text: &str, qos: &str| PccRule {
        precedence: Some(precedence),
        flow_infos: vec![flow(text)],
        ref_qos_data: vec![qos.to_owned()],
        ..PccRule::new(id.to_owned())
    };
    let mut decision = SmPolicyDecision::default();
    decision.sess_rules.insert("s".to_owned(), Some(session_rule));
    let rules = [
        rule("video", 20, "permit out 17 from 10.1.0.0/16 5000-5010 to assigned", "fast"),
        rule("all", 255, "permit out ip from any to assigned", "none"),
        rule("bad", 1, "deny everything", "fast"),
    ];
    decision.pcc_rules = rules.into_iter().map(|rule| (rule.pcc_rule_id.clone(), Some(rule))).collect();
    let fast = QosData {
        five_qi: Some(5),
        maxbr_dl: Some(mbps(3)),
        maxbr_ul: Some(mbps(2)),
        ..QosData::new("fast".to_owned())
    };
    decision.qos_decs.insert("fast".to_owned(), Some(fast));
    bench.police(decision);

    let installed = bench.install();
    assert_eq!(installed.create_pdr.len(), 4);
    assert_eq!(installed.create_qer[0].mbr.unwrap().downlink_kbps, 20_000);
    let video = &installed.create_pdr[2];
    assert!(video.precedence.0 < installed.create_pdr[0].precedence.0);
    let text = video.pdi.sdf_filters[0].flow_description.as_deref();
    assert_eq!(text, Some("permit out 17 from 10.1.0.0/16 5000-5010 to assigned"));
    assert_eq!(installed.create_qer[2].mbr.unwrap().downlink_kbps, 3_000);
    assert_eq!(installed.create_qer[2].qfi, Some(tern_pfcp::Qfi(2)));

    let transfer = bench.transfer();
    let n2 = SetupRequest::decode(&transfer.n2_sm_info.unwrap()).unwrap();
    let flows: Vec<_> = n2.flows.iter().map(|flow| (flow.qfi.get(), flow.five_qi)).collect();
    assert_eq!(flows, [(1, Some(7)), (2, Some(5))]);
    let (_, _, message) = read_n1(&transfer.n1_sm_msg.unwrap());
    let Nas5gsmMessage::PduSessionEstablishmentAccept(accept) = message else { panic!("{message:?}") };
    let rules = accept.authorized_qos_rules.rules();
    assert_eq!(rules.iter().map(|r| (r.dqr, r.qfi)).collect::<Vec<_>>(), [(true, Some(1)), (false, Some(2))]);
    assert_eq!(accept.authorized_qos_flow_descriptions.unwrap().descriptions().len(), 2);
    assert_eq!(accept.session_ambr.parse().unwrap().ul_kbps, 10_000);
}

#[test]
fn when_no_pcf_is_known_then_the_subscription_holds() {
    let mut bench = Bench::new();
    let token = bench.create(1);
    let arp = tern_smf::qos::DEFAULT_QOS.1;
    bench.subscribe(sm_data(tern_sbi::nudm_sdm::DnnConfiguration {
        qos_profile: Some(SubscribedDefaultQos::new(6, arp)),
        ..subscription()
    }));
    bench.context_ref(token);
    let (policy, operation) = bench.expect::<CreateSmPolicy>();
    assert_eq!(operation.context.subs_def_qos.unwrap().five_qi, 6);
    assert_eq!(operation.context.ipv4_address, Some(Ipv4Addr::new(10, 45, 0, 2)));
    bench.lost(policy, TransportError::NotDiscovered(String::new()));
    bench.install();
    assert_eq!(bench.transfer().data.five_qi, Some(6));
}

#[test]
fn when_subscriber_has_a_static_address_then_it_gets_that_one() {
    let mut bench = Bench::new();
    let fixed = Ipv4Addr::new(10, 45, 7, 7);
    let with_address = || {
        sm_data(tern_sbi::nudm_sdm::DnnConfiguration {
            static_ip_address: vec![IpAddr { ipv4_addr: Some(fixed), ..Default::default() }],
            ..subscription()
        })
    };
    let token = bench.create(1);
    bench.subscribe(with_address());
    bench.context_ref(token);
    bench.police(SmPolicyDecision::default());
    let installed = bench.install();
    assert_eq!(installed.create_pdr[0].pdi.ue_ip_addresses[0].ipv4, Some(fixed));
    bench.ignore();
    // A second session cannot have it too.
    let token = bench.create(2);
    bench.subscribe(with_address());
    let error = bench.created(token).unwrap_err();
    assert_eq!(error.problem().unwrap().cause.as_deref(), Some("INSUFFICIENT_RESOURCES_SLICE_DNN"));
}

#[test]
fn when_the_gnb_answers_before_the_amfs_reply_then_the_session_is_active() {
    let mut bench = Bench::new();
    let token = bench.create(1);
    bench.subscribe(sm_data(subscription()));
    let reference = bench.context_ref(token);
    bench.police(SmPolicyDecision::default());
    bench.install();
    let (transfer, _) = bench.expect::<N1N2MessageTransfer>();
    bench.register();
    let answer = bench.setup_response(&reference);
    bench.transferred(transfer);
    bench.modified();
    assert_eq!(bench.updated(answer).unwrap().body.data.up_cnx_state, Some(UpCnxState::Activated));
    bench.nothing();
    assert_eq!(bench.smf.awaited(), 0);
}

#[test]
fn when_the_gnb_cannot_set_up_then_the_ue_is_rejected_and_all_is_let_go() {
    for unusable in [false, true] {
        let mut bench = Bench::new();
        let token = bench.create(1);
        bench.subscribe(sm_data(subscription()));
        let reference = bench.context_ref(token);
        bench.police(SmPolicyDecision::default());
        bench.install();
        bench.transfer();
        bench.register();
        let cause = tern_ngap::cause::NgapCause { group: 0, value: 26 };
        let answer = if unusable {
            // Another flow than the default one is of no use.
            let flows = vec![Qfi::new(9).unwrap()];
            let response =
                SetupResponse { downlink: DOWNLINK, flows, failed: vec![(Qfi::new(1).unwrap(), cause)] };
            bench.send_n2(&reference, N2SmInfoType::PduResSetupRsp, response.encode().unwrap())
        } else {
            let octets = tern_ngap::transfer::encode_setup_unsuccessful(cause).unwrap();
            bench.send_n2(&reference, N2SmInfoType::PduResSetupFail, octets)
        };
        let updated = bench.updated(answer).unwrap();
        let (_, pti, message) = read_n1(&updated.body.n1_sm_msg.unwrap());
        let Nas5gsmMessage::PduSessionEstablishmentReject(reject) = message else { panic!("{message:?}") };
        assert_eq!((pti, reject.fgsm_cause.cause_raw()), (9, 26));
        bench.deleted();
        bench.concluded();
        bench.empty();
    }
}

#[test]
fn when_the_gnb_never_answers_then_the_session_is_released() {
    let mut bench = Bench::new();
    let token = bench.create(1);
    bench.subscribe(sm_data(subscription()));
    bench.context_ref(token);
    bench.police(SmPolicyDecision::default());
    bench.install();
    bench.transfer();
    bench.register();
    bench.pass(Duration::from_secs(19));
    bench.nothing();
    bench.pass(Duration::from_secs(1));
    let (_, pti, message) = read_n1(&bench.transfer().n1_sm_msg.unwrap());
    assert!(matches!(message, Nas5gsmMessage::PduSessionReleaseCommand(_)));
    assert_eq!(pti, 0);
}

#[test]
fn when_the_amf_cannot_deliver_the_accept_then_all_is_let_go() {
    let mut bench = Bench::new();
    let token = bench.create(1);
    bench.subscribe(sm_data(subscription()));
    bench.context_ref(token);
    bench.police(SmPolicyDecision::default());
    bench.install();
    let (transfer, _) = bench.expect::<N1N2MessageTransfer>();
    bench.register();
    let error = tern_sbi::namf_comm::N1N2MessageTransferError::new(tern_sbi::ProblemDetails::new(
        504,
        "UE_NOT_REACHABLE",
    ));
    bench.reply::<N1N2MessageTransfer>(
        transfer,
        Err(tern_sbi::OperationError::Refused { status: 504, body: error }),
    );
    bench.deleted();
    bench.concluded();
    bench.empty();
}

#[test]
fn when_the_ue_is_being_paged_then_the_establishment_goes_on() {
    let mut bench = Bench::new();
    let token = bench.create(1);
    bench.subscribe(sm_data(subscription()));
    bench.context_ref(token);
    bench.police(SmPolicyDecision::default());
    bench.install();
    let (transfer, _) = bench.expect::<N1N2MessageTransfer>();
    bench.register();
    let data = N1N2MessageTransferRspData::new(N1N2MessageTransferCause::AttemptingToReachUe);
    bench.reply::<N1N2MessageTransfer>(transfer, Ok(Response { status: 202, ..Response::ok(data) }));
    bench.nothing();
    assert_eq!(bench.smf.sessions(), 1);
}

/// The answer was lost, perhaps with the AMF that had asked: nothing is made twice, whenever it asks again.
#[test]
fn when_an_amf_asks_again_for_a_session_that_it_does_not_know_of_then_it_is_the_one_of_before() {
    let mut bench = Bench::new();
    let older = bench.create(1);
    let (data, _) = bench.expect::<GetSmData>();
    let newer = bench.create(1);
    assert_eq!(bench.created(older).unwrap_err().status(), Some(403));
    bench.reply::<GetSmData>(data, Ok(Response::ok(sm_data(subscription()))));
    let reference = bench.context_ref(newer);
    bench.police(SmPolicyDecision::default());
    let again = bench.create(1);
    bench.install();
    assert_eq!(bench.context_ref(again), reference);
    bench.transfer();
    bench.register();
    let again = bench.create(1);
    assert_eq!(bench.context_ref(again), reference);
    bench.nothing();
    assert_eq!(bench.smf.sessions(), 1);

    // One of which the AMF has said something is replaced.
    let mut bench = Bench::new();
    let first = bench.establish(1);
    let token = bench.create(1);
    let (old, _) = bench.expect::<N1N2MessageTransfer>();
    bench.transferred(old);
    bench.n4();
    bench.subscribe(sm_data(subscription()));
    assert_ne!(bench.context_ref(token), first);
}

#[test]
fn when_a_live_session_is_asked_for_again_then_the_new_one_replaces_it() {
    let mut bench = Bench::new();
    let first = bench.establish(1);
    let data = tern_sbi::nsmf_pdusession::SmContextCreateData {
        request_type: Some(RequestType::InitialRequest),
        sm_context_status_uri: format!("{AMF}{}", SmContextStatusNotify::callback_path("ue-2")),
        ..create_data(1)
    };
    let token = bench.create_with(data, n1(establishment_request(), 1, 10));
    // The access network lets go of the old resources, the UPF too.
    let (old, operation) = bench.expect::<N1N2MessageTransfer>();
    assert!(operation.n1_sm_msg.is_none());
    tern_ngap::transfer::decode_release_command(&operation.n2_sm_info.unwrap()).unwrap();
    bench.transferred(old);
    let (deletion, _, _) = bench.n4();
    bench.subscribe(sm_data(subscription()));
    let second = bench.context_ref(token);
    assert_ne!(first, second);
    bench.police(SmPolicyDecision::default());
    let response = tern_pfcp::SessionDeletionResponse {
        cause: tern_pfcp::Cause::REQUEST_ACCEPTED,
        ..Default::default()
    };
    let installed = bench.install();
    // The old address is not given at once.
    assert_eq!(installed.create_pdr[0].pdi.ue_ip_addresses[0].ipv4, Some(Ipv4Addr::new(10, 45, 0, 3)));
    bench.transfer();
    bench.register();
    bench.input(tern_smf::Input::N4(deletion, Some(response.into())));
    // The registration at the UDM is the new session's: it stays.
    let (policy, _) = bench.expect::<tern_sbi::npcf_sm::DeleteSmPolicy>();
    let (notification, told) = bench.expect::<SmContextStatusNotify>();
    assert_eq!(told.key().as_deref(), Some("ue-1"));
    let cause = told.notification.status_info.cause;
    assert_eq!(cause, Some(tern_sbi::nsmf_pdusession::Cause::RelDueToDuplicateSessionId));
    bench.reply::<SmContextStatusNotify>(notification, Ok(Response::no_content()));
    bench.reply::<tern_sbi::npcf_sm::DeleteSmPolicy>(policy, Ok(Response::no_content()));
    // A late answer about the old resources finds the new session and changes nothing.
    let late = tern_ngap::transfer::encode_release_response().unwrap();
    let answer = bench.send_n2(&second, N2SmInfoType::PduResRelRsp, late);
    assert_eq!(bench.updated(answer).unwrap().status, 204);
    let answer = bench.setup_response(&second);
    bench.modified();
    assert!(bench.updated(answer).is_ok());
    assert_eq!(bench.smf.sessions(), 1);
    assert_eq!(bench.smf.addresses_used(), [1]);
}

#[test]
fn when_the_registration_fails_then_the_session_lives_on() {
    let mut bench = Bench::new();
    let token = bench.create(1);
    bench.subscribe(sm_data(subscription()));
    let reference = bench.context_ref(token);
    bench.police(SmPolicyDecision::default());
    bench.install();
    bench.transfer();
    let (registration, _) = bench.expect::<RegisterSmf>();
    bench.lost(registration, TransportError::TimedOut);
    bench.subscribe_to_changes();
    let answer = bench.setup_response(&reference);
    bench.modified();
    assert!(bench.updated(answer).is_ok());
}

#[test]
fn a_context_is_data_and_survives_serialisation() {
    let mut bench = Bench::new();
    bench.establish(1);
    let context = bench.smf.contexts().next().unwrap();
    let json = serde_json::to_string(context).unwrap();
    let read: tern_smf::context::SmContext = serde_json::from_str(&json).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), json);
    // One golden file a schema version: what an older release wrote is read by a newer one.
    let golden = include_str!("golden/sm_context_1.json");
    assert_eq!((read.schema, json.as_str()), (1, golden.trim_end()));
}
