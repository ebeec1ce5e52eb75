//! What of the AMF is in the store, where its environment keeps one beyond the process.

use anyhow::{Context as _, Result};
use tern_nf::{Change, Env, Kept};
use tern_types::Instant;

use crate::n2::Outbox;
use crate::n2::message::Place;
use crate::record::{self, ARRIVALS, DEPARTING, Left, OWN, UES};

/// Where the records of an AMF are in its store.
const PREFIX: &str = "amf/";
/// How far the AMF has heard N2.
const HEARD: &str = "heard";
/// What N2 has not been told.
const UNSAID: &str = "unsaid";

/// What the process before this one has left, and the edge's part of it.
#[derive(Default)]
pub(crate) struct Found {
    /// Since when contexts are kept: the recovery time of the profile at the NRF.
    pub since: Option<Instant>,
    /// For the core.
    pub left: Left,
    /// How far N2 was heard.
    pub heard: Option<Place>,
    /// What N2 was not told.
    pub outbox: Outbox,
}

/// The store, if it outlives the process.
pub(crate) fn of(env: &Env) -> Option<Kept> {
    Kept::of(env, PREFIX)
}

/// Reads all of it.
pub(crate) async fn load(kept: &Kept, now: Instant) -> Result<Found> {
    let own = kept.get(OWN).await?;
    let own = own.map(|octets| record::read_own(&octets)).transpose().context("amf/own of the store")?;
    let heard = kept.get(HEARD).await?;
    let heard = heard.map(|octets| serde_json::from_slice(&octets)).transpose();
    let unsaid = kept.get(UNSAID).await?.unwrap_or_default();
    let left = Left {
        ues: kept.all(UES, record::read_ue).await?,
        departing: kept.all(DEPARTING, record::read_departing).await?,
        arrivals: kept.all(ARRIVALS, record::read_arrival).await?,
        own,
    };
    Ok(Found {
        since: Some(kept.since(now).await?),
        left,
        heard: heard.context("amf/heard of the store")?,
        outbox: Outbox::read(&unsaid).context("amf/unsaid of the store: no frames")?,
    })
}

/// What is to be stored of what N2 has not been told.
pub(crate) fn unsaid(outbox: &Outbox) -> Change {
    Change { key: UNSAID.to_owned(), record: Some(outbox.record()) }
}

/// What is to be stored of how far N2 is heard.
pub(crate) fn heard(place: Place) -> Result<Change, serde_json::Error> {
    Ok(Change { key: HEARD.to_owned(), record: Some(serde_json::to_vec(&place)?) })
}
