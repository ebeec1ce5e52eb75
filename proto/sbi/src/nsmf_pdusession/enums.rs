//! Enumerations of TS29502_Nsmf_PDUSession.

use crate::model::open_enum;

open_enum! {
    /// TS29502_Nsmf_PDUSession RequestType.
    pub enum RequestType {
        InitialRequest = "INITIAL_REQUEST",
        ExistingPduSession = "EXISTING_PDU_SESSION",
        InitialEmergencyRequest = "INITIAL_EMERGENCY_REQUEST",
        ExistingEmergencyPduSession = "EXISTING_EMERGENCY_PDU_SESSION",
    }
}

open_enum! {
    /// TS29502_Nsmf_PDUSession UpCnxState.
    pub enum UpCnxState {
        Activated = "ACTIVATED",
        Deactivated = "DEACTIVATED",
        Activating = "ACTIVATING",
        Suspended = "SUSPENDED",
    }
}

open_enum! {
    /// TS29502_Nsmf_PDUSession HoState.
    pub enum HoState {
        None = "NONE",
        Preparing = "PREPARING",
        Prepared = "PREPARED",
        Completed = "COMPLETED",
        Cancelled = "CANCELLED",
    }
}

open_enum! {
    /// TS29502_Nsmf_PDUSession ResourceStatus.
    pub enum ResourceStatus {
        Released = "RELEASED",
        Unchanged = "UNCHANGED",
        Transferred = "TRANSFERRED",
        Updated = "UPDATED",
    }
}

open_enum! {
    /// TS29502_Nsmf_PDUSession DnnSelectionMode.
    pub enum DnnSelectionMode {
        Verified = "VERIFIED",
        UeDnnNotVerified = "UE_DNN_NOT_VERIFIED",
        NwDnnNotVerified = "NW_DNN_NOT_VERIFIED",
    }
}

open_enum! {
    /// TS29502_Nsmf_PDUSession EpsInterworkingIndication.
    pub enum EpsInterworkingIndication {
        None = "NONE",
        WithN26 = "WITH_N26",
        WithoutN26 = "WITHOUT_N26",
        IwkNon3gpp = "IWK_NON_3GPP",
    }
}

open_enum! {
    /// TS29502_Nsmf_PDUSession N2SmInfoType: which NGAP transfer the N2 part is.
    pub enum N2SmInfoType {
        PduResSetupReq = "PDU_RES_SETUP_REQ",
        PduResSetupRsp = "PDU_RES_SETUP_RSP",
        PduResSetupFail = "PDU_RES_SETUP_FAIL",
        PduResRelCmd = "PDU_RES_REL_CMD",
        PduResRelRsp = "PDU_RES_REL_RSP",
        PduResModReq = "PDU_RES_MOD_REQ",
        PduResModRsp = "PDU_RES_MOD_RSP",
        PduResModFail = "PDU_RES_MOD_FAIL",
        PduResNty = "PDU_RES_NTY",
        PduResNtyRel = "PDU_RES_NTY_REL",
        PduResModInd = "PDU_RES_MOD_IND",
        PduResModCfm = "PDU_RES_MOD_CFM",
        PathSwitchReq = "PATH_SWITCH_REQ",
        PathSwitchSetupFail = "PATH_SWITCH_SETUP_FAIL",
        PathSwitchReqAck = "PATH_SWITCH_REQ_ACK",
        PathSwitchReqFail = "PATH_SWITCH_REQ_FAIL",
        HandoverRequired = "HANDOVER_REQUIRED",
        HandoverCmd = "HANDOVER_CMD",
        HandoverPrepFail = "HANDOVER_PREP_FAIL",
        HandoverReqAck = "HANDOVER_REQ_ACK",
        HandoverResAllocFail = "HANDOVER_RES_ALLOC_FAIL",
        SecondaryRatUsage = "SECONDARY_RAT_USAGE",
        PduResModIndFail = "PDU_RES_MOD_IND_FAIL",
    }
}

open_enum! {
    /// TS29502_Nsmf_PDUSession Cause.
    pub enum Cause {
        RelDueToHo = "REL_DUE_TO_HO",
        RelDueToUpSec = "REL_DUE_TO_UP_SEC",
        DnnCongestion = "DNN_CONGESTION",
        SNssaiCongestion = "S_NSSAI_CONGESTION",
        RelDueToReactivation = "REL_DUE_TO_REACTIVATION",
        FiveGAnNotResponding = "5G_AN_NOT_RESPONDING",
        RelDueToSliceNotAvailable = "REL_DUE_TO_SLICE_NOT_AVAILABLE",
        RelDueToDuplicateSessionId = "REL_DUE_TO_DUPLICATE_SESSION_ID",
        PduSessionStatusMismatch = "PDU_SESSION_STATUS_MISMATCH",
        HoFailure = "HO_FAILURE",
        InsufficientUpResources = "INSUFFICIENT_UP_RESOURCES",
        PduSessionHandedOver = "PDU_SESSION_HANDED_OVER",
        PduSessionResumed = "PDU_SESSION_RESUMED",
        RelDueToSubscriptionChange = "REL_DUE_TO_SUBSCRIPTION_CHANGE",
        HoCancel = "HO_CANCEL",
        RelDueToSliceNotAuthorized = "REL_DUE_TO_SLICE_NOT_AUTHORIZED",
        RelDueToUnspecifiedReason = "REL_DUE_TO_UNSPECIFIED_REASON",
    }
}
