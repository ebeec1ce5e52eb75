//! Which packet detection rule of a session does a packet match?
//!
//! A [`Pdr`] is a rule as PFCP provides it (TS 29.244). [`Pdr::compile`] expands its alternatives into
//! boxes: a [`Rule`]. A [`Classifier`] holds rules and finds, for a packet's [`Key`], the matching one
//! that comes first.
//!
//! ```
//! use pdr_classifier::{Classifier, Filters, Key, LinkedList, Pdi, Pdr, PdrId, QfiSet, Lane};
//!
//! let voice = Pdi { qfis: QfiSet::new(&[1])?, ..Pdi::default() };
//! let mut rules = LinkedList::new();
//! for (id, precedence, pdi) in [(1, 255, Pdi::default()), (2, 10, voice)] {
//!     rules.insert(&Pdr { id: PdrId(id), precedence, pdi }.compile(&Filters::new())?)?;
//! }
//! assert_eq!(rules.classify(&Key::new().with(Lane::Qfi, 1)), Some(PdrId(2)));
//! assert_eq!(rules.classify(&Key::new().with(Lane::Qfi, 9)), Some(PdrId(1)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The README has the complexity of each classifier's operations.

mod blocked_scan;
mod blocks;
pub mod classbench;
mod classifier;
mod concurrent;
mod error;
mod ethernet;
mod expand;
mod few;
pub mod generate;
mod hybrid;
mod key;
mod layered;
mod linked_list;
mod multicast;
mod partition_sort;
mod pdi;
mod ranges;
mod ranks;
mod region;
mod sdf;
mod simd;
mod sorted_vector;
mod tuple_space;

pub use blocked_scan::BlockedScan;
pub use classifier::{Classifier, SET_BOXES_MAX};
pub use concurrent::{Change, Reader, Reading, Writer, shared};
pub use error::{ExpandError, InsertError};
pub use ethernet::{EthernetFilter, MacAddresses, Tag};
pub use expand::{BOXES_MAX, Rule};
pub use hybrid::{Crossovers, Hybrid, WIDE_LANES_MIN};
pub use key::{ABSENT, Key, LANES, Lane, Side};
pub use layered::{LAYERS_MAX, Layer, Layered};
pub use linked_list::LinkedList;
pub use multicast::{MulticastFlows, MulticastGroups};
pub use partition_sort::{GATHER_MAX, GATHER_UPDATES_MIN, PARTITIONS_MAX, PartitionSort, REORDER_MAX};
pub use pdi::{
    FTeid, IngressTunnel, Pdi, Pdr, PdrId, QfiSet, Rank, RedundantTransmission, SourceInterface, UeIp,
};
pub use region::Masked;
pub use sdf::{Address, FILTERS_MAX, Filters, Prefix, Sdf, SdfFilter};
pub use simd::{Vectors, prefetch};
pub use sorted_vector::SortedVector;
pub use tuple_space::TupleSpaceSearch;

/// The README's example is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
