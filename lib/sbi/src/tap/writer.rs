//! The thread that writes a tap file.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;

use super::record::MARK;

/// Octets that wait to be written; what comes beyond is dropped.
const WAITING_OCTETS_MAX: usize = 32 << 20;

/// The SBI carries keys.
const PRIVATE: u32 = 0o600;

pub(super) struct Writer {
    /// Present until dropped.
    records: Option<Sender<Vec<u8>>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    octets_max: u64,
    /// Octets of the file once all that was taken is written.
    octets: AtomicU64,
    waiting: AtomicUsize,
    dropped: AtomicU64,
    /// The file is full, or cannot be written: nothing is added any more.
    stopped: AtomicBool,
    /// Whether it was said that the thread is behind.
    behind: AtomicBool,
}

impl Writer {
    /// How a tap file is opened; whether it may be there is the caller's to say.
    pub(super) fn options() -> OpenOptions {
        let mut options = OpenOptions::new();
        options.write(true).mode(PRIVATE);
        options
    }

    /// Begins the file and starts the thread.
    pub(super) fn start(path: &Path, options: &OpenOptions, octets_max: u64) -> io::Result<Self> {
        let mut file = options.open(path)?;
        file.write_all(MARK)?;
        let shared = Arc::new(Shared {
            path: path.to_owned(),
            octets_max,
            octets: AtomicU64::new(MARK.len() as u64),
            waiting: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            behind: AtomicBool::new(false),
        });
        let (records, taken) = mpsc::channel();
        let its = shared.clone();
        let thread = std::thread::Builder::new()
            .name("sbi-tap".to_owned())
            .spawn(move || write(file, &taken, &its))?;
        Ok(Self { records: Some(records), thread: Some(thread), shared })
    }

    pub(super) fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Adds what `encode` gives, unless nothing can be added.
    pub(super) fn add(&self, encode: impl FnOnce() -> Option<Vec<u8>>) {
        let added = !self.shared.stopped.load(Ordering::Relaxed)
            && encode().is_some_and(|record| self.shared.admit(&record) && self.send(record));
        if !added {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn send(&self, record: Vec<u8>) -> bool {
        self.records.as_ref().is_some_and(|records| records.send(record).is_ok())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.records.take());
        if let Some(thread) = self.thread.take() {
            // It does not panic; if it did, what it wrote is all there is.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// Whether a record fits the file and what waits for it.
    fn admit(&self, record: &[u8]) -> bool {
        let waiting = self.waiting.fetch_add(record.len(), Ordering::Relaxed);
        if waiting + record.len() > WAITING_OCTETS_MAX {
            self.waiting.fetch_sub(record.len(), Ordering::Relaxed);
            if !self.behind.swap(true, Ordering::Relaxed) {
                tracing::warn!(file = %self.path.display(), "tap is behind: requests and replies are left out");
            }
            return false;
        }
        let octets = self.octets.fetch_add(record.len() as u64, Ordering::Relaxed);
        if octets + record.len() as u64 > self.octets_max {
            self.waiting.fetch_sub(record.len(), Ordering::Relaxed);
            self.stop(&format_args!("it has its {} octets", self.octets_max));
            return false;
        }
        true
    }

    fn stop(&self, why: &dyn std::fmt::Display) {
        if !self.stopped.swap(true, Ordering::Relaxed) {
            tracing::warn!(file = %self.path.display(), %why, "tap ends");
        }
    }
}

/// Each record is one write, so that a file ends within a record only if its process was killed
/// or the disk is full.
fn write(mut file: File, records: &Receiver<Vec<u8>>, shared: &Shared) {
    let mut failed = false;
    for record in records {
        shared.waiting.fetch_sub(record.len(), Ordering::Relaxed);
        if !failed && let Err(error) = file.write_all(&record) {
            shared.stop(&error);
            failed = true;
        }
        // After a failure what was already taken is lost too.
        shared.dropped.fetch_add(u64::from(failed), Ordering::Relaxed);
    }
}
