//! Ranges of numbers that take several lanes.

use crate::key::Lane;
use crate::region::Region;

/// The boxes of the numbers between these two, both included: as few as there can be, none if `first` is
/// beyond `last`. The numbers' parts are in lanes that follow each other, the most significant in `lane`.
pub(crate) fn range_regions<const PARTS: usize>(
    lane: Lane,
    first: [u32; PARTS],
    last: [u32; PARTS],
) -> Vec<Region> {
    let mut pieces = Vec::new();
    if first <= last {
        split(&Region::ALL, lane as usize, &first, &last, &mut pieces);
    }
    pieces
}

/// Adds what of the range is in `region`, from this lane on. `first` is not beyond `last`.
fn split(region: &Region, lane: usize, first: &[u32], last: &[u32], pieces: &mut Vec<Region>) {
    let (Some((&from, first_rest)), Some((&to, last_rest))) = (first.split_first(), last.split_first())
    else {
        pieces.push(region.clone());
        return;
    };
    let (mut from, mut to) = (from, to);
    let part = |from, to| region.clone().between(lane, from, to);
    let (whole_below, whole_above) =
        (first_rest.iter().all(|&part| part == 0), last_rest.iter().all(|&part| part == u32::MAX));
    if from == to && !(whole_below && whole_above) {
        split(&part(from, to), lane + 1, first_rest, last_rest, pieces);
        return;
    }
    // The ends are pieces of their own, unless all below them is in the range.
    if !whole_below {
        let end = vec![u32::MAX; last_rest.len()];
        split(&part(from, from), lane + 1, first_rest, &end, pieces);
        from += 1;
    }
    if !whole_above {
        let begin = vec![0; first_rest.len()];
        split(&part(to, to), lane + 1, &begin, last_rest, pieces);
        to -= 1;
    }
    if from <= to {
        pieces.push(part(from, to));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;

    fn boxes(first: [u32; 4], last: [u32; 4]) -> usize {
        range_regions(Lane::Source0, first, last).len()
    }

    #[test]
    fn what_is_whole_is_not_cut() {
        const MAX: u32 = u32::MAX;
        assert_eq!(boxes([0; 4], [MAX; 4]), 1);
        assert_eq!(boxes([7, 0, 0, 0], [9, MAX, MAX, MAX]), 1);
        assert_eq!(boxes([7, 1, 0, 0], [7, 1, 0, 5]), 1);
        assert_eq!(boxes([7, 1, 0, 0], [8, MAX, MAX, MAX]), 2);
        assert_eq!(boxes([1, 1, 1, 1], [9, 9, 9, 9]), 7);
        assert_eq!(boxes([1, 0, 0, 0], [0, 9, 9, 9]), 0);
    }

    #[test]
    fn each_number_is_in_one_box_or_in_none() {
        let values = [0, 1, 2, u32::MAX - 1, u32::MAX];
        let numbers: Vec<[u32; 3]> =
            (0..125).map(|at| [values[at / 25], values[at / 5 % 5], values[at % 5]]).collect();
        for (at, &first) in numbers.iter().enumerate() {
            for &last in numbers.iter().skip(at % 7).step_by(7) {
                let regions = range_regions(Lane::Source0, first, last);
                for number in &numbers {
                    let mut key = Key::new();
                    key.lanes[Lane::Source0 as usize..][..3].copy_from_slice(number);
                    let within = regions.iter().filter(|region| region.matches(&key)).count();
                    let expected = usize::from(first <= *number && *number <= last);
                    assert_eq!(within, expected, "{number:?} in {first:?} to {last:?}");
                }
            }
        }
    }
}
