//! From forwarding action rules to what the data path does: TS 29.244 §5.2.3, §7.5.2.3.

use std::net::IpAddr;

use tern_pfcp::*;

use super::compile::{Surroundings, network};
use super::rules::Refusal;
use crate::config::{Addresses, N3Config, N9Config};
use crate::path::{
    self, Action, COPIES_MAX, Copy, Marking, More, Redirect, Towards, Tunnel, http_redirection,
};

const DUPLICATING_PARAMETERS: u16 = 5;
const REDIRECT_INFORMATION: u16 = 38;
const FORWARDING_POLICY: u16 = 41;
const APPLY_ACTION: u16 = 44;
const OUTER_HEADER_CREATION: u16 = 84;
const HEADER_ENRICHMENT: u16 = 98;

/// What can be done.
const ACTIONS: u16 = ApplyAction::DROP.0
    | ApplyAction::FORW.0
    | ApplyAction::BUFF.0
    | ApplyAction::NOCP.0
    | ApplyAction::DUPL.0;

/// What a FAR does, and what it does besides.
pub(super) fn compile_far(far: &CreateFar, around: &Surroundings<'_>) -> Result<(Action, More), Refusal> {
    let refuse = |ie, why| Refusal::rule(FailedRuleId::Far(far.far_id), ie, why);
    let asked = far.apply_action;
    if asked.0 & !ACTIONS != 0 {
        return Err(refuse(APPLY_ACTION, "the apply action has flags that are not supported"));
    }
    let way = ApplyAction::DROP.0 | ApplyAction::FORW.0 | ApplyAction::BUFF.0;
    if asked.0 & way == 0 {
        return Err(refuse(APPLY_ACTION, "the apply action is none that can be done"));
    }
    let mut more = More::default();
    if asked.contains(ApplyAction::DUPL) {
        more.copies = copies(far, around)?;
    }
    let action = if asked.contains(ApplyAction::DROP) {
        Action::Drop
    } else if asked.contains(ApplyAction::BUFF) {
        // What waits is copied when it leaves.
        Action::Buffer { notify: asked.contains(ApplyAction::NOCP) }
    } else {
        forward(far, around, &mut more)?
    };
    Ok((action, more))
}

fn forward(far: &CreateFar, around: &Surroundings<'_>, more: &mut More) -> Result<Action, Refusal> {
    let refuse = |ie, why| Refusal::rule(FailedRuleId::Far(far.far_id), ie, why);
    let Some(to) = &far.forwarding_parameters else { return Ok(Action::Nowhere) };
    no_policy(to.forwarding_policy.as_ref(), far.far_id)?;
    if to.unknown.iter().any(|ie| ie.ie_type == HEADER_ENRICHMENT) {
        return Err(refuse(HEADER_ENRICHMENT, "headers are not enriched"));
    }
    let to_network = network(to.network_instance.as_ref(), around);
    if let Some(information) = &to.redirect_information {
        let redirect = redirect(information, to_network).map_err(|why| refuse(REDIRECT_INFORMATION, why))?;
        more.redirect = Some(redirect);
        return Ok(Action::ToNetwork(to_network));
    }
    match (to.destination_interface, to.outer_header_creation) {
        (interface, Some(header)) => {
            let marking = marking(to.transport_level_marking, around);
            let tunnel = tunnel(&header, marking, (interface, to.network_instance.as_ref()), around)
                .map_err(|why| refuse(OUTER_HEADER_CREATION, why))?;
            Ok(Action::ToTunnel(tunnel))
        }
        (Interface::Core | Interface::N6Lan, None) => Ok(Action::ToNetwork(to_network)),
        (_, None) => Ok(Action::Nowhere),
    }
}

fn tunnel(
    header: &OuterHeaderCreation,
    marking: Marking,
    way: Way<'_>,
    around: &Surroundings<'_>,
) -> Result<Tunnel, &'static str> {
    let teid = header.teid.ok_or("only GTP-U headers can be created")?;
    let (interface, ours) = end_of(way, around.n3, around.n9);
    let peer = peer(header, ours).ok_or("we have no address of the tunnel's version of IP")?;
    Ok(Tunnel::new(teid, peer, marking.from(interface), towards(way.0)))
}

/// The side that a way leads to.
fn towards(side: Interface) -> Towards {
    match side {
        Interface::Access => Towards::Access,
        Interface::CpFunction => Towards::Control,
        _ => Towards::Core,
    }
}

/// What N4 says of a way: the side, and the network instance.
pub(super) type Way<'a> = (Interface, Option<&'a Name>);

/// Whose tunnels a way is of: N9's are those of the core side, and those of its network instance.
pub(super) fn interface_of((side, instance): Way<'_>, n9: Option<&N9Config>) -> path::ReferencePoint {
    let Some(n9) = n9 else { return path::ReferencePoint::N3 };
    let own = n9.network_instance.as_deref();
    let is_named = instance.is_some_and(|name| own.is_some_and(|own| own.eq_ignore_ascii_case(&name.0)));
    if side == Interface::Core || is_named { path::ReferencePoint::N9 } else { path::ReferencePoint::N3 }
}

/// The interface of a way, and our addresses there.
fn end_of(way: Way<'_>, n3: &N3Config, n9: Option<&N9Config>) -> (path::ReferencePoint, Addresses) {
    let interface = interface_of(way, n9);
    let own = n9.filter(|_| interface == path::ReferencePoint::N9).map(|n9| n9.address);
    (interface, own.unwrap_or(n3.address))
}

/// The tunnel of forwarding parameters, for what leaves by it besides packets.
pub(super) fn bare_tunnel(to: &ForwardingParameters, n3: &N3Config, n9: Option<&N9Config>) -> Option<Tunnel> {
    let header = to.outer_header_creation.as_ref()?;
    let (interface, ours) = end_of((to.destination_interface, to.network_instance.as_ref()), n3, n9);
    Some(Tunnel::new(
        header.teid?,
        peer(header, ours)?,
        Marking::default().from(interface),
        towards(to.destination_interface),
    ))
}

/// The address at the other end of a tunnel. Of two addresses the UP function may take either (TS 29.244
/// §8.2.56): IPv4, if we have that.
fn peer(header: &OuterHeaderCreation, ours: Addresses) -> Option<IpAddr> {
    let theirs = Addresses { ipv4: header.ipv4, ipv6: header.ipv6 };
    theirs.all().find(|address| ours.like(*address).is_some())
}

/// The outer header's DSCP: what the SMF says (TS 29.244 §8.2.12); of the rest, where the configuration has
/// nothing for the QFI, the packet's own or none.
fn marking(said: Option<TransportLevelMarking>, around: &Surroundings<'_>) -> Marking {
    let configured = if around.n3.dscp_from_inner { Marking::INNER } else { Marking::default() };
    said.map_or(configured, |TransportLevelMarking([value, mask])| configured.with(value, mask))
}

/// There are no forwarding policies in our configuration.
fn no_policy(policy: Option<&ForwardingPolicy>, far: FarId) -> Result<(), Refusal> {
    match policy {
        None => Ok(()),
        Some(_) => {
            let unknown =
                Refusal::rule(FailedRuleId::Far(far), FORWARDING_POLICY, "no forwarding policy is known");
            Err(Refusal { cause: Cause::INVALID_FORWARDING_POLICY, ..unknown })
        }
    }
}

/// TS 29.244 §8.2.20.
fn redirect(information: &RedirectInformation, network: u16) -> Result<Redirect, &'static str> {
    match information {
        RedirectInformation::Ipv4(address) | RedirectInformation::Both(address, _) => {
            Ok(Redirect::Address(*address))
        }
        RedirectInformation::Url(url) => {
            let response = http_redirection(url).ok_or("the URL cannot stand in a response of HTTP")?;
            Ok(Redirect::Http { response, network })
        }
        RedirectInformation::Ipv6(_) => Err("nothing is redirected to IPv6 addresses"),
        RedirectInformation::SipUri(_) => Err("SIP is not redirected"),
        RedirectInformation::Other(..) => Err("a redirection of an unknown kind"),
    }
}

fn copies(far: &CreateFar, around: &Surroundings<'_>) -> Result<Box<[Copy]>, Refusal> {
    let refuse = |ie, why| Refusal::rule(FailedRuleId::Far(far.far_id), ie, why);
    let all = &far.duplicating_parameters;
    if all.is_empty() {
        let cause = Cause::CONDITIONAL_IE_MISSING;
        return Err(Refusal { cause, ..refuse(DUPLICATING_PARAMETERS, "it is not said where copies go") });
    }
    if all.len() > COPIES_MAX {
        let cause = Cause::NO_RESOURCES_AVAILABLE;
        return Err(Refusal { cause, ..refuse(DUPLICATING_PARAMETERS, "too many copies of a packet") });
    }
    let copy = |to: &DuplicatingParameters| {
        no_policy(to.forwarding_policy.as_ref(), far.far_id)?;
        match (to.destination_interface, to.outer_header_creation) {
            (_, Some(header)) => {
                let marking = marking(to.transport_level_marking, around);
                let tunnel = tunnel(&header, marking, (to.destination_interface, None), around);
                tunnel.map(Copy::Tunnel).map_err(|why| refuse(OUTER_HEADER_CREATION, why))
            }
            (Interface::Core | Interface::N6Lan, None) => Ok(Copy::Network(network(None, around))),
            (_, None) => Err(refuse(OUTER_HEADER_CREATION, "a copy needs a tunnel or a data network")),
        }
    };
    all.iter().map(copy).collect()
}
