//! `multipart/related`: RFC 2387 as TS 29.500 §5.2.2.1 uses it, JSON first, then binary parts.

use bytes::{Bytes, BytesMut};
use tern_sbi::{Body, Part, PartKind};

/// Parts of one body, the JSON included.
pub const PARTS_MAX: usize = 8;

/// Octets of one part's header.
pub const PART_HEADER_MAX: usize = 1024;

/// RFC 2046 §5.1.1.
const BOUNDARY_MAX: usize = 70;

const NAS: &str = "application/vnd.3gpp.5gnas";
const NGAP: &str = "application/vnd.3gpp.ngap";

/// Why a body is not one `multipart/related`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MultipartError {
    /// No boundary of 1 to 70 characters in Content-Type.
    #[error("no boundary of 1 to 70 characters")]
    Boundary,
    /// More parts than [`PARTS_MAX`], or a header longer than [`PART_HEADER_MAX`].
    #[error("more than 8 parts, or a part's header longer than 1024 octets")]
    TooLarge,
    /// The body does not divide into parts.
    #[error("not divided into parts at octet {0}")]
    Structure(usize),
    /// The first part is not JSON.
    #[error("the first part is not application/json")]
    NotJson,
    /// A later part has a type that no service uses, or an encoding that is not binary.
    #[error("part {0} has a type that is not supported")]
    PartType(usize),
    /// A later part has no Content-Id.
    #[error("part {0} has no Content-Id")]
    NoContentId(usize),
}

/// Content-Type and content of a JSON part with binary parts.
pub(crate) fn write(json: &Bytes, parts: &[Part]) -> (String, Bytes) {
    let boundary = boundary(json, parts);
    let octets = json.len() + parts.iter().map(|p| p.data.len() + p.id.len() + 128).sum::<usize>() + 160;
    let mut out = BytesMut::with_capacity(octets);
    let mut put = |text: &[&[u8]]| text.iter().for_each(|t| out.extend_from_slice(t));
    put(&[b"--", boundary.as_bytes(), b"\r\nContent-Type: application/json\r\n\r\n", json, b"\r\n"]);
    for part in parts {
        let kind = match part.kind {
            PartKind::Nas => NAS,
            PartKind::Ngap => NGAP,
        };
        put(&[b"--", boundary.as_bytes(), b"\r\nContent-Type: ", kind.as_bytes()]);
        put(&[b"\r\nContent-Id: ", part.id.as_bytes(), b"\r\n\r\n", &part.data, b"\r\n"]);
    }
    put(&[b"--", boundary.as_bytes(), b"--\r\n"]);
    (format!("multipart/related; type=\"application/json\"; boundary={boundary}"), out.freeze())
}

/// A boundary that no part holds.
fn boundary(json: &Bytes, parts: &[Part]) -> String {
    let mut boundary = "tern-related-part".to_owned();
    let held = |b: &str| {
        let held_in = |data: &[u8]| data.windows(b.len()).any(|window| window == b.as_bytes());
        held_in(json) || parts.iter().any(|part| held_in(&part.data))
    };
    // Each round lengthens by one digit, which a body of n octets can foil at most n times.
    let mut round = 0u32;
    while held(&boundary) {
        boundary = format!("tern-related-part-{round}");
        round += 1;
    }
    boundary
}

/// Reads content whose Content-Type has these parameters (what follows `multipart/related`).
pub(crate) fn parse(parameters: &str, content: &Bytes) -> Result<Body, MultipartError> {
    let boundary = boundary_parameter(parameters).ok_or(MultipartError::Boundary)?;
    let delimiter = format!("\r\n--{boundary}");
    // The first delimiter may stand at the very beginning, without CRLF.
    let mut at = if content.starts_with(&delimiter.as_bytes()[2..]) {
        delimiter.len() - 2
    } else {
        find(content, delimiter.as_bytes(), 0).ok_or(MultipartError::Structure(0))? + delimiter.len()
    };
    let mut json = None;
    let mut parts = Vec::new();
    let mut index = 0;
    while !content[at..].starts_with(b"--") {
        if index == PARTS_MAX {
            return Err(MultipartError::TooLarge);
        }
        let line = end_of_line(content, at)?;
        let end = find(content, delimiter.as_bytes(), line.saturating_sub(2))
            .ok_or(MultipartError::Structure(at))?;
        let part = part(content, line, end)?;
        if index == 0 {
            if !part.kind.is_some_and(|kind| kind.eq_ignore_ascii_case("application/json")) {
                return Err(MultipartError::NotJson);
            }
            json = Some(part.data);
        } else {
            parts.push(binary(part, index)?);
        }
        index += 1;
        at = end + delimiter.len();
    }
    let json = json.ok_or(MultipartError::NotJson)?;
    Ok(Body::Related { json: json.into(), parts })
}

struct RawPart<'a> {
    kind: Option<&'a str>,
    id: Option<&'a str>,
    encoding: Option<&'a str>,
    data: Bytes,
}

fn binary(part: RawPart<'_>, index: usize) -> Result<Part, MultipartError> {
    let kind = match part.kind {
        Some(kind) if kind.eq_ignore_ascii_case(NAS) => PartKind::Nas,
        Some(kind) if kind.eq_ignore_ascii_case(NGAP) => PartKind::Ngap,
        _ => return Err(MultipartError::PartType(index)),
    };
    if !part.encoding.is_none_or(|e| ["binary", "8bit", "7bit"].iter().any(|x| e.eq_ignore_ascii_case(x))) {
        return Err(MultipartError::PartType(index));
    }
    let id = part.id.filter(|id| !id.is_empty()).ok_or(MultipartError::NoContentId(index))?;
    Ok(Part { id: id.to_owned(), kind, data: part.data })
}

/// The part between the end of its delimiter's line and the next delimiter.
fn part(content: &Bytes, start: usize, end: usize) -> Result<RawPart<'_>, MultipartError> {
    let mut raw = RawPart { kind: None, id: None, encoding: None, data: Bytes::new() };
    let mut at = start;
    loop {
        if at - start > PART_HEADER_MAX {
            return Err(MultipartError::TooLarge);
        }
        if content[at..].starts_with(b"\r\n") {
            at += 2;
            break;
        }
        let next = end_of_line(content, at)?;
        if next > end {
            return Err(MultipartError::Structure(at));
        }
        let line = std::str::from_utf8(&content[at..next - 2]).map_err(|_| MultipartError::Structure(at))?;
        let (name, value) = line.split_once(':').ok_or(MultipartError::Structure(at))?;
        let value = value.trim();
        match name.trim() {
            n if n.eq_ignore_ascii_case("content-type") => {
                raw.kind = Some(value.split(';').next().unwrap_or_default().trim());
            }
            n if n.eq_ignore_ascii_case("content-id") => {
                let bare = value.strip_prefix('<').and_then(|v| v.strip_suffix('>'));
                raw.id = Some(bare.unwrap_or(value));
            }
            n if n.eq_ignore_ascii_case("content-transfer-encoding") => raw.encoding = Some(value),
            _ => {}
        }
        at = next;
    }
    // An empty part's delimiter may begin with the CRLF that ended its header.
    raw.data = if at <= end { content.slice(at..end) } else { Bytes::new() };
    Ok(raw)
}

/// The octet after the CRLF that ends the line at `at`.
fn end_of_line(content: &[u8], at: usize) -> Result<usize, MultipartError> {
    let limit = content.len().min(at + PART_HEADER_MAX);
    let line = &content[at.min(limit)..limit];
    match find(line, b"\r\n", 0) {
        Some(end) => Ok(at + end + 2),
        None if limit < content.len() => Err(MultipartError::TooLarge),
        None => Err(MultipartError::Structure(at)),
    }
}

fn find(content: &[u8], what: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while at + what.len() <= content.len() {
        at += content[at..].iter().position(|byte| *byte == what[0])?;
        if content[at..].starts_with(what) {
            return Some(at);
        }
        at += 1;
    }
    None
}

fn boundary_parameter(parameters: &str) -> Option<&str> {
    let mut rest = parameters;
    loop {
        rest = rest.trim_start().strip_prefix(';')?.trim_start();
        let (name, after) = rest.split_once('=')?;
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_at(after.find(';').unwrap_or(after.len())),
        };
        if name.trim().eq_ignore_ascii_case("boundary") {
            let value = value.trim_end();
            return (1..=BOUNDARY_MAX).contains(&value.len()).then_some(value);
        }
        rest = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts() -> Vec<Part> {
        vec![
            Part {
                id: "n1SmMsg".into(),
                kind: PartKind::Nas,
                data: Bytes::from_static(b"\r\n--\x00\xff\r\n"),
            },
            Part { id: "n2SmInfo".into(), kind: PartKind::Ngap, data: Bytes::new() },
        ]
    }

    fn parse_with(boundary: &str, content: &[u8]) -> Result<Body, MultipartError> {
        parse(&format!("; boundary={boundary}"), &Bytes::copy_from_slice(content))
    }

    #[test]
    fn what_is_written_is_read_back() {
        let json = Bytes::from_static(b"{\"n1SmMsg\":{\"contentId\":\"n1SmMsg\"}}");
        let (kind, content) = write(&json, &parts());
        let parameters = kind.strip_prefix("multipart/related").unwrap();
        assert_eq!(parse(parameters, &content), Ok(Body::Related { json: json.into(), parts: parts() }));
    }

    #[test]
    fn when_a_part_holds_the_boundary_then_another_is_chosen() {
        let json = Bytes::from_static(b"{}");
        let data = Bytes::from_static(b"x\r\n--tern-related-part\r\n--tern-related-part-0--\r\n");
        let parts = vec![Part { id: "a".into(), kind: PartKind::Nas, data }];
        let (kind, content) = write(&json, &parts);
        let parameters = kind.strip_prefix("multipart/related").unwrap();
        assert_eq!(parse(parameters, &content), Ok(Body::Related { json: json.into(), parts }));
    }

    #[test]
    fn other_writers_forms_are_read() {
        let content =
            b"preamble\r\n--=-abc==  \r\nContent-Type: application/json; charset=utf-8\r\n\r\n{}\r\n\
            --=-abc==\r\ncontent-id: <n1msg>\r\nCONTENT-TYPE: application/vnd.3gpp.5gnas\r\n\
            Content-Transfer-Encoding: binary\r\n\r\n\x7e\x00\r\n--=-abc==--";
        let body = parse("; type=\"application/json\" ; boundary=\"=-abc==\"", &Bytes::from_static(content));
        let part = Part { id: "n1msg".into(), kind: PartKind::Nas, data: Bytes::from_static(b"\x7e\x00") };
        assert_eq!(body, Ok(Body::Related { json: "{}".into(), parts: vec![part] }));
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(parse("", &Bytes::new()), Err(MultipartError::Boundary));
        assert_eq!(parse_with(&"b".repeat(71), b""), Err(MultipartError::Boundary));
        assert_eq!(parse_with("b", b""), Err(MultipartError::Structure(0)));
        assert_eq!(parse_with("b", b"--b--"), Err(MultipartError::NotJson));
        assert_eq!(parse_with("b", b"--b\r\n\r\n{}\r\n--b--"), Err(MultipartError::NotJson));
        let json = "--b\r\nContent-Type: application/json\r\n\r\n{}\r\n";
        let with = |rest: &str| parse_with("b", format!("{json}{rest}").as_bytes());
        assert_eq!(with("--b--"), Ok(Body::Related { json: "{}".into(), parts: vec![] }));
        assert_eq!(
            with("--b\r\nContent-Type: text/plain\r\n\r\n\r\n--b--"),
            Err(MultipartError::PartType(1))
        );
        let nas = "Content-Type: application/vnd.3gpp.5gnas\r\n";
        assert_eq!(with(&format!("--b\r\n{nas}\r\nx\r\n--b--")), Err(MultipartError::NoContentId(1)));
        assert_eq!(with(&json.repeat(8)).unwrap_err(), MultipartError::PartType(1));
        let many = format!("--b\r\n{nas}Content-Id: a\r\n\r\nx\r\n").repeat(8);
        assert_eq!(with(&format!("{many}--b--")), Err(MultipartError::TooLarge));
        let long = format!("--b\r\nx: {}\r\n\r\n\r\n--b--", "y".repeat(2000));
        assert_eq!(with(&long), Err(MultipartError::TooLarge));
    }

    #[test]
    fn no_cut_or_changed_body_panics() {
        let (kind, content) = write(&Bytes::from_static(b"{}"), &parts());
        let parameters = kind.strip_prefix("multipart/related").unwrap();
        for cut in 0..content.len() {
            let _ = parse(parameters, &content.slice(..cut));
            let _ = parse(parameters, &content.slice(cut..));
            let mut changed = content.to_vec();
            changed[cut] ^= 0x20;
            let _ = parse(parameters, &changed.into());
        }
    }
}
