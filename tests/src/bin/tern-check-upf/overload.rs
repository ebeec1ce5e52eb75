//! Line 3: a GBR flow, beyond its Session-AMBR, loses nothing while flows without a guarantee offer more than the
//! worker can do.
//!
//! The worker has a part of a CPU, by the kernel's deadline scheduling: too little to forward the flood, enough to
//! receive it. The same flow without a guarantee loses like all others.

use std::time::Duration;

use anyhow::Result;
use tern_tests::core::UpfIo;
use tern_tests::upf::flood::Flood;
use tern_tests::upf::iperf::{self, Length, Outcome, Run, Traffic};
use tern_tests::upf::rules::{FlowRules, SessionRules, volume_urr};
use tern_tests::upf::scenarios::Finding;
use tern_tests::upf::{Rig, UpfSetup};

use crate::Arguments;
use crate::report::Report;

const PORT: u16 = 5_201;
const UDP: u8 = 17;
const URR: u32 = 1;
const GFBR_KBPS: u64 = 3_000;
/// Session-AMBR of its session.
const AMBR_KBPS: u64 = 1_000;
/// Payload octets and bits a second: with its headers 2.9 Mbit/s.
const PAYLOAD: u64 = 1_000;
const BITS_PER_SECOND: u64 = 2_800_000;
/// How long the flood lasts, amid a run of eleven seconds.
const FLOOD_TIME: Duration = Duration::from_secs(6);
/// Times that a worker that forwards all of it is given a quarter less, or one that cannot receive it a sixteenth more.
const TRIALS_MAX: u32 = 6;
/// The tunnel's end at the gNB that the flood goes to, downlink: nobody's, so that it is dropped at once.
const NOBODYS_TEID: u32 = 0xDEAD;

pub async fn check(arguments: &Arguments, io: UpfIo, report: &mut Report) -> Result<()> {
    for uplink in [true, false] {
        let direction = if uplink { "uplink" } else { "downlink" };
        let mut worker_us = arguments.worker_us.unwrap_or(worker_us(io, uplink));
        let mut control = measure(arguments, io, uplink, worker_us, false).await?;
        let mut guaranteed = measure(arguments, io, uplink, worker_us, true).await?;
        for _ in 0..TRIALS_MAX {
            let change = match (control.0.lost_packets, guaranteed.0.lost_packets) {
                _ if arguments.worker_us.is_some() => break,
                // On a machine where it forwards all of the flood nothing is shown.
                (0, _) => -i64::from(worker_us / 4),
                (_, 0) => break,
                // Nor where it cannot even receive it. One that knows no guarantee never comes to its end here:
                // it loses of both flows, or of none.
                _ => i64::from(worker_us / 16),
            };
            worker_us = worker_us.saturating_add_signed(i32::try_from(change)?);
            control = measure(arguments, io, uplink, worker_us, false).await?;
            guaranteed = measure(arguments, io, uplink, worker_us, true).await?;
        }
        let (without, flood, arrived) = control;
        let what = format!("without a guarantee it loses, {direction}");
        let measured = format!("{} of {}", without.lost_packets, without.sent_packets);
        report.add("3", [Finding::holds(what, "more than 0", measured, without.lost_packets > 0)]);
        report.say(&format!(
            "flood: {flood} packets sent, {arrived} forwarded beside a flow without a guarantee, \
             {worker_us} µs of ten ms"
        ));
        let (outcome, flood, arrived) = guaranteed;
        let what = format!(
            "packets of {} that the GBR flow loses under overload, {direction}",
            outcome.sent_packets
        );
        report.add("3", [Finding::equal(what, 0, outcome.lost_packets)]);
        report.say(&format!("flood: {flood} packets sent, {arrived} forwarded beside the GBR flow"));
    }
    Ok(())
}

/// What the worker has at first of every ten milliseconds: enough to receive 100,000 packets a second, on most machines
/// too little to forward them. A TUN device takes and gives a packet at a time; frames are cheap in both directions.
const fn worker_us(io: UpfIo, uplink: bool) -> u32 {
    match (io, uplink) {
        (UpfIo::Kernel, true) => 3_500,
        (UpfIo::Kernel, false) => 3_000,
        (UpfIo::Dpdk, _) => 1_500,
    }
}

/// What the GBR flow's run says, and how many packets of the flood were sent and forwarded.
async fn measure(
    arguments: &Arguments,
    io: UpfIo,
    uplink: bool,
    worker_us: u32,
    is_guaranteed: bool,
) -> Result<(Outcome, u64, u64)> {
    let setup = UpfSetup { io, workers: 1, more: String::new() };
    let rig = Rig::start("upf", &arguments.tern, &arguments.output, &setup, 2).await?;
    let flow = FlowRules {
        protocol: Some(UDP),
        gbr_kbps: is_guaranteed.then_some(GFBR_KBPS),
        mbr_kbps: Some(GFBR_KBPS * 2),
        ..FlowRules::of(PORT, 4)
    };
    let rest = FlowRules { in_ambr: true, ..FlowRules::rest() };
    rig.establish(0, &SessionRules { ambr_kbps: Some(AMBR_KBPS), flows: vec![flow, rest] }).await?;
    let plain = FlowRules { urr: Some(volume_urr(URR)), ..FlowRules::rest() };
    let rules = SessionRules { ambr_kbps: None, flows: vec![plain] };
    let session = rig.smf.establish(&rules, rig.ue(1).address(), NOBODYS_TEID).await?;
    let run = Run {
        ue: 0,
        port: PORT,
        uplink,
        traffic: Traffic::Udp { octets: PAYLOAD, bits_per_second: BITS_PER_SECOND },
        length: Length::Seconds { measured: 10, omitted: 1 },
    };
    // iperf3 begins and ends in peace: its control connection is not what is measured.
    let flooding = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        rig.limit_workers(worker_us).await?;
        let flood = Flood::start(&rig, 1, session, uplink).await?;
        tokio::time::sleep(FLOOD_TIME).await;
        anyhow::Ok(flood.sent())
    };
    let (outcome, sent) = tokio::try_join!(iperf::run(&rig, run), flooding)?;
    let volume = rig.smf.usage(session, URR).await?;
    let arrived = if uplink { volume.uplink_packets } else { volume.downlink_packets };
    rig.stop().await?;
    Ok((outcome, sent, arrived.unwrap_or(0)))
}
