//! HTTP/2 with prior knowledge: TS 29.500 §5.2, RFC 9113.

pub(crate) mod client;
mod coalescing;
pub(crate) mod codec;
mod limits;
pub(crate) mod server;
pub(crate) mod stream;
pub(crate) mod written;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use http::HeaderValue;
use tern_sbi::{Call, Reply, Request, TransportError};

pub use limits::HttpLimits;
pub use stream::{ByteStream, Listener, Streams, Tcp};

use crate::place::Place;
use crate::transport::{BoxFuture, Service, Serving, Transport};

/// Octets of content in flight on one stream.
const STREAM_WINDOW: u32 = 256 << 10;

/// Octets of content in flight on one connection.
const CONNECTION_WINDOW: u32 = 2 << 20;

/// HTTP/2 over byte streams.
///
/// Use it inside a tokio runtime. Clones share their connections.
#[derive(Clone)]
pub struct Http {
    streams: Arc<dyn Streams>,
    limits: HttpLimits,
    client: Arc<client::Client>,
}

impl Http {
    /// Over `streams`; `user_agent` is the NF type, with more behind a hyphen if wanted
    /// (TS 29.500 §5.2.2.2).
    pub fn new(streams: Arc<dyn Streams>, limits: HttpLimits, user_agent: &str) -> Self {
        let user_agent = self::user_agent(user_agent);
        let client = Arc::new(client::Client::new(streams.clone(), limits.clone(), user_agent));
        Self { streams, limits, client }
    }

    /// Over TCP.
    pub fn tcp(tcp: Tcp, limits: HttpLimits, user_agent: &str) -> Self {
        Self::new(Arc::new(tcp), limits, user_agent)
    }
}

impl Transport for Http {
    fn serve(
        &self,
        at: SocketAddr,
        service: Arc<dyn Service>,
    ) -> BoxFuture<'_, io::Result<Box<dyn Serving>>> {
        Box::pin(async move {
            let listener = self.streams.listen(at).await?;
            let place = Place::new(service, self.limits.clone());
            Ok(Box::new(server::serve(listener, &place)) as Box<dyn Serving>)
        })
    }

    fn send(
        &self,
        api_root: &str,
        call: &Call,
        request: Request,
    ) -> BoxFuture<'_, Result<Reply, TransportError>> {
        let (api_root, call) = (api_root.to_owned(), call.clone());
        Box::pin(async move { self.client.send(&api_root, &call, request).await })
    }
}

/// A name that is no header value is not sent.
pub(crate) fn user_agent(name: &str) -> HeaderValue {
    HeaderValue::from_str(name).unwrap_or(HeaderValue::from_static("tern"))
}

/// The authority of an `http` apiRoot.
pub(crate) fn parse_api_root(api_root: &str) -> Option<&str> {
    api_root.strip_prefix("http://").filter(|authority| !authority.is_empty() && !authority.contains('/'))
}
