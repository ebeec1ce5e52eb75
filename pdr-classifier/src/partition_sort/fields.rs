//! In which order of lanes boxes are sorted.

use crate::key::{LANES, Lane};
use crate::region::{Region, Relation};

/// Every lane once; the first is compared first.
pub(super) type Order = [u8; LANES];

/// The order for a first box: its most specific lanes in front, since these part it from the most
/// others.
pub(super) fn by_specificity(region: &Region) -> Order {
    let mut order: Order = std::array::from_fn(|lane| lane as u8);
    order.sort_by_key(|&lane| {
        let lane = usize::from(lane);
        let (low, high) = region.interval(lane);
        let half = 1u64 << (Lane::width(lane) - 1);
        match u64::from(high - low) + 1 {
            1 => 0,
            _ if (low, high) == (0, u32::MAX) => 3,
            size if size < half => 1,
            _ => 2,
        }
    });
    order
}

/// An order that sorts every box, if there is one and the last box is new among others that have one.
///
/// A lane in which any two boxes of each group are the same or disjoint can always be taken next: it
/// only makes groups smaller, and another such lane remains one. So the greedy choice never errs.
pub(super) fn order_of_all(regions: &[&Region]) -> Option<Order> {
    let (new, others) = regions.split_last()?;
    let sorted = |other: &&Region| {
        let mut relations = (0..LANES).map(|lane| new.relation(other, lane));
        let mut same = true;
        relations.any(|relation| {
            same &= relation == Relation::Identical;
            relation == Relation::Disjoint
        }) || same
    };
    if !others.iter().all(sorted) {
        return None;
    }
    let Sorted { order, kept, .. } = select(regions);
    (kept.len() == regions.len()).then_some(order)
}

/// Boxes that one order sorts.
pub(super) struct Sorted {
    pub(super) order: Order,
    /// Their places among those given, in order.
    pub(super) kept: Vec<usize>,
    /// How many of them differ in an interval.
    pub(super) different: usize,
}

/// Greedy field selection: a large subset of the boxes that one order sorts, and that order.
///
/// At each step the lane is taken that keeps the most boxes if in each group of boxes that are the same
/// so far only disjoint intervals stay; of equals, the one that makes the most groups.
pub(super) fn select(regions: &[&Region]) -> Sorted {
    let mut free: Vec<usize> = (0..LANES).collect();
    let mut order = Vec::with_capacity(LANES);
    let mut settled = Vec::new();
    let mut groups = Vec::new();
    settle((0..regions.len()).collect(), regions, &mut groups, &mut settled);
    while !groups.is_empty() {
        // A lane in which all of each group are the same parts nothing, now or later.
        free.retain(|&lane| groups.iter().any(|group| !uniform(group, lane, regions)));
        let best = free.iter().copied().max_by_key(|&lane| {
            let kept = groups.iter().map(|group| Disjoint::new(group, lane, regions));
            let sum = kept.fold((0, 0), |sum, kept| (sum.0 + kept.weight, sum.1 + kept.intervals.len()));
            (sum, std::cmp::Reverse(lane))
        });
        let Some(lane) = best else { break };
        free.retain(|&other| other != lane);
        order.push(lane as u8);
        let mut next = Vec::new();
        for group in groups {
            for members in Disjoint::new(&group, lane, regions).members(&group, lane, regions) {
                settle(members, regions, &mut next, &mut settled);
            }
        }
        groups = next;
    }
    let rest: Vec<u8> = (0..LANES as u8).filter(|lane| !order.contains(lane)).collect();
    order.extend(rest);
    let different = settled.len();
    let mut kept = settled.concat();
    kept.sort_unstable();
    Sorted { order: std::array::from_fn(|place| order[place]), kept, different }
}

/// A group of boxes that no lane parts is done.
fn settle(
    group: Vec<usize>,
    regions: &[&Region],
    groups: &mut Vec<Vec<usize>>,
    settled: &mut Vec<Vec<usize>>,
) {
    if (0..LANES).all(|lane| uniform(&group, lane, regions)) {
        settled.push(group);
    } else {
        groups.push(group);
    }
}

fn uniform(group: &[usize], lane: usize, regions: &[&Region]) -> bool {
    group.iter().all(|&member| regions[member].interval(lane) == regions[group[0]].interval(lane))
}

/// The disjoint intervals of a group in a lane that the most boxes have.
struct Disjoint {
    /// In order.
    intervals: Vec<(u32, u32)>,
    weight: usize,
}

impl Disjoint {
    /// Weighted interval scheduling: up to each interval, by its end, the best choice either has it or
    /// has not.
    fn new(group: &[usize], lane: usize, regions: &[&Region]) -> Self {
        let mut ends: Vec<_> = group.iter().map(|&member| regions[member].interval(lane)).collect();
        ends.sort_unstable_by_key(|&(low, high)| (high, low));
        let mut weighted: Vec<((u32, u32), usize)> = Vec::new();
        for interval in ends {
            match weighted.last_mut() {
                Some((last, weight)) if *last == interval => *weight += 1,
                _ => weighted.push((interval, 1)),
            }
        }
        // `best[n]`: the weight of the best choice of the first `n`.
        let mut best = vec![0];
        let mut before = Vec::with_capacity(weighted.len());
        for (at, &((low, _), weight)) in weighted.iter().enumerate() {
            before.push(weighted[..at].partition_point(|&((_, high), _)| high < low));
            best.push(best[at].max(best[before[at]] + weight));
        }
        let mut intervals = Vec::new();
        let mut at = weighted.len();
        while at > 0 {
            if best[at] == best[at - 1] {
                at -= 1;
            } else {
                intervals.push(weighted[at - 1].0);
                at = before[at - 1];
            }
        }
        intervals.reverse();
        Self { intervals, weight: best[weighted.len()] }
    }

    /// The boxes of each interval.
    fn members(&self, group: &[usize], lane: usize, regions: &[&Region]) -> Vec<Vec<usize>> {
        let mut members = vec![Vec::new(); self.intervals.len()];
        for &member in group {
            if let Ok(place) = self.intervals.binary_search(&regions[member].interval(lane)) {
                members[place].push(member);
            }
        }
        members
    }
}
