//! What a body holds, before a transport has chosen its form.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::encoding::{self, JSON_LEN_MAX};
use crate::{ProblemDetails, direct};

/// The content of a [`Body`](crate::Body): JSON text, a model that nobody has written yet, or a
/// model in the [direct form](direct). Clones share it.
///
/// The transport that carries it writes it: HTTP as JSON text, the direct form as CBOR. Two are
/// equal if their JSON text is.
#[derive(Clone)]
pub struct Content(Form);

#[derive(Clone)]
enum Form {
    /// JSON text, which may be wrong.
    Text(Bytes),
    Model(Arc<dyn Model>),
    /// CBOR that was received, which may be wrong.
    Direct(Bytes),
}

/// A model that can be written either way.
trait Model: Send + Sync {
    fn json(&self) -> Bytes;
    fn write_direct(&self, out: &mut Vec<u8>);
}

impl<T: Serialize + Send + Sync> Model for T {
    fn json(&self) -> Bytes {
        encoding::write_json(self)
    }

    fn write_direct(&self, out: &mut Vec<u8>) {
        direct::write(self, out).expect("invariant: models are maps, lists and scalars");
    }
}

impl Content {
    /// A model.
    pub fn of<T: Serialize + Send + Sync + 'static>(model: T) -> Self {
        Self(Form::Model(Arc::new(model)))
    }

    /// A model in the direct form, as it was received.
    pub fn direct(octets: Bytes) -> Self {
        Self(Form::Direct(octets))
    }

    /// Its JSON text. `None` if it is in the direct form and cannot be read.
    pub fn text(&self) -> Option<Bytes> {
        match &self.0 {
            Form::Text(text) => Some(text.clone()),
            Form::Model(model) => Some(model.json()),
            Form::Direct(octets) if octets.len() > JSON_LEN_MAX => None,
            Form::Direct(octets) => {
                direct::read::<Value>(octets).ok().map(|value| encoding::write_json(&value))
            }
        }
    }

    /// Reads it; the error is the answer to a request that carries it.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ProblemDetails> {
        match &self.0 {
            Form::Text(text) => encoding::read_json(text),
            Form::Model(model) => encoding::read_json(&model.json()),
            Form::Direct(octets) => encoding::read_direct(octets),
        }
    }

    /// The same with a model written as JSON text, which is how one process gets it of another.
    #[must_use]
    pub fn into_written(self) -> Self {
        match self.0 {
            Form::Model(model) => Self(Form::Text(model.json())),
            form => Self(form),
        }
    }

    /// Whether it is text without any.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(&self.0, Form::Text(text) if text.is_empty())
    }

    /// The text, if that is what it holds.
    pub(crate) fn written(&self) -> Option<&Bytes> {
        match &self.0 {
            Form::Text(text) => Some(text),
            Form::Model(_) | Form::Direct(_) => None,
        }
    }

    /// Appends the direct form of a model.
    pub(crate) fn write_direct(&self, out: &mut Vec<u8>) {
        match &self.0 {
            Form::Text(text) => out.extend_from_slice(text),
            Form::Model(model) => model.write_direct(out),
            Form::Direct(octets) => out.extend_from_slice(octets),
        }
    }
}

impl From<Bytes> for Content {
    fn from(text: Bytes) -> Self {
        Self(Form::Text(text))
    }
}

impl From<Vec<u8>> for Content {
    fn from(text: Vec<u8>) -> Self {
        Bytes::from(text).into()
    }
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for Content {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Form::Direct(own), Form::Direct(others)) if own == others => true,
            _ => self.text().is_some_and(|text| other.text() == Some(text)),
        }
    }
}

impl Eq for Content {}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.0, self.text()) {
            (_, Some(text)) => text.fmt(f),
            (Form::Direct(octets), None) => write!(f, "Direct({octets:?})"),
            (_, None) => Ok(()),
        }
    }
}
