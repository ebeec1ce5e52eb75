//! Nnrf_NFManagement: TS 29.510 §5.2, §6.1.

mod infos;
mod operations;
mod profile;
mod subscription;

pub use infos::{
    AmfInfo, AusfInfo, DnnSmfInfoItem, DnnUpfInfoItem, IdentityRange, InterfaceUpfInfoItem, Ipv4AddressRange,
    N2InterfaceAmfInfo, PcfInfo, SmfInfo, SnssaiSmfInfoItem, SnssaiUpfInfoItem, SupiRange, TacRange,
    TaiRange, UdmInfo, UdrInfo, UpInterfaceType, UpfInfo,
};
pub use operations::{
    CreateSubscription, DeregisterNfInstance, GetNfInstance, ListNfInstances, RegisterNfInstance,
    RemoveSubscription, StatusNotify, UpdateNfInstance, UpdateSubscription,
};
pub use profile::{
    CustomInfo, DefaultNotificationSubscription, IpEndPoint, NfProfile, NfService, NfServiceStatus,
    NfServiceVersion, NfStatus, NotificationType, PlmnSnssai, TransportProtocol,
};
pub use subscription::{NotificationData, NotificationEventType, SubscrCond, SubscriptionData, UriList};
