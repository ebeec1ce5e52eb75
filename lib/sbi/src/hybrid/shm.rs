//! The consumer's side through shared memory.

use std::net::{IpAddr, SocketAddr};

use http::HeaderValue;
use sbi_shm::{ConnectError, ConnectOptions, Stack};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;
use tern_sbi::{Call, Reply, Request, TransportError};
use tern_types::Duration;

use super::options::{Codec, Connections, HybridOptions};
use crate::direct::{self, Answer};
use crate::http::client::{self, ATTEMPTS_MAX, Attempt, Http2};
use crate::http::{self as http2, HttpLimits};
use crate::producers::{Producers, Shareable};
use crate::tap::{Exchange, Tap};

/// Buffers of a connection that many requests share.
const SHARED_WINDOW: u32 = 32;
/// Buffers of a connection of one session.
const SESSION_WINDOW: u32 = 4;
/// Sessions with connections of their own, to one producer.
const SESSIONS_MAX: usize = 64;
/// A session's connection that is not used for this long ends.
const SESSION_IDLE: Duration = Duration::from_secs(10);

/// Whose connection it is: to where, and of which session.
type Key = (SocketAddr, Option<u64>);

/// A connection, by what is spoken on it.
#[derive(Clone)]
enum Connection {
    Direct(direct::Connection),
    Http2(Http2, Ends),
}

#[derive(Clone, Copy)]
struct Ends {
    consumer: SocketAddr,
    producer: SocketAddr,
}

impl Shareable for Connection {
    fn is_closed(&self) -> bool {
        match self {
            Self::Direct(connection) => connection.is_closed(),
            Self::Http2(connection, _) => Shareable::is_closed(connection),
        }
    }
}

/// Why a connection was not opened.
#[derive(Clone)]
enum NotOpened {
    /// Nobody listens there on this node.
    NotHere(String),
    Failed(String),
}

/// What became of a request.
pub(super) enum Outcome {
    Done(Result<Reply, TransportError>),
    /// The producer is not on this node.
    NotHere(String),
}

pub(super) struct Shm {
    stack: Stack,
    source: Option<IpAddr>,
    codec: Codec,
    connections: Connections,
    limits: HttpLimits,
    user_agent: (String, HeaderValue),
    producers: Producers<Key, Connection, NotOpened>,
    tap: Option<Tap>,
    /// Numbers HTTP/2 exchanges for the tap.
    exchanges: AtomicU64,
}

impl Shm {
    pub(super) fn new(stack: Stack, options: &HybridOptions, tap: Option<Tap>) -> Self {
        let sessions = match options.connections {
            Connections::Multiplexed => 1,
            Connections::Session => SESSIONS_MAX + 1,
        };
        Self {
            source: options.source.filter(|source| stack.may_use(*source)),
            stack,
            codec: options.codec,
            connections: options.connections,
            limits: options.limits.clone(),
            user_agent: (options.user_agent.clone(), http2::user_agent(&options.user_agent)),
            producers: Producers::new(options.limits.producers_max * sessions),
            tap,
            exchanges: AtomicU64::new(0),
        }
    }

    pub(super) fn stack(&self) -> &Stack {
        &self.stack
    }

    /// Sends a request to the producer at `to`, as `Transport::send` does.
    pub(super) async fn send(
        &self,
        to: SocketAddr,
        api_root: &str,
        call: &Call,
        request: &Request,
    ) -> Outcome {
        let timeout = call.timeout.unwrap_or(self.limits.call_timeout);
        let mut request = request.clone();
        request.headers.max_response_time = request.headers.max_response_time.or(call.timeout);
        request.headers.priority = request.headers.priority.or(call.priority);
        let key = self.key(to, call);
        match tokio::time::timeout(timeout, self.exchange(key, api_root, &request)).await {
            Ok(outcome) => outcome,
            Err(_) => Outcome::Done(Err(TransportError::TimedOut)),
        }
    }

    fn key(&self, to: SocketAddr, call: &Call) -> Key {
        let (Connections::Session, Some(session)) = (self.connections, call.session) else {
            return (to, None);
        };
        let of_producer = |key: &Key| key.0 == to && key.1.is_some();
        let own = (to, Some(session));
        if self.producers.count(|key| *key == own) == 1 {
            return own;
        }
        self.producers.forget_idle(SESSION_IDLE, of_producer);
        if self.producers.count(of_producer) < SESSIONS_MAX { own } else { (to, None) }
    }

    async fn exchange(&self, key: Key, api_root: &str, request: &Request) -> Outcome {
        let unreachable = |text: &str| TransportError::Unreachable(format!("{api_root}: {text}"));
        let mut failure = String::new();
        for _ in 0..ATTEMPTS_MAX {
            let connection = match self.producers.connection(&key, || self.open(key)).await {
                Ok(connection) => connection,
                Err(NotOpened::NotHere(why)) => return Outcome::NotHere(format!("{api_root}: {why}")),
                Err(NotOpened::Failed(why)) => return Outcome::Done(Err(unreachable(&why))),
            };
            match connection {
                Connection::Direct(connection) => match connection.call(request).await {
                    Answer::Reply(octets) => {
                        let reply = tern_sbi::direct::read_reply(octets);
                        return Outcome::Done(reply.map_err(|error| TransportError::Lost(error.to_string())));
                    }
                    Answer::NotSent(why) => failure = why,
                    Answer::Lost(why) => {
                        return Outcome::Done(Err(TransportError::Lost(format!("{api_root}: {why}"))));
                    }
                },
                Connection::Http2(sender, ends) => {
                    match self.over_http2(sender, ends, api_root, request).await {
                        Ok(outcome) => return Outcome::Done(outcome),
                        Err(why) => failure = why,
                    }
                }
            }
        }
        Outcome::Done(Err(unreachable(&failure)))
    }

    /// The error says why the producer has not seen the request.
    async fn over_http2(
        &self,
        sender: Http2,
        ends: Ends,
        api_root: &str,
        request: &Request,
    ) -> Result<Result<Reply, TransportError>, String> {
        let encoded = http2::codec::encode_request(api_root, &self.user_agent.1, request)
            .map_err(|error| format!("request is not HTTP: {error}"))?;
        let exchange = Exchange {
            consumer: ends.consumer,
            producer: ends.producer,
            number: self.exchanges.fetch_add(1, Ordering::Relaxed),
        };
        if let Some(tap) = &self.tap {
            tap.request(exchange, SystemTime::now(), &self.user_agent.0, request);
        }
        let outcome = match client::attempt(sender, encoded).await {
            Attempt::Answered(response) => client::read(response, &self.limits).await,
            Attempt::NotSent(why) => return Err(why),
            Attempt::Lost(why) => Err(TransportError::Lost(format!("{api_root}: {why}"))),
        };
        if let Some(tap) = &self.tap {
            match &outcome {
                // What is spoken is HTTP/2: the consumer can write both halves.
                Ok(reply) => tap.reply(exchange, SystemTime::now(), reply, &[]),
                Err(_) => tap.give_up(exchange, SystemTime::now()),
            }
        }
        Ok(outcome)
    }

    async fn open(&self, (to, session): Key) -> Result<Connection, NotOpened> {
        let options = ConnectOptions {
            source: self.source.filter(|source| source.is_ipv4() == to.is_ipv4()),
            offer: match self.codec {
                Codec::Auto => tern_sbi::direct::REVISION,
                Codec::Http2 => 0,
            },
            window: if session.is_some() { SESSION_WINDOW } else { SHARED_WINDOW },
            timeout: self.limits.connect_timeout,
        };
        let stream = self.stack.connect_async(to, &options).await.map_err(|error| match &error {
            ConnectError::NoManager | ConnectError::Unknown(_) | ConnectError::Refused(_) => {
                NotOpened::NotHere(error.to_string())
            }
            _ => NotOpened::Failed(error.to_string()),
        })?;
        let ends = Ends { consumer: stream.local_addr(), producer: stream.peer_addr() };
        if stream.choice() == tern_sbi::direct::REVISION {
            let tap = self.tap.clone().map(|tap| (tap, self.user_agent.0.clone()));
            return Ok(Connection::Direct(direct::Connection::new(stream, &self.limits, tap)));
        }
        let sender = client::handshake(Box::new(stream), &self.limits, &to.to_string()).await;
        sender.map(|sender| Connection::Http2(sender, ends)).map_err(NotOpened::Failed)
    }
}
