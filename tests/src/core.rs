//! The whole core as its users run it: `tern up`, `tern subscriber`, `tern sim`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::process::Signal;
use tokio::process::Command;

use crate::netns::Netns;
use crate::process::Process;
use crate::topology::{DN_ADDRESS, N2_CORE, N2_GNB, N3_CORE, N3_GNB, N3_MTU, N6_CORE, Topology};

/// How long the core may take until each network function is registered, or has stopped.
const CORE_TIME: Duration = Duration::from_secs(30);
/// First subscriber; the others follow it.
pub const SUPI: &str = "imsi-001010000000001";
/// K of TS 35.208 test set 1.
pub const K: &str = "465b5ce8b199b49faa5f0a2ee238a6bc";
/// OPc of the same.
pub const OPC: &str = "cd63cb71954a9f4e48a5994e37a02baf";

/// How the SBI travels between network functions of one machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Sbi {
    /// As the core does by itself.
    #[default]
    Auto,
    /// Through shared memory, where no interface sees it.
    Shm,
    /// Through TCP.
    Tcp,
}

/// How the UPF's packets move.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum UpfIo {
    /// By sockets and TUN devices.
    #[default]
    Kernel,
    /// By DPDK, on devices of the kernel that the topology has left to it.
    Dpdk,
}

/// The binary under test and where its files go.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The `tern` binary.
    pub tern: PathBuf,
    /// Directory for configuration, data and logs; emptied when the core starts.
    pub directory: PathBuf,
    /// Whether the core's output is shown as it comes.
    pub echo: bool,
    /// How the SBI travels.
    pub sbi: Sbi,
    /// How the UPF's packets move.
    pub upf_io: UpfIo,
    /// The UPF's N3, as the file has it: an address, or a list of two.
    pub n3: String,
    /// Where network functions keep what they say over the SBI, for a capture; made when the core
    /// starts.
    pub sbi_tap: Option<PathBuf>,
}

impl Setup {
    /// A core as it is by itself, and silent.
    pub fn new(tern: impl Into<PathBuf>, directory: impl Into<PathBuf>) -> Self {
        let (tern, directory) = (tern.into(), directory.into());
        Self {
            tern,
            directory,
            echo: false,
            sbi: Sbi::default(),
            upf_io: UpfIo::default(),
            n3: N3_CORE.to_string(),
            sbi_tap: None,
        }
    }

    /// The core's one small file. NEA0 lets a capture be read; elsewhere the default is NEA2.
    fn config(&self) -> Result<String> {
        let mut text = format!(
            "plmn: 001-01\n\
             tac: \"000001\"\n\
             n2: {N2_CORE}\n\
             n3: {n3}\n\
             data: {data}\n\
             ciphering: [NEA0]\n\
             integrity: [NIA2]\n",
            n3 = self.n3,
            data = std::path::absolute(&self.directory)?.join("data").display(),
        );
        match self.sbi {
            Sbi::Auto => {}
            Sbi::Shm => text += "sbi: shm\n",
            Sbi::Tcp => text += "sbi: tcp\n",
        }
        if self.upf_io == UpfIo::Dpdk {
            writeln!(
                text,
                "upf_workers: 1\n\
                 dpdk:\n  \
                   n3: {{ device: \"net_af_packet0,iface=n3\", address: {N3_CORE}/24, mtu: {N3_MTU} }}\n  \
                   n6: {{ device: \"net_af_packet1,iface=n6\", address: {N6_CORE}/24, gateway: {DN_ADDRESS} }}"
            )?;
        }
        if let Some(tap) = &self.sbi_tap {
            writeln!(text, "sbi_tap: {}", std::path::absolute(tap)?.display())?;
        }
        Ok(text)
    }
}

/// A running core: `tern up` in its namespace. Killed when dropped.
#[derive(Debug)]
pub struct Core {
    setup: Setup,
    process: Process,
}

impl Core {
    /// Starts every network function and waits until all are registered.
    pub async fn start(setup: Setup, netns: &Netns) -> Result<Self> {
        Self::start_with(setup, netns, "").await
    }

    /// The same with further lines of the core's file.
    pub async fn start_with(setup: Setup, netns: &Netns, more: &str) -> Result<Self> {
        let directory = &setup.directory;
        if directory.exists() {
            std::fs::remove_dir_all(directory)?;
        }
        std::fs::create_dir_all(directory)?;
        let config = directory.join("core.yaml");
        std::fs::write(&config, setup.config()? + more)?;
        if let Some(tap) = &setup.sbi_tap {
            std::fs::create_dir_all(tap)?;
        }
        let mut command = netns.task(&setup.tern);
        command.args(["up", "--config"]).arg(&config);
        let mut process = Process::start("core", command, setup.echo)?;
        process.wait_for_line("core is up", CORE_TIME).await?;
        Ok(Self { setup, process })
    }

    /// Adds `count` subscribers from [`SUPI`] on.
    pub async fn add_subscribers(&self, netns: &Netns, count: u32) -> Result<()> {
        let mut command = netns.task(&self.setup.tern);
        command.args(["subscriber", "add", SUPI, "--k", K, "--opc", OPC, "--count", &count.to_string()]);
        Process::start("subscriber", command, self.setup.echo)?.succeed(CORE_TIME).await
    }

    /// The process of `tern up`.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Stops all network functions as Ctrl-C does, and keeps their log.
    pub async fn stop(mut self) -> Result<()> {
        self.process.signal(Signal::INT)?;
        let stopped = self.process.succeed(CORE_TIME).await;
        self.save_log()?;
        stopped
    }

    /// Keeps what the network functions have printed so far.
    pub fn save_log(&self) -> Result<()> {
        let path = self.setup.directory.join("core.log");
        std::fs::write(&path, self.process.lines().join("\n")).with_context(|| path.display().to_string())
    }
}

/// What the simulator does besides registering its UEs.
#[derive(Debug, Clone)]
pub struct Sim {
    /// UEs, from [`SUPI`] on.
    pub ues: u32,
    /// Whether each UE gets a TUN device.
    pub tun: bool,
    /// Programs to run while the sessions are up.
    pub exec: Vec<String>,
    /// Further lines of its configuration file.
    pub more: String,
}

impl Sim {
    /// Starts the simulator on the gNB's host; configuration and report are `name`.yaml and
    /// `name`.json in `directory`.
    pub fn start(
        &self,
        tern: &Path,
        topology: &Topology,
        directory: &Path,
        name: &str,
        echo: bool,
    ) -> Result<Process> {
        let config = directory.join(format!("{name}.yaml"));
        std::fs::write(&config, self.config())?;
        let mut command: Command = topology.gnb.task(tern);
        command.args(["sim", "--config"]).arg(&config);
        command.arg("--report").arg(directory.join(format!("{name}.json")));
        for program in &self.exec {
            command.args(["--exec", program]);
        }
        Process::start("ue-ransim", command, echo)
    }

    fn config(&self) -> String {
        let mut text = format!(
            "plmn: 001-01\n\
             tac: \"000001\"\n\
             amf: {N2_CORE}\n\
             n2: {N2_GNB}\n\
             n3: {N3_GNB}\n\
             tun: {tun}\n\
             ues:\n  - supi: {SUPI}\n    k: {K}\n    opc: {OPC}\n    count: {ues}\n",
            tun = self.tun,
            ues = self.ues,
        );
        let _ = writeln!(text, "{}", self.more);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sbi_stands_in_the_file_only_where_it_is_chosen() {
        let mut setup = Setup::new("tern", "/run/core");
        let plain = setup.config().unwrap();
        assert!(!plain.contains("sbi"), "{plain}");
        setup.sbi = Sbi::Tcp;
        assert_eq!(setup.config().unwrap(), format!("{plain}sbi: tcp\n"));
        (setup.sbi, setup.sbi_tap) = (Sbi::Shm, Some("/run/core/tap".into()));
        assert_eq!(setup.config().unwrap(), format!("{plain}sbi: shm\nsbi_tap: /run/core/tap\n"));
    }
}
