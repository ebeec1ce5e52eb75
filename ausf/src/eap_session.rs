//! EAP sessions: TS 29.509 §5.2.2.2.3, TS 33.501 §6.1.3.1.

use std::sync::Arc;

use tern_crypto::k_seaf;
use tern_sbi::common::{Base64, LinksValue, Octets, Secret};
use tern_sbi::nausf_auth::{
    AuthResult, AuthenticationInfo, EapAuthMethod, EapSession, LINK_EAP_SESSION, ResynchronizationInfo,
};
use tern_sbi::nudm_ueau::AuthenticationVector;
use tern_sbi::{Call, OperationError, ProblemDetails, Response};

use crate::context::AuthContext;
use crate::contexts::ContextError;
use crate::eap_aka_prime::Outcome;
use crate::ue_authentication::{Refused, UeAuthentication, av_generation_problem};

impl UeAuthentication {
    /// A packet of the UE.
    pub(crate) async fn eap_session(
        self: Arc<Self>,
        call: Call,
        operation: EapAuthMethod,
    ) -> Result<Response<EapSession>, Refused> {
        let EapAuthMethod { auth_ctx_id: id, session } = operation;
        let take = |context: &mut AuthContext| {
            (context.is_pending(), context.on_eap_response(&session.eap_payload.0))
        };
        let updated = self.contexts.update(&id, self.env.clock.now(), take).await;
        let (mut context, (mut pending, outcome)) = updated.map_err(|e| self.context_problem(e))?;
        let mut outcome = outcome.ok_or_else(|| self.context_problem(ContextError::Unknown))?;
        if let Outcome::OutOfStep { rand, auts } = outcome {
            let info = ResynchronizationInfo::new(Octets(rand), Octets(auts));
            (context, pending, outcome) = self.resynchronise(&call, &id, context, info).await?;
        }
        if pending && !context.is_pending() {
            self.tell_udm(id.clone(), context.clone());
        }
        self.answer(&id, &context, outcome)
    }

    /// The USIM is out of step: another challenge of the home network, or a notification if it does not
    /// believe AUTS.
    async fn resynchronise(
        &self,
        call: &Call,
        id: &str,
        context: AuthContext,
        info: ResynchronizationInfo,
    ) -> Result<(AuthContext, bool, Outcome), Refused> {
        let mut again =
            AuthenticationInfo::new(context.supi.to_string(), context.serving_network_name.clone());
        again.resynchronization_info = Some(info);
        let vector = match self.vector(call, again).await {
            Ok(result) => match result.authentication_vector {
                Some(AuthenticationVector::AvEapAkaPrime(vector)) => Some(vector),
                _ => return Err(av_generation_problem("the UDM chose another method than EAP-AKA'")),
            },
            Err(OperationError::Problem(ProblemDetails { status: Some(403), .. })) => None,
            Err(error) => return Err(error),
        };
        self.env.counters.add("ausf.resynchronisations", 1);
        let renew = |now: &mut AuthContext| {
            let pending = now.is_pending();
            // Unless another request of the AMF was faster.
            let outcome = if *now == context { now.renew_eap(vector.as_ref()) } else { Outcome::Again };
            (pending, outcome)
        };
        let updated = self.contexts.update(id, self.env.clock.now(), renew).await;
        let (context, (pending, outcome)) = updated.map_err(|e| self.context_problem(e))?;
        Ok((context, pending, outcome))
    }

    fn answer(
        &self,
        id: &str,
        context: &AuthContext,
        outcome: Outcome,
    ) -> Result<Response<EapSession>, Refused> {
        let (supi, network) = (&context.supi, &context.serving_network_name);
        let body = match outcome {
            Outcome::Succeeded(packet) => {
                self.env.counters.add("ausf.authentications", 1);
                tracing::debug!(%supi, "authenticated");
                EapSession {
                    k_seaf: Some(Secret::new(*k_seaf(context.k_ausf(), network).as_bytes())),
                    auth_result: Some(AuthResult::AuthenticationSuccess),
                    supi: Some(supi.clone()),
                    ..EapSession::new(Base64(packet))
                }
            }
            Outcome::Failed(packet) => {
                self.env.counters.add("ausf.failures", 1);
                tracing::warn!(%supi, %network, "EAP session failed");
                let auth_result = Some(AuthResult::AuthenticationFailure);
                EapSession { auth_result, ..EapSession::new(Base64(packet)) }
            }
            Outcome::Again | Outcome::Notified(_) | Outcome::OutOfStep { .. } => {
                if let Outcome::Notified(why) = outcome {
                    tracing::warn!(%supi, %network, why, "EAP response");
                }
                let request =
                    context.eap_request().ok_or_else(|| self.context_problem(ContextError::Unknown))?;
                let link = LinksValue::to(self.eap_session_uri(id));
                EapSession {
                    links: Some([(LINK_EAP_SESSION.to_owned(), link)].into()),
                    auth_result: Some(AuthResult::AuthenticationOngoing),
                    ..EapSession::new(request.clone())
                }
            }
        };
        Ok(Response::ok(body))
    }
}
