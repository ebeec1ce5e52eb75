//! The edge: serving and stopping.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use serde_json::json;
use tern_nf::{Env, Nf, ProfileSeed, Shutdown};
use tern_sbi::common::{NfType, ServiceName};
use tokio::sync::Semaphore;

use crate::Config;
use crate::associations::Associations;
use crate::sbi::{self, Context};

/// Decisions that are pushed at the same time; more are counted and not pushed.
const PUSHES_MAX: usize = 1024;

/// Serves until `shutdown` asks to stop.
pub async fn run(config: Config, env: Env, shutdown: Shutdown) -> anyhow::Result<()> {
    if let Err(error) = config.check() {
        bail!("configuration: {error}");
    }
    let max = config.associations_max;
    let access = Associations::open(env.store.clone(), "pcf/am/", max).await.context("AM policies")?;
    let sessions = Associations::open(env.store.clone(), "pcf/sm/", max).await.context("SM policies")?;
    let prepared = Nf::prepare(&env, &config.sbi, NfType::Pcf).await?;
    let context = Arc::new(Context {
        env: env.clone(),
        consumer: prepared.consumer(),
        api_root: prepared.api_root(),
        access,
        sessions,
        config,
        pushes: Arc::new(Semaphore::new(PUSHES_MAX)),
    });
    let shown = context.clone();
    env.status.set(move || json!({ "amPolicies": shown.access.len(), "smPolicies": shown.sessions.len() }));
    let services = vec![ServiceName::NpcfAmPolicyControl, ServiceName::NpcfSmpolicycontrol];
    let serving = prepared.run(ProfileSeed::new(NfType::Pcf, services), sbi::routes(&context), &shutdown);
    if !context.config.access_needs_categories() && !context.config.sessions_need_categories() {
        return serving.await;
    }
    tokio::select! {
        biased;
        ended = serving => ended,
        never = sbi::stay_subscribed(&context) => match never {},
    }
}
