//! Attributes of EAP-AKA': RFC 4187 §8.1, §10, RFC 9048 §3.

use crate::DecodeError;

/// AT_KDF of one packet.
pub const KDFS_MAX: usize = 8;
/// Octets of a network name (RFC 9048 §3.1).
pub const NETWORK_NAME_OCTETS_MAX: usize = 256;

/// Octets of an attribute's type and length, and of AT_RES's and AT_KDF_INPUT's own length.
const HEADER: usize = 4;
/// Attributes are multiples of so many octets.
const UNIT: usize = 4;
/// From this type on an attribute that is not known is skipped.
const SKIPPABLE: u8 = 128;

/// Attribute types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Attribute {
    /// AT_RAND.
    Rand = 1,
    /// AT_AUTN.
    Autn = 2,
    /// AT_RES.
    Res = 3,
    /// AT_AUTS.
    Auts = 4,
    /// AT_MAC.
    Mac = 11,
    /// AT_NOTIFICATION.
    Notification = 12,
    /// AT_CLIENT_ERROR_CODE.
    ClientErrorCode = 22,
    /// AT_KDF_INPUT.
    KdfInput = 23,
    /// AT_KDF.
    Kdf = 24,
}

impl Attribute {
    const ALL: [Self; 9] = [
        Self::Rand,
        Self::Autn,
        Self::Res,
        Self::Auts,
        Self::Mac,
        Self::Notification,
        Self::ClientErrorCode,
        Self::KdfInput,
        Self::Kdf,
    ];

    fn of(kind: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|attribute| *attribute as u8 == kind)
    }
}

/// The attributes of a packet, AT_MAC apart.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    /// AT_RAND.
    pub rand: Option<[u8; 16]>,
    /// AT_AUTN.
    pub autn: Option<[u8; 16]>,
    /// AT_RES: 4 to 16 octets.
    pub res: Option<Vec<u8>>,
    /// AT_AUTS.
    pub auts: Option<[u8; 14]>,
    /// AT_KDF, the preferred one first.
    pub kdfs: Vec<u16>,
    /// AT_KDF_INPUT: the network name.
    pub network_name: Option<String>,
    /// AT_NOTIFICATION.
    pub notification: Option<u16>,
    /// AT_CLIENT_ERROR_CODE.
    pub client_error: Option<u16>,
}

impl std::fmt::Debug for Attributes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attributes")
            .field("rand", &self.rand)
            .field("autn", &self.autn)
            .field("res", &self.res.as_ref().map(Vec::len))
            .field("auts", &self.auts)
            .field("kdfs", &self.kdfs)
            .field("network_name", &self.network_name)
            .field("notification", &self.notification)
            .field("client_error", &self.client_error)
            .finish()
    }
}

impl Attributes {
    /// Reads all of `octets`, which begin at `offset` of their packet. With them comes where in the
    /// packet the value of AT_MAC stands.
    pub(crate) fn read(octets: &[u8], offset: usize) -> Result<(Self, Option<usize>), DecodeError> {
        let (mut attributes, mut mac_at) = (Self::default(), None);
        let mut seen = [false; 256];
        let mut at = 0;
        while let Some(&kind) = octets.get(at) {
            let malformed = DecodeError::Attribute { kind, offset: offset + at };
            let length = UNIT * usize::from(*octets.get(at + 1).ok_or(malformed)?);
            let end = (at + length).max(at + UNIT);
            let value = octets.get(at + 2..end).filter(|_| length > 0).ok_or(malformed)?;
            let known = Attribute::of(kind);
            if known != Some(Attribute::Kdf) && std::mem::replace(&mut seen[usize::from(kind)], true) {
                return Err(DecodeError::Repeated(kind));
            }
            match known {
                Some(Attribute::Mac) => {
                    sixteen(value).ok_or(malformed)?;
                    mac_at = Some(offset + at + HEADER);
                }
                Some(known) => attributes.take(known, value).ok_or(malformed)?,
                None if kind < SKIPPABLE => return Err(DecodeError::Unrecognized(kind)),
                None => {}
            }
            at = end;
        }
        Ok((attributes, mac_at))
    }

    /// Takes one attribute, whose value begins behind its length field.
    fn take(&mut self, attribute: Attribute, value: &[u8]) -> Option<()> {
        match attribute {
            Attribute::Rand => self.rand = Some(sixteen(value)?),
            Attribute::Autn => self.autn = Some(sixteen(value)?),
            Attribute::Auts => self.auts = Some(value.try_into().ok()?),
            Attribute::Res => {
                let bits = usize::from(number(value)?);
                let whole = bits % 8 == 0 && (32..=128).contains(&bits);
                self.res = Some(counted(value, bits / 8).filter(|_| whole)?.to_vec());
            }
            Attribute::Kdf => {
                let kdf = exactly(value)?;
                if self.kdfs.len() >= KDFS_MAX {
                    return None;
                }
                self.kdfs.push(kdf);
            }
            Attribute::KdfInput => {
                let octets = usize::from(number(value)?);
                let name = counted(value, octets)?;
                let fits = (1..=NETWORK_NAME_OCTETS_MAX).contains(&octets);
                self.network_name = Some(std::str::from_utf8(name).ok().filter(|_| fits)?.to_owned());
            }
            Attribute::Notification => self.notification = Some(exactly(value)?),
            Attribute::ClientErrorCode => self.client_error = Some(exactly(value)?),
            Attribute::Mac => return None,
        }
        Some(())
    }

    /// Writes them in the order of the RFC's tables; a network name or RES that is too long is cut.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        if let Some(rand) = &self.rand {
            put(out, Attribute::Rand, 0, rand);
        }
        if let Some(autn) = &self.autn {
            put(out, Attribute::Autn, 0, autn);
        }
        if let Some(res) = &self.res {
            let res = &res[..res.len().min(16)];
            put(out, Attribute::Res, 8 * res.len() as u16, res);
        }
        if let Some(auts) = &self.auts {
            out.extend([Attribute::Auts as u8, 4]);
            out.extend(auts);
        }
        for &kdf in &self.kdfs {
            put(out, Attribute::Kdf, kdf, &[]);
        }
        if let Some(name) = &self.network_name {
            let name = &name.as_bytes()[..name.len().min(NETWORK_NAME_OCTETS_MAX)];
            put(out, Attribute::KdfInput, name.len() as u16, name);
        }
        for (attribute, value) in
            [(Attribute::Notification, self.notification), (Attribute::ClientErrorCode, self.client_error)]
        {
            if let Some(value) = value {
                put(out, attribute, value, &[]);
            }
        }
    }
}

/// Writes an attribute: its two octets of length, code or nothing, and its value, filled up.
pub(crate) fn put(out: &mut Vec<u8>, attribute: Attribute, number: u16, value: &[u8]) {
    let units = 1 + value.len().div_ceil(UNIT);
    out.extend([attribute as u8, units as u8]);
    out.extend(number.to_be_bytes());
    out.extend(value);
    out.resize(out.len() + UNIT * (units - 1) - value.len(), 0);
}

fn number(value: &[u8]) -> Option<u16> {
    value.first_chunk().map(|octets| u16::from_be_bytes(*octets))
}

/// A value that is a number and nothing else.
fn exactly(value: &[u8]) -> Option<u16> {
    value.try_into().ok().map(u16::from_be_bytes)
}

/// Sixteen octets behind two reserved ones.
fn sixteen(value: &[u8]) -> Option<[u8; 16]> {
    value.get(2..)?.try_into().ok()
}

/// So many octets behind the number that says so, with no more than filling behind them.
fn counted(value: &[u8], octets: usize) -> Option<&[u8]> {
    let rest = value.get(2..)?;
    (rest.len() == octets.next_multiple_of(UNIT)).then(|| &rest[..octets])
}
