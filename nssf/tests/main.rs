//! The NSSF over in-memory transports.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use tern_nf::{Env, Routes, Shutdown, SimNetwork, Transport};
use tern_nssf::Config;
use tern_sbi::common::{NfInstanceId, NfType};
use tern_sbi::nnrf_nfm::{DeregisterNfInstance, RegisterNfInstance};
use tern_sbi::nnssf_nsselection::{
    GetSliceSelectionInfo, RoamingIndication, SliceInfoForPduSession, SliceInfoForRegistration,
    SubscribedSnssai,
};
use tern_sbi::{Call, Operation, Response};
use tern_types::{PlmnId, Snssai, Tac, Tai};

#[tokio::test(start_paused = true)]
async fn when_an_amf_asks_then_it_is_answered_until_the_nssf_stops() {
    let network = SimNetwork::new(1);
    let nrf = Routes::new()
        .on(|_, op: RegisterNfInstance| async move {
            assert_eq!((&op.profile.nf_type, op.profile.nf_services.len()), (&NfType::Nssf, 1));
            Ok(Response::created("http://127.0.0.10:8080/x".into(), op.profile))
        })
        .on(|_, _: DeregisterNfInstance| async { Ok(Response::no_content()) });
    let _nrf = network.sbi.serve("127.0.0.10:8080".parse().unwrap(), Arc::new(nrf)).await.unwrap();
    let env = Env::simulated(1, &network);
    let (trigger, shutdown) = Shutdown::new();
    let readiness = env.readiness.clone();
    let running = tokio::spawn(tern_nssf::run(Config::default(), env, shutdown));
    let api_root = readiness.wait().await;
    let ask = async |op: &GetSliceSelectionInfo| {
        let reply = network.sbi.send(&api_root, &Call::default(), op.to_request()).await?;
        GetSliceSelectionInfo::from_reply(reply)
    };

    let slice = Snssai::new(1, None);
    let op = GetSliceSelectionInfo {
        tai: Some(Tai { plmn_id: PlmnId::new("001", "01").unwrap(), tac: Tac::new(1).unwrap() }),
        ..GetSliceSelectionInfo::new(NfType::Amf, NfInstanceId::from_u128(1))
    };
    let refusal = ask(&op).await.unwrap_err();
    assert_eq!(refusal.cause(), Some("MANDATORY_QUERY_PARAM_MISSING"));

    let registration = SliceInfoForRegistration {
        subscribed_nssai: vec![SubscribedSnssai::new(slice)],
        requested_nssai: vec![slice, Snssai::new(2, None)],
        ..SliceInfoForRegistration::default()
    };
    let op = GetSliceSelectionInfo { registration: Some(registration), ..op };
    let answer = ask(&op).await.unwrap().body;
    assert_eq!(answer.allowed_nssai_list[0].allowed_snssai_list[0].allowed_snssai, slice);
    assert_eq!(answer.rejected_nssai_in_plmn, [Snssai::new(2, None)]);

    let session = SliceInfoForPduSession::new(slice, RoamingIndication::NonRoaming);
    let op = GetSliceSelectionInfo { registration: None, pdu_session: Some(session), ..op };
    assert!(ask(&op).await.unwrap().body.nsi_information.is_some());

    trigger.shut_down();
    running.await.unwrap().unwrap();
    assert!(ask(&op).await.is_err());
}
