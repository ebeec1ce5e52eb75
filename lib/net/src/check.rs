//! From a file to what it declares: each value beside the others.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;

use tern_config::{ConfigError, Fault, Spanned};

use crate::declared::{self, Declared, End, Kind, Link, Namespace, Own, Place, Vxlan};
use crate::file::{self, Attachment, Endpoint, File, Network, Tenant, VxlanFile};
use crate::{Cidr, Name};

/// Reads the file that declares a network.
pub fn load(path: &Path) -> Result<Declared, ConfigError> {
    parse(&path.display().to_string(), &tern_config::read(path)?)
}

/// Reads its text; `file` names it in faults.
pub fn parse(file: &str, text: &str) -> Result<Declared, ConfigError> {
    let content: File = tern_config::parse(file, text).map_err(|error| match error {
        // A value and the place where it stands are read as a field `value`, which the file has not.
        ConfigError::Content(mut fault) => {
            fault.field = fault.field.strip_suffix(".value").unwrap_or(&fault.field).to_owned();
            ConfigError::Content(fault)
        }
        error => error,
    })?;
    let name = content.name.clone();
    let mut check = Check {
        file,
        text,
        declared: Declared { name, namespaces: BTreeMap::new(), endpoints: BTreeMap::new() },
    };
    match check.all(&content) {
        Ok(()) => Ok(check.declared),
        Err(fault) => Err(ConfigError::Content(fault)),
    }
}

/// The port of a bridge to other machines. Endpoints' names begin with a letter.
const TUNNEL: &str = "0";

type Checked<T = ()> = Result<T, Box<Fault>>;

struct Check<'a> {
    file: &'a str,
    text: &'a str,
    declared: Declared,
}

/// A network of the tenant at hand, with what is known of who is on it.
struct OnNetwork<'a> {
    network: &'a Network,
    mtu: u32,
    /// Namespaces that are on it, as ends of cables.
    ends: Vec<End>,
    taken: BTreeMap<IpAddr, String>,
}

impl Check<'_> {
    fn fault<T>(&self, value: &Spanned<T>, field: String, expectation: String) -> Box<Fault> {
        Box::new(Fault::beside(self.file, self.text, value, field, expectation))
    }

    fn whole(&self, field: &str, expectation: String) -> Box<Fault> {
        let (file, field) = (self.file.to_owned(), field.to_owned());
        Box::new(Fault { file, at: None, field, expectation, line: None })
    }

    fn at_most(&self, field: &str, found: usize, most: usize) -> Checked {
        if found <= most {
            return Ok(());
        }
        Err(self.whole(field, format!("expected at most {most}, found {found}")))
    }

    fn all(&mut self, file: &File) -> Checked {
        self.at_most("tenants", file.tenants.len(), file::TENANTS_MAX)?;
        let mut names = BTreeSet::new();
        for (index, tenant) in file.tenants.iter().enumerate() {
            let field = format!("tenants[{index}]");
            if !names.insert(&tenant.name.value) {
                return Err(self.again(&tenant.name, format!("{field}.name"), "tenant"));
            }
            self.tenant(tenant, &field)?;
        }
        Ok(())
    }

    fn again(&self, name: &Spanned<Name>, field: String, what: &str) -> Box<Fault> {
        self.fault(name, field, format!("expected another name, a {what} before has `{}`", name.value))
    }

    fn tenant(&mut self, tenant: &Tenant, field: &str) -> Checked {
        self.at_most(&format!("{field}.networks"), tenant.networks.len(), file::NETWORKS_MAX)?;
        let switch = declared::switch(&self.declared.name, &tenant.name.value);
        let mut networks = BTreeMap::new();
        for (index, network) in tenant.networks.iter().enumerate() {
            let field = format!("{field}.networks[{index}]");
            let mtu = self.network(network, &field, &switch)?;
            let on = OnNetwork { network, mtu, ends: Vec::new(), taken: BTreeMap::new() };
            if network.name.value.as_str() == "lo" {
                let expectation = "expected another name, `lo` is the loopback interface".to_owned();
                return Err(self.fault(&network.name, format!("{field}.name"), expectation));
            }
            if networks.insert(&network.name.value, on).is_some() {
                return Err(self.again(&network.name, format!("{field}.name"), "network"));
            }
        }
        let mut names = BTreeMap::new();
        for (index, endpoint) in tenant.endpoints.iter().enumerate() {
            let field = format!("{field}.endpoints[{index}]");
            self.endpoints(tenant, endpoint, &field, &mut names, &mut networks)?;
        }
        for (index, on) in networks.values().enumerate() {
            self.lay(on, &format!("{field}.networks[{index}]"), &switch)?;
        }
        Ok(())
    }

    /// Checks a network by itself, and declares its bridge. Its MTU.
    fn network(&mut self, network: &Network, field: &str, switch: &str) -> Checked<u32> {
        let overhead = match &network.vxlan {
            None => 0,
            Some(vxlan) if vxlan.local.value.is_ipv4() => file::VXLAN_OVERHEAD,
            Some(_) => file::VXLAN_OVERHEAD_V6,
        };
        let mtu = network.mtu.as_ref().map_or(file::MTU - overhead, |mtu| mtu.value);
        if let Some(given) = &network.mtu
            && !(1_280..=65_535).contains(&mtu)
        {
            return Err(self.fault(
                given,
                format!("{field}.mtu"),
                format!("expected 1280 to 65535, found {mtu}"),
            ));
        }
        if network.cable {
            if let Some(vxlan) = &network.vxlan {
                let expectation = "expected none, a cable ends on this machine".to_owned();
                return Err(self.fault(&vxlan.vni, format!("{field}.vxlan"), expectation));
            }
            return Ok(mtu);
        }
        let bridge = network.name.value.to_string();
        let mut links = BTreeMap::new();
        let link = |kind, bridge| Link { kind, mtu, bridge, addresses: BTreeSet::new() };
        if let Some(vxlan) = &network.vxlan {
            let kind = Kind::Vxlan(self.vxlan(vxlan, &format!("{field}.vxlan"))?);
            links.insert(declared::port(&network.name.value, TUNNEL), link(kind, Some(bridge.clone())));
        }
        links.insert(bridge, link(Kind::Bridge, None));
        self.declared.namespaces.entry(switch.to_owned()).or_default().links.extend(links);
        Ok(mtu)
    }

    fn vxlan(&self, vxlan: &VxlanFile, field: &str) -> Checked<Vxlan> {
        let (vni, local) = (vxlan.vni.value, vxlan.local.value);
        if !(1..1 << 24).contains(&vni) {
            let expectation = format!("expected 1 to 16777215, found {vni}");
            return Err(self.fault(&vxlan.vni, format!("{field}.vni"), expectation));
        }
        self.at_most(&format!("{field}.remotes"), vxlan.remotes.len(), file::REMOTES_MAX)?;
        let mut remotes = BTreeSet::new();
        for (index, remote) in vxlan.remotes.iter().enumerate() {
            let wrong = match remote.value {
                address if address.is_ipv4() != local.is_ipv4() => {
                    "an address of the same version as `local`"
                }
                address if address == local => "another address than `local`",
                address if address.is_multicast() || address.is_unspecified() => "the address of one machine",
                _ => {
                    remotes.insert(remote.value);
                    continue;
                }
            };
            let expectation = format!("expected {wrong}, found {}", remote.value);
            return Err(self.fault(remote, format!("{field}.remotes[{index}]"), expectation));
        }
        let underlay = vxlan.underlay.as_ref().map(|name| {
            let fits = !name.value.is_empty() && !name.value.contains('/') && !name.value.starts_with('.');
            fits.then(|| name.value.clone()).ok_or_else(|| {
                let expectation = format!("expected a namespace of `ip netns`, found `{}`", name.value);
                self.fault(name, format!("{field}.underlay"), expectation)
            })
        });
        Ok(Vxlan { vni, local, port: vxlan.port, remotes, underlay: underlay.transpose()? })
    }

    /// One entry of the file: an endpoint, or several alike.
    fn endpoints<'a>(
        &mut self,
        tenant: &Tenant,
        endpoint: &'a Endpoint,
        field: &str,
        names: &mut BTreeMap<String, bool>,
        networks: &mut BTreeMap<&'a Name, OnNetwork<'a>>,
    ) -> Checked {
        self.at_most(&format!("{field}.links"), endpoint.links.len(), file::LINKS_MAX)?;
        self.at_most(&format!("{field}.routes"), endpoint.routes.len(), file::ROUTES_MAX)?;
        let count = endpoint.count.as_ref().map_or(1, |count| count.value);
        if let Some(given) = &endpoint.count
            && (count == 0 || count as usize + self.declared.endpoints.len() > file::ENDPOINTS_MAX)
        {
            let most = file::ENDPOINTS_MAX;
            let expectation =
                format!("expected 1 or more, and at most {most} endpoints in the file; found {count}");
            return Err(self.fault(given, format!("{field}.count"), expectation));
        }
        self.at_most("endpoints", self.declared.endpoints.len() + 1, file::ENDPOINTS_MAX)?;
        let shared = endpoint.namespace.is_some();
        for number in 0..count {
            let name = match &endpoint.count {
                None => endpoint.name.value.to_string(),
                Some(_) => format!("{}-{}", endpoint.name.value, number + 1),
            };
            let room = endpoint.namespace.as_ref().map_or(name.clone(), |room| room.value.to_string());
            let namespace = declared::namespace(&self.declared.name, &tenant.name.value, &room);
            let addresses = self.links(endpoint, number, field, &room, &namespace, networks)?;
            let routes = endpoint.routes.iter().map(|route| (route.to.value, route.via.value));
            let place = Place { namespace: namespace.clone(), shared, own: Own::of(&addresses, routes) };
            if self.declared.endpoints.insert(format!("{}/{name}", tenant.name.value), place).is_some() {
                return Err(self.again(&endpoint.name, format!("{field}.name"), "endpoint"));
            }
            // A namespace is one endpoint's, or of all who name it.
            let before = names.insert(room.clone(), shared);
            if before.is_some_and(|before| !(before && shared)) {
                let (at, part) = match &endpoint.namespace {
                    Some(room) => (room, "namespace"),
                    None => (&endpoint.name, "name"),
                };
                let expectation =
                    format!("expected another name, `{room}` is an endpoint and a shared namespace");
                return Err(self.fault(at, format!("{field}.{part}"), expectation));
            }
            self.declared.namespaces.entry(namespace.clone()).or_default().forwarding |= endpoint.forward;
            self.routes(endpoint, field, &namespace)?;
        }
        Ok(())
    }

    /// The links of one endpoint; its addresses.
    fn links<'a>(
        &mut self,
        endpoint: &'a Endpoint,
        number: u32,
        field: &str,
        room: &str,
        namespace: &str,
        networks: &mut BTreeMap<&'a Name, OnNetwork<'a>>,
    ) -> Checked<Vec<Cidr>> {
        let (mut own, mut linked) = (Vec::new(), BTreeSet::new());
        for (index, attachment) in endpoint.links.iter().enumerate() {
            let field = format!("{field}.links[{index}]");
            let Some(on) = networks.get_mut(&attachment.network.value) else {
                let expectation =
                    format!("expected a network of this tenant, found `{}`", attachment.network.value);
                return Err(self.fault(&attachment.network, format!("{field}.network"), expectation));
            };
            if !linked.insert(&attachment.network.value) {
                let expectation =
                    format!("expected one link to a network, `{}` has two", attachment.network.value);
                return Err(self.fault(&attachment.network, format!("{field}.network"), expectation));
            }
            let addresses = self.addresses(attachment, number, &field, &mut on.taken, room)?;
            own.extend(&addresses);
            let link = attachment.network.value.to_string();
            let end = End { namespace: namespace.to_owned(), link: link.clone() };
            let links = &mut self.declared.namespaces.entry(namespace.to_owned()).or_default().links;
            let made = match links.entry(link) {
                Entry::Occupied(there) => there.into_mut(),
                Entry::Vacant(free) => {
                    on.ends.push(end.clone());
                    // The other end is known when all are.
                    free.insert(Link {
                        kind: Kind::Veth(end),
                        mtu: on.mtu,
                        bridge: None,
                        addresses: BTreeSet::new(),
                    })
                }
            };
            made.addresses.extend(&addresses);
            if let Some(address) = link_local(&made.addresses) {
                made.addresses.insert(address);
                if let Some(other) = on.taken.insert(address.address, room.to_owned()) {
                    let expectation =
                        format!("expected other last 64 bits: `{other}` has {} of the same", address.address);
                    return Err(self.fault(&attachment.network, format!("{field}.addresses"), expectation));
                }
            }
        }
        Ok(own)
    }

    fn addresses(
        &self,
        attachment: &Attachment,
        number: u32,
        field: &str,
        taken: &mut BTreeMap<IpAddr, String>,
        room: &str,
    ) -> Checked<Vec<Cidr>> {
        self.at_most(&format!("{field}.addresses"), attachment.addresses.len(), file::ADDRESSES_MAX)?;
        let mut addresses = Vec::new();
        for (index, first) in attachment.addresses.iter().enumerate() {
            let field = format!("{field}.addresses[{index}]");
            let usable = |address: IpAddr| {
                !(address.is_loopback() || address.is_multicast() || address.is_unspecified())
            };
            let Some(address) = first.value.further(number).filter(|address| usable(address.address)) else {
                let expectation = format!(
                    "expected hosts' addresses, number {} from {} on is none",
                    number + 1,
                    first.value
                );
                return Err(self.fault(first, field, expectation));
            };
            if let Some(other) = taken.insert(address.address, room.to_owned()) {
                let expectation =
                    format!("expected an address of its own, `{other}` has {}", address.address);
                return Err(self.fault(first, field, expectation));
            }
            addresses.push(address);
        }
        Ok(addresses)
    }

    fn routes(&mut self, endpoint: &Endpoint, field: &str, namespace: &str) -> Checked {
        for (index, route) in endpoint.routes.iter().enumerate() {
            let field = format!("{field}.routes[{index}]");
            let (to, via) = (route.to.value, route.via.value);
            if to.network() != to {
                let expectation = format!("expected a network such as {}, found {to}", to.network());
                return Err(self.fault(&route.to, format!("{field}.to"), expectation));
            }
            let links = self.declared.namespaces.get(namespace).map(|namespace| &namespace.links);
            let near = links.into_iter().flatten().any(|(_, link)| {
                link.addresses.iter().any(|address| address.contains(via) && address.address != via)
            });
            if !near || to.address.is_ipv4() != via.is_ipv4() {
                let expectation =
                    format!("expected a neighbour on one of the endpoint's networks for {to}, found {via}");
                return Err(self.fault(&route.via, format!("{field}.via"), expectation));
            }
            let routes = &mut self.declared.namespaces.entry(namespace.to_owned()).or_default().routes;
            if routes.insert(to, via).is_some_and(|before| before != via) {
                let expectation = format!("expected one next hop for {to} in this namespace");
                return Err(self.fault(&route.via, format!("{field}.via"), expectation));
            }
        }
        Ok(())
    }

    /// Lays a network's cables, now that all who are on it are known.
    fn lay(&mut self, on: &OnNetwork<'_>, field: &str, switch: &str) -> Checked {
        let name = &on.network.name;
        if on.network.cable {
            let [a, b] = on.ends.as_slice() else {
                let expectation = format!("expected two endpoints on a cable, found {}", on.ends.len());
                return Err(self.fault(name, format!("{field}.cable"), expectation));
            };
            self.connect(a, b);
            self.connect(b, a);
            return Ok(());
        }
        let ports = on.ends.len() + usize::from(on.network.vxlan.is_some());
        if ports > file::PORTS_MAX {
            let most = file::PORTS_MAX;
            let expectation = format!(
                "expected at most {most} links, as many ports as a bridge has; found {ports}: \
                 let endpoints share a namespace, or use another network"
            );
            return Err(self.fault(name, field.to_owned(), expectation));
        }
        for end in &on.ends {
            let room = end.namespace.rsplit('.').next().unwrap_or_default();
            let port = End { namespace: switch.to_owned(), link: declared::port(&name.value, room) };
            let link = Link {
                kind: Kind::Veth(end.clone()),
                mtu: on.mtu,
                bridge: Some(name.value.to_string()),
                addresses: BTreeSet::new(),
            };
            let links = &mut self.declared.namespaces.entry(switch.to_owned()).or_default().links;
            if links.insert(port.link.clone(), link).is_some() {
                let expectation =
                    format!("expected another name: the port to `{room}` is named like another one");
                return Err(self.fault(name, format!("{field}.name"), expectation));
            }
            self.connect(end, &port);
        }
        Ok(())
    }

    /// Tells one end of a cable which is the other one.
    fn connect(&mut self, end: &End, far: &End) {
        let namespace: Option<&mut Namespace> = self.declared.namespaces.get_mut(&end.namespace);
        if let Some(link) = namespace.and_then(|namespace| namespace.links.get_mut(&end.link)) {
            link.kind = Kind::Veth(far.clone());
        }
    }
}

/// The link-local address that a link with addresses of IPv6 needs (RFC 4291 §2.8), where the file has
/// none: with the interface identifier of its first address.
fn link_local(addresses: &BTreeSet<Cidr>) -> Option<Cidr> {
    let mut first = None;
    for address in addresses {
        match address.address {
            IpAddr::V6(address) if address.is_unicast_link_local() => return None,
            IpAddr::V6(address) => first = first.or(Some(address)),
            IpAddr::V4(_) => {}
        }
    }
    let interface = first?.to_bits() & u128::from(u64::MAX);
    Some(Cidr { address: Ipv6Addr::from_bits(0xfe80 << 112 | interface).into(), length: 64 })
}
