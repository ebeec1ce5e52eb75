//! PFCP session reports: TS 29.244 §6.3.5 (usage, downlink data, error indication, inactivity).

use std::net::{IpAddr, SocketAddr};

use tern_n4::{SendError, Token};
use tern_pfcp::*;
use tern_types::{Duration, Instant};

use super::establishment::inactivity_time;
use super::intern::Interner;
use super::known::Known;
use super::packed::Template;
use super::{Core, Due, Reached, Reported, SessionContext};

/// How long a report that is due by time waits, if there is no room, until it is tried again.
const ROOM_PAUSE: Duration = Duration::from_secs(1);

impl Core {
    pub(super) fn on_buffered(&mut self, now: Instant, seid: u64, pdr_id: PdrId, qfi: Option<u8>) {
        let report = DownlinkDataReport {
            pdr_ids: vec![pdr_id],
            service_information: qfi
                .map(|qfi| DownlinkDataServiceInformation { qfi: Some(qfi), ..Default::default() })
                .into_iter()
                .collect(),
            ..Default::default()
        };
        let told = self.send_report(
            now,
            seid,
            SessionReportRequest {
                report_type: ReportType::DLDR,
                downlink_data_report: Some(report),
                ..Default::default()
            },
        );
        // Otherwise the next packet tells.
        if let (false, Some(session)) = (told, self.sessions.get(seid)) {
            session.published.state.notify_again();
        }
    }

    fn has_room(&self) -> bool {
        self.reports.len() < self.config.reports_max
    }

    /// Reports what had to wait; whether there was something.
    pub(super) fn report_next(&mut self, now: Instant) -> bool {
        if !self.has_room() {
            return false;
        }
        let Some((seid, urr_id, reached)) = self.unreported.pop_first() else { return false };
        self.on_usage_reached(now, seid, urr_id, reached);
        true
    }

    pub(super) fn on_usage_reached(&mut self, now: Instant, seid: u64, urr_id: UrrId, reached: Reached) {
        let has_room = self.has_room();
        let Some(urr) = self.sessions.get_mut(seid).and_then(|session| session.urrs.get_mut(urr_id)) else {
            return;
        };
        if !has_room {
            self.unreported.insert((seid, urr_id, reached));
            return;
        }
        // Several workers may have asked; the first report has begun a new measurement.
        urr.pass_monitoring_time(now);
        let trigger = match reached {
            Reached::Threshold => urr.volume_trigger(false),
            Reached::Quota => urr.volume_trigger(true),
            Reached::Dropped => urr.dropped_trigger(),
        };
        if let Some(trigger) = trigger {
            self.report_usage(now, seid, urr_id, trigger);
        }
    }

    pub(super) fn on_traffic_started(&mut self, now: Instant, seid: u64, urr_id: UrrId) {
        let urr = self.sessions.get_mut(seid).and_then(|session| session.urrs.get_mut(urr_id));
        let Some(urr) = urr else { return };
        urr.resume(now);
        match urr.start_trigger(now) {
            Some(trigger) => self.report_usage(now, seid, urr_id, trigger),
            None => self.set_urr_deadline(now, seid, urr_id),
        }
    }

    pub(super) fn on_urr_deadline(&mut self, now: Instant, at: Instant, seid: u64, urr_id: UrrId) {
        let has_room = self.has_room();
        let Some(urr) = self.sessions.get_mut(seid).and_then(|session| session.urrs.get_mut(urr_id)) else {
            return;
        };
        if urr.deadline() != Some(at) {
            return;
        }
        urr.pass_monitoring_time(now);
        if !has_room {
            let again = now + ROOM_PAUSE;
            urr.set_deadline(Some(again));
            self.deadlines.insert((again, Due::Urr(seid, urr_id)));
            return;
        }
        let trigger = urr.time_trigger(now);
        urr.set_deadline(None);
        if trigger == UsageReportTrigger::default() {
            self.set_urr_deadline(now, seid, urr_id);
        } else {
            self.report_usage(now, seid, urr_id, trigger);
        }
    }

    /// The report of a URR, and those of the URRs that are linked to it.
    fn report_usage(&mut self, now: Instant, seid: u64, urr_id: UrrId, trigger: UsageReportTrigger) {
        let Some(session) = self.sessions.get_mut(seid) else { return };
        let Some(urr) = session.urrs.get_mut(urr_id) else { return };
        let mut usage_report = Vec::new();
        urr.report(now, trigger, &mut usage_report);
        if trigger.0 & (UsageReportTrigger::START | UsageReportTrigger::STOPT).0 != 0 {
            let application = application_of(session, urr_id, &self.known, &self.templates);
            if let Some(report) = usage_report.last_mut() {
                report.application_detection_information = application;
            }
        }
        for linked in session.urrs.iter_mut().filter(|urr| urr.is_linked_to(urr_id)) {
            linked.report(now, UsageReportTrigger::LIUSA, &mut usage_report);
        }
        for urr_id in usage_report.iter().map(|report| report.urr_id).collect::<Vec<_>>() {
            self.set_urr_deadline(now, seid, urr_id);
        }
        let report_type = ReportType::USAR;
        self.send_report(now, seid, SessionReportRequest { report_type, usage_report, ..Default::default() });
    }

    pub(super) fn on_error_indication(&mut self, now: Instant, peer: IpAddr, teid: u32) {
        let Some(session) = self.sessions.by_tunnel(peer, teid) else { return };
        // A peer may send one for each packet; the SMF needs to hear of it once.
        if session.error_reported {
            return;
        }
        let seid = session.seid();
        tracing::warn!(seid, %peer, teid, "the peer does not know this tunnel");
        let report =
            ErrorIndicationReport { remote_f_teids: vec![FTeid::assigned(teid, peer)], ..Default::default() };
        let is_sent = self.send_report(
            now,
            seid,
            SessionReportRequest {
                report_type: ReportType::ERIR,
                error_indication_report: Some(report),
                ..Default::default()
            },
        );
        if let Some(session) = self.sessions.get_mut(seid) {
            session.error_reported = is_sent;
        }
    }

    /// The timer restarts at the last packet; a report is made when there was none since.
    pub(super) fn on_inactivity_deadline(&mut self, now: Instant, at: Instant, seid: u64) {
        let Some(session) = self.sessions.get_mut(seid) else { return };
        let (Some(after), true) = (session.inactivity, session.inactivity_deadline() == Some(at)) else {
            return;
        };
        let after = inactivity_time(after);
        session.set_inactivity_deadline(None);
        let last = self.path_origin + Duration::from_nanos(session.published.state.last_packet_ns());
        if last + after > now {
            self.set_inactivity(seid, Some(last + after));
            return;
        }
        self.set_inactivity(seid, Some(now + after));
        self.send_report(
            now,
            seid,
            SessionReportRequest { report_type: ReportType::UPIR, ..Default::default() },
        );
    }

    pub(super) fn on_report_response(&mut self, token: Token, message: Message) {
        let Some(seid) = self.report_ended(token) else { return };
        let Message::SessionReportResponse(response) = message else { return };
        if response.cause == Cause::SESSION_CONTEXT_NOT_FOUND {
            tracing::warn!(seid, "the SMF does not know this session: removed");
            self.remove_session(seid);
            return;
        }
        let drop_buffered = response.flags.is_some_and(|flags| flags.contains(PfcpSrRspFlags::DROBU));
        if let (true, Some(session)) = (drop_buffered, self.sessions.get(seid)) {
            drop(session.published.state.take());
        }
    }

    /// A report was answered, or will not be; the session that it was about.
    pub(super) fn report_ended(&mut self, token: Token) -> Option<u64> {
        let Reported { seid, is_error } = self.reports.remove(&token)?;
        if is_error && let Some(session) = self.sessions.get_mut(seid) {
            session.error_reported = false;
        }
        Some(seid)
    }

    /// Whether it was sent.
    fn send_report(&mut self, now: Instant, seid: u64, report: SessionReportRequest) -> bool {
        if !self.has_room() {
            self.counts.reports_lost += 1;
            tracing::debug!(seid, "session report not sent: too many wait for their answers");
            return false;
        }
        let Some(session) = self.sessions.get(seid) else { return false };
        let is_error = report.error_indication_report.is_some();
        let (cp_seid, smf) = (session.cp_seid, session.cp.smf);
        let to = SocketAddr::new(session.cp.address(), self.config.n4.port);
        let report = self.with_load(now, smf, report.into());
        match self.node.send_request(now, to, Some(cp_seid), report) {
            Ok(token) => {
                self.counts.reports += 1;
                self.reports.insert(token, Reported { seid, is_error });
                true
            }
            Err(error @ (SendError::TooManyRequests | SendError::Encode(_))) => {
                self.counts.reports_lost += 1;
                tracing::warn!(seid, %error, "session report not sent");
                false
            }
        }
    }
}

/// The application whose traffic a URR measures, if it is one's.
fn application_of(
    session: &SessionContext,
    urr_id: UrrId,
    known: &Known,
    templates: &Interner<Template>,
) -> Option<ApplicationDetectionInformation> {
    if session.applications().is_empty() {
        return None;
    }
    let rules = session.rules.unpack(templates).ok()?;
    let measured = rules.pdrs.iter().filter(|pdr| pdr.urr_ids.contains(&urr_id));
    let application_id = measured.into_iter().find_map(|pdr| {
        let mut predefined = pdr.activate_predefined_rules.iter().filter_map(|name| known.predefined(name));
        pdr.pdi.application_id.clone().or_else(|| predefined.find_map(|rule| rule.application.clone()))
    })?;
    Some(ApplicationDetectionInformation { application_id, ..Default::default() })
}
