//! Nausf_UEAuthentication: 5G AKA.

use std::time::Duration;

use tern_crypto::{Autn, SqnArray, Usim, hres_star, k_seaf};
use tern_sbi::common::{Octets, Secret};
use tern_sbi::nausf_auth::*;
use tern_sbi::{Location, Response};
use tern_sbi_transport::Fault;

use crate::{Bench, NETWORK, authenticate, functions, refusal, supi};

/// The identity in the confirmation's URI.
fn id(context: &Response<UeAuthenticationCtx>) -> String {
    let uri = Location::parse(&context.body.confirmation_uri().unwrap()).unwrap();
    assert_eq!(uri.api_root, "http://127.0.0.13:8080");
    let resource = Location::parse(context.location.as_deref().unwrap()).unwrap();
    assert_eq!(uri.path, format!("{}/5g-aka-confirmation", resource.path));
    resource.last_segment().unwrap()
}

fn challenge(context: &Response<UeAuthenticationCtx>) -> Av5gAka {
    match &context.body.auth_data {
        AuthData::Av5gAka(challenge) => challenge.clone(),
        other => panic!("{other:?}"),
    }
}

fn confirm(auth_ctx_id: &str, res_star: [u8; 16]) -> Confirm5gAka {
    let confirmation = ConfirmationData::new(Secret::new(res_star));
    Confirm5gAka { auth_ctx_id: auth_ctx_id.to_owned(), confirmation }
}

fn answer(challenge: &Av5gAka) -> tern_crypto::UsimAnswer {
    let mut usim = Usim::new(functions(), SqnArray::default());
    usim.authenticate(&challenge.rand.0, &Autn(challenge.autn.0), NETWORK).unwrap()
}

#[tokio::test(start_paused = true)]
async fn when_res_star_is_right_then_the_serving_network_gets_the_ues_key() {
    let bench = Bench::new("").await;
    let context = bench.call(&authenticate()).await.unwrap();
    assert_eq!((context.status, &context.body.auth_type), (201, &AuthType::FiveGAka));
    let challenge = challenge(&context);
    let ue = answer(&challenge);
    assert_eq!(challenge.hxres_star.0, *hres_star(&challenge.rand.0, &ue.res_star).as_bytes());
    let confirmation = confirm(&id(&context), *ue.res_star.as_bytes());
    // The second time, the first reply was lost.
    for _ in 0..2 {
        let result = bench.call(&confirmation).await.unwrap().body;
        assert_eq!(result.auth_result, AuthResult::AuthenticationSuccess);
        assert_eq!(result.supi, Some(supi()));
        assert_eq!(result.kseaf.unwrap().expose(), k_seaf(&ue.k_ausf, NETWORK).as_bytes());
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    let events = bench.udm.events.lock().unwrap();
    assert_eq!(events.iter().map(|event| event.success).collect::<Vec<_>>(), [true]);
}

#[tokio::test(start_paused = true)]
async fn when_res_star_is_wrong_then_failure_and_no_second_try() {
    let bench = Bench::new("").await;
    let context = bench.call(&authenticate()).await.unwrap();
    let ue = answer(&challenge(&context));
    for res_star in [[9; 16], *ue.res_star.as_bytes()] {
        let result = bench.call(&confirm(&id(&context), res_star)).await.unwrap().body;
        assert_eq!(result, ConfirmationDataResponse::new(AuthResult::AuthenticationFailure));
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    let events = bench.udm.events.lock().unwrap();
    assert_eq!(events.iter().map(|event| event.success).collect::<Vec<_>>(), [false]);
}

#[tokio::test(start_paused = true)]
async fn when_the_udm_refuses_then_with_its_cause() {
    let bench = Bench::new("").await;
    for (udm, ausf) in [
        ((404, "USER_NOT_FOUND"), (404, "USER_NOT_FOUND")),
        ((403, "AUTHENTICATION_REJECTED"), (403, "AUTHENTICATION_REJECTED")),
        ((403, "INVALID_SCHEME_OUTPUT"), (403, "INVALID_SCHEME_OUTPUT")),
        ((501, "UNSUPPORTED_PROTECTION_SCHEME"), (501, "UNSUPPORTED_PROTECTION_SCHEME")),
        ((500, "SYSTEM_FAILURE"), (500, "AV_GENERATION_PROBLEM")),
    ] {
        *bench.udm.refusal.lock().unwrap() = Some(udm);
        assert_eq!(refusal(bench.call(&authenticate()).await), (ausf.0, ausf.1.to_owned()));
    }
    bench.network.sbi.set_hook(|root, _| root.contains("127.0.0.12").then_some(Fault::Refuse));
    let refused = refusal(bench.call(&authenticate()).await);
    assert_eq!(refused, (504, "UPSTREAM_SERVER_ERROR".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn when_the_ue_is_out_of_step_then_auts_reaches_the_udm() {
    let bench = Bench::new("").await;
    let mut again = authenticate();
    let info = ResynchronizationInfo::new(Octets([1; 16]), Octets([2; 14]));
    again.info.resynchronization_info = Some(info.clone());
    bench.call(&again).await.unwrap();
    let requests = bench.udm.requests.lock().unwrap();
    assert_eq!(requests[0].resynchronization_info, Some(info));
    assert_eq!(requests[0].serving_network_name, NETWORK);
}

#[tokio::test(start_paused = true)]
async fn when_the_serving_network_may_not_use_its_name_then_403() {
    let bench = Bench::new("serving_networks: [{ mcc: \"001\", mnc: \"01\" }]").await;
    assert_eq!(bench.call(&authenticate()).await.unwrap().status, 201);
    for (name, expected) in [
        ("5G:mnc002.mcc001.3gppnetwork.org", (403, "SERVING_NETWORK_NOT_AUTHORIZED")),
        ("5G:NSWO", (400, "MANDATORY_IE_INCORRECT")),
    ] {
        let mut other = authenticate();
        other.info.serving_network_name = name.to_owned();
        assert_eq!(refusal(bench.call(&other).await), (expected.0, expected.1.to_owned()));
    }
}

#[tokio::test(start_paused = true)]
async fn when_the_limit_is_reached_then_503_until_contexts_expire() {
    let bench = Bench::new("{ authentications_max: 2, authentication_lifetime_s: 60 }").await;
    let first = bench.call(&authenticate()).await.unwrap();
    bench.call(&authenticate()).await.unwrap();
    assert_eq!(refusal(bench.call(&authenticate()).await), (503, "NF_CONGESTION".to_owned()));
    tokio::time::sleep(Duration::from_secs(61)).await;
    bench.call(&authenticate()).await.unwrap();
    let late = bench.call(&confirm(&id(&first), [0; 16])).await;
    assert_eq!(refusal(late), (404, "CONTEXT_NOT_FOUND".to_owned()));
    // The sweep has removed what expired: one context and the identity of the instance remain.
    assert_eq!(bench.env.store.range("ausf/", None, 10).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn when_the_ausf_is_another_process_then_the_confirmation_is_known() {
    let mut bench = Bench::new("authentications_max: 1").await;
    let context = bench.call(&authenticate()).await.unwrap();
    let ue = answer(&challenge(&context));
    bench.restart().await;
    assert_eq!(refusal(bench.call(&authenticate()).await), (503, "NF_CONGESTION".to_owned()));
    let result = bench.call(&confirm(&id(&context), *ue.res_star.as_bytes())).await.unwrap().body;
    assert_eq!(result.auth_result, AuthResult::AuthenticationSuccess);
}

#[tokio::test(start_paused = true)]
async fn when_a_result_is_deleted_then_the_udm_forgets_it_too() {
    let bench = Bench::new("").await;
    let context = bench.call(&authenticate()).await.unwrap();
    let ue = answer(&challenge(&context));
    bench.call(&confirm(&id(&context), *ue.res_star.as_bytes())).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    let delete = DeleteAuth { auth_ctx_id: id(&context) };
    assert_eq!(bench.call(&delete).await.unwrap().status, 204);
    assert_eq!(*bench.udm.removals.lock().unwrap(), ["e1"]);
    assert_eq!(refusal(bench.call(&delete).await), (404, "CONTEXT_NOT_FOUND".to_owned()));
    for wrong in ["", "../x", "zz"] {
        let refused = refusal(bench.call(&DeleteAuth { auth_ctx_id: wrong.to_owned() }).await);
        assert_eq!(refused.0, 404, "{wrong}");
    }
}
