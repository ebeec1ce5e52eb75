//! A UE goes to another gNB with its session in use: TS 23.502 §4.9.1.2.

use super::{Scenario, Stage};
use crate::error::SimError;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "handover-xn",
    about: "a UE goes to another gNB's cell and back, by Xn, with its session in use",
    ues: 1,
    gnbs: 2,
    play: |stage| Box::pin(play(stage)),
};

async fn play(stage: &mut Stage) -> Result<(), SimError> {
    let [home, other, ..] = &stage.rig.gnbs[..] else {
        return Err(SimError::State("there are no two gNBs".into()));
    };
    let (home, other) = (home.clone(), other.clone());
    let mut ue = stage.ue(0)?;
    stage.step("registration", ue.register()).await?;
    let mut session =
        stage.step("PDU session establishment", ue.establish_session(Default::default())).await?;
    stage.ping(&mut session).await?;
    for (name, target) in [("handover to another gNB", other), ("handover back", home)] {
        let moved = stage.step(name, ue.handover_xn(&target)).await?;
        stage.check("no session is released", moved.released.is_empty(), format!("{:?}", moved.released))?;
        stage.ping(&mut session).await?;
    }
    stage.step("de-registration", ue.deregister(false)).await
}
