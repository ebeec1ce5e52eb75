//! Filter sets in ClassBench's form, from a file that the user has.
//!
//! A line is a rule, and the earlier one comes first:
//!
//! ```text
//! @192.0.2.0/24  198.51.100.7/32  0 : 65535  443 : 443  0x06/0xFF  0x0000/0x0000
//! ```
//!
//! These are source, destination, source ports, destination ports, and protocol with its mask. What may
//! follow, TCP flags with their mask, is read but not matched: PFCP has no condition for them. Addresses
//! may be of IPv6.
//!
//! ```
//! use pdr_classifier::{Classifier, Filters, Key, Lane, LinkedList, PdrId, Side, SourceInterface, classbench};
//!
//! let file = "@0.0.0.0/0 198.51.100.0/24 0 : 65535 53 : 53 0x11/0xFF\n";
//! let mut rules = LinkedList::new();
//! for pdr in classbench::read(file.as_bytes())? {
//!     rules.insert(&pdr.compile(&Filters::new())?)?;
//! }
//! let packet = Key::new()
//!     .with(Lane::SourceInterface, SourceInterface::Core as u32)
//!     .with_address(Side::Destination, "198.51.100.9".parse()?)
//!     .with(Lane::Protocol, 17)
//!     .with(Lane::DestinationPort, 53);
//! assert_eq!(rules.classify(&packet), Some(PdrId(1)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::Path;

use crate::pdi::{Pdi, Pdr, PdrId, SourceInterface};
use crate::sdf::{Address, Prefix, Sdf, SdfFilter};

/// The most rules of a file.
pub const RULES_MAX: usize = 100_000;

/// The most octets of a line, its end included. The longest that says something has about 140.
pub const LINE_OCTETS_MAX: usize = 256;

/// So many characters of what was found are in an error.
const FOUND_MAX: usize = 48;

/// Why a file is refused.
#[derive(Debug, thiserror::Error)]
pub enum ClassBenchError {
    /// It cannot be read.
    #[error("line {line}: {source}")]
    Io {
        /// Which line was to be read, from 1.
        line: usize,
        /// Why it was not.
        source: io::Error,
    },
    /// A line has more than [`LINE_OCTETS_MAX`] octets.
    #[error("line {line}: more than {LINE_OCTETS_MAX} octets")]
    LineLength {
        /// From 1.
        line: usize,
    },
    /// There are more than [`RULES_MAX`] rules.
    #[error("line {line}: more than {RULES_MAX} rules")]
    TooManyRules {
        /// From 1.
        line: usize,
    },
    /// A field is not what it should be.
    #[error("line {line}, {field}: expected {expected}, found {found:?}")]
    Field {
        /// From 1.
        line: usize,
        /// Which field.
        field: &'static str,
        /// What would be right.
        expected: &'static str,
        /// What is there: no more than its beginning. Empty, if nothing is.
        found: String,
    },
}

/// The rules of a file, with the IDs 1, 2 and so on, in the order of their lines.
pub fn load(path: &Path) -> Result<Vec<Pdr>, ClassBenchError> {
    let file = File::open(path).map_err(|source| ClassBenchError::Io { line: 1, source })?;
    read(BufReader::new(file))
}

/// The same from anything that has lines. Empty lines are skipped.
pub fn read(mut input: impl BufRead) -> Result<Vec<Pdr>, ClassBenchError> {
    let mut pdrs = Vec::new();
    let mut octets = Vec::new();
    for line in 1.. {
        octets.clear();
        let mut limited = input.by_ref().take(LINE_OCTETS_MAX as u64 + 1);
        let length =
            limited.read_until(b'\n', &mut octets).map_err(|source| ClassBenchError::Io { line, source })?;
        match length {
            0 => break,
            1..=LINE_OCTETS_MAX => {}
            _ => return Err(ClassBenchError::LineLength { line }),
        }
        let text = std::str::from_utf8(&octets).map_err(|_| ClassBenchError::Field {
            line,
            field: "line",
            expected: "text",
            found: beginning(&String::from_utf8_lossy(&octets)),
        })?;
        if text.trim().is_empty() {
            continue;
        }
        if pdrs.len() == RULES_MAX {
            return Err(ClassBenchError::TooManyRules { line });
        }
        let place = pdrs.len() as u32;
        pdrs.push(Pdr { id: PdrId(place + 1), precedence: place, pdi: Line::new(line, text).rule()? });
    }
    Ok(pdrs)
}

fn beginning(found: &str) -> String {
    found.chars().take(FOUND_MAX).collect()
}

/// A line, of which the words before these are read.
struct Line<'a> {
    number: usize,
    words: std::str::SplitWhitespace<'a>,
}

impl<'a> Line<'a> {
    fn new(number: usize, text: &'a str) -> Self {
        Self { number, words: text.split_whitespace() }
    }

    fn rule(mut self) -> Result<Pdi, ClassBenchError> {
        let at = self.word();
        let Some(source) = at.strip_prefix('@') else {
            return Err(self.wrong("source address", "@ and a prefix", at));
        };
        let source = self.prefix("source address", source)?;
        let word = self.word();
        let destination = self.prefix("destination address", word)?;
        if source.is_v4() != destination.is_v4() {
            return Err(self.wrong("destination address", "the source's IP version", word));
        }
        let filter = SdfFilter {
            source: Address::Prefix(source),
            destination: Address::Prefix(destination),
            source_ports: self.ports("source ports")?,
            destination_ports: self.ports("destination ports")?,
            protocol: self.protocol()?,
            ..SdfFilter::default()
        };
        let flags = self.word();
        if !flags.is_empty() && masked(flags).is_none() {
            return Err(self.wrong("flags", "a value and its mask, as 0x0000/0x0200, or nothing", flags));
        }
        match self.word() {
            "" => Ok(Pdi {
                source_interface: SourceInterface::Core,
                sdf_filters: vec![Sdf::Filter(filter)],
                ..Pdi::default()
            }),
            more => Err(self.wrong("end of the line", "nothing", more)),
        }
    }

    /// The next word; empty at the end of the line.
    fn word(&mut self) -> &'a str {
        self.words.next().unwrap_or_default()
    }

    fn wrong(&self, field: &'static str, expected: &'static str, found: &str) -> ClassBenchError {
        ClassBenchError::Field { line: self.number, field, expected, found: beginning(found) }
    }

    fn prefix(&self, field: &'static str, word: &str) -> Result<Prefix, ClassBenchError> {
        let prefix = word.split_once('/').and_then(|(address, length)| {
            Prefix::new(address.parse::<IpAddr>().ok()?, length.parse().ok()?).ok()
        });
        prefix.ok_or_else(|| self.wrong(field, "an address and a length, as 192.0.2.0/24", word))
    }

    /// All ports are no condition: a packet without ports matches too.
    fn ports(&mut self, field: &'static str) -> Result<Vec<RangeInclusive<u16>>, ClassBenchError> {
        const EXPECTED: &str = "two ports, as 1024 : 65535";
        let (first, colon, last) = (self.word(), self.word(), self.word());
        let port = |word: &str| word.parse::<u16>().map_err(|_| self.wrong(field, EXPECTED, word));
        let first = port(first)?;
        if colon != ":" {
            return Err(self.wrong(field, EXPECTED, colon));
        }
        match (first, port(last)?) {
            (0, u16::MAX) => Ok(Vec::new()),
            (first, end) if first <= end => Ok(vec![first..=end]),
            _ => Err(self.wrong(field, "a last port that is not below the first", last)),
        }
    }

    fn protocol(&mut self) -> Result<Option<u8>, ClassBenchError> {
        let word = self.word();
        match masked(word) {
            Some((_, 0)) => Ok(None),
            Some((value @ 0..=0xFF, 0xFF)) => Ok(Some(value as u8)),
            _ => Err(self.wrong("protocol", "a protocol and the mask 0x00 or 0xFF, as 0x06/0xFF", word)),
        }
    }
}

/// A value and its mask, each hexadecimal after `0x`, or decimal.
fn masked(word: &str) -> Option<(u16, u16)> {
    let number = |text: &str| match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u16::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    let (value, mask) = word.split_once('/')?;
    Some((number(value)?, number(mask)?))
}
