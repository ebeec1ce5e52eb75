//! Configuration errors say where and what was expected, and change nothing.

use std::path::Path;
use std::process::{Command, Output};

use crate::world::TERN;

/// Files with one fault, each of one network function: its name, the text, and what the error
/// must name besides the file: line, field and expectation.
const FAULTS: [(&str, &str, &[&str]); 23] = [
    ("nrf", "sbi:\n  address: nowhere\n", &[":2:", "sbi.address", "IP address"]),
    ("nrf", "sbi: { address: 127.0.0.10 }\nheartbeet: 3\n", &[":2:", "heartbeet", "expected"]),
    ("udr", "sbi:\n  address: 127.0.0.11\n  port: 80800\n", &[":3:", "sbi.port", "u16"]),
    ("udr", "durability: perhaps\n", &[":1:", "durability", "process"]),
    ("udm", "plmn: { mcc: \"01\", mnc: \"01\" }\n", &[":1:", "plmn", "MCC"]),
    ("udm", "home_network_keys:\n  - id: 1\n    scheme: C\n    private_key: \"00\"\n", &[":3:", "scheme"]),
    ("ausf", "sbi: 127.0.0.13\n", &[":1:", "sbi", "expected"]),
    ("ausf", "sbi:\n  address: 127.0.0.13\n  porrt: 8080\n", &[":3:", "porrt", "port"]),
    ("pcf", "sbi:\n  address: [127.0.0.14]\n", &[":2:", "sbi.address", "expected"]),
    ("pcf", "subscribers: 7\n", &[":1:", "subscribers", "expected"]),
    (
        "nssf",
        "plmns:\n  - plmn: { mcc: \"001\", mnc: \"01\" }\n    slices: none\n",
        &[":3:", "plmns[0].slices"],
    ),
    ("nssf", "plmns: 5\n", &[":1:", "plmns", "expected"]),
    (
        "amf",
        "served:\n  - plmn: { mcc: \"001\", mnc: \"01\" }\n    tacs: [\"xyz\"]\n    slices: [{ sst: 1 }]\n",
        &[":3:", "served[0].tacs[0]", "hexadecimal"],
    ),
    ("amf", "security:\n  ciphering: [NEA7]\n", &[":2:", "security.ciphering[0]", "NEA2"]),
    ("amf", "n2:\n  sctp: smoke-signals\n", &[":2:", "n2.sctp", "auto"]),
    (
        "smf",
        "data_networks:\n  - dnn: internet\n    snssai: { sst: 1 }\n    pool: 10.45.0.0/99\n",
        &[":4:", "data_networks[0].pool"],
    ),
    ("smf", "n4:\n  address: 127.0.0.300\n", &[":2:", "n4.address", "IP address"]),
    ("upf", "workers: many\n", &[":1:", "workers", "expected", "many"]),
    ("upf", "n3:\n  address: n3.example\n", &[":2:", "n3.address", "IPv4 or IPv6 address"]),
    ("n2", "bridge: /nowhere/n2.sock\nport: seventy\n", &[":2:", "port", "u16"]),
    (
        "manager",
        "socket: \"@a\"\ndomains:\n  - { name: a, user: 0, addresses: [127.0.0.0/8], buffers: 32 }\n",
        &[":3:", "domains[0].buffers", "at least 64 buffers"],
    ),
    ("up", "plmn: 001-01\ntac: \"1\"\n", &[":2:", "tac", "6 hexadecimal digits"]),
    ("up", "dnns:\n  - name: internet\n    pool: 10.45.0.0\n", &[":3:", "dnns[0].pool"]),
];

fn tern(directory: &Path, arguments: &[&str]) -> Output {
    let output = Command::new(TERN).args(arguments).current_dir(directory).output();
    output.expect("tern starts")
}

#[test]
fn when_a_file_is_wrong_then_the_error_says_where_and_what_was_expected() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut wrong = Vec::new();
    for (nf, text, parts) in FAULTS {
        let name = format!("{nf}-config.yaml");
        std::fs::write(directory.path().join(&name), text).expect("written");
        let output = tern(directory.path(), &[nf, "--config", &name]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let named = said.contains(&name) && parts.iter().all(|part| said.contains(part));
        if output.status.success() || !named || said.contains("panicked") {
            wrong.push(format!("{nf}: expected {parts:?} of\n{text}---\n{said}"));
        }
        std::fs::remove_file(directory.path().join(&name)).expect("removed");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    // Nothing was made: no store, no directory of data.
    let left: Vec<_> = std::fs::read_dir(directory.path()).expect("readable").flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn when_a_file_is_missing_then_it_is_named() {
    let directory = tempfile::tempdir().expect("a directory");
    for nf in ["nrf", "amf", "n2", "up", "sim", "status"] {
        let output = tern(directory.path(), &[nf, "--config", "nowhere.yaml"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains("nowhere.yaml"), "{nf}: {said}");
    }
}

/// The samples are files that each network function takes.
#[test]
fn when_a_sample_is_printed_then_it_explains_every_field() {
    let directory = tempfile::tempdir().expect("a directory");
    for of in ["core", "nrf", "udr", "udm", "ausf", "pcf", "nssf", "amf", "smf", "upf", "n2", "sim"] {
        let output = tern(directory.path(), &["config", "print", of]);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains('#'), "{of}: {text}");
    }
}
