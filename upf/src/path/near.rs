//! A few values in as little room as they take.

use std::ops::Deref;

/// `N` values right here, or any other number of them one step away. It is as large as `N` values are, if these
/// have a bit pattern to spare: what most sessions have so many of is here, and few pay for having others.
#[derive(Clone, Debug)]
pub(crate) enum Near<T, const N: usize> {
    /// So many.
    Here([T; N]),
    /// Others.
    Elsewhere(Box<Box<[T]>>),
}

impl<T, const N: usize> Deref for Near<T, N> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        match self {
            Self::Here(values) => values,
            Self::Elsewhere(values) => values,
        }
    }
}

impl<T, const N: usize> From<Vec<T>> for Near<T, N> {
    fn from(values: Vec<T>) -> Self {
        match <[T; N]>::try_from(values) {
            Ok(values) => Self::Here(values),
            Err(values) => Self::Elsewhere(Box::new(values.into())),
        }
    }
}
