//! Processes of an admitted user that want to harm the manager, or others through it.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use super::rig::{Node, at};
use crate::protocol::{self, FromManager, ToManager, VERSION};
use crate::region::{PoolShape, StatusPage};
use crate::socket;
use crate::state::NotListening;
use crate::stream::ConnectOptions;
use crate::{ListenOptions, Stack};

/// Patience that no healthy machine needs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Connects, also while the manager has many to accept.
fn stranger(node: &Node) -> OwnedFd {
    let started = Instant::now();
    loop {
        match socket::connect(&node.socket) {
            Ok(end) => return end,
            Err(error) => assert!(started.elapsed() < PATIENCE, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn hello() -> ToManager {
    ToManager::Hello { version: VERSION, instance: 0, name: "hostile".into(), peers: Vec::new() }
}

fn admitted(node: &Node) -> OwnedFd {
    let end = stranger(node);
    let (_page, file) = StatusPage::create().unwrap();
    protocol::send(&end, &hello().write(), &[file.as_fd()]).unwrap();
    assert!(matches!(answer(&end), Some(FromManager::Welcome { .. })));
    end
}

/// The manager's next message; `None` once it has hung up.
fn answer(end: &OwnedFd) -> Option<FromManager> {
    let started = Instant::now();
    loop {
        match protocol::receive(end) {
            Ok(Some(received)) => return Some(FromManager::read(&received.bytes).unwrap()),
            Ok(None) => assert!(started.elapsed() < PATIENCE, "no answer"),
            Err(_) => return None,
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Two honest processes find each other.
fn others_are_served(server: &Stack, client: &Stack, port: u16) {
    let to = std::net::SocketAddr::new(at("127.0.0.1:0").ip(), port);
    let listener = server.listen(to, &ListenOptions::default()).unwrap();
    std::thread::scope(|scope| {
        let accepting = scope.spawn(|| listener.accept().unwrap());
        let _near = client.connect(to, &ConnectOptions::default()).unwrap();
        accepting.join().unwrap();
    });
}

#[test]
fn when_a_process_says_nonsense_then_it_is_given_up() {
    let node = Node::new(PoolShape::default());
    let long = vec![2; protocol::MESSAGE_MAX + 1];
    let whole = hello().write();
    for nonsense in [&b"GET / HTTP/1.1"[..], &[0], &[255; 100], &long, &whole[..whole.len() - 1]] {
        let end = stranger(&node);
        protocol::send(&end, nonsense, &[]).unwrap();
        assert_eq!(answer(&end), None);
        let end = admitted(&node);
        protocol::send(&end, nonsense, &[]).unwrap();
        assert_eq!(answer(&end), None);
    }
    // Sense, at the wrong time.
    let early = stranger(&node);
    protocol::send(&early, &ToManager::Connect(at("127.0.0.1:80")).write(), &[]).unwrap();
    assert_eq!(answer(&early), None);
    let twice = admitted(&node);
    protocol::send(&twice, &hello().write(), &[]).unwrap();
    assert_eq!(answer(&twice), None);
    others_are_served(&node.attach("server"), &node.attach("client"), 80);
}

#[test]
fn when_a_hello_is_not_as_agreed_then_it_is_refused_with_words() {
    let node = Node::new(PoolShape::default());
    let denied = |message: &ToManager, with_page: bool| {
        let end = stranger(&node);
        let (_page, file) = StatusPage::create().unwrap();
        let wrong = rustix::fs::memfd_create("wrong", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        let file = if with_page { &file } else { &wrong };
        protocol::send(&end, &message.write(), &[file.as_fd()]).unwrap();
        match answer(&end) {
            Some(FromManager::Denied(why)) => why,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(denied(&hello(), false), "its status page is not as agreed");
    let ToManager::Hello { instance, name, peers, .. } = hello() else { unreachable!() };
    let newer = ToManager::Hello { version: 99, instance, name, peers };
    assert_eq!(denied(&newer, true), format!("it speaks version 99, this manager {VERSION}"));
    let _all: Vec<_> = (0..8).map(|_| admitted(&node)).collect();
    assert_eq!(denied(&hello(), true), "8 processes are attached already");
}

#[test]
fn when_many_connect_and_say_nothing_then_those_who_are_attached_are_served() {
    let node = Node::new(PoolShape::default());
    let (server, client) = (node.attach("server"), node.attach("client"));
    let silent: Vec<_> = (0..500).map(|_| stranger(&node)).collect();
    others_are_served(&server, &client, 80);
    // More than the limit are not kept.
    let hung_up = || silent.iter().filter(|end| protocol::receive(end).is_err()).count();
    let started = Instant::now();
    while hung_up() < 500 - 64 {
        assert!(started.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(1));
    }
    // The rest are, for a while; then there is room again.
    while Stack::attach(&crate::AttachOptions::new(&node.socket, "later")).is_err() {
        assert!(started.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn when_a_process_asks_without_reading_the_answers_then_it_is_given_up_and_others_are_served() {
    let node = Node::new(PoolShape::default());
    let (server, client) = (node.attach("server"), node.attach("client"));
    let deaf = admitted(&node);
    let ask = ToManager::Connect(at("127.0.0.1:9999")).write();
    let started = Instant::now();
    let mut port = 1000;
    loop {
        match protocol::send(&deaf, &ask, &[]) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                port += 1;
                others_are_served(&server, &client, port);
            }
            Err(_) => break,
        }
        assert!(started.elapsed() < PATIENCE, "it is heard for ever");
    }
    others_are_served(&server, &client, 80);
}

#[test]
fn when_a_process_asks_without_end_then_others_are_served_and_its_listeners_are_limited() {
    let node = Node::new(PoolShape::default());
    let (server, client) = (node.attach("server"), node.attach("client"));
    let eager = admitted(&node);
    let mut outcomes = Vec::new();
    for port in 2000..2100 {
        let at = std::net::SocketAddr::new(at("127.0.0.1:0").ip(), port);
        protocol::send(&eager, &ToManager::Listen(at).write(), &[]).unwrap();
        match answer(&eager) {
            Some(FromManager::Listening(_, outcome)) => outcomes.push(outcome),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 64);
    assert!(outcomes[64..].iter().all(|outcome| *outcome == Err(NotListening::Full)));
    let ask = ToManager::Connect(at("127.0.0.1:9999")).write();
    for port in 100..110 {
        for _ in 0..1000 {
            // A full socket is the manager's back-pressure.
            let _ = protocol::send(&eager, &ask, &[]);
            while let Ok(Some(_)) = protocol::receive(&eager) {}
        }
        others_are_served(&server, &client, port);
    }
}
