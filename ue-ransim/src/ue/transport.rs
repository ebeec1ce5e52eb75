//! NAS messages out and in: security headers, and who takes what.

use bytes::Bytes;
use tern_nas::nas_5gs::{
    Direction, Nas5gmmMessage, Nas5gsMessage, NasDlNasTransport, PayloadContainerKind, Severity, Validate,
};
use tern_nas::security::payload_unverified;
use tern_nas::{DecodeError, HeaderType};
use tern_ngap::ngap::RRCEstablishmentCause;

use super::{Heard, Misdeed, Moment, Trick, Ue, Way};
use crate::error::SimError;
use crate::gnb::ContextSetup;

/// A UE radio access capability information of no RAT (TS 38.331 §11.2.2).
const RADIO_CAPABILITY: [u8; 3] = [0x00, 0x08, 0x00];

impl Ue {
    /// Connects with an initial message, which is protected already if it can be.
    pub(super) async fn open(&mut self, nas: Bytes, cause: RRCEstablishmentCause) -> Result<(), SimError> {
        self.disconnected();
        self.last_sent = Some(nas.clone());
        let s_tmsi = self.guti.map(Into::into);
        let carried = self.radio.carry(Way::Up, nas.clone());
        self.initial_changed = carried.first().is_some_and(|first| *first != nas);
        // A gNB hears the first message, or hears nothing of the UE at all.
        for nas in carried {
            match &self.link {
                None => self.link = Some(self.gnb.open(nas, s_tmsi, cause).await?),
                Some(link) => link.send(nas).await?,
            }
        }
        self.t3512_at = None;
        Ok(())
    }

    pub(super) async fn send_message(
        &mut self,
        moment: Option<Moment>,
        message: Nas5gmmMessage,
        header: HeaderType,
    ) -> Result<(), SimError> {
        let tricks: Vec<Misdeed> = {
            let at = |trick: &&Trick| Some(trick.at) == moment;
            self.subscriber.tricks.iter().filter(at).map(|trick| trick.what).collect()
        };
        let does = |what| tricks.contains(&what);
        if does(Misdeed::Silence) {
            return Ok(());
        }
        let plain = Nas5gsMessage::new_5gmm(message).encode().map_err(tern_nas::EncodeError::from)?;
        let mut octets = match &mut self.context {
            _ if does(Misdeed::Garbage) => vec![0x7e, 0x00, 0xff, 0xde, 0xad, 0xbe, 0xef],
            Some(context) if self.secure && !does(Misdeed::Plain) => {
                context.protect(&plain, header).map_err(|error| SimError::State(error.to_string()))?
            }
            _ => plain,
        };
        if does(Misdeed::WrongMac)
            && let Some(octet) = octets.get_mut(2)
        {
            *octet ^= 0xff;
        }
        let octets = Bytes::from(octets);
        self.send_octets(octets.clone()).await?;
        if does(Misdeed::Replay) {
            self.send_octets(octets).await?;
        }
        Ok(())
    }

    /// Sends octets that need not be NAS: for tests of the core.
    pub async fn send_octets(&mut self, octets: Bytes) -> Result<(), SimError> {
        let link = self.link.as_ref().ok_or_else(|| SimError::State("the UE is not connected".into()))?;
        self.last_sent = Some(octets.clone());
        for octets in self.radio.carry(Way::Up, octets) {
            link.send(octets).await?;
        }
        Ok(())
    }

    /// Sends the last message once more, octet for octet.
    pub async fn replay(&mut self) -> Result<(), SimError> {
        let last = self.last_sent.clone().ok_or_else(|| SimError::State("nothing was sent yet".into()))?;
        self.send_octets(last).await
    }

    pub(super) async fn on_nas(&mut self, octets: &[u8]) -> Result<(), SimError> {
        let Some(header) = HeaderType::of(octets) else {
            self.failure("TS 24.501 §9.3.1", "octets that are no 5GMM message");
            return Ok(());
        };
        let plain = match header {
            HeaderType::NewContext => {
                // Checked by the procedure: the message says which keys protect it.
                let Some(plain) = payload_unverified(octets) else { return Ok(()) };
                return match self.read(plain)? {
                    Some(Nas5gmmMessage::SecurityModeCommand(command)) => {
                        self.on_security_mode_command(octets, *command).await
                    }
                    Some(_) => {
                        self.failure(
                            "TS 24.501 §9.3.1",
                            "a new security context for no SECURITY MODE COMMAND",
                        );
                        Ok(())
                    }
                    None => Ok(()),
                };
            }
            HeaderType::Plain => octets.to_vec(),
            _ => match self.unprotect(octets) {
                Some(plain) => plain,
                None => return Ok(()),
            },
        };
        let Some(message) = self.read(&plain)? else { return Ok(()) };
        if header == HeaderType::Plain {
            if self.secure {
                self.failure(
                    "TS 24.501 §4.4.4.2",
                    format_args!(
                        "{:?} without protection after secure exchange began",
                        message.message_type()
                    ),
                );
                return Ok(());
            }
            if !tern_nas::unprotected::ue_accepts(&message) {
                self.failure(
                    "TS 24.501 §4.4.4.2",
                    format_args!("{:?} without protection", message.message_type()),
                );
                return Ok(());
            }
        }
        self.on_gmm(message).await
    }

    fn unprotect(&mut self, octets: &[u8]) -> Option<Vec<u8>> {
        let Some(context) = &mut self.context else {
            self.failure("TS 24.501 §4.4.2.5", "a protected message, but there is no security context");
            return None;
        };
        match context.unprotect(octets) {
            Ok(message) => {
                if message.header == HeaderType::Integrity {
                    self.failure("TS 24.501 §4.4.5", "a message is integrity protected, but not ciphered");
                }
                self.secure = true;
                Some(message.plain)
            }
            Err(error) => {
                self.failure("TS 24.501 §4.4.3.3", error);
                None
            }
        }
    }

    /// Decodes a plain message and reports what is wrong with it; `None` if it cannot be used.
    fn read(&mut self, plain: &[u8]) -> Result<Option<Nas5gmmMessage>, SimError> {
        let message = match tern_nas::decode(plain, Direction::Downlink) {
            Ok(message) => message,
            Err(error) => {
                self.failure("TS 24.501 §8.2", &error);
                if let DecodeError::Syntax { answer: Some(_), .. } = error {
                    self.journal.count("ue.undecodable");
                }
                return Ok(None);
            }
        };
        self.validate(&message);
        match message {
            Nas5gsMessage::Gmm(_, message) => Ok(Some(message)),
            _ => {
                self.failure("TS 24.501 §9.2", "no plain 5GMM message");
                Ok(None)
            }
        }
    }

    pub(super) fn validate(&self, message: &Nas5gsMessage) {
        for finding in message.validate() {
            if finding.severity == Severity::Error {
                self.failure("TS 24.501 §9.11", format_args!("{message}: {finding}"));
            }
        }
    }

    /// Common procedures answer here; the rest is heard.
    async fn on_gmm(&mut self, message: Nas5gmmMessage) -> Result<(), SimError> {
        tracing::debug!(ue = %self, "receives {:?}", message.message_type());
        match message {
            Nas5gmmMessage::AuthenticationRequest(request) => self.on_authentication_request(&request).await,
            Nas5gmmMessage::AuthenticationReject(reject) => self.on_authentication_reject(&reject),
            Nas5gmmMessage::AuthenticationResult(result) => {
                self.on_authentication_result(&result);
                Ok(())
            }
            Nas5gmmMessage::IdentityRequest(request) => self.on_identity_request(&request).await,
            Nas5gmmMessage::SecurityModeCommand(_) => {
                self.failure("TS 24.501 §5.4.2.2", "SECURITY MODE COMMAND without its security header type");
                Ok(())
            }
            Nas5gmmMessage::ConfigurationUpdateCommand(command) => {
                self.on_configuration_update(&command).await
            }
            Nas5gmmMessage::RegistrationAccept(accept) if self.registered && !self.registering => {
                self.on_repeated_accept(&accept).await
            }
            Nas5gmmMessage::DlNasTransport(transport) => self.on_transport(&transport).await,
            Nas5gmmMessage::DeregistrationRequestUeTerminated(request) => {
                self.on_deregistration_request(&request).await
            }
            Nas5gmmMessage::FiveGmmStatus(status) => {
                self.journal.count("ue.5gmm_status");
                tracing::info!(ue = %self, cause = status.fgmm_cause.value, "5GMM STATUS");
                Ok(())
            }
            other => {
                self.hear(Heard::Gmm(other));
                Ok(())
            }
        }
    }

    /// TS 24.501 §5.4.5.3.
    async fn on_transport(&mut self, transport: &NasDlNasTransport) -> Result<(), SimError> {
        let psi = transport.pdu_session_id.as_ref().map(|id| id.pdu_session_id());
        if transport.payload_container_type.kind() != Some(PayloadContainerKind::N1SmInformation) {
            self.journal.count("ue.other_payload");
            return Ok(());
        }
        if psi.is_none() {
            self.failure(
                "TS 24.501 §5.4.5.3.1",
                "DL NAS TRANSPORT with N1 SM information without PDU session ID",
            );
        }
        if let Some(cause) = &transport.fgmm_cause {
            let back_off = transport.back_off_timer_value.as_ref().and_then(|timer| timer.to_seconds());
            let back_off = back_off.map(std::time::Duration::from_secs);
            self.hear(Heard::NotForwarded { psi, cause: cause.value, back_off });
            return Ok(());
        }
        match tern_nas::decode(&transport.payload_container.value, Direction::Downlink) {
            Ok(message) => {
                self.validate(&message);
                let Nas5gsMessage::Gsm(header, message) = message else {
                    self.failure("TS 24.501 §5.4.5.3.1", "N1 SM information that is no 5GSM message");
                    return Ok(());
                };
                if psi.is_some_and(|psi| psi != header.pdu_session_identity) {
                    self.failure(
                        "TS 24.501 §5.4.5.3.1",
                        "PDU session IDs in and around a 5GSM message differ",
                    );
                }
                self.on_gsm(header, message).await
            }
            Err(error) => {
                self.failure("TS 24.501 §8.3", error);
                Ok(())
            }
        }
    }

    /// The gNB has the context: AS security starts (TS 33.501 §6.7.4), with the UE's own K_gNB.
    pub(super) async fn on_context_set_up(&mut self, setup: &ContextSetup) -> Result<(), SimError> {
        self.check_context_setup(setup);
        self.as_keys = self.initial_as_keys();
        self.context_set_up = Some(setup.allowed_nssai.clone());
        self.area_of_gnb = Some(setup.service_area.clone());
        if setup.radio_capability.is_none() {
            if self.radio_capability_known {
                self.failure(
                    "TS 23.501 §5.4.4.1",
                    "the AMF does not return the UE radio capability it was given",
                );
            }
            if let Some(link) = &self.link {
                link.send_radio_capability(&RADIO_CAPABILITY).await?;
                self.radio_capability_known = true;
            }
        } else if setup.radio_capability.as_deref() != Some(RADIO_CAPABILITY.as_slice()) {
            self.failure(
                "TS 23.501 §5.4.4.1",
                "the AMF returns another UE radio capability than it was given",
            );
        }
        self.hear(Heard::ContextSetUp);
        Ok(())
    }
}
