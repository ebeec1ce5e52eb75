//! What the operator's tools ask of network functions, beside the 3GPP services.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use serde::de::DeserializeOwned;
use tern_sbi::{Body, Call, Headers, Method, ProblemDetails, Reply, Request, TransportError};
use tern_sbi_transport::{Hybrid, HybridOptions, Transport, TransportChoice};
use tern_types::Duration;

use crate::core_config::CoreConfig;

/// How long a tool waits for one answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Sends requests to the network functions' own paths.
pub struct Client {
    transport: Arc<dyn Transport>,
}

/// An answer that is not the one hoped for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers there.
    #[error("{0}")]
    Unreachable(TransportError),
    /// It said no.
    #[error("{0}")]
    Refused(ProblemDetails),
}

impl Client {
    /// Through the shared memory of this core if it has some and this user may use it, else over TCP.
    pub fn new(core: &CoreConfig) -> Result<Self> {
        let transport = match core.sbi {
            TransportChoice::Tcp => TransportChoice::Tcp,
            TransportChoice::Auto | TransportChoice::Shm => TransportChoice::Auto,
        };
        let options = HybridOptions { transport, ..HybridOptions::new(core.manager(), "tern") };
        Ok(Self { transport: Arc::new(Hybrid::new(options, |_| {})?) })
    }

    /// Sends one request; a status of 2xx is an answer, all else an error.
    pub async fn send(
        &self,
        api_root: &str,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        content: Option<Vec<u8>>,
    ) -> Result<Reply, ClientError> {
        let query = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let body = match content {
            None => Body::Empty,
            Some(text) if method == Method::Patch => Body::JsonPatch(text.into()),
            Some(text) => Body::Json(text.into()),
        };
        let request = Request { method, path: path.to_owned(), query, headers: Headers::default(), body };
        let call = Call { timeout: Some(TIMEOUT), ..Call::default() };
        let reply = self.transport.send(api_root, &call, request).await.map_err(ClientError::Unreachable)?;
        if (200..300).contains(&reply.status) {
            return Ok(reply);
        }
        Err(ClientError::Refused(
            reply.body.problem().unwrap_or_else(|| ProblemDetails::new(reply.status, "")),
        ))
    }

    /// Reads a document.
    pub async fn get<T: DeserializeOwned>(
        &self,
        api_root: &str,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T> {
        let reply = self.send(api_root, Method::Get, path, query, None).await?;
        let Some(text) = reply.body.json() else { bail!("{api_root}{path}: an answer without content") };
        serde_json::from_slice(&text).with_context(|| format!("{api_root}{path}"))
    }
}
