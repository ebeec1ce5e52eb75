//! Messages as HTTP/2 writes them, for those who read along.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, DATE, HeaderMap, HeaderValue};
use http_body_util::Full;
use hyper::body::Body as _;
use tern_sbi::{Method, Reply, Request};

use super::codec;

/// A field of a header section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    /// In lower case; pseudo-header fields begin with a colon.
    pub(crate) name: String,
    pub(crate) value: Bytes,
}

/// One message: its header section in the order in which it is sent, and its content.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) fields: Vec<Field>,
    pub(crate) content: Bytes,
}

impl Written {
    /// A request as the client sends it to the producer at this address.
    pub(crate) fn request(
        producer: SocketAddr,
        user_agent: &str,
        request: &Request,
    ) -> Result<Self, codec::EncodeError> {
        let user_agent = super::user_agent(user_agent);
        let encoded = codec::encode_request(&format!("http://{producer}"), &user_agent, request)?;
        let (mut parts, body) = encoded.into_parts();
        let content = content_of(body);
        // As hyper does it: a method that defines a meaning of content says that there is none.
        if !content.is_empty() || !matches!(request.method, Method::Get | Method::Delete) {
            parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(content.len()));
        }
        let mut written = Self { fields: Vec::new(), content };
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        written.push(":method", parts.method.as_str());
        written.push(":scheme", "http");
        written.push(":authority", &producer.to_string());
        written.push(":path", path);
        written.extend(&parts.headers);
        Ok(written)
    }

    /// A reply as the server sends it at this time; `allow` are the resource's methods if the
    /// status is 405.
    pub(crate) fn reply(at: SystemTime, reply: &Reply, allow: &[Method]) -> Result<Self, codec::EncodeError> {
        let (mut parts, body) = codec::encode_reply(reply.clone(), allow)?.into_parts();
        let content = content_of(body);
        // Before the year 1970 and after 9999 there is no text for it.
        if at.duration_since(SystemTime::UNIX_EPOCH).is_ok_and(|since| since.as_secs() < DATE_END_S) {
            parts
                .headers
                .insert(DATE, HeaderValue::try_from(httpdate::fmt_http_date(at)).map_err(http::Error::from)?);
        }
        if !content.is_empty() {
            parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(content.len()));
        }
        let mut written = Self { fields: Vec::new(), content };
        written.push(":status", parts.status.as_str());
        written.extend(&parts.headers);
        Ok(written)
    }

    fn push(&mut self, name: &str, value: &str) {
        self.fields.push(Field { name: name.to_owned(), value: Bytes::copy_from_slice(value.as_bytes()) });
    }

    fn extend(&mut self, headers: &HeaderMap) {
        let fields = headers.iter().map(|(name, value)| Field {
            name: name.as_str().to_owned(),
            value: Bytes::copy_from_slice(value.as_bytes()),
        });
        self.fields.extend(fields);
    }
}

/// The first second of the year 10000, from which no HTTP date can be written.
const DATE_END_S: u64 = 253_402_300_800;

/// What a body holds that is all there.
fn content_of(mut body: Full<Bytes>) -> Bytes {
    let mut context = Context::from_waker(Waker::noop());
    match Pin::new(&mut body).poll_frame(&mut context) {
        Poll::Ready(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
        _ => Bytes::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tern_sbi::{Body, Call, Headers, Part, PartKind};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::http::{Http, HttpLimits, Tcp};
    use crate::transport::{BoxFuture, Service, Transport as _};

    fn names(written: &Written) -> Vec<&str> {
        written.fields.iter().map(|field| field.name.as_str()).collect()
    }

    fn value<'a>(written: &'a Written, name: &str) -> &'a [u8] {
        &written.fields.iter().find(|field| field.name == name).unwrap().value
    }

    #[test]
    fn a_request_has_the_fields_of_the_client() {
        let request = Request {
            method: Method::Post,
            path: "/nausf-auth/v1/ue-authentications".into(),
            query: vec![("a".into(), "b c".into())],
            headers: Headers { priority: Some(7), ..Headers::default() },
            body: Body::Json("{}".into()),
        };
        let producer = "[::1]:8080".parse().unwrap();
        let written = Written::request(producer, "AMF", &request).unwrap();
        assert_eq!(names(&written)[..4], [":method", ":scheme", ":authority", ":path"]);
        assert_eq!(value(&written, ":authority"), b"[::1]:8080");
        assert_eq!(value(&written, ":path"), b"/nausf-auth/v1/ue-authentications?a=b%20c");
        assert_eq!(value(&written, "user-agent"), b"AMF");
        assert_eq!(value(&written, "3gpp-sbi-message-priority"), b"7");
        assert_eq!(value(&written, "content-length"), b"2");
        assert_eq!(written.content, "{}");

        let get = Request { method: Method::Get, body: Body::Empty, ..request.clone() };
        let written = Written::request(producer, "AMF", &get).unwrap();
        assert!(!names(&written).contains(&"content-length"));
        let empty = Request { body: Body::Empty, ..request };
        let written = Written::request(producer, "AMF", &empty).unwrap();
        assert_eq!(value(&written, "content-length"), b"0");
    }

    #[test]
    fn a_reply_has_the_fields_of_the_server() {
        // The example of RFC 9110 §5.6.7.
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let written = Written::reply(at, &Reply::empty(405), &[Method::Get, Method::Put]).unwrap();
        assert_eq!(names(&written), [":status", "allow", "date"]);
        assert_eq!(value(&written, ":status"), b"405");
        assert_eq!(value(&written, "allow"), b"GET, PUT");
        assert_eq!(value(&written, "date"), b"Sun, 06 Nov 1994 08:49:37 GMT");
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(DATE_END_S);
        let written = Written::reply(end, &Reply::empty(204), &[]).unwrap();
        assert_eq!(names(&written), [":status"]);
        assert!(Written::reply(at, &Reply::empty(99), &[]).is_err());
    }

    fn samples() -> Vec<Request> {
        let request = |method, body| Request {
            method,
            path: "/test/v1/x".into(),
            query: vec![("q".into(), "{\"a\":\"é &\"}".into())],
            headers: Headers { if_match: Some("\"1\"".into()), priority: Some(3), ..Headers::default() },
            body,
        };
        let part = Part { id: "n1".into(), kind: PartKind::Nas, data: "\x7e".into() };
        vec![
            request(Method::Get, Body::Empty),
            request(Method::Delete, Body::Empty),
            request(Method::Post, Body::Empty),
            request(Method::Patch, Body::MergePatch("{}".into())),
            request(Method::Post, Body::Related { json: "{}".into(), parts: vec![part] }),
        ]
    }

    /// All but the date, which differs from one run to the next.
    fn comparable(fields: &[Field]) -> Vec<(&str, &[u8])> {
        fields
            .iter()
            .filter(|field| field.name != "date")
            .map(|field| (field.name.as_str(), &field.value[..]))
            .collect()
    }

    #[tokio::test]
    async fn a_request_is_what_the_client_sends() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut connection = h2::server::handshake(stream).await.unwrap();
            let mut seen = Vec::new();
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                let (parts, _) = request.into_parts();
                let mut written = Written::default();
                written.push(":method", parts.method.as_str());
                written.push(":scheme", parts.uri.scheme_str().unwrap());
                written.push(":authority", parts.uri.authority().unwrap().as_str());
                written.push(":path", parts.uri.path_and_query().unwrap().as_str());
                written.extend(&parts.headers);
                seen.push(written);
                let reply = http::Response::builder().status(204).body(()).unwrap();
                respond.send_response(reply, true).unwrap();
            }
            seen
        });
        let client = Http::tcp(Tcp::default(), HttpLimits::default(), "AMF");
        for request in samples() {
            client.send(&format!("http://{at}"), &Call::default(), request).await.unwrap();
        }
        drop(client);
        let seen = server.await.unwrap();
        assert_eq!(seen.len(), samples().len());
        for (seen, request) in seen.iter().zip(samples()) {
            let written = Written::request(at, "AMF", &request).unwrap();
            assert_eq!(seen.fields, written.fields);
        }
    }

    fn replies() -> Vec<Reply> {
        let created = Reply {
            location: Some("http://127.0.0.1:1/x/1".into()),
            etag: Some("\"e\"".into()),
            retry_after: Some(tern_types::Duration::from_secs(2)),
            max_age: Some(tern_types::Duration::from_secs(60)),
            body: Body::Json("{}".into()),
            ..Reply::empty(201)
        };
        vec![created, Reply::empty(204), Reply::empty(405)]
    }

    /// Answers `/0` with the first of [`replies`], `/1` with the second, ….
    struct Replies;

    impl Service for Replies {
        fn handle(&self, request: Request) -> BoxFuture<'_, Reply> {
            let index: usize = request.path[1..].parse().unwrap();
            Box::pin(async move { replies().swap_remove(index) })
        }

        fn allowed(&self, _: &str) -> Vec<Method> {
            vec![Method::Get, Method::Put]
        }
    }

    #[tokio::test]
    async fn a_reply_is_what_the_server_sends() {
        let http = Http::tcp(Tcp::default(), HttpLimits::default(), "AMF");
        let serving = http.serve("127.0.0.1:0".parse().unwrap(), Arc::new(Replies)).await.unwrap();
        let stream = TcpStream::connect(serving.local_addr()).await.unwrap();
        let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        for (index, reply) in replies().iter().enumerate() {
            let uri = format!("http://x/{index}");
            let request = http::Request::get(uri).body(()).unwrap();
            let (response, _) = client.send_request(request, true).unwrap();
            let (parts, _) = response.await.unwrap().into_parts();
            let mut seen = Written::default();
            seen.push(":status", parts.status.as_str());
            seen.extend(&parts.headers);
            let allow: &[Method] = if reply.status == 405 { &[Method::Get, Method::Put] } else { &[] };
            let written = Written::reply(SystemTime::now(), reply, allow).unwrap();
            assert_eq!(names(&seen), names(&written));
            assert_eq!(comparable(&seen.fields), comparable(&written.fields));
        }
    }
}
