//! Shared memory where producer and consumer are on one node, TCP elsewhere.

mod options;
mod shm;
mod way;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use sbi_shm::{AttachOptions, ListenError, ListenOptions, Stack};
use tern_sbi::{Call, Reply, Request, TransportError};
use tern_types::Duration;

pub use options::{Codec, Connections, HybridOptions, TransportChoice};

use crate::direct;
use crate::http::{self, Http, Streams as _, Tcp};
use crate::place::{Admitted, Place, PlaceServing};
use crate::tap::Tap;
use crate::transport::{BoxFuture, Service, Serving, Transport};
use shm::{Outcome, Shm};
use way::Ways;

/// Between two attempts to reach the manager of a node that had none before.
const ATTACH_PAUSE: Duration = Duration::from_secs(2);

/// Buffers that may be with one consumer: its replies on their way.
const WINDOW: u32 = 8;

/// Carries requests through shared memory to producers on this node, and over TCP to others.
///
/// Use it inside a tokio runtime. Clones share their connections.
#[derive(Clone)]
pub struct Hybrid {
    inner: Arc<Inner>,
}

struct Inner {
    options: HybridOptions,
    http: Http,
    tcp: Tcp,
    /// Empty while the node has no manager.
    shm: OnceLock<Shm>,
    ways: Ways,
    /// Places that are served, for a manager that comes late.
    places: Mutex<Vec<(SocketAddr, Weak<Place>)>>,
    tap: Option<Tap>,
}

impl Hybrid {
    /// Attaches to the node's manager; blocks until it answers. `attached` is called with the stack,
    /// at once or when a manager appears. Without a manager: an error for
    /// [`TransportChoice::Shm`], TCP for [`TransportChoice::Auto`] until there is one.
    pub fn new(
        options: HybridOptions,
        attached: impl Fn(&Stack) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let tcp = Tcp { source: options.source };
        let http = Http::tcp(tcp, options.limits.clone(), &options.user_agent);
        let tap = match &options.tap {
            Some(directory) => Some(Tap::in_directory(directory, &options.user_agent.to_lowercase())?),
            None => None,
        };
        let inner = Arc::new(Inner {
            options,
            http,
            tcp,
            shm: OnceLock::new(),
            ways: Ways::default(),
            places: Mutex::default(),
            tap,
        });
        match inner.options.transport {
            TransportChoice::Tcp => {}
            TransportChoice::Shm => inner.attach(&attached).map_err(io::Error::other)?,
            TransportChoice::Auto => {
                if let Err(error) = inner.attach(&attached) {
                    tracing::info!(%error, "SBI over TCP until there is a manager of shared memory");
                    tokio::spawn(attach_later(Arc::downgrade(&inner), attached));
                }
            }
        }
        Ok(Self { inner })
    }

    /// The stack, if the process is attached to a manager.
    pub fn stack(&self) -> Option<&Stack> {
        self.inner.shm.get().map(Shm::stack)
    }
}

async fn attach_later(inner: Weak<Inner>, attached: impl Fn(&Stack) + Send + Sync + 'static) {
    let attached = Arc::new(attached);
    loop {
        tokio::time::sleep(ATTACH_PAUSE).await;
        let Some(inner) = inner.upgrade() else { return };
        let (blocking, attached) = (inner.clone(), attached.clone());
        let outcome = tokio::task::spawn_blocking(move || blocking.attach(&*attached)).await;
        if !matches!(outcome, Ok(Ok(()))) {
            continue;
        }
        tracing::info!("attached to the manager of shared memory");
        inner.ways.forget();
        let places = std::mem::take(&mut *inner.places.lock().unwrap_or_else(PoisonError::into_inner));
        for (at, place) in places {
            if let Some(place) = place.upgrade()
                && let Err(error) = inner.listen(at, &place).await
            {
                tracing::warn!(%at, %error, "not served through shared memory");
            }
        }
        return;
    }
}

impl Inner {
    fn attach(&self, attached: &(impl Fn(&Stack) + ?Sized)) -> Result<(), sbi_shm::AttachError> {
        let options = AttachOptions {
            waiting: self.options.waiting,
            ..AttachOptions::new(&self.options.manager, self.options.user_agent.to_lowercase())
        };
        let stack = Stack::attach(&options)?;
        attached(&stack);
        let _ = self.shm.set(Shm::new(stack, &self.options, self.tap.clone()));
        Ok(())
    }

    /// Accepts connections through shared memory.
    async fn listen(&self, at: SocketAddr, place: &Arc<Place>) -> Result<(), ListenError> {
        let Some(shm) = self.shm.get() else { return Err(ListenError::NoManager) };
        let protocols = match self.options.codec {
            Codec::Auto => vec![tern_sbi::direct::REVISION],
            Codec::Http2 => Vec::new(),
        };
        let options = ListenOptions { protocols, window: WINDOW, ..ListenOptions::default() };
        let listener = shm.stack().listen_async(at, &options).await?;
        let (place, tap) = (place.clone(), self.tap.clone());
        tokio::spawn(async move {
            let mut stopping = place.stopping();
            loop {
                let accepted = tokio::select! {
                    biased;
                    _ = stopping.wait_for(|stop| *stop) => return,
                    accepted = listener.accept_async() => accepted,
                };
                // It fails only with its runtime.
                let Ok((stream, peer)) = accepted else { return };
                match Admitted::new(&place, peer.ip()) {
                    Some(admitted) if stream.choice() == tern_sbi::direct::REVISION => {
                        tokio::spawn(direct::connection(stream, admitted, tap.clone()));
                    }
                    Some(admitted) => {
                        tokio::spawn(http::server::connection(Box::new(stream), admitted));
                    }
                    None => tracing::warn!(%peer, "connection refused: too many are open"),
                }
            }
        });
        Ok(())
    }

    async fn serve(&self, at: SocketAddr, service: Arc<dyn Service>) -> io::Result<Box<dyn Serving>> {
        let place = Place::new(service, self.options.limits.clone());
        let choice = self.options.transport;
        let mut at = at;
        if choice != TransportChoice::Shm {
            let listener = self.tcp.listen(at).await?;
            at = listener.local_addr();
            let serving = http::server::serve(listener, &place);
            if choice == TransportChoice::Tcp {
                return Ok(Box::new(serving));
            }
            match self.listen(at, &place).await {
                Ok(()) => {}
                Err(ListenError::NoManager) => {
                    let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
                    places.retain(|(_, place)| place.strong_count() > 0);
                    places.push((at, Arc::downgrade(&place)));
                }
                Err(error) => tracing::warn!(%at, %error, "not served through shared memory"),
            }
            return Ok(Box::new(serving));
        }
        if at.port() == 0 {
            at = free_port(at)?;
        }
        self.listen(at, &place).await?;
        Ok(Box::new(PlaceServing { at, place }))
    }

    async fn send(&self, api_root: &str, call: &Call, request: Request) -> Result<Reply, TransportError> {
        let choice = self.options.transport;
        let address = http::parse_api_root(api_root).and_then(|authority| authority.parse().ok());
        let (Some(shm), Some(to)) = (self.shm.get(), address) else {
            return self.over_tcp(api_root, call, request).await;
        };
        if choice == TransportChoice::Auto && self.ways.is_elsewhere(api_root) {
            return self.over_tcp(api_root, call, request).await;
        }
        match shm.send(to, api_root, call, &request).await {
            Outcome::Done(outcome) => outcome,
            Outcome::NotHere(why) if choice == TransportChoice::Shm => Err(TransportError::Unreachable(why)),
            Outcome::NotHere(_) => {
                self.ways.remember_elsewhere(api_root);
                self.over_tcp(api_root, call, request).await
            }
        }
    }

    async fn over_tcp(&self, api_root: &str, call: &Call, request: Request) -> Result<Reply, TransportError> {
        if self.options.transport == TransportChoice::Shm {
            let why = format!("{api_root} has no address on this node, and `sbi.transport` is `shm`");
            return Err(TransportError::Unreachable(why));
        }
        self.http.send(api_root, call, request).await
    }
}

/// A port that no TCP socket has at this address either: one address means one network function.
fn free_port(at: SocketAddr) -> io::Result<SocketAddr> {
    std::net::TcpListener::bind(at)?.local_addr()
}

impl Transport for Hybrid {
    fn serve(
        &self,
        at: SocketAddr,
        service: Arc<dyn Service>,
    ) -> BoxFuture<'_, io::Result<Box<dyn Serving>>> {
        Box::pin(self.inner.serve(at, service))
    }

    fn send(
        &self,
        api_root: &str,
        call: &Call,
        request: Request,
    ) -> BoxFuture<'_, Result<Reply, TransportError>> {
        let (api_root, call) = (api_root.to_owned(), call.clone());
        Box::pin(async move { self.inner.send(&api_root, &call, request).await })
    }

    fn node(&self) -> Option<String> {
        let node = self.stack()?.node();
        Some(node.iter().map(|octet| format!("{octet:02x}")).collect())
    }

    fn learn(&self, api_root: &str, node: Option<&str>) {
        if node.is_none() || node != self.node().as_deref() {
            self.inner.ways.learn_elsewhere(api_root);
        }
    }
}
