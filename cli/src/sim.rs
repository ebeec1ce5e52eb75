//! `tern sim`: gNBs and UEs, from a file or from flags.

mod load;
mod memory;
mod progress;
mod scenarios;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use clap::{Args, Subcommand};
use tern_sctp::SctpMode;
use tern_types::{Dnn, PlmnId, Snssai, Supi, Tac};
use tokio::signal::unix::{SignalKind, signal};
use ue_ransim::config::{Config, SessionConfig, SessionType, UeGroup};
use ue_ransim::env::SimEnv;
use ue_ransim::report::Report;

#[derive(Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  \
    tern sim --k 465b5ce8b199b49faa5f0a2ee238a6bc --opc cd63cb71954a9f4e48a5994e37a02baf\n  \
    tern sim --ues 64 --gnbs 2 …            64 UEs at once through two gNBs\n  \
    tern sim … --tun --hold                 stay; use it:  ping -I uetun0 1.1.1.1\n  \
    tern sim … --tun --netns --hold         the same:  ip netns exec uetun0 ping 1.1.1.1\n  \
    tern sim --config sim.yaml              all from a file: `tern config print sim`\n  \
    tern sim list                           named scenarios\n  \
    tern sim run paging --ues 2 …           play them; `all` plays all\n  \
    tern sim run commute.yaml …             play the steps of a file\n  \
    tern sim load --ues 1000 --rate 50 …    UEs in numbers that come, live and leave\n\n\
    Exit status 0 only if every step worked and every answer of the core was allowed by the \
    specifications. It runs against any core."
)]
pub struct Arguments {
    #[command(subcommand)]
    scenarios: Option<Scenarios>,
    #[command(flatten)]
    flags: Flags,
}

/// Named scenarios.
#[derive(Subcommand)]
enum Scenarios {
    /// List the scenarios
    List,
    /// Have UEs in numbers arrive at a rate, live and leave: latencies by procedure, failures by cause
    Load(load::Arguments),
    /// Play scenarios: a table of their steps, with times
    Run {
        /// Their names, or files with the steps of one (docs/simulator.md); `all` stands for all names
        #[arg(required = true)]
        names: Vec<String>,
        /// Where to write the report as JSON
        #[arg(long)]
        json: Option<PathBuf>,
        /// Where to write the report as an HTML page: steps, latencies by procedure, what failed
        #[arg(long)]
        html: Option<PathBuf>,
        #[command(flatten)]
        flags: Box<Flags>,
    },
}

/// What is simulated, and with what.
#[derive(Args)]
struct Flags {
    /// Configuration file; flags change what it says
    #[arg(long)]
    config: Option<PathBuf>,
    /// Subscribers, that follow one another
    #[arg(long)]
    ues: Option<u32>,
    /// The first subscriber
    #[arg(long)]
    supi: Option<Supi>,
    /// K of the subscribers
    #[arg(long)]
    k: Option<String>,
    /// OPc of the subscribers
    #[arg(long)]
    opc: Option<String>,
    /// TOPc of the subscribers, who then use TUAK
    #[arg(long, conflicts_with = "opc")]
    topc: Option<String>,
    /// gNBs
    #[arg(long)]
    gnbs: Option<u32>,
    /// Network, such as 001-01
    #[arg(long)]
    plmn: Option<PlmnId>,
    /// Tracking area code of the gNBs, six hexadecimal digits
    #[arg(long)]
    tac: Option<Tac>,
    /// Slices of the gNBs
    #[arg(long = "slice")]
    slices: Vec<Snssai>,
    /// Requested NSSAI of the UEs; none leaves the choice to the network
    #[arg(long = "request-slice")]
    requested: Vec<Snssai>,
    /// Data networks to establish sessions to; none asks for the default one
    #[arg(long = "dnn")]
    dnns: Vec<Dnn>,
    /// Session type of these sessions: ipv4, ipv6 or ipv4v6
    #[arg(long = "type", default_value = "ipv4")]
    kind: String,
    /// The AMF's N2 address, with or without port
    #[arg(long)]
    amf: Option<String>,
    /// The gNBs' N2 address
    #[arg(long)]
    n2: Option<IpAddr>,
    /// The gNBs' N3 address
    #[arg(long)]
    n3: Option<IpAddr>,
    /// New UEs a second; all at once without it
    #[arg(long)]
    rate: Option<f64>,
    /// Seconds without a message or packet until a gNB releases a UE
    #[arg(long)]
    inactivity: Option<u64>,
    /// A TUN device for each session
    #[arg(long)]
    tun: bool,
    /// Each TUN device in a network namespace of its own, which has the device's name and no other
    /// way out; with --tun
    #[arg(long)]
    netns: bool,
    /// Ping this address through each session without a TUN device: an IPv4 address, an IPv6 one for sessions of
    /// type ipv6, or each once
    #[arg(long)]
    ping: Vec<IpAddr>,
    /// Run a program while the sessions are up; {tun}, {address} and {supi} stand for those of the
    /// first session
    #[arg(long)]
    exec: Vec<String>,
    /// Stay connected until Ctrl-C
    #[arg(long)]
    hold: bool,
    /// SCTP backend: auto, kernel, raw, udp or udp:<port>
    #[arg(long, default_value = "auto")]
    sctp: SctpMode,
    /// Where to write the report as JSON
    #[arg(long)]
    report: Option<PathBuf>,
}

/// Runs the simulator; success only if all went well.
pub fn main(arguments: Arguments) -> ExitCode {
    let Arguments { scenarios, flags } = arguments;
    match scenarios {
        None => simulate(&flags),
        Some(Scenarios::List) => crate::tool(async { crate::print(&scenarios::list()) }),
        Some(Scenarios::Load(arguments)) => load::run(&arguments),
        Some(Scenarios::Run { names, json, html, flags }) => {
            scenarios::run(&names, json.as_deref(), html.as_deref(), &flags)
        }
    }
}

fn simulate(arguments: &Flags) -> ExitCode {
    tern_nf::log_to_stderr();
    crate::tool(async {
        let config = configured(arguments)?;
        let sctp = tern_sctp::choose(arguments.sctp)?.backend;
        let random = tern_nf::Entropy::real()?.random();
        let mut env = SimEnv::real(sctp, random, stopped_by_signal());
        if config.tun_netns {
            env = env.with_tun_namespaces();
        }
        let report = ue_ransim::run(config, env).await?;
        print(&report);
        if let Some(path) = &arguments.report {
            write(path, &serde_json::to_vec_pretty(&report)?)?;
        }
        ensure!(report.ok, "not all went well");
        Ok(())
    })
}

fn write(path: &Path, content: &[u8]) -> Result<()> {
    std::fs::write(path, content).with_context(|| path.display().to_string())
}

/// Becomes true with Ctrl-C or SIGTERM: the first process of a container has no other end than one it has asked for.
fn stopped_by_signal() -> tokio::sync::watch::Receiver<bool> {
    let (stop, stopped) = tokio::sync::watch::channel(false);
    tokio::spawn(async move {
        let mut terminated = signal(SignalKind::terminate()).ok();
        let terminated = async {
            match &mut terminated {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        let asked = tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted.is_ok(),
            _ = terminated => true,
        };
        if asked {
            stop.send_replace(true);
        }
        // Kept: without its sender nobody could be told to stop.
        std::future::pending::<()>().await
    });
    stopped
}

fn configured(arguments: &Flags) -> Result<Config> {
    let mut config: Config = match &arguments.config {
        Some(path) => tern_config::load(path)?,
        None => Config::default(),
    };
    subscribers(arguments, &mut config)?;
    if let Some(amf) = &arguments.amf {
        config.amf = vec![address(amf)?];
    }
    let set = |field: &mut Vec<IpAddr>, value: Option<IpAddr>| {
        if let Some(value) = value {
            *field = vec![value];
        }
    };
    set(&mut config.n2, arguments.n2);
    set(&mut config.n3, arguments.n3);
    config.gnbs = arguments.gnbs.unwrap_or(config.gnbs);
    config.plmn = arguments.plmn.unwrap_or(config.plmn);
    config.tac = arguments.tac.unwrap_or(config.tac);
    if !arguments.slices.is_empty() {
        config.slices.clone_from(&arguments.slices);
    }
    config.rate = arguments.rate.or(config.rate);
    config.inactivity_s = arguments.inactivity.or(config.inactivity_s);
    config.tun |= arguments.tun;
    config.tun_netns |= arguments.netns;
    for target in &arguments.ping {
        match target {
            IpAddr::V4(target) => config.ping_target = Some(*target),
            IpAddr::V6(target) => config.ping_target_ipv6 = Some(*target),
        }
    }
    config.exec.extend(arguments.exec.iter().cloned());
    config.hold |= arguments.hold;
    config.check().map_err(|wrong| anyhow::anyhow!(wrong))?;
    Ok(config)
}

fn subscribers(arguments: &Flags, config: &mut Config) -> Result<()> {
    if config.ues.is_empty() {
        let k =
            arguments.k.as_deref().context("--k: the subscribers' key is needed, or a file with --config")?;
        let missing = "--opc (or --topc): the subscribers' OPc is needed, or a file with --config";
        let opc = arguments.opc.as_ref().or(arguments.topc.as_ref()).context(missing)?;
        let digits = format!("{}{}{:010}", config.plmn.mcc(), config.plmn.mnc(), 1);
        let first = arguments.supi.clone().map_or_else(|| Supi::from_imsi(&digits), Ok)?;
        config.ues = vec![UeGroup::new(first, k, opc)];
    }
    let sessions = sessions(arguments)?;
    for group in &mut config.ues {
        group.count = arguments.ues.unwrap_or(group.count);
        if let Some(supi) = &arguments.supi {
            group.supi = supi.clone();
        }
        if let Some(k) = &arguments.k {
            group.k.clone_from(k);
        }
        if let Some(opc) = &arguments.opc {
            group.opc = Some(opc.clone());
        }
        if let Some(topc) = &arguments.topc {
            group.topc = Some(topc.clone());
        }
        if !arguments.requested.is_empty() {
            group.requested_nssai.clone_from(&arguments.requested);
        }
        if !sessions.is_empty() {
            group.sessions.clone_from(&sessions);
        }
    }
    Ok(())
}

fn sessions(arguments: &Flags) -> Result<Vec<SessionConfig>> {
    let kind = match arguments.kind.as_str() {
        "ipv4" => SessionType::Ipv4,
        "ipv6" => SessionType::Ipv6,
        "ipv4v6" => SessionType::Ipv4v6,
        other => anyhow::bail!("--type: expected ipv4, ipv6 or ipv4v6, got {other:?}"),
    };
    let one = |dnn: Option<Dnn>| SessionConfig { dnn, slice: None, kind };
    Ok(match (arguments.dnns.is_empty(), kind) {
        (true, SessionType::Ipv4) => Vec::new(),
        (true, _) => vec![one(None)],
        (false, _) => arguments.dnns.iter().cloned().map(|dnn| one(Some(dnn))).collect(),
    })
}

fn address(text: &str) -> Result<SocketAddr> {
    let with_port = text.parse::<SocketAddr>().ok();
    let alone = || text.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, tern_ngap::PORT));
    with_port.or_else(alone).with_context(|| format!("--amf: expected an address, got {text:?}"))
}

fn print(report: &Report) {
    let millis = |micros: u64| micros as f64 / 1e3;
    println!(
        "{} of {} UEs registered with all their sessions, by {} gNB{}, in {:.2} s",
        report.ues_ok,
        report.ues,
        report.gnbs,
        if report.gnbs == 1 { "" } else { "s" },
        report.duration_us as f64 / 1e6
    );
    for (name, spread) in [("registration", &report.registration), ("PDU session", &report.session)] {
        if spread.count > 0 {
            println!(
                "{name:<13} p50 {:>8.2} ms   p99 {:>8.2} ms   max {:>8.2} ms",
                millis(spread.p50_us),
                millis(spread.p99_us),
                millis(spread.max_us)
            );
        }
    }
    if report.ping.sent > 0 {
        println!("ping: {} sent, {} received", report.ping.sent, report.ping.received);
    }
    // Refused is answered: by the right AMF, over the right SCTP.
    if report.gnbs == 0 && !report.errors.iter().any(|error| error.contains("NG SETUP FAILURE")) {
        println!(
            "no gNB was set up: does the AMF run there (`tern status`), and do both sides have the same SCTP \
             backend (\"SCTP backend chosen\" in their logs; --sctp and `sctp:` force one)?"
        );
    }
    for failure in &report.failures {
        println!("FAILED {}: {} ({}), {} times", failure.who, failure.what, failure.clause, failure.times);
    }
    for error in &report.errors {
        println!("ERROR {error}");
    }
}
