//! `tern locate`: where a UE is, by Namf_Location.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use tern_sbi::Method;
use tern_sbi::namf_loc::{ProvideLocInfo, RequestLocInfo};
use tern_types::Supi;

use crate::client::Client;
use crate::core_config::{CoreConfig, Nf};

#[derive(Args)]
#[command(
    after_help = "Without --current the AMF says where the UE was last. With it the gNB is asked, and an \
                        idle UE is paged."
)]
pub struct Arguments {
    /// imsi-…
    supi: Supi,
    /// Where it is now
    #[arg(long)]
    current: bool,
    /// The file that `tern up` was given
    #[arg(long)]
    config: Option<PathBuf>,
    /// apiRoot of the AMF, if not the one of `tern up`: http://10.0.0.16:8080
    #[arg(long)]
    amf: Option<String>,
    /// Print the AMF's answer as JSON
    #[arg(long)]
    json: bool,
}

/// Asks, and prints the answer.
pub async fn run(arguments: Arguments) -> Result<()> {
    let config = CoreConfig::load(arguments.config.as_deref())?;
    let amf = arguments.amf.unwrap_or_else(|| config.sbi(Nf::Amf).api_root());
    let request = RequestLocInfo {
        req_5gs_loc: Some(true),
        req_current_loc: Some(arguments.current),
        ..RequestLocInfo::default()
    };
    let path = format!("/namf-loc/v1/{}/provide-loc-info", arguments.supi);
    let content = Some(serde_json::to_vec(&request)?);
    let reply = Client::new(&config)?.send(&amf, Method::Post, &path, &[], content).await;
    let reply = reply.with_context(|| arguments.supi.to_string())?;
    let answer = reply.body.json().context("an answer without content")?;
    let info: ProvideLocInfo = serde_json::from_slice(&answer).context("an answer that is no location")?;
    let text = if arguments.json { serde_json::to_string_pretty(&info)? } else { in_words(&info) };
    crate::print(&format!("{text}\n"))
}

fn in_words(info: &ProvideLocInfo) -> String {
    let place = info.location.as_ref().and_then(|location| location.nr_location.as_ref());
    let Some(place) = place else { return "nowhere yet".into() };
    let when = match (info.current_loc, info.location_age) {
        (Some(true), _) => "now".to_owned(),
        (_, Some(minutes)) => format!("{minutes} min ago"),
        (_, None) => "some time ago".to_owned(),
    };
    let network = place.ncgi.plmn_id;
    format!("network {network}  tracking area {}  cell {}  {when}", place.tai.tac, place.ncgi.nr_cell_id)
}
