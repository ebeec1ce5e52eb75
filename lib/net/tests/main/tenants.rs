//! Tenants apart, and a network that goes on in another one by VXLAN.

use crate::world::{Net, is_root};

fn tenant(name: &str, mtu: u16) -> String {
    format!(
        "
- name: {name}
  networks: [{{name: n3, mtu: {mtu}}}]
  endpoints:
  - {{name: upf, links: [{{network: n3, addresses: [10.0.0.1/24, \"2001:db8::1/64\"]}}]}}
  - {{name: gnb, count: 2, links: [{{network: n3, addresses: [10.0.0.11/24, \"2001:db8::11/64\"]}}]}}
"
    )
}

#[test]
fn when_tenants_have_the_same_addresses_then_each_reaches_its_own_alone() {
    if !is_root("tenants::when_tenants_have_the_same_addresses_then_each_reaches_its_own_alone") {
        return;
    }
    let net = Net::new();
    net.up(&format!("tenants:{}{}", tenant("red", 1_400), tenant("blue", 1_400)));
    // The same question, and each time the answer is of the tenant's own: only its UPF's counter moves.
    let received = |tenant: &str| {
        let upf = format!("{tenant}.upf");
        net.ok(&upf, "cat /proc/net/snmp").lines().filter(|line| line.starts_with("Icmp:")).nth(1).map(
            |line| {
                let echos = line.split_whitespace().nth(9).unwrap();
                echos.parse::<u32>().unwrap()
            },
        )
    };
    let before = (received("red"), received("blue"));
    assert_eq!(before, (Some(0), Some(0)));
    net.ok("red.gnb-2", "ping -c 3 -i 0.05 -W 2 10.0.0.1");
    assert_eq!((received("red"), received("blue")), (Some(3), Some(0)));
    net.ok("blue.gnb-1", "ping -c 2 -i 0.05 -W 2 10.0.0.1");
    assert_eq!((received("red"), received("blue")), (Some(3), Some(2)));
    net.ok("blue.gnb-1", "ping -c 1 -W 2 2001:db8::12");
    // What one has and the other one has not, the other one does not reach.
    net.ok("red.upf", "ip addr add 10.0.0.77/24 dev n3");
    net.ok("red.gnb-1", "ping -c 1 -W 2 10.0.0.77");
    assert!(!net.run("blue.gnb-1", "ping -c 1 -W 1 10.0.0.77").0);
}

/// A network with an end at 192.0.2.`end`, in a namespace of another network.
fn site(end: u8, other: u8, underlay: &str, vni: u32) -> String {
    format!(
        "
tenants:
- name: red
  networks: [{{name: n3, vxlan: {{vni: {vni}, local: 192.0.2.{end}, remotes: [192.0.2.{other}], underlay: {underlay}}}}}]
  endpoints: [{{name: gnb, links: [{{network: n3, addresses: [10.0.0.{end}/24]}}]}}]
"
    )
}

#[test]
fn when_a_network_goes_on_elsewhere_by_vxlan_then_its_endpoints_reach_each_other() {
    if !is_root("tenants::when_a_network_goes_on_elsewhere_by_vxlan_then_its_endpoints_reach_each_other") {
        return;
    }
    // What would be two machines are two namespaces with a cable.
    let machines = Net::new();
    machines.up("
tenants:
- name: lab
  networks: [{name: eth0, cable: true, mtu: 1600}]
  endpoints:
  - {name: a, links: [{network: eth0, addresses: [192.0.2.1/24]}]}
  - {name: b, links: [{network: eth0, addresses: [192.0.2.2/24]}]}
");
    let (a, b) = (machines.namespace("lab.a"), machines.namespace("lab.b"));
    let (here, there) = (Net::new(), Net::new());
    here.up(&site(1, 2, &a, 7));
    there.up(&site(2, 1, &b, 7));
    here.ok("red.gnb", "ping -c 1 -W 2 10.0.0.2");
    // Whole packets of the network's MTU, in VXLAN.
    there.ok("red.gnb", "ping -c 1 -W 2 -M do -s 1422 10.0.0.1");
    assert!(here.up(&site(1, 2, &a, 7)).is_empty());
    // Another identifier is another network.
    there.up(&site(2, 1, &b, 8));
    assert!(!here.run("red.gnb", "ping -c 1 -W 1 10.0.0.2").0);
    there.up(&site(2, 1, &b, 7));
    here.ok("red.gnb", "ping -c 1 -W 2 10.0.0.2");
    // Down and up at once: the kernel has let go of the identifier.
    tern_net::down(&here.name, false).unwrap();
    here.up(&site(1, 2, &a, 7));
    here.ok("red.gnb", "ping -c 1 -W 2 10.0.0.2");
}

#[test]
fn when_the_kernel_refuses_a_step_then_up_says_which_one() {
    if !is_root("tenants::when_the_kernel_refuses_a_step_then_up_says_which_one") {
        return;
    }
    let machine = Net::new();
    machine.up("tenants: [{name: lab, endpoints: [{name: a}]}]");
    let underlay = machine.namespace("lab.a");
    let (first, second) = (Net::new(), Net::new());
    first.up(&site(1, 2, &underlay, 7));
    // The identifier is taken in this underlay.
    let said = tern_net::up(&second.declared(&site(1, 2, &underlay, 7))).unwrap_err().to_string();
    assert!(said.contains("vxlan n3.0 of 192.0.2.1") && said.contains("exists"), "{said}");
    second.up(&site(1, 2, &underlay, 8));
}
