//! Answers that never come: of a UE (TS 24.501 §5.4.1.3.7) and of a gNB (TS 23.502 §4.9.1.4).

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{establish, extra_gnb, is_initial, is_served, unmoved};
use crate::error::SimError;
use crate::gnb::Forwarding;
use crate::scenario::{Scenario, Stage};
use crate::ue::{Fate, Way};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "no-answers",
    about: "a UE never answers its challenge, a gNB no handover request: both are given up, and asked again",
    ues: 1,
    gnbs: 1,
    play: |stage| Box::pin(play(stage)),
};

const AUTHENTICATION_REQUEST: &[u8] = &[0x7e, 0x00, 0x56];

async fn play(stage: &mut Stage) -> Result<(), SimError> {
    let mut ue = stage.ue(0)?;
    let challenges = Arc::new(AtomicU32::new(0));
    let heard = Arc::clone(&challenges);
    ue.set_radio(move |way, octets| {
        if way == Way::Down && octets.starts_with(AUTHENTICATION_REQUEST) {
            heard.fetch_add(1, Ordering::Relaxed);
        }
        if way == Way::Down || is_initial(octets) { Fate::Arrives } else { Fate::Lost }
    });
    let given_up = ue.register().await;
    let found = format!("{given_up:?}");
    stage.check("T3510 expires", matches!(given_up, Err(SimError::Timeout { .. })), found)?;
    // T3560 is 6 s, T3510 15 s.
    let challenges = challenges.load(Ordering::Relaxed);
    stage.check("the challenge is repeated", challenges >= 2, format!("it came {challenges} times"))?;
    ue.set_radio(|_, _| Fate::Arrives);
    is_served(stage, &mut ue).await?;

    let silent = extra_gnb(stage).await?;
    stage.step("registration", ue.register()).await?;
    let mut session = establish(stage, &mut ue).await?;
    silent.mute();
    let refused = ue.handover_n2(&silent, Forwarding::Direct).await;
    let found = format!("{refused:?}");
    stage.check("the preparation fails", matches!(refused, Err(SimError::Handover(_))), found)?;
    silent.abort();
    unmoved(stage, &mut ue, &mut session).await?;
    stage.step("de-registration", ue.deregister(false)).await
}
