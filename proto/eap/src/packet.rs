//! Packets: RFC 3748 §4, RFC 4187 §8, §9.

use tern_crypto::{KAut, eap_mac};

use crate::attributes::{Attribute, Attributes, put};
use crate::{DecodeError, PACKET_OCTETS_MAX};

/// EAP method type of Nak (RFC 3748 §5.3.1).
const NAK: u8 = 3;
/// EAP method type of EAP-AKA' (RFC 9048 §3).
const AKA_PRIME: u8 = 50;
/// Octets of code, identifier and length.
const HEADER: usize = 4;
/// Octets in front of the attributes of EAP-AKA'.
const AKA_PRIME_HEADER: usize = 8;
/// Octets of a MAC.
const MAC: usize = 16;

/// EAP codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// Of the server.
    Request = 1,
    /// Of the peer.
    Response = 2,
    /// The peer is authenticated.
    Success = 3,
    /// It is not.
    Failure = 4,
}

/// Subtypes of EAP-AKA' (RFC 4187 §11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Subtype {
    /// AKA'-Challenge.
    Challenge = 1,
    /// AKA'-Authentication-Reject.
    AuthenticationReject = 2,
    /// AKA'-Synchronization-Failure.
    SynchronizationFailure = 4,
    /// AKA'-Identity.
    Identity = 5,
    /// AKA'-Notification.
    Notification = 12,
    /// AKA'-Reauthentication.
    Reauthentication = 13,
    /// AKA'-Client-Error.
    ClientError = 14,
}

impl Subtype {
    fn of(octet: u8) -> Result<Self, DecodeError> {
        const ALL: [Subtype; 7] = [
            Subtype::Challenge,
            Subtype::AuthenticationReject,
            Subtype::SynchronizationFailure,
            Subtype::Identity,
            Subtype::Notification,
            Subtype::Reauthentication,
            Subtype::ClientError,
        ];
        ALL.into_iter().find(|subtype| *subtype as u8 == octet).ok_or(DecodeError::Subtype(octet))
    }
}

/// A packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// What it is.
    pub code: Code,
    /// Matches responses with requests.
    pub identifier: u8,
    /// What it says.
    pub body: Body,
}

/// What a packet says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Success and failure say no more.
    None,
    /// The peer does not want the method.
    Nak,
    /// EAP-AKA'.
    AkaPrime(AkaPrime),
    /// Another method, by its type.
    Other(u8),
}

/// A packet of EAP-AKA'.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AkaPrime {
    /// Subtype.
    pub subtype: Subtype,
    /// All attributes but AT_MAC.
    pub attributes: Attributes,
    /// Where in the packet the MAC stands, if it has one.
    pub mac_at: Option<usize>,
}

/// Code, identifier and length of a packet: what one looks at that passes it on (RFC 3748 §2.3).
///
/// # Errors
/// If the octets are not as many as the length says, or no EAP packet.
pub fn header(octets: &[u8]) -> Result<(Code, u8), DecodeError> {
    let wrong = |length| DecodeError::Length { octets: octets.len(), length };
    let &[code, identifier, high, low] = octets.first_chunk::<HEADER>().ok_or(wrong(0))?;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length != octets.len() || length > PACKET_OCTETS_MAX {
        return Err(wrong(length));
    }
    let code = match code {
        1 => Code::Request,
        2 => Code::Response,
        3 => Code::Success,
        4 => Code::Failure,
        other => return Err(DecodeError::Code(other)),
    };
    let bare = matches!(code, Code::Success | Code::Failure);
    if bare != (length == HEADER) {
        return Err(wrong(length));
    }
    Ok((code, identifier))
}

impl Packet {
    /// EAP-Success or EAP-Failure.
    pub fn result(code: Code, identifier: u8) -> Self {
        Self { code, identifier, body: Body::None }
    }

    /// A packet of EAP-AKA'.
    pub fn aka_prime(code: Code, identifier: u8, subtype: Subtype, attributes: Attributes) -> Self {
        Self { code, identifier, body: Body::AkaPrime(AkaPrime { subtype, attributes, mac_at: None }) }
    }

    /// Reads a packet.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn decode(octets: &[u8]) -> Result<Self, DecodeError> {
        let (code, identifier) = header(octets)?;
        let body = match octets.get(HEADER) {
            None => Body::None,
            Some(&NAK) if code == Code::Response => Body::Nak,
            Some(&AKA_PRIME) => {
                let wrong = DecodeError::Length { octets: octets.len(), length: AKA_PRIME_HEADER };
                let subtype = Subtype::of(*octets.get(HEADER + 1).ok_or(wrong)?)?;
                let rest = octets.get(AKA_PRIME_HEADER..).ok_or(wrong)?;
                let (attributes, mac_at) = Attributes::read(rest, AKA_PRIME_HEADER)?;
                Body::AkaPrime(AkaPrime { subtype, attributes, mac_at })
            }
            Some(&other) => Body::Other(other),
        };
        Ok(Self { code, identifier, body })
    }

    /// Writes the packet, with AT_MAC if there is a key for it. Another method than EAP-AKA' has its type
    /// alone.
    #[must_use]
    pub fn encode(&self, k_aut: Option<&KAut>) -> Vec<u8> {
        let mut out = vec![self.code as u8, self.identifier, 0, 0];
        match &self.body {
            Body::None => {}
            Body::Nak => out.extend([NAK, 0]),
            Body::Other(method) => out.push(*method),
            Body::AkaPrime(AkaPrime { subtype, attributes, .. }) => {
                out.extend([AKA_PRIME, *subtype as u8, 0, 0]);
                attributes.write(&mut out);
                if k_aut.is_some() {
                    put(&mut out, Attribute::Mac, 0, &[0; MAC]);
                }
            }
        }
        let length = out.len() as u16;
        out[2..HEADER].copy_from_slice(&length.to_be_bytes());
        if let (Some(k_aut), Body::AkaPrime(_)) = (k_aut, &self.body) {
            let mac = eap_mac(k_aut, &out);
            let at = out.len() - MAC;
            out[at..].copy_from_slice(&mac);
        }
        out
    }

    /// Whether the packet, as it was read from `octets`, has a MAC and the MAC is that of this key.
    #[must_use]
    pub fn is_authentic(&self, octets: &[u8], k_aut: &KAut) -> bool {
        let Body::AkaPrime(AkaPrime { mac_at: Some(at), .. }) = &self.body else { return false };
        let Some(mac) = octets.get(*at..*at + MAC) else { return false };
        let mut blank = octets.to_vec();
        blank[*at..*at + MAC].fill(0);
        tern_crypto::equal(mac, &eap_mac(k_aut, &blank))
    }
}
