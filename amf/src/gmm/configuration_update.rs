//! Generic UE configuration update: TS 24.501 §5.4.4.
//!
//! It has a UE register that has PDU sessions of which the network knows nothing any more: the PDU
//! session status in REGISTRATION ACCEPT tells (TS 24.501 §5.5.1.3.4). And it gives a new 5G-GUTI to a
//! UE that has answered a page: its 5G-S-TMSI was on the air (TS 33.501 §6.12.3). And it tells a UE what
//! has changed of its subscription and policy.

use serde::{Deserialize, Serialize};
use tern_nas::nas_5gs::{
    NasConfigurationUpdateCommand, NasConfigurationUpdateIndication, NasNetworkSlicingIndication,
};
use tern_nas::{MobileIdentity, registration};
use tern_ngap::cause;
use tern_ngap::ngap::CauseNas;
use tern_types::Instant;
use tracing::{info, warn};

use crate::Amf;
use crate::gmm::subscription_change::Changes;
use crate::gmm::{self, Procedure, service_area};
use crate::ngap::rrc_inactive;
use crate::session;
use crate::supervised::{Expiry, Protection, Supervised, T3555};
use crate::ue::{ContextSetup, Subscription, UeContext};

/// A CONFIGURATION UPDATE COMMAND that awaits its answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ConfigurationUpdate {
    sent: Supervised,
    #[serde(default)]
    purpose: Purpose,
}

/// What it is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Purpose {
    /// The UE is to register.
    #[default]
    Registration,
    /// The UE has a new 5G-GUTI.
    Guti,
    /// Its subscription or policy has changed.
    Changes,
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
    let update = ConfigurationUpdate { sent, purpose: Purpose::Registration };
    ue.procedure = Some(Procedure::ConfigurationUpdate(update));
}

/// Gives a UE that has answered a page a new 5G-GUTI, before its connection is released
/// (TS 24.501 §5.4.4.1, §5.4.4.2).
pub(crate) fn reallocate_guti(ue: &mut UeContext, amf: &mut Amf) {
    if ue.n2.is_none() || ue.procedure.is_some() || ue.deregistering.is_some() {
        return;
    }
    let guti = amf.assign_guti(ue);
    let Ok(guti) = MobileIdentity::Guti(guti).to_ie() else { return };
    amf.count("amf.gmm.guti_reallocated");
    let indication = NasConfigurationUpdateIndication::from_flags(true, false);
    let command = NasConfigurationUpdateCommand::new()
        .with_configuration_update_indication(indication)
        .with_fg_guti(guti);
    let sent = gmm::send_supervised(ue, amf, T3555, command, Protection::Current);
    let update = ConfigurationUpdate { sent, purpose: Purpose::Guti };
    ue.procedure = Some(Procedure::ConfigurationUpdate(update));
}

/// Tells a connected UE and its gNB what has changed (TS 23.502 §4.2.4.2): where there is service, and the
/// slices that it is subscribed to and may use.
pub(crate) fn tell_changes(ue: &mut UeContext, amf: &mut Amf) {
    let serving = amf.serving_plmn(ue);
    let Some(n2) = &mut ue.n2 else { return };
    n2.outdated = n2.context == ContextSetup::Done;
    amf.count("amf.gmm.changes_told");
    let indication = NasConfigurationUpdateIndication::from_flags(true, false);
    let mut command = NasConfigurationUpdateCommand::new().with_configuration_update_indication(indication);
    if ue.changes.service_area {
        let list = service_area::list(ue);
        command = command.with_service_area_list(
            list.unwrap_or_else(|| registration::unrestricted_service_area_list(serving)),
        );
    }
    if ue.changes.slices {
        let configured = ue.subscription.as_ref().map(Subscription::configured).unwrap_or_default();
        if let (Ok(allowed), Ok(configured)) =
            (registration::nssai(&ue.allowed), registration::nssai(&configured))
        {
            command = command
                .with_allowed_nssai(allowed)
                .with_configured_nssai(configured)
                .with_network_slicing_indication(NasNetworkSlicingIndication::from_flags(true, false));
        }
    }
    info!(ue = ue.name(), changes = ?ue.changes, "UE is told what has changed");
    let sent = gmm::send_supervised(ue, amf, T3555, command, Protection::Current);
    let update = ConfigurationUpdate { sent, purpose: Purpose::Changes };
    ue.procedure = Some(Procedure::ConfigurationUpdate(update));
}

/// CONFIGURATION UPDATE COMPLETE, which may come while a service request that has crossed the command waits
/// for SMFs (TS 24.501 §5.4.4.6 e).
pub(crate) fn on_complete(ue: &mut UeContext, amf: &mut Amf) {
    match ue.procedure.take() {
        Some(Procedure::ConfigurationUpdate(machine)) => machine.complete(ue, amf),
        Some(Procedure::Service(mut service)) => match service.update.take() {
            Some(update) if update.purpose == Purpose::Registration => {
                // The UE is to register once the connection is released: the service request goes first.
                service.completed = true;
                service.update = Some(update);
                ue.procedure = Some(Procedure::Service(service));
            }
            update => {
                ue.procedure = Some(Procedure::Service(service));
                if let Some(update) = update {
                    update.complete(ue, amf);
                }
            }
        },
        other => ue.procedure = other,
    }
}

impl ConfigurationUpdate {
    /// When T3555 expires.
    pub fn deadline(&self) -> Instant {
        self.sent.deadline()
    }

    /// CONFIGURATION UPDATE COMPLETE: the older 5G-GUTI is no longer valid (TS 24.501 §5.4.4.4); a UE that
    /// is to register does so when its connection is released (TS 24.501 §5.4.4.3).
    pub(crate) fn complete(self, ue: &mut UeContext, amf: &mut Amf) {
        match self.purpose {
            Purpose::Registration => end(ue, amf),
            Purpose::Changes => ue.changes = Changes::default(),
            Purpose::Guti => {
                amf.confirm_guti(ue);
                rrc_inactive::inform(ue, amf);
            }
        }
    }

    /// The same while a service request is served; what is left of it.
    pub(crate) fn expire_beside(mut self, ue: &mut UeContext, amf: &mut Amf) -> Option<Self> {
        match gmm::resupervise(ue, amf, &mut self.sent) {
            Expiry::Abort => {
                if self.purpose == Purpose::Changes {
                    ue.changes = Changes::default();
                }
                None
            }
            Expiry::NotYet | Expiry::Retransmit => Some(self),
        }
    }

    /// T3555.
    pub(crate) fn expire(mut self, ue: &mut UeContext, amf: &mut Amf) {
        match gmm::resupervise(ue, amf, &mut self.sent) {
            Expiry::Abort => {
                warn!(ue = ue.name(), "T3555: no answer of the UE");
                // Either 5G-GUTI stays valid (TS 24.501 §5.4.4.6).
                match self.purpose {
                    Purpose::Registration => end(ue, amf),
                    Purpose::Changes => ue.changes = Changes::default(),
                    Purpose::Guti => {}
                }
            }
            Expiry::NotYet | Expiry::Retransmit => ue.procedure = Some(Procedure::ConfigurationUpdate(self)),
        }
    }
}

fn end(ue: &mut UeContext, amf: &mut Amf) {
    session::suspend_all(ue, amf);
    gmm::release(ue, amf, cause::nas(CauseNas::normal_release));
}
