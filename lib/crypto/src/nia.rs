//! 128-NIA0 to 128-NIA3 (TS 33.501 annex D.3).

use crate::aes::Aes128;
use crate::algorithm::{Direction, IntegrityAlgorithm};
use crate::snow3g::Snow3g;
use aws_lc_rs::cmac;
use zeroize::Zeroizing;
use zuc::eia3::Eia3Mac;

/// The MAC of `data`. Only the low 5 bits of `bearer` count. NIA0 gives zeros.
#[must_use]
pub fn nia(
    algorithm: IntegrityAlgorithm,
    key: &[u8; 16],
    count: u32,
    bearer: u8,
    direction: Direction,
    data: &[u8],
) -> [u8; 4] {
    Integrity::new(algorithm, key).mac(count, bearer, direction, data)
}

/// As [`nia`] over the first `bits` bits; `bits` beyond the data mean all of it.
#[must_use]
pub fn nia_bits(
    algorithm: IntegrityAlgorithm,
    key: &[u8; 16],
    count: u32,
    bearer: u8,
    direction: Direction,
    data: &[u8],
    bits: usize,
) -> [u8; 4] {
    let bits = bits.min(data.len() * 8);
    let data = &data[..bits.div_ceil(8)];
    match algorithm {
        IntegrityAlgorithm::Nia0 => [0; 4],
        IntegrityAlgorithm::Nia1 => snow3g(key, count, bearer, direction, data, bits),
        IntegrityAlgorithm::Nia2 if !bits.is_multiple_of(8) => {
            aes_partial_octet(key, count, bearer, direction, data, bits % 8)
        }
        IntegrityAlgorithm::Nia2 => nia(algorithm, key, count, bearer, direction, data),
        IntegrityAlgorithm::Nia3 => zuc(key, count, bearer, direction, data, bits),
    }
}

/// Whether `mac` is the MAC of `data`, in constant time. Under NIA0 nothing
/// is checked (TS 33.501 §D.1): who selects it has given integrity up.
#[must_use]
pub fn nia_verify(
    algorithm: IntegrityAlgorithm,
    key: &[u8; 16],
    count: u32,
    bearer: u8,
    direction: Direction,
    data: &[u8],
    mac: [u8; 4],
) -> bool {
    Integrity::new(algorithm, key).verify(count, bearer, direction, data, mac)
}

/// An integrity key with its algorithm; holds the AES key schedule.
pub struct Integrity(Keyed);

#[allow(clippy::large_enum_variant, reason = "not moved in numbers; saves an allocation a key")]
enum Keyed {
    Null,
    Snow3g(Zeroizing<[u8; 16]>),
    Aes(cmac::Key),
    Zuc(Zeroizing<[u8; 16]>),
}

impl Integrity {
    /// Expands `key` for `algorithm`.
    #[must_use]
    pub fn new(algorithm: IntegrityAlgorithm, key: &[u8; 16]) -> Self {
        Self(match algorithm {
            IntegrityAlgorithm::Nia0 => Keyed::Null,
            IntegrityAlgorithm::Nia1 => Keyed::Snow3g(Zeroizing::new(*key)),
            IntegrityAlgorithm::Nia2 => Keyed::Aes(cmac_key(key)),
            IntegrityAlgorithm::Nia3 => Keyed::Zuc(Zeroizing::new(*key)),
        })
    }

    /// The MAC of `data`.
    #[must_use]
    pub fn mac(&self, count: u32, bearer: u8, direction: Direction, data: &[u8]) -> [u8; 4] {
        match &self.0 {
            Keyed::Null => [0; 4],
            Keyed::Snow3g(key) => snow3g(key, count, bearer, direction, data, data.len() * 8),
            Keyed::Aes(key) => cmac(key, &prefix(count, bearer, direction), data),
            Keyed::Zuc(key) => zuc(key, count, bearer, direction, data, data.len() * 8),
        }
    }

    /// Whether `mac` is the MAC of `data`; see [`nia_verify`].
    #[must_use]
    pub fn verify(&self, count: u32, bearer: u8, direction: Direction, data: &[u8], mac: [u8; 4]) -> bool {
        matches!(self.0, Keyed::Null) || crate::equal(&self.mac(count, bearer, direction, data), &mac)
    }
}

impl std::fmt::Debug for Integrity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Integrity(..)")
    }
}

/// f9 of TS 35.215 §4 with FRESH = BEARER and 27 zero bits (TS 33.401 §B.2.2).
fn snow3g(key: &[u8; 16], count: u32, bearer: u8, direction: Direction, data: &[u8], bits: usize) -> [u8; 4] {
    let fresh = u32::from(bearer & 31) << 27;
    let direction = u32::from(direction.bit());
    let iv = [fresh ^ direction << 15, count ^ direction << 31, fresh, count];
    let mut generator = Snow3g::new(key, iv);
    let mut double = || u64::from(generator.next_word()) << 32 | u64::from(generator.next_word());
    let (p, q) = (double(), double());
    let mut sum = 0;
    for (index, chunk) in data.chunks(8).enumerate() {
        let mut block = [0; 8];
        block[..chunk.len()].copy_from_slice(chunk);
        let mut block = u64::from_be_bytes(block);
        let used = bits - index * 64;
        if used < 64 {
            block &= !(u64::MAX >> used);
        }
        sum = multiply(sum ^ block, p);
    }
    sum = multiply(sum ^ bits as u64, q);
    ((sum >> 32) as u32 ^ generator.next_word()).to_be_bytes()
}

/// Product in GF(2^64) modulo x^64 + x^4 + x^3 + x + 1, without branches.
fn multiply(mut v: u64, p: u64) -> u64 {
    let mut product = 0;
    for bit in 0..64 {
        product ^= v & 0u64.wrapping_sub(p >> bit & 1);
        v = (v << 1) ^ (0x1b & 0u64.wrapping_sub(v >> 63));
    }
    product
}

fn zuc(key: &[u8; 16], count: u32, bearer: u8, direction: Direction, data: &[u8], bits: usize) -> [u8; 4] {
    Eia3Mac::compute(count, bearer, direction.bit(), key, data, bits).to_be_bytes()
}

/// What precedes the message under CMAC (TS 33.401 §B.2.3).
fn prefix(count: u32, bearer: u8, direction: Direction) -> [u8; 8] {
    let mut octets = [0; 8];
    octets[..4].copy_from_slice(&count.to_be_bytes());
    octets[4] = bearer << 3 | direction.bit() << 2;
    octets
}

const ACCEPTED: &str = "invariant: aws-lc takes a 16-octet CMAC key and any message";

fn cmac_key(key: &[u8; 16]) -> cmac::Key {
    cmac::Key::new(cmac::AES_128, key).expect(ACCEPTED)
}

fn cmac(key: &cmac::Key, prefix: &[u8], data: &[u8]) -> [u8; 4] {
    let mut context = cmac::Context::with_key(key);
    context.update(prefix).expect(ACCEPTED);
    context.update(data).expect(ACCEPTED);
    let tag = context.sign().expect(ACCEPTED);
    let octets = tag.as_ref();
    [octets[0], octets[1], octets[2], octets[3]]
}

/// CMAC where the last octet has only `used` bits (1 to 7). aws-lc knows
/// octets alone, so the message is padded to whole blocks here, and the two
/// subkeys are exchanged: aws-lc adds K1 to a complete last block, K2 is due.
fn aes_partial_octet(
    key: &[u8; 16],
    count: u32,
    bearer: u8,
    direction: Direction,
    data: &[u8],
    used: usize,
) -> [u8; 4] {
    let mut message = [&prefix(count, bearer, direction), data].concat();
    if let Some(last) = message.last_mut() {
        *last = *last & !(0xff >> used) | 0x80 >> used;
    }
    message.resize(message.len().next_multiple_of(16), 0);
    let double = |l: u128| l << 1 ^ if l >> 127 == 1 { 0x87 } else { 0 };
    let k1 = double(Aes128::new(key).encrypt(0));
    let k2 = double(k1);
    let start = message.len() - 16;
    for (octet, subkey) in message[start..].iter_mut().zip((k1 ^ k2).to_be_bytes()) {
        *octet ^= subkey;
    }
    cmac(&cmac_key(key), &[], &message)
}
