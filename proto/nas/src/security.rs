//! 5G NAS security (TS 24.501 §4.4, TS 33.501 §6.4), both sides.
//!
//! A [`NasSecurityContext`] is a plain value. COUNTs to send are reserved in blocks: whenever
//! [`NasSecurityContext::reserved`] has changed, the owner stores the context before the octets
//! leave; [`NasSecurityContext::resumed`] then continues after the block, so that no COUNT is ever
//! used twice. COUNTs received are strictly increasing: none is accepted twice.

use serde::{Deserialize, Serialize};
use tern_crypto::{
    AccessType, Ciphering, CipheringAlgorithm, Direction, Integrity, IntegrityAlgorithm, KAmf, KGnb, KNasEnc,
    KNasInt,
};

use crate::identity::NgKsi;

/// BEARER of 3GPP access: the NAS connection identifier 1 (TS 33.501 §6.4.2.2).
const BEARER: u8 = 1;

/// The greatest COUNT: 24 bits (TS 24.501 §4.4.3.1).
pub const COUNT_MAX: u32 = 0xff_ffff;

/// COUNTs reserved at once. A receiver estimates the overflow from 8 bits, so a block stays far
/// below 256.
pub const COUNT_BLOCK: u32 = 32;

/// COUNTs that must remain for a context not to be [`NasSecurityContext::nearly_exhausted`].
const COUNT_MARGIN: u32 = 4096;

/// Octets of a security header: EPD, header type, MAC, sequence number.
pub const HEADER_OCTETS: usize = 7;

const EPD_5GMM: u8 = 0x7e;

/// Security header type (TS 24.501 §9.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u8)]
pub enum HeaderType {
    /// Not protected.
    Plain = 0,
    /// Integrity protected.
    Integrity = 1,
    /// Integrity protected and ciphered.
    Ciphered = 2,
    /// Integrity protected with a new context: SECURITY MODE COMMAND.
    NewContext = 3,
    /// Integrity protected and ciphered with a new context: SECURITY MODE COMPLETE.
    CipheredNewContext = 4,
}

impl HeaderType {
    /// The header type of a received message; `None` for one that is not 5GMM, too short or of a
    /// reserved type.
    pub fn of(octets: &[u8]) -> Option<Self> {
        let (&epd, &second) = (octets.first()?, octets.get(1)?);
        if epd != EPD_5GMM {
            return None;
        }
        let kind = match second & 0xf {
            0 => return Some(Self::Plain),
            1 => Self::Integrity,
            2 => Self::Ciphered,
            3 => Self::NewContext,
            4 => Self::CipheredNewContext,
            _ => return None,
        };
        (octets.len() > HEADER_OCTETS).then_some(kind)
    }

    /// Whether the payload is ciphered.
    pub const fn ciphers(self) -> bool {
        matches!(self, Self::Ciphered | Self::CipheredNewContext)
    }
}

/// The plain message inside a protected one that is not ciphered, or inside one ciphered with
/// NEA0, without checking its MAC: for what may be processed without security (TS 24.501 §4.4.4).
pub fn payload_unverified(octets: &[u8]) -> Option<&[u8]> {
    match HeaderType::of(octets)? {
        HeaderType::Plain => Some(octets),
        _ => octets.get(HEADER_OCTETS..),
    }
}

/// Which end of the NAS connection holds a context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    /// Sends downlink.
    Amf,
    /// Sends uplink.
    Ue,
}

impl Side {
    const fn sends(self) -> Direction {
        match self {
            Self::Amf => Direction::Downlink,
            Self::Ue => Direction::Uplink,
        }
    }

    const fn receives(self) -> Direction {
        match self {
            Self::Amf => Direction::Uplink,
            Self::Ue => Direction::Downlink,
        }
    }
}

/// Why a message cannot be protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProtectError {
    /// Every COUNT is used: the context must not be used any longer (TS 24.501 §4.4.3.1).
    #[error("the NAS COUNT is exhausted")]
    CountExhausted,
    /// A header type that this side does not send, or no security header.
    #[error("this side does not send the security header type")]
    HeaderType,
}

/// Why a received message is discarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnprotectError {
    /// Not a security protected 5GMM message, or too short for one.
    #[error("not a security protected 5GMM message")]
    NotProtected,
    /// A header type that the other side does not send.
    #[error("the other side does not send the security header type")]
    HeaderType,
    /// The MAC is wrong: another key, a changed or a replayed message.
    #[error("the MAC does not verify, or the message was replayed")]
    Integrity,
    /// The COUNT would be beyond its 24 bits.
    #[error("the NAS COUNT is exhausted")]
    CountExhausted,
}

/// A message whose integrity is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unprotected {
    /// How it was protected.
    pub header: HeaderType,
    /// Its COUNT.
    pub count: u32,
    /// The plain message.
    pub plain: Vec<u8>,
}

/// A 5G NAS security context (TS 33.501 §6.3.2) of 3GPP access. Serialises with its keys.
#[derive(Clone, Serialize, Deserialize)]
pub struct NasSecurityContext {
    ksi: NgKsi,
    side: Side,
    k_amf: KAmf,
    ciphering: CipheringAlgorithm,
    integrity: IntegrityAlgorithm,
    k_nas_enc: KNasEnc,
    k_nas_int: KNasInt,
    /// COUNT of the next message sent.
    next: u32,
    /// COUNTs below it are reserved.
    reserved: u32,
    /// The smallest COUNT acceptable.
    expected: u32,
}

impl NasSecurityContext {
    /// A context that no message has used: both COUNTs are 0.
    pub fn new(
        side: Side,
        ksi: NgKsi,
        k_amf: KAmf,
        ciphering: CipheringAlgorithm,
        integrity: IntegrityAlgorithm,
    ) -> Self {
        let k_nas_enc = tern_crypto::nas_ciphering_key(&k_amf, ciphering);
        let k_nas_int = tern_crypto::nas_integrity_key(&k_amf, integrity);
        let (next, reserved, expected) = (0, 0, 0);
        Self { ksi, side, k_amf, ciphering, integrity, k_nas_enc, k_nas_int, next, reserved, expected }
    }

    /// The same K_AMF and COUNTs under other algorithms (TS 33.501 §6.7.1).
    pub fn with_algorithms(mut self, ciphering: CipheringAlgorithm, integrity: IntegrityAlgorithm) -> Self {
        self.k_nas_enc = tern_crypto::nas_ciphering_key(&self.k_amf, ciphering);
        self.k_nas_int = tern_crypto::nas_integrity_key(&self.k_amf, integrity);
        Self { ciphering, integrity, ..self }
    }

    /// The same keys as before a change that came to nothing, after what was sent and received meanwhile with
    /// `other`, of the same K_AMF.
    pub fn continuing(self, other: &Self) -> Self {
        let (next, reserved) = (self.next.max(other.next), self.reserved.max(other.reserved));
        Self { next, reserved, expected: self.expected.max(other.expected), ..self }
    }

    /// Continues after a restart: the rest of the reserved block is left unused.
    pub fn resumed(self) -> Self {
        Self { next: self.reserved, ..self }
    }

    /// Its key set identifier.
    pub fn ksi(&self) -> NgKsi {
        self.ksi
    }

    /// K_AMF.
    pub fn k_amf(&self) -> &KAmf {
        &self.k_amf
    }

    /// Ciphering algorithm.
    pub fn ciphering(&self) -> CipheringAlgorithm {
        self.ciphering
    }

    /// Integrity algorithm.
    pub fn integrity(&self) -> IntegrityAlgorithm {
        self.integrity
    }

    /// COUNT of the next message sent.
    pub fn next_count(&self) -> u32 {
        self.next
    }

    /// COUNTs to send below this one are reserved; when it changes the context must be stored
    /// before the message leaves.
    pub fn reserved(&self) -> u32 {
        self.reserved
    }

    /// COUNT of the latest message received, if any was.
    pub fn received_count(&self) -> Option<u32> {
        self.expected.checked_sub(1)
    }

    /// Whether a new authentication should run before a COUNT wraps around (TS 24.501 §4.4.3.5).
    pub fn nearly_exhausted(&self) -> bool {
        self.next.max(self.expected) > COUNT_MAX - COUNT_MARGIN
    }

    /// K_gNB of an uplink COUNT (TS 33.501 §6.8.1.1.2, §A.9).
    pub fn k_gnb(&self, uplink_count: u32) -> KGnb {
        tern_crypto::gnb_key(&self.k_amf, uplink_count, AccessType::ThreeGpp)
    }

    /// Protects a plain message under the next COUNT.
    pub fn protect(&mut self, plain: &[u8], header: HeaderType) -> Result<Vec<u8>, ProtectError> {
        match (header, self.side) {
            (HeaderType::Plain, _)
            | (HeaderType::NewContext, Side::Ue)
            | (HeaderType::CipheredNewContext, Side::Amf) => return Err(ProtectError::HeaderType),
            _ => {}
        }
        let count = self.next;
        if count > COUNT_MAX {
            return Err(ProtectError::CountExhausted);
        }
        self.next = count + 1;
        if self.next > self.reserved {
            self.reserved = (count + COUNT_BLOCK).min(COUNT_MAX + 1);
        }
        let mut octets = Vec::with_capacity(HEADER_OCTETS + plain.len());
        octets.extend([EPD_5GMM, header as u8, 0, 0, 0, 0, count as u8]);
        octets.extend_from_slice(plain);
        let direction = self.side.sends();
        if header.ciphers() {
            self.cipher().apply(count, BEARER, direction, &mut octets[HEADER_OCTETS..]);
        }
        let mac = self.mac().mac(count, BEARER, direction, &octets[HEADER_OCTETS - 1..]);
        octets[2..6].copy_from_slice(&mac);
        Ok(octets)
    }

    /// Verifies and deciphers a message, and moves the window beyond its COUNT.
    pub fn unprotect(&mut self, octets: &[u8]) -> Result<Unprotected, UnprotectError> {
        let header = HeaderType::of(octets).ok_or(UnprotectError::NotProtected)?;
        match (header, self.side) {
            (HeaderType::Plain, _) => return Err(UnprotectError::NotProtected),
            (HeaderType::NewContext, Side::Amf) | (HeaderType::CipheredNewContext, Side::Ue) => {
                return Err(UnprotectError::HeaderType);
            }
            _ => {}
        }
        let (&head, payload) =
            octets.split_first_chunk::<HEADER_OCTETS>().ok_or(UnprotectError::NotProtected)?;
        let [_, _, m1, m2, m3, m4, sequence] = head;
        let count = estimate(self.expected, sequence);
        if count > COUNT_MAX {
            return Err(UnprotectError::CountExhausted);
        }
        let direction = self.side.receives();
        let signed = &octets[HEADER_OCTETS - 1..];
        if !self.mac().verify(count, BEARER, direction, signed, [m1, m2, m3, m4]) {
            return Err(UnprotectError::Integrity);
        }
        self.expected = count + 1;
        let mut plain = payload.to_vec();
        if header.ciphers() {
            self.cipher().apply(count, BEARER, direction, &mut plain);
        }
        Ok(Unprotected { header, count, plain })
    }

    /// Ciphers the contents of the NAS message container of an initial message, to be sent as the
    /// next message with [`HeaderType::Integrity`] (TS 24.501 §4.4.6).
    pub fn cipher_container(&self, plain: &[u8]) -> Vec<u8> {
        let mut octets = plain.to_vec();
        self.cipher().apply(self.next, BEARER, self.side.sends(), &mut octets);
        octets
    }

    /// Deciphers the contents of the NAS message container of an initial message that came with
    /// `count` (TS 24.501 §4.4.6).
    pub fn decipher_container(&self, count: u32, octets: &[u8]) -> Vec<u8> {
        let mut plain = octets.to_vec();
        self.cipher().apply(count, BEARER, self.side.receives(), &mut plain);
        plain
    }

    fn cipher(&self) -> Ciphering {
        Ciphering::new(self.ciphering, self.k_nas_enc.as_bytes())
    }

    fn mac(&self) -> Integrity {
        Integrity::new(self.integrity, self.k_nas_int.as_bytes())
    }
}

impl std::fmt::Debug for NasSecurityContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NasSecurityContext")
            .field("ksi", &self.ksi)
            .field("side", &self.side)
            .field("ciphering", &self.ciphering)
            .field("integrity", &self.integrity)
            .field("next", &self.next)
            .field("expected", &self.expected)
            .finish_non_exhaustive()
    }
}

/// The smallest COUNT from `expected` on whose lowest octet is `sequence` (TS 24.501 §4.4.3.1).
fn estimate(expected: u32, sequence: u8) -> u32 {
    let count = (expected & !0xff) | u32::from(sequence);
    if count < expected { count + 0x100 } else { count }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pair(ciphering: CipheringAlgorithm, integrity: IntegrityAlgorithm) -> [NasSecurityContext; 2] {
        let new = |side| {
            let ksi = NgKsi::new(0).unwrap();
            NasSecurityContext::new(side, ksi, KAmf::from([7; 32]), ciphering, integrity)
        };
        [new(Side::Ue), new(Side::Amf)]
    }

    const PLAIN: &[u8] = &[0x7e, 0, 0x43];

    #[test]
    fn both_sides_understand_one_another_under_every_algorithm() {
        for ciphering in CipheringAlgorithm::ALL {
            for integrity in IntegrityAlgorithm::ALL {
                let [mut ue, mut amf] = pair(ciphering, integrity);
                let sent = ue.protect(PLAIN, HeaderType::CipheredNewContext).unwrap();
                let read = amf.unprotect(&sent).unwrap();
                assert_eq!((read.plain.as_slice(), read.count), (PLAIN, 0));
                let sent = amf.protect(PLAIN, HeaderType::Ciphered).unwrap();
                assert_eq!(ue.unprotect(&sent).unwrap().plain, PLAIN);
                let clear = ciphering == CipheringAlgorithm::Nea0;
                assert_eq!(sent[HEADER_OCTETS..] == *PLAIN, clear);
            }
        }
    }

    /// TS 24.501 §4.4.3.2.
    #[test]
    fn when_a_message_is_replayed_then_it_is_discarded() {
        let [mut ue, mut amf] = pair(CipheringAlgorithm::Nea2, IntegrityAlgorithm::Nia2);
        let first = ue.protect(PLAIN, HeaderType::Ciphered).unwrap();
        let second = ue.protect(PLAIN, HeaderType::Ciphered).unwrap();
        amf.unprotect(&second).unwrap();
        for replayed in [&first, &second] {
            assert_eq!(amf.unprotect(replayed), Err(UnprotectError::Integrity));
        }
        assert_eq!(amf.received_count(), Some(1));
    }

    #[test]
    fn when_a_mac_is_wrong_then_the_window_stays() {
        let [mut ue, mut amf] = pair(CipheringAlgorithm::Nea2, IntegrityAlgorithm::Nia2);
        let sent = ue.protect(PLAIN, HeaderType::Ciphered).unwrap();
        for bit in 0..sent.len() * 8 {
            let mut wrong = sent.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            // The EPD, the spare half octet and the header type are outside the MAC: the last
            // decides how the payload is read, which a receiver checks by the message.
            if bit >= 16 {
                assert_eq!(amf.unprotect(&wrong), Err(UnprotectError::Integrity), "bit {bit}");
            }
        }
        assert_eq!(amf.received_count(), None);
        amf.unprotect(&sent).unwrap();
    }

    #[test]
    fn the_overflow_is_estimated_from_the_sequence_number() {
        let [mut ue, mut amf] = pair(CipheringAlgorithm::Nea0, IntegrityAlgorithm::Nia2);
        for count in 0..1000u32 {
            let sent = ue.protect(PLAIN, HeaderType::Integrity).unwrap();
            if count % 200 == 0 || count == 999 {
                assert_eq!(amf.unprotect(&sent).unwrap().count, count);
            }
        }
        assert_eq!(estimate(0, 0), 0);
        assert_eq!(estimate(0x1ff, 0xfe), 0x2fe);
        assert_eq!(estimate(0x200, 0), 0x200);
    }

    /// TS 24.501 §4.4.3.1: beyond the last COUNT a context is not used.
    #[test]
    fn when_the_count_is_exhausted_then_nothing_is_sent() {
        let [mut ue, mut amf] = pair(CipheringAlgorithm::Nea2, IntegrityAlgorithm::Nia2);
        (ue.next, ue.reserved, amf.expected) = (COUNT_MAX, COUNT_MAX, COUNT_MAX);
        assert!(ue.nearly_exhausted());
        let last = ue.protect(PLAIN, HeaderType::Ciphered).unwrap();
        assert_eq!(amf.unprotect(&last).unwrap().count, COUNT_MAX);
        assert_eq!(ue.protect(PLAIN, HeaderType::Ciphered), Err(ProtectError::CountExhausted));
        assert_eq!(
            ue.clone().resumed().protect(PLAIN, HeaderType::Ciphered),
            Err(ProtectError::CountExhausted)
        );
        assert_eq!(amf.unprotect(&last), Err(UnprotectError::CountExhausted));
    }

    #[test]
    fn after_a_restart_no_count_is_used_twice() {
        let [_, mut amf] = pair(CipheringAlgorithm::Nea2, IntegrityAlgorithm::Nia2);
        let mut stored = serde_json::to_string(&amf).unwrap();
        let mut used = std::collections::BTreeSet::new();
        for round in 0..5 {
            for _ in 0..=round * 11 {
                let before = amf.reserved();
                assert!(used.insert(amf.next_count()));
                amf.protect(PLAIN, HeaderType::Ciphered).unwrap();
                assert!(amf.reserved() - amf.next_count() < COUNT_BLOCK);
                if amf.reserved() != before {
                    stored = serde_json::to_string(&amf).unwrap();
                }
            }
            amf = serde_json::from_str::<NasSecurityContext>(&stored).unwrap().resumed();
        }
    }

    #[test]
    fn containers_of_initial_messages_are_ciphered_under_the_count_of_their_message() {
        let [mut ue, mut amf] = pair(CipheringAlgorithm::Nea2, IntegrityAlgorithm::Nia2);
        ue.protect(PLAIN, HeaderType::Ciphered).unwrap();
        let container = ue.cipher_container(b"inner");
        assert_ne!(container, b"inner");
        let sent = ue.protect(&container, HeaderType::Integrity).unwrap();
        let read = amf.unprotect(&sent).unwrap();
        assert_eq!(amf.decipher_container(read.count, &read.plain), b"inner");
    }

    #[test]
    fn debug_shows_no_key() {
        let [ue, _] = pair(CipheringAlgorithm::Nea2, IntegrityAlgorithm::Nia2);
        assert!(!format!("{ue:?}").contains("0707"));
    }

    proptest! {
        #[test]
        fn no_octets_are_accepted_or_panic(octets in proptest::collection::vec(any::<u8>(), 0..80)) {
            let [_, mut amf] = pair(CipheringAlgorithm::Nea2, IntegrityAlgorithm::Nia2);
            prop_assert!(amf.unprotect(&octets).is_err());
            let _ = payload_unverified(&octets);
        }
    }
}
