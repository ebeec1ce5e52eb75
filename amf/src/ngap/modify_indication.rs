//! PDU Session Resource Modify Indication: TS 38.413 §8.2.5. The SMFs of all sessions that the gNB lists are
//! asked, and one PDU SESSION RESOURCE MODIFY CONFIRM says what became of each.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tern_ngap::cause::{self, NgapCause};
use tern_ngap::ngap::*;
use tern_ngap::{CodecError, Message as _, build_ngap_ie, extract_ngap_ies, transfer};
use tern_types::PduSessionId;
use tracing::error;

use super::Handled;
use crate::Amf;
use crate::n2::message::GnbId;
use crate::session::{self, Session, Work};
use crate::ue::{Connection, UeContext};

/// An indication that is not yet confirmed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ModifyIndication {
    /// By which what its SMFs answer is known.
    number: u64,
    /// Who indicated: after a handover nobody waits for the confirmation.
    gnb: GnbId,
    /// Sessions whose SMFs have not answered.
    open: BTreeSet<PduSessionId>,
    /// Confirm transfers of what is modified, by session.
    modified: BTreeMap<u8, Bytes>,
    /// Unsuccessful transfers of what is not.
    failed: BTreeMap<u8, Bytes>,
}

/// PDU SESSION RESOURCE MODIFY INDICATION.
pub(crate) fn on_indication(ue: &mut UeContext, amf: &mut Amf, pdu: &NGAP_PDU) -> Handled {
    extract_ngap_ies!(pdu, PDUSessionResourceModifyIndication,
        req listed: Vec<(u8, Bytes)> = PDUSessionResourceModifyListModInd(list) => list.0.iter().map(|item| (
            item.pdu_session_id.0,
            Bytes::copy_from_slice(&item.pdu_session_resource_modify_indication_transfer),
        )).collect(),
    );
    let limit = amf.config.limits.pending_per_ue;
    let Some(n2) = &mut ue.n2 else { return Ok(()) };
    let number = amf.new_indication();
    let room = n2.indications.len() < limit;
    let mut indication = ModifyIndication {
        number,
        gnb: n2.gnb,
        open: BTreeSet::new(),
        modified: BTreeMap::new(),
        failed: BTreeMap::new(),
    };
    for (raw, transfer) in listed {
        let id = PduSessionId::new(raw);
        if id.is_some_and(|id| indication.open.contains(&id)) || indication.failed.contains_key(&raw) {
            // What is said of a session a second time contradicts the first.
            continue;
        }
        let asked = id.filter(|&id| room && session::push(ue, amf, id, Work::Indicated(number, transfer)));
        match asked {
            Some(id) => {
                indication.open.insert(id);
            }
            None => {
                amf.count("amf.ngap.session_unknown");
                indication.fail(amf, raw, None);
            }
        }
    }
    if let Some(n2) = &mut ue.n2 {
        n2.indications.push(indication);
    }
    proceed(ue, amf);
    Ok(())
}

/// The SMF has taken what the gNB has changed, with a transfer that confirms it, or has not; it may have said
/// why (TS 38.413 §8.2.5.3).
pub(crate) fn answered(
    ue: &mut UeContext,
    amf: &mut Amf,
    id: PduSessionId,
    number: u64,
    answer: Result<Bytes, Option<Bytes>>,
) {
    let indications = ue.n2.as_mut().map(|n2| &mut n2.indications);
    let of =
        |indication: &&mut ModifyIndication| indication.number == number && indication.open.contains(&id);
    let Some(indication) = indications.and_then(|all| all.iter_mut().find(of)) else {
        return amf.count("amf.ngap.indication_outlived");
    };
    indication.open.remove(&id);
    match answer {
        Ok(transfer) => {
            indication.modified.insert(id.get(), transfer);
        }
        Err(why) => indication.fail(amf, id.get(), why),
    }
    proceed(ue, amf);
}

/// Confirms what all SMFs have answered. Sessions that have gone meanwhile are not modified.
pub(crate) fn proceed(ue: &mut UeContext, amf: &mut Amf) {
    let Some(mut n2) = ue.n2.take_if(|n2| !n2.indications.is_empty()) else { return };
    let mut waiting = Vec::new();
    for mut indication in std::mem::take(&mut n2.indications) {
        if indication.gnb != n2.gnb {
            amf.count("amf.ngap.indication_outlived");
            continue;
        }
        let asked = |id: &PduSessionId| {
            ue.sessions.get(id).is_some_and(|session: &Session| session.has_indicated(indication.number))
        };
        let (open, gone): (BTreeSet<_>, BTreeSet<_>) = indication.open.iter().copied().partition(asked);
        for id in gone {
            indication.fail(amf, id.get(), None);
        }
        indication.open = open;
        if indication.open.is_empty() {
            amf.send_on(&n2, indication.confirm(&n2));
        } else {
            waiting.push(indication);
        }
    }
    n2.indications = waiting;
    ue.n2 = Some(n2);
}

impl ModifyIndication {
    fn fail(&mut self, amf: &mut Amf, session: u8, why: Option<Bytes>) {
        let unspecified = NgapCause::of(&cause::radio_network(CauseRadioNetwork::unspecified));
        let own = || match transfer::encode_modify_indication_unsuccessful(unspecified) {
            Ok(own) => Some(own),
            Err(error) => {
                error!(%error, "unsuccessful transfer not encoded");
                None
            }
        };
        if let Some(transfer) = why.or_else(own) {
            amf.count("amf.ngap.modification_refused");
            self.failed.insert(session, transfer);
        }
    }

    fn confirm(&self, n2: &Connection) -> Result<NGAP_PDU, CodecError> {
        macro_rules! ie {
            ($($ie:tt)*) => { build_ngap_ie!(PDUSessionResourceModifyConfirm, $($ie)*)? };
        }
        let mut ies = vec![ie!(AMF_UE_NGAP_ID(n2.amf_ue_ngap_id)), ie!(RAN_UE_NGAP_ID(n2.ran_ue_ngap_id))];
        if !self.modified.is_empty() {
            let item = |(&id, data): (&u8, &'_ Bytes)| {
                PDUSessionResourceModifyItemModCfm::new(PDUSessionID(id), data.to_vec().into(), None)
            };
            let list = PDUSessionResourceModifyListModCfm(self.modified.iter().map(item).collect());
            ies.push(ie!(PDUSessionResourceModifyListModCfm(list)));
        }
        if !self.failed.is_empty() {
            let item = |(&id, data): (&u8, &'_ Bytes)| {
                PDUSessionResourceFailedToModifyItemModCfm::new(PDUSessionID(id), data.to_vec().into(), None)
            };
            let list = PDUSessionResourceFailedToModifyListModCfm(self.failed.iter().map(item).collect());
            ies.push(ie!(PDUSessionResourceFailedToModifyListModCfm(list)));
        }
        let message = PDUSessionResourceModifyConfirm::new(ProtocolIEContainer(ies));
        NGAP_PDU::of_message(&message, PDUSessionResourceModifyConfirm::CRITICALITY)
    }
}
