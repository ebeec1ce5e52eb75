//! NG Reset by a gNB, and the loss of a gNB: TS 38.413 §8.7.4.2.

use std::collections::BTreeSet;

use tracing::info;

use crate::n2::message::{GnbId, ResetScope};
use crate::ngap::handover;
use crate::ue::{UeContext, UeId};
use crate::{Amf, gmm};

/// The gNB has forgotten these connections.
pub(crate) fn on_reset(amf: &mut Amf, gnb: GnbId, scope: &ResetScope) {
    amf.count("amf.ngap.reset");
    let connections = match scope {
        ResetScope::All => {
            info!(?gnb, "NG RESET of all connections");
            return connections_lost(amf, gnb);
        }
        ResetScope::Some(connections) => {
            info!(?gnb, connections = connections.len(), "NG RESET of some connections");
            connections
        }
    };
    for &(amf_id, ran_id) in connections {
        if let (None, Some(ran_id)) = (amf_id, ran_id) {
            amf.arrivals.forget(gnb, ran_id);
        }
        let ue = match (amf_id, ran_id) {
            (Some(id), _) => amf.by_amf_id.get(&id),
            (None, ran_id) => ran_id.and_then(|id| amf.by_ran_id.get(&(gnb, id))),
        };
        let Some(&ue) = ue else { continue };
        amf.with_ue(ue, |ue, amf| {
            if handover::is_target(ue, gnb, amf_id, ran_id) {
                handover::target_lost(ue, amf);
            } else {
                lose(ue, amf, gnb);
            }
        });
    }
}

/// Every connection over the gNB is gone.
pub(crate) fn connections_lost(amf: &mut Amf, gnb: GnbId) {
    amf.arrivals.forget_all(gnb);
    let over = amf.by_ran_id.range((gnb, 0)..=(gnb, u32::MAX));
    let coming = amf.incoming.range((gnb, UeId(0))..=(gnb, UeId(u64::MAX)));
    let ues: BTreeSet<UeId> = over.map(|(_, &ue)| ue).chain(coming.map(|&(_, ue)| ue)).collect();
    for ue in ues {
        amf.with_ue(ue, |ue, amf| {
            if handover::is_target(ue, gnb, None, None) {
                handover::target_lost(ue, amf);
            }
            lose(ue, amf, gnb);
        });
    }
}

/// The gNB has nothing of the UE any more, unless that is another one's.
pub(crate) fn lose(ue: &mut UeContext, amf: &mut Amf, gnb: GnbId) {
    if ue.n2.as_ref().is_some_and(|n2| n2.gnb == gnb) && !handover::source_lost(ue, amf) {
        amf.disconnect(ue);
        gmm::connection_lost(ue, amf);
    }
}
