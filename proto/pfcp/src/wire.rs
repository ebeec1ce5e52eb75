//! Type-length-value: reading, writing, and the grouped IEs made by the `group!` macro.

use crate::error::{DecodeError, Fault};

/// How often one IE may repeat in its parent, for example the PDRs of one request.
pub const IE_REPEATS_MAX: usize = 512;

/// How many unknown IEs of one parent are kept; those after them are skipped.
pub const UNKNOWN_IES_MAX: usize = 32;

/// An IE without a type of its own here: unknown, of a vendor, or of no use to a 5G core.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawIe {
    /// The type, vendor bit (0x8000) included.
    pub ie_type: u16,
    /// The value; a vendor's IE begins with its two-octet enterprise ID (TS 29.244 §8.1.1).
    pub value: Vec<u8>,
}

impl RawIe {
    /// The enterprise ID of a vendor-specific IE.
    pub fn enterprise(&self) -> Option<u16> {
        match (self.ie_type & 0x8000 != 0, self.value.as_slice()) {
            (true, [high, low, ..]) => Some(u16::from_be_bytes([*high, *low])),
            _ => None,
        }
    }
}

/// The value of one IE being read.
#[derive(Clone, Copy)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    ie_type: u16,
    offset: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(ie_type: u16, bytes: &'a [u8], offset: usize) -> Self {
        Self { bytes, ie_type, offset }
    }

    pub(crate) fn error(&self, fault: Fault) -> DecodeError {
        DecodeError { fault, ie_type: self.ie_type, offset: self.offset }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn take(&mut self, octets: usize) -> Result<&'a [u8], DecodeError> {
        let Some((head, tail)) = self.bytes.split_at_checked(octets) else {
            return Err(self.error(Fault::Length));
        };
        self.bytes = tail;
        self.offset += octets;
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut value = [0; N];
        value.copy_from_slice(self.take(N)?);
        Ok(value)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u24(&mut self) -> Result<u32, DecodeError> {
        self.array::<3>().map(|[a, b, c]| u32::from_be_bytes([0, a, b, c]))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u40(&mut self) -> Result<u64, DecodeError> {
        let [a, b, c, d, e] = self.array::<5>()?;
        Ok(u64::from_be_bytes([0, 0, 0, a, b, c, d, e]))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        let rest = self.bytes;
        self.offset += rest.len();
        self.bytes = &[];
        rest
    }

    /// The next IE, if there is one.
    pub(crate) fn next_ie(&mut self) -> Result<Option<Cursor<'a>>, DecodeError> {
        if self.is_empty() {
            return Ok(None);
        }
        let ie_type = self.u16()?;
        let length = usize::from(self.u16()?);
        let offset = self.offset;
        let Ok(bytes) = self.take(length) else {
            return Err(DecodeError { fault: Fault::Length, ie_type, offset });
        };
        Ok(Some(Cursor { bytes, ie_type, offset }))
    }

    pub(crate) fn ie_type(&self) -> u16 {
        self.ie_type
    }
}

/// What an IE carries. Octets after the known ones are ignored when read: IEs are extendable.
pub(crate) trait Value: Sized {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError>;
    fn write(&self, out: &mut Vec<u8>);

    /// Reads to where the value stays: groups are long, and in others, so that they are not moved.
    fn read_into(&mut self, cursor: &mut Cursor<'_>) -> Result<(), DecodeError> {
        *self = Self::read(cursor)?;
        Ok(())
    }

    fn read_some(place: &mut Option<Self>, cursor: &mut Cursor<'_>) -> Result<(), DecodeError> {
        *place = Some(Self::read(cursor)?);
        Ok(())
    }

    fn read_next(all: &mut Vec<Self>, cursor: &mut Cursor<'_>) -> Result<(), DecodeError> {
        all.push(Self::read(cursor)?);
        Ok(())
    }
}

/// Appends one IE. A length that overflows makes the whole message too long, which
/// `Frame::encode` finds.
pub(crate) fn put<V: Value>(out: &mut Vec<u8>, ie_type: u16, value: &V) {
    out.extend_from_slice(&ie_type.to_be_bytes());
    let length_at = out.len();
    out.extend_from_slice(&[0, 0]);
    value.write(out);
    let length = u16::try_from(out.len() - length_at - 2).unwrap_or(u16::MAX);
    out[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes());
}

pub(crate) fn put_raw(out: &mut Vec<u8>, raw: &RawIe) {
    out.extend_from_slice(&raw.ie_type.to_be_bytes());
    let length = u16::try_from(raw.value.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&raw.value);
}

/// Adds a value to a field of any number of them.
pub(crate) fn add_next<V: Value>(all: &mut Vec<V>, cursor: &mut Cursor<'_>) -> Result<(), DecodeError> {
    if all.len() == IE_REPEATS_MAX {
        return Err(cursor.error(Fault::TooMany));
    }
    V::read_next(all, cursor)
}

/// An IE that must be there is not.
pub(crate) fn missing(ie_type: u16, parent: &Cursor<'_>) -> DecodeError {
    DecodeError { fault: Fault::MandatoryMissing, ie_type, offset: parent.offset }
}

/// Declares groups of IEs, which are both grouped IEs and message bodies:
/// `one` is mandatory, `opt` optional, `many` repeats (and may be absent).
///
/// The first of a field that comes once counts; a repetition is ignored (TS 29.244 §7.6.7).
macro_rules! group {
    ($($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $kind:ident $ty:literal $field:ident: $value:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct $name {
            $($(#[$fdoc])* pub $field: $crate::wire::field!($kind $value),)*
            /// IEs that are not understood here, in their order.
            pub unknown: Vec<$crate::RawIe>,
        }

        impl $crate::wire::Value for $name {
            fn read(cursor: &mut $crate::wire::Cursor<'_>) -> Result<Self, $crate::DecodeError> {
                let mut group = Self::default();
                group.read_into(cursor)?;
                Ok(group)
            }

            /// Only into a group that is empty.
            #[allow(unused_mut, unused_variables, unused_assignments, reason = "only what is mandatory must come")]
            fn read_into(&mut self, cursor: &mut $crate::wire::Cursor<'_>) -> Result<(), $crate::DecodeError> {
                let parent = *cursor;
                $(let mut $field = false;)*
                while let Some(mut ie) = cursor.next_ie()? {
                    match ie.ie_type() {
                        $($ty => $crate::wire::add_field!($kind self.$field, $field, ie),)*
                        ie_type => {
                            if self.unknown.len() < $crate::wire::UNKNOWN_IES_MAX {
                                self.unknown.push($crate::RawIe { ie_type, value: ie.rest().to_vec() });
                            }
                        }
                    }
                }
                $($crate::wire::check_field!($kind $ty $field, parent);)*
                Ok(())
            }

            fn read_some(
                place: &mut Option<Self>,
                cursor: &mut $crate::wire::Cursor<'_>,
            ) -> Result<(), $crate::DecodeError> {
                place.insert(Self::default()).read_into(cursor)
            }

            fn read_next(
                all: &mut Vec<Self>,
                cursor: &mut $crate::wire::Cursor<'_>,
            ) -> Result<(), $crate::DecodeError> {
                all.push(Self::default());
                all.last_mut().map_or(Ok(()), |group| group.read_into(cursor))
            }

            fn write(&self, out: &mut Vec<u8>) {
                $($crate::wire::put_field!($kind $ty self.$field, out);)*
                for raw in &self.unknown {
                    $crate::wire::put_raw(out, raw);
                }
            }
        }
    )*};
}

macro_rules! field {
    (one $value:ty) => { $value };
    (opt $value:ty) => { Option<$value> };
    (many $value:ty) => { Vec<$value> };
}

macro_rules! add_field {
    (one $place:expr, $came:ident, $ie:ident) => {
        if !$came {
            $crate::wire::Value::read_into(&mut $place, &mut $ie)?;
            $came = true;
        }
    };
    (opt $place:expr, $came:ident, $ie:ident) => {
        if $place.is_none() {
            $crate::wire::Value::read_some(&mut $place, &mut $ie)?;
        }
    };
    (many $place:expr, $came:ident, $ie:ident) => {
        $crate::wire::add_next(&mut $place, &mut $ie)?
    };
}

macro_rules! check_field {
    (one $ty:literal $came:ident, $parent:ident) => {
        if !$came {
            return Err($crate::wire::missing($ty, &$parent));
        }
    };
    (opt $ty:literal $came:ident, $parent:ident) => {};
    (many $ty:literal $came:ident, $parent:ident) => {};
}

macro_rules! put_field {
    (one $ty:literal $value:expr, $out:ident) => {
        $crate::wire::put($out, $ty, &$value)
    };
    // An optional field, or one that repeats.
    ($kind:ident $ty:literal $value:expr, $out:ident) => {
        $value.iter().for_each(|value| $crate::wire::put($out, $ty, value))
    };
}

pub(crate) use {add_field, check_field, field, group, put_field};
