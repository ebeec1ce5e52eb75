//! Requests awaiting answers, and answers kept for repeated requests.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hasher};
use std::net::SocketAddr;

use tern_pfcp::MessageType;
use tern_types::Instant;

use crate::config::RESPONSES_MAX;
use crate::node::Token;

/// Whose request it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The caller's.
    Caller(Token),
    /// A heartbeat of ours.
    Heartbeat,
    /// An association setup of ours.
    Associate,
    /// An association release of ours.
    Release,
}

/// A request of ours.
#[derive(Clone, Debug)]
pub(crate) struct Outstanding {
    pub(crate) to: SocketAddr,
    pub(crate) purpose: Purpose,
    pub(crate) bytes: Vec<u8>,
    pub(crate) retransmissions_left: u8,
    pub(crate) deadline: Instant,
}

type ResponseKey = (SocketAddr, u32, u8);

/// What was answered, so that a repeated request gets the same answer and is not done twice.
#[derive(Debug, Default)]
pub(crate) struct Responses {
    answers: BTreeMap<ResponseKey, Kept>,
    /// In the order of their ends, since all live equally long.
    ends: VecDeque<(Instant, ResponseKey)>,
}

#[derive(Debug)]
struct Kept {
    /// Hash of the request. A repetition is the same octets; the same sequence number with others
    /// is the request of a peer that has started again.
    request: u64,
    answer: Option<Vec<u8>>,
}

/// What is known about a received request.
pub(crate) enum Seen<'a> {
    New,
    InProgress,
    Answered(&'a [u8]),
}

impl Responses {
    /// Looks a request up and remembers it until `end` if it is new.
    pub(crate) fn see(&mut self, key: ResponseKey, bytes: &[u8], end: Instant) -> Seen<'_> {
        let request = hash(bytes);
        let kept = self.answers.get(&key).map(|kept| kept.request);
        if kept == Some(request) {
            return match self.answers.get(&key).and_then(|kept| kept.answer.as_deref()) {
                Some(bytes) => Seen::Answered(bytes),
                None => Seen::InProgress,
            };
        }
        if self.ends.len() >= RESPONSES_MAX
            && let Some((_, oldest)) = self.ends.pop_front()
        {
            self.answers.remove(&oldest);
        }
        if kept.is_none() {
            self.ends.push_back((end, key));
        }
        self.answers.insert(key, Kept { request, answer: None });
        Seen::New
    }

    pub(crate) fn answered(&mut self, from: SocketAddr, sequence: u32, kind: MessageType, bytes: &[u8]) {
        if let Some(kept) = self.answers.get_mut(&(from, sequence, kind as u8)) {
            kept.answer = Some(bytes.to_vec());
        }
    }

    pub(crate) fn expire(&mut self, now: Instant) {
        while let Some((end, key)) = self.ends.front().copied()
            && end <= now
        {
            self.ends.pop_front();
            self.answers.remove(&key);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.answers.len()
    }

    /// Forgets what a peer asked: after its restart it may use the same sequence numbers.
    pub(crate) fn forget(&mut self, from: std::net::IpAddr, except: u32) {
        self.answers.retain(|(peer, sequence, _), _| peer.ip() != from || *sequence == except);
        self.ends.retain(|(_, (peer, sequence, _))| peer.ip() != from || *sequence == except);
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}
