//! Services consumed and produced: one file each.

pub(crate) mod ausf;
pub(crate) mod callbacks;
pub(crate) mod namf_comm;
pub(crate) mod namf_loc;
pub(crate) mod nssf;
pub(crate) mod pcf;
pub(crate) mod smf;
pub(crate) mod udm;

use tern_sbi::common::{Ncgi, NrCellId, NrLocation as SbiLocation, UserLocation};
use tern_sbi::namf_comm::N1N2MessageTransfer;
use tern_sbi::namf_loc::ProvideLocationInfo;
use tern_sbi::npcf_am::{AmPolicyTerminateNotify, AmPolicyUpdateNotify};
use tern_sbi::nsmf_pdusession::SmContextStatusNotify;
use tern_sbi::nudm_sdm::DataChangeNotify;
use tern_sbi::nudm_uecm::DeregistrationNotify;

use crate::Amf;
use crate::io::Token;
use crate::ue::UeContext;

pub use namf_loc::{LOCATED_WITHIN, Locating};

/// Service requests that the AMF answers.
#[derive(Debug)]
pub enum AmfRequest {
    /// Namf_Communication.
    N1N2MessageTransfer(Box<N1N2MessageTransfer>),
    /// Namf_Location.
    ProvideLocationInfo(ProvideLocationInfo),
    /// The SMF tells what became of an SM context.
    SmContextStatusNotify(SmContextStatusNotify),
    /// The UDM has another AMF for the UE, or none.
    DeregistrationNotify(DeregistrationNotify),
    /// The UDM's data has changed.
    DataChangeNotify(DataChangeNotify),
    /// The PCF changes the policy.
    AmPolicyUpdateNotify(Box<AmPolicyUpdateNotify>),
    /// The PCF ends the policy association.
    AmPolicyTerminateNotify(AmPolicyTerminateNotify),
}

pub(crate) fn on_request(amf: &mut Amf, token: Token, request: AmfRequest) {
    match request {
        AmfRequest::N1N2MessageTransfer(request) => namf_comm::on_transfer(amf, token, *request),
        AmfRequest::ProvideLocationInfo(request) => namf_loc::on_provide(amf, token, &request),
        AmfRequest::SmContextStatusNotify(request) => callbacks::on_sm_context_status(amf, token, &request),
        AmfRequest::DeregistrationNotify(request) => callbacks::on_deregistration(amf, token, &request),
        AmfRequest::DataChangeNotify(request) => callbacks::on_data_change(amf, token, &request),
        AmfRequest::AmPolicyUpdateNotify(request) => callbacks::on_am_policy_update(amf, token, &request),
        AmfRequest::AmPolicyTerminateNotify(request) => {
            callbacks::on_am_policy_termination(amf, token, &request);
        }
    }
}

/// Where the UE is, as the SBI writes it.
pub(crate) fn user_location(ue: &UeContext) -> Option<UserLocation> {
    let location = ue.location?;
    let cell = NrCellId::new(location.nr_cell_id)?;
    Some(SbiLocation::new(location.tai, Ncgi::new(location.cell_plmn, cell)).into())
}
