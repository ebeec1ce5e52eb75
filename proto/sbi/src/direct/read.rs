//! Models read.

use std::borrow::Cow;

use serde::de::{self, DeserializeSeed, Error as _, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use super::error::{DirectError, Fault};
use super::item::{FALSE, FLOAT16, FLOAT32, FLOAT64, NULL, Reader, TRUE, UNDEFINED, half, major};
use super::keys::KeyDeserializer;
use super::{NESTING_MAX, OCTETS, names};

/// Reads a model. A byte string is the text of its hexadecimal digits, except to [`OCTETS`].
pub(crate) struct Deserializer<'de> {
    reader: Reader<'de>,
    /// Arrays and maps that may still be entered.
    depth: u8,
}

impl<'de> Deserializer<'de> {
    pub(crate) fn new(octets: &'de [u8]) -> Self {
        Self { reader: Reader::new(octets), depth: NESTING_MAX }
    }

    /// Nothing may follow.
    pub(crate) fn end(&self) -> Result<(), DirectError> {
        if self.reader.remaining() == 0 { Ok(()) } else { Err(self.reader.error(Fault::Trailing)) }
    }

    /// Says where, if the error does not.
    pub(crate) fn locate(&self, error: DirectError) -> DirectError {
        DirectError { at: error.at.or(Some(self.reader.at())), ..error }
    }

    #[inline]
    fn enter(&mut self) -> Result<(), DirectError> {
        match self.depth.checked_sub(1) {
            Some(depth) => {
                self.depth = depth;
                Ok(())
            }
            None => Err(self.reader.error(Fault::Nesting)),
        }
    }

    /// Begins an array or a map.
    fn elements(&mut self) -> Result<Elements<'_, 'de>, DirectError> {
        self.enter()?;
        let left = self.reader.head()?.argument;
        // Each element takes an octet: so what a peer announces is never more than it sends.
        if left.is_some_and(|left| left > self.reader.remaining() as u64) {
            return Err(self.reader.error(Fault::Truncated));
        }
        Ok(Elements { deserializer: self, left })
    }

    fn float(&mut self, initial: u8) -> Result<f64, DirectError> {
        let bits = self.reader.head()?.argument.unwrap_or_default();
        Ok(match initial {
            FLOAT16 => half(bits as u16),
            FLOAT32 => f64::from(f32::from_bits(bits as u32)),
            _ => f64::from_bits(bits),
        })
    }

    /// Reads a value of a kind that models seldom have. It is apart so that it is built once, not for each type.
    fn seldom(&mut self, initial: u8) -> Result<Seldom, DirectError> {
        match (initial >> 5, initial) {
            (major::NEGATIVE, _) => {
                let argument = self.reader.head()?.argument.unwrap_or_default();
                Ok(match i64::try_from(argument) {
                    Ok(argument) => Seldom::Negative(-1 - argument),
                    // As JSON reads a number beyond 64 bits.
                    Err(_) => Seldom::Float(-1.0 - argument as f64),
                })
            }
            (major::BYTES, _) => Ok(Seldom::Text(hex::encode(self.reader.string(major::BYTES)?))),
            (_, FALSE | TRUE) => {
                self.reader.advance();
                Ok(Seldom::Bool(initial == TRUE))
            }
            (_, NULL | UNDEFINED) => {
                self.reader.advance();
                Ok(Seldom::Null)
            }
            (_, FLOAT16 | FLOAT32 | FLOAT64) => Ok(Seldom::Float(self.float(initial)?)),
            _ => Err(self.reader.error(Fault::Reserved)),
        }
    }

    fn is_null(&mut self) -> Result<bool, DirectError> {
        Ok(matches!(self.reader.peek_item()?, NULL | UNDEFINED))
    }
}

/// See [`Deserializer::seldom`].
enum Seldom {
    Null,
    Bool(bool),
    Negative(i64),
    Float(f64),
    Text(String),
}

const NO_VARIANT: Fault = Fault::Expected("value");

fn visit_text<'de, V: Visitor<'de>>(text: Cow<'de, str>, visitor: V) -> Result<V::Value, DirectError> {
    match text {
        Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
        Cow::Owned(text) => visitor.visit_string(text),
    }
}

impl<'de> de::Deserializer<'de> for &mut Deserializer<'de> {
    type Error = DirectError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DirectError> {
        let initial = self.reader.peek_item()?;
        match initial >> 5 {
            major::UNSIGNED => visitor.visit_u64(self.reader.head()?.argument.unwrap_or_default()),
            major::TEXT => visit_text(self.reader.text()?, visitor),
            major::ARRAY => {
                let mut elements = self.elements()?;
                let value = visitor.visit_seq(&mut elements)?;
                elements.finish()?;
                Ok(value)
            }
            major::MAP => {
                let mut elements = self.elements()?;
                let value = visitor.visit_map(&mut elements)?;
                elements.finish()?;
                Ok(value)
            }
            _ => match self.seldom(initial)? {
                Seldom::Null => visitor.visit_unit(),
                Seldom::Bool(value) => visitor.visit_bool(value),
                Seldom::Negative(number) => visitor.visit_i64(number),
                Seldom::Float(number) => visitor.visit_f64(number),
                Seldom::Text(text) => visitor.visit_string(text),
            },
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DirectError> {
        if self.is_null()? {
            self.reader.advance();
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DirectError> {
        if name == OCTETS {
            return visitor.visit_newtype_struct(Raw(self));
        }
        visitor.visit_newtype_struct(self)
    }

    /// Text is a variant without content, a map of one element a variant with it. Anything else is
    /// malformed, as it is in JSON for `serde_json`.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DirectError> {
        match self.reader.peek_item()? >> 5 {
            major::TEXT => visitor.visit_enum(Variant { deserializer: self, has_content: false }),
            major::MAP => {
                let mut elements = self.elements()?;
                if !elements.more()? {
                    return Err(elements.deserializer.reader.error(NO_VARIANT));
                }
                let variant = Variant { deserializer: elements.deserializer, has_content: true };
                let value = visitor.visit_enum(variant)?;
                elements.finish_with(NO_VARIANT)?;
                Ok(value)
            }
            _ => Err(self.reader.error(NO_VARIANT)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DirectError> {
        self.reader.skip(self.depth)?;
        visitor.visit_unit()
    }

    /// Arrays and maps are refused, as they are in JSON by `serde_json`, also to a type that would
    /// take a sequence of octets for its text.
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DirectError> {
        match self.reader.peek_item()? >> 5 {
            major::ARRAY => Err(DirectError::invalid_type(Unexpected::Seq, &visitor)),
            major::MAP => Err(DirectError::invalid_type(Unexpected::Map, &visitor)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DirectError> {
        self.deserialize_str(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier
    }
}

/// The elements of an array or a map being read.
struct Elements<'a, 'de> {
    deserializer: &'a mut Deserializer<'de>,
    /// Still to come; `None` up to a break.
    left: Option<u64>,
}

impl<'de> Elements<'_, 'de> {
    #[inline]
    fn more(&mut self) -> Result<bool, DirectError> {
        self.deserializer.reader.more(&mut self.left)
    }

    /// A type that is content before the end leaves something that it does not have.
    #[inline]
    fn finish(self) -> Result<(), DirectError> {
        self.finish_with(Fault::Surplus)
    }

    #[inline]
    fn finish_with(mut self, surplus: Fault) -> Result<(), DirectError> {
        if self.more()? {
            return Err(self.deserializer.reader.error(surplus));
        }
        self.deserializer.depth += 1;
        Ok(())
    }

    #[inline]
    fn key(&mut self) -> Result<Cow<'de, str>, DirectError> {
        let reader = &mut self.deserializer.reader;
        match reader.peek_item()? >> 5 {
            major::UNSIGNED => {
                let number = reader.head()?.argument.unwrap_or_default();
                // No attribute has such a name: it is as unknown as a newer peer's.
                Ok(names::name(number).map_or_else(|| Cow::Owned(format!("#{number}")), Cow::Borrowed))
            }
            major::TEXT => reader.text(),
            _ => Err(reader.error(Fault::Key)),
        }
    }

    /// What the octets at hand allow for.
    fn hint(&self) -> Option<usize> {
        usize::try_from(self.left?).ok()
    }
}

impl<'de> de::SeqAccess<'de> for &mut Elements<'_, 'de> {
    type Error = DirectError;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DirectError> {
        if self.more()? { seed.deserialize(&mut *self.deserializer).map(Some) } else { Ok(None) }
    }

    fn size_hint(&self) -> Option<usize> {
        self.hint()
    }
}

impl<'de> de::MapAccess<'de> for &mut Elements<'_, 'de> {
    type Error = DirectError;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, DirectError> {
        if !self.more()? {
            return Ok(None);
        }
        seed.deserialize(KeyDeserializer(self.key()?)).map(Some)
    }

    #[inline]
    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, DirectError> {
        seed.deserialize(&mut *self.deserializer)
    }

    fn size_hint(&self) -> Option<usize> {
        self.hint()
    }
}

/// A variant of an enumeration being read.
struct Variant<'a, 'de> {
    deserializer: &'a mut Deserializer<'de>,
    has_content: bool,
}

impl<'de> de::EnumAccess<'de> for Variant<'_, 'de> {
    type Error = DirectError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), DirectError> {
        let name = self.deserializer.reader.text()?;
        Ok((seed.deserialize(KeyDeserializer(name))?, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'_, 'de> {
    type Error = DirectError;

    fn unit_variant(self) -> Result<(), DirectError> {
        if self.has_content { de::Deserialize::deserialize(self.deserializer) } else { Ok(()) }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, DirectError> {
        if !self.has_content {
            return Err(DirectError::invalid_type(Unexpected::UnitVariant, &"newtype variant"));
        }
        seed.deserialize(self.deserializer)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, DirectError> {
        if !self.has_content {
            return Err(DirectError::invalid_type(Unexpected::UnitVariant, &"tuple variant"));
        }
        de::Deserializer::deserialize_any(self.deserializer, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DirectError> {
        if !self.has_content {
            return Err(DirectError::invalid_type(Unexpected::UnitVariant, &"struct variant"));
        }
        de::Deserializer::deserialize_any(self.deserializer, visitor)
    }
}

/// Reads what is within [`OCTETS`]: a byte string as its octets, text as text.
struct Raw<'a, 'de>(&'a mut Deserializer<'de>);

impl<'de> de::Deserializer<'de> for Raw<'_, 'de> {
    type Error = DirectError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DirectError> {
        if self.0.reader.peek_item()? >> 5 != major::BYTES {
            return self.0.deserialize_any(visitor);
        }
        match self.0.reader.string(major::BYTES)? {
            Cow::Borrowed(octets) => visitor.visit_borrowed_bytes(octets),
            Cow::Owned(octets) => visitor.visit_byte_buf(octets),
        }
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}
