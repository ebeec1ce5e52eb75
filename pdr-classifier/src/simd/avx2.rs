//! Eight lanes at a time.

use std::arch::x86_64::{
    __m256i, _mm_castsi128_ps, _mm_cmpeq_epi32, _mm_loadu_si128, _mm_min_epu32, _mm_movemask_ps,
    _mm_set1_epi32, _mm_sub_epi32, _mm256_and_si256, _mm256_castsi256_ps, _mm256_cmpeq_epi32,
    _mm256_loadu_si256, _mm256_max_epu32, _mm256_min_epu32, _mm256_movemask_epi8, _mm256_movemask_ps,
    _mm256_set1_epi32, _mm256_sub_epi32,
};

use super::{BLOCK, Column, Compare, EIGHT, FOUR, Search};
use crate::key::{Key, LANES};

/// Evidence that the machine has AVX2, and BMI1.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Avx2(());

impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        // Where there is the one there is the other, which finds the lowest bit in one instruction.
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi1")).then_some(Self(()))
    }
}

#[target_feature(enable = "avx2,bmi1")]
pub(super) fn run<S: Search>(search: S, evidence: Avx2) -> S::Found {
    search.run(evidence)
}

impl Compare for Avx2 {
    #[inline(always)]
    fn inside(self, key: &Key, lanes: &[u8; LANES], columns: &[Column], live: u32) -> u32 {
        // SAFETY: the value is evidence that the machine has the instructions.
        unsafe { inside(key, lanes, columns, live) }
    }

    #[inline(always)]
    fn among_four(self, value: u32, column: &[u32; 2 * FOUR]) -> u32 {
        // SAFETY: the value is evidence that the machine has the instructions.
        unsafe { among_four(value, column) }
    }

    #[inline(always)]
    fn among_eight(self, value: u32, column: &[u32; 2 * EIGHT]) -> u32 {
        // SAFETY: the value is evidence that the machine has the instructions.
        unsafe { among_eight(value, column) }
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
#[target_feature(enable = "avx2")]
fn inside(key: &Key, lanes: &[u8; LANES], columns: &[Column], live: u32) -> u32 {
    let mut inside = live;
    for (&lane, column) in lanes.iter().zip(columns) {
        let value = _mm256_set1_epi32(key.lanes[usize::from(lane) % LANES].cast_signed());
        let first = within(value, load::<0, _>(&column.low), load::<0, _>(&column.span));
        let last = within(value, load::<8, _>(&column.low), load::<8, _>(&column.span));
        inside &= bits(first) | bits(last) << 8;
        if inside == 0 {
            break;
        }
    }
    inside
}

/// A bit for each of four boxes that has the value.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn among_four(value: u32, column: &[u32; 2 * FOUR]) -> u32 {
    let [low, span] = [0, FOUR].map(|at| {
        // SAFETY: four numbers from `at` on are in the array; the load asks for no alignment.
        unsafe { _mm_loadu_si128(column.as_ptr().add(at).cast()) }
    });
    let behind = _mm_sub_epi32(_mm_set1_epi32(value.cast_signed()), low);
    let inside = _mm_cmpeq_epi32(_mm_min_epu32(behind, span), behind);
    _mm_movemask_ps(_mm_castsi128_ps(inside)).cast_unsigned()
}

/// A bit for each of eight boxes that has the value.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn among_eight(value: u32, column: &[u32; 2 * EIGHT]) -> u32 {
    let value = _mm256_set1_epi32(value.cast_signed());
    bits(within(value, load::<0, _>(column), load::<EIGHT, _>(column)))
}

#[inline]
#[target_feature(enable = "avx2")]
fn between(key: &Key, low: &[u32; LANES], high: &[u32; LANES]) -> bool {
    let first = clamped::<0>(key, low, high);
    let second = clamped::<8>(key, low, high);
    let third = clamped::<16>(key, low, high);
    let last = clamped::<24>(key, low, high);
    let all = _mm256_and_si256(_mm256_and_si256(first, second), _mm256_and_si256(third, last));
    _mm256_movemask_epi8(all) == -1
}

#[inline]
#[target_feature(enable = "avx2")]
fn not_above(value: u32, numbers: &[u32; BLOCK]) -> u32 {
    let value = _mm256_set1_epi32(value.cast_signed());
    let not_above = |numbers| bits(_mm256_cmpeq_epi32(_mm256_max_epu32(numbers, value), value));
    (not_above(load::<0, _>(numbers)) | not_above(load::<8, _>(numbers)) << 8).count_ones()
}

/// All ones in each lane whose value stays as it is when it is brought between its bounds.
#[inline]
#[target_feature(enable = "avx2")]
fn clamped<const AT: usize>(key: &Key, low: &[u32; LANES], high: &[u32; LANES]) -> __m256i {
    let value = load::<AT, _>(&key.lanes);
    let clamped = _mm256_min_epu32(_mm256_max_epu32(value, load::<AT, _>(low)), load::<AT, _>(high));
    _mm256_cmpeq_epi32(clamped, value)
}

/// All ones in each lane where the value is at most `span` behind `low`. AVX2 compares signed numbers
/// only; the lesser of two unsigned ones it has.
#[inline]
#[target_feature(enable = "avx2")]
fn within(value: __m256i, low: __m256i, span: __m256i) -> __m256i {
    let behind = _mm256_sub_epi32(value, low);
    _mm256_cmpeq_epi32(_mm256_min_epu32(behind, span), behind)
}

/// A bit for each lane.
#[inline]
#[target_feature(enable = "avx2")]
fn bits(lanes: __m256i) -> u32 {
    _mm256_movemask_ps(_mm256_castsi256_ps(lanes)).cast_unsigned()
}

/// The eight numbers from `AT` on.
#[inline]
#[target_feature(enable = "avx2")]
fn load<const AT: usize, const LENGTH: usize>(numbers: &[u32; LENGTH]) -> __m256i {
    const { assert!(AT + 8 <= LENGTH) };
    // SAFETY: eight numbers from `AT` on are in the array; the load asks for no alignment.
    unsafe { _mm256_loadu_si256(numbers.as_ptr().add(AT).cast()) }
}
