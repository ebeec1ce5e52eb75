//! Requests and replies as HTTP messages: TS 29.500 §5.2, TS 29.501 §4.4.

use std::fmt::Write as _;

use bytes::{Bytes, BytesMut};
use http::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH,
    IF_NONE_MATCH, LOCATION, RETRY_AFTER, USER_AGENT,
};
use http::{StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body as _, Incoming};
use tern_sbi::{Body, Headers, Method, ProblemDetails, Reply, Request, percent_decode};
use tern_types::Duration;

use super::limits::HttpLimits;
use crate::multipart;

const MAX_RSP_TIME: HeaderName = HeaderName::from_static("3gpp-sbi-max-rsp-time");
const MESSAGE_PRIORITY: HeaderName = HeaderName::from_static("3gpp-sbi-message-priority");

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const HAL: HeaderValue = HeaderValue::from_static("application/3gppHal+json");
const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");
const MERGE_PATCH: HeaderValue = HeaderValue::from_static("application/merge-patch+json");
const JSON_PATCH: HeaderValue = HeaderValue::from_static("application/json-patch+json");
const ACCEPTED: HeaderValue =
    HeaderValue::from_static("application/json, application/problem+json, multipart/related");

/// Why content could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ContentError {
    #[error("content of more than {0} octets")]
    TooLarge(usize),
    #[error("content did not arrive in time")]
    Late,
    #[error("content was cut off: {0}")]
    Cut(String),
    #[error("media type {0:?} is not supported")]
    MediaType(String),
    #[error("multipart/related: {0}")]
    Multipart(#[from] multipart::MultipartError),
}

impl ContentError {
    /// The answer of TS 29.500 Table 5.2.7.1-1.
    pub(crate) fn into_problem(self) -> ProblemDetails {
        let status = match self {
            Self::TooLarge(_) => 413,
            Self::Late => 408,
            Self::MediaType(_) | Self::Multipart(multipart::MultipartError::PartType(_)) => 415,
            Self::Cut(_) | Self::Multipart(_) => 400,
        };
        let cause = (status == 400).then(|| "INVALID_MSG_FORMAT".to_owned());
        ProblemDetails { status: Some(status), cause, ..ProblemDetails::default() }.with_detail(self)
    }
}

/// Why a request or a reply cannot be written as HTTP.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EncodeError {
    /// A field that HTTP does not carry.
    #[error(transparent)]
    Http(#[from] http::Error),
    /// Content in the direct form that cannot be read, passed on as it came.
    #[error("content without JSON text")]
    Content,
}

/// A request for the producer at `api_root`.
pub(crate) fn encode_request(
    api_root: &str,
    user_agent: &HeaderValue,
    request: &Request,
) -> Result<http::Request<Full<Bytes>>, EncodeError> {
    let mut uri = String::with_capacity(api_root.len() + request.path.len() + 64);
    uri.push_str(api_root);
    uri.push_str(&request.path);
    for (index, (name, value)) in request.query.iter().enumerate() {
        uri.push(if index == 0 { '?' } else { '&' });
        encode_query(name, &mut uri);
        uri.push('=');
        encode_query(value, &mut uri);
    }
    let mut out = http::Request::new(Full::default());
    *out.method_mut() = match request.method {
        Method::Get => http::Method::GET,
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
        Method::Patch => http::Method::PATCH,
        Method::Delete => http::Method::DELETE,
    };
    *out.uri_mut() = uri.parse::<Uri>().map_err(http::Error::from)?;
    let headers = out.headers_mut();
    headers.insert(USER_AGENT, user_agent.clone());
    headers.insert(ACCEPT, ACCEPTED);
    if let Some(time) = request.headers.max_response_time {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        headers.insert(MAX_RSP_TIME, HeaderValue::from(millis));
    }
    if let Some(priority) = request.headers.priority {
        headers.insert(MESSAGE_PRIORITY, HeaderValue::from(u16::from(priority)));
    }
    insert_text(headers, IF_MATCH, request.headers.if_match.as_deref())?;
    insert_text(headers, IF_NONE_MATCH, request.headers.if_none_match.as_deref())?;
    let content = encode_body(headers, &request.body)?;
    *out.body_mut() = Full::new(content);
    Ok(out)
}

/// What [`decode_request`] refuses.
pub(crate) fn decode_request(
    parts: &http::request::Parts,
    content: Bytes,
    limits: &HttpLimits,
) -> Result<Request, ProblemDetails> {
    let method = match parts.method {
        http::Method::GET => Method::Get,
        http::Method::POST => Method::Post,
        http::Method::PUT => Method::Put,
        http::Method::PATCH => Method::Patch,
        http::Method::DELETE => Method::Delete,
        _ => {
            let problem = ProblemDetails { status: Some(501), ..ProblemDetails::default() };
            return Err(problem.with_detail("no service uses this method"));
        }
    };
    let query = decode_query(parts.uri.query().unwrap_or_default(), limits.query_parameters_max)?;
    let text = |name| parts.headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let headers = Headers {
        max_response_time: number(&parts.headers, MAX_RSP_TIME).map(Duration::from_millis),
        priority: number(&parts.headers, MESSAGE_PRIORITY)
            .and_then(|p| u8::try_from(p).ok())
            .filter(|p| *p < 32),
        if_match: text(IF_MATCH),
        if_none_match: text(IF_NONE_MATCH),
    };
    let body = decode_body(&parts.headers, content).map_err(ContentError::into_problem)?;
    Ok(Request { method, path: parts.uri.path().to_owned(), query, headers, body })
}

/// A reply; `allow` are the resource's methods if the status is 405.
pub(crate) fn encode_reply(
    reply: Reply,
    allow: &[Method],
) -> Result<http::Response<Full<Bytes>>, EncodeError> {
    let mut out = http::Response::new(Full::default());
    *out.status_mut() = StatusCode::from_u16(reply.status).map_err(http::Error::from)?;
    let headers = out.headers_mut();
    insert_text(headers, LOCATION, reply.location.as_deref())?;
    insert_text(headers, ETAG, reply.etag.as_deref())?;
    if let Some(after) = reply.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
    }
    if let Some(age) = reply.max_age {
        insert_text(headers, CACHE_CONTROL, Some(&format!("max-age={}", age.as_secs())))?;
    }
    if !allow.is_empty() {
        let methods: Vec<String> = allow.iter().map(|m| format!("{m:?}").to_uppercase()).collect();
        insert_text(headers, ALLOW, Some(&methods.join(", ")))?;
    }
    let content = encode_body(headers, &reply.body)?;
    *out.body_mut() = Full::new(content);
    Ok(out)
}

/// A reply that arrived.
pub(crate) fn decode_reply(parts: &http::response::Parts, content: Bytes) -> Result<Reply, ContentError> {
    let text = |name| parts.headers.get(name).and_then(|v: &HeaderValue| v.to_str().ok());
    let max_age = text(CACHE_CONTROL).and_then(|directives| {
        let age = directives.split(',').find_map(|d| d.trim().strip_prefix("max-age="))?;
        age.parse().ok().map(Duration::from_secs)
    });
    Ok(Reply {
        status: parts.status.as_u16(),
        location: text(LOCATION).map(str::to_owned),
        retry_after: number(&parts.headers, RETRY_AFTER).map(Duration::from_secs),
        etag: text(ETAG).map(str::to_owned),
        max_age,
        body: decode_body(&parts.headers, content)?,
    })
}

/// Reads content of at most `max` octets, without copying what comes in one frame.
pub(crate) async fn collect(mut incoming: Incoming, max: usize) -> Result<Bytes, ContentError> {
    if incoming.size_hint().lower() > max as u64 {
        return Err(ContentError::TooLarge(max));
    }
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| ContentError::Cut(error.to_string()))?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + all.len() + data.len() > max {
            return Err(ContentError::TooLarge(max));
        }
        if first.is_empty() && all.is_empty() {
            first = data;
        } else {
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&data);
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

fn encode_body(headers: &mut HeaderMap, body: &Body) -> Result<Bytes, EncodeError> {
    let Some(content) = body.content() else { return Ok(Bytes::new()) };
    let json = content.text().ok_or(EncodeError::Content)?;
    let (kind, content) = match body {
        Body::Empty => return Ok(Bytes::new()),
        Body::Json(_) => (JSON, json),
        Body::Hal(_) => (HAL, json),
        Body::Problem(_) => (PROBLEM, json),
        Body::MergePatch(_) => (MERGE_PATCH, json),
        Body::JsonPatch(_) => (JSON_PATCH, json),
        Body::Related { parts, .. } => {
            let (kind, content) = multipart::write(&json, parts);
            (HeaderValue::try_from(kind).map_err(http::Error::from)?, content)
        }
    };
    headers.insert(CONTENT_TYPE, kind);
    Ok(content)
}

fn decode_body(headers: &HeaderMap, content: Bytes) -> Result<Body, ContentError> {
    let Some(kind) = headers.get(CONTENT_TYPE) else {
        // Content without a type can only be JSON's mistaken author: refused like any other type.
        return if content.is_empty() {
            Ok(Body::Empty)
        } else {
            Err(ContentError::MediaType(String::new()))
        };
    };
    let kind = kind.to_str().map_err(|_| ContentError::MediaType("not text".to_owned()))?;
    let end = kind.find(';').unwrap_or(kind.len());
    let essence = kind[..end].trim();
    let is = |media: &str| essence.eq_ignore_ascii_case(media);
    Ok(match () {
        () if is("multipart/related") => multipart::parse(&kind[end..], &content)?,
        () if content.is_empty() => Body::Empty,
        () if is("application/json") => Body::Json(content.into()),
        () if is("application/problem+json") => Body::Problem(content.into()),
        () if is("application/3gppHal+json") => Body::Hal(content.into()),
        () if is("application/merge-patch+json") => Body::MergePatch(content.into()),
        () if is("application/json-patch+json") => Body::JsonPatch(content.into()),
        () => return Err(ContentError::MediaType(essence.chars().take(64).collect())),
    })
}

fn insert_text(headers: &mut HeaderMap, name: HeaderName, text: Option<&str>) -> Result<(), http::Error> {
    if let Some(text) = text {
        headers.insert(name, HeaderValue::from_str(text)?);
    }
    Ok(())
}

fn number(headers: &HeaderMap, name: HeaderName) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

fn encode_query(text: &str, out: &mut String) {
    for byte in text.bytes() {
        // RFC 3986 §3.4 without what has a meaning in form encoding.
        if byte.is_ascii_alphanumeric() || b"-._~!$'()*,;:@/?".contains(&byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("invariant: writing to a String");
        }
    }
}

fn decode_query(query: &str, max: usize) -> Result<Vec<(String, String)>, ProblemDetails> {
    let mut parameters = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        if parameters.len() == max {
            return Err(ProblemDetails::new(400, "INVALID_QUERY_PARAM").with_detail("too many parameters"));
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let invalid = || ProblemDetails::invalid("INVALID_QUERY_PARAM", name, "wrong percent-encoding");
        let decoded = percent_decode(name).zip(percent_decode(value)).ok_or_else(invalid)?;
        parameters.push(decoded);
    }
    Ok(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_survive() {
        let value = r#"[{"sst":1,"sd":"0000ff"}] & + % é"#;
        let mut query = "snssais=".to_owned();
        encode_query(value, &mut query);
        assert_eq!(decode_query(&query, 1).unwrap(), [("snssais".to_owned(), value.to_owned())]);
        assert_eq!(decode_query("a=1&b=2", 1).unwrap_err().cause.unwrap(), "INVALID_QUERY_PARAM");
        assert_eq!(decode_query("a=%f", 1).unwrap_err().invalid_params[0].param, "a");
    }

    /// TS 29.500 §5.2.2.2, §5.2.3.
    #[test]
    fn requests_carry_their_header_fields() {
        let headers = Headers {
            max_response_time: Some(Duration::from_millis(1500)),
            priority: Some(5),
            if_match: Some("\"1\"".into()),
            if_none_match: None,
        };
        let request = Request {
            method: Method::Patch,
            path: "/nudr-dr/v2/x".into(),
            query: vec![("name".into(), "1 & 2".into())],
            headers,
            body: Body::JsonPatch("[]".into()),
        };
        let agent = HeaderValue::from_static("UDM");
        let sent = encode_request("http://127.0.0.1:8080", &agent, &request).unwrap();
        let field = |name: &str| sent.headers()[name].to_str().unwrap();
        assert_eq!(field("user-agent"), "UDM");
        assert_eq!(field("3gpp-sbi-max-rsp-time"), "1500");
        assert_eq!(field("3gpp-sbi-message-priority"), "5");
        assert_eq!(field("content-type"), "application/json-patch+json");
        assert_eq!(sent.uri(), "http://127.0.0.1:8080/nudr-dr/v2/x?name=1%20%26%202");
        let (mut parts, _) = sent.into_parts();
        let limits = HttpLimits::default();
        assert_eq!(decode_request(&parts, Bytes::from_static(b"[]"), &limits), Ok(request));
        // What makes no sense is as good as absent.
        parts.headers.insert(MAX_RSP_TIME, HeaderValue::from_static("soon"));
        parts.headers.insert(MESSAGE_PRIORITY, HeaderValue::from_static("32"));
        let read = decode_request(&parts, Bytes::from_static(b"[]"), &limits).unwrap();
        assert_eq!((read.headers.max_response_time, read.headers.priority), (None, None));
    }

    #[test]
    fn media_types_are_read_without_case_and_parameters() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("Application/JSON; charset=utf-8"));
        assert_eq!(decode_body(&headers, Bytes::from_static(b"1")), Ok(Body::Json("1".into())));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
        let error = decode_body(&headers, Bytes::from_static(b"1")).unwrap_err();
        assert_eq!(error.into_problem().status, Some(415));
    }
}
