//! The AMF, UDM, PCF, UPF, gNB and UE, each as far as the SMF sees it.

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use tern_nas::nas_5gs::{
    Direction, MaxDataRate, Nas5gsMessage, Nas5gsmMessage, NasExtendedProtocolConfigurationOptions,
    NasIntegrityProtectionMaximumDataRate, NasPduSessionEstablishmentRequest, NasPduSessionType, Pco,
    PcoDirection, PcoEntry, PduSessionTypeValue,
};
use tern_ngap::transfer::{GtpTunnel, SetupResponse};
use tern_pfcp::{
    Cause, CreatePdr, CreatedPdr, FSeid, FTeid, Interface, Message, NodeId, SessionDeletionResponse,
    SessionEstablishmentRequest, SessionEstablishmentResponse, SessionModificationRequest,
    SessionModificationResponse,
};
use tern_sbi::common::{AccessType, PduSessionType, PlmnIdNid, SscMode};
use tern_sbi::namf_comm::{N1N2MessageTransfer, N1N2MessageTransferCause, N1N2MessageTransferRspData};
use tern_sbi::npcf_sm::{CreateSmPolicy, DeleteSmPolicy, SmPolicyDecision};
use tern_sbi::nsmf_pdusession::{
    N2SmInfoType, PostSmContexts, SmContextCreateData, SmContextCreateError, SmContextCreatedData,
    SmContextStatusNotify, SmContextUpdateData, SmContextUpdateError, SmContextUpdatedData, UpdateSmContext,
};
use tern_sbi::nudm_sdm::{
    DnnConfiguration, GetSmData, PduSessionTypes, SessionManagementSubscriptionData, SmSubsData, SscModes,
    Subscribe, Unsubscribe,
};
use tern_sbi::nudm_uecm::{DeregisterSmf, RegisterSmf};
use tern_sbi::{
    Location, Operation, OperationError, PathParams, ProblemDetails, Related, Reply, Response, TransportError,
};
use tern_smf::record;
use tern_smf::{Config, Identity, Input, Output, Smf, SmfRequest, Token, UpfConfig};
use tern_types::{Ambr, BitRate, Dnn, Duration, Instant, PduSessionId, PlmnId, Qfi, Random, Snssai, Supi};

pub const AMF: &str = "http://127.0.0.16:8080";
pub const PCF: &str = "http://127.0.0.14:8080";
pub const UP_SEID: u64 = 0x77;
pub const UPLINK: GtpTunnel = GtpTunnel { teid: 0x1001, ipv4: Some(Ipv4Addr::new(10, 0, 0, 18)), ipv6: None };
pub const DOWNLINK: GtpTunnel =
    GtpTunnel { teid: 0x2002, ipv4: Some(Ipv4Addr::new(10, 0, 0, 99)), ipv6: None };

/// The UPF's end of the tunnel for the SMF's own packets.
pub const ROUTER_TUNNEL: GtpTunnel =
    GtpTunnel { teid: 0x3003, ipv4: Some(Ipv4Addr::new(10, 0, 0, 18)), ipv6: None };

pub type Created =
    Result<Response<Related<SmContextCreatedData>>, OperationError<Related<SmContextCreateError>>>;
pub type Updated =
    Result<Response<Related<SmContextUpdatedData>>, OperationError<Related<SmContextUpdateError>>>;

/// The SMF of this number.
fn smf(config: &Config, number: u64) -> (Smf, Vec<Output>) {
    let identity = Identity { instance: uuid::Uuid::nil(), api_root: "http://127.0.0.17:8080".to_owned() };
    let seed = [7_u8.wrapping_add(number as u8); 32];
    Smf::new(config.clone(), identity, Random::from_seed(seed))
}

pub fn upf() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 18], 8805))
}

pub fn supi() -> Supi {
    Supi::from_imsi("001010000000001").unwrap()
}

pub fn dnn(text: &str) -> Dnn {
    Dnn::new(text).unwrap()
}

pub fn slice() -> Snssai {
    Snssai::new(1, None)
}

pub fn session_id(id: u8) -> PduSessionId {
    PduSessionId::new(id).unwrap()
}

pub fn mbps(rate: u64) -> BitRate {
    BitRate::from_bps(rate * 1_000_000)
}

pub fn config() -> Config {
    let mut config = Config { discover_upfs: false, ..Config::default() };
    config.data_networks.truncate(1);
    config.upfs = vec![UpfConfig { address: upf().ip(), port: upf().port(), serves: Vec::new() }];
    config
}

/// The UE's request; tests change it before it is sent.
pub fn establishment_request() -> NasPduSessionEstablishmentRequest {
    let rate =
        NasIntegrityProtectionMaximumDataRate::from_rates(MaxDataRate::FullRate, MaxDataRate::FullRate);
    NasPduSessionEstablishmentRequest::new(rate)
        .with_pdu_session_type(NasPduSessionType::from_session_type(PduSessionTypeValue::Ipv4))
}

/// Asks for DNS and MTU.
pub fn with_options(
    request: NasPduSessionEstablishmentRequest,
    identifiers: &[u16],
) -> NasPduSessionEstablishmentRequest {
    let entry = |&identifier: &u16| PcoEntry { identifier, contents: Vec::new() };
    let pco = Pco::new(0, identifiers.iter().map(entry).collect());
    let options = NasExtendedProtocolConfigurationOptions::from_pco(&pco, PcoDirection::Uplink).unwrap();
    request.with_extended_protocol_configuration_options(options)
}

pub fn n1(message: impl Into<Nas5gsmMessage>, id: u8, pti: u8) -> Bytes {
    tern_nas::encode(&Nas5gsMessage::new_5gsm(message, id, pti)).unwrap()
}

/// A downlink 5GSM message: its PTI and content.
pub fn read_n1(octets: &[u8]) -> (u8, u8, Nas5gsmMessage) {
    let (header, message) = tern_nas::decode_gsm(octets, Direction::Downlink).unwrap();
    (header.pdu_session_identity, header.procedure_transaction_identity, message)
}

/// The subscription; tests change it before it is told.
pub fn subscription() -> DnnConfiguration {
    let types = PduSessionTypes {
        default_session_type: Some(PduSessionType::Ipv4),
        allowed_session_types: vec![PduSessionType::Ipv4v6],
    };
    let ambr = Ambr { uplink: mbps(100), downlink: mbps(200) };
    DnnConfiguration {
        session_ambr: Some(ambr),
        ..DnnConfiguration::new(types, SscModes::new(SscMode::Mode1))
    }
}

pub fn sm_data(configuration: DnnConfiguration) -> SmSubsData {
    let mut data = SessionManagementSubscriptionData::new(slice());
    data.dnn_configurations.insert("internet".to_owned(), configuration);
    SmSubsData::Individual(vec![data])
}

pub fn create_data(id: u8) -> SmContextCreateData {
    let plmn = PlmnIdNid::new(PlmnId::new("001", "01").unwrap());
    let uri = format!("{AMF}{}", SmContextStatusNotify::callback_path("ue-1"));
    SmContextCreateData {
        supi: Some(supi()),
        pdu_session_id: Some(session_id(id)),
        dnn: Some(dnn("internet")),
        s_nssai: Some(slice()),
        ..SmContextCreateData::new(uuid::Uuid::nil(), plmn, AccessType::ThreeGpp, uri)
    }
}

/// Set where the SMF dies behind each input and another one goes on with what it has stored.
pub const MORTAL: &str = "TERN_TEST_SMF_DIES";

pub struct Bench {
    pub smf: Smf,
    pub now: Instant,
    config: Config,
    /// What SMFs have stored, if they die.
    records: Option<BTreeMap<String, Vec<u8>>>,
    associated: bool,
    deaths: u64,
    outputs: VecDeque<Output>,
    next_token: u64,
    next_teid: u32,
    /// The UPF's end of tunnels, and the gNB's.
    pub uplink: GtpTunnel,
    pub downlink: GtpTunnel,
}

impl Bench {
    pub fn new() -> Self {
        Self::with(config())
    }

    pub fn with(config: Config) -> Self {
        config.check().unwrap();
        let (smf, outputs) = smf(&config, 0);
        assert!(matches!(outputs[..], [Output::Associate(endpoint)] if endpoint == upf()));
        let now = Instant::from_micros(1_000_000);
        let mut bench = Self {
            smf,
            now,
            config,
            records: std::env::var_os(MORTAL).map(|_| BTreeMap::new()),
            associated: false,
            deaths: 0,
            outputs: VecDeque::new(),
            next_token: 0,
            next_teid: UPLINK.teid,
            uplink: UPLINK,
            downlink: DOWNLINK,
        };
        if bench.records.is_some() {
            bench.smf.resume(now, Vec::new());
        }
        bench.input(Input::UpfUp(upf()));
        bench
    }

    pub fn input(&mut self, input: Input) {
        match &input {
            Input::UpfUp(_) => self.associated = true,
            Input::UpfDown(_) | Input::UpfReleased(_) => self.associated = false,
            _ => {}
        }
        let outputs = self.smf.handle(self.now, input);
        self.outputs.extend(outputs.into_iter().filter(|output| !matches!(output, Output::Count(_))));
        if self.records.is_some() {
            self.die();
        }
    }

    /// The SMF is killed and another one goes on. What it asks again has been asked: the answers to come are to both.
    pub fn die(&mut self) {
        let records = self.records.get_or_insert_default();
        for tern_nf::Change { key, record } in self.smf.changes() {
            match record {
                Some(record) => records.insert(key, record),
                None => records.remove(&key),
            };
        }
        self.deaths += 1;
        let restored = records.values().map(|octets| record::read(octets).unwrap()).collect();
        let awaited = self.smf.awaited();
        (self.smf, _) = smf(&self.config, self.deaths);
        let again = self.smf.resume(self.now, restored);
        assert!(again.iter().all(|output| matches!(output, Output::Request { .. } | Output::N4 { .. })));
        assert!(again.len() <= awaited && again.len() == self.smf.awaited());
        if self.associated {
            self.smf.handle(self.now, Input::UpfUp(upf()));
        }
    }

    pub fn request(&mut self, request: SmfRequest) -> Token {
        self.next_token += 1;
        let token = Token(1_000_000 + self.next_token);
        self.input(Input::Request(token, request));
        token
    }

    pub fn nothing(&self) {
        assert!(self.outputs.is_empty(), "{:?}", self.outputs);
    }

    /// Everything that came out is forgotten.
    pub fn ignore(&mut self) {
        self.outputs.clear();
    }

    /// The next output must be a request of this operation.
    pub fn expect<O: Operation>(&mut self) -> (Token, O) {
        let output = self.outputs.pop_front();
        let Some(Output::Request { token, request, .. }) = output else {
            panic!("{} expected: {output:?}", O::NAME)
        };
        assert_eq!(request.method, O::METHOD, "{}", request.path);
        // A callback goes to where the consumer said.
        let params = PathParams::matching(O::PATH, &request.path)
            .unwrap_or_else(|| panic!("{}: {}", O::NAME, request.path));
        (token, O::from_request(&params, &request).unwrap())
    }

    pub fn reply<O: Operation>(
        &mut self,
        token: Token,
        result: Result<Response<O::Answer>, OperationError<O::Failure>>,
    ) {
        self.input(Input::Reply(token, Ok(O::to_reply(result))));
    }

    pub fn refuse<O: Operation<Failure = ProblemDetails>>(&mut self, token: Token, status: u16, cause: &str) {
        self.reply::<O>(token, Err(OperationError::Problem(ProblemDetails::new(status, cause))));
    }

    pub fn lost(&mut self, token: Token, error: TransportError) {
        self.input(Input::Reply(token, Err(error)));
    }

    fn answer(&mut self, token: Token) -> Reply {
        let output = self.outputs.pop_front();
        match output {
            Some(Output::Answer(answered, reply)) if answered == token => reply,
            other => panic!("an answer expected: {other:?}"),
        }
    }

    pub fn created(&mut self, token: Token) -> Created {
        PostSmContexts::from_reply(self.answer(token))
    }

    pub fn updated(&mut self, token: Token) -> Updated {
        UpdateSmContext::from_reply(self.answer(token))
    }

    pub fn answered<O: Operation>(
        &mut self,
        token: Token,
    ) -> Result<Response<O::Answer>, OperationError<O::Failure>> {
        O::from_reply(self.answer(token))
    }

    pub fn n4(&mut self) -> (Token, u64, Message) {
        let output = self.outputs.pop_front();
        match output {
            Some(Output::N4 { token, upf: to, seid, message }) if to == upf() => (token, seid, message),
            other => panic!("N4 expected: {other:?}"),
        }
    }

    /// The UPF's answer, or none, to the request that waits longest; other outputs before it are forgotten.
    pub fn answer_n4(&mut self, answer: Option<Message>) {
        while let Some(output) = self.outputs.pop_front() {
            if let Output::N4 { token, .. } = output {
                return self.input(Input::N4(token, answer));
            }
        }
    }

    /// The next output, if it is a GTP-U datagram: to whom, and its octets.
    pub fn gtpu(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        match self.outputs.pop_front()? {
            Output::Gtpu { to, datagram } => Some((to, datagram)),
            other => panic!("GTP-U expected: {other:?}"),
        }
    }

    /// Whether a GTP-U datagram was among what came out, which is forgotten.
    pub fn any_gtpu(&mut self) -> bool {
        self.outputs.drain(..).any(|output| matches!(output, Output::Gtpu { .. }))
    }

    pub fn answer4(&mut self, expected: Token) -> (u64, Cause) {
        match self.outputs.pop_front() {
            Some(Output::Answer4 { token, seid, message }) if token == expected => (seid, message.cause),
            other => panic!("N4 answer expected: {other:?}"),
        }
    }

    pub fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        while self.smf.deadline().is_some_and(|at| at <= self.now) {
            self.input(Input::Expired);
        }
    }

    // The steps of an establishment.

    pub fn create_with(&mut self, data: SmContextCreateData, octets: Bytes) -> Token {
        let operation = PostSmContexts { data, n1_sm_msg: Some(octets), n2_sm_info: None };
        self.request(SmfRequest::Create(operation))
    }

    pub fn create(&mut self, id: u8) -> Token {
        self.create_with(create_data(id), n1(establishment_request(), id, 9))
    }

    pub fn subscribe(&mut self, data: SmSubsData) {
        let (token, operation) = self.expect::<GetSmData>();
        assert_eq!(
            (operation.supi, operation.single_nssai, operation.dnn),
            (supi(), Some(slice()), Some(dnn("internet")))
        );
        self.reply::<GetSmData>(token, Ok(Response::ok(data)));
    }

    pub fn context_ref(&mut self, token: Token) -> String {
        let response = self.created(token).unwrap();
        assert_eq!(response.status, 201);
        Location::parse(&response.location.unwrap()).unwrap().last_segment().unwrap()
    }

    pub fn police(&mut self, decision: SmPolicyDecision) {
        let (token, _) = self.expect::<CreateSmPolicy>();
        let location = format!("{PCF}/npcf-smpolicycontrol/v1/sm-policies/p1");
        self.reply::<CreateSmPolicy>(token, Ok(Response::created(location, decision)));
    }

    pub fn install(&mut self) -> SessionEstablishmentRequest {
        let (token, seid, message) = self.n4();
        assert_eq!(seid, 0);
        let Message::SessionEstablishmentRequest(request) = message else { panic!("{message:?}") };
        let GtpTunnel { ipv4, ipv6, .. } = self.uplink;
        let f_teid = FTeid::Assigned { teid: self.next_teid, ipv4, ipv6 };
        self.next_teid += 1;
        let created = CreatedPdr {
            pdr_id: request.create_pdr[0].pdr_id,
            f_teid: Some(f_teid),
            ..CreatedPdr::default()
        };
        let asks_for_router = |pdr: &&CreatePdr| pdr.pdi.source_interface == Interface::CpFunction;
        let router = request.create_pdr.iter().find(asks_for_router).map(|pdr| CreatedPdr {
            pdr_id: pdr.pdr_id,
            f_teid: Some(FTeid::assigned(ROUTER_TUNNEL.teid, ROUTER_TUNNEL.address().unwrap())),
            ..CreatedPdr::default()
        });
        let response = SessionEstablishmentResponse {
            node_id: NodeId::Address(upf().ip()),
            cause: Cause::REQUEST_ACCEPTED,
            up_f_seid: Some(FSeid::new(UP_SEID, upf().ip())),
            created_pdr: router.into_iter().chain([created]).collect(),
            ..SessionEstablishmentResponse::default()
        };
        self.input(Input::N4(token, Some(response.into())));
        request
    }

    /// The transfer of accept and N2 request; the AMF takes it, the UDM the registration.
    pub fn transfer(&mut self) -> N1N2MessageTransfer {
        let (token, operation) = self.expect::<N1N2MessageTransfer>();
        self.transferred(token);
        operation
    }

    /// Every N1N2MessageTransfer that came out; all else is forgotten.
    pub fn transfers_of_all(&mut self) -> Vec<N1N2MessageTransfer> {
        let requests = self.outputs.drain(..).filter_map(|output| match output {
            Output::Request { request, .. } => Some(request),
            _ => None,
        });
        let read = |request: tern_sbi::Request| {
            let params = PathParams::matching(N1N2MessageTransfer::PATH, &request.path)?;
            Some(N1N2MessageTransfer::from_request(&params, &request).unwrap())
        };
        requests.filter_map(read).collect()
    }

    pub fn transferred(&mut self, token: Token) {
        let data = N1N2MessageTransferRspData::new(N1N2MessageTransferCause::N1N2TransferInitiated);
        self.reply::<N1N2MessageTransfer>(token, Ok(Response::ok(data)));
    }

    /// The AMF takes a transfer, and pages.
    pub fn attempting(&mut self, token: Token) {
        let data = N1N2MessageTransferRspData::new(N1N2MessageTransferCause::AttemptingToReachUe);
        let transfer = format!("{AMF}/namf-comm/v1/ue-contexts/x/n1-n2-messages/1");
        let response = Response { status: 202, ..Response::created(transfer, data) };
        self.reply::<N1N2MessageTransfer>(token, Ok(response));
    }

    pub fn register(&mut self) {
        let (token, operation) = self.expect::<RegisterSmf>();
        assert_eq!(operation.registration.dnn, Some(dnn("internet")));
        self.reply::<RegisterSmf>(token, Ok(Response { status: 201, ..Response::ok(None) }));
        self.subscribe_to_changes();
    }

    /// The UDM takes the subscription to changes of the session's data.
    pub fn subscribe_to_changes(&mut self) {
        let (token, operation) = self.expect::<Subscribe>();
        let location = "http://127.0.0.12:8080/nudm-sdm/v2/x/sdm-subscriptions/s1".to_owned();
        self.reply::<Subscribe>(token, Ok(Response::created(location, operation.subscription)));
    }

    /// The same ends.
    pub fn unsubscribe(&mut self) {
        let (token, operation) = self.expect::<Unsubscribe>();
        assert_eq!(operation.subscription_id, "s1");
        self.reply::<Unsubscribe>(token, Ok(Response::no_content()));
    }

    pub fn update(
        &mut self,
        reference: &str,
        data: SmContextUpdateData,
        n1: Option<Bytes>,
        n2: Option<Bytes>,
    ) -> Token {
        let operation =
            UpdateSmContext { sm_context_ref: reference.to_owned(), data, n1_sm_msg: n1, n2_sm_info: n2 };
        self.request(SmfRequest::Update(operation))
    }

    pub fn send_n1(&mut self, reference: &str, octets: Bytes) -> Token {
        self.update(reference, SmContextUpdateData::default(), Some(octets), None)
    }

    pub fn send_n2(&mut self, reference: &str, kind: N2SmInfoType, octets: Bytes) -> Token {
        let data = SmContextUpdateData { n2_sm_info_type: Some(kind), ..SmContextUpdateData::default() };
        self.update(reference, data, None, Some(octets))
    }

    pub fn setup_response(&mut self, reference: &str) -> Token {
        let response =
            SetupResponse { downlink: self.downlink, flows: vec![Qfi::new(1).unwrap()], failed: Vec::new() };
        self.send_n2(reference, N2SmInfoType::PduResSetupRsp, response.encode().unwrap())
    }

    pub fn modified(&mut self) -> SessionModificationRequest {
        let (token, seid, message) = self.n4();
        assert_eq!(seid, UP_SEID);
        let Message::SessionModificationRequest(request) = message else { panic!("{message:?}") };
        let response = SessionModificationResponse { cause: Cause::REQUEST_ACCEPTED, ..Default::default() };
        self.input(Input::N4(token, Some(response.into())));
        request
    }

    /// The next output must be a change of the UPF's session, which it does not answer yet.
    pub fn modified_later(&mut self) -> Token {
        let (token, _, message) = self.n4();
        assert!(matches!(message, Message::SessionModificationRequest(_)), "{message:?}");
        token
    }

    /// It does, and the AMF's request that waits for it is answered.
    pub fn switched(&mut self, token: Token, answer: Token) {
        let response = SessionModificationResponse { cause: Cause::REQUEST_ACCEPTED, ..Default::default() };
        self.input(Input::N4(token, Some(response.into())));
        assert_eq!(self.updated(answer).unwrap().status, 200);
    }

    pub fn deleted(&mut self) {
        let (token, seid, message) = self.n4();
        assert_eq!((seid, matches!(message, Message::SessionDeletionRequest(_))), (UP_SEID, true));
        let response = SessionDeletionResponse { cause: Cause::REQUEST_ACCEPTED, ..Default::default() };
        self.input(Input::N4(token, Some(response.into())));
    }

    /// PCF, UDM and AMF hear of the end, in whichever order they answer.
    pub fn concluded(&mut self) {
        self.unsubscribe();
        let (policy, operation) = self.expect::<DeleteSmPolicy>();
        assert_eq!(operation.sm_policy_id, "p1");
        let (registration, _) = self.expect::<DeregisterSmf>();
        let (notification, operation) = self.expect::<SmContextStatusNotify>();
        assert_eq!(operation.key().as_deref(), Some("ue-1"));
        self.reply::<SmContextStatusNotify>(notification, Ok(Response::no_content()));
        self.reply::<DeleteSmPolicy>(policy, Ok(Response::no_content()));
        self.reply::<DeregisterSmf>(registration, Ok(Response::no_content()));
        self.nothing();
    }

    /// A whole establishment: the context's reference.
    pub fn establish(&mut self, id: u8) -> String {
        let token = self.create(id);
        self.subscribe(sm_data(subscription()));
        let reference = self.context_ref(token);
        self.police(SmPolicyDecision::default());
        self.install();
        self.transfer();
        self.register();
        let answer = self.setup_response(&reference);
        self.modified();
        assert_eq!(self.updated(answer).unwrap().status, 200);
        self.nothing();
        reference
    }

    /// Nothing is left of any session.
    pub fn empty(&self) {
        assert_eq!((self.smf.sessions(), self.smf.awaited()), (0, 0));
        assert_eq!(self.smf.addresses_used(), [0]);
        assert_eq!(self.smf.upfs().iter().map(|(_, upf)| upf.sessions).sum::<usize>(), 0);
        assert_eq!(self.smf.deadline(), None);
    }
}
