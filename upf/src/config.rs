//! The UPF's configuration.

mod addresses;
pub(crate) mod link;
mod names;
#[cfg(test)]
mod tests;

pub use addresses::Addresses;
pub(crate) use addresses::TunnelEnds;
pub use link::LinkConfig;
pub use names::{ApplicationConfig, PfdConfig, PredefinedAction, PredefinedRule, RatesKbps};

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};
use tern_config::Sample;
use tern_nf::SbiConfig;
use tern_types::{Dnn, Ipv4Prefix, Ipv6Prefix, Snssai};

use crate::path::{Buffers, ReferencePoint, Room};

/// Configuration of `tern upf`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Status, counters and registration at the NRF. SMFs that find this UPF at the NRF take
    /// the host of its address for N4 too.
    #[serde(default = "default_sbi")]
    pub sbi: SbiConfig,
    /// PFCP.
    #[serde(default)]
    pub n4: N4Config,
    /// GTP-U.
    #[serde(default)]
    pub n3: N3Config,
    /// GTP-U between UPFs, where that is not at the addresses of N3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n9: Option<N9Config>,
    /// Data networks; the first one takes what names none of them.
    #[serde(default = "default_n6")]
    pub n6: Vec<N6Config>,
    /// Slices served, for the NRF.
    #[serde(default = "default_slices")]
    pub slices: Vec<Snssai>,
    /// How packets move.
    #[serde(default)]
    pub data_path: DataPathKind,
    /// With `data_path: dpdk`.
    #[serde(default)]
    pub dpdk: DpdkConfig,
    /// Threads that move packets.
    #[serde(default = "default_workers")]
    pub workers: usize,
    /// PFCP sessions; more are refused with cause 75.
    #[serde(default = "default_sessions_max")]
    pub sessions_max: usize,
    /// What finds the rule for a packet.
    #[serde(default)]
    pub classifier: ClassifierKind,
    /// Rules that an SMF may name, by names of its own choice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub predefined_rules: Vec<PredefinedRule>,
    /// Applications that rules may name. What PFD management says of one comes first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub applications: Vec<ApplicationConfig>,
    /// What PFD management may bring.
    #[serde(default)]
    pub pfd: PfdConfig,
    /// When SMFs are asked for less.
    #[serde(default)]
    pub overload: OverloadConfig,
    /// Downlink packets that one session may have waiting.
    #[serde(default = "default_buffer_packets_max")]
    pub buffer_packets_max: usize,
    /// Octets of them.
    #[serde(default = "default_buffer_bytes_max")]
    pub buffer_bytes_max: usize,
    /// Downlink packets that all sessions together may have waiting.
    #[serde(default = "default_buffer_packets_max_total")]
    pub buffer_packets_max_total: usize,
    /// Octets of them.
    #[serde(default = "default_buffer_bytes_max_total")]
    pub buffer_bytes_max_total: usize,
    /// Session reports that may wait for their answers. Beyond it usage is counted on and reported when there is
    /// room, and other reports are lost.
    #[serde(default = "default_reports_max")]
    pub reports_max: usize,
}

/// `n4:`, towards the SMFs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct N4Config {
    /// Address for PFCP; also the node ID.
    #[serde(default = "default_address")]
    pub address: IpAddr,
    /// UDP port.
    #[serde(default = "default_n4_port")]
    pub port: u16,
    /// SMFs that may associate; none means every SMF.
    #[serde(default)]
    pub smfs: Vec<IpAddr>,
    /// Seconds without a message of an SMF until it gets a heartbeat request.
    #[serde(default = "default_heartbeat_interval_s")]
    pub heartbeat_interval_s: u32,
    /// Seconds for which the sessions of an SMF are kept that no longer answers.
    #[serde(default = "default_retention_s")]
    pub retention_s: u32,
}

/// `n3:`, towards the gNBs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct N3Config {
    /// Address for GTP-U, or one of IPv4 and one of IPv6.
    #[serde(default = "default_n3_address")]
    pub address: Addresses,
    /// UDP port; gNBs send to 2152.
    #[serde(default = "default_n3_port")]
    pub port: u16,
    /// Address that gNBs are told, if it is another (behind NAT); of each version that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advertise: Option<Addresses>,
    /// Seconds after the start in which packets of unknown tunnels get no error indication: the SMFs
    /// restore in them what a restart has lost.
    #[serde(default = "default_error_indications_after_s")]
    pub error_indications_after_s: u32,
    /// Octets of what a worker has not yet received from its socket, as the kernel counts them
    /// (`SO_RCVBUFFORCE`, else as much as `net.core.rmem_max` allows).
    #[serde(default = "default_receive_buffer_bytes")]
    pub receive_buffer_bytes: usize,
    /// DSCP of the IP header around packets to gNBs, by QFI; 0 where none is named. What an SMF says for a
    /// FAR comes first.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dscp: BTreeMap<u8, u8>,
    /// Whether the DSCP of the packet inside is taken where `dscp` names none.
    #[serde(default)]
    pub dscp_from_inner: bool,
    /// The port of `data_path: dpdk`; its address is `address`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkConfig>,
}

/// `n9:`, towards other UPFs, at the port and with the marking of N3.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct N9Config {
    /// Address for GTP-U, or one of IPv4 and one of IPv6.
    pub address: Addresses,
    /// What SMFs call it where the side of a rule does not tell it from N3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_instance: Option<String>,
    /// The port of `data_path: dpdk`; its address is `address`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkConfig>,
}

/// `dpdk:`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DpdkConfig {
    /// What buffers are made of.
    #[serde(default)]
    pub memory: MemoryKind,
    /// Mebibytes of memory for buffers.
    #[serde(default = "default_memory_mib")]
    pub memory_mib: u32,
    /// Buffers, each for one packet.
    #[serde(default = "default_buffers")]
    pub buffers: u32,
    /// Microseconds that a worker sleeps between two looks at its ports when none has a packet; 0 to look all
    /// the time, which takes a whole CPU.
    #[serde(default = "default_idle_sleep_us")]
    pub idle_sleep_us: u32,
}

/// What DPDK's buffers are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemoryKind {
    /// Huge pages where enough of them are free, ordinary ones otherwise.
    #[default]
    Auto,
    /// Huge pages, or no start.
    Huge,
    /// Ordinary pages.
    Ordinary,
}

/// One of `n6:`, a data network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct N6Config {
    /// Name of the data network.
    #[serde(default = "default_dnn")]
    pub dnn: Dnn,
    /// Name of the TUN device that is made.
    #[serde(default = "default_tun")]
    pub tun: String,
    /// Address of the TUN device, with the prefix that holds the UEs' addresses: the same
    /// prefix as the SMF's pool. The host must forward between this device and the data network
    /// (`net.ipv4.ip_forward=1`), with a route or NAT for the prefix.
    #[serde(default = "default_pool")]
    pub address: Ipv4Prefix,
    /// IPv6 address of the TUN device, with the prefix that holds the UEs' prefixes. The host must forward
    /// (`net.ipv6.conf.all.forwarding=1`), with a route for the prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<Ipv6Prefix>,
    /// MTU of the TUN device. 1400 leaves room for GTP-U in links of 1500 octets; longer packets
    /// are fragmented or answered with ICMP by the kernel.
    #[serde(default = "default_mtu")]
    pub mtu: u16,
    /// Packets that wait in the TUN device for each worker.
    #[serde(default = "default_queue_packets")]
    pub queue_packets: u32,
    /// The port of `data_path: dpdk` towards the data network, in the place of the TUN device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkConfig>,
}

/// `overload:`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OverloadConfig {
    /// Load in percent from which on SMFs are asked for less: the more, the nearer it is to 100.
    #[serde(default = "default_overload_from")]
    pub from_percent: u8,
    /// Seconds for which an SMF holds on to it.
    #[serde(default = "default_overload_validity_s")]
    pub validity_s: u32,
}

impl OverloadConfig {
    /// How much less SMFs shall ask for at this load, in percent.
    pub fn reduction(self, load: u8) -> u8 {
        let (load, from) = (u32::from(load.min(100)), u32::from(self.from_percent.min(100)));
        match load.checked_sub(from) {
            None => 0,
            Some(over) => u8::try_from((over + 1) * 100 / (101 - from)).unwrap_or(100),
        }
    }
}

impl Default for OverloadConfig {
    fn default() -> Self {
        Self { from_percent: default_overload_from(), validity_s: default_overload_validity_s() }
    }
}

fn default_overload_from() -> u8 {
    90
}

fn default_overload_validity_s() -> u32 {
    60
}

/// How packets move.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DataPathKind {
    /// UDP sockets and TUN devices of the kernel.
    #[default]
    Kernel,
    /// Ports of DPDK, which `n3.link` and the `link` of each network name. `tern` must be built with the
    /// feature `dpdk`.
    Dpdk,
    /// Not at all: PFCP alone, for simulations.
    None,
}

/// What finds the rule for a packet. All find the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClassifierKind {
    /// What is fastest for the number of rules.
    #[default]
    Hybrid,
    /// Trees over rules that an order of fields sorts.
    PartitionSort,
    /// A hash table for each combination of masks.
    TupleSpaceSearch,
    /// The list in precedence order of TS 29.244 §5.2.1.
    LinkedList,
}

/// The least MTU of a link for IPv6 (RFC 8200 §5).
const IPV6_MTU_MIN: u16 = 1_280;
/// The longest queue of a TUN device: the kernel has room for as many places at once.
pub const QUEUE_PACKETS_MAX: u32 = 1 << 20;
/// A receive buffer that holds a burst.
pub const RECEIVE_BUFFER_MIN: usize = 64 << 10;
/// The kernel doubles it, and counts it in 31 bits.
pub const RECEIVE_BUFFER_MAX: usize = 512 << 20;
/// The most worker threads.
pub const WORKERS_MAX: usize = 64;

impl Sample for Config {
    const SAMPLE: &'static str = include_str!("../sample.yaml");
}

impl Config {
    /// What no type can say.
    pub fn validate(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            (1..=WORKERS_MAX).contains(&self.workers),
            "workers: expected 1 to {WORKERS_MAX}, got {}",
            self.workers
        );
        anyhow::ensure!(!self.n6.is_empty(), "n6: expected at least one data network");
        for address in self.n9.iter().flat_map(|n9| n9.address.all()) {
            anyhow::ensure!(
                !address.is_unspecified() && self.n3.address.like(address) != Some(address),
                "n9.address: expected an address of a host, and another than that of N3, got {address}"
            );
        }
        for address in self.n3_advertised().all() {
            anyhow::ensure!(
                !address.is_unspecified(),
                "n3.address: {address} needs n3.advertise, the address that gNBs send to"
            );
            anyhow::ensure!(
                self.n3.address.like(address).is_some(),
                "n3.advertise: expected no {address}, since n3.address has none of its version"
            );
        }
        for (qfi, dscp) in &self.n3.dscp {
            anyhow::ensure!(
                *qfi < 64 && *dscp < 64,
                "n3.dscp: expected a QFI and a DSCP of 0 to 63, got {qfi}: {dscp}"
            );
        }
        anyhow::ensure!(
            !self.n4.address.is_unspecified(),
            "n4.address: expected the address that SMFs send to, got the wildcard"
        );
        anyhow::ensure!(
            (RECEIVE_BUFFER_MIN..=RECEIVE_BUFFER_MAX).contains(&self.n3.receive_buffer_bytes),
            "n3.receive_buffer_bytes: expected {RECEIVE_BUFFER_MIN} to {RECEIVE_BUFFER_MAX}, got {}",
            self.n3.receive_buffer_bytes
        );
        anyhow::ensure!(self.reports_max > 0, "reports_max: expected 1 at least");
        for network in &self.n6 {
            anyhow::ensure!(
                (1..=15).contains(&network.tun.len()),
                "n6.tun: expected 1 to 15 characters, got {:?}",
                network.tun
            );
            anyhow::ensure!(
                (1..=QUEUE_PACKETS_MAX).contains(&network.queue_packets),
                "n6.queue_packets: expected 1 to {QUEUE_PACKETS_MAX}, got {}",
                network.queue_packets
            );
            anyhow::ensure!(network.mtu >= 576, "n6.mtu: expected at least 576, got {}", network.mtu);
            anyhow::ensure!(
                network.ipv6.is_none() || network.mtu >= IPV6_MTU_MIN,
                "n6.mtu: expected at least {IPV6_MTU_MIN} with n6.ipv6, got {}",
                network.mtu
            );
        }
        anyhow::ensure!(
            (1..=100).contains(&self.overload.from_percent) && (2..=3600).contains(&self.overload.validity_s),
            "overload: expected from_percent of 1 to 100 and validity_s of 2 to 3600, got {} and {}",
            self.overload.from_percent,
            self.overload.validity_s
        );
        names::validate(self)?;
        if self.data_path == DataPathKind::Dpdk { self.validate_links() } else { Ok(()) }
    }

    /// What DPDK's ports need.
    fn validate_links(&self) -> anyhow::Result<()> {
        use anyhow::Context as _;
        let needed = "expected the port that `data_path: dpdk` uses";
        let mut links = Vec::new();
        let n9 = self.n9.iter().map(|n9| ("n9", n9.address, &n9.link));
        for (field, ours, link) in std::iter::once(("n3", self.n3.address, &self.n3.link)).chain(n9) {
            let link = link.as_ref().with_context(|| format!("{field}.link: {needed}"))?;
            anyhow::ensure!(
                link.address.map(|prefix| prefix.address) == ours.ipv4,
                "{field}.link.address: expected the IPv4 address of {field}.address ({ours})"
            );
            anyhow::ensure!(
                link.ipv6.map(|prefix| prefix.address) == ours.ipv6,
                "{field}.link.ipv6: expected the IPv6 address of {field}.address ({ours})"
            );
            links.push((if field == "n3" { "n3.link" } else { "n9.link" }, link));
        }
        for network in &self.n6 {
            let link =
                network.link.as_ref().with_context(|| format!("n6.link of {}: {needed}", network.dnn))?;
            anyhow::ensure!(
                network.ipv6.is_none() || link.ipv6.is_some(),
                "n6.link of {}: ipv6: expected our address on it, since UEs have n6.ipv6",
                network.dnn
            );
            links.push(("n6.link", link));
        }
        for (at, (field, link)) in links.iter().enumerate() {
            link.validate().with_context(|| format!("{field} ({})", link.device))?;
            let alike = |other: &LinkConfig| (other.port(), other.vlan) == (link.port(), link.vlan);
            let other = links[..at].iter().find(|(_, other)| alike(other) && other != link);
            anyhow::ensure!(
                other.is_none(),
                "{field}: the port {} and its VLAN are another link's too, and those must be alike",
                link.port()
            );
        }
        Ok(())
    }

    /// Room for packets that wait.
    pub(crate) fn buffers(&self) -> Buffers {
        let of_session = Room { packets: self.buffer_packets_max, octets: self.buffer_bytes_max };
        let of_all = Room { packets: self.buffer_packets_max_total, octets: self.buffer_bytes_max_total };
        Buffers::new(of_session, of_all)
    }

    /// The addresses that gNBs send to.
    pub fn n3_advertised(&self) -> Addresses {
        self.n3.advertise.map_or(self.n3.address, |advertised| advertised.or(self.n3.address))
    }

    /// The addresses of tunnels, as peers see them.
    pub(crate) fn tunnel_ends(&self) -> TunnelEnds {
        TunnelEnds { n3: self.n3_advertised(), n9: self.n9.as_ref().map(|n9| n9.address) }
    }

    /// Where N3 and N9 are bound, each once or twice.
    pub(crate) fn tunnels_at(&self) -> Vec<(SocketAddr, ReferencePoint)> {
        let at = |addresses: Addresses, interface| {
            addresses.all().map(move |address| (SocketAddr::new(address, self.n3.port), interface))
        };
        let n9 = self.n9.iter().flat_map(|n9| at(n9.address, ReferencePoint::N9));
        at(self.n3.address, ReferencePoint::N3).chain(n9).collect()
    }

    /// Where N4 is bound.
    pub fn n4_at(&self) -> SocketAddr {
        SocketAddr::new(self.n4.address, self.n4.port)
    }
}

impl Default for DpdkConfig {
    fn default() -> Self {
        Self {
            memory: MemoryKind::default(),
            memory_mib: default_memory_mib(),
            buffers: default_buffers(),
            idle_sleep_us: default_idle_sleep_us(),
        }
    }
}

impl Default for Config {
    /// On one machine, as `tern up` starts it.
    fn default() -> Self {
        Self {
            sbi: default_sbi(),
            n4: N4Config::default(),
            n3: N3Config::default(),
            n9: None,
            n6: default_n6(),
            slices: default_slices(),
            data_path: DataPathKind::default(),
            dpdk: DpdkConfig::default(),
            workers: default_workers(),
            sessions_max: default_sessions_max(),
            classifier: ClassifierKind::default(),
            predefined_rules: Vec::new(),
            applications: Vec::new(),
            pfd: PfdConfig::default(),
            overload: OverloadConfig::default(),
            buffer_packets_max: default_buffer_packets_max(),
            buffer_bytes_max: default_buffer_bytes_max(),
            buffer_packets_max_total: default_buffer_packets_max_total(),
            buffer_bytes_max_total: default_buffer_bytes_max_total(),
            reports_max: default_reports_max(),
        }
    }
}

impl Default for N4Config {
    fn default() -> Self {
        Self {
            address: default_address(),
            port: default_n4_port(),
            smfs: Vec::new(),
            heartbeat_interval_s: default_heartbeat_interval_s(),
            retention_s: default_retention_s(),
        }
    }
}

impl Default for N3Config {
    fn default() -> Self {
        Self {
            address: default_n3_address(),
            port: default_n3_port(),
            advertise: None,
            dscp: BTreeMap::new(),
            dscp_from_inner: false,
            link: None,
            error_indications_after_s: default_error_indications_after_s(),
            receive_buffer_bytes: default_receive_buffer_bytes(),
        }
    }
}

impl N3Config {
    /// How long after the start there is no error indication.
    pub fn error_indications_after(&self) -> std::time::Duration {
        std::time::Duration::from_secs(self.error_indications_after_s.into())
    }
}

impl Default for N6Config {
    fn default() -> Self {
        Self {
            dnn: default_dnn(),
            tun: default_tun(),
            address: default_pool(),
            ipv6: None,
            mtu: default_mtu(),
            queue_packets: default_queue_packets(),
            link: None,
        }
    }
}

const LOOPBACK: u8 = 18;

fn default_sbi() -> SbiConfig {
    SbiConfig::loopback(LOOPBACK)
}

fn default_address() -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, LOOPBACK))
}

fn default_n3_address() -> Addresses {
    Addresses::one(default_address())
}

fn default_n4_port() -> u16 {
    tern_pfcp::PORT
}

fn default_n3_port() -> u16 {
    tern_gtpu::PORT
}

fn default_error_indications_after_s() -> u32 {
    10
}

fn default_n6() -> Vec<N6Config> {
    let ims = N6Config {
        dnn: "ims".parse().expect("invariant: a literal DNN"),
        tun: "tern-n6-ims".to_owned(),
        address: Ipv4Prefix { address: Ipv4Addr::new(10, 46, 0, 1), length: 16 },
        ..N6Config::default()
    };
    vec![N6Config::default(), ims]
}

fn default_dnn() -> Dnn {
    "internet".parse().expect("invariant: a literal DNN")
}

fn default_tun() -> String {
    "tern-n6".to_owned()
}

fn default_pool() -> Ipv4Prefix {
    Ipv4Prefix { address: Ipv4Addr::new(10, 45, 0, 1), length: 16 }
}

fn default_mtu() -> u16 {
    1400
}

fn default_queue_packets() -> u32 {
    8_192
}

fn default_memory_mib() -> u32 {
    256
}

fn default_buffers() -> u32 {
    16_384
}

fn default_idle_sleep_us() -> u32 {
    50
}

fn default_slices() -> Vec<Snssai> {
    vec![Snssai::new(1, None)]
}

fn default_workers() -> usize {
    2
}

fn default_sessions_max() -> usize {
    65_536
}

fn default_buffer_packets_max() -> usize {
    64
}

fn default_buffer_bytes_max() -> usize {
    128 << 10
}

fn default_buffer_packets_max_total() -> usize {
    65_536
}

fn default_buffer_bytes_max_total() -> usize {
    64 << 20
}

fn default_reports_max() -> usize {
    4_096
}

fn default_receive_buffer_bytes() -> usize {
    16 << 20
}

fn default_heartbeat_interval_s() -> u32 {
    10
}

fn default_retention_s() -> u32 {
    600
}
