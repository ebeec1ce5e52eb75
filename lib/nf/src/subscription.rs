//! A subscription that a network function holds at another as long as it lives.

use std::convert::Infallible;

use tern_sbi::{Call, Operation};
use tern_types::Duration;

use crate::consumer::Consumer;
use crate::env::Env;
use crate::selection::Target;

/// A subscription is made again this often: well within the validity that producers give.
const RENEWAL: Duration = Duration::from_secs(600);
/// Until a producer that is not there is asked again.
const RETRY: Duration = Duration::from_millis(250);
/// Waiting for the producer.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Subscribes, once the network function serves, and again from time to time and whenever a producer has
/// started anew. A producer takes a repetition for the renewal that it is.
pub async fn stay_subscribed<O: Operation>(
    env: &Env,
    consumer: &Consumer,
    target: &Target,
    subscribe: &O,
) -> Infallible {
    env.readiness.wait().await;
    let call = Call { timeout: Some(TIMEOUT), ..Call::default() };
    let mut is_known = false;
    loop {
        let made = consumer.call(target, &call, subscribe).await.is_ok();
        if made && !is_known {
            tracing::info!(operation = O::NAME, "subscribed");
        }
        is_known = made;
        if !made {
            // Who has a request for it must not find that there was none.
            if let Target::Service { nf_type, .. } = target {
                consumer.forget(nf_type);
            }
        }
        tokio::select! {
            biased;
            _ = consumer.producer_lost() => {}
            () = env.clock.sleep(if made { RENEWAL } else { RETRY }) => {}
        }
    }
}
