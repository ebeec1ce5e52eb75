//! PLMN, tracking area code and tracking area identity: TS 23.003 §2.2, §28.6.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{ParseError, serde_as_text};

/// Mobile country code and mobile network code of 2 or 3 digits; `01` and `001` differ.
///
/// `serde` form: `{"mcc": "001", "mnc": "01"}` (TS 29.571 PlmnId). Text form: `001-01`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlmnId {
    mcc: [u8; 3],
    mnc: [u8; 3],
    mnc_len: u8,
}

#[derive(Serialize, Deserialize)]
struct PlmnIdText<'a> {
    #[serde(borrow)]
    mcc: Cow<'a, str>,
    #[serde(borrow)]
    mnc: Cow<'a, str>,
}

impl PlmnId {
    /// From its digits: `mcc` three, `mnc` two or three.
    pub fn new(mcc: &str, mnc: &str) -> Result<Self, ParseError> {
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if mcc.len() != 3 || !digits(mcc) {
            return Err(ParseError::new("MCC", "3 digits", mcc));
        }
        if !(2..=3).contains(&mnc.len()) || !digits(mnc) {
            return Err(ParseError::new("MNC", "2 or 3 digits", mnc));
        }
        let mut plmn = Self { mcc: [0; 3], mnc: [0; 3], mnc_len: mnc.len() as u8 };
        plmn.mcc.copy_from_slice(mcc.as_bytes());
        plmn.mnc[..mnc.len()].copy_from_slice(mnc.as_bytes());
        Ok(plmn)
    }

    /// Three digits.
    pub fn mcc(&self) -> &str {
        std::str::from_utf8(&self.mcc).expect("invariant: digits")
    }

    /// Two or three digits.
    pub fn mnc(&self) -> &str {
        std::str::from_utf8(&self.mnc[..usize::from(self.mnc_len)]).expect("invariant: digits")
    }

    /// The three octets of TS 24.008 §10.5.1.3, as NAS and NGAP carry them.
    pub fn to_octets(self) -> [u8; 3] {
        let digit = |b: u8| b - b'0';
        let third = if self.mnc_len == 3 { digit(self.mnc[2]) } else { 0xf };
        [
            digit(self.mcc[1]) << 4 | digit(self.mcc[0]),
            third << 4 | digit(self.mcc[2]),
            digit(self.mnc[1]) << 4 | digit(self.mnc[0]),
        ]
    }

    /// Reads the three octets of TS 24.008 §10.5.1.3.
    pub fn from_octets(octets: [u8; 3]) -> Result<Self, ParseError> {
        let nibbles = [
            octets[0] & 0xf,
            octets[0] >> 4,
            octets[1] & 0xf,
            octets[2] & 0xf,
            octets[2] >> 4,
            octets[1] >> 4,
        ];
        let two = nibbles[5] == 0xf;
        if nibbles[..5].iter().any(|&n| n > 9) || (!two && nibbles[5] > 9) {
            let got = format!("{:02x}{:02x}{:02x}", octets[0], octets[1], octets[2]);
            return Err(ParseError::new("PLMN identity", "three octets of BCD digits", &got));
        }
        let ascii = |n: u8| n + b'0';
        Ok(Self {
            mcc: [ascii(nibbles[0]), ascii(nibbles[1]), ascii(nibbles[2])],
            mnc: [ascii(nibbles[3]), ascii(nibbles[4]), if two { 0 } else { ascii(nibbles[5]) }],
            mnc_len: if two { 2 } else { 3 },
        })
    }

    /// `5G:mnc001.mcc001.3gppnetwork.org`, the MNC padded to three digits (TS 24.501 §9.12.1).
    pub fn serving_network_name(&self) -> String {
        format!("5G:mnc{:0>3}.mcc{}.3gppnetwork.org", self.mnc(), self.mcc())
    }
}

impl Serialize for PlmnId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        PlmnIdText { mcc: self.mcc().into(), mnc: self.mnc().into() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PlmnId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = PlmnIdText::deserialize(deserializer)?;
        Self::new(&text.mcc, &text.mnc).map_err(D::Error::custom)
    }
}

impl fmt::Display for PlmnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.mcc(), self.mnc())
    }
}

impl fmt::Debug for PlmnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PlmnId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text.split_once('-') {
            Some((mcc, mnc)) => Self::new(mcc, mnc),
            None => Err(ParseError::new("PLMN", "MCC-MNC, such as 001-01", text)),
        }
    }
}

/// Tracking area code, 24 bits. `serde` and text form: six hexadecimal digits (TS 29.571 Tac);
/// four are accepted, as EPS writes them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tac(u32);

impl Tac {
    /// The largest code.
    pub const MAX: u32 = 0xff_ffff;

    /// From its number; `None` beyond 24 bits.
    pub const fn new(code: u32) -> Option<Self> {
        if code <= Self::MAX { Some(Self(code)) } else { None }
    }

    /// Its number.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Big-endian.
    pub const fn to_octets(self) -> [u8; 3] {
        let [_, a, b, c] = self.0.to_be_bytes();
        [a, b, c]
    }

    /// Big-endian.
    pub const fn from_octets([a, b, c]: [u8; 3]) -> Self {
        Self(u32::from_be_bytes([0, a, b, c]))
    }
}

impl fmt::Display for Tac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06x}", self.0)
    }
}

impl fmt::Debug for Tac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tac({self})")
    }
}

impl FromStr for Tac {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let valid = matches!(text.len(), 4 | 6) && text.bytes().all(|b| b.is_ascii_hexdigit());
        match u32::from_str_radix(text, 16) {
            Ok(code) if valid => Ok(Self(code)),
            _ => Err(ParseError::new("TAC", "6 hexadecimal digits", text)),
        }
    }
}

serde_as_text!(Tac);

/// Tracking area identity (TS 29.571 Tai).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tai {
    /// The network.
    pub plmn_id: PlmnId,
    /// The area within it.
    pub tac: Tac,
}

/// Tracking areas in which a UE has service, or has none (TS 23.501 §5.3.4.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceArea {
    /// Whether the UE has service in these areas alone, else in all others.
    pub allowed: bool,
    /// Which areas.
    pub tais: Vec<Tai>,
}

impl ServiceArea {
    /// Whether the UE has service in this tracking area.
    pub fn serves(&self, tai: Tai) -> bool {
        self.tais.contains(&tai) == self.allowed
    }
}

impl fmt::Display for Tai {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.plmn_id, self.tac)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plmn_keeps_the_length_of_its_mnc() {
        let two = PlmnId::new("001", "01").unwrap();
        let three = PlmnId::new("001", "001").unwrap();
        assert_ne!(two, three);
        assert_eq!(two.to_octets(), [0x00, 0xf1, 0x10]);
        assert_eq!(three.to_octets(), [0x00, 0x11, 0x00]);
        for plmn in [two, three, PlmnId::new("310", "410").unwrap()] {
            assert_eq!(PlmnId::from_octets(plmn.to_octets()).unwrap(), plmn);
        }
        assert_eq!(two.serving_network_name(), "5G:mnc001.mcc001.3gppnetwork.org");
    }

    #[test]
    fn plmn_refuses_what_is_no_digit() {
        assert!(PlmnId::new("00a", "01").is_err());
        assert!(PlmnId::new("001", "1").is_err());
        assert!(PlmnId::from_octets([0xff, 0xff, 0xff]).is_err());
    }

    #[test]
    fn tac_is_hexadecimal() {
        assert_eq!("00000a".parse::<Tac>().unwrap().get(), 10);
        assert!("10".parse::<Tac>().is_err());
        assert!("+00001".parse::<Tac>().is_err());
        assert_eq!(Tac::from_octets([1, 2, 3]).to_octets(), [1, 2, 3]);
    }
}
