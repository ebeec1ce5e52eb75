//! Data types of TS29502_Nsmf_PDUSession.

use serde::{Deserialize, Serialize};
use tern_types::{Ambr, Dnn, Guami, Imei, PduSessionId, PlmnId, Qfi, Snssai, Supi};

use super::{
    Cause, DnnSelectionMode, EpsInterworkingIndication, HoState, N2SmInfoType, RequestType, ResourceStatus,
    UpCnxState,
};
use crate::common::{
    AccessType, BackupAmfInfo, DateTime, NfInstanceId, NgApCause, NgRanTargetId, PduSessionType, PlmnIdNid,
    PresenceState, RatType, ServiceName, SupportedFeatures, UpSecurity, Uri, UserLocation,
};
use crate::model::model;
use crate::{ErrorModel, ProblemDetails, RefToBinaryData, RefersToParts};

model! {
    /// TS29502_Nsmf_PDUSession SmContextCreateData.
    pub struct SmContextCreateData {
        required {
            serving_nf_id: NfInstanceId,
            serving_network: PlmnIdNid,
            an_type: AccessType,
            sm_context_status_uri: Uri,
        }
        optional {
            supi: Supi,
            unauthenticated_supi: bool,
            pei: Imei,
            gpsi: String,
            pdu_session_id: PduSessionId,
            dnn: Dnn,
            selected_dnn: Dnn,
            s_nssai: Snssai,
            hplmn_snssai: Snssai,
            guami: Guami,
            service_name: ServiceName,
            request_type: RequestType,
            n1_sm_msg: RefToBinaryData,
            additional_an_type: AccessType,
            rat_type: RatType,
            presence_in_ladn: PresenceState,
            ue_location: UserLocation,
            /// Such as `+01:00`.
            ue_time_zone: String,
            h_smf_uri: Uri,
            h_smf_id: NfInstanceId,
            old_pdu_session_id: PduSessionId,
            ho_state: HoState,
            pcf_id: NfInstanceId,
            pcf_group_id: String,
            nrf_uri: Uri,
            supported_features: SupportedFeatures,
            sel_mode: DnnSelectionMode,
            udm_group_id: String,
            routing_indicator: String,
            eps_interworking_ind: EpsInterworkingIndication,
            n2_sm_info: RefToBinaryData,
            n2_sm_info_type: N2SmInfoType,
            sm_context_ref: Uri,
            up_cnx_state: UpCnxState,
            extended_nas_sm_timer_ind: bool,
        }
        lists {
            pdu_sessions_activate_list: PduSessionId,
            backup_amf_info: BackupAmfInfo,
        }
    }
}

model! {
    /// TS29502_Nsmf_PDUSession SmContextCreatedData.
    pub struct SmContextCreatedData {
        optional {
            h_smf_uri: Uri,
            smf_uri: Uri,
            pdu_session_id: PduSessionId,
            s_nssai: Snssai,
            up_cnx_state: UpCnxState,
            n2_sm_info: RefToBinaryData,
            n2_sm_info_type: N2SmInfoType,
            ho_state: HoState,
            gpsi: String,
            smf_service_instance_id: String,
            recovery_time: DateTime,
            supported_features: SupportedFeatures,
            selected_smf_id: NfInstanceId,
        }
    }
}

/// TS29502_Nsmf_PDUSession ExtProblemDetails: ProblemDetails.
pub type ExtProblemDetails = ProblemDetails;

model! {
    /// TS29502_Nsmf_PDUSession SmContextCreateError. The N1 part, if any, is the PDU SESSION
    /// ESTABLISHMENT REJECT for the UE.
    pub struct SmContextCreateError {
        required { error: ExtProblemDetails, }
        optional {
            n1_sm_msg: RefToBinaryData,
            n2_sm_info: RefToBinaryData,
            n2_sm_info_type: N2SmInfoType,
            recovery_time: DateTime,
        }
    }
}

model! {
    /// TS29502_Nsmf_PDUSession SmContextUpdateData.
    pub struct SmContextUpdateData {
        optional {
            pei: Imei,
            serving_nf_id: NfInstanceId,
            guami: Guami,
            serving_network: PlmnIdNid,
            an_type: AccessType,
            an_type_to_reactivate: AccessType,
            rat_type: RatType,
            presence_in_ladn: PresenceState,
            ue_location: UserLocation,
            ue_time_zone: String,
            up_cnx_state: UpCnxState,
            ho_state: HoState,
            to_be_switched: bool,
            failed_to_be_switched: bool,
            n1_sm_msg: RefToBinaryData,
            n2_sm_info: RefToBinaryData,
            n2_sm_info_type: N2SmInfoType,
            target_id: NgRanTargetId,
            target_serving_nf_id: NfInstanceId,
            sm_context_status_uri: Uri,
            data_forwarding: bool,
            release: bool,
            cause: Cause,
            ng_ap_cause: NgApCause,
            #[serde(rename = "5gMmCauseValue")]
            five_g_mm_cause_value: u8,
            s_nssai: Snssai,
            supported_features: SupportedFeatures,
        }
        lists { backup_amf_info: BackupAmfInfo, }
    }
}

model! {
    /// TS29502_Nsmf_PDUSession SmContextUpdatedData.
    pub struct SmContextUpdatedData {
        optional {
            up_cnx_state: UpCnxState,
            ho_state: HoState,
            n1_sm_msg: RefToBinaryData,
            n2_sm_info: RefToBinaryData,
            n2_sm_info_type: N2SmInfoType,
            data_forwarding: bool,
            cause: Cause,
            supported_features: SupportedFeatures,
        }
    }
}

model! {
    /// TS29502_Nsmf_PDUSession SmContextUpdateError.
    pub struct SmContextUpdateError {
        required { error: ExtProblemDetails, }
        optional {
            n1_sm_msg: RefToBinaryData,
            n2_sm_info: RefToBinaryData,
            n2_sm_info_type: N2SmInfoType,
            up_cnx_state: UpCnxState,
            recovery_time: DateTime,
        }
    }
}

model! {
    /// TS29502_Nsmf_PDUSession SmContextReleaseData.
    pub struct SmContextReleaseData {
        optional {
            cause: Cause,
            ng_ap_cause: NgApCause,
            #[serde(rename = "5gMmCauseValue")]
            five_g_mm_cause_value: u8,
            ue_location: UserLocation,
            ue_time_zone: String,
            vsmf_release_only: bool,
            n2_sm_info: RefToBinaryData,
            n2_sm_info_type: N2SmInfoType,
        }
    }
}

/// TS29502_Nsmf_PDUSession SmContextReleasedData, none of whose attributes is ours.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SmContextReleasedData {}

model! {
    /// TS29502_Nsmf_PDUSession SmContextRetrieveData.
    pub struct SmContextRetrieveData {
        optional {
            serving_network: PlmnId,
            ran_unchanged_ind: bool,
        }
    }
}

model! {
    /// TS29502_Nsmf_PDUSession SmContextRetrievedData.
    pub struct SmContextRetrievedData {
        required {
            /// Base64; empty where EPS interworking is not supported.
            ue_eps_pdn_connection: String,
        }
        optional { sm_context: SmContext, }
    }
}

model! {
    /// TS29502_Nsmf_PDUSession SmContext.
    pub struct SmContext {
        required {
            pdu_session_id: PduSessionId,
            dnn: Dnn,
            s_nssai: Snssai,
            pdu_session_type: PduSessionType,
            session_ambr: Ambr,
            qos_flows_list: Vec<QosFlowSetupItem>,
        }
        optional {
            selected_dnn: Dnn,
            pcf_id: NfInstanceId,
            sel_mode: DnnSelectionMode,
            smf_instance_id: NfInstanceId,
            ue_ipv4_address: std::net::Ipv4Addr,
            up_security: UpSecurity,
            recovery_time: DateTime,
        }
    }
}

model! {
    /// TS29502_Nsmf_PDUSession QosFlowSetupItem.
    pub struct QosFlowSetupItem {
        required {
            qfi: Qfi,
            /// QoS rules of TS 24.501 §9.11.4.13, in base64.
            qos_rules: String,
        }
        optional {
            /// QoS flow descriptions of TS 24.501 §9.11.4.12, in base64.
            qos_flow_description: String,
            default_qos_rule_ind: bool,
        }
    }
}

model! {
    /// TS29502_Nsmf_PDUSession SmContextStatusNotification.
    pub struct SmContextStatusNotification {
        required { status_info: StatusInfo, }
    }
}

model! {
    /// TS29502_Nsmf_PDUSession StatusInfo.
    pub struct StatusInfo {
        required { resource_status: ResourceStatus, }
        optional {
            cause: Cause,
            an_type: AccessType,
        }
    }
}

/// Models with the attributes `n1SmMsg` and `n2SmInfo`.
macro_rules! refers_to_parts {
    ($($model:ident),+) => {$(
        impl RefersToParts for $model {
            fn n1(&self) -> Option<&RefToBinaryData> {
                self.n1_sm_msg.as_ref()
            }

            fn n2(&self) -> Option<&RefToBinaryData> {
                self.n2_sm_info.as_ref()
            }

            fn refer(&mut self, n1: Option<RefToBinaryData>, n2: Option<RefToBinaryData>) {
                self.n1_sm_msg = n1;
                self.n2_sm_info = n2;
            }
        }
    )+};
}
refers_to_parts!(
    SmContextCreateData,
    SmContextCreateError,
    SmContextUpdateData,
    SmContextUpdatedData,
    SmContextUpdateError
);

/// Models with the attribute `n2SmInfo` alone.
macro_rules! refers_to_n2 {
    ($($model:ident),+) => {$(
        impl RefersToParts for $model {
            fn n1(&self) -> Option<&RefToBinaryData> {
                None
            }

            fn n2(&self) -> Option<&RefToBinaryData> {
                self.n2_sm_info.as_ref()
            }

            fn refer(&mut self, _: Option<RefToBinaryData>, n2: Option<RefToBinaryData>) {
                self.n2_sm_info = n2;
            }
        }
    )+};
}
refers_to_n2!(SmContextCreatedData, SmContextReleaseData);

impl ErrorModel for SmContextCreateError {
    fn problem(&self) -> &ProblemDetails {
        &self.error
    }
}

impl ErrorModel for SmContextUpdateError {
    fn problem(&self) -> &ProblemDetails {
        &self.error
    }
}
