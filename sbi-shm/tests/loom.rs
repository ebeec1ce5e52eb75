//! The rings, the sleep and the returns under the model checker: every order of steps that the memory
//! model allows, stale reads included. What is checked is what is shipped; only the atomics differ.
//!
//! `RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=target/loom cargo test -p sbi-shm --test loom --profile ci`

#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "tests")]

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicU32, AtomicU64};
use loom::sync::{Arc, Notify};
use loom::thread;
use sbi_shm::returns::{self, Giver, Taker};
use sbi_shm::ring::{self, Consumer, NotPushed, Producer};
use sbi_shm::sleep::{self, Bed, Rung};

const WORDS: usize = 2;

/// A ring of two slots.
struct Ring {
    tail: AtomicU32,
    head: AtomicU32,
    slots: [[AtomicU64; WORDS]; 2],
}

impl Ring {
    fn new() -> Self {
        let slots = std::array::from_fn(|_| std::array::from_fn(|_| AtomicU64::new(0)));
        Self { tail: AtomicU32::new(0), head: AtomicU32::new(0), slots }
    }
}

impl ring::Storage for Ring {
    fn tail(&self) -> &AtomicU32 {
        &self.tail
    }

    fn head(&self) -> &AtomicU32 {
        &self.head
    }

    fn word(&self, index: u32, word: usize) -> &AtomicU64 {
        &self.slots[index as usize][word]
    }

    fn capacity(&self) -> u32 {
        2
    }
}

/// The slot with this number; a torn one fits none.
fn slot(number: u64) -> [u64; WORDS] {
    [number, !number]
}

/// A sleeper: its word, and what wakes it (a futex or an event loop outside of the model).
struct Sleeper {
    word: AtomicU32,
    bell: Notify,
}

impl Sleeper {
    fn new() -> Self {
        Self { word: AtomicU32::new(0), bell: Notify::new() }
    }

    fn ring(&self, rung: &Rung) {
        if rung.due(&self.word).is_some() {
            self.bell.notify();
        }
    }

    /// Sleeps unless something is there. A wake-up that is lost is a deadlock, which loom reports.
    fn sleep_unless(&self, has_input: impl Fn() -> bool) {
        sleep::arm(&self.word, Bed::Bells);
        if !has_input() {
            self.bell.wait();
        }
        sleep::disarm(&self.word);
    }
}

fn check(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

fn push(producer: &mut Producer<WORDS>, ring: &Ring, number: u64) {
    loop {
        match producer.push(ring, &slot(number)) {
            Ok(()) => return,
            Err(NotPushed::Full) => thread::yield_now(),
            Err(NotPushed::Corrupt) => panic!("an index that makes no sense"),
        }
    }
}

/// Pops the slots `from..to`, in order, and sleeps while there is none.
fn consume(sleeper: &Sleeper, ring: &Ring, to: u64) {
    let mut consumer = Consumer::<WORDS>::default();
    let mut next = 0;
    while next < to {
        match consumer.pop(ring).unwrap() {
            Some(popped) => {
                assert_eq!(popped, slot(next), "lost, torn or twice");
                next += 1;
            }
            None => sleeper.sleep_unless(|| !consumer.is_empty(ring)),
        }
    }
    assert!(consumer.pop(ring).unwrap().is_none());
}

#[test]
fn when_the_ring_goes_round_then_no_slot_is_lost_torn_or_seen_twice() {
    check(5, || {
        let ring = Arc::new(Ring::new());
        let producing = ring.clone();
        let producer = thread::spawn(move || {
            let mut producer = Producer::default();
            for number in 0..3 {
                push(&mut producer, &producing, number);
            }
        });
        let mut consumer = Consumer::<WORDS>::default();
        let mut next = 0;
        while next < 3 {
            match consumer.pop(&*ring).unwrap() {
                Some(popped) => {
                    assert_eq!(popped, slot(next), "lost, torn or twice");
                    next += 1;
                }
                None => thread::yield_now(),
            }
        }
        producer.join().unwrap();
    });
}

#[test]
fn when_a_producer_pushes_while_the_consumer_goes_to_sleep_then_it_is_woken() {
    check(5, || {
        let shared = Arc::new((Ring::new(), Sleeper::new()));
        let producing = shared.clone();
        let producer = thread::spawn(move || {
            let (ring, sleeper) = &*producing;
            let (mut producer, rung) = (Producer::default(), Rung::default());
            for number in 0..2 {
                push(&mut producer, ring, number);
                sleeper.ring(&rung);
            }
        });
        consume(&shared.1, &shared.0, 2);
        producer.join().unwrap();
    });
}

/// Two threads of a process push under its lock and ring after it, as `Shared::with` does.
#[test]
fn when_two_threads_share_a_producer_then_the_consumer_is_woken_all_the_same() {
    check(3, || {
        let shared = Arc::new((Ring::new(), Sleeper::new(), Rung::default()));
        let producer = Arc::new(loom::sync::Mutex::new((Producer::<WORDS>::default(), 0)));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (shared, producer) = (shared.clone(), producer.clone());
                thread::spawn(move || {
                    let mut locked = producer.lock().unwrap();
                    let number = locked.1;
                    locked.1 += 1;
                    push(&mut locked.0, &shared.0, number);
                    drop(locked);
                    shared.1.ring(&shared.2);
                })
            })
            .collect();
        consume(&shared.1, &shared.0, 2);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn when_two_peers_push_then_the_one_that_sleeps_for_both_misses_neither() {
    check(3, || {
        let shared = Arc::new((Ring::new(), Ring::new(), Sleeper::new()));
        let peers: Vec<_> = (0..2)
            .map(|peer| {
                let shared = shared.clone();
                thread::spawn(move || {
                    let ring = if peer == 0 { &shared.0 } else { &shared.1 };
                    push(&mut Producer::default(), ring, 0);
                    shared.2.ring(&Rung::default());
                })
            })
            .collect();
        let (one, other, sleeper) = &*shared;
        let (mut first, mut second) = (Consumer::<WORDS>::default(), Consumer::<WORDS>::default());
        let mut popped = 0;
        while popped < 2 {
            let got = [first.pop(one).unwrap(), second.pop(other).unwrap()];
            let got = got.into_iter().flatten().inspect(|got| assert_eq!(*got, slot(0))).count();
            popped += got;
            if got == 0 {
                sleeper.sleep_unless(|| !first.is_empty(one) || !second.is_empty(other));
            }
        }
        peers.into_iter().for_each(|peer| peer.join().unwrap());
    });
}

/// The returns of two buffers.
struct Returns {
    tail: AtomicU32,
    entries: [AtomicU64; 2],
    wanted: AtomicU32,
}

impl returns::Storage for Returns {
    fn tail(&self) -> &AtomicU32 {
        &self.tail
    }

    fn entry(&self, index: u32) -> &AtomicU64 {
        &self.entries[index as usize]
    }

    fn capacity(&self) -> u32 {
        2
    }
}

impl Returns {
    fn new() -> Self {
        let entries = std::array::from_fn(|_| AtomicU64::new(0));
        Self { tail: AtomicU32::new(0), entries, wanted: AtomicU32::new(0) }
    }
}

/// A writer that waits for buffers to come back, exactly as `State::take` and `Shared::drive` do: it
/// says that it waits, looks, arms, looks again, sleeps.
#[test]
fn when_a_buffer_comes_back_while_its_writer_begins_to_wait_then_the_writer_is_woken() {
    check(5, || {
        let shared = Arc::new((Returns::new(), Sleeper::new()));
        let giving = shared.clone();
        let giver = thread::spawn(move || {
            let (returns, sleeper) = &*giving;
            let (mut giver, rung) = (Giver::default(), Rung::default());
            for entry in 1..3 {
                giver.give(returns, entry);
                if returns::is_wanted(&returns.wanted) {
                    sleeper.ring(&rung);
                }
            }
        });
        let (returns, sleeper) = &*shared;
        let mut taker = Taker::default();
        for entry in 1..3 {
            let mut wants = false;
            loop {
                if let Some(taken) = taker.take(returns).unwrap() {
                    assert_eq!(taken, entry);
                    break;
                }
                if !std::mem::replace(&mut wants, true) {
                    returns::set_wanted(&returns.wanted, 1);
                } else {
                    sleeper.sleep_unless(|| !taker.is_empty(returns));
                }
            }
            if wants {
                returns::set_wanted(&returns.wanted, 0);
            }
        }
        giver.join().unwrap();
    });
}

/// Another thread drives, armed before anybody waited: the writer only says that it waits and looks
/// once more; the giver's ring wakes the driver, which takes the buffer in for the writer.
#[test]
fn when_another_thread_sleeps_for_the_writer_then_the_buffer_is_noticed() {
    check(5, || {
        let shared = Arc::new((Returns::new(), Sleeper::new()));
        sleep::arm(&shared.1.word, Bed::Bells);
        let giving = shared.clone();
        let giver = thread::spawn(move || {
            let (returns, sleeper) = &*giving;
            Giver::default().give(returns, 7);
            if returns::is_wanted(&returns.wanted) {
                sleeper.ring(&Rung::default());
            }
        });
        let (returns, sleeper) = &*shared;
        returns::set_wanted(&returns.wanted, 1);
        let mut taker = Taker::default();
        while taker.is_empty(returns) {
            sleeper.bell.wait();
        }
        assert_eq!(taker.take(returns).unwrap(), Some(7));
        giver.join().unwrap();
    });
}

/// What is in a buffer is read before its owner writes it again, and written before it is read: loom
/// reports a race of the plain accesses otherwise.
#[test]
fn when_a_buffer_goes_there_and_back_then_its_octets_are_never_written_and_read_at_once() {
    check(5, || {
        let shared = Arc::new((Ring::new(), Returns::new(), UnsafeCell::new(())));
        let owning = shared.clone();
        let owner = thread::spawn(move || {
            let (ring, returns, buffer) = &*owning;
            let (mut producer, mut taker) = (Producer::default(), Taker::default());
            for life in 1..3 {
                // The access alone counts, for the model checker.
                buffer.with_mut(|_| ());
                push(&mut producer, ring, life);
                while taker.take(returns).unwrap().is_none() {
                    thread::yield_now();
                }
            }
        });
        let (ring, returns, buffer) = &*shared;
        let (mut consumer, mut giver) = (Consumer::<WORDS>::default(), Giver::default());
        for life in 1..3 {
            while consumer.pop(ring).unwrap().is_none() {
                thread::yield_now();
            }
            buffer.with(|_| ());
            giver.give(returns, life);
        }
        owner.join().unwrap();
    });
}
