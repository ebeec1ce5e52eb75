//! A place where requests are answered: what its connections share, whatever they speak.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tern_types::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::http::HttpLimits;
use crate::transport::{BoxFuture, Service, Serving};

/// Between two log lines about connections that ended with an error.
const COMPLAINT_PAUSE: Duration = Duration::from_secs(1);

/// What all connections of one listener share.
pub(crate) struct Place {
    pub(crate) service: Arc<dyn Service>,
    pub(crate) limits: HttpLimits,
    peers: Mutex<HashMap<IpAddr, usize>>,
    /// Open connections.
    connections: watch::Sender<usize>,
    /// True once the endpoint stops.
    stopping: watch::Sender<bool>,
    pub(crate) complaints: Complaints,
}

impl Place {
    pub(crate) fn new(service: Arc<dyn Service>, limits: HttpLimits) -> Arc<Self> {
        Arc::new(Self {
            service,
            limits,
            peers: Mutex::default(),
            connections: watch::Sender::new(0),
            stopping: watch::Sender::new(false),
            complaints: Complaints::default(),
        })
    }

    /// Turns true once the endpoint stops.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }
}

/// Connections that end with an error are logged, but seldom: peers decide how often it happens.
#[derive(Default)]
pub(crate) struct Complaints(Mutex<(Option<Instant>, u64)>);

impl Complaints {
    pub(crate) fn about(&self, peer: IpAddr, why: &dyn std::fmt::Display) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, unsaid) = &mut *state;
        let now = Instant::now();
        if last.is_some_and(|last| now.duration_since(last) < COMPLAINT_PAUSE) {
            *unsaid += 1;
            tracing::debug!(%peer, %why, "connection ended with an error");
            return;
        }
        tracing::warn!(%peer, %why, more = *unsaid, "connection ended with an error");
        *state = (Some(now), 0);
    }
}

/// A place that is being served. Dropping it stops.
pub(crate) struct PlaceServing {
    pub(crate) at: SocketAddr,
    pub(crate) place: Arc<Place>,
}

impl Serving for PlaceServing {
    fn local_addr(&self) -> SocketAddr {
        self.at
    }

    fn stop(self: Box<Self>) -> BoxFuture<'static, ()> {
        let place = self.place.clone();
        drop(self);
        Box::pin(async move {
            let mut connections = place.connections.subscribe();
            let drained = connections.wait_for(|n| *n == 0);
            if tokio::time::timeout(place.limits.drain_timeout, drained).await.is_err() {
                tracing::warn!("stopped while connections were still open");
            }
        })
    }
}

impl Drop for PlaceServing {
    fn drop(&mut self) {
        self.place.stopping.send_replace(true);
    }
}

/// A connection within the limits; counted as long as it lives.
pub(crate) struct Admitted {
    pub(crate) place: Arc<Place>,
    pub(crate) peer: IpAddr,
}

impl Admitted {
    pub(crate) fn new(place: &Arc<Place>, peer: IpAddr) -> Option<Self> {
        let mut peers = place.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let of_peer = peers.get(&peer).copied().unwrap_or(0);
        if *place.connections.borrow() >= place.limits.connections_max
            || of_peer >= place.limits.connections_per_peer_max
        {
            return None;
        }
        peers.insert(peer, of_peer + 1);
        place.connections.send_modify(|n| *n += 1);
        Some(Self { place: place.clone(), peer })
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut peers = self.place.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = peers.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                peers.remove(&self.peer);
            }
        }
        self.place.connections.send_modify(|n| *n -= 1);
    }
}
