//! RAN Configuration Update: TS 38.413 §8.7.2.

use tern_ngap::ngap::{
    Cause, CauseMisc, CauseProtocol, CriticalityDiagnostics, GlobalRANNodeID, NGAP_PDU, PagingDRX,
    SupportedTAList,
};
use tern_ngap::{
    CodecError, DecodeError, Verdict, build_ngap, build_ngap_ie, cause, convert, extract_ngap_ies, judge,
};
use tern_types::GlobalGnbId;

use super::message::{GnbId, N2Event, SupportedTa};
use super::ng_setup::{check_areas, paging_drx, serves_a_rat, supported_tas};
use super::termination::{NON_UE_STREAM, State, Termination};

struct Update {
    global: Option<GlobalGnbId>,
    name: Option<String>,
    supported_tas: Option<Vec<SupportedTa>>,
    default_paging_drx: Option<u16>,
    serves_a_rat: bool,
}

/// RAN CONFIGURATION UPDATE.
pub(super) fn on_update(n2: &mut Termination, from: GnbId, pdu: &NGAP_PDU) {
    let notify = match judge(pdu) {
        Ok(Verdict::Accept | Verdict::Ignore) => None,
        Ok(Verdict::Notify(fault)) => Some(fault.response),
        Ok(Verdict::Reject(fault)) => {
            let why = fault.deviations.join("; ");
            return refuse(n2, from, cause::protocol(fault.cause), Some(fault.response), &why);
        }
        Err(error) => {
            let cause = cause::protocol(CauseProtocol::transfer_syntax_error);
            return refuse(n2, from, cause, None, &error.to_string());
        }
    };
    let Some(gnb) = n2.gnb(from).cloned() else {
        let cause = cause::protocol(CauseProtocol::message_not_compatible_with_receiver_state);
        return refuse(n2, from, cause, None, "NG is not set up");
    };
    let update = match read(pdu, n2.limits.tracking_areas) {
        Ok(update) => update,
        Err(error) => {
            let cause = cause::protocol(CauseProtocol::semantic_error);
            return refuse(n2, from, cause, None, &error.to_string());
        }
    };
    if update.global.is_some_and(|global| global != gnb.global) {
        let cause = cause::protocol(CauseProtocol::semantic_error);
        return refuse(n2, from, cause, None, "another Global RAN Node ID");
    }
    if let (Some(served), Some(areas)) = (&n2.served, &update.supported_tas)
        && let Err((cause, why)) = check_areas(served, areas)
    {
        return refuse(n2, from, cause, None, why);
    }
    if !update.serves_a_rat {
        return refuse(n2, from, cause::misc(CauseMisc::unspecified), None, "no RAT of it is served");
    }
    let mut gnb = gnb;
    gnb.name = update.name.or(gnb.name);
    gnb.supported_tas = update.supported_tas.unwrap_or(gnb.supported_tas);
    gnb.default_paging_drx = update.default_paging_drx.unwrap_or(gnb.default_paging_drx);
    tracing::info!(gnb = %gnb.global, areas = gnb.supported_tas.len(), "gNB configuration updated");
    if let Some(association) = n2.associations.get_mut(&from) {
        association.state = State::Up(gnb.clone());
    }
    n2.send(from, NON_UE_STREAM, acknowledge(notify));
    n2.tell(N2Event::GnbUpdated(gnb));
}

fn read(pdu: &NGAP_PDU, areas_max: usize) -> Result<Update, DecodeError> {
    extract_ngap_ies!(pdu, RANConfigurationUpdate,
        lax name: String = RANNodeName(name) => name.0.into_owned(),
        opt areas: SupportedTAList = SupportedTAList(areas) => areas,
        lax drx: PagingDRX = DefaultPagingDRX(drx) => drx,
        lax global: GlobalRANNodeID = GlobalRANNodeID(id) => id,
    );
    Ok(Update {
        global: global.as_ref().map(convert::global_gnb_id_of).transpose()?,
        name,
        serves_a_rat: areas.as_ref().is_none_or(serves_a_rat),
        supported_tas: areas.as_ref().map(|areas| supported_tas(areas, areas_max)).transpose()?,
        default_paging_drx: drx.map(|drx| paging_drx(Some(drx))),
    })
}

fn refuse(
    n2: &mut Termination,
    from: GnbId,
    cause: Cause,
    diagnostics: Option<CriticalityDiagnostics>,
    why: &str,
) {
    let described = cause::describe(&cause);
    tracing::warn!(gnb = %n2.who(from), cause = described, why, "RAN configuration update refused");
    n2.count("n2.ran_configuration_refused");
    n2.send(from, NON_UE_STREAM, failure(cause, diagnostics));
}

fn acknowledge(notify: Option<CriticalityDiagnostics>) -> Result<NGAP_PDU, CodecError> {
    let Some(diagnostics) = notify else {
        return build_ngap!(SuccessfulOutcome, RANConfigurationUpdate, RANConfigurationUpdateAcknowledge,);
    };
    build_ngap!(
        SuccessfulOutcome,
        RANConfigurationUpdate,
        RANConfigurationUpdateAcknowledge,
        CriticalityDiagnostics(diagnostics),
    )
}

fn failure(cause: Cause, diagnostics: Option<CriticalityDiagnostics>) -> Result<NGAP_PDU, CodecError> {
    let mut pdu = build_ngap!(
        UnsuccessfulOutcome,
        RANConfigurationUpdate,
        RANConfigurationUpdateFailure,
        Cause(cause),
    )?;
    if let Some(diagnostics) = diagnostics {
        let mut ies = pdu.protocol_ies()?.into_owned();
        ies.0.push(build_ngap_ie!(RANConfigurationUpdateFailure, CriticalityDiagnostics(diagnostics))?);
        pdu.set_protocol_ies(ies)?;
    }
    Ok(pdu)
}
