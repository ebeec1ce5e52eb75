//! `make demo`: a complete core, a gNB and a UE in namespaces of their own; the UE registers,
//! pings a host of the data network and fetches a file, and everything is taken down again.

mod file;
mod report;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::{Parser, Subcommand};
use tern_tests::capture::{self, Capture};
use tern_tests::core::{Core, Sbi, Setup, Sim, UpfIo};
use tern_tests::netns;
use tern_tests::process::{Process, unless_told_to_end};
use tern_tests::timeline;
use tern_tests::topology::{DN_ADDRESS, Topology};

use crate::report::Report;

/// The file that the UE fetches: 10 MB.
const FILE_LEN: u64 = 10_000_000;
/// Port of the file's server in the data network.
const FILE_PORT: u16 = 8080;
/// What the SBI would be, if an interface saw it: the network functions have addresses of the host.
const SBI_ON_WIRE: &str = "http2 || (tcp && ip.addr == 127.0.0.0/8)";
/// Echo requests sent.
const PINGS: u32 = 20;
/// How long the gNB and the UE may take for all that they do.
const SIM_TIME: Duration = Duration::from_secs(90);

#[derive(Parser)]
#[command(about = "A UE registers through a complete core and its packets reach the data network")]
struct Arguments {
    /// The `tern` binary.
    #[arg(long, default_value = "target/release/tern")]
    tern: PathBuf,
    /// Where report, capture and logs go.
    #[arg(long, default_value = "target/demo")]
    output: PathBuf,
    /// How the SBI travels; through shared memory it is tapped for the capture.
    #[arg(long, value_enum, default_value_t = Sbi::Auto)]
    sbi: Sbi,
    /// How the UPF's packets move; for `dpdk` the binary must be built with that feature.
    #[arg(long, value_enum, default_value_t = UpfIo::Kernel)]
    upf_io: UpfIo,
    #[command(subcommand)]
    part: Option<Part>,
}

/// What the demo starts of itself inside a namespace.
#[derive(Subcommand)]
enum Part {
    /// Serves the file.
    Serve {
        /// Where.
        at: std::net::SocketAddr,
    },
    /// Fetches the file and checks it.
    Fetch {
        /// From where.
        from: std::net::SocketAddr,
        /// The interface to use.
        #[arg(long)]
        device: String,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.part {
        Some(Part::Serve { at }) => file::serve(at, FILE_LEN).await,
        Some(Part::Fetch { from, device }) => file::fetch(from, &device, FILE_LEN).await,
        None => demonstrate(&arguments).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the demo; an interrupt ends it like a failure, so that all is removed in any case.
async fn demonstrate(arguments: &Arguments) -> Result<()> {
    std::fs::create_dir_all(&arguments.output)?;
    let mut report = Report::start();
    let result = unless_told_to_end(run(arguments, &mut report)).await;
    report.finish(result.is_ok(), &arguments.output.join("report.json"))?;
    match &result {
        Ok(()) => report.print_summary(&arguments.output),
        Err(_) => eprintln!("\nThe demo failed; the logs are in {}.", arguments.output.display()),
    }
    result
}

async fn run(arguments: &Arguments, report: &mut Report) -> Result<()> {
    netns::remove_orphans()?;
    let topology = report.step("namespaces made", async { Topology::create() }).await?;
    if arguments.upf_io == UpfIo::Dpdk {
        topology.leave_to_upf()?;
    }
    let directory = arguments.output.join("core");
    let tap = (arguments.sbi == Sbi::Shm).then(|| directory.join("tap"));
    let capture_file = arguments.output.join("demo.pcap");
    let wire_file = match &tap {
        Some(_) => arguments.output.join("wire.pcap"),
        None => capture_file.clone(),
    };
    let capture = report
        .step("capture begun", Capture::start(&topology.core, &["lo", "n2", "n3"], "", &wire_file))
        .await?;

    let setup = Setup {
        sbi: arguments.sbi,
        upf_io: arguments.upf_io,
        sbi_tap: tap.clone(),
        ..Setup::new(&arguments.tern, directory)
    };
    let core = report.step("core up", Core::start(setup, &topology.core)).await?;
    report.step("subscriber added", core.add_subscribers(&topology.core, 1)).await?;
    let server = start_server(&topology).await?;
    let used = report
        .step("UE registered, pinged, fetched the file, deregistered", use_network(arguments, &topology))
        .await;
    core.save_log()?;
    report.add_sim(&used?)?;
    report.step("core stopped", core.stop()).await?;
    server.kill().await?;
    capture.stop().await?;
    if let Some(tap) = &tap {
        let tapped = capture::add_taps(&wire_file, tap, &capture_file)?;
        ensure!(tapped.answered > 0, "the taps have seen nothing of the SBI: {tapped:?}");
        let on_wire = capture::read_fields(&wire_file, SBI_ON_WIRE, &["frame.number", "_ws.col.Info"])?;
        ensure!(on_wire.is_empty(), "the SBI is on an interface: {}", on_wire.join(", "));
        std::fs::remove_file(&wire_file)?;
    }
    report.add_timeline(timeline::read(&capture_file)?);
    ensure!(report.ping_complete(), "echo replies are missing");
    Ok(())
}

async fn start_server(topology: &Topology) -> Result<Process> {
    let mut command = topology.dn.task(std::env::current_exe()?);
    command.args(["serve", &format!("{DN_ADDRESS}:{FILE_PORT}")]);
    let mut server = Process::start("server", command, false)?;
    server.wait_for_line("serving", Duration::from_secs(5)).await?;
    Ok(server)
}

/// Runs the gNB and the UE with the programs that use the session; their report.
async fn use_network(arguments: &Arguments, topology: &Topology) -> Result<serde_json::Value> {
    let own = std::env::current_exe()?;
    let ping = format!("ping -c {PINGS} -i 0.05 -W 2 -I {{tun}} {DN_ADDRESS}");
    let fetch = format!("{} fetch {DN_ADDRESS}:{FILE_PORT} --device {{tun}}", own.display());
    let sim = Sim { ues: 1, tun: true, exec: vec![ping, fetch], more: String::new() };
    let mut sim = sim.start(&arguments.tern, topology, &arguments.output, "sim", false)?;
    let result = sim.succeed(SIM_TIME).await;
    let log = arguments.output.join("sim.log");
    std::fs::write(&log, sim.lines().join("\n")).with_context(|| log.display().to_string())?;
    result?;
    read_json(&arguments.output.join("sim.json"))
}

fn read_json(path: &Path) -> Result<serde_json::Value> {
    let text = std::fs::read(path).with_context(|| path.display().to_string())?;
    serde_json::from_slice(&text).with_context(|| path.display().to_string())
}
