//! All that network functions, gNBs and UEs say to one another, in its order: as a hash, as text
//! where two runs are to be compared.

use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tern_nf::SimNetwork;
use tern_sbi_transport::{Observed, What};
use tern_sctp::Message;
use tern_sctp::mem::MemVerdict;
use tokio::time::Instant;

/// Messages of one run; more are a livelock.
const MESSAGES_MAX: u64 = 20_000_000;

/// Is shown all that is said, as it is sent.
pub trait Witness: Send + Sync {
    /// An N2 message.
    fn n2(&self, from: SocketAddr, to: SocketAddr, message: &Message);
    /// A datagram of N3 or N4.
    fn datagram(&self, from: SocketAddr, to: SocketAddr, data: &[u8]);
    /// A service request, or its reply.
    fn sbi(&self, observed: &Observed<'_>);
}

/// What was said. Clones are one.
#[derive(Clone)]
pub struct Trace {
    messages: Arc<Mutex<Messages>>,
    witness: Option<Arc<dyn Witness>>,
}

struct Messages {
    hasher: DefaultHasher,
    count: u64,
    started: Instant,
    lines: Option<Vec<String>>,
}

impl Trace {
    /// Nothing yet.
    pub fn new(keep_lines: bool, witness: Option<Arc<dyn Witness>>) -> Self {
        let messages = Messages {
            hasher: DefaultHasher::new(),
            count: 0,
            started: Instant::now(),
            lines: keep_lines.then(Vec::new),
        };
        Self { messages: Arc::new(Mutex::new(messages)), witness }
    }

    /// Takes in all that a network carries.
    pub fn follow(&self, network: &SimNetwork) {
        self.follow_n2(network, |_, _, _| MemVerdict::Pass);
        self.follow_datagrams(network, |_, _, _| true);
        let sbi = self.clone();
        network.sbi.set_observer(move |observed| {
            if let Some(witness) = &sbi.witness {
                witness.sbi(&observed);
            }
            match observed.what {
                What::Request(request) => sbi.add(format_args!("request {} {request:?}", observed.api_root)),
                What::Reply(reply) => sbi.add(format_args!("reply {} {reply:?}", observed.api_root)),
            }
        });
    }

    /// From now on `tap` says what becomes of each N2 message.
    pub fn follow_n2(
        &self,
        network: &SimNetwork,
        mut tap: impl FnMut(SocketAddr, SocketAddr, &Message) -> MemVerdict + Send + 'static,
    ) {
        let trace = self.clone();
        network.sctp.set_tap(move |from, to, message| {
            let verdict = tap(from, to, message);
            if let Some(witness) = &trace.witness {
                witness.n2(from, to, message);
            }
            trace.add(format_args!("N2 {from} {to} {message:?} {verdict:?}"));
            verdict
        });
    }

    /// From now on `hook` says whether a datagram goes on.
    pub fn follow_datagrams(
        &self,
        network: &SimNetwork,
        mut hook: impl FnMut(SocketAddr, SocketAddr, &[u8]) -> bool + Send + 'static,
    ) {
        let trace = self.clone();
        network.datagrams.set_hook(move |from, to, data| {
            let passes = hook(from, to, data);
            if let Some(witness) = &trace.witness {
                witness.datagram(from, to, data);
            }
            trace.add(format_args!("datagram {from} {to} {data:02x?} {passes}"));
            passes
        });
    }

    /// Takes in one message.
    pub fn add(&self, what: fmt::Arguments<'_>) {
        let mut messages = self.lock();
        messages.count += 1;
        assert!(messages.count < MESSAGES_MAX, "{MESSAGES_MAX} messages: nothing ends");
        let micros = messages.started.elapsed().as_micros();
        let line = format!("{micros:>12} {what}");
        line.hash(&mut messages.hasher);
        if let Some(lines) = &mut messages.lines {
            lines.push(line);
        }
    }

    /// Of all messages so far.
    pub fn hash(&self) -> u64 {
        self.lock().hasher.finish()
    }

    /// All messages so far, if they are kept.
    pub fn lines(&self) -> Vec<String> {
        self.lock().lines.clone().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Messages> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
