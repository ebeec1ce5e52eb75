//! The consumer's side: one multiplexed connection a producer.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::HeaderValue;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tern_sbi::{Call, Reply, Request, TransportError};
use tern_types::Duration;
use tokio::time::Instant;

use super::coalescing::Coalescing;
use super::codec;
use super::limits::HttpLimits;
use super::stream::Streams;

/// For this long a failed connection attempt answers those who waited for it.
const FAILURE_MEMORY: Duration = Duration::from_millis(50);

/// One call is sent at most this often; again only where the producer cannot have seen it.
const ATTEMPTS_MAX: usize = 3;

pub(super) struct Client {
    streams: Arc<dyn Streams>,
    limits: HttpLimits,
    user_agent: HeaderValue,
    producers: Mutex<BTreeMap<String, Arc<Producer>>>,
}

/// The connection to one producer.
#[derive(Default)]
struct Producer {
    /// Held while connecting, so that calls share the attempt.
    connection: tokio::sync::Mutex<Connection>,
    used: Mutex<Option<Instant>>,
}

#[derive(Default)]
struct Connection {
    sender: Option<SendRequest<Full<Bytes>>>,
    failed: Option<(Instant, String)>,
}

/// What became of one attempt.
enum Attempt {
    Answered(http::Response<Incoming>),
    /// The producer has not seen the request.
    NotSent(String),
    Lost(String),
}

impl Client {
    pub(super) fn new(streams: Arc<dyn Streams>, limits: HttpLimits, user_agent: HeaderValue) -> Self {
        Self { streams, limits, user_agent, producers: Mutex::default() }
    }

    pub(super) async fn send(
        &self,
        api_root: &str,
        call: &Call,
        mut request: Request,
    ) -> Result<Reply, TransportError> {
        let timeout = call.timeout.unwrap_or(self.limits.call_timeout);
        request.headers.max_response_time = request.headers.max_response_time.or(call.timeout);
        request.headers.priority = request.headers.priority.or(call.priority);
        match tokio::time::timeout(timeout, self.exchange(api_root, &request)).await {
            Ok(result) => result,
            Err(_) => Err(TransportError::TimedOut),
        }
    }

    async fn exchange(&self, api_root: &str, request: &Request) -> Result<Reply, TransportError> {
        let unreachable = |text: &str| TransportError::Unreachable(format!("{api_root}: {text}"));
        let authority = super::parse_api_root(api_root).ok_or_else(|| unreachable("not an http apiRoot"))?;
        let encoded = codec::encode_request(api_root, &self.user_agent, request)
            .map_err(|error| unreachable(&format!("request is not HTTP: {error}")))?;
        let producer = self.producer(api_root);
        let mut failure = String::new();
        for _ in 0..ATTEMPTS_MAX {
            let sender = self.connected(&producer, authority).await.map_err(|error| unreachable(&error))?;
            match attempt(sender, encoded.clone()).await {
                Attempt::Answered(response) => return self.read(response).await,
                Attempt::NotSent(error) => failure = error,
                Attempt::Lost(error) => return Err(TransportError::Lost(format!("{api_root}: {error}"))),
            }
        }
        Err(unreachable(&failure))
    }

    async fn read(&self, response: http::Response<Incoming>) -> Result<Reply, TransportError> {
        let (parts, incoming) = response.into_parts();
        let content = codec::collect(incoming, self.limits.content_max).await;
        content
            .and_then(|content| codec::decode_reply(&parts, content))
            .map_err(|error| TransportError::Lost(format!("reply with status {}: {error}", parts.status)))
    }

    fn producer(&self, api_root: &str) -> Arc<Producer> {
        let now = Instant::now();
        let mut producers = self.producers.lock().unwrap_or_else(PoisonError::into_inner);
        let producer = match producers.get(api_root) {
            Some(producer) => producer.clone(),
            None => {
                if producers.len() >= self.limits.producers_max {
                    let oldest = producers.iter().min_by_key(|(_, p)| p.used()).map(|(root, _)| root.clone());
                    oldest.map(|root| producers.remove(&root));
                }
                producers.entry(api_root.to_owned()).or_default().clone()
            }
        };
        *producer.used.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        producer
    }

    /// The open connection, opened if there is none.
    async fn connected(
        &self,
        producer: &Producer,
        authority: &str,
    ) -> Result<SendRequest<Full<Bytes>>, String> {
        let mut connection = producer.connection.lock().await;
        if let Some(sender) = connection.sender.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(sender.clone());
        }
        connection.sender = None;
        if let Some((at, error)) = &connection.failed
            && at.elapsed() < FAILURE_MEMORY
        {
            return Err(error.clone());
        }
        match tokio::time::timeout(self.limits.connect_timeout, self.open(authority)).await {
            Ok(Ok(sender)) => {
                connection.failed = None;
                connection.sender = Some(sender.clone());
                Ok(sender)
            }
            failed => {
                let error = failed
                    .map_or_else(|_| "no connection in time".to_owned(), |e| e.err().unwrap_or_default());
                connection.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    async fn open(&self, authority: &str) -> Result<SendRequest<Full<Bytes>>, String> {
        let stream = self.streams.connect(authority).await.map_err(|error| error.to_string())?;
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(super::STREAM_WINDOW)
            .initial_connection_window_size(super::CONNECTION_WINDOW)
            .max_header_list_size(self.limits.header_block_max)
            .initial_max_send_streams(usize::try_from(self.limits.streams_max).unwrap_or(usize::MAX))
            .max_concurrent_reset_streams(self.limits.reset_streams_max)
            .keep_alive_interval(self.limits.ping_interval)
            .keep_alive_timeout(self.limits.ping_interval)
            .keep_alive_while_idle(true)
            .handshake(TokioIo::new(Coalescing::new(stream)))
            .await
            .map_err(|error| error.to_string())?;
        let authority = authority.to_owned();
        tokio::spawn(async move {
            let ended = connection.await;
            tracing::debug!(producer = authority, ?ended, "connection to producer ended");
        });
        Ok(sender)
    }
}

impl Producer {
    fn used(&self) -> Option<Instant> {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn attempt(mut sender: SendRequest<Full<Bytes>>, request: http::Request<Full<Bytes>>) -> Attempt {
    match sender.try_send_request(request).await {
        Ok(response) => Attempt::Answered(response),
        Err(mut error) => {
            let unsent = error.take_message().is_some();
            let error = error.into_error();
            let text = match error.source() {
                Some(source) => format!("{error}: {source}"),
                None => error.to_string(),
            };
            if unsent || unseen(&error) { Attempt::NotSent(text) } else { Attempt::Lost(text) }
        }
    }
}

/// The producer said that it has not acted: REFUSED_STREAM, or GOAWAY with NO_ERROR, which
/// ends only streams beyond its last (RFC 9113 §8.7, §6.8).
fn unseen(error: &hyper::Error) -> bool {
    let h2 = error.source().and_then(|source| source.downcast_ref::<h2::Error>());
    h2.is_some_and(|error| {
        error.reason() == Some(h2::Reason::REFUSED_STREAM)
            || (error.is_go_away() && error.is_remote() && error.reason() == Some(h2::Reason::NO_ERROR))
    })
}
