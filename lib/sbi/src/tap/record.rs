//! What a tap file holds: a mark, then records, each behind its length.
//!
//! ```text
//! file    = mark record*
//! record  = length:u32 kind:u8 at:u64 address address number:u64 rest
//! address = family:u8 octets port:u16            family 4 or 6; the consumer's, the producer's
//! rest    = count:u16 field* content             of a request (kind 1) and a reply (kind 2)
//!         |                                      of a request given up (kind 3)
//! field   = length:u16 name length:u32 value
//! ```
//!
//! Numbers are big-endian; the length counts what follows it; `at` is in nanoseconds since the
//! Unix epoch; content reaches to the record's end.

use std::net::{IpAddr, SocketAddr};
use std::time::SystemTime;

use bytes::{Buf, BufMut, Bytes};

use super::Exchange;
use crate::http::written::{Field, Written};

/// The first octets of a tap file; the last of them is the format's version.
pub(super) const MARK: &[u8; 8] = b"terntap\x01";

/// Octets of one record: more than any transport carries as one message.
pub(super) const RECORD_OCTETS_MAX: usize = 16 << 20;

const LENGTH_OCTETS: usize = 4;
const REQUEST: u8 = 1;
const REPLY: u8 = 2;
const GIVEN_UP: u8 = 3;
const IPV4: u8 = 4;
const IPV6: u8 = 6;

/// One half of an exchange, or its end without a reply. Their order is that of one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Half {
    Request(Written),
    Reply(Written),
    GivenUp,
}

impl Half {
    fn kind(&self) -> u8 {
        match self {
            Self::Request(_) => REQUEST,
            Self::Reply(_) => REPLY,
            Self::GivenUp => GIVEN_UP,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// Nanoseconds since the Unix epoch.
    pub(super) at: u64,
    pub(super) exchange: Exchange,
    pub(super) half: Half,
}

/// Nanoseconds since the Unix epoch; what is outside of 1970 to 2554 is moved to its ends.
pub(super) fn nanos(at: SystemTime) -> u64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

impl Record {
    /// When it happened, and what comes first of what happened at the same time.
    pub(super) fn order(&self) -> (u64, u8) {
        (self.at, self.half.kind())
    }

    /// With its length; `None` if it is longer than [`RECORD_OCTETS_MAX`] or a field too long.
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        let content = match &self.half {
            Half::Request(written) | Half::Reply(written) => written.content.len(),
            Half::GivenUp => 0,
        };
        let mut out = Vec::with_capacity(content.min(RECORD_OCTETS_MAX) + 1024);
        out.put_u32(0);
        out.put_u8(self.half.kind());
        out.put_u64(self.at);
        put_address(self.exchange.consumer, &mut out);
        put_address(self.exchange.producer, &mut out);
        out.put_u64(self.exchange.number);
        if let Half::Request(written) | Half::Reply(written) = &self.half {
            out.put_u16(u16::try_from(written.fields.len()).ok()?);
            for Field { name, value } in &written.fields {
                out.put_u16(u16::try_from(name.len()).ok()?);
                out.put_slice(name.as_bytes());
                out.put_u32(u32::try_from(value.len()).ok()?);
                out.put_slice(value);
            }
            out.put_slice(&written.content);
        }
        let length = out.len() - LENGTH_OCTETS;
        if length > RECORD_OCTETS_MAX {
            return None;
        }
        out[..LENGTH_OCTETS].copy_from_slice(&u32::try_from(length).ok()?.to_be_bytes());
        Some(out)
    }

    /// Reads what follows the length.
    fn decode(mut octets: Bytes) -> Option<Self> {
        let kind = octets.try_get_u8().ok()?;
        let at = octets.try_get_u64().ok()?;
        let consumer = get_address(&mut octets)?;
        let producer = get_address(&mut octets)?;
        let number = octets.try_get_u64().ok()?;
        let half = match kind {
            REQUEST => Half::Request(get_written(octets)?),
            REPLY => Half::Reply(get_written(octets)?),
            GIVEN_UP if octets.is_empty() => Half::GivenUp,
            _ => return None,
        };
        Some(Self { at, exchange: Exchange { consumer, producer, number }, half })
    }
}

/// What could be read of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) records: Vec<Record>,
    /// Whether its last record is not all there: its writer was killed, or is still writing.
    pub(super) torn: bool,
}

/// Why a file is no tap file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    Mark,
    /// The record at this offset.
    Record(usize),
}

/// Reads a whole file.
pub(super) fn read(file: &Bytes) -> Result<Contents, Wrong> {
    if !file.starts_with(MARK) {
        // A file that was just made may have a part of its mark.
        let torn = MARK.starts_with(file);
        return if torn { Ok(Contents { records: Vec::new(), torn }) } else { Err(Wrong::Mark) };
    }
    let mut records = Vec::new();
    let mut rest = file.slice(MARK.len()..);
    while !rest.is_empty() {
        let offset = file.len() - rest.len();
        let Ok(length) = rest.try_get_u32() else { return Ok(Contents { records, torn: true }) };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > RECORD_OCTETS_MAX {
            return Err(Wrong::Record(offset));
        }
        if length > rest.len() {
            return Ok(Contents { records, torn: true });
        }
        records.push(Record::decode(rest.split_to(length)).ok_or(Wrong::Record(offset))?);
    }
    Ok(Contents { records, torn: false })
}

fn put_address(address: SocketAddr, out: &mut Vec<u8>) {
    match address.ip() {
        IpAddr::V4(ip) => {
            out.put_u8(IPV4);
            out.put_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            out.put_u8(IPV6);
            out.put_slice(&ip.octets());
        }
    }
    out.put_u16(address.port());
}

fn get_address(octets: &mut Bytes) -> Option<SocketAddr> {
    let ip: IpAddr = match octets.try_get_u8().ok()? {
        IPV4 => octets.try_get_u32().ok()?.to_be_bytes().into(),
        IPV6 => octets.try_get_u128().ok()?.to_be_bytes().into(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, octets.try_get_u16().ok()?))
}

fn get_written(mut octets: Bytes) -> Option<Written> {
    let count = octets.try_get_u16().ok()?;
    let mut fields = Vec::new();
    for _ in 0..count {
        let length = octets.try_get_u16().ok()?;
        let name = take(&mut octets, length.into())?;
        let name = std::str::from_utf8(&name).ok()?.to_owned();
        let length = octets.try_get_u32().ok()?;
        let value = take(&mut octets, usize::try_from(length).ok()?)?;
        fields.push(Field { name, value });
    }
    Some(Written { fields, content: octets })
}

fn take(octets: &mut Bytes, count: usize) -> Option<Bytes> {
    (count <= octets.len()).then(|| octets.split_to(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let field = Field { name: ":status".into(), value: "200".into() };
        Record {
            at: 0x0102_0304,
            exchange: Exchange {
                consumer: "127.0.0.16:49152".parse().unwrap(),
                producer: "[::1]:8080".parse().unwrap(),
                number: 7,
            },
            half: Half::Reply(Written { fields: vec![field], content: "{}".into() }),
        }
    }

    #[test]
    fn a_record_is_written_as_the_format_says() {
        let mut expected = vec![0, 0, 0, 63, 2];
        expected.extend([0, 0, 0, 0, 1, 2, 3, 4]);
        expected.extend([4, 127, 0, 0, 16, 0xc0, 0x00]);
        expected.extend([6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x1f, 0x90]);
        expected.extend([0, 0, 0, 0, 0, 0, 0, 7]);
        expected.extend([0, 1, 0, 7]);
        expected.extend(b":status");
        expected.extend([0, 0, 0, 3]);
        expected.extend(b"200{}");
        assert_eq!(record().encode().unwrap(), expected);
    }

    #[test]
    fn a_file_gives_its_records_whatever_its_end_lacks() {
        let mut file = MARK.to_vec();
        let given_up = Record { half: Half::GivenUp, ..record() };
        file.extend(record().encode().unwrap());
        let one = file.len();
        file.extend(given_up.encode().unwrap());
        let whole = read(&Bytes::from(file.clone())).unwrap();
        assert_eq!(whole, Contents { records: vec![record(), given_up], torn: false });
        for end in 0..file.len() {
            let cut = read(&Bytes::copy_from_slice(&file[..end])).unwrap();
            assert_eq!(cut.torn, end != MARK.len() && end != one, "cut at {end}");
            assert_eq!(cut.records.len(), usize::from(end >= one));
        }
    }

    #[test]
    fn a_file_of_another_kind_or_with_a_wrong_record_is_refused() {
        assert_eq!(read(&Bytes::from_static(b"\xd4\xc3\xb2\xa1")), Err(Wrong::Mark));
        let mut file = MARK.to_vec();
        file.extend(record().encode().unwrap());
        // An unknown kind, an unknown family, a count of fields that are not there, a length
        // beyond the limit.
        for (offset, octet) in [(12, 9), (21, 5), (55, 0xff), (8, 0xff)] {
            let mut wrong = file.clone();
            wrong[offset] = octet;
            assert_eq!(read(&Bytes::from(wrong)), Err(Wrong::Record(8)), "octet {offset}");
        }
    }

    #[test]
    fn no_octets_make_the_reader_panic() {
        let mut file = MARK.to_vec();
        file.extend(record().encode().unwrap());
        for offset in 0..file.len() {
            for octet in [0, 1, 3, 0x7f, 0xff] {
                let mut wrong = file.clone();
                wrong[offset] = octet;
                let _ = read(&Bytes::from(wrong));
            }
        }
    }

    #[test]
    fn what_is_too_long_is_not_written() {
        let content = Bytes::from(vec![b' '; RECORD_OCTETS_MAX]);
        let half = Half::Request(Written { fields: Vec::new(), content });
        assert_eq!(Record { half, ..record() }.encode(), None);
    }
}
