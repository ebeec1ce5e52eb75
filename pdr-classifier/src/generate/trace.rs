//! Packets for a rule set.

use super::Rng;
use crate::expand::Rule;
use crate::key::{Key, LANES, Lane, Side};
use crate::region::{MASKED, Region};

/// Which rules the packets of a trace are made for. A rule that comes earlier may match them too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hits {
    /// Each rule as often as any other.
    Uniform,
    /// The last half of the rules in precedence order, as in the published experiment.
    LastHalf,
    /// The last rule alone.
    Last,
}

/// Keys, each in a random box of a rule. None, if no rule has a box.
pub fn trace(rules: &[Rule], hits: Hits, length: usize, seed: u64) -> Vec<Key> {
    let mut rng = Rng::new(seed);
    let mut hit: Vec<&Rule> = rules.iter().filter(|rule| rule.boxes() > 0).collect();
    hit.sort_by_key(|rule| rule.rank());
    let first = match hits {
        Hits::Uniform => 0,
        Hits::LastHalf => hit.len() / 2,
        Hits::Last => hit.len().saturating_sub(1),
    };
    let hit = &hit[first..];
    let mut keys = Vec::new();
    for _ in 0..length {
        let Some(region) = rng.pick(hit).and_then(|rule| rng.pick(&rule.regions)) else { break };
        keys.push(key_in(region, &mut rng));
    }
    keys
}

/// A key in the box; where it leaves a lane free, that of a plausible packet.
fn key_in(region: &Region, rng: &mut Rng) -> Key {
    let mut key = Key::new().with(Lane::IpVersion, 4).with(Lane::Protocol, 17).with(Lane::Tos, 0);
    for lane in [Lane::SourcePort, Lane::DestinationPort] {
        key.set(lane, rng.between(1, 65535));
    }
    for side in [Side::Source, Side::Destination] {
        key.lanes[side.first_lane()] = rng.bits() as u32;
    }
    for lane in 0..LANES {
        let (low, high) = region.interval(lane);
        if (low, high) != (0, u32::MAX) {
            key.lanes[lane] = rng.between(low, high);
        }
    }
    // The box of all IP packets is from version 4 to version 6.
    if key.get(Lane::IpVersion) == 5 {
        key.set(Lane::IpVersion, if rng.percent(50) { 4 } else { 6 });
    }
    for (&lane, masked) in MASKED.iter().zip(region.beyond.masks) {
        if masked != Default::default() {
            key.set(lane, masked.apply(key.get(lane)));
        }
    }
    if region.beyond.qfis != u64::MAX {
        let qfis: Vec<u32> = (0..64).filter(|qfi| region.beyond.qfis >> qfi & 1 == 1).collect();
        key.set(Lane::Qfi, rng.pick(&qfis).copied().unwrap_or_default());
    }
    key
}
