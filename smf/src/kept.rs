//! What of the SMF is in the store, where its environment keeps one beyond the process: SM contexts, the associations
//! with UPFs, and since when they are kept.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail};
use tern_n4::Association;
use tern_nf::{Change, Env, Kept};
use tern_pfcp::{AssociationSetupResponse, Cause, Frame, Message, RecoveryTimeStamp};
use tern_store::StoreError;
use tern_types::Instant;

use crate::record::{self, CONTEXTS, Restored};

/// Where the records of an SMF are in its store.
const PREFIX: &str = "smf/";
const ASSOCIATIONS: &str = "association/";

/// What the process before this one has left.
pub(crate) struct Left {
    /// Since when contexts are kept: the recovery time of N4 and of the profile at the NRF.
    pub since: Instant,
    /// SM contexts.
    pub contexts: Vec<Restored>,
    /// Associations with UPFs.
    pub associations: Vec<Association>,
}

/// The store, if it outlives the process.
pub(crate) fn of(env: &Env) -> Option<Kept> {
    Kept::of(env, PREFIX)
}

/// Reads all of it.
pub(crate) async fn load(kept: &Kept, now: Instant) -> Result<Left> {
    Ok(Left {
        since: kept.since(now).await?,
        contexts: kept.all(CONTEXTS, |_, octets| record::read(octets)).await?,
        associations: kept.all(ASSOCIATIONS, association).await?,
    })
}

/// Stores an association.
pub(crate) async fn associated(kept: &Kept, association: &Association) -> Result<(), StoreError> {
    let setup = AssociationSetupResponse {
        node_id: association.node_id.clone(),
        cause: Cause::REQUEST_ACCEPTED,
        recovery_time_stamp: association.recovery_time_stamp,
        up_function_features: Some(association.up_function_features),
        cp_function_features: Some(association.cp_function_features),
        ..Default::default()
    };
    let octets = Frame::node(0, setup.into()).encode();
    let octets = octets.map_err(|error| StoreError::Engine(error.to_string()))?;
    kept.save([change(association.address, Some(octets))]).await
}

/// An association is no more.
pub(crate) async fn parted(kept: &Kept, from: SocketAddr) -> Result<(), StoreError> {
    kept.save([change(from, None)]).await
}

fn change(address: SocketAddr, record: Option<Vec<u8>>) -> Change {
    Change { key: format!("{ASSOCIATIONS}{address}"), record }
}

/// The recovery time stamp of that time: seconds since 1900 (RFC 5905).
pub(crate) fn stamp(at: Instant) -> RecoveryTimeStamp {
    /// Seconds from 1900 to 1970.
    const NTP_TO_UNIX_S: u64 = 2_208_988_800;
    let seconds = (at.as_micros() / 1_000_000 + NTP_TO_UNIX_S) & u64::from(u32::MAX);
    RecoveryTimeStamp(seconds as u32)
}

fn association(address: &str, octets: &[u8]) -> Result<Association> {
    let Message::AssociationSetupResponse(setup) = Frame::decode(octets)?.message else {
        bail!("another message");
    };
    Ok(Association {
        address: address.parse().context("no address")?,
        node_id: setup.node_id,
        recovery_time_stamp: setup.recovery_time_stamp,
        up_function_features: setup.up_function_features.unwrap_or_default(),
        cp_function_features: setup.cp_function_features.unwrap_or_default(),
    })
}
