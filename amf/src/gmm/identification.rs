//! Identification: TS 24.501 §5.4.3.

use serde::{Deserialize, Serialize};
use tern_nas::nas_5gs::{MobileIdentityType, NasFGsIdentityType, NasFGsMobileIdentity, NasIdentityRequest};
use tern_types::Instant;

use crate::Amf;
use crate::gmm::{self, Progress};
use crate::supervised::{Expiry, Protection, Supervised, T3570};
use crate::ue::UeContext;

/// IDENTITY REQUEST for the SUCI, awaiting its response.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Identification {
    sent: Supervised,
}

/// Why no identity came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotIdentified {
    /// T3570 expired for the fifth time.
    NoAnswer,
    /// The UE has no SUCI to give, or gave something else.
    NoSuci,
}

impl Identification {
    /// Asks for the SUCI.
    pub(crate) fn start(ue: &mut UeContext, amf: &mut Amf) -> Self {
        let kind = NasFGsIdentityType::from_identity_type(MobileIdentityType::Suci)
            .unwrap_or_else(|_| NasFGsIdentityType::new(1));
        let request = NasIdentityRequest::new(kind);
        Self { sent: gmm::send_supervised(ue, amf, T3570, request, Protection::Current) }
    }

    /// When T3570 expires.
    pub fn deadline(&self) -> Instant {
        self.sent.deadline()
    }

    /// Reads the SUCI of an IDENTITY RESPONSE, as the service based interfaces write it.
    pub(crate) fn on_identity(identity: &NasFGsMobileIdentity) -> Progress<Self, String, NotIdentified> {
        match identity.as_suci() {
            Some(_) => Progress::Done(identity.to_string()),
            None => Progress::Failed(NotIdentified::NoSuci),
        }
    }

    /// T3570 may have expired.
    pub(crate) fn expire(
        mut self,
        ue: &mut UeContext,
        amf: &mut Amf,
    ) -> Progress<Self, String, NotIdentified> {
        match gmm::resupervise(ue, amf, &mut self.sent) {
            Expiry::Abort => Progress::Failed(NotIdentified::NoAnswer),
            Expiry::NotYet | Expiry::Retransmit => Progress::Running(self),
        }
    }
}
