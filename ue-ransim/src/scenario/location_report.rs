//! A connected UE changes its cell, within a gNB and to another one, and the AMF hears where it is if it wants
//! to: TS 38.413 §8.12.

use super::{Scenario, Stage};
use crate::error::SimError;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "location-report",
    about: "a connected UE changes cells; an AMF that asks hears of each",
    ues: 1,
    gnbs: 2,
    play: |stage| Box::pin(play(stage)),
};

/// Changes of the cell below.
const CHANGES: u64 = 2;

async fn play(stage: &mut Stage) -> Result<(), SimError> {
    let mut ue = stage.ue(0)?;
    stage.step("registration", ue.register()).await?;
    let mut session =
        stage.step("PDU session establishment", ue.establish_session(Default::default())).await?;
    let before = stage.rig.journal.counted("gnb.location_report");
    let asked = ue.link().is_some_and(crate::gnb::Link::reports_cells);
    stage.step("another cell of the gNB", ue.change_cell(1)).await?;
    let target = stage.rig.gnbs[1].clone();
    stage.step("Xn handover", ue.handover_xn(&target)).await?;
    stage.ping(&mut session).await?;
    let told = stage.rig.journal.counted("gnb.location_report") - before;
    let (name, wanted) = if asked { ("each cell is reported", CHANGES) } else { ("no reports asked for", 0) };
    stage.check(name, told == wanted, format_args!("{told} reports instead of {wanted}"))?;
    stage.step("de-registration", ue.deregister(false)).await
}
