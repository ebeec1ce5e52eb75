//! A UE goes to another gNB by N2 with its session in use: TS 23.502 §4.9.1.3.

use super::{Scenario, Stage};
use crate::error::SimError;
use crate::gnb::{Forwarding, Gnb};

pub(super) const DIRECT: Scenario = Scenario {
    name: "handover-n2",
    about: "a UE goes to another gNB's cell and back, by N2; gNBs forward to one another",
    ues: 1,
    gnbs: 2,
    play: |stage| Box::pin(play(stage, Forwarding::Direct)),
};

pub(super) const INDIRECT: Scenario = Scenario {
    name: "handover-n2-indirect",
    about: "the same; the gNBs do not reach one another, and forward by the UPF",
    ues: 1,
    gnbs: 2,
    play: |stage| Box::pin(play(stage, Forwarding::Indirect)),
};

async fn play(stage: &mut Stage, forwarding: Forwarding) -> Result<(), SimError> {
    let (home, other) = two_gnbs(stage)?;
    let mut ue = stage.ue(0)?;
    stage.step("registration", ue.register()).await?;
    let mut session =
        stage.step("PDU session establishment", ue.establish_session(Default::default())).await?;
    stage.ping(&mut session).await?;
    for (name, target) in [("handover to another gNB", other), ("handover back", home)] {
        let moved = stage.step(name, ue.handover_n2(&target, forwarding)).await?;
        stage.check("no session is released", moved.released.is_empty(), format!("{:?}", moved.released))?;
        stage.ping(&mut session).await?;
    }
    stage.step("de-registration", ue.deregister(false)).await
}

/// The one in whose cell UEs are switched on, and another one.
pub(super) fn two_gnbs(stage: &Stage) -> Result<(Gnb, Gnb), SimError> {
    match &stage.rig.gnbs[..] {
        [home, other, ..] => Ok((home.clone(), other.clone())),
        _ => Err(SimError::State("there are no two gNBs".into())),
    }
}
