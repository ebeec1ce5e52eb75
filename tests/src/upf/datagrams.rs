//! Numbered UDP datagrams: what is sent, what arrives, in which order.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::iperf::UDP_OVERHEAD;

/// Datagrams in one go, and the pause behind them: some 20,000 a second.
const GO: u32 = 20;
const PAUSE: Duration = Duration::from_millis(1);
/// The longest pause of a sender, behind which nothing more is expected.
const SILENCE: Duration = Duration::from_millis(1_500);

/// Sends datagrams with these numbers, each of so many octets of payload.
pub fn send(
    socket: &UdpSocket,
    to: (Ipv4Addr, u16),
    numbers: std::ops::Range<u32>,
    octets: usize,
) -> Result<()> {
    let mut payload = vec![0x5A; octets.max(4)];
    for number in numbers {
        payload[..4].copy_from_slice(&number.to_be_bytes());
        let sent = socket.send_to(&payload, to)?;
        ensure!(sent == payload.len(), "a datagram was cut");
        if number % GO == GO - 1 {
            std::thread::sleep(PAUSE);
        }
    }
    Ok(())
}

/// The numbers that arrive, until the last one of those expected and a moment longer, or until nothing does.
pub fn receive(socket: &UdpSocket, last: u32) -> Result<Vec<u32>> {
    let mut numbers = Vec::new();
    let mut buffer = [0; 2_048];
    socket.set_read_timeout(Some(SILENCE))?;
    while let Ok(length) = socket.recv(&mut buffer) {
        if let Some(number) = buffer[..length].first_chunk() {
            numbers.push(u32::from_be_bytes(*number));
        }
        if numbers.last() == Some(&last) {
            // Something behind it would be one too many.
            socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        }
    }
    Ok(numbers)
}

/// Sends on a thread while this one receives.
pub fn exchange(
    from: &UdpSocket,
    to: (&UdpSocket, (Ipv4Addr, u16)),
    numbers: std::ops::Range<u32>,
    octets: usize,
) -> Result<Vec<u32>> {
    let last = numbers.end.saturating_sub(1);
    std::thread::scope(|scope| {
        let (receiver, address) = to;
        let sender = scope.spawn(move || send(from, address, numbers, octets));
        let arrived = receive(receiver, last);
        sender.join().map_err(|_| anyhow::anyhow!("the sender panicked"))??;
        arrived
    })
}

/// Octets of the IP packet that has so many of payload.
pub fn ip_octets(payload: usize) -> u64 {
    payload as u64 + UDP_OVERHEAD
}

/// Waits until it is so, for 15 seconds at most.
pub fn wait_until(mut is_so: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + Duration::from_secs(15);
    while !is_so() {
        if Instant::now() >= until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    true
}
