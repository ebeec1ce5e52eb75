//! A session's rules as they are kept until it is modified: what it has in common with other sessions once for
//! all of them, and beside that its own numbers.

use std::convert::Infallible;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use smallvec::SmallVec;
use tern_pfcp::*;

use super::intern::{Interner, Use};
use super::rules::{Refusal, RuleSet};

/// Of the addresses and TEIDs of a session, in their order, so many may be numbers of its own; those after them
/// are taken for what sessions have in common. It bounds what finding equal ones takes.
const OWN_PLACES_MAX: usize = 256;

/// Octets of one session's rules.
pub(crate) const OCTETS_MAX: usize = 512 << 10;
/// A request is one datagram: it adds no more octets than these.
const ADDED_MAX: usize = 64 << 10;

/// Of a piece of rules.
const LENGTH_OCTETS: usize = size_of::<u32>();

/// Rules that any number of sessions have.
#[derive(Debug)]
pub(crate) struct Template {
    /// By ID.
    urrs: Vec<Arc<CreateUrr>>,
}

impl Template {
    /// The rules of the URRs, by ID.
    pub(crate) fn urrs(&self) -> &[Arc<CreateUrr>] {
        &self.urrs
    }
}

/// A session's rules: those of a template, in which each TEID and address is the place of a number here.
#[derive(Debug, Default)]
pub(crate) struct PackedRules {
    template: Use,
    own: SmallVec<[u32; 4]>,
}

impl PackedRules {
    /// The rules for keeping, and the template that they have one more use of.
    pub(crate) fn pack(mut rules: RuleSet, templates: &mut Interner<Template>) -> (Self, Arc<Template>) {
        let mut own = SmallVec::new();
        replace_own(&mut rules, |number| {
            let place = own.iter().position(|known| known == number).unwrap_or_else(|| {
                own.push(*number);
                own.len() - 1
            });
            *number = place as u32;
        });
        let (octets, urrs) = write(rules);
        let made = templates.take(&octets, || {
            let urrs = urrs.into_iter().map(Arc::new).collect();
            Ok::<_, Infallible>(Template { urrs })
        });
        let Ok((template, value)) = made;
        (Self { template, own }, value)
    }

    /// Whether what these rules become fits.
    pub(crate) fn check_room(&self, next: &RuleSet, templates: &Interner<Template>) -> Result<(), Refusal> {
        let before = templates.octets(&self.template).len();
        if before + ADDED_MAX > OCTETS_MAX && write(next.clone()).0.len() > OCTETS_MAX {
            let cause = Cause::NO_RESOURCES_AVAILABLE;
            return Err(Refusal::new(cause, "too many octets of rules in one session"));
        }
        Ok(())
    }

    /// The rules again.
    pub(crate) fn unpack(&self, templates: &Interner<Template>) -> Result<RuleSet, Refusal> {
        let mut rules = read(templates.octets(&self.template))?;
        replace_own(&mut rules, |number| {
            if let Some(own) = self.own.get(*number as usize) {
                *number = *own;
            }
        });
        Ok(rules)
    }

    /// The template is used no longer.
    pub(crate) fn give_back(self, templates: &mut Interner<Template>) {
        templates.give_back(self.template);
    }
}

/// The rules as the IEs that create them, in pieces of which each is as long as it says first; and the URRs, which
/// are in the first piece. Nearly all sessions have one.
fn write(rules: RuleSet) -> (Vec<u8>, Vec<CreateUrr>) {
    let mut pdrs = rules.pdrs.into_vec();
    let more = pdrs.split_off(pdrs.len().min(IE_REPEATS_MAX));
    let mut octets = Vec::with_capacity(512);
    let mut piece = |request: SessionModificationRequest| {
        let message = Message::from(request);
        let begin = octets.len();
        octets.extend([0; LENGTH_OCTETS]);
        message.append_ies(&mut octets);
        let length = (octets.len() - begin - LENGTH_OCTETS) as u32;
        octets[begin..begin + LENGTH_OCTETS].copy_from_slice(&length.to_be_bytes());
        message
    };
    let first = piece(SessionModificationRequest {
        create_pdr: pdrs,
        create_far: rules.fars.into_vec(),
        create_qer: rules.qers.into_vec(),
        create_urr: rules.urrs.into_vec(),
        create_bar: rules.bars.into_vec(),
        ..Default::default()
    });
    for pdrs in more.chunks(IE_REPEATS_MAX) {
        piece(SessionModificationRequest { create_pdr: pdrs.to_vec(), ..Default::default() });
    }
    let urrs = match first {
        Message::SessionModificationRequest(request) => request.create_urr,
        _ => Vec::new(),
    };
    (octets, urrs)
}

/// What [`write`] wrote.
fn read(octets: &[u8]) -> Result<RuleSet, Refusal> {
    let unreadable = || Refusal::new(Cause::SYSTEM_FAILURE, "the session's rules cannot be read again");
    let mut rules = RuleSet::default();
    let mut rest = octets;
    while let Some((length, behind)) = rest.split_first_chunk() {
        let (ies, behind) =
            behind.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or_else(unreadable)?;
        rest = behind;
        let request = Message::from_ies(MessageType::SessionModificationRequest, ies);
        let Ok(Message::SessionModificationRequest(request)) = request else { return Err(unreadable()) };
        rules.pdrs.add(request.create_pdr, usize::MAX).map_err(|_| unreadable())?;
        rules.fars.add(request.create_far, usize::MAX).map_err(|_| unreadable())?;
        rules.qers.add(request.create_qer, usize::MAX).map_err(|_| unreadable())?;
        rules.urrs.add(request.create_urr, usize::MAX).map_err(|_| unreadable())?;
        rules.bars.add(request.create_bar, usize::MAX).map_err(|_| unreadable())?;
    }
    Ok(rules)
}

/// Replaces the numbers that differ from session to session, always in the same order.
fn replace_own(rules: &mut RuleSet, replace: impl FnMut(&mut u32)) {
    let mut own = Own { replace, left: OWN_PLACES_MAX };
    for pdr in rules.pdrs.iter_mut() {
        if let Some(FTeid::Assigned { teid, .. }) = &mut pdr.pdi.f_teid {
            own.number(teid);
        }
        for ue in &mut pdr.pdi.ue_ip_addresses {
            own.ipv4(&mut ue.ipv4);
            own.ipv6(&mut ue.ipv6);
        }
    }
    for far in rules.fars.iter_mut() {
        let parameters = far.forwarding_parameters.as_mut();
        let Some(header) = parameters.and_then(|to| to.outer_header_creation.as_mut()) else { continue };
        header.teid.iter_mut().for_each(|teid| own.number(teid));
        own.ipv4(&mut header.ipv4);
        own.ipv6(&mut header.ipv6);
    }
}

struct Own<F> {
    replace: F,
    left: usize,
}

impl<F: FnMut(&mut u32)> Own<F> {
    fn number(&mut self, number: &mut u32) {
        if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            (self.replace)(number);
        }
    }

    fn ipv4(&mut self, address: &mut Option<Ipv4Addr>) {
        if let Some(address) = address {
            let mut number = address.to_bits();
            self.number(&mut number);
            *address = Ipv4Addr::from_bits(number);
        }
    }

    fn ipv6(&mut self, address: &mut Option<Ipv6Addr>) {
        if let Some(address) = address {
            let bits = address.to_bits();
            let words = [96, 64, 32, 0].map(|shift| {
                let mut number = (bits >> shift) as u32;
                self.number(&mut number);
                number
            });
            let bits = words.into_iter().fold(0, |bits, word| bits << 32 | u128::from(word));
            *address = Ipv6Addr::from_bits(bits);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{downlink_pdr, establishment, far_to_gnb};

    fn rules_of(ue: u32, teid: u32, pdrs: usize) -> RuleSet {
        let mut request = establishment();
        for (id, pdr) in (3..).zip(0..pdrs) {
            let mut pdr = downlink_pdr(id, pdr as u32, 2);
            pdr.pdi.ue_ip_addresses[0].ipv4 = Some(Ipv4Addr::from(ue.wrapping_add(pdr.precedence.0)));
            pdr.pdi.ue_ip_addresses[0].ipv6 = Some(Ipv6Addr::from(u128::from(ue) << 64));
            request.create_pdr.push(pdr);
        }
        request.create_pdr[0].pdi.f_teid = Some(FTeid::assigned_v4(teid, [127, 0, 0, 18].into()));
        request.create_far[1] = far_to_gnb(2);
        if let Some(to) = &mut request.create_far[1].forwarding_parameters {
            to.outer_header_creation = Some(OuterHeaderCreation::gtpu_v4(teid ^ 5, ue.into()));
        }
        RuleSet::establish(&mut request).expect("rules")
    }

    #[test]
    fn when_rules_differ_by_addresses_and_teids_then_they_have_one_template() {
        let mut templates = Interner::default();
        let (one, _) = PackedRules::pack(rules_of(0x0A00_0001, 77, 2), &mut templates);
        let (other, _) = PackedRules::pack(rules_of(0x0A00_0102, 99, 2), &mut templates);
        assert_eq!(templates.len(), 1);
        assert_eq!(other.unpack(&templates).expect("reads"), rules_of(0x0A00_0102, 99, 2));
        one.give_back(&mut templates);
        other.give_back(&mut templates);
        assert_eq!(templates.len(), 0);
    }

    proptest! {
        /// With small numbers, which could be taken for places, and with more than may be a session's own.
        #[test]
        fn packed_rules_are_what_they_were(ue in 0u32..20, teid in 1u32..20, pdrs in 0usize..120) {
            let mut templates = Interner::default();
            let rules = rules_of(ue, teid, pdrs);
            let (packed, template) = PackedRules::pack(rules.clone(), &mut templates);
            prop_assert_eq!(template.urrs().len(), rules.urrs.len());
            prop_assert_eq!(packed.unpack(&templates).expect("reads"), rules);
        }
    }
}
