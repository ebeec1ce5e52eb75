//! Key derivation: TS 33.220 §B.2 with the inputs of TS 33.501 annex A.

use crate::algorithm::{CipheringAlgorithm, Direction, IntegrityAlgorithm};
use crate::keys::{
    Ck, CkPrime, HresStar, Ik, IkPrime, KAmf, KAusf, KGnb, KNasEnc, KNasInt, KSeaf, Nh, ResStar,
};
use aws_lc_rs::{digest, hmac};
use zeroize::Zeroizing;

/// CK' and IK' (TS 33.501 §A.3). `network` is the serving network name, `concealed_sqn` is SQN + AK.
#[must_use]
pub fn ck_ik_prime(ck: &Ck, ik: &Ik, network: &str, concealed_sqn: &[u8; 6]) -> (CkPrime, IkPrime) {
    let both = kdf(&*ck_ik(ck, ik), 0x20, &[network.as_bytes(), concealed_sqn]);
    let half = |from: usize| std::array::from_fn(|i| both[from + i]);
    (CkPrime::from(half(0)), IkPrime::from(half(16)))
}

/// K_AUSF of 5G AKA (TS 33.501 §A.2). `network` is the serving network name,
/// `concealed_sqn` is SQN + AK.
#[must_use]
pub fn k_ausf(ck: &Ck, ik: &Ik, network: &str, concealed_sqn: &[u8; 6]) -> KAusf {
    KAusf::from(*kdf(&*ck_ik(ck, ik), 0x6a, &[network.as_bytes(), concealed_sqn]))
}

/// RES* or XRES* (TS 33.501 §A.4).
#[must_use]
pub fn res_star(ck: &Ck, ik: &Ik, network: &str, rand: &[u8; 16], res: &[u8]) -> ResStar {
    ResStar::from(low(&kdf(&*ck_ik(ck, ik), 0x6b, &[network.as_bytes(), rand, res])))
}

/// HRES* or HXRES* (TS 33.501 §A.5).
#[must_use]
pub fn hres_star(rand: &[u8; 16], res_star: &ResStar) -> HresStar {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(rand);
    context.update(res_star.as_bytes());
    let hash = context.finish();
    HresStar::from_slice(&hash.as_ref()[16..]).expect("invariant: SHA-256 has 32 octets")
}

/// K_SEAF (TS 33.501 §A.6).
#[must_use]
pub fn k_seaf(k_ausf: &KAusf, network: &str) -> KSeaf {
    KSeaf::from(*kdf(k_ausf.as_bytes(), 0x6c, &[network.as_bytes()]))
}

/// K_AMF (TS 33.501 §A.7). `supi` is the IMSI's digits or the NAI, with or
/// without the prefix `imsi-` or `nai-` of the service-based interfaces.
#[must_use]
pub fn k_amf(k_seaf: &KSeaf, supi: &str, abba: &[u8]) -> KAmf {
    let identity = ["imsi-", "nai-", "gci-", "gli-"].iter().find_map(|p| supi.strip_prefix(p));
    let identity = identity.unwrap_or(supi);
    KAmf::from(*kdf(k_seaf.as_bytes(), 0x6d, &[identity.as_bytes(), abba]))
}

/// K_NASenc (TS 33.501 §A.8).
#[must_use]
pub fn nas_ciphering_key(k_amf: &KAmf, algorithm: CipheringAlgorithm) -> KNasEnc {
    KNasEnc::from(low(&kdf(k_amf.as_bytes(), 0x69, &[&[0x01], &[algorithm.code()]])))
}

/// K_NASint (TS 33.501 §A.8).
#[must_use]
pub fn nas_integrity_key(k_amf: &KAmf, algorithm: IntegrityAlgorithm) -> KNasInt {
    KNasInt::from(low(&kdf(k_amf.as_bytes(), 0x69, &[&[0x02], &[algorithm.code()]])))
}

/// Access type distinguisher (TS 33.501 §A.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum AccessType {
    /// 3GPP access: the key is K_gNB.
    ThreeGpp = 1,
    /// Non-3GPP access: the key is K_N3IWF, K_TNGF, …
    NonThreeGpp = 2,
}

/// K_gNB (TS 33.501 §A.9) of the uplink NAS COUNT.
#[must_use]
pub fn gnb_key(k_amf: &KAmf, uplink_count: u32, access: AccessType) -> KGnb {
    let parameters: [&[u8]; 2] = [&uplink_count.to_be_bytes(), &[access as u8]];
    KGnb::from(*kdf(k_amf.as_bytes(), 0x6e, &parameters))
}

/// NH (TS 33.501 §A.10). `sync` is K_gNB for the first, then the previous NH.
#[must_use]
pub fn next_hop(k_amf: &KAmf, sync: &[u8; 32]) -> Nh {
    Nh::from(*kdf(k_amf.as_bytes(), 0x6f, &[sync]))
}

/// The target cell of a handover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServingCell {
    /// Physical cell identity.
    pub pci: u16,
    /// ARFCN-DL; only 24 bits count.
    pub arfcn_dl: u32,
}

/// K_NG-RAN* for a target gNB (TS 33.501 §A.11) from K_gNB or NH.
#[must_use]
pub fn ng_ran_star(key: &[u8; 32], target: ServingCell) -> KGnb {
    let arfcn = target.arfcn_dl.to_be_bytes();
    KGnb::from(*kdf(key, 0x70, &[&target.pci.to_be_bytes(), &arfcn[1..]]))
}

/// K_AMF' at a change of AMF (TS 33.501 §A.13).
#[must_use]
pub fn amf_key_after_mobility(k_amf: &KAmf, direction: Direction, count: u32) -> KAmf {
    let parameters: [&[u8]; 2] = [&[direction.bit()], &count.to_be_bytes()];
    KAmf::from(*kdf(k_amf.as_bytes(), 0x72, &parameters))
}

/// The generic function: HMAC-SHA-256 over FC and each parameter with its
/// length (TS 33.220 §B.2.0).
fn kdf(key: &[u8], fc: u8, parameters: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let mut context = hmac::Context::with_key(&key);
    context.update(&[fc]);
    for parameter in parameters {
        // No parameter here comes near 65536 octets; a longer one is cut.
        let parameter = &parameter[..parameter.len().min(usize::from(u16::MAX))];
        context.update(parameter);
        context.update(&(parameter.len() as u16).to_be_bytes());
    }
    let tag = context.sign();
    let mut out = Zeroizing::new([0; 32]);
    out.copy_from_slice(tag.as_ref());
    out
}

fn ck_ik(ck: &Ck, ik: &Ik) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    key[..16].copy_from_slice(ck.as_bytes());
    key[16..].copy_from_slice(ik.as_bytes());
    key
}

/// The 128 least significant bits.
fn low(key: &[u8; 32]) -> [u8; 16] {
    std::array::from_fn(|i| key[16 + i])
}
