//! Runtimes, ports, the skip list.

use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};

/// Runs a test that needs real time.
pub fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("runtime").block_on(test);
}

/// Two SCTP ports that no other test of this process uses.
pub fn ports() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(20_000);
    NEXT.fetch_add(2, Ordering::Relaxed)
}

/// A UDP port that is free now.
pub fn udp_port() -> u16 {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a free port");
    socket.local_addr().expect("bound").port()
}

/// Says that a test cannot run here. It must stand in `tests/skips.txt` of the
/// repository (`name | reason`), so that no test is left out unseen.
pub fn skip(test: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/skips.txt");
    let list = std::fs::read_to_string(&file).expect("tests/skips.txt");
    let reason = list.lines().filter_map(|line| line.split_once('|')).find(|(name, _)| name.trim() == test);
    let Some((_, reason)) = reason else { panic!("{test} cannot run here and is not in tests/skips.txt") };
    println!("SKIPPED {test}: {}", reason.trim());
}
