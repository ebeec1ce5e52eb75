//! What the operator changes while UEs are registered, with every process: TS 23.502 §4.2.2.3.3, §4.3.3.2,
//! §4.5.1.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tern_tests::core::SUPI;
use tern_tests::topology::DN_ADDRESS;
use ue_ransim::SimError;
use ue_ransim::ue::Ue;

use crate::world::{World, clean, isolated};

/// How long a change may take to reach the UE.
const WITHIN: Duration = Duration::from_secs(5);
/// How the UDM has subscribed to changes at the UDR: what was changed before, nobody has heard of.
const SUBSCRIPTION_DATA: &str = "Nudr_DR_SubscriptionDataSubscriptions";

#[test]
fn when_the_operator_changes_a_subscriber_then_its_session_has_other_rules_and_rates_at_once() {
    isolated(
        "data_changes::when_the_operator_changes_a_subscriber_then_its_session_has_other_rules_and_rates_at_once",
        policy,
    );
}

/// Who is gold has a video flow of a guaranteed rate.
const POLICIES: &str = "
policies:
  sessions:
    - when: { categories: [gold] }
      rules:
        - name: video
          precedence: 10
          flows: [permit out 17 from 192.0.2.0/24 to assigned]
          five_qi: 2
          maximum: { uplink: 4 Mbps, downlink: 8 Mbps }
          guaranteed: { uplink: 1 Mbps, downlink: 2 Mbps }
";

/// A core with these policies, of whose changes everybody hears, and a subscriber.
async fn with_policies() -> Result<World> {
    let mut world = World::start(POLICIES).await?;
    for subscription in [SUBSCRIPTION_DATA, "Nudr_DR_CreateIndividualPolicyDataSubscription"] {
        world.logged(&["subscribed", subscription]).await?;
    }
    world.add_subscribers(1).await?;
    Ok(world)
}

async fn policy() -> Result<()> {
    let mut world = with_policies().await?;
    let config = world.config(1);
    let mut rig = world.rig(config).await?;
    let mut ue = rig.ue(0)?;
    ue.register().await?;
    let mut session = ue.establish_session(Default::default()).await?;
    let pause = Duration::from_millis(10);
    session.ping(DN_ADDRESS, 3, pause).await?;

    world.tern(&["subscriber", "set", SUPI, "--category", "gold"]).await?;
    until(&mut ue, "the rule", |ue| {
        ue.session_qos(session.psi)
            .is_some_and(|qos| qos.rules() == 2 && qos.guaranteed_kbps(2) == Some(2000))
    })
    .await?;
    session.ping(DN_ADDRESS, 3, pause).await?;

    world.tern(&["subscriber", "set", SUPI, "--no-category", "--ue-ambr", "3 Mbps/4 Mbps"]).await?;
    until(&mut ue, "no rule", |ue| ue.session_qos(session.psi).is_some_and(|qos| qos.rules() == 1)).await?;
    until(&mut ue, "the UE-AMBR", |ue| {
        let ambr = ue.link().and_then(|link| link.ue_ambr());
        ambr.is_some_and(|ambr| ambr.downlink.bps() == 4_000_000)
    })
    .await?;
    session.ping(DN_ADDRESS, 3, pause).await?;
    ue.deregister(false).await?;
    rig.stop().await;
    clean(&rig)?;
    world.wait_for_nobody().await?;
    world.finish().await
}

#[test]
fn when_a_gnb_has_no_resources_for_a_flow_then_it_is_taken_back_and_the_operator_hears_of_it() {
    isolated(
        "data_changes::when_a_gnb_has_no_resources_for_a_flow_then_it_is_taken_back_and_the_operator_hears_of_it",
        flow_refused,
    );
}

/// TS 23.502 §4.3.3.2, TS 29.512 §4.2.4.
async fn flow_refused() -> Result<()> {
    let mut world = with_policies().await?;
    let config = world.config(1);
    let mut rig = world.rig(config).await?;
    rig.gnbs[0].refuse_flows(&[2]);
    let mut ue = rig.ue(0)?;
    ue.register().await?;
    let mut session = ue.establish_session(Default::default()).await?;
    world.tern(&["subscriber", "set", SUPI, "--category", "gold"]).await?;
    // The UE has the rule for a moment.
    world.logged(&["PCC rules that the SMF does not enforce", "video INACTIVE RES_ALLO_FAIL"]).await?;
    ue.idle(Duration::from_secs(1)).await?;
    ensure!(ue.session_qos(session.psi).is_some_and(|qos| qos.rules() == 1), "the rule is still there");
    let pause = Duration::from_millis(10);
    session.ping(DN_ADDRESS, 3, pause).await?;

    // There is room again, and the rule is decided anew.
    rig.gnbs[0].refuse_flows(&[]);
    for categories in [&["--no-category"][..], &["--category", "gold"]] {
        world.tern(&[&["subscriber", "set", SUPI], categories].concat()).await?;
    }
    until(&mut ue, "the rule", |ue| ue.session_qos(session.psi).is_some_and(|qos| qos.rules() == 2)).await?;
    session.ping(DN_ADDRESS, 3, pause).await?;
    ue.deregister(false).await?;
    rig.stop().await;
    clean(&rig)?;
    world.wait_for_nobody().await?;
    world.finish().await
}

#[test]
fn when_a_subscriber_is_barred_or_removed_then_its_ue_is_deregistered() {
    isolated("data_changes::when_a_subscriber_is_barred_or_removed_then_its_ue_is_deregistered", withdrawn);
}

async fn withdrawn() -> Result<()> {
    let mut world = World::start("").await?;
    world.logged(&["subscribed", SUBSCRIPTION_DATA]).await?;
    world.add_subscribers(1).await?;
    let config = world.config(1);
    let mut rig = world.rig(config).await?;
    let mut ue = rig.ue(0)?;
    ue.register().await?;
    let _session = ue.establish_session(Default::default()).await?;
    world.tern(&["subscriber", "bar", SUPI]).await?;
    until(&mut ue, "deregistered", |ue| !ue.is_registered()).await?;
    refused(&mut ue, 11).await?;
    world.tern(&["subscriber", "unbar", SUPI]).await?;
    ue.register().await?;
    let _session = ue.establish_session(Default::default()).await?;
    ue.go_idle().await?;
    // The UE is paged to hear of it.
    world.tern(&["subscriber", "remove", SUPI]).await?;
    until(&mut ue, "deregistered", |ue| !ue.is_registered()).await?;
    refused(&mut ue, 3).await?;
    rig.stop().await;
    clean(&rig)?;
    world.wait_for_nobody().await?;
    world.finish().await
}

/// Lives on until something holds.
async fn until(ue: &mut Ue, what: &str, holds: impl Fn(&Ue) -> bool) -> Result<()> {
    let end = tokio::time::Instant::now() + WITHIN;
    while !holds(ue) {
        ensure!(tokio::time::Instant::now() < end, "within {WITHIN:?}: {what}");
        ue.idle(Duration::from_millis(50)).await?;
    }
    Ok(())
}

async fn refused(ue: &mut Ue, expected: u8) -> Result<()> {
    let rejected = ue.register().await.err().context("registered")?;
    ensure!(matches!(rejected, SimError::Rejected { cause, .. } if cause == expected), "{rejected}");
    Ok(())
}
