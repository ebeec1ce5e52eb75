//! Nudr_DataRepository: TS 29.504; the data: TS 29.505 and TS 29.519.

mod authentication;
mod context;
mod notification;
mod policy;
mod provisioned;

pub use authentication::{
    AuthenticationSubscription, CreateAuthenticationStatus, DeleteAuthenticationStatus,
    ModifyAuthSubscription, QueryAuthSubscription, QueryAuthenticationStatus, SequenceNumber, Sign,
    SqnScheme,
};
pub use context::{
    AmfContext3gpp, CreateAmfContext3gpp, CreateOrUpdateSmfRegistration, CreateSdmSubscription,
    DeleteSmfRegistration, QueryAmfContext3gpp, QuerySdmSubscriptions, QuerySmfRegList, QuerySmfRegistration,
    RemoveSdmSubscription, UpdateSdmSubscription,
};
pub use notification::{
    DataChangeNotify, PolicyDataChange, PolicyDataChangeNotification, PolicyDataSubscription,
    SubscribeToPolicyData, SubscribeToSubscriptionData, SubscriptionDataChange,
    SubscriptionDataSubscriptions, UnsubscribeFromPolicyData, UnsubscribeFromSubscriptionData,
};
pub use policy::{
    AmPolicyData, ReadAmPolicyData, ReadSmPolicyData, SmPolicyData, SmPolicyDnnData, SmPolicySnssaiData,
};
pub use provisioned::{
    ProvisionedDataSets, QueryAmData, QueryProvisionedData, QuerySmData, QuerySmfSelectData,
};
