//! Registrations of serving network functions: TS29503_Nudm_UECM.

use tern_types::{Dnn, Guami, Imei, PduSessionId, PlmnId, Snssai, Supi};

use crate::common::{
    AccessType, BackupAmfInfo, DateTime, NfInstanceId, RatType, ServiceName, SupportedFeatures, Uri,
};
use crate::model::{model, open_enum};

model! {
    /// TS29503_Nudm_UECM Amf3GppAccessRegistration.
    pub struct Amf3GppAccessRegistration {
        required {
            amf_instance_id: NfInstanceId,
            dereg_callback_uri: Uri,
            guami: Guami,
            rat_type: RatType,
        }
        optional {
            supported_features: SupportedFeatures,
            purge_flag: bool,
            pei: Imei,
            ims_vo_ps: ImsVoPs,
            amf_service_name_dereg: ServiceName,
            pcscf_restoration_callback_uri: Uri,
            initial_registration_ind: bool,
            emergency_registration_ind: bool,
            dr_flag: bool,
            urrp_indicator: bool,
            registration_time: DateTime,
            no_ee_subscription_ind: bool,
            supi: Supi,
            re_registration_required: bool,
            admin_dereg_sub_withdrawn: bool,
        }
        lists { backup_amf_info: BackupAmfInfo, }
    }
}

model! {
    /// TS29503_Nudm_UECM Amf3GppAccessRegistrationModification, a merge patch.
    pub struct Amf3GppAccessRegistrationModification {
        required { guami: Guami, }
        optional {
            purge_flag: bool,
            pei: Imei,
            ims_vo_ps: ImsVoPs,
        }
        lists { backup_amf_info: BackupAmfInfo, }
    }
}

open_enum! {
    /// TS29503_Nudm_UECM ImsVoPs.
    pub enum ImsVoPs {
        HomogeneousSupport = "HOMOGENEOUS_SUPPORT",
        HomogeneousNonSupport = "HOMOGENEOUS_NON_SUPPORT",
        NonHomogeneousOrUnknown = "NON_HOMOGENEOUS_OR_UNKNOWN",
    }
}

model! {
    /// TS29503_Nudm_UECM SmfRegistration.
    pub struct SmfRegistration {
        required {
            smf_instance_id: NfInstanceId,
            pdu_session_id: PduSessionId,
            single_nssai: Snssai,
            plmn_id: PlmnId,
        }
        optional {
            smf_set_id: String,
            supported_features: SupportedFeatures,
            dnn: Dnn,
            emergency_services: bool,
            pcscf_restoration_callback_uri: Uri,
            dereg_callback_uri: Uri,
            registration_reason: RegistrationReason,
            registration_time: DateTime,
            pcf_id: NfInstanceId,
        }
    }
}

open_enum! {
    /// TS29503_Nudm_UECM RegistrationReason.
    pub enum RegistrationReason {
        SmfContextTransferred = "SMF_CONTEXT_TRANSFERRED",
    }
}

model! {
    /// TS29503_Nudm_UECM SmfRegistrationInfo.
    pub struct SmfRegistrationInfo {
        required { smf_registration_list: Vec<SmfRegistration>, }
    }
}

model! {
    /// TS29503_Nudm_UECM DeregistrationData.
    pub struct DeregistrationData {
        required { dereg_reason: DeregistrationReason, }
        optional {
            access_type: AccessType,
            pdu_session_id: PduSessionId,
            new_smf_instance_id: NfInstanceId,
        }
    }
}

open_enum! {
    /// TS29503_Nudm_UECM DeregistrationReason.
    pub enum DeregistrationReason {
        UeInitialRegistration = "UE_INITIAL_REGISTRATION",
        UeRegistrationAreaChange = "UE_REGISTRATION_AREA_CHANGE",
        SubscriptionWithdrawn = "SUBSCRIPTION_WITHDRAWN",
        FiveGsToEpsMobility = "5GS_TO_EPS_MOBILITY",
        FiveGsToEpsMobilityUeInitialRegistration = "5GS_TO_EPS_MOBILITY_UE_INITIAL_REGISTRATION",
        ReregistrationRequired = "REREGISTRATION_REQUIRED",
        SmfContextTransferred = "SMF_CONTEXT_TRANSFERRED",
        DuplicatePduSession = "DUPLICATE_PDU_SESSION",
    }
}
