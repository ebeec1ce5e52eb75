//! Keys of maps: text as in JSON, also for numbers; a number in the octets is an attribute's name.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{self, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde::ser::{self, Error as _, Impossible, Serialize};

use super::error::DirectError;
use super::item::write_text;

/// Writes the key of a map as the text that JSON has for it.
pub(super) struct KeySerializer<'a> {
    pub(super) out: &'a mut Vec<u8>,
}

macro_rules! as_text {
    ($($method:ident: $type:ty),+) => {
        $(fn $method(self, value: $type) -> Result<(), DirectError> {
            self.collect_str(&value)
        })+
    };
}

fn not_text<T>() -> Result<T, DirectError> {
    Err(DirectError::custom("a key must be text"))
}

impl ser::Serializer for KeySerializer<'_> {
    type Ok = ();
    type Error = DirectError;
    type SerializeSeq = Impossible<(), DirectError>;
    type SerializeTuple = Impossible<(), DirectError>;
    type SerializeTupleStruct = Impossible<(), DirectError>;
    type SerializeTupleVariant = Impossible<(), DirectError>;
    type SerializeMap = Impossible<(), DirectError>;
    type SerializeStruct = Impossible<(), DirectError>;
    type SerializeStructVariant = Impossible<(), DirectError>;

    as_text! {
        serialize_bool: bool, serialize_char: char,
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_f32: f32, serialize_f64: f64
    }

    fn serialize_str(self, text: &str) -> Result<(), DirectError> {
        write_text(self.out, text);
        Ok(())
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result<(), DirectError> {
        self.serialize_str(&value.to_string())
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), DirectError> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), DirectError> {
        value.serialize(self)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), DirectError> {
        value.serialize(self)
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<(), DirectError> {
        not_text()
    }

    fn serialize_none(self) -> Result<(), DirectError> {
        not_text()
    }

    fn serialize_unit(self) -> Result<(), DirectError> {
        not_text()
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), DirectError> {
        not_text()
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), DirectError> {
        not_text()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, DirectError> {
        not_text()
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, DirectError> {
        not_text()
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, DirectError> {
        not_text()
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, DirectError> {
        not_text()
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, DirectError> {
        not_text()
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeStruct, DirectError> {
        not_text()
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, DirectError> {
        not_text()
    }
}

/// Reads the key of a map, which is text for every type.
pub(super) struct KeyDeserializer<'de>(pub(super) Cow<'de, str>);

macro_rules! from_text {
    ($($method:ident $visit:ident: $type:ty),+) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DirectError> {
            match self.0.parse::<$type>() {
                Ok(value) => visitor.$visit(value),
                Err(_) => self.deserialize_any(visitor),
            }
        })+
    };
}

impl<'de> de::Deserializer<'de> for KeyDeserializer<'de> {
    type Error = DirectError;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DirectError> {
        match self.0 {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    from_text! {
        deserialize_bool visit_bool: bool,
        deserialize_i8 visit_i8: i8, deserialize_i16 visit_i16: i16,
        deserialize_i32 visit_i32: i32, deserialize_i64 visit_i64: i64,
        deserialize_u8 visit_u8: u8, deserialize_u16 visit_u16: u16,
        deserialize_u32 visit_u32: u32, deserialize_u64 visit_u64: u64,
        deserialize_f32 visit_f32: f32, deserialize_f64 visit_f64: f64
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DirectError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DirectError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DirectError> {
        let variant: StrDeserializer<'_, DirectError> = self.0.as_ref().into_deserializer();
        visitor.visit_enum(variant)
    }

    forward_to_deserialize_any! {
        i128 u128 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct
        identifier ignored_any
    }
}
