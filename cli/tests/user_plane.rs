//! The UPF as a process, with real packets, to the packet and to the octet. `make check-upf` does the same long,
//! with rates, on both packet backends.

use std::path::Path;

use anyhow::{Result, ensure};
use tern_tests::core::UpfIo;
use tern_tests::netns::remove_orphans;
use tern_tests::upf::scenarios::{Finding, buffering, gates, quotas, usage};
use tern_tests::upf::{Rig, UpfSetup};

use crate::world::{TERN, isolated};

/// Packets in each direction that usage is compared by.
const PACKETS: u32 = 100_000;
/// Packets that a quota lets pass.
const QUOTA: u32 = 5_000;
/// Packets that may wait of a session, by the default configuration.
const BOUND: u32 = 64;

/// A UPF with two UEs.
async fn rig(directory: &Path, workers: usize) -> Result<Rig> {
    remove_orphans()?;
    let setup = UpfSetup { io: UpfIo::Kernel, workers, more: String::new() };
    Rig::start("up", Path::new(TERN), directory, &setup, 2).await
}

fn hold(findings: &[Finding]) -> Result<()> {
    for finding in findings {
        ensure!(finding.ok, "{}: wanted {}, got {}", finding.what, finding.wanted, finding.measured);
    }
    Ok(())
}

#[test]
fn when_a_ue_is_idle_then_its_packets_wait_up_to_the_bound_and_leave_in_order_and_the_smf_is_told_once() {
    isolated(
        "user_plane::when_a_ue_is_idle_then_its_packets_wait_up_to_the_bound_and_leave_in_order_and_the_smf_is_told_once",
        || async {
            let files = tempfile::tempdir()?;
            let one = rig(files.path(), 1).await?;
            hold(&buffering(&one, BOUND, true).await?)?;
            one.stop().await?;
            let two = rig(files.path(), 2).await?;
            hold(&buffering(&two, BOUND, false).await?)?;
            two.stop().await.map(drop)
        },
    );
}

#[test]
fn when_usage_is_counted_then_it_is_what_was_sent_to_the_octet() {
    isolated("user_plane::when_usage_is_counted_then_it_is_what_was_sent_to_the_octet", || async {
        let files = tempfile::tempdir()?;
        let rig = rig(files.path(), 1).await?;
        hold(&usage(&rig, PACKETS).await?)?;
        rig.stop().await.map(drop)
    });
}

#[test]
fn when_a_quota_is_used_up_or_a_gate_closed_then_exactly_the_packets_that_may_pass_do() {
    isolated(
        "user_plane::when_a_quota_is_used_up_or_a_gate_closed_then_exactly_the_packets_that_may_pass_do",
        || async {
            let files = tempfile::tempdir()?;
            let rig = rig(files.path(), 1).await?;
            hold(&quotas(&rig, QUOTA).await?)?;
            hold(&gates(&rig).await?)?;
            rig.stop().await.map(drop)
        },
    );
}
