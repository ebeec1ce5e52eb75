//! The NRF with its consumers, over HTTP and in memory.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tern_nf::{
    BoxFuture, Env, EnvOptions, Nf, ProfileSeed, Routes, SbiConfig, Selection, Service, Shutdown, SimNetwork,
    Target, Transport, Trigger,
};
use tern_nrf::Config;
use tern_sbi::common::{NfInstanceId, NfType, PatchItem, ServiceName};
use tern_sbi::nnrf_disc::SearchNfInstances;
use tern_sbi::nnrf_nfm::{
    DeregisterNfInstance, GetNfInstance, ListNfInstances, NfProfile, NfStatus, RegisterNfInstance,
    UpdateNfInstance,
};
use tern_sbi::{Call, Operation, OperationError, Response, TransportError};
use tern_sbi_transport::Serving;
use tern_types::Duration;

/// One core: its NRF, and a way to make environments that reach it.
struct Core {
    nrf_root: String,
    nrf_env: Env,
    config: Config,
    trigger: Option<Trigger>,
    task: Option<tokio::task::JoinHandle<anyhow::Result<()>>>,
    network: Option<SimNetwork>,
    envs: AtomicUsize,
}

impl Core {
    async fn start(network: Option<SimNetwork>, heartbeat_seconds: u32) -> Self {
        let sbi = SbiConfig { port: free_port(), nrf: None, ..SbiConfig::loopback(1) };
        let config = Config { sbi, heartbeat_seconds, ..Config::default() };
        let nrf_env = match &network {
            Some(network) => Env::simulated(1, network),
            None => Env::real(EnvOptions::new("NRF", &config.sbi)).unwrap(),
        };
        let nrf_root = config.sbi.api_root();
        let mut core =
            Self { nrf_root, nrf_env, config, trigger: None, task: None, network, envs: AtomicUsize::new(2) };
        core.restart().await;
        core
    }

    /// Ends the NRF if it runs, and starts one with the same store.
    async fn restart(&mut self) {
        if let (Some(trigger), Some(task)) = (self.trigger.take(), self.task.take()) {
            trigger.shut_down();
            task.await.unwrap().unwrap();
        }
        let (trigger, shutdown) = Shutdown::new();
        let env = Env { readiness: tern_nf::Ready::default(), ..self.nrf_env.clone() };
        let ready = env.readiness.clone();
        self.task = Some(tokio::spawn(tern_nrf::run(self.config.clone(), env, shutdown)));
        self.trigger = Some(trigger);
        ready.wait().await;
    }

    fn env(&self) -> Env {
        let seed = self.envs.fetch_add(1, Ordering::Relaxed) as u64;
        match &self.network {
            Some(network) => Env::simulated(seed, network),
            None => Env::real(EnvOptions::new("TEST", &SbiConfig::loopback(1))).unwrap(),
        }
    }

    fn sbi(&self) -> SbiConfig {
        SbiConfig { port: free_port(), nrf: Some(self.nrf_root.clone()), ..SbiConfig::loopback(1) }
    }

    fn nrf(&self) -> Target {
        Target::ApiRoot(self.nrf_root.clone())
    }

    /// A UDM that counts its calls; which of its operations does not matter here.
    async fn udm(&self, priority: u16) -> (Nf, Arc<AtomicUsize>) {
        self.udm_at(priority, &self.sbi()).await
    }

    async fn udm_at(&self, priority: u16, sbi: &SbiConfig) -> (Nf, Arc<AtomicUsize>) {
        let calls = Arc::new(AtomicUsize::new(0));
        let count = calls.clone();
        let routes = Routes::new().raw(tern_sbi::Method::Get, "/nudm-ueau/v1/ping", move |_, _| {
            count.fetch_add(1, Ordering::Relaxed);
            async { tern_sbi::Reply::empty(204) }
        });
        let seed = ProfileSeed { priority, ..ProfileSeed::new(NfType::Udm, vec![ServiceName::NudmUeau]) };
        (Nf::start(&self.env(), sbi, seed, routes).await.unwrap(), calls)
    }

    async fn ausf(&self) -> Nf {
        let seed = ProfileSeed::new(NfType::Ausf, vec![ServiceName::NausfAuth]);
        Nf::start(&self.env(), &self.sbi(), seed, Routes::new()).await.unwrap()
    }
}

/// A port that nobody has, below those from which the kernel gives ports to whoever wants any.
fn free_port() -> u16 {
    static TRIED: AtomicUsize = AtomicUsize::new(0);
    const FIRST: usize = 12_000;
    const PORTS: usize = 20_000;
    let own = std::process::id() as usize * 97;
    let ports = std::iter::repeat_with(|| TRIED.fetch_add(1, Ordering::Relaxed)).take(PORTS);
    let mut ports = ports.map(|n| (FIRST + (own + n) % PORTS) as u16);
    let free = |port: &u16| std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, *port)).is_ok();
    ports.find(free).expect("a free port")
}

async fn ping(nf: &Nf) -> Result<u16, TransportError> {
    ping_at(nf, &Target::service(NfType::Udm, ServiceName::NudmUeau), Call::default()).await
}

fn ping_request() -> tern_sbi::Request {
    tern_sbi::Request {
        method: tern_sbi::Method::Get,
        path: "/nudm-ueau/v1/ping".into(),
        query: Vec::new(),
        headers: tern_sbi::Headers::default(),
        body: tern_sbi::Body::Empty,
    }
}

async fn ping_at(nf: &Nf, target: &Target, call: Call) -> Result<u16, TransportError> {
    nf.consumer().send(target, &call, ping_request()).await.map(|reply| reply.status)
}

fn status_of<T, E>(result: Result<Response<T>, OperationError<E>>) -> u16 {
    match result {
        Ok(response) => response.status,
        Err(OperationError::Problem(problem)) => problem.status.unwrap(),
        Err(OperationError::Refused { status, .. }) => status,
        Err(_) => 0,
    }
}

async fn eventually<F: AsyncFnMut() -> bool>(mut condition: F) {
    for _ in 0..200 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it never came true");
}

/// Register, replace, read, list, patch, deregister.
async fn manages_instances(core: Core) {
    let ausf = core.ausf().await;
    let (consumer, call, id) = (ausf.consumer(), Call::default(), NfInstanceId::from_u128(77));
    let profile = NfProfile {
        ipv4_addresses: vec!["127.0.0.1".parse().unwrap()],
        ..NfProfile::new(id, NfType::Pcf, NfStatus::Registered)
    };
    let register = RegisterNfInstance { nf_instance_id: id, profile: profile.clone() };
    let created = consumer.call(&core.nrf(), &call, &register).await.unwrap();
    assert_eq!(created.status, 201);
    assert_eq!(created.location, Some(format!("{}/nnrf-nfm/v1/nf-instances/{id}", core.nrf_root)));
    assert_eq!(created.body.heart_beat_timer, Some(core.config.heartbeat_seconds));
    assert_eq!(status_of(consumer.call(&core.nrf(), &call, &register).await), 200);
    let got = consumer.call(&core.nrf(), &call, &GetNfInstance { nf_instance_id: id }).await.unwrap();
    assert_eq!(got.body.nf_type, NfType::Pcf);
    let list =
        ListNfInstances { nf_type: Some(NfType::Pcf), limit: None, page_number: None, page_size: None };
    let listed = consumer.call(&core.nrf(), &call, &list).await.unwrap();
    assert_eq!(listed.body.total_item_count, Some(1));
    let patch = |path: &str, value| UpdateNfInstance {
        nf_instance_id: id,
        patch: vec![PatchItem::replace(path, value)],
    };
    assert_eq!(
        status_of(consumer.call(&core.nrf(), &call, &patch("/nfStatus", "REGISTERED".into())).await),
        204
    );
    assert_eq!(status_of(consumer.call(&core.nrf(), &call, &patch("/priority", 4.into())).await), 200);
    assert_eq!(status_of(consumer.call(&core.nrf(), &call, &patch("/nfType", "UDM".into())).await), 403);
    let mistaken = RegisterNfInstance { nf_instance_id: NfInstanceId::nil(), profile };
    assert_eq!(status_of(consumer.call(&core.nrf(), &call, &mistaken).await), 400);
    let deregister = DeregisterNfInstance { nf_instance_id: id };
    assert_eq!(status_of(consumer.call(&core.nrf(), &call, &deregister).await), 204);
    assert_eq!(status_of(consumer.call(&core.nrf(), &call, &deregister).await), 404);
    ausf.stop().await;
}

/// Producers are found, the better first, the next when it is gone.
async fn finds_producers(core: Core) {
    let ausf = core.ausf().await;
    assert!(matches!(ping(&ausf).await, Err(TransportError::NotDiscovered(_))));
    let (second, second_calls) = core.udm(2).await;
    eventually(async || ping(&ausf).await == Ok(204)).await;
    let (first, first_calls) = core.udm(1).await;
    // The notification of the new one makes the consumer ask again.
    eventually(async || ping(&ausf).await == Ok(204) && first_calls.load(Ordering::Relaxed) > 0).await;
    let before = second_calls.load(Ordering::Relaxed);
    first.stop().await;
    assert_eq!(ping(&ausf).await, Ok(204));
    assert_eq!(second_calls.load(Ordering::Relaxed), before + 1);
    // One that dies without a word is passed over as well.
    let (third, third_calls) = core.udm(0).await;
    eventually(async || ping(&ausf).await == Ok(204) && third_calls.load(Ordering::Relaxed) > 0).await;
    drop(third);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(ping(&ausf).await, Ok(204));
    second.stop().await;
    ausf.stop().await;
}

/// A restarted NRF knows who was there, and heartbeats go on.
async fn survives_a_restart(mut core: Core) {
    let (udm, _) = core.udm(0).await;
    core.restart().await;
    let ausf = core.ausf().await;
    assert_eq!(ping(&ausf).await, Ok(204));
    tokio::time::sleep(Duration::from_secs(3)).await;
    let profiles = ausf.consumer().discover(&NfType::Udm, None, &Selection::default()).await.unwrap();
    assert_eq!(profiles.len(), 1);
    udm.stop().await;
    ausf.stop().await;
}

/// An NRF that has lost its store is told again who is there, and who wants to know of changes.
async fn is_told_again(mut core: Core) {
    let (udm, _) = core.udm(5).await;
    let ausf = core.ausf().await;
    assert_eq!(ping(&ausf).await, Ok(204));
    core.nrf_env = core.env();
    core.restart().await;
    let of_type = |nf_type| ListNfInstances { nf_type, limit: None, page_number: None, page_size: None };
    eventually(async || {
        let list = ausf.consumer().call(&core.nrf(), &Call::default(), &of_type(None)).await;
        list.is_ok_and(|list| list.body.total_item_count == Some(2))
            && core.nrf_env.status.get()["subscriptions"] == 1
    })
    .await;
    // Without the notification the better one would be found when the old answer expires.
    let (better, calls) = core.udm(1).await;
    eventually(async || ping(&ausf).await == Ok(204) && calls.load(Ordering::Relaxed) > 0).await;
    better.stop().await;
    udm.stop().await;
    ausf.stop().await;
}

/// Requests that cannot be read get the cause of TS 29.500 Table 5.2.7.2-1.
async fn refuses_with_causes(core: Core) {
    let env = core.env();
    let search = |query: &[(&str, &str)]| tern_sbi::Request {
        method: tern_sbi::Method::Get,
        path: SearchNfInstances::PATH.into(),
        query: query.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
        headers: tern_sbi::Headers::default(),
        body: tern_sbi::Body::Empty,
    };
    for (request, status, cause) in [
        (search(&[("target-nf-type", "UDM")]), 400, "MANDATORY_QUERY_PARAM_MISSING"),
        (
            search(&[("target-nf-type", "UDM"), ("requester-nf-type", "AMF"), ("snssais", "x")]),
            400,
            "OPTIONAL_QUERY_PARAM_INCORRECT",
        ),
        (
            tern_sbi::Request { path: "/nnrf-disc/v1/x".into(), ..search(&[]) },
            404,
            "RESOURCE_URI_STRUCTURE_NOT_FOUND",
        ),
        (tern_sbi::Request { path: "/nnrf-disc/v9/x".into(), ..search(&[]) }, 400, "INVALID_API"),
    ] {
        let reply = env.sbi.send(&core.nrf_root, &Call::default(), request).await.unwrap();
        let problem = reply.body.problem().unwrap();
        assert_eq!((reply.status, problem.cause.as_deref()), (status, Some(cause)));
    }
}

macro_rules! over_both {
    ($($name:ident($heartbeat:literal)),+ $(,)?) => {
        mod http {
            $(
                #[tokio::test]
                async fn $name() {
                    super::$name(super::Core::start(None, $heartbeat).await).await;
                }
            )+
        }
        mod memory {
            $(
                #[tokio::test(start_paused = true)]
                async fn $name() {
                    let network = tern_nf::SimNetwork::new(1);
                    super::$name(super::Core::start(Some(network), $heartbeat).await).await;
                }
            )+
        }
    };
}

over_both!(
    manages_instances(10),
    finds_producers(10),
    survives_a_restart(1),
    is_told_again(1),
    refuses_with_causes(10),
);

/// It may be starting again with what it had.
#[tokio::test(start_paused = true)]
async fn when_the_producer_of_a_resource_is_away_for_a_moment_then_the_request_reaches_it_all_the_same() {
    let core = Core::start(Some(SimNetwork::new(1)), 10).await;
    let (ausf, sbi) = (core.ausf().await, core.sbi());
    let target = Target::ApiRoot(sbi.api_root());
    let began = tokio::time::Instant::now();
    let away = ping_at(&ausf, &target, Call::default()).await;
    assert!(matches!(away, Err(TransportError::Unreachable(_))), "{away:?}");
    assert!(began.elapsed() < Duration::from_secs(2), "it does not come");
    let began = tokio::time::Instant::now();
    let call = Call { timeout: Some(Duration::from_millis(100)), ..Call::default() };
    assert!(ping_at(&ausf, &target, call).await.is_err());
    assert!(began.elapsed() < Duration::from_millis(100), "no longer than the consumer waits");
    let (answer, (_udm, calls)) = tokio::join!(ping_at(&ausf, &target, Call::default()), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        core.udm_at(0, &sbi).await
    });
    assert_eq!((answer.unwrap(), calls.load(Ordering::Relaxed)), (204, 1));
}

/// A transport over which each producer is lost with the first request that is sent to it.
struct LostOnce {
    sent: AtomicUsize,
    inner: Arc<dyn Transport>,
}

impl Transport for LostOnce {
    fn serve(
        &self,
        at: SocketAddr,
        service: Arc<dyn Service>,
    ) -> BoxFuture<'_, std::io::Result<Box<dyn Serving>>> {
        self.inner.serve(at, service)
    }

    fn send(
        &self,
        api_root: &str,
        call: &Call,
        request: tern_sbi::Request,
    ) -> BoxFuture<'_, Result<tern_sbi::Reply, TransportError>> {
        if request.path.ends_with("/ping") && self.sent.fetch_add(1, Ordering::Relaxed) == 0 {
            let lost = Err(TransportError::Lost("with the producer".into()));
            return Box::pin(std::future::ready(lost));
        }
        self.inner.send(api_root, call, request)
    }
}

/// The producer may have done it: what may be repeated is made again, whatever its method.
#[tokio::test(start_paused = true)]
async fn when_an_answer_is_lost_with_its_producer_then_what_may_be_repeated_is_made_again() {
    use tern_sbi::Method::{Get, Post};
    for (method, repeatable, sent) in [(Get, false, 2), (Post, false, 1), (Post, true, 2)] {
        let core = Core::start(Some(SimNetwork::new(1)), 10).await;
        let sbi = core.sbi();
        let _udm = core.udm_at(0, &sbi).await;
        let mut env = core.env();
        let transport = Arc::new(LostOnce { sent: AtomicUsize::new(0), inner: env.sbi });
        env.sbi = transport.clone();
        let seed = ProfileSeed::new(NfType::Ausf, vec![ServiceName::NausfAuth]);
        let ausf = Nf::start(&env, &core.sbi(), seed, Routes::new()).await.unwrap();
        let call = Call { repeatable, ..Call::default() };
        let request = tern_sbi::Request { method, ..ping_request() };
        let answer = ausf.consumer().send(&Target::ApiRoot(sbi.api_root()), &call, request).await;
        assert_eq!(transport.sent.load(Ordering::Relaxed), sent, "{method:?} {repeatable}");
        assert_eq!(answer.is_ok(), sent == 2);
    }
}

#[tokio::test(start_paused = true)]
async fn when_an_nf_falls_silent_then_it_is_no_longer_found() {
    let core = Core::start(Some(SimNetwork::new(1)), 1).await;
    let (udm, _) = core.udm(0).await;
    let ausf = core.ausf().await;
    let found = async || {
        let by = ausf.consumer();
        by.discover(&NfType::Udm, None, &Selection::default()).await.unwrap().len()
    };
    assert_eq!(found().await, 1);
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(found().await, 1);
    // Its upkeep ends with it; nobody deregisters.
    drop(udm);
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(found().await, 0);
    assert_eq!(core.nrf_env.counters.get("nrf.instance.suspended"), 1);
}
