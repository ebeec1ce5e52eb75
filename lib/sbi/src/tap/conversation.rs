//! One TCP connection with its HTTP/2 streams, made up from what was exchanged.

use std::io::{self, Write};
use std::net::SocketAddr;

use super::http2;
use super::packet::{ACK, PSH, SEGMENT_OCTETS_MAX, SYN, Segment};
use super::pcap::Pcap;
use crate::http::written::Written;

/// What both ends begin to count octets with.
const SEQUENCE_INITIAL: u32 = 1_000;
/// The first stream of a client (RFC 9113 §5.1.1).
const STREAM_FIRST: u32 = 1;

/// An end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Consumer,
    Producer,
}

impl End {
    fn other(self) -> Self {
        match self {
            Self::Consumer => Self::Producer,
            Self::Producer => Self::Consumer,
        }
    }
}

/// An open connection.
pub(super) struct Conversation {
    /// The consumer's and the producer's address and next sequence number.
    ends: [(SocketAddr, u32); 2],
    next_stream: u32,
}

impl Conversation {
    /// Establishes it: RFC 9293 §3.5, RFC 9113 §3.4.
    pub(super) fn open<W: Write>(
        pcap: &mut Pcap<W>,
        at: u64,
        consumer: SocketAddr,
        producer: SocketAddr,
    ) -> io::Result<Self> {
        let ends = [(consumer, SEQUENCE_INITIAL), (producer, SEQUENCE_INITIAL)];
        let mut new = Self { ends, next_stream: STREAM_FIRST };
        let syn = Segment {
            from: consumer,
            to: producer,
            sequence: SEQUENCE_INITIAL,
            acknowledgement: 0,
            control: SYN,
            payload: &[],
        };
        pcap.packet(at, &syn.packet())?;
        // A SYN counts as one octet.
        new.ends[End::Consumer as usize].1 += 1;
        pcap.packet(at, &new.segment(End::Producer, SYN | ACK, &[]).packet())?;
        new.ends[End::Producer as usize].1 += 1;
        pcap.packet(at, &new.segment(End::Consumer, ACK, &[]).packet())?;

        let mut octets = http2::PREFACE.to_vec();
        http2::settings(true, &mut octets);
        new.send(pcap, at, End::Consumer, &octets)?;
        octets.clear();
        http2::settings(false, &mut octets);
        http2::settings_ack(&mut octets);
        new.send(pcap, at, End::Producer, &octets)?;
        octets.clear();
        http2::settings_ack(&mut octets);
        new.send(pcap, at, End::Consumer, &octets)?;
        Ok(new)
    }

    /// A request on a stream of its own, which it returns; `None`, and nothing is sent, if the
    /// connection has no more.
    pub(super) fn request<W: Write>(
        &mut self,
        pcap: &mut Pcap<W>,
        at: u64,
        request: &Written,
    ) -> io::Result<Option<u32>> {
        let stream = self.next_stream;
        if stream > http2::STREAM_MAX {
            return Ok(None);
        }
        self.next_stream += 2;
        let mut octets = Vec::new();
        http2::message(stream, request, &mut octets);
        self.send(pcap, at, End::Consumer, &octets)?;
        Ok(Some(stream))
    }

    /// The reply on the request's stream.
    pub(super) fn reply<W: Write>(
        &mut self,
        pcap: &mut Pcap<W>,
        at: u64,
        stream: u32,
        reply: &Written,
    ) -> io::Result<()> {
        let mut octets = Vec::new();
        http2::message(stream, reply, &mut octets);
        self.send(pcap, at, End::Producer, &octets)
    }

    /// The consumer waits no longer.
    pub(super) fn cancel<W: Write>(&mut self, pcap: &mut Pcap<W>, at: u64, stream: u32) -> io::Result<()> {
        let mut octets = Vec::new();
        http2::cancel(stream, &mut octets);
        self.send(pcap, at, End::Consumer, &octets)
    }

    /// Sends in segments, which the other end acknowledges.
    fn send<W: Write>(&mut self, pcap: &mut Pcap<W>, at: u64, from: End, octets: &[u8]) -> io::Result<()> {
        let mut parts = octets.chunks(SEGMENT_OCTETS_MAX).peekable();
        while let Some(part) = parts.next() {
            let control = if parts.peek().is_none() { ACK | PSH } else { ACK };
            pcap.packet(at, &self.segment(from, control, part).packet())?;
            let length = u32::try_from(part.len()).expect("invariant: at most 32,768 octets");
            let sequence = &mut self.ends[from as usize].1;
            *sequence = sequence.wrapping_add(length);
        }
        pcap.packet(at, &self.segment(from.other(), ACK, &[]).packet())
    }

    fn segment<'a>(&self, from: End, control: u8, payload: &'a [u8]) -> Segment<'a> {
        let (address, sequence) = self.ends[from as usize];
        let (other, acknowledgement) = self.ends[from.other() as usize];
        Segment { from: address, to: other, sequence, acknowledgement, control, payload }
    }
}
