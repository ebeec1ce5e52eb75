//! Security mode control: TS 24.501 §5.4.2.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tern_crypto::{CipheringAlgorithm, IntegrityAlgorithm};
use tern_nas::nas_5gs::{
    NasAbba, NasAdditional5gSecurityInformation, NasEapMessage, NasImeisvRequest, NasSecurityAlgorithms,
    NasSecurityModeCommand, NasSecurityModeComplete, NasUeSecurityCapability,
};
use tern_nas::security::{NasSecurityContext, Side};
use tern_nas::{MobileIdentity, NgKsi, registration};
use tern_types::{Imei, Instant};
use tracing::debug;

use crate::Amf;
use crate::config::SecurityConfig;
use crate::error::Refusal;
use crate::gmm::authentication::{ABBA, Authenticated};
use crate::gmm::{self, Progress};
use crate::ngap::ue_context_modification::is_giving_keys;
use crate::supervised::{Expiry, Protection, Supervised, T3560};
use crate::ue::UeContext;

/// "IMEISV requested" (TS 24.501 §9.11.3.28).
const IMEISV_REQUESTED: u8 = 1;

/// SECURITY MODE COMMAND, awaiting its answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SecurityModeControl {
    sent: Supervised,
}

/// What SECURITY MODE COMPLETE brings.
#[derive(Debug)]
pub(crate) struct Secured {
    /// The whole initial message.
    pub container: Option<Bytes>,
}

/// T3560 expired for the fifth time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoAnswer;

/// The first of the operator's algorithms that the UE has (TS 33.501 §6.7.1.1).
pub(crate) fn select(
    config: &SecurityConfig,
    capability: &[u8],
) -> Option<(CipheringAlgorithm, IntegrityAlgorithm)> {
    let octet = |at: usize| capability.get(at).copied().unwrap_or(0);
    let has = |octet: u8, code: u8| octet & (0x80 >> code) != 0;
    let ciphering = config.ciphering.iter().find(|a| has(octet(0), a.code()));
    let allowed = |a: &&IntegrityAlgorithm| config.allow_null_integrity || **a != IntegrityAlgorithm::Nia0;
    let integrity = config.integrity.iter().filter(allowed).find(|a| has(octet(1), a.code()));
    Some((*ciphering?, *integrity?))
}

/// What is selected now, where the UE's context has something else (TS 24.501 §5.4.2.1).
pub(crate) fn other_algorithms(
    ue: &UeContext,
    amf: &Amf,
) -> Option<(NasSecurityContext, (CipheringAlgorithm, IntegrityAlgorithm))> {
    let context = ue.security.as_ref()?;
    let selected = select(&amf.config.security, &ue.capability)?;
    let giving_keys = ue.n2.as_ref().is_some_and(is_giving_keys);
    (selected != (context.ciphering(), context.integrity()) && !giving_keys)
        .then(|| (context.clone(), selected))
}

impl SecurityModeControl {
    /// Takes a new security context into use. `whole_message` asks for the initial message again
    /// (RINMR). EAP-Success goes with it (TS 24.501 §5.4.1.2).
    pub(crate) fn start(
        ue: &mut UeContext,
        amf: &mut Amf,
        proved: Authenticated,
        whole_message: bool,
    ) -> Result<Self, Refusal> {
        let Authenticated { k_amf, ksi, eap_success, .. } = proved;
        let (ciphering, integrity) =
            select(&amf.config.security, &ue.capability).ok_or(Refusal::SecurityCapabilitiesMismatch)?;
        ue.previous_security =
            ue.security.replace(NasSecurityContext::new(Side::Amf, ksi, k_amf, ciphering, integrity));
        Ok(Self::command(ue, amf, ksi, (ciphering, integrity), whole_message, eap_success))
    }

    /// Takes other algorithms into use under the K_AMF that both sides have (TS 24.501 §5.4.2.1).
    pub(crate) fn change_algorithms(
        ue: &mut UeContext,
        amf: &mut Amf,
        context: NasSecurityContext,
        (ciphering, integrity): (CipheringAlgorithm, IntegrityAlgorithm),
    ) -> Self {
        amf.count("amf.gmm.algorithms_changed");
        let ksi = context.ksi();
        ue.previous_security = ue.security.replace(context.with_algorithms(ciphering, integrity));
        Self::command(ue, amf, ksi, (ciphering, integrity), false, None)
    }

    fn command(
        ue: &mut UeContext,
        amf: &mut Amf,
        ksi: NgKsi,
        (ciphering, integrity): (CipheringAlgorithm, IntegrityAlgorithm),
        whole_message: bool,
        eap_success: Option<Bytes>,
    ) -> Self {
        debug!(ue = ue.name(), %ciphering, %integrity, "security mode");
        let algorithms = NasSecurityAlgorithms::new(ciphering.code() << 4 | integrity.code());
        // Replayed octet for octet (TS 24.501 §5.4.2.2).
        let replayed = NasUeSecurityCapability::new(ue.capability.to_vec());
        let mut command = NasSecurityModeCommand::new(algorithms, registration::ngksi(Some(ksi)), replayed)
            .with_imeisv_request(NasImeisvRequest::new(IMEISV_REQUESTED));
        if whole_message {
            let information = NasAdditional5gSecurityInformation::from_flags(true, false);
            command = command.with_additional_5g_security_information(information);
        }
        if let Some(success) = eap_success {
            command = command
                .with_eap_message(NasEapMessage::new(success.to_vec()))
                .with_abba(NasAbba::new(ABBA.to_vec()));
        }
        let sent = gmm::send_supervised(ue, amf, T3560, command, Protection::NewContext);
        Self { sent }
    }

    /// When T3560 expires.
    pub fn deadline(&self) -> Instant {
        self.sent.deadline()
    }

    /// The UE has taken the context into use; the message's integrity is verified.
    pub(crate) fn on_complete(ue: &mut UeContext, complete: &NasSecurityModeComplete, count: u32) -> Secured {
        if let Some(n2) = &mut ue.n2 {
            n2.secured = true;
            n2.k_gnb_count = count;
        }
        if let Some(pei) = complete.imeisv.as_ref().and_then(imeisv) {
            ue.pei = Some(pei);
        }
        let container = complete.nas_message_container.as_ref();
        Secured { container: container.map(|ie| Bytes::copy_from_slice(&ie.value)) }
    }

    /// T3560 may have expired.
    pub(crate) fn expire(mut self, ue: &mut UeContext, amf: &mut Amf) -> Progress<Self, Secured, NoAnswer> {
        match gmm::resupervise(ue, amf, &mut self.sent) {
            Expiry::Abort => Progress::Failed(NoAnswer),
            Expiry::NotYet | Expiry::Retransmit => Progress::Running(self),
        }
    }
}

fn imeisv(ie: &tern_nas::nas_5gs::NasFGsMobileIdentity) -> Option<Imei> {
    match MobileIdentity::of(ie) {
        Ok(MobileIdentity::Imei(pei)) => Some(pei),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_the_ue_has_null_integrity_alone_then_nothing_is_selected() {
        let config = SecurityConfig::default();
        assert_eq!(select(&config, &[0xf0, 0x80]), None);
        assert_eq!(select(&config, &[]), None);
        let (nea, nia) = select(&config, &[0xf0, 0xf0]).unwrap();
        assert_eq!((nea, nia), (CipheringAlgorithm::Nea2, IntegrityAlgorithm::Nia2));
        let (nea, nia) = select(&config, &[0x80, 0x10]).unwrap();
        assert_eq!((nea, nia), (CipheringAlgorithm::Nea0, IntegrityAlgorithm::Nia3));
    }
}
