//! 128-NEA0 to 128-NEA3 (TS 33.501 annex D.2).

use crate::aes::Aes128Ctr;
use crate::algorithm::{CipheringAlgorithm, Direction};
use crate::snow3g::Snow3g;
use zeroize::Zeroizing;
use zuc::eea3::eea3_xor_inplace;

/// Ciphers or deciphers `data` in place. Only the low 5 bits of `bearer` count.
pub fn nea(
    algorithm: CipheringAlgorithm,
    key: &[u8; 16],
    count: u32,
    bearer: u8,
    direction: Direction,
    data: &mut [u8],
) {
    Ciphering::new(algorithm, key).apply(count, bearer, direction, data);
}

/// As [`nea`] over the first `bits` bits; the bits after them stay as they
/// are. `bits` beyond the data mean all of it.
pub fn nea_bits(
    algorithm: CipheringAlgorithm,
    key: &[u8; 16],
    count: u32,
    bearer: u8,
    direction: Direction,
    data: &mut [u8],
    bits: usize,
) {
    let octets = bits.div_ceil(8).min(data.len());
    let data = &mut data[..octets];
    let last = data.last().copied();
    nea(algorithm, key, count, bearer, direction, data);
    if let (Some(before), Some(after)) = (last, data.last_mut())
        && bits < octets * 8
        && !bits.is_multiple_of(8)
    {
        let kept = 0xff >> (bits % 8);
        *after = (*after & !kept) | (before & kept);
    }
}

/// A ciphering key with its algorithm; holds the AES key schedule.
pub struct Ciphering(Keyed);

#[allow(clippy::large_enum_variant, reason = "not moved in numbers; saves an allocation a key")]
enum Keyed {
    Null,
    Snow3g(Zeroizing<[u8; 16]>),
    Aes(Aes128Ctr),
    Zuc(Zeroizing<[u8; 16]>),
}

impl Ciphering {
    /// Expands `key` for `algorithm`.
    #[must_use]
    pub fn new(algorithm: CipheringAlgorithm, key: &[u8; 16]) -> Self {
        Self(match algorithm {
            CipheringAlgorithm::Nea0 => Keyed::Null,
            CipheringAlgorithm::Nea1 => Keyed::Snow3g(Zeroizing::new(*key)),
            CipheringAlgorithm::Nea2 => Keyed::Aes(Aes128Ctr::new(key)),
            CipheringAlgorithm::Nea3 => Keyed::Zuc(Zeroizing::new(*key)),
        })
    }

    /// Ciphers or deciphers `data` in place.
    pub fn apply(&self, count: u32, bearer: u8, direction: Direction, data: &mut [u8]) {
        match &self.0 {
            Keyed::Null => {}
            Keyed::Snow3g(key) => snow3g(key, count, bearer, direction, data),
            Keyed::Aes(key) => {
                // TS 33.501 §D.2.1.3: COUNT, BEARER, DIRECTION, then zeros.
                let mut first = [0; 16];
                first[..4].copy_from_slice(&count.to_be_bytes());
                first[4] = bearer << 3 | direction.bit() << 2;
                key.apply(&first, data);
            }
            Keyed::Zuc(key) => {
                let bits = data.len() * 8;
                eea3_xor_inplace(count, bearer, direction.bit(), key, data, bits);
            }
        }
    }
}

impl std::fmt::Debug for Ciphering {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ciphering(..)")
    }
}

fn snow3g(key: &[u8; 16], count: u32, bearer: u8, direction: Direction, data: &mut [u8]) {
    let second = u32::from(bearer & 31) << 27 | u32::from(direction.bit()) << 26;
    let mut generator = Snow3g::new(key, [second, count, second, count]);
    for chunk in data.chunks_mut(4) {
        for (octet, key) in chunk.iter_mut().zip(generator.next_word().to_be_bytes()) {
            *octet ^= key;
        }
    }
}
