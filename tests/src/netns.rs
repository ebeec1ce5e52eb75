//! Network namespaces that a test makes for itself and removes again.

use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tern_types::Ipv4Prefix;

/// Every namespace's name starts so; the process ID of its maker follows.
const PREFIX: &str = "tern";

/// A network namespace, removed when dropped. Its loopback interface is up.
#[derive(Debug)]
pub struct Netns {
    name: String,
}

impl Netns {
    /// Makes the namespace `tern-<process ID>-<role>`.
    pub fn create(role: &str) -> Result<Self> {
        let name = format!("{PREFIX}-{}-{role}", std::process::id());
        ip(&["netns", "add", &name])?;
        let netns = Self { name };
        netns.ip(&["link", "set", "lo", "up"])?;
        Ok(netns)
    }

    /// Its name, for `ip netns exec`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `ip` inside.
    pub fn ip(&self, arguments: &[&str]) -> Result<()> {
        ip(&[&["-n", self.name.as_str()], arguments].concat())
    }

    /// Lays a cable to `other`: a veth pair, made in place, with one address an end.
    pub fn connect(
        &self,
        link: &str,
        address: Ipv4Prefix,
        other: &Self,
        other_address: Ipv4Prefix,
    ) -> Result<()> {
        ip(&[
            "link",
            "add",
            link,
            "netns",
            &self.name,
            "type",
            "veth",
            "peer",
            "name",
            link,
            "netns",
            &other.name,
        ])?;
        for (netns, address) in [(self, address), (other, other_address)] {
            netns.ip(&["addr", "add", &address.to_string(), "dev", link])?;
            netns.ip(&["link", "set", link, "up"])?;
        }
        Ok(())
    }

    /// Adds a route.
    pub fn route(&self, to: Ipv4Prefix, via: Ipv4Addr) -> Result<()> {
        self.ip(&["route", "add", &to.to_string(), "via", &via.to_string()])
    }

    /// Sets a kernel parameter of the namespace, such as `net.ipv4.ip_forward`.
    pub fn sysctl(&self, name: &str, value: &str) -> Result<()> {
        run(self.command("sysctl").args(["-q", "-w", &format!("{name}={value}")]))
    }

    /// Has the kernel make frames of a cable's end whole, with their checksums and no longer than the MTU:
    /// what reads them here may not be a kernel.
    pub fn whole_frames(&self, link: &str) -> Result<()> {
        let off = ["tx", "off", "sg", "off", "tso", "off", "gso", "off", "gro", "off"];
        run(self.command("ethtool").args(["-K", link]).args(off))
    }

    /// A command that runs inside.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program.as_ref());
        command
    }

    /// Moves the calling thread inside; threads that it starts from now on are inside too.
    pub fn enter(&self) -> Result<()> {
        enter(&self.open()?).with_context(|| self.name.clone())
    }

    /// Does `work` inside, on a thread of its own: sockets that it opens stay inside.
    pub async fn within<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let namespace = self.open()?;
        let (done, result) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            // Who asked may have stopped waiting.
            let _ = done.send(enter(&namespace).and_then(|()| work()));
        });
        result.await.with_context(|| format!("{}: a panic inside", self.name))?
    }

    fn open(&self) -> Result<File> {
        let path = Path::new("/run/netns").join(&self.name);
        File::open(&path).with_context(|| path.display().to_string())
    }

    /// The same as a task.
    pub fn task(&self, program: impl AsRef<Path>) -> tokio::process::Command {
        tokio::process::Command::from(self.command(program))
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        // Nothing better can be done here than to say so.
        if let Err(error) = ip(&["netns", "del", &self.name]) {
            eprintln!("{}: {error:#}", self.name);
        }
    }
}

/// Removes the namespaces of makers that were killed before they could.
pub fn remove_orphans() -> Result<()> {
    let names = std::fs::read_dir("/run/netns").into_iter().flatten().flatten();
    for name in names.filter_map(|entry| entry.file_name().into_string().ok()) {
        let maker = name.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix('-')?.split('-').next());
        // One that has ended and not been waited for is dead too: its command line is empty.
        let dead = |pid: &str| {
            std::fs::read(Path::new("/proc").join(pid).join("cmdline")).map_or(true, |line| line.is_empty())
        };
        if maker.is_some_and(|pid| pid.bytes().all(|b| b.is_ascii_digit()) && dead(pid)) {
            let removed = ip(&["netns", "del", &name]);
            // Another run may have removed it first.
            if Path::new("/run/netns").join(&name).exists() {
                removed?;
            }
        }
    }
    Ok(())
}

fn enter(namespace: &File) -> Result<()> {
    Ok(move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?)
}

fn ip(arguments: &[&str]) -> Result<()> {
    run(Command::new("ip").args(arguments))
}

fn run(command: &mut Command) -> Result<()> {
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("{command:?} does not start"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
