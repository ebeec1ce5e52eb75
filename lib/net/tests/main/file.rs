//! What a file declares, and what is said of one that is wrong.

use std::net::IpAddr;

use tern_net::declared::{Kind, Vxlan};
use tern_net::{Cidr, Declared};

fn declared(text: &str) -> Declared {
    tern_net::parse("lab.yaml", text).unwrap_or_else(|error| panic!("{error}"))
}

fn fault(text: &str) -> String {
    match tern_net::parse("lab.yaml", text) {
        Ok(declared) => panic!("{declared:?}"),
        Err(error) => error.to_string(),
    }
}

/// A file of one tenant with these networks and endpoints.
fn of(networks: &str, endpoints: &str) -> String {
    format!("name: lab\ntenants:\n- name: red\n  networks:\n{networks}\n  endpoints:\n{endpoints}\n")
}

fn cidr(text: &str) -> Cidr {
    text.parse().unwrap()
}

#[test]
fn an_endpoint_with_a_count_is_as_many_whose_addresses_count_up() {
    let declared = declared(&of(
        "  - {name: n3}",
        "  - {name: ue, count: 3, links: [{network: n3, addresses: [10.0.0.254/23, \"2001:db8::a/64\"]}]}",
    ));
    let names: Vec<&str> = declared.namespaces.keys().map(String::as_str).collect();
    assert_eq!(names, ["tern.lab.red", "tern.lab.red.ue-1", "tern.lab.red.ue-2", "tern.lab.red.ue-3"]);
    let link = &declared.namespaces["tern.lab.red.ue-3"].links["n3"];
    let addresses: Vec<Cidr> = link.addresses.iter().copied().collect();
    assert_eq!(addresses, [cidr("10.0.1.0/23"), cidr("2001:db8::c/64"), cidr("fe80::c/64")]);
    let own: [IpAddr; 2] = ["10.0.1.0".parse().unwrap(), "2001:db8::c".parse().unwrap()];
    assert_eq!(declared.endpoints["red/ue-3"].own.addresses, own);
    assert_eq!(declared.namespaces["tern.lab.red"].links.len(), 4);
}

#[test]
fn endpoints_that_share_a_namespace_share_its_link() {
    let declared = declared(&of(
        "  - {name: n3}",
        "  - {name: ue, count: 500, namespace: ues, links: [{network: n3, addresses: [10.0.0.1/16]}]}",
    ));
    assert_eq!(declared.namespaces.len(), 2);
    assert_eq!(declared.namespaces["tern.lab.red.ues"].links["n3"].addresses.len(), 500);
    let place = &declared.endpoints["red/ue-500"];
    assert!(place.shared && place.namespace == "tern.lab.red.ues");
    assert_eq!(place.own.addresses, ["10.0.1.244".parse::<IpAddr>().unwrap()]);
}

#[test]
fn a_cable_has_no_bridge_and_a_vxlan_takes_its_room() {
    let declared = declared(&of(
        "  - {name: n3, cable: true, mtu: 1600}\n  - {name: n2, vxlan: {vni: 7, local: 192.0.2.1, remotes: [192.0.2.2]}}",
        "  - {name: a, links: [{network: n3}, {network: n2}]}\n  - {name: b, links: [{network: n3}]}",
    ));
    let link = |namespace: &str, link: &str| declared.namespaces[namespace].links[link].clone();
    let Kind::Veth(far) = link("tern.lab.red.a", "n3").kind else { panic!("{declared:?}") };
    assert_eq!((far.namespace.as_str(), far.link.as_str()), ("tern.lab.red.b", "n3"));
    assert_eq!((link("tern.lab.red.b", "n3").mtu, link("tern.lab.red.a", "n2").mtu), (1_600, 1_450));
    let tunnel = link("tern.lab.red", "n2.0");
    assert_eq!((tunnel.mtu, tunnel.bridge.as_deref()), (1_450, Some("n2")));
    let (local, remote) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
    let vxlan = Vxlan { vni: 7, local, port: 4_789, remotes: [remote].into(), underlay: None };
    assert_eq!(tunnel.kind, Kind::Vxlan(vxlan));
}

#[test]
fn tenants_may_have_the_same_addresses_and_names() {
    let tenant = |name: &str| {
        format!(
            "- {{name: {name}, networks: [{{name: n2}}], \
             endpoints: [{{name: amf, links: [{{network: n2, addresses: [10.0.0.1/24]}}]}}]}}\n"
        )
    };
    let declared = declared(&format!("name: lab\ntenants:\n{}{}", tenant("red"), tenant("blue")));
    assert_eq!(declared.namespaces.len(), 4);
}

#[test]
fn what_is_wrong_is_said_with_file_line_and_field() {
    let amf = "  - {name: amf, links: [{network: n2, addresses: [10.0.0.1/24]}]}";
    let cases = [
        // A name that another one has, and one that is none.
        (
            of("  - {name: n2}\n  - {name: n2}", ""),
            "lab.yaml:6:12: tenants[0].networks[1].name: expected another name",
        ),
        (of("  - {name: lo}", ""), "lab.yaml:5:12: tenants[0].networks[0].name: expected another name, `lo`"),
        (of("  - {name: N2}", ""), "lab.yaml:5:12: tenants[0].networks[0].name: expected a name"),
        (
            of("  - {name: n2}", &format!("{amf}\n  - {{name: amf}}")),
            "lab.yaml:8:12: tenants[0].endpoints[1].name",
        ),
        (
            of("  - {name: n2}", &format!("{amf}\n  - {{name: x, namespace: amf}}")),
            "lab.yaml:8:26: tenants[0].endpoints[1].namespace: expected another name, `amf`",
        ),
        ("name: lab\ntenants:\n- {name: a}\n- {name: a}\n".to_owned(), "lab.yaml:4:10: tenants[1].name"),
        // Links.
        (
            of("  - {name: n2}", "  - {name: amf, links: [{network: n3}]}"),
            "lab.yaml:7:35: tenants[0].endpoints[0].links[0].network: expected a network of this tenant, found `n3`",
        ),
        (
            of("  - {name: n2}", "  - {name: amf, links: [{network: n2}, {network: n2}]}"),
            "lab.yaml:7:50: tenants[0].endpoints[0].links[1].network: expected one link",
        ),
        (
            of("  - {name: n2, cable: true}", "  - {name: amf, links: [{network: n2}]}"),
            "lab.yaml:5:12: tenants[0].networks[0].cable: expected two endpoints on a cable, found 1",
        ),
        (
            of("  - {name: n2}", "  - {name: ue, count: 1024, links: [{network: n2}]}"),
            "lab.yaml:5:12: tenants[0].networks[0]: expected at most 1023 links",
        ),
        // Addresses.
        (
            of("  - {name: n2}", "  - {name: amf, links: [{network: n2, addresses: [10.0.0.1]}]}"),
            "lab.yaml:7:51: tenants[0].endpoints[0].links[0].addresses[0]: expected an address with a prefix",
        ),
        (
            of("  - {name: n2}", &format!("{amf}\n{}", amf.replace("amf", "smf"))),
            "lab.yaml:8:51: tenants[0].endpoints[1].links[0].addresses[0]: expected an address of its own, `amf` has 10.0.0.1",
        ),
        (
            of("  - {name: n2}", &amf.replace("amf", "amf, count: 255")),
            "lab.yaml:7:63: tenants[0].endpoints[0].links[0].addresses[0]: expected hosts' addresses, number 255",
        ),
        (
            of("  - {name: n2}", &amf.replace("10.0.0.1", "127.0.0.1")),
            "lab.yaml:7:51: tenants[0].endpoints[0].links[0].addresses[0]: expected hosts' addresses",
        ),
        (
            of(
                "  - {name: n2}",
                "  - {name: a, links: [{network: n2, addresses: [\"2001:db8::1/64\"]}]}\n  \
                 - {name: b, links: [{network: n2, addresses: [\"2001:db8:1::1/64\"]}]}",
            ),
            "lab.yaml:8:33: tenants[0].endpoints[1].links[0].addresses: expected other last 64 bits: `a`",
        ),
        // Counts, routes, VXLAN, MTU.
        (
            of("  - {name: n2}", "  - {name: ue, count: 0}"),
            "lab.yaml:7:23: tenants[0].endpoints[0].count: expected 1",
        ),
        (
            of("  - {name: n2}", "  - {name: ue, count: 16385}"),
            "lab.yaml:7:23: tenants[0].endpoints[0].count",
        ),
        (
            of("  - {name: n2}", &amf.replace("]}]}", "]}], routes: [{to: 0.0.0.0/0, via: 10.0.1.2}]}")),
            "tenants[0].endpoints[0].routes[0].via: expected a neighbour",
        ),
        (
            of("  - {name: n2}", &amf.replace("]}]}", "]}], routes: [{to: 10.0.0.1/8, via: 10.0.0.2}]}")),
            "tenants[0].endpoints[0].routes[0].to: expected a network such as 10.0.0.0/8",
        ),
        (
            of("  - {name: n2, vxlan: {vni: 0, local: 192.0.2.1, remotes: []}}", ""),
            "lab.yaml:5:29: tenants[0].networks[0].vxlan.vni: expected 1 to 16777215, found 0",
        ),
        (
            of("  - {name: n2, vxlan: {vni: 1, local: 192.0.2.1, remotes: [\"2001:db8::1\"]}}", ""),
            "tenants[0].networks[0].vxlan.remotes[0]: expected an address of the same version",
        ),
        (
            of("  - {name: n2, mtu: 100}", ""),
            "lab.yaml:5:21: tenants[0].networks[0].mtu: expected 1280 to 65535",
        ),
        (of("  - {name: n2, mut: 100}", ""), "lab.yaml:5:16: tenants[0].networks[0]"),
    ];
    let wrong = cases.iter().filter_map(|(text, expected)| {
        let said = fault(text);
        (!said.contains(expected)).then(|| format!("expected {expected}\nsaid {said}\nof\n{text}"))
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
