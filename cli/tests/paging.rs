//! UEs that sleep and are woken by packets, with every process and the kernel's data path: TS 23.502 §4.2.3.3.

use std::net::{IpAddr, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tern_tests::core::{K, OPC, SUPI};
use tern_tests::topology::{DN_ADDRESS, DN_ADDRESS_V6, N2_CORE, N2_GNB, N3_GNB};
use ue_ransim::scenario;
use ue_ransim::ue::Session;

use crate::world::{IPV6_NETWORK, TERN, World, clean, isolated};

/// Datagrams of one go. The UPF keeps 64 of a session: there is time for a page of more than half a second.
const DATAGRAMS: u32 = 100;
/// Between two of them.
const PAUSE: Duration = Duration::from_millis(10);
/// How long the UE may take to hear of the first.
const WITHIN: Duration = Duration::from_secs(5);
/// Times that the UE sleeps and is woken.
const TIMES: u32 = 3;
/// UDP port of the UE.
const PORT: u16 = 5000;
/// How long the scenarios may take.
const SCENARIOS_TIME: Duration = Duration::from_secs(150);
/// The subscriber that authenticates by EAP-AKA'.
const THIRD: &str = "imsi-001010000000003";

#[test]
fn when_udp_is_sent_to_an_idle_ue_then_it_is_paged_and_all_of_it_arrives_in_order() {
    isolated("paging::when_udp_is_sent_to_an_idle_ue_then_it_is_paged_and_all_of_it_arrives_in_order", udp);
}

async fn udp() -> Result<()> {
    let mut world = World::start("").await?;
    world.add_subscribers(1).await?;
    let config = world.config(1);
    let mut rig = world.rig(config).await?;
    let mut ue = rig.ue(0)?;
    ue.register().await?;
    let mut session = ue.establish_session(Default::default()).await?;
    session.ping(DN_ADDRESS, 1, Duration::from_millis(10)).await?;
    for _ in 0..TIMES {
        ue.go_idle().await?;
        world.wait_for("amf", "connected", 0, WITHIN).await?;
        let socket = world.topology.dn.within(|| Ok(UdpSocket::bind((DN_ADDRESS, 0))?)).await?;
        let address = session.address;
        let began = Instant::now();
        let sender = std::thread::spawn(move || send(&socket, address));
        ue.await_page(WITHIN).await?;
        ue.resume(&mut session).await?;
        println!("MEASURED from the first datagram to the session's return: {:?}", began.elapsed());
        let numbers = receive(&mut session).await?;
        sender.join().map_err(|_| anyhow::anyhow!("the sender has panicked"))??;
        ensure!(numbers == (0..DATAGRAMS).collect::<Vec<_>>(), "lost, or out of order: {numbers:?}");
        // CONFIGURATION UPDATE COMMAND may have come behind them.
        ue.idle(Duration::from_millis(100)).await?;
    }
    ue.deregister(false).await?;
    rig.stop().await;
    clean(&rig)?;
    world.wait_for_nobody().await?;
    world.finish().await
}

fn send(socket: &UdpSocket, to: IpAddr) -> Result<()> {
    for number in 0..DATAGRAMS {
        socket.send_to(&number.to_be_bytes(), (to, PORT))?;
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

/// The numbers that arrive, up to the last one, or until nothing does.
async fn receive(session: &mut Session) -> Result<Vec<u32>> {
    let mut numbers = Vec::new();
    while numbers.last() != Some(&(DATAGRAMS - 1)) {
        let Ok(packet) = tokio::time::timeout(WITHIN, session.recv()).await else { break };
        let packet = packet.context("the session is gone")?;
        // IPv4 without options, UDP.
        if let Some(number) = packet.get(28..).filter(|_| packet[9] == 17).and_then(|data| data.first_chunk())
        {
            numbers.push(u32::from_be_bytes(*number));
        }
    }
    Ok(numbers)
}

#[test]
fn when_scenarios_are_played_against_a_core_then_they_pass_and_the_report_says_so() {
    isolated(
        "paging::when_scenarios_are_played_against_a_core_then_they_pass_and_the_report_says_so",
        scenarios,
    );
}

async fn scenarios() -> Result<()> {
    let world = World::start(IPV6_NETWORK).await?;
    world.topology.add_ipv6()?;
    world.add_subscribers(2).await?;
    let third = ["subscriber", "add", THIRD, "--k", K, "--opc", OPC, "--method", "eap-aka-prime"];
    world.tern(&third).await?;
    let config = world.directory.join("sim.yaml");
    std::fs::write(
        &config,
        format!(
            "amf: {N2_CORE}\nn2: {N2_GNB}\nn3: {N3_GNB}\nping_target: {DN_ADDRESS}\n\
             ping_target_ipv6: {DN_ADDRESS_V6}\nping_interval_ms: 10\n\
             ues:\n  - supi: {SUPI}\n    k: {K}\n    opc: {OPC}\n"
        ),
    )?;
    let played = play(&world, &config, &["all"]).await?;
    ensure!(played == scenario::ALL.len(), "{played} scenarios");
    // Where gNBs release who is inactive.
    let played = play(&world, &config, &["idle-wake", "paging", "--inactivity", "1"]).await?;
    ensure!(played == 2, "{played} scenarios");
    world.wait_for_nobody().await?;
    world.finish().await
}

/// How many scenarios there are of these arguments; all of them pass.
async fn play(world: &World, config: &Path, arguments: &[&str]) -> Result<usize> {
    let (json, html) = (world.directory.join("scenarios.json"), world.directory.join("scenarios.html"));
    let mut command = world.topology.gnb.task(TERN);
    command.args(["sim", "run"]).args(arguments).arg("--config").arg(config).arg("--json").arg(&json);
    command.arg("--html").arg(&html);
    let output = tokio::time::timeout(SCENARIOS_TIME, command.kill_on_drop(true).output()).await;
    let output = output.context("the scenarios take too long")??;
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{text}\n{errors}");
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(&json)?)?;
    ensure!(report["ok"] == true, "{report}");
    let played = report["scenarios"].as_array().context("no scenarios")?;
    let page = std::fs::read_to_string(&html)?;
    ensure!(page.contains("all passed") && page.contains("<svg"), "{page}");
    for scenario in played {
        let name = scenario["name"].as_str().context("no name")?;
        ensure!(text.contains(name), "{text}");
        ensure!(page.contains(&format!("<td>{name}</td>")), "{name}: {page}");
    }
    Ok(played.len())
}
