//! Messages of and about what there is not: TS 38.413 §10.6, TS 24.501 §5.4.3, §5.6.1.5.

use std::time::Duration;

use tern_ngap::build_ngap;
use tern_ngap::convert;
use tokio::time::Instant;

use super::{establish, is_served};
use crate::error::SimError;
use crate::gnb::Gnb;
use crate::report::Journal;
use crate::scenario::{Scenario, Stage};
use crate::ue::Ue;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "unknown-ids",
    about: "NGAP IDs, 5G-GUTIs and a PDU session that nobody knows: each is answered as it should be",
    ues: 1,
    gnbs: 1,
    play: |stage| Box::pin(play(stage)),
};

/// IDs that no UE has.
const AMF_ID: u64 = 0xff_ffff_fffe;
const RAN_ID: u32 = 0xffff_fffe;
/// UE-associated signalling is not on stream 0 (TS 38.412 §7).
const STREAM: u16 = 1;
/// A PDU session that the UE has not.
const PSI: u8 = 14;
/// 5GMM causes: the UE identity cannot be derived; implicitly de-registered (TS 24.501 §9.11.3.2).
const NOT_DERIVED: u8 = 9;
const IMPLICITLY_DEREGISTERED: u8 = 10;
const WITHIN: Duration = Duration::from_secs(5);

async fn play(stage: &mut Stage) -> Result<(), SimError> {
    let mut ue = stage.ue(0)?;
    let gnb = stage.rig.gnbs.first().cloned().ok_or_else(|| SimError::State("there is no gNB".into()))?;
    let journal = stage.rig.journal.clone();
    stage.step("ERROR INDICATION for unknown NGAP IDs", error_indication(&journal, &gnb)).await?;
    stage.check("N2 stays", gnb.is_up(), "it has ended")?;

    stage.step("registration", ue.register()).await?;
    let session = establish(stage, &mut ue).await?;
    let refused = ue.release_session(PSI).await;
    let found = format!("{refused:?}");
    let told = matches!(refused, Err(SimError::Rejected { .. }));
    stage.check("the release of an unknown session is refused", told, found)?;
    let kept = ue.sessions().any(|(psi, _)| psi == session.psi);
    stage.check("the session stays", kept, "it is released")?;

    stage.go_idle(&mut ue).await?;
    forget_guti(&mut ue);
    let refused = ue.service_request(&[session.psi]).await;
    let found = format!("{refused:?}");
    let told = matches!(
        refused,
        Err(SimError::Rejected {
            message: "SERVICE REJECT",
            cause: NOT_DERIVED | IMPLICITLY_DEREGISTERED,
            ..
        })
    );
    stage.check("service by an unknown 5G-S-TMSI is refused", told, found)?;
    is_served(stage, &mut ue).await?;

    // A registration that names a 5G-GUTI which the AMF does not know, or which is another UE's.
    forget_guti(&mut ue);
    ue.forget_security_context();
    is_served(stage, &mut ue).await
}

/// UPLINK NAS TRANSPORT with IDs that the AMF has not given.
async fn error_indication(journal: &Journal, gnb: &Gnb) -> Result<(), SimError> {
    let before = journal.counted("gnb.error_indication");
    let pdu = build_ngap!(
        InitiatingMessage,
        UplinkNASTransport,
        UplinkNASTransport,
        AMF_UE_NGAP_ID(AMF_ID),
        RAN_UE_NGAP_ID(RAN_ID),
        NAS_PDU(vec![0x7e, 0x00, 0x43]),
        UserLocationInformation(convert::user_location(gnb.config().location())),
    )?;
    gnb.send_octets(tern_ngap::encode(&pdu)?, STREAM).await?;
    let until = Instant::now() + WITHIN;
    while journal.counted("gnb.error_indication") == before {
        if Instant::now() >= until {
            return Err(SimError::Timeout { waiting_for: "ERROR INDICATION", timer: "5 s" });
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

/// From now on it says a 5G-GUTI that no UE has.
fn forget_guti(ue: &mut Ue) {
    let guti = ue.guti().map(|guti| tern_types::Guti5g { tmsi: !guti.tmsi, ..guti });
    ue.set_guti(guti);
}
