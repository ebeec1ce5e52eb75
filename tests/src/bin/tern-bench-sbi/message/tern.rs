//! tern's own transport, as its network functions have it: over TCP, or through shared memory with
//! typed messages.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, anyhow, ensure};
use bytes::Bytes;
use sbi_shm::Waiting;
use tern_sbi::{Body, Call, Headers, Method, Reply, Request};
use tern_sbi_transport::http::Tcp;
use tern_sbi_transport::{Http, HttpLimits, Hybrid, HybridOptions, Routes, Transport, TransportChoice};

use super::{Consumer, Exchanged, Hooks, check, response};
use crate::serve::{SHARED, ready};
use crate::turns::{Client, OnRuntime};

/// Gives as many octets as the answer has, whatever it gets.
const PLAIN: &str = "/bench/v1/plain";

/// TCP, or the shared memory of a manager; to be made on the runtime of these hooks.
fn transport(
    socket: Option<&str>,
    name: &str,
    waiting: Waiting,
    hooks: &Hooks,
) -> Result<Arc<dyn Transport>> {
    let Some(socket) = socket else {
        return Ok(Arc::new(Http::tcp(Tcp::default(), HttpLimits::default(), name)));
    };
    let transport = TransportChoice::Shm;
    let options = HybridOptions { transport, waiting, ..HybridOptions::new(socket, name) };
    let hooks = hooks.clone();
    Ok(Arc::new(Hybrid::new(options, move |stack| hooks.attached(stack))?))
}

/// Answers the operation, and plain octets.
pub fn serve<E: Exchanged>(socket: Option<&str>, waiting: Waiting) -> Result<()> {
    let answer = Arc::new(E::answer()?);
    let plain = Bytes::from(serde_json::to_vec(&*answer)?);
    let routes = Routes::new()
        .on(move |_: Call, operation: E| {
            let answer = answer.clone();
            async move {
                std::hint::black_box(operation);
                Ok(response::<E>(&answer))
            }
        })
        .raw(Method::Post, PLAIN, move |_, _| {
            let body = Body::Json(plain.clone().into());
            async move { Reply { body, ..Reply::empty(200) } }
        });
    let hooks = Hooks::default();
    hooks.runtime()?.block_on(async {
        let at = if socket.is_some() { SHARED.parse()? } else { ([127, 0, 0, 1], 0).into() };
        let transport = transport(socket, "PRODUCER", waiting, &hooks)?;
        let serving = transport.serve(at, Arc::new(routes)).await?;
        ready(serving.local_addr())?;
        std::future::pending().await
    })
}

/// Calls again and again, through `shared` memory or over TCP.
pub fn client<E: Exchanged>(consumer: Consumer<'_>, shared: bool) -> Result<Box<dyn Client>> {
    let hooks = Hooks::default();
    let runtime = hooks.runtime()?;
    let socket = shared.then_some(consumer.socket);
    let transport = runtime.block_on(async { transport(socket, "CONSUMER", consumer.waiting, &hooks) })?;
    let operation = E::example()?;
    let (root, mut first) = (format!("http://{}", consumer.at), true);
    let mut next = Instant::now();
    let call = async move || {
        if let Some(pace) = consumer.pace {
            next += pace;
            tokio::time::sleep_until(next.into()).await;
        }
        let reply = transport.send(&root, &Call::default(), operation.to_request()).await?;
        let response = E::from_reply(reply).map_err(|error| anyhow!("{error}"))?;
        if std::mem::take(&mut first) {
            check::<E>(&response.body)?;
        }
        std::hint::black_box(response);
        Ok(())
    };
    Ok(Box::new(OnRuntime { runtime, call }))
}

/// The same with octets that mean nothing, over TCP.
pub fn plain_client<E: Exchanged>(at: SocketAddr) -> Result<Box<dyn Client>> {
    let hooks = Hooks::default();
    let runtime = hooks.runtime()?;
    let transport = runtime.block_on(async { transport(None, "CONSUMER", Waiting::default(), &hooks) })?;
    let octets = Bytes::from(serde_json::to_vec(E::example()?.content())?);
    let expected = serde_json::to_vec(&E::answer()?)?.len();
    let root = format!("http://{at}");
    let call = async move || {
        let request = Request {
            method: Method::Post,
            path: PLAIN.to_owned(),
            query: Vec::new(),
            headers: Headers::default(),
            body: Body::Json(octets.clone().into()),
        };
        let reply = transport.send(&root, &Call::default(), request).await?;
        let len = reply.body.json().map_or(0, |text| text.len());
        ensure!((reply.status, len) == (200, expected), "{} with {len} octets", reply.status);
        Ok(())
    };
    Ok(Box::new(OnRuntime { runtime, call }))
}
