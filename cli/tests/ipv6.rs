//! UEs with IPv6 over every process and the kernel's data path: TS 23.501 §5.8.2.2.

use std::io::{Read as _, Write as _};
use std::net::{Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use tern_nas::nas_5gs::PduSessionTypeValue;
use tern_tests::topology::{DN_ADDRESS, DN_ADDRESS_V6};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpSocket;
use ue_ransim::Rig;
use ue_ransim::env::Tuns;
use ue_ransim::tun::HostTuns;
use ue_ransim::ue::{Session, SessionRequest, Ue};

use crate::world::{IPV6_NETWORK, World, clean, isolated, kill, lives};

/// Octets that the UE fetches.
const FILE: usize = 4 << 20;
const PORT: u16 = 5006;
/// How long an advertisement that nobody has asked for may take, and a transfer without progress.
const WITHIN: Duration = Duration::from_secs(5);
/// How long a UPF that is killed may be away.
const AWAY: Duration = Duration::from_secs(20);
const PINGS: u32 = 3;

async fn start(kind: PduSessionTypeValue) -> Result<(World, Rig, Ue, Session)> {
    let mut world = World::start(IPV6_NETWORK).await?;
    world.topology.add_ipv6()?;
    world.add_subscribers(1).await?;
    let config = world.config(1);
    let mut rig = world.rig(config).await?;
    let mut ue = rig.ue(0)?;
    ue.register().await?;
    let session = ue.establish_session(SessionRequest { kind, ..SessionRequest::default() }).await?;
    Ok((world, rig, ue, session))
}

async fn finish(world: World, rig: Rig, mut ue: Ue) -> Result<()> {
    ue.deregister(false).await?;
    rig.stop().await;
    clean(&rig)?;
    world.wait_for_nobody().await?;
    world.stop().await
}

async fn pings(session: &mut Session) -> Result<()> {
    // The ends of N6 have just come up: a kernel still looks whether its own addresses are another's.
    let end = Instant::now() + WITHIN;
    while session.ping(DN_ADDRESS_V6, 1, Duration::ZERO).await?.rtt.is_empty() {
        ensure!(Instant::now() < end, "no answer over IPv6 within {WITHIN:?}");
    }
    let stats = session.ping(DN_ADDRESS_V6, PINGS, Duration::from_millis(10)).await?;
    ensure!(stats.rtt.len() == PINGS as usize, "{stats:?}");
    println!("MEASURED ping over IPv6: {:?}", stats.rtt);
    Ok(())
}

#[test]
fn when_a_session_has_ipv6_then_the_ue_makes_its_address_pings_and_fetches_a_file_by_tcp() {
    isolated(
        "ipv6::when_a_session_has_ipv6_then_the_ue_makes_its_address_pings_and_fetches_a_file_by_tcp",
        transfer,
    );
}

async fn transfer() -> Result<()> {
    let (world, rig, ue, mut session) = start(PduSessionTypeValue::Ipv6).await?;
    ensure!(session.dns_ipv6 == ["2001:db8:6::53".parse::<Ipv6Addr>()?], "{:?}", session.dns_ipv6);
    let told = session.await_advertisement(WITHIN).await?;
    let address = session.solicit_router().await?;
    ensure!(told == address && address.segments()[..3] == [0x2001, 0xdb8, 0x45], "{told} {address}");
    pings(&mut session).await?;
    world.wait_for("smf", "sessions", 1, WITHIN).await?;
    let status = world.status("smf").await?;
    let prefix = status["sessionList"][0]["prefix"].as_str();
    ensure!(prefix.is_some_and(|prefix| prefix.starts_with("2001:db8:45:")), "{status}");

    let listener = world.topology.dn.within(|| Ok(TcpListener::bind((DN_ADDRESS_V6, PORT))?)).await?;
    let server = std::thread::spawn(move || -> Result<()> {
        let (mut stream, from) = listener.accept()?;
        ensure!(from.ip() == address, "{from}");
        let content: Vec<u8> = (0..FILE).map(octet_at).collect();
        stream.write_all(&content)?;
        stream.shutdown(std::net::Shutdown::Write)?;
        // Until the other end has everything.
        let _ = stream.read(&mut [0])?;
        Ok(())
    });
    let tuns: Arc<dyn Tuns> = Arc::new(HostTuns);
    let tun = session.into_tun(&tuns, "uetun6")?;
    let began = Instant::now();
    let octets = fetch(address, &tun.name).await?;
    println!("MEASURED {octets} octets by TCP over IPv6 in {:?}", began.elapsed());
    // It waits for the UE's end, which the session's tasks on this thread still carry.
    tokio::task::spawn_blocking(move || server.join())
        .await?
        .map_err(|_| anyhow::anyhow!("the server panicked"))??;
    drop(tun);
    finish(world, rig, ue).await
}

fn octet_at(place: usize) -> u8 {
    (place >> 10) as u8
}

/// Reads all that the server has, and compares it.
async fn fetch(from: Ipv6Addr, device: &str) -> Result<usize> {
    let socket = TcpSocket::new_v6()?;
    socket.bind_device(Some(device.as_bytes()))?;
    socket.bind(SocketAddr::from((from, 0)))?;
    let to = SocketAddr::from((DN_ADDRESS_V6, PORT));
    let mut stream = tokio::time::timeout(WITHIN, socket.connect(to)).await.context("no connection")??;
    let mut buffer = vec![0; 256 << 10];
    let mut octets = 0;
    loop {
        let read = tokio::time::timeout(WITHIN, stream.read(&mut buffer)).await;
        let read = read.context("the transfer has stopped")??;
        if read == 0 {
            ensure!(octets == FILE, "{octets} octets");
            return Ok(octets);
        }
        let is_right = buffer[..read].iter().zip(octets..).all(|(octet, at)| *octet == octet_at(at));
        ensure!(is_right, "other octets came than were sent");
        octets += read;
    }
}

#[test]
fn when_a_session_has_both_versions_then_its_addresses_outlast_cm_idle_and_a_upf_that_is_killed() {
    isolated(
        "ipv6::when_a_session_has_both_versions_then_its_addresses_outlast_cm_idle_and_a_upf_that_is_killed",
        survives,
    );
}

async fn survives() -> Result<()> {
    let (mut world, rig, mut ue, mut session) = start(PduSessionTypeValue::Ipv4v6).await?;
    let address = session.solicit_router().await?;
    pings(&mut session).await?;
    let stats = session.ping(DN_ADDRESS, PINGS, Duration::from_millis(10)).await?;
    ensure!(stats.rtt.len() == PINGS as usize, "{stats:?}");
    ue.go_idle().await?;
    world.wait_for("amf", "connected", 0, WITHIN).await?;
    ue.wake(&mut session).await?;
    pings(&mut session).await?;

    let pid = world.pids()?["upf"];
    kill(pid, Signal::KILL)?;
    while lives(pid) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let began = Instant::now();
    loop {
        let ping = session.ping(DN_ADDRESS_V6, 1, Duration::ZERO);
        let ping = tokio::time::timeout(Duration::from_millis(100), ping).await;
        if ping.is_ok_and(|ping| ping.is_ok_and(|ping| ping.rtt.len() == 1)) {
            break;
        }
        ensure!(began.elapsed() < AWAY, "no ping over IPv6 within {AWAY:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    println!("MEASURED UPF killed: ping over IPv6 after {:?}", began.elapsed());
    world.logged(&["UPF has its sessions again"]).await?;
    // The link's tunnels are those of before as well.
    ensure!(session.solicit_router().await? == address, "another prefix");
    finish(world, rig, ue).await
}
