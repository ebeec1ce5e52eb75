//! What gNBs report, and what they are told for it: TS 38.413 §8.3.5, §8.5.1, §8.7.6, §8.12; Namf_Location.

use tern_nas::nas_5gs::{ServiceType, *};
use tern_ngap::convert::{self, NrLocation};
use tern_ngap::ngap::*;
use tern_ngap::{NgapPduKind, build_ngap, extract_ngap_ies};
use tern_sbi::Operation;
use tern_sbi::namf_loc::{ProvideLocInfo, ProvideLocationInfo, RequestLocInfo};
use tern_types::Duration;

use super::paging::{answered, asked_for_data};
use super::rig::*;
use super::session::registered;
use super::two_gnbs::add_gnb;
use crate::{AmfRequest, AreaOfInterestConfig, Config, InactiveReports, Input, Presence, RrcState, Token};

fn location(cell: u64) -> UserLocationInformation<'static> {
    convert::user_location(NrLocation { tai: tai(1), cell_plmn: plmn(), nr_cell_id: cell })
}

type Inactive =
    (Option<CoreNetworkAssistanceInformationForInactive>, Option<RRCInactiveTransitionReportRequest>);

fn told_for_inactive(pdu: &NGAP_PDU) -> Inactive {
    let read = || -> Result<Inactive, tern_ngap::CodecError> {
        match pdu.kind() {
            NgapPduKind::Initiating_InitialContextSetup => {
                extract_ngap_ies!(pdu, InitialContextSetupRequest,
                    opt information: CoreNetworkAssistanceInformationForInactive =
                        CoreNetworkAssistanceInformationForInactive(information) => information,
                    opt reports: RRCInactiveTransitionReportRequest =
                        RRCInactiveTransitionReportRequest(request) => request,
                );
                Ok((information, reports))
            }
            _ => {
                extract_ngap_ies!(pdu, UEContextModificationRequest,
                    opt information: CoreNetworkAssistanceInformationForInactive =
                        CoreNetworkAssistanceInformationForInactive(information) => information,
                );
                Ok((information, None))
            }
        }
    };
    read().unwrap()
}

fn index(information: &CoreNetworkAssistanceInformationForInactive) -> u64 {
    let UEIdentityIndexValue::indexLength10(bits) = &information.ue_identity_index_value else { panic!() };
    bits.value()
}

/// The INITIAL CONTEXT SETUP REQUEST of a UE's registration.
fn context_setup(config: Config) -> (Rig, Ue, NGAP_PDU) {
    let (mut rig, mut ue) = (Rig::with(config), Ue::new(1));
    let request = ue.registration_request(RegistrationType::InitialRegistration);
    ue.initial(&mut rig, &request);
    rig.serve();
    ue.prove(&mut rig, &request);
    rig.serve();
    let pdu = rig.downlink[0].clone();
    ue.accepted(&mut rig);
    (rig, ue, pdu)
}

/// TS 38.413 §9.3.1.15, TS 23.501 §5.4.6.
#[test]
fn when_a_context_is_set_up_then_the_gnb_is_told_what_rrc_inactive_needs() {
    let (_, ue, pdu) = context_setup(Config::default());
    let (information, reports) = told_for_inactive(&pdu);
    let information = information.unwrap();
    assert_eq!(index(&information), u64::from(ue.guti.unwrap().tmsi % 1024));
    // One hour, as T3512 has it: unit 000 is ten minutes.
    assert_eq!(information.periodic_registration_update_timer.0.value(), 6);
    let areas: Vec<_> = information.tai_list_for_inactive.0.iter().map(|item| item.tai.clone()).collect();
    assert_eq!(areas, [convert::tai(tai(1))]);
    assert_eq!(reports, Some(RRCInactiveTransitionReportRequest::subsequent_state_transition_report));
    for (wanted, reports) in [
        (None, InactiveReports::Never),
        (Some(RRCInactiveTransitionReportRequest::single_rrc_connected_state_report), InactiveReports::Once),
    ] {
        let rrc_inactive = crate::RrcInactiveConfig { assistance: false, reports };
        let config = Config { rrc_inactive, ..Config::default() };
        assert_eq!(told_for_inactive(&context_setup(config).2), (None, wanted));
    }
}

fn rrc_report(rig: &mut Rig, ue: &Ue, state: RRCState, cell: u64) {
    let pdu = build_ngap!(
        InitiatingMessage,
        RRCInactiveTransitionReport,
        RRCInactiveTransitionReport,
        AMF_UE_NGAP_ID(ue.amf_id),
        RAN_UE_NGAP_ID(ue.ran_id),
        RRCState(state),
        UserLocationInformation(location(cell)),
    );
    rig.gnb(ue.stream, &pdu.unwrap());
}

/// TS 38.413 §8.3.5.
#[test]
fn when_the_rrc_state_is_reported_then_it_and_the_location_are_kept() {
    let (mut rig, ue) = registered();
    let state = |rig: &Rig| rig.amf.ue(&supi()).unwrap().n2.as_ref().unwrap().rrc;
    let cell = |rig: &Rig| rig.amf.ue(&supi()).unwrap().location.unwrap().nr_cell_id;
    rrc_report(&mut rig, &ue, RRCState::inactive, 0x21);
    assert_eq!((state(&rig), cell(&rig)), (RrcState::Inactive, 0x21));
    assert_eq!(rig.amf.status()["ueList"][0]["rrc"], "inactive");
    rrc_report(&mut rig, &ue, RRCState::connected, 0x22);
    assert_eq!((state(&rig), cell(&rig)), (RrcState::Connected, 0x22));
    // A UE that speaks is not in RRC_INACTIVE, whatever has come before.
    rrc_report(&mut rig, &ue, RRCState::inactive, 0x21);
    ue.uplink(&mut rig, &bytes::Bytes::from_static(&[0x7e]));
    assert_eq!(state(&rig), RrcState::Connected);
    assert!(rig.downlink.is_empty());
}

/// TS 23.502 §4.2.4.2 step 2b: once the UE has confirmed its new 5G-GUTI, and not before.
#[test]
fn when_a_new_guti_is_confirmed_then_the_gnb_hears_of_the_identity() {
    let (mut rig, mut ue) = answered();
    ue.hear(&mut rig);
    ue.hear(&mut rig);
    ue.context_is_set_up(&mut rig);
    rig.serve();
    assert!(rig.downlink.is_empty());
    ue.say(&mut rig, NasConfigurationUpdateComplete::new());
    let pdu = rig.next();
    assert_eq!(pdu.kind(), NgapPduKind::Initiating_UEContextModification);
    let tmsi = rig.amf.ue(&supi()).unwrap().guti.unwrap().tmsi;
    assert_eq!(index(&told_for_inactive(&pdu).0.unwrap()), u64::from(tmsi % 1024));
    let response = build_ngap!(
        SuccessfulOutcome,
        UEContextModification,
        UEContextModificationResponse,
        AMF_UE_NGAP_ID(ue.amf_id),
        RAN_UE_NGAP_ID(ue.ran_id),
    );
    rig.gnb(ue.stream, &response.unwrap());
    let n2 = rig.amf.ue(&supi()).unwrap().n2.as_ref().unwrap();
    assert!(n2.modifying.is_none() && n2.rekeying.is_none());
    assert_eq!(rig.count("amf.ngap.unexpected_response"), 0);
}

fn ask(rig: &mut Rig, number: u64, current: bool) -> Token {
    let data = RequestLocInfo {
        req_5gs_loc: Some(true),
        req_current_loc: Some(current),
        req_rat_type: Some(true),
        ..Default::default()
    };
    let token = Token(9000 + number);
    let operation = ProvideLocationInfo { ue_context_id: supi().to_string(), data };
    rig.input(Input::Request(token, AmfRequest::ProvideLocationInfo(operation)));
    token
}

fn answer(rig: &mut Rig, token: Token) -> Option<ProvideLocInfo> {
    let reply = rig.answers.remove(&token)?;
    Some(ProvideLocationInfo::from_reply(reply).unwrap().body)
}

fn cell(info: &ProvideLocInfo) -> u64 {
    info.location.as_ref().unwrap().nr_location.as_ref().unwrap().ncgi.nr_cell_id.get()
}

fn event(pdu: &NGAP_PDU) -> EventType {
    let read = || -> Result<EventType, tern_ngap::CodecError> {
        extract_ngap_ies!(pdu, LocationReportingControl,
            req request: LocationReportingRequestType = LocationReportingRequestType(request) => request,
        );
        Ok(request.event_type)
    };
    read().unwrap()
}

fn report(rig: &mut Rig, ue: &Ue, cell: u64, presence: Option<UEPresence>) {
    let request = LocationReportingRequestType::new(EventType::direct, ReportArea::cell, None, None, None);
    let pdu = match presence {
        None => build_ngap!(
            InitiatingMessage,
            LocationReport,
            LocationReport,
            AMF_UE_NGAP_ID(ue.amf_id),
            RAN_UE_NGAP_ID(ue.ran_id),
            UserLocationInformation(location(cell)),
            LocationReportingRequestType(request),
        ),
        Some(presence) => build_ngap!(
            InitiatingMessage,
            LocationReport,
            LocationReport,
            AMF_UE_NGAP_ID(ue.amf_id),
            RAN_UE_NGAP_ID(ue.ran_id),
            UserLocationInformation(location(cell)),
            UEPresenceInAreaOfInterestList(UEPresenceInAreaOfInterestList(
                [1, 9]
                    .map(|number| {
                        let number = LocationReportingReferenceID(number);
                        UEPresenceInAreaOfInterestItem::new(number, presence, None)
                    })
                    .to_vec()
            )),
            LocationReportingRequestType(request),
        ),
    };
    rig.gnb(ue.stream, &pdu.unwrap());
}

/// TS 29.518 §5.5.2, TS 38.413 §8.12.1 and §8.12.3: the gNB is asked once for all who want to know.
#[test]
fn when_the_current_location_is_wanted_then_the_gnb_says_it() {
    let (mut rig, ue) = registered();
    rig.now = rig.now + Duration::from_secs(180);
    let token = ask(&mut rig, 0, false);
    let known = answer(&mut rig, token).unwrap();
    assert_eq!((cell(&known), known.current_loc, known.location_age), (0x10, Some(false), Some(3)));
    assert!(known.rat_type.is_some() && rig.downlink.is_empty());
    let tokens = [ask(&mut rig, 1, true), ask(&mut rig, 2, true)];
    assert_eq!(event(&rig.next()), EventType::direct);
    assert!(rig.downlink.is_empty() && rig.answers.is_empty());
    report(&mut rig, &ue, 0x31, None);
    for token in tokens {
        let info = answer(&mut rig, token).unwrap();
        assert_eq!((cell(&info), info.current_loc, info.location_age), (0x31, Some(true), Some(0)));
    }
}

/// TS 38.413 §8.12.2: the last one known must do; so it must for a gNB that says nothing.
#[test]
fn when_the_gnb_cannot_say_it_then_the_last_known_location_is_given() {
    let (mut rig, ue) = registered();
    let token = ask(&mut rig, 1, true);
    rig.next();
    let failure = build_ngap!(
        InitiatingMessage,
        LocationReportingFailureIndication,
        LocationReportingFailureIndication,
        AMF_UE_NGAP_ID(ue.amf_id),
        RAN_UE_NGAP_ID(ue.ran_id),
        Cause(Cause::radioNetwork(CauseRadioNetwork::unspecified)),
    );
    rig.gnb(ue.stream, &failure.unwrap());
    assert_eq!(answer(&mut rig, token).unwrap().current_loc, Some(false));
    let token = ask(&mut rig, 2, true);
    rig.next();
    assert!(rig.answers.is_empty());
    rig.expire();
    assert_eq!(answer(&mut rig, token).unwrap().current_loc, Some(false));
    // The connection goes.
    let token = ask(&mut rig, 3, true);
    rig.next();
    ue.go_idle(&mut rig);
    assert_eq!(answer(&mut rig, token).unwrap().current_loc, Some(false));
}

/// An idle UE is paged, and its answer shows where it is.
#[test]
fn when_the_current_location_of_an_idle_ue_is_wanted_then_it_is_paged() {
    let (mut rig, mut ue) = registered();
    ue.go_idle(&mut rig);
    let token = ask(&mut rig, 1, true);
    assert_eq!(rig.next().kind(), NgapPduKind::Initiating_Paging);
    assert!(rig.answers.is_empty());
    ue.ran_id += 1;
    let mut request = super::service_request::service_request(&ue);
    request.service_type = NasServiceType::from_service_type(ServiceType::MobileTerminatedServices);
    let octets = ue.protect(&plain(request), tern_nas::security::HeaderType::Integrity);
    ue.initial(&mut rig, &octets);
    let info = answer(&mut rig, token).unwrap();
    assert_eq!((cell(&info), info.current_loc), (0x10, Some(true)));
    // One that does not answer.
    ue.hear(&mut rig);
    ue.hear(&mut rig);
    ue.context_is_set_up(&mut rig);
    ue.go_idle(&mut rig);
    let token = ask(&mut rig, 2, true);
    for _ in 0..4 {
        rig.next();
        rig.expire();
    }
    assert_eq!(answer(&mut rig, token).unwrap().current_loc, Some(false));
}

/// Nobody is left without an answer.
#[test]
fn when_the_ue_is_unknown_or_leaves_then_whoever_asks_is_told() {
    let mut rig = Rig::new();
    let token = ask(&mut rig, 1, true);
    assert_eq!(rig.answers.remove(&token).unwrap().status, 404);
    let (mut rig, mut ue) = registered();
    let token = ask(&mut rig, 2, true);
    rig.next();
    let request = super::deregistration::deregistration(&ue, true);
    ue.say(&mut rig, request);
    assert!(rig.answers.contains_key(&token));
}

/// TS 38.413 §8.12.1: what is to be reported for good; areas that nobody has asked for are not kept.
#[test]
fn when_cells_and_areas_are_to_be_reported_then_the_gnb_is_asked_and_presence_is_kept() {
    let mut config = Config::default();
    config.location_reporting.change_of_cell = true;
    let (mut rig, ue, _) = context_setup(config.clone());
    ue.context_is_set_up(&mut rig);
    assert_eq!(event(&rig.next()), EventType::change_of_serve_cell);
    let tacs = vec![tern_types::Tac::new(1).unwrap()];
    config.location_reporting.areas_of_interest = vec![AreaOfInterestConfig { tacs }];
    let (mut rig, ue, _) = context_setup(config);
    ue.context_is_set_up(&mut rig);
    let both = EventType::change_of_serving_cell_and_UE_presence_in_the_Area_of_Interest;
    assert_eq!(event(&rig.next()), both);
    report(&mut rig, &ue, 0x33, Some(UEPresence::R_in));
    let context = rig.amf.ue(&supi()).unwrap();
    assert_eq!(context.presence, [(1, Presence::In)].into());
    assert_eq!(context.location.unwrap().nr_cell_id, 0x33);
    assert_eq!(rig.amf.status()["ueList"][0]["areasOfInterest"]["1"], "in");
}

/// TS 38.413 §8.5.1.2, §8.3.3.2.
#[test]
fn when_the_gnb_has_recommended_cells_then_they_come_with_the_next_page() {
    let (mut rig, ue) = registered();
    let request = build_ngap!(
        InitiatingMessage,
        UEContextReleaseRequest,
        UEContextReleaseRequest,
        AMF_UE_NGAP_ID(ue.amf_id),
        RAN_UE_NGAP_ID(ue.ran_id),
        Cause(Cause::radioNetwork(CauseRadioNetwork::user_inactivity)),
    );
    rig.gnb(ue.stream, &request.unwrap());
    rig.next();
    let cgi = |cell| {
        let UserLocationInformation::userLocationInformationNR(nr) = location(cell) else { panic!() };
        NGRANCGI::nR_CGI(nr.nr_cgi)
    };
    let cells = RecommendedCellList(vec![RecommendedCellItem::new(cgi(0x44), Some(7), None)]);
    let node = AMFPagingTarget::tAI(convert::tai(tai(1)));
    let nodes = RecommendedRANNodeList(vec![RecommendedRANNodeItem::new(node, None)]);
    let information = InfoOnRecommendedCellsAndRANNodesForPaging::new(
        RecommendedCellsForPaging::new(cells.clone(), None),
        RecommendedRANNodesForPaging::new(nodes, None),
        None,
    );
    let complete = build_ngap!(
        SuccessfulOutcome,
        UEContextRelease,
        UEContextReleaseComplete,
        AMF_UE_NGAP_ID(ue.amf_id),
        RAN_UE_NGAP_ID(ue.ran_id),
        UserLocationInformation(location(0x44)),
        InfoOnRecommendedCellsAndRANNodesForPaging(information),
    );
    rig.gnb(ue.stream, &complete.unwrap());
    assert_eq!(rig.amf.ue(&supi()).unwrap().location.unwrap().nr_cell_id, 0x44);
    ask(&mut rig, 1, true);
    for attempt in 1..=2 {
        let pdu = rig.next();
        let read = || -> Result<AssistanceDataForPaging, tern_ngap::CodecError> {
            extract_ngap_ies!(pdu, Paging,
                req data: AssistanceDataForPaging = AssistanceDataForPaging(data) => data,
            );
            Ok(data)
        };
        let data = read().unwrap();
        let recommended = data.assistance_data_for_recommended_cells.unwrap();
        assert_eq!(recommended.recommended_cells_for_paging.recommended_cell_list, cells);
        let attempts = data.paging_attempt_information.unwrap();
        assert_eq!(attempts.paging_attempt_count.0, attempt);
        assert_eq!(attempts.intended_number_of_paging_attempts.0, 4);
        rig.expire();
    }
}

/// TS 24.501 §5.5.1.3.8 a: until the UE confirms, it is paged in either area.
#[test]
fn when_a_new_registration_area_is_not_confirmed_then_the_ue_is_paged_in_both() {
    let mut config = Config::default();
    let slice = config.served[0].slices.clone();
    let tac = |n| tern_types::Tac::new(n).unwrap();
    config.served.push(crate::ServedPlmn { tacs: vec![tac(2)], slices: slice, ..Default::default() });
    let mut rig = Rig::with(config);
    let mut ue = Ue::new(1);
    let accept = ue.register(&mut rig);
    // Two entries of `served`, one area.
    assert_eq!(tern_nas::registration::tais(accept.tai_list.as_ref().unwrap()).unwrap(), [tai(1), tai(2)]);
    rig.amf.config.served[1].slices = vec![tern_types::Snssai::new(2, None)];
    super::updates::returning(&mut rig, &mut ue, RegistrationType::MobilityRegistrationUpdating);
    ue.accepted(&mut rig);
    ue.context_is_set_up(&mut rig);
    ue.go_idle(&mut rig);
    let context = rig.amf.ue(&supi()).unwrap();
    assert_eq!(
        (&context.registration_area[..], &context.old_registration_area[..]),
        (&[tai(1)][..], &[tai(1), tai(2)][..])
    );
    ask(&mut rig, 1, true);
    let pdu = rig.next();
    let read = || -> Result<usize, tern_ngap::CodecError> {
        extract_ngap_ies!(pdu, Paging, req areas: TAIListForPaging = TAIListForPaging(list) => list);
        Ok(areas.0.len())
    };
    assert_eq!(read().unwrap(), 2);
}

/// TS 38.413 §8.7.6; gNBs that come meanwhile hear it as well.
#[test]
fn when_the_amf_is_about_to_stop_then_each_gnb_hears_that_its_guami_is_unavailable() {
    let (mut rig, _) = registered();
    rig.input(Input::Stopping);
    let unavailable = |pdu: &NGAP_PDU| -> Result<Vec<GUAMI>, tern_ngap::CodecError> {
        extract_ngap_ies!(pdu, AMFStatusIndication,
            req list: Vec<GUAMI> = UnavailableGUAMIList(list) =>
                list.0.iter().map(|item| item.guami.clone()).collect(),
        );
        Ok(list)
    };
    let own = convert::guami(rig.amf.config.guami());
    assert_eq!(unavailable(&rig.next_at(GNB)).unwrap(), std::slice::from_ref(&own));
    assert_eq!(rig.streams.last(), Some(&0));
    add_gnb(&mut rig);
    assert_eq!(unavailable(&rig.next_at(OTHER_GNB)).unwrap(), [own]);
    // Its UEs are served as long as it is there.
    asked_for_data(&mut rig);
    assert!(rig.amf.ue(&supi()).unwrap().n2.is_some());
}
