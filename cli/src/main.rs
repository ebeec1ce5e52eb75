//! The `tern` binary: every network function, the launcher of a whole core, and the operator's
//! tools.

mod capabilities;
mod client;
mod core_config;
#[cfg(test)]
mod deployed;
mod generated;
mod health;
mod key_pair;
mod locate;
mod manager;
mod net;
mod nf;
mod preflight;
mod sim;
mod status;
mod subscriber;
mod up;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Requests and answers are many small allocations, often made by one thread and freed by another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A 5G core network.
#[derive(Parser)]
#[command(
    version,
    about = "A 5G core network",
    after_help = "A whole core on this machine, a subscriber, and a phone that uses it:\n\n  \
        tern up                                   start every network function (Ctrl-C stops them)\n  \
        tern subscriber add imsi-001010000000001 --k 465b… --opc cd63…\n  \
        tern sim --ues 1 --k 465b… --opc cd63…    a gNB and a UE: register, establish a session\n  \
        tern status                               who is registered, connected, in session\n\n\
        Logs go to standard error; TERN_LOG=debug shows each message."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a whole core on this machine
    Up(up::Arguments),
    /// Show network functions, gNBs, UEs and sessions
    Status(status::Arguments),
    /// Ask a network function whether it lives and is ready, as a container's health check
    Health(health::Arguments),
    /// Say where a UE is
    Locate(locate::Arguments),
    /// Administer subscribers
    Subscriber(subscriber::Arguments),
    /// Make networks of namespaces: network functions, gNBs and UEs in bulk
    Net(net::Arguments),
    /// Simulate gNBs and UEs
    Sim(Box<sim::Arguments>),
    /// Show configuration files with every field explained; make keys
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Manager of shared memory: pairs the network functions of this node
    Manager(Process),
    /// NF Repository Function
    Nrf(Process),
    /// Unified Data Repository
    Udr(Process),
    /// Unified Data Management
    Udm(Process),
    /// Authentication Server Function
    Ausf(Process),
    /// Policy Control Function
    Pcf(Process),
    /// Network Slice Selection Function
    Nssf(Process),
    /// Access and Mobility Management Function
    Amf(Process),
    /// Session Management Function
    Smf(Process),
    /// User Plane Function
    Upf(Process),
    /// N2 termination as a process of its own, which survives the AMF
    N2(Process),
}

/// One network function as a process.
#[derive(Args, Clone)]
struct Process {
    /// Configuration file; without it every default holds
    #[arg(long)]
    config: Option<PathBuf>,
    /// File that keeps the function's state over restarts; without it the state is in memory
    #[arg(long)]
    store: Option<PathBuf>,
    #[command(flatten)]
    health: health::Endpoint,
    /// End when this process, the parent, ends
    #[arg(long, hide = true)]
    with_parent: Option<u32>,
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Print a sample: every field with its default and what it means
    Print {
        /// Of which file
        of: Sample,
    },
    /// Make a home network's key pair for SIMs that conceal their SUPI
    Key {
        /// A (X25519) or B (secp256r1)
        scheme: Profile,
        /// Home network public key identifier, 1 to 255, as the SIMs have it
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..))]
        id: u8,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Profile {
    #[value(alias = "a", name = "A")]
    A,
    #[value(alias = "b", name = "B")]
    B,
}

#[derive(Clone, Copy, ValueEnum)]
enum Sample {
    Core,
    Manager,
    Nrf,
    Udr,
    Udm,
    Ausf,
    Pcf,
    Nssf,
    Amf,
    Smf,
    Upf,
    N2,
    Sim,
}

fn main() -> ExitCode {
    capabilities::put_in_force();
    match Arguments::parse().command {
        Command::Up(arguments) => up::main(&arguments),
        Command::Status(arguments) => tool(status::run(arguments)),
        Command::Health(arguments) => health::main(&arguments),
        Command::Locate(arguments) => tool(locate::run(arguments)),
        Command::Subscriber(arguments) => tool(subscriber::run(arguments)),
        Command::Net(arguments) => tool(async { net::run(arguments) }),
        Command::Sim(arguments) => sim::main(*arguments),
        Command::Config(ConfigCommand::Print { of }) => tool(async { print(nf::sample(of)) }),
        Command::Config(ConfigCommand::Key { scheme, id }) => tool(async {
            let scheme = match scheme {
                Profile::A => tern_crypto::ProtectionScheme::ProfileA,
                Profile::B => tern_crypto::ProtectionScheme::ProfileB,
            };
            print(&key_pair::made(scheme, id, &mut tern_nf::Entropy::real()?.random())?)
        }),
        Command::Manager(process) => manager::main(&process),
        Command::Nrf(process) => nf::nrf(&process),
        Command::Udr(process) => nf::udr(&process),
        Command::Udm(process) => nf::udm(&process),
        Command::Ausf(process) => nf::ausf(&process),
        Command::Pcf(process) => nf::pcf(&process),
        Command::Nssf(process) => nf::nssf(&process),
        Command::Amf(process) => nf::amf(&process),
        Command::Smf(process) => nf::smf(&process),
        Command::Upf(process) => nf::upf(&process),
        Command::N2(process) => nf::n2(&process),
    }
}

/// Prints what a tool has to say.
fn print(text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

/// Whether nobody reads on: `tern status | head -1` is no error.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let closed = |error: &std::io::Error| error.kind() == std::io::ErrorKind::BrokenPipe;
    error.downcast_ref().is_some_and(closed)
}

/// Runs a tool of the operator's; its error is one line.
fn tool(work: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(work)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tern: {}", tern_nf::one_line(&error));
            ExitCode::FAILURE
        }
    }
}
