//! What travels in a ring: one slot of eight words for each message between two stacks.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Words of a descriptor; with 64 octets it fills a cache line.
pub(crate) const WORDS: usize = 8;

/// One end of a connection. IPv4 addresses are mapped (RFC 4291 §2.5.5.2), so that one form is
/// compared and hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct End {
    ip: u128,
    port: u16,
}

impl From<SocketAddr> for End {
    fn from(address: SocketAddr) -> Self {
        let ip = match address.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        Self { ip: ip.to_bits(), port: address.port() }
    }
}

impl From<End> for SocketAddr {
    fn from(end: End) -> Self {
        Self::new(end.ip(), end.port)
    }
}

impl End {
    /// The address; IPv4 if it was.
    pub(crate) fn ip(self) -> IpAddr {
        Ipv6Addr::from_bits(self.ip).to_canonical()
    }
}

/// Why a connection is refused, or ended by the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// Nobody listens there.
    NoListener,
    /// A limit of the other side is reached.
    Busy,
}

/// What a descriptor asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Message {
    /// A connection is wanted; `offer` says what the client would speak on it.
    Establish { offer: u64 },
    /// It is accepted; `choice` says what the server wants spoken.
    Reply { choice: u64 },
    /// It is refused.
    Refuse(Why),
    /// Octets, in a buffer of the sender's.
    Data { buffer: u32, generation: u32, len: u32 },
    /// The sender will send no more data.
    Close,
    /// The connection is no more, for either side.
    Reset,
}

/// A message and its connection, as its sender sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Descriptor {
    pub(crate) source: End,
    pub(crate) destination: End,
    pub(crate) message: Message,
}

const ESTABLISH: u64 = 1;
const REPLY: u64 = 2;
const REFUSE: u64 = 3;
const DATA: u64 = 4;
const CLOSE: u64 = 5;
const RESET: u64 = 6;

impl Descriptor {
    /// As a slot: word 0 holds kind and ports, 1 to 3 the message's own, 4 to 7 the addresses.
    pub(crate) fn write(&self) -> [u64; WORDS] {
        let mut words = [0; WORDS];
        let kind = match self.message {
            Message::Establish { offer } => {
                words[1] = offer;
                ESTABLISH
            }
            Message::Reply { choice } => {
                words[1] = choice;
                REPLY
            }
            Message::Refuse(why) => {
                words[1] = match why {
                    Why::NoListener => 0,
                    Why::Busy => 1,
                };
                REFUSE
            }
            Message::Data { buffer, generation, len } => {
                words[1] = u64::from(buffer);
                words[2] = u64::from(generation);
                words[3] = u64::from(len);
                DATA
            }
            Message::Close => CLOSE,
            Message::Reset => RESET,
        };
        words[0] = kind | u64::from(self.source.port) << 16 | u64::from(self.destination.port) << 32;
        (words[4], words[5]) = halves(self.source.ip);
        (words[6], words[7]) = halves(self.destination.ip);
        words
    }

    /// Reads a slot that a peer wrote; `None` if it means nothing. Buffer, generation and length are
    /// as the peer says: the receiver's books judge them.
    pub(crate) fn read(words: &[u64; WORDS]) -> Option<Self> {
        let number = |word: usize| u32::try_from(words[word]).ok();
        let message = match words[0] & 0xffff {
            ESTABLISH => Message::Establish { offer: words[1] },
            REPLY => Message::Reply { choice: words[1] },
            REFUSE => Message::Refuse(if words[1] == 0 { Why::NoListener } else { Why::Busy }),
            DATA => Message::Data { buffer: number(1)?, generation: number(2)?, len: number(3)? },
            CLOSE => Message::Close,
            RESET => Message::Reset,
            _ => return None,
        };
        if words[0] >> 48 != 0 {
            return None;
        }
        let port = |shift: u32| (words[0] >> shift & 0xffff) as u16;
        Some(Self {
            source: End { ip: whole(words[4], words[5]), port: port(16) },
            destination: End { ip: whole(words[6], words[7]), port: port(32) },
            message,
        })
    }
}

fn halves(ip: u128) -> (u64, u64) {
    ((ip >> 64) as u64, ip as u64)
}

fn whole(high: u64, low: u64) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_read_as_it_was_written() {
        let source: SocketAddr = "127.0.0.10:49152".parse().unwrap();
        let destination: SocketAddr = "[2001:db8::1]:8080".parse().unwrap();
        for message in [
            Message::Establish { offer: u64::MAX },
            Message::Reply { choice: 7 },
            Message::Refuse(Why::NoListener),
            Message::Refuse(Why::Busy),
            Message::Data { buffer: 1, generation: u32::MAX, len: 4096 },
            Message::Close,
            Message::Reset,
        ] {
            let descriptor = Descriptor { source: source.into(), destination: destination.into(), message };
            let read = Descriptor::read(&descriptor.write()).unwrap();
            assert_eq!(read, descriptor);
            assert_eq!(SocketAddr::from(read.source), source);
            assert_eq!(SocketAddr::from(read.destination), destination);
        }
    }

    #[test]
    fn what_means_nothing_is_refused() {
        let close = Descriptor {
            source: "10.0.0.1:1".parse::<SocketAddr>().unwrap().into(),
            destination: "10.0.0.2:2".parse::<SocketAddr>().unwrap().into(),
            message: Message::Close,
        };
        let mut words = close.write();
        words[0] |= 1 << 60;
        assert_eq!(Descriptor::read(&words), None);
        assert_eq!(Descriptor::read(&[0; WORDS]), None);
        let mut words = close.write();
        words[0] = words[0] & !0xffff | DATA;
        words[3] = 1 << 32;
        assert_eq!(Descriptor::read(&words), None);
    }
}
