//! NF profiles and services: TS29510_Nnrf_NFManagement, and TS29510_Nnrf_NFDiscovery, whose
//! NFProfile and NFService are the same without what concerns the NRF alone.

use std::net::{Ipv4Addr, Ipv6Addr};

use tern_types::{PlmnId, Snssai};

use super::{AmfInfo, AusfInfo, PcfInfo, SmfInfo, UdmInfo, UdrInfo, UpfInfo};
use crate::common::{DateTime, NfInstanceId, NfType, ServiceName, SupportedFeatures, Uri, UriScheme};
use crate::model::{model, open_enum};

model! {
    /// What tern adds to NFProfile in its `customInfo`, which is any object.
    pub struct CustomInfo {
        optional {
            /// The node whose shared memory the network function is reached by.
            tern_node: String,
        }
    }
}

model! {
    /// TS29510_Nnrf_NFManagement NFProfile.
    pub struct NfProfile {
        required {
            nf_instance_id: NfInstanceId,
            nf_type: NfType,
            nf_status: NfStatus,
        }
        optional {
            nf_instance_name: String,
            /// Seconds between heartbeats, at least 1.
            heart_beat_timer: u32,
            fqdn: String,
            inter_plmn_fqdn: String,
            /// 0 (highest) to 65535.
            priority: u16,
            capacity: u16,
            /// Percent.
            load: u8,
            load_time_stamp: DateTime,
            locality: String,
            udr_info: UdrInfo,
            udm_info: UdmInfo,
            ausf_info: AusfInfo,
            amf_info: AmfInfo,
            smf_info: SmfInfo,
            upf_info: UpfInfo,
            pcf_info: PcfInfo,
            recovery_time: DateTime,
            nf_service_persistence: bool,
            nf_profile_changes_support_ind: bool,
            nf_profile_changes_ind: bool,
            custom_info: CustomInfo,
        }
        lists {
            plmn_list: PlmnId,
            s_nssais: Snssai,
            per_plmn_snssai_list: PlmnSnssai,
            nsi_list: String,
            ipv4_addresses: Ipv4Addr,
            ipv6_addresses: Ipv6Addr,
            allowed_plmns: PlmnId,
            allowed_nf_types: NfType,
            allowed_nf_domains: String,
            allowed_nssais: Snssai,
            nf_services: NfService,
            default_notification_subscriptions: DefaultNotificationSubscription,
            nf_set_id_list: String,
            serving_scope: String,
        }
        maps {
            nf_service_list: NfService,
            smf_info_list: SmfInfo,
            upf_info_list: UpfInfo,
        }
    }
}

impl NfProfile {
    /// Its services, however the profile lists them.
    pub fn services(&self) -> impl Iterator<Item = &NfService> {
        self.nf_service_list.values().chain(&self.nf_services)
    }
}

open_enum! {
    /// TS29510_Nnrf_NFManagement NFStatus.
    pub enum NfStatus {
        Registered = "REGISTERED",
        Suspended = "SUSPENDED",
        Undiscoverable = "UNDISCOVERABLE",
    }
}

model! {
    /// TS29510_Nnrf_NFManagement NFService.
    pub struct NfService {
        required {
            service_instance_id: String,
            service_name: ServiceName,
            versions: Vec<NfServiceVersion>,
            scheme: UriScheme,
            nf_service_status: NfServiceStatus,
        }
        optional {
            fqdn: String,
            inter_plmn_fqdn: String,
            api_prefix: String,
            /// 0 (highest) to 65535.
            priority: u16,
            capacity: u16,
            /// Percent.
            load: u8,
            load_time_stamp: DateTime,
            recovery_time: DateTime,
            supported_features: SupportedFeatures,
            oauth2_required: bool,
        }
        lists {
            ip_end_points: IpEndPoint,
            default_notification_subscriptions: DefaultNotificationSubscription,
            allowed_plmns: PlmnId,
            allowed_nf_types: NfType,
            allowed_nf_domains: String,
            allowed_nssais: Snssai,
            s_nssais: Snssai,
            per_plmn_snssai_list: PlmnSnssai,
            nf_service_set_id_list: String,
        }
    }
}

open_enum! {
    /// TS29510_Nnrf_NFManagement NFServiceStatus.
    pub enum NfServiceStatus {
        Registered = "REGISTERED",
        Suspended = "SUSPENDED",
        Undiscoverable = "UNDISCOVERABLE",
    }
}

model! {
    /// TS29510_Nnrf_NFManagement NFServiceVersion.
    pub struct NfServiceVersion {
        required {
            /// Such as `v1`.
            api_version_in_uri: String,
            /// Such as `1.2.0`.
            api_full_version: String,
        }
        optional { expiry: DateTime, }
    }
}

model! {
    /// TS29510_Nnrf_NFManagement IpEndPoint.
    pub struct IpEndPoint {
        optional {
            ipv4_address: Ipv4Addr,
            ipv6_address: Ipv6Addr,
            transport: TransportProtocol,
            port: u16,
        }
    }
}

open_enum! {
    /// TS29510_Nnrf_NFManagement TransportProtocol.
    pub enum TransportProtocol {
        Tcp = "TCP",
    }
}

model! {
    /// TS29510_Nnrf_NFManagement PlmnSnssai.
    pub struct PlmnSnssai {
        required {
            plmn_id: PlmnId,
            s_nssai_list: Vec<Snssai>,
        }
    }
}

model! {
    /// TS29510_Nnrf_NFManagement DefaultNotificationSubscription.
    pub struct DefaultNotificationSubscription {
        required {
            notification_type: NotificationType,
            callback_uri: Uri,
        }
        optional {
            n1_message_class: String,
            n2_information_class: String,
        }
    }
}

open_enum! {
    /// TS29510_Nnrf_NFManagement NotificationType.
    pub enum NotificationType {
        N1Messages = "N1_MESSAGES",
        N2Information = "N2_INFORMATION",
        LocationNotification = "LOCATION_NOTIFICATION",
        DataRemovalNotification = "DATA_REMOVAL_NOTIFICATION",
        DataChangeNotification = "DATA_CHANGE_NOTIFICATION",
    }
}
