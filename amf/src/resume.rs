//! Going on where the process before this one ended, and what the next one needs for it.

use std::collections::{BTreeMap, BTreeSet};

use tern_nf::Change;
use tern_types::Instant;

use crate::amf::{Amf, Due};
use crate::io::{Output, Token};
use crate::ngap::handover::Handover;
use crate::record::{self, Left, Own, RestoredArrival, RestoredDeparting, RestoredUe, Sent};
use crate::ue::{UeContext, UeId};

/// Numbers that are given before their record is written anew.
const BLOCK: u64 = 1 << 16;

/// What is to be stored, where contexts outlive the process.
#[derive(Debug, Default)]
pub(crate) struct Changed {
    /// UEs that have changed.
    pub(crate) ues: BTreeSet<UeId>,
    /// Connections that depart, or have departed.
    pub(crate) departing: BTreeSet<u64>,
    /// Requests that have no answer yet.
    pub(crate) sent: BTreeMap<(UeId, Token), Sent>,
    /// As it was stored last.
    own: Own,
}

impl Amf {
    /// Goes on where the process before this one ended, with what it stored. What contexts await answers to is asked
    /// again; gNBs are learnt from the N2 termination. From now on [`Amf::changes`] tells what is to be stored.
    pub fn resume(&mut self, now: Instant, left: Left) -> Vec<Output> {
        self.now = self.now.max(now);
        let mut changed = Changed::default();
        if let Some(own) = left.own {
            self.continues = true;
            self.overload = own.overload;
            (self.next_token, self.next_ue) = (own.token, own.ue);
            (self.next_amf_id, self.next_indication) = (own.amf_ue_ngap_id, own.indication);
            changed.own = own;
        }
        for RestoredUe { id, context, untold, awaited } in left.ues {
            for (token, sent) in awaited {
                let Sent { target, call, request } = sent.clone();
                changed.sent.insert((id, token), sent);
                self.tokens.insert(token, id);
                self.out.push(Output::Request { token, target, call, request });
            }
            if untold {
                self.untold.insert(id);
            }
            if let Some(mut ue) = context {
                ue.armed = None;
                self.index(&ue);
                self.settle(ue);
            }
        }
        for RestoredDeparting(id, departing) in left.departing {
            self.deadlines.insert((departing.deadline, Due::Departing(id)));
            self.departing.insert(id, departing);
        }
        for RestoredArrival(place, arrival) in left.arrivals {
            self.arrivals.restore(place, arrival);
        }
        self.arrivals.keep();
        self.changed = Some(changed);
        self.ask_to_be_woken();
        std::mem::take(&mut self.out)
    }

    /// What has changed since this was asked last, to be stored before the outputs leave. Nothing if contexts are not
    /// kept.
    pub fn changes(&mut self) -> Vec<Change> {
        let own = self.own();
        let Some(changed) = &mut self.changed else { return Vec::new() };
        let mut changes = Vec::new();
        if own != changed.own {
            changed.own = own;
            changes.extend(record::own(&own));
        }
        for id in std::mem::take(&mut changed.ues) {
            let sent = changed.sent.range((id, Token(0))..=(id, Token(u64::MAX)));
            let awaited = sent.map(|(&(_, token), sent)| (token, sent));
            let context = self.ues.get(&id).map(AsRef::as_ref);
            changes.extend(record::ue(id, context, self.untold.contains(&id), awaited));
        }
        for id in std::mem::take(&mut changed.departing) {
            changes.extend(record::departing(id, self.departing.get(&id)));
        }
        for place in self.arrivals.take_changed() {
            changes.extend(record::arrival(place, self.arrivals.at(place)));
        }
        changes
    }

    /// How many answers are awaited.
    pub fn awaited(&self) -> usize {
        self.tokens.len()
    }

    /// What is stored of a UE is to be stored anew.
    pub(crate) fn touched(&mut self, ue: UeId) {
        if let Some(changed) = &mut self.changed {
            changed.ues.insert(ue);
        }
    }

    /// What is stored of a connection that departs is to be stored anew.
    pub(crate) fn departing_changed(&mut self, amf_ue_ngap_id: u64) {
        if let Some(changed) = &mut self.changed {
            changed.departing.insert(amf_ue_ngap_id);
        }
    }

    /// What is to be stored of the AMF itself: another block of numbers where one is used up.
    fn own(&self) -> Own {
        let before = self.changed.as_ref().map(|changed| changed.own).unwrap_or_default();
        let reserved = |reserved: u64, next: u64| if next < reserved { reserved } else { next + BLOCK };
        Own {
            token: reserved(before.token, self.next_token),
            ue: reserved(before.ue, self.next_ue),
            amf_ue_ngap_id: reserved(before.amf_ue_ngap_id, self.next_amf_id),
            indication: reserved(before.indication, self.next_indication),
            overload: self.overload,
        }
    }

    /// What leads to a context, from what is in it.
    fn index(&mut self, ue: &UeContext) {
        if let Some(supi) = &ue.supi {
            self.by_supi.insert(supi.clone(), ue.id);
        }
        let gutis = [ue.guti, ue.old_guti].into_iter().flatten();
        let gutis = gutis.chain(ue.older_gutis.iter().copied());
        self.by_tmsi.extend(gutis.map(|guti| (guti.tmsi, ue.id)));
        if let Some(n2) = &ue.n2 {
            self.by_amf_id.insert(n2.amf_ue_ngap_id, ue.id);
            self.by_ran_id.insert((n2.gnb, n2.ran_ue_ngap_id), ue.id);
        }
        let Some(Handover::N2(handover)) = &ue.handover else { return };
        self.by_amf_id.extend(handover.other_number().map(|number| (number, ue.id)));
        if let Some((gnb, ran_id)) = handover.awaits_at() {
            self.incoming.insert((gnb, ue.id));
            self.by_ran_id.extend(ran_id.map(|id| ((gnb, id), ue.id)));
        }
    }
}
