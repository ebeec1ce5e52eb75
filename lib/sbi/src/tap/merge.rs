//! Tap files become one capture.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::conversation::Conversation;
use super::pcap::Pcap;
use super::record::{self, Half, Record, Wrong};
use super::{EXTENSION, Exchange};

/// By how much a reply may seem to come before its request: the machine's clock was set in
/// between, or the consumer's tap took its time later than it sent.
const CLOCK_STEP_MAX_NS: u64 = 1_000_000_000;

/// Why tap files give no capture.
#[derive(Debug, thiserror::Error)]
pub enum TapError {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file is of another kind, or of another version.
    #[error("{} is no tap file of this version", .0.display())]
    NotATap(PathBuf),
    /// A record of a file makes no sense.
    #[error("{}: the record at octet {offset} makes no sense", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where the record begins.
        offset: usize,
    },
}

/// What a capture holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Requests with their replies.
    pub answered: usize,
    /// Requests without a reply: the consumer gave up, or no tap has seen the reply.
    pub unanswered: usize,
    /// Replies, and requests given up, whose request no tap has seen; they are left out.
    pub strays: usize,
    /// Files whose last record is not all there, as when a process was killed.
    pub torn: usize,
}

/// The tap files of a directory, in the order of their names.
pub fn files_in(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension() == Some(OsStr::new(EXTENSION)) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Writes what the taps have seen as a capture (libpcap, link type RAW, nanoseconds, in the
/// order of time): HTTP/2 over one TCP connection for each pair of addresses, which stays open
/// at the end. A request without a reply ends with RST_STREAM.
///
/// The files are read whole into memory.
pub fn to_pcap(files: &[PathBuf], out: &Path) -> Result<Summary, TapError> {
    let mut records = Vec::new();
    let mut torn = 0;
    for path in files {
        let file = std::fs::read(path).map_err(|source| TapError::Io { path: path.clone(), source })?;
        let contents = record::read(&Bytes::from(file)).map_err(|wrong| match wrong {
            Wrong::Mark => TapError::NotATap(path.clone()),
            Wrong::Record(offset) => TapError::Malformed { path: path.clone(), offset },
        })?;
        records.extend(contents.records);
        torn += usize::from(contents.torn);
    }
    put_in_order(&mut records);
    let failed = |source| TapError::Io { path: out.to_owned(), source };
    let file = File::create(out).map_err(failed)?;
    let summary = write(&records, BufWriter::new(file)).map_err(failed)?;
    Ok(Summary { torn, ..summary })
}

/// By time, each request before what answers it.
fn put_in_order(records: &mut [Record]) {
    records.sort_by_key(Record::order);
    // What came for a request that no record before it has.
    let mut early: BTreeMap<Exchange, u64> = BTreeMap::new();
    let mut asked = BTreeSet::new();
    let mut moved = false;
    for record in records.iter_mut() {
        match record.half {
            Half::Request(_) => {
                asked.insert(record.exchange);
                if let Some(at) = early.remove(&record.exchange)
                    && record.at - at <= CLOCK_STEP_MAX_NS
                {
                    record.at = at;
                    moved = true;
                }
            }
            Half::Reply(_) | Half::GivenUp if !asked.remove(&record.exchange) => {
                early.entry(record.exchange).or_insert(record.at);
            }
            Half::Reply(_) | Half::GivenUp => {}
        }
    }
    if moved {
        records.sort_by_key(Record::order);
    }
}

/// A request that has no reply yet.
struct Waiting {
    stream: u32,
    given_up: bool,
}

fn write(records: &[Record], out: impl Write) -> io::Result<Summary> {
    let mut pcap = Pcap::new(out)?;
    let mut summary = Summary::default();
    let mut conversations: BTreeMap<(SocketAddr, SocketAddr), Conversation> = BTreeMap::new();
    let mut waiting: BTreeMap<Exchange, Waiting> = BTreeMap::new();
    for Record { at, exchange, half } in records {
        let ends = (exchange.consumer, exchange.producer);
        if let Half::Request(request) = half {
            let conversation = match conversations.entry(ends) {
                Entry::Occupied(open) => open.into_mut(),
                Entry::Vacant(new) => new.insert(Conversation::open(&mut pcap, *at, ends.0, ends.1)?),
            };
            let Some(stream) = conversation.request(&mut pcap, *at, request)? else {
                summary.strays += 1;
                continue;
            };
            // A consumer that was started again counts from the beginning.
            if let Some(old) = waiting.insert(*exchange, Waiting { stream, given_up: false }) {
                summary.unanswered += 1;
                if !old.given_up {
                    conversation.cancel(&mut pcap, *at, old.stream)?;
                }
            }
            continue;
        }
        let (Some(conversation), Some(request)) = (conversations.get_mut(&ends), waiting.get_mut(exchange))
        else {
            summary.strays += 1;
            continue;
        };
        match half {
            Half::Reply(reply) => {
                // It may have crossed with the end of the consumer's patience (RFC 9113 §5.1).
                conversation.reply(&mut pcap, *at, request.stream, reply)?;
                summary.answered += 1;
                waiting.remove(exchange);
            }
            _ if !request.given_up => {
                conversation.cancel(&mut pcap, *at, request.stream)?;
                request.given_up = true;
            }
            _ => summary.strays += 1,
        }
    }
    let end = records.last().map_or(0, |record| record.at);
    for (exchange, request) in waiting {
        summary.unanswered += 1;
        if let Some(conversation) = conversations.get_mut(&(exchange.consumer, exchange.producer))
            && !request.given_up
        {
            conversation.cancel(&mut pcap, end, request.stream)?;
        }
    }
    pcap.finish()?;
    Ok(summary)
}
