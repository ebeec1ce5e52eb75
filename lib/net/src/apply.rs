//! Carries a plan out: every kind of step for all namespaces, by several threads, in batches.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;

use crate::declared::{self, Declared, End};
use crate::namespace::Names;
use crate::netlink::{Request, Socket};
use crate::plan::{Pair, Plan, Setting, Switch};
use crate::{NetError, message, namespace, observe, workers};

/// Rooms of one batch: each worker has two files open for each of them.
const ROOMS_OF_BATCH: usize = 16;

/// The numbers of links, by their names, in some namespaces.
type Numbers<'a> = BTreeMap<&'a String, BTreeMap<String, u32>>;

/// A namespace of endpoints, with what is done for it in one go.
#[derive(Default)]
struct Room<'a> {
    is_new: bool,
    /// Pairs from bridges, with the namespaces of these.
    pairs: Vec<(&'a String, &'a Pair)>,
    settings: &'a [Setting],
}

/// Carries out `plan`, which leads to `declared`.
///
/// Bridges come first, then rooms by batches: while one worker makes namespaces, another one makes pairs, for
/// which the kernel lets only one at a time in.
pub fn apply(plan: &Plan, declared: &Declared) -> Result<(), NetError> {
    let names = Names::begin(&declared::prefix(&declared.name))?;
    workers::each(&plan.remove_links, |(name, links)| {
        namespace::enter(name)?;
        Socket::open()?.run(links.iter().map(|link| message::remove_link(link)).collect())
    })?;
    workers::each(&plan.remove_namespaces, |name| namespace::remove(name))?;
    let with_endpoints: BTreeSet<&String> =
        declared.endpoints.values().map(|place| &place.namespace).collect();
    let is_switch = |name: &String| !with_endpoints.contains(name);
    // Nobody but bridges is in a switch.
    workers::each(plan.make_namespaces.iter().filter(|name| is_switch(name)).collect::<Vec<_>>(), |name| {
        namespace::make(&names, name, true).map(drop)
    })?;
    switches(plan)?;

    let (from_switches, cables): (Vec<_>, Vec<_>) =
        plan.make_pairs.iter().partition(|(name, _)| is_switch(name));
    let numbers: Numbers<'_> = workers::each(from_switches.clone(), |(name, _)| {
        namespace::enter(name)?;
        Ok((name, observe::indices(&Socket::open()?)?))
    })?
    .into_iter()
    .collect();
    // What waits for both ends of a cable, and switches with their many links, come last.
    let late: BTreeSet<&String> = cables
        .iter()
        .flat_map(|(name, pairs)| pairs.iter().map(|pair| &pair.far.namespace).chain([*name]))
        .collect();
    let is_late = |name: &String| late.contains(name) || is_switch(name);
    let mut rooms: BTreeMap<&String, Room<'_>> = BTreeMap::new();
    for name in plan.make_namespaces.iter().filter(|name| !is_switch(name)) {
        rooms.entry(name).or_default().is_new = true;
    }
    for (name, pairs) in from_switches {
        for pair in pairs {
            rooms.entry(&pair.far.namespace).or_default().pairs.push((name, pair));
        }
    }
    for (name, settings) in plan.settings.iter().filter(|(name, _)| !is_late(name)) {
        rooms.entry(name).or_default().settings = settings;
    }
    let rooms: Vec<(&String, Room<'_>)> = rooms.into_iter().collect();
    let has_ipv6 = has_ipv6();
    workers::each(rooms.chunks(ROOMS_OF_BATCH), |rooms| furnish(&names, rooms, &numbers, has_ipv6))?;
    workers::each(cables, |(name, pairs)| {
        pairs.chunks(ROOMS_OF_BATCH).try_for_each(|pairs| cable(name, pairs))
    })?;
    workers::each(
        plan.settings.iter().filter(|(name, _)| is_late(name)).collect::<Vec<_>>(),
        |(name, settings)| {
            namespace::enter(name)?;
            set(&Socket::open()?, settings, has_ipv6)
        },
    )?;
    Ok(())
}

/// Whether the kernel has IPv6. It is asked once: a file below `/proc/sys/net` takes the longer to find the
/// more namespaces have been asked for theirs.
pub fn has_ipv6() -> bool {
    Path::new("/proc/sys/net/ipv6").exists()
}

/// Makes rooms, the pairs to their bridges, and sets what is set in them.
fn furnish(
    names: &Names,
    rooms: &[(&String, Room<'_>)],
    numbers: &Numbers<'_>,
    has_ipv6: bool,
) -> Result<(), NetError> {
    let mut opened = Vec::with_capacity(rooms.len());
    for (name, room) in rooms {
        let socket = if room.is_new {
            namespace::make(names, name, false)?
        } else {
            namespace::enter(name)?;
            Socket::open()?
        };
        opened.push((socket, namespace::current()?));
    }
    let mut requests: BTreeMap<&String, Vec<Request>> = BTreeMap::new();
    for ((_, room), (_, inside)) in rooms.iter().zip(&opened) {
        for (name, pair) in &room.pairs {
            let near = End { namespace: (*name).clone(), link: pair.link.clone() };
            let bridge = pair.bridge.as_ref().map(|bridge| number(&numbers[name], bridge)).transpose()?;
            requests.entry(name).or_default().push(message::pair(&near, pair, bridge, inside.as_fd()));
        }
    }
    for (name, requests) in requests {
        namespace::enter(name)?;
        Socket::open()?.run(requests)?;
    }
    for ((name, room), (socket, inside)) in rooms.iter().zip(&opened) {
        if !room.settings.is_empty() {
            // Forwarding is set by a file of the thread's namespace.
            namespace::enter_opened(inside, name)?;
            set(socket, room.settings, has_ipv6)?;
        }
    }
    Ok(())
}

/// Makes cables from a namespace.
fn cable(name: &str, pairs: &[Pair]) -> Result<(), NetError> {
    namespace::enter(name)?;
    let inside: Vec<_> =
        pairs.iter().map(|pair| namespace::open(&pair.far.namespace)).collect::<Result<_, _>>()?;
    let requests = pairs.iter().zip(&inside).map(|(pair, inside)| {
        let near = End { namespace: name.to_owned(), link: pair.link.clone() };
        message::pair(&near, pair, None, inside.as_fd())
    });
    Socket::open()?.run(requests.collect())
}

/// Makes bridges and VXLANs.
pub fn switches(plan: &Plan) -> Result<(), NetError> {
    let home = namespace::current()?;
    workers::each(&plan.make_switches, |(name, switches)| {
        let inside = namespace::open(name)?;
        for Switch { link, mtu, vxlan } in switches {
            let Some(vxlan) = vxlan else { continue };
            // A VXLAN is made from its underlay, where its packets stay.
            match &vxlan.underlay {
                None => namespace::enter_opened(&home, "where tern runs")?,
                Some(underlay) => namespace::enter(underlay)?,
            }
            Socket::open()?.run(vec![message::vxlan(link, *mtu, vxlan, inside.as_fd())])?;
        }
        namespace::enter(name)?;
        let bridges = switches.iter().filter(|switch| switch.vxlan.is_none());
        Socket::open()?.run(bridges.map(|switch| message::bridge(&switch.link, switch.mtu)).collect())
    })?;
    Ok(())
}

/// Sets what is set in the calling thread's namespace, which the socket is of too.
pub fn set(socket: &Socket, settings: &[Setting], has_ipv6: bool) -> Result<(), NetError> {
    let numbers = observe::indices(socket)?;
    let mut requests = Vec::new();
    for setting in settings {
        match setting {
            Setting::Forwarding(on) => namespace::set_forwarding(*on)?,
            Setting::Mtu(link, mtu) => requests.push(message::mtu(link, number(&numbers, link)?, *mtu)),
            Setting::Bridge(link, bridge) => {
                let bridge = bridge.as_ref().map_or(Ok(0), |bridge| number(&numbers, bridge))?;
                requests.push(message::port_of(link, number(&numbers, link)?, bridge));
            }
            Setting::Up(link) => {
                let index = number(&numbers, link)?;
                if has_ipv6 {
                    requests.push(message::no_address_of_its_own(link, index));
                }
                requests.push(message::link_up(link, index));
            }
            Setting::RemoveAddress(link, address) => {
                requests.push(message::remove_address(link, number(&numbers, link)?, *address));
            }
            Setting::Address(link, address) => {
                requests.push(message::address(link, number(&numbers, link)?, *address));
            }
            Setting::RemoveRemote(link, remote) => {
                requests.push(message::remove_remote(link, number(&numbers, link)?, *remote));
            }
            Setting::Remote(link, remote) => {
                requests.push(message::remote(link, number(&numbers, link)?, *remote));
            }
            Setting::RemoveRoute(to, via) => requests.push(message::remove_route(*to, *via)),
            Setting::Route(to, via) => requests.push(message::route(*to, *via)),
        }
    }
    socket.run(requests)
}

fn number(numbers: &BTreeMap<String, u32>, link: &str) -> Result<u32, NetError> {
    numbers.get(link).copied().ok_or_else(|| {
        NetError::io(format!("link {link}"))(io::Error::new(io::ErrorKind::NotFound, "it is gone meanwhile"))
    })
}
