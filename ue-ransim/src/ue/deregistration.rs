//! Deregistration (TS 24.501 §5.5.2), from either side.

use tern_nas::nas_5gs::{
    AccessTypeValue, Nas5gmmMessage, NasDeRegistrationType, NasDeregistrationAcceptUeTerminated,
    NasDeregistrationRequestUeOriginating, NasDeregistrationRequestUeTerminated,
};
use tern_nas::security::NasSecurityContext;
use tern_nas::{MobileIdentity, registration};
use tokio::time::Instant;

use super::congestion::CONGESTION;
use super::{EXPIRIES_MAX, Heard, Moment, T3521, Ue};
use crate::error::SimError;
use crate::report::DEREGISTRATION;

impl Ue {
    /// Deregisters; a UE that is switched off awaits no answer, but the release of its connection.
    pub async fn deregister(&mut self, switch_off: bool) -> Result<(), SimError> {
        if self.link.is_none() {
            self.service_request(&[]).await?;
        }
        let began = Instant::now();
        let identity = match self.guti {
            Some(guti) => MobileIdentity::Guti(guti),
            None => MobileIdentity::Suci(self.subscriber.suci(&mut self.random)?),
        };
        let kind = NasDeRegistrationType::new(0)
            .with_access_type(AccessTypeValue::ThreeGppAccess)
            .with_switch_off(switch_off);
        let ksi = registration::ngksi(self.context.as_ref().map(NasSecurityContext::ksi));
        let request = NasDeregistrationRequestUeOriginating::new(kind, ksi, identity.to_ie()?);
        let mut expiries = 0;
        'send: loop {
            self.answer(Moment::DeregistrationRequest, request.clone()).await?;
            if switch_off {
                break;
            }
            let until = Instant::now() + T3521;
            loop {
                match self.next(until, "DEREGISTRATION ACCEPT", "T3521").await {
                    Ok(Heard::Gmm(Nas5gmmMessage::DeregistrationAcceptUeOriginating(_))) => break,
                    Ok(Heard::SessionReleased { .. }) => {}
                    Ok(other) => self.unexpected(&other, "during deregistration"),
                    Err(SimError::Timeout { .. }) if expiries + 1 < EXPIRIES_MAX => {
                        expiries += 1;
                        self.journal.count("ue.retransmission");
                        continue 'send;
                    }
                    Err(error) => return Err(error),
                }
            }
            break;
        }
        self.registered = false;
        self.sessions.clear();
        self.journal.step(&*self, DEREGISTRATION, began, began.elapsed());
        self.await_release("TS 23.502 §4.2.2.3.2").await
    }

    /// TS 24.501 §5.5.2.3.2.
    pub(super) async fn on_deregistration_request(
        &mut self,
        request: &NasDeregistrationRequestUeTerminated,
    ) -> Result<(), SimError> {
        self.journal.count("ue.deregistered_by_network");
        self.send(NasDeregistrationAcceptUeTerminated::new()).await?;
        self.registered = false;
        self.sessions.clear();
        let cause = request.fgmm_cause.as_ref().map(|cause| cause.value);
        // The 5G-GUTI and its keys stay while T3346 runs; #22 without it is an abnormal case
        // (TS 24.501 §5.5.2.3.4).
        let back_off = cause.and_then(|cause| self.start_t3346(cause, request.t3346_value.as_ref()));
        if matches!(cause, Some(3 | 6 | 7)) || cause == Some(CONGESTION) && back_off.is_none() {
            self.guti = None;
            self.context = None;
        }
        self.hear(Heard::Deregistered);
        Ok(())
    }
}
