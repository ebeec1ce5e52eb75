//! UDP sockets.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;

use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_recv_buffer_size_force};
use socket2::{MsgHdr, SockAddr, SockRef};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::{BoxFuture, Burst, Datagram, Datagrams, Failed, Outgoing};

/// Octets that wait in a socket for their receiver, as the kernel counts them: a few times as many as datagrams
/// have, so that this is a burst of some thousand.
const RECEIVE_BUFFER: usize = 4 << 20;
/// Datagrams that are sent at once.
const TOGETHER_MAX: usize = 64;
/// Octets that are sent at once: what fits into one UDP datagram, whose size the kernel checks before it takes
/// the datagrams apart.
const TOGETHER_OCTETS_MAX: usize = 65_507;
/// Longer datagrams are sent one by one: the kernel fragments them, if it must, but does not take apart what it
/// would then have to fragment.
const CUT_MAX: usize = 1_472;

/// Of Linux: what a control message of UDP says is where it is to be cut.
const SOL_UDP: i32 = 17;
const UDP_SEGMENT: i32 = 103;

/// UDP.
#[derive(Debug, Clone, Copy, Default)]
pub struct Udp;

struct UdpEndpoint {
    socket: UdpSocket,
    at: SocketAddr,
}

impl Datagrams for Udp {
    fn bind(&self, at: SocketAddr) -> BoxFuture<'_, io::Result<Arc<dyn Datagram>>> {
        Box::pin(async move {
            let socket = UdpSocket::bind(at).await?;
            // Beyond the limit of all (net.core.rmem_max) with CAP_NET_ADMIN alone; else the kernel gives less.
            if set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER).is_err() {
                set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER)?;
            }
            let at = socket.local_addr()?;
            Ok(Arc::new(UdpEndpoint { socket, at }) as Arc<dyn Datagram>)
        })
    }
}

impl Datagram for UdpEndpoint {
    fn send_to<'a>(&'a self, data: &'a [u8], to: SocketAddr) -> BoxFuture<'a, io::Result<()>> {
        Box::pin(async move { self.socket.send_to(data, to).await.map(|_| ()) })
    }

    fn recv_from<'a>(&'a self, buf: &'a mut [u8]) -> BoxFuture<'a, io::Result<(usize, SocketAddr)>> {
        Box::pin(self.socket.recv_from(buf))
    }

    fn recv_burst<'a>(&'a self, burst: &'a mut Burst) -> BoxFuture<'a, io::Result<()>> {
        Box::pin(async move {
            burst.clear();
            while burst.is_empty() {
                self.socket.readable().await?;
                while let Some(room) = burst.room() {
                    match self.socket.try_recv_from(room) {
                        Ok((len, from)) => burst.push(len, from),
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                        // One that lasts comes again.
                        Err(_) if !burst.is_empty() => break,
                        Err(error) => return Err(error),
                    }
                }
            }
            Ok(())
        })
    }

    /// Rows of datagrams to one peer that have one length go through the kernel as one.
    fn send_burst<'a>(&'a self, datagrams: &'a mut Vec<Outgoing>, failed: Failed<'a>) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let mut rest = &datagrams[..];
            while let Some((to, data)) = rest.first() {
                let (row, behind) = rest.split_at(row_of(rest));
                rest = behind;
                // An interface may not be able to take them apart, or the path is narrower.
                if row.len() > 1 && self.send_row(*to, row, data.len()).await.is_ok() {
                    continue;
                }
                for (to, data) in row {
                    if let Err(error) = self.socket.send_to(data, *to).await {
                        failed(*to, error);
                    }
                }
            }
            datagrams.clear();
        })
    }

    fn local_addr(&self) -> SocketAddr {
        self.at
    }
}

impl UdpEndpoint {
    async fn send_row(&self, to: SocketAddr, row: &[Outgoing], length: usize) -> io::Result<()> {
        let send = || {
            let octets: Vec<IoSlice<'_>> = row.iter().map(|(_, data)| IoSlice::new(data)).collect();
            let (to, control) = (SockAddr::from(to), cut_at(length));
            let message = MsgHdr::new().with_addr(&to).with_buffers(&octets).with_control(&control);
            SockRef::from(&self.socket).sendmsg(&message, 0)
        };
        self.socket.async_io(Interest::WRITABLE, send).await.map(|_| ())
    }
}

/// How many of these may go as one: those to the first one's peer and of its length.
fn row_of(datagrams: &[Outgoing]) -> usize {
    let Some((peer, first)) = datagrams.first() else { return 0 };
    if first.is_empty() || first.len() > CUT_MAX {
        return 1;
    }
    let max = TOGETHER_MAX.min(TOGETHER_OCTETS_MAX / first.len());
    let same = |(to, data): &&Outgoing| to == peer && data.len() == first.len();
    datagrams.iter().take(max).take_while(same).count()
}

/// The control message that has the kernel cut what is sent into datagrams of this length.
pub fn cut_at(length: usize) -> Vec<u8> {
    let mut control = Vec::new();
    let length = u16::try_from(length).unwrap_or(u16::MAX);
    control_message(SOL_UDP, UDP_SEGMENT, &length.to_ne_bytes(), &mut control);
    control
}

/// Adds a control message: its length, what it is about, and its value, filled up to a word.
pub fn control_message(level: i32, kind: i32, value: &[u8], out: &mut Vec<u8>) {
    const WORD: usize = size_of::<usize>();
    let header = WORD + 2 * size_of::<i32>();
    out.extend_from_slice(&(header + value.len()).to_ne_bytes());
    out.extend_from_slice(&level.to_ne_bytes());
    out.extend_from_slice(&kind.to_ne_bytes());
    out.extend_from_slice(value);
    out.resize(out.len().next_multiple_of(WORD), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_datagrams_differ_in_peer_or_length_then_they_are_not_sent_as_one() {
        let [one, other]: [SocketAddr; 2] = [([127, 0, 0, 1], 1).into(), ([127, 0, 0, 1], 2).into()];
        let row = |all: &[(SocketAddr, usize)]| {
            let datagrams: Vec<Outgoing> = all.iter().map(|&(to, length)| (to, vec![0; length])).collect();
            row_of(&datagrams)
        };
        assert_eq!(row(&[]), 0);
        assert_eq!(row(&[(one, 9), (one, 9), (other, 9), (one, 9)]), 2);
        assert_eq!(row(&[(one, 9), (one, 8), (one, 9)]), 1);
        assert_eq!(row(&[(one, 0), (one, 0)]), 1);
        assert_eq!(row(&[(one, CUT_MAX); 99]), TOGETHER_OCTETS_MAX / CUT_MAX);
        assert_eq!(row(&[(one, CUT_MAX + 1); 2]), 1);
        assert_eq!(row(&[(one, 9); 99]), TOGETHER_MAX);
    }
}
