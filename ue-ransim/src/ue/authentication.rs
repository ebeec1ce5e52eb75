//! Primary authentication, UE side: 5G AKA (TS 24.501 §5.4.1.3, TS 33.501 §6.1.3.2); EAP is in `eap.rs`.

use tern_crypto::{Autn, ResStar, UsimRefusal, k_amf, k_seaf};
use tern_nas::nas_5gs::{
    NasAuthenticationFailure, NasAuthenticationFailureParameter, NasAuthenticationReject,
    NasAuthenticationRequest, NasAuthenticationResponse, NasAuthenticationResponseParameter, NasFGmmCause,
};
use tern_nas::registration;
use tokio::time::Instant;

use super::{Misdeed, Moment, T3520, Ue};
use crate::error::SimError;

/// 5GMM causes of AUTHENTICATION FAILURE (TS 24.501 §9.11.3.2).
const MAC_FAILURE: u8 = 20;
const SYNCH_FAILURE: u8 = 21;
const NON_5G_AUTHENTICATION: u8 = 26;
const NGKSI_IN_USE: u8 = 71;

/// Refusals after which the network is taken for false (TS 24.501 §5.4.1.3.7).
const REFUSALS_MAX: u8 = 3;

impl Ue {
    pub(super) async fn on_authentication_request(
        &mut self,
        request: &NasAuthenticationRequest,
    ) -> Result<(), SimError> {
        if *request.abba.value != [0, 0] {
            self.failure(
                "TS 33.501 §A.7.1",
                format_args!("ABBA {:02x?} instead of 0000", &*request.abba.value),
            );
        }
        let Some(ksi) = registration::ngksi_of(&request.ngksi) else {
            self.failure("TS 24.501 §5.4.1.3.2", "AUTHENTICATION REQUEST without a native ngKSI");
            return Ok(());
        };
        if self.sent_ksi == Some(ksi) {
            self.failure("TS 24.501 §5.4.1.3.2", "the ngKSI of AUTHENTICATION REQUEST is the UE's own");
            return self.refuse(NGKSI_IN_USE, None).await;
        }
        if let Some(eap) = &request.eap_message {
            return self.on_eap_request(ksi, &request.abba.value, &eap.value).await;
        }
        let rand = request.authentication_parameter_rand.as_ref();
        let rand = rand.and_then(|ie| <[u8; 16]>::try_from(&*ie.value).ok());
        let autn = request.authentication_parameter_autn.as_ref();
        let autn = autn.and_then(|ie| <[u8; 16]>::try_from(&*ie.value).ok());
        let (Some(rand), Some(autn)) = (rand, autn) else {
            self.failure("TS 24.501 §5.4.1.3.2", "AUTHENTICATION REQUEST of 5G AKA without RAND or AUTN");
            return Ok(());
        };
        self.eap = None;
        if let Some((known, res_star)) = &self.answered
            && *known == rand
        {
            // A retransmission: the USIM is not asked again (TS 24.501 §5.4.1.3.3).
            let res_star = res_star.clone();
            return self.respond(&res_star).await;
        }
        if self.refusals == 0 && self.does(Moment::AuthenticationResponse, Misdeed::MacFailure) {
            return self.refuse(MAC_FAILURE, None).await;
        }
        let network = self.gnb.config().plmn.serving_network_name();
        match self.subscriber.usim.authenticate(&rand, &Autn(autn), &network) {
            Ok(answer) => {
                self.prove_until = None;
                self.refusals = 0;
                let k_seaf = k_seaf(&answer.k_ausf, &network);
                let key = k_amf(&k_seaf, self.subscriber.supi.imsi(), &request.abba.value);
                self.fresh = Some((ksi, key));
                self.answered = Some((rand, answer.res_star.clone()));
                self.respond(&answer.res_star).await
            }
            Err(UsimRefusal::MacFailure) => {
                self.failure("TS 33.501 §6.1.3.2.0", "the MAC of AUTN is wrong");
                self.refuse(MAC_FAILURE, None).await
            }
            Err(UsimRefusal::Non5gAuthentication) => {
                self.failure("TS 33.501 §6.1.3.2.0", "the AMF separation bit of AUTN is 0");
                self.refuse(NON_5G_AUTHENTICATION, None).await
            }
            Err(UsimRefusal::SynchFailure(auts)) => {
                self.journal.count("ue.synch_failure");
                self.refuse(SYNCH_FAILURE, Some(auts.0)).await
            }
        }
    }

    async fn respond(&mut self, res_star: &ResStar) -> Result<(), SimError> {
        let mut octets = *res_star.as_bytes();
        if self.does(Moment::AuthenticationResponse, Misdeed::WrongRes) {
            octets[0] ^= 0xff;
        }
        let parameter = NasAuthenticationResponseParameter::from_res_star(octets);
        let response = NasAuthenticationResponse::new().with_authentication_response_parameter(parameter);
        self.answer(Moment::AuthenticationResponse, response).await
    }

    /// TS 24.501 §5.4.1.3.6; T3520 runs until the network proves itself.
    async fn refuse(&mut self, cause: u8, auts: Option<[u8; 14]>) -> Result<(), SimError> {
        self.refusals += 1;
        if self.refusals >= REFUSALS_MAX {
            return Err(SimError::NotAuthentic);
        }
        self.prove_until = Some(Instant::now() + T3520);
        let mut failure = NasAuthenticationFailure::new(NasFGmmCause::new(cause));
        if let Some(auts) = auts {
            failure
                .set_authentication_failure_parameter(NasAuthenticationFailureParameter::new(auts.to_vec()));
        }
        self.send(failure).await
    }

    /// TS 24.501 §5.4.1.3.5: the USIM counts as invalid.
    pub(super) fn on_authentication_reject(
        &mut self,
        reject: &NasAuthenticationReject,
    ) -> Result<(), SimError> {
        self.check_eap_failure(reject.eap_message.as_ref());
        self.context = None;
        self.guti = None;
        self.registered = false;
        Err(SimError::Rejected {
            message: "AUTHENTICATION REJECT",
            cause: 3,
            text: "the UE's answer was wrong".into(),
            back_off: None,
        })
    }
}
