//! The target gNB of an N2 handover has no resources: TS 38.413 §8.4.1.3, §8.4.2.3.

use super::handover_n2::two_gnbs;
use super::{Scenario, Stage};
use crate::error::SimError;
use crate::gnb::Forwarding;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "handover-n2-failure",
    about: "the target gNB refuses; the UE stays served where it is, and goes when there is room",
    ues: 1,
    gnbs: 2,
    play: |stage| Box::pin(play(stage)),
};

async fn play(stage: &mut Stage) -> Result<(), SimError> {
    let (_, target) = two_gnbs(stage)?;
    let mut ue = stage.ue(0)?;
    stage.step("registration", ue.register()).await?;
    let mut session =
        stage.step("PDU session establishment", ue.establish_session(Default::default())).await?;
    target.refuse_sessions(&[session.psi]);
    let refused = ue.handover_n2(&target, Forwarding::Direct).await;
    target.refuse_sessions(&[]);
    let found = format!("{refused:?}");
    stage.check("the preparation fails", matches!(refused, Err(SimError::Handover(_))), found)?;
    stage.check("the target gNB has nothing of the UE", target.connected() == 0, target.connected())?;
    stage.ping(&mut session).await?;
    let moved = stage.step("handover", ue.handover_n2(&target, Forwarding::Direct)).await?;
    stage.check("no session is released", moved.released.is_empty(), format!("{:?}", moved.released))?;
    stage.ping(&mut session).await?;
    stage.step("de-registration", ue.deregister(false)).await
}
