//! Milenage (TS 35.206 §4.1) with the constants of that clause.

use crate::aes::Aes128;
use crate::authentication::F2345;
use crate::sqn::Sqn;
use zeroize::{Zeroize, Zeroizing};

/// A subscriber's K, expanded, and OPc.
pub struct Milenage {
    aes: Aes128,
    opc: u128,
}

impl Milenage {
    /// From K and OPc.
    #[must_use]
    pub fn new(k: &[u8; 16], opc: &[u8; 16]) -> Self {
        Self { aes: Aes128::new(k), opc: u128::from_be_bytes(*opc) }
    }

    /// From K and the operator's OP.
    #[must_use]
    pub fn from_op(k: &[u8; 16], op: &[u8; 16]) -> Self {
        Self::new(k, &Self::opc(k, op))
    }

    /// OPc = E_K(OP) + OP.
    #[must_use]
    pub fn opc(k: &[u8; 16], op: &[u8; 16]) -> [u8; 16] {
        let op = u128::from_be_bytes(*op);
        (Aes128::new(k).encrypt(op) ^ op).to_be_bytes()
    }

    /// f1: MAC-A.
    #[must_use]
    pub fn f1(&self, rand: &[u8; 16], sqn: Sqn, amf: [u8; 2]) -> [u8; 8] {
        ((self.out1(rand, sqn, amf) >> 64) as u64).to_be_bytes()
    }

    /// f1*: MAC-S.
    #[must_use]
    pub fn f1_star(&self, rand: &[u8; 16], sqn: Sqn, amf: [u8; 2]) -> [u8; 8] {
        (self.out1(rand, sqn, amf) as u64).to_be_bytes()
    }

    /// f2, f3, f4 and f5: RES, CK, IK and AK.
    #[must_use]
    pub fn f2345(&self, rand: &[u8; 16]) -> F2345 {
        let out2 = self.out(rand, 0, 1);
        F2345 {
            res: Zeroizing::new((out2 as u64).to_be_bytes().to_vec()),
            ck: self.out(rand, 32, 2).to_be_bytes().into(),
            ik: self.out(rand, 64, 4).to_be_bytes().into(),
            ak: first48(out2),
        }
    }

    /// f5*: AK for resynchronisation.
    #[must_use]
    pub fn f5_star(&self, rand: &[u8; 16]) -> [u8; 6] {
        first48(self.out(rand, 96, 8))
    }

    fn temp(&self, rand: &[u8; 16]) -> u128 {
        self.aes.encrypt(u128::from_be_bytes(*rand) ^ self.opc)
    }

    fn out1(&self, rand: &[u8; 16], sqn: Sqn, amf: [u8; 2]) -> u128 {
        let half = sqn.value() << 16 | u64::from(u16::from_be_bytes(amf));
        let in1 = u128::from(half) << 64 | u128::from(half);
        self.aes.encrypt(self.temp(rand) ^ (in1 ^ self.opc).rotate_left(64)) ^ self.opc
    }

    fn out(&self, rand: &[u8; 16], r: u32, c: u128) -> u128 {
        self.aes.encrypt((self.temp(rand) ^ self.opc).rotate_left(r) ^ c) ^ self.opc
    }
}

impl Drop for Milenage {
    fn drop(&mut self) {
        self.opc.zeroize();
    }
}

impl std::fmt::Debug for Milenage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Milenage(..)")
    }
}

fn first48(block: u128) -> [u8; 6] {
    let [a, b, c, d, e, f, ..] = block.to_be_bytes();
    [a, b, c, d, e, f]
}
