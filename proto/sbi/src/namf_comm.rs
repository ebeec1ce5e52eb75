//! Namf_Communication, N1 and N2 messages: TS 29.518 §5.2, §6.1.

use tern_types::{Arp, PduSessionId, Snssai, Tai};

use crate::common::{AccessType, FiveQi, NfInstanceId, SupportedFeatures, Uri};
use crate::define::operation;
use crate::encoding::{Encoding, Json};
use crate::model::{model, open_enum};
use crate::{Body, Failure, ProblemDetails, RefToBinaryData, RefersToParts};

operation! {
    /// Sends an N1 message to a UE and N2 information to its access network. 200: handed on, or
    /// the UE is being paged (202).
    pub struct N1N2MessageTransfer("Namf_Communication_N1N2MessageTransfer"):
        Post "/namf-comm/v1/ue-contexts/{ueContextId}/n1-n2-messages"
    {
        path { ue_context_id: String, }
        related { data: N1N2MessageTransferReqData }
        answer N1N2MessageTransferRspData as Json;
        failure N1N2MessageTransferError;
    }
}

operation! {
    /// Tells the sender that a message did not reach its UE, at its `n1n2FailureTxfNotifURI`.
    pub struct N1N2TransferFailureNotify("Namf_Communication_N1N2TransferFailureNotification"):
        Post "/callbacks/v1/n1n2-failure/{session}"
    {
        callback { session }
        body { notification: N1N2MsgTxfrFailureNotification as Json }
        answer () as Empty;
    }
}

model! {
    /// TS29518_Namf_Communication N1N2MessageTransferReqData.
    pub struct N1N2MessageTransferReqData {
        optional {
            n1_message_container: N1MessageContainer,
            n2_info_container: N2InfoContainer,
            skip_ind: bool,
            last_msg_indication: bool,
            pdu_session_id: PduSessionId,
            /// Paging policy indicator, 0 to 7.
            ppi: u8,
            arp: Arp,
            #[serde(rename = "5qi")]
            five_qi: FiveQi,
            #[serde(rename = "n1n2FailureTxfNotifURI")]
            n1n2_failure_txf_notif_uri: Uri,
            smf_reallocation_ind: bool,
            area_of_validity: AreaOfValidity,
            supported_features: SupportedFeatures,
            target_access: AccessType,
            nf_id: NfInstanceId,
        }
    }
}

impl RefersToParts for N1N2MessageTransferReqData {
    fn n1(&self) -> Option<&RefToBinaryData> {
        Some(&self.n1_message_container.as_ref()?.n1_message_content)
    }

    fn n2(&self) -> Option<&RefToBinaryData> {
        let content = self.n2_info_container.as_ref()?.sm_info.as_ref()?.n2_info_content.as_ref();
        Some(&content?.ngap_data)
    }

    fn refer(&mut self, n1: Option<RefToBinaryData>, n2: Option<RefToBinaryData>) {
        match (&mut self.n1_message_container, n1) {
            (Some(container), Some(n1)) => container.n1_message_content = n1,
            (container, None) => *container = None,
            (None, Some(n1)) => {
                self.n1_message_container = Some(N1MessageContainer::new(N1MessageClass::Sm, n1));
            }
        }
        let sm_info = self.n2_info_container.as_mut().and_then(|container| container.sm_info.as_mut());
        let content = sm_info.and_then(|info| info.n2_info_content.as_mut());
        match (content, n2) {
            (Some(content), Some(n2)) => content.ngap_data = n2,
            (_, None) => self.n2_info_container = None,
            (None, Some(_)) => {}
        }
    }
}

model! {
    /// TS29518_Namf_Communication N1MessageContainer.
    pub struct N1MessageContainer {
        required {
            n1_message_class: N1MessageClass,
            n1_message_content: RefToBinaryData,
        }
        optional {
            nf_id: NfInstanceId,
            service_instance_id: String,
        }
    }
}

impl N1MessageContainer {
    /// A session management message; the encoding fills the reference.
    pub fn sm() -> Self {
        Self::new(N1MessageClass::Sm, RefToBinaryData::new(String::new()))
    }
}

open_enum! {
    /// TS29518_Namf_Communication N1MessageClass.
    pub enum N1MessageClass {
        FiveGmm = "5GMM",
        Sm = "SM",
        Lpp = "LPP",
        Sms = "SMS",
        Updp = "UPDP",
        Lcs = "LCS",
    }
}

model! {
    /// TS29518_Namf_Communication N2InfoContainer.
    pub struct N2InfoContainer {
        required { n2_information_class: N2InformationClass, }
        optional { sm_info: N2SmInformation, }
    }
}

impl N2InfoContainer {
    /// A session's NGAP IE; the encoding fills the reference.
    pub fn sm(pdu_session_id: PduSessionId, ngap_ie_type: NgapIeType, s_nssai: Option<Snssai>) -> Self {
        let content = N2InfoContent {
            ngap_ie_type: Some(ngap_ie_type),
            ..N2InfoContent::new(RefToBinaryData::new(String::new()))
        };
        let info = N2SmInformation {
            n2_info_content: Some(content),
            s_nssai,
            ..N2SmInformation::new(pdu_session_id)
        };
        Self { sm_info: Some(info), ..Self::new(N2InformationClass::Sm) }
    }
}

open_enum! {
    /// TS29518_Namf_Communication N2InformationClass.
    pub enum N2InformationClass {
        Sm = "SM",
        NrPpa = "NRPPa",
        Pws = "PWS",
        Ran = "RAN",
    }
}

model! {
    /// TS29518_Namf_Communication N2SmInformation.
    pub struct N2SmInformation {
        required { pdu_session_id: PduSessionId, }
        optional {
            n2_info_content: N2InfoContent,
            s_nssai: Snssai,
            subject_to_ho: bool,
        }
    }
}

model! {
    /// TS29518_Namf_Communication N2InfoContent.
    pub struct N2InfoContent {
        required { ngap_data: RefToBinaryData, }
        optional {
            ngap_message_type: u32,
            ngap_ie_type: NgapIeType,
        }
    }
}

open_enum! {
    /// TS29518_Namf_Communication NgapIeType.
    pub enum NgapIeType {
        PduResSetupReq = "PDU_RES_SETUP_REQ",
        PduResRelCmd = "PDU_RES_REL_CMD",
        PduResModReq = "PDU_RES_MOD_REQ",
        HandoverCmd = "HANDOVER_CMD",
        HandoverRequired = "HANDOVER_REQUIRED",
        HandoverPrepFail = "HANDOVER_PREP_FAIL",
        SecondaryRatUsage = "SECONDARY_RAT_USAGE",
    }
}

model! {
    /// TS29518_Namf_Communication AreaOfValidity.
    pub struct AreaOfValidity {
        required { tai_list: Vec<Tai>, }
    }
}

model! {
    /// TS29518_Namf_Communication N1N2MessageTransferRspData.
    pub struct N1N2MessageTransferRspData {
        required { cause: N1N2MessageTransferCause, }
        optional { supported_features: SupportedFeatures, }
    }
}

open_enum! {
    /// TS29518_Namf_Communication N1N2MessageTransferCause.
    pub enum N1N2MessageTransferCause {
        AttemptingToReachUe = "ATTEMPTING_TO_REACH_UE",
        N1N2TransferInitiated = "N1_N2_TRANSFER_INITIATED",
        WaitingForAsynchronousTransfer = "WAITING_FOR_ASYNCHRONOUS_TRANSFER",
        UeNotResponding = "UE_NOT_RESPONDING",
        N1MsgNotTransferred = "N1_MSG_NOT_TRANSFERRED",
        N2MsgNotTransferred = "N2_MSG_NOT_TRANSFERRED",
        UeNotReachableForSession = "UE_NOT_REACHABLE_FOR_SESSION",
        TemporaryRejectRegistrationOngoing = "TEMPORARY_REJECT_REGISTRATION_ONGOING",
        TemporaryRejectHandoverOngoing = "TEMPORARY_REJECT_HANDOVER_ONGOING",
        AnNotResponding = "AN_NOT_RESPONDING",
        FailureCauseUnspecified = "FAILURE_CAUSE_UNSPECIFIED",
    }
}

model! {
    /// TS29518_Namf_Communication N1N2MessageTransferError.
    pub struct N1N2MessageTransferError {
        required { error: ProblemDetails, }
        optional { err_info: N1N2MsgTxfrErrDetail, }
    }
}

impl Failure for N1N2MessageTransferError {
    fn into_body(self) -> Body {
        Json::encode(self)
    }

    fn from_body(body: &Body) -> Option<Self> {
        Json::decode(body).ok()
    }

    fn problem(&self) -> &ProblemDetails {
        &self.error
    }
}

model! {
    /// TS29518_Namf_Communication N1N2MsgTxfrErrDetail.
    pub struct N1N2MsgTxfrErrDetail {
        optional {
            /// Seconds.
            retry_after: u32,
            highest_prio_arp: Arp,
            /// Seconds.
            max_waiting_time: u32,
        }
    }
}

model! {
    /// TS29518_Namf_Communication N1N2MsgTxfrFailureNotification.
    pub struct N1N2MsgTxfrFailureNotification {
        required {
            cause: N1N2MessageTransferCause,
            #[serde(rename = "n1n2MsgDataUri")]
            n1n2_msg_data_uri: Uri,
        }
    }
}
