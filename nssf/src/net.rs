//! The edge: serving and stopping.

use std::sync::Arc;

use anyhow::bail;
use serde_json::json;
use tern_nf::{Env, Nf, ProfileSeed, Routes, Shutdown};
use tern_sbi::common::{NfType, ServiceName};
use tern_sbi::nnssf_nsselection::{AuthorizedNetworkSliceInfo, GetSliceSelectionInfo};
use tern_sbi::{ProblemDetails, Response, cause};

use crate::Config;
use crate::selection::{self, Asker};

/// Serves until `shutdown` asks to stop.
pub async fn run(config: Config, env: Env, shutdown: Shutdown) -> anyhow::Result<()> {
    if let Err(error) = config.check() {
        bail!("configuration: {error}");
    }
    let config = Arc::new(config);
    let shown = config.clone();
    env.status.set(move || json!({ "plmns": shown.plmns.len() }));
    let (answering, counters) = (config.clone(), env.counters.clone());
    let routes = Routes::new().on(move |_, op: GetSliceSelectionInfo| {
        let answer = answer(&answering, &op);
        counters.add(if answer.is_ok() { "nssf.selected" } else { "nssf.refused" }, 1);
        std::future::ready(answer.map(Response::ok).map_err(Into::into))
    });
    let profile = ProfileSeed {
        plmns: config.plmns.iter().map(|plmn| plmn.plmn).collect(),
        ..ProfileSeed::new(NfType::Nssf, vec![ServiceName::NnssfNsselection])
    };
    Nf::prepare(&env, &config.sbi, NfType::Nssf).await?.run(profile, routes, &shutdown).await
}

/// Nnssf_NSSelection_Get: TS 29.531 §5.2.2.2.
fn answer(config: &Config, op: &GetSliceSelectionInfo) -> Result<AuthorizedNetworkSliceInfo, ProblemDetails> {
    let asker = Asker { nf_id: op.nf_id, tai: op.tai, home_plmn: op.home_plmn_id };
    let answer = match (&op.registration, &op.pdu_session) {
        (Some(info), None) => selection::for_registration(config, &asker, info),
        (None, Some(info)) => selection::for_pdu_session(config, &asker, info),
        (None, None) | (Some(_), Some(_)) => Err(ProblemDetails::invalid(
            cause::MANDATORY_QUERY_PARAM_MISSING,
            "slice-info-request-for-registration",
            "expected this or slice-info-request-for-pdu-session, and not both",
        )),
    };
    if let Err(problem) = &answer {
        tracing::warn!(amf = %op.nf_id, tai = ?op.tai, %problem, "slice selection refused");
    }
    answer
}
