//! The configuration files that `tern up` makes from its own small one.

use serde_json::{Value, json};

use crate::core_config::{CoreConfig, Nf};

/// The configuration file of one network function of a whole core.
pub fn generated(core: &CoreConfig, nf: Nf, instance: &str) -> String {
    let mut sbi = json!(core.sbi(nf));
    sbi["nf_instance_id"] = json!(instance);
    let mut file = match nf {
        Nf::Nrf | Nf::Ausf => json!({}),
        Nf::Pcf => json!(core.policies),
        Nf::Udr => json!({ "store": core.store(nf), "durability": core.durability }),
        Nf::Udm => json!({
            "plmn": core.plmn.0,
            "home_network_keys": core.home_network_keys,
            "null_scheme": core.null_scheme,
        }),
        Nf::Nssf => nssf(core),
        Nf::Amf => amf(core),
        Nf::Smf => smf(core),
        Nf::Upf => upf(core),
    };
    file["sbi"] = sbi;
    text(&file)
}

/// The configuration file of the manager of shared memory: it admits this user's processes, at the
/// addresses of this core's network functions.
pub fn generated_manager(core: &CoreConfig) -> String {
    let addresses: Vec<String> = Nf::ALL.iter().map(|nf| core.address(*nf).to_string()).collect();
    let user = rustix::process::geteuid().as_raw();
    let file = json!({
        "socket": core.manager(),
        "domains": [{ "name": "core", "user": user, "addresses": addresses }],
    });
    text(&file)
}

/// The configuration file of the N2 termination, a process of its own.
pub fn generated_n2(core: &CoreConfig) -> String {
    text(&n2(core))
}

fn text(file: &Value) -> String {
    format!("# Made by `tern up` from its own file; changes here are lost.\n{}", tern_config::print(file))
}

/// Whether a network function of a whole core keeps state on disk.
pub fn keeps_state(nf: Nf) -> bool {
    matches!(nf, Nf::Nrf | Nf::Pcf | Nf::Smf | Nf::Amf)
}

fn n2(core: &CoreConfig) -> Value {
    json!({ "addresses": [core.n2], "sctp": core.sctp, "bridge": core.n2_bridge() })
}

fn slices(core: &CoreConfig) -> Vec<tern_types::Snssai> {
    core.slices.iter().map(|slice| slice.0).collect()
}

fn nssf(core: &CoreConfig) -> Value {
    let slices: Vec<Value> = slices(core).into_iter().map(|slice| json!({ "slice": slice })).collect();
    json!({ "plmns": [{ "plmn": core.plmn.0, "slices": slices }] })
}

fn amf(core: &CoreConfig) -> Value {
    json!({
        "n2": n2(core),
        "served": [{ "plmn": core.plmn.0, "tacs": core.tac, "slices": slices(core) }],
        "security": { "integrity": core.integrity, "ciphering": core.ciphering },
        "limits": { "sessions_establishing": core.sessions_establishing_max },
    })
}

fn smf(core: &CoreConfig) -> Value {
    let mut networks = Vec::new();
    for slice in slices(core) {
        for dnn in &core.dnns {
            let mut network = json!({
                "dnn": dnn.name, "snssai": slice, "pool": dnn.pool, "dns": dnn.dns, "mtu": dnn.mtu,
            });
            if let Some(pool) = dnn.ipv6 {
                network["ipv6"] = json!({ "pool": pool });
            }
            networks.push(network);
        }
    }
    let mut n4 = json!({ "address": core.address(Nf::Smf) });
    if let Some(gtpu) = core.smf_gtpu {
        n4["gtpu"] = json!(gtpu);
    }
    json!({
        "plmns": [core.plmn.0],
        "n4": n4,
        "upfs": [{ "address": core.address(Nf::Upf) }],
        "discover_upfs": false,
        "data_networks": networks,
    })
}

fn upf(core: &CoreConfig) -> Value {
    let n6: Vec<Value> = core
        .dnns
        .iter()
        .enumerate()
        .map(|(index, dnn)| {
            // The first device has the plain name.
            let tun = if index == 0 { core.n6.clone() } else { format!("{}-{index}", core.n6) };
            let mut network =
                json!({ "dnn": dnn.name, "tun": tun, "address": dnn.gateway(), "mtu": dnn.mtu });
            if let Some(gateway) = dnn.gateway_ipv6() {
                network["ipv6"] = json!(gateway);
            }
            if let Some(ports) = &core.dpdk {
                network["link"] = json!(ports.n6);
            }
            network
        })
        .collect();
    let mut file = json!({
        "data_path": match &core.dpdk {
            _ if !core.has_data_path() => "none",
            Some(_) => "dpdk",
            None => "kernel",
        },
        "n4": { "address": core.address(Nf::Upf) },
        "n3": { "address": core.n3 },
        "n6": n6,
        "slices": slices(core),
        "workers": core.upf_workers,
    });
    if let Some(ports) = &core.dpdk {
        file["n3"]["link"] = json!(ports.n3);
        file["dpdk"] = json!(ports.options);
    }
    file
}

#[cfg(test)]
mod tests {
    use tern_config::{ConfigError, Sample as _, parse};

    use super::*;

    #[test]
    fn the_manager_reads_the_file_made_for_it() {
        let core = CoreConfig::sample().unwrap();
        let text = generated_manager(&core);
        let config: crate::manager::Config = parse("manager", &text).unwrap();
        config.options().unwrap().check().unwrap();
    }

    #[test]
    fn the_n2_termination_reads_the_file_made_for_it_and_the_amf_meets_it() {
        let core = CoreConfig::sample().unwrap();
        let n2: tern_amf::n2::Config = parse("n2.yaml", &generated_n2(&core)).unwrap();
        let amf = generated(&core, Nf::Amf, "6f1a5e54-98a1-4f53-8b8c-5f4c3a2b1d00");
        let amf: tern_amf::Config = parse("amf.yaml", &amf).unwrap();
        assert_eq!(n2.bridge, Some(core.data.join("n2.sock")));
        assert_eq!(amf.n2, n2);
    }

    fn read(nf: Nf, text: &str) -> Result<(), ConfigError> {
        let file = nf.name();
        match nf {
            Nf::Nrf => parse::<tern_nrf::Config>(file, text).map(drop),
            Nf::Udr => parse::<tern_udr::Config>(file, text).map(drop),
            Nf::Udm => parse::<tern_udm::Config>(file, text).map(drop),
            Nf::Ausf => parse::<tern_ausf::Config>(file, text).map(drop),
            Nf::Pcf => parse::<tern_pcf::Config>(file, text).map(drop),
            Nf::Nssf => parse::<tern_nssf::Config>(file, text).map(drop),
            Nf::Amf => parse::<tern_amf::Config>(file, text).map(drop),
            Nf::Smf => parse::<tern_smf::Config>(file, text).map(drop),
            Nf::Upf => parse::<tern_upf::Config>(file, text).map(drop),
        }
    }

    #[test]
    fn each_network_function_reads_the_file_made_for_it() {
        let core = CoreConfig::sample().unwrap();
        for nf in Nf::ALL {
            let text = generated(&core, nf, "6f1a5e54-98a1-4f53-8b8c-5f4c3a2b1d00");
            read(nf, &text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        }
    }

    #[test]
    fn a_data_network_with_ipv6_has_its_prefixes_at_smf_and_upf() {
        let text = "smf_gtpu: 192.0.2.1\ndnns:\n  - { name: internet, pool: 10.45.0.0/16, ipv6: \"2001:db8:45::/48\", dns: [1.1.1.1, \"2001:db8::53\"] }\n";
        let core: CoreConfig = parse("core.yaml", text).unwrap();
        let file = |nf| generated(&core, nf, "6f1a5e54-98a1-4f53-8b8c-5f4c3a2b1d00");
        let smf: tern_smf::Config = parse("smf.yaml", &file(Nf::Smf)).unwrap();
        smf.check().unwrap();
        assert_eq!(smf.n4.gtpu_address().to_string(), "192.0.2.1");
        let pool = smf.data_networks[0].ipv6.as_ref().map(|ipv6| ipv6.pool.to_string());
        assert_eq!(pool.as_deref(), Some("2001:db8:45::/48"));
        let upf: tern_upf::Config = parse("upf.yaml", &file(Nf::Upf)).unwrap();
        assert_eq!(upf.n6[0].ipv6.map(|ipv6| ipv6.to_string()).as_deref(), Some("2001:db8:45::1/48"));
    }

    #[test]
    fn the_amf_is_told_how_many_sessions_to_establish_at_once() {
        let core: CoreConfig = parse("core.yaml", "sessions_establishing_max: 7\n").unwrap();
        let text = generated(&core, Nf::Amf, "6f1a5e54-98a1-4f53-8b8c-5f4c3a2b1d00");
        let amf: tern_amf::Config = parse("amf.yaml", &text).unwrap();
        assert_eq!(amf.limits.sessions_establishing, 7);
        // What the small file has no field for keeps its default.
        assert_eq!(amf.limits.sessions_waiting, tern_amf::Limits::default().sessions_waiting);
    }
}
