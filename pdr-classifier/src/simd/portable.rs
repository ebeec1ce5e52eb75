//! Plain loops over arrays, which the compiler may turn into vector instructions.

use super::{Column, Compare};
use crate::key::{Key, LANES};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Portable;

impl Compare for Portable {
    #[inline(always)]
    fn inside(self, key: &Key, lanes: &[u8], columns: &[Column], live: u32) -> u32 {
        let mut inside = live;
        for (&lane, column) in lanes.iter().zip(columns) {
            let value = key.lanes[usize::from(lane) % LANES];
            let mut bits = 0;
            for (at, (low, span)) in column.low.iter().zip(&column.span).enumerate() {
                bits |= u32::from(value.wrapping_sub(*low) <= *span) << at;
            }
            inside &= bits;
            if inside == 0 {
                break;
            }
        }
        inside
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
}
