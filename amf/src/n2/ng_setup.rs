//! NG Setup: TS 38.413 §8.7.1.

use tern_ngap::ngap::{
    AMFName, Cause, CauseMisc, CauseProtocol, CauseRadioNetwork, CriticalityDiagnostics, GlobalRANNodeID,
    NGAP_PDU, PLMNSupportItem, PLMNSupportList, PagingDRX, RATInformation, RelativeAMFCapacity,
    ServedGUAMIItem, ServedGUAMIList, SliceSupportItem, SliceSupportList, SupportedTAList, TimeToWait,
    UERetentionInformation,
};
use tern_ngap::{DecodeError, Verdict, build_ngap, build_ngap_ie, cause, convert, extract_ngap_ies, judge};
use tern_types::{GlobalGnbId, Tac};

use super::message::{GnbId, GnbInfo, N2Event, ResetScope, ServedAmf, SupportedPlmn, SupportedTa};
use super::termination::{NON_UE_STREAM, State, Termination};

/// id-RAT-Information.
const RAT_INFORMATION: u16 = 179;
/// Default Paging DRX where the gNB gives none that can be read: TS 38.413 §9.3.1.90.
const PAGING_DRX_DEFAULT: u16 = 128;

struct Request {
    global: GlobalGnbId,
    name: Option<String>,
    supported_tas: Vec<SupportedTa>,
    default_paging_drx: u16,
    ues_retained: bool,
    serves_a_rat: bool,
}

/// NG SETUP REQUEST, at any time in an association's life.
pub(super) fn on_ng_setup_request(n2: &mut Termination, from: GnbId, pdu: &NGAP_PDU) {
    let notify = match judge(pdu) {
        Ok(Verdict::Accept | Verdict::Ignore) => None,
        Ok(Verdict::Notify(fault)) => Some(fault.response),
        Ok(Verdict::Reject(fault)) => {
            let why = fault.deviations.join("; ");
            return refuse(n2, from, cause::protocol(fault.cause), Some(fault.response), None, &why);
        }
        Err(error) => {
            let cause = cause::protocol(CauseProtocol::transfer_syntax_error);
            return refuse(n2, from, cause, None, None, &error.to_string());
        }
    };
    let request = match read(pdu) {
        Ok(request) => request,
        Err(error) => {
            let cause = cause::protocol(CauseProtocol::semantic_error);
            return refuse(n2, from, cause, None, None, &error.to_string());
        }
    };
    if let Err((cause, wait, why)) = admit(n2, from, &request) {
        return refuse(n2, from, cause, None, wait, &format!("{}: {why}", request.global));
    }
    accept(n2, from, request, notify);
}

/// Whether a gNB's tracking areas meet those of the AMF; the cause and the reason if not.
pub(super) fn check_areas(served: &ServedAmf, areas: &[SupportedTa]) -> Result<(), (Cause, &'static str)> {
    let unknown = |why| Err((cause::misc(CauseMisc::unknown_PLMN_or_SNPN), why));
    let broadcast = || areas.iter().flat_map(|area| area.plmns.iter().map(move |plmn| (area.tac, plmn)));
    if !broadcast().any(|(_, plmn)| served.plmns.iter().any(|known| known.plmn == plmn.plmn)) {
        return unknown("no broadcast PLMN is served");
    }
    let is_served =
        |tac: Tac, plmn: &SupportedPlmn| served.tais.iter().any(|t| t.tac == tac && t.plmn_id == plmn.plmn);
    if !broadcast().any(|(tac, plmn)| is_served(tac, plmn)) {
        return unknown("no tracking area is served");
    }
    let sliced = broadcast().filter(|(tac, plmn)| is_served(*tac, plmn)).any(|(_, plmn)| {
        let ours = served.plmns.iter().filter(|known| known.plmn == plmn.plmn);
        ours.flat_map(|known| &known.slices).any(|slice| plmn.slices.contains(slice))
    });
    if sliced {
        return Ok(());
    }
    Err((cause::radio_network(CauseRadioNetwork::slice_not_supported), "no slice is served"))
}

/// Reads a Supported TA List (§9.2.6.1), up to a number of tracking areas.
pub(super) fn supported_tas(list: &SupportedTAList, most: usize) -> Result<Vec<SupportedTa>, DecodeError> {
    let area = |item: &tern_ngap::ngap::SupportedTAItem| {
        let plmns = item.broadcast_plmn_list.0.iter().map(|plmn| {
            let slices = &plmn.tai_slice_support_list.0;
            Ok(SupportedPlmn {
                plmn: convert::plmn_id(&plmn.plmn_identity)?,
                slices: slices.iter().map(|slice| convert::snssai_of(&slice.s_nssai)).collect(),
            })
        });
        let plmns = plmns.collect::<Result<_, DecodeError>>()?;
        Ok(SupportedTa { tac: Tac::from_octets(item.tac.0), plmns })
    };
    list.0.iter().take(most).map(area).collect()
}

/// Whether the AMF serves the RAT of any of a gNB's tracking areas (RAT Information, §8.7.1.4): NR, also in
/// unlicensed bands, and neither NB-IoT nor satellites.
pub(super) fn serves_a_rat(list: &SupportedTAList) -> bool {
    list.0.iter().any(|item| {
        let extensions = item.ie_extensions.iter().flat_map(|extensions| &extensions.0);
        let rat = extensions.filter(|extension| extension.id.0 == RAT_INFORMATION).find_map(|extension| {
            tern_ngap::ngap::decode_open_type::<RATInformation>(&extension.extension_value).ok()
        });
        rat.is_none_or(|rat| rat == RATInformation::unlicensed)
    })
}

/// Default Paging DRX in radio frames.
pub(super) fn paging_drx(drx: Option<PagingDRX>) -> u16 {
    match drx {
        Some(PagingDRX::v32) => 32,
        Some(PagingDRX::v64) => 64,
        Some(PagingDRX::v256) => 256,
        _ => PAGING_DRX_DEFAULT,
    }
}

fn read(pdu: &NGAP_PDU) -> Result<Request, DecodeError> {
    extract_ngap_ies!(pdu, NGSetupRequest,
        req global: GlobalRANNodeID = GlobalRANNodeID(id) => id,
        lax name: String = RANNodeName(name) => name.0.into_owned(),
        req areas: SupportedTAList = SupportedTAList(areas) => areas,
        lax drx: PagingDRX = DefaultPagingDRX(drx) => drx,
        lax retained: UERetentionInformation = UERetentionInformation(retained) => retained,
    );
    Ok(Request {
        global: convert::global_gnb_id_of(&global)?,
        name,
        supported_tas: supported_tas(&areas, usize::MAX)?,
        default_paging_drx: paging_drx(drx),
        serves_a_rat: serves_a_rat(&areas),
        ues_retained: retained == Some(UERetentionInformation::ues_retained),
    })
}

/// Cause, Time To Wait and the reason in words, of a gNB that is refused.
type Refusal = (Cause, Option<TimeToWait>, &'static str);

fn admit(n2: &Termination, from: GnbId, request: &Request) -> Result<(), Refusal> {
    let overload = cause::misc(CauseMisc::control_processing_overload);
    let Some(served) = &n2.served else {
        return Err((overload, Some(TimeToWait::v5s), "no AMF is there yet"));
    };
    check_areas(served, &request.supported_tas).map_err(|(cause, why)| (cause, None, why))?;
    if !request.serves_a_rat {
        return Err((cause::misc(CauseMisc::unspecified), None, "no RAT of it is served"));
    }
    if request.supported_tas.len() > n2.limits.tracking_areas {
        return Err((overload, None, "too many tracking areas"));
    }
    let known = n2.gnb(from).is_some() || n2.by_global.contains_key(&request.global);
    if !known && n2.gnbs().count() >= n2.limits.gnbs {
        return Err((overload, Some(TimeToWait::v60s), "too many gNBs"));
    }
    Ok(())
}

fn accept(n2: &mut Termination, from: GnbId, request: Request, notify: Option<CriticalityDiagnostics>) {
    let Some(served) = n2.served.clone() else { return };
    let Some(peer) = n2.associations.get(&from).map(|association| association.peer) else { return };
    // The same gNB on a new association: the old one is dead, it only does not know yet.
    if let Some(old) = n2.by_global.get(&request.global).copied().filter(|old| *old != from) {
        n2.count("n2.gnb_replaced");
        n2.abort(old, "the gNB has come on a new association");
    }
    // §8.7.1.1: a further NG SETUP erases the UE contexts, unless the gNB retained them.
    let again = n2.gnb(from).map(|gnb| gnb.global);
    if again.is_some_and(|global| global != request.global) {
        n2.take_down(from);
    } else if again.is_some() && !request.ues_retained {
        n2.tell(N2Event::Reset { gnb: from, ues: ResetScope::All });
    }
    let gnb = GnbInfo {
        id: from,
        global: request.global,
        name: request.name,
        supported_tas: request.supported_tas,
        default_paging_drx: request.default_paging_drx,
        peer: Some(peer),
    };
    let areas = gnb.supported_tas.len();
    tracing::info!(gnb = %gnb.global, name = gnb.name.as_deref().unwrap_or(""), %peer, areas, "gNB up");
    n2.by_global.insert(gnb.global, from);
    if let Some(association) = n2.associations.get_mut(&from) {
        association.state = State::Up(gnb.clone());
    }
    let response = response(&served, notify, request.ues_retained);
    n2.send(from, NON_UE_STREAM, response);
    n2.count("n2.gnb_up");
    n2.tell(N2Event::GnbUp(gnb));
}

fn refuse(
    n2: &mut Termination,
    from: GnbId,
    cause: Cause,
    diagnostics: Option<CriticalityDiagnostics>,
    wait: Option<TimeToWait>,
    why: &str,
) {
    let described = cause::describe(&cause);
    tracing::warn!(gnb = %n2.who(from), cause = described, why, "NG setup refused");
    n2.count("n2.ng_setup_refused");
    n2.send(from, NON_UE_STREAM, failure(cause, diagnostics, wait));
}

fn response(
    served: &ServedAmf,
    notify: Option<CriticalityDiagnostics>,
    ues_retained: bool,
) -> Result<NGAP_PDU, tern_ngap::CodecError> {
    let mut pdu = build_ngap!(
        SuccessfulOutcome,
        NGSetup,
        NGSetupResponse,
        AMFName(AMFName(served.name.clone().into())),
        ServedGUAMIList(guami_list(served)),
        RelativeAMFCapacity(RelativeAMFCapacity(served.relative_capacity)),
        PLMNSupportList(plmn_list(served)),
    )?;
    let mut ies = pdu.protocol_ies()?.into_owned();
    if let Some(diagnostics) = notify {
        ies.0.push(build_ngap_ie!(NGSetupResponse, CriticalityDiagnostics(diagnostics))?);
    }
    if ues_retained {
        let retained = UERetentionInformation::ues_retained;
        ies.0.push(build_ngap_ie!(NGSetupResponse, UERetentionInformation(retained))?);
    }
    pdu.set_protocol_ies(ies)?;
    Ok(pdu)
}

fn failure(
    cause: Cause,
    diagnostics: Option<CriticalityDiagnostics>,
    wait: Option<TimeToWait>,
) -> Result<NGAP_PDU, tern_ngap::CodecError> {
    let mut pdu = build_ngap!(UnsuccessfulOutcome, NGSetup, NGSetupFailure, Cause(cause),)?;
    let mut ies = pdu.protocol_ies()?.into_owned();
    if let Some(wait) = wait {
        ies.0.push(build_ngap_ie!(NGSetupFailure, TimeToWait(wait))?);
    }
    if let Some(diagnostics) = diagnostics {
        ies.0.push(build_ngap_ie!(NGSetupFailure, CriticalityDiagnostics(diagnostics))?);
    }
    pdu.set_protocol_ies(ies)?;
    Ok(pdu)
}

/// Served GUAMI List.
pub(super) fn guami_list(served: &ServedAmf) -> ServedGUAMIList<'static> {
    let guamis = served.guamis.iter().map(|guami| ServedGUAMIItem::new(convert::guami(*guami), None, None));
    ServedGUAMIList(guamis.collect())
}

/// PLMN Support List.
pub(super) fn plmn_list(served: &ServedAmf) -> PLMNSupportList {
    let item = |plmn: &SupportedPlmn| {
        let slices = plmn.slices.iter();
        let slices = slices.map(|slice| SliceSupportItem::new(convert::snssai(*slice), None)).collect();
        PLMNSupportItem::new(convert::plmn(plmn.plmn), SliceSupportList(slices), None)
    };
    PLMNSupportList(served.plmns.iter().map(item).collect())
}
