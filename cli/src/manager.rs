//! `tern manager`: the manager of shared memory of a node.

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use sbi_shm::manager::{Domain, Manager, ManagerOptions};
use sbi_shm::{AddressRange, PoolShape};
use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer, Serialize};
use tern_config::Sample;

use crate::Process;
use crate::core_config::Text;

/// The manager's configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Its socket: a path, or an abstract name behind an `@`.
    pub socket: String,
    /// Whom it admits.
    pub domains: Vec<DomainConfig>,
}

/// A security domain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DomainConfig {
    /// Its name.
    pub name: String,
    /// The user ID that its processes have.
    pub user: u32,
    /// Where they may listen and connect from.
    pub addresses: Vec<Text<AddressRange>>,
    /// Buffers of each direction between two of them.
    #[serde(default = "buffers", deserialize_with = "enough_buffers")]
    pub buffers: u32,
    /// Octets of a buffer.
    #[serde(default = "buffer_size")]
    pub buffer_size: u32,
    /// Processes at a time.
    #[serde(default = "processes_max")]
    pub processes_max: usize,
}

fn buffers() -> u32 {
    PoolShape::default().buffers
}

/// The fewest buffers of a direction that the SBI works with: with fewer, calls of two connections of a pair
/// wait for each other's buffers until they time out.
const BUFFERS_MIN: u32 = 64;

fn enough_buffers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let buffers = u32::deserialize(deserializer)?;
    if buffers < BUFFERS_MIN {
        let wrong = Unexpected::Unsigned(buffers.into());
        return Err(D::Error::invalid_value(wrong, &format!("at least {BUFFERS_MIN} buffers").as_str()));
    }
    Ok(buffers)
}

fn buffer_size() -> u32 {
    PoolShape::default().buffer_size
}

fn processes_max() -> usize {
    64
}

impl Default for Config {
    fn default() -> Self {
        Self::sample().expect("invariant: the sample is a configuration")
    }
}

impl Sample for Config {
    const SAMPLE: &'static str = include_str!("manager.yaml");
}

impl Config {
    /// What the manager is made of.
    pub fn options(&self) -> Result<ManagerOptions> {
        let domain = |domain: &DomainConfig| {
            let addresses = domain.addresses.iter().map(|range| range.0).collect();
            Domain {
                pool: PoolShape { buffers: domain.buffers, buffer_size: domain.buffer_size },
                processes_max: domain.processes_max,
                ..Domain::new(&domain.name, domain.user, addresses)
            }
        };
        let options = ManagerOptions {
            socket: self.socket.clone(),
            domains: self.domains.iter().map(domain).collect(),
        };
        options.check()?;
        Ok(options)
    }
}

/// Runs it until SIGTERM or SIGINT.
pub fn main(process: &Process) -> ExitCode {
    if !crate::nf::follow_parent(process) {
        return ExitCode::FAILURE;
    }
    tern_nf::log_to_stderr();
    tern_nf::abort_on_panic();
    tern_nf::harden();
    let config = match &process.config {
        Some(path) => match tern_config::load(path) {
            Ok(config) => config,
            Err(error) => {
                eprintln!("manager: {error}");
                return ExitCode::from(2);
            }
        },
        None => Config::default(),
    };
    crate::tool(serve(config, process.health.address))
}

async fn serve(config: Config, health: Option<SocketAddr>) -> Result<()> {
    let options = config.options().context("manager")?;
    let (shutdown, ready) = (tern_nf::on_signals()?, tern_nf::Ready::default());
    tern_nf::tell_health(health, &ready, &shutdown).await?;
    let manager = Manager::bind(options)?;
    let stopper = manager.stopper();
    let serving = tokio::task::spawn_blocking(move || manager.run(|line| tracing::info!("{line}")));
    println!("ready manager {}", config.socket);
    ready.set(&config.socket);
    shutdown.requested().await;
    stopper.stop();
    Ok(serving.await??)
}
