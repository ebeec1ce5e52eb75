//! The ways to make a network, each timed.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use tern_net::one_by_one::{self, Way};
use tern_net::{Declared, Name};

/// How long the kernel may take to take apart what was there.
const REST_TIME: Duration = Duration::from_secs(180);
/// How long it is left alone then.
const QUIET: Duration = Duration::from_millis(500);
/// Namespaces that the kernel counts as its own though nobody has them: it keeps their memory at hand.
const COUNT_SLACK: u64 = 64;
/// Namespaces that share endpoints have so many each.
const SHARED_NAMESPACES: u32 = 10;

/// A way to make a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    /// `tern net up`.
    Up,
    /// One thing after the other, pairs in place.
    InPlace,
    /// One thing after the other, interfaces made and then moved.
    Moved,
    /// `tern net up` of the namespaces alone.
    Namespaces,
    /// `tern net up` where endpoints share namespaces.
    Shared,
}

impl Arm {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Up, Self::InPlace, Self::Moved, Self::Namespaces, Self::Shared];

    /// What it makes, how.
    pub fn what(self) -> &'static str {
        match self {
            Self::Up => "tern net up",
            Self::InPlace => "one thing after the other, in place",
            Self::Moved => "one thing after the other, each interface moved",
            Self::Namespaces => "tern net up, namespaces alone",
            Self::Shared => "tern net up, shared namespaces",
        }
    }

    /// What else there is to know.
    pub fn note(self) -> &'static str {
        match self {
            Self::Up => "several threads, batches",
            Self::InPlace | Self::Moved => "one thread, each message answered before the next",
            Self::Namespaces => "no link in them",
            Self::Shared => "ten namespaces, an address for each endpoint",
        }
    }
}

/// The network of a process of this bench.
pub fn name() -> Result<Name> {
    Ok(format!("b{}", std::process::id()).parse()?)
}

/// The network that an arm makes.
fn declared(arm: Arm, endpoints: u32) -> Result<Declared> {
    let addresses =
        "links: [{network: n3, addresses: [10.0.0.2/16]}], routes: [{to: 0.0.0.0/0, via: 10.0.0.1}]";
    let endpoint = match arm {
        Arm::Namespaces => format!("- {{name: ue, count: {endpoints}}}"),
        Arm::Shared => shared(endpoints),
        _ => format!("- {{name: ue, count: {endpoints}, {addresses}}}"),
    };
    let text = format!(
        "name: {}\ntenants:\n- name: red\n  networks: [{{name: n3}}]\n  endpoints:\n  {endpoint}\n",
        name()?
    );
    Ok(tern_net::parse("bench.yaml", &text)?)
}

fn shared(endpoints: u32) -> String {
    let each = endpoints / SHARED_NAMESPACES;
    let some = (0..SHARED_NAMESPACES).map(|room| {
        format!(
            "- {{name: ue{room}, count: {each}, namespace: ues{room}, \
             links: [{{network: n3, addresses: [10.{room}.0.2/8]}}], routes: [{{to: 0.0.0.0/0, via: 10.99.0.1}}]}}"
        )
    });
    some.collect::<Vec<_>>().join("\n  ")
}

/// Makes a network; how long that took.
pub fn make(arm: Arm, endpoints: u32) -> Result<Duration> {
    let declared = declared(arm, endpoints)?;
    let begun = Instant::now();
    match arm {
        Arm::InPlace => one_by_one::make(&declared, Way::InPlace)?,
        Arm::Moved => one_by_one::make(&declared, Way::Moved)?,
        Arm::Up | Arm::Namespaces | Arm::Shared => drop(tern_net::up(&declared)?),
    }
    let took = begun.elapsed();
    let missing = tern_net::plan(&declared)?;
    if !missing.is_empty() {
        bail!("{arm:?} has not made the network:\n{missing}");
    }
    Ok(took)
}

/// Makes a network and removes it; how long the making took.
pub fn time(arm: Arm, endpoints: u32) -> Result<Duration> {
    let before = namespaces()?;
    let made = make(arm, endpoints);
    tern_net::down(&name()?, true)?;
    rest(before)?;
    made
}

/// Waits until the kernel has as many namespaces as before: it takes them apart when it finds the time.
pub fn rest(before: u64) -> Result<()> {
    let begun = Instant::now();
    while namespaces()? > before + COUNT_SLACK {
        if begun.elapsed() > REST_TIME {
            bail!("{} namespaces are still there", namespaces()? - before);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(QUIET);
    Ok(())
}

/// Network namespaces that the kernel has, named or not.
pub fn namespaces() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/slabinfo").context("/proc/slabinfo")?;
    let line = text.lines().find(|line| line.starts_with("net_namespace "));
    let count = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    count.context("/proc/slabinfo without net_namespace")
}
