//! The direct form: requests, replies and models in a field-numbered binary form, between network
//! functions of one build on one node. It is CBOR (RFC 8949); `README.md` describes it.
//!
//! A model is the map that its JSON object is, each attribute's name replaced by a number
//! (`names.rs`). Numbers stand for names, not for places in one struct: so two variants of an
//! untagged enumeration stay as different as in JSON, where places would make
//! `{"nfType": "AMF"}` and `{"serviceName": "AMF"}` the same octets. Whatever `serde` does by name
//! works here as there: unknown attributes, defaults, untagged and flattened types.

mod envelope;
mod error;
mod item;
mod keys;
mod names;
mod read;
mod write;

use serde::Serialize;
use serde::de::DeserializeOwned;

use read::Deserializer;

pub use envelope::{
    HEADER_LEN_MAX, PARTS_MAX, QUERY_PARAMETERS_MAX, read_reply, read_request, write_reply, write_request,
};
pub use error::{DirectError, Fault};
pub use names::NAMES;

/// Fingerprint of the model sources. Two ends speak the direct form only if theirs are equal;
/// otherwise they speak HTTP/2.
pub const REVISION: u64 = match u64::from_str_radix(env!("TERN_SBI_REVISION"), 10) {
    Ok(revision) => revision,
    Err(_) => panic!("the build script writes a number"),
};

/// Arrays and maps within one another; as many as `serde_json` reads.
pub const NESTING_MAX: u8 = 128;

/// Name of the newtype by which octet strings tell the direct form apart: there they are byte
/// strings, elsewhere hexadecimal text.
pub(crate) const OCTETS: &str = "tern_sbi::octets";

/// Appends a model.
pub fn write<T: Serialize + ?Sized>(model: &T, out: &mut Vec<u8>) -> Result<(), DirectError> {
    model.serialize(&mut write::Serializer::new(out))
}

/// Reads a model that takes up all of `octets`.
pub fn read<T: DeserializeOwned>(octets: &[u8]) -> Result<T, DirectError> {
    let mut deserializer = Deserializer::new(octets);
    let model = T::deserialize(&mut deserializer).map_err(|error| deserializer.locate(error))?;
    deserializer.end()?;
    Ok(model)
}
