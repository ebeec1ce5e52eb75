//! Valid messages to begin with: those of an SMF, and those of a UPF.

use std::net::Ipv4Addr;

use tern_pfcp::*;

pub const SMF: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 17);
pub const UPF: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 18);
pub const GNB: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
/// The port of DNS, which has rules of its own in the session of these messages.
pub const DNS: u16 = 53;
/// Where downlink packets are buffered.
pub const BUFFERED: u16 = 54;
/// Where nothing passes.
pub const DROPPED: u16 = 55;
/// Where a quota ends soon.
pub const METERED: u16 = 56;

/// The UE of the session that the SMF has under this number.
pub fn ue(session: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 45, 0, session.wrapping_add(2))
}

/// What the SMF asks before all else.
pub fn association() -> AssociationSetupRequest {
    AssociationSetupRequest {
        node_id: NodeId::Address(SMF.into()),
        recovery_time_stamp: RecoveryTimeStamp(1),
        cp_function_features: Some(CpFunctionFeatures::default()),
        ..Default::default()
    }
}

fn filter(port: u16) -> Vec<SdfFilter> {
    vec![SdfFilter::flow(&format!("permit out 17 from any {port} to assigned"))]
}

/// A PDR in each direction.
fn pdrs(session: u8, number: u16, filters: &[SdfFilter], fars: [u32; 2]) -> [CreatePdr; 2] {
    let precedence = Precedence(if filters.is_empty() { 255 } else { 10 + u32::from(number) });
    let uplink = Pdi {
        source_interface: Interface::Access,
        f_teid: Some(FTeid::Choose { ipv4: true, ipv6: false, choose_id: Some(1) }),
        network_instance: Some(Name::from("internet")),
        ue_ip_addresses: vec![UeIpAddress::source_v4(ue(session))],
        sdf_filters: filters.to_vec(),
        ..Default::default()
    };
    let downlink = Pdi {
        source_interface: Interface::Core,
        network_instance: Some(Name::from("internet")),
        ue_ip_addresses: vec![UeIpAddress::destination_v4(ue(session))],
        sdf_filters: filters.to_vec(),
        ..Default::default()
    };
    let pdr = |id: u16, far: u32, pdi: Pdi| CreatePdr {
        pdr_id: PdrId(id),
        precedence,
        pdi,
        far_id: Some(FarId(far)),
        urr_ids: vec![UrrId(1)],
        qer_ids: vec![QerId(1), QerId(2)],
        ..Default::default()
    };
    let removal = Some(OuterHeaderRemoval::new(OuterHeaderRemoval::GTPU_UDP_IPV4));
    [
        CreatePdr { outer_header_removal: removal, ..pdr(2 * number - 1, fars[0], uplink) },
        pdr(2 * number, fars[1], downlink),
    ]
}

fn far(id: u32, apply_action: ApplyAction, to: Option<ForwardingParameters>) -> CreateFar {
    CreateFar {
        far_id: FarId(id),
        apply_action,
        forwarding_parameters: to,
        bar_id: (id == 3).then_some(BarId(1)),
        ..Default::default()
    }
}

fn to_gnb(session: u8) -> ForwardingParameters {
    ForwardingParameters {
        destination_interface: Interface::Access,
        outer_header_creation: Some(OuterHeaderCreation::gtpu_v4(0xCAFE_0000 | u32::from(session), GNB)),
        ..Default::default()
    }
}

/// A session of nearly all that there is: rules for all packets and for four ports, two levels of QERs, URRs with
/// threshold, quota and period, a FAR that buffers and one that drops.
pub fn establishment(session: u8) -> SessionEstablishmentRequest {
    let to_n6 = ForwardingParameters {
        destination_interface: Interface::Core,
        network_instance: Some(Name::from("internet")),
        ..Default::default()
    };
    let volume = |total| Some(Volume { total: Some(total), ..Default::default() });
    let mut create_pdr = [
        pdrs(session, 1, &[], [1, 2]),
        pdrs(session, 2, &filter(DNS), [1, 2]),
        pdrs(session, 3, &filter(BUFFERED), [1, 3]),
        pdrs(session, 4, &filter(DROPPED), [4, 4]),
        pdrs(session, 5, &filter(METERED), [1, 2]),
    ]
    .concat();
    create_pdr[8].urr_ids = vec![UrrId(1), UrrId(2)];
    create_pdr[9].urr_ids = vec![UrrId(2), UrrId(1)];
    let urr = |id, reporting_triggers| CreateUrr {
        urr_id: UrrId(id),
        measurement_method: MeasurementMethod::VOLUM | MeasurementMethod::DURAT,
        reporting_triggers,
        measurement_period: Some(Seconds(60)),
        volume_threshold: volume(1_000),
        measurement_information: Some(MeasurementInformation::MNOP),
        ..Default::default()
    };
    SessionEstablishmentRequest {
        node_id: NodeId::Address(SMF.into()),
        cp_f_seid: FSeid::new(u64::from(session) + 1, SMF.into()),
        create_pdr,
        create_far: vec![
            far(1, ApplyAction::FORW, Some(to_n6)),
            far(2, ApplyAction::FORW, Some(to_gnb(session))),
            far(3, ApplyAction::BUFF | ApplyAction::NOCP, Some(to_gnb(session))),
            far(4, ApplyAction::DROP, None),
        ],
        create_qer: vec![
            CreateQer {
                qer_id: QerId(1),
                mbr: Some(BitRate { uplink_kbps: 1_000_000, downlink_kbps: 1_000_000 }),
                ..Default::default()
            },
            CreateQer { qer_id: QerId(2), qfi: Some(Qfi(9)), ..Default::default() },
        ],
        create_urr: vec![
            urr(1, ReportingTriggers::PERIO | ReportingTriggers::VOLTH),
            CreateUrr { volume_quota: volume(5_000), ..urr(2, ReportingTriggers::VOLQU) },
        ],
        create_bar: vec![CreateBar { bar_id: BarId(1), ..Default::default() }],
        pdn_type: Some(PdnType::Ipv4),
        user_plane_inactivity_timer: Some(UserPlaneInactivityTimer(30)),
        user_id: Some(UserId::from_imsi("001010000000001")),
        apn_dnn: Some(Name::from("internet")),
        ..Default::default()
    }
}

/// Changes what packets to the gNB do.
pub fn action(far: u32, apply_action: ApplyAction) -> SessionModificationRequest {
    let update = UpdateFar { far_id: FarId(far), apply_action: Some(apply_action), ..Default::default() };
    SessionModificationRequest { update_far: vec![update], ..Default::default() }
}

/// A change of everything at once.
fn change(session: u8) -> SessionModificationRequest {
    let parameters = UpdateForwardingParameters {
        outer_header_creation: Some(OuterHeaderCreation::gtpu_v4(7, Ipv4Addr::new(198, 51, 100, 2))),
        flags: Some(PfcpSmReqFlags::SNDEM),
        ..Default::default()
    };
    let pdi = pdrs(session, 2, &filter(DNS + 100), [1, 2])[0].pdi.clone();
    SessionModificationRequest {
        create_pdr: pdrs(session, 6, &filter(443), [1, 5]).to_vec(),
        create_far: vec![far(5, ApplyAction::FORW, Some(to_gnb(session)))],
        create_urr: vec![CreateUrr { urr_id: UrrId(3), ..Default::default() }],
        create_qer: vec![CreateQer { qer_id: QerId(3), ..Default::default() }],
        update_pdr: vec![UpdatePdr { pdr_id: PdrId(3), pdi: Some(pdi), ..Default::default() }],
        update_far: vec![UpdateFar {
            far_id: FarId(2),
            update_forwarding_parameters: Some(parameters),
            ..Default::default()
        }],
        update_qer: vec![UpdateQer {
            qer_id: QerId(1),
            mbr: Some(BitRate { uplink_kbps: 500, downlink_kbps: 900 }),
            ..Default::default()
        }],
        update_urr: vec![UpdateUrr {
            urr_id: UrrId(2),
            volume_quota: Some(Volume { total: Some(9_000), ..Default::default() }),
            ..Default::default()
        }],
        update_bar: vec![UpdateBar { bar_id: BarId(1), ..Default::default() }],
        query_urr: vec![QueryUrr { urr_id: UrrId(1), ..Default::default() }],
        user_plane_inactivity_timer: Some(UserPlaneInactivityTimer(9)),
        ..Default::default()
    }
}

/// Takes away what [`change`] made, and a rule of before.
fn removal() -> SessionModificationRequest {
    let pdr = |id| RemovePdr { pdr_id: PdrId(id), ..Default::default() };
    SessionModificationRequest {
        remove_pdr: vec![pdr(11), pdr(12), pdr(3)],
        remove_far: vec![RemoveFar { far_id: FarId(5), ..Default::default() }],
        remove_urr: vec![RemoveUrr { urr_id: UrrId(3), ..Default::default() }],
        remove_qer: vec![RemoveQer { qer_id: QerId(3), ..Default::default() }],
        flags: Some(PfcpSmReqFlags::QAURR | PfcpSmReqFlags::DROBU),
        ..Default::default()
    }
}

/// How many [`of_smf`] has.
pub const OF_SMF: u8 = 12;

/// A message that an SMF may send, of this number modulo [`OF_SMF`].
pub fn of_smf(number: u8, session: u8) -> Message {
    let node_id = NodeId::Address(SMF.into());
    match number % OF_SMF {
        0 => establishment(session).into(),
        1 => change(session).into(),
        2 => removal().into(),
        3 => action(2, ApplyAction::BUFF | ApplyAction::NOCP).into(),
        4 => action(2, ApplyAction::FORW).into(),
        5 => SessionDeletionRequest::default().into(),
        6 => association().into(),
        7 => HeartbeatRequest { recovery_time_stamp: RecoveryTimeStamp(1), ..Default::default() }.into(),
        8 => AssociationUpdateRequest { node_id, ..Default::default() }.into(),
        9 => AssociationReleaseRequest { node_id, ..Default::default() }.into(),
        10 => SessionReportResponse { cause: Cause::REQUEST_ACCEPTED, ..Default::default() }.into(),
        _ => SessionReportResponse { cause: Cause::SESSION_CONTEXT_NOT_FOUND, ..Default::default() }.into(),
    }
}

fn usage() -> UsageReport {
    UsageReport {
        urr_id: UrrId(1),
        trigger: UsageReportTrigger::PERIO,
        start_time: Some(NtpSeconds(1)),
        end_time: Some(NtpSeconds(2)),
        volume: Some(VolumeMeasurement {
            total: Some(300),
            uplink: Some(100),
            downlink: Some(200),
            ..Default::default()
        }),
        duration: Some(DurationMeasurement(60)),
        ..Default::default()
    }
}

/// How many [`of_upf`] has.
pub const OF_UPF: u8 = 8;

/// A message that a UPF may send, of this number modulo [`OF_UPF`].
pub fn of_upf(number: u8) -> Message {
    let cause = Cause::REQUEST_ACCEPTED;
    let created = CreatedPdr {
        pdr_id: PdrId(1),
        f_teid: Some(FTeid::assigned_v4(0x1001, Ipv4Addr::new(10, 0, 0, 18))),
        ..Default::default()
    };
    match number % OF_UPF {
        0 => SessionEstablishmentResponse {
            node_id: NodeId::Address(UPF.into()),
            cause,
            up_f_seid: Some(FSeid::new(0x77, UPF.into())),
            created_pdr: vec![created],
            ..Default::default()
        }
        .into(),
        1 => SessionModificationResponse { cause, usage_report: vec![usage()], ..Default::default() }.into(),
        2 => SessionDeletionResponse { cause, usage_report: vec![usage()], ..Default::default() }.into(),
        3 => SessionReportRequest {
            report_type: ReportType::USAR,
            usage_report: vec![usage(), usage()],
            ..Default::default()
        }
        .into(),
        4 => SessionReportRequest {
            report_type: ReportType::DLDR,
            downlink_data_report: Some(DownlinkDataReport {
                pdr_ids: vec![PdrId(2)],
                service_information: vec![DownlinkDataServiceInformation {
                    qfi: Some(1),
                    ..Default::default()
                }],
                ..Default::default()
            }),
            ..Default::default()
        }
        .into(),
        5 => SessionReportRequest {
            report_type: ReportType::ERIR,
            error_indication_report: Some(ErrorIndicationReport {
                remote_f_teids: vec![FTeid::assigned_v4(0x2002, GNB)],
                ..Default::default()
            }),
            ..Default::default()
        }
        .into(),
        6 => SessionReportRequest { report_type: ReportType::UPIR, ..Default::default() }.into(),
        _ => SessionReportRequest {
            report_type: ReportType::USAR,
            usage_report: vec![usage()],
            flags: Some(PfcpSrReqFlags::PSDBU),
            ..Default::default()
        }
        .into(),
    }
}
