//! The one small file from which `tern up` makes the configuration of every network function.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use tern_config::Sample;
use tern_crypto::{CipheringAlgorithm, IntegrityAlgorithm};
use tern_nf::{Codec, Connections, SbiConfig, TransportChoice};
use tern_types::{Dnn, Ipv4Network, Ipv4Prefix, Ipv6Network, Ipv6Prefix, PlmnId, Snssai, Tac};

/// Stands in `n6` for a core without user data, which needs no privilege.
pub const NO_DATA_PATH: &str = "none";

/// A whole core on one machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CoreConfig {
    /// The network.
    pub plmn: Text<PlmnId>,
    /// Tracking areas.
    #[serde(deserialize_with = "one_or_many")]
    pub tac: Vec<Tac>,
    /// Slices.
    pub slices: Vec<Text<Snssai>>,
    /// Data networks.
    pub dnns: Vec<DataNetwork>,
    /// The address that gNBs connect to.
    pub n2: IpAddr,
    /// SCTP backend.
    pub sctp: tern_sctp::SctpMode,
    /// The address that gNBs send GTP-U to, or one of IPv4 and one of IPv6.
    pub n3: tern_upf::Addresses,
    /// Where the UPF brings router solicitations of UEs with IPv6, an address of this machine that it reaches from N3;
    /// the SMF's own if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smf_gtpu: Option<IpAddr>,
    /// TUN device towards the data network; [`NO_DATA_PATH`] leaves user data out.
    pub n6: String,
    /// Ports of DPDK for user data, in the place of sockets and the TUN device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dpdk: Option<DpdkPorts>,
    /// Worker threads of the UPF.
    pub upf_workers: usize,
    /// PDU session establishments that the AMF has in progress at the same time.
    pub sessions_establishing_max: NonZeroUsize,
    /// Where subscribers and other state are kept.
    pub data: PathBuf,
    /// Ciphering algorithms, the preferred one first.
    pub ciphering: Vec<CipheringAlgorithm>,
    /// Integrity algorithms, the preferred one first.
    pub integrity: Vec<IntegrityAlgorithm>,
    /// Private keys for SUCIs of profile A and B.
    pub home_network_keys: Vec<tern_udm::HomeNetworkKey>,
    /// Whether a SUPI may come in clear (null scheme).
    pub null_scheme: bool,
    /// What an acknowledged write survives.
    pub durability: tern_store::Durability,
    /// What the SBI travels by.
    pub sbi: TransportChoice,
    /// What it speaks through shared memory.
    pub sbi_codec: Codec,
    /// Whose its connections through shared memory are.
    pub sbi_connections: Connections,
    /// Where what goes through shared memory is kept for captures.
    pub sbi_tap: Option<PathBuf>,
    /// The PCF's policies.
    #[serde(skip_serializing_if = "Policies::is_empty")]
    pub policies: Policies,
    /// The last octet of the first SBI address: the NRF is at 127.0.0.`sbi_base`, the others follow.
    pub sbi_base: u8,
}

/// The UPF's ports of DPDK.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DpdkPorts {
    /// Towards the gNBs; its address is `n3`.
    pub n3: tern_upf::LinkConfig,
    /// Towards all data networks.
    pub n6: tern_upf::LinkConfig,
    /// Memory, buffers, idle workers.
    #[serde(default)]
    pub options: tern_upf::DpdkConfig,
}

/// The operator's policies, as `pcf.yaml` has them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policies {
    /// Access and mobility policies; the first that fits decides.
    pub access: Vec<tern_pcf::config::AccessPolicy>,
    /// Session policies; the first that fits decides.
    pub sessions: Vec<tern_pcf::config::SessionPolicy>,
}

impl Policies {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A data network, the same in every slice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataNetwork {
    /// Its name.
    pub name: Dnn,
    /// Addresses of the UEs.
    pub pool: Ipv4Network,
    /// Prefixes of the UEs, if they may have IPv6: a /64 of it for each session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<Ipv6Network>,
    /// DNS servers told to UEs, each by the version of IP that it has.
    #[serde(default = "default_dns")]
    pub dns: Vec<IpAddr>,
    /// Link MTU told to UEs.
    #[serde(default = "default_mtu")]
    pub mtu: u16,
}

impl DataNetwork {
    fn new(name: &str, second_octet: u8) -> Self {
        let pool = Ipv4Network::new(Ipv4Addr::new(10, second_octet, 0, 0), 16);
        Self {
            name: Dnn::new(name).expect("invariant: a label"),
            pool: pool.expect("invariant: a network"),
            ipv6: None,
            dns: default_dns(),
            mtu: default_mtu(),
        }
    }

    /// The UPF's own address with the pool's prefix.
    pub fn gateway(&self) -> Ipv4Prefix {
        self.pool.with(self.pool.first_host())
    }

    /// The UPF's own IPv6 address with the prefix of all UEs'.
    pub fn gateway_ipv6(&self) -> Option<Ipv6Prefix> {
        self.ipv6.map(|ipv6| ipv6.with(ipv6.first_host()))
    }
}

impl Default for CoreConfig {
    fn default() -> Self {
        use CipheringAlgorithm::{Nea0, Nea1, Nea2, Nea3};
        use IntegrityAlgorithm::{Nia1, Nia2, Nia3};
        Self {
            plmn: Text(PlmnId::new("001", "01").expect("invariant: digits")),
            tac: vec![Tac::new(1).expect("invariant: 24 bits")],
            slices: vec![Text(Snssai::new(1, None))],
            dnns: vec![DataNetwork::new("internet", 45), DataNetwork::new("ims", 46)],
            n2: Ipv4Addr::new(127, 0, 0, 16).into(),
            sctp: tern_sctp::SctpMode::Auto,
            n3: Ipv4Addr::new(127, 0, 0, 18).into(),
            smf_gtpu: None,
            n6: "tern-n6".to_owned(),
            dpdk: None,
            upf_workers: 2,
            sessions_establishing_max: NonZeroUsize::new(tern_amf::Limits::default().sessions_establishing)
                .expect("invariant: the AMF's default establishes sessions"),
            data: PathBuf::from("tern-data"),
            ciphering: vec![Nea2, Nea1, Nea3, Nea0],
            integrity: vec![Nia2, Nia1, Nia3],
            home_network_keys: Vec::new(),
            null_scheme: true,
            durability: tern_store::Durability::Process,
            sbi: TransportChoice::Auto,
            sbi_codec: Codec::Auto,
            sbi_connections: Connections::Multiplexed,
            sbi_tap: None,
            policies: Policies::default(),
            sbi_base: 10,
        }
    }
}

impl Sample for CoreConfig {
    const SAMPLE: &'static str = include_str!("core.yaml");
}

/// Network functions in the order in which they start; they stop in the reverse order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nf {
    /// NF Repository Function.
    Nrf,
    /// Unified Data Repository.
    Udr,
    /// Unified Data Management.
    Udm,
    /// Authentication Server Function.
    Ausf,
    /// Policy Control Function.
    Pcf,
    /// Network Slice Selection Function.
    Nssf,
    /// User Plane Function.
    Upf,
    /// Session Management Function.
    Smf,
    /// Access and Mobility Management Function.
    Amf,
}

impl Nf {
    /// All of them.
    pub const ALL: [Self; 9] =
        [Self::Nrf, Self::Udr, Self::Udm, Self::Ausf, Self::Pcf, Self::Nssf, Self::Upf, Self::Smf, Self::Amf];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nrf => "nrf",
            Self::Udr => "udr",
            Self::Udm => "udm",
            Self::Ausf => "ausf",
            Self::Pcf => "pcf",
            Self::Nssf => "nssf",
            Self::Upf => "upf",
            Self::Smf => "smf",
            Self::Amf => "amf",
        }
    }

    /// Its place behind `sbi_base`.
    fn offset(self) -> u8 {
        match self {
            Self::Nrf => 0,
            Self::Udr => 1,
            Self::Udm => 2,
            Self::Ausf => 3,
            Self::Pcf => 4,
            Self::Nssf => 5,
            Self::Amf => 6,
            Self::Smf => 7,
            Self::Upf => 8,
        }
    }
}

impl CoreConfig {
    /// The address of a network function on this machine.
    pub fn address(&self, nf: Nf) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(127, 0, 0, self.sbi_base.saturating_add(nf.offset())))
    }

    /// The SBI of a network function.
    pub fn sbi(&self, nf: Nf) -> SbiConfig {
        let nrf = (nf != Nf::Nrf).then(|| self.sbi(Nf::Nrf).api_root());
        SbiConfig {
            address: self.address(nf),
            nrf,
            transport: self.sbi,
            codec: self.sbi_codec,
            connections: self.sbi_connections,
            manager: Some(self.manager()),
            tap: self.sbi_tap.clone(),
            ..SbiConfig::loopback(0)
        }
    }

    /// The socket of the manager of shared memory.
    pub fn manager(&self) -> String {
        tern_nf::manager_of(&format!("{}:{}", self.address(Nf::Nrf), tern_nf::SBI_PORT))
    }

    /// Whether network functions may use shared memory.
    pub fn has_shared_memory(&self) -> bool {
        self.sbi != TransportChoice::Tcp
    }

    /// The local socket between AMF and N2 termination.
    pub fn n2_bridge(&self) -> PathBuf {
        self.data.join("n2.sock")
    }

    /// The store of a network function.
    pub fn store(&self, nf: Nf) -> PathBuf {
        self.data.join(format!("{}.redb", nf.name()))
    }

    /// Whether user data are carried.
    pub fn has_data_path(&self) -> bool {
        self.n6 != NO_DATA_PATH
    }

    /// Reads `path`, or takes the defaults.
    pub fn load(path: Option<&Path>) -> anyhow::Result<Self> {
        Ok(match path {
            Some(path) => tern_config::load(path)?,
            None => Self::default(),
        })
    }
}

/// A value that stands in the file as the text that its type prints and reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text<T>(pub T);

impl<T: fmt::Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(de::Error::custom)
    }
}

/// `tac: "000001"` as well as a list of them.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Tac>, D::Error> {
    struct Areas;
    impl<'de> de::Visitor<'de> for Areas {
        type Value = Vec<Tac>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a TAC of 6 hexadecimal digits in quotes, or a list of them")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            text.parse().map(|tac| vec![tac]).map_err(E::custom)
        }

        fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            let mut areas = Vec::new();
            while let Some(tac) = items.next_element()? {
                areas.push(tac);
            }
            Ok(areas)
        }
    }
    deserializer.deserialize_any(Areas)
}

fn default_dns() -> Vec<IpAddr> {
    vec![Ipv4Addr::new(1, 1, 1, 1).into(), Ipv4Addr::new(8, 8, 8, 8).into()]
}

fn default_mtu() -> u16 {
    1400
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_a_whole_core() {
        let config = CoreConfig::sample().unwrap();
        assert_eq!(config, CoreConfig::default());
        assert_eq!(config.plmn.0.to_string(), "001-01");
        assert_eq!(config.sbi(Nf::Amf).api_root(), "http://127.0.0.16:8080");
        assert_eq!(config.sbi(Nf::Nrf).nrf, None);
    }

    #[test]
    fn a_small_file_changes_what_it_names() {
        let config: CoreConfig =
            tern_config::parse("core.yaml", "plmn: 310-410\ntac: [\"000002\"]\n").unwrap();
        assert_eq!(config.plmn.0.mnc(), "410");
        assert_eq!(config.tac, ["000002".parse().unwrap()]);
        assert_eq!(config.slices.len(), 1);
    }

    #[test]
    fn a_core_that_establishes_no_session_is_refused() {
        let error = tern_config::parse::<CoreConfig>("core.yaml", "sessions_establishing_max: 0\n");
        assert!(error.unwrap_err().to_string().contains("sessions_establishing_max"));
    }

    #[test]
    fn what_is_wrong_names_file_line_field_and_expectation() {
        let error = tern_config::parse::<CoreConfig>("core.yaml", "plmn: 00101\n").unwrap_err().to_string();
        for part in ["core.yaml:1:", "plmn", "MCC-MNC"] {
            assert!(error.contains(part), "{error}");
        }
    }
}
