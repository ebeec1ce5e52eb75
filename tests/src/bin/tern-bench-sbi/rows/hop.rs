//! The same round trip with every message forwarded by the manager, as the published design has it,
//! and by direct rings.

use anyhow::Result;
use tern_figures::{Bound, Row, place::Pinned, ratio};

use crate::Bench;
use crate::peer::{Node, Peer};
use crate::place::Placement;
use crate::report::Report;
use crate::turns::{Arm, Figures, in_turn, note};

use super::stream::{OCTETS, shared_memory};

pub fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    for &placement in Placement::all(&bench.cores) {
        let figures = turns(bench, placement)?;
        if let [forwarded, direct] = &figures[..] {
            let row = Row::ratio(
                "1 KiB round trip: through the manager ÷ direct rings",
                ratio(&forwarded.round_p50_us, &direct.round_p50_us),
                note(forwarded, direct) + " (without the manager's)",
            );
            report.row(row.goal(Bound::AtLeast(1.8)));
        }
        report.figures(figures);
    }
    Ok(())
}

/// The manager is where the server is.
fn turns(bench: &Bench, placement: Placement) -> Result<Vec<Figures>> {
    let _pinned = Pinned::to(placement.client(&bench.cores))?;
    let core = placement.server(&bench.cores);
    let octets = OCTETS.to_string();
    let end = |more: &[&str]| {
        let node = Node::start(core, more)?;
        let peer = Peer::start(core, &["echo-shm", "--octets", &octets, "--socket", &node.socket])?;
        anyhow::Ok((node, peer))
    };
    let (forwarded, direct) = (end(&["--forward"])?, end(&[])?);
    let arm = |name, (node, peer): &(Node, Peer)| {
        anyhow::Ok(Arm { name, peer: peer.id(), client: shared_memory(node, peer.at)? })
    };
    let mut arms = [arm("through the manager", &forwarded)?, arm("direct rings", &direct)?];
    in_turn(bench, "1 KiB round trip, who forwards", placement, &mut arms)
}
