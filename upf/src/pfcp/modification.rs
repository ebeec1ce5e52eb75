//! PFCP session modification: TS 29.244 §6.3.3. All of it, or nothing.

use std::num::NonZeroU32;
use std::sync::Arc;

use tern_n4::Request;
use tern_pfcp::*;
use tern_types::Instant;

use super::actions::bare_tunnel;
use super::compile::{Surroundings, compile};
use super::establishment::inactivity_time;
use super::intern::Use;
use super::known::Known;
use super::packed::PackedRules;
use super::rules::{Effects, Named, Ours, Refusal, RuleSet};
use super::urr::Urrs;
use super::{Core, Due, SessionContext};
use crate::config::Config;
use crate::path::{Command, Session};

/// What a session's next rules are compiled with.
pub(super) fn around<'a>(
    config: &'a Config,
    known: &'a Known,
    session: &'a SessionContext,
) -> Surroundings<'a> {
    Surroundings {
        seid: session.seid(),
        generation: session.published.generation.saturating_add(1),
        network: session.network,
        networks: &config.n6,
        n3: &config.n3,
        n9: config.n9.as_ref(),
        known,
        classifier: config.classifier,
        state: &session.published.state,
        is_watched: session.inactivity.is_some(),
        // A worker may still send what waited when these come to another one.
        has_buffered: config.workers > 1
            && (session.published.buffers() || session.published.state.has_waiting()),
        old_qers: &session.published.qers,
        redirections: session.published.redirections(),
        urrs: &session.urrs,
    }
}

impl Core {
    pub(super) fn on_modification(
        &mut self,
        now: Instant,
        request: &Request,
        mut body: SessionModificationRequest,
    ) {
        let Some(session) = self.session_of(request) else {
            let refusal = Refusal::new(Cause::SESSION_CONTEXT_NOT_FOUND, "no such session");
            return self.refuse(now, request, 0, &refusal);
        };
        let seid = session.seid();
        let cp_seid = body.cp_f_seid.map_or(session.cp_seid, |f_seid| f_seid.seid);
        match self.modify(now, seid, &mut body) {
            Ok(response) => {
                let response = self.with_load(now, request.from.ip(), response.into());
                self.node.respond(now, request, Some(cp_seid), response);
            }
            Err(refusal) => {
                let cp_seid = self.cp_seid(request).unwrap_or(0);
                self.refuse(now, request, cp_seid, &refusal);
            }
        }
    }

    fn modify(
        &mut self,
        now: Instant,
        seid: u64,
        body: &mut SessionModificationRequest,
    ) -> Result<SessionModificationResponse, Refusal> {
        let gone = || Refusal::new(Cause::SESSION_CONTEXT_NOT_FOUND, "no such session");
        let ours = Ours::of(&self.config);
        let session = self.sessions.get(seid).ok_or_else(gone)?;
        let created = body.create_pdr.iter().map(|pdr| (pdr.pdr_id, &pdr.pdi));
        let updated = body.update_pdr.iter().filter_map(|pdr| Some((pdr.pdr_id, pdr.pdi.as_ref()?)));
        self.known.check(created.chain(updated))?;
        let mut rules = session.rules.unpack(&self.templates)?;
        let mut effects = rules.modify(body)?;
        session.rules.check_room(&rules, &self.templates)?;
        let created = rules.allocate(Named::Of(&session.published.teids), ours, &mut self.teids)?;
        let mut around = around(&self.config, &self.known, session);
        if let Some(timer) = body.user_plane_inactivity_timer {
            around.is_watched = timer.0 > 0;
        }
        let compiled =
            compile(&rules, &around, &mut self.shared).inspect_err(|_| self.teids.free_created(&created))?;
        effects.created = created;
        let usage_report = self.commit(now, seid, rules, compiled, body);
        for parameters in effects.end_markers {
            if let Some(tunnel) = bare_tunnel(&parameters, &self.config.n3, self.config.n9.as_ref()) {
                self.path(Command::EndMarker(tunnel));
            }
        }
        let Effects { created, .. } = effects;
        Ok(SessionModificationResponse {
            cause: Cause::REQUEST_ACCEPTED,
            created_pdr: created,
            usage_report,
            ..Default::default()
        })
    }

    /// The new rules take the place of the old ones. Returns the reports of URRs that were removed
    /// or asked for.
    pub(super) fn commit(
        &mut self,
        now: Instant,
        seid: u64,
        rules: RuleSet,
        (published, shared): (Session, Use),
        body: &SessionModificationRequest,
    ) -> Vec<UsageReport> {
        self.set_applications(seid, self.known.applications_of(&rules));
        if let Some(f_seid) = body.cp_f_seid {
            self.sessions.change_cp(seid, f_seid);
        }
        let Some(session) = self.sessions.get_mut(seid) else { return Vec::new() };
        let published = Arc::new(published);
        let old = std::mem::replace(&mut session.published, published.clone());
        self.shared.rules.give_back(std::mem::replace(&mut session.shared, shared));
        self.sessions.forget_tunnels(&old);
        self.sessions.set_tunnels(&published);
        for teid in old.teids.iter().filter(|teid| !published.teids.contains(teid)) {
            self.teids.free(*teid);
        }
        let Some(session) = self.sessions.get_mut(seid) else { return Vec::new() };
        let mut reports = Vec::new();
        for mut urr in session.urrs.take_others(&rules.urrs) {
            urr.report(now, UsageReportTrigger::TERMR, &mut reports);
            if let Some(at) = urr.deadline() {
                self.deadlines.remove(&(at, Due::Urr(seid, urr.rule.urr_id)));
            }
        }
        let (rules, template) = PackedRules::pack(rules, &mut self.templates);
        std::mem::replace(&mut session.rules, rules).give_back(&mut self.templates);
        let before = std::mem::take(&mut session.urrs);
        session.urrs = Urrs::new(template.urrs(), &published, before, (now, self.path_origin));
        for update in &body.update_urr {
            session.urrs.get_mut(update.urr_id).iter_mut().for_each(|urr| urr.renew(update, now));
        }
        let all = body.flags.is_some_and(|flags| flags.contains(PfcpSmReqFlags::QAURR));
        let is_asked = |id| all || body.query_urr.iter().any(|query| query.urr_id == id);
        for urr in session.urrs.iter_mut().filter(|urr| is_asked(urr.rule.urr_id)) {
            let begin = reports.len();
            urr.report(now, UsageReportTrigger::IMMER, &mut reports);
            let asked = reports.iter_mut().skip(begin);
            asked.for_each(|report| report.query_urr_reference = body.query_urr_reference);
        }
        if body.flags.is_some_and(|flags| flags.contains(PfcpSmReqFlags::DROBU)) {
            drop(session.published.state.take());
        }
        if let Some(timer) = body.user_plane_inactivity_timer {
            session.inactivity = NonZeroU32::new(timer.0);
            let deadline = session.inactivity.map(|after| now + inactivity_time(after));
            self.set_inactivity(seid, deadline);
        }
        for urr in template.urrs() {
            self.set_urr_deadline(now, seid, urr.urr_id);
        }
        tracing::debug!(seid, generation = published.generation, "PFCP session modified");
        self.path(Command::Publish { session: published, before: Some(old) });
        reports
    }
}
