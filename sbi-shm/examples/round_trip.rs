//! Round trips between two processes: direct rings, rings through the manager, and TCP in turn; both
//! ends on one processor, then on one each. The manager may run on any.
//!
//! `cargo run --release -p sbi-shm --example round_trip [octets] [rounds]`

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_setaffinity};
use sbi_shm::manager::{Domain, Manager, ManagerOptions};
use sbi_shm::{AttachOptions, ConnectOptions, ListenOptions, Stack};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [role, socket, cpu, octets] = &arguments[..]
        && role == "serve"
    {
        pin(cpu.parse().expect("a processor"));
        return serve(socket, octets.parse().expect("octets"));
    }
    let number = |at: usize, or: usize| arguments.get(at).map_or(or, |text| text.parse().expect("a number"));
    let (octets, rounds) = (number(0, 64), number(1, 20_000));
    let socket = format!("@sbi-shm-example-{}", std::process::id());
    for forward in [false, true] {
        manage(&socket, forward);
    }
    for cpu in [0, 1] {
        pin(0);
        let mut child = start(&socket, cpu, octets);
        std::thread::sleep(Duration::from_millis(200));
        let place = if cpu == 0 { "one processor " } else { "two processors" };
        for (forward, name) in [(false, "direct rings        "), (true, "through the manager ")] {
            let options = AttachOptions::new(named(&socket, forward), "client");
            let stack = Stack::attach(&options).expect("the manager");
            let stream = stack.connect(shared(), &ConnectOptions::default()).expect("the server");
            measure(&format!("{place}  {name}"), stream, octets, rounds);
        }
        let stream = TcpStream::connect(kernel()).expect("the server");
        stream.set_nodelay(true).expect("no delay");
        measure(&format!("{place}  TCP                 "), stream, octets, rounds);
        child.kill().expect("our child");
        child.wait().expect("our child");
    }
}

/// The socket of the manager that forwards, and of the one that does not.
fn named(socket: &str, forward: bool) -> String {
    if forward { format!("{socket}-forward") } else { socket.to_owned() }
}

/// Runs a manager, in threads that are on no processor in particular.
fn manage(socket: &str, forward: bool) {
    let user = rustix::process::geteuid().as_raw();
    let domain = Domain::new("example", user, vec!["127.0.0.0/8".parse().expect("a range")]);
    let domains = vec![Domain { forward, ..domain }];
    let options = ManagerOptions { domains, ..ManagerOptions::new(named(socket, forward)) };
    let manager = Manager::bind(options).expect("a manager");
    std::thread::spawn(move || manager.run(|_| {}));
}

fn shared() -> SocketAddr {
    "127.0.0.1:80".parse().expect("an address")
}

fn kernel() -> SocketAddr {
    "127.0.0.1:18080".parse().expect("an address")
}

fn pin(cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, &set).expect("the processor exists");
}

fn start(socket: &str, cpu: usize, octets: usize) -> Child {
    let program = std::env::current_exe().expect("this program");
    let arguments = ["serve", socket, &cpu.to_string(), &octets.to_string()];
    Command::new(program).args(arguments).spawn().expect("it starts")
}

fn serve(socket: &str, octets: usize) {
    let listeners = [false, true].map(|forward| {
        let options = AttachOptions::new(named(socket, forward), "server");
        let stack = Stack::attach(&options).expect("the manager");
        stack.listen(shared(), &ListenOptions::default()).expect("granted")
    });
    let kernel = TcpListener::bind(kernel()).expect("a port");
    let tcp = std::thread::spawn(move || {
        let (stream, _) = kernel.accept().expect("a client");
        stream.set_nodelay(true).expect("no delay");
        echo(stream, octets);
    });
    for listener in listeners {
        let (stream, _) = listener.accept().expect("a client");
        echo(stream, octets);
    }
    tcp.join().expect("no panic");
}

fn echo(mut stream: impl Read + Write, octets: usize) {
    let mut buffer = vec![0; octets];
    while stream.read_exact(&mut buffer).is_ok() && stream.write_all(&buffer).is_ok() {}
}

fn measure(name: &str, mut stream: impl Read + Write, octets: usize, rounds: usize) {
    let mut buffer = vec![0; octets];
    let mut times: Vec<Duration> = (0..rounds)
        .map(|_| {
            let started = Instant::now();
            stream.write_all(&buffer).expect("the server lives");
            stream.read_exact(&mut buffer).expect("the server lives");
            started.elapsed()
        })
        .collect();
    times.sort_unstable();
    let at = |permille: usize| times[rounds * permille / 1000].as_secs_f64() * 1e6;
    println!("{name}  {octets} octets: p50 {:.2} us, p99 {:.2} us", at(500), at(990));
}
