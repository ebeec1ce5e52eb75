//! Location Reporting: TS 38.413 §8.12, TS 23.502 §4.10.
//!
//! A gNB is asked once where a UE is when somebody wants to know (Namf_Location), and for each change of
//! cell or of an area of interest where the configuration says so.

use serde::{Deserialize, Serialize};
use tern_ngap::cause;
use tern_ngap::ngap::*;
use tern_ngap::{CodecError, Message as _, build_ngap_ie, convert, extract_ngap_ies};
use tracing::{debug, info};

use super::{Handled, note_location};
use crate::Amf;
use crate::sbi::namf_loc;
use crate::ue::{ContextSetup, UeContext};

/// Whether a UE is in an area of interest, as its gNB says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Presence {
    /// In it.
    In,
    /// Outside.
    Out,
    /// The gNB does not know.
    Unknown,
}

/// Asks the UE's gNB where it is now; says whether the gNB has a context of it to be asked about.
pub(crate) fn ask(ue: &UeContext, amf: &mut Amf) -> bool {
    control(ue, amf, LocationReportingRequestType::new(EventType::direct, ReportArea::cell, None, None, None))
}

/// The gNB has the UE's context: what is to be reported for good.
pub(crate) fn start(ue: &UeContext, amf: &mut Amf) {
    if let Some(request) = standing_request(amf) {
        control(ue, amf, request);
    }
}

/// What is reported for good, which a target gNB takes over in a handover.
pub(crate) fn standing_request(amf: &Amf) -> Option<LocationReportingRequestType> {
    let config = &amf.config.location_reporting;
    let plmn_id = amf.config.guami().plmn_id;
    let tai = |tac: &tern_types::Tac| {
        AreaOfInterestTAIItem::new(convert::tai(tern_types::Tai { plmn_id, tac: *tac }), None)
    };
    let area = |(number, area): (u64, &crate::config::AreaOfInterestConfig)| {
        let tais = AreaOfInterestTAIList(area.tacs.iter().map(tai).collect());
        let area = AreaOfInterest::new(Some(tais), None, None, None);
        AreaOfInterestItem::new(area, LocationReportingReferenceID(number), None)
    };
    let areas: Vec<_> = (1..).zip(&config.areas_of_interest).map(area).collect();
    let event = match (config.change_of_cell, areas.is_empty()) {
        (false, true) => return None,
        (true, true) => EventType::change_of_serve_cell,
        (false, false) => EventType::ue_presence_in_area_of_interest,
        (true, false) => EventType::change_of_serving_cell_and_UE_presence_in_the_Area_of_Interest,
    };
    let areas = (!areas.is_empty()).then_some(AreaOfInterestList(areas));
    Some(LocationReportingRequestType::new(event, ReportArea::cell, areas, None, None))
}

/// LOCATION REPORTING CONTROL.
fn control(ue: &UeContext, amf: &mut Amf, request: LocationReportingRequestType) -> bool {
    let Some(n2) = ue.n2.as_ref().filter(|n2| n2.context == ContextSetup::Done) else { return false };
    amf.count("amf.ngap.location_asked");
    let pdu = build(n2.amf_ue_ngap_id, n2.ran_ue_ngap_id, request);
    amf.send_on(n2, pdu);
    true
}

fn build(amf_id: u64, ran_id: u32, request: LocationReportingRequestType) -> Result<NGAP_PDU, CodecError> {
    macro_rules! ie {
        ($($ie:tt)*) => { build_ngap_ie!(LocationReportingControl, $($ie)*)? };
    }
    let ies = vec![
        ie!(AMF_UE_NGAP_ID(amf_id)),
        ie!(RAN_UE_NGAP_ID(ran_id)),
        ie!(LocationReportingRequestType(request)),
    ];
    let message = LocationReportingControl::new(ProtocolIEContainer(ies));
    NGAP_PDU::of_message(&message, LocationReportingControl::CRITICALITY)
}

/// LOCATION REPORT.
pub(crate) fn on_report(ue: &mut UeContext, amf: &mut Amf, pdu: &NGAP_PDU) -> Handled {
    extract_ngap_ies!(pdu, LocationReport,
        lax presence: UEPresenceInAreaOfInterestList = UEPresenceInAreaOfInterestList(list) => list,
    );
    amf.count("amf.ngap.location_report");
    let areas = amf.config.location_reporting.areas_of_interest.len() as u64;
    for item in presence.map(|list| list.0).unwrap_or_default() {
        let number = item.location_reporting_reference_id.0;
        let presence = match item.ue_presence {
            UEPresence::R_in => Presence::In,
            UEPresence::out => Presence::Out,
            _ => Presence::Unknown,
        };
        if (1..=areas).contains(&number)
            && let Ok(number) = u8::try_from(number)
        {
            debug!(ue = ue.name(), area = number, ?presence, "area of interest");
            ue.presence.insert(number, presence);
        }
    }
    // Whoever has asked is answered with it.
    note_location(ue, amf, pdu);
    Ok(())
}

/// LOCATION REPORTING FAILURE INDICATION: whoever has asked gets what is known.
pub(crate) fn on_failure(ue: &mut UeContext, amf: &mut Amf, pdu: &NGAP_PDU) -> Handled {
    extract_ngap_ies!(pdu, LocationReportingFailureIndication, lax why: Cause = Cause(cause) => cause);
    amf.count("amf.ngap.location_failure");
    let text = why.as_ref().map(cause::describe);
    info!(ue = ue.name(), cause = text, "LOCATION REPORTING FAILURE INDICATION");
    namf_loc::answer_all(ue, amf, false);
    Ok(())
}
