//! Models written.

use std::fmt::{self, Write as _};

use serde::ser::{self, Error as _, Serialize};

use super::error::DirectError;
use super::item::{
    ARRAY_INDEFINITE, BREAK, FALSE, FLOAT32, FLOAT64, MAP_INDEFINITE, NULL, TRUE, major, write_bytes,
    write_head, write_text,
};
use super::keys::KeySerializer;
use super::{OCTETS, names};

/// Writes a model in the shape of its JSON.
pub(crate) struct Serializer<'a> {
    out: &'a mut Vec<u8>,
    /// As JSON; otherwise what is written are the octets of [`OCTETS`].
    readable: bool,
}

impl<'a> Serializer<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, readable: true }
    }

    /// Begins a map or an array whose number of elements may be unknown.
    fn begin(&mut self, major: u8, indefinite: u8, len: Option<usize>) {
        match len {
            Some(len) => write_head(self.out, major, len as u64),
            None => self.out.push(indefinite),
        }
    }

    /// `{variant: …}`, of which the value is written next.
    fn begin_variant(&mut self, variant: &str) {
        write_head(self.out, major::MAP, 1);
        write_text(self.out, variant);
    }
}

/// An attribute's name: its number, or itself if it has none.
#[inline]
fn write_name(out: &mut Vec<u8>, name: &str) {
    match names::number(name) {
        Some(number) => write_head(out, major::UNSIGNED, u64::from(number)),
        None => write_text(out, name),
    }
}

/// The elements of an array or a map being written.
pub(crate) struct Elements<'a, 'b> {
    serializer: &'a mut Serializer<'b>,
    /// Still to come, if that is known.
    left: Option<usize>,
}

impl Elements<'_, '_> {
    #[inline]
    fn count(&mut self) -> Result<(), DirectError> {
        match &mut self.left {
            Some(0) => Err(DirectError::custom("more elements than announced")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    #[inline]
    fn put<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), DirectError> {
        value.serialize(&mut *self.serializer)
    }

    #[inline]
    fn finish(self) -> Result<(), DirectError> {
        match self.left {
            Some(0) => Ok(()),
            Some(_) => Err(DirectError::custom("fewer elements than announced")),
            None => {
                self.serializer.out.push(BREAK);
                Ok(())
            }
        }
    }
}

macro_rules! unsigned {
    ($($method:ident: $type:ty),+) => {
        $(#[inline]
        fn $method(self, value: $type) -> Result<(), DirectError> {
            write_head(self.out, major::UNSIGNED, u64::from(value));
            Ok(())
        })+
    };
}

macro_rules! signed {
    ($($method:ident: $type:ty),+) => {
        $(#[inline]
        fn $method(self, value: $type) -> Result<(), DirectError> {
            self.serialize_i64(i64::from(value))
        })+
    };
}

impl<'a, 'b> ser::Serializer for &'a mut Serializer<'b> {
    type Ok = ();
    type Error = DirectError;
    type SerializeSeq = Elements<'a, 'b>;
    type SerializeTuple = Elements<'a, 'b>;
    type SerializeTupleStruct = Elements<'a, 'b>;
    type SerializeTupleVariant = Elements<'a, 'b>;
    type SerializeMap = Elements<'a, 'b>;
    type SerializeStruct = Elements<'a, 'b>;
    type SerializeStructVariant = Elements<'a, 'b>;

    unsigned! { serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64 }
    signed! { serialize_i8: i8, serialize_i16: i16, serialize_i32: i32 }

    fn serialize_bool(self, value: bool) -> Result<(), DirectError> {
        self.out.push(if value { TRUE } else { FALSE });
        Ok(())
    }

    fn serialize_i64(self, value: i64) -> Result<(), DirectError> {
        match u64::try_from(value) {
            Ok(value) => write_head(self.out, major::UNSIGNED, value),
            // -1 - n (RFC 8949 §3.1) is the complement of n.
            Err(_) => write_head(self.out, major::NEGATIVE, !value as u64),
        }
        Ok(())
    }

    /// JSON has no infinity and no NaN either.
    fn serialize_f32(self, value: f32) -> Result<(), DirectError> {
        if !value.is_finite() {
            return self.serialize_unit();
        }
        self.out.push(FLOAT32);
        self.out.extend_from_slice(&value.to_be_bytes());
        Ok(())
    }

    fn serialize_f64(self, value: f64) -> Result<(), DirectError> {
        if !value.is_finite() {
            return self.serialize_unit();
        }
        self.out.push(FLOAT64);
        self.out.extend_from_slice(&value.to_be_bytes());
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), DirectError> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), DirectError> {
        write_text(self.out, value);
        Ok(())
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result<(), DirectError> {
        let mut text = ShortText::default();
        match write!(text, "{value}") {
            Ok(()) => self.serialize_str(text.as_str()),
            Err(_) => self.serialize_str(&value.to_string()),
        }
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), DirectError> {
        if self.readable {
            return self.collect_seq(value);
        }
        write_bytes(self.out, value);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), DirectError> {
        self.serialize_unit()
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), DirectError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), DirectError> {
        self.out.push(NULL);
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), DirectError> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), DirectError> {
        self.serialize_str(variant)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), DirectError> {
        if name == OCTETS {
            return value.serialize(&mut Serializer { out: self.out, readable: false });
        }
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), DirectError> {
        self.begin_variant(variant);
        value.serialize(self)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Elements<'a, 'b>, DirectError> {
        self.begin(major::ARRAY, ARRAY_INDEFINITE, len);
        Ok(Elements { serializer: self, left: len })
    }

    fn serialize_tuple(self, len: usize) -> Result<Elements<'a, 'b>, DirectError> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Elements<'a, 'b>, DirectError> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Elements<'a, 'b>, DirectError> {
        self.begin_variant(variant);
        self.serialize_seq(Some(len))
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Elements<'a, 'b>, DirectError> {
        self.begin(major::MAP, MAP_INDEFINITE, len);
        Ok(Elements { serializer: self, left: len })
    }

    #[inline]
    fn serialize_struct(self, _: &'static str, len: usize) -> Result<Elements<'a, 'b>, DirectError> {
        write_head(self.out, major::MAP, len as u64);
        Ok(Elements { serializer: self, left: Some(len) })
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Elements<'a, 'b>, DirectError> {
        self.begin_variant(variant);
        self.serialize_struct(name, len)
    }

    fn is_human_readable(&self) -> bool {
        self.readable
    }
}

macro_rules! sequence {
    ($($trait:ident $method:ident),+) => {
        $(impl ser::$trait for Elements<'_, '_> {
            type Ok = ();
            type Error = DirectError;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), DirectError> {
                self.count()?;
                self.put(value)
            }

            fn end(self) -> Result<(), DirectError> {
                self.finish()
            }
        })+
    };
}

macro_rules! structure {
    ($($trait:ident),+) => {
        $(impl ser::$trait for Elements<'_, '_> {
            type Ok = ();
            type Error = DirectError;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), DirectError> {
                self.count()?;
                write_name(self.serializer.out, name);
                self.put(value)
            }

            #[inline]
            fn end(self) -> Result<(), DirectError> {
                self.finish()
            }
        })+
    };
}

sequence! {
    SerializeSeq serialize_element, SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field, SerializeTupleVariant serialize_field
}
structure! { SerializeStruct, SerializeStructVariant }

impl ser::SerializeMap for Elements<'_, '_> {
    type Ok = ();
    type Error = DirectError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), DirectError> {
        self.count()?;
        key.serialize(KeySerializer { out: self.serializer.out })
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), DirectError> {
        self.put(value)
    }

    fn end(self) -> Result<(), DirectError> {
        self.finish()
    }
}

/// A text of a few octets, put together without allocation; more is an error.
struct ShortText {
    octets: [u8; 64],
    len: usize,
}

impl Default for ShortText {
    fn default() -> Self {
        Self { octets: [0; 64], len: 0 }
    }
}

impl ShortText {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.octets[..self.len]).expect("invariant: made of whole texts")
    }
}

impl fmt::Write for ShortText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        self.octets.get_mut(self.len..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}
