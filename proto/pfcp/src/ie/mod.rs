//! The values of information elements (TS 29.244 §8.2), by what they are about.

mod addressing;
mod control;
mod detection;
mod identity;
mod numbers;
mod rules;
mod usage;

pub use addressing::*;
pub use control::*;
pub use detection::*;
pub use identity::*;
pub use numbers::*;
pub use rules::*;
pub use usage::*;

/// Declares flag sets of up to eight octets; octet 5 of the IE is the lowest byte, so bit *n*
/// of octet *5 + k* is `1 << (8 * k + n - 1)`. `min` octets are required when read and at
/// least as many are written.
macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident($repr:ty) read $min:literal write $write:literal { $($(#[$fdoc:meta])* $flag:ident = $bit:expr;)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name(pub $repr);

        impl $name {
            $($(#[$fdoc])* pub const $flag: Self = Self(1 << $bit);)*

            /// Whether every flag of `other` is set.
            pub fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }
        }

        impl std::ops::BitOr for $name {
            type Output = Self;
            fn bitor(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        }

        impl std::ops::BitOrAssign for $name {
            fn bitor_assign(&mut self, other: Self) {
                self.0 |= other.0;
            }
        }

        impl $crate::wire::Value for $name {
            fn read(cursor: &mut $crate::wire::Cursor<'_>) -> Result<Self, $crate::DecodeError> {
                let octets = cursor.rest();
                if octets.len() < $min {
                    return Err(cursor.error($crate::Fault::Length));
                }
                let mut value: $repr = 0;
                for (index, octet) in octets.iter().take(<$repr>::BITS as usize / 8).enumerate() {
                    value |= <$repr>::from(*octet) << (8 * index);
                }
                Ok(Self(value))
            }

            fn write(&self, out: &mut Vec<u8>) {
                let octets = self.0.to_le_bytes();
                let used = octets.len() - self.0.leading_zeros() as usize / 8;
                out.extend_from_slice(&octets[..used.max($write)]);
            }
        }
    )*};
}
pub(crate) use flags;
