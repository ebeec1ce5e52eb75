//! Paging: TS 38.413 §8.5.1.

use bytes::Bytes;
use tern_ngap::ngap::*;
use tern_ngap::{CodecError, Message as _, build_ngap_ie, convert};
use tern_types::{STmsi5g, Tai};
use tracing::debug;

use crate::Amf;
use crate::n2::NON_UE_STREAM;
use crate::n2::message::{GnbId, GnbInfo};
use crate::ue::UeContext;

/// Tracking areas in one PAGING (maxnoofTAIforPaging).
const AREAS_MAX: usize = 16;
/// Largest Paging Attempt Count.
const ATTEMPTS_MAX: u64 = 16;

/// Whether a gNB serves any of the UE's registration area.
pub(crate) fn can_reach(ue: &UeContext, amf: &Amf) -> bool {
    let area = areas(ue);
    ue.guti.is_some() && amf.gnbs.values().any(|gnb| serves_any(gnb, &area))
}

/// Sends PAGING to each gNB of the UE's registration area.
pub(crate) fn send(ue: &UeContext, amf: &mut Amf, identity: STmsi5g, priority: Option<u8>, attempt: u8) {
    let areas = areas(ue);
    let here = |gnb: &&GnbInfo| serves_any(gnb, &areas);
    let gnbs: Vec<GnbId> = amf.gnbs.values().filter(here).map(|gnb| gnb.id).collect();
    debug!(ue = ue.name(), gnbs = gnbs.len(), "PAGING");
    let assistance = assistance(ue, amf, attempt);
    let pdu = build(ue, &areas, identity, priority, assistance).map_err(tern_ngap::EncodeError::from);
    amf.send_to_all(&gnbs, NON_UE_STREAM, pdu.and_then(|pdu| tern_ngap::encode(&pdu)));
}

/// The registration area, and the one before while the UE may still have that; at most 16 (TS 38.413
/// §9.2.4.1).
fn areas(ue: &UeContext) -> Vec<Tai> {
    let old = ue.old_registration_area.iter().filter(|tai| !ue.registration_area.contains(tai));
    ue.registration_area.iter().chain(old).copied().take(AREAS_MAX).collect()
}

/// Assistance Data for Paging: where the UE was last, and which attempt it is (TS 38.413 §8.5.1.2).
fn assistance(ue: &UeContext, amf: &Amf, attempt: u8) -> Option<AssistanceDataForPaging> {
    let cells = ue.recommended_cells.as_ref()?;
    let cells: RecommendedCellsForPaging = decode_open_type(cells).ok()?;
    let cells = AssistanceDataForRecommendedCells::new(cells, None);
    let count = u64::from(attempt).clamp(1, ATTEMPTS_MAX);
    let intended = u64::from(amf.config.paging.attempts).clamp(count, ATTEMPTS_MAX);
    let attempts = PagingAttemptInformation::new(
        PagingAttemptCount(count),
        IntendedNumberOfPagingAttempts(intended),
        None,
        None,
    );
    Some(AssistanceDataForPaging::new(Some(cells), Some(attempts), None))
}

/// Keeps the cells that a gNB recommends for the UE's next page.
pub(crate) fn recommend(ue: &mut UeContext, information: &InfoOnRecommendedCellsAndRANNodesForPaging) {
    ue.recommended_cells = encode_open_type(&information.recommended_cells_for_paging)
        .ok()
        .map(|octets| Bytes::copy_from_slice(&octets));
}

fn serves_any(gnb: &GnbInfo, area: &[Tai]) -> bool {
    area.iter().any(|tai| {
        gnb.supported_tas.iter().any(|ta| ta.tac == tai.tac && ta.plmns.iter().any(|p| p.plmn == tai.plmn_id))
    })
}

fn build(
    ue: &UeContext,
    areas: &[Tai],
    identity: STmsi5g,
    priority: Option<u8>,
    assistance: Option<AssistanceDataForPaging>,
) -> Result<NGAP_PDU, CodecError> {
    let areas = areas.iter().map(|&tai| TAIListForPagingItem::new(convert::tai(tai), None)).collect();
    let mut ies = vec![build_ngap_ie!(
        Paging,
        UEPagingIdentity(UEPagingIdentity::fiveG_S_TMSI(convert::s_tmsi(identity)))
    )?];
    // The UE's own cycle; without it each gNB takes its default one (TS 38.413 §9.3.1.90).
    if let Some(drx) = ue.paging_drx.and_then(paging_drx) {
        ies.push(build_ngap_ie!(Paging, PagingDRX(drx))?);
    }
    ies.push(build_ngap_ie!(Paging, TAIListForPaging(TAIListForPaging(areas)))?);
    if let Some(priority) = priority.and_then(paging_priority) {
        ies.push(build_ngap_ie!(Paging, PagingPriority(priority))?);
    }
    if let Some(capability) = &ue.radio_capability_for_paging {
        let nr = Some((&capability[..]).into());
        let capability = UERadioCapabilityForPaging::new(nr, None, None);
        ies.push(build_ngap_ie!(Paging, UERadioCapabilityForPaging(capability))?);
    }
    if let Some(assistance) = assistance {
        ies.push(build_ngap_ie!(Paging, AssistanceDataForPaging(assistance))?);
    }
    let message = Paging::new(ProtocolIEContainer(ies));
    NGAP_PDU::of_message(&message, Paging::CRITICALITY)
}

/// TS 38.413 §9.3.1.90, in radio frames.
pub(super) fn paging_drx(frames: u16) -> Option<PagingDRX> {
    Some(match frames {
        32 => PagingDRX::v32,
        64 => PagingDRX::v64,
        128 => PagingDRX::v128,
        256 => PagingDRX::v256,
        _ => return None,
    })
}

/// TS 38.413 §9.3.1.78, 1 to 8.
fn paging_priority(level: u8) -> Option<PagingPriority> {
    use PagingPriority as P;
    const LEVELS: [PagingPriority; 8] = [
        P::priolevel1,
        P::priolevel2,
        P::priolevel3,
        P::priolevel4,
        P::priolevel5,
        P::priolevel6,
        P::priolevel7,
        P::priolevel8,
    ];
    LEVELS.get(usize::from(level).checked_sub(1)?).copied()
}
