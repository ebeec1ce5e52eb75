//! Finding the rule for a packet.

use super::flow::Flow;
use super::session::Pdr;

/// A packet as PDRs see it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PacketKey<'a> {
    pub(crate) flow: &'a Flow,
    pub(crate) uplink: bool,
    /// The local TEID that an uplink packet came to.
    pub(crate) teid: Option<u32>,
    /// The QFI of an uplink packet's PDU Session Container.
    pub(crate) qfi: Option<u8>,
}

/// The rules of one session and direction. The first implementation is the precedence-ordered
/// list of TS 29.244 §5.2.1; a classifier with the same answers can take its place.
pub(crate) trait RuleLookup: Send + Sync + std::fmt::Debug {
    /// The matching rule that comes first in precedence.
    fn find(&self, key: &PacketKey<'_>) -> Option<&Pdr>;
    /// All rules, in no particular order.
    fn rules(&self) -> &[Pdr];
}

/// All rules in the order of their precedence; of equal precedence the lower PDR ID comes first,
/// which the specification leaves open and we keep deterministic.
#[derive(Debug)]
pub(crate) struct PrecedenceList(Vec<Pdr>);

impl PrecedenceList {
    pub(crate) fn new(mut rules: Vec<Pdr>) -> Self {
        rules.sort_by_key(|rule| (rule.precedence, rule.id));
        Self(rules)
    }
}

impl RuleLookup for PrecedenceList {
    #[inline]
    fn find(&self, key: &PacketKey<'_>) -> Option<&Pdr> {
        self.0.iter().find(|rule| rule.matches(key))
    }

    fn rules(&self) -> &[Pdr] {
        &self.0
    }
}
