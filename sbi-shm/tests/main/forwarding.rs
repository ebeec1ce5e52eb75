//! What is special when everything goes through the manager.

use std::io::{ErrorKind, Read as _, Write as _};

use sbi_shm::{ConnectOptions, ListenOptions, PoolShape};

use super::Node;
use crate::child::{Process, until};
use crate::node::at;

#[test]
fn when_a_process_dies_then_its_connections_are_reset_and_its_successor_is_reached() {
    let node = Node::new();
    let stack = node.attach("client");
    for _ in 0..2 {
        let mut server = Process::start("echo", &[node.socket(), "127.0.0.1:80"]);
        server.expect("ready");
        let mut stream = stack.connect(at("127.0.0.1:80"), &ConnectOptions::default()).unwrap();
        let mut got = [0; 4];
        stream.write_all(b"ping").unwrap();
        stream.read_exact(&mut got).unwrap();
        server.kill();
        assert_eq!(stream.read(&mut got).unwrap_err().kind(), ErrorKind::ConnectionReset);
        drop(stream);
        // The stack's one peer is the manager, which lives.
        until("all is home", || {
            let (free, all) = stack.pool_level();
            free == all && all > 0 && stack.counters().connections == 0
        });
        assert_eq!(stack.counters().peers_lost, 0);
    }
}

/// A receiver that does not read costs its sender the window; another connection, even to the same
/// process, goes on; nothing is lost once it reads.
#[test]
fn when_a_receiver_is_slow_then_others_go_on_and_nothing_is_lost() {
    const OCTETS: usize = 100_000;
    let node = Node::with_pool(PoolShape { buffers: 64, buffer_size: 64 });
    let (server, client) = (node.attach("server"), node.attach("client"));
    let listener = server.listen(at("127.0.0.1:80"), &ListenOptions::default()).unwrap();
    let open = || {
        std::thread::scope(|scope| {
            let accepting = scope.spawn(|| listener.accept().unwrap().0);
            let near = client.connect(at("127.0.0.1:80"), &ConnectOptions::default()).unwrap();
            (near, accepting.join().unwrap())
        })
    };
    let ((slow, slow_far), (mut quick, mut quick_far)) = (open(), open());
    let sent: Vec<u8> = (0..OCTETS).map(|at| (at * 7 / 3) as u8).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| (&slow).write_all(&sent).unwrap());
        let mut got = [0; 64];
        for number in 0..1000u32 {
            quick.write_all(&[number as u8; 64]).unwrap();
            quick_far.read_exact(&mut got).unwrap();
            assert_eq!(got, [number as u8; 64]);
        }
        assert!(slow.counters().octets_sent < OCTETS as u64 / 10, "it waits");
        let mut got = vec![0; OCTETS];
        (&slow_far).read_exact(&mut got).unwrap();
        assert!(got == sent);
    });
}
