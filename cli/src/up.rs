//! `tern up`: every network function as a process, from one small file or from nothing.

use std::fs::{OpenOptions, Permissions};
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use rustix::process::{Pid, Signal, kill_process};
use tern_nf::{Ready, Shutdown};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::core_config::{CoreConfig, Nf};
use crate::generated::{generated, generated_manager, generated_n2, keeps_state};
use crate::preflight;

/// How long a network function may take until it is registered.
const START_TIME: Duration = Duration::from_secs(20);
/// How long it may take to stop before it is killed.
const STOP_TIME: Duration = Duration::from_secs(5);
/// Restarts of one network function within [`RESTART_WINDOW`]; the next death ends the core.
const RESTARTS_MAX: usize = 5;
const RESTART_WINDOW: Duration = Duration::from_secs(60);
/// Mode of the generated files.
const PRIVATE: u32 = 0o600;
/// Output lines that wait to be printed.
const LINES_MAX: usize = 1024;

#[derive(Args)]
#[command(after_help = "Without a file every default holds; `tern config print core` shows them.\n\
    A network function that dies is started again. Ctrl-C stops all.")]
pub struct Arguments {
    /// One small file for the whole core
    #[arg(long)]
    config: Option<PathBuf>,
    #[command(flatten)]
    health: crate::health::Endpoint,
}

/// Runs the core until it is told to stop.
pub fn main(arguments: &Arguments) -> ExitCode {
    crate::tool(async {
        let config = CoreConfig::load(arguments.config.as_deref())?;
        preflight::check(&config)?;
        let mut stop = Stop::new()?;
        let mut core = Core::new(&config)?;
        let (_stopping, shutdown) = Shutdown::new();
        tern_nf::tell_health(arguments.health.address, &core.readiness, &shutdown).await?;
        let result = tokio::select! {
            biased;
            () = stop.asked() => Ok(()),
            result = core.run() => result,
        };
        core.readiness.suspend();
        core.stop().await;
        result
    })
}

/// SIGINT and SIGTERM.
struct Stop {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Stop {
    fn new() -> Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn asked(&mut self) {
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

struct Core {
    /// Where the generated configuration files are.
    directory: PathBuf,
    /// Where state is kept.
    data: PathBuf,
    /// Whether there is a manager of shared memory.
    manager: bool,
    running: Vec<Running>,
    /// Whether all are registered.
    readiness: Ready,
    lines: mpsc::Receiver<Line>,
    sender: mpsc::Sender<Line>,
}

struct Running {
    member: Member,
    child: Child,
    deaths: Vec<Instant>,
    /// Whether it has said that it is registered.
    ready: bool,
}

/// A process of the core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Member {
    /// The manager of shared memory: the first to start and the last to stop.
    Manager,
    /// The N2 termination, which keeps gNBs' associations while the AMF is away.
    N2,
    Nf(Nf),
}

impl Member {
    fn name(self) -> &'static str {
        match self {
            Self::Manager => "manager",
            Self::N2 => "n2",
            Self::Nf(nf) => nf.name(),
        }
    }
}

/// Where a network function that keeps state has its store.
fn store_of(data: &Path, nf: Nf) -> PathBuf {
    data.join(format!("{}.redb", nf.name()))
}

/// UE contexts and SM contexts belong to each other: where one of the files is not there, the other one says
/// nothing.
fn begin_anew_unless_both_are_there(data: &Path) -> Result<()> {
    let stores = [Nf::Amf, Nf::Smf].map(|nf| store_of(data, nf));
    if stores.iter().all(|store| store.exists()) {
        return Ok(());
    }
    for store in stores {
        tern_store::Redb::remove(&store).with_context(|| store.display().to_string())?;
    }
    Ok(())
}

/// A line of a process's standard output.
struct Line {
    member: Member,
    text: String,
}

impl Core {
    /// Writes each network function's configuration file.
    fn new(config: &CoreConfig) -> Result<Self> {
        let directory = config.data.join("config");
        std::fs::create_dir_all(&directory).with_context(|| {
            let data = config.data.display();
            format!("cannot make {} (`data: {data}` of the core's file)", directory.display())
        })?;
        begin_anew_unless_both_are_there(&config.data)?;
        for nf in Nf::ALL {
            let path = file_of(&directory, Member::Nf(nf));
            let instance = instance_of(&config.data, nf)?;
            let text = generated(config, nf, &instance);
            write_private(&path, &text).with_context(|| path.display().to_string())?;
        }
        write_private(&file_of(&directory, Member::N2), &generated_n2(config))?;
        let manager = config.has_shared_memory();
        if manager {
            write_private(&file_of(&directory, Member::Manager), &generated_manager(config))?;
        }
        let (sender, lines) = mpsc::channel(LINES_MAX);
        Ok(Self {
            directory,
            data: config.data.clone(),
            manager,
            running: Vec::new(),
            readiness: Ready::default(),
            lines,
            sender,
        })
    }

    /// Starts all and keeps them running; returns only with an error.
    async fn run(&mut self) -> Result<()> {
        self.start_all().await?;
        println!("core is up");
        self.readiness.set("core");
        loop {
            tokio::select! {
                biased;
                Some(line) = self.lines.recv() => self.on_line(&line),
                (index, status) = any_exit(&mut self.running) => self.restart(index, status?)?,
            }
        }
    }

    /// The NRF first, then those who answer, then those who ask. Each waits for the others by
    /// itself; the order only saves them retransmissions.
    async fn start_all(&mut self) -> Result<()> {
        let (first, rest) = Nf::ALL.split_at(1);
        let (producers, consumers) = rest.split_at(rest.len() - 2);
        if self.manager {
            self.start(Member::Manager)?;
            self.ready(&[Member::Manager]).await?;
        }
        self.start(Member::N2)?;
        self.ready(&[Member::N2]).await?;
        for group in [first, producers, consumers] {
            let members: Vec<Member> = group.iter().copied().map(Member::Nf).collect();
            for &member in &members {
                self.start(member)?;
            }
            self.ready(&members).await?;
        }
        Ok(())
    }

    fn start(&mut self, member: Member) -> Result<()> {
        let child = self.spawn(member)?;
        self.running.push(Running { member, child, deaths: Vec::new(), ready: true });
        Ok(())
    }

    fn spawn(&self, member: Member) -> Result<Child> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(member.name());
        if let Member::Nf(nf) = member
            && keeps_state(nf)
        {
            command.arg("--store").arg(store_of(&self.data, nf));
        }
        let mut child = command
            .arg("--config")
            .arg(file_of(&self.directory, member))
            .args(["--with-parent", &std::process::id().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // Its log goes to where ours goes, without passing through this process.
            .stderr(std::io::stdout().as_fd().try_clone_to_owned()?)
            .env(tern_nf::LOG_NAME_VARIABLE, member.name())
            // There is one endpoint for all, and it is ours.
            .env_remove(tern_nf::HEALTH_VARIABLE)
            // Ctrl-C is for us alone: we stop them in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} does not start", member.name()))?;
        if let Some(stream) = child.stdout.take() {
            tokio::spawn(forward(member, stream, self.sender.clone()));
        }
        Ok(child)
    }

    /// Waits until each has said that it is registered, and prints one line for each.
    async fn ready(&mut self, members: &[Member]) -> Result<()> {
        let mut missing = members.to_vec();
        let deadline = tokio::time::Instant::now() + START_TIME;
        while !missing.is_empty() {
            tokio::select! {
                biased;
                Some(line) = self.lines.recv() => match ready_at(&line) {
                    Some(api_root) => {
                        println!("{:<7} {api_root}", line.member.name());
                        missing.retain(|&member| member != line.member);
                    }
                    None => print_line(&line),
                },
                (index, status) = any_exit(&mut self.running) => {
                    let name = self.running[index].member.name();
                    self.print_rest().await;
                    bail!("{name} ended before it was registered: {}", status?);
                }
                () = tokio::time::sleep_until(deadline) => {
                    let names: Vec<_> = missing.iter().map(|member| member.name()).collect();
                    bail!("not registered within {START_TIME:?}: {}", names.join(", "));
                }
            }
        }
        Ok(())
    }

    /// The last words of a process arrive behind its end.
    async fn print_rest(&mut self) {
        let pause = Duration::from_millis(100);
        while let Ok(Some(line)) = tokio::time::timeout(pause, self.lines.recv()).await {
            print_line(&line);
        }
    }

    fn on_line(&mut self, line: &Line) {
        print_line(line);
        if ready_at(line).is_some() {
            let said = self.running.iter_mut().find(|running| running.member == line.member);
            said.into_iter().for_each(|running| running.ready = true);
            if self.running.iter().all(|running| running.ready) {
                self.readiness.resume();
            }
        }
    }

    fn restart(&mut self, index: usize, status: ExitStatus) -> Result<()> {
        let member = self.running[index].member;
        let now = Instant::now();
        let deaths = &mut self.running[index].deaths;
        deaths.retain(|death| now.duration_since(*death) < RESTART_WINDOW);
        deaths.push(now);
        let count = deaths.len();
        if count > RESTARTS_MAX {
            return Err(anyhow!("{} died {count} times within {RESTART_WINDOW:?}", member.name()));
        }
        println!("{} ended ({status}); starting it again", member.name());
        self.readiness.suspend();
        self.running[index].ready = false;
        self.running[index].child = self.spawn(member)?;
        Ok(())
    }

    /// Stops all, the last started first, N2 and the manager after all others; one that does not stop is killed.
    async fn stop(&mut self) {
        let order = Nf::ALL;
        self.running.sort_by_key(|running| order.iter().position(|&nf| Member::Nf(nf) == running.member));
        while let Some(mut running) = self.running.pop() {
            let id = running.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
            let asked = id.is_some_and(|id| kill_process(id, Signal::TERM).is_ok());
            let ended = async {
                loop {
                    tokio::select! {
                        biased;
                        status = running.child.wait() => return status,
                        Some(line) = self.lines.recv() => print_line(&line),
                    }
                }
            };
            if asked && tokio::time::timeout(STOP_TIME, ended).await.is_err() {
                println!("{} does not stop within {STOP_TIME:?}: killed", running.member.name());
                // It may have ended between the two.
                let _ = running.child.kill().await;
            }
        }
        self.print_rest().await;
        println!("core is down");
    }
}

/// A network function keeps its identity over restarts of the core, so that the NRF does not take
/// it for another one.
fn instance_of(data: &Path, nf: Nf) -> Result<String> {
    let path = data.join("config").join(format!("{}.id", nf.name()));
    if let Ok(text) = std::fs::read_to_string(&path) {
        return Ok(text.trim().to_owned());
    }
    let id = tern_nf::Entropy::real()?.uuid().to_string();
    std::fs::write(&path, &id).with_context(|| path.display().to_string())?;
    Ok(id)
}

/// Writes a file that its owner alone can read: the UDM's has private keys.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(PRIVATE).open(path)?;
    file.set_permissions(Permissions::from_mode(PRIVATE))?;
    file.write_all(text.as_bytes())
}

fn file_of(directory: &Path, member: Member) -> PathBuf {
    directory.join(format!("{}.yaml", member.name()))
}

/// `ready <name> <apiRoot>` is what a process says once it serves and is registered.
fn ready_at(line: &Line) -> Option<&str> {
    line.text.strip_prefix("ready ")?.split(' ').nth(1)
}

fn print_line(line: &Line) {
    if ready_at(line).is_none() {
        println!("[{}] {}", line.member.name(), line.text);
    } else {
        println!("{} is registered again", line.member.name());
    }
}

async fn forward(member: Member, stream: impl AsyncRead + Unpin, sender: mpsc::Sender<Line>) {
    let mut lines = BufReader::new(stream).lines();
    while let Ok(Some(text)) = lines.next_line().await {
        if sender.send(Line { member, text }).await.is_err() {
            return;
        }
    }
}

/// The first process to end; never, while none is there.
async fn any_exit(running: &mut [Running]) -> (usize, std::io::Result<ExitStatus>) {
    use std::task::Poll;
    let mut waits: Vec<_> = running.iter_mut().map(|running| Box::pin(running.child.wait())).collect();
    std::future::poll_fn(|context| {
        for (index, wait) in waits.iter_mut().enumerate() {
            if let Poll::Ready(status) = wait.as_mut().poll(context) {
                return Poll::Ready((index, status));
            }
        }
        Poll::Pending
    })
    .await
}
