//! A core of one file: AMF, SMF and UPF by script, right or wrong as a test wants it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tern_crypto::{
    AMF_5G, AuthenticationFunctions, AuthenticationVector, CipheringAlgorithm, IntegrityAlgorithm, Sqn,
    k_amf, k_seaf,
};
use tern_datagrams::{Datagrams as _, MemoryDatagrams};
use tern_nas::nas_5gs::{self, *};
use tern_nas::session::{self, PcoAnswer};
use tern_nas::{HeaderType, MobileIdentity, NasSecurityContext, NgKsi, Side, registration};
use tern_ngap::capability::SecurityCapability;
use tern_ngap::ngap::{self, *};
use tern_ngap::transfer::{GtpTunnel, QosFlow, SessionType, SetupRequest, SetupResponse};
use tern_ngap::{NgapPduKind, build_ngap, cause, convert, extract_ngap_ies};
use tern_sctp::mem::MemNetwork;
use tern_sctp::{Association, Event, ListenOptions, SctpBackend};
use tern_types::{
    Ambr, AmfId, Arp, BitRate, Dnn, Guami, Guti5g, PlmnId, PreemptionCapability, PreemptionVulnerability,
    Qfi, Snssai, Tac, Tai,
};

use crate::network::{Downlinks, upf};

pub const K: &str = "465b5ce8b199b49faa5f0a2ee238a6bc";
pub const OPC: &str = "cd63cb71954a9f4e48a5994e37a02baf";
pub const CORE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
pub const UPF: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9));

/// What the core does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wrong {
    KGnb,
    ReplayedCapability,
    NgapCapability,
    Nia0,
    NoT3512,
    OtherTai,
    UnaskedSlice,
    NssaiDiffers,
    PlainAccept,
    ReplayedNas,
    NoContextSetup,
    AmbrInContextSetup,
    StreamChanges,
    BadAutn,
    OwnKsi,
    Abba,
    TwoDefaultRules,
    NoFlowDescription,
    OtherQfi,
    NoPco,
    NoDnn,
    NoUeAmbr,
    NeverReleases,
    NeverAnswersSession,
    StaleSqn,
}

pub fn plmn() -> PlmnId {
    PlmnId::new("001", "01").unwrap()
}

fn guami() -> Guami {
    Guami { plmn_id: plmn(), amf_id: AmfId::new(1, 1, 0) }
}

pub fn slice() -> Snssai {
    Snssai::new(1, None)
}

pub struct Core {
    wrong: Option<Wrong>,
    association: Association,
    ues: BTreeMap<u64, Ue>,
    by_tmsi: BTreeMap<u32, NasSecurityContext>,
    sqn: Sqn,
    radio_capability: Vec<u8>,
    downlinks: Downlinks,
}

struct Ue {
    ran_id: u32,
    stream: u16,
    vector: Option<AuthenticationVector>,
    ksi: NgKsi,
    context: Option<NasSecurityContext>,
    capability: Vec<u8>,
    requested: Vec<Snssai>,
    k_gnb_count: u32,
    guti: Option<Guti5g>,
}

/// Starts a core for one gNB on this network.
pub fn start(network: &MemNetwork, n3: &MemoryDatagrams, wrong: Option<Wrong>) {
    let backend = network.endpoint(vec![CORE]);
    let mut listener = backend.listen(ListenOptions::new(vec![CORE], 38412)).unwrap();
    let downlinks: Downlinks = Arc::new(Mutex::default());
    let (n3, tunnels) = (n3.clone(), Arc::clone(&downlinks));
    tokio::spawn(async move {
        let endpoint = n3.bind(SocketAddr::new(UPF, 2152)).await.unwrap();
        upf(endpoint, tunnels, 1).await;
    });
    tokio::spawn(async move {
        while let Ok(association) = listener.accept().await {
            let (ues, by_tmsi) = (BTreeMap::new(), BTreeMap::new());
            let sqn = Sqn::new(32).unwrap();
            let downlinks = Arc::clone(&downlinks);
            let core =
                Core { wrong, association, ues, by_tmsi, sqn, radio_capability: Vec::new(), downlinks };
            tokio::spawn(core.serve());
        }
    });
}

fn protected(context: &mut NasSecurityContext, message: impl Into<Nas5gmmMessage>) -> Vec<u8> {
    context.protect(&plain(message), HeaderType::Ciphered).unwrap()
}

fn plain(message: impl Into<Nas5gmmMessage>) -> Vec<u8> {
    Nas5gsMessage::new_5gmm(message).encode().unwrap()
}

impl Core {
    fn is(&self, wrong: Wrong) -> bool {
        self.wrong == Some(wrong)
    }

    async fn serve(mut self) {
        while let Event::Message(message) = self.association.recv().await {
            let pdu = tern_ngap::decode(&message.data).unwrap();
            assert_eq!(pdu.check().unwrap(), [], "the simulator's own message");
            self.on(&pdu, message.stream).await.unwrap();
        }
    }

    async fn send(&self, pdu: Result<NGAP_PDU, tern_ngap::CodecError>, stream: u16) {
        let octets = tern_ngap::encode(&pdu.unwrap()).unwrap();
        self.association.send(octets, stream, tern_ngap::PPID, false).await.unwrap();
    }

    async fn on(&mut self, pdu: &NGAP_PDU, stream: u16) -> Result<(), tern_ngap::CodecError> {
        match pdu.kind() {
            NgapPduKind::Initiating_NGSetup => self.on_setup(stream).await,
            NgapPduKind::Initiating_InitialUEMessage => {
                extract_ngap_ies!(pdu, InitialUEMessage,
                    req ran_id: u32 = RAN_UE_NGAP_ID(id),
                    req nas: Vec<u8> = NAS_PDU(nas) => nas.0.to_vec(),
                );
                let id = self.ues.len() as u64 + 1;
                let ue = Ue {
                    ran_id,
                    stream,
                    vector: None,
                    ksi: NgKsi::new(0).unwrap(),
                    context: None,
                    capability: Vec::new(),
                    requested: Vec::new(),
                    k_gnb_count: 0,
                    guti: None,
                };
                self.ues.insert(id, ue);
                self.on_initial(id, &nas).await;
            }
            NgapPduKind::Initiating_UplinkNASTransport => {
                extract_ngap_ies!(pdu, UplinkNASTransport,
                    req id: u64 = AMF_UE_NGAP_ID(id),
                    req nas: Vec<u8> = NAS_PDU(nas) => nas.0.to_vec(),
                );
                self.on_nas(id, &nas).await;
            }
            NgapPduKind::Successful_PDUSessionResourceSetup => {
                extract_ngap_ies!(pdu, PDUSessionResourceSetupResponse,
                    req list: PDUSessionResourceSetupListSURes<'_> = PDUSessionResourceSetupListSURes(list) => list,
                );
                let transfer = &list.0[0].pdu_session_resource_setup_response_transfer;
                let downlink = SetupResponse::decode(transfer).unwrap().downlink;
                let to = SocketAddr::new(downlink.address().unwrap(), 2152);
                self.downlinks.lock().unwrap().insert(0x77, (downlink.teid, to));
            }
            NgapPduKind::Initiating_UEContextReleaseRequest => {
                extract_ngap_ies!(pdu, UEContextReleaseRequest, req id: u64 = AMF_UE_NGAP_ID(id));
                self.release(id).await;
            }
            NgapPduKind::Initiating_UERadioCapabilityInfoIndication => {
                extract_ngap_ies!(pdu, UERadioCapabilityInfoIndication,
                    req capability: Vec<u8> = UERadioCapability(c) => c.0.to_vec(),
                );
                self.radio_capability = capability;
            }
            NgapPduKind::Initiating_NGReset => {
                self.send(build_ngap!(SuccessfulOutcome, NGReset, NGResetAcknowledge,), stream).await;
            }
            _ => {}
        }
        Ok(())
    }

    async fn on_setup(&self, stream: u16) {
        let slices = SliceSupportList(vec![SliceSupportItem::new(convert::snssai(slice()), None)]);
        let pdu = build_ngap!(
            SuccessfulOutcome,
            NGSetup,
            NGSetupResponse,
            AMFName("fake"),
            ServedGUAMIList(ServedGUAMIList(vec![ServedGUAMIItem::new(convert::guami(guami()), None, None)])),
            RelativeAMFCapacity(ngap::RelativeAMFCapacity(255)),
            PLMNSupportList(PLMNSupportList(vec![PLMNSupportItem::new(convert::plmn(plmn()), slices, None)])),
        );
        self.send(pdu, stream).await;
    }

    async fn downlink(&self, id: u64, nas: Vec<u8>) {
        let ue = &self.ues[&id];
        let pdu = build_ngap!(
            InitiatingMessage,
            DownlinkNASTransport,
            DownlinkNASTransport,
            AMF_UE_NGAP_ID(id),
            RAN_UE_NGAP_ID(ue.ran_id),
            NAS_PDU(nas),
        );
        self.send(pdu, ue.stream).await;
    }

    async fn release(&self, id: u64) {
        let ue = &self.ues[&id];
        let pair = UENGAPIDPair::new(AMFUENGAPID(id), RANUENGAPID(ue.ran_id), None);
        let pdu = build_ngap!(
            InitiatingMessage,
            UEContextRelease,
            UEContextReleaseCommand,
            UE_NGAP_IDs(UENGAPIDs::uE_NGAP_ID_pair(pair)),
            Cause(cause::nas(CauseNas::normal_release)),
        );
        self.send(pdu, ue.stream).await;
    }

    async fn on_initial(&mut self, id: u64, nas: &[u8]) {
        let known = tern_nas::security::payload_unverified(nas).unwrap();
        let message = tern_nas::decode_gmm(known, nas_5gs::Direction::Uplink).unwrap();
        match message {
            Nas5gmmMessage::RegistrationRequest(request) => {
                self.on_registration(id, nas, &request).await;
            }
            Nas5gmmMessage::ServiceRequest(request) => {
                let MobileIdentity::STmsi(tmsi) = MobileIdentity::of(&request.fg_s_tmsi).unwrap() else {
                    panic!()
                };
                let Some(context) = self.by_tmsi.get_mut(&tmsi.tmsi) else {
                    let reject = NasServiceReject::new(NasFGmmCause::new(9));
                    return self.downlink(id, plain(reject)).await;
                };
                let read = context.unprotect(nas).unwrap();
                let context = context.clone();
                let ue = self.ues.get_mut(&id).unwrap();
                ue.k_gnb_count = read.count;
                ue.capability = vec![0xf0, 0x70];
                ue.guti = Some(Guti5g { guami: guami(), tmsi: tmsi.tmsi });
                ue.context = Some(context);
                self.context_setup(id, NasServiceAccept::new().into()).await;
            }
            other => panic!("{other:?}"),
        }
    }

    async fn on_registration(&mut self, id: u64, nas: &[u8], request: &NasRegistrationRequest) {
        let ue = self.ues.get_mut(&id).unwrap();
        ue.capability = request.ue_security_capability.as_ref().unwrap().value.to_vec();
        let identity = MobileIdentity::of(&request.fgs_mobile_identity).unwrap();
        let own = registration::ngksi_of(&request.ngksi);
        if let MobileIdentity::Guti(guti) = identity
            && let Some(context) = self.by_tmsi.get(&guti.tmsi)
            && !matches!(self.wrong, Some(Wrong::OwnKsi))
        {
            let mut context = context.clone();
            let read = context.unprotect(nas).unwrap();
            ue.k_gnb_count = read.count;
            let container = request.nas_message_container.as_ref().unwrap();
            let inner = context.decipher_container(read.count, &container.value);
            let Nas5gmmMessage::RegistrationRequest(inner) =
                tern_nas::decode_gmm(&inner, nas_5gs::Direction::Uplink).unwrap()
            else {
                panic!("no registration request inside");
            };
            ue.requested = inner.requested_nssai.as_ref().map(registration::nssai_of).unwrap_or_default();
            ue.context = Some(context);
            return self.accept(id).await;
        }
        let next = own.map_or(NgKsi::new(0).unwrap(), NgKsi::next);
        let ksi = if self.is(Wrong::OwnKsi) { own.unwrap_or(next) } else { next };
        self.challenge(id, ksi).await;
    }

    fn functions() -> AuthenticationFunctions {
        let octets = |text: &str| <[u8; 16]>::try_from(hex::decode(text).unwrap()).unwrap();
        AuthenticationFunctions::milenage(&octets(K), &octets(OPC))
    }

    async fn challenge(&mut self, id: u64, ksi: NgKsi) {
        if !self.is(Wrong::StaleSqn) {
            self.sqn = self.sqn.next().unwrap();
        }
        let network = plmn().serving_network_name();
        let rand = [id as u8; 16];
        let vector = AuthenticationVector::generate(&Self::functions(), self.sqn, AMF_5G, rand, &network);
        let mut autn = vector.autn.0;
        if self.is(Wrong::BadAutn) {
            autn[15] ^= 1;
        }
        let abba = if self.is(Wrong::Abba) { vec![0, 1] } else { vec![0, 0] };
        let request = NasAuthenticationRequest::new(registration::ngksi(Some(ksi)), NasAbba::new(abba))
            .with_authentication_parameter_rand(NasAuthenticationParameterRand::from_rand(rand))
            .with_authentication_parameter_autn(NasAuthenticationParameterAutn::from_autn(autn));
        let ue = self.ues.get_mut(&id).unwrap();
        (ue.vector, ue.ksi) = (Some(vector), ksi);
        self.downlink(id, plain(request)).await;
    }

    async fn on_nas(&mut self, id: u64, nas: &[u8]) {
        let Some(ue) = self.ues.get_mut(&id) else { return };
        let (octets, count) = match (HeaderType::of(nas), &mut ue.context) {
            (Some(HeaderType::Plain), _) => (nas.to_vec(), 0),
            (_, Some(context)) => match context.unprotect(nas) {
                Ok(read) => (read.plain, read.count),
                Err(_) => return,
            },
            _ => return,
        };
        let Ok(message) = tern_nas::decode_gmm(&octets, nas_5gs::Direction::Uplink) else { return };
        match message {
            Nas5gmmMessage::AuthenticationResponse(response) => self.on_response(id, &response).await,
            Nas5gmmMessage::AuthenticationFailure(failure) => {
                if failure.fgmm_cause.value == 21 {
                    let auts = failure.authentication_failure_parameter.unwrap();
                    let auts = tern_crypto::Auts(auts.value.to_vec().try_into().unwrap());
                    let rand = self.ues[&id].vector.as_ref().unwrap().rand;
                    self.sqn = tern_crypto::resynchronise(&Self::functions(), &rand, &auts).unwrap();
                    self.wrong = None;
                    self.challenge(id, NgKsi::new(2).unwrap()).await;
                } else {
                    self.challenge(id, NgKsi::new(3).unwrap()).await;
                }
            }
            Nas5gmmMessage::SecurityModeComplete(complete) => {
                assert!(complete.imeisv.is_some());
                let inner = complete.nas_message_container.unwrap();
                let inner = tern_nas::decode_gmm(&inner.value, nas_5gs::Direction::Uplink).unwrap();
                let Nas5gmmMessage::RegistrationRequest(inner) = inner else { panic!("{inner:?}") };
                ue.requested = inner.requested_nssai.as_ref().map(registration::nssai_of).unwrap_or_default();
                ue.k_gnb_count = count;
                self.accept(id).await;
            }
            Nas5gmmMessage::RegistrationComplete(_) => {
                let guti = ue.guti.unwrap();
                self.by_tmsi.insert(guti.tmsi, ue.context.clone().unwrap());
            }
            Nas5gmmMessage::UlNasTransport(transport) => self.on_transport(id, &transport).await,
            Nas5gmmMessage::DeregistrationRequestUeOriginating(_) => {
                let accept = NasDeregistrationAcceptUeOriginating::new();
                let nas = protected(ue.context.as_mut().unwrap(), accept);
                if let Some(guti) = ue.guti {
                    self.by_tmsi.insert(guti.tmsi, ue.context.clone().unwrap());
                }
                self.downlink(id, nas).await;
                if !self.is(Wrong::NeverReleases) {
                    self.release(id).await;
                }
            }
            _ => {}
        }
    }

    async fn on_response(&mut self, id: u64, response: &NasAuthenticationResponse) {
        let ue = self.ues.get_mut(&id).unwrap();
        let vector = ue.vector.as_ref().unwrap();
        let given = response.authentication_response_parameter.as_ref().unwrap();
        if *given.value != *vector.xres_star.as_bytes() {
            return self.downlink(id, plain(NasAuthenticationReject::new())).await;
        }
        let network = plmn().serving_network_name();
        let key = k_amf(&k_seaf(&vector.k_ausf, &network), "001010000000001", &[0, 0]);
        let wrong = self.wrong;
        let integrity =
            if wrong == Some(Wrong::Nia0) { IntegrityAlgorithm::Nia0 } else { IntegrityAlgorithm::Nia2 };
        let ksi = ue.ksi;
        let mut context = NasSecurityContext::new(Side::Amf, ksi, key, CipheringAlgorithm::Nea2, integrity);
        let mut replayed = ue.capability.clone();
        if wrong == Some(Wrong::ReplayedCapability) {
            replayed[0] ^= 0x10;
        }
        let algorithms = NasSecurityAlgorithms::new(0x20 | integrity.code());
        let command = NasSecurityModeCommand::new(
            algorithms,
            registration::ngksi(Some(ksi)),
            NasUeSecurityCapability::new(replayed),
        )
        .with_imeisv_request(NasImeisvRequest::new(1))
        .with_additional_5g_security_information(NasAdditional5gSecurityInformation::from_flags(true, false));
        let nas = context.protect(&plain(command), HeaderType::NewContext).unwrap();
        ue.context = Some(context);
        self.downlink(id, nas).await;
    }

    async fn accept(&mut self, id: u64) {
        let wrong = self.wrong;
        let guti = Guti5g { guami: guami(), tmsi: 0x1000 + id as u32 };
        let ue = self.ues.get_mut(&id).unwrap();
        ue.guti = Some(guti);
        let tac = if wrong == Some(Wrong::OtherTai) { 9 } else { 1 };
        let tai = Tai { plmn_id: plmn(), tac: Tac::new(tac).unwrap() };
        let allowed = if wrong == Some(Wrong::UnaskedSlice) { Snssai::new(9, None) } else { slice() };
        let result = NasFGsRegistrationResult::from_result(RegistrationResult::ThreeGppAccess);
        let mut accept = NasRegistrationAccept::new(result)
            .with_fg_guti(MobileIdentity::Guti(guti).to_ie().unwrap())
            .with_tai_list(registration::tai_list(&[tai]).unwrap())
            .with_allowed_nssai(registration::nssai(&[allowed]).unwrap());
        if wrong != Some(Wrong::NoT3512) {
            accept.set_t3512_value(registration::t3512(std::time::Duration::from_secs(3600)));
        }
        if wrong == Some(Wrong::PlainAccept) {
            return self.downlink(id, plain(accept)).await;
        }
        if wrong == Some(Wrong::NoContextSetup) {
            let nas = protected(ue.context.as_mut().unwrap(), accept);
            return self.downlink(id, nas).await;
        }
        self.context_setup(id, accept.into()).await;
    }

    async fn context_setup(&mut self, id: u64, message: Nas5gmmMessage) {
        let wrong = self.wrong;
        let ue = self.ues.get_mut(&id).unwrap();
        let context = ue.context.as_mut().unwrap();
        let returns = matches!(message, Nas5gmmMessage::ServiceAccept(_));
        let nas = protected(context, message);
        let count = ue.k_gnb_count + u32::from(wrong == Some(Wrong::KGnb));
        let key = *context.k_gnb(count).as_bytes();
        let mut capability = SecurityCapability::from_nas(&ue.capability);
        if wrong == Some(Wrong::NgapCapability) {
            capability.ea <<= 1;
        }
        let allowed = if wrong == Some(Wrong::NssaiDiffers) { Snssai::new(7, None) } else { slice() };
        let rate = BitRate::from_bps(1_000_000);
        let (ran_id, stream) = (ue.ran_id, ue.stream + u16::from(wrong == Some(Wrong::StreamChanges)));
        let pdu = if wrong == Some(Wrong::AmbrInContextSetup) {
            build_ngap!(
                InitiatingMessage,
                InitialContextSetup,
                InitialContextSetupRequest,
                AMF_UE_NGAP_ID(id),
                RAN_UE_NGAP_ID(ran_id),
                UEAggregateMaximumBitRate(convert::ue_ambr(Ambr { uplink: rate, downlink: rate })),
                GUAMI(convert::guami(guami())),
                AllowedNSSAI(convert::allowed_nssai(&[allowed])),
                UESecurityCapabilities(capability.to_ngap()),
                SecurityKey(key),
                NAS_PDU(nas.clone()),
            )
        } else if returns {
            build_ngap!(
                InitiatingMessage,
                InitialContextSetup,
                InitialContextSetupRequest,
                AMF_UE_NGAP_ID(id),
                RAN_UE_NGAP_ID(ran_id),
                GUAMI(convert::guami(guami())),
                AllowedNSSAI(convert::allowed_nssai(&[allowed])),
                UESecurityCapabilities(capability.to_ngap()),
                SecurityKey(key),
                UERadioCapability(self.radio_capability.clone()),
                NAS_PDU(nas.clone()),
            )
        } else {
            build_ngap!(
                InitiatingMessage,
                InitialContextSetup,
                InitialContextSetupRequest,
                AMF_UE_NGAP_ID(id),
                RAN_UE_NGAP_ID(ran_id),
                GUAMI(convert::guami(guami())),
                AllowedNSSAI(convert::allowed_nssai(&[allowed])),
                UESecurityCapabilities(capability.to_ngap()),
                SecurityKey(key),
                NAS_PDU(nas.clone()),
            )
        };
        self.send(pdu, stream).await;
        if wrong == Some(Wrong::ReplayedNas) {
            self.downlink(id, nas).await;
        }
    }

    async fn on_transport(&mut self, id: u64, transport: &NasUlNasTransport) {
        let (header, message) =
            tern_nas::decode_gsm(&transport.payload_container.value, nas_5gs::Direction::Uplink).unwrap();
        let (psi, pti) = (header.pdu_session_identity, header.procedure_transaction_identity);
        match message {
            Nas5gsmMessage::PduSessionEstablishmentRequest(_) if !self.is(Wrong::NeverAnswersSession) => {
                self.establish(id, psi, pti).await;
            }
            Nas5gsmMessage::PduSessionReleaseRequest(_) => {
                let command = NasPduSessionReleaseCommand::new(NasFGsmCause::new(36));
                let nas = self.gsm(id, command.into(), psi, pti);
                let transfer =
                    tern_ngap::transfer::encode_release_command(tern_ngap::NgapCause { group: 2, value: 0 });
                let item = PDUSessionResourceToReleaseItemRelCmd::new(
                    PDUSessionID(psi),
                    transfer.unwrap().to_vec().into(),
                    None,
                );
                let ue = &self.ues[&id];
                let pdu = build_ngap!(
                    InitiatingMessage,
                    PDUSessionResourceRelease,
                    PDUSessionResourceReleaseCommand,
                    AMF_UE_NGAP_ID(id),
                    RAN_UE_NGAP_ID(ue.ran_id),
                    NAS_PDU(nas),
                    PDUSessionResourceToReleaseListRelCmd(PDUSessionResourceToReleaseListRelCmd(vec![item])),
                );
                self.send(pdu, ue.stream).await;
            }
            _ => {}
        }
    }

    fn gsm(&mut self, id: u64, message: Nas5gsmMessage, psi: u8, pti: u8) -> Vec<u8> {
        let octets = Nas5gsMessage::new_5gsm(message, psi, pti).encode().unwrap();
        let kind = NasPayloadContainerType::from_kind(PayloadContainerKind::N1SmInformation);
        let transport = NasDlNasTransport::new(kind, NasPayloadContainer::new(octets))
            .with_pdu_session_id(NasPduSessionIdentity2::from_pdu_session_id(psi));
        protected(self.ues.get_mut(&id).unwrap().context.as_mut().unwrap(), transport)
    }

    async fn establish(&mut self, id: u64, psi: u8, pti: u8) {
        let wrong = self.wrong;
        let qfi = Qfi::new(1).unwrap();
        let rate = Ambr { uplink: BitRate::from_bps(100_000_000), downlink: BitRate::from_bps(200_000_000) };
        let rules = if wrong == Some(Wrong::TwoDefaultRules) {
            NasQosRules::new(hex::decode("01000631310101ff0102000631310101fe01").unwrap())
        } else {
            session::default_rule(qfi).unwrap()
        };
        let mut accept = NasPduSessionEstablishmentAccept::new(
            NasPduSessionType::from_session_type(PduSessionTypeValue::Ipv4),
            NasSscMode::from_mode(SscModeValue::Ssc1),
            rules,
            session::session_ambr(rate),
        )
        .with_pdu_address(NasPduAddress::from_ipv4([10, 45, 0, 2]))
        .with_s_nssai(registration::snssai(slice()));
        if wrong != Some(Wrong::NoFlowDescription) {
            accept.set_authorized_qos_flow_descriptions(session::flow_descriptions(&[(qfi, 9)]).unwrap());
        }
        if wrong != Some(Wrong::NoPco) {
            let answer = PcoAnswer {
                dns_ipv4: vec![Ipv4Addr::new(9, 9, 9, 9)],
                mtu_ipv4: Some(1400),
                ..PcoAnswer::default()
            };
            accept
                .set_extended_protocol_configuration_options(session::pco_answer(&answer).unwrap().unwrap());
        }
        if wrong != Some(Wrong::NoDnn) {
            accept.set_dnn(session::dnn(&Dnn::new("internet").unwrap()));
        }
        let nas = self.gsm(id, accept.into(), psi, pti);
        let arp = Arp {
            priority_level: 8,
            preempt_cap: PreemptionCapability::NotPreempt,
            preempt_vuln: PreemptionVulnerability::NotPreemptable,
        };
        let gnb_qfi = if wrong == Some(Wrong::OtherQfi) { Qfi::new(2).unwrap() } else { qfi };
        let request = SetupRequest {
            ambr: Some(rate),
            uplink: GtpTunnel::new(0x77, UPF),
            session_type: SessionType::Ipv4,
            flows: vec![QosFlow { qfi: gnb_qfi, five_qi: Some(9), arp, priority_level: None, gbr: None }],
        };
        let item = PDUSessionResourceSetupItemSUReq::new(
            PDUSessionID(psi),
            Some(NASPDU(nas.into())),
            convert::snssai(slice()),
            request.encode().unwrap().to_vec().into(),
            None,
        );
        let ue = &self.ues[&id];
        let list = PDUSessionResourceSetupListSUReq(vec![item]);
        let pdu = if wrong == Some(Wrong::NoUeAmbr) {
            build_ngap!(
                InitiatingMessage,
                PDUSessionResourceSetup,
                PDUSessionResourceSetupRequest,
                AMF_UE_NGAP_ID(id),
                RAN_UE_NGAP_ID(ue.ran_id),
                PDUSessionResourceSetupListSUReq(list),
            )
        } else {
            build_ngap!(
                InitiatingMessage,
                PDUSessionResourceSetup,
                PDUSessionResourceSetupRequest,
                AMF_UE_NGAP_ID(id),
                RAN_UE_NGAP_ID(ue.ran_id),
                PDUSessionResourceSetupListSUReq(list),
                UEAggregateMaximumBitRate(convert::ue_ambr(rate)),
            )
        };
        self.send(pdu, ue.stream).await;
    }
}
