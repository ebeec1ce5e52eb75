//! Sequence numbers: TS 33.102 §6.3.2 and annex C, SQN = SEQ and 5 bits of IND.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::fmt;

/// A sequence number of 48 bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Sqn(u64);

impl Sqn {
    /// Bits of IND.
    pub const IND_BITS: u32 = 5;
    /// The greatest value.
    pub const MAX: Self = Self((1 << 48) - 1);

    /// From a number; `None` above 48 bits.
    #[must_use]
    pub const fn new(value: u64) -> Option<Self> {
        if value <= Self::MAX.0 { Some(Self(value)) } else { None }
    }

    /// From its 6 octets.
    #[must_use]
    pub const fn from_bytes(octets: [u8; 6]) -> Self {
        let [a, b, c, d, e, f] = octets;
        Self(u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
    }

    /// Its 6 octets.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 6] {
        let [_, _, a, b, c, d, e, f] = self.0.to_be_bytes();
        [a, b, c, d, e, f]
    }

    /// The number.
    #[must_use]
    pub const fn value(self) -> u64 {
        self.0
    }

    /// SEQ, the part that must grow.
    #[must_use]
    pub const fn seq(self) -> u64 {
        self.0 >> Self::IND_BITS
    }

    /// IND, the entry of the USIM's array.
    #[must_use]
    pub const fn ind(self) -> usize {
        (self.0 & ((1 << Self::IND_BITS) - 1)) as usize
    }

    /// The number for the next vector: SEQ and IND grow by one, IND in a
    /// cycle (TS 33.102 §C.1.2, §C.3.4). `None` when SEQ is used up.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        let ind = (self.ind() as u64 + 1) % (1 << Self::IND_BITS);
        Self::new((self.seq() + 1) << Self::IND_BITS | ind)
    }
}

impl fmt::Debug for Sqn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sqn({:012x})", self.0)
    }
}

impl fmt::Display for Sqn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012x}", self.0)
    }
}

impl std::str::FromStr for Sqn {
    type Err = hex::FromHexError;
    /// From 12 hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, hex::FromHexError> {
        let mut octets = [0; 6];
        hex::decode_to_slice(text, &mut octets)?;
        Ok(Self::from_bytes(octets))
    }
}

impl Serialize for Sqn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sqn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// What the USIM remembers: the greatest SEQ accepted under each IND
/// (TS 33.102 §C.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SqnArray {
    seq: [u64; 1 << Sqn::IND_BITS],
    greatest: Sqn,
    delta: u64,
}

impl SqnArray {
    /// The greatest jump of SEQ that is accepted (TS 33.102 §C.3.1).
    pub const DELTA_DEFAULT: u64 = 1 << 28;

    /// A USIM that has accepted nothing. `delta` limits the jump of SEQ.
    #[must_use]
    pub const fn new(delta: u64) -> Self {
        Self { seq: [0; 1 << Sqn::IND_BITS], greatest: Sqn(0), delta }
    }

    /// A USIM whose greatest accepted number is `sqn`, under every IND.
    #[must_use]
    pub const fn at(sqn: Sqn) -> Self {
        let mut array = Self::new(Self::DELTA_DEFAULT);
        array.seq = [sqn.seq(); 1 << Sqn::IND_BITS];
        array.greatest = sqn;
        array
    }

    /// Takes `sqn` if it is fresh: SEQ above the last one under its IND, and
    /// not more than delta above the greatest of all (TS 33.102 §C.2.2).
    pub fn accept(&mut self, sqn: Sqn) -> bool {
        let fresh = sqn.seq() > self.seq[sqn.ind()];
        let near = sqn.seq().saturating_sub(self.greatest.seq()) <= self.delta;
        if fresh && near {
            self.seq[sqn.ind()] = sqn.seq();
            self.greatest = self.greatest.max(sqn);
        }
        fresh && near
    }

    /// SQN_MS: the greatest number accepted.
    #[must_use]
    pub const fn sqn_ms(&self) -> Sqn {
        self.greatest
    }
}

impl Default for SqnArray {
    fn default() -> Self {
        Self::new(Self::DELTA_DEFAULT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_grows_seq_and_turns_ind() {
        let sqn = Sqn::new(7 << 5 | 31).expect("48 bits");
        let next = sqn.next().expect("not used up");
        assert_eq!((next.seq(), next.ind()), (8, 0));
        assert_eq!(Sqn::MAX.next(), None);
        assert_eq!(Sqn::new(1 << 48), None);
        assert_eq!("0000000000ff".parse(), Ok(Sqn(0xff)));
    }

    #[test]
    fn when_a_number_repeats_under_its_ind_then_it_is_refused() {
        let mut array = SqnArray::default();
        let sqn = |seq: u64, ind: u64| Sqn(seq << 5 | ind);
        assert!(array.accept(sqn(10, 1)));
        assert!(!array.accept(sqn(10, 1)));
        // Vectors may be used out of order under other indices.
        assert!(array.accept(sqn(9, 2)));
        assert_eq!(array.sqn_ms(), sqn(10, 1));
        assert!(!array.accept(sqn(9, 2)));
    }

    #[test]
    fn when_seq_jumps_beyond_delta_then_it_is_refused() {
        let mut array = SqnArray::new(100);
        assert!(array.accept(Sqn(100 << 5)));
        assert!(!array.accept(Sqn(201 << 5 | 1)));
        assert!(array.accept(Sqn(200 << 5 | 1)));
    }
}
