//! Nsmf_PDUSession, SM contexts: TS 29.502 §5.2, §6.1.

mod enums;
mod models;
mod operations;

pub use enums::{
    Cause, DnnSelectionMode, EpsInterworkingIndication, HoState, N2SmInfoType, RequestType, ResourceStatus,
    UpCnxState,
};
pub use models::{
    ExtProblemDetails, QosFlowSetupItem, SmContext, SmContextCreateData, SmContextCreateError,
    SmContextCreatedData, SmContextReleaseData, SmContextReleasedData, SmContextRetrieveData,
    SmContextRetrievedData, SmContextStatusNotification, SmContextUpdateData, SmContextUpdateError,
    SmContextUpdatedData, StatusInfo,
};
pub use operations::{
    PostSmContexts, ReleaseSmContext, RetrieveSmContext, SmContextStatusNotify, UpdateSmContext,
};
