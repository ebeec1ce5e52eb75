//! What N2 has told, or would tell, and no AMF has said that it has heard: it is told again to an AMF that goes on where
//! one was lost.

use std::collections::VecDeque;

use super::message::{N2Event, Place, ResetScope};

/// Events that are kept.
const EVENTS_MAX: usize = 4096;
/// Octets in them.
const OCTETS_MAX: usize = 8 << 20;
/// Octets of an event beside those that a gNB decides about.
const EVENT_OCTETS: usize = 64;
/// Octets of a connection in a reset.
const CONNECTION_OCTETS: usize = 24;

/// Events in their order, each with a number.
#[derive(Debug)]
pub(super) struct Unheard {
    /// Which N2 this is: numbers of another one mean nothing.
    life: u64,
    /// Whether an AMF may go on where another one was lost.
    keeps: bool,
    /// The number of the last event.
    last: u64,
    events: VecDeque<N2Event>,
    octets: usize,
}

impl Unheard {
    pub(super) fn new(life: u64, keeps: bool) -> Self {
        Self { life, keeps, last: 0, events: VecDeque::new(), octets: 0 }
    }

    /// Whether there is room for another one. N2 asks gNBs for no more while there is none, or an AMF is away and it
    /// is lost.
    pub(super) fn has_room(&self) -> bool {
        self.events.len() < EVENTS_MAX && self.octets < OCTETS_MAX
    }

    pub(super) fn push(&mut self, event: N2Event) {
        self.last += 1;
        if !self.keeps {
            return;
        }
        self.octets += octets(&event);
        self.events.push_back(event);
    }

    /// The AMF has heard all up to there.
    pub(super) fn heard(&mut self, place: Place) {
        if place.life != self.life {
            return;
        }
        while self.last - (self.events.len() as u64) < place.number
            && let Some(event) = self.events.pop_front()
        {
            self.octets -= octets(&event);
        }
    }

    /// An AMF comes, which goes on behind `heard`; one that is new, or comes from another N2, begins with what is said
    /// from now on. Where it goes on: what is left comes next.
    pub(super) fn go_on(&mut self, heard: Option<Place>) -> Place {
        match heard.filter(|place| place.life == self.life) {
            Some(place) => self.heard(place),
            None => {
                self.events.clear();
                self.octets = 0;
            }
        }
        Place { life: self.life, number: self.last - self.events.len() as u64 }
    }

    /// What is left.
    pub(super) fn events(&self) -> impl Iterator<Item = &N2Event> {
        self.events.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.events.len()
    }
}

fn octets(event: &N2Event) -> usize {
    let content = match event {
        N2Event::Ngap { pdu, .. } => pdu.len(),
        N2Event::Reset { ues: ResetScope::Some(ues), .. } => ues.len() * CONNECTION_OCTETS,
        _ => 0,
    };
    EVENT_OCTETS + content
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::message::GnbId;
    use super::*;

    fn event(number: u32) -> N2Event {
        N2Event::Ngap { gnb: GnbId(number), stream: 1, pdu: Bytes::from_static(b"an NGAP message") }
    }

    fn left(unheard: &Unheard) -> Vec<N2Event> {
        unheard.events().cloned().collect()
    }

    #[test]
    fn when_an_amf_goes_on_then_it_is_told_what_it_has_not_heard_and_no_more() {
        let mut unheard = Unheard::new(7, true);
        (1..=5).for_each(|number| unheard.push(event(number)));
        unheard.heard(Place { life: 7, number: 2 });
        assert_eq!(left(&unheard), [event(3), event(4), event(5)]);
        // What was said before it is said again late.
        unheard.heard(Place { life: 7, number: 1 });
        assert_eq!(unheard.go_on(Some(Place { life: 7, number: 4 })), Place { life: 7, number: 4 });
        assert_eq!(left(&unheard), [event(5)]);
        // A number that was never given is no reason to lose what comes.
        unheard.heard(Place { life: 7, number: u64::MAX });
        assert_eq!(unheard.go_on(Some(Place { life: 7, number: u64::MAX })), Place { life: 7, number: 5 });
        unheard.push(event(6));
        assert_eq!(left(&unheard), [event(6)]);
    }

    #[test]
    fn when_an_amf_is_new_or_comes_from_another_n2_then_it_is_told_nothing_of_before() {
        for heard in [None, Some(Place { life: 8, number: 1 })] {
            let mut unheard = Unheard::new(7, true);
            (1..=3).for_each(|number| unheard.push(event(number)));
            assert_eq!(unheard.go_on(heard), Place { life: 7, number: 3 });
            assert_eq!(unheard.len(), 0);
            assert_eq!(unheard.octets, 0);
        }
    }

    #[test]
    fn when_too_much_is_unheard_then_there_is_no_room() {
        let mut unheard = Unheard::new(1, true);
        while unheard.has_room() {
            unheard.push(event(1));
        }
        assert_eq!(unheard.len(), EVENTS_MAX);
        unheard.heard(Place { life: 1, number: 1 });
        assert!(unheard.has_room());
        let pdu = Bytes::from(vec![0; OCTETS_MAX]);
        unheard.push(N2Event::Ngap { gnb: GnbId(1), stream: 0, pdu });
        assert!(!unheard.has_room());
    }
}
