//! Npcf_SMPolicyControl: TS 29.512.

mod context;
mod decision;
mod operations;
mod report;

pub use context::{
    PduSessionRelCause, PolicyControlRequestTrigger, ServingNfIdentity, SmPolicyAssociationReleaseCause,
    SmPolicyContextData, SmPolicyDeleteData, SmPolicyNotification, SmPolicyUpdateContextData,
    TerminationNotification,
};
pub use decision::{
    AuthorizedDefaultQos, FlowDirection, FlowInformation, FlowStatus, PccRule, QosData, SessionRule,
    SmPolicyControl, SmPolicyDecision, TrafficControlData,
};
pub use operations::{
    CreateSmPolicy, DeleteSmPolicy, GetSmPolicy, SmPolicyTerminateNotify, SmPolicyUpdateNotify,
    UpdateSmPolicy,
};
pub use report::{
    ErrorReport, FailureCause, FailureCode, PartialSuccessReport, RuleReport, RuleStatus,
    SmPolicyUpdateReport, UeCampingRep,
};
