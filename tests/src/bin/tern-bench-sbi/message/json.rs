//! HTTP/2 and JSON over TCP, by hyper and serde_json alone: what an SBI costs at its best with the
//! kernel. One connection that stays, without Nagle's delay, and a runtime of one thread at each end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2 as client;
use hyper::server::conn::http2 as server;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tern_sbi::PathParams;
use tokio::net::{TcpListener, TcpStream};

use super::{Exchanged, Hooks, check};
use crate::serve::ready;
use crate::turns::{Client, OnRuntime};

const JSON: &str = "application/json";

/// What a server answers with.
enum Answer<R> {
    /// A model that is written anew each time.
    Model(R),
    /// Octets that are there.
    Plain(Bytes),
}

/// Octets of the request's and the answer's JSON text.
pub fn plain_sizes<E: Exchanged>() -> Result<(usize, usize)> {
    let request = serde_json::to_vec(E::example()?.content())?;
    Ok((request.len(), serde_json::to_vec(&E::answer()?)?.len()))
}

/// Answers with the example, or `plain`ly with as many octets.
pub fn serve<E: Exchanged>(plain: bool) -> Result<()> {
    let model = E::answer()?;
    let answer = match plain {
        true => Answer::Plain(serde_json::to_vec(&model)?.into()),
        false => Answer::Model(model),
    };
    let answer = Arc::new(answer);
    Hooks::default().runtime()?.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        ready(listener.local_addr()?)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let answer = answer.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let answer = answer.clone();
                    async move { Ok::<_, Infallible>(respond::<E>(request, &answer).await) }
                });
                let http2 = server::Builder::new(TokioExecutor::new());
                if let Err(error) = http2.serve_connection(TokioIo::new(stream), service).await {
                    eprintln!("json: {error}");
                }
            });
        }
    })
}

async fn respond<E: Exchanged>(
    request: Request<Incoming>,
    answer: &Answer<E::Reply>,
) -> Response<Full<Bytes>> {
    let written = match answer {
        Answer::Plain(octets) => {
            request.into_body().collect().await.map(|_| octets.clone()).map_err(anyhow::Error::from)
        }
        Answer::Model(answer) => read::<E>(request).await.and_then(|content| {
            std::hint::black_box(content);
            Ok(serde_json::to_vec(answer)?.into())
        }),
    };
    let (status, body) = match written {
        Ok(body) => (StatusCode::OK, body),
        Err(error) => (StatusCode::BAD_REQUEST, Bytes::from(error.to_string())),
    };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(JSON));
    response
}

async fn read<E: Exchanged>(request: Request<Incoming>) -> Result<(PathParams, E::Content)> {
    let params = PathParams::matching(E::PATH, request.uri().path()).context("another path")?;
    let content = request.into_body().collect().await?.to_bytes();
    Ok((params, serde_json::from_slice(&content)?))
}

/// Calls again and again, with a request that is written anew each time unless `plain`.
pub fn client<E: Exchanged>(at: SocketAddr, plain: bool) -> Result<Box<dyn Client>> {
    let runtime = Hooks::default().runtime()?;
    let operation = E::example()?;
    let uri = format!("http://{at}{}", operation.to_request().path);
    let octets = Bytes::from(serde_json::to_vec(operation.content())?);
    let expected = serde_json::to_vec(&E::answer()?)?.len();
    let sender = runtime.block_on(async {
        let stream = TcpStream::connect(at).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) =
            client::handshake::<_, _, Full<Bytes>>(TokioExecutor::new(), TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        anyhow::Ok(sender)
    })?;
    let mut first = true;
    let call = async move || {
        let body = match plain {
            true => octets.clone(),
            false => serde_json::to_vec(operation.content())?.into(),
        };
        let request = Request::post(&uri).header(header::CONTENT_TYPE, JSON).body(Full::new(body))?;
        let response = sender.clone().send_request(request).await?;
        let status = response.status();
        let content = response.into_body().collect().await?.to_bytes();
        ensure!(status == StatusCode::OK, "{status}: {}", String::from_utf8_lossy(&content));
        if plain {
            ensure!(content.len() == expected, "{} octets", content.len());
            return Ok(());
        }
        let answer: E::Reply = serde_json::from_slice(&content)?;
        if std::mem::take(&mut first) {
            check::<E>(&answer)?;
        }
        std::hint::black_box(answer);
        Ok(())
    };
    Ok(Box::new(OnRuntime { runtime, call }))
}
