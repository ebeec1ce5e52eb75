//! Packet captures, and what an independent decoder says of them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;
use tern_sbi_transport::tap;

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

/// Puts what was captured together with what the taps in `directory` have seen, by time, into
/// `out`; the packets of the taps are of another link type.
pub fn add_taps(captured: &Path, directory: &Path, out: &Path) -> Result<tap::Summary> {
    let files = tap::files_in(directory).with_context(|| directory.display().to_string())?;
    let tapped = out.with_extension("taps");
    let summary = tap::to_pcap(&files, &tapped)?;
    let mut command = Command::new("mergecap");
    command.arg("-w").arg(out).arg(captured).arg(&tapped);
    output(command)?;
    std::fs::remove_file(&tapped)?;
    Ok(summary)
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
    let output = command.output().with_context(|| format!("{:?} does not start", command.get_program()))?;
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

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use tern_sbi::{Body, Headers, Method, Reply, Request};
    use tern_sbi_transport::tap::{Exchange, Summary, Tap};

    use super::*;
    use crate::timeline;

    /// A capture of one Ethernet frame, of a type that nobody uses, at this second.
    fn ethernet(second: u32) -> Vec<u8> {
        let mut pcap = Vec::new();
        let frame = [&[2; 12][..], &[0x88, 0xb5], &[0; 46]].concat();
        let length = u32::try_from(frame.len()).unwrap();
        // Microseconds, version 2.4, link type Ethernet; then the packet's header.
        for field in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 0xffff, 1, second, 500_000, length, length] {
            pcap.extend_from_slice(&u32::to_le_bytes(field));
        }
        pcap.extend(frame);
        pcap
    }

    #[test]
    fn taps_stand_among_what_was_captured_by_time() {
        if Command::new("mergecap").arg("-v").output().is_err() {
            println!(
                "SKIPPED tern-tests capture::tests::taps_stand_among_what_was_captured_by_time: \
                 tshark is not installed"
            );
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let (captured, out) = (directory.path().join("wire.pcap"), directory.path().join("demo.pcap"));
        std::fs::write(&captured, ethernet(1_700_000_000)).unwrap();
        let tap = Tap::in_directory(directory.path(), "amf").unwrap();
        let ends = ("127.0.0.16:49152", "127.0.0.13:8080");
        let exchange =
            Exchange { consumer: ends.0.parse().unwrap(), producer: ends.1.parse().unwrap(), number: 1 };
        let request = Request {
            method: Method::Get,
            path: "/test".into(),
            query: Vec::new(),
            headers: Headers::default(),
            body: Body::Empty,
        };
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        tap.request(exchange, at, "AMF", &request);
        tap.reply(exchange, at + Duration::from_secs(1), &Reply::empty(204), &[]);
        drop(tap);

        let summary = add_taps(&captured, directory.path(), &out).unwrap();
        assert_eq!(summary, Summary { answered: 1, ..Summary::default() });
        let wanted = "eth || http2.headers.method || http2.headers.status";
        let columns = ["frame.time_epoch", "http2.headers.path", "http2.headers.status"];
        let expected =
            ["1700000000.000000000\t/test\t", "1700000000.500000000\t\t", "1700000001.000000000\t\t204"];
        assert_eq!(read_fields(&out, wanted, &columns).unwrap(), expected);
        assert_eq!(faults(&out).unwrap(), Vec::<String>::new());
        let steps = timeline::read(&out).unwrap();
        let told: Vec<_> = steps.iter().map(|step| (step.interface, step.message.as_str())).collect();
        assert_eq!(told, [("SBI", "GET /test"), ("SBI", "204 No Content")]);
        assert_eq!(steps[1].between, ("127.0.0.13".into(), "127.0.0.16".into()));
    }
}
