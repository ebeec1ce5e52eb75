//! The byte streams below HTTP/2: TCP, or anything else that gives these traits.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};

use crate::transport::BoxFuture;

/// Pending connections that the kernel keeps.
const BACKLOG: u32 = 1024;

/// An ordered, reliable stream of octets both ways.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> ByteStream for T {}

/// Opens and accepts byte streams.
pub trait Streams: Send + Sync + 'static {
    /// Listens at `at`.
    fn listen(&self, at: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>>;

    /// Opens a stream to `authority`, `host` or `host:port`.
    fn connect<'a>(&'a self, authority: &'a str) -> BoxFuture<'a, io::Result<Box<dyn ByteStream>>>;
}

/// Accepts byte streams. Dropping it stops listening.
pub trait Listener: Send {
    /// Where it listens.
    fn local_addr(&self) -> SocketAddr;

    /// The next stream and its peer. Cancel safe.
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(Box<dyn ByteStream>, IpAddr)>>;
}

/// TCP, without Nagle's delay.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tcp {
    /// Address that connections are opened from; the kernel's choice if none, or if its
    /// family is not the producer's.
    pub source: Option<IpAddr>,
}

impl Streams for Tcp {
    fn listen(&self, at: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let socket = if at.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            socket.set_reuseaddr(true)?;
            socket.bind(at)?;
            let listener = socket.listen(BACKLOG)?;
            let at = listener.local_addr()?;
            Ok(Box::new(TcpListening { listener, at }) as Box<dyn Listener>)
        })
    }

    fn connect<'a>(&'a self, authority: &'a str) -> BoxFuture<'a, io::Result<Box<dyn ByteStream>>> {
        Box::pin(async move {
            let mut failure = io::Error::new(io::ErrorKind::NotFound, format!("{authority} has no address"));
            for peer in addresses(authority).await? {
                match open(peer, self.source).await {
                    Ok(stream) => return Ok(Box::new(stream) as Box<dyn ByteStream>),
                    Err(error) => failure = error,
                }
            }
            Err(failure)
        })
    }
}

struct TcpListening {
    listener: TcpListener,
    at: SocketAddr,
}

impl Listener for TcpListening {
    fn local_addr(&self) -> SocketAddr {
        self.at
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<(Box<dyn ByteStream>, IpAddr)>> {
        Box::pin(async move {
            let (stream, peer) = self.listener.accept().await?;
            stream.set_nodelay(true)?;
            Ok((Box::new(stream) as Box<dyn ByteStream>, peer.ip()))
        })
    }
}

async fn open(peer: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = if peer.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_nodelay(true)?;
    if let Some(source) = source.filter(|s| s.is_ipv4() == peer.is_ipv4() && !s.is_unspecified()) {
        socket.bind(SocketAddr::new(source, 0))?;
    }
    socket.connect(peer).await
}

async fn addresses(authority: &str) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = authority.parse::<SocketAddr>() {
        return Ok(vec![address]);
    }
    if let Ok(address) = authority.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, 80)]);
    }
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let host = if has_port { authority.to_owned() } else { format!("{authority}:80") };
    Ok(lookup_host(host).await?.collect())
}

/// A stream whose first octets were read before: they are read again.
pub(super) struct Replayed {
    first: &'static [u8],
    stream: Box<dyn ByteStream>,
}

impl Replayed {
    pub(super) fn new(first: &'static [u8], stream: Box<dyn ByteStream>) -> Self {
        Self { first, stream }
    }
}

impl AsyncRead for Replayed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.first.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let (now, later) = self.first.split_at(self.first.len().min(buf.remaining()));
        buf.put_slice(now);
        self.first = later;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Replayed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
