//! Nudm_UEAuthentication.

use std::collections::BTreeSet;

use tern_crypto::{AuthenticationFunctions, Autn, Sqn, SqnArray, Usim, UsimRefusal};
use tern_sbi::common::{DateTime, NfInstanceId, Octets};
use tern_sbi::nausf_auth::AuthType;
use tern_sbi::nudm_ueau::*;
use tern_sbi::{Method, OperationError};
use tern_sbi_transport::Fault;

use crate::{Bench, refusal, supi};

const NETWORK: &str = "5G:mnc001.mcc001.3gppnetwork.org";

fn functions() -> AuthenticationFunctions {
    let octets = |text: u128| text.to_be_bytes();
    AuthenticationFunctions::milenage(
        &octets(0x465b5ce8b199b49faa5f0a2ee238a6bc),
        &octets(0xcd63cb71954a9f4e48a5994e37a02baf),
    )
}

fn generate(identity: &str) -> GenerateAuthData {
    let request = AuthenticationInfoRequest::new(NETWORK.to_owned(), NfInstanceId::from_u128(1));
    GenerateAuthData { supi_or_suci: identity.to_owned(), request }
}

/// The vector for 5G AKA.
fn vector(result: AuthenticationInfoResult) -> Av5gHeAka {
    match result.authentication_vector {
        Some(AuthenticationVector::Av5gHeAka(vector)) => vector,
        other => panic!("{other:?}"),
    }
}

/// The sequence number that AUTN conceals.
fn sqn(vector: &Av5gHeAka) -> Sqn {
    let ak = functions().f2345(&vector.rand.0).ak;
    let concealed = Autn(vector.autn.0).concealed_sqn();
    Sqn::from_bytes(std::array::from_fn(|i| concealed[i] ^ ak[i]))
}

#[tokio::test(start_paused = true)]
async fn when_an_ausf_asks_then_a_usim_accepts_the_vector() {
    let bench = Bench::new().await;
    let mut usim = Usim::new(functions(), SqnArray::default());
    for identity in ["imsi-001010000000001", "suci-0-001-01-0-0-0-0000000001"] {
        let result = bench.call(&generate(identity)).await.unwrap().body;
        assert_eq!(result.supi, Some(supi()));
        let vector = vector(result);
        let answer = usim.authenticate(&vector.rand.0, &Autn(vector.autn.0), NETWORK).unwrap();
        assert_eq!(answer.res_star.as_bytes(), vector.xres_star.expose());
        assert_eq!(answer.k_ausf.as_bytes(), vector.kausf.expose());
    }
}

/// Sequence numbers are never given out twice, also to requests at the same time.
#[tokio::test(start_paused = true)]
async fn when_many_ask_at_once_then_no_sequence_number_is_given_twice() {
    let bench = std::sync::Arc::new(Bench::new().await);
    let asking: Vec<_> = (0..32)
        .map(|_| {
            let bench = bench.clone();
            tokio::spawn(async move { bench.call(&generate("imsi-001010000000001")).await.unwrap().body })
        })
        .collect();
    let mut numbers = BTreeSet::new();
    for answer in asking {
        let vector = vector(answer.await.unwrap());
        assert!(numbers.insert(sqn(&vector).seq()), "given twice");
    }
    assert_eq!(numbers.len(), 32);
    let stored = Sqn::new(*bench.udr.sqn.lock().unwrap()).unwrap();
    assert_eq!(numbers.last(), Some(&stored.seq()));
}

/// The UDR may have advanced the number, or not: it is not given out in either case.
#[tokio::test(start_paused = true)]
async fn when_the_reply_of_the_udr_is_lost_then_its_number_is_skipped() {
    let bench = Bench::new().await;
    let mut lost = false;
    bench.network.sbi.set_hook(move |_, request| {
        let first = request.method == Method::Patch && request.path.starts_with("/nudr-dr") && !lost;
        lost |= first;
        first.then_some(Fault::DropReply)
    });
    let outcome = bench.call(&generate("imsi-001010000000001")).await;
    assert!(outcome.is_err(), "{outcome:?}");
    assert_eq!(Sqn::new(*bench.udr.sqn.lock().unwrap()).unwrap().seq(), 1);
    let result = bench.call(&generate("imsi-001010000000001")).await.unwrap().body;
    assert_eq!(sqn(&vector(result)).seq(), 2);
}

#[tokio::test(start_paused = true)]
async fn when_the_number_cannot_be_advanced_then_no_vector() {
    let bench = Bench::new().await;
    *bench.udr.read_only.lock().unwrap() = true;
    let refused = refusal(bench.call(&generate("imsi-001010000000001")).await);
    assert_eq!(refused, (500, "AV_GENERATION_PROBLEM".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn each_wrong_identity_gets_its_cause() {
    let bench = Bench::new().await;
    let output = "0".repeat(90);
    for (identity, status, cause) in [
        ("imsi-001010000000009".to_owned(), 404, "USER_NOT_FOUND"),
        ("suci-0-001-01-0-0-0-0000000009".to_owned(), 404, "USER_NOT_FOUND"),
        ("garbage".to_owned(), 400, "MANDATORY_IE_INCORRECT"),
        (format!("suci-0-001-01-0-1-2-{output}"), 403, "INVALID_HN_PUBLIC_KEY_IDENTIFIER"),
        (format!("suci-0-001-01-0-1-1-{output}"), 403, "INVALID_SCHEME_OUTPUT"),
        ("suci-0-001-01-0-c-1-00".to_owned(), 501, "UNSUPPORTED_PROTECTION_SCHEME"),
    ] {
        assert_eq!(refusal(bench.call(&generate(&identity)).await), (status, cause.to_owned()), "{identity}");
    }
    assert_eq!(*bench.udr.sqn.lock().unwrap(), 0);
}

/// TS 33.102 §6.3.5.
#[tokio::test(start_paused = true)]
async fn when_the_usim_is_ahead_then_auts_brings_the_udm_behind_it() {
    let bench = Bench::new().await;
    let mut usim = Usim::new(functions(), SqnArray::at(Sqn::new(3000 << 5).unwrap()));
    let first = vector(bench.call(&generate("imsi-001010000000001")).await.unwrap().body);
    let Err(UsimRefusal::SynchFailure(auts)) = usim.authenticate(&first.rand.0, &Autn(first.autn.0), NETWORK)
    else {
        panic!("no synch failure");
    };
    let mut again = generate("imsi-001010000000001");
    let mut info = ResynchronizationInfo::new(first.rand, Octets(auts.0));
    again.request.resynchronization_info = Some(info.clone());
    let second = vector(bench.call(&again).await.unwrap().body);
    assert_eq!(sqn(&second).seq(), 3001);
    assert!(usim.authenticate(&second.rand.0, &Autn(second.autn.0), NETWORK).is_ok());

    info.auts.0[0] ^= 1;
    again.request.resynchronization_info = Some(info);
    assert_eq!(refusal(bench.call(&again).await), (403, "AUTHENTICATION_REJECTED".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_result_is_kept_and_removed() {
    let bench = Bench::new().await;
    let time = DateTime("2026-01-01T00:00:00Z".parse::<DateTime>().unwrap().0);
    let event =
        AuthEvent::new(NfInstanceId::from_u128(1), true, time, AuthType::FiveGAka, NETWORK.to_owned());
    let created = bench.call(&ConfirmAuth { supi: supi(), event: event.clone() }).await.unwrap();
    assert_eq!(created.status, 201);
    assert_eq!(bench.udr.statuses.lock().unwrap().len(), 1);
    let location = tern_sbi::Location::parse(&created.location.unwrap()).unwrap();
    let removal = |event| DeleteAuth { supi: supi(), auth_event_id: location.last_segment().unwrap(), event };
    let refused = refusal(bench.call(&removal(event.clone())).await);
    assert_eq!(refused, (400, "MANDATORY_IE_INCORRECT".to_owned()));
    let event = AuthEvent { auth_removal_ind: Some(true), ..event };
    assert_eq!(bench.call(&removal(event)).await.unwrap().status, 204);
    assert!(bench.udr.statuses.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn when_the_udr_is_gone_then_504() {
    let bench = Bench::new().await;
    bench.network.sbi.set_hook(|root, _| root.contains("127.0.0.11").then_some(Fault::Refuse));
    let outcome: Result<_, OperationError> = bench.call(&generate("imsi-001010000000001")).await;
    assert_eq!(refusal(outcome), (504, "TARGET_NF_NOT_REACHABLE".to_owned()));
}
