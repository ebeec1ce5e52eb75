//! S-NSSAI: TS 23.003 §28.4.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ParseError;

/// A slice: slice/service type and, if any, slice differentiator.
///
/// SD `FFFFFF` means "no SD value associated with the SST" (TS 23.003 §28.4.2) and is held as
/// `None`, so that the two compare equal. `serde` form: TS 29.571 Snssai. Text: `1` or `1-010203`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Snssai {
    sst: u8,
    sd: Option<u32>,
}

#[derive(Serialize, Deserialize)]
struct SnssaiText {
    sst: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sd: Option<Sd>,
}

/// A slice differentiator as its text.
struct Sd(u32);

impl Snssai {
    /// SD value of "no SD" (TS 23.003 §28.4.2).
    pub const NO_SD: u32 = 0xff_ffff;

    /// From its parts; bits of `sd` above 24 are cut, `FFFFFF` becomes `None`.
    pub fn new(sst: u8, sd: Option<u32>) -> Self {
        Self { sst, sd: sd.map(|sd| sd & Self::NO_SD).filter(|&sd| sd != Self::NO_SD) }
    }

    /// Slice/service type.
    pub const fn sst(self) -> u8 {
        self.sst
    }

    /// Slice differentiator, 24 bits; never `FFFFFF`.
    pub const fn sd(self) -> Option<u32> {
        self.sd
    }

    /// Slice differentiator as three octets, big-endian.
    pub fn sd_octets(self) -> Option<[u8; 3]> {
        self.sd.map(|sd| {
            let [_, a, b, c] = sd.to_be_bytes();
            [a, b, c]
        })
    }

    /// From SST and the three octets of an SD.
    pub fn from_octets(sst: u8, sd: Option<[u8; 3]>) -> Self {
        Self::new(sst, sd.map(|[a, b, c]| u32::from_be_bytes([0, a, b, c])))
    }
}

fn parse_sd(text: &str) -> Result<u32, ParseError> {
    let valid = text.len() == 6 && text.bytes().all(|b| b.is_ascii_hexdigit());
    match u32::from_str_radix(text, 16) {
        Ok(sd) if valid => Ok(sd),
        _ => Err(ParseError::new("SD", "6 hexadecimal digits", text)),
    }
}

impl Serialize for Sd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:06x}", self.0))
    }
}

impl<'de> Deserialize<'de> for Sd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::deserialize_text(deserializer, parse_sd).map(Self)
    }
}

impl Serialize for Snssai {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        SnssaiText { sst: self.sst, sd: self.sd.map(Sd) }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Snssai {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = SnssaiText::deserialize(deserializer)?;
        Ok(Self::new(text.sst, text.sd.map(|sd| sd.0)))
    }
}

impl fmt::Display for Snssai {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.sd {
            Some(sd) => write!(f, "{}-{sd:06x}", self.sst),
            None => write!(f, "{}", self.sst),
        }
    }
}

impl fmt::Debug for Snssai {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Snssai({self})")
    }
}

impl FromStr for Snssai {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (sst, sd) = match text.split_once('-') {
            Some((sst, sd)) => (sst, Some(parse_sd(sd)?)),
            None => (text, None),
        };
        match sst.parse() {
            Ok(sst) => Ok(Self::new(sst, sd)),
            Err(_) => Err(ParseError::new("S-NSSAI", "SST or SST-SD, such as 1-010203", text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sd_ffffff_equals_no_sd() {
        assert_eq!(Snssai::new(1, Some(0xff_ffff)), Snssai::new(1, None));
        assert_eq!("1-FFFFFF".parse::<Snssai>().unwrap(), "1".parse().unwrap());
        assert_ne!(Snssai::new(1, Some(0)), Snssai::new(1, None));
        assert_eq!(Snssai::from_octets(1, Some([1, 2, 3])).to_string(), "1-010203");
    }
}
