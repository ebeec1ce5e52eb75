//! What an NF profile says of each type of network function: TS29510_Nnrf_NFManagement.

use std::net::{Ipv4Addr, Ipv6Addr};

use tern_types::{Dnn, Guami, PlmnId, Snssai, Supi, Tac, Tai};

use crate::common::{AccessType, DnnOrWildcard, PduSessionType};
use crate::model::{model, open_enum};

model! {
    /// TS29510_Nnrf_NFManagement AmfInfo.
    pub struct AmfInfo {
        required {
            /// 3 hexadecimal digits, the first 0 to 3.
            amf_set_id: String,
            /// 2 hexadecimal digits.
            amf_region_id: String,
            guami_list: Vec<Guami>,
        }
        optional { n2_interface_amf_info: N2InterfaceAmfInfo, }
        lists {
            tai_list: Tai,
            tai_range_list: TaiRange,
            backup_info_amf_failure: Guami,
            backup_info_amf_removal: Guami,
        }
    }
}

model! {
    /// TS29510_Nnrf_NFManagement N2InterfaceAmfInfo.
    pub struct N2InterfaceAmfInfo {
        optional { amf_name: String, }
        lists {
            ipv4_endpoint_address: Ipv4Addr,
            ipv6_endpoint_address: Ipv6Addr,
        }
    }
}

model! {
    /// TS29510_Nnrf_NFManagement SmfInfo.
    pub struct SmfInfo {
        required {
            s_nssai_smf_info_list: Vec<SnssaiSmfInfoItem>,
        }
        optional { priority: u16, }
        lists {
            tai_list: Tai,
            tai_range_list: TaiRange,
            access_type: AccessType,
        }
    }
}

model! {
    /// TS29510_Nnrf_NFManagement SnssaiSmfInfoItem.
    pub struct SnssaiSmfInfoItem {
        required {
            s_nssai: Snssai,
            dnn_smf_info_list: Vec<DnnSmfInfoItem>,
        }
    }
}

model! {
    /// TS29510_Nnrf_NFManagement DnnSmfInfoItem.
    pub struct DnnSmfInfoItem {
        required { dnn: DnnOrWildcard, }
        lists { dnai_list: String, }
    }
}

model! {
    /// TS29510_Nnrf_NFManagement UpfInfo.
    pub struct UpfInfo {
        required {
            s_nssai_upf_info_list: Vec<SnssaiUpfInfoItem>,
        }
        optional {
            iwk_eps_ind: bool,
            ue_ip_addr_ind: bool,
            priority: u16,
        }
        lists {
            smf_serving_area: String,
            interface_upf_info_list: InterfaceUpfInfoItem,
            pdu_session_types: PduSessionType,
            tai_list: Tai,
            tai_range_list: TaiRange,
        }
    }
}

model! {
    /// TS29510_Nnrf_NFManagement SnssaiUpfInfoItem.
    pub struct SnssaiUpfInfoItem {
        required {
            s_nssai: Snssai,
            dnn_upf_info_list: Vec<DnnUpfInfoItem>,
        }
    }
}

model! {
    /// TS29510_Nnrf_NFManagement DnnUpfInfoItem.
    pub struct DnnUpfInfoItem {
        required { dnn: Dnn, }
        lists {
            dnai_list: String,
            pdu_session_types: PduSessionType,
            ipv4_address_ranges: Ipv4AddressRange,
        }
    }
}

model! {
    /// TS29510_Nnrf_NFManagement Ipv4AddressRange.
    pub struct Ipv4AddressRange {
        optional {
            start: Ipv4Addr,
            end: Ipv4Addr,
        }
    }
}

model! {
    /// TS29510_Nnrf_NFManagement InterfaceUpfInfoItem.
    pub struct InterfaceUpfInfoItem {
        required { interface_type: UpInterfaceType, }
        optional {
            endpoint_fqdn: String,
            network_instance: String,
        }
        lists {
            ipv4_endpoint_addresses: Ipv4Addr,
            ipv6_endpoint_addresses: Ipv6Addr,
        }
    }
}

open_enum! {
    /// TS29510_Nnrf_NFManagement UPInterfaceType.
    pub enum UpInterfaceType {
        N3 = "N3",
        N6 = "N6",
        N9 = "N9",
    }
}

model! {
    /// TS29510_Nnrf_NFManagement UdrInfo.
    pub struct UdrInfo {
        optional { group_id: String, }
        lists {
            supi_ranges: SupiRange,
            gpsi_ranges: IdentityRange,
            supported_data_sets: String,
        }
    }
}

model! {
    /// TS29510_Nnrf_NFManagement UdmInfo.
    pub struct UdmInfo {
        optional { group_id: String, }
        lists {
            supi_ranges: SupiRange,
            gpsi_ranges: IdentityRange,
            routing_indicators: String,
        }
    }
}

model! {
    /// TS29510_Nnrf_NFManagement AusfInfo.
    pub struct AusfInfo {
        optional { group_id: String, }
        lists {
            supi_ranges: SupiRange,
            routing_indicators: String,
        }
    }
}

model! {
    /// TS29510_Nnrf_NFManagement PcfInfo.
    pub struct PcfInfo {
        optional { group_id: String, }
        lists {
            dnn_list: Dnn,
            supi_ranges: SupiRange,
            gpsi_ranges: IdentityRange,
        }
    }
}

model! {
    /// TS29510_Nnrf_NFManagement SupiRange: `start` and `end`, or `pattern`.
    pub struct SupiRange {
        optional {
            /// The IMSI's digits.
            start: String,
            end: String,
            /// A regular expression.
            pattern: String,
        }
    }
}

impl SupiRange {
    /// Whether `supi` is in the range; a range given by pattern alone holds none.
    pub fn contains(&self, supi: &Supi) -> bool {
        let (Some(start), Some(end)) = (&self.start, &self.end) else { return false };
        let imsi = supi.imsi();
        imsi.len() == start.len()
            && imsi.len() == end.len()
            && (start.as_str()..=end.as_str()).contains(&imsi)
    }
}

model! {
    /// TS29510_Nnrf_NFManagement IdentityRange.
    pub struct IdentityRange {
        optional {
            start: String,
            end: String,
            pattern: String,
        }
    }
}

model! {
    /// TS29510_Nnrf_NFManagement TaiRange.
    pub struct TaiRange {
        required {
            plmn_id: PlmnId,
            tac_range_list: Vec<TacRange>,
        }
    }
}

impl TaiRange {
    /// Whether `tai` is in the range.
    pub fn contains(&self, tai: &Tai) -> bool {
        self.plmn_id == tai.plmn_id && self.tac_range_list.iter().any(|range| range.contains(tai.tac))
    }
}

model! {
    /// TS29510_Nnrf_NFManagement TacRange: `start` and `end`, or `pattern`.
    pub struct TacRange {
        optional {
            start: Tac,
            end: Tac,
            pattern: String,
        }
    }
}

impl TacRange {
    /// Whether `tac` is in the range; a range given by pattern alone holds none.
    pub fn contains(&self, tac: Tac) -> bool {
        matches!((self.start, self.end), (Some(start), Some(end)) if (start..=end).contains(&tac))
    }
}
