//! Rule sets and packets from a seed, in the shapes that packet detection rules have.
//!
//! The same arguments give the same rules and keys on every machine.
//!
//! ```
//! use pdr_classifier::generate::{Family, Hits, Shape, rules, trace};
//! use pdr_classifier::{Classifier, Filters, PartitionSort};
//!
//! let pdrs = rules(Shape::Firewall, Family::V6, 100, 7);
//! let rules: Vec<_> = pdrs.iter().map(|pdr| pdr.compile(&Filters::new())).collect::<Result<_, _>>()?;
//! let set = PartitionSort::build(&rules)?;
//! for key in trace(&rules, Hits::LastHalf, 1000, 7) {
//!     assert!(set.classify(&key).is_some());
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod rng;
mod rules;
mod trace;

pub use rng::Rng;
pub use rules::{Family, RULES_MAX, Shape, rules};
pub use trace::{Hits, trace};
