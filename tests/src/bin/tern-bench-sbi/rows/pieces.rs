//! The small pieces, by Criterion: a ring's slot, a message of a stream when nobody waits, a model
//! written and read. They say what of a round trip is left when nothing sleeps.

use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use criterion::Criterion;
use sbi_shm::ring::{Consumer, Producer, Storage};
use sbi_shm::{ConnectOptions, ListenOptions, ShmStream, Waiting};
use tern_figures::{Row, place::Pinned};
use tern_sbi::direct;
use tern_sbi::npcf_sm::CreateSmPolicy;
use tern_sbi::nudm_ueau::GenerateAuthData;

use crate::Bench;
use crate::message::Exchanged;
use crate::peer::Node;
use crate::report::Report;
use crate::rows::stream::OCTETS;
use crate::serve::{SHARED, attach};

const WARM_UP: Duration = Duration::from_millis(300);
const MEASURED: Duration = Duration::from_secs(1);
const SAMPLES: usize = 20;

pub fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let _pinned = Pinned::to(bench.cores[0])?;
    let directory = bench.output.join("criterion");
    let mut pieces = Pieces { criterion: criterion(&directory), measured: Vec::new() };
    pieces.ring();
    pieces.stream(bench)?;
    pieces.models::<GenerateAuthData>()?;
    pieces.models::<CreateSmPolicy>()?;
    for name in &pieces.measured {
        report.row(Row::new(
            name.clone(),
            tern_figures::criterion::estimate(&directory, name)?,
            "ns",
            "one thread, one core; median and its 95 % interval",
        ));
    }
    Ok(())
}

fn criterion(directory: &Path) -> Criterion {
    Criterion::default()
        .without_plots()
        .output_directory(directory)
        .warm_up_time(WARM_UP)
        .measurement_time(MEASURED)
        .sample_size(SAMPLES)
}

struct Pieces {
    criterion: Criterion,
    measured: Vec<String>,
}

impl Pieces {
    fn piece(&mut self, name: String, mut work: impl FnMut()) {
        self.criterion.bench_function(&name, |bencher| bencher.iter(&mut work));
        self.measured.push(name);
    }

    /// A slot of the size that streams use, into a ring and out of it.
    fn ring(&mut self) {
        let ring = Ring::new();
        let (mut producer, mut consumer) = (Producer::<WORDS>::default(), Consumer::<WORDS>::default());
        self.piece("ring, a slot pushed and popped".to_owned(), || {
            let pushed = producer.push(&ring, &[1; WORDS]);
            assert!(pushed.is_ok() && matches!(consumer.pop(&ring), Ok(Some(_))));
        });
    }

    /// 1 KiB from one process's end to another's; both are here, so that nobody sleeps.
    fn stream(&mut self, bench: &Bench) -> Result<()> {
        let node = Node::start(*bench.cores.last().context("no processor")?, &[])?;
        let (near, far) =
            (attach(&node.socket, "near", Waiting::Sleep)?, attach(&node.socket, "far", Waiting::Sleep)?);
        let listener = far.listen(SHARED.parse()?, &ListenOptions::default())?;
        // Connecting waits for the other side's thread.
        let (near, far) = std::thread::scope(|scope| {
            let accepting = scope.spawn(|| listener.accept());
            let near = near.connect(listener.local_addr(), &ConnectOptions::default());
            (near, accepting.join())
        });
        let mut near = near?;
        let (mut far, _) = far.map_err(|_| anyhow!("the accepting thread panicked"))??;
        let sent = [7; OCTETS];
        self.piece("stream, 1 KiB written and read".to_owned(), || copied(&mut near, &mut far, &sent));
        self.piece("stream, 1 KiB in a loan, received in place".to_owned(), || lent(&near, &far));
        Ok(())
    }

    /// The answer of an operation, written and read.
    fn models<E: Exchanged>(&mut self) -> Result<()> {
        let answer = E::answer()?;
        let json = serde_json::to_vec(&answer)?;
        let mut octets = Vec::new();
        direct::write(&answer, &mut octets)?;
        let name = |what: &str| format!("{}, answer, {what}", E::NAME);
        self.piece(name("JSON written"), || drop(black_box(serde_json::to_vec(&answer))));
        self.piece(name("direct form written"), || {
            let mut octets = Vec::new();
            black_box(direct::write(&answer, &mut octets)).ok();
        });
        self.piece(name("JSON read"), || drop(black_box(serde_json::from_slice::<E::Reply>(&json))));
        self.piece(name("direct form read"), || drop(black_box(direct::read::<E::Reply>(&octets))));
        Ok(())
    }
}

fn copied(near: &mut ShmStream, far: &mut ShmStream, sent: &[u8; OCTETS]) {
    let mut got = [0; OCTETS];
    near.write_all(sent).and_then(|()| far.read_exact(&mut got)).expect("both ends are open");
    assert_eq!(got[OCTETS - 1], sent[OCTETS - 1]);
}

fn lent(near: &ShmStream, far: &ShmStream) {
    let mut loan = near.loan().expect("the window is open");
    loan.set_len(OCTETS);
    loan.send().expect("the other end is open");
    let got = far.receive().expect("this end is open").expect("a message");
    assert_eq!(got.len(), OCTETS);
}

/// Words of a slot, as streams have them.
const WORDS: usize = 8;
/// Slots of the ring.
const CAPACITY: u32 = 64;

/// A ring in this process's own memory.
struct Ring {
    tail: AtomicU32,
    head: AtomicU32,
    slots: [[AtomicU64; WORDS]; CAPACITY as usize],
}

impl Ring {
    fn new() -> Self {
        let slots = std::array::from_fn(|_| std::array::from_fn(|_| AtomicU64::new(0)));
        Self { tail: AtomicU32::new(0), head: AtomicU32::new(0), slots }
    }
}

impl Storage for Ring {
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
        CAPACITY
    }
}
