//! What is to be done that the kernel has what a file declares: a comparison of two values.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use crate::Cidr;
use crate::declared::{Declared, End, Kind, Link, Namespace, Vxlan};
use crate::found::{Found, FoundKind, FoundLink, FoundNamespace};

/// Steps by their kinds, in the order in which they are taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Namespaces that go, with all that is in them.
    pub remove_namespaces: BTreeSet<String>,
    /// Links that go, by namespace.
    pub remove_links: BTreeMap<String, BTreeSet<String>>,
    /// Namespaces to make.
    pub make_namespaces: BTreeSet<String>,
    /// Bridges and VXLANs to make, by namespace.
    pub make_switches: BTreeMap<String, Vec<Switch>>,
    /// Pairs to make, by the namespace of the near end.
    pub make_pairs: BTreeMap<String, Vec<Pair>>,
    /// What is set in each namespace when its links are there.
    pub settings: BTreeMap<String, Vec<Setting>>,
}

/// A bridge, which is made up, or a VXLAN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switch {
    /// Its name.
    pub link: String,
    /// Octets of a packet.
    pub mtu: u32,
    /// None for a bridge.
    pub vxlan: Option<Vxlan>,
}

/// A veth pair. Its near end is made up, and a port of a bridge if it is to be one; its far end is made
/// down, for its settings come later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The name of the near end, in the namespace that the pair stands under.
    pub link: String,
    /// The other end.
    pub far: End,
    /// Octets of a packet.
    pub mtu: u32,
    /// The bridge of the near end.
    pub bridge: Option<String>,
}

/// One thing to set in a namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Setting {
    /// Whether packets are forwarded.
    Forwarding(bool),
    /// Octets of a packet.
    Mtu(String, u32),
    /// The bridge that a link is a port of, or none.
    Bridge(String, Option<String>),
    /// The link is up; the kernel gives it no address of its own.
    Up(String),
    /// The kernel does not have this address any more.
    RemoveAddress(String, Cidr),
    /// An address.
    Address(String, Cidr),
    /// An end of a VXLAN that is gone.
    RemoveRemote(String, IpAddr),
    /// An end of a VXLAN.
    Remote(String, IpAddr),
    /// A route that is gone.
    RemoveRoute(Cidr, IpAddr),
    /// A route, in the place of another one to the same network.
    Route(Cidr, IpAddr),
}

impl Plan {
    /// Of what is declared and what is found.
    pub fn of(declared: &Declared, found: &Found) -> Self {
        let mut plan = Self {
            remove_namespaces: found
                .keys()
                .filter(|name| !declared.namespaces.contains_key(*name))
                .cloned()
                .collect(),
            make_namespaces: declared
                .namespaces
                .keys()
                .filter(|name| !found.contains_key(*name))
                .cloned()
                .collect(),
            ..Self::default()
        };
        let fresh = plan.links(declared, found);
        let nothing = FoundNamespace::default();
        for (name, namespace) in &declared.namespaces {
            let settings = settings(name, namespace, found.get(name).unwrap_or(&nothing), &fresh);
            if !settings.is_empty() {
                plan.settings.insert(name.clone(), settings);
            }
        }
        plan
    }

    /// Whether all is as it is declared.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Plans the links that go and those that are made; these.
    fn links(&mut self, declared: &Declared, found: &Found) -> BTreeSet<End> {
        let mut fresh = BTreeSet::new();
        for (name, namespace) in &declared.namespaces {
            for (link, wanted) in &namespace.links {
                let end = End { namespace: name.clone(), link: link.clone() };
                let sound = match &wanted.kind {
                    Kind::Veth(far) => is_sound_pair(&end, far, found),
                    kind => find(found, &end).is_some_and(|found| is_alike(kind, &found.kind)),
                };
                if sound {
                    continue;
                }
                if find(found, &end).is_some() {
                    self.remove_links.entry(name.clone()).or_default().insert(link.clone());
                }
                self.make(&end, wanted, declared);
                fresh.insert(end);
            }
        }
        // What is left of an earlier file. TUN devices and the like belong to processes inside.
        for (name, there) in found {
            let Some(wanted) = declared.namespaces.get(name) else { continue };
            for (link, there) in &there.links {
                if there.kind != FoundKind::Other && !wanted.links.contains_key(link) {
                    self.remove_links.entry(name.clone()).or_default().insert(link.clone());
                }
            }
        }
        fresh
    }

    fn make(&mut self, end: &End, wanted: &Link, declared: &Declared) {
        let End { namespace, link } = end.clone();
        let mtu = wanted.mtu;
        match &wanted.kind {
            Kind::Bridge => {
                self.make_switches.entry(namespace).or_default().push(Switch { link, mtu, vxlan: None });
            }
            Kind::Vxlan(vxlan) => {
                let switch = Switch { link, mtu, vxlan: Some(vxlan.clone()) };
                self.make_switches.entry(namespace).or_default().push(switch);
            }
            Kind::Veth(far) if is_near(end, far, declared) => {
                let pair = Pair { link, far: far.clone(), mtu, bridge: wanted.bridge.clone() };
                self.make_pairs.entry(namespace).or_default().push(pair);
            }
            // It is made with its near end.
            Kind::Veth(_) => {}
        }
    }
}

/// Whether a pair is made from this end: from the port of the bridge, else from the first one in order.
fn is_near(end: &End, far: &End, declared: &Declared) -> bool {
    let has_bridge = |end: &End| {
        let link =
            declared.namespaces.get(&end.namespace).and_then(|namespace| namespace.links.get(&end.link));
        link.is_some_and(|link| link.bridge.is_some())
    };
    match (has_bridge(end), has_bridge(far)) {
        (true, false) => true,
        (false, true) => false,
        _ => end < far,
    }
}

fn find<'a>(found: &'a Found, end: &End) -> Option<&'a FoundLink> {
    found.get(&end.namespace)?.links.get(&end.link)
}

/// Whether both ends are there and are of one pair.
fn is_sound_pair(end: &End, far: &End, found: &Found) -> bool {
    let (Some(here), Some(there)) = (find(found, end), find(found, far)) else { return false };
    let one_pair = here.kind == FoundKind::Veth { peer: there.index }
        && there.kind == FoundKind::Veth { peer: here.index };
    one_pair && here.mac == end.mac(far) && there.mac == far.mac(end)
}

fn is_alike(wanted: &Kind, found: &FoundKind) -> bool {
    match (wanted, found) {
        (Kind::Bridge, FoundKind::Bridge) => true,
        (Kind::Vxlan(wanted), FoundKind::Vxlan { vni, local, port, .. }) => {
            wanted.vni == *vni && Some(wanted.local) == *local && wanted.port == *port
        }
        _ => false,
    }
}

fn settings(name: &str, wanted: &Namespace, found: &FoundNamespace, fresh: &BTreeSet<End>) -> Vec<Setting> {
    let mut settings = Vec::new();
    if wanted.forwarding != found.forwarding {
        settings.push(Setting::Forwarding(wanted.forwarding));
    }
    // With an address or a link, the kernel takes routes away.
    let mut routes_may_go = false;
    for (link, wanted) in &wanted.links {
        let is_fresh = fresh.contains(&End { namespace: name.to_owned(), link: link.clone() });
        let there = found.links.get(link).filter(|_| !is_fresh);
        let changed = link_settings(link, wanted, there);
        routes_may_go |=
            changed.iter().any(|setting| !matches!(setting, Setting::Mtu(..) | Setting::Remote(..)));
        settings.extend(changed);
    }
    for (to, via) in &found.routes {
        if wanted.routes.get(to) != Some(via) {
            settings.push(Setting::RemoveRoute(*to, *via));
        }
    }
    for (to, via) in &wanted.routes {
        if routes_may_go || !found.routes.contains(&(*to, *via)) {
            settings.push(Setting::Route(*to, *via));
        }
    }
    settings
}

fn link_settings(link: &str, wanted: &Link, found: Option<&FoundLink>) -> Vec<Setting> {
    let mut settings = Vec::new();
    let name = || link.to_owned();
    // What a fresh pair is made with.
    let made_as_port = found.is_none() && wanted.bridge.is_some() && matches!(wanted.kind, Kind::Veth(_));
    if found.is_some_and(|found| found.mtu != wanted.mtu) {
        settings.push(Setting::Mtu(name(), wanted.mtu));
    }
    if found.and_then(|found| found.bridge.as_ref()) != wanted.bridge.as_ref() && !made_as_port {
        settings.push(Setting::Bridge(name(), wanted.bridge.clone()));
    }
    let made_up = made_as_port || found.is_none() && wanted.kind == Kind::Bridge;
    if !found.is_some_and(|found| found.up) && !made_up {
        settings.push(Setting::Up(name()));
    }
    let nothing = BTreeSet::new();
    let there = found.map_or(&nothing, |found| &found.addresses);
    settings
        .extend(there.difference(&wanted.addresses).map(|address| Setting::RemoveAddress(name(), *address)));
    settings.extend(wanted.addresses.difference(there).map(|address| Setting::Address(name(), *address)));
    if let Kind::Vxlan(vxlan) = &wanted.kind {
        let nothing = BTreeSet::new();
        let there = match found.map(|found| &found.kind) {
            Some(FoundKind::Vxlan { remotes, .. }) => remotes,
            _ => &nothing,
        };
        settings.extend(there.difference(&vxlan.remotes).map(|end| Setting::RemoveRemote(name(), *end)));
        settings.extend(vxlan.remotes.difference(there).map(|end| Setting::Remote(name(), *end)));
    }
    settings
}

/// One line a step; what is made begins with `+`, what goes with `-`, what changes with `~`.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for name in &self.remove_namespaces {
            writeln!(f, "- namespace {name}")?;
        }
        for (name, links) in &self.remove_links {
            for link in links {
                writeln!(f, "- link {name}/{link}")?;
            }
        }
        for name in &self.make_namespaces {
            writeln!(f, "+ namespace {name}")?;
        }
        for (name, switches) in &self.make_switches {
            for Switch { link, mtu, vxlan } in switches {
                match vxlan {
                    None => writeln!(f, "+ bridge {name}/{link} mtu {mtu}")?,
                    Some(vxlan) => writeln!(
                        f,
                        "+ vxlan {name}/{link} mtu {mtu} vni {} local {} port {}",
                        vxlan.vni, vxlan.local, vxlan.port
                    )?,
                }
            }
        }
        for (name, pairs) in &self.make_pairs {
            for Pair { link, far, mtu, .. } in pairs {
                writeln!(f, "+ pair {name}/{link} {}/{} mtu {mtu}", far.namespace, far.link)?;
            }
        }
        for (name, settings) in &self.settings {
            for setting in settings {
                match setting {
                    Setting::Forwarding(on) => writeln!(f, "~ forwarding {name} {on}")?,
                    Setting::Mtu(link, mtu) => writeln!(f, "~ link {name}/{link} mtu {mtu}")?,
                    Setting::Bridge(link, Some(bridge)) => {
                        writeln!(f, "~ link {name}/{link} bridge {bridge}")?
                    }
                    Setting::Bridge(link, None) => writeln!(f, "~ link {name}/{link} no bridge")?,
                    Setting::Up(link) => writeln!(f, "~ link {name}/{link} up")?,
                    Setting::RemoveAddress(link, address) => {
                        writeln!(f, "- address {name}/{link} {address}")?
                    }
                    Setting::Address(link, address) => writeln!(f, "+ address {name}/{link} {address}")?,
                    Setting::RemoveRemote(link, remote) => writeln!(f, "- remote {name}/{link} {remote}")?,
                    Setting::Remote(link, remote) => writeln!(f, "+ remote {name}/{link} {remote}")?,
                    Setting::RemoveRoute(to, via) => writeln!(f, "- route {name} {to} via {via}")?,
                    Setting::Route(to, via) => writeln!(f, "+ route {name} {to} via {via}")?,
                }
            }
        }
        Ok(())
    }
}
