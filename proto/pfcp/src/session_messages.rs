//! Session related messages (TS 29.244 §7.5).

use tern_types::Snssai;

use crate::groups::*;
use crate::ie::*;
use crate::wire::group;

group! {
    /// PFCP Session Establishment Request (TS 29.244 §7.5.2.1). `create_pdr` and `create_far`
    /// are mandatory: [`crate::Message`] refuses a request without them.
    SessionEstablishmentRequest {
        /// The sender.
        one 60 node_id: NodeId,
        /// The CP function's session endpoint.
        one 57 cp_f_seid: FSeid,
        /// Packet detection rules.
        many 1 create_pdr: CreatePdr,
        /// Forwarding action rules.
        many 3 create_far: CreateFar,
        /// Usage reporting rules.
        many 6 create_urr: CreateUrr,
        /// QoS enforcement rules.
        many 7 create_qer: CreateQer,
        /// Buffering action rules.
        many 85 create_bar: CreateBar,
        /// Type of the session.
        opt 113 pdn_type: PdnType,
        /// Inactivity after which a report is made.
        opt 117 user_plane_inactivity_timer: UserPlaneInactivityTimer,
        /// The user.
        opt 141 user_id: UserId,
        /// The data network.
        opt 159 apn_dnn: Name,
        /// Whether a lost session is restored.
        opt 186 flags: PfcpSeReqFlags,
        /// The slice.
        opt 257 s_nssai: Snssai,
    }

    /// PFCP Session Establishment Response (TS 29.244 §7.5.3.1).
    SessionEstablishmentResponse {
        /// The sender.
        one 60 node_id: NodeId,
        /// Accepted, or why not.
        one 19 cause: Cause,
        /// The IE at fault.
        opt 40 offending_ie: OffendingIe,
        /// The UP function's session endpoint.
        opt 57 up_f_seid: FSeid,
        /// What was allocated.
        many 8 created_pdr: CreatedPdr,
        /// Load.
        opt 51 load_control_information: LoadControlInformation,
        /// Overload.
        opt 54 overload_control_information: OverloadControlInformation,
        /// The rule at fault.
        opt 114 failed_rule_id: FailedRuleId,
        /// Rules that failed while others did not.
        many 272 partial_failure_information: PartialFailureInformation,
    }

    /// PFCP Session Modification Request (TS 29.244 §7.5.4.1).
    SessionModificationRequest {
        /// The CP function's session endpoint, when it changes.
        opt 57 cp_f_seid: FSeid,
        /// Packet detection rules to remove.
        many 15 remove_pdr: RemovePdr,
        /// Forwarding action rules to remove.
        many 16 remove_far: RemoveFar,
        /// Usage reporting rules to remove.
        many 17 remove_urr: RemoveUrr,
        /// QoS enforcement rules to remove.
        many 18 remove_qer: RemoveQer,
        /// Buffering action rule to remove.
        many 87 remove_bar: RemoveBar,
        /// Packet detection rules to create.
        many 1 create_pdr: CreatePdr,
        /// Forwarding action rules to create.
        many 3 create_far: CreateFar,
        /// Usage reporting rules to create.
        many 6 create_urr: CreateUrr,
        /// QoS enforcement rules to create.
        many 7 create_qer: CreateQer,
        /// Buffering action rules to create.
        many 85 create_bar: CreateBar,
        /// Packet detection rules to change.
        many 9 update_pdr: UpdatePdr,
        /// Forwarding action rules to change.
        many 10 update_far: UpdateFar,
        /// Usage reporting rules to change.
        many 13 update_urr: UpdateUrr,
        /// QoS enforcement rules to change.
        many 14 update_qer: UpdateQer,
        /// Buffering action rules to change.
        many 86 update_bar: UpdateBar,
        /// What else to do.
        opt 49 flags: PfcpSmReqFlags,
        /// Usage reports to send at once.
        many 77 query_urr: QueryUrr,
        /// Inactivity after which a report is made.
        opt 117 user_plane_inactivity_timer: UserPlaneInactivityTimer,
        /// Echoed in the reports.
        opt 125 query_urr_reference: QueryUrrReference,
        /// A new CP function of an SMF set.
        opt 60 node_id: NodeId,
    }

    /// PFCP Session Modification Response (TS 29.244 §7.5.5.1).
    SessionModificationResponse {
        /// Accepted, or why not.
        one 19 cause: Cause,
        /// The IE at fault.
        opt 40 offending_ie: OffendingIe,
        /// What was allocated.
        many 8 created_pdr: CreatedPdr,
        /// Load.
        opt 51 load_control_information: LoadControlInformation,
        /// Overload.
        opt 54 overload_control_information: OverloadControlInformation,
        /// Usage.
        many 78 usage_report: UsageReport,
        /// The rule at fault.
        opt 114 failed_rule_id: FailedRuleId,
        /// What was allocated for changed rules.
        many 256 updated_pdr: CreatedPdr,
        /// Rules that failed while others did not.
        many 273 partial_failure_information: PartialFailureInformation,
    }

    /// PFCP Session Deletion Request (TS 29.244 §7.5.6).
    SessionDeletionRequest {}

    /// PFCP Session Deletion Response (TS 29.244 §7.5.7.1).
    SessionDeletionResponse {
        /// Accepted, or why not.
        one 19 cause: Cause,
        /// The IE at fault.
        opt 40 offending_ie: OffendingIe,
        /// Load.
        opt 51 load_control_information: LoadControlInformation,
        /// Overload.
        opt 54 overload_control_information: OverloadControlInformation,
        /// Usage until the end.
        many 79 usage_report: UsageReport,
    }

    /// PFCP Session Report Request (TS 29.244 §7.5.8.1).
    SessionReportRequest {
        /// What is reported.
        one 39 report_type: ReportType,
        /// Downlink packets arrived.
        opt 83 downlink_data_report: DownlinkDataReport,
        /// Usage.
        many 80 usage_report: UsageReport,
        /// A peer does not know a tunnel.
        opt 99 error_indication_report: ErrorIndicationReport,
        /// Load.
        opt 51 load_control_information: LoadControlInformation,
        /// Overload.
        opt 54 overload_control_information: OverloadControlInformation,
        /// The session was deleted by the UP function.
        opt 161 flags: PfcpSrReqFlags,
        /// The old CP function's endpoint, to another SMF of the set.
        opt 57 old_cp_f_seid: FSeid,
    }

    /// PFCP Session Report Response (TS 29.244 §7.5.9.1).
    SessionReportResponse {
        /// Accepted, or why not.
        one 19 cause: Cause,
        /// The IE at fault.
        opt 40 offending_ie: OffendingIe,
        /// How to buffer.
        opt 12 update_bar: UpdateBar,
        /// What else to do.
        opt 50 flags: PfcpSrRspFlags,
        /// A new CP function's endpoint.
        opt 57 cp_f_seid: FSeid,
    }
}
