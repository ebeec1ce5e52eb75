//! What of a decision does not hold, as the SMF reports it: TS29512_Npcf_SMPolicyControl.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::ServingNfIdentity;
use crate::common::{AccessType, PlmnIdNid, RatType, UserLocation};
use crate::encoding::{Encoding as _, Json};
use crate::model::{model, open_enum};
use crate::{Body, Failure, ProblemDetails};

model! {
    /// TS29512_Npcf_SMPolicyControl RuleReport.
    pub struct RuleReport {
        required {
            pcc_rule_ids: Vec<String>,
            rule_status: RuleStatus,
        }
        optional { failure_code: FailureCode, }
    }
}

open_enum! {
    /// TS29512_Npcf_SMPolicyControl RuleStatus.
    pub enum RuleStatus {
        Active = "ACTIVE",
        Inactive = "INACTIVE",
    }
}

open_enum! {
    /// TS29512_Npcf_SMPolicyControl FailureCode.
    pub enum FailureCode {
        UnkRuleId = "UNK_RULE_ID",
        RaGrErr = "RA_GR_ERR",
        SerIdErr = "SER_ID_ERR",
        NfMal = "NF_MAL",
        ResLim = "RES_LIM",
        MaxNrQosFlow = "MAX_NR_QoS_FLOW",
        MissFlowInfo = "MISS_FLOW_INFO",
        ResAlloFail = "RES_ALLO_FAIL",
        UnsuccQosVal = "UNSUCC_QOS_VAL",
        IncorFlowInfo = "INCOR_FLOW_INFO",
        AppIdErr = "APP_ID_ERR",
        NoQosFlowBound = "NO_QOS_FLOW_BOUND",
        FilterRes = "FILTER_RES",
        UeStaSusp = "UE_STA_SUSP",
        UnknownRefId = "UNKNOWN_REF_ID",
        AnGwFaile = "AN_GW_FAILE",
        MaxNrPacketFiltersExceeded = "MAX_NR_PACKET_FILTERS_EXCEEDED",
    }
}

open_enum! {
    /// TS29512_Npcf_SMPolicyControl FailureCause.
    pub enum FailureCause {
        PccRuleEvent = "PCC_RULE_EVENT",
        PccQosFlowEvent = "PCC_QOS_FLOW_EVENT",
        RulePermanentError = "RULE_PERMANENT_ERROR",
        RuleTemporaryError = "RULE_TEMPORARY_ERROR",
        PolDecError = "POL_DEC_ERROR",
    }
}

model! {
    /// TS29512_Npcf_SMPolicyControl PartialSuccessReport.
    pub struct PartialSuccessReport {
        required { failure_cause: FailureCause, }
        optional { ue_camping_rep: UeCampingRep, }
        lists { rule_reports: RuleReport, }
    }
}

model! {
    /// TS29512_Npcf_SMPolicyControl UeCampingRep.
    pub struct UeCampingRep {
        optional {
            access_type: AccessType,
            rat_type: RatType,
            serv_nf_id: ServingNfIdentity,
            serving_network: PlmnIdNid,
            user_location_info: UserLocation,
            ue_time_zone: String,
        }
    }
}

/// What the SMF says to a changed policy, where it says something (status 200 of the notification).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SmPolicyUpdateReport {
    /// Rules of which some are not enforced.
    Partial(Vec<PartialSuccessReport>),
    /// PolicyDecisionFailureCode: decisions and conditions that are not.
    Decisions(Vec<String>),
    /// Where the UE is.
    Camping(Box<UeCampingRep>),
}

impl SmPolicyUpdateReport {
    /// The rules of which it says something.
    pub fn rule_reports(self) -> Vec<RuleReport> {
        match self {
            Self::Partial(reports) => reports.into_iter().flat_map(|report| report.rule_reports).collect(),
            Self::Decisions(_) | Self::Camping(_) => Vec::new(),
        }
    }
}

model! {
    /// TS29512_Npcf_SMPolicyControl ErrorReport.
    pub struct ErrorReport {
        optional { error: ProblemDetails, }
        lists { rule_reports: RuleReport, }
    }
}

impl Failure for ErrorReport {
    fn into_body(self) -> Body {
        Json::encode(self)
    }

    fn from_body(body: &Body) -> Option<Self> {
        Json::decode(body).ok()
    }

    fn problem(&self) -> &ProblemDetails {
        static UNSAID: LazyLock<ProblemDetails> = LazyLock::new(ProblemDetails::default);
        self.error.as_ref().unwrap_or(&UNSAID)
    }
}
