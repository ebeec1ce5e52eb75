//! Nausf_UEAuthentication: TS 29.509 §5.2, §6.1.

use std::sync::Arc;

use tern_crypto::ResStar;
use tern_nf::{Consumer, Env, Selection, Target};
use tern_sbi::common::{DateTime, LinksValue, NfInstanceId, NfType, Secret, ServiceName};
use tern_sbi::nausf_auth::{
    AuthData, AuthResult, AuthType, Authenticate, AuthenticationInfo, Confirm5gAka, ConfirmationDataResponse,
    LINK_5G_AKA, LINK_EAP_SESSION, UeAuthenticationCtx,
};
use tern_sbi::nudm_ueau::{
    self, AuthEvent, AuthenticationInfoRequest, AuthenticationVector, ConfirmAuth, GenerateAuthData,
};
use tern_sbi::{Call, Location, OperationError, PathParams, ProblemDetails, Response};
use tern_types::{PlmnId, Supi};
use tokio::sync::Semaphore;

use crate::context::AuthContext;
use crate::contexts::{ContextError, Contexts};

/// Results on their way to the UDM at the same time; more are counted and not told.
const EVENTS_MAX: usize = 1024;

pub(crate) type Refused = OperationError<ProblemDetails>;

/// What the handlers share.
pub(crate) struct UeAuthentication {
    pub(crate) env: Env,
    pub(crate) consumer: Consumer,
    pub(crate) api_root: String,
    pub(crate) nf_instance_id: NfInstanceId,
    pub(crate) serving_networks: Vec<PlmnId>,
    pub(crate) contexts: Contexts,
    pub(crate) events: Arc<Semaphore>,
}

/// Permits for [`UeAuthentication::events`].
pub(crate) fn events() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(EVENTS_MAX))
}

impl UeAuthentication {
    /// Nausf_UEAuthentication_Authenticate: TS 29.509 §5.2.2.2.2.
    pub(crate) async fn authenticate(
        &self,
        call: Call,
        operation: Authenticate,
    ) -> Result<Response<UeAuthenticationCtx>, Refused> {
        let info = operation.info;
        self.check_serving_network(&info)?;
        let network = info.serving_network_name.clone();
        let result = self.vector(&call, info).await?;
        let supi = result.supi.ok_or_else(|| av_generation_problem("the UDM names no SUPI"))?;
        let (context, challenge) = match (result.auth_type, result.authentication_vector) {
            (AuthType::FiveGAka, Some(AuthenticationVector::Av5gHeAka(vector))) => {
                let (context, challenge) = AuthContext::challenge(supi, network.clone(), &vector);
                (context, AuthData::Av5gAka(challenge))
            }
            (AuthType::EapAkaPrime, Some(AuthenticationVector::AvEapAkaPrime(vector))) => {
                let context = AuthContext::eap(supi, network.clone(), &vector);
                let context = context.ok_or_else(|| av_generation_problem("XRES has another length"))?;
                let request = context.eap_request().expect("invariant: an EAP session has a request").clone();
                (context, AuthData::EapPayload(request))
            }
            (method, _) => {
                let detail = format!("the UDM's vector is none for {method}");
                return Err(av_generation_problem(&detail));
            }
        };
        let random = self.env.entropy.random().array();
        let now = self.env.clock.now();
        let id = self.contexts.create(random, &context, now).await.map_err(|e| self.context_problem(e))?;
        let auth_type = context.auth_type();
        tracing::debug!(supi = %context.supi, %network, method = %auth_type, "challenge");
        self.env.counters.add("ausf.challenges", 1);
        let uri = self.resource_uri(&id);
        let link = match &challenge {
            AuthData::Av5gAka(_) => (LINK_5G_AKA, format!("{uri}/5g-aka-confirmation")),
            AuthData::EapPayload(_) => (LINK_EAP_SESSION, self.eap_session_uri(&id)),
        };
        let links = [(link.0.to_owned(), LinksValue::to(link.1))].into();
        let mut body = UeAuthenticationCtx::new(auth_type, challenge, links);
        body.serving_network_name = Some(network);
        Ok(Response::created(uri, body))
    }

    fn resource_uri(&self, id: &str) -> String {
        format!("{}{}", self.api_root, PathParams::fill("/nausf-auth/v1/ue-authentications/{id}", &[id]))
    }

    /// Where the packets of an EAP session go.
    pub(crate) fn eap_session_uri(&self, id: &str) -> String {
        format!("{}/eap-session", self.resource_uri(id))
    }

    /// 5G AKA confirmation: TS 29.509 §5.2.2.2.2, TS 33.501 §6.1.3.2.0 steps 10 and 11.
    pub(crate) async fn confirm(
        self: Arc<Self>,
        operation: Confirm5gAka,
    ) -> Result<Response<ConfirmationDataResponse>, Refused> {
        let res_star = ResStar::from(*operation.confirmation.res_star.expose());
        let id = operation.auth_ctx_id;
        let now = self.env.clock.now();
        let answer = |context: &mut AuthContext| (context.is_pending(), context.confirm(&res_star));
        let updated = self.contexts.update(&id, now, answer).await;
        let (context, (first, result)) = updated.map_err(|e| self.context_problem(e))?;
        let result = result.ok_or_else(|| self.context_problem(ContextError::Unknown))?;
        let mut body = ConfirmationDataResponse::new(result);
        if result == AuthResult::AuthenticationSuccess {
            self.env.counters.add("ausf.authentications", 1);
            tracing::debug!(supi = %context.supi, "authenticated");
            body.supi = Some(context.supi.clone());
            body.kseaf = Some(Secret::new(*context.k_seaf().as_bytes()));
        } else {
            self.env.counters.add("ausf.failures", 1);
            tracing::warn!(supi = %context.supi, network = context.serving_network_name, "RES* is wrong");
        }
        if first {
            self.tell_udm(id, context);
        }
        Ok(Response::ok(body))
    }

    /// Removes a result: TS 29.509 §5.2.2.2.7.
    pub(crate) async fn delete(&self, call: Call, auth_ctx_id: String) -> Result<Response<()>, Refused> {
        let now = self.env.clock.now();
        let removed = self.contexts.remove(&auth_ctx_id, now).await;
        let context = removed.map_err(|e| self.context_problem(e))?;
        if let Some(auth_event_id) = context.auth_event_id.clone() {
            let event = AuthEvent { auth_removal_ind: Some(true), ..self.event(&context) };
            let operation = nudm_ueau::DeleteAuth { supi: context.supi.clone(), auth_event_id, event };
            let target = udm(&context.supi.to_string());
            self.consumer.call(&target, &call, &operation).await.map_err(refusal_of_udm)?;
        }
        Ok(Response::no_content())
    }

    /// A vector from the UDM: TS 29.503 §5.4.2.2.
    pub(crate) async fn vector(
        &self,
        call: &Call,
        info: AuthenticationInfo,
    ) -> Result<nudm_ueau::AuthenticationInfoResult, Refused> {
        let mut request = AuthenticationInfoRequest::new(info.serving_network_name, self.nf_instance_id);
        request.resynchronization_info = info.resynchronization_info;
        let target = udm(&info.supi_or_suci);
        let operation = GenerateAuthData { supi_or_suci: info.supi_or_suci, request };
        let answered = self.consumer.call(&target, call, &operation).await;
        answered.map(|response| response.body).map_err(|error| {
            let identity = identity_for_log(&operation.supi_or_suci);
            tracing::warn!(identity, %error, "no authentication vector");
            self.env.counters.add("ausf.refused", 1);
            refusal_of_udm(error)
        })
    }

    /// TS 33.501 §6.1.2: the serving network must be one that may use its name.
    fn check_serving_network(&self, info: &AuthenticationInfo) -> Result<(), Refused> {
        let name = &info.serving_network_name;
        let Some(plmn) = plmn_label(name) else {
            let problem = ProblemDetails::invalid(
                "MANDATORY_IE_INCORRECT",
                "/servingNetworkName",
                "expected 5G:mncXXX.mccXXX.3gppnetwork.org",
            );
            return Err(OperationError::Problem(problem));
        };
        let is = |served: &PlmnId| plmn_label(&served.serving_network_name()) == Some(plmn);
        if self.serving_networks.is_empty() || self.serving_networks.iter().any(is) {
            return Ok(());
        }
        tracing::warn!(network = name, "serving network not authorized");
        self.env.counters.add("ausf.refused", 1);
        Err(OperationError::Problem(ProblemDetails::new(403, "SERVING_NETWORK_NOT_AUTHORIZED")))
    }

    /// Tells the UDM how an authentication ended (TS 33.501 §6.1.4.1a), behind the reply.
    pub(crate) fn tell_udm(self: &Arc<Self>, id: String, context: AuthContext) {
        let Ok(permit) = self.events.clone().try_acquire_owned() else {
            self.env.counters.add("ausf.events_dropped", 1);
            return;
        };
        let service = self.clone();
        tokio::spawn(async move {
            let operation = ConfirmAuth { supi: context.supi.clone(), event: service.event(&context) };
            let target = udm(&context.supi.to_string());
            match service.consumer.call(&target, &Call::default(), &operation).await {
                Ok(response) => {
                    let uri = response.location.as_deref().and_then(Location::parse);
                    let event_id = uri.and_then(|uri| uri.last_segment());
                    let now = service.env.clock.now();
                    // The context may be gone by now: then nobody will ask for the event.
                    let _ = service.contexts.update(&id, now, |c| c.auth_event_id = event_id.clone()).await;
                }
                Err(error) => {
                    service.env.counters.add("ausf.events_failed", 1);
                    tracing::warn!(supi = %context.supi, %error, "the UDM does not take the result");
                }
            }
            drop(permit);
        });
    }

    fn event(&self, context: &AuthContext) -> AuthEvent {
        AuthEvent::new(
            self.nf_instance_id,
            context.succeeded(),
            DateTime::from(self.env.clock.now()),
            context.auth_type(),
            context.serving_network_name.clone(),
        )
    }

    pub(crate) fn context_problem(&self, error: ContextError) -> Refused {
        OperationError::Problem(match error {
            ContextError::Unknown => ProblemDetails::new(404, "CONTEXT_NOT_FOUND"),
            ContextError::Full(_) => {
                self.env.counters.add("ausf.congestion", 1);
                tracing::warn!(%error, "authentication refused");
                ProblemDetails::new(503, "NF_CONGESTION")
            }
            ContextError::Store(_) => {
                tracing::error!(%error, "authentication not stored");
                ProblemDetails::new(500, "SYSTEM_FAILURE")
            }
        })
    }
}

fn udm(supi_or_suci: &str) -> Target {
    let selection = Selection { supi: supi_or_suci.parse::<Supi>().ok(), ..Selection::default() };
    Target::selected(NfType::Udm, ServiceName::NudmUeau, selection)
}

/// `mncXXX.mccXXX` of a serving network name, without a network identifier behind it
/// (TS 24.501 §9.12.1, TS 29.503 ServingNetworkName).
fn plmn_label(name: &str) -> Option<&str> {
    let (label, rest) = name.strip_prefix("5G:")?.split_at_checked(13)?;
    let (mnc, mcc) = label.strip_prefix("mnc")?.split_once(".mcc")?;
    let three = |digits: &str| digits.len() == 3 && digits.bytes().all(|b| b.is_ascii_digit());
    let nid = rest.strip_prefix(".3gppnetwork.org")?;
    let hexadecimal = |b: u8| b.is_ascii_digit() || (b'A'..=b'F').contains(&b);
    let nid_valid = match nid.strip_prefix(':') {
        Some(nid) => nid.len() == 11 && nid.bytes().all(hexadecimal),
        None => nid.is_empty(),
    };
    (three(mnc) && three(mcc) && nid_valid).then_some(label)
}

/// What the UDM refuses is refused with the same cause (TS 29.509 Table 6.1.7.3-1); that it
/// cannot answer is our failure.
fn refusal_of_udm(error: Refused) -> Refused {
    let problem = match error {
        OperationError::Problem(problem) if matches!(problem.status, Some(403 | 404 | 501 | 503)) => problem,
        OperationError::Transport(error) => {
            ProblemDetails::new(504, "UPSTREAM_SERVER_ERROR").with_detail(error)
        }
        error => ProblemDetails::new(500, "AV_GENERATION_PROBLEM").with_detail(error),
    };
    OperationError::Problem(problem)
}

pub(crate) fn av_generation_problem(detail: &str) -> Refused {
    OperationError::Problem(ProblemDetails::new(500, "AV_GENERATION_PROBLEM").with_detail(detail))
}

/// A SUCI may be long and says little: its first octets are enough to find it again.
fn identity_for_log(supi_or_suci: &str) -> &str {
    supi_or_suci.get(..48).unwrap_or(supi_or_suci)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serving_network_names_are_checked() {
        let two = PlmnId::new("001", "01").unwrap().serving_network_name();
        assert_eq!(plmn_label(&two), Some("mnc001.mcc001"));
        assert_eq!(plmn_label(&format!("{two}:0123456789A")), Some("mnc001.mcc001"));
        for wrong in [
            "",
            "5G:",
            "5G:mnc01.mcc001.3gppnetwork.org",
            "5G:mnc001.mcc001.3gppnetwork.org:",
            "5G:mnc001.mcc001.3gppnetwork.organic",
            "5g:mnc001.mcc001.3gppnetwork.org",
            "5G:mnc0é1.mcc001.3gppnetwork.org",
        ] {
            assert_eq!(plmn_label(wrong), None, "{wrong}");
        }
    }
}
