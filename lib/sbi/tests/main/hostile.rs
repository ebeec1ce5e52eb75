//! Peers that do not play by the rules: each is bounded, and others are served meanwhile.

use std::sync::Arc;

use tern_sbi::{Body, Call, Method, ProblemDetails, TransportError};
use tern_sbi_transport::http::Tcp;
use tern_sbi_transport::{Http, HttpLimits, Transport};
use tern_types::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::service::{get, request, routes, serve};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// An empty SETTINGS frame.
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

fn limits() -> HttpLimits {
    HttpLimits {
        content_max: 10_000,
        connections_max: 8,
        connections_per_peer_max: 4,
        preface_timeout: Duration::from_millis(200),
        first_request_timeout: Duration::from_millis(300),
        idle_timeout: Duration::from_millis(300),
        content_timeout: Duration::from_millis(300),
        drain_timeout: Duration::from_millis(200),
        ..HttpLimits::default()
    }
}

fn http() -> Arc<Http> {
    Arc::new(Http::tcp(Tcp::default(), limits(), "TEST"))
}

async fn works(transport: &dyn Transport, root: &str) {
    let reply = transport.send(root, &Call::default(), get("/test/v1/full")).await.unwrap();
    assert_eq!(reply.status, 201);
}

async fn connect(root: &str) -> TcpStream {
    TcpStream::connect(root.trim_start_matches("http://")).await.unwrap()
}

/// Time until the peer closes.
async fn closed_after(stream: &mut TcpStream) -> Duration {
    let started = tokio::time::Instant::now();
    let mut sink = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut sink)).await;
    ended.expect("the connection was left open").ok();
    started.elapsed()
}

#[tokio::test]
async fn when_garbage_comes_then_the_connection_is_closed_at_once() {
    let http = http();
    let (_serving, root) = serve(&*http, routes()).await;
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x16\x03\x01\x02\x00", &[0; 4096]] {
        let mut stream = connect(&root).await;
        stream.write_all(garbage).await.unwrap();
        assert!(closed_after(&mut stream).await < Duration::from_millis(150));
    }
    let mut stream = connect(&root).await;
    stream.write_all(&[PREFACE, SETTINGS, &[0xff; 2000]].concat()).await.unwrap();
    closed_after(&mut stream).await;
    works(&*http, &root).await;
}

#[tokio::test]
async fn when_a_peer_is_silent_then_it_is_closed_in_time() {
    let http = http();
    let (_serving, root) = serve(&*http, routes()).await;
    let mut mute = connect(&root).await;
    let mut slow = connect(&root).await;
    slow.write_all(&PREFACE[..10]).await.unwrap();
    let mut idle = connect(&root).await;
    idle.write_all(&[PREFACE, SETTINGS].concat()).await.unwrap();
    let (mute, slow, idle) =
        tokio::join!(closed_after(&mut mute), closed_after(&mut slow), closed_after(&mut idle));
    for waited in [mute, slow, idle] {
        assert!((Duration::from_millis(150)..Duration::from_secs(2)).contains(&waited), "{waited:?}");
    }
    works(&*http, &root).await;
}

#[tokio::test]
async fn when_one_address_opens_too_many_connections_then_the_rest_is_closed() {
    let http = http();
    let (_serving, root) = serve(&*http, routes()).await;
    works(&*http, &root).await;
    let mut streams = Vec::new();
    for _ in 0..20 {
        streams.push(connect(&root).await);
    }
    for stream in &mut streams[3..] {
        assert!(closed_after(stream).await < Duration::from_millis(150));
    }
    // Who was there before goes on, and the places become free again.
    works(&*http, &root).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    works(&Http::tcp(Tcp::default(), limits(), "OTHER"), &root).await;
}

#[tokio::test]
async fn when_an_idle_connection_was_closed_then_the_consumer_opens_another() {
    let http = http();
    let (_serving, root) = serve(&*http, routes()).await;
    for _ in 0..3 {
        works(&*http, &root).await;
        tokio::time::sleep(Duration::from_millis(900)).await;
    }
}

#[tokio::test]
async fn when_content_is_too_large_then_413() {
    let (strict, lax) = (http(), Http::tcp(Tcp::default(), HttpLimits::default(), "LAX"));
    let (_serving, root) = serve(&*strict, routes()).await;
    let large = Body::Json(format!("\"{}\"", "x".repeat(20_000)).into());
    let sent = request(Method::Post, "/test/v1/echo", large);
    let reply = lax.send(&root, &Call::default(), sent).await.unwrap();
    let Body::Problem(content) = reply.body else { panic!("{:?}", reply.body) };
    let problem: ProblemDetails = content.read().unwrap();
    assert_eq!((reply.status, problem.status), (413, Some(413)));
    works(&lax, &root).await;
}

#[tokio::test]
async fn when_a_reply_is_too_large_then_the_call_fails() {
    let (strict, lax) = (http(), Http::tcp(Tcp::default(), HttpLimits::default(), "LAX"));
    let large = || Body::Json(format!("\"{}\"", "x".repeat(20_000)).into());
    let routes = routes().raw(Method::Get, "/test/v1/large", move |_, _| async move {
        tern_sbi::Reply { body: large(), ..tern_sbi::Reply::empty(200) }
    });
    let (_serving, root) = serve(&lax, routes).await;
    let outcome = strict.send(&root, &Call::default(), get("/test/v1/large")).await;
    assert!(matches!(outcome, Err(TransportError::Lost(_))), "{outcome:?}");
    works(&*strict, &root).await;
}

#[tokio::test]
async fn when_a_producer_is_no_http2_or_silent_then_the_call_ends() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let root = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut kept = Vec::new();
        for index in 0.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            if index % 2 == 0 {
                stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.ok();
            }
            kept.push(stream);
        }
    });
    let http = http();
    let call = Call { timeout: Some(Duration::from_millis(500)), ..Call::default() };
    for _ in 0..4 {
        let outcome = http.send(&root, &call, get("/test/v1/full")).await;
        assert!(outcome.is_err(), "{outcome:?}");
    }
    for root in ["http://127.0.0.1:1", "https://127.0.0.1:1", "nonsense", "http://"] {
        let outcome = http.send(root, &call, get("/test/v1/full")).await;
        assert!(matches!(outcome, Err(TransportError::Unreachable(_))), "{root}: {outcome:?}");
    }
}

/// CVE-2023-44487: streams that are opened and reset at once.
#[tokio::test]
async fn when_streams_are_reset_in_a_flood_then_the_connection_is_closed() {
    let http = http();
    let (_serving, root) = serve(&*http, routes()).await;
    let mut stream = connect(&root).await;
    let mut flood = [PREFACE, SETTINGS].concat();
    // :method GET, :scheme http, :path / (static table), :authority x.
    let header_block = [0x82, 0x86, 0x84, 0x41, 0x01, b'x'];
    for index in 0..5000u32 {
        let id = (2 * index + 1).to_be_bytes();
        flood.extend_from_slice(&[0, 0, header_block.len() as u8, 1, 5]);
        flood.extend_from_slice(&id);
        flood.extend_from_slice(&header_block);
        flood.extend_from_slice(&[0, 0, 4, 3, 0]);
        flood.extend_from_slice(&id);
        flood.extend_from_slice(&8u32.to_be_bytes());
    }
    // The peer may close while we write.
    let _ = stream.write_all(&flood).await;
    closed_after(&mut stream).await;
    works(&*http, &root).await;
}
