//! The story that a capture tells: each N1, N2, N4 and SBI step with its time.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::capture::read_fields;

/// One message of the control plane, as an independent decoder names it.
#[derive(Debug, Clone, Serialize, PartialEq)]
pub struct Step {
    /// Microseconds since the Unix epoch.
    pub at_us: u64,
    /// `N2`, `N4` or `SBI`.
    pub interface: &'static str,
    /// Source and destination address.
    pub between: (String, String),
    /// What it says, such as `InitialUEMessage, Registration request`.
    pub message: String,
}

/// Control plane messages of `file` in their order, heartbeats left out.
pub fn read(file: &Path) -> Result<Vec<Step>> {
    let filter =
        "!icmp && (ngap || (pfcp && pfcp.msg_type > 2) || http2.headers.method || http2.headers.status)";
    let fields = ["frame.time_epoch", "_ws.col.Protocol", "ip.src", "ip.dst", "_ws.col.Info"];
    let mut steps =
        read_fields(file, filter, &fields)?.iter().map(|line| step(line)).collect::<Result<Vec<_>>>()?;
    // Each interface was captured by a thread of its own.
    steps.sort_by_key(|step| step.at_us);
    Ok(steps)
}

fn step(line: &str) -> Result<Step> {
    let mut columns = line.split('\t');
    let mut next = || columns.next().with_context(|| format!("a column is missing in {line:?}"));
    let (time, protocol, source, destination, info) = (next()?, next()?, next()?, next()?, next()?);
    let interface = match protocol {
        p if p.starts_with("NGAP") => "N2",
        "PFCP" => "N4",
        _ => "SBI",
    };
    Ok(Step {
        at_us: micros(time).with_context(|| format!("no time in {line:?}"))?,
        interface,
        between: (source.to_owned(), destination.to_owned()),
        message: readable(info),
    })
}

/// `1700000000.123456789` without the loss of a floating-point number.
fn micros(text: &str) -> Option<u64> {
    let (seconds, fraction) = text.split_once('.')?;
    let fraction: u64 = fraction.get(..6)?.parse().ok()?;
    seconds.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(fraction)
}

/// The decoder's text without what only its own readers know: SCTP's and HTTP/2's framing.
fn readable(info: &str) -> String {
    let spoken = info.rsplit("SACK (Ack=").next().unwrap_or(info);
    let spoken = spoken.split_once(") , ").map_or(spoken, |(_, rest)| rest);
    let parts = spoken.split(", ").filter(|part| {
        !(part.starts_with("DATA[") || part.starts_with("JavaScript Object") || part.starts_with("SETTINGS["))
    });
    let unframed =
        parts.map(|part| match part.strip_prefix("HEADERS[").and_then(|rest| rest.split_once("]: ")) {
            Some((_, request_or_status)) => request_or_status,
            None => part,
        });
    unframed.collect::<Vec<_>>().join(", ").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_decoder_becomes_a_step() {
        let line =
            "1700000000.123456789\tNGAP/NAS-5GS\t10.0.0.2\t10.0.0.1\tInitialUEMessage, Registration request";
        let step = step(line).unwrap();
        assert_eq!((step.at_us, step.interface), (1_700_000_000_123_456, "N2"));
        assert_eq!(step.message, "InitialUEMessage, Registration request");
        assert!(super::step("1.2\tNGAP").is_err());
        let info = "HEADERS[7]: 200 OK, DATA[7], JavaScript Object Notation (application/json)";
        assert_eq!(readable(info), "200 OK");
    }
}
