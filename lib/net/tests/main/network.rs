//! Up, again, changed, killed, down: what the kernel has then.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tern_net::NetError;

use crate::world::{Net, is_root};

/// Names the network that this test, started once more, brings up until it is killed.
const KILLED: &str = "TERN_NET_TEST_KILLED";

const LAB: &str = "
tenants:
- name: red
  networks:
  - {name: n2}
  - {name: n6, cable: true}
  endpoints:
  - name: amf
    forward: true
    links:
    - {network: n2, addresses: [10.99.2.1/24, \"2001:db8:2::1/64\"]}
    - {network: n6, addresses: [10.99.6.1/24]}
  - name: dn
    links: [{network: n6, addresses: [10.99.6.2/24]}]
    routes: [{to: 10.99.2.0/24, via: 10.99.6.1}]
  - name: gnb
    count: 3
    links: [{network: n2, addresses: [10.99.2.11/24, \"2001:db8:2::11/64\"]}]
    routes: [{to: 0.0.0.0/0, via: 10.99.2.1}]
";

#[test]
fn what_is_declared_is_there_and_a_second_time_nothing_is_done() {
    if !is_root("network::what_is_declared_is_there_and_a_second_time_nothing_is_done") {
        return;
    }
    let net = Net::new();
    assert_eq!(net.up(LAB).make_namespaces.len(), 6);
    net.ok("red.gnb-3", "ping -c 1 -W 2 10.99.2.12");
    net.ok("red.gnb-3", "ping -c 1 -W 2 2001:db8:2::12");
    net.ok("red.gnb-3", "ping -c 1 -W 2 fe80::1%n2");
    // Through the AMF's namespace, which forwards.
    net.ok("red.gnb-3", "ping -c 1 -W 2 10.99.6.2");
    let again = net.up(LAB);
    assert!(again.is_empty(), "{again}");
    tern_net::down(&net.name, false).unwrap();
    assert_eq!(net.left(), Vec::<String>::new());
    assert_eq!(tern_net::down(&net.name, false).unwrap(), 0);
}

#[test]
fn when_the_file_changes_then_the_kernel_follows() {
    if !is_root("network::when_the_file_changes_then_the_kernel_follows") {
        return;
    }
    let net = Net::new();
    net.up(LAB);
    let changed = LAB
        .replace("count: 3", "count: 2")
        .replace("10.99.6.2/24", "10.99.6.9/24")
        .replace("{name: n2}", "{name: n2, mtu: 1400}")
        .replace("forward: true", "forward: false")
        .replace("10.99.2.0/24, via", "10.99.0.0/16, via");
    let plan = net.up(&changed);
    assert!(plan.make_namespaces.is_empty() && plan.make_pairs.is_empty(), "{plan}");
    assert_eq!(plan.remove_namespaces.len(), 1);
    assert!(!net.left().contains(&net.namespace("red.gnb-3")));
    assert!(net.ok("red.gnb-2", "ip link show n2").contains("mtu 1400"));
    let addresses = net.ok("red.dn", "ip -4 addr show n6");
    assert!(addresses.contains("10.99.6.9/24") && !addresses.contains("10.99.6.2/24"), "{addresses}");
    assert_eq!(net.ok("red.amf", "cat /proc/sys/net/ipv4/ip_forward"), "0\n");
    let routes = net.ok("red.dn", "ip route");
    assert!(routes.contains("10.99.0.0/16 via 10.99.6.1") && !routes.contains("10.99.2.0/24"), "{routes}");
    let again = net.up(&changed);
    assert!(again.is_empty(), "{again}");
}

#[test]
fn when_something_inside_is_broken_then_up_mends_it_and_leaves_what_is_not_its_own() {
    if !is_root("network::when_something_inside_is_broken_then_up_mends_it_and_leaves_what_is_not_its_own") {
        return;
    }
    let net = Net::new();
    net.up(LAB);
    net.ok("red.gnb-1", "ip link del n2");
    net.ok("red.gnb-2", "ip addr flush dev n2");
    net.ok("red.gnb-3", "ip link set n2 down");
    net.ok("red.dn", "ip tuntap add tun0 mode tun");
    net.ok("red.dn", "ip route add 10.77.0.0/16 via 10.99.6.1");
    net.up(LAB);
    for gnb in ["red.gnb-1", "red.gnb-2", "red.gnb-3"] {
        net.ok(gnb, "ping -c 1 -W 2 10.99.6.2");
        net.ok(gnb, "ping -c 1 -W 2 2001:db8:2::1");
    }
    net.ok("red.dn", "ip link show tun0");
    assert!(net.ok("red.dn", "ip route").contains("10.77.0.0/16"));
    let again = net.up(LAB);
    assert!(again.is_empty(), "{again}");
}

#[test]
fn when_up_is_killed_midway_then_up_goes_on_and_down_leaves_nothing() {
    const TEST: &str = "network::when_up_is_killed_midway_then_up_goes_on_and_down_leaves_nothing";
    if !is_root(TEST) {
        return;
    }
    let lab = LAB.replace("count: 3", "count: 40");
    if let Ok(name) = std::env::var(KILLED) {
        let declared = tern_net::parse("killed.yaml", &format!("name: {name}\n{lab}")).unwrap();
        drop(tern_net::up(&declared));
        return;
    }
    // Whenever the signal comes, what follows holds: from before the first namespace to after the last one.
    for delay_ms in [4, 8, 12, 16, 24, 32, 48, 64, 96, 128] {
        let net = Net::new();
        let kill = || {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", TEST])
                .env(KILLED, net.name.as_str())
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            std::thread::sleep(Duration::from_millis(delay_ms));
            kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
            child.wait().unwrap();
        };
        kill();
        net.up(&lab);
        let again = net.up(&lab);
        assert!(again.is_empty(), "{again}");
        net.ok("red.gnb-40", "ping -c 1 -W 2 10.99.6.2");
        tern_net::down(&net.name, false).unwrap();
        assert_eq!(net.left(), Vec::<String>::new());
        kill();
        tern_net::down(&net.name, false).unwrap();
        assert_eq!(net.left(), Vec::<String>::new());
    }
}

#[test]
fn when_a_name_was_made_and_no_namespace_then_up_makes_it_and_down_takes_it_away() {
    if !is_root("network::when_a_name_was_made_and_no_namespace_then_up_makes_it_and_down_takes_it_away") {
        return;
    }
    let net = Net::new();
    tern_net::namespace::make_directory().unwrap();
    for left in ["red.gnb-1", "red.gone"] {
        std::fs::File::create(tern_net::namespace::path(&net.namespace(left))).unwrap();
    }
    net.up(LAB);
    net.ok("red.gnb-1", "ping -c 1 -W 2 10.99.2.1");
    tern_net::down(&net.name, false).unwrap();
    assert_eq!(net.left(), Vec::<String>::new());
}

#[test]
fn when_a_process_is_inside_then_down_says_so_and_touches_nothing_unless_it_may_end_it() {
    if !is_root(
        "network::when_a_process_is_inside_then_down_says_so_and_touches_nothing_unless_it_may_end_it",
    ) {
        return;
    }
    let net = Net::new();
    net.up(LAB);
    let mut inside = Command::new("ip")
        .args(["netns", "exec", &net.namespace("red.dn"), "sleep", "1000"])
        .spawn()
        .unwrap();
    // `ip` becomes `sleep` when it is inside.
    let name = format!("/proc/{}/comm", inside.id());
    while std::fs::read_to_string(&name).unwrap() != "sleep\n" {
        std::thread::sleep(Duration::from_millis(1));
    }
    let said = tern_net::down(&net.name, false).unwrap_err().to_string();
    assert!(said.contains(&net.namespace("red.dn")) && said.contains(&inside.id().to_string()), "{said}");
    net.ok("red.gnb-1", "ping -c 1 -W 2 10.99.6.2");
    tern_net::down(&net.name, true).unwrap();
    assert_eq!(net.left(), Vec::<String>::new());
    assert!(!inside.wait().unwrap().success());
}

#[test]
fn when_another_is_at_work_on_a_network_then_up_and_down_say_so() {
    if !is_root("network::when_another_is_at_work_on_a_network_then_up_and_down_say_so") {
        return;
    }
    let net = Net::new();
    let declared = net.declared(LAB);
    // What another process has while it is at work.
    let name = SocketAddr::from_abstract_name(format!("tern-net/{}", net.name)).unwrap();
    let other = UnixDatagram::bind_addr(&name).unwrap();
    assert!(matches!(tern_net::up(&declared), Err(NetError::Busy(_))));
    assert!(matches!(tern_net::down(&net.name, false), Err(NetError::Busy(_))));
    assert_eq!(net.left(), Vec::<String>::new());
    drop(other);
    net.up(LAB);
}
