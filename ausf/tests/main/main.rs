//! The AUSF on a network in memory, with a UDM and an NRF of the tests.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod authentication;
mod eap;
mod nrf;

use std::sync::{Arc, Mutex};

use tern_crypto::{AMF_5G, AuthenticationFunctions, EapAkaPrimeVector, Sqn};
use tern_nf::{Consumer, Env, Routes, SbiConfig, Shutdown, SimNetwork, Target, Transport as _, Trigger};
use tern_sbi::common::{NfType, Octets, Secret, SecretText, ServiceName};
use tern_sbi::nausf_auth::{AuthType, Authenticate, AuthenticationInfo};
use tern_sbi::nudm_ueau::*;
use tern_sbi::{Call, Operation, OperationError, ProblemDetails, Response};
use tern_sbi_transport::Serving;
use tern_types::Supi;

const NETWORK: &str = "5G:mnc001.mcc001.3gppnetwork.org";

/// What the UDM of the tests has heard and will say.
#[derive(Default)]
struct Udm {
    requests: Mutex<Vec<AuthenticationInfoRequest>>,
    events: Mutex<Vec<AuthEvent>>,
    removals: Mutex<Vec<String>>,
    /// Its subscribers authenticate by EAP-AKA'.
    eap: Mutex<bool>,
    /// Refuses vectors with this status and cause.
    refusal: Mutex<Option<(u16, &'static str)>>,
}

/// An AUSF that serves, and whom it knows.
struct Bench {
    network: SimNetwork,
    env: Env,
    config: tern_ausf::Config,
    udm: Arc<Udm>,
    consumer: Consumer,
    _serving: [Box<dyn Serving>; 2],
    ausf: Option<(Trigger, tokio::task::JoinHandle<()>)>,
}

impl Bench {
    async fn new(config: &str) -> Self {
        let network = SimNetwork::new(7);
        let udm = Arc::new(Udm::default());
        let serving = [nrf::serve(&network.sbi).await, udm.serve(&network).await];
        let amf = Env::simulated(1, &network);
        nrf::register(&amf, NfType::Udm, ServiceName::NudmUeau, "127.0.0.12").await;
        let consumer = Consumer::new(&amf, &SbiConfig::loopback(99), NfType::Amf);
        let env = Env::simulated(2, &network);
        let config = tern_config::parse("ausf.yaml", config).unwrap();
        let mut bench = Self { network, env, config, udm, consumer, _serving: serving, ausf: None };
        bench.restart().await;
        bench
    }

    /// Ends the AUSF and starts another one on its store.
    async fn restart(&mut self) {
        if let Some((trigger, ended)) = self.ausf.take() {
            trigger.shut_down();
            ended.await.unwrap();
        }
        let store = self.env.store.clone();
        self.env = Env { store, ..Env::simulated(3, &self.network) };
        let (trigger, shutdown) = Shutdown::new();
        let (config, env) = (self.config.clone(), self.env.clone());
        let running = tokio::spawn(async move { tern_ausf::run(config, env, shutdown).await.unwrap() });
        self.env.readiness.wait().await;
        self.ausf = Some((trigger, running));
    }

    async fn call<O: Operation<Failure = ProblemDetails>>(
        &self,
        operation: &O,
    ) -> Result<Response<O::Answer>, OperationError> {
        let ausf = Target::ApiRoot("http://127.0.0.13:8080".to_owned());
        self.consumer.call(&ausf, &Call::default(), operation).await
    }
}

fn supi() -> Supi {
    "imsi-001010000000001".parse().unwrap()
}

fn functions() -> AuthenticationFunctions {
    AuthenticationFunctions::milenage(&[0x46; 16], &[0xcd; 16])
}

fn authenticate() -> Authenticate {
    let info = AuthenticationInfo::new("suci-0-001-01-0-0-0-0000000001".to_owned(), NETWORK.to_owned());
    Authenticate { info }
}

impl Udm {
    async fn serve(self: &Arc<Self>, network: &SimNetwork) -> Box<dyn Serving> {
        let (generating, hearing, forgetting) = (self.clone(), self.clone(), self.clone());
        let routes = Routes::new()
            .on(move |_: Call, op: GenerateAuthData| {
                let answer = generating.generate(op);
                async { answer }
            })
            .on(move |_: Call, op: ConfirmAuth| {
                hearing.events.lock().unwrap().push(op.event.clone());
                let uri = "http://127.0.0.12:8080/nudm-ueau/v1/x/auth-events/e1".to_owned();
                async { Ok(Response::created(uri, op.event)) }
            })
            .on(move |_: Call, op: DeleteAuth| {
                assert_eq!(op.event.auth_removal_ind, Some(true));
                forgetting.removals.lock().unwrap().push(op.auth_event_id);
                async { Ok(Response::no_content()) }
            });
        network.sbi.serve("127.0.0.12:8080".parse().unwrap(), Arc::new(routes)).await.unwrap()
    }

    fn generate(&self, op: GenerateAuthData) -> Result<Response<AuthenticationInfoResult>, OperationError> {
        if let Some((status, cause)) = *self.refusal.lock().unwrap() {
            return Err(OperationError::Problem(ProblemDetails::new(status, cause)));
        }
        let mut requests = self.requests.lock().unwrap();
        let number = requests.len() as u64 + 1;
        let sqn = Sqn::new((number << 5) | (number % 32)).unwrap();
        let rand = [number as u8; 16];
        let network = &op.request.serving_network_name;
        let (method, vector) = if *self.eap.lock().unwrap() {
            (AuthType::EapAkaPrime, AuthenticationVector::AvEapAkaPrime(eap_vector(sqn, rand, network)))
        } else {
            (AuthType::FiveGAka, AuthenticationVector::Av5gHeAka(vector(sqn, rand, network)))
        };
        requests.push(op.request);
        Ok(Response::ok(AuthenticationInfoResult {
            authentication_vector: Some(vector),
            supi: Some(supi()),
            ..AuthenticationInfoResult::new(method)
        }))
    }
}

fn vector(sqn: Sqn, rand: [u8; 16], network: &str) -> Av5gHeAka {
    let vector = tern_crypto::AuthenticationVector::generate(&functions(), sqn, AMF_5G, rand, network);
    Av5gHeAka::new(
        AvType::FiveGHeAka,
        Octets(vector.rand),
        Secret::new(*vector.xres_star.as_bytes()),
        Octets(vector.autn.0),
        Secret::new(*vector.k_ausf.as_bytes()),
    )
}

fn eap_vector(sqn: Sqn, rand: [u8; 16], network: &str) -> AvEapAkaPrime {
    let vector = EapAkaPrimeVector::generate(&functions(), sqn, AMF_5G, rand, network);
    AvEapAkaPrime::new(
        AvType::EapAkaPrime,
        Octets(vector.rand),
        SecretText::new(vector.xres.iter().map(|octet| format!("{octet:02x}")).collect()),
        Octets(vector.autn.0),
        Secret::new(*vector.ck_prime.as_bytes()),
        Secret::new(*vector.ik_prime.as_bytes()),
    )
}

/// Status and cause of a refusal.
fn refusal<T: std::fmt::Debug>(result: Result<T, OperationError>) -> (u16, String) {
    match result {
        Err(OperationError::Problem(problem)) => {
            (problem.status.unwrap_or(0), problem.cause.unwrap_or_default())
        }
        other => panic!("{other:?} in place of a refusal"),
    }
}

#[test]
fn the_sample_is_the_defaults() {
    let sample = <tern_ausf::Config as tern_config::Sample>::sample().unwrap();
    assert_eq!(sample, tern_ausf::Config::default());
}
