//! The chain of next hop parameters that handovers take their keys from: TS 33.501 §6.9.2.1.1.

use serde::{Deserialize, Serialize};

use crate::kdf::next_hop;
use crate::keys::{KAmf, KGnb, Nh};

/// NCC has three bits (TS 33.501 §6.9.2.1.1).
const NCC_MASK: u8 = 0x07;

/// The newest NH and its next hop chaining counter, on the side of AMF or UE.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextHopChain {
    k_amf: KAmf,
    ncc: u8,
    nh: Nh,
}

impl NextHopChain {
    /// As it begins with an initial K_gNB, which has NCC 0: the first NH has NCC 1.
    #[must_use]
    pub fn new(k_amf: &KAmf, k_gnb: &KGnb) -> Self {
        Self { k_amf: k_amf.clone(), ncc: 1, nh: next_hop(k_amf, k_gnb.as_bytes()) }
    }

    /// The next NH of the chain.
    pub fn advance(&mut self) {
        self.nh = next_hop(&self.k_amf, self.nh.as_bytes());
        self.ncc = self.ncc.wrapping_add(1) & NCC_MASK;
    }

    /// Goes on until the NH of this counter: what a UE does that is told it.
    pub fn advance_to(&mut self, ncc: u8) {
        for _ in 0..=NCC_MASK {
            if self.ncc == ncc & NCC_MASK {
                return;
            }
            self.advance();
        }
    }

    /// The next hop chaining counter, 0 to 7.
    #[must_use]
    pub fn ncc(&self) -> u8 {
        self.ncc
    }

    /// NH.
    #[must_use]
    pub fn nh(&self) -> &Nh {
        &self.nh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain() -> NextHopChain {
        NextHopChain::new(&KAmf::from([1; 32]), &KGnb::from([2; 32]))
    }

    #[test]
    fn when_a_chain_advances_then_each_nh_comes_from_the_one_before() {
        let (k_amf, mut mine) = (KAmf::from([1; 32]), chain());
        let first = next_hop(&k_amf, &[2; 32]);
        assert_eq!((mine.ncc(), mine.nh()), (1, &first));
        mine.advance();
        assert_eq!((mine.ncc(), mine.nh()), (2, &next_hop(&k_amf, first.as_bytes())));
    }

    #[test]
    fn when_a_counter_is_told_then_both_sides_have_the_same_nh_beyond_its_three_bits() {
        let (mut amf, mut ue) = (chain(), chain());
        for _ in 0..5 {
            // The UE misses every second one.
            amf.advance();
            amf.advance();
            ue.advance_to(amf.ncc());
            assert_eq!(amf, ue);
        }
        assert_eq!(amf.ncc(), 3);
    }
}
