//! From a request to the handler of its operation: TS 29.501 §4.4, TS 29.500 §5.2.7.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tern_sbi::{
    Call, Method, Operation, OperationError, PRIORITY_OF_NEW_WORK, PathParams, ProblemDetails, Reply,
    Request, Response,
};
use tern_types::Duration;

use crate::transport::{BoxFuture, Service};

/// Requests that one [`Routes`] answers at the same time, unless told otherwise; more are
/// refused with 503 `NF_CONGESTION` before they are decoded.
pub const REQUESTS_IN_PROGRESS_MAX: usize = 4096;
/// One place in this many is kept from new work, so that the requests of procedures that were
/// admitted find one however much else begins.
const KEPT_SHARE: usize = 4;

/// What a refused consumer is told to wait.
const RETRY_AFTER: Duration = Duration::from_secs(1);

type Handler = Arc<dyn Fn(PathParams, Request) -> BoxFuture<'static, Reply> + Send + Sync>;

/// Answers each request by the operation whose method and path template it matches.
///
/// An unknown API is 400 `INVALID_API`, an unknown resource of a known one 404
/// `RESOURCE_URI_STRUCTURE_NOT_FOUND`, an unknown method of a known resource 405.
///
/// ```ignore
/// Routes::new().on(move |call: Call, op: Authenticate| authenticate(context.clone(), call, op))
/// ```
pub struct Routes {
    routes: Vec<Route>,
    in_progress_max: usize,
    in_progress: Arc<AtomicUsize>,
}

struct Route {
    method: Method,
    template: &'static str,
    /// The template's.
    segments: Vec<&'static str>,
    name: &'static str,
    handler: Handler,
}

impl Route {
    /// The last segments first: they differ most among the resources of a service.
    fn fits(&self, segments: &[&str]) -> bool {
        let fits = |(own, given): (&&str, &&str)| own.starts_with('{') || own == given;
        self.segments.len() == segments.len() && self.segments.iter().zip(segments).rev().all(fits)
    }
}

impl Default for Routes {
    fn default() -> Self {
        Self::new()
    }
}

impl Routes {
    /// No operation yet.
    pub fn new() -> Self {
        Self {
            routes: Vec::new(),
            in_progress_max: REQUESTS_IN_PROGRESS_MAX,
            in_progress: Arc::new(AtomicUsize::new(0)),
        }
    }

    /// Answers at most `requests` at the same time.
    #[must_use]
    pub fn in_progress_max(mut self, requests: usize) -> Self {
        self.in_progress_max = requests;
        self
    }

    /// Answers operation `O` with `handler`.
    #[must_use]
    pub fn on<O, F, Fut>(self, handler: F) -> Self
    where
        O: Operation,
        F: Fn(Call, O) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Response<O::Answer>, OperationError<O::Failure>>> + Send + 'static,
    {
        self.on_reply::<O, _, _>(move |call, op| {
            let answer = handler(call, op);
            async move { O::to_reply(answer.await) }
        })
    }

    /// Answers operation `O` with a handler that gives the encoded reply, such as an
    /// owner task that the request is passed to.
    #[must_use]
    pub fn on_reply<O, F, Fut>(self, handler: F) -> Self
    where
        O: Operation,
        F: Fn(Call, O) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Reply> + Send + 'static,
    {
        self.insert(O::METHOD, O::PATH, O::NAME, move |params, request| {
            match O::from_request(&params, &request) {
                Ok(op) => {
                    let call = Call {
                        timeout: request.headers.max_response_time,
                        priority: request.headers.priority,
                        ..Call::default()
                    };
                    Box::pin(handler(call, op))
                }
                Err(problem) => {
                    tracing::debug!(operation = O::NAME, %problem, "request refused");
                    Box::pin(std::future::ready(problem.into_reply()))
                }
            }
        })
    }

    /// Answers `method` on `template` without an operation's types: what is not a 3GPP service.
    #[must_use]
    pub fn raw<F, Fut>(self, method: Method, template: &'static str, handler: F) -> Self
    where
        F: Fn(PathParams, Request) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Reply> + Send + 'static,
    {
        self.insert(method, template, template, move |params, request| Box::pin(handler(params, request)))
    }

    fn insert<F>(mut self, method: Method, template: &'static str, name: &'static str, handler: F) -> Self
    where
        F: Fn(PathParams, Request) -> BoxFuture<'static, Reply> + Send + Sync + 'static,
    {
        // A fixed segment is preferred to a variable one at the same place.
        let at = self.routes.partition_point(|r| specificity(r.template) >= specificity(template));
        let segments = template.split('/').collect();
        self.routes.insert(at, Route { method, template, segments, name, handler: Arc::new(handler) });
        self
    }

    fn find(&self, method: Method, path: &str) -> Result<(&Route, PathParams), ProblemDetails> {
        let mut known_resource = false;
        let segments: Vec<&str> = path.split('/').collect();
        for route in self.routes.iter().filter(|route| route.fits(&segments)) {
            if let Some(params) = PathParams::matching(route.template, path) {
                if route.method == method {
                    return Ok((route, params));
                }
                known_resource = true;
            }
        }
        Err(if known_resource {
            ProblemDetails { status: Some(405), ..ProblemDetails::default() }
                .with_detail(format_args!("{method:?} is not a method of {path}"))
        } else if self.routes.iter().any(|r| api_of(r.template) == api_of(path)) {
            ProblemDetails::new(404, "RESOURCE_URI_STRUCTURE_NOT_FOUND").with_detail(path)
        } else {
            ProblemDetails::new(400, "INVALID_API").with_detail(path)
        })
    }
}

/// One character a segment: fixed sorts after variable.
fn specificity(template: &str) -> Vec<bool> {
    template.split('/').map(|segment| !segment.starts_with('{')).collect()
}

/// Name and version: the first two segments.
fn api_of(path: &str) -> (Option<&str>, Option<&str>) {
    let mut segments = path.split('/').skip(1);
    (segments.next(), segments.next())
}

/// Counts a request as long as it lives, also when its future is dropped.
struct InProgress(Arc<AtomicUsize>);

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many of `all` places may be taken when such a request takes one.
pub(crate) fn places(all: usize, request: &Request) -> usize {
    match request.headers.priority {
        Some(PRIORITY_OF_NEW_WORK..) => all - all / KEPT_SHARE,
        _ => all,
    }
}

impl Service for Routes {
    fn handle(&self, request: Request) -> BoxFuture<'_, Reply> {
        let in_progress = self.in_progress.fetch_add(1, Ordering::Relaxed);
        let counted = InProgress(self.in_progress.clone());
        if in_progress >= places(self.in_progress_max, &request) {
            tracing::debug!(path = request.path, in_progress, "request refused: congestion");
            let reply = Reply {
                retry_after: Some(RETRY_AFTER),
                ..ProblemDetails::new(503, "NF_CONGESTION").into_reply()
            };
            return Box::pin(std::future::ready(reply));
        }
        match self.find(request.method, &request.path) {
            Ok((route, params)) => {
                let answer = (route.handler)(params, request);
                let name = route.name;
                Box::pin(async move {
                    let _counted = counted;
                    let reply = answer.await;
                    tracing::debug!(operation = name, status = reply.status, "answered");
                    reply
                })
            }
            Err(problem) => {
                tracing::debug!(method = ?request.method, path = request.path, %problem, "request refused");
                Box::pin(std::future::ready(problem.into_reply()))
            }
        }
    }

    fn allowed(&self, path: &str) -> Vec<Method> {
        self.routes
            .iter()
            .filter(|route| PathParams::matching(route.template, path).is_some())
            .map(|route| route.method)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use tern_sbi::{Body, Headers};

    use super::*;

    fn request(method: Method, path: &str) -> Request {
        let (query, headers) = (Vec::new(), Headers::default());
        Request { method, path: path.to_owned(), query, headers, body: Body::Empty }
    }

    fn routes() -> Routes {
        let status = |status| move |_, _| async move { Reply::empty(status) };
        Routes::new()
            .raw(Method::Get, "/a/v1/{id}", status(201))
            .raw(Method::Get, "/a/v1/shared", status(202))
            .raw(Method::Delete, "/a/v1/{id}/x", status(204))
    }

    #[tokio::test]
    async fn a_fixed_segment_is_preferred_to_a_variable_one() {
        assert_eq!(routes().handle(request(Method::Get, "/a/v1/shared")).await.status, 202);
        assert_eq!(routes().handle(request(Method::Get, "/a/v1/other")).await.status, 201);
    }

    #[tokio::test]
    async fn what_is_not_routed_is_refused_with_its_cause() {
        let refusal = async |method, path| {
            let reply = routes().handle(request(method, path)).await;
            let problem = reply.body.problem().unwrap();
            assert_eq!(problem.status, Some(reply.status));
            (reply.status, problem.cause.unwrap_or_default())
        };
        assert_eq!(refusal(Method::Put, "/a/v1/7").await, (405, String::new()));
        assert_eq!(
            refusal(Method::Get, "/a/v1/7/y").await,
            (404, "RESOURCE_URI_STRUCTURE_NOT_FOUND".to_owned())
        );
        assert_eq!(refusal(Method::Get, "/a/v2/7").await, (400, "INVALID_API".to_owned()));
        assert_eq!(refusal(Method::Get, "").await, (400, "INVALID_API".to_owned()));
        assert_eq!(routes().allowed("/a/v1/7"), [Method::Get]);
    }

    #[tokio::test]
    async fn when_too_many_requests_are_in_progress_then_the_next_is_refused() {
        let routes = Routes::new()
            .in_progress_max(1)
            .raw(Method::Get, "/a/v1/b", |_, _| std::future::pending::<Reply>());
        let first = routes.handle(request(Method::Get, "/a/v1/b"));
        let second = routes.handle(request(Method::Get, "/a/v1/b")).await;
        assert_eq!((second.status, second.retry_after), (503, Some(RETRY_AFTER)));
        drop(first);
        let third = routes.handle(request(Method::Get, "/a/v1/c")).await;
        assert_eq!(third.status, 404);
    }
}
