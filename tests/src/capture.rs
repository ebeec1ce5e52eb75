//! Packet captures, and what an independent decoder says of them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;

use crate::netns::Netns;
use crate::process::Process;

/// How long the capturing process may take to begin.
const START_TIME: Duration = Duration::from_secs(10);

/// NEA0 leaves NAS readable; this tells the decoder to try (TS 24.501 is silent about captures).
pub const NULL_DECIPHER: &str = "nas-5gs.null_decipher:TRUE";

/// A running capture of some interfaces of a namespace.
#[derive(Debug)]
pub struct Capture {
    process: Process,
    file: PathBuf,
}

impl Capture {
    /// Starts to capture what passes `interfaces`, and waits until it does.
    pub async fn start(netns: &Netns, interfaces: &[&str], filter: &str, file: &Path) -> Result<Self> {
        let mut command = netns.task("dumpcap");
        command.args(["-q", "-B", "32", "-f", filter]);
        for interface in interfaces {
            // Options behind an interface are its own; the filter is repeated for each.
            command.args(["-i", interface, "-f", filter]);
        }
        command.arg("-w").arg(file);
        let mut process = Process::start("dumpcap", command, false)?;
        process.wait_for_line("File:", START_TIME).await?;
        Ok(Self { process, file: file.to_owned() })
    }

    /// Ends the capture; its file.
    pub async fn stop(mut self) -> Result<PathBuf> {
        // What passed a moment ago may still be in the kernel's buffer.
        tokio::time::sleep(Duration::from_millis(300)).await;
        self.process.signal(Signal::INT)?;
        self.process.succeed(START_TIME).await?;
        Ok(self.file)
    }
}

/// Packets that `filter` (in the display filter language) finds in `file`: `fields` of each, tab-separated.
pub fn read_fields(file: &Path, filter: &str, fields: &[&str]) -> Result<Vec<String>> {
    let mut command = Command::new("tshark");
    command.arg("-o").arg(NULL_DECIPHER).arg("-r").arg(file).args(["-Y", filter, "-T", "fields"]);
    for field in fields {
        command.args(["-e", field]);
    }
    Ok(output(command)?.lines().map(str::to_owned).collect())
}

/// Packets of `file` that `filter` finds, with the whole trees of `protocols`, as PDML text.
pub fn read_tree(file: &Path, filter: &str, protocols: &[&str]) -> Result<String> {
    let mut command = Command::new("tshark");
    command.arg("-o").arg(NULL_DECIPHER).arg("-r").arg(file).args(["-Y", filter, "-T", "pdml"]);
    command.args(["-J", &protocols.join(" ")]);
    output(command)
}

fn output(mut command: Command) -> Result<String> {
    let output = command.output().context("tshark does not start")?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Packets of `file` that the decoder calls malformed or reports an error for, one line each.
pub fn faults(file: &Path) -> Result<Vec<String>> {
    let wrong = "_ws.malformed || _ws.expert.severity == error";
    read_fields(file, wrong, &["frame.number", "_ws.col.Protocol", "_ws.col.Info", "_ws.expert.message"])
}
