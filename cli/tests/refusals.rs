//! Who is not to be served gets the answer that the specifications give, and the operator a line.

use anyhow::{Result, bail, ensure};
use tern_nas::nas_5gs::{
    Nas5gmmMessage, Nas5gsMessage, NasFGsRegistrationType, NasRegistrationRequest, NasUeSecurityCapability,
    RegistrationType,
};
use tern_nas::{MobileIdentity, Suci, registration};
use tern_ngap::convert;
use tern_ngap::ngap::*;
use tern_ngap::{NGAP_PDU, build_ngap, extract_ngap_ies};
use tern_sctp::{Association, Event};
use tern_tests::core::{K, OPC};
use tern_types::{PlmnId, Snssai, Tai};
use ue_ransim::ue::{Misdeed, Moment, Trick};
use ue_ransim::{Config, SimError};

use crate::world::{World, clean, isolated};

/// A key that is not the subscriber's.
const OTHER_K: &str = "00112233445566778899aabbccddeeff";
/// A subscriber whose only slice the core does not serve.
const OTHER_SLICE: &str = "imsi-001010000000777";
/// Nobody.
const UNKNOWN: &str = "imsi-001010000000999";

#[test]
fn when_a_ue_is_not_to_be_served_then_it_hears_why() {
    isolated("refusals::when_a_ue_is_not_to_be_served_then_it_hears_why", ues);
}

#[test]
fn when_a_gnb_is_of_no_served_area_then_ng_setup_fails() {
    isolated("refusals::when_a_gnb_is_of_no_served_area_then_ng_setup_fails", gnbs);
}

async fn ues() -> Result<()> {
    let mut world = World::start("").await?;
    world.add_subscribers(1).await?;
    world.tern(&["subscriber", "add", OTHER_SLICE, "--k", K, "--opc", OPC, "--slice", "7"]).await?;

    // TS 24.501 §5.4.1.3.5, seen by the network: RES* is wrong.
    let mut wrong = world.config(1);
    wrong.ues[0].tricks = vec![Trick { at: Moment::AuthenticationResponse, what: Misdeed::WrongRes }];
    refused(&mut world, wrong, "AUTHENTICATION REJECT", 3).await?;
    world.logged(&["[amf]", "WARN", "authentication failed", "HRES* is not HXRES*"]).await?;
    world.logged(&["[amf]", "WARN", "AUTHENTICATION REJECT"]).await?;

    // TS 24.501 §5.4.1.3.7 c, seen by the UE first: the network does not know its key.
    let mut wrong = world.config(1);
    OTHER_K.clone_into(&mut wrong.ues[0].k);
    refused(&mut world, wrong, "AUTHENTICATION REJECT", 3).await?;
    world.logged(&["[amf]", "WARN", "authentication failed", "MAC"]).await?;

    // TS 24.501 §5.5.1.2.5: illegal UE.
    let mut unknown = world.config(1);
    unknown.ues[0].supi = UNKNOWN.parse()?;
    refused(&mut world, unknown, "REGISTRATION REJECT", 3).await?;
    world.logged(&["[amf]", "WARN", "REGISTRATION REJECT", "cause=3"]).await?;

    // TS 24.501 §5.5.1.2.5: no network slices available.
    let mut slice = world.config(1);
    slice.ues[0].supi = OTHER_SLICE.parse()?;
    refused(&mut world, slice, "REGISTRATION REJECT", 62).await?;
    world.logged(&["[amf]", "WARN", "REGISTRATION REJECT", "cause=62", OTHER_SLICE]).await?;

    // TS 24.501 §5.5.1.2.5: no suitable cells in tracking area.
    ensure!(cause_in_tracking_area(&mut world, "000009").await? == 15);
    world.logged(&["[amf]", "WARN", "REGISTRATION REJECT", "cause=15"]).await?;

    world.serves().await?;
    world.finish().await
}

/// Registers the only UE of `config`, which must be refused so.
async fn refused(world: &mut World, config: Config, by: &str, with: u8) -> Result<()> {
    let wrong_key = config.ues[0].k == OTHER_K;
    let mut rig = world.rig(config).await?;
    let mut ue = rig.ue(0)?;
    match ue.register().await {
        Err(SimError::Rejected { message, cause, .. }) if message == by && cause == with => {}
        other => bail!("{by} with #{with} was expected for {}: {other:?}", ue.supi()),
    }
    rig.stop().await;
    // To a UE with another key, the network's MAC is wrong: that is no fault of the core's.
    if wrong_key { Ok(()) } else { clean(&rig) }
}

async fn gnbs() -> Result<()> {
    let mut world = World::start("").await?;
    world.add_subscribers(1).await?;
    let plmn = Config { plmn: PlmnId::new("999", "70")?, ..world.config(1) };
    let tac = Config { tac: "000077".parse()?, ..world.config(1) };
    let slice = Config { slices: vec![Snssai::new(9, None)], ..world.config(1) };
    // TS 38.413 §8.7.1.3; §9.3.1.2 for the causes.
    for (config, cause) in [
        (plmn, "misc: unknown PLMN or SNPN"),
        (tac, "misc: unknown PLMN or SNPN"),
        (slice, "slice not supported"),
    ] {
        let gnb = ue_ransim::gnb_config(&config, 0)?;
        let sim = world.rig(config.clone()).await?;
        ensure!(sim.gnbs.is_empty(), "{gnb:?} was set up");
        let errors = sim.journal.report(0, 0, 0).errors.join("\n");
        ensure!(errors.contains("NG SETUP FAILURE") && errors.contains(cause), "{cause}: {errors}");
        world.logged(&["[n2]", "WARN", "NG setup refused", cause]).await?;
        clean(&sim)?;
    }
    world.serves().await?;
    world.finish().await
}

/// A gNB of the served tracking area reports a UE in another one: the cause of the reject.
async fn cause_in_tracking_area(world: &mut World, tac: &str) -> Result<u8> {
    let config = world.config(1);
    let gnb = ue_ransim::gnb_config(&config, 0)?;
    let sctp = world.sim_env().sctp;
    let mut association = sctp.connect(gnb.connect_options()).await?;
    let slices = SliceSupportList(vec![SliceSupportItem::new(convert::snssai(gnb.slices[0]), None)]);
    let plmns = BroadcastPLMNList(vec![BroadcastPLMNItem::new(convert::plmn(gnb.plmn), slices, None)]);
    let areas = SupportedTAList(vec![SupportedTAItem::new(TAC(gnb.tac.to_octets()), plmns, None)]);
    let setup = build_ngap!(
        InitiatingMessage,
        NGSetup,
        NGSetupRequest,
        GlobalRANNodeID(convert::global_gnb_id(tern_types::GlobalGnbId {
            plmn_id: gnb.plmn,
            gnb_id: gnb.id
        })),
        SupportedTAList(areas),
        DefaultPagingDRX(PagingDRX::v128),
    )?;
    association.send(tern_ngap::encode(&setup)?, 0, tern_ngap::PPID, false).await?;
    next_message(&mut association).await?;
    let tai = Tai { plmn_id: gnb.plmn, tac: tac.parse()? };
    let location = convert::NrLocation { tai, ..gnb.location() };
    let suci = Suci {
        plmn_id: gnb.plmn,
        routing_indicator: "0".into(),
        scheme: 0,
        key_id: 0,
        scheme_output: vec![0, 0, 0, 0, 0x10],
    };
    let request = NasRegistrationRequest::new(
        NasFGsRegistrationType::from_registration_type(RegistrationType::InitialRegistration),
        registration::ngksi(None),
        MobileIdentity::Suci(suci).to_ie()?,
    )
    .with_ue_security_capability(NasUeSecurityCapability::new(vec![0xf0, 0x70]));
    let initial = build_ngap!(
        InitiatingMessage,
        InitialUEMessage,
        InitialUEMessage,
        RAN_UE_NGAP_ID(1u32),
        NAS_PDU(Nas5gsMessage::new_5gmm(request).encode()?),
        UserLocationInformation(convert::user_location(location)),
        RRCEstablishmentCause(RRCEstablishmentCause::mo_Signalling),
        UEContextRequest(UEContextRequest::requested),
    )?;
    association.send(tern_ngap::encode(&initial)?, 1, tern_ngap::PPID, false).await?;
    let answer = next_message(&mut association).await?;
    extract_ngap_ies!(&answer, DownlinkNASTransport,
        req nas: Vec<u8> = NAS_PDU(nas) => nas.0.to_vec(),
    );
    match Nas5gsMessage::decode(&nas)? {
        Nas5gsMessage::Gmm(_, Nas5gmmMessage::RegistrationReject(reject)) => Ok(reject.fgmm_cause.value),
        other => bail!("REGISTRATION REJECT was expected: {other:?}"),
    }
}

async fn next_message(association: &mut Association) -> Result<NGAP_PDU> {
    loop {
        match association.recv().await {
            Event::Message(message) => return Ok(tern_ngap::decode(&message.data)?),
            Event::Lost(why) => bail!("the AMF ended the association: {why}"),
            _ => {}
        }
    }
}
