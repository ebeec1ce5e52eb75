//! Work on many namespaces by several threads: each is in one namespace at a time, and none of the
//! caller's threads ever leaves its own.

use std::num::NonZero;
use std::sync::Mutex;
use std::thread;

use crate::NetError;

/// Threads for each processor: one waits for a lock of the kernel's while another one works.
const PER_PROCESSOR: usize = 2;
/// Threads in all.
const WORKERS_MAX: usize = 16;

/// Does `work` with each of the items, and gives what comes of it, in no order. The first error is
/// returned, when what was begun is over; what was not is left.
pub fn each<T: Send, R: Send>(
    items: impl IntoIterator<Item = T, IntoIter: Send>,
    work: impl Fn(T) -> Result<R, NetError> + Sync,
) -> Result<Vec<R>, NetError> {
    let items = items.into_iter();
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let most = items.size_hint().1.unwrap_or(WORKERS_MAX);
    let workers = (processors * PER_PROCESSOR).min(WORKERS_MAX).min(most);
    let next = Mutex::new(Some(items));
    let take = || next.lock().ok()?.as_mut()?.next();
    let run = || {
        let mut results = Vec::new();
        while let Some(item) = take() {
            match work(item) {
                Ok(result) => results.push(result),
                Err(error) => {
                    if let Ok(mut next) = next.lock() {
                        *next = None;
                    }
                    return Err(error);
                }
            }
        }
        Ok(results)
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(run)).collect();
        let mut all = Vec::new();
        let mut failed = None;
        for thread in threads {
            match thread.join() {
                Ok(Ok(results)) => all.extend(results),
                Ok(Err(error)) => failed = failed.or(Some(error)),
                Err(_) => failed = failed.or(Some(NetError::Panicked)),
            }
        }
        failed.map_or(Ok(all), Err)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_done_once() {
        let mut results = each(0..1_000, |item| Ok(item * 2)).unwrap();
        results.sort_unstable();
        assert_eq!(results, (0..1_000).map(|item| item * 2).collect::<Vec<_>>());
        assert!(each(0..0, Ok).unwrap().is_empty());
    }

    #[test]
    fn an_error_stops_what_was_not_begun() {
        let done = Mutex::new(0);
        let result = each(0..1_000_000, |item| {
            *done.lock().unwrap() += 1;
            if item == 10 { Err(NetError::Busy("x".to_owned())) } else { Ok(()) }
        });
        assert!(matches!(result, Err(NetError::Busy(_))));
        assert!(*done.lock().unwrap() < 1_000_000);
    }
}
