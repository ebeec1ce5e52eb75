//! The authentication functions f1 to f5* of TS 33.102 §6.3, by either
//! algorithm set.

use crate::keys::{Ck, Ik, SubscriberKey};
use crate::milenage::Milenage;
use crate::sqn::Sqn;
use crate::tuak::{Tuak, TuakParameters};
use zeroize::Zeroizing;

/// RES, CK, IK and AK of one RAND.
pub struct F2345 {
    /// RES, 4 to 32 octets.
    pub res: Zeroizing<Vec<u8>>,
    /// CK.
    pub ck: Ck,
    /// IK.
    pub ik: Ik,
    /// AK, the anonymity key.
    pub ak: [u8; 6],
}

/// A subscriber's keyed authentication functions: the same in UDM and USIM.
#[allow(clippy::large_enum_variant, reason = "not moved in numbers; saves an allocation a key")]
#[derive(Debug)]
pub enum AuthenticationFunctions {
    /// TS 35.206.
    Milenage(Milenage),
    /// TS 35.231, with the lengths that 5G has.
    Tuak(Tuak),
}

impl AuthenticationFunctions {
    /// Milenage from K and OPc.
    #[must_use]
    pub fn milenage(k: &[u8; 16], opc: &[u8; 16]) -> Self {
        Self::Milenage(Milenage::new(k, opc))
    }

    /// TUAK from K and TOPc with the default parameters.
    #[must_use]
    pub fn tuak(k: SubscriberKey, topc: [u8; 32]) -> Self {
        let tuak = Tuak::new(k, topc, TuakParameters::default());
        Self::Tuak(tuak.expect("invariant: the default parameters are valid"))
    }

    /// TUAK with an operator's parameters; `None` if MAC, CK or IK has a
    /// length that 5G has not.
    #[must_use]
    pub fn tuak_with(tuak: Tuak) -> Option<Self> {
        let p = tuak.parameters();
        ((p.mac, p.ck, p.ik) == (8, 16, 16)).then_some(Self::Tuak(tuak))
    }

    /// f1: MAC-A.
    #[must_use]
    pub fn f1(&self, rand: &[u8; 16], sqn: Sqn, amf: [u8; 2]) -> [u8; 8] {
        match self {
            Self::Milenage(milenage) => milenage.f1(rand, sqn, amf),
            Self::Tuak(tuak) => eight(&tuak.f1(rand, sqn, amf)),
        }
    }

    /// f1*: MAC-S.
    #[must_use]
    pub fn f1_star(&self, rand: &[u8; 16], sqn: Sqn, amf: [u8; 2]) -> [u8; 8] {
        match self {
            Self::Milenage(milenage) => milenage.f1_star(rand, sqn, amf),
            Self::Tuak(tuak) => eight(&tuak.f1_star(rand, sqn, amf)),
        }
    }

    /// f2 to f5.
    #[must_use]
    pub fn f2345(&self, rand: &[u8; 16]) -> F2345 {
        match self {
            Self::Milenage(milenage) => milenage.f2345(rand),
            Self::Tuak(tuak) => tuak.f2345(rand).expect("invariant: lengths checked at construction"),
        }
    }

    /// f5*: AK for resynchronisation.
    #[must_use]
    pub fn f5_star(&self, rand: &[u8; 16]) -> [u8; 6] {
        match self {
            Self::Milenage(milenage) => milenage.f5_star(rand),
            Self::Tuak(tuak) => tuak.f5_star(rand),
        }
    }
}

fn eight(mac: &[u8]) -> [u8; 8] {
    mac.try_into().expect("invariant: a MAC of 8 octets, checked at construction")
}
