//! Packet flow descriptions, redirection and forwarding policies.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::error::{DecodeError, Fault};
use crate::wire::{Cursor, Value};

/// PFD Contents (TS 29.244 §8.2.39). What is present of one of them has to fit together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PfdContents {
    /// IP filters, the additional ones behind the first.
    pub flow_descriptions: Vec<String>,
    /// URLs, the additional ones behind the first.
    pub urls: Vec<String>,
    /// A domain name.
    pub domain_name: Option<String>,
    /// What the operator has made up.
    pub custom: Option<Vec<u8>>,
    /// How the domain name is seen in the traffic.
    pub domain_name_protocol: Option<Vec<u8>>,
    /// More domain names with their protocols, as they are.
    pub additional_domain_names: Option<Vec<u8>>,
}

const FLOW: u8 = 1;
const URL: u8 = 1 << 1;
const DOMAIN_NAME: u8 = 1 << 2;
const CUSTOM: u8 = 1 << 3;
const DOMAIN_NAME_PROTOCOL: u8 = 1 << 4;
const MORE_FLOWS: u8 = 1 << 5;
const MORE_URLS: u8 = 1 << 6;
const MORE_DOMAIN_NAMES: u8 = 1 << 7;

/// Octets behind their length of two octets.
fn part<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], DecodeError> {
    let length = usize::from(cursor.u16()?);
    cursor.take(length)
}

fn text(cursor: &mut Cursor<'_>) -> Result<String, DecodeError> {
    let octets = part(cursor)?;
    String::from_utf8(octets.to_vec()).map_err(|_| cursor.error(Fault::Value))
}

fn put_part(octets: &[u8], out: &mut Vec<u8>) {
    let length = u16::try_from(octets.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(octets);
}

/// A field of several texts, each behind its length, in a part that has a length of its own.
fn texts(cursor: &mut Cursor<'_>, all: &mut Vec<String>) -> Result<(), DecodeError> {
    let ie_type = cursor.ie_type();
    let mut inner = Cursor::new(ie_type, part(cursor)?, 0);
    while !inner.is_empty() {
        all.push(text(&mut inner).map_err(|error| cursor.error(error.fault))?);
    }
    Ok(())
}

fn put_texts(all: &[String], out: &mut Vec<u8>) {
    let mut inner = Vec::new();
    all.iter().for_each(|text| put_part(text.as_bytes(), &mut inner));
    put_part(&inner, out);
}

impl Value for PfdContents {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        let flags = cursor.u8()?;
        cursor.u8()?;
        let has = |bit: u8| flags & bit != 0;
        let mut contents = Self::default();
        if has(FLOW) {
            contents.flow_descriptions.push(text(cursor)?);
        }
        if has(URL) {
            contents.urls.push(text(cursor)?);
        }
        contents.domain_name = has(DOMAIN_NAME).then(|| text(cursor)).transpose()?;
        let mut octets = |bit| has(bit).then(|| part(cursor).map(<[u8]>::to_vec)).transpose();
        contents.custom = octets(CUSTOM)?;
        contents.domain_name_protocol = octets(DOMAIN_NAME_PROTOCOL)?;
        if has(MORE_FLOWS) {
            texts(cursor, &mut contents.flow_descriptions)?;
        }
        if has(MORE_URLS) {
            texts(cursor, &mut contents.urls)?;
        }
        if has(MORE_DOMAIN_NAMES) {
            contents.additional_domain_names = Some(part(cursor)?.to_vec());
        }
        Ok(contents)
    }

    fn write(&self, out: &mut Vec<u8>) {
        let flag = |is: bool, bit: u8| if is { bit } else { 0 };
        out.push(
            flag(!self.flow_descriptions.is_empty(), FLOW)
                | flag(!self.urls.is_empty(), URL)
                | flag(self.domain_name.is_some(), DOMAIN_NAME)
                | flag(self.custom.is_some(), CUSTOM)
                | flag(self.domain_name_protocol.is_some(), DOMAIN_NAME_PROTOCOL)
                | flag(self.flow_descriptions.len() > 1, MORE_FLOWS)
                | flag(self.urls.len() > 1, MORE_URLS)
                | flag(self.additional_domain_names.is_some(), MORE_DOMAIN_NAMES),
        );
        out.push(0);
        for first in [self.flow_descriptions.first(), self.urls.first(), self.domain_name.as_ref()] {
            first.iter().for_each(|text| put_part(text.as_bytes(), out));
        }
        for octets in [&self.custom, &self.domain_name_protocol] {
            octets.iter().for_each(|octets| put_part(octets, out));
        }
        for more in [&self.flow_descriptions, &self.urls].into_iter().filter_map(|all| all.get(1..)) {
            if !more.is_empty() {
                put_texts(more, out);
            }
        }
        self.additional_domain_names.iter().for_each(|octets| put_part(octets, out));
    }
}

/// Redirect Information (TS 29.244 §8.2.20).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedirectInformation {
    /// To an IPv4 address.
    Ipv4(Ipv4Addr),
    /// To an IPv6 address.
    Ipv6(Ipv6Addr),
    /// To a URL.
    Url(String),
    /// To a SIP URI.
    SipUri(String),
    /// To an IPv4 or an IPv6 address, each kind to its own.
    Both(Ipv4Addr, Ipv6Addr),
    /// Of a type that is not read here, as it is.
    Other(u8, Vec<u8>),
}

impl Default for RedirectInformation {
    fn default() -> Self {
        Self::Url(String::new())
    }
}

fn parsed<T: std::str::FromStr>(text: &str, cursor: &Cursor<'_>) -> Result<T, DecodeError> {
    text.parse().map_err(|_| cursor.error(Fault::Value))
}

impl Value for RedirectInformation {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        let kind = cursor.u8()? & 0x0F;
        if kind > 4 {
            return Ok(Self::Other(kind, cursor.rest().to_vec()));
        }
        let address = text(cursor)?;
        Ok(match kind {
            0 => Self::Ipv4(parsed(&address, cursor)?),
            1 => Self::Ipv6(parsed(&address, cursor)?),
            2 => Self::Url(address),
            3 => Self::SipUri(address),
            _ => {
                let other = text(cursor)?;
                Self::Both(parsed(&address, cursor)?, parsed(&other, cursor)?)
            }
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Ipv4(address) => put_redirect(0, &address.to_string(), out),
            Self::Ipv6(address) => put_redirect(1, &address.to_string(), out),
            Self::Url(url) => put_redirect(2, url, out),
            Self::SipUri(uri) => put_redirect(3, uri, out),
            Self::Both(v4, v6) => {
                put_redirect(4, &v4.to_string(), out);
                put_part(v6.to_string().as_bytes(), out);
            }
            Self::Other(kind, octets) => {
                out.push(kind & 0x0F);
                out.extend_from_slice(octets);
            }
        }
    }
}

fn put_redirect(kind: u8, address: &str, out: &mut Vec<u8>) {
    out.push(kind);
    put_part(address.as_bytes(), out);
}

/// Forwarding Policy (TS 29.244 §8.2.23): the name of one that the UP function's configuration has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForwardingPolicy(pub Vec<u8>);

impl Value for ForwardingPolicy {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        let length = usize::from(cursor.u8()?);
        cursor.take(length).map(|name| Self(name.to_vec()))
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::try_from(self.0.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(&self.0);
    }
}
