//! 5G AKA (TS 33.501 §6.1.3.2) and resynchronisation (TS 33.102 §6.3.5): the
//! home network's side and the USIM's.

use crate::authentication::{AuthenticationFunctions, F2345};
use crate::kdf;
use crate::keys::{KAusf, ResStar};
use crate::sqn::{Sqn, SqnArray};
use serde::{Deserialize, Serialize};

/// The authentication management field of 5G: the separation bit alone
/// (TS 33.102 annex H).
pub const AMF_5G: [u8; 2] = [0x80, 0x00];

/// AMF of a resynchronisation (TS 33.102 §6.3.3).
const AMF_RESYNCHRONISATION: [u8; 2] = [0, 0];

/// AUTN = SQN + AK, AMF, MAC-A (TS 33.102 §6.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Autn(pub [u8; 16]);

impl Autn {
    /// SQN + AK.
    #[must_use]
    pub fn concealed_sqn(&self) -> [u8; 6] {
        std::array::from_fn(|i| self.0[i])
    }

    /// The authentication management field.
    #[must_use]
    pub fn amf(&self) -> [u8; 2] {
        [self.0[6], self.0[7]]
    }

    /// MAC-A.
    #[must_use]
    pub fn mac(&self) -> [u8; 8] {
        std::array::from_fn(|i| self.0[8 + i])
    }
}

/// AUTS = SQN_MS + AK*, MAC-S (TS 33.102 §6.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Auts(pub [u8; 14]);

/// The UDM's vector for one authentication (5G HE AV).
#[derive(Clone, Debug)]
pub struct AuthenticationVector {
    /// RAND.
    pub rand: [u8; 16],
    /// AUTN.
    pub autn: Autn,
    /// XRES*.
    pub xres_star: ResStar,
    /// K_AUSF.
    pub k_ausf: KAusf,
}

impl AuthenticationVector {
    /// The vector for `sqn`, which must never have been used before. `network`
    /// is the serving network name, `amf` has its separation bit set in 5G.
    #[must_use]
    pub fn generate(
        functions: &AuthenticationFunctions,
        sqn: Sqn,
        amf: [u8; 2],
        rand: [u8; 16],
        network: &str,
    ) -> Self {
        let (autn, outputs) = challenge(functions, sqn, amf, &rand);
        let (ck, ik) = (&outputs.ck, &outputs.ik);
        Self {
            rand,
            autn,
            xres_star: kdf::res_star(ck, ik, network, &rand, &outputs.res),
            k_ausf: kdf::k_ausf(ck, ik, network, &autn.concealed_sqn()),
        }
    }
}

/// AUTN, and what RAND gives (TS 33.102 §6.3.2).
pub(crate) fn challenge(
    functions: &AuthenticationFunctions,
    sqn: Sqn,
    amf: [u8; 2],
    rand: &[u8; 16],
) -> (Autn, F2345) {
    let outputs = functions.f2345(rand);
    let mut autn = [0; 16];
    autn[..6].copy_from_slice(&xor(sqn.to_bytes(), outputs.ak));
    autn[6..8].copy_from_slice(&amf);
    autn[8..].copy_from_slice(&functions.f1(rand, sqn, amf));
    (Autn(autn), outputs)
}

/// AUTS was not made by this subscriber's USIM for this RAND.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("MAC-S of AUTS is wrong")]
pub struct AutsError;

/// Checks AUTS and gives SQN_MS (TS 33.102 §6.3.5).
///
/// # Errors
/// If MAC-S is not that of SQN_MS and `rand`.
pub fn resynchronise(
    functions: &AuthenticationFunctions,
    rand: &[u8; 16],
    auts: &Auts,
) -> Result<Sqn, AutsError> {
    let concealed: [u8; 6] = std::array::from_fn(|i| auts.0[i]);
    let sqn_ms = Sqn::from_bytes(xor(concealed, functions.f5_star(rand)));
    let mac = functions.f1_star(rand, sqn_ms, AMF_RESYNCHRONISATION);
    if crate::equal(&mac, &auts.0[6..]) { Ok(sqn_ms) } else { Err(AutsError) }
}

/// A USIM and the part of the ME that knows 5G AKA.
#[derive(Debug)]
pub struct Usim {
    functions: AuthenticationFunctions,
    /// The sequence numbers accepted so far.
    pub sqn: SqnArray,
}

/// What the UE answers and keeps after a challenge.
#[derive(Clone, Debug)]
pub struct UsimAnswer {
    /// RES*.
    pub res_star: ResStar,
    /// K_AUSF.
    pub k_ausf: KAusf,
}

/// Why the UE refuses a challenge (TS 24.501 §5.4.1.3.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsimRefusal {
    /// 5GMM cause #20.
    #[error("MAC failure")]
    MacFailure,
    /// 5GMM cause #26: the separation bit of AMF is 0.
    #[error("non-5G authentication unacceptable")]
    Non5gAuthentication,
    /// 5GMM cause #21, with AUTS.
    #[error("synch failure")]
    SynchFailure(Auts),
}

impl Usim {
    /// A USIM with its keys and what it has accepted before.
    #[must_use]
    pub fn new(functions: AuthenticationFunctions, sqn: SqnArray) -> Self {
        Self { functions, sqn }
    }

    /// Answers a challenge (TS 33.501 §6.1.3.2.0 step 7, TS 33.102 §6.3.3).
    ///
    /// # Errors
    /// The refusal that the UE reports in AUTHENTICATION FAILURE.
    pub fn authenticate(
        &mut self,
        rand: &[u8; 16],
        autn: &Autn,
        network: &str,
    ) -> Result<UsimAnswer, UsimRefusal> {
        let outputs = self.check(rand, autn)?;
        let (ck, ik) = (&outputs.ck, &outputs.ik);
        Ok(UsimAnswer {
            res_star: kdf::res_star(ck, ik, network, rand, &outputs.res),
            k_ausf: kdf::k_ausf(ck, ik, network, &autn.concealed_sqn()),
        })
    }

    /// Whether a challenge is the home network's, and fresh: then what RAND gives.
    pub(crate) fn check(&mut self, rand: &[u8; 16], autn: &Autn) -> Result<F2345, UsimRefusal> {
        let outputs = self.functions.f2345(rand);
        let sqn = Sqn::from_bytes(xor(autn.concealed_sqn(), outputs.ak));
        if !crate::equal(&self.functions.f1(rand, sqn, autn.amf()), &autn.mac()) {
            return Err(UsimRefusal::MacFailure);
        }
        if autn.amf()[0] & 0x80 == 0 {
            return Err(UsimRefusal::Non5gAuthentication);
        }
        if !self.sqn.accept(sqn) {
            return Err(UsimRefusal::SynchFailure(self.auts(rand)));
        }
        Ok(outputs)
    }

    fn auts(&self, rand: &[u8; 16]) -> Auts {
        let sqn_ms = self.sqn.sqn_ms();
        let mut auts = [0; 14];
        auts[..6].copy_from_slice(&xor(sqn_ms.to_bytes(), self.functions.f5_star(rand)));
        auts[6..].copy_from_slice(&self.functions.f1_star(rand, sqn_ms, AMF_RESYNCHRONISATION));
        Auts(auts)
    }
}

fn xor(a: [u8; 6], b: [u8; 6]) -> [u8; 6] {
    std::array::from_fn(|i| a[i] ^ b[i])
}
