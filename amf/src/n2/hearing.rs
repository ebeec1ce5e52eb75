//! The AMF's side of what N2 counts: how far it has heard.

use super::message::{N2Event, Place};

/// Events between two times that N2 is told how far the AMF has heard.
const SAID_EVERY: u64 = 16;

/// How far the AMF has heard of what N2 tells.
#[derive(Debug, Default)]
pub(crate) struct Hearing {
    /// Up to here it has heard all.
    place: Option<Place>,
    /// Where N2 is: behind an attachment it may tell again what was heard.
    at: Option<Place>,
    /// The place that N2 was told last.
    said: Option<Place>,
}

impl Hearing {
    /// Goes on where the process before this one ended.
    pub(crate) fn from(place: Option<Place>) -> Self {
        Self { place, at: None, said: place }
    }

    /// Up to where it has heard all, if it ever has heard anything.
    pub(crate) fn place(&self) -> Option<Place> {
        self.place
    }

    /// Whether N2 was never there while this process has lived.
    pub(crate) fn begins(&self) -> bool {
        self.at.is_none()
    }

    /// Hears an event; says whether it is news.
    pub(crate) fn hear(&mut self, event: &N2Event) -> bool {
        match event {
            N2Event::Attached { heard, .. } => {
                self.at = Some(*heard);
                if self.place.is_none_or(|place| place.life != heard.life || place.number < heard.number) {
                    self.place = Some(*heard);
                }
                true
            }
            N2Event::Detached => true,
            _ => {
                let Some(at) = &mut self.at else { return true };
                at.number += 1;
                let news = self.place.is_none_or(|place| place.number < at.number);
                if news {
                    self.place = Some(*at);
                }
                news
            }
        }
    }

    /// What N2 is to be told now, so that it need not keep it any longer.
    pub(crate) fn take_to_say(&mut self) -> Option<Place> {
        let place = self.place?;
        let said = self.said.filter(|said| said.life == place.life).map_or(0, |said| said.number);
        if place.number < said + SAID_EVERY {
            return None;
        }
        self.said = Some(place);
        self.said
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::GnbId;
    use super::*;

    fn attached(life: u64, number: u64) -> N2Event {
        N2Event::Attached { gnbs: Vec::new(), heard: Place { life, number }, turn: 0 }
    }

    const EVENT: N2Event = N2Event::GnbDown(GnbId(1));

    #[test]
    fn when_n2_tells_again_what_was_heard_then_it_is_no_news() {
        let mut hearing = Hearing::from(Some(Place { life: 1, number: 5 }));
        assert!(hearing.hear(&attached(1, 5)));
        assert!(hearing.hear(&EVENT) && hearing.hear(&EVENT));
        assert_eq!(hearing.place(), Some(Place { life: 1, number: 7 }));
        // The connection was lost with what said so.
        assert!(hearing.hear(&N2Event::Detached) && hearing.hear(&attached(1, 5)));
        assert!(!hearing.hear(&EVENT) && !hearing.hear(&EVENT));
        assert!(hearing.hear(&EVENT));
        // Another N2 begins anew.
        assert!(hearing.hear(&attached(2, 0)) && hearing.hear(&EVENT));
        assert_eq!(hearing.place(), Some(Place { life: 2, number: 1 }));
    }

    #[test]
    fn when_enough_is_heard_then_n2_is_told() {
        let mut hearing = Hearing::default();
        hearing.hear(&attached(1, 0));
        let said = (1..=2 * SAID_EVERY).filter_map(|_| {
            hearing.hear(&EVENT);
            hearing.take_to_say()
        });
        let numbers: Vec<u64> = said.map(|place| place.number).collect();
        assert_eq!(numbers, [SAID_EVERY, 2 * SAID_EVERY]);
    }
}
