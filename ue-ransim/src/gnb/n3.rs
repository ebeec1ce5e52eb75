//! N3: GTP-U over one datagram endpoint (TS 29.281), shared by the gNBs at its address.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use tern_gtpu::{GpduHeader, Packet, PduSessionContainer, message_type};
use tern_ngap::transfer::GtpTunnel;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::env::{Datagram, Datagrams};
use crate::error::SimError;
use crate::report::Journal;

/// Downlink packets that may wait for a session.
const DOWNLINK_QUEUE: usize = 4096;
/// Longest datagram received.
const DATAGRAM_MAX: usize = 65_535;
/// Longest packet sent.
const PACKET_MAX: usize = 65_000;

/// N3's end of the gNBs at one address.
#[derive(Clone)]
pub struct N3(Arc<Inner>);

struct Inner {
    endpoint: Arc<dyn Datagram>,
    at: SocketAddr,
    journal: Journal,
    tunnels: Mutex<Tunnels>,
    receiver: Mutex<Option<tokio::task::AbortHandle>>,
}

#[derive(Default)]
struct Tunnels {
    next: u32,
    open: BTreeMap<u32, Downlink>,
    echo: u16,
}

struct Downlink {
    flows: BTreeSet<u8>,
    sink: mpsc::Sender<Bytes>,
    /// When a packet went either way last.
    last_packet: Option<Instant>,
}

/// The UE's end of a session's user plane: where its packets leave.
#[derive(Clone)]
pub struct UplinkTunnel {
    n3: N3,
    remote: GtpTunnel,
    /// The UPF's address of our version of IP.
    to: IpAddr,
    qfi: u8,
    /// Our own TEID: the tunnel closes with its last user.
    local: Arc<LocalTeid>,
}

struct LocalTeid {
    n3: Weak<Inner>,
    teid: u32,
}

impl N3 {
    /// Binds an address and starts receiving.
    pub async fn bind(datagrams: &dyn Datagrams, at: SocketAddr, journal: Journal) -> Result<Self, SimError> {
        let endpoint = datagrams.bind(at).await.map_err(SimError::io("binding N3"))?;
        let inner = Inner {
            endpoint: Arc::clone(&endpoint),
            at,
            journal,
            tunnels: Mutex::default(),
            receiver: Mutex::default(),
        };
        let n3 = Self(Arc::new(inner));
        let task = tokio::spawn(receive(endpoint, Arc::downgrade(&n3.0)));
        *n3.0.receiver.lock().unwrap_or_else(PoisonError::into_inner) = Some(task.abort_handle());
        Ok(n3)
    }

    /// Where the UPF sends.
    pub fn address(&self) -> IpAddr {
        self.0.at.ip()
    }

    /// Opens a tunnel: its end for uplink, what comes downlink, and the F-TEID for the UPF; `None` if the UPF has no
    /// address of our version of IP.
    pub(crate) fn open(
        &self,
        remote: GtpTunnel,
        flows: &[u8],
    ) -> Option<(UplinkTunnel, mpsc::Receiver<Bytes>, GtpTunnel)> {
        let to = match self.address() {
            IpAddr::V4(_) => remote.ipv4.map(IpAddr::V4),
            IpAddr::V6(_) => remote.ipv6.map(IpAddr::V6),
        }?;
        let (sink, downlink) = mpsc::channel(DOWNLINK_QUEUE);
        let mut tunnels = self.tunnels();
        let teid = loop {
            tunnels.next = tunnels.next.wrapping_add(1).max(1);
            if !tunnels.open.contains_key(&tunnels.next) {
                break tunnels.next;
            }
        };
        tunnels
            .open
            .insert(teid, Downlink { flows: flows.iter().copied().collect(), sink, last_packet: None });
        drop(tunnels);
        let local = Arc::new(LocalTeid { n3: Arc::downgrade(&self.0), teid });
        let qfi = flows.first().copied().unwrap_or(0);
        let uplink = UplinkTunnel { n3: self.clone(), remote, to, qfi, local };
        Some((uplink, downlink, GtpTunnel::new(teid, self.address())))
    }

    /// When a packet went through any of these tunnels last.
    pub(crate) fn last_packet(&self, teids: &[u32]) -> Option<Instant> {
        let tunnels = self.tunnels();
        teids.iter().filter_map(|teid| tunnels.open.get(teid)?.last_packet).max()
    }

    fn touch(&self, teid: u32) {
        if let Some(downlink) = self.tunnels().open.get_mut(&teid) {
            downlink.last_packet = Some(Instant::now());
        }
    }

    /// Closes a tunnel, as the release of its session's resources does.
    pub(crate) fn close(&self, teid: u32) {
        self.tunnels().open.remove(&teid);
    }

    /// Sends an echo request to a UPF (TS 29.281 §7.2.1); the response is counted.
    pub async fn echo(&self, to: IpAddr) -> Result<(), SimError> {
        let sequence = {
            let mut tunnels = self.tunnels();
            tunnels.echo = tunnels.echo.wrapping_add(1);
            tunnels.echo
        };
        let mut out = [0; 12];
        let length = tern_gtpu::echo_request(sequence, &mut out);
        self.send(&out[..length], SocketAddr::new(to, tern_gtpu::PORT)).await
    }

    async fn send(&self, datagram: &[u8], to: SocketAddr) -> Result<(), SimError> {
        self.0.endpoint.send_to(datagram, to).await.map_err(SimError::io("sending on N3"))
    }

    fn tunnels(&self) -> MutexGuard<'_, Tunnels> {
        self.0.tunnels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn on_datagram(&self, datagram: &[u8], from: SocketAddr) {
        let journal = &self.0.journal;
        let packet = match Packet::parse(datagram) {
            Ok(packet) => packet,
            Err(error) => {
                return journal.failure(self, "TS 29.281 §5.1", format_args!("from {from}: {error}"));
            }
        };
        match packet.message_type {
            message_type::G_PDU => self.on_packet(&packet, from).await,
            message_type::ECHO_REQUEST => {
                journal.count("n3.echo_request");
                let mut out = [0; 14];
                let length = tern_gtpu::echo_response(packet.sequence.unwrap_or(0), &mut out);
                // What is lost is asked for again.
                let _ = self.send(&out[..length], from).await;
            }
            message_type::ECHO_RESPONSE => journal.count("n3.echo_response"),
            message_type::END_MARKER => journal.count("n3.end_marker"),
            message_type::ERROR_INDICATION => {
                journal.count("n3.error_indication");
                journal.failure(
                    self,
                    "TS 29.281 §7.3.1",
                    format_args!("{from} does not know a tunnel that it gave"),
                );
            }
            _ => journal.count("n3.other"),
        }
    }

    async fn on_packet(&self, packet: &Packet<'_>, from: SocketAddr) {
        let journal = &self.0.journal;
        let known = {
            let tunnels = self.tunnels();
            tunnels.open.get(&packet.teid).map(|downlink| (downlink.flows.clone(), downlink.sink.clone()))
        };
        let Some((flows, sink)) = known else {
            journal.count("n3.unknown_teid");
            let mut out = [0; 40];
            let length =
                tern_gtpu::error_indication(packet.teid, self.address(), Some(from.port()), &mut out);
            let _ = self.send(&out[..length], SocketAddr::new(from.ip(), tern_gtpu::PORT)).await;
            return;
        };
        match packet.container {
            None => {
                journal.failure(self, "TS 29.281 §5.2.2.7", "a downlink packet without PDU Session Container")
            }
            Some(container) if container.uplink => {
                journal.failure(
                    self,
                    "TS 38.415 §5.5.2.1",
                    "a downlink packet with UL PDU SESSION INFORMATION",
                );
            }
            Some(container) if !flows.contains(&container.qfi) => journal.failure(
                self,
                "TS 38.415 §5.5.2.1",
                format_args!("a downlink packet of QFI {}, which the session has not", container.qfi),
            ),
            Some(_) => {}
        }
        self.touch(packet.teid);
        journal.count("n3.downlink");
        if sink.try_send(Bytes::copy_from_slice(packet.payload)).is_err() {
            journal.count("n3.downlink_dropped");
        }
    }
}

impl fmt::Display for N3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "N3 {}", self.0.at.ip())
    }
}

impl fmt::Debug for N3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "N3({})", self.0.at)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let task = self.receiver.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            task.abort();
        }
    }
}

async fn receive(endpoint: Arc<dyn Datagram>, inner: Weak<Inner>) {
    let mut buffer = vec![0; DATAGRAM_MAX];
    loop {
        let received = endpoint.recv_from(&mut buffer).await;
        let Some(inner) = inner.upgrade() else { return };
        match received {
            Ok((length, from)) => {
                N3(inner).on_datagram(buffer.get(..length).unwrap_or_default(), from).await;
            }
            // ICMP errors of earlier sends come up here.
            Err(error) => {
                inner.journal.count("n3.receive_error");
                tracing::debug!(%error, "N3");
                tokio::task::yield_now().await;
            }
        }
    }
}

impl UplinkTunnel {
    /// Sends a packet of the UE on the session's default flow.
    pub async fn send(&self, packet: &[u8]) -> Result<(), SimError> {
        if packet.len() > PACKET_MAX {
            return Err(SimError::State(format!("a packet of {} octets", packet.len())));
        }
        let container = Some(PduSessionContainer::uplink(self.qfi));
        let header = GpduHeader { teid: self.remote.teid, container };
        let mut datagram = vec![0; header.length() + packet.len()];
        let (head, body) = datagram.split_at_mut(header.length());
        header.write(head, packet.len());
        body.copy_from_slice(packet);
        self.n3.touch(self.local.teid);
        self.n3.0.journal.count("n3.uplink");
        self.n3.send(&datagram, SocketAddr::new(self.to, tern_gtpu::PORT)).await
    }

    /// The UPF's end.
    pub fn remote(&self) -> GtpTunnel {
        self.remote
    }

    /// Our end's TEID.
    pub fn local_teid(&self) -> u32 {
        self.local.teid
    }

    /// The same tunnel towards a TEID that the UPF did not give, for tests.
    pub fn towards(&self, teid: u32) -> Self {
        Self { remote: GtpTunnel { teid, ..self.remote }, ..self.clone() }
    }
}

impl fmt::Debug for UplinkTunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UplinkTunnel").field("remote", &self.remote).field("qfi", &self.qfi).finish()
    }
}

impl Drop for LocalTeid {
    fn drop(&mut self) {
        if let Some(inner) = self.n3.upgrade() {
            N3(inner).close(self.teid);
        }
    }
}
