//! Each message of a UE comes twice: TS 24.501 §4.4.3.2 lets the network take it once.

use super::{establish, is_initial};
use crate::error::SimError;
use crate::scenario::{Scenario, Stage};
use crate::ue::{Fate, Way};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "duplicated",
    about: "from registration to de-registration each message of a UE comes twice, and counts once",
    ues: 1,
    gnbs: 1,
    play: |stage| Box::pin(play(stage)),
};

async fn play(stage: &mut Stage) -> Result<(), SimError> {
    let mut ue = stage.ue(0)?;
    // There is no connection yet on which a first message could come again.
    ue.set_radio(|way, octets| match way {
        Way::Up if !is_initial(octets) => Fate::Twice,
        _ => Fate::Arrives,
    });
    for _ in 0..2 {
        stage.step("registration", ue.register()).await?;
        let mut session = establish(stage, &mut ue).await?;
        stage.check("one session", ue.sessions().count() == 1, ue.sessions().count())?;
        stage.go_idle(&mut ue).await?;
        stage.step("service request", ue.wake(&mut session)).await?;
        stage.ping(&mut session).await?;
        stage.step("PDU session release", ue.release_session(session.psi)).await?;
        stage.step("de-registration", ue.deregister(false)).await?;
    }
    Ok(())
}
