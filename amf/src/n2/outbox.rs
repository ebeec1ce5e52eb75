//! What the AMF has to say to N2 and is not known to have said: it is stored with what it follows from, so that the next
//! process says it if this one dies in between.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::bridge::{decode_all, encode};
use super::message::{N2Command, Place};

/// The last turn of the AMF whose commands are on their way, whatever becomes of this process. Clones are one.
#[derive(Debug, Clone, Default)]
pub(super) struct Said(Arc<AtomicU64>);

impl Said {
    pub(super) fn set(&self, turn: u64) {
        self.0.store(turn, Ordering::Release);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// Turns that have commands, and are not said.
#[derive(Debug, Default)]
pub struct Outbox {
    last: u64,
    turns: VecDeque<(u64, Vec<N2Command>)>,
    said: Said,
}

impl Outbox {
    pub(super) fn said(&self) -> Said {
        self.said.clone()
    }

    /// Takes a turn's commands in; its number.
    pub(crate) fn push(&mut self, commands: Vec<N2Command>) -> u64 {
        let said = self.said.get();
        self.turns.retain(|(turn, _)| *turn > said);
        self.last += 1;
        self.turns.push_back((self.last, commands));
        self.last
    }

    /// As it is stored: each turn's commands as they are framed, and behind them its number.
    pub(crate) fn record(&self) -> Vec<u8> {
        let mut record = Vec::new();
        for (turn, commands) in &self.turns {
            commands.iter().for_each(|command| encode(command, &mut record));
            encode(&N2Command::Turn(*turn), &mut record);
        }
        record
    }

    /// As the process before this one has stored it; `None` if it cannot be read.
    pub(crate) fn read(record: &[u8]) -> Option<Self> {
        let mut outbox = Self::default();
        let mut commands = Vec::new();
        for command in decode_all(Bytes::copy_from_slice(record))? {
            match command {
                N2Command::Turn(turn) => {
                    outbox.last = turn;
                    outbox.turns.push_back((turn, std::mem::take(&mut commands)));
                }
                command => commands.push(command),
            }
        }
        Some(outbox)
    }

    /// N2 is there, and has taken all up to a turn: what is left is to be said again, if it is the N2 of before.
    pub(crate) fn again(&mut self, before: Option<Place>, now: Place, taken: u64) -> Vec<N2Command> {
        let turns = std::mem::take(&mut self.turns);
        if before.is_none_or(|place| place.life != now.life) {
            return Vec::new();
        }
        let left = turns.into_iter().filter(|(turn, _)| *turn > taken);
        left.flat_map(|(turn, commands)| commands.into_iter().chain([N2Command::Turn(turn)])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::GnbId;
    use super::*;

    fn command(number: u32) -> N2Command {
        N2Command::Ngap { gnb: GnbId(number), stream: 1, pdu: Bytes::from_static(b"an NGAP message") }
    }

    const PLACE: Place = Place { life: 1, number: 0 };

    #[test]
    fn when_an_amf_goes_on_then_it_says_what_n2_has_not_taken_and_no_more() {
        let mut outbox = Outbox::default();
        assert_eq!(outbox.push(vec![command(1)]), 1);
        outbox.push(vec![command(2), N2Command::Abort { gnb: GnbId(9) }]);
        outbox.said.set(1);
        outbox.push(vec![command(3)]);
        let mut next = Outbox::read(&outbox.record()).unwrap();
        let again = next.again(Some(PLACE), PLACE, 2);
        assert_eq!(again, [command(3), N2Command::Turn(3)]);
        assert_eq!(next.push(vec![command(4)]), 4);
        let mut next = Outbox::read(&outbox.record()).unwrap();
        let all = [command(2), N2Command::Abort { gnb: GnbId(9) }, N2Command::Turn(2), command(3)];
        assert_eq!(next.again(Some(PLACE), PLACE, 0)[..4], all);
        // Another N2 has other gNBs.
        let mut next = Outbox::read(&outbox.record()).unwrap();
        assert_eq!(next.again(Some(PLACE), Place { life: 2, number: 0 }, 0), []);
    }

    #[test]
    fn when_a_record_cannot_be_read_then_that_is_said() {
        assert!(Outbox::read(b"no frames").is_none());
        assert!(Outbox::read(b"").is_some_and(|outbox| outbox.turns.is_empty()));
    }
}
