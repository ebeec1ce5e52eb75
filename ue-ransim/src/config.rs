//! The simulator's configuration: one small YAML file, or a value built by a program.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};
use tern_types::{Dnn, PlmnId, Snssai, Supi, Tac};

use crate::ue::Trick;

/// gNBs of one run.
pub const GNBS_MAX: u32 = 1024;
/// UEs of one run.
pub const UES_MAX: u32 = 1_000_000;

/// What is simulated.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The network.
    #[serde(deserialize_with = "from_text")]
    pub plmn: PlmnId,
    /// The tracking area of every gNB.
    pub tac: Tac,
    /// Slices of every gNB.
    pub slices: Vec<Snssai>,
    /// The AMF's N2 addresses, with or without port.
    #[serde(deserialize_with = "amf_addresses")]
    pub amf: Vec<SocketAddr>,
    /// The gNBs' N2 addresses; none lets the host choose.
    #[serde(deserialize_with = "one_or_many")]
    pub n2: Vec<IpAddr>,
    /// The gNBs' N3 addresses, in turn; gNBs with the same address share its port.
    #[serde(deserialize_with = "one_or_many")]
    pub n3: Vec<IpAddr>,
    /// UDP port of N3.
    pub n3_port: u16,
    /// With SCTP in UDP, the AMF's UDP port.
    pub udp_port: u16,
    /// How many gNBs.
    pub gnbs: u32,
    /// The first gNB's identity; the others follow it.
    pub gnb_id: u32,
    /// Bits of a gNB identity, 22 to 32.
    pub gnb_id_bits: u8,
    /// Seconds without a message or packet until a gNB releases a UE; none keeps it. Not with `tun`.
    pub inactivity_s: Option<u64>,
    /// Subscribers.
    pub ues: Vec<UeGroup>,
    /// New UEs a second; all at once if none.
    pub rate: Option<f64>,
    /// A TUN device for each session.
    pub tun: bool,
    /// Each TUN device in a network namespace of its own, of the same name.
    pub tun_netns: bool,
    /// Name of the TUN devices, in front of their number.
    pub tun_name: String,
    /// Echo requests of each session without a TUN device.
    pub ping: u32,
    /// Whom they are sent to; without it none are.
    pub ping_target: Option<Ipv4Addr>,
    /// The same over IPv6, for sessions that have no IPv4.
    pub ping_target_ipv6: Option<Ipv6Addr>,
    /// Milliseconds between two of them.
    pub ping_interval_ms: u64,
    /// Programs to run, in turn, while the sessions are up; `{tun}`, `{address}` and `{supi}` stand
    /// for those of the first session.
    pub exec: Vec<String>,
    /// Seconds to stay connected after all else.
    pub hold_s: u64,
    /// Stay connected until stopped.
    pub hold: bool,
    /// Deregister at the end.
    pub deregister: bool,
    /// Registrations tried before a UE gives up (TS 24.501 §5.5.1.2.7 counts to 5).
    pub attempts: u32,
    /// Requests for a session sent before a UE gives up, where the network says when to ask again.
    pub session_attempts: u32,
}

/// Subscribers that follow one another.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UeGroup {
    /// The first one.
    pub supi: Supi,
    /// How many.
    #[serde(default = "one")]
    pub count: u32,
    /// K, 32 or 64 hexadecimal digits.
    pub k: String,
    /// Milenage's OPc.
    #[serde(default)]
    pub opc: Option<String>,
    /// Milenage's OP, if OPc is not given.
    #[serde(default)]
    pub op: Option<String>,
    /// TUAK's TOPc, 64 hexadecimal digits: the subscriber uses TUAK.
    #[serde(default)]
    pub topc: Option<String>,
    /// SQN that the USIM has accepted last, 12 hexadecimal digits.
    #[serde(default)]
    pub sqn: Option<String>,
    /// How the SUPI is concealed.
    #[serde(default)]
    pub suci: SuciConfig,
    /// 16 digits.
    #[serde(default = "default_imeisv")]
    pub imeisv: String,
    /// Ciphering algorithms, by number.
    #[serde(default = "default_ciphering")]
    pub nea: Vec<u8>,
    /// Integrity algorithms, by number.
    #[serde(default = "default_integrity")]
    pub nia: Vec<u8>,
    /// Requested NSSAI; none leaves the choice to the network.
    #[serde(default)]
    pub requested_nssai: Vec<Snssai>,
    /// Sessions to establish.
    #[serde(default = "default_sessions")]
    pub sessions: Vec<SessionConfig>,
    /// What these UEs do wrong, for tests.
    #[serde(default)]
    pub tricks: Vec<Trick>,
}

/// A session to establish.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SessionConfig {
    /// Data network; none asks for the subscribed default.
    pub dnn: Option<Dnn>,
    /// Slice; none takes the first allowed one.
    pub slice: Option<Snssai>,
    /// Session type.
    #[serde(rename = "type")]
    pub kind: SessionType,
}

/// PDU session type that a UE asks for (TS 24.501 §9.11.4.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionType {
    /// IPv4.
    #[default]
    Ipv4,
    /// IPv6.
    Ipv6,
    /// What phones ask for.
    Ipv4v6,
}

/// SUCI concealment (TS 33.501 annex C).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SuciConfig {
    /// Routing indicator, 1 to 4 digits.
    pub routing_indicator: String,
    /// Home network public key identifier.
    pub key_id: u8,
    /// Profile A: X25519 public key of the home network, hexadecimal.
    pub profile_a: Option<String>,
    /// Profile B: secp256r1 public key of the home network, hexadecimal.
    pub profile_b: Option<String>,
}

impl Default for SuciConfig {
    fn default() -> Self {
        Self { routing_indicator: "0".into(), key_id: 0, profile_a: None, profile_b: None }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            plmn: PlmnId::new("001", "01").expect("invariant: digits"),
            tac: Tac::new(1).expect("invariant: 24 bits"),
            slices: vec![Snssai::new(1, None)],
            amf: vec![SocketAddr::new(Ipv4Addr::new(127, 0, 0, 16).into(), tern_ngap::PORT)],
            n2: Vec::new(),
            n3: vec![Ipv4Addr::LOCALHOST.into()],
            n3_port: tern_gtpu::PORT,
            udp_port: tern_sctp::UDP_PORT,
            gnbs: 1,
            gnb_id: 1,
            gnb_id_bits: 32,
            inactivity_s: None,
            ues: Vec::new(),
            rate: None,
            tun: false,
            tun_netns: false,
            tun_name: "uetun".into(),
            ping: 4,
            ping_target: None,
            ping_target_ipv6: None,
            ping_interval_ms: 1000,
            exec: Vec::new(),
            hold_s: 0,
            hold: false,
            deregister: true,
            attempts: 1,
            session_attempts: 1,
        }
    }
}

impl tern_config::Sample for Config {
    const SAMPLE: &'static str = include_str!("sample.yaml");
}

impl Config {
    /// What of it cannot be.
    pub fn check(&self) -> Result<(), String> {
        let ues: u64 = self.ues.iter().map(|group| u64::from(group.count)).sum();
        if ues > u64::from(UES_MAX) {
            return Err(format!("ues: {ues} of them, at most {UES_MAX} are possible"));
        }
        if self.gnbs == 0 || self.gnbs > GNBS_MAX {
            return Err(format!("gnbs: expected 1 to {GNBS_MAX}"));
        }
        if self.amf.is_empty() {
            return Err("amf: expected an address".into());
        }
        if self.n3.is_empty() {
            return Err("n3: expected an address".into());
        }
        if self.rate.is_some_and(|rate| !(rate > 0.0 && rate.is_finite())) {
            return Err("rate: expected a number above 0".into());
        }
        if self.inactivity_s.is_some() && self.tun {
            return Err("inactivity_s: a TUN device does not follow its UE through CM-IDLE".into());
        }
        if self.slices.is_empty() {
            return Err("slices: expected at least one".into());
        }
        Ok(())
    }

    /// Whom a session with this address pings.
    pub fn ping_target_of(&self, address: IpAddr) -> Option<IpAddr> {
        match address {
            IpAddr::V4(_) => self.ping_target.map(IpAddr::V4),
            IpAddr::V6(_) => self.ping_target_ipv6.map(IpAddr::V6),
        }
    }

    /// Between two echo requests.
    pub fn ping_interval(&self) -> Duration {
        Duration::from_millis(self.ping_interval_ms)
    }
}

impl UeGroup {
    /// One subscriber, all else at its default.
    pub fn new(supi: Supi, k: &str, opc: &str) -> Self {
        Self {
            supi,
            count: 1,
            k: k.to_owned(),
            opc: Some(opc.to_owned()),
            op: None,
            topc: None,
            sqn: None,
            suci: SuciConfig::default(),
            imeisv: default_imeisv(),
            nea: default_ciphering(),
            nia: default_integrity(),
            requested_nssai: Vec::new(),
            sessions: default_sessions(),
            tricks: Vec::new(),
        }
    }
}

fn one() -> u32 {
    1
}

fn default_imeisv() -> String {
    "4370816125816151".into()
}

fn default_ciphering() -> Vec<u8> {
    vec![0, 1, 2, 3]
}

fn default_integrity() -> Vec<u8> {
    vec![1, 2, 3]
}

fn default_sessions() -> Vec<SessionConfig> {
    vec![SessionConfig::default()]
}

fn from_text<'de, D: Deserializer<'de>, T: FromStr<Err: std::fmt::Display>>(
    deserializer: D,
) -> Result<T, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn texts(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::Many(texts) => texts,
        }
    }
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpAddr>, D::Error> {
    let address = |text: String| {
        text.parse().map_err(|_| de::Error::custom(format_args!("expected an IP address, got {text:?}")))
    };
    OneOrMany::deserialize(deserializer)?.texts().into_iter().map(address).collect()
}

fn amf_addresses<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<SocketAddr>, D::Error> {
    let address = |text: String| {
        let bare = text.parse::<IpAddr>().map(|address| SocketAddr::new(address, tern_ngap::PORT));
        bare.or_else(|_| text.parse()).map_err(|_| {
            de::Error::custom(format_args!("expected an IP address with or without port, got {text:?}"))
        })
    };
    OneOrMany::deserialize(deserializer)?.texts().into_iter().map(address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_the_default_with_one_subscriber() {
        let sample = <Config as tern_config::Sample>::sample().unwrap();
        assert_eq!(Config { ues: Vec::new(), ..sample.clone() }, Config::default());
        assert_eq!(sample.ues.len(), 1);
        sample.check().unwrap();
    }

    #[test]
    fn a_small_file_is_enough() {
        let text = "plmn: 001-01\ntac: \"000001\"\namf: 10.99.2.1\nn2: 10.99.2.2\nn3: 10.99.3.2\n\
                    tun: true\nues:\n  - supi: imsi-001010000000001\n    k: 00112233445566778899001122334455\n    \
                    opc: cd63cb71954a9f4e48a5994e37a02baf\n    count: 3\nping: 0\n";
        let config: Config = tern_config::parse("sim.yaml", text).unwrap();
        assert_eq!(config.amf[0].port(), 38412);
        assert_eq!((config.ues[0].count, config.ping), (3, 0));
        assert_eq!(config.ues[0].k, "00112233445566778899001122334455");
        assert!(tern_config::parse::<Config>("sim.yaml", "amf: nowhere").is_err());
        assert!(tern_config::parse::<Config>("sim.yaml", "amff: 10.0.0.1").is_err());
    }
}
