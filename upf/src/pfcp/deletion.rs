//! PFCP session deletion: TS 29.244 §6.3.4.

use tern_n4::Request;
use tern_pfcp::*;
use tern_types::Instant;

use super::Core;
use super::rules::Refusal;

impl Core {
    pub(super) fn on_deletion(&mut self, now: Instant, request: &Request) {
        let Some(session) = self.session_of(request) else {
            let refusal = Refusal::new(Cause::SESSION_CONTEXT_NOT_FOUND, "no such session");
            return self.refuse(now, request, 0, &refusal);
        };
        let seid = session.seid();
        let Some(mut session) = self.remove_session(seid) else { return };
        let mut usage_report = Vec::new();
        let urrs = session.urrs.iter_mut();
        urrs.for_each(|urr| urr.report(now, UsageReportTrigger::TERMR, &mut usage_report));
        tracing::info!(seid, smf = %session.cp.smf, ue = ?session.published.ue_addresses, "PFCP session deleted");
        let response =
            SessionDeletionResponse { cause: Cause::REQUEST_ACCEPTED, usage_report, ..Default::default() };
        let response = self.with_load(now, request.from.ip(), response.into());
        self.node.respond(now, request, Some(session.cp_seid), response);
    }
}
