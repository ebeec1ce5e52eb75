//! Key types (TS 33.501 §6.2): zeroed on drop, hidden from `Debug`, compared
//! in constant time, hexadecimal when serialised.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

macro_rules! secrets {
    ($($(#[$doc:meta])* $name:ident [$length:literal];)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Zeroize, ZeroizeOnDrop)]
        pub struct $name([u8; $length]);

        impl $name {
            /// Length in octets.
            pub const LENGTH: usize = $length;

            /// The octets, most significant first.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; $length] {
                &self.0
            }

            /// From octets; `None` if their number is wrong.
            #[must_use]
            pub fn from_slice(octets: &[u8]) -> Option<Self> {
                octets.try_into().ok().map(Self)
            }
        }

        impl From<[u8; $length]> for $name {
            fn from(octets: [u8; $length]) -> Self {
                Self(octets)
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                crate::equal(&self.0, &other.0)
            }
        }

        impl Eq for $name {}

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let text = Zeroizing::new(hex::encode(self.0));
                serializer.serialize_str(&text)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Zeroizing::new(String::deserialize(deserializer)?);
                let mut octets = Zeroizing::new([0; $length]);
                hex::decode_to_slice(text.as_bytes(), octets.as_mut_slice()).map_err(|_| {
                    D::Error::custom(concat!(stringify!($name), ": not ", $length, " hexadecimal octets"))
                })?;
                Ok(Self(*octets))
            }
        }
    )*};
}

secrets! {
    /// CK, the cipher key of UMTS AKA.
    Ck[16];
    /// IK, the integrity key of UMTS AKA.
    Ik[16];
    /// CK', bound to the serving network.
    CkPrime[16];
    /// IK', bound to the serving network.
    IkPrime[16];
    /// K_encr of EAP-AKA'.
    KEncr[16];
    /// K_aut of EAP-AKA'.
    KAut[32];
    /// K_re of EAP-AKA'.
    KRe[32];
    /// MSK, the master session key of EAP.
    Msk[64];
    /// EMSK, the extended master session key of EAP.
    Emsk[64];
    /// K_AUSF, kept by the AUSF and the UE.
    KAusf[32];
    /// K_SEAF, the anchor key.
    KSeaf[32];
    /// K_AMF.
    KAmf[32];
    /// K_gNB, also K_NG-RAN* after a handover.
    KGnb[32];
    /// NH, the next hop parameter.
    Nh[32];
    /// K_NASenc.
    KNasEnc[16];
    /// K_NASint.
    KNasInt[16];
    /// RES* or XRES*: compared in constant time, else no secret for long.
    ResStar[16];
    /// HRES* or HXRES*.
    HresStar[16];
}

/// A subscriber's long-term key K: 128 or 256 bits (TS 33.501 §6.1.1.1).
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub enum SubscriberKey {
    /// Milenage, or TUAK with the short key.
    Bits128([u8; 16]),
    /// TUAK alone.
    Bits256([u8; 32]),
}

impl SubscriberKey {
    /// From 16 or 32 octets.
    #[must_use]
    pub fn from_slice(octets: &[u8]) -> Option<Self> {
        match octets.len() {
            16 => octets.try_into().ok().map(Self::Bits128),
            32 => octets.try_into().ok().map(Self::Bits256),
            _ => None,
        }
    }

    /// The octets.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Bits128(octets) => octets,
            Self::Bits256(octets) => octets,
        }
    }
}

impl fmt::Debug for SubscriberKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubscriberKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_hidden_and_serialises_as_hexadecimal() {
        let key = KNasInt::from([0xab; 16]);
        assert_eq!(format!("{key:?}"), "KNasInt(..)");
        let text = serde_json::to_string(&key).expect("serialises");
        assert_eq!(text, format!("\"{}\"", "ab".repeat(16)));
        assert_eq!(serde_json::from_str::<KNasInt>(&text).expect("is a key"), key);
        assert!(serde_json::from_str::<KNasInt>("\"abab\"").is_err());
        assert_ne!(key, KNasInt::from([0xac; 16]));
    }
}
