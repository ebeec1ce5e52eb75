//! Who: nodes, sessions' users, data networks and slices.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tern_types::Snssai;

use crate::error::{DecodeError, Fault};
use crate::wire::{Cursor, Value};

/// Node ID (TS 29.244 §8.2.38).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeId {
    /// An IPv4 or IPv6 address.
    Address(IpAddr),
    /// A fully qualified domain name, without a dot at its end.
    Fqdn(String),
}

impl Default for NodeId {
    /// 0.0.0.0.
    fn default() -> Self {
        Self::Address(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Fqdn(name) => name.fmt(f),
        }
    }
}

impl Value for NodeId {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        match cursor.u8()? & 0x0F {
            0 => Ok(Self::Address(IpAddr::V4(read_v4(cursor)?))),
            1 => Ok(Self::Address(IpAddr::V6(read_v6(cursor)?))),
            2 => {
                let octets = cursor.rest();
                let name = from_labels(octets).ok_or_else(|| cursor.error(Fault::Value))?;
                Ok(Self::Fqdn(name))
            }
            _ => Err(cursor.error(Fault::Value)),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Address(IpAddr::V4(address)) => {
                out.push(0);
                out.extend_from_slice(&address.octets());
            }
            Self::Address(IpAddr::V6(address)) => {
                out.push(1);
                out.extend_from_slice(&address.octets());
            }
            Self::Fqdn(name) => {
                out.push(2);
                put_labels(name, out);
            }
        }
    }
}

/// A name of labels: Network Instance (TS 29.244 §8.2.4) or APN/DNN (§8.2.117). Read both from
/// length-prefixed labels and from plain text, since peers send either; written as labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(pub String);

impl From<&str> for Name {
    fn from(name: &str) -> Self {
        Self(name.to_owned())
    }
}

impl Value for Name {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        let octets = cursor.rest();
        let name = from_labels(octets)
            .or_else(|| std::str::from_utf8(octets).ok().map(str::to_owned))
            .ok_or_else(|| cursor.error(Fault::Value))?;
        Ok(Self(name))
    }

    fn write(&self, out: &mut Vec<u8>) {
        put_labels(&self.0, out);
    }
}

macro_rules! octet_strings {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Vec<u8>);

        impl Value for $name {
            fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
                Ok(Self(cursor.rest().to_vec()))
            }

            fn write(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.0);
            }
        }
    )*};
}

octet_strings! {
    /// Application ID: an octet string that the operator chooses (TS 29.244 §8.2.6).
    ApplicationId;
    /// Predefined Rules Name, in Activate Predefined Rules (TS 29.244 §8.2.72) and Deactivate Predefined Rules
    /// (§8.2.73).
    PredefinedRulesName;
}

/// S-NSSAI (TS 29.244 §8.2.176): SST, then SD, which is FFFFFF if there is none.
impl Value for Snssai {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        let sst = cursor.u8()?;
        Ok(Self::new(sst, Some(cursor.u24()?)))
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(self.sst());
        out.extend_from_slice(&self.sd().unwrap_or(Self::NO_SD).to_be_bytes()[1..]);
    }
}

/// PDN Type (TS 29.244 §8.2.79).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PdnType {
    /// IPv4.
    #[default]
    Ipv4,
    /// IPv6.
    Ipv6,
    /// Both.
    Ipv4v6,
    /// Non-IP.
    NonIp,
    /// Ethernet.
    Ethernet,
}

impl Value for PdnType {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        Ok(match cursor.u8()? & 0x07 {
            1 => Self::Ipv4,
            2 => Self::Ipv6,
            3 => Self::Ipv4v6,
            4 => Self::NonIp,
            5 => Self::Ethernet,
            _ => return Err(cursor.error(Fault::Value)),
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(match self {
            Self::Ipv4 => 1,
            Self::Ipv6 => 2,
            Self::Ipv4v6 => 3,
            Self::NonIp => 4,
            Self::Ethernet => 5,
        });
    }
}

/// User ID (TS 29.244 §8.2.101): each part as its octets on the wire, without the length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserId {
    /// IMSI in TBCD digits.
    pub imsi: Option<Vec<u8>>,
    /// IMEI(SV) in TBCD digits.
    pub imei: Option<Vec<u8>>,
    /// MSISDN in TBCD digits.
    pub msisdn: Option<Vec<u8>>,
    /// Network access identifier.
    pub nai: Option<Vec<u8>>,
    /// SUPI, when it is not an IMSI.
    pub supi: Option<Vec<u8>>,
    /// GPSI, when it is not an MSISDN.
    pub gpsi: Option<Vec<u8>>,
    /// PEI, when it is not an IMEI.
    pub pei: Option<Vec<u8>>,
}

impl UserId {
    /// The user with this IMSI, given in decimal digits. Other characters are left out.
    pub fn from_imsi(digits: &str) -> Self {
        let nibbles: Vec<u8> = digits.bytes().filter(u8::is_ascii_digit).map(|digit| digit - b'0').collect();
        let tbcd =
            nibbles.chunks(2).map(|pair| pair.get(1).copied().unwrap_or(0x0F) << 4 | pair[0]).collect();
        Self { imsi: Some(tbcd), ..Self::default() }
    }

    /// The IMSI in decimal digits.
    pub fn imsi_digits(&self) -> Option<String> {
        let mut digits = String::new();
        for octet in self.imsi.as_deref()? {
            for nibble in [octet & 0x0F, octet >> 4] {
                digits.extend(char::from_digit(u32::from(nibble), 10));
            }
        }
        Some(digits)
    }

    fn parts(&self) -> [&Option<Vec<u8>>; 7] {
        [&self.imsi, &self.imei, &self.msisdn, &self.nai, &self.supi, &self.gpsi, &self.pei]
    }
}

impl Value for UserId {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        let flags = cursor.u8()?;
        let mut part = |bit: u8| {
            if flags & 1 << bit == 0 {
                return Ok(None);
            }
            let length = usize::from(cursor.u8()?);
            Ok(Some(cursor.take(length)?.to_vec()))
        };
        Ok(Self {
            imsi: part(0)?,
            imei: part(1)?,
            msisdn: part(2)?,
            nai: part(3)?,
            supi: part(4)?,
            gpsi: part(5)?,
            pei: part(6)?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        let flags_at = out.len();
        out.push(0);
        for (bit, part) in self.parts().into_iter().enumerate() {
            if let Some(octets) = part {
                let length = u8::try_from(octets.len()).unwrap_or(u8::MAX);
                out[flags_at] |= 1 << bit;
                out.push(length);
                out.extend_from_slice(&octets[..usize::from(length)]);
            }
        }
    }
}

pub(crate) fn read_v4(cursor: &mut Cursor<'_>) -> Result<Ipv4Addr, DecodeError> {
    cursor.array::<4>().map(Ipv4Addr::from)
}

pub(crate) fn read_v6(cursor: &mut Cursor<'_>) -> Result<Ipv6Addr, DecodeError> {
    cursor.array::<16>().map(Ipv6Addr::from)
}

fn is_label(octets: &[u8]) -> bool {
    (1..=63).contains(&octets.len()) && octets.iter().all(|octet| octet.is_ascii_graphic() && *octet != b'.')
}

/// Labels of 1 to 63 octets of visible ASCII that fill all octets; one empty label may end them.
fn from_labels(mut octets: &[u8]) -> Option<String> {
    let mut name = String::new();
    while let [length, rest @ ..] = octets {
        let length = usize::from(*length);
        if length == 0 {
            return (rest.is_empty() && !name.is_empty()).then_some(name);
        }
        let (label, rest) = rest.split_at_checked(length)?;
        if !is_label(label) {
            return None;
        }
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(std::str::from_utf8(label).ok()?);
        octets = rest;
    }
    (!name.is_empty()).then_some(name)
}

/// Writes labels; a name that is no sequence of labels is written as it is.
fn put_labels(name: &str, out: &mut Vec<u8>) {
    if name.split('.').all(|label| is_label(label.as_bytes())) {
        for label in name.split('.') {
            out.push(label.len() as u8);
            out.extend_from_slice(label.as_bytes());
        }
    } else {
        out.extend_from_slice(name.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_a_name_comes_as_labels_or_as_text_then_it_is_the_same() {
        for octets in [b"\x03ims\x04test".as_slice(), b"ims.test", b"\x03ims\x04test\x00"] {
            let name = Name::read(&mut Cursor::new(22, octets, 0)).unwrap_or_default();
            assert_eq!(name, Name::from("ims.test"));
        }
    }

    #[test]
    fn when_a_name_is_no_sequence_of_labels_then_it_stays_as_it_came() {
        for octets in [b"\x0a\x09\x00internet".as_slice(), b"\x03a b", b"ims..test"] {
            let name = Name::read(&mut Cursor::new(159, octets, 0)).unwrap_or_default();
            let mut written = Vec::new();
            name.write(&mut written);
            assert_eq!(written, octets);
        }
    }

    #[test]
    fn when_an_imsi_has_an_odd_number_of_digits_then_a_filler_ends_it() {
        let user = UserId::from_imsi("001010000000001");
        assert_eq!(user.imsi.as_deref(), Some(&[0, 1, 1, 0, 0, 0, 0, 0xF1][..]));
        assert_eq!(user.imsi_digits().as_deref(), Some("001010000000001"));
    }
}
