//! The edge: its configuration, and a session over in-memory transports on a paused clock.

use tern_nf::{Env, Shutdown, SimNetwork};
use tern_ngap::transfer::SetupResponse;
use tern_sbi::nsmf_pdusession::{
    N2SmInfoType, PostSmContexts, ReleaseSmContext, SmContextReleaseData, SmContextUpdateData, UpCnxState,
    UpdateSmContext,
};
use tern_sbi::{Call, Location, Operation as _};
use tern_smf::Config;
use tern_types::{Duration, Qfi};

use crate::bench::{DOWNLINK, create_data, establishment_request, n1};

#[test]
fn the_sample_configuration_is_the_default() {
    let sample = <Config as tern_config::Sample>::sample().unwrap();
    assert_eq!(sample, Config::default());
    sample.check().unwrap();
    let empty: Config = tern_config::parse("smf.yaml", "").unwrap();
    assert_eq!(empty, Config::default());
}

#[test]
fn what_cannot_be_served_is_named() {
    let check = |yaml: &str| tern_config::parse::<Config>("smf.yaml", yaml).unwrap().check().unwrap_err();
    assert!(check("data_networks: []").contains("data_networks"));
    let twice = "data_networks: [{dnn: a, pool: 10.0.0.0/24}, {dnn: A, pool: 10.1.0.0/24}]";
    assert!(check(twice).contains("data_networks[1]"));
    assert!(check("data_networks: [{dnn: a, pool: 10.0.0.0/24, gateway: 10.9.9.9}]").contains("gateway"));
    assert!(
        tern_config::parse::<Config>("smf.yaml", "data_networks: [{dnn: a, pool: 10.0.0.1/24}]").is_err()
    );
    assert!(tern_config::parse::<Config>("smf.yaml", "unknown: 1").is_err());
}

/// Everything that the SMF talks to, at one address; a UPF at another.
mod surroundings {
    use std::net::SocketAddr;
    use std::sync::Arc;

    use tern_n4::{Accept, Node, NodeConfig, Output};
    use tern_nf::{Env, Routes, SimNetwork};
    use tern_pfcp::{
        Cause, CreatedPdr, FSeid, FTeid, Message, NodeId, RecoveryTimeStamp, SessionDeletionResponse,
        SessionEstablishmentResponse, SessionModificationResponse, UpFunctionFeatures,
    };
    use tern_sbi::common::{NfType, ServiceName, UriScheme};
    use tern_sbi::namf_comm::{N1N2MessageTransfer, N1N2MessageTransferCause, N1N2MessageTransferRspData};
    use tern_sbi::nnrf_disc::{SearchNfInstances, SearchResult};
    use tern_sbi::nnrf_nfm::{
        DnnUpfInfoItem, IpEndPoint, NfProfile, NfService, NfServiceStatus, NfServiceVersion, NfStatus,
        RegisterNfInstance, SnssaiUpfInfoItem, UpfInfo,
    };
    use tern_sbi::npcf_sm::{CreateSmPolicy, SmPolicyDecision};
    use tern_sbi::nsmf_pdusession::SmContextStatusNotify;
    use tern_sbi::nudm_sdm::GetSmData;
    use tern_sbi::nudm_uecm::{DeregisterSmf, RegisterSmf};
    use tern_sbi::{Response, npcf_sm::DeleteSmPolicy};
    use tokio::sync::mpsc;

    use crate::bench;

    pub const AT: &str = "127.0.0.10:8080";

    fn profile(nf_type: NfType, services: &[ServiceName], address: [u8; 4]) -> NfProfile {
        let service = |name: &ServiceName| NfService {
            ip_end_points: vec![IpEndPoint { port: Some(8080), ..IpEndPoint::default() }],
            ..NfService::new(
                name.to_string(),
                name.clone(),
                vec![NfServiceVersion::new("v1".to_owned(), "1.0.0".to_owned())],
                UriScheme::Http,
                NfServiceStatus::Registered,
            )
        };
        NfProfile {
            ipv4_addresses: vec![address.into()],
            nf_services: services.iter().map(service).collect(),
            ..NfProfile::new(uuid::Uuid::nil(), nf_type, NfStatus::Registered)
        }
    }

    fn found(nf_type: &NfType) -> Vec<NfProfile> {
        let here = [127, 0, 0, 10];
        match nf_type {
            NfType::Udm => vec![profile(NfType::Udm, &[ServiceName::NudmSdm, ServiceName::NudmUecm], here)],
            NfType::Pcf => vec![profile(NfType::Pcf, &[ServiceName::NpcfSmpolicycontrol], here)],
            NfType::Upf => {
                let dnn = DnnUpfInfoItem::new(bench::dnn("internet"));
                let info = UpfInfo::new(vec![SnssaiUpfInfoItem::new(bench::slice(), vec![dnn])]);
                vec![NfProfile { upf_info: Some(info), ..profile(NfType::Upf, &[], [127, 0, 0, 18]) }]
            }
            _ => Vec::new(),
        }
    }

    pub async fn functions(env: &Env) -> (Box<dyn Send>, mpsc::UnboundedReceiver<N1N2MessageTransfer>) {
        let (transfers, received) = mpsc::unbounded_channel();
        let routes = Routes::new()
            .on(|_, op: RegisterNfInstance| async move {
                Ok(Response { status: 201, ..Response::ok(op.profile) })
            })
            .on(|_, op: SearchNfInstances| async move {
                Ok(Response::ok(SearchResult::new(found(&op.target_nf_type))))
            })
            .on(|_, _: GetSmData| async { Ok(Response::ok(bench::sm_data(bench::subscription()))) })
            .on(|_, _: RegisterSmf| async { Ok(Response { status: 201, ..Response::ok(None) }) })
            .on(|_, _: DeregisterSmf| async { Ok(Response::no_content()) })
            .on(|_, _: CreateSmPolicy| async {
                let location = format!("http://{AT}/npcf-smpolicycontrol/v1/sm-policies/p1");
                Ok(Response::created(location, SmPolicyDecision::default()))
            })
            .on(|_, _: DeleteSmPolicy| async { Ok(Response::no_content()) })
            .on(|_, _: SmContextStatusNotify| async { Ok(Response::no_content()) })
            .on(move |_, op: N1N2MessageTransfer| {
                transfers.send(op).unwrap();
                let initiated = N1N2MessageTransferCause::N1N2TransferInitiated;
                async { Ok(Response::ok(N1N2MessageTransferRspData::new(initiated))) }
            });
        let serving = env.sbi.serve(AT.parse().unwrap(), Arc::new(routes)).await.unwrap();
        (Box::new(serving), received)
    }

    /// A UPF without a user plane.
    pub async fn upf(network: &SimNetwork) {
        let env = Env::simulated(18, network);
        let address = bench::upf();
        let socket = env.datagrams.bind(address).await.unwrap();
        let config = NodeConfig {
            accept: Accept::Any,
            up_function_features: Some(UpFunctionFeatures::FTUP),
            ..NodeConfig::new(NodeId::Address(address.ip()), RecoveryTimeStamp(1))
        };
        let mut node = Node::new(config, env.clock.now());
        let mut buffer = vec![0; 65536];
        loop {
            let (len, from): (usize, SocketAddr) = socket.recv_from(&mut buffer).await.unwrap();
            let now = env.clock.now();
            node.handle_datagram(now, from, &buffer[..len]);
            while let Some(output) = node.next_output() {
                match output {
                    Output::Transmit { to, bytes } => socket.send_to(&bytes, to).await.unwrap(),
                    Output::Request { request, message } => {
                        let (seid, answer) = answer(message, request.seid);
                        node.respond(now, &request, Some(seid), answer);
                    }
                    _ => {}
                }
            }
        }
    }

    fn answer(message: Message, seid: Option<u64>) -> (u64, Message) {
        let cause = Cause::REQUEST_ACCEPTED;
        match message {
            Message::SessionEstablishmentRequest(request) => {
                let f_teid = Some(FTeid::assigned_v4(0x1001, [10, 0, 0, 18].into()));
                let created =
                    CreatedPdr { pdr_id: request.create_pdr[0].pdr_id, f_teid, ..Default::default() };
                let answer = SessionEstablishmentResponse {
                    node_id: NodeId::Address(bench::upf().ip()),
                    cause,
                    up_f_seid: Some(FSeid::new(request.cp_f_seid.seid, bench::upf().ip())),
                    created_pdr: vec![created],
                    ..Default::default()
                };
                (request.cp_f_seid.seid, answer.into())
            }
            Message::SessionModificationRequest(_) => {
                (seid.unwrap(), SessionModificationResponse { cause, ..Default::default() }.into())
            }
            _ => (seid.unwrap(), SessionDeletionResponse { cause, ..Default::default() }.into()),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn when_all_run_then_a_session_is_established_over_the_edge() {
    let network = SimNetwork::new(1);
    let others = Env::simulated(1, &network);
    let (_serving, mut transfers) = surroundings::functions(&others).await;
    tokio::spawn({
        let network = network.clone();
        async move { surroundings::upf(&network).await }
    });
    let env = Env::simulated(2, &network);
    let (trigger, shutdown) = Shutdown::new();
    let config = Config { sbi: tern_nf::SbiConfig::loopback(17), ..Config::default() };
    let running = tokio::spawn(tern_smf::run(config, env.clone(), shutdown));
    let api_root = env.readiness.wait().await;
    env.clock.sleep(Duration::from_secs(5)).await;

    let mut data = create_data(1);
    data.sm_context_status_uri = format!("http://{}/callbacks/v1/sm-context-status/ue-1", surroundings::AT);
    let create =
        PostSmContexts { data, n1_sm_msg: Some(n1(establishment_request(), 1, 9)), n2_sm_info: None };
    let call = Call::default();
    let reply = others.sbi.send(&api_root, &call, create.to_request()).await.unwrap();
    let created = PostSmContexts::from_reply(reply).unwrap();
    let reference = Location::parse(&created.location.unwrap()).unwrap().last_segment().unwrap();

    let transfer = transfers.recv().await.unwrap();
    assert!(transfer.n1_sm_msg.is_some() && transfer.n2_sm_info.is_some());
    let response =
        SetupResponse { downlink: DOWNLINK, flows: vec![Qfi::new(1).unwrap()], failed: Vec::new() };
    let update = UpdateSmContext {
        sm_context_ref: reference.clone(),
        data: SmContextUpdateData {
            n2_sm_info_type: Some(N2SmInfoType::PduResSetupRsp),
            ..Default::default()
        },
        n1_sm_msg: None,
        n2_sm_info: Some(response.encode().unwrap()),
    };
    let reply = others.sbi.send(&api_root, &call, update.to_request()).await.unwrap();
    let updated = UpdateSmContext::from_reply(reply).unwrap();
    assert_eq!(updated.body.data.up_cnx_state, Some(UpCnxState::Activated));
    env.clock.sleep(Duration::from_secs(1)).await;
    let status = env.status.get();
    assert_eq!(
        (status["sessions"].as_u64(), status["sessionList"][0]["state"].as_str()),
        (Some(1), Some("active"))
    );
    assert_eq!(env.counters.get("smf.establishment.completed"), 1);

    let data = SmContextReleaseData::default();
    let release = ReleaseSmContext { sm_context_ref: reference, data, n1_sm_msg: None, n2_sm_info: None };
    let reply = others.sbi.send(&api_root, &call, release.to_request()).await.unwrap();
    assert_eq!(reply.status, 204);
    env.clock.sleep(Duration::from_secs(1)).await;
    assert_eq!(env.status.get()["sessions"].as_u64(), Some(0));

    trigger.shut_down();
    running.await.unwrap().unwrap();
}
