//! What is left after `down`, and after a SIGKILL midway.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};
use tern_figures::{Bound, Row, Spread};
use tern_net::{declared, namespace};

use crate::Report;
use crate::arms::{self, Arm};

/// Parts of the time of a whole `up` after which it is killed.
const PARTS: [f64; 4] = [0.1, 0.35, 0.6, 0.85];

/// Counts the names that are left.
pub fn measure(report: &mut Report, endpoints: u32) -> Result<()> {
    let before = arms::namespaces()?;
    let whole = arms::make(Arm::Up, endpoints)?;
    tern_net::down(&arms::name()?, false)?;
    let mut left = vec![names_left(&arms::name()?)? as f64];
    arms::rest(before)?;
    let must = |row: Row| row.must(Bound::AtMost(0.0));
    let what = format!("names left after down ({endpoints})");
    report.row(must(Row::new(what, Spread::of(std::mem::take(&mut left)), "", "in /run/netns")));
    for part in PARTS {
        left.push(killed(endpoints, whole.mul_f64(part))? as f64);
        arms::rest(before)?;
    }
    let what = format!("names left after SIGKILL, up and down ({endpoints})");
    let note = format!("killed after {PARTS:?} of the time of an up");
    report.row(must(Row::new(what, Spread::of(left), "", note)));
    Ok(())
}

/// Kills a process that brings a network up, brings it up, and takes it down; names that are left.
fn killed(endpoints: u32, after: Duration) -> Result<usize> {
    let mut child = Command::new(std::env::current_exe()?).args(["up", &endpoints.to_string()]).spawn()?;
    std::thread::sleep(after);
    kill_process(Pid::from_child(&child), Signal::KILL).context("kill")?;
    child.wait()?;
    let name = format!("b{}", child.id()).parse()?;
    let made = namespace::names(&declared::prefix(&name))?.len();
    println!("  killed after {:.0} ms: {made} names are there", after.as_secs_f64() * 1e3);
    let text = format!(
        "name: {name}\ntenants:\n- name: red\n  networks: [{{name: n3}}]\n  endpoints:\n  \
         - {{name: ue, count: {endpoints}, links: [{{network: n3, addresses: [10.0.0.2/16]}}]}}\n"
    );
    let declared = tern_net::parse("bench.yaml", &text)?;
    tern_net::up(&declared)?;
    let again = tern_net::plan(&declared)?;
    anyhow::ensure!(again.is_empty(), "up after a kill has not made the network:\n{again}");
    tern_net::down(&name, false)?;
    names_left(&name)
}

fn names_left(name: &tern_net::Name) -> Result<usize> {
    Ok(namespace::names(&declared::prefix(name))?.len())
}
