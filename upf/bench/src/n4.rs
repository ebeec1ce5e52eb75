//! N4 over UDP on loopback: the whole UPF in a process of its own, and an SMF that has many requests under way.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::net::{RecvFlags, recv};
use tern_figures::place::Pinned;
use tern_figures::{Bound, Row, Spread};
use tern_nf::{Burst, Datagrams as _, Env, EnvOptions, SbiConfig, Shutdown, Udp};
use tern_pfcp::*;
use tern_upf::{Config, DataPathKind};

use crate::Bench;
use crate::child::{Child, Role};
use crate::report::Report;
use crate::scene::{End, Shape, ue_address};

/// The SMF.
const SMF: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 77);
/// The UPF of the bench, beside any that runs here.
pub const UPF: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 78);
/// What stands in its place.
const ECHO: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 79);
/// The last octet of where its SBI listens.
const UPF_SBI: u8 = 78;
/// In the first octet of a message of a session.
const HAS_SEID: u8 = 1;
/// Requests under way.
const WINDOW: usize = 64;
/// How long an answer may take; one request is lost otherwise, which ends the measurement.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// How long a UPF may take to serve.
const START_MAX: Duration = Duration::from_secs(10);
/// Sessions of one pass.
const PASS: usize = 20_000;
const PDRS: usize = 4;
/// Thousand establishments a second.
const MUST: f64 = 60.0;
const AIM: f64 = 150.0;

/// Runs a UPF on one processor until standard input ends.
pub fn serve(mut config: Config, core: usize) -> Result<()> {
    let _pinned = Pinned::to(core)?;
    config.n4.address = UPF.into();
    // Nobody answers while packets are measured.
    config.n4.heartbeat_interval_s = 3_600;
    config.sbi = SbiConfig::loopback(UPF_SBI);
    let (trigger, shutdown) = Shutdown::new();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        trigger.shut_down();
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let env = Env::real(EnvOptions::new("UPF", &config.sbi))?;
        tern_upf::run(config, env, shutdown).await
    })
}

/// Sends every datagram back, on one processor until the process is killed: what a UPF without work would do.
pub fn echo(core: usize) -> Result<()> {
    let _pinned = Pinned::to(core)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let socket = Udp.bind(SocketAddr::from((ECHO, tern_pfcp::PORT))).await?;
        let (mut burst, mut back) = (Burst::new(), Vec::new());
        loop {
            match socket.recv_burst(&mut burst).await {
                Ok(()) => back.extend(burst.iter().map(|(from, datagram)| (from, datagram.to_vec()))),
                // The SMF has gone.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(error) => return Err(error.into()),
            }
            socket.send_burst(&mut back, &mut |_, _| {}).await;
        }
    })
}

/// An SMF with its association.
pub struct Remote {
    socket: UdpSocket,
    sequence: u32,
}

impl Remote {
    /// A socket for it, in the network namespace of the calling thread.
    pub fn socket() -> Result<UdpSocket> {
        UdpSocket::bind((SMF, 0)).with_context(|| format!("N4 at {SMF}"))
    }

    /// Associates, as soon as the UPF serves.
    pub fn associate(socket: UdpSocket) -> Result<Self> {
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        socket.connect(SocketAddr::from((UPF, tern_pfcp::PORT)))?;
        let mut remote = Self { socket, sequence: 0 };
        let setup = AssociationSetupRequest {
            node_id: NodeId::Address(SMF.into()),
            recovery_time_stamp: RecoveryTimeStamp(1),
            ..Default::default()
        };
        let begun = Instant::now();
        while begun.elapsed() < START_MAX {
            let request = Frame::node(remote.next(), setup.clone().into()).encode()?;
            // Nobody listens yet, or nobody answers yet.
            if remote.socket.send(&request).is_ok()
                && let Ok(Message::AssociationSetupResponse(answer)) =
                    remote.receive().map(|frame| frame.message)
                && answer.cause == Cause::REQUEST_ACCEPTED
            {
                remote.socket.set_read_timeout(Some(ANSWER_MAX))?;
                return Ok(remote);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("the UPF does not associate")
    }

    fn next(&mut self) -> u32 {
        self.sequence += 1;
        self.sequence
    }

    /// The next answer; requests of the UPF are passed over.
    fn receive(&self) -> Result<Frame> {
        let mut buffer = [0; 4_096];
        loop {
            let length = self.socket.recv(&mut buffer).context("no answer on N4")?;
            let frame = Frame::decode(&buffer[..length])?;
            if !frame.message.kind().is_request() {
                return Ok(frame);
            }
        }
    }

    /// Sends these messages of sessions, with so many of them under way as [`WINDOW`] says: what came back, in the order
    /// in which it came, and the time from the first one to the last. Messages of nodes are passed over.
    fn exchange(&self, requests: &[Vec<u8>]) -> Result<(Vec<Vec<u8>>, Duration)> {
        let mut came = Vec::with_capacity(requests.len());
        let mut buffer = [0; 4_096];
        let mut sent = 0;
        let begun = Instant::now();
        while came.len() < requests.len() {
            while sent < requests.len() && sent - came.len() < WINDOW {
                self.socket.send(&requests[sent])?;
                sent += 1;
            }
            // One is waited for; what else has come is taken with it.
            let mut length = self.socket.recv(&mut buffer).context("no answer on N4")?;
            loop {
                if buffer[0] & HAS_SEID != 0 {
                    came.push(buffer[..length].to_vec());
                }
                if came.len() == sent {
                    break;
                }
                length = match recv(&self.socket, &mut buffer[..], RecvFlags::DONTWAIT) {
                    Ok((_, length)) => length,
                    Err(rustix::io::Errno::AGAIN) => break,
                    Err(error) => return Err(error).context("no answer on N4"),
                };
            }
        }
        Ok((came, begun.elapsed()))
    }

    /// The requests that establish these sessions.
    fn establishments(&mut self, shape: &Shape, numbers: std::ops::Range<usize>) -> Result<Vec<Vec<u8>>> {
        let request = |number| {
            let mut request = shape.establishment(number);
            request.node_id = NodeId::Address(SMF.into());
            request.cp_f_seid = FSeid::new(number as u64 + 1, SMF.into());
            Ok(Frame::session(0, self.next(), request.into()).encode()?)
        };
        numbers.map(request).collect()
    }

    /// Establishes these sessions; their ends in order, and the time from the first request to the last answer.
    pub fn establish(
        &mut self,
        shape: &Shape,
        numbers: std::ops::Range<usize>,
    ) -> Result<(Vec<End>, Duration)> {
        let first = self.sequence + 1;
        let requests = self.establishments(shape, numbers.clone())?;
        let (answers, took) = self.exchange(&requests)?;
        let mut ends = vec![None; numbers.len()];
        for answer in answers {
            let frame = Frame::decode(&answer)?;
            let Message::SessionEstablishmentResponse(answer) = frame.message else {
                bail!("no answer to an establishment: {:?}", frame.message)
            };
            ensure!(answer.cause == Cause::REQUEST_ACCEPTED, "refused with {}", answer.cause);
            let at = frame.sequence.checked_sub(first).context("an answer to nothing")? as usize;
            let f_teid = answer.created_pdr.first().and_then(|created| created.f_teid);
            let Some(FTeid::Assigned { teid, .. }) = f_teid else { bail!("no F-TEID") };
            let seid = answer.up_f_seid.context("no F-SEID")?.seid;
            let ue = ue_address(numbers.start + at);
            let end = ends.get_mut(at).context("an answer to nothing")?;
            ensure!(end.replace(End { teid, ue, seid }).is_none(), "two answers to one request");
        }
        Ok((ends.into_iter().flatten().collect(), took))
    }
}

/// Establishments a second.
pub fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let rounds = bench.rounds.clamp(1, 5);
    let shape = Shape::new(PASS * (rounds + 1), PDRS);
    let config = Config { data_path: DataPathKind::None, ..shape.config() };
    let _upf = Child::start(&[], &Role::Upf { config: Box::new(config), core: bench.core })?;
    let _echo = Child::start(&[], &Role::Echo { core: bench.core })?;
    let _pinned = Pinned::to(bench.cores.first().copied().unwrap_or_default())?;
    let mut smf = Remote::associate(Remote::socket()?)?;
    let to_echo = Remote { socket: Remote::socket()?, sequence: 0 };
    to_echo.socket.set_read_timeout(Some(ANSWER_MAX))?;
    to_echo.socket.connect(SocketAddr::from((ECHO, tern_pfcp::PORT)))?;
    let (mut rates, mut echoed) = (Vec::new(), Vec::new());
    let rate = |took: Duration| PASS as f64 / took.as_secs_f64() / 1e3;
    for round in 0..=rounds {
        let numbers = round * PASS..(round + 1) * PASS;
        let (ends, took) = smf.establish(&shape, numbers.clone())?;
        ensure!(ends.len() == PASS, "{} of {PASS} sessions", ends.len());
        rates.push(rate(took));
        let requests = Remote::establishments(&mut smf, &shape, numbers)?;
        echoed.push(rate(to_echo.exchange(&requests)?.1));
    }
    let note = format!(
        "4 PDRs, 2 FARs, 1 QER, 1 URR; the UPF's process on one core, the SMF on another, {WINDOW} requests \
         under way; wall clock"
    );
    let row = Row::new(
        "PFCP establishments over loopback UDP",
        Spread::of(rates[1..].to_vec()),
        "thousand/s",
        note,
    );
    report.row(row.goal(Bound::AtLeast(AIM)).must(Bound::AtLeast(MUST)));
    let note = "the same requests, sent back by an echo in the UPF's place: what this SMF and the sockets give at most";
    let row = Row::new("PFCP requests to an echo", Spread::of(echoed[1..].to_vec()), "thousand/s", note);
    report.row(row);
    Ok(())
}
