//! Security mode control, UE side (TS 24.501 §5.4.2).

use tern_crypto::{CipheringAlgorithm, IntegrityAlgorithm};
use tern_nas::nas_5gs::{
    Nas5gmmMessage, NasFGmmCause, NasMessageContainer, NasSecurityModeCommand, NasSecurityModeComplete,
    NasSecurityModeReject,
};
use tern_nas::security::NasSecurityContext;
use tern_nas::{HeaderType, MobileIdentity, Side, registration};

use super::{Misdeed, Moment, Ue};
use crate::error::SimError;

/// 5GMM causes of SECURITY MODE REJECT (TS 24.501 §9.11.3.2).
const CAPABILITIES_MISMATCH: u8 = 23;
const UNSPECIFIED: u8 = 24;

impl Ue {
    /// `octets` is the whole protected message that `command` was read from.
    pub(super) async fn on_security_mode_command(
        &mut self,
        octets: &[u8],
        command: NasSecurityModeCommand,
    ) -> Result<(), SimError> {
        let Some(mut context) = self.context_of(&command) else {
            return self.reject_security(UNSPECIFIED).await;
        };
        if let Err(error) = context.unprotect(octets) {
            self.failure("TS 24.501 §5.4.2.3", format_args!("SECURITY MODE COMMAND: {error}"));
            return self.reject_security(UNSPECIFIED).await;
        }
        if *command.replayed_ue_security_capabilities.value != self.subscriber.capability {
            if self.initial_changed {
                // The network replays what came to it: somebody between bids down.
                self.journal.count("ue.bidding_down");
            } else {
                self.failure(
                    "TS 24.501 §5.4.2.2",
                    format_args!(
                        "replayed UE security capability {:02x?}, but the UE sent {:02x?}",
                        &*command.replayed_ue_security_capabilities.value, self.subscriber.capability
                    ),
                );
            }
            return self.reject_security(CAPABILITIES_MISMATCH).await;
        }
        if self.does(Moment::SecurityModeComplete, Misdeed::Reject) {
            return self.reject_security(CAPABILITIES_MISMATCH).await;
        }
        if let Some(abba) = &command.abba
            && *abba.value != [0, 0]
        {
            self.failure("TS 33.501 §A.7.1", format_args!("ABBA {:02x?} instead of 0000", &*abba.value));
        }
        self.check_eap_success(&command);
        self.context = Some(context);
        self.secure = true;
        // A retransmission continues with the context's COUNTs.
        self.fresh = None;
        self.complete_security(&command).await
    }

    async fn complete_security(&mut self, command: &NasSecurityModeCommand) -> Result<(), SimError> {
        let mut complete = NasSecurityModeComplete::new();
        if command.imeisv_request.as_ref().is_some_and(|request| request.value & 7 == 1) {
            complete.set_imeisv(MobileIdentity::Imei(self.subscriber.imeisv.clone()).to_ie()?);
        }
        let asked = command.additional_5g_security_information.as_ref().is_some_and(|info| info.rinmr());
        if asked || self.initial_incomplete {
            complete.set_nas_message_container(NasMessageContainer::new(self.initial.clone()));
            self.initial_incomplete = false;
        }
        // TS 33.501 §6.8.1.1.2.2: K_gNB follows from the COUNT of this message.
        self.k_gnb_count = self.context.as_ref().map(NasSecurityContext::next_count);
        let moment = Some(Moment::SecurityModeComplete);
        self.send_message(moment, complete.into(), HeaderType::CipheredNewContext).await
    }

    /// The context that a command takes into use, before its MAC is verified.
    fn context_of(&mut self, command: &NasSecurityModeCommand) -> Option<NasSecurityContext> {
        let octet = command.selected_nas_security_algorithms.value;
        let algorithms =
            (CipheringAlgorithm::try_from(octet >> 4), IntegrityAlgorithm::try_from(octet & 0xf));
        let (Ok(ciphering), Ok(integrity)) = algorithms else {
            self.failure("TS 24.501 §9.11.3.34", format_args!("security algorithms {octet:02x}"));
            return None;
        };
        let [ea, ia] = self.subscriber.capability;
        if ea & 0x80 >> ciphering.code() == 0 || ia & 0x80 >> integrity.code() == 0 {
            self.failure(
                "TS 33.501 §6.7.2",
                format_args!("{ciphering} and {integrity} are not both of the UE security capability"),
            );
            return None;
        }
        if integrity == IntegrityAlgorithm::Nia0 {
            self.failure("TS 33.501 §5.5.2", "NIA0 outside an emergency");
            return None;
        }
        let Some(ksi) = registration::ngksi_of(&command.ngksi) else {
            self.failure("TS 24.501 §5.4.2.2", "SECURITY MODE COMMAND without a native ngKSI");
            return None;
        };
        if let Some((fresh, key)) = &self.fresh
            && *fresh == ksi
        {
            return Some(NasSecurityContext::new(Side::Ue, ksi, key.clone(), ciphering, integrity));
        }
        if let Some(context) = &self.context
            && context.ksi() == ksi
        {
            return Some(context.clone().with_algorithms(ciphering, integrity));
        }
        self.failure("TS 24.501 §5.4.2.2", format_args!("ngKSI {} is of no key that the UE has", ksi.get()));
        None
    }

    async fn reject_security(&mut self, cause: u8) -> Result<(), SimError> {
        let reject = NasSecurityModeReject::new(NasFGmmCause::new(cause));
        self.send(Nas5gmmMessage::from(reject)).await
    }
}
