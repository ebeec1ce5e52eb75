//! The comparison of what is declared with what is found: values, no kernel.

use tern_net::declared::{Declared, End, Kind};
use tern_net::found::{Found, FoundKind, FoundLink, FoundNamespace};
use tern_net::{Plan, Setting};

const TEXT: &str = "
name: lab
tenants:
- name: red
  networks:
  - {name: n2}
  - {name: n3, cable: true}
  - {name: n6, vxlan: {vni: 9, local: 192.0.2.1, remotes: [192.0.2.2]}}
  endpoints:
  - {name: a, forward: true, links: [{network: n2, addresses: [10.0.2.1/24]}, {network: n3, addresses: [10.0.3.1/24]}]}
  - name: b
    links: [{network: n2, addresses: [10.0.2.2/24]}, {network: n3}, {network: n6}]
    routes: [{to: 10.0.3.0/24, via: 10.0.2.1}]
";

fn declared() -> Declared {
    tern_net::parse("lab.yaml", TEXT).unwrap_or_else(|error| panic!("{error}"))
}

/// The kernel as it is when all of `declared` is there.
fn found(declared: &Declared) -> Found {
    let index = |end: &End| {
        let links = declared.namespaces[&end.namespace].links.keys();
        2 + u32::try_from(links.take_while(|link| **link != end.link).count()).unwrap()
    };
    let namespaces = declared.namespaces.iter().map(|(name, namespace)| {
        let links = namespace.links.iter().map(|(link, wanted)| {
            let end = End { namespace: name.clone(), link: link.clone() };
            let (kind, mac) = match &wanted.kind {
                Kind::Bridge => (FoundKind::Bridge, vec![0; 6]),
                Kind::Vxlan(vxlan) => {
                    let remotes = vxlan.remotes.clone();
                    (
                        FoundKind::Vxlan {
                            vni: vxlan.vni,
                            local: Some(vxlan.local),
                            port: vxlan.port,
                            remotes,
                        },
                        vec![0; 6],
                    )
                }
                Kind::Veth(far) => (FoundKind::Veth { peer: index(far) }, end.mac(far).to_vec()),
            };
            let found = FoundLink {
                index: index(&end),
                kind,
                mac,
                mtu: wanted.mtu,
                up: true,
                bridge: wanted.bridge.clone(),
                addresses: wanted.addresses.clone(),
            };
            (link.clone(), found)
        });
        let routes = namespace.routes.iter().map(|(to, via)| (*to, *via)).collect();
        (name.clone(), FoundNamespace { forwarding: namespace.forwarding, links: links.collect(), routes })
    });
    namespaces.collect()
}

/// The plan when the kernel differs by what `change` does to it.
fn after(change: impl FnOnce(&mut Found)) -> String {
    let declared = declared();
    let mut found = found(&declared);
    change(&mut found);
    Plan::of(&declared, &found).to_string()
}

fn link<'a>(found: &'a mut Found, namespace: &str, link: &str) -> &'a mut FoundLink {
    found.get_mut(namespace).unwrap().links.get_mut(link).unwrap()
}

#[test]
fn when_all_is_there_then_nothing_is_done() {
    assert_eq!(after(|_| {}), "");
    assert!(Plan::of(&declared(), &found(&declared())).is_empty());
}

#[test]
fn when_nothing_is_there_then_all_is_made() {
    let plan = Plan::of(&declared(), &Found::new());
    assert_eq!(plan.make_namespaces.len(), 3);
    assert_eq!(plan.make_switches["tern.lab.red"].len(), 3);
    // Pairs are made from the port, a cable from its first end.
    assert_eq!(plan.make_pairs["tern.lab.red"].len(), 3);
    assert_eq!(plan.make_pairs["tern.lab.red.a"].len(), 1);
    assert_eq!(plan.make_pairs.len(), 2);
    assert!(plan.remove_links.is_empty() && plan.remove_namespaces.is_empty());
    assert_eq!(
        plan.settings["tern.lab.red.b"].last(),
        Some(&Setting::Route("10.0.3.0/24".parse().unwrap(), "10.0.2.1".parse().unwrap()))
    );
    assert!(plan.settings["tern.lab.red.a"].contains(&Setting::Forwarding(true)));
}

#[test]
fn when_one_end_of_a_pair_is_gone_then_the_pair_is_made_anew_with_what_it_carried() {
    let plan = after(|found| {
        found.get_mut("tern.lab.red.b").unwrap().links.remove("n2");
    });
    assert_eq!(
        plan,
        "- link tern.lab.red/n2.b\n\
         + pair tern.lab.red/n2.b tern.lab.red.b/n2 mtu 1500\n\
         ~ link tern.lab.red.b/n2 up\n\
         + address tern.lab.red.b/n2 10.0.2.2/24\n\
         + route tern.lab.red.b 10.0.3.0/24 via 10.0.2.1\n"
    );
}

#[test]
fn when_an_end_belongs_to_another_pair_then_both_are_made_anew() {
    let plan = after(|found| link(found, "tern.lab.red.a", "n3").mac[5] ^= 1);
    assert!(plan.contains("- link tern.lab.red.a/n3\n- link tern.lab.red.b/n3\n"), "{plan}");
    assert!(plan.contains("+ pair tern.lab.red.a/n3 tern.lab.red.b/n3 mtu 1500\n"), "{plan}");
    let plan = after(|found| link(found, "tern.lab.red.a", "n3").kind = FoundKind::Veth { peer: 77 });
    assert!(plan.contains("+ pair tern.lab.red.a/n3"), "{plan}");
}

#[test]
fn when_a_namespace_is_no_longer_declared_then_it_goes() {
    let plan = after(|found| {
        found.insert("tern.lab.red.c".to_owned(), FoundNamespace::default());
    });
    assert_eq!(plan, "- namespace tern.lab.red.c\n");
}

#[test]
fn when_a_link_is_not_declared_then_it_goes_unless_a_process_inside_made_it() {
    let plan = after(|found| {
        let mut old = link(found, "tern.lab.red", "n2").clone();
        found.get_mut("tern.lab.red").unwrap().links.insert("n9".to_owned(), old.clone());
        old.kind = FoundKind::Other;
        found.get_mut("tern.lab.red.b").unwrap().links.insert("tun0".to_owned(), old);
    });
    assert_eq!(plan, "- link tern.lab.red/n9\n");
}

#[test]
fn when_a_setting_differs_then_it_alone_is_set() {
    type Change = fn(&mut Found);
    let cases: [(Change, &str); 8] = [
        (|found| link(found, "tern.lab.red.a", "n2").mtu = 1_280, "~ link tern.lab.red.a/n2 mtu 1500\n"),
        (|found| link(found, "tern.lab.red.a", "n2").up = false, "~ link tern.lab.red.a/n2 up\n"),
        (|found| link(found, "tern.lab.red", "n2.a").bridge = None, "~ link tern.lab.red/n2.a bridge n2\n"),
        (
            |found| link(found, "tern.lab.red.b", "n3").bridge = Some("x".to_owned()),
            "~ link tern.lab.red.b/n3 no bridge\n+ route tern.lab.red.b 10.0.3.0/24 via 10.0.2.1\n",
        ),
        (
            |found| {
                let addresses = &mut link(found, "tern.lab.red.a", "n2").addresses;
                *addresses = ["10.0.2.9/24".parse().unwrap()].into();
            },
            "- address tern.lab.red.a/n2 10.0.2.9/24\n+ address tern.lab.red.a/n2 10.0.2.1/24\n",
        ),
        (
            |found| {
                let FoundKind::Vxlan { remotes, .. } = &mut link(found, "tern.lab.red", "n6.0").kind else {
                    return;
                };
                *remotes = ["192.0.2.3".parse().unwrap()].into();
            },
            "- remote tern.lab.red/n6.0 192.0.2.3\n+ remote tern.lab.red/n6.0 192.0.2.2\n",
        ),
        (
            |found| found.get_mut("tern.lab.red.a").unwrap().forwarding = false,
            "~ forwarding tern.lab.red.a true\n",
        ),
        (
            |found| {
                let routes = &mut found.get_mut("tern.lab.red.b").unwrap().routes;
                *routes = [("10.9.0.0/16".parse().unwrap(), "10.0.2.1".parse().unwrap())].into();
            },
            "- route tern.lab.red.b 10.9.0.0/16 via 10.0.2.1\n+ route tern.lab.red.b 10.0.3.0/24 via 10.0.2.1\n",
        ),
    ];
    for (change, expected) in cases {
        assert_eq!(after(change), expected);
    }
}

#[test]
fn when_a_vxlan_has_another_identifier_then_it_is_made_anew() {
    let plan = after(|found| {
        let FoundKind::Vxlan { vni, .. } = &mut link(found, "tern.lab.red", "n6.0").kind else { return };
        *vni = 10;
    });
    assert!(plan.starts_with("- link tern.lab.red/n6.0\n+ vxlan tern.lab.red/n6.0 mtu 1450 vni 9"), "{plan}");
    assert!(plan.ends_with("+ remote tern.lab.red/n6.0 192.0.2.2\n"), "{plan}");
}
