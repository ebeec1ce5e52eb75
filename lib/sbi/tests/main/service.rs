//! A service for tests: it tells what it was asked.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tern_sbi::{Body, Headers, Method, Part, PartKind, Reply, Request};
use tern_sbi_transport::{Routes, Serving, Transport};
use tern_types::Duration;

/// `echo` returns the body; `slow` takes 200 ms; `stuck` never answers; `full` returns all
/// header fields.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .raw(Method::Post, "/test/v1/echo", |_, request| async move {
            Reply { body: request.body, ..Reply::empty(200) }
        })
        .raw(Method::Get, "/test/v1/slow", |_, _| async move {
            tokio::time::sleep(Duration::from_millis(200)).await;
            Reply::empty(204)
        })
        .raw(Method::Get, "/test/v1/stuck", |_, _| std::future::pending())
        .raw(Method::Get, "/test/v1/full", |_, request| async move {
            let told = format!("{:?} {:?}", request.headers, request.query);
            Reply {
                status: 201,
                location: Some("http://h/test/v1/full/1".into()),
                retry_after: Some(Duration::from_secs(7)),
                etag: Some("\"e\"".into()),
                max_age: Some(Duration::from_secs(9)),
                body: Body::Json(serde_json::json!(told).to_string().into()),
            }
        })
}

/// With `held`, which never answers, and how many requests it holds.
pub(crate) fn with_held(routes: Routes) -> (Routes, Arc<AtomicUsize>) {
    let held = Arc::new(AtomicUsize::new(0));
    let counted = held.clone();
    let routes = routes.raw(Method::Get, "/test/v1/held", move |_, _| {
        counted.fetch_add(1, Ordering::Relaxed);
        std::future::pending()
    });
    (routes, held)
}

/// Waits until so many requests are held.
pub(crate) async fn are_held(held: &AtomicUsize, wanted: usize) {
    while held.load(Ordering::Relaxed) < wanted {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

pub(crate) async fn serve(transport: &dyn Transport, routes: Routes) -> (Box<dyn Serving>, String) {
    let at: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let serving = transport.serve(at, Arc::new(routes)).await.unwrap();
    let root = format!("http://{}", serving.local_addr());
    (serving, root)
}

pub(crate) fn request(method: Method, path: &str, body: Body) -> Request {
    Request { method, path: path.into(), query: Vec::new(), headers: Headers::default(), body }
}

pub(crate) fn get(path: &str) -> Request {
    request(Method::Get, path, Body::Empty)
}

pub(crate) fn related() -> Body {
    let part = |id: &str, kind, data: &'static [u8]| Part { id: id.into(), kind, data: data.into() };
    let parts = vec![part("n1", PartKind::Nas, b"\x7e\x00\r\n--"), part("n2", PartKind::Ngap, b"")];
    Body::Related { json: "{\"a\":1}".into(), parts }
}
