//! Names of networks, tenants and endpoints, of which the names of namespaces are made.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// Octets of a name: what an interface's name may have (IFNAMSIZ less its end).
pub const NAME_MAX: usize = 15;

/// A small letter, then small letters, digits and `-`; at most [`NAME_MAX`] octets. No dot is in it, so
/// that names joined by dots can be taken apart again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Name(String);

/// Text that is no [`Name`].
#[derive(Debug, thiserror::Error)]
#[error(
    "expected a name: a small letter, then small letters, digits and `-`, at most {NAME_MAX}; found `{0}`"
)]
pub struct NotAName(String);

impl Name {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let begins = text.starts_with(|first: char| first.is_ascii_lowercase());
        let rest = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if begins && rest && text.len() <= NAME_MAX {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAName(text.chars().take(64).collect()))
        }
    }
}

impl TryFrom<String> for Name {
    type Error = NotAName;

    fn try_from(text: String) -> Result<Self, NotAName> {
        text.parse()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for text in ["ue", "a-1", "abcdefghijklmno"] {
            assert_eq!(text.parse::<Name>().unwrap().as_str(), text);
        }
        for text in ["", "1a", "-a", "A", "a.b", "a/b", "a b", "abcdefghijklmnop", "ü"] {
            assert!(text.parse::<Name>().is_err(), "{text}");
        }
    }
}
