//! A message built where it is sent from.

use std::io::{self, Write};
use std::sync::Arc;

use crate::link::Link;
use crate::pool::Ticket;
use crate::stream::ShmStream;

/// A buffer of a stream's pool, lent to a writer. Dropped unsent, it goes back.
#[must_use = "a loan that is not sent goes back"]
pub struct Loan<'a> {
    stream: &'a ShmStream,
    link: Arc<Link>,
    /// `None` once it is sent.
    ticket: Option<Ticket>,
    len: usize,
}

impl<'a> Loan<'a> {
    pub(crate) fn new(stream: &'a ShmStream, link: Arc<Link>, ticket: Ticket) -> Self {
        Self { stream, link, ticket: Some(ticket), len: 0 }
    }

    /// Octets that fit.
    pub fn capacity(&self) -> usize {
        self.link.regions.shape.buffer_size as usize
    }

    /// Octets written so far.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none was written.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The whole buffer, to be written in place; [`Loan::set_len`] says how much of it counts. It
    /// holds what an earlier message left.
    pub fn buffer(&mut self) -> &mut [u8] {
        let capacity = self.capacity();
        let ticket = self.ticket.as_mut().expect("invariant: not sent yet");
        self.link.regions.slice_mut(ticket, capacity)
    }

    /// How many octets of the buffer are the message; at most the capacity.
    pub fn set_len(&mut self, len: usize) {
        self.len = len.min(self.capacity());
    }

    /// Sends the message. An empty one is put back.
    pub fn send(mut self) -> io::Result<()> {
        if self.len == 0 {
            return Ok(());
        }
        let ticket = self.ticket.take().expect("invariant: not sent yet");
        let (key, len) = (self.stream.key, self.len as u32);
        self.stream.stack.shared.with(|state| {
            let sent = state.send_buffer(key, &ticket, len);
            if sent.is_err() {
                state.put_back(key, &self.link, &ticket);
            }
            sent
        })
    }
}

impl Write for Loan<'_> {
    /// Writes what fits.
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        let n = from.len().min(self.capacity() - self.len);
        let ticket = self.ticket.as_ref().expect("invariant: not sent yet");
        self.link.regions.write(ticket, self.len, &from[..n]);
        self.len += n;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.stream.stack.shared.with(|state| state.put_back(self.stream.key, &self.link, &ticket));
        }
    }
}
