//! Processes that a test starts, watches and ends.

use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

/// Output lines kept of one process; the oldest go first.
const LINES_MAX: usize = 20_000;
/// How long a process may take to stop once asked to.
const STOP_TIME: Duration = Duration::from_secs(10);

/// A running process with its output. Killed when dropped; [`Process::stop`] ends it in order.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    output: Arc<Output>,
}

#[derive(Debug, Default)]
struct Output {
    lines: Mutex<Vec<String>>,
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
        if let Some(stream) = child.stdout.take() {
            tokio::spawn(keep_lines(name.to_owned(), stream, Arc::clone(&output), echo));
        }
        if let Some(stream) = child.stderr.take() {
            tokio::spawn(keep_lines(name.to_owned(), stream, Arc::clone(&output), echo));
        }
        Ok(Self { name: name.to_owned(), child, output })
    }

    /// Its process ID while it runs.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// The lines it has written so far.
    pub fn lines(&self) -> Vec<String> {
        self.output.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
            status = self.child.wait() => format!("ended with {}", status?),
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
            bail!("{} ended with {status}; its last lines:\n{}", self.name, self.last_lines(20));
        }
        Ok(())
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
        lines[lines.len().saturating_sub(count)..].join("\n")
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
            kept.remove(0);
        }
        kept.push(line);
        drop(kept);
        output.grown.notify_waiters();
    }
}
