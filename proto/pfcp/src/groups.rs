//! Grouped IEs (TS 29.244 §7.5).

use crate::ie::*;
use crate::wire::group;

group! {
    /// Create PDR (TS 29.244 §7.5.2.2).
    CreatePdr {
        /// The rule's identity.
        one 56 pdr_id: PdrId,
        /// Lower values are looked at first.
        one 29 precedence: Precedence,
        /// What packets match.
        one 2 pdi: Pdi,
        /// Headers to remove from a matching packet.
        opt 95 outer_header_removal: OuterHeaderRemoval,
        /// The FAR to apply.
        opt 108 far_id: FarId,
        /// The URRs to count in.
        many 81 urr_ids: UrrId,
        /// The QERs to enforce.
        many 109 qer_ids: QerId,
        /// Predefined rules that hold as well, by name.
        many 106 activate_predefined_rules: PredefinedRulesName,
    }

    /// Packet Detection Information (TS 29.244 §7.5.2.2).
    Pdi {
        /// Where packets come from.
        one 20 source_interface: Interface,
        /// The local tunnel endpoint.
        opt 21 f_teid: FTeid,
        /// The network instance.
        opt 22 network_instance: Name,
        /// UE addresses.
        many 93 ue_ip_addresses: UeIpAddress,
        /// SDF filters: one of them must match.
        many 23 sdf_filters: SdfFilter,
        /// The application to detect.
        opt 24 application_id: ApplicationId,
        /// QoS flows.
        many 124 qfis: Qfi,
        /// IPv4 networks behind the UE.
        many 153 framed_routes: FramedRoute,
        /// Whether routing packets are exchanged with the UE.
        opt 154 framed_routing: FramedRouting,
        /// IPv6 networks behind the UE.
        many 155 framed_ipv6_routes: FramedRoute,
    }

    /// Create FAR (TS 29.244 §7.5.2.3).
    CreateFar {
        /// The rule's identity.
        one 108 far_id: FarId,
        /// What to do.
        one 44 apply_action: ApplyAction,
        /// How to forward.
        opt 4 forwarding_parameters: ForwardingParameters,
        /// Where copies go to, each to a place of its own.
        many 5 duplicating_parameters: DuplicatingParameters,
        /// The buffering rule.
        opt 88 bar_id: BarId,
    }

    /// Forwarding Parameters (TS 29.244 §7.5.2.3).
    ForwardingParameters {
        /// Where packets go to.
        one 42 destination_interface: Interface,
        /// The network instance.
        opt 22 network_instance: Name,
        /// Where to redirect to.
        opt 38 redirect_information: RedirectInformation,
        /// Headers to add.
        opt 84 outer_header_creation: OuterHeaderCreation,
        /// ToS of the outer header.
        opt 30 transport_level_marking: TransportLevelMarking,
        /// A policy of the UP function's configuration, by name.
        opt 41 forwarding_policy: ForwardingPolicy,
    }

    /// Duplicating Parameters (TS 29.244 §7.5.2.3).
    DuplicatingParameters {
        /// Where copies go to.
        one 42 destination_interface: Interface,
        /// Headers to add.
        opt 84 outer_header_creation: OuterHeaderCreation,
        /// ToS of the outer header.
        opt 30 transport_level_marking: TransportLevelMarking,
        /// A policy of the UP function's configuration, by name.
        opt 41 forwarding_policy: ForwardingPolicy,
    }

    /// Create QER (TS 29.244 §7.5.2.5).
    CreateQer {
        /// The rule's identity.
        one 109 qer_id: QerId,
        /// Correlates the rules of several sessions.
        opt 28 qer_correlation_id: QerCorrelationId,
        /// Open or closed.
        one 25 gate_status: GateStatus,
        /// Maximum bit rates.
        opt 26 mbr: BitRate,
        /// Guaranteed bit rates.
        opt 27 gbr: BitRate,
        /// Marking of downlink packets.
        opt 97 dl_flow_level_marking: DlFlowLevelMarking,
        /// The QFI to put into downlink packets.
        opt 124 qfi: Qfi,
        /// Reflective QoS.
        opt 123 rqi: Rqi,
        /// Paging Policy Indicator to put into downlink packets.
        opt 158 paging_policy_indicator: PagingPolicyIndicator,
        /// Averaging window.
        opt 157 averaging_window: AveragingWindow,
    }

    /// Create URR (TS 29.244 §7.5.2.4).
    CreateUrr {
        /// The rule's identity.
        one 81 urr_id: UrrId,
        /// What is measured.
        one 62 measurement_method: MeasurementMethod,
        /// When it is reported.
        one 37 reporting_triggers: ReportingTriggers,
        /// Period of periodic reports.
        opt 64 measurement_period: Seconds,
        /// Volume after which a report is made.
        opt 31 volume_threshold: Volume,
        /// Volume after which packets are no longer forwarded.
        opt 73 volume_quota: Volume,
        /// Time after which a report is made.
        opt 32 time_threshold: Seconds,
        /// Time after which packets are no longer forwarded.
        opt 74 time_quota: Seconds,
        /// How long a quota is held without traffic.
        opt 71 quota_holding_time: Seconds,
        /// Dropped downlink traffic after which a report is made.
        opt 72 dropped_dl_traffic_threshold: DroppedDlTrafficThreshold,
        /// How long a quota may be used.
        opt 181 quota_validity_time: Seconds,
        /// When the usage is split.
        opt 33 monitoring_time: NtpSeconds,
        /// Volume threshold from then on.
        opt 34 subsequent_volume_threshold: Volume,
        /// Time threshold from then on.
        opt 35 subsequent_time_threshold: Seconds,
        /// Volume quota from then on.
        opt 121 subsequent_volume_quota: Volume,
        /// Time quota from then on.
        opt 122 subsequent_time_quota: Seconds,
        /// Time without traffic after which time is not counted.
        opt 36 inactivity_detection_time: Seconds,
        /// Rules that report together with this one.
        many 82 linked_urr_ids: UrrId,
        /// Further instructions.
        opt 100 measurement_information: MeasurementInformation,
    }

    /// Create BAR (TS 29.244 §7.5.2.6).
    CreateBar {
        /// The rule's identity.
        one 88 bar_id: BarId,
        /// Delay of notifications.
        opt 46 downlink_data_notification_delay: DownlinkDataNotificationDelay,
        /// How many packets should be buffered.
        opt 140 suggested_buffering_packets_count: SuggestedBufferingPacketsCount,
    }

    /// Update PDR (TS 29.244 §7.5.4.2). What is present replaces what the rule had.
    UpdatePdr {
        /// The rule's identity.
        one 56 pdr_id: PdrId,
        /// Headers to remove.
        opt 95 outer_header_removal: OuterHeaderRemoval,
        /// New precedence.
        opt 29 precedence: Precedence,
        /// New PDI.
        opt 2 pdi: Pdi,
        /// New FAR.
        opt 108 far_id: FarId,
        /// New URRs, all of them.
        many 81 urr_ids: UrrId,
        /// New QERs, all of them.
        many 109 qer_ids: QerId,
        /// Predefined rules that hold from now on, by name.
        many 106 activate_predefined_rules: PredefinedRulesName,
        /// Predefined rules that no longer hold, by name.
        many 107 deactivate_predefined_rules: PredefinedRulesName,
    }

    /// Update FAR (TS 29.244 §7.5.4.3). What is present replaces what the rule had.
    UpdateFar {
        /// The rule's identity.
        one 108 far_id: FarId,
        /// What to do.
        opt 44 apply_action: ApplyAction,
        /// How to forward.
        opt 11 update_forwarding_parameters: UpdateForwardingParameters,
        /// Where copies go to, in the order of the places that there are.
        many 105 update_duplicating_parameters: UpdateDuplicatingParameters,
        /// The buffering rule.
        opt 88 bar_id: BarId,
    }

    /// Update Duplicating Parameters (TS 29.244 §7.5.4.3). What is present replaces what there was.
    UpdateDuplicatingParameters {
        /// Where copies go to.
        opt 42 destination_interface: Interface,
        /// Headers to add.
        opt 84 outer_header_creation: OuterHeaderCreation,
        /// ToS of the outer header.
        opt 30 transport_level_marking: TransportLevelMarking,
        /// A policy of the UP function's configuration, by name.
        opt 41 forwarding_policy: ForwardingPolicy,
    }

    /// Update Forwarding Parameters (TS 29.244 §7.5.4.3).
    UpdateForwardingParameters {
        /// Where packets go to.
        opt 42 destination_interface: Interface,
        /// The network instance.
        opt 22 network_instance: Name,
        /// Where to redirect to.
        opt 38 redirect_information: RedirectInformation,
        /// Headers to add.
        opt 84 outer_header_creation: OuterHeaderCreation,
        /// ToS of the outer header.
        opt 30 transport_level_marking: TransportLevelMarking,
        /// A policy of the UP function's configuration, by name.
        opt 41 forwarding_policy: ForwardingPolicy,
        /// SNDEM asks for End Markers on the old tunnel.
        opt 49 flags: PfcpSmReqFlags,
    }

    /// Update QER (TS 29.244 §7.5.4.5).
    UpdateQer {
        /// The rule's identity.
        one 109 qer_id: QerId,
        /// Correlates the rules of several sessions.
        opt 28 qer_correlation_id: QerCorrelationId,
        /// Open or closed.
        opt 25 gate_status: GateStatus,
        /// Maximum bit rates.
        opt 26 mbr: BitRate,
        /// Guaranteed bit rates.
        opt 27 gbr: BitRate,
        /// Marking of downlink packets.
        opt 97 dl_flow_level_marking: DlFlowLevelMarking,
        /// The QFI to put into downlink packets.
        opt 124 qfi: Qfi,
        /// Reflective QoS.
        opt 123 rqi: Rqi,
        /// Paging Policy Indicator to put into downlink packets.
        opt 158 paging_policy_indicator: PagingPolicyIndicator,
        /// Averaging window.
        opt 157 averaging_window: AveragingWindow,
    }

    /// Update URR (TS 29.244 §7.5.4.4).
    UpdateUrr {
        /// The rule's identity.
        one 81 urr_id: UrrId,
        /// What is measured.
        opt 62 measurement_method: MeasurementMethod,
        /// When it is reported.
        opt 37 reporting_triggers: ReportingTriggers,
        /// Period of periodic reports.
        opt 64 measurement_period: Seconds,
        /// Volume after which a report is made.
        opt 31 volume_threshold: Volume,
        /// Volume after which packets are no longer forwarded.
        opt 73 volume_quota: Volume,
        /// Time after which a report is made.
        opt 32 time_threshold: Seconds,
        /// Time after which packets are no longer forwarded.
        opt 74 time_quota: Seconds,
        /// How long a quota is held without traffic.
        opt 71 quota_holding_time: Seconds,
        /// Dropped downlink traffic after which a report is made.
        opt 72 dropped_dl_traffic_threshold: DroppedDlTrafficThreshold,
        /// How long a quota may be used.
        opt 181 quota_validity_time: Seconds,
        /// When the usage is split.
        opt 33 monitoring_time: NtpSeconds,
        /// Volume threshold from then on.
        opt 34 subsequent_volume_threshold: Volume,
        /// Time threshold from then on.
        opt 35 subsequent_time_threshold: Seconds,
        /// Volume quota from then on.
        opt 121 subsequent_volume_quota: Volume,
        /// Time quota from then on.
        opt 122 subsequent_time_quota: Seconds,
        /// Time without traffic after which time is not counted.
        opt 36 inactivity_detection_time: Seconds,
        /// Rules that report together with this one.
        many 82 linked_urr_ids: UrrId,
        /// Further instructions.
        opt 100 measurement_information: MeasurementInformation,
    }

    /// Update BAR of a modification request (TS 29.244 §7.5.4.11) or a report response (§7.5.9.2).
    UpdateBar {
        /// The rule's identity.
        one 88 bar_id: BarId,
        /// Delay of notifications.
        opt 46 downlink_data_notification_delay: DownlinkDataNotificationDelay,
        /// How long to buffer.
        opt 47 dl_buffering_duration: Timer,
        /// How many packets should be buffered.
        opt 140 suggested_buffering_packets_count: SuggestedBufferingPacketsCount,
    }

    /// Remove PDR (TS 29.244 §7.5.4.6).
    RemovePdr {
        /// The rule's identity.
        one 56 pdr_id: PdrId,
    }

    /// Remove FAR (TS 29.244 §7.5.4.7).
    RemoveFar {
        /// The rule's identity.
        one 108 far_id: FarId,
    }

    /// Remove URR (TS 29.244 §7.5.4.8).
    RemoveUrr {
        /// The rule's identity.
        one 81 urr_id: UrrId,
    }

    /// Remove QER (TS 29.244 §7.5.4.9).
    RemoveQer {
        /// The rule's identity.
        one 109 qer_id: QerId,
    }

    /// Remove BAR (TS 29.244 §7.5.4.12).
    RemoveBar {
        /// The rule's identity.
        one 88 bar_id: BarId,
    }

    /// Query URR (TS 29.244 §7.5.4.10).
    QueryUrr {
        /// The rule's identity.
        one 81 urr_id: UrrId,
    }

    /// Created PDR (TS 29.244 §7.5.3.2), and Updated PDR (§7.5.5.5).
    CreatedPdr {
        /// The rule's identity.
        one 56 pdr_id: PdrId,
        /// The F-TEID that was allocated.
        opt 21 f_teid: FTeid,
        /// The UE address that was allocated.
        opt 93 ue_ip_address: UeIpAddress,
    }

    /// Load Control Information (TS 29.244 §7.5.3.3).
    LoadControlInformation {
        /// Grows with each change.
        one 52 sequence_number: SequenceNumber,
        /// Load in percent.
        one 53 metric: Metric,
    }

    /// Overload Control Information (TS 29.244 §7.5.3.4).
    OverloadControlInformation {
        /// Grows with each change.
        one 52 sequence_number: SequenceNumber,
        /// Reduction in percent.
        one 53 metric: Metric,
        /// How long it holds.
        one 55 timer: Timer,
        /// What it concerns.
        opt 110 oci_flags: OciFlags,
    }

    /// Partial Failure Information (TS 29.244 §7.5.3.1, §7.5.5.1).
    PartialFailureInformation {
        /// The rule.
        one 114 failed_rule_id: FailedRuleId,
        /// Why.
        one 19 cause: Cause,
        /// What in it.
        many 274 offending_ies: OffendingIeInformation,
    }

    /// Usage Report of a modification response (§7.5.5.2), a deletion response (§7.5.7.2) or a
    /// report request (§7.5.8.3) of TS 29.244.
    UsageReport {
        /// The rule that counted.
        one 81 urr_id: UrrId,
        /// Counts the reports of this rule.
        one 104 ur_seqn: UrSeqn,
        /// Why it is sent.
        one 63 trigger: UsageReportTrigger,
        /// Beginning of the measurement.
        opt 75 start_time: NtpSeconds,
        /// End of the measurement.
        opt 76 end_time: NtpSeconds,
        /// Volume.
        opt 66 volume: VolumeMeasurement,
        /// Time.
        opt 67 duration: DurationMeasurement,
        /// The application whose traffic began or ended.
        opt 68 application_detection_information: ApplicationDetectionInformation,
        /// First packet of the measurement.
        opt 69 time_of_first_packet: NtpSeconds,
        /// Last packet of the measurement.
        opt 70 time_of_last_packet: NtpSeconds,
        /// Before or after what it was measured.
        opt 90 usage_information: UsageInformation,
        /// Echo of the query.
        opt 125 query_urr_reference: QueryUrrReference,
    }

    /// Downlink Data Report (TS 29.244 §7.5.8.2).
    DownlinkDataReport {
        /// PDRs that packets arrived for.
        many 56 pdr_ids: PdrId,
        /// About the first of these packets.
        many 45 service_information: DownlinkDataServiceInformation,
    }

    /// Application Detection Information (TS 29.244 §7.5.8.3).
    ApplicationDetectionInformation {
        /// The application.
        one 24 application_id: ApplicationId,
    }

    /// Application ID's PFDs (TS 29.244 §7.4.3.1): all that an application has from now on; nothing takes the
    /// application away.
    ApplicationIdsPfds {
        /// The application.
        one 24 application_id: ApplicationId,
        /// What its traffic looks like: one of them is enough.
        many 59 pfd_contexts: PfdContext,
    }

    /// PFD context (TS 29.244 §7.4.3.1).
    PfdContext {
        /// The descriptions.
        many 61 pfd_contents: PfdContents,
    }

    /// Error Indication Report (TS 29.244 §7.5.8.4).
    ErrorIndicationReport {
        /// Remote tunnel endpoints that the peer does not know.
        many 21 remote_f_teids: FTeid,
    }

    /// User Plane Path Failure Report (TS 29.244 §7.4.5.1.2), or Recovery Report (§7.4.5.1.3).
    UserPlanePathReport {
        /// The peers concerned.
        many 103 remote_gtpu_peers: RemoteGtpuPeer,
    }
}
