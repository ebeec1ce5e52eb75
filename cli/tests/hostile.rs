//! Who means no good: each gets the answer that the specifications give, the operator a line, and
//! everybody else what they came for.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use tern_nas::nas_5gs::{
    Nas5gmmMessage, Nas5gsMessage, NasFGsRegistrationType, NasRegistrationRequest, NasUeSecurityCapability,
    RegistrationType,
};
use tern_nas::{MobileIdentity, Suci, registration};
use tern_ngap::ngap::RRCEstablishmentCause;
use tern_sbi::{Body, Call, Headers, Method, Request};
use tern_sbi_transport::http::Tcp;
use tern_sbi_transport::{Http, HttpLimits, Transport as _};
use tern_sctp::Event;
use tern_tests::core::Sbi;
use tern_tests::topology::{N3_CORE, N3_GNB};
use tern_types::Random;
use ue_ransim::gnb::{FromGnb, Link};
use ue_ransim::load;

use crate::world::{NFS, World, isolated, sbi};

/// What a network function may grow by while it is attacked: what its bounds allow it to hold, in
/// pages that are not full.
const GROWTH_KIB: u64 = 32 * 1024;
/// Associations that one peer may have, as the AMF's configuration has it.
const ASSOCIATIONS_PER_PEER: usize = 64;
/// UEs that may register at a time, as the AMF's configuration has it.
const REGISTRATIONS: usize = 1024;
/// Datagrams and messages of each kind of garbage.
const PIECES: usize = 1000;
/// How long an answer may take.
const ANSWER_TIME: Duration = Duration::from_secs(5);

#[test]
fn when_garbage_arrives_on_n2_then_the_core_goes_on() {
    isolated("hostile::when_garbage_arrives_on_n2_then_the_core_goes_on", garbage_on_n2);
}

#[test]
fn when_garbage_arrives_on_n3_and_n4_then_the_core_goes_on() {
    isolated("hostile::when_garbage_arrives_on_n3_and_n4_then_the_core_goes_on", garbage_on_n3_and_n4);
}

#[test]
fn when_garbage_arrives_on_the_sbi_then_the_core_goes_on() {
    isolated("hostile::when_garbage_arrives_on_the_sbi_then_the_core_goes_on", garbage_on_the_sbi);
}

#[test]
fn when_a_gnb_opens_1000_associations_then_others_are_served() {
    isolated("hostile::when_a_gnb_opens_1000_associations_then_others_are_served", many_associations);
}

#[test]
fn when_a_ue_floods_registrations_then_others_are_served_again() {
    isolated("hostile::when_a_ue_floods_registrations_then_others_are_served_again", registration_flood);
}

fn pieces(random: &mut Random) -> impl Iterator<Item = Vec<u8>> + '_ {
    (0..PIECES).map(|_| {
        let mut octets = vec![0; 1 + (random.u32() % 600) as usize];
        random.fill(&mut octets);
        octets
    })
}

async fn garbage_on_n2() -> Result<()> {
    let mut world = World::start("").await?;
    world.add_subscribers(1).await?;
    world.serves().await?;
    let before = world.memory()?;
    let mut random = Random::from_seed([1; 32]);

    // TS 38.413 §10: transfer syntax errors; an association that brings nothing else is ended.
    let config = world.config(0);
    let rig = world.rig(config).await?;
    let gnb = &rig.gnbs[0];
    // The AMF may have had enough before the last one.
    let _ = load::garbage(gnb, PIECES as u32, &mut random).await;
    let ended = async {
        while gnb.is_up() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(ANSWER_TIME, ended).await.context("the association is kept")?;
    world.logged(&["[n2]", "WARN", "undecodable NGAP message"]).await?;

    // TS 38.412 §7: PPID 60, and NG SETUP first.
    let gnb = ue_ransim::gnb_config(&world.config(0), 0)?;
    let env = world.sim_env();
    for ppid in [0, 60, 61, 0xffff_ffff] {
        let mut association = env.sctp.connect(gnb.connect_options()).await?;
        let sender = association.sender();
        for octets in pieces(&mut random) {
            let stream = u16::from(octets[0]) % association.info().outbound_streams;
            let unordered = octets.len() % 2 == 0;
            if sender.send(Bytes::from(octets), stream, ppid, unordered).await.is_err() {
                break;
            }
        }
        // Whatever it answers, and if it ends the association.
        while let Ok(event) = tokio::time::timeout(Duration::from_millis(300), association.recv()).await {
            if matches!(event, Event::Lost(_)) {
                break;
            }
        }
    }
    world.serves().await?;
    world.check_growth(&before, GROWTH_KIB, "garbage on N2")?;
    world.finish().await
}

async fn garbage_on_n3_and_n4() -> Result<()> {
    let mut world = World::start("").await?;
    world.add_subscribers(1).await?;
    world.serves().await?;
    let before = world.memory()?;
    for host in [17, 18] {
        let at = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, host)), 8805);
        let work = move || garbage_on_n4(at).with_context(|| format!("PFCP at {at}"));
        world.topology.core.within(work).await?;
    }
    world.logged(&["[upf]", "WARN", "PFCP"]).await?;
    world.logged(&["[smf]", "WARN", "PFCP"]).await?;
    world.topology.gnb.within(|| garbage_on_n3().context("GTP-U")).await?;
    world.logged(&["[upf]", "WARN", "packets dropped"]).await?;
    world.serves().await?;
    world.check_growth(&before, GROWTH_KIB, "garbage on N3 and N4")?;
    world.finish().await
}

fn garbage_on_n4(at: SocketAddr) -> Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_read_timeout(Some(Duration::from_millis(300)))?;
    let mut random = Random::from_seed([2; 32]);
    for mut octets in pieces(&mut random) {
        // Half of it looks like PFCP: its version, and its length.
        if octets.len() > 16 && octets[1] % 2 == 0 {
            octets[0] = 0x20 | (octets[0] & 1);
            let length = u16::try_from(octets.len() - 4)?;
            octets[2..4].copy_from_slice(&length.to_be_bytes());
        }
        socket.send_to(&octets, at)?;
    }
    // TS 29.244 §6.2.2: a heartbeat is answered; §7.2.2.2: another version is told.
    let heartbeat = [0x20, 1, 0, 12, 0xab, 0xcd, 0xef, 0, 0, 96, 0, 4, 1, 2, 3, 4];
    let answer = answer_to(&socket, at, &heartbeat, |answer| answer[4..7] == [0xab, 0xcd, 0xef])?;
    ensure!(answer[1] == 2, "no HEARTBEAT RESPONSE: {answer:02x?}");
    let other_version = [0x40, 1, 0, 12, 0xab, 0xcd, 0xee, 0, 0, 96, 0, 4, 1, 2, 3, 4];
    let answer = answer_to(&socket, at, &other_version, |answer| answer[1] == 11)?;
    ensure!(answer[0] >> 5 == 1, "no VERSION NOT SUPPORTED RESPONSE: {answer:02x?}");
    Ok(())
}

fn garbage_on_n3() -> Result<()> {
    // Error indications go to the port of GTP-U, wherever the packet came from (TS 29.281 §4.4.2.3).
    let socket = UdpSocket::bind((N3_GNB, 2152))?;
    socket.set_read_timeout(Some(Duration::from_millis(300)))?;
    let at = SocketAddr::new(IpAddr::V4(N3_CORE), 2152);
    let mut random = Random::from_seed([3; 32]);
    for mut octets in pieces(&mut random) {
        if octets.len() > 16 && octets[1] % 2 == 0 {
            octets[0] = 0x30 | (octets[0] & 7);
            octets[1] = if octets[2] % 2 == 0 { 255 } else { octets[1] };
            let length = u16::try_from(octets.len() - 8)?;
            octets[2..4].copy_from_slice(&length.to_be_bytes());
        }
        socket.send_to(&octets, at)?;
    }
    // TS 29.281 §7.2.1, §7.2.2; §7.3.1: a tunnel that is not there.
    let echo = [0x32, 1, 0, 4, 0, 0, 0, 0, 0x12, 0x34, 0, 0];
    let answer = answer_to(&socket, at, &echo, |answer| answer[1] == 2)?;
    ensure!(answer[8..10] == [0x12, 0x34], "{answer:02x?}");
    let packet = [0x30, 255, 0, 4, 0xde, 0xad, 0xbe, 0xef, 0x45, 0, 0, 4];
    let answer = answer_to(&socket, at, &packet, |answer| answer[1] == 26)?;
    ensure!(answer.windows(5).any(|part| part == [16, 0xde, 0xad, 0xbe, 0xef]), "{answer:02x?}");
    Ok(())
}

/// Sends a datagram until what `is_answer` takes for its answer comes.
fn answer_to(
    socket: &UdpSocket,
    to: SocketAddr,
    datagram: &[u8],
    is_answer: impl Fn(&[u8]) -> bool,
) -> Result<Vec<u8>> {
    let mut buffer = [0; 2048];
    // The first ones may be lost among the garbage that waits to be read, and a UPF that has just
    // started says nothing of tunnels that it does not know.
    for _ in 0..50 {
        socket.send_to(datagram, to)?;
        while let Ok((length, _)) = socket.recv_from(&mut buffer) {
            if length >= 8 && is_answer(&buffer[..length]) {
                return Ok(buffer[..length].to_vec());
            }
        }
    }
    bail!("no answer to {datagram:02x?}")
}

async fn garbage_on_the_sbi() -> Result<()> {
    let mut world = World::start("").await?;
    world.add_subscribers(1).await?;
    world.serves().await?;
    let before = world.memory()?;
    if sbi() == Sbi::Shm {
        // Only processes that the manager admits reach it: its own tests stand in sbi-shm.
        for (nf, at) in sbi_addresses() {
            let connected = world.topology.core.within(move || Ok(TcpStream::connect(at).is_ok())).await?;
            ensure!(!connected, "{nf} listens at {at}");
        }
        return world.finish().await;
    }
    for (nf, at) in sbi_addresses() {
        world.topology.core.within(move || raw_octets(at).with_context(|| format!("{nf} at {at}"))).await?;
        world.logged(&[&format!("[{nf}]"), "WARN", "connection", "127.0.0.1"]).await?;
    }
    let answers = world.topology.core.within(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(hostile_json())
    });
    for (what, status) in answers.await? {
        // TS 29.500 §5.2.7.2: a client error with what is wrong.
        ensure!((400..500).contains(&status), "{what}: status {status}");
    }
    world.serves().await?;
    world.check_growth(&before, GROWTH_KIB, "garbage on the SBI")?;
    world.finish().await
}

fn sbi_addresses() -> impl Iterator<Item = (&'static str, SocketAddr)> {
    let hosts = [10, 11, 12, 13, 14, 15, 18, 17, 16];
    NFS.into_iter().zip(hosts).map(|(nf, host)| (nf, SocketAddr::from(([127, 0, 0, host], 8080))))
}

/// What no HTTP/2 client sends. Each connection is ended, at the latest when we end it.
fn raw_octets(at: SocketAddr) -> Result<()> {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let mut random = Random::from_seed([4; 32]);
    let noise: Vec<u8> = pieces(&mut random).flatten().collect();
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    // A header block that never ends: CONTINUATION without END_HEADERS, again and again.
    let headers = [0, 0, 1, 1, 0, 0, 0, 0, 1, 0x82];
    let continuation: Vec<u8> =
        (0..5000).flat_map(|_| [&[0, 0, 20, 9, 0, 0, 0, 0, 1][..], &[0x82; 20]].concat()).collect();
    let attacks: [Vec<u8>; 6] = [
        noise.clone(),
        b"GET / HTTP/1.1\r\nHost: core\r\n\r\n".to_vec(),
        PREFACE.to_vec(),
        [PREFACE, &noise].concat(),
        [PREFACE, &settings, &noise].concat(),
        [PREFACE, &settings, &headers, &continuation].concat(),
    ];
    for octets in attacks {
        let mut stream = TcpStream::connect(at)?;
        stream.set_read_timeout(Some(Duration::from_millis(200)))?;
        // The other side may end it while we write.
        let _ = stream.write_all(&octets);
        let _ = stream.read(&mut [0; 4096]);
    }
    Ok(())
}

/// Requests whose content is too much or nonsense; what was answered.
async fn hostile_json() -> Result<Vec<(String, u16)>> {
    let limits = HttpLimits { content_max: 64 << 20, ..HttpLimits::default() };
    let http = Http::tcp(Tcp { source: None }, limits, "AMF");
    let call = Call { timeout: Some(tern_types::Duration::from_secs(10)), ..Call::default() };
    let targets = [
        (10, Method::Put, "/nnrf-nfm/v1/nf-instances/6f1a5e54-98a1-4f53-8b8c-5f4c3a2b1d00"),
        (11, Method::Put, "/nudr-dr/v2/subscription-data/imsi-001010000000001/context-data/amf-3gpp-access"),
        (12, Method::Post, "/nudm-ueau/v1/imsi-001010000000001/security-information/generate-auth-data"),
        (13, Method::Post, "/nausf-auth/v1/ue-authentications"),
        (14, Method::Post, "/npcf-am-policy-control/v1/policies"),
        (15, Method::Post, "/tern/v1/nothing"),
        (16, Method::Post, "/namf-comm/v1/ue-contexts/imsi-001010000000001/n1-n2-messages"),
        (17, Method::Post, "/nsmf-pdusession/v1/sm-contexts"),
        (18, Method::Post, "/tern/v1/nothing"),
    ];
    let contents: [(&str, Vec<u8>); 5] = [
        ("3 MB", format!("{{\"supiOrSuci\": \"{}\"}}", "x".repeat(3 << 20)).into_bytes()),
        ("100,000 arrays in one another", [vec![b'['; 100_000], vec![b']'; 100_000]].concat()),
        ("100,000 objects in one another", "{\"a\":".repeat(100_000).into_bytes()),
        ("an object cut short", b"{\"supiOrSuci\": ".to_vec()),
        ("not UTF-8", vec![b'"', 0xff, 0xfe, b'"']),
    ];
    let mut answers = Vec::new();
    for (host, method, path) in targets {
        for (what, content) in &contents {
            let request = Request {
                method,
                path: path.to_owned(),
                query: Vec::new(),
                headers: Headers::default(),
                body: Body::Json(content.clone().into()),
            };
            let reply = http.send(&format!("http://127.0.0.{host}:8080"), &call, request).await;
            let name = format!("{what} to {path}");
            answers.push((name.clone(), reply.with_context(|| name)?.status));
        }
    }
    Ok(answers)
}

async fn many_associations() -> Result<()> {
    let mut world = World::start("").await?;
    world.add_subscribers(1).await?;
    world.serves().await?;
    let before = world.memory()?;
    let gnb = ue_ransim::gnb_config(&world.config(0), 0)?;
    let env = world.sim_env();
    let mut open = Vec::new();
    for _ in 0..1000 {
        // One too many may be refused at once, or ended as soon as it is there.
        if let Ok(association) = env.sctp.connect(gnb.connect_options()).await {
            open.push(association);
        }
    }
    let mut kept = 0;
    for association in &mut open {
        let lost = async { while !matches!(association.recv().await, Event::Lost(_)) {} };
        kept += usize::from(tokio::time::timeout(Duration::from_millis(2), lost).await.is_err());
    }
    println!("MEASURED 1000 associations of one gNB: {} came up, {kept} were kept", open.len());
    ensure!(kept == ASSOCIATIONS_PER_PEER, "{kept} associations of one gNB are kept");
    world.logged(&["[n2]", "WARN", "associations refused", "limit=64"]).await?;
    world.serves().await?;
    world.check_growth(&before, GROWTH_KIB, "1000 associations of one gNB")?;

    // Once they are gone, the same gNB is served.
    drop(open);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut again = env.sctp.connect(gnb.connect_options()).await?;
    let lost = async { while !matches!(again.recv().await, Event::Lost(_)) {} };
    ensure!(tokio::time::timeout(Duration::from_millis(300), lost).await.is_err(), "still refused");
    world.finish().await
}

async fn registration_flood() -> Result<()> {
    let mut world = World::start("").await?;
    world.add_subscribers(2).await?;
    world.serves().await?;
    let before = world.memory()?;
    let config = world.config(1);
    let rig = world.rig(config).await?;
    let gnb = rig.gnbs[0].clone();

    // UEs that nobody knows: #3 each (TS 24.501 §5.5.1.2.5).
    let mut random = Random::from_seed([5; 32]);
    let mut links = load::registration_flood(&gnb, 1000, Duration::ZERO, &mut random).await?;
    let mut causes = answers(&mut links).await?;
    println!("MEASURED 1000 unknown UEs at once: {causes:?} (0x100: challenged)");
    ensure!(causes.remove(&3).unwrap_or(0) > 0 && causes.keys().all(|&cause| cause == 22), "{causes:?}");
    drop(links);

    // One subscriber that begins again and again and never answers: some are challenged, the others
    // hear of congestion (TS 24.501 §5.5.1.2.5, #22), none is left without an answer.
    let mut links = Vec::new();
    for _ in 0..2 * REGISTRATIONS {
        links.push(gnb.open(request()?, None, RRCEstablishmentCause::mo_Signalling).await?);
    }
    let causes = answers(&mut links).await?;
    println!("MEASURED {} registrations of one UE at once: {causes:?} (0x100: challenged)", links.len());
    ensure!(causes.keys().all(|&cause| matches!(cause, 22 | CHALLENGED)), "{causes:?}");
    ensure!(causes.get(&CHALLENGED).is_some_and(|&n| n <= REGISTRATIONS), "{causes:?}");
    ensure!(causes.contains_key(&22), "{causes:?}");
    world.logged(&["[amf]", "WARN", "congestion"]).await?;
    world.check_growth(&before, GROWTH_KIB, "a flood of registrations")?;

    // The gNB gives them up (TS 38.413 §8.7.4.2.2); others are served at once.
    gnb.reset(None).await?;
    world.serves().await?;
    world.wait_for("amf", "connected", 0, ANSWER_TIME).await?;
    rig.stop().await;
    world.finish().await
}

/// Stands for AUTHENTICATION REQUEST among 5GMM causes.
const CHALLENGED: u16 = 0x100;

/// The first NAS answer on each connection, counted by cause.
async fn answers(links: &mut [Link]) -> Result<std::collections::BTreeMap<u16, usize>> {
    let mut causes = std::collections::BTreeMap::new();
    for (index, link) in links.iter_mut().enumerate() {
        let answer = async {
            loop {
                match link.recv().await.context("the connection ended without an answer")? {
                    FromGnb::Nas(octets) => return Ok::<_, anyhow::Error>(octets),
                    FromGnb::Released { cause } => bail!("released without an answer: {cause}"),
                    FromGnb::Lost(why) => bail!("N2 has ended: {why}"),
                    _ => {}
                }
            }
        };
        let octets = tokio::time::timeout(ANSWER_TIME, answer).await;
        let octets = octets.with_context(|| format!("UE {index} has no answer; so far: {causes:?}"))??;
        let cause = match Nas5gsMessage::decode(&octets)? {
            Nas5gsMessage::Gmm(_, Nas5gmmMessage::RegistrationReject(reject)) => {
                u16::from(reject.fgmm_cause.value)
            }
            Nas5gsMessage::Gmm(_, Nas5gmmMessage::AuthenticationRequest(_)) => CHALLENGED,
            other => bail!("not an answer to REGISTRATION REQUEST: {other:?}"),
        };
        *causes.entry(cause).or_default() += 1;
    }
    Ok(causes)
}

/// REGISTRATION REQUEST of the first subscriber.
fn request() -> Result<Bytes> {
    let suci = Suci {
        plmn_id: "001-01".parse()?,
        routing_indicator: "0".into(),
        scheme: 0,
        key_id: 0,
        scheme_output: vec![0, 0, 0, 0, 0x10],
    };
    let request = NasRegistrationRequest::new(
        NasFGsRegistrationType::from_registration_type(RegistrationType::InitialRegistration),
        registration::ngksi(None),
        MobileIdentity::Suci(suci).to_ie()?,
    )
    .with_ue_security_capability(NasUeSecurityCapability::new(vec![0xf0, 0x70]));
    Ok(Bytes::from(Nas5gsMessage::new_5gmm(request).encode()?))
}
