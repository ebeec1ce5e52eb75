//! Other processes: this test program again, in a role. [`main`] is what they run.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use rustix::time::{ClockId, clock_gettime};
use sbi_shm::manager::{Domain, Manager, ManagerOptions};
use sbi_shm::{AttachOptions, ConnectOptions, ListenOptions, Stack};

use crate::node::at;

/// The environment variable that makes a child of this program.
const ROLE: &str = "SBI_SHM_TEST_ROLE";
/// What begins each line that is for the parent: libtest writes as well.
const MARK: &str = "> ";
/// For what must happen: patience that no healthy machine needs.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A process in a role. Killed when dropped.
pub struct Process {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Process {
    /// Starts it as this user.
    pub fn start(role: &str, arguments: &[&str]) -> Self {
        Self::start_as(None, role, arguments)
    }

    /// Starts it as another user, which needs root.
    pub fn start_as(user: Option<u32>, role: &str, arguments: &[&str]) -> Self {
        // By this name another user may execute it, wherever the program lies.
        Self::start_by(Command::new("/proc/self/exe"), user, role, arguments)
    }

    /// Starts it in a PID namespace of its own, which needs root: it does not see this process.
    pub fn start_apart(role: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--kill-child"]).arg(std::env::current_exe().unwrap());
        Self::start_by(command, None, role, arguments)
    }

    fn start_by(mut command: Command, user: Option<u32>, role: &str, arguments: &[&str]) -> Self {
        command.args(["--exact", "child::main", "--nocapture", "--test-threads=1"]);
        command
            .env(ROLE, std::iter::once(role).chain(arguments.iter().copied()).collect::<Vec<_>>().join(" "));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        if let Some(user) = user {
            command.uid(user).current_dir("/");
        }
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// What it says next.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert!(self.lines.read_line(&mut line).unwrap() > 0, "the child ended");
            // The name of the test stands before the first line.
            if let Some((_, text)) = line.split_once(MARK) {
                return text.trim_end().to_owned();
            }
        }
    }

    pub fn expect(&mut self, text: &str) {
        assert_eq!(self.line(), text);
    }

    /// Lets it go on.
    pub fn nod(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGSTOP; returns when every thread has stopped.
    pub fn stop(&self) {
        rustix::process::kill_process(Pid::from_child(&self.child), Signal::STOP).unwrap();
        until("every thread has stopped", || {
            let threads = std::fs::read_dir(format!("/proc/{}/task", self.id())).unwrap();
            threads.map(|thread| thread.unwrap().path().join("stat")).all(|stat| {
                // The state stands behind the name, which is in parentheses.
                let stat = std::fs::read_to_string(stat).unwrap_or_default();
                stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('T'))
            })
        });
    }

    /// SIGCONT.
    pub fn go_on(&self) {
        rustix::process::kill_process(Pid::from_child(&self.child), Signal::CONT).unwrap();
    }

    /// SIGKILL; when it was sent.
    pub fn kill(&mut self) -> Instant {
        let now = Instant::now();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        now
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be dead.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until something holds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub fn say(text: &str) {
    println!("{MARK}{text}");
}

pub fn wait_for_nod() {
    // The end of the parent is a nod as well.
    let _ = std::io::stdin().read(&mut [0]);
}

/// Not a test: what a child does. Nothing, where nobody asks.
#[test]
fn main() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let words: Vec<&str> = role.split(' ').collect();
    match words[..] {
        ["manager", socket, user] => manager(socket, user.parse().unwrap()),
        ["echo", socket, address] => echo(socket, address),
        ["clients", socket, address, count] => clients(socket, address, count.parse().unwrap()),
        ["hold", socket, address, count] => hold(socket, address, count.parse().unwrap()),
        ["lend", socket, address] => lend(socket, address),
        ["idle", socket, address] => idle(socket, address),
        ["stress", socket, count] => crate::stress::child(socket, count.parse().unwrap()),
        ["attach", socket] => match attach_to(socket) {
            Ok(stack) => say(&format!("attached to {}", stack.domain())),
            Err(error) => say(&error.to_string()),
        },
        ["hardened", socket, harden] => {
            let _stack = attach_to(socket).unwrap();
            if harden == "yes" {
                sbi_shm::harden().unwrap();
            }
            say("ready");
            wait_for_nod();
        }
        ["open", path] => say(&match std::fs::read_dir(path) {
            Ok(_) => "opened".to_owned(),
            Err(error) => format!("{:?}", error.kind()),
        }),
        ["connect", socket, address] => {
            let stack = attach_to(socket).unwrap();
            say(&match stack.connect(at(address), &ConnectOptions::default()) {
                Ok(_) => "connected".to_owned(),
                Err(error) => error.to_string(),
            });
        }
        _ => panic!("no such role: {role}"),
    }
}

fn attach_to(socket: &str) -> Result<Stack, sbi_shm::AttachError> {
    Stack::attach(&AttachOptions::new(socket, "child"))
}

fn manager(socket: &str, user: u32) {
    let domain = Domain::new("test", user, vec!["127.0.0.0/8".parse().unwrap()]);
    let options = ManagerOptions { domains: vec![domain], ..ManagerOptions::new(socket) };
    let manager = Manager::bind(options).unwrap();
    say("ready");
    manager.run(|_| {}).unwrap();
}

/// Gives back what it is sent, on every connection.
fn echo(socket: &str, address: &str) {
    let stack = attach_to(socket).unwrap();
    let listener = stack.listen(at(address), &ListenOptions::default()).unwrap();
    say("ready");
    loop {
        let (mut stream, _) = listener.accept().unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = stream.read(&mut buffer) {
                if stream.write_all(&buffer[..n]).is_err() {
                    return;
                }
            }
        });
    }
}

/// Exchanges data on many connections, without end. On one more, the first, it holds a message that it
/// was sent, and loans.
fn clients(socket: &str, address: &str, count: usize) {
    let stack = attach_to(socket).unwrap();
    let holding = stack.connect(at(address), &ConnectOptions::default()).unwrap();
    let _message = holding.receive().unwrap().unwrap();
    let _lent = [holding.loan().unwrap(), holding.loan().unwrap()];
    let threads: Vec<_> = (0..count)
        .map(|_| {
            let mut stream = stack.connect(at(address), &ConnectOptions::default()).unwrap();
            std::thread::spawn(move || {
                let mut buffer = [7; 1000];
                while stream.write_all(&buffer).is_ok() && stream.read_exact(&mut buffer).is_ok() {}
            })
        })
        .collect();
    say("ready");
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// Accepts one connection and holds messages of it, unread.
fn hold(socket: &str, address: &str, count: usize) {
    let stack = attach_to(socket).unwrap();
    let listener = stack.listen(at(address), &ListenOptions::default()).unwrap();
    say("ready");
    let (stream, _) = listener.accept().unwrap();
    let _held: Vec<_> = (0..count).map(|_| stream.receive().unwrap().unwrap()).collect();
    say("holding");
    wait_for_nod();
}

/// Sends three messages and holds loans of two more.
fn lend(socket: &str, address: &str) {
    let stack = attach_to(socket).unwrap();
    let mut stream = stack.connect(at(address), &ConnectOptions::default()).unwrap();
    for text in ["one", "two", "three"] {
        stream.write_all(text.as_bytes()).unwrap();
    }
    let _lent = [stream.loan().unwrap(), stream.loan().unwrap()];
    say("lending");
    wait_for_nod();
}

/// Opens connections that nothing moves on, waits for each in another way, and says how many
/// microseconds of a processor it used in 2 s.
fn idle(socket: &str, address: &str) {
    let stack = attach_to(socket).unwrap();
    let streams: Vec<_> =
        (0..16).map(|_| Arc::new(stack.connect(at(address), &ConnectOptions::default()).unwrap())).collect();
    let _listener = stack.listen(at("127.0.0.2:80"), &ListenOptions::default()).unwrap();
    for stream in streams[..4].iter().cloned() {
        std::thread::spawn(move || (&*stream).read(&mut [0]));
    }
    streams[4].event_fd().unwrap();
    let other = attach_to(socket).unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let options = ListenOptions::default();
        let listening = other.listen_async(at("127.0.0.3:80"), &options);
        runtime.block_on(async { drop(listening.await.unwrap().accept_async().await) });
    });
    std::thread::sleep(Duration::from_millis(200));
    let used = || Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap();
    let before = used();
    std::thread::sleep(Duration::from_secs(2));
    say(&(used() - before).as_micros().to_string());
    wait_for_nod();
}
