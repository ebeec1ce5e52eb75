//! AES-128 by aws-lc: single blocks, and counter mode with a given first block.

use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;

const ACCEPTED: &str = "invariant: aws-lc takes a 16-octet AES key and whole blocks";

/// An expanded AES-128 key for single blocks. Zeroed on drop by aws-lc.
pub(crate) struct Aes128(EncryptingKey);

impl Aes128 {
    pub(crate) fn new(key: &[u8; 16]) -> Self {
        let key = UnboundCipherKey::new(&AES_128, key).expect(ACCEPTED);
        Self(EncryptingKey::ecb(key).expect(ACCEPTED))
    }

    /// Encrypts one block.
    pub(crate) fn encrypt(&self, block: u128) -> u128 {
        let mut octets = block.to_be_bytes();
        self.0.less_safe_encrypt(&mut octets, EncryptionContext::None).expect(ACCEPTED);
        u128::from_be_bytes(octets)
    }

    /// Counter mode where only the low 32 bits count, modulo 2^32 (NIST SP
    /// 800-38A §B.1 with m = 32, as TS 33.501 §C.3.4 asks).
    pub(crate) fn counter_mode_32(&self, first: u128, data: &mut [u8]) {
        let mut counter = first as u32;
        for chunk in data.chunks_mut(16) {
            let block = (first & !u128::from(u32::MAX)) | u128::from(counter);
            for (octet, key) in chunk.iter_mut().zip(self.encrypt(block).to_be_bytes()) {
                *octet ^= key;
            }
            counter = counter.wrapping_add(1);
        }
    }
}

/// An expanded AES-128 key for counter mode.
pub(crate) struct Aes128Ctr(EncryptingKey);

impl Aes128Ctr {
    pub(crate) fn new(key: &[u8; 16]) -> Self {
        let key = UnboundCipherKey::new(&AES_128, key).expect(ACCEPTED);
        Self(EncryptingKey::ctr(key).expect(ACCEPTED))
    }

    /// Adds the keystream from counter block `first` on.
    pub(crate) fn apply(&self, first: &[u8; 16], data: &mut [u8]) {
        if data.is_empty() {
            return;
        }
        let context = EncryptionContext::Iv128(FixedLength::from(first));
        self.0.less_safe_encrypt(data, context).expect(ACCEPTED);
    }
}
