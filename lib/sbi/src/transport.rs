//! What carries requests, and what answers them.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use tern_sbi::{Call, Method, Reply, Request, TransportError};

/// A boxed future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Anything that carries requests: HTTP/2 over a byte stream, or memory.
pub trait Transport: Send + Sync + 'static {
    /// Answers requests that arrive at `at` with `service` until the returned handle is
    /// stopped or dropped. Port 0 picks a free port.
    fn serve(&self, at: SocketAddr, service: Arc<dyn Service>)
    -> BoxFuture<'_, io::Result<Box<dyn Serving>>>;

    /// Sends a request to the producer at `api_root` (`http://host:port`) and waits for its
    /// reply, no longer than `call.timeout` or the transport's default.
    ///
    /// Dropping the future abandons the request: the producer may still act on it.
    fn send(
        &self,
        api_root: &str,
        call: &Call,
        request: Request,
    ) -> BoxFuture<'_, Result<Reply, TransportError>>;

    /// The node whose shared memory requests can arrive by, as profiles at the NRF tell it.
    fn node(&self) -> Option<String> {
        None
    }

    /// A profile at the NRF says of the producer at `api_root` on which node it is, or nothing.
    fn learn(&self, api_root: &str, node: Option<&str>) {
        let _ = (api_root, node);
    }
}

/// Answers requests.
pub trait Service: Send + Sync + 'static {
    /// Answers one request. The future may be dropped before its end, when the consumer
    /// gives up: what must outlive it is stored or belongs to another task.
    fn handle(&self, request: Request) -> BoxFuture<'_, Reply>;

    /// The methods that the resource at `path` has, for the `Allow` header of a 405.
    fn allowed(&self, path: &str) -> Vec<Method> {
        let _ = path;
        Vec::new()
    }
}

/// A service that is being served. Dropping it stops listening and lets running requests end.
pub trait Serving: Send + Sync {
    /// Where it listens.
    fn local_addr(&self) -> SocketAddr;

    /// Stops listening, tells the peers to go away and waits for running requests, within a
    /// limit.
    fn stop(self: Box<Self>) -> BoxFuture<'static, ()>;
}
