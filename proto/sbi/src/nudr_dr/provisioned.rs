//! Provisioned subscription data by serving network: TS29505_Subscription_Data.

use tern_types::{Dnn, Snssai, Supi};

use crate::common::{SupportedFeatures, VarPlmnId};
use crate::define::operation;
use crate::model::model;
use crate::nudm_sdm::{
    AccessAndMobilitySubscriptionData, DataSetName, SmSubsData, SmfSelectionSubscriptionData,
};

operation! {
    /// Reads several sets; all of them if none is named.
    pub struct QueryProvisionedData("Nudr_DR_QueryProvisionedData"):
        Get "/nudr-dr/v2/subscription-data/{ueId}/{servingPlmnId}/provisioned-data"
    {
        path {
            ue_id: Supi,
            serving_plmn_id: VarPlmnId,
        }
        optional { "dataset-names" dataset_names: Vec<DataSetName> as Csv, }
        answer ProvisionedDataSets as Json;
    }
}

operation! {
    /// Reads the access and mobility subscription.
    pub struct QueryAmData("Nudr_DR_QueryAmData"):
        Get "/nudr-dr/v2/subscription-data/{ueId}/{servingPlmnId}/provisioned-data/am-data"
    {
        path {
            ue_id: Supi,
            serving_plmn_id: VarPlmnId,
        }
        optional { "supported-features" supported_features: SupportedFeatures as Text, }
        answer AccessAndMobilitySubscriptionData as Json;
    }
}

operation! {
    /// Reads the subscribed DNNs by slice.
    pub struct QuerySmfSelectData("Nudr_DR_QuerySmfSelectData"):
        Get "/nudr-dr/v2/subscription-data/{ueId}/{servingPlmnId}/provisioned-data/smf-selection-subscription-data"
    {
        path {
            ue_id: Supi,
            serving_plmn_id: VarPlmnId,
        }
        optional { "supported-features" supported_features: SupportedFeatures as Text, }
        answer SmfSelectionSubscriptionData as Json;
    }
}

operation! {
    /// Reads the session management subscription.
    pub struct QuerySmData("Nudr_DR_QuerySmData"):
        Get "/nudr-dr/v2/subscription-data/{ueId}/{servingPlmnId}/provisioned-data/sm-data"
    {
        path {
            ue_id: Supi,
            serving_plmn_id: VarPlmnId,
        }
        optional {
            "single-nssai" single_nssai: Snssai as Json,
            "dnn" dnn: Dnn as Text,
            "supported-features" supported_features: SupportedFeatures as Text,
        }
        answer SmSubsData as Json;
    }
}

model! {
    /// TS29505_Subscription_Data ProvisionedDataSets.
    pub struct ProvisionedDataSets {
        optional {
            am_data: AccessAndMobilitySubscriptionData,
            smf_sel_data: SmfSelectionSubscriptionData,
            sm_data: SmSubsData,
        }
    }
}
