//! PFCP PFD management: TS 29.244 §6.2.5. Sessions whose rules look for an application that has changed get new
//! rules a few at a time.

use tern_n4::Request;
use tern_pfcp::*;
use tern_types::Instant;

use super::Core;
use super::compile::compile;
use super::modification::around;

/// Sessions that get new rules in one turn of the loop.
const RENEWED_PER_TURN: usize = 32;

impl Core {
    pub(super) fn on_pfd_management(&mut self, now: Instant, request: &Request, body: &PfdManagementRequest) {
        let changed = match self.known.provision(body) {
            Ok(changed) => changed,
            Err(refusal) => return self.refuse(now, request, 0, &refusal),
        };
        for id in &changed {
            let of_it = self.by_application.range((id.clone(), 0)..=(id.clone(), u64::MAX));
            self.outdated.extend(of_it.map(|(_, seid)| *seid));
        }
        let (applications, not_looked_for) = self.known.provisioned();
        tracing::info!(
            smf = %request.from,
            changed = changed.len(),
            applications,
            not_looked_for,
            sessions = self.outdated.len(),
            "PFDs changed"
        );
        let response = PfdManagementResponse {
            cause: Cause::REQUEST_ACCEPTED,
            node_id: Some(NodeId::Address(self.config.n4.address)),
            ..Default::default()
        };
        self.node.respond(now, request, None, response.into());
    }

    /// Gives some of the sessions that are outdated their new rules.
    pub(super) fn renew_outdated(&mut self, now: Instant) {
        for _ in 0..RENEWED_PER_TURN {
            let Some(seid) = self.outdated.pop_first() else { return };
            self.renew(now, seid);
        }
    }

    fn renew(&mut self, now: Instant, seid: u64) {
        let Some(session) = self.sessions.get(seid) else { return };
        let around = around(&self.config, &self.known, session);
        let renewed = session.rules.unpack(&self.templates).and_then(|rules| {
            let compiled = compile(&rules, &around, &mut self.shared)?;
            Ok((rules, compiled))
        });
        match renewed {
            Ok((rules, compiled)) => {
                self.commit(now, seid, rules, compiled, &SessionModificationRequest::default());
            }
            // More alternatives than fit: what was found before is found still.
            Err(refusal) => tracing::warn!(seid, why = refusal.why, "session goes on by old PFDs"),
        }
    }

    /// A session's rules look for these applications from now on.
    pub(super) fn set_applications(&mut self, seid: u64, applications: Box<[ApplicationId]>) {
        let Some(session) = self.sessions.get_mut(seid) else { return };
        let before = session.replace_applications(applications);
        for id in before {
            self.by_application.remove(&(id, seid));
        }
        for id in session.applications() {
            self.by_application.insert((id.clone(), seid));
        }
    }
}
