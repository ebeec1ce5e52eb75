//! Nudm_UEContextManagement.

use std::sync::{Arc, Mutex};

use tern_nf::{Routes, Transport as _};
use tern_sbi::common::{NfInstanceId, RatType};
use tern_sbi::nudm_sdm::GetUeContextInSmfData;
use tern_sbi::nudm_uecm::*;
use tern_sbi::{Call, Response};
use tern_types::{Guami, PduSessionId, PlmnId, Snssai};

use crate::{Bench, refusal, supi};

fn guami(set: u16) -> Guami {
    serde_json::from_value(serde_json::json!({
        "plmnId": { "mcc": "001", "mnc": "01" }, "amfId": format!("01{:04x}", set << 6)
    }))
    .unwrap()
}

fn amf(number: u16) -> RegisterAmf3gpp {
    let callback = DeregistrationNotify::callback_path("imsi-001010000000001");
    let registration = Amf3GppAccessRegistration::new(
        NfInstanceId::from_u128(number.into()),
        format!("http://127.0.0.16:8080{callback}"),
        guami(number),
        RatType::Nr,
    );
    RegisterAmf3gpp { ue_id: supi(), registration }
}

#[tokio::test(start_paused = true)]
async fn when_another_amf_registers_then_the_old_one_is_told() {
    let bench = Bench::new().await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = told.clone();
    let routes = Routes::new().on(move |_: Call, op: DeregistrationNotify| {
        heard.lock().unwrap().push((op.key(), op.data));
        async { Ok(Response::no_content()) }
    });
    let _amf = bench.network.sbi.serve("127.0.0.16:8080".parse().unwrap(), Arc::new(routes)).await.unwrap();

    let first = bench.call(&amf(1)).await.unwrap();
    assert_eq!(first.status, 201);
    assert!(first.location.unwrap().ends_with("/registrations/amf-3gpp-access"));
    // The same AMF again: nobody is told.
    assert_eq!(bench.call(&amf(1)).await.unwrap().status, 200);
    let mut second = amf(2);
    second.registration.initial_registration_ind = Some(true);
    assert_eq!(bench.call(&second).await.unwrap().status, 200);
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let told = told.lock().unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].0.as_deref(), Some("imsi-001010000000001"));
    assert_eq!(told[0].1.dereg_reason, DeregistrationReason::UeInitialRegistration);
}

#[tokio::test(start_paused = true)]
async fn when_the_amf_purges_then_it_serves_no_more() {
    let bench = Bench::new().await;
    let get = GetAmf3gpp { ue_id: supi(), supported_features: None };
    assert_eq!(refusal(bench.call(&get).await), (404, "CONTEXT_NOT_FOUND".to_owned()));
    bench.call(&amf(1)).await.unwrap();
    let purge = |set| UpdateAmf3gpp {
        ue_id: supi(),
        modification: Amf3GppAccessRegistrationModification {
            purge_flag: Some(true),
            ..Amf3GppAccessRegistrationModification::new(guami(set))
        },
    };
    // The purge of an AMF that serves no more comes too late.
    assert_eq!(refusal(bench.call(&purge(2)).await), (403, "INVALID_GUAMI".to_owned()));
    assert_eq!(bench.call(&get).await.unwrap().body.purge_flag, None);
    assert_eq!(bench.call(&purge(1)).await.unwrap().status, 204);
    assert_eq!(bench.call(&get).await.unwrap().body.purge_flag, Some(true));
    assert_eq!(bench.call(&amf(2)).await.unwrap().status, 201);
}

#[tokio::test(start_paused = true)]
async fn when_the_subscriber_is_unknown_then_user_not_found() {
    let bench = Bench::new().await;
    let mut unknown = amf(1);
    unknown.ue_id = "imsi-001010000000009".parse().unwrap();
    assert_eq!(refusal(bench.call(&unknown).await), (404, "USER_NOT_FOUND".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn an_smf_registers_and_ends_its_session() {
    let bench = Bench::new().await;
    let id = PduSessionId::new(5).unwrap();
    let mut registration = SmfRegistration::new(
        NfInstanceId::from_u128(3),
        id,
        Snssai::new(1, None),
        PlmnId::new("001", "01").unwrap(),
    );
    registration.dnn = Some("internet".parse().unwrap());
    let register = RegisterSmf { ue_id: supi(), pdu_session_id: id, registration };
    assert_eq!(bench.call(&register).await.unwrap().status, 201);
    assert_eq!(bench.call(&register).await.unwrap().status, 200);
    let sessions = GetUeContextInSmfData { supi: supi(), supported_features: None };
    let sessions = bench.call(&sessions).await.unwrap().body.pdu_sessions;
    assert_eq!(sessions["5"].smf_instance_id, NfInstanceId::from_u128(3));

    let end = |smf| DeregisterSmf {
        ue_id: supi(),
        pdu_session_id: id,
        smf_set_id: None,
        smf_instance_id: Some(NfInstanceId::from_u128(smf)),
    };
    assert_eq!(refusal(bench.call(&end(4)).await).0, 422);
    assert_eq!(bench.call(&end(3)).await.unwrap().status, 204);
    assert_eq!(refusal(bench.call(&end(3)).await), (404, "CONTEXT_NOT_FOUND".to_owned()));
    let get = GetSmfRegistration { ue_id: supi(), pdu_session_id: id };
    assert_eq!(refusal(bench.call(&get).await), (404, "CONTEXT_NOT_FOUND".to_owned()));
}
