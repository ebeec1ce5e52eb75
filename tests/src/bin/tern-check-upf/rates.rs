//! Line 3: what arrives at the receiver over ten seconds, within 3 % of the rate.
//!
//! UDP is offered at one and a half times the rate, TCP at what it takes. The first seconds are not measured:
//! in them a flow gets the burst that its meter allows. Rates are of IP packets with their headers.

use anyhow::Result;
use tern_tests::core::UpfIo;
use tern_tests::upf::Rig;
use tern_tests::upf::iperf::{self, Length, Outcome, Run, Traffic, UDP_OVERHEAD};
use tern_tests::upf::rules::{FlowRules, SessionRules};
use tern_tests::upf::scenarios::Finding;

use crate::Arguments;
use crate::report::Report;

const TOLERANCE: f64 = 0.03;
/// Maximum bit rate of one flow, Session-AMBR of two flows, and that of a second UE.
const MBR_KBPS: u64 = 20_000;
const AMBR_KBPS: u64 = 20_000;
const OTHER_AMBR_KBPS: u64 = 10_000;
/// Of the guaranteed flow.
const GFBR_KBPS: u64 = 5_000;
/// Octets of UDP payload: whole packets of the MTU.
const PAYLOAD: u64 = 1_372;
const LENGTH: Length = Length::Seconds { measured: 10, omitted: 3 };
const FIRST: u16 = 5_201;
const SECOND: u16 = 5_202;
const GUARANTEED: u16 = 5_203;
const UDP: u8 = 17;
const TCP: u8 = 6;

/// A kind of traffic that is limited.
#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    protocol: u8,
    /// TCP connections.
    streams: u32,
}

const KINDS: [Kind; 3] = [
    Kind { name: "UDP", protocol: UDP, streams: 0 },
    Kind { name: "TCP, one connection", protocol: TCP, streams: 1 },
    Kind { name: "TCP, four connections", protocol: TCP, streams: 4 },
];

impl Kind {
    fn traffic(self, kbps: u64) -> Traffic {
        match self.protocol {
            UDP => Traffic::Udp { octets: PAYLOAD, bits_per_second: payload_bits(kbps) * 3 / 2 },
            _ => Traffic::Tcp { streams: self.streams },
        }
    }

    /// The flow of a port; iperf3's control connection is of another one, unless it is what is measured.
    fn flow(self, port: u16, qfi: u8) -> FlowRules {
        FlowRules { protocol: Some(self.protocol), in_ambr: true, ..FlowRules::of(port, qfi) }
    }
}

/// Payload bits a second that take this rate with their headers.
fn payload_bits(kbps: u64) -> u64 {
    kbps * 1_000 * PAYLOAD / (PAYLOAD + UDP_OVERHEAD)
}

fn direction(uplink: bool) -> &'static str {
    if uplink { "uplink" } else { "downlink" }
}

fn within(what: String, kbps: u64, measured: f64) -> Finding {
    let off = measured / kbps as f64 - 1.0;
    let measured = format!("{measured:.0} kbit/s ({:+.2} %)", off * 100.0);
    Finding::holds(what, &format!("{kbps} kbit/s ± 3 %"), measured, off.abs() <= TOLERANCE)
}

pub async fn check(arguments: &Arguments, io: UpfIo, report: &mut Report) -> Result<()> {
    let rig = crate::rig(arguments, io, "").await?;
    for kind in KINDS {
        for uplink in [true, false] {
            report.add("3", [one_flow(&rig, kind, uplink).await?]);
            report.add("3", two_flows(&rig, kind, uplink).await?);
            report.add("3", two_ues(&rig, kind, uplink).await?);
        }
    }
    for uplink in [true, false] {
        report.add("3", beside_guaranteed(&rig, uplink).await?);
    }
    rig.stop().await?;
    Ok(())
}

fn run(ue: usize, port: u16, uplink: bool, traffic: Traffic) -> Run {
    Run { ue, port, uplink, traffic, length: LENGTH }
}

async fn one_flow(rig: &Rig, kind: Kind, uplink: bool) -> Result<Finding> {
    let flow = FlowRules { mbr_kbps: Some(MBR_KBPS), in_ambr: false, ..kind.flow(FIRST, 2) };
    let rules = SessionRules { flows: vec![flow, FlowRules::rest()], ..Default::default() };
    let session = rig.establish(0, &rules).await?;
    let outcome = iperf::run(rig, run(0, FIRST, uplink, kind.traffic(MBR_KBPS))).await?;
    rig.smf.delete(session).await?;
    let what = format!("MBR of a flow, {}, {}", direction(uplink), kind.name);
    Ok(within(what, MBR_KBPS, outcome.arrived_kbps))
}

async fn two_flows(rig: &Rig, kind: Kind, uplink: bool) -> Result<[Finding; 1]> {
    let flows = vec![kind.flow(FIRST, 2), kind.flow(SECOND, 3), FlowRules::rest()];
    let session = rig.establish(0, &SessionRules { ambr_kbps: Some(AMBR_KBPS), flows }).await?;
    let traffic = kind.traffic(AMBR_KBPS);
    let both = tokio::try_join!(
        iperf::run(rig, run(0, FIRST, uplink, traffic)),
        iperf::run(rig, run(0, SECOND, uplink, traffic)),
    );
    let (first, second) = both?;
    rig.smf.delete(session).await?;
    let what = format!("Session-AMBR of two flows, {}, {}", direction(uplink), kind.name);
    Ok([within(what, AMBR_KBPS, first.arrived_kbps + second.arrived_kbps)])
}

async fn two_ues(rig: &Rig, kind: Kind, uplink: bool) -> Result<[Finding; 2]> {
    let rates = [AMBR_KBPS, OTHER_AMBR_KBPS];
    let rules = rates.map(|kbps| SessionRules {
        ambr_kbps: Some(kbps),
        flows: vec![kind.flow(FIRST, 2), kind.flow(SECOND, 2), FlowRules::rest()],
    });
    let sessions = [rig.establish(0, &rules[0]).await?, rig.establish(1, &rules[1]).await?];
    let both = tokio::try_join!(
        iperf::run(rig, run(0, FIRST, uplink, kind.traffic(rates[0]))),
        iperf::run(rig, run(1, SECOND, uplink, kind.traffic(rates[1]))),
    );
    let (first, second): (Outcome, Outcome) = both?;
    for session in sessions {
        rig.smf.delete(session).await?;
    }
    let what = |ue| format!("Session-AMBR of UE {ue} of two, {}, {}", direction(uplink), kind.name);
    Ok([within(what(1), rates[0], first.arrived_kbps), within(what(2), rates[1], second.arrived_kbps)])
}

/// A GBR flow beside a flow that wants more than the Session-AMBR.
async fn beside_guaranteed(rig: &Rig, uplink: bool) -> Result<[Finding; 2]> {
    let kind = KINDS[0];
    let guaranteed = FlowRules {
        gbr_kbps: Some(GFBR_KBPS),
        mbr_kbps: Some(GFBR_KBPS * 2),
        in_ambr: false,
        ..kind.flow(GUARANTEED, 4)
    };
    let flows = vec![kind.flow(FIRST, 2), guaranteed, FlowRules::rest()];
    let session = rig.establish(0, &SessionRules { ambr_kbps: Some(AMBR_KBPS), flows }).await?;
    let steady = Traffic::Udp { octets: PAYLOAD, bits_per_second: payload_bits(GFBR_KBPS) };
    let both = tokio::try_join!(
        iperf::run(rig, run(0, FIRST, uplink, kind.traffic(AMBR_KBPS))),
        iperf::run(rig, run(0, GUARANTEED, uplink, steady)),
    );
    let (limited, guaranteed) = both?;
    rig.smf.delete(session).await?;
    let what = format!("Session-AMBR beside a GBR flow, {}", direction(uplink));
    let lost = format!("packets that the GBR flow loses at its GFBR, {}", direction(uplink));
    Ok([within(what, AMBR_KBPS, limited.arrived_kbps), Finding::equal(lost, 0, guaranteed.lost_packets)])
}
