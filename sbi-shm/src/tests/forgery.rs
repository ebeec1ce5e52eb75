//! Descriptors and returns that a peer has no right to.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::invariants::check;
use super::rig::{self, Node, at, counters, end, refusals};
use crate::connection::Phase;
use crate::descriptor::{Descriptor, Message, WORDS, Why};
use crate::region::PoolShape;
use crate::ring::NotPushed;
use crate::state::{State, ring_later};
use crate::stream::ConnectOptions;
use crate::{ListenOptions, Stack};

const FORGERIES: u64 = 100_000;
const SHAPE: PoolShape = PoolShape { buffers: 64, buffer_size: 256 };

/// A source of octets that looks random and is the same each time (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Ends the traffic of others, however the test ends.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What one forger tries next.
enum Forgery {
    Slot([u64; WORDS]),
    Return(u64),
}

/// The forgery with this number, and the counter that must see it.
fn forge(number: u64, random: &mut Random, last: &mut [u64; WORDS]) -> (Forgery, &'static str) {
    let data = |buffer, generation, len| Message::Data { buffer, generation, len };
    let slot = |source: &str, destination: &str, message| {
        Descriptor { source: end(source), destination: end(destination), message }.write()
    };
    let stray = |message| slot("127.0.0.9:9", "127.0.0.1:7", message);
    // Grows with each round: every life of a buffer is new to the victim.
    let (buffer, generation) = (number as u32 % SHAPE.buffers, number as u32 + 1_000_000);
    let (words, counter) = match number % 20 {
        0 => {
            *last = stray(data(buffer, generation, 1));
            (*last, "stray")
        }
        1 => (*last, "stale"),
        2 => {
            // A life of that buffer before the last one.
            let mut words = *last;
            words[2] -= 1;
            (words, "stale")
        }
        3 => (stray(data(buffer, 0, 1)), "stale"),
        4 => (stray(data(SHAPE.buffers + buffer, generation, 1)), "out_of_range"),
        5 => (stray(data(u32::MAX, generation, 1)), "out_of_range"),
        6 => (stray(data(buffer, generation, 0)), "out_of_range"),
        7 => (stray(data(buffer, generation, SHAPE.buffer_size + 1)), "out_of_range"),
        8 => (stray(data(buffer, generation, u32::MAX)), "out_of_range"),
        9 => (slot("10.0.0.9:9", "127.0.0.1:80", data(buffer, generation, 1)), "out_of_domain"),
        10 => (slot("127.0.0.9:9", "10.0.0.1:80", Message::Establish { offer: 0 }), "out_of_domain"),
        11 => (slot("[::1]:9", "127.0.0.1:80", Message::Close), "out_of_domain"),
        12 => (stray(Message::Establish { offer: random.next() }), "refused"),
        13 => (stray(Message::Reply { choice: random.next() }), "stray"),
        14 => (stray(Message::Close), "stray"),
        15 => (stray(if number % 40 < 20 { Message::Reset } else { Message::Refuse(Why::Busy) }), "stray"),
        16 => {
            let mut words = stray(Message::Close);
            words[0] = words[0] & !0xffff | (7 + random.next() % 60_000);
            (words, "malformed")
        }
        17 => {
            let mut words = stray(data(buffer, generation, 1));
            words[1 + number as usize / 20 % 3] |= 1 << (32 + random.next() % 32);
            (words, "malformed")
        }
        18 => loop {
            let words = std::array::from_fn(|_| random.next());
            if Descriptor::read(&words).is_none() {
                break (words, "malformed");
            }
        },
        _ => return (Forgery::Return(random.next()), "forged_return"),
    };
    (Forgery::Slot(words), counter)
}

/// Sends it, once the victim has made room.
fn send(attacker: &Stack, victim: &Stack, forgery: &Forgery) {
    loop {
        let sent = attacker.shared().with(|state| {
            let (pairs, rings) = (&mut state.pairs, &mut state.rings);
            let pair = pairs.iter_mut().flatten().next().expect("the victim deals with us");
            let sent = match forgery {
                Forgery::Slot(words) => pair.push_raw(words),
                Forgery::Return(entry) => {
                    pair.link.forge_return(*entry);
                    Ok(())
                }
            };
            ring_later(rings, &pair.link);
            sent
        });
        match sent {
            Ok(()) => break,
            Err(NotPushed::Full) => {
                victim.pool_level();
            }
            Err(NotPushed::Corrupt) => panic!("the victim is honest"),
        }
    }
    if matches!(forgery, Forgery::Return(_)) {
        // Returns have no head: what is not taken in is overwritten.
        victim.pool_level();
    }
}

#[test]
fn when_a_peer_forges_100_000_descriptors_then_each_is_refused_and_counted_and_others_are_served() {
    let node = Node::new(SHAPE);
    let (victim, attacker, third) = (node.attach("victim"), node.attach("attacker"), node.attach("third"));
    let listener = victim.listen(at("127.0.0.1:80"), &ListenOptions::default()).unwrap();
    let (rounds, over) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (_held, _) = listener.accept().unwrap();
            let (mut stream, _) = listener.accept().unwrap();
            let mut buffer = [0; 100];
            while stream.read_exact(&mut buffer).is_ok() && stream.write_all(&buffer).is_ok() {}
        });
        let _paired = attacker.connect(at("127.0.0.1:80"), &ConnectOptions::default()).unwrap();
        let mut honest = third.connect(at("127.0.0.1:80"), &ConnectOptions::default()).unwrap();
        let (rounds, over) = (&rounds, &over);
        scope.spawn(move || {
            let mut buffer = [9; 100];
            while !over.load(Ordering::Relaxed) {
                honest.write_all(&buffer).unwrap();
                honest.read_exact(&mut buffer).unwrap();
                assert_eq!(buffer, [9; 100]);
                rounds.fetch_add(1, Ordering::Relaxed);
            }
        });

        let _over = Over(over);
        let (mut random, mut last) = (Random(0x5eed), [0; WORDS]);
        let mut expected: BTreeMap<&str, u64> = refusals(&victim.counters()).into_iter().collect();
        let before = rounds.load(Ordering::Relaxed);
        for number in 0..FORGERIES {
            let (forgery, counter) = forge(number, &mut random, &mut last);
            *expected.entry(counter).or_default() += 1;
            send(&attacker, &victim, &forgery);
            if number % 16 == 0 {
                // Reads the answers, as whoever wants to go on must.
                attacker.pool_level();
            }
        }
        victim.pool_level();
        let counted: BTreeMap<&str, u64> = refusals(&victim.counters()).into_iter().collect();
        assert_eq!(counted, expected);
        assert_eq!(counted.values().sum::<u64>(), FORGERIES);
        let during = rounds.load(Ordering::Relaxed) - before;
        println!("{FORGERIES} forgeries refused: {counted:?}; {during} round trips of a third meanwhile");
        assert!(during > 0);
        assert_eq!(victim.counters().peers, 2);
        victim.shared().with(|state| check(state));
    });
}

/// An established connection of the peer's, accepted.
fn established(state: &mut State, peer: &mut rig::Peer) -> usize {
    let establish = descriptor(Message::Establish { offer: 0 });
    peer.push(&establish.write()).unwrap();
    state.drain();
    let key = state.accept(end("127.0.0.1:80")).unwrap();
    assert_eq!(peer.heard().last().unwrap().message, Message::Reply { choice: 0 });
    key
}

fn descriptor(message: Message) -> Descriptor {
    Descriptor { source: end("127.0.0.9:9"), destination: end("127.0.0.1:80"), message }
}

#[test]
fn when_forged_data_name_a_connection_then_it_is_reset() {
    for (buffer, generation, len) in
        [(0, 1, 0), (0, 1, 257), (64, 1, 1), (u32::MAX, 1, 1), (0, 0, 1), (1, 5, 1), (1, 4, 1)]
    {
        let mut state = rig::state();
        rig::listen(&mut state, end("127.0.0.1:80"), 4);
        let (_, mut peer) = rig::pair_with(&mut state, SHAPE);
        let key = established(&mut state, &mut peer);
        let good = descriptor(Message::Data { buffer: 1, generation: 5, len: 3 });
        peer.push(&good.write()).unwrap();
        state.drain();
        assert_eq!(state.connections[key].phase, Phase::Established);
        let forged = descriptor(Message::Data { buffer, generation, len });
        peer.push(&forged.write()).unwrap();
        state.drain();
        rig::settle(&mut state);
        check(&state);
        assert_eq!(state.connections[key].phase, Phase::Reset);
        assert_eq!(peer.heard().last().unwrap().message, Message::Reset);
        // What came before is read.
        assert_eq!(state.read(key, &mut [0; 8]).unwrap().unwrap(), 3);
        assert!(state.read(key, &mut [0; 8]).unwrap().is_err());
        state.drop_handle(key);
        check(&state);
        assert_eq!(counters(&state).connections, 0);
        assert_eq!(peer.given_back().len(), 1);
    }
}

#[test]
fn when_a_buffer_is_sent_again_before_it_was_given_back_then_it_is_refused() {
    let mut state = rig::state();
    rig::listen(&mut state, end("127.0.0.1:80"), 4);
    let (_, mut peer) = rig::pair_with(&mut state, SHAPE);
    let key = established(&mut state, &mut peer);
    for generation in [1, 2] {
        let data = descriptor(Message::Data { buffer: 0, generation, len: 3 });
        peer.push(&data.write()).unwrap();
    }
    state.drain();
    assert_eq!((counters(&state).received, counters(&state).stale), (1, 1));
    assert_eq!(state.connections[key].phase, Phase::Reset);
    check(&state);
}

#[test]
fn when_indexes_jump_then_the_peer_is_given_up_and_no_other() {
    type Jump = fn(&rig::Peer);
    let jumps: [Jump; 5] = [
        |peer| peer.jump_tail(2 * SHAPE.buffers + 1),
        |peer| peer.jump_tail(u32::MAX),
        |peer| peer.jump_returns(SHAPE.buffers + 1),
        |peer| peer.jump_returns(u32::MAX),
        |peer| peer.jump_head(1 << 20),
    ];
    for jump in jumps {
        let mut state = rig::state();
        rig::listen(&mut state, end("127.0.0.1:80"), 1);
        let (_, mut other) = rig::pair_with(&mut state, SHAPE);
        let (_, mut peer) = rig::pair_with(&mut state, SHAPE);
        let honest = established(&mut state, &mut other);
        let theirs = established(&mut state, &mut peer);
        jump(&peer);
        state.drain();
        // A head is looked at when the ring seems to be full.
        for _ in 0..2 * SHAPE.buffers {
            state.send(theirs, Message::Close);
        }
        assert_eq!((counters(&state).corrupt, counters(&state).peers_lost), (1, 1));
        assert_eq!(state.connections[theirs].phase, Phase::Reset);
        assert_eq!(state.connections[honest].phase, Phase::Established);
        check(&state);
        let data = descriptor(Message::Data { buffer: 0, generation: 1, len: 3 });
        other.push(&data.write()).unwrap();
        state.drain();
        assert_eq!(state.connections[honest].received.len(), 1);
    }
}

#[test]
fn when_a_peer_opens_without_end_then_it_has_no_more_than_its_share() {
    let mut state = rig::state();
    rig::listen(&mut state, end("127.0.0.1:80"), 1);
    let (index, mut peer) = rig::pair_with(&mut state, SHAPE);
    let mut refused = 0;
    for port in 1..2000u16 {
        let source = std::net::SocketAddr::new("127.0.0.9".parse().unwrap(), port).into();
        let establish = Descriptor { source, ..descriptor(Message::Establish { offer: 0 }) };
        peer.push(&establish.write()).unwrap();
        state.drain();
        state.accept(end("127.0.0.1:80"));
        refused += peer.heard().iter().filter(|said| said.message == Message::Refuse(Why::Busy)).count();
    }
    check(&state);
    let pair = state.pairs[index].as_ref().unwrap();
    assert_eq!(pair.connections, pair.connections_max());
    assert_eq!(refused, 1999 - pair.connections_max() as usize);
}
