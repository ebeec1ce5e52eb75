//! What every part of tern names the same way: identities (TS 23.003), time, randomness.
//!
//! All types are plain serialisable values. Their `serde` form is the one of the SBI data
//! types of TS 29.571, so that a model can hold them directly.

mod gnb;
mod guti;
mod identity;
mod ipv4;
mod ipv6;
mod nssai;
mod plmn;
mod qos;
mod random;
mod time;

pub use gnb::{GlobalGnbId, GnbId};
pub use guti::{AmfId, Guami, Guti5g, STmsi5g};
pub use identity::{Dnn, Imei, PduSessionId, Supi};
pub use ipv4::{Ipv4Network, Ipv4Prefix};
pub use ipv6::{Ipv6Network, Ipv6Prefix};
pub use nssai::Snssai;
pub use plmn::{PlmnId, ServiceArea, Tac, Tai};
pub use qos::{Ambr, Arp, BitRate, PreemptionCapability, PreemptionVulnerability, Qfi};
pub use random::Random;
pub use time::{Duration, Instant, Timer};

/// A text that is not the identity it was said to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: expected {expected}, got {got:?}")]
pub struct ParseError {
    /// The type that was to be read.
    pub what: &'static str,
    /// What its text looks like.
    pub expected: &'static str,
    /// The text, cut to 64 characters.
    pub got: String,
}

impl ParseError {
    pub(crate) fn new(what: &'static str, expected: &'static str, got: &str) -> Self {
        Self { what, expected, got: got.chars().take(64).collect() }
    }
}

/// Reads a text, which is not copied, as what `read` makes of it.
pub fn deserialize_text<'de, D, T, E>(
    deserializer: D,
    read: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    E: std::fmt::Display,
{
    struct Text<F>(F);

    impl<T, E: std::fmt::Display, F: FnOnce(&str) -> Result<T, E>> serde::de::Visitor<'_> for Text<F> {
        type Value = T;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a string")
        }

        fn visit_str<D: serde::de::Error>(self, text: &str) -> Result<T, D> {
            (self.0)(text).map_err(D::custom)
        }
    }
    deserializer.deserialize_str(Text(read))
}

/// Serialises a type as the text that its `Display` and `FromStr` agree on.
macro_rules! serde_as_text {
    ($type:ty) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::deserialize_text(deserializer, str::parse)
            }
        }
    };
}
pub(crate) use serde_as_text;
