//! PFCP session establishment: TS 29.244 §6.3.2.

use std::sync::Arc;

use tern_n4::Request;
use tern_pfcp::*;
use tern_types::{Duration, Instant};

use super::compile::{Surroundings, compile};
use super::rules::{Named, Refusal, RuleSet};
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
                self.node.respond(now, request, Some(cp_seid), response.into());
            }
            Err(refusal) => self.refuse(now, request, cp_seid, &refusal),
        }
    }

    fn establish(
        &mut self,
        now: Instant,
        request: &Request,
        body: SessionEstablishmentRequest,
    ) -> Result<SessionEstablishmentResponse, Refusal> {
        let smf = request.from.ip();
        // One that the SMF has forgotten, if it gives its endpoint again.
        let forgotten = self.by_cp.get(&(smf, body.cp_f_seid.seid)).copied();
        if self.sessions.len() - usize::from(forgotten.is_some()) >= self.config.sessions_max {
            return Err(Refusal::new(Cause::NO_RESOURCES_AVAILABLE, "too many sessions"));
        }
        let seid = self.free_seid();
        let mut rules = RuleSet::establish(&body)?;
        let address = self.config.n3_advertised();
        let state = Arc::new(SessionState::new(self.buffers.clone()));
        let restores = body.flags.is_some_and(|flags| flags.contains(PfcpSeReqFlags::RESTI));
        let its = forgotten.and_then(|old| self.sessions.get(&old));
        let its: Vec<u32> = its.map(|old| old.published.teids.to_vec()).unwrap_or_default();
        let named = if restores { Named::Restored(&its) } else { Named::Of(&[]) };
        let created_pdr = rules.allocate(named, address, &mut self.teids);
        // If it is refused, the forgotten session goes on as it was.
        let created_pdr = created_pdr.inspect_err(|_| self.teids.keep(&its))?;
        let inactivity = body.user_plane_inactivity_timer.map(inactivity).unwrap_or_default();
        let around = Surroundings {
            seid,
            generation: 0,
            dnn: body.apn_dnn.as_ref(),
            networks: &self.config.n6,
            classifier: self.config.classifier,
            state: &state,
            is_watched: inactivity.is_some(),
            has_buffered: false,
            old_qers: &[],
            urrs: &Urrs::default(),
        };
        let session = Arc::new(compile(&rules, &around).inspect_err(|_| {
            self.teids.free_created(&created_pdr);
            self.teids.keep(&its);
        })?);
        let urrs = Urrs::new(rules.urrs.values(), &session.usages, Urrs::default(), now);
        // Not before nothing can be refused any more.
        if let Some(old) = forgotten {
            tracing::warn!(seid = old, %smf, "PFCP session replaced by one of the same endpoint");
            self.remove_session(old);
            self.teids.keep(&session.teids);
        }
        for tunnel in session.tunnels() {
            self.by_tunnel.insert(tunnel, seid);
        }
        self.by_cp.insert((smf, body.cp_f_seid.seid), seid);
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
        let urr_ids: Vec<UrrId> = rules.urrs.keys().copied().collect();
        let context = SessionContext {
            seid,
            cp: body.cp_f_seid,
            smf,
            dnn: body.apn_dnn,
            rules: rules.pack(),
            urrs,
            inactivity,
            inactivity_deadline: None,
            error_report: None,
            state,
            published: session,
        };
        self.sessions.insert(seid, context);
        self.set_inactivity(seid, inactivity.map(|after| now + after));
        for urr_id in urr_ids {
            self.set_urr_deadline(seid, urr_id);
        }
        Ok(SessionEstablishmentResponse {
            node_id: NodeId::Address(self.config.n4.address),
            cause: Cause::REQUEST_ACCEPTED,
            up_f_seid: Some(FSeid::new(seid, self.config.n4.address)),
            created_pdr,
            ..Default::default()
        })
    }

    fn free_seid(&mut self) -> u64 {
        loop {
            let seid = self.random.u64();
            if seid != 0 && !self.sessions.contains_key(&seid) {
                return seid;
            }
        }
    }
}

/// 0 means that there is no timer.
pub(super) fn inactivity(timer: UserPlaneInactivityTimer) -> Option<Duration> {
    (timer.0 > 0).then(|| Duration::from_secs(u64::from(timer.0)))
}
