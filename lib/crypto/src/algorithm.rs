//! The names and code points of the NAS security algorithms (TS 24.501
//! §9.11.3.34, TS 33.501 §5.11).

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A code point or name that is none of NEA0 to NEA3 and NIA0 to NIA3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown security algorithm")]
pub struct UnknownAlgorithm;

/// DIRECTION of the algorithms' inputs (TS 33.501 annex D).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Direction {
    /// UE to network.
    Uplink = 0,
    /// Network to UE.
    Downlink = 1,
}

impl Direction {
    /// The bit that goes into the algorithms.
    #[must_use]
    pub const fn bit(self) -> u8 {
        self as u8
    }
}

macro_rules! algorithms {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $code:literal $text:literal $what:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[repr(u8)]
        pub enum $name {
            $(#[doc = $what] #[serde(rename = $text)] $variant = $code,)*
        }

        impl $name {
            /// Every algorithm, by code point.
            pub const ALL: [Self; 4] = [$(Self::$variant),*];

            /// The code point on the wire and in the key derivation.
            #[must_use]
            pub const fn code(self) -> u8 {
                self as u8
            }
        }

        impl TryFrom<u8> for $name {
            type Error = UnknownAlgorithm;
            fn try_from(code: u8) -> Result<Self, UnknownAlgorithm> {
                Self::ALL.get(usize::from(code)).copied().ok_or(UnknownAlgorithm)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $text,)* })
            }
        }

        impl FromStr for $name {
            type Err = UnknownAlgorithm;
            fn from_str(text: &str) -> Result<Self, UnknownAlgorithm> {
                match text {
                    $($text => Ok(Self::$variant),)*
                    _ => Err(UnknownAlgorithm),
                }
            }
        }
    };
}

algorithms! {
    /// A NAS ciphering algorithm.
    CipheringAlgorithm {
        Nea0 = 0 "NEA0" "Null ciphering.",
        Nea1 = 1 "NEA1" "128-NEA1, SNOW 3G.",
        Nea2 = 2 "NEA2" "128-NEA2, AES in counter mode.",
        Nea3 = 3 "NEA3" "128-NEA3, ZUC.",
    }
}

algorithms! {
    /// A NAS integrity algorithm.
    IntegrityAlgorithm {
        Nia0 = 0 "NIA0" "Null integrity: a MAC of zeros, emergency only.",
        Nia1 = 1 "NIA1" "128-NIA1, SNOW 3G.",
        Nia2 = 2 "NIA2" "128-NIA2, AES-CMAC.",
        Nia3 = 3 "NIA3" "128-NIA3, ZUC.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_go_both_ways() {
        for algorithm in CipheringAlgorithm::ALL {
            assert_eq!(CipheringAlgorithm::try_from(algorithm.code()), Ok(algorithm));
            assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
        }
        assert_eq!(IntegrityAlgorithm::try_from(4), Err(UnknownAlgorithm));
        assert_eq!(serde_json::to_string(&IntegrityAlgorithm::Nia2).expect("serialises"), "\"NIA2\"");
    }
}
