//! gNB identities: TS 38.413 §9.3.1.6, TS 29.571 GNbId.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{ParseError, PlmnId};

/// gNB identity of 22 to 32 bits. `serde` form: TS 29.571 GNbId. Text: `00000001/32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "GnbIdText", into = "GnbIdText")]
pub struct GnbId {
    value: u32,
    bits: u8,
}

#[derive(Serialize, Deserialize)]
struct GnbIdText {
    #[serde(rename = "bitLength")]
    bit_length: u8,
    #[serde(rename = "gNBValue")]
    gnb_value: String,
}

impl GnbId {
    /// From its value and length; refused outside 22 to 32 bits and where the value does not fit.
    pub fn new(value: u32, bits: u8) -> Result<Self, ParseError> {
        if (22..=32).contains(&bits) && u64::from(value) >> bits == 0 {
            Ok(Self { value, bits })
        } else {
            let got = format!("{value:x}/{bits}");
            Err(ParseError::new("gNB ID", "22 to 32 bits and a value that fits", &got))
        }
    }

    /// Its value, right-aligned.
    pub const fn value(self) -> u32 {
        self.value
    }

    /// 22 to 32.
    pub const fn bits(self) -> u8 {
        self.bits
    }
}

impl fmt::Display for GnbId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = usize::from(self.bits).div_ceil(4);
        write!(f, "{:0digits$x}/{}", self.value, self.bits)
    }
}

impl TryFrom<GnbIdText> for GnbId {
    type Error = ParseError;

    fn try_from(text: GnbIdText) -> Result<Self, ParseError> {
        let value = u32::from_str_radix(&text.gnb_value, 16)
            .map_err(|_| ParseError::new("gNB ID", "6 to 8 hexadecimal digits", &text.gnb_value))?;
        Self::new(value, text.bit_length)
    }
}

impl From<GnbId> for GnbIdText {
    fn from(id: GnbId) -> Self {
        let digits = usize::from(id.bits).div_ceil(4);
        Self { bit_length: id.bits, gnb_value: format!("{:0digits$x}", id.value) }
    }
}

/// A gNB in the world: its network and its identity there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GlobalGnbId {
    /// The gNB's network.
    pub plmn_id: PlmnId,
    /// The gNB within it.
    pub gnb_id: GnbId,
}

impl fmt::Display for GlobalGnbId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gnb-{}-{}", self.plmn_id, self.gnb_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gnb_id_has_22_to_32_bits() {
        assert_eq!(GnbId::new(1, 22).unwrap().to_string(), "000001/22");
        assert_eq!(GnbId::new(u32::MAX, 32).unwrap().to_string(), "ffffffff/32");
        assert!(GnbId::new(1, 21).is_err());
        assert!(GnbId::new(1, 33).is_err());
        assert!(GnbId::new(1 << 22, 22).is_err());
    }
}
