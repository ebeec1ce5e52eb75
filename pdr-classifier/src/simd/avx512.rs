//! Sixteen lanes at a time.

use std::arch::x86_64::{
    __m512i, _mm512_cmple_epu32_mask, _mm512_loadu_si512, _mm512_mask_cmple_epu32_mask, _mm512_set1_epi32,
    _mm512_sub_epi32,
};

use super::{BLOCK, Column, Compare, EIGHT, FOUR, Search, avx2};
use crate::key::{Key, LANES};

/// After so many columns there is a look whether a box is left; after the first column too, since that one
/// leaves none in most blocks of a large set.
const LOOK: usize = 2;

/// Evidence that the machine has AVX-512F, and AVX2 for what is narrower.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Avx512(());

impl Avx512 {
    pub(super) fn detect() -> Option<Self> {
        let both = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx2");
        both.then_some(Self(()))
    }
}

#[target_feature(enable = "avx512f,avx2")]
pub(super) fn run<S: Search>(search: S, evidence: Avx512) -> S::Found {
    search.run(evidence)
}

impl Compare for Avx512 {
    #[inline(always)]
    fn inside(self, key: &Key, lanes: &[u8; LANES], columns: &[Column], live: u32) -> u32 {
        // SAFETY: the value is evidence that the machine has the instructions.
        unsafe { inside(key, lanes, columns, live) }
    }

    #[inline(always)]
    fn among_four(self, value: u32, column: &[u32; 2 * FOUR]) -> u32 {
        // SAFETY: the value is evidence that the machine has the instructions.
        unsafe { avx2::among_four(value, column) }
    }

    #[inline(always)]
    fn among_eight(self, value: u32, column: &[u32; 2 * EIGHT]) -> u32 {
        // SAFETY: the value is evidence that the machine has the instructions.
        unsafe { avx2::among_eight(value, column) }
    }

    #[inline(always)]
    fn between(self, key: &Key, low: &[u32; LANES], high: &[u32; LANES]) -> bool {
        // SAFETY: the value is evidence that the machine has the instructions.
        unsafe { between(key, low, high) }
    }

    #[inline(always)]
    fn not_above(self, value: u32, numbers: &[u32; BLOCK]) -> u32 {
        // SAFETY: the value is evidence that the machine has the instructions.
        unsafe { not_above(value, numbers) }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn inside(key: &Key, lanes: &[u8; LANES], columns: &[Column], live: u32) -> u32 {
    let Some((column, columns)) = columns.split_first() else { return live };
    let [lane, lanes @ ..] = lanes;
    let mut inside = live as u16 & within(key, *lane, column);
    let (pairs, last) = columns.as_chunks::<LOOK>();
    let (lane_pairs, lanes) = lanes.as_chunks::<LOOK>();
    for ([one, other], [first, second]) in lane_pairs.iter().zip(pairs) {
        if inside == 0 {
            return 0;
        }
        // Neither waits for the other.
        inside &= within(key, *one, first) & within(key, *other, second);
    }
    if let [column] = last {
        let lane = lane_pairs.get(pairs.len()).map_or(lanes[0], |pair| pair[0]);
        inside &= within(key, lane, column);
    }
    u32::from(inside)
}

/// A bit for each box that has the key's value in the lane.
#[inline]
#[target_feature(enable = "avx512f")]
fn within(key: &Key, lane: u8, column: &Column) -> u16 {
    let value = _mm512_set1_epi32(key.lanes[usize::from(lane) % LANES].cast_signed());
    let behind = _mm512_sub_epi32(value, load::<0, _>(&column.low));
    _mm512_cmple_epu32_mask(behind, load::<0, _>(&column.span))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn between(key: &Key, low: &[u32; LANES], high: &[u32; LANES]) -> bool {
    half::<0>(key, low, high) & half::<16>(key, low, high) == u16::MAX
}

#[inline]
#[target_feature(enable = "avx512f")]
fn not_above(value: u32, numbers: &[u32; BLOCK]) -> u32 {
    let value = _mm512_set1_epi32(value.cast_signed());
    _mm512_cmple_epu32_mask(load::<0, _>(numbers), value).count_ones()
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
