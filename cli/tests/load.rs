//! UEs in numbers against every process, and files of scenarios that are played against them: `tern sim load`
//! and `tern sim run` as their users run them.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tern_tests::core::{K, OPC, SUPI};
use tern_tests::topology::{DN_ADDRESS, N2_CORE, N2_GNB, N3_GNB};

use crate::world::{TERN, World, isolated};

/// UEs, arrivals a second, and seconds that each lives; `TERN_LOAD=1000,50,600` is what `make load` runs.
const ORDINARY: [u32; 3] = [60, 20, 20];
/// Seconds between two activities of a UE, in the mean: in an ordinary run and in a long one.
const PAUSES_S: [u32; 2] = [2, 10];
/// What a network function may hold more at the end than in the middle, when all UEs were there.
const GROWTH_KIB: u64 = 8 * 1024;
/// For `tern sim` beside the time that its UEs live.
const BESIDE: Duration = Duration::from_secs(40);
/// How long the files may take.
const FILES_TIME: Duration = Duration::from_secs(60);
/// Examples of the simulator.
const FILES: [&str; 3] = ["commute", "refused", "call"];

#[test]
fn when_ues_move_sleep_and_wake_under_load_then_none_fails_and_memory_is_flat() {
    isolated("load::when_ues_move_sleep_and_wake_under_load_then_none_fails_and_memory_is_flat", under_load);
}

#[test]
fn when_files_of_scenarios_are_played_against_a_core_then_they_pass() {
    isolated("load::when_files_of_scenarios_are_played_against_a_core_then_they_pass", files);
}

fn size() -> Result<([u32; 3], u32)> {
    let Ok(text) = std::env::var("TERN_LOAD") else { return Ok((ORDINARY, PAUSES_S[0])) };
    let numbers: Vec<u32> = text.split(',').map(str::parse).collect::<Result<_, _>>().context("TERN_LOAD")?;
    let size = numbers.try_into().ok().context("TERN_LOAD: UEs, arrivals a second, seconds")?;
    Ok((size, PAUSES_S[1]))
}

/// The simulator's file; the subscribers' keys stand in it.
fn config(directory: &Path, ues: u32, gnbs: u32) -> Result<std::path::PathBuf> {
    let path = directory.join("sim.yaml");
    let text = format!(
        "amf: {N2_CORE}\nn2: {N2_GNB}\nn3: {N3_GNB}\ngnbs: {gnbs}\nping_target: {DN_ADDRESS}\n\
         ping_interval_ms: 10\nues:\n  - supi: {SUPI}\n    count: {ues}\n    k: {K}\n    opc: {OPC}\n"
    );
    std::fs::write(&path, text)?;
    Ok(path)
}

async fn under_load() -> Result<()> {
    let ([ues, rate, life_s], pause) = size()?;
    let mut world = World::start("").await?;
    world.add_subscribers(ues + 1).await?;
    let config = config(&world.directory, ues + 1, 4)?;
    let (json, html) = (world.directory.join("load.json"), world.directory.join("load.html"));
    let mut command = world.topology.gnb.task(TERN);
    command.args(["sim", "load", "--seed", "7", "--do", "idle,xn,n2,update,page"]);
    for (flag, value) in [("--rate", rate), ("--duration", life_s), ("--pause", pause)] {
        command.arg(flag).arg(value.to_string());
    }
    command.arg("--config").arg(&config).arg("--json").arg(&json).arg("--html").arg(&html);
    let time = Duration::from_secs(u64::from(life_s + ues / rate)) + BESIDE;
    let output = tokio::time::timeout(time, command.kill_on_drop(true).output()).await;
    let output = output.context("the load takes too long")??;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().for_each(|line| println!("MEASURED {line}"));
    // What failed is looked for there as well.
    if let Ok(directory) = std::env::var("TERN_LOAD_OUTPUT") {
        std::fs::create_dir_all(&directory)?;
        for file in [&json, &html] {
            std::fs::copy(file, Path::new(&directory).join(file.file_name().context("a name")?))?;
        }
    }
    ensure!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    ensure!(!text.contains('\r'), "a progress bar although standard output is no terminal");
    let report: Value = serde_json::from_slice(&std::fs::read(&json)?)?;
    ensure!(report["ok"] == true && report["ues_ok"] == ues, "{report}");
    let page = std::fs::read_to_string(&html)?;
    ensure!(page.contains("nothing failed") && page.contains("<svg"), "{page}");
    memory_is_flat(&report, &mut world)?;
    world.wait_for_nobody().await?;
    world.finish().await
}

/// Of each process of this core: what it holds at the end, when the UEs have left, beside the middle.
fn memory_is_flat(report: &Value, world: &mut World) -> Result<()> {
    let memory = report["memory"].as_array().context("no memory")?;
    for (nf, pid) in world.pids()? {
        // Where other cores run on this machine, its number is behind its name.
        let names = [nf.to_owned(), format!("{nf} {pid}")];
        let of = memory.iter().find(|memory| names.iter().any(|name| memory["process"] == **name));
        let samples = of.with_context(|| format!("no memory of {nf}"))?["samples"].as_array();
        let samples: Vec<u64> =
            samples.into_iter().flatten().filter_map(|sample| sample[1].as_u64()).collect();
        let (Some(middle), Some(end)) = (samples.get(samples.len() / 2), samples.last()) else {
            anyhow::bail!("{nf} was not looked at");
        };
        ensure!(*end <= middle + GROWTH_KIB, "{nf} grew from {middle} to {end} KiB");
    }
    Ok(())
}

async fn files() -> Result<()> {
    let world = World::start("").await?;
    world.add_subscribers(2).await?;
    let config = config(&world.directory, 2, 1)?;
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ue-ransim/scenarios");
    let mut command = world.topology.gnb.task(TERN);
    command.args(["sim", "run"]);
    command.args(FILES.map(|name| files.join(format!("{name}.yaml"))));
    command.arg("--config").arg(&config);
    let output = tokio::time::timeout(FILES_TIME, command.kill_on_drop(true).output()).await;
    let output = output.context("the files take too long")??;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    for name in FILES {
        let line = text.lines().find(|line| line.starts_with(&format!("{name} ")));
        ensure!(line.is_some_and(|line| line.contains("passed")), "{name}: {text}");
    }
    wrong_file(&world).await?;
    world.wait_for_nobody().await?;
    world.finish().await
}

/// What is wrong with a file is said before anything is connected.
async fn wrong_file(world: &World) -> Result<()> {
    let path = world.directory.join("wrong.yaml");
    std::fs::write(&path, "steps:\n  - register\n  - handover: { to: somewhere }\n")?;
    let mut command = world.topology.gnb.task(TERN);
    command.args(["sim", "run"]).arg(&path).args(["--k", K, "--opc", OPC]);
    let output = command.kill_on_drop(true).output().await?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(!output.status.success(), "it was played");
    for part in ["wrong.yaml:3:", "steps[1].handover.to", "somewhere"] {
        ensure!(said.contains(part), "{part}: {said}");
    }
    Ok(())
}
