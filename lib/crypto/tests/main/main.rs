//! The algorithms against the specifications' test data and against an
//! independent implementation.

mod aka;
mod differential;
mod eap_aka_prime;
mod suci;
mod vectors;

/// Octets of a hexadecimal text.
fn hex(text: &str) -> Vec<u8> {
    hex::decode(text).expect("hexadecimal")
}

/// As [`hex`], of a known length.
fn hex_n<const N: usize>(text: &str) -> [u8; N] {
    hex(text).try_into().expect("length")
}
