//! The straight way of most packets: of a session whose FARs do nothing but forward, each direction one way, and whose
//! rules ask one meter and count in one place at most. Its packets need two lines of memory that are the session's own:
//! the one in the worker's table, where this is, and one of what they are metered and counted in.

use std::net::Ipv4Addr;
use std::sync::Arc;

use super::forward::{Context, Verdict, is_spoofed, tell};
use super::look::Look;
use super::{Account, Action, DropReason, Packet, Pdr, Places, Session, SharedRules, Side, Towards, Tunnel};

/// Where such a session's packets go, and what they pass on the way.
#[derive(Debug)]
pub(crate) struct Straight {
    rules: Arc<SharedRules>,
    /// Of the QER that rules meter by.
    meters: Option<Arc<Account>>,
    /// Of the URR that rules count in.
    counts: Option<Arc<Account>>,
    /// To the gNB.
    tunnel: Tunnel,
    ue_address: Option<Ipv4Addr>,
    /// The data network, by its index in the configuration.
    network: u16,
}

impl Straight {
    /// `None` if packets of the session may need more.
    pub(crate) fn of(session: &Session) -> Option<Self> {
        let has_origins = session.rare.as_ref().is_some_and(|rare| !rare.origins.is_empty());
        if session.is_unusual || has_origins {
            return None;
        }
        let (uplink, downlink) = (session.rules.uplink.all(), session.rules.downlink.all());
        let Action::ToNetwork(network) = the_action(session, uplink)? else { return None };
        let Action::ToTunnel(tunnel) = the_action(session, downlink)? else { return None };
        let all = || uplink.iter().chain(downlink);
        let meters = the_place(all().map(|rule| &rule.meters))?;
        let counts = the_place(all().map(|rule| &rule.usages))?;
        (tunnel.towards == Towards::Access).then(|| Self {
            rules: session.rules.clone(),
            meters: meters.and_then(|place| session.qers.get(place)?.meters.clone()),
            counts: counts.and_then(|place| Some(session.usages.get(place)?.usage.clone())),
            tunnel: tunnel.clone(),
            ue_address: session.ue_address,
            network: *network,
        })
    }

    /// Asks for what a packet of this direction needs besides the session.
    #[inline]
    pub(crate) fn prefetch(&self, uplink: bool) {
        let (meters, counts) = (self.meters.as_ref(), self.counts.as_ref());
        meters.iter().for_each(|account| account.prefetch(uplink));
        counts.iter().for_each(|account| account.prefetch(uplink));
    }

    /// Does with a user packet of the session what its rules say, in the order in which all others have it done.
    #[inline]
    pub(super) fn pass(
        &self,
        context: &mut Context<'_>,
        session: &Session,
        look: &Look,
        packet: &mut Packet,
    ) -> Result<Verdict, DropReason> {
        let uplink = packet.side == Side::Access;
        let rule = look.rule_of(uplink, &self.rules);
        let is_from_ue = || look.source_v4().is_some_and(|source| Some(source) == self.ue_address);
        if uplink && !is_from_ue() && is_spoofed(session, look, packet, rule) {
            return Err(DropReason::SpoofedSource);
        }
        let rule = rule.ok_or(DropReason::NoRule)?;
        packet.narrow(look.front.into(), look.total_length as usize);
        let octets = packet.len();
        let counts = self.counts.as_deref().filter(|_| !rule.usages.is_empty());
        if counts.is_some_and(|counts| counts.is_exhausted(uplink)) {
            return Err(DropReason::QuotaExhausted);
        }
        let meters = self.meters.as_deref().filter(|_| !rule.meters.is_empty());
        if meters.is_some_and(|meters| !meters.meter(uplink).take(octets, context.now_ns, context.alone)) {
            return Err(DropReason::RateExceeded);
        }
        let reached = counts.map_or(0, |counts| counts.count(uplink, octets, context.alone));
        if reached != 0 {
            rule.usages.of(&session.usages).for_each(|urr| tell(context, session.seid, urr, reached));
        }
        context.forwarded.add(uplink, octets);
        if uplink {
            return Ok(Verdict::ToNetwork(self.network));
        }
        let flow = rule.flow.as_ref();
        self.tunnel.wrap(packet, flow.and_then(|flow| flow.dscp), flow.map(|flow| flow.container))
    }
}

/// What all these rules do with packets.
fn the_action<'s>(session: &'s Session, rules: &[Pdr]) -> Option<&'s Action> {
    let (first, others) = rules.split_first()?;
    others.iter().all(|rule| rule.action == first.action).then(|| session.action(first))
}

/// The only place that any of these lead to, `Some(None)` if they lead nowhere, `None` if there is another.
fn the_place<'a>(mut all: impl Iterator<Item = &'a Places>) -> Option<Option<usize>> {
    all.try_fold(None, |known, places| match (known, places.as_slice()) {
        (_, []) => Some(known),
        (None, &[place]) => Some(Some(usize::from(place))),
        (Some(known), &[place]) if known == usize::from(place) => Some(Some(known)),
        _ => None,
    })
}
