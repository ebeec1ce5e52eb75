//! Parts of a measurement in processes of their own: this program again, with what it is to do on its standard
//! input and what it found on its standard output, both in JSON. It ends with its standard input.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child as Process, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tern_upf::Config;

use crate::n4;
#[cfg(feature = "dpdk")]
use crate::{generator, ports};

/// What a process does.
#[derive(Debug, Serialize, Deserialize)]
pub enum Role {
    /// Runs a UPF until the end.
    Upf {
        /// Its configuration.
        config: Box<Config>,
        /// Its processor.
        core: usize,
    },
    /// Sends datagrams of N4 back until the end.
    Echo {
        /// Its processor.
        core: usize,
    },
    /// A worker on null devices and on rings.
    #[cfg(feature = "dpdk")]
    Ports(ports::Ask),
    /// Two workers beside one.
    #[cfg(feature = "dpdk")]
    Pair(ports::Ask),
    /// Sends frames on one port and counts those that come on another.
    #[cfg(feature = "dpdk")]
    Generator(Box<generator::Ask>),
}

impl Role {
    /// In the process itself: reads what it is to do, and does it.
    pub fn play() -> Result<()> {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line)?;
        match serde_json::from_str(&line)? {
            Self::Upf { config, core } => n4::serve(*config, core),
            Self::Echo { core } => n4::echo(core),
            #[cfg(feature = "dpdk")]
            Self::Ports(ask) => say(&ports::measure(&ask)?),
            #[cfg(feature = "dpdk")]
            Self::Pair(ask) => say(&ports::pair(&ask)?),
            #[cfg(feature = "dpdk")]
            Self::Generator(ask) => say(&generator::measure(&ask)?),
        }
    }
}

/// Says a line of JSON.
pub fn say(what: &impl Serialize) -> Result<()> {
    println!("{}", serde_json::to_string(what)?);
    Ok(())
}

/// A process with a role. It is killed when this is dropped.
pub struct Child {
    process: Process,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Child {
    /// Starts one, perhaps by another program (`ip netns exec NAME`).
    pub fn start(by: &[&str], role: &Role) -> Result<Self> {
        let program = std::env::current_exe()?;
        let mut command = match by {
            [] => Command::new(program),
            [other, arguments @ ..] => {
                let mut command = Command::new(other);
                command.args(arguments).arg(program);
                command
            }
        };
        command.arg("--child");
        let mut child = Self::spawn(&mut command)?;
        let input = child.input.as_mut().context("no standard input")?;
        writeln!(input, "{}", serde_json::to_string(role)?)?;
        Ok(child)
    }

    /// Starts another program, which is left its standard input open until the end.
    pub fn spawn(command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().with_context(|| format!("{command:?} cannot be started"))?;
        let input = process.stdin.take();
        let output = BufReader::new(process.stdout.take().context("no standard output")?);
        Ok(Self { process, input, output })
    }

    /// Waits for a line that JSON reads as what is wanted.
    pub fn hear<T: DeserializeOwned>(&mut self) -> Result<T> {
        loop {
            let mut line = String::new();
            ensure!(
                self.output.read_line(&mut line)? > 0,
                "a process ended without an answer: {}",
                self.end()
            );
            // A library may say something of its own.
            if let Ok(said) = serde_json::from_str(&line) {
                return Ok(said);
            }
        }
    }

    fn end(&mut self) -> String {
        self.input = None;
        self.process.wait().map_or_else(|error| error.to_string(), |status| status.to_string())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
