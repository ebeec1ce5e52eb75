//! `report.json`, and what the demo prints.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result};
use serde::Serialize;
use tern_tests::timeline;
use tern_tests::topology::name_of;

/// What the demo did.
#[derive(Serialize)]
pub struct Report {
    ok: bool,
    steps: Vec<Step>,
    ping: Option<Ping>,
    tcp: Option<Tcp>,
    timeline: Vec<timeline::Step>,
    #[serde(skip)]
    started: Instant,
}

/// One step; times since the demo's start.
#[derive(Serialize)]
struct Step {
    name: String,
    start_us: u64,
    duration_us: u64,
}

#[derive(Serialize)]
struct Ping {
    sent: u32,
    received: u32,
    rtt_us_p50: u64,
}

#[derive(Serialize)]
struct Tcp {
    bytes: u64,
    mbit_s: f64,
}

impl Report {
    /// Begins; all times count from here.
    pub fn start() -> Self {
        let started = Instant::now();
        Self { ok: false, steps: Vec::new(), ping: None, tcp: None, timeline: Vec::new(), started }
    }

    /// Runs one step, says that it does, and keeps its times. A failed step is not kept.
    pub async fn step<T>(&mut self, name: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
        let start_us = micros(self.started);
        let began = Instant::now();
        let done = work.await.with_context(|| format!("not reached: {name}"))?;
        println!("{:>9.3} s  {name}", self.started.elapsed().as_secs_f64());
        self.steps.push(Step { name: name.to_owned(), start_us, duration_us: micros(began) });
        Ok(done)
    }

    /// Takes over what the simulator reported: its steps and the programs' output.
    pub fn add_sim(&mut self, sim: &serde_json::Value) -> Result<()> {
        let offset = self.steps.last().map_or(0, |step| step.start_us);
        let list = |name: &str| sim[name].as_array().into_iter().flatten();
        let procedures = list("steps").map(|step| (step["name"].as_str().unwrap_or("?"), step));
        let programs = ["ping", "file fetched"].into_iter().zip(list("exec"));
        for (name, step) in procedures.chain(programs) {
            let number = |name: &str| step[name].as_u64().unwrap_or(0);
            self.steps.push(Step {
                name: name.to_owned(),
                start_us: offset + number("start_us"),
                duration_us: number("duration_us"),
            });
        }
        self.steps.sort_by_key(|step| step.start_us);
        let mut outputs = list("exec").filter_map(|run| run["output"].as_str());
        self.ping = Some(Ping::read(outputs.next().context("no output of ping")?)?);
        self.tcp = Some(Tcp::read(outputs.next().context("no output of the fetch")?)?);
        Ok(())
    }

    /// Keeps what the capture shows.
    pub fn add_timeline(&mut self, timeline: Vec<timeline::Step>) {
        self.timeline = timeline;
    }

    /// Whether each echo request had its reply.
    pub fn ping_complete(&self) -> bool {
        self.ping.as_ref().is_some_and(|ping| ping.sent > 0 && ping.sent == ping.received)
    }

    /// Writes the file.
    pub fn finish(&mut self, ok: bool, path: &Path) -> Result<()> {
        self.ok = ok;
        std::fs::write(path, serde_json::to_vec_pretty(self)?).with_context(|| path.display().to_string())
    }

    /// Prints the timeline, from the gNB's first message on, and the figures.
    pub fn print_summary(&self, output: &Path) {
        let first = self.timeline.iter().position(|step| step.interface == "N2").unwrap_or(0);
        let last = self.timeline.iter().rposition(|step| step.interface == "N2").unwrap_or(first);
        let zero = self.timeline.get(first).map_or(0, |step| step.at_us);
        println!(
            "\nWhat passed, as tshark reads the capture ({first} messages before, as the core came up):\n"
        );
        for step in self.timeline.iter().take(last + 1).skip(first) {
            let (from, to) = (name_of(&step.between.0), name_of(&step.between.1));
            let at = step.at_us.saturating_sub(zero) as f64 / 1e3;
            let message = shortened(&step.message);
            println!("{at:>10.3} ms  {:<3}  {from:>4} → {to:<4}  {message}", step.interface);
        }
        println!();
        for Step { name, start_us, duration_us } in &self.steps {
            let millis = |micros: u64| micros as f64 / 1e3;
            println!("{:>10.1} ms  {:>8.1} ms  {name}", millis(*start_us), millis(*duration_us));
        }
        if let (Some(ping), Some(tcp)) = (&self.ping, &self.tcp) {
            println!(
                "\nping: {} sent, {} received, median {} µs\nTCP:  {} octets at {:.1} Mbit/s",
                ping.sent, ping.received, ping.rtt_us_p50, tcp.bytes, tcp.mbit_s
            );
        }
        println!("\nReport and capture: {0}/report.json, {0}/demo.pcap", output.display());
    }
}

/// Longest message printed.
const MESSAGE_LEN: usize = 110;

fn shortened(message: &str) -> String {
    match message.char_indices().nth(MESSAGE_LEN) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message.to_owned(),
    }
}

impl Ping {
    /// Reads what `ping` of iputils prints.
    fn read(output: &str) -> Result<Self> {
        let mut times: Vec<u64> = output
            .lines()
            .filter_map(|line| line.split("time=").nth(1)?.split(' ').next()?.parse::<f64>().ok())
            .map(|millis| (millis * 1e3) as u64)
            .collect();
        times.sort_unstable();
        let summary = output.lines().find(|line| line.contains("packets transmitted"));
        let summary = summary.with_context(|| format!("no summary of ping in: {output}"))?;
        let number = |part: &str| part.trim().split(' ').next().and_then(|n| n.parse().ok());
        let mut parts = summary.split(',').map(number);
        let mut next = || parts.next().flatten().with_context(|| format!("not understood: {summary}"));
        Ok(Self {
            sent: next()?,
            received: next()?,
            rtt_us_p50: times.get(times.len() / 2).copied().unwrap_or(0),
        })
    }
}

impl Tcp {
    /// Reads what the demo's own `fetch` prints.
    fn read(output: &str) -> Result<Self> {
        let read = || {
            let line = output.lines().find(|line| line.starts_with("fetched "))?;
            let mut words = line.split(' ');
            let bytes = words.nth(1)?.parse().ok()?;
            Some(Self { bytes, mbit_s: words.rev().nth(1)?.parse().ok()? })
        };
        read().with_context(|| format!("not understood: {output}"))
    }
}

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_programs_print_is_read() {
        let ping = "64 bytes from 10.99.6.2: icmp_seq=1 ttl=63 time=0.512 ms\n\
                    1 packets transmitted, 1 received, 0% packet loss, time 0ms";
        let ping = Ping::read(ping).unwrap();
        assert_eq!((ping.sent, ping.received, ping.rtt_us_p50), (1, 1, 512));
        let tcp = Tcp::read("fetched 10000000 octets in 0.100 s, 800.0 Mbit/s\n").unwrap();
        assert_eq!((tcp.bytes, tcp.mbit_s), (10_000_000, 800.0));
        assert!(Tcp::read("nothing").is_err());
    }
}
