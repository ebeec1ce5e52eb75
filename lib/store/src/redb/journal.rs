//! What was written since the engine's last commit, in a file beside the engine's own.
//!
//! A commit of the engine costs a few hundred microseconds of work; a record here is one `write`.
//! Once `write` has returned, the record is in the kernel's page cache and survives the process,
//! which is what [`Durability::Process`](super::Durability::Process) promises. The records are
//! absolute (whole entries with their versions), so that reading them twice does no harm.
//!
//! Two files: `<store>.journal` takes the records; when the engine commits them, it is set aside
//! as `<store>.journal.old` until that is done, while a new one takes what comes meanwhile.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::{Entry, StoreError};

/// An entry as it now is at its key; `None`: deleted.
pub(super) type Change = (String, Option<Entry>);

/// What one batch changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// The highest version given so far.
    pub version_last: u64,
    pub changes: Vec<Change>,
}

/// The file that takes the records.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    len: u64,
    /// The file ends in half a record that could not be cut off: what came behind it would be lost.
    torn: bool,
}

/// Octets before a record: its length and its checksum, both big-endian.
const FRAME_LEN: usize = 16;

impl Journal {
    /// An empty journal of the store at `store`, in the place of the one that is there.
    pub(super) fn create(store: &Path) -> io::Result<Self> {
        let path = current(store);
        Ok(Self { file: create(&path)?, path, len: 0, torn: false })
    }

    /// Octets in the file.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Returns once the record survives the process. After an error nothing of it is there.
    pub(super) fn append(&mut self, record: &Record) -> Result<(), StoreError> {
        if self.torn {
            return Err(StoreError::Engine("the journal cannot be written any more".to_owned()));
        }
        let octets = record.to_octets();
        if let Err(error) = self.file.write_all(&octets) {
            self.torn = self.file.set_len(self.len).is_err();
            return Err(StoreError::engine(error));
        }
        self.len += octets.len() as u64;
        Ok(())
    }

    /// Begins a new file; the records so far stay in the one that is set aside.
    pub(super) fn set_aside(&mut self) -> io::Result<()> {
        let old = old(&self.path);
        std::fs::rename(&self.path, &old)?;
        match create(&self.path) {
            Ok(file) => {
                (self.file, self.len, self.torn) = (file, 0, false);
                Ok(())
            }
            Err(error) => {
                // The descriptor still writes to the same file: only its name goes back.
                self.torn |= std::fs::rename(&old, &self.path).is_err();
                Err(error)
            }
        }
    }

    /// Removes what was set aside: the engine has it.
    pub(super) fn forget_old(&self) -> io::Result<()> {
        remove(&old(&self.path))
    }
}

/// The records that an earlier process has left, in the order in which they were written.
pub(super) fn left(store: &Path) -> io::Result<Vec<Record>> {
    let current = current(store);
    let mut records = Vec::new();
    for path in [old(&current), current] {
        match std::fs::read(&path) {
            Ok(octets) => read_all(&octets, &mut records),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(records)
}

/// Removes both files: the engine has what was in them. The older one goes first: alone it would
/// bring older entries back.
pub(super) fn remove_all(store: &Path) -> io::Result<()> {
    let current = current(store);
    remove(&old(&current))?;
    remove(&current)
}

fn current(store: &Path) -> PathBuf {
    with_suffix(store, ".journal")
}

fn old(current: &Path) -> PathBuf {
    with_suffix(current, ".old")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// Readable by its owner alone: it holds what the store holds.
fn create(path: &Path) -> io::Result<File> {
    remove(path)?;
    OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Reads up to the end or to the first record that is not whole: the process died while it wrote
/// it, so that nobody was told of it.
fn read_all(mut octets: &[u8], records: &mut Vec<Record>) {
    while let Some((record, rest)) = Record::from_octets(octets) {
        records.push(record);
        octets = rest;
    }
}

impl Record {
    fn to_octets(&self) -> Vec<u8> {
        let mut octets = vec![0; FRAME_LEN];
        octets.extend_from_slice(&self.version_last.to_be_bytes());
        for (key, entry) in &self.changes {
            push_counted(&mut octets, key.as_bytes());
            match entry {
                Some(entry) => push_counted(&mut octets, &entry.to_octets()),
                None => push_counted(&mut octets, &[]),
            }
        }
        let (frame, body) = octets.split_at_mut(FRAME_LEN);
        frame[..8].copy_from_slice(&(body.len() as u64).to_be_bytes());
        frame[8..].copy_from_slice(&checksum(body).to_be_bytes());
        octets
    }

    /// The first record and what is behind it; `None` if there is no whole one.
    fn from_octets(octets: &[u8]) -> Option<(Self, &[u8])> {
        let (length, rest) = octets.split_first_chunk()?;
        let (sum, rest) = rest.split_first_chunk()?;
        let length = usize::try_from(u64::from_be_bytes(*length)).ok()?;
        let (body, rest) = rest.split_at_checked(length)?;
        if checksum(body) != u64::from_be_bytes(*sum) {
            return None;
        }
        let (version_last, mut body) = body.split_first_chunk()?;
        let mut changes = Vec::new();
        while !body.is_empty() {
            let (key, behind) = take_counted(body)?;
            let (entry, behind) = take_counted(behind)?;
            let entry = if entry.is_empty() { None } else { Some(Entry::from_octets(entry)?) };
            changes.push((std::str::from_utf8(key).ok()?.to_owned(), entry));
            body = behind;
        }
        Some((Self { version_last: u64::from_be_bytes(*version_last), changes }, rest))
    }
}

fn push_counted(octets: &mut Vec<u8>, part: &[u8]) {
    octets.extend_from_slice(&(part.len() as u64).to_be_bytes());
    octets.extend_from_slice(part);
}

fn take_counted(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = octets.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u64::from_be_bytes(*length)).ok()?)
}

/// FNV-1a, 64 bits: tells a whole record from half of one.
fn checksum(octets: &[u8]) -> u64 {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    octets.iter().fold(OFFSET_BASIS, |hash, octet| (hash ^ u64::from(*octet)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tern_types::Instant;

    use super::*;

    fn record(version: u64) -> Record {
        let entry =
            Entry { version, expires: Some(Instant::from_micros(7)), value: Bytes::from_static(b"v") };
        Record { version_last: version, changes: vec![("a".to_owned(), Some(entry)), ("b".to_owned(), None)] }
    }

    #[test]
    fn records_come_back_up_to_the_one_that_is_not_whole() {
        let whole = [record(1).to_octets(), record(2).to_octets()].concat();
        for cut in 0..whole.len() {
            let mut records = Vec::new();
            read_all(&whole[..cut], &mut records);
            let expected = if cut < whole.len() / 2 { vec![] } else { vec![record(1)] };
            assert_eq!(records, expected, "{cut} octets");
        }
        let mut records = Vec::new();
        read_all(&whole, &mut records);
        assert_eq!(records, [record(1), record(2)]);
    }

    #[test]
    fn a_record_with_another_octet_in_it_ends_the_reading() {
        let whole = [record(1).to_octets(), record(2).to_octets()].concat();
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            let mut records = Vec::new();
            read_all(&changed, &mut records);
            assert!(records.len() < 2, "octet {at}");
        }
    }

    #[test]
    fn what_was_set_aside_is_read_before_what_came_behind_it() {
        let directory = tempfile::tempdir().unwrap();
        let store = directory.path().join("store");
        let mut journal = Journal::create(&store).unwrap();
        journal.append(&record(1)).unwrap();
        journal.set_aside().unwrap();
        assert_eq!(journal.len(), 0);
        journal.append(&record(2)).unwrap();
        assert_eq!(left(&store).unwrap(), [record(1), record(2)]);
        journal.forget_old().unwrap();
        assert_eq!(left(&store).unwrap(), [record(2)]);
        remove_all(&store).unwrap();
        assert!(left(&store).unwrap().is_empty());
    }
}
