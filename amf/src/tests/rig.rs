//! A UE, a gNB and the other network functions, driven by hand around the core.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use tern_crypto::{
    AMF_5G, AuthenticationFunctions, AuthenticationVector, KAmf, Sqn, SqnArray, Usim, UsimRefusal,
};
use tern_nas::nas_5gs::*;
use tern_nas::security::{HeaderType, NasSecurityContext, Side};
use tern_nas::{MobileIdentity, NgKsi, Suci, registration};
use tern_nf::Target;
use tern_ngap::convert::{self, NrLocation};
use tern_ngap::ngap::{
    Cause, FiveGSTMSI, InitialUEMessage, NGAP_PDU, ProtocolIEContainer, RRCEstablishmentCause, UENGAPIDs,
};
use tern_ngap::{Message as _, NgapPduKind, build_ngap, build_ngap_ie, extract_ngap_ies};
use tern_sbi::common::{DnnOrWildcard, LinksValue, Octets, Secret};
use tern_sbi::nausf_auth::*;
use tern_sbi::nnssf_nsselection::{AuthorizedNetworkSliceInfo, GetSliceSelectionInfo};
use tern_sbi::npcf_am::{CreateAmPolicy, PolicyAssociation};
use tern_sbi::nsmf_pdusession::*;
use tern_sbi::nudm_sdm::*;
use tern_sbi::nudm_uecm::RegisterAmf3gpp;
use tern_sbi::{
    Operation, OperationError, PRIORITY_OF_NEW_WORK, PathParams, ProblemDetails, Related, Reply, Request,
    Response,
};
use tern_types::{Ambr, Dnn, GlobalGnbId, Guti5g, Imei, Instant, PlmnId, Snssai, Supi, Tac, Tai};

use super::mortal::{amf, attached};
use crate::n2::message::{GnbInfo, N2Command, N2Event, SupportedPlmn, SupportedTa};
use crate::{Amf, AmfRequest, Config, Input, Output, Token};

pub(super) const GNB: crate::n2::message::GnbId = crate::n2::message::GnbId(7);
/// One that tests of handovers add.
pub(super) const OTHER_GNB: crate::n2::message::GnbId = crate::n2::message::GnbId(8);
pub(super) const CAPABILITY: [u8; 4] = [0xf0, 0x70, 0xf0, 0x70];
pub(super) const K: [u8; 16] = [0x46; 16];
pub(super) const OPC: [u8; 16] = [0xcd; 16];
const ROOT: &str = "http://127.0.0.13:8080";

/// In its environment the AMF of every test dies behind each input, and another one goes on.
pub(super) const MORTAL: &str = "TERN_AMF_MORTAL";

/// The core with everything around it.
pub(super) struct Rig {
    pub amf: Amf,
    /// What is stored, if the AMF may die.
    pub records: Option<BTreeMap<String, Vec<u8>>>,
    /// Times that it has died.
    pub deaths: u64,
    /// What those that died have counted.
    pub counts: BTreeMap<&'static str, u64>,
    pub now: Instant,
    /// NGAP messages to the gNB that no test has looked at.
    pub downlink: VecDeque<NGAP_PDU>,
    /// Where they went, in the same order.
    pub destinations: VecDeque<crate::n2::message::GnbId>,
    /// The SCTP streams they went on.
    pub streams: Vec<u16>,
    /// The gNB to which the last one went.
    pub told: crate::n2::message::GnbId,
    /// Requests that nobody has answered.
    pub requests: VecDeque<(Token, Target, Request)>,
    /// Answers of the core to requests.
    pub answers: BTreeMap<Token, Reply>,
    pub deadline: Option<Instant>,
    /// Replies to give instead of the good ones, by the operation's name.
    pub refusals: BTreeMap<&'static str, Reply>,
    /// Names of the operations served, in their order.
    pub served: Vec<&'static str>,
    /// Paths of the requests that yield to others.
    pub yielding: Vec<String>,
    pub sqn: Sqn,
    vectors: Vec<AuthenticationVector>,
    pub subscribed: Vec<Snssai>,
    /// Where the subscription has service, if not everywhere.
    pub service_area: Option<tern_sbi::common::ServiceAreaRestriction>,
    /// Who the AUSF says has authenticated.
    pub authenticated: Supi,
    /// Whether the home network chooses EAP-AKA'.
    pub eap: bool,
    pub eap_server: Option<super::eap::Ausf>,
    /// The network that serves.
    plmn: PlmnId,
    next_answer: u64,
}

pub(super) fn plmn() -> PlmnId {
    PlmnId::new("001", "01").unwrap()
}

pub(super) fn tai(tac: u32) -> Tai {
    Tai { plmn_id: plmn(), tac: Tac::new(tac).unwrap() }
}

pub(super) fn problem(status: u16, cause: &str) -> Reply {
    ProblemDetails::new(status, cause).into_reply()
}

impl Rig {
    pub(super) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(super) fn with(config: Config) -> Self {
        let plmn = config.served[0].plmn;
        let mut rig = Self {
            amf: amf(config, 0),
            records: None,
            deaths: 0,
            counts: BTreeMap::new(),
            now: Instant::from_micros(1_000_000),
            downlink: VecDeque::new(),
            destinations: VecDeque::new(),
            streams: Vec::new(),
            told: GNB,
            requests: VecDeque::new(),
            answers: BTreeMap::new(),
            deadline: None,
            refusals: BTreeMap::new(),
            served: Vec::new(),
            yielding: Vec::new(),
            sqn: Sqn::default().next().unwrap(),
            vectors: Vec::new(),
            subscribed: vec![Snssai::new(1, None)],
            service_area: None,
            authenticated: supi(),
            eap: false,
            eap_server: None,
            plmn,
            next_answer: 0,
        };
        let slices = vec![Snssai::new(1, None), Snssai::new(2, None)];
        let gnb_id = tern_types::GnbId::new(1, 22).unwrap();
        let gnb = GnbInfo {
            id: GNB,
            global: GlobalGnbId { plmn_id: plmn, gnb_id },
            name: Some("gnb".into()),
            supported_tas: vec![SupportedTa {
                tac: Tac::new(1).unwrap(),
                plmns: vec![SupportedPlmn { plmn, slices }],
            }],
            default_paging_drx: 128,
            peer: None,
        };
        if std::env::var_os(MORTAL).is_some() {
            rig.keep();
        }
        rig.input(Input::N2(attached(vec![gnb])));
        rig
    }

    pub(super) fn input(&mut self, input: Input) {
        let outputs = self.amf.handle(self.now, input);
        self.carry(outputs);
        if self.records.is_some() {
            self.die();
        }
    }

    pub(super) fn carry(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::N2(N2Command::Ngap { gnb, stream, pdu }) => {
                    assert!([GNB, OTHER_GNB].contains(&gnb));
                    self.told = gnb;
                    let pdu = tern_ngap::decode(&pdu).unwrap();
                    let deviations = pdu.check().unwrap();
                    assert!(deviations.is_empty(), "{pdu}: {deviations:?}");
                    self.downlink.push_back(pdu);
                    self.destinations.push_back(gnb);
                    self.streams.push(stream);
                }
                Output::N2(_) => {}
                Output::Request { token, target, call, request } => {
                    if call.priority == Some(PRIORITY_OF_NEW_WORK) {
                        self.yielding.push(request.path.clone());
                    }
                    self.requests.push_back((token, target, request));
                }
                Output::Answer(token, reply) => {
                    self.answers.insert(token, reply);
                }
                Output::Deadline(at) => self.deadline = at,
            }
        }
    }

    pub(super) fn gnb(&mut self, stream: u16, pdu: &NGAP_PDU) {
        let pdu = tern_ngap::encode(pdu).unwrap();
        self.input(Input::N2(N2Event::Ngap { gnb: GNB, stream, pdu }));
    }

    /// Lets time pass to the core's deadline.
    pub(super) fn expire(&mut self) {
        self.now = self.deadline.take().expect("a deadline");
        self.input(Input::Expired);
    }

    pub(super) fn ask(&mut self, request: AmfRequest) -> Reply {
        self.next_answer += 1;
        let token = Token(self.next_answer);
        self.input(Input::Request(token, request));
        self.answers.remove(&token).expect("an answer")
    }

    /// Answers requests until none is left.
    pub(super) fn serve(&mut self) {
        while self.serve_one() {}
    }

    /// Answers the first one, if there is any.
    pub(super) fn serve_one(&mut self) -> bool {
        let Some((token, _, request)) = self.requests.pop_front() else { return false };
        let reply = self.reply_to(&request);
        self.input(Input::Reply(token, Ok(reply)));
        true
    }

    fn reply_to(&mut self, request: &Request) -> Reply {
        macro_rules! serve {
            ($($op:ident => |$bound:ident| $answer:expr;)*) => {$(
                if request.method == $op::METHOD
                    && let Some(params) = PathParams::matching($op::PATH, &request.path)
                {
                    self.served.push(stringify!($op));
                    if let Some(reply) = self.refusals.get(stringify!($op)) {
                        return reply.clone();
                    }
                    let $bound = $op::from_request(&params, request).expect("a request that reads");
                    let answer: Result<_, OperationError<<$op as Operation>::Failure>> = $answer;
                    return $op::to_reply(answer);
                }
            )*};
        }
        serve! {
            Authenticate => |op| self.authenticate(&op);
            Confirm5gAka => |op| Ok(Response::ok(self.confirm(&op)));
            EapAuthMethod => |op| {
                let name = self.plmn.serving_network_name();
                Ok(Response::ok(super::eap::Ausf::judge(self, &op, &name)))
            };
            RegisterAmf3gpp => |op| Ok(Response { body: Some(op.registration), status: 201,
                location: Some(format!("{ROOT}{}", request.path)), max_age: None });
            GetDataSets => |op| { assert_eq!(op.dataset_names.len(), 2); Ok(Response::ok(self.data_sets())) };
            Subscribe => |op| Ok(Response::created(format!("{ROOT}{}/1", request.path), op.subscription));
            CreateAmPolicy => |op| { assert!(op.request.notification_uri.starts_with("http"));
                Ok(Response::created(format!("{ROOT}{}/1", request.path), PolicyAssociation::new("0".into()))) };
            GetSliceSelectionInfo => |op| Ok(Response::ok(AuthorizedNetworkSliceInfo {
                rejected_nssai_in_plmn: op.registration.unwrap().requested_nssai.iter().copied()
                    .filter(|slice| slice.sst() == 8).collect(),
                ..Default::default() }));
            PostSmContexts => |op| { assert!(op.n1_sm_msg.is_some());
                Ok(Response::created(format!("{ROOT}{}/1", request.path),
                    Related::from(SmContextCreatedData::default()))) };
            UpdateSmContext => |_op| Ok(Response { status: 204, ..Response::ok(Related::default()) });
            ReleaseSmContext => |_op| Ok(Response { status: 204, ..Response::ok(None) });
        }
        self.served.push("another");
        Reply::empty(204)
    }

    fn authenticate(&mut self, op: &Authenticate) -> Result<Response<UeAuthenticationCtx>, OperationError> {
        let name = &op.info.serving_network_name;
        assert_eq!(*name, self.plmn.serving_network_name());
        if self.eap {
            return Ok(Response::created(ROOT.to_owned(), super::eap::Ausf::begin(self, name)));
        }
        let functions = AuthenticationFunctions::milenage(&K, &OPC);
        if let Some(resync) = &op.info.resynchronization_info {
            let auts = tern_crypto::Auts(resync.auts.0);
            let Ok(sqn) = tern_crypto::resynchronise(&functions, &resync.rand.0, &auts) else {
                return Err(OperationError::Problem(ProblemDetails::new(403, "AUTHENTICATION_REJECTED")));
            };
            self.sqn = sqn;
        }
        self.sqn = self.sqn.next().unwrap();
        let rand = [self.vectors.len() as u8 + 1; 16];
        let vector = AuthenticationVector::generate(&functions, self.sqn, AMF_5G, rand, name);
        let hxres_star = tern_crypto::hres_star(&rand, &vector.xres_star);
        let av = Av5gAka::new(Octets(rand), Octets(*hxres_star.as_bytes()), Octets(vector.autn.0));
        self.vectors.push(vector);
        let uri =
            format!("{ROOT}/nausf-auth/v1/ue-authentications/{}/5g-aka-confirmation", self.vectors.len());
        let links = [(LINK_5G_AKA.to_owned(), LinksValue::to(uri.clone()))].into();
        let context = UeAuthenticationCtx::new(AuthType::FiveGAka, AuthData::Av5gAka(av), links);
        Ok(Response::created(uri, context))
    }

    fn confirm(&mut self, op: &Confirm5gAka) -> ConfirmationDataResponse {
        let vector = &self.vectors[op.auth_ctx_id.parse::<usize>().unwrap() - 1];
        assert_eq!(op.confirmation.res_star.expose(), vector.xres_star.as_bytes());
        let k_seaf = tern_crypto::k_seaf(&vector.k_ausf, &self.plmn.serving_network_name());
        ConfirmationDataResponse {
            supi: Some(self.authenticated.clone()),
            kseaf: Some(Secret::new(*k_seaf.as_bytes())),
            ..ConfirmationDataResponse::new(AuthResult::AuthenticationSuccess)
        }
    }

    fn data_sets(&self) -> SubscriptionDataSets {
        let rate = |text: &str| text.parse().unwrap();
        let internet = DnnInfo {
            default_dnn_indicator: Some(true),
            ..DnnInfo::new(DnnOrWildcard::Dnn(Dnn::new("internet").unwrap()))
        };
        let infos = |slice: &Snssai| (slice.to_string(), SnssaiInfo::new(vec![internet.clone()]));
        SubscriptionDataSets {
            am_data: Some(AccessAndMobilitySubscriptionData {
                subscribed_ue_ambr: Some(Ambr { uplink: rate("1 Gbps"), downlink: rate("2 Gbps") }),
                nssai: Some(Nssai::new(self.subscribed.clone())),
                service_area_restriction: self.service_area.clone(),
                ..Default::default()
            }),
            smf_sel_data: Some(SmfSelectionSubscriptionData {
                subscribed_snssai_infos: self.subscribed.iter().map(infos).collect(),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    pub(super) fn next(&mut self) -> NGAP_PDU {
        self.destinations.pop_front();
        self.downlink.pop_front().expect("an NGAP message")
    }

    /// The cause of the release command that comes next; the gNB completes it.
    pub(super) fn released(&mut self) -> Cause {
        let pdu = self.next();
        assert_eq!(pdu.kind(), NgapPduKind::Initiating_UEContextRelease, "{pdu}");
        let read = || -> Result<(UENGAPIDs, Cause), tern_ngap::CodecError> {
            extract_ngap_ies!(pdu, UEContextReleaseCommand,
                req ids: UENGAPIDs = UE_NGAP_IDs(ids) => ids,
                req cause: Cause = Cause(cause) => cause,
            );
            Ok((ids, cause))
        };
        let (ids, cause) = read().unwrap();
        let UENGAPIDs::uE_NGAP_ID_pair(pair) = ids else { panic!("no pair") };
        let complete = build_ngap!(
            SuccessfulOutcome,
            UEContextRelease,
            UEContextReleaseComplete,
            AMF_UE_NGAP_ID(pair.amf_ue_ngap_id),
            RAN_UE_NGAP_ID(pair.ran_ue_ngap_id),
        );
        self.gnb(0, &complete.unwrap());
        cause
    }
}

pub(super) fn supi() -> Supi {
    Supi::from_imsi("001010000000001").unwrap()
}

/// A UE and its gNB's side of the connection.
pub(super) struct Ue {
    pub supi: Supi,
    /// Why its connection is established.
    pub why: RRCEstablishmentCause,
    pub ran_id: u32,
    pub amf_id: u64,
    pub stream: u16,
    pub tai: Tai,
    pub usim: Usim,
    pub security: Option<NasSecurityContext>,
    pub guti: Option<Guti5g>,
    pub requested: Option<Vec<Snssai>>,
    pub k_amf: Option<KAmf>,
    pub ksi: Option<NgKsi>,
    /// K_gNB as the gNB was given it.
    pub k_gnb: Option<[u8; 32]>,
    /// COUNT of the last uplink message that began a connection or completed a security mode.
    pub k_gnb_count: u32,
}

impl Ue {
    pub(super) fn new(ran_id: u32) -> Self {
        Self {
            supi: supi(),
            why: RRCEstablishmentCause::mo_Signalling,
            ran_id,
            amf_id: 0,
            stream: 3,
            tai: tai(1),
            usim: Usim::new(AuthenticationFunctions::milenage(&K, &OPC), SqnArray::default()),
            security: None,
            guti: None,
            requested: None,
            k_amf: None,
            ksi: None,
            k_gnb: None,
            k_gnb_count: 0,
        }
    }

    pub(super) fn suci() -> NasFGsMobileIdentity {
        let suci = Suci {
            plmn_id: plmn(),
            routing_indicator: "0".into(),
            scheme: 0,
            key_id: 0,
            scheme_output: vec![0, 0, 0, 0, 0x10],
        };
        MobileIdentity::Suci(suci).to_ie().unwrap()
    }

    pub(super) fn registration_request(&self, kind: RegistrationType) -> Bytes {
        let identity = match self.guti {
            Some(guti) => MobileIdentity::Guti(guti).to_ie().unwrap(),
            None => Self::suci(),
        };
        let kind = NasFGsRegistrationType::from_registration_type(kind).with_follow_on_request(true);
        let mut request = NasRegistrationRequest::new(kind, registration::ngksi(self.ksi), identity)
            .with_ue_security_capability(NasUeSecurityCapability::new(CAPABILITY.to_vec()));
        if let Some(requested) = &self.requested {
            request = request.with_requested_nssai(registration::nssai(requested).unwrap());
        }
        plain(request)
    }

    /// Protects a message with the UE's context.
    pub(super) fn protect(&mut self, octets: &Bytes, header: HeaderType) -> Bytes {
        let context = self.security.as_mut().expect("a context");
        if header != HeaderType::Ciphered {
            self.k_gnb_count = context.next_count();
        }
        context.protect(octets, header).unwrap().into()
    }

    pub(super) fn initial(&self, rig: &mut Rig, nas: &Bytes) {
        let s_tmsi = self.guti.map(|guti| convert::s_tmsi(guti.into()));
        self.initial_with(rig, nas, s_tmsi);
    }

    /// The same with this 5G-S-TMSI, or none.
    pub(super) fn initial_with(&self, rig: &mut Rig, nas: &Bytes, s_tmsi: Option<FiveGSTMSI>) {
        let location = NrLocation { tai: self.tai, cell_plmn: self.tai.plmn_id, nr_cell_id: 0x10 };
        let build = || {
            macro_rules! ie {
                ($($ie:tt)*) => { build_ngap_ie!(InitialUEMessage, $($ie)*)? };
            }
            let mut ies = vec![
                ie!(RAN_UE_NGAP_ID(self.ran_id)),
                ie!(NAS_PDU(&nas[..])),
                ie!(UserLocationInformation(convert::user_location(location))),
                ie!(RRCEstablishmentCause(self.why)),
            ];
            if let Some(s_tmsi) = s_tmsi {
                ies.push(ie!(FiveG_S_TMSI(s_tmsi)));
            }
            let message = InitialUEMessage::new(ProtocolIEContainer(ies));
            NGAP_PDU::of_message(&message, InitialUEMessage::CRITICALITY)
        };
        rig.gnb(self.stream, &build().unwrap());
    }

    pub(super) fn uplink(&self, rig: &mut Rig, nas: &Bytes) {
        let location = NrLocation { tai: self.tai, cell_plmn: self.tai.plmn_id, nr_cell_id: 0x10 };
        let pdu = build_ngap!(
            InitiatingMessage,
            UplinkNASTransport,
            UplinkNASTransport,
            AMF_UE_NGAP_ID(self.amf_id),
            RAN_UE_NGAP_ID(self.ran_id),
            NAS_PDU(&nas[..]),
            UserLocationInformation(convert::user_location(location)),
        );
        rig.gnb(self.stream, &pdu.unwrap());
    }

    pub(super) fn say(&mut self, rig: &mut Rig, message: impl Into<Nas5gmmMessage>) {
        let octets = plain(message);
        let octets = match self.security {
            Some(_) => self.protect(&octets, HeaderType::Ciphered),
            None => octets,
        };
        self.uplink(rig, &octets);
    }

    /// The NAS message that comes next, in DOWNLINK NAS TRANSPORT or INITIAL CONTEXT SETUP REQUEST.
    pub(super) fn hear(&mut self, rig: &mut Rig) -> Nas5gmmMessage {
        let nas = self.hear_octets(rig);
        self.open(&nas)
    }

    pub(super) fn hear_octets(&mut self, rig: &mut Rig) -> Bytes {
        let pdu = rig.next();
        type Read = (u64, u32, Bytes, Option<[u8; 32]>);
        let read = || -> Result<Read, tern_ngap::CodecError> {
            match pdu.kind() {
                NgapPduKind::Initiating_DownlinkNASTransport => {
                    extract_ngap_ies!(pdu, DownlinkNASTransport,
                        req amf_id: u64 = AMF_UE_NGAP_ID(id),
                        req ran_id: u32 = RAN_UE_NGAP_ID(id),
                        req nas: Bytes = NAS_PDU(nas) => Bytes::copy_from_slice(&nas.0),
                    );
                    Ok((amf_id, ran_id, nas, None))
                }
                NgapPduKind::Initiating_InitialContextSetup => {
                    extract_ngap_ies!(pdu, InitialContextSetupRequest,
                        req amf_id: u64 = AMF_UE_NGAP_ID(id),
                        req ran_id: u32 = RAN_UE_NGAP_ID(id),
                        req nas: Bytes = NAS_PDU(nas) => Bytes::copy_from_slice(&nas.0),
                        req key: [u8; 32] = SecurityKey(key) => key.0.as_octets().try_into().unwrap(),
                    );
                    Ok((amf_id, ran_id, nas, Some(key)))
                }
                _ => panic!("no NAS message: {pdu}"),
            }
        };
        let (amf_id, ran_id, nas, key) = read().unwrap();
        assert_eq!(ran_id, self.ran_id);
        assert_eq!(rig.streams.last(), Some(&self.stream));
        self.amf_id = amf_id;
        self.k_gnb = key.or(self.k_gnb);
        nas
    }

    /// Opens a downlink message; SECURITY MODE COMMAND takes the new context into use.
    pub(super) fn open(&mut self, nas: &Bytes) -> Nas5gmmMessage {
        match HeaderType::of(nas).unwrap() {
            HeaderType::Plain => tern_nas::decode_gmm(nas, Direction::Downlink).unwrap(),
            HeaderType::NewContext => {
                let inner = &nas[tern_nas::security::HEADER_OCTETS..];
                let message = tern_nas::decode_gmm(inner, Direction::Downlink).unwrap();
                let Nas5gmmMessage::SecurityModeCommand(command) = &message else { panic!("{message:?}") };
                let value = command.selected_nas_security_algorithms.value;
                let ksi = registration::ngksi_of(&command.ngksi).unwrap();
                let k_amf = self.k_amf.clone().expect("authenticated");
                let nea = (value >> 4).try_into().unwrap();
                let nia = (value & 0xf).try_into().unwrap();
                let mut context = NasSecurityContext::new(Side::Ue, ksi, k_amf, nea, nia);
                context.unprotect(nas).expect("SECURITY MODE COMMAND's MAC");
                self.security = Some(context);
                self.ksi = Some(ksi);
                message
            }
            _ => {
                let opened = self.security.as_mut().unwrap().unprotect(nas).expect("a good MAC");
                tern_nas::decode_gmm(&opened.plain, Direction::Downlink).unwrap()
            }
        }
    }

    /// The USIM's answer to an AUTHENTICATION REQUEST.
    pub(super) fn answer(&mut self, request: &NasAuthenticationRequest) -> Nas5gmmMessage {
        let rand = *request.authentication_parameter_rand.as_ref().unwrap().rand().unwrap();
        let autn = *request.authentication_parameter_autn.as_ref().unwrap().autn().unwrap();
        let name = self.tai.plmn_id.serving_network_name();
        match self.usim.authenticate(&rand, &tern_crypto::Autn(autn), &name) {
            Ok(answer) => {
                let k_seaf = tern_crypto::k_seaf(&answer.k_ausf, &name);
                self.k_amf = Some(tern_crypto::k_amf(&k_seaf, &self.supi.to_string(), &[0, 0]));
                let res = NasAuthenticationResponseParameter::from_res_star(*answer.res_star.as_bytes());
                NasAuthenticationResponse::new().with_authentication_response_parameter(res).into()
            }
            Err(UsimRefusal::SynchFailure(auts)) => {
                let auts = NasAuthenticationFailureParameter::from_auts(auts.0);
                NasAuthenticationFailure::new(NasFGmmCause::from_cause(GmmCause::SynchFailure))
                    .with_authentication_failure_parameter(auts)
                    .into()
            }
            Err(_) => NasAuthenticationFailure::new(NasFGmmCause::from_cause(GmmCause::MacFailure)).into(),
        }
    }

    /// Answers AUTHENTICATION REQUEST and SECURITY MODE COMMAND; `whole` goes into the container.
    pub(super) fn prove(&mut self, rig: &mut Rig, whole: &Bytes) {
        let Nas5gmmMessage::AuthenticationRequest(request) = self.hear(rig) else { panic!("no challenge") };
        self.respond(rig, &request);
        self.secure(rig, whole);
    }

    pub(super) fn respond(&mut self, rig: &mut Rig, request: &NasAuthenticationRequest) {
        let answer = self.answer(request);
        self.say(rig, answer);
        rig.serve();
    }

    pub(super) fn secure(&mut self, rig: &mut Rig, whole: &Bytes) {
        let Nas5gmmMessage::SecurityModeCommand(command) = self.hear(rig) else { panic!("no command") };
        assert_eq!(&command.replayed_ue_security_capabilities.value[..], CAPABILITY);
        let complete = self.security_mode_complete(whole);
        let octets = self.protect(&complete, HeaderType::CipheredNewContext);
        self.uplink(rig, &octets);
    }

    pub(super) fn security_mode_complete(&self, whole: &Bytes) -> Bytes {
        let imei = Imei::from_digits("3534900698733190").unwrap();
        let complete = NasSecurityModeComplete::new()
            .with_imeisv(MobileIdentity::Imei(imei).to_ie().unwrap())
            .with_nas_message_container(NasMessageContainer::new(whole.to_vec()));
        plain(complete)
    }

    /// REGISTRATION ACCEPT: keeps the 5G-GUTI.
    pub(super) fn accepted(&mut self, rig: &mut Rig) -> NasRegistrationAccept {
        let Nas5gmmMessage::RegistrationAccept(accept) = self.hear(rig) else { panic!("not accepted") };
        let identity = MobileIdentity::of(accept.fg_guti.as_ref().expect("a 5G-GUTI")).unwrap();
        let MobileIdentity::Guti(guti) = identity else { panic!("no 5G-GUTI") };
        self.guti = Some(guti);
        *accept
    }

    pub(super) fn context_is_set_up(&self, rig: &mut Rig) {
        let pdu = build_ngap!(
            SuccessfulOutcome,
            InitialContextSetup,
            InitialContextSetupResponse,
            AMF_UE_NGAP_ID(self.amf_id),
            RAN_UE_NGAP_ID(self.ran_id),
        );
        rig.gnb(self.stream, &pdu.unwrap());
    }

    /// The whole initial registration by SUCI.
    pub(super) fn register(&mut self, rig: &mut Rig) -> NasRegistrationAccept {
        rig.authenticated = self.supi.clone();
        let accept = self.register_to_accept(rig);
        self.context_is_set_up(rig);
        self.say(rig, NasRegistrationComplete::new());
        assert!(rig.amf.ue(&self.supi).unwrap().registered);
        accept
    }

    /// The same up to the ACCEPT: neither the gNB nor the UE has answered INITIAL CONTEXT SETUP REQUEST.
    pub(super) fn register_to_accept(&mut self, rig: &mut Rig) -> NasRegistrationAccept {
        let request = self.registration_request(RegistrationType::InitialRegistration);
        self.initial(rig, &request);
        rig.serve();
        self.prove(rig, &request);
        rig.serve();
        self.accepted(rig)
    }

    /// The gNB is told of the identity that the UE has confirmed, for RRC_INACTIVE.
    pub(super) fn gnb_informed(&self, rig: &mut Rig) {
        let pdu = rig.next();
        assert_eq!(pdu.kind(), NgapPduKind::Initiating_UEContextModification, "{pdu}");
        self.context_is_modified(rig);
    }

    /// The gNB has modified the UE's context.
    pub(super) fn context_is_modified(&self, rig: &mut Rig) {
        let response = build_ngap!(
            SuccessfulOutcome,
            UEContextModification,
            UEContextModificationResponse,
            AMF_UE_NGAP_ID(self.amf_id),
            RAN_UE_NGAP_ID(self.ran_id),
        );
        rig.gnb(self.stream, &response.unwrap());
    }

    /// The gNB gives the connection up.
    pub(super) fn go_idle(&self, rig: &mut Rig) {
        let cause = self.ask_to_go_idle(rig);
        assert_eq!(rig.released(), cause);
        rig.serve();
    }

    /// The gNB wants to give the connection up, for the cause that it says.
    pub(super) fn ask_to_go_idle(&self, rig: &mut Rig) -> Cause {
        let cause = Cause::radioNetwork(tern_ngap::ngap::CauseRadioNetwork::user_inactivity);
        let pdu = build_ngap!(
            InitiatingMessage,
            UEContextReleaseRequest,
            UEContextReleaseRequest,
            AMF_UE_NGAP_ID(self.amf_id),
            RAN_UE_NGAP_ID(self.ran_id),
            Cause(cause.clone()),
        );
        rig.gnb(self.stream, &pdu.unwrap());
        cause
    }
}

pub(super) fn plain(message: impl Into<Nas5gmmMessage>) -> Bytes {
    tern_nas::encode(&Nas5gsMessage::new_5gmm(message)).unwrap()
}

/// A UE that comes again with its 5G-GUTI, to an AMF that authenticates it again.
pub(super) fn authenticated_again() -> (Rig, Ue) {
    let mut config = Config::default();
    config.security.reauthentication = crate::Reauthentication::Always;
    let (mut rig, mut ue) = (Rig::with(config), Ue::new(1));
    ue.register(&mut rig);
    ue.go_idle(&mut rig);
    ue.ran_id = 2;
    let request = ue.registration_request(RegistrationType::InitialRegistration);
    let octets = ue.protect(&request, HeaderType::Integrity);
    ue.initial(&mut rig, &octets);
    rig.serve();
    (rig, ue)
}
