//! Registration, UE side (TS 24.501 §5.5.1).

use std::time::Duration;

use bytes::Bytes;
use tern_nas::nas_5gs::{
    Nas5gmmMessage, Nas5gsMessage, NasFGmmCapability, NasFGsRegistrationType, NasMessageContainer,
    NasPduSessionStatus, NasRegistrationAccept, NasRegistrationComplete, NasRegistrationReject,
    NasRegistrationRequest, NasUeSecurityCapability, RegistrationType,
};
use tern_nas::security::NasSecurityContext;
use tern_nas::{HeaderType, MobileIdentity, registration};
use tokio::time::Instant;

use super::{Heard, Moment, T3510, T3511, Ue};
use crate::error::SimError;
use crate::report::{MOBILITY_UPDATE, PERIODIC_UPDATE, REGISTRATION};

/// 5GS registration type (TS 24.501 §9.11.3.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RegistrationKind {
    /// Initial registration.
    #[default]
    Initial,
    /// Mobility registration updating.
    Mobility,
    /// Periodic registration updating.
    Periodic,
}

impl RegistrationKind {
    /// What a journal calls it.
    pub(crate) fn procedure(self) -> &'static str {
        match self {
            Self::Initial => REGISTRATION,
            Self::Mobility => MOBILITY_UPDATE,
            Self::Periodic => PERIODIC_UPDATE,
        }
    }
}

impl Ue {
    /// Registers: with its 5G-GUTI if it has one, else with a fresh SUCI. From INITIAL UE MESSAGE
    /// to REGISTRATION COMPLETE.
    pub async fn register(&mut self) -> Result<Duration, SimError> {
        self.register_as(RegistrationKind::Initial).await
    }

    /// Registers, and tries again after T3511 as TS 24.501 §5.5.1.2.7 has it.
    pub async fn register_persistently(&mut self, attempts: u32) -> Result<Duration, SimError> {
        let mut attempt = 1;
        loop {
            match self.register().await {
                Err(
                    error
                    @ (SimError::Timeout { .. } | SimError::Released { .. } | SimError::Rejected { .. }),
                ) if attempt < attempts => {
                    attempt += 1;
                    self.disconnected();
                    self.journal.count("ue.registration_retry");
                    let wait = match error {
                        SimError::Rejected { back_off: Some(wait), .. } => wait,
                        _ => T3511,
                    };
                    tokio::time::sleep(wait).await;
                }
                other => return other,
            }
        }
    }

    /// Registers with this registration type.
    pub async fn register_as(&mut self, kind: RegistrationKind) -> Result<Duration, SimError> {
        self.await_t3346().await;
        let (nas, count) = self.registration_request(kind)?;
        let began = Instant::now();
        if kind == RegistrationKind::Initial {
            self.sessions.clear();
            self.radio_capability_known = false;
        }
        self.open(nas, self.why).await?;
        self.k_gnb_count = count;
        self.await_acceptance(kind, began).await
    }

    /// Registers if the cell is of no tracking area of its registration area (TS 24.501 §5.5.1.3.2 a).
    pub async fn update_area(&mut self) -> Result<Option<Duration>, SimError> {
        if self.tais.contains(&self.gnb.config().tai()) {
            return Ok(None);
        }
        self.register_as(RegistrationKind::Mobility).await.map(Some)
    }

    /// Registers on the connection that it has (TS 24.501 §5.5.1.3.2).
    pub async fn register_connected(&mut self, kind: RegistrationKind) -> Result<Duration, SimError> {
        let began = Instant::now();
        let (_, complete) = self.registration_messages(kind)?;
        let octets = Nas5gsMessage::new_5gmm(complete.clone()).encode();
        self.initial = octets.map_err(tern_nas::EncodeError::from)?;
        self.initial_incomplete = false;
        self.send(complete).await?;
        self.await_acceptance(kind, began).await
    }

    async fn await_acceptance(
        &mut self,
        kind: RegistrationKind,
        began: Instant,
    ) -> Result<Duration, SimError> {
        self.registering = true;
        let until = began + T3510;
        loop {
            let heard = self.next(until, "REGISTRATION ACCEPT", "T3510").await;
            if matches!(heard, Err(SimError::Timeout { .. })) {
                // TS 24.501 §5.5.1.2.7 c: the UE releases the connection locally.
                self.disconnected();
            }
            match heard? {
                Heard::Gmm(Nas5gmmMessage::RegistrationAccept(accept)) => {
                    return self.accept_registration(kind, &accept, began).await;
                }
                Heard::Gmm(Nas5gmmMessage::RegistrationReject(reject)) => {
                    return Err(self.on_registration_reject(&reject));
                }
                other => self.unexpected(&other, "during registration"),
            }
        }
    }

    async fn accept_registration(
        &mut self,
        kind: RegistrationKind,
        accept: &NasRegistrationAccept,
        began: Instant,
    ) -> Result<Duration, SimError> {
        self.check_registration_accept(accept);
        let new_guti = accept.fg_guti.as_ref();
        if let Some(guti) = new_guti {
            self.take_guti(guti, "TS 24.501 §5.5.1.2.4");
        }
        if let Some(list) = &accept.tai_list {
            self.take_tais(list, "TS 24.501 §5.5.1.2.4");
        }
        self.take_service_area(accept.service_area_list.as_ref());
        if let Some(nssai) = &accept.allowed_nssai {
            self.allowed_nssai = registration::nssai_of(nssai);
        }
        // TS 24.501 §5.5.1.3.4: what the network does not have is released locally.
        if let Some(status) = &accept.pdu_session_status {
            self.sessions.retain(|&psi, _| status.is_active(psi));
        }
        let t3512 = accept.t3512_value.as_ref().and_then(|timer| timer.to_seconds());
        self.t3512 = t3512.filter(|&seconds| seconds > 0).map(Duration::from_secs);
        self.must_register = false;
        self.registered = true;
        self.registering = false;
        self.sent_ksi = None;
        self.answered = None;
        if new_guti.is_some() {
            self.answer(Moment::RegistrationComplete, NasRegistrationComplete::new()).await?;
        }
        let duration = began.elapsed();
        self.journal.step(&*self, kind.procedure(), began, duration);
        Ok(duration)
    }

    /// The network has not seen REGISTRATION COMPLETE: T3550 has expired there (TS 24.501
    /// §5.5.1.2.8 c).
    pub(super) async fn on_repeated_accept(
        &mut self,
        accept: &NasRegistrationAccept,
    ) -> Result<(), SimError> {
        self.journal.count("ue.accept_repeated");
        if let Some(guti) = &accept.fg_guti {
            self.take_guti(guti, "TS 24.501 §5.5.1.2.8 c");
            self.answer(Moment::RegistrationComplete, NasRegistrationComplete::new()).await?;
        }
        Ok(())
    }

    /// TS 24.501 §5.5.1.2.5.
    fn on_registration_reject(&mut self, reject: &NasRegistrationReject) -> SimError {
        let cause = reject.fgmm_cause.value;
        self.registered = false;
        // Congestion and what concerns a place leave the UE's identity and keys as they are.
        if matches!(cause, 3 | 6 | 7 | 9 | 10) {
            self.guti = None;
            self.context = None;
        }
        let back_off = self.start_t3346(cause, reject.t3346_value.as_ref());
        SimError::Rejected {
            message: "REGISTRATION REJECT",
            cause,
            text: reject.fgmm_cause.description(),
            back_off,
        }
    }

    /// The initial message, protected where there are keys, and its COUNT.
    fn registration_request(&mut self, kind: RegistrationKind) -> Result<(Bytes, Option<u32>), SimError> {
        let (clear, complete) = self.registration_messages(kind)?;
        self.initial_message(clear.into(), complete.into(), |message, container| match message {
            Nas5gmmMessage::RegistrationRequest(request) => {
                request.set_nas_message_container(container);
            }
            _ => unreachable!("invariant: the message is the one above"),
        })
    }

    /// What may go in clear of a REGISTRATION REQUEST, and the whole of it (TS 24.501 §4.4.6).
    fn registration_messages(
        &mut self,
        kind: RegistrationKind,
    ) -> Result<(NasRegistrationRequest, NasRegistrationRequest), SimError> {
        let kind = match kind {
            RegistrationKind::Initial => RegistrationType::InitialRegistration,
            RegistrationKind::Mobility => RegistrationType::MobilityRegistrationUpdating,
            RegistrationKind::Periodic => RegistrationType::PeriodicRegistrationUpdating,
        };
        // A UE without the keys of its 5G-GUTI still says the 5G-GUTI (TS 24.501 §5.5.1.2.2).
        let identity = match self.guti {
            Some(guti) => MobileIdentity::Guti(guti),
            None => MobileIdentity::Suci(self.subscriber.suci(&mut self.random)?),
        };
        let context = self.context.as_ref().filter(|_| self.guti.is_some());
        self.sent_ksi = context.map(NasSecurityContext::ksi);
        let clear = NasRegistrationRequest::new(
            NasFGsRegistrationType::from_registration_type(kind).with_follow_on_request(true),
            registration::ngksi(self.sent_ksi),
            identity.to_ie()?,
        )
        .with_ue_security_capability(NasUeSecurityCapability::new(self.subscriber.capability.to_vec()));
        let mut complete = clear.clone().with_fgmm_capability(NasFGmmCapability::new(vec![0]));
        // TS 24.501 §5.5.1.3.2: an update says which sessions the UE has.
        if kind != RegistrationType::InitialRegistration && !self.sessions.is_empty() {
            let sessions: Vec<u8> = self.sessions.keys().copied().collect();
            let status = NasPduSessionStatus::from_sessions(&sessions);
            complete.set_pdu_session_status(status.map_err(|error| SimError::Encode(error.to_string()))?);
        }
        if !self.subscriber.requested_nssai.is_empty() {
            complete.set_requested_nssai(registration::nssai(&self.subscriber.requested_nssai)?);
        }
        Ok((clear, complete))
    }

    /// An initial message as TS 24.501 §4.4.6 has it: what may go in clear, and with keys the
    /// complete message ciphered in its container. Its octets and COUNT.
    pub(super) fn initial_message(
        &mut self,
        clear: Nas5gmmMessage,
        complete: Nas5gmmMessage,
        put: impl FnOnce(&mut Nas5gmmMessage, NasMessageContainer),
    ) -> Result<(Bytes, Option<u32>), SimError> {
        let encode = |message| Nas5gsMessage::new_5gmm(message).encode().map_err(tern_nas::EncodeError::from);
        let mut message = clear;
        self.initial = encode(complete)?;
        self.initial_incomplete = self.sent_ksi.is_none();
        let Some(context) = self.context.as_mut().filter(|_| self.sent_ksi.is_some()) else {
            return Ok((Bytes::from(encode(message)?), None));
        };
        if encode(message.clone())? != self.initial {
            put(&mut message, NasMessageContainer::new(context.cipher_container(&self.initial)));
        }
        let count = context.next_count();
        let plain = encode(message)?;
        let octets = context
            .protect(&plain, HeaderType::Integrity)
            .map_err(|error| SimError::State(error.to_string()))?;
        Ok((Bytes::from(octets), Some(count)))
    }
}
