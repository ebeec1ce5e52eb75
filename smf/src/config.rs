//! Configuration of the SMF.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};
use tern_config::Sample;
use tern_types::{Dnn, Ipv4Network, PlmnId, Snssai};

/// `smf.yaml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the services are offered, and the NRF.
    pub sbi: tern_nf::SbiConfig,
    /// The networks that are served.
    pub plmns: Vec<PlmnId>,
    /// N4: the address that PFCP is spoken from.
    pub n4: N4Config,
    /// Data networks, one entry for each DNN and slice.
    pub data_networks: Vec<DataNetwork>,
    /// UPFs that are known beforehand; others are found at the NRF.
    pub upfs: Vec<UpfConfig>,
    /// Whether UPFs registered at the NRF are used too.
    pub discover_upfs: bool,
    /// Bounds.
    pub limits: Limits,
    /// Timers.
    pub timers: Timers,
}

impl Sample for Config {
    const SAMPLE: &'static str = include_str!("../smf.yaml");
}

impl Default for Config {
    fn default() -> Self {
        Self {
            sbi: tern_nf::SbiConfig::loopback(17),
            plmns: vec![PlmnId::new("001", "01").expect("invariant: digits")],
            n4: N4Config::default(),
            data_networks: vec![default_data_network("internet", 45), default_data_network("ims", 46)],
            upfs: Vec::new(),
            discover_upfs: true,
            limits: Limits::default(),
            timers: Timers::default(),
        }
    }
}

/// N4.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct N4Config {
    /// Own address.
    pub address: IpAddr,
    /// Own port (TS 29.244 §4.2.2: 8805).
    pub port: u16,
    /// Seconds without a message of a UPF until it gets a heartbeat request; what a restart of a UPF has
    /// lost is restored when the answer shows it.
    pub heartbeat_interval_s: u32,
}

impl Default for N4Config {
    fn default() -> Self {
        Self { address: Ipv4Addr::new(127, 0, 0, 17).into(), port: tern_pfcp::PORT, heartbeat_interval_s: 2 }
    }
}

/// What a session to one DNN in one slice is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataNetwork {
    /// The name.
    pub dnn: Dnn,
    /// The slice.
    #[serde(default = "default_snssai")]
    pub snssai: Snssai,
    /// Addresses of the UEs. Entries with the same pool share it.
    pub pool: Ipv4Network,
    /// The UPF's own address in the pool, never given away; the pool's first if absent.
    #[serde(default)]
    pub gateway: Option<Ipv4Addr>,
    /// Ranges, both ends included, that only subscribers' static addresses come from.
    #[serde(default)]
    pub reserved: Vec<(Ipv4Addr, Ipv4Addr)>,
    /// DNS servers, told to a UE that asks for them.
    #[serde(default)]
    pub dns: Vec<Ipv4Addr>,
    /// P-CSCFs, told to a UE that asks for them.
    #[serde(default)]
    pub p_cscf: Vec<Ipv4Addr>,
    /// IPv4 link MTU in octets, told to a UE that asks for it: N3's MTU less the GTP-U headers.
    #[serde(default = "default_mtu")]
    pub mtu: u16,
    /// Whether a UE's request for an always-on session is granted.
    #[serde(default)]
    pub always_on: bool,
}

impl DataNetwork {
    /// The UPF's own address in the pool.
    pub fn gateway(&self) -> Ipv4Addr {
        self.gateway.unwrap_or_else(|| self.pool.first_host())
    }
}

/// A UPF.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpfConfig {
    /// Its N4 address.
    pub address: IpAddr,
    /// Its N4 port.
    #[serde(default = "default_pfcp_port")]
    pub port: u16,
    /// What it serves; everything if empty.
    #[serde(default)]
    pub serves: Vec<Served>,
}

impl UpfConfig {
    /// Its N4 endpoint.
    pub fn endpoint(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.port)
    }
}

/// A DNN in a slice.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Served {
    /// The name.
    pub dnn: Dnn,
    /// The slice.
    #[serde(default = "default_snssai")]
    pub snssai: Snssai,
}

/// Bounds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// SM contexts at once; the next is refused with 5GSM cause #26.
    pub sessions_max: usize,
    /// UPFs at once, configured and discovered.
    pub upfs_max: usize,
    /// Requests that wait for the core; the next is refused with 503.
    pub queue_max: usize,
    /// PCC rules of one session that are enforced; more are refused.
    pub rules_per_session_max: usize,
    /// Sessions that are restored at one UPF at the same time.
    pub restorations_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions_max: 1_000_000,
            upfs_max: 64,
            queue_max: 4096,
            rules_per_session_max: 16,
            restorations_max: 64,
        }
    }
}

/// Timers that no specification fixes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timers {
    /// How long the access network may take to answer an N2 request, in seconds.
    pub an_response_s: u64,
    /// How often UPFs are looked for at the NRF, in seconds.
    pub discovery_s: u64,
    /// How often the UPF reports a session's volume, in seconds; 0 for never.
    pub usage_report_s: u32,
    /// How long packets for a UE that cannot be reached are dropped, in seconds; the next one then has the
    /// UE paged again.
    pub unreachable_s: u64,
    /// How long the sessions of a UPF that is gone wait for its return, in seconds; then the UEs are told
    /// to establish them again.
    pub upf_return_s: u64,
}

impl Default for Timers {
    fn default() -> Self {
        Self { an_response_s: 20, discovery_s: 10, usage_report_s: 0, unreachable_s: 10, upf_return_s: 10 }
    }
}

impl Config {
    /// What cannot be served as written: the field and why.
    pub fn check(&self) -> Result<(), String> {
        if self.data_networks.is_empty() {
            return Err("data_networks: at least one is needed".to_owned());
        }
        for (index, network) in self.data_networks.iter().enumerate() {
            if !network.pool.contains(network.gateway()) {
                return Err(format!("data_networks[{index}].gateway: not within {}", network.pool));
            }
            if !(576..=9000).contains(&network.mtu) {
                return Err(format!(
                    "data_networks[{index}].mtu: 576 to 9000 expected, {} found",
                    network.mtu
                ));
            }
            let same = |other: &DataNetwork| other.dnn == network.dnn && other.snssai == network.snssai;
            if self.data_networks[..index].iter().any(same) {
                return Err(format!(
                    "data_networks[{index}]: {} in slice {} is there twice",
                    network.dnn, network.snssai
                ));
            }
            let shared = |other: &DataNetwork| {
                other.pool == network.pool
                    && other.gateway() == network.gateway()
                    && other.reserved == network.reserved
            };
            let clash = |other: &&DataNetwork| other.pool.overlaps(network.pool) && !shared(other);
            if let Some(other) = self.data_networks[..index].iter().find(clash) {
                return Err(format!(
                    "data_networks[{index}].pool: {} overlaps the pool of {} in slice {}; one that is shared \
                     is the same in pool, gateway and reserved",
                    network.pool, other.dnn, other.snssai
                ));
            }
        }
        if self.upfs.len() > self.limits.upfs_max {
            return Err(format!("upfs: at most {} (limits.upfs_max)", self.limits.upfs_max));
        }
        Ok(())
    }
}

fn default_snssai() -> Snssai {
    Snssai::new(1, None)
}

fn default_mtu() -> u16 {
    1400
}

fn default_pfcp_port() -> u16 {
    tern_pfcp::PORT
}

fn default_data_network(dnn: &str, second_octet: u8) -> DataNetwork {
    DataNetwork {
        dnn: Dnn::new(dnn).expect("invariant: a label"),
        snssai: default_snssai(),
        pool: Ipv4Network::new(Ipv4Addr::new(10, second_octet, 0, 0), 16).expect("invariant: a network"),
        gateway: None,
        reserved: Vec::new(),
        dns: vec![Ipv4Addr::new(1, 1, 1, 1), Ipv4Addr::new(8, 8, 8, 8)],
        p_cscf: Vec::new(),
        mtu: default_mtu(),
        always_on: false,
    }
}
