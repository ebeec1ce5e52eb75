//! What stands in `deploy`: each configuration in it is read by the network function that it is for, and the
//! manifests fit one another.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tern_config::{ConfigError, parse_expanded};

const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy");
/// What the processes of the image run as.
const USER: u64 = 65532;

/// Reads and checks a file as the network function (or other process) `of` does.
fn check(of: &str, text: &str) -> Result<(), String> {
    fn read<T: serde::de::DeserializeOwned>(of: &str, text: &str) -> Result<T, String> {
        let address = |name: &str| match name {
            "ipv4:eth0" => Ok("10.1.2.3".to_owned()),
            "ipv4:n2" | "ipv4:n3" | "ipv4:n6" => Ok("10.9.8.7".to_owned()),
            _ => Err(format!("what is {name}?")),
        };
        parse_expanded(of, text, address).map_err(|error: ConfigError| error.to_string())
    }
    match of {
        "manager" => {
            let config: crate::manager::Config = read(of, text)?;
            config.options().map(drop).map_err(|error| error.to_string())
        }
        "nrf" => read::<tern_nrf::Config>(of, text).map(drop),
        "udr" => read::<tern_udr::Config>(of, text).map(drop),
        "udm" => read::<tern_udm::Config>(of, text).map(drop),
        "ausf" => read::<tern_ausf::Config>(of, text).map(drop),
        "pcf" => read::<tern_pcf::Config>(of, text)?.check(),
        "nssf" => read::<tern_nssf::Config>(of, text)?.check(),
        "amf" => read::<tern_amf::Config>(of, text)?.check(),
        "smf" => read::<tern_smf::Config>(of, text)?.check(),
        "upf" => read::<tern_upf::Config>(of, text).map(drop),
        "sim" => read::<ue_ransim::config::Config>(of, text)?.check(),
        _ => Err("for whom is it?".to_owned()),
    }
}

fn files(directory: &str) -> Vec<(String, String)> {
    let paths = std::fs::read_dir(Path::new(DEPLOY).join(directory)).unwrap();
    let mut paths: Vec<PathBuf> = paths.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let yaml = paths.into_iter().filter(|path| path.extension().is_some_and(|end| end == "yaml"));
    yaml.map(|path| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, std::fs::read_to_string(path).unwrap())
    })
    .collect()
}

#[test]
fn each_file_of_the_compose_directory_is_a_configuration() {
    let files = files("compose");
    assert_eq!(files.len(), 11);
    for (name, text) in files {
        check(&name, &text).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// Every document of the manifests in a directory.
fn documents(directory: &str) -> Vec<Value> {
    let mut documents = Vec::new();
    for (name, text) in files(directory) {
        for part in text.split("\n---\n") {
            let read = tern_config::parse::<Value>(&name, part.trim_start_matches("---\n"));
            documents.push(read.unwrap_or_else(|error| panic!("{name}: {error}")));
        }
    }
    documents
}

fn of_kind<'a>(documents: &'a [Value], kind: &str) -> Vec<&'a Value> {
    documents.iter().filter(|document| document["kind"] == kind).collect()
}

fn names(documents: &[Value], kind: &str) -> BTreeSet<String> {
    let named = of_kind(documents, kind).into_iter();
    named.map(|document| document["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn each_configuration_in_a_manifest_is_read_by_its_network_function() {
    for directory in ["kubernetes/manifests", "kubernetes/multus"] {
        let documents = documents(directory);
        let mut checked = 0;
        for map in of_kind(&documents, "ConfigMap") {
            for (file, text) in map["data"].as_object().unwrap() {
                let of = file.strip_suffix(".yaml").unwrap();
                check(of, text.as_str().unwrap())
                    .unwrap_or_else(|error| panic!("{directory}: {of}: {error}"));
                checked += 1;
            }
        }
        assert_eq!(checked, 10, "{directory}");
    }
}

#[test]
fn each_workload_has_what_it_names_and_no_more_rights_than_it_needs() {
    for directory in ["kubernetes/manifests", "kubernetes/multus"] {
        let documents = documents(directory);
        let (maps, claims) = (names(&documents, "ConfigMap"), names(&documents, "PersistentVolumeClaim"));
        let workloads = [of_kind(&documents, "Deployment"), of_kind(&documents, "DaemonSet")].concat();
        assert_eq!(workloads.len(), 10, "{directory}");
        for workload in workloads {
            let template = &workload["spec"]["template"];
            assert_eq!(workload["spec"]["selector"]["matchLabels"], template["metadata"]["labels"]);
            let containers = template["spec"]["containers"].as_array().unwrap();
            assert_eq!(containers.len(), 1);
            let container = &containers[0];
            let name = container["name"].as_str().unwrap();
            let security = &container["securityContext"];
            assert_eq!(security["readOnlyRootFilesystem"], true, "{name}");
            assert_eq!(security["capabilities"]["drop"][0], "ALL", "{name}");
            // The AMF has SCTP on raw IP, the UPF makes TUN devices, the manager writes into root's directory.
            let added = match name {
                "amf" if directory.ends_with("manifests") => serde_json::json!(["NET_RAW"]),
                "upf" => serde_json::json!(["NET_ADMIN"]),
                _ => Value::Null,
            };
            assert_eq!(security["capabilities"]["add"], added, "{name}");
            assert_eq!(security["allowPrivilegeEscalation"], !added.is_null(), "{name}");
            let user = if name == "manager" { 0 } else { USER };
            assert_eq!(security["runAsUser"], user, "{name}");
            for probe in ["readinessProbe", "livenessProbe"] {
                assert_eq!(container[probe]["exec"]["command"][1], "health", "{name}");
            }
            volumes(name, &template["spec"], &maps, &claims);
        }
    }
}

/// Each volume that is mounted is there, and is of something that is there.
fn volumes(name: &str, pod: &Value, maps: &BTreeSet<String>, claims: &BTreeSet<String>) {
    let volumes = pod["volumes"].as_array().unwrap();
    let mounted = pod["containers"][0]["volumeMounts"].as_array().unwrap();
    let there: BTreeSet<_> = volumes.iter().map(|volume| volume["name"].as_str().unwrap()).collect();
    let wanted: BTreeSet<_> = mounted.iter().map(|mount| mount["name"].as_str().unwrap()).collect();
    assert_eq!(there, wanted, "{name}");
    for volume in volumes {
        if let Some(map) = volume["configMap"]["name"].as_str() {
            assert!(maps.contains(map), "{name}: {map}");
        }
        if let Some(claim) = volume["persistentVolumeClaim"]["claimName"].as_str() {
            assert!(claims.contains(claim), "{name}: {claim}");
        }
    }
    // Those who keep state keep it.
    let keeps = ["nrf", "udr", "pcf", "smf"].contains(&name);
    assert_eq!(volumes.iter().any(|volume| volume["name"] == "data"), keeps, "{name}");
}

#[test]
fn gnbs_reach_the_amf_by_a_service_of_sctp() {
    let documents = documents("kubernetes/manifests");
    let services = of_kind(&documents, "Service");
    let n2 = services.iter().find(|service| service["metadata"]["name"] == "tern-n2").unwrap();
    let port = &n2["spec"]["ports"][0];
    assert_eq!((&port["protocol"], &port["port"]), (&"SCTP".into(), &38412.into()));
    assert_eq!(n2["spec"]["selector"]["app.kubernetes.io/component"], "amf");
    assert!(services.iter().any(|service| service["metadata"]["name"] == "tern-nrf"));
}
