//! Endpoints that share a namespace: each has its own addresses alone.
//!
//! What a process as an endpoint does is done by this binary started once more: it becomes the endpoint and
//! says what came of it.

use std::io::{ErrorKind, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;

use crate::world::{Net, is_root};

const LAB: &str = "
tenants:
- name: red
  networks: [{name: n3}, {name: n6}]
  endpoints:
  - {name: ue, count: 2, namespace: ues, links: [{network: n3, addresses: [10.0.3.1/24, \"2001:db8:3::1/64\"]}]}
  - name: host
    namespace: ues
    links:
    - {network: n3, addresses: [10.0.3.9/24]}
    - {network: n6, addresses: [10.0.6.9/24]}
    routes: [{to: 10.9.0.0/16, via: 10.0.6.20}]
  - {name: upf, forward: true, links: [{network: n3, addresses: [10.0.3.20/24, \"2001:db8:3::20/64\"]}, {network: n6, addresses: [10.0.6.20/24]}]}
";
/// What a process started once more does: the network's name, the endpoint and what it tries.
const AS: &str = "TERN_NET_TEST_AS";
const TEST: &str = "confine::when_endpoints_share_a_namespace_then_each_has_its_own_addresses_alone";

/// What comes of `attempt` as an endpoint: words that end a line beginning with `RESULT`.
fn tried(net: &Net, endpoint: &str, attempt: &str) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", TEST, "--nocapture"])
        .env(AS, format!("{} {endpoint} {attempt}", net.name))
        .output()
        .unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let result =
        said.lines().find_map(|line| line.split_once("RESULT ")).map(|(_, result)| result.to_owned());
    result.unwrap_or_else(|| panic!("{endpoint} {attempt}: {said}"))
}

/// Becomes the endpoint and tries.
fn child(task: &str) {
    let words: Vec<&str> = task.split(' ').collect();
    let [name, endpoint, what, address] = words.as_slice() else { panic!("{task}") };
    let declared = tern_net::parse("test.yaml", &format!("name: {name}\n{LAB}")).unwrap();
    tern_net::enter(&declared, endpoint).unwrap();
    let address: SocketAddr = address.parse().unwrap();
    let any: IpAddr = if address.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    let result = match *what {
        "listen" => TcpListener::bind(address).and_then(|socket| socket.local_addr()),
        "bind" => UdpSocket::bind(address).and_then(|socket| socket.local_addr()),
        // Without an address of its own, until the kernel chooses.
        "connect" => TcpStream::connect(address).and_then(|socket| socket.local_addr()),
        "send" => UdpSocket::bind((any, 0)).and_then(|socket| {
            socket.send_to(b"x", address)?;
            socket.local_addr()
        }),
        other => panic!("{other}"),
    };
    let said = match result {
        Ok(local) => local.ip().to_string(),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => "refused".to_owned(),
        Err(error) => error.to_string(),
    };
    std::io::stdout().write_all(format!("\nRESULT {said}\n").as_bytes()).unwrap();
}

#[test]
fn when_endpoints_share_a_namespace_then_each_has_its_own_addresses_alone() {
    if let Ok(task) = std::env::var(AS) {
        return child(&task);
    }
    if !is_root(TEST) {
        return;
    }
    let net = Net::new();
    net.up(LAB);
    // Somebody to connect to, on every address of the UPF's namespace.
    let (ready, is_ready) = std::sync::mpsc::channel();
    let namespace = net.namespace("red.upf");
    let server = std::thread::spawn(move || {
        tern_net::namespace::enter(&namespace).unwrap();
        let listener = TcpListener::bind("[::]:80").unwrap();
        ready.send(()).unwrap();
        // One for each `connect` below.
        let peers: Vec<IpAddr> = (0..5).map(|_| listener.accept().unwrap().1.ip().to_canonical()).collect();
        peers
    });
    is_ready.recv().unwrap();
    let cases = [
        // Any address is the endpoint's own.
        ("red/ue-1", "listen 0.0.0.0:7", "10.0.3.1"),
        ("red/ue-2", "listen 0.0.0.0:7", "10.0.3.2"),
        ("red/ue-2", "bind 0.0.0.0:7", "10.0.3.2"),
        ("red/ue-2", "listen [::]:7", "2001:db8:3::2"),
        ("red/host", "listen [::]:7", "::ffff:10.0.3.9"),
        // Its own address is its own, another one's is not, nor is what all in the namespace have.
        ("red/ue-1", "listen 10.0.3.1:7", "10.0.3.1"),
        ("red/ue-1", "bind [2001:db8:3::1]:7", "2001:db8:3::1"),
        ("red/host", "bind 10.0.6.9:7", "10.0.6.9"),
        ("red/ue-1", "listen 10.0.3.2:7", "refused"),
        ("red/ue-1", "bind 10.0.3.9:7", "refused"),
        ("red/ue-1", "bind [2001:db8:3::2]:7", "refused"),
        ("red/ue-1", "bind [::ffff:10.0.3.2]:7", "refused"),
        ("red/ue-1", "bind 127.0.0.1:7", "refused"),
        // A source that the kernel chooses is the one for the way.
        ("red/ue-1", "connect 10.0.3.20:80", "10.0.3.1"),
        ("red/ue-2", "connect 10.0.3.20:80", "10.0.3.2"),
        ("red/ue-2", "connect [2001:db8:3::20]:80", "2001:db8:3::2"),
        ("red/ue-2", "connect [::ffff:10.0.3.20]:80", "::ffff:10.0.3.2"),
        ("red/host", "connect 10.0.6.20:80", "10.0.6.9"),
        ("red/ue-2", "send 10.0.3.20:9", "10.0.3.2"),
        ("red/ue-2", "send [2001:db8:3::20]:9", "2001:db8:3::2"),
    ];
    for (endpoint, attempt, expected) in cases {
        assert_eq!(tried(&net, endpoint, attempt), expected, "{endpoint} {attempt}");
    }
    let peers = server.join().unwrap();
    let expected = ["10.0.3.1", "10.0.3.2", "2001:db8:3::2", "10.0.3.2", "10.0.6.9"];
    assert_eq!(peers, expected.map(|peer| peer.parse::<IpAddr>().unwrap()));
    // One with a namespace of its own is not confined beyond that.
    assert_eq!(tried(&net, "red/upf", "bind 127.0.0.1:7"), "127.0.0.1");
    tern_net::down(&net.name, false).unwrap();
    assert_eq!(net.left(), Vec::<String>::new());
    assert_eq!(net.left_of_confinement(), Vec::<String>::new());
}
