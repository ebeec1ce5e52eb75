//! The producer's side: accepts connections, within limits, and answers their requests.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tern_sbi::{ProblemDetails, Reply};
use tern_types::Duration;
use tokio::io::AsyncReadExt;
use tokio::sync::watch;
use tokio::time::Instant;

use super::coalescing::Coalescing;
use super::codec::{self, ContentError};
use super::limits::HttpLimits;
use super::stream::{ByteStream, Listener, Replayed};
use crate::transport::{BoxFuture, Service, Serving};

/// RFC 9113 §3.4.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Pause after a failed `accept`, for instance when no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Between two log lines about connections that ended with an error.
const COMPLAINT_PAUSE: Duration = Duration::from_secs(1);

/// What all connections of one listener share.
struct Shared {
    service: Arc<dyn Service>,
    limits: HttpLimits,
    peers: Mutex<HashMap<IpAddr, usize>>,
    /// Open connections.
    connections: watch::Sender<usize>,
    /// True once the endpoint stops.
    stopping: watch::Sender<bool>,
    complaints: Complaints,
}

/// Connections that end with an error are logged, but seldom: peers decide how often it happens.
#[derive(Default)]
struct Complaints(Mutex<(Option<Instant>, u64)>);

impl Complaints {
    fn about(&self, peer: IpAddr, why: &dyn std::fmt::Display) {
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

pub(super) struct HttpServing {
    at: SocketAddr,
    shared: Arc<Shared>,
}

pub(super) fn serve(
    listener: Box<dyn Listener>,
    service: Arc<dyn Service>,
    limits: HttpLimits,
) -> HttpServing {
    let at = listener.local_addr();
    let shared = Arc::new(Shared {
        service,
        limits,
        peers: Mutex::default(),
        connections: watch::Sender::new(0),
        stopping: watch::Sender::new(false),
        complaints: Complaints::default(),
    });
    tokio::spawn(accept(listener, shared.clone()));
    HttpServing { at, shared }
}

impl Serving for HttpServing {
    fn local_addr(&self) -> SocketAddr {
        self.at
    }

    fn stop(self: Box<Self>) -> BoxFuture<'static, ()> {
        let shared = self.shared.clone();
        drop(self);
        Box::pin(async move {
            let mut connections = shared.connections.subscribe();
            let drained = connections.wait_for(|n| *n == 0);
            if tokio::time::timeout(shared.limits.drain_timeout, drained).await.is_err() {
                tracing::warn!("stopped while connections were still open");
            }
        })
    }
}

impl Drop for HttpServing {
    fn drop(&mut self) {
        self.shared.stopping.send_replace(true);
    }
}

async fn accept(mut listener: Box<dyn Listener>, shared: Arc<Shared>) {
    let mut stopping = shared.stopping.subscribe();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stopping.wait_for(|stop| *stop) => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => match Admitted::new(&shared, peer) {
                Some(admitted) => {
                    tokio::spawn(connection(stream, admitted));
                }
                None => tracing::warn!(%peer, "connection refused: too many are open"),
            },
            Err(error) => {
                tracing::warn!(%error, "no connection accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// A connection within the limits; counted as long as it lives.
struct Admitted {
    shared: Arc<Shared>,
    peer: IpAddr,
}

impl Admitted {
    fn new(shared: &Arc<Shared>, peer: IpAddr) -> Option<Self> {
        let mut peers = shared.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let of_peer = peers.get(&peer).copied().unwrap_or(0);
        if *shared.connections.borrow() >= shared.limits.connections_max
            || of_peer >= shared.limits.connections_per_peer_max
        {
            return None;
        }
        peers.insert(peer, of_peer + 1);
        shared.connections.send_modify(|n| *n += 1);
        Some(Self { shared: shared.clone(), peer })
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut peers = self.shared.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = peers.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                peers.remove(&self.peer);
            }
        }
        self.shared.connections.send_modify(|n| *n -= 1);
    }
}

/// What a connection did since it was last asked.
#[derive(Default)]
struct Activity {
    requests: AtomicU64,
    in_progress: AtomicUsize,
}

struct InProgress(Arc<Activity>);

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.in_progress.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn connection(mut stream: Box<dyn ByteStream>, admitted: Admitted) {
    let shared = admitted.shared.clone();
    let limits = &shared.limits;
    if let Err(error) = preface(&mut stream, limits.preface_timeout).await {
        shared.complaints.about(admitted.peer, &error);
        return;
    }
    let activity = Arc::new(Activity::default());
    let answer = service_fn(|request| {
        activity.requests.fetch_add(1, Ordering::Relaxed);
        activity.in_progress.fetch_add(1, Ordering::Relaxed);
        let (shared, in_progress) = (shared.clone(), InProgress(activity.clone()));
        async move {
            let response = answer(&shared, request).await;
            drop(in_progress);
            Ok::<_, Infallible>(response)
        }
    });
    let serving = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(super::STREAM_WINDOW)
        .initial_connection_window_size(super::CONNECTION_WINDOW)
        .max_concurrent_streams(limits.streams_max)
        .max_header_list_size(limits.header_block_max)
        .max_pending_accept_reset_streams(limits.reset_streams_max)
        .max_local_error_reset_streams(limits.reset_streams_max)
        .keep_alive_interval(limits.ping_interval)
        .keep_alive_timeout(limits.ping_interval)
        .serve_connection(TokioIo::new(Coalescing::new(Box::new(Replayed::new(PREFACE, stream)))), answer);
    let mut serving = pin!(serving);
    let mut stopping = shared.stopping.subscribe();
    let mut closing = false;
    let mut requests_seen = 0;
    let mut check = pin!(tokio::time::sleep(limits.first_request_timeout));
    loop {
        tokio::select! {
            biased;
            ended = serving.as_mut() => {
                match ended {
                    Err(error) => shared.complaints.about(admitted.peer, &error),
                    Ok(()) => tracing::debug!(peer = %admitted.peer, "connection ended"),
                }
                return;
            }
            _ = stopping.wait_for(|stop| *stop), if !closing => {
                closing = true;
                serving.as_mut().graceful_shutdown();
                check.as_mut().reset(Instant::now() + limits.drain_timeout);
            }
            () = check.as_mut() => {
                if closing {
                    tracing::debug!(peer = %admitted.peer, "connection cut");
                    return;
                }
                let requests = activity.requests.load(Ordering::Relaxed);
                let idle = requests == requests_seen && activity.in_progress.load(Ordering::Relaxed) == 0;
                requests_seen = requests;
                let wait = if idle {
                    closing = true;
                    serving.as_mut().graceful_shutdown();
                    limits.drain_timeout
                } else {
                    limits.idle_timeout
                };
                check.as_mut().reset(Instant::now() + wait);
            }
        }
    }
}

/// Reads the preface before anything is built for the connection: garbage costs little.
async fn preface(stream: &mut Box<dyn ByteStream>, timeout: Duration) -> Result<(), &'static str> {
    let mut got = [0; PREFACE.len()];
    let read = async {
        let mut len = 0;
        while len < got.len() {
            match stream.read(&mut got[len..]).await {
                Ok(0) | Err(_) => return Err("ended before its preface"),
                Ok(n) => len += n,
            }
            if got[..len] != PREFACE[..len] {
                return Err("not HTTP/2 with prior knowledge");
            }
        }
        Ok(())
    };
    tokio::time::timeout(timeout, read).await.unwrap_or(Err("no preface in time"))
}

async fn answer(shared: &Shared, request: http::Request<Incoming>) -> http::Response<Full<Bytes>> {
    let (parts, incoming) = request.into_parts();
    let reply = match read(shared, &parts, incoming).await {
        Ok(request) => shared.service.handle(request).await,
        Err(problem) => {
            tracing::debug!(method = %parts.method, uri = %parts.uri, %problem, "request refused");
            problem.into_reply()
        }
    };
    let allow = if reply.status == 405 { shared.service.allowed(parts.uri.path()) } else { Vec::new() };
    codec::encode_reply(reply, &allow).unwrap_or_else(|error| {
        tracing::error!(uri = %parts.uri, %error, "reply cannot be encoded");
        let failure = Reply::empty(500);
        codec::encode_reply(failure, &[]).expect("invariant: an empty reply encodes")
    })
}

async fn read(
    shared: &Shared,
    parts: &http::request::Parts,
    incoming: Incoming,
) -> Result<tern_sbi::Request, ProblemDetails> {
    let collected = codec::collect(incoming, shared.limits.content_max);
    let content = match tokio::time::timeout(shared.limits.content_timeout, collected).await {
        Ok(content) => content.map_err(ContentError::into_problem)?,
        Err(_) => return Err(ContentError::Late.into_problem()),
    };
    codec::decode_request(parts, content, &shared.limits)
}
