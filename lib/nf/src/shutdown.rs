//! How a network function is told to stop, and tells that it is ready.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

/// Asks all clones of its [`Shutdown`] to stop. Dropping it asks too.
#[derive(Debug)]
pub struct Trigger(watch::Sender<bool>);

impl Trigger {
    /// Asks.
    pub fn shut_down(&self) {
        self.0.send_replace(true);
    }
}

/// Tells when to stop.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Receiver<bool>);

impl Shutdown {
    /// Not asked yet.
    pub fn new() -> (Trigger, Self) {
        let (sender, receiver) = watch::channel(false);
        (Trigger(sender), Self(receiver))
    }

    /// Ready when asked to stop. Cancel safe.
    pub async fn requested(&self) {
        // A dropped trigger cannot ask any more: nobody would stop us, so we stop.
        let _ = self.0.clone().wait_for(|stop| *stop).await;
    }

    /// Whether asked to stop.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}

/// Tells that a network function is registered and serves. Clones are one.
#[derive(Debug, Clone)]
pub struct Ready {
    /// Where it serves, once it does.
    serves: Arc<watch::Sender<Option<String>>>,
    /// Whether it serves and is not registered at this time.
    suspended: Arc<AtomicBool>,
}

impl Default for Ready {
    fn default() -> Self {
        Self { serves: Arc::new(watch::Sender::new(None)), suspended: Arc::default() }
    }
}

impl Ready {
    /// It is ready, at `api_root`.
    pub fn set(&self, api_root: &str) {
        self.serves.send_replace(Some(api_root.to_owned()));
    }

    /// Others do not find it for now.
    pub fn suspend(&self) {
        self.suspended.store(true, Ordering::Relaxed);
    }

    /// They do again.
    pub fn resume(&self) {
        self.suspended.store(false, Ordering::Relaxed);
    }

    /// Whether it is ready now.
    pub fn is_set(&self) -> bool {
        self.serves.borrow().is_some() && !self.suspended.load(Ordering::Relaxed)
    }

    /// Waits until it is ready for the first time; where it serves.
    pub async fn wait(&self) -> String {
        let mut receiver = self.serves.subscribe();
        let ready = receiver.wait_for(Option::is_some).await.expect("invariant: self holds the sender");
        ready.clone().unwrap_or_default()
    }
}
