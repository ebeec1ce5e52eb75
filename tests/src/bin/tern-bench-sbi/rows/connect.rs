//! From the call of `connect` to the first octet of an answer, on a connection for each; both ways
//! known already (the stack knows the producer as a host knows its neighbour).

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::Result;
use sbi_shm::{ConnectOptions, Waiting};
use tern_figures::{Bound, Row, place::Pinned, ratio};

use crate::Bench;
use crate::peer::{Node, Peer};
use crate::place::Placement;
use crate::report::Report;
use crate::serve::attach;
use crate::turns::{Arm, Client, Figures, in_turn, note};

pub fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    for &placement in Placement::all(&bench.cores) {
        let figures = turns(bench, placement)?;
        if let [tcp, shm] = &figures[..] {
            let row = Row::ratio(
                "connect and first octet: shared memory ÷ TCP",
                ratio(&shm.round_p50_us, &tcp.round_p50_us),
                note(shm, tcp),
            );
            report.row(row.goal(Bound::AtMost(0.8)).must(Bound::AtMost(0.8)));
        }
        report.figures(figures);
    }
    Ok(())
}

fn turns(bench: &Bench, placement: Placement) -> Result<Vec<Figures>> {
    let _pinned = Pinned::to(placement.client(&bench.cores))?;
    let core = placement.server(&bench.cores);
    let tcp = Peer::start(core, &["echo-tcp", "--octets", "1", "--at", "127.0.0.1:0"])?;
    let node = Node::start(core, &[])?;
    let shared = Peer::start(core, &["echo-shm", "--octets", "1", "--socket", &node.socket])?;
    let stack = attach(&node.socket, "client", Waiting::default())?;
    let options = ConnectOptions::default();
    let by_tcp = FirstOctet(|| {
        let stream = TcpStream::connect(tcp.at)?;
        stream.set_nodelay(true)?;
        Ok(stream)
    });
    let by_shared_memory = FirstOctet(|| Ok(stack.connect(shared.at, &options)?));
    let mut arms = [
        Arm { name: "TCP", peer: tcp.id(), client: Box::new(by_tcp) },
        Arm { name: "shared memory", peer: shared.id(), client: Box::new(by_shared_memory) },
    ];
    in_turn(bench, "connect and first octet", placement, &mut arms)
}

/// Connects, and asks for an octet. The connection's end is not in its time, but what the producer
/// has to do about it can be in the next one's.
struct FirstOctet<F>(F);

impl<S: Read + Write, F: FnMut() -> Result<S>> Client for FirstOctet<F> {
    fn run(&mut self, until: Instant, times: &mut Vec<Duration>) -> Result<()> {
        while Instant::now() < until {
            let started = Instant::now();
            let mut stream = (self.0)()?;
            let mut octet = [1];
            stream.write_all(&octet)?;
            stream.read_exact(&mut octet)?;
            times.push(started.elapsed());
        }
        Ok(())
    }
}
