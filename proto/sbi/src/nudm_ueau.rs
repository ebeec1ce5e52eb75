//! Nudm_UEAuthentication: TS 29.503 §5.4, §6.3.

use serde::{Deserialize, Serialize};
use tern_types::Supi;

use crate::common::{DateTime, NfInstanceId, Octets, Secret, SecretText, SupportedFeatures};
use crate::define::operation;
use crate::model::{model, open_enum};
pub use crate::nausf_auth::AuthType;

operation! {
    /// Asks for an authentication vector.
    pub struct GenerateAuthData("Nudm_UEAuthentication_Get"):
        Post "/nudm-ueau/v1/{supiOrSuci}/security-information/generate-auth-data"
    {
        path { supi_or_suci: String, }
        body { request: AuthenticationInfoRequest as Json }
        answer AuthenticationInfoResult as Json;
    }
}

operation! {
    /// Tells how an authentication ended; 201 with the event's URI.
    pub struct ConfirmAuth("Nudm_UEAuthentication_ResultConfirmation"): Post "/nudm-ueau/v1/{supi}/auth-events" {
        path { supi: Supi, }
        body { event: AuthEvent as Json }
        answer AuthEvent as Json;
    }
}

operation! {
    /// Removes an authentication's result: `authRemovalInd` is true.
    pub struct DeleteAuth("Nudm_UEAuthentication_DeleteAuth"):
        Put "/nudm-ueau/v1/{supi}/auth-events/{authEventId}"
    {
        path {
            supi: Supi,
            auth_event_id: String,
        }
        body { event: AuthEvent as Json }
        answer () as Empty;
    }
}

model! {
    /// TS29503_Nudm_UEAU AuthenticationInfoRequest.
    pub struct AuthenticationInfoRequest {
        required {
            serving_network_name: String,
            ausf_instance_id: NfInstanceId,
        }
        optional {
            resynchronization_info: ResynchronizationInfo,
            supported_features: SupportedFeatures,
        }
    }
}

model! {
    /// TS29503_Nudm_UEAU ResynchronizationInfo.
    pub struct ResynchronizationInfo {
        required {
            rand: Octets<16>,
            auts: Octets<14>,
        }
    }
}

model! {
    /// TS29503_Nudm_UEAU AuthenticationInfoResult.
    pub struct AuthenticationInfoResult {
        required { auth_type: AuthType, }
        optional {
            authentication_vector: AuthenticationVector,
            supi: Supi,
            akma_ind: bool,
            routing_id: String,
            supported_features: SupportedFeatures,
        }
    }
}

/// TS29503_Nudm_UEAU AuthenticationVector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AuthenticationVector {
    /// For 5G AKA.
    Av5gHeAka(Av5gHeAka),
    /// For EAP-AKA'.
    AvEapAkaPrime(AvEapAkaPrime),
}

model! {
    /// TS29503_Nudm_UEAU AvEapAkaPrime.
    pub struct AvEapAkaPrime {
        required {
            av_type: AvType,
            rand: Octets<16>,
            /// 8 to 32 hexadecimal digits.
            xres: SecretText,
            autn: Octets<16>,
            ck_prime: Secret<16>,
            ik_prime: Secret<16>,
        }
    }
}

model! {
    /// TS29503_Nudm_UEAU Av5GHeAka.
    pub struct Av5gHeAka {
        required {
            av_type: AvType,
            rand: Octets<16>,
            xres_star: Secret<16>,
            autn: Octets<16>,
            kausf: Secret<32>,
        }
    }
}

open_enum! {
    /// TS29503_Nudm_UEAU AvType.
    pub enum AvType {
        FiveGHeAka = "5G_HE_AKA",
        EapAkaPrime = "EAP_AKA_PRIME",
    }
}

model! {
    /// TS29503_Nudm_UEAU AuthEvent.
    pub struct AuthEvent {
        required {
            nf_instance_id: NfInstanceId,
            success: bool,
            time_stamp: DateTime,
            auth_type: AuthType,
            serving_network_name: String,
        }
        optional { auth_removal_ind: bool, }
    }
}
