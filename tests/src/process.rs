//! Processes that a test starts, watches and ends.

use std::collections::VecDeque;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// Output lines kept of one process; the oldest go first.
const LINES_MAX: usize = 20_000;
/// How long a process may take to stop once asked to.
const STOP_TIME: Duration = Duration::from_secs(10);
/// How long what it has written may take to be read once it has ended; what it started itself may hold its output open.
const REST_TIME: Duration = Duration::from_secs(2);

/// A running process with its output. Killed when dropped; [`Process::stop`] ends it in order.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    output: Arc<Output>,
    /// What reads its output, until that is closed.
    readers: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Output {
    lines: Mutex<VecDeque<String>>,
    grown: Notify,
}

impl Output {
    fn find(&self, text: &str) -> Option<String> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().find(|line| line.contains(text)).cloned()
    }
}

impl Process {
    /// Starts `command`; its standard output and error are kept, and echoed if `echo`.
    pub fn start(name: &str, mut command: Command, echo: bool) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("{name} does not start"))?;
        let output = Arc::<Output>::default();
        let mut readers = Vec::new();
        if let Some(stream) = child.stdout.take() {
            readers.push(tokio::spawn(keep_lines(name.to_owned(), stream, Arc::clone(&output), echo)));
        }
        if let Some(stream) = child.stderr.take() {
            readers.push(tokio::spawn(keep_lines(name.to_owned(), stream, Arc::clone(&output), echo)));
        }
        Ok(Self { name: name.to_owned(), child, output, readers })
    }

    /// Its process ID while it runs.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// The lines it has written so far.
    pub fn lines(&self) -> Vec<String> {
        self.output.lines.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Waits until a line holds `text`, and returns that line. Fails with the process's last lines
    /// if it ends or `limit` passes before.
    pub async fn wait_for_line(&mut self, text: &str, limit: Duration) -> Result<String> {
        let output = Arc::clone(&self.output);
        let found = async {
            loop {
                let grown = output.grown.notified();
                if let Some(line) = output.find(text) {
                    return line;
                }
                grown.await;
            }
        };
        let why = tokio::select! {
            biased;
            line = found => return Ok(line),
            status = self.child.wait() => {
                self.read_rest().await;
                if let Some(line) = self.output.find(text) {
                    return Ok(line);
                }
                format!("ended with {}", status?)
            }
            () = tokio::time::sleep(limit) => format!("said nothing of it in {limit:?}"),
        };
        bail!("waiting for {text:?}: {} {why}; its last lines:\n{}", self.name, self.last_lines(20))
    }

    /// Waits for its end; fails with its last lines unless it succeeded.
    pub async fn succeed(&mut self, limit: Duration) -> Result<()> {
        let waited = tokio::time::timeout(limit, self.child.wait()).await;
        let status = match waited {
            Ok(status) => status?,
            Err(_) => {
                bail!("{} still runs after {limit:?}; its last lines:\n{}", self.name, self.last_lines(20))
            }
        };
        if !status.success() {
            self.read_rest().await;
            bail!("{} ended with {status}; its last lines:\n{}", self.name, self.last_lines(20));
        }
        Ok(())
    }

    /// Its last words, which may be read behind its end.
    async fn read_rest(&mut self) {
        let all = async {
            for reader in self.readers.drain(..) {
                let _ = reader.await;
            }
        };
        let _ = tokio::time::timeout(REST_TIME, all).await;
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let id = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        kill_process(id.context("it has ended")?, signal).with_context(|| self.name.clone())
    }

    /// Asks it to end and waits; fails if it does not, or not with success.
    pub async fn stop(mut self) -> Result<()> {
        self.signal(Signal::TERM)?;
        self.succeed(STOP_TIME).await
    }

    /// Kills it at once, as a crash would.
    pub async fn kill(mut self) -> Result<()> {
        self.child.kill().await.with_context(|| self.name.clone())
    }

    /// The last `count` lines of its output, joined.
    pub fn last_lines(&self, count: usize) -> String {
        let lines = self.output.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let last = lines.iter().skip(lines.len().saturating_sub(count));
        last.map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}

/// Runs this to its end, unless the program is interrupted or told to end: that is then an error like any other,
/// so that what was made is removed.
pub async fn unless_told_to_end<T>(run: impl Future<Output = Result<T>>) -> Result<T> {
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut ended = signal(SignalKind::terminate())?;
    tokio::select! {
        biased;
        _ = interrupted.recv() => Err(anyhow::anyhow!("interrupted")),
        _ = ended.recv() => Err(anyhow::anyhow!("told to end")),
        result = run => result,
    }
}

async fn keep_lines(name: String, stream: impl AsyncRead + Unpin, output: Arc<Output>, echo: bool) {
    let mut lines = BufReader::new(stream).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if echo {
            println!("  {name}: {line}");
        }
        let mut kept = output.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == LINES_MAX {
            kept.pop_front();
        }
        kept.push_back(line);
        drop(kept);
        output.grown.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn when_a_process_ends_behind_its_last_line_then_the_line_is_found() {
        // More than a pipe holds, so that some of it is not read yet at the end.
        const LAST: &str = "head -c 300000 /dev/zero | tr '\\0' x; echo; echo the last line";
        for _ in 0..20 {
            let mut command = Command::new("sh");
            command.args(["-c", LAST]);
            let mut process = Process::start("writer", command, false).unwrap();
            let line = process.wait_for_line("the last", Duration::from_secs(20)).await.unwrap();
            assert_eq!(line, "the last line");
        }
    }
}
