//! What `tern status` shows of the AMF.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::n2::message::GnbInfo;
use crate::{Amf, GmmState, RrcState, UeContext};

/// gNBs, and UEs, that are listed; all are counted.
const LISTED_MAX: usize = 100;

impl Amf {
    /// gNBs, UEs and sessions: how many, and the first of each.
    pub fn status(&self) -> Value {
        // In the order of their names; those whose name is not known yet come last.
        let named = self.by_supi.values().filter_map(|id| self.ues.get(id));
        let ues = named.chain(self.ues.values().filter(|ue| ue.supi.is_none()));
        let count = |f: fn(&UeContext) -> usize| self.ues.values().map(|ue| f(ue)).sum::<usize>();
        json!({
            "gnbs": self.gnbs.len(),
            "ues": self.ues.len(),
            "registered": count(|ue| usize::from(ue.registered)),
            "connected": count(|ue| usize::from(ue.n2.is_some())),
            "sessions": count(|ue| ue.sessions.len()),
            "registering": self.registering.len(),
            "registrationsWaiting": self.arrivals.waiting(),
            "sessionsEstablishing": self.admission.establishing(),
            "sessionsWaiting": self.admission.waiting(),
            "gnbList": self.gnbs.values().take(LISTED_MAX).map(|gnb| self.gnb_status(gnb)).collect::<Vec<_>>(),
            "ueList": ues.take(LISTED_MAX).map(|ue| self.ue_status(ue)).collect::<Vec<_>>(),
        })
    }

    fn gnb_status(&self, gnb: &GnbInfo) -> Value {
        let connected = self.by_ran_id.range((gnb.id, 0)..=(gnb.id, u32::MAX)).count();
        json!({
            "name": gnb.name,
            "id": gnb.global.to_string(),
            "peer": gnb.peer,
            "tacs": gnb.supported_tas.iter().map(|area| area.tac.to_string()).collect::<Vec<_>>(),
            "ues": connected,
        })
    }

    fn ue_status(&self, ue: &UeContext) -> Value {
        let gnb = ue.n2.as_ref().and_then(|connection| self.gnbs.get(&connection.gnb));
        let name = |gnb: &GnbInfo| gnb.name.clone().unwrap_or_else(|| gnb.global.to_string());
        json!({
            // Who it is, or says it is.
            "ue": ue.name(),
            "state": state(ue.state()),
            "gnb": gnb.map(name),
            "rrc": ue.n2.as_ref().map(|n2| rrc(n2.rrc)),
            "cell": ue.location.map(|at| format!("{:09x}", at.nr_cell_id)),
            "tac": ue.location.map(|at| at.tai.tac.to_string()),
            "areasOfInterest": ue.presence.iter().map(|(area, presence)| {
                (area.to_string(), format!("{presence:?}").to_lowercase())
            }).collect::<BTreeMap<_, _>>(),
            "allowed": ue.allowed.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "sessions": ue.sessions.len(),
        })
    }
}

/// The RRC state, in words.
fn rrc(state: RrcState) -> &'static str {
    match state {
        RrcState::Connected => "connected",
        RrcState::Inactive => "inactive",
    }
}

/// TS 24.501 §5.1.3.2.3, in words.
fn state(state: GmmState) -> &'static str {
    match state {
        GmmState::Deregistered => "deregistered",
        GmmState::CommonProcedureInitiated => "registering",
        GmmState::Registered => "registered",
        GmmState::DeregisteredInitiated => "deregistering",
    }
}
