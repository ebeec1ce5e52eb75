//! What a target makes of octets: numbers and strings of octets in the order in which they stand, so that an
//! input can be written by hand.

use arbitrary::Unstructured;

/// Octets that are read from the front; behind their end everything is 0 and empty.
pub struct Input<'a>(Unstructured<'a>);

impl<'a> Input<'a> {
    /// All of an input.
    pub fn new(octets: &'a [u8]) -> Self {
        Self(Unstructured::new(octets))
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One octet.
    pub fn u8(&mut self) -> u8 {
        self.0.arbitrary().unwrap_or(0)
    }

    /// Two octets, the low one first.
    pub fn u16(&mut self) -> u16 {
        self.0.arbitrary().unwrap_or(0)
    }

    /// A length of two octets and as many octets, or what is left.
    pub fn octets(&mut self) -> &'a [u8] {
        let length = usize::from(self.u16()).min(self.0.len());
        self.0.bytes(length).unwrap_or(&[])
    }
}

/// Appends what [`Input::octets`] reads.
pub fn put(out: &mut Vec<u8>, octets: &[u8]) {
    out.extend_from_slice(&(octets.len() as u16).to_le_bytes());
    out.extend_from_slice(octets);
}
