//! tshark reads what we write, where tshark is installed.

use std::path::PathBuf;
use std::process::Command;

use tern_pfcp::Frame;

use crate::vectors;

#[test]
fn tshark_finds_nothing_malformed_in_what_we_write() {
    let mut pcap = Vec::new();
    for field in [0xA1B2_C3D4u32, 0x0004_0002, 0, 0, 0xFFFF, 101] {
        pcap.extend_from_slice(&field.to_le_bytes());
    }
    let mut count = 0;
    for (_, bytes) in vectors::all() {
        let message = Frame::decode(&bytes).expect("decodes").encode().expect("encodes");
        let packet = ipv4_udp(&message);
        for field in [0, count, packet.len() as u32, packet.len() as u32] {
            pcap.extend_from_slice(&field.to_le_bytes());
        }
        pcap.extend_from_slice(&packet);
        count += 1;
    }
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("pfcp-vectors.pcap");
    std::fs::write(&path, pcap).expect("writes the capture");
    let output = Command::new("tshark")
        .args(["-Y", "pfcp && !_ws.malformed && !(_ws.expert.severity >= \"Warning\")", "-r"])
        .arg(&path)
        .output();
    let Ok(output) = output else {
        println!(
            "SKIPPED tern-pfcp dissector::tshark_finds_nothing_malformed_in_what_we_write: \
             tshark is not installed"
        );
        return;
    };
    let listing = String::from_utf8_lossy(&output.stdout);
    assert_eq!(listing.lines().count(), count as usize, "{listing}");
}

fn ipv4_udp(payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend_from_slice(&(payload.len() as u16 + 28).to_be_bytes());
    packet.extend_from_slice(&[0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
    for field in [8805, 8805, payload.len() as u16 + 8, 0] {
        packet.extend_from_slice(&field.to_be_bytes());
    }
    packet.extend_from_slice(payload);
    packet
}
