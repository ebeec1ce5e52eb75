//! The file below the engine.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use super::Durability;

/// A locked file whose `sync_data` does what the configured durability asks for.
///
/// Written octets are in the page cache when `write` returns, and the engine's own checksums find
/// the last whole commit after a crash. So a process may die without any sync; only a machine's
/// end needs one.
#[derive(Debug)]
pub(super) struct DataFile {
    file: File,
    durability: Durability,
}

impl DataFile {
    /// Opens or creates `path`, readable by its owner alone, and locks it against other processes.
    pub(super) fn open(path: &Path, durability: Durability) -> io::Result<Self> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        file.try_lock().map_err(|error| match error {
            std::fs::TryLockError::WouldBlock => io::Error::other("another process has this store open"),
            std::fs::TryLockError::Error(error) => error,
        })?;
        Ok(Self { file, durability })
    }
}

impl redb::StorageBackend for DataFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        match self.durability {
            Durability::Process => Ok(()),
            Durability::Machine => self.file.sync_data(),
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_all_at(data, offset)
    }
}
