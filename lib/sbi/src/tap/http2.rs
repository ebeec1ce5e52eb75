//! HTTP/2 frames (RFC 9113) and header blocks (RFC 7541), only as far as they are written here.

use crate::http::written::{Field, Written};

/// RFC 9113 §3.4.
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// SETTINGS_MAX_FRAME_SIZE where nobody says otherwise (RFC 9113 §6.5.2).
const FRAME_OCTETS_MAX: usize = 16_384;

/// The greatest flow-control window (RFC 9113 §6.9.1): content never waits for its reader.
const WINDOW_MAX: u32 = (1 << 31) - 1;
/// What a connection's window is at first (RFC 9113 §6.9.2).
const WINDOW_INITIAL: u32 = 65_535;

/// The greatest stream identifier (RFC 9113 §5.1.1).
pub(super) const STREAM_MAX: u32 = (1 << 31) - 1;

/// Frame types of RFC 9113 §6.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 0x1;
const ACK: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

/// Settings of RFC 9113 §6.5.2.
const ENABLE_PUSH: u16 = 2;
const INITIAL_WINDOW_SIZE: u16 = 4;

/// Error code of RFC 9113 §7: the stream is no longer needed.
const CANCEL: u32 = 8;

/// Names of the static table (RFC 7541 Appendix A) that requests and replies of the SBI have,
/// each with its first index.
const STATIC_NAMES: &[(&str, usize)] = &[
    (":authority", 1),
    (":method", 2),
    (":path", 4),
    (":scheme", 6),
    (":status", 8),
    ("accept", 19),
    ("allow", 22),
    ("cache-control", 24),
    ("content-length", 28),
    ("content-type", 31),
    ("date", 33),
    ("etag", 34),
    ("if-match", 39),
    ("if-none-match", 41),
    ("location", 46),
    ("retry-after", 53),
    ("user-agent", 58),
];

/// The SETTINGS of one end and the widest window of its connection; a client wants no push.
pub(super) fn settings(client: bool, out: &mut Vec<u8>) {
    let mut payload = Vec::new();
    let mut put = |setting: u16, value: u32| {
        payload.extend(setting.to_be_bytes());
        payload.extend(value.to_be_bytes());
    };
    if client {
        put(ENABLE_PUSH, 0);
    }
    put(INITIAL_WINDOW_SIZE, WINDOW_MAX);
    frame(SETTINGS, 0, 0, &payload, out);
    frame(WINDOW_UPDATE, 0, 0, &(WINDOW_MAX - WINDOW_INITIAL).to_be_bytes(), out);
}

/// The acknowledgement of the peer's SETTINGS.
pub(super) fn settings_ack(out: &mut Vec<u8>) {
    frame(SETTINGS, ACK, 0, &[], out);
}

/// A request or a reply, which ends its direction of the stream.
pub(super) fn message(stream: u32, message: &Written, out: &mut Vec<u8>) {
    let block = header_block(&message.fields);
    let end_stream = if message.content.is_empty() { END_STREAM } else { 0 };
    // An empty list of header fields would still be one HEADERS frame.
    let (first, rest) = block.split_at(block.len().min(FRAME_OCTETS_MAX));
    let end_headers = if rest.is_empty() { END_HEADERS } else { 0 };
    frame(HEADERS, end_stream | end_headers, stream, first, out);
    let mut parts = rest.chunks(FRAME_OCTETS_MAX).peekable();
    while let Some(part) = parts.next() {
        let flags = if parts.peek().is_none() { END_HEADERS } else { 0 };
        frame(CONTINUATION, flags, stream, part, out);
    }
    let mut parts = message.content.chunks(FRAME_OCTETS_MAX).peekable();
    while let Some(part) = parts.next() {
        let flags = if parts.peek().is_none() { END_STREAM } else { 0 };
        frame(DATA, flags, stream, part, out);
    }
}

/// The end of a stream that nobody waits for any more.
pub(super) fn cancel(stream: u32, out: &mut Vec<u8>) {
    frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes(), out);
}

/// RFC 9113 §4.1.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8], out: &mut Vec<u8>) {
    debug_assert!(payload.len() <= FRAME_OCTETS_MAX, "invariant: callers divide");
    let length = u32::try_from(payload.len()).expect("invariant: at most 16,384 octets");
    out.extend(&length.to_be_bytes()[1..]);
    out.extend([kind, flags]);
    out.extend(stream.to_be_bytes());
    out.extend(payload);
}

/// Each field as a literal without indexing (RFC 7541 §6.2.2), so that no packet needs an
/// earlier one to be read.
fn header_block(fields: &[Field]) -> Vec<u8> {
    let mut block = Vec::new();
    for Field { name, value } in fields {
        let index = STATIC_NAMES.iter().find(|(known, _)| known == name).map(|(_, index)| *index);
        integer(4, index.unwrap_or(0), &mut block);
        if index.is_none() {
            string(name.as_bytes(), &mut block);
        }
        string(value, &mut block);
    }
    block
}

/// A string literal without Huffman coding: RFC 7541 §5.2.
fn string(octets: &[u8], out: &mut Vec<u8>) {
    integer(7, octets.len(), out);
    out.extend(octets);
}

/// RFC 7541 §5.1; the bits above the prefix are zero.
fn integer(prefix_bits: u32, mut value: usize, out: &mut Vec<u8>) {
    let prefix_max = (1usize << prefix_bits) - 1;
    if value < prefix_max {
        out.push(value as u8);
        return;
    }
    out.push(prefix_max as u8);
    value -= prefix_max;
    while value >= 0x80 {
        out.push(0x80 | (value & 0x7f) as u8);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn field(name: &str, value: &str) -> Field {
        Field { name: name.into(), value: Bytes::copy_from_slice(value.as_bytes()) }
    }

    /// Type, flags, stream and payload length of each frame.
    fn frames(mut octets: &[u8]) -> Vec<(u8, u8, u32, usize)> {
        let mut frames = Vec::new();
        while let [a, b, c, kind, flags, s0, s1, s2, s3, rest @ ..] = octets {
            let length = usize::try_from(u32::from_be_bytes([0, *a, *b, *c])).unwrap();
            frames.push((*kind, *flags, u32::from_be_bytes([*s0, *s1, *s2, *s3]), length));
            octets = &rest[length..];
        }
        assert!(octets.is_empty());
        frames
    }

    /// RFC 7541 Appendix C.1.1 and C.1.2 (with a prefix of 5 bits), C.1.3 (8 bits).
    #[test]
    fn integers_are_those_of_the_rfc() {
        let encoded = |bits, value| {
            let mut out = Vec::new();
            integer(bits, value, &mut out);
            out
        };
        assert_eq!(encoded(5, 10), [0x0a]);
        assert_eq!(encoded(5, 1337), [0x1f, 0x9a, 0x0a]);
        assert_eq!(encoded(8, 42), [0x2a]);
        // The ends of the prefix, by hand.
        assert_eq!(encoded(4, 14), [0x0e]);
        assert_eq!(encoded(4, 15), [0x0f, 0x00]);
        assert_eq!(encoded(7, 127 + 128), [0x7f, 0x80, 0x01]);
    }

    /// The first is RFC 7541 Appendix C.2.2.
    #[test]
    fn fields_are_literals_without_indexing() {
        assert_eq!(header_block(&[field(":path", "/sample/path")]), b"\x04\x0c/sample/path");
        // Index 58 does not fit the prefix: 15 and 43.
        assert_eq!(header_block(&[field("user-agent", "AMF")]), b"\x0f\x2b\x03AMF");
        assert_eq!(
            header_block(&[field(":status", "204"), field("3gpp-sbi-max-rsp-time", "10")]),
            b"\x08\x03204\x00\x153gpp-sbi-max-rsp-time\x0210"
        );
    }

    #[test]
    fn a_message_without_content_is_one_frame() {
        let mut out = Vec::new();
        let written = Written { fields: vec![field(":status", "204")], content: Bytes::new() };
        message(3, &written, &mut out);
        assert_eq!(out, b"\x00\x00\x05\x01\x05\x00\x00\x00\x03\x08\x03204");
    }

    #[test]
    fn large_messages_are_divided_at_16384_octets() {
        let mut out = Vec::new();
        let fields = vec![field("etag", &"e".repeat(40_000))];
        let written = Written { fields, content: Bytes::from(vec![0; 2 * FRAME_OCTETS_MAX + 1]) };
        message(5, &written, &mut out);
        // The block: an index of 2 octets, a length of 4 (7f c1 b7 02), the value.
        let rest = 40_000 + 6 - 2 * FRAME_OCTETS_MAX;
        let expected = [
            (HEADERS, 0, 5, FRAME_OCTETS_MAX),
            (CONTINUATION, 0, 5, FRAME_OCTETS_MAX),
            (CONTINUATION, END_HEADERS, 5, rest),
            (DATA, 0, 5, FRAME_OCTETS_MAX),
            (DATA, 0, 5, FRAME_OCTETS_MAX),
            (DATA, END_STREAM, 5, 1),
        ];
        assert_eq!(frames(&out), expected);
        out.clear();
        message(7, &Written { content: Bytes::from(vec![0; FRAME_OCTETS_MAX]), ..written }, &mut out);
        assert_eq!(frames(&out).last(), Some(&(DATA, END_STREAM, 7, FRAME_OCTETS_MAX)));
    }

    #[test]
    fn control_frames_are_those_of_the_rfc() {
        let mut out = Vec::new();
        settings(true, &mut out);
        assert_eq!(
            out,
            b"\x00\x00\x0c\x04\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x04\x7f\xff\xff\xff\
              \x00\x00\x04\x08\x00\x00\x00\x00\x00\x7f\xff\x00\x00"
        );
        out.clear();
        settings_ack(&mut out);
        cancel(9, &mut out);
        assert_eq!(
            out,
            b"\x00\x00\x00\x04\x01\x00\x00\x00\x00\x00\x00\x04\x03\x00\x00\x00\x00\x09\x00\x00\x00\x08"
        );
    }
}
