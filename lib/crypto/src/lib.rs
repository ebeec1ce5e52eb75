//! All cryptography of a 5G core and of its UE: NAS ciphering and integrity,
//! the authentication functions, key derivation, 5G AKA, EAP-AKA' and the SUCI.
//!
//! Nothing here draws randomness or reads a clock: RAND, ephemeral keys and
//! sequence numbers are arguments. Keys are zeroed when dropped, compared in
//! constant time and never shown by `Debug`.

mod aes;
mod aka;
mod algorithm;
mod authentication;
mod eap_aka_prime;
mod kdf;
mod keccak;
mod keys;
mod milenage;
mod nea;
mod next_hop;
mod nia;
mod snow3g;
mod sqn;
mod suci;
mod tuak;

pub use aka::{
    AMF_5G, AuthenticationVector, Autn, Auts, AutsError, Usim, UsimAnswer, UsimRefusal, resynchronise,
};
pub use algorithm::{CipheringAlgorithm, Direction, IntegrityAlgorithm, UnknownAlgorithm};
pub use authentication::{AuthenticationFunctions, F2345};
pub use eap_aka_prime::{EapAkaPrimeAnswer, EapAkaPrimeKeys, EapAkaPrimeVector, eap_mac};
pub use kdf::{
    AccessType, ServingCell, amf_key_after_mobility, ck_ik_prime, gnb_key, hres_star, k_amf, k_ausf, k_seaf,
    nas_ciphering_key, nas_integrity_key, next_hop, ng_ran_star, res_star,
};
pub use keys::{
    Ck, CkPrime, Emsk, HresStar, Ik, IkPrime, KAmf, KAusf, KAut, KEncr, KGnb, KNasEnc, KNasInt, KRe, KSeaf,
    Msk, Nh, ResStar, SubscriberKey,
};
pub use milenage::Milenage;
pub use nea::{Ciphering, nea, nea_bits};
pub use next_hop::NextHopChain;
pub use nia::{Integrity, nia, nia_bits, nia_verify};
pub use sqn::{Sqn, SqnArray};
pub use suci::{
    HomeNetworkPrivateKey, HomeNetworkPublicKey, ProtectionScheme, SuciError, SuciProtection, bcd_digits,
    bcd_octets,
};
pub use tuak::{Tuak, TuakParameters};

/// Compares two octet strings in time that depends on their lengths alone.
#[must_use]
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    use subtle::ConstantTimeEq;
    a.ct_eq(b).into()
}
