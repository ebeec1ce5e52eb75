//! A network of a test's own.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use tern_net::{Declared, Name, Plan, declared};

/// Whether a test can be run; says so if it cannot.
pub fn is_root(test: &str) -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        println!("SKIPPED tern-net {test}: network namespaces need root");
    }
    is_root
}

/// A network with a name that no other test has, removed when dropped.
pub struct Net {
    pub name: Name,
}

impl Net {
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self { name: format!("t{}-{number}", std::process::id()).parse().unwrap() }
    }

    /// What `tenants`, the rest of a file, declares.
    pub fn declared(&self, tenants: &str) -> Declared {
        match tern_net::parse("test.yaml", &format!("name: {}\n{tenants}", self.name)) {
            Ok(declared) => declared,
            Err(error) => panic!("{error}"),
        }
    }

    /// Brings it up; what was done.
    pub fn up(&self, tenants: &str) -> Plan {
        match tern_net::up(&self.declared(tenants)) {
            Ok(plan) => plan,
            Err(error) => panic!("{error}"),
        }
    }

    /// The namespace of `tenant.endpoint`.
    pub fn namespace(&self, endpoint: &str) -> String {
        format!("{}{endpoint}", declared::prefix(&self.name))
    }

    /// Runs a command in the namespace of `tenant.endpoint`: whether it succeeds, and what it says.
    pub fn run(&self, endpoint: &str, command: &str) -> (bool, String) {
        let namespace = self.namespace(endpoint);
        let output =
            Command::new("ip").args(["netns", "exec", &namespace]).args(command.split(' ')).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(said).unwrap())
    }

    /// The same, which must succeed.
    pub fn ok(&self, endpoint: &str, command: &str) -> String {
        let (success, said) = self.run(endpoint, command);
        assert!(success, "{endpoint}: {command}: {said}");
        said
    }

    /// Names of its namespaces that are left.
    pub fn left(&self) -> Vec<String> {
        let prefix = declared::prefix(&self.name);
        let entries = std::fs::read_dir(Path::new("/run/netns")).into_iter().flatten().flatten();
        entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| name.starts_with(&prefix))
            .collect()
    }
}

impl Net {
    /// Cgroups and programs of its endpoints that are left.
    pub fn left_of_confinement(&self) -> Vec<String> {
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
        let programs = format!("/run/tern-net-{}", self.name);
        let mut left: Vec<String> =
            mounts.lines().filter(|line| line.contains(&programs)).map(str::to_owned).collect();
        left.extend(std::fs::metadata(&programs).is_ok().then_some(programs));
        let prefix = declared::prefix(&self.name);
        for line in mounts.lines().filter(|line| line.split(' ').nth(2) == Some("cgroup2")) {
            let groups = std::fs::read_dir(line.split(' ').nth(1).unwrap()).unwrap().flatten();
            let names = groups.filter_map(|entry| entry.file_name().into_string().ok());
            left.extend(names.filter(|name| name.starts_with(&prefix)));
        }
        left
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        if let Err(error) = tern_net::down(&self.name, true) {
            eprintln!("{}: {error}", self.name);
        }
    }
}
