//! What the radio does to NAS messages, for tests of the core: between gNB and UE a message may be
//! lost, repeated or changed, which N2 itself never does.

use std::fmt;

use bytes::Bytes;

/// Which way a NAS message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the UE; initial messages too.
    Up,
    /// To the UE.
    Down,
}

/// What becomes of a NAS message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It arrives.
    Arrives,
    /// It is lost.
    Lost,
    /// It arrives twice.
    Twice,
    /// These arrive in its place, in order.
    Becomes(Vec<Bytes>),
}

type Says = Box<dyn FnMut(Way, &[u8]) -> Fate + Send>;

/// A radio that does what it is told.
#[derive(Default)]
pub(super) struct Radio(Option<Says>);

impl Radio {
    pub(super) fn set(&mut self, says: Says) {
        self.0 = Some(says);
    }

    /// What arrives, in order.
    pub(super) fn carry(&mut self, way: Way, octets: Bytes) -> Vec<Bytes> {
        match self.0.as_mut().map_or(Fate::Arrives, |says| says(way, &octets)) {
            Fate::Arrives => vec![octets],
            Fate::Lost => Vec::new(),
            Fate::Twice => vec![octets.clone(), octets],
            Fate::Becomes(others) => others,
        }
    }
}

impl fmt::Debug for Radio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Radio(..)")
    }
}
