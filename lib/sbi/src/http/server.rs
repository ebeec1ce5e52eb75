//! The producer's side: accepts connections, within limits, and answers their requests.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tern_sbi::{ProblemDetails, Reply};
use tern_types::Duration;
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use super::coalescing::Coalescing;
use super::codec::{self, ContentError};
use super::stream::{ByteStream, Listener, Replayed};
use crate::place::{Admitted, Place, PlaceServing};

/// RFC 9113 §3.4.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Pause after a failed `accept`, for instance when no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Answers HTTP/2 at a place.
pub(crate) fn serve(listener: Box<dyn Listener>, place: &Arc<Place>) -> PlaceServing {
    let at = listener.local_addr();
    tokio::spawn(accept(listener, place.clone()));
    PlaceServing { at, place: place.clone() }
}

async fn accept(mut listener: Box<dyn Listener>, place: Arc<Place>) {
    let mut stopping = place.stopping();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stopping.wait_for(|stop| *stop) => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => match Admitted::new(&place, peer) {
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

/// Speaks HTTP/2 on an accepted stream until it ends.
pub(crate) async fn connection(mut stream: Box<dyn ByteStream>, admitted: Admitted) {
    let place = admitted.place.clone();
    let limits = &place.limits;
    if let Err(error) = preface(&mut stream, limits.preface_timeout).await {
        place.complaints.about(admitted.peer, &error);
        return;
    }
    let activity = Arc::new(Activity::default());
    let answer = service_fn(|request| {
        activity.requests.fetch_add(1, Ordering::Relaxed);
        activity.in_progress.fetch_add(1, Ordering::Relaxed);
        let (place, in_progress) = (place.clone(), InProgress(activity.clone()));
        async move {
            let response = answer(&place, request).await;
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
    let mut stopping = place.stopping();
    let mut closing = false;
    let mut requests_seen = 0;
    let mut check = pin!(tokio::time::sleep(limits.first_request_timeout));
    loop {
        tokio::select! {
            biased;
            ended = serving.as_mut() => {
                match ended {
                    Err(error) => place.complaints.about(admitted.peer, &error),
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

async fn answer(place: &Place, request: http::Request<Incoming>) -> http::Response<Full<Bytes>> {
    let (parts, incoming) = request.into_parts();
    let reply = match read(place, &parts, incoming).await {
        Ok(request) => place.service.handle(request).await,
        Err(problem) => {
            tracing::debug!(method = %parts.method, uri = %parts.uri, %problem, "request refused");
            problem.into_reply()
        }
    };
    let allow = if reply.status == 405 { place.service.allowed(parts.uri.path()) } else { Vec::new() };
    codec::encode_reply(reply, &allow).unwrap_or_else(|error| {
        tracing::error!(uri = %parts.uri, %error, "reply cannot be encoded");
        let failure = Reply::empty(500);
        codec::encode_reply(failure, &[]).expect("invariant: an empty reply encodes")
    })
}

async fn read(
    place: &Place,
    parts: &http::request::Parts,
    incoming: Incoming,
) -> Result<tern_sbi::Request, ProblemDetails> {
    let collected = codec::collect(incoming, place.limits.content_max);
    let content = match tokio::time::timeout(place.limits.content_timeout, collected).await {
        Ok(content) => content.map_err(ContentError::into_problem)?,
        Err(_) => return Err(ContentError::Late.into_problem()),
    };
    codec::decode_request(parts, content, &place.limits)
}
