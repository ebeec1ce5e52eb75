//! Initial registration, a session, and de-registration: TS 23.502 §4.2.2.2.2, §4.3.2.2.1.

use super::{Scenario, Stage};
use crate::error::SimError;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "register",
    about: "initial registration by SUCI, then by 5G-GUTI; a PDU session each time",
    ues: 1,
    gnbs: 1,
    play: |stage| Box::pin(play(stage)),
};

async fn play(stage: &mut Stage) -> Result<(), SimError> {
    let mut ue = stage.ue(0)?;
    for name in ["registration by SUCI", "registration by 5G-GUTI"] {
        stage.step(name, ue.register()).await?;
        let mut session =
            stage.step("PDU session establishment", ue.establish_session(Default::default())).await?;
        stage.ping(&mut session).await?;
        stage.step("PDU session release", ue.release_session(session.psi)).await?;
        stage.step("de-registration", ue.deregister(false)).await?;
    }
    Ok(())
}
