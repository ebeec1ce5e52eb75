//! The other end of a measurement: this binary as a process of its own.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result, bail};
use tern_tests::netns::Netns;

/// A running server, killed when dropped.
pub struct Peer {
    child: Child,
    /// Where it serves.
    pub at: SocketAddr,
}

impl Peer {
    /// Starts `serve` with these arguments on a processor, and waits until it serves.
    pub fn start(core: usize, arguments: &[&str]) -> Result<Self> {
        Self::spawn(Command::new(std::env::current_exe()?), core, arguments)
    }

    /// The same in a network namespace.
    pub fn start_in(netns: &Netns, core: usize, arguments: &[&str]) -> Result<Self> {
        Self::spawn(netns.command(std::env::current_exe()?), core, arguments)
    }

    fn spawn(mut command: Command, core: usize, arguments: &[&str]) -> Result<Self> {
        let (core, parent) = (core.to_string(), std::process::id().to_string());
        command.args(["serve", "--core", &core, "--parent", &parent]).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let child = command.spawn().with_context(|| format!("{command:?}"))?;
        let mut peer = Self { child, at: ([0, 0, 0, 0], 0).into() };
        let stdout = peer.child.stdout.take().context("a server without output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let Some(at) = line.trim().strip_prefix("ready ") else {
            bail!("{arguments:?} does not serve: {}", peer.child.wait()?);
        };
        peer.at = at.parse()?;
        Ok(peer)
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended already; there is nothing to be done about either.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A manager of shared memory as a process, which ends when this is dropped.
pub struct Node {
    /// Its socket.
    pub socket: String,
    _manager: Peer,
}

impl Node {
    /// Starts a manager on a processor; `more` is further arguments of `serve manager`.
    pub fn start(core: usize, more: &[&str]) -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let socket = format!("@tern-bench-sbi-{}-{number}", std::process::id());
        let manager = Peer::start(core, &[&["manager", "--socket", &socket], more].concat())?;
        Ok(Self { socket, _manager: manager })
    }
}
