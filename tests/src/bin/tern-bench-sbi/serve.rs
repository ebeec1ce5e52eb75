//! The other ends: each a process of this binary, ended with its parent.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use rustix::thread::{Gid, Uid, set_thread_res_gid, set_thread_res_uid};
use sbi_shm::manager::{Domain, Manager, ManagerOptions};
use sbi_shm::{AttachOptions, ConnectOptions, ListenOptions, Stack, Waiting};
use tern_figures::place::Pinned;

use crate::message::{self, Kind};

/// Where servers listen in shared memory.
pub const SHARED: &str = "127.0.0.1:80";
/// Where nobody listens.
const NOBODY: &str = "127.0.0.2:9";
/// The largest message of the flood.
const FLOOD: usize = 4096;

#[derive(Args)]
pub struct Arguments {
    /// The processor it stays on.
    #[arg(long)]
    core: usize,
    /// The process that it ends with.
    #[arg(long)]
    parent: i32,
    /// The user that it becomes.
    #[arg(long)]
    user: Option<u32>,
    #[command(subcommand)]
    role: Role,
}

/// What a process is.
#[derive(Subcommand)]
enum Role {
    /// The manager of shared memory.
    Manager {
        #[arg(long)]
        socket: String,
        /// The user of a second domain.
        #[arg(long)]
        tenant: Option<u32>,
        /// Messages go through the manager.
        #[arg(long)]
        forward: bool,
    },
    /// Gives back what it gets, over TCP.
    EchoTcp {
        #[arg(long)]
        at: SocketAddr,
        #[arg(long)]
        octets: usize,
    },
    /// The same through shared memory.
    EchoShm {
        #[arg(long)]
        socket: String,
        #[arg(long)]
        octets: usize,
    },
    /// Answers an SBI message.
    Message {
        #[arg(long, value_enum)]
        kind: Kind,
        #[arg(long, value_enum)]
        way: message::Way,
        /// The manager, for ways through shared memory.
        #[arg(long, default_value = "")]
        socket: String,
        /// Never sleeps.
        #[arg(long)]
        poll: bool,
    },
    /// Takes what the flood brings.
    Sink {
        #[arg(long)]
        socket: String,
    },
    /// Sends as much as it can, and keeps the manager busy.
    Flood {
        #[arg(long)]
        socket: String,
    },
}

/// Runs until it is killed.
pub fn main(arguments: &Arguments) -> Result<()> {
    if let Some(user) = arguments.user {
        let (user, group) = (Uid::from_raw(user), Gid::from_raw(user));
        set_thread_res_gid(group, group, group)?;
        set_thread_res_uid(user, user, user)?;
    }
    // Behind the change of user, which would undo it.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid().map(|parent| parent.as_raw_nonzero().get()) != Some(arguments.parent) {
        bail!("the bench has ended");
    }
    let _pinned = Pinned::to(arguments.core)?;
    match &arguments.role {
        Role::Manager { socket, tenant, forward } => manager(socket, *tenant, *forward),
        Role::EchoTcp { at, octets } => echo_tcp(*at, *octets),
        Role::EchoShm { socket, octets } => echo_shm(socket, *octets),
        Role::Message { kind, way, socket, poll } => message::serve(*kind, *way, socket, waiting(*poll)),
        Role::Sink { socket } => sink(socket),
        Role::Flood { socket } => flood(socket),
    }
}

/// How a stack waits.
pub fn waiting(poll: bool) -> Waiting {
    if poll { Waiting::Poll } else { Waiting::default() }
}

/// Says to the bench that this end serves, and where.
pub fn ready(at: SocketAddr) -> Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "ready {at}")?;
    Ok(out.flush()?)
}

fn manager(socket: &str, tenant: Option<u32>, forward: bool) -> Result<()> {
    let user = rustix::process::geteuid().as_raw();
    let domain =
        |name, user| anyhow::Ok(Domain { forward, ..Domain::new(name, user, vec!["127.0.0.0/8".parse()?]) });
    let mut domains = vec![domain("bench", user)?];
    if let Some(tenant) = tenant {
        domains.push(domain("tenant", tenant)?);
    }
    let manager = Manager::bind(ManagerOptions { domains, ..ManagerOptions::new(socket) })?;
    ready(SHARED.parse()?)?;
    Ok(manager.run(|_| {})?)
}

/// A stack of this name.
pub fn attach(socket: &str, name: &str, waiting: Waiting) -> Result<Stack> {
    let options = AttachOptions { waiting, ..AttachOptions::new(socket, name) };
    Stack::attach(&options).with_context(|| format!("{name} at {socket}"))
}

fn echo_tcp(at: SocketAddr, octets: usize) -> Result<()> {
    let listener = TcpListener::bind(at)?;
    ready(listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        echo(stream, octets);
    }
}

fn echo_shm(socket: &str, octets: usize) -> Result<()> {
    let stack = attach(socket, "echo", Waiting::default())?;
    let listener = stack.listen(SHARED.parse()?, &ListenOptions::default())?;
    ready(SHARED.parse()?)?;
    loop {
        let (stream, _) = listener.accept()?;
        echo(stream, octets);
    }
}

/// One client at a time, until it goes.
fn echo(mut stream: impl Read + Write, octets: usize) {
    let mut buffer = vec![0; octets];
    while stream.read_exact(&mut buffer).is_ok() && stream.write_all(&buffer).is_ok() {}
}

fn sink(socket: &str) -> Result<()> {
    let stack = attach(socket, "sink", Waiting::default())?;
    let listener = stack.listen(SHARED.parse()?, &ListenOptions::default())?;
    ready(SHARED.parse()?)?;
    let mut buffer = vec![0; FLOOD];
    loop {
        let (mut stream, _) = listener.accept()?;
        while stream.read(&mut buffer).is_ok_and(|n| n > 0) {}
    }
}

fn flood(socket: &str) -> Result<()> {
    let stack = attach(socket, "flood", Waiting::default())?;
    let mut stream = stack.connect(SHARED.parse()?, &ConnectOptions::default())?;
    ready(SHARED.parse()?)?;
    let nobody: SocketAddr = NOBODY.parse()?;
    // Each attempt asks the manager.
    std::thread::spawn(move || while stack.connect(nobody, &ConnectOptions::default()).is_err() {});
    let message = vec![0; FLOOD];
    loop {
        stream.write_all(&message)?;
    }
}
