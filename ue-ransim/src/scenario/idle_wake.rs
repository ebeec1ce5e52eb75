//! A UE goes idle, and wakes for uplink data: TS 23.502 §4.2.6, §4.2.3.2.

use super::{Scenario, Stage};
use crate::error::SimError;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "idle-wake",
    about: "AN release for inactivity; the UE wakes for uplink data, its sessions come back",
    ues: 1,
    gnbs: 1,
    play: |stage| Box::pin(play(stage)),
};

async fn play(stage: &mut Stage) -> Result<(), SimError> {
    let mut ue = stage.ue(0)?;
    stage.step("registration", ue.register()).await?;
    let mut session =
        stage.step("PDU session establishment", ue.establish_session(Default::default())).await?;
    stage.ping(&mut session).await?;
    stage.go_idle(&mut ue).await?;
    stage.step("service request for uplink data", ue.wake(&mut session)).await?;
    stage.ping(&mut session).await?;
    stage.go_idle(&mut ue).await?;
    stage.step("service request for signalling", ue.service_request(&[])).await?;
    stage.step("de-registration", ue.deregister(false)).await
}
