//! Overload Start and Overload Stop: TS 38.413 §8.7.7, §8.7.8, TS 23.501 §5.19.5.2. While more UEs come to
//! register than can be, gNBs are asked to turn some away before they cost the AMF anything; UEs with priority,
//! emergency calls and answers to pages come all the same.
//!
//! Where many have come at once that is over as soon as they are registered. Where the AMF had to turn UEs away
//! itself, how much less gNBs are asked for follows what comes: what it could take of them and a little more,
//! and when it turns away none, more by and by.

use serde::{Deserialize, Serialize};
use tern_ngap::ngap::*;
use tern_ngap::{EncodeError, build_ngap};
use tern_types::{Duration, Instant};
use tracing::{info, warn};

use crate::Amf;
use crate::arrivals::Load;
use crate::n2::NON_UE_STREAM;
use crate::n2::message::GnbId;

/// Between two looks at how much comes.
pub const PERIOD: Duration = Duration::from_secs(1);
/// What gNBs are asked for ÷ what the AMF could take: as much too much as keeps it at work.
const SURPLUS: f64 = 1.2;
/// How much more they may send in a period after one in which nobody was turned away.
const EASE: f64 = 1.5;

/// What gNBs have been asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Overload {
    /// What of the signalling they are to turn away, 1 to 99.
    reduction_percent: u8,
    /// When it is looked at again.
    next: Instant,
    /// Whether the AMF has had to turn UEs away in it.
    lasting: bool,
}

impl Overload {
    /// When it is looked at again, if not before.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.lasting.then_some(self.next)
    }
}

/// Looks at the load after each input.
pub(crate) fn watch(amf: &mut Amf) {
    let load = amf.registering.len() + amf.arrivals.waiting();
    let share = |percent: u8| amf.config.limits.registrations.saturating_mul(percent.into()) / 100;
    let (start, stop) = (share(amf.config.overload.start_percent), share(amf.config.overload.stop_percent));
    let turns_away = amf.arrivals.turns_away();
    let may_ask = amf.config.overload.start_percent <= 100;
    match amf.overload {
        None if may_ask && (load >= start.max(1) || turns_away) => {
            let reduction_percent = amf.config.overload.reduction_percent;
            amf.arrivals.take_load();
            amf.overload = Some(Overload { reduction_percent, next: amf.now + PERIOD, lasting: turns_away });
            amf.count("amf.overload.started");
            warn!(load, reduction_percent, "overload: gNBs are asked for less");
            tell_all(amf);
        }
        Some(overload) if !overload.lasting && !turns_away && load <= stop => end(amf, load),
        Some(overload) if (overload.lasting || turns_away) && overload.next <= amf.now => {
            let came = amf.arrivals.take_load();
            let next = amf.now + PERIOD;
            match adapted(overload.reduction_percent, came, load <= stop) {
                Some(reduction_percent) => {
                    amf.overload = Some(Overload { reduction_percent, next, lasting: true });
                    if reduction_percent != overload.reduction_percent {
                        tell_all(amf);
                    }
                }
                None => end(amf, load),
            }
        }
        _ => {}
    }
}

fn end(amf: &mut Amf, load: usize) {
    amf.overload = None;
    amf.count("amf.overload.stopped");
    info!(load, "overload is over");
    tell_all(amf);
}

/// What gNBs are to turn away next, in percent, behind a period in which so many came and the AMF's load was
/// `low` at the end; `None` if nothing.
fn adapted(reduction_percent: u8, load: Load, low: bool) -> Option<u8> {
    let passed = 100.0 - f64::from(reduction_percent);
    let passed = if load.turned_away > 0 {
        let taken = load.came.saturating_sub(load.turned_away) as f64;
        // Never more than before: they were too many.
        passed * (taken / load.came.max(1) as f64 * SURPLUS).min(1.0)
    } else if low {
        passed * EASE
    } else {
        passed
    };
    (passed < 100.0).then(|| 100 - (passed.round() as u8).clamp(1, 99))
}

fn tell_all(amf: &mut Amf) {
    let gnbs: Vec<GnbId> = amf.gnbs.keys().copied().collect();
    tell(amf, &gnbs);
}

/// Tells a gNB that is new, if there is anything to tell.
pub(crate) fn tell_new(amf: &mut Amf, gnb: GnbId) {
    if amf.overload.is_some() {
        tell(amf, &[gnb]);
    }
}

fn tell(amf: &mut Amf, gnbs: &[GnbId]) {
    let pdu = if let Some(overload) = amf.overload {
        let action = OverloadResponse::overloadAction(OverloadAction::reject_rrc_cr_signalling);
        let reduction = TrafficLoadReductionIndication(overload.reduction_percent);
        build_ngap!(
            InitiatingMessage,
            OverloadStart,
            OverloadStart,
            AMFOverloadResponse(action),
            AMFTrafficLoadReductionIndication(reduction),
        )
    } else {
        build_ngap!(InitiatingMessage, OverloadStop, OverloadStop,)
    };
    let encoded = pdu.map_err(EncodeError::from).and_then(|pdu| tern_ngap::encode(&pdu));
    amf.send_to_all(gnbs, NON_UE_STREAM, encoded);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gnbs_turn_away_follows_what_the_amf_has_to() {
        let load = |came, turned_away| Load { came, turned_away };
        // Half of what half of the UEs bring is too much.
        assert_eq!(adapted(50, load(1000, 500), false), Some(70));
        assert_eq!(adapted(50, load(1000, 1000), false), Some(99));
        assert_eq!(adapted(50, load(1000, 1), false), Some(50), "never less");
        assert_eq!(adapted(99, load(1000, 500), false), Some(99));
        // There is still much to do.
        assert_eq!(adapted(70, load(1000, 0), false), Some(70));
        assert_eq!(adapted(70, load(0, 0), true), Some(55));
        assert_eq!(adapted(99, load(0, 0), true), Some(98));
        assert_eq!(adapted(33, load(0, 0), true), None);
    }
}
