//! Configuration of the SMF.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::{Deserialize, Serialize};
use tern_config::Sample;
use tern_types::{Dnn, Ipv4Network, Ipv6Network, PlmnId, Snssai};

use crate::ndp;

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
    /// Where UPFs send what UEs say to the router of their IPv6 links, by GTP-U; the address of PFCP if absent. UPFs
    /// must reach it from N3. Nothing listens there if no data network has IPv6.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gtpu: Option<IpAddr>,
    /// Seconds without a message of a UPF until it gets a heartbeat request; what a restart of a UPF has
    /// lost is restored when the answer shows it.
    pub heartbeat_interval_s: u32,
}

impl N4Config {
    /// Where GTP-U is spoken from.
    pub fn gtpu_address(&self) -> IpAddr {
        self.gtpu.unwrap_or(self.address)
    }
}

impl Default for N4Config {
    fn default() -> Self {
        let address = Ipv4Addr::new(127, 0, 0, 17).into();
        Self { address, port: tern_pfcp::PORT, gtpu: None, heartbeat_interval_s: 2 }
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
    /// IPv4 addresses of the UEs. Entries with the same pool share it. Without it there is IPv6 alone.
    #[serde(default)]
    pub pool: Option<Ipv4Network>,
    /// The UPF's own address in the pool, never given away; the pool's first if absent.
    #[serde(default)]
    pub gateway: Option<Ipv4Addr>,
    /// Ranges, both ends included, that only subscribers' static addresses come from.
    #[serde(default)]
    pub reserved: Vec<(Ipv4Addr, Ipv4Addr)>,
    /// IPv6 prefixes of the UEs; without it there is IPv4 alone.
    #[serde(default)]
    pub ipv6: Option<Ipv6Config>,
    /// DNS servers, told to a UE that asks for those of their version of IP.
    #[serde(default)]
    pub dns: Vec<IpAddr>,
    /// P-CSCFs, told to a UE that asks for those of their version of IP.
    #[serde(default)]
    pub p_cscf: Vec<IpAddr>,
    /// Link MTU in octets, told to a UE that asks for it and advertised on IPv6 links: N3's MTU less the GTP-U headers.
    #[serde(default = "default_mtu")]
    pub mtu: u16,
    /// Whether a UE's request for an always-on session is granted.
    #[serde(default)]
    pub always_on: bool,
}

impl DataNetwork {
    /// The UPF's own address in the pool.
    pub fn gateway(&self) -> Option<Ipv4Addr> {
        self.gateway.or_else(|| self.pool.map(Ipv4Network::first_host))
    }

    /// The pool of prefixes.
    pub fn prefixes(&self) -> Option<Ipv6Network> {
        self.ipv6.as_ref().map(|ipv6| ipv6.pool)
    }

    /// What of it cannot be: the field and why.
    fn check(&self) -> Result<(), (&'static str, String)> {
        if self.pool.is_none() && self.ipv6.is_none() {
            return Err(("", "a pool or ipv6 is needed, or both".to_owned()));
        }
        let least = if self.ipv6.is_some() { ndp::MTU_MIN } else { 576 };
        if !(least..=9000).contains(&self.mtu) {
            return Err((".mtu", format!("{least} to 9000 expected, {} found", self.mtu)));
        }
        if let Some(gateway) = self.gateway
            && !self.pool.is_some_and(|pool| pool.contains(gateway))
        {
            return Err((".gateway", format!("{gateway} is not within the pool")));
        }
        let is_within = |&(first, last): &(Ipv4Addr, Ipv4Addr)| {
            first <= last && self.pool.is_some_and(|pool| pool.contains(first) && pool.contains(last))
        };
        if !self.reserved.iter().all(is_within) {
            return Err((
                ".reserved",
                "first and last address of ranges within the pool expected".to_owned(),
            ));
        }
        let Some(ipv6) = &self.ipv6 else { return Ok(()) };
        if !ipv6.pool.contains(ipv6.gateway()) {
            return Err((".ipv6.gateway", format!("{} is not within {}", ipv6.gateway(), ipv6.pool)));
        }
        let is_within = |&(first, last): &(Ipv6Addr, Ipv6Addr)| {
            first <= last && ipv6.pool.contains(first) && ipv6.pool.contains(last)
        };
        if !ipv6.reserved.iter().all(is_within) {
            let expected = format!("first and last prefix of ranges within {} expected", ipv6.pool);
            return Err((".ipv6.reserved", expected));
        }
        Ok(())
    }

    /// Whether its pools are another one's, or share nothing with them; else which of them does.
    fn check_beside(&self, other: &Self) -> Result<(), (&'static str, String)> {
        let clash = |pool: String| {
            let (dnn, snssai) = (&other.dnn, other.snssai);
            format!(
                "{pool} overlaps the pool of {dnn} in slice {snssai}; one that is shared is the same in pool, \
                 gateway and reserved"
            )
        };
        if let (Some(own), Some(theirs)) = (self.pool, other.pool) {
            let same = own == theirs && self.gateway() == other.gateway() && self.reserved == other.reserved;
            if own.overlaps(theirs) && !same {
                return Err((".pool", clash(own.to_string())));
            }
        }
        if let (Some(own), Some(theirs)) = (&self.ipv6, &other.ipv6) {
            let same = own.pool == theirs.pool
                && own.gateway() == theirs.gateway()
                && own.reserved == theirs.reserved;
            if own.pool.overlaps(theirs.pool) && !same {
                return Err((".ipv6.pool", clash(own.pool.to_string())));
            }
        }
        Ok(())
    }
}

/// IPv6 of a data network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ipv6Config {
    /// Each session gets a prefix of 64 bits of it. Entries with the same pool share it.
    pub pool: Ipv6Network,
    /// The UPF's own address in the pool, whose prefix is never given away; the pool's first if absent.
    #[serde(default)]
    pub gateway: Option<Ipv6Addr>,
    /// Ranges of prefixes, both ends included, that only subscribers' static ones come from.
    #[serde(default)]
    pub reserved: Vec<(Ipv6Addr, Ipv6Addr)>,
}

impl Ipv6Config {
    /// The UPF's own address in the pool.
    pub fn gateway(&self) -> Ipv6Addr {
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
            let at = |(field, why): (&str, String)| format!("data_networks[{index}]{field}: {why}");
            network.check().map_err(at)?;
            let same = |other: &DataNetwork| other.dnn == network.dnn && other.snssai == network.snssai;
            if self.data_networks[..index].iter().any(same) {
                return Err(format!(
                    "data_networks[{index}]: {} in slice {} is there twice",
                    network.dnn, network.snssai
                ));
            }
            self.data_networks[..index]
                .iter()
                .try_for_each(|other| network.check_beside(other))
                .map_err(at)?;
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
        pool: Ipv4Network::new(Ipv4Addr::new(10, second_octet, 0, 0), 16),
        gateway: None,
        reserved: Vec::new(),
        ipv6: None,
        dns: vec![Ipv4Addr::new(1, 1, 1, 1).into(), Ipv4Addr::new(8, 8, 8, 8).into()],
        p_cscf: Vec::new(),
        mtu: default_mtu(),
        always_on: false,
    }
}
