//! Liveness and readiness of processes, asked as a container's health check asks.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::world::{TERN, skip};

/// How long a process may take to become what is waited for.
const LIMIT: Duration = Duration::from_secs(20);

/// Killed when dropped.
struct Running(Child);

impl Running {
    fn start(mut command: Command) -> Self {
        Self(
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts"),
        )
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.0.id().cast_signed()).expect("invariant: a process")
    }

    /// Asks it to stop; whether it did so with success.
    fn stop(mut self) -> bool {
        kill_process(self.pid(), Signal::TERM).expect("it runs");
        self.0.wait().expect("it was started").success()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may be dead.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.78:0").expect("a port").local_addr().expect("its number")
}

/// Whether `tern health` says yes, and what it says.
fn asked(mut command: Command, at: &str, more: &[&str]) -> (bool, String) {
    let output = command.args(["health", "--health", at]).args(more).output().expect("tern starts");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < LIMIT, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn when_the_nrf_is_there_then_a_network_function_is_ready_and_before_that_it_only_lives() {
    let directory = tempfile::tempdir().expect("a directory");
    let (nrf, ausf, health) = (free(), free(), free());
    let start = |nf: &str, text: String, health: Option<SocketAddr>| {
        let file = directory.path().join(nf);
        std::fs::write(&file, text).expect("written");
        let mut command = Command::new(TERN);
        command.arg(nf).arg("--config").arg(&file);
        // As an image says it.
        command.envs(health.map(|at| ("TERN_HEALTH", at.to_string())));
        Running::start(command)
    };
    let sbi = |at: SocketAddr| format!("sbi: {{ address: {}, port: {}, transport: tcp", at.ip(), at.port());
    let ask = |more: &[&str]| asked(Command::new(TERN), &health.to_string(), more);

    assert!(!ask(&["--live"]).0);
    let running = start("ausf", format!("{}, nrf: \"http://{nrf}\" }}\n", sbi(ausf)), Some(health));
    wait("the AUSF lives", || ask(&["--live"]).0);
    let (ready, said) = ask(&[]);
    assert!(!ready && said.contains("503 not registered"), "{said}");

    let nrf = start("nrf", format!("{} }}\n", sbi(nrf)), None);
    wait("the AUSF is ready", || ask(&[]).0);
    assert!(running.stop() && nrf.stop());
    assert!(!ask(&["--live"]).0);
}

#[test]
fn when_nobody_says_where_then_health_says_what_is_missing() {
    let output = Command::new(TERN).arg("health").env_remove("TERN_HEALTH").output().expect("tern starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("TERN_HEALTH"), "{said}");
    let output = Command::new(TERN).arg("nrf").env("TERN_HEALTH", "9090").output().expect("tern starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("ADDRESS:PORT"), "{said}");
}

/// One endpoint for the whole core: its processes do not each want the same one.
#[test]
fn when_a_whole_core_is_up_then_it_is_ready() {
    const NAME: &str = "tern health::when_a_whole_core_is_up_then_it_is_ready";
    let namespace = Command::new("unshare").args(["--net", "true"]).stderr(Stdio::null()).status();
    if !namespace.is_ok_and(|status| status.success()) {
        return skip(NAME);
    }
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("core.yaml"), "n6: none\n").expect("written");
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", "ip link set lo up && exec \"$0\" up --config core.yaml", TERN]);
    command.env("TERN_HEALTH", "127.0.0.1:9090").current_dir(directory.path());
    let core = Running::start(command);
    let ask = || {
        let mut inside = Command::new("nsenter");
        inside.args(["--net", "--target", &core.0.id().to_string(), TERN]);
        asked(inside, "127.0.0.1:9090", &[])
    };
    wait("the core is ready", || ask().0);
    assert!(core.stop());
}
