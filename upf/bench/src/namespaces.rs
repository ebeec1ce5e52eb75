//! Namespaces: a gNB, the UPF and a host of the data network, veth cables between them. A bounded rate, and what
//! is lost and how late it is; with what only forwards in the UPF's place.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tern_figures::place::Pinned;
use tern_figures::{Row, Spread};
use tern_gtpu::{GpduHeader, PduSessionContainer};
use tern_types::Ipv4Prefix;
use tern_upf::{Config, DataPathKind};

use crate::Bench;
use crate::child::{Child, Role};
use crate::frames::{UPF_N3, UPF_N6, config};
use crate::n4::Remote;
use crate::netns::{Netns, remove_orphans};
use crate::report::Report;
use crate::scene::{DEFAULT_PORT, End, GNB, SERVER, Shape};
use crate::testpmd;

/// Packets a second, and how long.
const RATE: f64 = 20_000.0;
const TIME: Duration = Duration::from_secs(3);
/// Behind the last packet.
const LATE_MAX: Duration = Duration::from_millis(300);
/// Until packets must get through.
const START_MAX: Duration = Duration::from_secs(10);
const SESSIONS: usize = 100;
const PDRS: usize = 8;
/// A user packet: IPv4, UDP, and what tells one from another.
const USER: usize = 64;
const HEADERS: usize = 28;
const LINKS: [&str; 2] = ["n3", "n6"];

/// Who is between the gNB and the data network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    Kernel,
    Dpdk,
    Forwarding,
    Testpmd,
}

impl Subject {
    const ALL: [Self; 4] = [Self::Kernel, Self::Forwarding, Self::Dpdk, Self::Testpmd];

    const fn name(self) -> &'static str {
        match self {
            Self::Kernel => "the UPF, kernel's sockets and TUN",
            Self::Dpdk => "the UPF, DPDK's af_packet",
            Self::Forwarding => "the kernel's forwarding in its place",
            Self::Testpmd => "testpmd on af_packet in its place",
        }
    }

    const fn is_upf(self) -> bool {
        matches!(self, Self::Kernel | Self::Dpdk)
    }
}

/// What was found of one.
struct Found {
    latency_us: Vec<f64>,
    sent: usize,
}

/// Latency and loss of the uplink.
pub fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    remove_orphans()?;
    for subject in Subject::ALL {
        let found = Hosts::lay(subject)?.measure(bench, subject).with_context(|| subject.name())?;
        let lost = 100.0 * (1.0 - found.latency_us.len() as f64 / found.sent as f64);
        let spread = Spread::of(found.latency_us);
        let note = format!(
            "p99 {:.1} µs; {lost:.3} % of {} packets lost at {RATE} a second; socket to socket, one way",
            spread.p99, found.sent
        );
        report.row(Row::new(format!("veth, {}", subject.name()), spread, "µs", note));
    }
    Ok(())
}

fn prefix(address: Ipv4Addr) -> Ipv4Prefix {
    Ipv4Prefix { address, length: 24 }
}

/// The three of them.
struct Hosts {
    gnb: Netns,
    upf: Netns,
    dn: Netns,
}

impl Hosts {
    /// Makes the namespaces as this subject needs them.
    fn lay(subject: Subject) -> Result<Self> {
        let [gnb, upf, dn] = ["bgnb", "bupf", "bdn"].map(Netns::create);
        let hosts = Self { gnb: gnb?, upf: upf?, dn: dn? };
        hosts.gnb.connect(LINKS[0], prefix(GNB), &hosts.upf, prefix(UPF_N3))?;
        hosts.upf.connect(LINKS[1], prefix(UPF_N6), &hosts.dn, prefix(SERVER))?;
        for (netns, link) in hosts.ends() {
            netns.whole_frames(link)?;
        }
        let ues = Ipv4Prefix { address: Ipv4Addr::new(10, 0, 0, 0), length: 8 };
        hosts.dn.route(ues, UPF_N6)?;
        match subject {
            Subject::Kernel => hosts.upf.sysctl("net.ipv4.ip_forward", "1")?,
            Subject::Forwarding => {
                hosts.upf.sysctl("net.ipv4.ip_forward", "1")?;
                hosts.gnb.route(prefix(Ipv4Addr::new(203, 0, 113, 0)), UPF_N3)?;
                hosts.dn.route(prefix(Ipv4Addr::new(198, 51, 100, 0)), UPF_N6)?;
            }
            Subject::Dpdk | Subject::Testpmd => {
                for link in LINKS {
                    // Its kernel must not answer for them.
                    hosts.upf.ip(&["addr", "flush", "dev", link])?;
                }
                if subject == Subject::Testpmd {
                    hosts.bridge()?;
                }
            }
        }
        Ok(hosts)
    }

    fn ends(&self) -> [(&Netns, &'static str); 4] {
        [(&self.gnb, LINKS[0]), (&self.upf, LINKS[0]), (&self.upf, LINKS[1]), (&self.dn, LINKS[1])]
    }

    /// Frames pass through as they are: both hosts are on one link then.
    fn bridge(&self) -> Result<()> {
        let macs = [mac(&self.gnb, LINKS[0])?, mac(&self.dn, LINKS[1])?];
        for (netns, link, other, mac) in
            [(&self.gnb, LINKS[0], SERVER, &macs[1]), (&self.dn, LINKS[1], GNB, &macs[0])]
        {
            let other = other.to_string();
            netns.ip(&["neigh", "replace", &other, "lladdr", mac, "dev", link])?;
            netns.ip(&["route", "replace", &format!("{other}/32"), "dev", link])?;
        }
        Ok(())
    }

    fn measure(&self, bench: &Bench, subject: Subject) -> Result<Found> {
        let inside = ["ip", "netns", "exec", self.upf.name()];
        let devices = [0, 1].map(|port| format!("net_af_packet{port},iface={}", LINKS[port]));
        let mut ends = Vec::new();
        let _subject = match subject {
            Subject::Forwarding => None,
            Subject::Testpmd => Some(testpmd::start(bench, &inside, &devices)?),
            Subject::Kernel | Subject::Dpdk => {
                let kind = if subject == Subject::Dpdk { DataPathKind::Dpdk } else { DataPathKind::Kernel };
                let config = Config { sessions_max: SESSIONS, ..config(kind, &devices[0], &devices[1]) };
                let role = Role::Upf { config: Box::new(config), core: bench.core };
                let child = Child::start(&inside, &role)?;
                let mut smf = Remote::associate(within(&self.upf, Remote::socket)?)?;
                ends = smf.establish(&Shape::new(SESSIONS, PDRS), 0..SESSIONS)?.0;
                Some(child)
            }
        };
        let bind = |netns, address, port| within(netns, move || Ok(UdpSocket::bind((address, port))?));
        let path = Path {
            gnb: bind(&self.gnb, GNB, tern_gtpu::PORT)?,
            server: bind(&self.dn, SERVER, DEFAULT_PORT)?,
            to: if subject.is_upf() {
                (UPF_N3, tern_gtpu::PORT).into()
            } else {
                (SERVER, DEFAULT_PORT).into()
            },
            ends,
        };
        let _pinned = Pinned::to(bench.cores.first().copied().unwrap_or_default())?;
        path.measure()
    }
}

/// The Ethernet address of a cable's end.
fn mac(netns: &Netns, link: &str) -> Result<String> {
    let output = netns.command("cat").arg(format!("/sys/class/net/{link}/address")).output()?;
    ensure!(output.status.success(), "{link} has no address");
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Does something in a namespace: sockets that it opens stay there.
fn within<T: Send>(netns: &Netns, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| netns.enter().and_then(|()| work()));
        thread.join().map_err(|_| anyhow::anyhow!("a thread ended early"))?
    })
}

/// Sends at the gNB and receives at the server, in one thread, so that there is one clock and nobody to wake.
struct Path {
    gnb: UdpSocket,
    server: UdpSocket,
    to: SocketAddr,
    ends: Vec<End>,
}

impl Path {
    fn measure(&self) -> Result<Found> {
        self.gnb.set_nonblocking(true)?;
        self.server.set_nonblocking(true)?;
        let begun = Instant::now();
        let mut buffer = [0; 2_048];
        // The way is there when the first packet has passed; stragglers of this are told by their number.
        while self.server.recv(&mut buffer).is_err() {
            ensure!(begun.elapsed() < START_MAX, "no packet gets through");
            self.send(0, 0, begun);
            std::thread::sleep(Duration::from_millis(10));
        }
        let begun = Instant::now();
        let wanted = (RATE * TIME.as_secs_f64()) as usize;
        let (mut sent, mut latency_us, mut last) = (0, Vec::with_capacity(wanted), begun);
        while sent < wanted || last.elapsed() < LATE_MAX {
            if sent < wanted && begun.elapsed().as_secs_f64() * RATE >= sent as f64 {
                sent += 1;
                self.send(sent, sent, begun);
                last = Instant::now();
            }
            while let Ok(length) = self.server.recv(&mut buffer) {
                let Some(octets) = buffer[..length].first_chunk::<16>() else { continue };
                let (number, at) = octets.split_at(8);
                let read = |octets: &[u8]| octets.try_into().map_or(0, u64::from_be_bytes);
                if read(number) > 0 {
                    latency_us
                        .push((begun.elapsed().as_nanos() as u64).saturating_sub(read(at)) as f64 / 1e3);
                }
            }
        }
        Ok(Found { latency_us, sent: wanted })
    }

    /// A packet that says its number and when it was sent.
    fn send(&self, number: usize, session: usize, begun: Instant) {
        let mut payload = [0; USER - HEADERS];
        payload[..8].copy_from_slice(&(number as u64).to_be_bytes());
        payload[8..16].copy_from_slice(&(begun.elapsed().as_nanos() as u64).to_be_bytes());
        let datagram = match self.ends.get(session % self.ends.len().max(1)) {
            Some(end) => tunnelled(end, &payload),
            None => payload.to_vec(),
        };
        // What a full socket does not take is lost, and counted as that.
        let _ = self.gnb.send_to(&datagram, self.to);
    }
}

/// In GTP-U, as a gNB has it of a UE.
fn tunnelled(end: &End, payload: &[u8]) -> Vec<u8> {
    let header = GpduHeader { teid: end.teid, container: Some(PduSessionContainer::uplink(9)) };
    let mut datagram = vec![0; header.length()];
    header.write(&mut datagram, USER);
    datagram.extend(crate::frames::user_packet(end.ue, SERVER, DEFAULT_PORT, USER));
    datagram.extend_from_slice(payload);
    datagram
}
