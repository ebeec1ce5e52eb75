//! Finding the rule for a packet.

use std::num::NonZeroU32;

use pdr_classifier::{
    Classifier, Hybrid, InsertError, Key, Lane, LinkedList, PartitionSort, PdrId, Rule, Side,
    SourceInterface, TupleSpaceSearch,
};

use super::flow::{Ends, Flow};
use super::ipv6::addresses;
use super::session::Pdr;
use crate::config::ClassifierKind;

/// Our N3 address, as a number: there is one.
pub(crate) const N3: NonZeroU32 = NonZeroU32::MIN;

/// Where the packets of a tunnel come from: what its PDRs say (TS 29.244 §8.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Origin {
    /// N3, or N9 from a UPF that is nearer to the access.
    Access,
    /// N9 from a UPF that is nearer to the core.
    Core,
    /// The CP function.
    Control,
    /// The gNB where a UE was, for the one where it is: a tunnel with the access on both sides, which says
    /// nothing of the direction (TS 29.244 §8.2.2).
    Forwarded,
}

impl Origin {
    /// As rules say it. Rules for packets of a data network say N6-LAN, so that they are told apart from those
    /// for N9 though PFCP may call both the core.
    pub(crate) fn interface(self) -> SourceInterface {
        match self {
            Self::Access => SourceInterface::Access,
            Self::Core => SourceInterface::Core,
            Self::Control => SourceInterface::CpFunction,
            // None of PFCP's has a tunnel here: it tells these rules from all others.
            Self::Forwarded => SourceInterface::FiveGVnInternal,
        }
    }
}

/// Sets what the tunnel of a packet shows to the rules; of one from the access side, as a new key says. Keys are
/// set where they are: one that is written and then copied makes the processor wait until all of it is written.
#[inline]
pub(crate) fn show_tunnel(key: &mut Key, teid: u32, qfi: Option<u8>) {
    key.set(Lane::TunnelAddress, N3.get());
    key.set(Lane::Teid, teid);
    if let Some(qfi) = qfi {
        key.set(Lane::Qfi, u32::from(qfi));
    }
}

/// Sets what is shown of a packet by the data network that it came from.
#[inline]
pub(crate) fn show_network(key: &mut Key, network: u16) {
    key.set(Lane::SourceInterface, SourceInterface::SgiLanN6Lan as u32);
    key.set(Lane::NetworkInstance, network_instance(network).get());
}

/// What a packet of a tunnel shows.
#[cfg(test)]
pub(crate) fn tunnelled_key(flow: &Flow, packet: &[u8], from: Origin, teid: u32, qfi: Option<u8>) -> Key {
    let mut key = Key::new().with(Lane::SourceInterface, from.interface() as u32);
    show_tunnel(&mut key, teid, qfi);
    show_user(&mut key, flow, packet);
    key
}

/// What a packet of a data network shows.
#[cfg(test)]
pub(crate) fn downlink_key(flow: &Flow, packet: &[u8], network: u16) -> Key {
    let mut key = Key::new();
    show_network(&mut key, network);
    show_user(&mut key, flow, packet);
    key
}

/// The number of a data network in the rules, from its index.
pub(crate) fn network_instance(network: u16) -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(u32::from(network))
}

/// Sets what the user's packet shows, in a key that shows nothing of one.
#[inline]
pub(crate) fn show_user(key: &mut Key, flow: &Flow, packet: &[u8]) {
    match flow.ends {
        Ends::V4 { source, destination } => {
            key.set(Lane::IpVersion, 4);
            key.set(Lane::Source0, source.to_bits());
            key.set(Lane::Destination0, destination.to_bits());
        }
        Ends::V6 { flow_label } => set_v6(key, packet, flow_label),
    }
    key.set(Lane::Protocol, u32::from(flow.protocol));
    key.set(Lane::Tos, u32::from(flow.tos));
    if let Some((source, destination)) = flow.ports {
        key.set(Lane::SourcePort, u32::from(source));
        key.set(Lane::DestinationPort, u32::from(destination));
    }
    if let Some(spi) = flow.spi {
        key.set(Lane::Spi, spi);
    }
}

#[inline(never)]
fn set_v6(key: &mut Key, packet: &[u8], flow_label: u32) {
    let (source, destination) = addresses(packet);
    key.set_address(Side::Source, source.into());
    key.set_address(Side::Destination, destination.into());
    key.set(Lane::FlowLabel, flow_label);
}

/// The rules of any number of sessions that differ only in what the rules' places lead to.
#[derive(Debug)]
pub(crate) struct SharedRules {
    pub(crate) uplink: Rules,
    pub(crate) downlink: Rules,
}

/// The rules of one direction.
#[derive(Debug)]
pub(crate) struct Rules {
    /// In the order of their PDR IDs. What the set calls a rule is its place here.
    rules: Box<[Pdr]>,
    set: Set,
}

/// What finds them. Each finds the same.
#[derive(Debug)]
enum Set {
    Hybrid(Hybrid),
    PartitionSort(Box<PartitionSort>),
    TupleSpaceSearch(Box<TupleSpaceSearch>),
    LinkedList(Box<LinkedList>),
}

impl Set {
    /// With any of them.
    #[inline(never)]
    fn classify(&self, key: &Key) -> Option<PdrId> {
        match self {
            Self::Hybrid(set) => set.classify(key),
            Self::PartitionSort(set) => set.classify(key),
            Self::TupleSpaceSearch(set) => set.classify(key),
            Self::LinkedList(set) => set.classify(key),
        }
    }
}

impl Rules {
    /// Rules, each with what it detects. Of rules with equal precedence the one with the lower PDR ID
    /// comes first, which the specification leaves open and we keep deterministic.
    pub(crate) fn new(kind: ClassifierKind, mut rules: Vec<(Pdr, Rule)>) -> Result<Self, InsertError> {
        rules.sort_by_key(|(rule, _)| rule.id);
        let named = (0..).zip(rules).map(|(place, (rule, compiled))| (rule, compiled.named(PdrId(place))));
        let (rules, compiled): (Vec<Pdr>, Vec<Rule>) = named.unzip();
        let set = match kind {
            ClassifierKind::Hybrid => Set::Hybrid(Hybrid::build(&compiled)?),
            ClassifierKind::PartitionSort => Set::PartitionSort(Box::new(PartitionSort::build(&compiled)?)),
            ClassifierKind::TupleSpaceSearch => {
                Set::TupleSpaceSearch(Box::new(filled(TupleSpaceSearch::new(), &compiled)?))
            }
            ClassifierKind::LinkedList => Set::LinkedList(Box::new(filled(LinkedList::new(), &compiled)?)),
        };
        Ok(Self { rules: rules.into(), set })
    }

    /// The matching rule that comes first in precedence.
    #[inline]
    pub(crate) fn find(&self, key: &Key) -> Option<&Pdr> {
        let PdrId(place) = match &self.set {
            Set::Hybrid(set) => set.classify(key),
            other => other.classify(key),
        }?;
        self.rules.get(place as usize)
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
