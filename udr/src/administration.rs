//! What `tern subscriber` speaks: the operator's records, beside the 3GPP service.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tern_sbi::common::PatchItem;
use tern_sbi::{Body, Method, PathParams, ProblemDetails, Reply, Request};
use tern_sbi_transport::Routes;
use tern_store::StoreError;
use tern_types::Supi;

use crate::Udr;
use crate::repository::{ChangeError, Repository};
use crate::subscriber::Subscriber;

/// List and import.
pub const SUBSCRIBERS_PATH: &str = "/tern/v1/subscribers";
/// One subscriber.
pub const SUBSCRIBER_PATH: &str = "/tern/v1/subscribers/{supi}";
/// Records of one page, and of one import request.
const PAGE_LEN_MAX: usize = 1000;

/// One page of subscribers, without keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriberList {
    /// In the order of their SUPIs.
    pub subscribers: Vec<SubscriberSummary>,
    /// Where the next page begins: `?after=`; none behind the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Supi>,
}

/// A subscriber without keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriberSummary {
    /// Who.
    pub supi: Supi,
    /// Slices with their data networks, as text.
    pub slices: BTreeMap<String, Vec<String>>,
}

/// What an import did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportOutcome {
    /// Records written.
    pub imported: usize,
}

pub(crate) fn routes(udr: &Udr, routes: Routes) -> Routes {
    let [a, b, c, d, e, f] = std::array::from_fn(|_| udr.clone());
    routes
        .raw(Method::Get, SUBSCRIBERS_PATH, move |_, request| list(a.clone(), request))
        .raw(Method::Post, SUBSCRIBERS_PATH, move |_, request| import(b.clone(), request))
        .raw(Method::Get, SUBSCRIBER_PATH, move |params, request| show(c.clone(), params, request))
        .raw(Method::Put, SUBSCRIBER_PATH, move |params, request| put(d.clone(), params, request))
        .raw(Method::Patch, SUBSCRIBER_PATH, move |params, request| change(f.clone(), params, request))
        .raw(Method::Delete, SUBSCRIBER_PATH, move |params, _| remove(e.clone(), params))
}

async fn list(udr: Udr, request: Request) -> Reply {
    let after = match parameter(&request, "after").map(str::parse).transpose() {
        Ok(after) => after,
        Err(error) => return ProblemDetails::invalid("INVALID_QUERY_PARAM", "after", error).into_reply(),
    };
    let limit = parameter(&request, "limit").and_then(|text| text.parse().ok()).unwrap_or(PAGE_LEN_MAX);
    reply(page(&udr.repository, after.as_ref(), limit.clamp(1, PAGE_LEN_MAX)).await)
}

async fn page(repository: &Repository, after: Option<&Supi>, limit: usize) -> Result<Reply, StoreError> {
    let records = repository.page(after, limit).await?;
    let full = records.len() == limit;
    let subscribers: Vec<_> = records.iter().map(SubscriberSummary::of).collect();
    let next = subscribers.last().filter(|_| full).map(|last| last.supi.clone());
    Ok(json(200, &SubscriberList { subscribers, next }))
}

async fn show(udr: Udr, params: PathParams, request: Request) -> Reply {
    let supi = match supi(&params) {
        Ok(supi) => supi,
        Err(problem) => return problem.into_reply(),
    };
    let with_keys = parameter(&request, "keys") == Some("true");
    reply(udr.repository.subscriber(&supi).await.map(|found| match found {
        None => ProblemDetails::new(404, "USER_NOT_FOUND").into_reply(),
        Some(subscriber) if with_keys => json(200, &subscriber),
        Some(subscriber) => json(200, &masked(&subscriber)),
    }))
}

async fn put(udr: Udr, params: PathParams, request: Request) -> Reply {
    let supi = match supi(&params) {
        Ok(supi) => supi,
        Err(problem) => return problem.into_reply(),
    };
    let subscriber: Subscriber = match content(&request) {
        Ok(subscriber) => subscriber,
        Err(problem) => return problem.into_reply(),
    };
    if subscriber.supi != supi {
        return ProblemDetails::invalid("MANDATORY_IE_INCORRECT", "supi", "differs from the path")
            .into_reply();
    }
    let only_new = parameter(&request, "new") == Some("true");
    write(&udr, &[subscriber], only_new).await
}

/// JSON Patch (RFC 6902) of a record.
async fn change(udr: Udr, params: PathParams, request: Request) -> Reply {
    let supi = match supi(&params) {
        Ok(supi) => supi,
        Err(problem) => return problem.into_reply(),
    };
    let patch: Vec<PatchItem> = match content(&request) {
        Ok(patch) => patch,
        Err(problem) => return problem.into_reply(),
    };
    match udr.repository.change(&supi, &patch).await {
        Ok(()) => {
            tracing::info!(%supi, "subscriber changed");
            udr.changed.notify_one();
            Reply::empty(204)
        }
        Err(ChangeError::Unknown) => ProblemDetails::new(404, "USER_NOT_FOUND").into_reply(),
        Err(ChangeError::Invalid(problem)) => problem.into_reply(),
        Err(ChangeError::Store(error)) => reply(Err(error)),
    }
}

async fn import(udr: Udr, request: Request) -> Reply {
    let subscribers: Vec<Subscriber> = match content(&request) {
        Ok(subscribers) => subscribers,
        Err(problem) => return problem.into_reply(),
    };
    if subscribers.len() > PAGE_LEN_MAX {
        let reason = format!("at most {PAGE_LEN_MAX} records in one request");
        return ProblemDetails::invalid("MANDATORY_IE_INCORRECT", "", reason).into_reply();
    }
    let only_new = parameter(&request, "new") == Some("true");
    write(&udr, &subscribers, only_new).await
}

/// Checks all records and writes all or none.
async fn write(udr: &Udr, subscribers: &[Subscriber], only_new: bool) -> Reply {
    for subscriber in subscribers {
        if let Err(error) = subscriber.check() {
            let param = format!("{}: {}", subscriber.supi, error.field);
            return ProblemDetails::invalid("MANDATORY_IE_INCORRECT", &param, error.expected).into_reply();
        }
    }
    match udr.repository.put(subscribers, only_new).await {
        Ok(()) => {
            udr.changed.notify_one();
            tracing::info!(count = subscribers.len(), first = ?subscribers.first().map(|s| &s.supi), "subscribers written");
            json(200, &ImportOutcome { imported: subscribers.len() })
        }
        Err(StoreError::Conflict { key, .. }) => {
            let supi = key.rsplit('/').next().unwrap_or_default();
            let problem = ProblemDetails { status: Some(409), ..ProblemDetails::default() };
            problem.with_detail(format_args!("{supi} is there already")).into_reply()
        }
        Err(error) => reply(Err(error)),
    }
}

async fn remove(udr: Udr, params: PathParams) -> Reply {
    let supi = match supi(&params) {
        Ok(supi) => supi,
        Err(problem) => return problem.into_reply(),
    };
    reply(udr.repository.remove(&supi).await.map(|found| {
        if found {
            tracing::info!(%supi, "subscriber removed");
            udr.changed.notify_one();
            Reply::empty(204)
        } else {
            ProblemDetails::new(404, "USER_NOT_FOUND").into_reply()
        }
    }))
}

impl SubscriberSummary {
    fn of(subscriber: &Subscriber) -> Self {
        let slices = subscriber.slices.iter().map(|slice| {
            (slice.snssai.to_string(), slice.dnns.iter().map(|dnn| dnn.dnn.to_string()).collect())
        });
        Self { supi: subscriber.supi.clone(), slices: slices.collect() }
    }
}

/// The record with its keys replaced by asterisks.
pub fn masked(subscriber: &Subscriber) -> serde_json::Value {
    let mut value = serde_json::to_value(subscriber).unwrap_or_default();
    for key in ["k", "opc", "op"] {
        if let Some(secret) = value.pointer_mut(&format!("/authentication/{key}")) {
            *secret = "********".into();
        }
    }
    value
}

fn supi(params: &PathParams) -> Result<Supi, ProblemDetails> {
    let text = params.0.first().map_or("", String::as_str);
    text.parse().map_err(|error| ProblemDetails::invalid("MANDATORY_IE_INCORRECT", "supi", error))
}

fn content<T: serde::de::DeserializeOwned>(request: &Request) -> Result<T, ProblemDetails> {
    let invalid = |reason: &str| ProblemDetails::invalid("INVALID_MSG_FORMAT", "", reason);
    let (Body::Json(content) | Body::JsonPatch(content)) = &request.body else {
        return Err(invalid("expected application/json"));
    };
    let Some(text) = content.text() else { return Err(invalid("not understood")) };
    serde_json::from_slice(&text).map_err(|error| invalid(&error.to_string()))
}

fn parameter<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

fn json<T: Serialize>(status: u16, content: &T) -> Reply {
    match serde_json::to_vec(content) {
        Ok(text) => Reply { body: Body::Json(text.into()), ..Reply::empty(status) },
        Err(error) => ProblemDetails::new(500, "SYSTEM_FAILURE").with_detail(error).into_reply(),
    }
}

fn reply(result: Result<Reply, StoreError>) -> Reply {
    result.unwrap_or_else(|error| {
        tracing::error!(%error, "the store failed");
        ProblemDetails::new(500, "SYSTEM_FAILURE").into_reply()
    })
}
