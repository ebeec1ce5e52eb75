//! Many messages between two processes: blocking, nonblocking and on tokio at once, both ways, of
//! random sizes. `SBI_SHM_STRESS` says how many in all.

use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sbi_shm::{AttachOptions, ConnectOptions, ListenOptions, ShmStream, Stack};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::child::{Process, say};
use crate::node::{Direct as Node, at};

/// Messages in all, unless the environment says otherwise.
const MESSAGES: u64 = 1_000_000;
/// Streams, each with traffic both ways.
const STREAMS: u64 = 3;
/// No message for so long: it hangs.
const HANGS: Duration = Duration::from_secs(60);

/// Octets of the message with this number: mostly few, sometimes more than a buffer.
fn len(number: u64) -> usize {
    let hash = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let words = if hash.is_multiple_of(64) { 1 + (hash >> 8) % 1024 } else { 1 + (hash >> 8) % 8 };
    words as usize * 8
}

/// The word at this place of it.
fn word(number: u64, at: usize) -> u64 {
    number ^ (at as u64).wrapping_mul(0x2545_f491_4f6c_dd1d)
}

fn write_message(number: u64, into: &mut Vec<u8>) {
    into.clear();
    (0..len(number) / 8).for_each(|at| into.extend_from_slice(&word(number, at).to_le_bytes()));
}

/// Checks what comes against what must come.
#[derive(Default)]
struct Checker {
    number: u64,
    at: usize,
    rest: Vec<u8>,
}

impl Checker {
    fn check(&mut self, octets: &[u8], moved: &AtomicU64) {
        self.rest.extend_from_slice(octets);
        let mut words = self.rest.chunks_exact(8);
        for eight in &mut words {
            let got = u64::from_le_bytes(eight.try_into().unwrap());
            assert_eq!(got, word(self.number, self.at), "word {} of message {}", self.at, self.number);
            self.at += 1;
            if self.at == len(self.number) / 8 {
                (self.number, self.at) = (self.number + 1, 0);
                moved.fetch_add(1, Ordering::Relaxed);
            }
        }
        let used = self.rest.len() - words.remainder().len();
        self.rest.drain(..used);
    }
}

/// A stream that does not block: whoever uses it comes back later.
struct Patient<'a>(&'a ShmStream);

const LATER: Duration = Duration::from_micros(50);

impl Read for Patient<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        loop {
            match self.0.read(into) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(LATER),
                outcome => return outcome,
            }
        }
    }
}

impl Write for Patient<'_> {
    fn write(&mut self, from: &[u8]) -> std::io::Result<usize> {
        loop {
            match self.0.write(from) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(LATER),
                outcome => return outcome,
            }
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn send(mut to: impl Write, count: u64) {
    let mut message = Vec::new();
    for number in 0..count {
        write_message(number, &mut message);
        to.write_all(&message).unwrap();
    }
}

fn receive(mut from: impl Read, count: u64, moved: &AtomicU64) {
    let (mut checker, mut buffer) = (Checker::default(), vec![0; 1 << 16]);
    while checker.number < count {
        let n = from.read(&mut buffer).unwrap();
        assert!(n > 0, "the end, after {} messages", checker.number);
        checker.check(&buffer[..n], moved);
    }
}

async fn exchange(stream: ShmStream, count: u64, moved: Arc<AtomicU64>) {
    let (mut read, mut write) = tokio::io::split(stream);
    let sending = tokio::spawn(async move {
        let mut message = Vec::new();
        for number in 0..count {
            write_message(number, &mut message);
            write.write_all(&message).await.unwrap();
        }
        write
    });
    let (mut checker, mut buffer) = (Checker::default(), vec![0; 1 << 16]);
    while checker.number < count {
        let n = read.read(&mut buffer).await.unwrap();
        assert!(n > 0, "the end, after {} messages", checker.number);
        checker.check(&buffer[..n], &moved);
    }
    drop(sending.await.unwrap());
}

/// Aborts the process, with all that is known, once nothing moves any more.
fn watch(stack: Stack, moved: Arc<AtomicU64>, over: Arc<AtomicBool>) {
    std::thread::spawn(move || {
        let (mut last, mut since) = (0, Instant::now());
        while !over.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(100));
            let now = moved.load(Ordering::Relaxed);
            if now != last {
                (last, since) = (now, Instant::now());
            } else if since.elapsed() > HANGS {
                eprintln!("nothing moves after {now} messages: {:?}", stack.counters());
                eprintln!("buffers (free, all): {:?}; peers: {:?}", stack.pool_level(), stack.peers());
                std::process::abort();
            }
        }
    });
}

/// One process's part: the first stream is blocking, the second is not, the third is tokio's.
fn play(stack: &Stack, streams: [ShmStream; STREAMS as usize], count: u64) {
    let (moved, over) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
    watch(stack.clone(), moved.clone(), over.clone());
    let [blocking, nonblocking, tokio] = streams;
    nonblocking.set_nonblocking(true);
    std::thread::scope(|scope| {
        scope.spawn(|| send(&blocking, count));
        scope.spawn(|| receive(&blocking, count, &moved));
        scope.spawn(|| send(Patient(&nonblocking), count));
        scope.spawn(|| receive(Patient(&nonblocking), count, &moved));
        scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(exchange(tokio, count, moved.clone()));
        });
    });
    over.store(true, Ordering::Relaxed);
    assert_eq!(moved.load(Ordering::Relaxed), STREAMS * count);
}

/// The other process.
pub fn child(socket: &str, count: u64) {
    let stack = Stack::attach(&AttachOptions::new(socket, "stress")).unwrap();
    let connect = |_| stack.connect(at("127.0.0.1:80"), &ConnectOptions::default()).unwrap();
    play(&stack, [0, 1, 2].map(connect), count);
    say("done");
    crate::child::wait_for_nod();
}

#[test]
fn when_two_processes_exchange_many_messages_then_all_arrive_in_order_and_nothing_hangs() {
    let all = std::env::var("SBI_SHM_STRESS").map_or(MESSAGES, |text| text.parse().unwrap());
    let count = all / (2 * STREAMS);
    let node = Node::new();
    let stack = node.attach("server");
    let listener = stack.listen(at("127.0.0.1:80"), &ListenOptions::default()).unwrap();
    let started = Instant::now();
    let mut other = Process::start("stress", &[node.socket(), &count.to_string()]);
    let streams = [0, 1, 2].map(|_| listener.accept().unwrap().0);
    play(&stack, streams, count);
    other.expect("done");
    let took = started.elapsed();
    let rate = (2 * STREAMS * count) as f64 / took.as_secs_f64() / 1e6;
    println!("{} messages in {took:.1?}: {rate:.2} million each second", 2 * STREAMS * count);
    println!("{:?}", stack.counters());
}
