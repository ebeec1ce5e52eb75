//! Requests awaiting answers, and answers kept for repeated requests.

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher as _;
use std::net::SocketAddr;

use foldhash::quality::RandomState;
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
    /// In the order of their ends, since all live equally long.
    kept: VecDeque<Kept>,
    /// The number of the first of them; each of the others has the next one.
    first: u64,
    /// Those that still count, by a hash of whose request they answer.
    numbers: HashMap<u64, u64, RandomState>,
}

#[derive(Debug)]
struct Kept {
    key: ResponseKey,
    end: Instant,
    /// Hash of the request. A repetition is the same octets; the same sequence number with others
    /// is the request of a peer that has started again.
    request: u64,
    answer: Option<Box<[u8]>>,
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
        let request = self.numbers.hasher().hash_one(bytes);
        let tag = self.tag(&key);
        let same = self.place(tag, &key).filter(|at| self.kept[*at].request == request);
        if let Some(at) = same {
            return match self.kept[at].answer.as_deref() {
                Some(bytes) => Seen::Answered(bytes),
                None => Seen::InProgress,
            };
        }
        if self.kept.len() >= RESPONSES_MAX {
            self.pop();
        }
        self.numbers.insert(tag, self.first + self.kept.len() as u64);
        self.kept.push_back(Kept { key, end, request, answer: None });
        Seen::New
    }

    pub(crate) fn answered(&mut self, from: SocketAddr, sequence: u32, kind: MessageType, bytes: &[u8]) {
        let key = (from, sequence, kind as u8);
        if let Some(at) = self.place(self.tag(&key), &key) {
            self.kept[at].answer = Some(bytes.into());
        }
    }

    pub(crate) fn expire(&mut self, now: Instant) {
        while self.kept.front().is_some_and(|kept| kept.end <= now) {
            self.pop();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Forgets what a peer asked: after its restart it may use the same sequence numbers.
    pub(crate) fn forget(&mut self, from: std::net::IpAddr, except: u32) {
        for (number, kept) in (self.first..).zip(&self.kept) {
            let (peer, sequence, _) = kept.key;
            if peer.ip() == from && sequence != except {
                let tag = self.tag(&kept.key);
                if self.numbers.get(&tag) == Some(&number) {
                    self.numbers.remove(&tag);
                }
            }
        }
    }

    fn tag(&self, key: &ResponseKey) -> u64 {
        self.numbers.hasher().hash_one(key)
    }

    fn place(&self, tag: u64, key: &ResponseKey) -> Option<usize> {
        let number = self.numbers.get(&tag)?;
        let at = usize::try_from(number - self.first).ok()?;
        self.kept.get(at).filter(|kept| kept.key == *key).map(|_| at)
    }

    fn pop(&mut self) {
        let Some(oldest) = self.kept.pop_front() else { return };
        let tag = self.tag(&oldest.key);
        // A later request may have its place.
        if self.numbers.get(&tag) == Some(&self.first) {
            self.numbers.remove(&tag);
        }
        self.first += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: Instant = Instant::from_micros(5_000_000);

    fn key(sequence: u32) -> ResponseKey {
        (([127, 0, 0, 1], 8805).into(), sequence, MessageType::SessionDeletionRequest as u8)
    }

    fn answer(responses: &mut Responses, sequence: u32, bytes: &[u8]) {
        responses.answered(key(sequence).0, sequence, MessageType::SessionDeletionRequest, bytes);
    }

    #[test]
    fn when_a_request_is_repeated_then_its_answer_is_there_until_the_end() {
        let mut responses = Responses::default();
        for sequence in [1, 2] {
            assert!(matches!(responses.see(key(sequence), b"a", END), Seen::New));
        }
        answer(&mut responses, 2, b"of 2");
        assert!(matches!(responses.see(key(1), b"a", END), Seen::InProgress));
        answer(&mut responses, 1, b"of 1");
        assert!(matches!(responses.see(key(1), b"a", END), Seen::Answered(b"of 1")));
        assert!(matches!(responses.see(key(2), b"a", END), Seen::Answered(b"of 2")));
        responses.expire(END);
        assert_eq!(responses.len(), 0);
        assert!(matches!(responses.see(key(1), b"a", END), Seen::New));
    }

    #[test]
    fn when_a_sequence_number_comes_with_another_request_then_the_later_one_is_kept_for_its_own_time() {
        let mut responses = Responses::default();
        let later = END + tern_types::Duration::from_secs(1);
        assert!(matches!(responses.see(key(1), b"a", END), Seen::New));
        assert!(matches!(responses.see(key(1), b"b", later), Seen::New));
        answer(&mut responses, 1, b"of b");
        responses.expire(END);
        assert!(matches!(responses.see(key(1), b"b", later), Seen::Answered(b"of b")));
        responses.expire(later);
        assert_eq!((responses.len(), responses.kept.len()), (0, 0));
    }

    #[test]
    fn when_there_is_no_room_then_the_oldest_answer_goes() {
        let mut responses = Responses::default();
        for sequence in 0..=RESPONSES_MAX as u32 {
            responses.see(key(sequence), b"a", END);
            answer(&mut responses, sequence, b"answer");
        }
        assert_eq!((responses.len(), responses.kept.len()), (RESPONSES_MAX, RESPONSES_MAX));
        assert!(matches!(responses.see(key(1), b"a", END), Seen::Answered(_)));
        assert!(matches!(responses.see(key(0), b"a", END), Seen::New));
    }

    #[test]
    fn when_a_peer_is_forgotten_then_its_sequence_numbers_are_new_but_for_one() {
        let mut responses = Responses::default();
        for sequence in [1, 2] {
            responses.see(key(sequence), b"a", END);
            answer(&mut responses, sequence, b"answer");
        }
        responses.forget([127, 0, 0, 1].into(), 2);
        assert!(matches!(responses.see(key(2), b"a", END), Seen::Answered(_)));
        assert!(matches!(responses.see(key(1), b"a", END), Seen::New));
        responses.expire(END);
        assert_eq!((responses.len(), responses.kept.len()), (0, 0));
    }
}
