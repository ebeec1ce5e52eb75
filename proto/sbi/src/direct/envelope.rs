//! Requests and replies: what HTTP carries beside the content, then the content, which comes last
//! so that it is neither measured nor copied.

use bytes::Bytes;
use tern_types::Duration;

use super::error::{DirectError, Fault};
use super::item::{Reader, major, write_bytes, write_head, write_text};
use crate::content::Content;
use crate::{Body, Headers, Method, Part, PartKind, Reply, Request};

/// Query parameters of one request.
pub const QUERY_PARAMETERS_MAX: usize = 64;
/// Binary parts of one body.
pub const PARTS_MAX: usize = 7;
/// Octets of all that comes before the body.
pub const HEADER_LEN_MAX: usize = 16 << 10;

/// Header fields that mean nothing here are passed over up to this nesting.
const UNKNOWN_NESTING_MAX: u8 = 4;

/// Embedded JSON text: tag 262 of the IANA registry of CBOR tags, on a byte string.
const TAG_JSON: u64 = 262;

/// Elements of a request and of a reply without content.
const REQUEST_LEN: u64 = 5;
const REPLY_LEN: u64 = 3;

mod header {
    pub(super) const MAX_RESPONSE_TIME: u64 = 0;
    pub(super) const PRIORITY: u64 = 1;
    pub(super) const IF_MATCH: u64 = 2;
    pub(super) const IF_NONE_MATCH: u64 = 3;
    pub(super) const LOCATION: u64 = 4;
    pub(super) const RETRY_AFTER: u64 = 5;
    pub(super) const ETAG: u64 = 6;
    pub(super) const MAX_AGE: u64 = 7;
}

mod kind {
    pub(super) const EMPTY: u64 = 0;
    pub(super) const JSON: u64 = 1;
    pub(super) const HAL: u64 = 2;
    pub(super) const PROBLEM: u64 = 3;
    pub(super) const MERGE_PATCH: u64 = 4;
    pub(super) const JSON_PATCH: u64 = 5;
    pub(super) const RELATED: u64 = 6;
}

/// Appends a request.
pub fn write_request(request: &Request, out: &mut Vec<u8>) {
    begin(out, REQUEST_LEN, &request.body);
    let method = match request.method {
        Method::Get => 0,
        Method::Post => 1,
        Method::Put => 2,
        Method::Patch => 3,
        Method::Delete => 4,
    };
    write_head(out, major::UNSIGNED, method);
    write_text(out, &request.path);
    write_head(out, major::ARRAY, 2 * request.query.len() as u64);
    for (name, value) in &request.query {
        write_text(out, name);
        write_text(out, value);
    }
    let headers = &request.headers;
    let time = headers.max_response_time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    let numbers = [(header::MAX_RESPONSE_TIME, time), (header::PRIORITY, headers.priority.map(u64::from))];
    let texts = [(header::IF_MATCH, &headers.if_match), (header::IF_NONE_MATCH, &headers.if_none_match)];
    write_headers(out, numbers, texts);
    write_body(out, &request.body);
}

/// Appends a reply.
pub fn write_reply(reply: &Reply, out: &mut Vec<u8>) {
    begin(out, REPLY_LEN, &reply.body);
    write_head(out, major::UNSIGNED, u64::from(reply.status));
    // In whole seconds, and at least one to wait, as over HTTP.
    let numbers = [
        (header::RETRY_AFTER, reply.retry_after.map(|after| after.as_secs().max(1))),
        (header::MAX_AGE, reply.max_age.map(|age| age.as_secs())),
    ];
    let texts = [(header::LOCATION, &reply.location), (header::ETAG, &reply.etag)];
    write_headers(out, numbers, texts);
    write_body(out, &reply.body);
}

/// Reads a request; content and binary parts are slices of `octets`.
///
/// Wrong content is no error here: it is the operation that refuses it, with its ProblemDetails.
pub fn read_request(octets: Bytes) -> Result<Request, DirectError> {
    let mut reader = Reader::new(&octets);
    let len = array(&mut reader)?;
    let method = match number(&mut reader)? {
        0 => Method::Get,
        1 => Method::Post,
        2 => Method::Put,
        3 => Method::Patch,
        4 => Method::Delete,
        _ => return Err(reader.error(Fault::Expected("a method"))),
    };
    let path = reader.text()?.into_owned();
    let query = read_query(&mut reader)?;
    let mut headers = Headers::default();
    read_headers(&mut reader, |reader, field| {
        match field {
            header::MAX_RESPONSE_TIME => {
                headers.max_response_time = Some(Duration::from_millis(number(reader)?));
            }
            // Out of its range it is as good as absent, as over HTTP.
            header::PRIORITY => {
                headers.priority = u8::try_from(number(reader)?).ok().filter(|priority| *priority < 32);
            }
            header::IF_MATCH => headers.if_match = Some(reader.text()?.into_owned()),
            header::IF_NONE_MATCH => headers.if_none_match = Some(reader.text()?.into_owned()),
            _ => reader.skip(UNKNOWN_NESTING_MAX)?,
        }
        Ok(())
    })?;
    let body = read_body(&mut reader, &octets, len.checked_sub(REQUEST_LEN))?;
    Ok(Request { method, path, query, headers, body })
}

/// Reads a reply; content and binary parts are slices of `octets`.
pub fn read_reply(octets: Bytes) -> Result<Reply, DirectError> {
    let mut reader = Reader::new(&octets);
    let len = array(&mut reader)?;
    let status = number(&mut reader)?;
    let status = u16::try_from(status).ok().filter(|status| (100..1000).contains(status));
    let Some(status) = status else { return Err(reader.error(Fault::Expected("a status"))) };
    let mut reply = Reply::empty(status);
    read_headers(&mut reader, |reader, field| {
        match field {
            header::LOCATION => reply.location = Some(reader.text()?.into_owned()),
            header::RETRY_AFTER => reply.retry_after = Some(Duration::from_secs(number(reader)?)),
            header::ETAG => reply.etag = Some(reader.text()?.into_owned()),
            header::MAX_AGE => reply.max_age = Some(Duration::from_secs(number(reader)?)),
            _ => reader.skip(UNKNOWN_NESTING_MAX)?,
        }
        Ok(())
    })?;
    reply.body = read_body(&mut reader, &octets, len.checked_sub(REPLY_LEN))?;
    Ok(reply)
}

/// Begins the array of a request or reply.
fn begin(out: &mut Vec<u8>, len: u64, body: &Body) {
    let more = match body {
        Body::Related { .. } => 2,
        body if is_empty(body) => 0,
        _ => 1,
    };
    write_head(out, major::ARRAY, len + more);
}

/// Empty text is no content, as over HTTP.
fn is_empty(body: &Body) -> bool {
    match body {
        Body::Empty => true,
        Body::Related { .. } => false,
        body => body.content().is_some_and(Content::is_empty),
    }
}

fn write_headers(out: &mut Vec<u8>, numbers: [(u64, Option<u64>); 2], texts: [(u64, &Option<String>); 2]) {
    let count = numbers.iter().filter(|(_, value)| value.is_some()).count()
        + texts.iter().filter(|(_, value)| value.is_some()).count();
    write_head(out, major::MAP, count as u64);
    for (field, value) in numbers {
        if let Some(value) = value {
            write_head(out, major::UNSIGNED, field);
            write_head(out, major::UNSIGNED, value);
        }
    }
    for (field, value) in texts {
        if let Some(value) = value {
            write_head(out, major::UNSIGNED, field);
            write_text(out, value);
        }
    }
}

fn write_body(out: &mut Vec<u8>, body: &Body) {
    let (kind, content) = match body {
        body if is_empty(body) => return write_head(out, major::UNSIGNED, kind::EMPTY),
        Body::Empty => return,
        Body::Json(content) => (kind::JSON, content),
        Body::Hal(content) => (kind::HAL, content),
        Body::Problem(content) => (kind::PROBLEM, content),
        Body::MergePatch(content) => (kind::MERGE_PATCH, content),
        Body::JsonPatch(content) => (kind::JSON_PATCH, content),
        Body::Related { json, .. } => (kind::RELATED, json),
    };
    write_head(out, major::UNSIGNED, kind);
    if kind == kind::RELATED {
        write_head(out, major::ARRAY, 3 * body.parts().len() as u64);
        for part in body.parts() {
            write_text(out, &part.id);
            write_head(out, major::UNSIGNED, matches!(part.kind, PartKind::Ngap).into());
            write_bytes(out, &part.data);
        }
    }
    if let Some(text) = content.written() {
        write_head(out, major::TAG, TAG_JSON);
        return write_bytes(out, text);
    }
    content.write_direct(out);
}

/// Number of elements of an array.
fn array(reader: &mut Reader<'_>) -> Result<u64, DirectError> {
    match reader.head()? {
        head if head.major == major::ARRAY => match head.argument {
            Some(len) => Ok(len),
            None => Err(reader.error(Fault::Expected("an array of definite length"))),
        },
        _ => Err(reader.error(Fault::Expected("an array"))),
    }
}

fn number(reader: &mut Reader<'_>) -> Result<u64, DirectError> {
    match reader.head()? {
        head if head.major == major::UNSIGNED => Ok(head.argument.unwrap_or_default()),
        _ => Err(reader.error(Fault::Expected("a number"))),
    }
}

fn read_query(reader: &mut Reader<'_>) -> Result<Vec<(String, String)>, DirectError> {
    let len = array(reader)?;
    if len > 2 * QUERY_PARAMETERS_MAX as u64 {
        return Err(reader.error(Fault::Limit("64 query parameters")));
    }
    if len % 2 == 1 {
        return Err(reader.error(Fault::Expected("names and values")));
    }
    (0..len / 2).map(|_| Ok((reader.text()?.into_owned(), reader.text()?.into_owned()))).collect()
}

fn read_headers<'de>(
    reader: &mut Reader<'de>,
    mut read: impl FnMut(&mut Reader<'de>, u64) -> Result<(), DirectError>,
) -> Result<(), DirectError> {
    match reader.head()? {
        head if head.major == major::MAP => {
            let mut left = head.argument;
            while reader.more(&mut left)? {
                let field = number(reader)?;
                read(reader, field)?;
            }
        }
        _ => return Err(reader.error(Fault::Expected("a map"))),
    }
    if reader.at() > HEADER_LEN_MAX {
        return Err(reader.error(Fault::Limit("16384 octets before the body")));
    }
    Ok(())
}

/// Reads the body, whose content takes all that is left. `more` elements are announced.
fn read_body(reader: &mut Reader<'_>, octets: &Bytes, more: Option<u64>) -> Result<Body, DirectError> {
    let kind = number(reader)?;
    let expected = match kind {
        kind::EMPTY => 0,
        kind::RELATED => 2,
        _ => 1,
    };
    if more != Some(expected) {
        return Err(reader.error(Fault::Expected("as many elements as the kind of body has")));
    }
    if kind == kind::EMPTY {
        return match reader.remaining() {
            0 => Ok(Body::Empty),
            _ => Err(reader.error(Fault::Trailing)),
        };
    }
    let parts = if kind == kind::RELATED { read_parts(reader, octets)? } else { Vec::new() };
    let content = read_content(reader, octets)?;
    Ok(match kind {
        kind::JSON => Body::Json(content),
        kind::HAL => Body::Hal(content),
        kind::PROBLEM => Body::Problem(content),
        kind::MERGE_PATCH => Body::MergePatch(content),
        kind::JSON_PATCH => Body::JsonPatch(content),
        kind::RELATED => Body::Related { json: content, parts },
        _ => return Err(reader.error(Fault::Expected("a kind of body"))),
    })
}

fn read_parts(reader: &mut Reader<'_>, octets: &Bytes) -> Result<Vec<Part>, DirectError> {
    let len = array(reader)?;
    if len > 3 * PARTS_MAX as u64 {
        return Err(reader.error(Fault::Limit("7 binary parts")));
    }
    if len % 3 != 0 {
        return Err(reader.error(Fault::Expected("an identity, a kind and octets")));
    }
    let mut parts = Vec::with_capacity(PARTS_MAX.min(len as usize / 3));
    for _ in 0..len / 3 {
        let id = reader.text()?.into_owned();
        let kind = match number(reader)? {
            0 => PartKind::Nas,
            1 => PartKind::Ngap,
            _ => return Err(reader.error(Fault::Expected("a kind of part"))),
        };
        parts.push(Part { id, kind, data: slice(reader, octets)? });
    }
    Ok(parts)
}

/// A byte string of definite length, as a slice.
fn slice(reader: &mut Reader<'_>, octets: &Bytes) -> Result<Bytes, DirectError> {
    match reader.head()? {
        head if head.major == major::BYTES => match head.argument {
            Some(len) => {
                let len = reader.take(len)?.len();
                Ok(octets.slice(reader.at() - len..reader.at()))
            }
            None => Err(reader.error(Fault::Expected("a byte string of definite length"))),
        },
        _ => Err(reader.error(Fault::Expected("a byte string"))),
    }
}

fn read_content(reader: &mut Reader<'_>, octets: &Bytes) -> Result<Content, DirectError> {
    if reader.peek()? >> 5 == major::TAG {
        let mut ahead = reader.clone();
        if ahead.head()?.argument == Some(TAG_JSON) {
            let text = slice(&mut ahead, octets)?;
            return match ahead.remaining() {
                0 => Ok(Content::from(text)),
                _ => Err(ahead.error(Fault::Trailing)),
            };
        }
    }
    Ok(Content::direct(octets.slice(reader.at()..)))
}
