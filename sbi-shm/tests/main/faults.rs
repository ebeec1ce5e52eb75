//! Processes that die or stop in the midst of traffic.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sbi_shm::{ConnectError, ConnectOptions, ListenOptions, PoolShape, ShmListener, ShmStream, Stack};

use crate::child::{PATIENCE, Process, until};
use crate::node::{Direct as Node, at, unused_socket};

const CONNECTIONS: usize = 64;

fn connect(stack: &Stack, to: SocketAddr) -> ShmStream {
    stack.connect(to, &ConnectOptions::default()).unwrap()
}

/// Connects as soon as somebody listens there.
fn connect_when_possible(stack: &Stack, to: SocketAddr) -> ShmStream {
    let started = Instant::now();
    loop {
        match stack.connect(to, &ConnectOptions::default()) {
            Ok(stream) => return stream,
            Err(error) => assert!(started.elapsed() < PATIENCE, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Both ends of a new connection.
fn connected(client: &Stack, listener: &ShmListener) -> (ShmStream, ShmStream) {
    std::thread::scope(|scope| {
        let accepting = scope.spawn(|| listener.accept().unwrap().0);
        let near = connect_when_possible(client, listener.local_addr());
        (near, accepting.join().unwrap())
    })
}

fn echoes(stream: &mut ShmStream) {
    let mut got = [0; 4];
    stream.write_all(b"ping").unwrap();
    stream.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"ping");
}

fn all_is_home(stack: &Stack) {
    until("every buffer at home, no connection left", || {
        let (free, all) = stack.pool_level();
        free == all && stack.counters().connections == 0
    });
}

/// Room for so many connections.
fn node_of_many() -> Node {
    Node::with_pool(PoolShape { buffers: 1024, buffer_size: 1024 })
}

#[test]
fn when_a_server_is_killed_then_every_connection_is_reset_and_its_successor_is_reached() {
    let node = node_of_many();
    let to = at("127.0.0.1:80");
    let mut server = Process::start("echo", &[node.socket(), "127.0.0.1:80"]);
    server.expect("ready");
    let stack = node.attach("client");
    let exchanged = AtomicUsize::new(0);
    let streams: Vec<_> = (0..CONNECTIONS).map(|_| connect(&stack, to)).collect();
    let slowest = std::thread::scope(|scope| {
        let threads: Vec<_> = streams
            .into_iter()
            .map(|mut stream| {
                let exchanged = &exchanged;
                scope.spawn(move || {
                    let mut buffer = [3; 1500];
                    loop {
                        let exchange = stream.write_all(&buffer);
                        if let Err(error) = exchange.and_then(|()| stream.read_exact(&mut buffer)) {
                            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
                            let at = Instant::now();
                            assert_eq!(
                                stream.read(&mut buffer).unwrap_err().kind(),
                                ErrorKind::ConnectionReset
                            );
                            return at;
                        }
                        exchanged.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        until("traffic", || exchanged.load(Ordering::Relaxed) > 10 * CONNECTIONS);
        let killed = server.kill();
        threads.into_iter().map(|thread| thread.join().unwrap() - killed).max().unwrap()
    });
    println!("the last of {CONNECTIONS} connections was reset {slowest:?} after SIGKILL of the server");
    assert!(slowest < Duration::from_secs(5));
    all_is_home(&stack);
    assert_eq!((stack.counters().peers, stack.counters().peers_lost), (0, 1));
    let mut server = Process::start("echo", &[node.socket(), "127.0.0.1:80"]);
    server.expect("ready");
    echoes(&mut connect(&stack, to));
}

#[test]
fn when_a_client_is_killed_then_every_connection_is_reset() {
    let node = node_of_many();
    let stack = node.attach("server");
    let listener = stack.listen(at("127.0.0.1:80"), &ListenOptions::default()).unwrap();
    let exchanged = AtomicUsize::new(0);
    let count = CONNECTIONS.to_string();
    let mut client = Process::start("clients", &[node.socket(), "127.0.0.1:80", &count]);
    let slowest = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                let (mut stream, _) = listener.accept().unwrap();
                let exchanged = &exchanged;
                scope.spawn(move || {
                    let mut buffer = [0; 1000];
                    loop {
                        let exchange = stream.read_exact(&mut buffer);
                        if let Err(error) = exchange.and_then(|()| stream.write_all(&buffer)) {
                            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
                            return Instant::now();
                        }
                        exchanged.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        client.expect("ready");
        until("traffic", || exchanged.load(Ordering::Relaxed) > 10 * CONNECTIONS);
        let killed = client.kill();
        threads.into_iter().map(|thread| thread.join().unwrap() - killed).max().unwrap()
    });
    println!("the last of {CONNECTIONS} connections was reset {slowest:?} after SIGKILL of the client");
    assert!(slowest < Duration::from_secs(5));
    all_is_home(&stack);
}

#[test]
fn when_a_process_dies_with_buffers_that_it_received_then_none_is_missing() {
    let node = Node::with_pool(PoolShape { buffers: 8, buffer_size: 64 });
    let stack = node.attach("sender");
    for _ in 0..3 {
        let mut holder = Process::start("hold", &[node.socket(), "127.0.0.1:80", "8"]);
        holder.expect("ready");
        let mut stream = connect_when_possible(&stack, at("127.0.0.1:80"));
        for number in 0..8 {
            stream.write_all(&[number; 64]).unwrap();
        }
        holder.expect("holding");
        assert_eq!(stack.pool_level(), (0, 8));
        assert_eq!(stream.try_write(b"no buffer is left").unwrap(), 0);
        holder.kill();
        assert_eq!(stream.write(b"x").unwrap_err().kind(), ErrorKind::ConnectionReset);
        drop(stream);
        all_is_home(&stack);
    }
}

#[test]
fn when_a_process_dies_with_loans_then_what_it_sent_is_still_read() {
    let node = Node::new();
    let stack = node.attach("receiver");
    let listener = stack.listen(at("127.0.0.1:80"), &ListenOptions::default()).unwrap();
    let mut lender = Process::start("lend", &[node.socket(), "127.0.0.1:80"]);
    let (mut stream, _) = listener.accept().unwrap();
    let mut first = stream.receive().unwrap().unwrap();
    lender.expect("lending");
    lender.kill();
    until("the peer is lost", || {
        stack.pool_level();
        stack.counters().peers == 0
    });
    let mut text = Vec::new();
    first.append_to(&mut text);
    assert_eq!(text, b"one");
    drop(first);
    // What came before its death is read; then the stream says that it was not ended.
    let mut rest = Vec::new();
    assert_eq!(stream.read_to_end(&mut rest).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(rest, b"twothree");
    drop(stream);
    all_is_home(&stack);
}

#[test]
fn when_the_manager_dies_then_connections_go_on_and_its_successor_takes_over() {
    const OCTETS: usize = 20_000_000;
    let socket = unused_socket();
    let user = rustix::process::geteuid().as_raw().to_string();
    let start = || {
        let mut manager = Process::start("manager", &[&socket, &user]);
        manager.expect("ready");
        manager
    };
    let mut manager = start();
    let node = Node::at(&socket);
    let (server, client) = (node.attach("server"), node.attach("client"));
    let identity = client.node();
    let to = at("127.0.0.1:80");
    let listener = server.listen(to, &ListenOptions::default()).unwrap();
    let (near, far) = connected(&client, &listener);
    let moved = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let moving: Vec<_> = [(&near, &far), (&far, &near)]
            .into_iter()
            .flat_map(|(mut from, mut into)| {
                let moved = &moved;
                let writer = scope.spawn(move || from.write_all(&vec![5; OCTETS]).unwrap());
                let reader = scope.spawn(move || {
                    let (mut buffer, mut got) = (vec![0; 8192], 0);
                    while got < OCTETS {
                        let n = into.read(&mut buffer).unwrap();
                        assert!(n > 0 && buffer[..n].iter().all(|octet| *octet == 5));
                        got += n;
                        moved.fetch_add(n, Ordering::Relaxed);
                    }
                });
                [writer, reader]
            })
            .collect();
        until("traffic", || moved.load(Ordering::Relaxed) > OCTETS / 10);
        manager.kill();
        until("its absence is noticed", || !client.is_managed() && !server.is_managed());
        // Who is known is reached without it; who is not, is not.
        drop(connected(&client, &listener));
        let unknown = client.connect(at("127.0.0.1:81"), &ConnectOptions::default());
        assert!(matches!(unknown, Err(ConnectError::NoManager)));
        moving.into_iter().for_each(|thread| thread.join().unwrap());
    });

    let _manager = start();
    until("the stacks come back by themselves", || client.is_managed() && server.is_managed());
    let newcomer = node.attach("newcomer");
    assert_eq!((newcomer.node(), client.node()), (identity, identity));
    // A listener of before, reached by a newcomer.
    drop(connected(&newcomer, &listener));
    // A new listener, reached over a pair of before and over a new one.
    let new = server.listen(at("127.0.0.1:82"), &ListenOptions::default()).unwrap();
    drop((connected(&client, &new), connected(&newcomer, &new)));
    let of_newcomer = newcomer.listen(at("127.0.0.1:83"), &ListenOptions::default()).unwrap();
    drop(connected(&client, &of_newcomer));
    drop((near, far));
    assert_eq!((client.counters().resets, server.counters().resets), (0, 0));
}

#[test]
fn when_a_peer_dies_while_there_is_no_manager_then_its_successor_is_reached() {
    let socket = unused_socket();
    let user = rustix::process::geteuid().as_raw().to_string();
    let mut manager = Process::start("manager", &[&socket, &user]);
    manager.expect("ready");
    let node = Node::at(&socket);
    let stack = node.attach("client");
    let to = at("127.0.0.1:80");
    let mut server = Process::start("echo", &[&socket, "127.0.0.1:80"]);
    server.expect("ready");
    let mut stream = connect(&stack, to);
    echoes(&mut stream);
    manager.kill();
    server.kill();
    assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    let mut manager = Process::start("manager", &[&socket, &user]);
    manager.expect("ready");
    until("the stack comes back", || stack.is_managed());
    let unknown = stack.connect(to, &ConnectOptions::default());
    assert!(matches!(unknown, Err(ConnectError::Unknown(_))));
    let mut server = Process::start("echo", &[&socket, "127.0.0.1:80"]);
    server.expect("ready");
    echoes(&mut connect(&stack, to));
}

#[test]
fn when_a_peer_is_stopped_then_writers_would_block_and_nothing_is_lost_when_it_goes_on() {
    const OCTETS: usize = 300_000;
    let node = Node::new();
    let mut server = Process::start("echo", &[node.socket(), "127.0.0.1:80"]);
    server.expect("ready");
    let stack = node.attach("client");
    let mut stream = connect(&stack, at("127.0.0.1:80"));
    echoes(&mut stream);
    server.stop();
    let sent: Vec<u8> = (0..OCTETS).map(|at| (at * 31 / 7) as u8).collect();
    stream.set_nonblocking(true);
    let mut written = 0;
    let full = loop {
        match stream.write(&sent[written..]) {
            Ok(n) => written += n,
            Err(error) => break error,
        }
    };
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    assert!(written > 0 && written < OCTETS);
    stream.set_nonblocking(false);
    // Connections to a peer that is stopped wait, and are given up.
    let options = ConnectOptions { timeout: Duration::from_millis(50), ..ConnectOptions::default() };
    assert!(matches!(stack.connect(at("127.0.0.1:80"), &options), Err(ConnectError::TimedOut(_))));
    server.go_on();
    let stream = &stream;
    std::thread::scope(|scope| {
        scope.spawn(|| (&*stream).write_all(&sent[written..]).unwrap());
        let mut got = vec![0; OCTETS];
        (&*stream).read_exact(&mut got).unwrap();
        assert!(got == sent);
    });
    echoes(&mut connect(&stack, at("127.0.0.1:80")));
}

/// A peer that is stopped while it is to be paired: the pairing is given up, and made anew later.
#[test]
fn when_a_peer_is_stopped_while_it_is_paired_then_it_is_reached_once_it_goes_on() {
    let node = Node::new();
    let mut server = Process::start("echo", &[node.socket(), "127.0.0.1:80"]);
    server.expect("ready");
    let stack = node.attach("client");
    server.stop();
    let lost = stack.connect(at("127.0.0.1:80"), &ConnectOptions::default());
    assert!(matches!(lost, Err(ConnectError::PeerLost(_))), "{lost:?}");
    server.go_on();
    echoes(&mut connect_when_possible(&stack, at("127.0.0.1:80")));
}
