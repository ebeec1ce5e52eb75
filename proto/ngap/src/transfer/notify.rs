//! PDU Session Resource Notify: TS 38.413 §9.3.4.5.

use bytes::Bytes;
use oxirush_ngap::ngap::{
    NotificationCause, PDUSessionResourceNotifyTransfer, QosFlowNotifyItem, QosFlowNotifyList,
};
use serde::{Deserialize, Serialize};
use tern_types::Qfi;

use super::{causes_of, qfi_ie, qfi_of, read, with_causes, write};
use crate::cause::NgapCause;
use crate::error::{DecodeError, EncodeError};

/// PDU Session Resource Notify Transfer (§9.3.4.5): what the gNB says of flows unasked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Notify {
    /// GBR flows, and whether their guaranteed bit rates are fulfilled again, both ways.
    pub notified: Vec<(Qfi, bool)>,
    /// Flows that it has released.
    pub released: Vec<(Qfi, NgapCause)>,
}

impl Notify {
    /// The transfer's octets.
    pub fn encode(&self) -> Result<Bytes, EncodeError> {
        let item = |&(qfi, fulfilled): &(Qfi, bool)| {
            let cause =
                if fulfilled { NotificationCause::fulfilled } else { NotificationCause::not_fulfilled };
            QosFlowNotifyItem::new(qfi_ie(qfi), cause, None)
        };
        let notified = QosFlowNotifyList(self.notified.iter().map(item).collect());
        let released = if self.released.is_empty() { None } else { Some(with_causes(&self.released)?) };
        let notified = (!self.notified.is_empty()).then_some(notified);
        write(&PDUSessionResourceNotifyTransfer::new(notified, released, None))
    }

    /// Reads the transfer.
    pub fn decode(octets: &[u8]) -> Result<Self, DecodeError> {
        let transfer: PDUSessionResourceNotifyTransfer = read("PDUSessionResourceNotifyTransfer", octets)?;
        let item = |item: &QosFlowNotifyItem| {
            let fulfilled = item.notification_cause == NotificationCause::fulfilled;
            Ok((qfi_of(&item.qos_flow_identifier)?, fulfilled))
        };
        let notified = transfer.qos_flow_notify_list.iter().flat_map(|list| &list.0);
        let released = transfer.qos_flow_released_list.as_ref();
        Ok(Self {
            notified: notified.map(item).collect::<Result<_, DecodeError>>()?,
            released: released.map(causes_of).transpose()?.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notify_round_trips() {
        let qfi = |value| Qfi::new(value).unwrap();
        let released = vec![(qfi(2), NgapCause { group: 0, value: 26 })];
        for notify in [
            Notify { notified: Vec::new(), released: released.clone() },
            Notify { notified: vec![(qfi(3), false), (qfi(4), true)], released },
        ] {
            assert_eq!(Notify::decode(&notify.encode().unwrap()).unwrap(), notify);
        }
        assert!(Notify::decode(&[]).is_err());
    }
}
