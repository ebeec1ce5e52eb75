//! Messages made by pycrate (`oracle/make_vectors.py`): what they say, and the same bytes again.

use std::net::Ipv4Addr;

use tern_pfcp::*;

pub const VECTORS: &str = include_str!("oracle/vectors.txt");
const N4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const N3: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);
const UE: Ipv4Addr = Ipv4Addr::new(10, 45, 0, 2);

pub fn all() -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    VECTORS.lines().map(|line| {
        let (name, octets) = line.split_once(' ').expect("name and octets");
        (name, hex::decode(octets).expect("hex"))
    })
}

fn decoded(name: &str) -> Frame {
    let (_, bytes) = all().find(|(found, _)| *found == name).expect("a vector of this name");
    Frame::decode(&bytes).expect("decodes")
}

#[test]
fn every_vector_is_written_back_as_it_was() {
    for (name, bytes) in all() {
        let frame = Frame::decode(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(hex::encode(frame.encode().expect("encodes")), hex::encode(&bytes), "{name}");
    }
}

#[test]
fn no_vector_has_an_ie_unknown_to_us() {
    for (name, bytes) in all() {
        let frame = Frame::decode(&bytes).expect("decodes");
        assert!(!format!("{frame:?}").contains("RawIe"), "{name}: {frame:?}");
    }
}

#[test]
fn association_setup_is_read() {
    let Message::AssociationSetupRequest(request) = decoded("association_setup_request").message else {
        panic!("another message");
    };
    assert_eq!(request.node_id, NodeId::Address(N4.into()));
    assert_eq!(request.recovery_time_stamp, RecoveryTimeStamp(3_900_000_000));
    assert_eq!(request.cp_function_features, Some(CpFunctionFeatures::LOAD | CpFunctionFeatures::OVRL));
    let Message::AssociationSetupResponse(response) = decoded("association_setup_response").message else {
        panic!("another message");
    };
    assert_eq!(response.node_id, NodeId::Fqdn("upf.test".to_owned()));
    assert_eq!(response.up_function_features, Some(UpFunctionFeatures::FTUP | UpFunctionFeatures::EMPU));
}

#[test]
fn session_establishment_is_read() {
    let frame = decoded("session_establishment_request");
    assert_eq!((frame.seid, frame.sequence), (Some(0), 6));
    let Message::SessionEstablishmentRequest(request) = frame.message else { panic!("another message") };
    assert_eq!(request.cp_f_seid, FSeid::new(0x1122_3344_5566_7788, N4.into()));
    let uplink = &request.create_pdr[0];
    assert_eq!((uplink.pdr_id, uplink.precedence), (PdrId(1), Precedence(100)));
    assert_eq!(uplink.pdi.f_teid, Some(FTeid::Choose { ipv4: true, ipv6: false, choose_id: Some(9) }));
    assert_eq!(uplink.pdi.network_instance, Some(Name::from("internet")));
    assert_eq!(uplink.pdi.ue_ip_addresses, [UeIpAddress::source_v4(UE)]);
    assert_eq!(uplink.pdi.qfis, [Qfi(1)]);
    assert_eq!(uplink.outer_header_removal, Some(OuterHeaderRemoval::new(0)));
    assert_eq!(uplink.qer_ids, [QerId(1), QerId(2)]);
    let downlink = &request.create_pdr[1].pdi;
    assert_eq!(downlink.source_interface, Interface::Core);
    assert_eq!(downlink.ue_ip_addresses, [UeIpAddress::destination_v4(UE)]);
    let filter = &downlink.sdf_filters[0];
    assert_eq!(filter.flow_description.as_deref(), Some("permit out ip from 203.0.113.0/24 80 to assigned"));
    assert_eq!(filter.filter_id, Some(3));
    let filter = &downlink.sdf_filters[1];
    assert_eq!(filter.tos_traffic_class, Some([0x28, 0xFC]));
    assert_eq!((filter.security_parameter_index, filter.flow_label), (Some(7), Some(5)));
    assert_eq!(request.create_far[1].apply_action, ApplyAction::BUFF | ApplyAction::NOCP);
    let urr = &request.create_urr[0];
    assert_eq!(urr.measurement_method, MeasurementMethod::VOLUM | MeasurementMethod::DURAT);
    let triggers = ReportingTriggers::PERIO | ReportingTriggers::VOLTH | ReportingTriggers::VOLQU;
    assert_eq!(urr.reporting_triggers, triggers);
    assert_eq!(urr.volume_threshold, Some(Volume { total: Some(1_000_000), ..Volume::default() }));
    let quota = Volume { total: Some(3), uplink: Some(1), downlink: Some(2) };
    assert_eq!((urr.volume_quota, urr.time_threshold), (Some(quota), Some(Seconds(600))));
    let qer = &request.create_qer[0];
    assert!(!qer.gate_status.uplink_closed && qer.gate_status.downlink_closed);
    assert_eq!(qer.mbr, Some(BitRate { uplink_kbps: 1000, downlink_kbps: 0xFF_FFFF_FFFF }));
    assert_eq!((qer.qfi, qer.rqi), (Some(Qfi(63)), Some(Rqi(true))));
    assert_eq!(request.create_bar[0].bar_id, BarId(1));
    assert_eq!(request.pdn_type, Some(PdnType::Ipv4));
    assert_eq!(request.user_id.and_then(|user| user.imsi_digits()).as_deref(), Some("001010000000001"));
    assert_eq!(request.s_nssai, Some(tern_types::Snssai::new(1, Some(0x01_0203))));
}

#[test]
fn session_establishment_answers_are_read() {
    let Message::SessionEstablishmentResponse(response) = decoded("session_establishment_response").message
    else {
        panic!("another message");
    };
    let up = response.up_f_seid.expect("UP F-SEID");
    assert_eq!((up.seid, up.ipv4, up.ipv6), (5, Some(N4), Some(std::net::Ipv6Addr::LOCALHOST)));
    assert_eq!(response.created_pdr[0].f_teid, Some(FTeid::assigned_v4(0xDEAD_BEEF, N3)));
    let overload = response.overload_control_information.expect("overload");
    assert_eq!((overload.metric, overload.timer.seconds()), (Metric(10), Some(6)));
    let Message::SessionEstablishmentResponse(refused) = decoded("session_establishment_refused").message
    else {
        panic!("another message");
    };
    assert_eq!(refused.cause, Cause::RULE_CREATION_MODIFICATION_FAILURE);
    assert_eq!(refused.offending_ie, Some(OffendingIe(21)));
    assert_eq!(refused.failed_rule_id, Some(FailedRuleId::Far(FarId(2))));
}

#[test]
fn session_modification_is_read() {
    let Message::SessionModificationRequest(request) = decoded("session_modification_request").message else {
        panic!("another message");
    };
    let update = &request.update_far[0];
    assert_eq!(update.apply_action, Some(ApplyAction::FORW));
    let parameters = update.update_forwarding_parameters.as_ref().expect("parameters");
    assert_eq!(parameters.outer_header_creation, Some(OuterHeaderCreation::gtpu_v4(0xCAFE, N3)));
    assert_eq!(parameters.transport_level_marking, Some(TransportLevelMarking([0xB8, 0xFC])));
    assert_eq!(parameters.flags, Some(PfcpSmReqFlags::SNDEM));
    assert_eq!(request.flags, Some(PfcpSmReqFlags::QAURR));
    assert_eq!(request.query_urr[0].urr_id, UrrId(1));
}

#[test]
fn reports_are_read() {
    let Message::SessionReportRequest(request) = decoded("session_report_request").message else {
        panic!("another message");
    };
    assert_eq!(request.report_type, ReportType::DLDR | ReportType::USAR | ReportType::ERIR);
    let usage = &request.usage_report[0];
    assert_eq!(usage.trigger, UsageReportTrigger::IMMER | UsageReportTrigger::TERMR);
    let volume = usage.volume.expect("volume");
    assert_eq!((volume.total, volume.uplink, volume.downlink), (Some(30), Some(10), Some(20)));
    assert_eq!(volume.downlink_packets, Some(2));
    let error = request.error_indication_report.expect("error indication");
    assert_eq!(error.remote_f_teids, [FTeid::assigned_v4(0xCAFE, N3)]);
    let downlink = request.downlink_data_report.expect("downlink data");
    assert_eq!(downlink.service_information[0].qfi, Some(9));
}

#[test]
fn pfd_management_is_read() {
    let Message::PfdManagementRequest(request) = decoded("pfd_management_request").message else {
        panic!("another message");
    };
    let [chat, gone] = &request.application_ids_pfds[..] else { panic!("two applications") };
    assert_eq!(chat.application_id, ApplicationId(b"chat".to_vec()));
    let [first, second] = &chat.pfd_contexts[..] else { panic!("two contexts") };
    assert_eq!(first.pfd_contents[0].flow_descriptions.len(), 1);
    assert_eq!(first.pfd_contents[1].urls, ["http://a/"]);
    assert_eq!(first.pfd_contents[1].domain_name.as_deref(), Some("a.example"));
    assert_eq!(second.pfd_contents[0].flow_descriptions.len(), 3);
    assert!(gone.pfd_contexts.is_empty());
}

#[test]
fn predefined_rules_copies_and_redirections_are_read() {
    let frame = decoded("session_modification_request_more");
    let Message::SessionModificationRequest(request) = frame.message else { panic!("another message") };
    let voice = PredefinedRulesName(b"voice".to_vec());
    assert_eq!(request.create_pdr[0].activate_predefined_rules.len(), 2);
    let far = &request.create_far[0];
    assert_eq!(far.apply_action, ApplyAction::FORW | ApplyAction::DUPL);
    let to = far.forwarding_parameters.as_ref().expect("parameters");
    assert_eq!(to.redirect_information, Some(RedirectInformation::Ipv4([192, 0, 2, 80].into())));
    assert_eq!(to.forwarding_policy, Some(ForwardingPolicy(b"p".to_vec())));
    assert_eq!(far.duplicating_parameters.len(), 2);
    assert_eq!(far.duplicating_parameters[1].destination_interface, Interface::Core);
    assert_eq!(request.update_pdr[0].activate_predefined_rules, std::slice::from_ref(&voice));
    assert_eq!(request.update_pdr[0].deactivate_predefined_rules.len(), 1);
    let update = &request.update_far[0];
    let to = update.update_forwarding_parameters.as_ref().expect("parameters");
    let url = RedirectInformation::Url("http://portal.example/".to_owned());
    assert_eq!(to.redirect_information, Some(url));
    assert_eq!(update.update_duplicating_parameters[0].destination_interface, None);
}

#[test]
fn what_follows_a_monitoring_time_is_read() {
    let Message::SessionModificationRequest(request) = decoded("session_modification_request_usage").message
    else {
        panic!("another message");
    };
    let (created, updated) = (&request.create_urr[0], &request.update_urr[0]);
    assert_eq!(created.reporting_triggers, ReportingTriggers::DROTH | ReportingTriggers::QUVTI);
    let threshold = DroppedDlTrafficThreshold { packets: Some(3), octets: Some(4) };
    assert_eq!(created.dropped_dl_traffic_threshold, Some(threshold));
    let threshold = DroppedDlTrafficThreshold { packets: None, octets: Some(4) };
    assert_eq!(updated.dropped_dl_traffic_threshold, Some(threshold));
    assert_eq!(
        (created.quota_validity_time, updated.quota_validity_time),
        (Some(Seconds(60)), Some(Seconds(60)))
    );
    let volumes = [created.subsequent_volume_threshold, updated.subsequent_volume_quota];
    let total = Volume { total: Some(5), ..Default::default() };
    let downlink = Volume { downlink: Some(7), ..Default::default() };
    assert_eq!(volumes, [Some(total), Some(downlink)]);
    let times = [created.subsequent_time_threshold, updated.subsequent_time_quota];
    assert_eq!(times, [Some(Seconds(6)), Some(Seconds(8))]);
    assert_eq!(created.monitoring_time, Some(NtpSeconds(3_900_000_000)));
    let Message::SessionReportRequest(report) = decoded("session_report_request_monitoring").message else {
        panic!("another message");
    };
    let said: Vec<_> =
        report.usage_report.iter().map(|usage| (usage.trigger, usage.usage_information)).collect();
    let before = (UsageReportTrigger::MONIT, Some(UsageInformation::BEF));
    let after = Some(UsageInformation::AFT | UsageInformation::UBE);
    assert_eq!(said, [before, (UsageReportTrigger::VOLTH, after)]);
}
