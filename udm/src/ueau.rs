//! Nudm_UEAuthentication: TS 29.503 §5.4, §6.3.

use tern_sbi::nudm_ueau::{
    AuthEvent, AuthenticationInfoResult, ConfirmAuth, DeleteAuth, GenerateAuthData, ResynchronizationInfo,
};
use tern_sbi::{Call, PathParams, Response};
use tern_types::Supi;

use crate::Udm;
use crate::refusal::{Refused, refuse, refuse_with};
use crate::suci::NoSupi;
use crate::vector::{Credentials, CredentialsError};

/// Tries to take a sequence number that others take at the same time.
const ATTEMPTS_MAX: usize = 64;

impl Udm {
    /// Nudm_UEAuthentication_Get: TS 29.503 §5.4.2.2.
    pub(crate) async fn generate_auth_data(
        &self,
        call: Call,
        operation: GenerateAuthData,
    ) -> Result<Response<AuthenticationInfoResult>, Refused> {
        let supi = self.supi(&operation.supi_or_suci)?;
        let request = operation.request;
        let resynchronization = request.resynchronization_info.as_ref();
        let taken = self.take_sqn(&call, &supi, resynchronization).await;
        let (credentials, sqn) = taken.inspect_err(|error| {
            self.env.counters.add("udm.vectors_refused", 1);
            tracing::warn!(%supi, %error, "no authentication vector");
        })?;
        let rand = self.env.entropy.random().array();
        let vector = credentials.vector(sqn, rand, &request.serving_network_name);
        self.env.counters.add("udm.vectors", 1);
        let auth_type = credentials.auth_type();
        tracing::debug!(%supi, %sqn, method = %auth_type, "authentication vector");
        Ok(Response::ok(AuthenticationInfoResult {
            authentication_vector: Some(vector),
            supi: Some(supi),
            ..AuthenticationInfoResult::new(auth_type)
        }))
    }

    /// Nudm_UEAuthentication_ResultConfirmation: TS 29.503 §5.4.2.3.
    pub(crate) async fn confirm_auth(
        &self,
        call: Call,
        operation: ConfirmAuth,
    ) -> Result<Response<AuthEvent>, Refused> {
        let ConfirmAuth { supi, event } = operation;
        self.repository.put_authentication_status(&call, &supi, event.clone()).await?;
        if !event.success {
            tracing::warn!(%supi, network = event.serving_network_name, "authentication failed");
        }
        // One status a serving network: its name is the event's identity.
        let path = PathParams::fill(
            "/nudm-ueau/v1/{supi}/auth-events/{id}",
            &[&supi.to_string(), &event.serving_network_name],
        );
        Ok(Response::created(format!("{}{path}", self.api_root), event))
    }

    /// Removal of a result: TS 29.503 §5.4.2.3.2.
    pub(crate) async fn delete_auth(
        &self,
        call: Call,
        operation: DeleteAuth,
    ) -> Result<Response<()>, Refused> {
        let DeleteAuth { supi, auth_event_id, event } = operation;
        if event.auth_removal_ind != Some(true) || event.serving_network_name != auth_event_id {
            return Err(refuse(400, "MANDATORY_IE_INCORRECT"));
        }
        self.repository.delete_authentication_status(&call, &supi, &auth_event_id).await?;
        Ok(Response::no_content())
    }

    /// TS 29.503 Table 6.3.7.3-1.
    fn supi(&self, supi_or_suci: &str) -> Result<Supi, Refused> {
        self.home_network_keys.supi(supi_or_suci).map_err(|reason| {
            self.env.counters.add("udm.identities_refused", 1);
            tracing::warn!(identity = supi_or_suci.get(..48).unwrap_or(supi_or_suci), %reason, "no SUPI");
            match reason {
                NoSupi::Malformed => refuse_with(400, "MANDATORY_IE_INCORRECT", reason),
                NoSupi::UnsupportedType => refuse_with(404, "USER_NOT_FOUND", reason),
                NoSupi::UnsupportedScheme => refuse_with(501, "UNSUPPORTED_PROTECTION_SCHEME", reason),
                NoSupi::UnknownKey(_) => refuse_with(403, "INVALID_HN_PUBLIC_KEY_IDENTIFIER", reason),
                NoSupi::SchemeOutput(_) => refuse_with(403, "INVALID_SCHEME_OUTPUT", reason),
            }
        })
    }

    /// Takes the next sequence number: it is stored as given out before anybody sees it, and
    /// only if nobody else took one meanwhile. That would be another UDM: here each waits for its
    /// turn, or a UE that floods would have them all try again and again.
    async fn take_sqn(
        &self,
        call: &Call,
        supi: &Supi,
        resynchronization: Option<&ResynchronizationInfo>,
    ) -> Result<(Credentials, tern_crypto::Sqn), Refused> {
        let _turn = self.turns.take(supi).await;
        let mut refused = None;
        for _ in 0..ATTEMPTS_MAX {
            let subscription = self.repository.authentication_subscription(call, supi).await?;
            let problem = |error| match error {
                CredentialsError::UnsupportedMethod => refuse_with(403, "AUTHENTICATION_REJECTED", error),
                error => refuse_with(500, "AV_GENERATION_PROBLEM", error),
            };
            let credentials = Credentials::read(&subscription).map_err(problem)?;
            let sqn = match resynchronization {
                None => credentials.next_sqn().map_err(problem)?,
                Some(info) => {
                    let checked = credentials.resynchronised(info).map_err(problem)?;
                    checked.map_err(|error| refuse_with(403, "AUTHENTICATION_REJECTED", error))?
                }
            };
            if self.repository.replace_sqn(call, supi, credentials.sqn(), sqn).await? {
                return Ok((credentials, sqn));
            }
            // If the number did not change, it was no conflict that kept us from taking one.
            if refused.replace(credentials.sqn()) == Some(credentials.sqn()) {
                return Err(refuse_with(
                    500,
                    "AV_GENERATION_PROBLEM",
                    "the sequence number cannot be advanced",
                ));
            }
            self.env.counters.add("udm.sqn_conflicts", 1);
        }
        Err(refuse(503, "NF_CONGESTION"))
    }
}
