//! Nudm_SubscriberDataManagement: TS 29.503 §5.2, §6.1.

mod access;
mod operations;
mod session;
mod subscription;

pub use access::{
    AccessAndMobilitySubscriptionData, AdditionalSnssaiData, AmfInfo, DataSetName, Nssai,
    SubscriptionDataSets, UeContextInAmfData,
};
pub use operations::{
    DataChangeNotify, GetAmData, GetDataSets, GetNssai, GetSmData, GetSmfSelectData, GetUeContextInSmfData,
    Subscribe, Unsubscribe,
};
pub use session::{
    DnnConfiguration, DnnInfo, ExtendedSmSubsData, PduSession, PduSessionTypes,
    SessionManagementSubscriptionData, SmSubsData, SmfSelectionSubscriptionData, SnssaiInfo, SscModes,
    UeContextInSmfData,
};
pub use subscription::{ModificationNotification, SdmSubscription};
