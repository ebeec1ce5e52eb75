//! Authentication data: TS29505_Subscription_Data.

use serde::{Deserialize, Serialize};
use tern_types::Supi;

use crate::common::{Octets, PatchItem, PatchResult, SecretText, SupportedFeatures};
use crate::define::operation;
use crate::model::{model, open_enum};
use crate::nausf_auth::AuthType;
use crate::nudm_ueau::AuthEvent;

operation! {
    /// Reads how a subscriber is authenticated.
    pub struct QueryAuthSubscription("Nudr_DR_QueryAuthSubsData"):
        Get "/nudr-dr/v2/subscription-data/{ueId}/authentication-data/authentication-subscription"
    {
        path { ue_id: Supi, }
        optional { "supported-features" supported_features: SupportedFeatures as Text, }
        answer AuthenticationSubscription as Json;
    }
}

operation! {
    /// Changes it: the sequence number, after an authentication or a resynchronisation.
    pub struct ModifyAuthSubscription("Nudr_DR_ModifyAuthenticationSubscription"):
        Patch "/nudr-dr/v2/subscription-data/{ueId}/authentication-data/authentication-subscription"
    {
        path { ue_id: Supi, }
        body { patch: Vec<PatchItem> as JsonPatch }
        answer Option<PatchResult> as JsonOrEmpty;
    }
}

operation! {
    /// Stores how an authentication in a serving network ended.
    pub struct CreateAuthenticationStatus("Nudr_DR_CreateIndividualAuthenticationStatus"):
        Put "/nudr-dr/v2/subscription-data/{ueId}/authentication-data/authentication-status/{servingNetworkName}"
    {
        path {
            ue_id: Supi,
            serving_network_name: String,
        }
        body { event: AuthEvent as Json }
        answer () as Empty;
    }
}

operation! {
    /// Reads how the latest authentication in a serving network ended.
    pub struct QueryAuthenticationStatus("Nudr_DR_QueryIndividualAuthenticationStatus"):
        Get "/nudr-dr/v2/subscription-data/{ueId}/authentication-data/authentication-status/{servingNetworkName}"
    {
        path {
            ue_id: Supi,
            serving_network_name: String,
        }
        answer AuthEvent as Json;
    }
}

operation! {
    /// Removes it.
    pub struct DeleteAuthenticationStatus("Nudr_DR_DeleteIndividualAuthenticationStatus"):
        Delete "/nudr-dr/v2/subscription-data/{ueId}/authentication-data/authentication-status/{servingNetworkName}"
    {
        path {
            ue_id: Supi,
            serving_network_name: String,
        }
        answer () as Empty;
    }
}

model! {
    /// TS29505_Subscription_Data AuthenticationSubscription. Keys are hexadecimal digits;
    /// `protectionParameterId` and `algorithmId` are the operator's names.
    pub struct AuthenticationSubscription {
        required { authentication_method: AuthType, }
        optional {
            enc_permanent_key: SecretText,
            protection_parameter_id: String,
            sequence_number: SequenceNumber,
            authentication_management_field: Octets<2>,
            algorithm_id: String,
            enc_opc_key: SecretText,
            enc_topc_key: SecretText,
            supi: Supi,
            akma_allowed: bool,
            routing_id: String,
        }
    }
}

model! {
    /// TS29505_Subscription_Data SequenceNumber.
    pub struct SequenceNumber {
        optional {
            sqn_scheme: SqnScheme,
            /// 48 bits.
            sqn: Octets<6>,
            /// Bits of IND (TS 33.102 annex C).
            ind_length: u8,
            dif_sign: Sign,
        }
        maps { last_indexes: u32, }
    }
}

open_enum! {
    /// TS29505_Subscription_Data SqnScheme.
    pub enum SqnScheme {
        General = "GENERAL",
        NonTimeBased = "NON_TIME_BASED",
        TimeBased = "TIME_BASED",
    }
}

/// TS29505_Subscription_Data Sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Sign {
    /// Not below zero.
    Positive,
    /// Below zero.
    Negative,
}
