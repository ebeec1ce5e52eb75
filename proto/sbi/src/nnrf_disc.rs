//! Nnrf_NFDiscovery: TS 29.510 §5.3, §6.2.

use tern_types::{Dnn, Guami, PlmnId, Snssai, Supi, Tai};

use crate::common::{AccessType, NfInstanceId, NfType, PduSessionType, ServiceName, SupportedFeatures};
use crate::define::operation;
use crate::model::model;
use crate::nnrf_nfm::NfProfile;

operation! {
    /// Finds the NF instances that fit all parameters.
    pub struct SearchNfInstances("Nnrf_NFDiscovery_Request"): Get "/nnrf-disc/v1/nf-instances" {
        required {
            "target-nf-type" target_nf_type: NfType as Text,
            "requester-nf-type" requester_nf_type: NfType as Text,
        }
        optional {
            "service-names" service_names: Vec<ServiceName> as Csv,
            "requester-nf-instance-id" requester_nf_instance_id: NfInstanceId as Text,
            "target-nf-instance-id" target_nf_instance_id: NfInstanceId as Text,
            "target-plmn-list" target_plmn_list: Vec<PlmnId> as Json,
            "requester-plmn-list" requester_plmn_list: Vec<PlmnId> as Json,
            "snssais" snssais: Vec<Snssai> as Json,
            "dnn" dnn: Dnn as Text,
            "smf-serving-area" smf_serving_area: String as Text,
            "tai" tai: Tai as Json,
            "amf-region-id" amf_region_id: String as Text,
            "amf-set-id" amf_set_id: String as Text,
            "guami" guami: Guami as Json,
            "supi" supi: Supi as Text,
            "routing-indicator" routing_indicator: String as Text,
            "group-id-list" group_id_list: Vec<String> as Csv,
            "target-nf-set-id" target_nf_set_id: String as Text,
            "access-type" access_type: AccessType as Text,
            "pdu-session-types" pdu_session_types: Vec<PduSessionType> as Csv,
            "preferred-locality" preferred_locality: String as Text,
            "limit" limit: u32 as Text,
            "requester-features" requester_features: SupportedFeatures as Text,
        }
        answer SearchResult as Json;
    }
}

model! {
    /// TS29510_Nnrf_NFDiscovery SearchResult.
    pub struct SearchResult {
        required { nf_instances: Vec<NfProfile>, }
        optional {
            /// Seconds.
            validity_period: u32,
            search_id: String,
            num_nf_inst_complete: u32,
            nrf_supported_features: SupportedFeatures,
        }
    }
}
