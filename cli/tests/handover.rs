//! A UE goes from one gNB's cell to another's while its session is used: TS 23.502 §4.9.1, with real
//! packets, forwarding and End Markers.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tern_tests::topology::DN_ADDRESS;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpSocket;
use ue_ransim::Rig;
use ue_ransim::env::Tuns;
use ue_ransim::gnb::Forwarding;
use ue_ransim::tun::HostTuns;
use ue_ransim::ue::{Session, Ue};

use crate::world::{World, clean, isolated};

const PORT: u16 = 5_000;
/// Handovers of one test, and the time between two.
const HANDOVERS: usize = 6;
const BETWEEN: Duration = Duration::from_millis(300);
/// Datagrams of the data network, one each millisecond, for longer than the handovers take.
const DATAGRAMS: u32 = 3_000;
/// Octets of an IPv4 and a UDP header.
const HEADERS: usize = 28;
/// Octets of the transfer by TCP.
const FILE: usize = 48 << 20;
/// Without anything for so long the transfer has stopped.
const SILENCE: Duration = Duration::from_secs(5);

/// By which interface.
#[derive(Debug, Clone, Copy)]
enum Way {
    Xn,
    N2(Forwarding),
}

#[test]
fn when_a_ue_is_handed_over_by_xn_then_numbered_datagrams_come_once_and_in_order() {
    isolated(
        "handover::when_a_ue_is_handed_over_by_xn_then_numbered_datagrams_come_once_and_in_order",
        || datagrams(Way::Xn),
    );
}

#[test]
fn when_a_ue_is_handed_over_by_xn_then_its_tcp_transfer_completes() {
    isolated("handover::when_a_ue_is_handed_over_by_xn_then_its_tcp_transfer_completes", || {
        transfer(Way::Xn)
    });
}

#[test]
fn when_a_ue_is_handed_over_by_n2_then_numbered_datagrams_come_once_and_in_order() {
    isolated(
        "handover::when_a_ue_is_handed_over_by_n2_then_numbered_datagrams_come_once_and_in_order",
        || datagrams(Way::N2(Forwarding::Direct)),
    );
}

#[test]
fn when_the_upf_forwards_in_a_handover_then_numbered_datagrams_come_once_and_in_order() {
    isolated(
        "handover::when_the_upf_forwards_in_a_handover_then_numbered_datagrams_come_once_and_in_order",
        || datagrams(Way::N2(Forwarding::Indirect)),
    );
}

#[test]
fn when_a_ue_is_handed_over_by_n2_then_its_tcp_transfer_completes() {
    isolated("handover::when_a_ue_is_handed_over_by_n2_then_its_tcp_transfer_completes", || {
        transfer(Way::N2(Forwarding::Direct))
    });
}

#[test]
fn when_the_upf_forwards_in_a_handover_then_the_tcp_transfer_completes() {
    isolated("handover::when_the_upf_forwards_in_a_handover_then_the_tcp_transfer_completes", || {
        transfer(Way::N2(Forwarding::Indirect))
    });
}

/// A core, two gNBs at addresses of their own, and a UE with a session in the first one's cell.
async fn start() -> Result<(World, Rig, Ue, Session)> {
    let mut world = World::start("").await?;
    // A UE's device has no route for what it receives.
    for device in ["all", "default"] {
        world.topology.gnb.sysctl(&format!("net.ipv4.conf.{device}.rp_filter"), "0")?;
    }
    world.add_subscribers(1).await?;
    let mut config = world.config(1);
    let second = world.config(1);
    config.gnbs = 2;
    config.n3.extend(second.n3);
    let mut rig = world.rig(config).await?;
    let mut ue = rig.ue(0)?;
    ue.register().await?;
    let session = ue.establish_session(Default::default()).await?;
    Ok((world, rig, ue, session))
}

/// To and fro; how long the longest procedure took.
async fn hand_over(ue: &mut Ue, rig: &Rig, way: Way) -> Result<Duration> {
    let mut longest = Duration::ZERO;
    for turn in 1..=HANDOVERS {
        ue.idle(BETWEEN).await?;
        let began = Instant::now();
        let target = &rig.gnbs[turn % 2];
        let moved = match way {
            Way::Xn => ue.handover_xn(target).await?,
            Way::N2(forwarding) => ue.handover_n2(target, forwarding).await?,
        };
        longest = longest.max(began.elapsed());
        ensure!(moved.released.is_empty() && moved.moved.len() == 1, "{moved:?}");
    }
    Ok(longest)
}

async fn finish(world: World, rig: Rig, mut ue: Ue) -> Result<()> {
    ue.deregister(false).await?;
    rig.stop().await;
    clean(&rig)?;
    // Every tunnel of before was ended by an End Marker, and none by a timer.
    let counted = |name| rig.journal.counted(name);
    ensure!(counted("n3.end_marker") >= 2 * HANDOVERS as u64, "{} End Markers", counted("n3.end_marker"));
    ensure!(counted("n3.no_end_marker") == 0 && counted("n3.forwarding_without_end") == 0);
    println!("MEASURED forwarded {}, held {}", counted("n3.forwarded"), counted("n3.held"));
    world.wait_for_nobody().await?;
    world.finish().await
}

async fn datagrams(way: Way) -> Result<()> {
    let (world, rig, mut ue, mut session) = start().await?;
    let to = SocketAddr::from((session.address, PORT));
    let socket = world.topology.dn.within(|| Ok(UdpSocket::bind((DN_ADDRESS, PORT))?)).await?;
    let sender = std::thread::spawn(move || -> Result<()> {
        for number in 0..DATAGRAMS {
            socket.send_to(&number.to_be_bytes(), to)?;
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    });
    let receive = async {
        let (mut numbers, mut gap, mut last) = (Vec::new(), Duration::ZERO, Instant::now());
        while let Ok(Some(packet)) = tokio::time::timeout(SILENCE, session.recv()).await {
            let number = packet.get(HEADERS..).and_then(|payload| payload.first_chunk());
            if let Some(number) = number {
                numbers.push(u32::from_be_bytes(*number));
                gap = gap.max(last.elapsed());
            }
            last = Instant::now();
            if numbers.last() == Some(&(DATAGRAMS - 1)) {
                break;
            }
        }
        (numbers, gap)
    };
    let ((numbers, gap), longest) = tokio::join!(receive, hand_over(&mut ue, &rig, way));
    let longest = longest?;
    sender.join().map_err(|_| anyhow::anyhow!("the sender panicked"))??;
    println!(
        "MEASURED handover by {way:?}, {HANDOVERS} times, {DATAGRAMS} datagrams: {} came, longest gap {gap:?}, \
         longest procedure {longest:?}",
        numbers.len()
    );
    let wrong = numbers.windows(2).find(|pair| pair[1] <= pair[0]);
    ensure!(wrong.is_none(), "twice or out of order: {wrong:?}");
    ensure!(numbers.len() == DATAGRAMS as usize, "{} of {DATAGRAMS} came", numbers.len());
    finish(world, rig, ue).await
}

async fn transfer(way: Way) -> Result<()> {
    let (world, rig, mut ue, session) = start().await?;
    let address = session.address;
    let listener = world.topology.dn.within(|| Ok(TcpListener::bind((DN_ADDRESS, PORT))?)).await?;
    let server = std::thread::spawn(move || -> Result<()> {
        let (mut stream, _) = listener.accept()?;
        let block = [0x5a; 64 << 10];
        for _ in 0..FILE / block.len() {
            stream.write_all(&block)?;
        }
        stream.shutdown(std::net::Shutdown::Write)?;
        // Until the other end has everything.
        let _ = stream.read(&mut [0])?;
        Ok(())
    });
    let tuns: Arc<dyn Tuns> = Arc::new(HostTuns);
    let tun = session.into_tun(&tuns, "uetun0")?;
    let fetch = fetch(address, &tun.name);
    let (fetched, longest) = tokio::join!(fetch, hand_over(&mut ue, &rig, way));
    let (octets, took, gap) = fetched?;
    let longest = longest?;
    // It waits for the UE's end, which the session's tasks on this thread still carry.
    tokio::task::spawn_blocking(move || server.join())
        .await?
        .map_err(|_| anyhow::anyhow!("the server panicked"))??;
    println!(
        "MEASURED handover by {way:?}, {HANDOVERS} times, TCP: {octets} octets in {took:?}, longest gap {gap:?}, \
         longest procedure {longest:?}"
    );
    ensure!(octets == FILE, "{octets} of {FILE} octets came");
    drop(tun);
    finish(world, rig, ue).await
}

/// Reads all that the server has, at a pace that outlasts the handovers: octets, time, and the longest time
/// without any.
async fn fetch(from: IpAddr, device: &str) -> Result<(usize, Duration, Duration)> {
    let socket = TcpSocket::new_v4()?;
    socket.bind_device(Some(device.as_bytes()))?;
    socket.bind(SocketAddr::from((from, 0)))?;
    let mut stream = socket.connect(SocketAddr::from((DN_ADDRESS, PORT))).await?;
    let (began, mut last) = (Instant::now(), Instant::now());
    let (mut octets, mut gap) = (0, Duration::ZERO);
    let mut buffer = vec![0; 256 << 10];
    let pace = FILE as f64 / (BETWEEN * (HANDOVERS as u32 + 1)).as_secs_f64();
    loop {
        let read = tokio::time::timeout(SILENCE, stream.read(&mut buffer)).await;
        let read = read.context("the transfer has stopped")??;
        gap = gap.max(last.elapsed());
        if read == 0 {
            return Ok((octets, began.elapsed(), gap));
        }
        octets += read;
        let due = Duration::from_secs_f64(octets as f64 / pace);
        tokio::time::sleep(due.saturating_sub(began.elapsed())).await;
        last = Instant::now();
    }
}
