//! The PCF over in-memory transports.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::sync::Arc;

use tern_nf::{Env, Routes, SbiConfig, Shutdown, SimNetwork, Transport, Trigger};
use tern_pcf::Config;
use tern_sbi::common::{NfType, PduSessionType, ServiceName};
use tern_sbi::nnrf_disc::{SearchNfInstances, SearchResult};
use tern_sbi::nnrf_nfm::{
    CreateSubscription, IpEndPoint, NfProfile, NfService, NfServiceStatus, NfServiceVersion, NfStatus,
    RegisterNfInstance,
};
use tern_sbi::npcf_am::{
    CreateAmPolicy, DeleteAmPolicy, PolicyAssociationRequest, PolicyAssociationUpdateRequest, ReadAmPolicy,
    UpdateAmPolicy,
};
use tern_sbi::npcf_sm::{
    CreateSmPolicy, DeleteSmPolicy, FailureCode, GetSmPolicy, RuleReport, RuleStatus, SmPolicyContextData,
    SmPolicyDecision, SmPolicyDeleteData, SmPolicyUpdateContextData, UpdateSmPolicy,
};
use tern_sbi::nudr_dr::{AmPolicyData, ReadAmPolicyData};
use tern_sbi::{Call, Location, Operation, OperationError, Response};
use tern_types::{Ambr, BitRate, PduSessionId, Snssai, Supi};

const NRF: &str = "http://127.0.0.10:8080";
const UDR: &str = "127.0.0.11:8080";

/// A running PCF, an NRF that knows one UDR, and that UDR.
struct Bed {
    network: SimNetwork,
    api_root: String,
    _trigger: Trigger,
    _servings: Vec<Box<dyn tern_sbi_transport::Serving>>,
}

impl Bed {
    async fn new(config: Config) -> Self {
        let network = SimNetwork::new(1);
        let mut servings = Vec::new();
        for (at, routes) in [("127.0.0.10:8080", nrf()), (UDR, udr())] {
            let at: SocketAddr = at.parse().unwrap();
            servings.push(network.sbi.serve(at, Arc::new(routes)).await.unwrap());
        }
        let env = Env::simulated(1, &network);
        let (trigger, shutdown) = Shutdown::new();
        let readiness = env.readiness.clone();
        tokio::spawn(async move { tern_pcf::run(config, env, shutdown).await.unwrap() });
        let api_root = readiness.wait().await;
        Self { network, api_root, _trigger: trigger, _servings: servings }
    }

    async fn call<O: Operation>(&self, op: &O) -> Result<Response<O::Answer>, OperationError<O::Failure>> {
        O::from_reply(self.network.sbi.send(&self.api_root, &Call::default(), op.to_request()).await?)
    }
}

fn nrf() -> Routes {
    Routes::new()
        .on(|_, op: RegisterNfInstance| async move { Ok(Response::created(NRF.to_owned(), op.profile)) })
        .on(|_, op: CreateSubscription| async move { Ok(Response::created(NRF.to_owned(), op.subscription)) })
        .on(|_, op: SearchNfInstances| async move {
            assert_eq!(op.target_nf_type, NfType::Udr);
            let at: SocketAddr = UDR.parse().unwrap();
            let version = NfServiceVersion::new("v2".into(), "2.0.0".into());
            let mut service = NfService::new(
                "1".into(),
                ServiceName::NudrDr,
                vec![version],
                tern_sbi::common::UriScheme::Http,
                NfServiceStatus::Registered,
            );
            service.ip_end_points = vec![IpEndPoint {
                ipv4_address: Some([127, 0, 0, 11].into()),
                port: Some(at.port()),
                ..IpEndPoint::default()
            }];
            let id = "f4b2a6c0-0d0e-4a6b-9a3e-5d3f0c1b2a39".parse().unwrap();
            let mut profile = NfProfile::new(id, NfType::Udr, NfStatus::Registered);
            profile.nf_services = vec![service];
            Ok(Response::ok(SearchResult::new(vec![profile])))
        })
}

/// Knows subscriber 2 as a visitor, and no other.
fn udr() -> Routes {
    Routes::new().on(|_, op: ReadAmPolicyData| async move {
        if op.ue_id == supi(2) {
            Ok(Response::ok(AmPolicyData { subsc_cats: vec!["visitor".into()] }))
        } else {
            Err(tern_sbi::ProblemDetails::new(404, "USER_NOT_FOUND").into())
        }
    })
}

fn supi(number: u64) -> Supi {
    Supi::from_imsi(&format!("{:015}", 1_010_000_000_000 + number)).unwrap()
}

fn access(number: u64) -> CreateAmPolicy {
    let request = PolicyAssociationRequest::new("http://127.0.0.16:8080/x".into(), "0".into(), supi(number));
    CreateAmPolicy::new(request)
}

fn session(number: u64, id: u8) -> CreateSmPolicy {
    CreateSmPolicy::new(SmPolicyContextData::new(
        supi(number),
        PduSessionId::new(id).unwrap(),
        PduSessionType::Ipv4,
        "internet".parse().unwrap(),
        "http://127.0.0.17:8080/x".into(),
        Snssai::new(1, None),
    ))
}

fn id(location: Option<String>) -> String {
    Location::parse(&location.expect("Location")).unwrap().last_segment().unwrap()
}

fn config(text: &str) -> Config {
    let config: Config = tern_config::parse("test", text).unwrap();
    Config { sbi: SbiConfig::loopback(14), ..config }
}

#[tokio::test(start_paused = true)]
async fn when_an_am_policy_is_created_then_it_lives_until_it_is_deleted() {
    let bed = Bed::new(config("access: [{ when: { categories: [visitor] }, rfsp: 2 }]")).await;
    let created = bed.call(&access(1)).await.unwrap();
    assert_eq!((created.status, created.body.rfsp), (201, None));
    let created = bed.call(&access(2)).await.unwrap();
    assert_eq!(created.body.rfsp, Some(2));
    let id = id(created.location);

    let read = bed.call(&ReadAmPolicy::new(id.clone())).await.unwrap().body;
    assert_eq!(read.request.unwrap().supi, supi(2));
    let update = PolicyAssociationUpdateRequest { rfsp: Some(7), ..Default::default() };
    let update = bed.call(&UpdateAmPolicy::new(id.clone(), update)).await.unwrap().body;
    assert_eq!(update.rfsp, Some(2));
    assert!(update.resource_uri.ends_with(&id));
    assert_eq!(bed.call(&DeleteAmPolicy::new(id.clone())).await.unwrap().status, 204);
    let refusal = bed.call(&DeleteAmPolicy::new(id)).await.unwrap_err();
    assert_eq!((refusal.status(), refusal.cause()), (Some(404), Some("POLICY_ASSOCIATION_NOT_FOUND")));
}

#[tokio::test(start_paused = true)]
async fn when_an_sm_policy_is_created_then_it_lives_until_it_is_deleted() {
    let bed = Bed::new(Config::default()).await;
    let created = bed.call(&session(1, 1)).await.unwrap();
    assert_eq!((created.status, created.body.pcc_rules.len()), (201, 1));
    let id = id(created.location);

    let rate = BitRate::from_bps(5_000_000);
    let ambr = Ambr { uplink: rate, downlink: rate };
    let update = SmPolicyUpdateContextData { subs_sess_ambr: Some(ambr), ..Default::default() };
    let changes = bed.call(&UpdateSmPolicy::new(id.clone(), update)).await.unwrap().body;
    assert_eq!(changes.sess_rules["default"].as_ref().unwrap().auth_sess_ambr, Some(ambr));
    assert!(changes.pcc_rules.is_empty());
    let whole = bed.call(&GetSmPolicy::new(id.clone())).await.unwrap().body;
    assert_eq!((whole.context.subs_sess_ambr, whole.policy.pcc_rules.len()), (Some(ambr), 1));

    let delete = DeleteSmPolicy::new(id.clone(), SmPolicyDeleteData::default());
    assert_eq!(bed.call(&delete).await.unwrap().status, 204);
    assert_eq!(bed.call(&delete).await.unwrap_err().status(), Some(404));
    assert_eq!(bed.call(&GetSmPolicy::new(id)).await.unwrap_err().status(), Some(404));
}

#[tokio::test(start_paused = true)]
async fn when_the_table_is_full_then_more_is_refused_and_known_sessions_are_not() {
    let bed = Bed::new(config("associations_max: 1")).await;
    let first = id(bed.call(&session(1, 1)).await.unwrap().location);
    let refusal = bed.call(&session(1, 2)).await.unwrap_err();
    assert_eq!((refusal.status(), refusal.cause()), (Some(500), Some("INSUFFICIENT_RESOURCES")));
    let again = id(bed.call(&session(1, 1)).await.unwrap().location);
    assert_eq!(bed.call(&GetSmPolicy::new(first)).await.unwrap_err().status(), Some(404));
    assert!(bed.call(&GetSmPolicy::new(again)).await.is_ok());
}

/// What the SMF says of the rule `call`.
fn report(rule_status: RuleStatus) -> SmPolicyUpdateContextData {
    let failure_code = Some(FailureCode::ResAlloFail);
    let report = RuleReport { failure_code, ..RuleReport::new(vec!["call".into()], rule_status) };
    SmPolicyUpdateContextData { rule_reports: vec![report], ..Default::default() }
}

#[tokio::test(start_paused = true)]
async fn when_the_smf_reports_that_a_rule_is_not_enforced_then_it_is_not_in_force_and_not_asked_for_again() {
    let rules = "
sessions:
  - rules:
      - { name: call, precedence: 10, flows: [permit out 17 from any to assigned], five_qi: 1,
          maximum: { uplink: 2 Mbps, downlink: 2 Mbps }, guaranteed: { uplink: 1 Mbps, downlink: 1 Mbps } }
";
    let bed = Bed::new(config(rules)).await;
    let created = bed.call(&session(1, 1)).await.unwrap();
    assert_eq!(created.body.pcc_rules.len(), 2);
    let id = id(created.location);
    let in_force = async || {
        let policy = bed.call(&GetSmPolicy::new(id.clone())).await.unwrap().body.policy;
        (policy.pcc_rules.contains_key("call"), policy.qos_decs.contains_key("call"))
    };
    assert_eq!(in_force().await, (true, true));
    let answer = bed.call(&UpdateSmPolicy::new(id.clone(), report(RuleStatus::Inactive))).await.unwrap();
    // Nothing follows that would have the SMF try at once again.
    assert_eq!(answer.body, SmPolicyDecision::default());
    assert_eq!(in_force().await, (false, false));
    let rate = BitRate::from_bps(5_000_000);
    let ambr = Some(Ambr { uplink: rate, downlink: rate });
    let update = SmPolicyUpdateContextData { subs_sess_ambr: ambr, ..Default::default() };
    let changes = bed.call(&UpdateSmPolicy::new(id.clone(), update)).await.unwrap().body;
    assert_eq!((changes.sess_rules.len(), changes.pcc_rules.len()), (1, 0));
    assert_eq!(in_force().await, (false, false));
}
