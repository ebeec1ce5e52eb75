//! Processes of the core, and others of their user.

use std::fs::{File, Permissions};
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use crate::world::{TERN, skip};

/// `nobody`.
const NOBODY: u32 = 65534;

/// Killed when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may be dead.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn when_a_process_of_the_core_runs_then_its_descriptors_are_closed_to_its_user() {
    if !rustix::process::geteuid().is_root() {
        return skip(
            "tern hardened::when_a_process_of_the_core_runs_then_its_descriptors_are_closed_to_its_user",
        );
    }
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).expect("permissions");
    let free = TcpListener::bind("127.0.0.77:0").expect("a port").local_addr().expect("its number");
    let (port, number) = (free.port(), std::process::id());
    let nrf = format!("sbi: {{ address: 127.0.0.77, port: {port}, transport: tcp }}\n");
    let domain = format!("{{ name: core, user: {NOBODY}, addresses: [127.0.0.0/8] }}");
    let manager = format!("socket: \"@tern-hardened-{number}\"\ndomains: [{domain}]\n");
    // By this name another user may execute it, wherever it lies.
    let binary = File::open(TERN).expect("tern");
    let program = format!("/proc/self/fd/{}", binary.as_raw_fd());
    for (name, text) in [("nrf", nrf), ("manager", manager)] {
        let file = directory.path().join(name);
        std::fs::write(&file, text).expect("written");
        let mut command = Command::new(&program);
        command.arg(name).arg("--config").arg(&file).uid(NOBODY).current_dir("/").stdout(Stdio::piped());
        let mut running = Running(command.spawn().expect("tern starts"));
        let output = running.0.stdout.take().expect("its output");
        let line = BufReader::new(output).lines().next();
        assert!(line.is_some_and(|line| line.is_ok_and(|line| line.starts_with("ready"))), "{name}");
        // What a process closes to others of its user belongs to root.
        let descriptors = std::fs::metadata(format!("/proc/{}/fd", running.0.id())).expect("it runs");
        assert_eq!(descriptors.uid(), 0, "{name}");
    }
}
