//! Finding the rule for a packet.

use std::num::NonZeroU32;

use pdr_classifier::{
    Classifier, Hybrid, InsertError, Key, Lane, LinkedList, PartitionSort, PdrId, Rule, Side,
    SourceInterface, TupleSpaceSearch,
};

use super::flow::Flow;
use super::session::Pdr;
use crate::config::ClassifierKind;

/// Our N3 address, as a number: there is one.
pub(crate) const N3: NonZeroU32 = NonZeroU32::MIN;

/// What a packet of the access side shows to the rules.
pub(crate) fn uplink_key(flow: &Flow, teid: u32, qfi: Option<u8>) -> Key {
    let key = key(flow, SourceInterface::Access).with_tunnel(N3, teid);
    qfi.map_or(key, |qfi| key.with(Lane::Qfi, u32::from(qfi)))
}

/// What a packet of a data network shows to the rules.
pub(crate) fn downlink_key(flow: &Flow) -> Key {
    key(flow, SourceInterface::Core)
}

fn key(flow: &Flow, from: SourceInterface) -> Key {
    let mut key = Key::new()
        .with(Lane::SourceInterface, from as u32)
        .with_address(Side::Source, flow.source.into())
        .with_address(Side::Destination, flow.destination.into())
        .with(Lane::Protocol, u32::from(flow.protocol))
        .with(Lane::Tos, u32::from(flow.tos));
    if let Some((source, destination)) = flow.ports {
        key.set(Lane::SourcePort, u32::from(source));
        key.set(Lane::DestinationPort, u32::from(destination));
    }
    if let Some(spi) = flow.spi {
        key.set(Lane::Spi, spi);
    }
    key
}

/// The rules of one session and direction.
#[derive(Debug)]
pub(crate) struct Rules {
    /// By PDR ID.
    rules: Vec<Pdr>,
    set: Set,
}

/// What finds them. Each finds the same.
#[derive(Debug)]
enum Set {
    Hybrid(Hybrid),
    PartitionSort(PartitionSort),
    TupleSpaceSearch(TupleSpaceSearch),
    LinkedList(LinkedList),
}

impl Rules {
    /// Rules, each with what it detects. Of rules with equal precedence the one with the lower PDR ID
    /// comes first, which the specification leaves open and we keep deterministic.
    pub(crate) fn new(kind: ClassifierKind, rules: Vec<(Pdr, Rule)>) -> Result<Self, InsertError> {
        let (mut rules, compiled): (Vec<Pdr>, Vec<Rule>) = rules.into_iter().unzip();
        rules.sort_by_key(|rule| rule.id);
        let set = match kind {
            ClassifierKind::Hybrid => Set::Hybrid(Hybrid::build(&compiled)?),
            ClassifierKind::PartitionSort => Set::PartitionSort(PartitionSort::build(&compiled)?),
            ClassifierKind::TupleSpaceSearch => {
                Set::TupleSpaceSearch(filled(TupleSpaceSearch::new(), &compiled)?)
            }
            ClassifierKind::LinkedList => Set::LinkedList(filled(LinkedList::new(), &compiled)?),
        };
        Ok(Self { rules, set })
    }

    /// The matching rule that comes first in precedence.
    #[inline]
    pub(crate) fn find(&self, key: &Key) -> Option<&Pdr> {
        let PdrId(id) = match &self.set {
            Set::Hybrid(set) => set.classify(key),
            Set::PartitionSort(set) => set.classify(key),
            Set::TupleSpaceSearch(set) => set.classify(key),
            Set::LinkedList(set) => set.classify(key),
        }?;
        let at = self.rules.binary_search_by_key(&id, |rule| u32::from(rule.id)).ok()?;
        self.rules.get(at)
    }

    /// All rules.
    pub(crate) fn all(&self) -> &[Pdr] {
        &self.rules
    }
}

fn filled<C: Classifier>(mut set: C, rules: &[Rule]) -> Result<C, InsertError> {
    set.insert_all(rules)?;
    Ok(set)
}
