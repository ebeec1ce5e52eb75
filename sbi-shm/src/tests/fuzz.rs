//! Anything in any order: no panic, and what must hold holds.

use std::sync::Arc;

use proptest::prelude::*;

use super::invariants::check;
use super::rig::{self, Peer, end};
use crate::descriptor::{End, WORDS};
use crate::link::{Link, SharedBytes};
use crate::pool::Ticket;
use crate::region::PoolShape;
use crate::state::State;

const SHAPE: PoolShape = PoolShape { buffers: 16, buffer_size: 64 };

#[derive(Debug, Clone)]
enum Step {
    /// The peer pushes a slot.
    Push([u64; WORDS]),
    /// The peer gives a buffer back.
    Give(u32, u32),
    /// The peer reads what it is sent, and honestly gives back what it is sent in data.
    Obey,
    /// One of the peer's indexes jumps.
    Jump(u8, u32),
    Drain,
    Accept,
    Connect,
    Read(usize, usize),
    Receive(usize),
    Release,
    Write(usize, usize),
    Lend(usize),
    Send,
    PutBack,
    Close(usize),
    Drop(usize),
}

fn slots() -> impl Strategy<Value = [u64; WORDS]> {
    let ips = prop::sample::select(vec!["127.0.0.1", "127.0.0.9", "10.0.0.1"]);
    let ports = prop_oneof![Just(80u16), Just(81), 50_000u16..50_004, 1u16..4];
    let words = (0u64..8, ips.clone(), ports.clone(), ips, ports, 0u64..18, 0u64..12, 0u64..68);
    let sensible = words.prop_map(|(kind, source, from, destination, to, buffer, generation, len)| {
        let mut words = crate::descriptor::Descriptor {
            source: with_port(source, from),
            destination: with_port(destination, to),
            message: crate::descriptor::Message::Close,
        }
        .write();
        words[0] = words[0] & !0xffff | kind;
        (words[1], words[2], words[3]) = (buffer, generation, len);
        words
    });
    let broken = (sensible.clone(), 0..WORDS, any::<u64>()).prop_map(|(mut words, at, value)| {
        words[at] = value;
        words
    });
    prop_oneof![8 => sensible, 1 => broken, 1 => any::<[u64; WORDS]>()]
}

fn with_port(ip: &str, port: u16) -> End {
    std::net::SocketAddr::new(ip.parse().unwrap(), port).into()
}

fn steps() -> impl Strategy<Value = Step> {
    let index = || 0usize..8;
    prop_oneof![
        8 => slots().prop_map(Step::Push),
        2 => (0u32..18, 0u32..4).prop_map(|(index, generation)| Step::Give(index, generation)),
        3 => Just(Step::Obey),
        1 => (0u8..30, any::<u32>()).prop_map(|(which, by)| Step::Jump(which, by)),
        4 => Just(Step::Drain),
        4 => Just(Step::Accept),
        2 => Just(Step::Connect),
        2 => (index(), 0usize..200).prop_map(|(at, n)| Step::Read(at, n)),
        2 => index().prop_map(Step::Receive),
        1 => Just(Step::Release),
        4 => (index(), 0usize..400).prop_map(|(at, n)| Step::Write(at, n)),
        2 => index().prop_map(Step::Lend),
        1 => Just(Step::Send),
        1 => Just(Step::PutBack),
        1 => index().prop_map(Step::Close),
        2 => index().prop_map(Step::Drop),
    ]
}

/// A state, its peer, and what its application holds.
struct World {
    state: State,
    pair: usize,
    peer: Peer,
    handles: Vec<usize>,
    messages: Vec<SharedBytes>,
    loans: Vec<(usize, Arc<Link>, Ticket)>,
}

impl World {
    fn new() -> Self {
        let mut state = rig::state();
        rig::listen(&mut state, end("127.0.0.1:80"), 3);
        let (pair, peer) = rig::pair_with(&mut state, SHAPE);
        Self { state, pair, peer, handles: Vec::new(), messages: Vec::new(), loans: Vec::new() }
    }

    fn handle(&self, at: usize) -> Option<usize> {
        self.handles.get(at % self.handles.len().max(1)).copied()
    }

    fn put_back(&mut self, at: usize) {
        let (key, link, ticket) = self.loans.swap_remove(at);
        self.state.put_back(key, &link, &ticket);
    }

    fn step(&mut self, step: Step) {
        match step {
            // Full is no news.
            Step::Push(slot) => drop(self.peer.push(&slot)),
            Step::Give(index, generation) => self.peer.give(index, generation),
            Step::Obey => {
                for said in self.peer.heard() {
                    if let crate::descriptor::Message::Data { buffer, generation, .. } = said.message {
                        self.peer.give(buffer, generation);
                    }
                }
                self.peer.given_back();
            }
            Step::Jump(0, by) => self.peer.jump_tail(by),
            Step::Jump(1, by) => self.peer.jump_returns(by),
            Step::Jump(2, by) => self.peer.jump_head(by),
            Step::Jump(..) => {}
            Step::Drain => self.state.drain(),
            Step::Accept => self.handles.extend(self.state.accept(end("127.0.0.1:80"))),
            Step::Connect => {
                if self.state.pairs[self.pair].is_some() {
                    let to = end("127.0.0.9:80");
                    self.handles.push(rig::connect(&mut self.state, self.pair, to, 3));
                }
            }
            Step::Release => drop(self.messages.pop()),
            Step::PutBack => {
                if !self.loans.is_empty() {
                    self.put_back(0);
                }
            }
            Step::Send => {
                if let Some((key, link, ticket)) = self.loans.pop()
                    && self.state.send_buffer(key, &ticket, 5).is_err()
                {
                    self.state.put_back(key, &link, &ticket);
                }
            }
            Step::Read(at, _)
            | Step::Receive(at)
            | Step::Write(at, _)
            | Step::Lend(at)
            | Step::Close(at)
            | Step::Drop(at) => {
                if let Some(key) = self.handle(at) {
                    self.on_handle(key, &step);
                }
            }
        }
        // A peer that was given up comes back as a new one.
        if self.state.pairs[self.pair].is_none() {
            (self.pair, self.peer) = rig::pair_with(&mut self.state, SHAPE);
        }
        rig::settle(&mut self.state);
        check(&self.state);
    }

    fn on_handle(&mut self, key: usize, step: &Step) {
        match step {
            Step::Read(_, n) => drop(self.state.read(key, &mut vec![0; *n])),
            Step::Receive(_) => {
                if let Some(Ok(Some(bytes))) = self.state.receive(key) {
                    self.messages.push(bytes);
                }
            }
            Step::Write(_, n) => drop(self.state.write(key, &vec![7; *n])),
            Step::Lend(_) => {
                if let Some(Ok((ticket, link))) = self.state.take(key) {
                    self.loans.push((key, link, ticket));
                }
            }
            Step::Close(_) => self.state.close(key),
            _ => {
                // A loan borrows its stream: it goes first.
                while let Some(at) = self.loans.iter().position(|(of, ..)| *of == key) {
                    self.put_back(at);
                }
                self.handles.retain(|handle| *handle != key);
                self.state.drop_handle(key);
            }
        }
    }
}

proptest! {
    #[test]
    fn no_peer_and_no_application_breaks_the_state(steps in prop::collection::vec(steps(), 1..200)) {
        let mut world = World::new();
        steps.into_iter().for_each(|step| world.step(step));
        // Once all is let go, all is home or with the peer.
        while let Some(key) = world.handle(0) {
            world.on_handle(key, &Step::Drop(0));
        }
        rig::settle(&mut world.state);
        check(&world.state);
    }
}
