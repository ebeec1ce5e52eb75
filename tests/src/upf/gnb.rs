//! A gNB's end of N3 and its UEs: GTP-U on one side, a TUN device in a UE's namespace on the other, with a QoS
//! flow for each port. No radio, no RRC, no N2: of `ue-ransim` those are the larger part, and its sessions have
//! one flow.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::set_socket_recv_buffer_size_force;
use tern_gtpu::{GpduHeader, PduSessionContainer};
use tun_rs::{DeviceBuilder, SyncDevice};

use super::MTU;
use crate::netns::Netns;
use crate::topology::N3_GNB;

/// The device in a UE's namespace.
pub const DEVICE: &str = "ue0";
/// Packets that wait in a device for the gNB.
const DEVICE_QUEUE: u32 = 20_000;
/// Octets that wait in the socket for the gNB.
const SOCKET_BUFFER: usize = 64 << 20;
/// How long a thread waits before it sees that it is to end.
const TURN: Duration = Duration::from_millis(100);
/// The first UE's TEID; those of the others follow.
const FIRST_TEID: u32 = 0xA000;
/// Where the UPF has the ports: behind IPv4 without options.
const IPV4_HEADER: usize = 20;
const PACKET_MAX: usize = 9_216;

/// The gNB until it is dropped.
pub struct Gnb {
    shared: Arc<Shared>,
    threads: std::sync::Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    socket: UdpSocket,
    upf: SocketAddrV4,
    ues: RwLock<BTreeMap<u32, Arc<Inner>>>,
    stop: AtomicBool,
}

/// A UE and its TUN device.
#[derive(Clone)]
pub struct Ue(Arc<Inner>);

struct Inner {
    device: SyncDevice,
    address: Ipv4Addr,
    teid: u32,
    /// The UPF's TEID and the flows of ports.
    tunnel: RwLock<(u32, BTreeMap<u16, u8>)>,
    counts: Counts,
}

/// What has passed the gNB of one UE: octets of IP packets.
#[derive(Debug, Default)]
pub struct Counts {
    /// Sent to the UPF.
    pub uplink_packets: AtomicU64,
    /// Octets of them.
    pub uplink_octets: AtomicU64,
    /// Come from the UPF.
    pub downlink_packets: AtomicU64,
    /// Octets of them.
    pub downlink_octets: AtomicU64,
    /// Not taken by the socket or the device.
    pub failed: AtomicU64,
}

impl Gnb {
    /// Binds N3 in the gNB's namespace and begins to receive.
    pub async fn start(netns: &Netns, upf: SocketAddrV4) -> Result<Self> {
        let socket = netns.within(|| Ok(UdpSocket::bind((N3_GNB, tern_gtpu::PORT))?)).await?;
        set_socket_recv_buffer_size_force(&socket, SOCKET_BUFFER)?;
        socket.set_read_timeout(Some(TURN))?;
        let (ues, stop) = (RwLock::default(), AtomicBool::new(false));
        let shared = Arc::new(Shared { socket, upf, ues, stop });
        let receiving = shared.clone();
        let thread = std::thread::Builder::new().name("gnb-n3".into()).spawn(move || receiving.receive())?;
        Ok(Self { shared, threads: std::sync::Mutex::new(vec![thread]) })
    }

    /// A UE with this address, in a namespace whose only way out is its device.
    pub async fn attach(&self, netns: &Netns, address: Ipv4Addr) -> Result<Ue> {
        let device = netns
            .within(move || {
                let device = DeviceBuilder::new()
                    .name(DEVICE)
                    .ipv4(address, 32, None)
                    .mtu(MTU)
                    .build_sync()
                    .context("cannot make the UE's TUN device")?;
                device.set_tx_queue_len(DEVICE_QUEUE)?;
                device.set_nonblocking(true)?;
                Ok(device)
            })
            .await?;
        netns.ip(&["route", "add", "default", "dev", DEVICE])?;
        let mut ues = self.shared.ues.write().unwrap_or_else(PoisonError::into_inner);
        let teid = FIRST_TEID + u32::try_from(ues.len())?;
        let inner = Inner { device, address, teid, tunnel: RwLock::default(), counts: Counts::default() };
        let inner = Arc::new(inner);
        ues.insert(teid, inner.clone());
        let (shared, ue) = (self.shared.clone(), inner.clone());
        let thread = std::thread::Builder::new().name("gnb-ue".into()).spawn(move || shared.send_of(&ue))?;
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(Ue(inner))
    }

    /// Sends a GTP-U packet as it is, in the place of the gNB's radio side.
    pub fn socket(&self) -> &UdpSocket {
        &self.shared.socket
    }

    /// Where the UPF has N3.
    pub fn upf(&self) -> SocketAddrV4 {
        self.shared.upf
    }
}

impl Drop for Gnb {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // A panic in it was printed.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// From N3 to the devices.
    fn receive(&self) {
        let mut buffer = vec![0; PACKET_MAX];
        while !self.is_over() {
            // A time out, or an ICMP error about an earlier packet.
            let Ok(length) = self.socket.recv(&mut buffer) else { continue };
            let Ok(packet) = tern_gtpu::Packet::parse(&buffer[..length]) else { continue };
            let ues = self.ues.read().unwrap_or_else(PoisonError::into_inner);
            let (true, Some(ue)) = (packet.is_g_pdu(), ues.get(&packet.teid)) else { continue };
            let counts = &ue.counts;
            counts.downlink_packets.fetch_add(1, Ordering::Relaxed);
            counts.downlink_octets.fetch_add(packet.payload.len() as u64, Ordering::Relaxed);
            if ue.device.send(packet.payload).is_err() {
                counts.failed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// From a device to N3.
    fn send_of(&self, ue: &Inner) {
        let mut buffer = vec![0; PACKET_MAX];
        let mut datagram = Vec::with_capacity(PACKET_MAX);
        let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(TURN.subsec_nanos()) };
        while !self.is_over() {
            let Ok(length) = ue.device.recv(&mut buffer) else {
                // Nothing is there; the wait ends with the next packet.
                let _ = poll(&mut [PollFd::new(&ue.device, PollFlags::IN)], Some(&timeout));
                continue;
            };
            let Some(packet) = buffer.get(..length).filter(|packet| packet.first().is_some_and(is_ipv4))
            else {
                continue;
            };
            let Some(header) = ue.header(packet) else { continue };
            datagram.resize(header.length(), 0);
            header.write(&mut datagram, packet.len());
            datagram.extend_from_slice(packet);
            if self.socket.send_to(&datagram, self.upf).is_ok() {
                ue.counts.uplink_packets.fetch_add(1, Ordering::Relaxed);
                ue.counts.uplink_octets.fetch_add(packet.len() as u64, Ordering::Relaxed);
            } else {
                ue.counts.failed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// The kernel of a namespace sends IPv6 of its own.
fn is_ipv4(first: &u8) -> bool {
    first >> 4 == 4
}

impl Inner {
    /// The header for an uplink packet: its port decides about the flow. `None` without a session.
    fn header(&self, packet: &[u8]) -> Option<GpduHeader> {
        let tunnel = self.tunnel.read().unwrap_or_else(PoisonError::into_inner);
        let (teid, flows) = &*tunnel;
        let port = packet.get(IPV4_HEADER + 2..IPV4_HEADER + 4)?;
        let port = u16::from_be_bytes(port.try_into().ok()?);
        let qfi = flows.get(&port).copied().unwrap_or(9);
        (*teid != 0).then_some(GpduHeader { teid: *teid, container: Some(PduSessionContainer::uplink(qfi)) })
    }
}

impl Ue {
    /// Its address.
    pub fn address(&self) -> Ipv4Addr {
        self.0.address
    }

    /// The gNB's end of its tunnel.
    pub fn teid(&self) -> u32 {
        self.0.teid
    }

    /// The UPF's end of its tunnel, and which port belongs to which QoS flow.
    pub fn set_tunnel(&self, teid: u32, flows: impl Iterator<Item = (u16, u8)>) {
        let mut tunnel = self.0.tunnel.write().unwrap_or_else(PoisonError::into_inner);
        *tunnel = (teid, flows.collect());
    }

    /// What has passed.
    pub fn counts(&self) -> &Counts {
        &self.0.counts
    }
}
