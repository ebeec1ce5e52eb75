//! Comparisons of many lanes at a time: AVX-512, AVX2, or portable code, chosen when the program runs.
//!
//! A whole search is compiled once for each kind of instructions ([`Vectors::run`]), so that there is a
//! choice for each lookup and not for each lane.
#![allow(unsafe_code, reason = "instructions that not every machine has, and loads into their registers")]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

use crate::key::{Key, LANES};
pub(crate) use portable::Portable;

/// The boxes of a small column: the lows of four, then their spans.
pub(crate) const FOUR: usize = 4;
/// The same with eight of each.
pub(crate) const EIGHT: usize = 8;

/// The boxes whose intervals in one lane a [`Column`] has.
pub(crate) const BLOCK: usize = 16;

/// Bytes that memory gives at once.
#[cfg(target_arch = "x86_64")]
const CACHE_LINE: usize = 64;

/// An interval for each box of a block, in one lane: a value is in it if it is at most `span` behind
/// `low`, round the end of the numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub(crate) struct Column {
    pub(crate) low: [u32; BLOCK],
    pub(crate) span: [u32; BLOCK],
}

impl Column {
    /// No box asks anything.
    pub(crate) const FREE: Self = Self { low: [0; BLOCK], span: [u32::MAX; BLOCK] };
}

/// What a search asks, of one kind of instructions. A value of a type that implements it is evidence
/// that the machine has them.
pub(crate) trait Compare: Copy {
    /// Which of the boxes in `live`, a bit each, have the key in all columns. Each column is of the lane
    /// at its place in `lanes`.
    fn inside(self, key: &Key, lanes: &[u8; LANES], columns: &[Column], live: u32) -> u32;

    /// Which of four boxes have the value, a bit each: lows, then spans.
    fn among_four(self, value: u32, column: &[u32; 2 * FOUR]) -> u32;

    /// Which of eight boxes have the value.
    fn among_eight(self, value: u32, column: &[u32; 2 * EIGHT]) -> u32;

    /// Whether each of the key's lanes is between its two bounds.
    fn between(self, key: &Key, low: &[u32; LANES], high: &[u32; LANES]) -> bool;

    /// How many of the numbers are not above the value.
    fn not_above(self, value: u32, numbers: &[u32; BLOCK]) -> u32;
}

/// A search that any kind of instructions can do.
pub(crate) trait Search {
    type Found;

    /// To be inlined, so that it is compiled for the instructions that `compare` is evidence of.
    fn run(self, compare: impl Compare) -> Self::Found;
}

/// The vector instructions that a classifier searches with.
///
/// A classifier takes the best that the machine has; tests and measurements may force another. There is
/// no value for instructions that the machine does not have.
///
/// ```
/// use pdr_classifier::{BlockedScan, Vectors};
/// for vectors in Vectors::available() {
///     let scan = BlockedScan::new().with_vectors(vectors);
///     println!("{vectors}: {scan:?}");
/// }
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Vectors(Kind);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Portable(Portable),
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(avx512::Avx512),
}

/// How many lanes are compared at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "all but the last are of x86-64"))]
pub(crate) enum Width {
    Sixteen,
    Eight,
    /// The compiler's choice.
    Unknown,
}

/// Asks for the cache lines of what is needed soon, so that they come at once and not one after the
/// other. Where there is no instruction for that, nothing happens.
#[inline(always)]
pub fn prefetch<T: ?Sized>(wanted: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let first = std::ptr::from_ref(wanted).cast::<i8>();
        for at in (0..size_of_val(wanted)).step_by(CACHE_LINE) {
            // SAFETY: the address is in the value; all x86-64 processors have the instruction, which reads
            // nothing that the program sees.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(first.add(at)) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = wanted;
}

impl Vectors {
    /// None but those that the compiler takes for granted.
    pub const PORTABLE: Self = Self(Kind::Portable(Portable));

    /// All that the machine has, the best first.
    pub fn available() -> Vec<Self> {
        Self::detect().into_iter().flatten().chain([Self::PORTABLE]).collect()
    }

    /// The best that the machine has.
    pub fn best() -> Self {
        Self::detect().into_iter().flatten().next().unwrap_or(Self::PORTABLE)
    }

    /// Those that not every machine has, the best first. The standard library asks the processor once and
    /// remembers.
    #[cfg(target_arch = "x86_64")]
    fn detect() -> [Option<Self>; 2] {
        [
            avx512::Avx512::detect().map(|evidence| Self(Kind::Avx512(evidence))),
            avx2::Avx2::detect().map(|evidence| Self(Kind::Avx2(evidence))),
        ]
    }

    #[cfg(not(target_arch = "x86_64"))]
    const fn detect() -> [Option<Self>; 0] {
        []
    }

    /// `avx512`, `avx2` or `portable`.
    pub const fn name(self) -> &'static str {
        match self.0 {
            Kind::Portable(_) => "portable",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(_) => "avx512",
        }
    }

    pub(crate) const fn width(self) -> Width {
        match self.0 {
            Kind::Portable(_) => Width::Unknown,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(_) => Width::Eight,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(_) => Width::Sixteen,
        }
    }

    /// Does the search with these instructions.
    #[inline]
    pub(crate) fn run<S: Search>(self, search: S) -> S::Found {
        match self.0 {
            Kind::Portable(portable) => search.run(portable),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the value is evidence that the machine has the instructions.
            Kind::Avx2(evidence) => unsafe { avx2::run(search, evidence) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the value is evidence that the machine has the instructions.
            Kind::Avx512(evidence) => unsafe { avx512::run(search, evidence) },
        }
    }
}

impl Default for Vectors {
    fn default() -> Self {
        Self::best()
    }
}

impl std::fmt::Display for Vectors {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.name())
    }
}

impl std::fmt::Debug for Vectors {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.name())
    }
}
