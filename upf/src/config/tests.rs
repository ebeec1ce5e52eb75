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
    let other = |more: &str| link(more).replace("net_null0", "net_null1");
    let ports = |n3: &str, n6: &str| {
        format!("{{data_path: dpdk, n3: {{address: 10.9.9.9, link: {n3}}}, n6: [{{link: {n6}}}]}}")
    };
    let dpdk: Config = tern_config::parse("upf.yaml", &ports(&link(""), &link(""))).expect("parses");
    dpdk.validate().expect("valid");
    let n3 = "{address: [10.9.9.9, \"2001:db8::9\"], link: {device: net_null0, address: 10.9.9.9/24, \
              ipv6: \"2001:db8::9/64\", ipv6_gateway: \"fe80::1\"}}";
    let both = |n6: &str| {
        format!("{{data_path: dpdk, n3: {n3}, n6: [{{ipv6: \"2001:db8:45::1/48\", link: {n6}}}]}}")
    };
    let dpdk: Config =
        tern_config::parse("upf.yaml", &both("{device: net_null1, ipv6: \"2001:db8:6::1/64\"}"))
            .expect("parses");
    dpdk.validate().expect("valid");
    let without: Config = tern_config::parse("upf.yaml", &both(&other(""))).expect("parses");
    assert!(
        format!("{:#}", without.validate().expect_err("UEs have IPv6")).contains("n6.link of internet: ipv6")
    );
    for (n3, n6, what) in [
        (link(", vlan: 4095"), link(""), "vlan"),
        (link(", mtu: 100"), link(""), "mtu"),
        (link(", gateway: 10.9.8.1"), link(""), "gateway"),
        (link(", mtu: 1600"), link(""), "alike"),
        (link("").replace("10.9.9.9", "10.9.9.8"), link(""), "n3.address"),
        (link("").replace("net_null0", ""), link(""), "device"),
        (link(", ipv6: \"2001:db8::9/64\""), link(""), "n3.link.ipv6"),
        (link(""), other(", ipv6: \"fe80::9/64\""), "ipv6: expected"),
        (link(""), other(", ipv6: \"2001:db8::9/64\", mtu: 1200"), "mtu"),
        (link(""), other(", ipv6: \"2001:db8::9/64\", ipv6_gateway: \"2001:db9::1\""), "ipv6_gateway"),
        (link(""), other(", ipv6_gateway: \"fe80::1\""), "ipv6_gateway"),
        (link(""), "{device: net_null1}".to_owned(), "address or ipv6"),
    ] {
        let config: Config = tern_config::parse("upf.yaml", &ports(&n3, &n6)).expect("parses");
        let error = format!("{:#}", config.validate().expect_err(what));
        assert!(error.contains(what), "{error}");
    }
    for text in [
        "{n3: {address: 0.0.0.0, advertise: 192.0.2.18}}",
        "{n3: {address: [0.0.0.0, \"::\"], advertise: [192.0.2.18, \"2001:db8::18\"]}}",
        "{n3: {address: \"2001:db8::18\"}}",
        "{n9: {address: [192.0.2.19, \"2001:db8::19\"], network_instance: n9}}",
    ] {
        let config: Config = tern_config::parse("upf.yaml", text).expect("parses");
        config.validate().expect(text);
    }
    for text in [
        "{data_path: dpdk}",
        "{workers: 0}",
        "{n6: []}",
        "{n3: {address: 0.0.0.0}}",
        "{n3: {address: [0.0.0.0, \"::\"], advertise: 192.0.2.18}}",
        "{n3: {address: 192.0.2.18, advertise: \"2001:db8::18\"}}",
        "{n6: [{mtu: 100}]}",
        "{n6: [{mtu: 1000, ipv6: \"2001:db8:45::1/48\"}]}",
        "{n3: {receive_buffer_bytes: 1000}}",
        "{n6: [{queue_packets: 0}]}",
        "{reports_max: 0}",
        "{n3: {address: 192.0.2.18}, n9: {address: 192.0.2.18}}",
        "{n9: {address: \"::\"}}",
    ] {
        let config: Config = tern_config::parse("upf.yaml", text).expect("parses");
        assert!(config.validate().is_err(), "{text}");
    }
}

#[test]
fn a_port_of_n9_has_the_address_of_n9() {
    let file = |n9: &str| {
        let link = |device: &str, address: &str| format!("{{device: {device}, address: {address}/24}}");
        let (n3, n6) = (link("net_null0", "10.9.9.9"), link("net_null1", "10.9.6.1"));
        let text = format!(
            "{{data_path: dpdk, n3: {{address: 10.9.9.9, link: {n3}}}, n9: {{address: 10.9.8.9{n9}}}, \
             n6: [{{link: {n6}}}]}}"
        );
        tern_config::parse::<Config>("upf.yaml", &text).expect("parses").validate()
    };
    file(", link: {device: net_null2, address: 10.9.8.9/24}").expect("valid");
    file(", link: {device: net_null0, vlan: 9, address: 10.9.8.9/24}").expect("valid");
    for (n9, what) in [
        ("", "n9.link: expected the port"),
        (", link: {device: net_null2, address: 10.9.8.8/24}", "n9.link.address"),
        (", link: {device: net_null2, address: 10.9.8.9/24, ipv6: \"2001:db8::9/64\"}", "n9.link.ipv6"),
        (", link: {device: net_null0, address: 10.9.8.9/24}", "alike"),
    ] {
        let error = format!("{:#}", file(n9).expect_err(what));
        assert!(error.contains(what), "{error}");
    }
}
