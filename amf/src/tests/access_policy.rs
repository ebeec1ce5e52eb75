//! What the PCF hears of a subscription that changes, and what it makes of it: TS 29.507 §4.2.3, §4.2.4.

use tern_nas::nas_5gs::*;
use tern_ngap::NgapPduKind;
use tern_sbi::common::DnnOrWildcard;
use tern_sbi::common::{Area, RestrictionType, ServiceAreaRestriction};
use tern_sbi::npcf_am::{
    AmPolicyUpdateNotify, CreateAmPolicy, PolicyAssociation, PolicyAssociationUpdateRequest, PolicyUpdate,
    RequestTrigger, UpdateAmPolicy,
};
use tern_sbi::nudm_sdm::{
    AccessAndMobilitySubscriptionData, DataChangeNotify, DnnInfo, GetDataSets, ModificationNotification,
    Nssai, SmfSelectionSubscriptionData, SnssaiInfo, SubscriptionDataSets,
};
use tern_sbi::{Operation, OperationError, PathParams, Response};
use tern_types::{Ambr, BitRate, Snssai, Tac};

use super::rig::*;
use crate::{AmfRequest, Input, Token};

const POLICY: &str = "http://127.0.0.14:8080/npcf-am-policy-control/v1/policies/7";

fn mbps(rate: u64) -> Ambr {
    let rate = BitRate::from_bps(rate * 1_000_000);
    Ambr { uplink: rate, downlink: rate }
}

fn not_allowed(tac: u32) -> ServiceAreaRestriction {
    ServiceAreaRestriction {
        restriction_type: Some(RestrictionType::NotAllowedAreas),
        areas: vec![Area { tacs: vec![Tac::new(tac).unwrap()], area_code: None }],
        max_num_of_tas: None,
    }
}

/// What is subscribed.
fn data(ambr: u64, rfsp: Option<u16>, area: Option<ServiceAreaRestriction>) -> SubscriptionDataSets {
    let slice = Snssai::new(1, None);
    let internet = DnnInfo::new(DnnOrWildcard::Dnn("internet".parse().unwrap()));
    SubscriptionDataSets {
        am_data: Some(AccessAndMobilitySubscriptionData {
            subscribed_ue_ambr: Some(mbps(ambr)),
            nssai: Some(Nssai::new(vec![slice])),
            rfsp_index: rfsp,
            service_area_restriction: area,
            ..Default::default()
        }),
        smf_sel_data: Some(SmfSelectionSubscriptionData {
            subscribed_snssai_infos: [(slice.to_string(), SnssaiInfo::new(vec![internet]))].into(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// A UE whose PCF wants to hear of these.
fn registered(sets: SubscriptionDataSets, triggers: &[RequestTrigger]) -> (Rig, Ue) {
    let (mut rig, mut ue) = (Rig::new(), Ue::new(1));
    let decision = PolicyAssociation { triggers: triggers.to_vec(), ..PolicyAssociation::new("0".into()) };
    let created = CreateAmPolicy::to_reply(Ok(Response::created(POLICY.into(), decision)));
    rig.refusals.insert("CreateAmPolicy", created);
    rig.refusals.insert("GetDataSets", GetDataSets::to_reply(Ok(Response::ok(sets))));
    ue.register(&mut rig);
    assert!(rig.downlink.is_empty() && rig.requests.is_empty());
    (rig, ue)
}

/// The UDM says that there are other data.
fn change(rig: &mut Rig, sets: SubscriptionDataSets) {
    let path = DataChangeNotify::callback_path(&supi().to_string());
    let notification = ModificationNotification::new(Vec::new());
    let request = DataChangeNotify { path, notification };
    assert_eq!(rig.ask(AmfRequest::DataChangeNotify(request)).status, 204);
    let (token, _, request) = rig.requests.pop_back().expect("a request");
    assert!(PathParams::matching(GetDataSets::PATH, &request.path).is_some(), "{}", request.path);
    rig.input(Input::Reply(token, Ok(GetDataSets::to_reply(Ok(Response::ok(sets))))));
}

/// What the PCF is told.
fn told(rig: &mut Rig) -> (Token, PolicyAssociationUpdateRequest) {
    let (token, _, request) = rig.requests.pop_front().expect("a request");
    let params = PathParams::matching(UpdateAmPolicy::PATH, &request.path).expect("an update");
    let update = UpdateAmPolicy::from_request(&params, &request).unwrap();
    assert_eq!(update.pol_asso_id, "7");
    (token, update.request)
}

fn decide(rig: &mut Rig, token: Token, update: PolicyUpdate) {
    rig.input(Input::Reply(token, Ok(UpdateAmPolicy::to_reply(Ok(Response::ok(update))))));
}

fn nothing_new() -> PolicyUpdate {
    PolicyUpdate::new(POLICY.into())
}

/// RFSP index and UE-AMBR, in Mbit/s, of what the gNB is told next.
fn modified(rig: &mut Rig, ue: &Ue) -> (Option<u64>, Option<u64>) {
    let pdu = rig.next();
    assert_eq!(pdu.kind(), NgapPduKind::Initiating_UEContextModification, "{pdu}");
    let rfsp = pdu.ie::<tern_ngap::ie::IndexToRFSP>().map(|index| index.unwrap().0);
    let ambr = pdu.ie::<tern_ngap::ie::UEAggregateMaximumBitRate>();
    let ambr = ambr.map(|ambr| ambr.unwrap().ue_aggregate_maximum_bit_rate_dl.0 / 1_000_000);
    ue.context_is_modified(rig);
    (rfsp, ambr)
}

#[test]
fn when_what_the_pcf_wants_to_hear_of_changes_then_its_answer_is_applied() {
    let triggers = [RequestTrigger::RfspCh, RequestTrigger::UeAmbrCh];
    let (mut rig, ue) = registered(data(1, Some(3), None), &triggers);
    change(&mut rig, data(2, Some(4), None));
    assert_eq!(modified(&mut rig, &ue), (Some(4), Some(2)), "the PCF has not decided either before");
    let (token, request) = told(&mut rig);
    assert_eq!(request.triggers, triggers);
    assert_eq!((request.rfsp, request.ue_ambr, request.serv_area_res), (Some(4), Some(mbps(2)), None));
    let update = PolicyUpdate { rfsp: Some(9), ue_ambr: Some(mbps(5)), ..nothing_new() };
    decide(&mut rig, token, update);
    assert_eq!(modified(&mut rig, &ue), (Some(9), Some(5)));
    // The PCF's word holds until it has another one.
    change(&mut rig, data(7, Some(4), None));
    let (token, request) = told(&mut rig);
    assert_eq!((request.triggers, request.rfsp), (vec![RequestTrigger::UeAmbrCh], None));
    assert!(rig.downlink.is_empty());
    decide(&mut rig, token, PolicyUpdate { ue_ambr: Some(mbps(6)), ..nothing_new() });
    assert_eq!(modified(&mut rig, &ue), (None, Some(6)));
}

#[test]
fn when_the_pcf_does_not_want_to_hear_of_it_then_it_is_not_told() {
    let (mut rig, ue) = registered(data(1, None, None), &[RequestTrigger::RfspCh]);
    change(&mut rig, data(2, None, None));
    assert!(rig.requests.is_empty());
    assert_eq!(modified(&mut rig, &ue), (None, Some(2)));
    // It asks for it.
    let path = AmPolicyUpdateNotify::callback_path(&supi().to_string());
    let update = PolicyUpdate { triggers: vec![RequestTrigger::UeAmbrCh], ..nothing_new() };
    let request = AmPolicyUpdateNotify { path, update };
    assert_eq!(rig.ask(AmfRequest::AmPolicyUpdateNotify(Box::new(request))).status, 204);
    change(&mut rig, data(3, Some(1), None));
    assert_eq!(told(&mut rig).1.triggers, [RequestTrigger::UeAmbrCh]);
}

/// The UE hears of the PCF's area, not of the one that is subscribed.
#[test]
fn when_the_subscribed_service_area_changes_then_the_pcf_decides_and_the_ue_hears_of_that() {
    let (mut rig, mut ue) = registered(data(1, None, Some(not_allowed(8))), &[RequestTrigger::ServAreaCh]);
    let path = AmPolicyUpdateNotify::callback_path(&supi().to_string());
    let area = |rig: &mut Rig, ue: &mut Ue| {
        let Nas5gmmMessage::ConfigurationUpdateCommand(command) = ue.hear(rig) else { panic!() };
        ue.say(rig, NasConfigurationUpdateComplete::new());
        tern_nas::registration::service_area_of(&command.service_area_list.unwrap()).unwrap().tais
    };
    let update = PolicyUpdate { serv_area_res: Some(not_allowed(8)), ..nothing_new() };
    let request = AmPolicyUpdateNotify { path, update };
    rig.ask(AmfRequest::AmPolicyUpdateNotify(Box::new(request)));
    assert!(rig.downlink.is_empty());
    change(&mut rig, data(1, None, None));
    assert!(rig.downlink.is_empty());
    let (token, request) = told(&mut rig);
    let nowhere_forbidden = request.serv_area_res.unwrap();
    assert!(nowhere_forbidden.areas.is_empty());
    assert_eq!(nowhere_forbidden.restriction_type, Some(RestrictionType::NotAllowedAreas));
    let update = PolicyUpdate { serv_area_res: Some(not_allowed(9)), ..nothing_new() };
    decide(&mut rig, token, update);
    assert_eq!(area(&mut rig, &mut ue), [tai(9)]);
}

#[test]
fn when_data_change_again_before_the_pcf_has_answered_then_the_later_answer_counts() {
    let (mut rig, ue) = registered(data(1, None, None), &[RequestTrigger::UeAmbrCh]);
    change(&mut rig, data(2, None, None));
    modified(&mut rig, &ue);
    let (first, _) = told(&mut rig);
    change(&mut rig, data(3, None, None));
    modified(&mut rig, &ue);
    let (second, request) = told(&mut rig);
    assert_eq!(request.ue_ambr, Some(mbps(3)));
    decide(&mut rig, first, PolicyUpdate { ue_ambr: Some(mbps(20)), ..nothing_new() });
    assert!(rig.downlink.is_empty());
    decide(&mut rig, second, PolicyUpdate { ue_ambr: Some(mbps(30)), ..nothing_new() });
    assert_eq!(modified(&mut rig, &ue), (None, Some(30)));
}

/// 404 is of an association that is no more.
#[test]
fn when_the_pcf_knows_nothing_of_the_association_then_the_subscription_holds() {
    let (mut rig, ue) = registered(data(1, None, None), &[RequestTrigger::UeAmbrCh]);
    change(&mut rig, data(2, None, None));
    modified(&mut rig, &ue);
    let (token, _) = told(&mut rig);
    decide(&mut rig, token, PolicyUpdate { ue_ambr: Some(mbps(20)), ..nothing_new() });
    modified(&mut rig, &ue);
    change(&mut rig, data(3, None, None));
    let (token, _) = told(&mut rig);
    rig.input(Input::Reply(token, Ok(problem(503, "NF_CONGESTION"))));
    assert!(rig.downlink.is_empty() && rig.amf.ue(&supi()).unwrap().am_policy.is_some());
    change(&mut rig, data(4, None, None));
    let (token, _) = told(&mut rig);
    let gone: Result<Response<PolicyUpdate>, _> =
        Err(OperationError::Problem(tern_sbi::ProblemDetails::new(404, "POLICY_ASSOCIATION_NOT_FOUND")));
    rig.input(Input::Reply(token, Ok(UpdateAmPolicy::to_reply(gone))));
    assert_eq!(modified(&mut rig, &ue), (None, Some(4)));
    assert!(rig.amf.ue(&supi()).unwrap().am_policy.is_none());
    change(&mut rig, data(5, None, None));
    assert!(rig.requests.is_empty());
}

/// A registration that asks the UDM again finds what has changed.
#[test]
fn when_a_ue_comes_again_with_another_subscription_then_the_pcf_is_told() {
    let (mut rig, mut ue) = registered(data(1, None, None), &[RequestTrigger::UeAmbrCh]);
    ue.go_idle(&mut rig);
    let sets = data(2, None, None);
    rig.refusals.insert("GetDataSets", GetDataSets::to_reply(Ok(Response::ok(sets))));
    ue.ran_id = 2;
    let request = ue.registration_request(RegistrationType::InitialRegistration);
    let octets = ue.protect(&request, tern_nas::security::HeaderType::Integrity);
    ue.initial(&mut rig, &octets);
    rig.serve();
    ue.accepted(&mut rig);
    assert_eq!(rig.count("amf.policy.change_told"), 1);
}

/// TS 38.413 §8.3.1.2.
#[test]
fn when_an_rfsp_index_is_subscribed_then_the_gnb_has_it_with_the_context() {
    for (subscribed, expected) in [(Some(256), Some(256)), (Some(0), None), (Some(257), None), (None, None)] {
        let (mut rig, mut ue) = (Rig::new(), Ue::new(1));
        let sets = data(1, subscribed, None);
        rig.refusals.insert("GetDataSets", GetDataSets::to_reply(Ok(Response::ok(sets))));
        let request = ue.registration_request(RegistrationType::InitialRegistration);
        ue.initial(&mut rig, &request);
        rig.serve();
        ue.prove(&mut rig, &request);
        rig.serve();
        let pdu = rig.downlink.front().unwrap();
        assert_eq!(pdu.kind(), NgapPduKind::Initiating_InitialContextSetup);
        let told = pdu.ie::<tern_ngap::ie::IndexToRFSP>().map(|index| index.unwrap().0);
        assert_eq!(told, expected, "{subscribed:?}");
    }
}
