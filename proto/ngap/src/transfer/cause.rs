//! Transfers that say little more than a cause: TS 38.413 §9.3.4.12, §9.3.4.13, §9.3.4.16,
//! §9.3.4.21, §9.3.4.22.

use bytes::Bytes;
use oxirush_ngap::ngap::{
    PDUSessionResourceModifyIndicationUnsuccessfulTransfer, PDUSessionResourceNotifyReleasedTransfer,
    PDUSessionResourceReleaseCommandTransfer, PDUSessionResourceReleaseResponseTransfer,
    PDUSessionResourceSetupUnsuccessfulTransfer,
};

use super::{cause_ie, read, write};
use crate::cause::NgapCause;
use crate::error::{DecodeError, EncodeError};

/// PDU Session Resource Setup Unsuccessful Transfer (§9.3.4.16), octets.
pub fn encode_setup_unsuccessful(cause: NgapCause) -> Result<Bytes, EncodeError> {
    write(&PDUSessionResourceSetupUnsuccessfulTransfer::new(cause_ie(cause)?, None, None))
}

/// The cause of a PDU Session Resource Setup Unsuccessful Transfer (§9.3.4.16).
pub fn decode_setup_unsuccessful(octets: &[u8]) -> Result<NgapCause, DecodeError> {
    let transfer: PDUSessionResourceSetupUnsuccessfulTransfer =
        read("PDUSessionResourceSetupUnsuccessfulTransfer", octets)?;
    Ok(NgapCause::of(&transfer.cause))
}

/// PDU Session Resource Release Command Transfer (§9.3.4.12), octets.
pub fn encode_release_command(cause: NgapCause) -> Result<Bytes, EncodeError> {
    write(&PDUSessionResourceReleaseCommandTransfer::new(cause_ie(cause)?, None))
}

/// The cause of a PDU Session Resource Release Command Transfer (§9.3.4.12).
pub fn decode_release_command(octets: &[u8]) -> Result<NgapCause, DecodeError> {
    let transfer: PDUSessionResourceReleaseCommandTransfer =
        read("PDUSessionResourceReleaseCommandTransfer", octets)?;
    Ok(NgapCause::of(&transfer.cause))
}

/// PDU Session Resource Release Response Transfer (§9.3.4.21), octets.
pub fn encode_release_response() -> Result<Bytes, EncodeError> {
    write(&PDUSessionResourceReleaseResponseTransfer::new(None))
}

/// Checks a PDU Session Resource Release Response Transfer (§9.3.4.21).
pub fn decode_release_response(octets: &[u8]) -> Result<(), DecodeError> {
    read::<PDUSessionResourceReleaseResponseTransfer>("PDUSessionResourceReleaseResponseTransfer", octets)
        .map(drop)
}

/// PDU Session Resource Notify Released Transfer (§9.3.4.13), octets.
pub fn encode_notify_released(cause: NgapCause) -> Result<Bytes, EncodeError> {
    write(&PDUSessionResourceNotifyReleasedTransfer::new(cause_ie(cause)?, None))
}

/// The cause of a PDU Session Resource Notify Released Transfer (§9.3.4.13).
pub fn decode_notify_released(octets: &[u8]) -> Result<NgapCause, DecodeError> {
    let transfer: PDUSessionResourceNotifyReleasedTransfer =
        read("PDUSessionResourceNotifyReleasedTransfer", octets)?;
    Ok(NgapCause::of(&transfer.cause))
}

/// PDU Session Resource Modify Indication Unsuccessful Transfer (§9.3.4.22), octets.
pub fn encode_modify_indication_unsuccessful(cause: NgapCause) -> Result<Bytes, EncodeError> {
    write(&PDUSessionResourceModifyIndicationUnsuccessfulTransfer::new(cause_ie(cause)?, None))
}

/// The cause of a PDU Session Resource Modify Indication Unsuccessful Transfer (§9.3.4.22).
pub fn decode_modify_indication_unsuccessful(octets: &[u8]) -> Result<NgapCause, DecodeError> {
    let transfer: PDUSessionResourceModifyIndicationUnsuccessfulTransfer =
        read("PDUSessionResourceModifyIndicationUnsuccessfulTransfer", octets)?;
    Ok(NgapCause::of(&transfer.cause))
}
