//! Why a rule is refused.

use crate::pdi::PdrId;

/// Why a rule cannot be expanded into boxes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpandError {
    /// A rule's alternatives multiply beyond [`BOXES_MAX`](crate::BOXES_MAX).
    #[error("the rule's alternatives make more than {} boxes", crate::BOXES_MAX)]
    TooManyBoxes,
    /// A prefix is longer than an address.
    #[error("a prefix of {length} bits in an address of {longest}")]
    PrefixLength {
        /// As given.
        length: u8,
        /// The address's bits.
        longest: u8,
    },
    /// A filter says `assigned`, but the PDI has no UE IP address.
    #[error("a filter asks for the assigned address where no UE IP address is given")]
    NothingAssigned,
    /// No bidirectional filter has this SDF Filter ID.
    #[error("no filter has SDF Filter ID {0}")]
    UnknownFilter(u32),
    /// [`FILTERS_MAX`](crate::FILTERS_MAX) are defined.
    #[error("more than {} bidirectional filters", crate::FILTERS_MAX)]
    TooManyFilters,
    /// A QFI has 6 bits.
    #[error("QFI {0} is more than 63")]
    Qfi(u8),
}

/// Why a set of rules does not take a rule. The set is as before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InsertError {
    /// The set has a rule with this ID; remove it first.
    #[error("{0:?} is already there")]
    Duplicate(PdrId),
    /// The set would have more than [`SET_BOXES_MAX`](crate::SET_BOXES_MAX) boxes or as many rules.
    #[error("the set is full")]
    Full,
}
