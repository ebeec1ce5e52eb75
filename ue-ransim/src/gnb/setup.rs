//! NG Setup (TS 38.413 §8.7.1), and RAN Configuration Update (§8.7.2).

use std::fmt;

use tern_ngap::ngap::*;
use tern_ngap::{NgapPduKind, build_ngap, cause, convert, extract_ngap_ies};
use tern_sctp::{AssociationReceiver, AssociationSender, Event};
use tern_types::{Guami, PlmnId, Snssai};

use super::{ANSWER_TIME, Gnb, GnbConfig};
use crate::error::SimError;
use crate::report::Journal;

/// What an AMF says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServedAmf {
    /// AMF name.
    pub name: String,
    /// Served GUAMIs.
    pub guamis: Vec<Guami>,
    /// Supported PLMNs and their slices.
    pub plmns: Vec<(PlmnId, Vec<Snssai>)>,
    /// Relative capacity, 0 to 255.
    pub capacity: u8,
}

/// Sends NG SETUP REQUEST and reads the answer.
pub(super) async fn set_up(
    config: &GnbConfig,
    sender: &AssociationSender,
    receiver: &mut AssociationReceiver,
    journal: &Journal,
) -> Result<ServedAmf, SimError> {
    let octets = tern_ngap::encode(&request(config)?)?;
    sender.send(octets, 0, tern_ngap::PPID, false).await?;
    let answer = tokio::time::timeout(ANSWER_TIME, async {
        loop {
            match receiver.recv().await {
                Event::Message(message) => return Ok(message),
                Event::Lost(cause) => return Err(SimError::GnbLost(cause.to_string())),
                _ => {}
            }
        }
    });
    let timeout = SimError::Timeout { waiting_for: "NG SETUP RESPONSE", timer: "10 s" };
    let message = answer.await.map_err(|_| timeout)??;
    let who = &config.name;
    if message.stream != 0 {
        journal.failure(who, "TS 38.412 §7", "NG SETUP's answer is not on stream 0, where it was asked");
    }
    let refused = |error: tern_ngap::DecodeError| {
        journal.failure(who, "TS 38.413 §9.4", &error);
        SimError::NgSetup { cause: error.to_string(), wait_s: None }
    };
    let pdu = tern_ngap::decode(&message.data).map_err(refused)?;
    super::procedures::check(who, journal, &pdu, message.ppid);
    match pdu.kind() {
        NgapPduKind::Successful_NGSetup => {
            let amf = read_response(&pdu).map_err(refused)?;
            check_response(config, journal, &amf);
            Ok(amf)
        }
        NgapPduKind::Unsuccessful_NGSetup => Err(read_failure(&pdu).unwrap_or_else(refused)),
        kind => {
            journal.failure(who, "TS 38.413 §8.7.1", format_args!("{kind:?} before NG Setup is done"));
            Err(SimError::NgSetup { cause: "another message".into(), wait_s: None })
        }
    }
}

fn supported(config: &GnbConfig) -> SupportedTAList {
    let slice = |&slice: &Snssai| SliceSupportItem::new(convert::snssai(slice), None);
    let slices = SliceSupportList(config.slices.iter().map(slice).collect());
    let plmn = BroadcastPLMNItem::new(convert::plmn(config.plmn), slices, None);
    let area = SupportedTAItem::new(TAC(config.tac.to_octets()), BroadcastPLMNList(vec![plmn]), None);
    SupportedTAList(vec![area])
}

fn request(config: &GnbConfig) -> Result<NGAP_PDU, tern_ngap::CodecError> {
    build_ngap!(
        InitiatingMessage,
        NGSetup,
        NGSetupRequest,
        GlobalRANNodeID(convert::global_gnb_id(config.global_id())),
        RANNodeName(config.name.as_str()),
        SupportedTAList(supported(config)),
        DefaultPagingDRX(PagingDRX::v128),
    )
}

fn read_response(pdu: &NGAP_PDU) -> Result<ServedAmf, tern_ngap::DecodeError> {
    extract_ngap_ies!(pdu, NGSetupResponse,
        req name: String = AMFName(name) => name.0.into_owned(),
        req guamis: ServedGUAMIList = ServedGUAMIList(list) => list,
        req capacity: RelativeAMFCapacity = RelativeAMFCapacity(capacity) => capacity,
        req plmns: PLMNSupportList = PLMNSupportList(list) => list,
    );
    Ok(ServedAmf {
        name,
        guamis: self::guamis(&guamis)?,
        plmns: self::plmns(&plmns)?,
        capacity: capacity.0 as u8,
    })
}

/// Served GUAMI List.
pub(super) fn guamis(list: &ServedGUAMIList) -> Result<Vec<Guami>, tern_ngap::DecodeError> {
    list.0.iter().map(|item| convert::guami_of(&item.guami)).collect()
}

/// PLMN Support List.
pub(super) fn plmns(list: &PLMNSupportList) -> Result<Vec<(PlmnId, Vec<Snssai>)>, tern_ngap::DecodeError> {
    let supported = |item: &PLMNSupportItem| {
        let slices = item.slice_support_list.0.iter().map(|s| convert::snssai_of(&s.s_nssai)).collect();
        Ok((convert::plmn_id(&item.plmn_identity)?, slices))
    };
    list.0.iter().map(supported).collect()
}

fn check_response(config: &GnbConfig, journal: &Journal, amf: &ServedAmf) {
    let fail = |what: &dyn fmt::Display| journal.failure(&config.name, "TS 38.413 §8.7.1.2", what);
    let ours = amf.plmns.iter().find(|(plmn, _)| *plmn == config.plmn);
    match ours {
        None => fail(&format_args!("the AMF took a gNB of {}, which it does not support", config.plmn)),
        Some((_, slices)) if !config.slices.iter().any(|slice| slices.contains(slice)) => {
            fail(&"the AMF took a gNB without any slice in common");
        }
        Some(_) => {}
    }
    if !amf.guamis.iter().any(|guami| guami.plmn_id == config.plmn) {
        fail(&format_args!("the AMF serves no GUAMI of {}", config.plmn));
    }
}

fn read_failure(pdu: &NGAP_PDU) -> Result<SimError, tern_ngap::DecodeError> {
    extract_ngap_ies!(pdu, NGSetupFailure,
        req cause: Cause = Cause(cause) => cause,
        opt wait: TimeToWait = TimeToWait(wait) => wait,
    );
    let wait_s = wait.map(|wait| match wait {
        TimeToWait::v1s => 1,
        TimeToWait::v2s => 2,
        TimeToWait::v5s => 5,
        TimeToWait::v10s => 10,
        TimeToWait::v20s => 20,
        _ => 60,
    });
    Ok(SimError::NgSetup { cause: cause::describe(&cause), wait_s })
}

impl Gnb {
    /// Tells the AMF its tracking area again, with these slices: RAN CONFIGURATION UPDATE
    /// (TS 38.413 §8.7.2). The answer is checked when it comes.
    pub async fn update_slices(&self, slices: Vec<Snssai>) -> Result<(), SimError> {
        let config = GnbConfig { slices, ..self.config().clone() };
        let pdu = build_ngap!(
            InitiatingMessage,
            RANConfigurationUpdate,
            RANConfigurationUpdate,
            SupportedTAList(supported(&config)),
        )?;
        self.send(&pdu, 0).await
    }
}
