//! Line 5: what a URR has counted is what iperf3 says it sent, to the octet.
//!
//! A PDR of its own, for UDP of iperf3's port, has the URR: the control connection is TCP and not counted. What
//! is counted are IP octets, 28 more than the payload of each packet; iperf3 greets with one datagram of four
//! octets in each direction. Every packet that was sent must have arrived, so that sent, arrived and counted are
//! one number.

use anyhow::{Context as _, Result};
use tern_tests::core::UpfIo;
use tern_tests::upf::iperf::{self, Length, Run, Traffic, UDP_GREETING, UDP_OVERHEAD};
use tern_tests::upf::rules::{FlowRules, SessionRules, volume_urr};
use tern_tests::upf::scenarios::Finding;

use crate::Arguments;
use crate::report::Report;

const PORT: u16 = 5_201;
const URR: u32 = 1;
const PAYLOAD: u64 = 100;
/// 10,000 packets a second: none is lost on two busy CPUs.
const BITS_PER_SECOND: u64 = PAYLOAD * 8 * 10_000;
const UDP: u8 = 17;

pub async fn check(arguments: &Arguments, io: UpfIo, report: &mut Report) -> Result<()> {
    let rig = crate::rig(arguments, io, "").await?;
    let counted = FlowRules { protocol: Some(UDP), urr: Some(volume_urr(URR)), ..FlowRules::of(PORT, 2) };
    let rules = SessionRules { flows: vec![counted, FlowRules::rest()], ..Default::default() };
    let session = rig.establish(0, &rules).await?;
    for uplink in [true, false] {
        let traffic = Traffic::Udp { octets: PAYLOAD, bits_per_second: BITS_PER_SECOND };
        let length = Length::Packets(arguments.packets);
        let sent = iperf::run(&rig, Run { ue: 0, port: PORT, uplink, traffic, length }).await?;
        let volume = rig.smf.usage(session, URR).await?;
        let (mine, other) =
            if uplink { (volume.uplink, volume.downlink) } else { (volume.downlink, volume.uplink) };
        let packets = if uplink { volume.uplink_packets } else { volume.downlink_packets };
        let wanted = sent.sent_octets + sent.sent_packets * UDP_OVERHEAD + UDP_GREETING;
        let direction = if uplink { "uplink" } else { "downlink" };
        report.add(
            "5",
            [
                Finding::equal(format!("packets lost on the way, {direction}"), 0, sent.lost_packets),
                Finding::equal(
                    format!("packets counted, {direction}"),
                    sent.sent_packets + 1,
                    packets.context("no packets in the report")?,
                ),
                Finding::equal(
                    format!("octets counted, {direction}"),
                    wanted,
                    mine.context("no octets in the report")?,
                ),
                Finding::equal(
                    format!("octets counted the other way: the greeting, {direction}"),
                    UDP_GREETING,
                    other.context("no octets in the report")?,
                ),
            ],
        );
    }
    rig.smf.delete(session).await?;
    rig.stop().await?;
    Ok(())
}
