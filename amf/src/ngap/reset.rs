//! NG Reset by a gNB, and the loss of a gNB: TS 38.413 §8.7.4.2.

use tracing::info;

use crate::n2::message::{GnbId, ResetScope};
use crate::ue::UeId;
use crate::{Amf, gmm};

/// The gNB has forgotten these connections.
pub(crate) fn on_reset(amf: &mut Amf, gnb: GnbId, scope: &ResetScope) {
    amf.count("amf.ngap.reset");
    let ues: Vec<UeId> = match scope {
        ResetScope::All => {
            info!(?gnb, "NG RESET of all connections");
            return connections_lost(amf, gnb);
        }
        ResetScope::Some(connections) => {
            info!(?gnb, connections = connections.len(), "NG RESET of some connections");
            let find = |&(amf_id, ran_id): &(Option<u64>, Option<u32>)| {
                if let Some(id) = amf_id {
                    amf.by_amf_id.get(&id)
                } else {
                    ran_id.and_then(|id| amf.by_ran_id.get(&(gnb, id)))
                }
            };
            connections.iter().filter_map(find).copied().collect()
        }
    };
    for ue in ues {
        lose(amf, gnb, ue);
    }
}

/// Every connection over the gNB is gone.
pub(crate) fn connections_lost(amf: &mut Amf, gnb: GnbId) {
    let over = amf.by_ran_id.range((gnb, 0)..=(gnb, u32::MAX));
    let ues: Vec<UeId> = over.map(|(_, &ue)| ue).collect();
    for ue in ues {
        lose(amf, gnb, ue);
    }
}

fn lose(amf: &mut Amf, gnb: GnbId, ue: UeId) {
    amf.with_ue(ue, |ue, amf| {
        if ue.n2.as_ref().is_some_and(|n2| n2.gnb == gnb) {
            amf.disconnect(ue);
            gmm::connection_lost(ue, amf);
        }
    });
}
