//! Octet strings written as hexadecimal digits, open and secret.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::direct::OCTETS;

/// `N` octets as `2 N` hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Octets<const N: usize>(pub [u8; N]);

impl<const N: usize> fmt::Display for Octets<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl<const N: usize> fmt::Debug for Octets<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<const N: usize> FromStr for Octets<N> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        read(text).map(Self)
    }
}

impl<const N: usize> Serialize for Octets<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(OCTETS, &Form(&self.0))
    }
}

impl<'de, const N: usize> Deserialize<'de> for Octets<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(OCTETS, FormVisitor).map(Self)
    }
}

/// [`Octets`] that are a key or lead to one: not in `Debug`, zeroed when dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Secret<const N: usize>([u8; N]);

impl<const N: usize> Secret<N> {
    /// Takes the octets.
    pub const fn new(octets: [u8; N]) -> Self {
        Self(octets)
    }

    /// The octets.
    pub const fn expose(&self) -> &[u8; N] {
        &self.0
    }
}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl<const N: usize> Serialize for Secret<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(OCTETS, &Form(&self.0))
    }
}

impl<'de, const N: usize> Deserialize<'de> for Secret<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(OCTETS, FormVisitor).map(Self)
    }
}

/// A text that is a secret, such as a subscriber's key in hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretText(String);

impl SecretText {
    /// Takes the text.
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(..)")
    }
}

/// Octets in base64, such as an EAP packet.
#[derive(Clone, PartialEq, Eq)]
pub struct Base64(pub Vec<u8>);

impl fmt::Debug for Base64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        tern_types::deserialize_text(deserializer, |text| {
            STANDARD.decode(text).map(Self).map_err(|_| "expected base64")
        })
    }
}

/// Octets as they are written: hexadecimal digits for readers of text, else themselves.
struct Form<'a>(&'a [u8]);

impl Serialize for Form<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&hex::encode(self.0))
        } else {
            serializer.serialize_bytes(self.0)
        }
    }
}

/// Reads what [`Form`] writes.
struct FormVisitor<const N: usize>;

impl<'de, const N: usize> Visitor<'de> for FormVisitor<N> {
    type Value = [u8; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        read(text).map_err(E::custom)
    }

    fn visit_bytes<E: de::Error>(self, octets: &[u8]) -> Result<Self::Value, E> {
        octets.try_into().map_err(|_| E::custom(expected::<N>()))
    }
}

fn expected<const N: usize>() -> String {
    format!("expected {} hexadecimal digits", 2 * N)
}

fn read<const N: usize>(text: &str) -> Result<[u8; N], String> {
    let mut octets = [0; N];
    match hex::decode_to_slice(text, &mut octets) {
        Ok(()) => Ok(octets),
        Err(_) => Err(expected::<N>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_written_but_not_shown() {
        let secret: Secret<2> = serde_json::from_str("\"00fF\"").unwrap();
        assert_eq!(secret.expose(), &[0, 255]);
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"00ff\"");
        assert_eq!(format!("{secret:?} {:?}", SecretText::new("k".into())), "Secret(..) SecretText(..)");
        assert!(serde_json::from_str::<Secret<2>>("\"00f\"").is_err());
    }

    #[test]
    fn base64_travels_both_ways() {
        let octets: Base64 = serde_json::from_str("\"AwUABA==\"").unwrap();
        assert_eq!(octets.0, [3, 5, 0, 4]);
        assert_eq!(serde_json::to_string(&octets).unwrap(), "\"AwUABA==\"");
        assert!(serde_json::from_str::<Base64>("\"AwUABA\"").is_err());
    }
}
