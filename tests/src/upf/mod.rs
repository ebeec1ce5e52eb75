//! A UPF as a process between a gNB with UEs and a data network, all in namespaces, with an SMF and a gNB that
//! do what a test says: real programs in a UE's namespace send through it.
//!
//! ```text
//!   ue1 ─ TUN ┐
//!             gnb 10.99.3.2 ──n3── 10.99.3.1 core 10.99.6.1 ──n6── 10.99.6.2 dn
//!   ue2 ─ TUN ┘                    SMF 127.0.0.17 ─ UPF 127.0.0.18
//! ```

pub mod datagrams;
pub mod flood;
pub mod gnb;
pub mod iperf;
pub mod rules;
pub mod scenarios;
pub mod smf;

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::net::sockopt::set_socket_recv_buffer_size_force;

use crate::core::UpfIo;
use crate::netns::Netns;
use crate::process::Process;
use crate::topology::{DN_ADDRESS, N3_CORE, N3_MTU, N6_CORE, Topology};
use gnb::{Gnb, Ue};
use rules::SessionRules;
use smf::{Session, Smf};

/// The UPF's N4.
const N4: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 18);
/// How long the UPF may take to start.
const START_TIME: Duration = Duration::from_secs(20);
/// Ten milliseconds, as `chrt` takes them.
const PERIOD_NS: &str = "10000000";
/// Octets that wait in a program's socket.
const SOCKET_BUFFER: usize = 64 << 20;
/// Octets of a UE's longest packet.
pub const MTU: u16 = 1400;
/// Frames that a ring of an AF_PACKET device holds: what comes while the worker is off the CPU.
const FRAMES: u32 = 16_384;

/// What of the UPF a test chooses.
#[derive(Debug, Clone)]
pub struct UpfSetup {
    /// How its packets move.
    pub io: UpfIo,
    /// Worker threads; DPDK's virtual devices have one queue.
    pub workers: usize,
    /// Further lines of its configuration.
    pub more: String,
}

/// The namespaces with everything that runs in them; removed when dropped.
pub struct Rig {
    /// Ends before the namespace that it runs in.
    upf: Process,
    /// The other end of N4.
    pub smf: Smf,
    /// The other end of N3.
    pub gnb: Gnb,
    /// A namespace for each UE, whose only way out is its session.
    ues: Vec<(Netns, Ue)>,
    /// The hosts.
    pub topology: Topology,
}

impl Rig {
    /// Starts the UPF and associates with it; `ues` UEs have addresses and no sessions.
    pub async fn start(name: &str, tern: &Path, directory: &Path, setup: &UpfSetup, ues: u8) -> Result<Self> {
        let topology = Topology::create_as(name)?;
        for (netns, link) in [(&topology.core, "n3"), (&topology.core, "n6"), (&topology.gnb, "n3")] {
            netns.ip(&["link", "set", link, "txqueuelen", "10000"])?;
        }
        if setup.io == UpfIo::Dpdk {
            topology.leave_to_upf()?;
        }
        std::fs::create_dir_all(directory)?;
        let config = directory.join(format!("{name}.yaml"));
        std::fs::write(&config, configuration(setup)).with_context(|| config.display().to_string())?;
        let mut command = topology.core.task(tern);
        command.arg("upf").arg("--config").arg(&config);
        let mut upf = Process::start("UPF", command, false)?;
        upf.wait_for_line("UPF serves", START_TIME).await?;
        let smf = Smf::associate(&topology.core, SocketAddr::new(N4.into(), tern_pfcp::PORT)).await?;
        let gnb = Gnb::start(&topology.gnb, SocketAddrV4::new(N3_CORE, tern_gtpu::PORT)).await?;
        let mut all = Vec::new();
        for number in 1..=ues {
            let netns = Netns::create(&format!("{name}-ue{number}"))?;
            let ue = gnb.attach(&netns, Ipv4Addr::new(10, 45, 0, 1 + number)).await?;
            all.push((netns, ue));
        }
        Ok(Self { upf, smf, gnb, ues: all, topology })
    }

    /// A UE's namespace, by its place.
    pub fn ue_netns(&self, at: usize) -> &Netns {
        &self.ues[at].0
    }

    /// A UE, by its place.
    pub fn ue(&self, at: usize) -> &Ue {
        &self.ues[at].1
    }

    /// Establishes a session for a UE and tells the gNB its tunnel.
    pub async fn establish(&self, at: usize, rules: &SessionRules) -> Result<Session> {
        let ue = self.ue(at);
        let session = self.smf.establish(rules, ue.address(), ue.teid()).await?;
        ue.set_tunnel(session.teid, rules.flows.iter().filter_map(|flow| Some((flow.port?, flow.qfi))));
        Ok(session)
    }

    /// A UDP socket of a host of the data network.
    pub async fn dn_socket(&self, port: u16) -> Result<UdpSocket> {
        self.topology.dn.within(move || bound(DN_ADDRESS, port)).await
    }

    /// A UDP socket of a UE.
    pub async fn ue_socket(&self, at: usize, port: u16) -> Result<UdpSocket> {
        let address = self.ue(at).address();
        self.ue_netns(at).within(move || bound(address, port)).await
    }

    /// Gives the UPF's workers so many microseconds of a CPU in ten milliseconds, no more and, whatever else
    /// runs, no less.
    pub async fn limit_workers(&self, microseconds: u32) -> Result<()> {
        let id = self.upf.id().context("the UPF has ended")?;
        let mut found = false;
        for thread in std::fs::read_dir(format!("/proc/{id}/task"))? {
            let thread = thread?;
            if !std::fs::read_to_string(thread.path().join("comm"))?.starts_with("upf-worker") {
                continue;
            }
            found = true;
            let mut command = tokio::process::Command::new("chrt");
            command.args(["--deadline", "--sched-runtime", &format!("{microseconds}000")]);
            command.args(["--sched-deadline", PERIOD_NS, "--sched-period", PERIOD_NS, "--pid", "0"]);
            let output = command.arg(thread.file_name()).output().await.context("chrt does not start")?;
            ensure!(output.status.success(), "chrt: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        ensure!(found, "the UPF has no worker");
        Ok(())
    }

    /// Ends the UPF in order; its output.
    pub async fn stop(self) -> Result<Vec<String>> {
        let lines = self.upf.lines();
        drop(self.smf);
        self.upf.stop().await?;
        Ok(lines)
    }
}

/// With room for all that comes while its reader is off the CPU.
fn bound(address: Ipv4Addr, port: u16) -> Result<UdpSocket> {
    let socket = UdpSocket::bind((address, port))?;
    set_socket_recv_buffer_size_force(&socket, SOCKET_BUFFER)?;
    Ok(socket)
}

fn configuration(setup: &UpfSetup) -> String {
    let mut text = format!(
        "workers: {}\n\
         data_path: {}\n\
         n4: {{ address: {N4} }}\n",
        setup.workers,
        if setup.io == UpfIo::Dpdk { "dpdk" } else { "kernel" },
    );
    let (mut n3, mut n6) = (String::new(), String::new());
    if setup.io == UpfIo::Dpdk {
        let device = |number: u8, link: &str| {
            format!("net_af_packet{number},iface={link},framesz=2048,blocksz=4096,framecnt={FRAMES}")
        };
        n3 = format!(", link: {{ device: \"{}\", address: {N3_CORE}/24, mtu: {N3_MTU} }}", device(0, "n3"));
        n6 = format!(
            ", link: {{ device: \"{}\", address: {N6_CORE}/24, gateway: {DN_ADDRESS} }}",
            device(1, "n6")
        );
    }
    // Writing to a string does not fail.
    let _ = write!(
        text,
        "n3: {{ address: {N3_CORE}{n3} }}\n\
         n6:\n  - {{ dnn: internet, tun: tern-n6, address: 10.45.0.1/16, mtu: {MTU}{n6} }}\n{}",
        setup.more
    );
    text
}
