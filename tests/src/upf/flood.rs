//! More packets than a worker can forward.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tern_gtpu::{GpduHeader, PduSessionContainer};

use super::Rig;
use super::smf::Session;
use crate::topology::DN_ADDRESS;

/// The port that the packets go to; nobody reads what comes.
const PORT: u16 = 9_000;
/// Octets of an IP packet of the flood.
const LENGTH: usize = 128;

/// Packets of a millisecond.
const PACKETS_PER_MS: u64 = 100;

/// A thread that sends 100,000 packets a second, until it is dropped.
pub struct Flood {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
    // What comes is lost in its buffer.
    _sink: UdpSocket,
}

impl Flood {
    /// Floods a session of the UE at this place, in one direction.
    pub async fn start(rig: &Rig, ue: usize, session: Session, uplink: bool) -> Result<Self> {
        let address = rig.ue(ue).address();
        let (sink, socket, datagram, to) = if uplink {
            let sink = rig.topology.dn.within(|| Ok(UdpSocket::bind((DN_ADDRESS, PORT))?)).await?;
            let (socket, upf) = (rig.gnb.socket().try_clone()?, *rig.gnb.upf().ip());
            (sink, socket, uplink_packet(session.teid, address), (upf, tern_gtpu::PORT))
        } else {
            let sink = rig.ue_netns(ue).within(move || Ok(UdpSocket::bind((address, PORT))?)).await?;
            let socket = rig.topology.dn.within(|| Ok(UdpSocket::bind((DN_ADDRESS, PORT))?)).await?;
            (sink, socket, vec![0x5A; LENGTH - 28], (address, PORT))
        };
        let (stop, sent) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (stopped, count) = (stop.clone(), sent.clone());
        let send = move || {
            let began = Instant::now();
            while !stopped.load(Ordering::Relaxed) {
                let due = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX) * PACKETS_PER_MS;
                for _ in count.load(Ordering::Relaxed)..due {
                    // One that is not sent is none of the flood, but not sent again.
                    let _ = socket.send_to(&datagram, to);
                    count.fetch_add(1, Ordering::Relaxed);
                }
                std::thread::sleep(Duration::from_micros(500));
            }
        };
        let thread = std::thread::Builder::new().name("flood".into()).spawn(send).context("no thread")?;
        Ok(Self { stop, sent, thread: Some(thread), _sink: sink })
    }

    /// Packets sent so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic in it was printed.
            let _ = thread.join();
        }
    }
}

/// A UDP packet of the UE as its gNB sends it.
fn uplink_packet(teid: u32, ue: Ipv4Addr) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, LENGTH as u8, 0, 0, 0x40, 0, 64, 17, 0, 0];
    packet.extend_from_slice(&ue.octets());
    packet.extend_from_slice(&DN_ADDRESS.octets());
    let sum = checksum(&packet);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    for field in [PORT, PORT, (LENGTH - 20) as u16, 0] {
        packet.extend_from_slice(&field.to_be_bytes());
    }
    packet.resize(LENGTH, 0x5A);
    let header = GpduHeader { teid, container: Some(PduSessionContainer::uplink(9)) };
    let mut datagram = vec![0; header.length()];
    header.write(&mut datagram, packet.len());
    datagram.extend_from_slice(&packet);
    datagram
}

/// RFC 1071.
fn checksum(octets: &[u8]) -> u16 {
    let words = octets.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let sum: u32 = words.sum();
    let sum = (sum & 0xFFFF) + (sum >> 16);
    !((sum & 0xFFFF) + (sum >> 16)) as u16
}
