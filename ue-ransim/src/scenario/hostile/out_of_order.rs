//! Messages that come before their turn, and behind it: TS 24.501 §4.4.4.3, §4.4.3.1.

use bytes::Bytes;

use super::{establish, unmoved};
use crate::error::SimError;
use crate::scenario::{Scenario, Stage};
use crate::ue::{Fate, Way};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "out-of-order",
    about: "messages of later steps come in clear during authentication, and an old one behind newer ones",
    ues: 1,
    gnbs: 1,
    play: |stage| Box::pin(play(stage)),
};

const AUTHENTICATION_RESPONSE: &[u8] = &[0x7e, 0x00, 0x57];
/// SECURITY MODE COMPLETE, REGISTRATION COMPLETE, CONFIGURATION UPDATE COMPLETE: none is of use in clear.
const BEFORE_THEIR_TURN: [&[u8]; 3] = [&[0x7e, 0x00, 0x5e], &[0x7e, 0x00, 0x43], &[0x7e, 0x00, 0x55]];

async fn play(stage: &mut Stage) -> Result<(), SimError> {
    let mut ue = stage.ue(0)?;
    ue.set_radio(|way, octets| {
        if way == Way::Down || !octets.starts_with(AUTHENTICATION_RESPONSE) {
            return Fate::Arrives;
        }
        let before = BEFORE_THEIR_TURN.map(Bytes::from_static);
        Fate::Becomes(before.into_iter().chain([Bytes::copy_from_slice(octets)]).collect())
    });
    stage.step("registration in spite of messages before their turn", ue.register()).await?;
    ue.set_radio(|_, _| Fate::Arrives);
    let mut session = establish(stage, &mut ue).await?;
    let late = ue.write_release(session.psi)?;
    let other = establish(stage, &mut ue).await?;
    stage.step("a message behind a newer one", ue.send_octets(late)).await?;
    unmoved(stage, &mut ue, &mut session).await?;
    for psi in [other.psi, session.psi] {
        stage.step("PDU session release", ue.release_session(psi)).await?;
    }
    stage.step("de-registration", ue.deregister(false)).await
}
