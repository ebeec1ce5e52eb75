//! The in-memory backend, on a paused clock.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tern_sctp::mem::{MemBackend, MemFaults, MemNetwork};
use tern_sctp::{Association, ConnectOptions, Event, ListenOptions, LostCause, PathState, SctpBackend};

use crate::suite::{Fixture, Property, conformance, lost, message, soon};

fn ip(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

struct Hosts {
    network: MemNetwork,
    core: Arc<MemBackend>,
    gnb: Arc<MemBackend>,
}

fn hosts(seed: u64) -> Hosts {
    let network = MemNetwork::new(seed);
    let core = network.endpoint(vec![ip(1), ip(2)]);
    let gnb = network.endpoint(vec![ip(11)]);
    Hosts { network, core, gnb }
}

fn paused(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.expect("runtime").block_on(test);
}

fn conform(_: &str, property: Property, _: ()) {
    let faulty = MemFaults { loss_per_mille: 50, ..MemFaults::delayed(Duration::from_millis(3)) };
    for faults in [MemFaults::default(), faulty] {
        let Hosts { network, core, gnb } = hosts(7);
        network.set_faults(faults);
        let at = Fixture {
            server: core,
            client: gnb,
            address: ip(1),
            udp_port: 0,
            port: 38412,
            associations: 1000,
        };
        paused(property(at));
    }
}

conformance!((), conform);

async fn pair(hosts: &Hosts, local_port: u16) -> (Association, Association) {
    let mut listener = hosts.core.listen(ListenOptions::new(vec![ip(1), ip(2)], 38412)).expect("listen");
    let mut options = ConnectOptions::new(vec![(ip(1), 38412).into()]);
    options.local_port = local_port;
    let client = hosts.gnb.connect(options).await.expect("connect");
    (client, listener.accept().await.expect("accept"))
}

#[test]
fn when_the_peer_restarts_then_the_association_goes_on() {
    paused(async {
        let hosts = hosts(1);
        let (client, mut server) = pair(&hosts, 5000).await;
        client.send(Bytes::from_static(b"before"), 0, 60, false).await.expect("send");
        assert_eq!(message(&mut server).await.data, "before");
        hosts.gnb.crash();
        let mut options = ConnectOptions::new(vec![(ip(1), 38412).into()]);
        options.local_port = 5000;
        // Nobody accepts: the association of before is the one restarted.
        let _listener = hosts.core.listen(ListenOptions::new(vec![ip(2)], 38413)).expect("listen");
        let listening = hosts.core.listen(ListenOptions::new(vec![ip(1)], 38412)).expect("listen");
        let again = hosts.gnb.connect(options).await.expect("connect");
        assert_eq!(soon(server.recv()).await, Event::Restart);
        again.send(Bytes::from_static(b"after"), 0, 60, false).await.expect("send");
        assert_eq!(message(&mut server).await.data, "after");
        drop((client, listening));
        assert!(server.send(Bytes::from_static(b"up"), 0, 60, false).await.is_ok());
    });
}

#[test]
fn when_the_peer_dies_then_it_is_given_up_after_the_silence() {
    paused(async {
        let hosts = hosts(1);
        let (mut client, mut server) = pair(&hosts, 0).await;
        let before = tokio::time::Instant::now();
        hosts.gnb.crash();
        assert_eq!(lost(&mut client).await, LostCause::AbortedHere);
        let cause = loop {
            if let Event::Lost(cause) = server.recv().await {
                break cause;
            }
        };
        assert_eq!(cause, LostCause::TimedOut);
        assert_eq!(before.elapsed().as_secs(), MemFaults::default().silence_max.as_secs());
    });
}

#[test]
fn when_one_of_two_paths_is_cut_then_messages_still_pass() {
    paused(async {
        let hosts = hosts(1);
        let (mut client, mut server) = pair(&hosts, 0).await;
        hosts.network.cut(ip(1), ip(11));
        let unreachable = PathState::Unreachable;
        assert_eq!(
            soon(client.recv()).await,
            Event::PathChange { address: (ip(1), 38412).into(), state: unreachable }
        );
        client.send(Bytes::from_static(b"round"), 0, 60, false).await.expect("send");
        let data = loop {
            if let Event::Message(message) = server.recv().await {
                break message.data;
            }
        };
        assert_eq!(data, "round");
        hosts.network.mend(ip(1), ip(11));
        let available = PathState::Available;
        assert_eq!(
            soon(client.recv()).await,
            Event::PathChange { address: (ip(1), 38412).into(), state: available }
        );
    });
}

#[test]
fn when_all_paths_are_cut_for_a_while_then_messages_come_late() {
    paused(async {
        let hosts = hosts(1);
        let (client, mut server) = pair(&hosts, 0).await;
        hosts.network.cut(ip(1), ip(11));
        hosts.network.cut(ip(2), ip(11));
        client.send(Bytes::from_static(b"late"), 0, 60, false).await.expect("send");
        tokio::time::sleep(Duration::from_secs(5)).await;
        hosts.network.mend(ip(2), ip(11));
        let data = loop {
            if let Event::Message(message) = soon(server.recv()).await {
                break message.data;
            }
        };
        assert_eq!(data, "late");
    });
}

/// Everything received, with its time, of one run under heavy faults.
fn trace(seed: u64) -> Vec<(u128, Bytes)> {
    let mut seen = Vec::new();
    paused(async {
        let hosts = hosts(seed);
        let jitter = Duration::from_millis(40);
        let delay = Duration::from_millis(5);
        hosts.network.set_faults(MemFaults { delay, jitter, loss_per_mille: 300, ..Default::default() });
        let (client, mut server) = pair(&hosts, 0).await;
        let start = tokio::time::Instant::now();
        for number in 0..200u32 {
            let data = Bytes::copy_from_slice(&number.to_be_bytes());
            client.send(data, (number % 5) as u16, 60, false).await.expect("send");
        }
        while seen.len() < 200 {
            seen.push((start.elapsed().as_micros(), message(&mut server).await.data));
        }
    });
    seen
}

#[test]
fn the_same_seed_gives_the_same_run() {
    assert_eq!(trace(42), trace(42));
    assert_ne!(trace(42), trace(43));
}

#[test]
fn when_too_many_packets_are_lost_then_both_sides_time_out() {
    paused(async {
        let hosts = hosts(1);
        let (mut client, mut server) = pair(&hosts, 0).await;
        hosts.network.set_faults(MemFaults { loss_per_mille: 1000, ..Default::default() });
        client.send(Bytes::from_static(b"gone"), 0, 60, false).await.expect("send");
        assert_eq!(lost(&mut server).await, LostCause::TimedOut);
        assert_eq!(lost(&mut client).await, LostCause::TimedOut);
    });
}

#[test]
fn when_the_peer_is_cut_off_then_connecting_times_out() {
    paused(async {
        let hosts = hosts(1);
        hosts.network.cut(ip(1), ip(11));
        let at = Fixture {
            server: hosts.core,
            client: hosts.gnb,
            address: ip(1),
            udp_port: 0,
            port: 38412,
            associations: 1,
        };
        crate::suite::a_silent_peer_times_out(at, (ip(1), 38412).into()).await;
    });
}
