//! Generic UE configuration update: TS 24.501 §5.4.4. It has a UE register that has PDU sessions of
//! which the network knows nothing any more: the PDU session status in REGISTRATION ACCEPT tells
//! (TS 24.501 §5.5.1.3.4).

use serde::{Deserialize, Serialize};
use tern_nas::nas_5gs::{NasConfigurationUpdateCommand, NasConfigurationUpdateIndication};
use tern_ngap::cause;
use tern_ngap::ngap::CauseNas;
use tern_types::Instant;
use tracing::{info, warn};

use crate::Amf;
use crate::gmm::{self, Procedure};
use crate::session;
use crate::supervised::{Expiry, Protection, Supervised, T3555};
use crate::ue::UeContext;

/// A CONFIGURATION UPDATE COMMAND that awaits its answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ConfigurationUpdate {
    sent: Supervised,
}

/// Has the UE register, now or once its procedure is over. One that is idle learns what it has to when
/// it comes by itself.
pub(crate) fn start(ue: &mut UeContext, amf: &mut Amf) {
    amf.untold.remove(&ue.id);
    if ue.n2.is_none() || !ue.registered {
        return;
    }
    if ue.procedure.is_some() {
        amf.untold.insert(ue.id);
        return;
    }
    info!(ue = ue.name(), "UE is asked to register: PDU sessions of it are lost");
    amf.count("amf.gmm.registration_requested");
    let indication = NasConfigurationUpdateIndication::from_flags(true, true);
    let command = NasConfigurationUpdateCommand::new().with_configuration_update_indication(indication);
    let sent = gmm::send_supervised(ue, amf, T3555, command, Protection::Current);
    ue.procedure = Some(Procedure::ConfigurationUpdate(ConfigurationUpdate { sent }));
}

impl ConfigurationUpdate {
    /// When T3555 expires.
    pub fn deadline(&self) -> Instant {
        self.sent.deadline()
    }

    /// CONFIGURATION UPDATE COMPLETE: the UE registers when its connection is released
    /// (TS 24.501 §5.4.4.3).
    pub(crate) fn on_complete(self, ue: &mut UeContext, amf: &mut Amf) {
        end(ue, amf);
    }

    /// T3555.
    pub(crate) fn expire(mut self, ue: &mut UeContext, amf: &mut Amf) {
        match gmm::resupervise(ue, amf, &mut self.sent) {
            Expiry::Abort => {
                warn!(ue = ue.name(), "T3555: no answer of the UE");
                end(ue, amf);
            }
            Expiry::NotYet | Expiry::Retransmit => ue.procedure = Some(Procedure::ConfigurationUpdate(self)),
        }
    }
}

fn end(ue: &mut UeContext, amf: &mut Amf) {
    session::suspend_all(ue, amf);
    gmm::release(ue, amf, cause::nas(CauseNas::normal_release));
}
