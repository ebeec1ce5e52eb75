//! Information elements of signalling messages (TS 29.281 §8).

/// Types of information elements (TS 29.281 §8.1).
pub mod element {
    /// Recovery: TV, one octet.
    pub const RECOVERY: u8 = 14;
    /// Tunnel Endpoint Identifier Data I: TV, four octets.
    pub const TEID_DATA_I: u8 = 16;
    /// GTP-U Peer Address: TLV.
    pub const GTPU_PEER_ADDRESS: u8 = 133;
    /// Extension Header Type List: type, one octet of length, types.
    pub const EXTENSION_HEADER_TYPE_LIST: u8 = 141;
    /// Private Extension: TLV.
    pub const PRIVATE_EXTENSION: u8 = 255;
}

/// One information element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element<'a> {
    /// Its type.
    pub kind: u8,
    /// Its value.
    pub value: &'a [u8],
}

/// Walks over the information elements of a signalling message; ends at the first octet that
/// cannot be understood, since lengths are lost there.
#[derive(Clone, Copy, Debug)]
pub struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    /// Over the payload of a [`crate::Packet`].
    pub fn new(payload: &'a [u8]) -> Self {
        Self(payload)
    }

    /// The value of the first element of this type.
    pub fn find(mut self, kind: u8) -> Option<&'a [u8]> {
        self.find_map(|element| (element.kind == kind).then_some(element.value))
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        let (&kind, rest) = self.0.split_first()?;
        let (length, rest) = match kind {
            element::RECOVERY => (1, rest),
            element::TEID_DATA_I => (4, rest),
            element::EXTENSION_HEADER_TYPE_LIST => {
                let (&length, rest) = rest.split_first()?;
                (usize::from(length), rest)
            }
            128.. => {
                let (length, rest) = rest.split_first_chunk()?;
                (usize::from(u16::from_be_bytes(*length)), rest)
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(Element { kind, value })
    }
}
