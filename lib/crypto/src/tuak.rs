//! TUAK (TS 35.231 §6).

use crate::authentication::F2345;
use crate::keccak::keccak_f1600;
use crate::keys::SubscriberKey;
use crate::sqn::Sqn;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

/// What an operator chooses: lengths in octets and the iterations of Keccak
/// (TS 35.231 §6.1). In 5G CK and IK have 16 octets, MAC has 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TuakParameters {
    /// Length of RES: 4, 8, 16 or 32.
    pub res: usize,
    /// Length of MAC: 8, 16 or 32. An AUTN holds 8.
    pub mac: usize,
    /// Length of CK: 16 or 32.
    pub ck: usize,
    /// Length of IK: 16 or 32.
    pub ik: usize,
    /// Times the permutation runs, at most [`TuakParameters::ITERATIONS_MAX`].
    pub iterations: u8,
}

impl TuakParameters {
    /// Bounds the work of one function.
    pub const ITERATIONS_MAX: u8 = 16;

    fn are_valid(&self) -> bool {
        matches!(self.res, 4 | 8 | 16 | 32)
            && matches!(self.mac, 8 | 16 | 32)
            && matches!(self.ck, 16 | 32)
            && matches!(self.ik, 16 | 32)
            && (1..=Self::ITERATIONS_MAX).contains(&self.iterations)
    }
}

impl Default for TuakParameters {
    fn default() -> Self {
        Self { res: 8, mac: 8, ck: 16, ik: 16, iterations: 1 }
    }
}

/// A subscriber's K and TOPc.
pub struct Tuak {
    k: SubscriberKey,
    topc: [u8; 32],
    parameters: TuakParameters,
}

impl Tuak {
    /// From K and TOPc; `None` if a parameter is none of the allowed values.
    #[must_use]
    pub fn new(k: SubscriberKey, topc: [u8; 32], parameters: TuakParameters) -> Option<Self> {
        parameters.are_valid().then_some(Self { k, topc, parameters })
    }

    /// From K and the operator's TOP.
    #[must_use]
    pub fn from_top(k: SubscriberKey, top: [u8; 32], parameters: TuakParameters) -> Option<Self> {
        // TOPc is one function of K and TOP (TS 35.231 §6.2).
        let mut tuak = Self::new(k, top, parameters)?;
        let out = tuak.run(0, &[0; 16], &[0; 8]);
        tuak.topc.copy_from_slice(&reversed::<32>(&out[..32]));
        Some(tuak)
    }

    /// TOPc.
    #[must_use]
    pub fn topc(&self) -> &[u8; 32] {
        &self.topc
    }

    /// f1: MAC-A, of the length that the parameters give.
    #[must_use]
    pub fn f1(&self, rand: &[u8; 16], sqn: Sqn, amf: [u8; 2]) -> Vec<u8> {
        self.mac(0, rand, sqn, amf)
    }

    /// f1*: MAC-S.
    #[must_use]
    pub fn f1_star(&self, rand: &[u8; 16], sqn: Sqn, amf: [u8; 2]) -> Vec<u8> {
        self.mac(0x80, rand, sqn, amf)
    }

    /// RES, CK, IK and AK as octets of the parameters' lengths (TS 35.231 §6.4).
    #[must_use]
    pub fn f2345_octets(&self, rand: &[u8; 16]) -> [Zeroizing<Vec<u8>>; 4] {
        let p = &self.parameters;
        let lengths = u8::from(p.ck == 32) << 2 | u8::from(p.ik == 32) << 1;
        let out = self.run(0x40 | length_code(p.res) | lengths, rand, &[0; 8]);
        let part = |start: usize, length: usize| {
            Zeroizing::new(out[start..start + length].iter().rev().copied().collect())
        };
        [part(0, p.res), part(32, p.ck), part(64, p.ik), part(96, 6)]
    }

    /// f2 to f5; `None` if CK or IK is longer than the 16 octets of 5G.
    #[must_use]
    pub fn f2345(&self, rand: &[u8; 16]) -> Option<F2345> {
        let [res, ck, ik, ak] = self.f2345_octets(rand);
        Some(F2345 {
            res,
            ck: crate::Ck::from_slice(&ck)?,
            ik: crate::Ik::from_slice(&ik)?,
            ak: ak.as_slice().try_into().ok()?,
        })
    }

    /// f5*: AK for resynchronisation (TS 35.231 §6.5).
    #[must_use]
    pub fn f5_star(&self, rand: &[u8; 16]) -> [u8; 6] {
        reversed(&self.run(0xc0, rand, &[0; 8])[96..102])
    }

    pub(crate) fn parameters(&self) -> &TuakParameters {
        &self.parameters
    }

    fn mac(&self, star: u8, rand: &[u8; 16], sqn: Sqn, amf: [u8; 2]) -> Vec<u8> {
        let mut amf_and_sqn = [0; 8];
        amf_and_sqn[..2].copy_from_slice(&[amf[1], amf[0]]);
        amf_and_sqn[2..].copy_from_slice(&reversed::<6>(&sqn.to_bytes()));
        let length = self.parameters.mac;
        let out = self.run(star | length_code(length), rand, &amf_and_sqn);
        out[..length].iter().rev().copied().collect()
    }

    /// Fills IN, permutes it and gives OUT, octets in the order of Keccak.
    /// Values stand there last octet first; `amf_and_sqn` comes reversed.
    fn run(&self, instance: u8, rand: &[u8; 16], amf_and_sqn: &[u8; 8]) -> Zeroizing<[u8; 200]> {
        let mut state = Zeroizing::new([0; 200]);
        let k = self.k.as_bytes();
        state[..32].copy_from_slice(&reversed::<32>(&self.topc));
        state[32] = instance | u8::from(k.len() == 32);
        state[33..40].copy_from_slice(&reversed::<7>(b"TUAK1.0"));
        state[40..56].copy_from_slice(&reversed::<16>(rand));
        state[56..64].copy_from_slice(amf_and_sqn);
        for (to, from) in state[64..96].iter_mut().zip(k.iter().rev()) {
            *to = *from;
        }
        state[96] = 0x1f;
        state[135] = 0x80;
        let mut lanes = Zeroizing::new([0; 25]);
        for (lane, octets) in lanes.iter_mut().zip(state.as_chunks::<8>().0) {
            *lane = u64::from_le_bytes(*octets);
        }
        for _ in 0..self.parameters.iterations {
            keccak_f1600(&mut lanes);
        }
        for (lane, octets) in lanes.iter().zip(state.as_chunks_mut::<8>().0) {
            *octets = lane.to_le_bytes();
        }
        state
    }
}

impl Drop for Tuak {
    fn drop(&mut self) {
        self.topc.zeroize();
    }
}

impl std::fmt::Debug for Tuak {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tuak(..)")
    }
}

/// Bits 2 to 4 of INSTANCE: the length of MAC or RES.
fn length_code(octets: usize) -> u8 {
    match octets {
        8 => 0x08,
        16 => 0x10,
        32 => 0x20,
        _ => 0,
    }
}

fn reversed<const N: usize>(octets: &[u8]) -> [u8; N] {
    std::array::from_fn(|i| octets[N - 1 - i])
}
