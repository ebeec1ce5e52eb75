//! One suite for all transports.

use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use sbi_shm::PoolShape;
use sbi_shm::manager::{Domain, Manager, ManagerOptions};
use tern_sbi::{Body, Call, Method, PRIORITY_OF_NEW_WORK, ProblemDetails, Reply, Request, TransportError};
use tern_sbi_transport::http::Tcp;
use tern_sbi_transport::{
    BoxFuture, Codec, Connections, Http, HttpLimits, Hybrid, HybridOptions, MemoryTransport, Service,
    Serving, Transport, TransportChoice,
};
use tern_types::Duration;

use crate::service::{are_held, get, related, request, routes, serve, with_held};

fn http() -> Arc<dyn Transport> {
    Arc::new(Http::tcp(Tcp::default(), HttpLimits::default(), "TEST"))
}

/// Shared memory, with a manager of its own; producer and consumer are two processes' worth of it.
fn shm(codec: Codec, connections: Connections) -> Arc<dyn Transport> {
    let manager = manager(PoolShape::default());
    let end = |name: &str| {
        let options = HybridOptions {
            transport: TransportChoice::Shm,
            codec,
            connections,
            ..HybridOptions::new(&manager, name)
        };
        Hybrid::new(options, |_| {}).unwrap()
    };
    Arc::new(TwoEnds { producer: end("PRODUCER"), consumer: end("CONSUMER") })
}

/// Serves by one transport and sends by the other.
struct TwoEnds {
    producer: Hybrid,
    consumer: Hybrid,
}

impl Transport for TwoEnds {
    fn serve(
        &self,
        at: SocketAddr,
        service: Arc<dyn Service>,
    ) -> BoxFuture<'_, std::io::Result<Box<dyn Serving>>> {
        self.producer.serve(at, service)
    }

    fn send(
        &self,
        api_root: &str,
        call: &Call,
        request: Request,
    ) -> BoxFuture<'_, Result<Reply, TransportError>> {
        self.consumer.send(api_root, call, request)
    }
}

/// Starts a manager that grants this user 127.0.0.0/8; it lives as long as the tests.
pub(crate) fn manager(pool: PoolShape) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let socket = format!("@tern-sbi-test-{}-{number}", std::process::id());
    let user = std::fs::metadata("/proc/self").unwrap().uid();
    let domain = Domain { pool, ..Domain::new("test", user, vec!["127.0.0.0/8".parse().unwrap()]) };
    let options = ManagerOptions { socket: socket.clone(), domains: vec![domain] };
    let manager = Manager::bind(options).unwrap();
    std::thread::spawn(move || manager.run(|_| {}));
    socket
}

/// No manager: what is meant for shared memory goes over TCP.
fn unmanaged() -> Arc<dyn Transport> {
    Arc::new(Hybrid::new(HybridOptions::new("@tern-sbi-nobody", "TEST"), |_| {}).unwrap())
}

fn memory() -> Arc<dyn Transport> {
    Arc::new(MemoryTransport::new())
}

async fn bodies_arrive_as_they_were_sent(transport: Arc<dyn Transport>) {
    let (_serving, root) = serve(&*transport, routes()).await;
    let large = format!("\"{}\"", "x".repeat(700_000));
    let json = || "{\"a\":[1,2]}".into();
    for body in [
        Body::Empty,
        Body::Json(json()),
        Body::Hal(json()),
        Body::Problem(json()),
        Body::MergePatch(json()),
        Body::JsonPatch(json()),
        Body::Json(large.into()),
        related(),
    ] {
        let sent = request(Method::Post, "/test/v1/echo", body.clone());
        let reply = transport.send(&root, &Call::default(), sent).await.unwrap();
        assert_eq!((reply.status, reply.body), (200, body));
    }
}

async fn header_fields_and_queries_arrive(transport: Arc<dyn Transport>) {
    let (_serving, root) = serve(&*transport, routes()).await;
    let mut sent = get("/test/v1/full");
    sent.query = vec![("a".into(), "[{\"b\":\"c d\"}]&=+é".into()), ("a".into(), String::new())];
    sent.headers.if_match = Some("\"1\"".into());
    let call = Call { timeout: Some(Duration::from_millis(2500)), priority: Some(3), ..Call::default() };
    let reply = transport.send(&root, &call, sent.clone()).await.unwrap();
    sent.headers.max_response_time = call.timeout;
    sent.headers.priority = call.priority;
    let told = format!("{:?} {:?}", sent.headers, sent.query);
    assert_eq!(reply.body, Body::Json(serde_json::json!(told).to_string().into()));
    assert_eq!((reply.status, reply.location.as_deref()), (201, Some("http://h/test/v1/full/1")));
    assert_eq!(reply.retry_after, Some(Duration::from_secs(7)));
    assert_eq!((reply.etag.as_deref(), reply.max_age), (Some("\"e\""), Some(Duration::from_secs(9))));
}

async fn what_is_not_served_is_refused(transport: Arc<dyn Transport>) {
    let (_serving, root) = serve(&*transport, routes()).await;
    for (sent, status) in [
        (get("/test/v1/nothing"), 404),
        (get("/other/v1/x"), 400),
        (request(Method::Delete, "/test/v1/slow", Body::Empty), 405),
    ] {
        let reply = transport.send(&root, &Call::default(), sent).await.unwrap();
        let Body::Problem(content) = reply.body else { panic!("{:?}", reply.body) };
        let problem: ProblemDetails = content.read().unwrap();
        assert_eq!((reply.status, problem.status), (status, Some(status)));
    }
}

async fn a_deadline_ends_the_call(transport: Arc<dyn Transport>) {
    let (_serving, root) = serve(&*transport, routes()).await;
    let call = Call { timeout: Some(Duration::from_millis(100)), ..Call::default() };
    let outcome = transport.send(&root, &call, get("/test/v1/stuck")).await;
    assert_eq!(outcome, Err(TransportError::TimedOut));
    // And the connection, if there is one, is as good as before.
    assert_eq!(transport.send(&root, &Call::default(), get("/test/v1/slow")).await.unwrap().status, 204);
}

async fn stopping_lets_running_requests_end(transport: Arc<dyn Transport>) {
    let (serving, root) = serve(&*transport, routes()).await;
    let at = serving.local_addr();
    let running = {
        let (transport, root) = (transport.clone(), root.clone());
        tokio::spawn(async move { transport.send(&root, &Call::default(), get("/test/v1/slow")).await })
    };
    tokio::time::sleep(Duration::from_millis(50)).await;
    serving.stop().await;
    assert_eq!(running.await.unwrap().unwrap().status, 204);
    let refused = transport.send(&root, &Call::default(), get("/test/v1/slow")).await;
    assert!(matches!(refused, Err(TransportError::Unreachable(_))), "{refused:?}");
    // A successor at the same place is reached again.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let _again = transport.serve(at, Arc::new(routes())).await.unwrap();
    assert_eq!(transport.send(&root, &Call::default(), get("/test/v1/slow")).await.unwrap().status, 204);
}

async fn many_requests_share_the_way(transport: Arc<dyn Transport>) {
    let (_serving, root) = serve(&*transport, routes()).await;
    let started = tokio::time::Instant::now();
    let calls: Vec<_> = (0..200)
        .map(|_| {
            let (transport, root) = (transport.clone(), root.clone());
            tokio::spawn(async move { transport.send(&root, &Call::default(), get("/test/v1/slow")).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().status, 204);
    }
    assert!(started.elapsed() < Duration::from_secs(5));
}

async fn one_place_serves_once(transport: Arc<dyn Transport>) {
    let (serving, _) = serve(&*transport, routes()).await;
    assert!(transport.serve(serving.local_addr(), Arc::new(routes())).await.is_err());
}

async fn new_work_leaves_places_to_what_was_admitted(transport: Arc<dyn Transport>) {
    let (routes, held) = with_held(routes().in_progress_max(4));
    let (_serving, root) = serve(&*transport, routes).await;
    let begins = Call { priority: Some(PRIORITY_OF_NEW_WORK), ..Call::default() };
    let running: Vec<_> = (0..3)
        .map(|_| {
            let (transport, root, begins) = (transport.clone(), root.clone(), begins.clone());
            tokio::spawn(async move { transport.send(&root, &begins, get("/test/v1/held")).await })
        })
        .collect();
    are_held(&held, 3).await;
    let echo = || request(Method::Post, "/test/v1/echo", Body::Empty);
    assert_eq!(transport.send(&root, &begins, echo()).await.unwrap().status, 503);
    assert_eq!(transport.send(&root, &Call::default(), echo()).await.unwrap().status, 200);
    running.iter().for_each(tokio::task::JoinHandle::abort);
}

async fn congestion_is_told(transport: Arc<dyn Transport>) {
    let (_serving, root) = serve(&*transport, routes().in_progress_max(1)).await;
    let running = {
        let (transport, root) = (transport.clone(), root.clone());
        tokio::spawn(async move { transport.send(&root, &Call::default(), get("/test/v1/slow")).await })
    };
    tokio::time::sleep(Duration::from_millis(50)).await;
    let reply = transport.send(&root, &Call::default(), get("/test/v1/slow")).await.unwrap();
    assert_eq!((reply.status, reply.retry_after), (503, Some(Duration::from_secs(1))));
    assert_eq!(running.await.unwrap().unwrap().status, 204);
}

macro_rules! conformance {
    ($($name:ident),+ $(,)?) => {
        mod over_http {
            $(#[tokio::test] async fn $name() { super::$name(super::http()).await; })+
        }
        mod over_shared_memory_typed {
            $(#[tokio::test] async fn $name() {
                super::$name(super::shm(Codec::Auto, Connections::Multiplexed)).await;
            })+
            use super::{Codec, Connections};
        }
        mod over_shared_memory_http2 {
            $(#[tokio::test] async fn $name() {
                super::$name(super::shm(Codec::Http2, Connections::Session)).await;
            })+
            use super::{Codec, Connections};
        }
        mod over_tcp_without_a_manager {
            $(#[tokio::test] async fn $name() { super::$name(super::unmanaged()).await; })+
        }
        mod over_memory {
            $(#[tokio::test(start_paused = true)] async fn $name() { super::$name(super::memory()).await; })+
        }
    };
}

conformance!(
    bodies_arrive_as_they_were_sent,
    header_fields_and_queries_arrive,
    what_is_not_served_is_refused,
    a_deadline_ends_the_call,
    stopping_lets_running_requests_end,
    many_requests_share_the_way,
    one_place_serves_once,
    congestion_is_told,
    new_work_leaves_places_to_what_was_admitted,
);

mod faults {
    use tern_sbi_transport::{Fault, Faults};
    use tern_types::Random;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_seed_decides_what_is_lost() {
        async fn run(seed: u8) -> Vec<bool> {
            let transport = MemoryTransport::new();
            let (_serving, root) = serve(&transport, routes()).await;
            let mut faults = Faults::new(Random::from_seed([seed; 32]));
            faults.drop_request_ppm = 200_000;
            faults.drop_reply_ppm = 200_000;
            faults.delay_max = Duration::from_millis(5);
            transport.set_faults(Some(faults));
            let mut answered = Vec::new();
            for _ in 0..50 {
                let reply = transport.send(&root, &Call::default(), get("/test/v1/full")).await;
                answered.push(reply.is_ok());
            }
            answered
        }
        let first = run(1).await;
        assert_eq!(first, run(1).await);
        assert_ne!(first, run(2).await);
        assert!(first.contains(&true) && first.contains(&false));
    }

    #[tokio::test(start_paused = true)]
    async fn a_hook_decides_by_request() {
        let transport = MemoryTransport::new();
        let (_serving, root) = serve(&transport, routes()).await;
        transport.set_hook(|_, request| request.path.ends_with("slow").then_some(Fault::Refuse));
        let call = Call::default();
        assert!(transport.send(&root, &call, get("/test/v1/slow")).await.is_err());
        assert!(transport.send(&root, &call, get("/test/v1/full")).await.is_ok());
    }
}
