//! N6 as a TUN device with one queue for each worker.
//!
//! The kernel hands over and takes packets of one flow put together, up to 64 KiB a system call; here
//! they are taken apart, and put together.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd};

use anyhow::Context as _;
use tun_rs::{DeviceBuilder, GROTable, SyncDevice, VIRTIO_NET_HDR_LEN};

use crate::config::N6Config;
use crate::path::{PACKET_MAX, Packet, Peer, Side};

/// Packets that one read may bring: 64 KiB in segments of 128 octets. What has more is lost.
const SEGMENTS_MAX: usize = 512;
/// The least room for one of several segments, whatever the MTU was when the device was made.
const SEGMENT_ROOM_MIN: usize = 2_048;
/// Packets that are held back before they are written.
const HELD_MAX: usize = 64;
/// What one read brings: a header that says how it is put together, and an IP packet.
const READ_MAX: usize = VIRTIO_NET_HDR_LEN + 65_535;

/// One worker's queue of a device, with packets that were read together and are not yet taken, and
/// those that are to be written together.
pub(crate) struct TunQueue {
    device: SyncDevice,
    network: u16,
    raw: Vec<u8>,
    segments: Vec<Vec<u8>>,
    lengths: [usize; SEGMENTS_MAX],
    count: usize,
    taken: usize,
    held: Vec<Vec<u8>>,
    holds: usize,
    table: GROTable,
    failed: usize,
}

/// A TUN device that has its address, its MTU and the route to its UEs.
pub(crate) struct TunDevice {
    queues: Vec<SyncDevice>,
    mtu: usize,
}

impl TunDevice {
    /// Makes the device, up, with `queues` queues. The kernel routes the prefixes of its addresses
    /// to it, and answers packets longer than its MTU with ICMP "fragmentation needed" or ICMPv6 "packet too
    /// big".
    pub(crate) fn create(config: &N6Config, queues: usize) -> anyhow::Result<Self> {
        let (address, prefix): (Ipv4Addr, u8) = (config.address.address, config.address.length);
        let mut builder = DeviceBuilder::new().name(&config.tun).ipv4(address, prefix, None);
        if let Some(ipv6) = config.ipv6 {
            builder = builder.ipv6(ipv6.address, ipv6.length);
        }
        let first = builder
            .mtu(config.mtu)
            .with(|options| {
                options.multi_queue(queues > 1).packet_information(false).offload(true);
            })
            .build_sync()
            .with_context(|| {
                format!("cannot make the TUN device {} (it needs /dev/net/tun and CAP_NET_ADMIN)", config.tun)
            })?;
        first.set_tx_queue_len(config.queue_packets).context("cannot set the queue of the TUN device")?;
        let mut all = vec![first];
        for _ in 1..queues {
            all.push(all[0].try_clone().context("cannot open another queue of the TUN device")?);
        }
        for queue in &all {
            queue.set_nonblocking(true).context("cannot make the TUN device non-blocking")?;
        }
        Ok(Self { queues: all, mtu: config.mtu.into() })
    }

    /// The next queue that nobody has yet; its packets come from the data network of this index.
    pub(crate) fn take_queue(&mut self, network: u16) -> Option<TunQueue> {
        self.queues.pop().map(|device| TunQueue::new(device, network, self.mtu))
    }
}

impl TunQueue {
    fn new(device: SyncDevice, network: u16, mtu: usize) -> Self {
        // A packet that comes alone may be longer than the MTU was; segments are of its length.
        let segment = |at| vec![0; if at == 0 { PACKET_MAX } else { mtu.max(SEGMENT_ROOM_MIN) }];
        Self {
            device,
            network,
            raw: vec![0; READ_MAX],
            segments: (0..SEGMENTS_MAX).map(segment).collect(),
            lengths: [0; SEGMENTS_MAX],
            count: 0,
            taken: 0,
            held: Vec::new(),
            holds: 0,
            table: GROTable::default(),
            failed: 0,
        }
    }

    /// The next packet; false if there is none now.
    pub(super) fn take(&mut self, packet: &mut Packet) -> io::Result<bool> {
        if self.taken == self.count && !self.read()? {
            return Ok(false);
        }
        packet.set(&self.segments[self.taken][..self.lengths[self.taken]]);
        packet.came(Side::Network(self.network), Peer::NOBODY);
        self.taken += 1;
        Ok(true)
    }

    fn read(&mut self) -> io::Result<bool> {
        (self.taken, self.count) = (0, 0);
        match self.device.recv_multiple(&mut self.raw, &mut self.segments, &mut self.lengths, 0) {
            Ok(count) => self.count = count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // Longer than a packet may be, or put together in a way that we do not know. Without its
            // octets it is a malformed one, dropped and counted as such.
            Err(error) if error.raw_os_error().is_none() => {
                tracing::debug!(network = self.network, %error, "a packet cannot be taken apart");
                (self.lengths[0], self.count) = (0, 1);
            }
            Err(error) => return Err(error),
        }
        Ok(self.count > 0)
    }

    /// Sends a packet, now or with the next [`flush`](Self::flush).
    pub(super) fn send(&mut self, packet: &[u8]) {
        if self.holds == HELD_MAX {
            self.write();
        }
        if self.holds == self.held.len() {
            self.held.push(Vec::with_capacity(READ_MAX));
        }
        let held = &mut self.held[self.holds];
        held.clear();
        held.resize(VIRTIO_NET_HDR_LEN, 0);
        held.extend_from_slice(packet);
        self.holds += 1;
    }

    /// Writes what is held back; how many packets were not taken since the last time. Of packets that
    /// were written together and not all taken, all count.
    pub(super) fn flush(&mut self) -> usize {
        self.write();
        std::mem::take(&mut self.failed)
    }

    fn write(&mut self) {
        let held = &mut self.held[..self.holds];
        if !held.is_empty() && self.device.send_multiple(&mut self.table, held, VIRTIO_NET_HDR_LEN).is_err() {
            self.failed += self.holds;
        }
        self.holds = 0;
    }
}

impl AsFd for TunQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// IPv4 with TCP or UDP, more or less: what UEs send is put together before the kernel sees it.
    fn packet() -> impl Strategy<Value = Vec<u8>> {
        let octets = proptest::collection::vec(any::<u8>(), 0..120);
        (octets, 0..4usize, any::<(u8, u8)>()).prop_map(|(mut packet, kind, (at, value))| {
            let length = packet.len() as u16;
            let protocol = if kind % 2 == 0 { 6 } else { 17 };
            let header = [0x45, 0, (length >> 8) as u8, length as u8, 0, 0, 0x40, 0, 64, protocol];
            for (octet, fixed) in packet.iter_mut().zip(header) {
                *octet = fixed;
            }
            // The same addresses and ports, so that packets meet.
            packet.iter_mut().skip(12).take(12).for_each(|octet| *octet = 7);
            if kind >= 2
                && let Some(octet) = packet.get_mut(usize::from(at))
            {
                *octet = value;
            }
            packet
        })
    }

    proptest! {
        #[test]
        fn any_packets_are_put_together_or_left_alone(packets in proptest::collection::vec(packet(), 1..8)) {
            let mut held: Vec<Vec<u8>> = packets
                .iter()
                .filter(|packet| !packet.is_empty())
                .map(|packet| [&[0; VIRTIO_NET_HDR_LEN][..], packet].concat())
                .collect();
            let octets: usize = packets.iter().map(Vec::len).sum();
            let mut written = Vec::new();
            let together = tun_rs::handle_gro(
                &mut held,
                VIRTIO_NET_HDR_LEN,
                &mut Default::default(),
                &mut Default::default(),
                true,
                &mut written,
            );
            if together.is_ok() {
                let after: usize = written.iter().map(|&at| held[at].len() - VIRTIO_NET_HDR_LEN).sum();
                prop_assert!(after <= octets, "{} octets became {}", octets, after);
            }
        }
    }
}
