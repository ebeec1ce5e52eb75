//! Node related messages (TS 29.244 §7.4).

use crate::groups::{ApplicationIdsPfds, UserPlanePathReport};
use crate::ie::*;
use crate::wire::group;

group! {
    /// Heartbeat Request (TS 29.244 §7.4.2.1).
    HeartbeatRequest {
        /// When the sender started.
        one 96 recovery_time_stamp: RecoveryTimeStamp,
        /// Behind NAT, the address that the sender sees as its own.
        opt 192 source_ip_address: SourceIpAddress,
    }

    /// Heartbeat Response (TS 29.244 §7.4.2.2).
    HeartbeatResponse {
        /// When the sender started.
        one 96 recovery_time_stamp: RecoveryTimeStamp,
    }

    /// PFCP PFD Management Request (TS 29.244 §7.4.3.1). Without an application, it takes all of them away.
    PfdManagementRequest {
        /// Applications and what their traffic looks like.
        many 58 application_ids_pfds: ApplicationIdsPfds,
        /// The sender.
        opt 60 node_id: NodeId,
    }

    /// PFCP PFD Management Response (TS 29.244 §7.4.3.2).
    PfdManagementResponse {
        /// Accepted, or why not.
        one 19 cause: Cause,
        /// The IE at fault.
        opt 40 offending_ie: OffendingIe,
        /// The sender.
        opt 60 node_id: NodeId,
    }

    /// PFCP Association Setup Request (TS 29.244 §7.4.4.1).
    AssociationSetupRequest {
        /// The sender.
        one 60 node_id: NodeId,
        /// When the sender started.
        one 96 recovery_time_stamp: RecoveryTimeStamp,
        /// What a UP function supports.
        opt 43 up_function_features: UpFunctionFeatures,
        /// What a CP function supports.
        opt 89 cp_function_features: CpFunctionFeatures,
    }

    /// PFCP Association Setup Response (TS 29.244 §7.4.4.2).
    AssociationSetupResponse {
        /// The sender.
        one 60 node_id: NodeId,
        /// Accepted, or why not.
        one 19 cause: Cause,
        /// When the sender started.
        one 96 recovery_time_stamp: RecoveryTimeStamp,
        /// What a UP function supports.
        opt 43 up_function_features: UpFunctionFeatures,
        /// What a CP function supports.
        opt 89 cp_function_features: CpFunctionFeatures,
    }

    /// PFCP Association Update Request (TS 29.244 §7.4.4.3).
    AssociationUpdateRequest {
        /// The sender.
        one 60 node_id: NodeId,
        /// What a UP function supports.
        opt 43 up_function_features: UpFunctionFeatures,
        /// What a CP function supports.
        opt 89 cp_function_features: CpFunctionFeatures,
        /// A UP function asks for its release.
        opt 111 association_release_request: AssociationReleaseRequestFlags,
        /// Time until which sessions end by themselves.
        opt 112 graceful_release_period: Timer,
    }

    /// PFCP Association Update Response (TS 29.244 §7.4.4.4).
    AssociationUpdateResponse {
        /// The sender.
        one 60 node_id: NodeId,
        /// Accepted, or why not.
        one 19 cause: Cause,
        /// What a UP function supports.
        opt 43 up_function_features: UpFunctionFeatures,
        /// What a CP function supports.
        opt 89 cp_function_features: CpFunctionFeatures,
    }

    /// PFCP Association Release Request (TS 29.244 §7.4.4.5).
    AssociationReleaseRequest {
        /// The sender.
        one 60 node_id: NodeId,
    }

    /// PFCP Association Release Response (TS 29.244 §7.4.4.6).
    AssociationReleaseResponse {
        /// The sender.
        one 60 node_id: NodeId,
        /// Accepted, or why not.
        one 19 cause: Cause,
    }

    /// PFCP Version Not Supported Response (TS 29.244 §7.4.4.7): the header alone.
    VersionNotSupportedResponse {}

    /// PFCP Node Report Request (TS 29.244 §7.4.5.1).
    NodeReportRequest {
        /// The sender.
        one 60 node_id: NodeId,
        /// What is reported.
        one 101 node_report_type: NodeReportType,
        /// Lost peers.
        opt 102 user_plane_path_failure_report: UserPlanePathReport,
        /// Peers that came back.
        opt 187 user_plane_path_recovery_report: UserPlanePathReport,
    }

    /// PFCP Node Report Response (TS 29.244 §7.4.5.2).
    NodeReportResponse {
        /// The sender.
        one 60 node_id: NodeId,
        /// Accepted, or why not.
        one 19 cause: Cause,
        /// The IE at fault.
        opt 40 offending_ie: OffendingIe,
    }
}
