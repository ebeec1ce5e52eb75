//! The edge: serving and stopping.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use serde_json::json;
use tern_nf::{Env, Nf, ProfileSeed, Shutdown};
use tern_sbi::common::{NfType, ServiceName};

use crate::Config;
use crate::associations::Associations;
use crate::sbi::{self, Context};

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
    });
    let shown = context.clone();
    env.status.set(move || json!({ "amPolicies": shown.access.len(), "smPolicies": shown.sessions.len() }));
    let services = vec![ServiceName::NpcfAmPolicyControl, ServiceName::NpcfSmpolicycontrol];
    prepared.run(ProfileSeed::new(NfType::Pcf, services), sbi::routes(&context), &shutdown).await
}
