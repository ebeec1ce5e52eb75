//! What passes between network functions without an interface that could be captured, for the
//! readers of captures.
//!
//! Where the SBI travels through memory, each process has a [`Tap`]: a file to which it adds
//! the requests that it sends as a consumer and the replies that it gives as a producer, each
//! with the header fields and the content that HTTP/2 carries (they may have travelled in
//! another form, which only their author can still write as JSON). [`to_pcap`] puts the files
//! of all processes together: one capture, in which each exchange is HTTP/2 over TCP.
//!
//! The files hold all that the SBI carries, keys included: only their owner can read them.

mod conversation;
mod http2;
mod merge;
mod packet;
mod pcap;
mod record;
mod writer;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use tern_sbi::{Method, Reply, Request};

pub use merge::{Summary, TapError, files_in, to_pcap};
pub use pcap::Pcap;

use crate::http::written::Written;
use record::{Half, Record};
use writer::Writer;

/// Octets of one tap file where nobody says otherwise.
pub const TAP_OCTETS_MAX: u64 = 256 << 20;

/// How the names of tap files end.
pub const EXTENSION: &str = "tap";

/// Files of one name and one process ID in one directory.
const NAMESAKES_MAX: u32 = 1000;

/// Names one exchange in the files of both its ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Exchange {
    /// The consumer's end of the connection.
    pub consumer: SocketAddr,
    /// The producer's end.
    pub producer: SocketAddr,
    /// Which request of this connection it is; any number that both ends know.
    pub number: u64,
}

/// Adds what one process says to its tap file. Clones write to the same file.
///
/// No call waits or fails: what the writing thread has not taken yet is bounded, and what does
/// not fit, or cannot be written, is counted. Dropping the last clone waits until all is written.
#[derive(Clone)]
pub struct Tap {
    writer: Arc<Writer>,
}

impl Tap {
    /// A new file, of at most [`TAP_OCTETS_MAX`] octets; what was at `path` is replaced.
    pub fn create(path: &Path) -> io::Result<Self> {
        Self::create_bounded(path, TAP_OCTETS_MAX)
    }

    /// The same with at most `octets_max` octets: once a record would go beyond, no more is
    /// written.
    pub fn create_bounded(path: &Path, octets_max: u64) -> io::Result<Self> {
        let mut options = Writer::options();
        options.create(true).truncate(true);
        Self::open(path, &options, octets_max)
    }

    /// A new file in `directory`, named after the network function and this process, so that one
    /// that is started again leaves what it wrote before; [`files_in`] finds them.
    pub fn in_directory(directory: &Path, name: &str) -> io::Result<Self> {
        let process = std::process::id();
        let mut options = Writer::options();
        options.create_new(true);
        // In containers process IDs come again.
        for namesake in 0..NAMESAKES_MAX {
            let path = directory.join(format!("{name}-{process}-{namesake}.{EXTENSION}"));
            match Self::open(&path, &options, TAP_OCTETS_MAX) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                opened => return opened,
            }
        }
        Err(io::Error::new(io::ErrorKind::AlreadyExists, "too many tap files of this name"))
    }

    fn open(path: &Path, options: &std::fs::OpenOptions, octets_max: u64) -> io::Result<Self> {
        Ok(Self { writer: Arc::new(Writer::start(path, options, octets_max)?) })
    }

    /// The consumer has sent a request, as it goes to the producer: with the header fields that
    /// follow from the call.
    pub fn request(&self, exchange: Exchange, at: SystemTime, user_agent: &str, request: &Request) {
        self.add(exchange, at, || {
            Written::request(exchange.producer, user_agent, request).ok().map(Half::Request)
        });
    }

    /// The producer has answered; `allow` are the resource's methods if the status is 405.
    pub fn reply(&self, exchange: Exchange, at: SystemTime, reply: &Reply, allow: &[Method]) {
        self.add(exchange, at, || Written::reply(at, reply, allow).ok().map(Half::Reply));
    }

    /// The consumer no longer waits for the reply: its time ran out, or the producer is gone.
    pub fn give_up(&self, exchange: Exchange, at: SystemTime) {
        self.add(exchange, at, || Some(Half::GivenUp));
    }

    /// Halves that were not written: the file is full or cannot be written, the writing thread
    /// is behind, or it is nothing that HTTP can carry.
    pub fn dropped(&self) -> u64 {
        self.writer.dropped()
    }

    fn add(&self, exchange: Exchange, at: SystemTime, half: impl FnOnce() -> Option<Half>) {
        self.writer.add(|| {
            let half = half()?;
            Record { at: record::nanos(at), exchange, half }.encode()
        });
    }
}
