//! Time of one encoding and one decoding, JSON against the direct form:
//! `cargo run --release -p tern-sbi --example codec`.

use std::hint::black_box;
use std::time::Instant;

use bytes::Bytes;
use tern_sbi::common::{AccessType, LinksValue, Ncgi, NrCellId, NrLocation, Octets, RatType, ServiceName};
use tern_sbi::namf_comm::{
    N1MessageContainer, N1N2MessageTransfer, N1N2MessageTransferReqData, N2InfoContainer, NgapIeType,
};
use tern_sbi::nausf_auth::{AuthData, AuthType, Authenticate, Av5gAka, UeAuthenticationCtx};
use tern_sbi::nsmf_pdusession::{PostSmContexts, RequestType, SmContextCreateData};
use tern_sbi::{Operation, PathParams, Reply, Request, Response, direct};
use tern_types::{Guami, PduSessionId, PlmnId, Snssai, Tai};

/// Repetitions of a round, and rounds, of which the fastest counts.
const REPETITIONS: u32 = 20_000;
const ROUNDS: usize = 15;

fn main() {
    println!(
        "{:<28} {:>7} {:>9} {:>9} {:>7} {:>9} {:>9}",
        "", "JSON", "write", "read", "direct", "write", "read"
    );
    measure_request("PostSmContexts request", &create());
    measure_request("N1N2MessageTransfer request", &transfer());
    measure_answer("Authenticate answer");
    let create = create();
    println!("a copy of PostSmContexts: {:.0} ns", time(|| black_box(create.clone())));
}

fn measure_request<O: Operation>(name: &str, operation: &O) {
    let request = operation.to_request();
    let json = request.body.json().expect("content");
    let params = PathParams::matching(O::PATH, &request.path).expect("the template matches");
    let as_text = Request { body: request.body.clone().into_written(), ..request.clone() };
    let mut octets = Vec::new();
    direct::write_request(&request, &mut octets);
    let received = Bytes::from(octets);
    let mut out = Vec::with_capacity(4096);
    let text = [
        json.len() as f64,
        time(|| request.body.json()),
        time(|| O::from_request(&params, &as_text).is_ok()),
    ];
    let write = time(|| {
        out.clear();
        direct::write_request(&request, &mut out);
    });
    let read = time(|| {
        let request = direct::read_request(received.clone()).expect("a request");
        O::from_request(&params, &request).is_ok()
    });
    print_row(name, text, [received.len() as f64, write, read]);
}

fn measure_answer(name: &str) {
    let reply = Authenticate::to_reply(Ok(Response::created("http://127.0.0.1:8080/x/1".into(), context())));
    let json = reply.body.json().expect("content");
    let as_text = Reply { body: reply.body.clone().into_written(), ..reply.clone() };
    let mut octets = Vec::new();
    direct::write_reply(&reply, &mut octets);
    let received = Bytes::from(octets);
    let mut out = Vec::with_capacity(4096);
    let text = [
        json.len() as f64,
        time(|| reply.body.json()),
        time(|| Authenticate::from_reply(as_text.clone()).is_ok()),
    ];
    let write = time(|| {
        out.clear();
        direct::write_reply(&reply, &mut out);
    });
    let read =
        time(|| Authenticate::from_reply(direct::read_reply(received.clone()).expect("a reply")).is_ok());
    print_row(name, text, [received.len() as f64, write, read]);
}

/// Octets and nanoseconds of both forms. Those of JSON are without HTTP's header fields.
fn print_row(name: &str, [json, write, read]: [f64; 3], [direct, write_direct, read_direct]: [f64; 3]) {
    println!(
        "{name:<28} {json:>5.0} B {write:>6.0} ns {read:>6.0} ns {direct:>5.0} B {write_direct:>6.0} ns {read_direct:>6.0} ns"
    );
}

/// Nanoseconds of one call.
fn time<T>(mut call: impl FnMut() -> T) -> f64 {
    let mut round = || {
        let started = Instant::now();
        for _ in 0..REPETITIONS {
            black_box(call());
        }
        started.elapsed().as_nanos() as f64 / f64::from(REPETITIONS)
    };
    (0..ROUNDS).map(|_| round()).fold(f64::INFINITY, f64::min)
}

fn plmn() -> PlmnId {
    PlmnId::new("001", "01").expect("a PLMN")
}

fn create() -> PostSmContexts {
    let guami = Guami { plmn_id: plmn(), amf_id: "010040".parse().expect("an AMF identity") };
    let tai = Tai { plmn_id: plmn(), tac: "000001".parse().expect("a TAC") };
    let cell = NrCellId::new(16).expect("36 bits");
    let mut location = NrLocation::new(tai, Ncgi::new(plmn(), cell));
    location.ue_location_timestamp = "2026-01-31T12:00:00Z".parse().ok();
    let json = serde_json::json!({
        "servingNfId": "f4b2a6c0-0d0e-4a6b-9a3e-5d3f0c1b2a39", "servingNetwork": plmn(),
        "anType": AccessType::ThreeGpp, "smContextStatusUri": "http://127.0.0.5:8080/namf-callback/v1/sm/7/1",
        "guami": guami, "ueLocation": {"nrLocation": location}, "supi": "imsi-001010000000001",
        "gpsi": "msisdn-491700000001", "pei": "imeisv-1234567890123456", "pduSessionId": 1, "dnn": "internet",
        "selectedDnn": "internet", "sNssai": Snssai::new(1, Some(0x0001_0203)),
        "serviceName": ServiceName::NamfComm, "requestType": RequestType::InitialRequest,
        "ratType": RatType::Nr, "ueTimeZone": "+01:00", "selMode": "VERIFIED", "routingIndicator": "0000"
    });
    let data: SmContextCreateData = serde_json::from_value(json).expect("the model");
    PostSmContexts { n1_sm_msg: Some(Bytes::from_static(&[0x2e; 40])), ..PostSmContexts::new(data) }
}

fn transfer() -> N1N2MessageTransfer {
    let session = PduSessionId::new(1).expect("1 to 15");
    let slice = Some(Snssai::new(1, Some(0x0001_0203)));
    let data = N1N2MessageTransferReqData {
        n1_message_container: Some(N1MessageContainer::sm()),
        n2_info_container: Some(N2InfoContainer::sm(session, NgapIeType::PduResSetupReq, slice)),
        pdu_session_id: Some(session),
        n1n2_failure_txf_notif_uri: Some("http://127.0.0.6:8080/nsmf-callback/v1/failure/7".into()),
        ..N1N2MessageTransferReqData::default()
    };
    N1N2MessageTransfer {
        n1_sm_msg: Some(Bytes::from_static(&[0x2e; 80])),
        n2_sm_info: Some(Bytes::from_static(&[0x00; 60])),
        ..N1N2MessageTransfer::new("imsi-001010000000001".into(), data)
    }
}

fn context() -> UeAuthenticationCtx {
    let octets = Octets([0x5a; 16]);
    let uri = "http://127.0.0.3:8080/nausf-auth/v1/ue-authentications/7/5g-aka-confirmation";
    UeAuthenticationCtx {
        serving_network_name: Some("5G:mnc001.mcc001.3gppnetwork.org".into()),
        ..UeAuthenticationCtx::new(
            AuthType::FiveGAka,
            AuthData::Av5gAka(Av5gAka::new(octets, octets, octets)),
            [("5g-aka".to_owned(), LinksValue::to(uri.into()))].into(),
        )
    }
}
