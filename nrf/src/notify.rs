//! Sends notifications, in order for each subscriber, each a bounded number of times.

use std::sync::Arc;

use tern_nf::{Consumer, Counters, Target};
use tern_sbi::Call;
use tern_types::Duration;
use tokio::sync::mpsc;

use crate::subscriptions::Notification;

/// Tasks that send; a subscription's notifications all go through one.
const SENDERS: usize = 8;
/// Notifications that wait for one task; more are dropped.
const QUEUE_MAX: usize = 1024;
/// Times that one notification is sent.
const ATTEMPTS_MAX: u32 = 3;
/// Before the second attempt; twice that before the third.
const RETRY: Duration = Duration::from_millis(200);
/// Waiting for a subscriber.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Sends notifications. Dropping it ends the tasks.
pub(crate) struct Notifier {
    senders: Vec<mpsc::Sender<Notification>>,
    counters: Counters,
}

impl Notifier {
    pub(crate) fn start(consumer: &Consumer, counters: &Counters) -> Arc<Self> {
        let start_one = |_| {
            let (sender, mut queue) = mpsc::channel(QUEUE_MAX);
            let (consumer, counters) = (consumer.clone(), counters.clone());
            tokio::spawn(async move {
                while let Some(notification) = queue.recv().await {
                    deliver(&consumer, &counters, notification).await;
                }
            });
            sender
        };
        Arc::new(Self { senders: (0..SENDERS).map(start_one).collect(), counters: counters.clone() })
    }

    pub(crate) fn send(&self, notifications: Vec<Notification>) {
        for notification in notifications {
            let id = notification.subscription_id.bytes();
            let index = id.fold(0, |sum: usize, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
            if self.senders[index % SENDERS].try_send(notification).is_err() {
                self.counters.add("nrf.notification.dropped", 1);
            }
        }
    }
}

async fn deliver(consumer: &Consumer, counters: &Counters, notification: Notification) {
    let target = Target::ApiRoot(notification.api_root);
    let call = Call { timeout: Some(TIMEOUT), ..Call::default() };
    for attempt in 1..=ATTEMPTS_MAX {
        match consumer.call(&target, &call, &notification.notify).await {
            Ok(_) => {
                counters.add("nrf.notification.delivered", 1);
                return;
            }
            Err(error) if attempt == ATTEMPTS_MAX => {
                counters.add("nrf.notification.failed", 1);
                tracing::info!(?target, subscription = notification.subscription_id, %error, "not notified");
            }
            Err(_) => tokio::time::sleep(RETRY * attempt).await,
        }
    }
}
