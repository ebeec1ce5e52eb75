//! Periodic registration update: TS 24.501 §5.3.7, §5.5.1.3.

use std::time::Duration;

use super::{Scenario, Stage};
use crate::error::SimError;
use crate::ue::RegistrationKind;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "periodic-update",
    about: "an idle UE registers when T3512 expires, or at once where that is long; its session stays",
    ues: 1,
    gnbs: 1,
    play: |stage| Box::pin(play(stage)),
};

/// The longest T3512 that is waited for.
const T3512_MAX: Duration = Duration::from_secs(120);

async fn play(stage: &mut Stage) -> Result<(), SimError> {
    let mut ue = stage.ue(0)?;
    stage.step("registration", ue.register()).await?;
    let mut session =
        stage.step("PDU session establishment", ue.establish_session(Default::default())).await?;
    stage.go_idle(&mut ue).await?;
    match ue.t3512().filter(|&t3512| t3512 <= T3512_MAX) {
        Some(t3512) => {
            let before = stage.rig.journal.counted("ue.periodic_update");
            stage.step("T3512", ue.idle(t3512 + Duration::from_secs(2))).await?;
            let updates = stage.rig.journal.counted("ue.periodic_update") - before;
            stage.check("periodic update", updates > 0, "T3512 has brought no update")?;
        }
        None => {
            stage.step("periodic update", ue.register_as(RegistrationKind::Periodic)).await?;
        }
    }
    stage.go_idle(&mut ue).await?;
    let kept = ue.sessions().any(|(psi, _)| psi == session.psi);
    stage.check("the session stays", kept, "the network has released it")?;
    stage.step("service request for uplink data", ue.wake(&mut session)).await?;
    stage.ping(&mut session).await?;
    stage.step("de-registration", ue.deregister(false)).await
}
