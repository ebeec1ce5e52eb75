//! Location Reporting, gNB side: TS 38.413 §8.12.

use tern_ngap::convert::NrLocation;
use tern_ngap::ngap::*;
use tern_ngap::{DecodeError, Message as _, build_ngap, build_ngap_ie, cause, convert, extract_ngap_ies};
use tern_types::Tai;

use super::procedures::Ids;
use super::{Gnb, Link};
use crate::error::SimError;

/// What of a UE's location the AMF wants to hear.
#[derive(Debug, Clone, Default)]
pub(super) struct LocationReports {
    /// The request, for as long as it stands.
    standing: Option<LocationReportingRequestType>,
    change_of_cell: bool,
    areas: Vec<(u64, Vec<Tai>)>,
}

impl LocationReports {
    /// Takes a request over; says whether it is answered at once.
    pub(super) fn take(&mut self, request: &LocationReportingRequestType) -> bool {
        use EventType as Event;
        let both = Event::change_of_serving_cell_and_UE_presence_in_the_Area_of_Interest;
        match request.event_type {
            Event::direct => return true,
            Event::cancel_location_reporting_for_the_ue => *self = Self::default(),
            Event::stop_change_of_serve_cell => self.change_of_cell = false,
            Event::stop_ue_presence_in_area_of_interest => self.areas.clear(),
            event => {
                self.standing = Some(request.clone());
                self.change_of_cell |= event == Event::change_of_serve_cell || event == both;
                if event == Event::ue_presence_in_area_of_interest || event == both {
                    let items = request.area_of_interest_list.iter().flat_map(|list| &list.0);
                    self.areas = items.map(area).collect();
                    return true;
                }
            }
        }
        false
    }
}

fn area(item: &AreaOfInterestItem) -> (u64, Vec<Tai>) {
    let tais = item.area_of_interest.area_of_interest_tai_list.iter().flat_map(|list| &list.0);
    let tais = tais.filter_map(|item| convert::tai_of(&item.tai).ok()).collect();
    (item.location_reporting_reference_id.0, tais)
}

impl Gnb {
    /// From now on it reports no location that is asked for.
    pub fn refuse_location_reports(&self, refuse: bool) {
        self.state().locations_refused = refuse;
    }

    /// Where a UE is.
    pub(super) fn location_of(&self, ran_id: u32) -> NrLocation {
        let cell = self.with_ue(ran_id, |ue| ue.cell).unwrap_or_default();
        let first = self.config().location();
        NrLocation { nr_cell_id: first.nr_cell_id + u64::from(cell), ..first }
    }

    /// LOCATION REPORTING CONTROL.
    pub(super) async fn on_location_control(&self, pdu: &NGAP_PDU, stream: u16) -> Result<(), DecodeError> {
        extract_ngap_ies!(pdu, LocationReportingControl,
            req amf_id: u64 = AMF_UE_NGAP_ID(id),
            req ran_id: u32 = RAN_UE_NGAP_ID(id),
            req request: LocationReportingRequestType = LocationReportingRequestType(request) => request,
        );
        self.0.journal.count("gnb.location_control");
        let refused = self.state().locations_refused;
        let known = self.of_ue(Ids { amf_id, ran_id }, stream, |ue| {
            (ue.stream, !refused && ue.location_reports.take(&request))
        });
        let Some((stream, at_once)) = known.await else { return Ok(()) };
        if refused {
            let failure = build_ngap!(
                InitiatingMessage,
                LocationReportingFailureIndication,
                LocationReportingFailureIndication,
                AMF_UE_NGAP_ID(amf_id),
                RAN_UE_NGAP_ID(ran_id),
                Cause(cause::radio_network(CauseRadioNetwork::unspecified)),
            );
            self.answer(failure, stream).await;
        } else if at_once {
            self.report_location(ran_id, request).await;
        }
        Ok(())
    }

    /// The UE is in another cell than before: LOCATION REPORT if the AMF wants it.
    pub(super) async fn cell_changed(&self, ran_id: u32) {
        let request = self.with_ue(ran_id, |ue| {
            let reports = &ue.location_reports;
            let wanted = reports.change_of_cell || !reports.areas.is_empty();
            reports.standing.clone().filter(|_| wanted)
        });
        if let Some(request) = request.flatten() {
            self.report_location(ran_id, request).await;
        }
    }

    async fn report_location(&self, ran_id: u32, request: LocationReportingRequestType) {
        let Ok((amf_id, stream)) = self.ids(ran_id) else { return };
        self.0.journal.count("gnb.location_report");
        let here = self.config().tai();
        let presence = self.with_ue(ran_id, |ue| {
            let item = |(number, tais): &(u64, Vec<Tai>)| {
                let presence = if tais.contains(&here) { UEPresence::R_in } else { UEPresence::out };
                UEPresenceInAreaOfInterestItem::new(LocationReportingReferenceID(*number), presence, None)
            };
            ue.location_reports.areas.iter().map(item).collect::<Vec<_>>()
        });
        let presence = presence.unwrap_or_default();
        let build = || {
            macro_rules! ie {
                ($($ie:tt)*) => { build_ngap_ie!(LocationReport, $($ie)*)? };
            }
            let location = convert::user_location(self.location_of(ran_id));
            let mut ies = vec![
                ie!(AMF_UE_NGAP_ID(amf_id)),
                ie!(RAN_UE_NGAP_ID(ran_id)),
                ie!(UserLocationInformation(location)),
            ];
            if !presence.is_empty() {
                ies.push(ie!(UEPresenceInAreaOfInterestList(UEPresenceInAreaOfInterestList(presence))));
            }
            ies.push(ie!(LocationReportingRequestType(request)));
            let message = LocationReport::new(ProtocolIEContainer(ies));
            NGAP_PDU::of_message(&message, LocationReport::CRITICALITY)
        };
        self.answer(build(), stream).await;
    }
}

impl Link {
    /// The UE goes to another cell of the gNB, by its number.
    pub async fn change_cell(&self, cell: u8) -> Result<(), SimError> {
        self.gnb.ids(self.ran_id)?;
        self.gnb.with_ue(self.ran_id, |ue| ue.cell = cell);
        self.gnb.cell_changed(self.ran_id).await;
        Ok(())
    }

    /// Whether the AMF wants to hear of each cell.
    pub fn reports_cells(&self) -> bool {
        self.gnb.with_ue(self.ran_id, |ue| ue.location_reports.change_of_cell) == Some(true)
    }
}
