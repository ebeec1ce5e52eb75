//! AMF identity, GUAMI, 5G-GUTI and 5G-S-TMSI: TS 23.003 §2.10.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{ParseError, PlmnId, serde_as_text};

/// AMF region (8 bits), set (10 bits) and pointer (6 bits). Text and `serde` form: six
/// hexadecimal digits (TS 29.571 AmfId).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AmfId {
    /// 8 bits.
    pub region: u8,
    set: u16,
    pointer: u8,
}

impl AmfId {
    /// Bits of `set` beyond 10 and of `pointer` beyond 6 are cut.
    pub const fn new(region: u8, set: u16, pointer: u8) -> Self {
        Self { region, set: set & 0x3ff, pointer: pointer & 0x3f }
    }

    /// 10 bits.
    pub const fn set(self) -> u16 {
        self.set
    }

    /// 6 bits.
    pub const fn pointer(self) -> u8 {
        self.pointer
    }

    /// The 24 bits, big-endian.
    pub const fn to_octets(self) -> [u8; 3] {
        [self.region, (self.set >> 2) as u8, ((self.set & 3) << 6) as u8 | self.pointer]
    }

    /// The 24 bits, big-endian.
    pub const fn from_octets([a, b, c]: [u8; 3]) -> Self {
        Self::new(a, (b as u16) << 2 | (c >> 6) as u16, c & 0x3f)
    }
}

impl fmt::Display for AmfId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c] = self.to_octets();
        write!(f, "{a:02x}{b:02x}{c:02x}")
    }
}

impl fmt::Debug for AmfId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AmfId({self})")
    }
}

impl FromStr for AmfId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut octets = [0; 3];
        hex::decode_to_slice(text, &mut octets)
            .map_err(|_| ParseError::new("AMF ID", "6 hexadecimal digits", text))?;
        Ok(Self::from_octets(octets))
    }
}

serde_as_text!(AmfId);

/// Globally unique AMF identity (TS 29.571 Guami).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Guami {
    /// The AMF's network.
    pub plmn_id: PlmnId,
    /// The AMF within it.
    pub amf_id: AmfId,
}

impl fmt::Display for Guami {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.plmn_id, self.amf_id)
    }
}

/// A UE's temporary identity: GUAMI and 5G-TMSI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Guti5g {
    /// The AMF that gave it.
    pub guami: Guami,
    /// 32 bits, unique in the AMF set.
    pub tmsi: u32,
}

impl fmt::Display for Guti5g {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "5g-guti-{}-{:08x}", self.guami, self.tmsi)
    }
}

/// The shortened 5G-GUTI: AMF set, AMF pointer and 5G-TMSI (TS 23.003 §2.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct STmsi5g {
    /// 10 bits.
    pub amf_set: u16,
    /// 6 bits.
    pub amf_pointer: u8,
    /// 32 bits.
    pub tmsi: u32,
}

impl From<Guti5g> for STmsi5g {
    fn from(guti: Guti5g) -> Self {
        let amf_id = guti.guami.amf_id;
        Self { amf_set: amf_id.set(), amf_pointer: amf_id.pointer(), tmsi: guti.tmsi }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amf_id_is_24_bits() {
        let id = AmfId::new(0xca, 0x3fe, 0x21);
        assert_eq!(AmfId::from_octets(id.to_octets()), id);
        assert_eq!(id.to_string(), "caffa1");
        assert_eq!("caffa1".parse::<AmfId>().unwrap(), id);
    }
}
