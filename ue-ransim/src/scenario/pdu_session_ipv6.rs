//! PDU sessions of type IPv6 and IPv4v6: the UE's addresses of what a router advertises (TS 23.501 §5.8.2.2).

use std::time::Duration;

use tern_nas::nas_5gs::PduSessionTypeValue;

use super::{Scenario, Stage};
use crate::error::SimError;
use crate::ue::SessionRequest;

pub(super) const IPV6: Scenario = Scenario {
    name: "pdu-session-ipv6",
    about: "a session of type IPv6: address by router advertisement, idle and awake again with the same one",
    ues: 1,
    gnbs: 1,
    play: |stage| Box::pin(play(stage, PduSessionTypeValue::Ipv6)),
};

pub(super) const IPV4V6: Scenario = Scenario {
    name: "pdu-session-ipv4v6",
    about: "a session with an IPv4 address and an IPv6 prefix; pings over both",
    ues: 1,
    gnbs: 1,
    play: |stage| Box::pin(play(stage, PduSessionTypeValue::Ipv4v6)),
};

/// How long the advertisement may take that comes without asking.
const WITHIN: Duration = Duration::from_secs(5);

async fn play(stage: &mut Stage, kind: PduSessionTypeValue) -> Result<(), SimError> {
    let mut ue = stage.ue(0)?;
    stage.step("registration", ue.register()).await?;
    let request = SessionRequest { kind, ..SessionRequest::default() };
    let mut session = stage.step("PDU session establishment", ue.establish_session(request)).await?;
    stage.check("an IPv6 link", session.ipv6.is_some(), "the session has none")?;
    let wants_both = kind == PduSessionTypeValue::Ipv4v6;
    let has = session.address;
    stage.check("an IPv4 address if it was asked for", has.is_ipv4() == wants_both, has)?;
    // Without a user plane nobody advertises.
    let has_user_plane = stage.config.ping_target_ipv6.is_some();
    if has_user_plane {
        stage.step("router advertisement", session.await_advertisement(WITHIN)).await?;
        stage.step("router solicitation", session.solicit_router()).await?;
    }
    stage.ping_ipv6(&mut session).await?;
    if wants_both {
        stage.ping(&mut session).await?;
    }
    stage.go_idle(&mut ue).await?;
    stage.step("service request for uplink data", ue.wake(&mut session)).await?;
    if has_user_plane {
        let before = session.ipv6.and_then(|link| link.address);
        let after = stage.step("router solicitation", session.solicit_router()).await?;
        stage.check("the same address", before == Some(after), after)?;
    }
    stage.ping_ipv6(&mut session).await?;
    stage.step("PDU session release", ue.release_session(session.psi)).await?;
    stage.step("de-registration", ue.deregister(false)).await
}
