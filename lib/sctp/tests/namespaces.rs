//! usrsctp on raw IP, in network namespaces of its own: it sees every SCTP
//! packet of its namespace, so nothing else may run there.

use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tern_sctp::usrsctp::{Encapsulation, UsrsctpBackend, raw_sockets_allowed};
use tern_sctp::{
    Association, ConnectOptions, Event, ListenOptions, PathState, SctpBackend, SctpMode, Timers, choose,
};

use crate::suite::{Fixture, all};
use crate::support::{ports, run, skip};

const CHILD: &str = "TERN_SCTP_TEST_RAW";
const PORT: u16 = 38412;

/// Runs a command and fails the test with what it said.
fn must(command: &str) {
    let words: Vec<&str> = command.split(' ').collect();
    let output = Command::new(words[0]).args(&words[1..]).output().expect(words[0]);
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
}

fn may_make_namespaces() -> bool {
    let made = Command::new("unshare").args(["--net", "true"]).output();
    raw_sockets_allowed() && made.is_ok_and(|output| output.status.success())
}

fn this_test(wrapper: &str, test: &str, role: &str) -> Command {
    let words: Vec<&str> = wrapper.split(' ').collect();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).arg(std::env::current_exe().expect("this test"));
    command.args(["--exact", test, "--nocapture"]).env(CHILD, role);
    command
}

#[test]
fn when_no_packet_comes_then_the_receive_threads_sleep() {
    const TEST: &str = "namespaces::when_no_packet_comes_then_the_receive_threads_sleep";
    if std::env::var(CHILD).is_ok() {
        return receive_threads_sleep();
    }
    if !may_make_namespaces() {
        return skip(&format!("tern-sctp {TEST}"));
    }
    let status = this_test("unshare --net", TEST, "idle").status();
    assert!(status.expect("unshare").success());
}

fn receive_threads_sleep() {
    /// Long enough for two of the ten wake-ups a second that usrsctp has by itself.
    const WINDOW: Duration = Duration::from_millis(250);
    let _stack = UsrsctpBackend::start(Encapsulation::Raw).expect("stack");
    // The first window may see them start.
    let slept = (0..8).any(|_| {
        let before = times_slept("SCTP/");
        std::thread::sleep(WINDOW);
        before.len() >= 2 && before == times_slept("SCTP/")
    });
    assert!(slept, "{:?}", times_slept("SCTP/"));
}

/// How often each thread of this process whose name begins so has gone to sleep.
fn times_slept(name: &str) -> Vec<(String, String)> {
    let tasks = std::fs::read_dir("/proc/self/task").expect("threads");
    let of_task = |task: std::io::Result<std::fs::DirEntry>| {
        let status = std::fs::read_to_string(task.ok()?.path().join("status")).ok()?;
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
        let thread = field("Name:\t")?.to_owned();
        let switches = field("voluntary_ctxt_switches:\t")?.to_owned();
        thread.starts_with(name).then_some((thread, switches))
    };
    let mut all: Vec<_> = tasks.filter_map(of_task).collect();
    all.sort();
    all
}

#[test]
fn raw_conformance() {
    if std::env::var(CHILD).is_ok() {
        return raw_conformance_inside();
    }
    if !may_make_namespaces() {
        return skip("tern-sctp namespaces::raw_conformance");
    }
    let status = this_test("unshare --net", "namespaces::raw_conformance", "suite").status();
    assert!(status.expect("unshare").success());
}

fn raw_conformance_inside() {
    must("ip link set lo up");
    // This kernel may have SCTP: then the choice is not raw by itself.
    let chosen = choose(SctpMode::Raw).expect("raw sockets are allowed");
    assert_eq!(chosen.name, "usrsctp-raw");
    for (name, property) in all() {
        println!("raw {name}");
        let at = Fixture {
            server: chosen.backend.clone(),
            client: chosen.backend.clone(),
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            udp_port: 0,
            port: ports(),
            associations: 200,
        };
        run(property(at));
    }
}

/// Two namespaces, two links between them; taken away when dropped.
struct Networks {
    core: String,
    gnb: String,
}

impl Networks {
    fn make() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let it = Self { core: format!("tsctp-c{number}"), gnb: format!("tsctp-g{number}") };
        let Self { core, gnb } = &it;
        must(&format!("ip netns add {core}"));
        must(&format!("ip netns add {gnb}"));
        for link in [1, 2] {
            must(&format!("ip -n {core} link add c{link} type veth peer name g{link} netns {gnb}"));
            for (namespace, side, host) in [(core, "c", 1), (gnb, "g", 2)] {
                must(&format!("ip -n {namespace} addr add 10.199.{link}.{host}/24 dev {side}{link}"));
                must(&format!("ip -n {namespace} link set {side}{link} up"));
            }
        }
        it
    }
}

impl Drop for Networks {
    fn drop(&mut self) {
        for namespace in [&self.core, &self.gnb] {
            let _ = Command::new("ip").args(["netns", "del", namespace]).status();
        }
    }
}

struct Kill(Child);

impl Drop for Kill {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Reads until a line with this text.
fn wait_for(output: &mut BufReader<ChildStdout>, text: &str) {
    let mut line = String::new();
    while output.read_line(&mut line).expect("readable") > 0 {
        if line.contains(text) {
            return;
        }
        line.clear();
    }
    panic!("the child ended before {text:?}");
}

const PEER: &str = "namespaces::peer";

fn start(namespace: &str, role: &str) -> (Kill, BufReader<ChildStdout>) {
    let mut command = this_test(&format!("ip netns exec {namespace}"), PEER, role);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("child");
    let output = BufReader::new(child.stdout.take().expect("piped"));
    (Kill(child), output)
}

/// A child's side, `core` or `gnb` and addresses; without its variable no test.
#[test]
fn peer() {
    let Ok(role) = std::env::var(CHILD) else { return };
    let mut words = role.split(' ');
    let is_core = words.next() == Some("core");
    let addresses: Vec<IpAddr> = words.map(|word| word.parse().expect("an address")).collect();
    run(async move { if is_core { core(addresses).await } else { gnb(addresses).await } });
}

#[test]
fn when_one_path_is_lost_then_the_association_goes_on() {
    if !may_make_namespaces() {
        return skip("tern-sctp namespaces::when_one_path_is_lost_then_the_association_goes_on");
    }
    let networks = Networks::make();
    let (_core, mut core_says) = start(&networks.core, "core 10.199.1.1 10.199.2.1");
    wait_for(&mut core_says, "listening");
    let (_gnb, mut gnb_says) = start(&networks.gnb, "gnb 10.199.1.1 10.199.1.2 10.199.2.2");
    wait_for(&mut gnb_says, "2 addresses");
    wait_for(&mut gnb_says, "echo 3");
    must(&format!("ip -n {} link set c1 down", networks.core));
    wait_for(&mut gnb_says, "unreachable 10.199.1.1");
    wait_for(&mut gnb_says, "echo");
}

#[test]
fn when_two_raw_stacks_meet_on_loopback_then_neither_aborts_the_other() {
    if !may_make_namespaces() {
        return skip(
            "tern-sctp namespaces::when_two_raw_stacks_meet_on_loopback_then_neither_aborts_the_other",
        );
    }
    let networks = Networks::make();
    must(&format!("ip -n {} link set lo up", networks.core));
    let (_core, mut core_says) = start(&networks.core, "core 127.0.0.16");
    wait_for(&mut core_says, "listening");
    let (_gnb, mut gnb_says) = start(&networks.core, "gnb 127.0.0.16 127.0.0.1");
    let (_other, mut other_says) = start(&networks.core, "gnb 127.0.0.16 127.0.0.1");
    wait_for(&mut gnb_says, "echo 10");
    wait_for(&mut other_says, "echo 10");
}

fn timers() -> Timers {
    let (fast, slow) = (Duration::from_millis(100), Duration::from_millis(400));
    let base = Timers { path_retransmissions_max: 2, ..Timers::default() };
    Timers { rto_initial: fast, rto_min: fast, rto_max: slow, heartbeat: fast, ..base }
}

async fn core(addresses: Vec<IpAddr>) {
    let backend = UsrsctpBackend::start(Encapsulation::Raw).expect("stack");
    let mut options = ListenOptions::new(addresses, PORT);
    options.timers = timers();
    let mut listener = backend.listen(options).expect("listen");
    println!("listening");
    loop {
        let association = listener.accept().await.expect("accept");
        tokio::spawn(echo(association));
    }
}

async fn echo(mut association: Association) {
    loop {
        match association.recv().await {
            Event::Message(message) => {
                association.send(message.data, message.stream, message.ppid, false).await.expect("echo");
            }
            Event::Lost(_) => return,
            _ => {}
        }
    }
}

/// The core's address, then our own.
async fn gnb(mut addresses: Vec<IpAddr>) {
    let backend = UsrsctpBackend::start(Encapsulation::Raw).expect("stack");
    let mut options = ConnectOptions::new(vec![SocketAddr::new(addresses.remove(0), PORT)]);
    options.local = addresses;
    options.timers = timers();
    let mut association = backend.connect(options).await.expect("connect");
    println!("{} addresses", association.info().peer.len());
    for number in 0.. {
        association.send(Bytes::from(format!("echo {number}")), 0, 60, false).await.expect("send");
        loop {
            match association.recv().await {
                Event::Message(message) => {
                    println!("{}", String::from_utf8_lossy(&message.data));
                    break;
                }
                Event::PathChange { address, state: PathState::Unreachable } => {
                    println!("unreachable {}", address.ip());
                }
                Event::Lost(cause) => panic!("{cause}"),
                _ => {}
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
