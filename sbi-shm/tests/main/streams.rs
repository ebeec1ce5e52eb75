//! Blocking streams.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::Shutdown;
use std::time::Duration;

use sbi_shm::{ConnectError, ConnectOptions, ListenError, ListenOptions, PoolShape, ShmStream, Stack};

use super::Node;
use crate::node::at;

/// A connected pair of streams between two stacks.
fn connected(node: &Node) -> (Stack, Stack, ShmStream, ShmStream) {
    let (server, client) = (node.attach("server"), node.attach("client"));
    let listener = server.listen(at("127.0.0.1:0"), &ListenOptions::default()).unwrap();
    let to = listener.local_addr();
    let (near, far) = std::thread::scope(|scope| {
        let near = scope.spawn(|| client.connect(to, &ConnectOptions::default()).unwrap());
        let far = listener.accept().unwrap().0;
        (near.join().unwrap(), far)
    });
    (server, client, near, far)
}

#[test]
fn what_is_written_is_read_in_order_both_ways() {
    let node = Node::new();
    let (_server, _client, mut near, mut far) = connected(&node);
    assert_eq!((near.local_addr(), near.peer_addr()), (far.peer_addr(), far.local_addr()));
    let sent: Vec<u8> = (0..1_000_000u32).map(|i| (i * 7 / 3) as u8).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| near.write_all(&sent).unwrap());
        let mut got = vec![0; sent.len()];
        far.read_exact(&mut got).unwrap();
        assert!(got == sent);
    });
    far.write_all(b"back").unwrap();
    let mut got = [0; 8];
    assert_eq!(near.read(&mut got).unwrap(), 4);
    assert_eq!(&got[..4], b"back");
}

#[test]
fn when_one_direction_is_shut_down_then_the_other_goes_on() {
    let node = Node::new();
    let (_server, _client, mut near, mut far) = connected(&node);
    near.write_all(b"last").unwrap();
    near.shutdown(Shutdown::Write);
    assert_eq!(near.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
    let mut got = Vec::new();
    far.read_to_end(&mut got).unwrap();
    assert_eq!(got, b"last");
    far.write_all(b"still here").unwrap();
    drop(far);
    let mut got = Vec::new();
    near.read_to_end(&mut got).unwrap();
    assert_eq!(got, b"still here");
}

#[test]
fn when_data_are_not_read_before_the_end_then_the_peer_is_reset() {
    let node = Node::new();
    let (server, _client, mut near, far) = connected(&node);
    near.write_all(b"never read").unwrap();
    // The other end has it before it goes.
    while far.counters().waiting == 0 {
        server.pool_level();
    }
    drop(far);
    assert_eq!(near.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(near.write(b"x").unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn deadlines_and_nonblocking_streams_do_not_wait() {
    let node = Node::new();
    let (_server, _client, mut near, far) = connected(&node);
    near.set_read_timeout(Some(Duration::from_millis(20)));
    assert_eq!(near.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::TimedOut);
    near.set_nonblocking(true);
    assert_eq!(near.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
    // Nobody reads: the window fills.
    let full = loop {
        if let Err(error) = near.write(&[0; 4096]) {
            break error;
        }
    };
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    near.set_nonblocking(false);
    near.set_write_timeout(Some(Duration::from_millis(200)));
    // What is between the two ends may take some more.
    let full = loop {
        if let Err(error) = near.write(&[0; 4096]) {
            break error;
        }
    };
    assert_eq!(full.kind(), ErrorKind::TimedOut);
    let taken = far.receive().unwrap().unwrap();
    assert_eq!(taken.len(), 4096);
    drop(taken);
    near.set_write_timeout(None);
    near.write_all(&[1]).unwrap();
}

#[test]
fn a_message_is_built_and_read_in_place() {
    let node = Node::new();
    let (_server, client, near, far) = connected(&node);
    let (free, all) = client.pool_level();
    assert_eq!(free, all);
    let mut loan = near.loan().unwrap();
    write!(loan, "three").unwrap();
    loan.buffer()[5..9].copy_from_slice(b" of ");
    loan.set_len(9);
    loan.send().unwrap();
    drop(near.loan().unwrap());
    let mut message = far.receive().unwrap().unwrap();
    let mut text = Vec::new();
    message.append_to(&mut text);
    assert_eq!(text, b"three of ");
}

#[test]
fn what_is_offered_is_spoken_if_the_listener_knows_it() {
    let node = Node::new();
    let (server, client) = (node.attach("server"), node.attach("client"));
    let options = ListenOptions { protocols: vec![7], ..ListenOptions::default() };
    let listener = server.listen(at("127.0.0.1:80"), &options).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for offer in [7, 8] {
                assert_eq!(listener.accept().unwrap().0.choice(), if offer == 7 { 7 } else { 0 });
            }
        });
        for offer in [7, 8] {
            let options = ConnectOptions { offer, ..ConnectOptions::default() };
            let stream = client.connect(at("127.0.0.1:80"), &options).unwrap();
            assert_eq!(stream.choice(), if offer == 7 { 7 } else { 0 });
        }
    });
}

#[test]
fn who_cannot_be_reached_or_listened_at_is_said_so() {
    let node = Node::new();
    let (server, client) = (node.attach("server"), node.attach("client"));
    let there = at("127.0.0.1:80");
    let options = ConnectOptions { timeout: Duration::from_millis(200), ..ConnectOptions::default() };
    assert!(matches!(client.connect(there, &options), Err(ConnectError::Unknown(_))));
    let listener = server.listen(there, &ListenOptions { backlog: 1, ..ListenOptions::default() }).unwrap();
    assert!(matches!(client.listen(there, &ListenOptions::default()), Err(ListenError::Taken(_))));
    assert!(matches!(server.listen(there, &ListenOptions::default()), Err(ListenError::Taken(_))));
    let foreign = at("10.0.0.1:80");
    assert!(matches!(server.listen(foreign, &ListenOptions::default()), Err(ListenError::NotGranted(_))));
    // Nobody accepts, and nobody handles what arrives.
    assert!(matches!(client.connect(there, &options), Err(ConnectError::TimedOut(_))));
    drop(listener);
    let _again = server.listen(there, &ListenOptions::default()).unwrap();
}

#[test]
fn when_the_backlog_is_full_or_the_buffers_are_promised_then_the_client_is_refused() {
    let node = Node::with_pool(PoolShape { buffers: 16, buffer_size: 256 });
    let (server, client) = (node.attach("server"), node.attach("client"));
    let options = ListenOptions { window: 8, ..ListenOptions::default() };
    let listener = server.listen(at("127.0.0.1:80"), &options).unwrap();
    let options = ConnectOptions { window: 4, ..ConnectOptions::default() };
    std::thread::scope(|scope| {
        let accepted = scope.spawn(|| [listener.accept().unwrap(), listener.accept().unwrap()]);
        let open: Vec<_> = (0..2).map(|_| client.connect(at("127.0.0.1:80"), &options).unwrap()).collect();
        let _held = accepted.join().unwrap();
        let handler = scope.spawn(|| listener.accept_timeout(Duration::from_millis(300)).is_err());
        assert!(matches!(client.connect(at("127.0.0.1:80"), &options), Err(ConnectError::Busy(_))));
        assert!(handler.join().unwrap());
        drop(open);
    });
}

/// The smallest pool, both sides writing all the time before they read: nobody waits for ever.
#[test]
fn when_two_flood_each_other_then_both_finish() {
    const OCTETS: usize = 300_000;
    let node = Node::with_pool(PoolShape { buffers: 4, buffer_size: 64 });
    let (_server, _client, near, far) = connected(&node);
    let (near, far) = (&near, &far);
    std::thread::scope(|scope| {
        for (end, seed) in [(near, 1u8), (far, 2)] {
            scope.spawn(move || (&*end).write_all(&vec![seed; OCTETS]).unwrap());
            scope.spawn(move || {
                let mut got = vec![0; OCTETS];
                (&*end).read_exact(&mut got).unwrap();
                assert!(got.iter().all(|octet| *octet == 3 - seed));
            });
        }
    });
}
