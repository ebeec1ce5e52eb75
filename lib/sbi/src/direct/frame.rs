//! Frames on a stream of octets.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use sbi_shm::ShmStream;

const HEADER: usize = 8;

/// Octets of a message besides its content: path, query, header fields, names of parts.
const BESIDES_CONTENT_MAX: usize = 64 << 10;

const GO_AWAY: u8 = 1;
const CANCEL: u8 = 2;
const REFUSED: u8 = 3;

/// What a frame says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// A request or its reply.
    Message(u32, Bytes),
    /// The producer takes no more requests on this connection.
    GoAway,
    /// The consumer does not wait for this reply any more.
    Cancel(u32),
    /// The producer has not acted on this request, and will not.
    Refused(u32),
}

/// What is wrong with a stream of frames.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    #[error("a message of {0} octets")]
    TooLong(usize),
    #[error("a frame that means nothing")]
    Meaningless,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Frames that arrive.
pub(super) struct Incoming {
    gathered: BytesMut,
    payload_max: usize,
}

impl Incoming {
    /// Messages with content of at most `content_max` octets.
    pub(super) fn new(content_max: usize) -> Self {
        Self { gathered: BytesMut::new(), payload_max: content_max + BESIDES_CONTENT_MAX }
    }

    /// The next frame; `None` at the end of the stream.
    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        stream: &ShmStream,
    ) -> Poll<Result<Option<Frame>, FrameError>> {
        loop {
            if let Some(frame) = self.parse()? {
                return Poll::Ready(Ok(Some(frame)));
            }
            let Some(mut octets) = ready!(stream.poll_receive(cx))? else {
                return Poll::Ready(if self.gathered.is_empty() {
                    Ok(None)
                } else {
                    Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())
                });
            };
            let at = self.gathered.len();
            self.gathered.resize(at + octets.len(), 0);
            octets.copy_to(&mut self.gathered[at..]);
        }
    }

    fn parse(&mut self) -> Result<Option<Frame>, FrameError> {
        let Some((header, rest)) = self.gathered.split_first_chunk::<HEADER>() else { return Ok(None) };
        let [a, b, c, d, e, f, g, h] = *header;
        let len = u32::from_le_bytes([a, b, c, d]) as usize;
        let number = u32::from_le_bytes([e, f, g, h]);
        if len > self.payload_max {
            return Err(FrameError::TooLong(len));
        }
        if rest.len() < len {
            return Ok(None);
        }
        self.gathered.advance(HEADER);
        let octets = self.gathered.split_to(len).freeze();
        if number != 0 {
            return Ok(Some(Frame::Message(number, octets)));
        }
        let subject = || octets.get(1..5).and_then(|n| n.try_into().ok()).map(u32::from_le_bytes);
        match (octets.first(), subject()) {
            (Some(&GO_AWAY), _) => Ok(Some(Frame::GoAway)),
            (Some(&CANCEL), Some(number)) => Ok(Some(Frame::Cancel(number))),
            (Some(&REFUSED), Some(number)) => Ok(Some(Frame::Refused(number))),
            _ => Err(FrameError::Meaningless),
        }
    }
}

/// Appends a message that `write` writes.
pub(super) fn write_message(out: &mut Vec<u8>, number: u32, write: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&number.to_le_bytes());
    write(out);
    let len = u32::try_from(out.len() - at - HEADER).unwrap_or(u32::MAX);
    out[at..at + 4].copy_from_slice(&len.to_le_bytes());
}

/// Appends what concerns the connection.
pub(super) fn write_frame(out: &mut Vec<u8>, frame: &Frame) {
    let (kind, subject) = match frame {
        Frame::GoAway => (GO_AWAY, 0),
        Frame::Cancel(number) => (CANCEL, *number),
        Frame::Refused(number) => (REFUSED, *number),
        Frame::Message(number, octets) => {
            return write_message(out, *number, |out| out.extend_from_slice(octets));
        }
    };
    write_message(out, 0, |out| {
        out.push(kind);
        out.extend_from_slice(&subject.to_le_bytes());
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(octets: &[u8]) -> Result<Vec<Frame>, FrameError> {
        let mut incoming = Incoming::new(100);
        let mut frames = Vec::new();
        for octet in octets {
            incoming.gathered.extend_from_slice(&[*octet]);
            frames.extend(incoming.parse()?);
        }
        Ok(frames)
    }

    #[test]
    fn frames_are_read_however_they_are_cut() {
        let sent = [
            Frame::Message(7, Bytes::from_static(b"seven")),
            Frame::Cancel(7),
            Frame::Message(u32::MAX, Bytes::new()),
            Frame::Refused(9),
            Frame::GoAway,
        ];
        let mut octets = Vec::new();
        sent.iter().for_each(|frame| write_frame(&mut octets, frame));
        assert_eq!(read(&octets).unwrap(), sent);
    }

    #[test]
    fn what_is_too_long_or_means_nothing_is_an_error() {
        assert!(matches!(read(&[0xff, 0xff, 0xff, 0x7f, 1, 0, 0, 0]), Err(FrameError::TooLong(_))));
        assert!(matches!(read(&[1, 0, 0, 0, 0, 0, 0, 0, 77]), Err(FrameError::Meaningless)));
        assert!(matches!(read(&[2, 0, 0, 0, 0, 0, 0, 0, CANCEL, 1]), Err(FrameError::Meaningless)));
    }
}
