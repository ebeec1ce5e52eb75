//! Concealment of the SUPI: the protection schemes of TS 33.501 annex C.

use crate::aes::Aes128;
use aws_lc_rs::agreement::{self, Algorithm, ECDH_P256, PrivateKey, UnparsedPublicKey, X25519};
use aws_lc_rs::{digest, hmac};
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

const MAC_LENGTH: usize = 8;
const COMPRESSED: usize = 33;
const UNCOMPRESSED: usize = 65;
/// The longest plaintext taken: a username of an NAI (RFC 7542 §2.2 has 253).
const PLAINTEXT_MAX: usize = 253;

/// Protection scheme identifier (TS 33.501 §C.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum ProtectionScheme {
    /// The identity in clear.
    #[serde(rename = "null")]
    Null = 0,
    /// X25519.
    #[serde(rename = "A")]
    ProfileA = 1,
    /// secp256r1.
    #[serde(rename = "B")]
    ProfileB = 2,
}

impl ProtectionScheme {
    /// The identifier on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl TryFrom<u8> for ProtectionScheme {
    type Error = SuciError;
    fn try_from(code: u8) -> Result<Self, SuciError> {
        match code {
            0 => Ok(Self::Null),
            1 => Ok(Self::ProfileA),
            2 => Ok(Self::ProfileB),
            _ => Err(SuciError::UnknownScheme),
        }
    }
}

/// Why a SUCI cannot be made or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SuciError {
    /// A protection scheme that is none of the three.
    #[error("unknown protection scheme")]
    UnknownScheme,
    /// No public key, or a scheme output shorter than its fixed parts or too long.
    #[error("wrong length of the scheme output")]
    Length,
    /// A public or private key that is none of the curve.
    #[error("invalid key")]
    Key,
    /// The MAC tag is wrong: another key, or a changed SUCI.
    #[error("MAC tag mismatch")]
    Mac,
    /// The plaintext is no string of BCD digits.
    #[error("not BCD digits")]
    Digits,
}

/// A home network's public key, as provisioned in a USIM.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HomeNetworkPublicKey {
    /// X25519.
    ProfileA([u8; 32]),
    /// secp256r1, SEC 1 compressed or uncompressed.
    ProfileB(Vec<u8>),
}

/// A home network's private key.
#[derive(Clone, Zeroize, ZeroizeOnDrop, PartialEq, Eq)]
pub enum HomeNetworkPrivateKey {
    /// X25519.
    ProfileA([u8; 32]),
    /// secp256r1, big-endian.
    ProfileB([u8; 32]),
}

impl fmt::Debug for HomeNetworkPrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ProfileA(_) => "ProfileA(..)",
            Self::ProfileB(_) => "ProfileB(..)",
        })
    }
}

impl HomeNetworkPublicKey {
    /// Conceals `plaintext`: ephemeral public key, ciphertext and MAC tag
    /// (TS 33.501 §C.3.2). `ephemeral` is 32 octets of fresh randomness.
    ///
    /// # Errors
    /// [`SuciError::Key`] if either key is none of the curve (draw `ephemeral`
    /// again: chance 2^-32 for profile B), [`SuciError::Length`] for a
    /// plaintext that is empty or too long.
    pub fn conceal(&self, ephemeral: &[u8; 32], plaintext: &[u8]) -> Result<Vec<u8>, SuciError> {
        if plaintext.is_empty() || plaintext.len() > PLAINTEXT_MAX {
            return Err(SuciError::Length);
        }
        let (algorithm, theirs) = match self {
            Self::ProfileA(key) => (&X25519, key.as_slice()),
            Self::ProfileB(key) => (&ECDH_P256, sec1(key)?),
        };
        let private = PrivateKey::from_private_key(algorithm, ephemeral).map_err(|_| SuciError::Key)?;
        let mut output = public_octets(&private)?;
        let keys = agree(algorithm, &private, theirs, &output)?;
        let start = output.len();
        output.extend_from_slice(plaintext);
        keys.cipher(&mut output[start..]);
        let tag = keys.tag(&output[start..]);
        output.extend_from_slice(&tag);
        Ok(output)
    }
}

impl HomeNetworkPrivateKey {
    /// The scheme that the key serves.
    #[must_use]
    pub fn scheme(&self) -> ProtectionScheme {
        match self {
            Self::ProfileA(_) => ProtectionScheme::ProfileA,
            Self::ProfileB(_) => ProtectionScheme::ProfileB,
        }
    }

    /// The public key for the USIMs (profile B: compressed).
    ///
    /// # Errors
    /// If the octets are no private key of the curve.
    pub fn public_key(&self) -> Result<HomeNetworkPublicKey, SuciError> {
        let octets = public_octets(&self.import()?)?;
        Ok(match self {
            Self::ProfileA(_) => {
                HomeNetworkPublicKey::ProfileA(octets.try_into().map_err(|_| SuciError::Key)?)
            }
            Self::ProfileB(_) => HomeNetworkPublicKey::ProfileB(octets),
        })
    }

    /// Reads a scheme output (TS 33.501 §C.3.3). Profile B's ephemeral key
    /// may come uncompressed too, although the specification compresses it.
    ///
    /// # Errors
    /// What is wrong with the scheme output.
    pub fn deconceal(&self, scheme_output: &[u8]) -> Result<Zeroizing<Vec<u8>>, SuciError> {
        let key_length = match self {
            Self::ProfileA(_) => 32,
            Self::ProfileB(_) if scheme_output.first() == Some(&4) => UNCOMPRESSED,
            Self::ProfileB(_) => COMPRESSED,
        };
        let plaintext_length = scheme_output.len().saturating_sub(key_length + MAC_LENGTH);
        if plaintext_length == 0 || plaintext_length > PLAINTEXT_MAX {
            return Err(SuciError::Length);
        }
        let (theirs, rest) = scheme_output.split_at(key_length);
        let (ciphertext, tag) = rest.split_at(plaintext_length);
        let private = self.import()?;
        let point = if self.scheme() == ProtectionScheme::ProfileB { sec1(theirs)? } else { theirs };
        let keys = agree(self.algorithm(), &private, point, theirs)?;
        if !crate::equal(&keys.tag(ciphertext), tag) {
            return Err(SuciError::Mac);
        }
        let mut plaintext = Zeroizing::new(ciphertext.to_vec());
        keys.cipher(&mut plaintext);
        Ok(plaintext)
    }

    fn algorithm(&self) -> &'static Algorithm {
        match self {
            Self::ProfileA(_) => &X25519,
            Self::ProfileB(_) => &ECDH_P256,
        }
    }

    fn import(&self) -> Result<PrivateKey, SuciError> {
        let (Self::ProfileA(octets) | Self::ProfileB(octets)) = self;
        PrivateKey::from_private_key(self.algorithm(), octets).map_err(|_| SuciError::Key)
    }
}

/// How a UE protects its SUPI, as its USIM says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuciProtection {
    /// Home network public key identifier, 0 for the null scheme.
    pub hn_key_id: u8,
    /// `None` is the null scheme.
    pub public_key: Option<HomeNetworkPublicKey>,
}

impl SuciProtection {
    /// The null scheme.
    pub const NULL: Self = Self { hn_key_id: 0, public_key: None };

    /// The protection scheme.
    #[must_use]
    pub fn scheme(&self) -> ProtectionScheme {
        match self.public_key {
            None => ProtectionScheme::Null,
            Some(HomeNetworkPublicKey::ProfileA(_)) => ProtectionScheme::ProfileA,
            Some(HomeNetworkPublicKey::ProfileB(_)) => ProtectionScheme::ProfileB,
        }
    }

    /// The scheme output for an MSIN, as it travels in the 5GS mobile
    /// identity (TS 24.501 §9.11.3.4). The null scheme ignores `ephemeral`.
    ///
    /// # Errors
    /// If `msin` is no string of digits or a key is invalid.
    pub fn conceal_msin(&self, ephemeral: &[u8; 32], msin: &str) -> Result<Vec<u8>, SuciError> {
        let plaintext = bcd_octets(msin)?;
        match &self.public_key {
            None => Ok(plaintext),
            Some(key) => key.conceal(ephemeral, &plaintext),
        }
    }
}

/// Digits as BCD octets, the first digit in the low half, filled with 1111.
///
/// # Errors
/// If `digits` is empty, longer than 15 or holds anything but digits.
pub fn bcd_octets(digits: &str) -> Result<Vec<u8>, SuciError> {
    let digits = digits.as_bytes();
    if digits.is_empty() || digits.len() > 15 || !digits.iter().all(u8::is_ascii_digit) {
        return Err(SuciError::Digits);
    }
    let pair = |pair: &[u8]| (pair[0] - b'0') | pair.get(1).map_or(0xf0, |high| (high - b'0') << 4);
    Ok(digits.chunks(2).map(pair).collect())
}

/// The digits of BCD octets; a filler may stand in the last half octet alone.
///
/// # Errors
/// If a half octet is no digit, or there are more than 15.
pub fn bcd_digits(octets: &[u8]) -> Result<String, SuciError> {
    let mut digits = String::new();
    let halves = octets.iter().flat_map(|octet| [octet & 15, octet >> 4]);
    let count = octets.len() * 2;
    for (index, half) in halves.enumerate() {
        match half {
            0..=9 if digits.len() < 15 => digits.push(char::from(b'0' + half)),
            15 if index + 1 == count => {}
            _ => return Err(SuciError::Digits),
        }
    }
    if digits.is_empty() { Err(SuciError::Digits) } else { Ok(digits) }
}

/// The keys of one concealment (TS 33.501 §C.3.4.0).
struct KeyingData(Zeroizing<[u8; 64]>);

impl KeyingData {
    fn cipher(&self, data: &mut [u8]) {
        let key: Zeroizing<[u8; 16]> = Zeroizing::new(std::array::from_fn(|i| self.0[i]));
        let icb = u128::from_be_bytes(std::array::from_fn(|i| self.0[16 + i]));
        Aes128::new(&key).counter_mode_32(icb, data);
    }

    fn tag(&self, ciphertext: &[u8]) -> [u8; MAC_LENGTH] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0[32..]);
        let tag = hmac::sign(&key, ciphertext);
        std::array::from_fn(|i| tag.as_ref()[i])
    }
}

/// Key agreement and the ANSI X9.63 KDF (TS 33.501 §C.3.4); `shared_info` is
/// the ephemeral public key as it travels.
fn agree(
    algorithm: &'static Algorithm,
    private: &PrivateKey,
    theirs: &[u8],
    shared_info: &[u8],
) -> Result<KeyingData, SuciError> {
    let theirs = UnparsedPublicKey::new(algorithm, theirs);
    agreement::agree(private, theirs, SuciError::Key, |secret| {
        let mut keys = Zeroizing::new([0; 64]);
        for (counter, half) in (1u32..).zip(keys.chunks_mut(32)) {
            let mut context = digest::Context::new(&digest::SHA256);
            context.update(secret);
            context.update(&counter.to_be_bytes());
            context.update(shared_info);
            half.copy_from_slice(context.finish().as_ref());
        }
        Ok(KeyingData(keys))
    })
}

/// The public key as it travels: 32 octets, or a compressed point.
fn public_octets(private: &PrivateKey) -> Result<Vec<u8>, SuciError> {
    let public = private.compute_public_key().map_err(|_| SuciError::Key)?;
    let octets = public.as_ref();
    if octets.len() != UNCOMPRESSED {
        return Ok(octets.to_vec());
    }
    let mut compressed = octets[..COMPRESSED].to_vec();
    compressed[0] = 2 | octets[UNCOMPRESSED - 1] & 1;
    Ok(compressed)
}

/// Only SEC 1 points: aws-lc would also take other encodings of a key.
fn sec1(key: &[u8]) -> Result<&[u8], SuciError> {
    match (key.first(), key.len()) {
        (Some(2 | 3), COMPRESSED) | (Some(4), UNCOMPRESSED) => Ok(key),
        _ => Err(SuciError::Key),
    }
}
