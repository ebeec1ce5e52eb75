//! Tests of the configuration.

use super::*;

#[test]
fn an_empty_file_is_the_default_and_the_default_is_valid() {
    let config: Config = tern_config::parse("upf.yaml", "{}").expect("parses");
    assert_eq!(config, Config::default());
    config.validate().expect("valid");
}

#[test]
fn the_sample_says_the_defaults() {
    let sample: Config = Config::sample().expect("parses");
    assert_eq!(sample, Config::default());
}

#[test]
fn what_is_not_known_or_not_possible_is_refused() {
    for text in [
        "{foo: 1}",
        "{n6: [{ipv6: 10.45.0.1/16}]}",
        "{n6: [{address: 10.45.0.1}]}",
        "{n6: [{address: 10.45.0.1/33}]}",
    ] {
        assert!(tern_config::parse::<Config>("upf.yaml", text).is_err(), "{text}");
    }
    let link = |more: &str| format!("{{device: \"net_null0\", address: 10.9.9.9/24{more}}}");
    let ports = |n3: &str, n6: &str| {
        format!("{{data_path: dpdk, n3: {{address: 10.9.9.9, link: {n3}}}, n6: [{{link: {n6}}}]}}")
    };
    let dpdk: Config = tern_config::parse("upf.yaml", &ports(&link(""), &link(""))).expect("parses");
    dpdk.validate().expect("valid");
    for (n3, n6, what) in [
        (link(", vlan: 4095"), link(""), "vlan"),
        (link(", mtu: 100"), link(""), "mtu"),
        (link(", gateway: 10.9.8.1"), link(""), "gateway"),
        (link(", mtu: 1600"), link(""), "alike"),
        (link("").replace("10.9.9.9", "10.9.9.8"), link(""), "n3.address"),
        (link("").replace("net_null0", ""), link(""), "device"),
    ] {
        let config: Config = tern_config::parse("upf.yaml", &ports(&n3, &n6)).expect("parses");
        let error = format!("{:#}", config.validate().expect_err(what));
        assert!(error.contains(what), "{error}");
    }
    for text in [
        "{data_path: dpdk}",
        "{workers: 0}",
        "{n6: []}",
        "{n3: {address: 0.0.0.0}}",
        "{n6: [{mtu: 100}]}",
        "{n6: [{mtu: 1000, ipv6: \"2001:db8:45::1/48\"}]}",
        "{n3: {receive_buffer_bytes: 1000}}",
        "{n6: [{queue_packets: 0}]}",
        "{reports_max: 0}",
    ] {
        let config: Config = tern_config::parse("upf.yaml", text).expect("parses");
        assert!(config.validate().is_err(), "{text}");
    }
}
