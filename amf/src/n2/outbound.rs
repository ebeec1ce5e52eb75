//! What goes to one gNB: its association, and what the stack has not taken yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tern_sctp::{AssociationSender, SendError};
use tokio::sync::mpsc;

/// Sends to one gNB in order and never waits. A burst that the stack's send buffer has no room for
/// (usrsctp counts messages, not only octets) waits here, up to a number of octets.
#[derive(Debug)]
pub(super) struct Outbound {
    association: AssociationSender,
    queue: mpsc::UnboundedSender<Pdu>,
    waiting: Arc<AtomicUsize>,
    octets_max: usize,
}

#[derive(Debug)]
struct Pdu {
    stream: u16,
    octets: Bytes,
}

impl Outbound {
    /// Over an association; `octets_max` may wait beside what the stack holds.
    pub(super) fn new(association: AssociationSender, octets_max: usize) -> Self {
        // Bounded by the octets: a message has one at least.
        let (queue, queued) = mpsc::unbounded_channel();
        let waiting = Arc::default();
        tokio::spawn(drain(association.clone(), queued, Arc::clone(&waiting)));
        Self { association, queue, waiting, octets_max }
    }

    /// Streams towards the gNB.
    pub(super) fn streams(&self) -> u16 {
        self.association.info().outbound_streams
    }

    /// Sends an NGAP message, or lets it wait behind those that wait.
    ///
    /// # Errors
    /// [`SendError::Full`] when too much waits, and what the association says.
    pub(super) fn send(&self, octets: Bytes, stream: u16) -> Result<(), SendError> {
        let waiting = self.waiting.load(Ordering::Acquire);
        if waiting == 0 {
            match self.association.try_send(octets.clone(), stream, tern_ngap::PPID, false) {
                Err(SendError::Full) => {}
                done => return done,
            }
        }
        let length = octets.len();
        if waiting + length > self.octets_max {
            return Err(SendError::Full);
        }
        self.waiting.fetch_add(length, Ordering::AcqRel);
        self.queue.send(Pdu { stream, octets }).map_err(|_| SendError::Closed)
    }

    /// As [`AssociationSender::shutdown`].
    pub(super) fn shutdown(&self) {
        self.association.shutdown();
    }

    /// As [`AssociationSender::abort`].
    pub(super) fn abort(&self, reason: &str) {
        self.association.abort(reason);
    }
}

/// Sends what waits as room comes. What waits counts until the stack has it, so that nothing
/// overtakes it.
async fn drain(
    association: AssociationSender,
    mut queued: mpsc::UnboundedReceiver<Pdu>,
    waiting: Arc<AtomicUsize>,
) {
    while let Some(Pdu { stream, octets }) = queued.recv().await {
        let length = octets.len();
        if association.send(octets, stream, tern_ngap::PPID, false).await.is_err() {
            // The association's reader tells why it is over.
            return;
        }
        waiting.fetch_sub(length, Ordering::AcqRel);
    }
}
