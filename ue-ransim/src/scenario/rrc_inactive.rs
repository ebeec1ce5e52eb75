//! A UE rests in RRC_INACTIVE, and the AMF hears of it: TS 38.413 §8.3.5, TS 23.501 §5.4.6.

use std::time::Duration;

use super::{Scenario, Stage};
use crate::error::SimError;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "rrc-inactive",
    about: "the gNB keeps a UE in RRC_INACTIVE and reports it; data and signalling take it back",
    ues: 1,
    gnbs: 1,
    play: |stage| Box::pin(play(stage)),
};

/// How long it rests.
const REST: Duration = Duration::from_millis(100);
/// Changes of the RRC state below.
const TRANSITIONS: u64 = 4;

async fn play(stage: &mut Stage) -> Result<(), SimError> {
    let mut ue = stage.ue(0)?;
    stage.step("registration", ue.register()).await?;
    let mut session =
        stage.step("PDU session establishment", ue.establish_session(Default::default())).await?;
    let before = stage.rig.journal.counted("gnb.rrc_report");
    let reports = ue.link().is_some_and(crate::gnb::Link::reports_rrc_state);
    let index = ue.link().and_then(crate::gnb::Link::identity_index);
    let own = ue.guti().map(|guti| (guti.tmsi & 0x3ff) as u16);
    stage.check("UE Identity Index Value", index == own, format_args!("{index:?} instead of {own:?}"))?;
    stage.step("to RRC_INACTIVE", ue.enter_rrc_inactive()).await?;
    stage.step("rest", ue.idle(REST)).await?;
    let inactive = ue.link().is_some_and(crate::gnb::Link::is_inactive);
    stage.check("still in RRC_INACTIVE", inactive, "the UE has left RRC_INACTIVE by itself")?;
    stage.step("resume", ue.resume_rrc()).await?;
    stage.ping(&mut session).await?;
    stage.step("to RRC_INACTIVE again", ue.enter_rrc_inactive()).await?;
    stage.step("de-registration resumes it", ue.deregister(false)).await?;
    let told = stage.rig.journal.counted("gnb.rrc_report") - before;
    let (name, wanted) =
        if reports { ("each change is reported", TRANSITIONS) } else { ("no reports asked for", 0) };
    stage.check(name, told == wanted, format_args!("{told} reports instead of {wanted}"))
}
