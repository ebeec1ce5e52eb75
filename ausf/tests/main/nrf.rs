//! An NRF that keeps every profile and finds by NF type alone.

use std::sync::{Arc, Mutex};

use tern_nf::{Routes, Transport as _};
use tern_sbi::common::{NfInstanceId, NfType, ServiceName};
use tern_sbi::nnrf_disc::{SearchNfInstances, SearchResult};
use tern_sbi::nnrf_nfm::{
    CreateSubscription, DeregisterNfInstance, NfProfile, RegisterNfInstance, UpdateNfInstance,
};
use tern_sbi::{Call, Response};
use tern_sbi_transport::{MemoryTransport, Serving};

/// Serves until the handle is dropped.
pub async fn serve(network: &MemoryTransport) -> Box<dyn Serving> {
    let profiles = Arc::new(Mutex::new(Vec::<NfProfile>::new()));
    let (added, removed, found) = (profiles.clone(), profiles.clone(), profiles);
    let routes = Routes::new()
        .on(move |_: Call, op: RegisterNfInstance| {
            added.lock().unwrap().push(op.profile.clone());
            async move {
                Ok(Response::created("http://127.0.0.10:8080/nnrf-nfm/v1/nf-instances/x".into(), op.profile))
            }
        })
        .on(|_: Call, _: UpdateNfInstance| async { Ok(Response { status: 204, ..Response::ok(None) }) })
        .on(|_: Call, op: CreateSubscription| async {
            Ok(Response::created("http://127.0.0.10:8080/s/1".into(), op.subscription))
        })
        .on(move |_: Call, op: DeregisterNfInstance| {
            removed.lock().unwrap().retain(|p| p.nf_instance_id != op.nf_instance_id);
            async { Ok(Response::no_content()) }
        })
        .on(move |_: Call, op: SearchNfInstances| {
            let all = found.lock().unwrap().clone();
            let result = all.into_iter().filter(|p| p.nf_type == op.target_nf_type).collect();
            async { Ok(Response::ok(SearchResult::new(result))) }
        });
    network.serve("127.0.0.10:8080".parse().unwrap(), Arc::new(routes)).await.unwrap()
}

/// Makes a peer of the tests known.
pub async fn register(env: &tern_nf::Env, nf_type: NfType, service: ServiceName, address: &str) {
    let profile = serde_json::json!({
        "nfInstanceId": NfInstanceId::from_u128(7),
        "nfType": nf_type.as_str(),
        "nfStatus": "REGISTERED",
        "nfServices": [{
            "serviceInstanceId": "1",
            "serviceName": service.as_str(),
            "versions": [{ "apiVersionInUri": "v1", "apiFullVersion": "1.0.0" }],
            "scheme": "http",
            "nfServiceStatus": "REGISTERED",
            "ipEndPoints": [{ "ipv4Address": address, "port": 8080 }],
        }],
    });
    let profile = serde_json::from_value(profile).unwrap();
    let op = RegisterNfInstance { nf_instance_id: NfInstanceId::from_u128(7), profile };
    let consumer = tern_nf::Consumer::new(env, &tern_nf::SbiConfig::loopback(99), nf_type);
    let nrf = tern_nf::Target::ApiRoot("http://127.0.0.10:8080".into());
    consumer.call(&nrf, &Call::default(), &op).await.unwrap();
}
