//! The UDR as its consumers see it, over the routes that every transport uses.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::{Arc, Mutex};

use serde_json::json;
use tern_nf::{Env, Routes, SbiConfig, Shutdown, SimNetwork, Target, Transport as _};
use tern_sbi::common::{ChangeType, PatchItem, PatchOperation, VarPlmnId};
use tern_sbi::nudm_uecm::SmfRegistration;
use tern_sbi::nudr_dr::{
    CreateOrUpdateSmfRegistration, DataChangeNotify, DeleteSmfRegistration, ModifyAuthSubscription,
    QueryAmData, QueryAuthSubscription, QuerySmData, QuerySmfRegList, QuerySmfSelectData,
    SubscribeToSubscriptionData, SubscriptionDataChange, SubscriptionDataSubscriptions,
    UnsubscribeFromSubscriptionData,
};
use tern_sbi::{Body, Call, Headers, Method, Operation, OperationError, Reply, Request, Response};
use tern_types::{PduSessionId, PlmnId, Snssai, Supi};

const API_ROOT: &str = "http://127.0.0.11:8080";
const K: &str = "465b5ce8b199b49faa5f0a2ee238a6bc";

/// A running UDR and a consumer of it.
struct Consumer {
    env: Env,
}

impl Consumer {
    async fn start() -> Self {
        let network = SimNetwork::new(1);
        Self::start_on(&network, Env::simulated(1, &network)).await
    }

    async fn start_on(network: &SimNetwork, env: Env) -> Self {
        let config = tern_udr::Config {
            sbi: SbiConfig { nrf: None, ..SbiConfig::loopback(11) },
            store: "unused".into(),
            durability: tern_store::Durability::Process,
            administration: true,
        };
        let ready = env.readiness.clone();
        let (trigger, shutdown) = Shutdown::new();
        std::mem::forget(trigger);
        tokio::spawn(tern_udr::run(config, env, shutdown));
        ready.wait().await;
        Self { env: Env::simulated(2, network) }
    }

    async fn call<O: Operation>(&self, op: &O) -> Result<Response<O::Answer>, OperationError<O::Failure>> {
        O::from_reply(self.send(op.to_request()).await)
    }

    async fn send(&self, request: Request) -> Reply {
        self.env.sbi.send(API_ROOT, &Call::default(), request).await.unwrap()
    }

    async fn administer(&self, method: Method, path: &str, content: Option<serde_json::Value>) -> Reply {
        let body = content.map_or(Body::Empty, |content| Body::Json(content.to_string().into()));
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let query = query.split('&').filter_map(|pair| pair.split_once('='));
        let query = query.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        self.send(Request { method, path: path.to_owned(), query, headers: Headers::default(), body }).await
    }

    async fn with_subscriber() -> Self {
        let consumer = Self::start().await;
        let put = consumer.administer(Method::Put, &path(1), Some(record(1))).await;
        assert_eq!(put.status, 200, "{put:?}");
        consumer
    }

    async fn sqn(&self) -> String {
        let subscription =
            self.call(&QueryAuthSubscription { ue_id: supi(1), supported_features: None }).await;
        subscription.unwrap().body.sequence_number.unwrap().sqn.unwrap().to_string()
    }
}

fn supi(number: u32) -> Supi {
    format!("imsi-{:015}", 1_010_000_000_000_u64 + u64::from(number)).parse().unwrap()
}

fn path(number: u32) -> String {
    format!("/tern/v1/subscribers/{}", supi(number))
}

fn record(number: u32) -> serde_json::Value {
    json!({
        "supi": supi(number),
        "authentication": { "k": K, "op": "cdc202d5123e20f62b6d676ac72cb318" },
        "slices": [
            { "snssai": "1", "dnns": [{ "dnn": "internet" }, { "dnn": "ims", "five_qi": 5 }] },
            { "snssai": "2-010203", "default": false },
        ],
    })
}

/// What the UDM sends: the number it has read must still stand there.
fn advance(old: &str, new: &str) -> ModifyAuthSubscription {
    let item = |op, value: &str| PatchItem {
        value: Some(json!(value)),
        ..PatchItem::new(op, "/sequenceNumber/sqn".to_owned())
    };
    let patch = vec![item(PatchOperation::Test, old), item(PatchOperation::Replace, new)];
    ModifyAuthSubscription { ue_id: supi(1), patch }
}

fn status<T: std::fmt::Debug, E: std::fmt::Debug>(result: Result<Response<T>, OperationError<E>>) -> u16 {
    match result {
        Ok(response) => response.status,
        Err(OperationError::Problem(problem)) => problem.status.unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_authentication_subscription_has_opc_made_from_op() {
    let consumer = Consumer::with_subscriber().await;
    let query = QueryAuthSubscription { ue_id: supi(1), supported_features: None };
    let subscription = consumer.call(&query).await.unwrap().body;
    assert_eq!(subscription.enc_permanent_key.unwrap().expose(), K);
    // TS 35.208 §4.3: test set 1, OP and OPc.
    assert_eq!(subscription.enc_opc_key.unwrap().expose(), "cd63cb71954a9f4e48a5994e37a02baf");
    assert_eq!(consumer.sqn().await, "000000000000");

    let unknown = QueryAuthSubscription { ue_id: supi(2), supported_features: None };
    let refused = consumer.call(&unknown).await.unwrap_err();
    assert!(
        matches!(refused, OperationError::Problem(problem) if problem.cause.as_deref() == Some("USER_NOT_FOUND"))
    );
}

#[tokio::test]
async fn when_two_consumers_advance_from_one_sqn_then_one_is_refused() {
    let consumer = Consumer::with_subscriber().await;
    assert_eq!(status(consumer.call(&advance("000000000000", "000000000020")).await), 204);
    assert_eq!(status(consumer.call(&advance("000000000000", "000000000020")).await), 409);
    assert_eq!(consumer.sqn().await, "000000000020");
}

#[tokio::test]
async fn when_many_race_for_sequence_numbers_then_none_is_given_twice() {
    let consumer = Arc::new(Consumer::with_subscriber().await);
    let takers = (0..16).map(|_| {
        let consumer = Arc::clone(&consumer);
        tokio::spawn(async move {
            loop {
                let old = consumer.sqn().await;
                let new = format!("{:012x}", u64::from_str_radix(&old, 16).unwrap() + 0x20);
                if status(consumer.call(&advance(&old, &new)).await) == 204 {
                    return new;
                }
            }
        })
    });
    let mut taken = Vec::new();
    for taker in takers.collect::<Vec<_>>() {
        taken.push(taker.await.unwrap());
    }
    taken.sort();
    taken.dedup();
    assert_eq!(taken.len(), 16);
}

#[tokio::test]
async fn when_a_patch_goes_back_or_touches_a_key_then_it_is_refused() {
    let consumer = Consumer::with_subscriber().await;
    assert_eq!(status(consumer.call(&advance("000000000000", "000000000040")).await), 204);
    assert_eq!(status(consumer.call(&advance("000000000040", "000000000020")).await), 403);
    let key = PatchItem::replace("/encPermanentKey", json!("00".repeat(16)));
    let op = ModifyAuthSubscription { ue_id: supi(1), patch: vec![key] };
    assert_eq!(status(consumer.call(&op).await), 403);
    let nowhere =
        ModifyAuthSubscription { ue_id: supi(1), patch: vec![PatchItem::replace("/x/y", json!(1))] };
    assert_eq!(status(consumer.call(&nowhere).await), 400);
    assert_eq!(consumer.sqn().await, "000000000040");
}

#[tokio::test]
async fn when_a_subscriber_is_removed_and_returns_then_its_sqn_is_not_reused() {
    let consumer = Consumer::with_subscriber().await;
    consumer.call(&advance("000000000000", "000000000080")).await.unwrap();
    assert_eq!(consumer.administer(Method::Delete, &path(1), None).await.status, 204);
    assert_eq!(consumer.administer(Method::Delete, &path(1), None).await.status, 404);
    assert_eq!(consumer.administer(Method::Put, &path(1), Some(record(1))).await.status, 200);
    assert_eq!(consumer.sqn().await, "000000000080");
}

#[tokio::test]
async fn provisioned_documents_follow_the_record() {
    let consumer = Consumer::with_subscriber().await;
    let serving_plmn_id = VarPlmnId(PlmnId::new("001", "01").unwrap());
    let am = QueryAmData { ue_id: supi(1), serving_plmn_id, supported_features: None };
    let nssai = consumer.call(&am).await.unwrap().body.nssai.unwrap();
    assert_eq!(nssai.default_single_nssais, [Snssai::new(1, None)]);
    assert_eq!(nssai.single_nssais, [Snssai::new(2, Some(0x01_0203))]);

    let selection = QuerySmfSelectData { ue_id: supi(1), serving_plmn_id, supported_features: None };
    let selection = consumer.call(&selection).await.unwrap().body;
    assert_eq!(selection.slice(Snssai::new(1, None)).unwrap().default_dnn().unwrap().as_str(), "internet");

    let sm = |snssai, dnn: &str| QuerySmData {
        ue_id: supi(1),
        serving_plmn_id,
        single_nssai: Some(snssai),
        dnn: Some(dnn.parse().unwrap()),
        supported_features: None,
    };
    let data = consumer.call(&sm(Snssai::new(1, None), "ims")).await.unwrap().body;
    let [slice] = data.individual() else { panic!("{data:?}") };
    assert_eq!(slice.dnn_configurations.len(), 1);
    assert_eq!(slice.dnn_configurations["ims"].qos_profile.as_ref().unwrap().five_qi, 5);
    assert_eq!(status(consumer.call(&sm(Snssai::new(9, None), "ims")).await), 404);
}

#[tokio::test]
async fn smf_registrations_come_and_go() {
    let consumer = Consumer::with_subscriber().await;
    let pdu_session_id = PduSessionId::new(5).unwrap();
    let plmn = PlmnId::new("001", "01").unwrap();
    let registration =
        SmfRegistration::new(consumer.env.entropy.uuid(), pdu_session_id, Snssai::new(1, None), plmn);
    let put = CreateOrUpdateSmfRegistration { ue_id: supi(1), pdu_session_id, registration };
    let created = consumer.call(&put).await.unwrap();
    assert_eq!(created.status, 201);
    assert!(created.location.unwrap().ends_with("/context-data/smf-registrations/5"));
    assert_eq!(status(consumer.call(&put).await), 204);
    let list = QuerySmfRegList { ue_id: supi(1), supported_features: None };
    assert_eq!(consumer.call(&list).await.unwrap().body.len(), 1);
    let delete = DeleteSmfRegistration { ue_id: supi(1), pdu_session_id };
    assert_eq!(status(consumer.call(&delete).await), 204);
    assert_eq!(status(consumer.call(&delete).await), 404);
}

#[tokio::test]
async fn administration_checks_lists_and_masks() {
    let consumer = Consumer::with_subscriber().await;
    let mut wrong = record(2);
    wrong["authentication"]["k"] = json!("00");
    let refused = consumer.administer(Method::Put, &path(2), Some(wrong)).await;
    assert_eq!(refused.status, 400);
    let text = String::from_utf8(refused.body.json().unwrap().to_vec()).unwrap();
    assert!(text.contains("authentication.k"), "{text}");

    let import = json!([record(2), record(3), record(1)]);
    let new = consumer.administer(Method::Post, "/tern/v1/subscribers?new=true", Some(import.clone())).await;
    assert_eq!(new.status, 409, "one is there already, so none is written");
    assert_eq!(consumer.administer(Method::Post, "/tern/v1/subscribers", Some(import)).await.status, 200);

    let page = consumer.administer(Method::Get, "/tern/v1/subscribers?limit=2", None).await;
    let page: tern_udr::SubscriberList = serde_json::from_slice(&page.body.json().unwrap()).unwrap();
    assert_eq!(page.subscribers.len(), 2);
    let next = format!("/tern/v1/subscribers?after={}", page.next.unwrap());
    let rest = consumer.administer(Method::Get, &next, None);
    let rest: tern_udr::SubscriberList = serde_json::from_slice(&rest.await.body.json().unwrap()).unwrap();
    assert_eq!((rest.subscribers.len(), rest.next), (1, None));

    let consumer = &consumer;
    let show = |path: String| async move { consumer.administer(Method::Get, &path, None).await };
    let masked = show(path(1)).await;
    assert!(!String::from_utf8_lossy(&masked.body.json().unwrap()).contains(K));
    let open = show(format!("{}?keys=true", path(1))).await;
    assert!(String::from_utf8_lossy(&open.body.json().unwrap()).contains(K));
}

/// The whole UDR is only `Target::ApiRoot` away for a consumer with a `tern_nf::Consumer`.
#[tokio::test]
async fn a_consumer_of_lib_nf_reaches_it() {
    let network = SimNetwork::new(1);
    let udr = Consumer::start_on(&network, Env::simulated(1, &network)).await;
    let config = SbiConfig { nrf: None, ..SbiConfig::loopback(12) };
    let consumer = tern_nf::Consumer::new(&udr.env, &config, tern_sbi::common::NfType::Udm);
    let query = QueryAuthSubscription { ue_id: supi(1), supported_features: None };
    let target = Target::ApiRoot(API_ROOT.to_owned());
    assert_eq!(status(consumer.call(&target, &Call::default(), &query).await), 404);
}

/// Who is told of changes, and what it was told.
struct Subscriber {
    told: Arc<Mutex<Vec<DataChangeNotify>>>,
    _serving: Box<dyn tern_sbi_transport::Serving>,
}

const CALLBACK: &str = "http://127.0.0.12:8080/callbacks/v1/subscription-data-change/udm";

impl Subscriber {
    async fn serve(network: &SimNetwork) -> Self {
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = told.clone();
        let routes = Routes::new().on(move |_: Call, op: SubscriptionDataChange| {
            heard.lock().unwrap().push(op.notification);
            async { Ok(Response::no_content()) }
        });
        let at = "127.0.0.12:8080".parse().unwrap();
        Self { told, _serving: network.sbi.serve(at, Arc::new(routes)).await.unwrap() }
    }

    fn take(&self) -> Vec<DataChangeNotify> {
        std::mem::take(&mut self.told.lock().unwrap())
    }
}

/// To the access and mobility subscription of each UE.
fn subscribe(callback: &str) -> SubscribeToSubscriptionData {
    let path = <QueryAmData as Operation>::PATH;
    let monitored = vec![tern_sbi::PathParams::fill(path, &["{ueId}", "00101"])];
    SubscribeToSubscriptionData {
        subscription: SubscriptionDataSubscriptions::new(callback.to_owned(), monitored),
    }
}

fn set(path: &str, value: serde_json::Value) -> Option<serde_json::Value> {
    Some(json!([{ "op": "replace", "path": path, "value": value }]))
}

async fn settle() {
    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
}

#[tokio::test(start_paused = true)]
async fn when_a_record_changes_then_subscribers_hear_of_the_documents_that_they_monitor() {
    let network = SimNetwork::new(1);
    let consumer = Consumer::start_on(&network, Env::simulated(1, &network)).await;
    let subscriber = Subscriber::serve(&network).await;
    consumer.administer(Method::Put, &path(1), Some(record(1))).await;
    let created = consumer.call(&subscribe(CALLBACK)).await.unwrap();
    assert!(created.body.expiry.is_some());
    let id = created.location.unwrap().rsplit('/').next().unwrap().to_owned();

    let ambr = json!({ "uplink": "1 Mbps", "downlink": "2 Mbps" });
    assert_eq!(consumer.administer(Method::Patch, &path(1), set("/ue_ambr", ambr.clone())).await.status, 204);
    settle().await;
    let told = subscriber.take();
    assert_eq!((told.len(), told[0].ue_id.as_ref()), (1, Some(&supi(1))));
    let [item] = &told[0].notify_items[..] else { panic!("{told:?}") };
    let resource = "/nudr-dr/v2/subscription-data/imsi-001010000000001/00101/provisioned-data/am-data";
    assert_eq!(item.resource_id, resource);
    assert_eq!(item.changes[0].new_value.as_ref().unwrap()["subscribedUeAmbr"], ambr);

    // Nobody monitors these, and nothing changes here.
    consumer.administer(Method::Patch, &path(1), set("/categories", json!(["gold"]))).await;
    consumer.administer(Method::Patch, &path(1), set("/ue_ambr", ambr)).await;
    settle().await;
    assert!(subscriber.take().is_empty());

    // A wrong record is none.
    let wrong = consumer.administer(Method::Patch, &path(1), set("/slices", json!([]))).await;
    assert_eq!(wrong.status, 400);
    assert_eq!(consumer.administer(Method::Patch, &path(2), set("/barred", json!(null))).await.status, 404);

    consumer.call(&UnsubscribeFromSubscriptionData { subs_id: id.clone() }).await.unwrap();
    consumer.administer(Method::Patch, &path(1), set("/barred", json!("services"))).await;
    settle().await;
    assert!(subscriber.take().is_empty());
    assert_eq!(status(consumer.call(&UnsubscribeFromSubscriptionData { subs_id: id }).await), 404);
}

#[tokio::test(start_paused = true)]
async fn when_a_subscriber_is_removed_then_its_registrations_stay_until_that_is_told() {
    let network = SimNetwork::new(1);
    let consumer = Consumer::start_on(&network, Env::simulated(1, &network)).await;
    consumer.administer(Method::Put, &path(1), Some(record(1))).await;
    let pdu_session_id = PduSessionId::new(5).unwrap();
    let plmn = PlmnId::new("001", "01").unwrap();
    let registration =
        SmfRegistration::new(consumer.env.entropy.uuid(), pdu_session_id, Snssai::new(1, None), plmn);
    consumer
        .call(&CreateOrUpdateSmfRegistration { ue_id: supi(1), pdu_session_id, registration })
        .await
        .unwrap();
    consumer.call(&subscribe(CALLBACK)).await.unwrap();
    assert_eq!(consumer.administer(Method::Delete, &path(1), None).await.status, 204);
    settle().await;
    // Nobody is there to hear of it yet.
    let list = QuerySmfRegList { ue_id: supi(1), supported_features: None };
    assert_eq!(consumer.call(&list).await.unwrap().body.len(), 1);
    let subscriber = Subscriber::serve(&network).await;
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let told = subscriber.take();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].notify_items[0].changes[0].op, ChangeType::Remove);
    assert_eq!(status(consumer.call(&list).await), 404);
}

/// A UE that is served has a UDM: one that has yet to subscribe, or has been away for too long.
#[tokio::test(start_paused = true)]
async fn when_nobody_has_subscribed_while_a_ue_is_served_then_a_change_waits_for_who_does() {
    let network = SimNetwork::new(1);
    let env = Env::simulated(1, &network);
    let counters = env.counters.clone();
    let consumer = Consumer::start_on(&network, env).await;
    for number in 1..=3 {
        consumer.administer(Method::Put, &path(number), Some(record(number))).await;
    }
    let pdu_session_id = PduSessionId::new(5).unwrap();
    let plmn = PlmnId::new("001", "01").unwrap();
    for number in [1, 3] {
        let instance = consumer.env.entropy.uuid();
        let registration = SmfRegistration::new(instance, pdu_session_id, Snssai::new(1, None), plmn);
        let ue_id = supi(number);
        consumer.call(&CreateOrUpdateSmfRegistration { ue_id, pdu_session_id, registration }).await.unwrap();
    }
    // Of the second one's nobody needs to hear, and the third one's is none of the UDM's.
    for number in 1..=2 {
        let barred = set("/barred", json!("services"));
        assert_eq!(consumer.administer(Method::Patch, &path(number), barred).await.status, 204);
    }
    consumer.administer(Method::Patch, &path(3), set("/categories", json!(["gold"]))).await;
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    assert!(counters.get("udr.changes_without_hearer") > 1);
    let subscriber = Subscriber::serve(&network).await;
    consumer.call(&subscribe(CALLBACK)).await.unwrap();
    settle().await;
    let told = subscriber.take();
    assert_eq!(told.iter().map(|told| told.ue_id.clone()).collect::<Vec<_>>(), [Some(supi(1))]);
    let before = counters.get("udr.changes_without_hearer");
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    assert!(subscriber.take().is_empty());
    assert_eq!(counters.get("udr.changes_without_hearer"), before);
}

#[tokio::test(start_paused = true)]
async fn when_there_are_too_many_subscriptions_then_a_further_one_is_refused_and_a_renewal_is_not() {
    let network = SimNetwork::new(1);
    let consumer = Consumer::start_on(&network, Env::simulated(1, &network)).await;
    for number in 0..64 {
        let callback = format!("http://127.0.0.12:8080/{number}");
        assert_eq!(status(consumer.call(&subscribe(&callback)).await), 201);
    }
    assert_eq!(status(consumer.call(&subscribe(CALLBACK)).await), 403);
    assert_eq!(status(consumer.call(&subscribe("http://127.0.0.12:8080/7")).await), 201);
    assert_eq!(status(consumer.call(&subscribe("none")).await), 400);
    // Those that are not renewed end.
    tokio::time::sleep(std::time::Duration::from_secs(3601)).await;
    assert_eq!(status(consumer.call(&subscribe(CALLBACK)).await), 201);
}
