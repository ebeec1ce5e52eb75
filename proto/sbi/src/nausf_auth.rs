//! Nausf_UEAuthentication: TS 29.509 §5.2, §6.1.

use serde::{Deserialize, Serialize};
use tern_types::Supi;

use crate::common::{Base64, Links, Octets, Secret, SupportedFeatures, Uri};
use crate::define::operation;
use crate::encoding::Linked;
use crate::model::{model, open_enum};
pub use crate::nudm_ueau::ResynchronizationInfo;

/// Relation in [`UeAuthenticationCtx`]'s `_links` whose URI confirms a 5G AKA.
pub const LINK_5G_AKA: &str = "5g-aka";
/// Relation in `_links` whose URI takes the packets of an EAP session.
pub const LINK_EAP_SESSION: &str = "eap-session";

operation! {
    /// Starts an authentication; 201 with the context's URI.
    pub struct Authenticate("Nausf_UEAuthentication_Authenticate"): Post "/nausf-auth/v1/ue-authentications" {
        body { info: AuthenticationInfo as Json }
        answer UeAuthenticationCtx as Hal;
    }
}

operation! {
    /// Hands over the UE's RES*.
    pub struct Confirm5gAka("Nausf_UEAuthentication_Authenticate_5gAkaConfirmation"):
        Put "/nausf-auth/v1/ue-authentications/{authCtxId}/5g-aka-confirmation"
    {
        path { auth_ctx_id: String, }
        body { confirmation: ConfirmationData as Json }
        answer ConfirmationDataResponse as Json;
    }
}

operation! {
    /// Removes the result of a 5G AKA, as when its UE deregisters at once.
    pub struct DeleteAuth("Nausf_UEAuthentication_Delete5gAkaAuthenticationResult"):
        Delete "/nausf-auth/v1/ue-authentications/{authCtxId}/5g-aka-confirmation"
    {
        path { auth_ctx_id: String, }
        answer () as Empty;
    }
}

operation! {
    /// Hands over the UE's packet in an EAP session.
    pub struct EapAuthMethod("Nausf_UEAuthentication_Authenticate_EapAuthMethod"):
        Post "/nausf-auth/v1/ue-authentications/{authCtxId}/eap-session"
    {
        path { auth_ctx_id: String, }
        body { session: EapSession as Json }
        answer EapSession as LinkedJson;
    }
}

operation! {
    /// Removes the result of an EAP session, as when its UE deregisters at once.
    pub struct DeleteEapAuth("Nausf_UEAuthentication_DeleteEapAuthenticationResult"):
        Delete "/nausf-auth/v1/ue-authentications/{authCtxId}/eap-session"
    {
        path { auth_ctx_id: String, }
        answer () as Empty;
    }
}

model! {
    /// TS29509_Nausf_UEAuthentication AuthenticationInfo.
    pub struct AuthenticationInfo {
        required {
            /// `imsi-…` or `suci-…`.
            supi_or_suci: String,
            serving_network_name: String,
        }
        optional {
            resynchronization_info: ResynchronizationInfo,
            pei: tern_types::Imei,
            udm_group_id: String,
            routing_indicator: String,
            supported_features: SupportedFeatures,
        }
    }
}

model! {
    /// TS29509_Nausf_UEAuthentication UEAuthenticationCtx.
    pub struct UeAuthenticationCtx {
        required {
            auth_type: AuthType,
            #[serde(rename = "5gAuthData")]
            auth_data: AuthData,
            /// [`LINK_5G_AKA`] leads to the confirmation, [`LINK_EAP_SESSION`] to the EAP session.
            #[serde(rename = "_links")]
            links: Links,
        }
        optional { serving_network_name: String, }
    }
}

impl UeAuthenticationCtx {
    /// The URI that confirms a 5G AKA.
    pub fn confirmation_uri(&self) -> Option<Uri> {
        self.links.get(LINK_5G_AKA)?.href().map(str::to_owned)
    }

    /// The URI that takes the packets of an EAP session.
    pub fn eap_session_uri(&self) -> Option<Uri> {
        self.links.get(LINK_EAP_SESSION)?.href().map(str::to_owned)
    }
}

/// `5gAuthData` of TS29509_Nausf_UEAuthentication UEAuthenticationCtx.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AuthData {
    /// 5G AKA.
    Av5gAka(Av5gAka),
    /// EAP: the packet.
    EapPayload(Base64),
}

model! {
    /// TS29509_Nausf_UEAuthentication EapSession.
    pub struct EapSession {
        required { eap_payload: Base64, }
        optional {
            k_seaf: Secret<32>,
            #[serde(rename = "_links")]
            links: Links,
            auth_result: AuthResult,
            supi: Supi,
            supported_features: SupportedFeatures,
        }
    }
}

impl Linked for EapSession {
    fn has_links(&self) -> bool {
        self.links.is_some()
    }
}

model! {
    /// TS29509_Nausf_UEAuthentication Av5gAka.
    pub struct Av5gAka {
        required {
            rand: Octets<16>,
            hxres_star: Octets<16>,
            autn: Octets<16>,
        }
    }
}

open_enum! {
    /// TS29509_Nausf_UEAuthentication AuthType and TS29503_Nudm_UEAU AuthType.
    pub enum AuthType {
        FiveGAka = "5G_AKA",
        EapAkaPrime = "EAP_AKA_PRIME",
        EapTls = "EAP_TLS",
        EapTtls = "EAP_TTLS",
        None = "NONE",
    }
}

model! {
    /// TS29509_Nausf_UEAuthentication ConfirmationData.
    pub struct ConfirmationData {
        required { res_star: Secret<16>, }
        optional { supported_features: SupportedFeatures, }
    }
}

model! {
    /// TS29509_Nausf_UEAuthentication ConfirmationDataResponse.
    pub struct ConfirmationDataResponse {
        required { auth_result: AuthResult, }
        optional {
            supi: Supi,
            kseaf: Secret<32>,
        }
    }
}

/// TS29509_Nausf_UEAuthentication AuthResult.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AuthResult {
    /// RES* or RES was right.
    AuthenticationSuccess,
    /// RES* or RES was wrong, or the UE refuses.
    AuthenticationFailure,
    /// EAP goes on.
    AuthenticationOngoing,
}
