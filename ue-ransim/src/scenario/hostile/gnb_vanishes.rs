//! A gNB is gone from one moment to the next: TS 38.413 §8.7.1.1, TS 23.502 §4.2.6.

use super::{QUIET, establish, extra_gnb};
use crate::error::SimError;
use crate::scenario::{Scenario, Stage};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "gnb-vanishes",
    about: "a gNB ends without a word; its UE has the sessions that it had when it wakes in another cell",
    ues: 1,
    gnbs: 1,
    play: |stage| Box::pin(play(stage)),
};

async fn play(stage: &mut Stage) -> Result<(), SimError> {
    let home = stage.rig.gnbs.first().cloned().ok_or_else(|| SimError::State("there is no gNB".into()))?;
    let mut ue = stage.ue(0)?;
    for moment in ["with a session", "after it has come back"] {
        let gnb = extra_gnb(stage).await?;
        ue.move_to(&gnb);
        stage.step("registration", ue.register()).await?;
        let mut session = establish(stage, &mut ue).await?;
        gnb.abort();
        let lost = match ue.idle(QUIET).await {
            Err(SimError::GnbLost(_)) => Ok(()),
            other => Err(SimError::State(format!("the UE still has a connection: {other:?}"))),
        };
        stage.step(format!("the gNB vanishes {moment}"), async { lost }).await?;
        ue.move_to(&home);
        stage.step("service request in another cell", ue.wake(&mut session)).await?;
        stage.ping(&mut session).await?;
        stage.step("de-registration", ue.deregister(false)).await?;
    }
    Ok(())
}
