//! CBOR data items: RFC 8949 §3.

use std::borrow::Cow;

use super::NESTING_MAX;
use super::error::{DirectError, Fault};

/// Major types: RFC 8949 §3.1.
pub(super) mod major {
    pub(crate) const UNSIGNED: u8 = 0;
    pub(crate) const NEGATIVE: u8 = 1;
    pub(crate) const BYTES: u8 = 2;
    pub(crate) const TEXT: u8 = 3;
    pub(crate) const ARRAY: u8 = 4;
    pub(crate) const MAP: u8 = 5;
    pub(crate) const TAG: u8 = 6;
    pub(crate) const SIMPLE: u8 = 7;
}

pub(super) const FALSE: u8 = 0xf4;
pub(super) const TRUE: u8 = 0xf5;
pub(super) const NULL: u8 = 0xf6;
pub(super) const UNDEFINED: u8 = 0xf7;
pub(super) const FLOAT16: u8 = 0xf9;
pub(super) const FLOAT32: u8 = 0xfa;
pub(super) const FLOAT64: u8 = 0xfb;
pub(super) const ARRAY_INDEFINITE: u8 = 0x9f;
pub(super) const MAP_INDEFINITE: u8 = 0xbf;
pub(super) const BREAK: u8 = 0xff;

/// Writes an item's head in its shortest form.
#[inline]
pub(super) fn write_head(out: &mut Vec<u8>, major: u8, argument: u64) {
    let major = major << 5;
    match argument {
        0..24 => out.push(major | argument as u8),
        24..0x100 => out.extend_from_slice(&[major | 24, argument as u8]),
        0x100..0x1_0000 => {
            let [a, b] = (argument as u16).to_be_bytes();
            out.extend_from_slice(&[major | 25, a, b]);
        }
        0x1_0000..0x1_0000_0000 => {
            let [a, b, c, d] = (argument as u32).to_be_bytes();
            out.extend_from_slice(&[major | 26, a, b, c, d]);
        }
        _ => {
            out.push(major | 27);
            out.extend_from_slice(&argument.to_be_bytes());
        }
    }
}

#[inline]
pub(super) fn write_text(out: &mut Vec<u8>, text: &str) {
    write_head(out, major::TEXT, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

#[inline]
pub(super) fn write_bytes(out: &mut Vec<u8>, octets: &[u8]) {
    write_head(out, major::BYTES, octets.len() as u64);
    out.extend_from_slice(octets);
}

/// The head of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// 0 to 7.
    pub(super) major: u8,
    /// Value, length, number of elements or tag; `None` for an indefinite length or a break.
    pub(super) argument: Option<u64>,
}

/// Reads items one after another.
#[derive(Debug, Clone)]
pub(super) struct Reader<'de> {
    input: &'de [u8],
    at: usize,
}

impl<'de> Reader<'de> {
    pub(super) fn new(input: &'de [u8]) -> Self {
        Self { input, at: 0 }
    }

    /// Offset of the next octet.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn remaining(&self) -> usize {
        self.input.len() - self.at
    }

    #[cold]
    pub(super) fn error(&self, fault: Fault) -> DirectError {
        DirectError::new(fault, self.at)
    }

    /// The next octet, which stays.
    #[inline]
    pub(super) fn peek(&self) -> Result<u8, DirectError> {
        match self.input.get(self.at) {
            Some(octet) => Ok(*octet),
            None => Err(self.error(Fault::Truncated)),
        }
    }

    /// The next item's first octet, which stays; tags before it are passed over (RFC 8949 §3.4).
    #[inline]
    pub(super) fn peek_item(&mut self) -> Result<u8, DirectError> {
        loop {
            let octet = self.peek()?;
            if octet >> 5 != major::TAG {
                return Ok(octet);
            }
            self.head()?;
        }
    }

    /// Passes over the octet that was peeked.
    #[inline]
    pub(super) fn advance(&mut self) {
        self.at += 1;
    }

    #[inline]
    pub(super) fn take(&mut self, len: u64) -> Result<&'de [u8], DirectError> {
        let octets = usize::try_from(len).ok().and_then(|len| self.input[self.at..].get(..len));
        let Some(octets) = octets else { return Err(self.error(Fault::Truncated)) };
        self.at += octets.len();
        Ok(octets)
    }

    /// Reads a head (RFC 8949 §3).
    #[inline]
    pub(super) fn head(&mut self) -> Result<Head, DirectError> {
        let initial = self.peek()?;
        let (major, info) = (initial >> 5, initial & 0x1f);
        if info < 24 {
            self.at += 1;
            return Ok(Head { major, argument: Some(u64::from(info)) });
        }
        let argument = match info {
            24..=27 => {
                let len = 1 << (info - 24);
                let Some(octets) = self.input.get(self.at + 1..self.at + 1 + len) else {
                    return Err(self.error(Fault::Truncated));
                };
                self.at += len;
                Some(octets.iter().fold(0, |value, octet| value << 8 | u64::from(*octet)))
            }
            31 if !matches!(major, major::UNSIGNED | major::NEGATIVE | major::TAG) => None,
            _ => return Err(self.error(Fault::Reserved)),
        };
        self.at += 1;
        Ok(Head { major, argument })
    }

    /// Reads the octets of a string (`major` is [`major::BYTES`] or [`major::TEXT`]); what comes in
    /// chunks is put together.
    #[inline]
    pub(super) fn string(&mut self, major: u8) -> Result<Cow<'de, [u8]>, DirectError> {
        match self.head()? {
            Head { major: own, argument: Some(len) } if own == major => Ok(Cow::Borrowed(self.take(len)?)),
            Head { major: own, argument: None } if own == major => self.chunks(major).map(Cow::Owned),
            _ => Err(self.error(Fault::Reserved)),
        }
    }

    /// RFC 8949 §3.2.3.
    #[cold]
    fn chunks(&mut self, major: u8) -> Result<Vec<u8>, DirectError> {
        let mut whole = Vec::new();
        while self.peek()? != BREAK {
            match self.head()? {
                Head { major: own, argument: Some(len) } if own == major => {
                    whole.extend_from_slice(self.take(len)?);
                }
                _ => return Err(self.error(Fault::Reserved)),
            }
        }
        self.advance();
        Ok(whole)
    }

    /// Reads a text.
    #[inline]
    pub(super) fn text(&mut self) -> Result<Cow<'de, str>, DirectError> {
        let text = match self.string(major::TEXT)? {
            Cow::Borrowed(octets) => std::str::from_utf8(octets).ok().map(Cow::Borrowed),
            Cow::Owned(octets) => String::from_utf8(octets).ok().map(Cow::Owned),
        };
        match text {
            Some(text) => Ok(text),
            None => Err(self.error(Fault::Utf8)),
        }
    }

    /// Passes over one item, which may nest `depth` deep.
    pub(super) fn skip(&mut self, depth: u8) -> Result<(), DirectError> {
        debug_assert!(depth <= NESTING_MAX, "bounds the recursion");
        let initial = self.peek_item()?;
        match initial >> 5 {
            major::UNSIGNED | major::NEGATIVE => self.head().map(drop),
            major::BYTES => self.string(major::BYTES).map(drop),
            major::TEXT => self.text().map(drop),
            major::SIMPLE => match initial {
                FALSE | TRUE | NULL | UNDEFINED | FLOAT16 | FLOAT32 | FLOAT64 => self.head().map(drop),
                _ => Err(self.error(Fault::Reserved)),
            },
            own => {
                let Some(depth) = depth.checked_sub(1) else { return Err(self.error(Fault::Nesting)) };
                let mut left = self.head()?.argument;
                while self.more(&mut left)? {
                    if own == major::MAP {
                        self.skip(depth)?;
                    }
                    self.skip(depth)?;
                }
                Ok(())
            }
        }
    }

    /// Whether an array or map goes on; counts `left` down, or reads the break.
    #[inline]
    pub(super) fn more(&mut self, left: &mut Option<u64>) -> Result<bool, DirectError> {
        match left {
            Some(0) => Ok(false),
            Some(left) => {
                *left -= 1;
                Ok(true)
            }
            None if self.peek()? == BREAK => {
                self.advance();
                *left = Some(0);
                Ok(false)
            }
            None => Ok(true),
        }
    }
}

/// A number of half precision: RFC 8949 appendix D.
pub(super) fn half(bits: u16) -> f64 {
    let exponent = i32::from(bits >> 10 & 0x1f);
    let mantissa = f64::from(bits & 0x3ff);
    let magnitude = match exponent {
        0 => mantissa * 2f64.powi(-24),
        31 if mantissa == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (mantissa + 1024.0) * 2f64.powi(exponent - 25),
    };
    if bits >> 15 == 0 { magnitude } else { -magnitude }
}
