//! A round trip of 1 KiB between two processes that block: TCP over loopback and over veth between
//! two namespaces, and the shared-memory stream.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use anyhow::{Result, anyhow};
use sbi_shm::{ConnectOptions, Waiting};
use tern_figures::{Bound, Row, place::Pinned, ratio};
use tern_tests::netns::Netns;
use tern_types::Ipv4Prefix;

use crate::Bench;
use crate::peer::{Node, Peer};
use crate::place::Placement;
use crate::report::Report;
use crate::serve::attach;
use crate::turns::{Arm, Blocking, Client, Figures, in_turn, note};

/// Octets each way.
pub const OCTETS: usize = 1024;

const LOOPBACK: &str = "TCP on loopback";
const VETH: &str = "TCP on veth";
const SHARED_MEMORY: &str = "shared memory";

const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 99, 9, 1);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 99, 9, 2);
const LINK: &str = "bench";

pub fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    for &placement in Placement::all(&bench.cores) {
        let figures = turns(bench, placement)?;
        let of = |arm: &str| figures.iter().find(|figures| figures.arm == arm);
        for arm in [LOOPBACK, VETH] {
            let (Some(tcp), Some(shm)) = (of(arm), of(SHARED_MEMORY)) else { continue };
            let row = Row::ratio(
                format!("1 KiB round trip: {arm} ÷ shared memory"),
                ratio(&tcp.round_p50_us, &shm.round_p50_us),
                note(tcp, shm),
            );
            report.row(row.goal(Bound::AtLeast(2.0)).must(Bound::AtLeast(2.0)));
        }
        report.figures(figures);
    }
    Ok(())
}

fn turns(bench: &Bench, placement: Placement) -> Result<Vec<Figures>> {
    let _pinned = Pinned::to(placement.client(&bench.cores))?;
    let core = placement.server(&bench.cores);
    let (here, there) = (Netns::create("bench-client")?, Netns::create("bench-server")?);
    let link = |address| Ipv4Prefix { address, length: 24 };
    here.connect(LINK, link(CLIENT), &there, link(SERVER))?;
    let octets = OCTETS.to_string();
    let on = |at| ["echo-tcp", "--octets", &octets, "--at", at];
    let loopback = Peer::start(core, &on("127.0.0.1:0"))?;
    let veth = Peer::start_in(&there, core, &on(&format!("{SERVER}:0")))?;
    let node = Node::start(core, &[])?;
    let shared = Peer::start(core, &["echo-shm", "--octets", &octets, "--socket", &node.socket])?;
    let mut arms = [
        Arm { name: LOOPBACK, peer: loopback.id(), client: round_trips(tcp(loopback.at)?) },
        Arm { name: VETH, peer: veth.id(), client: round_trips(inside(&here, veth.at)?) },
        Arm { name: SHARED_MEMORY, peer: shared.id(), client: shared_memory(&node, shared.at)? },
    ];
    in_turn(bench, "1 KiB round trip", placement, &mut arms)
}

fn tcp(at: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(at)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A connection from inside a namespace; the socket stays there.
fn inside(netns: &Netns, at: SocketAddr) -> Result<TcpStream> {
    let connect = || {
        netns.enter()?;
        tcp(at)
    };
    std::thread::scope(|scope| scope.spawn(connect).join()).map_err(|_| anyhow!("a panic inside"))?
}

/// Round trips through a node's shared memory to an echo at `at`.
pub fn shared_memory(node: &Node, at: SocketAddr) -> Result<Box<dyn Client>> {
    let stack = attach(&node.socket, "client", Waiting::default())?;
    Ok(round_trips(stack.connect(at, &ConnectOptions::default())?))
}

fn round_trips(mut stream: impl Read + Write + 'static) -> Box<dyn Client> {
    let mut buffer = vec![0x55; OCTETS];
    Box::new(Blocking(move || {
        stream.write_all(&buffer)?;
        Ok(stream.read_exact(&mut buffer)?)
    }))
}
