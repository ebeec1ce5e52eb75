//! N6 as a TUN device with one queue for each worker.

use std::net::Ipv4Addr;

use anyhow::Context as _;
use tun_rs::{DeviceBuilder, SyncDevice};

use crate::config::N6Config;

/// A TUN device that has its address, its MTU and the route to its UEs.
pub(crate) struct TunDevice {
    queues: Vec<SyncDevice>,
}

impl TunDevice {
    /// Makes the device, up, with `queues` queues. The kernel routes the prefix of its address
    /// to it, and answers packets longer than its MTU with ICMP "fragmentation needed".
    pub(crate) fn create(config: &N6Config, queues: usize) -> anyhow::Result<Self> {
        let (address, prefix): (Ipv4Addr, u8) = (config.address.address, config.address.length);
        let first = DeviceBuilder::new()
            .name(&config.tun)
            .ipv4(address, prefix, None)
            .mtu(config.mtu)
            .with(|options| {
                options.multi_queue(queues > 1).packet_information(false);
            })
            .build_sync()
            .with_context(|| {
                format!("cannot make the TUN device {} (it needs /dev/net/tun and CAP_NET_ADMIN)", config.tun)
            })?;
        let mut all = vec![first];
        for _ in 1..queues {
            all.push(all[0].try_clone().context("cannot open another queue of the TUN device")?);
        }
        for queue in &all {
            queue.set_nonblocking(true).context("cannot make the TUN device non-blocking")?;
        }
        Ok(Self { queues: all })
    }

    /// The next queue that nobody has yet.
    pub(crate) fn take_queue(&mut self) -> Option<SyncDevice> {
        self.queues.pop()
    }
}
