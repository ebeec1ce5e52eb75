//! Two processes, each with its own stack: restart and death of a peer.

use std::net::{IpAddr, Ipv4Addr};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use tern_sctp::usrsctp::{Encapsulation, UsrsctpBackend};
use tern_sctp::{ConnectOptions, Event, ListenOptions, LostCause, SctpBackend, Timers};

use crate::suite::{lost, message, soon};
use crate::support::{ports, run, udp_port};
use crate::udp::stack;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const CHILD: &str = "TERN_SCTP_TEST_GNB";

/// A gNB in another process; killed without a word when dropped.
struct Gnb(Child);

impl Gnb {
    fn start(own_udp: u16, core_udp: u16, core_port: u16) -> Self {
        let child = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "processes::gnb", "--nocapture"])
            .env(CHILD, format!("{own_udp} {core_udp} {core_port}"))
            .stdout(Stdio::null())
            .spawn();
        Self(child.expect("a child"))
    }
}

impl Drop for Gnb {
    fn drop(&mut self) {
        self.0.kill().expect("kill");
        self.0.wait().expect("wait");
    }
}

/// The child's side; without its variable it is no test at all.
#[test]
fn gnb() {
    let Ok(arguments) = std::env::var(CHILD) else { return };
    let numbers: Vec<u16> = arguments.split(' ').map(|n| n.parse().expect("a port")).collect();
    run(async {
        let backend = UsrsctpBackend::start(Encapsulation::Udp { port: numbers[0] }).expect("stack");
        let mut options = ConnectOptions::new(vec![(LOOPBACK, numbers[2]).into()]);
        options.remote_udp_port = numbers[1];
        options.local = vec![LOOPBACK];
        options.local_port = 5_000;
        let mut association = backend.connect(options).await.expect("connect");
        association.send(Bytes::from_static(b"hello"), 0, 60, false).await.expect("send");
        loop {
            if let Event::Lost(_) = association.recv().await {
                return;
            }
        }
    });
}

#[test]
fn when_the_peer_process_starts_again_then_the_association_restarts() {
    run(async {
        let (core, core_udp) = stack();
        let (port, gnb_udp) = (ports(), udp_port());
        let mut listener = core.listen(ListenOptions::new(vec![LOOPBACK], port)).expect("listen");
        let first = Gnb::start(gnb_udp, core_udp, port);
        let mut association = soon(listener.accept()).await.expect("accept");
        assert_eq!(message(&mut association).await.data, "hello");
        drop(first);
        let _second = Gnb::start(gnb_udp, core_udp, port);
        assert_eq!(soon(association.recv()).await, Event::Restart);
        assert_eq!(message(&mut association).await.data, "hello");
    });
}

#[test]
fn when_the_peer_process_dies_then_the_association_is_lost() {
    run(async {
        let (core, core_udp) = stack();
        let (port, gnb_udp) = (ports(), udp_port());
        let mut options = ListenOptions::new(vec![LOOPBACK], port);
        let (fast, slow) = (Duration::from_millis(100), Duration::from_millis(200));
        options.timers = Timers {
            rto_initial: fast,
            rto_min: fast,
            rto_max: slow,
            heartbeat: fast,
            path_retransmissions_max: 2,
            association_retransmissions_max: 3,
            init_retransmissions_max: 3,
        };
        let mut listener = core.listen(options).expect("listen");
        let gnb = Gnb::start(gnb_udp, core_udp, port);
        let mut association = soon(listener.accept()).await.expect("accept");
        assert_eq!(message(&mut association).await.data, "hello");
        drop(gnb);
        assert_eq!(lost(&mut association).await, LostCause::TimedOut);
    });
}
