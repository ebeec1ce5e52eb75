//! Sixteen lanes at a time.

use std::arch::x86_64::{
    __m512i, _mm512_cmple_epu32_mask, _mm512_loadu_si512, _mm512_mask_cmple_epu32_mask, _mm512_set1_epi32,
    _mm512_sub_epi32,
};

use super::{Column, Compare, Search};
use crate::key::{Key, LANES};

/// So many columns from one look at what is left to the next.
const STRIDE: usize = 2;

/// Evidence that the machine has AVX-512F.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Avx512(());

impl Avx512 {
    pub(super) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx512f").then_some(Self(()))
    }
}

#[target_feature(enable = "avx512f")]
pub(super) fn run<S: Search>(search: S, evidence: Avx512) -> S::Found {
    search.run(evidence)
}

impl Compare for Avx512 {
    #[inline(always)]
    fn inside(self, key: &Key, lanes: &[u8], columns: &[Column], live: u32) -> u32 {
        // SAFETY: the value is evidence that the machine has the instructions.
        unsafe { inside(key, lanes, columns, live) }
    }

    #[inline(always)]
    fn between(self, key: &Key, low: &[u32; LANES], high: &[u32; LANES]) -> bool {
        // SAFETY: the value is evidence that the machine has the instructions.
        unsafe { between(key, low, high) }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn inside(key: &Key, lanes: &[u8], columns: &[Column], live: u32) -> u32 {
    let mut inside = live as u16;
    for (lanes, columns) in lanes.chunks(STRIDE).zip(columns.chunks(STRIDE)) {
        for (&lane, column) in lanes.iter().zip(columns) {
            let value = _mm512_set1_epi32(key.lanes[usize::from(lane) % LANES].cast_signed());
            let behind = _mm512_sub_epi32(value, load::<0, _>(&column.low));
            inside = _mm512_mask_cmple_epu32_mask(inside, behind, load::<0, _>(&column.span));
        }
        if inside == 0 {
            break;
        }
    }
    u32::from(inside)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn between(key: &Key, low: &[u32; LANES], high: &[u32; LANES]) -> bool {
    half::<0>(key, low, high) & half::<16>(key, low, high) == u16::MAX
}

/// A bit for each of sixteen lanes.
#[inline]
#[target_feature(enable = "avx512f")]
fn half<const AT: usize>(key: &Key, low: &[u32; LANES], high: &[u32; LANES]) -> u16 {
    let value = load::<AT, _>(&key.lanes);
    let not_below = _mm512_cmple_epu32_mask(load::<AT, _>(low), value);
    _mm512_mask_cmple_epu32_mask(not_below, value, load::<AT, _>(high))
}

/// The sixteen numbers from `AT` on.
#[inline]
#[target_feature(enable = "avx512f")]
fn load<const AT: usize, const LENGTH: usize>(numbers: &[u32; LENGTH]) -> __m512i {
    const { assert!(AT + 16 <= LENGTH) };
    // SAFETY: sixteen numbers from `AT` on are in the array; the load asks for no alignment.
    unsafe { _mm512_loadu_si512(numbers.as_ptr().add(AT).cast()) }
}
