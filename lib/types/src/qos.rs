//! QoS values: QFI, bit rate, AMBR and ARP.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{ParseError, serde_as_text};

/// QoS flow identifier: 0 to 63 (TS 23.501 §5.7.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Qfi(u8);

impl Qfi {
    /// `None` above 63.
    pub const fn new(qfi: u8) -> Option<Self> {
        if qfi <= 63 { Some(Self(qfi)) } else { None }
    }

    /// 0 to 63.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for Qfi {
    type Error = ParseError;

    fn try_from(qfi: u8) -> Result<Self, ParseError> {
        Self::new(qfi).ok_or_else(|| ParseError::new("QFI", "0 to 63", &qfi.to_string()))
    }
}

impl From<Qfi> for u8 {
    fn from(qfi: Qfi) -> Self {
        qfi.0
    }
}

/// A bit rate in bits per second. Text and `serde` form: `"100 Mbps"` (TS 29.571 BitRate).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct BitRate(u64);

impl BitRate {
    const UNITS: [(&'static str, u64); 5] = [
        ("Tbps", 1_000_000_000_000),
        ("Gbps", 1_000_000_000),
        ("Mbps", 1_000_000),
        ("Kbps", 1_000),
        ("bps", 1),
    ];

    /// From bits per second.
    pub const fn from_bps(bps: u64) -> Self {
        Self(bps)
    }

    /// Bits per second.
    pub const fn bps(self) -> u64 {
        self.0
    }

    /// Kilobits per second, rounded up, as PFCP carries it.
    pub const fn kbps(self) -> u64 {
        self.0.div_ceil(1000)
    }
}

impl fmt::Display for BitRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |&&(_, scale): &&(&str, u64)| self.0 != 0 && self.0.is_multiple_of(scale);
        let &(unit, scale) = Self::UNITS.iter().find(fits).unwrap_or(&Self::UNITS[4]);
        write!(f, "{} {unit}", self.0 / scale)
    }
}

impl fmt::Debug for BitRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for BitRate {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong = || ParseError::new("bit rate", "a number and a unit, such as 100 Mbps", text);
        let (number, unit) = text.split_once(' ').ok_or_else(wrong)?;
        let scale = Self::UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?.1;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = |t: &str| t.len() <= 18 && t.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) {
            return Err(wrong());
        }
        let whole: u64 = whole.parse().map_err(|_| wrong())?;
        let mut bps = whole.checked_mul(scale).ok_or_else(wrong)?;
        let mut place = scale;
        for digit in fraction.bytes() {
            place /= 10;
            bps = bps.checked_add(u64::from(digit - b'0') * place).ok_or_else(wrong)?;
        }
        Ok(Self(bps))
    }
}

serde_as_text!(BitRate);

/// Aggregate maximum bit rate (TS 29.571 Ambr).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ambr {
    /// From the UE.
    pub uplink: BitRate,
    /// To the UE.
    pub downlink: BitRate,
}

/// Allocation and retention priority (TS 23.501 §5.7.2.2; TS 29.571 Arp).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Arp {
    /// 1 (highest) to 15.
    pub priority_level: u8,
    /// `MAY_PREEMPT` or `NOT_PREEMPT`.
    pub preempt_cap: PreemptionCapability,
    /// `PREEMPTABLE` or `NOT_PREEMPTABLE`.
    pub preempt_vuln: PreemptionVulnerability,
}

/// Whether a flow may take another's resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PreemptionCapability {
    /// It may not.
    NotPreempt,
    /// It may.
    MayPreempt,
}

/// Whether another flow may take this one's resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PreemptionVulnerability {
    /// It may not.
    NotPreemptable,
    /// It may.
    Preemptable,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bit_rates_read_and_write_their_unit() {
        for (text, bps) in [("1 Gbps", 1_000_000_000), ("1.5 Mbps", 1_500_000), ("0 bps", 0)] {
            assert_eq!(text.parse::<BitRate>().unwrap().bps(), bps);
        }
        assert_eq!(BitRate::from_bps(1_500_000).to_string(), "1500 Kbps");
        assert_eq!(BitRate::from_bps(0).to_string(), "0 bps");
        assert!("1Gbps".parse::<BitRate>().is_err());
        assert!("999999999999999999 Tbps".parse::<BitRate>().is_err());
        assert_eq!(BitRate::from_bps(1).kbps(), 1);
    }
}
