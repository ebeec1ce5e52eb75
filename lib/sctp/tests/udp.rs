//! usrsctp inside UDP: both ends on the one stack of this process.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, OnceLock};

use tern_sctp::SctpBackend;
use tern_sctp::usrsctp::{Encapsulation, UsrsctpBackend};

use crate::suite::{self, Fixture, Property, conformance};
use crate::support::{ports, run, udp_port};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The stack of this process, on a port of its own.
pub fn stack() -> (Arc<dyn SctpBackend>, u16) {
    static PORT: OnceLock<u16> = OnceLock::new();
    let port = *PORT.get_or_init(|| {
        // Another copy may take the port between its choice and its use.
        let started = (0..20)
            .map(|_| udp_port())
            .find(|port| UsrsctpBackend::start(Encapsulation::Udp { port: *port }).is_ok());
        started.expect("a free UDP port")
    });
    (UsrsctpBackend::start(Encapsulation::Udp { port }).expect("started"), port)
}

fn fixture() -> Fixture {
    let (stack, udp_port) = stack();
    Fixture {
        server: Arc::clone(&stack),
        client: stack,
        address: LOOPBACK,
        udp_port,
        port: ports(),
        associations: 200,
    }
}

fn conform(_: &str, property: Property, at: Fixture) {
    run(property(at));
}

conformance!(fixture(), conform);

#[test]
fn a_silent_peer_times_out() {
    run(suite::a_silent_peer_times_out(fixture(), (LOOPBACK, 38412).into()));
}

#[test]
fn when_the_stack_runs_in_one_mode_then_another_is_refused() {
    let (_, port) = stack();
    let other = UsrsctpBackend::start(Encapsulation::Udp { port: port.wrapping_add(1) });
    assert!(other.expect_err("one stack a process").to_string().contains("already runs"));
    assert!(UsrsctpBackend::start(Encapsulation::Raw).is_err());
}

/// TS 38.412 allows IPv6 under N2.
#[test]
fn ipv6_carries_associations_too() {
    let at = Fixture { address: "::1".parse().expect("literal"), ..fixture() };
    run(suite::messages_keep_stream_ppid_and_flag(at));
}

/// The host's list of addresses does not have it; still it is the host's.
#[test]
fn any_loopback_address_serves() {
    let at = Fixture { address: "127.0.0.116".parse().expect("literal"), ..fixture() };
    run(suite::messages_keep_stream_ppid_and_flag(at));
}

/// Associations come and go while others are busy. The stack's own locks do not cover that: it
/// wrote into freed memory, and the process died or an association began after ten seconds.
#[test]
fn associations_come_and_go_beside_busy_ones() {
    const ROUNDS: usize = 6;
    let properties: [Property; 4] = [
        |at| Box::pin(suite::many_associations(at)),
        |at| Box::pin(suite::order_is_kept_within_a_stream(at)),
        |at| Box::pin(suite::large_messages_stay_whole(at)),
        |at| Box::pin(suite::many_associations(at)),
    ];
    std::thread::scope(|scope| {
        for property in properties {
            scope.spawn(move || (0..ROUNDS).for_each(|_| run(property(fixture()))));
        }
    });
}
