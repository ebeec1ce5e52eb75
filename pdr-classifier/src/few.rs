//! A handful of boxes in one piece of memory.

use crate::classifier::Classifier;
use crate::error::InsertError;
use crate::expand::Rule;
use crate::key::{Key, LANES};
use crate::pdi::{PdrId, Rank};
use crate::region::{Beyond, Region};
use crate::simd::{Compare, EIGHT, FOUR, Search, Vectors, prefetch};

/// The most boxes.
pub(crate) const FEW_MAX: usize = EIGHT;

/// At most [`FEW_MAX`] boxes in precedence order. They are compared with a packet all at once, lane by lane,
/// or, if they restrict many lanes, all lanes at once, box by box.
///
/// It is made anew with each change, and as small as it can be: a session has one of these, and there are
/// millions of sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Few {
    /// Lane by lane: for each of the `common` lanes low and span, for each of the lanes `apart` the boxes'
    /// lows, then their spans, each filled up to four or eight. Box by box: the lows of all lanes, then the
    /// highs. Then the boxes' ranks: precedence, ID. Then the ranks of rules without boxes.
    words: Box<[u32]>,
    /// What words cannot say, by boxes, if there is any.
    beyond: Option<Box<[Beyond]>>,
    /// Lanes that all boxes restrict in the same way, a bit each.
    common: u32,
    /// Other lanes that a box restricts.
    apart: u32,
    /// Where in `words` the boxes' own numbers begin, and where the ranks do: to count lanes at each lookup
    /// would cost as much as to compare one.
    columns_at: u16,
    ranks_at: u16,
    boxes: u8,
    box_by_box: bool,
    vectors: Vectors,
}

/// Where a value may be in a lane: at most `span` behind `low`, round the end of the numbers.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Interval {
    low: u32,
    span: u32,
}

impl Interval {
    const ALL: Self = Self { low: 0, span: u32::MAX };

    fn of(region: &Region, lane: usize) -> Self {
        let (low, high) = region.interval(lane);
        Self { low, span: high - low }
    }
}

impl Few {
    pub(crate) fn new(vectors: Vectors) -> Self {
        Self {
            words: Box::default(),
            beyond: None,
            common: 0,
            apart: 0,
            columns_at: 0,
            ranks_at: 0,
            boxes: 0,
            box_by_box: false,
            vectors,
        }
    }

    /// Whether so many boxes, and so many rules, are few.
    pub(crate) fn holds(boxes: usize, rules: usize) -> bool {
        boxes <= FEW_MAX && rules <= FEW_MAX
    }

    /// The set with these instructions.
    pub(crate) fn with_vectors(self, vectors: Vectors) -> Self {
        Self { vectors, ..self }
    }

    /// These rules, of distinct IDs; [`Few::holds`] them.
    pub(crate) fn of<'a>(rules: impl IntoIterator<Item = &'a Rule>, vectors: Vectors) -> Self {
        let mut all: Vec<(Rank, &Region)> = Vec::new();
        let mut without: Vec<Rank> = Vec::new();
        for rule in rules {
            all.extend(rule.regions.iter().map(|region| (rule.rank, region)));
            if rule.regions.is_empty() {
                without.push(rule.rank);
            }
        }
        all.sort_by_key(|(rank, _)| *rank);
        let width = width(all.len());
        let (mut shared, mut columns) = (Vec::new(), Vec::new());
        let (mut common, mut apart) = (0, 0);
        let used = all.iter().fold(0u32, |used, (_, region)| used | region.used);
        let box_by_box = used.count_ones() as usize > LANES_MORE + all.len() * LANES_A_BOX;
        if box_by_box {
            shared.extend(all.iter().flat_map(|(_, region)| region.low.into_iter().chain(region.high)));
        }
        for lane in lanes(if box_by_box { 0 } else { used }) {
            let intervals = || all.iter().map(|(_, region)| Interval::of(region, lane));
            match intervals().next() {
                Some(first) if intervals().all(|interval| interval == first) => {
                    common |= 1 << lane;
                    shared.extend([first.low, first.span]);
                }
                _ => {
                    apart |= 1 << lane;
                    let filled = intervals().chain(std::iter::repeat(Interval::ALL)).take(width);
                    columns.extend(filled.clone().map(|interval| interval.low));
                    columns.extend(filled.map(|interval| interval.span));
                }
            }
        }
        let (columns_at, ranks_at) = (shared.len() as u16, (shared.len() + columns.len()) as u16);
        let irregular = all.iter().any(|(_, region)| region.irregular);
        let ranks = all.iter().map(|(rank, _)| *rank).chain(without);
        let ranks = ranks.flat_map(|rank| [rank.precedence, rank.id.0]);
        Self {
            words: shared.into_iter().chain(columns).chain(ranks).collect(),
            beyond: irregular.then(|| all.iter().map(|(_, region)| region.beyond.clone()).collect()),
            common,
            apart,
            columns_at,
            ranks_at,
            boxes: all.len() as u8,
            box_by_box,
            vectors,
        }
    }

    /// The rules, in order; those without boxes last.
    pub(crate) fn rules(&self) -> Vec<Rule> {
        let mut rules: Vec<Rule> = Vec::new();
        for (at, rank) in self.ranks().enumerate() {
            let region = (at < usize::from(self.boxes)).then(|| self.region(at));
            match rules.last_mut() {
                Some(rule) if rule.rank == rank => rule.regions.extend(region),
                _ => rules.push(Rule { rank, regions: region.into_iter().collect() }),
            }
        }
        rules
    }

    fn region(&self, at: usize) -> Region {
        let width = width(self.boxes.into());
        let (shared, columns, _) = self.parts();
        if self.box_by_box {
            return self.with_beyond(at, row_of(&shared[at * ROW..(at + 1) * ROW]));
        }
        let common = lanes(self.common).zip(shared.chunks_exact(2)).map(|(lane, two)| (lane, two[0], two[1]));
        let apart = lanes(self.apart)
            .zip(columns.chunks_exact(2 * width))
            .map(|(lane, column)| (lane, column[at], column[width + at]));
        let region = common
            .chain(apart)
            .fold(Region::ALL, |region, (lane, low, span)| region.between(lane, low, low.wrapping_add(span)));
        self.with_beyond(at, region)
    }

    fn with_beyond(&self, at: usize, mut region: Region) -> Region {
        if let Some(beyond) = self.beyond.as_ref().and_then(|beyond| beyond.get(at)) {
            region.irregular = *beyond != Beyond::NOTHING;
            region.beyond = beyond.clone();
        }
        region
    }

    /// Of the boxes in order, then of rules without boxes.
    fn ranks(&self) -> impl Iterator<Item = Rank> {
        self.parts().2.chunks_exact(2).map(|two| Rank { precedence: two[0], id: PdrId(two[1]) })
    }

    /// The lowest rank of all boxes.
    pub(crate) fn first_rank(&self) -> Option<Rank> {
        self.ranks().next().filter(|_| self.boxes > 0)
    }

    /// Common lanes or whole boxes, columns, ranks.
    #[inline(always)]
    fn parts(&self) -> (&[u32], &[u32], &[u32]) {
        let (front, ranks) = self.words.split_at(usize::from(self.ranks_at).min(self.words.len()));
        let (shared, columns) = front.split_at(usize::from(self.columns_at).min(front.len()));
        (shared, columns, ranks)
    }

    /// Asks for the memory that a lookup needs.
    #[inline]
    pub(crate) fn prefetch(&self) {
        prefetch(&self.words[..]);
    }
}

/// The numbers of a whole box.
const ROW: usize = 2 * LANES;
/// With more restricted lanes than this, and so many more for each box, a packet is compared box by box.
const LANES_MORE: usize = 4;
const LANES_A_BOX: usize = 3;

/// The box of these numbers.
fn row_of(row: &[u32]) -> Region {
    let (lows, highs) = row.split_at(LANES);
    let bounds = (0..LANES).zip(lows).zip(highs);
    bounds.fold(Region::ALL, |region, ((lane, low), high)| region.between(lane, *low, *high))
}

/// Numbers of a column's halves.
const fn width(boxes: usize) -> usize {
    if boxes <= FOUR { FOUR } else { EIGHT }
}

/// The lanes of these bits.
fn lanes(mut bits: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lane = bits.trailing_zeros();
        bits &= bits.wrapping_sub(1);
        (lane < u32::BITS).then_some(lane as usize)
    })
}

/// The lowest lane of these bits, which is taken out of them.
#[inline(always)]
fn next_lane(bits: &mut u32) -> usize {
    let lane = bits.trailing_zeros() as usize % LANES;
    *bits &= bits.wrapping_sub(1);
    lane
}

/// The rank of the box at this place.
#[inline(always)]
fn rank_at(ranks: &[u32], at: usize) -> Option<Rank> {
    let (ranks, _) = ranks.as_chunks::<2>();
    ranks.get(at).map(|&[precedence, id]| Rank { precedence, id: PdrId(id) })
}

/// Those of the boxes that have the key also by what words cannot say.
#[cold]
fn without_strangers(live: u32, beyond: &[Beyond], key: &Key) -> u32 {
    let strange = |(at, beyond): (usize, &Beyond)| live >> at & 1 == 1 && !beyond.matches(key);
    let strangers = beyond.iter().enumerate().filter(|box_| strange(*box_));
    strangers.fold(live, |live, (at, _)| live & !(1 << at))
}

/// The first box of the key, lane by lane.
struct ByLanes<'a>(&'a Few, &'a Key);

/// The first box of the key, box by box.
struct ByBoxes<'a>(&'a Few, &'a Key);

impl Search for ByBoxes<'_> {
    type Found = Option<Rank>;

    #[inline(always)]
    fn run(self, compare: impl Compare) -> Option<Rank> {
        let Self(set, key) = self;
        let (shared, _, ranks) = set.parts();
        let (rows, _) = shared.as_chunks::<ROW>();
        let at = rows.iter().enumerate().position(|(at, row)| {
            let (Some(low), Some(high)) = (row.first_chunk(), row.last_chunk()) else { return false };
            let regular = compare.between(key, low, high);
            regular && set.beyond.as_ref().is_none_or(|beyond| beyond[at].matches(key))
        })?;
        rank_at(ranks, at)
    }
}

impl Search for ByLanes<'_> {
    type Found = Option<Rank>;

    #[inline(always)]
    fn run(self, compare: impl Compare) -> Option<Rank> {
        let Self(set, key) = self;
        let (shared, columns, ranks) = set.parts();
        let (pairs, _) = shared.as_chunks::<2>();
        let mut outside = false;
        let mut rest = set.common;
        for [low, span] in pairs {
            outside |= key.lanes[next_lane(&mut rest)].wrapping_sub(*low) > *span;
        }
        if outside {
            return None;
        }
        let mut live = (1u32 << set.boxes) - 1;
        let mut rest = set.apart;
        if usize::from(set.boxes) <= FOUR {
            let (columns, _) = columns.as_chunks::<{ 2 * FOUR }>();
            for column in columns {
                live &= compare.among_four(key.lanes[next_lane(&mut rest)], column);
            }
        } else {
            let (columns, _) = columns.as_chunks::<{ 2 * EIGHT }>();
            for column in columns {
                live &= compare.among_eight(key.lanes[next_lane(&mut rest)], column);
            }
        }
        if let Some(beyond) = &set.beyond {
            live = without_strangers(live, beyond, key);
        }
        if live == 0 {
            return None;
        }
        rank_at(ranks, live.trailing_zeros() as usize)
    }
}

impl Classifier for Few {
    fn insert(&mut self, rule: &Rule) -> Result<(), InsertError> {
        if self.contains(rule.id()) {
            return Err(InsertError::Duplicate(rule.id()));
        }
        if !Self::holds(self.boxes() + rule.boxes(), self.len() + 1) {
            return Err(InsertError::Full);
        }
        *self = Self::of(self.rules().iter().chain([rule]), self.vectors);
        Ok(())
    }

    fn remove(&mut self, id: PdrId) -> bool {
        let mut rules = self.rules();
        let before = rules.len();
        rules.retain(|rule| rule.id() != id);
        let removed = rules.len() < before;
        if removed {
            *self = Self::of(&rules, self.vectors);
        }
        removed
    }

    #[inline]
    fn find(&self, key: &Key, below: Option<Rank>) -> Option<Rank> {
        let found = match self.box_by_box {
            false => self.vectors.run(ByLanes(self, key)),
            true => self.vectors.run(ByBoxes(self, key)),
        }?;
        below.is_none_or(|below| found < below).then_some(found)
    }

    fn contains(&self, id: PdrId) -> bool {
        self.ranks().any(|rank| rank.id == id)
    }

    fn boxes(&self) -> usize {
        self.boxes.into()
    }

    fn len(&self) -> usize {
        let mut ranks: Vec<Rank> = self.ranks().collect();
        ranks.dedup();
        ranks.len()
    }
}
