//! What stacks and the manager say to one another, over a Unix socket that keeps messages apart; and
//! the one message between two stacks that are paired.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use crate::address::AddressRange;
use crate::region::PoolShape;
use crate::state::NotListening;

/// Changes when the messages or the layout of regions change.
pub(crate) const VERSION: u32 = 1;
/// Octets of the longest message.
pub(crate) const MESSAGE_MAX: usize = 4096;
/// Descriptors that come with one message.
const FDS_MAX: usize = 2;
/// Octets of a name that count.
pub(crate) const NAME_MAX: usize = 64;
/// Peers of one stack.
pub(crate) const PEERS_MAX: usize = 127;
/// Ranges of addresses granted to one user.
pub(crate) const RANGES_MAX: usize = 64;

/// From a stack to the manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ToManager {
    /// Its first message; with it comes its status page. A stack that comes back to a new manager
    /// tells who it is and with whom it is paired.
    Hello { version: u32, instance: u64, name: String, peers: Vec<u64> },
    /// It wants to be found at this address.
    Listen(SocketAddr),
    /// It does not any more.
    Unlisten(SocketAddr),
    /// It wants to reach who listens there.
    Connect(SocketAddr),
    /// Its pair with this peer, of which a route told with this number, is no more.
    Lost(u64, u64),
}

/// From the manager to a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FromManager {
    /// It is admitted.
    Welcome { instance: u64, node: [u8; 16], domain: String, shape: PoolShape, addresses: Vec<AddressRange> },
    /// It is not.
    Denied(String),
    /// It is found there, or is not.
    Listening(SocketAddr, Result<(), NotListening>),
    /// It is paired with a peer; with it comes its end of the pair's socket.
    Pair { instance: u64, name: String, addresses: Vec<AddressRange> },
    /// Who listens there: a peer that it is paired with, and the number of that pair.
    Route(SocketAddr, u64, u64),
    /// Nobody listens there, in this domain, on this node.
    NoRoute(SocketAddr),
}

/// Between two stacks, once, both ways: with it come region and status page. What
/// comes after it through the pair's socket is rings: messages without meaning that wake an event loop.
pub(crate) const PAIRED: &[u8] = b"sbi-shm pair 1";

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a message that means nothing")
}

/// Writes fields one after the other.
#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn of(kind: u8) -> Self {
        Self(vec![kind])
    }

    fn u64(mut self, value: u64) -> Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    fn u32(mut self, value: u32) -> Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    fn text(mut self, text: &str) -> Self {
        let mut end = text.len().min(255);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.0.push(end as u8);
        self.0.extend_from_slice(&text.as_bytes()[..end]);
        self
    }

    fn ip(mut self, ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => {
                self.0.push(4);
                self.0.extend_from_slice(&ip.octets());
            }
            IpAddr::V6(ip) => {
                self.0.push(6);
                self.0.extend_from_slice(&ip.octets());
            }
        }
        self
    }

    fn address(self, address: SocketAddr) -> Self {
        let mut writer = self.ip(address.ip());
        writer.0.extend_from_slice(&address.port().to_le_bytes());
        writer
    }

    fn ranges(mut self, ranges: &[AddressRange]) -> Self {
        let ranges = &ranges[..ranges.len().min(RANGES_MAX)];
        self.0.push(ranges.len() as u8);
        for range in ranges {
            self = self.ip(range.ip());
            self.0.push(range.prefix());
        }
        self
    }
}

/// Reads them.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> io::Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(n).ok_or_else(malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| malformed())
    }

    fn u8(&mut self) -> io::Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    fn u32(&mut self) -> io::Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> io::Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn text(&mut self) -> io::Result<String> {
        let len = self.u8()?.into();
        String::from_utf8(self.take(len)?.to_vec()).map_err(|_| malformed())
    }

    fn ip(&mut self) -> io::Result<IpAddr> {
        match self.u8()? {
            4 => Ok(self.array::<4>()?.into()),
            6 => Ok(self.array::<16>()?.into()),
            _ => Err(malformed()),
        }
    }

    fn address(&mut self) -> io::Result<SocketAddr> {
        let ip = self.ip()?;
        Ok(SocketAddr::new(ip, u16::from_le_bytes(self.array()?)))
    }

    fn ranges(&mut self) -> io::Result<Vec<AddressRange>> {
        let count = usize::from(self.u8()?);
        if count > RANGES_MAX {
            return Err(malformed());
        }
        (0..count)
            .map(|_| {
                let (ip, prefix) = (self.ip()?, self.u8()?);
                AddressRange::new(ip, prefix).ok_or_else(malformed)
            })
            .collect()
    }

    fn end(self) -> io::Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(malformed()) }
    }
}

impl ToManager {
    pub(crate) fn write(&self) -> Vec<u8> {
        match self {
            Self::Hello { version, instance, name, peers } => {
                let peers = &peers[..peers.len().min(PEERS_MAX)];
                let mut writer = Writer::of(1).u32(*version).u64(*instance).text(name);
                writer.0.push(peers.len() as u8);
                peers.iter().fold(writer, |writer, peer| writer.u64(*peer))
            }
            Self::Listen(at) => Writer::of(2).address(*at),
            Self::Unlisten(at) => Writer::of(3).address(*at),
            Self::Connect(to) => Writer::of(4).address(*to),
            Self::Lost(peer, pair) => Writer::of(5).u64(*peer).u64(*pair),
        }
        .0
    }

    pub(crate) fn read(bytes: &[u8]) -> io::Result<Self> {
        let mut reader = Reader(bytes);
        let message = match reader.u8()? {
            1 => {
                let (version, instance, name) = (reader.u32()?, reader.u64()?, reader.text()?);
                let count = usize::from(reader.u8()?);
                if count > PEERS_MAX || name.len() > NAME_MAX {
                    return Err(malformed());
                }
                let peers = (0..count).map(|_| reader.u64()).collect::<io::Result<_>>()?;
                Self::Hello { version, instance, name, peers }
            }
            2 => Self::Listen(reader.address()?),
            3 => Self::Unlisten(reader.address()?),
            4 => Self::Connect(reader.address()?),
            5 => Self::Lost(reader.u64()?, reader.u64()?),
            _ => return Err(malformed()),
        };
        reader.end()?;
        Ok(message)
    }
}

impl FromManager {
    pub(crate) fn write(&self) -> Vec<u8> {
        match self {
            Self::Welcome { instance, node, domain, shape, addresses } => {
                let mut writer = Writer::of(1).u64(*instance);
                writer.0.extend_from_slice(node);
                writer.text(domain).u32(shape.buffers).u32(shape.buffer_size).ranges(addresses)
            }
            Self::Denied(why) => Writer::of(2).text(why),
            Self::Listening(at, outcome) => {
                let mut writer = Writer::of(3).address(*at);
                writer.0.push(match outcome {
                    Ok(()) => 0,
                    Err(NotListening::NotGranted) => 1,
                    Err(NotListening::Taken) => 2,
                    Err(NotListening::Full) => 3,
                    Err(NotListening::NoManager) => 4,
                });
                writer
            }
            Self::Pair { instance, name, addresses } => {
                Writer::of(4).u64(*instance).text(name).ranges(addresses)
            }
            Self::Route(to, instance, pair) => Writer::of(5).address(*to).u64(*instance).u64(*pair),
            Self::NoRoute(to) => Writer::of(6).address(*to),
        }
        .0
    }

    pub(crate) fn read(bytes: &[u8]) -> io::Result<Self> {
        let mut reader = Reader(bytes);
        let message = match reader.u8()? {
            1 => {
                let (instance, node, domain) = (reader.u64()?, reader.array()?, reader.text()?);
                let shape = PoolShape { buffers: reader.u32()?, buffer_size: reader.u32()? };
                if !shape.is_valid() {
                    return Err(malformed());
                }
                Self::Welcome { instance, node, domain, shape, addresses: reader.ranges()? }
            }
            2 => Self::Denied(reader.text()?),
            3 => {
                let at = reader.address()?;
                let outcome = match reader.u8()? {
                    0 => Ok(()),
                    1 => Err(NotListening::NotGranted),
                    2 => Err(NotListening::Taken),
                    3 => Err(NotListening::Full),
                    4 => Err(NotListening::NoManager),
                    _ => return Err(malformed()),
                };
                Self::Listening(at, outcome)
            }
            4 => Self::Pair { instance: reader.u64()?, name: reader.text()?, addresses: reader.ranges()? },
            5 => Self::Route(reader.address()?, reader.u64()?, reader.u64()?),
            6 => Self::NoRoute(reader.address()?),
            _ => return Err(malformed()),
        };
        reader.end()?;
        Ok(message)
    }
}

/// A message that came, and the descriptors with it.
pub(crate) struct Received {
    pub(crate) bytes: Vec<u8>,
    pub(crate) fds: Vec<OwnedFd>,
}

/// Sends a message with descriptors. Never waits: a peer that does not read gets
/// [`io::ErrorKind::WouldBlock`].
pub(crate) fn send(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    sendmsg(socket, &[IoSlice::new(bytes)], &mut control, flags)?;
    Ok(())
}

/// Receives a message; `None` if there is none now. The end of the connection is
/// [`io::ErrorKind::UnexpectedEof`].
pub(crate) fn receive(socket: impl AsFd) -> io::Result<Option<Received>> {
    let mut bytes = vec![0; MESSAGE_MAX];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let mut attempt = || recvmsg(&socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags);
    // An end that hung up before it had read everything is told of first, once; what it had said is
    // still there.
    let message = match attempt() {
        Err(rustix::io::Errno::CONNRESET) => attempt(),
        outcome => outcome,
    };
    let message = match message {
        Ok(message) => message,
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    if message.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
        return Err(malformed());
    }
    if message.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    bytes.truncate(message.bytes);
    Ok(Some(Received { bytes, fds }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> SocketAddr {
        "[2001:db8::7]:8080".parse().unwrap()
    }

    #[test]
    fn every_message_is_read_as_it_was_written() {
        for message in [
            ToManager::Hello { version: 1, instance: 7, name: "amf".into(), peers: vec![1, u64::MAX] },
            ToManager::Listen(at()),
            ToManager::Unlisten("127.0.0.1:1".parse().unwrap()),
            ToManager::Connect(at()),
            ToManager::Lost(1, u64::MAX),
        ] {
            let bytes = message.write();
            assert_eq!(ToManager::read(&bytes).unwrap(), message);
            for cut in 0..bytes.len() {
                assert!(ToManager::read(&bytes[..cut]).is_err());
            }
        }
        let addresses = vec!["10.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()];
        for message in [
            FromManager::Welcome {
                instance: 3,
                node: [9; 16],
                domain: "operator".into(),
                shape: PoolShape::default(),
                addresses: addresses.clone(),
            },
            FromManager::Denied("no".into()),
            FromManager::Listening(at(), Ok(())),
            FromManager::Listening(at(), Err(NotListening::Taken)),
            FromManager::Pair { instance: 1, name: "é".into(), addresses },
            FromManager::Route(at(), 5, 6),
            FromManager::NoRoute(at()),
        ] {
            let bytes = message.write();
            assert_eq!(FromManager::read(&bytes).unwrap(), message);
            for cut in 0..bytes.len() {
                assert!(FromManager::read(&bytes[..cut]).is_err());
            }
        }
    }

    #[test]
    fn the_longest_message_fits() {
        let range = AddressRange::from("2001:db8::1".parse::<IpAddr>().unwrap());
        let name = "x".repeat(NAME_MAX);
        let longest =
            FromManager::Pair { instance: 1, name: name.clone(), addresses: vec![range; RANGES_MAX] };
        assert!(longest.write().len() <= MESSAGE_MAX);
        let hello = ToManager::Hello { version: 1, instance: 1, name, peers: vec![1; PEERS_MAX] };
        assert!(hello.write().len() <= MESSAGE_MAX);
    }
}
