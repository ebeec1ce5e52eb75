//! Liveness and readiness by HTTP, for what supervises processes: probes of Kubernetes, health checks of
//! containers.
//!
//! `GET /livez` is answered 200 while the process does its work: the answer comes from the thread that does it.
//! `GET /readyz` is answered 200 while the network function is registered and serves, 503 before that, while the
//! NRF has forgotten it, and once it was asked to stop.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;

use tern_types::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use crate::shutdown::{Ready, Shutdown};

/// Environment variable with the address and port of the endpoint, if no flag says it.
pub const HEALTH_VARIABLE: &str = "TERN_HEALTH";
/// Whether the process works.
pub const LIVE_PATH: &str = "/livez";
/// Whether it is registered and serves.
pub const READY_PATH: &str = "/readyz";

/// Octets of a request's head.
const HEAD_MAX: usize = 4096;
/// From a connection's first octet to its last.
const CONNECTION_TIME: Duration = Duration::from_secs(2);
/// Connections at a time. One more ends the oldest: whoever holds them open keeps no probe out.
const CONNECTIONS_MAX: usize = 64;
/// Pause after a connection that could not be accepted, as when descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What is asked about.
#[derive(Debug, Clone)]
pub struct Health {
    ready: Ready,
    shutdown: Shutdown,
}

impl Health {
    /// Of what tells by `ready` that it serves, and stops by `shutdown`.
    pub fn new(ready: Ready, shutdown: Shutdown) -> Self {
        Self { ready, shutdown }
    }

    /// Answers at `at` as long as the runtime lives; returns where, for port 0.
    ///
    /// Fails if the address is not on this machine or taken.
    pub async fn serve(self, at: SocketAddr) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind(at).await?;
        let at = listener.local_addr()?;
        tokio::spawn(self.accept(listener));
        Ok(at)
    }

    async fn accept(self, listener: TcpListener) {
        let mut open: VecDeque<AbortHandle> = VecDeque::with_capacity(CONNECTIONS_MAX);
        loop {
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::debug!(%error, "health: not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            open.retain(|connection| !connection.is_finished());
            if open.len() >= CONNECTIONS_MAX
                && let Some(oldest) = open.pop_front()
            {
                oldest.abort();
            }
            let health = self.clone();
            let connection = tokio::spawn(async move {
                // A peer that is gone, or too slow, has no answer.
                let _ = tokio::time::timeout(CONNECTION_TIME, health.converse(stream)).await;
            });
            open.push_back(connection.abort_handle());
        }
    }

    /// One request, one answer.
    async fn converse(&self, mut stream: TcpStream) -> io::Result<()> {
        let mut head = Vec::with_capacity(512);
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            if head.len() >= HEAD_MAX {
                return respond(&mut stream, "431 Request Header Fields Too Large", "", true).await;
            }
            let room = (HEAD_MAX - head.len()) as u64;
            if (&mut stream).take(room).read_buf(&mut head).await? == 0 {
                return Ok(());
            }
        }
        let (status, text) = self.answer(&head);
        respond(&mut stream, status, text, !head.starts_with(b"HEAD ")).await
    }

    fn answer(&self, head: &[u8]) -> (&'static str, &'static str) {
        let line = head.split(|octet| *octet == b'\r').next().unwrap_or_default();
        let mut parts = line.split(|octet| *octet == b' ');
        let (Some(method), Some(target), Some(version)) = (parts.next(), parts.next(), parts.next()) else {
            return ("400 Bad Request", "");
        };
        if !version.starts_with(b"HTTP/1.") || parts.next().is_some() {
            return ("400 Bad Request", "");
        }
        if method != b"GET" && method != b"HEAD" {
            return ("405 Method Not Allowed", "");
        }
        let path = target.split(|octet| *octet == b'?').next().unwrap_or_default();
        if path == LIVE_PATH.as_bytes() {
            ("200 OK", "live\n")
        } else if path != READY_PATH.as_bytes() {
            ("404 Not Found", "")
        } else if self.shutdown.is_requested() {
            ("503 Service Unavailable", "stopping\n")
        } else if self.ready.is_set() {
            ("200 OK", "ready\n")
        } else {
            ("503 Service Unavailable", "not registered\n")
        }
    }
}

async fn respond(stream: &mut TcpStream, status: &str, text: &str, has_body: bool) -> io::Result<()> {
    let length = text.len();
    let body = if has_body { text } else { "" };
    let response = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\n\
         cache-control: no-store\r\nconnection: close\r\n\r\n{body}"
    );
    stream.write_all(response.as_bytes()).await?;
    stream.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shutdown::Trigger;

    async fn served() -> (SocketAddr, Ready, Trigger) {
        let (trigger, shutdown) = Shutdown::new();
        let ready = Ready::default();
        let health = Health::new(ready.clone(), shutdown);
        (health.serve("127.0.0.1:0".parse().unwrap()).await.unwrap(), ready, trigger)
    }

    /// What comes back for these octets, until the connection ends.
    async fn said(at: SocketAddr, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(at).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        // A connection that is reset has said what it had to say.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    async fn status(at: SocketAddr, path: &str) -> String {
        let answer = said(at, format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await;
        answer.split(' ').nth(1).unwrap_or_default().to_owned()
    }

    #[tokio::test]
    async fn when_it_is_registered_then_it_is_ready_until_it_is_asked_to_stop() {
        let (at, ready, trigger) = served().await;
        assert_eq!((status(at, "/livez").await, status(at, "/readyz").await), ("200".into(), "503".into()));
        ready.set("http://127.0.0.1:1");
        assert_eq!(status(at, "/readyz").await, "200");
        ready.suspend();
        assert_eq!(status(at, "/readyz").await, "503");
        ready.resume();
        assert_eq!(status(at, "/readyz?verbose").await, "200");
        trigger.shut_down();
        assert_eq!((status(at, "/livez").await, status(at, "/readyz").await), ("200".into(), "503".into()));
    }

    #[tokio::test]
    async fn when_a_request_makes_no_sense_then_it_is_refused() {
        let (at, ..) = served().await;
        let long = [b"GET /livez HTTP/1.1\r\nx: ".as_slice(), &[b'x'; 2 * HEAD_MAX]].concat();
        for (request, code) in [
            (b"GET / HTTP/1.1\r\n\r\n".as_slice(), "404"),
            (b"POST /livez HTTP/1.1\r\n\r\n", "405"),
            (b"GET /livez\r\n\r\n", "400"),
            (b"GET /livez HTTP/2\r\n\r\n", "400"),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400"),
            (b"\xff\xfe\0\r\n\r\n", "400"),
            (&long, "431"),
        ] {
            let answer = said(at, request).await;
            // Where octets are left unread the answer may be lost with the connection; none is too many.
            assert!(answer.starts_with(&format!("HTTP/1.1 {code} ")) || answer.is_empty(), "{answer}");
        }
        let answer = said(at, b"HEAD /livez HTTP/1.1\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\n"), "{answer}");
    }

    #[tokio::test]
    async fn when_many_connections_are_held_open_then_a_probe_is_answered_all_the_same() {
        let (at, ..) = served().await;
        let mut held = Vec::new();
        for _ in 0..2 * CONNECTIONS_MAX {
            let mut stream = TcpStream::connect(at).await.unwrap();
            stream.write_all(b"GET /li").await.unwrap();
            held.push(stream);
            assert_eq!(status(at, "/livez").await, "200");
        }
        // No more are kept than may be: the first of them has ended, the last one waits.
        assert_eq!(held[0].read(&mut [0; 1]).await.unwrap_or(0), 0);
        let last = held.last_mut().unwrap();
        last.write_all(b"vez HTTP/1.1\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        last.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
}
