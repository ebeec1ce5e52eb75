//! Create SM Context (TS 29.502 §5.2.2.2): the request's checks, before anything is asked of
//! anyone.

use bytes::Bytes;
use tern_nas::DecodeError;
use tern_sbi::nsmf_pdusession::{PostSmContexts, RequestType, SmContextCreateData};
use tern_sbi::{Location, ProblemDetails, cause};
use tern_types::{Dnn, PduSessionId, Snssai, Supi};

use crate::cause::{GsmCause, Refusal};
use crate::config::Config;
use crate::context::{PduSession, SmContextRef, UeRequest, Usage};
use crate::core::network_identifier;
use crate::gsm::message::{self, Content};
use crate::router::Router;

/// Why a request is refused before it is a context.
#[derive(Debug)]
pub struct Refused {
    /// For the AMF.
    pub problem: Box<ProblemDetails>,
    /// For the UE.
    pub n1: Option<Bytes>,
}

impl Refused {
    fn missing(attribute: &str) -> Self {
        let problem = ProblemDetails::invalid(cause::MANDATORY_IE_MISSING, attribute, "absent");
        Self { problem: Box::new(problem), n1: None }
    }

    fn n1_error(n1: Option<Bytes>, detail: impl std::fmt::Display) -> Self {
        let problem = ProblemDetails::new(403, "N1_SM_ERROR").with_detail(detail);
        Self { problem: Box::new(problem), n1 }
    }

    /// A refusal with a reject for the UE.
    pub fn with_reject(id: u8, pti: u8, refusal: Refusal) -> Self {
        let (status, cause) = refusal.problem();
        let n1 = message::establishment_reject(id, pti, refusal).ok();
        let problem = ProblemDetails::new(status, cause).with_detail(refusal);
        Self { problem: Box::new(problem), n1 }
    }
}

/// Reads a request for `reference`; `exists` tells whether the UE has this session already.
pub fn read(
    config: &Config,
    operation: PostSmContexts,
    reference: SmContextRef,
    exists: impl FnOnce(&Supi, PduSessionId) -> bool,
) -> Result<PduSession, Refused> {
    let data = operation.data;
    let supi = data.supi.clone().ok_or_else(|| Refused::missing("supi"))?;
    let id = data.pdu_session_id.ok_or_else(|| Refused::missing("pduSessionId"))?;
    let named = data.selected_dnn.as_ref().or(data.dnn.as_ref()).ok_or_else(|| Refused::missing("dnn"))?;
    let snssai = data.s_nssai.ok_or_else(|| Refused::missing("sNssai"))?;
    let status = Location::parse(&data.sm_context_status_uri).ok_or_else(|| Refused {
        problem: Box::new(ProblemDetails::invalid(
            cause::MANDATORY_IE_INCORRECT,
            "smContextStatusUri",
            "no absolute URI",
        )),
        n1: None,
    })?;
    let octets = operation.n1_sm_msg.ok_or_else(|| Refused::missing("n1SmMsg"))?;
    let request = request(id, &octets)?;
    let plmn = data.serving_network.plmn_id;
    let dnn = network_identifier(named, plmn);
    let exists = exists(&supi, id);
    check(config, &data, &request, &dnn, snssai, exists)
        .map_err(|r| Refused::with_reject(id.get(), request.pti, r))?;
    Ok(PduSession {
        reference,
        supi,
        pei: data.pei,
        id,
        dnn,
        snssai,
        serving_network: plmn,
        guami: data.guami,
        amf: data.serving_nf_id,
        status,
        request,
        granted: None,
        user_plane: None,
        policy: None,
        policy_rules: None,
        rule_reports: None,
        refused: Vec::new(),
        data_subscription: None,
        refresh: None,
        unused: true,
        registered: false,
        usage: Usage::default(),
        router: Router::default(),
        unfinished: None,
    })
}

/// The UE's request in the N1 part (TS 24.501 §7.3 and §7.5 on what is wrong with it).
fn request(id: PduSessionId, octets: &[u8]) -> Result<UeRequest, Refused> {
    let uplink = message::read(octets).map_err(|error| {
        let n1 = match &error {
            DecodeError::Syntax { answer, .. } => answer.clone(),
            _ => None,
        };
        Refused::n1_error(n1, error)
    })?;
    let Content::EstablishmentRequest(request) = uplink.content else {
        let n1 = message::status(uplink.id, uplink.pti, GsmCause::MessageTypeNotCompatible).ok();
        return Err(Refused::n1_error(n1, "not a PDU SESSION ESTABLISHMENT REQUEST"));
    };
    let reject = |cause| Refused::with_reject(uplink.id, uplink.pti, Refusal::InvalidRequest(cause));
    if uplink.pti == 0 {
        return Err(reject(GsmCause::InvalidPtiValue));
    }
    if uplink.id != id.get() {
        return Err(reject(GsmCause::InvalidPduSessionIdentity));
    }
    Ok(request)
}

fn check(
    config: &Config,
    data: &SmContextCreateData,
    request: &UeRequest,
    dnn: &Dnn,
    snssai: Snssai,
    exists: bool,
) -> Result<(), Refusal> {
    match data.request_type {
        Some(RequestType::InitialEmergencyRequest | RequestType::ExistingEmergencyPduSession) => {
            return Err(Refusal::Emergency);
        }
        // No session comes from another access or from EPS.
        Some(RequestType::ExistingPduSession) if !exists => {
            return Err(Refusal::InvalidRequest(GsmCause::PduSessionDoesNotExist));
        }
        _ => {}
    }
    if !config.data_networks.iter().any(|network| network.dnn == *dnn) {
        return Err(Refusal::DnnNotSupported);
    }
    if !config.data_networks.iter().any(|network| network.dnn == *dnn && network.snssai == snssai) {
        return Err(Refusal::DnnNotSupportedInSlice);
    }
    if request.ssc_mode.is_some_and(|mode| mode != 1) {
        return Err(Refusal::SscMode);
    }
    Ok(())
}
