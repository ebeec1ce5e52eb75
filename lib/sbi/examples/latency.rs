//! Latency of one typed operation over TCP loopback, producer and consumer in one thread:
//! `cargo run --release -p tern-sbi-transport --example latency [requests]`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tern_sbi::nausf_auth::Authenticate;
use tern_sbi::{Body, Call, Headers, Method, Operation, Reply, Request};
use tern_sbi_transport::http::Tcp;
use tern_sbi_transport::{Http, HttpLimits, MemoryTransport, Routes, Transport};

/// About what an AUSF answers with.
const ANSWER_OCTETS: usize = 600;

fn main() {
    let requests = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(20_000);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let http = Arc::new(Http::tcp(Tcp::default(), HttpLimits::default(), "BENCH"));
        measure("HTTP/2 over TCP", http, requests).await;
        measure("memory", Arc::new(MemoryTransport::new()), requests).await;
    });
}

async fn measure(name: &str, transport: Arc<dyn Transport>, requests: usize) {
    let answer = format!("{{\"x\":\"{}\"}}", "y".repeat(ANSWER_OCTETS));
    let routes = Routes::new().on_reply(move |_, op: Authenticate| {
        let body = Body::Json(answer.clone().into());
        std::future::ready(Reply {
            body,
            ..Reply::empty(if op.to_request().path.is_empty() { 500 } else { 201 })
        })
    });
    let at = "127.0.0.1:0".parse().expect("an address");
    let serving = transport.serve(at, Arc::new(routes)).await.expect("it serves");
    let root = format!("http://{}", serving.local_addr());
    for streams in [1, 16, 64] {
        let (mut times, took) = round(&transport, &root, requests, streams).await;
        times.sort_unstable();
        let percentile = |p: usize| times[times.len() * p / 1000].as_secs_f64() * 1e6;
        println!(
            "{name:<16} {streams:>3} streams: p50 {:>7.1} us  p99 {:>7.1} us  {:>8.0} requests/s",
            percentile(500),
            percentile(990),
            times.len() as f64 / took.as_secs_f64()
        );
    }
}

async fn round(
    transport: &Arc<dyn Transport>,
    root: &str,
    requests: usize,
    streams: usize,
) -> (Vec<Duration>, Duration) {
    let started = Instant::now();
    let tasks: Vec<_> = (0..streams)
        .map(|_| {
            let (transport, root) = (transport.clone(), root.to_owned());
            tokio::spawn(async move {
                let mut times = Vec::with_capacity(requests / streams);
                for _ in 0..requests / streams {
                    let started = Instant::now();
                    let reply = transport.send(&root, &Call::default(), request()).await.expect("a reply");
                    assert_eq!(reply.status, 201, "{reply:?}");
                    times.push(started.elapsed());
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.expect("no panic"));
    }
    (times, started.elapsed())
}

fn request() -> Request {
    let json =
        r#"{"supiOrSuci":"imsi-001010000000001","servingNetworkName":"5G:mnc001.mcc001.3gppnetwork.org"}"#;
    Request {
        method: Method::Post,
        path: Authenticate::PATH.into(),
        query: Vec::new(),
        headers: Headers::default(),
        body: Body::Json(json.into()),
    }
}
