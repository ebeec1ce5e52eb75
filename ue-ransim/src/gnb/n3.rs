//! N3: GTP-U over one datagram endpoint (TS 29.281), shared by the gNBs at its address.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use tern_gtpu::{GpduHeader, Packet, message_type};
use tern_ngap::transfer::GtpTunnel;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::env::{Datagram, Datagrams};
use crate::error::SimError;
use crate::gnb::tunnel::{LocalTeid, Path, UplinkTunnel};
use crate::report::Journal;

/// Downlink packets that may wait for a session.
const DOWNLINK_QUEUE: usize = 4096;
/// Longest datagram received.
const DATAGRAM_MAX: usize = 65_535;
/// How long a tunnel forwards, and packets of a new path wait for those forwarded, if no End Marker comes.
const FORWARDING_TIME: Duration = Duration::from_secs(1);

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
    towards: Towards,
    /// When a packet went either way last.
    last_packet: Option<Instant>,
    /// Packets that the UE has had of it, and before of another gNB.
    delivered: u32,
}

/// What becomes of the packets of a tunnel.
enum Towards {
    /// The UE has them.
    Ue(mpsc::Sender<Bytes>),
    /// They wait for the end of those that another gNB forwards.
    Held { sink: mpsc::Sender<Bytes>, waiting: Vec<Bytes> },
    /// Another gNB forwards them; when they end, those of the tunnel with this TEID follow.
    Forwarded { sink: mpsc::Sender<Bytes>, before: u32 },
    /// The UE is in another gNB's cell.
    Away(GtpTunnel),
    /// The same, and nobody has said where to forward to.
    Gone,
}

/// How a UE's session is reached: what leaves, and who reads what comes.
pub(crate) struct Bearer {
    pub uplink: UplinkTunnel,
    pub sink: mpsc::Sender<Bytes>,
}

/// The tunnels of a session at the gNB to which its UE comes.
pub(crate) struct Prepared {
    /// Where the UE's packets leave once it is there.
    pub path: Path,
    /// For the UPF.
    pub downlink: GtpTunnel,
    /// For the source gNB.
    pub forwarding: Option<GtpTunnel>,
}

/// What is to be sent because of a packet.
enum Onward {
    Nothing,
    ErrorIndication,
    Packet(GtpTunnel),
}

/// N3's end, if anybody still has it.
#[derive(Clone)]
pub(super) struct WeakN3(Weak<Inner>);

impl WeakN3 {
    /// While somebody has it.
    pub(super) fn n3(&self) -> Option<N3> {
        self.upgrade().map(N3)
    }

    fn upgrade(&self) -> Option<Arc<Inner>> {
        self.0.upgrade()
    }
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
        let (sink, downlink) = mpsc::channel(DOWNLINK_QUEUE);
        let (path, teid) = self.path(remote, flows, Towards::Ue(sink))?;
        Some((UplinkTunnel::new(path), downlink, GtpTunnel::new(teid, self.address())))
    }

    fn path(&self, remote: GtpTunnel, flows: &[u8], towards: Towards) -> Option<(Path, u32)> {
        let to = self.reachable(remote)?;
        let teid = self.add(flows, towards);
        let local = Arc::new(LocalTeid { n3: self.downgrade(), teid });
        let qfi = flows.first().copied().unwrap_or(0);
        Some((Path { n3: self.clone(), remote, to, qfi, local }, teid))
    }

    /// The address of another end of our version of IP.
    fn reachable(&self, remote: GtpTunnel) -> Option<IpAddr> {
        match self.address() {
            IpAddr::V4(_) => remote.ipv4.map(IpAddr::V4),
            IpAddr::V6(_) => remote.ipv6.map(IpAddr::V6),
        }
    }

    /// The QoS flows of a tunnel change.
    pub(super) fn change_flows(&self, teid: u32, set: &[u8], gone: &[u8]) {
        if let Some(tunnel) = self.tunnels().open.get_mut(&teid) {
            tunnel.flows.retain(|qfi| !gone.contains(qfi));
            tunnel.flows.extend(set);
        }
    }

    fn add(&self, flows: &[u8], towards: Towards) -> u32 {
        let mut tunnels = self.tunnels();
        let teid = loop {
            tunnels.next = tunnels.next.wrapping_add(1).max(1);
            if !tunnels.open.contains_key(&tunnels.next) {
                break tunnels.next;
            }
        };
        let flows = flows.iter().copied().collect();
        tunnels.open.insert(teid, Downlink { flows, towards, last_packet: None, delivered: 0 });
        teid
    }

    /// Opens the tunnels of a session whose UE is to come here. If its packets are forwarded, those that
    /// the UPF sends here wait for them.
    pub(crate) fn prepare(
        &self,
        remote: GtpTunnel,
        flows: &[u8],
        sink: mpsc::Sender<Bytes>,
        forwarded: bool,
    ) -> Option<Prepared> {
        let towards = match forwarded {
            true => Towards::Held { sink: sink.clone(), waiting: Vec::new() },
            false => Towards::Ue(sink.clone()),
        };
        let (path, before) = self.path(remote, flows, towards)?;
        let forwarding = forwarded.then(|| {
            let teid = self.add(flows, Towards::Forwarded { sink, before });
            GtpTunnel::new(teid, self.address())
        });
        Some(Prepared { path, downlink: GtpTunnel::new(before, self.address()), forwarding })
    }

    /// Where packets wait for a UE that is not there yet.
    pub(crate) fn buffer(&self) -> (mpsc::Sender<Bytes>, mpsc::Receiver<Bytes>) {
        mpsc::channel(DOWNLINK_QUEUE)
    }

    /// The UE has come: it has what waits, and from now on what comes by these tunnels.
    pub(crate) fn attach(
        &self,
        teid: u32,
        forwarding: Option<u32>,
        mut buffer: mpsc::Receiver<Bytes>,
        reader: &mpsc::Sender<Bytes>,
    ) {
        let mut tunnels = self.tunnels();
        while let Ok(packet) = buffer.try_recv() {
            if reader.try_send(packet).is_err() {
                self.0.journal.count("n3.downlink_dropped");
            }
        }
        for teid in std::iter::once(teid).chain(forwarding) {
            let towards = tunnels.open.get_mut(&teid).map(|tunnel| &mut tunnel.towards);
            if let Some(Towards::Ue(sink) | Towards::Held { sink, .. } | Towards::Forwarded { sink, .. }) =
                towards
            {
                *sink = reader.clone();
            }
        }
    }

    /// How many packets the UE has had of a tunnel.
    pub(crate) fn delivered(&self, teid: u32) -> u32 {
        self.tunnels().open.get(&teid).map_or(0, |tunnel| tunnel.delivered)
    }

    /// How many the UE has had before it came.
    pub(crate) fn count_from(&self, teid: u32, delivered: u32) {
        if let Some(tunnel) = self.tunnels().open.get_mut(&teid) {
            tunnel.delivered = tunnel.delivered.wrapping_add(delivered);
        }
    }

    /// Who reads what comes for the UE by a tunnel.
    pub(crate) fn sink(&self, teid: u32) -> Option<mpsc::Sender<Bytes>> {
        match &self.tunnels().open.get(&teid)?.towards {
            Towards::Ue(sink) | Towards::Held { sink, .. } | Towards::Forwarded { sink, .. } => {
                Some(sink.clone())
            }
            Towards::Away(_) | Towards::Gone => None,
        }
    }

    /// Whether packets of a tunnel still wait for forwarded ones.
    pub(super) fn is_held(&self, teid: u32) -> bool {
        let tunnels = self.tunnels();
        tunnels.open.get(&teid).is_some_and(|tunnel| matches!(tunnel.towards, Towards::Held { .. }))
    }

    /// From now on a tunnel's packets go to the gNB where the UE is, until the End Marker.
    pub(crate) fn forward(&self, teid: u32, to: GtpTunnel) {
        if let Some(tunnel) = self.tunnels().open.get_mut(&teid) {
            tunnel.towards = Towards::Away(to);
        }
        let inner = self.downgrade();
        tokio::spawn(async move {
            tokio::time::sleep(FORWARDING_TIME).await;
            if let Some(inner) = inner.upgrade()
                && Self(Arc::clone(&inner)).tunnels().open.remove(&teid).is_some()
            {
                inner.journal.count("n3.forwarding_without_end");
            }
        });
    }

    /// From now on a tunnel's packets are lost, until the UPF sends no more.
    pub(crate) fn discard(&self, teid: u32) {
        if let Some(tunnel) = self.tunnels().open.get_mut(&teid) {
            tunnel.towards = Towards::Gone;
        }
        let inner = self.downgrade();
        tokio::spawn(async move {
            tokio::time::sleep(FORWARDING_TIME).await;
            if let Some(inner) = inner.upgrade() {
                Self(inner).close(teid);
            }
        });
    }

    /// The UPF has switched the path: what it sends waits no longer than [`FORWARDING_TIME`] for what is
    /// forwarded.
    pub(crate) fn expect_end(&self, forwarding: u32) {
        let inner = self.downgrade();
        tokio::spawn(async move {
            tokio::time::sleep(FORWARDING_TIME).await;
            if let Some(inner) = inner.upgrade()
                && Self(Arc::clone(&inner)).end_forwarding(forwarding)
            {
                inner.journal.count("n3.no_end_marker");
            }
        });
    }

    /// What is forwarded has ended: what waited follows. Says whether it had not ended before.
    fn end_forwarding(&self, teid: u32) -> bool {
        let mut tunnels = self.tunnels();
        let Some(Towards::Forwarded { before, .. }) = tunnels.open.get(&teid).map(|tunnel| &tunnel.towards)
        else {
            return false;
        };
        let before = *before;
        tunnels.open.remove(&teid);
        if let Some(tunnel) = tunnels.open.get_mut(&before)
            && let Towards::Held { sink, waiting } = &mut tunnel.towards
        {
            let (sink, waiting) = (sink.clone(), std::mem::take(waiting));
            self.0.journal.add("n3.held", waiting.len() as u64);
            tunnel.delivered = tunnel.delivered.wrapping_add(waiting.len() as u32);
            waiting.into_iter().for_each(|packet| self.deliver(&sink, packet));
            tunnel.towards = Towards::Ue(sink);
        }
        true
    }

    fn deliver(&self, sink: &mpsc::Sender<Bytes>, packet: Bytes) {
        self.0.journal.count("n3.downlink");
        if sink.try_send(packet).is_err() {
            self.0.journal.count("n3.downlink_dropped");
        }
    }

    /// When a packet went through any of these tunnels last.
    pub(crate) fn last_packet(&self, teids: &[u32]) -> Option<Instant> {
        let tunnels = self.tunnels();
        teids.iter().filter_map(|teid| tunnels.open.get(teid)?.last_packet).max()
    }

    /// A packet goes through the tunnel.
    pub(super) fn touch(&self, teid: u32) {
        if let Some(downlink) = self.tunnels().open.get_mut(&teid) {
            downlink.last_packet = Some(Instant::now());
        }
    }

    /// Closes a tunnel, as the release of its session's resources does.
    pub(crate) fn close(&self, teid: u32) {
        self.tunnels().open.remove(&teid);
    }

    /// The UE uses a tunnel no longer: it closes unless it forwards.
    pub(super) fn unused(&self, teid: u32) {
        let mut tunnels = self.tunnels();
        let away = tunnels
            .open
            .get(&teid)
            .is_some_and(|tunnel| matches!(tunnel.towards, Towards::Away(_) | Towards::Gone));
        if !away {
            tunnels.open.remove(&teid);
        }
    }

    fn downgrade(&self) -> WeakN3 {
        WeakN3(Arc::downgrade(&self.0))
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

    pub(super) async fn send(&self, datagram: &[u8], to: SocketAddr) -> Result<(), SimError> {
        self.0.endpoint.send_to(datagram, to).await.map_err(SimError::io("sending on N3"))
    }

    fn tunnels(&self) -> MutexGuard<'_, Tunnels> {
        self.0.tunnels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts something.
    pub(super) fn count(&self, name: &'static str) {
        self.0.journal.count(name);
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
            message_type::END_MARKER => {
                journal.count("n3.end_marker");
                self.on_end_marker(packet.teid).await;
            }
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

    /// TS 29.281 §7.3.2: the last packet of a tunnel has come.
    async fn on_end_marker(&self, teid: u32) {
        let away = {
            let mut tunnels = self.tunnels();
            match tunnels.open.get(&teid).map(|tunnel| &tunnel.towards) {
                Some(&Towards::Away(to)) => {
                    tunnels.open.remove(&teid);
                    Some(to)
                }
                _ => None,
            }
        };
        if let Some(to) = away
            && let Some(address) = self.reachable(to)
        {
            let mut out = [0; 20];
            let length = tern_gtpu::end_marker(to.teid, None, &mut out);
            let _ = self.send(&out[..length], SocketAddr::new(address, tern_gtpu::PORT)).await;
        } else {
            self.end_forwarding(teid);
        }
    }

    async fn on_packet(&self, packet: &Packet<'_>, from: SocketAddr) {
        let flows = self.tunnels().open.get(&packet.teid).map(|tunnel| tunnel.flows.clone());
        if let Some(flows) = flows {
            self.check_container(packet, &flows);
        }
        match self.take(packet) {
            Onward::Nothing => {}
            Onward::ErrorIndication => {
                self.0.journal.count("n3.unknown_teid");
                let mut out = [0; 40];
                let length =
                    tern_gtpu::error_indication(packet.teid, self.address(), Some(from.port()), &mut out);
                let _ = self.send(&out[..length], SocketAddr::new(from.ip(), tern_gtpu::PORT)).await;
            }
            Onward::Packet(to) => {
                let Some(address) = self.reachable(to) else { return };
                self.0.journal.count("n3.forwarded");
                let header = GpduHeader { teid: to.teid, container: packet.container };
                let mut datagram = vec![0; header.length() + packet.payload.len()];
                let (head, body) = datagram.split_at_mut(header.length());
                header.write(head, packet.payload.len());
                body.copy_from_slice(packet.payload);
                let _ = self.send(&datagram, SocketAddr::new(address, tern_gtpu::PORT)).await;
            }
        }
    }

    /// Gives a packet to the UE or keeps it. Under the tunnels' lock, so that a handover comes before a
    /// packet or after it.
    fn take(&self, packet: &Packet<'_>) -> Onward {
        let mut tunnels = self.tunnels();
        let Some(tunnel) = tunnels.open.get_mut(&packet.teid) else { return Onward::ErrorIndication };
        tunnel.last_packet = Some(Instant::now());
        let octets = || Bytes::copy_from_slice(packet.payload);
        match &mut tunnel.towards {
            Towards::Ue(sink) => {
                tunnel.delivered = tunnel.delivered.wrapping_add(1);
                self.deliver(sink, octets());
            }
            Towards::Forwarded { sink, before } => {
                self.deliver(sink, octets());
                let before = *before;
                if let Some(tunnel) = tunnels.open.get_mut(&before) {
                    tunnel.delivered = tunnel.delivered.wrapping_add(1);
                }
            }
            Towards::Held { waiting, .. } if waiting.len() < DOWNLINK_QUEUE => waiting.push(octets()),
            Towards::Held { .. } => self.0.journal.count("n3.downlink_dropped"),
            Towards::Away(to) => return Onward::Packet(*to),
            Towards::Gone => self.0.journal.count("n3.downlink_lost"),
        }
        Onward::Nothing
    }

    fn check_container(&self, packet: &Packet<'_>, flows: &BTreeSet<u8>) {
        let journal = &self.0.journal;
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
