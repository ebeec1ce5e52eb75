//! What a simulation said, as a capture that other tools read: N2, N3 and N4 in IP packets, the SBI as
//! HTTP/2. Virtual time begins with a day in 2023.

use std::fs::File;
use std::io::BufWriter;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{IpProtocol, IpRepr, UDP_HEADER_LEN, UdpPacket, UdpRepr};
use tempfile::TempDir;
use tern_sbi_transport::tap::{Exchange, Pcap, Tap};
use tern_sbi_transport::{Observed, What};
use tern_sctp::Message;
use tern_tests::capture;
use tokio::time::Instant;

use super::Witness;

/// When simulations take place.
const BEGINNING: Duration = Duration::from_secs(1_700_000_000);
const HOPS: u8 = 64;
const SCTP: u8 = 132;
/// Type 0, unfragmented (RFC 9260 §3.3.1).
const DATA_CHUNK: [u8; 2] = [0, 3];
/// Before a DATA chunk's user data, with the common header.
const SCTP_HEADERS: usize = 12 + 16;
/// All consumers have one address; User-Agent tells them apart.
const CONSUMER: ([u8; 4], u16) = ([127, 0, 0, 1], 49_152);

/// A capture that is being made.
pub struct Recording {
    out: PathBuf,
    directory: TempDir,
    begun: OnceLock<Instant>,
    files: Mutex<Option<Files>>,
}

struct Files {
    wire: Pcap<BufWriter<File>>,
    tap: Tap,
    /// Of DATA chunks.
    sequence: u32,
}

impl Recording {
    /// Of a simulation that is about to begin; [`Recording::finish`] makes the file.
    pub fn create(out: &Path) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let wire = Pcap::new(BufWriter::new(File::create(directory.path().join("wire.pcap"))?))?;
        let tap = Tap::in_directory(directory.path(), "simulation")?;
        let files = Mutex::new(Some(Files { wire, tap, sequence: 0 }));
        Ok(Self { out: out.to_owned(), directory, begun: OnceLock::new(), files })
    }

    /// Puts together what was seen; the file.
    pub fn finish(&self) -> Result<&Path> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Files { wire, tap, .. } = files.context("it is finished")?;
        wire.finish()?;
        drop(tap);
        capture::add_taps(&self.directory.path().join("wire.pcap"), self.directory.path(), &self.out)?;
        Ok(&self.out)
    }

    fn with(&self, write: impl FnOnce(&mut Files, SystemTime)) {
        let elapsed = self.begun.get_or_init(Instant::now).elapsed();
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(files) = files.as_mut() {
            write(files, SystemTime::UNIX_EPOCH + BEGINNING + elapsed);
        }
    }
}

impl Witness for Recording {
    fn n2(&self, from: SocketAddr, to: SocketAddr, message: &Message) {
        self.with(|files, at| {
            files.sequence += 1;
            let packet = in_ip(from, to, IpProtocol::Unknown(SCTP), &sctp(from, to, files.sequence, message));
            files.wire.packet(nanos(at), &packet).expect("a writable file");
        });
    }

    fn datagram(&self, from: SocketAddr, to: SocketAddr, data: &[u8]) {
        self.with(|files, at| {
            let packet = in_ip(from, to, IpProtocol::Udp, &udp(from, to, data));
            files.wire.packet(nanos(at), &packet).expect("a writable file");
        });
    }

    fn sbi(&self, observed: &Observed<'_>) {
        let producer = observed.api_root.trim_start_matches("http://").parse();
        let Ok(producer) = producer else { return };
        let exchange = Exchange { consumer: CONSUMER.into(), producer, number: observed.number };
        self.with(|files, at| match &observed.what {
            What::Request(request) => files.tap.request(exchange, at, observed.consumer, request),
            What::Reply(Ok(reply)) => files.tap.reply(exchange, at, reply, &[]),
            What::Reply(Err(_)) => files.tap.give_up(exchange, at),
        });
    }
}

fn nanos(at: SystemTime) -> u64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn in_ip(from: SocketAddr, to: SocketAddr, protocol: IpProtocol, payload: &[u8]) -> Vec<u8> {
    let header = IpRepr::new(from.ip().into(), to.ip().into(), protocol, payload.len(), HOPS);
    let mut packet = vec![0; header.buffer_len()];
    header.emit(&mut packet[..header.header_len()], &ChecksumCapabilities::default());
    packet[header.header_len()..].copy_from_slice(payload);
    packet
}

fn udp(from: SocketAddr, to: SocketAddr, data: &[u8]) -> Vec<u8> {
    let mut datagram = vec![0; UDP_HEADER_LEN + data.len()];
    UdpRepr { src_port: from.port(), dst_port: to.port() }.emit(
        &mut UdpPacket::new_unchecked(&mut datagram),
        &from.ip().into(),
        &to.ip().into(),
        data.len(),
        |payload| payload.copy_from_slice(data),
        &ChecksumCapabilities::default(),
    );
    datagram
}

/// A packet with one DATA chunk; verification tag and checksum, which nobody looks at, are 0.
fn sctp(from: SocketAddr, to: SocketAddr, sequence: u32, message: &Message) -> Vec<u8> {
    let length = u16::try_from(16 + message.data.len()).unwrap_or(u16::MAX);
    let mut packet = Vec::with_capacity(SCTP_HEADERS + message.data.len());
    packet.extend(from.port().to_be_bytes());
    packet.extend(to.port().to_be_bytes());
    packet.extend([0; 8]);
    packet.extend(DATA_CHUNK);
    packet.extend(length.to_be_bytes());
    packet.extend(sequence.to_be_bytes());
    packet.extend(message.stream.to_be_bytes());
    packet.extend([0; 2]);
    packet.extend(message.ppid.to_be_bytes());
    packet.extend(&message.data);
    packet.resize(packet.len().next_multiple_of(4), 0);
    packet
}
