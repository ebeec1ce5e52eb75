//! What the figures are held against: goals, and what was published about PartitionSort in a UPF
//! (Qi, "High-Performance Cloud Computing Frameworks for Serverless Computing and 5G Systems", UC Riverside
//! 2024, chapter 7).

/// A goal and what must hold, both at most.
#[derive(Clone, Copy, Debug)]
pub struct Goal {
    /// The size of the rule set.
    pub rules: usize,
    /// What the design aims at.
    pub aim: f64,
    /// What must hold.
    pub must: f64,
}

/// Warm lookups with 20 fields ÷ the linked list.
pub const WARM: [Goal; 5] = [
    Goal { rules: 2, aim: 0.6, must: 1.0 },
    Goal { rules: 16, aim: 0.4, must: 0.6 },
    Goal { rules: 100, aim: 0.3, must: 0.45 },
    Goal { rules: 1_000, aim: 0.05, must: 0.08 },
    Goal { rules: 10_000, aim: 0.004, must: 0.008 },
];

/// Lookups in cold caches ÷ the linked list, a random session each packet.
pub const COLD: Goal = Goal { rules: 100, aim: 0.11, must: 0.2 };

/// Nanoseconds of one insert or remove, median.
pub const UPDATE_P50_NS: Goal = Goal { rules: 0, aim: 300.0, must: 1_000.0 };
/// The same, 99th percentile.
pub const UPDATE_P99_NS: Goal = Goal { rules: 0, aim: 3_000.0, must: 10_000.0 };
/// Rules of the set that is updated.
pub const UPDATE_RULES: [usize; 3] = [100, 1_000, 10_000];

/// `Hybrid` ÷ the better of its parts, on sets made to hurt.
pub const HYBRID_TO_PARTS_MAX: f64 = 1.2;

/// Microseconds of a lookup at each number of rules.
pub struct Curve {
    /// Whose.
    pub name: &'static str,
    /// Rules and microseconds.
    pub us: [(usize, f64); 6],
}

/// Lookup latency in 20 information elements, as published.
pub const PUBLISHED: [Curve; 3] = [
    Curve { name: "list", us: [(2, 0.11), (20, 0.165), (40, 0.23), (60, 0.28), (80, 0.335), (100, 0.49)] },
    Curve { name: "TSS best", us: [(2, 0.26), (20, 0.26), (40, 0.26), (60, 0.26), (80, 0.26), (100, 0.26)] },
    Curve {
        name: "PartitionSort",
        us: [(2, 0.09), (20, 0.15), (40, 0.155), (60, 0.155), (80, 0.155), (100, 0.155)],
    },
];

/// Gbit/s of the published UPF at 100 rules with packets of 68 octets: all of its work, not lookups alone.
pub const PUBLISHED_GBIT_S: [(&str, f64); 4] =
    [("list", 1.8), ("TSS best", 2.9), ("TSS worst", 0.37), ("PartitionSort", 4.0)];

/// Microseconds of one update, mean of 50, as published.
pub const PUBLISHED_UPDATE_US: [(&str, f64); 3] =
    [("LinkedList", 0.38), ("TupleSpaceSearch", 1.41), ("PartitionSort", 6.14)];

/// Rules and microseconds of the published worst case of a tuple space.
pub const PUBLISHED_WORST_US: (usize, f64) = (50, 5.08);

/// What the published curves show, as bounds.
pub mod shape {
    /// How well a straight line explains the list's curve (R²).
    pub const LINEAR_MIN: f64 = 0.95;
    /// A curve is flat from 20 rules on if it does not grow beyond this.
    pub const FLAT_MAX: f64 = 1.3;
    /// The worst case of a tuple space, 100 rules ÷ 2.
    pub const EXPLODES_MIN: f64 = 10.0;
    /// The list ÷ PartitionSort at 100 rules.
    pub const FASTER_MIN: f64 = 3.0;
}
