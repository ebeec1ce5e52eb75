//! Operations of Nudm_SubscriberDataManagement: TS 29.503 §5.2.2.

use tern_types::{Dnn, PlmnId, Snssai, Supi};

use super::{
    AccessAndMobilitySubscriptionData, DataSetName, ModificationNotification, Nssai, SdmSubscription,
    SmSubsData, SmfSelectionSubscriptionData, SubscriptionDataSets, UeContextInSmfData,
};
use crate::common::SupportedFeatures;
use crate::define::operation;

operation! {
    /// Several data sets at once.
    pub struct GetDataSets("Nudm_SDM_Get"): Get "/nudm-sdm/v2/{supi}" {
        path { supi: Supi, }
        required { "dataset-names" dataset_names: Vec<DataSetName> as Csv, }
        optional {
            "plmn-id" plmn_id: PlmnId as Json,
            "supported-features" supported_features: SupportedFeatures as Text,
        }
        answer SubscriptionDataSets as Json;
    }
}

operation! {
    /// Access and mobility subscription.
    pub struct GetAmData("Nudm_SDM_Get_AmData"): Get "/nudm-sdm/v2/{supi}/am-data" {
        path { supi: Supi, }
        optional {
            "plmn-id" plmn_id: PlmnId as Json,
            "supported-features" supported_features: SupportedFeatures as Text,
        }
        answer AccessAndMobilitySubscriptionData as Json;
    }
}

operation! {
    /// Subscribed slices.
    pub struct GetNssai("Nudm_SDM_Get_Nssai"): Get "/nudm-sdm/v2/{supi}/nssai" {
        path { supi: Supi, }
        optional {
            "plmn-id" plmn_id: PlmnId as Json,
            "supported-features" supported_features: SupportedFeatures as Text,
        }
        answer Nssai as Json;
    }
}

operation! {
    /// Subscribed DNNs by slice.
    pub struct GetSmfSelectData("Nudm_SDM_Get_SmfSelectData"): Get "/nudm-sdm/v2/{supi}/smf-select-data" {
        path { supi: Supi, }
        optional {
            "plmn-id" plmn_id: PlmnId as Json,
            "supported-features" supported_features: SupportedFeatures as Text,
        }
        answer SmfSelectionSubscriptionData as Json;
    }
}

operation! {
    /// The sessions that SMFs have registered.
    pub struct GetUeContextInSmfData("Nudm_SDM_Get_UeContextInSmfData"):
        Get "/nudm-sdm/v2/{supi}/ue-context-in-smf-data"
    {
        path { supi: Supi, }
        optional { "supported-features" supported_features: SupportedFeatures as Text, }
        answer UeContextInSmfData as Json;
    }
}

operation! {
    /// Session management subscription.
    pub struct GetSmData("Nudm_SDM_Get_SmData"): Get "/nudm-sdm/v2/{supi}/sm-data" {
        path { supi: Supi, }
        optional {
            "single-nssai" single_nssai: Snssai as Json,
            "dnn" dnn: Dnn as Text,
            "plmn-id" plmn_id: PlmnId as Json,
            "supported-features" supported_features: SupportedFeatures as Text,
        }
        answer SmSubsData as Json;
    }
}

operation! {
    /// Subscribes to changes; 201 with the subscription's URI.
    pub struct Subscribe("Nudm_SDM_Subscribe"): Post "/nudm-sdm/v2/{ueId}/sdm-subscriptions" {
        path { ue_id: Supi, }
        body { subscription: SdmSubscription as Json }
        answer SdmSubscription as Json;
    }
}

operation! {
    /// Ends a subscription.
    pub struct Unsubscribe("Nudm_SDM_Unsubscribe"):
        Delete "/nudm-sdm/v2/{ueId}/sdm-subscriptions/{subscriptionId}"
    {
        path {
            ue_id: Supi,
            subscription_id: String,
        }
        answer () as Empty;
    }
}

operation! {
    /// Tells a subscriber of a change, at its `callbackReference`.
    pub struct DataChangeNotify("Nudm_SDM_Notification"): Post "/callbacks/v1/sdm-data-change/{ue}" {
        callback { ue }
        body { notification: ModificationNotification as Json }
        answer () as Empty;
    }
}
