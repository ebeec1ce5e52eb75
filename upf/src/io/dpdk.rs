//! Packet I/O on ports of DPDK: `n3.link` and the `link` of each network.

use anyhow::Context as _;

#[cfg(feature = "dpdk")]
pub(crate) use available::dpdk_workers;
#[cfg(not(feature = "dpdk"))]
pub(crate) use missing::dpdk_workers;

use super::Waker;
use crate::config::Config;

#[cfg(not(feature = "dpdk"))]
mod missing {
    use super::*;
    use crate::io::KernelIo;

    /// Says how DPDK is had.
    pub(crate) fn dpdk_workers(_: &Config) -> anyhow::Result<Vec<(KernelIo, Waker)>> {
        None.context(
            "data_path: this tern is built without DPDK; build it with `--features dpdk`, or choose kernel",
        )
    }
}

#[cfg(feature = "dpdk")]
mod available {
    use std::time::Duration;

    use tern_dpdk::{Eal, Memory, Options, Port as DpdkPort, Queue};

    use super::*;
    use crate::config::{LINK_MTU_MAX, LinkConfig, MemoryKind};
    use crate::io::ethernet::link::{HEADER, TAG};
    use crate::io::ethernet::{EthernetIo, Link, NetworkPlace, Places};

    /// Drivers of virtual devices want buffers for frames of 2 KiB, whatever the MTU.
    const FRAME_ROOM_MIN: u16 = 2_048;

    /// A queue of every port for each worker.
    pub(crate) fn dpdk_workers(config: &Config) -> anyhow::Result<Vec<(EthernetIo<Queue>, Waker)>> {
        let links = links(config)?;
        let mut devices: Vec<&LinkConfig> = Vec::new();
        for link in &links {
            if !devices.iter().any(|other| other.port() == link.port()) {
                devices.push(link);
            }
        }
        let mtu_of = |device: &LinkConfig| {
            let asked = links.iter().filter(|link| link.port() == device.port()).map(|link| with_tag(link));
            asked.max().unwrap_or(LINK_MTU_MAX)
        };
        let longest = devices.iter().map(|device| mtu_of(device)).max().unwrap_or(LINK_MTU_MAX);
        let eal = start(config, &devices, longest)?;
        let workers = u16::try_from(config.workers).context("workers: too many")?;
        let mut queues = Vec::new();
        for device in &devices {
            let started = DpdkPort::start(eal, &device.device, workers, mtu_of(device))?;
            queues.push(started.into_iter());
        }
        let ports_of_worker = |_| queues.iter_mut().filter_map(Iterator::next).collect();
        let ports: Vec<Vec<Queue>> = (0..workers).map(ports_of_worker).collect();
        let first = ports.first().context("workers: expected one at least")?;
        let shared: Vec<Link> = links.iter().map(|link| link_on(first, link)).collect();
        let places = places(config, &links);
        let worker = |ports| {
            let links = shared.iter().map(Link::another).collect();
            let io = EthernetIo::new(ports, links, places.clone());
            let waker = Waker::Flag(io.waker());
            (io, waker)
        };
        Ok(ports.into_iter().map(worker).collect())
    }

    /// Octets of the longest packet of a link and its tag, which its port has to take.
    fn with_tag(link: &LinkConfig) -> u16 {
        link.mtu + if link.vlan.is_some() { TAG as u16 } else { 0 }
    }

    /// Each link once, N3's first.
    fn links(config: &Config) -> anyhow::Result<Vec<&LinkConfig>> {
        let named = std::iter::once(&config.n3.link).chain(config.n6.iter().map(|network| &network.link));
        let mut links: Vec<&LinkConfig> = Vec::new();
        for link in named {
            let link = link.as_ref().context("invariant: a validated configuration names every link")?;
            if !links.contains(&link) {
                links.push(link);
            }
        }
        Ok(links)
    }

    fn start(config: &Config, devices: &[&LinkConfig], longest: u16) -> anyhow::Result<Eal> {
        let options = Options {
            devices: devices.iter().map(|link| link.device.clone()).collect(),
            memory: match config.dpdk.memory {
                MemoryKind::Auto => Memory::Auto,
                MemoryKind::Huge => Memory::Huge,
                MemoryKind::Ordinary => Memory::Ordinary,
            },
            memory_mib: config.dpdk.memory_mib,
            buffers: config.dpdk.buffers,
            frame_max: (longest + HEADER as u16).max(FRAME_ROOM_MIN),
            cpu: first_cpu(),
        };
        let eal = Eal::start(&options)?;
        tracing::info!(huge_pages = eal.has_huge_pages(), devices = ?options.devices, "DPDK started");
        Ok(eal)
    }

    /// The first CPU that this process may use.
    fn first_cpu() -> u32 {
        let allowed = rustix::thread::sched_getaffinity(None).ok();
        let first = allowed.and_then(|set| (0..rustix::thread::CpuSet::MAX_CPU).find(|cpu| set.is_set(*cpu)));
        first.and_then(|cpu| u32::try_from(cpu).ok()).unwrap_or(0)
    }

    fn link_on(ports: &[Queue], link: &LinkConfig) -> Link {
        let port = ports.iter().position(|queue| queue.port().device() == link.port());
        let port = port.expect("invariant: a port for each device");
        let mac = ports[port].port().mac();
        Link::new(port, mac, link.vlan, link.address, link.gateway, link.mtu)
    }

    fn places(config: &Config, links: &[&LinkConfig]) -> Places {
        let place = |wanted: &Option<LinkConfig>| {
            let at = links.iter().position(|link| Some(*link) == wanted.as_ref());
            at.expect("invariant: each link is among them")
        };
        let networks = config.n6.iter().map(|network| NetworkPlace {
            link: place(&network.link),
            ues: network.address,
            mtu: network.mtu,
        });
        Places {
            access: (place(&config.n3.link), config.n3_at()),
            networks: networks.collect(),
            idle_sleep: Duration::from_micros(config.dpdk.idle_sleep_us.into()),
        }
    }
}
