//! Two tenants of one node: how long a tenant's round trip takes at worst while the other one sends as
//! much as it can and keeps the manager busy. The victim's ends share a processor; the flood and the
//! manager have the other one, so that the scheduler's justice is not what is measured.

use std::time::Duration;

use anyhow::{Result, ensure};
use tern_figures::{Bound, Row, Spread, place::Pinned, ratio};

use crate::Bench;
use crate::peer::{Node, Peer};
use crate::place::Placement;
use crate::report::Report;
use crate::turns::Rounds;

use super::stream::{OCTETS, shared_memory};

/// The other tenant's user: nobody.
const TENANT: u32 = 65_534;
/// Until the flood flows.
const RISE: Duration = Duration::from_millis(100);
const WHAT: &str = "1 KiB round trip beside another tenant";

pub fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    ensure!(rustix::process::geteuid().is_root(), "a second tenant is a second user: run it as root");
    let placement = Placement::OneCore;
    let core = placement.client(&bench.cores);
    let others = *bench.cores.last().unwrap_or(&core);
    let _pinned = Pinned::to(core)?;
    let tenant = TENANT.to_string();
    let node = Node::start(others, &["--tenant", &tenant])?;
    let octets = OCTETS.to_string();
    let peer = Peer::start(core, &["echo-shm", "--octets", &octets, "--socket", &node.socket])?;
    let mut client = shared_memory(&node, peer.at)?;
    let (mut alone, mut flooded) = (Rounds::default(), Rounds::default());
    Rounds::default().add(&mut *client, peer.id(), RISE)?;
    for _ in 0..bench.rounds {
        bench.stop.check()?;
        alone.add(&mut *client, peer.id(), bench.round_time)?;
        let of_tenant = |role| Peer::start(others, &["--user", &tenant, role, "--socket", &node.socket]);
        let (_sink, _flood) = (of_tenant("sink")?, of_tenant("flood")?);
        std::thread::sleep(RISE);
        flooded.add(&mut *client, peer.id(), bench.round_time)?;
    }
    let alone = alone.figures(WHAT, "alone", placement);
    let flooded = flooded.figures(WHAT, "flooded", placement);
    let p99 = |rounds: &[f64]| Spread::of(rounds.to_vec()).p50;
    let note = format!(
        "victim on one core, flood and manager on {}; p99 {:.1} ÷ {:.1} µs",
        if others == core { "the same" } else { "the other" },
        p99(&flooded.round_p99_us),
        p99(&alone.round_p99_us),
    );
    let figure = ratio(&flooded.round_p99_us, &alone.round_p99_us);
    report.row(Row::ratio("two tenants: p99 beside a flood ÷ alone", figure, note).goal(Bound::AtMost(1.5)));
    report.figures(vec![alone, flooded]);
    Ok(())
}
