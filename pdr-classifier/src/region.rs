//! The part of the space of keys that one alternative of a rule covers.

use crate::key::{Key, LANES, Lane};
use crate::simd::Compare;

/// A value of which only the bits of the mask count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Masked {
    value: u32,
    mask: u32,
}

impl Masked {
    /// The value's bits beyond the mask are ignored.
    pub const fn new(value: u32, mask: u32) -> Self {
        Self { value: value & mask, mask }
    }

    /// Whether the value agrees.
    pub const fn matches(self, value: u32) -> bool {
        value & self.mask == self.value
    }

    /// The value with the mask's bits as they must be.
    pub(crate) const fn apply(self, value: u32) -> u32 {
        value & !self.mask | self.value
    }

    fn and(self, other: Self) -> Option<Self> {
        let shared = self.mask & other.mask;
        (self.value & shared == other.value & shared)
            .then_some(Self { value: self.value | other.value, mask: self.mask | other.mask })
    }
}

/// The lanes that a mask may restrict. One place each in [`Beyond::masks`].
pub(crate) const MASKED: [Lane; 3] = [Lane::Tos, Lane::CTag, Lane::STag];

/// What a box asks that no interval can say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Beyond {
    pub(crate) masks: [Masked; MASKED.len()],
    /// One bit for each QFI.
    pub(crate) qfis: u64,
}

impl Beyond {
    pub(crate) const NOTHING: Self =
        Self { masks: [Masked { value: 0, mask: 0 }; MASKED.len()], qfis: u64::MAX };

    pub(crate) fn matches(&self, key: &Key) -> bool {
        let masks = MASKED.iter().zip(self.masks).all(|(&lane, masked)| masked.matches(key.get(lane)));
        let qfi = key.get(Lane::Qfi);
        masks && (self.qfis == u64::MAX || (qfi < 64 && self.qfis >> qfi & 1 == 1))
    }
}

/// A box: an interval for each lane, and what an interval cannot say.
///
/// Masks and sets also narrow their lane to the smallest interval around them, so that a search by
/// intervals never misses; [`Region::matches`] then decides.
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Region {
    pub(crate) low: [u32; LANES],
    pub(crate) high: [u32; LANES],
    pub(crate) beyond: Beyond,
    /// One bit for each lane that is restricted.
    pub(crate) used: u32,
    /// Whether `beyond` says more than the intervals.
    pub(crate) irregular: bool,
}

impl Region {
    /// The box that every key is in.
    pub(crate) const ALL: Self =
        Self { low: [0; LANES], high: [u32::MAX; LANES], beyond: Beyond::NOTHING, used: 0, irregular: false };

    /// The box with the lane's value between these two. `low` is at most `high`.
    pub(crate) fn between(mut self, lane: usize, low: u32, high: u32) -> Self {
        self.low[lane] = low;
        self.high[lane] = high;
        if low != 0 || high != u32::MAX {
            self.used |= 1 << lane;
        }
        self
    }

    pub(crate) fn exactly(self, lane: Lane, value: u32) -> Self {
        self.between(lane as usize, value, value)
    }

    /// The box where the lane agrees with the mask. Bits that the lane does not have are ignored, and a
    /// mask without bits restricts nothing.
    pub(crate) fn masked(self, lane: Lane, masked: Masked) -> Self {
        let Some(place) = MASKED.iter().position(|&known| known == lane) else { return self };
        let all = u32::MAX >> (32 - Lane::width(lane as usize));
        let masked = Masked::new(masked.value & all, masked.mask & all);
        if masked.mask == 0 {
            return self;
        }
        let mut region = self.between(lane as usize, masked.value, masked.value | (all & !masked.mask));
        region.beyond.masks[place] = masked;
        region.irregular = true;
        region
    }

    /// The box of packets with one of these QFIs; a set without any restricts nothing.
    pub(crate) fn qfis(self, qfis: u64) -> Self {
        if qfis == 0 {
            return self;
        }
        let mut region = self.between(Lane::Qfi as usize, qfis.trailing_zeros(), 63 - qfis.leading_zeros());
        region.beyond.qfis = qfis;
        region.irregular = true;
        region
    }

    /// What is in both boxes, unless that is nothing.
    pub(crate) fn and(&self, other: &Self) -> Option<Self> {
        let mut both = self.clone();
        for lane in 0..LANES {
            both.low[lane] = self.low[lane].max(other.low[lane]);
            both.high[lane] = self.high[lane].min(other.high[lane]);
            if both.low[lane] > both.high[lane] {
                return None;
            }
        }
        both.used |= other.used;
        for (mine, theirs) in both.beyond.masks.iter_mut().zip(other.beyond.masks) {
            *mine = mine.and(theirs)?;
        }
        both.beyond.qfis &= other.beyond.qfis;
        both.irregular |= other.irregular;
        (both.beyond.qfis != 0).then_some(both)
    }

    /// The box as it is for keys with this value in this lane, unless that is nothing.
    pub(crate) fn given(&self, lane: Lane, value: u32) -> Option<Self> {
        let at = lane as usize;
        if !(self.low[at]..=self.high[at]).contains(&value) {
            return None;
        }
        let mut region = self.clone();
        (region.low[at], region.high[at]) = (0, u32::MAX);
        region.used &= !(1 << at);
        if let Some(place) = MASKED.iter().position(|&known| known == lane) {
            if !self.beyond.masks[place].matches(value) {
                return None;
            }
            region.beyond.masks[place] = Masked::default();
        }
        if lane == Lane::Qfi {
            if self.beyond.qfis != u64::MAX && (value >= u64::BITS || self.beyond.qfis >> value & 1 == 0) {
                return None;
            }
            region.beyond.qfis = u64::MAX;
        }
        region.irregular = region.beyond != Beyond::NOTHING;
        Some(region)
    }

    /// Whether the key is in the box.
    pub(crate) fn matches(&self, key: &Key) -> bool {
        let mut rest = self.used;
        while rest != 0 {
            let lane = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            if key.lanes[lane] < self.low[lane] || key.lanes[lane] > self.high[lane] {
                return false;
            }
        }
        !self.irregular || self.beyond.matches(key)
    }

    /// The same, with all lanes compared at once: for a box that most likely matches.
    #[inline(always)]
    pub(crate) fn verifies(&self, key: &Key, compare: impl Compare) -> bool {
        compare.between(key, &self.low, &self.high) && (!self.irregular || self.beyond.matches(key))
    }

    pub(crate) fn interval(&self, lane: usize) -> (u32, u32) {
        (self.low[lane], self.high[lane])
    }

    /// How two boxes lie in a lane.
    pub(crate) fn relation(&self, other: &Self, lane: usize) -> Relation {
        relation(self.interval(lane), other.interval(lane))
    }
}

/// How two intervals lie to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    Identical,
    Disjoint,
    /// Neither before, nor after, nor the same: no order holds both.
    Overlapping,
}

pub(crate) const fn relation(one: (u32, u32), other: (u32, u32)) -> Relation {
    if one.0 == other.0 && one.1 == other.1 {
        Relation::Identical
    } else if one.1 < other.0 || other.1 < one.0 {
        Relation::Disjoint
    } else {
        Relation::Overlapping
    }
}
