//! Namf_Location: TS 29.518 §5.5, §6.4.

use crate::common::{RatType, SupportedFeatures, UserLocation};
use crate::define::operation;
use crate::model::model;

operation! {
    /// Where a UE is: as the AMF knows it, or as the gNB says now.
    pub struct ProvideLocationInfo("Namf_Location_ProvideLocationInfo"):
        Post "/namf-loc/v1/{ueContextId}/provide-loc-info"
    {
        path { ue_context_id: String, }
        body { data: RequestLocInfo as Json }
        answer ProvideLocInfo as Json;
    }
}

model! {
    /// TS29518_Namf_Location RequestLocInfo.
    pub struct RequestLocInfo {
        optional {
            /// Whether the location in the 5GS is wanted.
            #[serde(rename = "req5gsLoc")]
            req_5gs_loc: bool,
            /// Whether it is to be the current one.
            req_current_loc: bool,
            req_rat_type: bool,
            supported_features: SupportedFeatures,
        }
    }
}

model! {
    /// TS29518_Namf_Location ProvideLocInfo.
    pub struct ProvideLocInfo {
        optional {
            /// Whether the location is the current one.
            current_loc: bool,
            location: UserLocation,
            /// Minutes.
            location_age: u16,
            rat_type: RatType,
            supported_features: SupportedFeatures,
        }
    }
}
