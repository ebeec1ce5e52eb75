//! The source gNB cancels an N2 handover that is prepared: TS 38.413 §8.4.5, TS 23.502 §4.9.1.4.

use std::time::Duration;

use tokio::time::Instant;

use super::handover_n2::two_gnbs;
use super::{Scenario, Stage};
use crate::error::SimError;
use crate::gnb::{Forwarding, Gnb};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "handover-n2-cancel",
    about: "a handover is prepared and cancelled; the UE stays served where it is, and goes later",
    ues: 1,
    gnbs: 2,
    play: |stage| Box::pin(play(stage)),
};

/// How long the target gNB may have something of the UE.
const RELEASE_TIME: Duration = Duration::from_secs(5);

async fn play(stage: &mut Stage) -> Result<(), SimError> {
    let (_, target) = two_gnbs(stage)?;
    let mut ue = stage.ue(0)?;
    stage.step("registration", ue.register()).await?;
    let mut session =
        stage.step("PDU session establishment", ue.establish_session(Default::default())).await?;
    let prepared = ue.prepare_handover_n2(&target, Forwarding::Indirect);
    let prepared = stage.step("handover preparation", prepared).await?;
    stage.step("handover cancellation", ue.cancel_handover_n2(Some(prepared))).await?;
    stage.step("the target gNB is released", released(&target)).await?;
    stage.ping(&mut session).await?;
    stage.step("handover", ue.handover_n2(&target, Forwarding::Indirect)).await?;
    stage.ping(&mut session).await?;
    stage.step("de-registration", ue.deregister(false)).await
}

async fn released(gnb: &Gnb) -> Result<(), SimError> {
    let until = Instant::now() + RELEASE_TIME;
    while gnb.connected() > 0 {
        if Instant::now() >= until {
            return Err(SimError::State(format!("{gnb} still has the UE")));
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}
