//! Registration by EAP-AKA': TS 33.501 §6.1.3.1, TS 24.501 §5.4.1.2.
//!
//! The third subscriber's method in the core is EAP-AKA'.

use super::{Scenario, Stage};
use crate::error::SimError;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "register-eap-aka-prime",
    about: "the third UE, whose method in the core is EAP-AKA', registers by it, and has a PDU session",
    ues: 3,
    gnbs: 1,
    play: |stage| Box::pin(play(stage)),
};

async fn play(stage: &mut Stage) -> Result<(), SimError> {
    let mut ue = stage.ue(2)?;
    let before = stage.rig.journal.counted("ue.eap_success");
    stage.step("registration", ue.register()).await?;
    let succeeded = stage.rig.journal.counted("ue.eap_success") > before;
    stage.check("EAP-AKA'", succeeded, "the network has chosen another authentication method")?;
    let mut session =
        stage.step("PDU session establishment", ue.establish_session(Default::default())).await?;
    stage.ping(&mut session).await?;
    stage.go_idle(&mut ue).await?;
    stage.step("service request for uplink data", ue.wake(&mut session)).await?;
    stage.ping(&mut session).await?;
    stage.step("de-registration", ue.deregister(false)).await
}
