//! EAP-AKA' (RFC 9048, TS 33.501 §6.1.3.1): keys, the home network's vector and the MAC of packets.

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use crate::aka::{Autn, Usim, UsimRefusal, challenge};
use crate::authentication::AuthenticationFunctions;
use crate::kdf::ck_ik_prime;
use crate::keys::{CkPrime, Emsk, IkPrime, KAusf, KAut, KEncr, KRe, Msk};
use crate::sqn::Sqn;

/// Octets of the keys that MK holds, in its order: K_encr, K_aut, K_re, MSK, EMSK.
const MK_OCTETS: usize = 16 + 32 + 32 + 64 + 64;

/// The UDM's vector for one authentication by EAP-AKA'.
#[derive(Clone, Debug)]
pub struct EapAkaPrimeVector {
    /// RAND.
    pub rand: [u8; 16],
    /// AUTN.
    pub autn: Autn,
    /// XRES, 4 to 16 octets.
    pub xres: Zeroizing<Vec<u8>>,
    /// CK'.
    pub ck_prime: CkPrime,
    /// IK'.
    pub ik_prime: IkPrime,
}

impl EapAkaPrimeVector {
    /// The vector for `sqn`, which must never have been used before. `network` is the serving network
    /// name, `amf` has its separation bit set.
    #[must_use]
    pub fn generate(
        functions: &AuthenticationFunctions,
        sqn: Sqn,
        amf: [u8; 2],
        rand: [u8; 16],
        network: &str,
    ) -> Self {
        let (autn, outputs) = challenge(functions, sqn, amf, &rand);
        let (ck_prime, ik_prime) = ck_ik_prime(&outputs.ck, &outputs.ik, network, &autn.concealed_sqn());
        Self { rand, autn, xres: outputs.res, ck_prime, ik_prime }
    }
}

/// What the UE answers and keeps after a challenge of EAP-AKA'.
#[derive(Clone, Debug)]
pub struct EapAkaPrimeAnswer {
    /// RES.
    pub res: Zeroizing<Vec<u8>>,
    /// CK'.
    pub ck_prime: CkPrime,
    /// IK'.
    pub ik_prime: IkPrime,
}

impl Usim {
    /// Answers a challenge of EAP-AKA' (TS 33.501 §6.1.3.1 step 6).
    ///
    /// # Errors
    /// The refusal that the UE reports in its EAP response.
    pub fn authenticate_eap(
        &mut self,
        rand: &[u8; 16],
        autn: &Autn,
        network: &str,
    ) -> Result<EapAkaPrimeAnswer, UsimRefusal> {
        let outputs = self.check(rand, autn)?;
        let (ck_prime, ik_prime) = ck_ik_prime(&outputs.ck, &outputs.ik, network, &autn.concealed_sqn());
        Ok(EapAkaPrimeAnswer { res: outputs.res, ck_prime, ik_prime })
    }
}

/// The keys of one full authentication (RFC 9048 §3.3).
#[derive(Clone, Debug)]
pub struct EapAkaPrimeKeys {
    /// K_encr: ciphers AT_ENCR_DATA.
    pub k_encr: KEncr,
    /// K_aut: makes AT_MAC.
    pub k_aut: KAut,
    /// K_re: for fast re-authentication.
    pub k_re: KRe,
    /// MSK.
    pub msk: Msk,
    /// EMSK.
    pub emsk: Emsk,
}

impl EapAkaPrimeKeys {
    /// From CK', IK' and the peer's identity, which in 5G is the IMSI's digits (RFC 9048 §5.3).
    #[must_use]
    pub fn derive(ck_prime: &CkPrime, ik_prime: &IkPrime, identity: &str) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        key[..16].copy_from_slice(ik_prime.as_bytes());
        key[16..].copy_from_slice(ck_prime.as_bytes());
        let mk = prf_prime(&*key, &[b"EAP-AKA'", identity.as_bytes()]);
        let (k_encr, rest) = split(&*mk);
        let (k_aut, rest) = split(rest);
        let (k_re, rest) = split(rest);
        let (msk, rest) = split(rest);
        let (emsk, _) = split(rest);
        Self {
            k_encr: KEncr::from(k_encr),
            k_aut: KAut::from(k_aut),
            k_re: KRe::from(k_re),
            msk: Msk::from(msk),
            emsk: Emsk::from(emsk),
        }
    }

    /// K_AUSF: the most significant 256 bits of EMSK (TS 33.501 §6.1.3.1).
    #[must_use]
    pub fn k_ausf(&self) -> KAusf {
        KAusf::from(split(self.emsk.as_bytes()).0)
    }
}

/// The MAC of an EAP packet in which AT_MAC's is zero: HMAC-SHA-256-128 (RFC 9048 §3.4.2).
#[must_use]
pub fn eap_mac(k_aut: &KAut, packet: &[u8]) -> [u8; 16] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, k_aut.as_bytes());
    split(hmac::sign(&key, packet).as_ref()).0
}

/// PRF' (RFC 9048 §3.4.1) as long as MK needs it.
fn prf_prime(key: &[u8], seed: &[&[u8]]) -> Zeroizing<[u8; MK_OCTETS]> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let mut out = Zeroizing::new([0; MK_OCTETS]);
    let mut before = Zeroizing::new(Vec::new());
    for (number, block) in (1u8..).zip(out.chunks_mut(32)) {
        let mut context = hmac::Context::with_key(&key);
        context.update(&before);
        for part in seed {
            context.update(part);
        }
        context.update(&[number]);
        *before = context.sign().as_ref().to_vec();
        block.copy_from_slice(&before[..block.len()]);
    }
    out
}

fn split<const N: usize>(octets: &[u8]) -> ([u8; N], &[u8]) {
    let (head, rest) = octets.split_first_chunk().expect("invariant: the lengths add up");
    (*head, rest)
}
