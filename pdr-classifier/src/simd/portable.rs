//! Plain loops over arrays, which the compiler may turn into vector instructions.

use super::{BLOCK, Column, Compare, EIGHT, FOUR};
use crate::key::{Key, LANES};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Portable;

impl Compare for Portable {
    #[inline(always)]
    fn inside(self, key: &Key, lanes: &[u8; LANES], columns: &[Column], live: u32) -> u32 {
        // All ones for each box that is left: a compiler makes vectors of these, and not of bits.
        let mut inside: [u32; BLOCK] = std::array::from_fn(|at| (live >> at & 1).wrapping_neg());
        for (&lane, column) in lanes.iter().zip(columns) {
            let value = key.lanes[usize::from(lane) % LANES];
            let mut any = 0;
            for ((inside, low), span) in inside.iter_mut().zip(column.low).zip(column.span) {
                *inside &= u32::from(value.wrapping_sub(low) <= span).wrapping_neg();
                any |= *inside;
            }
            if any == 0 {
                return 0;
            }
        }
        (0..).zip(inside).map(|(at, inside)| (inside & 1) << at).sum()
    }

    #[inline(always)]
    fn among_four(self, value: u32, column: &[u32; 2 * FOUR]) -> u32 {
        among::<FOUR>(value, column)
    }

    #[inline(always)]
    fn among_eight(self, value: u32, column: &[u32; 2 * EIGHT]) -> u32 {
        among::<EIGHT>(value, column)
    }

    #[inline(always)]
    fn between(self, key: &Key, low: &[u32; LANES], high: &[u32; LANES]) -> bool {
        let mut outside = 0;
        for ((value, low), high) in key.lanes.iter().zip(low).zip(high) {
            // An unsigned difference is large if the value is below `low`, too.
            outside |= u32::from(value.wrapping_sub(*low) > high.wrapping_sub(*low));
        }
        outside == 0
    }

    #[inline(always)]
    fn not_above(self, value: u32, numbers: &[u32; BLOCK]) -> u32 {
        numbers.iter().fold(0_u32, |count, &number| count.wrapping_add(u32::from(number <= value)))
    }
}

/// A bit for each of so many boxes that has the value.
#[inline(always)]
fn among<const BOXES: usize>(value: u32, column: &[u32]) -> u32 {
    let (lows, spans) = column.split_at(BOXES);
    let inside = lows.iter().zip(spans).map(|(low, span)| u32::from(value.wrapping_sub(*low) <= *span));
    (0..).zip(inside).map(|(at, inside)| inside << at).sum()
}
