//! Nobody sleeps through what concerns him.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::Shutdown;
use std::sync::mpsc;
use std::time::Duration;

use rustix::net::{SendFlags, send};

use super::rig::{Node, at};
use crate::connection::Phase;
use crate::region::PoolShape;
use crate::stream::{ConnectOptions, ShmStream};
use crate::{ListenOptions, Stack};

const PATIENCE: Duration = Duration::from_secs(60);

fn connected(server: &Stack, client: &Stack, port: u16) -> (ShmStream, ShmStream) {
    let to = std::net::SocketAddr::new(at("127.0.0.1:0").ip(), port);
    let listener = server.listen(to, &ListenOptions::default()).unwrap();
    std::thread::scope(|scope| {
        let accepting = scope.spawn(|| listener.accept().unwrap().0);
        let near = client.connect(to, &ConnectOptions::default()).unwrap();
        (near, accepting.join().unwrap())
    })
}

/// Buffers that outlive their connection at the receiver are not promised to another one meanwhile.
#[test]
fn when_buffers_of_an_ended_connection_are_away_then_no_writer_waits_for_them_unheard() {
    let node = Node::new(PoolShape { buffers: 16, buffer_size: 64 });
    let (server, client) = (node.attach("server"), node.attach("client"));
    let (near, far) = connected(&server, &client, 80);
    let mut held = Vec::new();
    for number in 0..8 {
        (&near).write_all(&[number; 64]).unwrap();
        held.push(far.receive().unwrap().unwrap());
    }
    drop((near, far));
    let (first, _first) = connected(&server, &client, 81);
    let second = {
        let listener = server.listen(at("127.0.0.1:82"), &ListenOptions::default()).unwrap();
        let refused = std::thread::scope(|scope| {
            scope.spawn(|| listener.accept_timeout(Duration::from_millis(100)).is_ok());
            client.connect(at("127.0.0.1:82"), &ConnectOptions::default())
        });
        refused.map(drop)
    };
    assert!(matches!(second, Err(crate::ConnectError::Busy(_))), "{second:?}");
    first.set_nonblocking(true);
    let mut sent = 0;
    while (&first).write(&[1; 64]).is_ok() {
        sent += 1;
    }
    assert_eq!(sent, 8, "the whole window");
    drop(held);
    client.pool_level();
    drop(connected(&server, &client, 83));
}

#[test]
fn when_another_thread_shuts_a_stream_down_then_its_blocked_reader_returns() {
    let node = Node::new(PoolShape::default());
    let (server, client) = (node.attach("server"), node.attach("client"));
    let (near, _far) = connected(&server, &client, 80);
    let near = std::sync::Arc::new(near);
    let (done, outcome) = mpsc::channel();
    let reading = near.clone();
    std::thread::spawn(move || done.send((&*reading).read(&mut [0]).map_err(|error| error.kind())));
    // It drives, asleep on the bells.
    while client.counters().slept == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(Duration::from_millis(20));
    near.shutdown(Shutdown::Read);
    assert_eq!(outcome.recv_timeout(PATIENCE).unwrap(), Ok(0));
}

#[test]
fn when_a_stack_connects_to_itself_then_it_is_served() {
    let node = Node::new(PoolShape::default());
    let stack = node.attach("alone");
    let (mut near, mut far) = connected(&stack, &stack, 80);
    near.write_all(b"to myself").unwrap();
    let mut got = [0; 9];
    far.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"to myself");
    assert_eq!(stack.counters().peers, 2);
    let (mut near, mut far) = connected(&stack, &stack, 81);
    far.write_all(b"again").unwrap();
    near.read_exact(&mut got[..5]).unwrap();
    assert_eq!(&got[..5], b"again");
}

/// A pair that one side alone gave up, both being alive, is replaced.
#[test]
fn when_a_pair_is_given_up_then_the_two_are_paired_anew() {
    let node = Node::new(PoolShape::default());
    let (server, client) = (node.attach("server"), node.attach("client"));
    let listener = server.listen(at("127.0.0.1:80"), &ListenOptions::default()).unwrap();
    for _ in 0..3 {
        let mut attempts = 0;
        let near = std::thread::scope(|scope| {
            let accepting = scope.spawn(|| listener.accept().unwrap().0);
            let near = loop {
                match client.connect(at("127.0.0.1:80"), &ConnectOptions::default()) {
                    Ok(near) => break near,
                    Err(error) => assert!(attempts < 3, "{error}"),
                }
                attempts += 1;
            };
            drop(accepting.join().unwrap());
            near
        });
        client.shared().with(|state| (0..state.pairs.len()).for_each(|pair| state.lose_pair(pair)));
        assert_eq!((&near).read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
}

/// What wakes an event loop is between two processes: a third one's nonsense does not touch it.
#[cfg(feature = "tokio")]
#[test]
fn when_a_peer_abuses_what_wakes_an_event_loop_then_others_are_still_heard() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let node = Node::new(PoolShape::default());
    let (victim, honest, attacker) = (node.attach("victim"), node.attach("honest"), node.attach("attacker"));
    let (mut near, mut far) = connected(&victim, &honest, 80);
    let (theirs, _held) = connected(&victim, &attacker, 81);
    let link = attacker.shared().with(|state| {
        assert_eq!(state.connections[theirs.key].phase, Phase::Established);
        state.pairs[0].as_ref().unwrap().link.clone()
    });
    // It makes its end blocking, takes out what is in it, and fills it.
    rustix::fs::fcntl_setfl(&*link.socket, rustix::fs::OFlags::empty()).unwrap();
    while send(&*link.socket, &[0; 8], SendFlags::DONTWAIT).is_ok() {}
    let echoing = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let mut buffer = [0; 100];
            while AsyncReadExt::read_exact(&mut far, &mut buffer).await.is_ok() {
                AsyncWriteExt::write_all(&mut far, &buffer).await.unwrap();
                // The victim answers the attacker, too, and does not wait for it.
                link.ring();
            }
        });
    });
    let mut buffer = [4; 100];
    for _ in 0..2000 {
        std::io::Write::write_all(&mut near, &buffer).unwrap();
        std::io::Read::read_exact(&mut near, &mut buffer).unwrap();
    }
    drop(near);
    echoing.join().unwrap();
}
