//! The UDM on a network in memory, with a UDR and an NRF of the tests.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod nrf;
mod sdm;
mod udr;
mod ueau;
mod uecm;

use std::sync::Arc;

use tern_nf::{Consumer, Env, SbiConfig, Shutdown, SimNetwork, Target, Trigger};
use tern_sbi::common::{NfType, ServiceName};
use tern_sbi::{Call, Operation, OperationError, ProblemDetails, Response};
use tern_sbi_transport::Serving;
use tern_types::Supi;
use udr::Udr;

/// A UDM that serves, and whom it knows.
struct Bench {
    network: SimNetwork,
    udr: Arc<Udr>,
    consumer: Consumer,
    _serving: [Box<dyn Serving>; 2],
    _udm: Trigger,
}

impl Bench {
    async fn new() -> Self {
        let network = SimNetwork::new(7);
        let udr = Arc::new(Udr::default());
        let serving = [nrf::serve(&network.sbi).await, udr.serve(&network.sbi).await];
        let env = Env::simulated(1, &network);
        nrf::register(&env, NfType::Udr, ServiceName::NudrDr, "127.0.0.11").await;
        let (trigger, shutdown) = Shutdown::new();
        let config = tern_config::parse("udm.yaml", CONFIG).unwrap();
        let udm = Env::simulated(2, &network);
        let ready = udm.readiness.clone();
        tokio::spawn(async move { tern_udm::run(config, udm, shutdown).await.unwrap() });
        ready.wait().await;
        let consumer = Consumer::new(&env, &SbiConfig::loopback(99), NfType::Amf);
        Self { network, udr, consumer, _serving: serving, _udm: trigger }
    }

    async fn call<O: Operation<Failure = ProblemDetails>>(
        &self,
        operation: &O,
    ) -> Result<Response<O::Answer>, OperationError> {
        let udm = Target::ApiRoot("http://127.0.0.12:8080".to_owned());
        self.consumer.call(&udm, &Call::default(), operation).await
    }
}

/// The keys of TS 33.501 §C.4.
const CONFIG: &str = "\
home_network_keys:
  - id: 1
    scheme: A
    private_key: c53c22208b61860b06c62e5406a7b330c2b577aa5558981510d128247d38bd1d
";

fn supi() -> Supi {
    "imsi-001010000000001".parse().unwrap()
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
    let sample = <tern_udm::Config as tern_config::Sample>::sample().unwrap();
    let json = |config: &tern_udm::Config| serde_json::to_value(config).unwrap();
    assert_eq!(json(&sample), json(&tern_udm::Config::default()));
}
