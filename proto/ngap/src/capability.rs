//! UE security capabilities: NAS octets and NGAP bit strings.
//!
//! NAS octets begin at EA0/IA0 (TS 24.501 §9.11.3.54); NGAP's 16-bit strings begin at NEA1/NIA1
//! (TS 38.413 §9.3.1.86), all zero meaning that NEA0 alone is supported.

use oxirush_ngap::BitString;
use oxirush_ngap::ngap::{
    EUTRAencryptionAlgorithms, EUTRAintegrityProtectionAlgorithms, NRencryptionAlgorithms,
    NRintegrityProtectionAlgorithms, UESecurityCapabilities,
};
use serde::{Deserialize, Serialize};

/// The four octets of TS 24.501 §9.11.3.54; bit 8 of each is algorithm 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct SecurityCapability {
    /// 5G-EA0 to 5G-EA7.
    pub ea: u8,
    /// 5G-IA0 to 5G-IA7.
    pub ia: u8,
    /// EEA0 to EEA7; zero if the UE sent none.
    pub eea: u8,
    /// EIA0 to EIA7; zero if the UE sent none.
    pub eia: u8,
}

impl SecurityCapability {
    /// From the value of the NAS IE, of two octets or more; octets it has not are zero.
    pub fn from_nas(octets: &[u8]) -> Self {
        let octet = |at: usize| octets.get(at).copied().unwrap_or(0);
        Self { ea: octet(0), ia: octet(1), eea: octet(2), eia: octet(3) }
    }

    /// The NGAP IE (TS 38.413 §9.3.1.86).
    pub fn to_ngap(self) -> UESecurityCapabilities<'static> {
        // Algorithm 0 has no bit; spare bits of the NAS octet do not exist: all 8 are algorithms.
        let bits = |octet: u8| BitString::from([octet << 1, 0]);
        UESecurityCapabilities::new(
            NRencryptionAlgorithms(bits(self.ea)),
            NRintegrityProtectionAlgorithms(bits(self.ia)),
            EUTRAencryptionAlgorithms(bits(self.eea)),
            EUTRAintegrityProtectionAlgorithms(bits(self.eia)),
            None,
        )
    }

    /// What the NGAP IE says of algorithms 1 to 7; the bits of algorithm 0 are zero.
    pub fn from_ngap(ie: &UESecurityCapabilities<'_>) -> Self {
        let octet = |bits: &BitString<'_>| bits.as_octets().first().copied().unwrap_or(0) >> 1;
        Self {
            ea: octet(&ie.nr_encryption_algorithms.0),
            ia: octet(&ie.nr_integrity_protection_algorithms.0),
            eea: octet(&ie.eutra_encryption_algorithms.0),
            eia: octet(&ie.eutra_integrity_protection_algorithms.0),
        }
    }

    /// The same without the bits of algorithm 0, which NGAP does not carry.
    pub fn without_null(self) -> Self {
        Self { ea: self.ea & 0x7f, ia: self.ia & 0x7f, eea: self.eea & 0x7f, eia: self.eia & 0x7f }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_nas_octets_begin_at_ea0_then_ngap_bits_begin_at_nea1() {
        let nas = SecurityCapability::from_nas(&[0xf0, 0x70, 0xf0, 0x70]);
        let ie = nas.to_ngap();
        assert_eq!(ie.nr_encryption_algorithms.0.as_octets(), [0xe0, 0]);
        assert_eq!(ie.nr_integrity_protection_algorithms.0.as_octets(), [0xe0, 0]);
        assert_eq!(SecurityCapability::from_ngap(&ie), nas.without_null());
        let short = SecurityCapability::from_nas(&[0xe0, 0x60]).to_ngap();
        assert_eq!(short.eutra_encryption_algorithms.0.as_octets(), [0, 0]);
    }
}
