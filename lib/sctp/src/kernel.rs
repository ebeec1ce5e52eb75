//! The kernel's SCTP: one-to-one sockets (RFC 6458 §4) on tokio's reactor.
#![allow(unsafe_code, reason = "socket calls that no safe library offers for SCTP")]

mod socket;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use crate::admission::Admission;
use crate::association::{Association, BoxFuture, SctpBackend, SctpListener};
use crate::counters::SctpCounters;
use crate::driver::{self, BACKLOG, QUIET_READS_MAX, StackSocket};
use crate::error::SctpError;
use crate::options::{ConnectOptions, ListenOptions};
use socket::Socket;

const NAME: &str = "kernel";

/// The kernel's stack.
#[derive(Debug)]
pub struct KernelBackend {
    counters: Arc<SctpCounters>,
}

impl KernelBackend {
    /// Fails where `socket(…, IPPROTO_SCTP)` fails: no SCTP in the kernel, or
    /// its module is not loaded.
    pub fn new() -> Result<Arc<Self>, SctpError> {
        if let Err(error) = socket::probe() {
            let why = format!("socket(IPPROTO_SCTP): {error}");
            return Err(SctpError::Unavailable { backend: NAME, why });
        }
        Ok(Arc::new(Self { counters: Arc::default() }))
    }
}

impl SctpBackend for KernelBackend {
    fn name(&self) -> &'static str {
        NAME
    }

    fn listen(&self, options: ListenOptions) -> Result<Box<dyn SctpListener>, SctpError> {
        options.check()?;
        let v6 = options.addresses.iter().any(IpAddr::is_ipv6);
        let socket = Socket::new(v6)?;
        socket.configure(options.streams, options.timers, options.limits)?;
        socket.bind(&options.addresses, options.port, v6)?;
        socket.listen(BACKLOG)?;
        let admission = Admission::new(options.limits, Arc::clone(&self.counters));
        let counters = Arc::clone(&self.counters);
        Ok(Box::new(Listener { socket, options, admission, counters }))
    }

    fn connect(&self, options: ConnectOptions) -> BoxFuture<'static, Result<Association, SctpError>> {
        let counters = Arc::clone(&self.counters);
        Box::pin(async move {
            let peer = options.check()?;
            match tokio::time::timeout(options.timeout, open(options, counters)).await {
                Ok(opened) => opened,
                Err(_) => Err(SctpError::TimedOut { peer }),
            }
        })
    }

    fn counters(&self) -> Arc<SctpCounters> {
        Arc::clone(&self.counters)
    }
}

async fn open(options: ConnectOptions, counters: Arc<SctpCounters>) -> Result<Association, SctpError> {
    let peer = options.check()?;
    let v6 = options.local.iter().any(IpAddr::is_ipv6) || options.remote.iter().any(SocketAddr::is_ipv6);
    let socket = Socket::new(v6)?;
    socket.configure(options.streams, options.timers, options.limits)?;
    socket.abort_on_close(true);
    if !options.local.is_empty() || options.local_port != 0 {
        socket.bind(&options.local, options.local_port, v6)?;
    }
    socket.connect(&options.remote)?;
    driver::connected(&socket, peer).await?;
    counters.connected.add(1);
    Ok(driver::association(socket, peer, options.limits, counters, None))
}

struct Listener {
    socket: Socket,
    options: ListenOptions,
    admission: Arc<Admission>,
    counters: Arc<SctpCounters>,
}

impl Listener {
    fn poll_accept(&self, context: &mut Context<'_>) -> Poll<Result<Association, SctpError>> {
        for _ in 0..QUIET_READS_MAX {
            let (socket, peer) = ready!(self.socket.poll_accept(context))?;
            socket.abort_on_close(true);
            let Some(permit) = self.admission.admit(peer.ip()) else {
                socket.abort("too many associations");
                continue;
            };
            let counters = Arc::clone(&self.counters);
            let limits = self.options.limits;
            let association = driver::association(socket, peer, limits, counters, Some(permit));
            return Poll::Ready(Ok(association));
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl SctpListener for Listener {
    fn accept(&mut self) -> BoxFuture<'_, Result<Association, SctpError>> {
        Box::pin(std::future::poll_fn(|context| self.poll_accept(context)))
    }
}
