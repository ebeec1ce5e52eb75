//! SUPI, IMEI, DNN and PDU session identity.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{ParseError, serde_as_text};

/// Subscription permanent identifier of type IMSI: 5 to 15 digits (TS 23.003 §2.2A).
/// Text and `serde` form: `imsi-001010000000001` (TS 29.571 Supi).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Supi(String);

impl Supi {
    /// From the IMSI's digits.
    pub fn from_imsi(digits: &str) -> Result<Self, ParseError> {
        if (5..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) {
            Ok(Self(digits.to_owned()))
        } else {
            Err(ParseError::new("SUPI", "imsi- and 5 to 15 digits", digits))
        }
    }

    /// The digits without `imsi-`.
    pub fn imsi(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Supi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "imsi-{}", self.0)
    }
}

impl fmt::Debug for Supi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Supi {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text.strip_prefix("imsi-") {
            Some(digits) => Self::from_imsi(digits),
            None => Err(ParseError::new("SUPI", "imsi- and 5 to 15 digits", text)),
        }
    }
}

serde_as_text!(Supi);

/// IMEI or IMEISV, 15 or 16 digits. Text and `serde` form: `imei-…` or `imeisv-…` (TS 29.571 Pei).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Imei(String);

impl Imei {
    /// From 15 (IMEI) or 16 (IMEISV) digits.
    pub fn from_digits(digits: &str) -> Result<Self, ParseError> {
        if (15..=16).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) {
            Ok(Self(digits.to_owned()))
        } else {
            Err(ParseError::new("PEI", "15 or 16 digits", digits))
        }
    }

    /// The digits.
    pub fn digits(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Imei {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.0.len() == 16 { "imeisv" } else { "imei" };
        write!(f, "{kind}-{}", self.0)
    }
}

impl fmt::Debug for Imei {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Imei {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let parsed = match text.split_once('-') {
            Some(("imei", digits)) if digits.len() == 15 => Self::from_digits(digits),
            Some(("imeisv", digits)) if digits.len() == 16 => Self::from_digits(digits),
            _ => Err(ParseError::new("PEI", "imei- and 15 or imeisv- and 16 digits", text)),
        };
        parsed.map_err(|_| ParseError::new("PEI", "imei- and 15 or imeisv- and 16 digits", text))
    }
}

serde_as_text!(Imei);

/// Data network name, at most 100 octets as on the wire; compared without regard to case
/// (TS 23.003 §9.1).
#[derive(Clone, Eq)]
pub struct Dnn(String);

impl Dnn {
    /// Longest text: 100 octets on the wire, one of them the first length octet.
    pub const LEN_MAX: usize = 99;

    /// From labels joined by dots: letters, digits and hyphens, 1 to 63 a label.
    pub fn new(text: &str) -> Result<Self, ParseError> {
        let label = |l: &str| {
            (1..=63).contains(&l.len()) && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        if text.len() <= Self::LEN_MAX && text.split('.').all(label) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseError::new("DNN", "labels of letters, digits and hyphens joined by dots", text))
        }
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Length-prefixed labels (TS 23.003 §9.1), as NAS and PFCP carry them.
    pub fn to_octets(&self) -> Vec<u8> {
        let mut octets = Vec::with_capacity(self.0.len() + 1);
        for label in self.0.split('.') {
            octets.push(label.len() as u8);
            octets.extend_from_slice(label.as_bytes());
        }
        octets
    }

    /// Reads length-prefixed labels.
    pub fn from_octets(octets: &[u8]) -> Result<Self, ParseError> {
        let wrong = || ParseError::new("DNN", "length-prefixed labels", &hex::encode(octets));
        let mut text = String::with_capacity(octets.len());
        let mut rest = octets;
        while let Some((&len, tail)) = rest.split_first() {
            let label = tail.get(..usize::from(len)).ok_or_else(wrong)?;
            if !text.is_empty() {
                text.push('.');
            }
            text.push_str(std::str::from_utf8(label).map_err(|_| wrong())?);
            rest = &tail[usize::from(len)..];
        }
        Self::new(&text).map_err(|_| wrong())
    }
}

impl PartialEq for Dnn {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl PartialOrd for Dnn {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Dnn {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let lower = |dnn: &Self| dnn.0.to_ascii_lowercase();
        lower(self).cmp(&lower(other))
    }
}

impl std::hash::Hash for Dnn {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_ascii_lowercase().hash(state);
    }
}

impl fmt::Display for Dnn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Dnn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Dnn {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::new(text)
    }
}

serde_as_text!(Dnn);

/// PDU session identity: 1 to 15 for a UE's own sessions (TS 24.007 §11.2.3.1b).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct PduSessionId(u8);

impl PduSessionId {
    /// `None` outside 1 to 15.
    pub const fn new(id: u8) -> Option<Self> {
        if id >= 1 && id <= 15 { Some(Self(id)) } else { None }
    }

    /// 1 to 15.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for PduSessionId {
    type Error = ParseError;

    fn try_from(id: u8) -> Result<Self, ParseError> {
        Self::new(id).ok_or_else(|| ParseError::new("PDU session ID", "1 to 15", &id.to_string()))
    }
}

impl FromStr for PduSessionId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong = || ParseError::new("PDU session ID", "1 to 15", text);
        text.parse().ok().and_then(Self::new).ok_or_else(wrong)
    }
}

impl From<PduSessionId> for u8 {
    fn from(id: PduSessionId) -> Self {
        id.0
    }
}

impl fmt::Display for PduSessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dnn_labels_round_trip() {
        let dnn = Dnn::new("internet.mnc001").unwrap();
        assert_eq!(Dnn::from_octets(&dnn.to_octets()).unwrap(), dnn);
        assert_eq!(Dnn::new("Internet").unwrap(), Dnn::new("internet").unwrap());
        assert!(Dnn::from_octets(&[9, b'a']).is_err());
        assert!(Dnn::from_octets(&[]).is_err());
        assert!(Dnn::new("a..b").is_err());
    }

    #[test]
    fn supi_is_an_imsi() {
        assert!("imsi-001010000000001".parse::<Supi>().is_ok());
        assert!("nai-a@b".parse::<Supi>().is_err());
        assert!("imsi-0010100000000011".parse::<Supi>().is_err());
    }
}
