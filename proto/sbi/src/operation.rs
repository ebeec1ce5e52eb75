//! Service operations, typed on both sides.

use tern_types::Duration;

use crate::{Body, Content, Method, ProblemDetails, Reply, Request};

/// A service operation; the value is its request.
///
/// The encoding half is the consumer's, the decoding half the producer's; the simulation, HTTP
/// and any later transport use the same two.
pub trait Operation: Clone + Send + 'static {
    /// The content of a successful answer.
    type Answer: Send;
    /// The content of an unsuccessful answer; [`ProblemDetails`] for most operations.
    type Failure: Failure;

    /// Name in logs and counters, such as `Nausf_UEAuthentication_Authenticate`.
    const NAME: &'static str;
    /// HTTP method.
    const METHOD: Method;
    /// Path template after the apiRoot, such as
    /// `/nausf-auth/v1/ue-authentications/{authCtxId}/5g-aka-confirmation`.
    const PATH: &'static str;

    /// The request that travels.
    fn into_request(self) -> Request;
    /// The same of a copy.
    fn to_request(&self) -> Request {
        self.clone().into_request()
    }
    /// Reads the request that travelled; the error is the answer of TS 29.500 §5.2.7.2.
    fn from_request(params: &PathParams, request: &Request) -> Result<Self, ProblemDetails>;
    /// The reply that travels.
    fn to_reply(result: Result<Response<Self::Answer>, OperationError<Self::Failure>>) -> Reply;
    /// Reads the reply that travelled.
    fn from_reply(reply: Reply) -> Result<Response<Self::Answer>, OperationError<Self::Failure>>;
}

/// An error body of an operation.
pub trait Failure: Sized + Send + 'static {
    /// Writes it.
    fn into_body(self) -> Body;
    /// Reads a body that is not `application/problem+json`; `None` if it is none of this kind.
    fn from_body(body: &Body) -> Option<Self>;
    /// The ProblemDetails in it.
    fn problem(&self) -> &ProblemDetails;
}

impl Failure for ProblemDetails {
    fn into_body(self) -> Body {
        Body::Problem(Content::of(self))
    }

    fn from_body(_: &Body) -> Option<Self> {
        None
    }

    fn problem(&self) -> &ProblemDetails {
        self
    }
}

/// The `3gpp-Sbi-Message-Priority` (0, the highest, to 31) of a request that begins a procedure.
/// Requests of this priority and lower ones leave places of a network function, and of a connection in
/// shared memory, to the requests of procedures that were admitted before.
pub const PRIORITY_OF_NEW_WORK: u8 = 24;

/// What a consumer says of one call besides its request.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Call {
    /// The user session that the call belongs to (a SUPI's or session's key): calls of one
    /// session may share a connection.
    pub session: Option<u64>,
    /// How long the consumer waits, in whole; `None` for the transport's default.
    pub timeout: Option<Duration>,
    /// `3gpp-Sbi-Message-Priority`: 0 (highest) to 31.
    pub priority: Option<u8>,
    /// The call ends something that would stay otherwise: it is made again while the producer does
    /// not answer, a few times in a minute. Only for what may be repeated.
    #[serde(default)]
    pub insist: bool,
    /// It may be repeated if its answer was lost, whatever its method: the producer goes on from there, or says that
    /// it is over.
    #[serde(default)]
    pub repeatable: bool,
}

/// A successful answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response<T> {
    /// HTTP status code, 2xx.
    pub status: u16,
    /// URI of the resource that was created, absolute.
    pub location: Option<String>,
    /// How long the answer may be cached (`Cache-Control: max-age`).
    pub max_age: Option<Duration>,
    /// Content.
    pub body: T,
}

impl<T> Response<T> {
    /// 200 OK.
    pub fn ok(body: T) -> Self {
        Self { status: 200, location: None, max_age: None, body }
    }

    /// 201 Created, at `location`.
    pub fn created(location: String, body: T) -> Self {
        Self { status: 201, location: Some(location), max_age: None, body }
    }
}

impl Response<()> {
    /// 204 No Content.
    pub fn no_content() -> Self {
        Self { status: 204, ..Self::ok(()) }
    }
}

/// Why a call has no successful answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum OperationError<E = ProblemDetails> {
    /// The producer refused, with the operation's own error body.
    #[error("refused with status {status}")]
    Refused {
        /// HTTP status code.
        status: u16,
        /// The operation's error body.
        body: E,
    },
    /// The producer, or what stands before it, refused with `application/problem+json`. So
    /// arrives every refusal of an operation whose error body is ProblemDetails.
    #[error("refused: {0}")]
    Problem(ProblemDetails),
    /// No answer came.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// An answer came that cannot be read.
    #[error("answer not understood: {0}")]
    Malformed(String),
}

impl<E: Failure> OperationError<E> {
    /// HTTP status code of a refusal.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            Self::Problem(problem) => problem.status,
            Self::Transport(_) | Self::Malformed(_) => None,
        }
    }

    /// The ProblemDetails of a refusal.
    pub fn problem(&self) -> Option<&ProblemDetails> {
        match self {
            Self::Refused { body, .. } => Some(body.problem()),
            Self::Problem(problem) => Some(problem),
            Self::Transport(_) | Self::Malformed(_) => None,
        }
    }

    /// The application's cause in a refusal, such as `USER_NOT_FOUND`.
    pub fn cause(&self) -> Option<&str> {
        self.problem()?.cause.as_deref()
    }
}

impl<E> From<ProblemDetails> for OperationError<E> {
    fn from(problem: ProblemDetails) -> Self {
        Self::Problem(problem)
    }
}

/// Why no answer came.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// No producer of the service is known.
    #[error("no producer found: {0}")]
    NotDiscovered(String),
    /// No connection to the producer.
    #[error("connection failed: {0}")]
    Unreachable(String),
    /// The consumer's time ran out.
    #[error("no answer in time")]
    TimedOut,
    /// The connection was lost after the request was sent.
    #[error("connection lost: {0}")]
    Lost(String),
}

/// Values of the `{…}` segments of a path template, in their order, percent-decoded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PathParams(pub Vec<String>);

impl PathParams {
    /// Matches `path` (without query) against an operation's template.
    pub fn matching(template: &str, path: &str) -> Option<Self> {
        let mut params = Vec::new();
        let mut segments = path.split('/');
        for expected in template.split('/') {
            let segment = segments.next()?;
            if expected.starts_with('{') {
                params.push(percent_decode(segment)?);
            } else if expected != segment {
                return None;
            }
        }
        if segments.next().is_none() { Some(Self(params)) } else { None }
    }

    /// Fills a template; each value is percent-encoded as one segment.
    pub fn fill(template: &str, values: &[&str]) -> String {
        let mut values = values.iter();
        let mut path = String::with_capacity(template.len() + 32);
        for (index, segment) in template.split('/').enumerate() {
            if index > 0 {
                path.push('/');
            }
            if segment.starts_with('{') {
                percent_encode(values.next().expect("invariant: one value a parameter"), &mut path);
            } else {
                path.push_str(segment);
            }
        }
        path
    }
}

/// An absolute URI split at its apiRoot: `http://10.0.0.1:8080` and `/nausf-auth/v1/…`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Location {
    /// Scheme and authority.
    pub api_root: String,
    /// Path, with its leading slash.
    pub path: String,
}

impl Location {
    /// Splits an absolute `http` or `https` URI; the query, if any, stays with the path.
    pub fn parse(uri: &str) -> Option<Self> {
        let rest = uri.strip_prefix("http://").or_else(|| uri.strip_prefix("https://"))?;
        let authority = rest.split('/').next().filter(|a| !a.is_empty())?;
        let root_len = uri.len() - rest.len() + authority.len();
        Some(Self { api_root: uri[..root_len].to_owned(), path: uri[root_len..].to_owned() })
    }

    /// The last path segment: a resource's identity.
    pub fn last_segment(&self) -> Option<String> {
        self.path.rsplit('/').next().filter(|s| !s.is_empty()).and_then(percent_decode)
    }
}

fn percent_encode(text: &str, out: &mut String) {
    use std::fmt::Write as _;
    for byte in text.bytes() {
        // Unreserved and the sub-delims and ":" "@" that a segment may hold: RFC 3986 §3.3.
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("invariant: writing to a String");
        }
    }
}

/// Reads percent-encoded text (RFC 3986 §2.1); `None` if an escape or the result is none.
pub fn percent_decode(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16));
            let (high, low) = (digit(rest.next())?, digit(rest.next())?);
            bytes.push((high << 4 | low) as u8);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_match_and_fill() {
        let template = "/nudm-sdm/v2/{supi}/am-data";
        let path = PathParams::fill(template, &["imsi-1/2 é"]);
        assert_eq!(path, "/nudm-sdm/v2/imsi-1%2F2%20%C3%A9/am-data");
        assert_eq!(PathParams::matching(template, &path).unwrap().0, ["imsi-1/2 é"]);
        assert_eq!(PathParams::matching(template, "/nudm-sdm/v2/x"), None);
        assert_eq!(PathParams::matching(template, "/nudm-sdm/v2/x/am-data/y"), None);
        assert_eq!(PathParams::matching(template, "/nudm-sdm/v2/%zz/am-data"), None);
    }

    #[test]
    fn locations_split_at_the_api_root() {
        let location = Location::parse("http://127.0.0.1:80/a/v1/b/7").unwrap();
        assert_eq!(location.api_root, "http://127.0.0.1:80");
        assert_eq!(location.path, "/a/v1/b/7");
        assert_eq!(location.last_segment().unwrap(), "7");
        assert_eq!(Location::parse("ftp://x/y"), None);
        assert_eq!(Location::parse("http:///y"), None);
    }
}
