//! What every backend must do. Each function is one property.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tern_sctp::{
    Association, ConnectOptions, Event, Limits, ListenOptions, LostCause, Message, SctpBackend, SctpError,
    SctpListener, SendError, Streams,
};

/// Longest wait for anything that should happen at once.
const SOON: Duration = Duration::from_secs(20);

/// Two hosts that reach one another; they may be one.
#[derive(Clone)]
pub struct Fixture {
    pub server: Arc<dyn SctpBackend>,
    pub client: Arc<dyn SctpBackend>,
    pub address: IpAddr,
    pub udp_port: u16,
    /// Free for this property alone; so is the next one.
    pub port: u16,
    pub associations: usize,
}

impl Fixture {
    pub fn listen(&self, change: impl FnOnce(&mut ListenOptions)) -> Box<dyn SctpListener> {
        let mut options = ListenOptions::new(vec![self.address], self.port);
        change(&mut options);
        self.server.listen(options).expect("listen")
    }

    pub fn connecting(&self) -> ConnectOptions {
        let mut options = ConnectOptions::new(vec![SocketAddr::new(self.address, self.port)]);
        options.remote_udp_port = self.udp_port;
        options
    }

    async fn connect(&self, change: impl FnOnce(&mut ConnectOptions)) -> Result<Association, SctpError> {
        let mut options = self.connecting();
        change(&mut options);
        soon(self.client.connect(options)).await
    }

    /// Client's and server's side of a new association.
    pub async fn pair(&self) -> (Association, Association) {
        let mut listener = self.listen(|_| {});
        self.joined(&mut listener).await
    }

    async fn joined(&self, listener: &mut Box<dyn SctpListener>) -> (Association, Association) {
        let client = self.connect(|_| {}).await.expect("connect");
        (client, soon(listener.accept()).await.expect("accept"))
    }
}

pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future).await.expect("in time")
}

pub async fn message(association: &mut Association) -> Message {
    match soon(association.recv()).await {
        Event::Message(message) => message,
        other => panic!("a message, not {other:?}"),
    }
}

pub async fn lost(association: &mut Association) -> LostCause {
    loop {
        if let Event::Lost(cause) = soon(association.recv()).await {
            return cause;
        }
    }
}

pub async fn streams_are_negotiated(at: Fixture) {
    let mut listener = at.listen(|o| o.streams = Streams { outbound: 5, inbound_max: 7 });
    let streams = Streams { outbound: 12, inbound_max: 3 };
    let client = at.connect(|o| o.streams = streams).await.expect("connect");
    let server = soon(listener.accept()).await.expect("accept");
    assert_eq!((client.info().outbound_streams, client.info().inbound_streams), (7, 3));
    assert_eq!((server.info().outbound_streams, server.info().inbound_streams), (3, 7));
    assert_eq!(client.info().peer[0], SocketAddr::new(at.address, at.port));
    assert_eq!(server.info().peer.len(), 1);
    assert!(!server.info().peer[0].ip().is_unspecified());
    let refused = client.send(Bytes::from_static(b"x"), 7, 60, false).await;
    assert_eq!(refused, Err(SendError::NoSuchStream { stream: 7, negotiated: 7 }));
    assert!(matches!(client.send(Bytes::new(), 0, 60, false).await, Err(SendError::Length { .. })));
}

pub async fn messages_keep_stream_ppid_and_flag(at: Fixture) {
    let (mut client, mut server) = at.pair().await;
    for (stream, ppid, unordered) in [(0, 60, false), (3, 60, false), (15, 0xffff_ffff, false), (2, 61, true)]
    {
        let data = Bytes::from(format!("{stream} {ppid}"));
        client.send(data.clone(), stream, ppid, unordered).await.expect("send");
        let sent = Message { data, stream, ppid, unordered };
        assert_eq!(message(&mut server).await, sent);
        let Message { data, stream, ppid, unordered } = sent.clone();
        server.send(data, stream, ppid, unordered).await.expect("send back");
        assert_eq!(message(&mut client).await, sent);
    }
}

pub async fn large_messages_stay_whole(at: Fixture) {
    let (client, mut server) = at.pair().await;
    for length in [1, 1452, 1500, 9_000, 65_535, 65_536] {
        let data: Bytes = (0..length).map(|i| (i * 7 + i / 251) as u8).collect();
        client.send(data.clone(), 1, 60, false).await.expect("send");
        assert_eq!(message(&mut server).await.data, data, "{length} octets");
    }
    let long = Bytes::from(vec![0; 65_537]);
    assert!(matches!(client.send(long, 1, 60, false).await, Err(SendError::Length { .. })));
}

pub async fn order_is_kept_within_a_stream(at: Fixture) {
    const EACH: u32 = 500;
    let (client, mut server) = at.pair().await;
    let sender = client.sender();
    let sending = tokio::spawn(async move {
        for number in 0..EACH {
            for stream in 0..4 {
                let data = Bytes::copy_from_slice(&number.to_be_bytes());
                sender.send(data, stream, 60, false).await.expect("send");
            }
        }
    });
    let mut next = [0u32; 4];
    for _ in 0..EACH * 4 {
        let message = message(&mut server).await;
        let number = u32::from_be_bytes(message.data[..].try_into().expect("four octets"));
        let expected = &mut next[usize::from(message.stream)];
        assert_eq!(number, *expected, "stream {}", message.stream);
        *expected += 1;
    }
    sending.await.expect("sent");
    drop(client);
}

pub async fn shutdown_delivers_first(at: Fixture) {
    let (mut client, mut server) = at.pair().await;
    for number in 0..20u8 {
        client.send(Bytes::from(vec![number; 100]), 0, 60, false).await.expect("send");
    }
    client.shutdown();
    for number in 0..20u8 {
        assert_eq!(message(&mut server).await.data[0], number);
    }
    assert_eq!(soon(server.recv()).await, Event::ShutdownRequested);
    assert_eq!(lost(&mut server).await, LostCause::Shutdown);
    assert_eq!(lost(&mut client).await, LostCause::Shutdown);
    assert_eq!(soon(client.recv()).await, Event::Lost(LostCause::Shutdown));
    assert_eq!(client.send(Bytes::from_static(b"x"), 0, 60, false).await, Err(SendError::Closed));
}

pub async fn abort_is_told(at: Fixture) {
    let (mut client, mut server) = at.pair().await;
    server.abort("test");
    assert_eq!(lost(&mut server).await, LostCause::AbortedHere);
    assert_eq!(lost(&mut client).await, LostCause::AbortedByPeer);
    assert_eq!(client.send(Bytes::from_static(b"x"), 0, 60, false).await, Err(SendError::Closed));
}

pub async fn a_dropped_receiver_aborts(at: Fixture) {
    let (mut client, server) = at.pair().await;
    let (_sender, receiver) = server.into_split();
    drop(receiver);
    assert_eq!(lost(&mut client).await, LostCause::AbortedByPeer);
}

pub async fn nobody_listening_refuses(at: Fixture) {
    let error = at.connect(|o| o.timeout = Duration::from_secs(1)).await.expect_err("nobody listens");
    // Raw on loopback, a stack must not answer for others.
    let raw = at.server.name() == "usrsctp-raw";
    assert!(matches!(error, SctpError::Refused { .. }) || raw, "{error}");
    // Once somebody listens, the same client gets through.
    at.pair().await;
}

pub async fn a_silent_peer_times_out(at: Fixture, silent: SocketAddr) {
    let error = at.connect(|o| {
        o.remote = vec![silent];
        o.remote_udp_port = 9;
        o.timeout = Duration::from_millis(300);
    });
    let error = error.await.expect_err("nobody is there");
    assert!(matches!(error, SctpError::TimedOut { .. } | SctpError::Refused { .. }), "{error}");
}

pub async fn many_associations(at: Fixture) {
    let count = at.associations;
    let mut listener = at.listen(|o| o.limits.associations_per_peer_max = count);
    let accepting = tokio::spawn(async move {
        let mut accepted = Vec::new();
        for _ in 0..count {
            let mut association = soon(listener.accept()).await.expect("accept");
            let echo = message(&mut association).await;
            association.send(echo.data, 0, 60, false).await.expect("echo");
            accepted.push(association);
        }
        accepted
    });
    let mut clients = Vec::new();
    for number in 0..count {
        let client = at.connect(|_| {}).await.expect("connect");
        client.send(Bytes::from(format!("{number}")), 0, 60, false).await.expect("send");
        clients.push(client);
    }
    for (number, client) in clients.iter_mut().enumerate() {
        assert_eq!(message(client).await.data, format!("{number}"));
    }
    assert_eq!(accepting.await.expect("accepted").len(), count);
}

pub async fn the_limit_refuses_one_more(at: Fixture) {
    let before = at.server.counters().refused_limit.get();
    let mut listener = at.listen(|o| o.limits.associations_max = 3);
    let mut served = Vec::new();
    for _ in 0..3 {
        served.push(at.joined(&mut listener).await);
    }
    let accepting = tokio::spawn(async move {
        let accepted = listener.accept().await;
        (listener, accepted)
    });
    refused(at.connect(|_| {}).await).await;
    assert_eq!(at.server.counters().refused_limit.get(), before + 1);
    // The three are untouched, and a place that becomes free is used.
    let (client, server) = served.remove(0);
    client.send(Bytes::from_static(b"still"), 0, 60, false).await.expect("send");
    let (mut client, mut server) = (client, server);
    assert_eq!(message(&mut server).await.data, "still");
    server.abort("room");
    lost(&mut client).await;
    drop((client, server));
    let mut client = at.connect(|_| {}).await.expect("connect");
    let (_listener, accepted) = soon(accepting).await.expect("accepts");
    let accepted = accepted.expect("accepted");
    accepted.send(Bytes::from_static(b"welcome"), 0, 60, false).await.expect("send");
    assert_eq!(message(&mut client).await.data, "welcome");
}

pub async fn the_limit_of_a_peer_refuses_one_more(at: Fixture) {
    let before = at.server.counters().refused_peer_limit.get();
    let mut listener = at.listen(|o| o.limits.associations_per_peer_max = 2);
    let _one = at.joined(&mut listener).await;
    let _two = at.joined(&mut listener).await;
    let accepting = tokio::spawn(async move { listener.accept().await.map(drop) });
    refused(at.connect(|_| {}).await).await;
    assert_eq!(at.server.counters().refused_peer_limit.get(), before + 1);
    accepting.abort();
}

/// Refused during the handshake, or aborted right after it.
async fn refused(connected: Result<Association, SctpError>) {
    match connected {
        Err(SctpError::Refused { .. }) => {}
        Ok(mut association) => assert_eq!(lost(&mut association).await, LostCause::AbortedByPeer),
        Err(other) => panic!("refused, not {other}"),
    }
}

pub async fn a_slow_reader_holds_the_sender_back(at: Fixture) {
    let mut listener = at.listen(|_| {});
    let small = Limits { send_buffer: 70_000, message_length_max: 1_000, ..Limits::default() };
    let client = at.connect(|o| o.limits = small).await.expect("connect");
    let mut server = soon(listener.accept()).await.expect("accept");
    let sender = client.sender();
    let data = |number: u32| Bytes::from([&number.to_be_bytes()[..], &[0; 900]].concat());
    let mut sent = 0;
    let full = loop {
        match sender.try_send(data(sent), 0, 60, false) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
        assert!(sent < 100_000, "no bound");
    };
    assert_eq!(full, SendError::Full);
    assert!(at.client.counters().send_full.get() > 0);
    let last = sent + 200;
    let sending = tokio::spawn(async move {
        for number in sent..last {
            sender.send(data(number), 0, 60, false).await.expect("send");
        }
    });
    for number in 0..last {
        let message = message(&mut server).await;
        assert_eq!(message.data[..4], number.to_be_bytes());
    }
    soon(sending).await.expect("sent");
    drop(client);
}

pub async fn a_message_over_the_limit_aborts(at: Fixture) {
    let before = at.server.counters().aborted_too_long.get();
    let mut listener = at.listen(|o| o.limits.message_length_max = 1_000);
    let (mut client, mut server) = at.joined(&mut listener).await;
    client.send(Bytes::from(vec![1; 1_000]), 0, 60, false).await.expect("send");
    client.send(Bytes::from(vec![2; 1_001]), 0, 60, false).await.expect("send");
    assert_eq!(message(&mut server).await.data.len(), 1_000);
    assert_eq!(lost(&mut server).await, LostCause::MessageTooLong { length_max: 1_000 });
    assert_eq!(lost(&mut client).await, LostCause::AbortedByPeer);
    assert_eq!(at.server.counters().aborted_too_long.get(), before + 1);
}

/// One test for each property: `conformance!(fixture, wrapper)`.
macro_rules! conformance {
    ($fixture:expr, $run:expr) => {
        $crate::suite::conformance!(@each $fixture, $run,
            streams_are_negotiated, messages_keep_stream_ppid_and_flag, large_messages_stay_whole,
            order_is_kept_within_a_stream, shutdown_delivers_first, abort_is_told,
            a_dropped_receiver_aborts, nobody_listening_refuses, many_associations,
            the_limit_refuses_one_more, the_limit_of_a_peer_refuses_one_more,
            a_slow_reader_holds_the_sender_back, a_message_over_the_limit_aborts);
    };
    (@each $fixture:expr, $run:expr, $($property:ident),*) => {
        $(#[test]
        fn $property() {
            $run(stringify!($property), |at| Box::pin($crate::suite::$property(at)), $fixture);
        })*
    };
}
pub(crate) use conformance;

/// A property, as a value.
pub type Property = fn(Fixture) -> tern_sctp::BoxFuture<'static, ()>;

/// All of them, for those who run them in a row.
pub fn all() -> Vec<(&'static str, Property)> {
    macro_rules! list {
        ($($property:ident),*) => {
            vec![$((stringify!($property), (|at| Box::pin($property(at))) as Property)),*]
        };
    }
    list![
        streams_are_negotiated,
        messages_keep_stream_ppid_and_flag,
        large_messages_stay_whole,
        order_is_kept_within_a_stream,
        shutdown_delivers_first,
        abort_is_told,
        a_dropped_receiver_aborts,
        nobody_listening_refuses,
        many_associations,
        the_limit_refuses_one_more,
        the_limit_of_a_peer_refuses_one_more,
        a_slow_reader_holds_the_sender_back,
        a_message_over_the_limit_aborts
    ]
}
