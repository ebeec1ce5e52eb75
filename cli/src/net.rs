//! `tern net`: the namespaces, cables, bridges, addresses and routes that a file declares.

use std::fmt::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command as Program;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use tern_net::found::{Found, FoundKind};
use tern_net::{Declared, Name, Plan};

#[derive(Args)]
#[command(after_help = "Example of a file:\n\n  \
    name: lab\n  \
    tenants:\n  \
    - name: red\n    \
      networks: [{ name: n2 }]\n    \
      endpoints:\n    \
      - { name: amf, links: [{ network: n2, addresses: [10.99.2.1/24] }] }\n    \
      - { name: gnb, count: 200, links: [{ network: n2, addresses: [10.99.2.11/24] }] }\n\n\
    docs/networks.md explains every field.")]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Say what `up` would do, and do nothing
    Plan {
        /// The file that declares the network
        file: PathBuf,
    },
    /// Make what the network lacks, remove what it has beyond the file
    Up {
        /// The file that declares the network
        file: PathBuf,
    },
    /// Remove all that is of the network
    Down {
        /// The file that declares the network, of which the name counts
        #[arg(required_unless_present = "name")]
        file: Option<PathBuf>,
        /// The network's name, when there is no file
        #[arg(long, conflicts_with = "file")]
        name: Option<Name>,
        /// End the processes that are inside
        #[arg(long)]
        kill: bool,
    },
    /// Show networks: namespaces, links, addresses
    List {
        /// One network alone
        name: Option<Name>,
    },
    /// Run a command as an endpoint
    Exec {
        /// The file that declares the network
        file: PathBuf,
        /// tenant/endpoint
        endpoint: String,
        /// The command with its arguments
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
}

/// Carries the subcommand out.
pub fn run(arguments: Arguments) -> Result<()> {
    match arguments.command {
        Command::Plan { file } => {
            let plan = tern_net::plan(&tern_net::load(&file)?)?;
            crate::print(&format!("{plan}{}\n", summary(&plan)))
        }
        Command::Up { file } => {
            let declared = tern_net::load(&file)?;
            let begun = Instant::now();
            let plan = tern_net::up(&declared)?;
            let took_ms = begun.elapsed().as_millis();
            crate::print(&format!("{}: {} ({took_ms} ms)\n", declared.name, summary(&plan)))
        }
        Command::Down { file, name, kill } => {
            let name = match (name, file) {
                (Some(name), _) => name,
                (None, Some(file)) => tern_net::load(&file)?.name,
                (None, None) => bail!("which network? a file, or --name"),
            };
            let gone = tern_net::down(&name, kill)?;
            crate::print(&format!("{name}: {gone} namespaces removed\n"))
        }
        Command::List { name } => crate::print(&listing(&tern_net::list(name.as_ref())?)),
        Command::Exec { file, endpoint, command } => exec(&tern_net::load(&file)?, &endpoint, &command),
    }
}

fn summary(plan: &Plan) -> String {
    if plan.is_empty() {
        return "nothing to do".to_owned();
    }
    let pairs: usize = plan.make_pairs.values().map(Vec::len).sum();
    let switches: usize = plan.make_switches.values().map(Vec::len).sum();
    let links: usize = plan.remove_links.values().map(|links| links.len()).sum();
    let settings: usize = plan.settings.values().map(Vec::len).sum();
    let counts = [
        (plan.remove_namespaces.len(), "namespaces to remove"),
        (links, "links to remove"),
        (plan.make_namespaces.len(), "namespaces"),
        (switches, "bridges and VXLANs"),
        (pairs, "pairs"),
        (settings, "settings"),
    ];
    let some = counts.iter().filter(|(count, _)| *count > 0);
    some.map(|(count, what)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
}

/// A line for each link, under its namespace.
fn listing(found: &Found) -> String {
    let mut text = String::new();
    for (name, namespace) in found {
        let forwards = if namespace.forwarding { " forwards" } else { "" };
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name}{forwards}");
        for (link, found) in &namespace.links {
            let kind = match &found.kind {
                FoundKind::Bridge => "bridge".to_owned(),
                FoundKind::Vxlan { vni, .. } => format!("vxlan {vni}"),
                FoundKind::Veth { .. } => "veth".to_owned(),
                FoundKind::Other if link == "lo" => continue,
                FoundKind::Other => "other".to_owned(),
            };
            let state = if found.up { "up" } else { "down" };
            let _ = write!(text, "  {link} {kind} {state} mtu {}", found.mtu);
            if let Some(bridge) = &found.bridge {
                let _ = write!(text, " in {bridge}");
            }
            for address in &found.addresses {
                let _ = write!(text, " {address}");
            }
            text.push('\n');
        }
        for (to, via) in &namespace.routes {
            let _ = writeln!(text, "  {to} via {via}");
        }
    }
    text
}

/// Becomes the command, as the endpoint.
fn exec(declared: &Declared, endpoint: &str, command: &[String]) -> Result<()> {
    let (program, arguments) = command.split_first().context("which command?")?;
    tern_net::enter(declared, endpoint)?;
    let error = Program::new(program).args(arguments).exec();
    Err(error).with_context(|| program.clone())
}
