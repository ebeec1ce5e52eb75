//! Nnssf_NSSelection: TS 29.531 §5.2, §6.1.

use tern_types::{PlmnId, Snssai, Tai};

use crate::common::{AccessType, NfInstanceId, NfType, SupportedFeatures, Uri};
use crate::define::operation;
use crate::model::{model, open_enum};

operation! {
    /// Selects slices, for a registration or for a PDU session.
    pub struct GetSliceSelectionInfo("Nnssf_NSSelection_Get"):
        Get "/nnssf-nsselection/v2/network-slice-information"
    {
        required {
            "nf-type" nf_type: NfType as Text,
            "nf-id" nf_id: NfInstanceId as Text,
        }
        optional {
            "slice-info-request-for-registration" registration: SliceInfoForRegistration as Json,
            "slice-info-request-for-pdu-session" pdu_session: SliceInfoForPduSession as Json,
            "home-plmn-id" home_plmn_id: PlmnId as Json,
            "tai" tai: Tai as Json,
            "supported-features" supported_features: SupportedFeatures as Text,
        }
        answer AuthorizedNetworkSliceInfo as Json;
    }
}

model! {
    /// TS29531_Nnssf_NSSelection SliceInfoForRegistration.
    pub struct SliceInfoForRegistration {
        optional {
            allowed_nssai_current_access: AllowedNssai,
            allowed_nssai_other_access: AllowedNssai,
            default_configured_snssai_ind: bool,
            request_mapping: bool,
        }
        lists {
            subscribed_nssai: SubscribedSnssai,
            s_nssai_for_mapping: Snssai,
            requested_nssai: Snssai,
            mapping_of_nssai: MappingOfSnssai,
        }
    }
}

model! {
    /// TS29531_Nnssf_NSSelection SliceInfoForPDUSession.
    pub struct SliceInfoForPduSession {
        required {
            s_nssai: Snssai,
            roaming_indication: RoamingIndication,
        }
        optional { home_snssai: Snssai, }
    }
}

open_enum! {
    /// TS29531_Nnssf_NSSelection RoamingIndication.
    pub enum RoamingIndication {
        NonRoaming = "NON_ROAMING",
        LocalBreakout = "LOCAL_BREAKOUT",
        HomeRoutedRoaming = "HOME_ROUTED_ROAMING",
    }
}

model! {
    /// TS29531_Nnssf_NSSelection SubscribedSnssai.
    pub struct SubscribedSnssai {
        required { subscribed_snssai: Snssai, }
        optional { default_indication: bool, }
    }
}

model! {
    /// TS29531_Nnssf_NSSelection MappingOfSnssai.
    pub struct MappingOfSnssai {
        required {
            serving_snssai: Snssai,
            home_snssai: Snssai,
        }
    }
}

model! {
    /// TS29531_Nnssf_NSSelection AuthorizedNetworkSliceInfo.
    pub struct AuthorizedNetworkSliceInfo {
        optional {
            /// MCC, MNC, AMF region and AMF set, such as `001-01-01-001`.
            target_amf_set: String,
            nsi_information: NsiInformation,
            supported_features: SupportedFeatures,
            nrf_amf_set: Uri,
        }
        lists {
            allowed_nssai_list: AllowedNssai,
            configured_nssai: ConfiguredSnssai,
            candidate_amf_list: NfInstanceId,
            rejected_nssai_in_plmn: Snssai,
            rejected_nssai_in_ta: Snssai,
        }
    }
}

model! {
    /// TS29531_Nnssf_NSSelection AllowedNssai.
    pub struct AllowedNssai {
        required {
            allowed_snssai_list: Vec<AllowedSnssai>,
            access_type: AccessType,
        }
    }
}

model! {
    /// TS29531_Nnssf_NSSelection AllowedSnssai.
    pub struct AllowedSnssai {
        required { allowed_snssai: Snssai, }
        optional { mapped_home_snssai: Snssai, }
        lists { nsi_information_list: NsiInformation, }
    }
}

model! {
    /// TS29531_Nnssf_NSSelection ConfiguredSnssai.
    pub struct ConfiguredSnssai {
        required { configured_snssai: Snssai, }
        optional { mapped_home_snssai: Snssai, }
    }
}

model! {
    /// TS29531_Nnssf_NSSelection NsiInformation.
    pub struct NsiInformation {
        required { nrf_id: Uri, }
        optional { nsi_id: String, }
    }
}
