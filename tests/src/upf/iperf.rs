//! iperf3 between a UE and the data network.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::Rig;
use crate::process::Process;
use crate::topology::DN_ADDRESS;

/// Octets of IPv4 and UDP in front of a payload.
pub const UDP_OVERHEAD: u64 = 28;
/// Octets of IPv4 and TCP in front of a segment: with time stamps, as Linux has them.
pub const TCP_OVERHEAD: f64 = 52.0;
/// What iperf3 sends in either direction before a UDP test: one datagram with 4 octets.
pub const UDP_GREETING: u64 = UDP_OVERHEAD + 4;
/// How long a server may take to listen.
const LISTEN_TIME: Duration = Duration::from_secs(5);
/// Beyond the time of the test.
const MORE_TIME: Duration = Duration::from_secs(60);

/// What is sent.
#[derive(Debug, Clone, Copy)]
pub enum Traffic {
    /// UDP with payloads of so many octets.
    Udp {
        /// Payload.
        octets: u64,
        /// Payload bits a second.
        bits_per_second: u64,
    },
    /// TCP.
    Tcp {
        /// Connections at the same time.
        streams: u32,
    },
}

/// How long.
#[derive(Debug, Clone, Copy)]
pub enum Length {
    /// So many seconds are measured, after some that are not: they take the burst of the start.
    Seconds {
        /// Measured.
        measured: u32,
        /// Before.
        omitted: u32,
    },
    /// So many UDP packets.
    Packets(u64),
}

/// One run.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// The UE's place.
    pub ue: usize,
    /// The server's port in the data network.
    pub port: u16,
    /// From the UE to the data network, or the other way.
    pub uplink: bool,
    /// What.
    pub traffic: Traffic,
    /// How long.
    pub length: Length,
}

/// What iperf3 tells at its end.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outcome {
    /// UDP packets sent.
    pub sent_packets: u64,
    /// Payload octets sent.
    pub sent_octets: u64,
    /// UDP packets lost or out of order, as the receiver counts them.
    pub lost_packets: u64,
    /// What arrived, in IP octets: kilobits a second.
    pub arrived_kbps: f64,
}

/// Runs iperf3: a server in the data network for one test, a client in the UE's namespace.
pub async fn run(rig: &Rig, run: Run) -> Result<Outcome> {
    let port = run.port.to_string();
    let mut server = rig.topology.dn.task("iperf3");
    server.args(["--server", "--one-off", "--forceflush", "--port", &port]);
    let mut server = Process::start("iperf3 server", server, false)?;
    server.wait_for_line("listening", LISTEN_TIME).await?;
    let mut client = rig.ue_netns(run.ue).task("iperf3");
    client.args(["--client", &DN_ADDRESS.to_string(), "--json", "--port", &port]);
    if !run.uplink {
        client.arg("--reverse");
    }
    match run.traffic {
        Traffic::Udp { octets, bits_per_second } => {
            // Paced by packet, and the largest socket buffer: what is lost is lost behind it.
            client.args([
                "--udp",
                "--length",
                &octets.to_string(),
                "--bitrate",
                &bits_per_second.to_string(),
            ]);
            client.args(["--window", "4M"]);
        }
        Traffic::Tcp { streams } => _ = client.args(["--parallel", &streams.to_string()]),
    }
    let time = match run.length {
        Length::Seconds { measured, omitted } => {
            client.args(["--time", &measured.to_string(), "--omit", &omitted.to_string()]);
            Duration::from_secs(u64::from(measured + omitted))
        }
        Length::Packets(packets) => {
            client.args(["--blockcount", &packets.to_string()]);
            match run.traffic {
                Traffic::Udp { octets, bits_per_second } => {
                    Duration::from_secs(packets * octets * 8 / bits_per_second.max(1) * 3)
                }
                Traffic::Tcp { .. } => Duration::ZERO,
            }
        }
    };
    client.stdin(Stdio::null()).kill_on_drop(true);
    let output =
        tokio::time::timeout(time + MORE_TIME, client.output()).await.context("iperf3 does not end")??;
    let said: Value = serde_json::from_slice(&output.stdout).context("iperf3 gives no JSON")?;
    if let Some(error) = said["error"].as_str() {
        ensure!(output.status.success(), "iperf3: {error}");
    }
    read(&said, run.traffic)
}

fn read(said: &Value, traffic: Traffic) -> Result<Outcome> {
    let (sent, received) = (&said["end"]["sum_sent"], &said["end"]["sum_received"]);
    let payload_kbps =
        received["bits_per_second"].as_f64().context("iperf3 does not say what arrived")? / 1e3;
    let whole = |value: &Value| value.as_u64().unwrap_or(0);
    let factor = match traffic {
        Traffic::Udp { octets, .. } => (octets + UDP_OVERHEAD) as f64 / octets as f64,
        Traffic::Tcp { .. } => {
            let segment = f64::from(super::MTU) - TCP_OVERHEAD;
            f64::from(super::MTU) / segment
        }
    };
    Ok(Outcome {
        sent_packets: whole(&sent["packets"]),
        sent_octets: whole(&sent["bytes"]),
        lost_packets: whole(&received["lost_packets"]),
        arrived_kbps: payload_kbps * factor,
    })
}
