//! Messages whose MAC is wrong: TS 24.501 §4.4.4.3.

use bytes::Bytes;

use super::{unmoved, with_session};
use crate::error::SimError;
use crate::scenario::{Scenario, Stage};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "wrong-mac",
    about: "the release of a session, each octet of its MAC wrong in turn, changes nothing; the right one does",
    ues: 1,
    gnbs: 1,
    play: |stage| Box::pin(play(stage)),
};

/// Where the MAC stands in a protected message (TS 24.501 §9.1.1).
const MAC: std::ops::Range<usize> = 2..6;

async fn play(stage: &mut Stage) -> Result<(), SimError> {
    let (mut ue, mut session) = with_session(stage).await?;
    let release = ue.write_release(session.psi)?;
    let forged = async {
        for at in MAC {
            let mut octets = release.to_vec();
            octets.get_mut(at).into_iter().for_each(|octet| *octet ^= 1);
            ue.send_octets(Bytes::from(octets)).await?;
        }
        Ok(())
    };
    stage.step("release with a wrong MAC", forged).await?;
    unmoved(stage, &mut ue, &mut session).await?;
    stage.step("PDU session release", ue.release_session(session.psi)).await?;
    stage.step("de-registration", ue.deregister(false)).await
}
