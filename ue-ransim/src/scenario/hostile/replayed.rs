//! Every protected NAS message of a UE is sent once more: TS 24.501 §4.4.3.2.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::{establish, is_initial, unmoved, with_session};
use crate::error::SimError;
use crate::scenario::{Scenario, Stage};
use crate::ue::{Fate, Session, Ue, Way};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "replayed-nas",
    about: "all that a UE has said, a release of its session among it, is sent again and changes nothing",
    ues: 1,
    gnbs: 1,
    play: |stage| Box::pin(play(stage)),
};

type Recorded = Arc<Mutex<Vec<Bytes>>>;

async fn play(stage: &mut Stage) -> Result<(), SimError> {
    let recorded = Recorded::default();
    let mut ue = stage.ue(0)?;
    let tape = Arc::clone(&recorded);
    ue.set_radio(move |way, octets| {
        // Plain messages prove nothing, and are not what replay protection is about.
        if way == Way::Up && octets.get(1).is_some_and(|&header| header != 0) && !is_initial(octets) {
            tape.lock().unwrap_or_else(PoisonError::into_inner).push(Bytes::copy_from_slice(octets));
        }
        Fate::Arrives
    });
    stage.step("registration", ue.register()).await?;
    let first = establish(stage, &mut ue).await?;
    stage.step("PDU session release", ue.release_session(first.psi)).await?;
    // The same PDU session ID: the release request that is replayed is about it.
    let mut session = establish(stage, &mut ue).await?;
    ue.set_radio(|_, _| Fate::Arrives);
    replay(stage, &mut ue, &mut session, &recorded).await?;
    stage.go_idle(&mut ue).await?;
    stage.step("service request", ue.wake(&mut session)).await?;
    replay(stage, &mut ue, &mut session, &recorded).await?;
    stage.step("de-registration", ue.deregister(false)).await?;
    // And with the keys of a registration that is over.
    let (mut ue, mut session) = with_session(stage).await?;
    replay(stage, &mut ue, &mut session, &recorded).await?;
    stage.step("de-registration", ue.deregister(false)).await
}

async fn replay(
    stage: &mut Stage,
    ue: &mut Ue,
    session: &mut Session,
    recorded: &Recorded,
) -> Result<(), SimError> {
    let recorded = recorded.lock().unwrap_or_else(PoisonError::into_inner).clone();
    stage.check("messages to replay", recorded.len() >= 4, format!("only {}", recorded.len()))?;
    let sent = async {
        for octets in recorded {
            ue.send_octets(octets).await?;
        }
        Ok(())
    };
    stage.step("replay", sent).await?;
    unmoved(stage, ue, session).await
}
