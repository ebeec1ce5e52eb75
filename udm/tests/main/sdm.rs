//! Nudm_SubscriberDataManagement.

use tern_sbi::common::NfInstanceId;
use tern_sbi::nudm_sdm::*;
use tern_types::{Snssai, Supi};

use crate::{Bench, refusal, supi};

fn unknown() -> Supi {
    "imsi-001010000000009".parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn subscription_data_comes_from_the_udr() {
    let bench = Bench::new().await;
    let nssai = GetNssai { supi: supi(), plmn_id: None, supported_features: None };
    let nssai = bench.call(&nssai).await.unwrap().body;
    assert_eq!(nssai.default_single_nssais, [Snssai::new(1, None)]);
    let unknown = GetAmData { supi: unknown(), plmn_id: None, supported_features: None };
    assert_eq!(refusal(bench.call(&unknown).await), (404, "USER_NOT_FOUND".to_owned()));
    let absent = GetSmData {
        supi: supi(),
        single_nssai: Some(Snssai::new(9, None)),
        dnn: None,
        plmn_id: None,
        supported_features: None,
    };
    assert_eq!(refusal(bench.call(&absent).await), (404, "DATA_NOT_FOUND".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn several_sets_come_at_once_without_those_that_are_not_there() {
    let bench = Bench::new().await;
    let names = vec![DataSetName::Am, DataSetName::SmfSel, DataSetName::Sm, DataSetName::Trace];
    let mut sets =
        GetDataSets { supi: supi(), dataset_names: names, plmn_id: None, supported_features: None };
    let data = bench.call(&sets).await.unwrap().body;
    assert!(data.am_data.is_some() && data.smf_sel_data.is_some());
    assert!(data.sm_data.is_none() && data.uec_smf_data.is_none());
    sets.supi = unknown();
    assert_eq!(refusal(bench.call(&sets).await), (404, "USER_NOT_FOUND".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_subscription_lives_until_it_is_ended() {
    let bench = Bench::new().await;
    let subscription = SdmSubscription::new(
        NfInstanceId::from_u128(1),
        "http://127.0.0.16:8080/callback".to_owned(),
        vec!["http://127.0.0.12:8080/nudm-sdm/v2/imsi-001010000000001/am-data".to_owned()],
    );
    let created = bench.call(&Subscribe { ue_id: supi(), subscription }).await.unwrap();
    assert_eq!(created.body.subscription_id.as_deref(), Some("s1"));
    let location = created.location.unwrap();
    assert_eq!(location, "http://127.0.0.12:8080/nudm-sdm/v2/imsi-001010000000001/sdm-subscriptions/s1");
    let end = Unsubscribe { ue_id: supi(), subscription_id: "s1".to_owned() };
    assert_eq!(bench.call(&end).await.unwrap().status, 204);
    assert_eq!(refusal(bench.call(&end).await), (404, "SUBSCRIPTION_NOT_FOUND".to_owned()));
}
