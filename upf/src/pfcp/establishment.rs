//! PFCP session establishment: TS 29.244 §6.3.2.

use std::num::NonZeroU32;
use std::sync::Arc;

use tern_n4::Request;
use tern_pfcp::*;
use tern_types::{Duration, Instant};

use super::compile::{Surroundings, compile, network_named};
use super::packed::PackedRules;
use super::rules::{Named, Ours, Refusal, RuleSet};
use super::sessions::CpEnd;
use super::urr::Urrs;
use super::{Core, SessionContext};
use crate::path::{Command, SessionState};

impl Core {
    pub(super) fn on_establishment(
        &mut self,
        now: Instant,
        request: &Request,
        body: SessionEstablishmentRequest,
    ) {
        let cp_seid = body.cp_f_seid.seid;
        match self.establish(now, request, body) {
            Ok(response) => {
                self.counts.established += 1;
                let response = self.with_load(now, request.from.ip(), response.into());
                self.node.respond(now, request, Some(cp_seid), response);
            }
            Err(refusal) => self.refuse(now, request, cp_seid, &refusal),
        }
    }

    fn establish(
        &mut self,
        now: Instant,
        request: &Request,
        mut body: SessionEstablishmentRequest,
    ) -> Result<SessionEstablishmentResponse, Refusal> {
        let smf = request.from.ip();
        // One that the SMF has forgotten, if it gives its endpoint again.
        let forgotten = self.sessions.by_cp(smf, body.cp_f_seid.seid).map(SessionContext::seid);
        if self.sessions.len() - usize::from(forgotten.is_some()) >= self.config.sessions_max {
            return Err(Refusal::new(Cause::NO_RESOURCES_AVAILABLE, "too many sessions"));
        }
        let seid = self.sessions.next_seid(&mut self.random);
        self.known.check(body.create_pdr.iter().map(|pdr| (pdr.pdr_id, &pdr.pdi)))?;
        let mut rules = RuleSet::establish(&mut body)?;
        let ours = Ours::of(&self.config);
        let state = Arc::new(SessionState::new(self.buffers.clone()));
        let restores = body.flags.is_some_and(|flags| flags.contains(PfcpSeReqFlags::RESTI));
        let its = forgotten.and_then(|old| self.sessions.get(old));
        let its: Vec<u32> = its.map(|old| old.published.teids.to_vec()).unwrap_or_default();
        let named = if restores { Named::Restored(&its) } else { Named::Of(&[]) };
        let created_pdr = rules.allocate(named, ours, &mut self.teids);
        // If it is refused, the forgotten session goes on as it was.
        let created_pdr = created_pdr.inspect_err(|_| self.teids.keep(&its))?;
        let inactivity = body.user_plane_inactivity_timer.and_then(|timer| NonZeroU32::new(timer.0));
        let network = body.apn_dnn.as_ref().and_then(|dnn| network_named(dnn, &self.config.n6));
        let around = Surroundings {
            seid,
            generation: 0,
            network,
            networks: &self.config.n6,
            n3: &self.config.n3,
            n9: self.config.n9.as_ref(),
            known: &self.known,
            classifier: self.config.classifier,
            state: &state,
            is_watched: inactivity.is_some(),
            has_buffered: false,
            old_qers: &[],
            redirections: None,
            urrs: &Urrs::default(),
        };
        let compiled = compile(&rules, &around, &mut self.shared).inspect_err(|_| {
            self.teids.free_created(&created_pdr);
            self.teids.keep(&its);
        });
        let (session, shared) = compiled?;
        let session = Arc::new(session);
        // Not before nothing can be refused any more.
        if let Some(old) = forgotten {
            tracing::warn!(seid = old, %smf, "PFCP session replaced by one of the same endpoint");
            self.remove_session(old);
            self.teids.keep(&session.teids);
        }
        self.counts.restored += u64::from(restores);
        tracing::info!(
            seid,
            restores,
            %smf,
            dnn = body.apn_dnn.as_ref().map_or("", |dnn| &dnn.0),
            ue = ?session.ue_addresses,
            pdrs = rules.pdrs.len(),
            "PFCP session established"
        );
        self.path(Command::Publish { session: session.clone(), before: None });
        let applications = self.known.applications_of(&rules);
        let (rules, template) = PackedRules::pack(rules, &mut self.templates);
        let at = (now, self.path_origin);
        let urrs = Urrs::new(template.urrs(), &session, Urrs::default(), at);
        let context = SessionContext {
            cp_seid: body.cp_f_seid.seid,
            cp: self.sessions.cp_end(CpEnd::new(smf, &body.cp_f_seid)),
            network,
            error_reported: false,
            inactivity,
            rules,
            shared,
            urrs,
            published: session,
            rare: None,
        };
        self.sessions.insert(context);
        self.set_applications(seid, applications);
        self.set_inactivity(seid, inactivity.map(|after| now + inactivity_time(after)));
        for urr in template.urrs() {
            self.set_urr_deadline(now, seid, urr.urr_id);
        }
        Ok(SessionEstablishmentResponse {
            node_id: NodeId::Address(self.config.n4.address),
            cause: Cause::REQUEST_ACCEPTED,
            up_f_seid: Some(FSeid::new(seid, self.config.n4.address)),
            created_pdr,
            ..Default::default()
        })
    }
}

pub(super) fn inactivity_time(seconds: NonZeroU32) -> Duration {
    Duration::from_secs(u64::from(seconds.get()))
}
