//! Two network functions that ask each other for more than there is room for.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use sbi_shm::PoolShape;
use tern_sbi::{Body, Call, Method, PRIORITY_OF_NEW_WORK, TransportError};
use tern_sbi_transport::{HttpLimits, Hybrid, HybridOptions, Serving, Transport, TransportChoice};

use crate::conformance::manager;
use crate::service::{are_held, get, request, routes, serve, with_held};

/// Requests in progress on one connection, of which new work may be three quarters.
const PLACES: u32 = 8;
const OF_NEW_WORK: usize = 6;
/// Octets of one content: many times what the pool holds.
const CONTENT: usize = 40_000;

struct Function {
    transport: Arc<Hybrid>,
    _serving: Box<dyn Serving>,
    root: String,
    held: Arc<AtomicUsize>,
}

async fn function(manager: &str, name: &str) -> Function {
    let options = HybridOptions {
        transport: TransportChoice::Shm,
        limits: HttpLimits { streams_max: PLACES, ..HttpLimits::default() },
        ..HybridOptions::new(manager, name)
    };
    let transport = Arc::new(Hybrid::new(options, |_| {}).unwrap());
    let (routes, held) = with_held(routes());
    let (serving, root) = serve(&*transport, routes).await;
    Function { transport, _serving: serving, root, held }
}

/// New work that is never answered holds all the places it may have, in both directions, in a small
/// pool. What was admitted comes through all the same, and new work beyond them is refused at once.
#[tokio::test]
async fn when_two_flood_each_other_with_new_work_then_what_was_admitted_is_answered() {
    let manager = manager(PoolShape { buffers: 64, buffer_size: 64 });
    let (one, other) = (function(&manager, "ONE").await, function(&manager, "OTHER").await);
    let begins = Call { priority: Some(PRIORITY_OF_NEW_WORK), ..Call::default() };
    let content = Body::Json(format!("\"{}\"", "x".repeat(CONTENT)).into());
    let mut stuck = Vec::new();
    for (from, to) in [(&one, &other), (&other, &one)] {
        for _ in 0..OF_NEW_WORK {
            let (transport, root, begins) = (from.transport.clone(), to.root.clone(), begins.clone());
            stuck.push(tokio::spawn(
                async move { transport.send(&root, &begins, get("/test/v1/held")).await },
            ));
        }
    }
    are_held(&one.held, OF_NEW_WORK).await;
    are_held(&other.held, OF_NEW_WORK).await;
    for (from, to) in [(&one, &other), (&other, &one)] {
        let refused = from.transport.send(&to.root, &begins, get("/test/v1/held")).await;
        assert!(matches!(refused, Err(TransportError::Unreachable(_))), "{refused:?}");
    }
    let mut admitted = Vec::new();
    for (from, to) in [(&one, &other), (&other, &one)].repeat(PLACES as usize - OF_NEW_WORK) {
        let (transport, root, body) = (from.transport.clone(), to.root.clone(), content.clone());
        let sent = request(Method::Post, "/test/v1/echo", body);
        admitted.push(tokio::spawn(async move { transport.send(&root, &Call::default(), sent).await }));
    }
    for answer in admitted {
        let reply = answer.await.unwrap().unwrap();
        assert_eq!((reply.status, &reply.body), (200, &content));
    }
    assert!(stuck.iter().all(|request| !request.is_finished()));
    stuck.iter().for_each(tokio::task::JoinHandle::abort);
}
