//! Computes the revision of the direct form: a fingerprint of the sources that decide it.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Directories below this package and beside it whose types travel.
const SOURCES: [&str; 2] = ["src", "../../lib/types/src"];

fn main() -> io::Result<()> {
    let package = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let mut hash = Fnv::default();
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
        hash_directory(&package.join(source), source, &mut hash)?;
    }
    println!("cargo::rustc-env=TERN_SBI_REVISION={}", hash.0);
    Ok(())
}

/// Names and contents in the order of the names. `name` is the same wherever the sources lie.
fn hash_directory(directory: &Path, name: &str, hash: &mut Fnv) -> io::Result<()> {
    let mut entries = fs::read_dir(directory)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = format!("{name}/{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            hash_directory(&entry.path(), &name, hash)?;
        } else if name.ends_with(".rs") {
            hash.add(name.as_bytes());
            hash.add(&fs::read(entry.path())?);
        }
    }
    Ok(())
}

/// FNV-1a of 64 bits; each piece is followed by its length, so that pieces do not run together.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn add(&mut self, octets: &[u8]) {
        let len = (octets.len() as u64).to_le_bytes();
        for octet in octets.iter().chain(&len) {
            self.0 = (self.0 ^ u64::from(*octet)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}
