//! De-registration by the UE: TS 24.501 §5.5.2.2, TS 23.502 §4.2.2.3.2.

use super::{Scenario, Stage};
use crate::error::SimError;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "deregister",
    about: "normal de-registration, then switch-off, then from CM-IDLE; with a PDU session each time",
    ues: 1,
    gnbs: 1,
    play: |stage| Box::pin(play(stage)),
};

async fn play(stage: &mut Stage) -> Result<(), SimError> {
    let mut ue = stage.ue(0)?;
    for (name, switch_off, idle) in [
        ("de-registration", false, false),
        ("switch-off", true, false),
        ("de-registration from CM-IDLE", false, true),
    ] {
        stage.step("registration", ue.register()).await?;
        stage.step("PDU session establishment", ue.establish_session(Default::default())).await?;
        if idle {
            stage.go_idle(&mut ue).await?;
        }
        stage.step(name, ue.deregister(switch_off)).await?;
    }
    Ok(())
}
