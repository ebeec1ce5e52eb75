//! Fewer, larger writes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::stream::ByteStream;

/// Octets gathered before a writer has to wait for the stream below.
const GATHERED_MAX: usize = 64 << 10;

/// A stream that gathers what is written until every other task that is ready has run.
///
/// A request's HEADERS and DATA come from two tasks of the HTTP/2 library: written each at once,
/// they are two segments, and wake the peer twice. A flush therefore gives up its turn once; what
/// the other tasks have added until it is polled again goes with it, in one write. Under load the
/// frames of several requests share one write the same way.
pub(super) struct Coalescing {
    stream: Box<dyn ByteStream>,
    gathered: BytesMut,
    /// The flush has given up its turn.
    yielded: bool,
}

impl Coalescing {
    pub(super) fn new(stream: Box<dyn ByteStream>) -> Self {
        Self { stream, gathered: BytesMut::new(), yielded: false }
    }

    /// Writes all that was gathered.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.gathered.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.gathered))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.gathered.advance(written);
        }
        self.yielded = false;
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Coalescing {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Coalescing {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.gathered.len() >= GATHERED_MAX {
            ready!(self.poll_drain(cx))?;
        }
        let mut taken = 0;
        for buf in bufs {
            let room = GATHERED_MAX - self.gathered.len();
            let part = &buf[..buf.len().min(room)];
            self.gathered.extend_from_slice(part);
            taken += part.len();
        }
        Poll::Ready(Ok(taken))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.gathered.is_empty() && !self.yielded {
            self.yielded = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        ready!(self.poll_drain(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    /// Writes one octet and polls the flush once.
    async fn write_and_flush(stream: &mut Coalescing, octet: u8) -> Poll<io::Result<()>> {
        poll_fn(|cx| {
            assert!(matches!(Pin::new(&mut *stream).poll_write(cx, &[octet]), Poll::Ready(Ok(1))));
            Poll::Ready(Pin::new(&mut *stream).poll_flush(cx))
        })
        .await
    }

    #[tokio::test]
    async fn when_a_second_writer_comes_before_the_flush_then_both_go_in_one_write() {
        let (near, mut far) = duplex(1024);
        let mut stream = Coalescing::new(Box::new(near));
        assert!(write_and_flush(&mut stream, 1).await.is_pending());
        assert!(write_and_flush(&mut stream, 2).await.is_ready());
        let mut got = [0; 8];
        assert_eq!(far.read(&mut got).await.unwrap(), 2);
        assert_eq!(got[..2], [1, 2]);
    }

    #[tokio::test]
    async fn when_the_stream_below_is_slow_then_nothing_is_lost_and_no_more_is_gathered() {
        let sent: Vec<u8> = (0..4 * GATHERED_MAX).map(|i| i as u8).collect();
        let (near, mut far) = duplex(1000);
        let mut stream = Coalescing::new(Box::new(near));
        let mut got = Vec::new();
        let writing = async {
            for part in sent.chunks(GATHERED_MAX / 2 + 1) {
                stream.write_all(part).await.unwrap();
                assert!(stream.gathered.len() <= GATHERED_MAX);
            }
            stream.shutdown().await.unwrap();
        };
        let (_, read) = tokio::join!(writing, far.read_to_end(&mut got));
        assert_eq!((read.unwrap(), got == sent), (sent.len(), true));
    }
}
