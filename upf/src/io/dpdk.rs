//! Packet I/O on ports of DPDK: `n3.link` and the `link` of each network.

use anyhow::Context as _;

#[cfg(feature = "dpdk")]
pub use available::dpdk_io;
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
    use std::path::Path;
    use std::time::Duration;

    use tern_dpdk::{Eal, Memory, Options, Port as DpdkPort, Queue};

    use super::*;
    use crate::config::link::LINK_MTU_MAX;
    use crate::config::{LinkConfig, MemoryKind};
    use crate::io::ethernet::link::{HEADER, TAG};
    use crate::io::ethernet::{AccessPlace, EthernetIo, Link, NetworkPlace, Places, Port, Steering};

    /// Drivers of virtual devices want buffers for frames of 2 KiB, whatever the MTU.
    const FRAME_ROOM_MIN: u16 = 2_048;
    /// The PCI devices of this machine, by their addresses.
    const PCI_DEVICES: &str = "/sys/bus/pci/devices";

    /// A link, and the first field that names it.
    type Named<'a> = (&'static str, &'a LinkConfig);

    /// Starts DPDK; a queue of every port for each worker.
    pub(crate) fn dpdk_workers(config: &Config) -> anyhow::Result<Vec<(EthernetIo<Queue>, Waker)>> {
        let eal = start(config)?;
        let with_waker = |io: EthernetIo<Queue>| {
            let waker = Waker::Flag(io.waker());
            (io, waker)
        };
        Ok(ios(config, eal, |queue| queue)?.into_iter().map(with_waker).collect())
    }

    /// The packet interfaces of each worker, for those who have started DPDK and bring ports of their own;
    /// `port` makes one of what the worker would have.
    pub fn dpdk_io<P: Port>(
        config: &Config,
        eal: Eal,
        port: impl FnMut(Queue) -> P,
    ) -> anyhow::Result<Vec<EthernetIo<P>>> {
        config.validate()?;
        ios(config, eal, port)
    }

    fn ios<P: Port>(
        config: &Config,
        eal: Eal,
        mut port: impl FnMut(Queue) -> P,
    ) -> anyhow::Result<Vec<EthernetIo<P>>> {
        let links = links(config)?;
        let workers = u16::try_from(config.workers).context("workers: too many")?;
        let mut queues = Vec::new();
        for (field, device) in devices(&links) {
            let started = DpdkPort::start(eal, &device.device, workers, mtu_of(&links, device));
            queues.push(started.with_context(|| format!("{field}: device"))?.into_iter());
        }
        let ports_of_worker = |_| queues.iter_mut().filter_map(Iterator::next).collect();
        let ports: Vec<Vec<Queue>> = (0..workers).map(ports_of_worker).collect();
        let first = ports.first().context("workers: expected one at least")?;
        let shared: Vec<Link> = links.iter().map(|(_, link)| link_on(first, link)).collect();
        let places = places(config, &links);
        let io = |(worker, ports): (usize, Vec<Queue>)| {
            let links = shared.iter().map(Link::another).collect();
            let ports = ports.into_iter().map(&mut port).collect();
            EthernetIo::new(ports, links, places.clone(), Steering::new(worker, config.workers))
        };
        Ok(ports.into_iter().enumerate().map(io).collect())
    }

    /// Of the links on one port the first.
    fn devices<'a>(links: &[Named<'a>]) -> Vec<Named<'a>> {
        let mut devices: Vec<Named<'a>> = Vec::new();
        for named in links {
            if !devices.iter().any(|(_, other)| other.port() == named.1.port()) {
                devices.push(*named);
            }
        }
        devices
    }

    fn mtu_of(links: &[Named<'_>], device: &LinkConfig) -> u16 {
        let on_it = links.iter().filter(|(_, link)| link.port() == device.port());
        on_it.map(|(_, link)| with_tag(link)).max().unwrap_or(LINK_MTU_MAX)
    }

    /// Octets of the longest packet of a link and its tag, which its port has to take.
    fn with_tag(link: &LinkConfig) -> u16 {
        link.mtu + if link.vlan.is_some() { TAG as u16 } else { 0 }
    }

    /// Each link once, N3's first.
    fn links(config: &Config) -> anyhow::Result<Vec<Named<'_>>> {
        let n6 = config.n6.iter().map(|network| ("n6.link", &network.link));
        let n9 = config.n9.iter().map(|n9| ("n9.link", &n9.link));
        let named = std::iter::once(("n3.link", &config.n3.link)).chain(n9).chain(n6);
        let mut links: Vec<Named<'_>> = Vec::new();
        for (field, link) in named {
            let link = link.as_ref().context("invariant: a validated configuration names every link")?;
            if !links.iter().any(|(_, other)| *other == link) {
                links.push((field, link));
            }
        }
        Ok(links)
    }

    /// A PCI device has to be there, and is not looked for by DPDK among all.
    fn check(field: &str, link: &LinkConfig) -> anyhow::Result<()> {
        if tern_dpdk::is_pci(&link.device) {
            let at = Path::new(PCI_DEVICES).join(tern_dpdk::port_name(&link.device));
            anyhow::ensure!(at.exists(), "{field}: device: this machine has no PCI device {}", link.port());
        } else {
            anyhow::ensure!(
                !link.port().contains([':', '.']),
                "{field}: device: expected a PCI address like 0000:01:00.0 or a virtual device, got {}",
                link.port()
            );
        }
        Ok(())
    }

    fn start(config: &Config) -> anyhow::Result<Eal> {
        let links = links(config)?;
        let devices = devices(&links);
        for (field, device) in &devices {
            check(field, device)?;
        }
        let longest = devices.iter().map(|(_, device)| mtu_of(&links, device)).max();
        let options = Options {
            devices: devices.iter().map(|(_, link)| link.device.clone()).collect(),
            memory: match config.dpdk.memory {
                MemoryKind::Auto => Memory::Auto,
                MemoryKind::Huge => Memory::Huge,
                MemoryKind::Ordinary => Memory::Ordinary,
            },
            memory_mib: config.dpdk.memory_mib,
            buffers: config.dpdk.buffers,
            frame_max: (longest.unwrap_or(LINK_MTU_MAX) + HEADER as u16).max(FRAME_ROOM_MIN),
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
        let name = tern_dpdk::port_name(&link.device);
        let port = ports.iter().position(|queue| queue.port().device() == name);
        let port = port.expect("invariant: a port for each device");
        let mac = ports[port].port().mac();
        Link::new(port, mac, link)
    }

    fn places(config: &Config, links: &[Named<'_>]) -> Places {
        let place = |wanted: &Option<LinkConfig>| {
            let at = links.iter().position(|(_, link)| Some(*link) == wanted.as_ref());
            at.expect("invariant: each link is among them")
        };
        let access = |link: &Option<LinkConfig>, addresses| AccessPlace {
            link: place(link),
            addresses,
            port: config.n3.port,
        };
        let networks = config.n6.iter().map(|network| NetworkPlace {
            link: place(&network.link),
            ues: network.address,
            ues_v6: network.ipv6,
            mtu: network.mtu,
        });
        Places {
            n3: access(&config.n3.link, config.n3.address),
            n9: config.n9.as_ref().map(|n9| access(&n9.link, n9.address)),
            networks: networks.collect(),
            idle_sleep: Duration::from_micros(config.dpdk.idle_sleep_us.into()),
        }
    }

    #[cfg(test)]
    mod tests {
        use std::net::Ipv4Addr;

        use smoltcp::wire::Ipv4Packet;

        use super::*;
        use crate::io::{BURST, PacketIo as _, worker_of_ue};
        use crate::path::Packet;
        use crate::testing::{GNB_ADDRESS, SERVER, UE, gtpu, udp};

        const UPF: Ipv4Addr = Ipv4Addr::new(10, 9, 3, 1);

        fn config(n3: &str) -> Config {
            let link = |device: &str, address: &str| format!("{{device: \"{device}\", address: {address}}}");
            let text = format!(
                "{{data_path: dpdk, n3: {{address: 10.9.3.1, link: {}}}, n6: [{{link: {}}}]}}",
                link(n3, "10.9.3.1/24"),
                link("net_null1", "10.9.6.1/24")
            );
            tern_config::parse("upf.yaml", &text).expect("parses")
        }

        #[test]
        fn a_device_that_cannot_be_is_refused_by_its_field_before_dpdk_starts() {
            for (device, why) in [
                ("0000:fe:1f.7", "n3.link: device: this machine has no PCI device 0000:fe:1f.7"),
                ("fe:1f.7,queues=2", "n3.link: device: this machine has no PCI device fe:1f.7"),
                ("0000:zz:00.0", "n3.link: device: expected a PCI address"),
            ] {
                let error = start(&config(device)).expect_err(device).to_string();
                assert!(error.starts_with(why), "{error}");
            }
        }

        /// A packet of session `number`, as its gNB sends it, to whoever hears it.
        fn uplink(number: u32, sequence: u16) -> Vec<u8> {
            let user = udp(ue(number), SERVER, (sequence, 9), 60);
            let datagram = gtpu(number, Some(9), &user);
            let mut udp = udp(GNB_ADDRESS, UPF, (2152, 2152), 28);
            udp.truncate(28);
            let total = (28 + datagram.len()) as u16;
            udp[2..4].copy_from_slice(&total.to_be_bytes());
            udp[24..26].copy_from_slice(&(total - 20).to_be_bytes());
            let mut header = Ipv4Packet::new_unchecked(&mut udp[..]);
            header.fill_checksum();
            [&[0xff; 6][..], &[2, 0, 0, 0, 0, 2], &[8, 0], &udp, &datagram].concat()
        }

        fn ue(number: u32) -> Ipv4Addr {
            Ipv4Addr::from(u32::from(UE) + number)
        }

        #[test]
        fn when_all_packets_come_on_one_queue_then_each_session_has_them_in_order_on_its_worker() {
            const SESSIONS: u32 = 16;
            let options = Options {
                devices: Vec::new(),
                memory: Memory::Ordinary,
                memory_mib: 64,
                buffers: 8_191,
                frame_max: FRAME_ROOM_MIN,
                cpu: first_cpu(),
            };
            let eal = Eal::start(&options).expect("DPDK starts");
            let [n3, gnb] = eal.cable("n3", "gnb", 2).expect("a cable");
            let [n6, _] = eal.cable("n6", "dn", 2).expect("a cable");
            let mut config = config(&n3);
            config.n6[0].link.as_mut().expect("a link").device = n6;
            config.workers = 2;
            let mut ios = dpdk_io(&config, eal, |queue| queue).expect("two workers");
            let mut gnb = DpdkPort::start(eal, &gnb, 2, 1_500).expect("the gNB's port");
            let mut packets: Vec<Packet> = (0..BURST).map(|_| Packet::new()).collect();
            let mut seen = vec![Vec::new(); SESSIONS as usize];
            let mut at_worker = [0; 2];
            for sequence in 0..50 {
                for number in 0..SESSIONS {
                    let octets = uplink(number, sequence);
                    gnb[0].frame(octets.len()).expect("a buffer").copy_from_slice(&octets);
                }
                gnb[0].flush();
                for (worker, io) in ios.iter_mut().enumerate() {
                    let count = io.receive(&mut packets, Duration::ZERO).expect("receives");
                    io.flush(&mut |reason, count| panic!("{count} dropped: {reason:?}"));
                    at_worker[worker] += count;
                    for packet in &packets[..count] {
                        let user = &packet.bytes()[packet.bytes().len() - 60..];
                        let source = Ipv4Addr::from(<[u8; 4]>::try_from(&user[12..16]).expect("four octets"));
                        assert_eq!(worker_of_ue(source, 2), worker);
                        let number = u32::from(source) - u32::from(UE);
                        seen[number as usize].push(u16::from_be_bytes([user[20], user[21]]));
                    }
                }
            }
            assert!(seen.iter().all(|sequences| *sequences == (0..50).collect::<Vec<u16>>()), "{seen:?}");
            assert!(at_worker.iter().all(|count| *count > 0), "{at_worker:?}");
        }
    }
}
