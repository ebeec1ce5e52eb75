//! The consumer's side: one multiplexed connection a producer.

use std::error::Error as _;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tern_sbi::{Call, Reply, Request, TransportError};

use super::coalescing::Coalescing;
use super::codec;
use super::limits::HttpLimits;
use super::stream::{ByteStream, Streams};
use crate::producers::{Producers, Shareable};

/// One call is sent at most this often; again only where the producer cannot have seen it.
pub(crate) const ATTEMPTS_MAX: usize = 3;

pub(super) struct Client {
    streams: Arc<dyn Streams>,
    limits: HttpLimits,
    user_agent: HeaderValue,
    producers: Producers<String, Http2, String>,
}

/// A connection, as its users have it.
pub(crate) type Http2 = SendRequest<Full<Bytes>>;

impl Shareable for Http2 {
    fn is_closed(&self) -> bool {
        SendRequest::is_closed(self)
    }
}

/// What became of one attempt.
pub(crate) enum Attempt {
    /// It is answered.
    Answered(http::Response<Incoming>),
    /// The producer has not seen the request.
    NotSent(String),
    /// The producer may have seen it; there is no answer.
    Lost(String),
}

impl Client {
    pub(super) fn new(streams: Arc<dyn Streams>, limits: HttpLimits, user_agent: HeaderValue) -> Self {
        let producers = Producers::new(limits.producers_max);
        Self { streams, limits, user_agent, producers }
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
        let key = api_root.to_owned();
        let mut failure = String::new();
        for _ in 0..ATTEMPTS_MAX {
            let sender = self
                .producers
                .connection(&key, || self.open(authority))
                .await
                .map_err(|error| unreachable(&error))?;
            match attempt(sender, encoded.clone()).await {
                Attempt::Answered(response) => return read(response, &self.limits).await,
                Attempt::NotSent(error) => failure = error,
                Attempt::Lost(error) => return Err(TransportError::Lost(format!("{api_root}: {error}"))),
            }
        }
        Err(unreachable(&failure))
    }

    async fn open(&self, authority: &str) -> Result<Http2, String> {
        let opened = tokio::time::timeout(self.limits.connect_timeout, self.handshake(authority)).await;
        opened.unwrap_or_else(|_| Err("no connection in time".to_owned()))
    }

    async fn handshake(&self, authority: &str) -> Result<Http2, String> {
        let stream = self.streams.connect(authority).await.map_err(|error| error.to_string())?;
        handshake(stream, &self.limits, authority).await
    }
}

/// Begins HTTP/2 on a new stream to the producer of this name.
pub(crate) async fn handshake(
    stream: Box<dyn ByteStream>,
    limits: &HttpLimits,
    producer: &str,
) -> Result<Http2, String> {
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(super::STREAM_WINDOW)
        .initial_connection_window_size(super::CONNECTION_WINDOW)
        .max_header_list_size(limits.header_block_max)
        .initial_max_send_streams(usize::try_from(limits.streams_max).unwrap_or(usize::MAX))
        .max_concurrent_reset_streams(limits.reset_streams_max)
        .keep_alive_interval(limits.ping_interval)
        .keep_alive_timeout(limits.ping_interval)
        .keep_alive_while_idle(true)
        .handshake(TokioIo::new(Coalescing::new(stream)))
        .await
        .map_err(|error| error.to_string())?;
    let producer = producer.to_owned();
    tokio::spawn(async move {
        let ended = connection.await;
        tracing::debug!(producer, ?ended, "connection to producer ended");
    });
    Ok(sender)
}

/// Reads the reply.
pub(crate) async fn read(
    response: http::Response<Incoming>,
    limits: &HttpLimits,
) -> Result<Reply, TransportError> {
    let (parts, incoming) = response.into_parts();
    let content = codec::collect(incoming, limits.content_max).await;
    content
        .and_then(|content| codec::decode_reply(&parts, content))
        .map_err(|error| TransportError::Lost(format!("reply with status {}: {error}", parts.status)))
}

/// Sends a request once.
pub(crate) async fn attempt(mut sender: Http2, request: http::Request<Full<Bytes>>) -> Attempt {
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
