//! Somebody between UE and gNB takes algorithms out of what a UE says that it can: TS 33.501 §6.7.2,
//! TS 24.501 §5.4.2.5.

use bytes::Bytes;

use super::is_served;
use crate::error::SimError;
use crate::scenario::{Scenario, Stage};
use crate::ue::{Fate, Way};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "bidding-down",
    about: "the UE security capability is changed on the way: the UE notices, and is not registered by it",
    ues: 1,
    gnbs: 1,
    play: |stage| Box::pin(play(stage)),
};

/// UE security capability in REGISTRATION REQUEST (TS 24.501 §8.2.6.1): its IEI and a length of two octets.
const CAPABILITY: [u8; 2] = [0x2e, 2];
/// What is taken out: NEA3 and NIA3.
const WITHOUT: u8 = !0x10;

async fn play(stage: &mut Stage) -> Result<(), SimError> {
    let before = stage.rig.journal.counted("ue.bidding_down");
    let mut ue = stage.ue(0)?;
    ue.set_radio(|way, octets| match changed(octets).filter(|_| way == Way::Up) {
        Some(changed) => Fate::Becomes(vec![changed]),
        None => Fate::Arrives,
    });
    let refused = ue.register().await;
    let found = format!("{refused:?}");
    let ended = matches!(refused, Err(SimError::Rejected { .. } | SimError::Released { .. }));
    stage.check("the registration comes to nothing", ended && !ue.is_registered(), found)?;
    let noticed = stage.rig.journal.counted("ue.bidding_down") > before;
    stage.check("the replayed capability is another one", noticed, "the network replays what the UE has")?;
    ue.set_radio(|_, _| Fate::Arrives);
    ue.lose_radio();
    is_served(stage, &mut ue).await
}

/// REGISTRATION REQUEST with fewer algorithms; none for another message.
fn changed(octets: &[u8]) -> Option<Bytes> {
    if !super::is_initial(octets) {
        return None;
    }
    let at = octets.windows(CAPABILITY.len()).position(|window| window == CAPABILITY)?;
    let mut changed = octets.to_vec();
    let capability = changed.get_mut(at + 2..at + 4)?;
    capability.iter_mut().for_each(|octet| *octet &= WITHOUT);
    Some(changed.into())
}
