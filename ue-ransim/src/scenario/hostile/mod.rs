//! What a network must withstand: each scenario says what a specification lets it answer, and that the UE
//! is served afterwards.

mod bidding_down;
mod duplicated;
mod gnb_vanishes;
mod no_answers;
mod out_of_order;
mod replayed;
mod unknown_ids;
mod wrong_mac;

use std::time::Duration;

use super::{Scenario, Stage};
use crate::error::SimError;
use crate::gnb::Gnb;
use crate::run::gnb_config;
use crate::ue::{Session, Ue};

pub(super) const BIDDING_DOWN: Scenario = bidding_down::SCENARIO;
pub(super) const DUPLICATED: Scenario = duplicated::SCENARIO;
pub(super) const GNB_VANISHES: Scenario = gnb_vanishes::SCENARIO;
pub(super) const NO_ANSWERS: Scenario = no_answers::SCENARIO;
pub(super) const OUT_OF_ORDER: Scenario = out_of_order::SCENARIO;
pub(super) const REPLAYED: Scenario = replayed::SCENARIO;
pub(super) const UNKNOWN_IDS: Scenario = unknown_ids::SCENARIO;
pub(super) const WRONG_MAC: Scenario = wrong_mac::SCENARIO;

/// For an answer that must not come.
const QUIET: Duration = Duration::from_millis(500);
/// Behind the other gNBs of a configuration.
const EXTRA_GNB: u32 = crate::config::GNBS_MAX;

async fn with_session(stage: &mut Stage) -> Result<(Ue, Session), SimError> {
    let mut ue = stage.ue(0)?;
    stage.step("registration", ue.register()).await?;
    let session = establish(stage, &mut ue).await?;
    Ok((ue, session))
}

async fn establish(stage: &mut Stage, ue: &mut Ue) -> Result<Session, SimError> {
    stage.step("PDU session establishment", ue.establish_session(Default::default())).await
}

/// The network neither answers nor changes anything.
async fn unmoved(stage: &mut Stage, ue: &mut Ue, session: &mut Session) -> Result<(), SimError> {
    stage.step("no answer", ue.idle(QUIET)).await?;
    stage.check("the connection stays", ue.is_connected(), "it is released")?;
    let kept = ue.sessions().any(|(psi, _)| psi == session.psi);
    stage.check("the session stays", kept, "it is released")?;
    stage.ping(session).await
}

/// It is as if nothing had been.
async fn is_served(stage: &mut Stage, ue: &mut Ue) -> Result<(), SimError> {
    stage.step("registration", ue.register()).await?;
    let mut session = establish(stage, ue).await?;
    stage.ping(&mut session).await?;
    stage.step("de-registration", ue.deregister(false)).await
}

/// A gNB for this scenario alone.
async fn extra_gnb(stage: &mut Stage) -> Result<Gnb, SimError> {
    let config = gnb_config(&stage.config, EXTRA_GNB)?;
    let gnb = stage.rig.add_gnb(config);
    let gnb = gnb.await?;
    stage.rig.gnbs.pop();
    Ok(gnb)
}

/// Whether a NAS message of a UE begins a connection: it goes in INITIAL UE MESSAGE.
fn is_initial(octets: &[u8]) -> bool {
    const REGISTRATION_REQUEST: u8 = 0x41;
    const PLAIN: u8 = 0;
    const INTEGRITY_PROTECTED: u8 = 1;
    match octets {
        [_, PLAIN, kind, ..] => *kind == REGISTRATION_REQUEST,
        [_, header, ..] => *header == INTEGRITY_PROTECTED,
        _ => false,
    }
}
