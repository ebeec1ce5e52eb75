//! AMF Configuration Update: TS 38.413 §8.7.3.

use tern_ngap::ngap::{AMFName, Cause, NGAP_PDU, RelativeAMFCapacity, TimeToWait};
use tern_ngap::{DecodeError, build_ngap, cause, extract_ngap_ies};
use tern_types::{Duration, Instant};

use super::message::{GnbId, ServedAmf};
use super::ng_setup::{guami_list, plmn_list};
use super::termination::{NON_UE_STREAM, Termination};

/// How long a gNB has to answer.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Times that a gNB is told the same.
pub const ATTEMPTS_MAX: u8 = 3;

/// An update that a gNB has not taken yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Update {
    attempts: u8,
    /// When it is sent again.
    pub(super) again_at: Instant,
}

/// What the AMF serves is new: gNBs that have set up NG are told.
pub(super) fn configure(n2: &mut Termination, served: ServedAmf) {
    let known = n2.served.replace(served);
    if known.is_none() || known == n2.served {
        return;
    }
    let gnbs: Vec<GnbId> = n2.gnbs().map(|gnb| gnb.id).collect();
    for gnb in gnbs {
        send(n2, gnb, 1);
    }
}

fn send(n2: &mut Termination, to: GnbId, attempts: u8) {
    let Some(served) = n2.served.clone() else { return };
    let again_at = n2.now() + ANSWER_WITHIN;
    if let Some(association) = n2.associations.get_mut(&to) {
        association.update = Some(Update { attempts, again_at });
    }
    let pdu = build_ngap!(
        InitiatingMessage,
        AMFConfigurationUpdate,
        AMFConfigurationUpdate,
        AMFName(AMFName(served.name.clone().into())),
        ServedGUAMIList(guami_list(&served)),
        RelativeAMFCapacity(RelativeAMFCapacity(served.relative_capacity)),
        PLMNSupportList(plmn_list(&served)),
    );
    n2.send(to, NON_UE_STREAM, pdu);
}

/// AMF CONFIGURATION UPDATE ACKNOWLEDGE.
pub(super) fn on_acknowledge(n2: &mut Termination, from: GnbId) {
    tracing::debug!(gnb = %n2.who(from), "AMF configuration update acknowledged");
    n2.count("n2.amf_configuration_acknowledged");
    if let Some(association) = n2.associations.get_mut(&from) {
        association.update = None;
    }
}

/// AMF CONFIGURATION UPDATE FAILURE: the gNB is told again if it says when.
pub(super) fn on_failure(n2: &mut Termination, from: GnbId, pdu: &NGAP_PDU) {
    let (why, wait) = read(pdu).unwrap_or_default();
    let why = why.as_ref().map_or_else(|| "no cause".to_owned(), cause::describe);
    tracing::warn!(gnb = %n2.who(from), cause = why, "the gNB refused the AMF configuration update");
    n2.count("n2.amf_configuration_refused");
    let now = n2.now();
    let Some(association) = n2.associations.get_mut(&from) else { return };
    association.update =
        association.update.zip(wait).map(|(update, wait)| Update { again_at: now + wait, ..update });
}

/// No answer has come, or the time to wait is over: the same is said again (§8.7.3.4).
pub(super) fn expire(n2: &mut Termination) {
    let now = n2.now();
    let due = n2.associations.iter().filter_map(|(&id, association)| {
        association.update.filter(|update| update.again_at <= now).map(|update| (id, update))
    });
    for (gnb, update) in due.collect::<Vec<_>>() {
        if update.attempts < ATTEMPTS_MAX {
            n2.count("n2.amf_configuration_again");
            send(n2, gnb, update.attempts + 1);
            continue;
        }
        tracing::warn!(gnb = %n2.who(gnb), "the gNB takes no AMF configuration update");
        n2.count("n2.amf_configuration_given_up");
        if let Some(association) = n2.associations.get_mut(&gnb) {
            association.update = None;
        }
    }
}

fn read(pdu: &NGAP_PDU) -> Result<(Option<Cause>, Option<Duration>), DecodeError> {
    extract_ngap_ies!(pdu, AMFConfigurationUpdateFailure,
        lax why: Cause = Cause(cause) => cause,
        lax wait: Duration = TimeToWait(wait) => Duration::from_secs(match wait {
            TimeToWait::v1s => 1,
            TimeToWait::v2s => 2,
            TimeToWait::v5s => 5,
            TimeToWait::v10s => 10,
            TimeToWait::v20s => 20,
            _ => 60,
        }),
    );
    Ok((why, wait))
}
