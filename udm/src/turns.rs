//! Requests about one subscriber that must not cross: each waits for its turn.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tern_types::Supi;
use tokio::sync::{Mutex as Queue, OwnedMutexGuard};

/// Who waits for whom. It holds no more than the requests in progress.
#[derive(Clone, Default)]
pub(crate) struct Turns(Arc<Mutex<BTreeMap<Supi, Arc<Queue<()>>>>>);

/// A turn; dropping it lets the next one have its own.
pub(crate) struct Turn {
    // First: the place is given up when nobody holds it any more.
    _guard: OwnedMutexGuard<()>,
    _place: Place,
}

/// A place in a subscriber's queue, whether waiting or served.
struct Place {
    turns: Turns,
    supi: Supi,
    queue: Arc<Queue<()>>,
}

impl Turns {
    /// Waits until all that came before for this subscriber are done.
    pub(crate) async fn take(&self, supi: &Supi) -> Turn {
        let queue = self.queues().entry(supi.clone()).or_default().clone();
        let place = Place { turns: self.clone(), supi: supi.clone(), queue };
        Turn { _guard: place.queue.clone().lock_owned().await, _place: place }
    }

    fn queues(&self) -> MutexGuard<'_, BTreeMap<Supi, Arc<Queue<()>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut queues = self.turns.queues();
        // The map's and this one: nobody else is in the queue.
        if Arc::strong_count(&self.queue) == 2 {
            queues.remove(&self.supi);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::*;

    #[tokio::test]
    async fn one_subscriber_is_served_in_turn_and_nothing_is_kept() {
        let turns = Turns::default();
        let supi: Supi = "imsi-001010000000001".parse().unwrap();
        let other: Supi = "imsi-001010000000002".parse().unwrap();
        let first = turns.take(&supi).await;
        let mut second = Box::pin(turns.take(&supi));
        let mut third = Box::pin(turns.take(&supi));
        let mut context = Context::from_waker(Waker::noop());
        assert!(second.as_mut().poll(&mut context).is_pending());
        assert!(third.as_mut().poll(&mut context).is_pending());
        drop(turns.take(&other).await);
        drop(first);
        assert!(third.as_mut().poll(&mut context).is_pending());
        let second = second.await;
        // Who asked may have gone.
        drop(third);
        assert_eq!(turns.queues().len(), 1);
        drop(second);
        assert!(turns.queues().is_empty());
    }
}
