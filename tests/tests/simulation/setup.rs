//! What a simulation is made of: each network function's configuration, the gNBs and UEs, and
//! what the UDR knows.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;
use tern_nf::SbiConfig;
use tern_sctp::SctpMode;
use tern_smf::UpfConfig;
use tern_types::Supi;
use ue_ransim::config::UeGroup;

use super::Witness;

/// K and OPc of TS 35.208 test set 1, for all subscribers.
pub const K: &str = "465b5ce8b199b49faa5f0a2ee238a6bc";
/// See [`K`].
pub const OPC: &str = "cd63cb71954a9f4e48a5994e37a02baf";

/// Everything that one run depends on.
#[derive(Clone)]
pub struct Setup {
    /// All that is random follows from it.
    pub seed: u64,
    /// Whether all that is said is kept as text.
    pub keep_trace: bool,
    /// Who is shown all that is said.
    pub witness: Option<Arc<dyn Witness>>,
    /// Whether stores outlive network functions, as far as they keep their state.
    pub keeps: bool,
    /// Network functions.
    pub nrf: tern_nrf::Config,
    pub udr: tern_udr::Config,
    pub udm: tern_udm::Config,
    pub ausf: tern_ausf::Config,
    pub pcf: tern_pcf::Config,
    pub nssf: tern_nssf::Config,
    pub smf: tern_smf::Config,
    pub upf: tern_upf::Config,
    pub amf: tern_amf::Config,
    /// gNBs and UEs.
    pub ran: ue_ransim::Config,
    /// What the UDR is given.
    pub subscribers: Vec<tern_udr::Subscriber>,
}

impl Setup {
    /// One gNB and this many subscribed UEs; `internet` and `ims`; all else at its default.
    pub fn new(seed: u64, ues: u32) -> Self {
        let group = UeGroup { count: ues, ..UeGroup::new(supi(0), K, OPC) };
        let upf = tern_upf::Config { data_path: tern_upf::DataPathKind::None, ..tern_upf::Config::default() };
        let mut amf = tern_amf::Config::default();
        amf.n2.addresses = vec![super::AMF_ADDRESS];
        amf.n2.sctp = SctpMode::Auto;
        Self {
            seed,
            keep_trace: false,
            witness: None,
            keeps: false,
            nrf: tern_nrf::Config::default(),
            udr: tern_udr::Config {
                sbi: SbiConfig::loopback(11),
                store: PathBuf::new(),
                durability: Default::default(),
                administration: true,
            },
            udm: tern_udm::Config::default(),
            ausf: tern_ausf::Config::default(),
            pcf: tern_pcf::Config::default(),
            nssf: tern_nssf::Config::default(),
            smf: smf(upf.n4.address),
            upf,
            amf,
            ran: ue_ransim::Config { ues: vec![group], ..ue_ransim::Config::default() },
            subscribers: (0..ues).map(subscriber).collect(),
        }
    }

    /// The only group of UEs.
    pub fn group(&mut self) -> &mut UeGroup {
        &mut self.ran.ues[0]
    }

    /// With IPv6 in the first data network.
    pub fn ipv6(mut self) -> Self {
        let pool = "2001:db8:45::/48".parse().expect("a network");
        self.smf.data_networks[0].ipv6 =
            Some(tern_smf::Ipv6Config { pool, gateway: None, reserved: Vec::new() });
        self
    }

    /// Contexts outlive network functions, and the N2 termination the AMF.
    pub fn mortal(mut self) -> Self {
        self.keeps = true;
        self.amf.n2.bridge = Some("n2".into());
        self
    }

    /// With this many gNBs.
    pub fn gnbs(mut self, gnbs: u32) -> Self {
        self.ran.gnbs = gnbs;
        self
    }
}

/// The SUPI of the UE with this number.
pub fn supi(index: u32) -> Supi {
    let text = format!("imsi-00101{:010}", index + 1);
    text.parse().expect("a SUPI")
}

/// What the UDR knows of the UE with this number.
pub fn subscriber(index: u32) -> tern_udr::Subscriber {
    let record = json!({
        "supi": supi(index),
        "authentication": { "k": K, "opc": OPC },
        "slices": [{ "snssai": "1", "dnns": [{ "dnn": "internet" }, { "dnn": "ims" }] }],
    });
    serde_json::from_value(record).expect("a subscriber")
}

fn smf(upf: IpAddr) -> tern_smf::Config {
    let upfs = vec![UpfConfig { address: upf, port: tern_pfcp::PORT, serves: Vec::new() }];
    tern_smf::Config { upfs, ..tern_smf::Config::default() }
}
