//! usrsctp (Debian `libusrsctp-dev`): SCTP in this process, on IP protocol 132
//! or inside UDP (RFC 6951).
//!
//! One stack a process, in one mode. It has threads of its own, which only wake
//! the tasks here; messages stay in the stack's receive buffers until `recv`.
//! It reads the host's addresses when it starts. In raw mode it sees every
//! SCTP packet of its network namespace and answers those of others with
//! ABORT: give core and gNB a namespace each, and never run it where the
//! kernel's SCTP is loaded. On loopback, where the peer shares the namespace, it
//! answers nobody but its own associations; connecting where nobody listens then
//! times out instead of being refused.
#![allow(unsafe_code, reason = "the C interface of usrsctp")]

mod ffi;
mod socket;
mod stack;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::admission::Admission;
use crate::association::{Association, BoxFuture, SctpBackend, SctpListener};
use crate::counters::SctpCounters;
use crate::driver::{self, BACKLOG, QUIET_READS_MAX, StackSocket};
use crate::error::SctpError;
use crate::options::{ConnectOptions, ListenOptions};
use socket::Socket;
use stack::Strangers;
pub use stack::raw_sockets_allowed;

pub(crate) const NAME_RAW: &str = "usrsctp-raw";
pub(crate) const NAME_UDP: &str = "usrsctp-udp";

/// What carries the SCTP packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encapsulation {
    /// IP protocol 132, through a raw socket.
    Raw,
    /// UDP (RFC 6951), from this port.
    Udp {
        /// Our UDP port.
        port: u16,
    },
}

impl Encapsulation {
    fn name(self) -> &'static str {
        match self {
            Self::Raw => NAME_RAW,
            Self::Udp { .. } => NAME_UDP,
        }
    }

    /// The address that packets really have. Inside UDP the kernel chooses the
    /// source, which is 127.0.0.1 for all of 127.0.0.0/8.
    fn carried(self, ip: IpAddr) -> IpAddr {
        match (self, ip) {
            (Self::Udp { .. }, IpAddr::V4(v4)) if v4.is_loopback() => Ipv4Addr::LOCALHOST.into(),
            _ => ip,
        }
    }
}

/// The stack of this process.
#[derive(Debug)]
pub struct UsrsctpBackend {
    encapsulation: Encapsulation,
    counters: Arc<SctpCounters>,
}

impl UsrsctpBackend {
    /// Starts the stack, or finds it started in the same mode.
    pub fn start(encapsulation: Encapsulation) -> Result<Arc<Self>, SctpError> {
        stack::start(encapsulation)?;
        Ok(Arc::new(Self { encapsulation, counters: Arc::default() }))
    }
}

impl SctpBackend for UsrsctpBackend {
    fn name(&self) -> &'static str {
        self.encapsulation.name()
    }

    fn listen(&self, mut options: ListenOptions) -> Result<Box<dyn SctpListener>, SctpError> {
        options.check()?;
        options.addresses.iter_mut().for_each(|ip| *ip = self.encapsulation.carried(*ip));
        let v6 = options.addresses.iter().any(IpAddr::is_ipv6);
        if self.encapsulation == Encapsulation::Raw {
            let within_host = options.addresses.iter().any(IpAddr::is_loopback);
            stack::strangers(if within_host { Strangers::Ignored } else { Strangers::Aborted });
        }
        let socket = Socket::new(v6)?;
        socket.configure(options.streams, options.timers, options.limits)?;
        socket.bind(&options.addresses, options.port, v6)?;
        socket.listen(BACKLOG)?;
        let admission = Admission::new(options.limits, Arc::clone(&self.counters));
        let counters = Arc::clone(&self.counters);
        Ok(Box::new(Listener { socket, options, admission, counters }))
    }

    fn connect(&self, options: ConnectOptions) -> BoxFuture<'static, Result<Association, SctpError>> {
        let encapsulation = self.encapsulation;
        let counters = Arc::clone(&self.counters);
        Box::pin(async move {
            let peer = options.check()?;
            match tokio::time::timeout(options.timeout, open(encapsulation, options, counters)).await {
                Ok(opened) => opened,
                Err(_) => Err(SctpError::TimedOut { peer }),
            }
        })
    }

    fn counters(&self) -> Arc<SctpCounters> {
        Arc::clone(&self.counters)
    }
}

async fn open(
    encapsulation: Encapsulation,
    mut options: ConnectOptions,
    counters: Arc<SctpCounters>,
) -> Result<Association, SctpError> {
    options.local.iter_mut().for_each(|ip| *ip = encapsulation.carried(*ip));
    options.remote.iter_mut().for_each(|at| at.set_ip(encapsulation.carried(at.ip())));
    let peer = options.check()?;
    let v6 = options.local.iter().any(IpAddr::is_ipv6) || options.remote.iter().any(SocketAddr::is_ipv6);
    let socket = Socket::new(v6)?;
    socket.configure(options.streams, options.timers, options.limits)?;
    socket.abort_on_close(true);
    if let Encapsulation::Udp { .. } = encapsulation {
        socket.encapsulate(options.remote_udp_port)?;
    }
    let local = if options.local.is_empty() { source(&options.remote) } else { options.local };
    let within_host = |ip: &IpAddr| ip.is_loopback() || options.remote.iter().any(|at| at.ip() == *ip);
    if encapsulation == Encapsulation::Raw {
        let within_host = local.iter().any(within_host);
        stack::strangers(if within_host { Strangers::Ignored } else { Strangers::Aborted });
    }
    socket.bind(&local, options.local_port, v6)?;
    socket.connect(&options.remote)?;
    driver::connected(&socket, peer).await?;
    counters.connected.add(1);
    Ok(driver::association(socket, peer, options.limits, counters, None))
}

/// The addresses that the host's routes use towards these. Bound to the
/// wildcard, the stack would offer every address of the host, reachable or not.
fn source(remote: &[SocketAddr]) -> Vec<IpAddr> {
    let mut sources = Vec::new();
    for address in remote {
        let unspecified = SocketAddr::new(wildcard(address.is_ipv6()), 0);
        let routed = UdpSocket::bind(unspecified).and_then(|socket| {
            socket.connect(address)?;
            socket.local_addr()
        });
        if let Ok(source) = routed
            && !sources.contains(&source.ip())
        {
            sources.push(source.ip());
        }
    }
    sources
}

fn wildcard(v6: bool) -> IpAddr {
    if v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() }
}

struct Listener {
    socket: Socket,
    options: ListenOptions,
    admission: Arc<Admission>,
    counters: Arc<SctpCounters>,
}

impl Listener {
    fn poll_accept(&self, context: &mut Context<'_>) -> Poll<Result<Association, SctpError>> {
        self.socket.signal().register(context.waker());
        for _ in 0..QUIET_READS_MAX {
            let Some((socket, peer)) = self.socket.accept()? else { return Poll::Pending };
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
