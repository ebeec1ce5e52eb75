//! 5GS mobile identities (TS 24.501 §9.11.3.4) from and to [`tern_types`].

use std::fmt;

use oxirush_nas::nas_5gs::NasFGsMobileIdentity;
use serde::{Deserialize, Serialize};
use tern_types::{AmfId, Guami, Guti5g, Imei, PlmnId, STmsi5g};

use crate::{DecodeError, EncodeError};

const WHAT: &str = "5GS mobile identity";

/// Longest scheme output kept, in octets.
pub const SCHEME_OUTPUT_MAX: usize = 512;

/// A SUCI whose SUPI is an IMSI (TS 23.003 §2.2B). Text and `serde` form are those of the SBI
/// (TS 29.571): `suci-0-001-01-0000-0-0-0000000001`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Suci {
    /// Home network.
    pub plmn_id: PlmnId,
    /// 1 to 4 digits.
    pub routing_indicator: String,
    /// Protection scheme identifier, 0 to 15: 0 null, 1 profile A, 2 profile B.
    pub scheme: u8,
    /// Home network public key identifier.
    pub key_id: u8,
    /// The octets on the wire: the MSIN in BCD for the null scheme.
    pub scheme_output: Vec<u8>,
}

impl Suci {
    /// The MSIN's digits, if the scheme is null.
    pub fn msin(&self) -> Option<String> {
        if self.scheme != 0 {
            return None;
        }
        let mut digits = String::with_capacity(self.scheme_output.len() * 2);
        for (at, octet) in self.scheme_output.iter().enumerate() {
            for (half, nibble) in [octet & 0xf, octet >> 4].into_iter().enumerate() {
                let last = at + 1 == self.scheme_output.len() && half == 1;
                match nibble {
                    0..=9 => digits.push(char::from(b'0' + nibble)),
                    0xf if last => {}
                    _ => return None,
                }
            }
        }
        Some(digits)
    }

    /// An IMSI has at most 15 digits (TS 23.003 §2.2).
    fn fits(&self, msin: &str) -> bool {
        !msin.is_empty() && 3 + self.plmn_id.mnc().len() + msin.len() <= 15
    }

    fn to_octets(&self) -> Result<Vec<u8>, EncodeError> {
        let digits = self.routing_indicator.as_bytes();
        if !(1..=4).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
            return Err(EncodeError(format!("routing indicator {:?}", self.routing_indicator)));
        }
        let digit = |at: usize| digits.get(at).map_or(0xf, |d| d - b'0');
        let mut octets = vec![0x01];
        octets.extend(self.plmn_id.to_octets());
        octets.extend([digit(1) << 4 | digit(0), digit(3) << 4 | digit(2), self.scheme & 0xf, self.key_id]);
        octets.extend(&self.scheme_output);
        Ok(octets)
    }

    fn of_octets(octets: &[u8]) -> Result<Self, DecodeError> {
        let wrong = |detail: &str| DecodeError::value(WHAT, format_args!("SUCI: {detail}"));
        let Some((&[_, a, b, c, r1, r2, scheme, key_id], output)) = octets.split_first_chunk::<8>() else {
            return Err(wrong("fewer than 8 octets"));
        };
        if output.is_empty() || output.len() > SCHEME_OUTPUT_MAX {
            return Err(wrong("the length of its scheme output"));
        }
        let mut routing_indicator = String::with_capacity(4);
        let mut ended = false;
        for nibble in [r1 & 0xf, r1 >> 4, r2 & 0xf, r2 >> 4] {
            match nibble {
                0..=9 if !ended => routing_indicator.push(char::from(b'0' + nibble)),
                0xf => ended = true,
                _ => return Err(wrong("routing indicator")),
            }
        }
        if routing_indicator.is_empty() {
            // TS 24.501 Table 9.11.3.4.1: a UE without one codes 0 and pads the rest.
            return Err(wrong("no routing indicator"));
        }
        let plmn_id = PlmnId::from_octets([a, b, c]).map_err(|e| DecodeError::value(WHAT, e))?;
        let suci =
            Self { plmn_id, routing_indicator, scheme: scheme & 0xf, key_id, scheme_output: output.to_vec() };
        if suci.scheme == 0 && suci.msin().is_none_or(|msin| !suci.fits(&msin)) {
            return Err(wrong("its MSIN makes no IMSI of at most 15 digits"));
        }
        Ok(suci)
    }
}

impl fmt::Display for Suci {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (plmn, routing) = (self.plmn_id, &self.routing_indicator);
        write!(f, "suci-0-{}-{}-{routing}-{}-{}-", plmn.mcc(), plmn.mnc(), self.scheme, self.key_id)?;
        match self.msin() {
            Some(msin) => f.write_str(&msin),
            None => self.scheme_output.iter().try_for_each(|octet| write!(f, "{octet:02x}")),
        }
    }
}

/// Who a UE says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MobileIdentity {
    /// Type 000.
    None,
    /// Type 001, SUPI format IMSI.
    Suci(Suci),
    /// Type 001, SUPI format NSI, GCI or GLI: the octets after the first.
    NaiSuci(Vec<u8>),
    /// Type 010.
    Guti(Guti5g),
    /// Types 011 and 101.
    Imei(Imei),
    /// Type 100.
    STmsi(STmsi5g),
    /// Types 110 and 111: MAC address and EUI-64, octets after the first.
    Other(u8, Vec<u8>),
}

impl MobileIdentity {
    /// Reads the IE.
    pub fn of(ie: &NasFGsMobileIdentity) -> Result<Self, DecodeError> {
        let octets: &[u8] = &ie.value;
        let &first = octets.first().ok_or_else(|| DecodeError::value(WHAT, "empty"))?;
        let length = |len: usize| DecodeError::value(WHAT, format_args!("{len} octets for its type"));
        match first & 7 {
            0 => Ok(Self::None),
            1 if first >> 4 & 7 == 0 => Ok(Self::Suci(Suci::of_octets(octets)?)),
            1 => Ok(Self::NaiSuci(octets[1..].to_vec())),
            2 => {
                let &[_, p1, p2, p3, a, b, c, t1, t2, t3, t4] =
                    <&[u8; 11]>::try_from(octets).map_err(|_| length(octets.len()))?;
                let plmn_id = PlmnId::from_octets([p1, p2, p3]).map_err(|e| DecodeError::value(WHAT, e))?;
                let guami = Guami { plmn_id, amf_id: AmfId::from_octets([a, b, c]) };
                Ok(Self::Guti(Guti5g { guami, tmsi: u32::from_be_bytes([t1, t2, t3, t4]) }))
            }
            4 => {
                let &[_, a, b, t1, t2, t3, t4] =
                    <&[u8; 7]>::try_from(octets).map_err(|_| length(octets.len()))?;
                let amf_id = AmfId::from_octets([0, a, b]);
                Ok(Self::STmsi(STmsi5g {
                    amf_set: amf_id.set(),
                    amf_pointer: amf_id.pointer(),
                    tmsi: u32::from_be_bytes([t1, t2, t3, t4]),
                }))
            }
            3 | 5 => imei_of(octets).map(Self::Imei),
            other => Ok(Self::Other(other, octets[1..].to_vec())),
        }
    }

    /// Writes the IE.
    pub fn to_ie(&self) -> Result<NasFGsMobileIdentity, EncodeError> {
        let octets = match self {
            Self::None => vec![0],
            Self::Suci(suci) => suci.to_octets()?,
            Self::NaiSuci(rest) => [&[0x11], rest.as_slice()].concat(),
            Self::Guti(guti) => {
                let mut octets = vec![0xf2];
                octets.extend(guti.guami.plmn_id.to_octets());
                octets.extend(guti.guami.amf_id.to_octets());
                octets.extend(guti.tmsi.to_be_bytes());
                octets
            }
            Self::STmsi(id) => {
                let [_, a, b] = AmfId::new(0, id.amf_set, id.amf_pointer).to_octets();
                let mut octets = vec![0xf4, a, b];
                octets.extend(id.tmsi.to_be_bytes());
                octets
            }
            Self::Imei(imei) => imei_octets(imei),
            Self::Other(kind, rest) => [&[kind & 7], rest.as_slice()].concat(),
        };
        Ok(NasFGsMobileIdentity::new(octets))
    }
}

fn imei_of(octets: &[u8]) -> Result<Imei, DecodeError> {
    let wrong = |detail: &str| DecodeError::value(WHAT, format_args!("IMEI: {detail}"));
    let (first, rest) = octets.split_first().ok_or_else(|| wrong("empty"))?;
    let odd = first & 8 != 0;
    let nibbles = std::iter::once(first >> 4).chain(rest.iter().flat_map(|o| [o & 0xf, o >> 4]));
    let mut nibbles: Vec<u8> = nibbles.take(20).collect();
    if !odd && nibbles.pop() != Some(0xf) {
        return Err(wrong("no filler after an even number of digits"));
    }
    if nibbles.iter().any(|&n| n > 9) {
        return Err(wrong("a half octet is no digit"));
    }
    let digits: String = nibbles.iter().map(|n| char::from(b'0' + n)).collect();
    Imei::from_digits(&digits).map_err(|_| wrong("not 15 or 16 digits"))
}

fn imei_octets(imei: &Imei) -> Vec<u8> {
    let digits: Vec<u8> = imei.digits().bytes().map(|b| b - b'0').collect();
    let odd = digits.len() % 2 == 1;
    let kind = if digits.len() == 16 { 5 } else { 3 };
    let first = digits.first().copied().unwrap_or(0xf);
    let mut octets = vec![first << 4 | u8::from(odd) << 3 | kind];
    for pair in digits.get(1..).unwrap_or_default().chunks(2) {
        octets.push(pair.get(1).copied().unwrap_or(0xf) << 4 | pair[0]);
    }
    octets
}

impl serde::Serialize for Suci {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Suci {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl std::str::FromStr for Suci {
    type Err = DecodeError;

    fn from_str(text: &str) -> Result<Self, DecodeError> {
        let wrong = || DecodeError::value("SUCI", "expected suci-0-MCC-MNC-routing-scheme-key-output");
        let parts: Vec<&str> = text.splitn(8, '-').collect();
        let &[kind, format, mcc, mnc, routing, scheme, key, output] = parts.as_slice() else {
            return Err(wrong());
        };
        let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
        if kind != "suci" || format != "0" || !digits(routing) || routing.len() > 4 {
            return Err(wrong());
        }
        let scheme: u8 = scheme.parse().ok().filter(|&s| s < 16).ok_or_else(wrong)?;
        let scheme_output = if scheme == 0 {
            if !digits(output) || output.len() > 10 {
                return Err(wrong());
            }
            let digits: Vec<u8> = output.bytes().map(|b| b - b'0').collect();
            digits.chunks(2).map(|pair| pair.get(1).copied().unwrap_or(0xf) << 4 | pair[0]).collect()
        } else {
            let octet = |pair: &[u8]| {
                let pair = std::str::from_utf8(pair).ok().filter(|p| p.len() == 2)?;
                u8::from_str_radix(pair, 16).ok()
            };
            let octets: Option<Vec<u8>> = output.as_bytes().chunks(2).map(octet).collect();
            octets.filter(|o| !o.is_empty() && o.len() <= SCHEME_OUTPUT_MAX).ok_or_else(wrong)?
        };
        Ok(Self {
            plmn_id: PlmnId::new(mcc, mnc).map_err(|_| wrong())?,
            routing_indicator: routing.to_owned(),
            scheme,
            key_id: key.parse().map_err(|_| wrong())?,
            scheme_output,
        })
    }
}

/// ngKSI of a native security context, 0 to 6 (TS 24.501 §9.11.3.32).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NgKsi(u8);

impl NgKsi {
    /// The value for "no key is available".
    pub const NO_KEY: u8 = 7;

    /// `None` above 6.
    pub const fn new(value: u8) -> Option<Self> {
        if value < 7 { Some(Self(value)) } else { None }
    }

    /// 0 to 6.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The next one, cyclic: a challenge for a UE that has this one uses another.
    pub const fn next(self) -> Self {
        Self((self.0 + 1) % 7)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(identity: &MobileIdentity, octets: &str) {
        let ie = identity.to_ie().unwrap();
        assert_eq!(hex::encode(&*ie.value), octets);
        assert_eq!(MobileIdentity::of(&ie).unwrap(), *identity);
    }

    #[test]
    fn identities_have_their_octets() {
        let plmn_id = PlmnId::new("001", "01").unwrap();
        let suci = Suci {
            plmn_id,
            routing_indicator: "0".into(),
            scheme: 0,
            key_id: 0,
            scheme_output: hex::decode("0000000010").unwrap(),
        };
        assert_eq!(suci.to_string(), "suci-0-001-01-0-0-0-0000000001");
        assert_eq!(suci.to_string().parse::<Suci>().unwrap(), suci);
        round(&MobileIdentity::Suci(suci), "0100f110f0ff00000000000010");
        let guami = Guami { plmn_id, amf_id: AmfId::new(0xca, 0x3fe, 0x21) };
        let guti = Guti5g { guami, tmsi: 0x1122_3344 };
        round(&MobileIdentity::Guti(guti), "f200f110caffa111223344");
        round(&MobileIdentity::STmsi(guti.into()), "f4ffa111223344");
        round(&MobileIdentity::Imei(Imei::from_digits("4370816125816151").unwrap()), "4573806121856151f1");
        round(&MobileIdentity::Imei(Imei::from_digits("356938035643809").unwrap()), "3b65390853468390");
        round(&MobileIdentity::None, "00");
    }

    #[test]
    fn an_msin_of_odd_length_has_a_filler() {
        let suci: Suci = "suci-0-310-410-17-0-0-123456789".parse().unwrap();
        assert_eq!(suci.scheme_output, hex::decode("21436587f9").unwrap());
        assert_eq!(suci.msin().unwrap(), "123456789");
        let a: Suci = "suci-0-310-410-17-1-27-00ff".parse().unwrap();
        assert_eq!((a.scheme, a.key_id, a.to_string().as_str()), (1, 27, "suci-0-310-410-17-1-27-00ff"));
        for wrong in ["suci-0-310-410-17-1-27-0", "suci-1-310-410-17-0-0-1", "suci-0-310-410-17-0-0-x"] {
            assert!(wrong.parse::<Suci>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_no_identity_is_refused() {
        for octets in ["", "01", "0100f110f0ff0000", "f200f110", "0100f110f0ff00000a", "05"] {
            let ie = NasFGsMobileIdentity::new(hex::decode(octets).unwrap());
            assert!(MobileIdentity::of(&ie).is_err(), "{octets}");
        }
    }
}
