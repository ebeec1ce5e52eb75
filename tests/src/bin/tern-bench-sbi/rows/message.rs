//! One SBI message and its answer, model to model: HTTP and JSON over TCP against typed in shared
//! memory. And whether the kernel's arm is as good as it can be.

use anyhow::Result;
use sbi_shm::Waiting;
use tern_figures::{Bound, Row, place::Pinned, ratio};

use crate::Bench;
use crate::message::{self, Consumer, Kind, Way};
use crate::peer::{Node, Peer};
use crate::place::Placement;
use crate::report::Report;
use crate::turns::{Arm, Client, Figures, in_turn, note};

const WAYS: [Way; 6] =
    [Way::JsonTcp, Way::TypedShm, Way::TernTcp, Way::TernShm, Way::PlainTcp, Way::TernPlainTcp];

pub fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    for kind in Kind::ALL {
        for &placement in Placement::all(&bench.cores) {
            let figures = turns(bench, kind, placement)?;
            rows(report, kind, placement, &figures);
            report.figures(figures);
        }
    }
    Ok(())
}

fn turns(bench: &Bench, kind: Kind, placement: Placement) -> Result<Vec<Figures>> {
    let _pinned = Pinned::to(placement.client(&bench.cores))?;
    let core = placement.server(&bench.cores);
    // Two producers in shared memory, each at the same address of a node of its own.
    let (typed, tern) = (Node::start(core, &[])?, Node::start(core, &[])?);
    let mut ends: Vec<(Way, Peer, Box<dyn Client>)> = Vec::new();
    for way in WAYS {
        let socket = match way {
            Way::TypedShm => typed.socket.as_str(),
            Way::TernShm => tern.socket.as_str(),
            _ => "",
        };
        let peer = start(core, kind, way, socket, false)?;
        let consumer = Consumer { at: peer.at, socket, waiting: Waiting::default(), pace: None };
        let client = message::client(kind, way, consumer)?;
        ends.push((way, peer, client));
    }
    let mut arms: Vec<Arm<'_>> = ends
        .iter_mut()
        .map(|(way, peer, client)| Arm { name: way.name(), peer: peer.id(), client: Box::new(&mut **client) })
        .collect();
    in_turn(bench, kind.name(), placement, &mut arms)
}

/// Starts a producer.
pub fn start(core: usize, kind: Kind, way: Way, socket: &str, poll: bool) -> Result<Peer> {
    let mut arguments = vec!["message", "--kind", kind.argument(), "--way", way.name()];
    if !socket.is_empty() {
        arguments.extend(["--socket", socket]);
    }
    if poll {
        arguments.push("--poll");
    }
    Peer::start(core, &arguments)
}

fn rows(report: &mut Report, kind: Kind, placement: Placement, figures: &[Figures]) {
    let of = |way: Way| figures.iter().find(|figures| figures.arm == way.name());
    let mut add = |what: &str, over: Way, under: Way, bound: Option<Bound>| {
        let (Some(over), Some(under)) = (of(over), of(under)) else { return };
        let row = Row::ratio(
            format!("{}: {what}", kind.name()),
            ratio(&over.round_p50_us, &under.round_p50_us),
            note(over, under),
        );
        report.row(Row { goal: bound, must: bound, ..row });
    };
    let typed = (placement == Placement::OneCore).then_some(Bound::AtLeast(13.0));
    add("HTTP/JSON over TCP ÷ typed in shared memory", Way::JsonTcp, Way::TypedShm, typed);
    add("the same by tern's transport, on tokio", Way::TernTcp, Way::TernShm, None);
    let honest = Some(Bound::AtMost(1.2));
    add("tern's HTTP/2 over TCP ÷ a plain hyper echo", Way::TernPlainTcp, Way::PlainTcp, honest);
}
